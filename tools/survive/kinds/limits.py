"""Limits of time: a stuck cell is ended by name and stops no other; a run that stops early goes on from there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import psutil

from tools.survive.cluster import Cluster
from tools.survive.desk import Desk, Sweep, Tally, Trial
from tools.survive.processes import Process, family

SIZES = {"full": (5, 10), "short": (1, 0)}
"""Runs with a stuck cell, and runs that stop early."""
SWEEP = Sweep(cells=20, pause=0.05, workers=2)


def tried(desk: Desk) -> Iterator[Tally]:
    """The blows."""
    stuck, early = desk.size(SIZES)
    for where in ("1 worker", "2 workers", "2 Dask workers") if desk.form == "full" else ("2 workers",):
        workers = int(where[0]) if "Dask" not in where else 1
        sweep = replace(SWEEP, fate="hangs", bad=3, workers=workers, more=("--task-timeout", "2s"))
        tally = Tally("limits", f"a cell that hangs, --task-timeout 2s, {where}")
        for _ in range(stuck):
            with desk.trial(sweep) as trial, ExitStack() as stack:
                cluster = stack.enter_context(Cluster(trial)) if "Dask" in where else None
                tally.count(_ended_by_name(trial, trial.started(cluster and cluster.sweep()), tally))
        yield tally
    for workers in (1, 2) if early else ():
        tally = Tally("limits", f"--time-limit that ends a run early, {workers} worker{'s' * (workers > 1)}")
        for number in range(early):
            sweep = replace(SWEEP, workers=workers)
            with desk.trial(sweep) as trial:
                seconds = desk.random("limits", workers, number).uniform(0.5, 4.0 / workers)
                limited = replace(sweep, more=("--time-limit", f"{seconds:.2f}s"))
                tally.count(_stopped(trial, trial.started(limited)) + trial.again(tally))
        yield tally


def _ended_by_name(trial: Trial, process: Process, tally: Tally) -> list[str]:
    """What is wrong with a run in which one cell hangs."""
    ended = process.wait()
    tally.again = max(tally.again, trial.finished() - trial.sweep.tasks + 1)
    if ended.hung or "Traceback" in ended.err or ended.status != 1 or not ended.out:
        return [ended.complaint or f"status {ended.status}: {ended.err.strip()[-200:]}"]
    (told,) = json.loads(ended.out)["experiments"]
    if told["tasks"]["failed"] != 1 or told["tasks"]["run"] != trial.sweep.tasks - 1:
        return [f"tasks: {told['tasks']}"]
    if not any(f"cell={trial.sweep.bad}," in line and "limit" in line for line in told["failures"]):
        return [f"the cell or the limit is not named: {told['failures'][:1]}"]
    return []


def _stopped(trial: Trial, process: Process) -> list[str]:
    """What is wrong with a run that was to stop early, or to be done before."""
    known = family(process.pid)
    ended = process.wait()
    if ended.complaint or ended.status != 0 or not ended.out:
        return [ended.complaint or f"status {ended.status}: {ended.err.strip()[-200:]}"]
    (told,) = json.loads(ended.out)["experiments"]
    done = told["tasks"]["run"] + told["tasks"]["cached"]
    if (done < trial.sweep.tasks) != bool(told["unfinished"]):
        return [f"{done} tasks are done, and unfinished is {told['unfinished']}"]
    left = psutil.wait_procs(known, timeout=5)[1]
    return ["a process is left"] if left else []
