"""Appendix C of Allen-Zhu & Li along runs of Algorithm 1: Table 1's movements, Lemmas C.1 to C.3, Claims C.5 to C.7.

Two runs on the hard instance (:mod:`learnability.studies.residual.checks.training`): one within the theorem's range
of alpha with every hidden constant 1, in which V hardly moves, and one with alpha = .5, in which it does. Everything
is taken over all inputs of the distribution, at three times. Two kinds of guarantees: the steps of the proofs with
the norms that were measured, which are true of all matrices and are checked; and the printed orders with 1 for their
constants, which are outside the hypotheses (Table 1) and show the constant that was found.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from learnability.checks import FloatArray
from learnability.networks import residual as networks
from learnability.networks.residual import ResNet3
from learnability.studies.residual import PAPER
from learnability.studies.residual.checks.training import Case, D, K, algorithm1, cube
from learnability.studies.residual.theorems.competitor import Competitor, Fit, competitor, fit
from learnability.studies.residual.theorems.coupling import across_order, coupling_orders, existence_orders
from learnability.studies.residual.theorems.monitors import Gradients, Monitors, Run, gradients, limits, measured
from learnability.studies.residual.theorems.table import movements
from learnability.studies.residual.theorems.thm1 import (
    distance_bound,
    gradient_orders,
    hard_complexities,
    perturbation_bound,
    theorem1,
)
from learnability.study import Check
from learnability.theory import Guarantee, Hypothesis, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id

__all__ = ["CHECKS"]

WIDTH = {"smoke": 300, "laptop": 2000}
RUNS = ((0.05, 0.1, 12_800), (0.5, 0.5**4, 8192))
"""Alpha, delta and steps."""
STEPS = {"smoke": 1024, "laptop": 12_800}
STOPS = (1, 7)
"""Epochs after which a run is looked at, besides its end."""


class Moment(NamedTuple):
    """One run at one time."""

    name: str
    case: Case
    now: ResNet3
    run: Run
    other: Competitor
    found: Monitors
    limit: Monitors
    slopes: Gradients
    fit: Fit


def _moments(scale: str) -> list[Moment]:
    X, moments = cube(), []
    for alpha, delta, steps in RUNS:
        numbers = hard_complexities(D, K)._asdict()
        promise = theorem1(alpha=alpha, k=K, B_F=1.0, delta=delta, **numbers)
        case = Case(WIDTH[scale], alpha, promise, min(steps, STEPS[scale]))
        F, G = case.functions()
        trained = algorithm1(case, STOPS)
        other = competitor(trained.start, F, G, alpha, sigma_w=case.sigma_w, sigma_v=case.sigma_v)
        for t, now in trained.stops:
            run = Run(trained.start, now, X)
            seen = (measured(run), limits(run), gradients(run, case.labels(X)), fit(run, other))
            moments.append(Moment(f"alpha={alpha:g},t={t}", case, now, run, other, *seen))
    return moments


def training(scale: str) -> list[Guarantee]:
    """All of Appendix C at every moment of both runs."""
    moments = _moments(scale)
    return [*_steps_of_the_proofs(moments), *_slopes(moments), *_orders(moments)]


def _steps_of_the_proofs(moments: list[Moment]) -> list[Guarantee]:
    """What is true of all matrices, at the input nearest to failing."""
    found: dict[str, list[Guarantee]] = {}
    for moment in moments:
        for name, (values, bounds) in _pairs(moment).items():
            finite = np.isfinite(bounds)
            if not finite.any():
                continue
            x = int(np.argmax(np.where(finite, values / np.where(bounds > 0, bounds, 1e-300), -1.0)))
            identity, source = _named(name, "training")
            room, source = 1e-9 * max(1.0, float(bounds[x])), f"{source}, steps of the proof"
            found.setdefault(identity, []).append(
                Guarantee(f"[{moment.name}]", source, Kind.UPPER_BOUND, bounds[x], values[x], tolerance=room)
            )
    note = "the proof's steps with measured norms, no O; over all inputs"
    met = np.concatenate([moment.fit.share <= 0.5 for moment in moments])
    notes = {
        "residual/lemma-c1[f,training]": f"{note}; corrected, as the printed order is not what the steps give",
        "residual/claim-c7[training]": f"{note} with t <= 1/2, {met.sum()} of {met.size}",
    }
    return [tightest(identity, cases, notes.get(identity, note)) for identity, cases in found.items()]


def _pairs(moment: Moment) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Measured values at all inputs and their bounds, by statement and part."""
    slopes, at = moment.slopes, moment.fit
    letters = zip(Monitors._fields, moment.found, moment.limit, strict=True)
    return {
        **{f"lemma-c1 {letter}": (values, bounds) for letter, values, bounds in letters},
        "claim-c5 W": (slopes.W, slopes.limit_W),
        "claim-c5 V": (slopes.V, slopes.limit_V),
        "lemma-c3 a": (at.first, at.limit_first),
        "lemma-c3 b": (at.second, at.limit_second),
        "lemma-c3 c": (at.left, at.limit_left),
        "claim-c6 Err": (at.error, at.limit_error),
        "claim-c7": (at.distance, at.limit_distance),
    }


