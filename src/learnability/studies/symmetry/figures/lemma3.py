"""Lemma 3: the initial embedding separates every symmetric function with a margin of order n^(-1/2).

The paper has no figure of it. Here: exact hard margins of the lifted embedding (v, 1) against n for four
initialisations, for parity and for random symmetric functions, beside the explicit lower bounds that the
constructions give (:func:`learnability.studies.symmetry.theorems.lemmas_thm1.lemma3_bound`; the paper states the
order only) and the limits of margin * sqrt(n) for parity that this project derived. That parity is the worst of *all*
2^(n+1) functions is proved for each n by a certificate in ``learnability verify symmetry/lemma3-worst-function``; a
figure can only try some.

Each seed draws its own random functions; ``laptop`` and ``paper`` differ in how many a task has.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from learnability import checks
from learnability.networks.symmetry import embedding, symmetry_init
from learnability.plotting import COLORS, Curve, Panel, Plot
from learnability.problems.symmetry import parity, random_symmetric
from learnability.seeding import generator
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry.theorems.lemmas_thm1 import LEMMA3_LIMITS, lemma3, lemma3_bound, lemma3_scaling
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Kind
from learnability.theory.margins import hard_margin, lift

if TYPE_CHECKING:
    import pandas as pd

_INITS = {"integer": "integer", "half_integer": "half-integer", "quarter": "quarter", "sigmoid": "sigmoid"}
_FITTED_FROM = 10
"""Least n of the fitted exponent: below, the ends of the weights 0..n still show."""


_SIZES = (2, 3, 4, 6, 8, 10, 14, 20, 30, 42, 60, 85, 120, 160, 200)


def _cells(
    n: tuple[int, ...] = _SIZES, draws: int = 20, inits: tuple[str, ...] = tuple(_INITS)
) -> tuple[Setting, ...]:
    checks.several("n", n, checks.integer, at_least=1)
    checks.several("inits", inits, checks.choice, tuple(_INITS))
    checks.integer("draws", draws, at_least=1)
    return tuple({"init": kind, "n": size, "draws": draws} for kind in inits for size in n)


def run(s: Setting, seed: int) -> list[Row]:
    """Margins of parity (draw 0) and of ``draws`` random functions, with the certified upper bound beside each."""
    n, kind = int(s["n"]), str(s["init"])
    points = lift(embedding(symmetry_init(n, kind), activation="sigmoid" if kind == "sigmoid" else "relu"))
    rng = generator(seed, "functions", n)
    functions = [parity(n)] + [random_symmetric(n, rng) for _ in range(int(s["draws"]))]
    found = [hard_margin(points, f.labels) for f in functions]
    return [
        {"function": "random" if draw else "parity", "draw": draw, "margin": one.margin, "gap": one.gap / one.upper}
        for draw, one in enumerate(found)
    ]


def _parity(table: pd.DataFrame, kind: str) -> pd.Series:
    """Parity's margin by n."""
    rows = table[(table["init"] == kind) & (table["function"] == "parity")]
    margins: pd.Series = rows.groupby("n")["margin"].min().sort_index()
    return margins


