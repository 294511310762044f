"""Rank-one updates of a matrix and its products with the next vectors, in one pass over it.

A loop over examples reads the weights for every product, and reads and writes them for every update. Here up to four
updates that wait and up to four products that come next share one pass: a strip of units stays in vector registers
while the inputs pass by, and each weight is loaded once, moved by all updates, stored once and multiplied by all
inputs. Sums run in as many chains as a vector has lanes, by fused multiply-adds, and are added in a fixed order.
Updates round their products first, as the reference does.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from learnability.compiling import njit
from learnability.training.vector.ahead import prefetch
from learnability.training.vector.lanes import BYTES, INT, Lanes, compiled, listed, pointers

__all__ = ["TOGETHER", "dots", "fetch", "pairs", "sweep"]

TOGETHER = 4
"""Updates, and products, of one pass."""
_UNITS = 4  # of a strip; the last strip may hold two


def _strip(units: int, moves: int, products: int) -> Any:
    """``units`` rows of W: add ``moves`` multiples of inputs, and multiply by ``products`` inputs."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (W, X, C, waiting, Z, coming), widths = pointers(context, builder, signature.args[:6], arguments[:6])
        ldw, d, ldc, _, ldz, _ = widths
        dtype, first = signature.args[0].dtype, arguments[6]
        places = [builder.add(first, INT(j)) for j in range(units)]
        rows = [builder.gep(W, [builder.mul(place, ldw)]) for place in places]
        moving = [listed(builder, X, d, waiting, INT(s)) for s in range(moves)]
        asking = [listed(builder, X, d, coming, INT(n)) for n in range(products)]
        steps = [
            [builder.load(builder.gep(C, [builder.add(builder.mul(INT(s), ldc), place)])) for place in places]
            for s in range(moves)
        ]

        def along(lanes: Lanes, low: Any, high: Any) -> list[Any]:
            """The pass over the inputs low <= a < high; the sums of each unit."""
            sums = [lanes.zeros(products) for _ in range(units)]
            spread = [[lanes.splat(step) for step in of_move] for of_move in steps]
            with cgutils.for_range_slice(builder, low, high, INT(lanes.width)) as (a, _):
                moved = [lanes.load(start, a) for start in moving]
                asked = [lanes.load(start, a) for start in asking]
                for j, row in enumerate(rows):
                    w = lanes.load(row, a)
                    for s, x in enumerate(moved):
                        w = lanes.moved(spread[s][j], x, w)
                    if moves:
                        lanes.store(w, row, a)
                    for x, each in zip(asked, sums[j], strict=True):
                        lanes.add(w, x, each)
            return [[lanes.folded(builder.load(each)) for each in own] for own in sums]

        whole, one = Lanes(builder, dtype), Lanes(builder, dtype, 1)
        middle = builder.mul(builder.sdiv(d, INT(whole.width)), INT(whole.width))
        most, rest = along(whole, INT(0), middle), along(one, middle, d)
        for j, place in enumerate(places):
            for n in range(products):
                at = builder.gep(Z, [builder.add(builder.mul(INT(n), ldz), place)])
                builder.store(builder.fadd(most[j][n], rest[j][n]), at)
        return context.get_dummy_value()

    @intrinsic
    def strip(typing: Any, W: Any, X: Any, C: Any, waiting: Any, Z: Any, coming: Any, first: Any) -> Any:
        return types.none(W, X, C, waiting, Z, coming, types.int64), code

    return strip


