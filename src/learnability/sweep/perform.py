"""One task, wherever it is performed: its rows, or what stopped it, and the seconds it took."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from learnability import signals
from learnability.source import one_line, place_of
from learnability.study import Row, Setting
from learnability.sweep.task import plain

__all__ = ["debugging", "peak_memory", "perform"]


def perform(
    run: Callable[[Setting, int], list[Row]], setting: Setting, seed: int
) -> tuple[list[Row] | None, str | None, float]:
    """Run one task here: its rows or its error, and the seconds it took. Threads are for the caller to limit."""
    start = time.perf_counter()
    try:
        rows = run(setting, seed)
        return _complete(rows, setting, seed, place_of(run)), None, time.perf_counter() - start
    except (Exception, SystemExit) as error:
        if debugging() or signals.came() is not None:  # of a signal, whatever a library has made of it
            raise
        return None, one_line(error), time.perf_counter() - start


def debugging() -> bool:
    """Whether errors keep their traceback: the environment variable ``LEARNABILITY_DEBUG`` is set."""
    return bool(os.environ.get("LEARNABILITY_DEBUG"))


def peak_memory() -> int:
    """The most memory that this process has had, in bytes; 0 where the system does not tell."""
    try:  # what getrusage tells on Linux is at least what the process had that started this one
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        import psutil

        return int(getattr(psutil.Process().memory_info(), "peak_wset", 0))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _complete(rows: list[Row], setting: Setting, seed: int, place: str) -> list[Row]:
    """Rows of plain values with the setting's columns and the seed in front."""
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError(f"run must return a list of rows, each a dict of plain values, got {_said(rows)}{place}")
    if not rows:
        raise ValueError(f"run must return at least one row, got none{place}")
    for row in rows:
        for name in row:
            if not isinstance(name, str):
                raise ValueError(f"columns must have names of text, got {name!r}{place}")
        if row.keys() != rows[0].keys():
            told = f"{', '.join(row)} after {', '.join(rows[0])}"
            raise ValueError(f"rows must have the same columns, got {told}{place}")
    identity = {**setting, "seed": seed}
    clash = identity.keys() & {name for row in rows for name in row}
    if clash:
        raise ValueError(f"rows must not repeat the setting or the seed, got the columns {sorted(clash)}{place}")
    try:
        return [{**identity, **{name: plain(f"column {name!r}", v) for name, v in row.items()}} for row in rows]
    except ValueError as error:
        raise ValueError(f"{error}{place}") from None


def _said(rows: Any) -> str:
    """What something is that should be a list of rows."""
    if isinstance(rows, list | tuple) and rows:
        return f"a list of {type(rows[0]).__name__}"
    return type(rows).__name__
