"""``learnability list | run | verify | report``: experiments, statements, and what is kept of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from learnability.cli.options import DEFAULT_OUT, Json, Out
from learnability.cli.terminal import (
    complain,
    duration,
    print_json,
    progress,
    stdout,
    summary,
    violated,
    warnings_on_stderr,
)

if TYPE_CHECKING:
    from learnability.api import Result

__all__ = ["list_", "report", "run", "verify"]


def list_(as_json: Json = False) -> None:
    """List the experiments, with their size and time at each scale."""
    from learnability.study import SCALES, experiments

    found = list(experiments().values())
    sizes = {
        experiment.id: {
            scale: {
                "tasks": experiment.scales[scale].tasks,
                "seconds": experiment.scales[scale].seconds,
                "seeds": experiment.scales[scale].seeds,
            }
            for scale in SCALES
        }
        for experiment in found
    }
    if as_json:
        entries = [{"id": e.id, "title": e.title, "source": e.source, "scales": sizes[e.id]} for e in found]
        print_json({"experiments": entries})
        return
    console = stdout()
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
        cells = [f"{size['tasks']}, {duration(size['seconds'])}" for size in sizes[experiment.id].values()]
        table.add_row(experiment.id, experiment.title, *cells)
    console.print(table)


def _size_lines(title: str, sizes: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, str]]:
    yield title, ""
    yield (
        "; ".join(f"{scale}: {size['tasks']} tasks, {duration(size['seconds'])}" for scale, size in sizes.items()),
        "",
    )


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
        with warnings_on_stderr(), progress("tasks") as advance:
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
        complain(f"interrupted: finished tasks are kept in {out}; the same command does the rest")
        raise typer.Exit(130) from None
    seconds = time.perf_counter() - start
    if as_json:
        print_json({"experiments": [result.to_json() for result in done], "seconds": seconds})
    else:
        for result in done:
            _show(result)
        if len(done) > 1:
            summary(
                [g for result in done for g in result.guarantees],
                sum(result.tasks["failed"] for result in done),
                seconds,
            )
    if any(result.failures for result in done) or violated(g for result in done for g in result.guarantees):
        raise typer.Exit(1)


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
        with warnings_on_stderr(), progress("statements") as advance:
            done = api.verify_all(patterns, scale=scale, out=out, on_progress=advance)
    except KeyboardInterrupt:
        complain("interrupted")
        raise typer.Exit(130) from None
    seconds = time.perf_counter() - start
    if as_json:
        guarantees = [g.to_json() for g in done.guarantees]
        print_json({"guarantees": guarantees, "failures": done.failures, "seconds": seconds})
    else:
        from learnability.report import verdict_table

        console = stdout()
        console.print(verdict_table(done.guarantees, console.width))
        summary(done.guarantees, len(done.failures), seconds)
    if done.failures or violated(done.guarantees):
        raise typer.Exit(1)


def report(out: Out = DEFAULT_OUT, as_json: Json = False) -> None:
    """Write report.html and report.md over everything in the output folder; nothing is run again."""
    from learnability.report import counts, read_sections, write_report

    sections = read_sections(out)
    page, markdown = write_report(Path(out), sections)
    summary = counts(g["verdict"] for section in sections for g in section.guarantees)
    if as_json:
        entries = [{**s.manifest, "guarantees": list(s.guarantees)} for s in sections]
        print_json({"report": str(page), "markdown": str(markdown), "experiments": entries})
    else:
        stdout().print(
            f"{len(sections)} {'result' if len(sections) == 1 else 'results'}: {summary}\n{page}\n{markdown}",
            soft_wrap=True,
            highlight=False,
        )
    if any(section.failed for section in sections):
        raise typer.Exit(1)


def _show(result: Result) -> None:
    from learnability.report import verdict_table

    console = stdout()
    tasks = ", ".join(f"{count} {what}" for what, count in result.tasks.items() if count or what == "run")
    seeds = "1 seed" if result.seeds == 1 else f"{result.seeds} seeds"
    console.print(f"{result.id} ({result.scale}, {seeds}; tasks: {tasks}; {duration(result.seconds)})", style="bold")
    if result.guarantees:
        console.print(verdict_table(result.guarantees, console.width))
    for path in result.files:
        console.print(str(path), soft_wrap=True)
    console.print()
