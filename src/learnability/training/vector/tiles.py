"""Small matrix products held in vector registers: what the hand-compiled mini-batch engine is made of.

Its matrices are a batch by a block of :data:`BLOCK` units, inside the first cache; a BLAS call for one costs as much
in overhead and packing as in work, and LLVM, given the loops, keeps the sums in memory. Here a tile of rows and lanes
stays in registers while the summed index passes by, and what follows the sum (a ReLU, or the gate of one on the way
back) is done on the registers. On one core of an Intel Xeon with AVX-512 a product runs at 0.6 to 0.9 of the peak.

Every entry is a chain of fused multiply-adds in the order of the summed index, or where that is longer than
:data:`CHAIN` one chain after the other, each from 0 on and then added to those before: results do not depend on the
tile, the block or the machine's vector width. (A machine without such an instruction computes the same, slowly.)

The code, a tile for every number of rows, is large. It is compiled once for each type, as a function that others call
by its address (:func:`kernel`): called in Numba's way it would be compiled anew into each of them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from learnability.compiling import cfunc, njit

__all__ = ["BLOCK", "CHAIN", "GATE", "NARROW", "RELU", "STORE", "flush_denormals", "kernel", "product", "restore",
           "transpose"]  # fmt: skip

BLOCK = 32
"""Units in a block."""
NARROW = 4
"""Columns of a product are a multiple of half a block, or this many for a few outputs: a short vector costs less."""
CHAIN = 1024
"""Most terms in a chain. The rounding of a chain grows with its length, that of n / 1024 chains with 1024 + n / 1024:
up to a million terms shorter ones would gain little, and networks of up to 1,024 units keep every bit they had."""
STORE, RELU, GATE = 0, 1, 2
"""What becomes of the sums: kept; z where z >= 0, else -0.0, whose sign remembers the gate; 0 where G is -0.0."""
_INT, _INT32 = ir.IntType(64), ir.IntType(32)


def _registers() -> tuple[int, int]:
    """Bytes of a vector, and rows of a tile that is two vectors wide, so that its sums fit the registers."""
    from llvmlite import binding

    wide = binding.get_host_cpu_features().get("avx512f", False)
    return (64, 12) if wide else (32, 6)


_BYTES, _ROWS = _registers()


def _strip(vectors: int, lanes: int, size: int) -> Any:
    """At most :data:`_ROWS` rows by ``vectors`` vectors of ``lanes`` numbers of ``size`` bytes, from addresses on.

    ``add``: 0 the sums alone, 1 a chain that begins with what C holds, 2 a chain of its own added to what C holds.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = ir.FloatType() if size == 4 else ir.DoubleType()
        C, X, W, G = (builder.inttoptr(address, number.as_pointer()) for address in arguments[:4])
        ldc, along, down, ldw, rows, K, add, mode = arguments[4:]
        vector = ir.VectorType(number, lanes)
        integers = ir.VectorType(ir.IntType(8 * size), lanes)
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{lanes}f{8 * size}"
        )

        def constant(value: float) -> Any:
            return ir.Constant(vector, [value] * lanes)

        def place(start: Any, r: Any, width: Any, v: int) -> Any:
            at = builder.add(builder.mul(r, width), _INT(v * lanes))
            return builder.bitcast(builder.gep(start, [at]), vector.as_pointer())

        def splat(value: Any) -> Any:
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, _INT32(0))
            return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_INT32, lanes), [0] * lanes))

        def relu(z: Any, r: Any, v: int) -> Any:
            # The maximum of -0.0 and z, written so that it is one whichever of two zeros a maximum takes: compared
            # with 0.0 it is the same, but LLVM 15 (Numba 0.61) makes it a maximum that turns 0.0 into -0.0.
            return builder.select(builder.fcmp_ordered("<", z, constant(-0.0)), constant(-0.0), z)

        def gate(z: Any, r: Any, v: int) -> Any:
            bits = builder.bitcast(builder.load(place(G, r, ldc, v), align=size), integers)
            return builder.select(
                builder.icmp_signed(">=", bits, ir.Constant(integers, [0] * lanes)), z, constant(0.0)
            )

        def tile(count: int) -> None:
            of_row = [_INT(r) for r in range(count)]
            sums = [[cgutils.alloca_once(builder, vector) for _ in range(vectors)] for _ in range(count)]
            places = [(r, v, sums[i][v]) for i, r in enumerate(of_row) for v in range(vectors)]
            with builder.if_else(builder.icmp_signed("==", add, _INT(1))) as (onto, afresh):
                with onto:
                    for r, v, each in places:
                        builder.store(builder.load(place(C, r, ldc, v), align=size), each)
                with afresh:
                    for _, _, each in places:
                        builder.store(constant(0.0), each)
            starts = [builder.gep(X, [builder.mul(r, along)]) for r in of_row]
            with cgutils.for_range(builder, K, intp=_INT) as loop:
                right = [builder.load(place(W, loop.index, ldw, v), align=size) for v in range(vectors)]
                at = builder.mul(loop.index, down)
                for start, own in zip(starts, sums, strict=True):
                    left = splat(builder.load(builder.gep(start, [at])))
                    for each, w in zip(own, right, strict=True):
                        builder.store(builder.call(fma, [left, w, builder.load(each)]), each)
            with builder.if_then(builder.icmp_signed("==", add, _INT(2))):
                for r, v, each in places:
                    before = builder.load(place(C, r, ldc, v), align=size)
                    builder.store(builder.fadd(before, builder.load(each)), each)
            done = builder.append_basic_block("stored")
            choice = builder.switch(mode, done)
            for value, change in ((STORE, lambda z, r, v: z), (RELU, relu), (GATE, gate)):
                choice.add_case(_INT(value), builder.append_basic_block("store"))
                builder.position_at_end(choice.cases[-1][1])
                for r, v, each in places:
                    builder.store(change(builder.load(each), r, v), place(C, r, ldc, v), align=size)
                builder.branch(done)
            builder.position_at_end(done)

        end = builder.append_basic_block("end")
        sizes = builder.switch(rows, end)
        for count in range(1, _ROWS + 1):
            sizes.add_case(_INT(count), builder.append_basic_block("rows"))
            builder.position_at_end(sizes.cases[-1][1])
            tile(count)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    @intrinsic
    def strip(
        typing: Any, C: Any, X: Any, W: Any, G: Any,
        ldc: Any, along: Any, down: Any, ldw: Any, rows: Any, K: Any, add: Any, mode: Any,
    ) -> Any:  # fmt: skip
        return types.none(*[types.int64] * 12), code

    return strip


