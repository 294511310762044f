"""A table of numbers with a label column of two values, from a CSV, Parquet or NPZ file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from learnability.checks import FloatArray
from learnability.datasets import csv_file, npz_file, parquet_file
from learnability.datasets.columns import Raw, blocks, listed
from learnability.datasets.memory import budget
from learnability.datasets.records import DataSet

__all__ = ["SUFFIXES", "Table", "read_table"]

SUFFIXES = (".csv", ".parquet", ".npz")
"""The files that :func:`read_table` reads."""


@dataclass(frozen=True, eq=False)
class Table(DataSet):
    """Labelled examples from a file, with the names of their features."""

    feature_names: tuple[str, ...] = ()
    """(d,)"""
    constant: tuple[str, ...] = ()
    """Features that had one value in all rows and were left out."""


def read_table(
    path: str | os.PathLike[str], label: str, *, positive: object = None, memory: float | None = None
) -> Table:
    """The table in a file, checked; nothing is read in full that does not fit.

    A CSV file has a header line; fields are separated by commas, semicolons or tabs. A Parquet file has flat columns.
    An NPZ file has arrays with m rows: (m,) is a feature by the array's name, (m, ...) has the features name[0],
    name[1], ... Rows are counted from 1, a header apart. Features may be numbers or truth values (0 and 1).

    Parameters
    ----------
    path : path
        Its suffix (.csv, .parquet, .npz) says what it is.
    label : str
        The column (array) of the labels: two values, numbers, text or truth values. In a CSV file text that reads as
        numbers is numbers.
    positive : optional
        The value that becomes +1; by default the larger of the two, of texts the last in alphabetical order.
    memory : float, optional
        Bytes that reading may take; by default half of what is available to the process.

    Returns
    -------
    Table
        X (m, d) float64 without constant features; y (m,) in {-1, +1}.

    Raises
    ------
    ValueError
        If the file is missing, of another kind, empty, damaged, or too large for the memory; if columns share a name,
        the label column is missing, or has a missing value or not exactly two; if a feature is not a number or a
        value missing or not finite; if every feature is constant. The message names the column and row. Equal points
        with different labels are no error: they make the set inseparable, which the margin's certificate shows.
    """
    limits = budget(memory)
    try:
        path = Path(path).expanduser()
    except TypeError:
        raise ValueError(f"path must be the path of a file, got {path!r}") from None
    if not isinstance(label, str):
        raise ValueError(f"label must be the name of a column, got {label!r}")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"path must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, got {str(path)!r}")
    if not path.is_file():
        raise ValueError(f"path must be a file, got {'a folder' if path.is_dir() else 'none at'} {str(path)!r}")
    try:
        with path.open("rb") as stream:
            if not stream.read(1):
                raise ValueError(f"{path.name} must hold a table, got an empty file")
    except OSError as error:
        raise ValueError(f"{path} cannot be opened ({error.strerror})") from error
    notes: tuple[str, ...] = ()
    if suffix == ".csv":
        raw = csv_file.read(path, label, limits)
    elif suffix == ".parquet":
        raw, notes = parquet_file.read(path, label, limits)
    else:
        raw = npz_file.read(path, label, limits)
    y, classes = raw.labels.finish(positive, numbers=suffix == ".csv")
    X, names, constant = _varying(path.name, raw)
    notes += (f"labels in {label!r}: {classes[0]!r} is -1, {classes[1]!r} is +1",)
    if constant:
        notes += (f"{len(constant)} constant feature(s) left out: {listed(constant, 20)}",)
    return Table(X, y, path.name, classes, notes, feature_names=names, constant=constant)


def _varying(source: str, raw: Raw) -> tuple[FloatArray, tuple[str, ...], tuple[str, ...]]:
    """The features with more than one value, in the place of all; their names, and those of the others."""
    X, names = raw.X, raw.names
    varies = X.min(axis=0) < X.max(axis=0)
    if not varies.any():
        raise ValueError(f"{source} must have a feature that varies, got constant values in all: {listed(names)}")
    if varies.all():
        return X, tuple(names), ()
    m, d = X.shape
    kept = np.flatnonzero(varies)
    buffer = X.reshape(-1)
    for low, high in blocks(m, d):  # forward: what is overwritten has been read
        buffer[low * len(kept) : high * len(kept)] = X[low:high, kept].reshape(-1)
    left = [name for name, keep in zip(names, varies, strict=True) if not keep]
    return buffer[: m * len(kept)].reshape(m, -1), tuple(names[j] for j in kept), tuple(left)
