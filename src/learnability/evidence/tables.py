"""Picking rows off a tidy table: by value, and the end of every run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["by", "last", "pick", "told", "values"]


def pick(table: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """The rows that have the given values."""
    for column, value in where.items():
        table = table[table[column] == value]
    return table


def last(table: pd.DataFrame, *cell: str, time: str = "epoch") -> pd.DataFrame:
    """Last row of every run; the columns ``cell`` and the seed tell runs apart."""
    return table.sort_values(time, kind="stable").groupby([*cell, "seed"], as_index=False).tail(1)


def values(table: pd.DataFrame, cell: str) -> list[Any]:
    """The distinct values of a column, in order."""
    return sorted(table[cell].unique())


def told(table: pd.DataFrame, column: str, usual: Any) -> Any:
    """What all rows have in a column, which is only there where it is not the usual value."""
    return table[column].iloc[0] if column in table else usual


def by(ends: pd.DataFrame, column: str, cell: str) -> dict[str, pd.Series]:
    """A column of the runs' ends by seed, for each value of ``cell``."""
    return {
        f"{cell}={value:g}": pick(ends, **{cell: value}).set_index("seed")[column] for value in values(ends, cell)
    }
