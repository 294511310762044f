"""Figure 3: larger steps fit the sample sooner and generalise worse.

n = 30, a sample of n, beta = n^3 h, h = n^-2, n^-3, n^-4. ``laptop`` and ``paper`` are the paper's setting with
thirty seeds; ``smoke`` is n = 10. The end of each axis is the paper's.
"""

from __future__ import annotations

import itertools
from string import ascii_lowercase
from typing import TYPE_CHECKING

from learnability import checks
from learnability.errors import RequestError
from learnability.evidence.intervals import mean
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
    sooner,
)
from learnability.studies.symmetry.runs import BETAS, lasting, powers, problem, run, scales, setting
from learnability.study import Experiment, Setting
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from learnability.plotting import Plot

_AXES = {2: 16_000, 3: 80_000, 4: 90_000}


def _cells(usual_n: int, axes: dict[int, int]) -> Callable[..., tuple[Setting, ...]]:
    """Settings for the usual n, with the ends of the axes by the exponent of the step."""
    exponents, ends = tuple(axes), tuple(axes.values())

    def cells(
        n: int = usual_n,
        h_powers: tuple[int, ...] = exponents,
        epochs: tuple[int, ...] = ends,
        sample: int = 1,
        beta: str = "n^3 h",
        target: str = "random",
        init: str = "half_integer",
    ) -> tuple[Setting, ...]:
        common = problem(n, sample, target, init)
        checks.choice("beta", beta, BETAS)
        if any(larger >= smaller for larger, smaller in itertools.pairwise(powers("h_powers", h_powers))):
            raise RequestError(f"h_powers must rise, from the largest step to the smallest, got {h_powers}")
        lengths = lasting(epochs, axes, h_powers, lambda _: (n / usual_n) ** 2)
        return tuple(
            setting(
                panel=panel, curve=layers, **common, layers=layers, h_power=power, beta=beta, epochs=lengths[power]
            )
            for panel, power in zip(ascii_lowercase, h_powers, strict=False)
            for layers in ("both", "output")
        )

    return cells


def _powers(table: pd.DataFrame) -> dict[str, int]:
    """The exponent of the step in every panel."""
    return {panel: int(s["h_power"]) for panel, s in panels(table).items()}


def figure(table: pd.DataFrame) -> Plot:
    """Error against epoch for the three steps."""
    beta = str(table["beta"].iloc[0])
    titles = {
        panel: f"({panel}) h = n$^{{-{s['h_power']}}}$, n = {s['n']}, {sampled(s)}"
        f"{'' if beta == 'n^3 h' else f', {BETA_NAMES[beta]}'}"
        for panel, s in panels(table).items()
    }
    return learning_curves(table, titles, {"both": "layers 1+2", "output": "layer 2 only"}, columns=3)


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Section 5.2: the larger the step, the sooner the empirical error vanishes and the larger the true error.

    And, which is what the picture shows: with the larger steps training both layers ends worse than training the last
    alone. That the latter does not depend on h at all (beta is a multiple of h) is no claim on these runs, which are
    given beta / h only: ``learnability verify symmetry/frozen-layer`` compares with arithmetic that has both.
    """
    found, exponents = [], _powers(table)
    both = pick(table, layers="both")
    zero = {panel: epochs_to_zero(both, panel=panel) for panel in exponents}
    error = {panel: ends(both, panel=panel)["true_error"] for panel in exponents}
    for larger, smaller in itertools.pairwise(exponents):
        power, other = exponents[larger], exponents[smaller]
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
    for panel, power in exponents.items():
        found.append(
            fitted(f"fig3{panel}/zero-empirical-error", f"Figure 3 (h = n^-{power})", ends(both, panel=panel))
        )
    *larger_steps, smallest = exponents
    for panel, power in exponents.items():
        alone = ends(table, panel=panel, layers="output")["true_error"]
        apart, where = mean((error[panel] - alone).dropna()), f"Figure 3({panel})"
        what = (
            f"the final true errors' paired difference, layers 1+2 against layer 2 only, h = n^-{power}: "
            f"{error[panel].mean():.3f} - {alone.mean():.3f}"
        )
        if panel in larger_steps:
            id = f"fig3{panel}/both-worse-than-last-layer"
            found.append(claim(id, where, 0.0, apart, "at_least", what, Kind.TREND))
        else:  # the step about as small as the theory suggests: of the three, "two are much larger"
            found.append(claim(f"fig3{panel}/settings-agree", where, TOLERANCE, apart.distance(), "at_most", what))
    found.append(compression(f"fig3{smallest}/compression", f"Figure 3({smallest})", ends(both, panel=smallest)))
    return found


EXPERIMENT = Experiment(
    title="Overstepping the theory: large steps",
    source=f"{PAPER}, Figure 3",
    revision=1,
    scales=scales(_cells(10, {2: 1_000, 3: 3_000, 4: 3_000}), _cells(30, _AXES), seconds=(2, 42, 42), laptop=30),
    run=run,
    figure=figure,
    claims=claims,
)
