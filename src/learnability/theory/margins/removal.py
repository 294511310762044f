"""How many examples must go before the rest is linearly separable?

The smallest number is NP-hard to find (it is the least number of errors of any half-space through the origin), so
:func:`separable_subset` returns the smallest number *found*, the rule that found it, and a proved lower bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.theory.margins import MAX_STEPS, HardMargin, certified, unit_of
from learnability.theory.margins.active_set import Solver
from learnability.theory.margins.points import IntArray, Points, contradictions
from learnability.theory.margins.soft import RULE, few_errors

__all__ = ["Certificate", "SeparableSubset", "separable_subset"]

STEPS = 50_000
"""Default budget of steps of the active-set method."""
_TRIAL = 25
"""What a trial of one example costs at least, in steps: the products with all examples, a factorisation."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """Farkas' certificate: sum_i multipliers_i y_i v_i over these examples vanishes to rounding."""

    index: IntArray
    """(s,), s <= d + 1, increasing."""
    multipliers: FloatArray
    """(s,), > 0 with sum 1."""


@dataclass(frozen=True, eq=False)
class SeparableSubset:
    """A separable subset and what is known about larger ones."""

    removed: IntArray
    """(r,), increasing: the examples whose removal was found to make the others separable."""
    kept: IntArray
    """(m - r,), increasing: the others."""
    rest: HardMargin | None
    """The margin of the kept examples, its multipliers in the order of ``kept``; ``None`` if none is left."""
    certificates: tuple[Certificate, ...]
    """No two have an example in common, and each must lose one."""
    maximal: bool
    """Whether no removed example can come back alone, each of them tried to the end."""
    rule: str
    """How the removed examples were found."""

    @property
    def at_least(self) -> int:
        """The number that any removal needs: the number of certificates."""
        return len(self.certificates)

    @property
    def smallest(self) -> bool:
        """Whether it is proved that no smaller removal does."""
        return len(self.removed) == self.at_least


