"""Neighbours of the step: final test error, updates and range of the output weights over eta (beyond the paper).

The paper prints no step. Figures 1 and 2 here have eta = 1; this runs the steps around it on the same images, with
the first layer trained and with both, at 2k = 10 and 100 (and 1000 at ``paper``), with fewer seeds. The number of
updates goes with 1 / eta, so the smallest steps take longest.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from learnability import checks
from learnability.evidence.tables import by, pick, values
from learnability.plotting import Curve, Item, Line, Panel, Plot, over_seeds
from learnability.studies.separable import PAPER, runs
from learnability.studies.separable import claims as sure
from learnability.study import Experiment, Row, Scale, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from learnability.theory import Guarantee

_STEPS = (0.1, 0.3, 1.0, 3.0), (0.03, 0.1, 0.3, 1.0)
"""With the first layer trained, and with both."""
_LAYERS = {"first": ("-", "o", "first layer trained"), "both": ("--", "s", "both layers trained")}


def run(s: Setting, seed: int) -> list[Row]:
    """The end of one run."""
    return runs.run(s, seed, only_end=True)


def figure(table: pd.DataFrame) -> Plot:
    """(a) Final test error, (b) updates, (c) least and largest v_t / v_0 where both layers move, against the step."""
    error: list[Item] = []
    updates: list[Item] = []
    ratio: list[Item] = []
    for layers, (line, marker, name) in _LAYERS.items():
        for width in values(table, "width"):
            rows = pick(table, layers=layers, width=width)
            look: dict[str, Any] = {"color": runs.color(width, table["width"]), "marker": marker, "linestyle": line}
            error.append(over_seeds(rows, "eta", "test_error", limits=(0, 1), label=f"2k = {width}, {name}", **look))
            updates += _runs(rows, "updates", look)
            if layers == "both":
                ratio += _runs(rows, "ratio_min", look) + _runs(rows, "ratio_max", look)
    ratio.append(Line(y=0, color="black", linestyle="-"))
    axis: dict[str, Any] = {"xlabel": "step η", "xscale": "log"}
    panels = [
        Panel(error, "(a) final test error", ylabel="error (0-1)", ylim=(0, None), **axis),
        Panel(updates, "(b) non-zero updates", yscale="log", **axis),
        Panel(ratio, "(c) least and largest $v_t / v_0$", ylabel="(linear within ±1)", yscale="symlog", **axis),
    ]
    note = "(a) mean of {} runs and its 95 % confidence band; (b), (c) median, and each run as a dot"
    return runs.plot(table, panels, "neighbours of the step", note, legend_columns=2)


def _runs(rows: pd.DataFrame, column: str, look: dict[str, Any]) -> list[Curve]:
    """Every run as a dot, and a line through the medians: a few runs over decades make no symmetric interval."""
    median = rows.groupby("eta")[column].median()
    dots = {**look, "linestyle": "", "alpha": 0.35}
    return [Curve(median.index, median, **look), Curve(rows["eta"], rows[column], **dots)]


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Training loss 0 at every step; equal test errors at neighbouring steps, and at all; signs kept at the least
    step with both layers trained, and lost at the largest.
    """
    found = []
    room = sure.ROOM[str(table["data"].iloc[0])]
    where = "Section 5.1 (performance not affected by the learning rate)"
    for layers, width in itertools.product(_LAYERS, values(table, "width")):
        cell = pick(table, layers=layers, width=width)
        case = f"[{layers},2k={width}]"
        found.append(sure.zero_loss(f"steps/zero-loss{case}", "Figures 1 and 2, at other steps", cell))
        errors = by(cell, "test_error", "eta")
        for name, pairs in (("neighbours", itertools.pairwise(errors)), ("all", itertools.combinations(errors, 2))):
            what = f"final test errors by step, {name}"
            id = f"steps/same-test-error-{name}{case}"
            found.append(sure.same_mean(id, where, errors, room, what, pairs=pairs))
    both = pick(table, layers="both")
    least, largest = float(both["eta"].min()), float(both["eta"].max())
    for width in values(both, "width"):
        some, source = pick(both, width=width), "Section 9.1.2"
        id = f"steps/signs-kept[eta={least:g},2k={width}]"
        found.append(sure.signs_kept(id, source, pick(some, eta=least)))
        id = f"steps/signs-change[eta={largest:g},2k={width}]"
        found += sure.signs_change(id, source, pick(some, eta=largest))
    return found


def _cells(
    usual: str, usual_widths: tuple[int, ...], usual_first: tuple[float, ...], usual_both: tuple[float, ...]
) -> Callable[..., tuple[Setting, ...]]:
    """``first`` and ``both``: the steps with the first layer trained, and with both."""

    def cells(
        data: str = usual,
        widths: tuple[int, ...] = usual_widths,
        first: tuple[float, ...] = usual_first,
        both: tuple[float, ...] = usual_both,
        alpha: float = runs.ALPHA,
        epochs: int = 100_000,
        train: int = runs.SIZES[usual][0],
    ) -> tuple[Setting, ...]:
        common = runs.common(data, widths, alpha, epochs, train, usual)
        return tuple(
            runs.setting(**common, layers=layers, width=width, eta=eta)
            for layers, steps in (("first", first), ("both", both))
            for width in widths
            for eta in checks.several(layers, steps, checks.real, above=0.0)
        )

    return cells


EXPERIMENT = Experiment(
    title="Neighbours of the step (beyond the paper)",
    source=f"{PAPER}, Figures 1 and 2 at other steps",
    revision=2,
    scales={
        "smoke": Scale(_cells("digits", (4, 16), (0.3, 1.0, 3.0), (0.1, 0.3, 1.0)), seeds=2, seconds=3),
        "laptop": Scale(_cells(runs.images(), (10, 100), *_STEPS), seeds=5, seconds=52),
        "paper": Scale(_cells(runs.images(), (10, 100, 1000), *_STEPS), seeds=20, seconds=3000),
    },
    run=run,
    figure=figure,
    claims=claims,
    ready=runs.ready,
)
