"""Files of text as people have them: the right value, or a reason; nothing is changed in silence."""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.datasets import read_table, text_file
from learnability.datasets.memory import Budget
from learnability.datasets.numbers import Bad, Form, Numbers, number
from learnability.datasets.source import Reading
from learnability.datasets.table import read_examples

PEOPLE = "age,sex,city,when,y\n1,m,Ulm,2020-01-01,u\n2,f,Bonn,2020-01-02,v\n4,f,Ulm,2020-01-03,v\n"


@pytest.fixture
def write(tmp_path):
    def writer(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return writer


# Numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-0", 0), ("+7", 7), (" 12\t", 12), ("1.", 1), (".5", 0.5), ("1e3", 1000.0), ("1E-2", 0.01),
        ("9007199254740993", 9007199254740993), ("9007199254740993.0", 9007199254740993), ("1e400", np.inf),
        ("-inf", -np.inf), ("Infinity", np.inf),
        ("1_000", None), ("0x10", None), ("\u0661", None), ("\u22121", None), ("1\u00a0", None), ("\u20091", None),
        ("1,5", None), ("1 5", None), ("--1", None), ("1e", None), ("", None), (".", None), ("1.2.3", None),
        ("nan", None), ("\uff11", None), ("1f", None), ("infinite", None), ("++inf", None), ("1\n", None),
    ],
)  # fmt: skip
def test_what_a_number_is(text, value):
    assert number(text) == value
    assert type(number(text)) is type(value)


@pytest.mark.parametrize(
    ("form", "text", "value"),
    [
        (Form(",", "."), "1.234.567,25", 1234567.25),
        (Form(",", "."), "1,5", 1.5),
        (Form(",", "."), "1.5", None),
        (Form(",", "."), "1.2345", None),
        (Form(",", ""), "1.5", None),
        (Form(".", ","), "-12,345", -12345),
        (Form(".", ","), "1234,567", None),
        (Form(".", "'"), "1'000", 1000),
        (Form(",", " "), "10 000,5", 10000.5),
        (Form(",", " "), "10\u00a0000,5", 10000.5),
        (Form(",", " "), "1\u202f234\u2009567", 1234567),
        (Form(",", "."), "10\u00a0000,5", None),
    ],
)
def test_decimal_commas_and_thousands(form, text, value):
    assert number(text, form) == value


@settings(max_examples=200)
@given(st.lists(st.text(alphabet="0123456789+-.eE _\u00a0,xnaif", max_size=6), min_size=1, max_size=6))
def test_a_column_is_read_as_its_fields_are(texts):
    found = Numbers("x", ["a"]).written(texts, np.empty((0, 1)))
    single = [Numbers("x", ["a"]).written([text], np.empty((0, 1))) for text in texts]
    first = next((k for k, one in enumerate(single) if isinstance(one, Bad)), None)
    if first is None:
        np.testing.assert_array_equal(found, np.concatenate(single))
    else:
        assert isinstance(found, Bad)
        assert found.row == first


WHOLE = st.one_of(st.integers(-(2**54), 2**54), st.integers(2**60, 2**60 + 2**10), st.integers(-5, 5))


@settings(max_examples=200)
@given(st.lists(WHOLE, min_size=1, max_size=8), st.integers(1, 8), st.sampled_from(["text", "array", "integers"]))
def test_whole_numbers_are_exact_or_refused(values, cut, how):
    """Blocks of any length, as text, int64 or Python's integers: differences are exact, or there is an error."""
    numbers, X, m = Numbers("x", ["a"]), np.empty((len(values), 1)), 0
    wide = max(values) - min(values) > 2**54
    refused = ""
    try:
        for low in range(0, len(values), cut):
            block = values[low : low + cut]
            if how == "text":
                found = numbers.written([str(v) for v in block], X[:m])
            else:
                found = numbers.stored(np.array(block, dtype=np.int64) if how == "array" else block, X[:m])
            X[m : m + len(block)] = found
            m += len(block)
    except ValueError as error:
        refused = str(error)
    if refused:
        assert "within 2^53 of each other" in refused
        assert any(int(float(v)) != v for v in values)
        return
    offset = numbers.offsets.get(0, 0)
    assert [Fraction(v) + offset for v in X[:, 0]] == [Fraction(v) for v in values]
    assert not (wide and numbers.offsets)