def separable_subset(
    V: ArrayLike, y: ArrayLike, *, steps: int = STEPS, advance: Callable[[str], None] | None = None
) -> SeparableSubset:
    """Remove as few examples as found so that a hyperplane through the origin separates the rest.

    Disjoint certificates first: zero points and contradicting pairs, then the support of one certificate after
    another is taken away and the rest is asked for the next; with up to a quarter of the budget. Then
    :func:`learnability.theory.margins.soft.few_errors` gives a direction with few errors, and what it serves is kept;
    its margin is found. Then the removed examples are tried one by one, those that the direction serves best first:
    an example stays if those kept are separable with it. There is no random choice.

    Parameters
    ----------
    V, y
        As in :func:`learnability.theory.margins.hard_margin`.
    steps : int
        Budget of entries to and exits from supports, each O(d^2), >= 1. With too few, ``certificates`` is shorter,
        the margin of the rest has a larger duality gap and ``maximal`` is False.
    advance : callable, optional
        Called now and then with what is being done and how far it has come, in words.

    Returns
    -------
    SeparableSubset
        With nothing removed if the points are separable.

    Raises
    ------
    ValueError
        As there, or if ``steps`` is no positive integer.
    """
    V = checks.matrix("V", V)
    y = checks.labels("y", y, length=len(V))
    steps = checks.integer("steps", steps, at_least=1)
    unit_of("V", V)
    points, tell = Points(V, y), advance or (lambda said: None)
    certificates = [Certificate(np.array(c), np.full(len(c), 1 / len(c))) for c in contradictions(points)]
    solver = Solver(points)
    if not certificates:
        found = solver.run(MAX_STEPS * (min(V.shape) + 100))
        if found is None:
            rest = certified(points, _best(solver, []), solver.multipliers())
            if rest.separable:
                return SeparableSubset(np.arange(0), np.arange(points.m), rest, (), True, "nothing to remove")
        else:
            certificates.append(_certificate(found))
    certificates += _disjoint(points, certificates, steps // 4, tell)
    if not points.norms.any():
        return SeparableSubset(np.arange(points.m), np.arange(0), None, tuple(certificates), True, "all are zero")
    tell("looking for a direction with few errors")
    candidates = [few_errors(points), points.rows(np.array([points.norms.argmax()]))[0], solver.support.w]
    w = max(candidates, key=lambda w: int(points.served(w)[0].sum()))
    kept, products = points.served(w)
    solver = Solver(points, kept, advance=lambda done: tell(f"margin of the others, {done:,} steps"))
    solver.run(steps // 2)
    w, maximal = _best(solver, [w]), False
    if solver.solved:
        order = np.argsort(-products, kind="stable")
        maximal, w = _restore(solver, order, w, max(1, steps // 4 + steps // 2 - solver.support.steps), tell)
    return SeparableSubset(
        removed=np.flatnonzero(~solver.allowed),
        kept=np.flatnonzero(solver.allowed),
        rest=certified(points, w, solver.multipliers(), solver.allowed),
        certificates=tuple(certificates),
        maximal=maximal,
        rule=RULE + "; then each example brought back that leaves the rest separable",
    )


def _disjoint(
    points: Points, certificates: list[Certificate], budget: int, tell: Callable[[str], None]
) -> list[Certificate]:
    """Further certificates without the examples of the given ones, as many as the budget finds."""
    found: list[Certificate] = []
    allowed = np.ones(points.m, dtype=bool)
    for certificate in certificates:
        allowed[certificate.index] = False
    whole = budget
    while budget > 0 and allowed.any():
        tell(f"contradictions: {len(certificates) + len(found):,}, {1 - budget / whole:.0%} of the search")
        solver = Solver(points, allowed)
        weights = solver.run(budget)
        if weights is None:
            break
        budget -= solver.support.steps
        found.append(_certificate(weights))
        allowed[found[-1].index] = False
    return found


def _restore(
    solver: Solver, order: IntArray, w: FloatArray, budget: int, tell: Callable[[str], None]
) -> tuple[bool, FloatArray]:
    """Bring back what can be, in this order, into a solver that has solved the others.

    ``w`` separates those. Returns whether each example was tried to the end, and a w that separates all that is now
    allowed.
    """
    tried_all, waiting = True, iter(order[solver.points.norms[order] > 0])  # a zero point never comes back
    solver.advance, whole = None, budget
    while True:
        free = np.flatnonzero(solver.points.served(w)[0] & ~solver.allowed)
        if free.size:
            solver.allow(free)
            budget -= _cost(solver, budget)[0]
            if not solver.solved:
                return False, w
            w = _best(solver, [w])
        for k in waiting:
            if solver.allowed[k]:
                continue
            if budget <= 0:
                return False, w
            tell(f"bringing back: {int((~solver.allowed).sum()):,} out, {1 - budget / whole:.0%} of the search")
            state = solver.support.copy()
            solver.allow(np.array([k]))
            cost, contradicted = _cost(solver, budget)
            budget -= cost
            if solver.solved and solver.points.achieved(solver.support.w, solver.allowed) > 0:
                w = solver.support.w.copy()
                break
            tried_all &= contradicted
            solver.support, solver.allowed[k] = state, False
        else:
            return tried_all, w


def _cost(solver: Solver, budget: int) -> tuple[int, bool]:
    """Run the solver; the steps that counts for, and whether it met a contradiction."""
    before = solver.support.steps
    contradicted = solver.run(budget) is not None
    return max(solver.support.steps - before, _TRIAL), contradicted


def _best(solver: Solver, others: list[FloatArray]) -> FloatArray:
    """Of the solver's directions and some others the one with the largest margin on what is allowed."""
    directions = [solver.support.w.copy(), solver.support.raised(), *others]
    return max(directions, key=lambda w: solver.points.achieved(w, solver.allowed))


def _certificate(weights: FloatArray) -> Certificate:
    index = np.flatnonzero(weights)
    return Certificate(index, weights[index])
