"""Lemmas 10 to 12 of Daniely & Malach: what the neurons compute after the exact first step, for all inputs at once.

A neuron's value after the step depends on the k signs in A and on the sum outside A, in which it is monotone; a good
neuron's on the k signs alone. So "for all x" is checked over the 2^k patterns of A and, for the others, the two ends
of the sum outside. Over the draw of (w, u), Lemma 11's probability is an exact sum over the number of +1 and -1 in A
and the number m of non-zero weights outside A, of the length of an interval of u.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.networks.parity import feature, good_neurons, initial, relu6, representation
from learnability.problems.boolean import signs
from learnability.problems.parity import ParityMixture, random_mixture
from learnability.seeding import generator
from learnability.theory import Guarantee, Kind
from learnability.theory import parity_features as theory
from learnability.theory import parity_separator as separator
from learnability.theory.guarantee import statement_id
from learnability.theory.margins import hard_margin
from learnability.training.population import correlation
from learnability.verification import Check
from learnability.verification.aggregate import tightest

__all__ = ["CHECKS", "good_features", "lemma11_probabilities", "patterns"]

PAPER = "Daniely & Malach"
LEMMA10 = {"smoke": (3, 7), "laptop": (3, 5, 7, 9, 11)}
LEMMA11 = {"smoke": ((51, 3), (101, 5)), "laptop": ((51, 3), (200, 3), (201, 5), (301, 7), (2501, 7))}
DELTA = 0.1
WIDTHS = {3: (2, 4, 8, 16, 32, 64), 5: (8, 16, 32, 64, 128, 256), 7: (32, 64, 128, 256, 512, 1024)}
"""Pairs of neurons q of the success probability, by k."""
DRAWS = {"smoke": 12, "laptop": 200}
NORMS: dict[str, dict[int, tuple[int, ...]]] = {
    "smoke": {3: (64, 256), 5: (256, 1024)},
    "laptop": {3: (64, 128, 256, 512, 1024), 5: (256, 512, 1024, 2048, 4096), 7: (1024, 2048, 4096, 8192)},
}
"""q of the norms, by k: from where neurons lie near each of Lemma 10's u*."""
DIMENSION = {3: 101, 5: 201, 7: 301}


def patterns(k: int) -> tuple[FloatArray, FloatArray]:
    """The 2^k sign patterns of A, (2^k, k), and their parities."""
    S = signs(k)
    return S, S.prod(axis=1)


# The representation and Lemma 10


def representations(_scale: str) -> list[Guarantee]:
    """The coefficients for k = 3..15, and what becomes of them with ReLU6."""
    cases: dict[str, list[Guarantee]] = {}
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
        for name, g in zip(("", "-rank", "-rank[ReLU6]"), found, strict=False):
            cases.setdefault(f"parity/representation{name}", []).append(g)
        if k in (3, 5, 7, 9):
            cases[found[3].id] = [found[3]]
    return [tightest(identity, found, "k = 3..15" if len(found) > 1 else "") for identity, found in cases.items()]


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
    """Probabilities over u by bisection; the identity at u*; the printed forms at k = 3 and 7."""
    cases: dict[str, list[Guarantee]] = {}
    for k in LEMMA10[scale]:
        for r in range(-k, k + 1, 2):
            for alpha in (0.25, 0.26, 0.5, 1.0):
                best = theory.best_output_weight(n=200, k=k, r=r, alpha=alpha) * k / 200
                epsilons = np.array([e for e in (0.1, 0.5, 1.0, k / 2, float(k * abs(r))) if e <= k * abs(r)])
                for epsilon, p in zip(epsilons, _probabilities(best, epsilons, k, r, alpha)):
                    for g in theory.lemma10(
                        k=k, r=r, alpha=alpha, epsilon=float(epsilon), probability=float(p),
                        at_best=float(_errors(np.array([best]), k, r, alpha)[0]), room=1e-12,
                    ):  # fmt: skip
                        cases.setdefault(g.id.partition("[")[0], []).append(g)
    where = f"k = {', '.join(map(str, LEMMA10[scale]))}, every r"
    found = [tightest(identity, gs, where) for identity, gs in cases.items()]
    t = np.linspace(-1, 1, 2001)
    for n, k in ((200, 3), (1000, 7)):
        printed = _errors(t * k / n, k, k, 0.25)  # U[-r/k, r/k] with r = k is U[-1, 1]
        cap = _errors(np.array([theory.best_output_weight(n=n, k=k, r=k, alpha=0.25) * k / n]), k, k, 0.25, cap=True)
        found += theory.lemma10_printed(
            n=n, k=k, r=k, alpha=0.25, epsilon=1.0, range_probability=float((printed <= 1).mean()),
            cap_error=float(cap[0]),
        )  # fmt: skip
    return found


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
    rows, sizes, weights = [], [], []
    outside = (np.arange(rest) < m[:, None]).astype(np.int8)
    for plus in range(k + 1):
        for minus in range(k - plus + 1):
            inside = np.zeros((len(m), k), dtype=np.int8)
            inside[:, :plus], inside[:, plus : plus + minus] = 1, -1
            rows.append(np.hstack([inside, outside]))
            sizes.append(m)
            weights.append(law * (math.comb(k, plus) * math.comb(k - plus, minus) / 3**k))
    return _Kind(np.concatenate(rows), np.concatenate(sizes), np.concatenate(weights))


