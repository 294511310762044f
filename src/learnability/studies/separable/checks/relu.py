"""Theorem 9 of Brutzkus et al.: where SGD on ReLU networks ends on orthonormal examples, for k units of a sign."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from learnability.checks import FloatArray
from learnability.networks.separable import TwoLayer
from learnability.problems.separable import orthonormal_set
from learnability.seeding import generator
from learnability.studies.separable import PAPER, claim
from learnability.studies.separable.theorems import thm9
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.training.coordinates import Ends, by_coordinates
from learnability.training.two_layer import train

__all__ = ["CHECKS", "Ends", "by_coordinates"]

PROJECT = f"this project, on {PAPER}"

DIMENSIONS = {"smoke": (8,), "laptop": (8, 32, 128, 512)}
DRAWS = 200
DELTA = 0.1
RANGES = (0.03, 0.3, 1.0, 3.0, 30.0)
STEPS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""C and eta of the update counts."""


def _start(draw: int, d: int, k: int, C: float) -> FloatArray:
    return generator(draw, "thm9", "start", d, k).uniform(-C, C, (2 * k, d))


def probability(scale: str) -> list[Guarantee]:
    """How often SGD ends with a loss, over d and k, against the closed form and both thresholds; and on which starts.

    The closed form at the thresholds, too: at confidences for which a threshold is a whole k, where little is left.
    """
    exact: list[Guarantee] = []
    counts: list[tuple[int, int, int, int]] = []
    exceptions = 0
    for d in DIMENSIONS[scale]:
        first, last = (thm9.width_threshold(d, DELTA, side=side) for side in ("failure", "success"))
        X, y = orthonormal_set(d)
        for k in range(max(1, math.floor(first) - 1), math.ceil(last) + 2):
            failures = 0
            for draw in range(DRAWS):
                start = TwoLayer(_start(draw, d, k, 1.0), np.repeat([1.0, -1.0], k))
                rng = generator(draw, "thm9", "order", d, k)
                run = train(start, X, y, eta=0.5, alpha=0.0, rng=rng, epochs=10**6, record=[0])
                stuck = run.final("train_loss") > 0
                failures += stuck
                exceptions += stuck != bool((start.W[:k] <= 0).all(axis=0).any())
            counts.append((d, k, failures, DRAWS))
            exact.append(thm9.theorem9(d=d, k=k, failures=failures, draws=DRAWS)[0])
    reach, runs = f"d={DIMENSIONS[scale][0]}..{DIMENSIONS[scale][-1]}", len(counts) * DRAWS
    return [
        tightest(statement_id("separable/thm9", reach), exact, "share of runs of SGD that end with a loss"),
        *thm9.thresholds(counts, DELTA, reach),
        *_closed_form(),
        claim(
            f"thm9-dead[{reach}]", "Section 7.2", 0, exceptions, "equal",
            f"runs of {runs} that end with a loss without a dead example, or without one with it", Kind.EXACT,
        ),
    ]  # fmt: skip


def _closed_form() -> list[Guarantee]:
    """1 - (1 - 2^-k)^d at the two thresholds, where delta makes them whole: the proof's for success, log2(d / delta).

    The stated log2(2 d / delta) is a unit more than that. Both are nearly attained: that of success for small delta,
    and at that of failure (1 - j / d)^d, where delta = exp(-j), is delta but for delta j^2 / (2 d) and less.
    """
    found: dict[str, list[Guarantee]] = {"failure": [], "success": []}
    for d, j in itertools.product((64, 1024, 2**20), (1, 2, 3)):
        for side, delta in (("failure", math.exp(-j)), ("success", 2.0 ** -(j + 7))):
            name = "success, proof" if side == "success" else side
            at = thm9.width_threshold(d * j if side == "failure" else d, delta, side=name)
            k = round(at)
            fails = thm9.failure_probability(d * j if side == "failure" else d, k)
            kind, room = (Kind.LOWER_BOUND, 0.0) if side == "success" else (Kind.EXACT, delta * j**2 / d)
            what = "closed form at the threshold" + (f", to {room:.2g}" if room else "")
            case, reached = f"[d={d},k={k},delta={delta:.3g}]", fails if room else 1 - fails
            found[side].append(
                Guarantee(case, f"{PAPER}, Theorem 9", kind, 1 - delta, reached, note=what, tolerance=room)
            )
    return [tightest(f"separable/thm9-{side}[closed form]", cases) for side, cases in found.items()]


