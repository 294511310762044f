"""What a Dask worker does for a sweep: it holds the processes that compute.

This module is never imported. Its text goes to the workers, into one namespace with that of
:mod:`learnability.sweep.process`, and needs nothing there but the standard library and Dask: a worker that has
another Learnability, or none, is found out by its process and refuses before anything is computed. Messages are
pickled bytes.
"""

from __future__ import annotations

import pickle
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from learnability.sweep.process import NOTICE, Process

__all__ = ["dismiss", "greet", "perform"]

_LOCK = threading.Lock()
_IDLE: dict[str, list[Process]] = {}
_BUSY: dict[str, set[Process]] = {}
_ENDED: set[str] = set()
_CONTENTS: dict[str, bytes] = {}


def greet(message: bytes) -> bytes:
    """Start a process for a sweep: how that went, more about it, and what it computes with."""
    asked = pickle.loads(message)
    try:
        process = Process(asked["wanted"], asked["idle"])
    except OSError as error:
        return pickle.dumps(("unborn", f"could not be started: {error}", None))
    how, told = process.start(_watch(asked, process)) or ("ready", "")
    if how == "ready":
        _lay_down(asked["sweep"], process)
    else:
        process.close()
    return pickle.dumps((how, told, process.ran_on))


def perform(message: bytes) -> bytes:
    """Have an order performed: how it ended, more about it, the answers, what computed them, its peak of memory."""
    order = pickle.loads(message)
    sweep, digest = order["sweep"], order["digest"]
    if order["content"] is not None:
        _CONTENTS[digest] = order["content"]
    elif digest not in _CONTENTS:
        return pickle.dumps(("lacking", "", [], None, 0))
    order["content"] = _CONTENTS[digest]
    while True:
        process = _pick_up(sweep)
        fresh = process is None
        try:
            process = process or Process(order["wanted"], order["idle"])
        except OSError as error:
            return pickle.dumps(("unborn", f"could not be started: {error}", [], None, 0))
        with _LOCK:
            _BUSY.setdefault(sweep, set()).add(process)
        answers: list[Any] = []
        try:
            how, told = process.perform(
                order,
                order["limit"],
                answers.append,
                lambda known: _say(order, ("overdue", str(known))),
                _watch(order, process),
            )
        finally:
            with _LOCK:
                _BUSY[sweep].discard(process)
        if how == "over":
            _lay_down(sweep, process)
        if how != "unread" or fresh:
            return pickle.dumps((how, told, answers, process.ran_on, process.memory))
        # It had waited so long that it ended in this moment: by another one.


def dismiss(sweep: str) -> None:
    """End all processes of a sweep."""
    with _LOCK:
        _ENDED.add(sweep)
        processes = [*_IDLE.pop(sweep, ()), *_BUSY.get(sweep, ())]
    for process in processes:
        process.close()


def _pick_up(sweep: str) -> Process | None:
    """A process of this sweep that has nothing to do."""
    while True:
        with _LOCK:
            waiting = _IDLE.get(sweep)
            if not waiting:
                return None
            process = waiting.pop()
        if process.alive:
            return process
        process.close()


def _lay_down(sweep: str, process: Process) -> None:
    with _LOCK:
        if sweep not in _ENDED:
            _IDLE.setdefault(sweep, []).append(process)
            return
    process.close()


def _watch(order: dict[str, Any], process: Process) -> Callable[[], bool]:
    """What tells whether anybody still waits for an order, and passes on what the process waits for too long."""
    worker, key, told = _worker(), None, set[str]()
    with suppress(Exception):
        key = worker.get_current_task()

    def abandoned() -> bool:
        what, seconds = process.waits_for or ("", 0.0)
        if seconds >= NOTICE and what not in told:
            told.add(what)
            _say(order, ("waits", f"{what} at {worker.address}"))
        if order["sweep"] in _ENDED:
            return True
        with suppress(Exception):
            task = worker.state.tasks.get(key)
            return key is not None and (task is None or task.state in ("cancelled", "released", "forgotten"))
        return False

    return abandoned


def _say(order: dict[str, Any], what: tuple[str, str]) -> None:
    """Let the client know something before the order is done."""
    with suppress(Exception):
        _worker().log_event(order["topic"], [order.get("load", -1), *what])


def _worker() -> Any:
    from distributed import get_worker

    return get_worker()
