"""Theorem 9: a phase diagram of the probability that SGD ends at a non-global minimum, over k and d.

The paper proves two thresholds and shows no picture. ReLU networks, output weights +1 and -1, on e_1, ..., e_d all
labelled +1; the entries of W_0 are uniform on [-1, 1]; eta = 1/2. Measured: the share of runs that end with a loss
above 0. Beside it: the closed form 1 - (1 - 2^-k)^d, and the theorem's two thresholds at delta = 0.1.

The examples share no weight, so every run is made coordinate by coordinate, whatever the order
(:func:`learnability.training.coordinates.by_coordinates`; that the engine does the same is what ``learnability verify
separable/thm9-engine`` checks). Each seed makes ``draws`` runs of every cell.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from learnability import plotting
from learnability.seeding import generator
from learnability.studies.separable import PAPER, claim
from learnability.studies.separable.theorems import thm2_thm6 as theory
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.training.coordinates import by_coordinates

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DELTA = 0.1
RANGE, ETA = 1.0, 0.5
"""The entries of W_0 are uniform on [-RANGE, RANGE]; the step."""


def run(s: Setting, seed: int) -> list[Row]:
    """One row for each k: how many runs failed, how many had a dead example, most updates of a run that did not."""
    d, draws = int(s["d"]), int(s["draws"])
    rows = []
    for k in range(1, int(s["k_most"]) + 1):
        rng = generator(seed, "thm9", "start", d, k)
        failures = exceptions = most = 0
        for _ in range(draws):
            W = rng.uniform(-RANGE, RANGE, (2 * k, d))
            dead = bool((W[:k] <= 0).all(axis=0).any())
            ends = by_coordinates(W, ETA)
            stuck = bool((ends.outputs < 1).any())
            failures += stuck
            exceptions += stuck != dead
            if not dead:
                most = max(most, int(ends.updates.sum()))
        rows.append({"k": k, "failures": failures, "exceptions": exceptions, "most_updates": most})
    return rows


def _pooled(table: pd.DataFrame) -> pd.DataFrame:
    """Failures and draws of every (d, k) over seeds, with Clopper and Pearson's 95 % interval."""
    from scipy.special import betaincinv

    cells = (
        table.groupby(["d", "k"])
        .agg(
            failures=("failures", "sum"),
            draws=("draws", "sum"),
            exceptions=("exceptions", "sum"),
            most_updates=("most_updates", "max"),
        )
        .reset_index()
    )
    x, n = cells["failures"].to_numpy(float), cells["draws"].to_numpy(float)
    cells["share"] = x / n
    cells["low"] = np.where(x > 0, betaincinv(np.maximum(x, 0.5), n - x + 1, 0.025), 0.0)
    cells["high"] = np.where(x < n, betaincinv(x + 1, np.maximum(n - x, 0.5), 0.975), 1.0)
    return cells


