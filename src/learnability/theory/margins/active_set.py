"""The least w with w . p_k >= 1 for all points p_k, by a dual active-set method on a working set that grows.

That w is a non-negative combination of the p_k; its multipliers over their sum are the convex combination nearest to
the origin. The method is that of Goldfarb & Idnani ("A numerically stable dual method for solving strictly convex
quadratic programs", Mathematical Programming 27, 1983). It keeps linearly independent points S with multipliers
u >= 0 and w = sum_S u_k p_k, so that w . p_k = 1 on S. Let a point p with w . p < 1 be sum_S r_k p_k + z with z
orthogonal to S. Along u - t r, w + t z, with multiplier t for p, the dual objective grows; a point whose multiplier
reaches zero leaves S; where w . p = 1, p enters. Each entry makes |w| larger, so the method ends. If z = 0 and no r_k
is positive, then p + sum_S (-r_k) p_k = 0: Farkas' certificate that there is no w.

S is held as a QR factorisation (two orthogonalisations at an entry, rotations at an exit), not as a Gram matrix,
which keeps twice the digits. A step looks at the working set only; once w serves that, the points that w serves worst
join it. Nothing is proved here: :mod:`learnability.theory.margins` certifies what comes out.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.theory.margins.points import EPSILON, Points

__all__ = ["Solver", "Support"]

_DEPENDENT = 32 * EPSILON
"""A point's part outside the span of S is rounding if it is below this times the terms that cancelled."""
_VANISHED = 1e-11
"""A convex combination of points is zero to rounding if it is below this times the terms that cancelled."""
_REFACTOR = 200
"""Entries and exits between two factorisations from scratch."""
_REFINEMENTS = 4
"""Corrections of w by its residual on S, as long as they help."""
_TOLD = 20
"""Steps from one word of progress to the next."""
_WHOLE = 2**17
"""A set of no more entries than this is its own working set."""


def _norm(x: FloatArray) -> float:
    return math.sqrt(x @ x)  # numpy.linalg.norm, without its questions: a step takes many


