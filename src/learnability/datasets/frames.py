"""Arrays, sparse matrices and data frames of Python, as a source of columns like a file.

Frames of any library that Narwhals knows: pandas, Polars, PyArrow. Nothing is converted as a whole: a block of rows
after the other is, and the float64 numbers that come of it are all that is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from importlib import import_module
from itertools import groupby
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from learnability.datasets.labels import listed, short
from learnability.datasets.memory import Budget
from learnability.datasets.numbers import EXACT
from learnability.datasets.source import BLOCK, NUMBER, OTHER, TEXT, WRITTEN, Group, Values, first_line
from learnability.errors import RequestError

__all__ = ["InMemory", "source_of"]

NAME = 200.0
"""Bytes that are allowed for what a column is called."""

LONGEST = 300
"""Digits of a whole number; in files of text, too."""

_TRUTHS = (bool, np.bool_)
_NUMBERS = (int, float, np.integer, np.floating, Decimal, Fraction)


class Part(NamedTuple):
    """A group and how to read its rows from the first number to before the second."""

    group: Group
    read: Callable[[int, int], Values]


class InMemory:
    """Columns that are in memory already."""

    notes: tuple[str, ...] = ()

    def __init__(self, name: str, rows: int, parts: Sequence[Part], beside: float = 0.0) -> None:
        self.name = name
        self.rows = rows
        self.groups = [part.group for part in parts]
        self.beside = beside + NAME * sum(len(group.names) for group in self.groups)
        self._parts = parts

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[Values]]:
        """The rows in order, block by block."""
        width = sum(len(self.groups[g].names) for g in wanted)
        step = max(1, BLOCK // max(width, 1))
        for low in range(0, self.rows, step):
            high = min(low + step, self.rows)
            yield [self._parts[g].read(low, high) for g in wanted]


def source_of(X: Any, y: Any, budget: Budget, name: str = "data") -> tuple[InMemory, str]:
    """Examples in memory as a source, and what their label column is called.

    Parameters
    ----------
    X : array, sparse matrix or frame
        A row an example. The columns of an array are called 1, 2, ...; an index is ignored.
    y : array, series or str
        The labels, by position; or which column of the frame has them.
    budget : Budget
        What reading may take: what does not fit is refused before anything is made of it.
    name : str
        As messages call it.

    Raises
    ------
    ValueError
        If ``X`` is no table, or ``y`` does not have a label for each of its rows.
    """
    frame = _frame("X", X)
    if isinstance(y, str):
        if frame is None:
            raise RequestError(
                f"y must hold the labels (the name of a column only where X is a frame), got {short(y)}"
            )
        return InMemory(name, len(frame), _of_frame(frame)), y
    beside = 0.0
    if frame is not None:
        rows, parts = len(frame), _of_frame(frame)
    elif _is_sparse(X):
        _check_size(name, X.shape, budget)
        rows, parts = X.shape[0], [_of_sparse(X)]
        beside = 16.0 * X.nnz  # compressed by rows, where it is not yet
    else:
        array = _array(X, "X must be an array or a frame")
        _check_size(name, array.shape, budget)
        rows, parts = len(array), _of_array(array)
    label, part = _of_labels(y, rows, {column for p in parts for column in p.group.names}, frame)
    return InMemory(name, rows, [*parts, part], beside), label


def _check_size(name: str, shape: tuple[int, ...], budget: Budget) -> None:
    if len(shape) != 2 or 0 in shape:
        raise RequestError(f"X must have shape (rows >= 1, columns >= 1), got shape {shape}")
    budget.check(name, *shape, beside=NAME * shape[1])


def _frame(name: str, given: Any) -> nw.DataFrame[Any] | None:
    """A frame, or ``None`` for something else."""
    if hasattr(given, "__arrow_c_array__") and not hasattr(given, "to_frame"):  # a batch of rows of Arrow
        given = import_module("pyarrow").table(given)
    try:
        found = nw.from_native(given, pass_through=True)
    except nw.exceptions.DuplicateError:
        names = Counter(map(str, given.columns))
        twice = [column for column, count in names.items() if count > 1]
        raise RequestError(f"{name} must name every column differently, got {listed(twice)} twice") from None
    if isinstance(found, nw.LazyFrame):
        raise RequestError(f"{name} must be a frame in memory (collect it first), got {type(given).__name__}")
    return found if isinstance(found, nw.DataFrame) else None


def _array(given: Any, demand: str, *, mixed: bool = False) -> NDArray[Any]:
    """An array in which numbers are what they were: in a list they may be whole beyond float64, or among text.

    Lists are taken as objects where NumPy would have changed them, or if it is said that they may be ``mixed``.
    """
    if isinstance(given, np.ndarray):
        return given if isinstance(given, np.ma.MaskedArray) else np.asarray(given)
    objects = mixed and isinstance(given, list | tuple)
    try:
        found = np.array(given, dtype=object) if objects else np.asarray(given)
        changed = found.dtype.kind in "US" or (found.dtype.kind == "f" and (np.abs(found) >= EXACT).any())
        return np.array(given, dtype=object) if changed and isinstance(given, Sequence) else found
    except Exception as error:  # ragged lists, or whatever another library's object says when it is asked
        raise RequestError(f"{demand}, got {type(given).__name__} ({first_line(error)})") from None


def _is_sparse(given: Any) -> bool:
    from scipy import sparse

    return bool(sparse.issparse(given))


def _of_sparse(X: Any) -> Part:
    names = tuple(map(str, range(1, X.shape[1] + 1)))
    if X.dtype.kind not in "biuf":
        return Part(Group(names, OTHER, f"dtype {X.dtype}"), _never)
    by_rows = cache(X.tocsr)
    return Part(Group(names, NUMBER), lambda low, high: by_rows()[low:high].toarray())


def _of_array(array: NDArray[Any]) -> list[Part]:
    names = tuple(map(str, range(1, array.shape[1] + 1)))
    if array.dtype.kind in "biuf":
        return [Part(Group(names, NUMBER), lambda low, high: array[low:high])]
    return [_of_column(name, array[:, j]) for j, name in enumerate(names)]


def _of_frame(frame: nw.DataFrame[Any]) -> list[Part]:
    """Neighbours of one type together, as a matrix."""
    columns = list(frame.schema.items())
    kinds: list[Hashable] = [dtype if _plain(dtype) else j for j, (_, dtype) in enumerate(columns)]
    parts = []
    left = 0
    for kind, run in groupby(kinds):
        right = left + len(list(run))
        if isinstance(kind, int):
            parts.append(_of_series(str(columns[left][0]), frame[:, left], columns[left][1]))
        else:
            names = tuple(str(name) for name, _ in columns[left:right])
            parts.append(Part(Group(names, NUMBER), _matrix(frame, left, right, columns[left][1])))
        left = right
    return parts


def _plain(dtype: Any) -> bool:
    """Whether numbers of this type are those of some type of NumPy."""
    whole = dtype.is_integer() and dtype not in (nw.Int128, nw.UInt128)
    return bool(whole or dtype == nw.Boolean or dtype.is_float())


def _matrix(frame: nw.DataFrame[Any], left: int, right: int, dtype: Any) -> Callable[[int, int], Values]:
    zero: Any = False if dtype == nw.Boolean else 0 if dtype.is_integer() else 0.0

    def read(low: int, high: int) -> Values:
        part = frame[low:high, left:right]
        missing = part.select(nw.all().is_null()).to_numpy().astype(bool)
        if missing.any():  # or whole numbers would come as floats
            part = part.select(nw.all().fill_null(zero))
        values = part.to_numpy()
        if values.dtype.kind == "O":
            values = np.column_stack([part[:, j].to_numpy() for j in range(right - left)])
        return np.ma.array(values, mask=missing) if missing.any() else values

    return read


def _of_series(name: str, series: nw.Series[Any], dtype: Any) -> Part:
    """A column of something else: text, categories, or what only its values can tell."""
    if dtype == nw.String:
        return Part(Group((name,), TEXT), lambda low, high: series[low:high].to_list())
    if dtype in (nw.Object, nw.Unknown):
        return _of_column(name, series.to_numpy())
    if dtype in (nw.Int128, nw.UInt128, nw.Decimal):
        return _of_objects(name, _objects(series.to_list()))
    if dtype in (nw.Categorical, nw.Enum):
        group, read = _of_objects(name, _objects(series.to_list()))
        return Part(group if group.kind == OTHER else Group((name,), TEXT, "categories"), read)
    return Part(Group((name,), OTHER, f"type {str(dtype).partition('(')[0]}"), _never)


def _of_column(name: str, array: NDArray[Any]) -> Part:
    """A single column, of any type of NumPy."""
    kind = array.dtype.kind
    if isinstance(array, np.ma.MaskedArray) and kind not in "biuf":
        values = np.array(array.data, dtype=object)
        values[np.ma.getmaskarray(array)] = None
        return _of_objects(name, values)
    if kind in "biuf":
        # Labels of half or of extended precision are none to pandas.
        with np.errstate(invalid="ignore", over="ignore"):
            narrow = array.astype(np.float64) if kind == "f" else array
            same = ((narrow == array) | (array != array)).all()
        if same:
            return Part(Group((name,), NUMBER), lambda low, high: narrow[low:high])
    if kind in "UT":
        return Part(Group((name,), TEXT), lambda low, high: array[low:high].tolist())
    if kind == "S":
        try:
            array = np.char.decode(array, "utf-8")
        except UnicodeDecodeError:
            return Part(Group((name,), OTHER, "bytes"), _never)
        return Part(Group((name,), TEXT), lambda low, high: array[low:high].tolist())
    if kind == "O":
        return _of_objects(name, array)
    return Part(Group((name,), OTHER, f"dtype {array.dtype}"), _never)


def _objects(values: Sequence[object]) -> NDArray[Any]:
    found = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):  # at once they would be looked into
        found[i] = value
    return found


def _of_objects(name: str, array: NDArray[Any]) -> Part:
    """A column of Python's objects, if all are text, all truth values or all numbers, or missing."""
    import pandas as pd

    try:
        missing = pd.isna(array)
    except InvalidOperation:  # a NaN that signals
        raise RequestError(f"column {short(name)} must hold numbers, got one that is sNaN") from None
    types = {type(value) for value in array[~missing]}
    if types and all(issubclass(one, str) for one in types):
        return Part(Group((name,), TEXT), lambda low, high: array[low:high].tolist())
    if types == {bytes} and not missing.any():
        return _of_column(name, array.astype(np.bytes_))
    if types and all(issubclass(one, Decimal) for one in types):  # exact, as the one parser reads them
        return Part(
            Group((name,), WRITTEN),
            lambda low, high: [
                "" if gone else str(value) for value, gone in zip(array[low:high], missing[low:high], strict=True)
            ],
        )
    truths = {one for one in types if issubclass(one, _TRUTHS)}
    if truths == types or (not truths and all(issubclass(one, _NUMBERS) for one in types)):

        def read(low: int, high: int) -> Values:
            rows = zip(array[low:high], missing[low:high], strict=True)
            return [None if gone else _scalar(name, value) for value, gone in rows]

        return Part(Group((name,), NUMBER), read)
    what = sorted(one.__name__ for one in types)
    return Part(Group((name,), OTHER, f"objects of type {', '.join(what[:3])}"), _never)


