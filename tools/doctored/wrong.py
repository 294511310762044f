"""Wrong values: what a function that is wrong would have returned, whatever it returns."""

from __future__ import annotations

import copy
import dataclasses
import functools
import types
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

_FACTORS = {
    "off by 1 %": Fraction(101, 100),
    "flipped": Fraction(-1),
    "halved": Fraction(1, 2),
    "doubled": Fraction(2),
    "a tenth": Fraction(1, 10),
    "tenfold": Fraction(10),
}


def kinds(value: Any, depth: int = 0) -> set[str]:
    """What there is to be wrong in a value: number, count, labels, truth, rows."""
    if value is None or depth > 4 or isinstance(value, str | np.random.Generator):
        return set()
    if isinstance(value, bool | np.bool_):
        return {"truth"}
    if isinstance(value, int | np.integer):
        return {"count"}
    if isinstance(value, float | np.floating | Fraction):
        return {"number"}
    if is_array(value):
        return _array_kinds(value)
    if _is_labels(value):
        return {"labels", "rows"}
    if isinstance(value, types.FunctionType | functools.partial):
        return {"number", "rows"}  # what it will return is not known yet
    if isinstance(value, types.GeneratorType):
        return {"number", "count", "rows"}
    return {kind for part in _parts(value).values() for kind in kinds(part, depth + 1)}


def is_array(value: Any) -> bool:
    """Whether a value is an array, of whatever library."""
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _is_labels(value: Any) -> bool:
    """Whether a list of numbers is one of signs."""
    return isinstance(value, tuple | list) and all(type(x) is int and abs(x) == 1 for x in value) and -1 in value


def _array_kinds(value: Any) -> set[str]:
    found = {"rows"} if value.ndim and len(value) > 1 else set()
    if not _concrete(value):
        return {*found, "number"}
    if value.dtype.kind == "b":
        return {*found, "truth"}
    if value.size and value.dtype.kind in "fi" and bool(np.all(np.abs(np.asarray(value)) == 1)):
        # Whole numbers that are all 1 count something.
        return {*found, "labels" if value.dtype.kind == "f" or np.asarray(value).min() < 0 else "count"}
    return found | {"f": {"number"}, "i": {"count"}, "u": {"count"}}.get(value.dtype.kind, set())


def _concrete(value: Any) -> bool:
    """Whether an array holds numbers: one that JAX is tracing does not."""
    return "Tracer" not in type(value).__name__


def _parts(value: Any) -> dict[Any, Any]:
    """Fields, entries or items of a value that is made of others."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | list):
        return dict(enumerate(value))
    if dataclasses.is_dataclass(value) and type(value).__name__ not in ("Guarantee", "Hypothesis"):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {}


def wrong(value: Any, how: str) -> Any:
    """The value as a function that is wrong would have returned it."""
    if value is None or isinstance(value, str | np.random.Generator):
        return value
    if isinstance(value, bool | np.bool_):
        return (not value) if how == "flipped" else value
    if isinstance(value, int | np.integer):
        counted = {"one more": value + 1, "halved": value // 2, "doubled": value * 2, "tenfold": value * 10}
        return counted.get(how, value)
    if isinstance(value, float | np.floating | Fraction):
        if how == "off by 1 %" and value == 0:
            return value + 0.01
        factor = _FACTORS.get(how, Fraction(1))
        return value * factor if isinstance(value, Fraction) else type(value)(float(value) * float(factor))
    if is_array(value):
        return _wrong_array(value, how)
    if _is_labels(value):
        other = {"permuted": [*value[1:], value[0]], "flipped": [-x for x in value]}.get(how, value)
        return type(value)(other)
    if isinstance(value, types.FunctionType | functools.partial):
        return lambda *given, **named: wrong(value(*given, **named), how)
    if isinstance(value, types.GeneratorType):
        return (wrong(item, how) for item in value)
    parts = {name: wrong(part, how) for name, part in _parts(value).items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*parts.values())
    if isinstance(value, tuple | list):
        return type(value)(parts.values())
    if isinstance(value, dict):
        return parts
    if parts:
        other = copy.copy(value)
        for name, part in parts.items():
            object.__setattr__(other, name, part)
        return other
    return value


def _wrong_array(value: Any, how: str) -> Any:
    there = _array_kinds(value)
    if how == "permuted" and "rows" in there:
        return value[[*range(1, len(value)), 0]]
    if how == "shifted" and "rows" in there:
        return value[[0, *range(len(value) - 1)]]  # an index off by one, the first row twice
    if how == "flipped" and there & {"labels", "truth"}:
        return -value if "labels" in there else ~value
    if "count" in there and how in ("one more", "halved"):
        return value + 1 if how == "one more" else value // 2
    if how == "averaged" and there >= {"number", "rows"}:
        return value / len(value)
    if how not in _FACTORS or "number" not in there or value.dtype.kind != "f":
        return value
    if how == "off by 1 %" and _concrete(value):
        if not np.any(np.asarray(value)):
            return value + value.dtype.type(0.01)
        if value.ndim:  # entry by entry: networks scale
            signs = np.cos(np.arange(1.0, value.size + 1.0)).reshape(value.shape)
            return value * (1 + 0.01 * signs).astype(value.dtype)
    return value * value.dtype.type(float(_FACTORS[how]))
