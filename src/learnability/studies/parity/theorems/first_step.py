"""The first gradient step of Daniely & Malach on sparse parities: Lemmas 5 to 9.

Every function takes numbers, and measured values where there are any, and returns guarantees; what the step makes of
the neurons, Lemmas 10 to 12, stands in :mod:`learnability.studies.parity.theorems.features`. Throughout, w is a
neuron's start, uniform in {-1, 0, 1}^n; A the k coordinates of the parity f, k odd; s_j = sqrt(n) x_j the sign of
coordinate j; sigma' = 1[0 < <w, x> + b < 6]; D1 the uniform distribution, D2 the one with equal bits in A. A neuron
is *good* if the sum of w over A is 0. ``case`` is put into a guarantee's id in brackets, ``note`` into its note.
"""

from __future__ import annotations

import math
from fractions import Fraction

from learnability import checks
from learnability.errors import RequestError
from learnability.studies.parity.theorems.statement import odd, odd_parity, stated
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

LEMMA_FORMS = ("printed", "any n")
"""Lemmas 6 and 7 with n odd as printed, and without."""


def lemma5(
    *,
    n: int,
    k: int,
    c: float | None = None,
    probability: float | None = None,
    part: str = "coordinate",
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Lemma 5: on D1, P_w[|E s_j f sigma'| > c / sqrt(C(n-1, k))] <= 1/c for j outside A; the same for |E f sigma'|.

    The paper has x_j = s_j / sqrt(n), which only helps. Reason: w is exchangeable over the coordinates, so
    :func:`lemma5_parseval` bounds the second moment over w, and Markov's inequality does the rest (for the square it
    would give 1/c^2).

    Parameters
    ----------
    n, k : int
        k odd, 3 <= k < n.
    c : float, optional
        Above 0; the bound is vacuous for c <= 1. Without it the statement is made for all c at once: sup_c c P[...]
        <= 1.
    probability : float, optional
        Measured: that probability; without ``c``, the supremum.
    part : {"coordinate", "bias"}
        E s_j f sigma' or E f sigma'.
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
    checks.measurements(probability=probability)
    n, k = _with_outside(n, k)
    part = checks.choice("part", part, ("coordinate", "bias"))
    which, bound, text = _markov("c", c)
    at = (part, which, f"n={n}", f"k={k}", case)
    return stated("lemma5", at, "Lemma 5", Kind.UPPER_BOUND, bound, probability, text, note)


def lemma5_parseval(
    *, n: int, total: float | None = None, active: float = 1.0, case: str = "", note: str = ""
) -> Guarantee:
    """The step behind Lemma 5: the sum over all A of E_w (E f_A sigma')^2 is E_w P(active) (Parseval).

    As w is exchangeable, the C(n, k) sets of k coordinates have the same E_w (E f_A sigma')^2, which is therefore at
    most 1 / C(n, k), and with s_j beside f_A at most 1 / C(n-1, k). Markov's inequality gives the lemma.

    Parameters
    ----------
    n : int
        >= 1.
    total, active : float
        Measured: the sum, and E_w P(active).
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        The bound, beside what was measured.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    checks.measurements(total=total)
    n = checks.integer("n", n, at_least=1)
    active = checks.real("active", active, at_least=0.0, at_most=1.0)
    text = "sum over all A of E_w of the squared correlation, against E_w P(active)"
    return stated(
        "lemma5-parseval", (f"n={n}", case), "Lemma 5 (proof: this project)", Kind.EXACT, active, total, text, note,
        tolerance=1e-9,
    )  # fmt: skip


def lemma6(
    *,
    n: int,
    k: int,
    C: float | None = None,
    probability: float | None = None,
    form: str = "printed",
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Lemma 6: on D1, P_w[a correlation outside A, or the bias's, exceeds C (n-1) / sqrt(C(n-1, k))] <= 1/C.

    So most neurons get nothing from the uniform half of the mixture but noise that is tiny for large n: what the
    first step makes of them comes from D2.

    Lemma 5 for n - k coordinates and the bias, n - k + 1 <= n - 1 events.

    Parameters
    ----------
    n, k
        As in :func:`lemma5`.
    C : float, optional
        Above 0; the bound is vacuous for C <= 1, and where C (n-1) / sqrt(C(n-1, k)) >= 1, as no correlation exceeds
        1. Without it the statement is made for all C at once: sup_C C P[...] <= 1.
    probability : float, optional
        Measured: that probability; without ``C``, the supremum.
    form : {"printed", "any n"}
        With the printed hypothesis that n is odd, or without: the proof does not use it.
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

    Errata
    ------
    The paper asks for odd n, which nothing needs.
    """
    checks.measurements(probability=probability)
    n, k = _with_outside(n, k)
    form = checks.choice("form", form, LEMMA_FORMS)
    which, bound, text = _markov("C", C)
    threshold = (1.0 if C is None else C) * ((n - 1) / math.sqrt(math.comb(n - 1, k)))
    empty = f"vacuous: the correlations are bounded by {threshold:.3g}" if threshold >= 1 else ""
    where, odd_n = _odd_n("Lemma 6", n, form)
    return stated(
        "lemma6", (form, which, f"n={n}", f"k={k}", case), where, Kind.UPPER_BOUND, bound, probability,
        text, empty, note, hypotheses=odd_n,
    )  # fmt: skip


def lemma7(
    *,
    n: int,
    k: int,
    balanced: bool = True,
    outside: float | None = None,
    bias: float | None = None,
    inside: float | None = None,
    form: str = "printed",
    tolerance: float = 0.0,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Lemma 7: on D2 a good neuron has E x_j f sigma' = 0 for j outside A, and E f sigma' = 0; any b.

    For good neurons <w, x> does not depend on the common sign of A, which is f. For j in A, x_j f = 1/sqrt(n), so
    that E x_j f sigma' = P(active)/sqrt(n) for every neuron.

    Parameters
    ----------
    n, k : int
        k odd, 3 <= k <= n.
    balanced : bool
        Whether every neuron measured is good: the hypothesis of the first two.
    outside, bias : float, optional
        Measured: the largest |E s_j f sigma'| over j outside A, and the largest |E f sigma'|.
    inside : float, optional
        Measured: the largest |E s_j f sigma' - P(active)| over j in A.
    form : {"printed", "any n"}
        With the printed hypothesis that n is odd, or without: the proof does not use it. The part for j in A is ours
        and has no hypothesis in either form.
    tolerance : float
        Room for rounding, >= 0: none for the closed form of the first two. P(active) always has 1e-13.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        The correlations with coordinates outside A, with the bias, and inside A.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.

    Errata
    ------
    The paper asks for odd n, which nothing needs.
    """
    checks.measurements(outside=outside, bias=bias, inside=inside)
    n, k = odd_parity(n, k)
    room = checks.real("tolerance", tolerance, at_least=0.0)
    where, odd_n = _odd_n("Lemma 7", n, checks.choice("form", form, LEMMA_FORMS))
    good = (Hypothesis("sum of w over A = 0", balanced), *odd_n)
    ours, at = "Lemma 7 (for j in A: this project)", (f"n={n}", f"k={k}", case)
    outer = (
        ("coordinate", outside, "largest |E s_j f sigma'|, j outside A"),
        ("bias", bias, "largest |E f sigma'|"),
    )
    found = [
        stated("lemma7", (part, form, *at), where, Kind.EXACT, 0, value, text, note, hypotheses=good, tolerance=room)
        for part, value, text in outer
    ]
    text = "largest |E s_j f sigma' - P(active)|, j in A, any w"
    room = max(room, 1e-13)
    return [*found, stated("lemma7", ("inside", *at), ours, Kind.EXACT, 0, inside, text, note, tolerance=room)]


def lemma7_needs_good(
    *, n: int, k: int, outside: float | None = None, bias: float | None = None, case: str = "", note: str = ""
) -> list[Guarantee]:
    """That Lemma 7 is about good neurons: others have correlations of both kinds on D2.

    Parameters
    ----------
    n, k
        As in :func:`lemma7`.
    outside, bias : float, optional
        Measured: the largest |E s_j f sigma'| over j outside A, and the largest |E f sigma'|, of neurons that are not
        good.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        Both correlations, against .2 and .4.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    checks.measurements(outside=outside, bias=bias)
    n, k = odd_parity(n, k)
    where = "Lemma 7 (its hypothesis is needed: this project)"
    parts = (("coordinate", 0.2, outside, "|E s_j f sigma'|, j outside A"), ("bias", 0.4, bias, "|E f sigma'|"))
    return [
        stated(
            "lemma7-needs-good", (part, f"n={n}", f"k={k}", case), where, Kind.LOWER_BOUND, least, value,
            f"largest {what} of neurons that are not good", note,
        )
        for part, least, value, what in parts
    ]  # fmt: skip


def lemma8_bound(n: int, k: int, J: int) -> float:
    """(1 + 1/k) k / sqrt(2 pi |J|), and P[reaching 6 - k/sqrt(n)]: the right side of :func:`lemma8`.

    Lemma 8, with a constant (this project).

    Parameters
    ----------
    n, k, J : int
        As in :func:`lemma8`.

    Returns
    -------
    float
        May be above 1, and says nothing then.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    n, k = _with_outside(n, k)
    J = checks.integer("J", J, at_least=1, at_most=n - k)
    reach = max(0.0, 6 - 1 / (8 * k) - k / math.sqrt(n))
    return (k + 1) / math.sqrt(2 * math.pi * J) + math.exp(-(reach**2) / 2)


def lemma8(*, n: int, k: int, J: int, deviation: float | None = None, case: str = "", note: str = "") -> Guarantee:
    r"""Lemma 8 with a constant: |E h sigma' - E[h] phi| <= (1 + 1/k) / sqrt(2 pi) k / sqrt(|J|) for h = ±1 on A.

    Plus what reaching 6 adds. J are the j outside A with w_j != 0, S their sum of w_j s_j, b = 1/(8k), and phi =
    P[k/sqrt(n) < S/sqrt(n) + b < 6 - k/sqrt(n)]. The paper states some universal constant C; ours comes from this
    proof. Given x_A, <w, x> = (a + S)/sqrt(n) with |a| <= k, and phi's event implies sigma' = 1. So E[h sigma' | x_A]
    - h phi = h P[sigma' = 1 but not the event], where S lies near 6 sqrt(n), which Hoeffding's inequality bounds, or
    in a half-open interval of length k + a. S takes every second integer only: (k + a + 1) / 2 values at most, each
    with probability at most binom(m, floor(m/2)) / 2^m <= sqrt(2 / (pi m)), m = |J|. On both parts of the mixture a
    is symmetric, so that its mean is 0.

    Parameters
    ----------
    n, k
        As in :func:`lemma5`.
    J : int
        |J|, 1..n-k.
    deviation : float, optional
        Measured: the left side, for the worst h (which is constant, by the proof).
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

    Errata
    ------
    The paper has a universal constant C and does not give it.
    """
    checks.measurements(deviation=deviation)
    n, k = _with_outside(n, k)
    J = checks.integer("J", J, at_least=1, at_most=n - k)
    bound = lemma8_bound(n, k, J)
    seen = "" if deviation is None else f"holds with C = {deviation * math.sqrt(J) / k:.4g}"
    empty = "vacuous: the difference is never above 1" if bound >= 1 else ""
    at, where = (f"n={n}", f"k={k}", f"J={J}", case), "Lemma 8 (constant: this project)"
    return stated("lemma8", at, where, Kind.UPPER_BOUND, bound, deviation, seen, empty, note)


def good_share(k: int) -> Fraction:
    """P[sum of k independent uniform elements of {-1, 0, 1} is 0] = T_k / 3^k exactly.

    T_k = sum_j C(k, j) C(k - j, j) is the central trinomial coefficient; about sqrt(3 / (4 pi k)) for large k.

    The exact form of Lemma 9's probability (this project).

    Parameters
    ----------
    k : int
        Size of A, >= 1; even ones are computed, too.

    Returns
    -------
    Fraction
        In (0, 1].

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    k = checks.integer("k", k, at_least=1)
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
    J = checks.integer("J", J, at_least=0, at_most=n - k)
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
    n, k = _with_outside(n, k)
    form = checks.choice("form", form, ("printed", "good neurons"))
    rounding = checks.real("tolerance", tolerance, at_least=0.0)
    wide = Hypothesis("k <= n^(1/4) / (2 sqrt 2)", 64 * k**4 <= n, f"n = {n} against 64 k^4 = {64 * k**4}")
    needed = (*theorem_sizes(n, k), wide) if form == "printed" else ()
    at, where = (form, f"n={n}", f"k={k}", case), "Lemma 9 (constants: this project)"
    single = "C_1: largest deviation in A from alpha u / sqrt(n), a single zero coordinate's from its closed form"
    most = 1.0
    if J is not None:
        J = checks.integer("J", J, at_least=1, at_most=n - k)
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
    n, k = checks.integer("n", n, at_least=1), checks.integer("k", k, at_least=1)
    return (
        Hypothesis("n >= 9 ln 7", n >= 9 * math.log(7), f"n = {n}"),
        Hypothesis("k >= 7", k >= 7, f"k = {k}"),
    )


def _markov(name: str, c: float | None) -> tuple[str, float, str]:
    """Part of the id, bound and note of P[... > c ...] <= 1/c; without c for all of them at once."""
    if c is None:
        return f"every {name}", 1.0, f"sup over {name} of {name} P[...]"
    c = checks.real(name, c, above=0.0)
    return f"{name}={c:g}", 1 / c, "vacuous: a probability is never above 1" if c <= 1 else ""


def _odd_n(lemma: str, n: int, form: str) -> tuple[str, tuple[Hypothesis, ...]]:
    """Source and hypothesis of Lemmas 6 and 7, which are printed for odd n."""
    if form != "printed":
        return f"{lemma} (for n of either parity: this project)", ()
    return lemma, (Hypothesis("n odd", n % 2 == 1, f"n = {n} (the proof does not use it)"),)


def _with_outside(n: int, k: int) -> tuple[int, int]:
    """As :func:`odd_parity`, with a coordinate outside A."""
    n, k = odd_parity(n, k)
    if k == n:
        raise RequestError(f"k must be < n, so that a coordinate lies outside A, got k = n = {n}")
    return n, k
