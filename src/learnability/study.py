"""What a paper is here: a study with its experiments and checks, found by looking into its folder.

A study is a package ``learnability/studies/<name>/`` with a :class:`Study` named ``STUDY`` in its ``__init__``. In it

- every module of ``figures/`` holds ``EXPERIMENT``, an :class:`Experiment`: ``figures/random_init.py`` of the study
  ``symmetry`` *is* the experiment ``symmetry/random-init`` (underscores become hyphens);
- every module of ``checks/`` holds ``CHECKS``, a tuple of :class:`Check`: one named ``lemma3`` is
  ``symmetry/lemma3`` for ``learnability verify``.

A fifth paper is one more folder. No list of studies, figures or statements is kept anywhere.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd
    from matplotlib.figure import Figure

    from learnability.plotting import Plot
    from learnability.theory import Guarantee

__all__ = [
    "SCALES",
    "Check",
    "Experiment",
    "Row",
    "Scale",
    "Setting",
    "Study",
    "experiments",
    "statements",
    "studies",
]

SCALES = ("smoke", "laptop", "paper")

Setting = Mapping[str, bool | int | float | str]
"""One cell of a figure: plain values only, so that it can be hashed, stored and read back."""

Row = dict[str, Any]
"""One row of the tidy table: plain values only (``bool``, ``int``, ``float``, ``str``)."""


@dataclass(frozen=True)
class Study:
    """A paper.

    Parameters
    ----------
    name : str
        The first part of its ids, and its folder's name.
    paper : str
        How sources name it, for instance ``"Daniely & Malach"``.
    citation : str
        Authors, title, place and year.
    """

    name: str
    paper: str
    citation: str


@dataclass(frozen=True)
class Scale:
    """How much of an experiment is run.

    Parameters
    ----------
    settings : tuple of Setting
        The cells.
    seeds : int
        How many seeds are run where the user names no number, >= 1.
    seconds : float
        Wall time of all of it on one core, measured (or reckoned where the module says so), > 0.
    """

    settings: tuple[Setting, ...]
    seeds: int
    seconds: float

    def __post_init__(self) -> None:
        if self.seeds < 1 or not self.seconds > 0:
            raise ValueError(f"a scale must have seeds >= 1 and seconds > 0, got {self.seeds} and {self.seconds}")

    @property
    def tasks(self) -> int:
        """Cells times seeds."""
        return len(self.settings) * self.seeds


@dataclass(frozen=True)
class Experiment:
    """A figure of a paper as data and four pure functions.

    Parameters
    ----------
    title : str
        One line, as ``learnability list`` shows it.
    source : str
        Paper and figure.
    revision : int
        Part of every task's key: raise it when ``run`` changes what it computes, and stored results are not used.
    scales : mapping from name to Scale
        ``smoke`` (seconds, for tests), ``laptop`` (the default, minutes on two cores) and ``paper`` (the published
        parameters).
    run : callable (setting, seed) -> list of Row
        One task. Draws only from :func:`learnability.seeding.generator`; returns rows without the setting's own
        columns and the seed, which the sweep adds.
    figure : callable (table) -> Plot or matplotlib Figure
        The table holds every row of every task: the setting's columns, ``seed``, and the row's columns.
    claims : callable (table) -> list of Guarantee
        What the paper says of the figure, as statements that can fail.
    ready : callable (settings) -> None, optional
        Called with the settings of unfinished tasks before any is started: raises ValueError if a file that they
        need is absent or damaged.
    """

    title: str
    source: str
    revision: int
    scales: Mapping[str, Scale]
    run: Callable[[Setting, int], list[Row]]
    figure: Callable[[pd.DataFrame], Plot | Figure]
    claims: Callable[[pd.DataFrame], Sequence[Guarantee]]
    ready: Callable[[Sequence[Setting]], None] | None = None
    id: str = field(default="")


@dataclass(frozen=True)
class Check:
    """One statement of a paper and how it is checked.

    Parameters
    ----------
    name : str
        The statement within its study, for instance ``"lemma3"``.
    source : str
        Paper and place.
    run : callable (scale) -> list of Guarantee
        ``scale`` is ``"smoke"`` (seconds, for tests) or ``"laptop"`` (the default). Must be deterministic.
    """

    name: str
    source: str
    run: Callable[[str], list[Guarantee]]


def _modules(package: str) -> Iterator[tuple[str, ModuleType]]:
    """The modules of a package, by name, in alphabetic order; none if there is no such package."""
    try:
        found = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        return
    for info in pkgutil.iter_modules(found.__path__):
        yield info.name, importlib.import_module(f"{package}.{info.name}")


@cache
def studies() -> Mapping[str, Study]:
    """Every study by its name, in alphabetic order."""
    return {name: module.STUDY for name, module in _modules("learnability.studies")}


@cache
def experiments() -> Mapping[str, Experiment]:
    """Every experiment by its id, in the order of study and name."""
    found: dict[str, Experiment] = {}
    for study in studies():
        for name, module in _modules(f"learnability.studies.{study}.figures"):
            identity = f"{study}/{name.replace('_', '-')}"
            object.__setattr__(module.EXPERIMENT, "id", identity)
            found[identity] = module.EXPERIMENT
    return dict(sorted(found.items()))


@cache
def statements() -> Mapping[str, Check]:
    """Every check by its id ``<study>/<name>``: modules in alphabetic order, checks in their own.

    Raises
    ------
    ValueError
        If two checks of a study have one name.
    """
    found: dict[str, Check] = {}
    for study in studies():
        for name, module in _modules(f"learnability.studies.{study}.checks"):
            for check in module.CHECKS:
                identity = f"{study}/{check.name}"
                if identity in found:
                    raise ValueError(f"two checks are named {identity!r}, one of them in checks/{name}.py of {study}")
                found[identity] = check
    return found
