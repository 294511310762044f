from __future__ import annotations

import io
import os
import pickle
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.datasets import Table, memory, read_table
from learnability.datasets.memory import budget


@pytest.fixture
def write(tmp_path):
    """Write a text, bytes, arrays or a query's result as a file of the given name, and return its path."""

    def writer(content, name="data.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        if isinstance(content, dict):
            np.savez(path, **content)
        elif path.suffix == ".parquet" and isinstance(content, str):
            import duckdb

            with duckdb.connect() as connection:
                connection.execute(f"COPY ({content}) TO '{tmp_path / 'written'}' (FORMAT parquet)")
            (tmp_path / "written").rename(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return writer


CSV = "a,b,label\n1,2.5,1\n3,-4e-1,0\n0.1,7,1\n"
X = [[1, 2.5], [3, -0.4], [0.1, 7]]
Y = [1, -1, 1]
PARQUET = "SELECT * FROM (VALUES (1.0::DOUBLE, 2.5, 1), (3, -0.4, 0), (0.1, 7, 1)) AS t(a, b, label)"


def test_the_same_table_from_all_kinds_of_file(write):
    arrays = {"a": np.array(X)[:, 0], "b": np.array(X)[:, 1:], "label": np.array([1, 0, 1])}
    for path in (write(CSV), write(PARQUET, "DATA.parquet"), write(arrays, "data.NPZ".lower())):
        table = read_table(path, "label")
        assert isinstance(table, Table)
        assert table.X.dtype == np.float64
        assert table.X.flags.c_contiguous
        np.testing.assert_array_equal(table.X, X)
        np.testing.assert_array_equal(table.y, Y)
        assert table.feature_names == (("a", "b"))
        assert table.classes == (0, 1)
        assert table.origin == path.name
        assert table.constant == ()
        assert table.notes == ("labels in 'label': 0 is -1, 1 is +1",)
        np.testing.assert_array_equal(read_table(str(path), "label", positive=0).y, -table.y)


@pytest.mark.parametrize(
    ("values", "classes", "y"),
    [
        (["yes", "no", "yes"], ("no", "yes"), [1, -1, 1]),
        (["False", "True", "True"], ("False", "True"), [-1, 1, 1]),
        (["10", "9", "10.0"], (9, 10), [1, -1, 1]),  # numbers, not texts
        (["1e0", "-1", "+1"], (-1, 1), [1, -1, 1]),
        (["0.5", "0.25", ".5"], (0.25, 0.5), [1, -1, 1]),
        ([" b", "a ", "b "], ("a", "b"), [1, -1, 1]),
        (["b", "nan", "b"], ("b", "nan"), [-1, 1, -1]),  # text beside text is a value
        (["1", "x", "1"], ("1", "x"), [-1, 1, -1]),
    ],
)
def test_csv_labels_of_any_type(write, values, classes, y):
    table = read_table(write("label,a\n" + "".join(f"{v},{j}\n" for j, v in enumerate(values))), "label")
    assert table.classes == classes
    assert [type(c) for c in table.classes] == [type(c) for c in classes]
    np.testing.assert_array_equal(table.y, y)


def test_which_value_is_positive(write):
    path = write("label,a\nb,0\na,1\nb,2\n")
    np.testing.assert_array_equal(read_table(path, "label").y, [1, -1, 1])
    table = read_table(path, "label", positive="a")
    np.testing.assert_array_equal(table.y, [-1, 1, -1])
    assert table.classes == ("b", "a")
    assert "'b' is -1, 'a' is +1" in table.notes[0]
    with pytest.raises(ValueError, match="positive must be one of the label values 'a', 'b', got 'c'"):
        read_table(path, "label", positive="c")
    path = write("label,a\n3,0\n5,1\n3.0,2\n")
    for positive in (3, "3", 3.0, "3.0", np.int64(3)):
        np.testing.assert_array_equal(read_table(path, "label", positive=positive).y, [1, -1, 1])


@pytest.mark.parametrize(
    ("array", "classes"),
    [
        (np.array([True, False, True]), (False, True)),
        (np.array([3, -3, 3], dtype=np.int8), (-3, 3)),
        (np.array([3, 0, 3], dtype=">u4"), (0, 3)),
        (np.array([0.5, -0.5, 0.5], dtype=np.float16), (-0.5, 0.5)),
        (np.array(["x", "w", "x"]), ("w", "x")),
        (np.array([b"x", b"w", b"x"]), ("w", "x")),
        (np.array([[2], [1], [2]]), (1, 2)),
    ],
)
def test_npz_labels_of_any_type(write, array, classes):
    table = read_table(write({"X": np.array(X), "y": array}, "data.npz"), "y")
    np.testing.assert_array_equal(table.y, Y)
    assert table.classes == classes


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ("true false true", (False, True)),
        ("3 2 3", (2, 3)),
        ("'x' 'w' 'x'", ("w", "x")),
        ("0.75::DOUBLE 0.5 0.75", (0.5, 0.75)),
        ("2.50 1.50 2.50", (1.5, 2.5)),
        ("'v'::BLOB 'u'::BLOB 'v'::BLOB", ("u", "v")),
        ("DATE'2020-01-02' DATE'2020-01-01' DATE'2020-01-02'", ("2020-01-01", "2020-01-02")),
        ("'q'::ENUM('q','p') 'p' 'q'", ("p", "q")),
    ],
)
def test_parquet_labels_of_any_type(write, values, classes):
    values = values.replace("ENUM('q','p')", "VARCHAR").split()
    rows = ", ".join(f"({a}, {b}, {v})" for (a, b), v in zip(X, values))
    table = read_table(write(f"SELECT * FROM (VALUES {rows}) AS t(a, b, y)", "data.parquet"), "y")
    np.testing.assert_array_equal(table.y, Y)
    assert table.classes == classes


