"""Several processes in one folder: the same command at once, killed or not, and shares of it (``--part``)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

from tools.survive.desk import Desk, Sweep, Tally, Trial
from tools.survive.processes import Ended
from tools.survive.watched import Watch

SIZES = {"full": (20,), "short": (1,)}
"""Trials of each."""
SWEEP = Sweep(cells=16, pause=0.02)


def tried(desk: Desk) -> Iterator[Tally]:
    """The blows."""
    (count,) = desk.size(SIZES)
    draw = desk.random("several")
    together = 4 if desk.form == "full" else 2
    tally = Tally("several", f"{together} processes at once")
    for _ in range(count):
        with desk.trial(SWEEP) as trial:
            faults = [fault for ended in _together(trial, together) for fault in _ended_well(trial, ended)]
            tally.count(faults + trial.again(tally))
    tally.again = 0  # each does everything: that is what --part is for
    yield tally
    tally = Tally("several", f"{together} processes at once, all killed but one")
    for _ in range(count if desk.form == "full" else 0):
        with desk.trial(SWEEP) as trial:
            started = [trial.forked() for _ in range(together)]
            for process in started[1:]:
                time.sleep(draw.uniform(0, 0.5))
                process.signal(9)
            first, *others = [process.wait() for process in started]
            faults = _ended_well(trial, first)
            faults += [fault for ended in others if ended.status == 0 for fault in _ended_well(trial, ended)]
            tally.count(faults + trial.again(tally))
    tally.again = 0
    if tally.tried:
        yield tally
    tally = Tally("several", "shares 1/3, 2/3, 3/3 at once, one killed and begun again")
    for _ in range(count):
        with desk.trial(SWEEP) as trial:
            shares = [replace(SWEEP, more=("--part", f"{number}/3")) for number in (1, 2, 3)]
            started = [trial.forked(sweep=share) for share in shares]
            time.sleep(draw.uniform(0, 0.7))
            started[0].signal(9)
            ended = [process.wait() for process in started[1:]]
            started[0].wait()
            ended.append(trial.forked(sweep=shares[0]).wait())
            faults = [fault for one in ended for fault in _share_done(one)]
            before = trial.finished()
            faults += trial.again(tally)
            if not faults and trial.finished() > before:
                faults = [f"{trial.finished() - before} cells were in no share"]
            tally.count(faults)
    yield tally


def _together(trial: Trial, count: int) -> list[Ended]:
    started = [trial.forked(Watch("/nowhere")) for _ in range(count)]
    return [process.wait() for process in started]


def _ended_well(trial: Trial, ended: Ended) -> list[str]:
    """What is wrong with a run beside others: litter is theirs, as long as they run."""
    return [fault for fault in trial.wrong(ended) if not fault.startswith("litter")]


def _share_done(ended: Ended) -> list[str]:
    """What is wrong with how a share ended: status 0, and JSON that says what is missing."""
    if ended.complaint or ended.status != 0:
        return [ended.complaint or f"status {ended.status}: {ended.err.strip()[-200:]}"]
    (told,) = json.loads(ended.out)["experiments"]
    return [] if not told["failures"] else [f"failures: {told['failures'][:1]}"]
