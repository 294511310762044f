"""Disk full: at every size from nothing to what a run needs, by refused writes and, as root, on a real small disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.survive.desk import Desk, Sweep, Tally, Trial
from tools.survive.kinds.kills import operations
from tools.survive.processes import Ended
from tools.survive.watched import Watch

SIZES = {"full": (100, 60), "short": (2, 0)}
"""Sizes of which a write is refused, and sizes of a disk of memory."""
SWEEP = Sweep(pause=0.25)


def tried(desk: Desk) -> Iterator[Tally]:
    """The blows."""
    refused, disks = desk.size(SIZES)
    _, events = operations(desk, SWEEP)
    total = sum(len(event[3]) for event in events if event[0] == "write") * 98 // 100  # times have fewer digits now
    tally = Tally("disk full", "writes refused after so many bytes", note=f"a run writes some {total:,} bytes")
    draw = desk.random("full")
    rooms = [draw.randrange(total), 0, total, *(draw.randrange(total) for _ in range(refused))]
    for room in rooms[:refused]:
        with desk.trial(SWEEP) as trial:
            ended = trial.forked(Watch(str(trial.out), room=room, ahead=True)).wait()
            tally.count(_told(ended) + trial.again(tally))
    yield tally
    if disks and not (sys.platform == "linux" and os.geteuid() == 0):
        yield Tally("disk full", "a disk of memory", note="needs root")
    elif disks:
        yield from (_on_disks(desk, what, disks) for what in ("size", "nr_inodes"))


def _on_disks(desk: Desk, what: str, count: int) -> Tally:
    """Runs on disks of so many KiB or files, which are enlarged then."""
    tally = Tally("disk full", "a disk of memory" + (" with room for few files" if what == "nr_inodes" else ""))
    for number in range(1, count + 1):
        small = f"{4 * number}k" if what == "size" else str(number + 1)
        with desk.trial(SWEEP) as trial, _Mounted(trial, f"{what}={small}"):
            ended = trial.forked(Watch("/nowhere", ahead=True)).wait()
            enough = ended.status == 0
            _mount(trial.out, f"remount,{what}={'64m' if what == 'size' else 100_000}")
            tally.count(([] if enough else _told(ended)) + trial.again(tally))
    return tally


class _Mounted:
    """A disk of memory in the place of a trial's output."""

    def __init__(self, trial: Trial, options: str) -> None:
        self.place, self.options = trial.out, options

    def __enter__(self) -> None:
        self.place.mkdir()
        _mount(self.place, self.options)

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self.place)], check=True)


def _mount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)


def _told(ended: Ended) -> list[str]:
    """What is wrong with how a run says that its disk is full: status 1, or 2 before any work, and a line."""
    if ended.complaint:
        return [ended.complaint]
    if ended.status not in (1, 2):
        return [f"status {ended.status} on a full disk: {ended.err.strip()[-200:]}"]
    said = ended.err.lower()
    return [] if "no space" in said else [f"a full disk is not named: {ended.err.strip().splitlines()[-1:]}"]
