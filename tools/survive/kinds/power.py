"""Power cuts: the folder as a disk may hold it if the power goes after any operation, what was not synced lost.

A run writes down what it does to its folder. From that follows what a disk may hold after each operation: for certain
what was synced, contents and names, and of the rest nothing, names without contents, halves, zeros, or some of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from tools.survive.desk import Desk, Lasting, Sweep, Tally
from tools.survive.disk import WORST, Disk
from tools.survive.kinds.kills import operations
from tools.survive.watched import Event

SIZES = {"full": (50,), "short": (1,)}
"""Moments, at each of which the power goes with every sort of loss; in the short form two sorts."""
SWEEP = Sweep(pause=0.25)


def tried(desk: Desk) -> Iterator[Tally]:
    """The blows."""
    _, events = operations(desk, SWEEP)
    moments = [number for number, event in enumerate(events, 1) if event[0] != "cell"]
    root = next(event[1] for event in events if event[0] == "mkdir")
    losses = WORST if desk.form == "full" else (WORST[0], WORST[-1])
    tallies = {what: Tally("power cut", what) for what in losses}
    batch = largest(events)
    (count,) = desk.size(SIZES)
    chosen = sorted(desk.random("power").sample(moments, min(count, len(moments))))
    if desk.form == "full":
        chosen[-1] = moments[-1]  # after the last, everything must be there
    with desk.trial(SWEEP) as trial:
        played(root, events).write(trial.out, "all", desk.random())
        if wrong := desk.quiet(SWEEP).differences(Lasting.of(trial.out)):
            raise RuntimeError(f"the journal is not all that was done: {wrong}")
    for moment in chosen:
        done = sum(event == ("cell", b")") for event in events[:moment])
        for what, tally in tallies.items():
            with desk.trial(SWEEP) as trial:
                played(root, events[:moment]).write(trial.out, what, desk.random("power", moment, what))
                faults = trial.again(tally)
                lost = trial.finished() - (SWEEP.tasks - done)
                tally.again = max(tally.again, lost)
                if lost > batch:
                    faults.insert(0, "more is lost than the batch in hand")
                tally.count(faults)
    for tally in tallies.values():
        tally.note = f"the batch in hand: at most {batch}"
        yield tally


def played(root: str, events: Sequence[Event]) -> Disk:
    """The disk after these operations."""
    disk = Disk(root)
    for event in events:
        disk.play(event)
    return disk


def largest(events: Sequence[Event]) -> int:
    """How many cells are ended, at most, from the first byte of one batch to the first of the next but one.

    That is what can be in hand: a batch that is being written, and what has been computed since.
    """
    commits, ended = [0], 0
    for event in events:
        ended += event == ("cell", b")")
        if event[0] == "rename" and event[2] and "/tasks/" in event[2] and event[2].endswith(".json"):
            commits.append(ended)
    return max((after - before for before, after in pairwise([*commits, ended])), default=0)
