r"""Theorem 1 and Corollary 7.1 of Allen-Zhu & Li, with every hidden constant exposed; Claims C.5 to C.7.

The theorem: for :math:`\alpha \le c_\alpha / (k p_G C_s(G))` and
:math:`\delta \ge OPT + c_r \alpha^4 (k p_G C_s(G))^4 (1 + B_F)^2`, SGD with

.. math:: \eta_w = c_\eta \min(1, \delta), \quad
          \eta_v = \eta_w\, c_v \left( \frac{\alpha p_G C_s(G)}{p_F C_s(F)} \right)^2, \quad
          T = c_T \frac{(k p_F C_s(F))^2}{\min(1, \delta^2)}

has :math:`\frac1T \sum_t E \|H - out(W_t, V_t)\|^2 \le c_\delta \delta` at widths where Table 1
(:mod:`learnability.studies.residual.theorems.table`) holds. The paper gives none of the constants, and none can be
measured at widths that can be run: the numbers here say how the promise scales. What is checked of them are claims
about runs (:mod:`learnability.studies.residual.checks.training`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from learnability import checks
from learnability.studies.residual.theorems.numbers import concept_numbers, rounded, share
from learnability.theory.guarantee import Hypothesis, joined

__all__ = [
    "Constants",
    "Promise",
    "corollary71",
    "distance_bound",
    "gradient_orders",
    "hard_complexities",
    "kernel_samples",
    "perturbation_bound",
    "theorem1",
]


@dataclass(frozen=True)
class Constants:
    """What the paper's O, Theta and their tildes hide; 1 each by default."""

    alpha: float = 1.0
    risk: float = 1.0
    rate: float = 1.0
    ratio: float = 1.0
    time: float = 1.0
    delta: float = 1.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            checks.real(name, value, above=0.0)


class Promise(NamedTuple):
    """What Theorem 1 promises."""

    floor: float
    """The least delta: OPT + c_r alpha^4 (k p_G C_s(G))^4 (1 + B_F)^2."""
    delta: float
    risk: float
    """Bound of the average of E||H - out||^2 over the run."""
    samples: float
    """T: steps of SGD, each with a fresh sample."""
    eta_w: float
    eta_v: float
    hypotheses: tuple[Hypothesis, ...]
    note: str
    """Which hypothesis fails, with the values compared; empty where the theorem applies."""


def theorem1(
    *,
    alpha: float,
    k: int,
    p_F: int,
    C_F: float,
    p_G: int,
    C_G: float,
    B_F: float,
    delta: float | None = None,
    opt: float = 0.0,
    constants: Constants | None = None,
) -> Promise:
    """Risk, samples and rates of Theorem 1: exact but for one rounding, infinite or 0 where they leave float64.

    Parameters
    ----------
    alpha : float
        In (0, 1).
    k, p_F, p_G : int
        >= 1: outputs, and terms of an output of F and of G.
    C_F, C_G : float
        C_s of F and G, > 0, with the C* of their activations.
    B_F : float
        Bound of |F(x)|, > 0; 1 in Concept 1.
    delta : float, optional
        Accuracy asked for, > 0; the floor by default.
    opt : float
        Half the squared error of the best function of the class, >= 0.
    constants : Constants, optional

    Returns
    -------
    Promise
        Its ``note`` says where a hypothesis fails: nothing is promised there, whatever the numbers are.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    numbers = concept_numbers(alpha=alpha, k=k, p_F=p_F, C_F=C_F, p_G=p_G, C_G=C_G)
    bound, least = checks.rational("B_F", B_F, above=0.0), checks.rational("opt", opt, at_least=0.0)
    c = {name: Fraction(value) for name, value in vars(constants or Constants()).items()}
    floor = least + c["risk"] * (numbers.alpha * numbers.composite) ** 4 * (1 + bound) ** 2
    aim = floor if delta is None else checks.rational("delta", delta, above=0.0)
    eta_w = c["rate"] * min(Fraction(1), aim)
    ratio = numbers.alpha * numbers.p_G * numbers.C_G / (numbers.p_F * numbers.C_F)
    most, room = c["alpha"] / numbers.composite, 1 + Fraction(1, 10**12)
    shown = f"{float(numbers.alpha):.4g} <= {rounded(most):.4g}"
    small = Hypothesis("alpha <= c / (k p_G C_s(G))", numbers.alpha <= most, shown)
    reached = Hypothesis("delta >= the floor", aim * room >= floor, f"{rounded(aim):.4g} >= {rounded(floor):.4g}")
    failed = [f"{needed.name} fails, {needed.detail}" for needed in (small, reached) if not needed.holds]
    return Promise(
        rounded(floor),
        rounded(aim),
        rounded(c["delta"] * aim),
        rounded(c["time"] * (numbers.base / min(Fraction(1), aim)) ** 2),
        rounded(eta_w),
        rounded(eta_w * c["ratio"] * ratio**2),
        (small, reached),
        f"outside its hypotheses: {'; '.join(failed)}" if failed else "",
    )


class Complexities(NamedTuple):
    """Of the hard instance as a member of Concept 1, labels divided by sqrt(k)."""

    p_F: int
    C_F: float
    p_G: int
    C_G: float


def hard_complexities(d: int, k: int, *, constant: float = 1.0) -> Complexities:
    r"""Section D.4's p_F = 1, C_s(F) = 2 C* sqrt(2 d / k), p_G = 2^k, C_s(G).

    :math:`C_s(G) = C^* (k+1) k^k 2^{k/2} / (\sqrt k\, k!\, 2^k)` with weights of norm :math:`1/\sqrt 2` and
    :math:`|a| \le 1`: the paper's :math:`O(\sqrt d)` and :math:`2^{O(k)}`.

    Parameters
    ----------
    d, k : int
        2 <= k <= d; k <= 100, d <= 10^300.
    constant : float
        C*, > 0.

    Returns
    -------
    Complexities

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    d = checks.integer("d", d, at_least=2, at_most=10**300)
    k = checks.integer("k", k, at_least=2, at_most=min(d, 100))
    C = checks.real("constant", constant, above=0.0)
    log_G = (k - 0.5) * math.log(k) - k / 2 * math.log(2) - math.lgamma(k + 1)
    return Complexities(1, 2 * C * math.sqrt(2 * d / k), 2**k, C * (k + 1) * math.exp(log_G))


