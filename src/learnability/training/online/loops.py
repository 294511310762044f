"""The compiled loops of the online engine. Behind the door: nothing is checked here.

All kernels run whole epochs of a given order and stop after an epoch without updates. They share a layout: neurons
run along rows of C-contiguous arrays padded to a multiple of ``LANES`` with neurons that are zero for ever, so that
the inner loops are straight vector code; the bias is one more input that is always 1 (column n of the sparse rows
and row n of ``WT``). Strict IEEE arithmetic, no fastmath: sums over neurons are folded in halves, an order that is
fixed and vectorises.

Each returns ``(epochs_run, updates, status)`` and moves its state arrays in place. Nothing else is kept from one
visit to the next, so it does not matter after which epochs a call ends. After an epoch that leaves a number above
``large`` a loop returns ``LARGE``: whoever called looks whether all is finite.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from learnability.training.drive import BUDGET, CONVERGED, DIVERGED, LARGE
from learnability.training.vector.rows import add_rows, aligned, fold, sum_rows

_HUGE = 1e300
ROUNDING = 1e-14  # relative error allowed for in sums over the entries of an input and over neurons
REFRESH = 512  # updates between two evaluations of the deviation form's bounds
_EPS = 2.0**-52  # twice the relative error of one operation


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


@njit(cache=True, inline="always")
def _size(rows, t):  # type: ignore[no-untyped-def]
    """Norm of all entries together; overwrites t. NaN or infinite if one of them is."""
    L = rows.shape[1]
    for j in range(L):
        t[j] = 0.0
    for a in range(rows.shape[0]):
        for j in range(L):
            t[j] += rows[a, j] * rows[a, j]
    return np.sqrt(fold(t, L))


@njit(cache=True)
def frozen(gram, cls, y, out, count, order, epochs, threshold, batch, large):  # type: ignore[no-untyped-def]
    """Output layer only, in units of the step: ``out`` moves by rows of the Gram matrix of distinct points.

    gram (K, K) of the lifted points, cls (m,) the point of each example, out (K,) outputs in units of the step,
    count (K,) signed number of updates of each point, threshold = beta / step.
    """
    m = order.shape[1]
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
        most = np.abs(out).max()
        if not most < _HUGE:
            return e + 1, total, DIVERGED
        if most > large:
            return e + 1, total, LARGE
    return epochs, total, BUDGET


@njit(cache=True)
def direct(  # type: ignore[no-untyped-def]
    WT, M, b, indptr, columns, values, y, order, epochs, step, beta, batch, both, sigmoid, large
):
    """Both layers (or the last) in plain float64, one forward pass a visit: the form for large samples.

    WT (n+1, L), M (L,), b (1,); example i has the non-zero entries values[indptr[i]:indptr[i+1]].
    An example found above the threshold is not recomputed until something has changed.
    """
    m = order.shape[1]
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
        if (both and not _size(WT, t) < large) or not _size(M.reshape(1, L), t) < large or not abs(b[0]) < large:
            return e + 1, total, LARGE
    return epochs, total, BUDGET


@njit(cache=True)
def cached(Z, A, M, b, gram, y, order, epochs, step, beta, batch, sigmoid, large):  # type: ignore[no-untyped-def]
    """Both layers in plain float64 from cached pre-activations: the form for small samples with few updates.

    Z (m, L) pre-activations, A (m, L) collects each example's share of the first layer's movement (the caller
    folds it back: WT += X'A), gram (m, m) of the lifted inputs. A visit without update reads one number.
    """
    m = order.shape[1]
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
        if not _size(A, t) < large or not _size(M.reshape(1, L), t) < large or not abs(b[0]) < large:
            return e + 1, total, LARGE
    return epochs, total, BUDGET


class Classes(NamedTuple):
    """Inputs that the start tells apart, by their pre-activations at the start."""

    of: NDArray[np.int32]
    """(m,) the class of each example."""
    z0: NDArray[np.float64]
    """(K, L)."""
    gram: NDArray[np.float64]
    """(K, K) of (ReLU(z0), 1)."""
    size: NDArray[np.float64]
    """(K, 4): sum and largest of |z0|, sum and largest of ReLU(z0)."""
    kinks: NDArray[np.int64]
    """Neurons at z0 = 0 that may move, class by class."""
    kink_ptr: NDArray[np.int64]
    """(K+1,) where each class's kinks begin."""
    z0_max: NDArray[np.float64]
    """(L,) largest |z0|, at least."""
    z0_min: NDArray[np.float64]
    """(L,) smallest |z0| other than 0, at most."""


class Sample(NamedTuple):
    """Labels, the non-zero entries of each lifted input, and how far an input can reach."""

    y: NDArray[np.float64]
    indptr: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[np.float64]
    entry_max: NDArray[np.float64]
    """(n,) largest |x_a|, at least 1."""
    reach: NDArray[np.float64]
    """(m,) 1 + sum_a |x_a| entry_max_a."""


class Moving(NamedTuple):
    """What a run moves."""

    Omega: NDArray[np.float64]
    """(n+1, L)."""
    mu0: NDArray[np.float64]
    """(L,)."""
    mu1: NDArray[np.float64]
    """(L,)."""
    P: NDArray[np.float64]
    """(K,) the exact part of the outputs, as long as no neuron has changed sign."""
    book: NDArray[np.float64]
    """(18,) see below."""


class Scale(NamedTuple):
    """Numbers of a run."""

    unit2: float
    """Square of the step."""
    threshold: float
    """beta / step, and what the float leaves of it."""
    residue: float
    z0_error: float
    """Of an entry of z0: 0 where the start and the inputs lie on a lattice."""
    gram_error: float
    gram_max: float
    exact: float
    """Updates up to which sums of entries of z0 and of the Gram matrix are exact."""
    large: float


# Entries of ``book``: whether no neuron can have changed sign; exact ties; full evaluations; unresolved decisions;
# updates so far, and since the last refresh of the bounds; the signed number of updates. Running bounds: of what P
# leaves of the output; sum and largest of |mu0| + u^2 |mu1|; of sum_a |x_a Omega_a| over all inputs and neurons; sum
# of |mu1| z0_max; of |mu1|; of |P|. And of errors by rounding: in P, in mu0, in zeta, in mu1.
FAST, TIES, FULL, UNRESOLVED, TOTAL, SINCE, COUNT, BOUND, MU_SUM, MU_MAX, ZETA_MAX, MU1_SUM, MU1_MAX, P_MAX = range(
    14
)
P_OFF, MU_OFF, ZETA_OFF, MU1_OFF = range(14, 18)
BOOK = 18


@njit(cache=True, inline="always")
def _rest_bound(book, unit2, L, z0_sum, z0_error):  # type: ignore[no-untyped-def]
    """Bound of |u^2 Q + u^4 S| by the running bounds, errors included."""
    mu_off = book[MU_OFF] + unit2 * book[MU1_OFF]
    first = (book[MU_SUM] + L * mu_off) * (book[ZETA_MAX] + book[ZETA_OFF])
    second = book[MU1_SUM] + book[MU1_OFF] * z0_sum + z0_error * L * (book[MU1_MAX] + book[MU1_OFF])
    return unit2 * (first + second) * (1.0 + 1e-9)


@njit(cache=True, inline="always")
def _refresh(moving, classes, sample, scale, t, zbound):  # type: ignore[no-untyped-def]
    """Bring the running bounds down to what the weights say; overwrites t and zbound."""
    Omega, mu0, mu1, P, book = moving
    n = len(sample.entry_max)
    L = len(mu0)
    for j in range(L):
        zbound[j] = abs(Omega[n, j])
    for a in range(n):
        w = Omega[a]
        x_max = sample.entry_max[a]
        for j in range(L):
            zbound[j] += x_max * abs(w[j])
    book[MU_SUM] = book[MU_MAX] = book[ZETA_MAX] = book[MU1_SUM] = book[MU1_MAX] = 0.0
    for j in range(L):
        size = abs(mu0[j]) + scale.unit2 * abs(mu1[j])
        book[MU_SUM] += size
        book[MU_MAX] = max(book[MU_MAX], size)
        book[ZETA_MAX] = max(book[ZETA_MAX], zbound[j])
        book[MU1_SUM] += abs(mu1[j]) * classes.z0_max[j]
        book[MU1_MAX] = max(book[MU1_MAX], abs(mu1[j]))
        t[j] = size * zbound[j] + abs(mu1[j]) * classes.z0_max[j]
    book[SINCE] = 0.0
    if book[FAST] == 0.0:
        return
    book[P_MAX] = np.abs(P).max()
    # the sum neuron by neuron is smaller than the product of bounds; what errors add to it is that of the bounds
    whole = scale.unit2 * (book[MU_SUM] * book[ZETA_MAX] + book[MU1_SUM]) * (1.0 + 1e-9)
    errors = _rest_bound(book, scale.unit2, L, classes.z0_max.sum(), scale.z0_error) - whole
    book[BOUND] = scale.unit2 * fold(t, L) * (1.0 + 1e-9) + max(errors, 0.0) + book[P_OFF] + abs(scale.residue)
    for j in range(L):
        if scale.unit2 * (zbound[j] * (1.0 + 1e-9) + book[ZETA_OFF]) >= classes.z0_min[j]:
            book[FAST] = 0.0


@njit(cache=True)
def deviation(moving, classes, sample, scale, order, epochs, batch):  # type: ignore[no-untyped-def]
    r"""Both ReLU layers in units of the step, with the deviations from the start kept apart.

    With u the step, W = W_0 + u^2 Omega, M = u (mu0 + u^2 mu1), b = u count and pre-activation z0 + u^2 zeta, the
    output in units of u is P + u^2 Q + u^4 S, where P = sum_on mu0 z0 + count is exact for a lattice start,
    Q = sum_on (mu0 zeta + mu1 z0) and S = sum_on mu1 zeta. While no neuron with z0 != 0 can have changed sign, P
    depends on the class of the example only and moves by rows of a Gram matrix, and |u^2 Q + u^4 S| has a running
    bound that holds for every input with entries in [-entry_max, entry_max]: a visit with |y P - threshold| above it
    is decided by reading P. All others (exact ties above all) are evaluated in full.

    Errors. With e = 2^-52 (twice what one operation rounds off) every sum of T terms moves away from its exact value
    by T times the error of a term and e times the sum of its intermediate sizes; the running bounds add that up:

    - mu0 and P by entries of z0 and of the Gram matrix, exact on a lattice;
    - Omega by mu0 + u^2 mu1, times x: |zeta| is off by at most reach (error of mu + 2 e |mu|) + e |zeta| an update;
    - mu1 by zeta, whose sum over the entries of an input adds (n + 2) e |zeta|.

    A neuron taken on the wrong side of its kink is off by no more than its pre-activation, which is then within the
    error of it. So a full evaluation is off by at most ``doubt``, and a decision within that is unresolved. So is an
    update while a neuron stands at its kink to within rounding: its slope is uncertain, though the output is not.
    """
    Omega, mu0, mu1, P, book = moving
    z0, gram, cls, kinks, kink_ptr = classes.z0, classes.gram, classes.of, classes.kinks, classes.kink_ptr
    y, indptr, columns, values, reach = sample.y, sample.indptr, sample.columns, sample.values, sample.reach
    unit2, threshold, residue, z0_error = scale.unit2, scale.threshold, scale.residue, scale.z0_error
    m = order.shape[1]
    n = len(sample.entry_max)
    L = z0.shape[1]
    K = len(P)
    work = aligned(3 + 2 * batch, L)
    t, r, zbound = work[0], work[1], work[2]
    zeta, on = work[3 : 3 + batch], work[3 + batch :]
    pending = np.empty(batch, np.int32)
    z0_sum, z0_least = classes.z0_max.sum(), classes.z0_min.min()
    entries = (n + 2) * _EPS
    total = 0
    for e in range(epochs):
        before = total
        for start in range(0, m, batch):
            n_pending = 0
            if book[SINCE] >= REFRESH:
                _refresh(moving, classes, sample, scale, t, zbound)
            fast, bound = book[FAST] != 0.0, book[BOUND]
            for visit in range(start, min(start + batch, m)):
                i = order[e, visit]
                k = cls[i]
                s = y[i] * P[k] - threshold
                known = fast and abs(s) > bound
                if known and s > 0.0:
                    continue
                zk, ze, up = z0[k], zeta[n_pending], on[n_pending]
                sum_rows(Omega, ze, columns, values, indptr[i], indptr[i + 1], L)
                # a neuron at z0 = 0 is decided by zeta alone: z0 + u^2 zeta may underflow, its sign may not
                for j in range(L):
                    active = zk[j] + unit2 * ze[j] > 0.0 or (zk[j] == 0.0 and ze[j] > 0.0)
                    up[j] = 1.0 if active else 0.0
                # Movements that cancel at a kink: what is left of zeta is rounding, so the slope is taken as 0.
                zeta_error = book[ZETA_OFF] + entries * book[ZETA_MAX]
                open_kinks = False
                for at in range(kink_ptr[k], kink_ptr[k + 1]):
                    j = kinks[at]
                    if abs(ze[j]) <= max(zeta_error, ROUNDING * book[ZETA_MAX]):
                        size = 0.0
                        for q in range(indptr[i], indptr[i + 1]):
                            size += abs(values[q] * Omega[columns[q], j])
                        if size > 0.0:
                            if abs(ze[j]) <= ROUNDING * size:
                                up[j] = 0.0
                            open_kinks = True
                if not known:
                    book[FULL] += 1.0
                    for j in range(L):
                        t[j] = up[j] * (mu0[j] * zk[j])
                        r[j] = up[j] * ((mu0[j] * ze[j] + mu1[j] * zk[j]) + unit2 * (mu1[j] * ze[j]))
                    if fast:
                        leading = s - residue
                        doubt = book[P_OFF]
                    else:
                        leading = (y[i] * (fold(t, L) + book[COUNT]) - threshold) - residue
                        doubt = 2.0 * book[MU_SUM] * z0_error + book[MU_OFF] * classes.size[k, 0]
                        if book[TOTAL] > scale.exact:
                            doubt += ROUNDING * (book[MU_SUM] * classes.size[k, 1] + abs(book[COUNT]) + threshold)
                    for j in range(L):
                        t[j] = abs(r[j])
                    s = leading + y[i] * (unit2 * fold(r, L))
                    if leading == 0.0:
                        book[TIES] += 1.0
                    of_mu = book[MU_OFF] + unit2 * book[MU1_OFF]
                    further = book[MU_SUM] * (2.0 * zeta_error + ROUNDING * book[ZETA_MAX])
                    further += L * of_mu * book[ZETA_MAX] + book[MU1_OFF] * classes.size[k, 0]
                    further += L * book[MU1_MAX] * z0_error + ROUNDING * fold(t, L)
                    if book[TOTAL] > 0.0 and abs(s) <= doubt + unit2 * further:
                        book[UNRESOLVED] += 1.0
                    if not abs(s) < _HUGE:
                        return e, total, DIVERGED
                    if s > 0.0:
                        continue
                if not open_kinks and not fast and book[TOTAL] > 0.0:
                    for j in range(L):
                        at_zero = abs(zk[j] + unit2 * ze[j]) <= z0_error + _EPS * abs(zk[j]) + unit2 * zeta_error
                        open_kinks = open_kinks or (zk[j] != 0.0 and at_zero)
                if open_kinks:
                    book[UNRESOLVED] += 1.0
                pending[n_pending] = i
                n_pending += 1
            if n_pending == 0:
                continue
            mu_off = book[MU_OFF] + unit2 * book[MU1_OFF]
            for q in range(n_pending):
                i = pending[q]
                label, up = y[i], on[q]
                for j in range(L):
                    t[j] = label * (up[j] * (mu0[j] + unit2 * mu1[j]))
                add_rows(Omega, t, columns, values, indptr[i], indptr[i + 1], L)
                book[ZETA_MAX] += reach[i] * book[MU_MAX]
                book[ZETA_OFF] += reach[i] * (mu_off + 2.0 * _EPS * book[MU_MAX]) + _EPS * book[ZETA_MAX]
            side = 2 if fast else 0
            for q in range(n_pending):
                i = pending[q]
                k = cls[i]
                label, zk, ze, up = y[i], z0[k], zeta[q], on[q]
                for j in range(L):
                    mu0[j] += label * (up[j] * zk[j])
                    mu1[j] += label * (up[j] * ze[j])
                book[COUNT] += label
                book[TOTAL] += 1.0
                rough = book[TOTAL] > scale.exact
                if fast:
                    row = gram[k]
                    for c in range(K):
                        P[c] += label * row[c]
                    if rough:
                        book[P_MAX] += scale.gram_max
                        book[P_OFF] += scale.gram_error + _EPS * book[P_MAX]
                book[MU_SUM] += classes.size[k, side] + unit2 * L * book[ZETA_MAX]
                book[MU_MAX] += classes.size[k, side + 1] + unit2 * book[ZETA_MAX]
                book[MU1_SUM] += book[ZETA_MAX] * z0_sum
                book[MU1_MAX] += book[ZETA_MAX]
                book[MU1_OFF] += book[ZETA_OFF] + entries * book[ZETA_MAX] + _EPS * book[MU1_MAX]
                if rough:
                    book[MU_OFF] += z0_error + _EPS * book[MU_MAX]
            total += n_pending
            book[SINCE] += n_pending
            if fast:
                rest = _rest_bound(book, unit2, L, z0_sum, z0_error)
                book[BOUND] = rest + book[P_OFF] + abs(residue)
                if unit2 * (book[ZETA_MAX] + book[ZETA_OFF]) >= z0_least:
                    book[SINCE] = REFRESH  # the running bound no longer excludes a change of sign: look closely
        if total == before:
            return e + 1, total, CONVERGED
        if not max(book[MU_MAX], book[MU1_MAX], book[ZETA_MAX], abs(book[COUNT])) < scale.large:
            return e + 1, total, LARGE
    return epochs, total, BUDGET
