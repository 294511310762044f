"""Proposition 1 and Theorem 8 of Brutzkus et al.: the bad minima that the hinge loss has not, and has with ReLUs.

On random separable sets and scikit-learn's digits 3 and 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from learnability.checks import FloatArray
from learnability.networks.bad_minima import BadMinimum, bad_local_minimum
from learnability.networks.separable import TwoLayer, initial
from learnability.problems.separable import random_separable
from learnability.seeding import generator
from learnability.studies.separable import PAPER, claim
from learnability.studies.separable.theorems import landscape as theory
from learnability.studies.separable.theorems import prop1_critical_points as prop1
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.theory.margins import hard_margin
from learnability.training.reference import two_layer_epoch
from learnability.training.two_layer import train

__all__ = ["CHECKS", "Problem", "digits"]

DRAWS = {"smoke": 8, "laptop": 400}
"""Random instances of each statement."""
PERTURBED = {"smoke": 60, "laptop": 300}
"""Points of each flat ball."""


class Problem(NamedTuple):
    """A separable set, and w* of its hard margin."""

    X: FloatArray
    y: FloatArray
    w_star: FloatArray
    margin: float
    """min y <w*, x>, 1 up to rounding."""


def _problem(X: FloatArray, y: FloatArray) -> Problem:
    w_star = hard_margin(X, y).w
    return Problem(X, y, w_star, float((y * (X @ w_star)).min()))


@lru_cache(maxsize=1)
def digits() -> Problem:
    """The images of 3 and 5."""
    from learnability.datasets import digits_pair

    found = digits_pair(3, 5)
    return _problem(found.X, found.y)


def _drawn(rng: np.random.Generator, least: int = 1) -> Problem:
    """A random set of 1..60 points in 2..20 dimensions with margin .02 to .3."""
    d, m = int(rng.integers(2, 21)), int(rng.integers(least, 61))
    margin = float(np.exp(rng.uniform(np.log(0.02), np.log(0.3))))
    X, y = random_separable(rng, d, margin).sample(rng, m)
    return _problem(X, y)


# Proposition 1


def proposition1(scale: str) -> list[Guarantee]:
    """Gradients at random points, at kinks and along training; critical points; both sides of the midpoint."""
    found = []
    for name in ("random sets", "digits 3 and 5"):
        cases: dict[str, list[Guarantee]] = {}
        for i in range(DRAWS[scale] if name == "random sets" else 8):
            rng = generator(0, "prop1", name, i)
            problem = _drawn(rng) if name == "random sets" else digits()
            for case, params, alpha, at_zero in _not_minimal(problem, rng):
                # SGD's own, but where the choice of sigma'(0) matters
                measured = _gradient(params, problem, alpha) if at_zero is None else None
                step: dict[str, Any] = {"alpha": alpha, "at_zero": at_zero, "measured": measured}
                for g in prop1.proposition1(params, *problem[:3], **step, case=f"{case},{i}"):
                    # a minimum that was met by chance says nothing
                    if g.measured is not None and g.hypotheses[-1].holds:
                        cases.setdefault(g.id.partition("[")[0], []).append(g)
        if name != "random sets":  # there the sum over blocks and the norm have several times their bounds
            cases = {identity: gs for identity, gs in cases.items() if identity.endswith("block")}
        found += [tightest(statement_id(identity, name), gs) for identity, gs in cases.items()]
    return found + _critical(scale) + _midpoint(scale)


def _not_minimal(problem: Problem, rng: np.random.Generator) -> Iterator[tuple[str, TwoLayer, float, float | None]]:
    """Points W with a slope alpha and, at kinks, a choice of sigma'(0)."""
    m, d = problem.X.shape
    alpha = float(rng.choice([0.01, 0.1, 0.5, 0.9]))
    k = int(rng.choice([1, 2, 5, 50]))
    v = float(np.exp(rng.uniform(-3, 1)))
    output = np.repeat([v, -v], k)
    yield "random", TwoLayer(rng.standard_normal((2 * k, d)) * 10.0 ** rng.uniform(-3, 1), output), alpha, None
    x = problem.X[rng.integers(m)]
    rows = rng.standard_normal((2 * k, d))
    rows -= np.outer(rows @ x, x) / (x @ x)  # orthogonal to a point: at its kink, up to rounding
    for at_zero in (alpha, 1.0):
        yield "W = 0", TwoLayer(np.zeros((2 * k, d)), output), alpha, at_zero
        yield "kink", TwoLayer(rows, output), alpha, at_zero
    start = initial(rng, d, k)
    run = train(start, problem.X, problem.y, eta=0.03, alpha=alpha, rng=rng, epochs=1, record=[1])
    yield "after one epoch", run.params, alpha, None


