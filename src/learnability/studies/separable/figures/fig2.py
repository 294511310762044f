"""Figure 2: both layers trained, otherwise as Figure 1.

The output weights start at +-1 / sqrt(2k) and both layers move simultaneously, each by the other's old weights. The
step is Figure 1's, eta = 1, like everything that the paper leaves open. At it some output weights change their
sign, so that Section 9.1.2 does not apply: panel (c) shows the least and the largest v_t / v_0 so far, the paper's c
and C, and Figure 3 has the steps at which no weight does. The runs of Figure 1 are made again beside these, because
the paper compares the two; they share start and order with those of the same seed and width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from learnability import plotting
from learnability.evidence.tables import by, last, pick
from learnability.studies.separable import PAPER
from learnability.studies.separable import claims as sure
from learnability.studies.separable.runs import SMOKE_WIDTHS, WIDTHS, curve, finish, images, ready, run, setting
from learnability.study import Experiment, Scale

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from learnability.theory import Guarantee


def figure(table: pd.DataFrame) -> Figure:
    """(a) Training and (b) test error, with Figure 1's runs dashed; (c) range of the output weights so far."""
    from matplotlib.lines import Line2D

    fig, (train, test, ratio) = plotting.panels(1, 3, width=3.2, height=3.1)
    both, first = pick(table, layers="both"), pick(table, layers="first")
    for ax, column in ((train, "train_error"), (test, "test_error")):
        curve(ax, first, column, limits=(0, 1), linestyle="--", linewidth=0.9)
        curve(ax, both, column, limits=(0, 1))
        ax.set(xscale="log", xlabel="epoch", ylabel="error")
        ax.set_ylim(bottom=0)
    train.set_title("(a) training error (0-1)")
    test.set_title("(b) test error (0-1)")
    curve(ratio, both, "ratio_max")
    curve(ratio, both, "ratio_min")
    ratio.axhline(0, color="black", linewidth=0.8)
    ratio.set_yscale("symlog", linthresh=1)
    ratio.set(xscale="log", xlabel="epoch", ylabel="$v_t / v_0$ (linear within ±1)")
    ratio.set_title("(c) least and largest $v_t / v_0$ so far")
    handles = train.get_legend_handles_labels()[0][len(first["width"].unique()) :]
    handles.append(
        Line2D([], [], linestyle="--", color="#666666", linewidth=0.9, label="first layer only (Figure 1)")
    )
    step = ", ".join(f"{eta:g}" for eta in sorted(table["eta"].unique()))
    return finish(fig, table, handles, f"both layers trained, η = {step}")


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Training loss 0; good test errors, equal between widths and to Figure 1's; Equation 13 where it applies."""
    where, ends = "Figure 2", last(table, "layers", "width")
    room = sure.ROOM[str(table["data"].iloc[0])]
    both = pick(ends, layers="both")
    found = []
    for width in sorted(table["width"].unique()):
        runs = pick(both, width=width)
        found.append(sure.zero_loss(f"fig2/zero-loss[2k={width}]", where, runs))
        found.append(sure.generalises(f"fig2/generalises[2k={width}]", where, runs))
        pair = {
            layers: pick(ends, layers=layers, width=width).set_index("seed")["test_error"]
            for layers in ("both", "first")
        }
        found.append(
            sure.same_mean(
                f"fig2/as-figure-1[2k={width}]", f"{where} (performance as in Figure 1)", pair, room,
                "final test errors, both layers trained and the first only",
            )
        )  # fmt: skip
    found.append(
        sure.same_mean(
            "fig2/same-test-error", where, by(both, "test_error", "width"), room, "final test errors by width"
        )
    )
    found.append(sure.no_growth("fig2/updates-with-width", where, both))
    return found + sure.update_bounds("fig2", both)


def _cells(data: str, widths: tuple[int, ...]) -> tuple[dict[str, bool | int | float | str], ...]:
    return tuple(
        {**setting(data=data, width=width, layers=layers)} for layers in ("both", "first") for width in widths
    )


EXPERIMENT = Experiment(
    title="Test error whatever the width: both layers trained",
    source=f"{PAPER}, Figure 2",
    revision=1,
    scales={
        "smoke": Scale(_cells("digits", SMOKE_WIDTHS), seeds=3, seconds=2),
        "laptop": Scale(_cells(images(), WIDTHS), seeds=10, seconds=200),
        "paper": Scale(_cells(images(), WIDTHS), seeds=40, seconds=800),
    },
    run=run,
    figure=figure,
    claims=claims,
    ready=ready,
)
