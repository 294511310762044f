"""The command line: ``learnability list | run | verify | certify | report``.

A thin layer over :mod:`learnability.api`: it parses, shows progress on stderr, prints tables or JSON on
stdout, and turns outcomes into exit codes: 0 all fine, 1 a claim is violated or a task failed, 2 the request
was wrong, 130 interrupted (Ctrl-C), 141 the reader of the output has gone (as with ``| head``).
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import learnability

if TYPE_CHECKING:
    from rich.console import Console

    from learnability.api import Progress, Result
    from learnability.theory import Guarantee

__all__ = ["app", "main"]

# Nothing but typer is imported above: `learnability --help` must answer at once.

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train networks exactly as the theorems describe, and put each guarantee beside what was measured.",
    epilog="Exit codes: 0 all fine, 1 a claim is violated or a task failed, 2 wrong request, 130 interrupted by "
    "Ctrl-C (finished tasks are kept), 141 the reader of the output has gone.",
)


DEFAULT_OUT = "learnability-results"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]
Out = Annotated[str, typer.Option("--out", help="Folder for results; finished tasks found there are not run again.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"learnability {learnability.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the experiments, with their size and time at each scale."""
    from learnability.experiments import SCALES, discover

    found = list(discover().values())
    sizes = {
        experiment.id: {
            scale: {
                "tasks": len(experiment.settings[scale]) * experiment.seeds[scale],
                "seconds": experiment.seconds[scale],
                "seeds": experiment.seeds[scale],
            }
            for scale in SCALES
        }
        for experiment in found
    }
    if as_json:
        entries = [{"id": e.id, "title": e.title, "source": e.source, "scales": sizes[e.id]} for e in found]
        _print_json({"experiments": entries})
        return
    console = _stdout()
    from learnability.report import TABLE_WIDTH, blocks

    if console.width < TABLE_WIDTH:
        console.print(blocks((e.id, _size_lines(e.title, sizes[e.id])) for e in found))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("experiment", no_wrap=True)
    table.add_column("title", overflow="fold")
    for scale in SCALES:
        table.add_column(f"{scale}: tasks, time", no_wrap=True, justify="right")
    for experiment in found:
        cells = [f"{size['tasks']}, {_duration(size['seconds'])}" for size in sizes[experiment.id].values()]
        table.add_row(experiment.id, experiment.title, *cells)
    console.print(table)


def _size_lines(title: str, sizes: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, str]]:
    yield title, ""
    yield (
        "; ".join(f"{scale}: {size['tasks']} tasks, {_duration(size['seconds'])}" for scale, size in sizes.items()),
        "",
    )


@app.command()
def run(
    names: Annotated[
        list[str],
        typer.Argument(help="Ids, globs or whole studies: symmetry/fig5, 'symmetry/fig*', symmetry."),
    ],
    scale: Annotated[
        str,
        typer.Option(
            metavar="[smoke|laptop|paper]", help="Seconds, minutes on two cores, or the published parameters."
        ),
    ] = "laptop",
    seeds: Annotated[
        int | None, typer.Option(help="Seeds for each cell, at least 1.  [default: the experiment's]")
    ] = None,
    workers: Annotated[int, typer.Option(help="Worker processes, at least 1, one numerical thread each.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to use instead.")] = None,
    out: Out = DEFAULT_OUT,
    as_json: Json = False,
) -> None:
    """Run experiments, or whatever of them is not finished: figures, tables and verdicts.

    Ctrl-C keeps the finished tasks and ends with exit code 130; the same command does the rest.
    """
    from learnability import api

    start = time.perf_counter()
    try:
        with _warnings_on_stderr(), _progress("tasks") as advance:
            done = api.run_many(
                names,
                scale=scale,
                seeds=seeds,
                workers=workers,
                scheduler=scheduler,
                out=out,
                on_progress=advance,
                light=True,
            )
    except KeyboardInterrupt:
        _complain(f"interrupted: finished tasks are kept in {out}; the same command does the rest")
        raise typer.Exit(130) from None
    seconds = time.perf_counter() - start
    if as_json:
        _print_json({"experiments": [result.to_json() for result in done], "seconds": seconds})
    else:
        for result in done:
            _show(result)
        if len(done) > 1:
            _summary(
                [g for result in done for g in result.guarantees],
                sum(result.tasks["failed"] for result in done),
                seconds,
            )
    if any(result.failures for result in done) or _violated(g for result in done for g in result.guarantees):
        raise typer.Exit(1)


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Statements, globs or whole studies; all by default.")
    ] = None,
    scale: Annotated[
        str, typer.Option(metavar="[smoke|laptop]", help="Seconds, or minutes on two cores.")
    ] = "laptop",
    out: Annotated[str | None, typer.Option(help="Folder to keep the verdicts in, for the report.")] = None,
    as_json: Json = False,
) -> None:
    """Check lemmas and theorems numerically: bound, measured value, slack, verdict."""
    from learnability import api

    start = time.perf_counter()
    patterns = names or ["*"]
    try:
        with _warnings_on_stderr(), _progress("statements") as advance:
            done = api.verify_all(patterns, scale=scale, out=out, on_progress=advance)
    except KeyboardInterrupt:
        _complain("interrupted")
        raise typer.Exit(130) from None
    seconds = time.perf_counter() - start
    if as_json:
        guarantees = [g.to_json() for g in done.guarantees]
        _print_json({"guarantees": guarantees, "failures": done.failures, "seconds": seconds})
    else:
        from learnability.report import verdict_table

        console = _stdout()
        console.print(verdict_table(done.guarantees, console.width))
        _summary(done.guarantees, len(done.failures), seconds)
    if done.failures or _violated(done.guarantees):
        raise typer.Exit(1)


