"""Arrays, sparse matrices and frames of Python as examples: the right numbers and labels, or the reason why not."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import learnability
from learnability import datasets
from learnability.datasets import frames, memory
from learnability.datasets.examples import examples
from learnability.datasets.source import Reading
from learnability.datasets.table import read_examples

BIG = 2**60
PLAIN = [[0, 1], [1, 0], [1, 1]]


def read(X, y, *, limit=None, **options):
    """The examples that certify would take."""
    limits = memory.budget(limit)
    source, label = frames.source_of(X, y, limits)
    return examples(source, label, Reading(**options), limits)


def classes(found):
    """What each row's label is."""
    return [found.values[code] for code in found.codes]


@pytest.mark.parametrize(
    "dtype",
    ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">f8", ">i8", "longdouble", "O"],
)
def test_arrays_of_any_real_type(dtype):
    found = read(np.array(PLAIN).astype(dtype), ["a", "b", "a"])
    assert found.X.dtype == np.float64
    np.testing.assert_array_equal(found.X, PLAIN)
    assert found.X.flags.c_contiguous
    assert (classes(found), found.label, found.origin) == (["a", "b", "a"], "y", "data")
    assert (found.feature_names, found.notes, found.rows) == (("1", "2"), (), None)


def test_other_ways_to_hold_an_array():
    for X in (
        PLAIN,
        tuple(map(tuple, PLAIN)),
        np.asfortranarray(PLAIN),
        np.array(PLAIN)[::-1][::-1],
    ):
        np.testing.assert_array_equal(read(X, [0, 1, 0]).X, PLAIN)
    given = np.array(PLAIN, dtype=float)
    found = read(given, [0, 1, 0])
    found.X[:] = 7
    assert (given <= 1).all()  # the caller's own is not changed


@pytest.mark.parametrize("blocks", [2**21, 1, 5])
@pytest.mark.parametrize(
    "X",
    [
        np.array([[BIG + 1, 5], [BIG, 6], [BIG + 3, 7]]),
        np.array([[BIG + 1, 5], [BIG, 6], [BIG + 3, 7]], dtype=np.uint64),
        np.array([[BIG + 1, 5], [BIG, 6.0], [BIG + 3, 7]], dtype=object),
        [[BIG + 1, 5], [BIG, 6.0], [BIG + 3, 7]],
        sparse.csr_array(np.array([[BIG + 1, 5], [BIG, 6], [BIG + 3, 7]])),
        pd.DataFrame({"1": [BIG + 1, BIG, BIG + 3], "2": [5, 6, 7]}),
        pd.DataFrame({"1": pd.array([BIG + 1, BIG, BIG + 3], dtype="Int64"), "2": [5.0, 6, 7]}),
    ],
    ids=["int64", "uint64", "objects", "list", "sparse", "frame", "nullable"],
)
def test_whole_numbers_beyond_float64_are_exact(X, blocks, monkeypatch):
    monkeypatch.setattr(frames, "BLOCK", blocks)
    found = read(X, [0, 1, 0])
    np.testing.assert_array_equal(found.X, [[0, 5], [-1, 6], [2, 7]])
    assert found.offsets == {"1": BIG + 1}
    (note,) = found.notes
    assert f"{BIG + 1} from '1'" in note


def test_numbers_that_float64_cannot_hold_are_refused():
    with pytest.raises(ValueError, match=r"whole numbers within 2\^53 of each other .* in column '1'"):
        read([[BIG + 1], [1]], [0, 1])
    for number in (10**400, Decimal("-1e1000000"), Fraction(10**400, 3)):
        with pytest.raises(ValueError, match=r"column '1' must hold numbers of at most 300 digits, got a longer one"):
            read([[1.0], [number]], [0, 1])
        with pytest.raises(ValueError, match=r"column 'y' must hold numbers of at most 300 digits"):
            read([[1.0], [2]], [number, 1])
    with pytest.raises(ValueError, match=r"finite numbers, got -inf in column '1', row 2"):
        read([[1.0], [Decimal("-Infinity")]], [0, 1])
    np.testing.assert_array_equal(read([[10**299], [10**299 + 1]], [0, 1]).X, [[0], [1]])
    long = np.array([[1], [1]], dtype=np.longdouble) + np.array([[0], [np.finfo(np.longdouble).eps]], np.longdouble)
    if np.longdouble(1) + np.finfo(np.longdouble).eps != np.float64(long[1, 0]):
        with pytest.raises(ValueError, match="must hold numbers that float64 can hold"):
            read(long, [0, 1])


