"""The program of a local worker process: one task after another, asked for and answered over pipes.

:mod:`learnability.sweep` runs this file by its path. Until the caller's ``sys.path`` has come it needs the standard
library alone, so a worker finds the package that its caller has. The caller's script is not imported: functions
that stand in it travel by value.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Say ``None`` when ready, or why not; then answer requests until the caller has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the pipes are not for what tasks read and print
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                waiting.put(pickle.load(requests))
        finally:  # the caller has gone, and nobody wants the running task's rows
            os._exit(1)

    def say(answer: Any) -> None:
        pickle.dump(answer, answers)
        answers.flush()

    threading.Thread(target=listen, daemon=True).start()
    sys.path[:] = waiting.get()
    try:
        from learnability.sweep import answer
    except BaseException as error:
        say(f"{type(error).__name__}: {error}")
        return
    say(None)
    while True:
        say(answer(waiting.get()))


if __name__ == "__main__":
    try:
        main()
    finally:
        os._exit(1)
