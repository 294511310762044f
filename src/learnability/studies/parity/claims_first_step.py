"""What ``parity/first-step`` claims: Lemma 9, what the printed start makes of it, and what an estimate is worth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability.evidence.intervals import exponents, extreme, mean, share
from learnability.evidence.tables import pick
from learnability.studies.parity import claim
from learnability.studies.parity.theorems.first_step import good_share, lemma9
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["claims"]

LEARNT, NOT_LEARNT = 0.01, 0.3
"""Readout errors on D1 at most or at least which the parity counts as represented or not; a guess errs in 1/2."""


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Lemma 9 on every neuron of the exact step; what differs from the printed start; exact against estimated."""
    neurons, nets = table[table["row"] == "neuron"], table[table["row"] == "net"]
    found = _lemma9(neurons)
    for (n, k), rows in _groups(nets[nets["start"] == "safe exact"], "n", "k"):
        expected, tried = float(good_share(int(k))), int(rows["q"].sum())
        good = share(np.arange(tried) < rows["good"].sum(), unit="neurons")
        found.append(
            claim(
                f"first-step/good-share[n={n},k={k}]", "Lemma 9", 4 * math.sqrt(expected * (1 - expected) / tried),
                good.distance(expected), "at_most",
                "share of good neurons against T_k / 3^k; room 4 standard deviations",
            )
        )  # fmt: skip
    for (start, n, k, q), rows in _groups(nets, "start", "n", "k", "q"):
        safe, parities = str(start).startswith("safe"), math.comb(int(n), int(k))
        if not safe and parities < 200 * q:
            continue  # features that learnt nothing may do
        bound, direction = (LEARNT, "at_most") if safe else (NOT_LEARNT, "at_least")
        found.append(
            claim(
                f"first-step/readout[{start},n={n},k={k},q={q}]",
                "Lemma 12" if safe else "Section 2 (start as printed)",
                bound, extreme(rows["error_1"], bound, direction, unit="seeds"), direction,
                f"error on D1; on D2 at most {rows['error_2'].max():.3g}",
            )
        )  # fmt: skip
    for (start, n, k), rows in _groups(nets[nets["start"].str.startswith("printed")], "start", "n", "k"):
        case, where = f"[{start.split()[1]},n={n},k={k}]", "Section 5.1 (start as printed)"
        medians = pick(neurons, start=start, n=n, k=k, tau=0).groupby("seed")["alpha"].median()
        found += [
            claim(f"first-step/printed-alpha{case}", where, 0.25, mean(medians), "at_most",
                  "median alpha of a net's good neurons, which Lemma 9 has in [1/4, 1]"),
            claim(f"first-step/printed-active{case}", where, 0.75, mean(rows["active"]), "at_most",
                  f"share of examples with an active hinge, 1 in the proof; mean |g| {rows['output'].mean():.3g}"),
        ]  # fmt: skip
    return found + _accuracy_claims(table[table["row"] == "estimate"])


def _groups(rows: pd.DataFrame, *columns: str) -> list[Any]:
    return list(rows.groupby(list(columns)))


def _lemma9(neurons: pd.DataFrame) -> list[Guarantee]:
    """Alpha of the exact step; what good neurons have outside A and in the bias is 0 there by its form: not asked."""
    cases: dict[str, list[Guarantee]] = {}
    exact = neurons[(neurons["start"] == "safe exact") & (neurons["tau"] == 0)]
    for (n, k), rows in _groups(exact, "n", "k"):
        least = max(1, math.floor(2 * (n - k) / 3 - 5 * math.sqrt(2 * (n - k) / 9)))  # of |J|, within 5 deviations
        for g in lemma9(
            n=int(n), k=int(k), form="good neurons", alpha_low=float(rows["alpha"].min()), J=least,
            alpha_high=float(rows["alpha"].max()), note=f"{len(rows)} good neurons",
        )[:2]:  # fmt: skip
            cases.setdefault(statement_id(g.id.partition("[")[0], "figure"), []).append(g)
    return [tightest(identity, gs) for identity, gs in cases.items()]


def _accuracy_claims(rows: pd.DataFrame) -> list[Guarantee]:
    found = []
    for (n, k), one in _groups(rows, "n", "k"):
        curves = one.pivot(index="seed", columns="m", values="error")
        most = one[one["m"] == one["m"].max()]
        found += [
            claim(f"first-step/estimate-slope[n={n},k={k}]", "Section 5.1", 0.1,
                  exponents(curves.columns, curves).distance(-0.5), "at_most",
                  "exponent of the estimate's error over the number of examples", Kind.TREND),
            claim(f"first-step/estimate-agrees[n={n},k={k}]", "Section 5.1", 0.1,
                  mean(most["standardised"]).distance(1.0), "at_most",
                  f"root mean square over all weights of the estimate at m = {int(most['m'].iloc[0])} less the exact "
                  "gradient, in standard errors"),
        ]  # fmt: skip
    return found
