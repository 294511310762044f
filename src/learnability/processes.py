"""Which process is whose: the machine that numbers it, when it was started, and whether it is still there."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache

__all__ = ["alive", "born", "host", "mark"]

_HOUR = 3600.0


@cache
def host() -> str:
    """Which machine's processes have the numbers that this one sees: in eight hex digits.

    Containers may have one name and each its own numbers.
    """
    try:
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:
        numbers = ""
    return hashlib.sha256(f"{platform.node()}\0{numbers}".encode()).hexdigest()[:8]


def born(number: int) -> float | None:
    """When a process of this machine was started, in seconds since 1970; ``None`` if there is none.

    One that is there, but may not be asked, is as old as can be: 0. One that has ended, and whose parent has not
    asked how, is none: it writes nothing any more.
    """
    import psutil

    try:
        found = psutil.Process(number)
        return None if found.status() == psutil.STATUS_ZOMBIE else float(found.create_time())
    except psutil.NoSuchProcess:
        return None
    except (psutil.Error, OSError):
        return 0.0


def alive(number: int, since: float) -> bool:
    """Whether the process of this machine that had a number and was started then is still there.

    Clocks are set: within an hour it is taken for the same, as removing what a live process writes is worse than
    leaving what a dead one has written.
    """
    found = born(number)
    return found is not None and (found == 0.0 or abs(found - since) < _HOUR)


def mark() -> str:
    """What tells this process in a file's name: ``<host>-<number>-<born>``."""
    number = os.getpid()
    return f"{host()}-{number}-{int(_birth(number))}"


@cache
def _birth(number: int) -> float:
    return born(number) or 0.0
