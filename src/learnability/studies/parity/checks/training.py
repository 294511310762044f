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
from dataclasses import replace
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
from learnability.studies.parity.theorems.statement import joined, stated
from learnability.study import Check
from learnability.theory import Guarantee, Hypothesis, Kind
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
    """Output weights, hidden weights and biases along runs, in the printed and in the sharp form."""
    cases: dict[str, list[Guarantee]] = defaultdict(list)
    for (n, k, q), eta in itertools.product(SIZES[scale], RATES):
        for lam in (0.0, k / n, 0.5):
            run = _run(n, k, q, eta=eta, lam=lam, T=STEPS[scale], evaluate=1)  # losses are not looked at
            case = f"n={n},k={k},eta={eta:g},lambda={lam:.3g}"
            at: dict[str, Any] = {"n": n, "k": k, "eta": eta, "lam": lam, "t": run.columns["step"]}
            at |= {name: run.columns[column] for name, column in MOVED.items()}
            for form in theory.FORMS:
                for g in theory.lemma15(**at, form=form, case=case):
                    cases[statement_id(g.id.partition("[")[0], form)].append(g)
    return [tightest(name, found, "after every step of every run") for name, found in cases.items()]


def _run(
    n: int, k: int, q: int, *, eta: float, lam: float, T: int, evaluate: str | int, rival: FloatArray | None = None
) -> PopulationRun:
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
        comparator=rival,
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
            missing += "separator" not in layers
            outputs = np.array([hidden(net, X) @ np.column_stack(list(layers.values())) for net in iterates])
            losses = np.maximum(1 - y[:, None] * outputs, 0)  # (iterates, inputs, output layers)
            changes = np.abs(losses - losses[0]).max(axis=1)
            for (name, u), change in zip(layers.items(), changes.T, strict=True):
                norm, nonzero = _size(u)
                run: dict[str, Any] = {"n": n, "k": k, "eta": eta, "lam": lam, "t": range(1, len(iterates) + 1)}
                case = f"{name},n={n},k={k},eta={eta:g},lambda={lam:.3g}"
                for form in theory.FORMS:
                    g = theory.lemma16(**run, norm=norm, nonzero=nonzero, change=change, form=form, case=case)
                    cases[form].append(g)
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
"""n, k, q, T."""
DEFAULTS = {"smoke": ((2500, 7, 1024),), "laptop": ((2500, 7, 1024), (10_000, 7, 512))}
"""Where B and B~ are measured for the theory's defaults."""


def theorem3(scale: str) -> list[Guarantee]:
    """Runs by the theorem's schedule: their least loss, the bound, and the proof's inequalities along them."""
    promised: list[Guarantee] = []
    own: list[Guarantee] = []
    regrets: dict[str, list[Guarantee]] = defaultdict(list)
    losses = []
    for n, k, q, T in REACHABLE[scale]:
        eta, lam, case = whole.theorem3_step(k=k, q=q, T=T), k / n, f"n={n},k={k},q={q},T={T}"
        problem, start, after = _problem(n, k, q)
        rival = separator(after, start, problem)
        run = _run(n, k, q, eta=eta, lam=lam, T=T, evaluate="enumerate" if n <= 16 else 1024, rival=rival)
        iterate = run.columns["step"] <= T
        loss = float(run.columns["test_loss"][iterate].min())
        losses.append(float(run.columns["test_loss_1"][iterate].min()))
        promised.append(whole.theorem3(n=n, k=k, q=q, T=T, eta=eta, lam=lam, loss=loss, case=case))
        if rival is None:
            continue
        own.append(_own_bound(n, k, q, T, eta, lam, rival, loss, case))
        both = theory.theorem13(
            eta=eta,
            losses=_each(run, "mean_objective"),
            comparator_losses=_each(run, "mean_comparator"),
            gradient_norms=np.sqrt(np.maximum(_each(run, "mean_square_slope"), 0)),
            start_norm=float(np.linalg.norm(after.u)),
            comparator_norm=float(np.linalg.norm(rival)),
            case=case,
        )
        for form, guarantee in zip(theory.FORMS, both, strict=True):
            regrets[form].append(_against_zero(guarantee))
    note = f"least loss on D^(1) by the theorem's schedule, over {len(losses)} runs: at these sizes it stays near "
    note += "the loss 1 of the zero function; least loss on D_A "
    note += f"{min(g.measured or 0 for g in promised):.3g}, and linear methods reach 1/2"
    where = "Theorem 3 (this project)"
    return [
        tightest("parity/theorem3", promised, "by the theorem's schedule, lambda = k/n"),
        tightest("parity/theorem3[own separator]", own, "B and B~ of the run itself"),
        *(
            tightest(statement_id("parity/theorem13", form, "training runs"), cases, "u* the run's own separator")
            for form, cases in regrets.items()
        ),
        claim("theorem3-trend[D1 loss]", where, 0.9, min(losses), "at_least", note, Kind.TREND),
        *_constants(scale),
    ]


def _each(run: PopulationRun, name: str) -> FloatArray:
    """Values at the single iterates, of a column of running means that was recorded after every step."""
    sums = run.columns[name] * (run.columns["step"] - 1)
    return np.diff(np.nan_to_num(sums))


ZERO_LOSS = 1.0
"""Loss, regulariser included, of the zero function."""


