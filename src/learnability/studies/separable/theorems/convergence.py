"""That SGD ends on linearly separable data, and how soon: Theorem 2 and Corollary 3 of Brutzkus et al.

Every function takes numbers, and measured values where there are any. ``w_norm`` is |w*| for a w* with y <w*, x> >= 1
on all examples: 1 over the margin, at best the hard margin of :func:`learnability.theory.margins.hard_margin`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.studies.separable import PAPER
from learnability.theory.extended import monomial
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, joined, statement_id

__all__ = [
    "alignment_bound",
    "corollary3",
    "corollary3_bound",
    "norm_bound",
    "relaxed_bound",
    "theorem2",
    "update_bound",
]


ROUNDING = 1e-9
"""Relative room for rounding: of bounds, and of norms that were scaled to be 1 or R."""


def update_bound(
    *, w_norm: float, k: int, eta: float, v: float, R: float, alpha: float, c: float = 1.0, C: float = 1.0
) -> float:
    r"""Theorem 2's M_k, for inputs with |x| <= 1; with c and C the relaxed bound, Equation 13.

    .. math:: \frac{C^2 |w^*|^2}{c^2 \alpha^2} + \frac{|w^*|^2}{k \eta c^2 v^2 \alpha^2}
              + \frac{\sqrt{R (8 k^2 \eta^2 C^2 v^2 + 8 \eta k)} |w^*|^{1.5}}{2 k (\eta c v \alpha)^{1.5}}
              + \frac{2 R |w^*|}{\eta c v \alpha}

    The third term is the geometric mean of the fourth and the sum of the first two, and is computed so: no power
    overflows on the way. (In the proof an intermediate display drops C^2; it belongs there.)

    Parameters
    ----------
    w_norm : float
        |w*| > 0.
    k : int
        Units of each sign, >= 1; the network has 2k.
    eta : float
        Step size, > 0.
    v : float
        Size of the output weights (at the start, if they are trained), > 0.
    R : float
        The largest norm of a row of W_0, >= 0.
    alpha : float
        Slope, in (0, 1).
    c, C : float
        The least and the largest v_t / v_0 over all units and times: 0 < c <= 1 <= C.

    Returns
    -------
    float
        Infinite if it exceeds float64's range.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    w_norm, alpha = checks.real("w_norm", w_norm, above=0.0), _slope(alpha)
    k, eta, v, R = _network(k, eta, v, R)
    c = checks.real("c", c, above=0.0, at_most=1.0)
    C = checks.real("C", C, at_least=1.0)
    return _roots(
        w_norm / alpha * math.hypot(C / c, 1 / c / v / math.sqrt(k) / math.sqrt(eta)),
        2 * (R / v) * w_norm / alpha / eta / c,
    )


def corollary3_bound(*, w_norm: float, eta: float, alpha: float) -> float:
    r"""M_k at R = v = 1 / sqrt(2k), where it does not depend on k.

    .. math:: \frac{|w^*|^2}{\alpha^2} \left(1 + \frac{2}{\eta}\right)
              + \sqrt{2 \eta (\eta + 2)} \left(\frac{|w^*|}{\eta \alpha}\right)^{1.5} + \frac{2 |w^*|}{\eta \alpha}

    The closed form behind the paper's |w*|^2 / alpha^2 + O(|w*|^2 / min(eta, sqrt(eta))), whose O hides powers of
    1 / alpha.

    Corollary 3.

    Parameters
    ----------
    w_norm, eta, alpha
        As in :func:`update_bound`.

    Returns
    -------
    float
        A number of updates; infinite if it exceeds float64's range.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    w_norm, alpha = checks.real("w_norm", w_norm, above=0.0), _slope(alpha)
    eta = checks.real("eta", eta, above=0.0)
    return _roots(w_norm / alpha * math.hypot(1.0, math.sqrt(2) / math.sqrt(eta)), 2 * w_norm / alpha / eta)


def _roots(slope: float, offset: float) -> float:
    """What x^2 is at most if x^2 <= slope x + offset: slope^2 + slope sqrt(offset) + offset, both >= 0."""
    between = slope * math.sqrt(offset) if slope > 0 and offset > 0 else 0.0
    return slope * slope + between + offset


def norm_bound(t: ArrayLike, *, start: float, k: int, eta: float, v: float, C: float = 1.0) -> FloatArray:
    """Equation 11: |W_t|^2 <= |W_0|^2 + t (2 k eta^2 C^2 v^2 + 2 eta) after t non-zero updates on |x| <= 1.

    Parameters
    ----------
    t : array (r,)
    start : float
        |W_0|^2 >= 0, the squared Frobenius norm.
    k, eta, v, C
        As in :func:`update_bound`.

    Returns
    -------
    array (r,)

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    k, eta, v, _ = _network(k, eta, v, 0.0)
    C = checks.real("C", C, at_least=1.0)
    start = checks.real("start", start, at_least=0.0)
    return start + _along(t, monomial((2 * k, 1), (eta, 2), (C, 2), (v, 2)) + 2 * eta)


