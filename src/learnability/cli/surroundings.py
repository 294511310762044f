"""Settings of the caller's shell that would break a command or change what it does, made harmless at its start.

None of them is the user's mistake: a stream that knows ASCII only, ``PYTHONWARNINGS=error`` left from a test run, a
home that cannot be written to.
"""

from __future__ import annotations

import os
import sys
import warnings

__all__ = ["settle"]


def settle() -> None:
    """Take the surroundings as they are, and let nothing in them stop what is asked for."""
    _open_streams()
    _calm_warnings()
    _quiet_libraries()


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
