"""``learnability certify`` from the shell: what it prints where, how it ends, and that bad input leaves no trace."""

from __future__ import annotations

import json
import os
import re
import sys

import numpy as np
import pytest

from learnability import api, certification, cli
from learnability.cli import spelling, terminal
from learnability.errors import RequestError
from learnability.problems.separable import random_separable
from learnability.theory import Guarantee, Kind

GUARANTEE = {"id", "source", "kind", "hypotheses", "bound", "measured", "slack", "verdict", "note"}
FAST = ["--width", "2", "--width", "10", "--repeats", "2", "--budget", "1"]


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(terminal, "FIRST_LINE", 1e3)  # however busy the machine is

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["learnability", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return ended.value.code, out, err

    return run


@pytest.fixture
def table(tmp_path):
    """A separable table whose labels are words."""
    rng = np.random.default_rng(0)
    X, y = random_separable(rng, 3, 0.2).sample(rng, 80)
    lines = [f"{a},{b},{c},{'high' if s > 0 else 'low'}" for (a, b, c), s in zip(X.tolist(), y)]
    path = tmp_path / "points.csv"
    path.write_text("a,b,c,kind\n" + "\n".join(lines) + "\n")
    return path


def test_a_separable_table(call, table, tmp_path):
    code, out, err = call("certify", "points.csv", "--label", "kind", *FAST)
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    first, second, third, *rest = out.splitlines()
    assert first.startswith("points.csv is separable: margin 0.")
    assert re.fullmatch(r"updates: SGD needed \d+ to \d+; Theorem 2 allows \d+ at any width", second)
    assert third.startswith("error: 0.0000 on 20 test examples; the test sample itself says: error <= 0.")
    assert len(rest) <= 4
    code, out, err = call("certify", "points.csv", "--label", "kind", *FAST, "--verbose")
    assert (code, err) == (0, "")
    assert out.startswith("points.csv: 80 examples (")
    for said in ("'high' is -1, 'low' is +1", "scaling: every feature centred", "separable: margin 0.", "|w*| = "):
        assert said in out
    for said in (
        "linearly separable: yes",
        "|x| <= 1: yes",
        "assumed: no data can show it",
        "60 examples to train on",
    ):
        assert said in out
    assert re.search(r"^separable/thm2\[2k=10\] +holds +\d+ +<= ", out, re.MULTILINE)
    assert re.search(r"^10 +all +2 +", out, re.MULTILINE)
    (folder,) = (tmp_path / "learnability-results/certify/points").iterdir()
    place = folder.relative_to(tmp_path)
    assert f"figure: {place}/figure.png" in out.splitlines()
    assert f"every bound (or --verbose): {place}/verdicts.md" in out.splitlines()
    assert (tmp_path / place / "figure.pdf").read_bytes().startswith(b"%PDF")
    manifest = json.loads((tmp_path / place / "manifest.json").read_text())
    assert manifest["command"].startswith("learnability certify points.csv --label kind --width 2")
    code, out, _ = call("report")
    assert code == 0
    assert "1 result" in out
    assert "certify/points" in (tmp_path / "learnability-results/report.md").read_text()


def test_json_and_nothing_else_on_stdout(call, table, tmp_path):
    code, out, err = call("certify", "points.csv", "--label", "kind", *FAST, "--out", "here", "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said.pop("seconds") > 0
    (folder,) = (tmp_path / "here/certify/points").iterdir()
    assert said == json.loads((folder / "certify.json").read_text())
    assert said["figures"] == [str(folder.relative_to(tmp_path) / f"figure.{kind}") for kind in ("png", "pdf")]
    assert set(said["guarantees"][0]) >= GUARANTEE
    assert said["classes"] == {"-1": "high", "+1": "low"}
    assert said["separable"] is True
    assert said["certificate"] is None
    _, again, _ = call("certify", "points.csv", "--label", "kind", *FAST, "--out", "here", "--json")
    repeated = json.loads(again)
    repeated.pop("seconds")
    assert repeated == said


def test_options_reach_the_runs(call, table):
    options = ["--slope", "0.2", "--step", "2", "--delta", "0.1", "--scale", "norm", "--no-bias", "--seed", "4"]
    options += ["--test", "0.5", "--positive", "high", "--width", "20", "--repeats", "1"]
    code, out, _ = call("certify", "points.csv", "--label", "kind", *options, "--json")
    said = json.loads(out)
    assert code == 0
    wanted = {"widths": [2, 20, 200], "slope": 0.2, "step": 2.0, "delta": 0.1, "scale": "norm", "bias": False}
    assert said["options"].items() >= (wanted | {"seed": 4, "test": 0.5, "repeats": 1}).items()
    assert said["classes"]["+1"] == "high"
    assert said["training"]["test_examples"] == 40
    assert {run["seed"] for run in said["runs"]} == {4}


def test_duplicates_with_different_labels_are_the_certificate(call, table):
    line = table.read_text().splitlines()[12]
    other = line.replace("high", "LOW").replace("low", "high").replace("LOW", "low")
    table.write_text(table.read_text() + other + "\n")
    code, out, err = call("certify", "points.csv", "--label", "kind", *FAST)
    assert (code, err) == (0, "")
    said = "is not separable (81 examples, 3 features): rows 12 and 81 are the same point with different labels"
    assert said in out.splitlines()[0]
    assert "; without 1 of them it is" in out.splitlines()[0]
    code, out, err = call("certify", "points.csv", "--label", "kind", *FAST, "--verbose")
    assert (code, err) == (0, "")
    assert "not separable: rows 12 and 81 are the same point with different labels" in out
    assert re.search(r"separable without 1 of them, row (12|81) \(no smaller number does", out)
    assert re.search(r"^separable/cor3\[all examples\] +outside_hypotheses", out, re.MULTILINE)


@pytest.mark.parametrize("width", [40, 80])
def test_narrow_terminals_get_lines(call, table, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = call("certify", "points.csv", "--label", "kind", *FAST, "--verbose")
    assert code == 0
    # but for the paths, which are not broken
    lines = [line for line in out.splitlines() if not line.startswith(("figure: ", "every bound (or --verbose): "))]
    assert max(map(len, lines)) <= width
    assert "  updates: " in out


def test_a_violated_guarantee_is_shown_and_exit_1_only_if_asked_for(call, table, monkeypatch):
    done = certification.certify

    def violated(*args, **options):
        result = done(*args, **options)
        result.guarantees.append(Guarantee("separable/false", "nobody", Kind.UPPER_BOUND, 0.0, 1.0))
        return result

    monkeypatch.setattr(certification, "certify", violated)
    code, out, _ = call("certify", "points.csv", "--label", "kind", *FAST)
    assert code == 0
    assert "1 violated" in out
    assert "violated  separable/false  1, not <= 0" in out.splitlines()
    assert call("certify", "points.csv", "--label", "kind", *FAST, "--strict")[0] == 1


def test_ctrl_c_keeps_nothing(call, table, monkeypatch, tmp_path):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(certification, "certify", interrupted)
    code, out, err = call("certify", "points.csv", "--label", "kind", *FAST)
    assert (code, out) == (130, "")
    assert err == "learnability: interrupted: nothing was kept\n"
    assert not [path for path in (tmp_path / "learnability-results").rglob("*") if path.is_file()]


def written(path, text):
    path.write_text(text)


def truncated(path, _):
    np.savez(path, X=np.random.default_rng(0).random((50, 5)), y=np.arange(50) % 2)
    path.write_bytes(path.read_bytes()[:900])


def objects(path, _):
    np.savez(path, X=np.array([1, "a"] * 3, dtype=object), y=np.arange(6) % 2)


GOOD = "a,b,y\n" + "".join(f"{i},{i * i % 7},{int(i > 9)}\n" for i in range(20))
BAD = {
    "missing column": ("t.csv", written, GOOD, ["--label", "z"], "no column 'z'"),
    "no label": (
        "t.csv",
        written,
        GOOD,
        None,
        "--label must name the column of the labels, one of 'a', 'b', 'y' in t",
    ),
    "one label": ("t.csv", written, "a,y\n1,0\n2,0\n", [], "exactly two values in the label column 'y', got 1"),
    "names as labels": (
        "t.csv",
        written,
        "a,y\n" + "".join(f"{i},{i}\n" for i in range(60)),
        [],
        "classes in the label column 'y', got more than 50 different values",
    ),
    "nan": (
        "t.csv",
        written,
        "a,b,y\n1,2,0\n1,,1\n",
        [],
        "missing values in 'b' (1, the first in row 2): --drop-missing leaves out the 1 of 2 rows with one, --drop",
    ),
    "text": (
        "t.csv",
        written,
        "a,b,y\n1,u,0\n1,v,1\n",
        [],
        "other values in 'b' ('u' in row 1): leave these columns out (--drop) or, of categories, turn them into "
        "columns of 0 and 1 (--one-hot)",
    ),
    "drop": ("t.csv", written, GOOD, ["--drop", "c"], "t.csv has no column 'c' to drop, only 'a', 'b', 'y'"),
    "one-hot": ("t.csv", written, GOOD, ["--one-hot", "y"], "--label must be a column of its own, got 'y'"),
    "dropped and split": (
        "t.csv",
        written,
        GOOD,
        ["--one-hot", "a", "--drop", "a"],
        "--one-hot must name columns that",
    ),
    "separator": ("t.csv", written, GOOD, ["--separator", "ab"], "--separator must be one character"),
    "decimal": ("t.csv", written, GOOD, ["--decimal", "x"], "--decimal must be one of '.', ',', got 'x'"),
    "comma": (
        "t.csv",
        written,
        GOOD,
        ["--decimal", "comma", "--separator", "comma"],
        "--separator must differ from --d",
    ),
    "thousands": (
        "t.csv",
        written,
        GOOD,
        ["--thousands", "point"],
        "--thousands must differ from --decimal, got '.'",
    ),
    "quote": ("t.csv", written, GOOD, ["--quote", "x"], "--quote must be one of"),
    "memory": (
        "t.csv",
        written,
        GOOD,
        ["--memory", "5"],
        "(the memory given): give --memory a larger number of bytes",
    ),
    "header": ("t.csv", written, "1,2\n3,4\n", [], "--header or --no-header says whether the first line has names"),
    "text options": ("t.npz", truncated, None, ["--no-header"], "--header or --no-header is for files of text"),
    "address": (
        "t.csv",
        written,
        GOOD,
        "https://example.org/t.csv",
        "(download it first), got the address 'https://exa",
    ),
    "folder": ("t.csv", written, GOOD, ".", "FILE must be a file, got a folder '.'"),
    "missing file": ("t.csv", written, GOOD, "u.csv", "FILE must be a file, got none at 'u.csv'"),
    "escapes": ("t.csv", written, GOOD, ["--label", "\x1b[2J"], r"has no column '\x1b[2J' for the label"),
    "empty": ("t.csv", written, "", [], "empty file"),
    "header only": ("t.csv", written, "a,y\n", [], "at least one row"),
    "truncated": ("t.npz", truncated, None, [], "truncated or damaged"),
    "objects": ("t.npz", objects, None, [], "not unpickled): leave these columns out (--drop)"),
    "kind": ("t.json", written, GOOD, [], "FILE must end in"),
    "positive": ("t.csv", written, GOOD, ["--positive", "7"], "positive must be one of"),
    "width": ("t.csv", written, GOOD, ["--width", "3"], "width must be even"),
    "slope": ("t.csv", written, GOOD, ["--slope", "1"], "slope must be < 1"),
    "step": ("t.csv", written, GOOD, ["--step", "0"], "step must be > 0"),
    "step text": ("t.csv", written, GOOD, ["--step", "x"], "'--step'"),
    "delta": ("t.csv", written, GOOD, ["--delta", "nan"], "delta must be finite"),
    "scale": ("t.csv", written, GOOD, ["--scale", "unit"], "scale must be one of"),
    "norm": ("t.csv", written, GOOD, ["--scale", "none"], "norm <= 1"),
    "test": ("t.csv", written, GOOD, ["--test", "1"], "test must be < 1"),
    "repeats": ("t.csv", written, GOOD, ["--repeats", "0"], "repeats must be >= 1"),
    "out": ("t.csv", written, GOOD, ["--out", ""], "out must be the path of a folder"),
}
if os.name == "posix":
    BAD["device"] = "t.csv", written, GOOD, "/dev/zero", "FILE must be a file that can be read twice"


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_exit_2_one_line_and_nothing_written(call, tmp_path, case):
    name, make, content, options, message = BAD[case]
    path = tmp_path / name
    make(path, content)
    file, options = (options, []) if isinstance(options, str) else (name, options)
    label = [] if options is None or "--label" in options else ["--label", "y"]
    code, out, err = call("certify", file, *label, *(options or []))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("learnability: ")
    assert message in err
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_larger_than_memory_is_refused_before_it_is_read(call, table, tmp_path, monkeypatch):
    from learnability.datasets import memory

    monkeypatch.setattr(memory, "available", lambda: 1e8)
    code, out, err = call("certify", "points.csv", "--label", "kind")
    assert (code, out) == (2, "")
    assert "of memory" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [table]


def test_a_missing_file_or_option(call, tmp_path):
    assert call("certify", "none.csv", "--label", "y")[0] == 2
    assert call("certify", "none.csv")[0] == 2
    assert call("certify", "none.csv", "--label", "y", "--positive")[0] == 2
    assert call("certify")[0] == 2
    assert not list(tmp_path.iterdir())


@pytest.fixture
def taken(monkeypatch):
    """What the command reads, without what is done with it."""
    found = []

    def stop(data, **options):
        found.append(data)
        raise RequestError("taken")

    monkeypatch.setattr(api, "certify_data", stop)
    return found


def test_options_of_reading(call, taken, tmp_path):
    text = "'Länge, mm'|Größe|u|kind|y\n1.000,5|2|1|red|0\n2,5||2|blue|1\n3|4|3|red|1\n4|5|4|blue|0\n"
    (tmp_path / "t.txt").write_text(text)
    options = ["--separator", "|", "--decimal", "comma", "--thousands", "point", "--quote", "'"]
    options += ["--drop", "u", "--drop-missing", "--one-hot", "kind", "--positive", "0"]
    assert call("certify", "t.txt", "--label", "y", *options) == (2, "", "learnability: taken\n")
    (data,) = taken
    np.testing.assert_array_equal(data.X, [[1000.5, 2, 0, 1], [3, 4, 0, 1], [4, 5, 1, 0]])
    np.testing.assert_array_equal(data.y, [1, -1, 1])
    assert data.feature_names == ("Länge, mm", "Größe", "kind=blue", "kind=red")
    assert data.rows.tolist() == [1, 3, 4]


@pytest.mark.parametrize("word", ["tab", "\\t", "\t", "space", "semicolon", "comma"])
def test_separators_by_name(call, taken, tmp_path, word):
    between = {"tab": "\t", "\\t": "\t", "space": " ", "semicolon": ";", "comma": ","}.get(word, word)
    (tmp_path / "t.csv").write_text("\n".join(between.join(row) for row in ("12u", "45v", "67u")) + "\n")
    call("certify", "t.csv", "--label", "3", "--no-header", "--separator", word)
    (data,) = taken
    np.testing.assert_array_equal(data.X, [[1, 2], [4, 5], [6, 7]])
    assert data.feature_names == ("1", "2")


def test_a_libsvm_file_needs_no_label(call, taken, tmp_path):
    (tmp_path / "t.libsvm").write_text("+1 1:2 3:4\n-1 2:5\n")
    call("certify", "t.libsvm")
    (data,) = taken
    np.testing.assert_array_equal(data.X, [[2, 0, 4], [0, 5, 0]])
    np.testing.assert_array_equal(data.y, [1, -1])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_fifo_is_refused_and_not_waited_for(call, tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    code, out, err = call("certify", "t.csv", "--label", "y")
    assert (code, out) == (2, "")
    assert "(write the stream to a file first), got 't.csv'" in err


@pytest.fixture
def flowers(tmp_path):
    """Three classes, of which one is apart."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2)).round(2) + np.repeat([[9, 0], [0, 0], [0, 0]], 10, axis=0)
    lines = [f"{a},{b},{kind}" for (a, b), kind in zip(X.tolist(), ["rose"] * 10 + ["a/b"] * 10 + ["*c*"] * 10)]
    path = tmp_path / "flowers.csv"
    path.write_text("a,b,kind\n" + "\n".join(lines) + "\n")
    return path


ONCE = ["--width", "2", "--width", "4", "--repeats", "1", "--budget", "0.3", "--test", "0.2"]


def test_of_three_classes_each_is_answered_after_a_summary(call, flowers, tmp_path):
    code, out, err = call("certify", "flowers.csv", "--label", "kind", *ONCE)
    assert (code, err) == (0, "")
    first, headings, *rows = out.splitlines()
    assert re.fullmatch(r"flowers.csv: 3 values of kind, each against the rest \(30 ex.*, 2 features; .*\)", first)
    assert headings.split("  ")[0] == "class"
    assert [row.split()[:3] for row in rows[:3]] == [
        ["'*c*'", "10", "no"],
        ["'a/b'", "10", "no"],
        ["'rose'", "10", "yes"],
    ]
    pages = out.split("\n\n")[1:]
    assert [page.splitlines()[0] for page in pages] == [
        f"{name} against the rest" for name in ("'*c*'", "'a/b'", "'rose'")
    ]
    assert "flowers.csv is separable: margin 0." in pages[2]
    assert "flowers.csv is not separable (30 examples, 2 features)" in pages[0]
    folders = sorted((tmp_path / "learnability-results/certify/flowers").iterdir())
    assert [folder.name.split("-range-")[0] for folder in folders] == ["a-b", "c", "rose"]
    code, out, _ = call("certify", "flowers.csv", "--label", "kind", *ONCE, "--json")
    said = json.loads(out)
    assert code == 0
    assert said.keys() == {"source", "label", "classes", "seconds"}
    assert (said["source"], said["label"]) == ("flowers.csv", "kind")
    assert [entry["positive"] for entry in said["classes"]] == ["*c*", "a/b", "rose"]
    assert [entry["separable"] for entry in said["classes"]] == [False, False, True]
    (folder,) = (folder for folder in folders if folder.name.startswith("rose"))
    entry = said["classes"][2]
    assert entry.pop("positive") == "rose"
    assert entry == json.loads((folder / "certify.json").read_text())
    alone = [*ONCE, "--budget", str(0.3 / 3), "--positive", "rose", "--out", "alone", "--json"]
    picked = json.loads(call("certify", "flowers.csv", "--label", "kind", *alone)[1])
    assert picked["classes"] == {"-1": "not rose", "+1": "rose"}
    for key in ("margin", "guarantees", "runs", "notes"):
        assert picked[key] == entry[key]


def test_ctrl_c_keeps_the_classes_that_were_finished(call, flowers, tmp_path, monkeypatch):
    done, seen = certification.certify, []

    def interrupted(*args, **options):
        if seen:
            raise KeyboardInterrupt
        seen.append(args)
        return done(*args, **options)

    monkeypatch.setattr(certification, "certify", interrupted)
    code, out, err = call("certify", "flowers.csv", "--label", "kind", *ONCE, "--out", "here")
    assert (code, out) == (130, "")
    assert err == "learnability: interrupted: classes that were finished are kept in here\n"
    (folder,) = (tmp_path / "here/certify/flowers").iterdir()
    assert (folder / "certify.json").exists()


def test_a_violation_in_one_class_is_one(call, flowers, monkeypatch):
    done = certification.certify

    def violated(inputs, *args, **options):
        result = done(inputs, *args, **options)
        if inputs.data.classes[1] == "a/b":
            result.guarantees.append(Guarantee("separable/false", "nobody", Kind.UPPER_BOUND, 0.0, 1.0))
        return result

    monkeypatch.setattr(certification, "certify", violated)
    code, out, _ = call("certify", "flowers.csv", "--label", "kind", *ONCE, "--strict")
    assert code == 1
    assert out.count("violated  separable/false  1, not <= 0") == 1


def test_constant_features_and_two_labels_show_the_pair(call, tmp_path):
    (tmp_path / "t.csv").write_text("a,b,y\n1,2,0\n1,2,1\n")
    code, out, err = call("certify", "t.csv", "--label", "y", *ONCE)
    assert (code, err) == (0, "")
    assert "rows 1 and 2 are the same point with different labels, 0 and 1" in out.splitlines()[0]


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("width must be even, got 3", "--width must be even, got 3"),
        ("each of width must be >= 2, got 1", "each of --width must be >= 2, got 1"),
        ("path must be a file", "FILE must be a file"),
        ("give memory= a larger number", "give --memory a larger number"),
        ("leave it out (drop), or make classes (one_hot)", "leave it out (--drop), or make classes (--one-hot)"),
        ("x; separator says what does", "x; --separator says what does"),
        ("decimal and thousands say how numbers", "--decimal and --thousands say how numbers"),
        ("a step in the label column must hold", "a step in the label column must hold"),
        ("t.csv must hold classes in the label's column", "t.csv must hold classes in the label's column"),
        ("'x (drop)' or \"it's (drop)\", X's rows' (drop)", "'x (drop)' or \"it's (drop)\", X's rows' (--drop)"),
        (r"got 'a\' (drop)' (drop)", r"got 'a\' (drop)' (--drop)"),
    ],
)  # fmt: skip
def test_parameters_in_messages_become_options(said, typed):
    assert spelling.typed(said) == typed
