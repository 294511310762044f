"""What Brutzkus et al. prove about the error of SGD on linearly separable data: Theorem 6, with Theorem 2.

Theorem 2 and Corollary 3, on which it rests, come from
:mod:`learnability.studies.separable.theorems.convergence`. ``w_norm`` is |w*| for a w* with y <w*, x> >= 1 on all
examples: 1 over the margin.
"""

from __future__ import annotations

import math

from learnability import checks
from learnability.errors import RequestError
from learnability.studies.separable import PAPER
from learnability.studies.separable.theorems import thm5_compression as thm5
from learnability.studies.separable.theorems.convergence import (
    alignment_bound,
    corollary3,
    corollary3_bound,
    norm_bound,
    relaxed_bound,
    theorem2,
    update_bound,
)
from learnability.theory.guarantee import Guarantee, Hypothesis

__all__ = [
    "alignment_bound",
    "corollary3",
    "corollary3_bound",
    "norm_bound",
    "relaxed_bound",
    "theorem2",
    "theorem6",
    "update_bound",
]


def theorem6(
    *,
    n: int,
    delta: float,
    w_norm: float | None,
    eta: float,
    alpha: float,
    k: int | None = None,
    v: float | None = None,
    R: float | None = None,
    input_norm: float = 1.0,
    converged: bool = True,
    error: float | None = None,
    known_in_advance: bool = False,
    further: int = 0,
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Theorem 6: at SGD's global minimum the error is at most (8 / n) M log(n / delta).

    Theorem 5 with L_V = 0 and c = the whole part of M, a limit for the number of updates: of Corollary 3, or of
    Theorem 2 if ``k``, ``v`` and ``R`` are given. The order of visits may be any.

    Parameters
    ----------
    n : int
        Examples in the sample; the condition is n >= 2 c.
    delta : float
        In (0, 1).
    w_norm, eta, alpha, k, v, R, input_norm, case, note
        As in :func:`theorem2`.
    converged : bool
        Whether SGD ended at a global minimum of the loss on the sample.
    error : float, optional
        Measured: 0-1 error on the distribution or on a test set.
    known_in_advance : bool
        Whether ``w_norm`` is known of the distribution, as the theorem has it. If it was computed from the sample,
        delta / n takes the place of delta.
    further : int
        Examples on which the network depends besides those of its updates, >= 0: they are added to c.

    Returns
    -------
    Guarantee
        The error against the bound, whose note says where it is vacuous.

    Raises
    ------
    ValueError
        If an argument is outside its range, or some of k, v and R are missing.
    """
    if (k is None, v is None, R is None) not in ((True,) * 3, (False,) * 3):
        raise RequestError(f"k, v and R must be given all three or none, got k={k!r}, v={v!r}, R={R!r}")
    if k is not None and v is not None and R is not None:
        updates = theorem2(w_norm=w_norm, k=k, eta=eta, v=v, R=R, alpha=alpha, input_norm=input_norm)
    else:
        updates = corollary3(w_norm=w_norm, eta=eta, alpha=alpha, input_norm=input_norm)
    further = checks.size("further", further, at_least=0)
    most = math.inf if updates.bound is None else updates.bound
    none = math.isinf(most)  # then the arguments are checked all the same
    size = min(checks.LARGEST, (0 if none else math.floor(most)) + further)
    limit = thm5.compression_bound(n=n, size=size, delta=delta, known_in_advance=known_in_advance)
    sized = thm5.at_most_half(n, most + further if none else size)
    hypotheses = (*updates.hypotheses, sized, Hypothesis("SGD reached a global minimum", converged))
    many = "any number of updates" if none else f"{size - further:.6g} updates"
    many += f" and {further} more examples" if further else ""
    chance = thm5.promised(delta, many, known_in_advance)
    source, bound = f"{PAPER}, Theorem 6", None if none else limit
    return thm5.promise("separable/thm6", source, bound, error, hypotheses, case, (chance, note))
