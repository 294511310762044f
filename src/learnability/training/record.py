"""What every training run leaves behind: plain columns at recorded epochs, the final network, and an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability import checks

__all__ = ["MinibatchRun", "Outcome", "Record", "log_spaced", "record_epochs"]


class Outcome(StrEnum):
    """How a run ended."""

    CONVERGED = "converged"
    """A whole epoch made no update: nothing can change any more."""
    BUDGET_REACHED = "budget_reached"
    """The last epoch asked for was run, and it still made updates."""
    DIVERGED = "diverged"
    """An output or a weight stopped being finite; what was recorded before that stands."""


@dataclass(frozen=True)
class Record:
    """What every training run records: columns with one entry per recorded epoch, and how it ended."""

    columns: dict[str, NDArray[Any]]
    outcome: Outcome
    epochs: int
    updates: int

    def rows(self) -> list[dict[str, float]]:
        """The columns as one plain mapping per recorded epoch."""
        return [{name: self.columns[name][i].item() for name in self.columns} for i in range(len(self))]

    def __len__(self) -> int:
        return len(self.columns["epoch"])

    def final(self, name: str) -> float:
        """The last recorded value of a column."""
        return float(self.columns[name][-1])


@dataclass(frozen=True)
class MinibatchRun(Record):
    """Record of one run of mini-batches, of :func:`learnability.training.minibatch.train` or ``residual.train``.

    Parameters
    ----------
    columns : dict of str to (r,) arrays
        One entry per recorded epoch: ``epoch`` (0 is the start); ``loss`` and ``error``, the means over the epoch's
        examples as their batches came, each before its step (NaN at epoch 0); ``<name>_loss`` and ``<name>_error``
        of what is watched, after the epoch; ``norm`` of the trained parameters, all together. An error is an output
        with y f <= 0 (or NaN), counted over examples and outputs: it means something for labels -1 and +1.
    outcome : Outcome
        ``converged`` if an epoch over a sample that repeats had loss 0 throughout and its last step changed nothing;
        ``diverged`` if a loss or a weight stopped being finite (nothing is recorded from that epoch on).
    epochs : int
        Epochs run.
    updates : int
        Steps taken.
    params : NamedTuple or dict
        The final parameters in NumPy arrays (of a run that diverged: whatever they were).
    learning_rate, weight_decay : float
        Of this run.
    """

    params: Any
    learning_rate: float
    weight_decay: float


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
    """The epochs a run stops at to record, the last one always among them."""
    if record is None:
        return log_spaced(epochs)
    if np.ndim(record) != 1:
        raise ValueError(f"record must be a sequence of epochs, got {record!r}")
    wanted = [checks.integer("record", epoch, at_least=0, at_most=epochs) for epoch in record]
    return np.unique([*wanted, epochs]).astype(np.int64)
