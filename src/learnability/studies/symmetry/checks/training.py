"""Lemma 4, Theorem 1 and the sample-compression remark of Nachum & Yehudayoff, along real runs of both layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from learnability.checks import FloatArray
from learnability.evidence.intervals import share
from learnability.networks.one_hidden import OneHidden, forward, hidden
from learnability.networks.symmetry import symmetry_init
from learnability.problems.symmetry import (
    Distribution,
    SymmetricFunction,
    UniformCube,
    enumerate_cube,
    parity,
    random_symmetric,
)
from learnability.seeding import generator
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry.runs import DISTRIBUTIONS, geometry, lemma4_step, true_error
from learnability.studies.symmetry.theorems import lemmas_thm1 as theory
from learnability.studies.symmetry.theorems import thm2_lemma4 as perceptron
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.training.online import train
from learnability.training.online.trajectory import Trajectory
from learnability.training.record import Outcome

__all__ = ["CHECKS"]

EPOCHS = 10**6
"""A budget that no run here comes near: Lemma 4 promises an end, so a run that meets it counts as a failure."""


def _activation(kind: str) -> str:
    return "sigmoid" if kind == "sigmoid" else "relu"


def _wrong(run: Trajectory, f: SymmetricFunction, X: FloatArray) -> int:
    """How many of the inputs ``X`` get the wrong sign (an output of 0 is wrong)."""
    if run.deviation is None:
        return int((f(X) * forward(run.params, X, "sigmoid") <= 0).sum())
    return int((f(X) * run.deviation.evaluate(X).values <= 0).sum())


def _wrong_weights(run: Trajectory, f: SymmetricFunction) -> int:
    """How many weights may have an input of the wrong sign."""
    assert run.deviation is not None
    values, rest = run.deviation.outputs_by_weight()
    return int(((np.asarray(f.labels) * values <= 0) | (np.abs(values) <= rest)).sum())


def lemma4(scale: str) -> list[Guarantee]:
    """Movement, norm, updates and final margin at the largest step allowed; then the error on the whole cube.

    The sample holds one random input of each weight, so by the first remark of Section 4 all 2^n inputs must come out
    right. One input alone is beside them, where points move most for the bound, and nearly as far as the proof
    allows each update by itself. Small cubes are
    enumerated; on a large one (parity at n = 30 is left out, for its time) the movement is the
    sample's, and a weight is right if none of its inputs can be wrong. A function with a margin above 1 also has the
    margin 1 that the lemma is then read with.
    """
    sizes, draws = {"smoke": ((4,), 1), "laptop": ((4, 6, 8, 10), 3)}[scale]
    small = {n: ["parity", *(f"random {i}" for i in range(draws))] for n in sizes}
    found = _lemma4(("integer", "half_integer"), small)
    if scale == "laptop":
        found += _lemma4(("integer", "half_integer"), {20: ["parity", "random 0"], 30: ["random 0"]})
    found += _lemma4(("sigmoid",), small)
    return [*found, *(_exponent(kind, sizes[-1]) for kind in ("half_integer", "sigmoid"))]


def _lemma4(kinds: tuple[str, ...], functions: Mapping[int, Sequence[str]]) -> list[Guarantee]:
    """The statements over all kinds and functions, a row each; the functions by n."""
    cases: list[list[Guarantee]] = []
    wrong, inputs, ties, unresolved = 0, 0, 0, 0
    for (n, names), kind in itertools.product(functions.items(), kinds):
        small = n <= 12
        cube, start = enumerate_cube(n) if small else np.empty((0, n)), symmetry_init(n, kind)
        for name in names:
            f = _function(n, name)
            run, numbers = _at_the_limit(start, f, kind, name)
            whole = run.final("movement")
            if small:  # the last record again, with the movement of every point of the cube instead of the sample's
                whole = float(_movement(run, start, cube, _activation(kind)).max())
            cases.append(
                perceptron.lemma4(
                    **numbers,
                    updates=np.append(run.columns["updates"], run.updates),
                    movement=np.append(run.columns["movement"], whole),
                    norm=np.append(run.columns["norm"], run.final("norm")),
                    ended=run.outcome is Outcome.CONVERGED,
                    final_margin=run.final("margin"),
                    case=f"{kind},n={n},{name}",
                )
            )
            wrong += _wrong(run, f, cube) if small else _wrong_weights(run, f)
            inputs += len(cube) if small else n + 1
            ties += run.ties
            unresolved += run.unresolved
    columns = [list(several) for several in zip(*cases)]
    of = "sigmoid" if kinds == ("sigmoid",) else ""
    size = f"n={'|'.join(map(str, functions))}"
    parts = ("movement", "norm", "updates", "margin")
    sums: list[Guarantee] = []
    if not of:
        ones = [_one_input(n, kind) for n, kind in itertools.product(functions, kinds)]
        columns[0] += [own for own, _ in ones]
        sums = [one for _, one in ones]
    found = [
        tightest(statement_id(f"symmetry/lemma4-{part}", of, size), several, "h at the limit")
        for part, several in zip(parts, columns, strict=True)
        if not (
            of and part == "movement"
        )  # slopes are nearly 0, the bound 400 times too large: the exponent says more
    ]
    if sums:
        found.insert(1, tightest(statement_id("symmetry/lemma4-movement-sum", size), sums))
    what = (
        f"wrong among all {inputs} {'inputs' if max(functions) <= 12 else 'weights'} of {len(cases)} cubes, trained "
        "on one input of each weight"
    )
    if not of:
        what += f" ({ties} decisions tied exactly, {unresolved} unresolved)"
    identity = statement_id("lemma4-error", of, size)
    return [*found, claim(identity, "Lemma 4 and Section 4", 0, wrong, "equal", what, Kind.EXACT)]


def _one_input(n: int, kind: str) -> tuple[Guarantee, Guarantee]:
    """The movement with x = (1, ..., 1) as the whole sample against Lemma 4's bound, and against what that sums.

    An update moves a point by at most h |(M, b)| (R_X^2 + 1), whatever h. Here nothing cancels, and all but the bias
    counts: so the sum of this over the run's own |(M, b)| is nearly attained.
    """
    start, X = symmetry_init(n, kind), np.ones((1, n))
    _, squared = geometry(start, parity(n))
    h = lemma4_step(1.0, squared, n)  # a constant has a margin above 1
    run = train(start, X, X[0, :1], h=h, beta=squared * h, rng=generator(0, "lemma4"), epochs=9, record=range(9))
    most = float(h) * (n + 1) * float(run.columns["norm"][: run.updates].sum())  # an update an epoch, then none
    case, moved = f"{kind},n={n},one input", run.final("movement")
    (own, *_) = perceptron.lemma4(
        h=h, beta=squared * h, margin=1.0, radius=math.sqrt(squared), input_radius=math.sqrt(n), case=case,
        updates=np.append(run.columns["updates"], run.updates), movement=np.append(run.columns["movement"], moved),
    )  # fmt: skip
    identity, where = statement_id("lemma4-movement-sum", case), "Lemma 4, proof of (i)"
    note = f"h (R_X^2 + 1) times the sum of the run's own |(M, b)| over its {run.updates} updates"
    return own, claim(identity, where, most, moved, "", note, Kind.UPPER_BOUND, tolerance=1e-9 * most)


def _function(n: int, name: str) -> SymmetricFunction:
    if name == "parity":
        return parity(n)
    return random_symmetric(n, generator(int(name.removeprefix("random ")), "lemma4", "target", n))


def _at_the_limit(
    start: OneHidden, f: SymmetricFunction, kind: str, name: str, smaller: int = 1
) -> tuple[Trajectory, dict[str, Any]]:
    """A run at Lemma 4's largest step, or so many times less, and the numbers that the lemma is about."""
    n, activation = f.n, _activation(kind)
    margin, squared = geometry(start, f, activation)
    rng = generator(0, "lemma4", n, kind, name)
    X = np.array([rng.permutation(np.arange(n) < k) for k in range(n + 1)], dtype=np.float64)
    h = lemma4_step(margin, squared, n, activation) / smaller
    run = train(start, X, f(X), h=h, beta=squared * h, rng=rng, epochs=EPOCHS, activation=activation)
    radii = {"radius": math.sqrt(squared), "input_radius": math.sqrt(n)}
    return run, {"h": h, "beta": squared * h, "margin": margin, **radii, "activation": activation}


