r"""Theorem 2 of Daniely & Malach: what no linear method can reach on sparse parities, in four forms.

For features :math:`\Psi : X \to [-1, 1]^N` fixed before A is known, and classifiers
:math:`\langle w, \Psi(x) \rangle` with :math:`\|w\| \le B`, the hinge loss of the best one on :math:`D_A^{(1)}`,
averaged over all A of k out of n coordinates, is at least 1 - c, and so on some :math:`D_A` (the even mixture, whose
other half costs at least 0) it is at least (1 - c) / 2. The forms differ in c:

``corrected``
    :math:`c = B \sqrt{2N} / 2^k` if k <= n/16: the theorem's bound :math:`1/2 - \sqrt N B / (2^k \sqrt 2)` as its
    proof gives it.
``printed``
    :math:`c = \sqrt{2NB} / 2^k` if k <= n/16: the theorem as printed, with B under the root. The proof does not give
    it, but it is true: for :math:`B \le 2 \cdot 4^k` it follows from the direct form, as :math:`C(n,k) \ge 16^k`, and
    for larger B it is below 0. For B < 1 it is weaker than the corrected form, for B > 1 stronger.
``sharper``
    :math:`c = B \sqrt{2N} / C(n,k)^{1/4}` for all n and k: the same proof before :math:`C(n,k) \ge 16^k` is put in.
``direct``
    :math:`c = B \sqrt{N / C(n,k)}` for all n and k. Ours: a hinge is at least 1 - y y', so the loss of w is at least
    :math:`1 - \langle w, E[f_A \Psi] \rangle \ge 1 - B \|E[f_A \Psi]\|`, and by Parseval the squares of these norms
    sum to at most N over all A. The paper's proof comes to the same norms by strong convexity, which costs a square
    root. Attained by the C(n,k) parities themselves for B <= 1.

All numbers are found from logarithms or exact integers, so that n = 1000, k = 50 is no different from n = 8, k = 3.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from learnability import checks
from learnability.studies.parity import PAPER
from learnability.studies.parity.theorems.statement import odd_parity, stated
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind

__all__ = [
    "FORMS",
    "OURS",
    "PAPER",
    "PARTS",
    "SOURCES",
    "features_needed",
    "linear_bound",
    "norm_needed",
    "theorem2",
    "theorem2_average",
]

FORMS = ("corrected", "printed", "sharper", "direct")
PARTS = ("mixture", "uniform")
"""The even mixture D_A, and D_A^(1) alone."""

OURS = f"this project, on {PAPER}, Theorem 2"
"""Source of what the paper does not say."""
SOURCES = {
    "corrected": "Theorem 2 (corrected: B outside the root)",
    "printed": "Theorem 2 (as printed)",
    "sharper": "proof of Theorem 2 (with C(n, k) for 16^k)",
    "direct": OURS,
}


def linear_bound(*, N: int, B: float, n: int, k: int, form: str = "direct", part: str = "mixture") -> float:
    """The lower bound of the best hinge loss: (1 - c) / 2 for some A on the mixture, 1 - c on average on D_A^(1).

    Theorem 2 and its proof, Section 4.

    Parameters
    ----------
    N : int
        Number of features, >= 1.
    B : float
        Norm of the weights, >= 0.
    n, k : int
        Coordinates, and how many of them are in A: k odd, 1 <= k <= n.
    form : {"corrected", "printed", "sharper", "direct"}
        ``corrected`` and ``printed`` are promised for k <= n/16 only.
    part : {"mixture", "uniform"}
        D_A or D_A^(1).

    Returns
    -------
    float
        At most 1/2 or 1; vacuous, as no loss is negative, if it is at most 0 (and -inf if c exceeds float64).

    Raises
    ------
    ValueError
        If an argument is out of range, or k is even.
    """
    n, k = odd_parity(n, k, least=1)
    N, B = checks.size("N", N, at_least=1), checks.real("B", B, at_least=0.0)
    checks.choice("form", form, FORMS)
    whole = 0.5 if checks.choice("part", part, PARTS) == "mixture" else 1.0
    if B == 0:
        return whole
    size = 0.5 * math.log(B) if form == "printed" else math.log(B)
    logarithm = size + 0.5 * math.log(N) - _log_capacity(n, k, form)
    return whole * (1.0 - math.exp(logarithm)) if logarithm < 700 else -math.inf


def features_needed(*, loss: float, B: float, n: int, k: int, form: str = "direct", part: str = "mixture") -> int:
    """The least N for which the bound allows this loss, in exact integers; 0 if none is needed.

    Theorem 2, solved for N.

    Parameters
    ----------
    loss : float
        Hinge loss to be reached, >= 0.
    B : float
        Norm of the weights, > 0.
    n, k, form, part
        As in :func:`linear_bound`.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    n, k = odd_parity(n, k, least=1)
    distance = _distance(loss, part)
    checks.choice("form", form, FORMS)
    norm = checks.rational("B", B, above=0)
    if distance == 0:
        return 0
    ratio = distance * distance / (norm * norm)
    if form == "direct":
        return math.ceil(_choose(n, k) * ratio)
    if form == "sharper":
        square = math.ceil(_choose(n, k) * ratio * ratio / 4)
        return math.isqrt(square - 1) + 1
    half = 1 << (2 * k - 1)  # 4^k / 2, and an int to type checkers too
    return math.ceil(half * (ratio * norm if form == "printed" else ratio))


