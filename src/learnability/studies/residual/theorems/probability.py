r"""Appendix B of Allen-Zhu & Li: Propositions B.1, B.2 and Lemma B.3, with constants.

B.1
    :math:`P[\|g\|^2 - m \ge 2 \sqrt{m t} + 2 t] \le e^{-t}` for :math:`g \sim N(0, I_m)`, every t > 0 (Laurent and
    Massart): one-sided as printed; for the absolute value it is :math:`2 e^{-t}`.
B.2
    The paper has :math:`O(\sqrt n + \sqrt m) + t` for the norm of a Gaussian n x m matrix. With constants (Davidson
    and Szarek): :math:`\sqrt n + \sqrt m` in the mean, and t above it with probability at most :math:`e^{-t^2/2}`. On
    s-sparse vectors, by a union over the supports, :math:`\sqrt n + \sqrt s + \sqrt{2 \log \binom m s}` in the mean
    and t above it as before, which is the paper's :math:`O(\sqrt n + \sqrt{s \log m})`.
B.3
    For B >= 1, :math:`P[|\sum_i a_{1,i} a_{2,i} 1[n_i \ge 0] h(\alpha_i)| \ge B L (\sqrt m + B)] \le 4 e^{-B^2/8}`,
    and the same of :math:`\sum_i a_{1,i}^2 1[n_i \ge 0] h(\alpha_i)` less its mean. Its tails are computed here where
    :math:`1[n \ge 0] h` is L times an event of probability q (q = 1: all units; q = 1/2: a fair gate).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from learnability import checks
from learnability.checks import FloatArray

__all__ = [
    "chaos_limit",
    "chaos_tail",
    "chi_square_tail",
    "indicator_bound",
    "matrix_norm_bound",
    "sparse_norm_bound",
    "square_limit",
    "square_tail",
]

NODES = 400


def chi_square_tail(m: int, t: float) -> float:
    """P[|g|^2 - m >= 2 sqrt(m t) + 2 t] exactly, to compare with exp(-t); m >= 1 and t > 0.

    Proposition B.1.

    Parameters
    ----------
    m : int
        Dimension, >= 1.
    t : float
        > 0.

    Returns
    -------
    float
        A probability.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    from scipy.stats import chi2

    m, t = checks.size("m", m, at_least=1), checks.real("t", t, above=0.0)
    return float(chi2.sf(m + 2 * math.sqrt(m * t) + 2 * t, float(m)))


def matrix_norm_bound(n: int, m: int, t: float = 0.0) -> float:
    """The sum sqrt(n) + sqrt(m) + t; with t = 0 a bound of the mean of the norm of a Gaussian matrix.

    Proposition B.2, with constants.

    Parameters
    ----------
    n, m : int
        Rows and columns, >= 1.
    t : float
        By how much the norm may be larger, >= 0.

    Returns
    -------
    float
        A spectral norm.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    n, m = checks.size("n", n, at_least=1), checks.size("m", m, at_least=1)
    return math.sqrt(n) + math.sqrt(m) + checks.real("t", t, at_least=0.0)


def sparse_norm_bound(n: int, m: int, s: int, t: float = 0.0) -> float:
    """The same for the largest |M v| / |v| over s-sparse v, 1 <= s <= m: with sqrt(2 log C(m, s)) more.

    Proposition B.2, its second part.

    Parameters
    ----------
    n, m, t
        As in :func:`matrix_norm_bound`.
    s : int
        Non-zero entries of v, 1..m.

    Returns
    -------
    float
        A norm.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    m = checks.size("m", m, at_least=1)
    s = checks.size("s", s, at_least=1, at_most=m)
    logs = math.lgamma(m + 1) - math.lgamma(s + 1) - math.lgamma(m - s + 1)
    return matrix_norm_bound(n, s, t) + math.sqrt(2 * max(logs, 0.0))


