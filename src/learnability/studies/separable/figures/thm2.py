"""Theorem 2 and Corollary 3: non-zero updates against width (2k = 2 to 20,000) and step, with the bounds.

The paper proves this and shows no picture. First layer trained from Equation 6, where Theorem 2's M_k does not depend
on k and is Corollary 3's bound. Four data sets, each fixed for all runs:

- Theorem 4's sequence (d = 64, cyclic order, the start of its proof), the only one with a lower bound as well: our
  sharp form of it, see :func:`learnability.studies.separable.theorems.thm4_thm10.lower_bound`;
- 400 points of margin 0.15 in the ball, d = 20;
- the 275 training images of 3 and 5 among scikit-learn's digits;
- where its file is there, MNIST's 3,000, at steps from 0.3 on (the number of updates goes with 1 / eta) and, at
  ``laptop``, up to 2k = 600.

The upper row varies the width at one step, the lower row the step at two widths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import plotting
from learnability.evidence.tables import pick
from learnability.studies.separable import PAPER, claim
from learnability.studies.separable import claims as sure
from learnability.studies.separable.runs import ALPHA, SEQUENCE, images, ready, setting
from learnability.studies.separable.runs import run as train
from learnability.studies.separable.theorems import thm2_thm6 as theory
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTHS = (2, 6, 20, 60, 200, 600, 2000, 6000, 20_000)
_STEPS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_USUAL = {"sequence": 0.1, "ball": 0.1, "digits": 0.1, "mnist": 1.0}
"""The step of the upper row."""
_NAMES = {
    "sequence": f"Theorem 4's sequence, d = {SEQUENCE}",
    "ball": "ball, margin 0.15, d = 20",
    "digits": "digits 8x8, 3 against 5",
    "mnist": "MNIST, 3 against 5",
}


def run(s: Setting, seed: int) -> list[Row]:
    """The end of one run; the sequence's count has an exact value, and nothing in it depends on the seed."""
    rows = train(s, seed, only_end=True)
    exact = 0
    if s["data"] == "sequence":
        exact = theory.sequence_updates(
            d=SEQUENCE, k=int(s["width"]) // 2, eta=_decimal(s["eta"]), alpha=_decimal(s["alpha"])
        )
    return [{**row, "exact": exact} for row in rows]


def _decimal(number: Any) -> Any:
    """The decimal number that is meant, as a fraction."""
    from fractions import Fraction

    return Fraction(str(number))


def _bound(rows: pd.DataFrame, eta: float) -> float:
    return theory.corollary3_bound(w_norm=float(rows["w_norm"].iloc[0]), eta=eta, alpha=ALPHA)


def _below(eta: float) -> float:
    return float(theory.lower_bound(d=SEQUENCE, k=1, eta=eta, alpha=ALPHA, form="sharp"))


def figure(table: pd.DataFrame) -> Figure:
    """Above: updates against the width. Below: against the step. A column for each data set."""
    shown = [data for data in _NAMES if (table["data"] == data).any()]
    fig, axes = plotting.panels(2, len(shown), width=2.6, height=2.6, sharey="col")
    shades = dict(zip(sorted(pick(table, axis="step")["width"].unique()), plotting.COLORS[1:], strict=False))
    for column, data in enumerate(shown):
        rows = pick(table, data=data)
        wide, steps = axes[column], axes[len(shown) + column]
        _against(wide, pick(rows, axis="width"), "width", {})
        _against(steps, pick(rows, axis="step"), "eta", shades)
        wide.set(title=_NAMES[data], xlabel=f"hidden units 2k (η = {_USUAL[data]:g})")
        steps.set(xlabel="step η")
    for ax in (axes[0], axes[len(shown)]):
        ax.set_ylabel("non-zero updates")
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    seeds = table["seed"].nunique()
    note = f"mean over {seeds} runs, bands: from the least to the most" if seeds > 1 else "one run"
    fig.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=3, title=note, title_fontsize=8
    )  # fmt: skip
    return fig


