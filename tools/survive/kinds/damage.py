"""Damage: every truncation and every flipped bit of every kind of file, before a run, during it, before a report.

First every one of them is given to what reads such files: it must refuse them, or give what stood there. Then places
that are drawn with a fixed seed are damaged and the command is run. A run must give the table and the verdicts of a
quiet one, and must not believe what else stands in a damaged file (times, versions); what is damaged while it runs,
after it was looked through, counts as much. A report must be the quiet one, or leave out the damaged result in a line
and show the others as they were. It all happens in one process, which a fault may cost.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from learnability import results
from learnability.results import generation
from tools.survive import processes
from tools.survive.desk import Desk, Tally

SIZES = {"full": (1_000_000, 2000), "short": (40, 4)}
"""Ways to damage a file that are given to its reader, and to a command, at most; all where there are fewer."""
PLAIN = '''"""The cells without a figure."""

from cells import claims, run, settings

from learnability.study import Experiment, Scale

EXPERIMENT = Experiment(title="Plain", run=run, claims=claims, scales=Scale(settings, 3, 3))
'''
RESULTS = ("table.parquet", "figure.png", "figure.pdf", "verdicts.json", "verdicts.md", "manifest.json")


def tried(desk: Desk) -> Iterator[Tally]:
    """The blows."""
    (desk.home / "plain.py").write_text(PLAIN)
    blows = [(kind, "before a run") for kind in ("shard", "sidecar", "old shard", "old sidecar")]
    blows += [(kind, "during a run") for kind in ("shard", "old shard")]
    blows += [(kind, "before a report") for kind in RESULTS]
    read, run = desk.size(SIZES)
    for kind, when in blows:
        yield _damaged(desk, read, kind, f"{when}, as it is read")
    for kind, when in blows if desk.form == "full" else blows[1::4]:
        yield _damaged(desk, run, kind, when)


def _damaged(desk: Desk, most: int, kind: str, when: str) -> Tally:
    """Damage of one kind of file, in one process; another if it dies of it."""
    tally = Tally("damage", f"{kind}, {when}")
    place = desk.place / f"damage {kind} {when}"
    place.mkdir()
    told, start = place / "told", 0
    while True:
        context = multiprocessing.get_context("forkserver")
        with processes._as_environment():
            context.set_forkserver_preload([*processes.HEAVY])
            child = context.Process(
                target=work, args=(str(desk.home), str(place), kind, when, most, desk.seed, start)
            )
            child.start()
        child.join()
        lines = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
        for line in lines[start:]:
            if isinstance(line, str):
                tally.note = line
            else:
                tally.count(line)
        if child.exitcode == 0:
            break
        if len(lines) <= start:
            raise RuntimeError(f"damage to the {kind} {when} cannot be tried: {(place / 'err').read_text()[-2000:]}")
        tally.count([f"the process died with {child.exitcode}"])
        start = len(lines)
    shutil.rmtree(place)
    return tally


def work(home: str, place: str, kind: str, when: str, most: int, seed: int, start: int) -> None:
    """Damage one file in one way after the other, and write a line about each; from number ``start`` on."""
    with open(Path(place) / "err", "w") as errors, redirect_stderr(errors):
        os.chdir(home)
        bench = Bench(Path(place), kind, when)
        if bench.reading:
            generation._PAUSE = 0.0  # nobody else is writing
        ways, note = bench.ways(most, Desk.random(_Seeded(seed), kind, when))
        with open(Path(place) / "told", "a", buffering=1) as told:
            if start == 0:
                print(json.dumps(note), file=told)
            for way in ways[max(start - 1, 0) :]:
                print(json.dumps(bench.trial(way)), file=told)


class _Seeded:
    def __init__(self, seed: int) -> None:
        self.seed = seed


class Bench:
    """A folder of results in which one file is damaged again and again."""

    def __init__(self, place: Path, kind: str, when: str) -> None:
        self.kind, self.when = kind, when
        self.out, self.spare = place / "out", place / "spare"
        self.reporting = when.startswith("before a report")
        self.reading = when.endswith("as it is read")
        for one in (self.out, self.spare):
            shutil.rmtree(one, ignore_errors=True)
        made = place.parent / f"made for {'a report' if self.reporting else kind}"
        if made.exists():
            shutil.copytree(made, self.out)
        else:
            self.make()
            shutil.copytree(self.out, made)
        shutil.copytree(self.out, self.spare)
        result = next((self.out / ("cells" if self.reporting else "plain") / "figure").glob("*cells=2*"))
        tasks = sorted((self.out / "tasks").rglob("*.parquet" if "shard" in kind else "*.json"))
        self.file = result / kind if self.reporting else tasks[0]
        self.content = self.file.read_bytes()
        self.told = self.run() if not self.reporting else {}
        self.whole = self.snapshot()
        self.store = results.Store(self.out)
        self.held = self.read()

    def make(self) -> None:
        """What is damaged."""
        self.run()
        if self.kind.startswith("old"):
            self.age()
            self.run()
        elif self.reporting:
            self.run({"cells": 4})
            _command("report", "--out", str(self.out))

    def run(self, values: Mapping[str, Any] = {"cells": 2}, meanwhile: Any = None) -> dict[str, Any]:
        """A run of the API, with what it says of itself."""
        import learnability

        def once(_: object) -> None:
            nonlocal meanwhile
            if meanwhile:
                meanwhile()
            meanwhile = None

        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            name = "cells.py" if self.reporting else "plain.py"
            result = learnability.run(name, out=self.out, set={"work": 1, **values}, on_progress=once)
        return {**result.to_json(), "warnings": [str(warning.message) for warning in said]}

    def age(self) -> None:
        """Store the tasks as the first version did: a shard and a sidecar each."""
        from tools.survive.old import store

        store(self.out, "plain.py", {"work": 1, "cells": 2})

    def snapshot(self) -> dict[str, bytes]:
        """What must not change: the result without its manifest, or the report."""
        if self.reporting:
            names = ["report.md", "report.html"]
            return {name: (self.out / name).read_bytes() for name in names}
        place = self.file.parents[3] / "plain" / "figure"
        return {p.name: p.read_bytes() for p in place.rglob("*") if p.is_file() and p.name != "manifest.json"}

    def read(self, inventory: Any = None) -> dict[str, Any]:
        """What the readers of such files make of them: rows of tasks by key, or a result's files."""
        if self.reporting:
            found = generation.read(self.file.parent, RESULTS)
            return {**found.content, "manifest": found.manifest, "vouched": found.vouched}
        found = inventory or self.store.look("plain/figure")
        return {key: found.read([key]).to_csv() for key in sorted(found.seconds)}

    def ways(self, most: int, draw: Any) -> tuple[list[tuple[str, int, int]], str]:
        """Truncations and flipped bits, all or as many as may be."""
        size = len(self.content)
        every = [("cut", length, 0) for length in range(size)]
        every += [("flip", at, bit) for at in range(size) for bit in range(8)]
        if len(every) <= most:
            return every, f"all of {size:,} bytes"
        cuts = draw.sample(every[:size], min(size, most // 4))
        return [*cuts, *draw.sample(every[size:], most - len(cuts))], f"drawn, of {size:,} bytes"

    def trial(self, way: tuple[str, int, int]) -> list[str]:
        """Damage, and what is wrong with what comes of it."""
        word, at, bit = way
        content = bytearray(self.content)
        if word == "cut":
            del content[at:]
        else:
            content[at] ^= 1 << bit
        if self.reading:
            return self._read(bytes(content))
        try:
            return self._reported(bytes(content)) if self.reporting else self._run_again(bytes(content))
        except BaseException as error:
            return [f"{type(error).__name__}: {error}"]
        finally:
            shutil.rmtree(self.out)
            shutil.copytree(self.spare, self.out)

    def _read(self, content: bytes) -> list[str]:
        """Refused, in words, or the same."""
        inventory = self.store.look("plain/figure") if self.when.startswith("during") else None
        self.file.write_bytes(content)
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                held = self.read(inventory)
        except (results.Damaged, generation.DamagedError):
            return []
        except BaseException as error:
            return [f"{type(error).__name__}: {error}"]
        finally:
            if self.file.exists():
                self.file.write_bytes(self.content)
            else:  # put aside
                shutil.rmtree(self.out)
                shutil.copytree(self.spare, self.out)
        if any(self.held[key] != part for key, part in held.items()):
            return ["other rows are read"]
        return [] if len(held) == len(self.held) or said else ["nothing is said"]

    def _run_again(self, content: bytes) -> list[str]:
        def harm() -> None:
            self.file.write_bytes(content)

        if self.when == "during a run":
            told = self.run(meanwhile=harm)
        else:
            harm()
            told = self.run()
        if told["tasks"]["failed"] or told["failures"]:
            return [f"a task failed: {told['failures'][:1]}"]
        if self.snapshot() != self.whole:
            return ["the table or the verdicts differ"]
        if self.kind == "old sidecar":  # vouches for its rows, not for itself: what else it says cannot be checked
            return []
        if not told["tasks"]["run"] and told["compute_seconds"] != self.told["compute_seconds"]:
            return ["times of a damaged sidecar are believed"]
        if not told["tasks"]["run"] and not told["warnings"]:
            return ["nothing is said"]
        strange = [line for line in told["warnings"] if "\n" in line or len(line) > 2000]
        return [f"a warning that is no line: {strange[0][:100]}"] if strange else []

    def _reported(self, content: bytes) -> list[str]:
        self.file.write_bytes(content)
        status, said = _command("report", "--out", str(self.out))
        if status == 0:
            return [] if self.snapshot() == self.whole else ["the page differs, and nothing is said"]
        if status != 1 or "Traceback" in said or len(said.splitlines()) != 1:
            return [f"status {status}, {said[:200]}"]
        page = (self.out / "report.md").read_text()
        other = self.whole["report.md"].decode()
        section = other[other.index("cells = 4") : other.index("cells = 4") + 200]
        return [] if section in page else ["the other result is not shown as it was"]


def _command(*arguments: str) -> tuple[int, str]:
    """The command line, in this process: its status and what it says on stderr."""
    from learnability import cli

    out, err = io.StringIO(), io.StringIO()
    status = 0
    import sys

    before, sys.argv = sys.argv, ["learnability", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli.main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        sys.argv = before
    return status, err.getvalue()
