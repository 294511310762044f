"""Theorem 2 of Daniely & Malach: feature maps of many kinds against its bound, in each of its forms.

Four settings, of which each can do what the others cannot:

- whole cubes of up to 2^12 points (and 2^16 at k = 1): any feature map, every A or a sample of them;
- any feature map of 16 of n = 16 k coordinates, within the hypothesis k <= n/16: where A is not among the 16, the
  label is independent of the features on D_A^(1), and the best loss there is 1;
- the parities themselves, which attain the direct form: nothing larger could be true;
- features of the sum of all signs, at n = 16 k where the theorem's own hypothesis k <= n/16 holds. All A are alike to
  them, and the best loss is exact at any n, as only n + 1 sums with two labels each can be told apart. Among them is
  the sign of the sum of all parities over k coordinates, which at N = 1 reaches about half of what the direct form
  allows.

Losses are taken by their proved lower bounds. Cases whose bound is vacuous are counted, and left out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from learnability.checks import FloatArray
from learnability.kernels.features import coordinates, parities, random_layer
from learnability.problems.boolean import subset_masks, subset_of
from learnability.seeding import generator
from learnability.studies.parity import PAPER
from learnability.studies.parity.theorems import linear as theory
from learnability.studies.parity.theorems.feature_map import FeatureMap, guarantees, measure
from learnability.studies.parity.theorems.statement import stated
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.linear_class import best_hinge

__all__ = ["CHECKS", "sum_law", "sum_of_parities"]

CUBES = {
    "smoke": ((6, 3, (4, 12), (0.3, 3.0), 20),),
    "laptop": (
        (8, 3, (5, 20, 56), (0.1, 0.5, 2.0, 20.0), 12),
        (10, 3, (5, 40), (0.5, 5.0), 8),
        (10, 5, (5, 40), (0.5, 5.0), 8),
        (12, 3, (10, 60), (0.5, 3.0), 4),
        (12, 5, (10, 60), (0.5, 10.0), 4),
    ),
}
"""n, k, numbers of features, norms, and how many A at most."""
TIGHT = {"smoke": ((6, 3),), "laptop": ((8, 3), (8, 5), (9, 5))}
SUMS = {"smoke": ((48, 3), (80, 5)), "laptop": ((48, 3), (80, 5), (112, 7), (160, 9), (400, 3), (999, 5))}
JUNTAS: dict[str, tuple[tuple[int, int, int, float], ...]] = {
    "smoke": (),
    "laptop": ((48, 3, 8, 0.1),),
}
"""n = 16 k, k, N, B."""
SUM_NUMBERS = (1, 4, 16)
SUM_NORMS = (0.05, 0.3, 1.0, 4.0)
TOLERANCE = 1e-6
SUM_TOLERANCE = 1e-11
"""The bounds are this near to 1 where n is large."""


def _maps(n: int, k: int, N: int) -> Iterator[tuple[str, FeatureMap]]:
    """Feature maps with N features (the coordinates: n of them)."""
    rng = generator(0, "theorem2", n, k, N)
    yield "tanh", random_layer(rng, n, N, "tanh", scale=2.0, bias=1.0)
    yield "relu, cut at 1", random_layer(rng, n, N, "relu", scale=1.0, bias=0.5, limit="clip")
    yield "relu, divided", random_layer(rng, n, N, "relu", scale=1.0, bias=0.5, limit="normalise")
    yield "gaussian", random_layer(rng, n, N, "cos", scale=2.0)
    subsets = rng.permutation(subset_masks(n, k))[:N]
    yield "parities", parities(n, [subset_of(int(mask)) for mask in subsets])
    if n < 2 * N:
        yield "coordinates", coordinates(n)


def theorem2(scale: str) -> list[Guarantee]:
    """All settings, each form by the case that comes nearest."""
    found: dict[str, list[Guarantee]] = {}
    ratios: list[Guarantee] = []

    def keep(setting: str, cases: list[Guarantee]) -> None:
        for case in cases:
            statement, _, inside = case.id.partition("[")
            if statement.endswith("each"):
                found.setdefault(f"{statement}[{setting}]", []).append(case)
            elif case.verdict != "outside_hypotheses":  # a form outside its hypothesis says nothing here
                found.setdefault(f"{statement}[{inside.partition(',')[0]},{setting}]", []).append(case)

    for n, k, numbers, norms, most in CUBES[scale]:
        for N, B in itertools.product(numbers, norms):
            for name, psi in _maps(n, k, N):
                rng = generator(0, "theorem2", "supports", n, k)
                keep("cube", guarantees(measure(psi, n, k, B, most=most, rng=rng, tolerance=TOLERANCE), case=name))
    if scale != "smoke":
        for N, B in itertools.product((2, 8), (0.3, 1.0)):
            psi = random_layer(generator(0, "theorem2", 16, N), 16, N, "tanh", scale=2.0, bias=1.0)
            found_here = measure(psi, 16, 1, B, most=4, rng=generator(0, "theorem2", 16), tolerance=TOLERANCE)
            keep("cube", guarantees(found_here, case="tanh"))
    for n, k, N, B in JUNTAS[scale]:
        for name, psi in _maps(16, k, N):
            if name != "coordinates":
                keep("juntas", _junta(psi, n, k, B, name))
    for n, k in SUMS[scale]:
        cases, ratio = _sums(n, k)
        keep("sums", cases)
        ratios.append(ratio)
    result = [tightest("parity/theorem2-parseval", ratios)]
    for identity, cases in found.items():
        telling = [case for case in cases if case.bound is not None and case.bound > 0]
        if telling:
            empty = len(cases) - len(telling)
            result.append(tightest(identity, telling, f"{empty} more vacuous and left out" if empty else ""))
    return result + attained(scale)


def _junta(psi: FeatureMap, n: int, k: int, B: float, name: str) -> list[Guarantee]:
    """The average over all A of the best loss on D_A^(1), for features of the first 16 of n coordinates."""
    found = measure(psi, 16, k, B, most=1, rng=generator(0, "theorem2", "juntas", n, k), tolerance=TOLERANCE)
    share = math.comb(16, k) / math.comb(n, k)  # of the A that the features can see
    average = 1 - share * (1 - found.average_lower)
    gap = float((found.uniform - found.uniform_lower).max())
    return theory.theorem2_average(
        N=found.N, B=B, n=n, k=k, measured=average, tolerance=1e-9 + gap, case=name,
        note=f"features of 16 of the coordinates; A is among these with probability {share:.3g}, else the loss is 1",
    )  # fmt: skip


# The parities themselves


def attained(scale: str) -> list[Guarantee]:
    """All C(n, k) parities with B <= 1: the best loss on D_A^(1) is 1 - B, which is the direct form, for every A."""
    result = []
    for n, k in TIGHT[scale]:
        psi = parities(n, [subset_of(int(mask)) for mask in subset_masks(n, k)])
        for B in (0.1, 0.5, 0.9):
            found = measure(psi, n, k, B, most=200, tolerance=TOLERANCE)
            bound = theory.linear_bound(N=found.N, B=B, n=n, k=k, part="uniform")
            note = f"average best loss of all N = {found.N} parities over all A; the direct form is attained"
            mean, place = float(found.uniform.mean()), ("theorem2-attained", (f"n={n}", f"k={k}", f"B={B:g}"))
            result.append(stated(*place, theory.OURS, Kind.EXACT, bound, mean, note, tolerance=2 * TOLERANCE))
    return [tightest("parity/theorem2-attained", result)]


# Features of the sum of all signs


def sum_law(n: int, k: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Joint law of the number of -1 among the n signs and of the label.

    Returns
    -------
    y : array (2 (n + 1),)
        Labels: +1 with 0, ..., n signs of -1, then -1 with 0, ..., n.
    uniform, mixture : array (2 (n + 1),)
        Probabilities under D_A^(1) and D_A.
    """
    first, second = np.zeros((2, n + 1)), np.zeros((2, n + 1))
    for i in range(k + 1):  # signs of -1 in A
        for outside in range(n - k + 1):
            share = math.comb(n - k, outside) / 2 ** (n - k)
            first[i % 2, i + outside] += math.comb(k, i) / 2**k * share
            if i in (0, k):
                second[i % 2, i + outside] += 0.5 * share
    return np.repeat([1.0, -1.0], n + 1), first.ravel(), 0.5 * (first + second).ravel()


