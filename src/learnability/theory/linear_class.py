r"""The best hinge loss of a linear classifier of bounded norm over given features, with a proved gap.

For features :math:`\psi_i \in R^N` with labels :math:`y_i` and probabilities :math:`p_i` this is

.. math::

    L(B) = \min_{\|w\| \le B} \sum_i p_i \max(0, 1 - y_i \langle w, \psi_i \rangle)
         = \max_{0 \le a \le p} \sum_i a_i - B \Big\| \sum_i a_i y_i \psi_i \Big\| ,

the quantity that Theorem 2 of Daniely & Malach bounds from below. Any w in the ball shows an upper bound, any a in
the box a lower one; :func:`best_hinge` returns both and how far they are apart: nobody has to trust the solver.

The solver is a primal-dual interior-point method with Mehrotra's predictor and corrector. With :math:`z_i = B y_i
\psi_i` and w scaled to the unit ball it keeps slacks :math:`\xi_i > 0` and :math:`s_i = \xi_i - 1 + \langle z_i, w
\rangle > 0`, multipliers :math:`a_i` and :math:`c_i = p_i - a_i`, and :math:`\mu` for the ball, and moves towards
:math:`a_i s_i = c_i \xi_i = t p_i`, :math:`\mu (1 - \|w\|^2) / 2 = t`, :math:`\mu w = \sum_i a_i z_i` as t goes to 0.
All but w is eliminated: a step solves one system of size N.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError

__all__ = ["BestHinge", "best_hinge", "hinge_loss", "hinge_lower"]

STEPS = 100
"""Most steps; a problem takes about 20."""
LARGEST = 1e100
"""What may be squared."""
NEGLIGIBLE = 1e-30
"""Points of smaller weights are kept from the solver, not from the value and the bound it is judged by."""
ROWS = 8192
"""Rows of the features that are weighted at a time."""


@dataclass(frozen=True, eq=False)
class BestHinge:
    """The best hinge loss, from both sides.

    Attributes
    ----------
    value : float
        The hinge loss of ``w``: at least the best one.
    lower : float
        The dual value of ``multipliers``: at most the best one; never below 0.
    w : array (N,)
        Of norm at most ``norm``.
    multipliers : array (m,)
        a, between 0 and p.
    norm : float
        B.
    steps : int
        Steps of the interior-point method.
    """

    value: float
    lower: float
    w: FloatArray
    multipliers: FloatArray
    norm: float
    steps: int

    @property
    def gap(self) -> float:
        """``value`` less ``lower``, never negative: the best loss is known to within this."""
        return max(0.0, self.value - self.lower)


def hinge_loss(features: ArrayLike, y: ArrayLike, p: ArrayLike, w: ArrayLike) -> float:
    """The primal value: sum of p_i max(0, 1 - y_i <w, psi_i>).

    Parameters
    ----------
    features : array (m, N)
    y : array (m,)
        Labels in {-1, +1}.
    p : array (m,)
        Weights, >= 0.
    w : array (N,)
    """
    features, y, p = _problem(features, y, p)
    w = checks.vector("w", w, length=features.shape[1])
    return float(p @ np.maximum(0.0, 1.0 - y * (features @ w)))


def hinge_lower(features: ArrayLike, y: ArrayLike, p: ArrayLike, norm: float, multipliers: ArrayLike) -> float:
    """The dual value: sum of a_i - B |sum a_i y_i psi_i|, a lower bound of the best hinge loss of norm at most B.

    Parameters
    ----------
    features, y, p
        As in :func:`hinge_loss`.
    norm : float
        B >= 0.
    multipliers : array (m,)
        a, with 0 <= a <= p; what sticks out of the box is cut off first.
    """
    features, y, p = _problem(features, y, p)
    norm = checks.real("norm", norm, at_least=0.0)
    a = np.clip(checks.vector("multipliers", multipliers, length=len(y)), 0.0, p)
    return float(a.sum() - norm * np.linalg.norm(features.T @ (a * y)))


def best_hinge(
    features: ArrayLike, y: ArrayLike, p: ArrayLike | None = None, *, norm: float, tolerance: float = 1e-7
) -> BestHinge:
    """The best hinge loss of a linear classifier of norm at most B, without an intercept.

    Parameters
    ----------
    features : array (m, N)
        A row for each point (or point and label) of positive weight. The work is O(m N^2) a step and the memory about
        two arrays of this shape.
    y : array (m,)
        Labels in {-1, +1}.
    p : array (m,), optional
        Weights, >= 0 with a positive sum; 1 / m each by default.
    norm : float
        B >= 0.
    tolerance : float
        Gap, relative to the sum of p, at which the method ends, > 0. Where rounding ends it first, ``gap`` says so.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite or out of its range, a label is not -1 or +1, or the norm times the
        largest feature is above 1e100.
    """
    features = checks.matrix("features", features)
    p = np.full(len(features), 1.0 / len(features)) if p is None else p
    features, y, p = _problem(features, y, p)
    norm, tolerance = checks.real("norm", norm, at_least=0.0), checks.real("tolerance", tolerance, above=0.0)
    total = float(p.sum())
    if not total > 0:
        raise RequestError("p must have a positive sum, got 0")
    if norm * float(np.abs(features).max()) > LARGEST:
        raise RequestError(f"norm times the largest feature must be <= {LARGEST:g}, got norm = {norm:g}")
    if norm == 0 or not features.any():
        return BestHinge(total, total, np.zeros(features.shape[1]), p.copy(), norm, 0)
    kept = np.flatnonzero(p > NEGLIGIBLE * total)
    Z = features[kept] * (norm * y[kept])[:, None]
    turn = None
    if Z.shape[1] > len(Z):  # w lies in the span of the rows: N becomes the number of rows
        turn, R = np.linalg.qr(Z.T)
        Z = R.T
    v, a, steps = _interior_point(Z, p[kept] / total, tolerance)
    w = norm * (v if turn is None else turn @ v)
    excess = float(np.linalg.norm(w)) / norm
    if excess > 1:
        w /= excess * (1 + 1e-15)
    multipliers = np.zeros(len(p))
    multipliers[kept] = np.minimum(a * total, p[kept])
    value = hinge_loss(features, y, p, w)
    lower = max(0.0, hinge_lower(features, y, p, norm, multipliers))
    return BestHinge(value, lower, w, multipliers, norm, steps)


def _problem(features: ArrayLike, y: ArrayLike, p: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    features = checks.matrix("features", features)
    y = checks.labels("y", y, length=len(features))
    return features, y, checks.vector("p", p, length=len(features), at_least=0)


@dataclass
class _Iterate:
    """A strictly feasible point, of which all but w is positive; or a step, with the same fields."""

    w: FloatArray
    xi: FloatArray
    s: FloatArray
    a: FloatArray
    c: FloatArray
    mu: float

    @property
    def room(self) -> float:
        """The ball's slack."""
        return 0.5 * (1.0 - float(self.w @ self.w))

    def gap(self) -> float:
        """Sum of all complementarity products, 3 t on the central path (for p that sums to 1)."""
        return float(self.a @ self.s + self.c @ self.xi) + self.mu * self.room


