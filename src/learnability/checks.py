"""Checks at the door: one clear message naming the parameter, the constraint and what came.

Every public function checks its arguments with these before any work starts; the compiled kernels behind the
door check nothing. All failures are :class:`learnability.errors.RequestError`, which is a ``ValueError``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from numbers import Integral, Rational, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability.errors import RequestError

FloatArray = NDArray[np.float64]
T = TypeVar("T")


def integer(name: str, value: object, *, at_least: int | None = None, at_most: int | None = None) -> int:
    """An integer (``bool`` is none) within the given closed range."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise RequestError(f"{name} must be an integer, got {value!r}")
    number = int(value)
    _in_range(name, number, at_least=at_least, at_most=at_most)
    return number


LARGEST = 10**300
"""The largest size of a formula: float64 holds it and small multiples of it."""


def size(name: str, value: object, *, at_least: int | None = None, at_most: int | None = None) -> int:
    """An integer that a formula in float64 takes: one of :func:`integer`, at most :data:`LARGEST`."""
    return integer(name, value, at_least=at_least, at_most=LARGEST if at_most is None else min(at_most, LARGEST))


def real(
    name: str,
    value: object,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """A finite real number within the given range, ``above`` and ``below`` without their ends."""
    if isinstance(value, bool) or not isinstance(value, Real | Rational):
        raise RequestError(f"{name} must be a real number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        raise RequestError(f"{name} must be finite in float64, got a larger {type(value).__name__}") from None
    if not np.isfinite(number):
        raise RequestError(f"{name} must be finite, got {value!r}")
    if above is not None and not number > above:
        raise RequestError(f"{name} must be > {above}, got {value!r}")
    if below is not None and not number < below:
        raise RequestError(f"{name} must be < {below}, got {value!r}")
    _in_range(name, number, at_least=at_least, at_most=at_most)
    return number


def measurements(*, at_least: float | None = 0.0, **values: Any) -> None:
    """Measured numbers by the names of their parameters, each at least ``at_least``, or ``None``.

    One that is not finite passes: a run may end so, and a guarantee says it and judges nothing by it.
    """
    for name, value in values.items():
        if value is not None and not (isinstance(value, float | np.floating) and not np.isfinite(value)):
            real(name, value, at_least=at_least)


def counts(**values: Any) -> None:
    """Measured counts by the names of their parameters: integers >= 0, or ``None``."""
    for name, value in values.items():
        if value is not None:
            size(name, value, at_least=0)


def held(name: str, value: float, info: Any, *, room: float = 1.0) -> float:
    """A number >= 0 that a floating-point type holds, ``room`` times over; ``info`` is the type's ``finfo``.

    Beyond the largest number a network would be filled with infinities, below the smallest normal one with zeros.
    """
    least, most = float(info.tiny), float(info.max) / room
    if value > most:
        raise RequestError(f"{name} must be <= {most} in {info.dtype}, got {value!r}")
    if 0 < value < least:
        raise RequestError(f"{name} must be >= {least} in {info.dtype}, got {value!r}")
    return value


def rational(name: str, value: object, *, at_least: float | None = None, above: float | None = None) -> Fraction:
    """A finite real number as the exact fraction that it is (a float is one)."""
    size = real(name, value, at_least=at_least, above=above)
    if isinstance(value, Rational):
        return Fraction(int(value.numerator), int(value.denominator))
    return Fraction(size)


def step_and_confidence(h: object, beta: object) -> tuple[Fraction, Fraction]:
    """Step h > 0 and confidence beta >= 0 as exact fractions, with h^2 and beta / h within float64's range."""
    step, confidence = rational("h", h, above=0), rational("beta", beta, at_least=0)
    if not 1e-150 <= step <= 1e150:
        raise RequestError(f"h must be between 1e-150 and 1e150, got {h!r}")
    if confidence / step > 1e300:
        raise RequestError(f"beta must be <= 1e300 h, got {beta!r} with h = {h!r}")
    return step, confidence


def store(frozen: object, **fields: object) -> None:
    """Put checked values into the fields of a frozen dataclass, from its ``__post_init__``."""
    for name, value in fields.items():
        object.__setattr__(frozen, name, value)


def _in_range(name: str, value: float, *, at_least: float | None, at_most: float | None) -> None:
    if at_least is not None and value < at_least:
        raise RequestError(f"{name} must be >= {_said(at_least)}, got {_said(value)}")
    if at_most is not None and value > at_most:
        raise RequestError(f"{name} must be <= {_said(at_most)}, got {_said(value)}")


def _said(value: object) -> str:
    """A number as a message shows it: a huge integer by its order, as Python prints none of 4301 digits."""
    if not isinstance(value, int) or abs(value) < 10**40:
        return repr(value)
    order = round(math.log10(abs(value)))
    return f"{'-' * (value < 0)}10^{order}" if abs(value) == 10**order else f"about {'-' * (value < 0)}10^{order}"


def choice(name: str, value: object, allowed: Sequence[str]) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in allowed:
        raise RequestError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return str(value)


def integers(
    name: str, value: object, *, at_least: int | None = None, at_most: int | None = None, distinct: bool = False
) -> tuple[int, ...]:
    """The integers of an iterable, in its order, each within the given closed range; ``distinct``: none twice."""
    if not isinstance(value, Iterable) or (isinstance(value, np.ndarray) and value.ndim == 0):
        raise RequestError(f"{name} must be an iterable of integers, got {value!r}")
    found = tuple(integer(f"each of {name}", k, at_least=at_least, at_most=at_most) for k in value)
    if distinct and len(set(found)) < len(found):
        twice = next(k for k in found if found.count(k) > 1)
        raise RequestError(f"{name} must hold each coordinate once, got {twice} more than once")
    return found


def several(
    name: str, values: Sequence[Any], check: Callable[..., T], *allowed: Any, empty: bool = False, **limits: Any
) -> tuple[T, ...]:
    """Different values, at least one unless ``empty``, each of which passes a check of this module.

    ``several("n", n, integer, at_least=1)``, ``several("inits", inits, choice, KINDS)``.
    """
    found = tuple(check(f"each of {name}", value, *allowed, **limits) for value in values)
    if not found and not empty:
        raise RequestError(f"{name} must hold at least one value, got none")
    for place, value in enumerate(found):
        if value in found[:place]:
            raise RequestError(f"{name} must hold each value once, got {value!r} more than once")
    return found


def generator(name: str, value: object) -> np.random.Generator:
    """A NumPy generator: neither a seed nor ``None`` passes for one."""
    if not isinstance(value, np.random.Generator):
        raise RequestError(f"{name} must be a numpy.random.Generator, got {value!r}")
    return value


def array(name: str, value: ArrayLike, *, at_least: float | None = None) -> FloatArray:
    """A finite float64 array of any shape."""
    found = _reals(name, value)
    _finite(name, np.atleast_1d(found), at_least=at_least)
    return found


def matrix(name: str, value: ArrayLike, *, rows: int | None = None, columns: int | None = None) -> FloatArray:
    """A finite two-dimensional float64 array with at least one row and one column."""
    array = _reals(name, value)
    if array.ndim != 2 or 0 in array.shape:
        raise RequestError(f"{name} must have shape (rows >= 1, columns >= 1), got shape {array.shape}")
    if columns is not None and array.shape[1] != columns:
        raise RequestError(f"{name} must have {columns} columns, got shape {array.shape}")
    if rows is not None and len(array) != rows:
        raise RequestError(f"{name} must have {rows} rows, got shape {array.shape}")
    _finite(name, array)
    return array


def vector(name: str, value: ArrayLike, *, length: int | None = None, at_least: float | None = None) -> FloatArray:
    """A finite one-dimensional float64 array."""
    array = _reals(name, value)
    if array.ndim != 1:
        raise RequestError(f"{name} must be one-dimensional, got shape {array.shape}")
    if length is not None and len(array) != length:
        raise RequestError(f"{name} must have length {_said(length)}, got {len(array)}")
    _finite(name, array, at_least=at_least)
    return array


def labels(name: str, value: ArrayLike, *, length: int | None = None) -> FloatArray:
    """A vector of labels in {-1, +1}."""
    array = vector(name, value, length=length)
    wrong = array[(array != 1.0) & (array != -1.0)]
    if wrong.size:
        raise RequestError(f"{name} must hold labels -1 and +1 only, got {wrong[0]:g}")
    return array


def binary(name: str, value: ArrayLike, *, columns: int | None = None) -> FloatArray:
    """A matrix with entries in {0, 1}."""
    array = matrix(name, value, columns=columns)
    wrong = array[(array != 0.0) & (array != 1.0)]
    if wrong.size:
        raise RequestError(f"{name} must have entries 0 and 1 only, got {wrong[0]:g}")
    return array


def distribution(name: str, value: ArrayLike, *, length: int | None = None) -> FloatArray:
    """A vector of probabilities: not negative, summing to 1 (to 1e-9)."""
    array = vector(name, value, length=length, at_least=0)
    if abs(array.sum() - 1) > 1e-9:
        raise RequestError(f"{name} must sum to 1, got sum {array.sum():g}")
    return array


def _reals(name: str, value: ArrayLike) -> FloatArray:
    """A float64 array of real numbers: no complex numbers, no text of digits, no dates."""
    if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
        raise RequestError(f"{name} must have no masked entries, got {int(np.ma.getmaskarray(value).sum())}")
    if hasattr(value, "toarray"):
        raise RequestError(f"{name} must be a dense array, got a sparse {type(value).__name__}: use .toarray()")
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        raise RequestError(f"{name} must be an array of real numbers, got a ragged {type(value).__name__}") from None
    if array.dtype.kind == "O":
        for item in array.flat:
            if not isinstance(item, Real | np.bool_):
                raise RequestError(f"{name} must be an array of real numbers, got an entry {item!r}")
    elif array.dtype.kind not in "biuf":
        raise RequestError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    try:
        return np.asarray(array, dtype=np.float64)
    except OverflowError:
        raise RequestError(f"{name} must be finite in float64, got a larger integer") from None


def _finite(name: str, array: FloatArray, *, at_least: float | None = None) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        where = ", ".join(map(str, bad[0]))
        raise RequestError(f"{name} must be finite, got {array[tuple(bad[0])]} at index ({where})")
    if at_least is not None and (array < at_least).any():
        raise RequestError(f"{name} must be >= {at_least:g}, got {array[array < at_least][0]:g}")
