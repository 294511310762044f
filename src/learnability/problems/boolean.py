"""Boolean analysis for functions on the cube: Fourier spectra by the fast Walsh-Hadamard transform, characters, sums.

A function on {-1, +1}^n is an array of its 2^n values. Point i has coordinate j = -1 exactly where bit j of i
(value 2^j) is set, and a set S of coordinates is the mask with those bits set, so that the character chi_S(x) =
prod_{j in S} x_j is (-1)^popcount(i & S) at point i: values and spectra are both in natural (Hadamard) order.

Whatever holds one value per point is for n <= 24 (2^24 float64 are 128 MB). Expectations of functions of a sum of
signs are exact at any n by its law (:mod:`learnability.problems.sign_sums`, re-exported here).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.problems.sign_sums import correlation, lazy_sum_law, sign_sum_law, signed_sum_law

__all__ = [
    "MAX_BITS",
    "character",
    "correlation",
    "degrees",
    "expectation",
    "fourier_spectrum",
    "from_spectrum",
    "lazy_sum_law",
    "mask_of",
    "sign_sum_law",
    "signed_sum_law",
    "signs",
    "subset_masks",
    "subset_of",
    "walsh_hadamard",
    "weight_by_degree",
]

MAX_BITS = 24
"""Largest n with an array of one value per point of the cube: 2^24 float64 are 128 MB."""
_BLOCK = 2**14
"""Points that are written down at a time where all are gone through."""


# Points and characters


def signs(n: int, start: int = 0, stop: int | None = None) -> FloatArray:
    """Points ``start`` to ``stop`` - 1 of {-1, +1}^n, a row each; shape (stop - start, n).

    Parameters
    ----------
    n : int
        Number of coordinates, in 1..24. All 2^n points at once are 8 n 2^n bytes: go through large cubes in blocks.
    start, stop : int
        0 <= start < stop <= 2^n; ``stop`` defaults to 2^n.
    """
    n = checks.integer("n", n, at_least=1, at_most=MAX_BITS)
    stop = checks.integer("stop", 2**n if stop is None else stop, at_least=1, at_most=2**n)
    start = checks.integer("start", start, at_least=0, at_most=stop - 1)
    bits = np.arange(start, stop, dtype=np.uint32)[:, None] >> np.arange(n, dtype=np.uint32) & 1
    points: FloatArray = 1.0 - 2.0 * bits.astype(np.float64)
    return points


def character(S: Iterable[int], signs: ArrayLike) -> FloatArray:
    """chi_S(x) = prod_{j in S} x_j at each row of ``signs`` (m, n), whose columns in S hold -1 and +1; shape (m,).

    S is any iterable of distinct coordinates in 0..n-1; with none the character is 1.
    """
    points = np.asarray(signs)
    if points.ndim != 2:
        raise RequestError(f"signs must have shape (rows, columns), got shape {points.shape}")
    columns = [int(j) for j in subset_of(mask_of(S))]
    if columns and columns[-1] >= points.shape[1]:
        raise RequestError(f"S must hold coordinates in 0..{points.shape[1] - 1}, got {columns[-1]}")
    chosen = points[:, columns]
    if not np.isin(chosen, (-1, 1)).all():
        raise RequestError("signs must have entries -1 and +1 only in the columns of S")
    return np.asarray(chosen.prod(axis=1, dtype=np.float64))


def expectation(
    function: Callable[[FloatArray], ArrayLike], n: int, *, probabilities: ArrayLike | None = None
) -> float:
    """E f(x) over {-1, +1}^n by going through all its points, a block at a time.

    Parameters
    ----------
    function : callable (signs (m, n)) -> (m,)
        f; finite values.
    n : int
        In 1..24.
    probabilities : array_like, shape (2^n,), optional
        Of the points, in the order of :func:`signs`; uniform if not given.
    """
    n = checks.integer("n", n, at_least=1, at_most=MAX_BITS)
    p = None if probabilities is None else checks.distribution("probabilities", probabilities, length=2**n)
    sums = []
    for start in range(0, 2**n, _BLOCK):
        points = signs(n, start, min(start + _BLOCK, 2**n))
        values = checks.vector("function's values", np.asarray(function(points)), length=len(points))
        sums.append(values.sum() / 2**n if p is None else values @ p[start : start + len(points)])
    return float(np.sum(sums))


# Sets of coordinates


def mask_of(S: Iterable[int]) -> int:
    """The mask of a set of distinct coordinates: the sum of 2^j over j in S."""
    return sum(1 << j for j in checks.integers("S", S, at_least=0, distinct=True))


def subset_of(mask: int) -> tuple[int, ...]:
    """The coordinates of a mask >= 0, ascending."""
    mask = checks.integer("mask", mask, at_least=0)
    return tuple(j for j in range(mask.bit_length()) if mask >> j & 1)


def subset_masks(n: int, k: int) -> NDArray[np.int64]:
    """The masks of all C(n, k) sets of k coordinates out of n <= 24, ascending."""
    n = _bits(n)
    k = checks.integer("k", k, at_least=0, at_most=n)
    return np.flatnonzero(degrees(n) == k)


def degrees(n: int) -> NDArray[np.uint8]:
    """Size of the set of each mask 0..2^n-1, n <= 24; shape (2^n,)."""
    return np.bitwise_count(np.arange(2 ** _bits(n), dtype=np.uint32))


def _bits(n: object) -> int:
    return checks.integer("n", n, at_least=0, at_most=MAX_BITS)


# Spectra


def walsh_hadamard(values: ArrayLike) -> FloatArray:
    """The unnormalised Walsh-Hadamard transform: entry S is sum_i values_i (-1)^popcount(i & S).

    Applied twice it is 2^n times the identity. In-place butterflies on a copy in float64, compiled, passing through
    memory three times at n = 24 (:mod:`learnability.problems.walsh`); sums of integers are exact below 2^53.

    Parameters
    ----------
    values : array_like, shape (2^n,), n <= 24
        Finite values in the order of :func:`signs` (or of masks).

    Raises
    ------
    ValueError
        If the length is no power of two or above 2^24, or a value is not finite, or the values' sum is not (other
        sums of values near float64's limit may come out infinite).
    """
    # Numba is loaded only here: the rest of the toolbox, and with it the parity problems, stays light.
    from learnability.problems import walsh

    given = np.asarray(values)
    if given.ndim != 1 or given.size & (given.size - 1) or not 1 <= given.size <= 2**MAX_BITS:
        raise RequestError(f"values must have shape (2^n,) with n <= {MAX_BITS}, got shape {given.shape}")
    if given.dtype.kind not in "biuf":
        given = checks.vector("values", values)
    result = np.array(given, dtype=np.float64)
    walsh.transform(result)
    # Entry 0 is the sum of all values: one look at it, instead of a pass over the memory, finds every inf and NaN.
    if not np.isfinite(result[0]):
        checks.vector("values", given)
        raise RequestError(f"values must have a finite sum, got {result[0]}")
    return result


def fourier_spectrum(values: ArrayLike) -> FloatArray:
    """The Fourier coefficients E[f chi_S] by mask, of a function given by its values (2^n,), n <= 24."""
    spectrum = walsh_hadamard(values)
    spectrum /= len(spectrum)
    return spectrum


def from_spectrum(coefficients: ArrayLike) -> FloatArray:
    """The values sum_S c_S chi_S(x) at all points, of coefficients by mask (2^n,), n <= 24."""
    return walsh_hadamard(coefficients)


def weight_by_degree(spectrum: ArrayLike) -> FloatArray:
    """Sum of the squared coefficients of each degree 0..n; shape (n+1,). For a sign-valued f they sum to 1."""
    coefficients = checks.vector("spectrum", spectrum)
    if coefficients.size & (coefficients.size - 1) or not 1 <= coefficients.size <= 2**MAX_BITS:
        raise RequestError(f"spectrum must have shape (2^n,) with n <= {MAX_BITS}, got shape {coefficients.shape}")
    weights = np.bincount(degrees(coefficients.size.bit_length() - 1), weights=coefficients**2)
    return weights.astype(np.float64, copy=False)
