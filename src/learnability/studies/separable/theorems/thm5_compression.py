"""From few examples used to a small error: compression bounds (Theorem 5 of Brutzkus et al. and its sources).

What makes a run a compression scheme
-------------------------------------
Let W_0 be drawn independently of the sample S of n examples. Two ways of coding the trained network are in use.

* *Updates.* The network is a function of the sequence (x_{i_1}, ..., x_{i_c}) of the examples of the c non-zero
  updates, in their order and with repetition: make those updates from W_0. This is the paper's scheme, and the union
  bound of Theorem 30.2 of Shalev-Shwartz & Ben-David is over the n^c sequences of positions. The order of visits need
  not be coded and may even depend on S. At a global minimum a shorter sequence is padded to length c by an example of
  its own, which triggers no further update; so any upper limit on the number of updates may stand for c.
* *Examples.* Let also the order of visits, a sequence of positions 1..n, be drawn independently of S. Then the set I
  of the distinct positions that caused an update is enough: the same order with all other positions skipped makes the
  same updates, by induction, since a skipped visit changed nothing. The decoder here knows I besides the examples in
  it. The proof of Theorem 30.2 allows that: it needs for every fixed I that the hypothesis does not depend on the
  examples outside, and takes the union over I. Neither order nor multiplicity has to be coded, and there are only
  binomial(n, |I|) sets. If the order may depend on S, this scheme is not valid.

A size measured on the run, or computed from the sample's own margin, is not fixed in advance. Each of the sizes
1..n/2 then gets its share of the confidence: delta becomes delta / n. Whatever else was computed from S counts too.
Inputs divided by the largest norm *in S*, for instance, make the network depend on the example that has it: add 1 to
the size.
"""

from __future__ import annotations

import math

from learnability import checks
from learnability.studies.separable import PAPER
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, joined, statement_id

__all__ = ["compression_bound", "consistent_bound", "consistent_compression", "theorem5"]

CODED = ("updates", "examples")


def compression_bound(
    *, n: int, size: int, delta: float, validation_error: float = 0.0, known_in_advance: bool = True
) -> float:
    r"""The right side of Theorem 5 (Shalev-Shwartz & Ben-David, Theorem 30.2 and Corollary 30.3).

    .. math:: L_V + \sqrt{L_V \cdot 4 c \log(n/\delta) / n} + 8 c \log(n/\delta) / n

    At a global minimum L_V = 0 and (8 / n) c log(n / delta) is left. A size of 0 counts as 1: the step
    log(n^c / delta) <= c log(n / delta) of the proof needs c >= 1.

    Parameters
    ----------
    n : int
        Examples in the sample, >= 1. The proof needs n >= 2 c.
    size : int
        c >= 0, the length of the compression.
    delta : float
        In (0, 1).
    validation_error : float
        L_V in [0, 1]: the 0-1 error on the examples of the sample that are not in the compression.
    known_in_advance : bool
        Whether ``size`` was fixed before S was seen; otherwise delta / n takes the place of delta.

    Returns
    -------
    float
        May be above 1, and says nothing then.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    n, size, doubt = _sample(n, size, delta, known_in_advance)
    left = checks.real("validation_error", validation_error, at_least=0.0, at_most=1.0)
    complexity = max(size, 1) * (math.log(n) + doubt) / n
    return left + math.sqrt(4 * left * complexity) + 8 * complexity


def consistent_bound(
    *, n: int, size: int, delta: float, coded: str = "updates", known_in_advance: bool = True
) -> float:
    r"""The same argument with the constants of L_V = 0 kept (Littlestone & Warmuth; Floyd & Warmuth).

    A hypothesis that does not depend on n - c examples and has error above eps is right on all of them with
    probability at most (1 - eps)^(n - c). With N codes, eps solves N (1 - eps)^(n - c) = delta:

    .. math:: \epsilon = 1 - \exp(-(\log N + \log(1/\delta)) / (n - c)), \quad
              N = n^c \text{ (updates)}, \quad N = \binom{n}{c} \text{ (examples)}

    Always below 1, and below Theorem 5's bound at n >= 2c. With size >= n nothing is left to judge by, and
    the bound is 1.

    Not in the paper.

    Parameters
    ----------
    n, size, delta, known_in_advance
        As in :func:`compression_bound`.
    coded : {"updates", "examples"}
        What ``size`` counts, as in :func:`theorem5`.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    n, size, doubt = _sample(n, size, delta, known_in_advance)
    coded = checks.choice("coded", coded, CODED)
    if size >= n:
        return 1.0
    codes = size * math.log(n)
    if coded == "examples":
        codes = math.lgamma(n + 1) - math.lgamma(size + 1) - math.lgamma(n - size + 1)
    return -math.expm1(-(codes + doubt) / (n - size))


