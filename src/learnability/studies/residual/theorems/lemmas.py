r"""The two lemmas behind Theorems 2 and 3 of Allen-Zhu & Li: Lemma D.1 (Parseval) and Lemma D.2 (rank).

Lemma D.2 asks of vectors :math:`a_r` that :math:`\langle M_r, a_r \rangle \ge \frac34 \alpha` and
:math:`\sum_{r' \ne r} \langle M_{r'}, a_r \rangle^2 \le \frac1{16} \alpha^2`. Both scale with :math:`a_r`, so one r
can be served iff the least off-diagonal sum with :math:`\langle M_r, a \rangle = 1`, which is
:math:`1 / \pi_r - 1` with :math:`\pi_r` the squared projection of the r-th unit vector on the row space of M, is at
most 1/9: iff :math:`\pi_r \ge 9/10`. As :math:`\sum_r \pi_r = \mathrm{rank} M \le N`, at most **10 N / 9** columns
are served (this project; the paper's argument gives 9 N / 8, its statement 2 N). That is attained: by N = 9 rows that
span the vectors orthogonal to (1, ..., 1) in ten dimensions, where every :math:`\pi_r` is 9/10.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.problems import boolean
from learnability.studies.residual import PAPER, PROJECT
from learnability.theory import extended
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, statement_id

__all__ = ["column_costs", "lemma_d1", "lemma_d2", "parseval_error"]


def parseval_error(spectrum: ArrayLike, i: int, S: Iterable[int], alpha: float) -> float:
    r"""E|f - x_i - alpha chi_S|^2 of f with the given Fourier coefficients (2^d,) by mask (the display of Lemma D.1).

    .. math:: (\lambda_{\{i\}} - 1)^2 + (\lambda_S - \alpha)^2 + \sum_{T \ne \{i\}, S} \lambda_T^2

    Parameters
    ----------
    spectrum : array (2^d,)
        Fourier coefficients of f by mask (:func:`learnability.problems.boolean.fourier_spectrum`).
    i, S, alpha
        As in :func:`lemma_d1`.

    Returns
    -------
    float
        >= 0.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the length is no power of two.
    """
    coefficients, single, mask, alpha = _function(spectrum, i, S, alpha)
    difference = coefficients.copy()
    difference[single] -= 1
    difference[mask] -= alpha
    with np.errstate(over="ignore"):  # infinite then
        return float(difference @ difference)


def lemma_d1(values: ArrayLike, i: int, S: Iterable[int], alpha: float, *, case: str = "") -> list[Guarantee]:
    """Lemma D.1: error at most alpha^2 / 16 forces lambda_S >= 3 alpha / 4 and little weight elsewhere on level k.

    The error is a mean over the cube, the coefficients come from its transform: that they agree is Parseval's
    identity, and is checked with the lemma.

    Parameters
    ----------
    values : array (2^d,)
        f on the cube, in the order of :func:`learnability.problems.boolean.signs`.
    i : int
        In S.
    S : iterable of int
        At least two distinct coordinates in 0..d-1.
    alpha : float
        > 0.
    case : str
        Put into the ids in brackets.

    Returns
    -------
    list of Guarantee
        The coefficient of S, and the weight of the other sets of its size.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the length is no power of two.
    """
    members = tuple(S)
    f, _, mask, alpha = _function(values, i, members, alpha, name="values")
    signs = boolean.signs(len(f).bit_length() - 1)
    with np.errstate(over="ignore"):  # infinite then
        error = float(np.mean((f - signs[:, i] - alpha * boolean.character(members, signs)) ** 2))
    coefficients = boolean.fourier_spectrum(f)
    degrees = boolean.degrees(len(coefficients).bit_length() - 1)
    others = coefficients[(degrees == len(members)) & (np.arange(len(coefficients)) != mask)]
    limit = alpha * alpha / 16
    near = Hypothesis("E|f - x_i - alpha chi_S|^2 <= alpha^2 / 16", error <= limit * (1 + 1e-12), f"{error:.6g}")
    source, room = f"{PAPER}, Lemma D.1", 1e-12 * alpha
    at_S, rest = (statement_id("residual/lemma-d1", part, case) for part in ("lambda_S", "rest of level k"))
    value, weight = float(coefficients[mask]), float(others @ others)
    return [
        Guarantee(at_S, source, Kind.LOWER_BOUND, 0.75 * alpha, value, (near,), tolerance=room),
        Guarantee(rest, source, Kind.UPPER_BOUND, limit, weight, (near,), tolerance=extended.room(1.6e-11, limit)),
    ]


def column_costs(M: ArrayLike) -> FloatArray:
    """Least sum over r' != r of <M_r', a>^2 where <M_r, a> = 1, for every column r; infinite where M_r = 0.

    Parameters
    ----------
    M : array (N, R)

    Returns
    -------
    array (R,)
        1 / pi_r - 1. The pair of conditions of Lemma D.2 can be met for r iff this is at most 1/9, whatever alpha.

    Raises
    ------
    ValueError
        If M is no matrix of finite numbers.
    """
    _, size, rows = np.linalg.svd(checks.matrix("M", M), full_matrices=False)
    kept = rows[size > 1e-12 * size[0]] if size[0] > 0 else rows[:0]
    share = (kept**2).sum(axis=0)
    costs = np.full(len(share), math.inf)
    np.divide(1.0, share, out=costs, where=share > 1e-24)
    return np.asarray(np.maximum(costs - 1, 0.0))


def lemma_d2(M: ArrayLike, *, case: str = "") -> list[Guarantee]:
    """Lemma D.2: with R >= 2N columns not all can be served; and at most 10 N / 9 ever are.

    Parameters
    ----------
    M : array (N, R)
    case : str
        Names the case in the ids.

    Returns
    -------
    list of Guarantee
        Columns served, against R - 1 and against 10 N / 9.

    Raises
    ------
    ValueError
        If M is no matrix of finite numbers.
    """
    M = checks.matrix("M", M)
    N, R = M.shape
    served = int((column_costs(M) <= 1 / 9 + 1e-9).sum())
    shape = f"N = {N}, R = {R}"
    many = Hypothesis("R >= 2 N", R >= 2 * N, shape)
    room = Hypothesis("not vacuous: 10 N / 9 < R", 10 * N < 9 * R, shape)
    sharper = f"columns served against 10 N / 9 (the paper's argument: {math.floor(9 * N / 8)})"

    def bound(part: str, source: str, most: int, needs: Hypothesis, note: str) -> Guarantee:
        identity = statement_id(f"residual/lemma-d2{part}", case)
        return Guarantee(identity, f"{source}, Lemma D.2", Kind.UPPER_BOUND, most, served, (needs,), note)

    return [
        bound("", PAPER, R - 1, many, f"columns served, of R = {R}"),
        bound("-count", PROJECT, math.floor(10 * N / 9), room, sharper),
    ]


def _function(
    numbers: ArrayLike, i: int, S: Iterable[int], alpha: float, *, name: str = "spectrum"
) -> tuple[FloatArray, int, int, float]:
    coefficients = checks.vector(name, numbers)
    d = len(coefficients).bit_length() - 1
    if len(coefficients) != 2**d:
        raise RequestError(f"{name} must have length 2^d, got {len(coefficients)}")
    members = checks.integers("S", S, at_least=0, at_most=d - 1)
    if len(members) < 2:
        raise RequestError(f"S must hold at least two coordinates, got {members}")
    i = checks.integer("i", i, at_least=0, at_most=d - 1)
    if i not in members:
        raise RequestError(f"i must be in S = {members}, got {i}")
    return coefficients, 1 << i, boolean.mask_of(members), checks.real("alpha", alpha, above=0.0)
