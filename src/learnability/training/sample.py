"""A sample as an engine wants it: checked, of one type, looked through in one pass."""

from __future__ import annotations

import hashlib
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.compiling import njit
from learnability.training.vector.lanes import INT, Lanes, compiled, pointers

__all__ = ["Sample"]


class Sample:
    """Inputs of an engine.

    A short run takes no longer than a few passes over its sample, so what an engine has to know of it beforehand is
    found in one: whether all is finite, norms, and a fingerprint for states. What has the right type is not
    copied.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    value : (m, d) array
        Finite real numbers.
    dtype : numpy.dtype
        float64 or float32.
    columns : int
        What d must be.

    Raises
    ------
    ValueError
        If the value is something else.
    """

    X: NDArray[Any]
    norms: NDArray[np.float64]
    """(m,) Euclidean norms."""
    moderate: bool
    """Whether products of inputs are in the range of the type."""
    density: float
    """Share of the entries that are not 0, in some 64 rows evenly spaced."""

    def __init__(self, name: str, value: ArrayLike, dtype: np.dtype[Any], columns: int) -> None:
        array: NDArray[Any] = value if type(value) is np.ndarray else np.zeros(0)
        if array.dtype not in (np.float64, np.float32) or array.shape[1:] != (columns,) or not array.size:
            array = checks.matrix(name, value, columns=columns)
        with np.errstate(over="ignore"):
            self.X = np.ascontiguousarray(array, dtype=dtype)
        with np.errstate(over="ignore"):  # sums modulo 2^64, which NumPy warns of where nothing is compiled
            squares, self._words = _survey(self.X, self.X.view(f"u{dtype.itemsize}"), _weights(columns))
        self.norms = np.sqrt(squares)
        # squares that are out of range, or not precise
        odd = np.flatnonzero(~((squares > _LEAST[dtype.itemsize]) & (squares < np.inf)))
        self.moderate = True
        if len(odd):
            checks.matrix(name, array)
            checks.matrix(f"{name} in {dtype}", self.X)
            self.norms[odd] = _scaled_norms(self.X[odd].astype(np.float64))
            self.moderate = not self.norms[odd].any()
        some = self.X[:: max(1, len(self.X) // 64)] != 0
        self.density = np.count_nonzero(some) / some.size

    @cached_property
    def fingerprint(self) -> str:
        """Of type, shape and every bit: two samples share it by accident with a chance of some 2^-60."""
        told = f"{self.X.dtype}{self.X.shape}".encode()
        return hashlib.sha256(told + self._words.tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self.X)


_LEAST = {4: 1e-25, 8: 1e-280}
"""Sums of squares from which on they are precise, by the size of a number."""


def _scaled_norms(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Norms of rows whose squares may be out of range."""
    largest = np.abs(rows).max(axis=1)
    with np.errstate(over="ignore"):
        found: NDArray[np.float64] = largest * np.linalg.norm(
            rows / np.where(largest > 0, largest, 1.0)[:, None], axis=1
        )
    return found


@lru_cache(maxsize=4)
def _weights(columns: int) -> NDArray[np.uint64]:
    """Random odd numbers, always the same."""
    return np.random.PCG64(0x1EA4AB).random_raw(columns) | np.uint64(1)


@intrinsic
def _square(typing: Any, X: Any, i: Any) -> Any:
    """The sum of squares of row i, in four chains of vectors."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (start,), (d,) = pointers(context, builder, signature.args[:1], arguments[:1])
        row = builder.gep(start, [builder.mul(arguments[1], d)])
        whole, one = Lanes(builder, signature.args[0].dtype), Lanes(builder, signature.args[0].dtype, 1)
        step = 4 * whole.width
        middle = builder.mul(builder.sdiv(d, INT(step)), INT(step))
        sums, rest = whole.zeros(4), one.zeros(1)
        with cgutils.for_range_slice(builder, INT(0), middle, INT(step)) as (a, _):
            for k, each in enumerate(sums):
                x = whole.load(row, builder.add(a, INT(k * whole.width)))
                whole.add(x, x, each)
        with cgutils.for_range_slice(builder, middle, d, INT(1)) as (a, _):
            x = one.load(row, a)
            one.add(x, x, rest[0])
        s0, s1, s2, s3 = (builder.load(each) for each in sums)
        total = whole.folded(builder.fadd(builder.fadd(s0, s2), builder.fadd(s1, s3)))
        return builder.fadd(total, builder.load(rest[0]))

    return X.dtype(X, types.int64), code


@compiled(lambda X, i: X[i] @ X[i])
def _squares(X, i):  # type: ignore[no-untyped-def]
    return _square(X, i)  # type: ignore[call-arg]


@njit
def _survey(X, words, weights):  # type: ignore[no-untyped-def]
    """Of each row the sum of squares and a fingerprint.

    The fingerprint is a sum of words times random weights, modulo 2^64. Upper bits are mixed into lower ones before,
    since of the product of a high bit nothing but a high bit is left, and after, so that it is not linear.
    """
    m, d = X.shape
    squares, found = np.empty(m), np.empty(m, np.uint64)
    half, part = np.uint64(32), np.uint64(29)
    for i in range(m):
        squares[i] = _squares(X, i)
        total = np.uint64(0)
        for a in range(d):
            word = np.uint64(words[i, a])
            word = (word ^ (word >> half)) * weights[a]
            total += word ^ (word >> part)
        found[i] = total
    return squares, found
