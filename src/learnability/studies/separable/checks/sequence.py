"""Theorems 4 and 10 of Brutzkus et al.: the sequence on which SGD makes many updates, in exact arithmetic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from learnability.networks.separable import TwoLayer, forward
from learnability.problems.separable import lower_bound_sequence, lower_bound_weights
from learnability.seeding import generator
from learnability.studies.separable import PAPER, claim
from learnability.studies.separable.theorems import thm2_thm6 as thm2
from learnability.studies.separable.theorems import thm4_thm10 as thm4
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.training.reference import two_layer_epoch
from learnability.training.two_layer import TwoLayerRun, train

__all__ = ["CHECKS"]

PROJECT = f"this project, on {PAPER}"

DIMENSIONS = {"smoke": (1, 4, 20), "laptop": (1, 2, 4, 9, 20, 100, 1000)}
UNITS = {"smoke": (1, 5), "laptop": (1, 5, 500)}
SLOPES = tuple(Fraction(n, 100) for n in (1, 10, 25, 50, 75, 99))
STEPS = tuple(Fraction(10) ** e * m for e in range(-3, 4) for m in (1, 3))
SIZES = (
    (None, None),
    (Fraction(1), Fraction(0)),
    (Fraction(1), Fraction(1)),
    (Fraction(1, 10), Fraction(3)),
    (Fraction(2), Fraction(1, 10)),
)
"""v and R; none is 1 / sqrt(2k)."""

RANDOM = {"smoke": 200, "laptop": 2000}
STEPPED = {"smoke": 300, "laptop": 2000}
"""Runs of at most this many updates of a coordinate are also made step by step."""

Parameters = dict[str, Any]


def _grid(scale: str) -> Iterator[Parameters]:
    """The grid, then random rationals with small denominators: they hit thresholds exactly."""
    for d, k, alpha, eta, (v, R) in itertools.product(DIMENSIONS[scale], UNITS[scale], SLOPES, STEPS, SIZES):
        yield {"d": d, "k": k, "alpha": alpha, "eta": eta, "v": v, "R": R}
    rng = generator(0, "thm4", "random")
    for _ in range(RANDOM[scale]):
        alpha = Fraction(int(rng.integers(1, 12)), 12)
        eta, v, R = (Fraction(int(n), int(rng.integers(1, 13))) for n in rng.integers((1, 1, 0), (60, 13, 13)))
        d, k = int(rng.integers(1, 30)) ** int(rng.integers(1, 3)), int(rng.integers(1, 20))
        yield {"d": d, "k": k, "alpha": alpha, "eta": eta, "v": v, "R": R}


def theorem4(scale: str) -> list[Guarantee]:
    """The exact number of updates against every form of the bound, and against Theorem 2 from above."""
    cases: dict[str, list[Guarantee]] = {}
    above: list[Guarantee] = []
    below = dict.fromkeys(thm4.FORMS, 0)
    attained = dict.fromkeys(thm4.FORMS, 0)
    wrong = stepped = total = 0
    for p in _grid(scale):
        total += 1
        updates = thm4.sequence_updates(**p)
        case = ",".join(f"{name}={value}" for name, value in p.items() if value is not None)
        for guarantee in thm4.theorem4(**p, updates=updates, case=case):
            cases.setdefault(guarantee.id.partition(f",{case}")[0], []).append(guarantee)
        for form in thm4.FORMS if p["v"] is None else thm4.FORMS[:-1]:
            bound = thm4.lower_bound(**p, form=form)
            below[form] += updates < bound
            attained[form] += updates == bound > p["d"]
        usual = 1 / math.sqrt(2 * p["k"])
        floats: Parameters = {
            name: usual if p[name] is None else float(p[name]) for name in ("eta", "alpha", "v", "R")
        }
        above.append(thm2.theorem2(w_norm=math.sqrt(p["d"]), k=p["k"], updates=updates, case=case, **floats))
        if updates // p["d"] <= STEPPED[scale] // 10:
            stepped += 1
            wrong += updates != p["d"] * _step_by_step(p)
    found = [tightest(f"{identity}]", of_form, "exact rational arithmetic") for identity, of_form in cases.items()]
    reached = ", ".join(f"{form} {attained[form]}" for form in thm4.FORMS)
    return [
        *found,
        claim(
            "thm10-exact", "Theorem 10", 0, sum(below.values()), "equal",
            f"bounds not reached over {total} runs, compared as fractions; attained beyond d by {reached}",
            Kind.EXACT,
        ),
        tightest("separable/thm2[sequence of Theorem 10]", above, "from above on the same sequences"),
        Guarantee(
            "separable/thm10-count", PROJECT, Kind.EXACT, 0, wrong,
            note=f"exact counts of {stepped} that differ from the run made step by step",
        ),
    ]  # fmt: skip


def _step_by_step(p: Parameters) -> int:
    """Updates of one coordinate, one after the other, from the definition: <w, e_j> and <u, e_j> as they move."""
    d, k, eta, alpha = p["d"], p["k"], p["eta"], p["alpha"]
    root = Fraction(math.isqrt(d * 10**80), 10**40)
    if p["v"] is None:  # w and u times v, whose square alone is rational
        step, w = eta / (2 * k), -1 / (2 * k * root)
        scale = Fraction(k)
    else:
        step, w = eta * p["v"], -p["R"] / root
        scale = k * p["v"]
    u, updates = -w, 0
    while scale * ((w if w >= 0 else alpha * w) - (u if u >= 0 else alpha * u)) < 1:
        w, u = w + (step if w >= 0 else alpha * step), u - (step if u >= 0 else alpha * step)
        updates += 1
    return updates


def networks(scale: str) -> list[Guarantee]:
    """The whole network on the sequence: reference in fractions and engine in float64 against the exact count.

    Statement
    ---------
    On the lower-bound sequence two numbers for each coordinate describe the whole network, so that the exact number
    of updates is known (:func:`learnability.studies.separable.theorems.thm4_thm10.sequence_updates`): the network
    itself makes as many. Remark 1: fewer, the larger the step, down to one for each of the d examples.
    """
    # d and 2k are perfect squares: R and v are rational; the engine's numbers are dyadic, so that nothing is rounded
    sizes = {"smoke": ((4, 2),), "laptop": ((4, 2), (9, 8), (1, 2))}[scale]
    steps, slopes = (Fraction(1, 8), Fraction(1), Fraction(5)), (Fraction(1, 4), Fraction(3, 4))
    reference = [
        _reference(d, k, eta, alpha) != thm4.sequence_updates(d=d, k=k, eta=eta, alpha=alpha)
        for (d, k), eta, alpha in itertools.product(sizes, steps, slopes)
    ]
    engine = [
        _engine(d, k, eta, alpha, form).updates != thm4.sequence_updates(d=d, k=k, eta=eta, alpha=alpha)
        for d, k, form in itertools.product((4, 16, 64), (2, 8), ("sparse", "dense"))
        for eta, alpha in itertools.product((0.125, 1.0, 8.0), (0.25, 0.75))
    ]
    return [
        Guarantee(
            f"separable/thm4-network[{name}]", PROJECT, Kind.EXACT, 0, sum(different),
            note=f"runs of {len(different)} whose number of updates differs from the exact one, {numbers}",
        )
        for name, different, numbers in (
            ("reference", reference, "in fractions"),
            ("engine", engine, "in float64, on numbers that nothing rounds"),
        )
    ] + _large_steps()  # fmt: skip


def _reference(d: int, k: int, eta: Fraction, alpha: Fraction) -> int:
    """Updates of the reference in exact arithmetic."""
    usual = Fraction(1, math.isqrt(2 * k))
    W = np.full((2 * k, d), usual / math.isqrt(d))
    W[:k] *= -1
    params = TwoLayer(W, np.repeat([usual, -usual], k))
    X, y = (np.vectorize(Fraction, otypes=[object])(array.astype(int)) for array in lower_bound_sequence(d))
    updates = 0
    while True:
        params, updated = two_layer_epoch(params, X, y, np.arange(d), eta=eta, alpha=alpha, layers="first")
        if not updated.any():
            return updates
        updates += int(updated.sum())


def _engine(d: int, k: int, eta: float, alpha: float, form: str = "auto") -> TwoLayerRun:
    """The engine on the sequence, from Theorem 4's start."""
    usual = 1 / math.sqrt(2 * k)
    start = TwoLayer(lower_bound_weights(d, k, usual), np.repeat([usual, -usual], k))
    X, y = lower_bound_sequence(d)
    step: dict[str, Any] = {"eta": eta, "alpha": alpha, "order": "cyclic", "form": form}
    return train(start, X, y, rng=generator(0, "thm4"), epochs=10**6, record=[0], **step)


