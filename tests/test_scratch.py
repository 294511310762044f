"""Temporary folders: gone afterwards, and those of killed processes at the next run."""

import os
import signal
import subprocess
import sys
import time

import pytest

import learnability
import toys
from learnability import processes, scratch

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kill -9")

KILLED = """
import learnability, toys
from learnability import discovery
discovery.installed = lambda *_: toys.CATALOGUE
toys.TOYS["toy/walk"] = toys.experiment("toy/walk", {"n": 3, "dies": -9})
learnability.run("toy/walk")
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_gone_afterwards(place):
    with scratch.folder() as folder:
        (folder / "file").touch()
        assert [path.name for path in place.iterdir()] == [folder.name]
        assert folder.name.startswith(f"learnability-{processes.mark()}-")
        scratch.clear()  # not of a process that lives
        assert (folder / "file").exists()
    assert not list(place.iterdir())


def test_what_a_killed_run_leaves_is_removed_by_the_next(place, monkeypatch):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], env={**toys.environment(), "TMPDIR": str(place)}, timeout=300
    )
    assert killed.returncode == -signal.SIGKILL
    (left,) = place.iterdir()
    kept = [
        place / left.name.replace(processes.host(), "01234567"),  # of another machine
        place / f"learnability-{processes.host()}-{os.getpid()}-{int(time.time())}-abcdefgh",  # of one that lives
        place / "learnability-abcdefgh",
        place / "learnability-mine",
    ]
    for path in kept:
        path.mkdir()
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    link = place / f"{left.name}0"
    link.symlink_to(elsewhere)
    monkeypatch.setattr(learnability.discovery, "installed", lambda *_: toys.CATALOGUE)
    result = learnability.run("toy/walk", scale="smoke", seeds=1)
    assert result.tasks["run"] == 2
    assert sorted(place.iterdir()) == sorted([*kept, elsewhere, link])


def test_folders_of_others_are_left_alone(place, monkeypatch):
    path = place / f"learnability-{processes.host()}-999999999-1-abcdefgh"
    path.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345678)
    scratch.clear()
    assert path.exists()
    monkeypatch.undo()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    scratch.clear()
    assert not path.exists()
    monkeypatch.setattr("tempfile.tempdir", str(place / "gone"))
    scratch.clear()