def test_objects_that_are_numbers():
    X = np.array(
        [[Decimal("1.5"), True, Fraction(1, 4)], [2, np.False_, np.int8(3)], [2.5, True, None]], dtype=object
    )
    with pytest.raises(ValueError, match=r"missing values in '3' \(1, the first in row 3\)"):
        read(X, [0, 1, 0])
    found = read(X, [0, 1, 0], drop_missing=True)
    np.testing.assert_array_equal(found.X, [[1.5, 1, 0.25], [2, 0, 3]])
    np.testing.assert_array_equal(found.rows, [1, 2])


def test_masked_entries_are_missing():
    X = np.ma.array(PLAIN, mask=[[0, 0], [0, 1], [0, 0]])
    with pytest.raises(ValueError, match=r"missing values in '2' \(1, the first in row 2\)"):
        read(X, [0, 1, 0])
    found = read(X, np.ma.array(["a", "b", "c"], mask=[1, 0, 0]), drop_missing=True)
    np.testing.assert_array_equal(found.X, [[1, 1]])
    assert (classes(found), found.rows.tolist()) == (["c"], [3])


@pytest.mark.parametrize("kind", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
def test_sparse_matrices(kind):
    for dtype in (float, np.float32, int, bool):
        dense = np.array([[0, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1]], dtype=dtype)
        for make in (getattr(sparse, f"{kind}_matrix"), getattr(sparse, f"{kind}_array")):
            found = read(make(dense), [0, 1, 0, 1])
            np.testing.assert_array_equal(found.X, dense)
    twice = sparse.coo_array((np.array([1.0, 2, 4]), ([0, 0, 1], [0, 0, 1])), shape=(2, 2))
    np.testing.assert_array_equal(read(twice, [0, 1]).X, [[3, 0], [0, 4]])


def test_what_does_not_fit_is_refused_before_anything_is_made():
    with pytest.raises(ValueError, match=r"1,000,000 rows x 1,000,000,000 features.*give memory= a larger"):
        read(sparse.csr_array((10**6, 10**9)), [0])
    wide = np.broadcast_to(np.float32(1), (10**6, 10**7))
    with pytest.raises(ValueError, match=r"1,000,000 rows x 10,000,000 features"):
        read(wide, [0])
    with pytest.raises(ValueError, match="more than 100 MB"):
        read(np.ones((10**4, 10**3)), [0, 1] * 5000, limit=1e8)
    assert read(np.ones((10**2, 10**2)), [0, 1] * 50, limit=2e8).X.shape == (100, 100)


FRAME = pd.DataFrame(
    {
        "whole": [1, 2, 3],
        "nullable": pd.array([4, None, BIG + 1], dtype="Int64"),
        "float": np.array([0.5, np.nan, 2]),
        "small": np.array([1.5, 2.5, 3.5], dtype=np.float32),
        "Float": pd.array([0.25, 0.5, None], dtype="Float64"),
        "truth": [True, False, True],
        "Truth": pd.array([True, None, False], dtype="boolean"),
        "sparse": pd.arrays.SparseArray([0, 1.0, 0]),
        "object": np.array([2**70, 1, None], dtype=object),
        "decimal": [Decimal("1.5"), Decimal(2), Decimal(3)],
        "text": ["u", "v", None],
        "category": pd.Categorical(["x", "y", "x"]),
        "date": pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"]),
    },
    index=["third", "first", "second"],
)


def test_a_frame_of_pandas():
    found = read(FRAME[["whole", "small", "truth", "sparse", "decimal"]], FRAME["category"])
    np.testing.assert_array_equal(found.X, [[1, 1.5, 1, 0, 1.5], [2, 2.5, 0, 1, 2], [3, 3.5, 1, 0, 3]])
    assert found.feature_names == ("whole", "small", "truth", "sparse", "decimal")
    assert (classes(found), found.label) == (["x", "y", "x"], "category")
    assert found.notes == ()


def test_missing_values_of_a_frame_are_counted_or_left_out():
    some = FRAME[["whole", "float", "Float", "Truth", "category"]]
    with pytest.raises(
        ValueError, match=r"'float' \(1, the first in row 2\), 'Float' \(1, the first in row 3\), 'Tr"
    ):
        read(some, "category")
    found = read(some, "category", drop_missing=True, drop="Float")
    np.testing.assert_array_equal(found.X, [[1, 0.5, 1], [3, 2, 0]])
    np.testing.assert_array_equal(found.rows, [1, 3])
    assert found.notes == (
        "1 of 3 rows left out because a value is missing in them (by column: 'float' 1, 'Truth' 1)",
    )


def test_columns_that_are_no_numbers_are_named_in_one_message():
    with pytest.raises(
        ValueError, match=r"got other values in 'text' \(text\), 'category' \(categories\), 'date'"
    ) as e:
        read(FRAME, [0, 1, 0])
    assert str(e.value).endswith(
        "'date' (type Datetime): leave these columns out (drop) or, of categories, turn them into columns of 0 and 1 "
        "(one_hot)"
    )
    found = read(FRAME[["whole", "text", "category"]], [0, 1, 0], one_hot=["text", "category"], drop_missing=True)
    assert found.feature_names == ("whole", "text=u", "text=v", "category=x", "category=y")
    assert found.notes[:2] == tuple(f"{name!r} became 2 columns of 0 and 1" for name in ("text", "category"))
    np.testing.assert_array_equal(found.X, [[1, 1, 0, 1, 0], [2, 0, 1, 0, 1]])
    found = read(np.array([[1, "u"], [2, "v"]], dtype=object), [0, 1], one_hot="2")
    np.testing.assert_array_equal(found.X, [[1, 1, 0], [2, 0, 1]])
    mixed = [[1, "u"], [2, 3]], np.array(PLAIN, dtype=complex)[:2], np.array(PLAIN, dtype="M8[s]")[:2]
    for X, what in zip(
        mixed, ("'2' (objects of type int, str)", "'1' (dtype complex128)", "'1' (dtype datetime64[s])")
    ):
        with pytest.raises(ValueError) as e:  # noqa: PT011
            read(X, [0, 1])
        assert what in str(e.value)


def test_a_frame_reads_like_its_file(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "c"])
    frame["constant"] = 1
    frame["n"] = rng.integers(0, 9, 40)
    frame.loc[3, "b"] = None
    frame["kind"] = rng.choice(["u", "v", "w"], 40)
    frame["label"] = rng.choice(["no", "yes"], 40)
    frame.to_csv(tmp_path / "t.csv", index=False)
    reading = Reading(drop=("c",), drop_missing=True, one_hot=("kind",))
    file = read_examples(tmp_path / "t.csv", "label", reading)
    found = read(frame, "label", drop="c", drop_missing=True, one_hot="kind")
    for name in ("X", "codes", "rows"):
        np.testing.assert_array_equal(getattr(found, name), getattr(file, name))
    for name in ("values", "label", "notes", "feature_names", "constant"):
        assert getattr(found, name) == getattr(file, name)


