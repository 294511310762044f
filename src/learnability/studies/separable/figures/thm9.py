"""Theorem 9: a phase diagram of the probability that SGD ends at a non-global minimum, over k and d.

The paper proves two thresholds and shows no picture. ReLU networks, output weights +1 and -1, on e_1, ..., e_d all
labelled +1; the entries of W_0 are uniform on [-1, 1]; eta = 1/2. Measured: the share of runs that end with a loss
above 0. Beside it: the closed form 1 - (1 - 2^-k)^d, and the theorem's two thresholds at delta = 0.1.

The examples share no weight, so every run is made coordinate by coordinate, whatever the order
(:func:`learnability.training.coordinates.by_coordinates`; that the engine does the same is what ``learnability verify
separable/thm9-engine`` checks). Each seed makes ``draws`` runs of every cell.
"""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.errors import RequestError
from learnability.evidence.intervals import share
from learnability.evidence.tables import pick, told, values
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
"""The entries of W_0 are uniform on [-RANGE, RANGE]; the step. What is set otherwise is named in the settings,
and so is another delta."""


def run(s: Setting, seed: int) -> list[Row]:
    """One row for each k: how many runs failed, how many had a dead example, most updates of a run that did not."""
    d, draws = int(s["d"]), int(s["draws"])
    radius, eta = float(s.get("C", RANGE)), float(s.get("eta", ETA))
    rows = []
    for k in range(1, int(s["k_most"]) + 1):
        rng = generator(seed, "thm9", "start", d, k)
        failures = exceptions = most = 0
        for _ in range(draws):
            W = rng.uniform(-radius, radius, (2 * k, d))
            dead = bool((W[:k] <= 0).all(axis=0).any())
            ends = by_coordinates(W, eta)
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
    cells, delta = pooled(table), float(told(table, "delta", DELTA))
    sizes, most = values(cells, "d"), int(cells["k"].max())
    ks, cuts = np.linspace(1, most, 300), []
    for d, shade in zip(sizes[:: max(1, (len(sizes) - 1) // 3)], COLORS, strict=False):
        cuts.append(Curve(ks, -np.expm1(d * np.log1p(-(0.5**ks))), color=shade, linewidth=1.0))
        cuts.append(_shares(pick(cells, d=d), pick(cells, d=d)["k"], color=shade, label=f"d = {d}"))
    grid = np.linspace(-6, 9, 300)
    ends = (-6, -math.log2(-math.log(delta))), (math.log2(2 / delta), 9)
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
        _phase(cells, delta),
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
    note = f"{draws} runs in each cell, bars: 95 % confidence (Clopper–Pearson), δ = {delta:g}"
    return Plot(panels, columns=3, size=(3.7, 3.4), note=note, legend_columns=4)


def _phase(cells: pd.DataFrame, delta: float) -> Panel:
    """Measured shares as colours, level sets of the closed form, and the theorem's thresholds."""
    square = cells.pivot(index="k", columns="d", values="estimate")
    exponents = np.log2(square.columns.to_numpy(float))
    at = np.linspace(-0.5, len(exponents) - 0.5, 100)  # a column is a place, and so is a row: k - 1
    if len(exponents) == 1:
        x = exponents[0] + at
    else:  # the outer halves of the first and the last column have the slope of their neighbours
        left, right = 2 * exponents[0] - exponents[1], 2 * exponents[-1] - exponents[-2]
        x = np.interp(at, np.arange(-1, len(exponents) + 1), [left, *exponents, right])
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
        k = x + thm9.width_threshold(1, delta, side=side)
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
    cells, delta = pooled(table), float(told(table, "delta", DELTA))
    radius, eta = float(told(table, "C", RANGE)), float(told(table, "eta", ETA))
    exact, totals, inside = [], [], []
    counts = [(int(d), int(k), int(x), int(n)) for d, k, x, n in cells[["d", "k", "failures", "draws"]].to_numpy()]
    for (d, k, failures, draws), most, low, high in zip(
        counts, cells["most_updates"], cells["low"], cells["high"], strict=True
    ):
        chance, *limits = thm9.theorem9(
            d=d, k=k, failures=failures, draws=draws, C=radius, eta=eta,
            updates=int(most) if failures < draws else None,
        )  # fmt: skip
        exact.append(chance)
        inside.append(low <= thm9.failure_probability(d, k) <= high)
        if failures < draws:
            totals.append(limits[0])
    reach = f"figure,d={cells['d'].min()}..{cells['d'].max()}"
    result = [
        tightest(statement_id("separable/thm9", reach), exact, "frequency of failure at every k and d"),
        *thm9.thresholds(counts, delta, reach),
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


_SIZES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


def _cells(
    d: tuple[int, ...] = _SIZES,
    beyond: int = 6,
    draws: int = 50,
    C: float = RANGE,
    eta: float = ETA,
    delta: float = DELTA,
) -> tuple[Setting, ...]:
    """The largest k is ``beyond`` more than log2 of the largest d."""
    if any(more <= less for less, more in itertools.pairwise(checks.several("d", d, checks.integer, at_least=2))):
        raise RequestError(f"d must rise, got {d}")
    checks.integer("beyond", beyond, at_least=1)
    checks.integer("draws", draws, at_least=1)
    checks.real("delta", delta, above=0.0, below=1)
    found = {"C": checks.real("C", C, above=0.0), "eta": checks.real("eta", eta, above=0.0), "delta": delta}
    usual = {"C": RANGE, "eta": ETA, "delta": DELTA}
    other = {name: value for name, value in found.items() if value != usual[name]}
    most = math.ceil(math.log2(d[-1])) + beyond
    return tuple({"d": size, "k_most": most, "draws": draws, **other} for size in d)


EXPERIMENT = Experiment(
    title="Probability of a non-global minimum over k and d",
    source=f"{PAPER}, Theorem 9",
    revision=1,
    scales={
        "smoke": Scale(partial(_cells, d=(8, 32, 128), beyond=5, draws=40), seeds=1, seconds=2),
        "laptop": Scale(_cells, seeds=4, seconds=57),
        "paper": Scale(partial(_cells, draws=200), seeds=10, seconds=600),
    },
    run=run,
    figure=figure,
    claims=claims,
)
