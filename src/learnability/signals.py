"""The signals that end a command, remembered.

What their handler raises may come out of a library as an error of the library's own: DuckDB says that a query was
interrupted. Whoever takes errors for failures of what was tried asks :func:`came` first.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["STOPS", "Terminated", "came", "deferred", "forget", "stop"]


class Terminated(BaseException):
    """SIGTERM has come: whatever Ctrl-C ends is ended in the same way."""


STOPS = (KeyboardInterrupt, Terminated)
"""What ends a command."""

_came: list[int] = []


def stop(number: int, frame: FrameType | None) -> None:
    """A handler of SIGINT and SIGTERM."""
    _came.append(number)
    if number == signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: a second one would interrupt what ends the workers
        raise Terminated
    raise KeyboardInterrupt


def came() -> int | None:
    """The signal that has come to :func:`stop`, SIGTERM before others; ``None`` if none has."""
    return signal.SIGTERM if signal.SIGTERM in _came else next(iter(_came), None)


def forget() -> None:
    """Begin anew."""
    _came.clear()


@contextmanager
def deferred() -> Iterator[None]:
    """A signal that comes while this lasts is told when it is over; a second one at once."""
    if threading.current_thread() is not threading.main_thread():  # no signal is told there
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    waiting: list[tuple[int, FrameType | None]] = []

    def later(number: int, frame: FrameType | None) -> None:
        waiting.append((number, frame))
        if len(waiting) > 1:
            tell(number, frame)

    def tell(number: int, frame: FrameType | None) -> None:
        handler = handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    own = [number for number, handler in handlers.items() if callable(handler)]
    for number in own:
        signal.signal(number, later)
    try:
        yield
    finally:
        for number in own:
            if signal.getsignal(number) is later:  # not what a handler has put in its place
                signal.signal(number, handlers[number])
        if len(waiting) == 1:
            tell(*waiting[0])
