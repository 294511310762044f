"""A certification in words, line by line, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from learnability import shown
from learnability.certification.findings import Findings
from learnability.certification.runs import SgdRun
from learnability.certification.statements import (
    about_error,
    applies,
    assumptions,
    at_most,
    bounded,
    holdout_bound,
    is_vacuous,
)
from learnability.theory import Hypothesis
from learnability.training.record import Outcome

if TYPE_CHECKING:
    from learnability.certification.result import Certification

__all__ = ["RUN_HEADINGS", "answer", "headline", "hypotheses", "run_cells", "sentences"]

MOST = 12
"""Rows that are listed by number; there may be thousands."""

RUN_HEADINGS = (
    "2k", "trained on", "runs", "updates", "examples used", "train error", "test error", "test says <=", "ended",
)  # fmt: skip


def headline(c: Certification) -> str:
    """What was read, in one line."""
    (low, high), (fewer, more) = map(shown.quoted, c.classes), c.counts
    return (
        f"{shown.line(c.source)}: {c.examples:,} examples ({fewer:,} of {low} as -1, {more:,} of {high} as +1), "
        f"{c.features:,} features"
    )


def answer(c: Certification) -> Iterator[str]:
    """What one wants to know first: separable or not, SGD against its bound, and what is promised for the error."""
    size = f"{c.examples:,} examples, {c.features:,} features"
    subset = c.found.whole.subset
    if subset is None:
        yield f"{shown.line(c.source)} is separable: margin {c.margin:.4g}, |w*| = {c.w_norm:.4g} ({size})"
    else:
        assert c.certificate is not None
        least = "" if subset.smallest else f" (at least {subset.at_least:,} must go)"
        why = "" if c.certificate.kind == "combination" else f": {_certificate(c)}"
        removal = f"without {len(subset.removed):,} of them it is{least}"
        yield f"{shown.line(c.source)} is not separable ({size}){why}; {removal}"
    yield _updates(c)
    yield _error(c)


def _updates(c: Certification) -> str:
    """What SGD needed where there is a bound, beside the bound."""
    part = c.found.sample.subset is not None
    runs = bounded(c.found, c.runs)
    ended = [run.updates for run in runs if run.outcome == Outcome.CONVERGED]
    going = [run.updates for run in runs if run.outcome != Outcome.CONVERGED]
    said = [f"SGD needed {_range(ended, '{:,}')}"] if ended else []
    if going:
        said.append(f"the budget stopped {len(going)} of {len(runs)} runs, after up to {max(going):,}")
    promised = [g for g in c.guarantees if g.id.startswith("separable/thm2[")]
    bounds = [g.bound for g in promised if g.bound is not None and applies(g)]
    if bounds:
        said.append(f"Theorem 2 allows {_range(bounds, '{:,.0f}' if max(bounds) < 1e9 else '{:.3g}')} at any width")
    else:
        fails = ", ".join({h.name: None for g in promised for h in g.hypotheses if not h.holds})
        said.append(f"Theorem 2 promises nothing{fails and f' (fails: {fails})'}")
    where = f" without {int((~c.found.kept).sum()):,} of the training examples" if part else ""
    return f"updates{where}: {'; '.join(said)}"


def _error(c: Certification) -> str:
    """What was measured, what that says by itself, and the least bound below 1 that applies, or why there is none.

    It may be chosen after the fact: all bounds hold at once with probability 1 - delta.
    """
    tested = [run.test_error for run in c.runs if run.test_error is not None]
    chance = f"with probability {1 - c.options.delta:g}"
    if c.holdout_bound is None:
        said = ["not measured, for there is no test sample"]
    else:
        said = [
            f"{_range(tested, '{:.4f}')} on {len(c.found.y_test):,} test examples",
            f"the test sample itself says: error <= {at_most(c.holdout_bound)} {chance}",
        ]
    best = c.best_error_bound()
    if best is not None and best.bound is not None:
        promise = f"at most {at_most(best.bound)} is promised ({best.id}) {'jointly' if len(said) > 1 else chance}"
        if c.holdout_bound is not None:
            promise += f": the {'theorem' if best.bound < c.holdout_bound else 'test sample'} says more"
        share = float(np.mean(c.found.y > 0))
        if min(share, 1 - share) <= best.bound:
            promise += ", no better than always naming the larger class"
    else:
        promise = f"nothing is promised: {_why_nothing(c)}"
    return f"error: {'; '.join([*said, promise])}"


def _why_nothing(c: Certification) -> str:
    """Why no bound on the error says anything."""
    bounds = [g for g in c.guarantees if about_error(g) and not is_vacuous(g)]
    if not bounds:
        return f"from {len(c.found.y):,} training examples every bound is 1 or more"
    fails = [{h.name: h.detail for h in g.hypotheses if not h.holds} for g in bounds]
    common = [name for name in fails[0] if all(name in several for several in fails)] or list(fails[0])
    why = "; ".join(f"{name} ({fails[0][name]})" if fails[0][name] else name for name in common)
    return f"the bounds below 1 ask for {why}"


def sentences(c: Certification) -> Iterator[str]:
    """What was done to the data and found out about them, before any bound."""
    yield from c.notes
    yield f"scaling: {c.scaling}"
    if c.separable:
        yield f"separable: margin {c.margin:.6g}, |w*| = {c.w_norm:.6g} (duality gap {c.duality_gap:.2g})"
    else:
        yield f"not separable: {_certificate(c)}"
        yield from _removal(c.found)
    found = c.found
    tests = f"{len(found.y_test):,} to test on" if len(found.y_test) else "none to test on"
    split = f"split at random (seed {c.options.seed}): {len(found.y):,} examples to train on, {tests}"
    if found.sample.subset is None:
        yield f"{split}; |w*| of the training sample {found.sample.w_norm:.6g}"
    else:
        yield f"{split}; the training sample is not separable"
        left = int((~found.kept).sum())
        w_norm = found.sample.w_norm
        yield (
            f"runs leave out {left:,} of its examples; |w*| of the others "
            + ("unknown" if w_norm is None else f"{w_norm:.6g}")
        )


def _certificate(c: Certification) -> str:
    """The certificate, as a sentence."""
    assert c.certificate is not None
    kind, rows, labels = c.certificate.kind, c.certificate.rows, [shown.quoted(v, 60) for v in c.certificate.labels]
    if kind == "duplicates":
        return f"rows {rows[0]} and {rows[1]} are the same point with different labels, {labels[0]} and {labels[1]}"
    if kind == "opposites":
        return f"rows {rows[0]} and {rows[1]} are opposite points with one label, {labels[0]}"
    if kind == "zero":
        return f"row {rows[0]} is the origin, through which every hyperplane goes"
    parts = [
        f"{weight:.4g} x row {row} ({label})"
        for row, weight, label in zip(rows[:MOST], c.certificate.weights, labels)
    ]
    more = f" + {len(rows) - MOST} more" if len(rows) > MOST else ""
    return (
        f"with the sign of the label, {' + '.join(parts)}{more} is zero "
        f"(norm {c.certificate.residual:.2g}): no hyperplane has all of them on their right sides"
    )


def _removal(found: Findings) -> Iterator[str]:
    """How many examples stand in the way."""
    margins, subset = found.whole, found.whole.subset
    assert subset is not None
    rows = ", ".join(str(row) for row in found.rows[subset.removed[:MOST]])
    more = f" and {len(subset.removed) - MOST:,} more" if len(subset.removed) > MOST else ""
    count = len(subset.removed)
    proved = (
        "no smaller number does"
        if subset.smallest
        else f"at least {subset.at_least:,} must go, the least is not known"
    )
    yield (
        f"separable without {count:,} of them, {'row' if count == 1 else 'rows'} {rows}{more} ({proved}; "
        f"found by: {subset.rule})"
    )
    if subset.rest is not None and subset.rest.separable:
        rest = subset.rest
        yield f"the others: margin {rest.margin:.6g}, |w*| = {margins.w_norm:.6g} (duality gap {rest.gap:.2g})"


def hypotheses(c: Certification) -> Iterator[str]:
    """Every hypothesis once, with what it was found to be; first what was checked, then what was assumed."""
    seen: set[str] = set()
    for guarantee in c.guarantees:
        for h in guarantee.hypotheses:
            if h.detail.startswith("assumed") or h.name in seen:
                continue
            if h.name.startswith(("n >= 2 c", "c < n", "no ", "SGD reached", "the run's end")):
                continue  # of single runs: the table has them where they fail
            seen.add(h.name)
            if h.name == "linearly separable" and not h.holds:
                h = Hypothesis(h.name, h.holds, "of all examples; of the part above, yes")
            yield _hypothesis(h.name, h.holds, h.detail)
    for h in assumptions():
        yield f"{h.name}: {h.detail}"


def _hypothesis(name: str, holds: bool, detail: str) -> str:
    return f"{name}: {'yes' if holds else 'NO'}" + (f" ({detail})" if detail else "")


def run_cells(c: Certification) -> Iterator[tuple[str, ...]]:
    """One line for each width and what was trained on: ranges over the repeats.

    Beside the test error what the test sample says of the worst of the runs, and so of all of them.
    """
    tests = len(c.found.y_test)
    groups: dict[tuple[int, str], list[SgdRun]] = {}
    for run in c.runs:
        groups.setdefault((run.width, run.data), []).append(run)
    for (width, data), group in groups.items():
        ended = sum(run.outcome == Outcome.CONVERGED for run in group)
        yield (
            f"{width:,}",
            data,
            str(len(group)),
            _range([run.updates for run in group], "{:,}"),
            _range([run.examples_used for run in group], "{:,}"),
            _range([run.train_error for run in group], "{:.4f}"),
            _range(tested := [run.test_error for run in group if run.test_error is not None], "{:.4f}"),
            "-" if (limit := holdout_bound(max(tested, default=None), tests, c.options)) is None else at_most(limit),
            "all" if ended == len(group) else f"{ended} of {len(group)}",
        )


def _range(values: Sequence[float], form: str) -> str:
    if not values:
        return "-"
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"
