"""Errors name the parameters of Python; on the command line they name what can be typed there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from learnability.errors import RequestError

__all__ = ["SEPARATORS", "character", "options_in_errors", "typed"]

SEPARATORS = {"tab": "\t", "space": " ", "comma": ",", "semicolon": ";", "point": ".", "none": ""}
"""Words for characters that shells make hard to type."""

_OPTIONS = (
    "label", "drop", "drop_missing", "one_hot", "positive", "separator", "header", "decimal", "thousands", "quote",
    "memory", "width", "slope", "step", "delta", "scale", "bias", "test", "repeats", "seed", "budget", "out",
)  # fmt: skip
_NAME = "|".join(sorted(_OPTIONS, key=len, reverse=True))
_MENTIONED = re.compile(
    rf"""
      (?P<quoted> (?<!\w)'(?:[^'\\]|\\.)*'(?!\w) | (?<!\w)"(?:[^"\\]|\\.)*"(?!\w) )  # of the user, not of ours
    | (?P<path> \Apath (?=\ must\ ) )
    | (?P<assigned> \b(?:{_NAME}) (?==) ) =\ ?
    | (?P<name>
        \b(?:drop_missing|one_hot|decimal|thousands)\b   # no words of prose
      | \A(?:each\ of\ )?(?:{_NAME}) (?=\ must\ |\ is\ for\ )
      | \b(?:{_NAME}) (?=\ says\ |\ leaves\ out\ )
      | (?<=\() (?:{_NAME}) (?=\))
      )
    """,
    re.VERBOSE,
)


def typed(message: str) -> str:
    """A message with its parameters as options; what is quoted in it stays as it is.

    Parameters are told from words by where they stand: "width must be", "(drop)", "memory= a larger number".

    Examples
    --------
    >>> typed("t.csv has 'drop must', got a label: drop leaves out columns, or categories (one_hot)")
    "t.csv has 'drop must', got a label: --drop leaves out columns, or categories (--one-hot)"
    """
    return _MENTIONED.sub(_option, message)


def _option(found: re.Match[str]) -> str:
    if found["quoted"]:
        return found["quoted"]
    if found["path"]:
        return "FILE"
    if found["assigned"]:
        return f"--{found['assigned'].replace('_', '-')} "
    before, _, name = found["name"].rpartition(" ")
    if name == "header":
        return "--header or --no-header"
    return f"{before}{before and ' '}--{name.replace('_', '-')}"


@contextmanager
def options_in_errors() -> Iterator[None]:
    """Errors of the API in the words of the command line."""
    try:
        yield
    except RequestError as error:
        raise RequestError(typed(str(error))) from error


def character(given: str | None) -> str | None:
    """One character, which a word may stand for."""
    return SEPARATORS.get(given, "\t" if given == r"\t" else given) if given is not None else None
