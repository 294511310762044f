r"""What is known of visits that have not been made yet: which of them change nothing. Behind the door: no checks.

With W', v' the weights at an earlier moment, the reference,

    |N(x) - N'(x)| <= |v| |W - W'|_F |x| + |v - v'| |sigma(W' x)|,

since sigma is 1-Lipschitz. The distance |W - W'|_F is followed exactly: an update W += c x^T adds
2 c . (W x - W' x) + |c|^2 |x|^2 to its square. Many steps undo each other, so it grows far more slowly than their
lengths add up, and examples with some margin to spare are skipped for long. When the reference moves, the distances
between references are added up.

Plain IEEE arithmetic in a fixed order, no fastmath. Vectors of neurons are padded with zeros to a multiple of LANES.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.compiling import njit
from learnability.training.vector.rows import fold

# Columns of the array ``known`` (m, 6), a row an example, as of the reference at its last evaluation: lower bound of
# the margin y N(x); upper bound of |sigma(W x)|; WAY, DRIFT and TURN of ``way`` then. Last, |x|.
LOW, REACH, WAY_AT, DRIFT_AT, TURN_AT, NORM = range(6)

# Entries of the array ``way`` (11,). Distances added up over past references: |v| |W - W'|, |W - W'|, |v - v'|. From
# the present one: |W - W'| squared, a bound of the rounding in it, |v - v'|, |v|, |W - W'|. |W| at the reference, at
# most. The number of visits with a loss and a unit at its kink to within rounding (windows of several only). Last,
# |W| when it was last computed.
WAY, DRIFT, TURN, SQUARE, ROUNDING, TURNED, SIZE, DISTANCE, WEIGHT, KINKS, NEAR = range(11)

NO_LOSS, UPDATE, NOT_FINITE, NO_GRADIENT = range(4)
"""What a visit comes to."""


class Net(NamedTuple):
    """The output weights, and what is known of the network."""

    v: NDArray[Any]
    """(L,), the live neurons and padding."""
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


@njit(inline="always")
def safe(known, i, way, both):  # type: ignore[no-untyped-def]
    """Whether the margin of example i is certainly above 1."""
    norm = known[i, NORM]
    low = known[i, LOW] - norm * (way[WAY] - known[i, WAY_AT] + way[SIZE] * way[DISTANCE])
    if both:
        reach = known[i, REACH] + norm * (way[DRIFT] - known[i, DRIFT_AT])
        low -= (way[TURN] - known[i, TURN_AT] + way[TURNED]) * reach
    return low > 1.0


@njit
def certain(known, way, both):  # type: ignore[no-untyped-def]
    """Which examples are known to have a margin above 1."""
    found = np.empty(len(known), np.bool_)
    for i in range(len(known)):
        found[i] = safe(known, i, way, both)
    return found


@njit
def new_reference(net):  # type: ignore[no-untyped-def]
    """Let the present weights be the reference (whoever keeps W' replaces it)."""
    way = net.way
    way[WAY] += way[SIZE] * way[DISTANCE]
    way[DRIFT] += way[DISTANCE]
    way[TURN] += way[TURNED]
    way[WEIGHT] += way[DISTANCE]
    way[SQUARE] = way[ROUNDING] = way[TURNED] = way[DISTANCE] = 0.0
    net.v_reference[:] = net.v


@njit
def margin_of(label, Z, n, v, c, t, alpha, L):  # type: ignore[no-untyped-def]
    """The margin by pre-activations Z[n] and output weights v. Leaves the slopes in c."""
    one, zero = v.dtype.type(1), v.dtype.type(0)
    if alpha > 0:
        for j in range(L):
            c[j] = one if Z[n, j] >= zero else alpha
    else:
        for j in range(L):
            c[j] = one if Z[n, j] > zero else zero
    for j in range(L):
        t[j] = v[j] * (c[j] * Z[n, j])
    return label * fold(t, L)


@njit
def note(net, rule, i, margin, Z, n, c, t, at_reference):  # type: ignore[no-untyped-def]
    """What the margin of example i, by pre-activations Z[n] with slopes c, says of its margin at the reference."""
    way, known, guard, L = net.way, net.known, rule.guard, len(c)
    distance, turned = (0.0, 0.0) if at_reference else (way[DISTANCE], way[TURNED])
    norm = known[i, NORM]
    low = margin - guard * (1.0 + way[SIZE] * (way[WEIGHT] + distance) * norm) - norm * way[SIZE] * distance
    before = known[i, LOW] - norm * (way[WAY] - known[i, WAY_AT])
    reach = 0.0
    if rule.both:
        for j in range(L):
            t[j] = (c[j] * Z[n, j]) * (c[j] * Z[n, j])
        reach = np.sqrt(np.float64(fold(t, L))) * (1.0 + guard) + norm * distance
        low -= turned * reach
        before -= (way[TURN] - known[i, TURN_AT]) * (known[i, REACH] + norm * (way[DRIFT] - known[i, DRIFT_AT]))
    if not before > low:
        known[i, LOW] = low
        known[i, REACH] = reach
        known[i, WAY_AT] = way[WAY]
        known[i, DRIFT_AT] = way[DRIFT]
        known[i, TURN_AT] = way[TURN]


@njit
def visit(net, rule, i, Z, n, c, t, tracked):  # type: ignore[no-untyped-def]
    """The visit of example i with pre-activations Z[n]: what it comes to.

    An update leaves in c the coefficients by which x_i enters the rows of W, and sigma(Z[n]) in t.
    """
    v, alpha, label, L = net.v, rule.alpha, rule.y[i], len(c)
    margin = margin_of(label, Z, n, v, c, t, alpha, L)
    if not np.isfinite(margin):
        return NOT_FINITE
    if tracked:
        note(net, rule, i, margin, Z, n, c, t, False)
    if not margin < 1:
        return NO_LOSS
    if net.known[i, NORM] == 0.0:
        return NO_GRADIENT
    moves = False
    step = rule.eta * label
    for j in range(L):
        t[j] = c[j] * Z[n, j]
        c[j] = step * (v[j] * c[j])
    if alpha > 0:
        moves = True
    else:  # dead ReLUs have no gradient
        for j in range(L):
            moves = moves or c[j] != 0
    return UPDATE if moves else NO_GRADIENT


@njit
def turn(net, rule, i, t):  # type: ignore[no-untyped-def]
    """The update of v by example i, of which t is sigma(z)."""
    v, v_low, v_high = net.v, net.v_low, net.v_high
    step = rule.eta * rule.y[i]
    for j in range(len(v)):
        v[j] += step * t[j]
        v_low[j] = min(v_low[j], v[j])
        v_high[j] = max(v_high[j], v[j])


@njit
def size_of(values, t):  # type: ignore[no-untyped-def]
    """The norm of a vector of neurons."""
    for j in range(len(values)):
        t[j] = values[j] * values[j]
    return np.sqrt(np.float64(fold(t, len(values))))


@njit
def most(net, t):  # type: ignore[no-untyped-def]
    """The largest norm that v can have had so far."""
    for j in range(len(t)):
        t[j] = max(net.v_high[j], -net.v_low[j])
        t[j] *= t[j]
    return np.sqrt(np.float64(fold(t, len(t))))


@njit
def follow(net, rule, i, Z, n, Z_reference, k, c, t):  # type: ignore[no-untyped-def]
    """Account for the update W += c x_i^T, and for that of v if both layers are trained. Overwrites t.

    Pre-activations are Z[n], and Z_reference[k] at the reference.
    """
    v, v_reference, way, guard, L = net.v, net.v_reference, net.way, rule.guard, len(c)
    if rule.both:
        for j in range(L):
            t[j] = (v[j] - v_reference[j]) * (v[j] - v_reference[j])
        way[TURNED] = np.sqrt(np.float64(fold(t, L))) * (1.0 + guard)
        way[SIZE] = size_of(v, t) * (1.0 + guard)
    norm = net.known[i, NORM]
    for j in range(L):
        t[j] = c[j] * (Z[n, j] - Z_reference[k, j])
    along = np.float64(fold(t, L))
    length = size_of(c, t) * norm
    way[SQUARE] += 2.0 * along + length * length
    way[ROUNDING] += guard * length * (2.0 * way[WEIGHT] + way[DISTANCE] + length)
    way[DISTANCE] = np.sqrt(max(way[SQUARE], 0.0) + way[ROUNDING])


@njit
def at_a_kink(net, rule, i, Z, n, units):  # type: ignore[no-untyped-def]
    """Whether some unit's pre-activation is 0 to within rounding: it may come out on the other side of the kink."""
    close = rule.guard * (net.way[WEIGHT] + net.way[DISTANCE]) * net.known[i, NORM]
    found = False
    for j in range(units):
        found = found or abs(Z[n, j]) <= close
    return found
