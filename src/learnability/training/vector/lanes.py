"""What the hand-written loops over vectors share: numbers and vectors of 64 bytes in LLVM's language.

Code for a vector of 64 bytes runs on every machine: where registers are shorter LLVM takes several of them. So
results do not depend on the machine.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils

from learnability.compiling import njit

__all__ = ["BYTES", "Lanes", "compiled", "listed", "pointers"]

BYTES = 64
INT, INT32 = ir.IntType(64), ir.IntType(32)


class Lanes:
    """Loads, stores and sums of ``width`` numbers at a time; with width 0 as many as 64 bytes hold."""

    def __init__(self, builder: Any, dtype: Any, width: int = 0) -> None:
        self.builder, self.size = builder, 4 if dtype == types.float32 else 8
        self.width = width or BYTES // self.size
        number = ir.FloatType() if self.size == 4 else ir.DoubleType()
        self.kind = number if self.width == 1 else ir.VectorType(number, self.width)
        name = f"f{8 * self.size}" if self.width == 1 else f"v{self.width}f{8 * self.size}"
        signature = ir.FunctionType(self.kind, [self.kind] * 3)
        self.intrinsic = cgutils.get_or_insert_function(builder.module, signature, f"llvm.fma.{name}")

    def zeros(self, count: int) -> list[Any]:
        """So many sums, which LLVM keeps in registers."""
        sums = [cgutils.alloca_once(self.builder, self.kind) for _ in range(count)]
        for each in sums:
            self.builder.store(ir.Constant(self.kind, 0.0 if self.width == 1 else [0.0] * self.width), each)
        return sums

    def splat(self, value: Any) -> Any:
        """A number in all lanes."""
        if self.width == 1:
            return value
        one = self.builder.insert_element(ir.Constant(self.kind, ir.Undefined), value, INT32(0))
        places = ir.Constant(ir.VectorType(INT32, self.width), [0] * self.width)
        return self.builder.shuffle_vector(one, one, places)

    def place(self, start: Any, at: Any) -> Any:
        """The address of the numbers from entry ``at`` on."""
        place = self.builder.gep(start, [at])
        return place if self.width == 1 else self.builder.bitcast(place, self.kind.as_pointer())

    def load(self, start: Any, at: Any) -> Any:
        """The numbers from entry ``at`` on."""
        return self.builder.load(self.place(start, at), align=self.size)

    def store(self, value: Any, start: Any, at: Any) -> None:
        """Put them back."""
        self.builder.store(value, self.place(start, at), align=self.size)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """A b + c, rounded once."""
        return self.builder.call(self.intrinsic, [a, b, c])

    def moved(self, a: Any, b: Any, c: Any) -> Any:
        """A b + c, the product rounded first: a step and the same step back leave c."""
        return self.builder.fadd(self.builder.fmul(a, b), c)

    def add(self, a: Any, b: Any, each: Any) -> None:
        """``each`` += a b, for one of :meth:`zeros`."""
        self.builder.store(self.fma(a, b, self.builder.load(each)), each)

    def folded(self, lane: Any) -> Any:
        """The sum of the lanes: the upper half onto the lower, until one is left."""
        width = self.width
        while width > 1:
            width //= 2
            mask = ir.VectorType(INT32, width)
            low, high = (
                self.builder.shuffle_vector(lane, lane, ir.Constant(mask, list(range(start, start + width))))
                for start in (0, width)
            )
            lane = self.builder.fadd(low, high)
        return lane if self.width == 1 else self.builder.extract_element(lane, INT32(0))


def pointers(context: Any, builder: Any, kinds: Any, values: Any) -> tuple[list[Any], list[Any]]:
    """Where the arrays among the arguments start, and how long their rows are."""
    arrays = [context.make_array(kind)(context, builder, one) for kind, one in zip(kinds, values, strict=True)]
    return [array.data for array in arrays], [cgutils.unpack_tuple(builder, array.shape)[-1] for array in arrays]


def listed(builder: Any, start: Any, width: Any, places: Any, k: Any) -> Any:
    """The start of the row of a matrix that stands ``k``-th in a list."""
    return builder.gep(start, [builder.mul(builder.load(builder.gep(places, [k])), width)])


def compiled(plain: Any) -> Any:
    """Numba's decorator; where compilation is switched off, the plain function."""
    return (lambda _: plain) if getattr(config, "DISABLE_JIT", False) else njit
