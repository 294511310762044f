"""The separator of Daniely & Malach's Lemma 12: output weights that compute the parity after the first step.

The paper's universal constants are open; hypotheses are evaluated with the constant 1 and say so, and how the norm of
a separator goes with q and k is stated as an exponent. ``case`` is put into a guarantee's id in brackets, ``note``
into its note.
"""

from __future__ import annotations

import math

import numpy as np

from learnability import checks
from learnability.evidence.claims import judged
from learnability.evidence.intervals import Interval, share
from learnability.studies.parity import claim
from learnability.studies.parity.theorems.first_step import theorem_sizes
from learnability.studies.parity.theorems.statement import odd, odd_parity, stated
from learnability.theory.extended import monomial
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, joined, statement_id

__all__ = ["lemma12", "lemma12_few", "lemma12_growth", "lemma12_separator", "lemma12_sparsity", "width"]

ROUNDING = 1e-9


def width(k: int, delta: float) -> float:
    """Lemma 12's q: k^7 ln((k+1)/delta), its constant taken as 1.

    Parameters
    ----------
    k : int
        Size of A, odd, >= 3.
    delta : float
        Probability of failure, in (0, 1).

    Returns
    -------
    float
        A number of pairs of neurons.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    return monomial((odd(k), 7)) * math.log((k + 1) / checks.real("delta", delta, above=0.0, below=1))


def lemma12(
    *,
    n: int,
    k: int,
    q: int,
    delta: float,
    failures: int | None = None,
    draws: int | None = None,
    separator: float | None = None,
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Lemma 12: with probability at least 1 - delta some u* has g*(x) f(x) >= 1 for all x after the first step.

    Its norm is at most B k^5 / sqrt(q).

    Parameters
    ----------
    n, k, q : int
        k odd, 3 <= k < n; q pairs of neurons. The hypotheses are n >= 9 ln 7, 7 <= k <= c n^(1/10) and q >= C k^7
        ln((k+1)/delta); the paper leaves c and C open, here both are 1.
    delta : float
        In (0, 1).
    failures, draws : int, optional
        Measured: how many of ``draws`` <= 10^7 starts have no such u* among their good neurons. Their share is judged
        by its confidence interval.
    separator : float, optional
        B, > 0, which the paper leaves open; without it the norm does not count.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        The share of failures against delta.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.

    Errata
    ------
    The constants c, C and B are left open. 1 stands for the first two; a norm counts only where B is given.
    """
    n, k = odd_parity(n, k)
    q = checks.size("q", q, at_least=1)
    delta = checks.real("delta", delta, above=0.0, below=1)
    least = width(k, delta)
    needed = (
        *theorem_sizes(n, k),
        Hypothesis("k <= c n^(1/10), c = 1 here", k**10 <= n, f"{k} against {n**0.1:.3g}"),
        Hypothesis("q >= C k^7 ln((k+1)/delta), C = 1 here", q >= least, f"{q} against {least:.3g}"),
    )
    at = (f"n={n}", f"k={k}", f"q={q}", f"delta={delta:g}", case)
    norm = None if separator is None else checks.real("separator", separator, above=0.0)
    text = "a u* of any norm" if norm is None else f"a u* of norm at most {norm:g} k^5 / sqrt(q)"
    promised = stated("lemma12", at, "Lemma 12", Kind.UPPER_BOUND, delta, None, text, note, hypotheses=needed)
    return promised if failures is None else judged(promised, _failed(failures, draws))


