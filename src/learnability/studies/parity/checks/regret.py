"""Theorem 13 of Daniely & Malach on convex sequences of many kinds, up to equality; and Lemma 14 on exact steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from learnability.checks import FloatArray
from learnability.networks.parity import initial
from learnability.problems.parity import random_mixture
from learnability.seeding import generator
from learnability.studies.parity import PAPER
from learnability.studies.parity.theorems import training as theory
from learnability.studies.parity.theorems.statement import in_form, stated
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.training.population.first_step import correlation
from learnability.training.population.gradients import sampled_gradient

__all__ = ["CHECKS"]

D = 5

STEPS = {"smoke": (0.1, 1.0), "laptop": (0.001, 0.01, 0.1, 1.0, 10.0)}
LENGTHS = {"smoke": (1, 10), "laptop": (1, 2, 10, 100, 1000)}
STARTS = (0.0, 1.0, 5.0)
"""Norms of theta_1."""

EQUALITY = 1e-9
"""The sharp bound counts as attained if its slack relative to its largest term is at most this."""


class _Function(NamedTuple):
    """A convex function and a subgradient of it."""

    value: Callable[[FloatArray], float]
    gradient: Callable[[FloatArray], FloatArray]


def _linear(g: FloatArray) -> _Function:
    """1 + <g, v>; the constant keeps bounds away from 0, against which no relative slack can be read."""
    return _Function(lambda v: 1 + float(g @ v), lambda v: g)


def _quadratic(rng: np.random.Generator) -> _Function:
    """0.5 |R (v - c)|^2 with curvature of order 1."""
    R, c = rng.normal(size=(D, D)) / math.sqrt(D), rng.normal(size=D)
    return _Function(lambda v: 0.5 * float(np.sum((R @ (v - c)) ** 2)), lambda v: R.T @ (R @ (v - c)))


def _hinge(rng: np.random.Generator) -> _Function:
    """Mean hinge loss of a few random examples, with ties at the kink left out."""
    X, y = rng.normal(size=(4, D)), rng.choice([-1.0, 1.0], 4)
    return _Function(
        lambda v: float(np.maximum(1 - y * (X @ v), 0).mean()),
        lambda v: -(X.T @ (y * (y * (X @ v) < 1))) / len(y),
    )


def _away(v: FloatArray) -> _Function:
    """The norm's support at the present iterate: descent is sent back and forth over the origin."""
    size = float(np.linalg.norm(v))
    return _linear(v / size if size > 0 else np.eye(D)[0])


def _sequences(rng: np.random.Generator) -> dict[str, Callable[[FloatArray], _Function]]:
    """What the next function is, given the iterate: an adversary may look at it."""
    fixed = rng.normal(size=D)
    return {
        "quadratics": lambda v: _quadratic(rng),
        "hinge": lambda v: _hinge(rng),
        "linear": lambda v: _linear(rng.normal(size=D)),
        "one linear": lambda v: _linear(fixed),
        "adversary": _away,
    }


class _Descent(NamedTuple):
    functions: list[_Function]
    losses: list[float]
    gradients: list[FloatArray]
    start: FloatArray
    end: FloatArray


def _descend(draw: Callable[[FloatArray], _Function], start: FloatArray, eta: float, T: int) -> _Descent | None:
    """Online gradient descent; ``None`` if it blows up (quadratics with a large step)."""
    v, functions, losses, gradients = start, [], [], []
    for _ in range(T):
        f = draw(v)
        functions.append(f)
        losses.append(f.value(v))
        gradients.append(f.gradient(v))
        v = v - eta * gradients[-1]
        if not np.linalg.norm(v) < 1e8:
            return None
    return _Descent(functions, losses, gradients, start, v)


def _comparators(run: _Descent, rng: np.random.Generator) -> Iterator[tuple[str, FloatArray]]:
    """0, the start, the end, the direction that linear functions make best, and a few at random."""
    yield "origin", np.zeros(D)
    yield "start", run.start
    yield "end", run.end
    total = np.sum(run.gradients, axis=0)
    for size in (1.0, 10.0):
        yield f"hindsight {size:g}", -size * total / max(float(np.linalg.norm(total)), 1e-300)
        yield f"random {size:g}", size * rng.normal(size=D)


