"""The signals that end a command, remembered.

What their handler raises may come out of a library as an error of the library's own: DuckDB says that a query was
interrupted. Whoever takes errors for failures of what was tried asks :func:`came` first.
"""

from __future__ import annotations

import signal
from types import FrameType

__all__ = ["Terminated", "came", "forget", "stop"]


class Terminated(BaseException):
    """SIGTERM has come: whatever Ctrl-C ends is ended in the same way."""


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