class Support:
    """The points S of the dual method, their multipliers u and w = sum_S u_k p_k.

    Attributes
    ----------
    w : array (d,)
    index : list of int
        What the caller calls the points of S, in the order of ``multipliers``.
    steps : int
        Entries and exits so far.
    certificate : array
        After :meth:`add` answered "contradicted": Farkas' multipliers of the points in ``index``, then of the one
        that was to enter.
    """

    def __init__(self, d: int) -> None:
        """No points and w = 0 in d dimensions."""
        self.w = np.zeros(d)
        self.index: list[int] = []
        self.steps = 0
        self.certificate = np.empty(0)
        self._changes = 0
        self._points = self._Q = np.zeros((d, 0), order="F")
        self._R = np.zeros((0, 0))
        self._u = self._lengths = np.zeros(0)

    def copy(self) -> Support:
        """A state to return to."""
        return copy.deepcopy(self)

    @property
    def multipliers(self) -> FloatArray:
        """u, (s,)."""
        return self._u[: len(self.index)].copy()

    def add(self, k: int, p: FloatArray) -> Literal["entered", "contradicted"]:
        """Let the point ``p``, w . p < 1, enter under the name ``k``.

        "contradicted" means that no w has w . p > 0 on S and ``p``, as ``certificate`` shows (to rounding: check it).
        Then w may include a share of p: :meth:`refresh` before going on.
        """
        size = _norm(p)
        while True:
            self.steps += 1
            s = len(self.index)
            c, r, z = self._split(p)
            rest = _norm(z)
            terms = size + float(np.abs(r) @ self._lengths[:s])
            dependent = s == len(self.w) or rest <= _DEPENDENT * terms
            full = np.inf if dependent else max(1.0 - float(p @ self.w), 0.0) / rest / rest
            blocking = np.flatnonzero(r > 4 * EPSILON * np.abs(r).max(initial=0.0))
            ratios = self._u[blocking] / r[blocking]
            t = min(full, float(ratios.min(initial=np.inf)))
            if t == np.inf:
                self.certificate = np.append(np.maximum(-r, 0.0), 1.0)
                return "contradicted"
            self._u[:s] -= t * r
            if not dependent:
                self.w += t * z
            if t == full:
                self._enter(k, p, c, z, rest)
                return "entered"
            self._leave(int(blocking[ratios.argmin()]))

    def refresh(self) -> None:
        """Factorise S anew, solve for w and u with iterative refinement; points with u < 0 leave."""
        s = len(self.index)
        self._Q[:, :s], self._R[:s, :s] = np.linalg.qr(self._points[:, :s])
        self._changes = 0
        self._resolve()
        s = len(self.index)
        P, Q = self._points[:, :s], self._Q[:, :s]
        residual = 1.0 - self.w @ P
        for _ in range(_REFINEMENTS):
            w = self.w + Q @ self._triangular(residual, transposed=True)
            better = 1.0 - w @ P
            if not np.abs(better).max(initial=0.0) < np.abs(residual).max(initial=0.0):
                break
            self.w, residual = w, better
        self._u[:s] = np.maximum(self._u[:s] + self._triangular((self.w - P @ self._u[:s]) @ Q), 0.0)

    def raised(self) -> FloatArray:
        """The w whose products on S exceed 1 by what rounding may take: better where norms differ by many powers."""
        P, Q = self._points[:, : len(self.index)], self._Q[:, : len(self.index)]
        rounding = 2 * (len(self.w) + 2) * EPSILON * (np.abs(self.w) @ np.abs(P))
        return self.w + Q @ self._triangular(1.0 + rounding - self.w @ P, transposed=True)

    def _split(self, p: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """c, r and z with p = Q c + z = P r + z, z orthogonal to S."""
        Q = self._Q[:, : len(self.index)]
        c = p @ Q
        z = p - Q @ c
        again = z @ Q
        z -= Q @ again
        c += again
        return c, self._triangular(c), z

    def _triangular(self, b: FloatArray, *, transposed: bool = False) -> FloatArray:
        """R^-1 b, or R^-T b. What is unused of R has 1 on its diagonal: solving all of it copies nothing."""
        from scipy.linalg.blas import dtrsv

        if not len(b):
            return b
        padded = np.zeros(len(self._R))
        padded[: len(b)] = b
        solved: FloatArray = dtrsv(self._R, padded, trans=int(transposed), overwrite_x=1)
        return solved[: len(b)]

    def _resolve(self) -> None:
        """Solve for w and u of S by its factorisation; a point whose multiplier is not positive leaves."""
        while True:
            s = len(self.index)
            a = self._triangular(np.ones(s), transposed=True)
            u = self._triangular(a)
            if s == 0 or (worst := int(u.argmin()), u[worst] >= 0)[1]:
                self.w = self._Q[:, :s] @ a
                self._u[:s] = u
                return
            self._leave(worst)

    def _enter(self, k: int, p: FloatArray, c: FloatArray, z: FloatArray, rest: float) -> None:
        s = len(self.index)
        if s == len(self._R):
            self._grow(min(2 * s + 32, len(self.w)))
        self._points[:, s], self._lengths[s] = p, _norm(p)
        self._Q[:, s] = z / rest
        self._R[:s, s], self._R[s, s] = c, rest
        self.index.append(k)
        self._changes += 1
        if self._changes > _REFACTOR:
            self.refresh()
        else:
            self._resolve()

    def _leave(self, j: int) -> None:
        from scipy.linalg import qr_delete

        s = len(self.index)
        Q, R = qr_delete(self._Q[:, :s], self._R[:s, :s], j, which="col", overwrite_qr=True, check_finite=False)
        self._Q[:, : s - 1], self._R[: s - 1, : s - 1] = Q[:, : s - 1], R[: s - 1]
        self._R[s - 1, s - 1] = 1.0
        self._points[:, j : s - 1] = self._points[:, j + 1 : s]
        for array in (self._u, self._lengths):
            array[j : s - 1] = array[j + 1 : s]
        del self.index[j]
        self._changes += 1
        self.steps += 1

    def _grow(self, capacity: int) -> None:
        d, s = len(self.w), len(self.index)
        points, Q, R, u, lengths = self._points, self._Q, self._R, self._u, self._lengths
        self._points, self._Q = np.zeros((d, capacity), order="F"), np.zeros((d, capacity), order="F")
        self._R = np.asfortranarray(np.eye(capacity))
        self._u, self._lengths = np.zeros(capacity), np.zeros(capacity)
        self._points[:, :s], self._Q[:, :s], self._R[:s, :s] = points, Q, R
        self._u[:s], self._lengths[:s] = u, lengths


class Solver:
    """The dual method on a set of points, of which some may be left out.

    Attributes
    ----------
    support : Support
        The state; ``support.w`` serves all points looked at once :meth:`run` returned ``None`` and ``solved``.
    allowed : array (m,) of bool
        The points that count.
    """

    def __init__(
        self,
        points: Points,
        allowed: NDArray[np.bool_] | None = None,
        *,
        slack: float = 1e-12,
        advance: Callable[[int], None] | None = None,
    ) -> None:
        """``slack``: how far below 1 a product may stay; ``advance`` is told the steps so far, now and then."""
        self.points, self.slack, self.advance = points, slack, advance
        self.allowed = np.ones(points.m, dtype=bool) if allowed is None else allowed.copy()
        self.support = Support(points.d)
        self.solved = False
        self._index = np.zeros(0, dtype=np.intp)
        self._rows = np.zeros((0, points.d))
        hardest = points.products(points.mean())
        hardest[~self.allowed] = np.inf
        self._join(np.argsort(hardest, kind="stable")[: min(self._chunk, int(self.allowed.sum()))])

    @property
    def _chunk(self) -> int:
        """How many points join the working set at a time."""
        d, m = self.points.d, self.points.m
        return int(m if m * d <= _WHOLE else max(100, d // 2))

    def run(self, budget: int) -> FloatArray | None:
        """Go on until w serves all allowed points, or a certificate is found, or ``budget`` more steps are used.

        Returns
        -------
        array (m,) or None
            Farkas' multipliers, sum 1, if the allowed points are not separable.
        """
        support, self.solved = self.support, False
        end = support.steps + budget
        while support.steps < end:
            found = self._serve(end)
            if found is not None:
                return found
            shortfall = 1.0 - self.points.products(support.w)
            shortfall[~self.allowed] = -np.inf
            shortfall[self._index] = -np.inf
            worst = np.argsort(-shortfall, kind="stable")[: self._chunk]
            worst = worst[shortfall[worst] > self.slack]
            rows = self.points.rows(worst)
            worst = worst[shortfall[worst] > self._rounding(rows)]
            if not len(worst):
                self.solved = support.steps < end
                return None
            self._join(worst)
        return None

    def allow(self, index: NDArray[np.intp]) -> None:
        """Let more points count: they join the working set."""
        self.allowed[index] = True
        self._join(index[~np.isin(index, self._index)])

    def multipliers(self) -> FloatArray:
        """The convex multipliers (m,) of the state; all equal as long as there is no support."""
        weights = np.zeros(self.points.m)
        weights[self.support.index] = self.support.multipliers
        if not weights.any():
            weights[self.allowed] = 1.0
        weights /= weights.sum()
        return weights

    def _rounding(self, rows: FloatArray) -> FloatArray:
        """How much of the products of these rows with w may be rounding."""
        return 4 * EPSILON * (np.abs(rows) @ np.abs(self.support.w))

    def _join(self, index: NDArray[np.intp]) -> None:
        self._index = np.concatenate([self._index, index])
        self._rows = np.concatenate([self._rows, self.points.rows(index)])

    def _serve(self, end: int) -> FloatArray | None:
        """Bring the working set to w . p >= 1, up to the slack and rounding."""
        support, place = self.support, {int(k): i for i, k in enumerate(self._index)}
        passed = np.zeros(len(self._index), dtype=bool)  # no step on them helps until w changes
        fresh, lengths = False, self.points.norms[self._index]
        while support.steps < end:
            if self.advance is not None and support.steps and support.steps % _TOLD == 0:
                self.advance(support.steps)
            shortfall = 1.0 - self._rows @ support.w
            shortfall[passed | ~self.allowed[self._index]] = -np.inf
            shortfall[[place[k] for k in support.index]] = -np.inf
            shortfall[shortfall <= self.slack] = -np.inf
            i = int((shortfall / lengths).argmax())  # the farthest on the wrong side of w . p = 1
            if shortfall[i] == -np.inf:
                if fresh:
                    return None
                support.refresh()
                fresh = True
                continue
            row = self._rows[i]
            if shortfall[i] <= self._rounding(row[None])[0]:
                passed[i] = True
                continue
            k = int(self._index[i])
            if support.add(k, row) == "entered":
                passed[:] = fresh = False
                continue
            weights = np.zeros(self.points.m)
            weights[[*support.index, k]] = support.certificate
            support.refresh()
            passed[i] = True
            if self._vanishes(weights):
                weights /= weights.sum()
                return weights
        return None

    def _vanishes(self, weights: FloatArray) -> bool:
        """Whether the combination of the points is zero but for rounding."""
        return self.points.distance(weights) <= _VANISHED * float(weights @ self.points.norms)