def test_identifiers_beyond_float64_are_used_exactly(write):
    text = "id,b,y\n7,1,u\n9007199254740993,1,u\n9007199254740992,2,v\n"
    with pytest.raises(ValueError, match=r"within 2\^53 of each other .* got 9007199254740993 and -7 .*column 'id'"):
        read_table(write(text.replace("\n7", "\n-7")), "y")
    table = read_table(write(text.replace("7,1,u\n", "9007199254740999,1,u\n", 1)), "y")
    assert table.offsets == {"id": 9007199254740999}
    np.testing.assert_array_equal(table.X[:, 0], [0, -6, -7])
    assert "subtracted exactly: 9007199254740999 from 'id'" in table.notes[0]
    table = read_table(write("b,y\n1,9007199254740993\n2,9007199254740992\n"), "y")
    assert table.classes == (9007199254740992, 9007199254740993)
    np.testing.assert_array_equal(table.y, [1, -1])


# The file


def test_a_file_without_names_is_refused_until_that_is_said(write):
    path = write("5.1,3.5,1\n4.9,3.0,0\n")
    with pytest.raises(ValueError, match=r"data.csv must begin with a line of names, got numbers .*header says"):
        read_table(path, "1")
    table = read_table(path, "3", header=False)
    np.testing.assert_array_equal(table.X, [[5.1, 3.5], [4.9, 3.0]])
    assert table.feature_names == ("1", "2")
    iris = write("5.1,3.5,1.4,setosa\n7.0,3.2,4.7,versicolor\n")
    with pytest.raises(ValueError, match="got numbers"):
        read_table(iris, "setosa")
    assert read_table(iris, "4", header=False).classes == ("setosa", "versicolor")
    frame = write("0,1,y\n5,6,u\n7,8,v\n")  # as pandas writes a matrix
    assert read_table(frame, "y").feature_names == ("0", "1")
    every = write("0,1,2\n5,6,0\n7,8,1\n")
    with pytest.raises(ValueError, match="got numbers"):
        read_table(every, "2")
    assert read_table(every, "2", header=True).feature_names == ("0", "1")


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("Länge, mm;Höhe, mm;y\n1;2;u\n3;4;v\n", ("Länge, mm", "Höhe, mm"), [[1, 2], [3, 4]]),
        ("a\tb c\ty\n1\t2\tu\n3\t4\tv\n", ("a", "b c"), [[1, 2], [3, 4]]),
        ("a|b|y\n1|2|u\n3|4|v\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("  a   b  y \n 1   2  u \n 3  4 v\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("a, b, y\n1, 2, u\n3, 4, v\n", ("a", "b"), [[1, 2], [3, 4]]),
        ('"a;b","y"\n1,u\n3,v\n', ("a;b",), [[1], [3]]),
        ("a,b,y\r1,2,u\r3,4,v\r", ("a", "b"), [[1, 2], [3, 4]]),
        ("a,b,y\n1,2,u\n3,4,v", ("a", "b"), [[1, 2], [3, 4]]),
        ("a,b,y\n1,2,u,\n3,4,v,\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("a,b,y,\n1,2,u,\n3,4,v,\n", ("a", "b"), [[1, 2], [3, 4]]),
        ('"a" "b" "y"\n"1" 1 2 "u"\n"2" 3 4 "v"\n', ("a", "b"), [[1, 2], [3, 4]]),
        ("a\tb\ty\nMazda RX4\t1\t2\tu\nFiat\t3\t4\tv\n", ("a", "b"), [[1, 2], [3, 4]]),
        (",a,b,y\n0,1,2,u\n1,3,4,v\n", ("a", "b"), [[1, 2], [3, 4]]),
        ('a,b,y\n"1","2","u"\n"3","4","v"\n', ("a", "b"), [[1, 2], [3, 4]]),
        ('"a ""x"" \nb",c,y\n1,2,u\n3,4,v\n', ('a "x" \nb', "c"), [[1, 2], [3, 4]]),
    ],
)
def test_separators_ends_of_lines_and_indices(write, text, names, rows):
    table = read_table(write(text), "y")
    np.testing.assert_array_equal(table.X, rows)
    np.testing.assert_array_equal(table.y, [-1, 1])
    assert table.feature_names == names


