"""Rows of plain values as tables: of one task, of a batch in one file, and of many files in one table."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.errors import RequestError
from learnability.results.files import write_atomically
from learnability.results.parquet import in_memory, parquet
from learnability.study import Row

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = [
    "Column",
    "File",
    "Piece",
    "WrongRowsError",
    "batch",
    "columns",
    "digest",
    "digests",
    "tidy",
    "unite",
    "write_table",
]


class Column(NamedTuple):
    """The values of a column, all of one kind: ``"int"``, ``"float"``, ``"bool"`` or ``"text"``.

    A missing number is NaN, a missing text ``None``.
    """

    kind: str
    values: list[Any]


def columns(rows: Sequence[Row]) -> dict[str, Column]:
    """Rows of plain values as columns.

    A value missing from some rows is NaN (and makes a column of numbers or truth values float), or missing text.
    Infinities become NaN, as Parquet readers disagree about them.

    Raises
    ------
    ValueError
        If a column mixes text, numbers and truth values, an integer does not fit into 64 bits, two columns differ by
        case alone, or a name or text is none that a file can hold.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    folded: dict[str, str] = {}
    for name in names:
        if not name or "\0" in name or not _is_unicode(name):
            raise RequestError(f"columns must have names that a table can have, got {name!r}")
        if folded.setdefault(name.lower(), name) != name:  # DuckDB would rename the second silently
            raise RequestError(f"columns must differ by more than case, got {folded[name.lower()]!r} and {name!r}")
    return {name: _column(name, [row.get(name) for row in rows]) for name in names}


def _column(name: str, values: list[Any]) -> Column:
    kinds = set(map(type, values))
    complete = type(None) not in kinds
    kinds.discard(type(None))
    if kinds == {int} and complete:
        if not all(-(2**63) <= value < 2**63 for value in values):
            raise RequestError(f"column {name!r} must hold integers of 64 bits")
        return Column("int", values)
    if kinds == {str}:
        if not all(value is None or _is_unicode(value) for value in values):
            raise RequestError(f"column {name!r} must hold text that can be written as UTF-8")
        return Column("text", values)
    if kinds == {bool} and complete:
        return Column("bool", values)
    if kinds - {int, float} and len(kinds) > 1:
        told = sorted({"float" if kind is int else kind.__name__ for kind in kinds})
        raise RequestError(f"column {name!r} must hold one kind of value, got {told}")
    try:
        numbers = [math.nan if value is None else float(value) for value in values]
    except OverflowError:
        raise RequestError(f"column {name!r} must hold integers of 64 bits or float64") from None
    return Column("float", [number if math.isfinite(number) else math.nan for number in numbers])


