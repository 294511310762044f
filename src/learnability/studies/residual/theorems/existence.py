r"""The existence tool of Allen-Zhu & Li (Appendix E): Claim E.3, Lemma E.2 and Lemma E.1 with exact constants.

Claim E.3, for unit x, w and standard Gaussian w_0 and odd i, h_i the probabilists' Hermite polynomial:

.. math:: \langle w, x \rangle^i = \frac1{p'_i} E\left[ h_i(\langle w_0, w \rangle) 1[\langle w_0, x \rangle \ge 0]
          \right], \qquad p'_i = h_{i-1}(0) \varphi(0) = \frac{(-1)^{(i-1)/2} (i-2)!!}{\sqrt{2 \pi}} .

The paper says :math:`|p'_i| \ge (i-1)!!/4`, which is **false** for every odd i >= 3: 0.399, 1.197, 5.98 for
i = 3, 5, 7 against 0.5, 2, 12. (It also prints :math:`E h_i h_j = \sqrt{2\pi} j! \delta_{ij}` for
:math:`j! \delta_{ij}`.) What it concludes survives: with h = 2 c_0 + sum of (c_i / p'_i) h_i,

.. math:: E h^2 = 4 c_0^2 + \sum_{i\ \mathrm{odd}} (c_i / p'_i)^2 i! \le \left( 2 \sum_i (i+1) |c_i| \right)^2 ,

as :math:`i!/p_i'^2 \le 2.36 (i+1)^2` (largest at i = 3): C* >= 2 is enough in C_s, and C* = 1 is not (phi = 1 or z).

The paper clips each h_i beyond B_i = 100 sqrt(i) + 10 sqrt(log(1/eps)). That is so far out that clipping changes no
expectation by more than exp(-4000): the functions here can be had with it or without.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.networks.residual import lifted
from learnability.problems.activations import Taylor
from learnability.problems.concepts import General
from learnability.studies.residual import PAPER
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, statement_id

__all__ = [
    "claim_e3",
    "expectation",
    "fitted",
    "fitting_weights",
    "hermite_constant",
    "indicator_error",
    "indicator_function",
    "printed_constant",
    "second_moment",
]


# Claim E.3


def hermite_constant(i: int) -> float:
    """p'_i of an odd i >= 1, exactly: (-1)^((i-1)/2) (i-2)!! / sqrt(2 pi), with (-1)!! = 1.

    The constant of Claim E.3, corrected.

    Parameters
    ----------
    i : int
        Degree, odd, in 1..299.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If i is even or outside its range.
    """
    i = _odd(i)
    return (-1.0) ** (i // 2) * math.exp(_log_double_factorial(i - 2)) / math.sqrt(2 * math.pi)


def printed_constant(i: int) -> float:
    """(i - 1)!! / 4, which the paper's |p'_i| is not to be below.

    Claim E.3 as printed.

    Parameters
    ----------
    i : int
        Degree, odd, in 1..299.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If i is even or outside its range.
    """
    return math.exp(_log_double_factorial(_odd(i) - 1)) / 4


def expectation(h: Callable[[FloatArray], FloatArray], x1: float, *, nodes: int = 400) -> float:
    r"""E[h(<w_0, w>) 1[<w_0, x> >= 0]] for <w, x> = x1 and w_0 standard Gaussian.

    It is the integral of h(z) phi(z) Phi(z x1 / sqrt(1 - x1^2)): Gauss-Legendre on both sides of 0.

    The left side of Claim E.3 and of Lemma E.2.

    Parameters
    ----------
    h : callable
        Array (r,) -> array (r,), of at most polynomial growth.
    x1 : float
        In [-1, 1].
    nodes : int
        In 2..2000, on each side; they reach to 25 standard deviations.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    if not callable(h):
        raise RequestError(f"h must be a function from arrays to arrays, got {h!r}")
    from scipy.special import ndtr

    x1 = checks.real("x1", x1, at_least=-1.0, at_most=1.0)
    slope = x1 / math.sqrt((1 - x1) * (1 + x1)) if abs(x1) < 1 else math.copysign(1e300, x1)
    t, weight = _legendre(checks.integer("nodes", nodes, at_least=2, at_most=2000))
    # Where the slope is steep the gate moves within 1 / slope of 0: squared nodes crowd there.
    u = (t + 1) / 2
    z, weight = 25 * u**3, weight * 37.5 * u**2
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    both = h(z) * ndtr(slope * z) + h(-z) * ndtr(-slope * z)
    return float((weight * density * both).sum())


