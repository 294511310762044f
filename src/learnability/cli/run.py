"""``learnability run``: figures, tables and verdicts; what they would take; and how a batch system shares them."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from learnability.cli.options import DEFAULT_OUT, Json, Out, Strict, Verbose
from learnability.cli.terminal import aside, print_json, progress, stdout, stoppable, violated, warnings_on_stderr

if TYPE_CHECKING:
    from learnability.api import Result

__all__ = ["experiments", "run"]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def experiments(incomplete: str) -> list[str]:
    """Experiments that begin with what was typed, for the shell to complete."""
    from learnability.cli.laboratory import beginning

    return beginning("experiments", incomplete)


def run(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Ids, globs, studies, files or folders: symmetry/fig5, 'symmetry/fig*', symmetry, staircase.py.",
            autocompletion=experiments,
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
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler to use instead; it is trusted.")
    ] = None,
    out: Out = DEFAULT_OUT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much there is to do, and run nothing.")] = False,
    time_limit: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Stop after 90 (seconds), 30m, 2h or 1h30m and say what is missing; the same command goes on.",
        ),
    ] = None,
    task_timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Give up a task that takes longer: it has failed.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what has failed before; it is left as it is otherwise.")
    ] = False,
    part: Annotated[
        str | None,
        typer.Option(metavar="i/N", help="Do the i-th of N shares only, beside processes that do the others."),
    ] = None,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Print a Slurm job array that does it in parts, and run nothing.")
    ] = False,
    parts: Annotated[
        int | None, typer.Option(help="With --slurm: how many.", show_default="one for each hour of work")
    ] = None,
    strict: Strict = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Run experiments, or whatever of them is not finished: figures, tables and verdicts.

    The answer is how many claims hold and which do not; every claim is in the output folder and under --verbose.
    Ctrl-C (exit status 130) and SIGTERM (143) keep the finished tasks; the same command does the rest. A run that
    --part or --time-limit leaves unfinished has status 0: its figure and claims are of the complete cells.
    """
    from learnability import api

    if slurm and (part is not None or scheduler is not None or dry_run):
        raise typer.BadParameter("--slurm makes the parts itself: it goes without --part, --scheduler and --dry-run")
    if parts is not None and not slurm:
        raise typer.BadParameter("--parts belongs to --slurm; one share is run by --part i/N")
    wishes: dict[str, Any] = {
        "scale": scale,
        "seeds": seeds,
        "set": values(set_ or []),
        "workers": workers,
        "out": out,
        "part": part,
        "time_limit": seconds_of("--time-limit", time_limit),
        "task_timeout": seconds_of("--task-timeout", task_timeout),
        "retry_failed": retry_failed,
    }
    if dry_run or slurm:
        with warnings_on_stderr(), aside():
            estimates = api.estimate(names, **wishes)
        if slurm:
            from learnability.cli.slurm import job_array

            job = job_array(names, estimates, parts, wishes, set_ or [])
            print_json(job) if as_json else print(job["script"], end="")
        else:
            _tell(estimates, workers, as_json)
        return
    start = time.perf_counter()
    kept = f"finished tasks are kept in {out}; the same command does the rest"
    with stoppable(kept), warnings_on_stderr(), aside(), progress("tasks") as advance:
        done = api.run_many(names, **wishes, scheduler=scheduler, on_progress=advance, light=True)
    _answer(done, out, time.perf_counter() - start, verbose, as_json)
    guarantees = [g for result in done for g in result.guarantees]
    failed = any(result.failures or result.recorded.differs for result in done)
    if failed or (strict and violated(guarantees)):
        raise typer.Exit(1)


def _answer(done: list[Result], out: str, seconds: float, verbose: bool, as_json: bool) -> None:
    if as_json:
        print_json({"experiments": [result.to_json() for result in done], "seconds": seconds})
        return
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


def _tell(estimates: Sequence[Any], workers: int | None, as_json: bool) -> None:
    """What a run would do."""
    from learnability.api import usual_workers
    from learnability.cli import answers

    total = sum(one.seconds for one in estimates)
    count = usual_workers(workers, total)
    wall = max([total / count, *(one.longest for one in estimates)])
    if as_json:
        found = [one.to_json() for one in estimates]
        print_json({"dry_run": True, "experiments": found, "workers": count, "seconds": wall})
        return
    for line in answers.of_estimates(estimates, count, wall):
        stdout().print(line, soft_wrap=True, highlight=False)


def seconds_of(option: str, text: str | None) -> float | None:
    """Seconds from ``90``, ``30m``, ``2h`` or ``1h30m``."""
    if text is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text, re.ASCII)
    if re.fullmatch(r"\d+(?:\.\d+)?", text, re.ASCII):
        parts = [(text, "s")]
    if "".join(number + unit for number, unit in parts) not in (text, f"{text}s"):
        parts = []
    found = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < found < 1e9:
        raise typer.BadParameter(f"{option} must be a time > 0, such as 90, 30m, 2h or 1h30m, got {text!r}")
    return found


def values(settings: Sequence[str]) -> dict[str, str]:
    """What ``--set`` says, as text: what it means is for the default of each value to say."""
    found: dict[str, str] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip() or not text.strip():
            raise typer.BadParameter(f"--set must be NAME=VALUE, for instance n=24, got {setting!r}")
        if name.strip() in found:
            raise typer.BadParameter(f"--set must name a value once, got {name.strip()} twice")
        found[name.strip()] = text.strip()
    return found