def figure(table: pd.DataFrame) -> Figure:
    """(a) The phase diagram; (b) cuts at some d with the closed form; (c) all cells over k - log2 d."""
    from matplotlib.ticker import MaxNLocator

    cells = _pooled(table)
    fig, (phase, cuts, collapse) = plotting.panels(1, 3, width=3.7, height=3.4)
    _phase(fig, phase, cells)
    sizes = sorted(cells["d"].unique())
    shown = sizes[:: max(1, (len(sizes) - 1) // 3)]
    ks = np.linspace(1, cells["k"].max(), 300)
    for d, shade in zip(shown, plotting.COLORS, strict=False):
        rows = cells[cells["d"] == d]
        cuts.plot(ks, -np.expm1(d * np.log1p(-(0.5**ks))), color=shade, linewidth=1.0)
        _share(cuts, rows, rows["k"], color=shade, label=f"d = {d}")
    cuts.set(
        xlabel="units of each sign k", ylabel="P(non-global minimum)", title="(b) cuts; lines: 1 − (1 − 2$^{-k}$)$^d$"
    )
    cuts.xaxis.set_major_locator(MaxNLocator(integer=True))
    cuts.legend()
    shift = cells["k"] - np.log2(cells["d"])
    _share(collapse, cells, shift, color=plotting.COLORS[0], alpha=0.5, label="measured, every d and k")
    grid = np.linspace(-6, 9, 300)
    collapse.plot(grid, -np.expm1(-(0.5**grid)), color="black", linewidth=1.0, label="limit 1 − exp(−2$^{-z}$)")
    collapse.axvspan(-6, -math.log2(-math.log(DELTA)), color=plotting.COLORS[1], alpha=0.12, linewidth=0)
    collapse.axvspan(math.log2(2 / DELTA), 9, color=plotting.COLORS[2], alpha=0.12, linewidth=0)
    collapse.set(xlim=(-6, 9), xlabel="z = k − log$_2$ d", ylabel="P(non-global minimum)")
    collapse.set_title("(c) shaded: where Theorem 9 promises")
    collapse.legend()
    draws = int(cells["draws"].min())
    fig.supxlabel(f"{draws} runs in each cell, bars: 95 % confidence (Clopper–Pearson), δ = {DELTA:g}", fontsize=8)
    return fig


def _phase(fig: Figure, ax: Axes, cells: pd.DataFrame) -> None:
    """Measured shares as colours, level sets of the closed form, and the theorem's thresholds."""
    square = cells.pivot(index="k", columns="d", values="share")
    exponents = np.log2(square.columns.to_numpy(float))
    gap = float(exponents[1] - exponents[0]) if len(exponents) > 1 else 1.0
    edges = np.concatenate([exponents - gap / 2, [exponents[-1] + gap / 2]])
    rows = np.concatenate([square.index.to_numpy(float) - 0.5, [square.index[-1] + 0.5]])
    image = ax.pcolormesh(edges, rows, square.to_numpy(), vmin=0, vmax=1, cmap="Blues", rasterized=True)
    x = np.linspace(edges[0], edges[-1], 100)
    for level, line in ((0.9, ":"), (0.5, "-"), (0.1, ":")):
        # 1 - (1 - 2^-k)^d = level
        label = {0.5: "closed form = 1/2", 0.1: "closed form = 0.1, 0.9"}.get(level)
        ax.plot(x, -np.log2(-np.expm1(np.log1p(-level) / 2**x)), line, color="black", linewidth=1.0, label=label)
    sides = (("failure", "fails", plotting.COLORS[1]), ("success", "succeeds", plotting.COLORS[2]))
    for side, word, shade in sides:
        ax.plot(
            x, [math.log2(2**z) + theory.width_threshold(1, DELTA, side=side) for z in x], "--", color=shade,
            label=f"Theorem 9: {word} with P ≥ 1 − δ {'below' if side == 'failure' else 'above'}",
        )  # fmt: skip
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(rows[0], rows[-1])
    ax.set_xticks(exponents[:: max(1, len(exponents) // 5)])
    ax.set_xticklabels([f"{int(2**z)}" for z in ax.get_xticks()])
    ax.grid(visible=False)
    ax.set(
        xlabel="examples and dimensions d", ylabel="units of each sign k", title="(a) measured P(non-global minimum)"
    )
    ax.legend(loc="upper left", fontsize=6.5, frameon=True, framealpha=0.85)
    fig.colorbar(image, ax=ax, shrink=0.8)


def _share(ax: Axes, cells: pd.DataFrame, x: object, **look: object) -> None:
    bars = np.array([cells["share"] - cells["low"], cells["high"] - cells["share"]])
    ax.errorbar(x, cells["share"], yerr=bars, fmt="o", markersize=3, linewidth=0.8, **look)  # type: ignore[arg-type]


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """The closed form and both thresholds at every cell, who fails and why, and the number of updates."""
    cells = _pooled(table)
    exact, totals = [], []
    sides: dict[str, list[Guarantee]] = {"failure": [], "success": []}
    inside = 0
    for _, row in cells.iterrows():
        d, k, draws = int(row["d"]), int(row["k"]), int(row["draws"])
        alive = int(row["failures"]) < draws
        found = theory.theorem9(
            d=d, k=k, delta=DELTA, failures=int(row["failures"]), draws=draws, C=RANGE, eta=ETA,
            updates=int(row["most_updates"]) if alive else None,
        )  # fmt: skip
        exact.append(found[0])
        inside += bool(row["low"] <= theory.failure_probability(d, k) <= row["high"])
        for side, guarantee in zip(sides, found[1:3], strict=True):
            if all(h.holds for h in guarantee.hypotheses):
                sides[side].append(guarantee)
        if alive:
            totals.append(found[3])
    reach = f"figure,d={cells['d'].min()}..{cells['d'].max()}"
    result = [tightest(statement_id("separable/thm9", reach), exact, "frequency of failure at every k and d")]
    for side, cases in sides.items():
        if cases:
            result.append(tightest(statement_id(f"separable/thm9-{side}", reach, f"delta={DELTA:g}"), cases))
    if totals:
        result.append(tightest(statement_id("separable/thm9-updates", reach), totals, "runs without a dead example"))
    return [
        *result,
        claim(
            "thm9/dead", "Section 7.2", 0, int(cells["exceptions"].sum()), "equal",
            f"runs of {int(cells['draws'].sum())} that end with a loss but no dead example, or the reverse",
            Kind.EXACT,
        ),
        claim(
            "thm9/coverage", "Theorem 9 (closed form: this project)", 0.95, inside / len(cells), "at_least",
            f"share of {len(cells)} cells whose 95 % interval (Clopper and Pearson) holds the closed form; room 3 "
            " standard deviations",
            tolerance=3 * math.sqrt(0.95 * 0.05 / len(cells)),
        ),
    ]  # fmt: skip


def _cells(exponents: tuple[int, ...], beyond: int, draws: int) -> tuple[Setting, ...]:
    most = exponents[-1] + beyond
    return tuple({"d": 2**j, "k_most": most, "draws": draws} for j in exponents)


EXPERIMENT = Experiment(
    title="Probability of a non-global minimum over k and d",
    source=f"{PAPER}, Theorem 9",
    revision=1,
    scales={
        "smoke": Scale(_cells((3, 5, 7), 5, 40), seeds=1, seconds=2),
        "laptop": Scale(_cells(tuple(range(3, 13)), 6, 50), seeds=4, seconds=57),
        "paper": Scale(_cells(tuple(range(3, 13)), 6, 200), seeds=10, seconds=600),
    },
    run=run,
    figure=figure,
    claims=claims,
)
