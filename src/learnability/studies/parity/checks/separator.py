"""Lemma 12 of Daniely & Malach: a separator of the neurons that the exact first step makes, its norm and sparsity.

Good neurons see the k signs in A alone, so "for all x" is the 2^k patterns of A.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from learnability.checks import FloatArray
from learnability.evidence.intervals import Interval, exponents, share
from learnability.networks.parity import good_neurons, initial, relu6
from learnability.problems.parity import random_mixture
from learnability.seeding import generator
from learnability.studies.parity import PAPER
from learnability.studies.parity.checks.features import patterns
from learnability.studies.parity.theorems import separator
from learnability.study import Check
from learnability.theory import Guarantee
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.theory.margins import hard_margin
from learnability.training.population import correlation

__all__ = ["CHECKS", "good_features"]

DELTA = 0.1
WIDTHS = {3: (2, 4, 8, 16, 32, 64), 5: (8, 16, 32, 64, 128, 256), 7: (32, 64, 128, 256, 512, 1024)}
"""Pairs of neurons q of the success probability, by k."""
DRAWS = {"smoke": 60, "laptop": 200}
"""Starts of the share of failures."""
STARTS = 12
"""Of the norms."""
NORMS: dict[str, dict[int, tuple[int, ...]]] = {
    "smoke": {3: (128, 1024), 5: (256, 1024)},
    "laptop": {3: (64, 128, 256, 512, 1024), 5: (256, 512, 1024, 2048, 4096), 7: (1024, 2048, 4096, 8192)},
}
"""q of the norms, by k: from where neurons lie near each of Lemma 10's u*."""
SPARSE_NORM = 7.0
"""B of the sparse separators, |u*| <= B k^5 / sqrt(q), one for every k: about twice the least at k = 3."""
DIMENSION = {3: 101, 5: 201, 7: 301}


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
        n, draws = DIMENSION[k], DRAWS[scale]
        failures = [
            sum(not _separable(generator(i, "lemma12", n, k, q), n, k, q) for i in range(draws)) for q in widths
        ]
        found.append(separator.lemma12(n=n, k=k, q=widths[-1], delta=DELTA, failures=failures[-1], draws=draws))
        table = ", ".join(f"{f / draws:.3g} at q={q}" for q, f in zip(widths, failures))
        most = [share(np.arange(draws) < f, comparisons=len(widths)).high for f in failures]
        enough = next((q for i, q in enumerate(widths) if max(most[i:]) <= DELTA), None)
        note = "least q tried from which on the share of failures is known to be at most delta; shares "
        note += f"of {draws} starts that fail: {table}"
        last.append(separator.lemma12_width(n=n, k=k, delta=DELTA, enough=enough, note=note))
    return found + last + _separators(scale)


def _separable(rng: np.random.Generator, n: int, k: int, q: int) -> bool:
    V = good_features(rng, n, k, q).V
    return V.shape[1] > 0 and hard_margin(V, patterns(k)[1]).separable