class Corollary(NamedTuple):
    """Corollary 7.1 in units of the hard instance's own labels."""

    promise: Promise
    """Theorem 1 for the labels divided by sqrt(k)."""
    risk: float
    """k times its risk: E||H - out||^2."""
    samples: float
    printed_samples: float
    """k^2 d / alpha^8, the printed number without its constant and logarithms: looser than T, of order k d / alpha^8
    times 2^(-O(k))."""
    kernel_samples: float
    """C(d_1, k) / 1000: as many do not help any kernel below ``kernel_risk`` for 99 % of the targets (Theorem 2)."""
    kernel_risk: float
    """Least E||H - K||^2 there: the paper's alpha^2 / 16."""
    sharper_kernel_risk: float
    """The same, 0.9 k alpha^2 (this project)."""
    note: str
    """Where a half says nothing: its hypotheses fail, ``risk`` is no less than the k alpha^2 of knowing F alone, or
    ``kernel_samples`` is below 1."""


def corollary71(
    d: int,
    k: int,
    alpha: float,
    *,
    d_1: int | None = None,
    constant: float = 1.0,
    delta: float | None = None,
    constants: Constants | None = None,
) -> Corollary:
    """Corollary 7.1 beside Theorem 2: what the ResNet is promised on the hard instance, and what no kernel reaches.

    Parameters
    ----------
    d, k : int
        2 <= k <= d_1 <= d.
    alpha : float
        In (0, 1).
    d_1 : int, optional
        Uniform coordinates; d by default.
    constant : float
        C* in the complexities.
    delta : float, optional
        As in :func:`theorem1`, for the labels divided by sqrt(k).
    constants : Constants, optional

    Returns
    -------
    Corollary
        Its ``note`` says which half is outside its hypotheses or vacuous.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    found, alpha = hard_complexities(d, k, constant=constant), share(alpha)
    d_1 = d if d_1 is None else checks.integer("d_1", d_1, at_least=k, at_most=d)
    promise = theorem1(alpha=alpha, k=k, B_F=1.0, delta=delta, constants=constants, **found._asdict())
    risk, alone, most = k * promise.risk, k * alpha**2, kernel_samples(d_1, k)
    empty = f"vacuous: a risk of {risk:.3g} is no less than that of F alone, k alpha^2 = {alone:.3g}"
    no_kernel = f"vacuous: Theorem 2 speaks of at most {most:.3g} examples"
    notes = (promise.note, empty if risk >= alone else "", no_kernel if most < 1 else "")
    return Corollary(
        promise,
        risk,
        promise.samples,
        rounded(k**2 * d / Fraction(alpha) ** 8),
        most,
        alpha**2 / 16,
        0.9 * alone,
        joined(*notes),
    )


def kernel_samples(d_1: int, k: int) -> float:
    """C(d_1, k) / 1000: the N up to which Theorem 2 speaks.

    Parameters
    ----------
    d_1 : int
        Uniform coordinates, >= 2.
    k : int
        Size of the sets, 2..d_1.

    Returns
    -------
    float
        Infinite if it exceeds float64's range; below 1 it speaks of no example, and says nothing.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    d_1 = checks.integer("d_1", d_1, at_least=2)
    return rounded(Fraction(math.comb(d_1, checks.integer("k", k, at_least=2, at_most=d_1)), 1000))


