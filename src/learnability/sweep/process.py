"""A process that performs tasks, seen from the one that starts it.

What is here needs the standard library alone: on a cluster the text of this module goes to Dask's workers, which are
then no more than the hands that hold such processes (:mod:`learnability.sweep.host`).
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["NOTICE", "PATIENCE", "Process"]

NOTICE, PATIENCE = 30.0, 600.0
"""Seconds after which a wait is told of, and after which it is given up."""

LEASE, MARGIN = 2.0, 1.0
"""Seconds after which a process begins no further task of an order, and when it is certain that it does not."""

_TICK, _MISSED = 0.2, 2.0
"""Seconds between two looks at a process; more than so many between two looks are nobody's: this process slept."""

_ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    # glibc gives large freed blocks back to the system, and the next temporary array faults them in page by page:
    # arithmetic on arrays of a million numbers takes twice the time.
    **dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), str(2**28)),
    "LEARNABILITY_WORKER": "1",  # what is said once for all is for the caller to say
    "PYTHONSAFEPATH": "1",  # no file of the working directory hides a module of Python's
}

_BOOT = """
import os, pickle, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
try:
    os.fstat(2)
except OSError:
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)
take, give = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
sys.stdout = sys.stderr
told = pickle.load(take)
sys.path[:], sys.argv[:] = told["path"], told["argv"]
try:
    from learnability.sweep.worker import main
except ImportError as error:
    from importlib import metadata
    try:
        why = f"learnability {metadata.version('learnability')} instead of {told['wanted']['learnability']}"
    except metadata.PackageNotFoundError:
        why = "no learnability"
    pickle.dump(("stranger", f"{why} ({error})"), give)
    give.flush()
else:
    main(take, give, told)
"""
# What a task prints belongs to stderr, and what it would read is nothing: the pipes are for orders and answers.


