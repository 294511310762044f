"""The cache of compiled functions: nothing depends on it, whatever is done to it."""

import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest

from learnability import compiling
from learnability.errors import CacheWarning

SOURCE = """
from learnability.compiling import cfunc, njit
from numba import types

@njit
def twice(x):
    return 2 * x

@cfunc(types.float64(types.float64))
def half(x):
    return x / 2
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A module on disk, and where its compiled functions go."""
    monkeypatch.setattr(compiling, "_told", set())
    monkeypatch.setitem(sys.modules, "doubled", None)  # and what was there before comes back
    monkeypatch.delenv("LEARNABILITY_WORKER", raising=False)
    source = tmp_path / "code" / "doubled.py"
    source.parent.mkdir()
    source.write_text(SOURCE)
    folder = tmp_path / "kept"
    monkeypatch.setattr(compiling, "_folders", lambda path: [str(folder)])
    return source, folder


def loaded(source):
    """The functions of the module, imported as if by a fresh process."""
    compiling._stamp.cache_clear()
    compiling._text.cache_clear()
    loader = importlib.machinery.SourceFileLoader("doubled", str(source))
    specification = importlib.util.spec_from_loader("doubled", loader)
    module = sys.modules["doubled"] = importlib.util.module_from_spec(specification)
    exec(compile(source.read_text(), source, "exec"), vars(module))  # no bytecode: files here change within a second
    return module.twice, module.half


def used(source):
    twice, half = loaded(source)
    assert twice(4) == 8
    assert half.ctypes(3.0) == 1.5
    return sum(twice.stats.cache_hits.values())


def test_what_is_compiled_once_is_found_again_for_each_signature(place):
    source, folder = place
    assert used(source) == 0
    assert len(list(folder.iterdir())) == 2
    assert used(source) == 1
    twice, _ = loaded(source)
    assert twice(1.5) == 3.0
    assert (twice(np.ones(3)) == 2).all()
    assert len(list(folder.iterdir())) == 4


DAMAGE = {
    "emptied": lambda content: b"",
    "cut in its checksum": lambda content: content[:20],
    "cut": lambda content: content[:-100],
    "a bit flipped": lambda content: content[:400] + bytes([content[400] ^ 1]) + content[401:],
    "something else": lambda content: b"\x80\x04cos\nsystem\n.",
    "longer": lambda content: content + b"\0",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_damaged_is_compiled_again_and_named(place, kind):
    source, folder = place
    used(source)
    (file,) = folder.glob("doubled.twice*")
    sound = file.read_bytes()
    file.write_bytes(DAMAGE[kind](sound))
    with pytest.warns(CacheWarning, match="is compiled anew: it is truncated or damaged") as caught:
        assert used(source) == 0
    assert [str(file) in str(one.message) for one in caught] == [True]
    assert used(source) == 1  # and kept again


def test_a_file_that_cannot_be_read_is_compiled_again_and_named(place):
    source, folder = place
    used(source)
    (file,) = folder.glob("doubled.twice*")
    file.unlink()
    file.mkdir()  # permissions would not stop root
    with pytest.warns(CacheWarning, match="it cannot be read: Is a directory"):
        used(source)


def test_where_nothing_can_be_kept_all_works_and_is_said_once(place, monkeypatch, tmp_path):
    source, _ = place
    (tmp_path / "a file").write_text("")
    monkeypatch.setattr(
        compiling, "_folders", lambda path: [str(tmp_path / "a file"), str(tmp_path / "a file" / "in it")]
    )
    with pytest.warns(CacheWarning, match="NUMBA_CACHE_DIR names a folder to keep it in") as caught:
        found = [used(source) for _ in range(2)]
    assert (found, len(caught)) == ([0, 0], 1)
    monkeypatch.setattr(compiling, "_told", set())
    monkeypatch.setenv("LEARNABILITY_WORKER", "1")  # a worker is silent: its caller has told
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        used(source)
    monkeypatch.delenv("LEARNABILITY_WORKER")
    with pytest.warns(CacheWarning, match="cannot be kept"):
        compiling.foresee()


def test_a_full_disk_leaves_nothing_behind(place, monkeypatch):
    source, folder = place
    folder.mkdir()

    def full(before, after):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiling.os, "replace", full)
    with pytest.warns(CacheWarning, match="No space left on device"):
        used(source)
    assert not list(folder.iterdir())


