"""DuckDB as this package uses it: one thread, nothing on the disk, nothing on stdout."""

from __future__ import annotations

from typing import Any

__all__ = ["connect"]


def connect(**settings: str) -> Any:
    """A connection to a database in memory.

    One thread makes equal tables equal bytes, and small ones gain nothing from more. Each thread takes 70 MB of
    address space besides, and version 2 starts eight that it never needs here.
    """
    import duckdb

    config: dict[str, Any] = {
        **settings,
        "threads": "1",
        "temp_directory": "",  # it would leave a folder ".tmp" in the working directory
    }
    try:
        connection = duckdb.connect(":memory:", config={**config, "async_threads": "0"})
    except duckdb.InvalidInputException:  # not there before 2
        connection = duckdb.connect(":memory:", config=config)
    # In notebooks and under `python -c` it writes on stdout how far a query of two seconds is.
    connection.execute("SET enable_progress_bar = false")
    return connection
