"""Lemma C.2 of Allen-Zhu & Li: W*, V* that fit F and alpha G at a random start, by Lemma E.1's formula and at best.

The hard instance with d = 8, k = 2 (:mod:`learnability.studies.residual.checks.training`), over all its inputs; V*
over directions of (z, 1), which are enough because both sides are homogeneous in (z, 1).

The lemma holds from a width on that it does not print. With Lemma E.1's formula the mean square error falls like
1/m, and alpha_tilde^4, which (a) asks for, is reached at m of order 1e13 (at alpha = .05), the square of (b)'s
alpha_tilde^2 at 1e9: neither is met at widths that can be run, and neither order nor constant is at fault. The
shortest W* fits at m = 300 already; how long it is, and the shortest V* that fits at 60 directions, is known for wide
networks (the kernel of one layer of gates), and is what is checked.

The norm of V* is printed as alpha_tilde k p_G C_s(G), a tenth of tau_v, which Table 1 has as alpha k p_G C_s(G). The
shortest V* is longer than the first (7 times here) and shorter than the second: alpha is right, and no constant saves
alpha_tilde, which falls like d^(-1/2) where the shortest V* does not know d.
"""

from __future__ import annotations

import math

import numpy as np

from learnability.checks import FloatArray
from learnability.evidence.intervals import exponents
from learnability.kernels.residual import limit
from learnability.networks import residual as networks
from learnability.networks.residual import ResNet3
from learnability.seeding import generator
from learnability.studies.residual import PROJECT, claim
from learnability.studies.residual.checks.training import Case, D, K, cube
from learnability.studies.residual.theorems.competitor import Competitor, competitor, least_norm
from learnability.studies.residual.theorems.coupling import existence_orders
from learnability.studies.residual.theorems.existence import fitted
from learnability.studies.residual.theorems.thm1 import hard_complexities
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.guarantee import statement_id

__all__ = ["CHECKS", "directions", "shortest"]

ALPHA = 0.05
WIDTHS = {"smoke": (300, 4800), "laptop": (500, 2000, 8000, 32_000)}
DRAWS = 16
ROOM = {"smoke": 0.25, "laptop": 0.15}
"""For the exponent, about -1."""
SOLVED = 4
"""Draws for which the W* and V* of least norm are found."""
NEAR = {"smoke": 0.05, "laptop": 0.02}
"""For their norms at the largest width, relative to infinite width."""


def _start(m: int, draw: int) -> tuple[Case, ResNet3]:
    case = Case(m, ALPHA, 1.0, 1.0, 0, draw=draw)
    return case, case.start()


def directions(points: int) -> FloatArray:
    """Points z of R^2 such that (z, 1) is spread over all directions of the upper half space."""
    rng = generator(0, "lemma C.2", "directions")
    v = rng.standard_normal((points, K + 1))
    return np.asarray(v[:, :K] / np.maximum(np.abs(v[:, K:]), 1e-3))


def _errors(start: ResNet3, other: Competitor) -> tuple[float, float]:
    """E|A D W* x~ - F|^2, and the mean over directions of |A D V* (z, 1) - alpha G(z)|^2 / |(z, 1)|^2."""
    X, Z = cube(), directions(500)
    first = fitted(start.W, start.A, other.W, X) - other.base(X)
    second = fitted(start.V, start.A, other.V, Z) - other.alpha * other.composite(Z)
    return float((first**2).sum() / len(X)), float(np.mean((second**2).sum(axis=1) / (1 + (Z**2).sum(axis=1))))


def shortest(W: FloatArray, A: FloatArray, X: FloatArray, targets: FloatArray) -> FloatArray:
    """The least W* with A D_W W* (x, 1) = targets at X, both sides homogeneous in (x, 1)."""
    lifted, size = _unit(X)
    return least_norm((lifted @ W.T >= 0)[:, None, :] * A, lifted, targets / size)


def _widest(X: FloatArray, targets: FloatArray) -> float:
    """The norm of :func:`shortest` at infinite width."""
    _, size = _unit(X)
    gates = limit(X, X).W / (size * size.T)
    return math.sqrt(float(np.sum(targets / size * np.linalg.lstsq(gates, targets / size, rcond=1e-12)[0])))


