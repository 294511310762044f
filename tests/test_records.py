"""Records: what is taken over from results, and what a run says of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import learnability
import toys
from learnability import records, report, verification
from learnability.results import write_json

pytestmark = pytest.mark.usefixtures("toy_laboratory")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Records in a folder of the test's own."""
    monkeypatch.setattr(records, "path_of", lambda home: tmp_path / "records" / home.study.name / "record.json")
    records._read.cache_clear()
    yield tmp_path / "records"
    records._read.cache_clear()


def edited(shelf, name="toy", **changes):
    path = shelf / name / "record.json"
    write_json(path, {**json.loads(path.read_bytes()), **changes})
    records._read.cache_clear()


def run(**options):
    return learnability.run("toy/walk", scale="laptop", **options)


def test_a_run_without_a_record_says_so(shelf):
    found = run()
    assert str(found.recorded) == "no record"
    assert found.to_json()["differs"] is None


def test_a_recorded_run_is_as_recorded_and_another_one_has_no_record(shelf, tmp_path):
    done = run(out=tmp_path / "out")
    update = records.update(tmp_path / "out")
    assert update.entries == {"toy": ["toy/walk (laptop)"]}
    assert update.written == [shelf / "toy/record.json"]
    kept = records.read(toys.HOMES["toy"])["figures"]["toy/walk"]["laptop"]
    assert kept["seeds"] == 3
    assert [g["measured"] for g in kept["guarantees"]] == [g.measured for g in done.guarantees]
    assert str(run().recorded) == "as recorded"
    assert run().to_json()["differs"] == []
    assert str(run(seeds=2).recorded) == "no record (the one there is has seeds 3)"
    assert str(learnability.run("toy/walk", scale="paper").recorded) == "no record"


def test_what_another_computation_shows_is_not_compared(shelf, tmp_path, monkeypatch):
    run(out=tmp_path / "out")
    records.update(tmp_path / "out")
    other = toys.experiment("toy/walk", {"n": 3}, {"n": 5}, {"n": 9})
    monkeypatch.setitem(toys.TOYS, "toy/walk", other)
    assert "other settings, data or code" in str(run().recorded)
    monkeypatch.setitem(toys.TOYS, "toy/walk", toys.experiment("toy/walk", *toys.SMALL, revision=2))
    assert "revision 1" in str(run().recorded)


def test_a_verdict_that_differs_is_named_and_overwritten_only_when_asked(shelf, tmp_path, monkeypatch):
    run(out=tmp_path / "out")
    records.update(tmp_path / "out")
    before = (shelf / "toy/record.json").read_bytes()
    now_false = toys.experiment("toy/walk", *toys.SMALL, claims=toys.violated)
    monkeypatch.setitem(toys.TOYS, "toy/walk", now_false)
    found = run(out=tmp_path / "out")
    assert {change["id"]: (change["recorded"], change["now"]) for change in found.recorded.differs} == {
        "toy/walk[finite]": ("holds", None),
        "toy/walk[moves]": ("holds", None),
        "toy/false[all]": (None, "violated"),
    }
    refused = records.update(tmp_path / "out")
    assert refused.differs == found.recorded.differs
    assert refused.written == []
    assert (shelf / "toy/record.json").read_bytes() == before
    assert records.update(tmp_path / "out", replace=True).written
    assert str(run().recorded) == "as recorded"


def test_an_unfinished_run_is_not_compared_and_not_recorded(shelf, tmp_path):
    with pytest.warns(learnability.runner.FailureWarning):
        found = learnability.run("toy/failing", out=tmp_path)
    assert "not everything is finished" in str(found.recorded)
    assert records.update(tmp_path).left_out == ["toy/failing (laptop): 3 failed"]


def test_statements_are_recorded_one_by_one_and_kept_beside_each_other(shelf, tmp_path):
    learnability.verify(["toy/lemma1"], out=tmp_path)
    learnability.verify(["toy/lemma2"], out=tmp_path)
    learnability.verify(["toy/lemma1"], out=tmp_path)
    manifest = json.loads((tmp_path / "toy/verify/laptop/manifest.json").read_bytes())
    assert {name: check["guarantees"] for name, check in manifest["checks"].items()} == {
        "toy/lemma1": ["toy/lemma1[n=3]"],
        "toy/lemma2": ["toy/lemma2", "toy/lemma2[open]"],
    }
    assert records.update(tmp_path).entries == {"toy": ["toy/lemma1 (laptop)", "toy/lemma2 (laptop)"]}
    chosen = {name: toys.CHECKS[name] for name in ("toy/lemma1", "toy/theorem1")}
    found = verification.check_all(chosen, "laptop", known=toys.CATALOGUE)
    assert {name: str(check.recorded) for name, check in found.checks.items()} == {
        "toy/lemma1": "as recorded",
        "toy/theorem1": "no record",
    }
    assert found.differs == []


def test_a_record_of_another_format_or_a_damaged_one_is_one_line(shelf, tmp_path):
    run(out=tmp_path / "out")
    records.update(tmp_path / "out")
    edited(shelf, format=7)
    assert str(run().recorded) == "no record (the record of toy has format 7, this version reads 1)"
    with pytest.raises(ValueError, match="has format 7"):
        records.update(tmp_path / "out")
    (shelf / "toy/record.json").write_text("{")
    records._read.cache_clear()
    assert "not readable" in str(run().recorded)


def test_a_result_of_an_older_version_is_left_out_with_a_reason(shelf, tmp_path):
    run(out=tmp_path)
    path = tmp_path / "toy/walk/laptop/manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["generation"], manifest["sha256"]
    write_json(path, manifest)
    (line,) = records.update(tmp_path).left_out
    assert line.startswith("toy/walk (laptop): made by an older version; run it again")


def test_a_damaged_or_an_unfinished_result_is_not_recorded(shelf, tmp_path):
    run(out=tmp_path)
    place = tmp_path / "toy/walk/laptop"
    (place / "figure.png").write_bytes(b"")
    (line,) = records.update(tmp_path).left_out
    assert line.startswith(f"{place} is not readable (figure.png: ")
    manifest = {**json.loads((place / "manifest.json").read_bytes()), "unfinished": {"cells": 1, "of": 3, "tasks": 6}}
    report.write_result(place, manifest, [])
    assert records.update(tmp_path).left_out == ["toy/walk (laptop): unfinished, 6 tasks are missing"]
    assert not shelf.exists()


def test_wrong_requests(shelf, tmp_path):
    with pytest.raises(ValueError, match="there are none in"):
        records.update(tmp_path)
    run(out=tmp_path)
    with pytest.raises(ValueError, match="unknown study 'toys'; there are other, toy"):
        records.update(tmp_path, names=["toys"])


TABLES = Path(__file__).parents[1] / "tools/verdict_tables.py"


@pytest.mark.skipif(not TABLES.exists(), reason="no checkout")
def test_the_tables_of_the_docs_are_made_from_the_records():
    ended = subprocess.run([sys.executable, str(TABLES), "--check"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