def claim_e3(i: int, *, case: str = "") -> list[Guarantee]:
    """Claim E.3: a power of a projection is a mean over random gates, z^i = E[h_i(<w0, w>) 1[<w0, x> >= 0]] / p'_i.

    For unit vectors w, x with <w, x> = z, Gaussian w0, odd i and Hermite's polynomial h_i; shown are the exact
    constant p'_i by quadrature, and whether the printed bound of it holds.

    Parameters
    ----------
    i : int
        Degree, odd, in 1..299.
    case : str
        Put into the ids in brackets.

    Returns
    -------
    list of Guarantee
        The error of the identity, and the printed bound of the constant.

    Raises
    ------
    ValueError
        If i is even or outside its range.

    Errata
    ------
    The claim prints |p'_i| >= (i - 1)!! / 4; exactly it is (i - 2)!! / sqrt(2 pi), smaller for every odd i >= 3.
    What is concluded, E h^2 <= C_s^2, survives with C* >= 2 and is false with C* = 1.
    """
    i = _odd(i)
    constant, name = hermite_constant(i), f"i={i}"
    points = (-1.0, -0.7, -0.1, 0.0, 0.3, 0.9, 1.0)
    hermite, source = _hermite(i), f"{PAPER}, Claim E.3"
    error = max(abs(expectation(hermite, x) / constant - x**i) for x in points)
    shown = f"largest |E[h_i 1] / p'_i - x^i| over {len(points)} x, by quadrature; p'_i = {constant:.6g}"
    first = Hypothesis("i = 1: the printed bound is false for every odd i >= 3", i == 1, name)
    exact, printed = (statement_id("residual/claim-e3", part, name, case) for part in ("constant", "printed"))
    least, least_note = printed_constant(i), "|p'_i| against (i - 1)!! / 4"
    return [
        Guarantee(exact, f"{source} (constant: this project)", Kind.EXACT, 0, error, note=shown, tolerance=1e-9),
        Guarantee(printed, source, Kind.LOWER_BOUND, least, abs(constant), (first,), least_note),
    ]


# Lemma E.2


def indicator_function(phi: Taylor, *, eps: float | None = None) -> Callable[[FloatArray], FloatArray]:
    """The h of Lemma E.2, with E[h(<w, w*>) 1[<w, x> >= 0]] = phi(<w*, x>) for unit x, w*.

    Parameters
    ----------
    phi : Taylor
        With terms of order 0 and odd order only; what counts are the coefficients that it keeps.
    eps : float, optional
        In (0, 1): each Hermite polynomial is clipped to its value at +-B_i beyond B_i = 100 sqrt(i) + 10
        sqrt(log(1/eps)), as in the paper, which makes h bounded and Lipschitz. Not clipped by default.

    Returns
    -------
    callable
        Array (r,) -> array (r,).

    Raises
    ------
    ValueError
        If phi has a term of even order >= 2, or eps is outside its range.
    """
    coefficients = _hermite_series(phi)
    limits = None if eps is None else 10 * math.sqrt(math.log(1 / checks.real("eps", eps, above=0.0, below=1)))

    def h(z: FloatArray) -> FloatArray:
        if limits is None:
            return np.asarray(np.polynomial.hermite_e.hermeval(z, coefficients))
        total = np.full(np.shape(z), coefficients[0])
        for i in np.flatnonzero(coefficients[1:]) + 1:
            B = 100 * math.sqrt(i) + limits
            total += coefficients[i] * _hermite(int(i))(np.clip(z, -B, B))
        return total

    return h


def indicator_error(phi: Taylor, *, eps: float | None = None) -> float:
    """Largest |E[h 1] - phi| over a grid of <w*, x> in [-1, 1], by quadrature.

    What Lemma E.2 says is small.

    Parameters
    ----------
    phi, eps
        As in :func:`indicator_function`.

    Returns
    -------
    float
        >= 0.

    Raises
    ------
    ValueError
        If phi has a term of even order >= 2, or eps is outside its range.
    """
    h, polynomial = indicator_function(phi, eps=eps), Taylor(phi.coefficients)
    points = np.linspace(-1, 1, 41)
    return max(abs(expectation(h, float(x)) - float(value)) for x, value in zip(points, polynomial(points)))


