"""Numerical checks of theorems. Discovery is by folder.

A module ``verification/<study>_<name>.py`` holds ``CHECKS``, a tuple of :class:`Check`; a check named
``lemma3`` in a module of the study ``symmetry`` is ``symmetry/lemma3`` for ``learnability verify``. A new
statement touches no list.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from learnability.theory import Guarantee

__all__ = ["Check", "discover"]


@dataclass(frozen=True)
class Check:
    """One statement of a paper and how it is checked.

    Parameters
    ----------
    name : str
        The statement within its study, for instance ``"lemma3"``.
    source : str
        Paper and place.
    run : callable (scale) -> list of Guarantee
        ``scale`` is ``"smoke"`` (seconds, for tests) or ``"laptop"`` (the default). Must be deterministic.
    """

    name: str
    source: str
    run: Callable[[str], list[Guarantee]]


@cache
def discover() -> Mapping[str, Check]:
    """Every check in this folder by its id ``<study>/<name>``; modules in alphabetic order, checks in their
    own.

    Raises
    ------
    ValueError
        If two checks of a study have one name.
    """
    found: dict[str, Check] = {}
    for info in pkgutil.iter_modules(__path__):
        study, _, name = info.name.partition("_")
        if not study or not name:  # shared helpers have no study prefix
            continue
        for check in getattr(importlib.import_module(f"{__name__}.{info.name}"), "CHECKS", ()):
            identity = f"{study}/{check.name}"
            if identity in found:
                raise ValueError(f"two checks are named {identity!r}, one of them in {info.name}")
            found[identity] = check
    return found
