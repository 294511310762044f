"""What is asked for, how much of it is there already, and what the rest would take."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from learnability import checks, provenance, results, sweep
from learnability.errors import RequestError
from learnability.results import Failure, Inventory, Store
from learnability.study import Experiment, Scale

__all__ = ["Estimate", "Planned", "Standing", "Wishes", "estimate", "shares"]


@dataclass(frozen=True)
class Planned:
    """An experiment, and how much of it: a scale by its name, perhaps at other free values."""

    experiment: Experiment
    scale: str
    size: Scale


@dataclass(frozen=True)
class Wishes:
    """How a sweep is to be done.

    Parameters
    ----------
    seeds : int, optional
        How many, >= 1; by default as many as each experiment says.
    workers : int or None
        How many processes, >= 1. None: as many as there are cores, or this one alone for little work.
    scheduler : str, optional
        Address of a Dask scheduler, used instead of ``workers``.
    out : path, optional
        Folder for what is finished; by default nothing is kept.
    part : (int, int) or str, optional
        ``(i, N)`` or ``"i/N"``, 1 <= i <= N: only the i-th of N shares is done. Needs ``out``.
    time_limit : float, optional
        Seconds after which nothing new is started and what still runs is given up, > 0.
    task_timeout : float, optional
        Seconds after which a task has failed, > 0.
    retry_failed : bool
        Whether tasks that failed before are tried again.

    Raises
    ------
    ValueError
        If one is out of range.
    """

    seeds: int | None = None
    workers: int | None = 1
    scheduler: str | None = None
    out: str | os.PathLike[str] | None = None
    part: tuple[int, int] | str | None = None
    time_limit: float | None = None
    task_timeout: float | None = None
    retry_failed: bool = False

    def __post_init__(self) -> None:
        for name in ("seeds", "workers"):
            if getattr(self, name) is not None:
                checks.integer(name, getattr(self, name), at_least=1)
        for name in ("time_limit", "task_timeout"):
            if getattr(self, name) is not None:
                checks.real(name, getattr(self, name), above=0)
        if self.part is not None:
            object.__setattr__(self, "part", _part(self.part))
            if self.out is None:
                raise RequestError("part needs out, the folder in which the parts meet")

    @property
    def share(self) -> tuple[int, int]:
        """The part, or the whole as one."""
        return self.part if isinstance(self.part, tuple) else (1, 1)


def _part(value: object) -> tuple[int, int]:
    found = value
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", value, re.ASCII)
        found = (int(match[1]), int(match[2])) if match else None
    if not (isinstance(found, Sequence) and len(found) == 2 and all(type(number) is int for number in found)):
        raise RequestError(f"part must be i/N, for instance 2/8, got {value!r}")
    number, count = found
    if not 1 <= number <= count:
        raise RequestError(f"part must be i/N with 1 <= i <= N, got {number}/{count}")
    return number, count


def shares(planned: Sequence[Sequence[sweep.Task]], part: tuple[int, int]) -> list[set[str]]:
    """The keys of each experiment's tasks that are one part's.

    Tasks are dealt out in the order of their keys, which is as good as random: no part gets all the long ones.
    """
    number, count = part
    dealt = sorted((task.key, place) for place, tasks in enumerate(planned) for task in tasks)
    mine: list[set[str]] = [set() for _ in planned]
    for key, place in dealt[number - 1 :: count]:
        mine[place].add(key)
    return mine


class Standing:
    """How far an experiment has come: which of its tasks are finished, have failed, or are to be done here.

    Parameters
    ----------
    plan : Planned
        The experiment.
    tasks : list of Task
        All of its tasks.
    mine : set of str
        Keys of those that are this process's share.
    inventory : Inventory
        What is stored of it.
    wishes : Wishes
        Whether what has failed is tried again.
    """

    def __init__(
        self, plan: Planned, tasks: list[sweep.Task], mine: set[str], inventory: Inventory, wishes: Wishes
    ) -> None:
        self.experiment, self.scale, self.size = plan.experiment, plan.scale, plan.size
        self.tasks, self.mine, self.inventory = tasks, mine, inventory
        self.keys = {task.key for task in tasks}
        self.seeds = 1 + max(task.seed for task in tasks)
        usual = self.experiment.scales[plan.scale]
        self.usual = max(usual.seconds / usual.tasks, 1e-3)  # expected seconds of a task that nobody has timed
        retried = {key for key, failure in inventory.failed.items() if _again(failure, wishes)}
        self.pending = {
            task.key: task
            for task in tasks
            if task.key in mine
            and task.key not in inventory.seconds
            and (task.key not in inventory.failed or task.key in retried)
        }

    @property
    def failed(self) -> dict[str, Failure]:
        """Those of its tasks that have failed, and are not to be tried again."""
        failed = self.inventory.failed
        return {task.key: failed[task.key] for task in self.tasks if task.key in failed.keys() - self.pending.keys()}

    @property
    def finished(self) -> int:
        """How many of its tasks are finished."""
        return len(self.keys & self.inventory.seconds.keys())

    @property
    def measured(self) -> float | None:
        """Mean seconds of a task, of those that are finished."""
        taken = [self.inventory.seconds[key] for key in self.keys & self.inventory.seconds.keys()]
        return fmean(taken) if taken else None

    @property
    def missing(self) -> list[sweep.Task]:
        """Tasks that are neither finished nor have failed."""
        failed = self.failed
        return [t for t in self.tasks if t.key not in self.inventory.seconds and t.key not in failed]

    def seconds_each(self) -> dict[str, float]:
        """Expected seconds of each task to be done: as its cell, the experiment or the scale tell."""
        by_cell: dict[str, list[float]] = {}
        for task in self.tasks:
            if task.key in self.inventory.seconds:
                by_cell.setdefault(str(task.setting), []).append(self.inventory.seconds[task.key])
        otherwise = self.measured or self.usual
        means = {cell: fmean(seconds) for cell, seconds in by_cell.items()}
        return {key: means.get(str(task.setting), otherwise) for key, task in self.pending.items()}

    def redo(self, keys: Iterable[str]) -> None:
        """Do some tasks once more, whose rows the inventory no longer has."""
        lost = self.mine.intersection(keys)
        self.pending |= {task.key: task for task in self.tasks if task.key in lost}

    def look_again(self, inventory: Inventory) -> None:
        """Take over what other processes have stored meanwhile."""
        self.inventory = inventory
        done = inventory.seconds.keys() | inventory.failed.keys()
        self.pending = {key: task for key, task in self.pending.items() if key not in done}


def _again(failure: Failure, wishes: Wishes) -> bool:
    """Whether a failure of before may come out otherwise now: asked for, other code, or more time."""
    if wishes.retry_failed or provenance.strange(provenance.here(), failure.ran_on):
        return True
    limit = wishes.task_timeout
    return failure.fate == "timeout" and (limit is None or limit > failure.seconds)


@dataclass(frozen=True)
class Estimate:
    """What a run would do.

    Parameters
    ----------
    id, scale : str
        What would be run.
    cells, seeds : int
        Its cells, and the seeds of each.
    tasks : dict
        How many tasks are to be ``"run"``, are ``"cached"`` or ``"failed"`` before, or belong to other ``"parts"``.
    seconds : float
        Expected computing time of those to be run.
    longest : float
        That of the longest of them.
    measured : bool
        Whether that rests on tasks that have run here, or on what the scale says.
    memory : int or None
        Bytes that the processes took of which tasks are kept; None if none are.
    changed : mapping
        Free values that were set to something else than the scale's own.
    """

    id: str
    scale: str
    cells: int
    seeds: int
    tasks: dict[str, int]
    seconds: float
    longest: float
    measured: bool
    memory: int | None
    changed: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        changed = {name: list(v) if isinstance(v, tuple) else v for name, v in self.changed.items()}
        return {
            "id": self.id, "scale": self.scale, "cells": self.cells, "seeds": self.seeds, "tasks": self.tasks,
            "seconds": self.seconds, "longest": self.longest, "measured": self.measured, "memory": self.memory,
            "set": changed,
        }  # fmt: skip


def estimate(chosen: Sequence[Planned], wishes: Wishes) -> list[Estimate]:
    """What a run would do; nothing is run or written."""
    found = []
    for standing in standings(chosen, wishes, existing(wishes.out)):
        each = standing.seconds_each()
        others = sum(task.key not in standing.mine for task in standing.missing)
        found.append(
            Estimate(
                id=standing.experiment.id,
                scale=standing.scale,
                cells=len(standing.tasks) // standing.seeds,
                seeds=standing.seeds,
                tasks={
                    "run": len(standing.pending),
                    "cached": standing.finished,
                    "failed": len(standing.failed),
                    "parts": others,
                },
                seconds=math.fsum(each.values()),
                longest=max(each.values(), default=0.0),
                measured=standing.measured is not None,
                memory=standing.inventory.memory,
                changed=standing.size.changed,
            )
        )
    return found


def existing(out: str | os.PathLike[str] | None) -> Store | None:
    """The folder of results if it is there."""
    return Store(out) if out is not None and Path(results.folder(out)).is_dir() else None


def standings(chosen: Sequence[Planned], wishes: Wishes, store: Store | None) -> list[Standing]:
    """How far each experiment has come in a folder."""
    listed = [sweep.tasks(plan.experiment, plan.size, wishes.seeds) for plan in chosen]
    found = []
    number, count = wishes.share
    total = sum(map(len, listed))
    if number > total:
        there = "there is 1 task" if total == 1 else f"there are {total:,} tasks"
        warnings.warn(f"part {number}/{count} is empty: {there} in all", sweep.SweepWarning, stacklevel=3)
    for plan, tasks, mine in zip(chosen, listed, shares(listed, wishes.share), strict=True):
        inventory = Inventory() if store is None else store.look(plan.experiment.id)
        found.append(Standing(plan, tasks, mine, inventory, wishes))
    return found
