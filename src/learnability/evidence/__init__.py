"""From a table to a verdict: rows, intervals, and the one rule by which a claim holds, fails or cannot be told."""

from learnability.evidence.claims import Claims, claim, decide, judged
from learnability.evidence.intervals import Interval, at_all, every, exponent, extreme, mean, share, slope
from learnability.evidence.tables import by, last, pick, values

__all__ = [
    "Claims", "Interval", "at_all", "by", "claim", "decide", "every", "exponent", "extreme", "judged", "last", "mean",
    "pick", "share", "slope", "values",
]  # fmt: skip
