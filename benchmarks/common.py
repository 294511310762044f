"""What the benchmarks share: options, alternating windows, ratios with an interval, the machine, tables, the file."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from rich.console import Console
from rich.table import Table


class Samples(NamedTuple):
    """What one loop cost in each of its windows, in the order of the rounds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one: a window that was disturbed does not move it."""
        return float(np.median(self.values))


class Ratio(NamedTuple):
    """A ratio of medians and its interval."""

    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f})"


def alternating(
    loops: Mapping[str, Callable[[], float]],
    windows: int = 5,
    seconds: float = 0.0,
    warm: bool = True,
    most: int = 101,
) -> dict[str, Samples]:
    """Time loops side by side, one window of each in every round; the order turns round from round to round.

    Each loop is called for one window and returns what it measured itself (seconds, or microseconds a visit): so
    set-up that is not to count stays outside. What disturbs the machine for longer than a window disturbs all alike,
    and ``ratio`` compares them round by round.

    Parameters
    ----------
    loops : mapping of names to callables
    windows : int, >= 1
        Rounds at the least.
    seconds : float
        More rounds, until this time (in all) has passed, or there are ``most``.
    warm : bool
        Call each once before, uncounted: compiling, first touch of memory.
    most : int
        Rounds at the most.
    """
    values: dict[str, list[float]] = {name: [] for name in loops}
    for loop in loops.values() if warm else ():
        loop()
    begin, done = time.perf_counter(), 0
    while done < windows or (done < most and time.perf_counter() - begin < seconds):
        for name in list(loops)[:: -1 if done % 2 else 1]:
            values[name].append(float(loops[name]()))
        done += 1
    return {name: Samples(tuple(each)) for name, each in values.items()}


def ratio(a: Samples, b: Samples, confidence: float = 0.95) -> Ratio:
    """Median of ``a`` over median of ``b``, with a percentile interval of the bootstrap over rounds.

    Rounds are drawn together where both have as many (they were timed side by side), each for itself otherwise. The
    draws are the same at every call.
    """
    x, y = np.array(a.values), np.array(b.values)
    rng, draws = np.random.default_rng(0), 4000
    rounds = rng.integers(0, len(x), (draws, len(x)))
    others = rounds if len(x) == len(y) else rng.integers(0, len(y), (draws, len(y)))
    drawn = np.median(x[rounds], axis=1) / np.median(y[others], axis=1)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Ratio(a.median / b.median, float(low), float(high))


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def parser(name: str, doc: str | None, quick: str, short: str | None = None) -> Parser:
    """The options that every benchmark has; ``quick`` says what its smoke test does, ``short`` its minute's form."""
    made = Parser(prog=f"python -m benchmarks.{name}", description=(doc or "").split("\n")[0])
    made.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured to FILE")
    made.add_argument("--quick", action="store_true", help=f"{quick}: a smoke test")
    if short is not None:
        made.add_argument("--short", action="store_true", help=f"{short}: about a minute")
    return made


def parse(options: Parser, arguments: list[str] | None) -> argparse.Namespace:
    """Parsed, with the folder of ``--json`` and the number of ``--repeats`` checked."""
    found = options.parse_args(arguments)
    if getattr(found, "repeats", 1) < 1:
        options.error(f"--repeats must be >= 1, got {found.repeats}")
    if found.json is not None and not found.json.resolve().parent.is_dir():
        options.error(f"--json: there is no folder {found.json.resolve().parent}")
    return found


def write(report: dict[str, Any], file: Path | None) -> None:
    """The report as JSON, if a file is named."""
    if file is not None:
        file.write_text(json.dumps(report, indent=1) + "\n")


def console() -> Console:
    """Standard output, 118 columns wide where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else 118)


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table with numbers to the right; a column without heading is a label."""
    made = Table(title=title)
    for heading in headings:
        made.add_column(heading, justify="left" if not heading else "right")
    for row in rows:
        made.add_row(*row)
    return made


def load(start: Sequence[float], end: Sequence[float]) -> str:
    """The load averages (one minute) around what was measured."""
    return f"load average {start[0]:.2f} at the start, {end[0]:.2f} at the end, {os.cpu_count()} cores"


def is_installed(module: str) -> bool:
    """Whether a module can be found."""
    return importlib.util.find_spec(module) is not None


def machine() -> dict[str, Any]:
    """Processor, cores and versions."""

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    cpu = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: installed(name) for name in ("numpy", "numba", "jax", "torch", "learnability")},
    }


def described(found: dict[str, Any]) -> str:
    """The machine in a line."""
    versions = ", ".join(
        f"{name} {found[name]}" for name in ("python", "numpy", "numba", "jax", "torch") if found[name]
    )
    return f"{found['cpu']}, {found['cores']} cores; {versions}; one thread each"
