"""What comes out of a sweep."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learnability import records, shown
from learnability.theory import Guarantee
from learnability.theory.guarantee import counts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Progress", "Result", "Unfinished", "word"]

_LONGEST = 120
"""Characters of a folder's name."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    ``work_done`` and ``work_total`` are in expected seconds of computing, so that they make a fair estimate
    of the time left where some tasks take long and others none.
    """

    label: str
    done: int
    total: int
    work_done: float
    work_total: float


@dataclass(frozen=True)
class Unfinished:
    """How far an experiment has come that is not finished.

    Parameters
    ----------
    cells, of : int
        Cells of which every seed has ended, and all cells. Table, figure and claims are of these cells alone.
    tasks : int
        How many tasks are missing.
    notes : list of str
        What could not be drawn or judged yet.
    """

    cells: int
    of: int
    tasks: int
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.cells} of {self.of} cells"

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"cells": self.cells, "of": self.of, "tasks": self.tasks, "notes": self.notes}


@dataclass(frozen=True)
class Result:
    """One experiment that was run.

    Parameters
    ----------
    id, scale : str
        What was run.
    seeds : int
        How many seeds.
    table : DataFrame
        Every row of every finished task: the setting's columns, ``seed``, and what was measured. Of an unfinished
        experiment, every row of its complete cells.
    figure : matplotlib Figure or None
        ``None`` if it could not be drawn.
    guarantees : list of Guarantee
        The figure's claims with their verdicts.
    tasks : dict
        How many tasks were ``"run"``, ``"cached"`` (finished before) and ``"failed"``, and are ``"missing"``.
    failures : list of str
        What failed, one line each; empty if all is well.
    seconds : float
        Computing time of the finished tasks, whenever they ran.
    files : list of Path
        The figure's files; empty where nothing was kept.
    table_file : Path or None
        The table as Parquet.
    recorded : Comparison
        The verdicts beside those that the study's record has for this computation.
    changed : mapping
        Free values that were set to something else than the scale's own.
    unfinished : Unfinished or None
        How far it has come where tasks are missing.
    mixture : list of str
        In what the processes differed that computed the rows, one line each; empty if in nothing.
    memory : int or None
        Most bytes that a process took that computed rows of it.
    """

    id: str
    scale: str
    seeds: int
    table: pd.DataFrame
    figure: Figure | None
    guarantees: list[Guarantee]
    tasks: dict[str, int]
    failures: list[str]
    seconds: float
    files: list[Path] = field(default_factory=list)
    table_file: Path | None = None
    recorded: records.Comparison = field(default_factory=records.Comparison)
    changed: Mapping[str, Any] = field(default_factory=dict)
    unfinished: Unfinished | None = None
    mixture: list[str] = field(default_factory=list)
    memory: int | None = None

    @property
    def place(self) -> str:
        """Scale and what was set, in words that are not too long: ``"laptop, n = 24"``."""
        values = (f"{name} = {shown.line(word(value), 60)}" for name, value in self.changed.items())
        return shown.line(", ".join([self.scale, *values]))

    @property
    def folder(self) -> str:
        """Name of its folder in that of the experiment: the scale, and what was set."""
        told = ",".join(f"{name}={word(value)}" for name, value in self.changed.items())
        if not told:
            return self.scale
        name = re.sub(r"[^\w.,=+-]", "-", f"{self.scale}+{told}")
        if len(name) <= _LONGEST:
            return name
        return f"{name[: _LONGEST - 9]}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"  # another may begin alike

    def __repr__(self) -> str:
        verdicts = counts(str(g.verdict) for g in self.guarantees)
        failed = f"; {len(self.failures)} failed" if self.failures else ""
        unfinished = f"; unfinished: {self.unfinished}" if self.unfinished else ""
        kept = f"; {self.files[0].parent}" if self.files else ""
        return (
            f"Result({self.id!r}, {self.place!r}, seeds={self.seeds}: {verdicts}; {self.recorded}{failed}"
            f"{unfinished}; table of {len(self.table)} rows{kept})"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON, with the keys of the command line's contract."""
        return {
            "id": self.id,
            "scale": self.scale,
            "seeds": self.seeds,
            "tasks": self.tasks,
            "table": None if self.table_file is None else str(self.table_file),
            "figures": [str(path) for path in self.files],
            "guarantees": [guarantee.to_json() for guarantee in self.guarantees],
            "failures": self.failures,
            "compute_seconds": self.seconds,
            "differs": self.recorded.differs,
            "set": {name: list(v) if isinstance(v, tuple) else v for name, v in self.changed.items()},
            "unfinished": self.unfinished and self.unfinished.to_json(),
            "mixture": self.mixture,
        }


def word(value: Any) -> str:
    """A free value as the command line takes it."""
    return ",".join(map(word, value)) if isinstance(value, tuple) else str(value)
