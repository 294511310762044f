"""How much memory a table may take, decided before it is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from learnability import checks

__all__ = ["SHARE", "Budget", "available", "budget", "readable"]

SHARE = 0.5
"""Of the memory that is free: what is done with a table afterwards needs some, too."""

OVERHEAD = 1e8
"""Bytes that a reader takes beside its result: the libraries and one block of the file."""


@dataclass(frozen=True)
class Budget:
    """What a reader may take in memory."""

    limit: float
    """In bytes."""
    given: str
    """Where the limit comes from, for the message."""

    def check(self, name: str, rows: int, features: int, *, beside: float = 0.0, about: bool = False) -> None:
        """Refuse a table of rows x features float64 numbers (and ``beside`` bytes) that does not fit.

        Raises
        ------
        ValueError
            With what is needed and what may be taken.
        """
        # The result, a label and its code per row, and one truth value per number while values are compared.
        needed = rows * (8.0 * features + 16.0) + beside + OVERHEAD
        if needed > self.limit:
            size = f"{'about ' if about else ''}{rows:,} rows x {features:,} features"
            raise ValueError(
                f"{name} needs {readable(needed)} of memory ({size}), more than {readable(self.limit)} "
                f"({self.given}): give memory= a larger number of bytes, or a smaller file"
            )


def budget(memory: object = None) -> Budget:
    """The given number of bytes, or :data:`SHARE` of what is available now."""
    if memory is not None:
        return Budget(checks.real("memory", memory, above=0.0), "the memory given")
    free = available()
    return Budget(SHARE * free, f"{SHARE:.0%} of the {readable(free)} that are available")


def available(control: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")) -> float:
    """Bytes that this process may still take: what the system has, or its control group or its own limits leave."""
    import psutil

    room = min(float(psutil.virtual_memory().available), *_limits())
    for folder, limit, usage, file_cache in _groups(control, groups):
        try:
            most = float((folder / limit).read_text())  # "max", which is no number, is no limit
            used = float((folder / usage).read_text())
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue
        reclaimable = float(statistics.get(file_cache, 0))  # cached files count as used and are given up at need
        room = min(room, max(most - used + reclaimable, 0.0))
    return room


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


def _groups(control: Path, groups: Path) -> list[tuple[Path, str, str, str]]:
    """The folders that limit this process, of both versions of Linux's control groups."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:  # not Linux
        return []
    found = []
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if controllers == "":
            root, names = control, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = control / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        folder = root / own.strip("/")
        # Inside a container the own folder may not be visible: its limits then stand at the root.
        for place in [folder, *folder.parents]:
            if place == root or root in place.parents:
                found.append((place, *names))
    return found


def readable(size: float) -> str:
    """A number of bytes for people: 1.5 GB is 1.5e9 bytes."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"
