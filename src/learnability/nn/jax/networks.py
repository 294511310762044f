"""The papers' forward passes, with their derivatives at the kinks."""

from __future__ import annotations

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
from learnability.networks.strips import Linearised, Relu

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
    outputs: jax.Array = one_hidden.apply(params, _inputs(params, X, OneHidden), activation)
    return outputs


def parity_apply(params: ParityNet, X: ArrayLike) -> jax.Array:
    """The outputs u . relu6(W x + b), (...), of Daniely & Malach's network at ``X`` (..., n).

    The derivative of ReLU6 is 0 at 0 and at 6. Raises as :func:`symmetry_apply`.
    """
    outputs: jax.Array = parity.apply(params, _inputs(params, X, ParityNet))
    return outputs


def separable_apply(params: TwoLayer, X: ArrayLike, alpha: float) -> jax.Array:
    """The outputs v . sigma(W x), (...), of Brutzkus et al.'s network at ``X`` (..., d).

    sigma(z) = max(alpha z, z) with 0 <= alpha < 1; its derivative at 0 is 1, and 0 for ``alpha`` = 0. Raises as
    :func:`symmetry_apply`.
    """
    outputs: jax.Array = separable.apply(params, _inputs(params, X, TwoLayer), separable.slope(alpha))
    return outputs


def residual_apply(params: Network, X: ArrayLike) -> jax.Array:
    """The outputs, (..., k), of Allen-Zhu & Li's ResNet or one of its opponents at ``X`` (..., d).

    out_1 + A sigma(V (out_1, 1)) with out_1 = A sigma(W (x, 1)), see :mod:`learnability.networks.residual`; the
    derivative of ReLU at 0 is 1. Raises as :func:`symmetry_apply`.
    """
    outputs: jax.Array = residual.apply(params, _inputs(params, X, *residual.KINDS.values()))
    return outputs


def strips_apply(params: strips.Network, X: ArrayLike) -> jax.Array:
    """The outputs, (...), of a model of the MNIST-parity experiment of Daniely & Malach at ``X`` (..., n).

    Which model follows from the kind of ``params``, see :mod:`learnability.networks.strips`. The derivative of ReLU
    at 0 is 0, a gate is closed there, and gates have no derivative. The experiment trains the fields that
    ``MODELS[model].trainable`` names there. Raises as :func:`symmetry_apply`.
    """
    outputs: jax.Array = strips.apply(params, _inputs(params, X, *strips.KINDS))
    return outputs


def _inputs(params: Any, X: ArrayLike, *kinds: type[Any]) -> jax.Array:
    """The inputs as an array, for a network of one of the kinds whose shapes agree: JAX would broadcast the rest."""
    if not isinstance(params, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise RequestError(f"params must be a {names}, got {type(params).__name__}")
    W = _shape("params.W", params.W)
    if len(W) != 2 or 0 in W:
        raise RequestError(f"params.W must have shape (rows >= 1, columns >= 1), got shape {W}")
    columns = W[1]
    if isinstance(params, residual.Network):
        columns -= 1
        A = _shape("params.A", params.A)
        if len(A) != 2 or A[1] != W[0]:
            raise RequestError(f"params.A must have shape (outputs, {W[0]}), got {A}")
        _check_shapes("params", params, residual.shapes_of(type(params), columns, *A))
    else:
        _check_shapes("params", params, _wanted(params, *W))
    array = jnp.asarray(X)
    if array.ndim == 0 or array.shape[-1] != columns:
        raise RequestError(f"X must have {columns} columns, got shape {array.shape}")
    return array


def _wanted(params: Any, p: int, n: int) -> dict[str, Any]:
    """Shapes by field for p units on n inputs."""
    shapes: dict[str, Any] = dict.fromkeys(params._fields, (p,))
    shapes.update({field: (p, n) for field in ("W", "G") if field in shapes})
    scalar = "b" if isinstance(params, OneHidden) else "c"
    if scalar in shapes:
        shapes[scalar] = ()
    if isinstance(params, Linearised):
        if not isinstance(params.start, Relu):
            raise RequestError(f"params.start must be a Relu, got {type(params.start).__name__}")
        shapes["start"] = _wanted(params.start, p, n)
    return shapes


def _check_shapes(where: str, params: Any, wanted: dict[str, Any]) -> None:
    for field, shape in wanted.items():
        name, part = f"{where}.{field}", getattr(params, field)
        if isinstance(shape, dict):
            _check_shapes(name, part, shape)
        elif (found := _shape(name, part)) != shape:
            raise RequestError(f"{name} must have shape {shape}, got {found}")


def _shape(name: str, part: Any) -> tuple[int, ...]:
    if isinstance(part, int | float):
        return ()
    if not hasattr(part, "shape"):
        raise RequestError(f"{name} must be an array, got {type(part).__name__}")
    return tuple(part.shape)
