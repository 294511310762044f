"""Theorem 2 of Nachum & Yehudayoff on random separable sets and on the embedding, and the frozen hidden layer.

Section 3.3 remarks that with the hidden layer frozen Theorem 1 holds too; by Theorem 2 that is so for every step
size, with no smallness needed, as only beta / h enters.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from learnability.checks import FloatArray
from learnability.networks.one_hidden import OneHidden
from learnability.networks.symmetry import embedding, symmetry_init
from learnability.problems.symmetry import SymmetricFunction, UniformCube, parity, random_symmetric
from learnability.seeding import generator
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry.runs import squared_radius, true_error
from learnability.studies.symmetry.theorems import lemmas_thm1 as theory
from learnability.studies.symmetry.theorems import thm2_lemma4 as perceptron
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import joined, statement_id
from learnability.theory.margins import hard_margin, lift
from learnability.training.online import train
from learnability.training.perceptron import modified_perceptron
from learnability.training.record import Outcome
from learnability.training.reference import sgd

__all__ = ["CHECKS"]

RANDOM_SETS = {"smoke": 5, "laptop": 60}
EMBEDDED = {"smoke": (6,), "laptop": (6, 10, 20, 30)}
BATCHED = {"smoke": (4,), "laptop": (4, 6, 10)}
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
            for name, f in _functions(n):
                yield f"{kind},n={n},{name}", V, np.asarray(f.labels, dtype=np.float64)


def _functions(n: int) -> tuple[tuple[str, SymmetricFunction], ...]:
    return ("parity", parity(n)), ("random", random_symmetric(n, generator(0, "theorem2", n)))


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
            for part, several in zip(("updates", "margin"), zip(*pairs), strict=False):  # beta = 0: no margin
                said = joined(spread if part == "updates" else "", missing)
                found.append(tightest(statement_id(f"symmetry/theorem2-{part}", kind, regime), several, said))
    return [*found, *_batches(scale)]


def _batches(scale: str) -> list[Guarantee]:
    """Theorem 2 for batches, on the embeddings: by the engine, last layer only, one input of each weight."""
    cases: dict[str, list[list[Guarantee]]] = {}
    for n in BATCHED[scale]:
        for kind, (name, f) in itertools.product(("integer", "half_integer"), _functions(n)):
            start = symmetry_init(n, kind)
            V, X = lift(embedding(start)), np.tri(n + 1, n, -1)
            margin, squared = hard_margin(V, f.labels).margin, squared_radius(V)
            for (regime, factor), batch in itertools.product(FACTORS.items(), (2, 5, n + 1)):
                rng = generator(0, "theorem2", "batches", kind, n, name, regime, batch)
                h = Fraction(1, int(rng.integers(1, 10**6)))
                run = train(
                    start, X, f(X), h=h, beta=factor * squared * h, rng=rng, epochs=10**6, layers="output",
                    batch=batch, record=[0],
                )  # fmt: skip
                ended = run.outcome is Outcome.CONVERGED
                parts = perceptron.theorem2(
                    **_numbers(h, factor * squared * h, margin, squared),
                    batch=batch,
                    updates=run.updates,
                    final_margin=run.final("margin") if ended else -1.0,
                    case=f"{kind},n={n},{name},batch={batch}",
                )
                cases.setdefault(regime, []).append(parts)
    found = [
        tightest(statement_id(f"symmetry/theorem2-{part}", "batches of 2, 5 and n+1", regime), several)
        for regime, pairs in cases.items()
        for part, several in zip(("updates", "margin"), zip(*pairs), strict=False)
    ]
    return [*found, tightest("symmetry/theorem2-updates[copies of one input,beta=0]", list(map(_copies, (1, 2, 8))))]


def _copies(batch: int) -> Guarantee:
    """What attains the bound: as many copies of one input as a batch holds."""
    start, X = symmetry_init(4, "half_integer"), np.ones((batch, 4))
    V = lift(embedding(start))[-1:]
    rng = generator(0, "theorem2", "copies", batch)
    run = train(start, X, np.ones(batch), h=1, beta=0, rng=rng, epochs=100, layers="output", batch=batch)
    numbers = _numbers(Fraction(1), Fraction(0), hard_margin(V, [1]).margin, squared_radius(V))
    return perceptron.theorem2(**numbers, batch=batch, updates=run.updates, case=f"batch={batch}")[0]


STEPS = (Fraction(1, 10**9), Fraction(1, 10**6), Fraction(1, 100), Fraction(3), Fraction(1000))
"""From far below Lemma 4's limit to far above anything."""