def _is_unicode(text: str) -> bool:
    """Whether a text has no halves of surrogate pairs."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def digest(columns: Mapping[str, Column]) -> str:
    """Digest of a task's rows, in 32 hex digits: equal for equal columns of equal kinds in one order."""
    told = json.dumps([[name, *column] for name, column in columns.items()])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def tidy(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows of plain values as a DataFrame of bool, int64, float64 and text columns (:func:`columns`)."""
    import pandas as pd

    arrays = {name: _array(column.kind, column.values, None) for name, column in columns(rows).items()}
    return pd.DataFrame(arrays, index=range(len(rows)))


def _array(kind: str, values: list[Any], missing: Any) -> Any:
    """Values of one kind as a pandas column; ``missing`` is an array of truth values, or ``None`` if none is."""
    import pandas as pd

    if kind == "text":
        return pd.array(values, dtype="string")
    if kind == "float":
        return np.array(values, dtype=np.float64)
    dtype, masked = (np.int64, pd.arrays.IntegerArray) if kind == "int" else (np.bool_, pd.arrays.BooleanArray)
    array: NDArray[Any] = np.array(values, dtype=dtype)
    return array if missing is None else masked(array, missing)


KEY = "key"
"""The column of a batch that says whose task's a row is. The others' names end with their kind: ``error:float``."""

_BLANK = {"int": 0, "bool": False, "float": math.nan, "text": None}


def batch(tasks: Sequence[tuple[str, int, Mapping[str, Column]]]) -> bytes:
    """The rows of several tasks as one Parquet file, from which each comes back as it was.

    Parameters
    ----------
    tasks : sequence of (str, int, mapping)
        Of each the key, the number of rows and the columns.

    Notes
    -----
    A column for each name *and kind*: were an integer written as a float because another task of the batch has a
    float there, tables would depend on which tasks were written together.
    """
    import pandas as pd

    total = sum(count for _, count, _ in tasks)
    values: dict[tuple[str, str], list[Any]] = {}
    names: dict[tuple[str, str], str] = {}
    present: dict[tuple[str, str], list[tuple[int, int]]] = {}
    start = 0
    for _, count, found in tasks:
        for name, column in found.items():
            at = name.lower(), column.kind
            if at not in values:
                values[at], names[at], present[at] = [_BLANK[column.kind]] * total, f"{name}:{column.kind}", []
            values[at][start : start + count] = column.values
            present[at].append((start, start + count))
        start += count
    frame: dict[str, Any] = {KEY: pd.array([key for key, count, _ in tasks for _ in range(count)], dtype="string")}
    for at, found_values in values.items():
        missing = None
        if sum(stop - start for start, stop in present[at]) < total:
            missing = np.ones(total, dtype=bool)
            for start, stop in present[at]:
                missing[start:stop] = False
        frame[names[at]] = _array(at[1], found_values, missing)
    return parquet(pd.DataFrame(frame))


class File(NamedTuple):
    """A Parquet file that is in memory."""

    content: bytes
    rows: int
    """How many there must be."""
    of_batch: bool = True
    """Whether it is one of :func:`batch`, or has one task's rows without a key, as the first versions wrote."""


class Piece(NamedTuple):
    """A task's rows in one of several files."""

    file: int
    start: int
    rows: int
    kinds: tuple[tuple[str, str], ...] | None
    """Its columns and their kinds in their order; ``None``: all that are in the file, in its order."""


class WrongRowsError(ValueError):
    """Some of several files, which are named by their numbers, have other rows than was said of them."""

    def __init__(self, files: Sequence[int]) -> None:
        super().__init__(f"files {list(files)} have other rows than was said of them")
        self.files = files


class _Part(NamedTuple):
    """What was read of all files that have the same columns."""

    kinds: tuple[tuple[str, str], ...]
    starts: dict[int, int]
    """The first row of each file."""
    arrays: list[NDArray[Any]]
    """A column each; what is missing is NaN, ``None``, or anything where the task does not have the column."""


_KINDS = {"INT64": "int", "DOUBLE": "float", "BOOLEAN": "bool", "BYTE_ARRAY": "text"}


def _parts(files: Sequence[File]) -> list[_Part]:
    """What is in the files, read together where they have the same columns: DuckDB's time goes by query and file."""
    parts = []
    with in_memory() as (connection, held):
        paths = [held.put(file.content) for file in files]
        number = {path: k for k, path in enumerate(paths)}
        query = "SELECT file_name, name, type FROM parquet_schema($1) WHERE type IS NOT NULL"  # the root has none
        schemas: list[list[tuple[str, str]]] = [[] for _ in files]
        for path, name, kind in zip(*connection.execute(query, [paths]).fetchnumpy().values()):
            schemas[number[path]].append((name, kind))
        alike: dict[Any, list[int]] = {}
        for k, (file, schema) in enumerate(zip(files, schemas)):
            alike.setdefault((file.of_batch, *schema), []).append(k)
        for (of_batch, *schema), members in alike.items():
            query = "SELECT * FROM read_parquet($1, hive_partitioning = false)"  # in the order of files and rows
            found = list(connection.execute(query, [[paths[k] for k in members]]).fetchnumpy().values())
            ends = list(accumulate(files[k].rows for k in members))
            if ends[-1] != len(found[0]):
                query = "SELECT num_rows FROM parquet_file_metadata($1)"
                counts = [connection.execute(query, [[paths[k]]]).fetchall()[0][0] for k in members]
                raise WrongRowsError([k for k, count in zip(members, counts) if count != files[k].rows])
            kinds = [(name, _KINDS[kind]) for name, kind in schema]
            if of_batch:
                found, kinds = found[1:], [(name.rpartition(":")[0], kind) for name, kind in kinds[1:]]
            arrays = [_filled(array, kind) for array, (_, kind) in zip(found, kinds)]
            parts.append(_Part(tuple(kinds), dict(zip(members, [0, *ends])), arrays))
    return parts


def _filled(array: NDArray[Any], kind: str) -> NDArray[Any]:
    if not np.ma.isMaskedArray(array):
        return array
    plain = np.array(array.data)
    if kind in ("float", "text"):
        plain[np.ma.getmaskarray(array)] = _BLANK[kind]
    return plain


def digests(files: Sequence[File]) -> list[str | None]:
    """The digest of the rows of each of several single tasks' files; ``None`` where they are not as many as said."""
    found: list[str | None] = [None] * len(files)
    left = list(range(len(files)))
    while left:
        try:
            parts = _parts([files[k] for k in left])
        except WrongRowsError as error:
            left = [k for number, k in enumerate(left) if number not in error.files]
            continue
        for part in parts:
            for number, start in part.starts.items():
                end = start + files[left[number]].rows
                columns = {
                    name: Column(kind, array[start:end].tolist())
                    for (name, kind), array in zip(part.kinds, part.arrays)
                }
                found[left[number]] = digest(columns)
        break
    return found


def unite(files: Sequence[File], pieces: Sequence[Piece]) -> pd.DataFrame:
    """The rows of tasks as one table: in the order of ``pieces``, and within each in its own order.

    Columns are united by name. Numbers and truth values that some tasks lack make a float64 column with NaN, integers
    beside floats float64, truth values beside integers int64, and text beside anything text. What is in which file
    makes no difference.

    Raises
    ------
    WrongRowsError
        If a file has another number of rows than it must have.
    """
    import pandas as pd

    if not pieces:
        return pd.DataFrame()
    rows = _Rows(_parts(files), pieces)
    return pd.DataFrame({name: rows.column(name) for name in rows.names})


class _Rows:
    """The rows of pieces in their order, whose columns lie about in parts."""

    def __init__(self, parts: Sequence[_Part], pieces: Sequence[Piece]) -> None:
        home = {file: (number, start) for number, part in enumerate(parts) for file, start in part.starts.items()}
        self.parts = parts
        counts = np.array([piece.rows for piece in pieces])
        first = np.array([home[piece.file][1] + piece.start for piece in pieces])
        self.where = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        # Few pieces differ in what columns they have and in which part they lie: such kinds of pieces have numbers.
        variants: dict[tuple[int, tuple[tuple[str, str], ...]], int] = {}
        of_piece = [
            variants.setdefault((part, piece.kinds or parts[part].kinds), len(variants))
            for piece, part in ((piece, home[piece.file][0]) for piece in pieces)
        ]
        self.variants = list(variants)
        self.variant = np.repeat(np.array(of_piece), counts)
        spelled: dict[str, str] = {}
        for _, kinds in self.variants:
            for name, _ in kinds:
                spelled.setdefault(name.lower(), name)
        self.names = list(spelled.values())

    def column(self, name: str) -> NDArray[Any]:
        same = name.lower()
        holders = [
            (number, part, kind)
            for number, (part, kinds) in enumerate(self.variants)
            for other, kind in kinds
            if other.lower() == same
        ]
        kind = _common({kind for _, _, kind in holders}, complete=len(holders) == len(self.variants))
        column: NDArray[Any] = np.full(len(self.where), _BLANK[kind], dtype=_DTYPES[kind])
        for number, part, own in holders:
            rows = np.flatnonzero(self.variant == number)
            source = next(
                array
                for (other, its), array in zip(self.parts[part].kinds, self.parts[part].arrays)
                if its == own and other.lower() == same
            )
            values = source[self.where[rows]]
            column[rows] = (
                values if kind != "text" or own == "text" else [_as_text(value) for value in values.tolist()]
            )
        return column


_DTYPES = {"int": np.int64, "bool": np.bool_, "float": np.float64, "text": np.object_}


def _common(kinds: set[str], *, complete: bool) -> str:
    """The kind of a column that has these in some tasks, and in others, unless it is complete, nothing."""
    if "text" in kinds:
        return "text"
    if not complete or "float" in kinds:
        return "float"
    return "int" if "int" in kinds else "bool"


def _as_text(value: bool | int | float) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value != value else str(value)


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table with at least one column as Parquet, atomically."""
    write_atomically(path, parquet(frame))
