"""What of an experiment is stored, as it was found at one time: which tasks, how long they took, and their rows."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from learnability import shown
from learnability.results import shards, tables
from learnability.results.shards import Failure, Shard, Stored, Untrusted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Damaged", "DamagedShardWarning", "Inventory", "distrust"]


class DamagedShardWarning(UserWarning):
    """A stored shard cannot be trusted and its tasks will be computed again."""


class Damaged(Exception):
    """What was stored of some tasks is so no longer: compute them again.

    Parameters
    ----------
    keys : list of str
        Which; the inventory no longer has them.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(f"the rows of {len(keys)} tasks were changed after they were looked at")
        self.keys = list(keys)


def distrust(why: Untrusted, done: Mapping[str, object]) -> None:
    """Say that a shard is not believed, unless all its tasks are done elsewhere.

    If they are, or nobody knows what they were, an altered shard is put aside as ``NAME.damaged``, as it would be
    looked at again and again. It is not removed: a network drive may have given wrong bytes of a file that is whole.
    """
    shard = why.shard
    needed = not all(task.key in done for task in shard.tasks)
    if needed or not shard.tasks:
        told = f"{shown.line(shard.path, 1000)}: {why}; its tasks count as not done"
        warnings.warn(told, DamagedShardWarning, stacklevel=3)
    if why.altered and not needed:
        for path in (shard.sidecar, shard.path):
            with suppress(OSError):
                os.replace(path, f"{path}.damaged")


class Inventory:
    """The stored tasks of an experiment.

    Parameters
    ----------
    found : iterable of Shard
        Shards whose every byte has been looked at.

    Attributes
    ----------
    seconds : dict
        How long each finished task took, by its key.
    failed : dict
        The tasks that failed and are not finished, by their key: the last :class:`Failure` of each.
    memory : int or None
        Most bytes that a process which computed some of them has had.
    """

    def __init__(self, found: Iterable[Shard] = ()) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: dict[str, Failure] = {}
        self.memory: int | None = None
        self._where: dict[str, list[tuple[Shard, Stored]]] = {}
        for shard in sorted(found, key=lambda shard: shard.date):
            self._take(shard)
        disputed = self._settle([key for key, places in self._where.items() if len(places) > 1])
        for key, places in self._where.items():
            if places:
                self.seconds[key] = places[0][1].seconds
                self.failed.pop(key, None)
        if disputed:
            more = f" (and {len(disputed) - 3} more tasks)" if len(disputed) > 3 else ""
            warnings.warn("; ".join(disputed[:3]) + more, DamagedShardWarning, stacklevel=3)

    def _take(self, shard: Shard) -> None:
        for task in shard.tasks:
            self._where.setdefault(task.key, []).append((shard, task))
        self.failed.update(shard.failed)
        if shard.memory is not None:
            self.memory = max(self.memory or 0, shard.memory)

    def _settle(self, keys: Sequence[str]) -> list[str]:
        """Of tasks in several shards keep the shards with the same rows, if those are most; and say what is wrong."""
        old = [shard for key in keys for shard, task in self._where[key] if task.digest is None]
        digests = _digests(old)
        disputed = []
        for key in keys:
            # Without a digest: it has just been changed.
            places = [(task.digest or digests.get(shard), shard, task) for shard, task in self._where[key]]
            counts = Counter(digest for digest, _, _ in places if digest)
            usual, count = max(counts.items(), key=lambda item: item[1], default=("", 0))
            settled = 2 * count > sum(counts.values())
            self._where[key] = [(shard, task) for digest, shard, task in places if settled and digest == usual]
            if len(counts) > 1:
                others = [shard.path.name for digest, shard, _ in places if not settled or digest != usual]
                disputed.append(_disputed(places[0][2].record, others, settled))
        return disputed

    def add(self, shard: Shard) -> None:
        """Take in what :meth:`learnability.results.Store.write` has just stored, before all that was there of it."""
        for task in shard.tasks:
            self._where.pop(task.key, None)
            self.seconds[task.key] = task.seconds
        self._take(shard)
        for key in [task.key for task in shard.tasks] + list(shard.failed):
            if key in self.seconds:
                self.failed.pop(key, None)

    def ran_on(self, keys: Iterable[str]) -> list[tuple[Mapping[str, str], int]]:
        """What these tasks were computed with, and how many of them with each: those that are finished."""
        found: dict[tuple[tuple[str, str], ...], int] = {}
        for shard, count in Counter(self._where[key][0][0] for key in keys if key in self.seconds).items():
            told = tuple(sorted(shard.ran_on.items()))
            found[told] = found.get(told, 0) + count
        return [(dict(told), count) for told, count in found.items()]

    def read(self, keys: Iterable[str]) -> pd.DataFrame:
        """The rows of finished tasks as one table, in the order of ``keys``; none give an empty table.

        How columns are united is said at :func:`learnability.results.tables.unite`.

        Raises
        ------
        Damaged
            If shards are no longer what they were when they were looked at.
        """
        keys = list(keys)
        while True:
            places = [self._where[key][0] for key in keys]
            needed = {shard: number for number, shard in enumerate(dict.fromkeys(shard for shard, _ in places))}
            held: list[tables.File] = []
            damaged: list[Untrusted] = []
            for shard in needed:
                try:
                    held.append(tables.File(shards.content(shard), shard.rows, shard.of_batch))
                except Untrusted as why:
                    damaged.append(why)
            if not damaged:
                pieces = [tables.Piece(needed[shard], task.start, task.count, task.kinds) for shard, task in places]
                try:
                    return tables.unite(held, pieces)
                except tables.WrongRowsError as error:  # of an old one, whose sidecar was changed
                    told = "its sidecar says another number of rows"
                    wrong = (shard for number, shard in enumerate(needed) if number in error.files)
                    damaged = [Untrusted(told, shard, altered=True) for shard in wrong]
            lost = set[str]()
            for found in damaged:
                for task in found.shard.tasks:
                    left = [place for place in self._where.get(task.key, []) if place[0] is not found.shard]
                    self._where[task.key] = left
                    if not left and self.seconds.pop(task.key, None) is not None:
                        lost.add(task.key)
                distrust(found, self.seconds)
            if lost:
                raise Damaged([key for key in dict.fromkeys([*keys, *sorted(lost)]) if key in lost])


def _digests(old: Sequence[Shard]) -> dict[Shard, str]:
    """Digests of the rows of old shards, which have none; not of those that have just been changed."""
    contents: dict[Shard, tables.File] = {}
    for shard in old:
        with suppress(Untrusted):
            contents[shard] = tables.File(shards.content(shard), shard.rows, of_batch=False)
    return {shard: told for shard, told in zip(contents, tables.digests(list(contents.values()))) if told}


def _disputed(record: Mapping[str, Any], others: Sequence[str], settled: bool) -> str:
    """What is said of a task whose rows are not the same everywhere."""
    cell = ", ".join(f"{name}={value}" for name, value in record.get("setting", {}).items())
    task = f"{shown.line(record.get('experiment'))} [{shown.line(cell)}] seed {record.get('seed')}"
    if settled:
        return f"{task}: most shards agree, others not: {', '.join(others)}"
    return f"{task}: shards have different rows: {', '.join(others)}; the task counts as not done"
