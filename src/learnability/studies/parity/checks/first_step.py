"""Lemmas 5 to 9 of Daniely & Malach: the population gradient of one neuron at the start, exactly.

On the uniform distribution the gradient of a neuron depends on the number of zeros in A, the number m of non-zero
weights outside A, and signs. So its law over the draw of w is a finite sum over m, computed here without sampling;
beside it neurons are drawn and put through :func:`learnability.training.population.correlation`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.evidence.intervals import exponent, mean
from learnability.networks.parity import CAP, ParityNet, good_neurons, relu6_slope
from learnability.problems.boolean import correlation as signed_expectation
from learnability.problems.boolean import sign_sum_law
from learnability.problems.parity import ParityMixture, random_mixture
from learnability.seeding import generator
from learnability.studies.parity import PAPER, claim
from learnability.studies.parity.theorems import first_step as theory
from learnability.studies.parity.theorems.statement import stated
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.training.population import correlation, gradient

__all__ = ["CHECKS", "good_starts"]

KS = (3, 5, 7)
SIZES = {"smoke": (31, 32, 101), "laptop": (31, 32, 101, 300, 301, 1001)}
DRAWN = {"smoke": ((101, 3, 300),), "laptop": ((101, 3, 4000), (301, 5, 4000), (1001, 7, 2000))}
"""(n, k, neurons) of the sampled w."""
PARSEVAL = {"smoke": (9,), "laptop": (9, 20, 31)}
"""n of the sum over all sets A."""
FIRST_STEP = {
    "smoke": ((200, 3, 40), (201, 7, 20)),
    "laptop": ((200, 3, 400), (1000, 3, 400), (1000, 5, 400), (3000, 5, 200), (2500, 7, 200)),
}
"""(n, k, good neurons); those of :data:`WITHIN` are within the printed hypotheses, n >= 64 k^4: the least n (where
<w, x> + b = 0 occurs) and one beyond."""
COUNTED = {"smoke": (3, 5, 7), "laptop": (3, 5, 7, 9, 11)}
ENUMERATED = ((10, 3, 40), (11, 5, 40))
"""(n, k, good neurons) of the first step over all inputs."""
WITHIN = {"smoke": ((153_664, 7, 4),), "laptop": ((153_664, 7, 40), (160_001, 7, 40))}
PARTS5 = ("coordinate", "bias")
PARTS7 = (*PARTS5, "inside")


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
    given_bias: FloatArray
    """P[no zero in A, m]."""

    def atoms(self, part: str) -> tuple[FloatArray, FloatArray]:
        """Values and probabilities of a part."""
        return getattr(self, part), getattr(self, f"given_{part}")

    def square(self, part: str) -> float:
        """Mean square of a part."""
        values, probabilities = self.atoms(part)
        return float(probabilities @ values**2)


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


def _supremum(values: FloatArray, probabilities: FloatArray, unit: float) -> float:
    """Supremum over c > 0 of c P[value > c unit]: approached as c unit goes to a value from below."""
    order = np.argsort(-values)
    return float(np.max(values[order] / unit * np.cumsum(probabilities[order])))


def _exact(scale: str) -> Iterator[tuple[int, int, _Law]]:
    """n, k, and the law, for every n, k and four biases."""
    for n, k in product(SIZES[scale], KS):
        for b in _biases(k):
            yield n, k, _law(n, k, b)


def _sizes(scale: str) -> str:
    return f"n={SIZES[scale][0]}..{SIZES[scale][-1]}, k={KS[0]}..{KS[-1]}, exact over w"


def lemma5(scale: str) -> list[Guarantee]:
    """The moments behind it: their sums and an exponent, exactly over w, and drawn ones. The lemma's is a number."""
    cases = [_parseval(n, b) for n in PARSEVAL[scale] for b in (1 / 24, 0.0, -1.0)]
    found = []
    for part, gs in zip(PARTS5, zip(*cases, strict=True), strict=True):
        laws = ((law, 1 / math.sqrt(math.comb(n - 1, k))) for n, k, law in _exact(scale))
        worst = max(_supremum(*law.atoms(part), unit) for law, unit in laws)
        note = f"the lemma's sup over c of c P[...] is {worst:.2g} at most, {_sizes(scale)}, against 1"
        name = "parity/lemma5-parseval" + ("" if part == "bias" else f"[{part}]")
        found.append(tightest(name, gs, note))
    found += [_exponent(k, SIZES[scale]) for k in KS]
    return found + [_drawn(*one) for one in DRAWN[scale]]


