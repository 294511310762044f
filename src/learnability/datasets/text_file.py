"""Files of text: a line a row, fields between separators, names in the first line.

Python's own ``csv`` splits the lines, strictly and in the dialect that it is given; what a field means is decided by
:mod:`learnability.datasets.numbers`. It needs no more memory than a block of rows however wide the table is, and of
60,000 x 784 numbers it takes a few seconds of a certification's minutes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, Any

from learnability import shown
from learnability.datasets.labels import listed, short
from learnability.datasets.memory import Budget
from learnability.datasets.numbers import MISSING, Form, number
from learnability.datasets.packed import damage, open_packed
from learnability.datasets.source import WRITTEN, Group, Reading, first_line
from learnability.errors import RequestError

__all__ = ["open_source"]

LONGEST = 2**24
"""Characters in a line."""

FIELDS = 2**19
"""In a block: some 40 MB of text."""

COLUMN = 1_500
"""Bytes that are kept for every column."""

SAMPLED = 200
"""Lines from which the separator is guessed."""

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", " ": "space", "|": "bar"}


def open_source(path: Path, reading: Reading, budget: Budget) -> TextSource:
    """What a file of text holds.

    Raises
    ------
    ValueError
        If it is no text in UTF-8, has no header or no rows, or if its separator cannot be told.
    """
    return TextSource(path, reading, budget)


class TextSource:
    """A file of text of which the first lines have been read."""

    def __init__(self, path: Path, reading: Reading, budget: Budget) -> None:
        self.path = path
        self.name = shown.line(path.name)
        self.quote = reading.quote
        sample = self._sample()
        self.separator = reading.separator or self._guessed(sample)
        records = list(islice(self._records(iter(sample), whole=False), SAMPLED))
        if not records:
            raise RequestError(
                f"{self.name} must begin with a line that holds something, got none in {len(sample):,} lines (is a "
                f"quote not closed?); quote says what encloses fields, got {self.quote!r}"
            )
        if sample[0].startswith("#") and len(records) > 1 and len(records[0]) < len(records[1]):
            raise RequestError(
                f"{self.name} must begin with a line of names, got a comment {short(sample[0].strip())}: leave such "
                "lines out"
            )
        first = [field.strip() for field in records[0]]
        below = [line for line in sample if line.strip()][1:]
        self._quoted = bool(self.quote and below) and all(line.lstrip().startswith(self.quote) for line in below)
        self.notes: tuple[str, ...] = ()
        self.header = reading.header is not False
        if not self.header:
            first = [str(j + 1) for j in range(len(first))]
        elif reading.header is None:
            self._check_header(first)
        if self.header and len(records) < 2:
            list(islice(self._records(iter(sample)), 2))  # what is wrong with the next line, if there is one
            raise RequestError(f"{self.name} must have at least one row below its header, got none")
        self.width, self.skipped, self.ended = len(first), 0, False
        if self.header:
            first = self._without_nameless(first, records[1:])
        self.groups: Sequence[Group] = [Group((name,), WRITTEN) for name in first]
        self.rows = self._lines(budget)
        self.beside = 100.0 * FIELDS + COLUMN * self.width

    def _without_nameless(self, names: list[str], rows: list[list[str]]) -> list[str]:
        """The names of what is used: no index, no names of rows, no empty field behind the last separator."""
        longer = {len(row) for row in rows} == {len(names) + 1}
        if (longer or not names[-1]) and not any(row[-1].strip() for row in rows):
            self.width, self.ended = len(rows[0]), True
            names = names if longer else names[:-1]
        elif longer and (self._quoted or _name_rows([row[0].strip() for row in rows])):
            self.width, self.skipped = len(rows[0]), 1
            self.notes = ("left out the names of the rows, for which the header has no name",)
        if names and not names[0] and not self.skipped:
            self.skipped, names = 1, names[1:]
            self.notes = ("left out the first column, which has no name: an index",)
        return names

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[Any]]:
        """The wanted columns, as texts."""
        with damage(self.name), open_packed(self.path) as stream:
            records = self._records(self._text(stream))
            if self.header:
                next(records)
            most, above = max(1, FIELDS // self.width), 0
            while rows := self._block(records, most):
                if set(map(len, rows)) != {self.width}:
                    row = next(k for k, record in enumerate(rows) if len(record) != self.width)
                    raise RequestError(
                        f"{self.name} must have {self.width:,} field{'s' * (self.width > 1)} in every row, got "
                        f"{len(rows[row]):,} in row "
                        f"{above + row + 1:,} (separated by {SEPARATORS.get(self.separator, repr(self.separator))})"
                    )
                columns = list(zip(*rows, strict=True))
                if self.ended and any(map(str.strip, columns[-1])):
                    row = next(k for k, text in enumerate(columns[-1]) if text.strip())
                    raise RequestError(
                        f"{self.name} must have nothing behind the last separator of every row, as in its first "
                        f"ones, got {short(columns[-1][row])} in row {above + row + 1:,}"
                    )
                yield [columns[j + self.skipped] for j in wanted]
                above += len(rows)

    @staticmethod
    def _block(records: Iterator[list[str]], most: int) -> list[list[str]]:
        """The next rows: ``most`` of them, or fewer if they are long."""
        rows: list[list[str]] = []
        room = 4 * LONGEST
        for record in records:
            rows.append(record)
            room -= sum(map(len, record)) if len(record) < 16 else 0  # of many fields few can be long
            if len(rows) == most or room < 0:
                break
        return rows

    def _sample(self) -> list[str]:
        """The first lines."""
        with damage(self.name), open_packed(self.path) as stream:
            lines, size = [], 0
            for line in self._text(stream):
                size += len(line)
                if line.strip():
                    lines.append(line)
                if len(lines) > 2 * SAMPLED or size > LONGEST:
                    break
        if not lines:
            raise RequestError(f"{self.name} must hold a header and rows, got an empty file")
        return lines

    def _text(self, stream: IO[bytes]) -> Iterator[str]:
        """Lines with their ends, none of them too long."""
        try:
            with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
                while line := text.readline(LONGEST):
                    if len(line) == LONGEST and line[-1] not in "\r\n":
                        raise RequestError(
                            f"{self.name} must have lines of at most {LONGEST:,} characters, got a longer one"
                        )
                    yield line
        except UnicodeDecodeError as error:
            begins = error.object[:2] if error.start < 2 else b""
            what = {
                b"\x1f\x8b": ": it is compressed, call it .gz",
                b"\xff\xfe": ": it is UTF-16",
                b"\xfe\xff": ": it is UTF-16",
            }
            raise RequestError(
                f"{self.name} must be text in UTF-8 (save it as that), got the byte "
                f"{error.object[error.start]:#04x}{what.get(bytes(begins), '')}"
            ) from None

    def _records(
        self, lines: Iterator[str], separator: str | None = None, *, whole: bool = True
    ) -> Iterator[list[str]]:
        """Lines, split into fields; blank ones left out.

        Raises
        ------
        ValueError
            If quotes are not closed or stand where they cannot, unless the last line was cut (not ``whole``).
        """
        separator = separator or self.separator
        if separator == " ":
            lines = (line.rstrip(" \r\n") + "\n" for line in lines)
        quoting: Any = {"quotechar": self.quote} if self.quote else {"quoting": csv.QUOTE_NONE, "quotechar": None}
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True, **quoting)
        try:
            for record in iter(lambda: _next(reader), None):
                if len(record) > 1 or (record and record[0].strip()):
                    yield record
        except csv.Error as error:
            if whole or "unexpected end of data" not in str(error):
                raise RequestError(
                    f"{self.name} cannot be read as text in columns ({first_line(error)} in line "
                    f"{reader.line_num:,}); quote says what encloses fields, got {self.quote!r}"
                ) from error

    def _guessed(self, sample: list[str]) -> str:
        """The separator that splits all lines alike; of several the one that leaves the most numbers."""
        scores: dict[str, tuple[bool, int, int]] = {}
        failed: ValueError | None = None
        for separator in SEPARATORS:
            try:
                records = list(islice(self._records(iter(sample), separator, whole=False), SAMPLED))
            except ValueError as error:
                failed = failed or error
                continue
            widths = [len(record) for record in records]
            usual = max({*widths}, key=widths.count, default=0)
            if usual < 2:
                continue
            alike = widths.count(usual) + (widths[0] == usual - 1)
            fields = [field for record in records[1:50] for field in record[:1_000]]
            scores[separator] = alike == len(widths), sum(map(_numeric, fields)), alike
        if not scores and failed:
            raise failed
        if not scores:
            names = ", ".join(SEPARATORS.values())
            raise RequestError(
                f"{self.name} must have two columns at least, got lines that no {names} separates: separator says "
                "what does"
            )
        if len(scores) > 1 and any(alike for alike, *_ in (score for s, score in scores.items() if s != " ")):
            scores.pop(" ", None)  # blanks stand beside separators, too
        best = max(scores.values())
        found = [separator for separator, score in scores.items() if score == best]
        if len(found) > 1:
            raise RequestError(
                f"{self.name} can be split at each {' and at each '.join(SEPARATORS[s] for s in found)}: separator "
                "says which it is"
            )
        return found[0]

    def _check_header(self, names: list[str]) -> None:
        """Names that are numbers are probably the first example."""
        numbers = [number(name) for name in names]
        read = [value for value in numbers if value is not None]
        fractions = any(isinstance(value, float) for value in read)
        steps = {after - before for before, after in pairwise(read)}
        counted = steps == {1} or (len(read) > 2 and len(steps) == 1)  # years, or the columns of a matrix
        if len(read) == len(names) or (2 * len(read) > len(names) and (fractions or not counted)):
            raise RequestError(
                f"{self.name} must begin with a line of names, got numbers ({listed(names, 4)}): header says whether "
                "the first line has names all the same; without a header columns are called 1, 2, ..."
            )

    def _lines(self, budget: Budget) -> int:
        """How many lines there are: at least as many as rows."""
        lines = 0
        with damage(self.name), open_packed(self.path) as stream:
            while block := stream.read(2**20):
                lines += block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n")
                budget.check(self.name, lines, len(self.groups), about=True)
        return lines + 1


def _next(reader: Any) -> list[str] | None:
    """The next record, of which a field may be as long as a line; the limit of others' readers is left as it is."""
    limit = csv.field_size_limit(LONGEST)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(limit)


def _name_rows(fields: list[str]) -> bool:
    """Whether the first fields of rows are what R writes before them: names, or 1, 2, 3, ..."""
    numbered = fields == [str(k) for k in range(1, len(fields) + 1)]
    return numbered or (len({*fields}) == len(fields) and not any(map(_numeric, fields)))


def _numeric(field: str) -> bool:
    """Whether a field is a number in some way of writing."""
    return field.strip() in MISSING or number(field) is not None or number(field, Form(",", ".")) is not None
