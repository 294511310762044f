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

from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.evidence.intervals import mean
from learnability.evidence.tables import last, pick, values
from learnability.plotting import Curve, Panel, Plot
from learnability.studies.separable import PAPER, runs
from learnability.studies.separable import claims as sure
from learnability.study import Experiment, Scale, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from learnability.theory import Guarantee


def figure(table: pd.DataFrame) -> Plot:
    """(a) Training and (b) test error against epochs, for each width; (c) the test errors at the end."""
    step = ", ".join(f"{eta:g}" for eta in values(table, "eta"))
    return runs.plot(table, [*runs.errors(table), _ends(last(table, "width"))], f"first layer trained, η = {step}")


def _ends(ends: pd.DataFrame) -> Panel:
    """Every run's last test error, and the mean with its confidence interval; each width has a place on the axis."""
    widths, items, top = values(ends, "width"), [], 0.05
    look: dict[str, Any] = {"linestyle": "", "marker": "o"}
    for place, width in enumerate(widths):
        found = pick(ends, width=width)["test_error"].to_numpy(dtype=float)
        spread = np.linspace(-0.16, 0.16, len(found)) if len(found) > 1 else np.zeros(1)
        over = mean(found)
        items += [
            Curve(place + spread, found, color=runs.color(width, widths), alpha=0.35, markersize=3, **look),
            Curve(
                [place], [over.estimate], [over.low], [over.high], color="black", markersize=4.5, bars=True, **look
            ),
        ]
        top = max(top, found.max(), over.high)
    return Panel(
        items, "(c) test error of each run at its end", "hidden units 2k", "error", xlim=(-0.6, len(widths) - 0.4),
        ylim=(0, 1.2 * top), xticks={float(place): str(width) for place, width in enumerate(widths)},
    )  # fmt: skip


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Separable data; training loss 0; good and equal test errors; updates within Theorem 2 and not growing."""
    where, end = "Figure 1", last(table, "width")
    return [
        sure.separable_draw("fig1/separable", where, table),
        *sure.learns_alike("fig1", f"{where} (a)", f"{where} (b)", end),
        sure.no_growth("fig1/updates-with-width", "Section 5 (updates whatever the width)", end),
    ]


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
        return tuple(runs.setting(**common, width=width, eta=eta) for width in widths)

    return cells


EXPERIMENT = Experiment(
    title="Test error whatever the width: first layer trained",
    source=f"{PAPER}, Figure 1",
    revision=2,
    scales={
        "smoke": Scale(_cells("digits", runs.SMOKE_WIDTHS), seeds=3, seconds=2),
        "laptop": Scale(_cells(runs.images(), runs.WIDTHS), seeds=10, seconds=86),
        "paper": Scale(_cells(runs.images(), runs.WIDTHS), seeds=40, seconds=600),
    },
    run=runs.run,
    figure=figure,
    claims=claims,
    ready=runs.ready,
)
