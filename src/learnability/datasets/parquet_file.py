"""Parquet files, read by DuckDB: a flat table, block by block.

DuckDB is given this one file, no network, no other file to write to or read from, and no more memory than what has
been counted. The index that pandas stores among the columns is left out; the file's own metadata say which it is.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability import database, memory, shown
from learnability.datasets.labels import LONGEST, listed, short
from learnability.datasets.memory import Budget
from learnability.datasets.numbers import EXACT
from learnability.datasets.source import BLOCK, NUMBER, OTHER, TEXT, WRITTEN, Group, Reading, first_line
from learnability.errors import RequestError

__all__ = ["open_source"]

STORED = {
    **{("U" if kind == "u" else "") + name: f"{kind}{size}" for kind in "iu" for name, size in
       (("TINYINT", 1), ("SMALLINT", 2), ("INTEGER", 4), ("BIGINT", 8))},
    "FLOAT": "f4",
    "DOUBLE": "f8",
    "BOOLEAN": "?",
}  # fmt: skip
"""Types that NumPy has."""

EXACTLY = frozenset(("DECIMAL", "HUGEINT", "UHUGEINT"))
"""Numbers that it has not: they come as text."""

TEXTS = frozenset(("VARCHAR", "ENUM", "BLOB", "DATE"))

UNNAMED = re.compile(r"__index_level_[0-9]+__")
"""What pandas calls an index without a name."""

VECTOR = 2048
"""Rows in DuckDB's smallest block."""

ROOM = 64e6
"""Bytes of DuckDB's own beside the unpacked columns of a group of rows."""

LANE = 40e3
"""Bytes of its own for each column."""


