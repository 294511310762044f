r"""Theorem 9 of Brutzkus et al.: when over-parameterisation saves ReLU networks, on orthonormal examples.

S = {(e_1, 1), ..., (e_d, 1)}; ReLU; output weights +1 and -1; the entries of W_0 independent, from a continuous
symmetric distribution on [-C, C]. SGD ends at a global minimum if and only if no example is dead at the start, that
is, K_0 = {e_j : <w^(i), e_j> <= 0 for all i <= k} is empty. K_0 never changes (their Lemma 12, which needs
sigma'(0) = 0).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from learnability import checks
from learnability.errors import RequestError
from learnability.evidence.claims import judged
from learnability.evidence.intervals import Interval, at_all, share
from learnability.studies.separable import PAPER
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, joined, statement_id

__all__ = ["failure_probability", "theorem9", "thresholds", "update_limit", "width_threshold"]


CHANCE = 1e-6
"""How often a frequency that is right may be called wrong, on each side."""


def failure_probability(d: int, k: int) -> float:
    """P(SGD does not reach a global minimum) = P(K_0 is not empty) = 1 - (1 - 2^-k)^d, without cancellation.

    What Theorem 9 bounds from both sides, exactly (this project).

    Parameters
    ----------
    d : int
        Examples and dimensions, >= 1.
    k : int
        Units of each sign, >= 1.

    Returns
    -------
    float
        In (0, 1].

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    d, k = _sizes(d, k)
    return -math.expm1(d * math.log1p(-math.ldexp(1.0, -k)))


def width_threshold(d: int, delta: float, *, side: str) -> float:
    """The k at which Theorem 9 begins to promise something, with probability 1 - delta.

    Parameters
    ----------
    d : int
        Examples and dimensions, >= 1.
    delta : float
        In (0, 1).
    side : {"failure", "success", "success, proof"}
        ``failure``: up to log2(d / -ln(delta)) SGD ends at a minimum that is not global. ``success``: from
        log2(2 d / delta) on it ends at a global one; the proof needs log2(d / delta) only.

    Returns
    -------
    float
        A number of units of each sign; may be negative or infinite, and says nothing then.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    d, _ = _sizes(d, 1)
    delta = _confidence(delta)
    side = checks.choice("side", side, ("failure", "success", "success, proof"))
    if side == "failure":
        return math.log2(d) - math.log2(-math.log(delta))
    return math.log2(d) - math.log2(delta) + (side == "success")


def update_limit(d: int, *, C: float, eta: float, form: str = "corrected") -> int:
    """How many non-zero updates SGD makes at most where no example is dead at the start.

    Theorem 9, its second part.

    Parameters
    ----------
    d : int
        Examples and dimensions, >= 1.
    C : float
        The entries of W_0 lie in [-C, C], C > 0.
    eta : float
        Step size, > 0.
    form : {"corrected", "printed"}
        ``corrected``: d ceil(max(C, 1) / eta). After ceil(max(C, 1) / eta) updates an example has a w above 1 and no
        u above 0, so its output is above 1. ``printed``: ceil(max(d C / eta, d / eta)), which rounds once instead of
        d times, and so is too small in general where max(C, 1) / eta is no integer, most of all for large eta; and it
        speaks of iterations, which also count the visits that change nothing.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    d, _ = _sizes(d, 1)
    each = _updates_each(C, eta)
    if checks.choice("form", form, ("corrected", "printed")) == "printed":
        return math.ceil(d * each)
    return d * math.ceil(each)


def _updates_each(C: float, eta: float) -> Fraction:
    """max(C, 1) / eta, exactly."""
    return max(checks.rational("C", C, above=0), Fraction(1)) / checks.rational("eta", eta, above=0)