def theorem13(scale: str) -> list[Guarantee]:
    """Both forms over functions, steps, lengths, starts, comparators; how near to equality the sharp one comes."""
    cases: dict[str, list[Guarantee]] = {"printed": [], "sharp": []}
    blown = 0
    for eta, T, size in itertools.product(STEPS[scale], LENGTHS[scale], STARTS):
        for kind in _sequences(generator(0, "theorem13")):
            rng = generator(0, "theorem13", kind, eta, T, size)
            start = rng.normal(size=D)
            start *= size / float(np.linalg.norm(start))
            run = _descend(_sequences(rng)[kind], start, eta, T)
            if run is None:
                blown += 1
                continue
            norms = [float(np.linalg.norm(g)) for g in run.gradients]
            for name, other in _comparators(run, rng):
                pair = theory.theorem13(
                    eta=eta,
                    losses=run.losses,
                    comparator_losses=[f.value(other) for f in run.functions],
                    gradient_norms=norms,
                    start_norm=size,
                    comparator_norm=float(np.linalg.norm(other)),
                    case=f"{kind},eta={eta:g},T={T},|theta_1|={size:g},{name}",
                )
                for form, guarantee in zip(cases, pair, strict=True):
                    cases[form].append(guarantee)
    least = min(g.slack for g in cases["printed"] if g.slack is not None)
    note = f"the printed form, with eta for eta / 2 in the last term, has slack {least:.3g} at least"
    note += f"; {blown} sequences left out: the iterates exceeded 1e8" if blown else ""
    found = [tightest(statement_id("parity/theorem13", "sharp"), cases["sharp"], note)]
    note = "least slack of the sharp form relative to its bound: eta / 2 in the last term cannot be lowered"
    where, nearest = in_form("Theorem 13", "sharp"), min(map(_relative_slack, cases["sharp"]))
    return [*found, stated("theorem13-attained", (), where, Kind.EXACT, 0.0, nearest, note, tolerance=EQUALITY)]


def _relative_slack(g: Guarantee) -> float:
    assert g.slack is not None
    assert g.bound is not None
    return abs(g.slack) / max(abs(g.bound), 1e-300)


FIRST_STEPS = {
    "smoke": ((200, 3, 64), (1000, 5, 64)),
    "laptop": ((50, 3, 256), (200, 3, 256), (1000, 3, 256), (1000, 5, 512), (3000, 5, 512), (2500, 7, 512)),
}
SHARES = (0.0, 0.1, 0.5, 1.0)
PRINTED = (4000, 3, 16, 40_000)
"""n, k, q and sample size for the printed start; few units, so that one of them can rule the network's output."""


def lemma14(scale: str) -> list[Guarantee]:
    """Output weights after the exact first step, for every mixture; and what the printed start makes of them."""
    cases = []
    for (n, k, q), share in itertools.product(FIRST_STEPS[scale], SHARES):
        problem = random_mixture(generator(0, "lemma14", n, k), n, k, share)
        start = initial(generator(0, "lemma14", "start", n, k, q), n, k, q)
        u = correlation(start.W[:q], start.b[:q], problem).output
        cases.append(theory.lemma14(n, k, largest=float(np.abs(u).max()), case=f"n={n},k={k},q={q},share={share:g}"))
    return [tightest("parity/lemma14", cases, "exact first steps"), _printed_start(*PRINTED)]


def _printed_start(n: int, k: int, q: int, m: int) -> Guarantee:
    """The start as printed, whose network is not 0: some output weight is beyond the lemma's bound."""
    problem = random_mixture(generator(0, "lemma14", n, k), n, k)
    start = initial(generator(0, "lemma14", "printed", n, k, q), n, k, q, "printed")
    rng = generator(0, "lemma14", "sample", n, k)
    blocks, block = -(-m // 2000), 2000
    total = np.zeros(2 * q)
    for _ in range(blocks):
        total -= sampled_gradient(start, *problem.sample(rng, block))[1].u
    error = 1.01 / math.sqrt(blocks * block)
    largest = float(np.abs(total / blocks).max()) - 2 * error
    note = f"less two standard errors of {error:.2g} at most (the mean square of a pre-activation is at most 1 + b^2)"
    note += f", estimated from {blocks * block} examples"
    return theory.lemma14_needs_zero_start(n, k, largest=largest, case=f"n={n},k={k},q={q}", note=note)


CHECKS = (
    Check("theorem13", f"{PAPER}, Theorem 13", theorem13),
    Check("lemma14", f"{PAPER}, Lemma 14", lemma14),
)
