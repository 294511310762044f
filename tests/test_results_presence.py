"""Who is at work in a folder: told to those who come later, forgotten when they are gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from learnability.results import files, presence
from learnability.results.presence import announced

HANG = 120  # seconds

CODE = """
import sys
from pathlib import Path
from learnability.results.presence import announced
part = tuple(map(int, sys.argv[2].split("/"))) if sys.argv[2] else None
with announced(Path(sys.argv[1]), what="learnability run toy/walk", part=part, on=sys.argv[3:]):
    print("here", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another(root, part="", on=()):
    """A process that is at work in a folder until it is told to end."""
    command = [sys.executable, "-c", CODE, str(root), part, *on]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "here\n"
            yield process
        finally:
            process.stdin.close()
            process.wait(HANG)


def others(root, **options):
    with announced(root, what="learnability run", **options) as found:
        return found


def notes(root):
    return sorted(root.glob(".at-work-*"))


def test_nobody_is_there(tmp_path):
    with announced(tmp_path, what="learnability run") as found:
        assert found == []
        assert len(notes(tmp_path)) == 1
    assert os.listdir(tmp_path) == []


def test_another_process_is_told_of(tmp_path):
    with another(tmp_path) as process:
        (found,) = others(tmp_path)
        assert (found.process, found.here, found.part) == (process.pid, True, None)
        assert found.what == "learnability run toy/walk"
        assert str(found) == f"process {process.pid}, since {found.since}: learnability run toy/walk"
        assert time.strptime(found.since, "%Y-%m-%dT%H:%M:%SZ")
        assert len(notes(tmp_path)) == 1
    assert others(tmp_path) == []
    assert notes(tmp_path) == []


def test_two_runs_of_one_process_are_two(tmp_path):
    with announced(tmp_path, what="first"), announced(tmp_path, what="second") as found:
        assert [other.what for other in found] == ["first"]


SHARES = {
    "different parts": ("1/3", (2, 3), False),
    "the same part": ("1/3", (1, 3), True),
    "parts of another cut": ("1/3", (2, 4), True),
    "a part and all": ("1/3", None, True),
    "all and a part": ("", (1, 3), True),
}


@pytest.mark.parametrize("case", SHARES)
def test_parts_do_not_disturb_each_other(tmp_path, case):
    theirs, mine, disturbs = SHARES[case]
    with another(tmp_path, theirs):
        assert bool(others(tmp_path, part=mine)) == disturbs


@pytest.mark.parametrize(
    ("on", "disturbs"), [([], True), (["toy/walk"], True), (["toy/good"], False), (["toy/good", "toy/walk"], True)]
)
def test_other_experiments_do_not_disturb_each_other(tmp_path, on, disturbs):
    with another(tmp_path, on=["toy/walk", "toy/slow"]):
        assert bool(others(tmp_path, on=on)) == disturbs


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_a_killed_process_is_not_told_of_and_its_note_is_removed(tmp_path):
    with another(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(HANG)
        assert len(notes(tmp_path)) == 1
        assert others(tmp_path) == []
        assert notes(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_a_stopped_process_is_still_there(tmp_path):
    with another(tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        (note,) = notes(tmp_path)
        os.utime(note, (0, 0))
        try:
            assert len(others(tmp_path)) == 1
        finally:
            process.send_signal(signal.SIGCONT)


def elsewhere(root, age, **changes):
    """A note of another machine, touched for the last time some seconds ago."""
    note = {
        "host": "node\x1b17",
        "process": 5,
        "born": 1.5,
        "what": "run\nx",
        "since": "then",
        "part": None,
        "on": [],
    }
    path = root / ".at-work-deadbeef-5-01234567.json"
    path.write_text(json.dumps({**note, **changes}))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_another_machine_is_told_of_as_long_as_it_gives_signs_of_life(tmp_path):
    path = elsewhere(tmp_path, 10)
    (found,) = others(tmp_path)
    assert not found.here
    assert str(found) == r"process 5 on node\x1b17, since then: run\nx"
    elsewhere(tmp_path, 3600)
    assert others(tmp_path) == []
    assert path.exists(), "it may have been asleep"
    elsewhere(tmp_path, 25 * 3600)
    assert others(tmp_path) == []
    assert not path.exists()


def test_a_process_that_has_got_a_dead_one_s_number_is_another(tmp_path):
    path = tmp_path / f".at-work-{files.host()}-{os.getpid()}-01234567.json"
    path.write_text(elsewhere(tmp_path, 10**6, process=os.getpid(), born=5.0).read_text())
    assert others(tmp_path) == []
    assert not path.exists()


BROKEN = {"empty": "", "a list": "[]", "no part": "{}", "deep": "[" * 10**5, "words": '{"born": "x", "process": "y"}'}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_note_that_says_nothing_is_nobody(tmp_path, text):
    path = elsewhere(tmp_path, 10)
    path.write_text(text)
    assert others(tmp_path) == []
    assert path.exists()


def test_a_note_is_touched_and_written_again_if_somebody_has_removed_it(tmp_path, monkeypatch):
    monkeypatch.setattr(presence, "BEAT", 0.01)
    limit = time.monotonic() + HANG
    with announced(tmp_path, what="learnability run"):
        (note,) = notes(tmp_path)
        os.utime(note, (0, 0))
        while note.stat().st_mtime == 0 and time.monotonic() < limit:
            time.sleep(0.01)
        assert note.stat().st_mtime > 0
        note.unlink()
        while not note.exists() and time.monotonic() < limit:
            time.sleep(0.01)
        assert note.exists()
    assert notes(tmp_path) == []


def test_a_folder_that_goes_away_is_not_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(presence, "BEAT", 0.001)
    (tmp_path / "out").mkdir()
    with announced(tmp_path / "out", what="learnability run"):
        (tmp_path / "out").rename(tmp_path / "elsewhere")
        time.sleep(0.05)
    assert os.listdir(tmp_path) == ["elsewhere"]


def test_a_folder_that_takes_no_note_is_no_reason_to_stop(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_json", refuse)
    elsewhere(tmp_path, 10)
    assert len(others(tmp_path)) == 1


def test_it_ends_with_an_error_too(tmp_path):
    with pytest.raises(KeyboardInterrupt), announced(tmp_path, what="learnability run"):
        raise KeyboardInterrupt
    assert notes(tmp_path) == []
