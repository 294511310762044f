"""How Dask is spoken to: is there a scheduler, what its workers are told, and what its errors mean."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from learnability.source import one_line

__all__ = ["EXPRESSION", "fate", "place", "probe", "quietened", "why"]

_DOOR = """
def enter(name, texts, what, message):
    import sys, types
    place = sys.modules.get(name)
    if place is None:
        place = types.ModuleType(name)
        for text in texts:
            exec(text, place.__dict__)
        place = sys.modules.setdefault(name, place)
    return getattr(place, what)(message)
"""

EXPRESSION = "exec(door, place) or place['enter'](name, texts, what, message)"
"""What Dask's workers evaluate: a function by its name would have to be there, and the same."""


def place(what: str, message: Any) -> dict[str, Any]:
    """What the expression is evaluated with, for a function of :mod:`learnability.sweep.host` and its argument."""
    name, texts = _texts()
    return {"door": _DOOR, "place": {}, "name": name, "texts": texts, "what": what, "message": message}


async def probe(address: str, seconds: float) -> None:
    """Ask whoever listens there whether he is a Dask scheduler.

    Raises
    ------
    Exception
        Of any kind, if not.
    """
    from distributed.comm.core import connect
    from distributed.security import Security

    arguments = Security().get_connection_args("client")
    comm = await connect(address, timeout=seconds, **arguments)
    try:
        await comm.write({"op": "identity", "reply": True})
        found = await comm.read()
    finally:
        comm.abort()
    if not isinstance(found, Mapping) or found.get("type") != "Scheduler":
        kind = found.get("type", "something else") if isinstance(found, Mapping) else "something else"
        raise ValueError(f"what answers there is a Dask {kind}")


def why(error: BaseException, seconds: float) -> str:
    """Why there is no scheduler."""
    if isinstance(error, TimeoutError):
        return f"what listens there has not answered as one within {seconds:g} s"
    if isinstance(error, OSError | ValueError | TypeError):
        return " ".join(str(error).split()) or type(error).__name__
    return "what listens there does not speak as one"  # its first bytes, taken for lengths, are too much memory


def fate(error: Exception) -> tuple[str, str]:
    """What Dask's error says of a load."""
    kind = type(error).__name__
    if kind == "KilledWorker":
        return "gone", "with its Dask worker"
    if "Cancelled" in kind or isinstance(error, OSError):
        return "lost", ""
    return "unborn", one_line(error)


def quietened() -> dict[logging.Logger, int]:
    """Keep Dask from logging tracebacks where a scheduler goes away: there is one line of ours. The levels before."""
    import distributed.client  # noqa: F401 - its import sets levels

    known = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    levels = {logger: logger.level for logger in known if logger.level}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    from distributed.versions import VersionMismatchWarning

    warnings.filterwarnings("ignore", category=VersionMismatchWarning)  # what matters is compared by ourselves
    warnings.filterwarnings("ignore", message="Sending large graph", module="distributed")
    return levels


@cache
def _texts() -> tuple[str, list[str]]:
    """The modules that Dask's workers are given as text, and a name for them."""
    texts = [(Path(__file__).parent / name).read_text("utf-8") for name in ("process.py", "host.py")]
    return f"_learnability_host_{hashlib.sha256(''.join(texts).encode()).hexdigest()[:16]}", texts