def _unit(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(x, 1) of length 1, and its length."""
    lifted = networks.lifted(X)
    size = np.linalg.norm(lifted, axis=1, keepdims=True)
    return lifted / size, size


def existence(scale: str) -> list[Guarantee]:
    """How the fit by Lemma E.1 improves with the width, and how long the shortest W* and V* are.

    Statement
    ---------
    Lemma C.2: at a random start of a wide network there are W* and V*, of norms at most tau_w / 10 and tau_v / 10,
    such that A D_W W* (x, 1) is F(x) to within alpha~^4 in mean square and A D_V,W V* (out_1, 1) is alpha G(out_1)
    to within alpha~^2 times the length of (out_1, 1), alpha~ = alpha / (k (p_F C_s(F) + p_G C_s(G))). They are what
    SGD is compared with.

    Errata
    ------
    The norm of V* is printed with alpha~ where Table 1 has alpha, and alpha is right: no constant saves alpha~.
    """
    orders = existence_orders(alpha=ALPHA, k=K, **hard_complexities(D, K)._asdict())
    widths, X, Z = WIDTHS[scale], cube(), directions(60)
    errors, formula = np.zeros((2, len(widths), DRAWS)), np.zeros((2, len(widths), DRAWS))
    least = np.zeros((2, len(widths), SOLVED))
    for place, m in enumerate(widths):
        for draw in range(DRAWS):
            case, start = _start(m, draw)
            F, G = case.functions()
            other = competitor(start, F, G, ALPHA, sigma_w=case.sigma_w, sigma_v=case.sigma_v)
            errors[:, place, draw] = _errors(start, other)
            formula[:, place, draw] = np.linalg.norm(other.W), np.linalg.norm(other.V)
            if draw < SOLVED:
                solved = shortest(start.W, start.A, X, F(X)), shortest(start.V, start.A, Z, ALPHA * G(Z))
                least[:, place, draw] = [np.linalg.norm(one) for one in solved]
    sizes = _widest(X, F(X)), _widest(Z, ALPHA * G(Z))
    least /= np.array(sizes)[:, None, None]
    found = []
    for part, values, goal in zip("ab", errors, (orders.first_error, orders.second_error**2), strict=True):
        ends = np.exp(np.log(values).mean(axis=1))
        found.append(
            claim(
                statement_id("lemma-c2", part, "exponent"), f"Lemma C.2 ({part})", ROOM[scale],
                exponents(widths, values.T, unit="draws").distance(-1.0), "at_most",
                f"exponent in m of the mean square error by Lemma E.1's formula: {ends[0]:.3g} to {ends[-1]:.3g} "
                f"(geometric means) at m = {widths[0]}..{widths[-1]}; the lemma wants {goal:.2g}, extrapolated at "
                f"this rate from m = {widths[-1] * ends[-1] / goal:.1g} on",
                Kind.TREND,
            )
        )  # fmt: skip
    wide = ALPHA / orders.alpha_tilde * orders.second_norm
    printed = {
        "W": f"{sizes[0] / orders.first_norm:.3g} of the printed order k p_F C_s(F), C* = 1",
        "V": f"{sizes[1] / orders.second_norm:.3g} of the printed order alpha_tilde k p_G C_s(G), C* = 1, and "
        f"{sizes[1] / wide:.3g} of Table 1's alpha k p_G C_s(G)",
    }
    for name, values, size, by_formula in zip("WV", least, sizes, formula, strict=True):
        at = values.mean(axis=1)
        note = (
            f"|{name}*|_F of the shortest {name}* that fits over {size:.4g}, that of infinite width: {at[0]:.4g} to "
            f"{at[-1]:.4g} at m = {widths[0]}..{widths[-1]}, means over {SOLVED} draws; {printed[name]}; by Lemma "
            f"E.1's formula |{name}*|_F is {by_formula[-1].mean():.3g}"
        )
        identity, source = f"residual/lemma-c2[|{name}*|,least]", f"{PROJECT}, Lemma C.2"
        found.append(Guarantee(identity, source, Kind.EXACT, 1.0, float(at[-1]), (), note, tolerance=NEAR[scale]))
    return found


CHECKS = (Check("lemma-c2", "Allen-Zhu & Li, Lemma C.2", existence),)
