"""The compiled loops of the forms ``direct`` and ``cached``: weights in plain float64.

Behind the door: nothing is checked here. What all loops share is said in
:mod:`learnability.training.online.loops`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.compiling import njit
from learnability.training.drive import BUDGET, CONVERGED, DIVERGED, LARGE
from learnability.training.online.loops import AHEAD, FAR, HUGE, fetch, norm_of
from learnability.training.vector.ahead import prefetch
from learnability.training.vector.rows import add_rows, aligned, extend_rows, fold, sum_rows

__all__ = ["Cache", "Network", "Rule", "Sample", "cached", "direct"]

Array = NDArray[np.float64]
_LOG = 64  # updates that wait for the rows of the cache, at most: they stay in the machine's second cache


class Network(NamedTuple):
    """What a run moves."""

    WT: Array
    """(n+1, L), and what :func:`spaced <learnability.training.online.loops.spaced>` adds."""
    M: Array
    """(L,)."""
    b: Array
    """(1,)."""


class Sample(NamedTuple):
    """Labels, and the non-zero entries of each lifted input: values[indptr[i]:indptr[i+1]] of example i."""

    y: Array
    indptr: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: Array
    reach: float
    """Norm of the longest lifted input."""


class Cache(NamedTuple):
    """What stands for the first layer."""

    Z: Array
    """(m, L) pre-activations."""
    A: Array
    """(m, L) each example's share of the first layer's movement; the caller folds it back: WT += X'A."""
    gram: Array
    """(m, m) of the lifted inputs."""


class Rule(NamedTuple):
    """Numbers of a run."""

    step: float
    beta: float
    batch: int
    both: bool
    sigmoid: bool
    large: float


@njit(inline="always")
def _activate(z, M, v, q, t, L, sigmoid):  # type: ignore[no-untyped-def]
    """Activations of z into v[q], their products with M into t."""
    if sigmoid:
        for j in range(L):
            s = 1.0 / (1.0 + np.exp(-5.0 * z[j]))
            v[q, j] = s
            t[j] = M[j] * s
    else:
        for j in range(L):
            s = (1.0 if z[j] > 0.0 else 0.0) * z[j]
            v[q, j] = s
            t[j] = M[j] * s


@njit(inline="always")
def _gradient(g, M, v, q, t, grown, L, sigmoid):  # type: ignore[no-untyped-def]
    """What an update from activations v[q] adds to the first layer, into t, and its sizes to ``grown``."""
    if sigmoid:
        for j in range(L):
            s = v[q, j]
            t[j] = g * (M[j] * (5.0 * s * (1.0 - s)))
            grown[j] += abs(t[j])
    else:
        for j in range(L):
            t[j] = g * (M[j] * (1.0 if v[q, j] > 0.0 else 0.0))
            grown[j] += abs(t[j])


@njit
def direct(network, sample, rule, order, epochs):  # type: ignore[no-untyped-def]
    """Both layers (or the last), one forward pass a visit: the form for large samples.

    An example found above the threshold is not recomputed until something has changed.
    """
    WT, M, b = network
    y, indptr, columns, values, reach = sample
    step, beta, batch, both, sigmoid, large = rule
    m = order.shape[1]
    L = len(M)
    work = aligned(3 + batch, L)
    z, t, grown, v = work[0], work[1], work[2], work[3:]
    pending = np.empty(batch, np.int32)
    satisfied_at = np.full(len(y), -1, np.int64)
    total = 0
    far = len(y) > FAR
    size = np.inf if both else 0.0  # bounds the norm of WT, with what ``grown`` adds: a pass only where that is large
    for e in range(epochs):
        before = total
        for start in range(0, m, batch):
            n_pending = 0
            for visit in range(start, min(start + batch, m)):
                i = order[e, visit]
                if far and visit + 2 * AHEAD < m:
                    fetch(y, indptr, columns, values, order[e, visit + AHEAD], order[e, visit + 2 * AHEAD])
                    prefetch(satisfied_at, order[e, visit + 2 * AHEAD])
                if satisfied_at[i] == total:
                    continue
                sum_rows(WT, z, columns, values, indptr[i], indptr[i + 1], L)
                _activate(z, M, v, n_pending, t, L, sigmoid)
                s = fold(t, L) + b[0]
                if not abs(s) < HUGE:
                    return e, total, DIVERGED
                if y[i] * s > beta:
                    satisfied_at[i] = total
                else:
                    pending[n_pending] = i
                    n_pending += 1
            if both:
                for q in range(n_pending):
                    i = pending[q]
                    _gradient(step * y[i], M, v, q, t, grown, L, sigmoid)
                    add_rows(WT, t, columns, values, indptr[i], indptr[i + 1], L)
            for q in range(n_pending):
                g = step * y[pending[q]]
                for j in range(L):
                    M[j] += g * v[q, j]
                b[0] += g
            total += n_pending
        if total == before:
            return e + 1, total, CONVERGED
        t[:] = grown
        if not size + reach * fold(t, L) < 0.99 * large:
            size, grown[:] = norm_of(WT, t, L), 0.0
            if not size < large:
                return e + 1, total, LARGE
        if not norm_of(M.reshape(1, L), t, L) < large or not abs(b[0]) < large:
            return e + 1, total, LARGE
    return epochs, total, BUDGET


