"""Processes on this machine that do a sweep's tasks: how they start, and what is known of how they ended.

Each is a loky executor of one process, so that a broken executor tells which task broke it.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

__all__ = ["deafen", "fate", "make_room", "start"]

_ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    # glibc gives large freed blocks back to the system, and the next temporary array faults them in page by page:
    # arithmetic on arrays of a million numbers takes twice the time.
    **dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), str(2**28)),
    "PYTHONSAFEPATH": "1",  # no file of the working directory hides a module of Python's
    "LOKY_MAX_MEMORY_LEAK_SIZE": "1e18",  # what grows is compiled code, which a fresh process would compile again
}


def start() -> tuple[Any, Any]:
    """An executor of one process with one numerical thread, and a future that tells whether it has started."""
    from loky import ProcessPoolExecutor

    _open_streams()
    executor = ProcessPoolExecutor(1, initializer=_settle, initargs=(os.getpid(),), env=_ENVIRONMENT)
    return executor, executor.submit(os.getpid)


def _open_streams() -> None:
    """Replace those that a shell has closed, since loky asks no questions."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115


def _settle(caller: int) -> None:
    """Be deaf to Ctrl-C, keep what tasks print from the caller's stdout, and end with the caller."""
    import psutil

    def follow() -> None:
        try:
            psutil.Process(caller).wait()
        finally:
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _open_streams()
    with suppress(OSError):
        os.dup2(2, 1)
    sys.stdout = sys.stderr
    threading.Thread(target=follow, daemon=True).start()


def make_room(count: int) -> None:
    """Let this process open as many files as so many executors need, seven each: often only 1,024 are allowed."""
    with suppress(ImportError):  # no such limit on Windows
        import resource

        allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = 256 + 8 * count
        if 0 <= allowed < needed:  # what is unlimited is negative
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, most) if most >= 0 else needed, most))


def deafen() -> None:
    """Keep Ctrl-C from this thread, and from processes that it starts: before they can ask for that themselves."""
    if hasattr(signal, "pthread_sigmask"):
        from multiprocessing import resource_tracker

        with suppress(OSError):  # loky starts it with the first process, and its start lifts the mask
            resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def fate(error: BaseException) -> str:
    """How a process ended or what stopped a task there, as far as loky tells."""
    if found := re.search(r"\{(\w+)\((-?\d+)\)\}", str(error)):
        name, code = found.groups()
        ended = f"by {name}" if int(code) < 0 else f"with exit status {code}"
        return ended + (": memory may have run out" if name == "SIGKILL" else "")
    told = re.findall(r"^[\w.]+: .*", str(error.__cause__), re.MULTILINE)  # a traceback's last line
    return told[-1] if told else f"{type(error).__name__}: {' '.join(str(error).split())}"