def test_the_first_place_that_takes_it_is_used_and_all_are_looked_at(place, monkeypatch, tmp_path):
    source, folder = place
    (tmp_path / "a file").write_text("")
    monkeypatch.setattr(compiling, "_folders", lambda path: [str(tmp_path / "a file"), str(folder)])
    assert used(source) == 0
    assert len(list(folder.iterdir())) == 2
    assert used(source) == 1


def test_other_source_is_compiled_anew_and_what_the_old_one_left_is_removed(place):
    source, folder = place
    used(source)
    before = {path.name for path in folder.iterdir()}
    litter = folder / f"doubled.twice.0.0{compiling._HALF}0"
    litter.write_text("")
    os.utime(litter, (1, 1))
    source.write_text(SOURCE.replace("2 * x", "x + x"))
    assert used(source) == 0
    after = {path.name for path in folder.iterdir()}
    assert len(after) == 2
    assert not before & after


def test_the_source_of_what_is_imported_counts(place, monkeypatch, tmp_path):
    """Numba looks at the function's own file only, and would go on with an old constant."""
    source, _ = place
    other = tmp_path / "a_test_s_constants.py"
    other.write_text("FACTOR = 2\n")
    module = type(sys)("learnability.a_test_s_constants")
    module.FACTOR = 2
    monkeypatch.setattr(compiling, "_PACKAGE", str(tmp_path))
    monkeypatch.setattr(compiling, "_file", compiling._file.__wrapped__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(sys.modules["learnability"], "a_test_s_constants", module, raising=False)
    imports = f"from {module.__name__} import (\n    FACTOR,\n)\n"
    source.write_text(imports + SOURCE.replace("2 * x", "FACTOR * x"))
    assert used(source) == 0
    assert used(source) == 1
    other.write_text("FACTOR = 3\n")
    module.FACTOR = 3
    twice, _ = loaded(source)
    assert twice(4) == 12


def test_what_else_is_imported_makes_no_function_another():
    """Or a sweep's workers, the command line and a notebook would compile for minutes what the others have kept."""
    importlib.import_module("learnability.api")
    package = Path(compiling.__file__).parent
    jitted = [path for path in package.rglob("*.py") if re.search("@njit|njit[(]", path.read_text())]
    assert len(jitted) > 15
    code = "import sys\nfrom learnability.compiling import _stamp\nprint(*map(_stamp, sys.argv[1:]))"
    told = subprocess.run([sys.executable, "-c", code, *map(str, jitted)], capture_output=True, text=True, check=True)
    assert told.stdout.split() == [compiling._stamp.__wrapped__(str(path)) for path in jitted]


def test_functions_made_in_a_loop_are_told_apart_by_what_they_hold(place):
    source, folder = place
    source.write_text(
        "from learnability.compiling import njit\n\n"
        "def times(n):\n"
        "    @njit\n"
        "    def one(x):\n"
        "        return n * x\n"
        "    return one\n\n"
        "twice, half = times(2), times(5)\n"
    )
    for _ in range(2):
        twice, five = loaded(source)
        assert (twice(3), five(3)) == (6, 15)
    assert len(list(folder.iterdir())) == 2


def test_two_processes_at_once_compile_the_same(tmp_path):
    (tmp_path / "doubled.py").write_text(SOURCE)
    code = textwrap.dedent(
        """
        import sys
        import doubled
        results = [doubled.twice(4), doubled.twice(1.5), doubled.half.ctypes(3.0)]
        assert results == [8, 3.0, 1.5], results
        """
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept"), "PYTHONPATH": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE) for _ in range(2)
    ]
    for process in running:
        _, errors = process.communicate(timeout=600)
        assert (process.returncode, errors) == (0, b"")
    (folder,) = (tmp_path / "kept").iterdir()
    assert len(list(folder.iterdir())) == 3


def test_the_user_s_folder_is_none_where_there_is_no_home(monkeypatch):
    monkeypatch.setattr(compiling.numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(compiling.AppDirs, "user_cache_dir", property(lambda self: "~/.cache/numba"))
    folders = compiling._folders.__wrapped__("/somewhere/code.py")
    assert folders == [os.path.join("/somewhere", "__pycache__")]
