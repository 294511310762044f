"""Enumerate the tasks of an experiment.

A task is (experiment, revision, setting, seed) and its key is a hash of exactly that. The scale is no part of
it, so a cell that two scales share is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from learnability import checks, results, shown
from learnability.errors import RequestError
from learnability.source import reach
from learnability.study import Experiment, Row, Scale, Setting

__all__ = ["Batch", "Finished", "Task", "plain", "tasks"]


@dataclass(frozen=True)
class Task:
    """One cell of a figure with one seed.

    Parameters
    ----------
    experiment : str
        The experiment's id.
    revision : int
        The experiment's revision.
    setting : mapping of plain values
        The cell.
    seed : int
        >= 0.
    run : callable (setting, seed) -> list of Row
        What computes it. No part of the key: the revision and ``code`` stand for it.
    code : str
        Digest of the code that ``run`` reaches (:func:`learnability.source.reach`); empty for the package's own
        experiments, whose revision says enough.
    """

    experiment: str
    revision: int
    setting: Setting
    seed: int
    run: Callable[[Setting, int], list[Row]] = field(compare=False, repr=False)
    code: str = ""

    @property
    def record(self) -> dict[str, Any]:
        """What the key is a hash of."""
        told = {
            "experiment": self.experiment,
            "revision": self.revision,
            "setting": dict(self.setting),
            "seed": self.seed,
        }
        return {**told, "code": self.code} if self.code else told

    @cached_property
    def key(self) -> str:
        """The record's hash (:func:`learnability.results.key_of`)."""
        return results.key_of(self.record)

    def __str__(self) -> str:
        """All of it, for what is stored."""
        return self._named(str, lambda cell: cell)

    @property
    def shown(self) -> str:
        """Its name for a message: long values are cut, and a long list of them."""
        return self._named(lambda value: shown.line(value, 60), shown.line)

    def _named(self, word: Callable[[Any], str], whole: Callable[[str], str]) -> str:
        cell = whole(", ".join(f"{name}={word(value)}" for name, value in self.setting.items()))
        return f"{self.experiment} [{cell}] seed {self.seed}" if cell else f"{self.experiment} seed {self.seed}"


@dataclass(frozen=True)
class Finished:
    """A task that has ended: its rows, or what stopped it.

    Parameters
    ----------
    task : Task
        Which.
    rows : list of Row or None
        What it measured.
    error : str or None
        Why there are no rows, in one line.
    seconds : float
        How long it took.
    fate : {"error", "died", "timeout"}
        What happened where there is an ``error``: it raised one, its process died of it, or it took too long.
    """

    task: Task
    rows: list[Row] | None
    error: str | None
    seconds: float
    fate: str = "error"


@dataclass(frozen=True)
class Batch:
    """Tasks of one experiment that ended together, at least one.

    Parameters
    ----------
    finished : list of Finished
        In the order in which they were done.
    ran_on : mapping
        What the process computes with that did them (:func:`learnability.provenance.here`).
    memory : int
        The most memory, in bytes, that the process has had until then; 0 where the system does not tell.
    """

    finished: list[Finished]
    ran_on: Mapping[str, str]
    memory: int


def tasks(experiment: Experiment, scale: Scale, seeds: int | None = None) -> list[Task]:
    """Every task of an experiment at a scale: settings in their order, and for each the seeds 0, 1, ...

    Parameters
    ----------
    experiment : Experiment
        What to run.
    scale : Scale
        Which settings: one of the experiment's, perhaps at other free values.
    seeds : int, optional
        How many seeds, >= 1. The experiment says how many if this is not given.

    Raises
    ------
    ValueError
        If an argument is out of range, there is no setting, or a setting holds something else than plain finite
        values, a column named ``seed``, or comes twice.
    """
    count = scale.seeds if seeds is None else checks.integer("seeds", seeds, at_least=1)
    packaged = experiment.home is None or experiment.home.packaged
    code = "" if packaged else reach(experiment.run).digest
    found: list[Task] = []
    for cell in scale.settings:
        if not isinstance(cell, Mapping):
            raise RequestError(f"{experiment.id}: a setting must map names to plain values, got {shown.quoted(cell)}")
        if not all(isinstance(name, str) for name in cell):
            raise RequestError(f"{experiment.id}: a setting must have names of text, got {shown.quoted(dict(cell))}")
        if "seed" in cell:
            raise RequestError(f"{experiment.id}: a setting must not name a seed, got {shown.quoted(dict(cell))}")
        setting = {name: plain(f"{experiment.id}: setting {name}", value) for name, value in cell.items()}
        found += [
            Task(experiment.id, experiment.revision, setting, seed, experiment.run, code) for seed in range(count)
        ]
    if not found:
        raise RequestError(f"{experiment.id} must have at least one setting, got none")
    first = found[0].setting
    other = next((task.setting for task in found if task.code and task.setting.keys() != first.keys()), None)
    if other is not None:
        told = f"{', '.join(other) or 'nothing'} after {', '.join(first) or 'nothing'}"
        raise RequestError(f"{experiment.id}: settings must name the same things, got {told}")
    try:
        distinct = len({task.key for task in found})
    except ValueError:  # JSON knows no NaN
        raise RequestError(f"{experiment.id}: settings must hold finite numbers") from None
    if distinct != len(found):
        raise RequestError(f"{experiment.id}: settings must differ from each other")
    return found


def plain(what: str, value: Any) -> bool | int | float | str:
    """A bool, int, float or str, from NumPy's scalars too."""
    if type(value) in (bool, int, float, str):
        return value  # type: ignore[no-any-return]
    import numpy as np

    if isinstance(value, np.generic):
        value = value.item()
    for kind in (bool, int, float, str):  # subclasses such as enums become what they are
        if isinstance(value, kind):
            return kind(value)
    raise RequestError(f"{what} must be a bool, int, float or str, got {type(value).__name__}")