def test_what_was_left_out_is_said(write):
    assert "no name: an index" in read_table(write(",a,y\n0,1,u\n1,3,v\n"), "y").notes[0]
    assert "left out the names of the rows" in read_table(write("a b y\n1 1 2 u\n2 3 4 v\n"), "y").notes[0]


def test_what_the_separator_is_can_be_said(write):
    path = write("a;b,c;y\n1;2,3;u\n3;4,5;v\n")
    with pytest.raises(ValueError, match="no column 'y' for the label, only 'a;b', 'c;y'"):
        read_table(path, "y", separator=",")
    with pytest.raises(ValueError, match=r"'b,c' \('2,3' in row 1\).*decimal and thousands say how"):
        read_table(path, "y")
    table = read_table(path, "y", decimal=",")
    np.testing.assert_array_equal(table.X, [[1, 2.3], [3, 4.5]])
    with pytest.raises(ValueError, match="can be split at each comma and at each semicolon"):
        read_table(write("a,b;y\nu,v;w\nx,y;z\n"), "y")
    quoted = write("'a,b',y\n1,'u'\n3,'v'\n")
    assert read_table(quoted, "y", quote="'").classes == ("u", "v")
    thousands = read_table(write('a,y\n"1,234",u\n"12,345",v\n'), "y", thousands=",")
    np.testing.assert_array_equal(thousands.X, [[1234], [12345]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": "ab"}, "separator must be one character that no number is written with, got 'ab'"),
        ({"separator": "e"}, "separator must be one character"),
        ({"separator": ","}, None),
        ({"separator": ",", "decimal": ","}, "separator must differ from decimal, got ',' for both"),
        ({"thousands": ".", "decimal": "."}, "thousands must differ from decimal, got '.' for both"),
        ({"decimal": ";"}, "decimal must be"),
        ({"quote": "`"}, "quote must be"),
        ({"header": 1}, "header must be True or False, got 1"),
        ({"drop_missing": "no"}, "drop_missing must be True or False, got 'no'"),
        ({"drop": (3,)}, "drop must name columns, got 3"),
        ({"drop": ("a",), "one_hot": "a"}, "one_hot must name columns that are not dropped, got 'a'"),
    ],
)
def test_options_out_of_range(options, message):
    if message is None:
        assert Reading(**options).separator == ","
        return
    with pytest.raises(ValueError, match=message):
        Reading(**options)


def test_wide_tables(write):
    d = 20_000
    text = ",".join([*(f"gene_{j:05d}_of_many" for j in range(d)), "y"]) + "\n"
    assert len(text) > 2**18
    text += ",".join([*map(str, range(d)), "u"]) + "\n" + ",".join([*map(str, range(1, d + 1)), "v"]) + "\n"
    np.testing.assert_array_equal(read_table(write(text), "y").X, [np.arange(d), np.arange(1, d + 1)])


def test_many_lines_that_end_in_returns(write):
    text = "a,y\r" + "".join(f"{j},{'uv'[j % 2]}\r" for j in range(700_000))
    assert len(text) > 2**22
    table = read_table(write(text), "y")
    np.testing.assert_array_equal(table.X[:, 0], np.arange(700_000))


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_compressed_text(write, suffix, pack):
    packed = pack(b"a\ty\n1\tu\n2\tv\n")
    np.testing.assert_array_equal(read_table(write(packed, f"d.tsv{suffix}"), "y").X, [[1], [2]])
    for damaged in (packed[:-6], packed[:5], b"plain text", packed[:20] + b"\xff" * 10 + packed[30:]):
        with pytest.raises(
            ValueError, match=r"^d.tsv\.\w+ (cannot be read, it is truncated or damaged|must be text)"
        ):
            read_table(write(damaged, f"d.tsv{suffix}"), "y")


def test_zstandard(write):
    zstd = pytest.importorskip("backports.zstd")
    packed = zstd.compress(b"a,y\n1,u\n2,v\n")
    np.testing.assert_array_equal(read_table(write(packed, "d.csv.zst"), "y").X, [[1], [2]])
    with pytest.raises(ValueError, match=r"d.csv.zst cannot be read, it is truncated or damaged"):
        read_table(write(packed[:9], "d.csv.zst"), "y")


