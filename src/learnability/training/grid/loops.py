"""The compiled loops of :mod:`learnability.training.grid`. Behind the door: nothing is checked here.

Units stand in blocks of BLOCK, lane beside lane: a layer's weights are (blocks, inputs, BLOCK) with the bias as the
last input, its activations (blocks, batch, BLOCK), and A is (blocks, k, BLOCK); of several runs, with a leading axis.
A product that sums over units needs the transposed block: those of A and of V are kept (A is needed so twice in a
step), those of U, which are many, are made when they are needed. Outputs have K >= k + 1 columns, see
:func:`learnability.training.grid.blocks.columns`; column k holds the constant 1 that meets the biases of V, columns
from k on are not read otherwise.

A run's step is one pass over the blocks for each layer, forth and back; a block's weights, velocity and gradient meet
once, in the first cache. Gradients are Fact C.4's; where a pre-activation is 0 the gate is open, as in the paper. A
sum over units is one chain for every CHAIN of them, the chains added in turn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from learnability.compiling import njit
from learnability.training.vector.tiles import (
    BLOCK,
    CHAIN,
    GATE,
    RELU,
    STORE,
    flush_denormals,
    product,
    restore,
    transpose,
)

__all__ = [
    "Runs",
    "Scratch",
    "Step",
    "Turned",
    "epoch_2layer",
    "epoch_3layer",
    "epoch_3resnet",
    "outputs_2layer",
    "outputs_3layer",
    "outputs_3resnet",
]

_CHAINED = CHAIN // BLOCK


class Step(NamedTuple):
    """What is the same in every step."""

    kernel: int  # address of the products
    batch: int
    k: int
    momentum: Any  # in the engine's type, as all arrays
    trains: Any  # the network's fields, each whether it is trained


class Runs(NamedTuple):
    """What tells runs apart; the weights are beside it, in the network's fields with a leading axis of runs."""

    going: Any  # (g,), those to train
    rates: Any  # (R,)
    decays: Any
    losses: Any  # (R,) float64, written


class Turned(NamedTuple):
    """Transposed blocks that are kept, (R, blocks, BLOCK, K)."""

    A: Any
    V: Any  # of 3resnet


class Scratch(NamedTuple):
    """Activations and gradients of one batch."""

    h: Any  # (blocks, batch, BLOCK), of the first layer and, h2, the second
    h2: Any
    q: Any  # gradients at pre-activations: of one block, (1, batch, BLOCK); of 3layer's second layer, all blocks
    p: Any  # (batch, BLOCK)
    T: Any  # (BLOCK, BLOCK)
    ones: Any  # (batch, BLOCK)
    o: Any  # (batch, K)
    out: Any
    back: Any
    g: Any  # gradient of a block
    gA: Any  # (blocks, k, BLOCK), of 3resnet
    part: Any  # (batch, max(K, BLOCK)), a chain of its own


@njit(inline="always")
def _descend(theta, velocity, g, rows, rate, decay, momentum):  # type: ignore[no-untyped-def]
    for i in range(rows):
        for j in range(BLOCK):
            velocity[i, j] = momentum * velocity[i, j] + (g[i, j] + decay * theta[i, j])
            theta[i, j] -= rate * velocity[i, j]


# Loops and not assignments of slices, which Numba guards against overlap by a copy.


@njit(inline="always")
def _fill(M, value, rows):  # type: ignore[no-untyped-def]
    for b in range(rows):
        for r in range(M.shape[1]):
            M[b, r] = value


@njit(inline="always")
def _copy(M, C, rows):  # type: ignore[no-untyped-def]
    for b in range(rows):
        for r in range(M.shape[1]):
            C[b, r] = M[b, r]


@njit
def _add(total, part, rows, mode, G):  # type: ignore[no-untyped-def]
    """What the product's end does (see :func:`learnability.training.vector.tiles.product`), for a chain beside C."""
    zero = total.dtype.type(0)
    for b in range(rows):
        for r in range(total.shape[1]):
            z = total[b, r] + part[b, r]
            if (mode == RELU and z < 0) or (mode == GATE and np.signbit(G[b, r])):
                z = -zero if mode == RELU else zero
            total[b, r] = z


