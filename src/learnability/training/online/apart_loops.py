"""The compiled loop of the form ``deviation``: both ReLU layers, the movements kept apart from the start.

Behind the door: nothing is checked here. What all loops share is said in
:mod:`learnability.training.online.loops`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.compiling import njit
from learnability.training.drive import BUDGET, CONVERGED, DIVERGED, LARGE
from learnability.training.online.loops import AHEAD, EPS, FAR, HUGE, fetch, norm_of
from learnability.training.vector.ahead import prefetch
from learnability.training.vector.rows import add_rows, aligned, fold, sum_rows

__all__ = ["BOOK", "Classes", "Moving", "Sample", "Scale", "deviation", "remainders"]

ROUNDING = 1e-14  # relative error allowed for in sums over the entries of an input and over neurons
REFRESH = 512  # updates between two evaluations of the bounds


class Classes(NamedTuple):
    """Inputs that the start tells apart, by their pre-activations at the start."""

    of: NDArray[np.int32]
    """(m,) the class of each example."""
    z0: NDArray[np.float64]
    """(K, L), of the right sign."""
    z0_low: NDArray[np.float64]
    """(K, L) what z0 leaves of the exact numbers; (0, L) on a lattice, where it leaves nothing."""
    gram: NDArray[np.float64]
    """(K, K) of (ReLU(z0), 1)."""
    size: NDArray[np.float64]
    """(K, 2): sum and largest of ReLU(z0)."""
    kinks: NDArray[np.int64]
    """Neurons at z0 = 0 that may move, class by class."""
    kink_ptr: NDArray[np.int64]
    """(K+1,) where each class's kinks begin."""
    z0_max: NDArray[np.float64]
    """(L,) largest |z0|."""
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
    """(n+1, L), and what :func:`spaced <learnability.training.online.loops.spaced>` adds."""
    mu0: NDArray[np.float64]
    """(L,)."""
    mu0_low: NDArray[np.float64]
    """(L,) what mu0 leaves of the exact sum."""
    mu1: NDArray[np.float64]
    """(L,)."""
    P: NDArray[np.float64]
    """(K,) the leading part of the outputs, as long as no neuron has changed sign."""
    book: NDArray[np.float64]
    """(BOOK,) see below."""


class Scale(NamedTuple):
    """Numbers of a run."""

    unit2: float
    """Square of the step."""
    threshold: float
    """beta / step, and what the float leaves of it."""
    residue: float
    gram_error: float
    """Of an entry of the Gram matrix, and the largest; no error on a lattice."""
    gram_max: float
    exact: float
    """Updates up to which sums are exact on a lattice."""
    large: float


# Entries of ``book``: whether no neuron can have changed sign; exact ties; full evaluations; unresolved decisions;
# updates so far, and since the last refresh of the bounds; the signed number of updates. Running bounds: of what P
# leaves of the output; sum and largest of |mu0| + u^2 |mu1|; of sum_a |x_a Omega_a| over all inputs and neurons; sum
# of |mu1| z0_max; of |P|, and of the rounding in P. Off a lattice, sums of the sizes of what was added to Omega (in
# zeta) and to mu1: cancellation leaves roundings of that size.
FAST, TIES, FULL, UNRESOLVED, TOTAL, SINCE, COUNT = range(7)
BOUND, MU_SUM, MU_MAX, ZETA_MAX, MU1_SUM, P_MAX, P_ERROR, ZETA_PATH, MU1_PATH = range(7, 16)
BOOK = 16


@njit(inline="always")
def _two_sum(a, b):  # type: ignore[no-untyped-def]
    """Sum and what it leaves."""
    s = a + b
    c = s - a
    return s, (a - (s - c)) + (b - c)


@njit(inline="always")
def _two_product(a, b):  # type: ignore[no-untyped-def]
    """Product and what it leaves (Dekker)."""
    p = a * b
    c = 134217729.0 * a
    a1 = c - (c - a)
    c = 134217729.0 * b
    b1 = c - (c - b)
    a2, b2 = a - a1, b - b1
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