def _parseval(n: int, b: float) -> list[Guarantee]:
    """Sums of E_w (E f_A sigma')^2, and of E_w (E s_j f_A sigma')^2 with the empty set, against E_w P(active)."""
    active = float(_binomial(n) @ [signed_expectation(_slope(n, b), 0, m) for m in range(n + 1)])
    found = []
    for part in PARTS5:
        sets = [(math.comb(n, k), _law(n, k, b).square("bias")) for k in range(1 if part == "coordinate" else n + 1)]
        if part == "coordinate":
            sets += [(math.comb(n, k + 1), _law(n, k, b).square("coordinate")) for k in range(n)]
        total, case = sum(count * square for count, square in sets), f"{part},b={b:.4g}"
        found.append(theory.lemma5_parseval(n=n, total=total, active=active, case=case))
    return found


def _exponent(k: int, sizes: tuple[int, ...]) -> Guarantee:
    """How the bias's moment at the start goes with n."""
    moments = np.array([_law(n, k, 1 / (8 * k)).square("bias") for n in sizes])
    ratios = ", ".join(f"{m * math.comb(n - 1, k):.2g}" for m, n in zip(moments, sizes))
    return claim(
        f"lemma5-exponent[bias,k={k}]", "Lemma 5 (its second moment: this project)", float(-k),
        float(exponent(sizes, moments).estimate), "at_most",
        f"exponent of n in E_w of the squared correlation, n = {sizes[0]}..{sizes[-1]}; times C(n-1, k), which is "
        f"at most 1: {ratios}", Kind.TREND,
    )  # fmt: skip


def _drawn(n: int, k: int, draws: int) -> Guarantee:
    """The mean square of E f sigma' over drawn neurons, on the uniform distribution, over the exact one."""
    rng = generator(0, "lemma5", n, k)
    problem = random_mixture(rng, n, k, share=0.0)
    W = rng.integers(-1, 2, size=(draws, n), dtype=np.int8)
    squares = correlation(W, 1 / (8 * k), problem).bias ** 2
    ratios = squares / _law(n, k, 1 / (8 * k)).square("bias")
    return claim(
        f"lemma5-drawn[n={n},k={k}]", "Lemma 5 (its second moment: this project)",
        6 * float(ratios.std()) / math.sqrt(draws), mean(ratios, unit="neurons").distance(1.0), "at_most",
        "mean square of E f sigma' over drawn neurons relative to the exact one; room 6 standard errors",
    )  # fmt: skip


def lemma6(scale: str) -> list[Guarantee]:
    """The law that Lemma 6 is computed from, unit by unit: one value where w_j != 0 outside A, and 0 elsewhere."""
    worst = 0.0
    for n, k, law in _exact(scale):
        largest = np.maximum(law.coordinate, law.bias)  # the coordinate's is 0 where m = 0
        worst = max(worst, _supremum(largest, law.given_bias, (n - 1) / math.sqrt(math.comb(n - 1, k))))
    note = f"the lemma's sup over C of C P[...] is {worst:.2g} at most, {_sizes(scale)}, against 1"
    return [tightest("parity/lemma6-law", [_of_the_law(*one) for one in DRAWN[scale]], note)]