def test_a_package_that_is_not_there_is_named(write, monkeypatch):
    from learnability.datasets import packed

    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(packed.importlib, "import_module", absent)
    with pytest.raises(ValueError, match=r"d.csv.zst needs the package backports.zstd"):
        read_table(write(b"(\xb5/\xfd", "d.csv.zst"), "y")


# What is used of it


def test_text_and_dates_are_named_at_once(write):
    with pytest.raises(
        ValueError,
        match=r"in 'sex' \('m' in row 1\), 'city' \('Ulm' in row 1\), 'when' \('2020-01-01' in row 1\): leave these "
        r"columns out \(drop\) or, of categories, turn them into columns of 0 and 1 \(one_hot\)$",
    ):
        read_table(write(PEOPLE), "y")
    later = PEOPLE.replace("m,Ulm", "1,1").replace("f,Bonn", "1,Bonn")  # text in row 2 of one, in row 3 of another
    with pytest.raises(ValueError, match=r"'sex' \('f' in row 3\).*'city' \('Bonn' in row 2\)|'city'.*'sex'"):
        read_table(write(later), "y", drop=("when",))


def test_columns_left_out_and_categories(write):
    table = read_table(write(PEOPLE), "y", drop=("when", "city"), one_hot=("sex",))
    assert table.feature_names == ("age", "sex=f", "sex=m")
    np.testing.assert_array_equal(table.X, [[1, 0, 1], [2, 1, 0], [4, 1, 0]])
    with pytest.raises(ValueError, match=r"no column 'wen' to drop, only 'age', .*; did you mean 'when'"):
        read_table(write(PEOPLE), "y", drop="wen")
    with pytest.raises(ValueError, match="no column 'x' to one-hot"):
        read_table(write(PEOPLE), "y", one_hot="x")
    with pytest.raises(ValueError, match="label must be a column of its own, got 'y', which is also dropped"):
        read_table(write(PEOPLE), "y", drop="y")
    names = "a,name,y\n" + "".join(f"1,n{j},u\n" for j in range(1_200))
    with pytest.raises(ValueError, match="must hold at most 1,000 different values in the column 'name'"):
        read_table(write(names), "y", one_hot="name")


def test_missing_values_are_counted_and_rows_with_them_left_out(write):
    text = "a,b,c,y\n1,NA,p,u\n2,3,q,v\n?,4,p,v\n5,,p,u\n6,7,,u\n8,9,q,\n10,11,p,u\n"
    with pytest.raises(
        ValueError,
        match=r"missing values in 'b' \(2, the first in row 1\), 'a' \(1, .*row 3\), 'c' \(1, .*row 5\), 'y' \(1, .* "
        r"row 6\): drop_missing leaves out the 5 of 7 rows",
    ):
        read_table(write(text), "y", one_hot="c")
    table = read_table(write(text), "y", one_hot="c", drop_missing=True)
    np.testing.assert_array_equal(table.rows, [2, 7])
    np.testing.assert_array_equal(table.X, [[2, 3, 0, 1], [10, 11, 1, 0]])
    assert any(note.startswith("5 of 7 rows left out because a value is missing in them (") for note in table.notes)
    assert read_table(write("a,y\n1,u\n2,v\n"), "y", drop_missing=True).rows is None
    words = write("a,s,y\n1,NA,u\n2,m,NA\n3,f,v\n4,m,u\n")
    with pytest.raises(ValueError, match="got 3: 'u'"):
        read_table(words, "y", one_hot="s")
    np.testing.assert_array_equal(read_table(words, "y", one_hot="s", drop_missing=True).rows, [3, 4])
    with pytest.raises(ValueError, match="must have a row in which no value is missing"):
        read_table(write("a,y\n1,\n,v\n"), "y", drop_missing=True)


def test_one_class_against_the_rest(write):
    path = write("a,y\n1,u\n2,v\n3,w\n4,v\n")
    with pytest.raises(ValueError, match=r"got 3: .*; positive says which one to set against the rest"):
        read_table(path, "y")
    table = read_table(path, "y", positive="v")
    np.testing.assert_array_equal(table.y, [-1, 1, -1, 1])
    assert table.classes == ("not v", "v")
    found = read_examples(path, "y")
    assert found.values == ["u", "v", "w"]
    for value in found.values:
        assert found.against_rest(value).classes == (f"not {value}", value)