def _interior_point(Z: FloatArray, p: FloatArray, tolerance: float) -> tuple[FloatArray, FloatArray, int]:
    """The best w and the best a met, and the number of steps."""
    from scipy.linalg import LinAlgError

    m, N = Z.shape
    a = 0.5 * p
    at = _Iterate(np.zeros(N), np.full(m, 2.0), np.ones(m), a, a.copy(), 1.0 + float(np.linalg.norm(Z.T @ a)))
    best_w, value = at.w, 1.0
    best_a, lower = np.zeros(m), 0.0
    steps = 0
    while steps < STEPS:
        pulled = Z.T @ at.a
        dual = float(at.a.sum() - np.linalg.norm(pulled))
        if dual > lower:
            best_a, lower = at.a, dual
        primal = float(p @ np.maximum(at.xi - at.s, 0.0))
        if primal < value:
            best_w, value = at.w, primal
        if value - lower <= tolerance:
            break
        try:
            step = _System(Z, at, pulled).step(p)
        except LinAlgError:  # the precision of float64 is used up; the gap says how far it came
            break
        steps += 1
        size = 0.995 * _reach(at, step)
        if size < 1e-8:
            break
        at = _moved(at, step, min(1.0, size))
    return best_w, best_a, steps


class _System:
    """The linearised equations at an iterate, of which all but w is eliminated."""

    def __init__(self, Z: FloatArray, at: _Iterate, pulled: FloatArray) -> None:
        from scipy.linalg import cho_factor

        self.Z, self.at = Z, at
        self.residual = at.mu * at.w - pulled
        self.D = 1.0 / (at.s / at.a + at.xi / at.c)
        H = _weighted_gram(Z, self.D)
        H += np.multiply.outer(at.w, (at.mu / at.room) * at.w)
        H[np.diag_indices_from(H)] += at.mu
        self.factor = cho_factor(H, lower=True, overwrite_a=True, check_finite=False)

    def step(self, p: FloatArray) -> _Iterate:
        """Predictor straight to the end of the path, then the corrector with what the predictor says of curvature."""
        at = self.at
        first, second, third = -at.a * at.s, -at.c * at.xi, -at.mu * at.room
        guess = self._direction(first, second, third)
        gap = at.gap()
        t = gap / 3 * (_moved(at, guess, min(1.0, _reach(at, guess))).gap() / gap) ** 3
        bent = 0.5 * at.mu * float(guess.w @ guess.w)  # the ball's boundary is curved
        return self._direction(
            first + t * p - guess.a * guess.s,
            second + t * p - guess.c * guess.xi,
            third + t + guess.mu * float(at.w @ guess.w) + bent,
        )

    def _direction(self, first: FloatArray, second: FloatArray, third: float) -> _Iterate:
        """The Newton step for these changes of a s, of c xi and of mu (1 - |w|^2) / 2."""
        from scipy.linalg import cho_solve

        at = self.at
        e = self.D * (first / at.a - second / at.c)
        w = cho_solve(self.factor, self.Z.T @ e - self.residual - at.w * (third / at.room), check_finite=False)
        turned = self.Z @ w
        a = e - self.D * turned
        xi = (second + at.xi * a) / at.c
        return _Iterate(w, xi, xi + turned, a, -a, (third + at.mu * float(at.w @ w)) / at.room)


