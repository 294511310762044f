"""Labelled points seen as the p_k = y_k v_k, scaled, without a second copy of the whole set."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray

__all__ = ["EPSILON", "IntArray", "Points", "contradiction"]

IntArray = NDArray[np.intp]

EPSILON = float(np.finfo(np.float64).eps)
_BLOCK = 2**21
"""Entries in a block of rows: 16 MiB."""


class Points:
    """The points p_k = y_k v_k / unit of a set that stays where it is.

    ``unit`` is a power of two, so no digit changes; it brings the largest norm of the p_k into [1/2, 1)
    (unless all are 0).

    Attributes
    ----------
    m, d : int
        Number of points and of coordinates.
    unit : float
    norms : array (m,)
        |p_k|.
    """

    def __init__(self, V: FloatArray, y: FloatArray) -> None:
        """``V`` (m, d), finite; ``y`` (m,) in {-1, +1}."""
        self.m, self.d = V.shape
        self._V, self._y = V, y
        self.unit = math.ldexp(1.0, math.frexp(max(float(V.max()), -float(V.min())))[1])
        self.norms = np.concatenate([np.linalg.norm(rows, axis=1) for _, rows in self.blocks()])
        power = math.ldexp(1.0, math.frexp(float(self.norms.max()))[1])
        self.unit *= power
        self.norms /= power

    def rows(self, index: IntArray | slice) -> FloatArray:
        """The points of the given indices, one a row: a copy."""
        rows: FloatArray = self._V[index] / self.unit
        rows *= self._y[index, None]
        return rows

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """All points, a block of rows at a time, each with its place."""
        size = max(1, _BLOCK // self.d)
        for lo in range(0, self.m, size):
            part = slice(lo, lo + size)
            yield part, self.rows(part)

    def same_label(self, i: int, j: int) -> bool:
        """Whether two points have the same label."""
        return bool(self._y[i] == self._y[j])

    def products(self, w: FloatArray) -> FloatArray:
        """The products w . p_k, (m,)."""
        products: FloatArray = self._V @ (w / self.unit)
        products *= self._y
        return products

    def mean(self) -> FloatArray:
        """The mean of the points, (d,)."""
        mean: FloatArray = (self._y / self.unit / self.m) @ self._V
        return mean

    def distance(self, multipliers: FloatArray) -> float:
        """|sum_k multipliers_k p_k|, for (m,) multipliers of which most may be 0."""
        index = np.flatnonzero(multipliers)
        return float(np.linalg.norm(multipliers[index] @ self.rows(index)))

    def achieved(self, w: FloatArray) -> float:
        """The margin min_k w . p_k / |w|, or 0 where a product's sign is within rounding."""
        norm = float(np.linalg.norm(w))
        if norm == 0.0:
            return 0.0
        least, size = np.inf, np.abs(w)
        for _, rows in self.blocks():
            products = rows @ w
            least = min(least, float(products.min()))
            if least <= 0 or (products <= (self.d + 2) * EPSILON * (np.abs(rows) @ size)).any():
                return 0.0
        return least / norm


def contradiction(points: Points) -> FloatArray | None:
    """Multipliers (m,) of the shortest certificates there are, or ``None``.

    A zero point is on every hyperplane. Two points that coincide with opposite labels have p_i = -p_j, and so have
    opposite points with the same label: no hyperplane through the origin has both on its right sides. The first
    zero point comes first, then the first pair of the former kind, then of the latter.
    """
    zero = np.flatnonzero(points.norms == 0.0)
    if zero.size:
        return _weights(points.m, int(zero[0]))
    seen: dict[int, list[int]] = {}
    opposite: tuple[int, int] | None = None
    for part, rows in points.blocks():
        rows += 0.0  # -0.0 becomes 0.0: equal numbers, equal bytes
        negated = 0.0 - rows
        for i, (row, mirror) in enumerate(zip(rows, negated, strict=True), part.start):
            for j in seen.get(hash(mirror.tobytes()), ()):
                if np.array_equal(points.rows(slice(j, j + 1))[0], mirror):
                    if points.same_label(i, j):
                        opposite = opposite or (j, i)
                    else:
                        return _weights(points.m, j, i)
            seen.setdefault(hash(row.tobytes()), []).append(i)
    return _weights(points.m, *opposite) if opposite else None


def _weights(m: int, *support: int) -> FloatArray:
    weights = np.zeros(m)
    weights[list(support)] = 1.0 / len(support)
    return weights
