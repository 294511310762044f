"""Parquet, NPZ, npy, sparse and LIBSVM files: what is in them comes as it is, or is refused for what it costs."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from learnability.datasets import npz_file, parquet_file, svmlight_file
from learnability.datasets.examples import examples
from learnability.datasets.memory import budget
from learnability.datasets.source import Reading
from parquet_bytes import TEXT, WHOLE, enclosed, listing, parquet, thrift

BIG = 2**53
X = np.array([[1, 2.5], [3, -0.4], [0.1, 7]])
Y = np.array([1, 0, 1])


def read(path, label="label", memory=1e9, **options):
    """The examples in a file."""
    opened = {".parquet": parquet_file, ".npz": npz_file, ".npy": npz_file}.get(path.suffix, svmlight_file)
    reading, limits = Reading(**options), budget(memory)
    return examples(opened.open_source(path, reading, limits), label, reading, limits)


def refused(path, message, label="label", **options):
    with pytest.raises(ValueError, match=message) as caught:
        read(path, label, **options)
    assert str(caught.value).startswith(path.name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


needs_resource = pytest.mark.skipif(os.name != "posix", reason="asks for a process's peak of memory")


def peak(path, memory, label="label"):
    """Bytes that reading takes beside Python and the libraries, and what it says, in a process of its own."""
    script = (
        "import resource, sys; import duckdb, pandas; from pathlib import Path; import test_datasets_binary as t\n"
        "top = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = top()\n"
        "try: said = t.read(Path(sys.argv[1]), sys.argv[3], float(sys.argv[2])).values\n"
        "except ValueError as error: said = error\n"
        "print((top() - before) * 1024, said)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", script, str(path), str(memory), label]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    taken, _, said = found.partition(" ")
    return int(taken), said.strip()


# Parquet


@pytest.fixture
def parquet_of(tmp_path):
    """Write a query's rows and metadata as a Parquet file."""

    def write(query, name="data.parquet", **metadata):
        import duckdb

        pairs = ", ".join(f"{key}: '{value}'" for key, value in metadata.items())
        with duckdb.connect() as connection:
            options = f"FORMAT parquet, KV_METADATA {{{pairs}}}" if pairs else "FORMAT parquet"
            connection.execute(f"COPY ({query}) TO '{tmp_path / name}' ({options})")
        return tmp_path / name

    return write


def rows(*values, names="a, label"):
    return f"SELECT * FROM (VALUES {', '.join(map(str, values))}) AS t({names})"


ROWS = rows("(1, 7, 3, 'x')", "(2, 8, 5, 'y')", names="a, b, c, label")


@pytest.mark.parametrize(
    ("stored", "index"),
    [
        (["b"], "'b'"),
        (["b", "c"], "'b', 'c'"),
        ([{"kind": "range", "name": None, "start": 0, "stop": 2, "step": 1}], None),
        ([], None),
        (["gone"], None),
    ],
)
def test_the_index_of_pandas_is_left_out(parquet_of, stored, index):
    found = read(parquet_of(ROWS, pandas=json.dumps({"index_columns": stored})))
    left = [name for name in ("a", "b", "c") if name not in stored]
    assert list(found.feature_names) == left
    assert found.X.shape == (2, len(left))
    assert found.notes == ((f"left out the index that pandas stored: {index}",) if index else ())


def test_an_index_without_a_name_and_one_that_is_asked_for(parquet_of):
    found = read(parquet_of(rows("(5, 1, 'x')", "(6, 2, 'y')", names="__index_level_0__, a, label")))
    assert found.feature_names == ("a",)
    path = parquet_of(ROWS, pandas=json.dumps({"index_columns": ["label", "b"]}))
    found = read(path)  # as the label it stays
    assert found.values == ["x", "y"]
    assert found.feature_names == ("a", "c")
    assert found.notes == ("left out the index that pandas stored: 'b'",)
    assert read(path, one_hot=("b",)).feature_names == ("a", "c", "b=7", "b=8")
    assert read(path, drop=("b",)).feature_names == ("a", "c")


