"""The modified perceptron (Nachum & Yehudayoff, Algorithm 1) on any labelled point set."""

from __future__ import annotations

from numbers import Rational
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.compiling import njit
from learnability.errors import RequestError
from learnability.training.orders import example_orders

__all__ = ["Perceptron", "modified_perceptron"]


class Perceptron(NamedTuple):
    """Result of the modified perceptron."""

    w: NDArray[np.float64]
    """Weights, (d,)."""
    updates: int
    converged: bool
    """Whether every point ended with Y w.v > beta; otherwise the budget ran out (or the points are not separable)."""
    margin: float
    """Smallest Y w.v / |w| over the points; NaN while w = 0."""


def modified_perceptron(
    V: ArrayLike,
    Y: ArrayLike,
    *,
    h: float | Rational = 1,
    beta: float | Rational = 0,
    rng: np.random.Generator | None = None,
    max_updates: int = 10_000_000,
) -> Perceptron:
    r"""While some point has :math:`Y(v)\, w \cdot v \le \beta`, add :math:`h\, Y(v)\, v` to w, from w = 0.

    Points are visited in passes; the comparison is not strict, so w = 0 is left also with beta = 0. It runs in units
    of h (w / h and beta / h), so that on integer points every decision is exact; as w scales with h, only beta / h
    matters. No coordinate is appended: for the affine case lift the points by a 1.

    Parameters
    ----------
    V : (N, d) array
        Points.
    Y : (N,) array of -1, +1
        Labels.
    h : float or rational, > 0
        Step.
    beta : float or rational, >= 0
        Confidence; with ``Fraction`` arguments beta / h is formed exactly.
    rng : numpy.random.Generator, optional
        Reshuffles the points before every pass; without it they come in the given order each time.
    max_updates : int
        Budget, >= 1, checked after each pass.

    Raises
    ------
    ValueError
        For arguments outside what is said above, naming the argument.
    """
    V = checks.matrix("V", V)
    Y = checks.labels("Y", Y, length=len(V))
    step, confidence = checks.step_and_confidence(h, beta)
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise RequestError(f"rng must be a numpy.random.Generator or None, got {type(rng).__name__}")
    max_updates = checks.integer("max_updates", max_updates, at_least=1)
    threshold = float(confidence / step)
    signed = Y[:, None] * V
    w = np.zeros(V.shape[1])
    updates, converged = 0, False
    in_turn = np.arange(len(V), dtype=np.int32)[None, :]
    while not converged and updates < max_updates:
        if rng is None:
            made, converged = _passes(signed, w, in_turn, True, threshold, max_updates - updates)
        else:
            order = example_orders(rng, len(V), max(1, 100_000 // len(V)))
            made, converged = _passes(signed, w, order, False, threshold, max_updates - updates)
        updates += made
    norm = float(np.linalg.norm(w))
    margin = float((signed @ w).min() / norm) if norm > 0 else float("nan")
    return Perceptron(float(h) * w, updates, converged, margin)


@njit
def _passes(signed, w, order, again, threshold, budget):  # type: ignore[no-untyped-def]
    """Passes in the given orders (their only one again and again, if ``again``) until one makes no update."""
    d = len(w)
    made = 0
    e = 0
    while True:
        before = made
        for i in order[e]:
            s = 0.0
            for a in range(d):
                s += signed[i, a] * w[a]
            if s <= threshold:
                for a in range(d):
                    w[a] += signed[i, a]
                made += 1
        if made == before:
            return made, True
        if made >= budget:
            return made, False
        if not again:
            e += 1
            if e == len(order):
                return made, False