def figure(table: pd.DataFrame) -> Plot:
    """(a) Margin against n with the explicit bounds; (b) margin times sqrt(n) with its limits."""
    left, right = [], []
    sizes = np.sort(table["n"].unique())
    for index, (color, marker, (kind, name)) in enumerate(zip(COLORS, "osD^", _INITS.items(), strict=False)):
        worst = _parity(table, kind)
        if worst.empty:
            continue
        n = worst.index.to_numpy(dtype=float)
        random = table[(table["init"] == kind) & (table["function"] == "random")].groupby("n")["margin"]
        beside = random.min().index.to_numpy(dtype=float) * 1.05 ** (index - 1.5)
        limit = LEMMA3_LIMITS[kind]
        left += [
            Curve(n, worst, label=name, color=color, marker=marker, markersize=3.5, linewidth=0.9),
            *(
                Curve([x, x], ends, color=color, alpha=0.45, linewidth=1.6)
                for x, *ends in zip(beside, random.min(), random.max(), strict=True)
            ),
            Curve(n, [lemma3_bound(int(k), kind) for k in n], color=color, linestyle=":", linewidth=1.2),
        ]
        right += [
            Curve(n, worst * np.sqrt(n), color=color, marker=marker, markersize=3.5, linewidth=0.9),
            Curve(
                [sizes[0] / 1.25, sizes[-1] * 1.25], [limit, limit], label=f"{limit:.4f}", color=color,
                linestyle="--", linewidth=0.9, direct=True,
            ),
        ]  # fmt: skip
    grey, nowhere = "#888888", ([np.nan], [np.nan])  # for the legend only
    left += [
        Curve(sizes, 0.12 / np.sqrt(sizes), label="slope −1/2", color="black", linewidth=1.0),
        Curve(
            *nowhere, label="random functions, least to largest", color=grey, linestyle="", marker="|", markersize=9
        ),
        Curve(*nowhere, label="explicit lower bound for every function", color=grey, linestyle=":"),
    ]
    return Plot(
        [
            Panel(left, "(a) margin of the embedding", "n", "hard margin γ", xscale="log", yscale="log"),
            Panel(
                right, "(b) parity: γ √n and its limit (dashed)", "n", "γ √n", xscale="log",
                xlim=(sizes[0] / 1.25, sizes[-1] * 1.25),
            ),
        ],
        size=(3.8, 3.4), note="markers: parity", legend_columns=3,
    )  # fmt: skip


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """The order of Lemma 3, its explicit bound, the worst function tried, and the limit of margin * sqrt(n)."""
    found = []
    for kind in _INITS:
        inside = table[table["init"] == kind]
        if inside.empty:
            continue
        least = inside.groupby("n")["margin"].min()
        # the n with the least room, relative to the bound, stands for all
        tightest = int(min(least.index, key=lambda n: least[n] / lemma3_bound(int(n), kind)))
        tried = int((inside["function"] == "random").sum())
        found.append(
            lemma3(
                tightest,
                kind,
                margin=float(least[tightest]),
                case="tightest of the figure",
                note=f"n = {', '.join(map(str, least.index))}; parity and {tried} random functions; largest relative "
                f"duality gap {inside['gap'].max():.1e}",
            )
        )
        worst = _parity(table, kind)
        fitted = worst[worst.index >= _FITTED_FROM]
        if len(fitted) > 1:
            found.append(lemma3_scaling(kind, fitted.index.to_numpy(dtype=float), fitted.to_numpy(), tolerance=0.05))
        random = inside[inside["function"] == "random"].groupby("n")["margin"].min()
        ratio = (random / worst).min()
        found.append(
            claim(
                f"lemma3/parity-is-worst[{kind}]", "Lemma 3 (parity as the worst function: this project)", 1.0,
                float(ratio), "at_least", f"least margin of a random function over parity's, least over n, {tried} "
                "functions; 1 is reached where a draw is parity or its complement", tolerance=1e-9,
            )
        )  # fmt: skip
        top, limit = int(worst.index[-1]), LEMMA3_LIMITS[kind]
        found.append(
            claim(
                f"lemma3/limit[{kind},n={top}]", "Lemma 3 (limit derived by this project)", limit,
                float(worst[top] * np.sqrt(top)), "equal",
                "parity's margin * sqrt(n) at the largest n against its limit; room 1.2 limit / n",
                Kind.TREND, tolerance=1.2 * limit / top,
            )
        )  # fmt: skip
    return found


EXPERIMENT = Experiment(
    title="Margin of the initial embedding against n",
    source=f"{PAPER}, Lemma 3",
    revision=1,
    scales={
        "smoke": Scale(partial(_cells, n=(2, 4, 8, 12, 20, 40), draws=5), seeds=1, seconds=1),
        "laptop": Scale(_cells, seeds=1, seconds=6),
        "paper": Scale(partial(_cells, draws=200), seeds=1, seconds=55),
    },
    run=run,
    figure=figure,
    claims=claims,
)