def test_constant_features_stay_if_there_is_no_other(write):
    table = read_table(write("a,b,y\n1,2,u\n1,2,v\n"), "y")
    np.testing.assert_array_equal(table.X, [[1, 2], [1, 2]])
    assert "every feature is constant" in table.notes


# What it may cost


def test_lines_without_an_end_cost_no_memory(write, monkeypatch):
    monkeypatch.setattr(text_file, "LONGEST", 1000)
    for content in (b"\0" * 5000, b"a,y\n" + b"1" * 5000, b"a,y\n1,u\n" + b"," * 5000):
        with pytest.raises(
            ValueError, match=r"must have lines of at most 1,000 characters, got a longer one"
        ) as caught:
            read_table(write(content), "y")
        assert len(str(caught.value)) < 200


def test_a_bomb_is_refused_before_it_is_unpacked(write):
    packed = gzip.compress(b"a,y\n" + b"1,2\n" * 2_000_000)
    assert len(packed) < 50_000
    with pytest.raises(ValueError, match=r"d.csv.gz needs 1\d\d MB of memory \(about"):
        read_table(write(packed, "d.csv.gz"), "y", memory=1.02e8)


def test_long_texts_are_quoted_in_part(write):
    with pytest.raises(ValueError, match=r"99,999 characters") as caught:
        read_table(write("a,y\n" + "x" * 99_999 + ",u\n1,v\n"), "y")
    assert len(str(caught.value)) < 500
    with pytest.raises(ValueError, match=r"at most 1,000 characters in the column 'y'"):
        read_table(write("a,y\n1,u\n2," + "x" * 99_999 + "\n"), "y")


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfea\0,\0", b"a,y\n1,\xe4\n", b"a,y\n1,\"u\n", b"a,y\n\"1\"2,u\n", b"a,y\n1,u\n2\n", b"\n\n", b"a,y",
     b"a,y\n", b"\x80", b",,,\n,,,\n", b"a,a,y\n1,2,u\n", b"\"", b"y\n1\n"],
)  # fmt: skip
def test_what_is_no_table_is_refused_by_name(write, content):
    with pytest.raises(ValueError, match=r"^data\.csv ") as caught:
        read_table(write(content), "y")
    assert "\n" not in str(caught.value)


