"""The papers' forward passes, with their derivatives at the kinks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from learnability.errors import RequestError
from learnability.networks import one_hidden, parity, residual, separable, strips
from learnability.networks.one_hidden import OneHidden
from learnability.networks.parity import ParityNet
from learnability.networks.residual import Network
from learnability.networks.separable import TwoLayer

__all__ = ["parity_apply", "residual_apply", "separable_apply", "strips_apply", "symmetry_apply"]


def symmetry_apply(params: OneHidden, X: ArrayLike, activation: str = "relu") -> jax.Array:
    """The outputs M . act(W x + B) + b, (...), of Nachum & Yehudayoff's network at ``X`` (..., n).

    Parameters
    ----------
    params : OneHidden
    X : array (..., n)
    activation : {"relu", "sigmoid"}
        ReLU, with derivative 0 at 0; or sigma(5 z).

    Raises
    ------
    RequestError
        If ``params`` is another network, or the shapes disagree.
    """
    outputs: jax.Array = one_hidden.apply(
        _network(params, OneHidden), _inputs(one_hidden.forward, params, X, params.W.shape[1]), activation
    )
    return outputs


def parity_apply(params: ParityNet, X: ArrayLike) -> jax.Array:
    """The outputs u . relu6(W x + b), (...), of Daniely & Malach's network at ``X`` (..., n).

    The derivative of ReLU6 is 0 at 0 and at 6. Raises as :func:`symmetry_apply`.
    """
    outputs: jax.Array = parity.apply(
        _network(params, ParityNet), _inputs(parity.forward, params, X, params.W.shape[1])
    )
    return outputs


def separable_apply(params: TwoLayer, X: ArrayLike, alpha: float) -> jax.Array:
    """The outputs v . sigma(W x), (...), of Brutzkus et al.'s network at ``X`` (..., d).

    sigma(z) = max(alpha z, z) with 0 <= alpha < 1; its derivative at 0 is 1, and 0 for ``alpha`` = 0. Raises as
    :func:`symmetry_apply`.
    """
    inputs = _inputs(_separable, params, X, _network(params, TwoLayer).W.shape[1])
    outputs: jax.Array = separable.apply(params, inputs, separable.slope(alpha))
    return outputs


def residual_apply(params: Network, X: ArrayLike) -> jax.Array:
    """The outputs, (..., k), of Allen-Zhu & Li's ResNet or one of its opponents at ``X`` (..., d).

    out_1 + A sigma(V (out_1, 1)) with out_1 = A sigma(W (x, 1)), see :mod:`learnability.networks.residual`; the
    derivative of ReLU at 0 is 1. Raises as :func:`symmetry_apply`.
    """
    inputs = _inputs(residual.forward, params, X, _network(params, *residual.KINDS.values()).W.shape[1] - 1)
    outputs: jax.Array = residual.apply(params, inputs)
    return outputs


def strips_apply(params: strips.Network, X: ArrayLike) -> jax.Array:
    """The outputs, (...), of a model of the MNIST-parity experiment of Daniely & Malach at ``X`` (..., n).

    Which model follows from the kind of ``params``, see :mod:`learnability.networks.strips`. The derivative of ReLU
    at 0 is 0, a gate is closed there, and gates have no derivative. The experiment trains the fields that
    ``MODELS[model].trainable`` names there. Raises as :func:`symmetry_apply`.
    """
    inputs = _inputs(strips.forward, params, X, _network(params, *strips.KINDS).W.shape[1])
    outputs: jax.Array = strips.apply(params, inputs)
    return outputs


_separable = partial(separable.forward, alpha=0.0)


def _network(params: Any, *kinds: type[Any]) -> Any:
    if not isinstance(params, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise RequestError(f"params must be a {names}, got {type(params).__name__}")
    return params


def _inputs(forward: Callable[..., Any], params: Any, X: ArrayLike, columns: int) -> jax.Array:
    array = jnp.asarray(X)
    if array.ndim == 0 or array.shape[-1] != columns:
        raise RequestError(f"X must have {columns} columns, got shape {array.shape}")
    # JAX would broadcast what does not fit: the checked forward pass looks at the shapes, and computes nothing
    jax.eval_shape(forward, params, jax.ShapeDtypeStruct((1, columns), array.dtype))
    return array
