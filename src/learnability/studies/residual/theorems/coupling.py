r"""Lemma C.1 of Allen-Zhu & Li (coupling) and Proposition B.4: how many gates a small movement can turn.

Proposition B.4 has :math:`g \sim N(0, I/m)` and :math:`\|g'\| \le \delta`, and bounds the sign changes by
:math:`O(m \delta^{2/3})`. The worst g' is known: it turns the smallest entries, as many as their squares fit into
:math:`\delta^2` (:func:`worst_sign_changes`). As m grows their share tends to f(delta) with

.. math:: E[z^2 1(|z| \le t)] = \delta^2, \quad f = P(|z| \le t) \le (6/\pi)^{1/3} \delta^{2/3}, \quad z \sim N(0, 1),

where the bound is sharp as delta -> 0 (this project: the density is largest at 0). So the O of Lemma C.1 (a) is
:math:`(6/\pi)^{1/3} (\tau_w/\sigma_w)^{2/3} m^{2/3}`, and that of (d) the same with
:math:`(\tau_v/\sigma_v)^{2/3} m`: the constant is 1.2407, and a rank-one movement reaches it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.studies.residual.theorems.numbers import concept_numbers, rounded

__all__ = [
    "ACROSS",
    "SIGN_CHANGES",
    "Coupling",
    "across_order",
    "coupling_orders",
    "existence_orders",
    "left_over",
    "random_share",
    "sign_change_share",
    "worst_sign_changes",
]

SIGN_CHANGES = (6 / math.pi) ** (1 / 3)
"""The constant of Proposition B.4 and of Lemma C.1 (a) and (d)."""

_MOMENT = 2**0.75 * math.gamma(1.25) / math.sqrt(math.pi)
"""E|z|^(3/2) of a standard Gaussian."""
ACROSS = 2 * 1.5 ** (1 / 3) * (_MOMENT**2 / (2 * math.sqrt(2 * math.pi))) ** (2 / 3)
"""Constant of :func:`across_order`, .639: what one movement attains, and so a lower bound on the largest."""


Quantity = TypeVar("Quantity")


class Coupling(NamedTuple, Generic[Quantity]):
    """The seven quantities of Lemma C.1, measured or as orders: numbers, or arrays with one for each input."""

    a: Quantity
    """Gates of the first layer that W turns."""
    b: Quantity
    """|A D_W W^(0) (x, 1)|: what is left of the initialisation in out_1."""
    c: Quantity
    """|out_1|."""
    d: Quantity
    """Gates of the second layer that V turns."""
    e: Quantity
    """|A D_{V,W} V^(0) (out_1, 1)|."""
    f: Quantity
    """|A D_{V,W} V^(0)|_2."""
    g: Quantity
    """|A D_{V,W} (V^(0) + V) (out_1, 1)|."""


def coupling_orders(
    *, m: int, k: int, tau_w: float, tau_v: float, sigma_w: float, sigma_v: float, first: float
) -> Coupling[float]:
    r"""The orders of Lemma C.1 (a) to (g), with constant 1 for every O and no logarithms, but for (a) and (d).

    .. math::

        (a)\ & (6/\pi)^{1/3} (\tau_w/\sigma_w)^{2/3} m^{2/3} &
        (b)\ & \tau_w (\tau_w/\sigma_w)^{1/3} m^{-1/6} + \sqrt k \sigma_w & (c)\ & \tau_w \\
        (d)\ & (6/\pi)^{1/3} (\tau_v/\sigma_v)^{2/3} m &
        (e)\ & \tau_v (\tau_v/\sigma_v)^{1/3} (\|out_1\| + 1) &
        (f)\ & \tau_v (\tau_v/\sigma_v)^{1/3} \qquad (g)\ \tau_v (\|out_1\| + 1)

    As printed; (f) is false, see :func:`across_order`.

    The movements that (a) and (d) speak of have spectral norm tau; a unit vector (x, 1) is moved by at most tau, one
    of another norm by as much more as its pre-activations are larger.

    Parameters
    ----------
    m, k : int
        Width and outputs, in 1..10^300.
    tau_w, tau_v, sigma_w, sigma_v : float
        > 0.
    first : float
        |out_1(x)|, >= 0.

    Returns
    -------
    Coupling of float
        (a) and (d) count gates: from m on, where a movement is too large beside its sigma, they say nothing.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    m, k = (checks.integer(name, n, at_least=1, at_most=10**300) for name, n in (("m", m), ("k", k)))
    values = {"tau_w": tau_w, "tau_v": tau_v, "sigma_w": sigma_w, "sigma_v": sigma_v}
    tau_w, tau_v, sigma_w, sigma_v = (checks.real(name, value, above=0.0) for name, value in values.items())
    first = checks.real("first", first, at_least=0.0)
    vanishing = tau_v * (tau_v / sigma_v) ** (1 / 3)
    return Coupling(
        SIGN_CHANGES * (tau_w / sigma_w) ** (2 / 3) * m ** (2 / 3),
        tau_w * (tau_w / sigma_w) ** (1 / 3) * m ** (-1 / 6) + math.sqrt(k) * sigma_w,
        tau_w,
        SIGN_CHANGES * (tau_v / sigma_v) ** (2 / 3) * m,
        vanishing * (first + 1),
        vanishing,
        tau_v * (first + 1),
    )


