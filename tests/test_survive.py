"""The short form of ``python -m tools.survive``: a few blows of each kind, and the same command again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest
from tools.survive import __main__ as command
from tools.survive import page
from tools.survive.desk import Desk, Sweep, Tally
from tools.survive.disk import WORST
from tools.survive.kinds.kills import SWEEP, operations
from tools.survive.kinds.power import played
from tools.survive.watched import Watch, read

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@linux
@pytest.mark.parametrize("kind", command.KINDS)
def test_a_few_blows_of_each_kind_cost_no_byte(kind, tmp_path, capfd):
    out = tmp_path / "counts.json"
    status = command.main(["--short", "--out", str(out), kind])
    told = json.loads(out.read_text())[kind]
    assert (status, [one for one in told if one["faults"] or one["litter"]]) == (0, []), capfd.readouterr().err
    assert all(one["tried"] for one in told)


def left(tmp_path, disk, what):
    """What a disk may hold: contents by name."""
    disk.write(tmp_path / "left", what, random.Random(0))
    paths = (path for path in (tmp_path / "left").rglob("*") if path.is_file())
    return {path.relative_to(tmp_path / "left").as_posix(): path.read_bytes() for path in paths}


WRITTEN = (("create", "/out/new", 0), ("write", 0, 0, b"abcd"))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), {what: {} for what in WORST}),
        (
            WRITTEN,
            {
                "all": {"new": b"abcd"},
                "nothing unsynced": {},
                "names without contents": {"new": b""},
                "half of the contents": {"new": b"ab"},
                "zeros for contents": {"new": bytes(4)},
            },
        ),
        ((*WRITTEN, ("sync", 0)), {"nothing unsynced": {}, "names without contents": {"new": b"abcd"}}),
        ((*WRITTEN, ("sync folder", "/out")), {"nothing unsynced": {"new": b""}}),
        ((*WRITTEN, ("sync", 0), ("sync folder", "/out")), {what: {"new": b"abcd"} for what in WORST}),
        (
            (*WRITTEN, ("sync", 0), ("sync folder", "/out"), ("rename", "/out/new", "/out/old")),
            {"nothing unsynced": {"new": b"abcd"}, "names without contents": {"old": b"abcd"}},
        ),
        (
            (*WRITTEN, ("sync", 0), ("sync folder", "/out"), ("write", 0, 4, b"ef"), ("cut", 0, 5)),
            {"all": {"new": b"abcde"}, "nothing unsynced": {"new": b"abcd"}, "half of the contents": {"new": b"ab"}},
        ),
        (
            (("mkdir", "/out/in"), ("create", "/out/in/new", 0), ("sync folder", "/out/in")),
            {"nothing unsynced": {}, "names without contents": {"in/new": b""}},
        ),
        (
            (*WRITTEN, ("sync folder", "/out"), ("unlink", "/out/new")),
            {"all": {}, "nothing unsynced": {"new": b""}},
        ),
    ],
    ids=["nothing", "written", "contents", "name", "both", "moved", "changed", "folder", "removed"],
)
def test_what_a_disk_may_hold_after_a_power_cut(events, expected, tmp_path):
    disk = played("/out", [("mkdir", "/out"), *events])
    for what, files in expected.items():
        (tmp_path / what).mkdir()
        assert left(tmp_path / what, disk, what) == files, what


@linux
def test_what_a_process_does_to_a_folder_is_told_and_gives_the_folder_again(tmp_path):
    """In a process of its own, since it stands in for the system's calls."""
    script = """
import os, pathlib, pickle, sys, tempfile
from tools.survive.watched import Watch
root, journal = map(pathlib.Path, sys.argv[1:])
watch = Watch(str(root), journal=str(journal), tally=str(journal) + ".tally")
watch.install()
(root / "in").mkdir(parents=True)
(root / "in" / "a").write_bytes(b"abc" * 9000)
with open(root / "b", "w") as text:
    text.write("b")
    text.flush()
    os.fsync(text)
with open(root / "b", "a") as text:
    text.write("c")
file, path = tempfile.mkstemp(dir=root)
with os.fdopen(file, "wb") as stream:
    stream.write(b"made")
os.replace(path, root / "made")
os.truncate(root / "made", 3)
with tempfile.TemporaryFile(dir=root) as stream:
    stream.write(b"nothing")
(root / "gone").touch()
(root / "gone").unlink()
(root.parent / "elsewhere").write_text("not told")
folder = os.open(root, os.O_RDONLY)
os.fsync(folder)
watch.finish()
"""
    root, journal = tmp_path / "root", tmp_path / "journal"
    subprocess.run([sys.executable, "-c", script, str(root), str(journal)], cwd=command.PAGE.parents[1], check=True)
    count, events = read(journal)
    found = left(tmp_path, played(str(root), events), "all")
    assert found == {"in/a": b"abc" * 9000, "b": b"bc", "made": b"mad"}
    assert found == {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert count >= len(events)
    assert ("sync folder", str(root)) in events
    assert not any("elsewhere" in str(event) for event in events)


@linux
def test_a_run_is_ended_refused_and_told_apart(tmp_path):
    desk = Desk(tmp_path / "desk")
    count, _ = operations(desk)
    with desk.trial(SWEEP) as trial:
        assert trial.forked(Watch(str(trial.out), end_at=count, ahead=True)).wait().status == -9
    with desk.trial(SWEEP) as trial:
        ended = trial.forked(Watch(str(trial.out), room=0, ahead=True)).wait()
        assert "No space left" in ended.err
        tally = Tally("a", "b")
        assert trial.again(tally) == []
        (trial.out / "cells" / "figure").joinpath("laptop").mkdir()
        assert trial.wrong(trial.forked(Watch("/nowhere", ahead=True)).wait()) == [
            "the result is not there: 2 results"
        ]


def test_the_page_keeps_what_stands_around_the_table(tmp_path, monkeypatch):
    file = tmp_path / "page.md"
    file.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    monkeypatch.setattr(page, "PAGE", file)
    tally = Tally("kill", "at | all", note="noted")
    tally.count([])
    tally.count(["status 12: no\nfile /a/x/y.parquet"])
    tally.count(["litter: .a"])
    before = {"kill": [{**Tally("kill", "at | all").to_json(), "tried": 7, "same": 1}]}
    page.put(page.table([tally.to_json()], before))
    assert file.read_text().splitlines() == [
        "before",
        page.BEGIN,
        "",
        "|  | blow | tried | same bytes | before | cells again | wrong |",
        "|---|---|---:|---:|---:|---:|---|",
        "| kill | at / all (noted) | 3 | 2 | 1 of 7 |  | 1 × status #: no file .../y.parquet; 1 × litter |",
        "",
        page.END,
        "after",
    ]


def test_an_unknown_kind_is_named(capsys):
    with pytest.raises(SystemExit):
        command.main(["--short", "meteor"])
    assert "there is no kind meteor" in capsys.readouterr().err


def test_each_trial_has_a_folder_and_draws_of_its_own(tmp_path):
    desk = Desk(tmp_path / "desk", share=0.5)
    assert desk.random("a").random() == desk.random("a").random() != desk.random("b").random()
    assert desk.size({"short": (0, 1, 9)}) == [0, 1, 4]
    with desk.trial(Sweep()) as one, desk.trial(Sweep()) as other:
        assert one.out != other.out
        one.told.write_bytes(b"(()")
        assert (one.finished(), other.finished()) == (1, 0)
    assert os.listdir(desk.place) == ["home"]
