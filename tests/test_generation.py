"""A unit of files is believed whole or not at all: damaged, killed at any point, read while it is written."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from learnability.results import generation, write_json
from learnability.results.generation import DamagedError, read, write

MANIFEST = {"id": "toy/walk", "failures": [], "date": "now"}
OLD = {"figure.png": b"\x89PNG old", "figure.pdf": b"%PDF old", "verdicts.json": b'{"guarantees": []}'}
NEW = {"figure.png": b"\x89PNG new", "table.parquet": b"PAR1 new", "verdicts.json": b'{"guarantees": [ ]}'}
NEXT = {"verdicts.json": b"{}"}


@pytest.fixture
def at_once(monkeypatch):
    """Nobody else writes: no second look after a while."""
    monkeypatch.setattr(generation, "_PAUSE", 0.0)


def believed(place):
    """What a reader has: the content of all files, and the manifest."""
    found = read(place)
    assert set(found.content) == set(found.names)
    return dict(found.content), dict(found.manifest)


def test_what_is_written_is_read_and_what_is_another_s_stays(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "figure.svg").write_text("mine")
    write(tmp_path, OLD, MANIFEST)
    assert believed(tmp_path) == (OLD, MANIFEST)
    assert read(tmp_path).vouched
    assert read(tmp_path, wanted=["figure.png"]).content == {"figure.png": OLD["figure.png"]}
    write(tmp_path, NEW, {**MANIFEST, "generation": "another's", "sha256": 7})
    assert believed(tmp_path) == (NEW, MANIFEST)
    assert {path.name for path in tmp_path.iterdir()} == {*NEW, "manifest.json", "notes.txt", "figure.svg"}
    assert {name: (tmp_path / name).read_bytes() for name in NEW} == NEW
    assert json.loads((tmp_path / "manifest.json").read_bytes())["id"] == "toy/walk"


def test_every_flip_of_every_bit_and_every_truncation_is_named(tmp_path, at_once):
    write(tmp_path, {"verdicts.json": b"{}", "a": b""}, {"id": "x"})
    for name in ("manifest.json", "verdicts.json", "a"):
        path = tmp_path / name
        content = path.read_bytes()
        changed = [content[:size] for size in range(len(content))] + [content + b"\n", b"\0" * len(content) or b"\0"]
        for place, bit in itertools.product(range(len(content)), range(8)):
            byte = content[place] ^ (1 << bit)
            changed.append(content[:place] + bytes([byte]) + content[place + 1 :])
        for other in changed:
            put(path, other)
            with pytest.raises(DamagedError) as error:
                read(tmp_path)
            assert error.value.name == name, other
        put(path, content)
    assert read(tmp_path).vouched


def put(path, content):
    """Write over what is there; to empty the file first makes some systems write to the disk."""
    with path.open("r+b") as stream:
        stream.truncate(stream.write(content))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_what_is_missing_or_no_file_is_named(tmp_path, at_once):
    with pytest.raises(DamagedError, match=r"manifest\.json: No such file"):
        read(tmp_path)
    write(tmp_path, OLD, MANIFEST)
    (tmp_path / "figure.pdf").unlink()
    with pytest.raises(DamagedError, match=r"figure\.pdf: it is missing"):
        read(tmp_path)
    os.mkfifo(tmp_path / "figure.pdf")
    with pytest.raises(DamagedError, match=r"figure\.pdf: it is no regular file"):
        read(tmp_path)
    (tmp_path / "figure.pdf").unlink()
    (tmp_path / "figure.pdf").mkdir()
    with pytest.raises(DamagedError, match=r"figure\.pdf: Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize("files", [None, {"../figure.png": "0" * 64}, {"figure.png": 7}], ids=["no", "up", "7"])
def test_a_manifest_of_another_form_is_named(tmp_path, at_once, files):
    forged = generation._sealed(MANIFEST, "000001-00000000", {})
    body = forged.replace(b'"files": {}', b'"files": ' + json.dumps(files).encode())[: -len('0"\n}\n') - 63]
    import hashlib

    (tmp_path / "manifest.json").write_bytes(body + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n')
    with pytest.raises(DamagedError, match="vouches for its files in another way than this version"):
        read(tmp_path)


def test_a_unit_of_before_is_read_as_it_is_and_replaced_whole(tmp_path):
    legacy(tmp_path)
    found = read(tmp_path)
    assert (found.vouched, dict(found.manifest)) == (False, MANIFEST)
    assert found.content == OLD
    write(tmp_path, NEW, MANIFEST)
    assert {path.name for path in tmp_path.iterdir()} == {*NEW, "manifest.json"}


def legacy(place):
    for name, content in OLD.items():
        (place / name).write_bytes(content)
    write_json(place / "manifest.json", MANIFEST)


# Killed ------------------------------------------------------------------------------------------------------------


class Dying:
    """Counts what a process does with files, and ends it before the one of number ``last``.

    A plain kill leaves what was done. A power cut may leave nothing of what has not reached the disk: unsynced files
    are empty, names that are new since their folder was synced are gone, and those that were moved since then are, or
    are not, where they were.
    """

    def __init__(self, last: int, cut: str) -> None:
        self.left, self.cut = last, cut
        self.unsynced: list[Path] = []
        self.named: list[Path] = []
        self.moved: list[tuple[Path, Path, bytes | None, bytes]] = []
        self.sync = os.fsync
        os.fsync = self.synced
        sys.addaudithook(self.before)

    def before(self, event, arguments):
        if self.left < 0 or event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.listdir"):
            return
        self.count()
        if event == "open" and isinstance(arguments[1], str) and "w" in arguments[1]:
            self.unsynced.append(Path(arguments[0]))
            self.named.append(Path(arguments[0]))
        elif event == "os.rename":
            self.left, kept = -1, self.left  # what this reads is not counted
            source, target = Path(arguments[0]), Path(arguments[1])
            self.moved.append((source, target, target.read_bytes() if target.exists() else None, source.read_bytes()))
            self.left = kept

    def synced(self, handle):
        self.count()
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if path.is_dir():
            self.moved.clear()
            self.named.clear()
        else:
            self.unsynced.remove(path)

    def count(self):
        if self.left == 0:
            self.left = -1
            if self.cut:
                self.power_cut()
            os._exit(7)
        self.left -= 1

    def power_cut(self):
        for path in self.unsynced:
            path.write_bytes(b"")
        for source, target, before, content in reversed(self.moved):
            if self.cut == "none moved" or (self.cut == "manifest moved" and target.name != "manifest.json"):
                source.write_bytes(content)
                target.unlink() if before is None else target.write_bytes(before)
        for path in self.named:
            path.unlink(missing_ok=True)


STARTS = {
    "nothing": lambda place: None,
    "old": lambda place: write(place, OLD, MANIFEST),
    "before": legacy,
}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
@pytest.mark.parametrize("cut", ["", "all moved", "none moved", "manifest moved"], ids=lambda cut: cut or "kill")
@pytest.mark.parametrize("start", STARTS)
def test_a_kill_or_a_power_cut_at_any_point_leaves_the_old_unit_or_the_new(
    tmp_path, at_once, monkeypatch, start, cut
):
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # the one that dies counts them
    new = {**MANIFEST, "date": "later"}
    outcomes = []
    for last in itertools.count():
        place = tmp_path / str(last)
        place.mkdir()
        (place / "notes.txt").write_text("mine")
        STARTS[start](place)
        child = os.fork()
        if not child:
            Dying(last, cut)
            write(place, NEW, new)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        try:
            outcomes.append("new" if believed(place) == (NEW, new) else "old")
            assert outcomes[-1] == "new" or (start != "nothing" and believed(place) == (OLD, MANIFEST))
        except DamagedError as damage:
            outcomes.append("nothing" if start == "nothing" else str(damage))
        write(place, NEXT, MANIFEST)
        assert believed(place) == (NEXT, MANIFEST)
        assert {path.name for path in place.iterdir()} == {*NEXT, "manifest.json", "notes.txt"}
        if os.waitstatus_to_exitcode(status) == 0:
            break
        assert os.waitstatus_to_exitcode(status) == 7
    assert last > 20
    assert outcomes == sorted(outcomes, key=["nothing", "old", "new"].index)
    assert outcomes[-1] == "new"
    assert outcomes[0] == ("nothing" if start == "nothing" else "old")


def test_a_full_disk_leaves_the_old_unit_and_no_litter(tmp_path, monkeypatch):
    write(tmp_path, OLD, MANIFEST)
    calls = itertools.count()
    for full in range(4):
        start = next(calls)

        def fsync(handle, last=start + 1 + full):
            if next(calls) >= last:
                raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fsync)
            with pytest.raises(OSError, match="No space left") as error:
                write(tmp_path, NEW, MANIFEST)
        assert error.value.filename == str(tmp_path / [*NEW, "manifest.json"][full])
        assert believed(tmp_path) == (OLD, MANIFEST)
        assert {path.name for path in tmp_path.iterdir()} == {*OLD, "manifest.json"}


# At the same time ---------------------------------------------------------------------------------------------------

WRITER = """
import os, sys, pathlib
from learnability.results.generation import write
place, name, times = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
os.fsync = lambda handle: None
for k in range(times):
    word = f"{name} {k}".encode()
    files = {"figure.png": word, "verdicts.json": word * 100}
    write(place, {**files, "table.parquet": word} if k % 2 else files, {"word": word.decode()})
    if (place / "enough").exists():
        break