@pytest.mark.parametrize(
    "text",
    [
        CSV.replace(",", ";"),
        CSV.replace(",", "\t"),
        CSV.replace(",", " , "),
        CSV.replace("\n", "\r\n"),
        CSV.replace("\n", "\r"),
        "\ufeff" + CSV,
        "\n" + CSV.replace("\n", "\n\n").rstrip(),
        'a,"b","label"\n"1","2.5",1\n3,"-0.4",0\n0.1,7,"1"',
        CSV.replace("a,b,label\n", "a,b,label,\n").replace("\n", ",\n").replace("label,,", "label"),
    ],
)
def test_dialects_of_csv(write, text):
    table = read_table(write(text), "label")
    np.testing.assert_array_equal(table.X, X)
    np.testing.assert_array_equal(table.y, Y)


def test_lines_end_as_they_like(write):
    for end in ("\n", "\r", "\r\n"):
        path = write(CSV.replace("\n", end))
        np.testing.assert_array_equal(read_table(path, "label").X, X)
    mixed = "a,label\n" + "".join(f"{j},{j % 2}" + "\r\n"[j % 2] for j in range(10))
    table = read_table(write(mixed), "label")  # more rows than counted
    np.testing.assert_array_equal(table.X[:, 0], np.arange(10))


def test_a_separator_within_quotes_is_none(write):
    table = read_table(write('"p;q;r;s",label\n1,x\n2,y\n'), "label")
    assert table.feature_names == ("p;q;r;s",)


def test_truth_values_are_zero_and_one(write):
    table = read_table(write("a,t,label\n1,True,0\n2,false,1\n3,TRUE,1\n"), "label")
    np.testing.assert_array_equal(table.X, [[1, 1], [2, 0], [3, 1]])
    table = read_table(write({"t": np.array([True, False]), "label": np.array([0, 1])}, "d.npz"), "label")
    np.testing.assert_array_equal(table.X, [[1], [0]])
    table = read_table(write("SELECT * FROM (VALUES (true, 0), (false, 1)) AS v(t, label)", "d.parquet"), "label")
    np.testing.assert_array_equal(table.X, [[1], [0]])


@settings(max_examples=25)
@given(
    st.integers(1, 4).flatmap(
        lambda d: st.lists(
            st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=d, max_size=d), min_size=2, max_size=5
        )
    )
)
def test_numbers_are_read_to_the_last_bit(tmp_path_factory, rows):
    rows = np.array(rows)
    path = tmp_path_factory.mktemp("t") / "data.csv"
    names = [f"c{j}" for j in range(rows.shape[1])]
    lines = [",".join([*names, "y"])]
    lines += [",".join([*(repr(float(v)) for v in row), str(i % 2)]) for i, row in enumerate(rows)]
    path.write_text("\n".join(lines))
    varies = (rows != rows[0]).any(axis=0)
    if not varies.any():
        np.testing.assert_array_equal(read_table(path, "y").X, rows)
        return
    table = read_table(path, "y")
    np.testing.assert_array_equal(table.X, rows[:, varies])
    assert table.feature_names == tuple(n for n, v in zip(names, varies) if v)


