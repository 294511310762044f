"""``learnability list | run | verify | report``: experiments, statements, and what is kept of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from learnability.cli.options import DEFAULT_OUT, Json, Out, Strict, Verbose
from learnability.cli.terminal import (
    complain,
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
    import glob

    from learnability import discovery

    ids = getattr(discovery.installed(), what)
    studies = dict.fromkeys(name.partition("/")[0] for name in ids)
    files = [name for name in sorted(glob.glob(f"{glob.escape(typed)}*")) if name.endswith(".py")]
    return [*(name for name in (*studies, *ids) if name.startswith(typed)), *files]


def _experiments(incomplete: str) -> list[str]:
    return _known("experiments", incomplete)


def _statements(incomplete: str) -> list[str]:
    return _known("statements", incomplete)


def list_(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Ids, globs, studies, files or folders; all that is installed by default."),
    ] = None,
    statements: Annotated[
        bool, typer.Option("--statements", help="List the lemmas and theorems that `verify` checks instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the experiments, with their size and time at each scale, or the statements."""
    from learnability import api, discovery
    from learnability.report import TABLE_WIDTH, listing

    known = discovery.installed()
    for name, why in known.broken.items():
        complain(f"the study {name!r} is left out: {why}")
    experiments, checks = dict(known.experiments), dict(known.statements)
    if names:
        experiments, checks = api.named(names)
    found = list(experiments.values())
    sources = {name: check.source for name, check in checks.items()}
    sizes = {
        experiment.id: {
            scale: {"tasks": size.tasks, "seconds": size.seconds, "seeds": size.seeds, "free": _plain(size.free)}
            for scale, size in experiment.scales.items()
        }
        for experiment in found
    }
    if as_json:
        entries = [{"id": e.id, "title": e.title, "source": e.source, "scales": sizes[e.id]} for e in found]
        print_json(
            {
                "experiments": entries,
                "statements": [{"id": name, "source": source} for name, source in sources.items()],
                "broken": known.broken,
            }
        )
        return
    console = stdout()
    headings = ["statement", "source"]
    rows: Iterable[Sequence[str]] = sources.items()
    if not statements:
        narrow = console.width < TABLE_WIDTH
        scales = list(dict.fromkeys(scale for size in sizes.values() for scale in size))
        headings = ["experiment", "title", *(f"{scale}: tasks, time" for scale in scales)]
        rows = [(e.id, e.title, *_said(sizes[e.id], scales, narrow)) for e in found]
    console.print(listing(headings, rows, console.width))
    if names and not statements:
        for e in found:
            for scale, size in e.scales.items():
                if size.free:
                    told = ", ".join(f"{name}={value}" for name, value in _plain(size.free).items())
                    console.print(f"{e.id} ({scale}): free are {told}", soft_wrap=True, highlight=False)


def _plain(free: Mapping[str, object]) -> dict[str, object]:
    """Free values for JSON and the terminal."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in free.items()}


def _said(sizes: Mapping[str, Mapping[str, Any]], scales: Sequence[str], narrow: bool) -> list[str]:
    """A cell for each scale; where the terminal is narrow all in one."""
    between = " tasks, " if narrow else ", "
    said = {scale: f"{size['tasks']}{between}{duration(size['seconds'])}" for scale, size in sizes.items()}
    if narrow:
        return ["; ".join(f"{scale}: {size}" for scale, size in said.items())]
    return [said.get(scale, "-") for scale in scales]


def run(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Ids, globs, studies, files or folders: symmetry/fig5, 'symmetry/fig*', symmetry, staircase.py.",
            autocompletion=_experiments,
        ),
    ],
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="[smoke|laptop|paper]",
            help="Seconds, minutes on two cores, or the published parameters; your own may have others.",
            autocompletion=lambda incomplete: [s for s in ("smoke", "laptop", "paper") if s.startswith(incomplete)],
            show_default="laptop",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Another value of what is free (`learnability list ID` tells): n=24, or step=0.1,0.2; repeatable.",
        ),
    ] = None,
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
            set=_values(set_ or []),
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
                console.print(answers.headline(result, result.seconds), style="bold")
                console.print(verdict_table(result.guarantees, console.width))
                for path in result.files:
                    console.print(str(path), soft_wrap=True)
                console.print()
        for line in answers.of_run(done, out, seconds, console.width):
            console.print(line, soft_wrap=True)
    failed = any(result.failures or result.recorded.differs for result in done)
    if failed or (strict and violated(guarantees)):
        raise typer.Exit(1)


def _values(settings: Sequence[str]) -> dict[str, str]:
    """What ``--set`` says, as text: what it means is for the default of each value to say."""
    values: dict[str, str] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip() or not text.strip():
            raise typer.BadParameter(f"--set must be NAME=VALUE, for instance n=24, got {setting!r}")
        if name.strip() in values:
            raise typer.BadParameter(f"--set must name a value once, got {name.strip()} twice")
        values[name.strip()] = text.strip()
    return values


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Statements, globs, studies, files or folders; all that is installed by default.",
            autocompletion=_statements,
        ),
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
    from learnability.report import write_report
    from learnability.sections import read_sections
    from learnability.theory.guarantee import counts

    sections, unreadable = read_sections(out)
    page, markdown = write_report(Path(out), sections, unreadable)
    for line in unreadable:
        complain(line)
    verdicts = counts(g["verdict"] for section in sections for g in section.guarantees)
    if as_json:
        entries = [{**s.manifest, "guarantees": list(s.guarantees)} for s in sections]
        found = {"report": str(page), "markdown": str(markdown), "experiments": entries, "unreadable": unreadable}
        print_json(found)
    else:
        failed = sum(len(section.manifest["failures"]) for section in sections)
        stdout().print(
            f"{len(sections)} {'result' if len(sections) == 1 else 'results'}: {verdicts}"
            f"{f', {failed} failed' if failed else ''}\n{page}\n{markdown}",
            soft_wrap=True,
            highlight=False,
        )
    if unreadable or (strict and any(section.failed for section in sections)):
        raise typer.Exit(1)
