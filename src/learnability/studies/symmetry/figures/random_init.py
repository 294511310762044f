"""Beyond the paper: does a *randomly initialised* network fail to learn parity, whatever the details?

Section 5.3 says that parity cannot be learned from a random initialisation, and gives neither the initialisation
nor the step. This map trains both layers on parity, n = 20, over initialisation x step x confidence x sample size x
width, each for the number of epochs of Figure 5 (so a sample of n^3 is passed 1,200 times), and shows the final
true error.

``laptop`` leaves out the sample of n^4 and the wider network except at its most interesting cells; ``paper`` is the
full map; ``smoke`` is n = 8.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from learnability import checks
from learnability.errors import RequestError
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
    from collections.abc import Callable, Iterator

    import pandas as pd

_AXES = {1: 12_000, 2: 400, 3: 1_200, 4: 35}
_NEAR_HALF, _LEARNT = 0.4, 0.1
_INTERESTING = {"sizes": (3,), "inits": ("normal", "he"), "h_powers": (2, 3), "betas": ("n^3 h",)}
"""The cells of a wider network where not all of them are run."""


def _cells(usual_n: int, axes: dict[int, int], *, whole: bool = True) -> Callable[..., tuple[Setting, ...]]:
    """Settings for the usual n, with the epochs by the exponent of the sample; ``whole``: all cells at each width."""
    exponents, ends = tuple(axes), tuple(axes.values())

    def cells(
        n: int = usual_n,
        sizes: tuple[int, ...] = exponents,
        epochs: tuple[int, ...] = ends,
        inits: tuple[str, ...] = RANDOM_KINDS,
        h_powers: tuple[int, ...] = (1, 2, 3, 4),
        betas: tuple[str, ...] = curves.BETAS,
        widths: tuple[int, ...] = (1, 4),
    ) -> tuple[Setting, ...]:
        checks.integer("n", n, at_least=1)
        lengths = curves.lasting(epochs, axes, curves.powers("sizes", sizes), lambda _: (n / usual_n) ** 2)
        checks.several("inits", inits, checks.choice, RANDOM_KINDS)
        checks.several("betas", betas, checks.choice, curves.BETAS)
        checks.several("widths", widths, checks.integer, at_least=1)
        swept: dict[str, tuple[Any, ...]] = {
            "sizes": sizes, "inits": inits, "h_powers": curves.powers("h_powers", h_powers), "betas": betas,
        }  # fmt: skip

        def at(width: int) -> Iterator[Setting]:
            chosen = swept
            if width > 1 and not whole:
                chosen = {name: tuple(v for v in found if v in _INTERESTING[name]) for name, found in swept.items()}
            for size, kind, power, beta in product(*chosen.values()):
                yield setting(
                    n=n, m=n**size, target="parity", init=kind, h_power=power, beta=beta, width=width,
                    epochs=lengths[size], size=size,
                )  # fmt: skip

        found = tuple(cell for width in widths for cell in at(width))
        if not found:
            raise RequestError(
                f"widths must hold 1 where none of the cells of a wider network is chosen, got {widths}"
            )
        return found

    return cells


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
        "smoke": Scale(
            partial(_cells(8, {1: 200, 2: 100, 3: 50}), inits=("normal", "he"), h_powers=(1, 2), widths=(1,)),
            seeds=3,
            seconds=3,
        ),
        "laptop": Scale(_cells(20, {size: _AXES[size] for size in (1, 2, 3)}, whole=False), seeds=10, seconds=1000),
        "paper": Scale(_cells(20, _AXES), seeds=10, seconds=12_000),
    },
    run=run,
    figure=figure,
    claims=claims,
)
