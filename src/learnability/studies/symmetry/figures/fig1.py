"""Figure 1: the sigmoid and the ReLU approximations of f_A for A = {1, 5, 7, 15, 20, 21, 22, 25}.

The paper's caption gives no n; here n = 30, as in its experiments. The zig-zag of the other version (arXiv
1907.00560, formula lost and reconstructed) is drawn beside them. Nothing is random: one seed at every scale.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from learnability import checks
from learnability.networks.one_hidden import activate
from learnability.networks.symmetry import represent_relu, represent_sigmoid, represent_zigzag
from learnability.plotting import COLORS, Curve, Line, Panel, Plot
from learnability.studies.symmetry import PAPER, claim
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED = (1, 5, 7, 15, 20, 21, 22, 25)
"""A of the figure."""
_MAKERS = {"sigmoid": represent_sigmoid, "relu": represent_relu, "zigzag": represent_zigzag}


def _cells(n: int = 30, A: tuple[int, ...] = PUBLISHED) -> tuple[Setting, ...]:
    """Another set than the figure's is named in the settings."""
    checks.integer("n", n, at_least=1)
    weights = checks.several("A", A, checks.integer, at_least=0, at_most=n)
    other: Setting = {} if weights == PUBLISHED else {"A": " ".join(map(str, weights))}
    return tuple({"n": n, "representation": name, **other} for name in _MAKERS)


def run(s: Setting, seed: int) -> list[Row]:
    """The network's output along the Hamming weight taken as a real number, twenty points a unit."""
    n, name = int(s["n"]), str(s["representation"])
    A = tuple(int(k) for k in str(s["A"]).split()) if "A" in s else PUBLISHED
    network = _MAKERS[name](n, A)
    weight = np.arange(20 * n + 1) / 20
    # constant hidden rows: the hidden layer sees the sum of the input only
    z = weight[:, None] * network.W[:, 0] + network.B
    output = activate(z, "sigmoid" if name == "sigmoid" else "relu") @ network.M + network.b
    return [
        {"weight": float(k), "output": float(o), "label": _label(k, A)} for k, o in zip(weight, output, strict=True)
    ]


def _label(weight: float, A: tuple[int, ...]) -> float:
    """f_A at an integer weight, 0 in between."""
    if weight != round(weight):
        return 0.0
    return 1.0 if round(weight) in A else -1.0


def figure(table: pd.DataFrame) -> Plot:
    """Both approximations (and the zig-zag) against the Hamming weight, with the target's labels."""
    titles = {
        "sigmoid": "Lemma 1: sigmoid",
        "relu": "Lemma 2: ReLU",
        "zigzag": "Lemma 2 of the other version: zig-zag ReLU",
    }
    panels = []
    for color, (name, title) in zip(COLORS, titles.items(), strict=False):
        rows = table[(table["representation"] == name)].sort_values("weight")
        items: list[Curve | Line] = [
            Line(y=0, linestyle="-"),
            Curve(rows["weight"], rows["output"], label="network output", color=color),
        ]
        for label, marker in ((1, "o"), (-1, "x")):
            at = rows[rows["label"] == label]
            items.append(
                Curve(
                    at["weight"], at["output"], label=f"weights with label {label:+d}", color="black", linestyle="",
                    marker=marker, markersize=3.5,
                )
            )  # fmt: skip
        panels.append(Panel(items, title, ylabel="output before the sign", xlim=(0, table["weight"].max())))
    panels[-1] = replace(panels[-1], xlabel="Hamming weight |x|")
    return Plot(panels, columns=1, size=(6.5, 1.9), legend_columns=3, sharex=True)


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Both representations have the target's sign at every weight, with the constants of the proofs."""
    whole = table[table["label"] != 0]
    found = [
        claim(
            f"fig1/sign[{name}]", "Figure 1", 0.0, float((rows["label"] * rows["output"] <= 0).sum()), "equal",
            f"weights 0..{int(rows['weight'].max())} at which the network's sign is not the target's", Kind.EXACT,
        )
        for name, rows in whole.groupby("representation")
    ]  # fmt: skip
    sums = whole[whole["representation"] == "sigmoid"].assign(sum=lambda t: t["output"] + 0.5)
    relu = whole[whole["representation"] == "relu"]
    on, off = sums[sums["label"] == 1]["sum"].min(), sums[sums["label"] == -1]["sum"].max()
    return [
        *found,
        claim(
            "fig1/sigmoid-on", "proof of Lemma 1", 0.84, float(on), "at_least",
            "smallest sum of indicators at a weight in A", Kind.LOWER_BOUND,
        ),
        claim(
            "fig1/sigmoid-off", "proof of Lemma 1", 0.17, float(off), "at_most",
            "largest sum of indicators at a weight not in A", Kind.UPPER_BOUND,
        ),
        claim(
            "fig1/relu-exact", "Lemma 2", 0.0, float((relu["output"] - relu["label"] / 2).abs().max()), "equal",
            "largest distance of the output from 1/2 on A and -1/2 off A, over integer weights", Kind.EXACT,
        ),
    ]  # fmt: skip


EXPERIMENT = Experiment(
    title="Symmetric functions represented by sigmoid and ReLU networks",
    source=f"{PAPER}, Figure 1",
    revision=1,
    scales=dict.fromkeys(("smoke", "laptop", "paper"), Scale(_cells, seeds=1, seconds=1)),
    run=run,
    figure=figure,
    claims=claims,
)
