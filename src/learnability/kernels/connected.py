r"""Kernels of one fully connected ReLU network of any depth at finite width, in blocks that bound the memory.

The network and its parametrisation are those of :mod:`learnability.kernels.closed_form`, whose kernels these tend to
as all widths grow: :math:`z^l = W^l h^{l-1} + \beta^l`, :math:`h^l = \max(z^l, 0)`, outputs :math:`A h^L`, entries of
:math:`W^l` and A of variance w over the width of the layer before (1 for the inputs), each layer trained at a rate in
proportion to that variance, biases at the rate t:

.. math:: K(x, x') = \frac1k \sum_r \Bigl[ \frac{w}{m_L} \langle h^L, h'^L \rangle + t + \sum_{l=1}^L
          \bigl( \tfrac{w}{m_{l-1}} \langle h^{l-1}, h'^{l-1} \rangle + t \bigr)
          \langle \delta^{l,r}, \delta'^{l,r} \rangle \Bigr],
          \qquad \delta^{l,r} = \partial out_r / \partial z^l .

With L = 1 and inputs (x, 1) this is ``2layer`` of the residual study up to its scales; the ResNet and its ``3layer``
are :mod:`learnability.kernels.residual_empirical`. Nothing has the number of parameters as a dimension. The ReLU has
slope 0 at 0. Float64; :func:`features` and :func:`forward` are traced by JAX too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.kernels import pairs
from learnability.memory import allowed
from learnability.networks.one_hidden import activate
from learnability.traced import Door, door, is_traceable

__all__ = ["Connected", "conjugate", "features", "forward", "random_network", "tangent"]


class Connected(NamedTuple):
    """A fully connected ReLU network of L hidden layers."""

    W: tuple[FloatArray, ...]
    """L matrices (m_l, m_{l-1}), m_0 the number of inputs."""
    biases: tuple[FloatArray, ...]
    """L vectors (m_l,)."""
    A: FloatArray
    """(k, m_L)"""
    weight: float
    """w: what the variances were, and the rates are, in proportion to."""


def random_network(
    rng: np.random.Generator,
    n: int,
    widths: Iterable[int],
    *,
    outputs: int = 1,
    weight: float = 2.0,
    bias: float = 0.0,
) -> Connected:
    """A network at a random start, of weights within :data:`learnability.kernels.pairs.MEMORY`.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Inputs, >= 1.
    widths : iterable of int
        m_1, ..., m_L, each >= 1, at least one.
    outputs : int
        k >= 1, over which the tangent kernel is averaged.
    weight : float
        w > 0.
    bias : float
        Variance of the biases, >= 0.
    """
    rng = checks.generator("rng", rng)
    n, k = (
        checks.integer(name, value, at_least=1, at_most=pairs.MEMORY // 8)
        for name, value in (("n", n), ("outputs", outputs))
    )
    sizes = checks.integers("widths", widths, at_least=1, at_most=pairs.MEMORY // 8)
    if not sizes:
        raise RequestError("widths must hold at least one width, got none")
    weight, bias = checks.real("weight", weight, above=0.0), checks.real("bias", bias, at_least=0.0)
    shapes = list(zip((*sizes, k), (n, *sizes), strict=True))
    need = 8 * sum(rows * columns for rows, columns in shapes)
    limit = allowed(pairs.MEMORY, need)
    if need > limit:
        raise RequestError(
            f"widths must keep the weights within {limit / 2**30:.3g} GiB, got {sizes} with {n} inputs and "
            f"{k} outputs ({need / 2**30:.3g} GiB)"
        )
    drawn = [
        math.sqrt(weight / (columns if layer else 1)) * rng.standard_normal((rows, columns))
        for layer, (rows, columns) in enumerate(shapes)
    ]
    biases = tuple(math.sqrt(bias) * rng.standard_normal(size) for size in sizes)
    return Connected(tuple(drawn[:-1]), biases, drawn[-1], weight)


def features(params: Connected, X: ArrayLike) -> FloatArray:
    """The last hidden layer h^L at ``X`` (n, d): (n, m_L)."""
    params, X = _checked(params, X, door(params, X))
    return _layers(params, X)[-1]


def forward(params: Connected, X: ArrayLike) -> FloatArray:
    """The outputs at ``X`` (n, d): (n, k)."""
    params, X = _checked(params, X, door(params, X))
    found: FloatArray = _layers(params, X)[-1] @ params.A.T
    return found


def conjugate(params: Connected, X: ArrayLike, Z: ArrayLike) -> FloatArray:
    """Inner products of the last hidden layer, divided by its width; array (n, r).

    Parameters
    ----------
    params : Connected
    X, Z : array (n, d), (r, d)
    """
    X, Z = pairs.pair(X, Z, 1)
    params, X = _checked(params, X)
    floats, width = sum(len(W) for W in params.W), len(params.W[-1])
    return pairs.inner_products(lambda rows: _layers(params, rows)[-1], X, Z, floats, width)


def tangent(params: Connected, X: ArrayLike, Z: ArrayLike, *, trained_bias: float = 0.0) -> FloatArray:
    """The tangent kernel in the closed form's parametrisation, averaged over the outputs; array (n, r).

    Parameters
    ----------
    params : Connected
    X, Z : array (n, d), (r, d)
    trained_bias : float
        t >= 0; 0 where biases are not trained.
    """
    X, Z = pairs.pair(X, Z, 4)
    params, X = _checked(params, X)
    t = checks.real("trained_bias", trained_bias, at_least=0.0)
    k, result = len(params.A), np.empty((len(X), len(Z)))
    floats = X.shape[1] + (2 + k) * sum(len(W) for W in params.W)
    for i, x, j, z, mirrored in pairs.blocks(partial(_state, params), X, Z, floats):
        total: Any = 0.0
        for layer, ((h, delta), (h_z, delta_z)) in enumerate(zip(x, z, strict=True)):
            inner = h @ h_z.T
            inner *= params.weight / (h.shape[1] if layer else 1)
            inner += t
            if delta is not None and delta_z is not None:
                inner *= delta @ delta_z.T
            total = total + inner
        result[i, j] = total
        if mirrored:
            result[j, i] = total.T
    return result


def _layers(params: Connected, X: FloatArray) -> list[FloatArray]:
    """h^1, ..., h^L."""
    found, traced = [], is_traceable(X)
    for W, bias in zip(params.W, params.biases, strict=True):
        X = X @ W.T
        if traced:
            X = activate(X + bias, "relu")
        else:
            X += bias
            np.maximum(X, 0.0, out=X)
        found.append(X)
    return found


def _state(params: Connected, X: FloatArray) -> list[tuple[FloatArray, FloatArray | None]]:
    """The inputs of each layer and its deltas over sqrt(k), all outputs side by side; none for the output layer."""
    layers = _layers(params, X)
    k, n = len(params.A), len(X)
    # Of the last layer the sum over outputs is one product of gates, weighted by the sum of squares.
    gate = layers[-1] > 0
    deltas = [gate * np.sqrt((params.A**2).mean(axis=0))]
    back = gate[:, None] * (params.A / math.sqrt(k)) if len(layers) > 1 else np.empty(0)  # (n, k, m_L)
    for W, h in zip(params.W[:0:-1], layers[-2::-1], strict=True):
        back = back.reshape(n * k, -1) @ W
        back = back.reshape(n, k, -1)
        back *= (h > 0)[:, None]
        deltas.insert(0, back.reshape(n, -1))
    return list(zip([X, *layers], [*deltas, None], strict=True))


def _checked(params: Connected, X: ArrayLike, check: Door = checks) -> tuple[Connected, FloatArray]:
    """Parameters and inputs as arrays whose shapes agree: of float64, unless ``check`` is for JAX."""
    if not isinstance(params, Connected):
        raise RequestError(f"params must be a Connected, got {type(params).__name__}")
    if not isinstance(params.W, tuple) or not params.W:
        raise RequestError(f"params.W must be a tuple of at least one matrix, got {params.W!r}")
    if not isinstance(params.biases, tuple) or len(params.biases) != len(params.W):
        raise RequestError(f"params.biases must be a tuple of {len(params.W)} vectors, got {params.biases!r}")
    W = [check.matrix("params.W[0]", params.W[0])]
    for layer, matrix in enumerate(params.W[1:], 1):
        W.append(check.matrix(f"params.W[{layer}]", matrix, columns=len(W[-1])))
    biases = (check.vector(f"params.biases[{i}]", b, length=len(W[i])) for i, b in enumerate(params.biases))
    A = check.matrix("params.A", params.A, columns=len(W[-1]))
    weight = params.weight if check is not checks else checks.real("params.weight", params.weight, above=0.0)
    return Connected(tuple(W), tuple(biases), A, weight), check.matrix("X", X, columns=W[0].shape[1])
