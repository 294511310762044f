"""kill -9 of workers, local ones and Dask's, at random times; cells that kill whatever computes them.

A killed worker costs what it had in hand. A cell that kills its worker once is computed by another; one that always
does is the only one that fails, by name, after a bounded number of tries.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psutil

from tools.survive.cluster import Cluster, kill
from tools.survive.desk import Desk, Sweep, Tally, Trial
from tools.survive.processes import Process, family

SIZES = {"full": (60, 40, 5), "short": (1, 0, 1)}
"""Local workers that are killed, Dask workers, and runs with a deadly cell."""
SWEEP = Sweep(cells=40, pause=0.05, workers=2)
TRIES = 20
"""Times that a deadly cell may be tried."""


def tried(desk: Desk) -> Iterator[Tally]:
    """The blows."""
    local, remote, deadly = desk.size(SIZES)
    yield _killed_here(desk, local)
    if remote:
        yield _killed_there(desk, remote)
        yield _stopped_here(desk, deadly)
    fates = {"once": "a cell that kills its first worker", "dies": "a cell that kills every worker"}
    for fate, what in list(fates.items())[0 if remote else 1 :]:
        tally = Tally("workers", f"{what}, 2 local workers")
        for _ in range(deadly):
            sweep = replace(SWEEP, fate=fate, bad=7)
            with desk.trial(sweep) as trial:
                tally.count(deadly_run(trial, trial.started(), tally))
        yield tally
        if not remote:
            continue
        tally = Tally("workers", f"{what}, 2 Dask workers with nannies")
        for _ in range(deadly):
            with desk.trial(sweep) as trial, Cluster(trial, 2, nannies=True) as cluster:
                tally.count(deadly_run(trial, trial.fresh(cluster.sweep()), tally))
        yield tally


def deadly_run(trial: Trial, process: Process, tally: Tally) -> list[str]:
    """What is wrong with a run in which a cell kills its worker, once or always."""
    sweep = trial.sweep
    ended = process.wait()
    tally.again = max(tally.again, trial.finished() - sweep.tasks)
    if sweep.fate == "once":
        return trial.wrong(ended)
    if ended.hung or "Traceback" in ended.err or ended.status != 1 or not ended.out:
        return [ended.complaint or f"status {ended.status}: {ended.err.strip()[-200:]}"]
    (told,) = json.loads(ended.out)["experiments"]
    if told["tasks"]["failed"] != 1:
        return [f"{told['tasks']['failed']} tasks failed, not one"]
    if not any(f"cell={sweep.bad}," in line and "seed 0" in line for line in told["failures"]):
        return [f"the cell is not named: {told['failures'][:1]}"]
    begun = trial.told.read_bytes().count(b"(") - trial.finished()
    return [] if begun <= TRIES else [f"the deadly cell was tried {begun} times"]


def _killed_here(desk: Desk, count: int) -> Tally:
    tally = Tally("workers", "a local worker of 2, at a random time")
    draw, hit = desk.random("workers here"), 0
    for _ in range(count):
        with desk.trial(SWEEP) as trial:
            process = trial.started()
            if not (found := _local(process)):
                tally.count(["no worker was found"])
                continue
            time.sleep(draw.uniform(0, 3.0))
            if process.status is None and (found := _local(process)):
                draw.choice(found).kill()
                hit += 1
            tally.count(trial.again(tally, process))
    tally.note = f"{hit} of them before the run's end"
    return tally


def _stopped_here(desk: Desk, count: int) -> Tally:
    tally = Tally("workers", "a local worker of 2, stopped for 5 s (SIGSTOP)")
    draw = desk.random("stopped here")
    for _ in range(count):
        with desk.trial(SWEEP) as trial:
            process = trial.fresh()
            if not (found := _local(process)):
                tally.count(["no worker was found"])
                continue
            time.sleep(draw.uniform(0, 2.0))
            one = draw.choice(found)
            with suppress(psutil.Error):
                one.suspend()
            time.sleep(5)
            with suppress(psutil.Error):
                one.resume()
            tally.count(trial.again(tally, process))
    return tally


def _local(process: Process, limit: float = 60.0) -> list[Any]:
    """Its worker processes, as soon as there are some."""
    until = time.monotonic() + limit
    while time.monotonic() < until and process.status is None:
        found = []
        for one in family(process.pid)[:-1]:
            try:
                if "resource_tracker" not in " ".join(one.cmdline()):
                    found.append(one)
            except psutil.Error:
                continue
        if found:
            return found
        time.sleep(0.05)
    return []


def _killed_there(desk: Desk, count: int) -> Tally:
    tally = Tally("workers", "a Dask worker of 2, at a random time")
    draw = desk.random("workers there")
    for _ in range(count):
        with desk.trial(SWEEP) as trial, Cluster(trial) as cluster:
            process = trial.fresh(cluster.sweep())
            time.sleep(draw.uniform(2.0, 6.0))
            kill(draw.choice(cluster.workers))
            tally.count(trial.again(tally, process))
    return tally
