"""The perceptron's stability when the hidden layer moves too: Lemma 4 of Nachum & Yehudayoff, Section 3.2.

With Theorem 2, of :mod:`learnability.studies.symmetry.theorems.perceptron`. Everything is lifted: points are (v, 1),
R = max |(v, 1)|, and the norm of the output layer is that of (M, b).
"""

from __future__ import annotations

import math
from numbers import Rational

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.studies.symmetry import claim
from learnability.studies.symmetry.theorems.perceptron import (
    ROUNDING,
    final_margin_bound,
    separable,
    theorem2,
    update_bound,
)
from learnability.theory import extended
from learnability.theory.extended import monomial
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, joined, statement_id

__all__ = [
    "MOST",
    "STEP_LIMITS",
    "final_margin_bound",
    "lemma4",
    "lemma4_hypotheses",
    "lemma4_step_limit",
    "movement_bound",
    "norm_bound",
    "theorem2",
    "update_bound",
]


MOST = {"relu": 3.02, "sigmoid": 3.33}
"""Lemma 4 (iii): updates are at most this times R^2 / gamma^2. The paper has 20."""

LEAST = {"relu": 0.332, "sigmoid": 0.316}
"""The margin on the sample in the end is at least this times gamma. The proof of Theorem 1 uses 0.9 / 3."""

STEP_LIMITS = {"relu": "gamma^(5/2) / (100 R^2 R_X)", "sigmoid": "gamma^2 / (17 R^2 sqrt(R_X^2 + 1))"}
"""The largest step, in words: :func:`lemma4_step_limit`."""

_NORM = {"relu": 3.0038, "sigmoid": 3.0}
_SLOPE = {"relu": 1.0, "sigmoid": (5 / 4) ** 2}


def lemma4_step_limit(*, margin: float, radius: float, input_radius: float, activation: str = "relu") -> float:
    r"""The largest step: Lemma 4's gamma^(5/2) / (100 R^2 R_X), or for sigmoids gamma^2 / (17 R^2 sqrt(R_X^2 + 1)).

    **Constants.** Let beta = R^2 h. A step moves the pre-activation of neuron j at any input by at most h \|M_j\|
    (R_X^2 + 1), so a point by at most s h \|M\| (R_X^2 + 1), with s = 1 for ReLU; for sigma(5 z), whose slope is at
    most 5/4 and enters twice, s = 25/16. Suppose that all points of the first t <= 4 R^2 / gamma^2 updates had
    \|(v, 1)\|^2 <= (c - 2) R^2. Then \|(M, b)\| <= sqrt(c t) R h, as in Theorem 2, and by then no point has moved
    more than

        delta = (2/3) s sqrt(c) (R_X^2 + 1) R h^2 t^(3/2),

    as the sum of sqrt(k) over k < t is at most (2/3) t^(3/2).

    *ReLU.* At the largest step, with R_X^2 + 1 <= 2 R_X^2, gamma <= 1 and R >= 1, delta <= .00185 gamma^2, so that
    c = 2 + 1.00185^2 <= 3.0038 is true one update later too: the supposition proves itself. Points keep the margin
    .99815 gamma, and the perceptron's proof gives t <= c R^2 / (.99815 gamma)^2 <= 3.02 R^2 / gamma^2: training ends
    before 4 R^2 / gamma^2. On the sample y f > beta in the end, so the margin is at least R^2 h / \|(M, b)\| >=
    gamma / sqrt(3.0038 * 3.015) >= .332 gamma.

    *Sigmoids.* "A similar proof is available with sigmoid activation (with better convergence rate and larger allowed
    step size)", says the paper and gives none; this is it. Read R as sqrt(L + 1), L neurons: no point is ever longer,
    so c = 3 from the start, whatever moves. At the largest step delta <= gamma / 20 (25 sqrt(3) / 3 * 20 <= 17^2), so
    points keep .95 gamma, t <= 3 R^2 / (.95 gamma)^2 <= 3.33 R^2 / gamma^2, and the final margin is at least
    gamma / sqrt(3 * 3.33) >= .316 gamma.

    Either way inputs of the same weight end no farther apart than 2 delta < .3 gamma, less than the margin, so all
    that have the weight of an example get its label: which is what Theorem 1 needs.

    Parameters
    ----------
    margin, radius, input_radius : float
        gamma, R and R_X, all > 0.
    activation : {"relu", "sigmoid"}

    Returns
    -------
    float
        The largest h.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    margin = checks.real("margin", margin, above=0.0)
    radius = checks.real("radius", radius, above=0.0)
    input_radius = checks.real("input_radius", input_radius, above=0.0)
    if checks.choice("activation", activation, tuple(MOST)) == "sigmoid":
        return monomial((margin, 2), (17, -1), (radius, -2), (math.hypot(input_radius, 1), -1))
    return monomial((margin, 2.5), (100, -1), (radius, -2), (input_radius, -1))


def movement_bound(
    t: ArrayLike, *, h: float, radius: float, input_radius: float, activation: str = "relu"
) -> FloatArray:
    """Lemma 4 (i): after t updates no embedded point has moved more than 1.16 (R_X^2 + 1) R h^2 t^(3/2).

    Promised where :func:`lemma4_hypotheses` hold. The paper has O(R_X h^2 R t^(3/2)) with a lost exponent at R_X; the
    derivation gives 2, and the constant: delta in :func:`lemma4_step_limit`. For sigmoids it is 1.81.

    Parameters
    ----------
    t : array (r,)
        Numbers of updates, >= 0.
    h : float
        Step size, > 0.
    radius, input_radius : float
        R and R_X, > 0, as in :func:`lemma4`.
    activation : {"relu", "sigmoid"}

    Returns
    -------
    array (r,)
        Distances, in the units of the embedding.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    t, h, radius, activation = _along(t, h, radius, activation)
    input_radius = checks.real("input_radius", input_radius, above=0.0)
    constant = 2 / 3 * _SLOPE[activation] * math.sqrt(_NORM[activation])
    factors = (constant, 1), (math.hypot(input_radius, 1), 2), (radius, 1), (h, 2)
    return np.array([monomial(*factors, (time, 1.5)) for time in t.tolist()])


