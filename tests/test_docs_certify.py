"""The sessions of ``docs/certify.md``: what is typed there brings what stands below it."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from learnability import cli
from learnability.cli import terminal

PAGE = Path(__file__).parents[1] / "docs" / "certify.md"
SESSIONS = re.findall(r"^```console\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def steady(text):
    """Without times and the digests of folders, and wherever lines are broken."""
    text = re.sub(r"\b[\d.]+ (s|min)\b", "TIME", text)
    return " ".join(re.sub(r"-[0-9a-f]{8}/", "-DIGEST/", text).split())


def test_what_is_typed_brings_what_stands_below_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setattr(terminal, "FIRST_LINE", 1e3)
    commands = 0
    for step in re.split(r"^\$ ", "".join(SESSIONS), flags=re.MULTILINE)[1:]:
        typed, below = step.split("\n", 1)
        program, *arguments = shlex.split(typed)
        if program == "cat":  # there is such a file
            (tmp_path / arguments[0]).write_text(below)
            continue
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert steady(out + err) == steady(below)
        assert ended.value.code == (2 if err else 0)
        commands += 1
    assert commands >= 5