"""


def writer(place, name, times):
    return subprocess.Popen([sys.executable, "-c", WRITER, str(place), name, str(times)], stderr=subprocess.PIPE)


def whole(place):
    """The word that all files of the unit say."""
    content, manifest = believed(place)
    word = manifest["word"]
    odd = int(word.partition(" ")[2]) % 2
    files = {"figure.png": word.encode(), "verdicts.json": word.encode() * 100}
    assert content == ({**files, "table.parquet": word.encode()} if odd else files)
    return word


def test_readers_during_swaps_never_fail_and_never_mix(tmp_path):
    write(tmp_path, {"figure.png": b"a 0", "verdicts.json": b"a 0" * 100}, {"word": "a 0"})
    with writer(tmp_path, "b", 10**6) as process:
        seen = {whole(tmp_path) for _ in range(1000)}
        while len(seen) < 3:  # the writer starts late on a busy machine
            seen.add(whole(tmp_path))
        (tmp_path / "enough").touch()
        assert process.wait() == 0, process.stderr.read()


def test_of_several_writers_at_once_one_is_left_whole(tmp_path):
    processes = [writer(tmp_path, name, 60) for name in "abc"]
    for process in processes:
        assert process.wait() == 0, process.stderr.read()
        process.stderr.close()
    assert whole(tmp_path)[2:] == "59"
    write(tmp_path, NEXT, MANIFEST)
    assert {path.name for path in tmp_path.iterdir()} == {*NEXT, "manifest.json"}