# Claims of the optimisation part, as functions of numbers


def gradient_orders(*, residual: float, sigma_v: float, tau_w: float) -> tuple[float, float]:
    """Claim C.5, constants 1: |grad_W| <= |y - out| (sigma_v + 1) and |grad_V| <= |y - out| (tau_w + 1).

    The final proof uses |grad_W| <= O(1) |y - out| although sigma_v may be m^(3/8). Lemma C.1 (f) as printed would
    give that, by |A D_{V,W} V^(0)|; as it is true it does not
    (:func:`learnability.studies.residual.theorems.coupling.across_order`).

    Parameters
    ----------
    residual : float
        |y - out|, >= 0.
    sigma_v, tau_w : float
        As in Table 1, >= 0.

    Returns
    -------
    tuple of float
        Of the gradients in W and in V.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Errata
    ------
    The final proof takes |grad_W| <= O(1) |y - out|, which this claim does not give where sigma_v grows with the
    width.
    """
    residual = checks.real("residual", residual, at_least=0.0)
    sigma_v, tau_w = checks.real("sigma_v", sigma_v, at_least=0.0), checks.real("tau_w", tau_w, at_least=0.0)
    return residual * (sigma_v + 1), residual * (tau_w + 1)


def perturbation_bound(
    *, risk: float, alpha: float, alpha_tilde: float, tau_v: float, L_G: float, B_F: float, constant: float = 1.0
) -> float:
    r"""Claim C.6's bound of E|Err|^2, where f(W* - W) + g(V* - V) = H - out + Err.

    .. math:: c (\tau_v + \alpha L_G)^2 E \|H - out\|^2
              + c \left( \tilde\alpha^2 + \tau_v^2 (1 + B_F) + \alpha \tau_v L_G (B_F + 1) \right)^2

    Parameters
    ----------
    risk : float
        E|H - out|^2, >= 0.
    alpha, alpha_tilde : float
        As in Lemma C.2 (:func:`learnability.studies.residual.theorems.coupling.existence_orders`), >= 0.
    tau_v : float
        How far V may move, >= 0.
    L_G, B_F : float
        Lipschitz constant of G, and bound of F, >= 0.
    constant : float
        The c for what the paper hides, > 0.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    values = {"risk": risk, "alpha": alpha, "alpha_tilde": alpha_tilde, "tau_v": tau_v, "L_G": L_G, "B_F": B_F}
    exact = {name: checks.rational(name, value, at_least=0.0) for name, value in values.items()}
    tilde, tau, room = exact["alpha_tilde"], exact["tau_v"], exact["B_F"] + 1
    slope = exact["alpha"] * exact["L_G"]
    fixed = tilde**2 + tau**2 * room + slope * tau * room
    return rounded(checks.rational("constant", constant, above=0.0) * ((tau + slope) ** 2 * exact["risk"] + fixed**2))


def distance_bound(
    *, error: float, alpha: float, tau_v: float, B_F: float, B_FG: float, constant: float = 1.0
) -> float:
    """Claim C.7: |out_1 - F| <= 2 |out - H| + c (tau_v (B_F + 1) + alpha B_{F o G}).

    Parameters
    ----------
    error : float
        |out - H|, >= 0.
    alpha, tau_v, B_F, constant
        As in :func:`perturbation_bound`.
    B_FG : float
        Bound of G(F), >= 0.

    Returns
    -------
    float
        A distance.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    values = {"error": error, "alpha": alpha, "tau_v": tau_v, "B_F": B_F, "B_FG": B_FG}
    error, alpha, tau_v, B_F, B_FG = (checks.real(n, v, at_least=0.0) for n, v in values.items())
    return 2 * error + checks.real("constant", constant, above=0.0) * (tau_v * (B_F + 1) + alpha * B_FG)
