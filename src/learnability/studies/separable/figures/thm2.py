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

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.errors import RequestError
from learnability.evidence.tables import pick, values
from learnability.plotting import COLORS, Curve, Panel, Plot
from learnability.studies.separable import PAPER, claim, runs
from learnability.studies.separable import claims as sure
from learnability.studies.separable.runs import setting
from learnability.studies.separable.theorems import thm2_thm6 as thm2
from learnability.studies.separable.theorems import thm4_thm10 as thm4
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

_WIDTHS = (2, 6, 20, 60, 200, 600, 2000, 6000, 20_000)
_STEPS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_USUAL = {"sequence": 0.1, "ball": 0.1, "digits": 0.1, "mnist": 1.0}
"""The step of the upper row."""
_NAMES = {
    "sequence": "Theorem 4's sequence, d = {d}",
    "ball": "ball, margin {margin:g}, d = {d}",
    "digits": "digits 8x8, 3 against 5",
    "mnist": "MNIST, 3 against 5",
}


def run(s: Setting, seed: int) -> list[Row]:
    """The end of one run; the sequence's count has an exact value, and nothing in it depends on the seed."""
    rows = runs.run(s, seed, only_end=True)
    exact = 0
    if s["data"] == "sequence":
        exact = thm4.sequence_updates(
            d=_dimension(s), k=int(s["width"]) // 2, eta=_decimal(s["eta"]), alpha=_decimal(s["alpha"])
        )
    return [{**row, "exact": exact} for row in rows]


def _dimension(s: Any) -> int:
    """Of the sequence, by a setting or a row."""
    return int(runs.shape("sequence", s)["d"])


def _decimal(number: Any) -> Any:
    """The decimal number that is meant, as a fraction."""
    return Fraction(str(number))


def figure(table: pd.DataFrame) -> Plot:
    """Above: updates against the width. Below: against the step. A column, with one axis, for each data set."""
    shades = dict(zip(values(pick(table, axis="step"), "width"), itertools.cycle(COLORS[1:]), strict=False))
    above: list[Panel] = []
    below: list[Panel] = []
    for data in (data for data in _NAMES if (table["data"] == data).any()):
        rows = pick(table, data=data)
        wide = _against(pick(rows, axis="width"), "width", {})
        steps = _against(pick(rows, axis="step"), "eta", shades)
        shown = np.concatenate([rows["updates"], *(np.ravel(curve.y) for curve in wide + steps)])
        axes: dict[str, Any] = {
            "ylabel": "" if above else "non-zero updates", "xscale": "log", "yscale": "log",
            "ylim": (shown.min() / 2, 2 * shown.max()),
        }  # fmt: skip
        name = _NAMES[data].format(**runs.shape(data, rows.iloc[0]))
        eta = float(pick(rows, axis="width")["eta"].iloc[0])
        above.append(Panel(wide, name, f"hidden units 2k (η = {eta:g})", **axes))
        below.append(Panel(steps, "", "step η", **axes))
    seeds = table["seed"].nunique()
    note = f"mean over {seeds} runs, bands: from the least to the most" if seeds > 1 else "one run"
    return Plot([*above, *below], columns=len(above), size=(2.6, 2.6), note=note, legend_columns=min(3, len(above)))


def _against(rows: pd.DataFrame, x: str, shades: dict[Any, str]) -> list[Curve]:
    """One panel: measured updates (a curve for each width if x is the step), and the bounds."""
    if x == "width":
        grid = np.array([rows["width"].min(), rows["width"].max()], dtype=float)
        steps, groups = np.full(2, float(rows["eta"].iloc[0])), [("measured, against the width", COLORS[0], rows)]
    else:
        grid = steps = np.geomspace(rows["eta"].min(), rows["eta"].max(), 60)
        groups = [(f"measured, 2k = {k}", shades[k], pick(rows, width=k)) for k in values(rows, "width")]
    first, alpha = rows.iloc[0], float(rows["alpha"].iloc[0])
    most = [thm2.corollary3_bound(w_norm=float(first["w_norm"]), eta=e, alpha=alpha) for e in steps]
    found = [Curve(grid, most, color="black", label="Theorem 2 = Corollary 3: at most")]
    if first["data"] == "sequence":
        d = _dimension(first)
        least = [float(thm4.lower_bound(d=d, k=1, eta=e, alpha=alpha, form="sharp")) for e in steps]
        found.append(Curve(grid, least, color="#555555", linestyle="--", label="Theorem 4, sharp: at least"))
    for index, (label, shade, group) in enumerate(groups):
        count = group.groupby(x)["updates"]
        look: dict[str, Any] = {"marker": "o"}
        if index:  # it often lies on the one before
            look = {"linestyle": "--", "marker": "s", "markersize": 7, "hollow": True}
        found.append(Curve(count.mean().index, count.mean(), count.min(), count.max(), label, shade, **look))
    return found


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Every run ends at loss 0 within Theorem 2's bound; no growth with the width; exact counts but at ties."""
    found = []
    for data in (name for name in _NAMES if (table["data"] == name).any()):
        rows = pick(table, data=data)
        found.append(sure.zero_loss(f"thm2/zero-loss[{data}]", "Section 2 (SGD stops at a global minimum)", rows))
        wide = pick(rows, axis="width")
        narrowest = int(wide["width"].min())  # one unit of each sign may take far longer, and would hide a growth
        others = wide[wide["width"] > narrowest]
        for case, some in ((data, wide), (f"{data},without 2k={narrowest}", others)):
            where = "Section 5 (updates whatever the width)"
            found.append(sure.no_growth(f"thm2/updates-with-width[{case}]", where, some))
        if data == "sequence":
            found += _sequence(rows)
    return found


