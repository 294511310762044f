"""A laboratory for provable neural-network learning.

Nothing heavy is imported here: the attributes below load their module when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from learnability._version import __version__

if TYPE_CHECKING:
    from learnability.api import certify, certify_each, run, run_many, verify


__all__ = ["__version__", "certify", "certify_each", "run", "run_many", "verify"]

_LAZY = dict.fromkeys(("certify", "certify_each", "run", "run_many", "verify"), "learnability.api")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
