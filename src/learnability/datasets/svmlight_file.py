"""Files in the format of LIBSVM and SVMlight: a line an example, with ``index:value`` for what is not zero.

The label comes first, and what follows a ``#`` is a comment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from learnability import shown
from learnability.checks import FloatArray
from learnability.datasets.labels import short
from learnability.datasets.memory import Budget
from learnability.datasets.numbers import CHARACTERS, EXACT, MISSING, number
from learnability.datasets.packed import damage, open_packed
from learnability.datasets.source import NUMBER, WRITTEN, Group, Reading
from learnability.errors import RequestError

__all__ = ["LABEL", "open_source"]

LABEL = "label"
"""What the first column is called."""

LONGEST = 2**24
"""Bytes in a line."""

NUMBERS = 2**18
"""In a block, or those of a single row."""

FIELD = 200.0
"""Bytes of one while it is text."""

NAME = 100.0
"""Bytes of a column's name."""

DIGITS = 18
"""Of an index, at most."""


def open_source(path: Path, reading: Reading, budget: Budget) -> SvmlightSource:
    """What a file in this format holds: a column called "label", and the columns by their indices.

    Indices begin with 1 or, if 0 is among them, with 0.

    Raises
    ------
    ValueError
        If a line is none of an example, or the largest index too large.
    """
    return SvmlightSource(path, budget)


class SvmlightSource:
    """A file of which the first and last index of every line has been read."""

    def __init__(self, path: Path, budget: Budget) -> None:
        self.path = path
        self.name = shown.line(path.name)
        self.rows, first, last, queries = 0, 1, 0, False
        for _, query, rest in self._examples():
            self.rows += 1
            queries |= query
            if rest:
                first = min(first, self._split(rest.split(None, 1)[0], self.rows)[0])
                last = max(last, self._split(rest.rsplit(None, 1)[-1], self.rows)[0])
            if self.rows % 2**16 == 0:
                budget.check(self.name, self.rows, max(0, last - first), about=True)
        if not self.rows:
            raise RequestError(f"{self.name} must have at least one row, got none")
        self.first = first
        self.width = last - first + 1
        self.notes = ("left out the queries (qid)",) if queries else ()
        self.beside = FIELD * max(NUMBERS, self.width) + NAME * self.width
        budget.check(self.name, self.rows, self.width, beside=self.beside)  # before there are names
        names = tuple(str(first + j) for j in range(self.width))
        self.groups: Sequence[Group] = [Group((LABEL,), WRITTEN), *([Group(names, NUMBER)] if names else [])]

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[Any]]:
        """Labels as texts, and the dense rows."""
        most = max(1, NUMBERS // max(self.width, 1))
        labels: list[str] = []
        places: list[int] = []  # in a block of rows
        texts: list[bytes] = []
        above, room = 0, 4 * LONGEST
        for label, _, rest in self._examples():
            row = above + len(labels) + 1
            begin = len(labels) * self.width - self.first
            last = self.first - 1
            # Of fields that are too many only as many as show what is wrong.
            for field in rest.split(None, self.width + 1)[: self.width + 1]:
                index, text = self._split(field, row)
                if not last < index < self.first + self.width:
                    raise RequestError(
                        f"{self.name} must have increasing indices in every row, got {index:,} in row {row:,} "
                        f"{f'after {last:,}' if index <= last else 'before its last'}"
                    )
                last = index
                places.append(begin + index)
                texts.append(text)
            labels.append(label)
            room -= len(label) + len(rest)
            if len(labels) == most or room < 0:
                yield self._block(labels, places, texts, above, wanted)
                above += len(labels)
                labels, places, texts, room = [], [], [], 4 * LONGEST
        if labels:
            yield self._block(labels, places, texts, above, wanted)

    def _block(
        self, labels: list[str], places: list[int], texts: list[bytes], above: int, wanted: Sequence[int]
    ) -> list[Any]:
        block: FloatArray = np.zeros(len(labels) * self.width)
        if 1 in wanted:
            block[places] = self._values(places, texts, above)
        rows = block.reshape(len(labels), self.width)
        return [rows if g else labels for g in wanted]

    def _values(self, places: list[int], texts: list[bytes], above: int) -> FloatArray:
        """The numbers that texts are, as :func:`learnability.datasets.numbers.number` reads them."""
        if not b"".join(texts).translate(None, CHARACTERS):
            try:
                values = np.array(list(map(float, texts)), dtype=np.float64)
            except ValueError:  # an empty one, or a sign too many
                pass
            else:
                if np.abs(values).max(initial=0.0) < EXACT:
                    return values
        values = np.empty(len(texts))
        for k, text in enumerate(texts):
            written = text.decode("utf-8", "backslashreplace")
            value = np.nan if written in MISSING else number(written)
            if value is None or not _holds(value):
                row, j = divmod(places[k], self.width)
                what = "numbers" if value is None else "numbers that float64 can hold"
                raise RequestError(
                    f"{self.name} must hold {what}, got {short(written)} in column {str(self.first + j)!r}, row "
                    f"{above + row + 1:,}"
                )
            values[k] = value
        return values

    def _examples(self) -> Iterator[tuple[str, bool, bytes]]:
        """The lines that hold an example: its label, whether it has a query, and the rest."""
        row = 0
        with damage(self.name), open_packed(self.path) as stream:
            while line := stream.readline(LONGEST):
                if len(line) == LONGEST and line[-1:] != b"\n":
                    raise RequestError(f"{self.name} must have lines of at most {LONGEST:,} bytes, got a longer one")
                if row == 0:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                label, *others = line.partition(b"#")[0].split(None, 1) or [b""]
                if not label:
                    continue
                row += 1
                if b":" in label:
                    raise RequestError(
                        f"{self.name} must begin every row with a label, got {_shown(label)} in row {row:,}"
                    )
                query = bool(others) and others[0].startswith(b"qid:")
                if query:
                    others = others[0].split(None, 1)[1:]
                try:
                    text = label.decode()
                except UnicodeDecodeError as error:
                    raise RequestError(
                        f"{self.name} must be text in UTF-8, got the byte {label[error.start]:#04x} in row {row:,}"
                    ) from None
                yield text, query, others[0].strip() if others else b""

    def _split(self, field: bytes, row: int) -> tuple[int, bytes]:
        """Index and value."""
        index, _, value = field.partition(b":")
        if not value or not index.isdigit() or len(index) > DIGITS:
            raise RequestError(
                f"{self.name} must hold index:value after every label, got {_shown(field)} in row {row:,}"
            )
        return int(index), value


def _shown(field: bytes) -> str:
    return short(field[:LONGEST].decode("utf-8", "backslashreplace"))


def _holds(value: int | float) -> bool:
    """Whether float64 can hold a number as it is written."""
    try:
        return float(value) == value or value != value
    except OverflowError:
        return False