def sum_of_parities(n: int, k: int) -> list[int]:
    """The sum of all parities over k of n signs, given the number 0, ..., n of -1: a Krawtchouk polynomial."""
    return [
        sum((-1) ** i * math.comb(t, i) * math.comb(n - t, k - i) for i in range(min(t, k) + 1)) for t in range(n + 1)
    ]


def _sums(n: int, k: int) -> tuple[list[Guarantee], Guarantee]:
    """Random functions of the sum, thresholds of it, and the sign of the sum of all parities; and what is behind it.

    Where n is large the best losses are near 1 and the bounds too, so the step from Parseval to the bound is checked
    by itself as well: the largest |E f_A Psi|, by its exact sum, over sqrt(N / C(n, k)).
    """
    rng = generator(0, "theorem2", "sums", n, k)
    y, uniform, mixture = sum_law(n, k)
    towards = np.array([[(value > 0) - (value < 0)] for value in sum_of_parities(n, k)], dtype=float)
    makers: dict[str, Callable[[int], FloatArray]] = {
        "random": lambda N: rng.uniform(-1, 1, (n + 1, N)),
        "thresholds": lambda N: np.where(
            np.arange(n + 1)[:, None] > n / 2 + math.sqrt(n) * np.linspace(-1, 1, N), 1.0, -1.0
        ),
        "with the sign of all parities": lambda N: np.hstack([towards, rng.uniform(-1, 1, (n + 1, N - 1))]),
    }
    found: list[Guarantee] = []
    weights = y * uniform
    ratio, C = 0.0, math.comb(n, k)
    for (name, make), N, B in itertools.product(makers.items(), SUM_NUMBERS, SUM_NORMS):
        values = np.tile(make(N), (2, 1))
        ratio = max(ratio, float(np.linalg.norm(weights @ values)) * math.sqrt(C / N))
        for part, p in zip(theory.PARTS, (mixture, uniform), strict=True):
            best = best_hinge(values, y, p, norm=B, tolerance=SUM_TOLERANCE)
            found += theory.theorem2(
                N=N, B=B, n=n, k=k, measured=best.lower, tolerance=1e-12 + best.gap, part=part, case=name,
                note="the same for all A, exact",
            )  # fmt: skip
    return found, stated(
        "theorem2-parseval", (f"n={n}", f"k={k}"), theory.OURS, Kind.UPPER_BOUND, 1.0, ratio,
        "largest |E f_A Psi| / sqrt(N / C(n, k)) over features of the sum", tolerance=1e-9,
    )  # fmt: skip


CHECKS = (Check("theorem2", f"{PAPER}, Theorem 2", theorem2),)
