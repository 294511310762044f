"""Shards: what is written is what is read, and nothing that was damaged is ever read as data."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability import results
from learnability.results import DamagedShardWarning, Store

RECORD = {"experiment": "toy/walk", "revision": 1, "setting": {"n": 3}, "seed": 0}
ROWS = [{"n": 3, "seed": 0, "step": k, "error": 0.5**k, "side": "links ÿ'\"", "ok": k > 0} for k in range(4)]


KEY = results.key_of(RECORD)


def write(store, key=KEY, rows=ROWS, seconds=0.5):
    store.write("toy/walk", key, rows, seconds, RECORD)
    return store.shard("toy/walk", key)


VALUES = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "str": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    "bool": st.booleans(),
}
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)


@st.composite
def tables(draw):
    kinds = draw(st.dictionaries(NAMES, st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    # DuckDB's column names do not differ by case alone.
    kinds = dict({name.lower(): (name, kind) for name, kind in kinds.items()}.values())
    return draw(st.lists(st.fixed_dictionaries({n: VALUES[k] for n, k in kinds.items()}), min_size=1, max_size=5))


@settings(max_examples=30)
@given(tables())
def test_rows_come_back_exactly(tmp_path_factory, rows):
    store = Store(tmp_path_factory.mktemp("out"))
    write(store, rows=rows)
    table = store.read("toy/walk", [KEY])
    assert list(table.columns) == list(rows[0])
    assert table.to_dict("records") == rows


def test_types_are_primitive_and_missing_values_are_nan_or_missing_text():
    table = results.tidy([{"i": 1, "f": 1, "b": True, "s": "x", "late": 1}, {"i": 2, "f": 2.5, "b": False}])
    assert [str(table[name].dtype) for name in "ifb"] == ["int64", "float64", "bool"]
    assert table["late"].tolist()[0] == 1.0
    assert math.isnan(table["late"][1])
    assert pd.isna(table["s"][1])


def test_infinities_become_nan():
    assert results.tidy([{"x": float("inf")}, {"x": 1.0}, {"x": float("-inf")}])["x"].isna().tolist() == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"x": 1}, {"x": "one"}], r"column 'x' must hold one kind of value, got \['float', 'str'\]"),
        ([{"x": 1}, {"x": True}], r"column 'x' must hold one kind of value, got \['bool', 'float'\]"),
        ([{"x": 2**63}], "column 'x' must hold integers of 64 bits"),
        ([{"x": 1, "X": 2}], "columns must differ by more than case, got 'x' and 'X'"),
    ],
)
def test_columns_that_are_no_columns_are_named(rows, message):
    with pytest.raises(ValueError, match=message):
        results.tidy(rows)


def test_shards_are_united_by_name_in_the_order_of_keys(tmp_path):
    store = Store(tmp_path / "a [*?] folder's")  # nothing in the path is a pattern or ends a string
    write(store, "b" * 64, [{"n": 1, "flag": True, "k": 7}, {"n": 2, "flag": False, "k": 8}])
    write(store, "a" * 64, [{"n": 3, "extra": "text"}])
    table = store.read("toy/walk", ["b" * 64, "a" * 64])
    assert table["n"].tolist() == [1, 2, 3]
    assert [str(table[name].dtype) for name in ("n", "flag", "k")] == ["int64", "float64", "float64"]
    assert table["flag"].tolist()[:2] == [1.0, 0.0]
    assert table["extra"].tolist()[2] == "text"
    reverse = store.read("toy/walk", ["a" * 64, "b" * 64])
    assert reverse["n"].tolist() == [3, 1, 2]
    assert store.read("toy/walk", []).empty


def test_equal_rows_give_equal_bytes_and_time_stands_in_the_sidecar(tmp_path):
    first, second = Store(tmp_path / "1"), Store(tmp_path / "2")
    left, right = write(first, seconds=0.5), write(second, seconds=99.0)
    assert left.read_bytes() == right.read_bytes()
    assert first.seconds("toy/walk", KEY) == 0.5
    assert second.seconds("toy/walk", KEY) == 99.0
    sidecar = json.loads(left.with_suffix(".json").read_text())
    assert sidecar["task"] == RECORD
    assert sidecar["rows"] == 4
    assert {"learnability", "numpy", "numba", "python", "platform"} <= set(sidecar["versions"])
    assert sorted(path.name for path in left.parent.iterdir()) == [f"{KEY}.json", f"{KEY}.parquet"]


def test_an_absent_task_is_not_done_and_needs_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Store(tmp_path).seconds("toy/walk", KEY) is None


def flip_a_bit(shard):
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


def change_sidecar(**changes):
    def harm(shard):
        sidecar = shard.with_suffix(".json")
        sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **changes}))

    return harm


DAMAGE = {
    "flipped bit": (flip_a_bit, "checksum"),
    "truncated": (lambda shard: os.truncate(shard, shard.stat().st_size // 2), "checksum"),
    "empty": (lambda shard: os.truncate(shard, 0), "checksum"),
    "no sidecar": (lambda shard: shard.with_suffix(".json").unlink(), f"{KEY}.json is missing"),
    "no shard": (lambda shard: shard.unlink(), f"{KEY}.parquet is missing"),
    "truncated sidecar": (lambda shard: os.truncate(shard.with_suffix(".json"), 20), "not readable"),
    "foreign sidecar": (lambda shard: shard.with_suffix(".json").write_text("[1]"), "not readable"),
    "another task's": (change_sidecar(task={**RECORD, "seed": 1}), "another task's"),
    "no task": (change_sidecar(task=None), "another task's"),
    "no number": (change_sidecar(seconds=float("nan")), f"{KEY}.json is not readable"),
    "negative time": (change_sidecar(seconds=-1.0), f"{KEY}.json is not readable"),
    "binary sidecar": (lambda shard: shard.with_suffix(".json").write_bytes(b"\xff\xfe"), "not readable"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_shard_is_named_and_not_done_until_it_is_written_again(tmp_path, damage):
    store = Store(tmp_path)
    shard = write(store)
    harm, reason = DAMAGE[damage]
    harm(shard)
    with pytest.warns(DamagedShardWarning, match=f"{shard}: .*{reason}") as caught:
        assert store.seconds("toy/walk", KEY) is None
    assert len(caught) == 1
    write(store)
    assert store.seconds("toy/walk", KEY) == 0.5
    assert len(store.read("toy/walk", [KEY])) == 4


def test_a_shard_and_its_sidecar_under_another_key_are_not_that_task(tmp_path):
    store = Store(tmp_path)
    shard, other = write(store), results.key_of({**RECORD, "seed": 1})
    for suffix in (".parquet", ".json"):
        shutil.copy(shard.with_suffix(suffix), shard.with_name(other + suffix))
    with pytest.warns(DamagedShardWarning, match=f"{other}.parquet: {other}.json is another task's"):
        assert store.seconds("toy/walk", other) is None
    assert store.seconds("toy/walk", KEY) == 0.5


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_a_folder_in_a_file_s_place_is_named(tmp_path, suffix):
    store = Store(tmp_path)
    victim = write(store).with_suffix(suffix)
    victim.unlink()
    victim.mkdir()
    with pytest.warns(DamagedShardWarning, match=f"{KEY}{suffix} cannot be read .Is a directory."):
        assert store.seconds("toy/walk", KEY) is None


@pytest.mark.parametrize(("out", "message"), [("", "path of a folder, got ''"), (5, "a path, got 5"), (None, "None")])
def test_what_is_no_path_is_named(out, message):
    with pytest.raises(ValueError, match=f"out must be .*{message}"):
        Store(out)


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_an_unwritable_folder_is_named(tmp_path, where):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match=f"out must be a writable folder, got '{tmp_path / where}'"):
        Store(tmp_path / where)


def test_a_failed_write_leaves_the_old_file_and_no_trace(tmp_path, monkeypatch):
    path = tmp_path / "file"
    results.write_atomically(path, b"old")

    def no_space(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(OSError, match="No space left"):
        results.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_refuses_what_json_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        results.write_json(tmp_path / "x.json", {"x": np.nan})
    assert not list(tmp_path.iterdir())


def write_often(root, barrier):
    store = Store(root)
    barrier.wait()
    for _ in range(10):
        write(store, rows=ROWS * 50)


def test_two_processes_in_one_folder_do_not_corrupt_each_other(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    writers = [context.Process(target=write_often, args=(str(tmp_path), barrier)) for _ in range(2)]
    for writer in writers:
        writer.start()
    store, seen = Store(tmp_path), 0
    barrier.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedShardWarning)  # between the very first shard and its sidecar
        while any(writer.is_alive() for writer in writers):
            if store.seconds("toy/walk", KEY) is not None:
                assert len(store.read("toy/walk", [KEY])) == 200
                seen += 1
    assert seen
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert store.seconds("toy/walk", KEY) == 0.5
    assert len(list((tmp_path / "tasks/toy/walk").iterdir())) == 2
