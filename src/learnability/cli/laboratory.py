"""``learnability list | run | verify | report``: experiments, statements, and what is kept of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from learnability.cli.options import DEFAULT_OUT, Json, Out, Strict, Verbose
from learnability.cli.terminal import (
    duration,
    print_json,
    progress,
    stdout,
    stoppable,
    violated,
    warnings_on_stderr,
)

__all__ = ["list_", "report", "run", "verify"]


def _known(what: str, typed: str) -> list[str]:
    """Ids and studies that begin with what was typed, for the shell to complete."""
    from learnability import study

    ids = study.experiments() if what == "experiments" else study.statements()
    studies = dict.fromkeys(name.partition("/")[0] for name in ids)
    return [name for name in (*studies, *ids) if name.startswith(typed)]


def _experiments(incomplete: str) -> list[str]:
    return _known("experiments", incomplete)


def _statements(incomplete: str) -> list[str]:
    return _known("statements", incomplete)


def list_(
    statements: Annotated[
        bool, typer.Option("--statements", help="List the lemmas and theorems that `verify` checks instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the experiments, with their size and time at each scale, or the statements."""
    from learnability import study

    found = list(study.experiments().values())
    checks = {name: check.source for name, check in study.statements().items()}
    sizes = {
        experiment.id: {
            scale: {"tasks": size.tasks, "seconds": size.seconds, "seeds": size.seeds}
            for scale in study.SCALES
            if (size := experiment.scales.get(scale))
        }
        for experiment in found
    }
    if as_json:
        entries = [{"id": e.id, "title": e.title, "source": e.source, "scales": sizes[e.id]} for e in found]
        sources = [{"id": name, "source": source} for name, source in checks.items()]
        print_json({"experiments": entries, "statements": sources})
        return
    console = stdout()
    from learnability.report import TABLE_WIDTH, listing

    headings = ["statement", "source"]
    rows: Iterable[Sequence[str]] = checks.items()
    if not statements:
        narrow = console.width < TABLE_WIDTH
        headings = ["experiment", "title", *(f"{scale}: tasks, time" for scale in study.SCALES)]
        rows = [(e.id, e.title, *_said(sizes[e.id], narrow)) for e in found]
    console.print(listing(headings, rows, console.width))


def _said(sizes: Mapping[str, Mapping[str, float]], narrow: bool) -> list[str]:
    """A cell for each scale; where the terminal is narrow all in one."""
    from learnability.study import SCALES

    between = " tasks, " if narrow else ", "
    said = {scale: f"{size['tasks']}{between}{duration(size['seconds'])}" for scale, size in sizes.items()}
    if narrow:
        return ["; ".join(f"{scale}: {size}" for scale, size in said.items())]
    return [said.get(scale, "-") for scale in SCALES]


def run(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Ids, globs or whole studies: symmetry/fig5, 'symmetry/fig*', symmetry.",
            autocompletion=_experiments,
        ),
    ],
    scale: Annotated[
        str,
        typer.Option(
            metavar="[smoke|laptop|paper]", help="Seconds, minutes on two cores, or the published parameters."
        ),
    ] = "laptop",
    seeds: Annotated[
        int | None, typer.Option(help="Seeds for each cell, at least 1.", show_default="the experiment's")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Worker processes, at least 1, one numerical thread each.",
            show_default="the cores there are; none but this process for work of less than ten seconds",
        ),
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to use instead.")] = None,
    out: Out = DEFAULT_OUT,
    strict: Strict = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Run experiments, or whatever of them is not finished: figures, tables and verdicts.

    The answer is how many claims hold and which do not; every claim is in the output folder and under --verbose.
    Ctrl-C (exit status 130) and SIGTERM (143) keep the finished tasks; the same command does the rest.
    """
    from learnability import api

    start = time.perf_counter()
    kept = f"finished tasks are kept in {out}; the same command does the rest"
    with stoppable(kept), warnings_on_stderr(), progress("tasks") as advance:
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
    seconds = time.perf_counter() - start
    guarantees = [g for result in done for g in result.guarantees]
    if as_json:
        print_json({"experiments": [result.to_json() for result in done], "seconds": seconds})
    else:
        from learnability.cli import answers
        from learnability.report import verdict_table

        console = stdout()
        if verbose:
            for result in done:
                console.print(answers.headline(result), style="bold")
                console.print(verdict_table(result.guarantees, console.width))
                for path in result.files:
                    console.print(str(path), soft_wrap=True)
                console.print()
        for line in answers.of_run(done, out, seconds, console.width):
            console.print(line, soft_wrap=True)
    failed = any(result.failures or result.recorded.differs for result in done)
    if failed or (strict and violated(guarantees)):
        raise typer.Exit(1)


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Statements, globs or whole studies; all by default.", autocompletion=_statements),
    ] = None,
    scale: Annotated[
        str, typer.Option(metavar="[smoke|laptop]", help="Seconds, or minutes on two cores.")
    ] = "laptop",
    out: Annotated[str, typer.Option("--out", help="Folder to keep the verdicts in, for the report.")] = DEFAULT_OUT,
    strict: Strict = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Check lemmas and theorems numerically: bound, measured value, slack, verdict.

    The answer is how many cases hold and which statements do not; every case is in the output folder and under
    --verbose.
    """
    from learnability import api

    start = time.perf_counter()
    with (
        stoppable(f"statements checked so far are kept in {out}"),
        warnings_on_stderr(),
        progress("statements") as advance,
    ):
        done = api.verify_all(names or ["*"], scale=scale, out=out, on_progress=advance)
    seconds = time.perf_counter() - start
    if as_json:
        guarantees = [g.to_json() for g in done.guarantees]
        print_json({"guarantees": guarantees, "failures": done.failures, "differs": done.differs, "seconds": seconds})
    else:
        from learnability.cli import answers
        from learnability.report import verdict_table

        console = stdout()
        if verbose:
            console.print(verdict_table(done.guarantees, console.width))
        for line in answers.of_verification(done, scale, out, seconds, console.width):
            console.print(line, soft_wrap=True)
    if done.failures or done.differs or (strict and violated(done.guarantees)):
        raise typer.Exit(1)


def report(
    out: Out = DEFAULT_OUT,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with status 1 where a claim is violated or something failed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write report.html and report.md over everything in the output folder; nothing is run again."""
    from learnability.report import counts, read_sections, write_report

    sections = read_sections(out)
    page, markdown = write_report(Path(out), sections)
    verdicts = counts(g["verdict"] for section in sections for g in section.guarantees)
    if as_json:
        entries = [{**s.manifest, "guarantees": list(s.guarantees)} for s in sections]
        print_json({"report": str(page), "markdown": str(markdown), "experiments": entries})
    else:
        failed = sum(len(section.manifest["failures"]) for section in sections)
        stdout().print(
            f"{len(sections)} {'result' if len(sections) == 1 else 'results'}: {verdicts}"
            f"{f', {failed} failed' if failed else ''}\n{page}\n{markdown}",
            soft_wrap=True,
            highlight=False,
        )
    if strict and any(section.failed for section in sections):
        raise typer.Exit(1)
