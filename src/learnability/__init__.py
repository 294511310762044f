"""A laboratory for provable neural-network learning.

Nothing heavy is imported here: the attributes below, and the package's modules, are loaded when they are first used.
"""

from __future__ import annotations

import importlib

from learnability._version import __version__

TYPE_CHECKING = False  # typing's, which takes a while to import: until then a signal ends without a line
if TYPE_CHECKING:
    from typing import Any

    from learnability.api import certify, certify_each, run, run_many, verify


__all__ = ["__version__", "certify", "certify_each", "run", "run_many", "verify"]

_LAZY = {
    **dict.fromkeys(("run", "run_many", "verify"), "learnability.api"),
    **dict.fromkeys(("certify", "certify_each"), "learnability.certifying"),
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if not name.startswith("_"):
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