@pytest.mark.parametrize("blocks", [2**21, 3])
def test_a_frame_of_polars(blocks, monkeypatch):
    pl = pytest.importorskip("polars")
    monkeypatch.setattr(frames, "BLOCK", blocks)
    frame = pl.DataFrame(
        {
            "i": [1, 3, 2],
            "big": pl.Series([2**64 - 1, 2**64 - 3, 2**64 - 2], dtype=pl.UInt64),
            "huge": pl.Series([2**70, 2**70 + 1, 2**70], dtype=pl.Int128),
            "f": [0.5, 1.5, 2.5],
            "b": [True, False, True],
            "d": [Decimal("1.5"), Decimal("2.0"), Decimal("1.0")],
            "label": pl.Series(["u", "v", "u"], dtype=pl.Categorical),
        }
    )
    found = read(frame, "label")
    wanted = [[1, 0, 0, 0.5, 1, 1.5], [3, -2, 1, 1.5, 0, 2], [2, -1, 0, 2.5, 1, 1]]
    np.testing.assert_array_equal(found.X[:, [0, 1, 3, 4, 5]], np.array(wanted)[:, [0, 1, 3, 4, 5]])
    np.testing.assert_array_equal(found.X[:, 2] - found.X[0, 2], [0, 1, 0])
    assert found.offsets.keys() == {"big", "huge"}
    assert classes(found) == ["u", "v", "u"]
    with pytest.raises(ValueError, match="X must be a frame in memory"):
        read(frame.lazy(), "label")
    missing = frame.with_columns(pl.when(pl.col("i") > 2).then(None).otherwise(pl.col("big")).alias("big"))
    found = read(missing, "label", drop_missing=True, drop="huge")
    np.testing.assert_array_equal(found.X[:, 1], [0, -1])
    nested = frame.with_columns(
        pl.col("i").implode().over("i").alias("l"), pl.lit("2020-01-01").str.to_date().alias("t")
    )
    with pytest.raises(ValueError, match=r"other values in 'l' \(type List\), 't' \(type Date\): leave"):
        read(nested, "label")
    series = pl.Series("kind", ["u", None, "v"], dtype=pl.Enum(["u", "v"]))
    with pytest.raises(ValueError, match="none in column 'kind', row 2: drop_missing leaves such rows out"):
        read(frame.drop("label"), series)
    assert classes(read(frame.drop("label"), series, drop_missing=True)) == ["u", "v"]


