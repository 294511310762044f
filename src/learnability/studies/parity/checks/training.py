"""Lemmas 15 and 16, Theorem 3 and Corollary 4 of Daniely & Malach along runs of population gradient descent.

The runs follow Theorem 3's scheme from the safe start: exact first step, then constant eta and lambda. Their later
steps enumerate the cube for n <= 16 and draw fresh examples beyond; the lemmas hold for every single example, so for
both.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from learnability.checks import FloatArray
from learnability.evidence.intervals import exponent
from learnability.networks.parity import ParityNet, good_neurons, hidden, initial
from learnability.problems.boolean import signs
from learnability.problems.parity import ParityMixture, random_mixture
from learnability.seeding import generator
from learnability.studies.parity import PAPER, claim
from learnability.studies.parity.theorems import theorem3 as whole
from learnability.studies.parity.theorems import training as theory
from learnability.studies.parity.theorems.statement import stated
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.theory.margins import hard_margin
from learnability.training.population import PopulationRun, first_step, gradient, sampled_gradient, train

__all__ = ["CHECKS", "separator"]

BATCH = 512
"""Fresh examples of a step where the cube is too large."""

STEPS = {"smoke": 15, "laptop": 60}
SIZES = {"smoke": ((10, 3, 48), (200, 3, 24)), "laptop": ((12, 3, 48), (11, 5, 64), (200, 3, 64))}
"""n, k, q of the monitored runs."""
RATES = (0.05, 0.5)
"""eta; Lemma 15 allows up to 1/2."""
MOVED = {"output": "output_max", "hidden_movement": "hidden_moved", "bias_movement": "bias_moved"}
"""What Lemma 15 bounds, and the columns of a run that measure it."""


class _Problem(NamedTuple):
    problem: ParityMixture
    start: ParityNet
    after: ParityNet
    """After the exact first step."""


@lru_cache(maxsize=4)
def _problem(n: int, k: int, q: int) -> _Problem:
    problem = random_mixture(generator(0, "parity", "support", n, k), n, k)
    start = initial(generator(0, "parity", "start", n, k, q), n, k, q)
    return _Problem(problem, start, first_step(start, problem))


def separator(after: ParityNet, start: ParityNet, problem: ParityMixture) -> FloatArray | None:
    """The least-norm u* over good neurons with g* f_A >= 1 on all of X after the first step, if there is one.

    Good neurons see the inputs through A alone, so the 2^k patterns on A stand for all of them. (Lemma 12 also wants
    features of at most 1; the bounds of Theorem 13 and Lemma 16 do not use that.)
    """
    good = good_neurons(start.W, problem.support)
    patterns = np.zeros((2**problem.k, problem.n))
    patterns[:, problem.support] = signs(problem.k) / math.sqrt(problem.n)
    found = hard_margin(hidden(after, patterns)[:, good], problem.target(np.where(patterns == 0, 1, patterns)))
    if found.margin <= 0:
        return None
    u = np.zeros(len(good))
    u[good] = found.w
    return u


def lemma15(scale: str) -> list[Guarantee]:
    """Output weights, hidden weights and biases along runs, as printed and by the weights that the steps had."""
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    for (n, k, q), eta in itertools.product(SIZES[scale], RATES):
        for lam in (0.0, k / n, 0.5):
            run = _run(n, k, q, eta=eta, lam=lam, T=STEPS[scale], evaluate=1)  # losses are not looked at
            case = f"n={n},k={k},eta={eta:g},lambda={lam:.3g}"
            at: dict[str, Any] = {"n": n, "k": k, "eta": eta, "lam": lam, "t": run.columns["step"]}
            at |= {name: run.columns[column] for name, column in MOVED.items()}
            for g in theory.lemma15(**at, case=case):
                cases[statement_id(g.id.partition("[")[0], "printed")].append(g)
            if lam < 0.5:
                weights = theory.Movement.of(_iterates(n, k, q, eta, lam, STEPS[scale]))
                for g in theory.lemma15_by_weights(weights, eta=eta, lam=lam, case=case):
                    cases[statement_id(g.id.partition("[")[0], "by weights")].append(g)
    return [tightest(name, found, "after every step of every run") for name, found in cases.items()]


def _run(n: int, k: int, q: int, *, eta: float, lam: float, T: int, evaluate: str | int) -> PopulationRun:
    """T iterates that steps start from, and the one after them; every step recorded."""
    problem, start, _ = _problem(n, k, q)
    return train(
        start,
        problem,
        steps=T + 1,
        eta=eta,
        lam=lam,
        later="enumerate" if n <= 16 else BATCH,
        rng=generator(0, "parity", "steps", n, k),
        record=range(1, T + 2),
        evaluate=evaluate,
    )


def lemma16(scale: str) -> list[Guarantee]:
    """The change of the loss on the worst input: of the separator, a dense output layer, the unit that moves most."""
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    missing = 0
    for n, k, q in SIZES[scale]:
        for eta, lam in itertools.product(RATES, (0.0, k / n)):
            iterates = list(_iterates(n, k, q, eta, lam, STEPS[scale]))
            problem, start, after = _problem(n, k, q)
            X, y = _inputs(problem)
            layers = dict(_output_layers(iterates, separator(after, start, problem)))
            moved = theory.Movement.of(iterates)
            missing += "separator" not in layers
            outputs = np.array([hidden(net, X) @ np.column_stack(list(layers.values())) for net in iterates])
            losses = np.maximum(1 - y[:, None] * outputs, 0)  # (iterates, inputs, output layers)
            changes = np.abs(losses - losses[0]).max(axis=1)
            for (name, u), change in zip(layers.items(), changes.T, strict=True):
                norm, nonzero = _size(u)
                run: dict[str, Any] = {"n": n, "k": k, "eta": eta, "lam": lam, "t": range(1, len(iterates) + 1)}
                case = f"{name},n={n},k={k},eta={eta:g},lambda={lam:.3g}"
                g = theory.lemma16(**run, norm=norm, nonzero=nonzero, change=change, case=case)
                cases["printed"].append(g)
                cases["by movement"].append(theory.lemma16_by_movement(moved, u, change, case=case))
    note = "largest change over all inputs (2,048 of each part at n = 200), after every step"
    note += f"; {missing} without a separator" if missing else ""
    return [tightest(statement_id("parity/lemma16", form), found, note) for form, found in cases.items()]


def _size(u: FloatArray) -> tuple[float, int]:
    """Norm and number of non-zero entries."""
    return float(np.linalg.norm(u)), int(np.count_nonzero(u))


def _iterates(n: int, k: int, q: int, eta: float, lam: float, T: int) -> Iterator[ParityNet]:
    """The network after 1..T steps: the update rule, written out."""
    problem, _, net = _problem(n, k, q)
    rng = generator(0, "parity", "steps", n, k)
    yield net
    for _ in range(T - 1):
        slope = (gradient(net, problem) if n <= 16 else sampled_gradient(net, *problem.sample(rng, BATCH)))[1]
        net = ParityNet(
            net.W - eta * (slope.W + 2 * lam * net.W),
            net.b - eta * slope.b,
            net.u - eta * (slope.u + 2 * lam * net.u),
        )
        yield net


def _inputs(problem: ParityMixture) -> tuple[FloatArray, FloatArray]:
    if problem.n <= 16:
        return problem.enumerate()[:2]
    rng = generator(0, "parity", "inputs", problem.n)
    X, y = zip(*(problem.sample(rng, 2048, part=part) for part in (1, 2)), strict=True)
    return np.concatenate(X), np.concatenate(y)


def _output_layers(iterates: list[ParityNet], u: FloatArray | None) -> Iterator[tuple[str, FloatArray]]:
    first, last = iterates[0], iterates[-1]
    moved = np.linalg.norm(last.W - first.W, axis=1) + np.abs(last.b - first.b)
    if u is not None:
        yield "separator", u
    yield "dense", generator(0, "parity", "dense", len(moved)).normal(size=len(moved))
    yield "one unit", (np.arange(len(moved)) == np.argmax(moved)) / max(float(moved.max()), 1e-300)


REACHABLE = {
    "smoke": ((10, 3, 48, 20), (200, 3, 64, 20)),
    "laptop": ((12, 3, 64, 100), (200, 3, 64, 100), (200, 3, 256, 100), (200, 5, 128, 100), (2500, 7, 64, 40)),
}
"""n, k, q, T by the theorem's schedule."""
DEFAULTS = {"smoke": ((2500, 7, 1024),), "laptop": ((2500, 7, 1024), (10_000, 7, 512))}
"""Where B and B~ are measured for the theory's defaults."""
LEARNING = {"smoke": ((10, 3, 64, 0.3, 1000),), "laptop": ((10, 3, 64, 0.3, 1000), (12, 3, 64, 0.3, 1000))}
"""n, k, q, eta, T of runs that learn, over the whole cube."""