def _movement(run: Trajectory, start: OneHidden, X: FloatArray, activation: str) -> FloatArray:
    """How far the points of the inputs ``X`` have moved."""
    if run.deviation is not None:
        return run.deviation.evaluate(X).movement
    moved: FloatArray = np.linalg.norm(hidden(run.params, X, activation) - hidden(start, X, activation), axis=1)
    return moved


def _exponent(kind: str, n: int) -> Guarantee:
    """That the movement goes with the square of the step: exactly to leading order, as the decisions stay."""
    start, f, factor = symmetry_init(n, kind), parity(n), 16
    moved = [_at_the_limit(start, f, kind, "parity", smaller)[0].final("movement") for smaller in (1, factor)]
    exponent = math.log(moved[0] / moved[1]) / math.log(factor) if min(moved) > 0 else float("nan")
    what = f"exponent of the movement in h, from Lemma 4's largest step to a {factor}th of it, parity"
    identity = statement_id("lemma4-movement-exponent", kind, f"n={n}")
    return claim(identity, "Lemma 4 (order h^2)", 2.0, exponent, "equal", what, Kind.EXACT, tolerance=1e-3)


def theorem1(scale: str) -> list[Guarantee]:
    """Failure frequency at the explicit sample size, for several distributions, with h within Lemma 4's limit.

    For ReLU, and for sigmoids with the step that :func:`perceptron.lemma4_step_limit` derives for them.
    """
    epsilon, delta = 0.1, 0.1
    both, found = ("both", "output"), []
    plans: dict[str, list[tuple[int, str, tuple[str, ...], int]]] = {
        "smoke": [(10, "half_integer", both, 36), (8, "sigmoid", ("both",), 36)],
        "laptop": [
            (10, "half_integer", both, 80),
            (10, "integer", both, 40),
            (20, "half_integer", ("both",), 40),
            (10, "sigmoid", both, 80),
        ],
    }
    updates: dict[str, list[Guarantee]] = {}
    for n, kind, trained, draws in plans[scale]:
        start, activation = symmetry_init(n, kind), _activation(kind)
        # parity has the least margin: this h suits every function
        margin, squared = geometry(start, parity(n), activation)
        h = lemma4_step(margin, squared, n, activation)
        m = theory.theorem1_sample_size(n, epsilon, delta)
        for (name, made), layers in itertools.product(DISTRIBUTIONS.items(), trained):
            distribution = made(n)
            failed, errors = [], []
            for draw in range(draws):
                f = random_symmetric(n, generator(draw, "theorem1", "target")) if draw else parity(n)
                X = distribution.sample(generator(draw, "theorem1", "sample", name), m)
                run = _run(start, X, f, h, squared, draw, layers, activation)
                errors.append(true_error(run, f, distribution))
                failed.append(errors[-1] > epsilon or run.outcome is not Outcome.CONVERGED)
                case = f"{kind},n={n},{name},{layers},draw={draw}"
                most = perceptron.MOST[activation] * float(squared) / margin**2
                updates.setdefault(activation, []).append(
                    Guarantee(f"[{case}]", f"{PAPER}, Theorem 1", Kind.UPPER_BOUND, most, run.updates)
                )
            note = f"m={m}, epsilon={epsilon}; largest error {max(errors):.4g}"
            case = f"{kind},{name},{layers}"
            found.append(theory.theorem1(n, epsilon=epsilon, delta=delta, m=m, failed=failed, case=case, note=note))
    for activation, several in updates.items():
        identity = statement_id("symmetry/theorem1-updates", "sigmoid" if activation == "sigmoid" else "")
        found.append(tightest(identity, several, f"poly(n): {perceptron.MOST[activation]} R^2 / gamma^2 of Lemma 4"))
    return found


