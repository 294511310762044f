"""From a sample to an error: Theorem 1 of Nachum & Yehudayoff, and sample compression (the remarks of Section 4)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.errors import RequestError
from learnability.evidence.intervals import mean, share
from learnability.studies.symmetry import claim
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, joined, statement_id

__all__ = ["missing_mass", "sample_compression", "theorem1", "theorem1_sample_size"]


def theorem1_sample_size(n: int, epsilon: float, delta: float) -> int:
    """Least m with m >= ((n+1) ln 2 + ln(1/delta)) / epsilon.

    The explicit form of Theorem 1's m >= C (n + log(1/delta)) / epsilon: any learner that outputs a symmetric
    function consistent with the sample has error above epsilon with probability at most 2^(n+1) (1-epsilon)^m
    <= delta.

    Parameters
    ----------
    n : int
        Input bits, >= 1.
    epsilon : float
        Error that is allowed, in (0, 1).
    delta : float
        Probability that a sample may fail, in (0, 1).

    Returns
    -------
    int
        Examples.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    n = checks.size("n", n, at_least=1)
    epsilon = checks.real("epsilon", epsilon, above=0.0, below=1)
    delta = checks.real("delta", delta, above=0.0, below=1)
    least = ((n + 1) * math.log(2) - math.log(delta)) / epsilon
    if least == math.inf:
        raise RequestError(f"epsilon must leave a sample size within float64, got {epsilon!r} with n = {n:.3g}")
    return math.ceil(least)


def theorem1(
    n: int,
    *,
    epsilon: float,
    delta: float,
    m: int,
    failed: ArrayLike | None = None,
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Theorem 1: with probability >= 1 - delta over the sample the trained network's error is <= epsilon.

    Both layers are trained by SGD from the symmetry initialisation, with Lemma 4's step, on m >= ((n+1) ln 2 +
    ln(1/delta)) / epsilon examples of any symmetric function, from any distribution. The network ends consistent
    with the sample and, as inputs of the same weight share a label, as one of 2^(n+1) functions, of which none with
    an error above epsilon is likely to be consistent.

    Parameters
    ----------
    n, m : int
        Input bits and sample size; the hypothesis is m >= ((n+1) ln 2 + ln(1/delta)) / epsilon.
    epsilon, delta : float
        In (0, 1).
    failed : array of bool, optional
        Measured: which of the independent samples gave a true error above epsilon. The probability is judged by
        its confidence interval: with none failed, 36 samples are needed to tell that it is at most 1/10.
    case, note : str
        As in :func:`lemma1`.

    Returns
    -------
    Guarantee
        The share of failures against delta.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Errata
    ------
    The order m >= C (n + log(1/delta)) / epsilon is printed without its constant; m >= ((n+1) ln 2 + ln(1/delta)) /
    epsilon is what the argument needs (:func:`theorem1_sample_size`), over 2^(n+1) functions as weights run from 0
    to n, where the paper lists the labels a_1..a_n.
    """
    least = theorem1_sample_size(n, epsilon, delta)
    m = checks.size("m", m, at_least=1)
    needed = Hypothesis("m >= ((n+1) ln 2 + ln(1/delta)) / epsilon", m >= least, f"{m} against {least}")
    rate = None
    if failed is not None:
        found = checks.vector("failed", failed)
        if (odd := found[(found != 0) & (found != 1)]).size:
            raise RequestError(f"failed must hold True and False only, got {odd[0]:g}")
        rate = share(found > 0, what="share of failures", unit="samples")
    identity = statement_id("theorem1", f"n={n}", case)
    where = "Theorem 1 (explicit sample bound: finite class of 2^(n+1))"
    return claim(identity, where, delta, rate, "at_most", note, Kind.UPPER_BOUND, hypotheses=(needed,))


def sample_compression(
    *, disagreements: int | None = None, seen: int | None = None, case: str = "", note: str = ""
) -> Guarantee:
    """The first remark of Section 4: after training, all inputs of a weight seen in the sample share its label.

    A sample is thereby compressed to at most n + 1 examples, one per weight seen.

    Parameters
    ----------
    disagreements : int, optional
        Measured: inputs of a seen weight whose sign differs from the label.
    seen : int, optional
        Inputs looked at, for the note.
    case, note : str
        As in :func:`lemma1`.

    Returns
    -------
    Guarantee
        The disagreements, exactly 0.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    checks.counts(disagreements=disagreements, seen=seen)
    said = joined(f"{seen} inputs of seen weights" if seen is not None else "", note)
    identity, where = statement_id("sample-compression", case), "Section 4 (first remark)"
    return claim(identity, where, 0, disagreements, "equal", said, Kind.EXACT)


def missing_mass(
    probabilities: ArrayLike,
    m: int,
    *,
    errors: ArrayLike | None = None,
    case: str = "",
    note: str = "",
) -> Guarantee:
    """The sample-size curve that sample compression implies: E[true error] <= sum_k p_k (1 - p_k)^m.

    The right side is the expected mass of the weights that m examples do not show; on a single sample the
    true error is at most the mass of the weights that this sample does not show.

    Ours, from the first remark of Section 4.

    Parameters
    ----------
    probabilities : array (n+1,)
        P(|x| = k) = p_k, >= 0 with sum 1.
    m : int
        Sample size, >= 1.
    errors : array, optional
        Measured: true errors over independent samples, whose mean is judged by its confidence interval.
    case, note : str
        As in :func:`lemma1`.

    Returns
    -------
    Guarantee
        The mean true error against the expected mass of unseen weights.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    p = checks.distribution("probabilities", probabilities)
    m = checks.size("m", m, at_least=1)
    identity, where = statement_id("missing-mass", f"m={m}", case), "Section 4 (consequence of the first remark)"
    bound, error = float(np.sum(p * (1 - p) ** float(m))), None
    if errors is not None:
        error = mean(checks.vector("errors", errors, at_least=0.0), unit="samples")
    return claim(identity, where, bound, error, "at_most", note, Kind.UPPER_BOUND)
