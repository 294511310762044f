"""The form that suits a problem."""

from __future__ import annotations

from learnability.errors import RequestError
from learnability.training.online.apart import Apart
from learnability.training.online.frozen import Frozen
from learnability.training.online.plain import Plain
from learnability.training.online.problem import GRAM_POINTS, Engine, Problem

__all__ = ["FORMS", "choose"]

FORMS = ("auto", "frozen", "deviation", "direct", "cached")


def choose(problem: Problem, form: str) -> Engine:
    """The engine of the given form, or for ``auto`` the one that suits the problem."""
    params = problem.params
    if not problem.both:
        if form not in ("auto", "frozen", "direct"):
            raise RequestError(f"form must be 'auto', 'frozen' or 'direct' for layers='output', got {form!r}")
        found = None if form == "direct" else problem.classes()
        if found is None and form == "frozen":
            raise RequestError(f"form='frozen' takes at most {GRAM_POINTS} distinct points; use 'auto' or 'direct'")
        return _plain(problem, "direct") if found is None else Frozen(problem, *found)
    if form == "frozen":
        raise RequestError("form='frozen' trains the last layer only: pass layers='output'")
    zero_start = params.b == 0 and not params.M.any() and problem.activation == "relu"
    if form == "deviation" and not zero_start:
        raise RequestError("form='deviation' needs a ReLU network that starts with M = 0 and b = 0")
    if form == "deviation" or (form == "auto" and zero_start):
        found = problem.classes()
        if found is not None:
            return Apart(problem, *found)
        if form == "deviation":
            raise RequestError(f"form='deviation' takes at most {GRAM_POINTS} classes of inputs; use 'direct'")
    return _plain(problem, form)


def _plain(problem: Problem, form: str) -> Plain:
    """Plain float64, from what deviations of an earlier run come to in it."""
    if problem.before is not None:
        problem.params, problem.before = problem.before.network(), None
    return Plain(problem, form)