def _slopes(moments: list[Moment]) -> list[Guarantee]:
    """Fact C.4 towards W*, V*: the gradient by hand against Claim C.6's f + g."""
    off, least = 0.0, math.inf
    for moment in moments:
        run, at = moment.run, moment.fit
        _, gradient = networks.gradient(moment.now, run.lifted[:, :-1], moment.case.labels(run.lifted[:, :-1]))
        parts = gradient.W * (moment.other.W - run.W), gradient.V * (moment.other.V - run.V)
        size = sum(float(np.abs(part).sum()) for part in parts)
        off = max(off, abs(sum(float(part.sum()) for part in parts) + float(at.descent.mean())) / size)
        room = 0.5 * at.risk**2 - 0.5 * at.error**2
        least = min(least, float((at.descent - room).min()))
    names = "; ".join(moment.name for moment in moments)
    note = f"largest relative difference from <H - out, f(W* - W) + g(V* - V)>; {names}"
    descent = f"least <H - out, H - out + Err> - (|H - out|^2 - |Err|^2) / 2 over all inputs; {names}"
    return [
        Guarantee(
            "residual/fact-c4[towards W* and V*,training]", f"{PAPER}, Fact C.4", Kind.EXACT, 0.0, off,
            note=note, tolerance=1e-10,
        ),
        Guarantee(
            "residual/claim-c6[descent,training]", f"{PAPER}, Section C.4", Kind.LOWER_BOUND, 0.0, least,
            note=descent, tolerance=1e-12,
        ),
    ]  # fmt: skip


# Printed orders, with 1 for their constants -------------------------------------------------------------------


def _orders(moments: list[Moment]) -> list[Guarantee]:
    """The largest ratio to each order over the moments; Table 1 does not hold, so none counts."""
    cases: dict[str, list[tuple[float, str]]] = {}
    for moment in moments:
        for name, (value, order) in _of_moment(moment).items():
            cases.setdefault(name, []).append((value / order, f"{moment.name}: {value:.3g} against {order:.3g}"))
    case = moments[0].case
    failing = ", ".join(h.name for h in case.table().hypotheses if not h.holds)
    width = Hypothesis("Table 1 with log m for its logarithms", case.table().holds, f"m = {case.m}: not {failing}")
    found = []
    for name, rows in cases.items():
        ratio, where = max(rows)
        note = f"measured over the printed order with constant 1 and no logarithms, largest of {len(rows)} moments: "
        found.append(
            Guarantee(*_named(name, "order", "training"), Kind.UPPER_BOUND, 1.0, ratio, (width,), f"{note}{where}")
        )
    return found


def _named(name: str, *case: str) -> tuple[str, str]:
    """Id and source of a statement and its part."""
    statement, _, part = name.partition(" ")
    return statement_id(f"residual/{statement}", part, *case), f"{PAPER}, {_PLACES[statement]}"


_PLACES = {
    "table1": "Table 1 and (C.3)",
    "lemma-c1": "Lemma C.1",
    "lemma-c2": "Lemma C.2",
    "lemma-c3": "Lemma C.3",
    "claim-c5": "Claim C.5",
    "claim-c6": "Claim C.6",
    "claim-c7": "Claim C.7",
}


def _of_moment(moment: Moment) -> dict[str, tuple[float, float]]:
    """What was measured, and its order, by statement and part; C* = 1, tau_w and tau_v as in Table 1."""
    case, run, found, at = moment.case, moment.run, moment.found, moment.fit
    numbers = {"alpha": case.alpha, "k": K, **hard_complexities(D, K)._asdict()}
    tau_w, tau_v = movements(**numbers)
    exists, slope = existence_orders(**numbers), moment.other.composite.lipschitz_bound()
    sizes = {"tau_w": tau_w, "tau_v": tau_v, "sigma_w": case.sigma_w, "sigma_v": case.sigma_v}
    risk, error = float((at.risk**2).mean()), float((at.error**2).mean())
    x = int(np.argmax(at.distance))
    shared = {"alpha": case.alpha, "tau_v": tau_v, "B_F": 1.0}
    perturbed = perturbation_bound(risk=risk, alpha_tilde=exists.alpha_tilde, L_G=slope, **shared)
    moved = exists.second_error + tau_v * (tau_v / case.sigma_v) ** (1 / 3)
    far = distance_bound(error=float(at.risk[x]), B_FG=1.0, **shared)
    rows = {
        "table1 |W|": (float(np.linalg.norm(run.W)), tau_w),
        "table1 |V|": (float(np.linalg.norm(run.V)), tau_v),
        "lemma-c2 a": (float((at.first_start**2).mean()), exists.first_error),
        "lemma-c2 b": (float((at.second_start / at.z).max()), exists.second_error),
        "lemma-c2 |W*|": (float(np.linalg.norm(moment.other.W)), exists.first_norm),
        "lemma-c2 |V*|": (float(np.linalg.norm(moment.other.V)), exists.second_norm),
        "lemma-c3 a": (float((at.first**2).mean()), exists.first_error),
        "lemma-c3 b": (float((at.second / at.z).max()), moved),
        "lemma-c3 c": (float((at.left**2).mean()), exists.first_error),
        "claim-c6 E|Err|^2": (error, perturbed),
        "claim-c6 |Err|": (float(at.error.max()), tau_w),
        "claim-c7": (float(at.distance[x]), far),
        "lemma-c1 f corrected": (float(found.f.max()), across_order(tau_v=tau_v, sigma_v=case.sigma_v)),
    }
    first = coupling_orders(m=case.m, k=K, first=float(found.c.max()), **sizes)
    for letter, values, order in zip(Monitors._fields, found, first, strict=True):
        rows[f"lemma-c1 {letter}"] = (float(values.max()), order)
    slopes = gradient_orders(residual=1.0, sigma_v=case.sigma_v, tau_w=tau_w)
    for name, values, order in zip("WV", moment.slopes[1:3], slopes, strict=True):
        rows[f"claim-c5 {name}"] = (float((values / moment.slopes.residual).max()), order)
    rows["claim-c5 W,used in the end"] = (rows["claim-c5 W"][0], 1.0)  # O(1) |y - out|, without sigma_v
    return rows


CHECKS = (Check("training", f"{PAPER}, Table 1, Lemmas C.1 to C.3, Claims C.5 to C.7 along a run", training),)
