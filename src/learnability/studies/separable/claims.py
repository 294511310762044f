"""What the figures of the separable study claim, each by the rule of :mod:`learnability.evidence.claims`.

An equivalence is asked the hard way round: means count as equal only if the whole interval of their difference lies
within a stated room, and as different only if it lies outside. The differences of one claim share its 5 %.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability.evidence.intervals import at_all, every, exponents, mean
from learnability.evidence.tables import by, pick, values
from learnability.studies.separable import claim
from learnability.studies.separable.theorems import thm2_thm6 as theory
from learnability.theory import Guarantee, Kind

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
    id: str,
    where: str,
    groups: Mapping[str, pd.Series],
    room: float,
    what: str,
    *,
    pairs: Iterable[tuple[str, str]] | None = None,
    ratio: bool = False,
) -> Guarantee:
    """That means agree within ``room``, or geometric means within that factor, for all pairs of groups (or those
    given), paired by seed.
    """
    pairs = list(itertools.combinations(groups, 2) if pairs is None else pairs)
    means = ", ".join(f"{name}: {group.mean():.4g}" for name, group in groups.items())
    least = min(float(group.min()) for group in groups.values())
    if ratio:  # of what is not positive there is none, and nothing is known of the mean
        groups = {name: np.log(group.where(group > 0)) for name, group in groups.items()}
    apart, told = [], []
    for one, other in pairs:
        seeds = groups[one].index.intersection(groups[other].index)
        difference = mean(
            groups[one][seeds] - groups[other][seeds], comparisons=len(pairs), what=f"difference of {one} and {other}"
        ).distance()
        apart.append(difference.mapped(math.exp, f"ratio of {one} and {other}") if ratio else difference)
        if difference.low > 0:
            told.append(f"{one} and {other}")
    note = f"{what}; {means}; distinguishable: {', '.join(told) or 'none'}"
    if ratio and not least > 0:
        note += f"; {least:.4g} is among them, so no ratio"
    return claim(id, where, room, at_all(apart, "at_most"), "at_most", note)


def learns_alike(figure: str, training: str, test: str, ends: pd.DataFrame) -> list[Guarantee]:
    """Training loss 0 and a good test error at each width, and the same test error at all."""
    found = []
    for width in values(ends, "width"):
        runs = pick(ends, width=width)
        errors = runs["test_error"]
        note = f"final test error on {int(runs['test_size'].iloc[0])} examples, largest {errors.max():.4f}"
        found += [
            zero_loss(f"{figure}/zero-loss[2k={width}]", training, runs),
            claim(f"{figure}/generalises[2k={width}]", test, GOOD, mean(errors), "at_most", note),
        ]
    room, groups = ROOM[str(ends["data"].iloc[0])], by(ends, "test_error", "width")
    return [*found, same_mean(f"{figure}/same-test-error", test, groups, room, "final test errors by width")]


def as_before(id: str, where: str, ends: pd.DataFrame, column: str, what: str) -> list[Guarantee]:
    """That final test errors at each width are the same for all values of a column."""
    found = []
    for width in values(ends, "width"):
        runs = pick(ends, width=width).set_index("seed")
        errors = {name: pick(runs, **{column: name})["test_error"] for name in ends[column].unique()}
        room = ROOM[str(ends["data"].iloc[0])]
        found.append(same_mean(f"{id}[2k={width}]", where, errors, room, f"final test errors {what}"))
    return found


def no_growth(id: str, where: str, ends: pd.DataFrame) -> Guarantee:
    """That updates do not grow with the width: the exponent b of (2k)^b, one a seed, is at most :data:`GROWTH`."""
    counts = ends.pivot(index="seed", columns="width", values="updates")
    note = "mean updates " + ", ".join(f"2k={width}: {mean:.1f}" for width, mean in counts.mean().items())
    grown = exponents(counts.columns, counts.where(counts > 0))  # of no updates there is no exponent
    return claim(id, where, GROWTH, grown, "at_most", note, Kind.TREND)


def zero_loss(id: str, where: str, ends: pd.DataFrame) -> Guarantee:
    """That every run ends at training loss 0, where nothing can change any more, within the updates it is allowed.

    Those are Theorem 2's, or Equation 13's where both layers move and all signs are kept: far more, in general.
    """
    allowed = np.array([_allowed(row) for _, row in ends.iterrows()])
    bounded = allowed[np.isfinite(allowed)]
    note = (
        f"runs that end at training loss 0; most epochs {int(ends['epoch'].max())}, mean updates "
        f"{ends['updates'].mean():.1f}, most {int(ends['updates'].max())}"
    )
    if len(bounded):
        low, high = f"{bounded.min():.4g}", f"{bounded.max():.4g}"
        whose = "Equation 13" if (ends["layers"] == "both").any() else "Theorem 2"
        note += f"; {whose} allows {len(bounded)} of them {low if low == high else f'{low} to {high}'}"
    reached = (ends["outcome"] == "converged") & (ends["hinge_loss"] == 0) & (ends["updates"] <= allowed)
    return claim(id, where, 1.0, every(reached), "at_least", note)


def signs_kept(id: str, where: str, ends: pd.DataFrame) -> Guarantee:
    """That in no run an output weight comes to 0 or beyond."""
    return claim(id, where, 1.0, every(ends["ratio_min"] > 0), "at_least", _ranges("no v_t / v_0 comes to 0", ends))


def signs_change(id: str, where: str, ends: pd.DataFrame) -> list[Guarantee]:
    """That in every run some output weight comes to 0 or beyond: said of the paper's images, not of a stand-in."""
    if ends["data"].iloc[0] != "mnist":
        return []
    note = _ranges("some v_t / v_0 comes to 0 or below", ends)
    return [claim(id, where, 1.0, every(ends["ratio_min"] <= 0), "at_least", note)]


def _ranges(what: str, ends: pd.DataFrame) -> str:
    low, high = ends["ratio_min"], ends["ratio_max"]
    return f"runs in which {what}; c from {low.min():.4g}, mean c {low.mean():.4f}, mean C {high.mean():.4f}"


def separable_draw(id: str, where: str, table: pd.DataFrame) -> Guarantee:
    """That the images drawn are linearly separable as they are."""
    row = table.iloc[0]
    return claim(
        id, where, 0.0, float(table["removed"].max()), "equal",
        f"examples removed until a hyperplane through the origin separates training and test set; |w*| "
        f"= {row['w_norm_all']:.6g} for both, {row['w_norm']:.6g} for the {int(row['train_size'])} to train on",
    )  # fmt: skip


def _allowed(row: Any) -> float:
    """The updates that Theorem 2 or Equation 13 allow a run; infinite where they say nothing."""
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
    }
    if row["layers"] == "both":
        c, C = row["ratio_min"], row["ratio_max"]
        if not math.isfinite(c + C):  # the run diverged: nothing is promised of it
            c, C = 0.0, 1.0
        promise = theory.relaxed_bound(c=c, C=C, **common)
    else:
        promise = theory.theorem2(**common)
    inside = promise.bound is not None and all(h.holds for h in promise.hypotheses)
    return float(promise.bound or math.inf) if inside else math.inf
