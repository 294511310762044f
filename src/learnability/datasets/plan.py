"""What is wanted of the columns of a source, and why some cannot be had."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.datasets.labels import listed, short
from learnability.datasets.source import NUMBER, OTHER, TEXT, WRITTEN, Reading, Source
from learnability.errors import RequestError

__all__ = ["Part", "not_numbers", "plan_of"]

NAMED = 10_000
"""Names among which the nearest to a wrong one is looked for."""


class Part(NamedTuple):
    """What is wanted of one group."""

    group: int
    use: str
    """"label", "numbers" or "categories"."""
    kept: NDArray[np.intp]
    """Which of its columns: a single one, where they are no numbers."""
    names: tuple[str, ...]


def plan_of(source: Source, label: str, reading: Reading) -> list[Part]:
    """Which groups are read, and as what."""
    names = [name for group in source.groups for name in group.names]
    _check_names(source.name, names, label, reading)
    dropped, categories = set(reading.drop), set(reading.one_hot)
    plan, other = [], []
    for g, group in enumerate(source.groups):
        apart = [j for j, name in enumerate(group.names) if name == label or name in categories]
        for j in apart:
            name = group.names[j]
            if group.kind == OTHER:
                use = "labels" if name == label else "categories"
                raise RequestError(
                    f"{source.name} must hold numbers, text or truth values as {use}, got {group.what} in "
                    f"{short(name)}"
                )
            plan.append(Part(g, "label" if name == label else "categories", np.array([j]), (name,)))
        if group.spare:
            continue
        left = [j for j, name in enumerate(group.names) if name not in dropped and j not in apart]
        kept = np.array(left, dtype=np.intp)
        if not len(kept):
            continue
        if group.kind not in (NUMBER, WRITTEN):
            other.append((group.names[0], group.what or "text", group.kind == TEXT))
        plan.append(Part(g, "numbers", kept, tuple(group.names[j] for j in kept)))
    if other:
        raise not_numbers(source.name, other)
    if len(plan) == 1:
        raise RequestError(f"{source.name} must have a feature column beside the label {short(label)}, got none")
    return plan


def _check_names(source: str, names: Sequence[str], label: str, reading: Reading) -> None:
    """Every column has a name of its own; the label and what is to be dropped or split are among them."""
    nameless = [j + 1 for j, name in enumerate(names) if not name]
    if nameless:
        raise RequestError(f"{source} must name every column, got none for column {nameless[0]} (an index, perhaps?)")
    seen: set[str] = set()
    twice = [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    if twice:
        raise RequestError(
            f"{source} must name every column differently, got {listed(list(dict.fromkeys(twice)))} twice"
        )
    wanted = [("label", label), *(("drop", name) for name in reading.drop)]
    for option, name in [*wanted, *(("one_hot", name) for name in reading.one_hot)]:
        if name in seen:
            continue
        close = difflib.get_close_matches(name, names[:NAMED], 1, 0.75)
        hint = f"; did you mean {short(close[0])}?" if close else ""
        purpose = "for the label" if option == "label" else f"to {option.replace('_', '-')}"
        raise RequestError(f"{source} has no column {short(name)} {purpose}, only {listed(names)}{hint}")
    if label in {*reading.drop, *reading.one_hot}:
        raise RequestError(f"label must be a column of its own, got {short(label)}, which is also dropped or split")


def not_numbers(source: str, columns: Sequence[tuple[str, str, bool]], *, otherwise: bool = False) -> RequestError:
    """The error for columns that hold something else: name, what was found, whether they may be categories."""
    which = ", ".join(f"{short(name)} ({found})" for name, found, _ in columns[:8])
    more = f" and {len(columns) - 8:,} more" if len(columns) > 8 else ""
    split = " or, of categories, turn them into columns of 0 and 1 (one_hot)" if any(c for *_, c in columns) else ""
    written = "; decimal and thousands say how numbers are written" if otherwise else ""
    return RequestError(
        f"{source} must hold numbers in every column but the label's, got other values in {which}{more}: "
        f"leave these columns out (drop){split}{written}"
    )
