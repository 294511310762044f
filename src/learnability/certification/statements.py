"""The theorems beside the runs: every bound with its hypotheses, the measured value and the slack."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_CEILING, Decimal
from functools import partial
from typing import Any

from learnability.certification.findings import Findings, Inputs
from learnability.certification.options import Options
from learnability.certification.runs import ALL, SgdRun
from learnability.studies.separable.theorems import thm2_thm6 as thm2
from learnability.studies.separable.theorems import thm4_thm10 as thm4
from learnability.studies.separable.theorems import thm5_compression as thm5
from learnability.theory import Guarantee, Hypothesis
from learnability.theory.guarantee import Verdict
from learnability.training.record import Outcome

__all__ = [
    "ASSUMPTIONS",
    "LEVEL",
    "about_error",
    "applies",
    "assumptions",
    "at_most",
    "bounded",
    "holdout_bound",
    "is_vacuous",
    "promises",
    "sequence_updates",
]

LEVEL = 1e-4
"""A bound on the error is violated only if the error exceeds it with this confidence (1 - LEVEL)."""

ASSUMPTIONS = (("examples drawn independently from one distribution", "no data can show it"),)
"""What the generalisation bounds rest on and nothing here can check."""


def assumptions() -> tuple[Hypothesis, ...]:
    """The assumptions as hypotheses that are taken for granted, and say so."""
    return tuple(Hypothesis(name, True, f"assumed: {why}") for name, why in ASSUMPTIONS)


def sequence_updates(found: Findings, options: Options) -> int | None:
    """How many updates SGD makes on Theorem 4's sequence with this |w*|^2, rounded down: on other data than these.

    No bound on updates in |w*|, alpha and eta alone can be lower. ``None`` if there is no w*, or for the ReLU.
    """
    if found.sample.w_norm is None or options.slope == 0:
        return None
    d = max(1, math.floor(found.sample.w_norm**2))
    return thm4.sequence_updates(d=d, k=1, eta=options.step, alpha=options.slope)


def promises(inputs: Inputs, found: Findings, runs: list[SgdRun], options: Options) -> list[Guarantee]:
    """Bounds on updates, then on the error, each against the worst of the runs that it is about."""
    part = found.sample.subset is not None
    those = bounded(found, runs)
    listed = [
        _in_file(inputs, found, those, options),
        *_updates(inputs, found, those, options, part),
        *_theorem6(inputs, found, those, options, part),
    ]
    groups: dict[tuple[int, str], list[SgdRun]] = {}
    for run in runs:
        groups.setdefault((run.width, run.data), []).append(run)
    for (width, data), group in groups.items():
        case = f"2k={width}" + (f",{data}" if part else "")
        listed += _compression(found, group, options, case)
    return listed


def bounded(found: Findings, runs: Sequence[SgdRun]) -> list[SgdRun]:
    """The runs on examples that have a w*, which bounds on updates are about."""
    part = found.sample.subset is not None
    return [run for run in runs if not (part and run.data == ALL)]


def _step(inputs: Inputs, options: Options) -> dict[str, Any]:
    return {"eta": options.step, "alpha": options.slope, "input_norm": inputs.norm}


def _worst(state: Callable[..., Guarantee], runs: list[SgdRun], note: str) -> Guarantee:
    """A bound on updates against the runs that ended, or against one that has exceeded it before its end."""
    ended = [run for run in runs if run.outcome == Outcome.CONVERGED]
    going = [run for run in runs if run.outcome != Outcome.CONVERGED]
    if going:
        note += f"; {len(going)} of {_count(len(runs), 'run')} stopped before an end by the budget"
        most = state(updates=max(run.updates for run in going), ended=False, note=note)
        if not ended or most.verdict is Verdict.VIOLATED:
            return most
    return state(updates=max((run.updates for run in ended), default=None), note=note)


def _in_file(inputs: Inputs, found: Findings, runs: list[SgdRun], options: Options) -> Guarantee:
    """Corollary 3 with the w* of the whole, which serves every part of it."""
    common = {**_step(inputs, options), "case": "all examples"}
    if found.whole.subset is None:
        note = "w* of all examples serves every part of them; largest count of all runs"
        return _worst(partial(thm2.corollary3, w_norm=found.whole.w_norm, **common), runs, note)
    return thm2.corollary3(w_norm=None, **common, note="no hyperplane separates all examples")


def _updates(
    inputs: Inputs, found: Findings, runs: list[SgdRun], options: Options, part: bool
) -> Iterable[Guarantee]:
    """Theorem 2 for each width, with the w* of what was trained on."""
    whose = "w* of the separable part of the training sample" if part else "w* of the training sample"
    for width in sorted({run.width for run in runs}):
        group = [run for run in runs if run.width == width]
        size = 1 / math.sqrt(width)
        state = partial(
            thm2.theorem2,
            w_norm=found.sample.w_norm,
            k=width // 2,
            v=size,
            R=size,
            row_norm=max(run.row_norm for run in group),
            **_step(inputs, options),
            case=f"2k={width}" + (f",{group[0].data}" if part else ""),
        )
        yield _worst(state, group, f"{whose}; largest of {_count(len(group), 'run')}")


def _theorem6(
    inputs: Inputs, found: Findings, runs: list[SgdRun], options: Options, part: bool
) -> Iterable[Guarantee]:
    """Theorem 6 from the margin alone, for all runs at once."""
    if not runs:
        return
    worst = max(runs, key=lambda run: run.test_error or 0.0)
    guarantee = thm2.theorem6(
        n=len(found.y),
        delta=options.delta / _planned(options),
        w_norm=None if part else found.sample.w_norm,
        **_step(inputs, options),
        further=int(found.setters.sum()),
        converged=all(run.zero_loss for run in runs),
        error=worst.test_error,
        case="w* of the sample",
        note=_shared(options, runs),
    )
    yield _tested(guarantee, found, options)


def _compression(found: Findings, runs: list[SgdRun], options: Options, case: str) -> Iterable[Guarantee]:
    """Theorem 5 and its sharper relative from the examples used or setting the scale; of several runs the worst.

    A run that the budget stopped did so after a number of epochs that depends on the visits that were skipped, and so
    on examples that were not used: its network is no function of those that were.
    """
    common: dict[str, Any] = {
        "n": len(found.y),
        "delta": options.delta / _planned(options),
        "coded": "examples",
        "case": f"examples,{case}",
    }
    note = _shared(options, runs)
    five, sharper = [], []
    stopped = sum(not run.complete for run in runs)
    detail = f"the budget stopped {stopped} of {_count(len(runs), 'run')}" if stopped else ""
    end = Hypothesis("the run's end does not depend on examples that were not used", not stopped, detail)
    for run in runs:
        marked = run.setters_left_out
        which = f"{marked} of them" if marked else ""
        sets = Hypothesis("no example that sets the scale is left out", not marked, which)
        own = f"L_V = {run.unused_error:.4g}" if run.unused_error else ""
        said = "; ".join(filter(None, [own, note]))
        measured = {**common, "size": run.size, "error": run.test_error}
        five.append(thm5.theorem5(validation_error=run.unused_error, note=said, **measured))
        consistent = thm5.consistent_compression(consistent=run.unused_error == 0, note=note, **measured)
        sharper.append(dataclasses.replace(consistent, hypotheses=(*consistent.hypotheses, sets)))
    for group in (five, sharper):
        worst = min(group, key=lambda g: (applies(g), _least(g)))
        yield _tested(worst, found, options, end)


def _least(guarantee: Guarantee) -> float:
    """The slack, or what orders guarantees without one."""
    if guarantee.slack is not None:
        return guarantee.slack
    return -math.inf if guarantee.bound is None else -guarantee.bound


def _tested(guarantee: Guarantee, found: Findings, options: Options, *hypotheses: Hypothesis) -> Guarantee:
    """With further hypotheses, the assumptions, what the test sample says by itself, and room for what it leaves."""
    tests, error = len(found.y_test), guarantee.measured
    own, room = "there is no test sample", 0.0
    if error is not None and (limit := holdout_bound(error, tests, options)) is not None:
        room = error - _lowest_error(round(error * tests), tests)
        own = (
            f"the test sample itself says: error <= {at_most(limit)} ({tests:,} examples; room for chance {room:.2g})"
        )
    note = f"{own}; {guarantee.note}"
    guessing = min(float((found.y > 0).mean()), float((found.y < 0).mean()))
    if guarantee.bound is not None and guessing <= guarantee.bound < 1:
        note += f"; no better than the larger class, which errs on {guessing:.3g} of S"
    every = (*guarantee.hypotheses, *hypotheses, *assumptions())
    return dataclasses.replace(guarantee, hypotheses=every, tolerance=room, note=note)


def _lowest_error(mistakes: int, tests: int) -> float:
    """Clopper and Pearson's lower confidence limit for the true error, at level 1 - ``LEVEL``."""
    from scipy.special import betaincinv

    return float(betaincinv(mistakes, tests - mistakes + 1, LEVEL)) if mistakes else 0.0


