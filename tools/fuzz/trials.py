"""One input read, and what is asked of that: a table or one line that names the file, and no memory, in no time."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np

from learnability import records, report, shown
from learnability.datasets import read_table
from learnability.results import read_json
from learnability.sections import read_section
from learnability.theory.guarantee import counts
from tools.fuzz.mutations import Input
from tools.fuzz.seeds import seeds

__all__ = ["LONGEST", "MEMORY", "Trial", "tried"]

MEMORY = 2e8
"""What reading is given."""
LONGEST = 2000
"""Characters of a message."""


class Trial(NamedTuple):
    """What came of an input."""

    outcome: str
    """"accepted", "refused" or "failed"."""
    seconds: float
    """Of the processor, whatever else the machine does."""
    why: str = ""
    """The message, or what is wrong."""
    where: str = ""
    """A traceback, if there is one."""


def tried(case: Input, folder: Path) -> Trial:
    """Write the input into the folder and read it."""
    read = _read_back if case.kind == "json" else _read_table
    path = folder / case.name
    start, unraised = process_time(), []
    hook, sys.unraisablehook = sys.unraisablehook, lambda told: unraised.append(repr(told.exc_value))
    try:
        trial = _tried(read, case, path, start)
    finally:
        sys.unraisablehook = hook
    if unraised and trial.outcome != "failed":  # files that are left open
        return Trial("failed", trial.seconds, f"not raised: {unraised[0]}", trial.why)
    return trial


def _tried(read: Callable[[Input, Path], str], case: Input, path: Path, start: float) -> Trial:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            wrong = read(case, path)
    except ValueError as error:
        seconds = process_time() - start
        # These are ValueErrors too, and never meant for a reader.
        wrong = "a UnicodeError" if isinstance(error, UnicodeError) else _message(str(error), path.name)
        if not wrong:
            return Trial("refused", seconds, str(error))
        return Trial("failed", seconds, f"{wrong}: {str(error)[:300]!r}", traceback.format_exc(limit=-12))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        why = f"{type(error).__name__}: {str(error)[:300]!r}"
        return Trial("failed", process_time() - start, why, traceback.format_exc(limit=-12))
    seconds = process_time() - start
    return Trial("failed", seconds, wrong) if wrong else Trial("accepted", seconds)


def _message(message: str, name: str) -> str:
    if len(message) >= LONGEST:
        return f"a message of {len(message):,} characters"
    if not message.isprintable():
        return "a message with characters that are not shown"
    named = shown.line(name) in message or shown.quoted(name)[1:-1] in message
    return "" if named else "a message that does not name the file"


def _read_table(case: Input, path: Path) -> str:
    path.write_bytes(case.content)
    table = read_table(path, case.label, memory=MEMORY, **case.reading)
    X, y = table.X, table.y
    if X.dtype != np.float64 or X.ndim != 2 or not np.isfinite(X).all() or not X.flags.c_contiguous:
        return f"X is {X.dtype} of shape {X.shape}, finite: {np.isfinite(X).all()}"
    if y.shape != (len(X),) or not np.isin(y, (-1.0, 1.0)).all() or len(table.feature_names) != X.shape[1]:
        return f"y has shape {y.shape}, X {X.shape}, and there are {len(table.feature_names)} names"
    if len(table.classes) != 2 or not all(isinstance(note, str) for note in table.notes):
        return f"classes {table.classes!r}, notes {table.notes!r}"
    return ""


def _read_back(case: Input, path: Path) -> str:
    """As a manifest, as verdicts, as a study's record and as any JSON."""
    place = path.parent
    path.write_bytes(case.content)
    if case.label in ("manifest", "verdicts"):
        for seed in seeds("json")[:2]:
            (place / f"{seed.label}.json").write_bytes(case.content if seed.label == case.label else seed.content)
        try:
            section = read_section(place)
        except ValueError as error:
            raise ValueError(f"{shown.line(path.name)}: {_own(str(error), place)}") from None
        table = report.verdict_markdown(section.guarantees)
        counts(g["verdict"] for g in section.guarantees)
        if not all(line.isprintable() for line in table.split("\n")):
            return "a table with characters that are not shown"
        return "" if table.count("\n") == len(section.guarantees) + 2 else "a table whose lines are broken"
    if case.label == "record":
        try:
            records._read.__wrapped__(path, 0)  # without its cache
        except ValueError as error:
            raise ValueError(f"{shown.line(path.name)}: {error}") from None
        return ""
    try:
        read_json(path)
    except ValueError as error:  # its callers name the file
        raise ValueError(f"{shown.line(path.name)}: {str(error).splitlines()[0] if str(error) else ''}") from None
    return ""


def _own(message: str, place: Path) -> str:
    """The message, if it names the folder."""
    return message if str(place) in message else f"{message}\n(the folder is not named)"
