r"""Rows of hidden weights that put chosen values on chosen points: the parts of which memorising networks are made.

A network without biases whose output weights are +1 and -1 is written here as the two sets of its rows,
:math:`N(z) = \sum_{p} \sigma(\langle p, z\rangle) - \sum_{q} \sigma(\langle q, z\rangle)`, and parts are joined by
joining the sets. Points ``Z`` are (n, r) of rank r. Nothing is checked at the door: see
:func:`learnability.networks.memorising.memorise`, which does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray

__all__ = ["Degenerate", "Rows", "constant", "hyperplanes", "join", "linear", "mixed", "pencil", "same_sign"]

IN_SPAN = 1e-10
"""A point this near to a group's span, relative to its norm, counts as lying in it."""


class Degenerate(Exception):
    """These points are not in the position that a construction needs; the message names them."""


class Rows(NamedTuple):
    """Hidden rows by the sign of their output weight, +1 or -1."""

    plus: FloatArray
    """(p, r)"""
    minus: FloatArray
    """(q, r)"""
    gap: float = math.inf
    """The smallest step (epsilon, tau or delta) by which a part keeps other points out, relative to the rows."""


def join(parts: Sequence[Rows]) -> Rows:
    """The network whose output is the sum of the parts' outputs."""
    return Rows(
        np.concatenate([part.plus for part in parts]),
        np.concatenate([part.minus for part in parts]),
        min(part.gap for part in parts),
    )


def linear(c: FloatArray, alpha: float) -> Rows:
    """The linear function <c, z>, by one row of each sign: sigma(t) - sigma(-t) = (1 + alpha) t."""
    row = c[None] / (1 + alpha)
    return Rows(row, -row)


def constant(Z: FloatArray, value: float) -> Rows | None:
    """The value +1 or -1 on every point by one row, if some linear function is constant on the points; else None."""
    c = np.asarray(np.linalg.lstsq(Z, np.ones(len(Z)))[0], dtype=np.float64)
    if np.abs(Z @ c - 1).max() > 1e-9:
        return None
    none = np.zeros((0, Z.shape[1]))
    return Rows(c[None], none) if value > 0 else Rows(none, c[None])


def same_sign(Z: FloatArray, group: NDArray[np.intp], value: float, alpha: float, rng: np.random.Generator) -> Rows:
    """``value`` on the points of a group and 0 on all others, by three rows.

    With w orthogonal to the group and <a, z> = 1 on it, [sigma(w + eps a) + sigma(w - eps a) - 2 sigma(w)] / (eps (1
    - alpha)) is 1 on the group; where eps |<a, z>| < |<w, z>| all three have one slope and it is 0. The row 2 w
    stands for the two copies of w in the proof of Soudry & Hoffer's Theorem 8.

    Parameters
    ----------
    Z : array (n, r)
    group : array of int
        At most r - 1 points, linearly independent and with no other point in their span.
    value : float
        Not 0; if it is below 0 the rows change sides.
    alpha : float
        Slope in [0, 1).
    rng : numpy.random.Generator
        Picks w where the group leaves a choice.

    Raises
    ------
    Degenerate
        If the group is not as above.
    """
    w, others = _normal(Z, group, rng)
    a = _on_group(Z, group, np.ones(len(group)))
    eps = _step(Z[others] @ w, Z[others] @ a)
    size = abs(value) / (eps * (1 - alpha))
    pair, single = size * np.stack([w + eps * a, w - eps * a]), size * 2 * w[None]
    return Rows(pair, single, eps) if value > 0 else Rows(single, pair, eps)


