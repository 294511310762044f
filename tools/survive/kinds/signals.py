"""Ctrl-C and SIGTERM, once and twice, at every phase: while workers start, while cells run, while files are written.

Right is status 130 or 143 and one line, and that no process of the run's is left; a run that had ended before, with
its own answer; then the rest, by the same command.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

from tools.survive.desk import Desk, Sweep, Tally, Trial
from tools.survive.processes import Process, family

SIZES = {"full": (25,), "short": (1,)}
"""Runs for each signal, number of them, and number of workers; the short form has one."""
SAID = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
LINE = 5.0
"""Seconds in which no process of a run may be left after its end."""


def tried(desk: Desk) -> Iterator[Tally]:
    """The blows."""
    (count,) = desk.size(SIZES)
    if desk.form == "short":
        sweep = Sweep(cells=20, pause=0.05, workers=2)
        yield _signalled(desk, sweep, signal.SIGINT, 2, 1, lambda trial, process, turn: len(family(process.pid)) > 1)
        return
    for workers in (1, 2):
        sweep = Sweep(cells=20, pause=0.05, workers=workers)
        with desk.trial(sweep) as trial:
            longest = trial.fresh().wait().seconds

        def over(trial: Trial, process: Process, turn: int, longest: float = longest) -> bool:
            """Evenly over the run, so that every phase is met."""
            share = desk.random("signals", trial.place.name).random()
            time.sleep(longest * (turn + share) / count)
            return True

        for number in (signal.SIGINT, signal.SIGTERM):
            for times in (1, 2):
                yield _signalled(desk, sweep, number, times, count, over)


def _signalled(
    desk: Desk, sweep: Sweep, number: signal.Signals, times: int, count: int,
    due: Callable[[Trial, Process, int], bool],
) -> Tally:  # fmt: skip
    """Runs that get a signal when it is due."""
    workers = f"{sweep.workers} worker{'s' * (sweep.workers > 1)}"
    tally = Tally("signals", f"{number.name}{' twice' * (times > 1)}, {workers}")
    draw = desk.random("signals", number, times, sweep.workers)
    for turn in range(count):
        with desk.trial(sweep) as trial:
            process = trial.fresh()
            while process.status is None and not due(trial, process, turn):
                time.sleep(0.01)
            known = family(process.pid)
            process.signal(number)
            if times > 1:  # while the first is being obeyed
                time.sleep(draw.uniform(0, 0.3))
                process.signal(number)
            tally.count(_obeyed(trial, process, number, known, tally))
    return tally


def _obeyed(trial: Trial, process: Process, number: int, known: list, tally: Tally) -> list[str]:
    """What is wrong with how it ended, who is left, and what comes of the same command."""
    import psutil

    ended = process.wait()
    due = 128 + number
    lines = ended.err.strip().splitlines()
    wrong = [ended.complaint] if ended.complaint else []
    # A second signal may end what the first has stopped: a shell tells 128 and its number then, too.
    if not wrong and ended.status in (due, -number):
        if not lines and not trial.finished():
            tally.note = f"{int((tally.note or '0').split()[0]) + 1} before the command could say anything"
        elif len(lines) != 1 or SAID[number] not in lines[0]:
            wrong = [f"{len(lines)} lines: {lines[:2]}"]
    elif not wrong and ended.status != 0:
        wrong = [f"status {ended.status}: {lines[-1:]}"]
    left = psutil.wait_procs(known, timeout=LINE)[1]
    for one in left:
        one.kill()
    if left:
        wrong.append("a process is left")
    return wrong + trial.again(tally)
