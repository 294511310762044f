"""The gradient of the hinge loss, and Proposition 1 of Brutzkus et al.: no bad critical points, and no convexity.

For the leaky ReLU; with the ReLU there are bad ones, see
:func:`learnability.studies.separable.theorems.landscape.theorem8`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.networks.separable import TwoLayer, forward, slope
from learnability.studies.separable import PAPER
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, joined, statement_id

__all__ = [
    "hinge_gradient",
    "hinge_loss",
    "midpoint_values",
    "nonconvexity",
    "proposition1",
    "proposition1_critical",
    "proposition1_midpoint",
]

ROUNDING = 1e-9
"""Relative room for rounding."""


def hinge_loss(params: TwoLayer, X: ArrayLike, y: ArrayLike, *, alpha: float) -> float:
    """L_S(W), the mean of max(1 - y N(x), 0) over the points ``X`` (m, d) with labels ``y`` (m,).

    Equation 2.

    Parameters
    ----------
    params : TwoLayer
        First layer W (2k, d) and output weights v (2k,).
    X : array (m, d)
        Points.
    y : array (m,)
        Labels in {-1, +1}.
    alpha : float
        Slope of the leaky ReLU, in [0, 1).

    Returns
    -------
    float
        >= 0.

    Raises
    ------
    ValueError
        If shapes disagree, or an argument is outside its range.
    """
    outputs = forward(params, X, alpha=alpha)
    y = checks.labels("y", y, length=len(outputs))
    return float(np.maximum(1 - y * outputs, 0).mean())


def hinge_gradient(
    params: TwoLayer, X: ArrayLike, y: ArrayLike, *, alpha: float, at_zero: float | None = None
) -> FloatArray:
    """The gradient of L_S in the first layer, (2k, d): -(1/m) sum of y v sigma'(W x) x over the points with y N(x) <
    1.

    What Proposition 1 is about.

    Parameters
    ----------
    params : TwoLayer
    X : array (m, d)
    y : array (m,)
        Labels in {-1, +1}.
    alpha : float
        Slope in [0, 1).
    at_zero : float, optional
        sigma'(0), in [alpha, 1]: which element of the subdifferential. By default the paper's, 1 for the leaky ReLU
        and 0 for the ReLU.

    Returns
    -------
    array (2k, d)

    Raises
    ------
    ValueError
        For arguments outside these ranges.
    """
    return _descent(*_arguments(params, X, y, alpha, at_zero))[0]


def proposition1(
    params: TwoLayer,
    X: ArrayLike,
    y: ArrayLike,
    w_star: ArrayLike,
    *,
    alpha: float,
    at_zero: float | None = None,
    measured: ArrayLike | None = None,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Proposition 1(1) at one point W that is no global minimum: the gradient points away from W*, block by block.

    With V the set of points with y N(x) < 1, the proof's inequality for row i of the first layer is

        <dL/dw_i, w*> <= -(v / m) sum_{x in V} sigma'(<w_i, x>) <= -alpha v |V| / m,

    and the same for u_i and -w*. So <dL/dW, W*> <= -2 k alpha v |V| / m < 0 and, by Cauchy-Schwarz,
    |dL/dW| >= sqrt(2k) alpha v |V| / (m |w*|): the gradient is not zero, and by how much.

    Parameters
    ----------
    params, X, y, alpha, at_zero
        As in :func:`hinge_gradient`; the output weights must be +-v.
    w_star : array (d,)
        Separates the points with y <w*, x> >= 1.
    measured : array (2k, d), optional
        The gradient as SGD takes it; by default that of :func:`hinge_gradient`.
    case, note : str
        Put into the ids in brackets, and into the notes.

    Returns
    -------
    list of Guarantee
        The largest ratio of a block's inner product to its own bound (at most -1 would be with the sign; here the
        least of their quotients, at least 1), the sum over blocks, the norm of the gradient.

    Raises
    ------
    ValueError
        If shapes disagree, or an argument is outside its range.
    """
    W, v, X, y, alpha, at_zero = _arguments(params, X, y, alpha, at_zero)
    w_star = checks.vector("w_star", w_star, length=X.shape[1])
    least = float((y * (X @ w_star)).min())
    gradient, slopes, violated = _descent(W, v, X, y, alpha, at_zero)
    if measured is not None:
        gradient = checks.matrix("measured", measured, columns=W.shape[1])
    products = (gradient @ w_star) * np.sign(v)
    size, share = float(np.abs(v).min()), violated / len(X)
    w_norm = float(np.linalg.norm(w_star))
    hypotheses = (
        Hypothesis("0 < alpha < 1", alpha > 0, f"alpha = {alpha:g}"),
        Hypothesis("y <w*, x> >= 1", least >= 1 - ROUNDING, f"least {least:.12g}"),
        Hypothesis("output weights +-v", bool(np.allclose(np.abs(v), size, rtol=ROUNDING, atol=0)), f"v = {size:g}"),
        Hypothesis("W is no global minimum", violated > 0, f"{violated} of {len(X)} points have y N(x) < 1"),
    )
    source = f"{PAPER}, Proposition 1(1), proof"
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float((-products / (np.abs(v) * slopes)).min()) if violated else None
    total = -len(W) * alpha * size * share
    norm = float(np.sqrt(len(W))) * alpha * size * share / w_norm if w_norm > 0 else 0.0

    def part(name: str, where: str, kind: Kind, bound: float, measured: float | None, what: str) -> Guarantee:
        identity, room = statement_id(f"separable/prop1-{name}", case), ROUNDING * abs(bound)
        return Guarantee(identity, where, kind, bound, measured, hypotheses, joined(what, note), tolerance=room)

    blocks = "least -<dL/dw_i, w*> over (v/m) sum sigma'(<w_i, x>) of the violated points"
    along, size_of = "<dL/dW, W*> against -2 k alpha v |V| / m", "|dL/dW| against sqrt(2k) alpha v |V| / (m |w*|)"
    length = float(np.linalg.norm(gradient))
    return [
        part("block", source, Kind.LOWER_BOUND, 1.0, ratio, blocks),
        part("descent", source, Kind.UPPER_BOUND, total, float(products.sum()), along),
        part("gradient", f"{source} (consequence)", Kind.LOWER_BOUND, norm, length, size_of),
    ]


