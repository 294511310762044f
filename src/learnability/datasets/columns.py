"""What the readers of tables have in common: names, numbers and the label column, checked block by block."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray

__all__ = ["MISSING", "Labels", "Raw", "blocks", "check_finite", "check_names", "first_line", "listed", "not_numbers"]

MISSING = frozenset(("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null", "None"))
"""Texts that stand for a missing number."""

MANY = 50
"""Label values after which reading stops: it is not a column of two."""


class Raw(NamedTuple):
    """A table as it is in its file."""

    X: FloatArray
    """(m, d), C-contiguous, finite; the caller's own."""
    labels: Labels
    names: list[str]
    """(d,)"""


def listed(items: Sequence[object], most: int = 8) -> str:
    """The first few of the items, and how many more there are."""
    shown = ", ".join(repr(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most:,} more"


def first_line(error: BaseException) -> str:
    """An error of a library, short enough to quote in one line."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def check_names(source: str, names: Sequence[str], label: str) -> None:
    """Every column has a name of its own, the label is one of them, and there is another.

    Raises
    ------
    ValueError
        Which says what columns there are if the label is not among them.
    """
    nameless = [j + 1 for j, name in enumerate(names) if not name]
    if nameless:
        raise ValueError(f"{source} must name every column, got none for column {nameless[0]} (an index, perhaps?)")
    seen: set[str] = set()
    twice = [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    if twice:
        raise ValueError(
            f"{source} must name every column differently, got {listed(list(dict.fromkeys(twice)))} twice"
        )
    if label not in seen:
        close = difflib.get_close_matches(label, names, 1, 0.75)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{source} has no column {label!r} for the label, only {listed(names)}{hint}")
    if len(names) == 1:
        raise ValueError(f"{source} must have a feature column beside the label {label!r}, got none")


def not_numbers(source: str, columns: Sequence[tuple[str, str]]) -> ValueError:
    """The error for columns that hold something else, given as pairs of name and what was found."""
    which = ", ".join(f"{name!r} ({found})" for name, found in columns[:8])
    more = f" and {len(columns) - 8:,} more" if len(columns) > 8 else ""
    return ValueError(
        f"{source} must hold numbers in every column but the label's, got other values in {which}{more}: "
        "leave these columns out or turn them into numbers"
    )


def check_finite(source: str, block: FloatArray, names: Sequence[str], above: int) -> None:
    """No value of the block (rows ``above`` + 1 and following) is missing or infinite.

    Raises
    ------
    ValueError
        With the column and the row of the first.
    """
    bad = np.argwhere(~np.isfinite(block))
    if len(bad):
        row, column = (int(k) for k in bad[0])
        value = block[row, column]
        what = "missing (or not a number)" if math.isnan(value) else f"{value:g}"
        raise ValueError(
            f"{source} must hold finite numbers, got one that is {what} in column {names[column]!r}, "
            f"row {above + row + 1}"
        )


class Labels:
    """The label column, block by block: which values there are, and which of them each row has."""

    def __init__(self, source: str, name: str) -> None:
        self.source = source
        self.name = name
        self.rows = 0
        self._codes: dict[object, int] = {}
        self._blocks: list[NDArray[np.int16]] = []

    def add(self, values: Any) -> None:
        """The next rows: a one-dimensional array of numbers, truth values or text (``None`` and nan: missing).

        Raises
        ------
        ValueError
            If a value is missing, or there are far too many different ones.
        """
        import pandas as pd

        missing = np.flatnonzero(pd.isna(values))
        if len(missing):
            self._missing(self.rows + int(missing[0]))
        codes, distinct = pd.factorize(values)
        new = [self._codes.setdefault(getattr(v, "item", lambda v=v: v)(), len(self._codes)) for v in distinct]
        if len(self._codes) > MANY:
            raise ValueError(
                f"{self.source} must hold exactly two values in the label column {self.name!r}, "
                f"got more than {MANY}: {listed(list(self._codes), 4)}"
            )
        self._blocks.append(np.asarray(new, dtype=np.int16)[codes])
        self.rows += len(codes)

    def _missing(self, row: int) -> None:
        raise ValueError(
            f"{self.source} must give every row a label, got none in column {self.name!r}, row {row + 1}"
        )

    def finish(self, positive: object = None, *, numbers: bool = False) -> tuple[FloatArray, tuple[object, object]]:
        """The labels -1 and +1, and what they stand for.

        Parameters
        ----------
        positive : optional
            The value that is +1, by default the larger one (of texts the last in alphabetical order).
        numbers : bool
            Whether text that reads as numbers is numbers: in CSV files, where everything is text.

        Raises
        ------
        ValueError
            If there are not exactly two values, or ``positive`` is none of them.
        """
        codes = np.concatenate(self._blocks)
        values = [int(v) if isinstance(v, float) and v.is_integer() else v for v in self._codes]  # 1, not 1.0
        if numbers:
            as_numbers = [_number(v) for v in values]
            unreadable = [v for v, n in zip(values, as_numbers, strict=True) if n is None]
            if not unreadable:
                values = as_numbers
            elif len(unreadable) < len(values) and MISSING.issuperset(unreadable):
                self._missing(int(np.flatnonzero(codes == values.index(unreadable[0]))[0]))
        merged: dict[Any, int] = {}
        same = np.array([merged.setdefault(v, len(merged)) for v in values])  # "1" and "1.0" are one number
        counts = np.bincount(same[codes], minlength=len(merged))
        if len(merged) != 2:
            by_size = sorted(zip(merged, counts, strict=True), key=lambda pair: -pair[1])
            what = ", ".join(f"{v!r} ({n:,} row{'s' if n != 1 else ''})" for v, n in by_size[:6])
            more = f" and {len(merged) - 6} more" if len(merged) > 6 else ""
            raise ValueError(
                f"{self.source} must hold exactly two values in the label column {self.name!r}, "
                f"got {len(merged)}: {what}{more}"
            )
        low, high = sorted(merged)
        if positive is not None:
            matching = [v for v in (low, high) if _equal(v, positive)]
            if len(matching) != 1:
                raise ValueError(f"positive must be one of the label values {low!r} and {high!r}, got {positive!r}")
            if matching[0] == low:
                low, high = high, low
        signs = np.where(np.arange(2) == merged[high], 1.0, -1.0)
        return signs[same][codes], (low, high)


def _number(value: object) -> object:
    """The finite number that a text reads as, whole if it is; None if it reads as none."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number


def _equal(value: object, wanted: object) -> bool:
    """Whether a label value is the one asked for, which a command line can only give as text."""
    if isinstance(value, str | bool):
        return str(value) == str(wanted)
    return _number(wanted) == value


def blocks(rows: int, features: int, size: int = 2**21) -> Iterable[tuple[int, int]]:
    """Bounds of consecutive blocks of rows, about 16 MB of float64 each."""
    step = max(1, size // max(features, 1))
    return ((low, min(low + step, rows)) for low in range(0, rows, step))