@pytest.mark.parametrize(
    "stored",
    ["", "{", "[]", "1", "null", '{"index_columns": 3}', '{"index_columns": "b"}', '{"index_columns": [["b"]]}',
     '{"columns": []}', "[" * 5000],
)  # fmt: skip
def test_damaged_metadata_of_pandas_are_a_note(parquet_of, stored):
    found = read(parquet_of(ROWS, pandas=stored))
    assert found.feature_names == ("a", "b", "c")
    assert "cannot be read: every column is taken for a feature" in found.notes[0]


def test_whole_numbers_beyond_float64_in_parquet(parquet_of):
    found = read(parquet_of(rows(f"({BIG + 1}::BIGINT, 'x')", f"({BIG + 3}, 'y')", "(NULL, 'y')")), drop_missing=True)
    np.testing.assert_array_equal(found.X, [[0], [2]])
    assert found.offsets == {"a": BIG + 1}
    for kind in ("BIGINT", "UBIGINT", "DECIMAL(38,0)"):
        found = read(parquet_of(rows(f"(1, {BIG + 1}::{kind})", f"(2, {BIG})")))
        assert found.values == [BIG, BIG + 1]
        np.testing.assert_array_equal(found.codes, [1, 0])
    refused(parquet_of(rows(f"({BIG + 1}::UBIGINT, 0)", "(0, 1)")), "whole numbers within 2")


def test_every_number_of_parquet_is_itself(parquet_of):
    kinds = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT"]
    kinds += ["DOUBLE", "DECIMAL(10,2)", "HUGEINT"]
    columns = ", ".join(f"v::{kind} AS c{j}" for j, kind in enumerate(kinds))
    query = f"SELECT {columns}, v > 3 AS t, v AS label FROM (VALUES (3), (100), (NULL)) AS s(v)"
    found = read(parquet_of(query), drop_missing=True)
    np.testing.assert_array_equal(found.X, [[3] * len(kinds) + [0], [100] * len(kinds) + [1]])
    assert "1 of 3 rows left out" in found.notes[-1]
    found = read(parquet_of("SELECT v::DECIMAL(20,3) AS a, v AS label FROM (VALUES (0.1), (0.25)) AS s(v)"))
    np.testing.assert_array_equal(found.X, [[0.1], [0.25]])
    assert found.values == [0.1, 0.25]


def test_labels_of_parquet(parquet_of):
    assert read(parquet_of(rows("(1, true)", "(2, false)", "(3, NULL)")), drop_missing=True).values == [False, True]
    assert read(parquet_of(rows("(1, 'b'::VARCHAR)", "(2, 'a')"))).values == ["a", "b"]
    query = "SELECT a, l::ENUM('q', 'p') AS label FROM (VALUES (1, 'p'), (2, 'q')) AS t(a, l)"
    assert read(parquet_of(query)).values == ["p", "q"]
    refused(parquet_of(rows("(1, [1.5])", "(2, [2])")), "as labels, got type LIST in 'label'")


def test_other_columns_of_parquet_are_named_at_once(parquet_of):
    query = (
        "SELECT 'x' AS s, TIMESTAMP '2020-01-01' AS t, TIME '10:00' AS m, INTERVAL 1 DAY AS i, [1.5] AS l, "
        "{'q': {'r': 1}} AS z, MAP {'k': 1} AS p, uuid() AS u, '{}'::JSON AS j, 1 AS a, 0 AS label"
    )
    said = refused(parquet_of(query), "numbers in every column but the label's")
    assert "'s' (type VARCHAR), 't' (type TIMESTAMP), 'm' (type TIME)" in said
    assert "'l' (type LIST), 'z' (type STRUCT), 'p' (type MAP), 'u' (type UUID) and 1 more" in said
    assert read(parquet_of(query), drop=tuple("stmilzpuj")).feature_names == ("a",)