@njit
def _summed(kernel, total, part, j, blocks, left, right, rows, mode, G):  # type: ignore[no-untyped-def]
    """Total += left right for block j of so many, and ``mode`` after the last: in chains of CHAIN units.

    The first goes on from what ``total`` holds, so that up to CHAIN units it is one chain in all.
    """
    columns, last = total.shape[1], j == blocks - 1
    if j < _CHAINED:
        product(kernel, total, left, 0, right, rows, BLOCK, columns, 1, mode if last else STORE, G)
    else:
        product(kernel, part, left, 0, right, rows, BLOCK, columns, 1 if j % _CHAINED else 0, STORE, part)
        if last:
            _add(total, part, rows, mode, G)
        elif j % _CHAINED == _CHAINED - 1:
            _add(total, part, rows, STORE, G)


@njit
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


@njit
def _layer(kernel, X, inputs, M, h, rows, out, AT, part):  # type: ignore[no-untyped-def]
    """Activations h = relu(X M) block by block, and out += h A^T."""
    for j in range(len(M)):
        product(kernel, h[j], X, 0, M[j], rows, inputs, BLOCK, 0, RELU, h[j])
        _summed(kernel, out, part, j, len(M), h[j], AT[j], rows, STORE, out)


@njit
def _constant(o, rows, k):  # type: ignore[no-untyped-def]
    for b in range(rows):
        o[b, k] = 1


@njit
def _forward_2layer(step, X, rows, theta, turned, s, run):  # type: ignore[no-untyped-def]
    """Outputs A relu(W x) of a run at the rows of X, at most a batch, in ``s.out``."""
    _fill(s.out, 0, rows)
    _layer(step.kernel, X, X.shape[1], theta.W[run], s.h, rows, s.out, turned.A[run], s.part)


@njit
def _forward_3resnet(step, X, rows, theta, turned, s, run):  # type: ignore[no-untyped-def]
    """Bottleneck o = (A relu(W x), 1) and out = o + A relu(V o)."""
    kernel, k, AT = step.kernel, step.k, turned.A[run]
    _fill(s.o, 0, rows)
    _layer(kernel, X, X.shape[1], theta.W[run], s.h, rows, s.o, AT, s.part)
    _copy(s.o, s.out, rows)
    _constant(s.o, rows, k)
    _layer(kernel, s.o, k + 1, theta.V[run], s.h2, rows, s.out, AT, s.part)


@njit
def _forward_3layer(step, X, rows, theta, turned, s, run):  # type: ignore[no-untyped-def]
    """Outputs A relu(U (relu(W x), 1))."""
    kernel, h, h2 = step.kernel, s.h, s.h2
    W, U, AT = theta.W[run], theta.U[run], turned.A[run]
    blocks = len(W)
    for j in range(blocks):
        product(kernel, h[j], X, 0, W[j], rows, X.shape[1], BLOCK, 0, RELU, h[j])
    _fill(s.out, 0, rows)
    for j in range(blocks):
        product(kernel, h2[j], s.ones, 0, U[j, BLOCK * blocks :], rows, 1, BLOCK, 0, STORE, h2[j])
        for i in range(blocks):
            own = U[j, BLOCK * i : BLOCK * (i + 1)]
            _summed(kernel, h2[j], s.p, i, blocks, h[i], own, rows, RELU, h2[j])  # s.part is for the outputs
        _summed(kernel, s.out, s.part, j, blocks, h2[j], AT[j], rows, STORE, s.out)


@njit
def _copy_columns(out, found, start, rows, k):  # type: ignore[no-untyped-def]
    for b in range(rows):
        for r in range(k):
            found[start + b, r] = out[b, r]


