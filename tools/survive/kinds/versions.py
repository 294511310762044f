"""Results of another version of the package: they count, and a mixture is named in manifest and report."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from tools.survive.cluster import stranger
from tools.survive.desk import Desk, Sweep, Tally, Trial
from tools.survive.processes import fresh

SIZES = {"full": (5,), "short": (1,)}
"""Runs that another version begins."""
SWEEP = Sweep(cells=30, pause=0.05)


def tried(desk: Desk) -> Iterator[Tally]:
    """The runs."""
    (count,) = desk.size(SIZES)
    tally = Tally("versions", "begun by another version of the package, killed, ended by this one")
    for _ in range(count):
        with desk.trial(SWEEP) as trial:
            process = trial.fresh(more={**stranger(trial), "SURVIVE_TALLY": str(trial.told)})
            while not list(trial.out.rglob("batch-*.json")) and process.status is None:
                time.sleep(0.02)
            process.signal(9)
            process.wait()
            faults = trial.again(tally)
            mixed = "the manifest's mixture differs" in faults
            faults = [fault for fault in faults if not fault.startswith("the manifest's")]
            tally.count(faults + ([] if mixed else ["the mixture is not in the manifest"]) + _unreported(trial))
    yield tally


def _unreported(trial: Trial) -> list[str]:
    """What is wrong with the report of a mixture."""
    place = trial.place / "report"
    ended = fresh(["report", "--out", str(trial.out), "--json"], trial.desk.home, place, trial.environment).wait()
    if ended.status != 0 or ended.complaint:
        return [f"report: status {ended.status}: {ended.complaint}"]
    (told,) = json.loads(ended.out)["experiments"]
    page = Path(json.loads(ended.out)["markdown"]).read_text()
    missing = [line for line in told["mixture"] if line not in page]
    return ["the mixture is not in the report"] if missing or not told["mixture"] else []
