"""The last layer in whole numbers: what float64 cannot decide."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.networks.one_hidden import OneHidden

__all__ = ["Exact"]

Array = NDArray[np.float64]


class Exact:
    r"""Decisions from the signed number of updates of each point, without rounding.

    Every float64 is a whole multiple of some power of 1/2. With the lifted points :math:`v_k = (act(W x_k + B), 1)`,
    the signed numbers of updates :math:`c_l` and the step u = p / q, outputs are
    :math:`v_k \cdot ((M, b) + u \sum_l c_l v_l)`. Held are D v_k, formed when first needed, and q D times the
    bracket, for a D that makes all of these whole.

    Parameters
    ----------
    params : OneHidden
        The start.
    inputs : (K, n) array
    features : (K, L) array or None
        Outputs of the hidden layer, where float64 defines them (sigmoid); None for ReLU, which is formed here.
    unit, beta : Fraction
        Step and confidence.
    moved : (L + 1,) array, optional
        What was added to (M, b) before, in units of the step.
    """

    def __init__(
        self,
        params: OneHidden,
        inputs: Array,
        features: Array | None,
        unit: Fraction,
        beta: Fraction,
        moved: Array | None = None,
    ) -> None:
        layer = (inputs, params.W, params.B) if features is None else (features,)
        added = np.zeros(len(params.M) + 1) if moved is None else moved
        arrays = (params.M, np.array([params.b]), added, *layer)
        self.scale = max(value.as_integer_ratio()[1] for array in arrays for value in array.ravel().tolist())
        M, b, whole, *self.hidden = (_whole(array, self.scale) for array in arrays)
        one = self.one = self.scale if features is not None else self.scale**2
        self.step = unit.numerator
        self.weights = (one // self.scale) * (unit.denominator * np.append(M, b) + self.step * whole)
        self.threshold = beta * unit.denominator * one * one
        self.count = np.zeros(len(inputs))
        self.points: dict[int, NDArray[Any]] = {}

    def _point(self, k: int) -> NDArray[Any]:
        if k not in self.points:
            first, *layer = self.hidden
            v = first[k]
            if layer:
                W, B = layer
                v = np.maximum(W @ v + self.scale * B, 0)
            self.points[k] = np.append(v, self.one)
        return self.points[k]

    def above(self, k: int, label: float, count: Array) -> bool:
        """Whether y f > beta at point k, after ``count`` (K,) updates."""
        for changed in np.flatnonzero(count != self.count):
            made = int(count[changed] - self.count[changed])
            self.weights = self.weights + self.step * made * self._point(int(changed))
        self.count = count.copy()
        return bool(int(label) * (self._point(k) @ self.weights) > self.threshold)


def _whole(array: Array, scale: int) -> NDArray[Any]:
    """The entries times a scale that makes them whole, as integers of any size."""
    found = np.empty(array.size, dtype=object)
    found[:] = [int(Fraction(value) * scale) for value in array.ravel().tolist()]
    return found.reshape(array.shape)