def norm_needed(*, loss: float, N: int, n: int, k: int, form: str = "direct", part: str = "mixture") -> float:
    """The least B for which the bound allows this loss with N features; 0 if none is needed, inf beyond float64.

    Theorem 2, solved for B.

    Parameters
    ----------
    loss : float
        Hinge loss to be reached, >= 0.
    N, n, k, form, part
        As in :func:`linear_bound`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    n, k = odd_parity(n, k, least=1)
    distance = float(_distance(loss, part))
    N = checks.size("N", N, at_least=1)
    checks.choice("form", form, FORMS)
    if distance == 0:
        return 0.0
    logarithm = math.log(distance) + _log_capacity(n, k, form) - 0.5 * math.log(N)
    if form == "printed":
        logarithm *= 2
    return math.exp(logarithm) if logarithm < 709 else math.inf


def theorem2(
    *,
    N: int,
    B: float,
    n: int,
    k: int,
    measured: float | None = None,
    tolerance: float = 0.0,
    forms: tuple[str, ...] = FORMS,
    part: str = "mixture",
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Theorem 2: for some A the best hinge loss on D_A is at least (1 - c) / 2.

    With N features of values in [-1, 1] and a classifier of norm at most B, and k <= n / 16, the proof gives
    c = B sqrt(2N) / 2^k. The printed form has B under the root; two more forms hold for all n and k, the sharpest of
    which is c = B sqrt(N / C(n, k)): there are C(n, k) parities, and N features cannot correlate with all of them.

    Parameters
    ----------
    N, B, n, k
        As in :func:`linear_bound`. The features must have values in [-1, 1].
    measured : float, optional
        Measured: the largest, over A, of the best hinge loss on D_A. Over some of the A only it may be below the
        bound without contradiction. For D_A^(1): the average over all A, or a proved lower bound of it.
    tolerance : float
        Room for rounding, >= 0.
    forms : tuple
        Of :data:`FORMS`.
    part : {"mixture", "uniform"}
        D_A, or D_A^(1): :func:`theorem2_average`.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        One for each form.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.

    Errata
    ------
    The theorem prints sqrt(N B) where its proof has sqrt(N) B: Equation 1 keeps a square, and uses 2^(4k) where
    Jensen leaves 2^(2k). For k <= n/16 the printed form is true nevertheless, as it follows from the direct form.
    """
    checks.measurements(at_least=None, measured=measured)
    tolerance = checks.real("tolerance", tolerance, at_least=0.0)
    statement = "theorem2" if checks.choice("part", part, PARTS) == "mixture" else "theorem2-average"
    found = []
    for form in forms:
        bound = linear_bound(N=N, B=B, n=n, k=k, form=form, part=part)
        small = Hypothesis("k <= n/16", 16 * k <= n, f"k = {k}, n = {n}")
        needed = [small] if form in ("corrected", "printed") else []
        empty = "vacuous: no loss is negative" if bound <= 0 else ""
        place = statement, (form, f"n={n}", f"k={k}", f"N={N}", f"B={B:g}", case), SOURCES[form]
        found.append(
            stated(*place, Kind.LOWER_BOUND, bound, measured, empty, note, hypotheses=needed, tolerance=tolerance)
        )
    return found


def theorem2_average(
    *,
    N: int,
    B: float,
    n: int,
    k: int,
    measured: float | None = None,
    tolerance: float = 0.0,
    forms: tuple[str, ...] = FORMS,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """What the proof of Theorem 2 shows: the average over A of the best hinge loss on D_A^(1) is at least 1 - c.

    Parameters
    ----------
    N, B, n, k, tolerance, forms, case, note
        As in :func:`theorem2`.
    measured : float, optional
        Measured: that average, or a proved lower bound of it.

    Returns
    -------
    list of Guarantee
        One for each form.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    return theorem2(
        N=N, B=B, n=n, k=k, measured=measured, tolerance=tolerance, forms=forms, part="uniform", case=case, note=note
    )


def _distance(loss: float, part: str) -> Fraction:
    """The c at which the bound is this loss; 0 if it is above what no features at all reach."""
    scale = 2 if checks.choice("part", part, PARTS) == "mixture" else 1
    distance = 1 - scale * checks.rational("loss", loss, at_least=0)
    return distance if distance > 0 else Fraction(0)


@lru_cache(maxsize=256)
def _choose(n: int, k: int) -> int:
    return math.comb(n, k)


def _log_capacity(n: int, k: int, form: str) -> float:
    """Logarithm of what sqrt(N) B (sqrt(N B) for ``printed``) is divided by."""
    if form == "direct":
        return 0.5 * math.log(_choose(n, k))
    if form == "sharper":
        return 0.25 * math.log(_choose(n, k)) - 0.5 * math.log(2)
    return (k - 0.5) * math.log(2)
