"""What the commands print: JSON, tables and one-line complaints; progress and warnings on stderr."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from learnability import shown, signals
from learnability.signals import Terminated

if TYPE_CHECKING:
    from rich.console import Console

    from learnability.api import Progress
    from learnability.theory import Guarantee

__all__ = [
    "Stopped",
    "aside",
    "complain",
    "duration",
    "ended_by",
    "exhausted",
    "print_json",
    "progress",
    "stdout",
    "stoppable",
    "violated",
    "warnings_on_stderr",
]

FIRST_LINE, LAST_INTERVAL = 10.0, 60.0
"""Seconds until the first line of progress off a terminal, and the most between two."""


class Stopped(Exception):
    """What a signal or a limit of this process has ended, and what of it is kept."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def aside() -> Iterator[None]:
    """Keep stdout for the answer: what a user's file prints goes to stderr."""
    with redirect_stdout(sys.stderr):
        yield


def ended_by(number: int) -> tuple[str, int]:
    """What is said of a signal that has ended a command, and the status."""
    if number == signal.SIGTERM:
        return "terminated", 143
    try:
        threading.Thread(target=bool).start()
    except RuntimeError as error:  # OpenBLAS sends SIGINT where it gets no threads
        return exhausted(error), 1
    return "interrupted", 130


def exhausted(error: Exception) -> str:
    """A line for an error that memory was the cause of, whatever was made of it on the way; empty for others."""
    from learnability import memory

    cause = memory.behind(error)
    if cause is None:
        return ""
    return str(error) if "out of memory" in str(error) and cause is not error else memory.told(cause)


@contextmanager
def stoppable(kept: str) -> Iterator[None]:
    """End with status 130 at Ctrl-C, 143 at SIGTERM, 1 where memory runs out, and one line that says what is kept."""
    signals.forget()
    try:
        yield
    except (KeyboardInterrupt, Terminated) as ended:
        word, code = ended_by(signal.SIGINT if isinstance(ended, KeyboardInterrupt) else signal.SIGTERM)
        raise Stopped(f"{word}: {kept}", code) from None
    except Exception as error:
        if (number := signals.came()) is not None:
            word, code = ended_by(number)
            raise Stopped(f"{word}: {kept}", code) from None
        said = exhausted(error)
        if not said or os.environ.get("LEARNABILITY_DEBUG"):
            raise
        raise Stopped(f"{said}: {kept}", 1) from None
    finally:
        signals.forget()


def violated(guarantees: Iterable[Guarantee]) -> bool:
    """Whether one of them is violated."""
    return any(guarantee.verdict == "violated" for guarantee in guarantees)


def duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def stdout() -> Console:
    """A console as wide as the terminal; in a pipe wide enough for every id and verdict."""
    from learnability.cli.plain import PlainConsole

    columns = os.environ.get("COLUMNS", "")
    wide = None if sys.stdout.isatty() else 160
    if columns.isdigit():
        wide = max(int(columns), 20) if int(columns) else 80  # at width 0 Rich prints nothing
    return PlainConsole(width=wide)


def print_json(value: Any) -> None:
    """One JSON object on stdout; where that is no UTF-8, in ASCII, which says the same."""
    utf8 = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").replace("_", "") == "utf8"
    print(shown.to_json(value, ascii_only=not utf8))


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"learnability: {shown.line(' '.join(message.split()), 5000)}", file=sys.stderr)


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Show this package's warnings as one line each, without file, line number and source."""
    from learnability.errors import CacheWarning, StandInWarning
    from learnability.results import DamagedShardWarning
    from learnability.runner import FailureWarning
    from learnability.sweep import SweepWarning

    own = (CacheWarning, FailureWarning, DamagedShardWarning, StandInWarning, SweepWarning)
    with warnings.catch_warnings():
        for category in own:
            warnings.simplefilter("always", category)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
            if issubclass(category, own):
                complain(f"{'failed: ' if issubclass(category, FailureWarning) else ''}{message}")
            else:
                usual(message, category, *rest, **options)

        warnings.showwarning = show
        yield


@contextmanager
def progress(what: str) -> Iterator[Callable[[Progress], None]]:
    """How far the work has come, on stderr: a bar on a terminal, elsewhere a plain line now and then."""
    from rich.console import Console

    console = Console(stderr=True)
    with _bar(what, console) if console.is_terminal and not console.is_dumb_terminal else _lines(what) as advance:
        yield advance


@contextmanager
def _bar(what: str, console: Console) -> Iterator[Callable[[Progress], None]]:
    """A bar with an estimate of the time left."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.fields[count]}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[label]}", markup=False),
    )
    with Bar(*columns[: None if console.width >= 80 else 2], console=console, transient=True) as bar:
        task = bar.add_task("", total=None, count="", label="")

        def advance(progress: Progress) -> None:
            count = f"{progress.done}/{progress.total} {what}"
            label = shown.line(progress.label)
            bar.update(task, total=progress.work_total, completed=progress.work_done, count=count, label=label)

        yield advance


@contextmanager
def _lines(what: str) -> Iterator[Callable[[Progress], None]]:
    """A line after ten seconds, and then at intervals that grow to a minute; none for short work."""
    latest: list[Progress] = []
    start, over = time.monotonic(), threading.Event()

    def tell() -> None:
        wait = FIRST_LINE
        while not over.wait(wait):
            wait = min(2 * wait, LAST_INTERVAL)
            for progress in latest:
                if progress.done == progress.total:
                    continue
                left = ""
                if progress.work_done:
                    rest = progress.work_total / progress.work_done - 1
                    left = f", about {duration((time.monotonic() - start) * rest)} left"
                doing = f": {progress.label}" if progress.label else ""
                complain(f"{progress.done}/{progress.total} {what}{left}{doing}")

    def advance(progress: Progress) -> None:
        latest[:] = [progress]

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield advance
    finally:
        over.set()
        teller.join()