def lemma12_few(
    *, n: int, k: int, q: int, delta: float, failures: int, draws: int, case: str = "", note: str = ""
) -> Guarantee:
    """That far fewer neurons than Lemma 12 asks for do, with the same probability: a claim of this project.

    The paper has no such number. A start may fail with the probability delta that Lemma 12 allows, and q is a power
    of two that was chosen when shares of failures had been seen: far below the lemma's, and large enough.

    Parameters
    ----------
    n, k, q, delta, failures, draws
        As in :func:`lemma12`; none of its hypotheses on their sizes is asked for.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        The share of failures against delta.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    n, k = odd_parity(n, k)
    q, least = checks.size("q", q, at_least=1), width(k, delta)
    id = statement_id("lemma12-few", f"n={n}", f"k={k}", f"q={q}", f"delta={delta:g}", case)
    text = joined(
        f"share of starts without a u*: {note}",
        f"Lemma 12 asks for q >= C {least:.3g}",
        "delta and q are ours: delta as in Lemma 12's row, q a power of two chosen when the shares had been seen",
    )
    return claim(id, "Lemma 12 (beyond its hypotheses)", delta, _failed(failures, draws), "at_most", text)


MOST_DRAWS = 10**7
"""A share is taken over an array with an entry a draw."""


def _failed(failures: int, draws: int | None) -> Interval:
    draws = checks.size("draws", draws, at_least=1, at_most=MOST_DRAWS)
    failed = np.arange(draws) < checks.size("failures", failures, at_least=0, at_most=draws)
    return share(failed, what="share of failures", unit="starts")


def lemma12_separator(
    *,
    k: int,
    margin: float | None = None,
    largest: float | None = None,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """What Lemma 12 says of one u*: margin 1 at every x, and features at most 1 where u* != 0.

    The second is stated sharply: a neuron within 2 epsilon of psi_r (Lemma 11) has features at most b (k + |r| + 2
    epsilon) / |r|, which is (k + 2) / (8k) for epsilon = 1/2 and r = 1.

    Parameters
    ----------
    k : int
        Odd, >= 3.
    margin : float, optional
        Measured: least g*(x) f(x).
    largest : float, optional
        Measured: largest feature of a neuron with u* != 0, these next to Lemma 10's u*.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        The margin, and the largest feature that is used.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    checks.measurements(at_least=None, margin=margin)
    checks.measurements(largest=largest)
    at, text = (f"k={odd(k)}", case), "least g*(x) f(x) of the network, at every pattern of A and random other bits"
    used, where = (
        "largest feature of a neuron with u* != 0, over all x; printed: 1",
        "Lemma 12 (sharp form: this project)",
    )
    return [
        stated("lemma12-margin", at, "Lemma 12", Kind.LOWER_BOUND, 1, margin, text, note, tolerance=ROUNDING),
        stated("lemma12-feature", at, where, Kind.UPPER_BOUND, (k + 2) / (8 * k), largest, used, note),
    ]


def lemma12_growth(
    what: str, exponent: Interval | None = None, *, tolerance: float = 0.1, case: str = "", note: str = ""
) -> Guarantee:
    """How the least norm of a u* goes with q (exponent -1/2) and how |u*| sqrt(q) goes with k (at most 5).

    Parameters
    ----------
    what : {"q", "k"}
        What varies.
    exponent : Interval, optional
        Measured: the power of it that |u*|_2 grows like, over ``"k"`` that |u*|_2 sqrt(q) does.
    tolerance : float
        Room of the exponent in q, >= 0: with few neurons the best of them are not yet near Lemma 10's u*.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        The exponent (over q: its distance from -1/2) against its limit.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    over_q = checks.choice("what", what, ("q", "k")) == "q"
    tolerance = checks.real("tolerance", tolerance, at_least=0.0)
    id, where = statement_id(f"lemma12-norm-{what}", case), "Lemma 12 (|u*| <= B k^5 / sqrt(q))"
    bound, text = tolerance if over_q else 5.0, joined(f"exponent over {what}", note)
    measured = exponent.distance(-0.5) if over_q and exponent is not None else exponent
    return claim(id, where, bound, measured, "at_most", text, Kind.TREND)


def lemma12_sparsity(exponent: Interval | None = None, *, case: str = "", note: str = "") -> Guarantee:
    """How the fewest non-zero entries of a u* within twice the least norm go with q: at most like q / k^2.5.

    Without a bound on the norm a handful of neurons would do for every q, as a u* needs 2^k at most.

    The sparsity that the proof of Theorem 3 takes from Lemma 12.

    Parameters
    ----------
    exponent : Interval, optional
        Measured: that of |u*|_0 over q.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        The exponent against 1.
    """
    where = "Lemma 12 (|u*|_0 <= B~ q / k^2.5 and |u*| <= B k^5 / sqrt(q))"
    id, text = statement_id("lemma12-sparsity-q", case), joined("exponent over q", note)
    return claim(id, where, 1.0, exponent, "at_most", text, Kind.TREND)
