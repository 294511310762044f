"""What a certification may be asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from learnability import checks
from learnability.errors import RequestError
from learnability.problems.separable import SCALINGS

__all__ = ["SCALES", "WIDEST", "WIDTHS", "Options", "chosen_widths"]

SCALES = (*SCALINGS, "none")
"""The ways of :func:`learnability.problems.separable.into_unit_ball`, and none at all."""

WIDTHS = (10, 100, 1000)
"""The paper's own (Figure 1)."""
WIDEST = 20_000


@dataclass(frozen=True)
class Options:
    """What is run and what is stated.

    Parameters
    ----------
    widths : tuple of int
        Hidden units 2k, even, 2 to 20,000, increasing; see :func:`chosen_widths`.
    slope : float
        The leaky ReLU's alpha, in [0, 1). The bounds go with 1 / alpha^2; with 0, the ReLU, none applies.
    step : float
        SGD's eta, > 0 and at most 1e6. Theorem 2's bound falls with it.
    delta : float
        In (0, 1): all generalisation bounds hold jointly with probability 1 - delta.
    scale : str
        One of :data:`SCALES`. "range", the default, gave the smallest |w*| on tables whose columns have different
        units and on images alike; "none" takes inputs that lie in the unit ball as they are.
    bias : bool
        Whether to append the constant coordinate of the paper's footnote 4, for hyperplanes with an offset.
    test : float
        Share of the examples that is drawn to test on, in [0, 1).
    repeats : int
        Runs of SGD for each width, >= 1, as far as the budget goes.
    seed : int
        >= 0; draws split, starts and orders of visits.
    budget : float
        What SGD may cost in all, > 0, in billions of multiply-adds as :mod:`learnability.certification.runs` counts
        them: with the default a few minutes at most.

    Raises
    ------
    ValueError
        For values outside these ranges.
    """

    widths: tuple[int, ...] = WIDTHS
    slope: float = 0.5
    step: float = 1.0
    delta: float = 0.05
    scale: str = "range"
    bias: bool = True
    test: float = 0.25
    repeats: int = 3
    seed: int = 0
    budget: float = 300.0

    def __post_init__(self) -> None:
        checks.store(
            self,
            widths=tuple(sorted({_width(w) for w in self.widths})),
            slope=checks.real("slope", self.slope, at_least=0.0, below=1),
            step=checks.real("step", self.step, above=0.0, at_most=1e6),
            delta=checks.real("delta", self.delta, above=0.0, below=1),
            scale=checks.choice("scale", self.scale, SCALES),
            test=checks.real("test", self.test, at_least=0.0, below=1),
            repeats=checks.integer("repeats", self.repeats, at_least=1),
            seed=checks.integer("seed", self.seed, at_least=0),
            budget=checks.real("budget", self.budget, above=0.0),
        )
        if not self.widths:
            raise RequestError("width must name at least one width, got none")
        if not isinstance(self.bias, bool):
            raise RequestError(f"bias must be True or False, got {self.bias!r}")


def chosen_widths(width: object) -> tuple[int, ...]:
    """The widths to run: :data:`WIDTHS` for ``None``; of one integer about a tenth and ten times of it beside it.

    An iterable of integers is taken as it is.
    """
    if width is None:
        return WIDTHS
    if isinstance(width, Iterable) and not isinstance(width, str):
        return tuple(_width(w) for w in width)
    middle = _width(width)
    return tuple(sorted({max(2, middle // 20 * 2), middle, min(10 * middle, WIDEST)}))


def _width(value: object) -> int:
    width = checks.integer("width", value, at_least=2, at_most=WIDEST)
    if width % 2:
        raise RequestError(f"width must be even (k hidden units of each sign), got {width}")
    return width
