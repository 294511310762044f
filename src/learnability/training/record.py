"""What every training run leaves behind: plain columns at recorded moments, the final network, how it ended, and a
state from which it goes on.

All engines speak one language:

============================  ========================================================================================
``epoch`` (``step``)          epochs (``population``: steps) since the very start; 0 is the start
``updates``                   updates since the very start
``train_error``               share of the sample with y f(x) <= 0: output 0 is an error
``test_error``                the same of a test sample, or of the distribution
``train_loss, test_loss``     mean loss over the sample, over the test sample or under the distribution
``running_loss, _error``      means over an epoch's examples as their batches came, each before its step
``<name>_loss, _error``       of what else is watched, by the name that it was given
``norm``                      of the trained parameters (each engine says which)
============================  ========================================================================================

An engine adds columns of its own, and ``measure=`` those of the user.
"""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from learnability import checks
from learnability.errors import RequestError

if TYPE_CHECKING:
    from learnability.training.state import State

__all__ = ["Measure", "Measurement", "MinibatchRun", "Outcome", "Run", "log_spaced", "record_epochs"]

Measurement = Callable[..., Mapping[str, bool | int | float | str]]
"""A user's function of (network, epoch): plain values by name. See :class:`Measure`."""


class Outcome(StrEnum):
    """How a run ended."""

    CONVERGED = "converged"
    """A whole epoch made no update: nothing can change any more."""
    BUDGET_REACHED = "budget_reached"
    """The last epoch asked for was run, and it still made updates."""
    DIVERGED = "diverged"
    """An output or a weight stopped being finite; what was recorded before that stands."""


@dataclass(frozen=True)
class Run:
    """What every training run leaves behind; an engine's own class says what it adds.

    Parameters
    ----------
    columns : dict of str to (r,) arrays
        One entry per recorded moment, by the names of the module's first lines.
    outcome : Outcome
        How the run ended.
    epochs : int
        Epochs (steps) run since the very start.
    updates : int
        Updates made since the very start.
    params : NamedTuple or dict
        The final network, in NumPy arrays.
    state : State or None
        From where ``resume=`` goes on; None of a run that diverged.
    """

    columns: dict[str, NDArray[Any]]
    outcome: Outcome
    epochs: int
    updates: int
    params: Any
    state: State | None

    def rows(self) -> list[dict[str, Any]]:
        """The columns as one plain mapping per recorded moment."""
        return [{name: self.columns[name][i].item() for name in self.columns} for i in range(len(self))]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def final(self, name: str) -> float:
        """The last recorded value of a column.

        Raises
        ------
        KeyError
            If there is no such column.
        ValueError
            If nothing was recorded.
        """
        column = self.columns[name]
        if not len(column):
            why = "record=() keeps no rows, and a run that diverges has none from then on"
            raise RequestError(f"final({name!r}) asks for a record, and the run has none: {why}")
        return float(column[-1])

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.outcome}, epochs={self.epochs}, updates={self.updates}; "
            f"{len(self)} moments of {', '.join(self.columns)})"
        )


@dataclass(frozen=True, repr=False)
class MinibatchRun(Run):
    """A run of mini-batches, of :func:`learnability.training.minibatch.train` or ``grid.train``.

    Parameters
    ----------
    columns : dict of str to (r,) arrays
        One entry per recorded epoch: ``epoch`` (0 is the start); ``running_loss`` and (``minibatch`` only)
        ``running_error``, the means over the epoch's examples as their batches came, each before its step (NaN at
        epoch 0); ``<name>_loss`` and (``minibatch``) ``<name>_error`` of what is watched, after the epoch; ``norm``
        of the trained parameters, all together. An error is an output with y f <= 0 (or NaN), counted over examples
        and outputs: it means something for labels -1 and +1.
    outcome : Outcome
        ``converged`` if an epoch over a sample that repeats had loss 0 throughout and its last step changed nothing
        (``minibatch``); ``diverged`` if a loss or a weight stopped being finite (nothing is recorded from that epoch
        on).
    updates : int
        Steps taken.
    params : NamedTuple or dict
        The final parameters (of a run that diverged: whatever they were).
    learning_rate, weight_decay : float
        Of this run.
    """

    learning_rate: float
    weight_decay: float


