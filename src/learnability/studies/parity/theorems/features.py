"""What the neurons of Daniely & Malach compute after the first step: Lemmas 10 and 11, and the parity they represent.

The features are phi_r(z) = ReLU(-sign(r) z + |r|) for r = -k, -k+2, ..., k, of the sum z of the k signs in A. Two
printed forms are not true and are offered beside what is: the range of u in Lemma 10, and ReLU6 in phi_r. Where a
lemma leaves a universal constant open, its hypothesis is evaluated with the constant 1 and says so. ``case`` is put
into a guarantee's id in brackets, ``note`` into its note. Lemma 12 stands in
:mod:`learnability.studies.parity.theorems.separator`.
"""

from __future__ import annotations

import math

from learnability import checks
from learnability.errors import RequestError
from learnability.studies.parity import PAPER
from learnability.studies.parity.theorems.first_step import good_share, theorem_sizes
from learnability.studies.parity.theorems.statement import odd, odd_parity, stated
from learnability.theory.extended import monomial
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind

__all__ = [
    "best_output_weight",
    "feature_probability",
    "lemma10",
    "lemma10_printed",
    "lemma11",
    "representation",
]

ROUNDING = 1e-9
CAPPED = {3: 0.0, 5: 1 / 2, 7: 1 / 4, 9: 2 / 5, 11: 1 / 5, 13: 1 / 7, 15: 1 / 4}
"""Least largest error of a combination of the features with ReLU6, by k."""


def feature_probability(*, k: int, r: int, alpha: float, epsilon: float) -> float:
    """P[sup_{|z| <= k} | |r|/b relu6(alpha u z / n + b) - phi_r(z) | <= epsilon] for u uniform in [-n/k, n/k].

    With b = 1/(8k) the first term is ReLU(v z + |r|), v = 8k |r| alpha u / n, as long as the cap 6 is not reached,
    and v = -sign(r) gives phi_r. The supremum is k |v + sign(r)|, taken at z = -sign(r) k, and so the probability
    epsilon / (8k alpha |r|), if epsilon < k + |r| (from there on the first term is 0 at that z, and the probability
    larger) and epsilon <= k |r| (then the interval of v lies in the range of v).

    Lemma 10, exactly (this project).

    Parameters
    ----------
    k, r : int
        k odd, >= 3; r odd, 1 <= |r| <= k.
    alpha : float
        In [1/4, 1].
    epsilon : float
        Above 0, below k + |r| and at most k |r|.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    k, size, alpha = _feature(k, r, alpha)
    epsilon = checks.real("epsilon", epsilon, above=0.0, at_most=k * size)
    if epsilon >= k + size:
        raise RequestError(f"epsilon must be < k + |r| = {k + size}, got {epsilon!r}")
    return epsilon / (8 * k * alpha * size)


def best_output_weight(*, n: int, k: int, r: int, alpha: float) -> float:
    """Lemma 10's u* = -sign(r) n / (8k alpha |r|), with which the scaled neuron is phi_r; n >= k.

    Parameters
    ----------
    n : int
        Dimension, >= k.
    k, r, alpha
        As in :func:`feature_probability`.

    Returns
    -------
    float
        An output weight, in [-n/k, n/k].

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    k, size, alpha = _feature(k, r, alpha)
    n = checks.size("n", n, at_least=k)
    return -math.copysign(n / (8 * k * alpha * size), r)


