"""What is recorded of a run on the population: losses, errors, sizes, and the means that Theorem 13 speaks of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from learnability.networks.parity import ParityNet
from learnability.training.population.gradients import Slope, activations
from learnability.training.record import Measure

__all__ = ["COLUMNS", "Example", "Monitor", "copied"]

COLUMNS = (
    "step",
    "test_loss",
    "test_loss_1",
    "test_loss_2",
    "test_error",
    "test_error_1",
    "test_error_2",
    "output_max",
    "output_norm",
    "hidden_moved",
    "bias_moved",
    "mean_objective",
    "mean_slope",
    "mean_square_slope",
    "mean_comparator",
)

_CHUNK = 4096
"""Examples judged at a time."""

_ROUNDING = 1e-13
"""Outputs below this part of the sum of their terms' sizes are 0."""

Array = NDArray[Any]
Example = tuple[Array, Array, Array]
"""Inputs, labels and weights that sum to 1."""


class Monitor:
    """Collects the rows of the record and the sums that Theorem 13's means are made of."""

    def __init__(self, share: float, measure: Measure) -> None:
        self.share, self.measure = share, measure
        self.parts: tuple[Example, Example] | tuple[()] = ()
        self.first: ParityNet | None = None
        self.sums = np.zeros(4)
        self.iterates = 0
        self.rows: list[dict[str, Any]] = []
        self.tried: dict[int, dict[str, Any]] = {}

    @property
    def last(self) -> int:
        """The step recorded last."""
        return int(self.rows[-1]["step"]) if self.rows else -1

    def try_out(self, step: int, params: ParityNet) -> None:
        """The user's measurement at the start, before any work."""
        self.tried = {step: self._measured(step, params)}

    def _measured(self, step: int, params: ParityNet) -> dict[str, Any]:
        return {} if self.measure.function is None else self.measure(copied(params), step, updates=step)

    def add(self, slope: Slope, by_u: Array, decay: float, u: Array, rival: Array | None) -> None:
        """One iterate's objective, the gradient by u with its regulariser, and the comparator's objective."""
        square = float(by_u @ by_u)
        other = np.nan if rival is None else slope.other + decay * float(rival @ rival)
        self.sums += (slope.loss + decay * float(u @ u), np.sqrt(square), square, other)
        self.iterates += 1

    def record(self, step: int, params: ParityNet) -> None:
        """A row."""
        net = ParityNet(*(np.asarray(part, dtype=np.float64) for part in params))
        (loss_1, error_1), (loss_2, error_2) = (_loss_and_error(net, part) for part in self.parts)
        moved = (np.nan, np.nan)
        if self.first is not None:
            moved = (
                float(np.sqrt(((net.W - self.first.W) ** 2).sum(axis=1).max())),
                float(np.abs(net.b - self.first.b).max()),
            )
        means = self.sums / self.iterates if self.iterates else np.full(4, np.nan)
        sizes = (float(np.abs(net.u).max()), float(np.sqrt(net.u @ net.u)))
        loss, error = (
            (1 - self.share) * one + self.share * two for one, two in ((loss_1, loss_2), (error_1, error_2))
        )
        values = (step, loss, loss_1, loss_2, error, error_1, error_2, *sizes, *moved, *means)
        own = self.tried[step] if step in self.tried else self._measured(step, params)
        self.rows.append({**dict(zip(COLUMNS, values, strict=True)), **own})

    def columns(self) -> dict[str, Array]:
        """The rows, by column."""
        names = (*COLUMNS, *(self.measure.names or ()))
        columns = {name: np.array([row[name] for row in self.rows]) for name in names}
        columns["step"] = columns["step"].astype(np.int64)
        return columns


def _loss_and_error(net: ParityNet, part: Example) -> tuple[float, float]:
    """Hinge loss and 0-1 error under one part's weights, by blocks of inputs.

    An output of 0 is an error. From the safe start the terms of the output cancel, but for rounding; so what is no
    larger than that counts as 0.
    """
    X, y, mass = part
    loss = error = 0.0
    for start in range(0, len(y), _CHUNK):
        block = slice(start, start + _CHUNK)
        H = activations(net, X[block])
        margins = y[block] * (H @ net.u)
        loss += float(mass[block] @ np.maximum(1 - margins, 0))
        error += float(mass[block] @ (margins <= _ROUNDING * (H @ np.abs(net.u))))
    return loss, error


def copied(net: ParityNet, dtype: DTypeLike | None = None) -> ParityNet:
    """A copy, in its own type or another."""
    return ParityNet(*(np.array(part, dtype=dtype) for part in net))