def _against(ax: Axes, rows: pd.DataFrame, x: str, shades: dict[Any, str]) -> None:
    """One panel: measured updates (a curve for each width if x is the step), and the bounds."""
    if x == "width":
        grid = np.array([rows["width"].min(), rows["width"].max()], dtype=float)
        steps = np.full(2, float(rows["eta"].iloc[0]))
        groups = [("measured, against the width", plotting.COLORS[0], rows)]
    else:
        grid = steps = np.geomspace(rows["eta"].min(), rows["eta"].max(), 60)
        groups = [
            (f"measured, 2k = {width}", shades[width], pick(rows, width=width))
            for width in sorted(rows["width"].unique())
        ]
    ax.plot(grid, [_bound(rows, eta) for eta in steps], color="black", label="Theorem 2 = Corollary 3: at most")
    if rows["data"].iloc[0] == "sequence":
        ax.plot(grid, [_below(eta) for eta in steps], "--", color="#555555", label="Theorem 4, sharp: at least")
    for index, (label, shade, group) in enumerate(groups):
        look: dict[str, Any] = {"markerfacecolor": "none", "linestyle": "--", "markersize": 7} if index else {}
        runs = group.groupby(x)["updates"]
        at = runs.mean().index.to_numpy(float)
        options = {"marker": "s" if index else "o", "markersize": 4, **look}
        ax.plot(at, runs.mean().to_numpy(), color=shade, label=label, **options)
        ax.fill_between(at, runs.min().to_numpy(float), runs.max().to_numpy(float), color=shade, alpha=0.25)
    ax.set(xscale="log", yscale="log")


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Every run ends at loss 0 within Theorem 2's bound; no growth with the width; exact counts but at ties."""
    found = []
    for data in (name for name in _NAMES if (table["data"] == name).any()):
        rows = pick(table, data=data)
        found.append(sure.zero_loss(f"thm2/zero-loss[{data}]", "Section 2 (SGD stops at a global minimum)", rows))
        cases = [g for width in sorted(rows["width"].unique()) for g in _within(rows, data, int(width))]
        found.append(tightest(f"separable/thm2[widths and steps,{data}]", cases, f"all {len(rows)} runs"))
        wide = pick(rows, axis="width")
        narrowest = int(wide["width"].min())  # one unit of each sign may take far longer, and would hide a growth
        others = wide[wide["width"] > narrowest]
        for case, runs in ((data, wide), (f"{data},without 2k={narrowest}", others)):
            where = "Section 5 (updates whatever the width)"
            found.append(sure.no_growth(f"thm2/updates-with-width[{case}]", where, runs))
        if data == "sequence":
            found += _sequence(rows)
    return found


def _within(rows: pd.DataFrame, data: str, width: int) -> list[Guarantee]:
    """Theorem 2 on every run of a width, with the settings in its id."""
    found = []
    for (axis, eta), runs in pick(rows, width=width).groupby(["axis", "eta"]):
        found += sure.update_bounds(f"{data},{axis},eta={eta:g}", runs)
    return found


