"""Parquet files: a flat table of numbers beside the label column, of any type with two values."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

import numpy as np

from learnability.datasets.columns import Labels, Raw, check_finite, check_names, first_line, not_numbers
from learnability.datasets.memory import Budget

__all__ = ["read"]

INDEX = "__index_level_"
"""How the names of columns begin in which pandas keeps a frame's index."""

BLOCK = 2**21
"""Numbers in a block of rows: 16 MB."""

WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
NUMBERS = frozenset((*WHOLE, *("U" + name for name in WHOLE), "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN"))
TEXTS = frozenset(("VARCHAR", "ENUM", "BLOB", "DATE"))


def read(path: Path, label: str, budget: Budget) -> tuple[Raw, tuple[str, ...]]:
    """The table in a Parquet file, read in blocks of about 16 MB, and notes on what was left out.

    Raises
    ------
    ValueError
        If the file is damaged, or not a table of finite numbers and labels, or does not fit.
    """
    import duckdb

    try:
        with duckdb.connect(":memory:") as connection:
            connection.execute("SET threads = 1")  # a second one would hold another group of rows
            return _read(connection, path, label, budget)
    except duckdb.Error as error:
        raise ValueError(f"{path.name} cannot be read as Parquet ({first_line(error)})") from error


def _read(connection: Any, path: Path, label: str, budget: Budget) -> tuple[Raw, tuple[str, ...]]:
    source = path.name
    place = glob.escape(str(path.absolute()))  # no pattern, whatever the file is called
    table = "read_parquet(?, hive_partitioning = false)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {table}", [place]).fetchall()
    names = _names(connection, place)
    check_names(source, names, label)
    # DuckDB's own names differ where two names differ in case only.
    columns = [(name, row[0], row[1].partition("(")[0]) for name, row in zip(names, described, strict=True)]
    index = [name for name in names if name.startswith(INDEX) and name != label]
    features = [column for column in columns if column[0] != label and column[0] not in index]
    (target,) = (column for column in columns if column[0] == label)
    if not features:
        raise ValueError(f"{source} must have a feature column beside the label {label!r}, got none")
    other = [(name, f"type {kind}") for name, _, kind in features if kind not in NUMBERS]
    if other:
        raise not_numbers(source, other)
    if target[2] not in NUMBERS | TEXTS:
        raise ValueError(
            f"{source} must hold numbers, text or truth values as labels, got type {target[2]} in {label!r}"
        )

    rows, group = connection.execute(
        "SELECT coalesce(sum(row_group_num_rows), 0), coalesce(max(bytes), 0) FROM (SELECT row_group_id, "
        "any_value(row_group_num_rows) AS row_group_num_rows, sum(total_uncompressed_size) AS bytes "
        "FROM parquet_metadata(?) GROUP BY row_group_id)",
        [place],
    ).fetchone()
    if rows == 0:
        raise ValueError(f"{source} must have at least one row, got none")
    rows = int(rows)
    budget.check(source, rows, len(features), beside=2.5 * group)  # as read, unpacked, and what is being handed over

    kept = "VARCHAR" if target[2] in TEXTS else "BOOLEAN" if target[2] == "BOOLEAN" else "DOUBLE"
    chosen = [f"CAST({_quoted(own)} AS DOUBLE) AS c{j}" for j, (_, own, _) in enumerate(features)]
    chosen.append(f"CAST({_quoted(target[1])} AS {kept}) AS label")
    connection.execute(f"SELECT {', '.join(chosen)} FROM {table}", [place])
    X = np.empty((rows, len(features)))
    labels, m = Labels(source, label), 0
    vectors = max(1, BLOCK // (2048 * len(features)))
    while len(frame := connection.fetch_df_chunk(vectors)):
        labels.add(frame.pop("label").to_numpy())
        block = frame.to_numpy(dtype=np.float64)
        check_finite(source, block, [name for name, _, _ in features], m)
        X[m : m + len(block)] = block
        m += len(block)
    notes = (f"left out the index that pandas stored: {', '.join(map(repr, index))}",) if index else ()
    return Raw(X[:m], labels, [name for name, _, _ in features]), notes


def _names(connection: Any, place: str) -> list[str]:
    """The names of the columns as they are in the file, from the tree of its schema in depth-first order."""
    nodes = connection.execute("SELECT name, num_children FROM parquet_schema(?)", [place]).fetchall()
    names = []
    at = 1
    for _ in range(nodes[0][1] or 0):
        names.append(nodes[at][0])
        open_nodes = 1
        while open_nodes:
            open_nodes += (nodes[at][1] or 0) - 1
            at += 1
    return names


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
