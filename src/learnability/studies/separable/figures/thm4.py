"""Theorem 4: updates on the lower-bound sequence against step and dimension, between lower and upper bounds.

The paper proves this and shows no picture. The examples e_1, ..., e_d, all labelled +1, come over and over; R = v =
1 / sqrt(2k), the start is the one of the proof, and |w*|^2 = d. Drawn are

- the bound as printed in Theorem 10 (with R = v = 1 / sqrt(2k)), the corrected one, our sharp one, and our closed
  form max{d, (d + sqrt(d)) / eta} (:func:`learnability.studies.separable.theorems.thm4_thm10.lower_bound`);
- the exact number of updates in rational arithmetic, and the engine's count beside it;
- Theorem 2's M_k, the upper bound.

All parameters are dyadic (d a power of 4, 2k too, alpha = 1/8 or 3/4, eta = 2^j or 3 * 2^j), so that float64 rounds
nothing and the engine's count must be the exact one. The run depends on k only through rounding, hence here not at
all. Nothing is random: one seed at every scale.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.errors import RequestError
from learnability.evidence.tables import pick, values
from learnability.networks.separable import TwoLayer
from learnability.plotting import COLORS, Curve, Line, Panel, Plot
from learnability.problems.separable import lower_bound_sequence, lower_bound_weights
from learnability.seeding import generator
from learnability.studies.separable import PAPER, claim
from learnability.studies.separable.theorems import thm2_thm6 as thm2
from learnability.studies.separable.theorems import thm4_thm10 as thm4
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

_LOOKS = {
    "printed": ("Theorem 10 as printed", ":", COLORS[1]),
    "corrected": ("corrected", "--", COLORS[4]),
    "sharp": ("sharp (ours)", "-", COLORS[2]),
    "simple": ("max{d, (d + √d)/η} (ours)", "-.", COLORS[3]),
}


def run(s: Setting, seed: int) -> list[Row]:
    """One row for each step, or for each dimension: exact count, engine's count, and the bounds."""
    from learnability.training.two_layer import train

    k, alpha = int(s["units"]), Fraction(float(s["alpha"]))
    rows = []
    for d, eta in _grid(s):
        usual = 1 / float(np.sqrt(2 * k))
        X, y = lower_bound_sequence(d)
        start = TwoLayer(lower_bound_weights(d, k, usual), np.repeat([usual, -usual], k))
        end = train(
            start, X, y, eta=float(eta), alpha=float(alpha), rng=generator(seed), epochs=10**6, order="cyclic",
            record=[0],
        )  # fmt: skip
        rows.append(
            {
                "d": d,
                "eta": float(eta),
                "updates": end.updates,
                "outcome": str(end.outcome),
                "exact": thm4.sequence_updates(d=d, k=k, eta=eta, alpha=alpha),
                **{
                    form: float(thm4.lower_bound(d=d, k=k, eta=eta, alpha=alpha, form=form)) for form in thm4.FORMS
                },
                "upper": thm2.corollary3_bound(w_norm=float(np.sqrt(d)), eta=float(eta), alpha=float(alpha)),
            }
        )  # fmt: skip
    return rows


def _grid(s: Setting) -> list[tuple[int, Fraction]]:
    """Dimensions and steps of one task."""
    if s["axis"] == "step":
        low, high = int(s["from"]), int(s["to"])
        steps = sorted({Fraction(2) ** j * m for j in range(low, high + 1) for m in (1, Fraction(3, 2))})
        return [(int(s["d_fixed"]), eta) for eta in steps if eta <= Fraction(2) ** high]
    return [(4**j, Fraction(float(s["eta_fixed"]))) for j in range(int(s["from"]), int(s["to"]) + 1)]