def proposition1_critical(
    *, alpha: float, mismatches: int | None = None, points: int | None = None, case: str = "", note: str = ""
) -> Guarantee:
    """Proposition 1(1) as stated: every critical point is a global minimum.

    Parameters
    ----------
    alpha : float
        Slope in [0, 1); the statement needs it above 0.
    mismatches : int, optional
        Measured: points W at which the gradient is exactly 0 and the loss is not, or the other way round.
    points : int, optional
        Points W looked at.
    case, note : str
        As in :func:`proposition1`.

    Returns
    -------
    Guarantee
        The mismatches, exactly 0.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    checks.counts(mismatches=mismatches, points=points)
    alpha = slope(alpha)
    return Guarantee(
        statement_id("separable/prop1-critical", case),
        f"{PAPER}, Proposition 1(1)",
        Kind.EXACT,
        0,
        mismatches,
        (Hypothesis("0 < alpha < 1", alpha > 0, f"alpha = {alpha:g}"),),
        note=joined(f"{points} points" if points is not None else "", note),
    )


def midpoint_values(x: ArrayLike, alpha: Any) -> tuple[Any, Any, Any]:
    """f_x(w, u) = sigma(<w, x>) - sigma(<u, x>) at (x, x), at (x, -x) and at their midpoint (x, 0), in any number
    type.

    Proposition 1(2): they are 0, (1 + alpha) |x|^2 and |x|^2, and 1 > (1 + alpha) / 2.

    Parameters
    ----------
    x : array (d,)
        The point, of floats or of rational numbers.
    alpha : number
        Slope, >= 0.

    Returns
    -------
    tuple of number
        In the type of the arguments.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    checks.vector("x", x)
    checks.real("alpha", alpha, at_least=0.0)
    x = np.asarray(x)

    def f(w: Any, u: Any) -> Any:
        p, q = (w * x).sum(), (u * x).sum()
        return (p if p >= 0 else alpha * p) - (q if q >= 0 else alpha * q)

    return f(x, x), f(x, -x), f(x, (x + -x) / 2)