def _large_steps() -> list[Guarantee]:
    """As eta grows: exactly d = |w*|^2 updates, and a network that classifies like w*."""
    runs = more = mistakes = inputs = 0
    for d, k, alpha in itertools.product((1, 10, 100), (1, 50), (0.1, 0.9)):
        for eta in (1e3, 1e6):
            run = _engine(d, k, eta, alpha)
            X = generator(0, "thm4", "inputs", d).standard_normal((200, d))
            clear = np.abs(X.sum(axis=1)) > 1e-9
            outputs = forward(run.params, X[clear], alpha=alpha)
            runs, more, inputs = runs + 1, more + abs(run.updates - d), inputs + int(clear.sum())
            mistakes += int((np.sign(outputs) != np.sign(X[clear].sum(axis=1))).sum())
    where = "Section 5.2 and Remark 1"
    return [
        claim(
            "thm4-large-step[updates]", where, 0, more, "equal",
            f"updates beyond or short of |w*|^2 = d, over {runs} runs with eta = 1e3 and 1e6", Kind.EXACT,
        ),
        claim(
            "thm4-large-step[classifier]", where, 0, mistakes, "equal",
            f"inputs of {inputs} that the trained network does not classify as w* does", Kind.EXACT,
        ),
    ]  # fmt: skip


CHECKS = (
    Check("thm4", f"{PAPER}, Theorems 4 and 10", theorem4),
    Check("thm4-network", f"{PAPER}, Theorem 4 and Remark 1", networks),
)
