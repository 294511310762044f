"""What of a batch of tasks is on disk: a shard with their rows, and the sidecar that vouches for it.

::

    batch-<sha256>.parquet   the rows of the tasks that finished, with a column of keys
    batch-<sha256>.json      the sidecar: SHA-256 of the shard; of each task its record, rows, columns and seconds;
                             the tasks that failed; what they ran on

Both are called by the SHA-256 of the sidecar's bytes, so that it vouches for itself too: whatever is changed in one
of them, or whatever they are called instead, they no longer fit each other. The sidecar is written last and is the
commit: a shard without one counts as absent. Nothing is ever written over; two processes that do the same at the same
time write two shards.

The first versions wrote a shard for each task, called by its key, whose sidecar vouches for the shard but not for
itself. They still count.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from learnability import checks
from learnability.results import files, tables
from learnability.study import Row

__all__ = [
    "LONGEST_NAME",
    "SIDECAR",
    "Entry",
    "Failure",
    "Shard",
    "Stored",
    "Untrusted",
    "content",
    "key_of",
    "look",
    "packed",
]

SIDECAR = re.compile("(?P<batch>batch-)?(?P<digest>[0-9a-f]{64}).json", re.ASCII)
"""The name of a sidecar; without ``batch-`` it is one of the first versions'."""

LONGEST_NAME = f"batch-{'0' * 64}.parquet"

_LARGEST = 2**30
"""Bytes of a sidecar, of which a task takes some four hundred."""

_LONGEST_ERROR = 10_000
"""Characters of an error that are kept."""


