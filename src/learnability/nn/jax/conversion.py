"""Between parameters in NumPy arrays, as the package's engines have them, and in arrays of JAX."""

from __future__ import annotations

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from learnability.errors import RequestError

__all__ = ["floating", "to_jax", "to_numpy"]

TYPES = ("float16", "bfloat16", "float32", "float64")
"""Floating-point types that JAX computes in; those of 8 bits are for storing."""

Params = TypeVar("Params")


def to_jax(params: Params, dtype: DTypeLike | None = None) -> Params:
    """A network's parameters (any pytree of arrays) as arrays of JAX, of ``dtype`` or JAX's usual type.

    Numbers are passed on unchecked: NaN stays NaN, and what is beyond the type is infinite, as everywhere in JAX.
    """
    own = floating(dtype)
    return jax.tree.map(lambda part: jnp.asarray(part, own), params)  # type: ignore[no-any-return]


def to_numpy(params: Params) -> Params:
    """A network's parameters as the package's engines want them: arrays of NumPy in float64, numbers as ``float``."""

    def converted(part: Any) -> Any:
        array = np.array(part, dtype=np.float64)
        return array if array.ndim else float(array)

    return jax.tree.map(converted, params)  # type: ignore[no-any-return]


def floating(dtype: Any) -> Any:
    """A floating-point type that JAX has now; its usual one for None."""
    usual = jnp.zeros(()).dtype
    if dtype is None:
        return usual
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        raise RequestError(f"dtype must be a floating-point type, got {dtype!r}") from None
    if found.name not in TYPES:
        raise RequestError(f"dtype must be a floating-point type, one of {', '.join(TYPES)}, got {found.name}")
    if found == jnp.float64 and usual != jnp.float64:
        raise RequestError("dtype must be at most float32 while jax_enable_x64 is off, got float64")
    return found
