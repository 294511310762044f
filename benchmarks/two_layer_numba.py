"""Compiled loops, as one would write them with Numba: W by units or by inputs, inputs dense or non-zero entries only.

Each does the visits of ``order`` on W (2k, d), or on its transpose, and v, in place, and notes which made an update.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from scipy.sparse import csr_matrix

from benchmarks.two_layer_rule import Array, Loop, Rule, Run, finished
from learnability.networks.separable import TwoLayer


def _by_units(W, v, X, y, order, eta, alpha, both, updated):  # type: ignore[no-untyped-def]
    L, d = W.shape
    z = np.empty_like(v)
    zero = eta - eta  # of the arrays' type: the literal 0.0 would make float32 sums float64
    for visit in range(len(order)):
        i = order[visit]
        output = zero
        for j in range(L):
            s = zero
            for a in range(d):
                s += W[j, a] * X[i, a]
            z[j] = s
            output += v[j] * (s if s >= zero else alpha * s)
        if y[i] * output < 1:
            step = eta * y[i]
            for j in range(L):
                on = z[j] >= zero
                c = step * v[j] if on else step * v[j] * alpha
                for a in range(d):
                    W[j, a] += c * X[i, a]
                if both:
                    v[j] += step * (z[j] if on else alpha * z[j])
            updated[visit] = True


def _by_inputs(WT, v, X, y, order, eta, alpha, both, updated):  # type: ignore[no-untyped-def]
    d, L = WT.shape
    z, c = np.empty_like(v), np.empty_like(v)
    zero = eta - eta
    for visit in range(len(order)):
        i = order[visit]
        z[:] = zero
        for a in range(d):
            x = X[i, a]
            for j in range(L):
                z[j] += x * WT[a, j]
        output = zero
        for j in range(L):
            output += v[j] * (z[j] if z[j] >= zero else alpha * z[j])
        if y[i] * output < 1:
            step = eta * y[i]
            for j in range(L):
                on = z[j] >= zero
                c[j] = step * v[j] if on else step * v[j] * alpha
                if both:
                    v[j] += step * (z[j] if on else alpha * z[j])
            for a in range(d):
                x = X[i, a]
                for j in range(L):
                    WT[a, j] += x * c[j]
            updated[visit] = True


def _entries_by_units(W, v, first, column, value, y, order, eta, alpha, both, updated):  # type: ignore[no-untyped-def]
    L = len(W)
    z = np.empty_like(v)
    zero = eta - eta
    for visit in range(len(order)):
        i = order[visit]
        low, high = first[i], first[i + 1]
        output = zero
        for j in range(L):
            s = zero
            for e in range(low, high):
                s += W[j, column[e]] * value[e]
            z[j] = s
            output += v[j] * (s if s >= zero else alpha * s)
        if y[i] * output < 1:
            step = eta * y[i]
            for j in range(L):
                on = z[j] >= zero
                c = step * v[j] if on else step * v[j] * alpha
                for e in range(low, high):
                    W[j, column[e]] += c * value[e]
                if both:
                    v[j] += step * (z[j] if on else alpha * z[j])
            updated[visit] = True


def _entries_by_inputs(WT, v, first, column, value, y, order, eta, alpha, both, updated):  # type: ignore[no-untyped-def]
    L = WT.shape[1]
    z, c = np.empty_like(v), np.empty_like(v)
    zero = eta - eta
    for visit in range(len(order)):
        i = order[visit]
        low, high = first[i], first[i + 1]
        z[:] = zero
        for e in range(low, high):
            x, a = value[e], column[e]
            for j in range(L):
                z[j] += x * WT[a, j]
        output = zero
        for j in range(L):
            output += v[j] * (z[j] if z[j] >= zero else alpha * z[j])
        if y[i] * output < 1:
            step = eta * y[i]
            for j in range(L):
                on = z[j] >= zero
                c[j] = step * v[j] if on else step * v[j] * alpha
                if both:
                    v[j] += step * (z[j] if on else alpha * z[j])
            for e in range(low, high):
                x, a = value[e], column[e]
                for j in range(L):
                    WT[a, j] += x * c[j]
            updated[visit] = True


def numba_loop(compiled: Callable[..., None], columns: bool = False, entries: bool = False) -> Loop:
    """A compiled loop behind the signature of all; ``columns`` stores W transposed, ``entries`` X as a CSR matrix."""

    def loop(params: TwoLayer, X: Array, y: Array, order: Array, rule: Rule, dtype: str) -> Run:
        number = np.dtype(dtype).type
        W, v, X, y = (np.array(part, dtype=dtype, order="C") for part in (*params, X, y))
        if columns:
            W = np.array(W.T, order="C")
        inputs: tuple[Any, ...] = (X,)
        if entries:
            sparse = csr_matrix(X)
            inputs = sparse.indptr, sparse.indices, sparse.data
        updated = np.zeros(len(order), dtype=bool)
        begin = time.perf_counter()
        compiled(W, v, *inputs, y, order, number(rule.eta), number(rule.alpha), rule.both, updated)
        seconds = time.perf_counter() - begin
        return finished(W.T if columns else W, v, updated, seconds)

    return loop


strict = numba_loop(njit(cache=True)(_by_units))
# not cached: the cache would not tell the first from the strict one
fastmath = numba_loop(njit(fastmath=True)(_by_units))
fastmath_columns = numba_loop(njit(fastmath=True)(_by_inputs), columns=True)
entries_rows = numba_loop(njit(fastmath=True)(_entries_by_units), entries=True)
entries_columns = numba_loop(njit(fastmath=True)(_entries_by_inputs), columns=True, entries=True)
