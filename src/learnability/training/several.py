"""States of runs that were trained in one call and go on in one call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from learnability.training.record import Outcome
from learnability.training.state import State

__all__ = ["OFFERED", "diverged_at", "named", "states_of"]

OFFERED = ("updates", "run", "learning_rate", "weight_decay")
"""What a user's measurement is offered beside the network and the epoch."""


def states_of(
    resume: object, runs: int, engine: str, problem: Callable[[int], Mapping[str, str]], epochs: int
) -> tuple[State | None, ...] | None:
    """What ``resume=`` holds, a state or None (of a run that diverged) for each run; None if it was not given.

    Parameters
    ----------
    resume : State, sequence of State or None, or None
    runs : int
        Runs of the call.
    engine : str
    problem : callable (epoch) -> digests
        What the call trains, as far as ``epoch`` epochs depend on it.
    epochs : int
        The call's budget.

    Raises
    ------
    ValueError
        If these are not the states of all runs of one earlier call, in their order, that trained the same.
    """
    if resume is None:
        return None
    states = (resume,) if isinstance(resume, State) else tuple(resume) if isinstance(resume, Sequence) else ()
    if len(states) != runs or not all(state is None or isinstance(state, State) for state in states):
        got = len(states) if isinstance(resume, Sequence) else repr(resume)
        wanted = f"the states of all {runs} runs, in their order" if runs > 1 else "the state of the run"
        raise ValueError(f"resume must be {wanted} (None for one that diverged), got {got}")
    if all(state is None for state in states):
        raise ValueError("resume must hold a state, got None only: every run had diverged")
    for run, state in enumerate(states):
        if state is not None:
            state.check(engine, "", problem(state.epoch), epochs=epochs)
            if int(state.arrays["run"]) != run:
                raise ValueError(f"resume must be in the order of the runs, got run {state.arrays['run']} at {run}")
    lost = diverged_at(states)
    for run, state in enumerate(states):
        if (state is None) != bool(lost[run]):
            raise ValueError(f"resume must hold None where a run had diverged, and only there, got {state} at {run}")
    of_call = {state.arrays["diverged"].tobytes() for state in states if state is not None}
    ends = {state.epoch for state in states if state is not None and state.outcome is Outcome.BUDGET_REACHED}
    if len(of_call) > 1 or len(ends) > 1:
        raise ValueError("resume must hold the states of one call, got states of several")
    return states


def diverged_at(states: Sequence[State | None]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The epoch in which each run diverged; 0 for those that did not."""
    found: np.ndarray[Any, np.dtype[np.int64]] = next(s for s in states if s is not None).arrays["diverged"]
    return found


def named(function: Any) -> Any:
    """A function for :func:`learnability.training.state.digests`: by its name, and its parts where it has some."""
    if isinstance(function, functools.partial):
        arguments = [*function.args, *(function.keywords[name] for name in sorted(function.keywords))]
        return ["partial", named(function.func), *sorted(function.keywords), *map(named, arguments)]
    if is_dataclass(function) and not isinstance(function, type):
        return [named(type(function)), *(named(getattr(function, part.name)) for part in fields(function))]
    if callable(function) and not hasattr(function, "__qualname__"):
        return named(type(function))
    return function