def test_a_table_of_arrow():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": [BIG + 1, BIG, None], "b": [True, False, True], "label": ["u", "v", "u"]})
    found = read(table, "label", drop_missing=True)
    np.testing.assert_array_equal(found.X, [[0, 1], [-1, 0]])
    assert found.offsets == {"a": BIG + 1}
    for y in (pa.array([1, BIG + 1, BIG]), pa.chunked_array([[1], [BIG + 1, BIG]])):
        found = read(table.drop_columns("label"), y, drop="a")
        assert (found.values, found.label) == ([1, BIG, BIG + 1], "y")
    frame = pd.DataFrame({"f": pd.array([1.5, None, 2], dtype="float64[pyarrow]"), "g": [1, 2, 3]})
    with pytest.raises(ValueError, match=r"missing values in 'f' \(1, the first in row 2\)"):
        read(frame, ["u", "v", "u"])
    found = read(frame, pd.Series(["u", "v", "u"], dtype="string[pyarrow]"), drop_missing=True)
    np.testing.assert_array_equal(found.X, [[1.5, 1], [2, 3]])


LABELS = {
    "texts": (["no", "yes", "no"], ["no", "yes"]),
    "array of texts": (np.array(["no", "yes", "no"]), ["no", "yes"]),
    "array of StringDType": (np.array(["no", "yes", "no"], dtype=np.dtypes.StringDType()), ["no", "yes"]),
    "bytes": (np.array([b"no", b"yes", b"no"]), ["no", "yes"]),
    "list of bytes": ([b"no", b"yes", b"no"], ["no", "yes"]),
    "integers": ([7, 9, 7], [7, 9]),
    "tuple": ((7, 9, 7), [7, 9]),
    "integers beyond float64": ([BIG, BIG + 1, BIG], [BIG, BIG + 1]),
    "beyond int64": ([2**70, 2**70 + 1, 2**70], [2**70, 2**70 + 1]),
    "uint64": (np.array([2**64 - 2, 2**64 - 1, 2**64 - 2], dtype=np.uint64), [2**64 - 2, 2**64 - 1]),
    "floats": ([-1.0, 1.0, -1.0], [-1, 1]),
    "halves": (np.array([0.5, 1.5, 0.5], dtype=np.float16), [0.5, 1.5]),
    "long doubles": (np.array([0.5, 1.5, 0.5], dtype=np.longdouble), [0.5, 1.5]),
    "truth values": ([False, True, False], [False, True]),
    "a column": ([["no"], ["yes"], ["no"]], ["no", "yes"]),
    "Series": (pd.Series(["no", "yes", "no"]), ["no", "yes"]),
    "frame of one column": (pd.DataFrame({"c": ["no", "yes", "no"]}), ["no", "yes"]),
    "Categorical": (pd.Categorical(["no", "yes", "no"]), ["no", "yes"]),
    "categories of numbers": (pd.Series(pd.Categorical([1, 2, 1])), [1, 2]),
    "boolean": (pd.Series([False, True, False], dtype="boolean"), [False, True]),
    "Int64": (pd.Series([BIG, BIG + 1, BIG], dtype="Int64"), [BIG, BIG + 1]),
    "Index": (pd.Index(["no", "yes", "no"]), ["no", "yes"]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind(kind):
    y, values = LABELS[kind]
    found = read(PLAIN, y)
    assert found.values == values
    assert [type(v) for v in found.values] == [type(v) for v in values]
    assert found.codes.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "y",
    [
        ["a", None, "b"],
        ["a", np.nan, "b"],
        [0, np.nan, 1],
        np.array([0.0, np.nan, 1]),
        [1, None, 0],
        [True, None, False],
        pd.Series([1, None, 0], dtype="Int64"),
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series(["a", None, "b"], dtype="category"),
        pd.Series(["a", pd.NA, "b"], dtype="string"),
        np.ma.array([1, 7, 0], mask=[0, 1, 0]),
    ],
    ids=repr,
)
def test_missing_labels(y):
    with pytest.raises(ValueError, match="none in column 'y', row 2: drop_missing leaves such rows out"):
        read(PLAIN, y)
    found = read(PLAIN, y, drop_missing=True)
    np.testing.assert_array_equal(found.rows, [1, 3])
    assert len(found.values) == 2


def test_labels_by_position_and_never_those_of_other_rows():
    X = pd.DataFrame({"a": [1, 2, 3]}, index=[5, 6, 7])
    y = pd.Series(["u", "v", "w"], index=[5, 6, 7])
    assert classes(read(X, y)) == ["u", "v", "w"]
    assert classes(read(X, y.reset_index(drop=True))) == ["u", "v", "w"]
    assert classes(read(X.to_numpy(), y[::-1])) == ["w", "v", "u"]
    with pytest.raises(ValueError, match=r"X's index in another order: y.loc\[X.index\] puts them in order"):
        read(X, y[::-1])
    assert classes(read(X, y[::-1].loc[X.index])) == ["u", "v", "w"]
    assert classes(read(X, y[::-1].to_numpy())) == ["w", "v", "u"]


def test_the_names_of_labels():
    frame = pd.DataFrame({"a": [1, 2, 3], "y": [3, 2, 1]})
    assert read(frame, "a").label == "a"
    assert read(frame, "a").feature_names == ("y",)
    assert read(frame, [1, 2, 1]).label == "y'"
    assert read(frame, pd.Series([1, 2, 1], name=0)).label == "0"
    with pytest.raises(ValueError, match="X must not hold the label, got a column 'a', as y is called"):
        read(frame, frame["a"])


BAD = {
    "no table": (None, [0, 1], "X must have shape (rows >= 1, columns >= 1), got shape ()"),
    "a vector": ([1, 2], [0, 1], "X must have shape (rows >= 1, columns >= 1), got shape (2,)"),
    "images": (np.ones((2, 2, 2)), [0, 1], "X must have shape (rows >= 1, columns >= 1), got shape (2, 2, 2)"),
    "no rows": (np.ones((0, 2)), [], "X must have shape (rows >= 1, columns >= 1), got shape (0, 2)"),
    "a frame without rows": (pd.DataFrame({"a": [1]})[:0], [], "data must have at least one row, got none"),
    "a frame without columns": (
        pd.DataFrame(index=[0, 1]),
        [0, 1],
        "must have a feature column beside the label 'y'",
    ),
    "ragged": ([[1, 2], [3]], [0, 1], "X must be an array or a frame, got list ("),
    "too few labels": (PLAIN, [0, 1], "y must have length 3, as X has rows, got 2"),
    "too few in a Series": (PLAIN, pd.Series([0, 1]), "y must have length 3, as X has rows, got 2"),
    "labels in a square": (PLAIN, np.ones((3, 2)), "y must be one-dimensional, got shape (3, 2)"),
    "one label alone": (PLAIN, 1, "y must be one-dimensional, got shape ()"),
    "labels of several kinds": (PLAIN, [1, "a", 2], "as labels, got objects of type int, str in 'y'"),
    "labels of truth and number": (PLAIN, [1, True, 2], "as labels, got objects of type bool, int in 'y'"),
    "labels of lists": (PLAIN, pd.Series([[1], [2], [1]]), "as labels, got objects of type list in 'y'"),
    "dates": (PLAIN, np.array(["2020", "2021", "2020"], dtype="M8[Y]"), "as labels, got dtype datetime64[Y] in 'y'"),
    "intervals": (PLAIN, pd.Series(pd.cut([1, 2, 3], 2)), "as labels, got objects of type Interval in 'y'"),
    "a name without a frame": (PLAIN, "a", "y must hold the labels (the name of a column only where X is a frame)"),
    "a name that is not there": (FRAME, "Category", "data has no column 'Category' for the label"),
    "names twice": (pd.DataFrame([[1, 2]], columns=["a", "a"]), [1], "name every column differently, got 'a' twice"),
    "names twice as text": (pd.DataFrame({1: [1], "1": [2]}), [1], "name every column differently, got '1' twice"),
    "a continuous label": (np.arange(60.0)[:, None], np.arange(60.0), "got more than 50 different values"),
    "infinity": ([[1.0], [np.inf]], [0, 1], "data must hold finite numbers, got inf in column '1', row 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_table_of_numbers_with_labels(case):
    X, y, message = BAD[case]
    with pytest.raises(ValueError) as e:  # noqa: PT011
        read(X, y)
    assert message in str(e.value)
    assert "\n" not in str(e.value)


FAST = {"width": [2], "repeats": 1, "budget": 0.3}


@pytest.fixture
def flowers():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(30, 3)), columns=["a", "b", "c"])
    frame["kind"] = ["u", "v", "w"] * 10
    frame.loc[frame.kind == "u", "a"] += 9
    return frame


def test_certify_takes_them(flowers):
    result = learnability.certify(flowers, "kind", positive="u", drop=["c"], **FAST)
    assert (result.separable, result.features, result.classes, result.counts) == (True, 2, ("not u", "u"), (20, 10))
    array = learnability.certify(flowers[["a", "b"]].to_numpy(), (flowers.kind == "u").to_numpy(), **FAST)
    assert (array.margin, array.classes) == (result.margin, (False, True))
    with pytest.raises(ValueError, match="positive must be one of the label values 'u', 'v', 'w', got 'x'"):
        learnability.certify(flowers, "kind", positive="x")
    with pytest.raises(ValueError, match="drop_missing must be True or False"):
        learnability.certify(flowers, "kind", drop_missing="yes")
    with pytest.raises(ValueError, match="memory must be > 0"):
        learnability.certify(flowers, "kind", memory=0)


def test_of_more_than_two_classes_each_is_certified(flowers, tmp_path):
    with pytest.raises(ValueError, match=r"got 3: 'u' \(10 rows\), .*positive says which .* certify_each sets each"):
        learnability.certify(flowers, "kind")
    seen = []
    done = learnability.certify_each(flowers, "kind", out=tmp_path, on_progress=seen.append, **FAST)
    assert list(done) == ["u", "v", "w"]
    assert [c.separable for c in done.values()] == [True, False, False]
    for value, result in done.items():
        alone = learnability.certify(flowers, "kind", positive=value, **{**FAST, "budget": FAST["budget"] / 3})
        assert {**result.to_json(), "figures": []} == alone.to_json()
    assert {p.name.split("-")[0] for p in (tmp_path / "certify/data").iterdir()} == {"u", "v", "w"}
    assert seen[0].label.startswith("'u': margin")
    assert [p.work_done for p in seen] == sorted(p.work_done for p in seen)
    assert (seen[-1].done, seen[-1].total) == (3, 3)


def test_two_classes_one_by_one_are_mirror_images():
    X, y = [[0.0, 1], [1, 0], [2, 1], [3, 0]], [0, 0, 1, 1]
    done = learnability.certify_each(X, y, test=0, **FAST)
    assert list(done) == [0, 1]
    assert done[0].margin == pytest.approx(done[1].margin)
    assert (done[0].classes, done[1].classes) == ((1, 0), (0, 1))


def test_data_sets_are_read_as_before():
    data = datasets.digits_pair()
    found = read(data.X, data.y)
    varies = np.ptp(data.X, axis=0) > 0
    np.testing.assert_array_equal(found.X, data.X[:, varies])
    assert len(found.constant) == (~varies).sum()
    np.testing.assert_array_equal(found.table().y, data.y)


def test_a_batch_of_arrow_is_a_frame():
    pa = pytest.importorskip("pyarrow")
    batch = pa.record_batch({"a": [2**53 + 1, 2**53, 2**53 + 1, 2**53], "b": [1.5, 2.5, 1.5, 1.5]})
    found = learnability.certify(batch, [1, 0, 1, 0], width=[2], repeats=1)
    assert found.separable


def test_decimals_are_told_apart_to_the_last_digit():
    near = [Decimal("0.1"), Decimal("0.10000000000000000000001")] * 2
    found = learnability.certify([[1.0], [2.0], [1.0], [2.0]], near, width=[2], repeats=1)
    assert found.classes == (0.1, "0.10000000000000000000001")
    with pytest.raises(ValueError, match="must hold numbers, got one that is sNaN"):
        learnability.certify(np.array([[Decimal("sNaN")], [1], [2], [3]], dtype=object), [0, 1, 0, 1])


@pytest.mark.parametrize("option", ["drop", "one_hot"])
def test_columns_are_named_by_text(option):
    with pytest.raises(ValueError, match=f"{option} must name columns, got None"):
        learnability.certify([[1.0], [2.0]], [0, 1], **{option: None})