@njit
def remainders(points, W, B, z0):  # type: ignore[no-untyped-def]
    """What z0 (K, L) leaves of points @ W.T + B, to a relative 2^-100 of the sum of sizes."""
    K, L = z0.shape
    low = np.empty((K, L))
    for k in range(K):
        for j in range(L):
            high, rest = _two_sum(B[j], -z0[k, j])
            for a in range(points.shape[1]):
                p, e = _two_product(points[k, a], W[j, a])
                high, e2 = _two_sum(high, p)
                rest += e + e2
            low[k, j] = high + rest
    return low


@njit
def _leading(label, up, mu0, mu0_low, zk, zk_low, count, scale):  # type: ignore[no-untyped-def]
    """The leading part of y f - threshold, in twice the digits; the sums of its terms' sizes, and of |mu0|."""
    high, rest, size, mu_sum = count, 0.0, abs(count) + scale.threshold, 0.0
    for j in range(len(mu0)):
        if up[j] != 0.0:
            p, e = _two_product(mu0[j], zk[j])
            high, e2 = _two_sum(high, p)
            rest += (e + e2) + (mu0[j] * zk_low[j] + mu0_low[j] * zk[j])
            size += abs(p)
            mu_sum += abs(mu0[j])
    high, e = _two_sum(label * high, -scale.threshold)
    return high + ((e + label * rest) - scale.residue), size, mu_sum


@njit
def _refresh(moving, classes, sample, scale, t, zbound):  # type: ignore[no-untyped-def]
    """Bring the running bounds down to what the weights say; overwrites t and zbound."""
    Omega, mu0, mu1, book = moving.Omega, moving.mu0, moving.mu1, moving.book
    n = len(sample.entry_max)
    L = len(mu0)
    for j in range(L):
        zbound[j] = abs(Omega[n, j])
    for a in range(n):
        w = Omega[a]
        x_max = sample.entry_max[a]
        for j in range(L):
            zbound[j] += x_max * abs(w[j])
    mu_sum = mu_max = zeta_max = mu1_sum = 0.0
    for j in range(L):
        size = abs(mu0[j]) + scale.unit2 * abs(mu1[j])
        mu_sum += size
        mu_max = max(mu_max, size)
        zeta_max = max(zeta_max, zbound[j])
        mu1_sum += abs(mu1[j]) * classes.z0_max[j]
        t[j] = size * zbound[j] + abs(mu1[j]) * classes.z0_max[j]
    book[MU_SUM], book[MU_MAX], book[ZETA_MAX], book[MU1_SUM] = mu_sum, mu_max, zeta_max, mu1_sum
    book[P_MAX] = np.abs(moving.P).max()
    book[BOUND] = scale.unit2 * fold(t, L) * (1.0 + 1e-9) + book[P_ERROR] + abs(scale.residue)
    book[SINCE] = 0.0
    if scale.unit2 * zeta_max >= classes.z0_min.min():
        for j in range(L):
            if scale.unit2 * zbound[j] >= classes.z0_min[j]:
                book[FAST] = 0.0


