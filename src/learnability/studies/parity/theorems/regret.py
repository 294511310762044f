"""Online gradient descent on convex functions: Theorem 13 of Daniely & Malach."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.studies.parity.theorems.statement import in_form, stated
from learnability.theory import extended
from learnability.theory.extended import monomial
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind

__all__ = ["FORMS", "ROUNDING", "nonnegative", "regret_bound", "theorem13"]


ROUNDING = 1e-9
"""Relative room for rounding: some of these bounds are attained."""

FORMS = ("printed", "sharp")
"""A bound as the paper has it, and what the same argument gives with nothing thrown away."""


def regret_bound(
    *,
    eta: float,
    comparator_loss: float,
    gradient_norms: ArrayLike,
    start_norm: float,
    comparator_norm: float,
    form: str = "printed",
) -> float:
    r"""The right side of Theorem 13.

    .. math:: \frac1T \sum_t f_t(\theta^*) + \frac{\|\theta^*\|^2}{2 \eta T}
              + \|\theta_1\| \frac1T \sum_t \|\nabla f_t(\theta_t)\| + \frac{c}{T} \sum_t \|\nabla f_t(\theta_t)\|^2

    with :math:`c = \eta` as printed. :math:`c = \eta / 2` would do (``"sharp"``): with
    :math:`\varphi_t = \theta_t - \theta_1` the usual bound for a start at 0 gives
    :math:`\sum_t \langle g_t, \varphi_t - \theta^* \rangle \le \|\theta^*\|^2 / 2 \eta + (\eta/2) \sum_t \|g_t\|^2`,
    and :math:`\langle g_t, \theta_1 \rangle \le \|\theta_1\| \|g_t\|` is added. The sharp form is attained, by linear
    functions with one gradient g, :math:`\theta_1 = 0` and :math:`\theta^* = -\eta T g`.

    Parameters
    ----------
    eta : float
        Step size, > 0.
    comparator_loss : float
        Mean over t of f_t(theta*).
    gradient_norms : array (T,)
        Norms of the gradients (or subgradients) used, >= 0.
    start_norm, comparator_norm : float
        Norms of theta_1 and theta*, >= 0.
    form : {"printed", "sharp"}

    Returns
    -------
    float
        A mean loss.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    eta = checks.real("eta", eta, above=0.0)
    comparator_loss = checks.real("comparator_loss", comparator_loss)
    norms = nonnegative("gradient_norms", gradient_norms)
    start_norm = checks.real("start_norm", start_norm, at_least=0.0)
    comparator_norm = checks.real("comparator_norm", comparator_norm, at_least=0.0)
    last = eta if checks.choice("form", form, FORMS) == "printed" else eta / 2
    T = len(norms)
    distance = monomial((comparator_norm, 2), (2 * T, -1), (eta, -1))
    squares = sum(monomial((norm, 2), (last, 1), (T, -1)) for norm in norms.tolist())
    return (
        comparator_loss
        + distance
        + sum(monomial((start_norm, 1), (norm, 1), (T, -1)) for norm in norms.tolist())
        + squares
    )


def theorem13(
    *,
    eta: float,
    losses: ArrayLike,
    comparator_losses: ArrayLike,
    gradient_norms: ArrayLike,
    start_norm: float,
    comparator_norm: float,
    convex: bool = True,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Theorem 13: online gradient descent on convex losses has a mean loss not much above that of any fixed theta*.

    theta_{t+1} = theta_t - eta grad f_t(theta_t) over T convex functions has (1/T) sum f_t(theta_t) at most
    :func:`regret_bound`, that is the mean loss of theta* and terms in |theta*|, the start and the gradients.

    Parameters
    ----------
    eta, gradient_norms, start_norm, comparator_norm
        As in :func:`regret_bound`.
    losses, comparator_losses : array (T,)
        f_t(theta_t) and f_t(theta*).
    convex : bool
        Whether every f_t is convex; numbers cannot tell.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        The bound as printed, and sharp.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Errata
    ------
    Nothing is wrong, but the last term is twice what the argument needs: eta / 2 stands in the sharp form, which is
    attained.
    """
    norms = nonnegative("gradient_norms", gradient_norms)
    losses = checks.vector("losses", losses, length=len(norms))
    others = checks.vector("comparator_losses", comparator_losses, length=len(norms))
    room = ROUNDING * (float(np.abs(losses).mean()) + float(np.abs(others).mean()))
    mean, needed = float(losses.mean()), [Hypothesis("every f_t is convex", convex)]
    found = []
    for form in FORMS:
        bound = regret_bound(
            eta=eta,
            comparator_loss=float(others.mean()),
            gradient_norms=norms,
            start_norm=start_norm,
            comparator_norm=comparator_norm,
            form=form,
        )
        where, total = in_form("Theorem 13", form), room + extended.room(ROUNDING, bound)
        at = (form, case)
        found.append(
            stated("theorem13", at, where, Kind.UPPER_BOUND, bound, mean, note, hypotheses=needed, tolerance=total)
        )
    return found


def nonnegative(name: str, values: ArrayLike, length: int | None = None) -> FloatArray:
    """A vector of non-negative numbers, at least one.

    Parameters
    ----------
    name : str
        The parameter's name, for the message.
    values : array (r,)
        Numbers >= 0, one at least.
    length : int, optional
        What r must be.

    Returns
    -------
    array (r,)

    Raises
    ------
    ValueError
        If they are not as described.
    """
    found = checks.vector(name, values, length=length)
    if not len(found) or (found < 0).any():
        raise RequestError(f"{name} must hold numbers >= 0, got {found.min() if len(found) else 'none'}")
    return found
