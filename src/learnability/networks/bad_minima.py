"""The bad local minimum of Theorem 8: ReLU units that are dead on half of the points and done with the others.

Brutzkus, Globerson, Malach & Shalev-Shwartz (ICLR 2018), Section 7.1 and Lemma 11.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.networks.separable import TwoLayer

__all__ = ["BadMinimum", "bad_local_minimum", "flat_radius"]


class BadMinimum(NamedTuple):
    """A local minimum of the ReLU network's hinge loss, with the ball in which the loss is constant."""

    params: TwoLayer
    """k equal rows c w^ + w*, then k equal rows c w^ - w* (with w* scaled up where 2 k v <= 2)."""
    loss: float
    """The fraction of dead points: each has output 0 and loss 1, the others loss 0."""
    radius: float
    """The loss is constant in the open ball of this Frobenius norm around the weights, see :func:`flat_radius`."""
    dead: NDArray[np.bool_]
    """(m,), points on which every unit is off."""
    direction: FloatArray
    """(d,), the unit vector w^."""


def bad_local_minimum(
    X: ArrayLike,
    y: ArrayLike,
    w_star: ArrayLike,
    *,
    k: int,
    rng: np.random.Generator,
    v: float = 1.0,
    tries: int = 1000,
) -> BadMinimum:
    """Lemma 11 and the proof of Theorem 8, with the direction of the largest loss among many.

    The paper needs one direction w^ with <w^, x> != 0 at all points and, up to its sign, at least half of them on the
    negative side. Tried are ``tries`` random directions, the mean point, the mean point after scaling to norm one and
    the vector of ones (all of a set with non-negative features lies on one side of it), each with both signs; among
    equal losses the one with the largest min |<w^, x>| / |x|. Then c is such that c |<w^, x>| >= 2 |<w*, x>|
    everywhere.

    Parameters
    ----------
    X : array (m, d)
        Points.
    y : array (m,)
        Labels in {-1, +1}.
    w_star : array (d,)
        y_i <w*, x_i> >= 1 for all i (to 1e-6), for instance ``hard_margin(X, y).w``.
    k : int
        Units of each sign, >= 1.
    rng : numpy.random.Generator
    v : float
        Size of the output weights, > 0; the paper has 1. If k v < 1, w* / (k v) takes the place of w*: outputs at the
        points that are not dead are then y N >= 2 as in the paper's case.
    tries : int
        Random directions, >= 1.
    """
    X = checks.matrix("X", X)
    y = checks.labels("y", y, length=len(X))
    w_star = checks.vector("w_star", w_star, length=X.shape[1])
    k = checks.integer("k", k, at_least=1)
    rng = checks.generator("rng", rng)
    v = checks.real("v", v, above=0.0)
    tries = checks.integer("tries", tries, at_least=1)
    least = float((y * (X @ w_star)).min())
    if not least >= 1 - 1e-6:
        raise RequestError(f"w_star must have y <w*, x> >= 1 at every point, got {least:g}")

    norms = np.linalg.norm(X, axis=1)
    direction = _direction(X / norms[:, None], norms, rng, tries)
    w_star = w_star * max(1.0, 1 / (k * v)) / min(least, 1.0)
    c = 2 * float(np.max(np.abs(X @ w_star) / np.abs(X @ direction)))
    W = np.repeat([c * direction + w_star, c * direction - w_star], k, axis=0)
    params = TwoLayer(W, np.repeat([v, -v], k))
    dead = X @ direction < 0
    return BadMinimum(params, float(dead.mean()), flat_radius(params, X, y), dead, direction)


def flat_radius(params: TwoLayer, X: ArrayLike, y: ArrayLike) -> float:
    """Radius of an open Frobenius ball around ReLU weights in which the hinge loss is constant; 0 if there is none.

    A row must move by |<row, x>| / |x| before its unit changes between on and off at x. As long as none does, a point
    whose units are all off keeps its output 0, and the output at another point moves by at most
    |v|_2 |x| |movement|_F, so that y N(x) > 1 remains if (y N(x) - 1) / (|v|_2 |x|) is not exceeded; the radius is
    the smallest of these. (The paper says "small enough". With |x| <= 1 and v = 1 it is at least the minimum of
    |<row, x>| and (y N(x) - 1) / sqrt(2k).)
    """
    W = checks.matrix("params.W", params.W)
    v = checks.vector("params.v", params.v, length=len(W))
    X = checks.matrix("X", X, columns=W.shape[1])
    y = checks.labels("y", y, length=len(X))
    size, radius = float(np.linalg.norm(v)), np.inf
    block = max(1, 2**20 // len(W))
    for lo in range(0, len(X), block):
        x, label = X[lo : lo + block], y[lo : lo + block]
        kept = x.any(axis=1)  # at x = 0 the output is 0 whatever the weights
        x, label = x[kept], label[kept]
        norms = np.linalg.norm(x, axis=1)
        Z = x @ W.T
        away = np.abs(Z).min(axis=1) / norms
        with np.errstate(divide="ignore", invalid="ignore"):
            room = (label * (np.maximum(Z, 0) @ v) - 1) / (size * norms)
        dead = (Z <= 0).all(axis=1)
        radius = min(radius, float(np.where(dead, away, np.minimum(away, room)).min(initial=np.inf)))
    return max(radius, 0.0)


def _direction(unit: FloatArray, norms: FloatArray, rng: np.random.Generator, tries: int) -> FloatArray:
    """The unit vector with the most points on its negative side, and the largest distance to the nearest of all."""
    m, d = unit.shape
    best: tuple[int, float] = (0, 0.0)
    direction = np.zeros(d)
    named = [np.ones(d), unit.mean(axis=0), norms @ unit / m]
    block = max(1, 2**21 // max(m, d))
    while not best[1] > 0 or tries > 0:  # almost every direction has no point on its hyperplane
        drawn = rng.standard_normal((min(block, max(tries, 1)), d))
        tries -= len(drawn)
        candidates = np.concatenate([named, drawn])
        named = []
        sizes = np.linalg.norm(candidates, axis=1)
        candidates = candidates[sizes > 1e-12] / sizes[sizes > 1e-12, None]
        sides = unit @ candidates.T
        nearest = np.abs(sides).min(axis=0)
        negative = (sides < 0).sum(axis=0)
        counts = np.maximum(negative, m - negative)
        for i in np.lexsort((nearest, counts))[::-1]:
            if nearest[i] > 1e-9:
                if (int(counts[i]), float(nearest[i])) > best:
                    best = int(counts[i]), float(nearest[i])
                    direction = candidates[i] if negative[i] == counts[i] else -candidates[i]
                break
    return direction
