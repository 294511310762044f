"""Weighted sums of a matrix's rows, a block of lanes wide, held in registers: what sparse inputs need.

With the non-zeros of an example, the rows of a layer's weights; with those of a column, the rows of what comes back
to the units. Two sums run side by side, of every other term, since one would wait for itself; they are added in the
end. The order of the sums does not depend on the machine's vector width.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from learnability.compiling import njit
from learnability.training.vector.tiles import BLOCK

__all__ = ["gathered"]

_INT, _INT32 = ir.IntType(64), ir.IntType(32)
_SIDES = 2


def _lanes(size: int) -> int:
    """Numbers of ``size`` bytes in a register."""
    from llvmlite import binding

    return (64 if binding.get_host_cpu_features().get("avx512f", False) else 32) // size


@intrinsic
def _gathered(typing: Any, out: Any, M: Any, rows: Any, values: Any, lo: Any, hi: Any, add: Any, at: Any) -> Any:
    """Out and M are (r, BLOCK), C-contiguous; ``at`` is the row of ``out``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = ir.FloatType() if signature.args[0].dtype == types.float32 else ir.DoubleType()
        size = 4 if signature.args[0].dtype == types.float32 else 8
        lanes = _lanes(size)
        vector = ir.VectorType(number, lanes)
        count = BLOCK // lanes
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{lanes}f{8 * size}"
        )
        arrays = zip(signature.args[:4], arguments[:4], strict=True)
        Z, matrix, which, factors = (context.make_array(kind)(context, builder, array).data for kind, array in arrays)
        first, last, onto, row = arguments[4:]

        def place(start: Any, v: int) -> Any:
            return builder.bitcast(builder.gep(start, [_INT(v * lanes)]), vector.as_pointer())

        target = builder.gep(Z, [builder.mul(row, _INT(BLOCK))])
        sums = [[cgutils.alloca_once(builder, vector) for _ in range(count)] for _ in range(_SIDES)]
        zero = ir.Constant(vector, [0.0] * lanes)
        with builder.if_else(builder.icmp_signed("!=", onto, _INT(0))) as (more, afresh):
            with more:
                for v, each in enumerate(sums[0]):
                    builder.store(builder.load(place(target, v), align=size), each)
            with afresh:
                for each in sums[0]:
                    builder.store(zero, each)
        for own in sums[1:]:
            for each in own:
                builder.store(zero, each)

        def term(q: Any, own: Any) -> None:
            r = builder.zext(builder.load(builder.gep(which, [q])), _INT)
            start = builder.gep(matrix, [builder.mul(r, _INT(BLOCK))])
            factor = builder.load(builder.gep(factors, [q]))
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), factor, _INT32(0))
            spread = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_INT32, lanes), [0] * lanes))
            for v, each in enumerate(own):
                loaded = builder.load(place(start, v), align=size)
                builder.store(builder.call(fma, [spread, loaded, builder.load(each)]), each)

        left = builder.srem(builder.sub(last, first), _INT(_SIDES))
        even = builder.sub(last, left)
        with cgutils.for_range_slice(builder, first, even, _INT(_SIDES)) as (q, _):
            for side, own in enumerate(sums):
                term(builder.add(q, _INT(side)), own)
        with cgutils.for_range_slice(builder, even, last, _INT(1)) as (q, _):
            term(q, sums[0])
        for v in range(count):
            total = builder.load(sums[0][v])
            for own in sums[1:]:
                total = builder.fadd(total, builder.load(own[v]))
            builder.store(total, place(target, v), align=size)
        return context.get_dummy_value()

    return types.none(out, M, rows, values, types.int64, types.int64, types.int64, types.int64), code


def _plain(out, M, rows, values, lo, hi, add, at):  # type: ignore[no-untyped-def]
    total = values[lo:hi] @ M[rows[lo:hi]]
    out[at] = out[at] + total if add else total


def _compiled(plain: Any) -> Any:
    return (lambda _: plain) if getattr(config, "DISABLE_JIT", False) else njit(inline="always")


@_compiled(_plain)
def gathered(out, M, rows, values, lo, hi, add, at):  # type: ignore[no-untyped-def]
    """out[at] = the sum of values[q] M[rows[q]] for q in lo..hi-1, and out[at] before it if ``add`` is 1.

    ``out`` and M are (r, BLOCK), C-contiguous, of the type of ``values``; ``rows`` holds unsigned integers.
    """
    _gathered(out, M, rows, values, lo, hi, add, at)  # type: ignore[call-arg]
