"""Figure 2: training both layers with h = n^-6 is training the last layer, and both learn from n examples.

The paper shows one run per panel; here several seeds, each with its own target and sample. Panel c is not in the
paper: panel b's last-layer runs (exactly those, as beta = n^3 h makes them independent of h) on six times the axis.
``laptop`` and ``paper`` are the paper's setting with thirty seeds; ``smoke`` is n = 10. "4n+3 neurons" is read as
the half-integer initialisation (4n+2 ReLUs and the output bias): the figure's text does not define it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from learnability import checks
from learnability.errors import RequestError
from learnability.evidence.intervals import mean, share
from learnability.evidence.tables import pick
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry.claims_curves import (
    BETA_NAMES,
    TOLERANCE,
    compression,
    ends,
    epochs_to_zero,
    fitted,
    learning_curves,
    panels,
    sampled,
    superscript,
)
from learnability.studies.symmetry.runs import BETAS, lasting, powers, problem, run, scales, setting
from learnability.study import Experiment, Setting
from learnability.theory import Guarantee

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from learnability.plotting import Plot

_LAYERS = ("both", "output")


def _cells(usual: dict[int, int], longer: int) -> Callable[..., tuple[Setting, ...]]:
    """Settings for the usual n with their axes; panel c follows the last of them, or is left out with 0."""
    several, axes = tuple(usual), tuple(usual.values())

    def cells(
        n: tuple[int, ...] = several,
        epochs: tuple[int, ...] = axes,
        longer: int = longer,
        sample: int = 1,
        h_power: int = 6,
        beta: str = "n^3 h",
        target: str = "random",
        init: str = "half_integer",
    ) -> tuple[Setting, ...]:
        if len(checks.several("n", n, checks.integer, at_least=1)) > 2:
            raise RequestError(f"n must hold one value or two, got {len(n)}")
        checks.integer("longer", longer, at_least=0)
        powers("h_power", (h_power,))
        checks.choice("beta", beta, BETAS)
        places = range(len(n))
        lengths = lasting(
            epochs, dict(enumerate(axes)), places, lambda i: (n[i] / several[min(i, len(usual) - 1)]) ** 2
        )

        def cell(panel: str, place: int, layers: str, epochs: int) -> Setting:
            common = problem(n[place], sample, target, init)
            return setting(
                panel=panel, curve=layers, **common, layers=layers, epochs=epochs, h_power=h_power, beta=beta
            )

        found = [cell("ab"[place], place, layers, lengths[place]) for place in places for layers in _LAYERS]
        if longer:  # the last layer alone is cheap: followed further, to see when the empirical error vanishes
            found.append(cell("c", places[-1], "output", longer * lengths[places[-1]]))
        return tuple(found)

    return cells


def figure(table: pd.DataFrame) -> Plot:
    """Error against epoch, both settings."""
    titles = {
        panel: f"({panel}) n = {s['n']}, {sampled(s)}, h = n{superscript(-s['h_power'])}, {BETA_NAMES[s['beta']]}"
        f"{', longer' * (panel == 'c')}"
        for panel, s in panels(table).items()
    }
    return learning_curves(table, titles, {"both": "layers 1+2", "output": "layer 2 only"}, columns=3)


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Section 5.1: performance in both cases is similar, and the errors vanish."""
    found = []
    for panel, inside in table[table["panel"] != "c"].groupby("panel"):
        where = f"Figure 2({panel})"
        both, output = ends(inside, layers="both"), ends(inside, layers="output")
        for name, runs in (("both", both), ("output", output)):
            found.append(fitted(f"fig2{panel}/zero-empirical-error[{name}]", where, runs))
        difference = (both["true_error"] - output["true_error"]).dropna()
        found.append(
            claim(
                f"fig2{panel}/settings-agree", where, TOLERANCE, mean(difference).distance(), "at_most",
                "final true errors with layers 1+2 and with layer 2 only, paired (largest difference "
                f"{difference.abs().max():.4f})",
            )
        )  # fmt: skip
        found.append(compression(f"fig2{panel}/compression", where, ends(inside, layers="both")))
    long = pick(table, panel="c")
    if len(long):
        zero, at = epochs_to_zero(long), long.iloc[0]
        first = next(s for name, s in panels(table).items() if name != "c" and s["n"] == at["n"])
        axis, end = int(first["epochs"]), int(at["epochs"])
        found.append(
            claim(
                "fig2c/zero-empirical-error",
                f"beyond Figure 2({first['panel']}): layer 2 only, on {_count(end // axis)} times its axis",
                0.5, share(np.isfinite(zero)), "at_least",
                f"share of runs whose empirical error is 0 at all later records (every {end // 48:,} epochs); epochs "
                f"until then from {zero.min():.0f} to {zero.max():.0f}, median {zero.median():.0f}; "
                f"{(zero <= axis).mean():.0%} of the runs are there by {axis:,}",
            )
        )  # fmt: skip
    return found


def _count(times: int) -> str:
    return "six" if times == 6 else str(times)


EXPERIMENT = Experiment(
    title="Both layers with a small step against the last layer only",
    source=f"{PAPER}, Figure 2",
    revision=1,
    scales=scales(_cells({10: 3_000}, 0), _cells({30: 60_000, 60: 250_000}, 6), seconds=(2, 156, 156), laptop=30),
    run=run,
    figure=figure,
    claims=claims,
)