def theorem3(scale: str) -> list[Guarantee]:
    """Runs by the theorem's schedule, which learn D^(2) alone; the regret of runs that learn; B and B~.

    Within Theorem 3's hypotheses there is no run: the sizes that make its bound 1 stand with Corollary 4.
    """
    losses, bounds, whole_losses = [], [], []
    for n, k, q, T in REACHABLE[scale]:
        eta, lam = whole.theorem3_step(k=k, q=q, T=T), k / n
        run = _run(n, k, q, eta=eta, lam=lam, T=T, evaluate="enumerate" if n <= 16 else 1024)
        iterate = run.columns["step"] <= T
        losses.append(float(run.columns["test_loss_1"][iterate].min()))
        whole_losses.append(float(run.columns["test_loss"][iterate].min()))
        bounds.append(whole.theorem3_terms(n=n, k=k, q=q, T=T, lam=lam).total)
    note = (
        f"least loss on D^(1) by the theorem's schedule, over {len(losses)} runs: at these sizes it stays near the "
    )
    note += f"loss 1 of the zero function; least loss on D_A {min(whole_losses):.3g}, and linear methods reach 1/2; "
    note += f"the theorem's bound is {min(bounds):.3g} to {max(bounds):.3g}"
    where = "Theorem 3 (this project)"
    return [
        claim("theorem3-trend[D1 loss]", where, 0.9, min(losses), "at_least", note, Kind.TREND),
        *_regrets(scale),
        *_constants(scale),
    ]


