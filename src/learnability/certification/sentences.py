"""A certification in words, line by line, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from learnability.certification.findings import Margins
from learnability.certification.runs import ALL, SgdRun
from learnability.certification.statements import about_error, assumptions, is_vacuous, sequence_updates
from learnability.theory import Hypothesis
from learnability.training.record import Outcome

if TYPE_CHECKING:
    from learnability.certification.result import Certification

__all__ = ["RUN_HEADINGS", "answer", "headline", "hypotheses", "run_cells", "sentences"]

MOST = 12
"""Rows that are listed by number; there may be thousands."""

RUN_HEADINGS = ("2k", "trained on", "runs", "updates", "examples used", "train error", "test error", "ended")


def headline(c: Certification) -> str:
    """What was read, in one line."""
    (low, high), (fewer, more) = c.classes, c.counts
    return (
        f"{c.source}: {c.examples:,} examples ({fewer:,} of {low!r} as -1, {more:,} of {high!r} as +1), "
        f"{c.features:,} features"
    )


def answer(c: Certification) -> Iterator[str]:
    """What one wants to know first: separable or not, SGD against its bound, and what is promised for the error."""
    size = f"{c.examples:,} examples, {c.features:,} features"
    subset = c.found.whole.subset
    if subset is None:
        yield f"{c.source} is separable: margin {c.margin:.4g}, |w*| = {c.w_norm:.4g} ({size})"
    else:
        assert c.certificate is not None
        least = "" if subset.smallest else f" (at least {subset.at_least:,} must go)"
        why = "" if c.certificate.kind == "combination" else f": {_certificate(c)}"
        yield f"{c.source} is not separable ({size}){why}; without {len(subset.removed):,} of them it is{least}"
    yield _updates(c)
    yield _error(c)


def _updates(c: Certification) -> str:
    """What SGD needed where there is a bound, beside the bound."""
    part = c.found.sample.subset is not None
    runs = [run for run in c.runs if not (part and run.data == ALL)]
    ended = [run.updates for run in runs if run.outcome == Outcome.CONVERGED]
    going = [run.updates for run in runs if run.outcome != Outcome.CONVERGED]
    said = [f"SGD needed {_range(ended, '{:,}')}"] if ended else []
    if going:
        said.append(f"the budget stopped {len(going)} of {len(runs)} runs, after up to {max(going):,}")
    promised = [g for g in c.guarantees if g.id.startswith("separable/thm2[")]
    bounds = [g.bound for g in promised if g.bound is not None and all(h.holds for h in g.hypotheses)]
    if bounds:
        said.append(f"Theorem 2 allows {_range(bounds, '{:,.0f}' if max(bounds) < 1e9 else '{:.3g}')} at any width")
    else:
        fails = ", ".join({h.name: None for g in promised for h in g.hypotheses if not h.holds})
        said.append(f"Theorem 2 promises nothing{fails and f' (fails: {fails})'}")
    where = f" without {int((~c.found.kept).sum()):,} of the training examples" if part else ""
    return f"updates{where}: {'; '.join(said)}"


def _error(c: Certification) -> str:
    """What was measured, and the least bound below 1 that applies, or why there is none.

    It may be chosen after the fact: all bounds hold at once with probability 1 - delta.
    """
    tested = [run.test_error for run in c.runs if run.test_error is not None]
    measured = f"{_range(tested, '{:.4f}')} on {len(c.found.y_test):,} test examples" if tested else "not measured"
    bounds = [g for g in c.guarantees if about_error(g) and not is_vacuous(g)]
    applies = [g for g in bounds if all(h.holds for h in g.hypotheses)]
    if applies:
        best = min(applies, key=lambda g: g.bound or 0.0)
        promise = f"at most {best.bound:.3g} is promised ({best.id}), with probability {1 - c.options.delta:g}"
        promise += " jointly with the other bounds"
        share = float(np.mean(c.found.y > 0))
        if best.bound is not None and min(share, 1 - share) <= best.bound:
            promise += ", no better than always naming the larger class"
    elif not bounds:
        promise = f"nothing is promised: from {len(c.found.y):,} training examples every bound is 1 or more"
    else:
        fails = [{h.name: h.detail for h in g.hypotheses if not h.holds} for g in bounds]
        common = [name for name in fails[0] if all(name in several for several in fails)] or list(fails[0])
        why = "; ".join(f"{name} ({fails[0][name]})" if fails[0][name] else name for name in common)
        promise = f"nothing is promised: the bounds below 1 ask for {why}"
    return f"error: {measured}; {promise}"


def sentences(c: Certification) -> Iterator[str]:
    """What was done to the data and found out about them, before any bound."""
    yield from c.notes
    yield f"scaling: {c.scaling}"
    if c.separable:
        yield f"separable: margin {c.margin:.6g}, |w*| = {c.w_norm:.6g} (duality gap {c.duality_gap:.2g})"
    else:
        yield f"not separable: {_certificate(c)}"
        yield from _removal(c.found.whole)
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
    updates = sequence_updates(found, c.options)
    if updates is not None:
        yield (
            f"on other data with this |w*|, Theorem 4's sequence, SGD makes {updates:,} updates: no bound in |w*|, "
            "alpha and eta alone is lower"
        )


def _certificate(c: Certification) -> str:
    """The certificate, as a sentence."""
    assert c.certificate is not None
    kind, rows = c.certificate.kind, c.certificate.index + 1
    if kind == "duplicates":
        (i, j), (one, other) = rows, c.certificate.labels
        return f"rows {i} and {j} are the same point with different labels, {one!r} and {other!r}"
    if kind == "opposites":
        return f"rows {rows[0]} and {rows[1]} are opposite points with one label, {c.certificate.labels[0]!r}"
    if kind == "zero":
        return f"row {rows[0]} is the origin, through which every hyperplane goes"
    parts = [
        f"{weight:.4g} x row {row} ({label!r})"
        for row, weight, label in zip(rows[:MOST], c.certificate.weights, c.certificate.labels)
    ]
    more = f" + {len(rows) - MOST} more" if len(rows) > MOST else ""
    return (
        f"with the sign of the label, {' + '.join(parts)}{more} is zero "
        f"(norm {c.certificate.residual:.2g}): no hyperplane has all of them on their right sides"
    )


def _removal(margins: Margins) -> Iterator[str]:
    """How many examples stand in the way."""
    subset = margins.subset
    assert subset is not None
    rows = ", ".join(str(i + 1) for i in subset.removed[:MOST])
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
            if h.name.startswith(("n >= 2 c", "c < n", "no mistake", "SGD reached", "the run's end")):
                continue  # of single runs: the table has them where they fail
            seen.add(h.name)
            if h.name == "linearly separable" and not h.holds:
                h = Hypothesis(h.name, h.holds, "of all examples; of the part above, yes")
            yield _hypothesis(h.name, h.holds, h.detail)
    for h in assumptions():
        yield f"{h.name}: {h.detail}"


def _hypothesis(name: str, holds: bool, detail: str) -> str:
    return f"{name}: {'yes' if holds else 'NO'}" + (f" ({detail})" if detail else "")


def run_cells(runs: Sequence[SgdRun]) -> Iterator[tuple[str, ...]]:
    """One line for each width and what was trained on: ranges over the repeats."""
    groups: dict[tuple[int, str], list[SgdRun]] = {}
    for run in runs:
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
            _range([run.test_error for run in group if run.test_error is not None], "{:.4f}"),
            "all" if ended == len(group) else f"{ended} of {len(group)}",
        )


def _range(values: Sequence[float], form: str) -> str:
    if not values:
        return "-"
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"
