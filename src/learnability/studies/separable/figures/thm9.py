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
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability.evidence.intervals import share
from learnability.evidence.tables import pick, values
from learnability.plotting import COLORS, Curve, HeatMap, Item, Panel, Plot
from learnability.seeding import generator
from learnability.studies.separable import PAPER, claim
from learnability.studies.separable.theorems import thm9
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.training.coordinates import by_coordinates

if TYPE_CHECKING:
    import pandas as pd

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


def pooled(table: pd.DataFrame) -> pd.DataFrame:
    """Failures and draws of every (d, k) over seeds, with the share of failures and its interval."""
    how = {"failures": "sum", "draws": "sum", "exceptions": "sum", "most_updates": "max"}
    cells = table.groupby(["d", "k"]).agg(how).reset_index()
    found = [share(np.arange(n) < x) for x, n in zip(cells["failures"], cells["draws"], strict=True)]
    return cells.assign(**{name: [getattr(one, name) for one in found] for name in ("estimate", "low", "high")})


def figure(table: pd.DataFrame) -> Plot:
    """(a) The phase diagram; (b) cuts at some d with the closed form; (c) all cells over k - log2 d."""
    cells = pooled(table)
    sizes, most = values(cells, "d"), int(cells["k"].max())
    ks, cuts = np.linspace(1, most, 300), []
    for d, shade in zip(sizes[:: max(1, (len(sizes) - 1) // 3)], COLORS, strict=False):
        cuts.append(Curve(ks, -np.expm1(d * np.log1p(-(0.5**ks))), color=shade, linewidth=1.0))
        cuts.append(_shares(pick(cells, d=d), pick(cells, d=d)["k"], color=shade, label=f"d = {d}"))
    grid = np.linspace(-6, 9, 300)
    ends = (-6, -math.log2(-math.log(DELTA))), (math.log2(2 / DELTA), 9)
    collapse = [
        _shares(cells, cells["k"] - np.log2(cells["d"]), markersize=2, alpha=0.5, label="measured, every d and k"),
        Curve(grid, -np.expm1(-(0.5**grid)), color="black", linewidth=1.0, label="limit 1 − exp(−2$^{-z}$)"),
        *(
            Curve(between, (math.nan, math.nan), (-0.05, -0.05), (1.05, 1.05), color=shade, alpha=0.6)
            for between, shade in zip(ends, COLORS[1:], strict=False)
        ),
    ]
    chance = "P(non-global minimum)"
    panels = [
        _phase(cells),
        Panel(
            cuts, "(b) cuts; lines: 1 − (1 − 2$^{-k}$)$^d$", "units of each sign k", chance,
            xticks=range(2, most + 1, 2), legend="upper right",
        ),
        Panel(
            collapse, "(c) shaded: where Theorem 9 promises", "z = k − log$_2$ d", chance, xlim=(-6, 9),
            ylim=(-0.05, 1.05), legend="upper right",
        ),
    ]  # fmt: skip
    draws = int(cells["draws"].min())
    note = f"{draws} runs in each cell, bars: 95 % confidence (Clopper–Pearson), δ = {DELTA:g}"
    return Plot(panels, columns=3, size=(3.7, 3.4), note=note, legend_columns=4)


def _phase(cells: pd.DataFrame) -> Panel:
    """Measured shares as colours, level sets of the closed form, and the theorem's thresholds."""
    square = cells.pivot(index="k", columns="d", values="estimate")
    exponents = np.log2(square.columns.to_numpy(float))
    gap = float(exponents[1] - exponents[0]) if len(exponents) > 1 else 1.0
    at = np.linspace(-0.5, len(exponents) - 0.5, 100)  # a column is a place, and so is a row: k - 1
    x = exponents[0] + gap * at
    items: list[Item] = [
        HeatMap(
            square.to_numpy(), [str(d) if i % 2 == 0 else "" for i, d in enumerate(square.columns)],
            [str(k) if k % 2 == 0 else "" for k in square.index], "share of runs", (0, 1), "Blues",
        )
    ]  # fmt: skip
    for level, line, label in ((0.9, ":", "closed form = 0.1, 0.9"), (0.5, "-", "closed form = 1/2"), (0.1, ":", "")):
        k = -np.log2(-np.expm1(np.log1p(-level) / 2**x))  # 1 - (1 - 2^-k)^d = level
        items.append(Curve(at, k - 1, color="black", linewidth=1.0, linestyle=line, label=label))
    sides = (("failure", "fails", "below", COLORS[1]), ("success", "succeeds", "above", COLORS[2]))
    for side, word, where, shade in sides:
        k = x + thm9.width_threshold(1, DELTA, side=side)
        label = f"Theorem 9: {word} with P ≥ 1 − δ {where}"
        items.append(Curve(at, k - 1, color=shade, linestyle="--", label=label))
    return Panel(
        items, "(a) measured P(non-global minimum)", "examples and dimensions d", "units of each sign k",
        xlim=(at[0], at[-1]), ylim=(-0.5, len(square) - 0.5),
    )  # fmt: skip


def _shares(cells: pd.DataFrame, x: pd.Series, **look: Any) -> Curve:
    dots: dict[str, Any] = {"bars": True, "linestyle": "", "marker": "o", "markersize": 3, **look}
    return Curve(x, cells["estimate"], cells["low"], cells["high"], **dots)


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """The closed form and both thresholds at every cell, who fails and why, and the number of updates."""
    cells = pooled(table)
    exact, totals, inside = [], [], []
    counts = [(int(d), int(k), int(x), int(n)) for d, k, x, n in cells[["d", "k", "failures", "draws"]].to_numpy()]
    for (d, k, failures, draws), most, low, high in zip(
        counts, cells["most_updates"], cells["low"], cells["high"], strict=True
    ):
        chance, *limits = thm9.theorem9(
            d=d, k=k, failures=failures, draws=draws, C=RANGE, eta=ETA,
            updates=int(most) if failures < draws else None,
        )  # fmt: skip
        exact.append(chance)
        inside.append(low <= thm9.failure_probability(d, k) <= high)
        if failures < draws:
            totals.append(limits[0])
    reach = f"figure,d={cells['d'].min()}..{cells['d'].max()}"
    result = [
        tightest(statement_id("separable/thm9", reach), exact, "frequency of failure at every k and d"),
        *thm9.thresholds(counts, DELTA, reach),
    ]
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
            "thm9/coverage", "Theorem 9 (closed form: this project)", 0.95, share(inside, unit="cells"), "at_least",
            "cells whose 95 % interval (Clopper and Pearson) holds the closed form",
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
