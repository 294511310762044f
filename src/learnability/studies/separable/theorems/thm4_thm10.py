r"""Theorems 4 and 10 of Brutzkus et al.: a sequence on which SGD makes many updates, and exactly how many.

The examples are (e_1, 1), ..., (e_d, 1), over and over; w* = (1, ..., 1), so |w*|^2 = d. All units of a sign start
alike, at w = -(R / sqrt(d)) (1, ..., 1) and u = +(R / sqrt(d)) (1, ..., 1). Coordinates do not interact, so two
numbers describe the run: a = k v <w, e_j> and b = k v <u, e_j>. With

.. math:: h = k \eta v^2, \qquad r = k v R / \sqrt{d}

they start at a = -r, b = r; the output is sigma(a) - sigma(b), and an update adds h (alpha h if a < 0) to a and
takes h (alpha h if b < 0) from b. At R = v = 1 / sqrt(2k), h = eta / 2 and r = 1 / (2 sqrt(d)): the run does not
depend on k.
Everything here is computed in exact rational arithmetic; a float stands for the rational number that it is, and the
root of d is taken to 40 digits.
"""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Rational
from typing import NamedTuple

from learnability import checks
from learnability.errors import RequestError
from learnability.studies.separable import PAPER
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, joined, statement_id

__all__ = ["lower_bound", "sequence_updates", "theorem4"]

FORMS = ("printed", "corrected", "sharp", "simple")

Number = float | Rational


class _Sequence(NamedTuple):
    """The run in its own units."""

    d: int
    root: Fraction
    """|w*| = sqrt(d)."""
    h: Fraction
    r: Fraction
    alpha: Fraction


def lower_bound(
    *, d: int, k: int, eta: Number, alpha: Number, v: Number | None = None, R: Number | None = None, form: str
) -> Fraction:
    r"""A number of updates that SGD exceeds or attains on the sequence.

    Every form is :math:`\max\{\min\{B_1, B_2\}, |w^*|^2\}`: an output of 1 needs w to have come to 1 / (2 k v) or u
    to -1 / (2 alpha k v), and each of the d examples needs an update.

    ``printed``, Theorem 10 as it stands:

    .. math:: B_1 = \frac{R |w^*|}{\eta v \alpha} + \min\{\frac{|w^*|^2}{2 \eta k v^2} - \alpha |w^*|, 0\}, \quad
              B_2 = \frac{R |w^*|}{\eta v} + \min\{\frac{|w^*|^2}{2 \alpha^2 \eta k v^2} - \frac{|w^*|}{\alpha}, 0\}

    ``corrected``: a number of further steps is a maximum with 0, not a minimum; and with the maximum, |w*|^2 must
    stand in the subtracted terms, as in the proof.

    ``sharp``: ours, by the same argument without loss. Measure a by the steps it takes to come there, a / (alpha h)
    below 0 and a / h above: no step, and in particular not the one that crosses 0, gains more than 1. So nothing
    is subtracted from B_1. For u the step that crosses 0 gains up to 1 / alpha, so |w*|^2 (1 / alpha - 1) is
    subtracted from B_2.

    ``simple``, for R = v = 1 / sqrt(2k) only: max{|w*|^2, (|w*|^2 + |w*|) / eta}, which follows from ``sharp`` for
    every eta and alpha. The paper's Theorem 4 has Omega(|w*| / eta + |w*|^2).

    Parameters
    ----------
    d, k : int
        Dimension and units of each sign, >= 1.
    eta : float or exact rational
        Step size, > 0.
    alpha : float or exact rational
        Slope, in (0, 1).
    v, R : float or exact rational, optional
        Size of the output weights, > 0, and norm of the rows of W_0, >= 0; both or neither. By default
        1 / sqrt(2k), which is Theorem 4.
    form : {"printed", "corrected", "sharp", "simple"}

    Returns
    -------
    Fraction
        Exact, but for the root of d.

    Raises
    ------
    ValueError
        If an argument is outside its range, or one of v and R is missing.
    """
    form = checks.choice("form", form, FORMS)
    if form == "simple" and v is not None:
        raise RequestError(f"form 'simple' must come without v and R, got v={v!r}, R={R!r}")
    d, root, h, r, alpha = _sequence(d, k, eta, v, R, alpha)
    if form == "simple":
        return max(Fraction(d), (d + root) / (2 * h))
    through_w, through_u = d / (2 * h), d / (2 * alpha**2 * h)
    if form == "printed":
        through_w, through_u = min(through_w - alpha * root, Fraction()), min(through_u - root / alpha, Fraction())
    elif form == "corrected":
        through_w, through_u = max(through_w - alpha * d, Fraction()), max(through_u - d / alpha, Fraction())
    else:
        through_u = max(through_u - d * (1 / alpha - 1), Fraction())
    return max(min(d * r / (alpha * h) + through_w, d * r / h + through_u), Fraction(d))


