"""Figure 3: larger steps fit the sample sooner and generalise worse.

n = 30, a sample of n, beta = n^3 h, h = n^-2, n^-3, n^-4. ``laptop`` is the paper's setting with fewer seeds than
``paper``; ``smoke`` is n = 10. The end of each axis is the paper's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from learnability.evidence.intervals import mean
from learnability.evidence.tables import pick
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry.claims_curves import (
    compression,
    ends,
    epochs_to_zero,
    fitted,
    learning_curves,
    sooner,
)
from learnability.studies.symmetry.runs import run, scales, setting
from learnability.study import Experiment, Setting
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    import pandas as pd

    from learnability.plotting import Plot

_POWERS = {"a": 2, "b": 3, "c": 4}
_EPOCHS = {"a": 16_000, "b": 80_000, "c": 90_000}


def _settings(n: int, epochs: dict[str, int]) -> tuple[Setting, ...]:
    return tuple(
        setting(panel=panel, curve=layers, n=n, m=n, layers=layers, h_power=power, epochs=epochs[panel])
        for panel, power in _POWERS.items()
        for layers in ("both", "output")
    )


def figure(table: pd.DataFrame) -> Plot:
    """Error against epoch for the three steps."""
    n = table["n"].iloc[0]
    titles = {panel: f"({panel}) h = n$^{{-{power}}}$, n = {n}, sample n" for panel, power in _POWERS.items()}
    return learning_curves(table, titles, {"both": "layers 1+2", "output": "layer 2 only"}, columns=3)


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Section 5.2: the larger the step, the sooner the empirical error vanishes and the larger the true error."""
    found = []
    both = pick(table, layers="both")
    zero = {panel: epochs_to_zero(both, panel=panel) for panel in _POWERS}
    error = {panel: ends(both, panel=panel)["true_error"] for panel in _POWERS}
    for larger, smaller in (("a", "b"), ("b", "c")):
        power, other = _POWERS[larger], _POWERS[smaller]
        steps = f"h = n^-{power} against n^-{other}"
        found += [
            sooner(f"fig3/sooner[{power}<{other}]", "Figure 3", zero[larger], zero[smaller], steps),
            claim(
                f"fig3/true-error-rises[{power}>{other}]", "Figure 3", 0.0,
                mean((error[larger] - error[smaller]).dropna()), "at_least",
                f"the final true errors' paired difference, {steps}: {error[larger].mean():.3f} - "
                f"{error[smaller].mean():.3f}",
                Kind.TREND,
            ),
        ]  # fmt: skip
    for panel, power in _POWERS.items():
        found.append(
            fitted(f"fig3{panel}/zero-empirical-error", f"Figure 3 (h = n^-{power})", ends(both, panel=panel))
        )
    output = pick(table, layers="output")
    curves = output.pivot_table(index=["seed", "epoch"], columns="panel", values="true_error").dropna()
    found.append(
        claim(
            "fig3/frozen-scale-invariance", "section 3.3 (scale invariance)", 0.0,
            float(curves.sub(curves["a"], axis=0).abs().to_numpy().max()), "equal",
            "training only layer 2 with beta = n^3 h does not depend on h: largest difference between panels "
            f"over the {len(curves)} (seed, epoch) recorded in all three",
            Kind.EXACT,
        )
    )  # fmt: skip
    found.append(compression("fig3c/compression", "Figure 3(c)", ends(both, panel="c")))
    return found


EXPERIMENT = Experiment(
    title="Overstepping the theory: large steps",
    source=f"{PAPER}, Figure 3",
    revision=1,
    scales=scales(_settings(10, {"a": 1_000, "b": 3_000, "c": 3_000}), _settings(30, _EPOCHS), seconds=(2, 14, 42)),
    run=run,
    figure=figure,
    claims=claims,
)
