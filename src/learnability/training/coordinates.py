"""SGD on the orthonormal set e_1, ..., e_d of Brutzkus et al., Section 7.2, coordinate by coordinate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray

__all__ = ["Ends", "by_coordinates"]


class Ends(NamedTuple):
    """Where a run on e_1, ..., e_d, all labelled +1, ends; one entry per example."""

    updates: NDArray[np.int64]
    outputs: FloatArray
    W: FloatArray
    """(2k, d)."""


def by_coordinates(W: FloatArray, eta: float) -> Ends:
    """SGD with ReLU and output weights +1 and -1, exactly, whatever the order: no two examples share a weight.

    Column j of W (2k, d) meets e_j only. While its output is below 1, an update adds eta to the positive w and takes
    eta from the positive u; if there are none of either, the gradient is zero and nothing moves any more.
    """
    W = W.copy()
    k, d = len(W) // 2, W.shape[1]
    updates, outputs = np.zeros(d, np.int64), np.empty(d)
    live = np.arange(d)
    while len(live):
        columns = W[:, live]
        active = columns > 0
        columns = np.where(active, columns, 0.0)
        outputs[live] = columns[:k].sum(axis=0) - columns[k:].sum(axis=0)
        moving = (outputs[live] < 1) & active.any(axis=0)
        live, active = live[moving], active[:, moving]
        W[:k, live] += eta * active[:k]
        W[k:, live] -= eta * active[k:]
        updates[live] += 1
    return Ends(updates, outputs, W)