def alignment_bound(
    t: ArrayLike, *, start: float, k: int, eta: float, v: float, alpha: float, c: float = 1.0
) -> FloatArray:
    """Equation 12: <W_t, W*> >= <W_0, W*> + 2 k eta c v alpha t after t non-zero updates.

    ``start`` is <W_0, W*> with W* = (w*, ..., w*, -w*, ..., -w*); the rest as in :func:`norm_bound`.

    Parameters
    ----------
    t : array (r,)
        Numbers of non-zero updates, >= 0.
    start : float
        <W_0, W*>.
    k, eta, v, alpha, c
        As in :func:`update_bound`.

    Returns
    -------
    array (r,)

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    k, eta, v, _ = _network(k, eta, v, 0.0)
    c = checks.real("c", c, above=0.0, at_most=1.0)
    start = checks.real("start", start)
    return start + _along(t, monomial((2 * k, 1), (eta, 1), (c, 1), (v, 1), (_slope(alpha), 1)))


def theorem2(
    *,
    w_norm: float | None,
    k: int,
    eta: float,
    v: float,
    R: float,
    alpha: float,
    input_norm: float = 1.0,
    row_norm: float | None = None,
    updates: int | None = None,
    ended: bool = True,
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Theorem 2: SGD on the first layer makes at most M_k non-zero updates, in whatever order examples come.

    So it ends, at a global minimum of the loss. M_k (:func:`update_bound`) is |w*|^2 / alpha^2 plus terms that fall
    with the step, and does not grow with the width where R = v = 1 / sqrt(2k).

    Parameters
    ----------
    w_norm : float or None
        |w*| > 0; ``None`` or infinite if the examples are not separable: then all is outside the hypotheses.
    k, eta, v, R : number
        As in :func:`update_bound`.
    alpha : float
        Slope, >= 0; the theorem is about 0 < alpha < 1.
    input_norm : float
        The largest |x|, >= 0; the theorem is about |x| <= 1.
    row_norm : float, optional
        The largest norm of a row of W_0, to be compared with R.
    updates : int, optional
        Measured number of non-zero updates.
    ended : bool
        Whether no update was left: otherwise nothing is measured, unless the bound is already exceeded.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        Updates against M_k; no bound outside the hypotheses.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Errata
    ------
    That W* = (w*, ..., w*, -w*, ..., -w*) has loss 0 needs k v (1 + alpha) >= 1; the proof uses its direction only.
    """
    hypotheses, inside = _hypotheses(w_norm, alpha, input_norm, R, row_norm)
    k, eta, v, R = _network(k, eta, v, R)
    bound = update_bound(w_norm=w_norm or 0.0, k=k, eta=eta, v=v, R=R, alpha=alpha) if inside else None
    return _updates("separable/thm2", f"{PAPER}, Theorem 2", bound, hypotheses, updates, ended, case, note)


