r"""Any feature map against Theorem 2 of Daniely & Malach, over the whole cube.

Given :math:`\Psi : \{\pm 1/\sqrt n\}^n \to [-1, 1]^N` as a function, :func:`measure` evaluates it at all 2^n points
and finds, for all sets A of k coordinates or a random sample of them, the best hinge loss of weights of norm at most
B on D_A^(1) and on D_A, with a proved gap (:mod:`learnability.theory.linear_class`). Beside it stands, for *every* A,
the closed form :math:`\max(0, 1 - B \|E[f_A \Psi]\|)` that no loss on D_A^(1) is below: one Walsh-Hadamard transform
a feature gives the correlations with all parities at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.problems.boolean import fourier_spectrum, signs, subset_masks, subset_of
from learnability.problems.parity import ParityMixture
from learnability.studies.parity.theorems.linear import FORMS, OURS, theorem2, theorem2_average
from learnability.studies.parity.theorems.statement import odd_parity, stated
from learnability.theory.guarantee import Guarantee, Kind
from learnability.theory.linear_class import best_hinge

__all__ = ["MAX_N", "Measured", "correlation_norms", "feature_values", "guarantees", "measure"]

WIDEST = 1e-3
"""Largest gap of a best loss that counts as solved."""

MAX_N = 16
"""Largest n whose cube is gone through: with N = 100 features the values are 50 MB."""
ROUNDING = 1e-9

FeatureMap = Callable[[FloatArray], ArrayLike]
"""X (m, n) -> (m, N) in [-1, 1]."""


@dataclass(frozen=True, eq=False)
class Measured:
    """Best hinge losses of one feature map, over sets A.

    Attributes
    ----------
    n, k, N : int
    B : float
    supports : array (r,) of int
        Masks of the A for which the best losses were found, see :mod:`learnability.problems.boolean`.
    every : bool
        Whether these are all C(n, k) of them; else they are a uniform sample without repeats.
    uniform, uniform_lower : array (r,)
        Best hinge loss on D_A^(1): a loss attained, and a lower bound.
    mixture, mixture_lower : array (r,)
        The same on D_A.
    norms : array (C(n, k),)
        |E[f_A Psi]| for every A, in ascending order of masks.
    """

    n: int
    k: int
    N: int
    B: float
    supports: NDArray[np.int64]
    every: bool
    uniform: FloatArray
    uniform_lower: FloatArray
    mixture: FloatArray
    mixture_lower: FloatArray
    norms: FloatArray

    @property
    def closed_form(self) -> FloatArray:
        """max(0, 1 - B |E[f_A Psi]|), at most the best loss on D_A^(1), for every A; shape (C(n, k),)."""
        return np.maximum(0.0, 1.0 - self.B * self.norms)

    @property
    def average_lower(self) -> float:
        """A proved lower bound of the average over all A of the best loss on D_A^(1).

        ``uniform_lower`` for the A of the sample, ``closed_form`` for the others: exact, whatever was drawn.
        """
        known = self.closed_form
        known[np.isin(subset_masks(self.n, self.k), self.supports)] = self.uniform_lower
        return float(known.mean())


def feature_values(psi: FeatureMap, n: int) -> FloatArray:
    """A feature map's values (2^n, N) at every point, in the order of :func:`learnability.problems.boolean.signs`.

    Parameters
    ----------
    psi : callable (X (m, n) with entries ±1/sqrt(n)) -> (m, N)
        Called block by block.
    n : int
        In 1..16.

    Returns
    -------
    array (2^n, N)

    Raises
    ------
    ValueError
        If the values have another shape, are not finite, or leave [-1, 1] by more than 1e-9 (what is within is cut
        off): Theorem 2 says nothing of such features; divide them by the largest, at the cost of a larger norm.
    """
    n = checks.size("n", n, at_least=1, at_most=MAX_N)
    blocks: list[FloatArray] = []
    step = 2 ** min(n, 12)
    for start in range(0, 2**n, step):
        given = psi(signs(n, start, start + step) / math.sqrt(n))
        values = checks.matrix("psi(X)", given)
        width = blocks[0].shape[1] if blocks else values.shape[1]
        if values.shape != (step, width):
            raise RequestError(f"psi must return shape {(step, width)} for {step} inputs, got {values.shape}")
        most = float(np.abs(values).max())
        if most > 1 + ROUNDING:
            raise RequestError(f"psi must have values in [-1, 1], got one of size {most:g}")
        blocks.append(np.clip(values, -1.0, 1.0))
    return np.concatenate(blocks)


def correlation_norms(values: ArrayLike, k: int) -> FloatArray:
    """|E[f_A Psi]| under the uniform distribution, for all A of k coordinates in ascending order of masks.

    The proof of Theorem 2 sums their squares, by Parseval.

    Parameters
    ----------
    values : array (2^n, N)
        As :func:`feature_values` returns them.
    k : int
        1 <= k <= n.

    Returns
    -------
    array (C(n, k),)

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    values = checks.matrix("values", values)
    n = len(values).bit_length() - 1
    if len(values) != 2**n:
        raise RequestError(f"values must have 2^n rows, got {len(values)}")
    masks = subset_masks(n, checks.size("k", k, at_least=1, at_most=n))
    squares = np.zeros(len(masks))
    for column in values.T:
        squares += fourier_spectrum(column)[masks] ** 2
    return np.sqrt(squares)