def _gradient(params: TwoLayer, problem: Problem, alpha: float) -> FloatArray:
    """What steps of SGD on single examples, each from ``params``, take away on average."""
    steps = np.zeros_like(params.W)
    for i in range(len(problem.y)):
        after = two_layer_epoch(params, *problem[:2], np.array([i]), eta=1.0, alpha=alpha, layers="first").params
        steps += params.W - after.W
    return steps / len(problem.y)


def _critical(scale: str) -> list[Guarantee]:
    """Gradient zero against loss zero: at random points, along runs and where they end; and the ReLU beside it."""
    mismatches = points = unfinished = relu = 0
    sets = DRAWS[scale] // 4
    for i in range(sets):
        rng = generator(0, "critical", i)
        problem = _drawn(rng)
        alpha = float(rng.choice([0.1, 0.5]))
        d, k = problem.X.shape[1], int(rng.choice([1, 3, 20]))
        params = initial(rng, d, k)
        for epochs in (1, 3, 100_000):
            run = train(params, problem.X, problem.y, eta=1.0, alpha=alpha, rng=rng, epochs=epochs, record=[epochs])
            for point in (params, run.params):
                mismatches += _mismatch(point, problem, alpha)
                points += 1
            params = run.params
        unfinished += _loss(params, problem, alpha) > 0
        bad = bad_local_minimum(*problem[:3], k=k, rng=rng, tries=50)
        gradient = prop1.hinge_gradient(bad.params, problem.X, problem.y, alpha=0.0)
        relu += not gradient.any() and _loss(bad.params, problem) > 0
    along = "alpha in {.1, .5}, along SGD and at its end; counted: gradient 0 and loss not, or the reverse"
    return [
        prop1.proposition1_critical(alpha=0.1, mismatches=mismatches, points=points, note=along),
        claim(
            "prop1-sgd-ends", "Proposition 1 and Theorem 2", 0, unfinished, "equal",
            f"runs of SGD that did not end with loss 0, of {sets}", Kind.EXACT,
        ),
        Guarantee(
            "separable/prop1-alpha-needed", f"{PAPER}, Proposition 1 and Theorem 8", Kind.EXACT, sets, relu,
            note=f"of {sets} sets, those on which Theorem 8's weights have gradient 0 and a positive loss for the "
            "ReLU: Proposition 1 needs alpha > 0",
        ),
    ]  # fmt: skip


def _loss(params: TwoLayer, problem: Problem, alpha: float = 0.0) -> float:
    return prop1.hinge_loss(params, problem.X, problem.y, alpha=alpha)


def _mismatch(params: TwoLayer, problem: Problem, alpha: float) -> bool:
    gradient = prop1.hinge_gradient(params, problem.X, problem.y, alpha=alpha)
    return bool(gradient.any()) != (_loss(params, problem, alpha) > 0)


def _midpoint(scale: str) -> list[Guarantee]:
    exact, sets = [], []
    for i in range(DRAWS[scale]):
        rng = generator(0, "midpoint", i)
        d, alpha = int(rng.integers(1, 9)), Fraction(int(rng.integers(0, 20)), 20)
        x = np.array([Fraction(int(a), int(b)) for a, b in zip(rng.integers(1, 99, d), rng.integers(1, 99, d))])
        x *= rng.choice([-1, 1], d)
        one, two, middle = prop1.midpoint_values(x, alpha)
        excess, square = middle - (one + two) / 2, (x * x).sum()
        exact.append(prop1.proposition1_midpoint(excess=excess, alpha=alpha, square=square, case=f"{i}"))
        problem = _drawn(rng, least=2) if i else digits()
        k, slope = int(rng.choice([1, 4, 30])), float(alpha)
        first, last, promised = prop1.nonconvexity(*problem[:3], k=k, v=1.0, alpha=slope)
        half = TwoLayer((first.W + last.W) / 2, first.v)
        values = [_loss(params, problem, slope) for params in (first, half, last)]
        if promised < 1e-9:  # one example of each class on the margin: both sums are equal, and nothing is promised
            continue
        identity = statement_id("separable/prop1-nonconvex", f"set {i}" if i else "digits")
        source, excess = f"this project, on {PAPER}, Proposition 1(2)", values[1] - (values[0] + values[2]) / 2
        sets.append(Guarantee(identity, source, Kind.EXACT, promised, excess, tolerance=1e-9 * max(values)))
    chord = "L_S itself above its chord by k v (1 - alpha) |b_+ - b_-| / (2m), where b_+ and b_- differ"
    return [
        tightest("separable/prop1-nonconvex[midpoint]", exact, "in rational numbers"),
        tightest("separable/prop1-nonconvex[whole sets]", sets, chord),
    ]


# Theorem 8


