"""The modified perceptron (Theorem 2) and its stability when the hidden layer moves too (Lemma 4).

Nachum & Yehudayoff, Section 3.1 and 3.2. Everything is lifted: points are (v, 1), R = max |(v, 1)|, and the
norm of the output layer is that of (M, b); the perceptron's proof needs both.
"""

from __future__ import annotations

import math
from numbers import Rational

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.studies.symmetry import claim
from learnability.studies.symmetry.theorems.lemmas_thm1 import joined
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, statement_id

__all__ = [
    "final_margin_bound",
    "lemma4",
    "lemma4_hypotheses",
    "lemma4_step_limit",
    "movement_bound",
    "norm_bound",
    "theorem2",
    "update_bound",
]


ROUNDING = 1e-9
"""Relative room for rounding: bounds are attained (one point and beta = 0 give exactly one update)."""


# Theorem 2


def update_bound(*, h: float, beta: float, margin: float, radius: float) -> float:
    """Theorem 2: the modified perceptron updates at most (2 beta / h + R^2) / gamma^2 times.

    From w_t . w* >= gamma h t and |w_t|^2 <= |w_{t-1}|^2 + 2 beta h + R^2 h^2 (the printed lines drop an h
    and a square). With beta = R^2 h this is 3 R^2 / gamma^2.

    Parameters
    ----------
    h : float
        Step size, > 0.
    beta : float
        Confidence, >= 0: points with y w . v <= beta are updated on.
    margin : float
        gamma = marg(Y) > 0 of the points.
    radius : float
        R = max |v| > 0.
    """
    h, beta, margin, radius = _perceptron(h, beta, margin, radius)
    return (2 * beta / h + radius**2) / margin**2


def final_margin_bound(*, h: float, beta: float, margin: float, radius: float) -> float:
    """Theorem 2: the output separates with margin at least gamma beta h / (2 beta h + (R h)^2).

    Parameters as above. With beta = R^2 h this is gamma / 3; with beta = 0 it is 0, that is, nothing.
    """
    h, beta, margin, radius = _perceptron(h, beta, margin, radius)
    return margin * beta / (2 * beta + radius**2 * h)


