"""Figures, verdict tables and the page over everything, from what is on disk."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys

import matplotlib as mpl
import pytest
from matplotlib.artist import Artist
from rich.console import Console

import learnability
import toys
from learnability import api, report
from learnability.sections import read_sections
from learnability.theory import Guarantee, Hypothesis, Kind
from learnability.theory.guarantee import counts

LONG = "symmetry/theorem1[half_integer,exactly_in,n=30,concentrated]"
GUARANTEES = [
    Guarantee(LONG, "Nobody", Kind.UPPER_BOUND, 0.123456, 0.1, note="over 1000 | cases"),
    Guarantee("symmetry/lemma2", "Nobody", Kind.LOWER_BOUND, 2.0, 1.0, (Hypothesis("n large", False, "n = 2"),)),
    Guarantee("symmetry/lemma3", "Nobody", Kind.EXACT, 1.0, 2e-9),
    Guarantee("symmetry/lemma4", "Nobody", Kind.UPPER_BOUND, None),
    Guarantee("symmetry/lemma5", "Nobody", Kind.NUMBER, None, 7.0, note="no input could refute it"),
]


def rendered(width):
    stream = io.StringIO()
    Console(file=stream, width=width).print(report.verdict_table(GUARANTEES, width))
    return stream.getvalue()


def test_verdict_table_in_a_pipe_has_one_line_a_guarantee_and_no_colour():
    text = rendered(160)
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[0].split() == ["id", "verdict", "measured", "bound", "slack", "note"]
    assert lines[2].split()[:6] == [LONG, "holds", "0.1", "<=", "0.1235", "0.02346"]
    assert "fails: n large" in lines[3]
    assert "outside_hypotheses" in lines[3]
    assert lines[4].split()[:6] == ["symmetry/lemma3", "violated", "2e-09", "=", "1", "-1"]
    assert lines[5].split()[:6] == ["symmetry/lemma4", "not_measured", "-", "<=", "-", "-"]
    assert lines[6].split()[:5] == ["symmetry/lemma5", "number", "7", "-", "-"]


@pytest.mark.parametrize("width", [40, 80, 119])
def test_verdicts_lose_nothing_where_the_terminal_is_narrow(width):
    text = rendered(width)
    assert max(map(len, text.splitlines())) <= width
    assert LONG in "".join(line.rstrip() for line in text.splitlines())  # wrapped if it must be, but whole
    words = " ".join(text.split())
    for guarantee, numbers in zip(
        GUARANTEES,
        (
            "measured 0.1, bound <= 0.1235, slack 0.02346 over 1000 | cases",
            "fails: n large",
            "bound = 1",
            "slack -",
            "measured 7",
        ),
        strict=True,
    ):
        assert numbers in words
        assert str(guarantee.verdict) in words
    if width > len(LONG):
        assert text.startswith(f"{LONG}\n  holds")


def test_verdicts_are_a_table_at_120_columns():
    text = rendered(120)
    assert max(map(len, text.splitlines())) <= 120
    assert text.splitlines()[0].split() == ["id", "verdict", "measured", "bound", "slack", "note"]
    assert "0.02346" in text


def test_counts():
    assert (
        counts(g.verdict for g in GUARANTEES)
        == "1 hold, 1 violated, 1 outside hypotheses, 1 not measured, 1 no verdict"
    )
    assert counts([]) == "no claims"


def test_markdown_escapes_what_would_break_the_table():
    lines = report.verdict_markdown(g.to_json() for g in GUARANTEES).splitlines()
    assert len(lines) == 2 + len(GUARANTEES)
    assert r"over 1000 \| cases" in lines[2]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {7}


def test_figures_are_png_and_pdf_and_equal_for_equal_tables(tmp_path, toy_laboratory):
    before = dict(mpl.rcParams)
    figures = [learnability.run("toy/walk", scale="smoke", out=tmp_path / name).files for name in ("a", "b")]
    assert [path.name for path in figures[0]] == ["figure.png", "figure.pdf"]
    assert figures[0][0].read_bytes().startswith(b"\x89PNG")
    assert figures[0][1].read_bytes().startswith(b"%PDF")
    assert [path.read_bytes() for path in figures[0]] == [path.read_bytes() for path in figures[1]]
    assert dict(mpl.rcParams) == before


@pytest.fixture
def everything(tmp_path, toy_laboratory):
    """An output folder with two experiments, one of them violated and one partial, and verified statements."""
    out = tmp_path / "out"
    with pytest.warns(UserWarning, match="this cell fails"):
        learnability.run_many(["toy/walk", "toy/false", "toy/failing"], scale="smoke", out=out)
    learnability.verify(["toy/lemma*"], scale="smoke", out=out)
    return out


def test_report_is_one_page_from_what_is_on_disk(everything, monkeypatch):
    monkeypatch.setattr(toys, "walk", None)  # nothing is run again
    page, markdown = report.write_report(everything, *read_sections(everything))
    html, text = page.read_text(), markdown.read_text()
    for name in ("toy/walk", "toy/false", "toy/failing", "toy/verify"):
        assert f"{name} (smoke)" in html
        assert f"## {name} (smoke)" in text
    png = (everything / "toy/walk/smoke/figure.png").read_bytes()
    assert base64.b64encode(png).decode() in html
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", html), "the page must need no other file"
    assert "![toy/walk](toy/walk/smoke/figure.png)" in text
    assert "a | b" in html
    assert r"a \| b" in text
    for page_text in (html, text):
        assert "toy/failing [n=4, fails=True] seed 0: RuntimeError: this cell fails" in page_text
        assert "learnability run toy/walk --scale smoke --seeds 2" in page_text
        assert "outside_hypotheses" in page_text
    assert "5 hold, 1 violated, 1 outside hypotheses, 1 not measured" in html


def test_report_escapes_html(everything):
    manifest = json.loads((everything / "toy/walk/smoke/manifest.json").read_text())
    title = "<script>alert(1)</script> n < 3"
    report.write_result(everything / "toy/walk/smoke", {**manifest, "title": title}, [])
    page, _ = report.write_report(everything, *read_sections(everything))
    assert "<script>" not in page.read_text()
    assert "n &lt; 3" in page.read_text()


def test_sections_say_whether_something_failed(everything):
    sections = {section.manifest["id"]: section for section in read_sections(everything)[0]}
    assert {name: section.failed for name, section in sections.items()} == {
        "toy/failing": True,
        "toy/false": True,
        "toy/verify": False,
        "toy/walk": False,
    }


def test_statements_verified_by_older_versions_are_still_read(everything):
    old = everything / "verify"
    old.mkdir()
    manifest = json.loads((everything / "toy/verify/smoke/manifest.json").read_text())
    del manifest["checks"], manifest["generation"], manifest["sha256"]
    (old / "manifest.json").write_text(json.dumps({**manifest, "id": "verify", "scale": "laptop"}))
    (old / "verdicts.json").write_bytes((everything / "toy/verify/smoke/verdicts.json").read_bytes())
    sections, _ = read_sections(everything)
    assert {"verify", "toy/verify"} <= {section.manifest["id"] for section in sections}
    page, _ = report.write_report(everything, sections)
    assert "verify (laptop)" in page.read_text()


def test_what_results_look_like_in_python_fits_a_screen(everything):
    result = learnability.run("toy/walk", scale="smoke", out=everything)
    assert repr(result) == (
        f"Result('toy/walk', 'smoke', seeds=2: 2 hold; no record; table of 16 rows; {everything / 'toy/walk/smoke'})"
    )
    shown = [repr(guarantee) for guarantee in GUARANTEES]
    assert shown[0] == f"Guarantee({LONG!r}: holds, measured 0.1, bound <= 0.1235; over 1000 | cases)"
    assert shown[1].endswith("outside_hypotheses, measured 1, bound >= 2; fails: n large)")
    assert shown[3].endswith("not_measured, measured -, bound <= -)")
    long = Guarantee(LONG, "Nobody", Kind.UPPER_BOUND, 1.0, 0.0, note="a note " * 100)
    assert len(repr(long)) < 300
    assert repr(api.verify_all(["toy/lemma1"])) == "Verification(1 statements: 1 hold; 0 failed)"


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(ValueError, match=f"out must be a folder with results .* none in '{tmp_path}'"):
        read_sections(tmp_path)


class Stubborn(Artist):
    """An artist that cannot be drawn."""

    def draw(self, renderer):
        raise RuntimeError("no ink\nleft")


def unsavable(table):
    figure = toys.draw(table)
    figure.axes[0].add_artist(Stubborn())
    return figure


def refused(table):
    raise MemoryError("no room")


@pytest.mark.parametrize("draw", [unsavable, refused], ids=["saved", "drawn"])
def test_a_figure_that_fails_costs_no_number_beside_it(tmp_path, toy_laboratory, monkeypatch, draw):
    learnability.run("toy/walk", scale="smoke", out=tmp_path)
    place = tmp_path / "toy/walk/smoke"
    kept = {name: (place / name).read_bytes() for name in ("table.parquet", "verdicts.json", "verdicts.md")}
    monkeypatch.setitem(toys.TOYS, "toy/walk", toys.experiment("toy/walk", *toys.SMALL, figure=draw))
    with pytest.warns(UserWarning, match="toy/walk: figure: "):
        again = learnability.run("toy/walk", scale="smoke", out=tmp_path)
    assert again.tasks["run"] == 0
    assert again.files == []
    assert {name: (place / name).read_bytes() for name in kept} == kept
    assert {path.name for path in place.iterdir()} == {*kept, "manifest.json"}  # no picture of before
    (section,), unreadable = read_sections(tmp_path)
    assert (unreadable, section.picture) == ([], b"")
    assert section.manifest["failures"] == again.failures
    assert len(again.failures) == 1


PYPLOT = """
import matplotlib.pyplot as plt
from learnability.study import Experiment, Scale

