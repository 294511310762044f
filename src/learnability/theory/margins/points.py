"""Labelled points seen as the p_k = y_k v_k, scaled, without a second copy of the whole set."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.theory.margins.directed import dots, length, outward

__all__ = ["EPSILON", "IntArray", "Points", "contradictions"]

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
    block_size : int
        How many rows to look at in one go.
    unit : float
    norms : array (m,)
        |p_k|.
    """

    def __init__(self, V: FloatArray, y: FloatArray) -> None:
        """``V`` (m, d), finite; ``y`` (m,) in {-1, +1}."""
        self.m, self.d = V.shape
        self.block_size = max(1, _BLOCK // self.d)
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
        for lo in range(0, self.m, self.block_size):
            part = slice(lo, lo + self.block_size)
            yield part, self.rows(part)

    def positive(self, k: int) -> bool:
        """Whether the label of a point is +1."""
        return bool(self._y[k] > 0)

    def mirror(self, i: int, j: int) -> bool:
        """Whether p_i = -p_j."""
        return bool((self._y[i] * self._V[i] == -self._y[j] * self._V[j]).all())

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

    def at_most(self, multipliers: FloatArray) -> float:
        """No margin is larger: |sum_k multipliers_k p_k| over the multipliers' sum, rounded up."""
        index = np.flatnonzero(multipliers)
        combined = length(dots(self.rows(index).T, multipliers[index]))
        return outward(outward(combined, 1) / math.fsum(multipliers[index]), 1)

    def at_least(self, w: FloatArray, allowed: NDArray[np.bool_] | None = None) -> float:
        """The margin of w on the allowed points, rounded down; only products that may be the least are made anew."""
        products, room = self._rounded(w)
        if allowed is not None:
            products[~allowed] = np.inf
        nearest = np.flatnonzero(products - room <= (products + room).min())
        size = max(1, self.block_size // 16)
        least = min(float(dots(self.rows(nearest[lo : lo + size]), w).min()) for lo in range(0, len(nearest), size))
        return outward(outward(max(least, 0.0), -1) / outward(length(w), 1), -1)

    def served(self, w: FloatArray) -> tuple[NDArray[np.bool_], FloatArray]:
        """For each point: is w . p_k > 0 beyond the rounding of the product; and the product, both (m,)."""
        products, room = self._rounded(w)
        return products > room, products

    def _rounded(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The products w . p_k, and more than their roundings can amount to, both (m,)."""
        size = (self.d + 2) * EPSILON * np.abs(w)
        products, room = np.empty(self.m), np.empty(self.m)
        for part, rows in self.blocks():
            products[part] = rows @ w
            room[part] = np.abs(rows) @ size
        return products, room

    def achieved(self, w: FloatArray, allowed: NDArray[np.bool_] | None = None) -> float:
        """The margin min_k w . p_k / |w| over the allowed points, or 0 where a product's sign is within rounding."""
        beyond, products = self.served(w)
        if allowed is not None:
            beyond, products = beyond[allowed], products[allowed]
        return float(products.min()) / float(np.linalg.norm(w)) if beyond.all() else 0.0


def contradictions(points: Points) -> Iterator[tuple[int, ...]]:
    """The shortest certificates that the points are not separable, no two with a point in common.

    A zero point lies on every hyperplane. Two points that coincide with opposite labels have p_i = -p_j, and so have
    opposite points with the same label: no hyperplane through the origin has both on their right sides. All zero
    points come first, then as many pairs of the former kind as can be had, then of the latter.
    """
    for zero in np.flatnonzero(points.norms == 0.0):
        yield (int(zero),)
    paired = points.norms == 0.0
    suspects = _alike(points)
    own, mirrored = {}, {}
    for i in suspects.tolist():
        row = points.rows(np.array([i]))[0] + 0.0  # -0.0 becomes 0.0: equal numbers, equal bytes
        own[i], mirrored[i] = hash(row.tobytes()), hash((0.0 - row).tobytes())
    for same in (False, True):
        waiting: dict[tuple[int, bool], list[int]] = {}
        for i in suspects[~paired[suspects]].tolist():
            label = points.positive(i)
            candidates = waiting.get((mirrored[i], label == same), [])
            match = next((n for n, j in enumerate(candidates) if points.mirror(i, j)), None)
            if match is None:
                waiting.setdefault((own[i], label), []).append(i)
            else:
                j = candidates.pop(match)
                paired[[i, j]] = True
                yield (j, i)


def _alike(points: Points) -> IntArray:
    """The points, increasing, that may coincide with another up to signs: all that do, and few others."""
    factors = np.random.default_rng(0).integers(0, 2**64, points.d, dtype=np.uint64) | np.uint64(1)
    keys = np.empty(points.m, np.uint64)
    for part, rows in points.blocks():
        bits = rows.view(np.uint64)
        bits <<= np.uint64(1)  # without the sign
        bits *= factors
        keys[part] = bits.sum(axis=1, dtype=np.uint64)
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    return np.sort(order[np.append(same, False) | np.append(False, same)])
