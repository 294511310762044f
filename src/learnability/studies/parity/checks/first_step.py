"""Lemmas 5 to 9 of Daniely & Malach: the population gradient of one neuron at the start, exactly.

On the uniform distribution the gradient of a neuron depends on the number of zeros in A, the number m of non-zero
weights outside A, and signs. So its law over the draw of w is a finite sum over m, computed here without sampling;
beside it neurons are drawn and put through :func:`learnability.training.population.correlation`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.networks.parity import CAP, ParityNet, good_neurons, relu6_slope
from learnability.problems.boolean import correlation as signed_expectation
from learnability.problems.boolean import sign_sum_law
from learnability.problems.parity import ParityMixture, random_mixture
from learnability.seeding import generator
from learnability.studies.parity import PAPER, claim
from learnability.studies.parity.theorems import first_step as theory
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.training.population import correlation, gradient

__all__ = ["CHECKS", "good_starts"]

KS = (3, 5, 7)
SIZES = {"smoke": (31, 32, 101), "laptop": (31, 32, 101, 300, 301, 1001)}
LEVELS = (1.5, 2.0, 5.0, 10.0, 50.0)
"""The constants c and C."""
DRAWN = {"smoke": ((101, 3, 300),), "laptop": ((101, 3, 4000), (301, 5, 4000), (1001, 7, 2000))}
"""(n, k, neurons) of the sampled w."""
FIRST_STEP = {
    "smoke": ((200, 3, 40), (201, 7, 20)),
    "laptop": ((200, 3, 400), (1000, 3, 400), (1000, 5, 400), (3000, 5, 200), (2500, 7, 200)),
}
"""(n, k, good neurons); those of :data:`WITHIN` are within the printed hypotheses, n >= 64 k^4: the least n (where
<w, x> + b = 0 occurs) and one beyond."""
ENUMERATED = ((10, 3, 40), (11, 5, 40))
"""(n, k, good neurons) of the first step over all inputs."""
WITHIN = {"smoke": ((153_664, 7, 4),), "laptop": ((153_664, 7, 40), (160_001, 7, 40))}
PARTS5 = ("coordinate", "bias")
PARTS7 = (*PARTS5, "inside")
BY_FORM = "the closed form's two terms are equal, so it is 0 by its form (x - x): the enumeration is the test"
"""Said of what Lemmas 7 and 9 call 0 where it is measured by :func:`learnability.training.population.correlation`."""


def _biases(k: int) -> tuple[float, ...]:
    return 1 / (8 * k), 0.0, -1.0, 2.0


def _slope(n: int, b: float) -> Callable[[FloatArray], FloatArray]:
    """Derivative sigma' at a sum of signs over sqrt(n), plus b."""
    return lambda sums: relu6_slope(sums / math.sqrt(n) + b)


# Lemmas 5 and 6


class _Law(NamedTuple):
    """Absolute correlations by m, the non-zero weights outside A, and their probabilities; else they are 0."""

    coordinate: FloatArray
    """|E s_j f sigma'| given w_j != 0, no zero in A and m."""
    bias: FloatArray
    """|E f sigma'| given no zero in A and m."""
    given_coordinate: FloatArray
    """P[w_j != 0, no zero in A, m] for one j outside A."""
    given_none: FloatArray
    """P[no zero in A, m]."""


@lru_cache(maxsize=128)
def _law(n: int, k: int, b: float) -> _Law:
    f, rest = _slope(n, b), n - k
    coordinate = [abs(signed_expectation(f, k + 1, m - 1)) if m else 0.0 for m in range(rest + 1)]
    bias = [abs(signed_expectation(f, k, m)) for m in range(rest + 1)]
    whole = (2 / 3) ** k  # no zero in A; with one, f has a sign that the neuron does not see
    given_coordinate = whole * (2 / 3) * np.concatenate([[0.0], _binomial(rest - 1)])
    return _Law(np.array(coordinate), np.array(bias), given_coordinate, whole * _binomial(rest))


def _binomial(m: int) -> FloatArray:
    """Law of Bin(m, 2/3)."""
    from scipy.special import gammaln, xlog1py, xlogy

    i = np.arange(m + 1)
    law: FloatArray = np.exp(
        gammaln(m + 1) - gammaln(i + 1) - gammaln(m - i + 1) + xlogy(i, 2 / 3) + xlog1py(m - i, -2 / 3)
    )
    law /= law.sum()
    return law


