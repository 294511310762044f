"""One module per paper figure: settings, run, figure, claims. Discovery is by folder.

A module ``experiments/<study>_<name>.py`` that holds ``EXPERIMENT = Experiment(...)`` *is* the experiment
``<study>/<name>`` (underscores in the name become hyphens). A new figure adds one file and touches no list.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from learnability.theory import Guarantee

__all__ = ["SCALES", "Experiment", "Row", "Setting", "discover"]

SCALES = ("smoke", "laptop", "paper")

Setting = Mapping[str, bool | int | float | str]
"""One cell of a figure: plain values only, so that it can be hashed, stored and read back."""

Row = dict[str, Any]
"""One row of the tidy table: plain values only (``bool``, ``int``, ``float``, ``str``)."""


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
    settings : mapping from scale to tuple of Setting
        The cells at ``smoke`` (seconds, for tests), ``laptop`` (the default, minutes on two cores) and ``paper``
        (the published parameters).
    seeds : mapping from scale to int
        How many seeds are run where the user names no number.
    seconds : mapping from scale to float
        Measured wall time on two cores with the default seeds and one worker, for the estimate in ``list``.
    run : callable (setting, seed) -> list of Row
        One task. Draws only from :func:`learnability.seeding.generator`; returns rows without the setting's own
        columns and the seed, which the sweep adds.
    figure : callable (table) -> matplotlib Figure
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
    settings: Mapping[str, tuple[Setting, ...]]
    seeds: Mapping[str, int]
    seconds: Mapping[str, float]
    run: Callable[[Setting, int], list[Row]]
    figure: Callable[[pd.DataFrame], Figure]
    claims: Callable[[pd.DataFrame], Sequence[Guarantee]]
    ready: Callable[[Sequence[Setting]], None] | None = None
    id: str = field(default="")


@cache
def discover() -> Mapping[str, Experiment]:
    """Every experiment in this folder by its id, in the order of study and name."""
    found: dict[str, Experiment] = {}
    for info in pkgutil.iter_modules(__path__):
        study, _, name = info.name.partition("_")
        if not study or not name:  # shared helpers have no study prefix
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        experiment = getattr(module, "EXPERIMENT", None)
        if isinstance(experiment, Experiment):
            identity = f"{study}/{name.replace('_', '-')}"
            object.__setattr__(experiment, "id", identity)
            found[identity] = experiment
    return dict(sorted(found.items()))
