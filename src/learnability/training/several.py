"""Runs that are trained in one call, and go on in one call: their rows, how each ended, and their states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.training.record import Measure, Measurement, MinibatchRun, Outcome
from learnability.training.state import State

__all__ = ["Journal", "diverged_at", "states_of"]

OFFERED = ("updates", "run", "learning_rate", "weight_decay")
"""What a user's measurement is offered beside the network and the epoch."""


class _End(NamedTuple):
    outcome: Outcome
    epoch: int
    params: Any
    arrays: Mapping[str, NDArray[Any]]
    generators: Mapping[str, Mapping[str, Any]]


class Journal:
    """Rows of every run and how it ended.

    Parameters
    ----------
    names : sequence of str
        The engine's columns.
    measure : callable or None
        The user's.
    steps : int
        Updates in an epoch.
    rates, decays : (R,) arrays
    """

    def __init__(
        self, names: Sequence[str], measure: Measurement | None, steps: int, rates: FloatArray, decays: FloatArray
    ) -> None:
        self.names, self.measure = names, Measure(measure, names, OFFERED)
        self.steps, self.rates, self.decays = steps, rates, decays
        self.rows: dict[int, list[dict[str, Any]]] = {}
        self.ends: dict[int, _End] = {}
        self.tried: dict[tuple[int, int], dict[str, Any]] = {}

    def try_out(self, run: int, epoch: int, network: Callable[[], Any]) -> None:
        """The user's measurement, before any work."""
        self.tried = {(run, epoch): self._measured(run, epoch, network)}

    def _measured(self, run: int, epoch: int, network: Callable[[], Any]) -> dict[str, Any]:
        if self.measure.function is None or (run, epoch) in self.tried:
            return self.tried.get((run, epoch), {})
        rate, decay = float(self.rates[run]), float(self.decays[run])
        return self.measure(
            network(), epoch, updates=epoch * self.steps, run=run, learning_rate=rate, weight_decay=decay
        )

    def row(self, run: int, values: Sequence[Any], network: Callable[[], Any]) -> None:
        """The engine's values of a moment, the epoch first; ``network`` gives a copy of the parameters."""
        row = dict(zip(self.names, values, strict=True))
        self.rows.setdefault(run, []).append({**row, **self._measured(run, int(values[0]), network)})

    def end(
        self,
        run: int,
        outcome: Outcome,
        epoch: int,
        params: Any,
        arrays: Mapping[str, NDArray[Any]],
        generators: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """A run has ended; the last two are what its state holds, nothing if it diverged."""
        self.ends[run] = _End(outcome, epoch, params, arrays, generators)

    def runs(
        self,
        engine: str,
        problem: Callable[[int], Mapping[str, str]],
        states: Sequence[State | None] | None,
        unknown: Callable[[], Any],
        form: str = "",
    ) -> list[MinibatchRun]:
        """The runs of the call.

        Parameters
        ----------
        engine, problem, states
            As :func:`states_of` has them.
        unknown : callable
            Gives the parameters of a run that had diverged before this call.
        form : str
            The engine's, where it has several.
        """
        diverged = np.zeros(len(self.rates), np.int64) if states is None else diverged_at(states).copy()
        for run, end in self.ends.items():
            if end.outcome is Outcome.DIVERGED:
                diverged[run] = end.epoch
        names = [*self.names, *(self.measure.names or ())]
        found = []
        for run, lost in enumerate(diverged.tolist()):
            end = self.ends.get(run) or _End(Outcome.DIVERGED, lost, unknown(), {}, {})
            kept = self.rows.get(run, ())
            columns = {name: np.array([row[name] for row in kept]) for name in names}
            columns[names[0]] = columns[names[0]].astype(np.int64)
            updates, state = end.epoch * self.steps, None
            if end.outcome is not Outcome.DIVERGED:
                arrays = {**end.arrays, "run": np.array(run), "diverged": diverged}
                state = State(
                    engine, form, problem(end.epoch), end.epoch, updates, end.outcome, arrays, end.generators
                )
            of_run = (float(self.rates[run]), float(self.decays[run]))
            found.append(MinibatchRun(columns, end.outcome, end.epoch, updates, end.params, state, *of_run))
        return found


def states_of(
    resume: object,
    runs: int,
    engine: str,
    problem: Callable[[int], Mapping[str, str]],
    epochs: int,
    form: str = "",
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
    form : str
        The engine's, where it has several.

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
        raise RequestError(f"resume must be {wanted} (None for one that diverged), got {got}")
    if all(state is None for state in states):
        raise RequestError("resume must hold a state, got None only: every run had diverged")
    for run, state in enumerate(states):
        if state is not None:
            state.check(engine, form, problem(state.epoch), epochs=epochs)
            if int(state.arrays["run"]) != run:
                raise RequestError(f"resume must be in the order of the runs, got run {state.arrays['run']} at {run}")
    lost = diverged_at(states)
    for run, state in enumerate(states):
        if (state is None) != bool(lost[run]):
            raise RequestError(
                f"resume must hold None where a run had diverged, and only there, got {state} at {run}"
            )
    of_call = {state.arrays["diverged"].tobytes() for state in states if state is not None}
    ends = {state.epoch for state in states if state is not None and state.outcome is Outcome.BUDGET_REACHED}
    if len(of_call) > 1 or len(ends) > 1:
        raise RequestError("resume must hold the states of one call, got states of several")
    return states


def diverged_at(states: Sequence[State | None]) -> NDArray[np.int64]:
    """The epoch in which each run diverged; 0 for those that did not."""
    return next(state for state in states if state is not None).arrays["diverged"]
