"""What the commands print: JSON, tables and one-line complaints; progress and warnings on stderr."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from learnability.api import Progress
    from learnability.theory import Guarantee

__all__ = ["complain", "duration", "print_json", "progress", "stdout", "summary", "violated", "warnings_on_stderr"]


def summary(guarantees: list[Guarantee], failed: int, seconds: float) -> None:
    """The last line: how many hold, how many failed, how long it took."""
    from learnability.report import counts

    line = counts(str(g.verdict) for g in guarantees) + (f", {failed} failed" if failed else "")
    stdout().print(f"{line}; {duration(seconds)}")


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
    from rich.console import Console

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
    return Console(width=wide, highlight=False, markup=False)


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    print(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"learnability: {' '.join(message.split())}", file=sys.stderr)


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Show this package's warnings as one line each, without file, line number and source."""
    from learnability.datasets import StandInWarning
    from learnability.results import DamagedShardWarning
    from learnability.runner import FailureWarning

    own = (FailureWarning, DamagedShardWarning, StandInWarning)
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
    """A progress bar with an estimate of the time left, on stderr; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.fields[count]}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[label]}"),
    )
    with Bar(
        *columns, console=console, transient=True, disable=not console.is_terminal, redirect_stdout=False
    ) as bar:
        task = bar.add_task("", total=None, count="", label="")

        def advance(progress: Progress) -> None:
            count = f"{progress.done}/{progress.total} {what}"
            bar.update(
                task,
                total=progress.work_total,
                completed=progress.work_done,
                count=count,
                label=progress.label,
            )

        yield advance