@njit
def deviation(moving, classes, sample, scale, order, epochs, batch):  # type: ignore[no-untyped-def]
    r"""Both ReLU layers in units of the step, with the deviations from the start kept apart.

    With u the step, W = W_0 + u^2 Omega, M = u (mu0 + u^2 mu1), b = u count and pre-activation z0 + u^2 zeta, the
    output in units of u is P + u^2 Q + u^4 S, where P = sum_on mu0 z0 + count is exact for a lattice start,
    Q = sum_on (mu0 zeta + mu1 z0) and S = sum_on mu1 zeta. While no neuron with z0 != 0 can have changed sign, P
    depends on the class of the example only and moves by rows of a Gram matrix, and |u^2 Q + u^4 S| has a running
    bound that holds for every input with entries in [-entry_max, entry_max]: a visit with |y P - threshold| above it
    is decided by reading P. All others (exact ties above all) are evaluated in full.

    Rounding. Off a lattice z0 and P are rounded. With e = 2^-52, twice what an operation rounds off, P moves away
    from its exact value by gram_error + e |P| an update, which joins the bound; a full evaluation takes the leading
    part from z0 and mu0 in twice the digits. There a sum of T terms is off by less than T e^2 times the sum of their
    sizes, and mu0_low, a sum of T roundings of at most e |mu0| T in all, by T^2 e^2 |mu0|: together less than
    (T + L)^2 e^2 times the sizes. The next order u^2 Q + u^4 S has an error of its own: ``ROUNDING`` for the sums of
    this visit, and e for each update that Omega and mu1 have added up, times the sum of its terms' sizes; off a
    lattice, where sums may cancel, also times the sizes of what was added up (``zeta_off``). A decision within both
    errors of a tie is unresolved. (How an early rounding spreads by the dynamics is not followed: no bound that
    follows it stays useful.) So is an update while a neuron stands at its kink to within rounding: its slope is
    uncertain, though the output is not.
    """
    Omega, mu0, mu0_low, mu1, P, book = moving
    z0, z0_low, gram, cls = classes.z0, classes.z0_low, classes.gram, classes.of
    kinks, kink_ptr = classes.kinks, classes.kink_ptr
    y, indptr, columns, values, reach = sample.y, sample.indptr, sample.columns, sample.values, sample.reach
    unit2, threshold, residue = scale.unit2, scale.threshold, scale.residue
    m = order.shape[1]
    K, L = z0.shape
    rough = len(z0_low) > 0
    work = aligned(3 + 2 * batch, L)
    t, r, zbound = work[0], work[1], work[2]
    zeta, on = work[3 : 3 + batch], work[3 + batch :]
    pending = np.empty(batch, np.int32)
    z0_sum, z0_least = classes.z0_max.sum(), classes.z0_min.min()
    total, made = 0, m
    for e in range(epochs):
        before = total
        far = len(y) > FAR and 8 * made > m  # skipped visits read no row
        for start in range(0, m, batch):
            n_pending = 0
            if book[SINCE] >= REFRESH and book[FAST] != 0.0:
                _refresh(moving, classes, sample, scale, t, zbound)
            fast, bound, zeta_max = book[FAST] != 0.0, book[BOUND], book[ZETA_MAX]
            rounding = ROUNDING + EPS * book[TOTAL]
            # on a lattice a movement is a multiple of its spacing but for u^2 mu1: little is not yet nothing
            nothing = rounding if rough else ROUNDING
            zeta_off = EPS * book[TOTAL] * book[ZETA_PATH]
            for visit in range(start, min(start + batch, m)):
                i = order[e, visit]
                if far and visit + 2 * AHEAD < m:
                    fetch(y, indptr, columns, values, order[e, visit + AHEAD], order[e, visit + 2 * AHEAD])
                    prefetch(cls, order[e, visit + 2 * AHEAD])
                    prefetch(reach, order[e, visit + AHEAD])
                k = cls[i]
                s = y[i] * P[k] - threshold
                known = fast and abs(s) > bound
                if known and s > 0.0:
                    continue
                zk, ze, up = z0[k], zeta[n_pending], on[n_pending]
                sum_rows(Omega, ze, columns, values, indptr[i], indptr[i + 1], L)
                # a neuron at z0 = 0 is decided by zeta alone: z0 + u^2 zeta may underflow, its sign may not
                if rough:
                    for j in range(L):
                        active = zk[j] + (unit2 * ze[j] + z0_low[k, j]) > 0.0 or (zk[j] == 0.0 and ze[j] > 0.0)
                        up[j] = 1.0 if active else 0.0
                else:
                    for j in range(L):
                        active = zk[j] + unit2 * ze[j] > 0.0 or (zk[j] == 0.0 and ze[j] > 0.0)
                        up[j] = 1.0 if active else 0.0
                # Movements that cancel at a kink: what is left of zeta is rounding, so the slope is taken as 0.
                open_kinks = False
                for at in range(kink_ptr[k], kink_ptr[k + 1]):
                    j = kinks[at]
                    if not fast or abs(ze[j]) <= nothing * zeta_max + zeta_off:
                        size = 0.0
                        for q in range(indptr[i], indptr[i + 1]):
                            size += abs(values[q] * Omega[columns[q], j])
                        if size + zeta_off > 0.0 and abs(ze[j]) <= nothing * size + zeta_off:
                            open_kinks = True
                            if abs(ze[j]) <= ROUNDING * size:
                                up[j] = 0.0
                if not known:
                    book[FULL] += 1.0
                    for j in range(L):
                        t[j] = up[j] * (mu0[j] * zk[j])
                        r[j] = up[j] * ((mu0[j] * ze[j] + mu1[j] * zk[j]) + unit2 * (mu1[j] * ze[j]))
                    doubt = 0.0 if book[TOTAL] <= scale.exact else np.inf
                    if rough:
                        leading, size, mu_sum = _leading(y[i], up, mu0, mu0_low, zk, z0_low[k], book[COUNT], scale)
                        mu1_off = EPS * book[TOTAL] * book[MU1_PATH] + book[TOTAL] * zeta_off
                        doubt = (book[TOTAL] + L) ** 2 * EPS**2 * size
                        doubt += unit2 * (2.0 * mu_sum * zeta_off + z0_sum * mu1_off)
                        for j in range(L):
                            r[j] += up[j] * (mu0_low[j] * ze[j])
                    else:
                        leading = (y[i] * (fold(t, L) + book[COUNT]) - threshold) - residue
                    for j in range(L):
                        t[j] = abs(r[j])
                    s = leading + y[i] * (unit2 * fold(r, L))
                    if leading == 0.0:
                        book[TIES] += 1.0
                    if book[TOTAL] > 0.0 and abs(s) <= doubt + rounding * (unit2 * fold(t, L)):
                        book[UNRESOLVED] += 1.0
                    if not abs(s) < HUGE:
                        return e, total, DIVERGED
                    if s > 0.0:
                        continue
                if not fast:
                    for j in range(L):
                        z = zk[j] + unit2 * ze[j]
                        if zk[j] != 0.0 and abs(z) <= rounding * abs(zk[j]) + unit2 * zeta_off:
                            open_kinks = True
                if open_kinks:
                    book[UNRESOLVED] += 1.0
                pending[n_pending] = i
                n_pending += 1
            if n_pending == 0:
                continue
            for q in range(n_pending):
                i = pending[q]
                label, up = y[i], on[q]
                for j in range(L):
                    t[j] = label * (up[j] * (mu0[j] + (unit2 * mu1[j] + mu0_low[j])))
                if rough:
                    book[ZETA_PATH] += reach[i] * np.abs(t).max()
                add_rows(Omega, t, columns, values, indptr[i], indptr[i + 1], L)
                book[ZETA_MAX] += reach[i] * book[MU_MAX]
            for q in range(n_pending):
                i = pending[q]
                k = cls[i]
                label, zk, ze, up = y[i], z0[k], zeta[q], on[q]
                if rough:
                    book[MU1_PATH] += np.abs(ze).max()
                    for j in range(L):
                        mu0[j], left = _two_sum(mu0[j], label * (up[j] * zk[j]))
                        mu0_low[j] += left + label * (up[j] * z0_low[k, j])
                        mu1[j] += label * (up[j] * ze[j])
                else:
                    for j in range(L):
                        mu0[j] += label * (up[j] * zk[j])
                        mu1[j] += label * (up[j] * ze[j])
                book[COUNT] += label
                book[TOTAL] += 1.0
                if fast:
                    row = gram[k]
                    for c in range(K):
                        P[c] += label * row[c]
                    if rough:
                        book[P_MAX] += scale.gram_max
                        book[P_ERROR] += scale.gram_error + EPS * book[P_MAX]
                    book[MU_SUM] += classes.size[k, 0] + unit2 * L * book[ZETA_MAX]
                    book[MU_MAX] += classes.size[k, 1] + unit2 * book[ZETA_MAX]
                    book[MU1_SUM] += book[ZETA_MAX] * z0_sum
            total += n_pending
            book[SINCE] += n_pending
            if fast:
                rest = unit2 * (book[MU_SUM] * book[ZETA_MAX] + book[MU1_SUM]) * (1.0 + 1e-9)
                book[BOUND] = rest + book[P_ERROR] + abs(residue)
                if unit2 * book[ZETA_MAX] >= z0_least:
                    book[SINCE] = REFRESH  # the running bound no longer excludes a change of sign: look closely
        made = total - before
        if made == 0:
            return e + 1, total, CONVERGED
        if not fast:
            book[MU_MAX], book[ZETA_MAX] = (
                max(norm_of(mu0.reshape(1, L), t, L), norm_of(mu1.reshape(1, L), t, L)),
                norm_of(Omega, t, L),
            )
        if not max(book[MU_MAX], book[ZETA_MAX]) < scale.large:
            return e + 1, total, LARGE
    return epochs, total, BUDGET
