"""Sums of products whose rounding is known: what a certificate proves in real numbers, from floats.

The product of two floats is the sum of two floats (Dekker, "A floating-point technique for extending the available
precision", Numerische Mathematik 18, 1971), and :func:`math.fsum` rounds a sum of floats once. So a scalar product is
known to one rounding however much of it cancels. Nothing may overflow or vanish on the way: the points are scaled
(:class:`learnability.theory.margins.points.Points`), and entries 1e290 apart from the largest count as zero.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from learnability.checks import FloatArray

__all__ = ["dots", "length", "outward"]

_ONCE = 4 * float(np.finfo(np.float64).eps)
"""More than the relative error of a few roundings, one after the other."""


def dots(rows: FloatArray, w: ArrayLike) -> FloatArray:
    """The products rows @ w of (m, d) and (d,), each rounded once."""
    w = np.broadcast_to(np.asarray(w, dtype=np.float64), rows.shape)
    product = rows * w
    (a, b), (c, d) = _halves(rows), _halves(w)
    rest = b * d - (((product - a * c) - b * c) - a * d)
    return np.array([math.fsum(terms) for terms in np.concatenate([product, rest], axis=1).tolist()])


def length(x: FloatArray) -> float:
    """|x|, to within :func:`outward`."""
    size = float(np.abs(x).max(initial=0.0))
    if size == 0.0:
        return 0.0
    unit = math.ldexp(1.0, math.frexp(size)[1])
    scaled = x / unit
    return math.sqrt(float(dots(scaled[None], scaled)[0])) * unit


def outward(value: float, sign: int) -> float:
    """``value`` >= 0, moved up or down (``sign`` 1 or -1) by more than a few roundings."""
    return value * (1 + sign * _ONCE)


def _halves(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two floats of at most 26 bits whose sum is x (Veltkamp)."""
    spread = 134217729.0 * x  # 2^27 + 1
    high = spread - (spread - x)
    return high, x - high
