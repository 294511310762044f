"""The compiled loops of the fused form. Behind the door: nothing is checked here.

Units stand in blocks of BLOCK, lane beside lane: a layer's weights are (blocks, inputs, BLOCK), a batch's activations
(blocks, batch, BLOCK). Inputs are taken in chunks: of a chunk's columns all that a batch needs, its examples and the
weights of a block, is in the first caches. Of a dense table the chunk of a batch is copied out; of a sparse one its
rows of non-zeros are read where they are on the way forth, and turned into columns of non-zeros for the way back.
A piece of the gradient is made, and the optimiser's step of those weights done, before the next.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numpy.typing import NDArray

from learnability.compiling import njit
from learnability.training.minibatch.fused import rules
from learnability.training.minibatch.fused.sums import gathered
from learnability.training.vector.tiles import BLOCK, STORE, flush_denormals, product, restore

__all__ = ["COSINE", "GATED", "HINGE", "LINEARISED", "LOGISTIC", "RELU", "SQUARED", "How", "Inputs", "Net", "Work",
           "epoch", "evaluate", "images_through"]  # fmt: skip

RELU, GATED, LINEARISED, COSINE = range(4)
HINGE, SQUARED, LOGISTIC = range(3)
PI_1, PI_2, PI_3 = 3.141592651605606, 1.9841871583270443e-09, 1.034036596358821e-18
"""Their sum is pi; the first two leave room for a factor of 2^23."""


class How(NamedTuple):
    """What is trained, and how."""

    kernel: int
    """Address of the compiled product."""
    model: int
    loss: int
    rule: int
    units: int
    trains: tuple[bool, bool, bool, bool]
    """W, b, u, c."""


class Inputs(NamedTuple):
    """The parts of which a source's examples are made, in columns of which ``chunk`` are taken together."""

    table: NDArray[Any]
    """(N, d), dense."""
    scale: Any
    """By which the table is divided."""
    parts: int
    """In an example."""
    chunk: int
    sparse: bool
    starts: NDArray[Any]
    """(N, chunks of a part + 1): where the non-zeros of a row's chunk begin, if ``sparse``."""
    columns: NDArray[Any]
    """Their columns, from the chunk's first on."""
    values: NDArray[Any]


class Net(NamedTuple):
    """Weights, of the trainable layer and of the frozen one; arrays without entries where there is none."""

    W: NDArray[Any]
    """(blocks, inputs, BLOCK)"""
    b: NDArray[Any]
    u: NDArray[Any]
    c: NDArray[Any]
    F: NDArray[Any]
    """Frozen weights, like W."""
    shift: NDArray[Any]
    """Frozen biases."""
    out: NDArray[Any]
    """Frozen output weights (those of the linearised network)."""
    through: NDArray[Any]
    """(N, parts, units): what the frozen layer makes of each part at each place, if it is known."""


class Work(NamedTuple):
    """Buffers of a batch."""

    a: NDArray[Any]
    """(blocks, batch, BLOCK): pre-activations, then what meets u."""
    z: NDArray[Any]
    """Frozen pre-activations; ``a`` where there are none."""
    q: NDArray[Any]
    """What comes back to the units."""
    x: NDArray[Any]
    """(chunks, batch, chunk) of a dense batch."""
    lanes: NDArray[Any]
    """(batch, BLOCK): the output's sum, lane by lane."""
    f: NDArray[Any]
    g: NDArray[Any]
    """(chunk, BLOCK) of the gradient."""
    starts: NDArray[Any]
    rows: NDArray[Any]
    values: NDArray[Any]


@njit(error_model="numpy")
def _copy_out(inputs, parts, rows, x):  # type: ignore[no-untyped-def]
    """The dense batch, chunk by chunk."""
    table, scale, chunk = inputs.table, inputs.scale, inputs.chunk
    d = table.shape[1]
    chunks = (d + chunk - 1) // chunk
    for place in range(inputs.parts):
        for part in range(chunks):
            first = part * chunk
            width = min(chunk, d - first)
            to = x[place * chunks + part]
            for i in range(rows):
                row, own = table[parts[i, place], first : first + width], to[i]
                for j in range(width):
                    own[j] = own.dtype.type(row[j]) / scale


