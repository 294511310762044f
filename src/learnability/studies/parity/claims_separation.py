"""What ``parity/separation`` claims: the network learns, no linear method gets past Theorem 2, and its cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability.evidence.intervals import Interval, at_all, mean, slope
from learnability.evidence.tables import pick
from learnability.studies.parity import claim
from learnability.studies.parity.linear_methods import majority_error
from learnability.studies.parity.runs_separation import FINENESS, REACH
from learnability.studies.parity.theorems.linear import FORMS, SOURCES, linear_bound
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["claims"]

DELTA = 0.1
"""Probability of failure in the width of Theorem 3, whose constant is taken as 1."""
LEARNT = 0.05
"""An error on D_A^(1) up to this counts as learnt."""
TEST_ROOM = 0.005
"""How far a mean loss on sampled test examples may lie below the bound of its expectation."""
ROOM = 0.03
"""A linear method is no better than the majority of A or chance if its error is not below by more than this."""


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Of errors, of hinge losses against the bound, and of how N B^2 grows."""
    errors = pick(table, panel="error")
    ends = errors[errors["features"] == errors.groupby(["k", "method"])["features"].transform("max")]
    found = []
    for k in sorted(ends["k"].unique()):
        of_k = pick(ends, k=k)
        net = pick(of_k, method="network").set_index("seed")["error_1"]
        linear = {str(m): rows.set_index("seed")["error_1"] for m, rows in of_k.groupby("method") if m != "network"}
        if k == 1:
            found += [_easy({"network": net, **linear})]
            continue
        runs = pick(of_k, method="network")
        found += [_learns(int(k), runs), *_below(int(k), runs), _hard(int(k), linear), _gap(int(k), net, linear)]
    found += [_other_half(ends)]
    found += _bounds(pick(table, panel="norm"))
    found += _growth(pick(table, panel="needed"))
    return found


def _worst(groups: Mapping[Any, pd.Series], direction: str) -> Interval:
    """The mean of the group that is worst for a claim about the means of all of them."""
    return at_all((mean(group, comparisons=len(groups)) for group in groups.values()), direction)


def _listed(groups: Mapping[str, pd.Series]) -> str:
    return ", ".join(f"{name} {group.mean():.4g}" for name, group in groups.items())


def _easy(errors: dict[str, pd.Series]) -> Guarantee:
    """That k = 1 is a linear problem."""
    note = f"largest mean error on D_A^(1): {_listed(errors)}"
    return claim("separation/easy[k=1]", "Section 6", LEARNT, _worst(errors, "at_most"), "at_most", note)


def _learns(k: int, rows: pd.DataFrame) -> Guarantee:
    """The network's error on the hard half, at its largest width.

    A claim of this project at every k: Theorem 3 promises it for far larger q, and with other steps (its widths stand
    in the note), so where the claim is violated no theorem is.
    """
    n, width = int(rows["n"].iloc[0]), int(rows["features"].iloc[0])
    return claim(
        f"separation/learns[k={k}]", "Theorem 3 (beyond its hypotheses)", LEARNT, mean(rows["error_1"]), "at_most",
        f"error on D_A^(1), n = {n}, 2q = {width}; not with the theorem's step; inputs with all but one sign of A "
        f"alike, next to those of D_A^(2), have mass {2 * k / 2**k:.4f}; Theorem 3 asks for q >= k^7 log(k/delta) = "
        f"{k**7 * math.log(k / DELTA):.3g} at a constant of 1",
    )  # fmt: skip


def _below(k: int, rows: pd.DataFrame) -> list[Guarantee]:
    """The network's loss on D_A is below what is true of any features fixed before A is known, of its own N and B.

    Its hidden units are such features after division by their largest values (:func:`runs_separation.network`), but
    they know A. Nothing is claimed where the bound is vacuous.
    """
    n = int(rows["n"].iloc[0])
    bounds = np.array([linear_bound(N=int(N), B=B, n=n, k=k) for N, B in zip(rows["features"], rows["norm"])])
    if not (bounds > 0).all():
        return []
    return [
        claim(
            f"separation/below-fixed-features[k={k}]", "Theorem 2 (direct form: this project)", 0.0,
            mean(bounds - rows["loss"]), "at_least",
            f"bound at the network's own N B^2, {(rows['features'] * rows['norm'] ** 2).median():.3g} in the median, "
            f"less its hinge loss on D_A; means {bounds.mean():.3g} and {rows['loss'].mean():.3g}",
        )
    ]  # fmt: skip


def _hard(k: int, linear: dict[str, pd.Series]) -> Guarantee:
    """No linear method is better on the hard half than chance, or than the majority of A where that is better."""
    floor = min(0.5, majority_error(k)) - ROOM
    return claim(
        f"separation/linear-fails[k={k}]", "Theorem 2 (of errors it says nothing)", floor,
        _worst(linear, "at_least"), "at_least",
        f"least mean error on D_A^(1): {_listed(linear)}; the majority of A has {majority_error(k):.4f}",
    )  # fmt: skip