@njit
def outputs_2layer(step, X, theta, turned, s, run, found):  # type: ignore[no-untyped-def]
    """Outputs of a run at all rows of X, in ``found`` (N, k)."""
    for start in range(0, len(X), step.batch):
        rows = min(step.batch, len(X) - start)
        _forward_2layer(step, X[start : start + rows], rows, theta, turned, s, run)
        _copy_columns(s.out, found, start, rows, step.k)


@njit
def outputs_3resnet(step, X, theta, turned, s, run, found):  # type: ignore[no-untyped-def]
    """Outputs of a run at all rows of X, in ``found`` (N, k)."""
    for start in range(0, len(X), step.batch):
        rows = min(step.batch, len(X) - start)
        _forward_3resnet(step, X[start : start + rows], rows, theta, turned, s, run)
        _copy_columns(s.out, found, start, rows, step.k)


@njit
def outputs_3layer(step, X, theta, turned, s, run, found):  # type: ignore[no-untyped-def]
    """Outputs of a run at all rows of X, in ``found`` (N, k)."""
    for start in range(0, len(X), step.batch):
        rows = min(step.batch, len(X) - start)
        _forward_3layer(step, X[start : start + rows], rows, theta, turned, s, run)
        _copy_columns(s.out, found, start, rows, step.k)


@njit
def epoch_2layer(step, runs, X, Y, theta, velocity, turned, s):  # type: ignore[no-untyped-def]
    """An epoch over the rows of X for each run that is going; adds up their losses."""
    kernel, k, batch, momentum, trains = step.kernel, step.k, step.batch, step.momentum, step.trains
    h, q, out, g = s.h, s.q[0], s.out, s.g
    N, inputs = X.shape
    control = flush_denormals()
    for run in runs.going:
        rate, decay, total = runs.rates[run], runs.decays[run], 0.0
        W, A, AT, vW, vA = theta.W[run], theta.A[run], turned.A[run], velocity.W, velocity.A
        for start in range(0, N, batch):
            rows = min(batch, N - start)
            x = X[start : start + rows]
            _forward_2layer(step, x, rows, theta, turned, s, run)
            total += _residual(out, Y[start : start + rows], rows, k)
            for j in range(len(W)):
                if trains.W:
                    product(kernel, q, out, 0, A[j], rows, k, BLOCK, 0, GATE, h[j])
                    product(kernel, g, x, 1, q, inputs, rows, BLOCK, 0, STORE, g)
                    _descend(W[j], vW[run, j], g, inputs, rate, decay, momentum)
                if trains.A:
                    product(kernel, g, out, 1, h[j], k, rows, BLOCK, 0, STORE, g)
                    _descend(A[j], vA[run, j], g, k, rate, decay, momentum)
                    transpose(A[j], AT[j], k, BLOCK)
        runs.losses[run] = total
    restore(control)


