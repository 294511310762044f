"""The loop around all that work outside this process: who gets what, and what becomes of it."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Generator, Iterator
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from learnability.sweep.batches import Line, Load
from learnability.sweep.perform import debugging
from learnability.sweep.task import Batch, Finished

__all__ = ["TRIES", "Crew", "SweepWarning", "conduct"]

TRIES = 3
"""Deaths of its process that a task is granted: the first may have had another cause."""


class SweepWarning(UserWarning):
    """Something is waited for, or a worker is left out."""


class Crew(Protocol):
    """Processes that take loads.

    ``events`` receives ``(load, how, told)``: how a load has ended, in the words of
    :meth:`learnability.sweep.process.Process.perform`, and ``"overdue"`` before that if none of its tasks will be
    begun after the one at hand, and which that is. Also ``"gone"``: its worker is, and perhaps because of it.
    """

    events: SimpleQueue[tuple[Load, str, str]]

    def slots(self) -> int:
        """How many work at a time."""

    def room(self) -> int:
        """How many loads are wanted."""

    def give(self, load: Load) -> None:
        """Have a load done."""

    def look(self) -> Iterator[str]:
        """What is to be said now, such as what is waited for. Raises where that has no end."""

    def failed(self, load: Load, how: str, told: str) -> None:
        """A process was not born, or refuses. Raises where that cannot get better."""

    def hear_out(self) -> None:
        """Begin nothing more, and take in what has been said by now."""

    def close(self) -> None:
        """Let go of everything, at once."""


class RemoteTraceback(Exception):
    """The traceback of an error in another process, as text."""


def conduct(
    crew: Crew, line: Line, wanted: dict[str, str], task_timeout: float | None, until: float | None
) -> Generator[Batch]:
    """Have all tasks done and yield them as they end; those that have ended too where something stops the loop.

    At the time ``until`` nothing new starts, and what still runs is abandoned.
    """
    work = _Work(line, wanted, task_timeout)
    flying: set[Load] = set()
    try:
        while line and (until is None or time.monotonic() < until):
            while crew.room() > 0 and (load := line.cut(max(crew.slots(), 1))) is not None:
                flying.add(load)
                crew.give(load)
            for told in crew.look():
                warnings.warn(told, SweepWarning, stacklevel=2)
            try:
                load, how, told = crew.events.get(timeout=_until(until))
            except Empty:
                continue
            if how == "overdue":
                work.give_back(load, int(told))
                continue
            flying.discard(load)
            if how in ("unborn", "stranger"):
                crew.failed(load, how, told)
            if batch := work.settle(load, how, told):
                yield batch
        crew.hear_out()
        yield from work.rest(flying)
    except GeneratorExit:
        raise
    except BaseException:  # Ctrl-C: what is finished is kept
        crew.hear_out()
        yield from work.rest(flying)
        raise
    finally:
        crew.close()


def _until(until: float | None) -> float:
    return 1.0 if until is None else min(1.0, max(until - time.monotonic(), 0.0))


class _Work:
    """What becomes of loads."""

    def __init__(self, line: Line, wanted: dict[str, str], task_timeout: float | None) -> None:
        self.line, self.wanted, self.task_timeout = line, wanted, task_timeout
        self.deaths = Counter[Any]()

    def give_back(self, load: Load, known: int) -> None:
        """The task after those that are known takes long: let others do what is behind it."""
        load.numbers, behind = load.numbers[: known + 1], load.numbers[known + 1 :]
        self.line.put_back(load, behind)

    def rest(self, flying: set[Load]) -> Iterator[Batch]:
        """What has ended of loads that have not."""
        for load in flying:
            if batch := self.settle(load, "lost", ""):
                yield batch
        flying.clear()

    def settle(self, load: Load, how: str, told: str) -> Batch | None:
        """The load's tasks that have ended; the others wait again."""
        line, finished = self.line, list[Finished]()

        def fail(number: int, error: str, fate: str, seconds: float = 0.0) -> None:
            if line.end(number):
                finished.append(Finished(line.tasks[number], None, error, seconds, fate))

        answers = load.answers[: len(load.numbers)]
        for number, (rows, error, seconds, trace) in zip(load.numbers, answers):
            if trace and debugging():
                raise RuntimeError(error) from RemoteTraceback(f"\n{trace}")
            if line.end(number, None if rows is None else seconds):
                finished.append(Finished(line.tasks[number], rows, error, seconds))
        rest = load.numbers[len(answers) :]
        if rest and how == "timeout":
            at_hand, rest = rest[0], rest[1:]
            limit = self.task_timeout or 0.0
            fail(at_hand, f"it was stopped after {limit:g} s, the limit for a task", "timeout", limit)
        elif rest and (how == "died" or (how == "gone" and len(rest) == 1)):
            at_hand, rest = rest[0], rest[1:]
            self.deaths[at_hand] += 1
            if self.deaths[at_hand] < TRIES:
                line.put_back(load, [at_hand], alone=True)
            else:
                fail(at_hand, f"its worker died {TRIES} times, the last time {told}", "died")
        elif how == "gone":  # which of them it was is not known
            line.put_back(load, rest, alone=True)
            rest = []
        elif how == "unread":
            self.deaths[load.parcel.digest] += 1
            if self.deaths[load.parcel.digest] >= TRIES:
                for number in line.alike(load.parcel):
                    fail(number, f"its worker died {TRIES} times of reading the code, the last time {told}", "died")
        line.put_back(load, rest)
        return Batch(finished, load.ran_on or self.wanted, load.memory) if finished else None
