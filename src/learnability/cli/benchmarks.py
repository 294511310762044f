"""``learnability bench``: the benchmarks of a source checkout, each in a process of its own."""

from __future__ import annotations

import ast
import difflib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from learnability.cli.options import Json
from learnability.cli.terminal import print_json, stdout

__all__ = ["bench"]

# Benchmarks pin their threads before NumPy is imported, so they cannot run in this process.
_CHILD = """
import importlib, os, sys
try:
    importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])
except KeyboardInterrupt:
    sys.exit(130)
except Exception as error:
    if os.environ.get("LEARNABILITY_DEBUG"):
        raise
    sys.exit(f"learnability: {type(error).__name__}: {error} (LEARNABILITY_DEBUG=1 shows the traceback)")
"""


def bench(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="A benchmark; what follows it is its own. All are listed by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the benchmarks, or run one: this library beside other ways to write the same, timed in one run.

    They come with the source tree and take minutes; each has --quick, a smoke test. The options of one are shown by
    `learnability bench NAME -- --help`.
    """
    root = _checkout()
    found = _benchmarks(root)
    if name is None:
        if as_json:
            print_json({"benchmarks": [{"name": name, "title": title} for name, title in found.items()]})
        else:
            from learnability.report import listing

            console = stdout()
            console.print(listing(("benchmark", "title"), found.items(), console.width))
        return
    if name not in found:
        near = difflib.get_close_matches(name.replace("-", "_"), found, 1)
        known = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(found)}"
        raise ValueError(f"unknown benchmark {name!r}; {known}")
    code = _run(root, name, context.args, as_json)
    if code:
        raise typer.Exit(code if code in (2, 130) else 1)


def _run(root: Path, name: str, arguments: list[str], as_json: bool) -> int:
    """Run a benchmark and return its exit code; it has said itself what was wrong."""
    command = [sys.executable, "-P", "-c", _CHILD, name, *arguments]
    surroundings = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
    }
    if not as_json:
        sys.stdout.flush()
        return subprocess.run(command, env=surroundings).returncode
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        code = subprocess.run([*command, "--json", str(file)], env=surroundings, stdout=sys.stderr).returncode
        if code == 0:
            report = json.loads(file.read_text(), parse_constant=lambda _: None)
            print_json({"benchmark": name, "report": report, "seconds": time.perf_counter() - start})
    return code


def _checkout() -> Path:
    """The source tree that this package is installed from, or in which the command is run."""
    for root in (Path(__file__).parents[3], Path.cwd()):
        if (root / "benchmarks/__init__.py").is_file() and (root / "src/learnability").is_dir():
            return root
    raise ValueError("benchmarks come with the source tree and are not installed: run this in a checkout of it")


def _benchmarks(root: Path) -> dict[str, str]:
    """Names and titles: the first line of a module that says how to run it. The others are their helpers."""
    found = {}
    for path in sorted((root / "benchmarks").glob("*.py")):
        first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
        title, separator, _ = first.partition(f": ``python -m benchmarks.{path.stem}``")
        if separator:
            found[path.stem] = title
    return found
