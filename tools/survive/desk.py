"""A place to work: quiet runs to compare with, blows counted, and the same command again after each."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tools.survive.processes import Ended, Process, forked, fresh
from tools.survive.watched import Watch

__all__ = ["Desk", "Sweep", "Tally"]

CELLS = Path(__file__).with_name("cells.py")
FILES = ("figure.pdf", "figure.png", "table.parquet", "verdicts.json", "verdicts.md")
VOLATILE = ("date", "seconds", "memory", "tasks", "generation", "sha256")
"""Of the manifest: when, how long, how many of them were cached, and what vouches for that."""
QUIET = 3600.0
"""Seconds that an undisturbed run may take."""


@dataclass(frozen=True)
class Sweep:
    """What is run: the cells' free values, and how."""

    cells: int = 12
    work: int = 100
    pause: float = 0.0
    fate: str = ""
    bad: int = 0
    rows: int = 3
    workers: int = 1
    seeds: int = 3
    more: tuple[str, ...] = ()

    @property
    def tasks(self) -> int:
        """How many."""
        return self.cells * self.seeds

    def arguments(self, out: Path) -> list[str]:
        """The command's."""
        values = {name: getattr(self, name) for name in ("cells", "work", "pause", "fate", "bad", "rows")}
        chosen = [part for name, value in values.items() if value != "" for part in ("--set", f"{name}={value}")]
        how = ["--workers", str(self.workers)] if "--scheduler" not in self.more else []
        return ["run", "cells.py", "--out", str(out), "--json", "--seeds", str(self.seeds), *how, *chosen, *self.more]


@dataclass
class Tally:
    """What came of one sort of blow."""

    kind: str
    blow: str
    tried: int = 0
    same: int = 0
    again: int = 0
    """Cells that were finished more than once in one trial, at most."""
    litter: Counter[str] = field(default_factory=Counter)
    """Files that were left and are nobody's: trials, by the first of them."""
    faults: Counter[str] = field(default_factory=Counter)
    note: str = ""

    def count(self, faults: list[str]) -> None:
        """One trial and what was wrong in it."""
        self.tried += 1
        litter = [fault.removeprefix("litter: ") for fault in faults if fault.startswith("litter: ")]
        faults = [fault for fault in faults if not fault.startswith("litter: ")]
        self.same += not faults
        self.faults.update(map(_sort, faults[:1]))
        self.litter.update(map(_sort, litter[:1]))

    def __str__(self) -> str:
        wrong = "".join(f"; {count} x {fault}" for fault, count in self.faults.most_common())
        litter = "".join(f"; {count} x {name} left" for name, count in self.litter.items())
        told = f"{self.kind}, {self.blow}: {self.same} of {self.tried} the same bytes, {self.again} cells again"
        return f"{told}{wrong}{litter}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "faults": dict(self.faults), "litter": dict(self.litter)}


class Desk:
    """A folder in which everything happens.

    Parameters
    ----------
    place : Path
        An empty folder.
    form : {"full", "short"}
        How much is done.
    seed : int
        Of all that is drawn: moments, bits, numbers of operations.
    share : float
        As much of the form, but of nothing less than once.
    cells : int
        Of the trial as a group would.
    """

    def __init__(
        self, place: Path, form: str = "short", seed: int = 0, share: float = 1.0, cells: int = 10_000
    ) -> None:
        self.form, self.share, self.cells = form, share, cells
        self.place = place.resolve()
        self.home = self.place / "home"
        self.home.mkdir(parents=True)
        shutil.copy(CELLS, self.home / "cells.py")
        self.seed, self.number = seed, 0
        self.known: dict[tuple[Any, ...], Lasting] = {}

    def size(self, sizes: Mapping[str, Sequence[int]]) -> list[int]:
        """How often, of what a kind has for each form."""
        return [max(1, round(self.share * size)) if size else 0 for size in sizes[self.form]]

    def random(self, *names: Any) -> random.Random:
        """A generator of its own for whatever the names say."""
        return random.Random(hashlib.sha256(repr((self.seed, *names)).encode()).digest())

    def trial(self, sweep: Sweep) -> Trial:
        """A fresh output folder and a file that tells what ran."""
        self.number += 1
        place = self.place / f"trial{self.number}"
        place.mkdir()
        return Trial(self, sweep, place)

    def quiet(self, sweep: Sweep) -> Lasting:
        """What an undisturbed run of the same cells gives, on one worker."""
        key = tuple(getattr(sweep, name) for name in ("cells", "work", "pause", "fate", "bad", "rows", "seeds"))
        if key not in self.known:
            plain = replace(sweep, workers=1, more=())
            with self.trial(plain) as trial:
                Path(f"{trial.told}.once").touch()  # the cell that kills its first worker has done so
                ended = trial.forked(Watch(str(trial.out), ahead=True)).wait(QUIET)
                if ended.status != (1 if sweep.fate == "fails" else 0) or (ended.complaint and not sweep.fate):
                    raise RuntimeError(f"a quiet run ended with {ended.status}: {ended.err[-2000:]}")
                self.known[key] = Lasting.of(trial.out)
        return self.known[key]


