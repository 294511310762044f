"""Libraries that only some parts need: which they are, and how to say so before any work.

``pip install learnability`` brings what most of it needs; the rest are extras, ``pip install 'learnability[jax]'``. A
module that needs one imports it where it is used, and asks :func:`need` first. What is planned, as an experiment with
its settings or a check, declares its extras, and whoever starts it asks :func:`require` before anything has run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module, util
from typing import Any

from learnability import xla

__all__ = ["EXTRAS", "BrokenExtra", "MissingExtra", "absent", "broken", "need", "require", "told"]

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "jax": ("jax", "optax"),
    "cluster": ("distributed",),
    "data": ("pooch",),
    "torch": ("torch",),
}
"""The modules of each extra; versions are in ``pyproject.toml``."""


class MissingExtra(ImportError):
    """What was asked for needs an extra that is not installed; the message says how to get it.

    No wrong request: the same one is right where the extra is.
    """


class BrokenExtra(MissingExtra):
    """What was asked for needs an extra that is installed and does not work here; the message says why."""


def absent(extra: str) -> bool:
    """Whether a module of the extra is not installed."""
    return not all(map(_found, EXTRAS[extra]))


def _found(module: str) -> bool:
    try:
        spec = util.find_spec(module)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None  # a mere folder of that name has no origin


@cache
def broken(extra: str) -> str:
    """Why an extra that is installed does not work in this process; empty if it does. It is imported for this."""
    if absent(extra):
        return ""
    try:
        for module in EXTRAS[extra]:
            import_module(module)
        if extra == "jax":
            xla.start()
    except Exception as error:
        platforms = os.environ.get("JAX_PLATFORMS") if extra == "jax" else None
        where = f" (the environment has JAX_PLATFORMS={platforms})" if platforms else ""
        return f"{type(error).__name__}: {' '.join(str(error).split())}{where}"
    return ""


def need(extra: str, what: str) -> None:
    """Refuse what needs an extra that is not installed.

    Parameters
    ----------
    extra : str
        One of :data:`EXTRAS`.
    what : str
        What needs it, as its user calls it: ``"fetch_mnist"``.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    require({what: (extra,)})


def require(needs: Mapping[str, Sequence[str]]) -> None:
    """Refuse, in one line, whatever needs extras that are not installed, or do not work.

    Parameters
    ----------
    needs : mapping of str to sequence of str
        The extras of each thing that is to be done: ``{"residual/alpha": ("jax",)}``.

    Raises
    ------
    MissingExtra
        If one of them is not installed.
    BrokenExtra
        If one of them does not work.
    """
    if message := told(needs):
        lacking = next(iter(_lacking(needs, absent).values()))
        raise MissingExtra(message, name=next(module for module in EXTRAS[lacking[0]] if not _found(module)))
    if message := told(needs, tried=True):
        raise BrokenExtra(message)


def told(needs: Mapping[str, Sequence[str]], *, tried: bool = False) -> str:
    """The line for :func:`require`'s refusal, empty if all is there; ``tried`` also if something does not work."""
    if lacking := _lacking(needs, absent):
        extras = list(dict.fromkeys(extra for several in lacking.values() for extra in several))
        return (
            f"{_who(lacking)} the extra{'s'[: len(extras) > 1]} {_and(extras)}, not installed here: "
            f"python -m pip install 'learnability[{','.join(extras)}]'"
        )
    if tried and (lacking := _lacking(needs, broken)):
        extra = next(iter(lacking.values()))[0]
        return f"{_who(lacking)} the extra {extra}, which does not work here: {broken(extra)}"
    return ""


def _lacking(needs: Mapping[str, Sequence[str]], test: Callable[[str], Any]) -> dict[str, list[str]]:
    """Those extras of each thing that a test finds, of those that have any."""
    found = {what: list(filter(test, extras)) for what, extras in needs.items()}
    return {what: extras for what, extras in found.items() if extras}


def _who(lacking: Mapping[str, object]) -> str:
    first, *others = lacking
    who = f"{first} and {len(others)} more" if len(others) > 3 else _and(list(lacking))
    return f"{who} need{'' if others else 's'}"


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