def _regrets(scale: str) -> list[Guarantee]:
    """Theorem 13 on the output layer of runs with both layers, against the layer that they end with.

    f_t is the loss of an output layer on the hidden layer of step t, which is convex. A run that has converged has
    loss and gradient 0 from there on, and so has its last output layer.
    """
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    for n, k, q, eta, T in LEARNING[scale]:
        _, _, after = _problem(n, k, q)
        rival = _descent(n, k, q, eta, T, None).params.u
        run = _descent(n, k, q, eta, T, rival)
        share = (run.final("step") - 1) / T
        both = theory.theorem13(
            eta=eta,
            losses=np.full(T, share * run.final("mean_objective")),
            comparator_losses=np.full(T, share * run.final("mean_comparator")),
            # the mean is at most the root of the mean square
            gradient_norms=np.full(T, math.sqrt(share * run.final("mean_square_slope"))),
            start_norm=float(np.linalg.norm(after.u)),
            comparator_norm=float(np.linalg.norm(rival)),
            case=f"n={n},k={k},q={q},eta={eta:g},T={T}",
        )
        for form, guarantee in zip(theory.FORMS, both, strict=True):
            cases[form].append(guarantee)
    note = "mean loss of the iterates; u* the output layer at the end"
    return [
        tightest(statement_id("parity/theorem13", form, "training runs"), found, note)
        for form, found in cases.items()
    ]


def _descent(n: int, k: int, q: int, eta: float, T: int, rival: FloatArray | None) -> PopulationRun:
    problem, start, _ = _problem(n, k, q)
    last = [T + 1]
    return train(
        start, problem, steps=T + 1, eta=eta, later="enumerate", record=last, evaluate="enumerate", comparator=rival
    )


def _constants(scale: str) -> list[Guarantee]:
    """B and B~ of Lemma 12's separator at k = 7: the defaults of the theory are enough."""
    measured = {}
    for n, k, q in DEFAULTS[scale]:
        problem, start, after = _problem(n, k, q)
        u = separator(after, start, problem)
        if u is not None:
            norm, nonzero = _size(u)
            measured[f"n={n},k={k},q={q}"] = (norm * math.sqrt(q) / k**5, nonzero * k**2.5 / q)
    found = []
    defaults = (("B", whole.SEPARATOR), ("sparsity", whole.SPARSITY))
    for (name, default), values in zip(defaults, zip(*measured.values(), strict=True), strict=True):
        note = "of the least-norm separator, against the default of the theory: "
        note += ", ".join(f"{value:.3g} at {at}" for value, at in zip(values, measured, strict=True))
        id, where = f"theorem3-constant-{name}[k=7]", "Lemma 12 (constants: this project)"
        found.append(claim(id, where, default, max(values), "at_most", note))
    return found


def corollary4(scale: str) -> list[Guarantee]:
    """The safe sizes keep Theorem 3's bound within a constant times epsilon, the printed ones miss it by a root."""
    epsilons = {"smoke": (1e-6, 1e-9), "laptop": (1e-6, 1e-7, 1e-8, 1e-9, 1e-10)}[scale]
    sizes = whole.smallest_sizes(7, epsilon=0.1, delta=0.1)
    found = []
    for form, expected, where in (
        ("safe", 0.0, "Corollary 4 (sizes: this project)"),
        ("printed", -0.5, "Corollary 4 (its printed sizes are too small: this project)"),
    ):
        seen = [
            exponent(epsilons, [_relative_bound(k, epsilon, form) for epsilon in epsilons]).estimate
            for k in (7, 9, 15)
        ]
        furthest = max(seen, key=lambda slope: abs(slope - expected))
        note = "exponent of epsilon in (bound of Theorem 3) / epsilon, k = 7, 9, 15, epsilon "
        note += f"{epsilons[0]:g} to {epsilons[-1]:g}; 0 if the sizes suffice"
        if form == "safe":
            note += (
                f"; the bound is 0.1 at k = 7, delta = 0.1, n = {sizes.n:.2g}, q = {sizes.q:.2g}, T = {sizes.T:.2g}"
            )
        found.append(stated("corollary4", [form], where, Kind.EXACT, expected, furthest, note, tolerance=0.05))
    return found


def _relative_bound(k: int, epsilon: float, form: str) -> float:
    n, q, T = whole.corollary4_sizes(k, epsilon=epsilon, delta=0.1, form=form)
    return whole.theorem3_terms(n=n, k=k, q=q, T=T).total / epsilon


CHECKS = (
    Check("lemma15", f"{PAPER}, Lemma 15", lemma15),
    Check("lemma16", f"{PAPER}, Lemma 16", lemma16),
    Check("theorem3", f"{PAPER}, Theorem 3", theorem3),
    Check("corollary4", f"{PAPER}, Corollary 4", corollary4),
)