def test_constant_features_are_left_out_and_named(write, monkeypatch):
    rng = np.random.default_rng(0)
    full = rng.standard_normal((700, 6))
    full[:, [0, 3, 4]] = [7.0, 0.0, -1e300]
    y = rng.integers(0, 2, 700)
    monkeypatch.setattr(
        "learnability.datasets.examples.row_blocks.__defaults__", (64,)
    )  # many blocks: in place is in order
    for arrays in ({"X": full, "y": y}, {"X": np.asfortranarray(full), "y": y}, {"X": full.astype(">f8"), "y": y}):
        table = read_table(write(arrays, "data.npz"), "y")
        np.testing.assert_array_equal(table.X, full[:, [1, 2, 5]])
        assert table.X.flags.c_contiguous
        assert table.feature_names == ("X[1]", "X[2]", "X[5]")
        assert table.constant == ("X[0]", "X[3]", "X[4]")
        varied = read_table(write({**arrays, "X": arrays["X"][:, [1, 2]]}, "data.npz"), "y")
        np.testing.assert_array_equal(varied.X, full[:, [1, 2]])
        assert varied.X.flags.c_contiguous
        assert table.notes[0] == "3 constant feature(s) left out: 'X[0]', 'X[3]', 'X[4]'"


def test_images_are_flattened_in_order(write):
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    table = read_table(write({"x": images, "extra": np.array([5.0, 6.0]), "y": np.array([0, 1])}, "data.npz"), "y")
    np.testing.assert_array_equal(table.X[:, :12], images.reshape(2, 12))
    assert table.feature_names[11:] == ("x[11]", "extra")


def test_equal_points_with_opposite_labels_are_data(write):
    np.testing.assert_array_equal(read_table(write("a,y\n1,0\n1,1\n2,1\n"), "y").X, [[1], [1], [2]])


def test_names_of_files_and_columns_are_no_patterns(write):
    query = 'SELECT * FROM (VALUES (1, 2, 0), (2, 5, 1)) AS t("a ""b""", "A ""B""", y)'
    other = "SELECT * FROM (VALUES (7, 0), (8, 1)) AS t(z, y)"
    write(other, "x1.parquet")
    path = write(query, "y=3/x[1]*.parquet" if os.name != "nt" else "y=3/x[1].parquet")
    write(other, "y=3/x1.parquet")
    table = read_table(path, "y")
    np.testing.assert_array_equal(table.X, [[1, 2], [2, 5]])
    assert table.classes == (0, 1)
    assert table.feature_names[0] == 'a "b"'


def test_the_index_that_pandas_stores_is_no_feature(write):
    table = read_table(
        write("SELECT * FROM (VALUES (1, 0, 10), (2, 1, 11)) AS t(a, y, __index_level_0__)", "d.parquet"), "y"
    )
    assert table.feature_names == ("a",)
    assert "left out the index that pandas stored: '__index_level_0__'" in table.notes


