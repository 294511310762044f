"""Figure 4: beta = 0 does not impair learning.

n = 30, a sample of n, a random symmetric target, 2,500 epochs. The paper does not give the step: h = n^-6 is taken
as in Figure 2 (panel a), and its neighbour h = n^-4 is tried (panel b). With beta = n^3 h beside it, over the same
epochs and then to the end of Figure 2's axis, to see what "does not impair" compares with. ``laptop`` and ``paper``
are the paper's setting with thirty seeds; ``smoke`` is n = 10.
"""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING

from learnability import checks
from learnability.evidence.intervals import mean
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry.claims_curves import (
    SAME,
    ends,
    epochs_to_zero,
    fitted,
    learning_curves,
    panels,
    sampled,
    sooner,
)
from learnability.studies.symmetry.runs import lasting, powers, problem, run, scales, setting
from learnability.study import Experiment, Setting
from learnability.theory import Guarantee

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from learnability.plotting import Plot


def _cells(usual_n: int, usual_epochs: int, usual_longer: int) -> Callable[..., tuple[Setting, ...]]:
    """Settings for the usual n, its axis, and how many times longer Figure 2's is."""

    def cells(
        n: int = usual_n,
        h_powers: tuple[int, ...] = (6, 4),
        epochs: int = usual_epochs,
        longer: int = usual_longer,
        sample: int = 1,
        target: str = "random",
        init: str = "half_integer",
    ) -> tuple[Setting, ...]:
        common = problem(n, sample, target, init)
        end = lasting((epochs,), {0: usual_epochs}, (0,), lambda _: (n / usual_n) ** 2)[0]
        long = checks.integer("longer", longer, at_least=1) * end
        steps = dict(zip(ascii_lowercase, powers("h_powers", h_powers), strict=False))
        zero = tuple(
            setting(
                panel=panel, curve=f"{layers}, beta 0", **common, layers=layers, h_power=power, beta="0", epochs=end
            )
            for panel, power in steps.items()
            for layers in ("both", "output")
        )
        positive = [(panel, power, end) for panel, power in steps.items()] + [("long", h_powers[0], long)]
        return zero + tuple(
            setting(panel=panel, curve="both, beta n^3 h", **common, h_power=power, epochs=length)
            for panel, power, length in positive
        )

    return cells


def _panels(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Those that are drawn."""
    return {panel: s for panel, s in panels(table).items() if panel != "long"}


def figure(table: pd.DataFrame) -> Plot:
    """Error against epoch, beta = 0 (both settings) and beta = n^3 h."""
    titles = {
        panel: f"({panel}) n = {s['n']}, {sampled(s)}, h = n$^{{-{s['h_power']}}}$"
        for panel, s in _panels(table).items()
    }
    curves = {
        "both, beta 0": "layers 1+2, β = 0",
        "output, beta 0": "layer 2 only, β = 0",
        "both, beta n^3 h": "layers 1+2, β = n³h",
    }
    return learning_curves(table, titles, curves)


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Section 5.2 and Figure 4: errors vanish with beta = 0 too, and the true error is no worse."""
    found = [
        fitted(
            f"fig4{panel}/zero-empirical-error", f"Figure 4 (h = n^-{s['h_power']})",
            ends(table, panel=panel, curve="both, beta 0"),
        )
        for panel, s in _panels(table).items()
    ]  # fmt: skip
    zero, positive = ends(table, panel="a", curve="both, beta 0"), ends(table, panel="long")
    return [
        *found,
        claim(
            "fig4/not-impaired", "Figure 4", SAME, mean((zero["true_error"] - positive["true_error"]).dropna()),
            "at_most",
            "true error with beta = 0 at the end of this axis minus with beta = n^3 h at the end of Figure 2's, "
            f"paired ({zero['true_error'].mean():.3f} - {positive['true_error'].mean():.3f})",
        ),
        sooner(
            "fig4/faster", "Figure 4 against Figure 2(a)", epochs_to_zero(table, panel="a", curve="both, beta 0"),
            epochs_to_zero(table, panel="long"), "beta = 0 against n^3 h",
        ),
    ]  # fmt: skip


EXPERIMENT = Experiment(
    title="Confidence beta = 0: the perceptron rule",
    source=f"{PAPER}, Figure 4",
    revision=1,
    scales=scales(_cells(10, 300, 10), _cells(30, 2_500, 24), seconds=(2, 31, 31), laptop=30),
    run=run,
    figure=figure,
    claims=claims,
)
