"""kill -9 of the main process: at every file operation, in the middle of every write, and at random times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tools.survive import watched
from tools.survive.desk import Desk, Sweep, Tally
from tools.survive.watched import Watch

SIZES = {"full": (300, 200), "short": (4, 0)}
"""Kills at operations and at random times."""
SWEEP = Sweep(pause=0.25)
"""Nine seconds of cells that only sleep, on a clock that runs ahead: several batches in no time."""


def operations(desk: Desk, sweep: Sweep = SWEEP) -> tuple[int, list[watched.Event]]:
    """How many file operations a quiet run takes, and what they are."""
    with desk.trial(sweep) as trial:
        journal = trial.place / "journal"
        trial.forked(Watch(str(trial.out), journal=str(journal), tally=str(trial.told), ahead=True)).wait()
        return watched.read(Path(journal))


def tried(desk: Desk) -> Iterator[Tally]:
    """The blows."""
    at_operations, at_times = desk.size(SIZES)
    count, _ = operations(desk)
    tally = Tally("kill -9", "at a file operation", note=f"a quiet run has {count}")
    numbers = range(1, count + 1)
    draw = desk.random("kills")
    chosen = sorted(draw.sample(numbers, min(count, at_operations)))
    chosen += draw.choices(numbers, k=max(at_operations - len(chosen), 0))
    for number in chosen:
        with desk.trial(SWEEP) as trial:
            ended = trial.forked(Watch(str(trial.out), end_at=number, ahead=True)).wait()
            if ended.status != -9:
                tally.count([f"it was not killed: {ended.status} {ended.err[-200:]}"])
                continue
            tally.count(trial.again(tally))
    yield tally
    for workers in (1, 2, 4) if at_times else ():
        yield _at_times(desk, Sweep(cells=20, pause=0.05, workers=workers), -(-at_times // 3))


def _at_times(desk: Desk, sweep: Sweep, count: int) -> Tally:
    """Killed at a random time of a run that takes as long as its cells say."""
    tally = Tally("kill -9", f"at a random time, {sweep.workers} worker{'s' * (sweep.workers > 1)}")
    longest = 0.0
    with desk.trial(sweep) as trial:  # how long it takes when nothing happens
        longest = trial.fresh().wait().seconds
    draw = desk.random("kills", sweep.workers)
    for _ in range(count):
        with desk.trial(sweep) as trial:
            process = trial.fresh()
            time.sleep(draw.uniform(0, longest))
            process.signal(9)
            process.wait()
            tally.count(trial.again(tally))
    return tally
