"""Laws of sums of independent signs, and what a function of such a sum has in common with a product of some of them.

A sum of independent uniform signs with weights in {-1, 0, 1} has the law of its m non-zero terms' plain sum,
2 Bin(m, 1/2) - m, whatever the weights' signs. So an expectation over n bits that looks at them through such a sum
alone (a neuron of the parity study) costs O(n), not 2^n. Sums are listed downwards everywhere: entry i belongs to the
sum with i minus signs, m - 2i.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray

__all__ = ["correlation", "fair_binomial", "krawtchouk", "lazy_sum_law", "sign_sum_law", "signed_sum_law"]

_STIRLING_ERROR = np.array(
    [
        0.0,  # not used: the ends of the law are powers of two
        0.08106146679532726,
        0.0413406959554093,
        0.02767792568499834,
        0.020790672103765093,
        0.016644691189821193,
        0.013876128823070748,
        0.01189670994589177,
        0.010411265261972096,
        0.009255462182712733,
        0.00833056343336287,
        0.007573675487951841,
        0.00694284010720953,
        0.006408994188004207,
        0.0059513701127588475,
        0.005554733551962801,
    ]
)
"""log n! less Stirling's formula, for n < 16."""


def fair_binomial(M: ArrayLike, i: ArrayLike) -> FloatArray:
    """C(M, i) / 2^M, entry by entry (0 for i outside 0..M); relative accuracy 1e-14, far out in the tails 1e-12.

    Differences of log-gamma lose what log M! has before the point, six digits at M = 1e5. Here Stirling's formula is
    divided out and only its error and the deviance M/2 ((1+x) log(1+x) + (1-x) log(1-x)), x = 2i/M - 1, remain
    (C. Loader's saddle-point form). Behind the door: ``M`` >= 0 and ``i`` are integers.
    """
    M, i = np.broadcast_arrays(np.asarray(M, dtype=np.float64), np.asarray(i, dtype=np.float64))
    law = np.where((i == 0) | (i == M), np.exp2(-M), 0.0)
    inside = (i > 0) & (i < M)
    M, i = M[inside], i[inside]
    x = (2 * i - M) / M
    near = np.clip(x, -0.5, 0.5)  # further out 1 - x^2 cancels, and the deviance as it is defined does not
    deviance = np.where(
        x == near,
        M / 2 * (2 * near * np.arctanh(near) + np.log1p(-near * near)),
        i * np.log(2 * i / M) + (M - i) * np.log(2 * (M - i) / M),
    )
    error = _stirling_error(M) - _stirling_error(i) - _stirling_error(M - i)
    law[inside] = np.exp(error - deviance) * np.sqrt(M / (2 * np.pi * i * (M - i)))
    return law


def _stirling_error(n: FloatArray) -> FloatArray:
    large = np.maximum(n, 16.0)
    s = 1 / large**2
    series = (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s / 1188)))) / large
    return np.where(n < 16, _STIRLING_ERROR[np.minimum(n, 15).astype(np.intp)], series)


def krawtchouk(l: int, M: ArrayLike, i: ArrayLike) -> FloatArray:
    """Coefficient i of (1-z)^l (1+z)^(M-l) divided by C(M, i), entry by entry: it lies in [-1, 1].

    It is E[t_1 ... t_l] given that i of M exchangeable signs are negative, a polynomial in i of degree l
    (Krawtchouk's, divided by C(M, l)). Its three-term recurrence keeps the relative accuracy that l differences of a
    binomial law lose. Behind the door: 0 <= l <= M.
    """
    M, i = np.asarray(M, dtype=np.float64), np.asarray(i, dtype=np.float64)
    before, value = np.zeros(np.broadcast(M, i).shape), np.ones(np.broadcast(M, i).shape)
    for d in range(l):
        before, value = value, ((M - 2 * i) * value - d * before) / (M - d)
    return value


def sign_sum_law(m: int) -> FloatArray:
    """P[e_1 + ... + e_m = m - 2i] = C(m, i) / 2^m for i = 0..m, of m >= 0 uniform signs; shape (m+1,).

    Relative accuracy about 1e-14, 1e-12 far out in the tails (values below 1e-308 fade out).
    """
    m = checks.integer("m", m, at_least=0)
    return fair_binomial(m, np.arange(m + 1))


def signed_sum_law(l: int, m: int) -> FloatArray:
    r"""E[t_1 ... t_l 1{t_1 + ... + t_l + e_1 + ... + e_m = l + m - 2i}] for i = 0..l+m; shape (l+m+1,).

    The coefficients of :math:`2^{-(l+m)} (1-z)^l (1+z)^m`: a signed law that sums to 0 for l >= 1, the weights of
    :func:`correlation`. Computed as C(M, i) / 2^M times a Krawtchouk polynomial, M = l + m; errors are about 1e-14 of
    the largest weights, which are of order 1 / sqrt(C(M, l)) times those of :func:`sign_sum_law`.

    Parameters
    ----------
    l : int
        Signs that also appear as a factor, >= 0.
    m : int
        The other signs, >= 0.
    """
    l, m = checks.integer("l", l, at_least=0), checks.integer("m", m, at_least=0)
    M, i = l + m, np.arange(l + m + 1)
    return fair_binomial(M, i) * krawtchouk(l, M, i)


def correlation(f: Callable[[FloatArray], ArrayLike], l: int, m: int, shift: float = 0) -> float:
    r"""D_f(l, m; a) = E[t_1 ... t_l f(a + t_1 + ... + t_l + e_1 + ... + e_m)] over independent uniform signs.

    Everything about a neuron with weights in {-1, 0, 1} at random signs follows from it; see
    :mod:`learnability.training.population`. Costs O((l + 1) (l + m)) and one call of ``f``.

    Parameters
    ----------
    f : function
        Maps an array of sums to finite values, entry by entry.
    l, m : int
        Signs that also appear as a factor and signs that do not, >= 0.
    shift : float
        The constant a.

    Returns
    -------
    float
        With f bounded by 1 the error is at most about 1e-14 / sqrt(C(l+m, l)).
    """
    law = signed_sum_law(l, m)
    shift = checks.real("shift", shift)
    sums: FloatArray = shift + (len(law) - 1) - 2 * np.arange(len(law), dtype=np.float64)
    values = checks.vector("f(sums)", f(sums), length=len(law))
    return float(law @ values)


def lazy_sum_law(k: int) -> FloatArray:
    """P[w_1 + ... + w_k = s] for s = -k..k, of k >= 0 independent w uniform in {-1, 0, 1}; shape (2k+1,).

    The law of a neuron's summed start weights over the k coordinates of the parity; entry k is the probability of a
    good neuron (Daniely & Malach, Lemma 9), the central trinomial coefficient / 3^k. Correctly rounded: trinomial
    coefficients are computed as integers.
    """
    k = checks.integer("k", k, at_least=0)
    coefficients = [1]
    for i in range(k):
        before = coefficients[i - 1] if i else 0
        coefficients.append(((k - i) * coefficients[i] + (2 * k - i + 1) * before) // (i + 1))
    half = [c / 3**k for c in coefficients]
    return np.array(half + half[-2::-1])
