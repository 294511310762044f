"""The tasks that are not done yet, and how they are cut into loads: what one process is given at a time."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from learnability.sweep.parcel import Parcel
from learnability.sweep.perform import debugging
from learnability.sweep.process import LEASE
from learnability.sweep.task import Task

__all__ = ["LOAD_SECONDS", "Line", "Load"]

LOAD_SECONDS, MOST = 1.5, 1000
"""Expected work of a load, and the most tasks in one."""


@dataclass(eq=False)
class Load:
    """Tasks of one experiment on their way through one process.

    Parameters
    ----------
    numbers : list of int
        Which, by their places among all.
    parcel : Parcel
        What they run.
    cells : list
        Setting and seed of each.
    seconds : float
        How long all of them are expected to take.
    answers : list
        What is known of the first of them: rows, error, seconds, traceback.
    ran_on, memory
        What the process computes with, and its peak.
    """

    numbers: list[int]
    parcel: Parcel
    cells: list[tuple[dict[str, Any], int]]
    seconds: float
    answers: list[tuple[Any, ...]] = field(default_factory=list)
    ran_on: Mapping[str, str] | None = None
    memory: int = 0

    @property
    def order(self) -> dict[str, Any]:
        """What a process is told."""
        told = {"digest": self.parcel.digest, "content": self.parcel.content, "cells": self.cells}
        return {**told, "lease": LEASE, "debug": debugging()}

    @property
    def rest(self) -> list[int]:
        """The tasks of which nothing is known."""
        return self.numbers[len(self.answers) :]


class Line:
    """Tasks in their order, each waiting, in a load, or ended.

    Parameters
    ----------
    pending : sequence of Task
        The tasks.
    parcels : sequence of Parcel
        What each of them runs.
    expected : mapping of str to float
        Guesses of the seconds of a task, by experiment; what was measured counts as soon as there is something.
    """

    def __init__(self, pending: Sequence[Task], parcels: Sequence[Parcel], expected: Mapping[str, float]) -> None:
        self.tasks, self.parcels, self.expected = pending, parcels, expected
        self._waiting = deque(range(len(pending)))
        self._alone = deque[int]()
        self._holder: dict[int, Load | None] = dict.fromkeys(self._waiting)
        self._measured: dict[str, deque[float]] = {}
        self._left: dict[str, int] = {}
        for task in pending:
            self._left[task.experiment] = self._left.get(task.experiment, 0) + 1

    def __len__(self) -> int:
        """How many have not ended."""
        return len(self._holder)

    def guess(self, experiment: str) -> float:
        """Seconds that the experiment's next task may take: the median of the last, so that no compilation counts."""
        measured = self._measured.get(experiment)
        return max(statistics.median(measured) if measured else self.expected.get(experiment, 1.0), 1e-6)

    def cut(self, slots: int) -> Load | None:
        """The next tasks that one of so many processes is to do; ``None`` if none is waiting.

        Loads get smaller as the work comes to its end, so that all processes end at about the same time.
        """
        if number := self._next(self._alone):
            return self._load(number)
        first = self._next(self._waiting)
        if not first:
            return None
        task = self.tasks[first[0]]
        left = sum(count * self.guess(experiment) for experiment, count in self._left.items())
        each = self.guess(task.experiment)
        count = min(int(min(LOAD_SECONDS, left / (2 * slots)) / each), MOST)
        numbers = first
        while len(numbers) < count and (following := self._next(self._waiting, task.experiment, first[0])):
            numbers += following
        return self._load(numbers)

    def _next(self, waiting: deque[int], experiment: str | None = None, like: int | None = None) -> list[int]:
        """The next that is still waiting, if it is of the experiment, as a list of one or none."""
        while waiting and waiting[0] not in self._holder:  # another process has ended it
            waiting.popleft()
        if not waiting:
            return []
        if like is not None and (
            self.tasks[waiting[0]].experiment != experiment
            or self.parcels[waiting[0]].digest != self.parcels[like].digest
        ):
            return []
        return [waiting.popleft()]

    def _load(self, numbers: list[int]) -> Load:
        tasks = [self.tasks[number] for number in numbers]
        cells = [(dict(task.setting), task.seed) for task in tasks]
        load = Load(numbers, self.parcels[numbers[0]], cells, len(tasks) * self.guess(tasks[0].experiment))
        self._holder.update(dict.fromkeys(numbers, load))
        return load

    def put_back(self, load: Load, numbers: Iterable[int], alone: bool = False) -> None:
        """Let those of the load's tasks wait again, before all others; ``alone``, each in a load of its own."""
        mine = [number for number in numbers if self._holder.get(number) is load]
        self._holder.update(dict.fromkeys(mine))
        (self._alone if alone else self._waiting).extendleft(reversed(mine))

    def end(self, number: int, seconds: float | None = None) -> bool:
        """Whether the task had not ended yet; it has now. ``seconds``, where it went well."""
        if number not in self._holder:
            return False
        del self._holder[number]
        experiment = self.tasks[number].experiment
        self._left[experiment] -= 1
        if seconds is not None:
            self._measured.setdefault(experiment, deque(maxlen=32)).append(seconds)
        return True

    def alike(self, parcel: Parcel) -> list[int]:
        """The tasks that have not ended and run the same."""
        return [number for number in self._holder if self.parcels[number].digest == parcel.digest]
