"""Real inputs in a cube: what bounds stand for its two sides, and the affine map that takes them there.

The theory of symmetric functions and parities is about bits. Inputs that are bits already, {0, 1} or {-1, +1} in
every column, are mapped to the cube's vertices exactly; others by the ends of their columns in the sample to where
they lie between, and beyond the cube where they are outside of the sample's range.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError

__all__ = ["Ranges", "ranges_of"]

LARGEST = 1e100
"""Entries beyond this size are refused: sums of them may leave float64."""


class Ranges(NamedTuple):
    """What stands for the two sides of each coordinate."""

    low: FloatArray
    """(n,)"""
    high: FloatArray
    """(n,), above ``low``, or equal to it where the sample did not vary."""

    def __call__(self, X: FloatArray, sides: tuple[float, float]) -> FloatArray:
        """Inputs X (m, n) with ``low`` taken to the first side and ``high`` to the second.

        A coordinate that did not vary goes to the first side, and moves as if it had a width of 1.
        """
        first, second = sides
        width = np.where(self.high > self.low, self.high - self.low, 1.0)
        mapped: FloatArray = X - self.low
        mapped /= width
        mapped *= second - first
        mapped += first
        if not np.abs(mapped).max(initial=0.0) <= LARGEST:
            raise RequestError(f"X must lie within {LARGEST:g} times the range of the sample that was fitted")
        return mapped


def ranges_of(X: FloatArray, bounds: Any) -> Ranges:
    """The ranges of a sample (m, n).

    Parameters
    ----------
    X : array (m, n)
    bounds : pair of float or of arrays (n,), or None
        Low and high. None: (0, 1) where every entry is 0 or 1, (-1, 1) where every entry is -1 or 1, and else the
        ends of each column.
    """
    n = X.shape[1]
    if bounds is not None:
        if not isinstance(bounds, tuple | list) or len(bounds) != 2:
            raise RequestError(f"bounds must be a pair (low, high), got {bounds!r}")
        low, high = (np.broadcast_to(checks.array("bounds", side), n).copy() for side in _sized(bounds, n))
        if not (low < high).all():
            raise RequestError(f"bounds must have low < high, got {bounds!r}")
        return Ranges(low, high)
    for side in (0.0, -1.0):
        if np.isin(X, (side, 1.0)).all():
            return Ranges(np.full(n, side), np.ones(n))
    largest = float(max(X.max(), -X.min()))
    if largest > LARGEST:
        raise RequestError(f"X must have entries of size <= {LARGEST:g}, got {largest:g}")
    return Ranges(X.min(axis=0), X.max(axis=0))


def _sized(bounds: Any, n: int) -> Any:
    for side in bounds:
        if np.shape(side) not in ((), (1,), (n,)):
            raise RequestError(f"bounds must be numbers or have a number for each of {n} columns, got {side!r}")
    return bounds
