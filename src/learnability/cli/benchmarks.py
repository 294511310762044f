"""``learnability bench``: the benchmarks of a source checkout, each in a process of its own."""

from __future__ import annotations

import ast
import difflib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from learnability import scratch
from learnability.cli.options import Json
from learnability.cli.terminal import print_json, stdout
from learnability.errors import RequestError

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


class _Benchmark(NamedTuple):
    """A benchmark by its docstring's first line and its ``MINUTES``, how long its forms take: full, short."""

    title: str
    minutes: dict[str, float]

    def to_json(self, name: str) -> dict[str, Any]:
        command = f"learnability bench {name}"
        return {"name": name, "title": self.title, "command": command, "minutes": self.minutes}


def bench(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="A benchmark; what follows it is its own. All are listed by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the benchmarks, or run one: this library beside other ways to write the same, timed in one run.

    They come with the source tree and take minutes; --short takes about one, --quick is a smoke test. The options of
    one are shown by `learnability bench NAME -- --help`.
    """
    root = _checkout()
    found = _benchmarks(root)
    if name is None:
        if as_json:
            print_json({"benchmarks": [one.to_json(name) for name, one in found.items()]})
        else:
            from learnability.report import listing

            rows = [(name, one.title, *filter(None, [_takes(one.minutes)])) for name, one in found.items()]
            console = stdout()
            console.print(listing(("benchmark", "what its table shows", "takes"), rows, console.width))
        return
    if name not in found:
        near = difflib.get_close_matches(name.replace("-", "_"), found, 1)
        known = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(found)}"
        raise RequestError(f"unknown benchmark {name!r}; {known}")
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
    with scratch.folder() as folder:
        file = folder / "report.json"
        code = subprocess.run([*command, "--json", str(file)], env=surroundings, stdout=sys.stderr).returncode
        if code == 0:
            report = json.loads(file.read_text("utf-8"), parse_constant=lambda _: None)
            print_json({"benchmark": name, "report": report, "seconds": time.perf_counter() - start})
    return code


def _checkout() -> Path:
    """The source tree that this package is installed from, or in which the command is run."""
    for root in (Path(__file__).parents[3], Path.cwd()):
        if (root / "benchmarks/__init__.py").is_file() and (root / "src/learnability").is_dir():
            return root
    raise RequestError(
        "benchmarks come with the source tree (its folder benchmarks/, also in the sdist) and are not installed: run "
        "this in a checkout of it"
    )


def _benchmarks(root: Path) -> dict[str, _Benchmark]:
    """By name: modules whose first line says how to run them. The others are their helpers."""
    found = {}
    for path in sorted((root / "benchmarks").glob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        first = (ast.get_docstring(module) or "").split("\n")[0]
        title, separator, _ = first.partition(f": ``python -m benchmarks.{path.stem}``")
        if separator:
            said = (node.value for node in module.body if isinstance(node, ast.Assign) and _is_minutes(node))
            found[path.stem] = _Benchmark(title, next(map(ast.literal_eval, said), {}))
    return found


def _is_minutes(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "MINUTES" for target in node.targets)


def _takes(minutes: dict[str, float]) -> str:
    forms = ("" if form == "full" else f"--{form} " for form in minutes)
    return ", ".join(f"{form}{value:g} min" for form, value in zip(forms, minutes.values(), strict=True))
