"""Two sets of inputs, and the memory that a kernel between them may take.

A kernel's result has an entry for every pair of rows; its temporaries are as large. Functions of this room say before
any work that they would exceed :data:`MEMORY`, and how many rows would not. What is larger is made block by block, as
:func:`learnability.kernels.machine.gram` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.memory import allowed

__all__ = ["MEMORY", "WORKSPACE", "affordable", "blocks", "inner_products", "pair", "rows", "within"]

State = TypeVar("State")

MEMORY = 3 * 2**30
"""Bytes that a kernel between two sets of inputs may take, temporaries counted in, if so many are available."""
WORKSPACE = 2**28
"""Bytes of a finite network's activations held at a time, for both sets of inputs together."""


def pair(X: ArrayLike, Z: ArrayLike, arrays: int) -> tuple[FloatArray, FloatArray]:
    """Inputs X (n, d) and Z (r, d), checked, for a kernel that needs so many arrays of n r floats.

    Raises
    ------
    ValueError
        If the columns disagree, an entry is not finite, or the arrays would exceed :data:`MEMORY`.
    """
    X = checks.matrix("X", X)
    Z = checks.matrix("Z", Z, columns=X.shape[1])
    affordable(8 * arrays, len(X), len(Z))
    return X, Z


def affordable(each: int, n: int, r: int) -> None:
    """Refuse a kernel between n and r inputs that takes ``each`` bytes for a pair of them."""
    limit = int(allowed(MEMORY, each * n * r))
    if each * n * r > limit:
        most = limit // (each * r)
        square = math.isqrt(limit // each)
        least = f"X must have at most {most} rows for {r} rows of Z" if most else f"Z must have fewer rows than {r}"
        raise RequestError(
            f"{least} ({square} rows of each would fit): the kernel would take {each * n * r / 2**30:.3g} GiB of "
            f"{limit / 2**30:.3g}, got {n} rows of X; make it in blocks of rows"
        )


def within(K: FloatArray, **causes: ArrayLike) -> FloatArray:
    """The kernel K, if all of it is finite; otherwise an error with names and sizes of what makes it too large."""
    if not np.isfinite(K).all():
        sizes = (
            f"entries of {name} up to {np.abs(value).max():g}"
            if np.ndim(value)
            else f"{name} = {float(np.asarray(value)):g}"
            for name, value in causes.items()
        )
        raise RequestError(f"{', '.join(causes)} must keep the kernel within float64, got {', '.join(sizes)}")
    return K


def blocks(
    state: Callable[[FloatArray], State], X: FloatArray, Z: FloatArray, floats: int
) -> Iterator[tuple[slice, State, slice, State, bool]]:
    """Rows and states of X and of Z, block by block; of equal X and Z one half, to be mirrored off the diagonal.

    A row's state takes so many floats.
    """
    same = np.array_equal(X, Z)
    # A single block needs one state, and no second one beside it.
    share = 1.0 if same and 8 * floats * len(X) <= WORKSPACE else 0.5
    for i in rows(len(X), floats, share):
        x = state(X[i])
        for j in rows(len(Z), floats, share):
            if not same or j.start > i.start:
                yield i, x, j, state(Z[j]), same
            elif j == i:
                yield i, x, j, x, False


def inner_products(
    features: Callable[[FloatArray], FloatArray], X: FloatArray, Z: FloatArray, floats: int, divisor: float = 1.0
) -> FloatArray:
    """Inner products of features over a divisor, block by block; a row of features takes so many floats.

    Of equal X and Z the features are computed once, and half of the products: the other half is theirs.
    """
    result = np.empty((0, 0))
    for i, left, j, right, mirrored in blocks(features, X, Z, floats):
        found = left @ right.T  # of one array with itself a product that is symmetric, in half the time
        if divisor != 1.0:
            found /= divisor
        if found.shape == (len(X), len(Z)):
            return found
        if not result.size:
            result = np.empty((len(X), len(Z)))
        result[i, j] = found
        if mirrored:
            result[j, i] = found.T
    return result


def rows(n: int, floats: int, share: float = 0.5) -> Iterator[slice]:
    """Blocks of n rows, of so many floats each, that fill a share of the workspace."""
    step = max(1, int(share * WORKSPACE / (8 * floats)))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))