def _strips(units: int) -> Any:
    """Strips of so many units: none, one or four updates, and none, one or four products."""
    code = {(s, n): _strip(units, s, n) for s in (0, 1, 4) for n in (0, 1, 4) if s or n}
    _0_1, _0_4, _1_0, _1_1, _1_4, _4_0, _4_1, _4_4 = (code[key] for key in sorted(code))

    @njit
    def strips(W, X, C, waiting, moves, Z, coming, products, low, high):  # type: ignore[no-untyped-def]
        for j in range(low, high, units):
            if moves == 0:
                if products == 1:
                    _0_1(W, X, C, waiting, Z, coming, j)
                elif products == 4:
                    _0_4(W, X, C, waiting, Z, coming, j)
            elif moves == 1:
                if products == 0:
                    _1_0(W, X, C, waiting, Z, coming, j)
                elif products == 1:
                    _1_1(W, X, C, waiting, Z, coming, j)
                else:
                    _1_4(W, X, C, waiting, Z, coming, j)
            elif products == 0:
                _4_0(W, X, C, waiting, Z, coming, j)
            elif products == 1:
                _4_1(W, X, C, waiting, Z, coming, j)
            else:
                _4_4(W, X, C, waiting, Z, coming, j)

    return strips


_by_four, _by_two = _strips(_UNITS), _strips(2)


def _sweep_plain(W, X, C, waiting, moves, Z, coming, products):  # type: ignore[no-untyped-def]
    units = len(W)
    for s in range(moves):
        W += C[s, :units, None] * X[waiting[s]]
    for n in range(products):
        Z[n, :units] = W @ X[coming[n]]


@compiled(_sweep_plain)
def sweep(W, X, C, waiting, moves, Z, coming, products):  # type: ignore[no-untyped-def]
    """W += sum of outer(C[s], X[waiting[s]]) for s < ``moves``, then Z[n] = W X[coming[n]] for n < ``products``.

    W (units, d), with an even number of units, X (m, d), C (moves, units or more) and Z (products, units or more) are
    C-contiguous and of one type, float64 or float32; ``waiting`` and ``coming`` are int64. All have room for
    :data:`TOGETHER` - 1 more updates and products: what lies there is overwritten.
    """
    units = len(W)
    moved, made = moves, products
    if moves > 1:
        while moved % TOGETHER:  # nothing times some input
            waiting[moved] = waiting[0]
            for j in range(units):
                C[moved, j] = 0
            moved += 1
    if products > 1:
        while made % TOGETHER:
            coming[made] = coming[0]
            made += 1
    fours = units // _UNITS * _UNITS
    if moved <= TOGETHER and made <= TOGETHER:
        if fours > 0:
            _by_four(W, X, C, waiting, moved, Z, coming, made, 0, fours)
        if fours < units:
            _by_two(W, X, C, waiting, moved, Z, coming, made, fours, units)
        return
    for low in range(0, units, _UNITS):  # a strip stays in the first cache
        high = min(low + _UNITS, units)
        by = _UNITS if low < fours else 2
        for s in range(0, moved, TOGETHER):
            count = min(TOGETHER, moved - s)
            if by == _UNITS:
                _by_four(W, X, C[s:], waiting[s:], count, Z, coming, 0, low, high)
            else:
                _by_two(W, X, C[s:], waiting[s:], count, Z, coming, 0, low, high)
        for n in range(0, made, TOGETHER):
            count = min(TOGETHER, made - n)
            if by == _UNITS:
                _by_four(W, X, C, waiting, 0, Z[n:], coming[n:], count, low, high)
            else:
                _by_two(W, X, C, waiting, 0, Z[n:], coming[n:], count, low, high)