def measure(
    psi: FeatureMap,
    n: int,
    k: int,
    B: float,
    *,
    most: int = 200,
    rng: np.random.Generator | None = None,
    tolerance: float = 1e-6,
) -> Measured:
    """The best hinge loss of weights of norm at most B over a feature map, for all A or a random sample.

    What Theorem 2 bounds from below.

    Parameters
    ----------
    psi : callable (X (m, n)) -> (m, N)
        Values in [-1, 1], see :func:`feature_values`.
    n, k : int
        n <= 16; k odd, <= n.
    B : float
        >= 0.
    most : int
        All A are taken if they are at most this many, else a sample of this size; >= 1.
    rng : numpy.random.Generator, optional
        Draws the sample; needed if there is one.
    tolerance : float
        Gap of each best loss, > 0.

    Returns
    -------
    Measured

    Raises
    ------
    ValueError
        If an argument is out of range, k is even, the features are not in [-1, 1], or a generator is missing.
    """
    n, k = odd_parity(checks.size("n", n, at_most=MAX_N), k, least=1)
    if not callable(psi):
        raise RequestError(f"psi must be a function from inputs (m, n) to features (m, N), got {psi!r}")
    B, most = checks.real("B", B, at_least=0.0), checks.size("most", most, at_least=1)
    values = feature_values(psi, n)
    norms = correlation_norms(values, k)
    masks = subset_masks(n, k)
    every = len(masks) <= most
    chosen = masks if every else np.sort(checks.generator("rng", rng).choice(masks, most, replace=False))
    found = np.empty((4, len(chosen)))
    for i, mask in enumerate(chosen):
        points = ParityMixture(n, subset_of(int(mask))).enumerate()
        for row, p in ((0, points.p1), (2, 0.5 * (points.p1 + points.p2))):
            best = best_hinge(values, points.y, p, norm=B, tolerance=tolerance)
            found[row : row + 2, i] = best.value, best.lower
    return Measured(n, k, values.shape[1], B, chosen, every, found[0], found[1], found[2], found[3], norms)


def guarantees(measured: Measured, *, forms: tuple[str, ...] = FORMS, case: str = "") -> list[Guarantee]:
    """Theorem 2 on a feature map: the largest loss on D_A over A, the average on D_A^(1), and each A by itself.

    Losses are taken by their proved lower bounds. Where the A are a sample, its largest loss is at most the largest
    of all, so that reaching the bound confirms it, and in the average the other A count with their closed form.
    Nothing is measured where the gap of a best loss exceeds :data:`WIDEST`.

    Parameters
    ----------
    measured : Measured
    forms : tuple
        Of :data:`learnability.studies.parity.theorems.linear.FORMS`.
    case : str
        Put into the ids in brackets.

    Returns
    -------
    list of Guarantee
        Of each form the largest and the average loss; then one for each A by itself.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    over = f"over {'all' if measured.every else 'a sample of'} {len(measured.supports)} A"
    gap = float(
        np.maximum(measured.uniform - measured.uniform_lower, measured.mixture - measured.mixture_lower).max()
    )
    solved, rest = gap <= WIDEST, "" if measured.every else ", the others by their closed form"
    shared: dict[str, Any] = {
        "N": measured.N, "n": measured.n, "k": measured.k, "B": measured.B,
        "tolerance": ROUNDING + min(gap, WIDEST), "forms": forms, "case": case,
    }  # fmt: skip
    largest = float(measured.mixture_lower.max()) if solved else None
    average = measured.average_lower if solved else None
    found = theorem2(**shared, measured=largest, note=f"largest best loss {over}, each to {gap:.1g}")
    found += theorem2_average(**shared, measured=average, note=f"average best loss {over}, each to {gap:.1g}{rest}")
    closed = measured.closed_form[np.isin(subset_masks(measured.n, measured.k), measured.supports)]
    worst = int((measured.uniform - closed).argmin())
    cell = (f"n={measured.n}", f"k={measured.k}", f"N={measured.N}", f"B={measured.B:g}", case)
    bound, loss = float(closed[worst]), float(measured.uniform[worst])
    text = f"1 - B |E f_A Psi| for one A, least room {over}"
    found.append(stated("theorem2-each", cell, OURS, Kind.LOWER_BOUND, bound, loss, text, tolerance=ROUNDING))
    return found
