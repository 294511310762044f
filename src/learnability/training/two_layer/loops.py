"""The compiled loop of the two-layer engine. Behind the door: nothing is checked here.

Examples are visited one at a time in the given order, and make the same updates as the reference. What makes the loop
fast is that it looks ahead, by a window of a few visits that have to be made:

- their pre-activations are computed together, in the pass over the weights that also makes the updates of the window
  before: each weight is loaded and stored once for the whole window;
- an update within the window reaches the visits after it through the products of their inputs,
  z_b += (x_a . x_b) c, instead of through the weights;
- where :mod:`.bounds` follow the run, visits that change nothing are not made. What seemed one of them when the
  window was looked ahead, and is none any more after an update, ends the window there.

The weights lie as their inputs want them: units by inputs where these are dense (:mod:`..vector.dense`), inputs by
units where most entries are 0 (:mod:`..vector.sparse`); there blocks of units stay in the second cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.compiling import njit
from learnability.training.drive import BUDGET, CONVERGED, DIVERGED, LARGE
from learnability.training.two_layer.bounds import (
    DISTANCE,
    KINKS,
    NEAR,
    NO_LOSS,
    NORM,
    NOT_FINITE,
    SIZE,
    UPDATE,
    WEIGHT,
    at_a_kink,
    follow,
    margin_of,
    most,
    new_reference,
    note,
    safe,
    size_of,
    turn,
    visit,
)
from learnability.training.vector import sparse
from learnability.training.vector.dense import TOGETHER, dots, fetch, pairs, sweep
from learnability.training.vector.rows import add_rows, sum_rows


class Inputs(NamedTuple):
    """The sample."""

    X: NDArray[Any]
    """(m, d)."""
    indptr: NDArray[np.int64]
    """Example i has the non-zero entries ``values[indptr[i]:indptr[i+1]]``, where they are used."""
    columns: NDArray[np.int32]
    values: NDArray[Any]


class Way(NamedTuple):
    """How to compute."""

    sparse: bool
    """Whether W is (d, L) and inputs are taken by their non-zero entries; otherwise W is (units, d)."""
    in_order: bool
    """Whether sums go in the order of the entries, as the reference's do (sparse only): where pre-activations return
    to 0 this decides on which side."""
    tracked: bool
    """Whether bounds are followed and visits skipped."""
    back: bool
    """Whether an example is first evaluated at the reference, once: it says more about the visits to come."""
    waiting: int
    """Updates after which the reference moves."""
    window: int
    """Visits that are looked ahead."""
    units: int


class Reference(NamedTuple):
    """Where distances are counted from, if they are."""

    W: NDArray[Any]
    looked: NDArray[np.int64]
    """(m,) at which reference each example was last evaluated."""
    counts: NDArray[np.int64]
    """(2,): updates since the reference moved, and how often it has."""


class Seen(NamedTuple):
    """What a call did: epochs, updates, visits made, products with W and at the reference, how it ended."""

    epochs: int
    updates: int
    visited: int
    evaluated: int
    looked: int
    status: int


@njit
def nonzero_rows(X):  # type: ignore[no-untyped-def]
    """The non-zero entries of X by rows: indptr, columns, values."""
    m, d = X.shape
    indptr = np.zeros(m + 1, np.int64)
    count = 0
    for i in range(m):
        for a in range(d):
            count += X[i, a] != 0
    columns = np.empty(count + 1, np.int32)  # one more, for what is overwritten by the next
    values = np.empty(count + 1, X.dtype)
    at = 0
    for i in range(m):
        for a in range(d):
            x = X[i, a]
            columns[at] = a
            values[at] = x
            at += x != 0
        indptr[i + 1] = at
    return indptr, columns, values


@njit
def products(W, inputs, how, C, waiting, moves, Z, coming, count):  # type: ignore[no-untyped-def]
    """Make the updates that wait, and the pre-activations of the visits that come."""
    if not how.sparse:
        sweep(W, inputs.X, C, waiting, moves, Z, coming, count)
        return
    d, L = W.shape
    indptr, columns, values = inputs.indptr, inputs.columns, inputs.values
    if how.in_order:
        for s in range(moves):
            i = waiting[s]
            add_rows(W, C[s], columns, values, indptr[i], indptr[i + 1], L)
        for n in range(count):
            i = coming[n]
            sum_rows(W, Z[n], columns, values, indptr[i], indptr[i + 1], L)
        return
    # a block of units stays in the second cache while the window's examples pass by
    wide = max(1, 2**19 // (d * W.itemsize * sparse.LANES)) * sparse.LANES if moves + count > 1 else L
    for start in range(0, L, wide):
        stop = min(L, start + wide)
        for s in range(moves):
            i = waiting[s]
            sparse.add(W, C[s], columns, values, indptr[i], indptr[i + 1], start, stop)
        for n in range(count):
            i = coming[n]
            sparse.total(W, Z[n], columns, values, indptr[i], indptr[i + 1], start, stop)


@njit
def margins(W, net, rule, inputs, how, rows):  # type: ignore[no-untyped-def]
    """The margins of some examples."""
    L, room = len(net.v), how.window + TOGETHER
    Z, C = np.zeros((room, L), W.dtype), np.zeros((room, L), W.dtype)
    c, t = np.zeros(L, W.dtype), np.zeros(L, W.dtype)
    waiting, coming = np.zeros(room, np.int64), np.zeros(room, np.int64)
    found = np.empty(len(rows), W.dtype)
    for low in range(0, len(rows), how.window):
        count = min(how.window, len(rows) - low)
        for n in range(count):
            coming[n] = rows[low + n]
        products(W, inputs, how, C, waiting, 0, Z, coming, count)
        for n in range(count):
            found[low + n] = margin_of(rule.y[rows[low + n]], Z, n, net.v, c, t, rule.alpha, L)
    return found


@njit
def norm_of(W):  # type: ignore[no-untyped-def]
    """The Frobenius norm."""
    total = 0.0
    for row in range(len(W)):
        own = 0.0
        for a in range(W.shape[1]):
            own += np.float64(W[row, a]) * W[row, a]
        total += own
    return np.sqrt(total)


@njit
def run(W, net, rule, inputs, how, reference, order, epochs):  # type: ignore[no-untyped-def]
    """Run so many epochs of the order: what they did."""
    way, known, both, tracked = net.way, net.known, rule.both, how.tracked
    m, L, room = order.shape[1], len(net.v), how.window + TOGETHER
    Z, C = np.zeros((room, L), W.dtype), np.zeros((room, L), W.dtype)
    Z_fresh, Z_reference = np.zeros((room, L), W.dtype), np.zeros((room, L), W.dtype)
    z_reference, c, t = np.zeros((TOGETHER, L), W.dtype), np.zeros(L, W.dtype), np.zeros(L, W.dtype)
    g, G = np.zeros(room, W.dtype), np.zeros((TOGETHER, TOGETHER), W.dtype)
    waiting, coming, asked = np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros(room, np.int64)
    place, at_reference = np.zeros(room, np.int64), np.zeros(room, np.bool_)
    one = np.zeros(TOGETHER, np.int64)
    longest = np.float64(rule.eta) * known[:, NORM].max()
    moves = total = visited = evaluated = looked = 0
    for e in range(epochs):
        before = total
        start = 0
        while start < m:
            # the next visits that have to be made
            count, stop = 0, start
            while stop < m and count < how.window:
                i = order[e, stop]
                if not (tracked and safe(known, i, way, both)):
                    coming[count], place[count], at_reference[count] = i, stop, False
                    count += 1
                stop += 1
            if tracked and how.back and reference.counts[0] > 0:
                # at the reference first, and then those that are still to be made
                fresh = 0
                for n in range(count):
                    if reference.looked[coming[n]] < reference.counts[1]:
                        asked[fresh] = coming[n]
                        at_reference[n] = True
                        fresh += 1
                if fresh:
                    products(reference.W, inputs, how, C, waiting, 0, Z_fresh, asked, fresh)
                    looked += fresh
                    kept = fresh = 0
                    for n in range(count):
                        i, new = coming[n], at_reference[n]
                        if new:
                            reference.looked[i] = reference.counts[1]
                            margin = margin_of(rule.y[i], Z_fresh, fresh, net.v_reference, c, t, rule.alpha, L)
                            note(net, rule, i, margin, Z_fresh, fresh, c, t, True)
                            fresh += 1
                            if safe(known, i, way, both):
                                continue
                            for j in range(L):
                                Z_reference[kept, j] = Z_fresh[fresh - 1, j]
                        coming[kept], place[kept], at_reference[kept] = i, place[n], new
                        kept += 1
                    count = kept
            if moves or count:
                products(W, inputs, how, C, waiting, moves, Z, coming, count)
                moves = 0
            evaluated += count
            if not (tracked or how.sparse):
                for r in range(stop, min(stop + how.window, m)):
                    fetch(inputs.X, order[e, r])
            n, r, touched, paired = 0, start, False, False
            while r < stop:
                i = order[e, r]
                if n == count or place[n] != r:
                    if not touched:
                        r = stop if n == count else place[n]
                    elif safe(known, i, way, both):
                        r += 1
                    else:
                        break  # it seemed to change nothing; from here on anew
                    continue
                outcome = visit(net, rule, i, Z, n, c, t, tracked)
                if outcome == NOT_FINITE:
                    return Seen(e, total, visited, evaluated, looked, DIVERGED)
                if (
                    outcome != NO_LOSS
                    and how.window > 1
                    and known[i, NORM] > 0
                    and at_a_kink(net, rule, i, Z, n, how.units)
                ):
                    way[KINKS] += 1.0
                r += 1
                n += 1
                visited += 1
                if outcome != UPDATE:
                    continue
                touched = True
                net.used[i] += 1
                total += 1
                for j in range(L):
                    C[moves, j] = c[j]
                waiting[moves] = i
                moves += 1
                if both:
                    turn(net, rule, i, t)
                if n < count:
                    if how.window > TOGETHER:
                        dots(inputs.X, i, coming, n, count, g)
                    else:
                        if not paired:
                            pairs(inputs.X, coming, count, G)
                            paired = True
                        for b in range(n, count):
                            g[b] = G[n - 1, b]
                    for b in range(n, count):
                        for j in range(L):
                            Z[b, j] += g[b] * c[j]
                if tracked:
                    if reference.counts[0] == 0:  # of a window whose first update this is
                        follow(net, rule, i, Z, n - 1, Z, n - 1, c, t)
                    elif at_reference[n - 1]:
                        follow(net, rule, i, Z, n - 1, Z_reference, n - 1, c, t)
                    else:
                        one[0] = i
                        products(reference.W, inputs, how, C, waiting, 0, z_reference, one, 1)
                        follow(net, rule, i, Z, n - 1, z_reference, 0, c, t)
                    reference.counts[0] += 1
                    if reference.counts[0] == how.waiting:
                        products(W, inputs, how, C, waiting, moves, Z, coming, 0)
                        moves = 0
                        new_reference(net)
                        reference.W[:] = W
                        reference.counts[0] = 0
                        reference.counts[1] += 1
                        at_reference[:] = False
            start = r
        if moves:
            products(W, inputs, how, C, waiting, moves, Z, coming, 0)
            moves = 0
        status = BUDGET
        if total == before:
            status = CONVERGED
        else:
            if not tracked:
                if both:
                    way[SIZE] = size_of(net.v, t) * (1.0 + rule.guard)
                # at most, and never more than twice too much: a pass over the weights is not for every epoch
                way[WEIGHT] += (total - before) * longest * most(net, t)
                if not way[WEIGHT] < 2.0 * way[NEAR]:
                    way[NEAR] = way[WEIGHT] = norm_of(W) * (1.0 + rule.guard)
            if not max(way[WEIGHT] + way[DISTANCE], way[SIZE]) < rule.large:
                status = LARGE
        if status != BUDGET:
            return Seen(e + 1, total, visited, evaluated, looked, status)
    return Seen(epochs, total, visited, evaluated, looked, BUDGET)
