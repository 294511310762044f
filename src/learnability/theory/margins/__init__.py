"""The hard margin of a finite set of labelled points, with a certificate from both sides.

Nachum & Yehudayoff, Section 2.2: for w of norm one, marg(w, Y) = min_k y_k w . v_k, and marg(Y) = sup_w
marg(w, Y). The hyperplane goes through the origin; :func:`lift` appends the coordinate 1 of the affine case
(their footnote 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.theory.margins.active_set import Solver
from learnability.theory.margins.points import Points, contradictions

__all__ = ["HardMargin", "hard_margin", "lift", "margin_of", "normalised"]

_CLOSE = 1e-13
"""Relative gap from which on no second w is tried."""
MAX_STEPS = 50
"""Entries to and exits from the support, times min(m, d) + 100, before the remaining gap is accepted and reported."""


@dataclass(frozen=True, eq=False)
class HardMargin:
    """The margin of a labelled point set, between two bounds that anyone can recompute.

    The largest margin and the distance of the origin from the convex hull of the points y_k v_k are equal
    (strong duality). ``w`` certifies the first from below and ``multipliers`` the second from above:

        margin = min_k y_k w . v_k / |w|  <=  marg(Y)  <=  |sum_k multipliers_k y_k v_k| = upper.

    Both are those of ``w`` and ``multipliers`` as they are, in real numbers, ``margin`` rounded down and ``upper``
    up: the inequalities are proved, whatever was rounded before. If the points are not separable, ``margin`` is 0 and
    ``upper`` is 0 to rounding: the multipliers are then a certificate of Farkas' kind, a convex combination of the
    y_k v_k that vanishes.
    """

    margin: float
    """What ``w`` achieves, rounded down; > 0 if the points are separable beyond rounding, else 0."""
    upper: float
    """No hyperplane has a larger margin than this."""
    w: FloatArray
    """(d,), scaled so that min_k y_k w . v_k = 1 to rounding (then |w| = 1 / margin); zero if not separable."""
    multipliers: FloatArray
    """(m,), >= 0 with sum 1; positive on the support vectors only."""

    @property
    def separable(self) -> bool:
        """Whether ``w`` separates the points, rounding taken into account."""
        return self.margin > 0

    @property
    def gap(self) -> float:
        """The duality gap ``upper - margin``: the margin is known to within it. Large if the points are far from the
        origin beside their margin: then no ``w`` in float64 comes nearer.
        """
        return self.upper - self.margin


def lift(V: ArrayLike) -> FloatArray:
    """The points (v, 1): ``V`` (m, d) with a column of ones appended, (m, d+1)."""
    V = checks.matrix("V", V)
    return np.column_stack([V, np.ones(len(V))])


def margin_of(w: ArrayLike, V: ArrayLike, y: ArrayLike) -> float:
    """What w achieves, marg(w, Y) = min_k y_k w . v_k / |w|; minus infinity for w = 0.

    Shapes: ``w`` (d,), points ``V`` (m, d), labels ``y`` (m,).
    """
    V = checks.matrix("V", V)
    y = checks.labels("y", y, length=len(V))
    w = checks.vector("w", w, length=V.shape[1])
    w = np.ldexp(w, -math.frexp(float(np.abs(w).max()))[1])  # only its direction matters: no square overflows
    V, unit = normalised("V", V)
    norm = float(np.linalg.norm(w))
    return float((y * (V @ w)).min()) / norm * unit if norm > 0 else -np.inf


def normalised(name: str, array: FloatArray) -> tuple[FloatArray, float]:
    """The array over a power of two that brings its largest entry into [1/2, 1), and that power (1 if all is 0).

    So no square or product overflows or vanishes, and no digit changes.

    Raises
    ------
    ValueError
        If the largest entry lies outside [1e-250, 1e250]: the results, which go with it or its inverse, would
        leave float64's range.
    """
    unit = unit_of(name, array)
    return array / unit, unit


def unit_of(name: str, array: FloatArray) -> float:
    largest = max(float(array.max(initial=0.0)), -float(array.min(initial=0.0)))  # no copy, as |array| would be
    if largest == 0.0:
        return 1.0
    if not 1e-250 <= largest <= 1e250:
        raise RequestError(f"{name} must have its largest entry between 1e-250 and 1e250 in size, got {largest:g}")
    return math.ldexp(1.0, math.frexp(largest)[1])


def hard_margin(
    V: ArrayLike, y: ArrayLike, *, tolerance: float = 1e-9, advance: Callable[[str], None] | None = None
) -> HardMargin:
    """The largest margin of a hyperplane through the origin.

    Looks for a zero point and for pairs that contradict each other, then solves min |w| subject to y_k w . v_k >=
    1 by a dual active-set method (:mod:`learnability.theory.margins.active_set`) on a working set of points. What is
    returned does not rest on that: ``margin`` and ``upper`` are computed from ``w``, ``multipliers`` and all points.

    Parameters
    ----------
    V : array (m, d)
        Points (lifted by the caller if an affine hyperplane is meant). Not copied if float64: beside it, memory goes
        with d^2 and a few blocks of rows.
    y : array (m,)
        Labels in {-1, +1}.
    tolerance : float
        Relative duality gap that is good enough, > 0. Not reaching it is no error: the gap is in the result.
    advance : callable, optional
        Called now and then with how far the search has come, in words.

    Returns
    -------
    HardMargin
        Relative gaps: about 1e-13 for the symmetry embeddings at n = 12, 1e-10 at n = 240, and 1e-12 for
        60,000 random points in 784 dimensions. Points that separate only within rounding count as not separable; then
        the multipliers have a support of at most d + 1 points, the first zero point or the first contradicting
        pair if there is one.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, the largest entry of ``V`` is not between 1e-250 and 1e250
        in size (unless all are 0) or a label is not -1 or +1.
    """
    V = checks.matrix("V", V)
    y = checks.labels("y", y, length=len(V))
    tolerance = checks.real("tolerance", tolerance, above=0.0)
    unit_of("V", V)
    points = Points(V, y)
    shortest = next(contradictions(points), None)
    if shortest:
        weights = np.zeros(points.m)
        weights[list(shortest)] = 1 / len(shortest)
        return certified(points, np.zeros(points.d), weights)
    told = None if advance is None else lambda steps: advance(f"{steps:,} steps")
    solver = Solver(points, slack=min(tolerance, 1e-9) / 1000, advance=told)
    found = solver.run(MAX_STEPS * (min(V.shape) + 100))
    if found is not None:
        return certified(points, np.zeros(points.d), found)
    multipliers = solver.multipliers()
    result = certified(points, solver.support.w, multipliers)
    if result.gap <= _CLOSE * result.upper:
        return result
    return max(result, certified(points, solver.support.raised(), multipliers), key=lambda result: result.margin)


def certified(
    points: Points, w: FloatArray, multipliers: FloatArray, allowed: NDArray[np.bool_] | None = None
) -> HardMargin:
    """What a direction and convex multipliers prove about the points (or the allowed ones), wherever they came from.

    ``w`` (d,) and ``multipliers`` (m,), >= 0 with sum 1, are those of the scaled points; the result's are those of
    the points as given, its multipliers without the points that do not count.
    """
    counted = slice(None) if allowed is None else allowed
    margin = 0.0
    if points.achieved(w, allowed) > 0:
        w = w / points.products(w)[counted].min()  # rounded: it is this one that is judged
        margin = points.at_least(w, allowed)
    w = w / points.unit if margin > 0 else np.zeros(points.d)
    return HardMargin(margin * points.unit, points.at_most(multipliers) * points.unit, w, multipliers[counted])
