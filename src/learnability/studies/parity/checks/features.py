"""Lemmas 10 and 11 of Daniely & Malach: what the neurons compute after the exact first step, for all inputs at once.

A neuron's value after the step depends on the k signs in A and on the sum outside A, in which it is monotone; a good
neuron's on the k signs alone. So "for all x" is checked over the 2^k patterns of A and, for the others, the two ends
of the sum outside. Over the draw of (w, u), Lemma 11's probability is an exact sum over the number of +1 and -1 in A
and the number m of non-zero weights outside A, of the length of an interval of u.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.evidence.claims import judged
from learnability.evidence.intervals import mean
from learnability.networks.parity import feature, relu6, representation
from learnability.problems.boolean import signs
from learnability.problems.parity import ParityMixture
from learnability.seeding import generator
from learnability.studies.parity import PAPER
from learnability.studies.parity.theorems import features as theory
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.training.population import correlation

__all__ = ["CHECKS", "lemma11_drawn", "lemma11_probabilities", "patterns"]

LEMMA10 = {"smoke": (3, 7), "laptop": (3, 5, 7, 9, 11)}
DRAWN11: dict[str, tuple[tuple[int, int, int], ...]] = {"smoke": (), "laptop": ((640_601, 7, 200),)}
"""(n, k, drawn w) within Lemma 11's printed hypotheses at :data:`DRAWN_EPSILON`: n >= k^8 / epsilon^2 = 640,534."""
DRAWN_EPSILON = 3.0
LEMMA11 = {"smoke": ((51, 3), (101, 5)), "laptop": ((51, 3), (200, 3), (201, 5), (301, 7), (2501, 7))}


def patterns(k: int) -> tuple[FloatArray, FloatArray]:
    """The 2^k sign patterns of A, (2^k, k), and their parities."""
    S = signs(k)
    return S, S.prod(axis=1)


# The representation and Lemma 10