def lemma11_probabilities(n: int, k: int, epsilons: tuple[float, ...]) -> Iterator[tuple[int, float, float]]:
    """For every r > 0 and epsilon: P_{w,u}[|psi^ - psi_r| <= 2 epsilon for all x], exactly but for m far out.

    Yields (r, epsilon, probability); for -r it is the same, as u is symmetric. What is left out (m beyond 6 standard
    deviations, 1e-8 at most) would only add. For each pattern of A and each end of the sum outside the condition is
    that u lies in an interval, because relu6(u kappa + b) is monotone in u.
    """
    kinds, problem = _kinds(n, k), ParityMixture(n, tuple(range(k)))
    b, reach = 1 / (8 * k), n / k
    found = correlation(kinds.W, b, problem)
    S, _ = patterns(k)
    ends = (np.abs(found.outside) * kinds.m / n)[:, None, None] * np.array([-1.0, 1.0])
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
            yield r, epsilon, float(kinds.probability @ np.maximum(length, 0.0)) / (2 * reach)


def lemma11(scale: str) -> list[Guarantee]:
    """Over w and u exactly, every r and several epsilon."""
    cases: dict[str, list[Guarantee]] = {}
    for n, k in LEMMA11[scale]:
        for r, epsilon, probability in lemma11_probabilities(n, k, (0.1, 1.0, float(k), float(k * k))):
            for form in ("any n", "printed"):
                g = theory.lemma11(n=n, k=k, r=r, epsilon=epsilon, probability=probability, form=form)
                met = all(h.holds for h in g.hypotheses)
                name = statement_id("parity/lemma11", form, "" if met else "outside")
                cases.setdefault(name, []).append(g)
    where = ", ".join(f"({n}, {k})" for n, k in LEMMA11[scale])
    return [tightest(name, gs, f"(n, k) = {where}, exact over w and u") for name, gs in cases.items()]


# Lemma 12


class GoodNeurons(NamedTuple):
    """Good neurons after the exact first step."""

    V: FloatArray
    """Their values, (2^k, number): rows belong to :func:`patterns`; the other bits of the input do not matter."""
    kink: FloatArray
    """Where the value becomes 0 as a function of the sum z of the signs in A: Lemma 10's u* has it at z = r."""


def good_features(rng: np.random.Generator, n: int, k: int, q: int) -> GoodNeurons:
    """Those of a start with q pairs of neurons."""
    problem = random_mixture(rng, n, k)
    start = initial(rng, n, k, q)
    good = good_neurons(start.W[:q], problem.support)
    S, _ = patterns(k)
    if not good.any():
        return GoodNeurons(np.zeros((len(S), 0)), np.zeros(0))
    slopes = correlation(start.W[:q][good], 1 / (8 * k), problem).inside * start.u[:q][good, None] / n
    moved = slopes @ S.T  # (good, patterns)
    V: FloatArray = relu6(np.concatenate([moved, -moved]).T + 1 / (8 * k))
    kink = -1 / (8 * k * np.median(slopes, axis=1))  # one coordinate of A at most is off
    return GoodNeurons(V, np.concatenate([kink, -kink]))


def lemma12(scale: str) -> list[Guarantee]:
    """How often a separator exists, by q; its least norm and its sparsity."""
    found, last = [], []
    for k, widths in WIDTHS.items():
        if scale == "smoke" and k == 7:
            continue
        n, draws, failures = DIMENSION[k], DRAWS[scale], []
        for q in widths:
            failures.append(sum(not _separable(generator(i, "lemma12", n, k, q), n, k, q) for i in range(draws)))
        found.append(separator.lemma12(n=n, k=k, q=widths[-1], delta=DELTA, failures=failures[-1], draws=draws))
        table = ", ".join(f"{f / draws:.3g} at q={q}" for q, f in zip(widths, failures))
        enough = next((q for i, q in enumerate(widths) if max(failures[i:]) <= DELTA * draws), float("nan"))
        last.append(
            Guarantee(
                statement_id("parity/lemma12-width", f"n={n}", f"k={k}", f"delta={DELTA:g}"),
                f"{PAPER}, Lemma 12 (q >= C k^7 ln((k+1)/delta), C = 1)",
                Kind.THRESHOLD,
                k**7 * math.log((k + 1) / DELTA),
                enough,
                direction="at_most",
                note=f"least q of those tried with a share of failures of at most delta; shares of {draws} starts "
                f"that fail: {table}",
            )
        )
    return found + last + _separators(scale)