@app.command()
def certify(
    file: Annotated[str, typer.Argument(help="A .csv, .parquet or .npz file: a row an example, numbers only.")],
    label: Annotated[str, typer.Option(help="The column (in NPZ the array) of the labels, of two values.")],
    positive: Annotated[
        str | None, typer.Option(help="The label that counts as +1.  [default: the larger one]")
    ] = None,
    width: Annotated[
        list[int] | None,
        typer.Option(
            help="Hidden units 2k, even, 2 to 20000. One: a tenth and ten times of it are run beside it; "
            "several (--width 2 --width 50): these.  [default: 10, 100 and 1000]"
        ),
    ] = None,
    slope: Annotated[float, typer.Option(help="Slope alpha of the leaky ReLU, in [0, 1); 0 is the ReLU.")] = 0.5,
    step: Annotated[float, typer.Option(help="Step eta of SGD, > 0 and at most 1e6.")] = 1.0,
    delta: Annotated[float, typer.Option(help="Generalisation bounds hold with probability 1 - delta.")] = 0.05,
    scale: Annotated[
        str, typer.Option(metavar="[norm|range|standard|none]", help="How inputs come into the unit ball.")
    ] = "range",
    bias: Annotated[bool, typer.Option(help="Whether the hyperplane may have an offset.")] = True,
    test: Annotated[float, typer.Option(help="Share of the examples to test on, in [0, 1).")] = 0.25,
    repeats: Annotated[int, typer.Option(help="Runs of SGD for each width, at least 1.")] = 3,
    seed: Annotated[int, typer.Option(help="Draws split, starts and orders of examples.")] = 0,
    budget: Annotated[float, typer.Option(help="What SGD may cost, in billions of multiply-adds.")] = 300.0,
    out: Annotated[str, typer.Option("--out", help="Folder for figure, JSON and verdicts.")] = DEFAULT_OUT,
    as_json: Json = False,
) -> None:
    """What the theorems on separable data promise for your own data, next to what SGD does on them."""
    from learnability import api
    from learnability.certification.statements import is_vacuous
    from learnability.datasets import read_table

    # One width alone is the middle of three; several are taken as they are.
    widths = width[0] if width and len(width) == 1 else width or None
    options: dict[str, Any] = {
        "width": widths, "slope": slope, "step": step, "delta": delta, "scale": scale, "bias": bias,
        "test": test, "repeats": repeats, "seed": seed, "budget": budget,
    }  # fmt: skip
    api.certify_options(**options)  # before a large file is read
    start = time.perf_counter()
    try:
        with _progress("parts") as advance:
            done = api.certify_data(
                read_table(file, label, positive=positive),
                out=out,
                command=f"learnability {shlex.join(sys.argv[1:])}",
                on_progress=advance,
                **options,
            )
    except KeyboardInterrupt:
        _complain("interrupted: nothing was kept")
        raise typer.Exit(130) from None
    seconds = time.perf_counter() - start
    if as_json:
        _print_json({**done.to_json(), "seconds": seconds})
    else:
        from learnability.certification.terminal import page
        from learnability.report import TABLE_WIDTH, verdict_table

        console = _stdout()
        verdicts = verdict_table(done.guarantees, console.width)
        for part in page(done, verdicts, narrow=console.width < TABLE_WIDTH):
            console.print(part)
        for path in done.files:
            console.print(str(path), soft_wrap=True)
        if done.files:
            console.print(str(done.files[0].with_name("certify.json")), soft_wrap=True)
        vacuous = sum(g.verdict == "holds" and is_vacuous(g) for g in done.guarantees)
        if vacuous:
            console.print(f"{vacuous} of those that hold are vacuous: an error is never above 1")
        _summary(done.guarantees, 0, seconds)
    if _violated(done.guarantees):
        raise typer.Exit(1)


