"""What ``parity/separation`` claims: the network learns, no linear method gets past Theorem 2, and what that costs.

That the network learns and that it does better are judged by the 95 % confidence limit that speaks against it; that
linear methods do no better than the majority of A by means, with a stated room.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability.evidence.claims import Claims
from learnability.evidence.intervals import half_width
from learnability.evidence.tables import pick
from learnability.studies.parity import PAPER
from learnability.studies.parity.linear_methods import TEST, majority_error
from learnability.studies.parity.theorems.linear import FORMS, theorem2
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PAPER", "claims"]

_claim = Claims("parity/separation", PAPER)

DELTA = 0.1
"""Probability of failure in the width of Theorem 3, whose constant is taken as 1."""
LEARNT = 0.05
"""An error on D_A^(1) up to this counts as learnt."""
REACH = 0.5
"""Hinge loss on D_A^(1) for which N B^2 is measured."""
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
            found += [_easy(net, linear)]
            continue
        found += [_learns(int(k), pick(of_k, method="network")), _hard(int(k), linear), _gap(int(k), net, linear)]
    found += [_other_half(ends)]
    found += _bounds(pick(table, panel="norm"))
    found += _growth(pick(table, panel="needed"))
    return found


def _about(values: Any) -> tuple[float, float, str]:
    """Mean, half-width of its interval (infinite with one seed), and both as text."""
    mean, half = float(np.mean(values)), half_width(values)
    half = half if half >= 0 else math.inf
    return mean, half, f"mean {mean:.4f} +- {half:.4f} (95 % over {len(values)} seeds)"


def _easy(net: pd.Series, linear: dict[str, pd.Series]) -> Guarantee:
    """That k = 1 is a linear problem."""
    means = {"network": float(net.mean()), **{m: float(e.mean()) for m, e in linear.items()}}
    text = ", ".join(f"{m} {e:.4f}" for m, e in means.items())
    return _claim(
        "easy[k=1]", "Section 6", LEARNT, max(means.values()), "at_most", f"largest mean error on D_A^(1): {text}"
    )


def _learns(k: int, rows: pd.DataFrame) -> Guarantee:
    """The network's error on the hard half, at its largest width.

    A claim of this project at every k: Theorem 3 promises it for far larger q, and with other steps (its widths stand
    in the note), so where the claim is violated no theorem is.
    """
    mean, half, text = _about(rows["error_1"])
    n, width = int(rows["n"].iloc[0]), int(rows["features"].iloc[0])
    note = f"error on D_A^(1), n = {n}, 2q = {width}: {text}; not with the theorem's step"
    decided = mean + half <= LEARNT or mean - half > LEARNT
    measured = (mean + half if mean + half <= LEARNT else mean) if decided else None
    note += "" if decided else ": too wide to tell"
    note += f"; the inputs with all but one sign of A alike, next to those of D_A^(2), have mass {2 * k / 2**k:.4f}"
    note += f"; Theorem 3 asks for q >= k^7 log(k/delta) = {k**7 * math.log(k / DELTA):.3g} at a constant of 1"
    return _claim(f"learns[k={k}]", "Theorem 3 (beyond its hypotheses)", LEARNT, measured, "at_most", note)


def _hard(k: int, linear: dict[str, pd.Series]) -> Guarantee:
    """No linear method is better on the hard half than chance, or than the majority of A where that is better."""
    floor = min(0.5, majority_error(k)) - ROOM
    text = ", ".join(f"{m} {e.mean():.3f}" for m, e in linear.items())
    return _claim(
        f"linear-fails[k={k}]", "Theorem 2 (of errors it says nothing)", floor,
        min(float(e.mean()) for e in linear.values()), "at_least",
        f"least mean error on D_A^(1): {text}; the majority of A has {majority_error(k):.4f}",
    )  # fmt: skip


def _gap(k: int, net: pd.Series, linear: dict[str, pd.Series]) -> Guarantee:
    """The network is better than the best linear method, paired by seed."""
    best = min(linear, key=lambda m: float(linear[m].mean()))
    mean, half, text = _about(linear[best] - net)
    return _claim(
        f"gap[k={k}]", "Theorems 2 and 3", 0.0, mean - half if math.isfinite(half) else None, "at_least",
        f"lower limit of the error of {best}, the best linear method, less the network's: {text}", kind=Kind.TREND,
    )  # fmt: skip


def _other_half(ends: pd.DataFrame) -> Guarantee:
    """All methods learn D_A^(2), so that D_A is never worse than half learnt."""
    means = ends.groupby(["k", "method"])["error_2"].mean()
    k, method = max(means.index, key=lambda cell: float(means[cell]))
    return _claim(
        "other-half", "Section 4", LEARNT, float(means.max()), "at_most",
        f"largest mean error on D_A^(2), by {method} at k = {k}: why errors are compared on D_A^(1)",
    )  # fmt: skip


def _bounds(rows: pd.DataFrame) -> list[Guarantee]:
    """Each form on the mean loss of each cell, attained by some w, hence above the best; three standard errors."""
    cases: dict[str, list[Guarantee]] = {form: [] for form in FORMS}
    keys = ["k", "n", "method", "features", "norm"]
    for k, n, method, N, B in rows[keys].drop_duplicates().itertuples(index=False):
        losses = pick(rows, k=k, n=n, method=method, features=N, norm=B)["loss"]
        spread = float(losses.std(ddof=1)) / math.sqrt(len(losses)) if len(losses) > 1 else 1 / math.sqrt(TEST)
        made = theorem2(
            N=int(N), B=float(B), n=int(n), k=int(k), measured=float(losses.mean()), tolerance=3 * spread,
            case=str(method),
        )  # fmt: skip
        for form, one in zip(FORMS, made, strict=True):
            cases[form].append(one)
    found = []
    for form, all_cases in cases.items():
        telling = [case for case in all_cases if case.bound is not None and case.bound > 0]
        if telling:
            note = (
                f"mean loss attained; {len(all_cases) - len(telling)} vacuous cases left out; three standard errors"
            )
            found.append(tightest(f"parity/separation/theorem2[{form}]", telling, note))
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
        ratio = (need / bound).groupby(reached["k"]).mean()
        text = f"N B^2 for hinge loss {REACH:g} on D_A^(1) over that of the bound, n = {rows['n'].iloc[0]}"
        text += f"; reached by {len(reached)} of {len(all_rows)}"
        if method == "parities":
            note = f"{text}; largest; all parities attain the bound, but for the bisection"
            found.append(_claim("needed[parities]", where, 1.05, float(ratio.max()), "at_most", note))
            continue
        each = ", ".join(f"k={k}: {value:.3g}" for k, value in ratio.items())
        note = f"{text}; {each}; on the average over A this follows from the direct form"
        found.append(_claim(f"needed[{method}]", where, 1.0, float(ratio.min()), "at_least", note))
        if reached["k"].nunique() > 1:
            found.append(_rises(method, where, reached.assign(need=np.log(need), bound=np.log(bound))))
    return found


def _rises(method: str, where: str, reached: pd.DataFrame) -> Guarantee:
    """That N B^2 grows exponentially in k: the slope of its logarithm, by seed."""
    slopes = [
        float(np.polyfit(one["k"], one["need"], 1)[0]) for _, one in reached.groupby("seed") if one["k"].nunique() > 1
    ]
    mean, half, text = _about(slopes)
    of_bound = float(np.polyfit(reached["k"], reached["bound"], 1)[0])
    note = f"lower limit of the slope of log(N B^2) in k: {text}; that of the bound is {of_bound:.3f}"
    measured = mean - half if math.isfinite(half) else None
    return _claim(f"growth[{method}]", where, 0.0, measured, "at_least", note, Kind.TREND)
