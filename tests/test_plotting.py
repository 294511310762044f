"""The line and band over seeds; texts that are not ours, and surroundings that are not."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
import warnings

import matplotlib as mpl
import matplotlib.text
import numpy as np
import pandas as pd
import pytest

from learnability import plotting, report, shown
from learnability.plotting import words
from names import NASTY


def table(curves):
    return pd.DataFrame(
        [{"seed": s, "x": x, "y": y} for s, curve in enumerate(curves) for x, y in curve.items()]
    )  # fmt: skip


@pytest.fixture
def ax():
    _, (axes,) = plotting.panels()
    return axes


def test_mean_and_student_interval(ax):
    drawn = plotting.band(ax, table([{0: 1.0, 1: 0.0}, {0: 2.0, 1: 0.0}, {0: 6.0, 1: 0.0}]), "x", "y", label="three")
    assert list(drawn.y) == [3.0, 0.0]
    # sd = sqrt(7), and Student's quantile at 97.5 % with two degrees of freedom is 4.302653.
    half = 4.302652729749464 * np.sqrt(7.0) / np.sqrt(3.0)
    # SciPy's quantile has eleven digits before 1.17.
    np.testing.assert_allclose(drawn.high, [3.0 + half, 0.0], rtol=1e-10)
    np.testing.assert_allclose(drawn.low, [3.0 - half, 0.0], rtol=1e-10)
    (line,) = ax.get_lines()
    assert line.get_label() == "three"
    assert line.get_ydata().tolist() == [3.0, 0.0]
    assert len(ax.collections) == 1


def test_limits_clip_the_band_and_not_the_mean(ax):
    drawn = plotting.band(ax, table([{0: 0.0}, {0: 1.0}]), "x", "y", limits=(0, 1))
    assert (list(drawn.y), list(drawn.low), list(drawn.high)) == ([0.5], [0.0], [1.0])


def test_one_seed_is_a_line_without_a_band(ax):
    drawn = plotting.band(ax, table([{0: 1.0, 5: 2.0}]), "x", "y")
    assert list(drawn.y) == [1.0, 2.0]
    assert np.isnan([drawn.low, drawn.high]).all()
    assert not ax.collections


def test_a_seed_that_has_ended_keeps_its_last_value(ax):
    curves = table([{0: 1.0, 1: 0.0}, {0: 1.0, 2: 0.5, 3: 1.0}])
    held = plotting.band(ax, curves, "x", "y")
    assert list(held.y) == [1.0, 0.5, 0.25, 0.5]
    present = plotting.band(ax, curves, "x", "y", hold=False)
    assert list(present.y) == [1.0, 0.0, 0.5, 1.0]
    assert np.isnan(present.low).tolist() == [False, True, True, True]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (table([{0: 1.0}]).drop(columns="seed"), {}, "lacks"),
        (table([{0: 1.0}]).iloc[:0], {}, "at least one row"),
        (pd.concat([table([{0: 1.0}])] * 2), {}, "mixes several curves"),
        (table([{0: 1.0}]), {"level": 1.0}, "level must be < 1"),
        (table([{0: 1.0}]), {"level": 0.0}, "level must be > 0"),
    ],
)
def test_bad_tables_are_named(ax, rows, options, message):
    with pytest.raises(ValueError, match=message):
        plotting.band(ax, rows, "x", "y", **options)


def test_panels_are_in_reading_order_and_styled():
    figure, axes = plotting.panels(2, 3, width=2.0, height=1.5, sharey=True)
    assert figure.get_size_inches().tolist() == [6.0, 3.0]
    assert len(axes) == 6
    assert not axes[0].spines["top"].get_visible()
    with pytest.raises(ValueError, match="rows must be >= 1, got 0"):
        plotting.panels(0, 1)


def test_nobody_s_settings_are_touched():
    before = dict(mpl.rcParams)
    with plotting.style():
        assert mpl.rcParams["axes.grid"]
        plotting.panels()
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_loaded():
    code = (
        "import io, sys\n"
        "from learnability import plotting\n"
        "figure, _ = plotting.panels()\n"
        "figure.savefig(io.BytesIO(), format='png')\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_names_at_the_ends_of_curves_are_on_no_other():
    ends = (1.0, 1.001, 1.002, 1.003, 5.0)
    curves = [plotting.Curve([0, 1], [0, end], label=f"curve {end}", direct=True) for end in ends]
    figure = plotting.draw(plotting.Plot([plotting.Panel(curves)]))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for below, above in itertools.pairwise(boxes):
        assert below.y1 <= above.y0 + 0.5  # pixels
    transform = figure.axes[0].transData
    assert boxes[-1].y0 + boxes[-1].height / 2 == pytest.approx(transform.transform((1, 5.0))[1], abs=2)
    middle = transform.transform((1, np.mean(ends[:4])))[1]
    assert (boxes[0].y0 + boxes[3].y1) / 2 == pytest.approx(middle, abs=2)


@pytest.mark.parametrize("legend", [False, True])
def test_long_notes_and_titles_stay_on_the_picture(legend):
    words = "hyper-parameters chosen on a validation sample " * 6
    curve = plotting.Curve([1, 2], [1, 2], label="curve" if legend else "")
    figure = plotting.draw(
        plotting.Plot((plotting.Panel((curve,)),), title=words, note=f"{words}\nand $x^2$ on a line of its own")
    )
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(mpl.text.Text) if "validation" in text.get_text()]
    assert len(texts) == 2
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
    assert any(text.get_text().endswith("\nand $x^2$ on a line of its own") for text in texts)


# Texts -------------------------------------------------------------------------------------------------------------

AWKWARD = (
    *NASTY, "$$", "$$x$$", "$x", "$\\frac$", "$" + "{" * 500 + "$", "\\", "_hidden", "__", "a\nb$c$", "😀 $1", "\t",
    "\x00", "\ud800", "tail\ufeff", "$5 to $10", "50 % <& 'of' it>",
)  # fmt: skip


def everywhere(names):
    """A plot with each of the names wherever a text may stand."""
    curves = [plotting.Curve([0, 1], [k, k], label=name) for k, name in enumerate(names)]
    direct = [plotting.Curve([0, 1], [k, k], label=name, direct=True) for k, name in enumerate(names)]
    lines = [plotting.Line(y=k, label=name) for k, name in enumerate(names)]
    lines += [plotting.Line(y=k, label=name, direct=True) for k, name in enumerate(names)]
    words = [plotting.Words(0.5, k, name) for k, name in enumerate(names)]
    heat = plotting.HeatMap(np.eye(len(names)), names, names, names[0])
    several = "\n".join(name[:100] for name in names)
    panels = [
        plotting.Panel([*curves, *lines], xticks=dict(enumerate(names)), yticks=dict(enumerate(names))),
        plotting.Panel([*direct, *words], legend="upper left"),
        plotting.Panel(curves, several, several, several, legend="upper left"),
        plotting.Panel([heat]),
    ]
    return plotting.Plot(panels, size=(9, 7), title=several, note=several)


def as_drawn(text):
    """The lines of a text, and whether each is set as mathematics."""
    return [(line.replace(r"\$", "$"), mpl.cbook.is_math_text(line)) for line in text.get_text().split("\n")]


def test_what_comes_from_a_table_is_never_mathematics_and_is_everywhere_as_it_is():
    frame = pd.DataFrame({"name": [name for name in AWKWARD if name != "\ud800"]})
    with warnings.catch_warnings(), plotting.style():
        warnings.filterwarnings("ignore", "constrained_layout not applied")
        figure = plotting.drawn(everywhere(AWKWARD), plotting.names(frame))
        figure.savefig(io.BytesIO(), format="pdf")
    found = [line for text in figure.findobj(mpl.text.Text) for line in as_drawn(text)]
    assert [line for line, math in found if math and "mathdefault" not in line] == []  # numbers at ticks are
    whole = " ".join(line for line, _ in found)
    for name in AWKWARD:
        for line in name.split("\n") if len(name) < 200 else []:
            assert shown.lines(line).replace("\\xa0", "\xa0") in whole


def test_what_an_author_writes_is_mathematics_where_it_can_be():
    cases = {
        "weight $w_1$": "weight $w_1$",
        "n$^{-1}$, D$_A^{(1)}$": "n$^{-1}$, D$_A^{(1)}$",
        "from $5 to $10": r"from \$5 to \$10",
        "$5, $x$ and $10": r"\$5, $x$ and \$10",
        "$x_1$ of $\\frac$": r"$x_1$ of \$\frac\$",
        r"\$5 and $x$": r"\$5 and $x$",
        "$ x $": r"\$ x \$",
        "$$": r"\$\$",
        "$x\ny$": "\\$x\ny\\$",
        7: "7",
    }
    with plotting.style():
        assert {text: words.readable(text) for text in cases} == cases
        assert words.readable("a$b$ and $b$", ["a$b$"]) == r"a\$b\$ and $b$"
        assert words.readable("a$b$ and xa$b$", ["a$b$", "xa$b$", "$"]) == r"a\$b\$ and xa\$b\$"
        assert words.readable("$", ["$"]) == r"\$"
        assert words.readable(r"$$x$$ and \$x", ["$$", "$x", "$$x$$"]) == r"\$\$x\$\$ and \$x"
        assert words.readable("x" * 2000).endswith("x... (2,000 characters)")
    assert plotting.literal("a$b$") == r"a\$b\$"
    assert words.wrapped("one $E [y - z]$", 8) == "one\n$E [y - z]$"


def test_the_names_in_a_table_that_could_be_mathematics():
    frame = pd.DataFrame({"a$b": [1, 2], "name": ["x", "$y$"], "other": ["x$", None], "flag": [True, False]})
    assert plotting.names(frame) == ["a$b", "$y$", "x$"]
    assert plotting.names(frame.convert_dtypes()) == ["a$b", "$y$", "x$"]
    assert plotting.names(pd.DataFrame()) == []


def test_a_label_with_an_underscore_in_front_is_in_the_legend():
    curves = [plotting.Curve([0, 1], [0, 1], label=name) for name in ("_a", "b", "_a")]
    figure = plotting.draw(plotting.Plot([plotting.Panel(curves), plotting.Panel(curves[:2], legend="upper left")]))
    legends = [figure.legends[0], figure.axes[1].get_legend()]
    assert [[text.get_text() for text in legend.get_texts()] for legend in legends] == [["_a", "b"], ["_a", "b"]]


def test_a_figure_of_an_author_s_own_with_a_text_that_is_no_formula_is_saved():
    figure, (ax,) = plotting.panels()
    ax.plot([0, 1], [0, 1], label="$\\frac$")
    ax.set_title("a $x_1$ and $\\nonsense{$")
    ax.set_xticks([0, 1], ["$$", "$\\frac$"])
    ax.yaxis.set_major_formatter(lambda value, place: f"${value:.1f} $\\oops$ $")
    ax.legend()
    found = report.pictures(figure)
    assert found["figure.png"].startswith(b"\x89PNG")
    assert found["figure.pdf"].startswith(b"%PDF")
    assert mpl.rcParams["text.parse_math"]


# Surroundings ------------------------------------------------------------------------------------------------------

DRAWN = """
import os, sys, time
from pathlib import Path
import pandas
from learnability import plotting, report