def updates(scale: str) -> list[Guarantee]:
    """Updates of an example, and of all, against the corrected number; and how often the printed one is exceeded."""
    draws = {"smoke": 3, "laptop": 20}[scale]
    each: list[Guarantee] = []
    totals: list[Guarantee] = []
    printed: list[Guarantee] = []
    once: list[bool] = []
    for d, C, eta, draw in itertools.product((1, 20, 200), RANGES, STEPS, range(draws)):
        k = math.ceil(math.log2(d)) + int(generator(draw, "thm9", "units", d).integers(1, 6))
        W = _start(draw, d, k, C)
        ends = by_coordinates(W, eta)
        alive = (W[:k] > 0).any(axis=0)
        case = f"d={d},k={k},C={C:g},eta={eta:g}"
        if alive.any():
            most = thm9.update_limit(1, C=C, eta=eta)
            made = int(ends.updates[alive].max())
            each.append(Guarantee(f"[{case}]", f"{PAPER}, Section 9.3.2", Kind.UPPER_BOUND, most, made))
        if alive.all():
            _, total, stated = thm9.theorem9(d=d, k=k, C=C, eta=eta, updates=int(ends.updates.sum()))
            totals.append(total)
            printed.append(stated)
            if C * k < 1 and stated.bound is not None and stated.bound < d and eta > 1 + C * k:
                once.append(int(ends.updates.sum()) != d)
    inside = [g for g in printed if all(h.holds for h in g.hypotheses)]
    note = "examples that are not dead at the start"
    return [
        tightest("separable/thm9-updates[one example]", each, note),
        tightest("separable/thm9-updates[corrected]", totals, "runs without a dead example"),
        tightest("separable/thm9-updates[printed,max(C,1)/eta an integer]", inside),
        Guarantee(
            "separable/thm9-updates[large step]", PROJECT, Kind.EXACT, 0, sum(once),
            note=f"of {len(once)} runs from small weights with a large step, those whose updates are not one for "
            "each of the d examples; the printed ceil(max(d C / eta, d / eta)) is less than d in all of them",
        ),
    ]  # fmt: skip


def engine(scale: str) -> list[Guarantee]:
    """The engine, in several orders, against the coordinates; and dead examples in a random orthonormal set.

    Statement
    ---------
    On orthonormal examples every example has a coordinate of its own, so that SGD in any order is d runs that do
    not know of each other. An example on which all units of its sign are off at the start (dead) never gets a
    gradient: SGD reaches a global minimum if and only if there is none.

    Errata
    ------
    The paper takes the ReLU's derivative at 0 as 0 here; that of the leaky ReLU is 1 elsewhere.
    """
    draws = {"smoke": 2, "laptop": 10}[scale]
    moved, miscounted, exceptions, runs, turned = 0.0, 0, 0, 0, 0
    for d, order, eta, draw in itertools.product(
        (5, 40), ("shuffle", "iid", "cyclic"), (0.07, 0.5, 4.0), range(draws)
    ):
        k = max(1, round(math.log2(d)) + (-1, 4, 1, 2)[draw % 4])
        W = _start(draw, d, k, 1.0)
        v = np.repeat([1.0, -1.0], k)
        step: dict[str, Any] = {"eta": eta, "alpha": 0.0, "epochs": 10**6, "order": order, "record": [0]}
        run = train(TwoLayer(W, v), *orthonormal_set(d), rng=generator(draw, "thm9", "order"), **step)
        ends = by_coordinates(W, eta)
        moved = max(moved, float(np.abs(run.params.W - ends.W).max()))
        miscounted += int((run.used != ends.updates).sum())
        runs += 1
        y = generator(draw, "thm9", "labels").choice([-1.0, 1.0], d)
        X, y = orthonormal_set(d, y, rng=generator(draw, "thm9", "basis", d))
        run = train(TwoLayer(W, v), X, y, rng=generator(draw, "thm9", "order"), **step)
        along = X @ W.T  # (d, 2k); an example labelled -1 asks the same of the u
        dead = np.where(y > 0, (along[:, :k] <= 0).all(axis=1), (along[:, k:] <= 0).all(axis=1))
        exceptions += (run.final("train_loss") > 0) != bool(dead.any())
        turned += bool(dead.any())
    return [
        Guarantee(
            "separable/thm9-engine[weights]", PROJECT, Kind.UPPER_BOUND, 1e-12, moved,
            note=f"largest distance from the coordinates' own weights over {runs} runs",
        ),
        Guarantee(
            "separable/thm9-engine[updates]", PROJECT, Kind.EXACT, 0, miscounted,
            note=f"examples over {runs} runs whose number of updates differs",
        ),
        claim(
            "thm9-dead[labels of both signs, random orthonormal set]",
            "Section 7.2 ('the same result holds for the general case')", 0, exceptions, "equal",
            f"runs of {runs} that end with a loss without a dead example, or without one with it; "
            f"{turned} had one", Kind.EXACT,
        ),
    ]  # fmt: skip


CHECKS = (
    Check("thm9", f"{PAPER}, Theorem 9", probability),
    Check("thm9-updates", f"{PAPER}, Theorem 9 (number of updates)", updates),
    Check("thm9-engine", f"{PAPER}, Section 7.2", engine),
)