@intrinsic
def _dots(typing: Any, X: Any, i: Any, coming: Any, first: Any, out: Any) -> Any:
    """Products of input i with :data:`TOGETHER` others."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        of = (0, 2, 4)
        kinds, values = [signature.args[a] for a in of], [arguments[a] for a in of]
        (X, coming, out), (d, _, _) = pointers(context, builder, kinds, values)
        dtype, i, first = signature.args[0].dtype, arguments[1], arguments[3]
        own = builder.gep(X, [builder.mul(i, d)])
        places = [builder.add(first, INT(n)) for n in range(TOGETHER)]
        rows = [listed(builder, X, d, coming, place) for place in places]

        def along(lanes: Lanes, low: Any, high: Any) -> list[Any]:
            sums = lanes.zeros(TOGETHER)
            with cgutils.for_range_slice(builder, low, high, INT(lanes.width)) as (a, _):
                x = lanes.load(own, a)
                for row, each in zip(rows, sums, strict=True):
                    lanes.add(x, lanes.load(row, a), each)
            return [lanes.folded(builder.load(each)) for each in sums]

        whole, one = Lanes(builder, dtype), Lanes(builder, dtype, 1)
        middle = builder.mul(builder.sdiv(d, INT(whole.width)), INT(whole.width))
        for place, most, rest in zip(places, along(whole, INT(0), middle), along(one, middle, d), strict=True):
            builder.store(builder.fadd(most, rest), builder.gep(out, [place]))
        return context.get_dummy_value()

    return types.none(X, types.int64, coming, types.int64, out), code


def _dots_plain(X, i, coming, first, last, out):  # type: ignore[no-untyped-def]
    for n in range(first, last):
        out[n] = X[coming[n]] @ X[i]


@compiled(_dots_plain)
def dots(X, i, coming, first, last, out):  # type: ignore[no-untyped-def]
    """out[n] = X[coming[n]] . X[i] for first <= n < last.

    Both lists have room for :data:`TOGETHER` - 1 more, which are overwritten.
    """
    for n in range(first, last, TOGETHER):
        for k in range(max(n, last), n + TOGETHER):
            coming[k] = coming[first]
        _dots(X, i, coming, n, out)  # type: ignore[call-arg]


@intrinsic
def _pairs(typing: Any, X: Any, coming: Any, out: Any) -> Any:
    """Products of :data:`TOGETHER` inputs with each other."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (X, coming, out), (d, _, ldo) = pointers(context, builder, signature.args, arguments)
        dtype = signature.args[0].dtype
        rows = [listed(builder, X, d, coming, INT(n)) for n in range(TOGETHER)]
        places = [(a, b) for a in range(TOGETHER) for b in range(a + 1, TOGETHER)]

        def along(lanes: Lanes, low: Any, high: Any) -> list[Any]:
            sums = lanes.zeros(len(places))
            with cgutils.for_range_slice(builder, low, high, INT(lanes.width)) as (at, _):
                x = [lanes.load(row, at) for row in rows]
                for (a, b), each in zip(places, sums, strict=True):
                    lanes.add(x[a], x[b], each)
            return [lanes.folded(builder.load(each)) for each in sums]

        whole, one = Lanes(builder, dtype), Lanes(builder, dtype, 1)
        middle = builder.mul(builder.sdiv(d, INT(whole.width)), INT(whole.width))
        for (a, b), most, rest in zip(places, along(whole, INT(0), middle), along(one, middle, d), strict=True):
            at = builder.add(builder.mul(INT(a), ldo), INT(b))
            builder.store(builder.fadd(most, rest), builder.gep(out, [at]))
        return context.get_dummy_value()

    return types.none(X, coming, out), code


def _pairs_plain(X, coming, count, out):  # type: ignore[no-untyped-def]
    rows = X[coming[:count]]
    out[:count, :count] = rows @ rows.T


@compiled(_pairs_plain)
def pairs(X, coming, count, out):  # type: ignore[no-untyped-def]
    """out[a, b] = X[coming[a]] . X[coming[b]] for a < b < ``count`` <= :data:`TOGETHER`: the window's, in one pass.

    The list has room for :data:`TOGETHER`.
    """
    for n in range(count, TOGETHER):
        coming[n] = coming[0]
    _pairs(X, coming, out)  # type: ignore[call-arg]


@compiled(lambda X, i: None)
def fetch(X, i):  # type: ignore[no-untyped-def]
    """Ask for row i, which will be wanted soon: in random order rows come from memory late otherwise."""
    d = X.shape[1]
    for a in range(0, d, BYTES // X.itemsize):
        prefetch(X, i * d + a)
