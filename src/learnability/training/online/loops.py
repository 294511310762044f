"""The compiled loops of the online engine. Behind the door: nothing is checked here.

All kernels run whole epochs of a given order and stop after an epoch without updates. They share a layout: neurons
run along rows of C-contiguous arrays padded to a multiple of ``LANES`` with neurons that are zero for ever, so that
the inner loops are straight vector code; the bias is one more input that is always 1 (column n of the sparse rows
and row n of ``WT``). Strict IEEE arithmetic, no fastmath: sums over neurons are folded in halves, an order that is
fixed and vectorises.

Each returns ``(epochs_run, updates, status)`` and moves its state arrays in place.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from learnability.training.vector.rows import add_rows, aligned, fold, sum_rows

BUDGET, CONVERGED, DIVERGED = 0, 1, 2
_HUGE = 1e300
ROUNDING = 1e-14  # relative error allowed for in sums over the entries of an input and over neurons
REFRESH = 512  # updates between two evaluations of the deviation form's bounds


@njit(cache=True, inline="always")
def _activate(z, v, slope, L, sigmoid):  # type: ignore[no-untyped-def]
    if sigmoid:
        for j in range(L):
            s = 1.0 / (1.0 + np.exp(-5.0 * z[j]))
            v[j] = s
            slope[j] = 5.0 * s * (1.0 - s)
    else:
        for j in range(L):
            on = 1.0 if z[j] > 0.0 else 0.0
            slope[j] = on
            v[j] = on * z[j]


@njit(cache=True)
def frozen(gram, cls, y, out, count, order, threshold, batch):  # type: ignore[no-untyped-def]
    """Output layer only, in units of the step: ``out`` moves by rows of the Gram matrix of distinct points.

    gram (K, K) of the lifted points, cls (m,) the point of each example, out (K,) outputs in units of the step,
    count (K,) signed number of updates of each point, threshold = beta / step.
    """
    epochs, m = order.shape
    K = len(out)
    total = 0
    pending = np.empty(batch, np.int32)
    for e in range(epochs):
        before = total
        for start in range(0, m, batch):
            n_pending = 0
            for visit in range(start, min(start + batch, m)):
                i = order[e, visit]
                s = y[i] * out[cls[i]]
                if not s > threshold:
                    pending[n_pending] = i
                    n_pending += 1
            for q in range(n_pending):
                i = pending[q]
                label = y[i]
                row = gram[cls[i]]
                for k in range(K):
                    out[k] += label * row[k]
                count[cls[i]] += label
            total += n_pending
        if total == before:
            return e + 1, total, CONVERGED
        if not np.abs(out).max() < _HUGE:
            return e + 1, total, DIVERGED
    return epochs, total, BUDGET


@njit(cache=True)
def direct(WT, M, b, indptr, columns, values, y, order, step, beta, batch, both, sigmoid):  # type: ignore[no-untyped-def]
    """Both layers (or the last) in plain float64, one forward pass a visit: the form for large samples.

    WT (n+1, L), M (L,), b (1,); example i has the non-zero entries values[indptr[i]:indptr[i+1]].
    An example found above the threshold is not recomputed until something has changed.
    """
    epochs, m = order.shape
    L = len(M)
    work = aligned(2, L)
    z, t = work[0], work[1]
    v, slope = np.empty((batch, L)), np.empty((batch, L))
    pending = np.empty(batch, np.int32)
    satisfied_at = np.full(len(y), -1, np.int64)
    total = 0
    for e in range(epochs):
        before = total
        for start in range(0, m, batch):
            n_pending = 0
            for visit in range(start, min(start + batch, m)):
                i = order[e, visit]
                if satisfied_at[i] == total:
                    continue
                sum_rows(WT, z, columns, values, indptr[i], indptr[i + 1], L)
                _activate(z, v[n_pending], slope[n_pending], L, sigmoid)
                for j in range(L):
                    t[j] = M[j] * v[n_pending, j]
                s = fold(t, L) + b[0]
                if not abs(s) < _HUGE:
                    return e, total, DIVERGED
                if y[i] * s > beta:
                    satisfied_at[i] = total
                else:
                    pending[n_pending] = i
                    n_pending += 1
            for q in range(n_pending):
                i = pending[q]
                g = step * y[i]
                if both:
                    for j in range(L):
                        t[j] = g * (M[j] * slope[q, j])
                    add_rows(WT, t, columns, values, indptr[i], indptr[i + 1], L)
            for q in range(n_pending):
                g = step * y[pending[q]]
                for j in range(L):
                    M[j] += g * v[q, j]
                b[0] += g
            total += n_pending
        if total == before:
            return e + 1, total, CONVERGED
    return epochs, total, BUDGET


@njit(cache=True)
def cached(Z, A, M, b, gram, y, order, step, beta, batch, sigmoid):  # type: ignore[no-untyped-def]
    """Both layers in plain float64 from cached pre-activations: the form for small samples with few updates.

    Z (m, L) pre-activations, A (m, L) collects each example's share of the first layer's movement (the caller
    folds it back: WT += X'A), gram (m, m) of the lifted inputs. A visit without update reads one number.
    """
    epochs, m = order.shape
    L = len(M)
    t = np.empty(L)
    out = np.empty(len(y))
    v, slope = np.empty((batch, L)), np.empty((batch, L))
    pending = np.empty(batch, np.int32)
    fresh_at = np.full(len(y), -1, np.int64)
    total = 0
    for e in range(epochs):
        before = total
        for start in range(0, m, batch):
            n_pending = 0
            for visit in range(start, min(start + batch, m)):
                i = order[e, visit]
                if fresh_at[i] != total:
                    _activate(Z[i], v[0], slope[0], L, sigmoid)
                    for j in range(L):
                        t[j] = M[j] * v[0, j]
                    out[i] = fold(t, L) + b[0]
                    fresh_at[i] = total
                    if not abs(out[i]) < _HUGE:
                        return e, total, DIVERGED
                if not y[i] * out[i] > beta:
                    pending[n_pending] = i
                    n_pending += 1
            for q in range(n_pending):
                _activate(Z[pending[q]], v[q], slope[q], L, sigmoid)
            for q in range(n_pending):
                i = pending[q]
                g = step * y[i]
                for j in range(L):
                    t[j] = g * (M[j] * slope[q, j])
                    A[i, j] += t[j]
                for r in range(len(y)):
                    a = gram[i, r]
                    for j in range(L):
                        Z[r, j] += a * t[j]
            for q in range(n_pending):
                g = step * y[pending[q]]
                for j in range(L):
                    M[j] += g * v[q, j]
                b[0] += g
            total += n_pending
        if total == before:
            return e + 1, total, CONVERGED
    return epochs, total, BUDGET


@njit(cache=True)
def deviation(  # type: ignore[no-untyped-def]
    Omega, mu0, mu1, count, P, z0, z0_max, z0_min, gram, cls, y, indptr, columns, values, reach, entry_max,
    order, threshold, unit2, rounding, batch, state,
):  # fmt: skip
    r"""Both ReLU layers in units of the step, with the deviations from the start kept apart.

    With u the step, W = W_0 + u^2 Omega, M = u (mu0 + u^2 mu1), b = u count and pre-activation z0 + u^2 zeta, the
    output in units of u is P + u^2 Q + u^4 S, where P = sum_on mu0 z0 + count is exact for a lattice start,
    Q = sum_on (mu0 zeta + mu1 z0) and S = sum_on mu1 zeta. While no neuron with z0 != 0 can have changed sign, P
    depends on the class of the example only and moves by rows of a Gram matrix, and |u^2 Q + u^4 S| has a running
    bound E that holds for every input with entries in [-entry_max, entry_max]: a visit with |y P - threshold| > E
    is decided by reading P. All others (exact ties above all) are evaluated in full.

    Omega (n+1, L); z0 (K, L) and gram (K, K) of the classes, cls (m,); z0_max, z0_min (L,) largest and smallest
    non-zero |z0| over classes; reach (m,) = 1 + sum_a |x_a| entry_max_a.
    state (4,): [fast, ties, full evaluations, unresolved]. A decision is unresolved if it is a tie to within the
    rounding of the next order, or an update while a neuron at z0 = 0 that has moved stands at zeta = 0 to within
    rounding: there only a further order, or more digits, would decide.
    """
    epochs, m = order.shape
    n = Omega.shape[0] - 1
    K, L = z0.shape
    work = aligned(3 + 2 * batch, L)
    t, r, zbound = work[0], work[1], work[2]
    zeta, on = work[3 : 3 + batch], work[3 + batch :]
    pending = np.empty(batch, np.int32)
    kink_ptr = np.zeros(K + 1, np.int64)
    kinks = np.empty(K * L, np.int64)
    v_sum, v_max = np.zeros(K), np.zeros(K)  # of ReLU(z0), by class
    for k in range(K):
        kink_ptr[k + 1] = kink_ptr[k]
        for j in range(L):
            if z0[k, j] == 0.0 and z0_max[j] > 0.0:  # padding never moves
                kinks[kink_ptr[k + 1]] = j
                kink_ptr[k + 1] += 1
            v_sum[k] += max(z0[k, j], 0.0)
            v_max[k] = max(v_max[k], z0[k, j])
    z0_sum, z0_least = z0_max.sum(), z0_min.min()
    # Running bounds since the last refresh: sum and max of |mu|, max of |zeta|, and sum of |mu1| z0_max.
    mu_sum = mu_max = zeta_max = mu1_sum = 0.0
    E = np.inf
    since = REFRESH
    total = 0
    for e in range(epochs):
        before = total
        for start in range(0, m, batch):
            n_pending = 0
            if since >= REFRESH and state[0] != 0.0:
                for j in range(L):
                    zbound[j] = abs(Omega[n, j])
                for a in range(n):
                    w = Omega[a]
                    x_max = entry_max[a]
                    for j in range(L):
                        zbound[j] += x_max * abs(w[j])
                mu_sum = mu_max = zeta_max = mu1_sum = 0.0
                for j in range(L):
                    size = abs(mu0[j]) + unit2 * abs(mu1[j])
                    mu_sum += size
                    mu_max = max(mu_max, size)
                    zeta_max = max(zeta_max, zbound[j])
                    mu1_sum += abs(mu1[j]) * z0_max[j]
                    t[j] = size * zbound[j] + abs(mu1[j]) * z0_max[j]
                E = unit2 * fold(t, L) * (1.0 + 1e-9) + rounding * total
                if unit2 * zeta_max >= z0_least:
                    for j in range(L):
                        if unit2 * zbound[j] >= z0_min[j]:
                            state[0] = 0.0
                since = 0
            for visit in range(start, min(start + batch, m)):
                i = order[e, visit]
                k = cls[i]
                s = y[i] * P[k] - threshold
                known = state[0] != 0.0 and abs(s) > E
                if known and s > 0.0:
                    continue
                zk, ze, up = z0[k], zeta[n_pending], on[n_pending]
                sum_rows(Omega, ze, columns, values, indptr[i], indptr[i + 1], L)
                # a neuron at z0 = 0 is decided by zeta alone: z0 + u^2 zeta may underflow, its sign may not
                for j in range(L):
                    active = zk[j] + unit2 * ze[j] > 0.0 or (zk[j] == 0.0 and ze[j] > 0.0)
                    up[j] = 1.0 if active else 0.0
                # Movements that cancel at a kink: what is left of zeta is rounding, so the slope is taken as 0.
                open_kinks = False
                for at in range(kink_ptr[k], kink_ptr[k + 1]):
                    j = kinks[at]
                    if state[0] == 0.0 or abs(ze[j]) <= ROUNDING * zeta_max:
                        size = 0.0
                        for q in range(indptr[i], indptr[i + 1]):
                            size += abs(values[q] * Omega[columns[q], j])
                        if size > 0.0 and abs(ze[j]) <= ROUNDING * size:
                            up[j] = 0.0
                            open_kinks = True
                if not known:
                    state[2] += 1.0
                    for j in range(L):
                        t[j] = up[j] * (mu0[j] * zk[j])
                        r[j] = up[j] * ((mu0[j] * ze[j] + mu1[j] * zk[j]) + unit2 * (mu1[j] * ze[j]))
                    leading = y[i] * (fold(t, L) + count[0]) - threshold
                    for j in range(L):
                        t[j] = abs(r[j])
                    s = leading + y[i] * (unit2 * fold(r, L))
                    if leading == 0.0:
                        state[1] += 1.0
                    if total > 0 and abs(s) <= ROUNDING * unit2 * fold(t, L):
                        state[3] += 1.0
                    if not abs(s) < _HUGE:
                        return e, total, DIVERGED
                    if s > 0.0:
                        continue
                if open_kinks:
                    state[3] += 1.0
                pending[n_pending] = i
                n_pending += 1
            if n_pending == 0:
                continue
            for q in range(n_pending):
                i = pending[q]
                k = cls[i]
                label, up = y[i], on[q]
                for j in range(L):
                    t[j] = label * (up[j] * (mu0[j] + unit2 * mu1[j]))
                add_rows(Omega, t, columns, values, indptr[i], indptr[i + 1], L)
                zeta_max += reach[i] * mu_max
            for q in range(n_pending):
                i = pending[q]
                k = cls[i]
                label, zk, ze, up = y[i], z0[k], zeta[q], on[q]
                for j in range(L):
                    mu0[j] += label * (up[j] * zk[j])
                    mu1[j] += label * (up[j] * ze[j])
                count[0] += label
                if state[0] != 0.0:
                    row = gram[k]
                    for c in range(K):
                        P[c] += label * row[c]
                    mu_sum += v_sum[k] + unit2 * L * zeta_max
                    mu_max += v_max[k] + unit2 * zeta_max
                    mu1_sum += zeta_max * z0_sum
            total += n_pending
            since += n_pending
            E = unit2 * (mu_sum * zeta_max + mu1_sum) * (1.0 + 1e-9) + rounding * total
            if unit2 * zeta_max >= z0_least:
                since = REFRESH  # the running bound no longer excludes a change of sign: look closely
        if total == before:
            return e + 1, total, CONVERGED
    return epochs, total, BUDGET
