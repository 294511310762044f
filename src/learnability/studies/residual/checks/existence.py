"""Appendix E of Allen-Zhu & Li: Claim E.3 with its exact constant, Lemma E.2's function, Lemma E.1's weights."""

from __future__ import annotations

import math

import numpy as np

from learnability.checks import FloatArray
from learnability.evidence.intervals import exponents, mean
from learnability.problems.activations import Taylor, series
from learnability.problems.concepts import General
from learnability.seeding import generator
from learnability.studies.residual import PAPER, PROJECT, claim
from learnability.studies.residual.theorems.existence import (
    claim_e3,
    fitted,
    fitting_weights,
    hermite_constant,
    indicator_error,
    indicator_function,
    printed_constant,
    second_moment,
)
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id

__all__ = ["CHECKS"]

ACTIVATIONS = {
    "1": Taylor((1.0,)),
    "z": Taylor((0.0, 1.0)),
    "z^3": Taylor((0.0, 0.0, 0.0, 1.0)),
    "1 - z + z^5 / 2": Taylor((1.0, -1.0, 0.0, 0.0, 0.0, 0.5)),
    "sin": series("sin", 15),
    "sin(3 z)": series("sin", 25, 3.0),
    "tanh, degree 9": series("tanh", 9),
    "sigmoid, degree 9": series("sigmoid", 9),
}
"""With terms of order 0 and odd order only."""


def constants(scale: str) -> list[Guarantee]:
    """Claim E.3 for odd i: the exact constant, the printed bound where it is true and how often it is not."""
    orders = range(1, {"smoke": 8, "laptop": 24}[scale], 2)
    each = [claim_e3(i) for i in orders]
    ratios = [math.exp(math.lgamma(i + 1)) / (hermite_constant(i) * (i + 1)) ** 2 for i in range(1, 100, 2)]
    parts = [abs(hermite_constant(i)) / printed_constant(i) for i in orders]
    false = f"|p'_i| over the printed (i - 1)!! / 4, {', '.join(f'{part:.3g}' for part in parts)} for i = 1, 3, ...: "
    false += "the largest of those from 3 on, where at least 1 is printed; it is sqrt(2 / pi)"
    why = "largest i! / (p'_i (i + 1))^2, at i = 3, 3 pi / 4: what makes E h^2 <= C_s^2 true with C* = 2"
    return [
        tightest(f"residual/claim-e3[constant,i=1..{orders[-1]}]", [constant for constant, _ in each]),
        Guarantee(
            f"residual/claim-e3[printed,false,i=3..{orders[-1]}]", f"{PROJECT}, Claim E.3", Kind.EXACT,
            math.sqrt(2 / math.pi), max(parts[1:]), note=false, tolerance=1e-9,
        ),
        Guarantee(
            "residual/claim-e3[second moments,i=1..99]", PROJECT, Kind.EXACT, 3 * math.pi / 4, max(ratios), note=why,
            tolerance=1e-9,
        ),
    ]  # fmt: skip


def indicator(scale: str) -> list[Guarantee]:
    """Lemma E.2: the function h of each activation; its second moment and range against the complexities.

    Statement
    ---------
    Lemma E.2: for every phi with constant and odd Taylor terms there is a function h of one variable such that
    phi(<w*, x>) is the mean over Gaussian w of h(<w, w*>) where <w, x> >= 0, for unit x and w*. Its second moment
    is at most C_s(phi)^2 and its size at most C_eps(phi), if it may be off by eps.
    """
    chosen = dict(list(ACTIVATIONS.items())[:: 3 if scale == "smoke" else 1])
    found: dict[str, list[Guarantee]] = {"error": [], "second moment": [], "range": []}
    steepest = 0.0
    source, kind = f"{PAPER}, Lemma E.2", Kind.UPPER_BOUND
    for name, phi in chosen.items():
        bound, moment = phi.smoothness(2.0) ** 2, second_moment(phi)
        found["second moment"].append(Guarantee(f"[{name}]", source, kind, bound, moment, tolerance=1e-9))
        for eps in (1e-2, 1e-6):
            case, error = f"[{name},eps={eps:g}]", indicator_error(phi, eps=eps)
            found["error"].append(Guarantee(case, source, kind, eps, error, note="by quadrature"))
            h = indicator_function(phi, eps=eps)
            reach = 100 * math.sqrt(phi.degree) + 10 * math.sqrt(math.log(1 / eps)) + 1
            z = np.linspace(-reach, reach, 4001)
            values = h(z)
            bound = phi.complexity(eps, 1e4)
            # Differences over a step of the grid cannot exceed the largest slope.
            steepest = max(steepest, float(np.abs(np.diff(values)).max() / (z[1] - z[0]) / bound))
            found["range"].append(Guarantee(case, source, kind, bound, float(np.abs(values).max())))
    notes = {
        "error": "E[h 1] against phi on a grid of [-1, 1]; h clipped as in the paper",
        "second moment": "E h^2 against C_s^2 with C* = 2",
        "range": f"largest |h| against C_eps with C* = 10^4; largest slope over it: {steepest:.2g}",
    }
    ratios = {name: second_moment(phi) / phi.smoothness(1.0) ** 2 for name, phi in ACTIVATIONS.items()}
    shown = ", ".join(f"{ratio:.3g} for {name}" for name, ratio in ratios.items() if ratio > 1)
    return [
        *(tightest(f"residual/lemma-e2[{part}]", cases, notes[part]) for part, cases in found.items()),
        Guarantee(
            "residual/lemma-e2[second moment,least C*]", f"{PROJECT}, Lemma E.2", Kind.EXACT, 2.0,
            math.sqrt(max(ratios.values())), tolerance=1e-9,
            note=f"root of the largest E h^2 / C_s^2 at C* = 1, which is the C* that it takes; the ratio is {shown}",
        ),
    ]  # fmt: skip


