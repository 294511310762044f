"""The compiled loops of the two-layer engine. Behind the door: nothing is checked here.

Both forms visit examples one at a time in the given order and make the same updates as the reference; they differ in
how a visit gets its pre-activations.

``direct``
    From the weights, over the non-zero entries of the example.
``blocked``
    A block of examples gets its pre-activations by one matrix product. Updates wait in a list (a row of coefficients
    each) instead of going into the weights; a visit first brings its own row up to date by what came since, through
    the Gram matrix of the block; when the list is full, one matrix product folds it into the weights and a new block
    begins. Rows stay valid until then however often they are visited, and new examples join in batches, as they come
    up.

Both skip visits that cannot trigger an update. With W', v' the weights at an earlier moment,

    |N(x) - N'(x)| <= |v| |W - W'|_F |x| + |v - v'| |sigma(W' x)|,

since sigma is 1-Lipschitz. The distance |W - W'|_F from a reference (the weights at the start of the block) is
followed exactly: an update W += c x^T adds 2 c . (W x - W' x) + |c|^2 |x|^2 to its square. Many steps undo each
other, so it grows far more slowly than their lengths add up, and examples with some margin to spare are skipped for
long. When the reference moves, the distances between references are added up.

Strict IEEE arithmetic, no fastmath. Rows of neurons are padded with zeros to a multiple of LANES.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from learnability.training.drive import BUDGET, CONVERGED, DIVERGED, LARGE
from learnability.training.vector.rows import add_rows, fold, sum_rows

LAZY = 48  # updates that a visit applies to its row by itself; with more, a matrix product does for many rows
SEGMENT = 128  # updates in one such product

# Columns of the array ``known`` (m, 6), a row an example, as of the reference at its last evaluation: lower bound of
# the margin y N(x); upper bound of |sigma(W x)|; WAY, DRIFT and TURN of ``way`` then. Last, |x|.
LOW, REACH, WAY_AT, DRIFT_AT, TURN_AT, NORM = range(6)

# Entries of the array ``way`` (10,). Distances added up over past references: |v| |W - W'|, |W - W'|, |v - v'|. From
# the present one: |W - W'| squared, a bound of the rounding in it, |v - v'|, |v|, |W - W'|. |W| at the reference, at
# most. Last, the number of visits with a loss and a unit at its kink to within rounding (``blocked`` only).
WAY, DRIFT, TURN, SQUARE, ROUNDING, TURNED, SIZE, DISTANCE, WEIGHT, KINKS = range(10)


class Net(NamedTuple):
    """The network, and what is known of it."""

    WT: NDArray[Any]
    """(d, L), the live neurons and padding."""
    v: NDArray[Any]
    v_low: NDArray[Any]
    """(L,) smallest output weights so far."""
    v_high: NDArray[Any]
    v_reference: NDArray[Any]
    known: NDArray[np.float64]
    way: NDArray[np.float64]
    used: NDArray[np.int64]
    """(m,) updates by example."""


class Rule(NamedTuple):
    """Labels and numbers of a run."""

    y: NDArray[Any]
    eta: Any
    alpha: Any
    both: bool
    guard: float
    """Relative error of sums."""
    large: float


class Reference(NamedTuple):
    """What ``direct`` keeps between two visits."""

    W: NDArray[Any]
    """(d, L) weights of the reference."""
    looked: NDArray[np.int64]
    """(m,) at which reference each example was last evaluated."""
    counts: NDArray[np.int64]
    """(2,): updates since the reference moved, and how often it has."""


class Block(NamedTuple):
    """What ``blocked`` keeps between two visits: examples, and updates that wait to go into the weights."""

    Z: NDArray[Any]
    """(rows, L) pre-activations of the block's examples, as of update ``seen``."""
    Z_reference: NDArray[Any]
    """And at the start of the block."""
    C: NDArray[Any]
    """(waiting, L) coefficients of the updates."""
    XB: NDArray[Any]
    """(rows, d)."""
    K: NDArray[Any]
    """(rows, rows) Gram matrix of the block, where that of all examples is not at hand."""
    member: NDArray[np.int64]
    """(rows,) examples, and ``seen``, the updates that are in their row of Z."""
    seen: NDArray[np.int64]
    at: NDArray[np.int64]
    """(waiting,) row of each update's example."""
    slot: NDArray[np.int64]
    """(m,) row of each example, or -1."""
    counts: NDArray[np.int64]
    """(2,): rows and updates there are."""


