"""Asking for memory before it is needed."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from learnability.compiling import njit

__all__ = ["prefetch"]

_INT32, _BYTES = ir.IntType(32), ir.IntType(8).as_pointer()


@intrinsic
def _prefetch(typing: Any, array: Any, at: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        kind = ir.FunctionType(ir.VoidType(), [_BYTES, _INT32, _INT32, _INT32])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        place = builder.bitcast(builder.gep(data, [arguments[1]]), _BYTES)
        builder.call(ask, [place, _INT32(0), _INT32(3), _INT32(1)])  # to read, into every cache, data
        return context.get_dummy_value()

    return types.none(array, types.int64), code


def _nothing(array, at):  # type: ignore[no-untyped-def]
    pass


def _compiled(plain: Any) -> Any:
    return (lambda _: plain) if getattr(config, "DISABLE_JIT", False) else njit(inline="always")


@_compiled(_nothing)
def prefetch(array, at):  # type: ignore[no-untyped-def]
    """Ask for the cache line of entry ``at`` of a C-contiguous array; nothing waits for it. It may lie outside."""
    _prefetch(array, at)  # type: ignore[call-arg]