@dataclass(frozen=True)
class Lasting:
    """What must not depend on what happened: bytes by name, and the manifest without what changes."""

    files: Mapping[str, bytes]
    manifest: Mapping[str, Any]

    @classmethod
    def of(cls, out: Path) -> Lasting:
        """What is in the only result of an output folder."""
        places = [path for path in (out / "cells" / "figure").glob("*") if path.is_dir()]
        if len(places) != 1:
            raise FileNotFoundError(f"{len(places)} results")
        files = {name: (places[0] / name).read_bytes() for name in FILES if (places[0] / name).exists()}
        manifest = json.loads((places[0] / "manifest.json").read_bytes())
        return cls(files, {name: value for name, value in manifest.items() if name not in VOLATILE})

    def differences(self, other: Lasting) -> list[str]:
        """A line for each file or entry of the manifest that is not the same."""
        lines = [
            f"{name} {'is missing' if name not in other.files else 'differs'}"
            for name in FILES
            if self.files.get(name) != other.files.get(name)
        ]
        keys = dict.fromkeys([*self.manifest, *other.manifest])
        return lines + [
            f"the manifest's {key} differs" for key in keys if self.manifest.get(key) != other.manifest.get(key)
        ]


class Trial:
    """One output folder, what is done to it, and what comes of it; removed at the end of ``with``."""

    def __init__(self, desk: Desk, sweep: Sweep, place: Path) -> None:
        self.desk, self.sweep, self.place = desk, sweep, place
        self.out, self.told = place / "out", place / "told"
        self.runs = 0

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.place, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """What tells cells where to tell."""
        return {"SURVIVE_TALLY": str(self.told)}

    def forked(self, watch: Watch | None = None, sweep: Sweep | None = None) -> Process:
        """Start the command, forked."""
        self.runs += 1
        arguments = (sweep or self.sweep).arguments(self.out)
        return forked(arguments, self.desk.home, self.place / f"run{self.runs}", self.environment, watch)

    def started(self, sweep: Sweep | None = None) -> Process:
        """Start the command as a user does in the full form, forked in the short one."""
        return self.fresh(sweep) if self.desk.form == "full" else self.forked(sweep=sweep)

    def fresh(self, sweep: Sweep | None = None, more: Mapping[str, str] = {}) -> Process:
        """Start the command as a user does."""
        self.runs += 1
        arguments = (sweep or self.sweep).arguments(self.out)
        return fresh(arguments, self.desk.home, self.place / f"run{self.runs}", {**self.environment, **more})

    def finished(self) -> int:
        """How many cells have been finished, all attempts counted."""
        return self.told.read_bytes().count(b")") if self.told.exists() else 0

    def again(self, tally: Tally, started: Process | None = None) -> list[str]:
        """The same command once more: what is wrong with how it ends and with what is there then."""
        if started is None:
            # Local workers have clocks of their own.
            started = self.forked(Watch(str(self.out), ahead=self.sweep.workers == 1 and not self.sweep.more))
        ended = started.wait()
        wrong = self.wrong(ended)
        if ended.status == 0:
            tally.again = max(tally.again, self.finished() - self.sweep.tasks)
        return wrong

    def wrong(self, ended: Ended, status: int = 0) -> list[str]:
        """What is wrong with how a run ended that was to be complete."""
        if ended.hung or "Traceback" in ended.err:
            return [ended.complaint]
        if ended.status != status:
            return [f"status {ended.status}: {ended.err.strip().splitlines()[-1] if ended.err.strip() else ''}"]
        if ended.complaint:
            return [ended.complaint]
        try:
            (told,) = json.loads(ended.out)["experiments"]
            if sum(told["tasks"].values()) != self.sweep.tasks:
                return [f"tasks {told['tasks']}"]
        except ValueError:
            return ["stdout is no JSON"]
        try:
            wrong = self.desk.quiet(self.sweep).differences(Lasting.of(self.out))
        except (OSError, ValueError) as error:
            return [f"the result is not there: {error}"]
        return wrong + [f"litter: {path.name}" for path in self.out.rglob(".*") if path.is_file()]


def _sort(fault: str) -> str:
    """The fault without what differs from one trial to the next."""
    fault = re.sub(r"/\S*/", ".../", fault)
    fault = re.sub(r"\b[0-9a-f]{12,}\b", "...", fault)
    return re.sub(r"\d+", "#", fault)[:200]