@njit(cache=True, inline="always")
def safe(known, way, both, further=0.0):  # type: ignore[no-untyped-def]
    """Whether the margin of the example with this row of ``known`` is certainly above 1.

    And would be if |v| |W - W'| were larger by ``further``.
    """
    norm = known[NORM]
    low = known[LOW] - norm * (way[WAY] - known[WAY_AT] + way[SIZE] * way[DISTANCE] + further)
    if both:
        reach = known[REACH] + norm * (way[DRIFT] - known[DRIFT_AT])
        low -= (way[TURN] - known[TURN_AT] + way[TURNED]) * reach
    return low > 1.0


@njit(cache=True)
def nonzero_rows(X):  # type: ignore[no-untyped-def]
    """Non-zero entries of each row: indptr, columns, values."""
    m, d = X.shape
    indptr = np.zeros(m + 1, np.int64)
    for i in range(m):
        indptr[i + 1] = indptr[i] + np.count_nonzero(X[i])
    columns = np.empty(indptr[m], np.int32)
    values = np.empty(indptr[m], X.dtype)
    at = 0
    for i in range(m):
        for a in range(d):
            if X[i, a] != 0:
                columns[at] = a
                values[at] = X[i, a]
                at += 1
    return indptr, columns, values


@njit(cache=True)
def new_reference(v, v_reference, way):  # type: ignore[no-untyped-def]
    """Let the present weights be the reference (whoever keeps W' replaces it)."""
    way[WAY] += way[SIZE] * way[DISTANCE]
    way[DRIFT] += way[DISTANCE]
    way[TURN] += way[TURNED]
    way[WEIGHT] += way[DISTANCE]
    way[SQUARE] = way[ROUNDING] = way[TURNED] = way[DISTANCE] = 0.0
    v_reference[:] = v


@njit(cache=True)
def _look(label, known, z, v, distance, turned, c, t, alpha, both, way, guard, L):  # type: ignore[no-untyped-def]
    """The margin by pre-activations z and output weights v, and what it says of the margin at the reference.

    ``known`` is the example's row; distance and turned are |W - W'| and |v - v'| from the reference. Leaves the
    slopes in c.
    """
    one, zero = z.dtype.type(1), z.dtype.type(0)
    if alpha > 0:
        for j in range(L):
            c[j] = one if z[j] >= zero else alpha
    else:
        for j in range(L):
            c[j] = one if z[j] > zero else zero
    reach = 0.0
    if both:
        for j in range(L):
            t[j] = (c[j] * z[j]) * (c[j] * z[j])
        reach = np.sqrt(np.float64(fold(t, L)))
    for j in range(L):
        t[j] = v[j] * (c[j] * z[j])
    margin = label * fold(t, L)
    norm = known[NORM]
    low = margin - guard * (1.0 + way[SIZE] * (way[WEIGHT] + distance) * norm) - norm * way[SIZE] * distance
    before = known[LOW] - norm * (way[WAY] - known[WAY_AT])
    if both:
        reach = reach * (1.0 + guard) + norm * distance
        low -= turned * reach
        before -= (way[TURN] - known[TURN_AT]) * (known[REACH] + norm * (way[DRIFT] - known[DRIFT_AT]))
    if not before > low:
        known[LOW] = low
        known[REACH] = reach
        known[WAY_AT] = way[WAY]
        known[DRIFT_AT] = way[DRIFT]
        known[TURN_AT] = way[TURN]
    return margin


@njit(cache=True)
def _visit(i, z, v, c, t, y, eta, alpha, both, known, way, guard, L):  # type: ignore[no-untyped-def]
    """The visit of example i with pre-activations z: 0 no loss, 1 update, 2 diverged, 3 a loss without gradient.

    An update leaves in c the coefficients by which x_i enters the rows of W, and sigma(z) in t.
    """
    label = y[i]
    margin = _look(label, known[i], z, v, way[DISTANCE], way[TURNED], c, t, alpha, both, way, guard, L)
    if not np.isfinite(margin):
        return 2
    if not margin < 1:
        return 0
    if known[i, NORM] == 0.0:
        return 3
    moves = False
    step = eta * label
    for j in range(L):
        t[j] = c[j] * z[j]
        c[j] = step * (v[j] * c[j])
    if alpha > 0:
        moves = True
    else:  # dead ReLUs have no gradient
        for j in range(L):
            moves = moves or c[j] != 0
    return 1 if moves else 3


