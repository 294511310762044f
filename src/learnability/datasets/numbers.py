"""The one parser of numbers, and how whole numbers beyond 2^53 become float64 without a change.

What a number is, is decided here and nowhere else: digits 0 to 9 with an optional sign, fraction and exponent.
No underscores, no digits of other scripts, no Unicode minus, no hexadecimal. Spaces and tabs around a number are none
of it; a no-break space is no space. Fractions are read to the nearest float64, as any program reads them. A whole
number that float64 cannot hold is kept exactly, as its difference from an offset that its whole column shares.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from learnability import shown
from learnability.checks import FloatArray
from learnability.errors import RequestError

__all__ = ["EXACT", "MISSING", "Bad", "Form", "Numbers", "check_held", "number", "plain"]

EXACT = 2**53
"""Up to here float64 holds every whole number."""

MISSING = frozenset(("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null", "None"))
"""Texts that stand for a missing number."""

TRUTHS = {"true": 1.0, "false": 0.0}
ENDLESS = {"inf", "infinity"}
_SPACES = dict.fromkeys(map(ord, "\u00a0\u202f\u2009"), " ")
CHARACTERS = b"0123456789+-.eE"
WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")


class Form(NamedTuple):
    """How numbers are written."""

    decimal: str = "."
    thousands: str = ""

    def pattern(self) -> re.Pattern[str]:
        """What a number looks like."""
        whole = "[0-9]+"
        if self.thousands:
            whole = f"(?:[0-9]{{1,3}}(?:{re.escape(self.thousands)}[0-9]{{3}})+|[0-9]+)"
        point = re.escape(self.decimal)
        return re.compile(rf"[+-]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?")


PLAIN = Form()


class Bad(NamedTuple):
    """The first value of a block that is no number."""

    row: int
    """From 0, in the block."""
    text: str


def plain(text: str, form: Form) -> str:
    """A field without what stands around it; between thousands a no-break or thin space is a space."""
    return text.translate(_SPACES).strip(" \t") if form.thousands == " " else text.strip(" \t")


def number(text: str, form: Form = PLAIN, pattern: re.Pattern[str] | None = None) -> int | float | None:
    """The number that a text is, whole if it is written so; ``None`` if it is none. Infinity is one."""
    text = plain(text, form)
    if not (pattern or form.pattern()).fullmatch(text):
        bare = text.lower().lstrip("+-")
        return float(text) if bare in ENDLESS and len(text) - len(bare) < 2 else None
    if form.thousands:
        text = text.replace(form.thousands, "")
    text = text.replace(form.decimal, ".")
    if WHOLE.fullmatch(text) and len(text) <= 300:
        return int(text.partition(".")[0])
    return float(text)


def check_held(source: str, block: FloatArray, array: Any, names: Sequence[str]) -> None:
    """Floats of other sizes, (b, width), are what they have become in float64.

    Raises
    ------
    ValueError
        With the first that is not.
    """
    wrong = np.argwhere((block != array) & ~np.isnan(block))
    if len(wrong):
        raise RequestError(
            f"{source} must hold numbers that float64 can hold, got {array[tuple(wrong[0])]!s} in column "
            f"{shown.quoted(names[int(wrong[0][1])], 60)}"
        )


class Numbers:
    """The numbers of a group of columns, block by block."""

    def __init__(self, source: str, names: Sequence[str], form: Form = PLAIN) -> None:
        self.source = source
        self.names = names
        self.offsets: dict[int, int] = {}
        """What has been subtracted from which column."""
        self._form = form
        self._pattern = form.pattern()
        self._plain = form == Form()
        self._truth: bool | None = None  # of a written column: whether it holds true and false

    def written(self, texts: Sequence[str], above: FloatArray) -> FloatArray | Bad:
        """The next b texts of a single column as (b, 1), nan where one is missing; ``above`` are the rows before."""
        if self._plain and self._truth is not True and not self.offsets:
            joined = "".join(texts)
            if joined.isascii() and not joined.encode().translate(None, CHARACTERS):
                try:
                    block = np.array(list(map(float, texts)))
                except ValueError:  # an empty one, or a sign too many
                    pass
                else:
                    self._truth = False
                    if np.abs(block).max(initial=0.0) < EXACT:  # 2^53 + 1 reads as 2^53
                        return block[:, None]
        values: list[int | float | None] = []
        for row, given in enumerate(texts):
            text = given.strip(" \t")
            if text in MISSING:
                values.append(None)
                continue
            value: int | float | None = TRUTHS.get(text.lower())
            truth = value is not None
            if value is None:
                value = number(text, self._form, self._pattern)
            if value is None or (self._truth is not None and truth != self._truth):  # or both in one column
                return Bad(row, text)
            self._truth = truth
            values.append(value)
        return self._column(0, values, above)

    def stored(self, values: Any, above: FloatArray) -> FloatArray:
        """The next rows of numbers as (b, width), nan where one is missing; ``above`` are the rows before.

        Raises
        ------
        ValueError
            If numbers cannot be held by float64, from a common offset neither.
        """
        if isinstance(values, list):
            return self._column(0, values, above)
        values = values.reshape(len(values), -1)
        missing = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
        array = np.asarray(np.ma.getdata(values))
        with np.errstate(invalid="ignore", over="ignore"):  # what is lost is found below, or is no number
            block = np.array(array, dtype=np.float64)
        if missing is not None:
            block[missing] = np.nan
        if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
            for j in np.flatnonzero((np.abs(block) >= EXACT).any(axis=0)).tolist():
                if j not in self.offsets:
                    self._column(j, _listed(array[:, j], missing, j), above)
            for j in self.offsets:
                block[:, j] = self._column(j, _listed(array[:, j], missing, j), above)[:, 0]
        elif array.dtype.kind == "f" and array.dtype.itemsize > 8:
            check_held(self.source, block, array, self.names)
        return block

    def _column(self, j: int, values: Sequence[int | float | None], above: FloatArray) -> FloatArray:
        """One column as (b, 1): as it is where float64 can hold it, otherwise as differences."""
        if j not in self.offsets:
            first = next((v for v in values if isinstance(v, int) and abs(v) > EXACT and not _holds(v)), None)
            if first is None:
                return np.array([np.nan if v is None else float(v) for v in values])[:, None]
            self.offsets[j] = first
            earlier = above[:, j]
            earlier[:] = self._differences(j, [None if np.isnan(v) else float(v) for v in earlier])
        return self._differences(j, values)[:, None]

    def _differences(self, j: int, values: Sequence[int | float | None]) -> FloatArray:
        offset = self.offsets[j]
        found = np.empty(len(values))
        for i, value in enumerate(values):
            if value is None or not np.isfinite(float(value) if isinstance(value, float) else 0.0):
                found[i] = np.nan if value is None else value
                continue
            difference = Fraction(value) - offset
            found[i] = float(difference) if abs(difference) <= EXACT else np.nan
            if np.isnan(found[i]) or Fraction(found[i]) != difference:
                raise RequestError(
                    f"{self.source} must hold whole numbers within 2^53 of each other where they are beyond 2^53 "
                    f"(float64 cannot tell them apart), got {offset} and {value} in column "
                    f"{shown.quoted(self.names[j], 60)}: leave it out (drop), or make categories of it (one_hot)"
                )
        return found


def _holds(value: int) -> bool:
    """Whether float64 can hold a whole number."""
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _listed(column: Any, missing: Any, j: int) -> list[int | None]:
    values: list[int | None] = column.tolist()
    return values if missing is None else [None if gone else v for v, gone in zip(values, missing[:, j], strict=True)]
