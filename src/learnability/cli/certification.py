"""``learnability certify``: the theorems on separable data, for anyone's data."""

from __future__ import annotations

import shlex
import sys
import time
from typing import Annotated, Any

import typer

from learnability.cli.options import DEFAULT_OUT, Json, Strict, Verbose
from learnability.cli.terminal import print_json, progress, stdout, stoppable, violated

__all__ = ["certify"]


def certify(
    file: Annotated[str, typer.Argument(help="A .csv, .parquet or .npz file: a row an example, numbers only.")],
    label: Annotated[str, typer.Option(help="The column (in NPZ the array) of the labels, of two values.")],
    positive: Annotated[
        str | None, typer.Option(help="The label that counts as +1.", show_default="the larger one")
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
    budget: Annotated[float, typer.Option(help="What SGD may cost, in billions of multiply-adds.")] = 300.0,
    out: Annotated[str, typer.Option("--out", help="Folder for figure, JSON and verdicts.")] = DEFAULT_OUT,
    strict: Strict = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """What the theorems on separable data promise for your own data, next to what SGD does on them.

    The answer is whether the data are separable and by how much, how many updates SGD needed against what is
    promised, and what is promised for the error; every bound is in the output folder and under --verbose.
    """
    from learnability import api
    from learnability.datasets import read_table

    # One width alone is the middle of three; several are taken as they are.
    widths = width[0] if width and len(width) == 1 else width or None
    options: dict[str, Any] = {
        "width": widths, "slope": slope, "step": step, "delta": delta, "scale": scale, "bias": bias,
        "test": test, "repeats": repeats, "seed": seed, "budget": budget,
    }  # fmt: skip
    api.certify_options(**options)  # before a large file is read
    start = time.perf_counter()
    with stoppable("nothing was kept"), progress("parts") as advance:
        done = api.certify_data(
            read_table(file, label, positive=positive),
            out=out,
            command=f"learnability {shlex.join(sys.argv[1:])}",
            on_progress=advance,
            **options,
        )
    seconds = time.perf_counter() - start
    if as_json:
        print_json({**done.to_json(), "seconds": seconds})
    else:
        from learnability.cli import answers
        from learnability.report import TABLE_WIDTH, verdict_table

        console = stdout()
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
    if strict and violated(done.guarantees):
        raise typer.Exit(1)