def _scalar(name: str, value: Any) -> bool | int | float:
    """A truth value or number as Python's own, whole if it is: exactly, or to the nearest float64."""
    if isinstance(value, _TRUTHS):
        return bool(value)
    if isinstance(value, float | np.floating) or (isinstance(value, Decimal) and not value.is_finite()):
        return float(value)
    long = isinstance(value, Decimal) and value.adjusted() >= LONGEST
    exact = Fraction(0 if long else int(value) if isinstance(value, np.integer) else value)
    if long or abs(exact) >= 10**LONGEST:
        raise RequestError(f"column {short(name)} must hold numbers of at most {LONGEST} digits, got a longer one")
    return int(exact) if exact.denominator == 1 else float(exact)


def _of_labels(y: Any, rows: int, taken: set[str], frame: nw.DataFrame[Any] | None) -> tuple[str, Part]:
    """The label column and its name, which no feature has."""
    found = nw.from_native(y, pass_through=True, allow_series=True)
    if isinstance(found, nw.DataFrame) and len(found.columns) == 1:
        found = found[:, 0]
    if isinstance(found, nw.Series):
        _check_order(frame, found)
        _check_length(rows, (len(found),))
        label = "y" if found.name in (None, "") else str(found.name)
        if frame is not None and label == found.name and label in taken:
            raise RequestError(
                f"X must not hold the label, got a column {short(label)}, as y is called: drop it from X or rename y "
                f"(with the name as y it is the label)"
            )
        (part,) = _of_frame(found.to_frame())
    else:
        if hasattr(y, "to_pylist"):  # an array of Arrow
            y = y.to_pylist()
        array = _array(y, "y must be one-dimensional", mixed=True)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array.reshape(-1)
        _check_length(rows, array.shape)
        label, part = "y", _of_column("y", array)
    while label in taken:
        label += "'"
    return label, Part(part.group._replace(names=(label,)), part.read)


def _check_length(rows: int, shape: tuple[int, ...]) -> None:
    if len(shape) != 1:
        raise RequestError(f"y must be one-dimensional, got shape {shape}")
    if shape[0] != rows:
        raise RequestError(f"y must have length {rows:,}, as X has rows, got {shape[0]:,}")


def _check_order(frame: nw.DataFrame[Any] | None, y: nw.Series[Any]) -> None:
    """Labels go by position: those with X's index in another order would go to others' rows."""
    mine, others = (None if frame is None else nw.maybe_get_index(frame)), nw.maybe_get_index(y)
    if mine is None or others is None or mine.equals(others):
        return
    if len(mine) == len(others) and mine.is_unique and mine.isin(others).all():
        raise RequestError(
            "y must have its labels in the order of the rows of X, got X's index in another order: y.loc[X.index] "
            "puts them in order, y.to_numpy() takes them as they stand"
        )


def _never(low: int, high: int) -> Values:
    raise AssertionError("a column that is no number, text or truth value is never read")