@njit(inline="always")
def _catch_up(cache, i, log, made_by, slots, of, at, filled, L):  # type: ignore[no-untyped-def]
    """Add to row i of Z the updates that it waits for, in their order."""
    for k in range(at[i], filled):
        of[k] = cache.gram[i, made_by[k]]
    extend_rows(log, cache.Z[i], slots, of, at[i], filled, L)
    at[i] = filled


@njit
def cached(network, cache, sample, rule, order, epochs):  # type: ignore[no-untyped-def]
    """Both layers from cached pre-activations: the form for small samples with few updates.

    A visit without update reads one number. An update goes into a log, and a row of the cache takes it over when its
    example comes up, all that it waits for in one pass.
    """
    M, b = network.M, network.b
    Z, A, y = cache.Z, cache.A, sample.y
    step, beta, batch, sigmoid, large = rule.step, rule.beta, rule.batch, rule.sigmoid, rule.large
    m = order.shape[1]
    L = len(M)
    work = aligned(2 + batch, L)
    t, grown, v = work[0], work[1], work[2:]
    room = max(_LOG, batch)
    log = aligned(room, L + (0 if L % 128 else 16))
    made_by, slots, of = np.empty(room, np.int32), np.arange(room).astype(np.int32), np.empty(room)
    filled, at = 0, np.zeros(len(y), np.int64)
    out = np.empty(len(y))
    pending = np.empty(batch, np.int32)
    fresh_at = np.full(len(y), -1, np.int64)
    total, ran, status = 0, epochs, BUDGET
    size = np.inf  # bounds the norm of A, with what ``grown`` adds: a pass only where that is large
    for e in range(epochs):
        before = total
        for start in range(0, m, batch):
            n_pending = 0
            for visit in range(start, min(start + batch, m)):
                i = order[e, visit]
                fresh = fresh_at[i] == total
                if not fresh:
                    _catch_up(cache, i, log, made_by, slots, of, at, filled, L)
                    _activate(Z[i], M, v, n_pending, t, L, sigmoid)
                    out[i] = fold(t, L) + b[0]
                    fresh_at[i] = total
                    if not abs(out[i]) < HUGE:
                        ran, status = e, DIVERGED
                        break
                if not y[i] * out[i] > beta:
                    if fresh:
                        _activate(Z[i], M, v, n_pending, t, L, sigmoid)
                    pending[n_pending] = i
                    n_pending += 1
            if status == DIVERGED:
                break
            if filled + n_pending > room:
                for i in range(len(y)):
                    _catch_up(cache, i, log, made_by, slots, of, at, filled, L)
                filled, at[:] = 0, 0
            for q in range(n_pending):
                i = pending[q]
                row = log[filled]
                _gradient(step * y[i], M, v, q, row, grown, L, sigmoid)
                for j in range(L):
                    A[i, j] += row[j]
                made_by[filled] = i
                filled += 1
            for q in range(n_pending):
                g = step * y[pending[q]]
                for j in range(L):
                    M[j] += g * v[q, j]
                b[0] += g
            total += n_pending
        if status == DIVERGED:
            break
        if total == before:
            ran, status = e + 1, CONVERGED
            break
        t[:] = grown
        if not size + fold(t, L) < 0.99 * large:
            size, grown[:] = norm_of(A, t, L), 0.0
        if not size < large or not norm_of(M.reshape(1, L), t, L) < large or not abs(b[0]) < large:
            ran, status = e + 1, LARGE
            break
    for i in range(len(y)):
        _catch_up(cache, i, log, made_by, slots, of, at, filled, L)
    return ran, total, status