def open_source(path: Path, reading: Reading, budget: Budget) -> ParquetSource:
    """What a Parquet file holds.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    return ParquetSource(path, reading, budget)


class _Column(NamedTuple):
    name: str
    kind: str
    """The type that DuckDB reads it as, without what is in brackets."""

    @property
    def group(self) -> tuple[str, str]:
        """Kind, and what messages call it."""
        if self.kind in STORED:
            return NUMBER, ""
        return WRITTEN if self.kind in EXACTLY else TEXT if self.kind in TEXTS else OTHER, f"type {self.kind}"


class ParquetSource:
    """A Parquet file of which the metadata have been read."""

    def __init__(self, path: Path, reading: Reading, budget: Budget) -> None:
        self.path = path
        self.name = shown.line(path.name)
        self._budget = budget
        with self._open(budget.limit) as connection:
            self._columns = self._described(connection)
            index, note = self._index(connection)
            self.groups: Sequence[Group] = [
                Group((column.name,), *column.group, column.name in index) for column in self._columns
            ]
            read = [g.names[0] for g in self.groups if g.kind != OTHER and g.names[0] not in reading.drop]
            self.rows, size, self._odd = self._sizes(connection, read)
        self._notes = [note] if note else []
        self._spare = [j for j, group in enumerate(self.groups) if group.spare]
        self._room = 2.5 * size + LANE * len(read) + ROOM  # as read, unpacked, and what is being handed over
        self.beside = self._room + 16.0 * min(self.rows, VECTOR) * len(read)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out."""
        index = listed([self.groups[j].names[0] for j in self._spare])
        return (*self._notes, *([f"left out the index that pandas stored: {index}"] if self._spare else []))

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[Any]]:
        """The rows in order: numbers as they are stored, of other sizes as text."""
        self._spare = [j for j in self._spare if j not in wanted]
        if self._odd:  # DuckDB before 2 leaves out rows, or reads what is none
            raise RequestError(f"{self.name} is damaged: its metadata promise columns of different lengths")
        with self._open(self._room) as connection:
            longest = self._longest(connection, [j for j in wanted if self.groups[j].kind == TEXT])
            chosen = [self._expression(j) for j in wanted]
            connection.execute(f"SELECT {', '.join(chosen)} FROM {self._table}", [self._place])
            texts = sum(60 + 4 * length for length in longest.values())
            self._budget.check(self.name, self.rows, len(wanted) - 1, beside=self.beside + VECTOR * texts)
            vectors = max(1, 8 * BLOCK // (VECTOR * (texts + 8 * len(wanted))))
            m = 0
            while len(frame := connection.fetch_df_chunk(vectors)):
                m += len(frame)
                yield [self._values(j, frame.iloc[:, k]) for k, j in enumerate(wanted)]
        if m != self.rows:
            raise RequestError(f"{self.name} is damaged: it has {m:,} rows where its metadata promise {self.rows:,}")

    @contextmanager
    def _open(self, limit: float) -> Iterator[Any]:
        """A DuckDB that can do nothing but read this file."""
        import duckdb

        place = str(self.path.absolute())
        self._place = glob.escape(place)  # no pattern, whatever the file is called
        paths = ", ".join(_literal(path) for path in (place, self._place))
        settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        refusal = None
        try:
            with database.connect(**settings) as connection:
                connection.execute(f"SET memory_limit = '{int(limit)}B'")
                connection.execute(f"SET allowed_paths = [{paths}]")
                connection.execute("SET enable_external_access = false")
                connection.execute("SET lock_configuration = true")
                yield connection
        except duckdb.OutOfMemoryException as error:
            if "used)" not in str(error) and memory.available() < limit:  # not our limit, but the system's
                raise  # (where there is room: DuckDB before 2, of a damaged file that promises a billion columns)
            refusal = RequestError(
                f"{self.name} needs more memory than the {limit / 1e6:,.0f} MB that its metadata promise or that it "
                f"may take ({first_line(error)})"
            )
        except (duckdb.Error, UnicodeError) as error:
            raise RequestError(f"{self.name} cannot be read as Parquet ({first_line(error)})") from error
        if refusal:
            raise refusal

    def _described(self, connection: Any) -> list[_Column]:
        """The columns; their names from the schema, since DuckDB changes those that differ in case only."""
        table = "read_parquet(?, hive_partitioning = false)"
        types = [row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {table}", [self._place]).fetchall()]
        names = _names(connection, self._place)
        if len(names) != len(types):
            raise RequestError(f"{self.name} is damaged: its schema has {len(names):,} columns, or {len(types):,}")
        self._table = f"{table} AS t({', '.join(f'c{j}' for j in range(len(names)))})"
        kinds = ["LIST" if kind.endswith("]") else kind.partition("(")[0] for kind in types]
        return list(map(_Column, names, kinds))

    def _index(self, connection: Any) -> tuple[frozenset[str], str]:
        """Which columns pandas stored as the index, and a note if that cannot be told."""
        names = [column.name for column in self._columns]
        unnamed = [name for name in names if UNNAMED.fullmatch(name)]
        found = connection.execute(
            "SELECT value FROM parquet_kv_metadata(?) WHERE key = 'pandas'::BLOB", [self._place]
        ).fetchall()
        named: list[Any] = []
        for (value,) in found:
            try:
                stored = json.loads(bytes(value))["index_columns"]
                # A range, which is no column, is described by an object.
                if not all(isinstance(entry, str | dict) for entry in stored) or isinstance(stored, str | dict):
                    raise TypeError
                named += [entry for entry in stored if isinstance(entry, str)]
            except (ValueError, TypeError, KeyError, RecursionError):
                note = "what pandas stored about its index cannot be read: every column is taken for a feature"
                return frozenset(unnamed), note
        return frozenset(unnamed).union(named).intersection(names), ""

    def _sizes(self, connection: Any, columns: Sequence[str]) -> tuple[int, int, int]:
        """The number of rows, the most bytes of these columns in a group of rows, and how many of other lengths."""
        rows, size, odd = connection.execute(
            "SELECT coalesce(sum(rows), 0), coalesce(max(size), 0), coalesce(sum(odd), 0) FROM "
            "(SELECT any_value(row_group_num_rows) AS rows, sum(total_uncompressed_size) FILTER (read) AS size, "
            "count(*) FILTER (read AND num_values <> row_group_num_rows) AS odd "
            "FROM (SELECT *, path_in_schema IN (SELECT unnest(?::VARCHAR[])) AS read FROM parquet_metadata(?)) "
            "GROUP BY row_group_id)",
            [list(columns), self._place],
        ).fetchone()
        if not 0 <= rows < 2**63 or size < 0:
            raise RequestError(f"{self.name} is damaged: its metadata promise {rows:,} rows and {size:,} bytes")
        return int(rows), int(size), int(odd)

    def _longest(self, connection: Any, columns: Sequence[int]) -> dict[int, int]:
        """Bytes of the longest text in each of the columns.

        Raises
        ------
        ValueError
            If one is too long for a label, before any is handed over.
        """
        if not columns:
            return {}
        chosen = ", ".join(f"coalesce(max(strlen(CAST(c{j} AS VARCHAR))), 0)" for j in columns)
        lengths = connection.execute(f"SELECT {chosen} FROM {self._table}", [self._place]).fetchone()
        for j, length in zip(columns, lengths, strict=True):
            if length > 4 * LONGEST:  # bytes of a character
                raise RequestError(
                    f"{self.name} must hold texts of at most {LONGEST:,} characters in the column "
                    f"{short(self.groups[j].names[0])}, got one of {length:,} bytes"
                )
        return dict(zip(columns, lengths, strict=True))

    def _expression(self, j: int) -> str:
        kind = self.groups[j].kind
        text = f"CAST(c{j} AS VARCHAR)"
        return f"c{j}" if kind == NUMBER else text if kind == TEXT else f"coalesce({text}, '')"

    def _values(self, j: int, series: Any) -> Any:
        """A column of a block as the core wants it."""
        missing = series.isna().to_numpy()
        if self.groups[j].kind != NUMBER:
            texts: list[str] = series.tolist()
            return (
                [None if gone else text for text, gone in zip(texts, missing, strict=True)] if any(missing) else texts
            )
        dtype = np.dtype(STORED[self._columns[j].kind])
        if not missing.any() or dtype.kind == "f":
            return series.to_numpy(dtype=dtype)
        if series.dtype.kind == "f" and dtype.itemsize == 8 and not series.abs().max() < EXACT:
            raise RequestError(  # before version 2
                f"{self.name} needs a newer DuckDB: missing values beside whole numbers beyond 2^53 in column "
                f"{short(self.groups[j].names[0])}"
            )
        values: NDArray[Any] = series.to_numpy(dtype=dtype, na_value=0)
        return np.ma.MaskedArray(values, missing)


def _literal(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _names(connection: Any, place: str) -> list[str]:
    """The names of the columns as they are in the file, from the tree of its schema in depth-first order."""
    nodes = connection.execute("SELECT name, num_children FROM parquet_schema(?)", [place]).fetchall()
    names = []
    at = 1
    for _ in range(nodes[0][1] or 0 if nodes else 0):
        names.append(nodes[at][0] if at < len(nodes) else "")
        open_nodes = 1
        while open_nodes > 0 and at < len(nodes):
            open_nodes += (nodes[at][1] or 0) - 1
            at += 1
    return names