@njit(cache=True)
def _follow(i, z, z_reference, c, t, v, v_reference, v_low, v_high, eta, label, both, known, way, guard, L):  # type: ignore[no-untyped-def]
    """Account for the update W += c x_i^T, and make that of v. Overwrites z_reference and t, the vector sigma(z)."""
    if both:
        step = eta * label
        for j in range(L):
            v[j] += step * t[j]
            v_low[j] = min(v_low[j], v[j])
            v_high[j] = max(v_high[j], v[j])
        for j in range(L):
            t[j] = (v[j] - v_reference[j]) * (v[j] - v_reference[j])
        way[TURNED] = np.sqrt(np.float64(fold(t, L))) * (1.0 + guard)
        for j in range(L):
            t[j] = v[j] * v[j]
        way[SIZE] = np.sqrt(np.float64(fold(t, L))) * (1.0 + guard)
    norm = known[i, NORM]
    for j in range(L):
        t[j] = c[j] * (z[j] - z_reference[j])
    along = np.float64(fold(t, L))
    for j in range(L):
        t[j] = c[j] * c[j]
    length = np.sqrt(np.float64(fold(t, L))) * norm
    way[SQUARE] += 2.0 * along + length * length
    way[ROUNDING] += guard * length * (2.0 * way[WEIGHT] + way[DISTANCE] + length)
    way[DISTANCE] = np.sqrt(max(way[SQUARE], 0.0) + way[ROUNDING])


@njit(cache=True)
def _after_epoch(unchanged, way, large):  # type: ignore[no-untyped-def]
    """How things stand after an epoch."""
    if unchanged:
        return CONVERGED
    return BUDGET if max(way[WEIGHT] + way[DISTANCE], way[SIZE]) < large else LARGE


@njit(cache=True)
def direct(net, rule, indptr, columns, values, reference, order, epochs, waiting, look_back):  # type: ignore[no-untyped-def]
    """Example i has the non-zero entries values[indptr[i]:indptr[i+1]].

    The reference moves after ``waiting`` updates. With ``look_back`` an example is first evaluated there, which says
    more about the visits to come and often enough about this one. Returns (epochs run, updates, evaluations, status).
    """
    WT, v, v_low, v_high, v_reference, known, way, used = net
    y, eta, alpha, both, guard, large = rule
    W_reference, looked, counts = reference
    m = order.shape[1]
    L = len(v)
    z, z_reference, c, t = np.empty_like(v), np.empty_like(v), np.empty_like(v), np.empty_like(v)
    total = evaluated = 0
    for e in range(epochs):
        before = total
        for visit in range(m):
            i = order[e, visit]
            if safe(known[i], way, both):
                continue
            evaluated += 1
            lo, hi = indptr[i], indptr[i + 1]
            if look_back and counts[0] > 0 and looked[i] < counts[1]:
                looked[i] = counts[1]
                sum_rows(W_reference, z_reference, columns, values, lo, hi, L)
                _look(y[i], known[i], z_reference, v_reference, 0.0, 0.0, c, t, alpha, both, way, guard, L)
                if safe(known[i], way, both):
                    continue
            sum_rows(WT, z, columns, values, lo, hi, L)
            outcome = _visit(i, z, v, c, t, y, eta, alpha, both, known, way, guard, L)
            if outcome == 2:
                return e, total, evaluated, DIVERGED
            if outcome == 1:
                sum_rows(W_reference, z_reference, columns, values, lo, hi, L)
                add_rows(WT, c, columns, values, lo, hi, L)
                _follow(i, z, z_reference, c, t, v, v_reference, v_low, v_high, eta, y[i], both, known, way, guard, L)
                used[i] += 1
                total += 1
                counts[0] += 1
                if counts[0] == waiting:
                    new_reference(v, v_reference, way)
                    W_reference[:] = WT
                    counts[0] = 0
                    counts[1] += 1
        status = _after_epoch(total == before, way, large)
        if status != BUDGET:
            return e + 1, total, evaluated, status
    return epochs, total, evaluated, BUDGET


