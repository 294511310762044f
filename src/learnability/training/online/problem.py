"""What the forms of the online engine share: the checked arguments, and what an engine is asked.

Behind the door of :func:`learnability.training.online.train`: arguments are checked there.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.networks.one_hidden import OneHidden, activate
from learnability.training import drive
from learnability.training.online.deviation import Deviation, Points, lattice_bits

__all__ = [
    "GRAM_POINTS",
    "MOST_UPDATES",
    "TRACKED",
    "Engine",
    "Problem",
    "Test",
    "block",
    "error_of",
    "lattice_of",
    "outputs_of",
    "sizes_of",
]

Array = NDArray[np.float64]
GRAM_POINTS = 2_900  # largest Gram matrix: 64 MiB
TRACKED = 512  # examples whose embedding is compared with its start
MOST_UPDATES = 2**26  # that sums on a lattice have room for
_LARGE = 1e60  # products of so large numbers stay finite

Test = tuple[Points, Array] | None


class Problem:
    """The checked arguments, in the forms that the engines share."""

    def __init__(
        self,
        params: OneHidden,
        X: Array,
        y: Array,
        h: Fraction,
        beta: Fraction,
        batch: int,
        divisor: int,
        layers: str,
        activation: str,
        before: Deviation | None = None,
    ) -> None:
        self.params, self.X, self.y = params, X, y
        self.before = before
        self.rational = h / divisor, beta
        self.unit = float(h / divisor)
        self.beta = float(beta)
        threshold = beta / h * divisor
        self.threshold = float(threshold)
        self.residue = float(threshold - Fraction(self.threshold))
        self.batch, self.both, self.activation = batch, layers == "both", activation
        n = X.shape[1]
        self.bits = lattice_bits(X)
        large = _LARGE / (max(1.0, float(X.max()), -float(X.min())) * (n + 1) * len(params.B))
        start = max(float(np.abs(part).max()) for part in params)
        self.large = large if self.unit < 1e10 and start < large else 0.0

    def classes(self) -> tuple[Array, NDArray[np.int32]] | None:
        """Inputs that stand for all that the start cannot tell apart, and each example's class; None if too many."""
        X, W = self.X, self.params.W
        by_sum = bool((W[:, :1] == W).all())  # the start sees the sum of an input only
        if by_sum and self.bits is not None:
            _, first, cls = np.unique(X.sum(axis=1), return_index=True, return_inverse=True)
        elif by_sum or len(X) <= GRAM_POINTS:
            # sums that round: only the same entries are certain to have the same
            _, first, cls = np.unique(
                np.sort(X, axis=1) if by_sum else X, axis=0, return_index=True, return_inverse=True
            )
            if by_sum:
                order = np.argsort(X[first].sum(axis=1), kind="stable")
                first, cls = first[order], np.argsort(order)[cls.reshape(-1)]
        else:
            return None
        if len(first) > GRAM_POINTS:
            return None
        return X[first], cls.reshape(-1).astype(np.int32)

    def sparse_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int32], Array]:
        """Non-zero entries of each lifted input (x, 1): indptr, columns, values."""
        m, n = self.X.shape
        entries = np.ones((m, n + 1), dtype=bool)
        np.not_equal(self.X, 0, out=entries[:, :n])
        columns = np.nonzero(entries)[1].astype(np.int32)
        values = np.ones(len(columns))
        values[columns < n] = self.X[entries[:, :n]]
        indptr = np.concatenate([[0], np.cumsum(entries.sum(axis=1))])
        return indptr.astype(np.int64), columns, values

    def summary(
        self, outputs: Array, unit: float, norm: float, movement: float, test_error: float
    ) -> dict[str, float]:
        """The recorded columns, from outputs and norm in the given unit."""
        signed, m = self.y * outputs, len(self.y)
        return {
            "train_error": np.count_nonzero(signed <= 0) / m,
            "test_error": test_error,
            "train_loss": float(unit * (np.maximum(self.beta / unit - signed, 0).sum() / m)),
            "margin": float(signed.min() / norm) if norm > 0 else float("nan"),
            "movement": movement,
            "norm": unit * norm,
        }


class Engine(drive.Engine[Test]):
    """A network in training, in whatever form."""

    problem: Problem

    @property
    def doubtful(self) -> bool:
        """Whether the start is so large."""
        return self.problem.large == 0.0

    @property
    def until(self) -> int:
        """There is one way to compute."""
        return drive.NEVER

    @property
    def ties(self) -> tuple[int, int]:
        """Exact ties so far, and decisions that float64 left unresolved."""
        return 0, 0

    def decide(self, epoch: int) -> None:
        """There is one way to compute."""

    def settled(self) -> bool:
        """Each example is visited in every epoch."""
        return True

    def worked(self) -> float:
        """Not counted: the rows asked for by default are all recorded."""
        return 0.0

    def measuring(self, test: Test) -> float:
        """Not counted."""
        return 0.0

    def finite(self) -> bool:
        """Whether all that is measured is finite."""
        row = self.measure(None)
        return bool(np.isfinite([row["train_loss"], row["movement"], row["norm"]]).all())

    def final(self) -> tuple[OneHidden, Deviation | None]:
        """The network now, plainly and (where kept) as deviations from its start."""
        raise NotImplementedError

    def shown(self) -> tuple[OneHidden, dict[str, Any]]:
        """The same, copied."""
        network, deviation = deepcopy(self.final())
        return network, {"deviation": deviation}

    def take(self, arrays: Mapping[str, Array]) -> None:
        """Go on from what ``keep`` gave."""
        for name, now in self.keep().items():
            now[...] = arrays[name]


def sizes_of(params: OneHidden, points: Array) -> Array:
    """Sums of the sizes of what each pre-activation adds up."""
    found: Array = np.abs(points) @ np.abs(params.W).T + np.abs(params.B)
    return found


def lattice_of(problem: Problem, of_points: Array) -> int | None:
    """The power of 1/2 in whose multiples pre-activations of these sizes come, if a run's sums of products of two of
    them are exact; else None.
    """
    of_weights = lattice_bits(problem.params.W, problem.params.B)
    if problem.bits is None or of_weights is None:
        return None
    bits = problem.bits + of_weights
    return bits if 4.0**bits * (1 + (of_points.max(axis=0) ** 2).sum()) < 2.0**53 / MOST_UPDATES else None


def block(network: OneHidden) -> int:
    """Inputs whose activations stay in the cache."""
    return max(1, 12_000 // len(network.B))


def outputs_of(network: OneHidden, X: Array, activation: str) -> Array:
    """Outputs, a cache-sized block of inputs at a time."""
    W, B, M, b = network
    size = block(network)
    blocks = (activate(X[lo : lo + size] @ W.T + B, activation) @ M for lo in range(0, len(X), size))
    found: Array = np.concatenate(list(blocks)) + b
    return found


def error_of(network: OneHidden, X: Array, y: Array, activation: str) -> float:
    """0-1 error; output 0 is an error."""
    return float(np.mean(y * outputs_of(network, X, activation) <= 0))