def sequence_updates(
    *, d: int, k: int, eta: Number, alpha: Number, v: Number | None = None, R: Number | None = None
) -> int:
    """The exact number of updates on the sequence, until every example has output 1 or more.

    d times the least number of updates of one coordinate, found by bisection: after n of them a and b are piecewise
    linear in n, and the output increases with n. In the cyclic order every visit is an update
    until none is.

    Ours, on the sequence of Theorem 10.

    Parameters
    ----------
    d, k, eta, alpha, v, R
        As in :func:`lower_bound`.

    Returns
    -------
    int
        A multiple of d.

    Raises
    ------
    ValueError
        If an argument is outside its range, or one of v and R is missing.
    """
    d, _, h, r, alpha = _sequence(d, k, eta, v, R, alpha)
    slow_w = math.ceil(r / (alpha * h))  # updates while a < 0
    fast_u = math.floor(r / h) + 1  # updates while b >= 0

    def output(n: int) -> Fraction:
        a = -r + h * (alpha * min(n, slow_w) + max(n - slow_w, 0))
        b = r - h * (min(n, fast_u) + alpha * max(n - fast_u, 0))
        return max(a, alpha * a) - max(b, alpha * b)

    most = 1
    while output(most) < 1:
        most *= 2
    least = most // 2  # not enough, and most is
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if output(middle) < 1 else (least, middle)
    return d * most


def theorem4(
    *,
    d: int,
    k: int,
    eta: Number,
    alpha: Number,
    v: Number | None = None,
    R: Number | None = None,
    updates: int | None = None,
    ended: bool = True,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Theorem 10 (Theorem 4 at the start R = v = 1 / sqrt(2k)): on this sequence SGD makes many updates.

    The d unit vectors, all labelled +1, come over and over. The number of updates is at least max{min{B_1, B_2},
    d}, which is of the order d (1 + 1 / eta) at Theorem 4's start (:func:`lower_bound`): as |w*|^2 = d, the |w*|^2
    of Corollary 3 cannot be done without.

    Parameters
    ----------
    d, k, eta, alpha, v, R
        As in :func:`lower_bound`, but alpha may be any number >= 0: outside (0, 1) the statement says nothing.
    updates : int, optional
        Measured on the sequence, from the start described at the top of this module.
    ended : bool
        Whether no update was left: otherwise nothing is measured unless the bound is already reached.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        The bound as printed, corrected and sharp; for Theorem 4 the simple form too.

    Raises
    ------
    ValueError
        If an argument is outside its range, or one of v and R is missing.

    Errata
    ------
    Theorem 10 subtracts min{., 0} where a number of further steps is max{., 0}, and |w*| where its proof has
    |w*|^2. As printed it is true and weak; with the maximum and |w*| it would be false.
    """
    if updates is not None:
        updates = checks.size("updates", updates, at_least=0)
    exact = checks.rational("alpha", alpha, at_least=0)
    inside = 0 < exact < 1
    _sequence(d, k, eta, v, R, exact if inside else Fraction(1, 2))  # the arguments are checked in any case
    slope = Hypothesis("0 < alpha < 1", inside, f"alpha = {float(exact):.6g}")
    theorem = "4" if v is None else "10"
    found = []
    for form in FORMS if v is None else FORMS[:-1]:
        bound = lower_bound(d=d, k=k, eta=eta, alpha=alpha, v=v, R=R, form=form) if inside else None
        unfinished = updates is not None and not ended and (bound is None or updates < bound)
        number, made = _float(bound), None if unfinished else updates
        identity = statement_id(f"separable/thm{theorem}", form, case)
        source = f"{PAPER}, Theorem {theorem}" + ("" if form == "printed" else f" ({form})")
        said = joined("not at an end" if unfinished else "", note)
        # how far the bound's conversion and the count's own may be off
        room = 4 * math.ulp(number) if number is not None and math.isfinite(number) else 0.0
        found.append(Guarantee(identity, source, Kind.LOWER_BOUND, number, made, (slope,), said, tolerance=room))
    return found


def _float(bound: Fraction | None) -> float | None:
    """The nearest float, infinite beyond their range."""
    try:
        return None if bound is None else float(bound)
    except OverflowError:
        return math.inf


def _sequence(d: int, k: int, eta: Number, v: Number | None, R: Number | None, alpha: Number) -> _Sequence:
    d, k = checks.integer("d", d, at_least=1), checks.integer("k", k, at_least=1)
    step = checks.rational("eta", eta, above=0)
    slope = checks.rational("alpha", alpha, above=0)
    if slope >= 1:
        raise RequestError(f"alpha must be < 1, got {alpha!r}")
    if (v is None) != (R is None):
        raise RequestError(f"v and R must be given both or neither, got v={v!r}, R={R!r}")
    digits = 10**40
    root = Fraction(math.isqrt(d * digits**2), digits)
    if v is None or R is None:
        return _Sequence(d, root, step / 2, 1 / (2 * root), slope)
    size, radius = checks.rational("v", v, above=0), checks.rational("R", R, at_least=0)
    return _Sequence(d, root, k * step * size**2, k * size * radius / root, slope)
