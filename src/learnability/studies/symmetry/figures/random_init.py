"""Beyond the paper: does a *randomly initialised* network fail to learn parity, whatever the details?

Section 5.3 says that parity cannot be learned from a random initialisation, and gives neither the initialisation
nor the step. This map trains both layers on parity, n = 20, over initialisation x step x confidence x sample size x
width, each for the number of epochs of Figure 5 (so a sample of n^3 is passed 1,200 times), and shows the final
true error.

``laptop`` leaves out the sample of n^4 and the wider network except at its most interesting cells; ``paper`` is the
full map; ``smoke`` is n = 8.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from learnability import plotting
from learnability.networks.one_hidden import RANDOM_KINDS
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry import runs as curves
from learnability.studies.symmetry.runs import setting
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_POWERS = (1, 2, 3, 4)
_BETAS = ("n^3 h", "0")
_EPOCHS = {1: 12_000, 2: 400, 3: 1_200, 4: 35}
_NEAR_HALF, _LEARNT = 0.4, 0.1


def _cells(
    n: int,
    epochs: dict[int, int],
    kinds: tuple[str, ...],
    powers: tuple[int, ...],
    betas: tuple[str, ...],
    width: int,
) -> tuple[Setting, ...]:
    return tuple(
        setting(
            n=n,
            m=n**size,
            target="parity",
            init=kind,
            h_power=power,
            beta=beta,
            width=width,
            epochs=length,
            size=size,
        )
        for (size, length), kind, power, beta in product(epochs.items(), kinds, powers, betas)
    )


_NARROW = _cells(20, {k: v for k, v in _EPOCHS.items() if k < 4}, RANDOM_KINDS, _POWERS, _BETAS, 1)
_WIDE = _cells(20, {3: _EPOCHS[3]}, ("normal", "he"), (2, 3), ("n^3 h",), 4)


def run(s: Setting, seed: int) -> list[Row]:
    """The end of one run; NaN errors where it diverged."""
    return curves.run(s, seed, only_end=True)


def figure(table: pd.DataFrame) -> Figure:
    """Mean final true error: a panel for each sample size, confidence and width; rows are initialisations."""
    import numpy as np

    n = int(table["n"].iloc[0])
    panels = sorted({(w, b, s) for w, b, s in zip(table["width"], table["beta"], table["size"], strict=True)},
                    key=lambda p: (p[0], p[1] == "0", p[2]))  # fmt: skip
    columns = table["size"].nunique()
    fig, axes = plotting.panels(-(-len(panels) // columns), columns, width=2.9, height=2.3)
    kinds = [kind for kind in RANDOM_KINDS if (table["init"] == kind).any()]
    powers = sorted(table["h_power"].unique())
    image = None
    for ax, (width, beta, size) in zip(axes, panels, strict=False):
        cell = table[(table["width"] == width) & (table["beta"] == beta) & (table["size"] == size)]
        mean = cell.pivot_table(index="init", columns="h_power", values="true_error", aggfunc="mean", dropna=False)
        grid = mean.reindex(index=kinds, columns=powers).to_numpy()
        image = ax.imshow(grid, vmin=0, vmax=0.5, cmap="viridis", aspect="auto")
        for (row, column), value in np.ndenumerate(grid):
            if np.isfinite(value):
                ax.text(
                    column, row, f"{value:.2f}", ha="center", va="center", fontsize=7,
                    color="black" if value > 0.3 else "white",
                )  # fmt: skip
        ax.grid(visible=False)
        ax.set_xticks(range(len(powers)), [f"n$^{{-{power}}}$" for power in powers])
        ax.set_yticks(range(len(kinds)), kinds)
        exponent = "" if size == 1 else f"$^{size}$"
        ax.set_title(
            f"sample n{exponent}, β = {'0' if beta == '0' else 'n³h'}" + (f", {width}× width" if width > 1 else "")
        )
        ax.set_xlabel("step h")
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    if image is not None:
        fig.colorbar(image, ax=axes, label=f"final true error on parity, n = {n}", shrink=0.7)
    return fig


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Section 5.3 as it stands, and restricted to the step of Figures 5 and 6; and whether anything is *learnt*."""
    keys = ["init", "h_power", "beta", "m", "size", "width"]
    mean = table.groupby(keys, as_index=False)["true_error"].mean().dropna()
    found = []
    for name, what, cells in (
        ("any-step", "every step", mean),
        ("small-step", "steps of at most n^-3", mean[mean["h_power"] >= 3]),
        ("small-sample", "samples of at most n^2", mean[mean["size"] <= 2]),
        ("beta-zero", "beta = 0", mean[mean["beta"] == "0"]),
    ):
        if cells.empty:
            continue
        best = cells.loc[cells["true_error"].idxmin()]
        found.append(
            claim(
                f"random-init/cannot-learn-parity[{name}]",
                "section 5.3 (a network cannot learn parity from a random initialization)",
                _NEAR_HALF, float(best["true_error"]), "at_least",
                f"smallest mean final true error over {len(cells)} cells with {what}: {best['init']}, h = "
                f"n^-{best['h_power']}, beta = {best['beta']}, sample {best['m']}, {best['width']} x (4n+3) neurons; "
                f"{int((cells['true_error'] < _NEAR_HALF).sum())} cells are below {_NEAR_HALF}, "
                f"{int((cells['true_error'] < _LEARNT).sum())} below {_LEARNT}",
            )
        )  # fmt: skip
    return found


EXPERIMENT = Experiment(
    title="Which random initialisations learn parity? (beyond the paper)",
    source=f"{PAPER}, section 5.3, mapped",
    revision=1,
    scales={
        "smoke": Scale(_cells(8, {1: 200, 2: 100, 3: 50}, ("normal", "he"), (1, 2), _BETAS, 1), seeds=1, seconds=2),
        "laptop": Scale(_NARROW + _WIDE, seeds=2, seconds=200),
        "paper": Scale(
            tuple(cell for width in (1, 4) for cell in _cells(20, _EPOCHS, RANDOM_KINDS, _POWERS, _BETAS, width)),
            seeds=5,
            seconds=6000,
        ),
    },
    run=run,
    figure=figure,
    claims=claims,
)
