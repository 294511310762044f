"""The benchmark of sweeps: what it measures is what ran."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import common, sweep_cells, sweeps


def test_a_sweep_is_measured_and_resumed(tmp_path):
    found = sweeps.sweep(40, 1000, tmp_path, workers=1)
    assert (found["tasks"], found["workers"], found["where"]) == (40, 1, "local")
    assert 0 < found["own"] == found["ideal"] < found["seconds"]
    assert found["tenth_mb"] > 10
    assert found["files"] >= 2
    assert sweeps.resumed(40, 1000, tmp_path)["tasks"] == 40
    with pytest.raises(RuntimeError, match="tasks were not finished"):
        sweeps.resumed(50, 1000, tmp_path)


def test_cells_take_the_time_that_they_are_calibrated_to():
    assert sweep_cells.computed(10) < sweep_cells.computed(100_000)
    assert sweeps.calibrated(1e-3) > 100


def test_the_tables_and_the_options(monkeypatch, tmp_path, capsys):
    row = {
        "where": "local", "tasks": 40, "seconds": 2.0, "own": 2.0, "ideal": 1.0, "ratio": 2.0, "steady": None,
        "main_ms": 0.5, "per_second": 1234.5, "beyond_ms": 0.1, "tenth_mb": 100.0, "last_mb": 101.0, "files": 4,
    }  # fmt: skip
    asked = []

    def sweep(tasks, steps, out, scheduler):
        asked.append((tasks, bool(steps), scheduler))
        return row

    monkeypatch.setattr(sweeps, "sweep", sweep)
    monkeypatch.setattr(sweeps, "resumed", lambda *_: {"tasks": 40, "files": 2, "seconds": 1.5, "processor": 1.25})
    monkeypatch.setattr(sweeps, "calibrated", lambda *_: 1000)
    monkeypatch.setattr(common, "is_installed", lambda module: False)
    file = tmp_path / "report.json"
    sweeps.main(["--quick", "--json", str(file)])
    assert asked == [(40, True, None), (40, False, None)]
    assert len(json.loads(file.read_text())["runs"]) == 2
    out = capsys.readouterr().out
    assert "left out: a Dask scheduler" in out
    assert "1,234" in out
    assert "40 cached in 2 files" in out
