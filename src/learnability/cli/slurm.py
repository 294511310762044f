"""A Slurm job array that does a run in parts: independent jobs, with nothing to lose but one share."""

from __future__ import annotations

import math
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from learnability import checks
from learnability.errors import RequestError

if TYPE_CHECKING:
    from learnability.runner import Estimate

__all__ = ["job_array"]

_HOUR, _LEAST, _MOST = 3600.0, 600.0, 1000
"""Seconds of work that a part is given where nobody says how many; least seconds asked for; most parts (Slurm allows
arrays of 1,001 where nothing else is set)."""
_SLACK = 3
"""Asked for is that many times the expected time and memory: nodes differ, and estimates err."""


def job_array(
    names: Sequence[str],
    estimates: Sequence[Estimate],
    parts: int | None,
    wishes: Mapping[str, Any],
    set_: Sequence[str],
) -> dict[str, Any]:
    """The script, and the commands that submit it and draw the figure at its end."""
    tasks = sum(one.tasks["run"] for one in estimates)
    work = sum(one.seconds for one in estimates)
    if not tasks:
        raise RequestError("there is nothing to run: every task is finished, or has failed (--retry-failed)")
    if parts is None:
        parts = min(math.ceil(work / _HOUR), _MOST, tasks)
    parts = checks.integer("parts", parts, at_least=1)
    out = os.path.abspath(wishes["out"])
    for text in (*names, *set_, out, os.getcwd(), sys.executable):
        if not text.isprintable():  # a line break ends the comment that the text stands in: bash would run the rest
            raise RequestError(f"what stands in a Slurm script must be of characters that print, got {text!r}")
    common = ["run", *names, "--out", out]
    for option in ("scale", "seeds"):
        if wishes[option] is not None:
            common += [f"--{option}", str(wishes[option])]
    for setting in set_:
        common += ["--set", setting]
    timeout, limit = wishes["task_timeout"], wishes["time_limit"]
    if timeout is not None:  # the job at the end does what is left where a part died, and must not be stuck there
        common += ["--task-timeout", f"{timeout:g}s"]
    share = [*common, "--workers", str(wishes["workers"] or 1)]
    if limit is not None:
        share += ["--time-limit", f"{limit:g}s"]
    if wishes["retry_failed"]:
        share.append("--retry-failed")
    program = f"{shlex.quote(sys.executable)} -m learnability"
    each = max(_SLACK * max(work / parts, *(one.longest for one in estimates)), _LEAST)
    seconds = math.ceil(limit + _LEAST if limit is not None else each)
    memory = max((one.memory for one in estimates if one.memory is not None), default=None)
    asked = 4096 if memory is None else max(math.ceil(_SLACK * memory / 2**20), 1024)
    measured = "" if memory is not None else "  # no task has been measured yet: a guess"
    finish = f"{program} {shlex.join([*common, '--workers', '1'])}"
    wrapped = f"cd {shlex.quote(os.getcwd())} && {finish}"
    submit = [
        "job=$(sbatch --parsable sweep.sh)",
        f"sbatch --dependency=afterany:$job --time=30 --mem={asked}M --wrap={shlex.quote(wrapped)}",
    ]
    script = "\n".join([
        "#!/bin/bash",
        f"# Tasks: {tasks:,}; parts: {parts:,}. Save this as sweep.sh, submit it, and with it the job that draws the",
        "# figure when all parts have ended (and does what a part that died has left):",
        *(f"#   {line}" for line in submit),
        "# Submitting it again does what is missing.",
        "#SBATCH --job-name=learnability",
        f"#SBATCH --array=1-{parts}",
        f"#SBATCH --cpus-per-task={wishes['workers'] or 1}",
        f"#SBATCH --mem={asked * (wishes['workers'] or 1)}M{measured}",
        f"#SBATCH --time={_clock(seconds)}",
        "#SBATCH --output=learnability-%A_%a.log",
        f"cd {shlex.quote(os.getcwd())} || exit 1",
        f'exec {program} {shlex.join(share)} --part "$SLURM_ARRAY_TASK_ID/{parts}"',
        "",
    ])  # fmt: skip
    return {"script": script, "parts": parts, "submit": submit, "finish": finish}


def _clock(seconds: int) -> str:
    """Days, hours, minutes and seconds, as Slurm reads them."""
    days, rest = divmod(seconds, 86400)
    return f"{days}-{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
