"""The compiled loops of :mod:`learnability.training.grid`. Behind the door: nothing is checked here.

Units stand in blocks of BLOCK, lane beside lane: a layer's weights are (blocks, inputs, BLOCK) with the bias as the
last input, its activations (blocks, batch, BLOCK), and A is (blocks, k, BLOCK). A product that sums over units needs
the transposed block: those of A and of V are kept (A is needed so twice in a step), those of U, which are many, are
made when they are needed. Outputs have K >= k + 1 columns, a multiple of half a block; column k holds the constant 1
that meets the biases of V, columns from k on are not read otherwise.

A run's step is one pass over the blocks for each layer, forth and back; a block's weights, velocity and gradient meet
once, in the first cache. Gradients are Fact C.4's; where a pre-activation is 0 the gate is open, as in the paper.
"""

from __future__ import annotations

from numba import njit

from learnability.training.vector.tiles import BLOCK, GATE, RELU, STORE, flush_denormals, product, restore, transpose

__all__ = ["epoch_2layer", "epoch_3layer", "epoch_3resnet", "outputs_2layer", "outputs_3layer", "outputs_3resnet"]


@njit(cache=True, inline="always")
def _descend(theta, velocity, g, rows, rate, decay, momentum):  # type: ignore[no-untyped-def]
    for i in range(rows):
        for j in range(BLOCK):
            velocity[i, j] = momentum * velocity[i, j] + (g[i, j] + decay * theta[i, j])
            theta[i, j] -= rate * velocity[i, j]


# Loops and not assignments of slices, which Numba guards against overlap by a copy.


@njit(cache=True, inline="always")
def _fill(M, value, rows):  # type: ignore[no-untyped-def]
    for b in range(rows):
        for r in range(M.shape[1]):
            M[b, r] = value


@njit(cache=True, inline="always")
def _copy(M, C, rows):  # type: ignore[no-untyped-def]
    for b in range(rows):
        for r in range(M.shape[1]):
            C[b, r] = M[b, r]


@njit(cache=True)
def _residual(out, Y, rows, k):  # type: ignore[no-untyped-def]
    """Sum of the losses; ``out`` becomes the derivative of their mean."""
    total = 0.0
    one = out.dtype.type(1)
    scale = one / out.dtype.type(rows)
    for b in range(rows):
        own = one - one  # an example's is summed in the type of the outputs, the batch's in float64
        for r in range(k):
            difference = out[b, r] - Y[b, r]
            own += difference * difference
            out[b, r] = difference * scale
        total += own
    return total / 2


@njit(cache=True)
def _layer(kernel, X, inputs, M, h, rows, out, AT):  # type: ignore[no-untyped-def]
    """Activations h = relu(X M) block by block, and out += h A^T."""
    for j in range(len(M)):
        product(kernel, h[j], X, 0, M[j], rows, inputs, BLOCK, 0, RELU, h[j])
        product(kernel, out, h[j], 0, AT[j], rows, BLOCK, out.shape[1], 1, STORE, out)


@njit(cache=True)
def _constant(o, rows, k):  # type: ignore[no-untyped-def]
    for b in range(rows):
        o[b, k] = 1


@njit(cache=True)
def outputs_2layer(kernel, X, rows, k, W, AT, h, out):  # type: ignore[no-untyped-def]
    """Outputs A relu(W x)."""
    _fill(out, 0, rows)
    _layer(kernel, X, X.shape[1], W, h, rows, out, AT)


@njit(cache=True)
def outputs_3resnet(kernel, X, rows, k, W, V, AT, h, h2, o, out):  # type: ignore[no-untyped-def]
    """Bottleneck o = (A relu(W x), 1) and out = o + A relu(V o)."""
    _fill(o, 0, rows)
    _layer(kernel, X, X.shape[1], W, h, rows, o, AT)
    _copy(o, out, rows)
    _constant(o, rows, k)
    _layer(kernel, o, k + 1, V, h2, rows, out, AT)


@njit(cache=True)
def outputs_3layer(kernel, X, rows, k, W, U, AT, h, h2, ones, out):  # type: ignore[no-untyped-def]
    """Outputs A relu(U (relu(W x), 1))."""
    for j in range(len(W)):
        product(kernel, h[j], X, 0, W[j], rows, X.shape[1], BLOCK, 0, RELU, h[j])
    _fill(out, 0, rows)
    last = len(h) - 1
    for j in range(len(U)):
        product(kernel, h2[j], ones, 0, U[j, BLOCK * len(h) :], rows, 1, BLOCK, 0, STORE, h2[j])
        for i in range(len(h)):
            part = U[j, BLOCK * i : BLOCK * (i + 1)]
            product(kernel, h2[j], h[i], 0, part, rows, BLOCK, BLOCK, 1, RELU if i == last else STORE, h2[j])
        product(kernel, out, h2[j], 0, AT[j], rows, BLOCK, out.shape[1], 1, STORE, out)


