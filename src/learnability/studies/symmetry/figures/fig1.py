"""Figure 1: the sigmoid and the ReLU approximations of f_A for A = {1, 5, 7, 15, 20, 21, 22, 25}.

The paper's caption gives no n; here n = 30, as in its experiments. The zig-zag of the other version (arXiv
1907.00560, formula lost and reconstructed) is drawn beside them. Nothing is random: one seed at every scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from learnability import plotting
from learnability.networks.one_hidden import activate
from learnability.networks.symmetry import represent_relu, represent_sigmoid, represent_zigzag
from learnability.studies.symmetry import PAPER
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

A = (1, 5, 7, 15, 20, 21, 22, 25)
_MAKERS = {"sigmoid": represent_sigmoid, "relu": represent_relu, "zigzag": represent_zigzag}
_SETTINGS: tuple[Setting, ...] = tuple({"n": 30, "representation": name} for name in _MAKERS)


def run(s: Setting, seed: int) -> list[Row]:
    """The network's output along the Hamming weight taken as a real number, twenty points a unit."""
    n, name = int(s["n"]), str(s["representation"])
    network = _MAKERS[name](n, A)
    weight = np.arange(20 * n + 1) / 20
    # constant hidden rows: the hidden layer sees the sum of the input only
    z = weight[:, None] * network.W[:, 0] + network.B
    output = activate(z, "sigmoid" if name == "sigmoid" else "relu") @ network.M + network.b
    return [{"weight": float(k), "output": float(o), "label": _label(k)} for k, o in zip(weight, output, strict=True)]


def _label(weight: float) -> float:
    """f_A at an integer weight, 0 in between."""
    if weight != round(weight):
        return 0.0
    return 1.0 if round(weight) in A else -1.0


def figure(table: pd.DataFrame) -> Figure:
    """Both approximations (and the zig-zag) against the Hamming weight, with the target's labels."""
    titles = {
        "sigmoid": "Lemma 1: sigmoid",
        "relu": "Lemma 2: ReLU",
        "zigzag": "Lemma 2 of the other version: zig-zag ReLU",
    }
    fig, axes = plotting.panels(3, 1, width=6.5, height=1.9, sharex=True)
    for ax, color, (name, title) in zip(axes, plotting.COLORS, titles.items(), strict=False):
        rows = table[(table["representation"] == name)].sort_values("weight")
        ax.axhline(0, color="#888888", linewidth=0.8)
        ax.plot(rows["weight"], rows["output"], color=color, label="network output")
        whole = rows[rows["label"] != 0]
        for label, marker in ((1, "o"), (-1, "x")):
            at = whole[whole["label"] == label]
            ax.plot(
                at["weight"],
                at["output"],
                marker,
                color="black",
                markersize=3.5,
                linestyle="none",
                label=f"weights with label {label:+d}",
            )
        ax.set(title=title, ylabel="output before the sign")
    axes[-1].set(xlabel="Hamming weight |x|", xlim=(0, table["weight"].max()))
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Both representations have the target's sign at every weight, with the constants of the proofs."""
    found = []
    whole = table[table["label"] != 0]
    for name, rows in whole.groupby("representation"):
        found.append(
            Guarantee(
                id=f"symmetry/fig1/sign[{name}]",
                source=f"{PAPER}, Figure 1",
                kind=Kind.EXACT,
                bound=0.0,
                measured=float((rows["label"] * rows["output"] <= 0).sum()),
                note=f"weights 0..{int(rows['weight'].max())} at which the network's sign is not the target's",
            )
        )
    sums = whole[whole["representation"] == "sigmoid"].assign(sum=lambda t: t["output"] + 0.5)
    relu = whole[whole["representation"] == "relu"]
    on, off = sums[sums["label"] == 1]["sum"].min(), sums[sums["label"] == -1]["sum"].max()
    found += [
        Guarantee(
            id="symmetry/fig1/sigmoid-on",
            source=f"{PAPER}, proof of Lemma 1",
            kind=Kind.LOWER_BOUND,
            bound=0.84,
            measured=float(on),
            note="smallest sum of indicators at a weight in A",
        ),
        Guarantee(
            id="symmetry/fig1/sigmoid-off",
            source=f"{PAPER}, proof of Lemma 1",
            kind=Kind.UPPER_BOUND,
            bound=0.17,
            measured=float(off),
            note="largest sum of indicators at a weight not in A",
        ),
        Guarantee(
            id="symmetry/fig1/relu-exact",
            source=f"{PAPER}, Lemma 2",
            kind=Kind.EXACT,
            bound=0.0,
            measured=float((relu["output"] - relu["label"] / 2).abs().max()),
            note="largest distance of the output from 1/2 on A and -1/2 off A, over integer weights",
        ),
    ]
    return found


EXPERIMENT = Experiment(
    title="Symmetric functions represented by sigmoid and ReLU networks",
    source=f"{PAPER}, Figure 1",
    revision=1,
    scales=dict.fromkeys(("smoke", "laptop", "paper"), Scale(_SETTINGS, seeds=1, seconds=1)),
    run=run,
    figure=figure,
    claims=claims,
)
