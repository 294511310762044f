"""What Nachum & Yehudayoff prove about representing symmetric functions, Lemmas 1 to 3; with Theorem 1.

Theorem 1 comes from :mod:`learnability.studies.symmetry.theorems.generalisation`; Theorem 2 (the perceptron) and
Lemma 4 (its stability when both layers move) stand in :mod:`learnability.studies.symmetry.theorems.thm2_lemma4`.
Every function takes numbers, and measured values where there are any, and returns guarantees. The coefficients of a
symmetric function are a_0..a_n here (the paper prints a_1..a_n).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.errors import RequestError
from learnability.studies.symmetry import claim
from learnability.studies.symmetry.theorems.generalisation import (
    missing_mass,
    sample_compression,
    theorem1,
    theorem1_sample_size,
)
from learnability.theory.guarantee import Guarantee, Kind, joined, statement_id

__all__ = [
    "LEMMA3_LIMITS",
    "lemma1",
    "lemma2",
    "lemma3",
    "lemma3_bound",
    "lemma3_scaling",
    "missing_mass",
    "sample_compression",
    "theorem1",
    "theorem1_sample_size",
    "zigzag",
]


ON_A = 1 / (1 + math.exp(-2.5)) - 1 / (1 + math.exp(2.5))
"""sigma(2.5) - sigma(-2.5) = 0.84828: the least that Lemma 1's sum of differences is on A."""

OFF_A = 2 * math.exp(-2.5) / (1 - math.exp(-5))
"""0.16529, the geometric series that bounds Lemma 1's sum off A."""

KINDS = ("integer", "integer_padded", "half_integer", "quarter", "sigmoid")
"""Initialisations that Lemma 3 has a constant for."""

LEMMA3_LIMITS = {
    "integer": 1 / 4,
    "half_integer": math.sqrt(2) / 4,
    "quarter": math.sqrt(6) / 8,
    "sigmoid": 0.5
    * sum((-1) ** j * (math.tanh(2.5 * (j + 0.5)) - math.tanh(2.5 * (j - 0.5))) / 2 for j in range(-9, 10)),
}
"""What margin * sqrt(n) of parity tends to: the response of the hidden layer to the frequency pi.

Far from the ends the embedding is a convolution in k. Second differences of ReLU(k - c) are 1 at k = c for an
integer c, (1/2, 1/2) for a half-integer and (3/4, 1/4) for a quarter; at frequency pi their responses are 1,
0 and +-1/2, a second difference's is 4, and margin^2 n is the sum of the squared responses of the neurons per
unit of k over 4^2: 1/16, 2/16 (both orientations), (1 + 1/4 + 1/4)/16. For the sigmoids, whose first
differences are Lemma 1's Delta and a first difference's response 2, it is (sum_j (-1)^j Delta_0(j) / 2)^2.
"""


