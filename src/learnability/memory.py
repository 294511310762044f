"""What memory there is: the one place that every limit and estimate of this package asks.

A process may have less than the machine: its control group may leave it less (containers, batch systems), and so may
``ulimit -v``, which counts what is mapped whether it is used or not.
"""

from __future__ import annotations

import errno
import math
import os

__all__ = ["address_space", "allowed", "available", "behind", "called", "ran_out", "readable", "told"]

CONTROL, GROUPS = "/sys/fs/cgroup", "/proc/self/cgroup"
"""Where Linux has control groups, and says which are a process's."""

SMALL = 2.0**26
"""Bytes that are had without looking, which takes a fifth of a millisecond."""


def available(control: str | os.PathLike[str] = CONTROL, groups: str | os.PathLike[str] = GROUPS) -> float:
    """Bytes that this process may still take: what the system has, or its control group or its own limits leave."""
    return min(room for room, _ in _rooms(str(control), str(groups)))


def _rooms(control: str = CONTROL, groups: str = GROUPS) -> list[tuple[float, str]]:
    """Bytes that the system and each limit leave, and what to say of it."""
    import psutil

    rooms = [(float(psutil.virtual_memory().available), "")]
    for option, allowed_in_all, left in _limits():
        rooms.append((left, f", of {readable(allowed_in_all)} by ulimit {option}"))
    for folder, most, usage, file_cache in _groups(control, groups):
        try:
            limit = float(_text(folder, most))  # "max", which is no number, is no limit
            used = float(_text(folder, usage))
            statistics = dict(line.split() for line in _text(folder, "memory.stat").splitlines())
            reclaimable = float(statistics.get(file_cache, 0))  # cached files count as used and are given up at need
        except (OSError, ValueError):
            continue
        rooms.append((max(limit - used + reclaimable, 0.0), f", of {readable(limit)} by its control group"))
    return rooms


def address_space() -> float:
    """Bytes that ``ulimit -v`` allows this process in all; infinite where there is no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return math.inf
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    return math.inf if most == resource.RLIM_INFINITY else float(most)


def allowed(usual: float, needed: float) -> float:
    """The usual limit for something, or what is available if that is less and it needs more than :data:`SMALL`."""
    return usual if needed <= SMALL else min(usual, available())


def called(usual: float, limit: float, name: str = "memory") -> str:
    """A limit in a message: the usual one by its name, or what is available."""
    return f"{name} = {usual:.3g} bytes" if limit == usual else f"the {readable(limit)} that are available"


_SAID = (
    "can't start new thread",  # Python: each thread has a stack
    "failed to map segment",  # the loader, of a library
    "cannot allocate memory",
    "bad_alloc",
    "RESOURCE_EXHAUSTED",  # JAX
)


def ran_out(error: BaseException) -> bool:
    """Whether memory, or room for threads, has run out, in the words of whichever library noticed it."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if type(error).__name__ == "OutOfMemoryException":  # DuckDB's
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError | ImportError | OSError) and any(word.lower() in said for word in _SAID)


def behind(error: BaseException) -> BaseException | None:
    """The error that says that memory has run out, if it is this one or the one that this one was made of."""
    seen: BaseException | None = error
    while seen is not None and not ran_out(seen):
        seen = seen.__cause__ or seen.__context__
    return seen


def told(error: BaseException) -> str:
    """What an error says was needed for which there was no memory, what there is, and by which limit."""
    said = str(error).partition("Possible solutions")[0]  # DuckDB's advice is for those who call it themselves
    needed = " ".join(said.split()) or "what was needed is not known"
    try:
        room, limit = min(_rooms())
    except Exception:  # there is not enough to look
        return f"out of memory: {needed}"
    if needed == _SAID[0]:
        return f"no thread can be started: {readable(room)} are available to this process{limit}{_processes()}"
    return f"out of memory: {needed}; {readable(room)} are available to this process{limit}"


def _processes() -> str:
    """How many processes and threads there may be, for a message."""
    try:
        import resource
    except ImportError:  # Windows
        return ""
    most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    return (
        ""
        if most == resource.RLIM_INFINITY
        else f", and its user may have {most:,} processes and threads (ulimit -u)"
    )


def readable(size: float) -> str:
    """A number of bytes for people: 1.5 GB is 1.5e9 bytes."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"


def _limits() -> list[tuple[str, float, float]]:
    """What ``ulimit -v`` and ``ulimit -d`` allow and leave: they count what is mapped, whether it is used or not."""
    try:
        import resource
    except ImportError:  # Windows
        return []
    import psutil

    mapped = psutil.Process().memory_info()
    found = []
    for option, kind, used in (
        ("-v", resource.RLIMIT_AS, mapped.vms),
        ("-d", resource.RLIMIT_DATA, getattr(mapped, "data", 0)),
    ):
        most, _ = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY:
            found.append((option, float(most), max(float(most) - used, 0.0)))
    return found


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
