"""The one rule by which what runs show becomes a verdict, and the form of a paper's claims.

A claim on what varies from seed to seed *holds* if the whole confidence interval is on its side of the bound, is
*violated* if the whole interval is on the other side, and otherwise is *not measured*: too wide to tell, with the
number of seeds that would decide if they went on as these. Fewer than three seeds measure nothing, except that one
run refutes a claim about every run. What is measured, in the guarantee, is the limit of the interval that decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from learnability.errors import RequestError
from learnability.evidence.intervals import LEAST, MOST_SEEDS, Interval
from learnability.theory import Guarantee, Kind
from learnability.theory.guarantee import joined

__all__ = ["Claims", "claim", "decide", "judged", "seeds_to_decide"]


def decide(interval: Interval, bound: float, direction: str) -> tuple[float | None, str]:
    """The rule: the limit of the interval that decides, or None, and what to say of it.

    Parameters
    ----------
    interval : Interval
        What the runs say.
    bound : float
        The number claimed.
    direction : {"at_most", "at_least"}
        On which side of it the number is claimed to lie.
    """
    if direction not in ("at_most", "at_least"):
        raise RequestError(f"direction must be 'at_most' or 'at_least', got {direction!r}")
    if interval.count < LEAST and not interval.observed:
        return None, f"{interval}: at least {LEAST} {interval.unit} are needed"
    if not interval.low <= interval.high:
        return None, f"{interval}: no interval"
    side = _side(interval.low, interval.high, bound, direction)
    if side is None:
        return None, f"{interval}: too wide to tell{_more(interval, bound, direction)}"
    far = interval.high if (direction == "at_most") == side else interval.low
    return far, str(interval)


def _side(low: float, high: float, bound: float, direction: str) -> bool | None:
    """Whether the whole interval is on the claim's side (True), on the other (False), or neither."""
    if direction == "at_most":
        return True if high <= bound else False if low > bound else None
    return True if low >= bound else False if high < bound else None


def _more(interval: Interval, bound: float, direction: str) -> str:
    needed = seeds_to_decide(interval, bound, direction)
    if needed is None:
        return f"; more than {MOST_SEEDS:,} {interval.unit} like these would be needed"
    return f"; about {needed:,} {interval.unit} like these would decide"


def seeds_to_decide(interval: Interval, bound: float, direction: str) -> int | None:
    """How many runs with this estimate and spread would decide; None if more than a million or unknown."""
    at = interval.limits_at
    if at is None:
        return None

    def decided(count: int) -> bool:
        return _side(*at(count), bound, direction) is not None

    high = max(interval.count, LEAST)
    while not decided(high):
        high *= 2
        if high > MOST_SEEDS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def judged(guarantee: Guarantee, interval: Interval) -> Guarantee:
    """The guarantee with what the runs say of its number, by the rule: for what a theorem promises of a mean."""
    if guarantee.bound is None:
        raise RequestError(f"{guarantee.id} must have a bound to judge an interval by, got None")
    measured, said = decide(interval, guarantee.bound, guarantee.direction)
    return replace(guarantee, measured=measured, note=joined(guarantee.note, said))


@dataclass(frozen=True)
class Claims:
    """A function that makes the empirical claims of one paper.

    Parameters
    ----------
    study : str
        First part of the ids.
    paper : str
        First part of the sources.
    """

    study: str
    paper: str

    def __call__(
        self,
        id: str,
        where: str,
        bound: float | None,
        measured: Interval | float | None,
        direction: str,
        note: str = "",
        kind: Kind = Kind.THRESHOLD,
        **more: Any,
    ) -> Guarantee:
        """An empirical claim: id ``<study>/<id>``, source ``<paper>, <where>``.

        ``measured`` is an :class:`~learnability.evidence.intervals.Interval` of what varies from seed to seed, judged
        by the rule (:func:`decide`), or a number that does not vary: a deterministic quantity, compared as it is.
        Further arguments are those of :class:`~learnability.theory.Guarantee`.
        """
        return claim(
            f"{self.study}/{id}", bound, measured, direction, note, source=f"{self.paper}, {where}", kind=kind, **more
        )


def claim(
    id: str,
    bound: float | None,
    measured: Interval | float | None,
    direction: str,
    note: str = "",
    *,
    source: str = "",
    kind: Kind = Kind.THRESHOLD,
    **more: Any,
) -> Guarantee:
    """A claim of your own: that something lies on one side of a bound.

    Parameters
    ----------
    id : str
        Its name within the experiment, whose id is put in front of it.
    bound : float or None
        The number claimed.
    measured : Interval, float or None
        What varies from seed to seed, as an :class:`~learnability.evidence.intervals.Interval` (``mean``, ``share``,
        ``every``, ``slope``, ...), judged by the rule (:func:`decide`); or a number that does not vary.
    direction : {"at_most", "at_least", "equal"}
        On which side of the bound (``equal``, within ``tolerance``, for numbers only).
    note : str
        What was measured, in words.
    source : str
        Where it is claimed; the experiment's source if not given.
    kind : Kind
        What sort of statement it is.
    **more
        Further arguments of :class:`~learnability.theory.Guarantee`.
    """
    number = None if isinstance(measured, Interval) else measured
    made = Guarantee(
        id=id, source=source, kind=kind, bound=bound, measured=number, direction=direction, note=note, **more
    )
    return judged(made, measured) if isinstance(measured, Interval) else made
