"""The process that performs tasks, seen from inside: it reads orders from one pipe and answers into another."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO

from learnability import provenance
from learnability.source import one_line
from learnability.sweep.parcel import unpacked
from learnability.sweep.perform import peak_memory, perform

__all__ = ["main"]


def main(take: BinaryIO, give: BinaryIO, told: Mapping[str, Any]) -> None:
    """Perform what comes until nothing comes any more.

    Parameters
    ----------
    take, give : binary streams
        Where orders come from and answers go.
    told : mapping
        ``"caller"`` and ``"life"``: the process that this one ends with, and a pipe that it holds open. ``"wanted"``:
        what the caller of all computes with. ``"idle"``: seconds without an order after which to end, or ``None``.
    """
    _follow(told["caller"], told["life"])

    def say(*message: Any) -> None:
        pickle.dump(message, give, pickle.HIGHEST_PROTOCOL)
        give.flush()

    here = provenance.here()
    strange = provenance.strange(told["wanted"], here)
    if strange is not None:
        say("stranger", strange)
        return
    say("ready", here)
    held, run = "", None
    while True:
        try:
            order = _next(take, told["idle"])
        except EOFError:
            return
        os.environ["LEARNABILITY_DEBUG"] = "1" if order["debug"] else ""
        failed = None
        if order["digest"] != held:
            held = order["digest"]
            try:
                run = unpacked(order["content"])
            except RuntimeError as error:
                failed, held = error, ""
        say("begun")
        _perform(run, failed, order, say)
        say("over", peak_memory())


def _perform(
    run: Callable[..., Any] | None, failed: RuntimeError | None, order: Mapping[str, Any], say: Callable[..., None]
) -> None:
    """Say how each task ended, until all are done or the time is over."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        start = time.monotonic()
        for setting, seed in order["cells"]:
            try:
                if failed is not None or run is None:
                    say("done", None, str(failed), 0.0, _trace(failed))
                else:
                    say("done", *perform(run, setting, seed), "")
            except BaseException as error:  # a task's own KeyboardInterrupt too: Ctrl-C does not come here
                say("done", None, one_line(error), 0.0, _trace(error))
            if time.monotonic() - start >= order["lease"]:
                return


def _trace(error: BaseException | None) -> str:
    return "".join(traceback.format_exception(error)) if error is not None else ""


def _next(take: BinaryIO, idle: float | None) -> Mapping[str, Any]:
    """The next order."""
    timer = threading.Timer(idle or 0, os._exit, (0,))
    if idle is not None:
        timer.daemon = True
        timer.start()
    order: Mapping[str, Any] = pickle.load(take)
    timer.cancel()
    return order


def _follow(caller: int, life: int | None) -> None:
    """End with the caller, whatever is being computed."""

    def wait() -> None:
        try:
            if life is None:
                import psutil

                psutil.Process(caller).wait()
            else:
                os.read(life, 1)
        finally:
            os._exit(1)

    if life is not None and sys.platform == "linux":
        # Compiled code that never returns to the interpreter leaves no time to a thread. So the system is asked for
        # a signal when the pipe is closed, and what that does to a process is to end it.
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    threading.Thread(target=wait, daemon=True).start()
