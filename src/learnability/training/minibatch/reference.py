"""The oracle of :mod:`learnability.training.minibatch`: one hidden layer, gradients by hand, plain NumPy.

It sees the same start, the same generator and hence the same batches, and must reach the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray

__all__ = ["Hidden", "adadelta", "adam", "gradient", "sgd", "train"]


class Hidden(NamedTuple):
    """f(x) = u · relu(W x + b) + c."""

    W: FloatArray
    """(p, n)"""
    b: FloatArray
    """(p,)"""
    u: FloatArray
    """(p,)"""
    c: FloatArray
    """()"""


def _slopes(loss: str, f: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Loss of each example and its derivative by the output."""
    if loss == "hinge":
        return np.maximum(0.0, 1 - y * f), np.where(y * f < 1, -y, 0.0)
    if loss == "squared":
        return (f - y) ** 2 / 2, f - y
    return np.logaddexp(0.0, -y * f), -y * np.exp(-np.logaddexp(0.0, y * f))


def gradient(params: Hidden, X: FloatArray, y: FloatArray, loss: str) -> tuple[float, float, Hidden]:
    """Mean loss over the batch, share of outputs with y f <= 0, and the gradient of the mean loss."""
    z = X @ params.W.T + params.b
    v = np.maximum(z, 0.0)
    f = v @ params.u + params.c
    losses, slope = _slopes(loss, f, y)
    slope = slope / len(y)
    back = slope[:, None] * params.u * (z > 0)
    return (
        float(losses.mean()),
        float(np.mean(y * f <= 0)),
        Hidden(back.T @ X, back.sum(axis=0), v.T @ slope, slope.sum()),
    )


Step = Callable[[Any, Any, Any, float, float], tuple[Any, Any]]
"""(parameter, its gradient, what the optimiser remembers of it or None, rate, decay) -> (parameter, memory)."""


def sgd(momentum: float) -> Step:
    """PyTorch's SGD: v <- momentum v + (g + decay θ), θ <- θ - rate v."""

    def step(theta: Any, g: Any, memory: Any, rate: float, decay: float) -> tuple[Any, Any]:
        v = g + decay * theta + (0.0 if memory is None else momentum * memory)
        return theta - rate * v, v

    return step


def adadelta(rho: float, epsilon: float) -> Step:
    """Zeiler's Adadelta, scaled by the rate."""

    def step(theta: Any, g: Any, memory: Any, rate: float, decay: float) -> tuple[Any, Any]:
        g = g + decay * theta
        a, b = (np.zeros_like(theta), np.zeros_like(theta)) if memory is None else memory
        a = rho * a + (1 - rho) * g**2
        d = g * np.sqrt(b + epsilon) / np.sqrt(a + epsilon)
        return theta - rate * d, (a, rho * b + (1 - rho) * d**2)

    return step


def adam(beta1: float, beta2: float, epsilon: float) -> Step:
    """Kingma and Ba's Adam."""

    def step(theta: Any, g: Any, memory: Any, rate: float, decay: float) -> tuple[Any, Any]:
        g = g + decay * theta
        m, v, t = (np.zeros_like(theta), np.zeros_like(theta), 0) if memory is None else memory
        m, v, t = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2, t + 1
        return theta - rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon), (m, v, t)

    return step


def train(
    params: Hidden,
    X: FloatArray,
    y: FloatArray,
    *,
    step: Step,
    learning_rate: float,
    weight_decay: float,
    batch: int,
    epochs: int,
    rng: np.random.Generator,
    loss: str,
    trainable: tuple[str, ...] = Hidden._fields,
    schedule: Callable[[int], float] = lambda epoch: 1.0,
) -> tuple[Hidden, NDArray[np.float64]]:
    """Parameters after the last epoch, and for each epoch the mean loss and error of its examples as they came."""
    memory: dict[str, Any] = dict.fromkeys(trainable)
    means = []
    for epoch in range(1, epochs + 1):
        order = rng.permutation(len(y))
        seen = np.zeros(2)
        for first in range(0, len(y), batch):
            chosen = order[first : first + batch]
            mean, error, slope = gradient(params, X[chosen], y[chosen], loss)
            seen += len(chosen) / len(y) * np.array([mean, error])
            rate = learning_rate * schedule(epoch)
            for name in trainable:
                new, memory[name] = step(
                    getattr(params, name), getattr(slope, name), memory[name], rate, weight_decay
                )
                params = params._replace(**{name: new})
        means.append(seen)
    return params, np.array(means)
