"""What may fail without ending a sweep."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

from learnability import signals, sweep
from learnability.source import one_line

__all__ = ["FailureWarning", "attempt"]

T = TypeVar("T")


class FailureWarning(UserWarning):
    """A task failed, or a figure or its claims could not be made from what there is."""


def attempt(what: str, function: Callable[[], T], failures: list[str], *, tell: bool = True) -> T | None:
    """The function's value, or ``None`` and a line in ``failures``: shards outlive a faulty figure.

    What a signal has ended is no failure, whatever a library has made of it.
    """
    try:
        return function()
    except (Exception, SystemExit) as error:
        if signals.came() is not None or (sweep.debugging() and tell):
            raise
        failures.append(f"{what}: {one_line(error)}")
        if tell:
            warnings.warn(failures[-1], FailureWarning, stacklevel=3)
        return None
