"""The compiled loops of the two-layer engine. Behind the door: nothing is checked here.

Both forms visit examples one at a time in the given order and make the same updates as the reference; they differ in
how a visit gets its pre-activations.

``direct``
    From the weights, over the non-zero entries of the example.
``blocked``
    A block of examples gets its pre-activations by one matrix product. Updates wait in a list (a row of coefficients
    each) instead of going into the weights; a visit first brings its own row up to date by what came since, through
    the Gram matrix of the block; when the list is full, one matrix product folds it into the weights. Rows stay valid
    until then however often they are visited, and new examples join in batches, as they come up.

Both skip visits that cannot trigger an update. ``low`` bounds the margin y N(x) of every example from below, from the
last time it was computed and all updates since. An update at (x_t, y_t) moves the pre-activation of unit j at x by
eta y_t v_j p_j <x_t, x>, and a leaky ReLU passes on between alpha and 1 times that; so with fixed output weights y N(x)
changes by eta y y_t <x_t, x> P times a number in [alpha, 1], P = sum_j v_j^2 p_j: it can only rise where the product is
positive. Trained output weights add eta y y_t <sigma(W x_t), sigma(W x)>, at least -eta |sigma(W x_t)| |sigma(W x)|.

With a Gram matrix of all examples (``gram``) the bounds of all examples move with every update. Without, what an update
takes away at most is summed over updates by label (``fallen``), as if |<x_t, x>| = |x_t| |x|, and an example compares
with the sum at its last evaluation.

Strict IEEE arithmetic, no fastmath. Rows of neurons are padded with zeros to a multiple of LANES.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from learnability.training.rows import LANES, add_rows, sum_rows

BUDGET, CONVERGED, DIVERGED = 0, 1, 2

# Columns of the array ``bounds`` (m, 6), one row an example:
LOW, REACH, FALLEN, TURNED_AT, STRETCHED_AT, NORM = range(6)
# lower bound of the margin and upper bound of |sigma(W x)| when last computed (with ``gram``: now); what ``totals`` held
# then; |x|.

# Entries of ``totals`` (4,), sums over updates of eta times: P |x_t| for label -1 and for label +1; |sigma(W x_t)|, to
# which |v| at the start is added; |v o p| |x_t|, to which |W| is added: so the last two are at least |v| and |W| now.
TAKEN, TURNED, STRETCHED = 0, 2, 3


@njit(cache=True, inline="always")
def _fold(t, L):  # type: ignore[no-untyped-def]
    """Sum of t[0:L], L a multiple of LANES; overwrites t."""
    width = L
    while width > LANES:
        half = (width // (2 * LANES)) * LANES
        keep = width - half
        for j in range(half):
            t[j] += t[keep + j]
        width = keep
    for j in range(8):
        t[j] += t[j + 8]
    return ((t[0] + t[4]) + (t[2] + t[6])) + ((t[1] + t[5]) + (t[3] + t[7]))


@njit(cache=True, inline="always")
def _fallen(label, totals, positive):  # type: ignore[no-untyped-def]
    """What updates so far can have taken from the margin of an example with this label, per unit of |x|."""
    if positive:  # no inner product is negative: an update raises the margins of its own label
        return totals[TAKEN] if label > 0 else totals[TAKEN + 1]
    return totals[TAKEN] + totals[TAKEN + 1]


@njit(cache=True, inline="always")
def _safe(bounds, label, totals, both, positive, near):  # type: ignore[no-untyped-def]
    """Whether the margin of the example with this row of bounds is certainly above 1."""
    low = bounds[LOW]
    if not near:
        low -= bounds[NORM] * (_fallen(label, totals, positive) - bounds[FALLEN])
        if both:
            reach = bounds[REACH] + bounds[NORM] * (totals[STRETCHED] - bounds[STRETCHED_AT])
            low -= (totals[TURNED] - bounds[TURNED_AT]) * reach
    return low > 1.0


@njit(cache=True, inline="always")
def _visit(  # type: ignore[no-untyped-def]
    i, z, v, v_low, v_high, c, t, y, eta, alpha, both, positive, gram, near, bounds, totals, guard, L
):  # fmt: skip
    """The visit of example i with pre-activations z: 0 no update, 1 update, 2 diverged.

    An update moves v and the bounds, and leaves in c the coefficients by which x_i enters the rows of W.
    """
    label = y[i]
    one, zero = z.dtype.type(1), z.dtype.type(0)
    if alpha > 0:
        for j in range(L):
            c[j] = one if z[j] >= zero else alpha
    else:
        for j in range(L):
            c[j] = one if z[j] > zero else zero
    for j in range(L):
        t[j] = v[j] * (c[j] * z[j])
    margin = label * _fold(t, L)
    if not abs(margin) < 1e30:
        return 2
    activity = 0.0
    if both:
        for j in range(L):
            t[j] = (c[j] * z[j]) ** 2
        activity = np.sqrt(_fold(t, L))
    norm = bounds[i, NORM]
    bounds[i, LOW] = margin - guard * (1.0 + totals[TURNED] * totals[STRETCHED] * norm)
    bounds[i, REACH] = activity * (1.0 + guard)
    bounds[i, FALLEN] = _fallen(label, totals, positive)
    bounds[i, TURNED_AT] = totals[TURNED]
    bounds[i, STRETCHED_AT] = totals[STRETCHED]
    if not margin < 1:
        return 0
    # P, or sum_j |v_j' v_j| p_j with the new output weights v'
    step = eta * label
    signed = True
    for j in range(L):
        t[j] = v[j] * v[j] * c[j]
    if both:
        for j in range(L):
            moved = v[j] + step * (c[j] * z[j])
            t[j] = moved * v[j] * c[j]
        least = zero
        for j in range(L):
            least = min(least, t[j])
        if least < 0:
            signed = False
            for j in range(L):
                t[j] = abs(t[j])
    push = eta * _fold(t, L)
    for j in range(L):
        t[j] = (v[j] * c[j]) ** 2
    stretch = eta * np.sqrt(_fold(t, L))
    if (stretch == 0 or norm == 0) and activity == 0:
        return 0  # the gradient vanishes: dead ReLUs, or x = 0
    for j in range(L):
        t[j] = c[j] * z[j]
        c[j] = step * (v[j] * c[j])
    if both:
        for j in range(L):
            v[j] += step * t[j]
            v_low[j] = min(v_low[j], v[j])
            v_high[j] = max(v_high[j], v[j])
    totals[TAKEN + (1 if label > 0 else 0)] += push * norm
    totals[TURNED] += eta * activity
    totals[STRETCHED] += stretch * norm
    if near:
        row = gram[i]
        for r in range(len(y)):
            g = push * row[r] * (label * y[r])
            rise = min(g, alpha * g) if signed else -abs(g)
            bounds[r, LOW] += rise - guard * abs(g)
        if both:
            for r in range(len(y)):
                bounds[r, LOW] -= eta * activity * bounds[r, REACH]
                bounds[r, REACH] += stretch * abs(row[r])
    return 1


@njit(cache=True)
def direct(  # type: ignore[no-untyped-def]
    WT, v, v_low, v_high, indptr, columns, values, y, order, eta, alpha, both, positive, gram, near, bounds, totals,
    guard, used,
):  # fmt: skip
    """WT (d, L), v (L,); example i has the non-zero entries values[indptr[i]:indptr[i+1]]; used (m,) counts updates.

    Returns (epochs run, updates, evaluations, status).
    """
    epochs, m = order.shape
    L = len(v)
    z, c, t = np.empty_like(v), np.empty_like(v), np.empty_like(v)
    total = evaluated = 0
    for e in range(epochs):
        before = total
        for visit in range(m):
            i = order[e, visit]
            if _safe(bounds[i], y[i], totals, both, positive, near):
                continue
            sum_rows(WT, z, columns, values, indptr[i], indptr[i + 1], L)
            evaluated += 1
            outcome = _visit(
                i, z, v, v_low, v_high, c, t, y, eta, alpha, both, positive, gram, near, bounds, totals, guard, L
            )
            if outcome == 2:
                return e, total, evaluated, DIVERGED
            if outcome == 1:
                add_rows(WT, c, columns, values, indptr[i], indptr[i + 1], L)
                used[i] += 1
                total += 1
        if total == before:
            return e + 1, total, evaluated, CONVERGED
    return epochs, total, evaluated, BUDGET


@njit(cache=True)
def blocked(  # type: ignore[no-untyped-def]
    WT, v, v_low, v_high, X, y, order, eta, alpha, both, positive, gram, near, bounds, totals, guard, used,
    rows, waiting, batch,
):  # fmt: skip
    """X (m, d); a block holds up to ``rows`` examples and ``waiting`` updates, and grows by up to ``batch`` at a time.

    Returns (epochs run, updates, evaluations, examples that entered a block, status).
    """
    epochs, m = order.shape
    d, L = WT.shape
    c, t = np.empty_like(v), np.empty_like(v)
    Z = np.empty((rows, L), WT.dtype)
    C = np.empty((waiting, L), WT.dtype)
    XB = np.empty((rows, d), WT.dtype)  # examples of the block
    K = np.empty((rows, rows), WT.dtype)  # their Gram matrix
    member = np.empty(rows, np.int64)
    slot = np.full(m, -1, np.int64)
    seen = np.empty(rows, np.int64)  # updates that a row of Z knows of
    at = np.empty(waiting, np.int64)  # row of each waiting update
    index = np.arange(waiting).astype(np.int32)
    weight = np.empty(waiting, WT.dtype)
    n_rows = n_waiting = 0
    total = before = evaluated = entered = 0
    flat = order.reshape(-1)
    for visit in range(epochs * m):
        if visit % m == 0:
            if visit > 0 and total == before:
                _fold_back(WT, XB, C, at, n_rows, n_waiting)
                return visit // m, total, evaluated, entered, CONVERGED
            before = total
        i = flat[visit]
        if _safe(bounds[i], y[i], totals, both, positive, near):
            continue
        if slot[i] < 0:
            if n_rows == rows:
                _fold_back(WT, XB, C, at, n_rows, n_waiting)
                for r in range(n_rows):
                    slot[member[r]] = -1
                n_rows = n_waiting = 0
            first = n_rows
            last = min(rows, first + batch)
            for ahead in range(visit, min(visit + m, epochs * m)):
                r = flat[ahead]
                if slot[r] < 0 and not _safe(bounds[r], y[r], totals, both, positive, near):
                    slot[r] = n_rows
                    member[n_rows] = r
                    seen[n_rows] = n_waiting
                    XB[n_rows] = X[r]
                    n_rows += 1
                    if n_rows == last:
                        break
            entered += n_rows - first
            np.dot(XB[first:n_rows], WT, Z[first:n_rows])
            if near:
                for r in range(first, n_rows):
                    row = gram[member[r]]
                    for q in range(n_rows):
                        K[r, q] = row[member[q]]
                        K[q, r] = K[r, q]
            else:
                fresh = np.dot(XB[first:n_rows], XB[:n_rows].T)
                for r in range(first, n_rows):
                    for q in range(n_rows):
                        K[r, q] = fresh[r - first, q]
                        K[q, r] = K[r, q]
            if n_waiting > 0:
                cross = np.empty((n_rows - first, n_waiting), WT.dtype)
                for r in range(first, n_rows):
                    for u in range(n_waiting):
                        cross[r - first, u] = K[r, at[u]]
                Z[first:n_rows] += np.dot(cross, C[:n_waiting])
        s = slot[i]
        z = Z[s]
        if seen[s] < n_waiting:
            for u in range(seen[s], n_waiting):
                weight[u] = K[s, at[u]]
            sum_rows(C, t, index, weight, seen[s], n_waiting, L)
            for j in range(L):
                z[j] += t[j]
            seen[s] = n_waiting
        evaluated += 1
        outcome = _visit(
            i, z, v, v_low, v_high, c, t, y, eta, alpha, both, positive, gram, near, bounds, totals, guard, L
        )
        if outcome == 2:
            _fold_back(WT, XB, C, at, n_rows, n_waiting)
            return visit // m, total, evaluated, entered, DIVERGED
        if outcome == 1:
            for j in range(L):
                C[n_waiting, j] = c[j]
            at[n_waiting] = s
            n_waiting += 1
            used[i] += 1
            total += 1
            if n_waiting == waiting:
                _fold_back(WT, XB, C, at, n_rows, n_waiting)
                for r in range(n_rows):
                    slot[member[r]] = -1
                n_rows = n_waiting = 0
    _fold_back(WT, XB, C, at, n_rows, n_waiting)
    return epochs, total, evaluated, entered, CONVERGED if total == before else BUDGET


@njit(cache=True)
def _fold_back(WT, XB, C, at, n_rows, n_waiting):  # type: ignore[no-untyped-def]
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
