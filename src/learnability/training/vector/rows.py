"""Weighted sums of a matrix's rows and rank-one updates of them, with the sums held in registers.

Written in Numba these loops store and reload every partial sum, and check at run time that rows and sum do not
overlap, since LLVM cannot know it. Here a block of neurons stays in vector registers while the rows pass by.
Lanes are added in the order of the rows, whatever the machine's vector width: results do not depend on it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from learnability.compiling import njit

__all__ = ["LANES", "add_rows", "aligned", "extend_rows", "fold", "sum_rows"]

LANES = 16  # rows are padded to a multiple of this
_INT, _INT32 = ir.IntType(64), ir.IntType(32)


def _block(vectors: int) -> tuple[Any, Any, Any]:
    """The operations on the 8 * vectors neurons from ``at`` on: a sum, one that goes on from z, an update."""

    def vector_of(kind: Any) -> Any:
        return ir.VectorType(ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType(), 8)

    def vector_at(builder: Any, start: Any, v: int, vector: Any) -> Any:
        return builder.bitcast(builder.gep(start, [_INT(8 * v)]), vector.as_pointer())

    def unpack(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        """Start of the block in z, and a function of q giving row columns[q] and values[q] in all lanes."""
        arrays = zip(signature.args[:4], arguments[:4], strict=True)
        W, z, columns, values = (context.make_array(kind)(context, builder, array) for kind, array in arrays)
        at = arguments[6]
        length = cgutils.unpack_tuple(builder, W.shape)[1]

        def row(q: Any) -> tuple[Any, Any]:
            column = builder.sext(builder.load(builder.gep(columns.data, [q])), _INT)
            value = builder.load(builder.gep(values.data, [q]))
            lanes = builder.insert_element(ir.Constant(vector_of(signature.args[0]), ir.Undefined), value, _INT32(0))
            lanes = builder.shuffle_vector(lanes, lanes, ir.Constant(ir.VectorType(_INT32, 8), [0] * 8))
            return builder.gep(W.data, [builder.add(builder.mul(column, length), at)]), lanes

        return builder.gep(z.data, [at]), row

    def sum_code(context: Any, builder: Any, signature: Any, arguments: Any, onward: bool = False) -> Any:
        z, row = unpack(context, builder, signature, arguments)
        vector = vector_of(signature.args[0])
        zero = ir.Constant(vector, [0.0] * 8)
        sums = [cgutils.alloca_once(builder, vector) for _ in range(vectors)]
        for v, each in enumerate(sums):
            first = builder.load(vector_at(builder, z, v, vector), align=8) if onward else zero
            builder.store(first, each)
        with cgutils.for_range_slice(builder, arguments[4], arguments[5], _INT(1)) as (q, _):
            start, value = row(q)
            for v, each in enumerate(sums):
                term = builder.fmul(value, builder.load(vector_at(builder, start, v, vector), align=8))
                builder.store(builder.fadd(builder.load(each), term), each)
        for v, each in enumerate(sums):
            builder.store(builder.load(each), vector_at(builder, z, v, vector), align=8)
        return context.get_dummy_value()

    def add_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        g, row = unpack(context, builder, signature, arguments)
        vector = vector_of(signature.args[0])
        steps = [builder.load(vector_at(builder, g, v, vector), align=8) for v in range(vectors)]
        with cgutils.for_range_slice(builder, arguments[4], arguments[5], _INT(1)) as (q, _):
            start, value = row(q)
            for v, step in enumerate(steps):
                place = vector_at(builder, start, v, vector)
                moved = builder.fadd(builder.load(place, align=8), builder.fmul(value, step))
                builder.store(moved, place, align=8)
        return context.get_dummy_value()

    def signature(W: Any, z: Any, columns: Any, values: Any) -> Any:
        return types.none(W, z, columns, values, types.int64, types.int64, types.int64)

    @intrinsic
    def sum_block(typing: Any, W: Any, z: Any, columns: Any, values: Any, lo: Any, hi: Any, at: Any) -> Any:
        return signature(W, z, columns, values), sum_code

    @intrinsic
    def extend_block(typing: Any, W: Any, z: Any, columns: Any, values: Any, lo: Any, hi: Any, at: Any) -> Any:
        return signature(W, z, columns, values), partial(sum_code, onward=True)

    @intrinsic
    def add_block(typing: Any, W: Any, g: Any, columns: Any, values: Any, lo: Any, hi: Any, at: Any) -> Any:
        return signature(W, g, columns, values), add_code

    return sum_block, extend_block, add_block


_sum_32, _extend_32, _add_32 = _block(4)  # 4 registers of 512 bits, or 8 of 256: no machine spills
_sum_16, _extend_16, _add_16 = _block(2)


def _sum_rows_plain(W, z, columns, values, lo, hi, L):  # type: ignore[no-untyped-def]
    z[:L] = 0.0
    for q in range(lo, hi):
        z[:L] += values[q] * W[columns[q], :L]


def _extend_rows_plain(W, z, columns, values, lo, hi, L):  # type: ignore[no-untyped-def]
    for q in range(lo, hi):
        z[:L] += values[q] * W[columns[q], :L]


def _add_rows_plain(W, g, columns, values, lo, hi, L):  # type: ignore[no-untyped-def]
    for q in range(lo, hi):
        W[columns[q], :L] += values[q] * g[:L]


def _compiled(plain: Any) -> Any:
    """Numba's decorator; where compilation is switched off, the plain function: the same sums in the same order."""
    return (lambda _: plain) if getattr(config, "DISABLE_JIT", False) else njit(inline="always")


