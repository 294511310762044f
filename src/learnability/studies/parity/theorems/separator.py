"""The separator of Daniely & Malach's Lemma 12: output weights that compute the parity after the first step.

The paper's universal constants are open; hypotheses are evaluated with the constant 1 and say so, and how the norm of
a separator goes with q and k is stated as an exponent. ``case`` is put into a guarantee's id in brackets, ``note``
into its note.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.evidence.claims import judged
from learnability.evidence.intervals import Interval, share
from learnability.studies.parity import claim
from learnability.studies.parity.theorems.first_step import theorem_sizes
from learnability.studies.parity.theorems.statement import joined, odd, odd_parity, stated
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, statement_id

__all__ = ["lemma12", "lemma12_growth", "lemma12_separator", "lemma12_sparsity", "lemma12_width", "sparse_separator"]

ROUNDING = 1e-9


def sparse_separator(V: ArrayLike, y: ArrayLike) -> FloatArray | None:
    """A vector u of least sum |u_i| with y_j <V_j, u> >= 1 for all j, at a vertex; ``None`` if there is none.

    A linear programme (HiGHS's simplex). A vertex has at most as many non-zero entries as V has distinct rows. The
    result is scaled so that the least margin is 1 as computed here, whatever the solver's tolerance.

    Parameters
    ----------
    V : array (m, d)
        Features of m points.
    y : array (m,)
        Labels in {-1, +1}.
    """
    from scipy.optimize import linprog

    V = checks.matrix("V", V)
    y = checks.labels("y", y, length=len(V))
    rows: FloatArray = np.unique(y[:, None] * V, axis=0)
    found = linprog(
        np.ones(2 * rows.shape[1]), A_ub=np.hstack([-rows, rows]), b_ub=-np.ones(len(rows)), method="highs-ds"
    )
    if found.x is None:
        return None
    u: FloatArray = found.x[: rows.shape[1]] - found.x[rows.shape[1] :]
    least = float((rows @ u).min())
    return u / least if least > 0 else None


def lemma12(
    *,
    n: int,
    k: int,
    q: int,
    delta: float,
    failures: int | None = None,
    draws: int | None = None,
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Lemma 12: with probability at least 1 - delta some u* has g*(x) f(x) >= 1 for all x after the first step.

    Parameters
    ----------
    n, k, q : int
        k odd, 3 <= k < n; q pairs of neurons. The hypotheses are n >= 9 ln 7, 7 <= k <= c n^(1/10) and q >= C k^7
        ln((k+1)/delta); the paper leaves c and C open, here both are 1.
    delta : float
        In (0, 1].
    failures, draws : int, optional
        Measured: how many of ``draws`` starts have no such u* among their good neurons. Their share is judged by its
        confidence interval.
    """
    n, k = odd_parity(n, k)
    q = checks.integer("q", q, at_least=1)
    delta = checks.real("delta", delta, above=0.0, at_most=1.0)
    width = _width(k, delta)
    needed = (
        *theorem_sizes(n, k),
        Hypothesis("k <= c n^(1/10), c = 1 here", k**10 <= n, f"{k} against {n**0.1:.3g}"),
        Hypothesis("q >= C k^7 ln((k+1)/delta), C = 1 here", q >= width, f"{q} against {width:.3g}"),
    )
    at = (f"n={n}", f"k={k}", f"q={q}", f"delta={delta:g}", case)
    promised = stated("lemma12", at, "Lemma 12", Kind.UPPER_BOUND, delta, None, note, hypotheses=needed)
    if failures is None:
        return promised
    draws = checks.integer("draws", draws, at_least=1)
    failed = np.arange(draws) < checks.integer("failures", failures, at_least=0, at_most=draws)
    return judged(promised, share(failed, what="share of failures", unit="starts"))


def lemma12_separator(
    *,
    k: int,
    margin: float | None = None,
    largest: float | None = None,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """What Lemma 12 says of one u*: margin 1 at every x, and features at most 1 where u* != 0.

    Parameters
    ----------
    k : int
        Odd, >= 3.
    margin : float, optional
        Measured: least g*(x) f(x).
    largest : float, optional
        Measured: largest feature of a neuron with u* != 0.
    """
    at, text = (f"k={odd(k)}", case), "least g*(x) f(x) over all x"
    used = "largest feature of a neuron with u* != 0, over all x"
    return [
        stated("lemma12-margin", at, "Lemma 12", Kind.LOWER_BOUND, 1, margin, text, note, tolerance=ROUNDING),
        stated("lemma12-feature", at, "Lemma 12", Kind.UPPER_BOUND, 1, largest, used, note),
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
    """
    over_q = checks.choice("what", what, ("q", "k")) == "q"
    tolerance = checks.real("tolerance", tolerance, at_least=0.0)
    id, where = statement_id(f"lemma12-norm-{what}", case), "Lemma 12 (|u*| <= B k^5 / sqrt(q))"
    bound, text = tolerance if over_q else 5.0, joined(f"exponent over {what}", note)
    measured = exponent.distance(-0.5) if over_q and exponent is not None else exponent
    return claim(id, where, bound, measured, "at_most", text, Kind.TREND)


def lemma12_sparsity(what: str, exponent: Interval | None = None, *, case: str = "", note: str = "") -> Guarantee:
    """How the fewest non-zero entries of a u* with |u*|_2 <= B k^5 / sqrt(q) go: at most q / k^2.5, so B~ is bounded.

    Without a bound on the norm a handful of neurons would do for every q: a vertex, :func:`sparse_separator`, needs
    2^k at most.

    Parameters
    ----------
    what : {"q", "k"}
        What varies: |u*|_0 over q has exponent 1 at most, |u*|_0 / q over k has -2.5 at most, B being the same.
    exponent : Interval, optional
        Measured.
    """
    bound = 1.0 if checks.choice("what", what, ("q", "k")) == "q" else -2.5
    where = "Lemma 12 (|u*|_0 <= B~ q / k^2.5 and |u*| <= B k^5 / sqrt(q))"
    id, text = statement_id(f"lemma12-sparsity-{what}", case), joined(f"exponent over {what}", note)
    return claim(id, where, bound, exponent, "at_most", text, Kind.TREND)


def lemma12_width(
    *, n: int, k: int, delta: float, enough: float | None = None, case: str = "", note: str = ""
) -> Guarantee:
    """Lemma 12's width C k^7 ln((k+1)/delta) with our C = 1, against one that was enough: a threshold, not a proof.

    Parameters
    ----------
    n, k, delta
        As in :func:`lemma12`.
    enough : float, optional
        Measured: the least q that suffices.
    """
    n, k = odd_parity(n, k)
    delta = checks.real("delta", delta, above=0.0, at_most=1.0)
    id = statement_id("lemma12-width", f"n={n}", f"k={k}", f"delta={delta:g}", case)
    text = joined("the paper leaves C open; this is with our own C = 1, and far from tight", note)
    return claim(id, "Lemma 12 (constant C = 1: this project)", _width(k, delta), enough, "at_most", text)


def _width(k: int, delta: float) -> float:
    return k**7 * math.log((k + 1) / delta)
