"""The line and band over seeds."""

from __future__ import annotations

import itertools
import subprocess
import sys

import matplotlib as mpl
import matplotlib.text
import numpy as np
import pandas as pd
import pytest

from learnability import plotting


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
    np.testing.assert_allclose(drawn.high, [3.0 + half, 0.0], rtol=1e-12)
    np.testing.assert_allclose(drawn.low, [3.0 - half, 0.0], rtol=1e-12)
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