def lemma1(
    *,
    mistakes: int | None = None,
    on: float | None = None,
    off: float | None = None,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Lemma 1: n + 2 sigmoids represent every symmetric function.

    With Delta_i(x) = sigma(5(|x|-i+1/2)) - sigma(5(|x|-i-1/2)), f_A(x) = sign(-1/2 + sum_{i in A}
    Delta_i(x)); the sum is at least sigma(2.5) - sigma(-2.5) = 0.848 on A (the paper: more than 0.84) and
    below 2 e^{-2.5} / (1 - e^{-5}) = 0.165 off A (the paper: less than 0.17).

    Parameters
    ----------
    mistakes : int, optional
        Measured: inputs (or weights) on which the network's sign is wrong, over the cases looked at.
    on, off : float, optional
        Measured: the smallest sum on A and the largest off A.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        Mistakes (exactly 0); the sum on A and off A, each against the paper's constant and the proof's.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Errata
    ------
    sigma is read as the logistic function, which the proof needs.
    """
    checks.counts(mistakes=mistakes)
    checks.measurements(at_least=None, on=on, off=off)

    def part(
        name: str, form: str, kind: Kind, bound: float, measured: float | None, what: str = "", room: float = 0.0
    ) -> Guarantee:
        identity = statement_id(name, case, form)
        return claim(identity, "Lemma 1", bound, measured, "", joined(what, note), kind, tolerance=room)

    lower, upper = Kind.LOWER_BOUND, Kind.UPPER_BOUND
    return [
        part("lemma1", "", Kind.EXACT, 0, mistakes),
        part("lemma1-on", "paper's 0.84", lower, 0.84, on),
        part("lemma1-on", "proof", lower, ON_A, on, "sigma(2.5) - sigma(-2.5), attained by A = {i}", room=1e-12),
        part("lemma1-off", "paper's 0.17", upper, 0.17, off),
        part("lemma1-off", "proof", upper, OFF_A, off, "2 exp(-2.5) / (1 - exp(-5))"),
    ]


def lemma2(
    *, mistakes: int | None = None, deviation: float | None = None, case: str = "", note: str = ""
) -> list[Guarantee]:
    """Lemma 2 (ICLR version): n + 3 ReLUs represent every f_A, with outputs +1/2 on A and -1/2 off it.

    A hat, ReLU(k - i + 1) - 2 ReLU(k - i) + ReLU(k - i - 1) with k = |x|, is 1 at the weight i and 0 at all others:
    f_A is the sum of the hats of A, less 1/2.

    Parameters
    ----------
    mistakes : int, optional
        Measured: inputs (or weights) whose sign is wrong.
    deviation : float, optional
        Measured: largest distance of an output from +-1/2.
    case, note : str
        As in :func:`lemma1`.

    Returns
    -------
    list of Guarantee
        Mistakes, and the distance from +-1/2, both exactly 0.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    checks.counts(mistakes=mistakes)
    checks.measurements(deviation=deviation)
    what = joined("largest | |output| - 1/2 |", note)
    return [
        claim(statement_id("lemma2", case), "Lemma 2", 0, mistakes, "equal", note, Kind.EXACT),
        claim(statement_id("lemma2-output", case), "Lemma 2", 0, deviation, "equal", what, Kind.EXACT),
    ]


def zigzag(
    *, mistakes: int | None = None, deviation: float | None = None, case: str = "", note: str = ""
) -> list[Guarantee]:
    """The zig-zag: 4n + 2 ReLUs on the half-integer grid with output 1/2 - dist(|x|, A).

    Our reconstruction of the arXiv version's Lemma 2, whose formulas are lost.

    Parameters
    ----------
    mistakes : int, optional
        Measured: inputs (or weights) whose sign is wrong.
    deviation : float, optional
        Measured: largest distance of an output from 1/2 - dist(|x|, A), from -1/2 if A is empty.
    case, note : str
        As in :func:`lemma1`.

    Returns
    -------
    list of Guarantee
        Mistakes, and the distance, both exactly 0.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Errata
    ------
    The arXiv version describes in words a representation by unbounded functions; its formulas are lost in the
    copies at hand. Kinks at every element of A and half-way between neighbours have the properties that its proof
    uses.
    """
    checks.counts(mistakes=mistakes)
    checks.measurements(deviation=deviation)
    where = "Lemma 2 (arXiv version, reconstructed)"
    what = joined("largest |output - (1/2 - dist(|x|, A))|", note)
    return [
        claim(statement_id("zigzag", case), where, 0, mistakes, "equal", note, Kind.EXACT),
        claim(statement_id("zigzag-output", case), where, 0, deviation, "equal", what, Kind.EXACT),
    ]


def lemma3_bound(n: int, kind: str) -> float:
    """An explicit constant for Lemma 3's Omega(1/sqrt(n)): a margin that every symmetric function has.

    The paper gives the order only. Explicit weights give

    * ``integer``: Lemma 2's weights are at most 2 in absolute value on n + 3 neurons, with b = -1/2 and outputs
      +-1/2, so gamma >= (1/2) / sqrt(1/4 + 4(n+3));
    * ``half_integer``, ``quarter``: on weights k = 0..n Lemma 2's function needs ReLU(k - c) for c = 0..n-1 only,
      with ReLU(k + 1) = ReLU(k) + 1: the weight at c = 0 and the bias are then a_1 - a_0 and a_0 - 1/2 with
      a_k = 1[k in A], so |w|^2 <= 1 + 4(n-1) + 1/4 and gamma >= (1/2) / sqrt(4n - 11/4). (The zig-zag's own
      weights have a bias up to (n+1)/2 and give 1/n only.)
    * ``sigmoid``: Lemma 1's weights are at most 1 on n + 2 neurons with b = -1/2 and outputs at least
      1/2 - 0.16529 in absolute value.

    Margins are those of the lifted embedding (v, 1).

    Parameters
    ----------
    n : int
        Input bits, >= 1.
    kind : {"integer", "integer_padded", "half_integer", "quarter", "sigmoid"}
        The symmetry initialisation: where the kinks of the hidden layer lie (:mod:`learnability.networks.symmetry`).

    Returns
    -------
    float
        A margin, in the units of the embedding; times sqrt(n) it tends to a constant.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    n = checks.size("n", n, at_least=1)
    kind = checks.choice("kind", kind, KINDS)
    if kind == "sigmoid":
        return min(ON_A - 0.5, 0.5 - OFF_A) / math.sqrt(0.25 + n + 2)
    return 0.5 / math.sqrt(0.25 + 4 * (n + 3) if kind.startswith("integer") else 4 * n - 2.75)


def lemma3(n: int, kind: str, *, margin: float | None = None, case: str = "", note: str = "") -> Guarantee:
    """Lemma 3: the initial embedding separates every symmetric function with margin Omega(1/sqrt(n)).

    The hidden layer maps inputs to points v, and for every symmetric f some output weights (M, b) of norm 1 have
    f(x) (M . v + b) >= gamma at all of them. The paper gives the order of gamma; :func:`lemma3_bound` is a number.

    Parameters
    ----------
    n : int
        Input bits, >= 1.
    kind : str
        Initialisation, see :func:`lemma3_bound` for the constant.
    margin : float, optional
        Measured: the exact hard margin of the lifted embedding for the worst function looked at.
    case, note : str
        As in :func:`lemma1`.

    Returns
    -------
    Guarantee
        The bound, beside what was measured.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Errata
    ------
    The paper gives the order 1/sqrt(n) without a constant, for the initialisation with n + 3 neurons; its experiments
    use 4n + 3, whose constants are given beside.
    """
    checks.measurements(at_least=None, margin=margin)
    n = checks.size("n", n, at_least=1)
    identity, where = statement_id("lemma3", kind, f"n={n}", case), "Lemma 3 (explicit constant ours)"
    return claim(identity, where, lemma3_bound(n, kind), margin, "at_least", note, Kind.LOWER_BOUND)


def lemma3_scaling(kind: str, n: ArrayLike, margins: ArrayLike, *, tolerance: float = 0.03) -> Guarantee:
    """The exponent of Lemma 3: slope of log margin against log n by least squares, expected at -1/2.

    Parameters
    ----------
    kind : str
        Initialisation, as in :func:`lemma3_bound`: for the id.
    n, margins : array (r,), r >= 2
        Positive; margins of the worst known function at each n.
    tolerance : float
        How far from -1/2 the slope may lie, >= 0: finite n approaches the limit from above.

    Returns
    -------
    Guarantee
        The slope beside -1/2, within the tolerance.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    kind, n = checks.choice("kind", kind, KINDS), checks.vector("n", n)
    margins = checks.vector("margins", margins, length=len(n))
    if len(n) < 2 or (n <= 0).any() or (margins <= 0).any():
        raise RequestError(f"n and margins must hold at least two positive values, got {n} and {margins}")
    slope = float(np.polyfit(np.log(n), np.log(margins), 1)[0])
    room = checks.real("tolerance", tolerance, at_least=0.0)
    note = f"slope over n = {n[0]:g}..{n[-1]:g}; margin sqrt(n) ends at {margins[-1] * n[-1] ** 0.5:.4f}; "
    note += f"room {room:g} for finite n, where a margin c n^(-1/2) (1 + a / n) is steeper"
    identity = statement_id("lemma3-scaling", kind)
    return claim(identity, "Lemma 3", -0.5, slope, "equal", note, Kind.TREND, tolerance=room)
