"""Learning curves of the symmetry study: numbers read off them, and the claims and the picture that figures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from learnability.evidence.intervals import every, share
from learnability.evidence.tables import last, pick
from learnability.plotting import COLORS, Line, Panel, Plot, Words, over_seeds
from learnability.plotting.plot import Item
from learnability.studies.symmetry import claim
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

TOLERANCE = 0.02
"""An error up to this counts as minimised, where the paper says so without a number."""
SAME = 0.05
"""True errors up to this apart count as the same performance, where the paper says so without a number."""

BETA_NAMES = {"n^3 h": "β = n³h", "0": "β = 0"}


def superscript(number: int) -> str:
    """The number as an exponent."""
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def panels(table: pd.DataFrame) -> dict[str, pd.Series]:
    """The first row of every panel, for what its setting says."""
    return {str(panel): rows.iloc[0] for panel, rows in table.groupby("panel")}


def sampled(row: pd.Series) -> str:
    """How many examples a run sees, in units of n: "sample n"."""
    return f"sample {'' if row['m'] == row['n'] else row['m'] // row['n']}n"


def ends(table: pd.DataFrame, **where: object) -> pd.DataFrame:
    """Last row of every run that has the given values, by seed."""
    return last(pick(table, **where)).set_index("seed").sort_index()


def late(table: pd.DataFrame, column: str, part: float = 0.2, **where: object) -> pd.Series:
    """Mean of a column over the last part of the axis, by seed (a run that ended early counts with its end)."""
    rows = pick(table, **where)
    tail = rows[rows["epoch"] >= (1 - part) * rows["epochs"]]
    mean: pd.Series = tail.groupby("seed")[column].mean()
    return mean.combine_first(ends(rows)[column]).sort_index()


def epochs_to_zero(table: pd.DataFrame, **where: object) -> pd.Series:
    """First recorded epoch from which on the empirical error stays 0, by seed; infinite if it never does."""
    rows = pick(table, **where)

    def first(run: pd.DataFrame) -> float:
        run = run.sort_values("epoch")
        wrong = np.flatnonzero(run["empirical_error"].to_numpy() > 0)
        after = wrong[-1] + 1 if wrong.size else 0
        return float(run["epoch"].iloc[after]) if after < len(run) else float("inf")

    return rows.groupby("seed")[["epoch", "empirical_error"]].apply(first)


def fitted(id: str, where: str, runs: pd.DataFrame) -> Guarantee:
    """That the typical run ends at empirical error 0: the paper shows one run a panel, so half of ours must."""
    return claim(
        id, where, 0.5, share(runs["empirical_error"] == 0), "at_least",
        "share of runs at empirical error 0 at the end of the axis (the paper shows one run); mean final "
        f"empirical error {runs['empirical_error'].mean():.4f}, true error {runs['true_error'].mean():.4f}",
    )  # fmt: skip


def sooner(id: str, where: str, faster: pd.Series, slower: pd.Series, what: str) -> Guarantee:
    """That the typical seed reaches empirical error 0 sooner in the one way than in the other (and reaches it)."""
    one, other = faster.align(slower, join="inner")
    return claim(
        id, where, 0.5, share(one < other, unit="seeds"), "at_least",
        f"share of seeds that reach empirical error 0, and in fewer epochs, {what}; medians {one.median():.0f} and "
        f"{other.median():.0f} epochs",
        Kind.TREND,
    )  # fmt: skip


def compression(id: str, where: str, runs: pd.DataFrame) -> Guarantee:
    """Section 4, first remark: at empirical error 0 the true error is at most the share of unseen weights.

    Measured on the test sample itself, so without sampling error; ``runs`` holds one row per run (its end). The
    steps of section 5 are above Lemma 4's limit, so this is an observation and not the lemma's promise (which
    ``verify`` checks within its hypotheses). It is asked with beta > 0 only: the argument needs outputs on the sample
    that clear the movement of the embedding; with beta = 0 the output at a whole weight can tie at leading order, and
    then inputs of that weight fall on both sides.
    """
    fit, excess = unseen_excess(runs)
    return claim(
        id, f"section 4, first remark, on {where}", 1.0, every(excess <= 1e-12), "at_least",
        "runs whose true error is at most the share of test inputs of weights not in the sample, of the "
        f"{len(fit)} of {len(runs)} that ended at empirical error 0"
        + (f" (largest difference {excess.max():.4f})" if len(fit) else "")
        + "; the step is above Lemma 4's limit",
    )  # fmt: skip


def unseen_excess(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Runs that ended at empirical error 0, and by how much their true errors exceed the share of unseen weights."""
    fit = runs[runs["empirical_error"] == 0]
    return fit, fit["true_error"] - fit["unseen"]


def learning_curves(
    table: pd.DataFrame,
    titles: Mapping[str, str],
    curves: Mapping[str, str],
    *,
    columns: int = 2,
    reference: tuple[float, str] | None = None,
) -> Plot:
    """One panel per ``panel``: mean empirical (dashed) and true error (solid) over seeds with confidence bands.

    The first curve is drawn wider, so that it shows where another one covers it.

    Parameters
    ----------
    titles : mapping
        Title of each panel, in order.
    curves : mapping
        Legend of each curve, in order; a curve keeps its colour in every panel.
    reference : (float, str), optional
        An error to draw a line at, and what to write under it.
    """
    drawn = _held(table[table["epoch"] > 0])  # at the start the output is 0, which counts as an error everywhere
    panels = []
    for panel, title in titles.items():
        inside = pick(drawn, panel=panel)
        if inside.empty:
            continue
        end, items = float(inside["epochs"].max()), _curves(inside, curves)
        if reference is not None:
            level, name = reference
            items += [
                Line(y=level, color="black"),
                Words(0.99 * end, level - 0.01, name, {"ha": "right", "va": "top"}),
            ]
        panels.append(Panel(items, title, "epoch", "error (0-1)", xlim=(0, end), ylim=(0, 0.6)))
    seeds = table["seed"].nunique()
    note = f"mean over {seeds} seeds, bands: 95 % confidence for the mean" if seeds > 1 else "one seed"
    return Plot(panels, columns, note=note)


def _curves(inside: pd.DataFrame, curves: Mapping[str, str]) -> list[Item]:
    """Both errors of the curves that a panel has."""
    looks = (("empirical_error", "empirical", "--", 1.0), ("true_error", "true", "-", 1.4))
    return [
        over_seeds(
            pick(inside, curve=curve), "epoch", error, limits=(0, 1), label=f"{legend}: {name}",
            color=COLORS[index], linestyle=line, linewidth=width + (index == 0),
        )
        for index, (curve, legend) in enumerate(curves.items())
        if (inside["curve"] == curve).any()
        for error, name, line, width in looks
    ]  # fmt: skip


def _held(table: pd.DataFrame) -> pd.DataFrame:
    """Runs that converged keep their last values to the end of the axis."""
    import pandas as pd

    ended = last(table, "panel", "curve")
    ended = ended[(ended["epoch"] < ended["epochs"]) & (ended["outcome"] == "converged")]
    return pd.concat([table, ended.assign(epoch=ended["epochs"])])