def _of_the_law(n: int, k: int, draws: int) -> Guarantee:
    """Drawn neurons: every correlation outside A and the bias's, on the uniform distribution, against the law."""
    rng = generator(0, "lemma6", n, k)
    problem = random_mixture(rng, n, k, share=0.0)
    W = rng.integers(-1, 2, size=(draws, n), dtype=np.int8)
    law, found = _law(n, k, 1 / (8 * k)), correlation(W, 1 / (8 * k), problem)
    A = list(problem.support)
    whole, outside = (W[:, A] != 0).all(axis=1), np.delete(W, A, axis=1) != 0
    m = outside.sum(axis=1)
    pairs = (
        (np.abs(np.delete(found.dense(W), A, axis=1)), np.where(whole, law.coordinate[m], 0)[:, None] * outside),
        (np.abs(found.bias), np.where(whole, law.bias[m], 0)),
    )
    off = max(float(np.abs(seen - known).max() / known.max()) for seen, known in pairs)
    return stated(
        "lemma6-law", (f"n={n}", f"k={k}"), "proof of Lemma 6 (its law: this project)", Kind.EXACT, 0, off,
        f"largest difference of |E s_j f sigma'|, j outside A, and |E f sigma'| from the law, relative to the law's "
        f"largest; {draws} drawn neurons", tolerance=1e-9,
    )  # fmt: skip


# Lemma 7


def lemma7(scale: str) -> list[Guarantee]:
    """Good neurons over all inputs, n odd as printed and even; P(active) beyond; neurons that are not good.

    The closed form has the two terms whose difference Lemma 7 calls 0 equal by its form, so it says nothing of them.
    """
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    for n, k in ((9, 3), (10, 5), (11, 7)):
        problem, W = good_starts(n, k, 20, share=1.0)
        for b in _biases(k):
            measured = _lemma7_enumerated(problem, W, b)
            for part, g in zip(PARTS7, theory.lemma7(n=n, k=k, form="any n", **measured), strict=True):
                cases[statement_id("parity/lemma7", part, "enumeration")].append(g)
    for n, k in product(SIZES[scale], KS):
        problem, W = good_starts(n, k, 50, share=1.0)
        for b in _biases(k):
            inside, case = _inside(problem, W, b), f"b={b:.4g}"
            cases["parity/lemma7[inside,closed form]"].append(theory.lemma7(n=n, k=k, inside=inside, case=case)[2])
    found = [tightest(identity, gs) for identity, gs in cases.items()]
    n, k = 11, 5
    rng = generator(0, "lemma7", "not good")
    problem = random_mixture(rng, n, k, share=1.0)
    W = rng.integers(-1, 2, size=(200, n), dtype=np.int8)
    measured = _lemma7_enumerated(problem, W[~good_neurons(W, problem.support)], 1 / (8 * k))
    return found + theory.lemma7_needs_good(n=n, k=k, outside=measured["outside"], bias=measured["bias"])


def _inside(problem: ParityMixture, W: NDArray[Any], b: float) -> float:
    """Largest |E s_j f sigma' - P(active)| for j in A, by the closed form."""
    found = correlation(W, b, problem)
    spread = float(np.ptp(found.inside, axis=1).max())  # P(active) at every j in A
    active = np.array([_active(problem, w, b) for w in W[:10]])
    return max(spread, float(np.abs(found.inside[:10, 0] - active).max()))


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
        least = f"{', '.join(map(str, sizes))}: {', '.join(f'{C:.4f}' for C in constants)}"
        note = f"worst h and w, |J| = 1..{sizes[-1]}; least C that works for every |J| at n = {least}"
        found.append(tightest(statement_id("parity/lemma8", f"k={k}"), cases, note))
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
    """The share of good neurons, counted, and what the step makes of them: alpha, and the rest over all inputs."""
    shares = [theory.lemma9_share(k=k, share=_counted(k)) for k in COUNTED[scale]]
    found = [tightest("parity/lemma9-share", shares, f"of all w_A, k = {COUNTED[scale][0]}..{COUNTED[scale][-1]}")]
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    for n, k, count in (*FIRST_STEP[scale], *WITHIN[scale]):
        measured, note = _alphas(n, k, count), f"{count} good neurons"
        for form in ("good neurons", "printed") if n >= 64 * k**4 else ("good neurons",):
            for g in theory.lemma9(n=n, k=k, form=form, **measured, note=note)[:2]:
                cases[statement_id(g.id.partition("[")[0], form)].append(g)
    for n, k, count in ENUMERATED:
        for g in _step_enumerated(n, k, count):
            cases[statement_id(g.id.partition("[")[0], "good neurons", "enumeration")].append(g)
    return found + [tightest(identity, case) for identity, case in cases.items()]