def _run(
    start: OneHidden,
    X: FloatArray,
    f: SymmetricFunction,
    h: Fraction,
    squared: Fraction,
    draw: int,
    layers: str,
    activation: str = "relu",
) -> Trajectory:
    rng = generator(draw, "theorem1", "order")
    return train(
        start,
        X,
        f(X),
        h=h,
        beta=squared * h,
        rng=rng,
        epochs=EPOCHS,
        layers=layers,
        activation=activation,
        record=[0],
    )


def sample_compression(scale: str) -> list[Guarantee]:
    """All inputs of a seen weight share its label; so the error is at most the mass of the unseen weights.

    Within Lemma 4's step size; and that a step as large as n^-2 breaks it, which is what the hypothesis is for.
    """
    n = 10
    draws = {"smoke": 40, "laptop": 130}[scale]
    sizes = {"smoke": (5, 20), "laptop": (5, 10, 20, 40, 80, 160)}[scale]
    start, cube = symmetry_init(n, "half_integer"), enumerate_cube(n)
    weights = cube.sum(axis=1).astype(np.intp)
    margin, squared = geometry(start, parity(n))
    limit = lemma4_step(margin, squared, n)

    def one(h: Fraction, name: str, distribution: Distribution, m: int, draw: int) -> tuple[int, int, float, float]:
        """Disagreements, inputs of seen weights, true error and mass of the unseen weights."""
        f = random_symmetric(n, generator(draw, "compression", "target"))
        X = distribution.sample(generator(draw, "compression", "sample", name, m), m)
        run = _run(start, X, f, h, squared, draw, "both")
        seen = np.isin(np.arange(n + 1), X.sum(axis=1))
        inputs = cube[seen[weights]]
        unseen = float(distribution.weight_probabilities[~seen].sum())
        return _wrong(run, f, inputs), len(inputs), true_error(run, f, distribution), unseen

    found = []
    small = []
    for name, made in DISTRIBUTIONS.items():
        distribution = made(n)
        excess: list[float] = []
        for m in sizes:
            results = [one(limit, name, distribution, m, draw) for draw in range(draws)]
            small += results
            errors = [error for _, _, error, _ in results]
            excess += [error - unseen for _, _, error, unseen in results]
            curve = theory.missing_mass(
                distribution.weight_probabilities, m, errors=errors, case=name, note=f"true error, n={n}"
            )
            if curve.bound is not None and curve.bound > 1e-3:  # below that these few samples say nothing
                found.append(curve)
        identity, where = statement_id("unseen-mass", name, f"n={n}"), "Section 4 (consequence of the first remark)"
        what = f"true error minus mass of the unseen weights, largest of {len(excess)} samples"
        found.append(claim(identity, where, 0, max(excess), "at_most", what, Kind.UPPER_BOUND, tolerance=1e-12))
    remark = theory.sample_compression(
        disagreements=sum(wrong for wrong, _, _, _ in small),
        seen=sum(count for _, count, _, _ in small),
        case=f"h={float(limit):.3g},n={n}",
    )
    large = [one(Fraction(1, n**2), "uniform", UniformCube(n), 2 * n, draw) for draw in range(draws)]
    broken = [wrong > 0 for wrong, _, _, _ in large]
    times, seen = float(Fraction(1, n**2) / limit), sum(count for _, count, _, _ in large)
    identity = statement_id("sample-compression-needs-small-steps", "h=n^-2", f"n={n}")
    what = (
        f"share of runs in which an input of a seen weight gets another label, at {times:.2g} times Lemma 4's "
        f"largest step; {sum(wrong for wrong, _, _, _ in large)} of {seen} such inputs"
    )
    where = "Section 5.2 (for a large step size generalization ceases)"
    return [*found, remark, claim(identity, where, 0.5, share(broken), "at_least", what)]


CHECKS = (
    Check("lemma4", f"{PAPER}, Lemma 4", lemma4),
    Check("theorem1", f"{PAPER}, Theorem 1", theorem1),
    Check("sample-compression", f"{PAPER}, Section 4 (first remark)", sample_compression),
)