def _sequence(rows: pd.DataFrame) -> list[Guarantee]:
    """The engine's count against the exact one, and against Theorem 4 from below."""
    ended = rows[rows["outcome"] == "converged"]
    tied = np.array([_tied(row) for _, row in ended.iterrows()], dtype=bool)
    where = "Theorem 4 (exact count: this project)"
    apart = (ended["updates"] - ended["exact"]).abs() / SEQUENCE
    clear, ties = apart[~tied], apart[tied]
    counts = [
        claim(
            "thm2/sequence-count", where, 0.0, float(clear.max()), "equal",
            f"largest difference from the exact number of updates, for each example, over {len(clear)} runs in which "
            "rounding decides nothing: the exact count is the same for steps within 1e-9", Kind.EXACT,
        )
    ]  # fmt: skip
    if len(ties):
        steps = ", ".join(f"{eta:g}" for eta in sorted(ended["eta"][tied].unique()))
        counts.append(
            claim(
                "thm2/sequence-count-at-ties", where, 1.0, float(ties.max()), "at_most",
                f"largest difference, for each example, over {len(ties)} runs that end in a tie (eta = {steps}): in "
                "exact arithmetic an output or a unit comes to its threshold exactly, a step within 1e-9 leads to "
                f"another count, and float64 may round to either side; {int((ties > 0).sum())} runs differ",
            )
        )  # fmt: skip
    below = [
        g
        for _, row in rows.iterrows()
        for g in theory.theorem4(
            d=SEQUENCE, k=int(row["width"]) // 2, eta=_decimal(row["eta"]), alpha=_decimal(row["alpha"]),
            updates=int(row["updates"]), ended=row["outcome"] == "converged",
            case=f"2k={row['width']},eta={row['eta']:g}",
        )
    ]  # fmt: skip
    forms = ("printed", "corrected", "sharp", "simple")
    return [
        *counts,
        *(
            tightest(f"separable/thm4[thm2,{form}]", [g for g in below if f"[{form}," in g.id], "all cells")
            for form in forms
        ),
    ]  # fmt: skip


def _tied(row: Any) -> bool:
    """Whether rounding may decide the count: a step that differs by 1e-9 of itself, far more than float64's rounding
    adds up to over these runs, has another exact count.
    """
    from fractions import Fraction

    eta, alpha = _decimal(row["eta"]), _decimal(row["alpha"])
    near = (eta * (1 + Fraction(sign, 10**9)) for sign in (-1, 1))
    k = int(row["width"]) // 2
    return any(theory.sequence_updates(d=SEQUENCE, k=k, eta=e, alpha=alpha) != row["exact"] for e in near)


def _cells(
    data: str, widths: tuple[int, ...], steps: tuple[float, ...], pair: tuple[int, int]
) -> tuple[Setting, ...]:
    return tuple(
        {**setting(data=data, width=width, eta=_USUAL[data], epochs=100_000), "axis": "width"} for width in widths
    ) + tuple(
        {**setting(data=data, width=width, eta=eta, epochs=100_000), "axis": "step"}
        for width in pair
        for eta in steps
    )


_ARTIFICIAL = _cells("sequence", _WIDTHS, _STEPS, (10, 1000)) + _cells("ball", _WIDTHS, _STEPS, (10, 1000))
_DIGITS = _cells("digits", _WIDTHS, _STEPS, (10, 1000))
_MNIST = _cells("mnist", _WIDTHS, (0.3, 1.0, 3.0, 10.0), (10, 1000))
_SMALL_MNIST = _cells("mnist", _WIDTHS[:6], (0.3, 1.0, 3.0, 10.0), (10, 100))
_HERE = images() == "mnist"

EXPERIMENT = Experiment(
    title="Updates against width and step, with upper and lower bounds",
    source=f"{PAPER}, Theorem 2, Corollary 3 and Theorem 4",
    revision=1,
    scales={
        "smoke": Scale(
            _cells("sequence", (2, 20, 200), (0.1, 1.0, 10.0), (2, 20))
            + _cells("ball", (2, 20, 200), (0.1, 1.0, 10.0), (2, 20))
            + _cells("digits", (2, 20, 200), (0.1, 1.0, 10.0), (2, 20)),
            seeds=2,
            seconds=5,
        ),
        "laptop": Scale(_ARTIFICIAL + _DIGITS + (_SMALL_MNIST if _HERE else ()), seeds=3, seconds=175),
        "paper": Scale(_ARTIFICIAL + _DIGITS + (_MNIST if _HERE else ()), seeds=10, seconds=3600),
    },
    run=run,
    figure=figure,
    claims=claims,
    ready=ready,
)