def across_order(*, tau_v: float, sigma_v: float) -> float:
    r"""The order of Lemma C.1 (f) as it is, :math:`\sigma_v (\tau_v/\sigma_v)^{2/3}` (this project).

    The paper has :math:`\tau_v (\tau_v/\sigma_v)^{1/3}` for :math:`\|A D_{V,W} V^{(0)}\|_2` as "a byproduct" of (e),
    which bounds the image of the one vector z = (out_1, 1) that the gates belong to: on the s gates that V turns,
    :math:`V^{(0)} z` is small. Along another direction u it is not, and V can choose to turn gates where
    :math:`V^{(0)} u` adds up. What the proof's means give is :math:`\|A_{S'}\|_2 \|V^{(0)}_{S'}\|_2`, of order
    :math:`\sigma_v s / m` (and logarithms) with :math:`s = (\tau_v/\sigma_v)^{2/3} m`: larger than printed by
    :math:`(\sigma_v/\tau_v)^{2/3}`. A V of rank one attains it. For unit a and unit u orthogonal to z, turning gate
    j adds :math:`\pm \langle a, A_j \rangle \langle v_j, u \rangle` to :math:`\langle a, A D V^{(0)} u \rangle` and
    costs :math:`\langle v_j, z \rangle^2` of :math:`(\tau_v \|z\|)^2`; taken in the order of gain over cost they
    add up to :data:`ACROSS` times this order as m grows and :math:`\tau_v/\sigma_v` tends to 0.

    As :math:`1/\sigma_v \le \tau_v^2` it is :math:`(\sigma_v \tau_v^2)^{1/3} \ge 1`. So Claim C.6, whose proof needs
    :math:`O(\tau_v)` here, is not proved for *all* :math:`\|V\|_F \le \tau_v`; for the V of a run it may be true.

    Parameters
    ----------
    tau_v, sigma_v : float
        > 0.

    Returns
    -------
    float
        A spectral norm.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    tau_v, sigma_v = checks.real("tau_v", tau_v, above=0.0), checks.real("sigma_v", sigma_v, above=0.0)
    return float(sigma_v * (tau_v / sigma_v) ** (2 / 3))


class Existence(NamedTuple):
    """The orders of Lemma C.2."""

    alpha_tilde: float
    first_norm: float
    """|W*|_F, order of k p_F C_s(F): a tenth of tau_w."""
    second_norm: float
    """|V*|_F, order of alpha_tilde k p_G C_s(G): a tenth of tau_v."""
    first_error: float
    """E|A D_{W^(0)} W* (x, 1) - F|^2 <= alpha_tilde^4."""
    second_error: float
    """|A D V* (out_1, 1) - alpha G(out_1)| over |(out_1, 1)|: alpha_tilde^2."""


def existence_orders(*, alpha: float, k: int, p_F: int, C_F: float, p_G: int, C_G: float) -> Existence:
    r"""Lemma C.2 (and, up to constants, C.3) with :math:`\tilde\alpha = \alpha / (k (p_F C_s(F) + p_G C_s(G)))`.

    Parameters
    ----------
    alpha : float
        Share of the composite signal, in (0, 1).
    k, p_F, p_G : int
        >= 1: outputs, and terms of an output of F and of G.
    C_F, C_G : float
        Complexities C_s of F and G, > 0.

    Returns
    -------
    Existence
        Of each number 0 or infinity where it leaves float64.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Errata
    ------
    Lemma C.3 (b) prints alpha_tilde G for alpha G.
    """
    numbers = concept_numbers(alpha=alpha, k=k, p_F=p_F, C_F=C_F, p_G=p_G, C_G=C_G)
    tilde = numbers.alpha / (numbers.base + numbers.composite)
    return Existence(*map(rounded, (tilde, numbers.base, tilde * numbers.composite, tilde**4, tilde**2)))


def worst_sign_changes(g: ArrayLike, reach: float) -> int:
    """How many signs of g + g' can differ from those of g for |g'| <= reach: the most entries whose squares fit.

    Proposition B.4, for a given g.

    Parameters
    ----------
    g : array (m,)
    reach : float
        >= 0.

    Returns
    -------
    int
        Exact but for the border case that the squares fill reach^2 exactly, which is counted.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    entries, reach = checks.vector("g", g), checks.real("reach", reach, at_least=0.0)
    if reach == 0:
        return int(np.count_nonzero(entries == 0))
    # a common power of two, for which squares leave float64 nowhere that counts
    _, shift = math.frexp(reach)
    with np.errstate(over="ignore"):
        squares = np.sort(np.ldexp(entries, -shift) ** 2)
        return int(np.searchsorted(np.cumsum(squares), math.ldexp(reach, -shift) ** 2, side="right"))