def _gap(k: int, net: pd.Series, linear: dict[str, pd.Series]) -> Guarantee:
    """The network is better than every linear method, paired by seed."""
    best = min(linear, key=lambda m: float(linear[m].mean()))
    return claim(
        f"separation/gap[k={k}]", "Theorems 2 and 3", 0.0,
        _worst({m: error - net for m, error in linear.items()}, "at_least"), "at_least",
        f"error of every linear method less the network's; the best is {best}", kind=Kind.TREND,
    )  # fmt: skip


def _other_half(ends: pd.DataFrame) -> Guarantee:
    """Every linear method is better on D_A^(2) for k > 1, so that errors are compared on D_A^(1)."""
    linear = ends[(ends["k"] > 1) & (ends["method"] != "network")]
    gaps: dict[Any, pd.Series] = dict(
        list(linear.assign(gap=linear["error_1"] - linear["error_2"]).groupby(["k", "method"])["gap"])
    )
    k, method = min(gaps, key=lambda cell: float(gaps[cell].mean()))
    most = linear.groupby(["k", "method"])["error_2"].mean().max()
    note = (
        f"error of a linear method on D_A^(1) less that on D_A^(2), least by {method} at k = {k}; largest mean error "
    )
    note += f"on D_A^(2) {most:.3g}"
    return claim("separation/other-half", "Section 4", 0.0, _worst(gaps, "at_least"), "at_least", note)


def _bounds(rows: pd.DataFrame) -> list[Guarantee]:
    """Each form: a seed's loss, attained by some w, hence above the best, less the bound, where that is the least.

    The least over cells is, in the mean, at most that of every cell: if it is not below 0, no cell's mean is below
    its bound. Vacuous cells are left out.
    """
    found = []
    for form in FORMS:
        bounds = np.array([
            linear_bound(N=int(N), B=float(B), n=int(n), k=int(k), form=form)
            for N, B, n, k in zip(rows["features"], rows["norm"], rows["n"], rows["k"], strict=True)
        ])  # fmt: skip
        telling = rows.assign(bound=bounds, excess=rows["loss"] - bounds)[bounds > 0]
        if telling.empty:
            continue
        means = telling.groupby(["k", "method", "features", "norm"])[["excess", "loss", "bound"]].mean()
        least = means.reset_index().sort_values("excess", kind="stable").iloc[0]
        found.append(
            claim(
                f"separation/theorem2[{form}]", SOURCES[form], -TEST_ROOM,
                mean(telling.groupby("seed")["excess"].min()), "at_least",
                f"least hinge loss on D_A less the bound, over the {len(means)} cells where it says something; room "
                f"for sampled test examples; nearest in the mean {least['method']}, k = {least['k']}, "
                f"N = {least['features']}, B = {least['norm']:g}: {least['loss']:.4g} against {least['bound']:.4g}",
            )
        )  # fmt: skip
    return found


def _growth(rows: pd.DataFrame) -> list[Guarantee]:
    """N B^2 that reaches the loss: never below the bound, which parities attain, and growing faster elsewhere."""
    found = []
    where = "Theorem 2 (direct form: this project)"
    for method in sorted(rows["method"].unique()):
        all_rows = pick(rows, method=method)
        reached = all_rows[all_rows["loss_1"] <= REACH + 1e-9]
        need = reached["features"] * reached["norm"] ** 2
        cells = zip(reached["n"], reached["k"], strict=True)
        bound = np.array([(1 - REACH) ** 2 * math.comb(int(n), int(k)) for n, k in cells])
        ratios = (need / bound).groupby(reached["k"])
        factors = {
            k: mean(np.log(one), comparisons=ratios.ngroups).mapped(math.exp, "mean factor") for k, one in ratios
        }
        note = f"N B^2 for hinge loss {REACH:g} on D_A^(1) over that of the bound, n = {rows['n'].iloc[0]}; "
        note += f"reached by {len(reached)} of {len(all_rows)}; "
        note += ", ".join(f"k={k}: {one.estimate:.3g}" for k, one in factors.items())
        if method == "parities":
            note += f"; all parities attain the bound, and the bisection finds the norm to {FINENESS - 1:.0%}"
            middle = 0.5 * (1 + FINENESS**2)
            far = at_all((one.distance(middle) for one in factors.values()), "at_most")
            found.append(claim("separation/needed[parities]", where, FINENESS**2 - middle, far, "at_most", note))
            continue
        note += "; on the average over A this follows from the direct form"
        least = at_all(factors.values(), "at_least")
        found.append(claim(f"separation/needed[{method}]", where, 1.0, least, "at_least", note))
        if len(factors) > 1:
            found.append(_rises(method, where, reached.assign(need=np.log(need), bound=np.log(bound))))
    return found


def _rises(method: str, where: str, reached: pd.DataFrame) -> Guarantee:
    """That N B^2 grows exponentially in k: the slope of its logarithm, by seed."""
    by_seed = [slope(one["k"], one["need"]).estimate for _, one in reached.groupby("seed") if one["k"].nunique() > 1]
    of_bound = slope(reached["k"], reached["bound"]).estimate
    return claim(
        f"separation/growth[{method}]", where, 0.0, mean(by_seed, what="mean slope"), "at_least",
        f"slope of log(N B^2) in k; that of the bound is {of_bound:.3f}", Kind.TREND,
    )  # fmt: skip
