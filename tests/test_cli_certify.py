"""``learnability certify`` from the shell: what it prints where, how it ends, and that bad input leaves no trace."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest

from learnability import api, cli
from learnability.cli import terminal
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
    assert third.startswith("error: 0.0000 on 20 test examples; nothing is promised: the bounds below 1 ask for ")
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
    done = api.certification.certify

    def violated(*args, **options):
        result = done(*args, **options)
        result.guarantees.append(Guarantee("separable/false", "nobody", Kind.UPPER_BOUND, 0.0, 1.0))
        return result

    monkeypatch.setattr(api.certification, "certify", violated)
    code, out, _ = call("certify", "points.csv", "--label", "kind", *FAST)
    assert code == 0
    assert "1 violated" in out
    assert "violated  separable/false  1, not <= 0" in out.splitlines()
    assert call("certify", "points.csv", "--label", "kind", *FAST, "--strict")[0] == 1


def test_ctrl_c_keeps_nothing(call, table, monkeypatch, tmp_path):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(api.certification, "certify", interrupted)
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
    "one label": ("t.csv", written, "a,y\n1,0\n2,0\n", [], "exactly two values in the label column 'y', got 1"),
    "three labels": (
        "t.csv",
        written,
        "a,y\n1,0\n2,1\n3,2\n",
        [],
        "exactly two values in the label column 'y', got 3",
    ),
    "constant": ("t.csv", written, "a,b,y\n1,2,0\n1,2,1\n", [], "constant values in all: 'a', 'b'"),
    "nan": ("t.csv", written, "a,b,y\n1,2,0\n1,,1\n", [], "column 'b', row 2"),
    "text": ("t.csv", written, "a,b,y\n1,u,0\n1,v,1\n", [], "other values in 'b'"),
    "empty": ("t.csv", written, "", [], "empty file"),
    "header only": ("t.csv", written, "a,y\n", [], "at least one row"),
    "truncated": ("t.npz", truncated, None, [], "truncated or damaged"),
    "objects": ("t.npz", objects, None, [], "they are not unpickled"),
    "kind": ("t.txt", written, GOOD, [], "must end in"),
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


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_exit_2_one_line_and_nothing_written(call, tmp_path, case):
    name, make, content, options, message = BAD[case]
    path = tmp_path / name
    make(path, content)
    label = [] if "--label" in options else ["--label", "y"]
    code, out, err = call("certify", name, *label, *options)
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
    assert call("certify")[0] == 2
    assert not list(tmp_path.iterdir())
