"""What runs over seeds say of a number: an estimate and the interval that it is known to lie in.

Means have Student's interval, shares Clopper and Pearson's, slopes that of linear regression, all at 95 % unless said
otherwise. A claim that compares several things gives ``comparisons``, and each gets its part of the 5 % (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

__all__ = [
    "Interval", "at_all", "every", "exponent", "exponents", "extreme", "half_width", "mean", "share", "slope",
    "summarised",
]  # fmt: skip

LEVEL = 0.95
MOST_SEEDS = 10**6
"""More seeds than this are not proposed to anybody."""


@dataclass(frozen=True)
class Interval:
    """An estimate from runs, and the confidence interval of what it estimates.

    Parameters
    ----------
    estimate : float
        The point estimate.
    low, high : float
        Limits of the interval; NaN where there are too few runs for one.
    count : int
        Runs (seeds) that it rests on.
    what : str
        Name of the estimate in a note, for instance ``"mean"``.
    limits_at : callable (count) -> (low, high), optional
        The limits if that many runs had given the same estimate and spread: to reckon how many would decide.
    unit : str
        What is counted, in the plural.
    level : float
        Confidence, in (0, 1), of all comparisons of the claim together.
    observed : bool
        Whether it is a refutation that was seen, which stands however few the runs.
    """

    estimate: float
    low: float
    high: float
    count: int
    what: str = "mean"
    limits_at: Callable[[int], tuple[float, float]] | None = field(default=None, compare=False, repr=False)
    unit: str = "seeds"
    level: float = LEVEL
    observed: bool = False

    def mapped(self, function: Callable[[float], float], what: str) -> Interval:
        """The interval of an increasing function of the number."""
        at = self.limits_at
        return replace(
            self,
            estimate=function(self.estimate),
            low=function(self.low),
            high=function(self.high),
            what=what,
            limits_at=None if at is None else lambda n: (function(at(n)[0]), function(at(n)[1])),
        )

    def distance(self, centre: float = 0.0) -> Interval:
        """The interval of the number's distance from ``centre``: for claims that two things are equal to within a
        room.
        """

        def folded(low: float, high: float) -> tuple[float, float]:
            if not low <= high:
                return math.nan, math.nan
            near = 0.0 if low <= centre <= high else min(abs(low - centre), abs(high - centre))
            return near, max(abs(low - centre), abs(high - centre))

        at = self.limits_at
        low, high = folded(self.low, self.high)
        return replace(
            self,
            estimate=abs(self.estimate - centre),
            low=low,
            high=high,
            what=f"distance of the {self.what} from {centre:g}" if centre else f"size of the {self.what}",
            limits_at=None if at is None else lambda n: folded(*at(n)),
        )

    def __str__(self) -> str:
        if not self.count:
            return f"no {self.unit}"
        over = f"over {self.count} {self.unit if self.count > 1 else self.unit.removesuffix('s')}"
        if not self.low <= self.high or self.low == self.high == self.estimate:
            return f"{self.what} {self.estimate:.4g} {over}"
        limits = f"{100 * self.level:g} % interval {self.low:.4g} to {self.high:.4g}"
        return f"{self.what} {self.estimate:.4g}, {limits} {over}"


def half_width(values: Any, level: float = LEVEL) -> float:
    """Half-width of Student's confidence interval for the mean; NaN for fewer than two values."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return math.nan
    return _student(len(values), level) * float(values.std(ddof=1)) / math.sqrt(len(values))


def _student(count: int, level: float, *, used: int = 1) -> float:
    from scipy.special import stdtrit  # Student's quantile; scipy.stats would load 60 MB

    return float(stdtrit(count - used, 0.5 + level / 2))


def mean(values: Any, *, comparisons: int = 1, what: str = "mean", unit: str = "seeds") -> Interval:
    """Student's interval for the mean of values, one a seed.

    Parameters
    ----------
    values : array_like of float
        A NaN among them makes the mean unknown.
    comparisons : int
        How many intervals the claim looks at, >= 1.
    """
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        return Interval(math.nan, math.nan, math.nan, 0, what, unit=unit)
    centre = float(values.mean())
    spread = float(values.std(ddof=1)) if len(values) > 1 and np.isfinite(values).all() else math.nan
    if np.isfinite(values).all() and values.min() == values.max():  # the sums of equal numbers would be rounded
        centre, spread = float(values[0]), 0.0 if len(values) > 1 else math.nan
    return summarised(centre, spread, len(values), comparisons=comparisons, what=what, unit=unit)


def summarised(
    centre: float, spread: float, count: int, *, comparisons: int = 1, what: str = "mean", unit: str = "seeds"
) -> Interval:
    """:func:`mean` of values of which only the mean, the standard deviation and the number are known."""
    if count < 2:
        return Interval(centre, math.nan, math.nan, count, what, unit=unit)
    level = 1 - (1 - LEVEL) / comparisons

    def limits(n: int) -> tuple[float, float]:
        half = _student(n, level) * spread / math.sqrt(n)
        return centre - half, centre + half

    return Interval(centre, *limits(count), count, what, limits, unit)