@njit(cache=True)
def blocked(net, rule, block, units, X, gram, near, order, epochs, batch):  # type: ignore[no-untyped-def]
    """X (m, d); of the L neurons in WT ``units`` are no padding.

    A block takes ``batch`` visits at a time. Which examples come up next is read off ``order``, which may go on after
    the ``epochs`` that are run.

    ``gram`` (m, m) is used if ``near``; otherwise the Gram matrix of the block is computed as it grows. The reference
    is the weights at the start of the block, which are in WT until the next one.

    Returns (epochs run, updates, evaluations, status).
    """
    WT, v, v_low, v_high, v_reference, known, way, used = net
    y, eta, alpha, both, guard, large = rule
    Z, Z_reference, C, XB, K, member, seen, at, slot, counts = block
    m = order.shape[1]
    L = WT.shape[1]
    waiting, rows = len(C), len(Z)
    c, t = np.empty_like(v), np.empty_like(v)
    D = np.empty((batch, L), WT.dtype)
    G = np.empty((batch * SEGMENT), WT.dtype)
    coming, stale, kept_rows = np.empty(batch, np.int64), np.empty(batch, np.int64), np.empty(rows, np.int64)
    index = np.arange(waiting).astype(np.int32)
    weight = np.empty(waiting, WT.dtype)
    n_rows, n_waiting = counts[0], counts[1]
    total = before = evaluated = 0
    flat = order.reshape(-1)
    for visit in range(epochs * m):
        if visit % m == 0:
            if visit > 0:
                status = _after_epoch(total == before, way, large)
                if status != BUDGET:
                    counts[0], counts[1] = n_rows, n_waiting
                    return visit // m, total, evaluated, status
            before = total
        i = flat[visit]
        if safe(known[i], way, both):
            continue
        s = slot[i]
        if s < 0 and n_rows == rows:
            fold_back(WT, XB, C, at, n_rows, n_waiting)
            new_reference(v, v_reference, way)
            for r in range(n_rows):
                slot[member[r]] = -1
            n_rows = n_waiting = 0
        if s < 0 or n_waiting - seen[s] > LAZY:
            # this example and those that come up next: new ones join, and all are brought up to date together
            first = n_rows
            n_coming = 0
            for ahead in range(visit, min(visit + m, len(flat))):
                r = flat[ahead]
                q = slot[r]
                if q >= 0 and (seen[q] < 0 or n_waiting - seen[q] <= LAZY):
                    continue
                if safe(known[r], way, both):
                    continue
                if q < 0:
                    if n_rows == rows:
                        continue
                    q = n_rows
                    slot[r] = q
                    member[q] = r
                    XB[q] = X[r]
                    n_rows += 1
                seen[q] = -1 - (0 if q >= first else seen[q])  # marked, so that it is taken once
                coming[n_coming] = q
                n_coming += 1
                if n_coming == batch:
                    break
            for b in range(n_coming):
                seen[coming[b]] = -1 - seen[coming[b]]
            if n_rows > first:
                np.dot(XB[first:n_rows], WT, Z[first:n_rows])
                for q in range(first, n_rows):
                    Z_reference[q] = Z[q]
                    r = member[q]
                    _look(y[r], known[r], Z[q], v_reference, 0.0, 0.0, c, t, alpha, both, way, guard, L)
                if not near:
                    fresh = np.dot(XB[first:n_rows], XB[:n_rows].T)
                    for r in range(first, n_rows):
                        for q in range(n_rows):
                            K[r, q] = fresh[r - first, q]
                            K[q, r] = K[r, q]
            _refresh(coming, n_coming, n_waiting, Z, C, at, member, seen, gram, near, K, G, D, stale)
            s = slot[i]
        z = Z[s]
        if seen[s] < n_waiting:
            for u in range(seen[s], n_waiting):
                weight[u] = gram[i, member[at[u]]] if near else K[s, at[u]]
            sum_rows(C, t, index, weight, seen[s], n_waiting, L)
            for j in range(L):
                z[j] += t[j]
            seen[s] = n_waiting
        evaluated += 1
        outcome = _visit(i, z, v, c, t, y, eta, alpha, both, known, way, guard, L)
        if outcome == 2:
            counts[0], counts[1] = n_rows, n_waiting
            return visit // m, total, evaluated, DIVERGED
        if outcome != 0:
            # by matrix products a pre-activation of 0 may come out as rounding, and with it the other slope
            close = guard * (way[WEIGHT] + way[DISTANCE]) * known[i, NORM]
            kink = False
            for j in range(units):
                kink = kink or abs(z[j]) <= close
            if kink:
                way[KINKS] += 1.0
        if outcome == 1:
            for j in range(L):
                C[n_waiting, j] = c[j]
            _follow(i, z, Z_reference[s], c, t, v, v_reference, v_low, v_high, eta, y[i], both, known, way, guard, L)
            at[n_waiting] = s
            n_waiting += 1
            used[i] += 1
            total += 1
            if n_waiting == waiting:
                # a new block, with those members that will be needed again
                kept = 0
                ahead_distance = 2.0 * way[SIZE] * way[DISTANCE]
                for q in range(n_rows):
                    r = member[q]
                    keep = kept < rows - batch and not safe(known[r], way, both, ahead_distance)
                    slot[r] = kept if keep else -1
                    if keep:
                        kept_rows[kept] = q
                        kept += 1
                for start in range(0, kept, batch):
                    n_coming = min(batch, kept - start)
                    coming[:n_coming] = kept_rows[start : start + n_coming]
                    _refresh(coming, n_coming, n_waiting, Z, C, at, member, seen, gram, near, K, G, D, stale)
                fold_back(WT, XB, C, at, n_rows, n_waiting)
                new_reference(v, v_reference, way)
                for q in range(kept):
                    o = kept_rows[q]
                    r = member[o]
                    member[q], seen[q] = r, 0
                    Z[q] = Z[o]
                    XB[q] = XB[o]
                    Z_reference[q] = Z[q]
                    _look(y[r], known[r], Z[q], v, 0.0, 0.0, c, t, alpha, both, way, guard, L)
                    if not near:
                        for a in range(q + 1):
                            K[q, a] = K[o, kept_rows[a]]
                            K[a, q] = K[q, a]
                n_rows, n_waiting = kept, 0
    counts[0], counts[1] = n_rows, n_waiting
    return epochs, total, evaluated, _after_epoch(total == before, way, large)


