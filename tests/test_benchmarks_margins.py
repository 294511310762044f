"""The benchmark of margins compares like with like, and sees what is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import common, margins  # noqa: E402
from benchmarks.margins import CONTRADICTED, RANDOM, WAYS, Cell  # noqa: E402

from learnability.theory.margins import hard_margin, margin_of  # noqa: E402


@pytest.mark.parametrize("name", WAYS)
def test_every_way_finds_the_margin_and_the_verdict(name):
    way = WAYS[name]
    if not common.is_installed(way.needs):
        pytest.skip(f"{way.needs} is not installed")
    V, y = Cell(25, 3, 0.5).points()
    w, separable = way.solve(V, y)
    assert separable
    assert margin_of(w, V, y) > 0
    if way.largest:
        assert margin_of(w, V, y) == pytest.approx(hard_margin(V, y).margin, rel=1e-5)
    V, y = Cell(25, 3, CONTRADICTED).points()
    if name != "svc":  # with C = 1e10 it does not end there
        assert not way.solve(V, y)[1]


def test_cells_are_what_their_names_say():
    V, y = Cell(40, 4, 0.25).points()
    assert V.shape == (40, 4)
    assert hard_margin(V, y).margin >= 0.25
    assert not hard_margin(*Cell(40, 4, CONTRADICTED).points()).separable
    assert not hard_margin(*Cell(200, 4, RANDOM).points()).separable
    np.testing.assert_array_equal(Cell(40, 4, 0.25).points()[0], V)


def liar(V, y):
    return None, not hard_margin(V, y).separable


def sluggard(V, y):
    w, separable = hard_margin(V, y).w.copy(), True
    return w + 1e-4 * np.linalg.norm(w) * np.eye(len(w))[0], separable


def idler(V, y):
    raise MemoryError("too much")


def test_wrong_verdicts_and_poor_margins_are_seen(monkeypatch):
    rivals = {name: margins.Way(name, solve, "numpy") for name, solve in
              {"liar": liar, "sluggard": sluggard, "idler": idler}.items()}  # fmt: skip
    monkeypatch.setattr(margins, "WAYS", {"ours": WAYS["ours"], **rivals})
    case = margins.compare(Cell(20, 3, 1.0), margins.QUICK)
    rows = case["rows"]
    assert (rows["ours"]["wrong"], rows["liar"]["wrong"], rows["sluggard"]["wrong"]) == (False, True, False)
    assert rows["ours"]["gap"] < 1e-12
    assert rows["sluggard"]["gap"] > 1e-10
    assert rows["idler"]["failed"] == "MemoryError: too much"
    rows["sluggard"]["gap"] = 2 * margins.FINE
    assert margins.fastest(case) is None
    rows["sluggard"]["gap"] = 0.5 * margins.FINE
    assert margins.fastest(case)[0] == "sluggard"


def test_the_benchmark_reports(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(margins, "WAYS", {name: WAYS[name] for name in ("ours", "daqp", "lp")})
    report = margins.main(["--quick", "--json", str(tmp_path / "found.json")])
    said = capsys.readouterr().out
    assert len(json.loads((tmp_path / "found.json").read_text())["cases"]) == len(report["cases"]) == 4
    assert [case["separable"] for case in report["cases"]] == [True, True, False, False]
    for case in report["cases"]:
        assert not any(row["wrong"] for row in case["rows"].values())
    assert "30 x 3" in said
    assert ("DAQP left out" in said) == (not common.is_installed("daqp"))
