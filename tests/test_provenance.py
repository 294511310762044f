"""What a process computes with: told in full, and compared in what rows depend on."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from learnability import provenance

HERE = provenance.here()


def test_it_tells_versions_source_and_kernels():
    libraries = {"numpy", "scipy", "numba", "scikit-learn", "jax", "jaxlib", "optax", "pandas", "duckdb"}
    assert {"learnability", "python", "platform", "source", "blas", *libraries} <= HERE.keys()
    assert all(isinstance(value, str) and value for value in HERE.values())
    assert len(HERE["source"]) == 16
    int(HERE["source"], 16)


def test_another_process_says_the_same_whatever_it_has_imported():
    code = "import json; from learnability import provenance; print(json.dumps(provenance.here()))"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout) == HERE


def package(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return provenance.digest(folder)


FILES = {"a.py": b"one\ntwo\n", "deep/b.py": b"three\n"}


def test_the_digest_is_of_names_and_content_of_python_files_alone(tmp_path):
    usual = package(tmp_path / "1", FILES)
    assert package(tmp_path / "2", dict(reversed(FILES.items()))) == usual
    assert package(tmp_path / "3", {**FILES, "deep/__pycache__/b.pyc": b"x", "notes.txt": b"x"}) == usual
    assert package(tmp_path / "4", {**FILES, "a.py": b"one\r\ntwo\r\n"}) == usual  # checked out on Windows
    assert package(tmp_path / "5", {**FILES, "a.py": b"one\ntwo!\n"}) != usual
    assert package(tmp_path / "6", {"a.py": b"one\ntwo\n", "deep/c.py": b"three\n"}) != usual
    assert package(tmp_path / "7", {**FILES, "c.py": b""}) != usual


@pytest.mark.skipif(os.name != "posix", reason="whoever makes links needs a right")
def test_links_to_nowhere_are_no_source(tmp_path):
    usual = package(tmp_path, FILES)
    (tmp_path / ".#a.py").symlink_to("someone@somewhere")
    (tmp_path / "gone.py").symlink_to("nowhere")
    assert provenance.digest(tmp_path) == usual


STRANGE = {
    "learnability": ("0.0.9", "learnability 0.0.9 instead of {}"),
    "source": ("0123456789abcdef", "source of learnability 0123456789abcdef instead of {}"),
    "python": ("3.99.1", "Python 3.99.1 instead of {}"),
    "numpy": ("1.0", "numpy 1.0 instead of {}"),
    "scikit-learn": ("0.1", "scikit-learn 0.1 instead of {}"),
}


@pytest.mark.parametrize("key", STRANGE)
def test_what_rows_depend_on_is_strange_where_it_differs(key):
    value, told = STRANGE[key]
    assert provenance.strange(HERE, {**HERE, key: value}) == told.format(HERE[key])


def test_several_differences_are_all_told():
    told = provenance.strange(HERE, {**HERE, "numpy": "1.0", "scipy": "1.1"})
    assert told == f"numpy 1.0 instead of {HERE['numpy']}; scipy 1.1 instead of {HERE['scipy']}"


@pytest.mark.parametrize("key", ["platform", "blas", "pandas", "duckdb", "matplotlib", "distributed"])
def test_what_changes_no_row_beyond_rounding_is_not_strange(key):
    assert provenance.strange(HERE, {**HERE, key: "other"}) is None


def test_another_bugfix_release_of_python_is_not_strange():
    other = ".".join([*HERE["python"].split(".")[:2], "99"])
    assert provenance.strange(HERE, {**HERE, "python": other}) is None
    assert provenance.mixture([{**HERE, "python": other}]) == []


def test_what_an_older_process_does_not_tell_is_not_strange():
    old = {key: value for key, value in HERE.items() if key not in ("source", "blas")}
    assert provenance.strange(HERE, old) is None
    assert provenance.strange(old, HERE) is None
    assert provenance.mixture([old, HERE]) == []


def test_a_library_that_one_has_not_is_not_strange():
    without, old = {**HERE, "jax": "absent", "optax": "absent"}, {**HERE, "optax": "0.1"}
    assert provenance.strange(HERE, without) is None
    assert provenance.strange(without, HERE) is None
    assert provenance.mixture([without, HERE]) == []
    assert provenance.mixture([without, old]) == [f"optax: 0.1 ({HERE['optax']} here)"]


def test_others_differ_in_a_library_that_is_not_here(monkeypatch):
    without = {**HERE, "jax": "absent"}
    monkeypatch.setattr(provenance, "here", lambda: without)
    others = [{**HERE, "jax": "0.8"}, {**HERE, "jax": "0.9"}, without]
    assert provenance.mixture(others) == ["jax: 0.8 and 0.9 (none here)"]
    assert provenance.mixture(others[1:]) == []


def test_mixtures_are_named():
    assert provenance.mixture([]) == []
    assert provenance.mixture([HERE, HERE]) == []
    assert provenance.mixture([{**HERE, "platform": "other", "pandas": "0"}]) == []
    numpy, blas = HERE["numpy"], HERE["blas"]
    assert provenance.mixture([{**HERE, "numpy": "1.0"}, HERE]) == [f"numpy: 1.0 and {numpy} ({numpy} here)"]
    assert provenance.mixture([{**HERE, "numpy": "1.1"}, {**HERE, "numpy": "1.0", "blas": "Old"}, {**HERE}]) == [
        f"numpy: 1.0, 1.1 and {numpy} ({numpy} here)",
        f"kernel of the linear algebra: Old and {blas} ({blas} here)",
    ]
    assert provenance.mixture([{**HERE, "numpy": "1.0"}]) == [f"numpy: 1.0 ({numpy} here)"]
