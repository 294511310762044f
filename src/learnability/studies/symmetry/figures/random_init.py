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

from learnability.evidence.intervals import at_all, mean
from learnability.evidence.tables import pick
from learnability.networks.one_hidden import RANDOM_KINDS
from learnability.plotting import HeatMap, Panel, Plot
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry import runs as curves
from learnability.studies.symmetry.runs import setting
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee

if TYPE_CHECKING:
    import pandas as pd

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


def figure(table: pd.DataFrame) -> Plot:
    """Mean final true error: a panel for each sample size, confidence and width; rows are initialisations."""
    n = int(table["n"].iloc[0])
    kinds = [kind for kind in reversed(RANDOM_KINDS) if (table["init"] == kind).any()]
    powers = sorted(table["h_power"].unique())
    keys = {(int(w), str(b), int(s)) for w, b, s in zip(table["width"], table["beta"], table["size"], strict=True)}
    panels = []
    for width, beta, size in sorted(keys, key=lambda key: (key[0], key[1] == "0", key[2])):
        cell = pick(table, width=width, beta=beta, size=size)
        error = cell.pivot_table(index="init", columns="h_power", values="true_error", dropna=False)
        heat = HeatMap(
            error.reindex(index=kinds, columns=powers).to_numpy(), [f"n$^{{-{power}}}$" for power in powers], kinds,
            f"final true error on parity, n = {n}", limits=(0.0, 0.5), text="{:.2f}",
        )  # fmt: skip
        exponent, wider = "" if size == 1 else f"$^{size}$", f", {width}× width" if width > 1 else ""
        title = f"sample n{exponent}, β = {'0' if beta == '0' else 'n³h'}{wider}"
        panels.append(Panel([heat], title, "step h"))
    return Plot(panels, table["size"].nunique(), size=(2.9, 2.3))


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Section 5.3 as it stands, and restricted to the step of Figures 5 and 6; and whether anything is *learnt*."""
    keys = ["init", "h_power", "beta", "m", "size", "width"]
    runs = table.dropna(subset="true_error")
    found = []
    for name, what, chosen in (
        ("any-step", "every step", runs),
        ("small-step", "steps of at most n^-3", runs[runs["h_power"] >= 3]),
        ("small-sample", "samples of at most n^2", runs[runs["size"] <= 2]),
        ("beta-zero", "beta = 0", runs[runs["beta"] == "0"]),
    ):
        if chosen.empty:
            continue
        cells = chosen.groupby(keys)["true_error"]
        errors = cells.mean().reset_index()
        best = errors.sort_values("true_error", kind="stable").iloc[0]
        below = [int((errors["true_error"] < level).sum()) for level in (_NEAR_HALF, _LEARNT)]
        found.append(
            claim(
                f"random-init/cannot-learn-parity[{name}]",
                "section 5.3 (a network cannot learn parity from a random initialization)",
                _NEAR_HALF,
                at_all((mean(cell, comparisons=len(errors)) for _, cell in cells), "at_least", "least mean"),
                "at_least",
                f"final true error over {len(errors)} cells with {what}, least with {best['init']}, h = "
                f"n^-{best['h_power']}, beta = {best['beta']}, sample {best['m']}, {best['width']} x (4n+3) neurons; "
                f"the means of {below[0]} cells are below {_NEAR_HALF}, of {below[1]} below {_LEARNT}",
            )
        )
    return found


EXPERIMENT = Experiment(
    title="Which random initialisations learn parity? (beyond the paper)",
    source=f"{PAPER}, section 5.3, mapped",
    revision=1,
    scales={
        "smoke": Scale(_cells(8, {1: 200, 2: 100, 3: 50}, ("normal", "he"), (1, 2), _BETAS, 1), seeds=3, seconds=3),
        "laptop": Scale(_NARROW + _WIDE, seeds=10, seconds=1000),
        "paper": Scale(
            tuple(cell for width in (1, 4) for cell in _cells(20, _EPOCHS, RANDOM_KINDS, _POWERS, _BETAS, width)),
            seeds=10,
            seconds=12_000,
        ),
    },
    run=run,
    figure=figure,
    claims=claims,
)