def _exceeds(values: FloatArray, probabilities: FloatArray, threshold: float) -> float:
    return float(probabilities[values > threshold].sum())


def _supremum(values: FloatArray, probabilities: FloatArray, unit: float) -> float:
    """Supremum over c > 0 of c P[value > c unit]: approached as c unit goes to a value from below."""
    order = np.argsort(-values)
    return float(np.max(values[order] / unit * np.cumsum(probabilities[order])))


def _exact(scale: str) -> Iterator[tuple[int, int, str, _Law]]:
    """n, k, the bias in words, and the law, for every n, k and four biases."""
    for n, k in product(SIZES[scale], KS):
        for b in _biases(k):
            yield n, k, f"b={b:.4g}", _law(n, k, b)


def _forms(n: int) -> tuple[str, ...]:
    """The printed form asks for an odd n; outside of that it is shown once."""
    return theory.LEMMA_FORMS if n % 2 else ("any n",)


def _sizes(scale: str) -> str:
    return f"n={SIZES[scale][0]}..{SIZES[scale][-1]}, k={KS[0]}..{KS[-1]}, exact over w"


def lemma5(scale: str) -> list[Guarantee]:
    """Exactly over w for every n, k and four biases; and on drawn neurons."""
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    for n, k, case, law in _exact(scale):
        unit = 1 / math.sqrt(math.comb(n - 1, k))
        both = (law.coordinate, law.given_coordinate), (law.bias, law.given_none)
        for part, (values, p) in zip(PARTS5, both, strict=True):
            size: dict[str, Any] = {"n": n, "k": k, "part": part, "case": case}
            cases[f"lemma5[{part},every c]"].append(theory.lemma5(**size, probability=_supremum(values, p, unit)))
            for c in LEVELS:
                frequency = _exceeds(values, p, c * unit)
                cases[f"lemma5[{part}]"].append(theory.lemma5(**size, c=c, probability=frequency))
            cases[f"lemma5-moment[{part}]"].append(theory.lemma5_moment(**size, moment=float(p @ values**2)))
    for n, k, draws in DRAWN[scale]:
        unit = 1 / math.sqrt(math.comb(n - 1, k))
        for part, values in zip(PARTS5, _drawn(n, k, draws), strict=True):
            share = _supremum(values, np.full(draws, 1 / draws), unit)
            cases[f"lemma5[{part},drawn]"].append(theory.lemma5(n=n, k=k, part=part, probability=share))
    where = _sizes(scale)
    sampled = ", ".join(f"{draws} neurons at n={n}, k={k}" for n, k, draws in DRAWN[scale])
    return [tightest(f"parity/{name}", found, sampled if "drawn" in name else where) for name, found in cases.items()]


def _drawn(n: int, k: int, draws: int) -> tuple[FloatArray, FloatArray]:
    """|E s_j f sigma'| at one j outside A and |E f sigma'|, for drawn neurons under the uniform distribution."""
    rng = generator(0, "lemma5", n, k)
    problem = random_mixture(rng, n, k, share=0.0)
    W = rng.integers(-1, 2, size=(draws, n), dtype=np.int8)
    found = correlation(W, 1 / (8 * k), problem)
    j = next(j for j in range(n) if j not in problem.support)
    return np.abs(found.outside * W[:, j]), np.abs(found.bias)


def lemma6(scale: str) -> list[Guarantee]:
    """Exactly over w: the coordinates outside A with w_j != 0 share one value, the others have 0."""
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    for n, k, case, law in _exact(scale):
        unit = (n - 1) / math.sqrt(math.comb(n - 1, k))
        largest = np.maximum(law.coordinate, law.bias)  # the coordinate's is 0 where m = 0
        for form in _forms(n):
            size: dict[str, Any] = {"n": n, "k": k, "form": form, "case": case}
            every = theory.lemma6(**size, probability=_supremum(largest, law.given_none, unit))
            cases[f"lemma6[{form},every C]"].append(every)
            for C in LEVELS:
                if C * unit < 1:
                    frequency = _exceeds(largest, law.given_none, C * unit)
                    cases[f"lemma6[{form}]"].append(theory.lemma6(**size, C=C, probability=frequency))
    where = f"{_sizes(scale)}, vacuous cases left out"
    n, k = 32, 3
    law, unit = _law(n, k, 1 / (8 * k)), (n - 1) / math.sqrt(math.comb(n - 1, k))
    even = _supremum(np.maximum(law.coordinate, law.bias), law.given_none, unit)
    return [
        *(tightest(f"parity/{name}", found, where) for name, found in cases.items()),
        theory.lemma6(n=n, k=k, probability=even, note="n even: outside the printed hypothesis, computed anyway"),
    ]


