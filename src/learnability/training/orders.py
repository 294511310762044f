"""The order in which examples are visited."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["example_orders"]


def example_orders(rng: np.random.Generator, m: int, epochs: int) -> NDArray[np.int32]:
    """Independent uniform permutations of 0..m-1, one a row.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws ``epochs * m`` uniform doubles, row by row: asking for rows one at a time or all at once gives the
        same orders.
    m, epochs : int
        Shape of the result.

    Returns
    -------
    (epochs, m) int32 array
    """
    return _inside_out_shuffle(rng.random((epochs, m)))  # type: ignore[no-any-return]


@njit(cache=True)
def _inside_out_shuffle(u):  # type: ignore[no-untyped-def]
    epochs, m = u.shape
    order = np.empty((epochs, m), np.int32)
    for e in range(epochs):
        for i in range(m):
            j = int(u[e, i] * (i + 1))
            order[e, i] = order[e, j]
            order[e, j] = i
    return order
