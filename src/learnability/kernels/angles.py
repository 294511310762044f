r"""Angles between inputs, right to rounding: kernels with an arccosine have a root at its ends.

From a cosine that is wrong by e, the angle :math:`\arccos \rho` near 0 or pi is wrong by :math:`\sqrt{2e}`, 1.5e-8
for one rounding. Such pairs (an input with itself among them) are looked at again: for rows u, v of norm 1 the angle
is :math:`2 \arcsin (|u - v| / 2)`, and pi less :math:`2 \arcsin (|u + v| / 2)`. What goes on with is the gap
:math:`E = 1 - \rho`, which has its digits where it is small.

A layer of ReLU units of infinite width takes the covariances :math:`a^2, b^2, ab\rho` to
:math:`a'^2 = \tfrac w2 a^2 + \beta` and :math:`\tfrac w2 ab \kappa_1(\rho) + \beta`. Its gap is a sum of terms >= 0,

.. math:: E' = \frac w{2 a' b'} \Bigl( ab (1 - \kappa_1) + \frac{\beta (a - b)^2}{a' b' + \frac w2 ab + \beta}
          \Bigr) , \qquad 1 - \kappa_1 = E - \frac{\sin \theta - \theta \cos \theta}{\pi} ,

since :math:`a'^2 b'^2 - (\tfrac w2 ab + \beta)^2 = \tfrac w2 \beta (a - b)^2`. The second is right to a rounding of
theta, which is one of theta'.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray

__all__ = ["Angles", "angles", "direction", "ends", "gate", "kappa1", "layer", "squares"]

IntArray = NDArray[np.intp]

NEAR = 1e-3
"""How near to an end a cosine is found anew: farther away the root loses a digit and a half."""
_BLOCK = 2**20
"""Entries of rows looked at again in one go."""


class Angles(NamedTuple):
    """Of each pair of inputs, (n, r)."""

    theta: FloatArray
    """In [0, pi]."""
    gap: FloatArray
    """1 less the cosine."""
    sine: FloatArray


def squares(X: FloatArray) -> FloatArray:
    """Squared norm of each row, infinite where it leaves float64."""
    with np.errstate(over="ignore"):
        return np.asarray(np.einsum("ij,ij->i", X, X))


def direction(X: FloatArray, weight: float = 1.0, bias: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """The norms of the rows (sqrt(weight) x, sqrt(bias)), and these over their norms (0 where that is 0)."""
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt(weight * squares(X) + bias)
        safe = np.where(norms > 0, norms, 1.0)
        unit = X * (math.sqrt(weight) / safe)[:, None]
        if bias > 0:
            unit = np.column_stack([unit, math.sqrt(bias) / safe])
    return norms, unit


def angles(U: FloatArray, V: FloatArray) -> Angles:
    """Between rows of norm 1, or 0, which is at a right angle to all."""
    rho = U @ V.T
    np.clip(rho, -1.0, 1.0, out=rho)
    again = ends(rho, U, V)
    theta: FloatArray = np.arccos(rho)
    gap = np.subtract(1.0, rho, out=rho)
    sine = _sine(gap)
    for sign, i, j, angle in again:
        theta[i, j] = angle if sign > 0 else math.pi - angle
        near = 2 * np.sin(angle / 2) ** 2
        gap[i, j] = near if sign > 0 else 2 - near
        sine[i, j] = np.sin(angle)
    return Angles(theta, gap, sine)


def ends(
    rho: FloatArray, U: FloatArray, V: FloatArray, short: tuple[FloatArray, FloatArray] | None = None
) -> Iterator[tuple[int, IntArray, IntArray, FloatArray]]:
    """The pairs of rows whose cosine is within :data:`NEAR` of an end: sign, i, j and the angle to it, in blocks.

    ``short``: what the squared norms of the rows of U and of V are below 1, in directions of their own.
    """
    size = max(1, _BLOCK // U.shape[1])
    # Now: rho may be overwritten.
    found = ((1, np.flatnonzero(rho > 1 - NEAR)), (-1, np.flatnonzero(rho < NEAR - 1)))

    def again() -> Iterator[tuple[int, IntArray, IntArray, FloatArray]]:
        for sign, pairs in found:
            for lo in range(0, len(pairs), size):
                i, j = np.divmod(pairs[lo : lo + size], len(V))
                chord = squares(U[i] - sign * V[j])
                if short is not None:
                    chord += short[0][i] + short[1][j]
                yield sign, i, j, 2 * np.arcsin(np.minimum(np.sqrt(chord) / 2, 1.0))

    return again()


def gate(theta: FloatArray) -> FloatArray:
    """kappa_0 of the angle."""
    value: FloatArray = theta * (-1.0 / math.pi)
    value += 1.0
    return value


def kappa1(between: Angles, kappa0: FloatArray) -> FloatArray:
    """kappa_1 of the angle, beside its kappa_0."""
    value = 1.0 - between.gap
    value *= kappa0
    value += between.sine / math.pi
    return value


def layer(between: Angles, a: FloatArray, b: FloatArray, weight: float, bias: float) -> Angles:
    """Angles after a layer of ReLU units, from those before and the norms a (n,), b (r,) before."""
    gap = between.gap * between.theta
    gap -= between.theta
    gap += between.sine
    gap /= -math.pi
    gap += between.gap  # 1 - kappa_1
    with np.errstate(over="ignore", invalid="ignore"):
        if bias > 0:
            c, d = (np.sqrt(0.5 * weight * norm**2 + bias) for norm in (a, b))
            gap *= np.multiply.outer(0.5 * weight * a / c, b / d)
            if max(a.max(), b.max()) - min(a.min(), b.min()) > 1e-15 * a.max():
                apart = np.subtract.outer(a, b)
                apart *= apart
                below = np.multiply.outer(0.5 * weight * a, b)
                scale = np.multiply.outer(c, d)
                below += scale
                below += bias
                below *= scale
                apart *= 0.5 * weight * bias
                apart /= below
                gap += apart
        elif not (a.all() and b.all()):
            gap[np.multiply.outer(a, b) == 0] = 1.0  # nothing is at a right angle to all
    np.clip(gap, 0.0, 1.0, out=gap)
    theta: FloatArray = gap * 0.5
    np.sqrt(theta, out=theta)
    np.arcsin(theta, out=theta)
    theta *= 2
    return Angles(theta, gap, _sine(gap))


def _sine(gap: FloatArray) -> FloatArray:
    value: FloatArray = np.subtract(2.0, gap)
    value *= gap
    return np.sqrt(value, out=value)