def theorem2(
    *,
    h: float,
    beta: float,
    margin: float,
    radius: float,
    updates: int | None = None,
    final_margin: float | None = None,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Theorem 2 as two guarantees: number of updates, and margin of the result.

    Parameters
    ----------
    h, beta, margin, radius : float
        As in :func:`update_bound`; with a margin <= 0 the theorem says nothing, and the guarantees are
        outside their hypotheses, without a bound.
    updates : int, optional
        Measured number of updates until no point is left with y w . v <= beta.
    final_margin : float, optional
        Measured marg(w, Y) of the resulting w.
    case, note : str
        Put into the id in brackets, and into the note.
    """
    h, beta, margin, radius = _perceptron(h, beta, margin, radius, separable=False)
    bound = least = None
    if margin > 0:
        bound = update_bound(h=h, beta=beta, margin=margin, radius=radius)
        least = final_margin_bound(h=h, beta=beta, margin=margin, radius=radius)
    vacuous = "vacuous: beta = 0 promises no margin" if beta == 0 else ""

    def part(name: str, kind: Kind, bound: float | None, measured: float | None, room: float, said: str) -> Guarantee:
        more = {"hypotheses": (_separable(margin),), "tolerance": ROUNDING * room}
        return claim(statement_id(f"theorem2-{name}", case), "Theorem 2", bound, measured, "", said, kind, **more)

    return [
        part("updates", Kind.UPPER_BOUND, bound, updates, bound or 0.0, note),
        part("margin", Kind.LOWER_BOUND, least, final_margin, abs(margin), joined(vacuous, note)),
    ]


# Lemma 4


def lemma4_step_limit(*, margin: float, radius: float, input_radius: float) -> float:
    """Lemma 4's largest step, gamma^(5/2) / (100 R^2 R_X); all three > 0."""
    margin = checks.real("margin", margin, above=0.0)
    radius = checks.real("radius", radius, above=0.0)
    input_radius = checks.real("input_radius", input_radius, above=0.0)
    return math.pow(margin, 2.5) / (100 * radius**2 * input_radius)


def movement_bound(t: ArrayLike, *, h: float, radius: float, input_radius: float) -> FloatArray:
    """Lemma 4 (i): after t updates no embedded point has moved more than 2 sqrt(6) R_X^2 h^2 R t^(3/2).

    The paper has O(R_X h^2 R t^(3/2)) with a lost exponent at R_X; the derivation gives 2, and the constant:
    |M(t)| <= sqrt(6) R h sqrt(t) by (ii), and a step moves a point by at most 2 R_X^2 h |M|.
    """
    t = checks.vector("t", np.atleast_1d(t))
    return 2 * math.sqrt(6) * input_radius**2 * float(h) ** 2 * radius * t**1.5


def norm_bound(t: ArrayLike, *, h: float, radius: float) -> FloatArray:
    """Lemma 4 (ii): after t updates |(M, b)| <= sqrt(6) R h sqrt(t).

    From |M(t)|^2 <= t ((R(t) h)^2 + 2 beta h) with beta = R^2 h and R(t)^2 <= 4 R^2.
    """
    t = checks.vector("t", np.atleast_1d(t))
    return math.sqrt(6) * radius * float(h) * np.sqrt(t)


def lemma4_hypotheses(
    *,
    h: float | Rational,
    beta: float | Rational,
    margin: float,
    radius: float,
    input_radius: float,
    starts_at_zero: bool = True,
) -> tuple[Hypothesis, ...]:
    """What Lemma 4 asks of step size, confidence, margin, input norm and start.

    0 < h <= gamma^(5/2) / (100 R^2 R_X), 0 < gamma <= 1, R_X > 1, beta = R^2 h, and M = 0, b = 0 at the start.
    ``beta`` counts as R^2 h within 1e-9 relative, so that floats may come too.
    """
    h, beta, margin, radius = _perceptron(h, beta, margin, radius, separable=False)
    input_radius = checks.real("input_radius", input_radius, above=0.0)
    limit = lemma4_step_limit(margin=margin, radius=radius, input_radius=input_radius) if margin > 0 else 0.0
    wanted = radius**2 * h
    return (
        _separable(margin),
        Hypothesis("h <= gamma^(5/2) / (100 R^2 R_X)", h <= limit * (1 + ROUNDING), f"{h:.6g} against {limit:.6g}"),
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
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Lemma 4: with a small step both layers train like the perceptron on a fixed embedding.

    After t updates (i) every embedded point has moved at most 2 sqrt(6) R_X^2 h^2 R t^(3/2), (ii) |(M, b)| is
    at most sqrt(6) R h sqrt(t); and (iii) training ends within 20 R^2 / gamma^2 updates. The paper gives
    orders (and 20); the constants of (i) and (ii) are derived in :func:`movement_bound` and
    :func:`norm_bound`.

    Parameters
    ----------
    h, beta : float or exact rational
        Step size and confidence.
    margin, radius, input_radius : float
        gamma and R of the initial lifted embedding, R_X = max |x|. With gamma <= 0 all is outside the
        hypotheses, and (iii) has no bound.
    updates, movement, norm : array (r,), optional
        Along a run, at the same records: number of updates, largest distance of an embedded point from its
        start, |(M, b)|. (i) and (ii) report the record with the least relative slack.
    ended : bool
        Whether the run ended because no update was left: else (iii) is not measured unless already exceeded.
    starts_at_zero : bool
        Whether M = 0 and b = 0 at the start.
    case, note : str
        As in :func:`theorem2`.
    """
    hypotheses = lemma4_hypotheses(
        h=h, beta=beta, margin=margin, radius=radius, input_radius=input_radius, starts_at_zero=starts_at_zero
    )
    most = 20 * radius**2 / margin**2 if margin > 0 else None
    t = checks.vector("updates", np.empty(0) if updates is None else updates)
    h = float(h)

    def part(
        name: str, bound: float | None, measured: float | None, where: str = "", rounding: float = ROUNDING
    ) -> Guarantee:
        identity, said, room = statement_id(f"lemma4-{name}", case), joined(where, note), rounding * (bound or 0.0)
        more = {"hypotheses": hypotheses, "tolerance": room}
        return claim(identity, "Lemma 4", bound, measured, "at_most", said, Kind.UPPER_BOUND, **more)

    def along(name: str, bounds: FloatArray, values: ArrayLike | None) -> Guarantee:
        if values is None or not (t > 0).any():
            return part(name, None, None)
        ratios = checks.vector(name, values, length=len(t))[t > 0] / bounds[t > 0]
        worst = int(np.argmax(ratios))
        bound = float(bounds[t > 0][worst])
        where = f"record with the least relative slack, after {t[t > 0][worst]:.0f} updates"
        return part(name, bound, float(ratios[worst]) * bound, where)

    last = float(t.max()) if len(t) else None
    known = last if last is not None and (ended or most is None or last > most) else None
    return [
        along("movement", movement_bound(t, h=h, radius=radius, input_radius=input_radius), movement),
        along("norm", norm_bound(t, h=h, radius=radius), norm),
        part("updates", most, known, rounding=0.0),
    ]


def _separable(margin: float) -> Hypothesis:
    return Hypothesis("marg(Y) > 0", margin > 0, f"gamma = {margin:.6g}")


def _perceptron(
    h: object, beta: object, margin: float, radius: float, *, separable: bool = True
) -> tuple[float, float, float, float]:
    return (
        checks.real("h", h, above=0.0),
        checks.real("beta", beta, at_least=0.0),
        checks.real("margin", margin, above=0.0 if separable else None),
        checks.real("radius", radius, above=0.0),
    )
