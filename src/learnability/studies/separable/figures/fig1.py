"""Figure 1: training and test error against epochs for 2k = 10, 100 and 1000 hidden units, first layer trained.

As in the paper: 3,000 images of 3 and 5 to train and 1,000 to test, batches of one, leaky ReLU, start at Equation 6,
40 runs at ``paper`` (10 at ``laptop``). The paper leaves open, and here is chosen:

- the slope, alpha = 0.1, and the step, eta = 1 (see :data:`learnability.studies.separable.runs.ETA`;
  ``separable/steps`` runs its neighbours);
- the inputs: pixels over the largest norm, so that |x| <= 1, which the theorems ask for; no bias;
- which 4,000 images: one random draw, whose separability the margin solver decides;
- the order of examples: shuffled anew for each epoch (the theorems hold for any order);
- the end: training goes on until no example has a loss.

Without a file of MNIST the figure is that of scikit-learn's 8x8 digits, and its title says so. The axis of epochs is
logarithmic, which shows the first epochs as well as the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from learnability import plotting
from learnability.evidence.tables import by, last, pick
from learnability.studies.separable import PAPER
from learnability.studies.separable import claims as sure
from learnability.studies.separable.runs import SMOKE_WIDTHS, WIDTHS, curve, dots, finish, images, ready, run, setting
from learnability.study import Experiment, Scale

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from learnability.theory import Guarantee


def figure(table: pd.DataFrame) -> Figure:
    """(a) Training and (b) test error against epochs, for each width; (c) the test errors at the end."""
    fig, (train, test, end) = plotting.panels(1, 3, width=3.2, height=3.1)
    curve(train, table, "train_error", limits=(0, 1))
    curve(test, table, "test_error", limits=(0, 1))
    train.set(title="(a) training error (0-1)", ylabel="error")
    test.set(title="(b) test error (0-1)", ylabel="error")
    for ax in (train, test):
        ax.set(xscale="log", xlabel="epoch")
        ax.set_ylim(bottom=0)
    handles, _ = train.get_legend_handles_labels()
    dots(end, last(table, "width"), "test_error")
    end.set(title="(c) test error of each run at its end", ylabel="error")
    end.set_ylim(0, max(0.06, 1.15 * end.get_ylim()[1]))
    return finish(fig, table, handles, "first layer trained, η = " + _step(table))


def _step(table: pd.DataFrame) -> str:
    return ", ".join(f"{eta:g}" for eta in sorted(table["eta"].unique()))


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Separable data; training loss 0; good and equal test errors; updates within Theorem 2 and not growing."""
    where, ends = "Figure 1", last(table, "width")
    data = str(table["data"].iloc[0])
    found = [sure.separable_draw("fig1/separable", where, table)]
    for width in sorted(table["width"].unique()):
        runs = pick(ends, width=width)
        found.append(sure.zero_loss(f"fig1/zero-loss[2k={width}]", f"{where} (a)", runs))
        found.append(sure.generalises(f"fig1/generalises[2k={width}]", f"{where} (b)", runs))
    found.append(
        sure.same_mean(
            "fig1/same-test-error", f"{where} (b)", by(ends, "test_error", "width"), sure.ROOM[data],
            "final test errors by width",
        )
    )  # fmt: skip
    found.append(sure.no_growth("fig1/updates-with-width", "Section 5 (updates whatever the width)", ends))
    return found + sure.update_bounds("fig1", ends)


def _cells(data: str, widths: tuple[int, ...]) -> tuple[dict[str, bool | int | float | str], ...]:
    return tuple({**setting(data=data, width=width)} for width in widths)


EXPERIMENT = Experiment(
    title="Test error whatever the width: first layer trained",
    source=f"{PAPER}, Figure 1",
    revision=1,
    scales={
        "smoke": Scale(_cells("digits", SMOKE_WIDTHS), seeds=3, seconds=2),
        "laptop": Scale(_cells(images(), WIDTHS), seeds=10, seconds=220),
        "paper": Scale(_cells(images(), WIDTHS), seeds=40, seconds=600),
    },
    run=run,
    figure=figure,
    claims=claims,
    ready=ready,
)
