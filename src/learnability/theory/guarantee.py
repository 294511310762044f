"""What a theorem promises, whether it applies here, and what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from learnability.errors import RequestError

__all__ = ["WORDS", "Guarantee", "Hypothesis", "Kind", "Verdict", "counts", "joined", "statement_id"]


def statement_id(statement: str, *case: str) -> str:
    """``study/statement`` with the non-empty parts of the case in brackets, for :attr:`Guarantee.id`."""
    inside = ",".join(filter(None, case))
    return f"{statement}[{inside}]" if inside else statement


def joined(*notes: str) -> str:
    """Notes as one; some of them may be empty."""
    return "; ".join(filter(None, notes))


class Kind(StrEnum):
    """What sort of statement a guarantee is."""

    UPPER_BOUND = "upper_bound"
    """A proved bound from above: measured <= bound."""
    LOWER_BOUND = "lower_bound"
    """A proved bound from below: measured >= bound."""
    EXACT = "exact"
    """An equality: measured = bound, to within the tolerance."""
    THRESHOLD = "threshold"
    """An empirical claim against a stated number; ``direction`` says from which side."""
    TREND = "trend"
    """An empirical claim about how a quantity moves; ``direction`` says from which side of ``bound``."""
    NUMBER = "number"
    """A number that no measurement could confirm or refute: shown without a verdict, ``note`` says why."""


class Verdict(StrEnum):
    """What the measurement says of the guarantee."""

    HOLDS = "holds"
    VIOLATED = "violated"
    OUTSIDE = "outside_hypotheses"
    NOT_MEASURED = "not_measured"
    NUMBER = "number"


WORDS = {
    "holds": "holds",
    "violated": "violated",
    "outside_hypotheses": "outside hypotheses",
    "not_measured": "not measured",
    "number": "no verdict",
}
"""The verdicts as a person says them."""


def counts(verdicts: Iterable[str]) -> str:
    """How many of each verdict, in words."""
    words = list(verdicts)
    said = {**WORDS, "holds": "hold"}
    present = [f"{words.count(verdict)} {said[verdict]}" for verdict in said if verdict in words]
    return ", ".join(present) or "no claims"


@dataclass(frozen=True)
class Hypothesis:
    """One condition of a statement and whether it is met here; ``detail`` shows the values compared."""

    name: str
    holds: bool
    detail: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "holds", bool(self.holds))  # a NumPy comparison is no bool


_SIDE = {Kind.UPPER_BOUND: "at_most", Kind.LOWER_BOUND: "at_least", Kind.EXACT: "equal", Kind.NUMBER: ""}


@dataclass(frozen=True)
class Guarantee:
    """One statement beside its measurement.

    Parameters
    ----------
    id : str
        Stable name, ``study/statement`` with optional case, for instance ``"symmetry/lemma3[parity,n=30]"``.
    source : str
        Paper and place, for instance ``"Nachum & Yehudayoff, Theorem 2"``.
    kind : Kind
        What sort of statement it is.
    bound : float or None
        The number promised (or the threshold stated).
    measured : float or None
        The number observed; ``None`` if nothing was measured, or if it was not finite (then ``note`` says
        so).
    hypotheses : tuple of Hypothesis
        Conditions of the statement. If one fails, the verdict is ``outside_hypotheses`` whatever was
        measured: shown, never counted as a confirmation.
    note : str
        Anything the reader must know: that a bound is vacuous, which constant was used, over how many cases.
    direction : {"at_most", "at_least", "equal"}
        On which side of ``bound`` the measured value must lie. Implied by the proved kinds; for ``threshold``
        and ``trend`` it must be given. A ``number`` has none, no bound and no hypotheses, but a note.
    tolerance : float
        Absolute room for rounding (or the stated tolerance of an equality), >= 0.
    """

    id: str
    source: str
    kind: Kind
    bound: float | None
    measured: float | None = None
    hypotheses: tuple[Hypothesis, ...] = ()
    note: str = ""
    direction: str = field(default="")
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        implied = _SIDE.get(self.kind)
        if implied is not None and self.direction not in ("", implied):
            raise RequestError(f"direction of a {self.kind} must be {implied!r}, got {self.direction!r}")
        direction = implied or self.direction
        if self.kind is Kind.NUMBER:
            if self.bound is not None or self.hypotheses or not self.note.strip():
                raise RequestError(
                    f"a number without a verdict must have a note that says why, no bound and no hypotheses, got "
                    f"note {self.note!r}, bound {self.bound!r} and {len(self.hypotheses)} hypotheses"
                )
        elif direction not in ("at_most", "at_least", "equal"):
            raise RequestError(
                f"direction of a {self.kind} must be 'at_most', 'at_least' or 'equal', got {self.direction!r}"
            )
        object.__setattr__(self, "direction", direction)
        tolerance = float(self.tolerance)
        if not 0 <= tolerance < math.inf:  # with an infinite one nothing could fail
            raise RequestError(f"tolerance must be >= 0 and finite, got {self.tolerance!r}")
        object.__setattr__(self, "tolerance", tolerance)
        for name in ("bound", "measured"):
            value = getattr(self, name)
            if value is None:
                continue
            try:
                value = float(value)
            except OverflowError:  # an integer or a fraction
                value = math.copysign(math.inf, value > 0 or -1)
            if math.isfinite(value):
                object.__setattr__(self, name, value)
            else:  # never silently compared or written: JSON has no inf and no nan
                object.__setattr__(self, name, None)
                object.__setattr__(self, "note", joined(self.note, f"{name} was {value}"))

    def __repr__(self) -> str:
        def number(value: float | None) -> str:
            return "-" if value is None else f"{value:.4g}"

        side = {"at_most": "<=", "at_least": ">=", "equal": "=", "": ""}[self.direction]
        fails = ", ".join(h.name for h in self.hypotheses if not h.holds)
        note = self.note if len(self.note) <= 120 else f"{self.note[:117]}..."
        said = f"measured {number(self.measured)}" + (side and f", bound {side} {number(self.bound)}")
        more = joined(fails and f"fails: {fails}", note)
        return f"Guarantee({self.id!r}: {self.verdict}, {said}{more and f'; {more}'})"

    @property
    def slack(self) -> float | None:
        """By how much the statement holds (negative: by how much it fails), in the units of ``bound``."""
        if self.bound is None or self.measured is None:
            return None
        if self.direction == "at_most":
            return self.bound - self.measured
        if self.direction == "at_least":
            return self.measured - self.bound
        return 0.0 - abs(self.measured - self.bound)  # no negative zero

    @property
    def verdict(self) -> Verdict:
        """``outside_hypotheses`` before anything else, then ``not_measured``, then the comparison.

        That of a ``number`` is ``number``: it is not counted among the statements.
        """
        if self.kind is Kind.NUMBER:
            return Verdict.NUMBER
        if not all(h.holds for h in self.hypotheses):
            return Verdict.OUTSIDE
        slack = self.slack
        if slack is None:
            return Verdict.NOT_MEASURED
        return Verdict.HOLDS if slack >= -self.tolerance else Verdict.VIOLATED

    def measure(self, value: float, note: str = "") -> Guarantee:
        """The same guarantee with a measured value (and, if given, a further note)."""
        return replace(self, measured=float(value), note=joined(self.note, note))

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON, with the keys of the command line's contract."""
        return {
            "id": self.id,
            "source": self.source,
            "kind": str(self.kind),
            "hypotheses": [{"name": h.name, "holds": bool(h.holds), "detail": h.detail} for h in self.hypotheses],
            "bound": self.bound,
            "measured": self.measured,
            "slack": self.slack,
            "verdict": str(self.verdict),
            "note": self.note,
            "direction": self.direction,
            "tolerance": self.tolerance,
        }