def theorem5(
    *,
    n: int,
    size: int,
    delta: float,
    validation_error: float = 0.0,
    error: float | None = None,
    coded: str = "updates",
    known_in_advance: bool = False,
    order_independent: bool = True,
    reproduced: bool | None = None,
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Theorem 5: with probability >= 1 - delta over S and W_0 the error is at most :func:`compression_bound`.

    c examples (or updates) of n make the network; with L_V its share of mistakes on the others the bound is L_V +
    sqrt(4 L_V c log(n / delta) / n) + 8 c log(n / delta) / n. What makes few examples enough is Theorem 2: c is at
    most the number of non-zero updates.

    Parameters
    ----------
    n, size, delta, validation_error
        As in :func:`compression_bound`; W_0 must have been drawn independently of S.
    error : float, optional
        Measured: the 0-1 error on the distribution, or on a test set.
    coded : {"updates", "examples"}
        What ``size`` counts: non-zero updates (or an upper limit for them), or the distinct examples that caused
        one. See the top of this module for what each of them rests on.
    known_in_advance : bool
        Whether ``size`` was fixed before S was seen (from the margin of the *distribution*, say). Otherwise delta / n
        takes the place of delta.
    order_independent : bool
        For ``coded="examples"``: whether the order of visits was drawn independently of S.
    reproduced : bool, optional
        For ``coded="examples"``: whether a run on those examples alone was seen to give the same network.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        The error against the bound, whose note says where it is vacuous.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    bound = compression_bound(
        n=n, size=size, delta=delta, validation_error=validation_error, known_in_advance=known_in_advance
    )
    hypotheses = (at_most_half(n, size), *_scheme(coded, order_independent, reproduced))
    notes = (promised(delta, f"{size} {coded}", known_in_advance), note)
    return promise("separable/thm5", f"{PAPER}, Theorem 5", bound, error, hypotheses, case, notes)


def consistent_compression(
    *,
    n: int,
    size: int,
    delta: float,
    consistent: bool = True,
    error: float | None = None,
    coded: str = "updates",
    known_in_advance: bool = False,
    order_independent: bool = True,
    reproduced: bool | None = None,
    case: str = "",
    note: str = "",
) -> Guarantee:
    """The sharper bound of :func:`consistent_bound` for a network that is right on all unused examples.

    Not in the paper: the older result that Theorem 5 loosens by a factor of 8 and more. Use it to see whether
    compression says anything at moderate n.

    Parameters
    ----------
    n, size, delta, error, coded, known_in_advance, order_independent, reproduced, case, note
        As in :func:`theorem5`.
    consistent : bool
        Whether all examples outside of the compression are classified correctly.

    Returns
    -------
    Guarantee
        The error against the bound.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    bound = consistent_bound(n=n, size=size, delta=delta, coded=coded, known_in_advance=known_in_advance)
    hypotheses = (
        Hypothesis("c < n", size < n, f"c = {size}, n = {n}"),
        Hypothesis("no mistake on the unused examples", consistent),
        *_scheme(coded, order_independent, reproduced),
    )
    source = "Floyd & Warmuth (1995), for the scheme of Brutzkus et al."
    notes = (promised(delta, f"{size} {coded}", known_in_advance), note)
    return promise("separable/compression-consistent", source, bound, error, hypotheses, case, notes)


def at_most_half(n: int, size: float) -> Hypothesis:
    """The condition n >= 2 c of Theorems 5 and 6.

    Parameters
    ----------
    n : int
        Examples.
    size : float
        c.

    Returns
    -------
    Hypothesis
    """
    return Hypothesis("n >= 2 c", n >= 2 * size, f"n = {n}, c = {size:.9g}")


def promise(
    statement: str,
    source: str,
    bound: float | None,
    error: float | None,
    hypotheses: tuple[Hypothesis, ...],
    case: str,
    notes: tuple[str, ...],
) -> Guarantee:
    """A generalisation bound, which says so where it says nothing.

    Parameters
    ----------
    statement, source, bound, error, hypotheses, case
        As in :class:`learnability.theory.guarantee.Guarantee`, the id in two parts.
    notes : tuple of str
        Joined to one.

    Returns
    -------
    Guarantee

    Raises
    ------
    ValueError
        If the error is not in [0, 1].
    """
    if error is not None:
        error = checks.real("error", error, at_least=0.0, at_most=1.0)
    empty = "vacuous: an error is never above 1" if bound is not None and bound >= 1 else ""
    said = joined(empty, *notes)
    return Guarantee(statement_id(statement, case), source, Kind.UPPER_BOUND, bound, error, hypotheses, said)


def promised(delta: float, size: str, known_in_advance: bool) -> str:
    """With which probability, for which size.

    Parameters
    ----------
    delta : float
        Probability of failure.
    size : str
        The size in words.
    known_in_advance : bool
        As in :func:`theorem5`.

    Returns
    -------
    str
    """
    chance = f"with probability at least {1 - delta:g}, c = {size}"
    return chance if known_in_advance else f"{chance}; delta / n for a size that depends on the sample"


def _scheme(coded: str, order_independent: bool, reproduced: bool | None) -> tuple[Hypothesis, ...]:
    """What the count of distinct examples rests on."""
    if checks.choice("coded", coded, CODED) == "updates":
        return ()
    order = Hypothesis("order of visits drawn independently of S", order_independent)
    again = Hypothesis("a run on the used examples alone gives the same network", bool(reproduced))
    return (order,) if reproduced is None else (order, again)


def _sample(n: int, size: int, delta: float, known_in_advance: bool) -> tuple[int, int, float]:
    """Sample size, length of the compression, and log(1 / delta) or log(n / delta)."""
    n = checks.size("n", n, at_least=1)
    size = checks.size("size", size, at_least=0)
    delta = checks.real("delta", delta, above=0.0, below=1)
    return n, size, -math.log(delta) + (0.0 if known_in_advance else math.log(n))
