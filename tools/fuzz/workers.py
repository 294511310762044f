"""Inputs in a process of their own, so that one that crashes, hangs or swells costs itself and is named."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic

from tools.fuzz.mutations import make
from tools.fuzz.seeds import KINDS, seeds
from tools.fuzz.trials import Trial, tried

__all__ = ["Tally", "running"]

SPACE = 10**9
"""Bytes that a process may map beside what it has when it starts."""
GROWTH = 3 * 10**8
"""Bytes by which one input may make it grow."""
RESTART = 50_000
"""Inputs after which a process is a new one: what it keeps would hide what an input takes."""
TELL = 200
"""Inputs between two messages to the parent."""


@dataclass
class Tally:
    """What came of the inputs of a kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: tuple[float, int] = (0.0, -1)
    """Seconds, and the number of the input."""
    over: int = 0
    """Inputs that took more than the limit of a second."""


def running(
    seed: int,
    numbers: range,
    kind: str | None,
    hang: float,
    limit: float,
    until: float,
    failed: Callable[[int, Trial], None],
) -> Iterator[dict[str, Tally]]:
    """Try inputs in their order in one process after the other; gives the tallies of every part that is done.

    Parameters
    ----------
    seed, numbers, kind
        As for :func:`tools.fuzz.mutations.make`.
    hang : float
        Seconds on the clock after which an input is ended and counts as failed.
    limit : float
        Seconds of the processor beyond which it counts as slow.
    until : float
        When to stop, on the monotonic clock.
    failed : callable
        Called with the number of each input that failed, and what came of it.
    """
    context = get_context("spawn")
    with tempfile.TemporaryDirectory(dir=_memory()) as folder, open(Path(folder) / "at", "w+b") as place:
        place.write(bytes(16))
        place.flush()
        at = mmap.mmap(place.fileno(), 16)
        following = numbers.start
        while following < numbers.stop and monotonic() < until:
            part = range(following, min(following + RESTART, numbers.stop))
            mine, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(theirs, folder, seed, part, kind, limit), daemon=True)
            process.start()
            theirs.close()
            died = ""
            while True:
                try:
                    told = mine.recv() if mine.poll(0.5) else None
                except EOFError:
                    process.join()
                    died = f"the process died with status {process.exitcode}" if process.exitcode else ""
                    break
                if told is not None:
                    following, tallies, failures = told
                    for number, trial in failures:
                        failed(number, trial)
                    yield tallies
                number, since = struct.unpack("<qd", at[:])
                if since and monotonic() - since > hang:
                    died = f"no end after {hang:g} s"
                if died or monotonic() > until:
                    process.kill()
                    process.join()
                    break
            mine.close()
            if died:  # what was not told yet is tried again, but for the one that it died of
                number, since = struct.unpack("<qd", at[:])
                if not since:
                    raise RuntimeError(f"{died} before its first input")
                trial = Trial("failed", monotonic() - since, died)
                failed(number, trial)
                lost = make(seed, number, kind).kind
                yield {lost: Tally(Counter(failed=1), trial.seconds, (trial.seconds, number), 1)}
                if number > following:
                    yield from running(seed, range(following, number), kind, hang, limit, until, failed)
                following = number + 1
            at[:] = bytes(16)
        at.close()


def _memory() -> str | None:
    """A folder in memory, if there is one."""
    return "/dev/shm" if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK) else None


def _work(pipe: Connection, folder: str, seed: int, numbers: range, kind: str | None, limit: float) -> None:
    """Try inputs and tell the parent from time to time; where it is stands in a file that both see."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    place = Path(folder) / str(os.getpid())
    place.mkdir()
    for one in KINDS if kind is None else [kind]:
        for _ in seeds(one):
            pass
        tried(make(seed, numbers.start, one), place)  # imports what it needs
    _confine()
    with open(Path(folder) / "at", "r+b") as stream:
        at = mmap.mmap(stream.fileno(), 16)
    tallies: dict[str, Tally] = {}
    failures: list[tuple[int, Trial]] = []
    for number in numbers:
        case = make(seed, number, kind)
        peak = _peak()
        at[:] = struct.pack("<qd", number, monotonic())
        trial = tried(case, place)
        (place / case.name).unlink(missing_ok=True)
        grown = _peak() - peak
        if grown > GROWTH and trial.outcome != "failed":
            trial = Trial("failed", trial.seconds, f"it took {grown / 1e6:,.0f} MB", trial.why)
        if trial.outcome == "failed":
            failures.append((number, trial))
        tally = tallies.setdefault(case.kind, Tally())
        tally.outcomes[trial.outcome] += 1
        tally.seconds += trial.seconds
        tally.slowest = max(tally.slowest, (trial.seconds, number))
        tally.over += trial.seconds > limit
        if (number + 1 - numbers.start) % TELL == 0 or number + 1 == numbers.stop:
            at[:] = struct.pack("<qd", number, 0.0)
            pipe.send((number + 1, tallies, failures))
            tallies, failures = {}, []
    pipe.close()


def _confine() -> None:
    with contextlib.suppress(ImportError):  # Windows has no such limit
        import resource

        import psutil

        used = psutil.Process().memory_info().vms
        resource.setrlimit(resource.RLIMIT_AS, (used + SPACE, resource.getrlimit(resource.RLIMIT_AS)[1]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _peak() -> float:
    """The most memory that this process has had, in bytes."""
    try:
        import resource
    except ImportError:
        return 0.0
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)