def lemma10(
    *,
    k: int,
    r: int,
    alpha: float,
    epsilon: float,
    probability: float | None = None,
    at_best: float | None = None,
    room: float = 0.0,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Lemma 10, corrected: u ~ U[-n/k, n/k] gives phi_r to within epsilon with probability >= epsilon / (8 k^2).

    The paper prints u ~ U[-r/k, r/k], against its own initialisation and without n, and phi_r with ReLU6
    (:func:`lemma10_printed`). Nothing here depends on n.

    Parameters
    ----------
    k, r, alpha
        As in :func:`feature_probability`.
    epsilon : float
        In (0, k |r|] (the text prints epsilon <= k r).
    probability : float, optional
        Measured: the probability over u.
    at_best : float, optional
        Measured: the supremum over |z| <= k at u*, :func:`best_output_weight`.
    room : float
        Of the measured probability, >= 0.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        The bound; the exact probability, for epsilon < k + |r|; the error at u*, exactly 0.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.

    Errata
    ------
    Printed are u uniform in [-r/k, r/k], where u* does not lie, and ReLU6 in phi_r, whose argument reaches 2k > 6
    from k = 5 on: :func:`lemma10_printed` says how wrong each is.
    """
    checks.measurements(probability=probability, at_best=at_best)
    k, size, alpha = _feature(k, r, alpha)
    epsilon = checks.real("epsilon", epsilon, above=0.0, at_most=k * size)
    room = checks.real("room", room, at_least=0.0)
    name, source = (f"k={k}", f"r={r}", f"alpha={alpha:g}"), "Lemma 10 (corrected)"
    at, bound = (*name, f"epsilon={epsilon:g}", case), epsilon / monomial((8, 1), (k, 2))
    found = [stated("lemma10", at, source, Kind.LOWER_BOUND, bound, probability, note, tolerance=room)]
    if epsilon < k + size:
        bound = feature_probability(k=k, r=r, alpha=alpha, epsilon=epsilon)
        ours, text = "Lemma 10 (exact probability: this project)", "epsilon / (8 k alpha |r|)"
        found.append(stated("lemma10-exact", at, ours, Kind.EXACT, bound, probability, text, note, tolerance=room))
    once, text = (*name, case), "largest error over |z| <= k at u*"
    found.append(stated("lemma10-identity", once, source, Kind.EXACT, 0, at_best, text, note, tolerance=ROUNDING))
    return found


def lemma10_printed(
    *,
    n: int,
    k: int,
    r: int,
    alpha: float,
    range_error: float | None = None,
    cap_error: float | None = None,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Lemma 10 as printed, each of its two slips alone: how far from phi_r it leaves every neuron.

    With u ~ U[-r/k, r/k] the slope v of :func:`feature_probability` is at most 8 r^2 alpha / n, far from the 1 that
    is needed, and the least error is k (1 - 8 r^2 alpha / n). With ReLU6 in phi_r the error at u* is k + |r| - 6
    where that is positive, from k = 5 on.

    Parameters
    ----------
    n, k, r, alpha
        As in :func:`lemma10` and :func:`best_output_weight`; 8 r^2 alpha <= n.
    range_error : float, optional
        Measured: the least error over u in [-r/k, r/k], of phi_r with the ReLU.
    cap_error : float, optional
        Measured: the error at u* of phi_r with ReLU6.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        The least error over the printed range of u; the error at u* with ReLU6.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    checks.measurements(range_error=range_error, cap_error=cap_error)
    k, size, alpha = _feature(k, r, alpha)
    n = checks.size("n", n, at_least=math.ceil(8 * size**2 * alpha))
    at, where = (
        (f"n={n}", f"k={k}", f"r={r}", f"alpha={alpha:g}", case),
        "Lemma 10 (as printed it fails: this project)",
    )
    least = k * (1 - 8 * size**2 * alpha / n)
    return [
        stated(
            "lemma10-printed-range", at, where, Kind.EXACT, least, range_error,
            "least error over u ~ U[-r/k, r/k] as printed, which does not grow with n", note, tolerance=ROUNDING,
        ),
        stated(
            "lemma10-printed-relu6", at, where, Kind.EXACT, max(0, k + size - 6), cap_error,
            "error at u* of phi_r with ReLU6 as printed: its argument reaches k + |r|", note, tolerance=ROUNDING,
        ),
    ]  # fmt: skip


def lemma11(
    *,
    n: int,
    k: int,
    r: int,
    epsilon: float,
    probability: float | None = None,
    form: str = "printed",
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Lemma 11: after the step a neuron is psi_r to within 2 epsilon with a certain probability over w and u.

    That is, | |r|/b sigma(<w', x> + b') - psi_r(x) | <= 2 epsilon for all x, with the new w' and b', the start's b,
    and psi_r(x) = phi_r(sum of the signs in A) with the ReLU. From 2 epsilon = k + |r| on, the largest value of
    psi_r, it is vacuous and its note says so: 0 is near enough.

    Parameters
    ----------
    n, k, r : int
        k odd, 3 <= k < n; r odd, 1 <= |r| <= k.
    epsilon : float
        In (0, k |r|].
    probability : float, optional
        Measured, over w and u.
    form : {"printed", "any n"}
        ``"printed"``: at least epsilon / (112 k^2.5), if n >= 9 ln 7 and 7 <= k <= c epsilon^(1/4) n^(1/8). The paper
        leaves c open; here c = 1. ``"any n"`` (this project): at least the share of good neurons times (2 epsilon -
        d) / (8 k alpha |r|), for every odd k >= 3. Reason: a good neuron with three or more zeros in A is exact, and
        one with a single zero off by d = 4 |r| / sqrt(C(ceil(n/2), k - 1)) at most
        (:func:`learnability.studies.parity.theorems.first_step.zero_coordinate_bound`) if |J| >= n/2 - k + 1, which
        fails with a small probability (Hoeffding) that is taken off; the rest is Lemma 10's exact probability, with
        the upper bound of alpha in :func:`learnability.studies.parity.theorems.first_step.lemma9`.
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
    The constant c of the condition on k is left open; 1 stands for it here.
    """
    checks.measurements(probability=probability)
    n, k = odd_parity(n, k)
    k, size, _ = _feature(k, r, 1.0)
    epsilon = checks.real("epsilon", epsilon, above=0.0, at_most=k * size)
    if checks.choice("form", form, ("printed", "any n")) == "printed":
        bound, where, most = epsilon / monomial((112, 1), (k, 2.5)), "Lemma 11", epsilon**0.25 * n**0.125
        large = Hypothesis("k <= c epsilon^(1/4) n^(1/8), c = 1 here", k <= most, f"{k} against {most:.4g}")
        needed: tuple[Hypothesis, ...] = (*theorem_sizes(n, k), large)
    else:
        bound, where, needed = _any_n(n, k, size, epsilon), f"this project, on {PAPER}, Lemma 11", ()
    top = k + size
    empty = "" if 2 * epsilon < top else f"vacuous: 2 epsilon = {2 * epsilon:g}, and psi_r lies in [0, {top}]"
    empty = "vacuous: no probability is negative" if bound <= 0 else empty
    at, room = (form, f"n={n}", f"k={k}", f"r={r}", f"epsilon={epsilon:g}", case), 1e-12 * bound
    return stated(
        "lemma11", at, where, Kind.LOWER_BOUND, bound, probability, empty, note, hypotheses=needed, tolerance=room
    )


def _any_n(n: int, k: int, size: int, epsilon: float) -> float:
    least = -(-n // 2) - k + 1  # of |J|
    if least < 1:
        return 0.0
    far = max(0.0, 2 / 3 - least / (n - k))
    often = 1 - math.exp(-2 * (n - k) * far**2)
    alpha = min(0.5, 0.25 + (math.sqrt(n) / (8 * k) + 1) / math.sqrt(8 * math.pi * least))
    rest = min(2 * epsilon - 4 * size / math.sqrt(math.comb(-(-n // 2), k - 1)), k * size)
    return float(good_share(k)) * often * max(0.0, rest) / (8 * k * alpha * size)


def representation(
    *,
    k: int,
    error: float | None = None,
    rank: int | None = None,
    capped_rank: int | None = None,
    capped_error: float | None = None,
) -> list[Guarantee]:
    """The parity of k signs is a combination of the k + 1 features phi_r, and with ReLU6 it is not (k >= 5).

    With the ReLU the (k+1) x (k+1) matrix phi_r(z) is invertible; with ReLU6 its rank is k - 1 for every odd k >= 5,
    and the least error, known up to k = 15, does not fall to 0.

    Beside Lemma 12, whose separator combines these features (this project).

    Parameters
    ----------
    k : int
        Odd, >= 3.
    error : float, optional
        Measured: largest error of :func:`learnability.networks.parity.representation` over the k + 1 sums.
    rank, capped_rank : int, optional
        Measured: rank of the matrix, with the ReLU and with ReLU6.
    capped_error : float, optional
        Measured: the least largest error of a combination of the features with ReLU6, for k <= 15.

    Returns
    -------
    list of Guarantee
        The error and the rank with the ReLU; the rank and the least error with ReLU6.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.

    Errata
    ------
    With ReLU6, as printed, the features have rank k - 1 instead of k + 1, and the parity is represented to within
    .5, .25 and .4 at k = 5, 7, 9 at best.
    """
    checks.counts(rank=rank, capped_rank=capped_rank)
    checks.measurements(error=error, capped_error=capped_error)
    k = odd(k)
    name, source = f"k={k}", "Lemma 12 (representation: this project)"
    printed = "Lemmas 10 to 12 (with ReLU6 as printed it fails: this project)"
    text, least = "largest error over the sums of k signs", "least largest error of a combination with ReLU6"
    known, unknown = "below 1, so that the sign can be right", f"known up to k = {max(CAPPED)} only"
    return [
        stated("representation", [name], source, Kind.EXACT, 0, error, text, tolerance=ROUNDING),
        stated("representation-rank", [name], source, Kind.EXACT, k + 1, rank),
        stated(
            "representation-rank", ["ReLU6", name], source, Kind.EXACT, k - 1 if k >= 5 else k + 1, capped_rank,
            "rank with ReLU6 in phi_r",
        ),
        stated(
            "representation-relu6", [name], printed, Kind.EXACT, CAPPED.get(k), capped_error,
            least, known if k in CAPPED else unknown, tolerance=ROUNDING,
        ),
    ]  # fmt: skip


def _feature(k: int, r: int, alpha: float) -> tuple[int, int, float]:
    """k, |r| and alpha, checked."""
    k = odd(k)
    r = checks.size("r", r, at_least=-k, at_most=k)
    if r % 2 == 0:
        raise RequestError(f"r must be odd, got {r}")
    alpha = checks.real("alpha", alpha, at_least=0.25, at_most=1.0)
    return k, abs(r), alpha