def _sums(size: int) -> Any:
    """The whole product, of numbers of ``size`` bytes."""
    lanes = _BYTES // size
    narrow, one, two = _strip(1, NARROW, size), _strip(1, lanes, size), _strip(2, lanes, size)

    def sums(C, X, W, G, ldc, along, down, ldw, rows, K, columns, add, mode):  # type: ignore[no-untyped-def]
        strips = (rows + _ROWS - 1) // _ROWS
        for c in range(0, columns, 2 * lanes):
            row, at = 0, c * size
            for left in range(strips, 0, -1):  # as equal as can be: a strip of one row takes as long as one of four
                count = (rows - row + left - 1) // left
                own = row * ldc * size + at
                for begin in range(0, K, CHAIN):
                    terms = min(CHAIN, K - begin)
                    last = begin + terms == K
                    how, then = (add if begin == 0 else 2), (mode if last else STORE)
                    x, w = X + (row * along + begin * down) * size, W + begin * ldw * size + at
                    if c + 2 * lanes <= columns:
                        two(C + own, x, w, G + own, ldc, along, down, ldw, count, terms, how, then)
                    elif c + lanes <= columns:
                        one(C + own, x, w, G + own, ldc, along, down, ldw, count, terms, how, then)
                    else:
                        narrow(C + own, x, w, G + own, ldc, along, down, ldw, count, terms, how, then)
                row += count

    return sums


_SIGNATURE = types.void(*[types.int64] * 13)


@cache
def _compiled(size: int) -> Any:
    return cfunc(_SIGNATURE)(_sums(size))


def kernel(dtype: Any) -> int:
    """Address of the compiled sums for float32 or float64, which :func:`product` calls; 0 without the compiler."""
    return 0 if getattr(config, "DISABLE_JIT", False) else int(_compiled(np.dtype(dtype).itemsize).address)