def second_moment(phi: Taylor) -> float:
    """E h(z)^2 of the h of Lemma E.2 without clipping: 4 c_0^2 + sum of (c_i / p'_i)^2 i!.

    Parameters
    ----------
    phi : Taylor
        As in :func:`indicator_function`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If phi has a term of even order >= 2.
    """
    coefficients = _hermite_series(phi)
    return float(sum(b * b * math.factorial(i) for i, b in enumerate(coefficients)))


# Lemma E.1


def fitting_weights(W0: ArrayLike, a: ArrayLike, target: General) -> FloatArray:
    r"""The W* of Lemma E.1, which fits a smooth target at a random initialisation.

    .. math:: w^*_j = \frac1m \sum_r a_{r,j} \sum_i a^*_{r,i}
              h^{(r,i)}(\sqrt m \langle w^{(0)}_j, w^*_{1,r,i} \rangle) w^*_{2,r,i} ,

    so that :math:`\sum_j a_{r,j} \langle w^*_j, (x, 1) \rangle 1[\langle w^{(0)}_j, (x, 1) \rangle \ge 0]` is
    :math:`F_r(x)` in expectation over the initialisation, exactly (nothing is clipped), with an error of order
    m^(-1/2). Activations count by the Taylor coefficients that they keep.

    Parameters
    ----------
    W0 : array (m, d + 1)
        Rows from N(0, I / m).
    a : array (k, m)
        Entries from N(0, 1).
    target : General
        F, of :math:`\mathbb R^d`.

    Returns
    -------
    array (m, d + 1)

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    W0 = checks.matrix("W0", W0, columns=target.d + 1)
    a = checks.matrix("a", a, rows=target.k, columns=len(W0))
    W = np.zeros_like(W0)
    for r, i in np.ndindex(target.k, target.p):
        h = indicator_function(target.activations[r][i])(math.sqrt(len(W0)) * (W0 @ target.directions[r, i]))
        W += (a[r] * target.scales[r, i] / len(W0) * h)[:, None] * target.multipliers[r, i]
    return W


def fitted(W0: ArrayLike, a: ArrayLike, W: ArrayLike, X: ArrayLike) -> FloatArray:
    """Outputs sum_j a_{r,j} <w_j, (x, 1)> 1[<w0_j, (x, 1)> >= 0] at ``X`` (n, d): (n, k).

    The left side of Lemma E.1.

    Parameters
    ----------
    W0 : array (m, d + 1)
        Rows at the start, whose gates count.
    a : array (k, m)
        Output weights.
    W : array (m, d + 1)
        The rows that are to fit, from :func:`fitting_weights`.
    X : array (n, d)
        Inputs.

    Returns
    -------
    array (n, k)

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    W0 = checks.matrix("W0", W0)
    inputs = lifted(checks.matrix("X", X, columns=W0.shape[1] - 1))
    active = (inputs @ W0.T >= 0) * (inputs @ checks.matrix("W", W, columns=W0.shape[1]).T)
    return np.asarray(active @ checks.matrix("a", a, columns=len(W0)).T)


@lru_cache(maxsize=4)
def _legendre(nodes: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of Gauss-Legendre, which cost an eigenvalue problem."""
    t, weight = np.polynomial.legendre.leggauss(nodes)
    return t, weight


def _hermite_series(phi: Taylor) -> FloatArray:
    """Coefficients of h by Hermite polynomial: 2 c_0 and c_i / p'_i."""
    if not isinstance(phi, Taylor):
        raise RequestError(f"phi must be a Taylor, got {phi!r}")
    c = phi.coefficients
    if any(c[2::2]):
        raise RequestError("phi must have terms of order 0 and odd order only, got one of even order >= 2")
    return np.array([2 * c[0], *(c[i] / hermite_constant(i) if i % 2 else 0.0 for i in range(1, len(c)))])


def _hermite(i: int) -> Callable[[FloatArray], FloatArray]:
    basis = np.zeros(i + 1)
    basis[i] = 1.0
    return lambda z: np.asarray(np.polynomial.hermite_e.hermeval(z, basis))


def _odd(i: int) -> int:
    i = checks.integer("i", i, at_least=1, at_most=299)
    if i % 2 == 0:
        raise RequestError(f"i must be odd, got {i}")
    return i


def _log_double_factorial(n: int) -> float:
    """Logarithm of n!! for n >= -1."""
    if n <= 0:
        return 0.0
    half = n // 2
    if n % 2 == 0:
        return half * math.log(2) + math.lgamma(half + 1)
    return math.lgamma(n + 1) - half * math.log(2) - math.lgamma(half + 1)