@njit(error_model="numpy")
def _add_products(kernel, inputs, parts, rows, W, x, a, only):  # type: ignore[no-untyped-def]
    """A += X W, at one place of the parts only if ``only`` >= 0."""
    chunk, d = inputs.chunk, inputs.table.shape[1]
    chunks = (d + chunk - 1) // chunk
    for place in range(inputs.parts if only < 0 else 1):
        at = place if only < 0 else only
        for part in range(chunks):
            first = at * d + part * chunk
            width = min(chunk, d - part * chunk)
            for j in range(len(W)):
                of_block, out = W[j, first : first + width], a[j]
                if inputs.sparse:
                    for i in range(rows):
                        row = parts[i, place]
                        lo, hi = inputs.starts[row, part], inputs.starts[row, part + 1]
                        gathered(out, of_block, inputs.columns, inputs.values, lo, hi, 1, i)
                else:
                    product(kernel, out, x[place * chunks + part], 0, of_block, rows, width, BLOCK, 1, STORE, out)


@njit(error_model="numpy")
def _turn(inputs, parts, rows, place, part, width, work):  # type: ignore[no-untyped-def]
    """The non-zeros of a batch's chunk, column by column, in the order of the examples."""
    starts, own, values = work.starts, work.rows, work.values
    for j in range(width + 1):
        starts[j] = 0
    for i in range(rows):
        row = parts[i, place]
        for q in range(inputs.starts[row, part], inputs.starts[row, part + 1]):
            starts[inputs.columns[q] + 1] += 1
    for j in range(width):
        starts[j + 1] += starts[j]
    for i in range(rows):
        row = parts[i, place]
        for q in range(inputs.starts[row, part], inputs.starts[row, part + 1]):
            column = inputs.columns[q]
            to = starts[column]
            own[to] = i
            values[to] = inputs.values[q]
            starts[column] = to + 1
    for j in range(width, 0, -1):
        starts[j] = starts[j - 1]
    starts[0] = 0


@njit(error_model="numpy")
def _descend(how, inputs, parts, rows, net, first, second, work, hyper):  # type: ignore[no-untyped-def]
    """The trainable layer's gradient and step, piece by piece."""
    chunk, d = inputs.chunk, inputs.table.shape[1]
    chunks = (d + chunk - 1) // chunk
    inputs_of_all = net.W.shape[1]
    W, one, two, g = net.W.reshape(-1), first.W.reshape(-1), second.W.reshape(-1), work.g.reshape(-1)
    for place in range(inputs.parts):
        for part in range(chunks):
            width = min(chunk, d - part * chunk)
            at = place * d + part * chunk
            if inputs.sparse:
                _turn(inputs, parts, rows, place, part, width, work)
            for j in range(len(net.W)):
                if inputs.sparse:
                    for r in range(width):
                        gathered(work.g, work.q[j], work.rows, work.values, work.starts[r], work.starts[r + 1], 0, r)
                else:
                    x = work.x[place * chunks + part]
                    product(how.kernel, work.g, x, 1, work.q[j], width, rows, BLOCK, 0, STORE, work.g)
                rules.update(how.rule, hyper, W, one, two, g, (j * inputs_of_all + at) * BLOCK, width * BLOCK)


# Below, rows are named before their lanes are passed over: so LLVM sees that no index is negative.


@njit(error_model="numpy")
def _begin(a, bias, rows):  # type: ignore[no-untyped-def]
    for j in range(len(a)):
        own, block = bias[j * BLOCK : (j + 1) * BLOCK], a[j]
        for i in range(rows):
            row = block[i]
            for lane in range(BLOCK):
                row[lane] = own[lane]


@njit(error_model="numpy")
def _look_up(through, parts, rows, a):  # type: ignore[no-untyped-def]
    """A += what the frozen layer makes of the parts."""
    for i in range(rows):
        for place in range(through.shape[1]):
            found = through[parts[i, place], place]
            for j in range(len(a)):
                row, own = a[j, i], found[j * BLOCK : (j + 1) * BLOCK]
                for lane in range(BLOCK):
                    row[lane] += own[lane]


