"""What the examples of a source are made of, for compiled loops.

An example is some rows of a table side by side: one row of a sample, k images of a strip. The inputs of a layer stand
in the order of the parts, whatever the order is that the model sees.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.compiling import njit
from learnability.errors import RequestError
from learnability.problems import strips
from learnability.training.minibatch import sources
from learnability.training.minibatch.fused.loops import Inputs
from learnability.training.minibatch.sources import Source

__all__ = ["CHUNK", "SPARSE", "Parts", "divided", "of_visits"]

CHUNK = 200
"""Most columns that are taken together: of a block of units so many weights fill the first cache in float32."""
SPARSE = 0.4
"""Share of non-zeros below which rows of them are taken: a term of a sparse sum costs about as much as two terms of a
product, at every width (``python -m benchmarks.parity_minibatch`` has the table)."""


class Parts(NamedTuple):
    """A source of which the parts are known."""

    source: Source
    in_one: int
    """Rows of the table in an example; 0 where every epoch has a table of its own."""
    order: NDArray[Any] | None
    """Which input of the model each column is; None if each is its own."""

    @classmethod
    def of(cls, source: Source, n: int) -> Parts | None:
        """The parts of a source of examples of n inputs and one label; None if they are not known."""
        if source.gather is sources._themselves:
            return cls(source, 0, None)
        if source.gather is sources._rows:
            X, y = source.store
            return cls(source, 1, None) if np.ndim(X) == 2 and np.ndim(y) == 1 and np.shape(X)[1] == n else None
        if source.gather is strips.gather:
            h, w = source.store[0].shape[1:]
            k = n // (h * w)
            order = np.arange(n).reshape(h, k, w).transpose(1, 0, 2).reshape(-1) if n == h * k * w else None
            return None if order is None else cls(source, k, order if k > 1 else None)
        return None

    def inputs(self, order: NDArray[Any] | None, dtype: str) -> Inputs:
        """The table, where there is one for all epochs, with its columns in the given order."""
        if self.source.gather is sources._rows:
            X = np.asarray(self.source.store[0])
            return divided(X if order is None else X[:, order], 1.0, 1, dtype)
        images, _, highest = self.source.store
        return divided(np.asarray(images).reshape(len(images), -1), float(highest), self.in_one, dtype)

    def rows(self, visits: Any, dtype: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rows of the table (b, parts), and labels (b,)."""
        visits = np.asarray(visits)
        if self.source.gather is sources._rows:
            rows, y = visits[:, None], np.asarray(self.source.store[1])[visits]
        else:
            rows, y = visits, np.asarray(self.source.store[1])[visits].prod(axis=1)
        return np.ascontiguousarray(rows, np.int64), y.astype(dtype)

    def agrees(self, order: NDArray[Any] | None) -> bool:
        """Whether its columns can be put into an order."""
        return self.in_one < 2 or (order is not None and self.order is not None and bool((order == self.order).all()))


def of_visits(
    visits: Any, n: int, order: NDArray[Any] | None, dtype: str
) -> tuple[Inputs, NDArray[Any], NDArray[Any]]:
    """Table, rows and labels of an epoch of fresh examples."""
    X, y = (np.asarray(part) for part in visits)
    if X.ndim != 2 or X.shape[1] != n or y.shape != X.shape[:1]:
        raise RequestError(f"source.draw must return X (b, {n}) and y (b,), got shapes {X.shape} and {y.shape}")
    return (
        divided(X if order is None else X[:, order], 1.0, 1, dtype),
        np.arange(len(X))[:, None],
        y.astype(dtype),
    )


def divided(
    table: NDArray[Any], scale: float, parts: int, dtype: str, sparse: bool | None = None, chunk: int = 0
) -> Inputs:
    """The inputs made of rows of a table, in chunks.

    Parameters
    ----------
    table : (N, d) array
        Unsigned bytes, or real numbers.
    scale : float
        By which it is to be divided.
    parts : int
        Rows in an example.
    dtype : {"float32", "float64"}
    sparse : bool, optional
        Whether to keep rows of non-zeros; by the share of them, :data:`SPARSE`, if not given.
    chunk : int
        Columns that are taken together; at most :data:`CHUNK`, as equal as can be, if 0.
    """
    d = table.shape[1]
    dense = np.ascontiguousarray(table if table.dtype == np.uint8 else table.astype(dtype))
    chunk = chunk or math.ceil(d / math.ceil(d / CHUNK))
    many = int(np.count_nonzero(dense))
    sparse = many < SPARSE * dense.size if sparse is None else sparse
    by = np.dtype(dtype).type(scale)
    starts = np.zeros((len(dense) if sparse else 0, math.ceil(d / chunk) + 1), np.int64)
    columns, values = np.empty(many if sparse else 0, np.uint16), np.empty(many if sparse else 0, dtype)
    if sparse:
        _non_zeros(dense, by, chunk, starts, columns, values)
    return Inputs(dense, by, parts, chunk, bool(sparse), starts, columns, values)


@njit(error_model="numpy")
def _non_zeros(table, scale, chunk, starts, columns, values):  # type: ignore[no-untyped-def]
    at = 0
    for i in range(table.shape[0]):
        for part in range(starts.shape[1] - 1):
            starts[i, part] = at
            first = part * chunk
            for j in range(first, min(first + chunk, table.shape[1])):
                if table[i, j] != 0:
                    columns[at] = j - first
                    values[at] = values.dtype.type(table[i, j]) / scale
                    at += 1
        starts[i, starts.shape[1] - 1] = at
