"""Batches of a toy experiment's tasks, to be stored."""

from __future__ import annotations

import shutil
from pathlib import Path

from learnability.results import Entry, key_of

TOY = "toy/walk"
BEFORE = Path(__file__).parent / "stored_before"
"""An output folder that the first version wrote: seeds 0, 1 and 2."""


def record(seed):
    return {"experiment": TOY, "revision": 1, "setting": {"n": 3}, "seed": seed}


def key(seed):
    return key_of(record(seed))


def rows(seed):
    """As they are in the folder of before."""
    rows = [{"n": 3, "seed": seed, "step": k, "error": 0.5**k, "side": "links ÿ'\"", "ok": k > 0} for k in range(3)]
    if seed == 1:
        rows = [{"n": 3, "seed": 1, "step": k, "error": [2.0, float("nan")][k], "side": "rechts"} for k in range(2)]
    if seed == 2:
        rows = [{"n": 3, "seed": 2, "step": 2**62 + 1, "error": 1, "ok": True, "late": "text"}]
    return rows


def entry(seed, **changes):
    usual = {"key": key(seed), "record": record(seed), "rows": rows(seed), "error": None, "seconds": 0.5 + seed}
    return Entry(**{**usual, **changes})


def failure(seed, error="RuntimeError: this cell fails", fate="error"):
    return entry(seed, rows=None, error=error, fate=fate)


def before(folder):
    """A copy of the folder of before."""
    shutil.copytree(BEFORE, folder, dirs_exist_ok=True)
    return folder
