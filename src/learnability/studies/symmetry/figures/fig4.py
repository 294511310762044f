"""Figure 4: beta = 0 does not impair learning.

n = 30, a sample of n, a random symmetric target, 2,500 epochs. The paper does not give the step: h = n^-6 is taken
as in Figure 2 (panel a), and its neighbour h = n^-4 is tried (panel b). With beta = n^3 h beside it, over the same
epochs and then to the end of Figure 2's axis, to see what "does not impair" compares with. ``laptop`` is the paper's
setting with fewer seeds than ``paper``; ``smoke`` is n = 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from learnability.evidence.tables import pick
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry.runs import (
    agreement,
    compression,
    draw,
    ends,
    epochs_to_zero,
    fitted,
    ratio_of_medians,
    run,
    setting,
)
from learnability.study import Experiment, Scale, Setting
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_POWERS = {"a": 6, "b": 4}


def _settings(n: int, epochs: int, long: int) -> tuple[Setting, ...]:
    zero = tuple(
        setting(
            panel=panel, curve=f"{layers}, beta 0", n=n, m=n, layers=layers, h_power=power, beta="0", epochs=epochs
        )
        for panel, power in _POWERS.items()
        for layers in ("both", "output")
    )
    positive = tuple(
        setting(panel=panel, curve="both, beta n^3 h", n=n, m=n, h_power=power, epochs=length)
        for panel, power in (("a", 6), ("b", 4), ("long", 6))
        for length in ((epochs,) if panel != "long" else (long,))
    )
    return zero + positive


def figure(table: pd.DataFrame) -> Figure:
    """Error against epoch, beta = 0 (both settings) and beta = n^3 h."""
    n = table["n"].iloc[0]
    titles = {panel: f"({panel}) n = {n}, sample n, h = n$^{{-{power}}}$" for panel, power in _POWERS.items()}
    curves = {
        "both, beta 0": "layers 1+2, β = 0",
        "output, beta 0": "layer 2 only, β = 0",
        "both, beta n^3 h": "layers 1+2, β = n³h",
    }
    return draw(table, titles, curves)


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Section 5.2 and Figure 4: errors vanish with beta = 0 too, and the true error is no worse."""
    found = []
    for panel, power in _POWERS.items():
        zero = ends(table, panel=panel, curve="both, beta 0")
        found.append(fitted(f"fig4{panel}/zero-empirical-error", f"Figure 4 (h = n^-{power})", zero))
    zero = ends(table, panel="a", curve="both, beta 0")
    positive = ends(table, panel="long")
    difference = (zero["true_error"] - positive["true_error"]).dropna()
    found.append(
        agreement(
            "fig4/not-impaired",
            "Figure 4",
            difference,
            "true error with beta = 0 at the end of this axis minus with beta = n^3 h at the end of Figure 2's "
            f"({zero['true_error'].mean():.3f} - {positive['true_error'].mean():.3f})",
            either_side=False,
        )
    )
    fast = epochs_to_zero(pick(table, panel="a", curve="both, beta 0"))
    slow = epochs_to_zero(pick(table, panel="long"))
    found.append(
        claim(
            "fig4/faster",
            "Figure 4 against Figure 2(a)",
            1.0,
            ratio_of_medians(fast, slow),
            "at_most",
            f"ratio of the median epochs to empirical error 0: {np.median(fast):.0f} / {np.median(slow):.0f}",
            Kind.TREND,
        )
    )
    found.append(compression("fig4/compression", "Figure 4", zero))
    return found


EXPERIMENT = Experiment(
    title="Confidence beta = 0: the perceptron rule",
    source=f"{PAPER}, Figure 4",
    revision=1,
    scales={
        "smoke": Scale(_settings(10, 300, 3_000), seeds=2, seconds=2),
        "laptop": Scale(_settings(30, 2_500, 60_000), seeds=10, seconds=10),
        "paper": Scale(_settings(30, 2_500, 60_000), seeds=30, seconds=31),
    },
    run=run,
    figure=figure,
    claims=claims,
)
