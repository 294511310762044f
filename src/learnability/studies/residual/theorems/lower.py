r"""What no kernel and no feature map learns: Theorems 2 and 3 of Allen-Zhu & Li, exactly, for all targets at once.

The hard instance, rescaled to x uniform on {-1, +1}^d: output i of the target of a set S of k coordinates is
:math:`x_i + \alpha \chi_S(x)`, i in S. Whatever the N training points, a kernel's regression function lies in the
span of N fixed functions :math:`g_n = K(\cdot, x^{(n)})`, and so does a linear function of N features. The best that
any weights reach is a distance to that span. With the rows :math:`q_T` (T a set of coordinates) of an orthonormal
basis of its Fourier coefficients,

.. math:: \min_{g \in \mathrm{span}} E |g - x_i - \alpha \chi_S|^2
          = 1 + \alpha^2 - |q_{\{i\}} + \alpha q_S|^2 ,

so that one factorisation serves all C(d, k) targets (:func:`best_fits`).

**Sharper than printed** (this project). With :math:`\pi_S = |P \chi_S|^2`, P the projection on the level-k parts of
the span, of dimension at most N: the error is at least :math:`\alpha^2 (1 - \pi_S)` whatever i, and
:math:`\sum_S \pi_S` is that dimension. Hence the average over S is at least :math:`\alpha^2 (1 - N / C(d, k))`; error
at most :math:`\alpha^2 / 16` forces :math:`\pi_S \ge 15/16`, so at most 16 N / 15 sets succeed (the paper's rank
argument gives 9 N / 8); all k outputs together are off by :math:`k \alpha^2 (1 - N / C(d, k))` on average. For
N <= C(d, k) / 1000 at least 99 % of the sets have :math:`E \|H - K\|^2 \ge 0.9 k \alpha^2`: the printed
:math:`\alpha^2 / 16` is modest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.memory import allowed
from learnability.problems import boolean
from learnability.studies.residual import PAPER, PROJECT
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, statement_id

__all__ = ["BestFits", "best_fits", "target_errors", "theorem2", "theorem3", "values_on_cube"]

MEMORY = 2 * 2**30
"""Bytes that the arrays of one call may take together."""
ROUNDING = 1e-13
"""Directions of the span below this, of functions scaled to norm 1, are rounding and are left out by default."""
BLOCK = 2**14


@dataclass(frozen=True)
class BestFits:
    """How well the span of N functions on the cube fits every target of the hard instance.

    Parameters
    ----------
    d, k : int
    functions : int
        N, as given.
    dimension, level_dimension : int
        Of the span, and of its level-k parts, as far as float64 tells them apart: at most N.
    members : array (C(d, k), k)
        The sets S, rows ascending, in the order of :func:`learnability.problems.boolean.subset_masks`.
    projections : array (C(d, k),)
        pi_S in [0, 1]; they sum to ``level_dimension``.
    singles : array (d,)
        Squared norm of the projection of x_i on the span.
    sets : array (C(d, k),)
        Squared norm of the projection of chi_S on the span.
    cross : array (C(d, k), k)
        Inner products of the projections of x_i, i in S, and of chi_S.
    """

    d: int
    k: int
    functions: int
    dimension: int
    level_dimension: int
    members: NDArray[np.int64]
    projections: FloatArray
    singles: FloatArray
    sets: FloatArray
    cross: FloatArray

    @property
    def targets(self) -> int:
        """C(d, k)."""
        return len(self.members)

    def errors(self, alpha: float) -> FloatArray:
        """Least E|g - x_i - alpha chi_S|^2 over the span, for every S and every i in S: (C(d, k), k).

        Alpha in [1e-4, 1): errors carry rounding of about 1e-15, and below that alpha^2 / 16 would be told from it
        no more.
        """
        alpha = _alpha(alpha)
        explained = self.singles[self.members] + 2 * alpha * self.cross + alpha**2 * self.sets[:, None]
        return np.maximum(1 + alpha**2 - explained, 0.0)


def values_on_cube(
    function: Callable[[FloatArray], ArrayLike], d: int, background: ArrayLike | None = None
) -> FloatArray:
    r"""Values of N functions at all points of the cube, in the order of :func:`learnability.problems.boolean.signs`.

    What Theorems 2 and 3 speak of: a kernel's functions, or features.

    Parameters
    ----------
    function : callable
        X (m, d + e) with entries of the first d columns in {-1, 1} / sqrt(d + e) -> values (m, N), finite.
    d : int
        Uniform coordinates, the paper's d_1, in 1..20.
    background : array (r, e), optional
        Points of an arbitrary distribution D_2 of e more coordinates, each with probability 1 / r. What comes is
        then the average over them: no weights do better on the whole distribution than on this average (Remark D.3).

    Returns
    -------
    array (2^d, N)

    Raises
    ------
    ValueError
        If the values have another shape, are not finite or would not fit (with the largest N that does).
    """
    d = checks.integer("d", d, at_least=1, at_most=20)
    others = np.zeros((1, 0)) if background is None else checks.matrix("background", background)
    scale = 1 / math.sqrt(d + others.shape[1])
    blocks: list[FloatArray] = []
    for start in range(0, 2**d, BLOCK):
        points = scale * boolean.signs(d, start, min(start + BLOCK, 2**d))
        total: FloatArray | float = 0.0
        for row in others:
            X = np.hstack([points, np.broadcast_to(row, (len(points), len(row)))])
            values = checks.matrix("the values of function", function(X))
            if len(values) != len(X):
                raise RequestError(f"function must give {len(X)} rows for {len(X)} points, got {len(values)}")
            total = total + values
        blocks.append(np.asarray(total) / len(others))
        _fits(d, blocks[0].shape[1])
    return np.concatenate(blocks)


def best_fits(values: ArrayLike, k: int, *, rounding: float = ROUNDING) -> BestFits:
    """All targets against the span of N functions given by their values on the cube.

    An orthonormal basis of the span comes from a Householder QR, and of its triangle another with column pivoting,
    never from an inverse: training points may repeat, and kernels with fast decay are dependent to rounding.

    What Theorems 2 and 3 bound from below.

    Parameters
    ----------
    values : array (2^d, N)
        Columns: for a kernel K(x, x_n) over all points x, for a feature map its features.
    k : int
        Size of the sets, in 2..d.
    rounding : float
        In [0, 1): directions of the span below this (of functions scaled to norm 1) are left out. With 0 none is:
        what are directions of rounding then can only help, so no target fails for the cut.

    Returns
    -------
    BestFits

    Raises
    ------
    ValueError
        If the rows are no power of two, k is out of range, or the arrays would not fit into memory.
    """
    columns = checks.matrix("values", values)
    d = len(columns).bit_length() - 1
    if len(columns) != 2**d:
        raise RequestError(f"values must have 2^d rows, got {len(columns)}")
    k = checks.integer("k", k, at_least=2, at_most=d)
    rounding = checks.real("rounding", rounding, at_least=0.0, below=1)
    _fits(d, columns.shape[1])
    masks = boolean.subset_masks(d, k)
    members = np.nonzero(masks[:, None] >> np.arange(d) & 1)[1].reshape(-1, k)
    F = np.empty_like(columns, order="F")
    for n, column in enumerate(columns.T):
        size = np.abs(column).max()
        spectrum = boolean.fourier_spectrum(column / size if size > 0 else column)
        F[:, n] = spectrum / (np.linalg.norm(spectrum) or 1.0)
    level = _basis(F[masks], slice(None), rounding)
    singles = 1 << np.arange(d)
    rows = _basis(F, np.concatenate([singles, masks]), rounding)
    q_one, q_set = rows[:d], rows[d:]
    cross = np.take_along_axis(q_set @ q_one.T, members, axis=1)
    return BestFits(
        d,
        k,
        columns.shape[1],
        rows.shape[1],
        level.shape[1],
        members,
        (level**2).sum(axis=1),
        (q_one**2).sum(axis=1),
        (q_set**2).sum(axis=1),
        cross,
    )


def target_errors(fits: Sequence[BestFits], alpha: float) -> FloatArray:
    """Least E||H - K||^2 of each target, with one span for each of the k outputs (or one for all); (C(d, k),).

    Output j of the target S is x_i + alpha chi_S with i the j-th coordinate of S.

    What Theorem 2 is about, with all outputs.

    Parameters
    ----------
    fits : sequence of BestFits
        One for each of the k outputs, or one for all.
    alpha : float
        As in :func:`theorem2`.

    Returns
    -------
    array (C(d, k),)
        Squared errors, summed over the outputs.

    Raises
    ------
    ValueError
        If they are not of one d and k, or alpha is outside its range.
    """
    if not fits:
        raise RequestError("fits must hold at least one, got none")
    if len(fits) not in (1, fits[0].k) or len({(fit.d, fit.k) for fit in fits}) > 1:
        raise RequestError(f"fits must be one, or one for each of the {fits[0].k} outputs, of one d and k")
    spans = list(fits) * (fits[0].k if len(fits) == 1 else 1)
    total: FloatArray = np.sum([fit.errors(alpha)[:, j] for j, fit in enumerate(spans)], axis=0)
    return total


def theorem2(fits: BestFits | Sequence[BestFits], alpha: float, *, case: str = "") -> list[Guarantee]:
    r"""Theorem 2: no kernel learns more than 1 % of the targets from N <= C(d, k) / 1000 points; and sharper.

    For at least 99 % of the sets S every function sum_n K(., x_n) w_n, whatever the points x_n, the kernel (one for
    each output, if need be) and the weights, has E |K - x_i - alpha chi_S|^2 > alpha^2 / 16: of the composite
    signal it has learnt next to nothing. Sharper (ours): for every N the average over S of the best error is at
    least alpha^2 (1 - N / C(d, k)).

    Parameters
    ----------
    fits : BestFits, or one for each of the k outputs
        From the kernel(s) at the training points. Sharper counts of a single output are about the first.
    alpha : float
        In [1e-4, 1): the theorem's (0, 1) but for what rounding hides, see :meth:`BestFits.errors`.
    case : str
        Names the case in the ids.

    Returns
    -------
    list of Guarantee
        Share of sets S with error at least 0.9 alpha^2 for every i in S (at least 0.99; printed: alpha^2 / 16); the
        number of those at or below alpha^2 / 16 (at most 16 N / 15); average error of one output, and of all k. The
        first needs N <= C(d, k) / 1000; the others only that they are not vacuous.

    Raises
    ------
    ValueError
        If the fits are not of one d and k, or alpha is outside its range.

    Hypotheses
    ----------
    x is uniform on the cube in the coordinates that S is drawn from; the count is N, the number of training points,
    whatever they are. Its sharper forms need only that they are not vacuous.

    Errata
    ------
    Section 3's sketch has E |H - K|^2 / 2 > alpha^2 for alpha^2 / 16. By the sharper form that is true too, for k
    >= 3 outputs together.
    """
    return _guarantees("thm2", "Theorem 2", "N", fits, alpha, case)


def theorem3(fits: BestFits | Sequence[BestFits], alpha: float, *, case: str = "") -> list[Guarantee]:
    """Theorem 3: the same for linear functions of D features.

    From D <= C(d, k) / 1000 features no weights learn more than 1 % of the targets to within alpha^2 / 16; average
    and counts as there.

    Parameters
    ----------
    fits, alpha, case
        As in :func:`theorem2`, from the features.

    Returns
    -------
    list of Guarantee
        As of :func:`theorem2`.

    Raises
    ------
    ValueError
        If the fits are not of one d and k, or alpha is outside its range.

    Hypotheses
    ----------
    As of Theorem 2, but the count is D, the number of features.
    """
    return _guarantees("thm3", "Theorem 3", "D", fits, alpha, case)


def _guarantees(
    name: str, place: str, count: str, fits: BestFits | Sequence[BestFits], alpha: float, case: str
) -> list[Guarantee]:
    several = [fits] if isinstance(fits, BestFits) else list(fits)
    alpha, total = _alpha(alpha), target_errors(several, alpha)
    one = several[0]
    N, C, k = max(fit.functions for fit in several), one.targets, one.k
    best = one.errors(alpha).min(axis=1)
    room = 1e-12  # rounding of an error; the least alpha^2 / 16 allowed is 6e-10
    success = int((best <= alpha**2 / 16 + room).sum())
    shape = f"{count} = {N}, C({one.d}, {k}) = {C}"
    few = Hypothesis(f"{count} <= C(d, k) / 1000", 1000 * N <= C, shape)
    room_left = Hypothesis(f"not vacuous: {count} < C(d, k)", N < C, shape)
    counts = Hypothesis(f"not vacuous: 16 {count} / 15 < C(d, k)", 16 * one.functions < 15 * C, shape)
    dimension = f"dimension {one.dimension}, at level k {one.level_dimension}"
    most, average = math.floor(16 * one.functions / 15), alpha**2 * (1 - one.functions / C)
    large = float((best >= 0.9 * alpha**2 - room).mean())
    notes = {
        "": f"share of S with error >= 0.9 alpha^2 for every i (printed: alpha^2 / 16); "
        f"least error / alpha^2 = {best.min() / alpha**2:.6g}, {dimension}",
        "-count": f"sets with error <= alpha^2 / 16 against 16 {count} / 15 "
        f"(the paper's argument: {math.floor(9 * one.functions / 8)}); {dimension}",
        "-average": f"mean over S of the least error of one output, alpha = {alpha:g}; {dimension}",
        "-outputs": f"mean over S of E||H - K||^2, {len(several)} span(s) for {k} outputs",
    }

    def bound(
        part: str, kind: Kind, value: float, measured: float, needs: Hypothesis, room: float = 0.0
    ) -> Guarantee:
        identity = statement_id(f"residual/{name}{part}", case)
        source = f"{PROJECT}, {place}" if part else f"{PAPER}, {place} (0.9 for 1/16: this project)"
        return Guarantee(identity, source, kind, value, measured, (needs,), notes[part], tolerance=room)

    return [
        bound("", Kind.LOWER_BOUND, 0.99, large, few),
        bound("-count", Kind.UPPER_BOUND, most, success, counts),
        bound("-average", Kind.LOWER_BOUND, average, float(best.mean()), room_left, room),
        bound("-outputs", Kind.LOWER_BOUND, k * alpha**2 * (1 - N / C), float(total.mean()), room_left, k * room),
    ]


def _alpha(alpha: float) -> float:
    return checks.real("alpha", alpha, at_least=1e-4, below=1)


def _fits(d: int, N: int) -> None:
    """Values, coefficients, their copy in the factorisation and the basis: four arrays (2^d, N)."""
    limit = allowed(MEMORY, 4 * 8 * 2.0**d * N)
    most = int(limit / (4 * 8 * 2.0**d))
    if most < N:
        raise RequestError(
            f"values must have at most {most} columns for d = {d} to fit into {limit / 2**30:.3g} GiB, got {N}"
        )


def _basis(F: FloatArray, rows: Any, rounding: float) -> FloatArray:
    """Rows of an orthonormal basis of the columns, without directions that are 0 or below ``rounding``.

    The blocked QR of the tall matrix is fast; the pivoted one, which finds the rank, is of its triangle only.
    """
    from scipy.linalg import qr

    Q, R = qr(F, mode="economic", check_finite=False)
    turn, diagonal, _ = qr(R, mode="economic", pivoting=True, check_finite=False)
    rank = int((np.abs(np.diag(diagonal)) > rounding * math.sqrt(F.shape[1])).sum())
    basis: FloatArray = Q[rows] @ turn[:, :rank]
    return basis
