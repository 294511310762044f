"""Rows become tables: what is written is what is read, however tasks were put together in files."""

from __future__ import annotations

import math
import os
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from learnability.results import parquet, tables, tidy

INTEGERS = st.integers(-(2**63), 2**63 - 1)
VALUES = {
    "int": INTEGERS,
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "str": st.text(st.characters(exclude_categories=["Cs"])),
    "bool": st.booleans(),
}
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)


def batch(tasks):
    """Tasks, given by their rows, in one file; and where each lies in it."""
    found, pieces, start = [], [], 0
    for number, rows in enumerate(tasks):
        columns = tables.columns(rows)
        found.append((f"{number:064x}", len(rows), columns))
        kinds = tuple((name, column.kind) for name, column in columns.items())
        pieces.append((start, len(rows), kinds))
        start += len(rows)
    return tables.File(tables.batch(found), start), pieces


def united(tasks, cuts, order):
    """The table of tasks in an order, where each cut is a list of the tasks that lie in one file."""
    files, pieces = [], {}
    for cut in cuts:
        file, places = batch([tasks[k] for k in cut])
        pieces.update({k: tables.Piece(len(files), *place) for k, place in zip(cut, places)})
        files.append(file)
    return tables.unite(files, [pieces[k] for k in order])


def united_before(tasks, order):
    """The same from a file a task, as the first versions wrote them."""
    files = [tables.File(parquet(tidy(rows)), len(rows), of_batch=False) for rows in tasks]
    return tables.unite(files, [tables.Piece(k, 0, len(tasks[k]), None) for k in order])


