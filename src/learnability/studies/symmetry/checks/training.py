"""Lemma 4, Theorem 1 and the sample-compression remark of Nachum & Yehudayoff, along real runs of both layers."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from learnability.checks import FloatArray
from learnability.networks.one_hidden import OneHidden
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
from learnability.theory import Guarantee, Hypothesis, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.training.online import train
from learnability.training.online.trajectory import Trajectory
from learnability.training.record import Outcome

__all__ = ["CHECKS"]

EPOCHS = 10**6
"""A budget that no run here comes near: Lemma 4 promises an end, so a run that meets it counts as a failure."""


def _wrong_on_cube(run: Trajectory, f: SymmetricFunction, X: FloatArray) -> int:
    """How many of the inputs ``X`` get the wrong sign (an output of 0 is wrong)."""
    assert run.deviation is not None
    return int((f(X) * run.deviation.evaluate(X).values <= 0).sum())


def lemma4(scale: str) -> list[Guarantee]:
    """Movement, norm and number of updates at the largest step allowed; then the error on the whole cube.

    The sample holds one random input of each weight, so by the first remark of Section 4 all 2^n inputs must come out
    right. A function with a margin above 1 also has the margin 1 that the lemma is then read with.
    """
    sizes, draws = {"smoke": ((4,), 1), "laptop": ((4, 6, 8, 10), 3)}[scale]
    cases: list[list[Guarantee]] = []
    margins, wrong, inputs, ties, unresolved = [], 0, 0, 0, 0
    for n in sizes:
        cube = enumerate_cube(n)
        for kind in ("integer", "half_integer"):
            start = symmetry_init(n, kind)
            drawn = {f"random {i}": random_symmetric(n, generator(i, "lemma4", "target", n)) for i in range(draws)}
            for name, f in {"parity": parity(n), **drawn}.items():
                margin, squared = geometry(start, f)
                rng = generator(0, "lemma4", n, kind, name)
                X = np.array([rng.permutation(np.arange(n) < k) for k in range(n + 1)], dtype=np.float64)
                h = lemma4_step(margin, squared, n)
                run = train(start, X, f(X), h=h, beta=squared * h, rng=rng, epochs=EPOCHS)
                assert run.deviation is not None
                # the last record again, with the movement of every point of the cube instead of the sample's
                whole = float(run.deviation.evaluate(cube).movement.max())
                case = f"{kind},n={n},{name}"
                cases.append(
                    perceptron.lemma4(
                        h=h,
                        beta=squared * h,
                        margin=margin,
                        radius=math.sqrt(squared),
                        input_radius=math.sqrt(n),
                        updates=np.append(run.columns["updates"], run.updates),
                        movement=np.append(run.columns["movement"], whole),
                        norm=np.append(run.columns["norm"], run.final("norm")),
                        ended=run.outcome is Outcome.CONVERGED,
                        case=case,
                    )
                )
                identity, least = statement_id("lemma4-margin", case), 0.9 * margin / 3
                at_end = claim(
                    identity, "proof of Theorem 1", least, run.final("margin"), "at_least", "", Kind.LOWER_BOUND
                )
                margins.append(replace(at_end, hypotheses=cases[-1][0].hypotheses))
                wrong += _wrong_on_cube(run, f, cube)
                inputs += len(cube)
                ties += run.ties
                unresolved += run.unresolved
    name = f"n={'|'.join(map(str, sizes))}"
    found = [
        tightest(statement_id(f"symmetry/lemma4-{part}", name), several, "h at the limit")
        for part, several in zip(("movement", "norm", "updates"), zip(*cases), strict=True)
    ]
    what = (
        f"wrong among all {inputs} inputs of {len(cases)} cubes, trained on one input of each weight "
        f"({ties} decisions tied exactly, {unresolved} unresolved)"
    )
    identity = statement_id("lemma4-error", name)
    return [
        *found,
        tightest(statement_id("symmetry/lemma4-margin", name), margins, "margin of the output on the sample"),
        claim(identity, "Lemma 4 and Section 4", 0, wrong, "equal", what, Kind.EXACT),
    ]


def theorem1(scale: str) -> list[Guarantee]:
    """Failure frequency at the explicit sample size, for several distributions, with h within Lemma 4's limit."""
    epsilon, delta = 0.1, 0.1
    both, found = ("both", "output"), []
    plans: dict[str, list[tuple[int, str, tuple[str, ...], int]]] = {
        "smoke": [(10, "half_integer", both, 36)],
        "laptop": [(10, "half_integer", both, 80), (10, "integer", both, 40), (20, "half_integer", ("both",), 40)],
    }
    updates: list[Guarantee] = []
    for n, kind, trained, draws in plans[scale]:
        start = symmetry_init(n, kind)
        margin, squared = geometry(start, parity(n))  # parity has the least margin: this h suits every function
        h = lemma4_step(margin, squared, n)
        m = theory.theorem1_sample_size(n, epsilon, delta)
        for (name, made), layers in itertools.product(DISTRIBUTIONS.items(), trained):
            distribution = made(n)
            failed, errors = [], []
            for draw in range(draws):
                f = random_symmetric(n, generator(draw, "theorem1", "target")) if draw else parity(n)
                X = distribution.sample(generator(draw, "theorem1", "sample", name), m)
                run = _run(start, X, f, h, squared, draw, layers)
                errors.append(true_error(run, f, distribution))
                failed.append(errors[-1] > epsilon or run.outcome is not Outcome.CONVERGED)
                case = f"{kind},n={n},{name},{layers},draw={draw}"
                most = 20 * float(squared) / margin**2
                updates.append(Guarantee(f"[{case}]", f"{PAPER}, Theorem 1", Kind.UPPER_BOUND, most, run.updates))
            note = f"m={m}, epsilon={epsilon}; largest error {max(errors):.4g}"
            case = f"{kind},{name},{layers}"
            found.append(theory.theorem1(n, epsilon=epsilon, delta=delta, m=m, failed=failed, case=case, note=note))
    found.append(tightest("symmetry/theorem1-updates", updates, "poly(n): 20 R^2 / gamma^2 of Lemma 4"))
    return found