def run(setting, seed):
    return [{"value": float(seed), "name": "a$b$"}]

def figure(table):
    drawn, ax = plt.subplots()
    ax.plot(table["seed"], table["value"], label="$x_1$ and $5")
    ax.set_title("$\\\\frac$")
    ax.legend()
    return drawn

EXPERIMENT = Experiment(
    title="t", source="s", scales={"laptop": Scale(({"n": 1},), seeds=3, seconds=1)}, run=run, figure=figure,
    claims=lambda table: [],
)
"""


def test_equal_results_are_equal_bytes_whatever_surrounds_them(tmp_path):
    (tmp_path / "own.py").write_text(PYPLOT)
    (tmp_path / "settings").write_text("text.usetex: True\nfont.size: 30\nbackend: nonsense\nno colon\n")
    plain = {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "UTC"}
    other = {
        "PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo", "MPLBACKEND": "module://no.such.backend",
        "MATPLOTLIBRC": str(tmp_path / "settings"), "MPLCONFIGDIR": str(tmp_path / "settings/none"),
    }  # fmt: skip
    found = []
    for name, environ in (("a", plain), ("b", other)):
        command = [sys.executable, "-m", "learnability", "run", "own.py", "--out", name]
        usual = {k: v for k, v in os.environ.items() if not k.startswith(("MPL", "MATPLOTLIB"))}
        ended = subprocess.run(command, env={**usual, **environ}, capture_output=True, text=True, cwd=tmp_path)
        said = [line for line in ended.stderr.splitlines() if not line.endswith("/3 tasks")]  # on a busy machine
        assert (ended.returncode, said) == (0, [])
        place = tmp_path / name / "own/figure/laptop"
        found.append({p.name: p.read_bytes() for p in place.iterdir() if p.name != "manifest.json"})
    assert set(found[0]) == {"figure.png", "figure.pdf", "table.parquet", "verdicts.json", "verdicts.md"}
    assert found[0] == found[1]
