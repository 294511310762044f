"""Directions that get few points wrong: to find the best is NP-hard, so this is a stated heuristic.

Minimises lambda |D w|^2 / 2 + sum_k min(max(0, 1 - w . p_k), 1 + s)^2 / 2 for one (lambda, s) after the other, each
from where the one before ended: first s = infinity (the squared hinge, convex) with ever smaller lambda, then ever
smaller s, so that the points that are served worst stop counting. For s < infinity the points with w . p_k < -s are
left out, the rest is minimised, and so on (the concave-convex procedure of Collobert, Sinz, Weston & Bottou, "Trading
convexity for scalability", ICML 2006). What is minimised each time is piecewise quadratic: Newton's method with the
generalised Hessian and step halving. D, diagonal, makes the result independent of the units of the coordinates;
what is an error does not depend on the lengths of the points, so they are scaled to |D^-1 p_k| = 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.theory.margins.points import Points

__all__ = ["RULE", "few_errors"]

_DEPTHS = (10.0, 5.0, 3.0, 2.0, 1.5, 1.0, 0.7, 0.5, 0.3, 0.1, 0.0, 0.0, 0.0)
_PATH = (
    *((decay, np.inf) for decay in (1e-3, 1e-5, 1e-7, 1e-9)),
    *((decay, depth) for decay in (1e-9, 1e-11) for depth in _DEPTHS),
)
"""The pairs (lambda / m, s)."""
_NEWTON = 6
"""The most Newton steps for a pair."""
RULE = "fewest errors along a path of soft margins (squared hinge, then truncated ever earlier)"


def few_errors(points: Points) -> FloatArray:
    """The w with the fewest w . p_k <= 0 among all that the path passes, (d,).

    There is no random choice in it: the same points give the same w. Time goes with the number of Newton steps (at
    most 6 for each of 30 pairs) times d^2 times the number of points within the hinge, memory with d^2.
    """
    penalty, factors = _scales(points)
    w = points.mean()
    products = factors * points.products(w)
    best, least = w, int((products <= 0).sum())
    for decay, depth in _PATH:
        counted = products >= -depth

        def loss(
            w: FloatArray, products: FloatArray, counted: NDArray[np.bool_] = counted, c: float = decay
        ) -> float:
            short = np.maximum(1 - products[counted], 0.0)
            return float(c * points.m * (penalty @ (w * w)) + short @ short)

        before = loss(w, products)
        for _ in range(_NEWTON):
            step = _newton(points, factors, counted & (products < 1), decay * points.m * penalty) - w
            moved = factors * points.products(step)
            t = 1.0
            while t > 1e-3 and loss(w + t * step, products + t * moved) > before:
                t /= 2
            after = loss(w + t * step, products + t * moved)
            if not after < before:
                break
            w, products = w + t * step, products + t * moved
            errors = int((products <= 0).sum())
            if errors < least:
                best, least = w, errors
            if after > (1 - 1e-4) * before:
                break
            before = after
        if least == 0:
            break
    return best


def _scales(points: Points) -> tuple[FloatArray, FloatArray]:
    """The squares of D's diagonal, by which the coordinates of D^-1 p have equal size, and 1 / |D^-1 p_k|."""
    squares = sum((rows * rows).sum(axis=0) for _, rows in points.blocks()) / points.m
    squares = np.where(squares > 0, squares, 1.0)
    lengths = np.sqrt(np.concatenate([(rows * rows) @ (1 / squares) for _, rows in points.blocks()]))
    return squares, 1 / np.where(lengths > 0, lengths, 1.0)


def _newton(points: Points, factors: FloatArray, active: NDArray[np.bool_], penalty: FloatArray) -> FloatArray:
    """The minimiser of sum_j penalty_j w_j^2 / 2 + sum over the active points of (1 - factor w . p)^2 / 2."""
    hessian, right = np.zeros((points.d, points.d)), np.zeros(points.d)
    index = np.flatnonzero(active)
    size = points.block_size
    for lo in range(0, len(index), size):
        part = index[lo : lo + size]
        rows = points.rows(part)
        rows *= factors[part, None]
        hessian += rows.T @ rows
        right += rows.sum(axis=0)
    scale = np.sqrt(penalty)  # in D w, whose Hessian is no worse conditioned than the data
    hessian /= np.multiply.outer(scale, scale)
    hessian.flat[:: points.d + 1] += 1.0
    solution: FloatArray = np.linalg.solve(hessian, right / scale) / scale
    return solution
