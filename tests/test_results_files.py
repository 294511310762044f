"""Files in the output folder: whole and on the disk or not at all, whatever fails or is killed; litter is cleared."""

from __future__ import annotations

import builtins
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from learnability.results import DamagedShardWarning, Store, files, write_json
from stored import TOY, entry, key
from test_results_store import HERE, expected


@pytest.mark.parametrize("out", ["", 5, None, b"bytes", "a\0b"], ids=repr)
def test_what_is_no_path_is_named(out):
    with pytest.raises(ValueError, match=r"^out must be (a path|the path of a folder), got "):
        Store(out)


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_file_in_the_folder_s_place_is_named(tmp_path, where):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match=f"out must be a writable folder, got '{tmp_path / where}'"):
        Store(tmp_path / where)


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES])
def test_a_folder_that_nothing_can_be_written_to_is_named_at_the_start(tmp_path, monkeypatch, code):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(ValueError, match=f"out must be a writable folder, got .*: {os.strerror(code)}"):
        Store(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full device")
def test_a_full_disk_is_named_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    with pytest.raises(ValueError, match=r"out must be a writable folder, got .*: No space left on device"):
        Store(tmp_path)


def test_a_folder_whose_files_would_have_too_long_paths_is_named_before_any_work(tmp_path):
    def deeper(root):
        while True:
            root = root / ("x" * 70)
            Store(root).look(TOY)

    with pytest.raises(ValueError, match=r"^out must be a .*folder.*, got .*: File name too long") as caught:
        deeper(tmp_path)
    assert len(str(caught.value)) < 1200
    with pytest.raises(ValueError, match=r"out must be a writable folder, got .*: File name too long"):
        Store(tmp_path / ("x" * 300))


def test_tasks_that_cannot_be_listed_are_named(tmp_path):
    store = Store(tmp_path)
    store.tasks(TOY).parent.mkdir(parents=True)
    store.tasks(TOY).write_text("no folder")
    with pytest.raises(ValueError, match=r"finished tasks can be read, got .*: Not a directory \(tasks/toy/walk\)"):
        store.look(TOY)


@pytest.mark.parametrize("how", ["removed", "renamed"])
def test_a_folder_that_goes_away_in_mid_run_is_not_made_anew(tmp_path, how):
    store = Store(tmp_path / "out")
    store.write(TOY, [entry(0)], HERE)
    if how == "removed":
        shutil.rmtree(store.root)
    else:
        store.root.rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"renamed or removed .*what is finished is in it: .*out"):
        store.write(TOY, [entry(1)], HERE)
    assert not store.root.exists()
    if how == "renamed":
        assert Store(tmp_path / "elsewhere").look(TOY).seconds == {key(0): 0.5}


class Operations:
    """Counts what writing asks of the system, and from one of them on refuses it."""

    def __init__(self, monkeypatch, *, refused=None, error=None, for_good=False):
        self.count, self.refused, self.error, self.for_good = 0, refused, error, for_good
        self.told = []
        for module, name in [(os, "fsync"), (os, "replace"), (os, "mkdir")]:
            self._wrap(monkeypatch, module, name)
        if for_good:  # nothing is cleared away by what is dead
            self._wrap(monkeypatch, os, "unlink")
        usual = builtins.open

        def opened(path, mode="r", *args, **options):
            if mode != "xb":
                return usual(path, mode, *args, **options)
            self.step("open", path)
            stream = usual(path, mode, *args, **options)
            return Stream(self, stream)

        monkeypatch.setattr(builtins, "open", opened)

    def _wrap(self, monkeypatch, module, name):
        usual = getattr(module, name)

        def wrapped(*args, **options):
            self.step(name, *args)
            return usual(*args, **options)

        monkeypatch.setattr(module, name, wrapped)

    def step(self, name, *what):
        if name == "fsync":
            what = (os.fstat(what[0]).st_ino,)
        self.told.append((name, *what))
        self.count += 1
        if self.refused is not None and (self.count == self.refused or (self.for_good and self.count > self.refused)):
            raise self.error


