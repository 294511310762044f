"""Settings of the caller's shell that would break a command or change what it does, made harmless at its start.

None of them is the user's mistake: a stream that knows ASCII only, ``PYTHONWARNINGS=error`` left from a test run, a
home that cannot be written to, a limit below what libraries take.
"""

from __future__ import annotations

import math
import os
import sys
import warnings

from learnability import memory
from learnability.cli.terminal import Stopped

__all__ = ["NEEDS", "make_room", "settle"]

NEEDS = {
    **dict.fromkeys(("list", "explain", "record", "new"), 340),
    "report": 140,
    "verify": 600,
    "run": 900,
    "certify": 900,
}
"""MB of address space with which a command does the least of work, with one thread of linear algebra.

With less, libraries do not load, end the process, or wait for memory without end (OpenBLAS, in its first call).
"""

THREAD = 84
"""MB that each further thread of linear algebra takes: NumPy and SciPy have an OpenBLAS each."""


def settle() -> None:
    """Take the surroundings as they are, and let nothing in them stop what is asked for."""
    _open_streams()
    _calm_warnings()
    _quiet_libraries()


def make_room(command: str) -> None:
    """Refuse a command whose libraries do not fit into what ``ulimit -v`` allows: some of them end the process.

    OpenBLAS takes room for as many threads as there are cores when it is loaded, and ends the process where that is
    not there. It gets no more of them than half of what the limit leaves has room for.

    Raises
    ------
    Stopped
        With both numbers.
    """
    room, needed = memory.address_space(), NEEDS.get(command, 0) * 1e6
    if room == math.inf:
        return
    if room < needed:
        raise Stopped(
            f"`learnability {command}` needs {memory.readable(needed)} of address space at least; ulimit -v allows "
            f"{memory.readable(room)}",
            1,
        )
    fitting = 1 + int((room - needed) / 2 / (THREAD * 1e6))
    if fitting >= (os.cpu_count() or 1):
        return
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        given = os.environ.get(name, "")
        if given.isdecimal() and int(given) > 0:
            fitting = min(fitting, int(given))
            break
    os.environ["OPENBLAS_NUM_THREADS"] = str(fitting)


def _open_streams() -> None:
    """Give each stream somewhere to go, and a way to write what its encoding does not have."""
    for name in ("stdout", "stderr"):
        # A stream that the caller has closed (`>&-`) is none at all to Python.
        stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        setattr(sys, name, stream)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _calm_warnings() -> None:
    """Let no warning be an error, here and in processes that are started: none says that a result is wrong."""
    kept = [option for option in sys.warnoptions if not _is_strict(option)]
    if kept == sys.warnoptions:
        return
    sys.warnoptions[:] = kept
    os.environ["PYTHONWARNINGS"] = ",".join(kept)
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)  # as Python does without any option


def _is_strict(option: str) -> bool:
    action = option.partition(":")[0].strip()
    return bool(action) and "error".startswith(action)  # Python takes abbreviations


def _quiet_libraries() -> None:
    """Keep matplotlib from telling that it cannot keep its list of fonts: it makes do without, and so do we.

    No command opens a window. A backend that a notebook has left could not be loaded, not even by a user's file.
    """
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    os.environ["MPLBACKEND"] = "agg"