class Measure:
    """A user's measurement at the recorded moments, checked before any work starts.

    Parameters
    ----------
    function : callable (network, epoch) -> mapping of str to bool, int, float or str, or None
        Its further parameters are filled by name with what the engine offers. It gets copies, and may keep them.
    columns : collection of str
        Names that are taken.
    offered : collection of str
        What the engine offers beside the network and the epoch.

    Raises
    ------
    ValueError
        If it is no function of these.
    """

    def __init__(self, function: Measurement | None, columns: Collection[str], offered: Collection[str] = ()) -> None:
        self.function, self.columns = function, frozenset(columns)
        self.names: tuple[str, ...] | None = None
        self.wanted: tuple[str, ...] = ()
        if function is None:
            return
        further = f" and, by name, {', '.join(offered)}" if offered else ""
        wrong = f"measure must be a function of (network, epoch){further}, got "
        if not callable(function):
            raise RequestError(f"{wrong}{function!r}")
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # of some builtins: its first call will tell
            return
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        takes_two = len(positional) >= 2 or any(p.kind is p.VAR_POSITIONAL for p in parameters)
        extra = [p for p in named if p not in positional[:2]]
        unknown = [p.name for p in extra if p.default is p.empty and p.name not in offered]
        if not takes_two or unknown:
            told = ", ".join(p.name for p in parameters)
            raise RequestError(f"{wrong}one of ({told}){_place(function)}")
        self.wanted = tuple(p.name for p in extra if p.name in offered)

    def __call__(self, network: Any, epoch: int, **offered: Any) -> dict[str, bool | int | float | str]:
        """What the user measures at one moment; nothing where there is no measurement.

        Raises
        ------
        ValueError
            If the function raises, or returns something else than plain values by the same names each time.
        """
        function = self.function
        if function is None:
            return {}
        try:
            found = function(network, epoch, **{name: offered[name] for name in self.wanted})
        except Exception as error:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
            where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
            told = " ".join(str(error).split())
            raise RequestError(f"measure raised {type(error).__name__} at epoch {epoch}: {told}{where}") from error
        place = _place(function)
        if not isinstance(found, Mapping):
            raise RequestError(f"measure must return a mapping of names to values, got {type(found).__name__}{place}")
        values: dict[str, bool | int | float | str] = {}
        for name, value in found.items():
            plain = value.item() if isinstance(value, np.generic) else value
            if not isinstance(name, str) or not isinstance(plain, bool | int | float | str):
                kind = type(value).__name__
                raise RequestError(f"measure must return plain values by name, got {kind} for {name!r}{place}")
            if name in self.columns:
                raise RequestError(f"measure must not return a column of the engine's, got {name!r}{place}")
            values[name] = plain
        if self.names is None:
            self.names = tuple(values)
        if set(values) != set(self.names):
            got = f"{', '.join(values) or 'none'} at epoch {epoch} after {', '.join(self.names) or 'none'}"
            raise RequestError(f"measure must return the same names at every moment, got {got}{place}")
        return values


def _place(function: Any) -> str:
    """Where a function stands, for a message."""
    code = getattr(function, "__code__", None)
    return f" ({os.path.basename(code.co_filename)}:{code.co_firstlineno})" if code else ""


def log_spaced(epochs: int, points: int = 60) -> NDArray[np.int64]:
    """Epochs to record at: 0, 1 and about ``points`` more, evenly spaced in the logarithm, ending at ``epochs``.

    Parameters
    ----------
    epochs : int
        Last epoch, >= 0.
    points : int
        How many points are aimed at, >= 1 (fewer come out where they would repeat).
    """
    epochs = checks.integer("epochs", epochs, at_least=0)
    points = checks.integer("points", points, at_least=1)
    grid = np.geomspace(1, max(epochs, 1), points).round().astype(np.int64)
    return np.unique(np.concatenate([[0], grid[grid <= epochs], [epochs]]))


def record_epochs(record: Sequence[int] | NDArray[np.int64] | None, epochs: int) -> NDArray[np.int64]:
    """The epochs a run records at, the last one always among them; an empty sequence is for no record at all."""
    if record is None:
        return log_spaced(epochs)
    if np.ndim(record) != 1:
        raise RequestError(f"record must be a sequence of epochs, got {record!r}")
    if not len(record):
        return np.zeros(0, np.int64)
    wanted = [checks.integer("record", epoch, at_least=0, at_most=epochs) for epoch in record]
    return np.unique([*wanted, epochs]).astype(np.int64)