def frozen_layer(scale: str) -> list[Guarantee]:
    """Last layer only, steps from 1e-9 to 1e3: Theorem 1, within 3 R^2 / gamma^2 updates, the same for every step.

    Statement
    ---------
    If only the output layer is trained, Theorem 1 holds for every step size: with beta a fixed multiple of h the
    step scales the weights and changes no decision, so that the modified perceptron's bound of 3 R^2 / gamma^2
    updates (beta = R^2 h) is all there is.
    """
    n, draws = 10, 40
    epsilon, delta = 0.1, 0.1
    m = theory.theorem1_sample_size(n, epsilon, delta)
    cube, start = UniformCube(n), symmetry_init(n, "half_integer")
    V = lift(embedding(start))
    squared = squared_radius(V)
    cases: list[Guarantee] = []
    failures = []
    for draw in range(draws):
        f, h = random_symmetric(n, generator(draw, "frozen", "target")), STEPS[draw % len(STEPS)]
        X = cube.sample(generator(draw, "frozen", "sample"), m)
        seen = np.unique(X.sum(axis=1)).astype(int)
        margin = hard_margin(V[seen], np.asarray(f.labels)[seen]).margin
        rng = generator(draw, "frozen", "order")
        run = train(start, X, f(X), h=h, beta=squared * h, rng=rng, epochs=10**6, layers="output", record=[0])
        failures.append(true_error(run, f, cube) > epsilon or run.outcome is not Outcome.CONVERGED)
        numbers = _numbers(h, squared * h, margin, squared)
        cases.append(perceptron.theorem2(**numbers, updates=run.updates, case=f"draw={draw},h={float(h):.3g}")[0])
    name = ("h=1e-9..1e3", f"n={n}")
    return [
        tightest(statement_id("symmetry/frozen-layer-updates", *name), cases, "bound of Theorem 2, beta = R^2 h"),
        _steps(scale),
        theory.theorem1(n, epsilon=epsilon, delta=delta, m=m, failed=failures, case="frozen layer,h=1e-9..1e3"),
    ]


def _steps(scale: str) -> Guarantee:
    """That with beta a multiple of h no decision depends on h.

    The engine is given beta / h and could not tell steps apart. So its one run is compared with the reference, which
    uses h and beta themselves, over rational numbers, at every step: update by update, and in the weights M / h.
    """
    n, kind, draws = 4, "half_integer", {"smoke": 1, "laptop": 3}[scale]
    start = symmetry_init(n, kind)
    squared = squared_radius(lift(embedding(start)))
    different, made, exact = 0, 0, _rational(start)
    for draw in range(draws):
        f, X = random_symmetric(n, generator(draw, "frozen steps", "target")), np.tri(n + 1, n, -1)
        one = train(
            start, X, f(X), h=1, beta=squared, rng=generator(draw, "frozen steps", "order"), epochs=10**6,
            layers="output", record=[0],
        )  # fmt: skip
        for h in STEPS:
            history = sgd(
                exact, X.astype(int).astype(object), f(X).astype(int).astype(object), h=h, beta=squared * h,
                rng=generator(draw, "frozen steps", "order"), epochs=one.epochs + 1, layers="output",
            )  # fmt: skip
            counts, end = sum(int(epoch.updated.sum()) for epoch in history), history[-1].params
            same = (len(history), counts) == (one.epochs, one.updates) and end.b / h == one.params.b
            different += not (same and (end.M / h == one.params.M).all())
            made += counts
    what = (
        f"runs of the reference over rational numbers, with h and beta = R^2 h, that differ from the engine's, which "
        f"has beta / h only, in updates, epochs or M / h; {draws * len(STEPS)} runs, {made} updates"
    )
    identity = statement_id("frozen-layer-steps", "h=1e-9..1e3", f"n={n}")
    return claim(identity, "Section 3.3 (remark)", 0, different, "equal", what, Kind.EXACT)


def _rational(start: OneHidden) -> OneHidden:
    """The network over rational numbers."""
    W, B, M = (np.vectorize(Fraction, otypes=[object])(part) for part in start[:3])
    return OneHidden(W, B, M, Fraction(start.b))


CHECKS = (
    Check("theorem2", f"{PAPER}, Theorem 2", theorem2),
    Check("frozen-layer", f"{PAPER}, Section 3.3 (remark)", frozen_layer),
)