def own():
    import matplotlib.pyplot as plt
    figure, ax = plt.subplots()
    ax.plot([1, 2], [1, 2], label="curve $x_1$")
    ax.legend()
    return figure

curve = plotting.Curve([1, 2], [1, 2], label="curve $x_1$")
plot = plotting.Plot([plotting.Panel([curve], title="title", xlabel="x")], note="note")
out = Path(sys.argv[1])
for place in sorted(out.iterdir()):
    if os.fork() == 0:
        os.dup2(os.open(place / "said", os.O_WRONLY | os.O_CREAT), 2)
        os.environ.update(line.split("=", 1) for line in (place / "environ").read_text().splitlines())
        os.chdir(place)
        time.tzset()
        with plotting.style():
            figures = [plotting.drawn(plot), own()]
        for number, figure in enumerate(figures):
            for name, content in report.pictures(figure).items():
                (place / f"{number}.{name}").write_bytes(content)
        os._exit(0)
    os.wait()
"""

SURROUNDINGS = {
    "none": ("", b""),
    "look": (
        "MPLBACKEND=module://matplotlib_inline.backend_inline\nTZ=Asia/Tokyo",
        b"text.usetex: True\nfont.family: serif\nfont.size: 20\nsavefig.bbox: tight\n",
    ),
    "broken": ("MPLBACKEND=nonsense", b"text.usetex: maybe\nbackend: nonsense\nno colon\nunknown.name: 1\n"),
    "binary": ("MPLCONFIGDIR=/dev/null/none\nHOME=/dev/null/none\nLC_ALL=tr_TR.UTF-8", b"\xff\xfe\x00binary"),
}
"""Environment, and a matplotlibrc in the working directory."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_surroundings_change_no_byte_of_a_figure_and_say_nothing(tmp_path):
    for name, (environ, settings) in SURROUNDINGS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "environ").write_text(environ)
        (tmp_path / name / "matplotlibrc").write_bytes(settings)
    usual = {k: v for k, v in os.environ.items() if not k.startswith("MPL")}
    ended = subprocess.run([sys.executable, "-c", DRAWN, str(tmp_path)], env=usual, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert {name: (tmp_path / name / "said").read_text() for name in SURROUNDINGS} == dict.fromkeys(SURROUNDINGS, "")
    for drawn in ("0.figure.png", "0.figure.pdf", "1.figure.png", "1.figure.pdf"):
        assert len({(tmp_path / name / drawn).read_bytes() for name in SURROUNDINGS}) == 1


def test_a_figure_that_was_saved_still_lays_itself_out():
    figure = plotting.draw(plotting.Plot([plotting.Panel([], xlabel="x", ylabel="y")]))
    layout = figure.get_layout_engine()
    assert layout is not None
    first = report.pictures(figure)
    assert figure.get_layout_engine() is layout
    assert report.pictures(figure) == first


def test_settings_made_in_the_session_change_no_byte_of_a_figure():
    plot = plotting.Plot([plotting.Panel([plotting.Curve([0, 1], [0, 1], label="curve")], title="title")])
    usual = report.pictures(plotting.draw(plot))
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "figure.dpi": 7, "axes.titleweight": "bold"}):
        before = dict(mpl.rcParams)
        assert report.pictures(plotting.draw(plot)) == usual
        assert dict(mpl.rcParams) == before