@njit(cache=True)
def epoch_2layer(  # type: ignore[no-untyped-def]
    kernel, runs, rates, decays, momentum, X, Y, batch, k, trains, W, A, AT, vW, vA, h, q, out, g, losses
):
    """An epoch over the rows of X for each of ``runs``; adds up their losses."""
    train_W, train_A = trains
    N, inputs = X.shape
    control = flush_denormals()
    for run in runs:
        rate, decay, total = rates[run], decays[run], 0.0
        for start in range(0, N, batch):
            rows = min(batch, N - start)
            x = X[start : start + rows]
            outputs_2layer(kernel, x, rows, k, W[run], AT[run], h, out)
            total += _residual(out, Y[start : start + rows], rows, k)
            for j in range(W.shape[1]):
                if train_W:
                    product(kernel, q, out, 0, A[run, j], rows, k, BLOCK, 0, GATE, h[j])
                    product(kernel, g, x, 1, q, inputs, rows, BLOCK, 0, STORE, g)
                    _descend(W[run, j], vW[run, j], g, inputs, rate, decay, momentum)
                if train_A:
                    product(kernel, g, out, 1, h[j], k, rows, BLOCK, 0, STORE, g)
                    _descend(A[run, j], vA[run, j], g, k, rate, decay, momentum)
                    transpose(A[run, j], AT[run, j], k, BLOCK)
        losses[run] = total
    restore(control)


@njit(cache=True)
def epoch_3resnet(  # type: ignore[no-untyped-def]
    kernel, runs, rates, decays, momentum, X, Y, batch, k, trains, W, V, A, AT, VT, vW, vV, vA,
    h, h2, q, o, out, back, g, gA, losses,
):  # fmt: skip
    """An epoch over the rows of X for each of ``runs``; adds up their losses."""
    train_W, train_V, train_A = trains
    N, inputs = X.shape
    K = out.shape[1]
    control = flush_denormals()
    for run in runs:
        rate, decay, total = rates[run], decays[run], 0.0
        for start in range(0, N, batch):
            rows = min(batch, N - start)
            x = X[start : start + rows]
            outputs_3resnet(kernel, x, rows, k, W[run], V[run], AT[run], h, h2, o, out)
            total += _residual(out, Y[start : start + rows], rows, k)
            _copy(out, back, rows)
            for j in range(V.shape[1]):
                product(kernel, q, out, 0, A[run, j], rows, k, BLOCK, 0, GATE, h2[j])
                if train_W or train_A:
                    product(kernel, back, q, 0, VT[run, j], rows, BLOCK, K, 1, STORE, back)
                if train_V:
                    product(kernel, g, o, 1, q, k + 1, rows, BLOCK, 0, STORE, g)
                    _descend(V[run, j], vV[run, j], g, k + 1, rate, decay, momentum)
                    transpose(V[run, j], VT[run, j], k, BLOCK)
                if train_A:
                    product(kernel, gA[j], out, 1, h2[j], k, rows, BLOCK, 0, STORE, gA[j])
            for j in range(W.shape[1]):
                if train_W:
                    product(kernel, q, back, 0, A[run, j], rows, k, BLOCK, 0, GATE, h[j])
                    product(kernel, g, x, 1, q, inputs, rows, BLOCK, 0, STORE, g)
                    _descend(W[run, j], vW[run, j], g, inputs, rate, decay, momentum)
                if train_A:
                    product(kernel, gA[j], back, 1, h[j], k, rows, BLOCK, 1, STORE, gA[j])
                    _descend(A[run, j], vA[run, j], gA[j], k, rate, decay, momentum)
                    transpose(A[run, j], AT[run, j], k, BLOCK)
        losses[run] = total
    restore(control)


@njit(cache=True)
def epoch_3layer(  # type: ignore[no-untyped-def]
    kernel, runs, rates, decays, momentum, X, Y, batch, k, trains, W, U, A, AT, vW, vU, vA,
    h, h2, q, p, T, ones, out, g, losses,
):  # fmt: skip
    """An epoch over the rows of X for each of ``runs``; adds up their losses."""
    train_W, train_U, train_A = trains
    N, inputs = X.shape
    blocks = W.shape[1]
    control = flush_denormals()
    for run in runs:
        rate, decay, total = rates[run], decays[run], 0.0
        for start in range(0, N, batch):
            rows = min(batch, N - start)
            x = X[start : start + rows]
            outputs_3layer(kernel, x, rows, k, W[run], U[run], AT[run], h, h2, ones, out)
            total += _residual(out, Y[start : start + rows], rows, k)
            for j in range(blocks):
                product(kernel, q[j], out, 0, A[run, j], rows, k, BLOCK, 0, GATE, h2[j])
                if train_A:
                    product(kernel, g, out, 1, h2[j], k, rows, BLOCK, 0, STORE, g)
                    _descend(A[run, j], vA[run, j], g, k, rate, decay, momentum)
                    transpose(A[run, j], AT[run, j], k, BLOCK)
            for i in range(blocks):
                if train_W:
                    for j in range(blocks):
                        transpose(U[run, j, BLOCK * i : BLOCK * (i + 1)], T, BLOCK, BLOCK)
                        mode = GATE if j == blocks - 1 else STORE
                        product(kernel, p, q[j], 0, T, rows, BLOCK, BLOCK, 0 if j == 0 else 1, mode, h[i])
                    product(kernel, g, x, 1, p, inputs, rows, BLOCK, 0, STORE, g)
                    _descend(W[run, i], vW[run, i], g, inputs, rate, decay, momentum)
            if train_U:
                for j in range(blocks):
                    for i in range(blocks):
                        product(kernel, g, h[i], 1, q[j], BLOCK, rows, BLOCK, 0, STORE, g)
                        at = slice(BLOCK * i, BLOCK * (i + 1))
                        _descend(U[run, j, at], vU[run, j, at], g, BLOCK, rate, decay, momentum)
                    product(kernel, g, ones, 1, q[j], 1, rows, BLOCK, 0, STORE, g)
                    at = slice(BLOCK * blocks, BLOCK * blocks + 1)
                    _descend(U[run, j, at], vU[run, j, at], g, 1, rate, decay, momentum)
        losses[run] = total
    restore(control)
