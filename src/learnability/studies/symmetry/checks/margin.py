"""Lemma 3 of Nachum & Yehudayoff: the margin of the initial embedding, its worst function, its dead neurons.

That parity is the worst function is asked three ways: exhaustively for small n, by a certificate for all 2^(n+1)
functions at once (:mod:`learnability.studies.symmetry.theorems.worst_labels`) for every n up to 200, and by local
search.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import numpy as np

from learnability.checks import FloatArray
from learnability.evidence.claims import Claims
from learnability.networks.symmetry import dead_neurons, embedding, symmetry_init
from learnability.problems.symmetry import all_symmetric, parity, random_symmetric
from learnability.seeding import generator
from learnability.studies.symmetry import PAPER, STUDY
from learnability.studies.symmetry.theorems import lemmas_thm1 as theory
from learnability.studies.symmetry.theorems.worst_labels import certify_worst_labels
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.theory.margins import hard_margin, lift
from learnability.training.online import train

__all__ = ["CHECKS"]

project = Claims(STUDY.name, f"this project, on {PAPER}")
"""A claim of ours on this paper."""
KINDS = ("integer", "half_integer", "quarter", "sigmoid")
EXHAUSTIVE = {"smoke": 6, "laptop": 12}
BEYOND = {"smoke": (20, 60), "laptop": (20, 30, 60, 100, 200)}
DRAWS = {"smoke": 5, "laptop": 100}
CERTIFIED = {"smoke": 40, "laptop": 200}
SEARCHED = {"smoke": ((12, 2),), "laptop": ((20, 10), (30, 4))}
"""(n, restarts) of the local search."""


@lru_cache(maxsize=4)  # a kind and n at a time: those of every n up to 200 take 200 MB
def _points(n: int, kind: str) -> FloatArray:
    """The lifted embedding (v, 1) of the weights 0..n."""
    return lift(embedding(symmetry_init(n, kind), activation="sigmoid" if kind == "sigmoid" else "relu"))


def _parity_margin(n: int, kind: str) -> float:
    return hard_margin(_points(n, kind), parity(n).labels).margin


def lemma3(scale: str) -> list[Guarantee]:
    """Exact hard margins against the explicit constants: all functions at small n, parity and random beyond."""
    small, found = EXHAUSTIVE[scale], []
    for kind in KINDS:
        cases, ratios = [], []
        for n in range(1, small + 1):
            # f and -f have the same margin: half of the functions are enough
            halved = (f for f in all_symmetric(n) if f.labels[0] == 1)
            worst = min(hard_margin(_points(n, kind), f.labels).margin for f in halved)
            cases.append(theory.lemma3(n, kind, margin=worst))
            ratios.append(worst / _parity_margin(n, kind))
        at = (kind, "all functions", f"n<={small}")
        found.append(tightest(statement_id("symmetry/lemma3", *at), cases, "exact margins"))
        identity, what = statement_id("lemma3-worst-function", *at), "least margin of any function over parity's"
        found.append(
            project(
                identity, "Lemma 3", 1.0, min(ratios), "equal", f"{what}, least over n", Kind.EXACT, tolerance=1e-9
            )
        )
        cases = []
        for n in BEYOND[scale]:
            rng = generator(0, "lemma3", n)
            functions = [parity(n)] + [random_symmetric(n, rng) for _ in range(DRAWS[scale] * 20 // n)]
            worst = min(hard_margin(_points(n, kind), f.labels).margin for f in functions)
            cases.append(theory.lemma3(n, kind, margin=worst))
        name = f"n={'|'.join(map(str, BEYOND[scale]))}"
        found.append(tightest(statement_id("symmetry/lemma3", kind, "parity and random", name), cases))
    return found


def scaling(_scale: str) -> list[Guarantee]:
    """That parity's margin * sqrt(n) is within 1.2 / n of its limit, relative: the exponent -1/2 and the constant.

    Statement
    ---------
    Parity, the function of the least margin, has the margin c / sqrt(n) as n grows, with the constant c of each
    initialisation worked out: the order of Lemma 3 is exact, and so is its constant for parity.
    """
    found = []
    ns = (10, 14, 20, 30, 42, 60, 85, 120, 160, 200)
    for kind in KINDS:
        limit = theory.LEMMA3_LIMITS[kind]
        apart = max(n * abs(_parity_margin(n, kind) * n**0.5 / limit - 1) for n in ns)
        identity = statement_id("lemma3-limit", kind, f"n={ns[0]}..{ns[-1]}")
        what = f"largest n |margin sqrt(n) / c - 1|, parity's margin against c / sqrt(n), c = {limit:.4f}"
        found.append(project(identity, "Lemma 3", 1.2, apart, "at_most", what, Kind.TREND))
    return found


def worst_function(scale: str) -> list[Guarantee]:
    """Whether parity is the worst function at every n: by certificate, and by local search.

    Statement
    ---------
    Of all 2^(n+1) symmetric functions parity and its complement have the least margin under the symmetry
    initialisations, at every n tried. This is a claim of ours; the paper does not say which function is the worst.
    """
    found = []
    top = CERTIFIED[scale]
    for kind in KINDS:
        results = [certify_worst_labels(_points(n, kind), parity(n).labels) for n in range(1, top + 1)]
        least = min(range(top), key=lambda i: results[i].gap)
        identity = statement_id("lemma3-worst-function", kind, "certificate", f"n<={top}")
        what = (
            "positive proves that parity and its complement alone have the least margin of all 2^(n+1) functions; "
            f"every n from 1 to {top}, least at n={least + 1}"
        )
        found.append(project(identity, "Lemma 3", 1e-9, results[least].gap, "at_least", what))
        for n, restarts in SEARCHED[scale]:
            ratio = _search(n, kind, restarts) / _parity_margin(n, kind)
            identity = statement_id("lemma3-worst-function", kind, "local search", f"n={n}")
            what = f"least margin over parity's from {restarts} random starts, best flip until none helps"
            found.append(project(identity, "Lemma 3", 1.0, ratio, "at_least", what, tolerance=1e-7))
    return found


def _search(n: int, kind: str, restarts: int) -> float:
    rng = generator(0, "worst-function", n)
    V, least = _points(n, kind), np.inf
    for _ in range(restarts):
        y = np.asarray(random_symmetric(n, rng).labels)
        current = hard_margin(V, y).margin
        while True:
            flips = [hard_margin(V, np.where(np.arange(n + 1) == k, -y, y)).margin for k in range(n + 1)]
            k = int(np.argmin(flips))
            if flips[k] >= current * (1 - 1e-9):
                break
            y[k], current = -y[k], flips[k]
        least = min(least, current)
    return float(least)


def dead(scale: str) -> list[Guarantee]:
    """Neurons that are zero on the whole cube, and that training both layers leaves these alone where they are.

    Statement
    ---------
    Some neurons of the symmetry initialisations are 0 on the whole cube. They get no gradient, so that training
    both layers leaves them where they were: of n + 3 neurons (``integer``) two are dead.

    Errata
    ------
    Section 5 speaks of 4n + 3 neurons and gives no formula for them. ``half_integer`` (4n + 2 ReLUs and the output
    bias) is our reconstruction, from the proof of the representation in the arXiv version; ``quarter`` and
    ``integer_padded`` are other readings.
    """
    found = []
    top = CERTIFIED[scale]
    expected: dict[str, tuple[str, Callable[[int], set[int]]]] = {
        "integer": ("i = n+2 and n+3", lambda n: {n + 1, n + 2}),
        "half_integer": ("ReLU(k - n) and ReLU(0 - k)", lambda n: {2 * n, 2 * n + 1}),
        "quarter": ("c = n and n + 1/4", lambda n: {4 * n + 1, 4 * n + 2}),
        "integer_padded": ("i = n+2..4n+3", lambda n: set(range(n + 1, 4 * n + 3))),
    }
    for kind, (which, indices) in expected.items():
        different = sum(
            len(indices(n) ^ set(np.flatnonzero(dead_neurons(symmetry_init(n, kind))).tolist()))
            for n in range(1, top + 1)
        )
        # one input of each weight, so that every neuron that is not dead gets a gradient
        n, start = 8, symmetry_init(8, kind)
        rng = generator(0, "dead", kind)
        X = np.tri(n + 1, n, -1)
        run = train(start, X, parity(n)(X), h=Fraction(1, n**3), beta=1, rng=rng, epochs=200, form="direct")
        moved = [now != then for now, then in zip(run.params[:3], start[:3])]
        still = set(np.flatnonzero(~(moved[0].any(axis=1) | moved[1] | moved[2])).tolist())
        known = f"dead are exactly {which}; counted: neurons that differ from that"
        kept = (
            f"neurons left where they were by {run.updates} updates of both layers are exactly these; counted: "
            f"those that differ, of {len(start.B)}"
        )
        for case, number, what in (
            ((f"n<={top}",), different, known),
            (("trained", f"n={n}"), len(still ^ indices(n)), kept),
        ):
            identity = statement_id("dead-neurons", kind, *case)
            found.append(project(identity, "Lemma 3 (dead neurons)", 0, number, "equal", what, Kind.EXACT))
    return found


CHECKS = (
    Check("lemma3", f"{PAPER}, Lemma 3", lemma3),
    Check("lemma3-scaling", f"{PAPER}, Lemma 3", scaling),
    Check("lemma3-worst-function", f"{project.paper}, Lemma 3", worst_function),
    Check("dead-neurons", f"{PAPER}, Section 3", dead),
)
