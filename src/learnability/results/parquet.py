"""Parquet in memory alone, so that what is read is what was hashed.

DuckDB writes and reads Parquet. It is given bytes that are in memory, as files of a file system that is nowhere
else: a file on the disk may change between a look at its checksum and DuckDB's own look, a private copy of it would
lie about after a kill, and its path may hold what DuckDB takes for a pattern, an address or a column. For ten
thousand small files that takes a third longer than their paths would, and two thirds of what copies would.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from learnability import database

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["in_memory", "parquet"]


def parquet(frame: pd.DataFrame) -> bytes:
    """A DataFrame with at least one column as the bytes of a Parquet file."""
    with in_memory() as (connection, held):
        path = held.name()
        connection.register("frame", frame)
        try:
            connection.execute(f"COPY frame TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        finally:
            connection.unregister("frame")
        return bytes(held.files[path])


_one_at_a_time = threading.Lock()


@contextmanager
def in_memory() -> Iterator[tuple[Any, Any]]:
    """A connection, kept open since opening one takes longer than writing ten shards, and the files that it sees."""
    with _one_at_a_time:
        connection, held = _opened(os.getpid())
        try:
            yield connection, held
        except BaseException:  # after some of its errors DuckDB does nothing any more
            _opened.cache_clear()
            raise
        finally:
            held.files.clear()


@cache
def _opened(process: int) -> tuple[Any, Any]:
    """A forked process must not use its parent's."""
    import duckdb

    connection = database.connect()
    with suppress(duckdb.Error):  # not there before 1.3: what was read stays in memory
        connection.execute("SET enable_external_file_cache = false")
    held = _held()
    connection.register_filesystem(held)
    return connection, held


def _held() -> Any:
    """A file system of what is in memory, as DuckDB takes it."""
    from fsspec import AbstractFileSystem

    class Held(AbstractFileSystem):  # type: ignore[misc]
        protocol = "held"
        cachable = False

        def __init__(self) -> None:
            super().__init__()
            self.files: dict[str, bytes] = {}
            self.count = 0

        def name(self) -> str:
            """A path that was never used: DuckDB remembers what it has read."""
            self.count += 1
            return f"held://{self.count}.parquet"

        def put(self, content: bytes) -> str:
            path = self.name()
            self.files[path] = content
            return path

        def open(self, path: str, mode: str = "rb", **_: Any) -> io.BytesIO:
            return io.BytesIO(self.files[path]) if "r" in mode else _Written(self.files, path)

        def glob(self, path: str, **_: Any) -> list[str]:
            return [path]

        def info(self, path: str, **_: Any) -> dict[str, Any]:
            if path not in self.files:
                raise FileNotFoundError(path)
            return {"name": path, "size": len(self.files[path]), "type": "file"}

        def modified(self, path: str) -> datetime:
            return datetime(2000, 1, 1)

    return Held()


class _Written(io.BytesIO):
    def __init__(self, files: dict[str, bytes], path: str) -> None:
        super().__init__()
        self.files, self.path = files, path

    def close(self) -> None:
        if not self.closed:
            self.files[self.path] = self.getvalue()
        super().close()