def theorem8(scale: str) -> list[Guarantee]:
    """Loss, gradient and flat ball of the bad minimum, SGD from it and from its ball, and the set that has none."""
    found: dict[str, list[Guarantee]] = {}
    named = [("random sets", i) for i in range(DRAWS[scale] // 2)] + [("digits 3 and 5", i) for i in range(3)]
    for name, i in named:
        rng = generator(0, "thm8", name, i)
        problem = _drawn(rng) if name == "random sets" else digits()
        k = (1, 3, 10)[i % 3]
        v = 1.0 if i % 4 else 1 / np.sqrt(2 * k)
        bad = bad_local_minimum(*problem[:3], k=k, rng=rng, v=float(v), tries=500)
        points = list(_ball(bad, problem.X, problem.y, rng, PERTURBED[scale]))
        for g in theory.theorem8(
            m=len(problem.y),
            symmetric=theory.symmetric_directions(problem.X),
            loss=_loss(bad.params, problem),
            gradient=float(np.abs(prop1.hinge_gradient(bad.params, problem.X, problem.y, alpha=0.0)).max()),
            change=max(abs(_loss(point, problem) - bad.loss) for point in points),
            updates=_updates([bad.params, *points[::20]], problem, rng),
            margin=problem.margin,
            case=f"m={len(problem.y)},k={k},{i}",
        ):
            found.setdefault(statement_id(g.id.partition("[")[0], name), []).append(g)
    balls = f"{PERTURBED[scale]} points of each ball, two thirds aimed at one row or one output"
    merged = [tightest(identity, gs, balls if "flat" in identity else "") for identity, gs in found.items()]
    return merged + _pair(scale)


def _ball(bad: BadMinimum, X: FloatArray, y: FloatArray, rng: np.random.Generator, count: int) -> Iterator[TwoLayer]:
    """Points of the flat ball at .99 to .999 of its radius: random, and aimed at one row or at one output."""
    W, v = bad.params
    Z = X @ W.T
    for i in range(count):
        x = int(rng.integers(len(X))) if i % 2 else int(np.argmin(np.abs(Z).min(axis=1)))
        move = np.zeros_like(W)
        if i % 3 == 0:
            move = rng.standard_normal(W.shape)
        elif i % 3 == 1:  # one row, towards the kink at one point
            row = int(rng.integers(len(W)))
            move[row] = -np.sign(Z[x, row]) * X[x]
        elif bad.dead[x]:  # all rows, towards switching on at a dead point
            move[:] = X[x]
        else:  # all rows, so as to lower y N(x) fastest
            move = -y[x] * np.outer(v, X[x])
        yield TwoLayer(W + rng.uniform(0.99, 0.999) * bad.radius * move / np.linalg.norm(move), v)


def _updates(starts: list[TwoLayer], problem: Problem, rng: np.random.Generator) -> int:
    """Non-zero updates of SGD from each start, and entries of W that changed."""
    total = 0
    for i, start in enumerate(starts):
        eta = (0.01, 1.0, 100.0)[i % 3]
        run = train(start, problem.X, problem.y, eta=eta, alpha=0.0, rng=rng, epochs=3, record=[3])
        total += run.updates + int((run.params.W != start.W).sum())
    return total


def _pair(scale: str) -> list[Guarantee]:
    """{(x, 1), (-x, -1)}: exactly 1/2 at the minimum, and from every random point above 1/2 one row leads down."""
    found, stuck, above = [], 0, 0
    for i in range(DRAWS[scale]):
        rng = generator(0, "thm8 pair", i)
        x = rng.standard_normal(int(rng.integers(1, 6)))
        x /= np.linalg.norm(x)
        problem = Problem(np.stack([x, -x]), np.array([1.0, -1.0]), x, 1.0)
        bad = bad_local_minimum(*problem[:3], k=2, rng=rng, tries=20)
        symmetric = theory.symmetric_directions(problem.X)
        found.append(theory.theorem8(m=2, symmetric=symmetric, loss=_loss(bad.params, problem), case=f"pair {i}")[0])
        for _ in range(10):
            start = TwoLayer(rng.standard_normal((4, len(x))), bad.params.v)
            loss = _loss(start, problem)
            if loss <= 0.5:
                continue
            above += 1
            steps = (1e-4 * sign * np.outer(np.eye(4)[row], x) for row in range(4) for sign in (1, -1))
            stuck += all(_loss(TwoLayer(start.W + step, start.v), problem) >= loss for step in steps)
    identity, source = "separable/thm8-no-worse-minimum[x and -x]", f"this project, on {PAPER}, Theorem 8"
    note = f"random points with loss above 1/2, of {above}, that no step of one row along x improves"
    return [
        tightest("separable/thm8-loss[x and -x]", found),
        Guarantee(identity, source, Kind.EXACT, 0, stuck, note=note),
    ]


CHECKS = (Check("prop1", f"{PAPER}, Proposition 1", proposition1), Check("thm8", f"{PAPER}, Theorem 8", theorem8))
