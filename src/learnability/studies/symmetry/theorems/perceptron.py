"""The modified perceptron: Theorem 2 of Nachum & Yehudayoff, Section 3.1.

Everything is lifted: points are (v, 1), R = max |(v, 1)|, and the norm of the output layer is that of (M, b); the
proof needs both.
"""

from __future__ import annotations

from learnability import checks
from learnability.studies.symmetry import claim
from learnability.theory import extended
from learnability.theory.extended import monomial
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, statement_id

__all__ = ["final_margin_bound", "theorem2", "update_bound"]


ROUNDING = 1e-9
"""Relative room for rounding: bounds are attained (one point and beta = 0 give exactly one update)."""


def update_bound(*, h: float, beta: float, margin: float, radius: float, batch: int = 1) -> float:
    """Theorem 2: the modified perceptron updates at most (2 beta / h + R^2) / gamma^2 times.

    From w_t . w* >= gamma h t and |w_t|^2 <= |w_{t-1}|^2 + 2 beta h + R^2 h^2 (the printed lines drop an h
    and a square). With beta = R^2 h this is 3 R^2 / gamma^2.

    The paper says without a proof that batches of any size are covered. A batch of B decides at the same weights and
    moves by h / B times the sum of y v over the k <= B examples on which y w . v <= beta. Then w . w* grows by at
    least gamma h k / B, and |w|^2 by at most 2 h beta k / B + (h R k / B)^2 <= (k / B) (2 h beta + h^2 R^2). So with
    T examples updated on, over all batches, gamma h T / B <= |w| <= sqrt((T / B) (2 h beta + h^2 R^2)), which is

        T <= B (2 beta / h + R^2) / gamma^2,

    with equality for B copies of one point and beta = 0. The final margin is the same as with batches of one, as
    |w| <= (2 beta + R^2 h) / gamma whatever B.

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
    batch : int
        Size B >= 1 of the batches; updates are counted in examples.

    Returns
    -------
    float
        A number of updates, counted in examples.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    h, beta, margin, radius = _perceptron(h, beta, margin, radius)
    batch = checks.size("batch", batch, at_least=1)
    start = monomial((batch, 1), (2, 1), (beta, 1), (h, -1), (margin, -2))
    return start + monomial((batch, 1), (radius, 2), (margin, -2))


def final_margin_bound(*, h: float, beta: float, margin: float, radius: float) -> float:
    """Theorem 2: the output separates with margin at least gamma beta h / (2 beta h + (R h)^2), whatever the batch.

    With beta = R^2 h this is gamma / 3; with beta = 0 it is 0, which says nothing.

    Parameters
    ----------
    h, beta, margin, radius : float
        As in :func:`update_bound`.

    Returns
    -------
    float
        A margin, in the units of ``margin``.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    h, beta, margin, radius = _perceptron(h, beta, margin, radius)
    return margin / (2 + monomial((radius, 2), (h, 1), (beta, -1))) if beta > 0 else 0.0


def theorem2(
    *,
    h: float,
    beta: float,
    margin: float,
    radius: float,
    updates: int | None = None,
    final_margin: float | None = None,
    batch: int = 1,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Theorem 2: the modified perceptron makes few updates, and its output has a large margin.

    On points v of margin gamma and length at most R, from w = 0, w += h y v wherever y w . v <= beta: at most (2
    beta / h + R^2) / gamma^2 updates, and then a margin of at least gamma beta / (2 beta + R^2 h), of which beta =
    0 promises none.

    Parameters
    ----------
    h, beta, margin, radius, batch
        As in :func:`update_bound`; with a margin <= 0 the theorem says nothing, and the guarantees are
        outside their hypotheses, without a bound.
    updates : int, optional
        Measured number of updates (in examples) until no point is left with y w . v <= beta.
    final_margin : float, optional
        Measured marg(w, Y) of the resulting w.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        The number of updates; for beta > 0 the final margin too.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Errata
    ------
    The printed lines of the proof drop an h and a square. That batches of any size are covered is claimed without
    proof: with batches of B, updates counted in examples, the bound is B times as large (:func:`update_bound`).
    Algorithm 1 updates where y w . v <= beta, a tie included; it has to, as with beta = 0 everything starts at a
    tie.
    """
    checks.counts(updates=updates)
    checks.measurements(at_least=None, final_margin=final_margin)
    h, beta, margin, radius = _perceptron(h, beta, margin, radius, positive=False)
    batch = checks.size("batch", batch, at_least=1)
    bound = least = None
    if margin > 0:
        bound = update_bound(h=h, beta=beta, margin=margin, radius=radius, batch=batch)
        least = final_margin_bound(h=h, beta=beta, margin=margin, radius=radius)

    def part(name: str, kind: Kind, bound: float | None, measured: float | None, room: float) -> Guarantee:
        more = {"hypotheses": (separable(margin),), "tolerance": extended.room(ROUNDING, room)}
        return claim(statement_id(f"theorem2-{name}", case), "Theorem 2", bound, measured, "", note, kind, **more)

    found = [part("updates", Kind.UPPER_BOUND, bound, updates, bound or 0.0)]
    if beta > 0:
        found.append(part("margin", Kind.LOWER_BOUND, least, final_margin, abs(margin)))
    return found


def separable(margin: float) -> Hypothesis:
    """That a margin is positive."""
    return Hypothesis("marg(Y) > 0", margin > 0, f"gamma = {margin:.6g}")


def _perceptron(
    h: object, beta: object, margin: float, radius: float, *, positive: bool = True
) -> tuple[float, float, float, float]:
    """Step, confidence, margin and radius, checked."""
    return (
        checks.real("h", h, above=0.0),
        checks.real("beta", beta, at_least=0.0),
        checks.real("margin", margin, above=0.0 if positive else None),
        checks.real("radius", radius, above=0.0),
    )