def norm_bound(t: ArrayLike, *, h: float, radius: float, activation: str = "relu") -> FloatArray:
    """Lemma 4 (ii): after t updates |(M, b)| <= sqrt(3.0038 t) R h, for sigmoids sqrt(3 t) R h.

    Promised where :func:`lemma4_hypotheses` hold; see :func:`lemma4_step_limit`.

    Parameters
    ----------
    t, h, radius, activation
        As in :func:`movement_bound`.

    Returns
    -------
    array (r,)
        Norms of (M, b).

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    t, h, radius, activation = _along(t, h, radius, activation)
    return math.sqrt(_NORM[activation]) * radius * h * np.sqrt(t)


def _along(t: ArrayLike, h: object, radius: float, activation: str) -> tuple[FloatArray, float, float, str]:
    """What the bounds along a run share, checked."""
    return (
        checks.vector("t", np.atleast_1d(t), at_least=0.0),
        checks.real("h", h, above=0.0),
        checks.real("radius", radius, above=0.0),
        checks.choice("activation", activation, tuple(MOST)),
    )


def lemma4_hypotheses(
    *,
    h: float | Rational,
    beta: float | Rational,
    margin: float,
    radius: float,
    input_radius: float,
    starts_at_zero: bool = True,
    activation: str = "relu",
) -> tuple[Hypothesis, ...]:
    """What Lemma 4 asks of step size, confidence, margin, input norm and start.

    0 < h <= gamma^(5/2) / (100 R^2 R_X) or the limit for sigmoids, 0 < gamma <= 1, R_X > 1, beta = R^2 h, and
    M = 0, b = 0 at the start.
    ``beta`` counts as R^2 h within 1e-9 relative, so that floats may come too.

    Parameters
    ----------
    h, beta, margin, radius, input_radius, starts_at_zero, activation
        As in :func:`lemma4`.

    Returns
    -------
    tuple of Hypothesis
        Six, each with the values compared.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    h, beta = checks.real("h", h, above=0.0), checks.real("beta", beta, at_least=0.0)
    margin, radius = checks.real("margin", margin), checks.real("radius", radius, above=0.0)
    input_radius = checks.real("input_radius", input_radius, above=0.0)
    limit = 0.0
    if margin > 0:
        limit = lemma4_step_limit(margin=margin, radius=radius, input_radius=input_radius, activation=activation)
    wanted = monomial((radius, 2), (h, 1))
    return (
        separable(margin),
        Hypothesis(f"h <= {STEP_LIMITS[activation]}", h <= limit * (1 + ROUNDING), f"{h:.6g} against {limit:.6g}"),
        Hypothesis("gamma <= 1", margin <= 1, f"gamma = {margin:.6g}"),
        Hypothesis("R_X > 1", input_radius > 1, f"R_X = {input_radius:.6g}"),
        Hypothesis("beta = R^2 h", abs(beta - wanted) <= ROUNDING * wanted, f"{beta:.9g} against {wanted:.9g}"),
        Hypothesis("M = 0 and b = 0 at the start", bool(starts_at_zero)),
    )