def _separable(rng: np.random.Generator, n: int, k: int, q: int) -> bool:
    V = good_features(rng, n, k, q).V
    return V.shape[1] > 0 and hard_margin(V, patterns(k)[1]).separable


def _separators(scale: str) -> list[Guarantee]:
    found: list[Guarantee] = []
    scaled: dict[str, list[float]] = {"least norm": [], "few neurons": []}
    repeats = 2 if scale == "smoke" else 5
    for k, widths in NORMS[scale].items():
        n, y = DIMENSION[k], patterns(k)[1]
        norms, fewer, cases = [], [], []
        for q in widths:
            neurons = [good_features(generator(i, "norm", n, k, q), n, k, q) for i in range(repeats)]
            both = [_least_norms(one, y, k, q) for one in neurons]
            norms.append(_mean_norm([u for u, _ in both]))
            fewer.append(_mean_norm([u for _, u in both]))
            for i, (one, (u, few)) in enumerate(zip(neurons, both)):
                vertex = separator.sparse_separator(one.V, y)
                named = {"least norm": u, "few neurons": few, "linear programme": vertex}
                cases.append(_separator_cases(one.V, y, named, k, q, f"q={q},{i}"))
        text = [", ".join(f"{x * math.sqrt(q) / k**5:.3g}" for x, q in zip(xs, widths)) for xs in (norms, fewer)]
        note = f"mean least norm over {repeats} starts; B = |u*| sqrt(q) / k^5: {text[0]}; with few neurons {text[1]}"
        found.append(separator.lemma12_growth("q", widths, _known(norms), case=f"n={n},k={k}", note=note))
        for name, xs in (("least norm", norms), ("few neurons", fewer)):
            scaled[name].append(xs[-1] * math.sqrt(widths[-1]))
        found += [
            tightest(statement_id(gs[0].id.partition("[")[0], f"k={k}"), gs, f"q = {widths[0]}..{widths[-1]}")
            for gs in zip(*cases)
        ]
    ks = list(NORMS[scale])
    for name, sizes in scaled.items():
        note = "|u*| sqrt(q) at the largest q of each k"
        found.append(separator.lemma12_growth("k", ks, _known(sizes), case=name, note=note))
    return found


def _mean_norm(separators: list[FloatArray]) -> float:
    """Infinite if one start has no separator."""
    return float(np.mean([np.linalg.norm(u) if u.any() else np.inf for u in separators]))


def _known(norms: list[float]) -> list[float] | None:
    return norms if np.isfinite(norms).all() else None


def _least_norms(neurons: GoodNeurons, y: FloatArray, k: int, q: int) -> tuple[FloatArray, FloatArray]:
    """The separator of least norm of all good neurons, and of q / k^3.5 neurons next to each u*_r only.

    The second is as sparse as Lemma 12 says, about q / k^2.5. Zero if there is none.
    """
    each = max(1, round(q / k**3.5))
    r = np.arange(-k, k + 1, 2)[:, None]
    nearest = np.unique(np.argsort(np.abs(1 - r / neurons.kink), axis=1)[:, :each])
    few = np.zeros(len(neurons.kink))
    few[nearest] = hard_margin(neurons.V[:, nearest], y).w
    return hard_margin(neurons.V, y).w, few


def _separator_cases(
    V: FloatArray, y: FloatArray, named: dict[str, FloatArray | None], k: int, q: int, case: str
) -> list[Guarantee]:
    """Margins, largest feature used and sparsity of the separators of one start."""
    there = {name: u for name, u in named.items() if u is not None}
    vertex = there.get("linear programme", np.zeros(V.shape[1]))
    used = np.any([u != 0 for u in there.values()], axis=0)
    words = [
        f"{name}: |u|_2 {np.linalg.norm(u):.3g}, |u|_0 {np.count_nonzero(u)} = "
        f"{np.count_nonzero(u) * k**2.5 / q:.3g} q / k^2.5"
        for name, u in there.items()
    ]
    margins = [float((y * (V @ u)).min()) for u in there.values()] + [0.0] * (len(named) - len(there))
    return separator.lemma12_separator(
        k=k, margin=min(margins), largest=float(V[:, used].max(initial=0.0)), nonzero=int(np.count_nonzero(vertex)),
        points=len(np.unique(V, axis=0)), case=case, note="; ".join(words),
    )  # fmt: skip


CHECKS = (
    Check("representation", f"{PAPER}, Lemma 12", representations),
    Check("lemma10", f"{PAPER}, Lemma 10", lemma10),
    Check("lemma11", f"{PAPER}, Lemma 11", lemma11),
    Check("lemma12", f"{PAPER}, Lemma 12", lemma12),
)
