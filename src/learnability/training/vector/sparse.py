"""Sums of a matrix's rows over the non-zero entries of inputs, and rank-one updates of them.

As :mod:`learnability.training.vector.rows`, for matrices of which a block of columns is to stay in the second cache:
up to four vectors of 64 bytes at a time. Where there are fewer the sum runs in two or four chains, which are added at
the end, so that an addition need not wait for the one before. Sums are by fused multiply-adds; updates round their
products first, as the reference does.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from learnability.training.vector.lanes import BYTES, INT, Lanes, compiled, pointers

__all__ = ["LANES", "add", "total"]

LANES = 16  # rows are padded to a multiple of this
_VECTORS = 4  # of a block


def _block(vectors: int) -> tuple[Any, Any]:
    """The two operations on so many vectors of neurons from ``at`` on."""

    def parts(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (W, z, columns, values), (L, *_) = pointers(context, builder, signature.args[:4], arguments[:4])
        at = arguments[6]
        lanes = Lanes(builder, signature.args[0].dtype)
        starts = [INT(v * lanes.width) for v in range(vectors)]

        def row(q: Any) -> tuple[Any, Any]:
            column = builder.sext(builder.load(builder.gep(columns, [q])), INT)
            value = lanes.splat(builder.load(builder.gep(values, [q])))
            return builder.gep(W, [builder.add(builder.mul(column, L), at)]), value

        return lanes, starts, row, builder.gep(z, [at])

    def sum_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes, starts, row, z = parts(context, builder, signature, arguments)
        lo, hi = arguments[4:6]
        chains = _VECTORS // vectors
        sums = [lanes.zeros(vectors) for _ in range(chains)]

        def term(q: Any, own: list[Any]) -> None:
            start, value = row(q)
            for at, each in zip(starts, own, strict=True):
                lanes.add(value, lanes.load(start, at), each)

        rounds = builder.mul(builder.sdiv(builder.sub(hi, lo), INT(chains)), INT(chains))
        middle = builder.add(lo, rounds)
        with cgutils.for_range_slice(builder, lo, middle, INT(chains)) as (q, _):
            for chain, own in enumerate(sums):
                term(builder.add(q, INT(chain)), own)
        if chains > 1:
            with cgutils.for_range_slice(builder, middle, hi, INT(1)) as (q, _):
                term(q, sums[0])
        for v, at in enumerate(starts):
            found = [builder.load(own[v]) for own in sums]
            while len(found) > 1:
                half = len(found) // 2
                found = [builder.fadd(found[c], found[c + half]) for c in range(half)]
            lanes.store(found[0], z, at)
        return context.get_dummy_value()

    def add_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes, starts, row, g = parts(context, builder, signature, arguments)
        steps = [lanes.load(g, at) for at in starts]
        with cgutils.for_range_slice(builder, arguments[4], arguments[5], INT(1)) as (q, _):
            start, value = row(q)
            for at, step in zip(starts, steps, strict=True):
                lanes.store(lanes.moved(value, step, lanes.load(start, at)), start, at)
        return context.get_dummy_value()

    def signature(W: Any, z: Any, columns: Any, values: Any) -> Any:
        return types.none(W, z, columns, values, types.int64, types.int64, types.int64)

    @intrinsic
    def sum_block(typing: Any, W: Any, z: Any, columns: Any, values: Any, lo: Any, hi: Any, at: Any) -> Any:
        return signature(W, z, columns, values), sum_code

    @intrinsic
    def add_block(typing: Any, W: Any, g: Any, columns: Any, values: Any, lo: Any, hi: Any, at: Any) -> Any:
        return signature(W, g, columns, values), add_code

    return sum_block, add_block


_sum_4, _add_4 = _block(4)
_sum_2, _add_2 = _block(2)
_sum_1, _add_1 = _block(1)


def _total_plain(W, z, columns, values, lo, hi, start, stop):  # type: ignore[no-untyped-def]
    z[start:stop] = values[lo:hi] @ W[columns[lo:hi], start:stop]


@compiled(_total_plain)
def total(W, z, columns, values, lo, hi, start, stop):  # type: ignore[no-untyped-def]
    """z[start:stop] = sum of values[q] * W[columns[q], start:stop] for q in lo..hi-1.

    W, z and values are C-contiguous, all float64 or all float32, columns int32, start and stop multiples of
    :data:`LANES`.
    """
    lanes = BYTES // W.itemsize
    at = start
    while at + 4 * lanes <= stop:
        _sum_4(W, z, columns, values, lo, hi, at)
        at += 4 * lanes
    while at + 2 * lanes <= stop:
        _sum_2(W, z, columns, values, lo, hi, at)
        at += 2 * lanes
    if at < stop:
        _sum_1(W, z, columns, values, lo, hi, at)


def _add_plain(W, g, columns, values, lo, hi, start, stop):  # type: ignore[no-untyped-def]
    for q in range(lo, hi):
        W[columns[q], start:stop] += values[q] * g[start:stop]


@compiled(_add_plain)
def add(W, g, columns, values, lo, hi, start, stop):  # type: ignore[no-untyped-def]
    """W[columns[q], start:stop] += values[q] * g[start:stop] for q in lo..hi-1."""
    lanes = BYTES // W.itemsize
    at = start
    while at + 4 * lanes <= stop:
        _add_4(W, g, columns, values, lo, hi, at)
        at += 4 * lanes
    while at + 2 * lanes <= stop:
        _add_2(W, g, columns, values, lo, hi, at)
        at += 2 * lanes
    if at < stop:
        _add_1(W, g, columns, values, lo, hi, at)