def figure(table: pd.DataFrame) -> Plot:
    """Against the step; against the dimension; the exact count over each lower bound. A row for each slope."""
    panels = []
    for alpha in values(table, "alpha"):
        rows = pick(table, alpha=alpha)
        by_step, by_d = pick(rows, axis="step").sort_values("eta"), pick(rows, axis="dimension").sort_values("d")
        one = pick(by_step, units=table["units"].min())
        over = [
            Curve(one["eta"], one["exact"] / one[form], linestyle=line, color=shade)
            for form, (_, line, shade) in _LOOKS.items()
        ]
        name, d, eta = f"α = {Fraction(alpha)}", by_step["d"].iloc[0], Fraction(by_d["eta"].iloc[0])
        scales: dict[str, Any] = {"xscale": "log", "yscale": "log"}
        panels += [
            Panel(_counts(by_step, "eta"), f"{name}, d = {d}", "step η", "updates", **scales),
            Panel(_counts(by_d, "d"), f"{name}, η = {eta}", "dimension d = |w*|²", **scales),
            Panel(
                [*over, Line(y=1, color="black", linestyle="-")], f"{name}, d = {d}", "step η",
                "updates over lower bound", **scales,
            ),
        ]  # fmt: skip
    return Plot(panels, columns=3, size=(3.3, 2.7), legend_columns=4)