def theorem9(
    *,
    d: int,
    k: int,
    delta: float | None = None,
    failures: int | None = None,
    draws: int | None = None,
    C: float | None = None,
    eta: float | None = None,
    updates: int | None = None,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Theorem 9: whether SGD on a ReLU network finds a global minimum depends on k, its units of each sign.

    On d orthonormal examples it fails with probability 1 - (1 - 2^-k)^d: with probability at least 1 - delta for k
    <= log2(d / ln(1 / delta)), and with probability at most delta for k >= log2(2 d / delta); where it does not
    fail, it makes at most d ceil(max(C, 1) / eta) updates.

    Parameters
    ----------
    d, k : int
        Examples (and dimensions), and units of each sign, >= 1.
    delta : float, optional
        In (0, 1): adds both sides of the threshold.
    failures, draws : int, optional
        Measured: how many of ``draws`` <= 10^7 independent starts did not lead to a global minimum. The frequency
        may differ from the closed form as far as a binomial of that probability does, but for one time in a million
        on each side; the thresholds are judged by the interval of the share
        (:func:`learnability.evidence.claims.decide`).
    C, eta : float, optional
        Bound of the entries of W_0, and step size: adds the number of updates.
    updates : int, optional
        Measured: the most non-zero updates of a run whose K_0 was empty.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        The exact probability; with ``delta`` the two probabilities of at least 1 - delta; with ``C`` and ``eta`` the
        updates against the corrected and the printed limit.

    Raises
    ------
    ValueError
        If an argument is outside its range, or one of C and eta, or draws, is missing.

    Hypotheses
    ----------
    Examples are the d unit vectors (or any orthonormal ones), all labelled +1; the entries of the start are
    independent, from a continuous symmetric distribution on [-C, C]; the ReLU's derivative at 0 is 0. Failure is
    promised for k <= log2(d / ln(1 / delta)), success for k >= log2(2 d / delta); in between neither.

    Errata
    ------
    The printed number of iterations rounds once instead of d times, and counts visits: corrected to non-zero
    updates, d ceil(max(C, 1) / eta). The proof needs k >= log2(d / delta) only.
    """
    d, k = _sizes(d, checks.size("k", k, at_least=1))
    chance = failure_probability(d, k)
    source, name = f"{PAPER}, Theorem 9", (f"d={d}", f"k={k}")
    frequency, room, seen = None, 0.0, note
    if failures is not None:
        draws = checks.integer("draws", draws, at_least=1, at_most=10**7)
        failures = checks.integer("failures", failures, at_least=0, at_most=draws)
        frequency = failures / draws
        room = max(chance - _least_share(draws, chance), 1 - _least_share(draws, 1 - chance) - chance)
        allowed = f"room {room:.2g}, which a binomial leaves one time in a million on a side"
        seen = joined(f"{failures} of {draws} runs failed", allowed, note)
    identity, form = statement_id("separable/thm9", *name, case), f"{source} (closed form ours)"
    said = joined("1 - (1 - 2^-k)^d", seen)
    found = [Guarantee(identity, form, Kind.EXACT, chance, frequency, note=said, tolerance=room)]
    if delta is not None:
        for side in ("failure", "success"):
            at = width_threshold(d, delta, side=side)
            hypothesis = Hypothesis(_PROMISED[side], _promised(d, k, delta, side), f"{k} against {at:.4g}")
            identity = statement_id(f"separable/thm9-{side}", *name, f"delta={delta:g}", case)
            bound = 1 - _confidence(delta)
            found.append(Guarantee(identity, source, Kind.LOWER_BOUND, bound, None, (hypothesis,), note=note))
            if failures is not None and draws is not None:
                found[-1] = judged(found[-1], _share((d, k, failures, draws), side))
    if (C is None) != (eta is None):
        raise RequestError(f"C and eta must be given both or neither, got C={C!r}, eta={eta!r}")
    if C is not None and eta is not None:
        _updates_each(C, eta)  # checked before they are written into an id
        found += _limits(d, C, eta, updates, source, (*name, f"C={C:g}", f"eta={eta:g}", case), note)
    return found


def thresholds(cells: Iterable[tuple[int, int, int, int]], delta: float, case: str = "") -> list[Guarantee]:
    """Both thresholds of Theorem 9 over many sizes: that every frequency it speaks of is at least 1 - delta.

    Parameters
    ----------
    cells : iterable of (d, k, failures, draws)
        As in :func:`theorem9`. What is between the thresholds is left out, and so is a threshold that no cell is
        beyond.
    delta : float
        In (0, 1).
    case : str
        Put into the ids in brackets.

    Returns
    -------
    list of Guarantee
        One for each threshold that a cell is beyond.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    delta = _confidence(delta)
    found, cells = [], list(cells)
    for side in ("failure", "success"):
        beyond = [cell for cell in cells if _promised(*cell[:2], delta, side)]
        shares = [_share(cell, side, comparisons=len(beyond)) for cell in beyond]
        if shares:
            identity = statement_id(f"separable/thm9-{side}", case, f"delta={delta:g}")
            note = f"{len(shares)} cells with {_PROMISED[side]}"
            promise = Guarantee(identity, f"{PAPER}, Theorem 9", Kind.LOWER_BOUND, 1 - delta, note=note)
            found.append(judged(promise, at_all(shares, "at_least")))
    return found


_PROMISED = {"failure": "k <= log2(d / -ln delta)", "success": "k >= log2(2 d / delta)"}


def _promised(d: int, k: int, delta: float, side: str) -> bool:
    at = width_threshold(d, delta, side=side)
    return k <= at if side == "failure" else k >= at


def _share(cell: tuple[int, int, int, int], side: str, comparisons: int = 1) -> Interval:
    d, k, failures, draws = cell
    ended = failures if side == "failure" else draws - failures
    what = f"share with {side} (d={d}, k={k})"
    return share(np.arange(draws) < ended, comparisons=comparisons, what=what)


def _limits(
    d: int, C: float, eta: float, updates: int | None, source: str, name: tuple[str, ...], note: str
) -> list[Guarantee]:
    """The corrected number of updates and the printed one, which holds only where nothing is rounded."""
    if updates is not None:
        updates = checks.size("updates", updates, at_least=0)
    each = _updates_each(C, eta)
    whole = Hypothesis(
        "max(C, 1) / eta is an integer",
        each.denominator == 1,
        f"{float(each):.17g}" if each < 10**300 else "above 1e300",
    )
    most, printed = (update_limit(d, C=C, eta=eta, form=form) for form in ("corrected", "printed"))
    one, other = (statement_id("separable/thm9-updates", form, *name) for form in ("", "printed"))
    return [
        Guarantee(one, f"{source} (corrected)", Kind.UPPER_BOUND, most, updates, note=note),
        Guarantee(other, source, Kind.UPPER_BOUND, printed, updates, (whole,), note),
    ]


def _least_share(draws: int, p: float) -> float:
    """The least share of successes among ``draws`` that has more than chance :data:`CHANCE` of itself or fewer."""
    from scipy.special import bdtr

    if p <= 0 or p >= 1:
        return p
    least, most = -1, draws  # P(X <= least) <= CHANCE < P(X <= most)
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if bdtr(middle, draws, p) <= CHANCE else (least, middle)
    return most / draws


def _sizes(d: int, k: int) -> tuple[int, int]:
    d, k = checks.integer("d", d, at_least=1), checks.integer("k", k, at_least=1)
    checks.real("d", d)
    return d, k


def _confidence(delta: float) -> float:
    return checks.real("delta", delta, above=0.0, below=1)