# Lemma 7


def _good(scale: str) -> Iterator[tuple[str, int, int, dict[str, Any]]]:
    """Good neurons by the closed form and by enumeration: n, k and what Lemma 7 takes."""
    small = ((9, 3), (10, 5), (11, 7))
    for n, k in (*product(SIZES[scale], KS), *small):
        by_form = (n, k) not in small
        problem, W = good_starts(n, k, 50 if by_form else 20, share=1.0)
        for b in _biases(k):
            measured = (_lemma7 if by_form else _lemma7_enumerated)(problem, W, b)
            yield "closed form" if by_form else "enumeration", n, k, measured


def lemma7(scale: str) -> list[Guarantee]:
    """Closed form and enumeration for good neurons, and neurons that are not good; n even is shown once."""
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    for which, n, k, measured in _good(scale):
        for form in _forms(n):
            for part, g in zip(PARTS7, theory.lemma7(n=n, k=k, form=form, **measured), strict=True):
                if part != "inside":
                    g = replace(g, note=f"{g.note}; {BY_FORM}") if which == "closed form" else g
                    cases[statement_id("parity/lemma7", part, form, which)].append(g)
                elif form == "any n":  # the same in both
                    cases[statement_id("parity/lemma7", part, which)].append(g)
    n, k = 10, 5
    problem, W = good_starts(n, k, 20, share=1.0)
    even = theory.lemma7(
        n=n, k=k, **{**_lemma7_enumerated(problem, W, 1 / (8 * k)), "case": "enumeration"},
        note="n even: outside the printed hypothesis, computed anyway",
    )[:2]  # fmt: skip
    rng = generator(0, "lemma7", "not good")
    problem = random_mixture(rng, 101, 5, share=1.0)
    W = rng.integers(-1, 2, size=(200, 101), dtype=np.int8)
    other = theory.lemma7(n=101, k=5, **_lemma7(problem, W[~good_neurons(W, problem.support)], 1 / 40))[:2]
    for part, g in zip(PARTS7, other, strict=False):
        cases[statement_id("parity/lemma7", part, "not good")] = [g]
    return [*(tightest(identity, found) for identity, found in cases.items()), *even]


def _lemma7(problem: ParityMixture, W: NDArray[Any], b: float) -> dict[str, Any]:
    """What :func:`learnability.studies.parity.theorems.first_step.lemma7` takes, by the closed form."""
    found = correlation(W, b, problem)
    spread = float(np.ptp(found.inside, axis=1).max())  # P(active) at every j in A
    active = np.array([_active(problem, w, b) for w in W[:10]])
    inside = max(spread, float(np.abs(found.inside[:10, 0] - active).max()))
    return {
        "balanced": bool(good_neurons(W, problem.support).all()), "outside": float(np.abs(found.outside).max()),
        "bias": float(np.abs(found.bias).max()), "inside": inside, "case": f"b={b:.4g}",
    }  # fmt: skip


def _active(problem: ParityMixture, w: NDArray[Any], b: float) -> float:
    """P[0 < <w, x> + b < 6] on D2, from the law of the sum outside A."""
    tau = float(w[list(problem.support)].sum())
    m = int(np.count_nonzero(w)) - int(np.count_nonzero(w[list(problem.support)]))
    sums: FloatArray = m - 2 * np.arange(m + 1, dtype=np.float64)
    f = _slope(problem.n, b)
    return float(sign_sum_law(m) @ (f(sums + tau) + f(sums - tau)) / 2)