def test_names_of_parquet_are_those_in_the_file(tmp_path):
    names = ["a", "A", "q\"uo'te", "dot.ted", "c0", "", "naïve\x1b[2J"]
    columns = [(name.encode(), WHOLE, [j, j + 1], [(1, 0), (1, 1)]) for j, name in enumerate(names)]
    path = tmp_path / "d.parquet"
    path.write_bytes(parquet(columns))
    refused(path, "must name every column, got none for column 6", "a")
    path.write_bytes(parquet([*columns[:5], columns[6]]))
    found = read(path, "A")
    assert found.feature_names == ("a", "q\"uo'te", "dot.ted", "c0", "naïve\x1b[2J")
    assert found.values == [1, 2]
    np.testing.assert_array_equal(found.X, [[0, 2, 3, 4, 6], [1, 3, 4, 5, 7]])
    assert read(path, "a", drop=("A",)).feature_names == ("q\"uo'te", "dot.ted", "c0", "naïve\x1b[2J")


def test_only_this_file_is_opened(parquet_of, tmp_path):
    query = rows("(1, 'x')", "(2, 'y')")
    (tmp_path / "b[1]").mkdir()
    parquet_of(query, "a1.parquet")
    for name in ("a[1].parquet", "it's *.parquet", "b[1]/x.parquet"):
        parquet_of(query, "w").rename(tmp_path / name)
        assert read(tmp_path / name).X.shape == (2, 1)
    source = parquet_file.ParquetSource(tmp_path / "a1.parquet", Reading(), budget(1e9))
    (tmp_path / "other.txt").write_text("another's")
    statements = [
        f"SELECT * FROM read_text('{tmp_path}/other.txt')",
        f"SELECT * FROM read_parquet('{tmp_path}/a[[]1].parquet')",
        f"COPY (SELECT 1) TO '{tmp_path}/w.csv'",
        "INSTALL spatial",
        "SET memory_limit = '1TB'",
    ]
    for statement in statements:
        with (
            pytest.raises(ValueError, match=r"a1.parquet cannot be read as Parquet"),
            source._open(1e8) as connection,
        ):
            connection.execute(statement)


LONG = [
    (b"a", WHOLE, [0, 1], [(99_999, 0), (1, 1)]),
    (b"label", TEXT, [b"x" * 10**6, b"y" * 10**6], [(50_000, 0), (50_000, 1)]),
]


@needs_resource
@pytest.mark.parametrize("lies", [{}, {"unpacked": 10}])
def test_long_labels_of_parquet_are_never_made(tmp_path, lies):
    path = tmp_path / "long.parquet"  # 100 GB of text
    path.write_bytes(parquet(LONG, **lies))
    assert path.stat().st_size < 10_000
    taken, said = peak(path, 2e8)
    assert said.endswith("texts of at most 1,000 characters in the column 'label', got one of 1,000,000 bytes")
    assert taken < 1.5e8


def test_parquet_that_promises_something_else(tmp_path):
    path = tmp_path / "d.parquet"
    columns = [(b"a", WHOLE, [0, 1], [(9, 0), (1, 1)]), (b"label", TEXT, [b"x", b"y"], [(5, 0), (5, 1)])]

    def written(content):
        path.write_bytes(content)
        return path

    found = read(written(parquet(columns)))
    np.testing.assert_array_equal(found.X[:, 0], [0] * 9 + [1])
    np.testing.assert_array_equal(found.codes, [0] * 5 + [1] * 5)
    refused(
        written(parquet(columns, rows=10**13)), r"needs 240 TB of memory \(10,000,000,000,000 rows x 1 features\)"
    )
    refused(written(parquet(columns, rows=20)), "cannot be read as Parquet|is damaged")
    refused(written(parquet(columns, rows=3)), "cannot be read as Parquet|is damaged")
    refused(
        written(parquet(columns, page_size=2**31 - 1)), "needs more memory than the 64 MB|cannot be read as Parquet"
    )
    for bomb in (b"\x15\x02\x19", b"\x15\x02\x39"):  # a schema, row groups of a billion
        refused(
            written(enclosed(bytes(90), bomb + listing("struct", 2**30) + bytes(50))),
            "cannot be read as Parquet|needs more memory",
        )
    nodes = [[(4, "bytes", b"root"), (5, "i32", 10**9)], [(1, "i32", 2), (3, "i32", 0), (4, "bytes", b"a")]]
    footer = thrift((1, "i32", 1), (2, "list struct", nodes), (3, "i64", 5), (4, "list struct", []))
    refused(written(enclosed(bytes(90), footer)), "cannot be read as Parquet")