def sign_change_share(delta: float) -> float:
    """The limit of the worst share of sign changes of N(0, I / m) as m grows: f(delta) of the module's display.

    Proposition B.4, exactly in the limit (this project).

    Parameters
    ----------
    delta : float
        >= 0; from 1 on all signs can change.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    from scipy.special import ndtr

    delta = checks.real("delta", delta, at_least=0.0)
    if delta == 0 or delta >= 1:
        return float(delta >= 1)
    return float(2 * ndtr(_root(lambda t: float(_second(t)), delta)) - 1)


def random_share(delta: ArrayLike) -> FloatArray:
    """The share of signs of a Gaussian vector that a Gaussian one of delta times its length changes, elementwise.

    arctan(delta) / pi, of order delta, where the worst one's is of order delta^(2/3).

    Beside Proposition B.4 (this project).

    Parameters
    ----------
    delta : array
        >= 0, of any shape.

    Returns
    -------
    array
        Shares in [0, 1/2], of that shape.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    return np.asarray(np.arctan(checks.array("delta", delta, at_least=0.0)) / math.pi)


def left_over(delta: float) -> float:
    r"""How much of A D g a turning of gates that costs delta can add to |A D g|: what (b) and (e) come to.

    For :math:`g \sim N(0, I / m)` and A with entries N(0, 1 / m), turning gate j adds :math:`a_j |g_j|` to
    :math:`\langle u, A D g \rangle` (:math:`a = \pm u^T A`, u a unit vector) and costs :math:`g_j^2` of
    :math:`\delta^2`. Taken in the order of gain over cost, as m grows,

    .. math:: E[z_+ E_n |n| 1(|n| \le t z_+)], \quad E[n^2 1(|n| \le t z_+)] = \delta^2, \quad z, n \sim N(0, 1),

    which is :math:`\frac12 3^{2/3} (2/\pi)^{1/3} \delta^{4/3}`, .895 of it, as delta tends to 0 (this project). So
    the most that is left over in (b) is that of the start and .895 :math:`|\tilde x| \tau_w (\tau_w/\sigma_w)^{1/3}
    m^{-1/6}`, in (e) with .895 :math:`|z| \tau_v (\tau_v/\sigma_v)^{1/3}`: the printed orders and their constants.
    The paper's steps, :math:`\|A_S\|_2 |W \tilde x|` with (a), give 1.114 for the .895.

    Lemma C.1 (b) and (e), with constants.

    Parameters
    ----------
    delta : float
        In [0, .7]: from 2^(-1/2) on every gate that gains is turned.

    Returns
    -------
    float
        A norm, in units of that of g.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    delta = checks.real("delta", delta, at_least=0.0, at_most=0.7)
    if delta == 0:
        return 0.0
    nodes, weights = np.polynomial.hermite_e.hermegauss(160)
    z, weights = nodes[nodes > 0], weights[nodes > 0] / math.sqrt(2 * math.pi)
    t = _root(lambda t: float(weights @ _second(t * z)), delta)
    return float(weights @ (z * math.sqrt(2 / math.pi) * -np.expm1(-((t * z) ** 2) / 2)))


def _second(t: ArrayLike) -> FloatArray:
    """E[n^2; |n| <= t] of a standard Gaussian n."""
    from scipy.special import ndtr

    t = np.asarray(t, dtype=np.float64)
    exact = 2 * ndtr(t) - 1 - 2 * t * np.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    # For small t the difference cancels: sqrt(2/pi) t^3 (1/3 - t^2/10 + ...).
    series = math.sqrt(2 / math.pi) * t**3 * (1 / 3 - t**2 / 10 + t**4 / 56 - t**6 / 432)
    return np.asarray(np.where(t < 0.1, series, exact))


def _root(cost: Callable[[float], float], delta: float) -> float:
    """Where an increasing cost is delta^2."""
    from scipy.optimize import brentq

    most = 40.0
    while cost(most) < delta**2:
        most *= 10
    return float(brentq(lambda t: cost(t) - delta**2, 0.0, most, xtol=1e-15))