def _target(rng: np.random.Generator, d: int, k: int, p: int) -> General:
    def unit() -> FloatArray:
        v = rng.standard_normal((k, p, d + 1))
        return np.asarray(v / np.linalg.norm(v, axis=2, keepdims=True))

    phis = list(ACTIVATIONS.values())
    activations = [[phis[int(rng.integers(len(phis)))] for _ in range(p)] for _ in range(k)]
    polynomials = [[Taylor(phi.coefficients) for phi in row] for row in activations]
    return General(unit(), unit(), polynomials, rng.uniform(-1, 1, (k, p)))


def weights(scale: str) -> list[Guarantee]:
    """Lemma E.1: W* at random initialisations of growing width; its error, and its norms as the proof has them.

    Statement
    ---------
    Lemma E.1: at a random start of width m some W* makes the linearised layer, sum_j a_j <w*_j, x> 1[<w0_j, x> >=
    0], equal to a function of Concept 2 to within eps |x|. Rows of W* are at most k p C_eps / m long, W* as a whole
    k p C_s / sqrt(m), up to logarithms.
    """
    sizes, draws = {"smoke": ((500, 2000, 8000), 40), "laptop": ((500, 2000, 8000, 32_000), 60)}[scale]
    d, k, p = 5, 2, 2
    errors = np.zeros((draws, len(sizes)))
    rows: list[Guarantee] = []
    for draw in range(draws):
        rng = generator(draw, "lemma E.1")
        target = _target(rng, d, k, p)
        X = rng.standard_normal((40, d))
        length = np.sqrt(1 + (X**2).sum(axis=1))
        wanted = target(X)
        for index, m in enumerate(sizes):
            W0, a = rng.standard_normal((m, d + 1)) / math.sqrt(m), rng.standard_normal((k, m))
            W = fitting_weights(W0, a, target)
            error = np.abs(fitted(W0, a, W, X) - wanted).sum(axis=1) / length
            errors[draw, index] = math.sqrt(float(np.mean(error**2)))
            norms, parts = np.linalg.norm(W, axis=1), _parts(W0, target)
            each = float((norms / (np.abs(a) * parts).sum(axis=0)).max())
            rows.append(
                Guarantee(f"[m={m},{draw}]", f"{PAPER}, Lemma E.1", Kind.UPPER_BOUND, 1.0, each, tolerance=1e-9)
            )
    shown = ", ".join(f"{error:.3g} at {m}" for m, error in zip(sizes, np.exp(np.log(errors).mean(axis=0))))
    return [
        claim(
            statement_id("lemma-e1", "exponent"), "Lemma E.1", {"smoke": 0.2, "laptop": 0.1}[scale],
            exponents(sizes, errors, unit="draws").distance(-0.5), "at_most",
            f"in m of sum_r |F_r - G_r| / |(x, 1)|; geometric means: {shown}", Kind.TREND,
        ),
        _attained(draws),
        tightest(
            "residual/lemma-e1[largest row]", rows,
            "largest |w*_j| over (1 / m) sum_r |a_rj| sum_i |a*_ri h_ri|, the proof's step before any complexity",
        ),
    ]  # fmt: skip


def _attained(draws: int) -> Guarantee:
    """F = 1, for which k p C_s(F) / sqrt(m), C* = 2 and no logarithms, is the norm of W* itself."""
    m, d = 8000, 5
    target = General(np.eye(d + 1)[None, :1], np.eye(d + 1)[None, -1:], Taylor((1.0,)))
    ratios = []
    for draw in range(draws):
        rng = generator(draw, "lemma E.1", "attained")
        W = fitting_weights(rng.standard_normal((m, d + 1)) / math.sqrt(m), rng.standard_normal((1, m)), target)
        ratios.append(float(np.linalg.norm(W)) * math.sqrt(m) / target.smoothness(2.0))
    away = mean(ratios, what="mean ratio", unit="draws").distance(1.0)
    note = f"|W*|_F over k p C_s(F) / sqrt(m), C* = 2, of F = 1, m = {m}: the bound is attained"
    return claim(statement_id("lemma-e1", "Frobenius norm"), "Lemma E.1", 0.005, away, "at_most", note, Kind.TREND)


def _parts(W0: FloatArray, target: General) -> FloatArray:
    """(1 / m) sum_i |a*_{r,i} h^{(r,i)}| of every unit, h clipped as in the paper: (k, m)."""
    h = np.zeros((target.k, len(W0)))
    for r, i in np.ndindex(target.k, target.p):
        values = indicator_function(target.activations[r][i], eps=0.01)(
            math.sqrt(len(W0)) * (W0 @ target.directions[r, i])
        )
        h[r] += np.abs(target.scales[r, i] * values) / len(W0)
    return h


CHECKS = (
    Check("claim-e3", f"{PAPER}, Claim E.3", constants),
    Check("lemma-e2", f"{PAPER}, Lemma E.2", indicator),
    Check("lemma-e1", f"{PAPER}, Lemma E.1", weights),
)