@njit
def epoch_3resnet(step, runs, X, Y, theta, velocity, turned, s):  # type: ignore[no-untyped-def]
    """An epoch over the rows of X for each run that is going; adds up their losses."""
    kernel, k, batch, momentum, trains = step.kernel, step.k, step.batch, step.momentum, step.trains
    h, h2, q, o, out, back, g, gA = s.h, s.h2, s.q[0], s.o, s.out, s.back, s.g, s.gA
    N, inputs = X.shape
    control = flush_denormals()
    for run in runs.going:
        rate, decay, total = runs.rates[run], runs.decays[run], 0.0
        W, V, A, AT, VT = theta.W[run], theta.V[run], theta.A[run], turned.A[run], turned.V[run]
        vW, vV, vA = velocity.W, velocity.V, velocity.A
        blocks = len(W)
        for start in range(0, N, batch):
            rows = min(batch, N - start)
            x = X[start : start + rows]
            _forward_3resnet(step, x, rows, theta, turned, s, run)
            total += _residual(out, Y[start : start + rows], rows, k)
            _copy(out, back, rows)
            for j in range(blocks):
                product(kernel, q, out, 0, A[j], rows, k, BLOCK, 0, GATE, h2[j])
                if trains.W or trains.A:
                    _summed(kernel, back, s.part, j, blocks, q, VT[j], rows, STORE, back)
                if trains.V:
                    product(kernel, g, o, 1, q, k + 1, rows, BLOCK, 0, STORE, g)
                    _descend(V[j], vV[run, j], g, k + 1, rate, decay, momentum)
                    transpose(V[j], VT[j], k, BLOCK)
                if trains.A:
                    product(kernel, gA[j], out, 1, h2[j], k, rows, BLOCK, 0, STORE, gA[j])
            for j in range(blocks):
                if trains.W:
                    product(kernel, q, back, 0, A[j], rows, k, BLOCK, 0, GATE, h[j])
                    product(kernel, g, x, 1, q, inputs, rows, BLOCK, 0, STORE, g)
                    _descend(W[j], vW[run, j], g, inputs, rate, decay, momentum)
                if trains.A:
                    product(kernel, gA[j], back, 1, h[j], k, rows, BLOCK, 1, STORE, gA[j])
                    _descend(A[j], vA[run, j], gA[j], k, rate, decay, momentum)
                    transpose(A[j], AT[j], k, BLOCK)
        runs.losses[run] = total
    restore(control)


@njit
def epoch_3layer(step, runs, X, Y, theta, velocity, turned, s):  # type: ignore[no-untyped-def]
    """An epoch over the rows of X for each run that is going; adds up their losses."""
    kernel, k, batch, momentum, trains = step.kernel, step.k, step.batch, step.momentum, step.trains
    h, h2, q, p, T, ones, out, g = s.h, s.h2, s.q, s.p, s.T, s.ones, s.out, s.g
    N, inputs = X.shape
    control = flush_denormals()
    for run in runs.going:
        rate, decay, total = runs.rates[run], runs.decays[run], 0.0
        W, U, A, AT = theta.W[run], theta.U[run], theta.A[run], turned.A[run]
        vW, vU, vA = velocity.W, velocity.U, velocity.A
        blocks = len(W)
        for start in range(0, N, batch):
            rows = min(batch, N - start)
            x = X[start : start + rows]
            _forward_3layer(step, x, rows, theta, turned, s, run)
            total += _residual(out, Y[start : start + rows], rows, k)
            for j in range(blocks):
                product(kernel, q[j], out, 0, A[j], rows, k, BLOCK, 0, GATE, h2[j])
                if trains.A:
                    product(kernel, g, out, 1, h2[j], k, rows, BLOCK, 0, STORE, g)
                    _descend(A[j], vA[run, j], g, k, rate, decay, momentum)
                    transpose(A[j], AT[j], k, BLOCK)
            for i in range(blocks):
                if trains.W:
                    _fill(p, 0, rows)
                    for j in range(blocks):
                        transpose(U[j, BLOCK * i : BLOCK * (i + 1)], T, BLOCK, BLOCK)
                        _summed(kernel, p, s.part, j, blocks, q[j], T, rows, GATE, h[i])
                    product(kernel, g, x, 1, p, inputs, rows, BLOCK, 0, STORE, g)
                    _descend(W[i], vW[run, i], g, inputs, rate, decay, momentum)
            if trains.U:
                for j in range(blocks):
                    for i in range(blocks):
                        product(kernel, g, h[i], 1, q[j], BLOCK, rows, BLOCK, 0, STORE, g)
                        at = slice(BLOCK * i, BLOCK * (i + 1))
                        _descend(U[j, at], vU[run, j, at], g, BLOCK, rate, decay, momentum)
                    product(kernel, g, ones, 1, q[j], 1, rows, BLOCK, 0, STORE, g)
                    at = slice(BLOCK * blocks, BLOCK * blocks + 1)
                    _descend(U[j, at], vU[run, j, at], g, 1, rate, decay, momentum)
        runs.losses[run] = total
    restore(control)