# Arrays


@pytest.fixture
def arrays(tmp_path):
    """Save arrays as NPZ, or one as npy."""

    def write(array=None, **named):
        path = tmp_path / ("data.npz" if array is None else "data.npy")
        np.savez(path, **named) if array is None else np.save(path, array)
        return path

    return write


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def headed(text, version=2, length=None):
    """An array's beginning."""
    size = struct.pack("<I" if version > 1 else "<H", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text


@pytest.fixture
def archive(tmp_path):
    """An archive of members, each in parts."""

    def write(members, method=zipfile.ZIP_DEFLATED):
        path = tmp_path / "data.npz"
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as file:
            warnings.simplefilter("ignore")
            for name, *parts in members:
                with file.open(name, "w", force_zip64=True) as stream:
                    for part in parts:
                        stream.write(part)
        return path

    return write


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", ">f8", "i1", ">i2", "i4", ">i8", "u1", "u2", ">u4", "u8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_of_every_size(arrays, dtype, order):
    whole = np.array([[1, 2], [3, 0], [7, 100]], dtype=dtype, order=order)
    found = read(arrays(X=whole, label=np.array([3, 1, 3], dtype=dtype)))
    np.testing.assert_array_equal(found.X, [[1, 2], [3, 0], [7, 100]])
    np.testing.assert_array_equal(found.codes, [1, 0, 1])
    assert found.values == [1, 3]
    found = read(arrays(whole), "2")
    assert found.feature_names == ("1",)
    assert found.values == [0, 2, 100]
    np.testing.assert_array_equal(found.X[:, 0], [1, 3, 7])


def test_truths_texts_and_records(arrays):
    found = read(arrays(t=np.array([True, False, True]), label=np.array([True, False, True])))
    np.testing.assert_array_equal(found.X[:, 0], [1, 0, 1])
    assert found.values == [False, True]
    for label in (np.array(["b", "ä", "b"]), np.array(["b", "ä", "b"], dtype=">U9"), np.char.encode(["b", "ä", "b"])):
        assert read(arrays(X=X, label=label)).values == ["b", "ä"]
    refused(
        arrays(X=X, label=np.array([b"\xff", b"\xfe", b"a"])), r"text in UTF-8, got b'\\xff' in column 'label', row 1"
    )
    records = np.array([(1, 2.5, "b"), (2, 0.5, "a")], dtype=[("a", "i8"), ("b", ">f4"), ("c", "U2")])
    found = read(arrays(records), "c")
    np.testing.assert_array_equal(found.X, [[1, 2.5], [2, 0.5]])
    assert found.feature_names == ("a", "b")
    assert read(arrays(r=records, Z=X[:2]), "r.c").feature_names == ("r.a", "r.b", "Z[0]", "Z[1]")
    table = np.array([["1", "x"], ["2", "y"]])
    refused(arrays(table), r"other values in '1' \(dtype <U1\)", "2")
    assert read(arrays(table), "2", one_hot=("1",)).feature_names == ("1=1", "1=2")


def test_a_label_with_one_column_and_an_image(arrays):
    images = np.arange(12.0).reshape(3, 2, 2)
    found = read(arrays(images=images, label=Y[:, None]))
    assert found.feature_names == ("images[0]", "images[1]", "images[2]", "images[3]")
    np.testing.assert_array_equal(found.X, images.reshape(3, 4))
    np.testing.assert_array_equal(read(arrays(images=np.asfortranarray(images), label=Y)).X, images.reshape(3, 4))
    np.testing.assert_array_equal(read(arrays(images=images), "images[3]").values, [3, 7, 11])
    assert read(arrays(images=images, label=Y), drop=("images[1]",)).X.shape == (3, 3)


def test_arrays_of_other_kinds_are_named_or_left_out(arrays):
    other = {"when": np.array([1, 2, 3], dtype="M8[s]"), "z": np.array([1j, 2, 3]), "o": np.array([1, "a", None])}
    said = refused(arrays(X=X, label=Y, **other), "numbers in every column but the label's")
    assert "'when' (dtype datetime64[s]), 'z' (dtype complex128), 'o' (dtype object, which is not unpickled)" in said
    assert read(arrays(X=X, label=Y, **other), drop=("when", "z", "o")).X.shape == (3, 2)
    refused(arrays(X=X, label=other["o"]), "as labels, got dtype object, which is not unpickled in 'label'")
    refused(arrays(X=X, label=np.array(["x" * 5000, "y", "y"])), "dtype <U5000, longer than 4,000 in 'label'")
    halves = {"X": X, "label": Y, "X_test": np.ones((5, 2)), "about": np.array("text")}
    refused(arrays(**halves), r"as many rows in each, got 'X' of shape \(3, 2\), .*'about' of shape \(\): leave")
    assert read(arrays(**halves), drop=("X_test", "about")).X.shape == (3, 2)
    refused(arrays(Y), r"data.npy must hold a matrix .* got an array of shape \(3,\)")
    refused(arrays(np.float64(3)), r"got an array of shape \(\)")


def test_whole_numbers_beyond_float64_in_arrays(arrays):
    for dtype, base in (("i8", BIG), (">i8", -BIG - 10), ("u8", 2**63)):
        given = np.array([[base + 1, 5], [base + 3, 6]], dtype=dtype)
        found = read(arrays(X=given, label=given[:, 0]))
        np.testing.assert_array_equal(found.X, [[0, 5], [2, 6]])
        assert found.values == [base + 1, base + 3]
    refused(arrays(X=np.array([1, 3], "g") / 3, label=Y[:2]), "float64 can hold, got .* in column 'X'")
    refused(arrays(X=X, label=Y.astype("g") / 3), "float64 can hold, got .* in column 'label'")


class Trap:
    """Pickled, it would run code when unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("unpickled",))


def test_nothing_is_unpickled(arrays, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    traps = np.array([Trap(), Trap()], dtype=object)
    refused(arrays(X=traps, label=Y[:2]), "not unpickled")
    refused(arrays(traps.reshape(2, 1)), "not unpickled", "1")
    refused(arrays(format=traps, shape=traps, data=traps), "not unpickled", "data")
    (tmp_path / "x.npy").write_bytes(pickle.dumps(Trap()))
    refused(tmp_path / "x.npy", "arrays in NumPy's format 1 to 3, got")
    assert not (tmp_path / "unpickled").exists()


HEADERS = [
    b"-" * 60_000 + b"1", b"(" * 60_000, b"1+" * 30_000 + b"1", b"[" * 199 + b"]" * 199, b"'\\", b"\xff\xfe", b"[]",
    b"{'a':\n  1\n 2}", b"{'descr':'f8','fortran_order':False,'shape':(2,", b"{'descr':'f8','shape':(2,)}",
    b"{'descr':'f8','fortran_order':False,'shape':(True,)}", b"{'descr':'f8','fortran_order':False,'shape':[2]}",
    b"{'descr':'f8','fortran_order':0,'shape':(2,)}", b"{'descr':'f8','fortran_order':False,'shape':(-2,)}",
    b"{'descr':'f8','fortran_order':False,'shape':(" + b"9" * 5000 + b",)}",
    b"{'descr':'f8','fortran_order':False,'shape':(" + b"1," * 1000 + b")}",
    b"{'descr':[('a','f8'),('a','f8')],'fortran_order':False,'shape':(2,)}",
    b"{'descr':('f8',(1000000000,1000000000)),'fortran_order':False,'shape':(2,)}",
]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: repr(header[:20]))
def test_headers_that_are_none(archive, header):
    refused(
        archive([("X.npy", headed(header)), ("label.npy", npy(Y))]), "is damaged: the array 'X' must have a header"
    )


def test_headers_of_python_2_and_of_every_version(archive):
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 2L), }\n"
    for version in (1, 2, 3):
        found = read(archive([("X.npy", headed(text, version), X.tobytes()), ("label.npy", npy(Y))]))
        np.testing.assert_array_equal(found.X, X)
    refused(archive([("X.npy", headed(text, 4)), ("label.npy", npy(Y))]), "format 1 to 3, got")
    refused(
        archive([("X.npy", headed(text), X.tobytes()[:-8]), ("label.npy", npy(Y))]), "has 40 bytes where its header"
    )


ZEROS = [bytes(2**20)] * 64
HUGE = {
    "header": (headed(b" " * 2**16, length=2**26), *ZEROS),
    "zeros": (headed(b"{'descr':'u1','fortran_order':False,'shape':(2,33554432)}"), *ZEROS),
    "text": (headed(b"{'descr':'<U8388608','fortran_order':False,'shape':(2,)}"), *ZEROS),
    "wide": (headed(b"{'descr':'u1','fortran_order':False,'shape':(0,10000000000)}"),),
}


@needs_resource
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("header", "at most 65,536 bytes, got 67,108,864 for the array 'X'"),
        ("zeros", r"needs 6.\d+ GB of memory \(2 rows x 33,554,432 features\)"),
        ("text", r"'X' \(dtype <U8388608, longer than 4,000\)"),
        ("wide", r"needs 1.\d+ TB"),
    ],
)
def test_archives_cost_what_they_say(archive, name, message):
    """64 MB in 64 kB, and more."""
    path = archive([("X.npy", *HUGE[name]), ("label.npy", npy(Y[: 0 if name == "wide" else 2]))])
    assert path.stat().st_size < 10**5
    refused(path, message)
    if name == "header":
        taken, said = peak(path, 1e9)
        assert message in said
        assert taken < 3e7


def test_rows_are_streamed(archive, monkeypatch):
    monkeypatch.setattr(npz_file, "BLOCK", 50)
    values = np.arange(3000).reshape(1000, 3)
    members = [
        ("X.npy", npy(values)),
        ("F.npy", npy(np.asfortranarray(values))),
        ("label.npy", npy(np.arange(1000) % 2)),
    ]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        found = read(archive(members, method))
        np.testing.assert_array_equal(found.X, np.hstack([values, values]))
        np.testing.assert_array_equal(found.codes, np.arange(1000) % 2)


def test_damaged_archives(archive, tmp_path):
    members = [
        ("X.npy", npy(np.random.default_rng(0).standard_normal((50, 4)))),
        ("label.npy", npy(np.arange(50) % 2)),
    ]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        whole = archive(members, method).read_bytes()
        path = tmp_path / "d.npz"
        for length in (1, 30, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            refused(path, "cannot be read as NPZ, it is truncated or damaged")
        middle = whole.index(b"X.npy") + 400
        path.write_bytes(whole[:middle] + bytes(255 - b for b in whole[middle : middle + 8]) + whole[middle + 8 :])
        refused(path, "cannot be read as NPZ|is truncated")
    end = whole.rindex(b"PK\5\6")
    path.write_bytes(whole[: end + 12] + struct.pack("<I", 2**32 - 2) + whole[end + 16 :])
    refused(path, "cannot be read as NPZ")
    refused(archive(members, zipfile.ZIP_LZMA), "stored or deflated, as NumPy writes them, got compression method 14")
    refused(archive(members, zipfile.ZIP_BZIP2), "got compression method 12 for 'X.npy'")
    refused(archive([*members, members[0]]), "must name every column differently")
    refused(archive([*members, ("readme.txt", b"hello")]), "must hold arrays only, got the member 'readme.txt'")


def test_many_members_of_any_name(archive):
    columns = [(f"gene {j}\x1b|.npy", npy(np.arange(4.0) + j * (np.arange(4) > 1))) for j in range(1500)]
    found = read(archive([*columns, ("label.npy", npy(Y[[0, 1, 2, 1]]))], zipfile.ZIP_STORED))
    assert found.X.shape == (4, 1500)
    assert found.feature_names[7] == "gene 7\x1b|"
    np.testing.assert_array_equal(found.X[:, 7], [0, 1, 9, 10])


# Sparse matrices

DENSE = np.array([[0, 2, 0, 1], [3, 0, 0, 0], [0, 0, 5, 0], [1, 0, 0, 2]])


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("dtype", ["i1", "u2", "i8", "f4", "f8", "g", "?"])
def test_sparse_matrices(tmp_path, form, dtype):
    path = tmp_path / "s.npz"
    sparse.save_npz(path, sparse.csr_array(DENSE.astype(dtype)).asformat(form), compressed=form != "coo")
    found = read(path, "4")
    np.testing.assert_array_equal(found.X, DENSE[:, :3].astype(dtype))
    assert found.feature_names == ("1", "2", "3")
    np.testing.assert_array_equal(np.array(found.values)[found.codes], DENSE[:, 3].astype(dtype))


def test_sparse_entries_that_come_twice(tmp_path):
    path = tmp_path / "s.npz"

    def saved(values, dtype):
        at = ([0, 0, 1, 1], [0, 0, 0, 1])
        sparse.save_npz(path, sparse.coo_array((np.array(values, dtype=dtype), at), shape=(2, 2)))
        return path

    found = read(saved([100, 100, 7, 1], "i1"), "2")  # beyond 127
    np.testing.assert_array_equal(found.X, [[200], [7]])
    assert found.notes == ("entries for the same place were added up, as SciPy does it: 1 of them",)
    found = read(saved([BIG, 3, BIG + 1, 1], "i8"), "2")
    np.testing.assert_array_equal(found.X, [[0], [-2]])
    assert found.offsets == {"1": BIG + 3}
    refused(saved([2**62, 2**62, 1, 1], "i8"), "sums 64 bits can hold", "2")


GOOD = {"format": b"csr", "shape": [2, 2], "data": [1.0, 2], "indices": [0, 1], "indptr": [0, 1, 2]}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"indices": [0, 10**6]}, "as csr, got an entry outside"),
        ({"indices": [0, -1]}, "as csr, got an entry outside"),
        ({"indptr": [0, 5, 2]}, "got rows that do not follow each other"),
        ({"indptr": [0, 2, 1]}, "got rows that do not follow each other"),
        ({"data": [1.0]}, "cannot be read as a sparse matrix"),
        ({"indices": [0.0, 1.0]}, "whole numbers 'indices' for a sparse matrix as csr, got shape .*float64"),
        ({"format": b"lil"}, "as one of csr, csc, bsr, coo, dia, got 'lil'"),
        ({"format": b"coo"}, "'row' for a sparse matrix as coo, got none"),
        ({"shape": [-2, 2]}, "got shape"),
        ({"shape": [2, 2, 2]}, "got a shape of shape"),
        ({"shape": [10**12, 2]}, r"needs 32 TB of memory \(1,000,000,000,000 rows x 2 features\)"),
        ({"shape": [2, 10**12]}, "needs 166 TB of memory"),
        ({"data": [1j, 2]}, "dtype complex128"),
    ],
)
def test_sparse_matrices_that_are_none(arrays, bad, message):
    refused(arrays(**{**GOOD, **bad}), message, "2")


# LIBSVM's format


@pytest.fixture
def lines(tmp_path):
    def write(text, name="data.svm"):
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return tmp_path / name

    return write


def test_lines_of_indices_and_values(lines):
    found = read(lines("\ufeff+1 1:0.5 3:2 # hi 7:1\r\n-1 2:1e3\n\n# nothing\n+1 qid:3\t1:-1 \n"))
    np.testing.assert_array_equal(found.X, [[0.5, 0, 2], [0, 1000, 0], [-1, 0, 0]])
    np.testing.assert_array_equal(found.codes, [1, 0, 1])
    assert found.values == [-1, 1]
    assert found.feature_names == ("1", "2", "3")
    assert found.notes == ("left out the queries (qid)",)
    found = read(lines("a 0:0.5 2:2\n1,2 1:1\n"))
    np.testing.assert_array_equal(found.X, [[0.5, 0, 2], [0, 1, 0]])
    assert found.feature_names == ("0", "1", "2")
    assert found.values == ["1,2", "a"]
    assert read(lines("1 2:5\n2 2:6"), drop=("1",)).feature_names == ("2",)


def test_compressed_lines(lines):
    text = b"".join(b"%d 1:%d 2:3\n" % (j % 2, j) for j in range(3000))
    for suffix, pack in ((".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)):
        found = read(lines(pack(text), "data.svm" + suffix))
        np.testing.assert_array_equal(found.X[:, 0], np.arange(3000))
        refused(lines(pack(text)[:-20], "data.svm" + suffix), "truncated or damaged")


def test_blocks_of_lines_are_all_of_them(lines, monkeypatch):
    text = "".join(f"{j % 3} {1 + j % 5}:{j}\n" for j in range(101))
    whole = read(lines(text))
    monkeypatch.setattr(svmlight_file, "NUMBERS", 35)
    found = read(lines(text))
    np.testing.assert_array_equal(found.X, whole.X)
    np.testing.assert_array_equal(found.codes, np.arange(101) % 3)
    refused(lines(text + "1 2:x\n"), "got 'x' in column '2', row 102")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 3:2 3:4\n", "increasing indices in every row, got 3 in row 1 after 3"),
        ("1 1:2 3:4\n2 3:2 2:4 4:1\n", "got 2 in row 2 after 3"),
        ("1 4:2 6:4 3:1\n2 4:1\n", "got 6 in row 1 before its last"),
        ("1 1000000000000:1\n", r"needs \d+ TB of memory \(1 rows x 1,000,000,000,000 features\)"),
        ("1 99999999999999999999:1\n", "index:value after every label, got '99999999999999999999:1' in row 1"),
        ("1 -1:2\n", "index:value after every label, got '-1:2'"),
        ("1 a:2 3:4\n", "index:value after every label, got 'a:2'"),
        ("1 1:2 2\n", "index:value after every label, got '2' in row 1"),
        ("1 1: 2\n", "index:value after every label, got '1:' in row 1"),
        ("1 1:\n", "index:value after every label, got '1:' in row 1"),
        ("1 ٣:2\n", "index:value after every label, got"),
        ("1 \u00a01:2\n", "index:value after every label, got"),
        ("1:2 3:4\n", "must begin every row with a label, got '1:2' in row 1"),
        ("1 1:2:3 2:1\n", "must hold numbers, got '2:3' in column '1', row 1"),
        ("1 2:1_0\n", "must hold numbers, got '1_0' in column '2', row 1"),
        ("1 2:0x1\n", "must hold numbers, got '0x1'"),
        ("1 2:inf\n", "must hold finite numbers, got inf in column '2', row 1"),
        ("1 2:nan\n2 1:1 2:3\n", "missing values in '2'"),
        (f"1 1:{BIG + 1}\n", f"float64 can hold, got '{BIG + 1}' in column '1', row 1"),
        ("1\n2\n", "must have a feature column"),
        ("", "must have at least one row, got none"),
        ("# a comment\n", "must have at least one row, got none"),
        (b"\xff 1:2\n", "must be text in UTF-8, got the byte 0xff in row 1"),
        ("1 " + "1:1 " * 2**22, "lines of at most 16,777,216 bytes, got a longer one"),
    ],
    ids=lambda value: repr(value[:20]),
)  # fmt: skip
def test_lines_that_are_none(lines, text, message):
    refused(lines(text), message)
