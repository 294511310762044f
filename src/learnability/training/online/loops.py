"""What the compiled loops of the online engine share: :mod:`frozen`, :mod:`plain_loops` and :mod:`apart_loops`.

All run whole epochs of a given order and stop after an epoch without updates. They share a layout: neurons run along
rows of C-contiguous arrays padded to a multiple of ``LANES`` with neurons that are zero for ever, so that the inner
loops are straight vector code; the bias is one more input that is always 1 (column n of the sparse rows and row n of
``WT``). Strict IEEE arithmetic, no fastmath: sums over neurons are folded in halves, an order that is fixed and
vectorises.

Each returns ``(epochs_run, updates, status)`` and moves its state arrays in place. Nothing else is kept from one
visit to the next, so it does not matter after which epochs a call ends. After an epoch that leaves a number above
``large`` a loop returns ``LARGE``: whoever called looks whether all is finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.compiling import njit
from learnability.training.vector.ahead import prefetch
from learnability.training.vector.rows import LANES, aligned, fold

__all__ = ["AHEAD", "EPS", "FAR", "HUGE", "fetch", "norm_of", "padded", "spaced"]

HUGE = 1e300
EPS = 2.0**-52  # twice the relative error of one operation
FAR = 20_000  # examples beyond which a sample no longer stays in the second cache: rows are fetched ahead
AHEAD = 6  # visits


@njit(inline="always")
def norm_of(rows, t, L):  # type: ignore[no-untyped-def]
    """Norm of all entries of the first L columns; overwrites t (L,). NaN or infinite if one of them is."""
    for j in range(L):
        t[j] = 0.0
    for a in range(rows.shape[0]):
        for j in range(L):
            t[j] += rows[a, j] * rows[a, j]
    return np.sqrt(fold(t, L))


@njit(inline="always")
def fetch(y, indptr, columns, values, i, later):  # type: ignore[no-untyped-def]
    """Ask for the entries of one example, and for what tells where those of a later one are."""
    lo, hi = indptr[i], indptr[i + 1]
    for q in range(lo, hi, 8):
        prefetch(values, q)
    for q in range(lo, hi, 16):
        prefetch(columns, q)
    prefetch(columns, hi - 1)
    prefetch(values, hi - 1)
    prefetch(indptr, later)
    prefetch(y, later)


def padded(rows: NDArray[np.float64]) -> NDArray[Any]:
    """The rows, filled with zeros up to a multiple of ``LANES``."""
    K, L = rows.shape
    out: NDArray[np.float64] = aligned(K, max(1, -(-L // LANES)) * LANES)
    out[:, :L] = rows
    return out


def spaced(rows: int, L: int) -> NDArray[Any]:
    """Zeros (rows, L), L a multiple of ``LANES``, and more columns where rows would lie a multiple of 1 KiB apart.

    The loops take rows in blocks of 32 neurons. At such distances all rows of a block share a few sets of the first
    cache and drive each other out: at 512 neurons a visit takes 1.7 times as long.
    """
    stride = L if L % 128 else L + LANES
    found: NDArray[np.float64] = aligned(rows, stride)
    return found
