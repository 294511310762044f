"""The first gradient step of Daniely & Malach on sparse parities: Lemma 9, with Lemmas 5 to 8.

The latter come from :mod:`learnability.studies.parity.theorems.correlations`. Every function takes numbers, and
measured values where there are any, and returns guarantees; what the step makes of the neurons, Lemmas 10 to 12,
stands in :mod:`learnability.studies.parity.theorems.features`. Throughout, w is a neuron's start, uniform in {-1, 0,
1}^n; A the k coordinates of the parity f, k odd; s_j = sqrt(n) x_j the sign of coordinate j; sigma' = 1[0 < <w, x> +
b < 6]; D1 the uniform distribution, D2 the one with equal bits in A. A neuron is *good* if the sum of w over A is 0.
``case`` is put into a guarantee's id in brackets, ``note`` into its note.
"""

from __future__ import annotations

import math
from fractions import Fraction

from learnability import checks
from learnability.studies.parity.theorems.correlations import (
    lemma5,
    lemma5_parseval,
    lemma6,
    lemma7,
    lemma7_needs_good,
    lemma8,
    lemma8_bound,
)
from learnability.studies.parity.theorems.statement import odd, odd_parity, stated, with_outside
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind

__all__ = [
    "ALPHA_ROOM",
    "good_share",
    "lemma5",
    "lemma5_parseval",
    "lemma6",
    "lemma7",
    "lemma7_needs_good",
    "lemma8",
    "lemma8_bound",
    "lemma9",
    "lemma9_share",
    "theorem_sizes",
    "zero_coordinate_bound",
]


ALPHA_ROOM = 1e-8
"""How far alpha may lie below 1/4: half of P[<w, x> + b >= 6] <= exp(-(6 - b)^2 / 2) (Hoeffding), b <= 1/24."""


def good_share(k: int) -> Fraction:
    """P[sum of k independent uniform elements of {-1, 0, 1} is 0] = T_k / 3^k exactly.

    T_k = sum_j C(k, j) C(k - j, j) is the central trinomial coefficient; about sqrt(3 / (4 pi k)) for large k.

    The exact form of Lemma 9's probability (this project).

    Parameters
    ----------
    k : int
        Size of A, in 1..9999, as the sum is exact; even ones are computed, too.

    Returns
    -------
    Fraction
        In (0, 1].

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    k = checks.size("k", k, at_least=1, at_most=9999)
    return Fraction(sum(math.comb(k, j) * math.comb(k - j, j) for j in range(k // 2 + 1)), 3**k)


def lemma9_share(*, k: int, share: float | None = None, case: str = "", note: str = "") -> Guarantee:
    """Lemma 9's probability: a neuron is good with probability at least 1 / (14 sqrt(k)), and a good deal more.

    The share is sqrt(3 / (4 pi k)) for large k, from below; that it is at least (1 - 1/(4k)) times as much is ours.

    Parameters
    ----------
    k : int
        Odd, >= 3 (the paper: >= 7).
    share : float, optional
        Measured: the share, :func:`good_share` or a frequency.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        The bound, beside what was measured.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    checks.measurements(share=share)
    bound = (1 - 1 / (4 * odd(k))) * math.sqrt(3 / (4 * math.pi * k))
    where, text = "Lemma 9 (probability, sharper: this project)", f"printed: {1 / (14 * math.sqrt(k)):.4g}"
    return stated("lemma9-share", (f"k={k}", case), where, Kind.LOWER_BOUND, bound, share, text, note)


