"""Lemma C.2 of Allen-Zhu & Li: W*, V* that fit F and alpha G at a random start, by Lemma E.1's formula and at best.

The hard instance with d = 8, k = 2 (:mod:`learnability.studies.residual.checks.training`), over all its inputs; V*
over directions of (z, 1), which are enough because both sides are homogeneous in (z, 1).
"""

from __future__ import annotations

import numpy as np

from learnability.checks import FloatArray
from learnability.evidence.intervals import exponents
from learnability.networks.residual import ResNet3
from learnability.seeding import generator
from learnability.studies.residual import PAPER, PROJECT, claim
from learnability.studies.residual.checks.training import Case, D, K, cube
from learnability.studies.residual.theorems.competitor import Competitor, competitor, least_norm
from learnability.studies.residual.theorems.coupling import existence_orders
from learnability.studies.residual.theorems.existence import fitted
from learnability.studies.residual.theorems.monitors import Run
from learnability.studies.residual.theorems.thm1 import hard_complexities, theorem1
from learnability.study import Check
from learnability.theory import Guarantee, Hypothesis, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id

__all__ = ["CHECKS"]

ALPHA = 0.05
WIDTHS = {"smoke": (300, 4800), "laptop": (500, 2000, 8000, 32_000)}
DRAWS = 16
ROOM = {"smoke": 0.5, "laptop": 0.2}
"""For the exponent, about -1."""
SOLVED = {"smoke": (300,), "laptop": (300, 500, 1000, 2000)}
"""Widths at which the W* of least norm is found."""


def _case(m: int) -> Case:
    promise = theorem1(alpha=ALPHA, k=K, B_F=1.0, delta=0.1, **hard_complexities(D, K)._asdict())
    return Case(m, ALPHA, promise, 0)


def _directions(points: int) -> FloatArray:
    """Points z of R^2 such that (z, 1) is spread over all directions of the upper half space."""
    rng = generator(0, "lemma C.2", "directions")
    v = rng.standard_normal((points, K + 1))
    return np.asarray(v[:, :K] / np.maximum(np.abs(v[:, K:]), 1e-3))


def _errors(start: ResNet3, other: Competitor) -> tuple[float, float]:
    """E|A D W* x~ - F|^2, and the mean over directions of |A D V* (z, 1) - alpha G(z)|^2 / |(z, 1)|^2."""
    X, Z = cube(), _directions(500)
    first = fitted(start.W, start.A, other.W, X) - other.base(X)
    second = fitted(start.V, start.A, other.V, Z) - other.alpha * other.composite(Z)
    return float((first**2).sum() / len(X)), float(np.mean((second**2).sum(axis=1) / (1 + (Z**2).sum(axis=1))))


def existence(scale: str) -> list[Guarantee]:
    """How the fit improves with the width, against alpha_tilde; norms; and the W* of least norm."""
    numbers = {"alpha": ALPHA, "k": K, **hard_complexities(D, K, constant=2.0)._asdict()}
    orders, plain = existence_orders(**numbers), existence_orders(**(numbers | hard_complexities(D, K)._asdict()))
    # alpha, where Lemma C.2 has alpha_tilde for the norm of V*: Table 1 has alpha too.
    bounds = {"W": orders.first_norm, "V": ALPHA / orders.alpha_tilde * orders.second_norm}
    widths = WIDTHS[scale]
    errors = np.zeros((2, len(widths), DRAWS))
    norms: dict[str, list[Guarantee]] = {"W": [], "V": []}
    for place, m in enumerate(widths):
        case = _case(m)
        F, G = case.functions()
        for draw in range(DRAWS):
            start = case.start(draw)
            other = competitor(start, F, G, ALPHA, sigma_w=case.sigma_w, sigma_v=case.sigma_v)
            errors[:, place, draw] = _errors(start, other)
            for name, bound in bounds.items():
                size = float(np.linalg.norm(getattr(other, name)))
                norms[name].append(Guarantee(f"[m={m},{draw}]", f"{PAPER}, Lemma C.2", Kind.UPPER_BOUND, bound, size))
    found = []
    for part, values, goal in zip("ab", errors, (plain.first_error, plain.second_error**2)):
        ends = np.exp(np.log(values).mean(axis=1))
        found.append(
            claim(
                statement_id("lemma-c2", part, "exponent"), f"Lemma C.2 ({part})", ROOM[scale],
                exponents(widths, values.T, unit="draws").distance(-1.0), "at_most",
                f"exponent in m of the mean square error: {ends[0]:.3g} to {ends[-1]:.3g} (geometric means) at m = "
                f"{widths[0]}..{widths[-1]}; the lemma wants {goal:.2g}",
                Kind.TREND,
            )
        )  # fmt: skip
    formulas = {"W": "k p_F C_s(F)", "V": "alpha k p_G C_s(G)"}
    found += [
        tightest(f"residual/lemma-c2[|{name}*|]", cases, f"{formulas[name]} with C* = 2, no logarithms")
        for name, cases in norms.items()
    ]
    last, aim, m = float(np.exp(np.log(errors[0, -1]).mean())), plain.first_error, widths[-1]
    wide = Hypothesis("m >= poly(C(F), 1 / alpha_tilde)", False, f"m = {m}")
    note = "E|A D W* x~ - F|^2 against alpha_tilde^4, by Lemma E.1's formula; at this rate it would take m = "
    found.append(
        claim(
            f"lemma-c2[a,m={m}]", "Lemma C.2 (a)", aim, last, "at_most", f"{note}{m * last / aim:.2g}",
            Kind.UPPER_BOUND, hypotheses=(wide,),
        )
    )  # fmt: skip
    return [*found, *_best(scale, plain.first_norm, aim)]


def _best(scale: str, norm: float, error: float) -> list[Guarantee]:
    """The least |W*|_F with A D_{W^(0)} W* x~ = F(x) at every input."""
    sizes, worst = {}, 0.0
    for m in SOLVED[scale]:
        case = _case(m)
        F, _ = case.functions()
        start, X = case.start(), cube()
        W = least_norm(Run(start, start, X), F(X))
        sizes[m] = float(np.linalg.norm(W))
        worst = max(worst, float(((fitted(start.W, start.A, W, X) - F(X)) ** 2).sum() / len(X)))
    shown = ", ".join(f"{size:.3g} at {m}" for m, size in sizes.items())
    source, kind, most = f"{PROJECT}, Lemma C.2 (a)", Kind.UPPER_BOUND, max(sizes.values())
    off = f"E|A D W* x~ - F|^2 of the least W* against alpha_tilde^4; m = {', '.join(map(str, sizes))}"
    exists = (
        f"its |W*|_F against k p_F C_s(F), C* = 1: {shown}; so what (a) claims to exist does, at widths "
        "where Lemma E.1's formula is far from it"
    )
    return [
        Guarantee("residual/lemma-c2[a,least norm,error]", source, kind, error, worst, note=off),
        Guarantee("residual/lemma-c2[a,least norm,norm]", source, kind, norm, most, note=exists),
    ]


CHECKS = (Check("lemma-c2", f"{PAPER}, Lemma C.2", existence),)
