"""The steps of :mod:`learnability.training.minibatch.optimisers`, of a piece of a layer while it is in the cache.

What an optimiser remembers of a weight is at most two numbers, ``first`` and ``second``: the velocity; Adadelta's
mean squares of gradients and of steps; Adam's two means.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.compiling import njit
from learnability.training.minibatch.optimisers import Adadelta, Adam, Sgd

__all__ = ["ADADELTA", "ADAM", "MOMENTUM", "SGD", "code", "constants", "kept", "prepare", "update"]

SGD, MOMENTUM, ADADELTA, ADAM = range(4)


def code(rule: object) -> int | None:
    """Which of the rules this is; None if it is another one."""
    if type(rule) is Sgd:
        return MOMENTUM if rule.momentum else SGD
    return {Adadelta: ADADELTA, Adam: ADAM}.get(type(rule))


def kept(which: int) -> int:
    """How many numbers a rule remembers of a weight."""
    return (0, 1, 2, 2)[which]


def constants(rule: Any, rate: float, decay: float, dtype: str) -> NDArray[Any]:
    """What :func:`update` reads: rate, decay, two factors, epsilon, and two numbers of Adam's step."""
    names: dict[type, tuple[str, str, str]] = {
        Sgd: ("momentum", "", ""), Adadelta: ("rho", "", "epsilon"), Adam: ("beta1", "beta2", "epsilon")
    }  # fmt: skip
    one, two, epsilon = (float(getattr(rule, name)) if name else 0.0 for name in names[type(rule)])
    return np.array([rate, decay, one, two, epsilon, 1 - one, 1 - two, 0.0, 0.0], dtype)


@njit(error_model="numpy")
def prepare(which, c, step):  # type: ignore[no-untyped-def]
    """Before step 1, 2, ...: what Adam's means are divided by."""
    if which == ADAM:
        c[7] = 1.0 / (1.0 - float(c[2]) ** step)
        c[8] = 1.0 / (1.0 - float(c[3]) ** step)


@njit(error_model="numpy")
def update(which, c, theta, first, second, g, at, count):  # type: ignore[no-untyped-def]
    """One step of the weights ``theta[at : at + count]``; g[:count] is their gradient, all are flat."""
    w, a, s = theta[at : at + count], first[at : at + count], second[at : at + count]  # so that no index is negative
    rate, decay, one, two, epsilon = c[0], c[1], c[2], c[3], c[4]
    rest, others, by, by_second = c[5], c[6], c[7], c[8]
    if which == SGD:
        for i in range(count):
            w[i] -= rate * (g[i] + decay * w[i])
    elif which == MOMENTUM:
        for i in range(count):
            v = one * a[i] + (g[i] + decay * w[i])
            a[i] = v
            w[i] -= rate * v
    elif which == ADADELTA:
        for i in range(count):
            slope = g[i] + decay * w[i]
            squares = one * a[i] + rest * (slope * slope)
            steps = s[i]
            d = slope * math.sqrt((steps + epsilon) / (squares + epsilon))
            a[i] = squares
            s[i] = one * steps + rest * (d * d)
            w[i] -= rate * d
    else:
        for i in range(count):
            slope = g[i] + decay * w[i]
            mean = one * a[i] + rest * slope
            squares = two * s[i] + others * (slope * slope)
            a[i] = mean
            s[i] = squares
            w[i] -= rate * ((mean * by) / (math.sqrt(squares * by_second) + epsilon))
