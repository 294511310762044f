"""What the first gradient step of Daniely & Malach is made of: its correlations with the label, Lemmas 5 to 8.

On D1, the uniform distribution, nothing correlates but by chance (Lemmas 5 and 6); on D2, the one with equal bits in
A, the correlations of good neurons lie in A (Lemma 7); the gate hardly sees A (Lemma 8). w is a neuron's start,
uniform in {-1, 0, 1}^n; A the k coordinates of the parity f, k odd; s_j = sqrt(n) x_j the sign of coordinate j;
sigma' = 1[0 < <w, x> + b < 6]. A neuron is *good* if the sum of w over A is 0. ``case`` is put into a guarantee's id
in brackets, ``note`` into its note.
"""

from __future__ import annotations

import math

from learnability import checks
from learnability.studies.parity.theorems.statement import odd_parity, stated, with_outside
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind

__all__ = [
    "lemma5",
    "lemma5_parseval",
    "lemma6",
    "lemma7",
    "lemma7_needs_good",
    "lemma8",
    "lemma8_bound",
]


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
    n, k = with_outside(n, k)
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
    n = checks.size("n", n, at_least=1)
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
    n, k = with_outside(n, k)
    form = checks.choice("form", form, LEMMA_FORMS)
    which, bound, text = _markov("C", C)
    threshold = (1.0 if C is None else C) * ((n - 1) * math.exp(-math.log(math.comb(n - 1, k)) / 2))
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
    n, k = with_outside(n, k)
    J = checks.size("J", J, at_least=1, at_most=n - k)
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
    n, k = with_outside(n, k)
    J = checks.size("J", J, at_least=1, at_most=n - k)
    bound = lemma8_bound(n, k, J)
    seen = "" if deviation is None else f"holds with C = {deviation * math.sqrt(J) / k:.4g}"
    empty = "vacuous: the difference is never above 1" if bound >= 1 else ""
    at, where = (f"n={n}", f"k={k}", f"J={J}", case), "Lemma 8 (constant: this project)"
    return stated("lemma8", at, where, Kind.UPPER_BOUND, bound, deviation, seen, empty, note)


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