def _run(
    start: OneHidden, X: FloatArray, f: SymmetricFunction, h: Fraction, squared: Fraction, draw: int, layers: str
) -> Trajectory:
    rng = generator(draw, "theorem1", "order")
    return train(start, X, f(X), h=h, beta=squared * h, rng=rng, epochs=EPOCHS, layers=layers, record=[0])


def sample_compression(scale: str) -> list[Guarantee]:
    """All inputs of a seen weight share its label; so the error is at most the mass of the unseen weights.

    Within Lemma 4's step size; and at h = n^-2, far outside of it, to show what the hypothesis is for.
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
        return _wrong_on_cube(run, f, inputs), len(inputs), true_error(run, f, distribution), unseen

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
    large = [one(Fraction(1, n**2), "uniform", UniformCube(n), 2 * n, draw) for draw in range(draws)]
    for h, results in ((limit, small), (Fraction(1, n**2), large)):
        hypothesis = Hypothesis(
            "h <= gamma^(5/2) / (100 R^2 R_X)", h <= limit, f"{float(h):.3g} against {float(limit):.3g}"
        )
        remark = theory.sample_compression(
            disagreements=sum(wrong for wrong, _, _, _ in results),
            seen=sum(count for _, count, _, _ in results),
            case=f"h={float(h):.3g},n={n}",
        )
        found.append(replace(remark, hypotheses=(hypothesis,)))
    return found


CHECKS = (
    Check("lemma4", f"{PAPER}, Lemma 4", lemma4),
    Check("theorem1", f"{PAPER}, Theorem 1", theorem1),
    Check("sample-compression", f"{PAPER}, Section 4 (first remark)", sample_compression),
)