def _against_zero(g: Guarantee) -> Guarantee:
    """With the condition that its bound says something: below what the zero function has anyway."""
    bound = math.inf if g.bound is None else g.bound
    says = Hypothesis("the bound is below the loss of the zero function", bound < ZERO_LOSS, f"{bound:.4g} against 1")
    return replace(g, hypotheses=(*g.hypotheses, says), note=joined(_vacuous(bound), g.note))


def _vacuous(bound: float) -> str:
    return "vacuous: the zero function has loss 1" if bound >= ZERO_LOSS else ""


def _own_bound(
    n: int, k: int, q: int, T: int, eta: float, lam: float, rival: FloatArray, loss: float, case: str
) -> Guarantee:
    """The sum of the proof's terms with the norm and sparsity of the run's separator: no assumption on k, n and q."""
    norm, _ = _size(rival)
    B, sparsity = _scaled(rival, k, q)
    bound = whole.theorem3_terms(n=n, k=k, q=q, T=T, lam=lam, separator=B, sparsity=sparsity).total
    where = "proof of Theorem 3 (constants: this project)"
    needed = (
        Hypothesis("the later steps' gradients are exact", n <= 16, f"n = {n}"),
        Hypothesis("the bound is below 1", bound < ZERO_LOSS, f"{bound:.4g}"),
    )
    vacuous, text = _vacuous(bound), f"||u*|| = {norm:.3g}, B = {B:.3g}, B~ = {sparsity:.3g}"
    return stated("theorem3", [case], where, Kind.UPPER_BOUND, bound, loss, vacuous, text, hypotheses=needed)


def _scaled(u: FloatArray, k: int, q: int) -> tuple[float, float]:
    """B and B~ of a separator."""
    norm, nonzero = _size(u)
    return norm * math.sqrt(q) / k**5, nonzero * k**2.5 / q


def _constants(scale: str) -> list[Guarantee]:
    """B and B~ of Lemma 12's separator at k = 7 against the defaults of the theory: within a quarter."""
    found = []
    measured = {}
    for n, k, q in DEFAULTS[scale]:
        problem, start, after = _problem(n, k, q)
        u = separator(after, start, problem)
        if u is not None:
            measured[f"n={n},k={k},q={q}"] = _scaled(u, k, q)
    defaults = (("B", whole.SEPARATOR), ("sparsity", whole.SPARSITY))
    for (name, default), values in zip(defaults, zip(*measured.values(), strict=True), strict=True):
        ratios = np.array(values) / default
        worst = float(ratios[np.argmax(np.abs(np.log(ratios)))])
        note = f"of the least-norm separator relative to the default {default:g}: "
        note += ", ".join(f"{value:.3g} at {at}" for value, at in zip(values, measured, strict=True))
        id, where = f"theorem3-constant-{name}[k=7]", "Lemma 12 (this project)"
        found.append(claim(id, where, 1.0, worst, "equal", note, tolerance=0.25))
    return found


def corollary4(scale: str) -> list[Guarantee]:
    """The safe sizes keep Theorem 3's bound within a constant times epsilon, the printed ones do not; how large."""
    epsilons = {"smoke": (1e-6, 1e-9), "laptop": (1e-6, 1e-7, 1e-8, 1e-9, 1e-10)}[scale]
    found = []
    for form in whole.FORMS:
        least = min(
            exponent(epsilons, [_relative_bound(k, epsilon, form) for epsilon in epsilons]).estimate
            for k in (7, 9, 15)
        )
        where, needed = "Corollary 4 (sizes: this project)", []
        if form == "printed":
            where = "Corollary 4"
            needed = [Hypothesis("sizes with k^8 / sqrt q = O(epsilon)", False, "printed: sqrt(epsilon / log)")]
        note = "exponent of epsilon in (bound of Theorem 3) / epsilon, k = 7, 9, 15, epsilon "
        note += f"{epsilons[0]:g} to {epsilons[-1]:g}; 0 if the sizes suffice"
        found.append(
            stated("corollary4", [form], where, Kind.EXACT, 0.0, least, note, hypotheses=needed, tolerance=0.05)
        )
    sizes = whole.smallest_sizes(7, epsilon=0.1, delta=0.1)
    bound = whole.theorem3_terms(n=sizes.n, k=7, q=sizes.q, T=sizes.T).total
    note = f"the bound at n = {sizes.n:.2g}, q = {sizes.q:.2g}, T = {sizes.T:.2g}, computed, not run; with the "
    note += f"default B = {whole.SEPARATOR:g}, B~ = {whole.SPARSITY:g}"
    at, where = ("k=7", "epsilon=0.1"), "Corollary 4 (constants: this project)"
    return [*found, stated("corollary4-sizes", at, where, Kind.UPPER_BOUND, 0.1, bound, note, tolerance=1e-9)]


def _relative_bound(k: int, epsilon: float, form: str) -> float:
    n, q, T = whole.corollary4_sizes(k, epsilon=epsilon, delta=0.1, form=form)
    return whole.theorem3_terms(n=n, k=k, q=q, T=T).total / epsilon


CHECKS = (
    Check("lemma15", f"{PAPER}, Lemma 15", lemma15),
    Check("lemma16", f"{PAPER}, Lemma 16", lemma16),
    Check("theorem3", f"{PAPER}, Theorem 3", theorem3),
    Check("corollary4", f"{PAPER}, Corollary 4", corollary4),
)