def indicator_bound(B: float) -> float:
    """Lemma B.3's 4 exp(-B^2 / 8), B >= 1; below 1, and so not vacuous, from B = 3.33.

    Parameters
    ----------
    B : float
        >= 1.

    Returns
    -------
    float
        A probability, if it is below 1.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    B = checks.real("B", B, at_least=1.0)
    return 4 * math.exp(-B * B / 8)


def chaos_tail(m: int, B: float, q: float = 1.0) -> float:
    r"""P[|sum a_1 a_2 b| >= B (sqrt(m) + B)] with independent b = 1 with probability q, else 0.

    Given the a_1 and the number r of active units the sum is Gaussian of variance the sum of their squares, a
    chi-square variable with r degrees of freedom: a mean over r and a quadrature.

    The first sum of Lemma B.3.

    Parameters
    ----------
    m : int
        In 1..10^4.
    B : float
        >= 1.
    q : float
        In (0, 1].

    Returns
    -------
    float
        A probability.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    from scipy.special import ndtr
    from scipy.stats import chi2

    m, B, counts, weights = _active(m, B, q)
    level = B * (math.sqrt(m) + B)
    u = (np.arange(NODES) + 0.5) / NODES
    # Far out the tail comes from large squares: half of the nodes lie where 1 - u is small.
    upper = np.concatenate([0.01 + 0.99 * u, 0.01 * u**4])
    mass = np.concatenate([np.full(NODES, 0.99 / NODES), 0.04 * u**3 / NODES])
    total = 0.0
    for r, weight in zip(counts, weights, strict=True):
        if r:
            squares = chi2.isf(upper, r)
            total += weight * float((mass * 2 * ndtr(-level / np.sqrt(squares))).sum())
    return total


def square_tail(m: int, B: float, q: float = 1.0) -> float:
    """P[|sum a_1^2 b - q m| >= B (sqrt(m) + B)], b as in :func:`chaos_tail`.

    The second sum of Lemma B.3.

    Parameters
    ----------
    m, B, q
        As in :func:`chaos_tail`.

    Returns
    -------
    float
        A probability.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    from scipy.stats import chi2

    m, B, counts, weights = _active(m, B, q)
    level = B * (math.sqrt(m) + B)
    high, low = q * m + level, q * m - level
    positive = np.maximum(counts, 1)
    above = np.where(counts > 0, chi2.sf(high, positive), float(high <= 0))
    below = np.where(counts > 0, chi2.cdf(low, positive), float(low >= 0)) if low >= 0 else np.zeros(len(counts))
    return float(weights @ (above + below))


def chaos_limit(m: int, B: float) -> float:
    """What :func:`chaos_tail` is near for many units, all active: the sum is Gaussian of variance m.

    Lemma B.3 for wide networks.

    Parameters
    ----------
    m : int
        Units, >= 1.
    B : float
        >= 1.

    Returns
    -------
    float
        A probability.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    m, B = checks.size("m", m, at_least=1), checks.real("B", B, at_least=1.0)
    return _both(B * (1 + B / math.sqrt(m)))


def square_limit(m: int, B: float) -> float:
    """The same of :func:`square_tail`: the variance is 2 m.

    Lemma B.3 for wide networks.

    Parameters
    ----------
    m : int
        Units, >= 1.
    B : float
        >= 1.

    Returns
    -------
    float
        A probability.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    m, B = checks.size("m", m, at_least=1), checks.real("B", B, at_least=1.0)
    return _both(B * (1 + B / math.sqrt(m)) / math.sqrt(2))


def _both(x: float) -> float:
    from scipy.special import ndtr

    return float(2 * ndtr(-x))


def _active(m: int, B: float, q: float) -> tuple[int, float, NDArray[np.int64], FloatArray]:
    """Checked arguments, and the numbers of active units with their probabilities (those below 1e-30 left out)."""
    from scipy.stats import binom

    m, B = checks.size("m", m, at_least=1, at_most=10**4), checks.real("B", B, at_least=1.0)
    q = checks.real("q", q, above=0.0, at_most=1.0)
    counts = np.arange(m + 1)
    weights = binom.pmf(counts, m, q if q > 1e-300 else 0.0)  # SciPy before 1.14 overflows at denormal numbers
    kept = weights > 1e-30
    return m, B, counts[kept], weights[kept]
