"""As a group would: thousands of cells on an external scheduler, where a week brings all of it.

Two workers, of which one is killed; one of another version joins late; the main process is killed twice. It ends in
the same table, verdicts and figure as a quiet run, and the stranger has computed nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from tools.survive.cluster import Cluster, kill, stranger
from tools.survive.desk import Desk, Sweep, Tally, Trial
from tools.survive.processes import Process

SWEEP = Sweep(work=100_000, rows=2, seeds=5)
"""Cells of about 10 ms of computing."""
LIMIT = 3600.0
"""Seconds that any part of it may take."""


def tried(desk: Desk) -> Iterator[Tally]:
    """The trial."""
    sweep = replace(SWEEP, cells=(60 if desk.form == "short" else desk.cells) // SWEEP.seeds)
    tally = Tally("group", f"{sweep.tasks:,} cells on a cluster: worker, stranger, main process twice")
    with desk.trial(sweep) as trial, Cluster(trial) as cluster:
        process = trial.started(cluster.sweep())
        _until(trial, process, 0.2)
        kill(cluster.workers[0])
        cluster.start_workers(1)
        _until(trial, process, 0.4)
        process.signal(9)
        process.wait()
        process = trial.started(cluster.sweep())
        _until(trial, process, 0.5)
        cluster.start_workers(1, stranger(trial))
        _until(trial, process, 0.7)
        process.signal(9)
        process.wait()
        process = trial.started(cluster.sweep())
        process.wait(LIMIT)
        faults = trial.again(tally, process)
        strange = trial.place / "strange"
        if strange.exists() and strange.read_bytes():
            faults.append(f"the stranger computed {strange.read_bytes().count(b'(')} cells")
        tally.count(faults)
    yield tally


def _until(trial: Trial, process: Process, share: float) -> None:
    """Wait until so much is finished, or the run has ended."""
    until = time.monotonic() + LIMIT
    while trial.finished() < share * trial.sweep.tasks and process.status is None and time.monotonic() < until:
        time.sleep(0.05)
