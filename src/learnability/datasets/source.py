"""What a reader of files gives: columns in groups, and their rows block by block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from learnability import checks, shown
from learnability.errors import RequestError

__all__ = ["BLOCK", "NUMBER", "OTHER", "TEXT", "WRITTEN", "Group", "Reading", "Source", "Values", "first_line"]

WRITTEN = "written"
"""Text that may read as numbers, for the one parser to decide (:mod:`learnability.datasets.numbers`)."""
NUMBER = "number"
TEXT = "text"
OTHER = "other"

BLOCK = 2**21
"""Numbers in a block of rows that are stored as numbers: 16 MB. Text takes several times as much."""

Values = Any
"""A group's part of a block of b rows.

WRITTEN: b texts. NUMBER: an array (b,) or (b, width) of truth values, integers or floats, masked where values are
missing, or b Python integers (None: missing). TEXT: b texts (None: missing). OTHER: never read.
"""


class Group(NamedTuple):
    """Columns that are stored as one: mostly a single one, or a matrix."""

    names: tuple[str, ...]
    kind: str
    """WRITTEN, NUMBER, TEXT or OTHER."""
    what: str = ""
    """How messages call what is in it if that is no number: "type DATE", "dtype object"."""
    spare: bool = False
    """Left out unless a column of it is the label or categories: an index."""


class Source(Protocol):
    """An open file (or something in memory) that a table can be made of."""

    @property
    def name(self) -> str:
        """As messages call it."""

    @property
    def groups(self) -> Sequence[Group]:
        """All that is there, the label among it."""

    @property
    def rows(self) -> int:
        """How many there are, or more."""

    @property
    def beside(self) -> float:
        """Bytes that reading takes beside the numbers that come of it."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or decided, a sentence each."""

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[Values]]:
        """The rows in order, block by block: one entry for each of the wanted groups, of which one may come twice.

        Raises
        ------
        ValueError
            Which names the file, where it is damaged or not rectangular.
        """


@dataclass(frozen=True)
class Reading:
    """How a file is to be read, beside the name of its label.

    Parameters
    ----------
    drop : tuple of str
        Columns to leave out.
    drop_missing : bool
        Leave out rows in which a value is missing; without it they are an error.
    one_hot : tuple of str
        Columns of categories, each to become one column of 0 and 1 for every value that it has.
    separator : str, optional
        One character between fields, of files of text; by default what fits all lines of a sample.
    header : bool, optional
        Whether the first line has the names; if not, columns are called 1, 2, ... By default it has, unless they are
        numbers, which is refused.
    decimal, thousands : str
        In numbers: "." or "," and nothing, ".", ",", "'" or a space.
    quote : str
        What encloses fields with separators in them: '"', "'" or nothing.

    Raises
    ------
    ValueError
        For values outside these.
    """

    drop: tuple[str, ...] = ()
    drop_missing: bool = False
    one_hot: tuple[str, ...] = ()
    separator: str | None = None
    header: bool | None = None
    decimal: str = "."
    thousands: str = ""
    quote: str = '"'

    def __post_init__(self) -> None:
        for name in ("drop", "one_hot"):
            given = getattr(self, name)
            columns = (given,) if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
            other = [column for column in columns if not isinstance(column, str)]
            if other:
                raise RequestError(f"{name} must name columns, got {other[0]!r}")
            checks.store(self, **{name: columns})
        both = set(self.drop) & set(self.one_hot)
        if both:
            raise RequestError(f"one_hot must name columns that are not dropped, got {sorted(both)[0]!r}")
        for name, value in (("drop_missing", self.drop_missing), ("header", self.header)):
            if not isinstance(value, bool) and (name, value) != ("header", None):
                raise RequestError(f"{name} must be True or False, got {value!r}")
        checks.choice("decimal", self.decimal, (".", ","))
        checks.choice("thousands", self.thousands, ("", ".", ",", "'", " "))
        checks.choice("quote", self.quote, ('"', "'", ""))
        given = self.separator
        # A letter, a digit or what numbers are written with separates nothing.
        if given is not None and (not isinstance(given, str) or not re.fullmatch(r"[^\w\n\r+.\-\"'\0]", given)):
            raise RequestError(f"separator must be one character that no number is written with, got {given!r}")
        if self.thousands == self.decimal:
            raise RequestError(f"thousands must differ from decimal, got {self.thousands!r} for both")
        if given is not None and given in (self.thousands, self.decimal):
            which = "decimal" if given == self.decimal else "thousands"
            raise RequestError(f"separator must differ from {which}, got {given!r} for both")

    @property
    def of_text(self) -> list[str]:
        """Which of the options that only files of text know have been given."""
        plain = Reading()
        names = ("separator", "header", "decimal", "thousands", "quote")
        return [name for name in names if getattr(self, name) != getattr(plain, name)]


def first_line(error: BaseException) -> str:
    """An error of a library, short enough to quote in one line."""
    lines = str(error).strip().splitlines()
    return shown.line(lines[0]) if lines else type(error).__name__
