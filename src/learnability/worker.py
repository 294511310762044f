"""Processes on this machine that answer one question after another over pipes: the caller's end and their own.

A process runs this very file, by its path. It needs the standard library alone until the caller's ``sys.path`` has
come, so it finds the package that its caller has. The caller's script is not imported.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["DeathError", "Worker", "share"]

T = TypeVar("T")
R = TypeVar("R")

_ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    # glibc gives large freed blocks back to the system, and the next temporary array faults them in page by page:
    # arithmetic on arrays of a million numbers takes twice the time.
    **dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), str(2**28)),
}


class DeathError(Exception):
    """The process died of a question, and so did its successor."""


class Worker:
    """A process with one numerical thread, started when it is first asked, and again if it has died.

    Parameters
    ----------
    answer : callable (bytes) -> picklable
        What answers a question there, found by its name. Must not raise.

    Notes
    -----
    One thread may ask and bury; any other may close.
    """

    def __init__(self, answer: Callable[[bytes], Any]) -> None:
        self._hello = pickle.dumps(answer)
        self._lock, self._closed = threading.Lock(), False
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, question: bytes) -> Any:
        """The answer. If the process dies of it, a new one is asked: the death may have had another cause.

        Raises
        ------
        DeathError
            If that one dies too.
        RuntimeError
            If no process starts.
        """
        for _ in range(2):
            started = False
            try:
                process = self._process or self._start()
                started = True
                return _exchange(process, question)
            except (EOFError, OSError, pickle.UnpicklingError):
                fate = self.bury()
        if not started:
            raise RuntimeError(f"a worker process did not start, it ended {fate}")
        raise DeathError(f"its worker died twice, the last time {fate}")

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise RuntimeError("the worker is closed")
            try:
                process = self._process = subprocess.Popen(
                    [sys.executable, "-P", __file__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, **_ENVIRONMENT},
                )
            except OSError as error:
                raise RuntimeError(f"a worker process did not start: {error}") from None
        complaint = _exchange(process, (sys.path, self._hello))
        if complaint is not None:
            raise RuntimeError(f"a worker process did not start: {complaint}")
        return process

    def bury(self) -> str:
        """Let go of a process that has broken off or was closed, and say how it ended."""
        process, self._process = self._process, None
        if process is None:
            return ""
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)  # its pipes are shut a little before its end
        with suppress(BrokenPipeError), process:
            process.kill()
        code = process.returncode
        if code >= 0:
            return f"with exit status {code}"
        name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
        return f"by {name}" + (": memory may have run out" if name == "SIGKILL" else "")

    def close(self) -> None:
        """End the process, whatever it is doing, and start no other."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            process.kill()
            process.wait()


def share(
    items: Sequence[T], count: int, answer: Callable[[bytes], Any], errand: Callable[[Worker, T], R]
) -> Generator[R]:
    """Share items, in their order, among ``count`` workers, and yield what the errands return as they end.

    Each worker has one item at a time, and a thread that runs the errand ``errand(worker, item)``. An exception in an
    errand is raised here. No process outlives the iterator, however it ends.
    """
    waiting: queue.SimpleQueue[T | None] = queue.SimpleQueue()
    finished: queue.SimpleQueue[R | Exception] = queue.SimpleQueue()
    for item in (*items, *[None] * count):
        waiting.put(item)

    def attend(worker: Worker) -> None:
        if hasattr(signal, "pthread_sigmask"):  # inherited: a process is deaf to Ctrl-C before it can ask to be
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for item in iter(waiting.get, None):
                finished.put(errand(worker, item))
        except Exception as error:
            finished.put(error)
        finally:
            worker.close()
            worker.bury()

    workers = [Worker(answer) for _ in range(count)]
    try:
        for worker in workers:
            threading.Thread(target=attend, args=[worker], daemon=True).start()
        for _ in items:
            result = finished.get()
            if isinstance(result, Exception):
                raise result
            yield result
    finally:
        for worker in workers:
            worker.close()


def _exchange(process: subprocess.Popen[bytes], question: Any) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    pickle.dump(question, process.stdin)
    process.stdin.flush()
    return pickle.load(process.stdout)


def _serve() -> None:
    """The process's end: ``None`` when ready, or why not, then answers until the caller has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what tasks read and print is no business of the pipes
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                waiting.put(pickle.load(questions))
        finally:  # nobody is left to want the answer
            os._exit(1)

    def say(answer: Any) -> None:
        pickle.dump(answer, answers)
        answers.flush()

    threading.Thread(target=listen, daemon=True).start()
    sys.path[:], hello = waiting.get()
    try:
        answer = pickle.loads(hello)
    except BaseException as error:
        say(f"{type(error).__name__}: {error}")
        return
    say(None)
    while True:
        say(answer(waiting.get()))


if __name__ == "__main__":
    try:
        _serve()
    finally:
        os._exit(1)