@intrinsic
def _call(typing: Any, address: Any, arguments: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        given = cgutils.unpack_tuple(builder, values[1])
        function = ir.FunctionType(ir.VoidType(), [_INT] * len(given))
        builder.call(builder.inttoptr(values[0], function.as_pointer()), given)
        return context.get_dummy_value()

    return types.none(types.int64, types.UniTuple(types.int64, 13)), code


def _product_plain(kernel, C, X, turned, W, rows, K, columns, add, mode, G):  # type: ignore[no-untyped-def]
    left = X[:K, :rows].T if turned else X[:rows, :K]
    z = left @ W[:K, :columns]
    if add:
        z += C[:rows, :columns]
    if mode == RELU:
        z = np.where(z < 0, -np.zeros_like(z), z)
    elif mode == GATE:
        z = np.where(np.signbit(G[:rows, :columns]), np.zeros_like(z), z)
    C[:rows, :columns] = z


def _numba(plain: Any) -> Any:
    """Numba's decorator; where compilation is switched off, the plain function."""
    return (lambda _: plain) if getattr(config, "DISABLE_JIT", False) else njit(inline="always")


@_numba(_product_plain)
def product(kernel, C, X, turned, W, rows, K, columns, add, mode, G):  # type: ignore[no-untyped-def]
    """C = X W, or C + X W if ``add`` is 1, then ``mode``; all matrices are C-contiguous and of the kernel's type.

    C is (rows, columns), X (rows, K) or, ``turned``, (K, rows), W (K, columns), or larger; ``columns`` is a multiple
    of half a :data:`BLOCK`, or :data:`NARROW`; K is at least 1. G, of C's shape, is looked at in the mode GATE only.
    """
    ldx = X.shape[1]
    along, down = (1, ldx) if turned else (ldx, 1)
    arguments = (
        C.ctypes.data, X.ctypes.data, W.ctypes.data, G.ctypes.data,
        C.shape[1], along, down, W.shape[1], rows, K, columns, add, mode,
    )  # fmt: skip
    _call(kernel, arguments)  # type: ignore[call-arg]


def _control(change: Any) -> Any:
    """Reads the processor's floating-point control word and writes ``change`` of it; on unknown machines nothing."""
    from llvmlite import binding

    target = binding.get_default_triple().split("-")[0]
    void = ir.VoidType()

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        module = builder.module
        if target in ("x86_64", "amd64", "i386", "i686"):
            place = cgutils.alloca_once(builder, _INT32)
            address = builder.bitcast(place, ir.IntType(8).as_pointer())
            kind = ir.FunctionType(void, [ir.IntType(8).as_pointer()])
            builder.call(cgutils.get_or_insert_function(module, kind, "llvm.x86.sse.stmxcsr"), [address])
            old = builder.load(place)
            builder.store(builder.trunc(change(builder, builder.zext(old, _INT), values, 0x8040), _INT32), place)
            builder.call(cgutils.get_or_insert_function(module, kind, "llvm.x86.sse.ldmxcsr"), [address])
            return builder.zext(old, _INT)
        if target in ("aarch64", "arm64"):
            reading, writing = ir.FunctionType(_INT, []), ir.FunctionType(void, [_INT])
            old = builder.call(cgutils.get_or_insert_function(module, reading, "llvm.aarch64.get.fpcr"), [])
            new = change(builder, old, values, 1 << 24)
            builder.call(cgutils.get_or_insert_function(module, writing, "llvm.aarch64.set.fpcr"), [new])
            return old
        return _INT(0)

    return code


@intrinsic
def _flush(typing: Any) -> Any:
    return types.int64(), _control(lambda builder, old, values, bits: builder.or_(old, _INT(bits)))


@intrinsic
def _restore(typing: Any, control: Any) -> Any:
    return types.int64(types.int64), _control(lambda builder, old, values, bits: values[0])


@_numba(lambda: 0)
def flush_denormals():  # type: ignore[no-untyped-def]
    """Take numbers below the normal range (1e-38 in float32) as 0 from here on; returns what :func:`restore` wants.

    Weights that decay to nothing get there within 800 epochs, and an operation on one takes many times as long.
    """
    return _flush()  # type: ignore[call-arg]


@_numba(lambda control: 0)
def restore(control):  # type: ignore[no-untyped-def]
    """Arithmetic as it was before :func:`flush_denormals`."""
    return _restore(control)  # type: ignore[call-arg]


@njit
def transpose(M, T, rows, columns):  # type: ignore[no-untyped-def]
    """T[c, r] = M[r, c]."""
    for r in range(rows):
        for c in range(columns):
            T[c, r] = M[r, c]