@app.command()
def report(out: Out = DEFAULT_OUT, as_json: Json = False) -> None:
    """Write report.html and report.md over everything in the output folder; nothing is run again."""
    from learnability.report import counts, read_sections, write_report

    sections = read_sections(out)
    page, markdown = write_report(Path(out), sections)
    summary = counts(g["verdict"] for section in sections for g in section.guarantees)
    if as_json:
        entries = [{**s.manifest, "guarantees": list(s.guarantees)} for s in sections]
        _print_json({"report": str(page), "markdown": str(markdown), "experiments": entries})
    else:
        _stdout().print(
            f"{len(sections)} {'result' if len(sections) == 1 else 'results'}: {summary}\n{page}\n{markdown}",
            soft_wrap=True,
            highlight=False,
        )
    if any(section.failed for section in sections):
        raise typer.Exit(1)


def main() -> None:
    """Entry point. Every error is one line on stderr, unless ``LEARNABILITY_DEBUG`` is set."""
    # A stream that the caller has closed (`>&-`) is none at all to Python.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    try:
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        _complain("interrupted")
        code = 130
    except (BrokenPipeError, SystemExit):
        # The reader of our output has gone, as `| head` does: Click and Rich make that a SystemExit, and nothing
        # else does here. The shell's code for it, not 1, which says that a claim is violated.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except Exception as error:
        if os.environ.get("LEARNABILITY_DEBUG"):
            raise
        code = _explain(error)
    sys.exit(code)


def _explain(error: Exception) -> int:
    """Say in one line what is wrong, and return the exit code."""
    # Typer's and Click's errors, whichever of the two defines them, know their own message; that of a call
    # without arguments is the help.
    if hasattr(error, "format_message"):
        message = str(error.format_message())
        if type(error).__name__ == "NoArgsIsHelpError":
            print(message)
        else:
            _complain(message)
        return 2
    # Past the door, errors of experiments and checks are caught where they arise: what is left of ValueError
    # is the door's own.
    if isinstance(error, ValueError):
        _complain(str(error))
        return 2
    _complain(f"{type(error).__name__}: {error} (LEARNABILITY_DEBUG=1 shows the traceback)")
    return 1


def _show(result: Result) -> None:
    from learnability.report import verdict_table

    console = _stdout()
    tasks = ", ".join(f"{count} {what}" for what, count in result.tasks.items() if count or what == "run")
    seeds = "1 seed" if result.seeds == 1 else f"{result.seeds} seeds"
    console.print(f"{result.id} ({result.scale}, {seeds}; tasks: {tasks}; {_duration(result.seconds)})", style="bold")
    if result.guarantees:
        console.print(verdict_table(result.guarantees, console.width))
    for path in result.files:
        console.print(str(path), soft_wrap=True)
    console.print()


def _summary(guarantees: list[Guarantee], failed: int, seconds: float) -> None:
    from learnability.report import counts

    line = counts(str(g.verdict) for g in guarantees) + (f", {failed} failed" if failed else "")
    _stdout().print(f"{line}; {_duration(seconds)}")


def _violated(guarantees: Iterable[Guarantee]) -> bool:
    return any(guarantee.verdict == "violated" for guarantee in guarantees)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _stdout() -> Console:
    """A console as wide as the terminal; in a pipe wide enough for every id and verdict."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
    return Console(width=wide, highlight=False, markup=False)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def _complain(message: str) -> None:
    print(f"learnability: {' '.join(message.split())}", file=sys.stderr)


@contextmanager
def _warnings_on_stderr() -> Iterator[None]:
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
                _complain(f"{'failed: ' if issubclass(category, FailureWarning) else ''}{message}")
            else:
                usual(message, category, *rest, **options)

        warnings.showwarning = show
        yield


@contextmanager
def _progress(what: str) -> Iterator[Callable[[Progress], None]]:
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
