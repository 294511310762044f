"""What memory there is: the one place that every limit and estimate of this package asks.

A process may have less than the machine: its control group may leave it less (containers, batch systems), and so may
``ulimit -v``, which counts what is mapped whether it is used or not.
"""

from __future__ import annotations

import math
import os

__all__ = ["allowed", "available", "called", "readable", "told"]

CONTROL, GROUPS = "/sys/fs/cgroup", "/proc/self/cgroup"
"""Where Linux has control groups, and says which are a process's."""

SMALL = 2.0**26
"""Bytes that are had without looking, which takes a fifth of a millisecond."""


def available(control: str | os.PathLike[str] = CONTROL, groups: str | os.PathLike[str] = GROUPS) -> float:
    """Bytes that this process may still take: what the system has, or its control group or its own limits leave."""
    import psutil

    room = min(float(psutil.virtual_memory().available), *_limits())
    for folder, most, usage, file_cache in _groups(str(control), str(groups)):
        try:
            limit = float(_text(folder, most))  # "max", which is no number, is no limit
            used = float(_text(folder, usage))
            statistics = dict(line.split() for line in _text(folder, "memory.stat").splitlines())
            reclaimable = float(statistics.get(file_cache, 0))  # cached files count as used and are given up at need
        except (OSError, ValueError):
            continue
        room = min(room, max(limit - used + reclaimable, 0.0))
    return room


def allowed(usual: float, needed: float) -> float:
    """The usual limit for something, or what is available if that is less and it needs more than :data:`SMALL`."""
    return usual if needed <= SMALL else min(usual, available())


def called(usual: float, limit: float, name: str = "memory") -> str:
    """A limit in a message: the usual one by its name, or what is available."""
    return f"{name} = {usual:.3g} bytes" if limit == usual else f"the {readable(limit)} that are available"


def told(error: BaseException) -> str:
    """What a ``MemoryError`` says was needed, and what there is."""
    needed = " ".join(str(error).split()) or "what was needed is not known"
    return f"out of memory: {needed}; {readable(available())} are available to this process"


def readable(size: float) -> str:
    """A number of bytes for people: 1.5 GB is 1.5e9 bytes."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"


def _limits() -> tuple[float, float]:
    """What ``ulimit -v`` and ``ulimit -d`` leave: the limits count what is mapped, whether it is used or not."""
    try:
        import resource
    except ImportError:  # Windows
        return math.inf, math.inf
    import psutil

    mapped = psutil.Process().memory_info()

    def left(kind: int, used: float) -> float:
        most, _ = resource.getrlimit(kind)
        return math.inf if most == resource.RLIM_INFINITY else max(float(most) - used, 0.0)

    return left(resource.RLIMIT_AS, mapped.vms), left(resource.RLIMIT_DATA, getattr(mapped, "data", 0))


def _groups(control: str, groups: str) -> list[tuple[str, str, str, str]]:
    """The folders that limit this process, of both versions of Linux's control groups, and their files' names."""
    try:
        lines = _text(groups).splitlines()
    except OSError:  # not Linux
        return []
    found = []
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if controllers == "":
            root, names = control, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = os.path.join(control, "memory")
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # Inside a container the own folder may not be visible: its limits then stand at the root.
        parts = [part for part in own.split("/") if part not in ("", ".", "..")]
        for depth in range(len(parts), -1, -1):
            found.append((os.path.join(root, *parts[:depth]), *names))
    return found


def _text(*path: str) -> str:
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()
