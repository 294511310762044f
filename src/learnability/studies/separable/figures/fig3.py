"""Figure 3: both layers trained, with a step for each width at which no output weight changes its sign.

The paper chooses "an appropriate constant learning rate" for each width and does not print it. Here eta = 1 /
sqrt(2k), the size of the output weights at the start: 0.32, 0.1 and 0.032 for 2k = 10, 100 and 1000. This rule was
fixed after a few pilot runs on another draw of images, with seeds of their own: with such steps no output weight fell
below 0.8 of its start, and the largest grew by a factor of 15 to 35 at each width; with eta = 1 every pilot run had
weights of the wrong sign. Panel (c) has the least and the largest v_t / v_0 over units and times so far, c and C of
Section 9.1.2.

The runs of Figure 2 (eta = 1) are made again beside these, since the paper says that the choice of the step does not
change the performance.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from learnability import plotting
from learnability.evidence.tables import by, last, pick
from learnability.studies.separable import PAPER, claim
from learnability.studies.separable import claims as sure
from learnability.studies.separable.runs import ETA, SMOKE_WIDTHS, WIDTHS, curve, finish, images, ready, run, setting
from learnability.study import Experiment, Scale

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from learnability.theory import Guarantee


def step(width: int) -> float:
    """The step for 2k = ``width``."""
    return 1 / math.sqrt(width)


def figure(table: pd.DataFrame) -> Figure:
    """(a) Training and (b) test error, with Figure 2's runs dashed; (c) range of the output weights so far."""
    from matplotlib.lines import Line2D

    fig, (train, test, ratio) = plotting.panels(1, 3, width=3.2, height=3.1)
    chosen, usual = pick(table, rule="per width"), pick(table, rule="one for all")
    for ax, column in ((train, "train_error"), (test, "test_error")):
        curve(ax, usual, column, limits=(0, 1), linestyle="--", linewidth=0.9)
        curve(ax, chosen, column, limits=(0, 1))
        ax.set(xscale="log", xlabel="epoch", ylabel="error")
        ax.set_ylim(bottom=0)
    train.set_title("(a) training error (0-1)")
    test.set_title("(b) test error (0-1)")
    curve(ratio, chosen, "ratio_max", limits=(1, math.inf))  # C >= 1 >= c by definition
    curve(ratio, chosen, "ratio_min", limits=(-math.inf, 1), linestyle=":", linewidth=1.8)
    if chosen["ratio_min"].min() > 0:
        ratio.set_yscale("log")
    else:
        ratio.axhline(0, color="black", linewidth=0.8)
        ratio.set_yscale("symlog", linthresh=1)
    ratio.set(xscale="log", xlabel="epoch", ylabel="$v_t / v_0$")
    ratio.set_title("(c) least (c, dotted) and largest (C) $v_t / v_0$")
    handles = train.get_legend_handles_labels()[0][len(usual["width"].unique()) :]
    for handle, width in zip(handles, sorted(chosen["width"].unique()), strict=True):
        handle.set_label(f"2k = {width}, η = {step(int(width)):.2g}")
    label = f"η = {usual['eta'].iloc[0]:g} for all (Figure 2)"
    handles.append(Line2D([], [], linestyle="--", color="#666666", linewidth=0.9, label=label))
    return finish(fig, table, handles, "both layers trained, a step for each width")


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Signs kept, c and C similar between widths; otherwise as in Figure 2; Equation 13 with measured c and C."""
    where, ends = "Figure 3", last(table, "rule", "width")
    room = sure.ROOM[str(table["data"].iloc[0])]
    chosen = pick(ends, rule="per width")
    found = []
    for width in sorted(table["width"].unique()):
        runs = pick(chosen, width=width)
        found.append(sure.zero_loss(f"fig3/zero-loss[2k={width}]", f"{where} (a)", runs))
        found.append(sure.generalises(f"fig3/generalises[2k={width}]", f"{where} (b)", runs))
        pair = {
            rule: pick(ends, rule=rule, width=width).set_index("seed")["test_error"]
            for rule in ("per width", "one for all")
        }
        found.append(
            sure.same_mean(
                f"fig3/as-figure-2[2k={width}]", "Section 5.1 (performance not affected by the learning rate)",
                pair, room, "final test errors at the chosen step and at Figure 2's",
            )
        )  # fmt: skip
        found.append(
            claim(
                f"fig3/signs-kept[2k={width}]", f"{where} (c)", 0.0, float(runs["ratio_min"].min()), "at_least",
                f"least v_t / v_0 over units, times and {len(runs)} runs, which must not come to 0; mean c "
                f"{runs['ratio_min'].mean():.4f}, mean C {runs['ratio_max'].mean():.4f}",
            )
        )  # fmt: skip
    found.append(
        sure.same_mean(
            "fig3/same-test-error", f"{where} (b)", by(chosen, "test_error", "width"), room,
            "final test errors by width",
        )
    )  # fmt: skip
    for name, column in (("c", "ratio_min"), ("C", "ratio_max")):
        found.append(
            sure.similar(
                f"fig3/similar[{name}]", f"{where} (c)", by(chosen, column, "width"),
                f"{name} by width, largest ratio of geometric means",
            )
        )  # fmt: skip
    return found + sure.update_bounds("fig3", chosen)


def _cells(data: str, widths: tuple[int, ...]) -> tuple[dict[str, bool | int | float | str], ...]:
    return tuple(
        {**setting(data=data, width=width, layers="both", eta=eta), "rule": rule}
        for rule, etas in (("per width", map(step, widths)), ("one for all", [ETA] * len(widths)))
        for width, eta in zip(widths, etas, strict=True)
    )


EXPERIMENT = Experiment(
    title="Output weights that keep their signs: both layers, a step for each width",
    source=f"{PAPER}, Figure 3",
    revision=1,
    scales={
        "smoke": Scale(_cells("digits", SMOKE_WIDTHS), seeds=3, seconds=2),
        "laptop": Scale(_cells(images(), WIDTHS), seeds=10, seconds=145),
        "paper": Scale(_cells(images(), WIDTHS), seeds=40, seconds=600),
    },
    run=run,
    figure=figure,
    claims=claims,
    ready=ready,
)
