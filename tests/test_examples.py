"""The examples: they run, their claims can fail, and the pages that show them are up to date."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import learnability
from learnability import discovery
from learnability.theory import Verdict

ROOT = Path(__file__).parents[1] / "examples"
FILES = sorted(ROOT.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_runs_and_its_claims_can_fail(path):
    (experiment,) = discovery.load(str(path)).experiments.values()
    scale = "smoke" if "smoke" in experiment.scales else None
    done = learnability.run(path, scale=scale, seeds=3, set={} if scale else {"step": 0.1, "n": 8})
    assert done.failures == []
    assert done.figure is not None
    assert done.guarantees
    assert all(g.id.startswith(f"{path.stem}/figure/") for g in done.guarantees)
    measured = [c for c in ("error", "aligned", "test_error", "loss") if c in done.table]
    seen: dict[str, set[str]] = {}
    for doctored in (
        done.table,
        *(done.table.assign(**dict.fromkeys(measured, value)) for value in (0.0, 0.6, 50.0)),
        *(done.table.assign(**{c: done.table[c].to_numpy()[::-1]}) for c in measured),
        *(done.table.assign(**{c: sign * np.arange(len(done.table))}) for c in measured for sign in (1.0, -1.0)),
    ):
        for guarantee in experiment.claims(doctored):
            seen.setdefault(guarantee.id, set()).add(replace(guarantee, hypotheses=()).verdict)
    assert all({Verdict.HOLDS, Verdict.VIOLATED} <= verdicts for verdicts in seen.values()), seen


def test_the_first_example_is_short():
    assert len((ROOT / "staircase.py").read_text(encoding="utf-8").splitlines()) <= 30


def test_the_pages_show_every_example_as_it_is():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in FILES:
        assert f"({path.name})" in text
        assert (ROOT / "figures" / f"{path.stem}.png").exists()
    assert (ROOT / "staircase.py").read_text(encoding="utf-8") in (ROOT.parent / "docs/extending.md").read_text(
        encoding="utf-8"
    )