def one_kind_of_rows(draw):
    kinds = draw(st.dictionaries(NAMES, st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    # DuckDB's column names do not differ by case alone.
    kinds = dict({name.lower(): (name, kind) for name, kind in kinds.items()}.values())
    return draw(st.lists(st.fixed_dictionaries({n: VALUES[k] for n, k in kinds.items()}), min_size=1, max_size=5))


@settings(max_examples=50)
@given(st.composite(one_kind_of_rows)())
def test_rows_come_back_exactly(rows):
    for table in (united([rows], [[0]], [0]), united_before([rows], [0])):
        assert list(table.columns) == list(rows[0])
        assert table.to_dict("records") == rows


CELLS = {
    "int": st.one_of(st.integers(-5, 5), INTEGERS),
    "float": st.one_of(st.floats(), st.integers(-5, 5)),
    "str": st.sampled_from(["", "a", "links ÿ'\"", "0.5", "\0"]),
    "bool": st.booleans(),
}


def several_tasks(draw, kinds):
    """Tasks whose columns come and go, within a task too, and whose columns of one name are of these kinds."""
    tasks = []
    for _ in range(draw(st.integers(1, 6))):
        columns = {name: draw(st.sampled_from(kinds)) for name in draw(st.lists(st.sampled_from("abÉ"), unique=True))}
        cells = {"n": st.integers(0, 9)}, {name: CELLS[kind] for name, kind in columns.items()}
        tasks.append(draw(st.lists(st.fixed_dictionaries(cells[0], optional=cells[1]), min_size=1, max_size=3)))
    order = draw(st.permutations(range(len(tasks))))
    order = order[: draw(st.integers(1, len(order)))]
    mixed = draw(st.permutations(range(len(tasks))))
    ends = sorted(draw(st.sets(st.integers(1, len(mixed)))) | {len(mixed)})
    cuts = [mixed[start:end] for start, end in zip([0, *ends], ends)]
    return tasks, cuts, order


def same(left, right):
    assert_frame_equal(left, right)
    assert parquet(left) == parquet(right)


@settings(max_examples=100)
@given(st.composite(lambda draw: several_tasks(draw, sorted(CELLS)))())
def test_tables_do_not_tell_how_tasks_were_put_together(drawn):
    tasks, cuts, order = drawn
    usual = united(tasks, [[k] for k in range(len(tasks))], order)
    same(united(tasks, cuts, order), usual)
    same(united_before(tasks, order), usual)


def as_before(folder: Path, tasks, order):
    """How the first versions read their files."""
    paths = []
    for k in order:
        paths.append(str(folder / f"{k}.parquet"))
        Path(paths[-1]).write_bytes(parquet(tidy(tasks[k])))
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET threads = 1")
        table = connection.execute("SELECT * FROM read_parquet($1, union_by_name = true)", [paths]).df()
    return table.astype(
        dict.fromkeys((n for n, k in table.dtypes.items() if str(k) in ("Int64", "boolean")), "float64")
    )


@settings(max_examples=60)
@given(st.composite(lambda draw: several_tasks(draw, draw(st.sampled_from([["int", "float", "bool"], ["str"]]))))())
def test_tables_are_what_they_were_before_there_were_batches(tmp_path_factory, drawn):
    tasks, cuts, order = drawn
    same(united(tasks, cuts, order), as_before(tmp_path_factory.mktemp("before"), tasks, order))


def test_types_are_primitive_and_missing_values_are_nan_or_missing_text():
    table = tidy([{"i": 1, "f": 1, "b": True, "s": "x", "late": 1}, {"i": 2, "f": 2.5, "b": False}])
    assert [str(table[name].dtype) for name in "ifb"] == ["int64", "float64", "bool"]
    assert table["late"].tolist()[0] == 1.0
    assert math.isnan(table["late"][1])
    assert pd.isna(table["s"][1])


def test_infinities_become_nan():
    assert tidy([{"x": float("inf")}, {"x": 1.0}, {"x": float("-inf")}])["x"].isna().tolist() == [True, False, True]


UNTIDY = {
    "text and number": ([{"x": 1}, {"x": "one"}], r"column 'x' must hold one kind of value, got \['float', 'str'\]"),
    "truth and number": ([{"x": 1}, {"x": True}], r"column 'x' must hold one kind of value, got \['bool', 'float'\]"),
    "66 bits": ([{"x": 2**63}], "column 'x' must hold integers of 64 bits"),
    "no float64": ([{"x": 10**400}, {"x": 0.5}], "column 'x' must hold integers of 64 bits or float64"),
    "case": ([{"x": 1, "X": 2}], "columns must differ by more than case, got 'x' and 'X'"),
    "no name": ([{"": 1}], "columns must have names that a table can have, got ''"),
    "nul in a name": ([{"a\0b": 1}], r"columns must have names that a table can have, got 'a\\x00b'"),
    "half a name": ([{"\udcff": 1}], r"columns must have names that a table can have, got '\\udcff'"),
    "half a character": ([{"x": "a\udcff"}], "column 'x' must hold text that can be written as UTF-8"),
}


@pytest.mark.parametrize("case", UNTIDY)
def test_columns_that_are_no_columns_are_named(case):
    rows, message = UNTIDY[case]
    with pytest.raises(ValueError, match=message):
        tidy(rows)


MIXED = {
    "int and float": ([1], [0.5], "float64", [1.0, 0.5]),
    "int and bool": ([7], [True], "int64", [7, 1]),
    "float and bool": ([0.5], [True], "float64", [0.5, 1.0]),
    "text and float": (["x"], [0.5], "str", ["x", "0.5"]),
    "text and bool": (["x"], [True], "str", ["x", "true"]),
}


@pytest.mark.parametrize("case", MIXED)
@pytest.mark.parametrize("cuts", [[[0], [1]], [[0, 1]], [[1, 0]]])
def test_kinds_that_differ_between_tasks_become_one(case, cuts):
    left, right, dtype, values = MIXED[case]
    tasks = [[{"x": value} for value in left], [{"x": value} for value in right]]
    for order, expected in (([0, 1], values), ([1, 0], values[::-1])):
        table = united(tasks, cuts, order)
        assert table["x"].tolist() == expected
        assert dtype == "str" or str(table["x"].dtype) == dtype


def test_integers_beyond_float64_stay_themselves_beside_floats_of_their_batch():
    tasks = [[{"x": 2**62 + 1}], [{"x": 0.5}], [{"y": True}]]
    assert united(tasks, [[0, 1, 2]], [0])["x"].tolist() == [2**62 + 1]
    assert str(united(tasks, [[0, 1, 2]], [2])["y"].dtype) == "bool"


def test_a_user_s_own_key_and_file_name_are_columns_like_others():
    rows = [{"key": "mine", "filename": "x", "file_row_number": 7, "key:text": 1.5, ":": True}]
    assert united([rows, rows], [[0, 1]], [1, 0]).to_dict("records") == rows * 2
    assert united_before([rows], [0]).to_dict("records") == rows


def test_no_tasks_give_an_empty_table():
    assert tables.unite([], []).empty


@pytest.mark.parametrize("of_batch", [True, False])
def test_files_with_other_rows_than_was_said_are_found(of_batch):
    rows = [{"x": 1}, {"x": 2}]
    content = batch([rows])[0].content if of_batch else parquet(tidy(rows))
    kinds = (("x", "int"),)
    files = [tables.File(content, count, of_batch) for count in (2, 3, 2)]
    with pytest.raises(tables.WrongRowsError) as caught:
        tables.unite(files, [tables.Piece(k, 0, 1, kinds if of_batch else None) for k in range(3)])
    assert caught.value.files == [1]


def test_the_digest_tells_values_kinds_and_order():
    usual = [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]
    others = [
        usual[::-1], usual[:1],
        [{"y": "a", "x": 1}, {"y": "b", "x": 2}], [{"x": 1.0, "y": "a"}, {"x": 2.0, "y": "b"}],
        [{"x": 1, "y": "a"}, {"x": 3, "y": "b"}], [{"x": 1, "z": "a"}, {"x": 2, "z": "b"}],
    ]  # fmt: skip
    digests = {tables.digest(tables.columns(rows)) for rows in [usual, *others]}
    assert len(digests) == 1 + len(others)


def test_files_of_before_have_the_digests_that_are_stored_now():
    tasks = [[{"x": 1, "y": "a"}, {"x": 2}], [{"x": 0.5}, {"x": float("inf")}], [{"z": True}], [{"x": 7, "y": "b"}]]
    files = [tables.File(parquet(tidy(rows)), len(rows), of_batch=False) for rows in tasks]
    assert tables.digests(files) == [tables.digest(tables.columns(rows)) for rows in tasks]
    files[2] = files[2]._replace(rows=2)
    files[3] = files[3]._replace(rows=2)
    assert [bool(digest) for digest in tables.digests(files)] == [True, True, False, False]
    assert tables.digests([]) == []


def test_an_error_of_duckdb_is_not_the_last_thing_it_does():
    with pytest.raises(duckdb.Error):
        tables.unite([tables.File(b"PAR1", 1)], [tables.Piece(0, 0, 1, ())])
    assert united([[{"x": 1}]], [[0]], [0])["x"].tolist() == [1]


def test_no_file_is_left_anywhere(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    united([[{"x": k} for k in range(10_000)]] * 3, [[0], [1, 2]], [2, 0, 1])
    assert os.listdir(tmp_path) == ["temporary"]
    assert os.listdir(tmp_path / "temporary") == []
