"""What the benchmarks share: options, the machine, tables, targets, the file."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def parser(name: str, doc: str | None, quick: str) -> Parser:
    """The options that every benchmark has; ``quick`` says what its smoke test does."""
    made = Parser(prog=f"python -m benchmarks.{name}", description=(doc or "").split("\n")[0])
    made.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured to FILE")
    made.add_argument("--quick", action="store_true", help=f"{quick}: a smoke test")
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
    versions = ", ".join(f"{name} {found[name]}" for name in ("python", "numpy", "jax", "torch") if found[name])
    return f"{found['cpu']}, {found['cores']} cores; {versions}; one thread each"