def representations(_scale: str) -> list[Guarantee]:
    """The coefficients for k = 3..15, and what becomes of them with ReLU6."""
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    for k in range(3, 16, 2):
        r, c = representation(k)
        z = r.astype(float)
        plain = np.array([feature(int(i), z) for i in r]).T  # (sums, features)
        capped = np.array([feature(int(i), z, cap=True) for i in r]).T
        target: FloatArray = 1.0 - 2 * ((k - r) // 2 % 2).astype(np.float64)
        found = theory.representation(
            k=k,
            error=float(np.abs(plain @ c - target).max()),
            rank=int(np.linalg.matrix_rank(plain)),
            capped_rank=int(np.linalg.matrix_rank(capped)),
            capped_error=_best_fit(capped, target),
        )
        for name, g in zip(("", "-rank", "-rank[ReLU6]", "-relu6"), found, strict=True):
            cases[f"parity/representation{name}"].append(g)
    return [tightest(identity, found, "k = 3..15") for identity, found in cases.items()]


def _best_fit(F: FloatArray, target: FloatArray) -> float:
    """The least max |F c - target|, by a linear programme."""
    from scipy.optimize import linprog

    m, d = F.shape
    one = np.ones((m, 1))
    found = linprog(
        np.r_[np.zeros(d), 1.0],
        A_ub=np.block([[F, -one], [-F, -one]]),
        b_ub=np.r_[target, -target],
        bounds=[(None, None)] * d + [(0, None)],
        method="highs-ds",
    )
    c: FloatArray = np.asarray(found.x)[:d]
    return float(np.abs(F @ c - target).max())


def lemma10(scale: str) -> list[Guarantee]:
    """Probabilities over u by bisection; the identity at u*; how far the printed forms are off."""
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    for k in LEMMA10[scale]:
        for r, alpha in product(range(-k, k + 1, 2), (0.25, 0.26, 0.5, 1.0)):
            best = theory.best_output_weight(n=200, k=k, r=r, alpha=alpha) * k / 200
            at_best = float(_errors(np.array([best]), k, r, alpha)[0])
            epsilons = np.array([e for e in (0.1, 0.5, 1.0, k / 2, float(k * abs(r))) if e <= k * abs(r)])
            for epsilon, p in zip(epsilons, _probabilities(best, epsilons, k, r, alpha)):
                for g in theory.lemma10(
                    k=k, r=r, alpha=alpha, epsilon=float(epsilon), probability=float(p), at_best=at_best, room=1e-12
                ):
                    cases[g.id.partition("[")[0]].append(g)
    where = f"k = {', '.join(map(str, LEMMA10[scale]))}, every r"
    found = [tightest(identity, gs, where) for identity, gs in cases.items()]
    return found + _printed(LEMMA10[scale])


def _printed(ks: tuple[int, ...]) -> list[Guarantee]:
    """The least error over the printed range of u, which is taken at an end, and the error with ReLU6 in phi_r."""
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    t, alpha = np.linspace(-1, 1, 2001), 0.25
    for n, k in product((300, 1000), ks):
        for r in range(1, k + 1, 2):
            best = np.array([theory.best_output_weight(n=n, k=k, r=r, alpha=alpha) * k / n])
            for g in theory.lemma10_printed(
                n=n, k=k, r=r, alpha=alpha, range_error=float(_errors(t * r / n, k, r, alpha).min()),
                cap_error=float(_errors(best, k, r, alpha, cap=True)[0]),
            ):  # fmt: skip
                cases[g.id.partition("[")[0]].append(g)
    return [tightest(identity, gs, "n = 300 and 1000, every r > 0") for identity, gs in cases.items()]


def _probabilities(best: float, epsilons: FloatArray, k: int, r: int, alpha: float) -> FloatArray:
    """P[error <= epsilon] for t = u k / n uniform in [-1, 1], for every epsilon, given a t with error 0.

    Each term of the supremum is monotone in t up to the absolute value, so the t with error <= epsilon are an
    interval; its ends are found by bisection.
    """
    ends = []
    for side in (-1.0, 1.0):
        inside, outside = np.full_like(epsilons, best), np.full_like(epsilons, side)
        for _ in range(50):
            middle = (inside + outside) / 2
            within = _errors(middle, k, r, alpha) <= epsilons
            inside, outside = np.where(within, middle, inside), np.where(within, outside, middle)
        ends.append(inside)
    return (ends[1] - ends[0]) / 2


def _errors(t: FloatArray, k: int, r: int, alpha: float, *, cap: bool = False) -> FloatArray:
    """Supremum over |z| <= k of | |r|/b relu6(alpha t z / k + b) - phi_r(z) |, with u = t n / k, for every t.

    The difference is piecewise linear in z, so the supremum is taken at an end or at a kink.
    """
    b = 1 / (8 * k)
    slope = np.where(t == 0, 1e-300, alpha * t / k)
    kinks = [np.full_like(t, z) for z in (-k, k, r, r - 6 * np.sign(r))]
    z = np.clip(np.stack([*kinks, -b / slope, (6 - b) / slope]), -k, k)
    difference = abs(r) / b * relu6(slope * z + b) - feature(r, z, cap=cap)
    worst: FloatArray = np.abs(difference).max(axis=0)
    return worst


# Lemma 11


class _Kind(NamedTuple):
    """Neurons that differ in nothing that matters, and their probability."""

    W: NDArray[np.int8]
    m: NDArray[np.int64]
    probability: FloatArray


def _kinds(n: int, k: int) -> _Kind:
    """One neuron for each number of +1 and of -1 in A (the first k coordinates) and each m within 6 deviations."""
    from scipy.special import gammaln

    rest = n - k
    deviation = 6 * math.sqrt(rest * 2 / 9) + 1
    m = np.arange(max(0, math.floor(2 * rest / 3 - deviation)), min(rest, math.ceil(2 * rest / 3 + deviation)) + 1)
    log_law = gammaln(rest + 1) - gammaln(m + 1) - gammaln(rest - m + 1) + m * math.log(2) - rest * math.log(3)
    law = np.exp(log_law)
    outside = (np.arange(rest) < m[:, None]).astype(np.int8)
    rows, weights = [], []
    for plus in range(k + 1):
        for minus in range(k - plus + 1):
            inside = np.repeat([1, -1, 0], [plus, minus, k - plus - minus]).astype(np.int8)
            rows.append(np.hstack([np.tile(inside, (len(m), 1)), outside]))
            weights.append(law * (math.comb(k, plus) * math.comb(k - plus, minus) / 3**k))
    return _Kind(np.concatenate(rows), np.tile(m, len(rows)), np.concatenate(weights))


def lemma11_probabilities(n: int, k: int, epsilons: tuple[float, ...]) -> Iterator[tuple[int, float, float]]:
    """For every r > 0 and epsilon: P_{w,u}[|psi^ - psi_r| <= 2 epsilon for all x], exactly but for m far out.

    Yields (r, epsilon, probability); for -r it is the same, as u is symmetric. What is left out (m beyond 6 standard
    deviations, 1e-8 at most) would only add. For each pattern of A and each end of the sum outside the condition is
    that u lies in an interval, because relu6(u kappa + b) is monotone in u.
    """
    kinds = _kinds(n, k)
    for r, epsilon, shares in _shares_of_u(kinds.W, kinds.m, k, epsilons):
        yield r, epsilon, float(kinds.probability @ shares)


def lemma11_drawn(n: int, k: int, draws: int, epsilon: float) -> dict[int, FloatArray]:
    """For every r > 0 that probability given w, exactly over u, for each of the drawn w: (draws,) for each r."""
    rng = generator(0, "lemma11", "drawn", n, k)
    parts: dict[int, list[FloatArray]] = {}
    for start in range(0, draws, 20):  # 13 MB at the largest n
        W = rng.integers(-1, 2, size=(min(20, draws - start), n), dtype=np.int8)
        m = np.count_nonzero(W, axis=1) - np.count_nonzero(W[:, :k], axis=1)
        for r, _, shares in _shares_of_u(W, m, k, (epsilon,)):
            parts.setdefault(r, []).append(shares)
    return {r: np.concatenate(shares) for r, shares in parts.items()}


def _shares_of_u(
    W: NDArray[np.int8], m: NDArray[np.int64], k: int, epsilons: tuple[float, ...]
) -> Iterator[tuple[int, float, FloatArray]]:
    """For every r > 0 and epsilon, the share of u with |psi^ - psi_r| <= 2 epsilon for all x, for each neuron.

    A is the first k coordinates, and m the number of non-zero weights outside it.
    """
    n = W.shape[1]
    b, reach = 1 / (8 * k), n / k
    found = correlation(W, b, ParityMixture(n, tuple(range(k))))
    S, _ = patterns(k)
    ends = (np.abs(found.outside) * m / n)[:, None, None] * np.array([-1.0, 1.0])
    kappa = (found.inside @ S.T / n)[:, :, None] + ends + found.bias[:, None, None]  # (kinds, patterns, 2)
    for r in range(1, k + 1, 2):
        psi = feature(r, S.sum(axis=1))[None, :, None]
        for epsilon in epsilons:
            if epsilon > k * r:
                continue
            least, high = b * (psi - 2 * epsilon) / r, b * (psi + 2 * epsilon) / r - b
            low = np.where(least > 0, least - b, -np.inf)  # relu6 is never below 0; its cap is far above high
            with np.errstate(divide="ignore", invalid="ignore"):
                first, second = low / kappa, high / kappa
            flat = kappa == 0
            start = np.where(flat, np.where((low <= 0) & (high >= 0), -np.inf, np.inf), np.minimum(first, second))
            end = np.where(flat, np.inf, np.maximum(first, second))
            length = np.minimum(end.min(axis=(1, 2)), reach) - np.maximum(start.max(axis=(1, 2)), -reach)
            shares: FloatArray = np.maximum(length, 0.0) / (2 * reach)
            yield r, epsilon, shares


def lemma11(scale: str) -> list[Guarantee]:
    """Over w and u exactly, every r and several epsilon, 2 epsilon below psi_r's largest value; and over drawn w."""
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    for n, k in LEMMA11[scale]:
        for r, epsilon, probability in lemma11_probabilities(n, k, (0.1, 1.0, k / 2)):
            for form in ("any n", "printed"):
                g = theory.lemma11(n=n, k=k, r=r, epsilon=epsilon, probability=probability, form=form)
                if g.bound is not None and g.bound > 0 and all(h.holds for h in g.hypotheses):
                    cases[statement_id("parity/lemma11", form)].append(g)
    where = ", ".join(f"({n}, {k})" for n, k in LEMMA11[scale])
    exact = f"(n, k) = {where}, exact over w and u, vacuous cases left out"
    found = [tightest(name, gs, exact) for name, gs in cases.items()]
    for n, k, draws in DRAWN11[scale]:
        drawn = {
            r: mean(shares, comparisons=(k + 1) // 2, unit="drawn w")
            for r, shares in lemma11_drawn(n, k, draws, DRAWN_EPSILON).items()
        }
        seen = "u exact; P = " + ", ".join(f"{p.estimate:.3g} at r={r}" for r, p in drawn.items())
        for form in ("any n", "printed"):
            bounds = {r: theory.lemma11(n=n, k=k, r=r, epsilon=DRAWN_EPSILON, form=form) for r in drawn}
            id = statement_id("parity/lemma11", form, "drawn w")
            if form == "printed":
                found.append(tightest(id, [judged(bounds[r], p) for r, p in drawn.items()], seen))
                continue
            r = min(drawn, key=lambda r: drawn[r].estimate / (bounds[r].bound or math.inf))
            near = (
                f"probability at r = {r}, where {bounds[r].bound:.4g} is promised: nearer than {draws} drawn w tell, "
                f"and smaller n say it exactly (any n); {seen}"
            )
            found.append(Guarantee(id, bounds[r].source, Kind.NUMBER, None, drawn[r].estimate, note=near))
    return found


CHECKS = (
    Check("representation", f"{PAPER}, Lemma 12", representations),
    Check("lemma10", f"{PAPER}, Lemma 10", lemma10),
    Check("lemma11", f"{PAPER}, Lemma 11", lemma11),
)
