"""Names that a stranger's file may hold, through ``certify`` and ``report``: shown everywhere, obeyed nowhere."""

import csv
import json
import re

import numpy as np
import pytest

from learnability import shown
from names import NASTY
from test_cli_certify import FAST, call  # noqa: F401  (a fixture)

FILES = [name for name in NASTY if "/" not in name and len(name.encode()) < 200][::4]
COLUMNS = [name for name in NASTY if name != "NaN"]


def write(path, names, labels=("no", "yes")):
    """A separable table with these features, and the label as its last column."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        for k in range(40):
            row = [f"{value:.3f}" for value in rng.normal(size=len(names) - 1)]
            row[0] = f"{(1 + rng.random()) * (1 if k % 2 else -1):.3f}"
            writer.writerow([*row, labels[k % 2]])


def check_pages(folder):
    """Every text in the folder shows all that is in it, in HTML no name is a tag, and figures are there."""
    for path in [*folder.rglob("*.md"), *folder.rglob("*.html"), *folder.rglob("*.json")]:
        text = path.read_text(encoding="utf-8")
        assert all(line.isprintable() for line in text.split("\n")), path
        if path.suffix == ".html":
            assert not re.search(r"<(script|b)>", text)
        if path.suffix == ".md":
            tables = [line for line in text.split("\n") if line.startswith("| ")]
            assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} <= {7}
    assert any(path.read_bytes().startswith(b"\x89PNG") for path in folder.rglob("figure.png"))


def test_all_of_them_as_columns_and_labels(call, tmp_path):  # noqa: F811
    label, values = "<b>$l|_\x1b[2J\u202e", ("$a$ | \x1b[31m", "<script>\u200b`[bold]")
    write(tmp_path / "table.csv", [*COLUMNS, label], values)
    code, out, err = call("certify", "table.csv", "--label", label, *FAST, "--verbose")
    assert (code, err) == (0, "")
    assert all(line.isprintable() for line in out.split("\n"))
    for value in values:
        assert shown.quoted(value) in out
    code, out, err = call("certify", "table.csv", "--label", label, *FAST, "--json")
    assert (code, err) == (0, "")
    assert all(line.isprintable() for line in out.split("\n"))
    assert json.loads(out)["classes"] == {"-1": values[0], "+1": values[1]}
    code, out, err = call("report")
    assert (code, err) == (0, "")
    check_pages(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_each_as_the_name_of_a_file(call, tmp_path, name):  # noqa: F811
    write(tmp_path / f"{name}.csv", ["a", "b", "label"])
    arguments = ["--label", "label", "--width", "2", "--repeats", "1", "--budget", "0.1"]
    code, out, err = call("certify", f"./{name}.csv", *arguments)
    assert (code, err) == (0, "")
    assert all(line.isprintable() for line in out.split("\n"))
    assert out.startswith(f"{shown.line(name)}.csv is separable: ")
    code, out, err = call("report")
    assert (code, err) == (0, "")
    check_pages(tmp_path)


@pytest.mark.parametrize("name", NASTY)
def test_each_in_an_error(call, tmp_path, name):  # noqa: F811
    write(tmp_path / "table.csv", ["a", *NASTY, "label"])
    lines = []
    for arguments in (
        ("certify", "table.csv", "--label", f"{name}?"),
        ("certify", "table.csv", "--label", "label", "--positive", f"{name}?"),
        ("certify", "table.csv", "--label", "label", "--drop", f"{name}?"),
        ("certify", f"./{name}.csv", "--label", "label"),
        ("certify", "table.csv", "--label", "label", "--scale", name),
        ("report", "--out", f"./{name}"),
        ("run", f"{name}?"),
    ):
        code, out, err = call(*arguments)
        assert (code, out) == (2, ""), (arguments, out, err)
        lines.append(err)
    for line in lines:
        assert line.endswith("\n")
        assert line[:-1].isprintable(), line
        assert len(line) < 5500