def holdout_bound(error: float | None, tests: int, options: Options) -> float | None:
    """What the test sample says of the true error by itself: Clopper and Pearson's upper limit.

    The largest error with which so few mistakes as these have a probability of delta' or more, the same delta' that
    each bound on the error is charged. The test sample has no part in scaling and training: this holds whatever was
    learnt. ``None`` without a test sample.
    """
    from scipy.special import betaincinv

    if error is None or not tests:
        return None
    mistakes = round(error * tests)
    doubt = options.delta / _planned(options)
    return 1.0 if mistakes == tests else float(betaincinv(mistakes + 1, tests - mistakes, 1 - doubt))


def at_most(limit: float) -> str:
    """An upper limit in three digits, rounded up; in more where what is below 1 would be shown as 1."""
    exact = Decimal(limit)
    for digits in range(3, 18):
        last = Decimal(1).scaleb(exact.adjusted() - digits + 1)
        rounded = float(exact.quantize(last, ROUND_CEILING))
        if rounded < 1 or limit >= 1:
            break
    return f"{rounded:.{digits}g}"


def applies(guarantee: Guarantee) -> bool:
    """Whether every hypothesis holds."""
    return all(h.holds for h in guarantee.hypotheses)


def about_error(guarantee: Guarantee) -> bool:
    """Whether it bounds the error, and not the number of updates."""
    return guarantee.id.startswith(("separable/thm5", "separable/thm6", "separable/compression"))


def is_vacuous(guarantee: Guarantee) -> bool:
    """Whether it bounds an error by 1 or more, or by nothing at all."""
    return about_error(guarantee) and (guarantee.bound is None or guarantee.bound >= 1)


LINES = 7
"""Bounds on the error of each run asked for, at most: Theorem 6, and for each of the two things that may be trained
on Theorem 5, its sharper form and what the test sample says."""


def _planned(options: Options) -> int:
    """How many bounds on an error share delta, so that all hold at once and the least may be chosen.

    For each run asked for and each line it may appear in, whatever budget and sample then allow: their number may
    not depend on the sample. The test sample's own limits are among them.
    """
    return LINES * len(options.widths) * options.repeats


def _shared(options: Options, runs: list[SgdRun]) -> str:
    """How the bounds share delta."""
    shown = f"worst of {len(runs)} runs; " if len(runs) > 1 else ""
    return f"{shown}delta = {options.delta:g} is shared by {_planned(options)} bounds, which hold jointly"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