def _separators(scale: str) -> list[Guarantee]:
    found: list[Guarantee] = []
    scaled: dict[str, list[FloatArray]] = {"least norm": [], "few neurons": []}
    sparse: list[FloatArray] = []
    for k, widths in NORMS[scale].items():
        n, y = DIMENSION[k], patterns(k)[1]
        norms, fewer, counts, tight = np.empty((4, len(widths), STARTS))
        cases = []
        for at, q in enumerate(widths):
            for i in range(STARTS):
                one = good_features(generator(i, "norm", n, k, q), n, k, q)
                u = hard_margin(one.V, y).w  # zero if there is none
                few = _of_the_nearest(one, y, k, max(1, round(q / k**3.5)))  # about q / k^2.5, as Lemma 12 says
                norms[at, i], fewer[at, i] = _norm(u), _norm(few)
                counts[at, i] = _fewest(one, y, SPARSE_NORM * k**5 / math.sqrt(q))
                tight[at, i] = _fewest(one, y, 2 * _norm(u))
                vertex = separator.sparse_separator(one.V, y)
                named = {"least norm": u, "few neurons": few, "linear programme": vertex}
                cases.append(_separator_cases(one.V, y, named, k, q, f"q={q},{i}"))
        root, share_of = np.sqrt(widths) / k**5, k**2.5 / np.array(widths)
        where, over = f"n={n},k={k}", f"q = {widths[0]}..{widths[-1]}"
        note = f"{over}; least norm; B = |u*| sqrt(q) / k^5: {_means(norms, root)}; with few neurons "
        note += _means(fewer, root)
        found.append(separator.lemma12_growth("q", _growth(widths, norms), case=where, note=note))
        note = f"{over}; fewest |u*|_0, |u*|_2 <= {SPARSE_NORM:g} k^5 / sqrt(q); B~: {_means(counts, share_of)}; "
        note += f"within twice the least norm of its k, far below k^5, B~: {_means(tight, share_of)}"
        found.append(separator.lemma12_sparsity("q", _growth(widths, counts), case=where, note=note))
        for name, sizes in (("least norm", norms), ("few neurons", fewer)):
            scaled[name].append(sizes[-1] * math.sqrt(widths[-1]))
        sparse.append(counts[-1] / widths[-1])
        found += [tightest(statement_id(gs[0].id.partition("[")[0], f"k={k}"), gs, over) for gs in zip(*cases)]
    ks = list(NORMS[scale])
    for name, by_k in scaled.items():
        note = f"k = {ks[0]}..{ks[-1]}; |u*| sqrt(q) at the largest q of each k"
        if name == "few neurons":
            note += "; |u*|_0 about q / k^2.5, both as Lemma 12 says"
        found.append(separator.lemma12_growth("k", _growth(ks, np.array(by_k)), case=name, note=note))
    note = f"k = {ks[0]}..{ks[-1]}; fewest |u*|_0 / q at the largest q of each k, |u*|_2 <= {SPARSE_NORM:g} k^5 / "
    note += "sqrt(q); the fewest that can be tried, one neuron next to each u*_r, are about k + 1 and often enough"
    found.append(separator.lemma12_sparsity("k", _growth(ks, np.array(sparse)), note=note))
    return found


def _means(sizes: FloatArray, scale: FloatArray) -> str:
    return ", ".join(f"{x:.3g}" for x in sizes.mean(axis=1) * scale)


def _growth(at: Sequence[int], sizes: FloatArray) -> Interval | None:
    """The exponent start by start, from sizes (places, starts); None if one start has no separator."""
    if not np.isfinite(sizes).all():
        return None
    return exponents(at, sizes.T, unit="starts")


def _norm(u: FloatArray) -> float:
    return float(np.linalg.norm(u)) if u.any() else math.inf


def _of_the_nearest(neurons: GoodNeurons, y: FloatArray, k: int, each: int) -> FloatArray:
    """The separator of least norm of the ``each`` neurons next to each u*_r; zero if there is none."""
    r = np.arange(-k, k + 1, 2)[:, None]
    nearest = np.unique(np.argsort(np.abs(1 - r / neurons.kink), axis=1)[:, :each])
    u = np.zeros(len(neurons.kink))
    u[nearest] = hard_margin(neurons.V[:, nearest], y).w
    return u


def _fewest(neurons: GoodNeurons, y: FloatArray, most: float) -> float:
    """The least |u|_0 over such separators of norm at most ``most``; NaN if there is none.

    The least norm falls with the number of neurons, as the sets are nested: doubling, then bisection.
    """
    k = len(y).bit_length() - 1
    if not math.isfinite(most):
        return math.nan
    low, high = 0, 1
    while _norm(u := _of_the_nearest(neurons, y, k, high)) > most:
        if high >= len(neurons.kink):
            return math.nan
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        v = _of_the_nearest(neurons, y, k, middle)
        if _norm(v) <= most:
            high, u = middle, v
        else:
            low = middle
    return float(np.count_nonzero(u))


def _separator_cases(
    V: FloatArray, y: FloatArray, named: dict[str, FloatArray | None], k: int, q: int, case: str
) -> list[Guarantee]:
    """Margins and largest feature used of the separators of one start."""
    there = {name: u for name, u in named.items() if u is not None}
    used = np.any([u != 0 for u in there.values()], axis=0)
    words = [
        f"{name}: |u|_2 {np.linalg.norm(u):.3g}, |u|_0 {np.count_nonzero(u)} = "
        f"{np.count_nonzero(u) * k**2.5 / q:.3g} q / k^2.5"
        for name, u in there.items()
    ]
    margins = [float((y * (V @ u)).min()) for u in there.values()] + [0.0] * (len(named) - len(there))
    return separator.lemma12_separator(
        k=k, margin=min(margins), largest=float(V[:, used].max(initial=0.0)), case=case, note="; ".join(words)
    )


CHECKS = (Check("lemma12", f"{PAPER}, Lemma 12", lemma12),)