def mixed(Z: FloatArray, group: NDArray[np.intp], values: FloatArray, alpha: float, rng: np.random.Generator) -> Rows:
    """Arbitrary real ``values`` on the points of a group and 0 on all others, by two rows of each sign.

    With w orthogonal to the group, a generic e, s = <e, z> and <a, z> = value sign(s) on the group,
    [sigma(w + tau e + delta a) - sigma(w + tau e) - sigma(w - tau e + delta a) + sigma(w - tau e)] / (delta (1 -
    alpha)): on the group the first two are at the slope of s and the last two at that of -s; off it all four have one
    slope if tau |s| < |<w, z>| and delta is small. Arguments and errors as in :func:`same_sign`.
    """
    w, others = _normal(Z, group, rng)
    e = rng.standard_normal((Z.shape[1],))
    e /= np.linalg.norm(e)
    s: FloatArray = Z @ e
    a = _on_group(Z, group, values * np.sign(s[group]))
    tau = _step(Z[others] @ w, s[others])
    delta = min(_step(Z @ w + sign * tau * s, Z @ a) for sign in (1.0, -1.0))
    size = 1 / (delta * (1 - alpha))
    return Rows(
        size * np.stack([w + tau * e + delta * a, w - tau * e]),
        size * np.stack([w + tau * e, w - tau * e + delta * a]),
        min(tau, delta),
    )


def hyperplanes(Z: FloatArray, values: FloatArray, normals: FloatArray, alpha: float) -> Rows:
    r"""Any real ``values`` on all points by J hyperplanes that no point lies on: J + 1 rows of each sign.

    Two rows w_j +- (delta_j / 2) a_j with delta_j |<a_j, z>| < 2 |<w_j, z>| at every point have one slope there, so
    their difference over delta_j is sigma'(<w_j, z>) <a_j, z>. With the indicators P_j = 1[<w_j, z> > 0] these and
    one linear function span what the columns of

    .. math:: M = [P_1 Z, \dots, P_J Z, Z], \qquad (n, (J + 1) r),

    span, whatever alpha is. So every labelling is met exactly iff M has rank n; the weights are the least ones.

    Raises
    ------
    Degenerate
        If a point lies on a hyperplane, or M has not rank n and these values cannot be met.
    """
    n, r = Z.shape
    sides = Z @ normals.T  # (n, J)
    if (np.abs(sides) <= IN_SPAN * np.linalg.norm(Z, axis=1)[:, None]).any():
        raise Degenerate("a point lies on a hyperplane")
    M = np.concatenate([(sides > 0)[:, :, None] * Z[:, None, :], Z[:, None, :]], axis=1).reshape(n, -1)
    solution = _least_solution(M, values)
    if solution is None:
        raise Degenerate(f"the gradients of the output at the {n} points are linearly dependent")
    parts = solution.reshape(-1, r)
    a = parts[:-1] / (1 - alpha)  # sigma' = alpha + (1 - alpha) P
    steps = [2 * _step(side, Z @ part) for side, part in zip(sides.T, a, strict=True)]
    found = [linear(parts[-1] - alpha * a.sum(axis=0), alpha)]
    for w, part, step in zip(normals, a, steps, strict=True):
        found.append(Rows((w / step + part / 2)[None], (w / step - part / 2)[None], step))
    return join(found)


