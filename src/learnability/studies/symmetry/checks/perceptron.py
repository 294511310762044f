"""Theorem 2 of Nachum & Yehudayoff on random separable sets and on the embedding, and the frozen hidden layer.

Section 3.3 remarks that with the hidden layer frozen Theorem 1 holds too; by Theorem 2 that is so for every step
size, with no smallness needed, as only beta / h enters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from learnability.checks import FloatArray
from learnability.networks.symmetry import embedding, symmetry_init
from learnability.problems.symmetry import UniformCube, parity, random_symmetric
from learnability.seeding import generator
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry.runs import squared_radius, true_error
from learnability.studies.symmetry.theorems import lemmas_thm1 as theory
from learnability.studies.symmetry.theorems import thm2_lemma4 as perceptron
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.theory.margins import hard_margin, lift
from learnability.training.online import train
from learnability.training.perceptron import modified_perceptron
from learnability.training.record import Outcome

__all__ = ["CHECKS"]

RANDOM_SETS = {"smoke": 5, "laptop": 60}
EMBEDDED = {"smoke": (6,), "laptop": (6, 10, 20, 30)}
FACTORS = {
    "beta=0": Fraction(0),
    "beta=R^2 h/10": Fraction(1, 10),
    "beta=R^2 h": Fraction(1),
    "beta=10 R^2 h": Fraction(10),
}
"""beta as a multiple of R^2 h: nothing, less than the paper's choice, the paper's, larger."""

Case = tuple[str, FloatArray, FloatArray]


def _random_sets(scale: str) -> Iterator[Case]:
    """Gaussian points, labelled by a hyperplane and pushed away from it by a gap."""
    for i in range(RANDOM_SETS[scale]):
        rng = generator(0, "theorem2", i)
        m, d = int(rng.integers(1, 200)), int(rng.integers(1, 30))
        w = rng.standard_normal(d)
        w /= np.linalg.norm(w)
        V = rng.standard_normal((m, d))
        y = np.where(V @ w > 0, 1.0, -1.0)
        yield f"m={m},d={d}", V + (float(rng.uniform(0.01, 0.5)) * y)[:, None] * w, y


def _embeddings(scale: str) -> Iterator[Case]:
    """Lifted embeddings of the weights 0..n, for parity and a random function."""
    for n in EMBEDDED[scale]:
        for kind in ("integer", "half_integer"):
            V = lift(embedding(symmetry_init(n, kind)))
            for name, f in (("parity", parity(n)), ("random", random_symmetric(n, generator(0, "theorem2", n)))):
                yield f"{kind},n={n},{name}", V, np.asarray(f.labels, dtype=np.float64)


def _numbers(h: Fraction, beta: Fraction, margin: float, squared: Fraction) -> dict[str, Any]:
    """What Theorem 2 is about, as floats."""
    return {"h": float(h), "beta": float(beta), "margin": margin, "radius": math.sqrt(squared)}


def theorem2(scale: str) -> list[Guarantee]:
    """Updates and final margin against both bounds; a run that exceeds the bound is stopped just above it."""
    found = []
    for kind, sets in (("random sets", _random_sets(scale)), ("embeddings", _embeddings(scale))):
        left_out: dict[str, float] = {}
        cases: dict[str, list[list[Guarantee]]] = {name: [] for name in FACTORS}
        shares: dict[str, list[float]] = {name: [] for name in FACTORS}
        for name, V, y in sets:
            margin = hard_margin(V, y).margin
            squared = squared_radius(V)
            for regime, factor in FACTORS.items():
                rng = generator(0, "theorem2", kind, name, regime)
                h = Fraction(1, int(rng.integers(1, 10**6)))
                beta = factor * squared * h
                numbers = _numbers(h, beta, margin, squared)
                bound = perceptron.update_bound(**numbers)
                if factor > 1 and len(V) > 21 and kind == "embeddings":
                    size = f"n={len(V) - 1}"
                    left_out[size] = max(bound, left_out.get(size, 0.0))
                    continue
                result = modified_perceptron(V, y, h=h, beta=beta, rng=rng, max_updates=math.ceil(bound) + 1)
                reached = result.margin if result.converged else -1.0
                cases[regime].append(
                    perceptron.theorem2(**numbers, updates=result.updates, final_margin=reached, case=name)
                )
                shares[regime].append(result.updates / bound)
        for regime, pairs in cases.items():
            spread = f"updates / bound from {min(shares[regime]):.3g} to {max(shares[regime]):.3g}"
            large = left_out.items() if FACTORS[regime] > 1 else ()
            missing = "; ".join(f"{size} is left out: a run may take {most:.2g} updates" for size, most in large)
            updates, margins = zip(*pairs)
            found += [
                tightest(
                    statement_id("symmetry/theorem2-updates", kind, regime), updates, theory.joined(spread, missing)
                ),
                tightest(statement_id("symmetry/theorem2-margin", kind, regime), margins, missing),
            ]
    return found


def frozen_layer(_scale: str) -> list[Guarantee]:
    """Last layer only, steps from 1e-9 to 1e3: no more than 3 R^2 / gamma^2 updates, the same ones for every step."""
    n, draws = 10, 40
    steps = (Fraction(1, 10**9), Fraction(1, n**6), Fraction(1, n**2), Fraction(3), Fraction(1000))
    epsilon, delta = 0.1, 0.1
    m = theory.theorem1_sample_size(n, epsilon, delta)
    cube, start = UniformCube(n), symmetry_init(n, "half_integer")
    V = lift(embedding(start))
    squared = squared_radius(V)
    cases: list[Guarantee] = []
    different, failures = 0, []
    for draw in range(draws):
        f = random_symmetric(n, generator(draw, "frozen", "target"))
        X = cube.sample(generator(draw, "frozen", "sample"), m)
        seen = np.unique(X.sum(axis=1)).astype(int)
        margin = hard_margin(V[seen], np.asarray(f.labels)[seen]).margin
        counts, failed = [], False
        for h in steps:
            rng = generator(draw, "frozen", "order")
            run = train(start, X, f(X), h=h, beta=squared * h, rng=rng, epochs=10**6, layers="output", record=[0])
            failed |= true_error(run, f, cube) > epsilon or run.outcome is not Outcome.CONVERGED
            counts.append(run.updates)
            numbers = _numbers(h, squared * h, margin, squared)
            case = f"draw={draw},h={float(h):.3g}"
            cases.append(perceptron.theorem2(**numbers, updates=run.updates, case=case)[0])
        different += len(set(counts)) - 1
        failures.append(failed)
    name = ("h=1e-9..1e3", f"n={n}")
    what = f"runs whose number of updates depends on h, over {draws} samples and {len(steps)} step sizes"
    steady = statement_id("frozen-layer-steps", *name)
    note = "a sample fails if any step size does"
    return [
        tightest(statement_id("symmetry/frozen-layer-updates", *name), cases, "bound of Theorem 2, beta = R^2 h"),
        claim(steady, "Section 3.3 (remark)", 0, different, "equal", what, Kind.EXACT),
        theory.theorem1(
            n, epsilon=epsilon, delta=delta, m=m, failed=failures, case="frozen layer,h=1e-9..1e3", note=note
        ),
    ]


CHECKS = (
    Check("theorem2", f"{PAPER}, Theorem 2", theorem2),
    Check("frozen-layer", f"{PAPER}, Section 3.3 (remark)", frozen_layer),
)
