"""A certification on one screen, as Python shows it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from learnability.certification.sentences import RUN_HEADINGS, answer, run_cells
from learnability.certification.statements import applies, is_vacuous
from learnability.theory.guarantee import Verdict, counts

if TYPE_CHECKING:
    from learnability.certification.result import Certification

__all__ = ["screen"]

SCREEN, ACROSS = 24, 100
"""Lines and characters of a screen."""


def screen(c: Certification) -> str:
    """Three sentences, the runs, and the least bound of every kind beside what was measured."""
    answers = [line for said in answer(c) for line in textwrap.wrap(said, ACROSS, subsequent_indent="  ")]
    bounds = ["", *_columns(("bound on", "by", "least", "measured", "verdicts"), *_kinds(c))]
    narrow = [i for i, name in enumerate(RUN_HEADINGS) if name not in ("runs", "train error")]
    runs = ["", *_columns(*([row[i] for i in narrow] for row in (RUN_HEADINGS, *run_cells(c))))]
    room = SCREEN - len(answers) - len(bounds)
    if len(runs) > room:
        runs = [*runs[: max(room - 1, 0)], "..."]
    return "\n".join([*answers, *runs, *bounds])


def _kinds(c: Certification) -> Iterator[tuple[str, ...]]:
    """For each theorem its least bound (of those whose hypotheses hold, if there are any) and all its verdicts."""
    kinds = {
        "separable/cor3": ("updates", "Corollary 3"),
        "separable/thm2": ("updates", "Theorem 2"),
        "separable/thm6": ("error", "Theorem 6"),
        "separable/thm5": ("error", "Theorem 5"),
        "separable/compression": ("error", "its sharper form"),
    }
    for start, (what, name) in kinds.items():
        group = [g for g in c.guarantees if g.id.startswith(start)]
        if group:
            known = [g for g in group if applies(g)] or group
            least = min(known, key=lambda g: math.inf if g.bound is None else g.bound)
            vacuous = sum(g.verdict is Verdict.HOLDS and is_vacuous(g) for g in group)
            verdicts = counts(str(g.verdict) for g in group) + (f", {vacuous} vacuous" if vacuous else "")
            yield what, name, _number(least.bound), _number(least.measured), verdicts
    if c.holdout_bound is not None:
        yield "error", "the test sample itself", _number(c.holdout_bound), _number(c.test_error), ""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if 1000 <= value < 1e9 else f"{value:.4g}"


def _columns(*table: Sequence[str]) -> Iterator[str]:
    """A plain table, its headings first."""
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()[:ACROSS]
