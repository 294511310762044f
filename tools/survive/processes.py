"""The command as a process: fresh, as a user starts it, or forked from one that has imported everything already.

A fresh one takes a second or two before it does anything, and there are thousands to start. What is forked runs the
same ``main`` with the same arguments, in this process's place in the tree; local workers are always fresh.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.survive.watched import Watch

__all__ = ["Ended", "Process", "family", "forked", "fresh"]

LIMIT = 300.0
"""Seconds after which a process hangs, however busy the machine is."""
HEAVY = ("tools.survive.warm",)


@dataclass(frozen=True)
class Ended:
    """What came of a process."""

    status: int
    """A signal's number is negative."""
    out: str
    err: str
    seconds: float
    hung: bool = False

    @property
    def complaint(self) -> str:
        """What is wrong with how it ended, whatever came of its work, or ""."""
        if self.hung:
            return f"no end within {LIMIT:g} s"
        if "Traceback" in self.err:
            lines = self.err.strip().splitlines()
            at = next(number for number, line in enumerate(lines) if "Traceback" in line)
            what = next((line for line in lines[at + 1 :] if not line.startswith(" ")), "")
            return f"a traceback, status {self.status}: {' '.join(lines[max(at - 1, 0) : at])} {what}"[:300]
        strange = [line for line in self.err.splitlines() if line.strip() and not line.startswith("learnability: ")]
        return f"status {self.status}, on stderr: {strange[0][:200]}" if strange else ""


class Process:
    """A command that runs."""

    def __init__(self, child: Any, place: Path) -> None:
        self.child, self.place, self.start = child, place, time.monotonic()
        self.pid: int = child.pid

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.status is None:
            os.kill(self.pid, number)

    @property
    def status(self) -> int | None:
        """None while it runs."""
        if isinstance(self.child, subprocess.Popen):
            return self.child.poll()
        code: int | None = self.child.exitcode
        return code

    def wait(self, limit: float = LIMIT) -> Ended:
        """What came of it; it is ended after the limit."""
        hung = False
        while self.status is None:
            if time.monotonic() - self.start > limit:
                hung = True
                for process in family(self.pid):
                    process.kill()
            self._sleep(limit)
        said = [(self.place / name).read_text(errors="replace") for name in ("out", "err")]
        return Ended(self.status, *said, time.monotonic() - self.start, hung)

    def _sleep(self, limit: float) -> None:
        left = max(self.start + limit - time.monotonic(), 0.1)
        if isinstance(self.child, subprocess.Popen):
            with suppress(subprocess.TimeoutExpired):
                self.child.wait(left)
        else:
            self.child.join(left)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """One in which nothing depends on who starts the tool."""
    dropped = ("LEARNABILITY_DEBUG", "COLUMNS", "PYTHONHASHSEED", "TZ", "LC_ALL", "LANG")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **threads, "PYTHONUNBUFFERED": "1", **more}


def fresh(
    arguments: Sequence[str], cwd: Path, place: Path, more: Mapping[str, str] = {}, program: Sequence[str] = ()
) -> Process:
    """Start the command as a user does, or another program; what it says goes into files in ``place``."""
    place.mkdir(parents=True, exist_ok=True)
    command = [*(program or (sys.executable, "-P", "-m", "learnability")), *arguments]
    with open(place / "out", "wb") as out, open(place / "err", "wb") as err:
        # In a session of its own: a Ctrl-C for this tool is none for it.
        child = subprocess.Popen(
            command, cwd=cwd, env=environment(more), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True,
        )  # fmt: skip
    return Process(child, place)


def forked(
    arguments: Sequence[str], cwd: Path, place: Path, more: Mapping[str, str] = {}, watch: Watch | None = None
) -> Process:
    """Start the command in a process that has imported what it needs."""
    from multiprocessing import forkserver

    place.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    with _as_environment():
        context.set_forkserver_preload([*HEAVY])
        forkserver.ensure_running()
    child = context.Process(target=command, args=(list(arguments), str(cwd), str(place), dict(more), watch))
    child.start()
    return Process(child, place)


@contextmanager
def _as_environment() -> Iterator[None]:
    """What the server of forks inherits at its start, and its children."""
    before, changed = dict(os.environ), environment({})
    os.environ.clear()
    os.environ.update(changed)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def command(arguments: list[str], cwd: str, place: str, more: dict[str, str], watch: Watch | None) -> None:
    """What a forked process does."""
    os.setsid()
    os.environ.update(more)
    os.chdir(cwd)
    for name, number in (("out", 1), ("err", 2)):
        file = os.open(f"{place}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["learnability", *arguments]
    from learnability import cli

    if watch is not None:
        watch.install()
    try:
        cli.main()
    finally:
        if watch is not None:
            watch.finish()


def family(pid: int) -> list[Any]:
    """A process and all that come from it, as psutil knows them; those that have ended are left out."""
    import psutil

    try:
        first = psutil.Process(pid)
        return [*first.children(recursive=True), first]
    except psutil.NoSuchProcess:
        return []
