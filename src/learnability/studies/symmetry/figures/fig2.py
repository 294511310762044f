"""Figure 2: training both layers with h = n^-6 is training the last layer, and both learn from n examples.

The paper shows one run per panel; here several seeds, each with its own target and sample. Panel c is not in the
paper: panel b's last-layer runs (exactly those, as beta = n^3 h makes them independent of h) on six times the axis.
``laptop`` is the paper's setting with fewer seeds than ``paper``; ``smoke`` is n = 10. "4n+3 neurons" is read as
the half-integer initialisation (4n+2 ReLUs and the output bias): the figure's text does not define it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from learnability.evidence.intervals import mean, share
from learnability.evidence.tables import pick
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry.claims_curves import (
    SAME,
    compression,
    ends,
    epochs_to_zero,
    fitted,
    learning_curves,
)
from learnability.studies.symmetry.runs import run, scales, setting
from learnability.study import Experiment
from learnability.theory import Guarantee

if TYPE_CHECKING:
    import pandas as pd

    from learnability.plotting import Plot

_LAYERS = ("both", "output")
_FULL = tuple(
    setting(panel=panel, curve=layers, n=n, m=n, layers=layers, epochs=epochs)
    for panel, n, epochs in (("a", 30, 60_000), ("b", 60, 250_000))
    for layers in _LAYERS
)
# The last layer alone is cheap: followed further, to see when the empirical error vanishes.
_LONG = setting(panel="c", curve="output", n=60, m=60, layers="output", epochs=1_500_000)
_SMOKE = tuple(setting(panel="a", curve=layers, n=10, m=10, layers=layers, epochs=3_000) for layers in _LAYERS)


def figure(table: pd.DataFrame) -> Plot:
    """Error against epoch, both settings."""
    sizes = table.groupby("panel")["n"].first()
    titles = {
        str(panel): f"({panel}) n = {n}, sample n, h = n⁻⁶, β = n³h{', longer' * (panel == 'c')}"
        for panel, n in sizes.items()
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
                f"fig2{panel}/settings-agree", where, SAME, mean(difference).distance(), "at_most",
                "final true errors with layers 1+2 and with layer 2 only, paired (largest difference "
                f"{difference.abs().max():.4f})",
            )
        )  # fmt: skip
        found.append(compression(f"fig2{panel}/compression", where, ends(inside, layers="both")))
    long = pick(table, panel="c")
    if len(long):
        zero = epochs_to_zero(long)
        found.append(
            claim(
                "fig2c/zero-empirical-error", "beyond Figure 2(b): layer 2 only, on six times its axis", 0.5,
                share(np.isfinite(zero)), "at_least",
                "share of runs whose empirical error is 0 at all later records (every 31,250 epochs); epochs until "
                f"then from {zero.min():.0f} to {zero.max():.0f}, median {zero.median():.0f}; "
                f"{(zero <= 250_000).mean():.0%} of the runs are there by 250,000",
            )
        )  # fmt: skip
    return found


EXPERIMENT = Experiment(
    title="Both layers with a small step against the last layer only",
    source=f"{PAPER}, Figure 2",
    revision=1,
    scales=scales(_SMOKE, (*_FULL, _LONG), seconds=(2, 52, 156)),
    run=run,
    figure=figure,
    claims=claims,
)