BAD_CSV = [
    ("", "must hold a table, got an empty file"),
    ("\n \n", "must hold a header and rows, got an empty file"),
    ("a,b,label\n", "must have at least one row below its header, got none"),
    ("a,b,c\n1,2,3\n", "has no column 'label' for the label, only 'a', 'b', 'c'$"),
    ("a,b,Label\n1,2,3\n", "has no column 'label' .* did you mean 'Label'[?]"),
    ("label\n1\n0\n", "must have two columns at least, got lines that no comma, semicolon, tab, space, bar sep"),
    ("a,label,a\n1,0,2\n", "must name every column differently, got 'a' twice"),
    ("a,,label\n0,1,0\n1,2,1\n", "must name every column, got none for column 2"),
    ("a,label\n1,0\n2,0\n", r"must hold exactly two values in the label column 'label', got 1: 0 \(2 rows\)$"),
    ("a,label\n1,x\n2,y\n3,z\n4,y\n", r"got 3: 'y' \(2 rows\), 'x' \(1 row\), 'z' \(1 row\); positive"),
    (
        "a,label\n" + "".join(f"1,{j}\n" for j in range(60)),
        "got more than 50 different values: '0', '1', '2', '3' and",
    ),
    ("a,label\n1,0\n2,\n", "must give every row a label, got none in column 'label', row 2"),
    ("a,label\n1,0\n2,NA\n", "must give every row a label, got none in column 'label', row 2"),
    (
        "a,b,label\n1,2,0\n3,,1\n",
        r"got missing values in 'b' \(1, the first in row 2\): drop_missing leaves out the 1 of 2",
    ),
    ("a,b,label\n1,2,0\n3,NaN,1\n", "missing values in 'b' .*row 2"),
    ("a,b,label\n1,-inf,0\n3,2,1\n", "got -inf in column 'b', row 1"),
    ("a,b,label\n1,1e999,0\n3,2,1\n", "got inf in column 'b', row 1"),
    (
        "a,b,c,label\n1,u,9,0\n3,v,x,1\n",
        r"must hold numbers in every column .* 'b' \('u' in row 1\), 'c' \('x' in row 2\)",
    ),
    ("a,t,label\n1,True,0\n3,maybe,1\n", r"'t' \('maybe' in row 2\)"),
    ("a,t,label\n1,True,0\n3,,1\n", "missing values in 't' .*row 2"),
    ("a,b,label\n1,2,0\n3,4\n", "must have 3 fields in every row, got 2 in row 2"),
    ("a,b,label\n1,2,0\n3", "must have 3 fields in every row, got 1 in row 2"),
    ("a,b,label\n1,2,0\n3,4,1,5\n", "must have 3 fields in every row, got 4 in row 2"),
    ("a,b,label\n1,2,0,9\n3,4,1,5\n", "must have 3 fields in every row, got 4 in row 1"),
    ('a,b,label\n1,2,0\n3,"4,1\n', "cannot be read as text in columns .*unexpected end of data in line 3"),
    (b"a,label\n\xff\xfe,0\n", "must be text in UTF-8 .save it as that., got the byte 0xff"),
]