@njit(error_model="numpy")
def _cosine(z):  # type: ignore[no-untyped-def]
    """Cos z without a branch, so that lanes go together: (-1)^k sin r, r = z - (k - 1/2) pi, by the sine's series."""
    whole = 6755399441055744.0  # adding and taking it away rounds to the nearest integer
    k = (z * 0.3183098861837907 + 0.5 + whole) - whole
    h = k - 0.5
    r = ((z - h * PI_1) - h * PI_2) - h * PI_3
    s = r * r
    p = s * 1.9572941063391263e-20 - 8.22063524662433e-18
    p = p * s + 2.8114572543455206e-15
    p = p * s - 7.647163731819816e-13
    p = p * s + 1.6059043836821613e-10
    p = p * s - 2.505210838544172e-08
    p = p * s + 2.7557319223985893e-06
    p = p * s - 0.0001984126984126984
    p = p * s + 0.008333333333333333
    p = p * s - 0.16666666666666666
    odd = abs(k - 2.0 * ((0.5 * k + whole) - whole))
    return (r + r * s * p) * (1.0 - 2.0 * odd)


@njit(error_model="numpy")
def _forth(how, inputs, parts, rows, net, work):  # type: ignore[no-untyped-def]
    """Outputs f of a batch; ``a`` becomes what meets u, ``z`` what the gates look at."""
    a, z, lanes, u, dense = work.a, work.z, work.lanes, net.u, not inputs.sparse
    known = net.through.shape[0] > 0
    has_own = net.W.shape[1] > 0
    if dense and (has_own or not known):
        _copy_out(inputs, parts, rows, work.x)
    if how.model != RELU or not has_own:
        _begin(z, net.shift, rows)
        if known:
            _look_up(net.through, parts, rows, z)
        else:
            _add_products(how.kernel, inputs, parts, rows, net.F, work.x, z, -1)
    if has_own:
        _begin(a, net.b, rows)
        _add_products(how.kernel, inputs, parts, rows, net.W, work.x, a, -1)
    for i in range(rows):
        for lane in range(BLOCK):
            lanes[i, lane] = 0
    none = lanes.dtype.type(0)
    for j in range(len(a)):
        at = slice(j * BLOCK, (j + 1) * BLOCK)
        v, fixed, own, gates = u[at], net.out[at], a[j], z[j]
        for i in range(rows):
            h, gate, total = own[i], gates[i], lanes[i]
            if how.model == RELU:
                for lane in range(BLOCK):
                    h[lane] = max(h[lane], none)
                    total[lane] += h[lane] * v[lane]
            elif how.model == GATED:
                for lane in range(BLOCK):
                    h[lane] = h[lane] if gate[lane] > 0 else none
                    total[lane] += h[lane] * v[lane]
            elif how.model == LINEARISED:
                for lane in range(BLOCK):
                    moved = h[lane] if gate[lane] > 0 else none
                    h[lane] = max(gate[lane], none)
                    total[lane] += h[lane] * v[lane] + moved * fixed[lane]
            else:
                for lane in range(BLOCK):
                    h[lane] = _cosine(float(h[lane]))
                    total[lane] += h[lane] * v[lane]
    c = net.c[0]
    for i in range(rows):
        total = none
        for lane in range(BLOCK // 2):
            lanes[i, lane] += lanes[i, lane + BLOCK // 2]
        for lane in range(BLOCK // 4):
            lanes[i, lane] += lanes[i, lane + BLOCK // 4]
        for lane in range(BLOCK // 4):
            total += lanes[i, lane]
        work.f[i] = total + c


@njit(error_model="numpy")
def _judge(how, f, y, rows, seen):  # type: ignore[no-untyped-def]
    """Adds losses and errors up in ``seen``; f becomes the derivative of the batch's mean loss."""
    one = f.dtype.type(1)
    by = one / f.dtype.type(rows)
    for i in range(rows):
        value, label = f[i], y[i]
        margin = label * value
        if not margin > 0:
            seen[1] += 1
        if how.loss == HINGE:
            miss = one - margin
            seen[0] += max(miss, one - one) if miss == miss else miss
            slope = -label if miss > 0 else one - one
        elif how.loss == SQUARED:
            miss = value - label
            seen[0] += miss * miss / 2
            slope = miss
        else:
            small = math.exp(-abs(margin))
            seen[0] += max(-margin, one - one) + math.log1p(small) if margin == margin else margin
            slope = -label * (small / (one + small) if margin > 0 else one / (one + small))
        f[i] = slope * by


@njit(error_model="numpy")
def _back(how, rows, net, first, second, work, hyper):  # type: ignore[no-untyped-def]
    """What comes back to the units, and the step of everything but W."""
    s, g = work.f, work.g
    train_W, train_b, train_u, train_c = how.trains
    of_b, of_u = g[0], g[1]
    none = s.dtype.type(0)
    for j in range(len(work.a)):
        at = j * BLOCK
        a, z, q = work.a[j], work.z[j], work.q[j]
        v = net.out[at : at + BLOCK] if how.model == LINEARISED else net.u[at : at + BLOCK]
        for lane in range(BLOCK):
            of_b[lane] = 0
            of_u[lane] = 0
        if train_W or train_b:
            gates = a if how.model == RELU else z
            for i in range(rows):
                gate, back, share = gates[i], q[i], s[i]
                for lane in range(BLOCK):
                    back[lane] = share * v[lane] if gate[lane] > 0 else none
                    of_b[lane] += back[lane]
        if train_u:
            for i in range(rows):
                h, share = a[i], s[i]
                for lane in range(BLOCK):
                    of_u[lane] += share * h[lane]
            for lane in range(max(how.units - at, 0), BLOCK):
                of_u[lane] = 0  # no unit: the cosine of nothing is 1
            rules.update(how.rule, hyper, net.u, first.u, second.u, of_u, at, BLOCK)
        if train_b:
            rules.update(how.rule, hyper, net.b, first.b, second.b, of_b, at, BLOCK)
    if train_c:
        of_b[0] = 0
        for i in range(rows):
            of_b[0] += s[i]
        rules.update(how.rule, hyper, net.c, first.c, second.c, of_b, 0, 1)


@njit(error_model="numpy")
def epoch(how, inputs, parts, y, batch, net, first, second, work, hyper, step, seen):  # type: ignore[no-untyped-def]
    """An epoch over the examples ``parts``, the first step being number ``step``; adds up losses and errors."""
    control = flush_denormals()
    for start in range(0, len(parts), batch):
        rows = min(batch, len(parts) - start)
        own = parts[start : start + rows]
        rules.prepare(how.rule, hyper, step)
        step += 1
        _forth(how, inputs, own, rows, net, work)
        _judge(how, work.f, y[start : start + rows], rows, seen)
        _back(how, rows, net, first, second, work, hyper)
        if how.trains[0]:
            _descend(how, inputs, own, rows, net, first, second, work, hyper)
    restore(control)


@njit(error_model="numpy")
def evaluate(how, inputs, parts, y, batch, net, work, seen):  # type: ignore[no-untyped-def]
    """Losses and errors of the examples ``parts``, added up."""
    for start in range(0, len(parts), batch):
        rows = min(batch, len(parts) - start)
        _forth(how, inputs, parts[start : start + rows], rows, net, work)
        _judge(how, work.f, y[start : start + rows], rows, seen)


@njit(error_model="numpy")
def images_through(how, inputs, images, F, batch, work, through):  # type: ignore[no-untyped-def]
    """``through`` = what the layer F makes of each image at each place."""
    a = work.z
    for start in range(0, len(images), batch):
        rows = min(batch, len(images) - start)
        own = images[start : start + rows]
        if not inputs.sparse:
            _copy_out(inputs, own, rows, work.x)
        for place in range(through.shape[1]):
            a[:, :rows] = 0
            _add_products(how.kernel, inputs, own, rows, F, work.x, a, place)
            for i in range(rows):
                for j in range(len(a)):
                    for lane in range(BLOCK):
                        through[start + i, place, j * BLOCK + lane] = a[j, i, lane]