def _lemma7_enumerated(problem: ParityMixture, W: NDArray[Any], b: float) -> dict[str, Any]:
    X, y, _, p2 = problem.enumerate()
    kept = p2 > 0
    signs, y, p = np.sign(X[kept]), y[kept], p2[kept]
    slopes = _slope(problem.n, b)(signs @ W.T.astype(float))  # (points, p); sums of signs are exact
    G = (slopes * (p * y)[:, None]).T @ signs  # (p, n)
    A = list(problem.support)
    return {
        "outside": float(np.abs(np.delete(G, A, axis=1)).max()), "bias": float(np.abs((p * y) @ slopes).max()),
        "inside": float(np.abs(G[:, A] - (p @ slopes)[:, None]).max()), "tolerance": 1e-15, "case": f"b={b:.4g}",
    }  # fmt: skip


# Lemma 8


def lemma8(scale: str) -> list[Guarantee]:
    """The worst h and the worst w for every |J|, exactly; the least constant that works, by n."""
    found = []
    sizes = (31, 101, 301) if scale == "smoke" else (31, 101, 301, 1001, 3001, 10_001)
    for k in KS:
        cases, constants = [], []
        for n in sizes:
            J = _grid(n - k)
            worst = [_worst_deviation(n, k, int(m)) for m in J]
            cases += [theory.lemma8(n=n, k=k, J=int(m), deviation=d) for m, d in zip(J, worst)]
            constants.append(max(d * math.sqrt(m) / k for m, d in zip(J, worst)))
        least = f"{', '.join(map(str, sizes))}: {', '.join(f'{C:.3f}' for C in constants)}"
        found.append(tightest(statement_id("parity/lemma8", f"k={k}"), cases, f"worst h and w, |J| = 1..{sizes[-1]}"))
        found.append(
            claim(
                f"lemma8-constant[k={k}]", "Lemma 8 (a universal constant)", theory.lemma8_constant(k), constants[-1],
                "at_most", f"least C that works for every |J| at n = {least}", Kind.TREND,
            )
        )  # fmt: skip
    return found


