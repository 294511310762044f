"""The compiled Walsh-Hadamard transform. Behind the door: nothing is checked here.

A transform of 2^n values is n stages of additions and subtractions, a[i], a[i + h] -> a[i] + a[i + h],
a[i] - a[i + h] for h = 1, 2, 4, .... What it costs is moving the values, so up to three stages are done with eight
vectors held in registers, and all stages that fit into the cache before the values leave it: the first 2^12 values at
a time, then six stages at a time on a strip of columns copied into a small buffer (rows a power of two apart share a
cache set and would evict each other where they lie). 2^24 values pass through memory three times, not twenty-four.

Every value is the outcome of the same additions as in the plain loop over stages (:func:`plain`, the oracle), in
strict IEEE arithmetic: the result is equal to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from learnability.compiling import njit

__all__ = ["plain", "transform"]


def plain(a: Any) -> None:
    """Transform the 2^n values of ``a`` in place, stage by stage."""
    h = 1
    while h < len(a):
        pairs = a.reshape(-1, 2, h)
        upper, lower = pairs.sum(axis=1), pairs[:, 0] - pairs[:, 1]
        pairs[:, 0], pairs[:, 1] = upper, lower
        h *= 2


def _compiled(function: Any) -> Any:
    """Numba's decorator; where compilation is switched off, the plain transform: the vectors need a compiler."""
    return plain if getattr(config, "DISABLE_JIT", False) else njit(function)


BLOCK = 12  # 2^12 float64 fill 32 KB, the smallest first-level cache about
STRIP = 64  # columns of a strip; 64 rows of them fill 32 KB too
_LANES = 8
_INT, _INT32 = ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(ir.DoubleType(), _LANES)


def _vector_at(builder: Any, start: Any, offset: Any) -> Any:
    return builder.bitcast(builder.gep(start, [offset]), _VECTOR.as_pointer())


def _start(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


def _stages(count: int) -> Any:
    """``count`` stages on 2^count vectors of eight values that start at ``at`` and lie ``h`` values apart."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = _start(context, builder, signature, arguments)
        places = [_vector_at(builder, start, builder.mul(_INT(q), arguments[2])) for q in range(2**count)]
        values = [builder.load(place, align=8) for place in places]
        for stage in range(count):
            for q in range(2**count):
                if not q >> stage & 1:
                    a, b = values[q], values[q | 1 << stage]
                    values[q], values[q | 1 << stage] = builder.fadd(a, b), builder.fsub(a, b)
        for place, value in zip(places, values, strict=True):
            builder.store(value, place, align=8)
        return context.get_dummy_value()

    @intrinsic
    def stages(typing: Any, a: Any, at: Any, h: Any) -> Any:
        return types.none(a, types.int64, types.int64), code

    return stages


_stages_1, _stages_2, _stages_3 = _stages(1), _stages(2), _stages(3)


def _within_a_vector() -> Any:
    """The stages h = 1, 2, 4 of the eight values that start at ``at``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _vector_at(builder, _start(context, builder, signature, arguments), _INT(0))
        value = builder.load(place, align=8)
        for h in (1, 2, 4):
            swapped = ir.Constant(ir.VectorType(_INT32, _LANES), [lane ^ h for lane in range(_LANES)])
            upper = ir.Constant(_VECTOR, [-1.0 if lane & h else 1.0 for lane in range(_LANES)])
            other = builder.shuffle_vector(value, ir.Constant(_VECTOR, ir.Undefined), swapped)
            value = builder.fadd(other, builder.fmul(upper, value))  # b + a below, a - b above
        builder.store(value, place, align=8)
        return context.get_dummy_value()

    @intrinsic
    def first_three(typing: Any, a: Any, at: Any) -> Any:
        return types.none(a, types.int64), code

    return first_three


_first_three = _within_a_vector()


@njit(inline="always")
def _run_stages(a, at, size, h):  # type: ignore[no-untyped-def]
    """All stages from ``h`` >= 8 on, of the ``size`` values that start at ``at``."""
    while 8 * h <= size:
        for block in range(at, at + size, 8 * h):
            for j in range(block, block + h, 8):
                _stages_3(a, j, h)
        h *= 8
    if 4 * h <= size:
        for j in range(at, at + h, 8):
            _stages_2(a, j, h)
    elif 2 * h <= size:
        for j in range(at, at + h, 8):
            _stages_1(a, j, h)


@_compiled
def transform(a):  # type: ignore[no-untyped-def]
    """Transform the 2^n float64 of the contiguous array ``a`` in place."""
    N = len(a)
    if N < 8:
        h = 1
        while h < N:
            for i in range(N):
                if not i & h:
                    x, y = a[i], a[i + h]
                    a[i], a[i + h] = x + y, x - y
            h *= 2
        return
    block = min(N, 1 << BLOCK)
    for at in range(0, N, block):
        for j in range(at, at + block, 8):
            _first_three(a, j)
        _run_stages(a, at, block, 8)
    buffer = np.empty(64 * STRIP)
    h = block
    while h < N:
        rows = min(64, N // h)
        for at in range(0, N, rows * h):
            for column in range(at, at + h, STRIP):
                for r in range(rows):
                    source = column + r * h
                    for j in range(STRIP):
                        buffer[r * STRIP + j] = a[source + j]
                _run_stages(buffer, 0, rows * STRIP, STRIP)
                for r in range(rows):
                    source = column + r * h
                    for j in range(STRIP):
                        a[source + j] = buffer[r * STRIP + j]
        h *= rows
