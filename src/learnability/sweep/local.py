"""Processes on this machine, over pipes: no other user can reach them, and no port is open."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from queue import SimpleQueue

from learnability.sweep.batches import Load
from learnability.sweep.process import NOTICE, Process

__all__ = ["LocalCrew"]

_UNBORN = 3
"""Processes that may die at their start, one after the other, before that is taken for the machine's fault."""

_LAST_WORDS = 5.0
"""Seconds in which all that killed processes have said before is read, however busy the machine is."""


class LocalCrew:
    """So many processes of this machine, each with a thread of this process that minds it.

    Parameters
    ----------
    count : int
        How many.
    wanted : mapping
        What this process computes with.
    limit : float or None
        Seconds that one task may take.
    """

    def __init__(self, count: int, wanted: Mapping[str, str], limit: float | None) -> None:
        self.events = SimpleQueue[tuple[Load, str, str]]()
        self.count, self.wanted, self.limit = count, wanted, limit
        self._ready = SimpleQueue[Load | None]()
        self._processes: dict[threading.Thread, Process] = {}
        self._lock, self._closed = threading.Lock(), False
        self._unborn, self._told = 0, set[str]()
        _open_streams()
        _make_room(count)
        if "numba" in sys.modules:  # else there may be nothing to compile
            from learnability import compiling

            compiling.foresee()
        self._minders = [threading.Thread(target=self._mind, daemon=True) for _ in range(count)]
        for minder in self._minders:
            minder.start()

    def slots(self) -> int:
        """How many processes there are."""
        return self.count

    def room(self) -> int:
        """A load for each, so that none waits while results are stored."""
        return self.count - self._ready.qsize()

    def give(self, load: Load) -> None:
        """Let the next that has nothing to do take a load."""
        self._ready.put(load)

    def look(self) -> Iterator[str]:
        """What has been waited for too long."""
        waits = [process.waits_for for process in self._processes.copy().values()]
        for what, seconds in filter(None, waits):
            if seconds >= NOTICE and what not in self._told:
                self._told.add(what)
                yield f"waiting for {what}, since {seconds:.0f} s"

    def failed(self, load: Load, how: str, told: str) -> None:
        """Give up where process after process does not start."""
        if how == "stranger":
            changed = f"what is installed was changed during the run ({told})"
            raise RuntimeError(f"{changed}: finished tasks are kept, run again for the rest")
        if self._unborn >= _UNBORN:
            raise RuntimeError(f"a worker process did not start, it {told}")

    def hear_out(self) -> None:
        """Kill all; what they have said before is on its way through pipes and threads."""
        self.close()
        until = time.monotonic() + _LAST_WORDS
        for minder in self._minders:
            minder.join(max(until - time.monotonic(), 0.0))

    def close(self) -> None:
        """Kill all."""
        # In a thread of its own, which Ctrl-C does not reach.
        closer = threading.Thread(target=self._close)
        closer.start()
        closer.join()

    def _close(self) -> None:
        with self._lock:
            self._closed = True
        for _ in self._minders:
            self._ready.put(None)
        for process in self._processes.copy().values():
            process.close()

    def _mind(self) -> None:
        """Have one load after the other done by a process, and by another where that has ended."""
        me, process = threading.current_thread(), None
        while (load := self._ready.get()) is not None and not self._closed:
            try:
                process = process or self._start(me)
                how, told = process.perform(load.order, self.limit, load.answers.append, partial(self._late, load))
                load.ran_on, load.memory = process.ran_on, process.memory
            except Exception as error:
                how, told = "unborn", f"could not be started: {error}"
            if how != "over":
                process = None
                with self._lock:
                    self._processes.pop(me, None)
            with self._lock:
                self._unborn = self._unborn + 1 if how == "unborn" else 0
                hopeless = self._unborn >= _UNBORN
            self.events.put((load, how, told))
            if hopeless:
                return

    def _late(self, load: Load, known: int) -> None:
        self.events.put((load, "overdue", str(known)))

    def _start(self, me: threading.Thread) -> Process:
        with self._lock:
            if self._closed:
                raise RuntimeError("the sweep has ended")
            process = self._processes[me] = Process(self.wanted)
            return process


def _open_streams() -> None:
    """Replace those that a shell has closed: a pipe must not come in their place."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115


def _make_room(count: int) -> None:
    """Let this process open as many files as so many processes need, three each: often only 1,024 are allowed."""
    with suppress(ImportError):  # no such limit on Windows
        import resource

        allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = 256 + 8 * count
        if 0 <= allowed < needed:  # what is unlimited is negative
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, most) if most >= 0 else needed, most))
