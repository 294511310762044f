"""Many cases of one statement as one guarantee: the case nearest to failing speaks for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from learnability.errors import RequestError
from learnability.theory.guarantee import Guarantee, Verdict, joined

__all__ = ["tightest"]

_URGENCY = {Verdict.VIOLATED: 0, Verdict.NOT_MEASURED: 1, Verdict.OUTSIDE: 2, Verdict.HOLDS: 3, Verdict.NUMBER: 4}


def tightest(identity: str, cases: Sequence[Guarantee], note: str = "") -> Guarantee:
    """The case with the worst verdict, among those the least slack relative to its bound, and then the largest bound.

    Of cases that are attained with equality the one with the largest bound says most; the note has their number.

    Parameters
    ----------
    identity : str
        Id of the result.
    cases : sequence of Guarantee
        At least one; their ids name them in the note.
    note : str
        What varied over the cases.
    """
    if not cases:
        raise RequestError(f"cases of {identity} must hold at least one guarantee, got none")

    def rank(case: Guarantee) -> tuple[int, float, float]:
        slack = float("inf") if case.slack is None or case.bound is None else case.slack
        relative = slack / abs(case.bound) if case.bound else slack
        return _URGENCY[case.verdict], relative, -abs(case.bound or 0.0)

    worst = min(cases, key=rank)
    where = worst.id.partition("[")[2].rstrip("]")
    counted = where
    if len(cases) > 1:
        attained = [c.verdict is Verdict.HOLDS and c.slack == 0 and c.direction != "equal" for c in (worst, *cases)]
        shown, equal = attained[0], sum(attained[1:])
        which = f"{equal} of them with equality" if equal else ""
        at = f"{'the largest such bound' if shown else 'least relative slack'} at {where}"
        counted = ", ".join(filter(None, [f"{len(cases)} cases", which, at]))
    return replace(worst, id=identity, note=joined(note, counted, worst.note))
