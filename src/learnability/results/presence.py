"""Which processes are at work in an output folder: each leaves a note there, and looks for the others'.

Nothing is locked, and nobody waits: what processes write they may write at the same time. The notes are there so that
somebody is told who computes everything twice.
"""

from __future__ import annotations

import os
import platform
import secrets
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from learnability import shown
from learnability.results import files

__all__ = ["Other", "announced", "clear"]

BEAT, FRESH, FORGOTTEN = 30.0, 180.0, 86400.0
"""Seconds between two signs of life of a process; without one for how long one of another machine is taken for dead,
and after how long its note is removed."""


@dataclass(frozen=True)
class Other:
    """Another process at work.

    Parameters
    ----------
    host : str
        The machine's name.
    process : int
        The process's number there.
    here : bool
        Whether that is this machine.
    what : str
        What it does.
    since : str
        When it began, in UTC.
    part : tuple of (int, int) or None
        Its share i of N.
    """

    host: str
    process: int
    here: bool
    what: str
    since: str
    part: tuple[int, int] | None

    def __str__(self) -> str:
        where = "" if self.here else f" on {shown.line(self.host)}"
        return f"process {self.process}{where}, since {shown.line(self.since)}: {shown.line(self.what)}"


@contextmanager
def announced(
    root: Path, *, what: str, part: tuple[int, int] | None = None, on: Collection[str] = ()
) -> Iterator[list[Other]]:
    """Say in a folder that this process is at work there, as long as it is.

    Parameters
    ----------
    root : Path
        The folder.
    what : str
        What this process does: its command.
    part : tuple of (int, int), optional
        Its share i of N. Processes with different shares of as many do not disturb each other.
    on : collection of str, optional
        The ids of its experiments. Processes with different ones do not disturb each other. Nothing: all there are.

    Yields
    ------
    list of Other
        Who else is at work there and may do the same.

    Notes
    -----
    A process of this machine is asked for, and one of another is believed as long as its note is touched. A folder
    in which no note can be written is no reason to stop.
    """
    own = root / f".at-work-{files.host()}-{os.getpid()}-{secrets.token_hex(4)}.json"
    note = {
        "host": platform.node(),
        "process": os.getpid(),
        "born": files.born(os.getpid()),
        "what": what,
        "since": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "part": part and list(part),
        "on": sorted(on),
    }
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            try:
                os.utime(own)
            except FileNotFoundError:  # somebody thought that this process was dead
                if root.is_dir():
                    with suppress(OSError):
                        files.write_json(own, note)
            except OSError:
                pass

    with suppress(OSError):
        files.write_json(own, note)
    pulse = threading.Thread(target=beat, daemon=True, name="at work")
    pulse.start()
    try:
        yield [other for other, ids in _others(root, own) if _disturbs(other, ids, part, on)]
    finally:
        ended.set()
        pulse.join(1.0)  # a network drive may not answer
        with suppress(OSError):
            own.unlink()


def clear(root: Path) -> None:
    """Remove the notes of processes that are dead."""
    for _ in _others(root, None):
        pass


def _disturbs(other: Other, ids: list[str], part: tuple[int, int] | None, on: Collection[str]) -> bool:
    if on and ids and not set(on) & set(ids):
        return False
    return not (part and other.part and part[1] == other.part[1] and part[0] != other.part[0])


def _others(root: Path, own: Path | None) -> Iterator[tuple[Other, list[str]]]:
    """The others that are alive, and their experiments; notes of the dead are removed."""
    try:
        now = time.time() if own is None else own.stat().st_mtime  # by the clock that the others' notes have
    except OSError:
        now = time.time()
    for path in sorted(root.glob(".at-work-*.json")):
        if path == own:
            continue
        with suppress(OSError):
            age = now - path.stat().st_mtime
            here = path.name.startswith(f".at-work-{files.host()}-")
            try:
                note = files.read_json(path)
                other, ids = _read(note, here), [str(id) for id in note["on"]]
                alive = files.alive(other.process, float(note["born"])) if here else age < FRESH
            except (ValueError, KeyError, TypeError):
                alive = False  # notes get their names when they are whole: a power cut has taken its bytes
            if alive:
                yield other, ids
            elif here or age > FORGOTTEN:
                path.unlink()


def _read(note: Any, here: bool) -> Other:
    part = note["part"]
    share = None if part is None else (int(part[0]), int(part[1]))
    return Other(str(note["host"]), int(note["process"]), here, str(note["what"]), str(note["since"]), share)