@_compiled(_sum_rows_plain)
def sum_rows(W, z, columns, values, lo, hi, L):  # type: ignore[no-untyped-def]
    """Z = sum of values[q] * W[columns[q]] for q in lo..hi-1.

    W, z and values are C-contiguous, all float64 or all float32, columns int32, L a multiple of LANES.
    """
    at = 0
    while at + 32 <= L:
        _sum_32(W, z, columns, values, lo, hi, at)
        at += 32
    if at < L:
        _sum_16(W, z, columns, values, lo, hi, at)


@_compiled(_extend_rows_plain)
def extend_rows(W, z, columns, values, lo, hi, L):  # type: ignore[no-untyped-def]
    """Z += the same sum, a term at a time."""
    at = 0
    while at + 32 <= L:
        _extend_32(W, z, columns, values, lo, hi, at)
        at += 32
    if at < L:
        _extend_16(W, z, columns, values, lo, hi, at)


@_compiled(_add_rows_plain)
def add_rows(W, g, columns, values, lo, hi, L):  # type: ignore[no-untyped-def]
    """W[columns[q]] += values[q] * g for q in lo..hi-1."""
    at = 0
    while at + 32 <= L:
        _add_32(W, g, columns, values, lo, hi, at)
        at += 32
    if at < L:
        _add_16(W, g, columns, values, lo, hi, at)


@njit
def aligned(rows, L):  # type: ignore[no-untyped-def]
    """Zeros (rows, L) that start on a cache line: a vector that lies across two lines costs twice."""
    raw = np.zeros(rows * L + 7)
    skip = (-(raw.ctypes.data // 8)) % 8
    return raw[skip : skip + rows * L].reshape(rows, L)


@njit(inline="always")
def fold(t, L):  # type: ignore[no-untyped-def]
    """Sum of t[0:L], L a multiple of LANES; overwrites t."""
    width = L
    while width > LANES:
        half = (width // (2 * LANES)) * LANES
        keep = width - half
        for j in range(half):
            t[j] += t[keep + j]
        width = keep
    for j in range(8):
        t[j] += t[j + 8]
    return ((t[0] + t[4]) + (t[2] + t[6])) + ((t[1] + t[5]) + (t[3] + t[7]))