def _reach(at: _Iterate, step: _Iterate) -> float:
    """The largest size of the step, at most 1 / 0.995, at which nothing is negative."""
    size = 1.0 / 0.995
    for value, change in ((at.xi, step.xi), (at.s, step.s), (at.a, step.a), (at.c, step.c)):
        size = min(size, 1.0 / max(float((-change / value).max()), 1e-300))
    if step.mu < 0:
        size = min(size, -at.mu / step.mu)
    square, cross = float(step.w @ step.w), float(at.w @ step.w)
    if square > 0:  # |w + size step|^2 = 1
        size = min(size, 2 * at.room / (cross + float(np.sqrt(cross**2 + 2 * at.room * square))))
    return size


def _moved(at: _Iterate, step: _Iterate, size: float) -> _Iterate:
    return _Iterate(
        at.w + size * step.w,
        at.xi + size * step.xi,
        at.s + size * step.s,
        at.a + size * step.a,
        at.c + size * step.c,
        at.mu + size * step.mu,
    )


def _weighted_gram(Z: FloatArray, weights: FloatArray) -> FloatArray:
    """Z' diag(weights) Z."""
    out = np.zeros((Z.shape[1], Z.shape[1]))
    roots = np.sqrt(weights)
    for start in range(0, len(Z), ROWS):
        block = Z[start : start + ROWS] * roots[start : start + ROWS, None]
        out += block.T @ block  # a symmetric product: half the work
    return out