def _counts(rows: pd.DataFrame, x: str) -> list[Curve]:
    """Updates, exact and by the engine, and all bounds."""
    units = values(rows, "units")
    one = pick(rows, units=units[0])
    found = [Curve(one[x], one["upper"], label="Theorem 2's M$_k$ (at most)", color="black")]
    for form, (label, line, shade) in _LOOKS.items():
        found.append(Curve(one[x], one[form], label=f"at least: {label}", color=shade, linestyle=line))
    found.append(Curve(one[x], one["exact"], label="updates, exact", linewidth=1.0))
    for marker, k in zip(itertools.cycle("ox+"), units, strict=False):
        engine, label = pick(rows, units=k), f"updates, engine, 2k = {2 * k}"
        found.append(Curve(engine[x], engine["updates"], label=label, linestyle="", marker=marker, hollow=True))
    return found


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Every bound from both sides; d updates for large steps; exact counts."""
    where = "Theorem 4"
    below: dict[str, list[Guarantee]] = {form: [] for form in thm4.FORMS}
    above = []
    for _, row in table.iterrows():
        case = f"alpha={row['alpha']:g},d={row['d']},eta={row['eta']:g},k={row['units']}"
        numbers = {"d": int(row["d"]), "k": int(row["units"]), "eta": row["eta"], "alpha": row["alpha"]}
        ended = row["outcome"] == "converged"
        for form, found in zip(
            thm4.FORMS, thm4.theorem4(**numbers, updates=int(row["updates"]), ended=ended, case=case), strict=True
        ):
            below[form].append(found)
        above.append(
            thm2.corollary3(
                w_norm=float(np.sqrt(row["d"])), eta=row["eta"], alpha=row["alpha"], updates=int(row["updates"]),
                ended=ended, case=case,
            )
        )  # fmt: skip
    result = [tightest(f"separable/thm4[figure,{form}]", below[form]) for form in thm4.FORMS]
    result.append(tightest("separable/cor3[thm4]", above))
    different = int((table["updates"] != table["exact"]).sum())
    small, large = table[table["eta"] <= 0.125], table[table["eta"] >= 1 / table["alpha"] ** 2]
    attained = {form: int((table["exact"] == table[form]).sum()) for form in thm4.FORMS}
    beyond = int(((table["exact"] == table["sharp"]) & (table["exact"] > table["d"])).sum())
    counted = ", ".join(f"{form} {number}" for form, number in attained.items())
    return [
        *result,
        claim(
            "thm4/engine-count", f"{where} (exact count: this project)", 0, different, "equal",
            f"cells of {len(table)} in which the engine's number of updates is not the exact one", Kind.EXACT,
        ),
        claim(
            "thm4/whatever-the-width", "Section 5 (updates whatever the width)", 1,
            int(table.groupby(["axis", "alpha", "d", "eta"])["updates"].nunique().max()), "equal",
            f"most different numbers of updates among the widths 2k = "
            f"{', '.join(str(2 * units) for units in values(table, 'units'))}", Kind.EXACT,
        ),
        claim(
            "thm4/small-step", f"{where} (limit for small steps: this project)", 3,
            _short(small) if len(small) else None, "at_most",
            "largest distance of an example's updates from 2 (1 + r / alpha + alpha^2 r) / (eta (1 + alpha^2)), "
            "r = 1 / (2 sqrt(d)), over steps up to 1/8: three roundings of at most one update each",
        ),
        claim(
            "thm4/large-step", "Section 5.2 and Remark 1 (d updates for large steps)", 0,
            int((large["updates"] != large["d"]).sum()) if len(large) else None, "equal",
            f"cells of {len(large)} with eta >= 1 / alpha^2 in which the count is not d; of all {len(table)} cells "
            f"those in which it is the bound, by form: {counted}; {beyond} of them with more than d updates",
        ),
    ]  # fmt: skip


def _short(small: pd.DataFrame) -> float:
    """Largest distance, in updates of one example, from the count that a small step leads to.

    After n updates of an example, if w and u have both come to their other side, a = h n - r / alpha and b = -alpha
    (h n - r) but for rounding; the output is a - alpha b, and it comes to 1.
    """
    r, alpha = 0.5 / np.sqrt(small["d"]), small["alpha"]
    limit = (1 + r / alpha + alpha**2 * r) / (1 + alpha**2) * 2 / small["eta"]
    return float((small["updates"] / small["d"] - limit).abs().max())


def _cells(
    usual_d: int, usual_units: tuple[int, ...], usual_steps: tuple[int, int], usual_largest: int
) -> Callable[..., tuple[Setting, ...]]:
    """Settings by exponents: ``steps`` of 2, the least and the largest, at dimension d; ``largest`` of 4, from 0 on,
    for the dimensions at the step ``eta``.
    """

    def cells(
        d: int = usual_d,
        units: tuple[int, ...] = usual_units,
        steps: tuple[int, ...] = usual_steps,
        alphas: tuple[float, ...] = (0.125, 0.75),
        largest: int = usual_largest,
        eta: float = 0.0625,
    ) -> tuple[Setting, ...]:
        _power_of_4("d", checks.integer("d", d, at_least=1, at_most=4**10))
        for k in checks.several("units", units, checks.integer, at_least=1, at_most=4**8):
            _power_of_4("twice each of units", 2 * k)
        if len(steps) != 2 or not -20 <= steps[0] < steps[1] <= 20:
            raise RequestError(f"steps must hold two exponents of 2, the least first, from -20 to 20, got {steps}")
        for alpha in checks.several("alphas", alphas, checks.real, above=0.0, below=1):
            _dyadic("each of alphas", alpha)
        checks.integer("largest", largest, at_least=1, at_most=10)
        _dyadic("eta", checks.real("eta", eta, above=0.0))

        def cell(axis: str, alpha: float, k: int, ends: tuple[int, ...]) -> Setting:
            along = axis == "step"
            fixed: Setting = {"d_fixed": d if along else 0, "eta_fixed": 0.0 if along else eta}
            return {"axis": axis, "alpha": alpha, "units": k, **fixed, "from": ends[0], "to": ends[1]}

        return tuple(
            cell(axis, alpha, k, ends)
            for axis, ends in (("step", steps), ("dimension", (0, largest)))
            for alpha in alphas
            for k in units
        )

    return cells


def _power_of_4(name: str, number: int) -> None:
    """So that its root is a power of 2."""
    if number & (number - 1) or number.bit_length() % 2 == 0:
        raise RequestError(f"{name} must be a power of 4, for float64 to round nothing, got {number}")


def _dyadic(name: str, number: float) -> None:
    if Fraction(number).denominator > 1024:
        raise RequestError(f"{name} must be a multiple of 1/1024, for float64 to round nothing, got {number}")


EXPERIMENT = Experiment(
    title="Updates on the lower-bound sequence, between the bounds",
    source=f"{PAPER}, Theorems 4 and 10",
    revision=2,
    scales={
        "smoke": Scale(_cells(16, (2, 8), (-3, 7), 3), seeds=1, seconds=2),
        "laptop": Scale(_cells(256, (2, 32), (-7, 7), 5), seeds=1, seconds=2),
        "paper": Scale(_cells(1024, (2, 32), (-9, 9), 5), seeds=1, seconds=60),
    },
    run=run,
    figure=figure,
    claims=claims,
)
