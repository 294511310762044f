"""Claims of figures: functions of the table alone, tried on tables that are wrong in what was measured."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tools.doctored.page import never


def tables(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """For every figure with a table in a folder of results what turned each of its claims that hold."""
    import duckdb

    from learnability.discovery import installed

    for id in names:
        experiment = installed().experiments[id]
        paths = (folder / id / scale / "table.parquet" for scale in ("laptop", "smoke"))
        path = next((path for path in paths if path.exists()), None)
        if path is None or experiment.claims is None:
            continue
        table: Any = duckdb.read_parquet(str(path)).df()
        given = {name for scale in experiment.scales.values() for cell in scale.settings for name in cell}
        base = {g.id: str(g.verdict) for g in experiment.claims(table)}
        one: dict[str, Any] = {"rows": base, "turned": {}}
        for told, doctored in doctored_tables(table, sorted(given & {*table})):
            if not never(one):
                break
            with contextlib.suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                after = {g.id: str(g.verdict) for g in experiment.claims(doctored)}
                for row in never(one):
                    if after.get(row) == "violated":
                        one["turned"][row] = [told, False]
        yield id, one


def doctored_tables(table: Any, given: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """A table with a measured column wrong everywhere, or wherever a setting has one of its few values."""
    rng = np.random.default_rng(0)
    changes: dict[str, Callable[[Any], Any]] = {
        "halved": lambda column: column / 2,
        "doubled": lambda column: column * 2,
        "a tenth": lambda column: column / 10,
        "tenfold": lambda column: column * 10,
        "one more": lambda column: column + 1,
        "one less": lambda column: column - 1,
        "taken from 1": lambda column: 1 - column,
        "negated": lambda column: -column,
        "reversed": lambda column: column.to_numpy()[::-1],
        "permuted": lambda column: column.to_numpy()[rng.permutation(len(column))],
    }
    cells = {
        f" where {name} is {value}": table[name] == value for name in given for value in table[name].unique()[:4]
    }
    for where, rows in {"": np.full(len(table), True), **cells}.items():
        for how, change in changes.items():
            for name in table.columns.difference([*given, "seed"]):
                column = table[name]
                if column.dtype.kind == "b":
                    other = ~column if how == "taken from 1" else change(column) if how == "permuted" else column
                elif column.dtype.kind in "fi" or how == "permuted":
                    other = change(column)
                elif how == "negated":  # a word, as what a run ended with
                    other = "not " + column.astype(str)
                else:
                    continue
                yield f"{name} {how}{where}", table.assign(**{name: column.where(~np.asarray(rows), other)})