def corollary3(
    *,
    w_norm: float | None,
    eta: float,
    alpha: float,
    input_norm: float = 1.0,
    updates: int | None = None,
    ended: bool = True,
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Corollary 3: Theorem 2 at R = v = 1 / sqrt(2k), a number of updates whatever the width.

    It is |w*|^2 / alpha^2 (1 + 2 / eta) and smaller terms (:func:`corollary3_bound`).

    Parameters
    ----------
    w_norm, eta, alpha, input_norm, updates, ended, case, note
        As in :func:`theorem2`.

    Returns
    -------
    Guarantee
        Updates against :func:`corollary3_bound`; no bound outside the hypotheses.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    hypotheses, inside = _hypotheses(w_norm, alpha, input_norm, 0.0, None)
    eta = checks.real("eta", eta, above=0.0)
    bound = corollary3_bound(w_norm=w_norm or 0.0, eta=eta, alpha=alpha) if inside else None
    source = f"{PAPER}, Corollary 3 (closed form ours)"
    return _updates("separable/cor3", source, bound, hypotheses, updates, ended, case, note)


def relaxed_bound(
    *,
    w_norm: float | None,
    k: int,
    eta: float,
    v: float,
    R: float,
    alpha: float,
    c: float,
    C: float,
    input_norm: float = 1.0,
    row_norm: float | None = None,
    updates: int | None = None,
    ended: bool = True,
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Equation 13: the bound of Theorem 2 where the second layer moves too, without changing a sign.

    Where all output weights stay between c and C times their start, c > 0, SGD on both layers makes at most
    :func:`update_bound` of these c and C non-zero updates, and so ends too.

    Parameters
    ----------
    c, C : float
        The least and the largest v_t / v_0 over all units and all times from t = 0 on, so c <= 1 <= C. If c <= 0 a
        weight has changed its sign (or vanished) and the statement does not apply.
    w_norm, k, eta, v, R, alpha, input_norm, row_norm, updates, ended, case, note
        As in :func:`theorem2`. Every |v_0| is v.

    Returns
    -------
    Guarantee
        Updates against the relaxed bound; no bound outside the hypotheses.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Errata
    ------
    Equation 8 starts the trained output weights of one half at -v, where Equation 10 and the proof count their sizes
    as positive: sizes are meant here. One display drops C^2. With both layers moving at once, each by the other's
    old weights, c and C run over t = 0..T, so that c <= 1 <= C.
    """
    c = checks.real("c", c, at_most=1.0)
    C = checks.real("C", C, at_least=1.0)
    moved = Hypothesis("no output weight changes its sign: c > 0", c > 0, f"c = {c:.6g}, C = {C:.6g}")
    hypotheses, inside = _hypotheses(w_norm, alpha, input_norm, R, row_norm)
    k, eta, v, R = _network(k, eta, v, R)
    bound = None
    if inside and c > 0:
        bound = update_bound(w_norm=w_norm or 0.0, k=k, eta=eta, v=v, R=R, alpha=alpha, c=c, C=C)
    source = f"{PAPER}, Section 9.1.2, Equation 13"
    return _updates("separable/thm2-relaxed", source, bound, (*hypotheses, moved), updates, ended, case, note)


def _along(t: ArrayLike, each: float) -> FloatArray:
    """What t updates come to, each of them ``each``, which may be infinite."""
    times = checks.vector("t", np.atleast_1d(t), at_least=0.0)
    with np.errstate(over="ignore"):
        return np.multiply(times, each, out=np.zeros_like(times), where=times > 0)


def _updates(
    statement: str,
    source: str,
    bound: float | None,
    hypotheses: tuple[Hypothesis, ...],
    updates: int | None,
    ended: bool,
    case: str,
    note: str,
) -> Guarantee:
    """A limit for the number of updates beside the number made."""
    if updates is not None:
        updates = checks.size("updates", updates, at_least=0)
        if not ended and (bound is None or updates <= bound):
            note = joined(f"{updates} updates so far, and not at an end", note)
            updates = None
    room = ROUNDING * bound if bound is not None and math.isfinite(bound) else 0.0
    identity = statement_id(statement, case)
    return Guarantee(identity, source, Kind.UPPER_BOUND, bound, updates, hypotheses, note, tolerance=room)


def _hypotheses(
    w_norm: float | None, alpha: float, input_norm: float, R: float, row_norm: float | None
) -> tuple[tuple[Hypothesis, ...], bool]:
    """What Theorem 2 asks of the data, the slope and the start, with the values; and whether it has a bound here."""
    separable = w_norm is not None and w_norm != math.inf
    if separable:
        checks.real("w_norm", w_norm, above=0.0)
    alpha = checks.real("alpha", alpha, at_least=0.0)
    input_norm = checks.real("input_norm", input_norm, at_least=0.0)
    found = [
        Hypothesis("linearly separable", separable, f"|w*| = {w_norm:.6g}" if separable else "no w* exists"),
        Hypothesis("|x| <= 1", input_norm <= 1 + ROUNDING, f"largest |x| = {input_norm:.9g}"),
        Hypothesis("0 < alpha < 1", 0 < alpha < 1, f"alpha = {alpha:.6g}"),
    ]
    if row_norm is not None:
        row_norm, R = checks.real("row_norm", row_norm, at_least=0.0), checks.real("R", R, at_least=0.0)
        detail = f"{row_norm:.9g} against R = {R:.9g}"
        found.append(Hypothesis("rows of W_0 <= R", row_norm <= R * (1 + ROUNDING), detail))
    return tuple(found), separable and 0 < alpha < 1


def _network(k: int, eta: float, v: float, R: float) -> tuple[int, float, float, float]:
    k = checks.integer("k", k, at_least=1)
    checks.real("k", k)  # within float64's range
    return (k, checks.real("eta", eta, above=0.0), checks.real("v", v, above=0.0), checks.real("R", R, at_least=0.0))


def _slope(alpha: float) -> float:
    return checks.real("alpha", alpha, above=0.0, below=1)
