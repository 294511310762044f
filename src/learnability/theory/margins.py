"""The hard margin of a finite set of labelled points, with a certificate from both sides.

Nachum & Yehudayoff, Section 2.2: for w of norm one, marg(w, Y) = min_k y_k w . v_k, and marg(Y) = sup_w
marg(w, Y). The hyperplane goes through the origin; :func:`lift` appends the coordinate 1 of the affine case
(their footnote 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray

__all__ = ["HardMargin", "hard_margin", "lift", "margin_of", "normalised"]

MAX_SOLVES = 8
"""Attempts at scaling the least-distance problem before the remaining gap is accepted and reported."""

VANISHED = 1e-14
"""Relative to the largest point: a convex combination this short is zero to rounding."""


@dataclass(frozen=True, eq=False)
class HardMargin:
    """The margin of a labelled point set, between two bounds that anyone can recompute.

    The largest margin and the distance of the origin from the convex hull of the points y_k v_k are equal
    (strong duality). ``w`` certifies the first from below and ``multipliers`` the second from above:

        margin = min_k y_k w . v_k / |w|  <=  marg(Y)  <=  |sum_k multipliers_k y_k v_k| = upper.

    If the points are not separable, ``margin`` is 0 and ``upper`` is 0 to rounding: the multipliers are then
    a certificate of Farkas' kind, a convex combination of the y_k v_k that vanishes.
    """

    margin: float
    """What ``w`` achieves, > 0 if the points are separable beyond rounding; else 0."""
    upper: float
    """No hyperplane has a larger margin than this."""
    w: FloatArray
    """(d,), scaled so that min_k y_k w . v_k = 1 (then |w| = 1 / margin); zero if not separable."""
    multipliers: FloatArray
    """(m,), >= 0 with sum 1; positive on the support vectors only."""

    @property
    def separable(self) -> bool:
        """Whether ``w`` separates the points, rounding taken into account."""
        return self.margin > 0

    @property
    def gap(self) -> float:
        """The duality gap ``upper - margin``: the margin is known to within it."""
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
    largest = float(np.abs(array).max(initial=0.0))
    if largest == 0.0:
        return array, 1.0
    if not 1e-250 <= largest <= 1e250:
        raise ValueError(f"{name} must have its largest entry between 1e-250 and 1e250 in size, got {largest:g}")
    unit = math.ldexp(1.0, math.frexp(largest)[1])
    return array / unit, unit


def hard_margin(V: ArrayLike, y: ArrayLike, *, tolerance: float = 1e-9) -> HardMargin:
    """The largest margin of a hyperplane through the origin.

    Solves min |w| subject to y_k w . v_k >= 1 as a least-distance problem by non-negative least squares
    (Lawson & Hanson, chapter 23): with E = [(y V)^T; s 1^T] and f = (0, ..., 0, 1), u = argmin_{u >= 0} |E u
    - f| has residual r, and w = -r[:-1] / (s r[-1]). The support found is then solved again by itself as a
    system of equations, which removes the loss of digits that E shares with its conditioning, and s is moved
    to 1 / |w| until the two bounds meet.

    Parameters
    ----------
    V : array (m, d)
        Points (lifted by the caller if an affine hyperplane is meant).
    y : array (m,)
        Labels in {-1, +1}.
    tolerance : float
        Relative duality gap at which to stop, > 0. Not reaching it is no error: the gap is in the result.

    Returns
    -------
    HardMargin
        Relative gaps: about 1e-13 for the symmetry embeddings at n = 12 and 1e-10 at n = 240. Points that
        separate only within rounding count as not separable.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, the largest entry of ``V`` is not between 1e-250 and 1e250
        in size (unless all are 0) or a label is not -1 or +1.
    RuntimeError
        If non-negative least squares does not end within 200 (m + 1) steps.
    """
    V = checks.matrix("V", V)
    y = checks.labels("y", y, length=len(V))
    tolerance = checks.real("tolerance", tolerance, above=0.0)
    V, unit = normalised("V", V)
    m, d = V.shape
    signed = y[:, None] * V
    scale = float(np.linalg.norm(signed, axis=1).max())
    if scale == 0.0:  # every point is the origin
        return HardMargin(0.0, 0.0, np.zeros(d), np.full(m, 1.0 / m))
    signed = signed / scale
    if d <= m:
        w, multipliers = _solve(signed, tolerance)
    else:  # the optimum lies in the span of the points
        basis, triangle = np.linalg.qr(signed.T)
        w, multipliers = _solve(triangle.T, tolerance)
        w = basis @ w
    margin = _achieved(signed, w)
    upper = max(_distance(signed, multipliers), margin)  # equal at best: no negative gap from rounding
    w = w / (signed @ w).min() / (scale * unit) if margin > 0 else np.zeros(d)
    return HardMargin(margin * scale * unit, upper * scale * unit, w, multipliers)


def _solve(signed: FloatArray, tolerance: float) -> tuple[FloatArray, FloatArray]:
    """Best w and convex multipliers found for points of norm at most 1 that carry their sign."""
    from scipy.optimize import nnls

    m, d = signed.shape
    margin, w = 0.0, np.zeros(d)
    multipliers = np.full(m, 1.0 / m)
    s = upper = _distance(signed, multipliers)
    target = np.append(np.zeros(d), 1.0)
    # Often every point supports (parity does): then one linear system is the whole answer.
    candidates = [_on_support(signed, np.arange(m))] if m <= d else []
    for _ in range(MAX_SOLVES):
        for v, weights in candidates:
            achieved = _achieved(signed, v)
            if achieved > margin:
                margin, w = achieved, v
            if weights.sum() > 0:
                convex = weights / weights.sum()
                if _distance(signed, convex) < upper:
                    upper, multipliers = _distance(signed, convex), convex
        if upper - margin <= tolerance * upper or upper <= VANISHED:
            break
        u, _ = nnls(np.vstack([signed.T, np.full(m, s)]), target, maxiter=200 * (m + 1))
        if not u.any():
            break
        candidates = [(signed.T @ u, u), _on_support(signed, np.flatnonzero(u))]
        s = margin if margin > 0.0 else s / 100
    return w, multipliers


def _distance(signed: FloatArray, convex: FloatArray) -> float:
    """How far a convex combination of the points lies from the origin."""
    return float(np.linalg.norm(signed.T @ convex))


def _on_support(signed: FloatArray, support: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    """The least w with signed w = 1 on the support, and its (clipped) multipliers on all points."""
    weights = np.zeros(len(signed))
    rows: FloatArray = signed[support]
    w = np.asarray(np.linalg.lstsq(rows, np.ones(len(support)))[0], dtype=np.float64)
    weights[support] = np.maximum(np.linalg.lstsq(rows.T, w)[0], 0.0)
    return w, weights


def _achieved(signed: FloatArray, w: FloatArray) -> float:
    """The margin of w, or 0 where its sign is within the rounding of the products."""
    norm = float(np.linalg.norm(w))
    products = signed @ w
    rounding = (signed.shape[1] + 2) * np.finfo(np.float64).eps * (np.abs(signed) @ np.abs(w))
    return float(products.min()) / norm if norm > 0 and (products > rounding).all() else 0.0
