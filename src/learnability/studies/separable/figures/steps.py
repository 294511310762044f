"""Neighbours of the step: final test error, updates and range of the output weights over eta (beyond the paper).

The paper prints no step. Figures 1 and 2 here have eta = 1; this runs the steps around it on the same images, with
the first layer trained and with both, at 2k = 10 and 100 (and 1000 at ``paper``), with fewer seeds. The number of
updates goes with 1 / eta, so the smallest steps take longest.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from learnability import plotting
from learnability.evidence.tables import by, pick
from learnability.studies.separable import PAPER
from learnability.studies.separable import claims as sure
from learnability.studies.separable.runs import TITLES, color, images, ready, setting
from learnability.studies.separable.runs import run as train
from learnability.study import Experiment, Row, Scale, Setting

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from learnability.theory import Guarantee

_LAYERS = {"first": ("-", "o", "first layer trained"), "both": ("--", "s", "both layers trained")}


def run(s: Setting, seed: int) -> list[Row]:
    """The end of one run."""
    return train(s, seed, only_end=True)


def figure(table: pd.DataFrame) -> Figure:
    """(a) Final test error, (b) updates, (c) least and largest v_t / v_0 where both layers move, against the step."""
    fig, (error, updates, ratio) = plotting.panels(1, 3, width=3.4, height=3.2)
    for layers, (line, marker, name) in _LAYERS.items():
        for width in sorted(table["width"].unique()):
            rows = pick(table, layers=layers, width=width)
            shade = color(width, table["width"])
            look: dict[str, Any] = {"color": shade, "marker": marker, "markersize": 4, "linestyle": line}
            plotting.band(error, rows, "eta", "test_error", limits=(0, 1), label=f"2k = {width}, {name}", **look)
            _runs(updates, rows, "updates", look)
            if layers == "both":
                for column in ("ratio_min", "ratio_max"):
                    _runs(ratio, rows, column, look)
    error.set(title="(a) final test error", ylabel="error (0-1)")
    error.set_ylim(bottom=0)
    updates.set(title="(b) non-zero updates", yscale="log")
    ratio.axhline(0, color="black", linewidth=0.8)
    ratio.set_yscale("symlog", linthresh=1)
    ratio.set(title="(c) least and largest $v_t / v_0$", ylabel="(linear within ±1)")
    for ax in (error, updates, ratio):
        ax.set(xscale="log", xlabel="step η")
    seeds = table["seed"].nunique()
    note = f"(a) mean of {seeds} runs and its 95 % confidence band; (b), (c) median, and each run as a dot"
    note = note if seeds > 1 else "one run"
    fig.suptitle(TITLES[str(table["data"].iloc[0])], fontsize=10)
    handles, labels = error.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2, title=note, title_fontsize=8)
    return fig


def _runs(ax: Axes, rows: pd.DataFrame, column: str, look: dict[str, Any]) -> None:
    """Every run as a dot, and a line through the medians: a few runs over decades make no symmetric interval."""
    median = rows.groupby("eta")[column].median()
    ax.plot(median.index.to_numpy(float), median.to_numpy(float), **look)
    ax.plot(rows["eta"].to_numpy(float), rows[column].to_numpy(float), **{**look, "linestyle": "none", "alpha": 0.35})


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Training loss 0 at every step; equal test errors at neighbouring steps, and at all; Theorem 2 at every step."""
    found = []
    room = sure.ROOM[str(table["data"].iloc[0])]
    for layers, width in itertools.product(_LAYERS, sorted(table["width"].unique())):
        runs = pick(table, layers=layers, width=width)
        case = f"[{layers},2k={width}]"
        found.append(sure.zero_loss(f"steps/zero-loss{case}", "Figures 1 and 2, at other steps", runs))
        errors = by(runs, "test_error", "eta")
        for name, pairs in (("neighbours", itertools.pairwise(errors)), ("all", itertools.combinations(errors, 2))):
            found.append(
                sure.same_mean(
                    f"steps/same-test-error-{name}{case}",
                    "Section 5.1 (performance not affected by the learning rate)",
                    errors, room, f"final test errors by step, {name}", pairs=pairs,
                )
            )  # fmt: skip
    for eta in sorted(table["eta"].unique()):
        found += sure.update_bounds(f"steps,eta={eta:g}", pick(table, eta=eta, layers="first"))
        found += sure.update_bounds(f"steps,eta={eta:g}", pick(table, eta=eta, layers="both"))
    return found


def _cells(
    data: str, widths: tuple[int, ...], first: tuple[float, ...], both: tuple[float, ...]
) -> tuple[Setting, ...]:
    return tuple(
        setting(data=data, layers=layers, width=width, eta=eta, epochs=100_000)
        for layers, steps in (("first", first), ("both", both))
        for width in widths
        for eta in steps
    )


EXPERIMENT = Experiment(
    title="Neighbours of the step (beyond the paper)",
    source=f"{PAPER}, Figures 1 and 2 at other steps",
    revision=1,
    scales={
        "smoke": Scale(_cells("digits", (4, 16), (0.3, 1.0, 3.0), (0.1, 0.3, 1.0)), seeds=2, seconds=3),
        "laptop": Scale(
            _cells(images(), (10, 100), (0.1, 0.3, 1.0, 3.0), (0.03, 0.1, 0.3, 1.0)), seeds=5, seconds=205
        ),
        "paper": Scale(
            _cells(images(), (10, 100, 1000), (0.1, 0.3, 1.0, 3.0), (0.03, 0.1, 0.3, 1.0)), seeds=20, seconds=3000
        ),
    },
    run=run,
    figure=figure,
    claims=claims,
    ready=ready,
)