def _grid(most: int) -> NDArray[np.int64]:
    """All of 1..most, or about 60 of them, with 2/3 of most."""
    if most <= 100:
        return np.arange(1, most + 1)
    return np.unique(np.concatenate([np.geomspace(1, most, 60).astype(np.int64), [2 * most // 3]]))


def _worst_deviation(n: int, k: int, m: int) -> float:
    """Largest E h sigma' - E[h] phi under D_A over h = ±1 and w with |J| = m, b = 1/(8k).

    The event of phi implies sigma' = 1 for every x_A, so h = 1 is worst; then it is P(active) - phi. The sum a over A
    is that of k - p0 signs on D1, and ±tau on D2.
    """
    root, b = math.sqrt(n), 1 / (8 * k)
    law = sign_sum_law(m)
    sums: FloatArray = m - 2 * np.arange(m + 1, dtype=np.float64)
    # a lattice point within rounding of an edge: n = 64 k^2 c^2 is not among the sizes used
    event = (k / root < sums / root + b) & (sums / root + b < CAP - k / root)
    phi, slope = float(law[event].sum()), _slope(n, b)
    active = {a: float(law @ slope(sums + a)) for a in range(-k, k + 1)}
    worst = 0.0
    for zeros in range(k + 1):
        left = k - zeros
        uniform = sum(p * active[left - 2 * i] for i, p in enumerate(sign_sum_law(left)))
        for tau in range(left % 2, left + 1, 2):
            both = (active[tau] + active[-tau]) / 2
            worst = max(worst, (uniform + both) / 2 - phi)
    return worst


# Lemma 9


def good_starts(n: int, k: int, count: int, share: float = 0.5) -> tuple[ParityMixture, NDArray[np.int8]]:
    """A mixture and ``count`` good neurons, (count, n): uniform in {-1, 0, 1}^n given that the sum over A is 0."""
    rng = generator(0, "good", n, k, count)
    problem = random_mixture(rng, n, k, share)
    W = rng.integers(-1, 2, size=(count, n), dtype=np.int8)
    A = list(problem.support)
    while not (good := good_neurons(W, A)).all():
        again = np.flatnonzero(~good)
        W[again[:, None], A] = rng.integers(-1, 2, size=(len(again), k), dtype=np.int8)
    return problem, W


def lemma9(scale: str) -> list[Guarantee]:
    """The share of good neurons for k up to 99, and what the step makes of them."""
    shares = [theory.lemma9_share(k=k, share=float(theory.good_share(k))) for k in range(3, 100, 2)]
    found = [tightest("parity/lemma9-share", shares, "T_k / 3^k, k = 3..99; the paper asks for k >= 7")]
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    for n, k, count in (*FIRST_STEP[scale], *WITHIN[scale]):
        measured, note = _step(n, k, count), f"{count} good neurons"
        for form in ("good neurons", "printed") if n >= 64 * k**4 else ("good neurons",):
            for g in theory.lemma9(n=n, k=k, form=form, **measured, note=note):
                if g.kind is Kind.EXACT:
                    g = replace(g, note=f"{g.note}; {BY_FORM}")
                cases[statement_id(g.id.partition("[")[0], form)].append(g)
        if (n, k, count) == FIRST_STEP[scale][0]:  # one case outside the printed hypotheses is enough to see it
            found.append(theory.lemma9(n=n, k=k, **measured, note=note)[0])
    for n, k, count in ENUMERATED:
        for g in _step_enumerated(n, k, count):
            cases[statement_id(g.id.partition("[")[0], "good neurons", "enumeration")].append(g)
    return found + [tightest(identity, case) for identity, case in cases.items()]


def _step_enumerated(n: int, k: int, count: int) -> list[Guarantee]:
    """Outside A and the bias after the full first step, eta = 1, lambda = 1/2, by the gradient over all inputs."""
    problem, w = good_starts(n, k, count)
    u = generator(0, "lemma9", "enumeration", n, k).uniform(-n / k, n / k, count)
    start = ParityNet(np.tile(w, (2, 1)).astype(float), np.full(2 * count, 1 / (8 * k)), np.concatenate([u, -u]))
    _, slope = gradient(start, problem)  # lambda's part of the gradient is the weights themselves
    # rounding of a sum of 2^n terms in any order, the sizes of which sum to at most max |u| / sqrt(n)
    room = 2.0 ** (n - 53) * math.sqrt(n) / k
    moved = np.delete(start.W - (slope.W + start.W), problem.support, axis=1)
    return theory.lemma9(
        n=n, k=k, form="good neurons", outside=float(np.abs(moved).max()) * (n - 1),
        bias=float(np.abs(slope.b).max()) * math.sqrt(n), tolerance=room * n,
        note=f"{count} good neurons, gradient over all 2^{n} inputs of D_A; room of {room:.1g} for a weight",
    )[3:]  # fmt: skip


def _step(n: int, k: int, count: int) -> dict[str, Any]:
    """What :func:`learnability.studies.parity.theorems.first_step.lemma9` takes, measured on good neurons."""
    problem, W = good_starts(n, k, count)
    found = correlation(W, 1 / (8 * k), problem)
    inside = W[:, list(problem.support)]
    u = generator(0, "lemma9", n, k).uniform(-n / k, n / k, count)
    alpha = np.array([g[w != 0][0] if w.any() else g[0] for g, w in zip(found.inside, inside)])
    off = np.abs(found.inside - alpha[:, None]) * np.abs(u)[:, None] / math.sqrt(n)
    J = np.count_nonzero(W, axis=1) - np.count_nonzero(inside, axis=1)
    allowed = np.zeros_like(off)
    for i in np.flatnonzero(np.count_nonzero(inside == 0, axis=1) == 1):
        bound = theory.zero_coordinate_bound(n=n, k=k, J=int(J[i]), u=float(u[i]))
        allowed[i] = np.where(inside[i] == 0, bound, 0.0)
    excess = np.where(off > 0, off / np.where(allowed > 0, allowed, 1e-300), 0.0)
    return {
        "alpha_low": float(alpha.min()),
        "alpha_high": float(alpha.max()),
        "inside": float(excess.max()),
        "outside": float(np.abs(u * found.outside).max()) / math.sqrt(n) * (n - 1),
        "bias": float(np.abs(u * found.bias).max()) * math.sqrt(n),
    }


CHECKS = (
    Check("lemma5", f"{PAPER}, Lemma 5", lemma5),
    Check("lemma6", f"{PAPER}, Lemma 6", lemma6),
    Check("lemma7", f"{PAPER}, Lemma 7", lemma7),
    Check("lemma8", f"{PAPER}, Lemma 8", lemma8),
    Check("lemma9", f"{PAPER}, Lemma 9", lemma9),
)