def proposition1_midpoint(
    *, excess: Any | None = None, alpha: Any, square: Any, case: str = "", note: str = "", tolerance: float = 0.0
) -> Guarantee:
    """Proposition 1(2): by how much f_x at the midpoint exceeds the mean, (1 - alpha) |x|^2 / 2 > 0.

    For y = -1 the loss is 1 + f_x wherever f_x >= -1, so L_{(x, -1)} is not convex. Exact in rational numbers.

    Parameters
    ----------
    excess : number, optional
        Measured: value at the midpoint less the mean of the two values.
    alpha, square : number
        Slope, and |x|^2 > 0.
    case, note : str
        As in :func:`proposition1`.
    tolerance : float
        Absolute, for floating point.

    Returns
    -------
    Guarantee
        The bound, beside what was measured.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    checks.real("alpha", alpha, at_least=0.0)
    checks.real("square", square, at_least=0.0)
    checks.measurements(at_least=None, excess=excess)
    tolerance = checks.real("tolerance", tolerance, at_least=0.0)
    promised = (1 - alpha) * square / 2
    return Guarantee(
        statement_id("separable/prop1-nonconvex", case),
        f"{PAPER}, Proposition 1(2)",
        Kind.EXACT,
        promised,
        None if excess is None else (promised if excess == promised else excess),  # rounded to one float if equal
        (Hypothesis("alpha < 1 and x != 0", bool(promised > 0), f"(1 - alpha) |x|^2 / 2 = {float(promised):g}"),),
        note=note,
        tolerance=tolerance,
    )


def nonconvexity(
    X: ArrayLike, y: ArrayLike, w_star: ArrayLike, *, k: int, v: float, alpha: float
) -> tuple[TwoLayer, TwoLayer, float]:
    """Two points between which L_S itself, for a whole separable set, lies above its chord, and by how much.

    Ours; the paper shows one summand. Let b_+ and b_- be the sums of |<w*, x>| over the two classes. If b_- >= b_+
    take w_i = u_i = -w* against w_i = -w*, u_i = w*, else w_i = u_i = w* against w_i = -w*, u_i = w*. All points
    then have y N(x) <= 0 on the segment, so that L_S = 1 - mean y N(x), and its excess over the chord's midpoint is
    k v (1 - alpha) |b_+ - b_-| / (2 m).

    Proposition 1(2), for all of L_S.

    Parameters
    ----------
    X : array (m, d)
        Points.
    y : array (m,)
        Labels in {-1, +1}.
    w_star : array (d,)
        Separates them: y <w*, x> > 0.
    k : int
        Units of each sign, in 1..10^6.
    v : float
        Size of the output weights, > 0.
    alpha : float
        Slope, in [0, 1).

    Returns
    -------
    tuple of TwoLayer, TwoLayer and float
        The two ends and the excess, which is 0 only if b_+ = b_-.

    Raises
    ------
    ValueError
        If shapes disagree, an argument is outside its range, or w* does not separate.
    """
    X = checks.matrix("X", X)
    y = checks.labels("y", y, length=len(X))
    w_star = checks.vector("w_star", w_star, length=X.shape[1])
    if not (least := float((y * (X @ w_star)).min())) > 0:
        raise RequestError(f"w_star must have y <w*, x> > 0 at all points, got {least:.6g} at one")
    k = checks.size("k", k, at_least=1, at_most=10**6)
    v, alpha = checks.real("v", v, above=0.0), slope(alpha)
    difference = float((X @ w_star).sum())  # b_+ - b_-
    common = -w_star if difference <= 0 else w_star
    output = np.repeat([v, -v], k)
    ends = (TwoLayer(np.tile(common, (2 * k, 1)), output), TwoLayer(np.repeat([-w_star, w_star], k, axis=0), output))
    return *ends, k * v * (1 - alpha) * abs(difference) / (2 * len(X))


def _arguments(
    params: TwoLayer, X: ArrayLike, y: ArrayLike, alpha: float, at_zero: float | None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, float, float]:
    W = checks.matrix("params.W", params.W)
    v = checks.vector("params.v", params.v, length=len(W))
    X = checks.matrix("X", X, columns=W.shape[1])
    y = checks.labels("y", y, length=len(X))
    alpha = slope(alpha)
    usual = 1.0 if alpha > 0 else 0.0
    at_zero = usual if at_zero is None else checks.real("at_zero", at_zero, at_least=alpha, at_most=1.0)
    return W, v, X, y, alpha, at_zero


def _descent(
    W: FloatArray, v: FloatArray, X: FloatArray, y: FloatArray, alpha: float, at_zero: float
) -> tuple[FloatArray, FloatArray, int]:
    """The gradient (2k, d), and of the points with y N(x) < 1 the slopes' sums over m (2k,) and the number."""
    gradient, sums, violated = np.zeros_like(W), np.zeros(len(W)), 0
    size = max(1, 2**20 // len(W))
    for lo in range(0, len(X), size):
        x, label = X[lo : lo + size], y[lo : lo + size]
        Z = x @ W.T
        slopes = np.where(Z > 0, 1.0, np.where(Z < 0, alpha, at_zero))
        kept = label * ((np.where(Z < 0, alpha, 1.0) * Z) @ v) < 1
        gradient -= v[:, None] * (slopes[kept].T @ (label[kept, None] * x[kept])) / len(X)
        sums += slopes[kept].sum(axis=0) / len(X)
        violated += int(kept.sum())
    return gradient, sums, violated
