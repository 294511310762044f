"""Figure 8: learning from inputs whose every entry is shifted by a uniform draw from [-0.1, 0.1].

n = 30, a sample of 10 n, a random symmetric target, 12,000 epochs; training and test inputs are shifted. The step
is not given: h = n^-6 as in Figure 2 (panel a), its neighbour h = n^-4 (b), and beta = 0 (c). The symmetry
initialisation sees the sum of the entries, which the shifts blur: no predictor that sees only that sum can beat the
floor drawn in each panel, the mean over the seeds' targets of its Bayes error. (A predictor that sees the entries
can: rounding each recovers the input.) ``laptop`` is the paper's setting with fewer seeds than ``paper``; ``smoke``
is n = 10.
"""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING

from learnability import checks
from learnability.evidence.intervals import Interval, mean
from learnability.problems.symmetry import UniformCube, sum_error_floor
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry import runs as shared
from learnability.studies.symmetry.claims_curves import BETA_NAMES, late, learning_curves, panels
from learnability.studies.symmetry.runs import lasting, powers, problem, scales, setting
from learnability.study import Experiment, Row, Setting
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from learnability.plotting import Plot


def _cells(usual_n: int, usual_epochs: int) -> Callable[..., tuple[Setting, ...]]:
    """Settings for the usual n and its axis: a panel for each step, and one with beta = 0 at the first."""

    def cells(
        n: int = usual_n,
        sample: int = 10,
        shift: float = 0.1,
        h_powers: tuple[int, ...] = (6, 4),
        epochs: int = usual_epochs,
        target: str = "random",
        init: str = "half_integer",
    ) -> tuple[Setting, ...]:
        common = problem(n, sample, target, init)
        checks.real("shift", shift, above=0.0)
        end = lasting((epochs,), {0: usual_epochs}, (0,), lambda _: (n / usual_n) ** 2)[0]
        panels = [(power, "n^3 h") for power in powers("h_powers", h_powers, most=25)] + [(h_powers[0], "0")]
        return tuple(
            setting(panel=panel, curve="both", **common, h_power=power, beta=beta, shift=shift, epochs=end)
            for panel, (power, beta) in zip(ascii_lowercase, panels, strict=False)
        )

    return cells


def run(s: Setting, seed: int) -> list[Row]:
    """A learning curve, and the floor of the seed's target."""
    floor = sum_error_floor(shared.target(s, seed), UniformCube(int(s["n"])), float(s["shift"]))
    return [{**row, "floor": float(floor)} for row in shared.run(s, seed)]


def figure(table: pd.DataFrame) -> Plot:
    """Error against epoch with the floor."""
    titles = {
        panel: f"({panel}) shifts in [−{s['shift']:g}, {s['shift']:g}], h = n$^{{-{s['h_power']}}}$, "
        f"{BETA_NAMES[s['beta']]}"
        for panel, s in panels(table).items()
    }
    floor = table.groupby("seed")["floor"].first().mean()
    return learning_curves(table, titles, {"both": "layers 1+2"}, columns=3, reference=(floor, f"floor {floor:.3f}"))


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Section 5.4: satisfying results with shifted inputs, read as: at most twice the floor, and not below it."""
    found = []
    floor = table.groupby("seed")["floor"].first()
    for panel, s in panels(table).items():
        true = late(table, "true_error", panel=panel)
        moved = float(table[table["panel"] == panel]["movement"].max())
        bound = moved <= 1e-3  # the network still sees the sum only
        where = f"Figure 8, h = n^-{s['h_power']}, beta = {s['beta']}"
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
                _beside(true, floor), "at_least",
                f"{what}; embedded points moved by {moved:.1e}" + ("" if bound else ", so that it binds no longer"),
                Kind.LOWER_BOUND if bound else Kind.THRESHOLD,
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
    scales=scales(_cells(10, 300), _cells(30, 12_000), seconds=(2, 75, 225)),
    run=run,
    figure=figure,
    claims=claims,
)
