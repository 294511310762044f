r"""The first step of population gradient descent, exactly and in O(n) a unit, for n of a hundred thousand and more.

Daniely & Malach, Section 5.1: from a start whose output is 0 every example has an active hinge, so that the gradient
of the loss is minus a correlation with the label. With signs :math:`s_j = \sqrt n x_j`, :math:`z = \langle w, x
\rangle + b` and :math:`w \in \{-1, 0, 1\}^n` it sees the n bits through a sum of signs alone. For a unit let
:math:`\tau = \sum_{j \in A} w_j`, :math:`p_0` the number of zeros of w in A, :math:`\pi` the product of its other
entries there, and m the number of non-zero entries outside A. With

.. math:: D_f(l, m; a) = E[t_1 \cdots t_l \, f(a + t_1 + \dots + t_l + \varepsilon_1 + \dots + \varepsilon_m)],
          \quad I(t) = 1[0 < t / \sqrt n + b < 6], \quad S(t) = \sigma(t / \sqrt n + b)

and weights 1 - s, s of the two parts of the mixture (1/2 each in the paper), the correlations are these (derived by
this project; the paper only bounds them, Lemmas 5 to 9):

========================= ====================================================== ===================================
E of                      part 2, times s/2                                      part 1, times (1 - s)
========================= ====================================================== ===================================
y s_j sigma'(z), j in A   D_I(0,m;tau) + D_I(0,m;-tau)                           pi w_j D_I(k-1,m+1;0) for p_0 = 0;
                                                                                 pi D_I(k-1,m;0) at the zero for 1
y s_j sigma'(z), else     w_j (D_I(1,m-1;tau) - D_I(1,m-1;-tau))                 pi w_j D_I(k+1,m-1;0) for p_0 = 0
y sigma'(z)               D_I(0,m;tau) - D_I(0,m;-tau)                           pi D_I(k,m;0) for p_0 = 0
y sigma(z)                D_S(0,m;tau) - D_S(0,m;-tau)                           pi D_S(k,m;0) for p_0 = 0
========================= ====================================================== ===================================

and 0 where nothing stands. I is an interval, and partial sums of the coefficients of (1-z)^l (1+z)^m are coefficients
of (1-z)^(l-1) (1+z)^m: every D is a few entries of a signed binomial law, and all that costs O(n) is counting m.

Good units (tau = 0; Lemma 7) get exactly nothing outside A and keep their bias: the two terms of part 2 are equal,
and an odd k makes p_0 odd, so part 1 is 0 but for the single zero coordinate. They do not need Lemmas 5 and 6.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.networks.parity import CAP, ParityNet
from learnability.problems.parity import ParityMixture
from learnability.problems.sign_sums import fair_binomial, krawtchouk

__all__ = ["Correlation", "correlation", "correlation_of_counts", "first_step"]

_BLOCK = 1 << 20
"""Entries of W looked at in one go."""

_DENOMINATOR = 10**6
"""A bias that is the float nearest to a fraction with at most this denominator, such as 1/24, means that fraction."""

Integers = NDArray[np.int64]


class Correlation(NamedTuple):
    """Correlations of the label with a layer's slopes and values under D_A; p units, k coordinates in A."""

    inside: FloatArray
    """E[y s_j sigma'(z)] for j in A, in the order of ``support``, (p, k)."""
    outside: FloatArray
    """For j not in A that expectation is ``outside * w_j``, (p,)."""
    bias: FloatArray
    """E[y sigma'(z)], (p,)."""
    output: FloatArray
    """E[y sigma(z)], (p,)."""
    support: tuple[int, ...]

    def dense(self, W: ArrayLike, dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """E[y s_j sigma'(z)] for all j, (p, n), given the start weights ``W`` (p, n) it was computed for."""
        W = np.asarray(W)
        if W.ndim != 2 or len(W) != len(self.outside) or W.shape[1] <= self.support[-1]:
            raise RequestError(f"W must be the ({len(self.outside)}, n) start weights, got shape {W.shape}")
        G: NDArray[Any] = np.multiply(W, self.outside[:, None], dtype=dtype, casting="unsafe")
        G[:, self.support] = self.inside
        return G


class _Units(NamedTuple):
    """What the expectations of a unit depend on, an entry a unit."""

    n: int
    m: Integers
    b: FloatArray
    first: Integers  # least integer t with t / sqrt(n) + b > 0
    capped: Integers  # least integer t with t / sqrt(n) + b >= 6

    def where(self, chosen: NDArray[np.bool_]) -> _Units:
        return _Units(self.n, self.m[chosen], self.b[chosen], self.first[chosen], self.capped[chosen])


def correlation(W: ArrayLike, b: ArrayLike, problem: ParityMixture) -> Correlation:
    """What the label of D_A has to do with units of weights in {-1, 0, 1}: exact for any n, see the module's text.

    Absolute errors are below 1e-14 at n up to 1e5 (``tests/test_population_exact.py``: integers, mpmath); the
    part that the uniform distribution contributes is also accurate relative to its own, much smaller size.
    A pre-activation of exactly 0 or 6 has slope 0. Whether one occurs is decided in integers, where ``b`` is taken as
    the fraction with a denominator up to 1e6 that it is the nearest float to, if there is one (1/(8k) is met at
    n = 64 k^2 c^2), and otherwise as the binary fraction that it is.

    Parameters
    ----------
    W : array_like, shape (p, n)
        Entries -1, 0 and 1, of any dtype; int8 is neither copied nor converted.
    b : float or array_like, shape (p,)
        Biases.
    problem : ParityMixture
        Its ``share`` weighs the two parts.

    Raises
    ------
    ValueError
        If W does not have n columns or has other entries, or b is not finite or of another length.
    """
    n, support = problem.n, problem.support
    W = np.asarray(W)
    if W.ndim != 2 or len(W) == 0 or W.shape[1] != n:
        raise RequestError(f"W must have shape (rows >= 1, {n}), got shape {W.shape}")
    if W.dtype.kind not in "iuf":
        raise RequestError(f"W must hold the numbers -1, 0 and 1, got dtype {W.dtype}")
    biases = np.full(len(W), checks.real("b", b)) if np.ndim(b) == 0 else checks.vector("b", b, length=len(W))
    within = W[:, support]
    m = _count_nonzero(W) - np.count_nonzero(within, axis=1)
    return _of_counts(within.astype(np.int64), m, biases, problem)


def correlation_of_counts(within: ArrayLike, m: ArrayLike, b: float, problem: ParityMixture) -> Correlation:
    """:func:`correlation` where n is too large for rows of n weights: they matter by those in A and by a count alone.

    Parameters
    ----------
    within : array_like, shape (p, k)
        Weights -1, 0 and 1 in A, in the order of ``problem.support``.
    m : array_like, shape (p,)
        How many of the n - k weights outside A are not 0.
    b : float
        Bias of every unit.
    problem : ParityMixture
    """
    within, m = np.asarray(within, dtype=np.int64), np.asarray(m, dtype=np.int64)
    if within.shape != (len(m), problem.k) or not len(m) or (np.abs(within) > 1).any():
        raise RequestError(f"within must hold -1, 0 and 1 in shape ({len(m)}, {problem.k}), got shape {within.shape}")
    if m.min() < 0 or m.max() > problem.n - problem.k:
        raise RequestError(f"m must be in 0..{problem.n - problem.k}, got {m.min()} to {m.max()}")
    return _of_counts(within, m, np.full(len(m), checks.real("b", b)), problem)


def _of_counts(within: Integers, m: Integers, b: FloatArray, problem: ParityMixture) -> Correlation:
    p, k, support, share = len(m), problem.k, problem.support, problem.share
    units = _units(problem.n, m, b)
    tau = within.sum(axis=1)

    both = 0.5 * share * (_interval(0, units, m, tau) + _interval(0, units, m, -tau))
    inside = np.repeat(both[:, None], k, axis=1)
    outside = np.zeros(p)
    some = m > 0
    few = units.where(some)
    difference = _interval(1, few, few.m - 1, tau[some]) - _interval(1, few, few.m - 1, -tau[some])
    outside[some] = 0.5 * share * difference
    bias = 0.5 * share * _interval_difference(units, tau)
    output = 0.5 * share * (_ramp(0, units, m, tau) - _ramp(0, units, m, -tau))

    zeros = k - np.count_nonzero(within, axis=1)
    full = zeros == 0
    if full.any():
        few, part = units.where(full), (1 - share) * within[full].prod(axis=1)
        inside[full] += (part * _interval(k - 1, few, few.m + 1))[:, None] * within[full]
        bias[full] += part * _interval(k, few, few.m)
        output[full] += part * _ramp(k, few, few.m)
        few, part = units.where(full & some), (1 - share) * within[full & some].prod(axis=1)
        outside[full & some] += part * _interval(k + 1, few, few.m - 1)
    one = zeros == 1
    if one.any():
        few, rows = units.where(one), within[one]
        part = (1 - share) * np.where(rows == 0, 1, rows).prod(axis=1)
        inside[one] += (part * _interval(k - 1, few, few.m))[:, None] * (rows == 0)
    return Correlation(inside, outside, bias, output, support)


def first_step(params: ParityNet, problem: ParityMixture, *, dtype: DTypeLike = np.float64) -> ParityNet:
    r"""The network after the theorem's first step, eta = 1 and lambda = 1/2: the old weights are erased.

    :math:`w^{(1)}_i = u_i E[y \sigma'(z_i) x]`, :math:`b^{(1)}_i = b_i + u_i E[y \sigma'(z_i)]`, :math:`u^{(1)}_i =
    E[y \sigma(z_i)]`, expectations under D_A (Daniely & Malach, Section 5.1; biases are trained and not decayed).

    Parameters
    ----------
    params : ParityNet
        The safe start of :func:`learnability.networks.parity.initial`: units i and q + i with equal weights and
        biases and opposite output weights, so that the output is 0.
    problem : ParityMixture
    dtype : {float64, float32}
        Of the result, 2q n values: 0.8 GB at n = 1e5, q = 512 in float64. Where that is too much,
        :func:`correlation` says the same in k + 3 numbers a unit.

    Raises
    ------
    ValueError
        If the start is not of that form, or as :func:`correlation`. From the printed start no closed form is known:
        its output is not 0 and half of the hinges are inactive; see :func:`learnability.training.population.train`.
    """
    u = checks.vector("params.u", params.u)
    q, odd = divmod(len(u), 2)
    W, b = np.asarray(params.W), checks.vector("params.b", params.b, length=len(u))
    if W.ndim != 2 or len(W) != len(u):
        raise RequestError(f"params.W must have shape ({len(u)}, n), got shape {W.shape}")
    twins = not odd and np.array_equal(u[q:], -u[:q]) and np.array_equal(b[q:], b[:q])
    if not (twins and np.array_equal(W[q:], W[:q])):
        raise RequestError(
            "params must be the safe start, with unit q + i a copy of unit i but for the sign of u: the exact first "
            "step needs an output of 0 everywhere (estimate it from samples, or enumerate the inputs for n <= 20)"
        )
    found = correlation(W[:q], b[:q], problem)
    half = u[:q]
    scale = half / math.sqrt(problem.n)
    moved = np.empty(W.shape, dtype=dtype)
    np.multiply(W[:q], (found.outside * scale)[:, None], out=moved[:q], casting="unsafe")
    moved[:q, problem.support] = found.inside * scale[:, None]
    np.negative(moved[:q], out=moved[q:])
    biases = np.concatenate([b[:q] + half * found.bias, b[:q] - half * found.bias])
    return ParityNet(moved, biases.astype(dtype), np.tile(found.output, 2).astype(dtype))


def _count_nonzero(W: NDArray[Any]) -> Integers:
    """Non-zero entries of each row, which must be -1, 0 and 1, by blocks of rows."""
    rows = max(1, _BLOCK // W.shape[1])
    counts = np.empty(len(W), dtype=np.int64)
    for start in range(0, len(W), rows):
        block = W[start : start + rows]
        nonzero = block != 0
        if not np.array_equal(np.abs(block), nonzero):
            raise RequestError("W must have entries -1, 0 and 1 only")
        counts[start : start + rows] = np.count_nonzero(nonzero, axis=1)
    return counts


def _units(n: int, m: Integers, b: FloatArray) -> _Units:
    root = math.sqrt(n)
    b = np.clip(b, -root - 1, root + CAP + 1)  # beyond, no unit or every unit is at its bounds: |<w, x>| <= sqrt(n)
    different, index = np.unique(b, return_inverse=True)
    exact = [_exactly(bias) for bias in different.tolist()]
    first = np.array([1 - _ceil_times_root(bias, n) for bias in exact])
    capped = np.array([_ceil_times_root(int(CAP) - bias, n) for bias in exact])
    return _Units(n, m, b, first[index], capped[index])


def _exactly(b: float) -> Fraction:
    simple = Fraction(b).limit_denominator(_DENOMINATOR)
    return simple if float(simple) == b else Fraction(b)


def _ceil_times_root(x: Fraction, n: int) -> int:
    """The least integer >= x sqrt(n), in integers."""
    square = x.numerator**2 * n
    floor = math.isqrt(square // x.denominator**2)
    if x < 0:
        return -floor
    return floor + (floor**2 * x.denominator**2 != square)


# D_I and D_S. In all of these, m counts the signs that are no factor, and may differ from units.m.


def _interval(l: int, units: _Units, m: Integers, a: Integers | int = 0) -> FloatArray:
    """D_I(l, m; a): the partial sums of the law at the interval's ends."""
    return _sum(l, m, _index(l + m, a, units.first)) - _sum(l, m, _index(l + m, a, units.capped))


def _interval_difference(units: _Units, tau: Integers) -> FloatArray:
    """D_I(0, m; tau) - D_I(0, m; -tau), from the |tau| sums at either end that the two do not share."""
    total = np.zeros(len(tau))
    for d in range(int(np.abs(tau).max())):
        more = d < np.abs(tau)
        for end, sign in ((units.first, 1), (units.capped, -1)):
            i = _index(units.m, np.abs(tau), end) - d
            total[more] += sign * fair_binomial(units.m, i)[more]
    return np.sign(tau) * total


def _ramp(l: int, units: _Units, m: Integers, a: Integers | int = 0) -> FloatArray:
    """D_S(l, m; a): ReLU6 is the ramp from 0 on less the ramp from 6 on."""
    root = math.sqrt(units.n)
    total = np.zeros(len(m))
    for end, level, sign in ((units.first, 0.0, 1), (units.capped, CAP, -1)):
        last = _index(l + m, a, end)
        rest = (a + l + m - 2 * last) / root + units.b - level
        total += sign * (rest * _sum(l, m, last) + 2 / root * _sum_of_sums(l, m, last - 1))
    return total


def _index(M: Integers, a: Integers | int, t: Integers) -> Integers:
    """Largest i with a + M - 2i >= t: the last sum of the (downward) law that reaches t."""
    return np.asarray((a + M - t) // 2)


def _sum(l: int, m: Integers, j: Integers) -> FloatArray:
    """Sum of the entries 0..j of signed_sum_law(l, m)."""
    return 0.5 * _law(l - 1, m, j) if l > 0 else _at_most(m, j)


def _sum_of_sums(l: int, m: Integers, j: Integers) -> FloatArray:
    """Sum over i <= j of :func:`_sum` (l, m, i)."""
    if l > 1:
        return 0.25 * _law(l - 2, m, j)
    if l == 1:
        return 0.5 * _at_most(m, j)
    return (j + 1 - 0.5 * m) * _at_most(m, j) + 0.5 * (m - j) * fair_binomial(m, j)


def _law(l: int, m: Integers, i: Integers) -> FloatArray:
    """Entry i of signed_sum_law(l, m)."""
    M = l + m
    return fair_binomial(M, i) * krawtchouk(l, M, np.clip(i, 0, M))


def _at_most(m: Integers, j: Integers) -> FloatArray:
    """P[Bin(m, 1/2) <= j]."""
    from scipy.special import betainc

    inside = (j >= 0) & (j < m)
    value = (j >= m).astype(np.float64)
    value[inside] = betainc(m[inside] - j[inside], j[inside] + 1, 0.5)
    return value