def _counted(k: int) -> float:
    """Good neurons among all 3^k weights in A."""
    return float(good_neurons(np.array(list(product((-1, 0, 1), repeat=k)), dtype=np.int8), range(k)).mean())


def _step_enumerated(n: int, k: int, count: int) -> list[Guarantee]:
    """The full first step, eta = 1, lambda = 1/2, by the gradient over all inputs: inside A, outside, the bias."""
    problem, w = good_starts(n, k, count)
    u = generator(0, "lemma9", "enumeration", n, k).uniform(-n / k, n / k, count)
    start = ParityNet(np.tile(w, (2, 1)).astype(float), np.full(2 * count, 1 / (8 * k)), np.concatenate([u, -u]))
    _, slope = gradient(start, problem)  # lambda's part of the gradient is the weights themselves
    # rounding of a sum of 2^n terms in any order, the sizes of which sum to at most max |u| / sqrt(n)
    room = 2.0 ** (n - 53) * math.sqrt(n) / k
    A = list(problem.support)
    moved = start.W - (slope.W + start.W)
    closed = correlation(w, 1 / (8 * k), problem).inside * u[:, None] / math.sqrt(n)
    alpha = np.array([0.5 * _active(problem, one, 1 / (8 * k)) for one in w])
    exact = (alpha * u / math.sqrt(n))[:, None]
    single = (w[:, A] == 0) & (np.count_nonzero(w[:, A] == 0, axis=1) == 1)[:, None]
    inside = np.abs(moved[:count][:, A] - np.where(single, closed, exact))
    return theory.lemma9(
        n=n, k=k, form="good neurons", inside=float(inside.max()),
        outside=float(np.abs(np.delete(moved, A, axis=1)).max()) * (n - 1),
        bias=float(np.abs(slope.b).max()) * math.sqrt(n), tolerance=room * n,
        note=f"{count} good neurons, gradient over all 2^{n} inputs of D_A; room of {room:.1g} for a weight",
    )[2:]  # fmt: skip


def _alphas(n: int, k: int, count: int) -> dict[str, Any]:
    """Least and largest alpha of good neurons, and their least number of non-zero weights outside A."""
    problem, W = good_starts(n, k, count)
    found = correlation(W, 1 / (8 * k), problem)
    inside = W[:, list(problem.support)]
    alpha = np.array([g[w != 0][0] if w.any() else g[0] for g, w in zip(found.inside, inside)])
    J = np.count_nonzero(W, axis=1) - np.count_nonzero(inside, axis=1)
    return {"alpha_low": float(alpha.min()), "alpha_high": float(alpha.max()), "J": int(J.min())}


CHECKS = (
    Check("lemma5", f"{PAPER}, Lemma 5", lemma5),
    Check("lemma6", f"{PAPER}, Lemma 6", lemma6),
    Check("lemma7", f"{PAPER}, Lemma 7", lemma7),
    Check("lemma8", f"{PAPER}, Lemma 8", lemma8),
    Check("lemma9", f"{PAPER}, Lemma 9", lemma9),
)