def share(flags: Any, *, comparisons: int = 1, what: str = "share", unit: str = "runs") -> Interval:
    """Clopper and Pearson's interval for the share of runs that have a property; a NaN makes it unknown."""
    known = ~np.isnan(np.asarray(flags, dtype=float))
    if not known.all():
        return Interval(math.nan, math.nan, math.nan, len(known), what, unit=unit)
    flags = np.asarray(flags, dtype=bool)
    count, part = len(flags), float(flags.mean()) if len(flags) else math.nan
    if count == 0:
        return Interval(math.nan, math.nan, math.nan, 0, what, unit=unit)
    tail = (1 - LEVEL) / comparisons / 2

    def limits(n: int) -> tuple[float, float]:
        from scipy.special import betaincinv

        k = part * n
        low = 0.0 if k <= 0 else float(betaincinv(k, n - k + 1, tail))
        high = 1.0 if k >= n else float(betaincinv(k + 1, n - k, 1 - tail))
        return low, high

    return Interval(part, *limits(count), count, what, limits, unit)


def every(flags: Any, *, unit: str = "runs") -> Interval:
    """For a claim about every run, against a bound of 1: one run refutes it.

    If none does, the note says how large the share of such runs is known to be; a NaN then makes it unknown.
    """
    values = np.asarray(flags, dtype=float)
    known = share(flags, unit=unit)
    part = known.estimate
    if len(values) and (values == 0).any():
        part = float((values == 1).mean())
    elif part != part:
        return known
    flags = values
    if part < 1:  # an observation, not an estimate: however few the runs, this one is there
        return Interval(part, part, part, len(flags), "share of those seen", unit=unit, observed=True)
    what = f"share of those seen (so with 95 % confidence at least {known.low:.2f} of all)"
    return Interval(1.0, 1.0, 1.0, len(flags), what, unit=unit)


def extreme(values: Any, bound: float, direction: str, *, unit: str = "runs") -> Interval:
    """:func:`every` with the claim's own bound: the run nearest to the other side of it speaks for all.

    Parameters
    ----------
    values : array_like of float
        One a run; a NaN among them makes the extreme unknown, unless another refutes the claim.
    bound, direction
        Of the claim.
    """
    values = np.asarray(values, dtype=float)
    most = direction == "at_most"
    flags = np.where(np.isnan(values), math.nan, values <= bound if most else values >= bound)
    kept, worst = every(flags, unit=unit), math.nan
    if kept.observed or kept.estimate == kept.estimate:
        worst = float(np.nanmax(values) if most else np.nanmin(values))
    what = "largest of all" if most else "least of all"
    if kept.estimate == 1:
        what += f" (so with 95 % confidence a share of at least {share(flags).low:.2f} keeps to the bound)"
    return replace(kept, estimate=worst, low=worst, high=worst, what=what)


LEAST = 3
"""Fewer seeds than this measure nothing."""


def slope(x: Any, z: Any, *, comparisons: int = 1, what: str = "slope", unit: str = "runs") -> Interval:
    """The interval of a regression line's slope; no limits for fewer than three points, none for one abscissa."""
    x, z = np.asarray(x, dtype=float), np.asarray(z, dtype=float)
    count = len(x)
    centred = x - x.mean() if count else x
    spread = float(centred @ centred)
    if spread == 0:
        return Interval(math.nan, math.nan, math.nan, count, what, unit=unit)
    found = float(centred @ z) / spread
    if count < 3:
        return Interval(found, math.nan, math.nan, count, what, unit=unit)
    rest = z - z.mean() - found * centred
    deviation = math.sqrt(float(rest @ rest) / (count - 2) / (spread / count))
    level = 1 - (1 - LEVEL) / comparisons

    def limits(n: int) -> tuple[float, float]:
        half = _student(n, level, used=2) * deviation / math.sqrt(n)
        return found - half, found + half

    return Interval(found, *limits(count), count, what, limits, unit)


def exponent(x: Any, y: Any, *, what: str = "exponent", **options: Any) -> Interval:
    """The power of x that y grows like: :func:`slope` of the logarithms; unknown if one is not positive."""
    x, y = (np.asarray(numbers, dtype=float) for numbers in (x, y))
    logs = (np.log(np.where(numbers > 0, numbers, math.nan)) for numbers in (x, y))
    return slope(*logs, what=what, **options)


def exponents(x: Any, curves: Any, *, unit: str = "seeds") -> Interval:
    """The mean over seeds of :func:`exponent` of each one's curve: ``curves`` is (seeds, points)."""
    found = [exponent(x, curve).estimate for curve in np.asarray(curves, dtype=float)]
    return mean(found, what="mean exponent", unit=unit)


def at_all(intervals: Iterable[Interval], direction: str, what: str = "") -> Interval:
    """Several intervals as one, for a claim about all of them: the worst for it.

    ``direction`` is the claim's: with ``"at_most"`` its number is the largest of theirs, with ``"at_least"`` the
    smallest. Give each the ``comparisons``.
    """
    found = list(intervals)
    open_ = [one for one in found if not one.low <= one.high]
    few = min((one.count for one in found), default=0)
    if len(open_) == len(found):
        return Interval(math.nan, math.nan, math.nan, few, what or "worst")
    if open_:  # they may hide something worse, but not that another is bad enough
        seen = at_all([one for one in found if one.low <= one.high], direction, what)
        far = math.inf if direction == "at_most" else -math.inf
        return replace(seen, low=min(seen.low, far), high=max(seen.high, far), count=few, limits_at=None)
    choose = max if direction == "at_most" else min
    ats = [one.limits_at for one in found]

    def limits(n: int) -> tuple[float, float]:
        pairs = [at(n) if at is not None else (one.low, one.high) for at, one in zip(ats, found, strict=True)]
        return choose(low for low, _ in pairs), choose(high for _, high in pairs)

    worst = choose(found, key=lambda one: one.estimate)
    low, high = choose(one.low for one in found), choose(one.high for one in found)
    return Interval(worst.estimate, low, high, few, what or worst.what, limits, worst.unit)
