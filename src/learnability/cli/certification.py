"""``learnability certify``: the theorems on separable data, for anyone's data."""

from __future__ import annotations

import shlex
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from learnability.cli.options import DEFAULT_OUT, Json, Strict, Verbose
from learnability.cli.spelling import character, options_in_errors
from learnability.cli.terminal import duration, print_json, progress, stdout, stoppable, violated

if TYPE_CHECKING:
    from rich.console import Console

    from learnability.api import Certification
    from learnability.datasets.examples import Examples

__all__ = ["certify"]


def certify(
    file: Annotated[
        str,
        typer.Argument(
            help="A row an example: .csv, .tsv, .txt (also .gz, .bz2, .xz, .zst), .parquet, .npz, .npy, .libsvm."
        ),
    ],
    label: Annotated[
        str | None,
        typer.Option(help="The column (in NPZ the array) of the labels.", show_default="needed, but for libsvm"),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="The label that counts as +1, against all others.",
            show_default="the larger of two; each in turn, if there are more",
        ),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column to leave out; may be given again.")
    ] = None,
    drop_missing: Annotated[
        bool, typer.Option("--drop-missing", help="Leave out rows in which a value is missing.")
    ] = False,
    one_hot: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="A column of categories, to become a column of 0 and 1 for each of its values; may be given again.",
        ),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            metavar="CHARACTER",
            help="Between fields of text; also tab, space, comma, semicolon.",
            show_default="what fits the file",
        ),
    ] = None,
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            help="Whether the first line of text has the names of columns; without them they are 1, 2, ...",
            show_default="it has, unless they are numbers",
        ),
    ] = None,
    decimal: Annotated[str, typer.Option(metavar="[point|comma]", help="What numbers in text have.")] = "point",
    thousands: Annotated[
        str,
        typer.Option(metavar="[none|comma|point|space|']", help="Between thousands of numbers in text."),
    ] = "none",
    quote: Annotated[
        str, typer.Option(metavar="[\"|'|none]", help="What encloses fields of text with separators in them.")
    ] = '"',
    memory: Annotated[
        float | None,
        typer.Option(metavar="BYTES", help="What reading may take.", show_default="half of what is available"),
    ] = None,
    width: Annotated[
        list[int] | None,
        typer.Option(
            help="Hidden units 2k, even, 2 to 20000. One: a tenth and ten times of it are run beside it; "
            "several (--width 2 --width 50): these.",
            show_default="10, 100 and 1000",
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
    budget: Annotated[
        float, typer.Option(help="What SGD may cost, in billions of multiply-adds, over all classes.")
    ] = 300.0,
    out: Annotated[str, typer.Option("--out", help="Folder for figure, JSON and verdicts.")] = DEFAULT_OUT,
    strict: Strict = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """What the theorems on separable data promise for your own data, next to what SGD does on them.

    The answer is whether the data are separable and by how much, how many updates SGD needed against what is
    promised, and what is promised for the error; every bound is in the output folder and under --verbose. With more
    than two labels there is an answer for each of them against the others.
    """
    from learnability import api
    from learnability.datasets.source import Reading
    from learnability.datasets.table import read_examples

    # One width alone is the middle of three; several are taken as they are.
    widths = width[0] if width and len(width) == 1 else width or None
    options: dict[str, Any] = {
        "width": widths, "slope": slope, "step": step, "delta": delta, "scale": scale, "bias": bias,
        "test": test, "repeats": repeats, "seed": seed, "budget": budget,
    }  # fmt: skip
    start = time.perf_counter()
    with options_in_errors():
        api.certify_options(**options)  # before a large file is read
        reading = Reading(
            drop=tuple(drop or ()), drop_missing=drop_missing, one_hot=tuple(one_hot or ()), header=header,
            separator=character(separator), decimal=character(decimal) or "", thousands=character(thousands) or "",
            quote=character(quote) or "",
        )  # fmt: skip
        command = f"learnability {shlex.join(sys.argv[1:])}"
        with stoppable("nothing was kept"):
            found = read_examples(file, label, reading, memory=memory)
        if positive is None and len(found.values) > 2:
            bad = _each(found, start, out, verbose, as_json, command=command, **options)
        else:
            with stoppable("nothing was kept"), progress("parts") as advance:
                data = found.table(positive)
                done = api.certify_data(data, out=out, command=command, on_progress=advance, **options)
            seconds = time.perf_counter() - start
            if as_json:
                print_json({**done.to_json(), "seconds": seconds})
            else:
                _show(stdout(), done, seconds, verbose)
            bad = violated(done.guarantees)
    if strict and bad:
        raise typer.Exit(1)


def _each(found: Examples, start: float, out: str, verbose: bool, as_json: bool, **options: Any) -> bool:
    """Every class against the others: a summary and a page for each, or all of them as JSON. Is anything violated?

    Of a finished class no more is kept than what is shown: the examples are in memory once, not once a class.
    """
    from learnability import api, shown
    from learnability.certification.result import plain

    bad = False
    plainly: list[dict[str, Any]] = []
    rows: list[tuple[str, ...]] = [_HEADINGS]
    pages: list[str] = []
    console = stdout()
    with stoppable(f"classes that were finished are kept in {out}"), progress("classes") as advance:
        before = time.perf_counter()
        for value, done in api.certify_classes(found, out=out, on_progress=advance, **options):
            now = time.perf_counter()
            bad |= violated(done.guarantees)
            if as_json:
                plainly.append({"positive": plain(value), **done.to_json()})
            else:
                rows.append(_row(value, done))
                with console.capture() as page:
                    console.print(f"\n{shown.quoted(value, 60)} against the rest", soft_wrap=True)
                    _show(console, done, now - before, verbose)
                pages.append(page.get())
            before = now
    seconds = time.perf_counter() - start
    source, label = shown.line(found.origin), shown.line(found.label)
    if as_json:
        print_json({"source": source, "label": label, "classes": plainly, "seconds": seconds})
        return bad
    number, features = len(found.values), found.X.shape[1]
    size = f"{len(found.X):,} examples, {features:,} features; {duration(seconds)}"
    widths = [max(map(len, column)) for column in zip(*rows)]
    print(f"{source}: {number} values of {label}, each against the rest ({size})")
    for row in rows:
        print("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths)).rstrip())
    print("".join(pages), end="")
    return bad


_HEADINGS = ("class", "examples", "separable", "margin", "error promised", "test says")


def _row(value: object, done: Certification) -> tuple[str, ...]:
    """A class in the summary."""
    from learnability import shown
    from learnability.certification.statements import at_most

    bounds = (
        f"<= {at_most(bound)}" if bound is not None else "-" for bound in (done.error_bound, done.holdout_bound)
    )
    margin = f"{done.margin:.4g}" if done.separable else "-"
    return shown.quoted(value, 24), f"{done.counts[1]:,}", "yes" if done.separable else "no", margin, *bounds


def _show(console: Console, done: Certification, seconds: float, verbose: bool) -> None:
    """The answer; before it, if asked for, everything."""
    from learnability.cli import answers
    from learnability.report import TABLE_WIDTH, verdict_table

    if verbose:
        from learnability.certification.statements import is_vacuous
        from learnability.certification.terminal import page

        verdicts = verdict_table(done.guarantees, console.width)
        for part in page(done, verdicts, narrow=console.width < TABLE_WIDTH):
            console.print(part)
        vacuous = sum(g.verdict == "holds" and is_vacuous(g) for g in done.guarantees)
        if vacuous:
            console.print(f"{vacuous} of those that hold are vacuous: an error is never above 1")
    for line in answers.of_certification(done, seconds, console.width):
        console.print(line, soft_wrap=True)