class Stream:
    def __init__(self, operations, stream):
        self.operations, self.stream = operations, stream

    def write(self, content):
        try:
            self.operations.step("write")
        except BaseException:
            self.stream.write(content[: len(content) // 2])
            self.stream.flush()
            raise
        return self.stream.write(content)

    def flush(self):
        self.stream.flush()

    def fileno(self):
        return self.stream.fileno()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()


class Killed(BaseException):
    pass


def number_of_operations(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        operations = Operations(patch)
        Store.write(started(tmp_path / "count"), TOY, [entry(1), entry(2)], HERE)
        return operations.count


def started(folder):
    """A folder with a batch, in which another experiment has none yet."""
    store = Store(folder)
    store.write(TOY, [entry(0)], HERE)
    return store


def whole_or_not_at_all(folder, *, experiment):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DamagedShardWarning)
        first, second = Store(folder).look(TOY), Store(folder).look(experiment)
    assert_frame_equal(first.read([key(0)]), expected([0]))
    done = [seed for seed in (1, 2) if key(seed) in second.seconds]
    assert done in ([], [1, 2])
    if done:
        assert_frame_equal(second.read(map(key, done)), expected(done))
    return bool(done)


@pytest.mark.parametrize("experiment", [TOY, "toy/new"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_whatever_the_system_refuses_is_one_error_and_costs_nothing_that_was_stored(
    tmp_path, monkeypatch, experiment, code
):
    seen, number = [], 0
    while True:
        number += 1
        store = started(tmp_path / str(number))
        with monkeypatch.context() as patch:
            Operations(patch, refused=number, error=OSError(code, os.strerror(code)))
            try:
                store.write(experiment, [entry(1), entry(2)], HERE)
                break
            except OSError as error:
                seen.append((error.errno, Path(error.filename).parent))
        whole_or_not_at_all(tmp_path / str(number), experiment=experiment)
        assert not list(store.root.rglob("*.tmp"))
    assert number > 8
    assert {code for code, _ in seen} == {code}
    assert {place.relative_to(tmp_path / str(k)) for k, (_, place) in enumerate(seen, 1)} == {
        Path("tasks") / experiment
    }
    assert whole_or_not_at_all(tmp_path / str(number), experiment=experiment)


@pytest.mark.parametrize("experiment", [TOY, "toy/new"])
def test_killed_at_any_operation_it_leaves_all_or_nothing(tmp_path, monkeypatch, experiment):
    outcomes, number = [], 0
    while True:
        number += 1
        store = started(tmp_path / str(number))
        with monkeypatch.context() as patch:
            Operations(patch, refused=number, error=Killed(), for_good=True)
            try:
                store.write(experiment, [entry(1), entry(2)], HERE)
                break
            except Killed:
                pass
        outcomes.append(whole_or_not_at_all(tmp_path / str(number), experiment=experiment))
    assert outcomes == sorted(outcomes), "never undone"
    assert not outcomes[0]
    assert outcomes[-1]


@pytest.mark.skipif(os.name == "nt", reason="no folder is opened there")
def test_everything_has_reached_the_disk_before_it_is_believed(tmp_path, monkeypatch):
    store = Store(tmp_path / "out")
    with monkeypatch.context() as patch:
        operations = Operations(patch)
        shard = store.write("toy/new", [entry(1)], HERE)
    inode = {path.stat().st_ino: path for path in [store.root, *store.root.rglob("*")]}
    told = [
        (name, inode[what[0]] if name == "fsync" else Path(what[1] if name == "replace" else what[0]))
        for name, *what in operations.told
        if name in ("fsync", "replace", "mkdir")
    ]
    place = store.tasks("toy/new")
    assert told == [
        *[("mkdir", folder) for folder in (place, place.parent, place.parent.parent)],  # Python tries the last first
        *[("mkdir", folder) for folder in (place.parent, place)],
        *[("fsync", folder) for folder in (store.root, place.parent.parent, place.parent)],
        ("fsync", shard.path), ("fsync", shard.sidecar),
        ("replace", shard.path), ("replace", shard.sidecar),
        ("fsync", place),
    ]  # fmt: skip


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_file_systems_that_sync_no_folders_are_good_enough(tmp_path, monkeypatch, code):
    usual = os.fsync

    def of_files(number):
        if os.path.isdir(f"/proc/self/fd/{number}"):
            raise OSError(code, os.strerror(code))
        usual(number)

    monkeypatch.setattr(os, "fsync", of_files)
    assert started(tmp_path).look(TOY).seconds == {key(0): 0.5}


def test_systems_that_open_no_folders_are_good_enough(tmp_path, monkeypatch):
    usual = os.open

    def no_folder(path, *args, **options):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return usual(path, *args, **options)

    store = Store(tmp_path)
    monkeypatch.setattr(os, "open", no_folder)
    store.write(TOY, [entry(0)], HERE)
    assert store.look(TOY).seconds == {key(0): 0.5}


def test_a_failed_write_leaves_the_old_file_and_no_trace(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_atomically(path, b"old")

    def no_space(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(OSError, match="No space left") as caught:
        files.write_atomically(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_refuses_what_json_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", {"x": np.nan})
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="it is no regular file"):
        files.read(tmp_path / "pipe")


def test_what_is_larger_than_it_may_be_is_not_read(tmp_path):
    (tmp_path / "x").write_bytes(b"12345")
    assert files.read(tmp_path / "x", 5) == b"12345"
    with pytest.raises(ValueError, match="it has 5 bytes, more than 4"):
        files.read(tmp_path / "x", 4)


# What killed processes leave.


@pytest.fixture(scope="module")
def dead():
    """The number and the birth of a process that is no more."""
    code = "import os, psutil; print(os.getpid(), psutil.Process().create_time())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return int(told[0]), int(float(told[1])) - 10_000  # whoever has got its number since is another


PLACES = ["", "tasks/toy/walk", "toy/walk/laptop", "toy/verify/smoke", "verify", "certify/a/b"]


def litter(root, name, age=0.0):
    """A file of that name in each of our places."""
    found = []
    for place in PLACES:
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / name).write_text("unfinished")
        os.utime(root / place / name, (time.time() - age,) * 2)
        found.append(root / place / name)
    return found


def kept(root, paths):
    """How many of the files are there when the folder is used again."""
    Store(root)
    return sum(path.exists() for path in paths)


def test_what_a_dead_process_was_writing_is_cleared_away(tmp_path, dead):
    number, born = dead
    assert kept(tmp_path, litter(tmp_path, f".01234567.{files.host()}-{number}-{born}.tmp")) == 0


def test_what_a_live_process_is_writing_is_not(tmp_path):
    number = os.getpid()
    assert kept(tmp_path, litter(tmp_path, f".01234567.{files.host()}-{number}-{int(files.born(number))}.tmp")) == 6


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="a parent cannot leave it unasked there")
def test_a_process_that_has_ended_is_none_though_its_parent_has_not_asked_how():
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert files.born(child.pid) is None
    child.wait()


def test_a_process_that_has_got_a_dead_one_s_number_is_another(tmp_path):
    number = os.getpid()
    name = f".01234567.{files.host()}-{number}-{int(files.born(number)) - 10_000}.tmp"
    assert kept(tmp_path, litter(tmp_path, name)) == 0


OTHERS = {
    "another machine": ".01234567.deadbeef-1-1.tmp",
    "the first version": ".figure.png.17-0123abcd.tmp",
}


@pytest.mark.parametrize("whose", OTHERS)
def test_what_may_be_another_machine_s_is_cleared_away_after_a_day(tmp_path, monkeypatch, whose):
    paths = litter(tmp_path, OTHERS[whose])
    assert kept(tmp_path, paths) == 6
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 25 * 3600)
    assert kept(tmp_path, paths) == 0


def test_a_shard_that_was_never_vouched_for_is_cleared_away_after_an_hour(tmp_path, monkeypatch):
    store = Store(tmp_path)
    shard = store.write(TOY, [entry(0)], HERE)
    other = store.write(TOY, [entry(1)], HERE)
    other.sidecar.unlink()
    assert kept(tmp_path, [shard.path, other.path]) == 2
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 2 * 3600)
    assert kept(tmp_path, [shard.path, other.path]) == 1
    assert shard.path.exists()


NOT_OURS = [".tmp", "notes.tmp", ".notes.tmp", ".01234567.tmp", ".figure.png.x-0123abcd.tmp", "x.parquet", "0" * 64]


@pytest.mark.parametrize("name", NOT_OURS)
def test_what_is_not_ours_stays(tmp_path, monkeypatch, name):
    paths = litter(tmp_path, name)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 100 * 24 * 3600)
    assert kept(tmp_path, paths) == 6


def test_other_folders_are_not_looked_into(tmp_path, dead):
    number, born = dead
    path = tmp_path / "photos/2024/summer" / f".01234567.{files.host()}-{number}-{born}.tmp"
    path.parent.mkdir(parents=True)
    path.write_text("of somebody else's folder")
    assert kept(tmp_path, [path]) == 1


def test_litter_that_cannot_be_removed_is_no_error(tmp_path, monkeypatch, dead):
    number, born = dead
    paths = litter(tmp_path, f".01234567.{files.host()}-{number}-{born}.tmp")

    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "unlink", refuse)
    assert kept(tmp_path, paths) == 6
