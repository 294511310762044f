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

from learnability.evidence.intervals import Interval, mean
from learnability.problems.symmetry import UniformCube, sum_error_floor
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry import runs as shared
from learnability.studies.symmetry.claims_curves import late, learning_curves
from learnability.studies.symmetry.runs import scales, setting
from learnability.study import Experiment, Row, Setting
from learnability.theory import Guarantee, Hypothesis, Kind

if TYPE_CHECKING:
    import pandas as pd

    from learnability.plotting import Plot

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


def figure(table: pd.DataFrame) -> Plot:
    """Error against epoch with the floor."""
    titles = {
        panel: f"({panel}) shifts in [−0.1, 0.1], h = n$^{{-{power}}}$, β = {'0' if beta == '0' else 'n³h'}"
        for panel, (power, beta) in _PANELS.items()
    }
    floor = table.groupby("seed")["floor"].first().mean()
    return learning_curves(table, titles, {"both": "layers 1+2"}, columns=3, reference=(floor, f"floor {floor:.3f}"))


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Section 5.4: satisfying results with shifted inputs, read as: at most twice the floor, and not below it."""
    found = []
    floor = table.groupby("seed")["floor"].first()
    for panel, (power, beta) in _PANELS.items():
        true = late(table, "true_error", panel=panel)
        moved = float(table[table["panel"] == panel]["movement"].max())
        where = f"Figure 8, h = n^-{power}, beta = {beta}"
        what = "true error over the last fifth of the axis, paired with the floor of the seed's target"
        found += [
            claim(
                f"fig8{panel}/within-twice-the-floor", where, 2 * float(floor.mean()), _beside(true, 2 * floor),
                "at_most",
                f"{what} (mean {floor.mean():.4f}); empirical error there "
                f"{late(table, 'empirical_error', panel=panel).mean():.4f}",
            ),
            claim(
                f"fig8{panel}/floor", f"{where}: Bayes error given the sum of the entries", float(floor.mean()),
                _beside(true, floor), "at_least", what, Kind.LOWER_BOUND,
                hypotheses=(
                    Hypothesis(
                        "the network sees the sum only", moved <= 1e-3, f"embedded points moved by {moved:.1e}"
                    ),
                ),
            ),
        ]  # fmt: skip
    return found


def _beside(values: pd.Series, bounds: pd.Series) -> Interval:
    """The mean of values, each with a bound of its own, for comparison with the mean of the bounds.

    The interval is that of the mean difference: what bound and value have in common is no uncertainty.
    """
    return mean((values - bounds).dropna()).mapped(lambda d: d + float(bounds.mean()), "mean")


EXPERIMENT = Experiment(
    title="Resistance to input errors",
    source=f"{PAPER}, Figure 8",
    revision=1,
    scales=scales(_settings(10, 300), _settings(30, 12_000), seconds=(2, 75, 225)),
    run=run,
    figure=figure,
    claims=claims,
)
