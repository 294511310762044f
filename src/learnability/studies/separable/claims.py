"""What the figures of the separable study claim, with confidence over seeds.

An equivalence is asked the hard way round: means count as equal only if the confidence interval of their difference
lies within a stated room, and as different only if it lies outside; in between the runs cannot tell, and the claim
is not measured. Intervals are Student's at 95 %, divided among the differences of one claim (Bonferroni).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability.evidence.intervals import half_width
from learnability.evidence.tables import pick, values
from learnability.studies.separable import claim
from learnability.studies.separable.theorems import thm2_thm6 as theory
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest

if TYPE_CHECKING:
    import pandas as pd

ROOM = {"mnist": 0.01, "digits": 0.02, "ball": 0.01}
"""Mean test errors up to this apart count as equal. It is the half-width of a 95 % interval that the size of the test
set itself leaves: 0.011 for an error of 0.03 on 1,000 images, 0.019 for one of 0.008 on 90."""
GOOD = 0.05
"""A test error up to this counts as "generalizes well", where the paper says so without a number."""
GROWTH = 0.05
"""Updates ~ (2k)^b count as not growing for b up to this: 12 % for a tenfold width."""
SIMILAR = 2.0
"""Means within this factor of each other count as similar, where the paper says so without a number."""


def same_mean(
    id: str, where: str, groups: Mapping[str, pd.Series], room: float, what: str, *, pairs: Any = None
) -> Guarantee:
    """That means agree within ``room`` for all pairs of groups (or those given), paired by seed."""
    pairs = list(itertools.combinations(groups, 2)) if pairs is None else list(pairs)
    level = 1 - 0.05 / max(1, len(pairs))
    lower, upper, seeds, apart, worst = 0.0, 0.0, 0, [], "nothing to compare"
    for one, other in pairs:
        difference = (groups[one] - groups[other]).dropna()
        mean, half = float(difference.mean()), half_width(difference, level)
        if not half >= 0:  # fewer than two seeds, or none that both have
            upper = math.inf
            continue
        if abs(mean) - half > 0:
            apart.append(f"{one} and {other}")
        if abs(mean) + half >= upper:
            upper, worst = abs(mean) + half, f"{one} less {other}: {mean:+.4f} +- {half:.4f}"
        lower, seeds = max(lower, abs(mean) - half), len(difference)
    means = ", ".join(f"{name}: {group.mean():.4f}" for name, group in groups.items())
    note = f"{what}; {means}; largest {worst} (95 % over {len(pairs)} difference(s), {seeds} seeds)"
    note += f"; distinguishable: {', '.join(apart) or 'none'}"
    if upper <= room:
        return claim(id, where, room, upper, "at_most", note)
    if lower > room:
        return claim(id, where, room, lower, "at_most", note)
    return claim(id, where, room, None, "at_most", f"{note}: too wide to tell")


def similar(id: str, where: str, groups: Mapping[str, pd.Series], what: str) -> Guarantee:
    """That means agree within the factor :data:`SIMILAR`, by the logarithms of positive values."""
    if any((group <= 0).any() for group in groups.values()):
        least = min(float(group.min()) for group in groups.values())
        return claim(id, where, SIMILAR, None, "at_most", f"{what}; {least:.4g} is among them, so no ratio")
    logarithms = {name: np.log(group) for name, group in groups.items()}
    found = same_mean(id, where, logarithms, math.log(SIMILAR), f"{what} (natural logarithms)")
    measured = None if found.measured is None else math.exp(found.measured)
    return claim(id, where, SIMILAR, measured, "at_most", found.note)


def no_growth(id: str, where: str, ends: pd.DataFrame) -> Guarantee:
    """That updates do not grow with the width: the fitted exponent b of (2k)^b is at most :data:`GROWTH`."""
    x, z = np.log(ends["width"].to_numpy(float)), np.log(ends["updates"].to_numpy(float))
    means = ", ".join(
        f"2k={width}: {pick(ends, width=width)['updates'].mean():.1f}" for width in values(ends, "width")
    )
    slope, half = _slope(x, z)
    note = f"mean updates {means}; exponent {slope:+.4f} +- {half:.4f} (95 % over {len(ends)} runs)"
    if slope + half <= GROWTH:
        return claim(id, where, GROWTH, slope + half, "at_most", note, Kind.TREND)
    if slope - half > GROWTH:
        return claim(id, where, GROWTH, slope - half, "at_most", note, Kind.TREND)
    return claim(id, where, GROWTH, None, "at_most", f"{note}: too wide to tell", Kind.TREND)


def _slope(x: Any, z: Any, level: float = 0.95) -> tuple[float, float]:
    """Slope of a regression line, and the half-width of its confidence interval."""
    from scipy.special import stdtrit

    centred = x - x.mean()
    spread = float(centred @ centred)
    if len(x) < 3 or spread == 0:
        return math.nan, math.nan
    slope = float(centred @ z) / spread
    rest = z - z.mean() - slope * centred
    return slope, float(stdtrit(len(x) - 2, 0.5 + level / 2)) * math.sqrt(float(rest @ rest) / (len(x) - 2) / spread)


def zero_loss(id: str, where: str, ends: pd.DataFrame) -> Guarantee:
    """That every run ends at training loss 0, where nothing can change any more."""
    reached = (ends["outcome"] == "converged") & (ends["hinge_loss"] == 0)
    return claim(
        id, where, 1.0, float(reached.mean()), "at_least",
        f"share of {len(ends)} runs that end at training loss 0; most epochs {int(ends['epoch'].max())}, mean "
        f"updates {ends['updates'].mean():.1f}, most {int(ends['updates'].max())}",
    )  # fmt: skip


def generalises(id: str, where: str, ends: pd.DataFrame) -> Guarantee:
    """That the mean test error is at most :data:`GOOD`, by the 95 % confidence limits over runs on this test set."""
    error = ends["test_error"]
    mean, half = float(error.mean()), half_width(error)
    note = (
        f"mean final test error {mean:.4f} +- {half:.4f} (95 % over {len(ends)} runs), largest {error.max():.4f}, on "
        f"{int(ends['test_size'].iloc[0])} examples"
    )
    if mean + half <= GOOD:
        return claim(id, where, GOOD, mean + half, "at_most", note)
    if mean - half > GOOD:
        return claim(id, where, GOOD, mean - half, "at_most", note)
    return claim(id, where, GOOD, None, "at_most", f"{note}: too wide to tell")


def separable_draw(id: str, where: str, table: pd.DataFrame) -> Guarantee:
    """That the images drawn are linearly separable as they are."""
    row = table.iloc[0]
    return claim(
        id, where, 0.0, float(table["removed"].max()), "equal",
        f"examples removed until a hyperplane through the origin separates training and test set; |w*| "
        f"= {row['w_norm_all']:.6g} for both, {row['w_norm']:.6g} for the {int(row['train_size'])} to train on",
    )  # fmt: skip


def update_bounds(case: str, ends: pd.DataFrame) -> list[Guarantee]:
    """Theorem 2, or Equation 13 where both layers move, on every run; for each width the run with the least room."""
    found = []
    for layers, width in sorted({(str(a), int(b)) for a, b in zip(ends["layers"], ends["width"], strict=True)}):
        runs = pick(ends, layers=layers, width=width)
        if layers == "both":
            kept = runs[runs["ratio_min"] > 0]
            note = f"{len(kept)} of {len(runs)} runs keep all signs"
            inside = kept if len(kept) else runs  # nothing is promised of the others
            cases = [_bound(row, both=True) for _, row in inside.iterrows()]
            found.append(tightest(f"separable/thm2-relaxed[{case},2k={width}]", cases, note))
        else:
            cases = [_bound(row, both=False) for _, row in runs.iterrows()]
            found.append(tightest(f"separable/thm2[{case},2k={width}]", cases, "all runs"))
    return found


def _bound(row: Any, *, both: bool) -> Guarantee:
    usual = 1 / math.sqrt(row["width"])
    common: dict[str, Any] = {
        "w_norm": row["w_norm"],
        "k": int(row["width"]) // 2,
        "eta": row["eta"],
        "v": usual,
        "R": usual,
        "alpha": row["alpha"],
        "input_norm": row["input_norm"],
        "row_norm": row["row_norm"],
        "updates": int(row["updates"]),
        "ended": row["outcome"] == "converged",
        "case": f"seed {row['seed']}",
    }
    if both:
        c, C = row["ratio_min"], row["ratio_max"]
        if not math.isfinite(c + C):  # the run diverged: nothing is promised of it
            c, C = 0.0, 1.0
        return theory.relaxed_bound(c=c, C=C, **common)
    return theory.theorem2(**common)
