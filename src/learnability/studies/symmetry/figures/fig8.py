"""Figure 8: learning from inputs whose every entry is shifted by a uniform draw from [-0.1, 0.1].

n = 30, a sample of 10 n, a random symmetric target, 12,000 epochs; training and test inputs are shifted. The step
is not given: h = n^-6 as in Figure 2 (panel a), its neighbour h = n^-4 (b), and beta = 0 (c). The symmetry
initialisation sees the sum of the entries, which the shifts blur: no predictor that sees only that sum can beat the
floor drawn in each panel, the mean over the seeds' targets of its Bayes error. (A predictor that sees the entries
can: rounding each recovers the input.) ``laptop`` is the paper's setting with fewer seeds than ``paper``; ``smoke``
is n = 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from learnability.problems.symmetry import UniformCube, sum_error_floor
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry import runs as shared
from learnability.studies.symmetry.runs import TEST_SIZE, draw, late, setting
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Hypothesis, Kind

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_PANELS = {"a": (6, "n^3 h"), "b": (4, "n^3 h"), "c": (6, "0")}
_SHIFT = 0.1


def _settings(n: int, epochs: int) -> tuple[Setting, ...]:
    return tuple(
        setting(panel=panel, curve="both", n=n, m=10 * n, h_power=power, beta=beta, shift=_SHIFT, epochs=epochs)
        for panel, (power, beta) in _PANELS.items()
    )


def run(s: Setting, seed: int) -> list[Row]:
    """A learning curve, and the floor of the seed's target."""
    floor = sum_error_floor(shared.target(s, seed), UniformCube(int(s["n"])), float(s["shift"]))
    return [{**row, "floor": float(floor)} for row in shared.run(s, seed)]


def figure(table: pd.DataFrame) -> Figure:
    """Error against epoch with the floor."""
    titles = {
        panel: f"({panel}) shifts in [−0.1, 0.1], h = n$^{{-{power}}}$, β = {'0' if beta == '0' else 'n³h'}"
        for panel, (power, beta) in _PANELS.items()
    }
    fig = draw(table, titles, {"both": "layers 1+2"}, columns=3)
    floor = table.groupby("seed")["floor"].first().mean()
    for ax in fig.axes:
        ax.axhline(floor, color="black", linewidth=0.9, linestyle=":")
        ax.annotate(
            f"floor {floor:.3f}",
            (1, floor),
            xycoords=("axes fraction", "data"),
            xytext=(-2, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=7,
        )
    return fig


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Section 5.4: satisfying results with shifted inputs, read as: at most twice the floor, and not below it."""
    found = []
    floor = table.groupby("seed")["floor"].first()
    for panel, (power, beta) in _PANELS.items():
        true = late(table, "true_error", panel=panel)
        where = f"Figure 8, h = n^-{power}, beta = {beta}"
        found.append(
            claim(
                f"fig8{panel}/within-twice-the-floor",
                where,
                2 * float(floor.mean()),
                float(true.mean()),
                "at_most",
                f"mean true error over the last fifth of the axis; floor {floor.mean():.4f}; empirical error there "
                f"{late(table, 'empirical_error', panel=panel).mean():.4f}",
            )
        )
        moved = float(table[table["panel"] == panel]["movement"].max())
        sampling = float(np.sqrt((floor * (1 - floor)).mean() / TEST_SIZE / len(floor)))
        found.append(
            Guarantee(
                id=f"symmetry/fig8{panel}/floor",
                source=f"{where}: Bayes error given the sum of the entries",
                kind=Kind.LOWER_BOUND,
                bound=float(floor.mean()),
                measured=float(true.mean()),
                tolerance=3 * sampling,
                hypotheses=(
                    Hypothesis(
                        "the network sees the sum only", moved <= 1e-3, f"embedded points moved by {moved:.1e}"
                    ),
                ),
                note="true error over the last fifth; the tolerance is three standard errors of the test samples",
            )
        )
    return found


EXPERIMENT = Experiment(
    title="Resistance to input errors",
    source=f"{PAPER}, Figure 8",
    revision=1,
    scales={
        "smoke": Scale(_settings(10, 300), seeds=2, seconds=2),
        "laptop": Scale(_settings(30, 12_000), seeds=10, seconds=75),
        "paper": Scale(_settings(30, 12_000), seeds=30, seconds=225),
    },
    run=run,
    figure=figure,
    claims=claims,
)