def _sequence(rows: pd.DataFrame) -> list[Guarantee]:
    """The engine's count against the exact one, and against Theorem 4 from below."""
    d = _dimension(rows.iloc[0])
    ended = rows[rows["outcome"] == "converged"]
    tied = np.array([_tied(row) for _, row in ended.iterrows()], dtype=bool)
    where = "Theorem 4 (exact count: this project)"
    apart = (ended["updates"] - ended["exact"]).abs() / d
    clear, ties = apart[~tied], apart[tied]
    counts = [
        claim(
            "thm2/sequence-count", where, 0.0, float(clear.max()) if len(clear) else None, "equal",
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
        for g in thm4.theorem4(
            d=d, k=int(row["width"]) // 2, eta=_decimal(row["eta"]), alpha=_decimal(row["alpha"]),
            updates=int(row["updates"]), ended=row["outcome"] == "converged",
            case=f"2k={row['width']},eta={row['eta']:g}",
        )
    ]  # fmt: skip
    of_form = {form: [g for g in below if f"[{form}," in g.id] for form in thm4.FORMS}
    return counts + [tightest(f"separable/thm4[thm2,{form}]", of_form[form], "all cells") for form in thm4.FORMS]


def _tied(row: Any) -> bool:
    """Whether rounding may decide the count: a step that differs by 1e-9 of itself, far more than float64's rounding
    adds up to over these runs, has another exact count.
    """
    eta, alpha = _decimal(row["eta"]), _decimal(row["alpha"])
    near = (eta * (1 + Fraction(sign, 10**9)) for sign in (-1, 1))
    d, k = _dimension(row), int(row["width"]) // 2
    return any(thm4.sequence_updates(d=d, k=k, eta=e, alpha=alpha) != row["exact"] for e in near)


_MNIST = {"steps": (0.3, 1.0, 3.0, 10.0)}
"""What of the free values MNIST has of its own unless they are set."""
_MNIST_LAPTOP = {**_MNIST, "widths": _WIDTHS[:6], "pair": (10, 100)}
_HERE = ("sequence", "ball", "digits", *(("mnist",) if runs.images() == "mnist" else ()))


def _cells(
    usual_widths: tuple[int, ...],
    usual_steps: tuple[float, ...],
    usual_pair: tuple[int, int],
    here: tuple[str, ...],
    mnist: Mapping[str, Any],
) -> Callable[..., tuple[Setting, ...]]:
    """Every data set at its step for all widths, and at all steps for the widths of ``pair``."""
    usual = {"widths": usual_widths, "steps": usual_steps, "pair": usual_pair}

    def cells(
        data: tuple[str, ...] = here,
        widths: tuple[int, ...] = usual_widths,
        steps: tuple[float, ...] = usual_steps,
        pair: tuple[int, ...] = usual_pair,
        alpha: float = runs.ALPHA,
        d: int = runs.SHAPES["sequence"]["d"],
        ball_d: int = runs.SHAPES["ball"]["d"],
        margin: float = runs.SHAPES["ball"]["margin"],
        epochs: int = 100_000,
    ) -> tuple[Setting, ...]:
        checks.several("data", data, checks.choice, tuple(_USUAL))
        if len(checks.several("widths", widths, runs.even, at_least=2)) < 2:
            raise RequestError(f"widths must hold at least two values, for a growth, got {widths}")
        checks.several("pair", pair, runs.even, at_least=2)
        checks.several("steps", steps, checks.real, above=0.0)
        checks.real("alpha", alpha, above=0.0, below=1)
        checks.integer("epochs", epochs, at_least=1)
        checks.integer("d", d, at_least=1)
        checks.integer("ball_d", ball_d, at_least=1)
        checks.real("margin", margin, above=0.0, below=1)
        found: list[Setting] = []
        for name in data:
            chosen: dict[str, Any] = {"widths": widths, "steps": steps, "pair": pair}
            if name == "mnist":
                chosen |= {key: value for key, value in mnist.items() if chosen[key] == usual[key]}
            common: dict[str, Any] = {"data": name, "alpha": alpha, "epochs": epochs}
            common |= runs.shaped(name, d=d if name == "sequence" else ball_d, margin=margin)
            at = [("width", width, _USUAL[name]) for width in chosen["widths"]]
            at += [("step", width, eta) for width in chosen["pair"] for eta in chosen["steps"]]
            found += [{**setting(**common, width=width, eta=eta), "axis": axis} for axis, width, eta in at]
        return tuple(found)

    return cells


EXPERIMENT = Experiment(
    title="Updates against width and step, with upper and lower bounds",
    source=f"{PAPER}, Theorem 2, Corollary 3 and Theorem 4",
    revision=2,
    scales={
        "smoke": Scale(_cells((2, 20, 200), (0.1, 1.0, 10.0), (2, 20), _HERE[:3], {}), seeds=2, seconds=5),
        "laptop": Scale(_cells(_WIDTHS, _STEPS, (10, 1000), _HERE, _MNIST_LAPTOP), seeds=3, seconds=76),
        "paper": Scale(_cells(_WIDTHS, _STEPS, (10, 1000), _HERE, _MNIST), seeds=10, seconds=3600),
    },
    run=run,
    figure=figure,
    claims=claims,
    ready=runs.ready,
)