def test_sample_and_blocks_read_alike(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((500, 3)), rng.integers(0, 2, 500)
    path = tmp_path / "d.csv"
    path.write_text("p,q,r,y\n" + "".join(f"{a!r},{b!r},{c!r},{k}\n" for (a, b, c), k in zip(X.tolist(), y)))
    monkeypatch.setattr(text_file, "FIELDS", 28)
    source = text_file.open_source(path, Reading(), Budget(1e9, ""))
    sizes = [len(block[0]) for block in source.blocks([0, 3])]
    assert sizes == [7] * 71 + [3]
    table = read_table(path, "y")
    np.testing.assert_array_equal(table.X, X)
    np.testing.assert_array_equal(table.y, 2 * y - 1)


def test_errors_name_rows_of_later_blocks(write, monkeypatch):
    monkeypatch.setattr(text_file, "FIELDS", 9)  # three rows
    rows = [f"{j},{j * j},{j % 2}" for j in range(20)]
    for bad, message in [
        ("1,,0", r"'b' \(1, the first in row 12\)"),
        ("1,inf,0", "got inf in column 'b', row 12$"),
        ("1,two,0", "'b' [(]'two' in row 12[)]"),
        ("1,2,", "got none in column 'label', row 12:"),
        ("1,2", "must have 3 fields in every row, got 2 in row 12 "),
        ("1,2,0,4", "must have 3 fields in every row, got 4 in row 12 "),
    ]:
        text = "\n".join(["a,b,label", *rows[:11], bad, *rows[12:]])
        with pytest.raises(ValueError, match=message):
            read_table(write(text), "label")


def test_large_files_are_refused_by_their_lines_and_before_they_are_read(write, monkeypatch):
    path = write("a,b,label\n" + "".join(f"{j % 10},3,{j % 2}\n" for j in range(100_000)))
    monkeypatch.setattr(text_file.TextSource, "blocks", lambda *_: pytest.fail("read although it does not fit"))
    with pytest.raises(ValueError, match=r"needs 10\d MB of memory \((about )?100,00\d rows x \d features\)"):
        read_table(path, "label", memory=1.01e8)


# Found by readers with files of their own


def test_labels_are_told_apart_to_the_last_digit(write):
    near = read_examples(write("a,y\n1,0.1\n2,0.10000000000000000000001\n3,0.1\n"), "y")
    assert near.values == [0.1, "0.10000000000000000000001"]
    np.testing.assert_array_equal(near.codes, [0, 1, 0])
    huge = read_examples(write("a,y\n1,1e400\n2,2e400\n"), "y")
    assert huge.values == ["1e400", "2e400"]
    powers = read_examples(write("a,y\n1,1e23\n2,100000000000000000000000\n3,5\n"), "y")
    assert powers.values == [5, 10**23]
    np.testing.assert_array_equal(powers.against_rest("1e23").y, [1, 1, -1])
    ways = read_examples(write("a,y\n1,01\n2,1\n3,2\n"), "y")
    assert ways.values == [1, 2]
    assert "labels that are written in several ways are one number: '1' is 1" in ways.notes


def test_a_first_line_of_whole_numbers_beside_a_word_is_no_header(write):
    text = "5,3,setosa\n4,2,setosa\n1,2,versi\n7,8,versi\n"
    with pytest.raises(ValueError, match="must begin with a line of names, got numbers"):
        read_table(write(text), "setosa")
    assert len(read_table(write(text), "3", header=False).X) == 4
    assert read_table(write("1990,2000,2010,y\n5,6,7,u\n7,8,9,v\n"), "y").feature_names == ("1990", "2000", "2010")


def test_what_was_missing_is_named_by_column(write):
    table = read_table(write("a,s,y\n1,p,Drug\n2,q,None\n,p,Other\n3,q,Other\n"), "y", one_hot="s", drop_missing=True)
    assert "2 of 4 rows left out because a value is missing in them (by column: 'a' 1, 'y' 1)" in table.notes


def test_categories_take_no_name_that_is_there(write):
    with pytest.raises(ValueError, match="must not have a column of the name that one_hot gives, got 's=x'"):
        read_table(write("s,s=x,y\nx,1,u\nz,2,v\n"), "y", one_hot="s")


def test_long_texts_of_a_column_that_is_left_out(write):
    long = "x" * 400_000
    np.testing.assert_array_equal(read_table(write(f"t,a,y\n{long},1,u\n{long},2,v\n"), "y", drop="t").X, [[1], [2]])
    assert csv.field_size_limit() == 131_072


def test_row_names_of_r_that_are_numbers_in_quotes(write):
    table = read_table(write('"a" "b" "y"\n"3" 1 2 "u"\n"7" 3 4 "v"\n'), "y")
    np.testing.assert_array_equal(table.X, [[1, 2], [3, 4]])


def test_columns_cost_memory_too(write):
    d = 200_000
    text = ",".join(f"c{j}" for j in range(d)) + ",y\n" + "1," * d + "u\n" + "2," * d + "v\n"
    with pytest.raises(ValueError, match=r"needs \d\d\d MB of memory"):
        read_table(write(text), "y", memory=2e8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('a,b,y\n1,2,"0\n3,4,1\n', "unexpected end of data"),
        (gzip.compress(b"a,y\n1,u\n", mtime=0), "it is compressed, call it .gz"),
        ("a,y\n1,u\n".encode("utf-16"), "it is UTF-16"),
        ("# made on Monday\na,b,y\n1,2,u\n3,4,v\n", "got a comment '# made on Monday': leave such lines out"),
    ],
)
def test_the_right_reason(write, content, message):
    with pytest.raises(ValueError, match=message):
        read_table(write(content), "y")


def test_rows_may_begin_far_below_the_header(write):
    assert len(read_table(write("a,y\n" + "\n" * 2_000 + "1,u\n2,v\n"), "y").X) == 2