def pencil(Z: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    """Normals (k-1, r) of hyperplanes through a random subspace of codimension two, for :func:`hyperplanes`.

    They see a point only by its angle in a random plane, and cut the circle of angles modulo pi into k - 1 double
    wedges. One of them holds as many points in its one half as in its other, to within one, about n/k each; the
    others hold n/k points each. (Such a wedge exists: turn a wedge of as many points by pi, and the difference of
    its halves changes sign in steps of at most two.)

    With J = k - 1 let p_i = (1, P_1, ..., P_J) be the sides of point i. In the double wedge number m = 1..J-1 they
    are t_m = (1, 1, .., 1, 0, .., 0) with m ones after the first, or t_0 + t_J - t_m; in the balanced wedge t_0 and
    t_J. If k r >= n, no class t_0, t_J, 1, .., J-1 holds more than r points, so the points can be coloured in r
    colours with at most one of each class in a colour, and the p_i of a colour are independent. Let point i be the
    unit vector of its colour: then M has rank n. So a minor of M, a polynomial in the points, is not zero
    everywhere; for almost all points it is not zero, and any real values can be met with **k = ceil(n / r)** units
    of each sign. That is at most the k = 2 ceil(n / (2 r - 2)) that Brutzkus et al. state. (Multiplying a point by a
    positive number changes no rank: so this holds as well for almost all points among those with a constant
    coordinate.)
    """
    n, r = Z.shape
    if k == 1 or r == 1:  # no hyperplane; or two rays at most, and every hyperplane is the origin
        return np.ones((k - 1, r))
    plane = np.linalg.qr(rng.standard_normal((r, 2)))[0]
    flat = Z @ plane
    angle = np.arctan2(flat[:, 1], flat[:, 0])
    turned = np.mod(angle, np.pi)
    order = np.argsort(turned)
    half = np.where(np.abs(np.mod(angle[order], 2 * np.pi) - turned[order]) < 1, 1, -1)  # the half of its wedge
    turned = turned[order]
    sizes = np.full(k, n // k)
    sizes[: n % k] += 1
    width = int(sizes[:2].sum())
    twice = np.concatenate([half, -half])  # the circle of lines, twice: the second time seen from the other side
    sums = np.concatenate([[0], np.cumsum(twice)])
    balance = np.abs(sums[width : n + width] - sums[:n])
    ends = width + np.concatenate([[0], np.cumsum(sizes[2:])])  # where wedges end, from the balanced wedge's start
    around = np.concatenate([turned, turned + np.pi, turned + 2 * np.pi])
    starts = np.flatnonzero(balance == balance.min())
    cuts = starts[:, None] + ends  # (starts, J)
    gaps = around[cuts] - around[cuts - 1]
    best = int(np.argmax(gaps.min(axis=1)))
    between = (around[cuts[best]] + around[cuts[best] - 1]) / 2
    normals: FloatArray = np.stack([-np.sin(between), np.cos(between)], axis=1) @ plane.T
    return normals


def _least_solution(M: FloatArray, values: FloatArray) -> FloatArray | None:
    """The shortest solution of M s = values, or None."""
    basis, triangle = np.linalg.qr(M.T)
    diagonal = np.abs(np.diag(triangle))
    if len(diagonal) < len(M) or diagonal.min() <= 1e-13 * diagonal.max():  # then it depends on the values
        loose = np.asarray(np.linalg.lstsq(M, values)[0], dtype=np.float64)
        return loose if np.abs(M @ loose - values).max() <= 1e-9 * np.abs(values).max() else None
    solution = np.zeros(M.shape[1])
    for _ in range(2):  # the second time for the rounding of the first
        solution += basis @ np.linalg.solve(triangle.T, values - M @ solution)
    return solution


def _normal(Z: FloatArray, group: NDArray[np.intp], rng: np.random.Generator) -> tuple[FloatArray, NDArray[np.bool_]]:
    """A random unit vector orthogonal to the group, and the mask of all points outside it."""
    _, singular, basis = np.linalg.svd(Z[group], full_matrices=True)
    if singular[-1] <= IN_SPAN * singular[0]:
        raise Degenerate(f"points {_names(group)} are linearly dependent")
    null = basis[len(group) :]
    w = rng.standard_normal(len(null)) @ null
    w /= np.linalg.norm(w)
    others = np.ones(len(Z), dtype=bool)
    others[group] = False
    inside = others & (np.abs(Z @ w) <= IN_SPAN * np.linalg.norm(Z, axis=1))
    if inside.any():
        raise Degenerate(f"points {_names(np.flatnonzero(inside))} lie in the span of points {_names(group)}")
    return w, others


def _on_group(Z: FloatArray, group: NDArray[np.intp], values: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.lstsq(Z[group], values)[0], dtype=np.float64)


def _step(kept: FloatArray, moved: FloatArray) -> float:
    """Half of the largest t with t |moved| < |kept| everywhere."""
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = float(np.min(np.abs(kept) / np.abs(moved), initial=2.0, where=moved != 0.0))
    if not limit > 0:
        raise Degenerate("a point lies on a hyperplane")
    return limit / 2


def _names(indices: NDArray[np.intp]) -> str:
    shown = ", ".join(str(int(i)) for i in indices[:8])
    return shown if len(indices) <= 8 else f"{shown} and {len(indices) - 8} more"
