"""The output folder is taken away, or none to begin with: said at the start or as one line, and nothing is lost.

Right is status 2 before any work, 1 in mid-run, each with a line; where the folder can serve all the same, status 0.
Then the same command, where everything is in order again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from tools.survive.desk import Desk, Sweep, Tally, Trial
from tools.survive.processes import Ended, Process, forked

SIZES = {"full": (5,), "short": (1,)}
"""Trials of each; in the short form of two blows, and two paths."""
SWEEP = Sweep(cells=20, pause=0.05)


def tried(desk: Desk) -> Iterator[Tally]:
    """The blows."""
    (count,) = desk.size(SIZES)
    few = 2 if desk.form == "short" else None
    for what, strike in list(MEANWHILE.items())[:few]:
        tally = Tally("folders", f"{what} in mid-run")
        for _ in range(count):
            with desk.trial(SWEEP) as trial:
                process = trial.forked()
                while not (trial.out / "tasks").exists() and process.status is None:
                    time.sleep(0.02)
                back = strike(trial)
                ended = process.wait()
                back()
                tally.count(_told(ended, (0, 1)) + trial.again(tally))
        yield tally
    for what, make in list(PATHS.items())[:few]:
        tally = Tally("folders", what)
        with desk.trial(Sweep(cells=2)) as trial:
            path = make(trial)
            if path is not None:
                arguments = trial.sweep.arguments(trial.out)
                arguments[arguments.index("--out") + 1] = path
                process: Process = forked(arguments, desk.home, trial.place / "first", trial.environment)
                tally.count(_told(process.wait(), (0, 2)))
        yield tally


def _told(ended: Ended, right: tuple[int, ...]) -> list[str]:
    if ended.complaint or ended.status not in right:
        return [ended.complaint or f"status {ended.status}: {ended.err.strip()[-200:]}"]
    lines = ended.err.strip().splitlines()
    return [f"{len(lines)} lines: {lines[:2]}"] if ended.status and len(lines) != 1 else []


def _renamed(trial: Trial) -> Callable[[], object]:
    other = trial.place / "renamed"
    trial.out.rename(other)

    def back() -> None:
        if trial.out.exists():  # it must not have been made anew, with half of a run
            raise RuntimeError("a renamed folder was made anew")
        other.rename(trial.out)

    return back


def _removed(trial: Trial) -> Callable[[], object]:
    other = trial.place / "removed"
    trial.out.rename(other)  # whatever is being written goes there, as into what is being removed
    return lambda: None


def _tasks_removed(trial: Trial) -> Callable[[], object]:
    (trial.out / "tasks").rename(trial.place / "tasks")
    return lambda: None


def _replaced(trial: Trial) -> Callable[[], object]:
    trial.out.rename(trial.place / "replaced")
    trial.out.write_text("a file")
    return trial.out.unlink


MEANWHILE: dict[str, Callable[[Trial], Callable[[], object]]] = {
    "the output folder is renamed": _renamed,
    "the output folder is removed": _removed,
    "the folder of finished tasks is removed": _tasks_removed,
    "a file comes in the place of the output folder": _replaced,
}


def _file(trial: Trial) -> str:
    trial.out.write_text("a file")
    return str(trial.out)


def _tasks_file(trial: Trial) -> str:
    trial.out.mkdir()
    (trial.out / "tasks").write_text("a file")
    return str(trial.out)


def _loop(trial: Trial) -> str:
    trial.out.symlink_to(trial.out)
    return str(trial.out)


def _result_file(trial: Trial) -> str:
    (trial.out / "cells").mkdir(parents=True)
    (trial.out / "cells" / "figure").write_text("a file")
    return str(trial.out)


PATHS: dict[str, Callable[[Trial], str | None]] = {
    "a path that is not UTF-8": lambda trial: os.fsdecode(os.fsencode(trial.place) + b"/out\xff\xfe"),
    "a path with line breaks and quotes": lambda trial: f"{trial.place}/o\n'\"*[?]\x1b",
    "a name that is too long": lambda trial: str(trial.place / ("x" * 300)),
    "a path that is too long": lambda trial: str(trial.place.joinpath(*["x" * 200] * 25)),
    "a path with just room for itself": lambda trial: str(trial.place.joinpath(*["x" * 200] * 19)),
    "a file in its place": _file,
    "a file in the place of finished tasks": _tasks_file,
    "a file in the place of the result": _result_file,
    "a link to itself": _loop,
    "/dev/null": lambda trial: "/dev/null",
    "/proc": lambda trial: "/proc/nothing",
}
