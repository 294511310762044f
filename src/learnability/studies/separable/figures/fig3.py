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

from learnability import checks
from learnability.evidence.tables import by, last, pick, values
from learnability.plotting import Line, Panel, Plot
from learnability.studies.separable import PAPER, runs
from learnability.studies.separable import claims as sure
from learnability.study import Experiment, Scale, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from learnability.theory import Guarantee


def figure(table: pd.DataFrame) -> Plot:
    """(a) Training and (b) test error, with Figure 2's runs dashed; (c) range of the output weights so far."""
    chosen, usual = pick(table, rule="per width"), pick(table, rule="one for all")
    kept = chosen["ratio_min"].min() > 0
    ratios = Panel(
        [
            *runs.curves(chosen, "ratio_max", limits=(1, math.inf)),  # C >= 1 >= c by definition
            *runs.curves(chosen, "ratio_min", limits=(-math.inf, 1), linestyle=":", linewidth=1.8),
            *([] if kept else [Line(y=0, color="black", linestyle="-")]),
        ],
        "(c) least (c, dotted) and largest (C) $v_t / v_0$", "epoch", "$v_t / v_0$",
        xscale="log", yscale="log" if kept else "symlog",
    )  # fmt: skip
    name = f"η = {usual['eta'].iloc[0]:g} for all (Figure 2)"
    steps = chosen.groupby("width")["eta"].first()
    shown = runs.errors(chosen, usual, name, lambda width: f"2k = {width}, η = {steps[width]:.2g}")
    return runs.plot(table, [*shown, ratios], "both layers trained, a step for each width")


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Signs kept, c and C similar between widths; otherwise as in Figure 2."""
    where, ends = "Figure 3", last(table, "rule", "width")
    chosen = pick(ends, rule="per width")
    found = [
        *sure.learns_alike("fig3", f"{where} (a)", f"{where} (b)", chosen),
        *sure.as_before(
            "fig3/as-figure-2", "Section 5.1 (performance not affected by the learning rate)", ends, "rule",
            "at the chosen step and at Figure 2's",
        ),
    ]  # fmt: skip
    for width in values(chosen, "width"):
        runs_of = pick(chosen, width=width)
        found.append(sure.signs_kept(f"fig3/signs-kept[2k={width}]", f"{where} (c)", runs_of))
    for name, column in (("c", "ratio_min"), ("C", "ratio_max")):
        groups, what = by(chosen, column, "width"), f"{name} by width (ratios are of geometric means)"
        id = f"fig3/similar[{name}]"
        found.append(sure.same_mean(id, f"{where} (c)", groups, sure.SIMILAR, what, ratio=True))
    return found


def _cells(usual: str, usual_widths: tuple[int, ...]) -> Callable[..., tuple[Setting, ...]]:
    """Settings with the step ``eta_each`` / sqrt(2k) for each width, and with ``eta`` for all."""

    def cells(
        data: str = usual,
        widths: tuple[int, ...] = usual_widths,
        eta_each: float = 1.0,
        eta: float = runs.ETA,
        alpha: float = runs.ALPHA,
        epochs: int = 10_000,
        train: int = runs.SIZES[usual][0],
    ) -> tuple[Setting, ...]:
        common = runs.common(data, widths, alpha, epochs, train, usual)
        checks.real("eta", eta, above=0.0)
        checks.real("eta_each", eta_each, above=0.0)
        each = [eta_each / math.sqrt(width) for width in widths]
        return tuple(
            {**runs.setting(**common, width=width, layers="both", eta=step), "rule": rule}
            for rule, steps in (("per width", each), ("one for all", [eta] * len(widths)))
            for width, step in zip(widths, steps, strict=True)
        )

    return cells


EXPERIMENT = Experiment(
    title="Output weights that keep their signs: both layers, a step for each width",
    source=f"{PAPER}, Figure 3",
    revision=2,
    scales={
        "smoke": Scale(_cells("digits", runs.SMOKE_WIDTHS), seeds=3, seconds=2),
        "laptop": Scale(_cells(runs.images(), runs.WIDTHS), seeds=10, seconds=90),
        "paper": Scale(_cells(runs.images(), runs.WIDTHS), seeds=40, seconds=600),
    },
    run=runs.run,
    figure=figure,
    claims=claims,
    ready=runs.ready,
)
