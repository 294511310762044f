"""``learnability list | verify | report``: experiments, statements, and what is kept of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from learnability.cli.options import DEFAULT_OUT, Json, Out, Strict, Verbose
from learnability.cli.terminal import (
    aside,
    complain,
    duration,
    print_json,
    progress,
    stdout,
    stoppable,
    violated,
    warnings_on_stderr,
)

__all__ = ["beginning", "list_", "report", "verify"]


def beginning(what: str, typed: str) -> list[str]:
    """Ids and studies that begin with what was typed, for the shell to complete."""
    import glob

    from learnability import discovery

    ids = getattr(discovery.installed(), what)
    studies = dict.fromkeys(name.partition("/")[0] for name in ids)
    files = [name for name in sorted(glob.glob(f"{glob.escape(typed)}*")) if name.endswith(".py")]
    return [*(name for name in (*studies, *ids) if name.startswith(typed)), *files]


def _statements(incomplete: str) -> list[str]:
    return beginning("statements", incomplete)


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
    from learnability import api, discovery, extras, shown
    from learnability.report import TABLE_WIDTH, listing

    known = discovery.installed()
    for name, why in known.broken.items():
        complain(f"the study {name!r} is left out: {why}")
    experiments, checks = dict(known.experiments), dict(known.statements)
    if names:
        with aside():
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
    needs = {e.id: e.extras(cell for size in e.scales.values() for cell in size.settings) for e in found}
    if as_json:
        entries = [
            {"id": e.id, "title": e.title, "source": e.source, "scales": sizes[e.id], "needs": needs[e.id]}
            for e in found
        ]
        print_json(
            {
                "experiments": entries,
                "statements": [{"id": id, "source": one.source, "needs": one.needs} for id, one in checks.items()],
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
    if lacking := extras.told({name: check.needs for name, check in checks.items()} if statements else needs):
        complain(lacking)
    if names and not statements:
        for e in found:
            for scale, size in e.scales.items():
                if size.free:
                    told = ", ".join(f"{name}={shown.line(value)}" for name, value in _plain(size.free).items())
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
        aside(),
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