def zero_coordinate_bound(*, n: int, k: int, J: int, u: float) -> float:
    """How far the zero coordinate in A of a good neuron may be off: |u| / (2 sqrt(n C(J+k-1, k-1))).

    A good neuron has an odd number of zeros in A. If it is one, then D1 adds to this coordinate's weight u / (2
    sqrt(n)) times a correlation of sigma' with k - 1 of the J + k - 1 signs that it depends on, in which it is
    symmetric up to signs: the squares of the C(J+k-1, k-1) such correlations are equal and sum to at most 1
    (Parseval).

    Ours, for Lemma 9's C_1.

    Parameters
    ----------
    n, k : int
        k odd, 3 <= k <= n.
    J : int
        |J|, 0..n-k.
    u : float
        The neuron's output weight at the start.

    Returns
    -------
    float
        A weight, >= 0; for J = 0 what no correlation exceeds, which says nothing.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    n, k = odd_parity(n, k)
    J = checks.size("J", J, at_least=0, at_most=n - k)
    u = checks.real("u", u)
    return abs(u) / (2 * math.sqrt(n) * math.sqrt(math.comb(J + k - 1, k - 1)))


def lemma9(
    *,
    n: int,
    k: int,
    form: str = "printed",
    alpha_low: float | None = None,
    alpha_high: float | None = None,
    inside: float | None = None,
    outside: float | None = None,
    bias: float | None = None,
    J: int | None = None,
    tolerance: float = 0.0,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Lemma 9: after the step a good neuron is alpha u / sqrt(n) on A, alpha in [1/4, 1], and about 0 elsewhere.

    The paper bounds the deviations by C_1 inside A, C_2 / (n-1) outside and C_3 / sqrt(n) for the bias, with
    universal constants. For good neurons they are smaller (this project, for every n and odd k >= 3): k odd and the
    sum 0 leave an odd number of zeros in A, so D1 adds nothing, except to the zero coordinate if there is only one,
    and D2 by Lemma 7 to A alone. Hence C_2 = C_3 = 0; the single zero coordinate is within
    :func:`zero_coordinate_bound`; the others are exact, with alpha = P[0 < S/sqrt(n) + b < 6] / 2, b = 1/(8k). For n
    < 64 k^2 and odd |J| this is 1/4 less P[<w, x> + b >= 6] / 2, for which there is room (:data:`ALPHA_ROOM`). And
    alpha <= 1/4 + (sqrt(n) b + 1) / sqrt(8 pi |J|), as S takes every second integer and none of them with a larger
    probability than sqrt(2 / (pi |J|)).

    Parameters
    ----------
    n, k : int
        k odd, 3 <= k < n. The printed hypotheses are n >= 9 ln 7 and 7 <= k <= n^(1/4) / (2 sqrt 2).
    form : {"printed", "good neurons"}
        With the printed hypotheses, or ours for good neurons without them.
    alpha_low, alpha_high : float, optional
        Measured: least and largest alpha over good neurons.
    inside : float, optional
        Measured: largest deviation inside A from what is said here, the closed form at a single zero coordinate.
    outside, bias : float, optional
        Measured: C_2 and C_3, largest |w_j| (n-1) over j outside A and largest |b - b0| sqrt(n).
    J : int, optional
        The least |J| of the neurons, >= 1: sharpens the upper bound of alpha, to 1/2 at least.
    tolerance : float
        Room of the deviations for rounding, >= 0.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        alpha from below and above, inside A, outside A, bias.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.

    Errata
    ------
    The paper bounds the deviations with universal constants C_1, C_2 and C_3 that it does not give; for good neurons
    two of them are 0.
    """
    checks.measurements(alpha_low=alpha_low, alpha_high=alpha_high, inside=inside, outside=outside, bias=bias)
    n, k = with_outside(n, k)
    form = checks.choice("form", form, ("printed", "good neurons"))
    rounding = checks.real("tolerance", tolerance, at_least=0.0)
    wide = Hypothesis("k <= n^(1/4) / (2 sqrt 2)", 64 * k**4 <= n, f"n = {n} against 64 k^4 = {64 * k**4}")
    needed = (*theorem_sizes(n, k), wide) if form == "printed" else ()
    at, where = (form, f"n={n}", f"k={k}", case), "Lemma 9 (constants: this project)"
    single = "C_1: largest deviation in A from alpha u / sqrt(n), a single zero coordinate's from its closed form"
    most = 1.0
    if J is not None:
        J = checks.size("J", J, at_least=1, at_most=n - k)
        most = min(0.5, 0.25 + (math.sqrt(n) / (8 * k) + 1) / math.sqrt(8 * math.pi * J))
    parts = (
        ("alpha-low", Kind.LOWER_BOUND, 0.25, alpha_low, "least alpha of a good neuron", ALPHA_ROOM),
        ("alpha-high", Kind.UPPER_BOUND, most, alpha_high, "largest alpha of a good neuron; printed: 1", 0.0),
        ("inside", Kind.EXACT, 0.0, inside, single, rounding),
        ("outside", Kind.EXACT, 0.0, outside, "C_2: largest |w_j| (n - 1) outside A", rounding),
        ("bias", Kind.EXACT, 0.0, bias, "C_3: largest movement of the bias times sqrt(n)", rounding),
    )
    return [
        stated(f"lemma9-{part}", at, where, kind, bound, value, text, note, hypotheses=needed, tolerance=room)
        for part, kind, bound, value, text, room in parts
    ]


def theorem_sizes(n: int, k: int) -> tuple[Hypothesis, ...]:
    """Lemmas 9, 11 and 12 are stated for n >= 9 ln 7 and k >= 7.

    Parameters
    ----------
    n, k : int
        Dimension and size of A, >= 1.

    Returns
    -------
    tuple of Hypothesis
        n >= 9 ln 7 and k >= 7.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    n, k = checks.size("n", n, at_least=1), checks.size("k", k, at_least=1)
    return (
        Hypothesis("n >= 9 ln 7", n >= 9 * math.log(7), f"n = {n}"),
        Hypothesis("k >= 7", k >= 7, f"k = {k}"),
    )
