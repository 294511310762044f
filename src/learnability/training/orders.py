"""The order in which examples are visited."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learnability.compiling import njit

__all__ = ["ORDERS", "example_orders", "visits"]

ORDERS = ("shuffle", "iid", "cyclic")


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


def visits(rng: np.random.Generator, m: int, epochs: int, order: str) -> NDArray[np.int32]:
    """The examples visited, (epochs, m), in one of three orders.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws ``epochs * m`` uniform doubles (none for ``cyclic``); rows come out the same one at a time or at once.
    m, epochs : int
        Shape of the result.
    order : {"shuffle", "iid", "cyclic"}
        A fresh permutation for each epoch; independent uniform draws with replacement; or 0, 1, .., m-1 again and
        again.
    """
    if order == "shuffle":
        return example_orders(rng, m, epochs)
    if order == "iid":
        return (rng.random((epochs, m)) * m).astype(np.int32)
    return np.tile(np.arange(m, dtype=np.int32), (epochs, 1))


@njit
def _inside_out_shuffle(u):  # type: ignore[no-untyped-def]
    epochs, m = u.shape
    order = np.empty((epochs, m), np.int32)
    for e in range(epochs):
        for i in range(m):
            j = int(u[e, i] * (i + 1))
            order[e, i] = order[e, j]
            order[e, j] = i
    return order
