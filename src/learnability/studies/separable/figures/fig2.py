"""Figure 2: both layers trained, otherwise as Figure 1.

The output weights start at +-1 / sqrt(2k) and both layers move simultaneously, each by the other's old weights. The
step is Figure 1's, eta = 1, like everything that the paper leaves open. At it some output weights change their
sign, so that Section 9.1.2 does not apply: panel (c) shows the least and the largest v_t / v_0 so far, the paper's c
and C, and Figure 3 has the steps at which no weight does. The runs of Figure 1 are made again beside these, because
the paper compares the two; they share start and order with those of the same seed and width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from learnability import checks
from learnability.evidence.tables import last, pick, values
from learnability.plotting import Line, Panel, Plot
from learnability.studies.separable import PAPER, runs
from learnability.studies.separable import claims as sure
from learnability.study import Experiment, Scale, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from learnability.theory import Guarantee


def figure(table: pd.DataFrame) -> Plot:
    """(a) Training and (b) test error, with Figure 1's runs dashed; (c) range of the output weights so far."""
    both = pick(table, layers="both")
    ratios = Panel(
        [*runs.curves(both, "ratio_max"), *runs.curves(both, "ratio_min"), Line(y=0, color="black", linestyle="-")],
        "(c) least and largest $v_t / v_0$ so far", "epoch", "$v_t / v_0$ (linear within ±1)",
        xscale="log", yscale="symlog",
    )  # fmt: skip
    step = ", ".join(f"{eta:g}" for eta in sorted(table["eta"].unique()))
    shown = runs.errors(both, pick(table, layers="first"), "first layer only (Figure 1)")
    return runs.plot(table, [*shown, ratios], f"both layers trained, η = {step}")


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Training loss 0; good test errors, equal between widths and to Figure 1's; signs that change."""
    where, ends = "Figure 2", last(table, "layers", "width")
    both = pick(ends, layers="both")
    return [
        *sure.learns_alike("fig2", where, where, both),
        *sure.as_before(
            "fig2/as-figure-1", f"{where} (performance as in Figure 1)", ends, "layers",
            "with both layers trained, or the first only",
        ),
        sure.no_growth("fig2/updates-with-width", where, both),
        *(
            g
            for width in values(both, "width")
            for g in sure.signs_change(f"fig2/signs-change[2k={width}]", "Figure 3 (another step is needed)",
                                       pick(both, width=width))
        ),
    ]  # fmt: skip


def _cells(usual: str, usual_widths: tuple[int, ...]) -> Callable[..., tuple[Setting, ...]]:
    def cells(
        data: str = usual,
        widths: tuple[int, ...] = usual_widths,
        eta: float = runs.ETA,
        alpha: float = runs.ALPHA,
        epochs: int = 10_000,
        train: int = runs.SIZES[usual][0],
    ) -> tuple[Setting, ...]:
        common = runs.common(data, widths, alpha, epochs, train, usual)
        checks.real("eta", eta, above=0.0)
        return tuple(
            runs.setting(**common, width=width, layers=layers, eta=eta)
            for layers in ("both", "first")
            for width in widths
        )

    return cells


EXPERIMENT = Experiment(
    title="Test error whatever the width: both layers trained",
    source=f"{PAPER}, Figure 2",
    revision=2,
    scales={
        "smoke": Scale(_cells("digits", runs.SMOKE_WIDTHS), seeds=3, seconds=2),
        "laptop": Scale(_cells(runs.images(), runs.WIDTHS), seeds=10, seconds=200),
        "paper": Scale(_cells(runs.images(), runs.WIDTHS), seeds=40, seconds=800),
    },
    run=runs.run,
    figure=figure,
    claims=claims,
    ready=runs.ready,
)