@njit(cache=True)
def _refresh(coming, n_coming, n_waiting, Z, C, at, member, seen, gram, near, K, G, D, stale):  # type: ignore[no-untyped-def]
    """Bring the rows ``coming`` of Z up to date by all waiting updates, with matrix products."""
    L = Z.shape[1]
    for start in range(0, n_waiting, SEGMENT):
        stop = min(start + SEGMENT, n_waiting)
        n_stale = 0
        for b in range(n_coming):
            if seen[coming[b]] < stop:
                stale[n_stale] = coming[b]
                n_stale += 1
        if n_stale == 0:
            continue
        g = G[: n_stale * (stop - start)].reshape(n_stale, stop - start)
        for b in range(n_stale):
            q = stale[b]
            for u in range(start, stop):
                if u < seen[q]:
                    g[b, u - start] = 0
                elif near:
                    g[b, u - start] = gram[member[q], member[at[u]]]
                else:
                    g[b, u - start] = K[q, at[u]]
        np.dot(g, C[start:stop], D[:n_stale])
        for b in range(n_stale):
            q = stale[b]
            for j in range(L):
                Z[q, j] += D[b, j]
    for b in range(n_coming):
        seen[coming[b]] = n_waiting


@njit(cache=True)
def fold_back(WT, XB, C, at, n_rows, n_waiting):  # type: ignore[no-untyped-def]
    """Add the waiting updates to the weights, those of one example as one."""
    if n_waiting == 0:
        return
    L = WT.shape[1]
    place = np.full(n_rows, -1, np.int64)
    distinct = 0
    for u in range(n_waiting):
        s = at[u]
        if place[s] < 0:
            place[s] = distinct
            if distinct != u:
                for j in range(L):
                    C[distinct, j] = C[u, j]
            distinct += 1
        else:
            to = place[s]
            for j in range(L):
                C[to, j] += C[u, j]
    XT = np.empty((XB.shape[1], distinct), WT.dtype)
    for s in range(n_rows):
        if place[s] >= 0:
            XT[:, place[s]] = XB[s]
    WT += np.dot(XT, C[:distinct])