def key_of(task: Mapping[str, Any]) -> str:
    """SHA-256 of a task's record as canonical JSON (keys sorted, no spaces, ASCII), in hexadecimal.

    Raises
    ------
    ValueError
        If the record holds a NaN or an infinity.
    """
    canonical = json.dumps(task, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A task that has ended, as it is stored.

    Parameters
    ----------
    key : str
        Hash of the record (:func:`key_of`).
    record : mapping
        What the task is.
    rows : sequence of Row or None
        At least one row of plain values, with the setting's columns and the seed; ``None`` if it failed.
    error : str or None
        Why it failed, in a line.
    seconds : float
        How long it took.
    fate : str
        How it failed: ``"error"``, ``"died"`` (its process) or ``"timeout"``.
    """

    key: str
    record: Mapping[str, Any]
    rows: Sequence[Row] | None
    error: str | None
    seconds: float
    fate: str = "error"


@dataclass(frozen=True)
class Failure:
    """A task that failed, and was not finished since."""

    error: str
    fate: str
    seconds: float
    ran_on: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stored:
    """A task in a shard: its rows are ``count`` ones from ``start`` on."""

    key: str
    record: Mapping[str, Any]
    start: int
    count: int
    kinds: tuple[tuple[str, str], ...] | None
    """Its columns with their kinds; ``None`` in old shards, which know them."""
    seconds: float
    digest: str | None
    """Of the rows (:func:`learnability.results.tables.digest`); ``None`` in old shards."""


@dataclass(frozen=True, eq=False)
class Shard:
    """A batch as it is stored.

    Parameters
    ----------
    sidecar : Path
        Where it is.
    sha256 : str
        Of the shard beside it; empty if there is none, as all failed.
    tasks : list of Stored
        Those that finished.
    failed : dict
        Those that failed, by their key.
    ran_on : mapping
        What they were computed with.
    memory : int or None
        Most bytes that the process which computed them has had.
    date : str
        When they were stored; empty in old ones.
    """

    sidecar: Path
    sha256: str
    tasks: Sequence[Stored]
    failed: Mapping[str, Failure] = field(default_factory=dict)
    ran_on: Mapping[str, str] = field(default_factory=dict)
    memory: int | None = None
    date: str = ""

    @property
    def path(self) -> Path:
        """The file with the rows."""
        return Path(self._path)

    @property
    def _path(self) -> str:
        return f"{os.fspath(self.sidecar).removesuffix('.json')}.parquet"

    @property
    def of_batch(self) -> bool:
        """Whether it is no old one."""
        return self.sidecar.name.startswith("batch-")

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(task.count for task in self.tasks)


class Untrusted(Exception):
    """What is on disk cannot be believed.

    Parameters
    ----------
    why : str
        What is wrong.
    altered : bool
        Whether it was read and is not what was written, so that it never will be again.
    shard : Shard
        Its tasks are those that it had, as far as that is known.
    """

    def __init__(self, why: str, shard: Shard, *, altered: bool) -> None:
        super().__init__(why)
        self.shard, self.altered = shard, altered


def packed(
    folder: Path, entries: Sequence[Entry], ran_on: Mapping[str, str], memory: int | None
) -> tuple[Shard, dict[Path, bytes]]:
    """A batch as it will be stored in a folder, and the files in the order in which they must be written.

    A task whose rows make no table has failed.
    """
    finished: list[tuple[Entry, dict[str, tables.Column]]] = []
    failed: dict[str, tuple[Entry, str, str]] = {}
    for entry in entries:
        if entry.rows is None:
            failed[entry.key] = entry, str(entry.error)[:_LONGEST_ERROR], entry.fate
            continue
        try:
            columns = tables.columns(entry.rows)
            if not columns:
                raise ValueError("rows must be at least one, with at least one column, got none")
            finished.append((entry, columns))
        except ValueError as refused:
            failed[entry.key] = entry, str(refused)[:_LONGEST_ERROR], "error"
    rows = tables.batch([(e.key, len(e.rows or ()), columns) for e, columns in finished]) if finished else None
    found = {
        "sha256": None if rows is None else hashlib.sha256(rows).hexdigest(),
        "tasks": [
            {
                "key": entry.key,
                "record": dict(entry.record),
                "rows": len(entry.rows or ()),
                "columns": {name: column.kind for name, column in columns.items()},
                "seconds": entry.seconds,
                "digest": tables.digest(columns),
            }
            for entry, columns in finished
        ],
        "failed": [
            {"key": key, "record": dict(entry.record), "error": error, "fate": fate, "seconds": entry.seconds}
            for key, (entry, error, fate) in failed.items()
        ],
        "ran_on": dict(ran_on),
        "memory": memory,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds"),
    }
    told = (json.dumps(found, separators=(",", ":"), allow_nan=False) + "\n").encode()
    sidecar = folder / f"batch-{hashlib.sha256(told).hexdigest()}.json"
    shard = _shard(sidecar, found)
    return shard, {**({} if rows is None else {shard.path: rows}), sidecar: told}


def look(sidecar: Path) -> Shard:
    """What a sidecar says, if every byte of it and of its shard is as it was written.

    Raises
    ------
    Untrusted
        If it is not.
    """
    of_batch = sidecar.name.startswith("batch-")
    doubted = Shard(sidecar, "", [] if of_batch else [Stored(sidecar.stem, {}, 0, 0, None, 0.0, None)])
    try:
        shard = _vouched(sidecar) if of_batch else _older(sidecar)
    except OSError as error:  # a folder in its place, no permission, a failing disk
        raise Untrusted(f"{sidecar.name} cannot be read ({error.strerror})", doubted, altered=False) from None
    except _WrongError as error:
        raise Untrusted(f"{sidecar.name} {error}", doubted, altered=True) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Untrusted(f"{sidecar.name} is not readable", doubted, altered=True) from None
    if shard.sha256:
        content(shard)
    return shard


def content(shard: Shard) -> bytes:
    """The bytes of a shard's file, which are what its sidecar vouches for.

    Raises
    ------
    Untrusted
        If they are not, or cannot be read.
    """
    try:
        found = files.read(shard._path)
    except FileNotFoundError:
        raise Untrusted(f"{shard.path.name} is missing", shard, altered=True) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", error)
        raise Untrusted(f"{shard.path.name} cannot be read ({why})", shard, altered=False) from None
    if hashlib.sha256(found).hexdigest() != shard.sha256:
        raise Untrusted(f"{shard.path.name} does not match its checksum", shard, altered=True)
    return found


class _WrongError(Exception):
    pass


def _vouched(sidecar: Path) -> Shard:
    told = files.read(sidecar, _LARGEST)
    if f"batch-{hashlib.sha256(told).hexdigest()}.json" != sidecar.name:
        raise _WrongError("does not match its checksum")
    return _shard(sidecar, json.loads(told))


def _shard(sidecar: Path, found: Mapping[str, Any]) -> Shard:
    """What a sidecar says; its checksum has vouched for that."""
    tasks, start = [], 0
    for task in found["tasks"]:
        kinds = _same(tuple(task["columns"].items()))
        tasks.append(Stored(task["key"], task["record"], start, task["rows"], kinds, task["seconds"], task["digest"]))
        start += task["rows"]
    ran_on = found["ran_on"]
    failed = {task["key"]: Failure(task["error"], task["fate"], task["seconds"], ran_on) for task in found["failed"]}
    return Shard(sidecar, found["sha256"] or "", tasks, failed, ran_on, found["memory"], found["date"])


@cache
def _same(kinds: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """One object for the columns of all tasks that have the same."""
    return kinds


def _older(sidecar: Path) -> Shard:
    # No more of it is looked at than what counts, as there may be ten thousand.
    found = json.loads(files.read(sidecar, files.LARGEST))
    seconds = checks.real("seconds", found["seconds"], at_least=0)
    count = checks.integer("rows", found["rows"], at_least=1)
    ran_on = {str(name): str(version) for name, version in found["versions"].items()}
    if key_of(found["task"]) != sidecar.stem:  # copied or renamed, with its sidecar
        raise _WrongError("is another task's")
    task = Stored(sidecar.stem, found["task"], 0, count, None, seconds, None)
    return Shard(sidecar, str(found["sha256"]), [task], ran_on=ran_on)