class Process:
    """A process with one numerical thread that performs tasks.

    Parameters
    ----------
    wanted : mapping
        What the caller of all computes with; a process that computes with something else refuses every order.
    idle : float, optional
        Seconds without an order after which the process ends.

    Raises
    ------
    OSError
        If no process can be started.
    """

    def __init__(self, wanted: Mapping[str, str], idle: float | None = None) -> None:
        self.ran_on: Mapping[str, str] | None = None
        self.memory = 0
        self.waits_for: tuple[str, float] | None = None
        self._held, self._inbox, self._lock = "", SimpleQueue[tuple[Any, ...] | None](), threading.Lock()
        self._life: int | None = None  # one end of a pipe, which is closed when this process ends, in whatever way
        life: int | None = None
        if os.name == "posix":
            life, self._life = os.pipe()
        try:
            self._popen = subprocess.Popen(
                [sys.executable, *subprocess._args_from_interpreter_flags(), "-c", _BOOT],  # type: ignore[attr-defined]
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **_ENVIRONMENT},
                pass_fds=() if life is None else (life,),
                start_new_session=True,  # Ctrl-C is for the caller, and whatever the tasks start ends with them
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except BaseException:
            if self._life is not None:
                os.close(self._life)
            raise
        finally:
            if life is not None:
                os.close(life)
        told = {
            "path": [place for place in map(_place, sys.path) if place],
            "argv": sys.argv,
            "wanted": dict(wanted),
            "caller": os.getpid(),
            "life": life,
            "idle": idle,
        }
        threading.Thread(target=self._read, daemon=True).start()
        self._send(told)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        with self._lock:
            if self._popen.returncode is None and self._popen.poll() is not None:
                self._kill()  # what it has started
            return self._popen.returncode is None

    def close(self) -> None:
        """End it and what its tasks have started."""
        if self.alive:
            self._kill()
            self._popen.wait()
        with suppress(OSError, ValueError):  # the pipe is broken
            if self._popen.stdin is not None:
                self._popen.stdin.close()
        with self._lock:
            life, self._life = self._life, None
        if life is not None:
            os.close(life)

    def _kill(self) -> None:
        """Kill it, which has not ended or not until just now: its number is still its own."""
        if os.name == "posix":
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        else:
            self._popen.kill()

    def start(self, abandoned: Callable[[], bool] = bool) -> tuple[str, str] | None:
        """Wait for its first word. What has gone wrong, if something has, as :meth:`perform` tells it."""
        waited, last = 0.0, time.monotonic()
        while (message := self._hear()) == ():
            passed, last = _passed(last)
            waited += passed
            self.waits_for = "a worker process to start", waited
            if abandoned():
                return "lost", "nobody waits for it"
            if waited >= NOTICE and self._stopped():
                return "lost", f"it was stopped for {NOTICE:.0f} s"
            if waited >= PATIENCE:
                return "unborn", f"had not started after {PATIENCE:.0f} s"
        self.waits_for = None
        if message is None:
            return "unborn", f"ended {self._fate()}"
        if message[0] == "stranger":
            return "stranger", str(message[1])
        self.ran_on = message[1]
        return None

    def perform(
        self,
        order: Mapping[str, Any],
        limit: float | None,
        heard: Callable[[tuple[Any, ...]], None],
        overdue: Callable[[int], None],
        abandoned: Callable[[], bool] = bool,
    ) -> tuple[str, str]:
        """Have an order performed.

        Parameters
        ----------
        order : mapping
            ``"cells"``, settings with seeds; ``"digest"`` and ``"content"``, what they run; ``"lease"``, ``"debug"``.
        limit : float or None
            Seconds that one task may take.
        heard : callable
            Is told of each answer: rows, error, seconds, traceback.
        overdue : callable
            Is told once, if a task takes so long that certainly no other of this order will be begun: how many have
            been heard of, so which it is.
        abandoned : callable
            Whether nobody waits for the order any more.

        Returns
        -------
        how : str
            ``"over"``, the process has done what it could in its time; ``"died"`` or ``"timeout"`` with the task
            after the last that was heard of; ``"unread"``, died before the first; ``"unborn"``, it did not start;
            ``"stranger"``, it refuses; ``"lost"``, by nobody's fault. It lives on in the first case alone.
        told : str
            More about it.
        """
        how, told = self._perform(order, limit, heard, overdue, abandoned)
        if how != "over":
            told = told or self._fate()
            self.close()
        return how, told

    def _perform(
        self,
        order: Mapping[str, Any],
        limit: float | None,
        heard: Callable[[tuple[Any, ...]], None],
        overdue: Callable[[int], None],
        abandoned: Callable[[], bool],
    ) -> tuple[str, str]:
        if self.ran_on is None:
            refused = self.start(abandoned)
            if refused is not None:
                return refused
        content = None if order["digest"] == self._held else order["content"]
        self._held = order["digest"]
        self._send({**order, "content": content})
        begun, late, known = False, False, 0
        task, whole, stopped = 0.0, 0.0, 0.0  # seconds since the last word, since the first, and of being stopped
        last = time.monotonic()
        while True:
            message = self._hear()
            passed, last = _passed(last)
            task, whole = task + passed, whole + passed
            if message == ():
                if abandoned():
                    return "lost", "nobody waits for it"
                if begun and limit is not None and task >= limit:
                    return "timeout", ""
                if begun and not late and whole >= LEASE + MARGIN:
                    late = True
                    overdue(known)
                stopped = stopped + passed if task >= NOTICE and self._stopped() else 0.0
                self.waits_for = (f"process {self.pid}, which is stopped", NOTICE + stopped) if stopped else None
                if stopped >= PATIENCE - NOTICE:
                    return "lost", f"it was stopped for {PATIENCE:.0f} s"
                continue
            task, self.waits_for = 0.0, None
            if message is None:
                return ("died" if begun else "unread"), ""
            kind, *said = message
            if kind == "begun":
                begun, whole = True, 0.0
            elif kind == "done":
                heard(tuple(said))
                known += 1
            else:
                self.memory = said[0]
                return "over", ""

    def _send(self, message: Any) -> None:
        with suppress(OSError, ValueError):  # its end is heard of on the other pipe
            assert self._popen.stdin is not None
            pickle.dump(message, self._popen.stdin, 5)
            self._popen.stdin.flush()

    def _read(self) -> None:
        """Pass on what it says, and at last ``None``."""
        try:
            assert self._popen.stdout is not None
            while True:
                self._inbox.put(pickle.load(self._popen.stdout))
        except Exception:  # the end; or a task has written into the pipe, which it had no business with
            self._inbox.put(None)
            with suppress(OSError, AttributeError):
                self._popen.stdout.close()  # type: ignore[union-attr]

    def _hear(self) -> tuple[Any, ...] | None:
        """What it says next; ``()`` if nothing for a moment, ``None`` if nothing ever again."""
        try:
            return self._inbox.get(timeout=_TICK)
        except Empty:
            if not self.alive:  # but something that it has started still holds the pipe
                with suppress(Empty):
                    return self._inbox.get(timeout=_TICK)
                return None
            return ()

    def _stopped(self) -> bool:
        """Whether it has been stopped by a signal."""
        with suppress(Exception):
            import psutil

            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        return False

    def _fate(self) -> str:
        """How it ended."""
        patience = time.monotonic() + 2
        while self.alive:
            if time.monotonic() > patience:
                return "by closing its pipes"
            time.sleep(0.01)
        code = self._popen.returncode
        if code >= 0:
            return f"with exit status {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"by {name}" + (": memory may have run out" if name == "SIGKILL" else "")


def _place(folder: str) -> str:
    """A folder of modules, the working directory too; nothing if that has been removed."""
    try:
        return folder or os.getcwd()
    except FileNotFoundError:
        return ""


def _passed(last: float) -> tuple[float, float]:
    """Seconds since the last look, as far as this process was awake, and now."""
    now = time.monotonic()
    return min(now - last, _MISSED), now
