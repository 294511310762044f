"""Figure 7: learning from labels of which a share p is wrong.

n = 30, a sample of 10 n, a random symmetric target, 7,000 epochs. The flip probability is lost in a damaged formula
(a fraction 1/...): p = 1/10 is taken (panel b), 1/100 and 1/30 are tried (a, c). Panel d is p = 1/10 with beta = 0:
a remark of the paper says that this works as well. The step is not given: h = n^-6 as in Figure 2, its neighbour
n^-4 is drawn beside it. The true error is measured on clean labels. "Satisfying results" is read two ways: a smaller
share of the clean labels is wrong than of those learnt from; and the typical run ends within twice of what a majority
vote of the sample's labels, weight by weight, gets wrong (as in Figure 8: twice the floor). ``laptop`` and ``paper``
are the paper's setting with thirty seeds; ``smoke`` is n = 10.
"""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING

import numpy as np

from learnability import checks
from learnability.errors import RequestError
from learnability.evidence.intervals import mean, share
from learnability.evidence.tables import values
from learnability.problems.symmetry import UniformCube, flip_labels
from learnability.seeding import generator
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry import runs as shared
from learnability.studies.symmetry.claims_curves import (
    BETA_NAMES,
    SAME,
    ends,
    late,
    learning_curves,
    panels,
    superscript,
)
from learnability.studies.symmetry.runs import lasting, powers, problem, scales, setting
from learnability.study import Experiment, Row, Setting
from learnability.theory import Guarantee

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from learnability.plotting import Plot

_FLIPS = (0.01, 0.1, 1 / 30)


def _cells(usual_n: int, usual_epochs: int) -> Callable[..., tuple[Setting, ...]]:
    """Settings for the usual n and its axis: a panel for each share, and one with beta = 0 at the largest."""

    def cells(
        n: int = usual_n,
        sample: int = 10,
        flips: tuple[float, ...] = _FLIPS,
        h_powers: tuple[int, ...] = (6, 4),
        epochs: int = usual_epochs,
        target: str = "random",
        init: str = "half_integer",
    ) -> tuple[Setting, ...]:
        common = problem(n, sample, target, init)
        if len(checks.several("flips", flips, checks.real, above=0.0, at_most=0.5)) > 25:
            raise RequestError(f"flips must hold at most 25 values, got {len(flips)}")
        end = lasting((epochs,), {0: usual_epochs}, (0,), lambda _: (n / usual_n) ** 2)[0]
        panels = [(p, "n^3 h") for p in flips] + [(max(flips), "0")]
        return tuple(
            setting(panel=panel, curve=f"n^-{power}", **common, h_power=power, beta=beta, flip=p, epochs=end)
            for panel, (p, beta) in zip(ascii_lowercase, panels, strict=False)
            for power in powers("h_powers", h_powers)
        )

    return cells


def run(s: Setting, seed: int) -> list[Row]:
    """A learning curve, and the exact error of the majority vote of the sample's labels at each weight.

    A weight without examples, or with as many of either label, is half wrong.
    """
    n, m = int(s["n"]), int(s["m"])
    f, cube = shared.target(s, seed), UniformCube(n)
    X = cube.sample(generator(seed, "sample", n, m), m)
    y = flip_labels(generator(seed, "flip", n, m), f(X), float(s["flip"]))
    votes = np.sign(np.bincount(X.sum(axis=1).astype(int), y, n + 1))
    floor = (1 - votes * np.asarray(f.labels)) / 2 @ cube.weight_probabilities
    return [{**row, "majority_error": float(floor)} for row in shared.run(s, seed)]


def _powers(table: pd.DataFrame) -> list[int]:
    """Exponents of the steps, the smallest step, which is judged, first."""
    return values(table, "h_power")[::-1]


def figure(table: pd.DataFrame) -> Plot:
    """Error against epoch for each share of wrong labels."""
    titles = {
        panel: f"({panel}) flip probability {s['flip']:.3g}, {BETA_NAMES[s['beta']]}"
        for panel, s in panels(table).items()
    }
    return learning_curves(table, titles, {f"n^-{power}": f"h = n{superscript(-power)}" for power in _powers(table)})


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Section 5.4: satisfying results with corrupted labels."""
    found, shown, curve = [], panels(table), f"n^-{_powers(table)[0]}"
    for panel, s in shown.items():
        if s["beta"] == "0":
            continue
        p = float(s["flip"])
        true = late(table, "true_error", panel=panel, curve=curve)
        empirical = late(table, "empirical_error", panel=panel, curve=curve)
        found.append(
            claim(
                f"fig7{panel}/true-error", f"Figure 7, p = {p:.3g}", p, mean(true), "at_most",
                f"true error over the last fifth of the axis (clean labels), h = {curve}, against the share of wrong "
                f"labels; empirical error there {empirical.mean():.4f}",
            )
        )  # fmt: skip
        vote = ends(table, panel=panel, curve=curve)["majority_error"]
        found.append(
            claim(
                f"fig7{panel}/near-majority-vote", f"Figure 7, p = {p:.3g}", 0.5,
                share(true <= 2 * vote, unit="seeds"), "at_least",
                "share of seeds whose true error, there, is within twice that of the sample's majority vote at each "
                f"weight (medians {true.median():.4f} and {vote.median():.4f}, means {true.mean():.4f} and "
                f"{vote.mean():.4f})",
            )
        )  # fmt: skip
    last = next(panel for panel, s in shown.items() if s["beta"] == "0")
    p = float(shown[last]["flip"])
    other = next(panel for panel, s in shown.items() if s["flip"] == p)
    zero, positive = (late(table, "true_error", panel=panel, curve=curve) for panel in (last, other))
    found.append(
        claim(
            "fig7/beta-zero-as-well", f"section 4, second remark (beta = 0 works as well), on Figure 7, p = {p:.3g}",
            SAME, mean((zero - positive).dropna()), "at_most",
            "late true error with beta = 0 minus with beta = n^3 h, paired "
            f"({zero.mean():.3f} - {positive.mean():.3f})",
        )
    )  # fmt: skip
    return found


EXPERIMENT = Experiment(
    title="Resistance to label errors",
    source=f"{PAPER}, Figure 7",
    revision=2,
    scales=scales(_cells(10, 300), _cells(30, 7_000), seconds=(2, 135, 135), laptop=30),
    run=run,
    figure=figure,
    claims=claims,
)
