"""Doors that JAX may pass: of its arrays, traced or not, only the shape is checked, and they stay what they are.

A forward pass is plain arithmetic, and JAX traces it if nothing on the way asks for values, which a traced array does
not have. So it takes its checks from :func:`door`: those of :mod:`learnability.checks` if no argument is an array of
JAX, and else their twins here, which know shapes and kinds of numbers but not whether an entry is finite. JAX is not
imported for this: whoever has such an array has done so.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError

__all__ = ["Door", "door", "is_traceable", "namespace"]


class Door(Protocol):
    """The checks that a forward pass asks for, by the names that they have in :mod:`learnability.checks`."""

    def matrix(
        self, name: str, value: ArrayLike, *, rows: int | None = None, columns: int | None = None
    ) -> FloatArray:
        """A matrix of at least one row and one column."""

    def vector(self, name: str, value: ArrayLike, *, length: int | None = None) -> FloatArray:
        """A vector."""

    def real(self, name: str, value: object) -> float:
        """A number."""


def is_traceable(value: object) -> bool:
    """Whether a value is an array of JAX, traced or not, or a tuple that holds one."""
    if isinstance(value, tuple):
        return any(map(is_traceable, value))
    return isinstance(value, getattr(sys.modules.get("jax"), "Array", ()))


def namespace(*values: object) -> Any:
    """``jax.numpy`` if one of the values is an array of JAX, or a tuple that holds one; else ``numpy``."""
    return sys.modules["jax"].numpy if any(map(is_traceable, values)) else np


def door(*values: object) -> Door:
    """The checks for these arguments, see the module."""
    return _Shapes() if any(map(is_traceable, values)) else checks


class _Shapes:
    """Checks where JAX is about: of its arrays by shape, of whatever else stands beside them as ever."""

    def matrix(
        self, name: str, value: ArrayLike, *, rows: int | None = None, columns: int | None = None
    ) -> FloatArray:
        if not is_traceable(value):
            checks.matrix(name, value, rows=rows, columns=columns)
        array = _reals(name, value)
        if array.ndim != 2 or 0 in array.shape:
            raise RequestError(f"{name} must have shape (rows >= 1, columns >= 1), got shape {array.shape}")
        if columns is not None and array.shape[1] != columns:
            raise RequestError(f"{name} must have {columns} columns, got shape {array.shape}")
        if rows is not None and len(array) != rows:
            raise RequestError(f"{name} must have {rows} rows, got shape {array.shape}")
        return array

    def vector(self, name: str, value: ArrayLike, *, length: int | None = None) -> FloatArray:
        if not is_traceable(value):
            checks.vector(name, value, length=length)
        array = _reals(name, value)
        if array.ndim != 1:
            raise RequestError(f"{name} must be one-dimensional, got shape {array.shape}")
        if length is not None and len(array) != length:
            raise RequestError(f"{name} must have length {length}, got {len(array)}")
        return array

    def real(self, name: str, value: Any) -> float:
        if not is_traceable(value):
            return checks.real(name, value)
        number = _reals(name, value)
        if number.ndim:
            raise RequestError(f"{name} must be a real number, got shape {number.shape}")
        return number  # type: ignore[return-value]


def _reals(name: str, value: ArrayLike) -> FloatArray:
    """An array of JAX, of real numbers."""
    jnp = sys.modules["jax"].numpy
    array: FloatArray = jnp.asarray(value)
    if not any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_)):
        raise RequestError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    return array