def lemma4(
    *,
    h: float | Rational,
    beta: float | Rational,
    margin: float,
    radius: float,
    input_radius: float,
    updates: ArrayLike | None = None,
    movement: ArrayLike | None = None,
    norm: ArrayLike | None = None,
    ended: bool = True,
    starts_at_zero: bool = True,
    final_margin: float | None = None,
    activation: str = "relu",
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Lemma 4: with a small step both layers train like the perceptron on a fixed embedding.

    After t updates (i) every embedded point has moved at most 1.16 (R_X^2 + 1) R h^2 t^(3/2), (ii) |(M, b)| is
    at most sqrt(3.0038 t) R h; (iii) training ends within 3.02 R^2 / gamma^2 updates; and (iv), from the proof of
    Theorem 1, the margin on the sample is at least .332 gamma then. The paper gives orders, 20 for (iii) and .3 for
    (iv); the constants, and those for sigmoids, are derived in :func:`lemma4_step_limit`.

    Parameters
    ----------
    h, beta : float or exact rational
        Step size and confidence.
    margin, radius, input_radius : float
        gamma and R of the initial lifted embedding (for sigmoids R = sqrt(L + 1)), R_X = max |x|. With gamma <= 0
        all is outside the hypotheses, and (iii) has no bound.
    updates, movement, norm : array (r,), optional
        Along a run, at the same records: number of updates, largest distance of an embedded point from its
        start, |(M, b)|. (i) and (ii) report the record with the least relative slack.
    ended : bool
        Whether the run ended because no update was left: else (iii) is not measured unless already exceeded.
    starts_at_zero : bool
        Whether M = 0 and b = 0 at the start.
    final_margin : float, optional
        Measured: that of the output on the sample in the end.
    activation : {"relu", "sigmoid"}
    case, note : str
        As in :func:`theorem2`.

    Returns
    -------
    list of Guarantee
        Movement, norm, updates and final margin: (i) to (iv).

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Hypotheses
    ----------
    The step h is so small that no embedded point moves by a noticeable part of gamma while training lasts; gamma is
    the margin of the embedding at the start, R its largest length with the bias, R_X the largest |x|; the
    confidence beta is R^2 h exactly, so that the perceptron's bound has no free number left.

    Errata
    ------
    The exponent of R_X in (i) is lost in the copies at hand: the derivation gives 2. With R(t) <= 2 R, as the proof
    has it, Theorem 2 gives a final margin of .9 gamma / 6, not the .9 gamma / 3 that Theorem 1 uses: followed with
    its own numbers the argument gives R(t) <= 1.00185 R and the constants here. For sigmoids the paper claims a
    "similar proof" and gives none. The experiments of Section 5 lie outside of the lemma: at n = 30 their h = n^-6
    is twelve times the largest step.
    """
    checks.measurements(at_least=None, final_margin=final_margin)
    hypotheses = lemma4_hypotheses(
        h=h,
        beta=beta,
        margin=margin,
        radius=radius,
        input_radius=input_radius,
        starts_at_zero=starts_at_zero,
        activation=activation,
    )
    most = MOST[activation] * monomial((radius, 2), (margin, -2)) if margin > 0 else None
    least = LEAST[activation] * margin if margin > 0 else None
    t = checks.vector("updates", np.empty(0) if updates is None else updates, at_least=0.0)
    h = float(h)

    def part(
        name: str,
        bound: float | None,
        measured: float | None,
        where: str = "",
        rounding: float = ROUNDING,
        kind: Kind = Kind.UPPER_BOUND,
    ) -> Guarantee:
        identity, said, room = (
            statement_id(f"lemma4-{name}", case),
            joined(where, note),
            extended.room(rounding, bound),
        )
        more = {"hypotheses": hypotheses, "tolerance": room}
        return claim(identity, "Lemma 4", bound, measured, "", said, kind, **more)

    def along(name: str, bounds: FloatArray, values: ArrayLike | None) -> Guarantee:
        if values is None or not (t > 0).any():
            return part(name, None, None)
        found = checks.vector(name, values, length=len(t), at_least=0.0)[t > 0]
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            ratios = np.where(found > 0, found / bounds[t > 0], 0.0)
        worst = int(np.argmax(ratios))
        bound = float(bounds[t > 0][worst])
        where = f"record with the least relative slack, after {t[t > 0][worst]:.0f} updates"
        return part(name, bound, float(found[worst]), where)

    last = float(t.max()) if len(t) else None
    known = last if last is not None and (ended or most is None or last > most) else None
    moved = movement_bound(t, h=h, radius=radius, input_radius=input_radius, activation=activation)
    return [
        along("movement", moved, movement),
        along("norm", norm_bound(t, h=h, radius=radius, activation=activation), norm),
        part("updates", most, known, rounding=0.0),
        part("margin", least, final_margin if ended else None, kind=Kind.LOWER_BOUND),
    ]