@pytest.mark.parametrize(("text", "message"), BAD_CSV)
def test_bad_csv(write, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_table(write(text), "label")
    assert str(caught.value).startswith("data.csv ")
    assert "\n" not in str(caught.value)


def y2(m=2):
    return np.arange(m) % 2


BAD_NPZ = [
    ({"X": np.ones((2, 2))}, r"has no column 'label' for the label, only 'X\[0\]', 'X\[1\]'"),
    ({"label": y2()}, "must have a feature column beside the label"),
    ({"X": np.ones((2, 0)), "label": y2()}, "must have a feature column beside the label 'label', got none"),
    ({"X": np.ones((0, 2)), "label": y2(0)}, "must have at least one row, got none"),
    ({"X": np.ones((3, 2)), "label": y2()}, r"as many rows in each, got 'X' of shape \(3, 2\)"),
    ({"X": np.float64(3), "label": y2()}, r"got 'X' of shape \(\)"),
    (
        {"X": np.ones(2), "label": np.ones((2, 2))},
        r"no column 'label' for the label, only 'X', 'label\[0\]', 'label\[1\]'",
    ),
    ({"X": np.ones(2), "label": np.float64(1)}, r"a row an example, .*'label' of shape \(\)"),
    ({"X": np.ones(2), "label": np.ones(2, complex)}, "labels, got dtype complex128 in 'label'"),
    ({"X": np.array([1j, 2]), "label": y2()}, r"numbers in every column .* 'X' \(dtype complex128\)"),
    ({"X": np.ones(2), "s": np.array(["a", "b"]), "label": y2()}, r"'s' \(dtype <U1\)"),
    ({"X": np.array([1, np.nan]), "label": y2()}, "missing values in 'X' .*row 2"),
    ({"X": np.array([[1, 2], [np.inf, 3]]), "label": y2()}, r"got inf in column 'X\[0\]', row 2"),
    ({"X": np.arange(3.0), "label": np.arange(3)}, r"got 3: 0 \(1 row\), 1 \(1 row\), 2 \(1 row\)"),
    ({"X": np.arange(2.0), "label": np.array([1.0, np.nan])}, "got none in column 'label', row 2"),
    ({"X": np.array([1, "a"], dtype=object), "label": y2()}, r"'X' \(dtype object, which is not unpickled\)"),
    (
        {"X": np.arange(2.0), "label": np.array([1, "a"], dtype=object)},
        "dtype object, which is not unpickled in 'label'",
    ),
]


@pytest.mark.parametrize(("arrays", "message"), BAD_NPZ)
def test_bad_npz(write, arrays, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_table(write(arrays, "data.npz"), "label")
    assert str(caught.value).startswith("data.npz ")


class Trap:
    """Pickled, it would run code when unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("unpickled",))


def test_nothing_is_unpickled(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for content in (
        {"X": np.array([Trap(), Trap()], dtype=object), "label": y2()},
        pickle.dumps(Trap()),
        {"X": np.arange(2.0), "label": np.array([Trap(), 1], dtype=object)},
        {"X": np.array([(1, Trap())], dtype=[("a", "f8"), ("b", "O")]), "label": y2(1)},
    ):
        with pytest.raises(ValueError, match=r"not unpickled|cannot be read as NPZ|numbers, text or truth values"):
            read_table(write(content, "data.npz"), "label")
    assert not (tmp_path / "unpickled").exists()


def packed(compressed=True):
    stream = io.BytesIO()
    rng = np.random.default_rng(0)
    save = np.savez_compressed if compressed else np.savez
    save(stream, X=rng.standard_normal((50, 4)), label=y2(50))
    return stream.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_and_damaged_npz(write, compressed):
    whole = packed(compressed)
    assert len(read_table(write(whole, "data.npz"), "label").y) == 50
    for length in (1, 30, len(whole) // 2, len(whole) - 1):
        with pytest.raises(ValueError, match=r"data.npz cannot be read as NPZ, it is truncated or damaged"):
            read_table(write(whole[:length], "data.npz"), "label")
    middle = whole.index(b"X.npy") + 400
    flipped = whole[:middle] + bytes(255 - b for b in whole[middle : middle + 8]) + whole[middle + 8 :]
    with pytest.raises(ValueError, match=r"data.npz cannot be read as NPZ|is damaged"):
        read_table(write(flipped, "data.npz"), "label")


def archive(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)
    return stream.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_headers_that_promise_something_else(write):
    good = npy(np.arange(2.0))
    for shape in (b"(9,), ", b"(-2,),", b"(1,), "):
        lying = good.replace(b"(2,), ", shape)
        assert len(lying) == len(good) != 0
        with pytest.raises(
            ValueError, match=r"data.npz is damaged: the array 'X' (has 16 bytes where|must have a header)"
        ):
            read_table(write(archive(X__npy=lying, label__npy=npy(y2())), "data.npz"), "label")
    negative = npy(np.arange(4.0).reshape(2, 2)).replace(b"(2, 2), ", b"(-2,-2),")
    with pytest.raises(ValueError, match=r"is damaged"):
        read_table(write(archive(X__npy=negative, label__npy=npy(y2())), "data.npz"), "label")
    with pytest.raises(ValueError, match=r"must hold arrays only, got the member 'readme.txt'"):
        read_table(write(archive(readme__txt="hello", label__npy=npy(y2())), "data.npz"), "label")
    with pytest.raises(ValueError, match=r"data.npz must hold arrays in NumPy's format 1 to 3, got b'hello th'"):
        read_table(write(archive(X__npy=b"hello there", label__npy=npy(y2())), "data.npz"), "label")
    with pytest.raises(ValueError, match=r"data.npz cannot be read as NPZ"):
        read_table(write(npy(np.arange(3)), "data.npz"), "label")


def test_arrays_of_a_later_format(write):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.arange(2.0), version=(2, 0))
    assert read_table(write(archive(X__npy=stream.getvalue(), label__npy=npy(y2())), "d.npz"), "label").X.shape == (
        2,
        1,
    )


BAD_PARQUET = [
    ("SELECT 1 AS a, 2 AS b", "has no column 'label' for the label, only 'a', 'b'"),
    ("SELECT 1 AS label", "must have a feature column beside the label"),
    ("SELECT 1 AS label, 2 AS __index_level_0__", "must have a feature column beside the label"),
    ("SELECT 1 AS a, 2 AS label WHERE false", "must have at least one row, got none"),
    (
        "SELECT 1 AS a, 'x' AS s, DATE '2020-01-01' AS t, [1] AS l, {'q': 1} AS z, 1 AS label",
        r"'s' \(type VARCHAR\), 't'",
    ),
    ("SELECT 1 AS a, [1, 2] AS label", r"labels, got type LIST in 'label'"),
    ("SELECT * FROM (VALUES (1, 2, 0), (3, NULL, 1)) AS t(a, b, label)", "missing values in 'b' .*row 2"),
    ("SELECT * FROM (VALUES (1, 'nan'::DOUBLE, 0), (3, 2, 1)) AS t(a, b, label)", "missing values in 'b' .*row 1"),
    ("SELECT * FROM (VALUES (1, '-inf'::DOUBLE, 0), (3, 2, 1)) AS t(a, b, label)", "got -inf in column 'b', row 1"),
    ("SELECT * FROM (VALUES (1, 0), (3, NULL)) AS t(a, label)", "got none in column 'label', row 2"),
    ("SELECT * FROM (VALUES (1, 'x'), (3, NULL)) AS t(a, label)", "got none in column 'label', row 2"),
    ("SELECT * FROM (VALUES (1, true), (3, NULL)) AS t(a, label)", "got none in column 'label', row 2"),
    ("SELECT * FROM (VALUES (1, 0), (3, 0)) AS t(a, label)", r"got 1: 0 \(2 rows\)"),
    ("SELECT * FROM (VALUES (1, 'x'), (3, 'y'), (4, 'z')) AS t(a, label)", "exactly two values .* got 3: 'x'"),
]


@pytest.mark.parametrize(("query", "message"), BAD_PARQUET)
def test_bad_parquet(write, query, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_table(write(query, "data.parquet"), "label")
    assert str(caught.value).startswith("data.parquet ")
    assert "\n" not in str(caught.value)


def test_truncated_parquet_and_names_given_twice(write):
    path = write(PARQUET, "data.parquet")
    whole = path.read_bytes()
    for content in (whole[:-1], whole[: len(whole) // 2], b"P", b"PAR1" + bytes(40) + b"PAR1"):
        with pytest.raises(ValueError, match=r"data.parquet cannot be read as Parquet") as caught:
            read_table(write(content, "data.parquet"), "label")
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"data.parquet must hold a table, got an empty file"):
        read_table(write(b"", "data.parquet"), "label")
    twice = re.sub(rb"\bq(?=[^a-z])", b"p", write("SELECT 1 AS p, 2 AS q, 0 AS label", "d.parquet").read_bytes())
    with pytest.raises(ValueError, match=r"d.parquet must name every column differently, got 'p' twice"):
        read_table(write(twice, "d.parquet"), "label")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("data.xlsx", r"path must end in .csv, .*\(text also .*got .*data.xlsx"),
        ("data", "path must end in"),
        ("none.csv", "path must be a file, got none at .*none.csv"),
        ("folder.npz", "path must be a file, got a folder"),
    ],
)
def test_no_such_file(tmp_path, name, message):
    (tmp_path / "folder.npz").mkdir()
    for other in ("data.xlsx", "data"):
        (tmp_path / other).write_text("a,label\n1,2\n")
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / name, "label")


def test_other_bad_arguments(write):
    path = write(CSV)
    with pytest.raises(ValueError, match="label must be the name of a column, got 3"):
        read_table(path, 3)
    with pytest.raises(ValueError, match="path must be the path of a file, got 7"):
        read_table(7, "label")
    with pytest.raises(ValueError, match="memory must be > 0"):
        read_table(path, "label", memory=0)
    with pytest.raises(ValueError, match="memory must be a real number"):
        read_table(path, "label", memory="4 GB")


# Memory


def test_memory_given_by_default_is_half_of_what_is_available(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 3e9)
    limits = budget()
    assert limits.limit == 1.5e9
    with pytest.raises(
        ValueError, match=r"big needs 8.1. GB of memory .*more than 1.5 GB [(]50% of the 3 GB that are"
    ):
        limits.check("big", 10**6, 1000)
    assert budget(5).limit == 5.0
    limits.check("small", 10**6, 100)
