"""Theorem 3's training run: accuracy on D_A and its parts against the width, the number of steps and the dimension.

The paper proves this and shows no picture. Safe initialisation, exact first step, then 512 fresh examples for each
step (the theorem has the population's gradient), lambda = 0, and one of two step sizes:

- the theorem's, eta = k^2 / (T sqrt q): k^2 / sqrt q in all, whatever T is;
- eta = 0.3 (and, beside it, 0.05 and 1), which is not covered by the theorem. It asks for eta = O(1/T) because the
  proof keeps the hidden layer where the first step left it.

The theorem's bound is far above 1 at every size here: how large n, q and T would have to be is in ``learnability
verify parity/corollary4``. What is claimed of its schedule is what these runs decide, the trends in q, T and n.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.evidence.intervals import every, mean, slope
from learnability.evidence.tables import pick, values
from learnability.plotting import COLORS, Curve, Item, Line, Panel, Plot, over_seeds
from learnability.studies.parity import PAPER, claim
from learnability.studies.parity.runs_mixture import LEARNT, ends, finals, learning_times, odd, run, setting, sizes
from learnability.studies.parity.theorems.theorem3 import theorem3_terms
from learnability.study import Experiment, Scale, Setting
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    import pandas as pd

THEOREM = 0.0
"""How a setting says: the theorem's step size."""
WHERE = "Theorem 3"
FLAT = 0.05
"""A loss that changes by at most this is the same."""
_SHOWN = (1e-3, 1e5)
"""Least hinge losses and bounds that are drawn."""


def _usual(table: pd.DataFrame) -> float:
    """The main step size beside the theorem's: that of the run with another k."""
    base = _base(table)
    others = table[~table["base"] & (table["eta"] > 0)]
    return float((others if len(others) else base[base["eta"] > 0])["eta"].iloc[0])


def _beyond(table: pd.DataFrame) -> str:
    return f"Theorem 3 (with eta = {_usual(table):g}: this project)"


def _names(table: pd.DataFrame) -> dict[float, str]:
    """The step sizes, the two main ones first."""
    main = {_usual(table): f"η = {_usual(table):g}", THEOREM: "theorem's η = k²/(T√q)"}
    return {**main, **{eta: f"η = {eta:g}" for eta in values(_base(table), "eta") if eta not in main}}


def _shades(table: pd.DataFrame) -> dict[float, str]:
    return dict(zip(_names(table), itertools.cycle(COLORS), strict=False))


def _base(table: pd.DataFrame) -> pd.DataFrame:
    """The runs at the usual n, k, q and number of steps, at every step size."""
    return table[table["base"]]


def figure(table: pd.DataFrame) -> Plot:
    """(a) Along the run, (b) against q, (c) against n, (d) against T, (e) k = 5, (f) the loss and the bound."""
    base = _base(table)
    n, k, q, T = (int(base[name].iloc[0]) for name in ("n", "k", "q", "steps"))
    seeds = table["seed"].nunique()
    final: dict[str, Any] = {"ylabel": "final error on $D^{(1)}$", "xscale": "log", "ylim": (-0.02, 0.8)}
    return Plot(
        (
            Panel(_runs(table), f"(a) n = {n}, k = {k}, q = {q}", "step", "error: $D^{(1)}$; dotted: $D^{(2)}$"),
            Panel(
                _final(table, "q"), f"(b) against the width, n = {n}, {T:,} steps", "q (2q units)",
                xticks=_ticks(table, "q"), **final,
            ),
            Panel(
                _final(table, "n"), f"(c) against the dimension, q = {q}", "n", xticks=_ticks(table, "n"), **final
            ),
            Panel(
                _schedules(table), f"(d) theorem's η, n = {n}, q = {q}", "T", "hinge loss after T steps",
                xscale="log", xticks=_ticks(table, "steps"), ylim=(0, None),
            ),
            Panel(
                _orders(table), f"(e) η = {_usual(table):g}, n = {n}, q = {q}", "step", "error on $D^{(1)}$",
                xscale="log", legend="best",
            ),
            Panel(
                _losses(table), f"(f) $D_A$ against the width, n = {n}", "q (2q units)", "least hinge loss",
                xscale="log", xticks=_ticks(table, "q"), yscale="log", ylim=_SHOWN, legend="center left",
            ),
        ),
        columns=3,
        size=(3.4, 2.9),
        note=f"mean over {seeds} seeds and its 95 % confidence band; k = {k} where nothing else is said",
        legend_columns=4,
    )  # fmt: skip


def _runs(table: pd.DataFrame) -> list[Item]:
    found: list[Item] = []
    for (eta, name), shade in zip(_names(table).items(), _shades(table).values(), strict=True):
        rows = pick(_base(table), eta=eta)
        if len(rows):
            look: dict[str, Any] = {"limits": (0, 1), "color": shade}
            found.append(over_seeds(rows, "step", "error_1", label=name, **look))
            found.append(over_seeds(rows, "step", "error_2", linestyle=":", **look))
    return found


def _final(table: pd.DataFrame, axis: str) -> list[Item]:
    return [
        over_seeds(
            ends(_axis(table, axis, eta), axis), axis, "error_1", limits=(0, 1), marker="o", color=shade
        )
        for eta, shade in itertools.islice(_shades(table).items(), 2)
    ]  # fmt: skip


def _schedules(table: pd.DataFrame) -> list[Item]:
    rows, color = ends(_axis(table, "steps", THEOREM), "steps"), _shades(table)[THEOREM]
    lines = (("loss_1", "$D^{(1)}$", "-"), ("loss", "$D_A$", "--"), ("loss_2", "$D^{(2)}$", ":"))
    return [
        over_seeds(rows, "steps", column, marker="o", color=color, linestyle=line, label=label, direct=True)
        for column, label, line in lines
    ]


def _orders(table: pd.DataFrame) -> list[Item]:
    base, eta = _base(table), _usual(table)
    k, other = int(base["k"].iloc[0]), _other(table)
    both = (
        (k, COLORS[0], pick(base, eta=eta)),
        (other["k"].max(), COLORS[4], other),
    )
    return [
        over_seeds(rows, "step", "error_1", limits=(0, 1), color=color, label=f"k = {k}")
        for k, color, rows in both
        if len(rows)
    ]


def _other(table: pd.DataFrame) -> pd.DataFrame:
    """The runs with another k."""
    return pick(table[table["k"] != _base(table)["k"].iloc[0]], eta=_usual(table))


def _axis(table: pd.DataFrame, axis: str, eta: float) -> pd.DataFrame:
    """The runs that differ from the base in one number only."""
    base = _base(table).iloc[0]
    rows = pick(table, eta=eta)
    for other in ("n", "k", "q", "steps"):
        if other != axis:
            rows = rows[rows[other] == base[other]]
    return rows


def _ticks(table: pd.DataFrame, axis: str) -> dict[float, str]:
    return {value: f"{value:,}" for value in values(_axis(table, axis, THEOREM), axis)}


def _losses(table: pd.DataFrame) -> list[Item]:
    """Least loss on D_A along runs, the level that a linear method reaches, and the bound."""
    found: list[Item] = []
    for eta, shade in itertools.islice(_shades(table).items(), 2):
        rows = _axis(table, "q", eta)
        least = rows[rows["step"] >= 1].groupby(["q", "seed"])["loss"].min().reset_index()
        found.append(over_seeds(least, "q", "loss", limits=_SHOWN, marker="o", color=shade))
    base = _base(table).iloc[0]
    grid = np.geomspace(rows["q"].min(), rows["q"].max(), 30)
    n, k, T = (int(base[name]) for name in ("n", "k", "steps"))
    bounds = [theorem3_terms(n=n, k=k, q=float(q), T=T, lam=0.0).total for q in grid]
    return [
        *found,
        Curve(grid, bounds, color="black", label="Theorem 3 (vacuous)"),
        Line(y=0.5, linewidth=0.8, label="$D^{(2)}$ alone learnt"),
    ]


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Error below loss; what eta = 0.3 reaches and the theorem's schedule does not; the trends in q, T, n and k."""
    base, usual, beyond = _base(table), _usual(table), _beyond(table)
    last = ends(pick(base, eta=usual), "eta")
    steps = int(base["steps"].iloc[0])
    zero = (last["error_1"] == 0) & (last["error_2"] == 0)
    times = learning_times(pick(base, eta=usual), "eta")["time"]
    theirs = ends(pick(base, eta=THEOREM), "eta")
    excess = max(float((table[f"error_{part}"] - table[f"loss_{part}"]).max()) for part in (1, 2))
    found = [
        claim(
            "theorem3-error-below-loss", WHERE, 0.0, excess, "at_most",
            f"largest error less hinge loss on the same inputs, both parts, all {len(table)} records",
            Kind.UPPER_BOUND, tolerance=1e-12,
        ),
        claim(
            f"theorem3/both-parts-at-0[eta={usual:g}]", beyond, 1.0, every(zero), "at_least",
            f"share of runs with no error among the held-out examples of both parts at step {steps}; error on D^(1) "
            f"at most {LEARNT:g} from step {times.median():g} on (median)",
        ),
        claim(
            "theorem3/schedule-moves-too-little", f"{WHERE} (this project)", 0.9, mean(theirs["loss_1"]), "at_least",
            "loss on D^(1) at the end of the theorem's schedule (the zero function has 1): at these sizes k^2 / sqrt "
            f"q is too little movement; mean loss on D^(2) {theirs['loss_2'].mean():.3f}, on D_A "
            f"{theirs['loss'].mean():.3f}; the theorem's bound is {_bound(base):.3g} here",
        ),
        _falls(table, "q", usual, "error_1", beyond),
        _rises_with_n(table, usual, beyond),
        _falls(table, "q", THEOREM, "loss", f"{WHERE} (trend: this project)"),
        _falls(table, "steps", THEOREM, "loss", f"{WHERE} (trend: this project)"),
        _flat_in_n(table),
    ]  # fmt: skip
    other = _other(table)
    if len(other):
        found.append(_slower(other, last, times, steps, beyond))
    return found


def _bound(base: pd.DataFrame) -> float:
    """The theorem's, at the usual sizes."""
    n, k, q, T = (int(base[name].iloc[0]) for name in ("n", "k", "q", "steps"))
    return theorem3_terms(n=n, k=k, q=q, T=T, lam=0.0).total


def _along(table: pd.DataFrame, axis: str, eta: float, column: str) -> tuple[str, dict[float, pd.Series], str]:
    """The case of an id, the end values by q, n or T, and words for both."""
    groups = finals(_axis(table, axis, eta), axis, column)
    name = {"steps": "T"}.get(axis, axis)
    what = {"error_1": "error on D^(1)", "loss": "loss on D_A"}[column]
    schedule = "theorem's eta" if eta == THEOREM else f"eta={eta:g}"
    listed = ", ".join(f"{value:g}: {group.mean():.3f}" for value, group in groups.items())
    return f"{name}[{schedule}]", groups, f"final {what}, means at {name} = {listed}"


def _falls(table: pd.DataFrame, axis: str, eta: float, column: str, where: str) -> Guarantee:
    """That the end value falls with q or T: the slope over its logarithm, by seed."""
    case, groups, note = _along(table, axis, eta, column)
    curves = np.array([group.sort_index() for group in groups.values()])  # (values, seeds)
    slopes = [slope(np.log(list(groups)), curve).estimate for curve in curves.T]
    return claim(
        f"theorem3/falls-with-{case}", where, 0.0, mean(slopes, what="mean slope"), "at_most",
        f"slope over the logarithm; {note}", Kind.TREND,
    )  # fmt: skip


def _rises_with_n(table: pd.DataFrame, eta: float, where: str) -> Guarantee:
    """That as many steps do less where n is larger, against the bound, which falls with n."""
    case, groups, note = _along(table, "n", eta, "error_1")
    return claim(
        f"theorem3/slower-with-{case}", where, 0.0, mean(groups[max(groups)] - groups[min(groups)]), "at_least",
        f"change from n = {min(groups):g} to {max(groups):g}; {note}", Kind.TREND,
    )  # fmt: skip


def _flat_in_n(table: pd.DataFrame) -> Guarantee:
    """That the theorem's schedule ends at the same loss at every n, where its bound falls by orders of magnitude."""
    case, groups, note = _along(table, "n", THEOREM, "loss")
    base = _base(table).iloc[0]
    k, q, T = (int(base[name]) for name in ("k", "q", "steps"))
    bounds = [theorem3_terms(n=int(n), k=k, q=q, T=T, lam=0.0).total for n in (min(groups), max(groups))]
    return claim(
        f"theorem3/same-for-{case}", f"{WHERE} (trend: this project)", FLAT,
        mean(groups[max(groups)] - groups[min(groups)]).distance(), "at_most",
        f"change from n = {min(groups):g} to {max(groups):g}, where the bound goes from {bounds[0]:.3g} to "
        f"{bounds[1]:.3g}; {note}", Kind.TREND,
    )  # fmt: skip


def _slower(other: pd.DataFrame, usual: pd.DataFrame, times: pd.Series, steps: int, where: str) -> Guarantee:
    """That the run with another k, a larger one, is slower."""
    k, more, eta = (int(usual["k"].iloc[0]), int(other["k"].iloc[0]), float(usual["eta"].iloc[0]))
    at = other[other["step"] <= steps].groupby("seed")["error_1"].last()
    slower = learning_times(other, "k")["time"]
    return claim(
        f"theorem3/k={more}-is-slower[eta={eta:g}]", where, 0.0,
        mean(at - usual.set_index("seed")["error_1"]), "at_least",
        f"error on D^(1) at step {steps} less that of k = {k}; k = {more} at step {int(other['step'].max())}: "
        f"{ends(other, 'k')['error_1'].mean():.3f}; median steps to learn {slower.median():g} (k = {k}: "
        f"{times.median():g})", Kind.TREND,
    )  # fmt: skip


def _cells(
    n: int = 200,
    k: int = 3,
    q: int = 256,
    steps: int = 1000,
    batch: int = 512,
    eta: float = 0.3,
    etas: tuple[float, ...] = (0.05, 1.0),
    widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512),
    dimensions: tuple[int, ...] = (50, 100, 200, 500),
    budgets: tuple[int, ...] = (30, 100, 300, 1000),
    k_larger: int = 5,
    steps_larger: int = 4000,
) -> tuple[Setting, ...]:
    """The base at all step sizes; one number changed at the two main ones; T at the theorem's; a larger k."""
    base = sizes(n=n, k=k, q=q, steps=steps, batch=batch)
    for name, given, least in (("widths", widths, 1), ("dimensions", dimensions, k), ("budgets", budgets, 1)):
        checks.several(name, given, checks.integer, at_least=least)
    checks.real("eta", eta, above=0.0)
    checks.several("etas", etas, checks.real, empty=True, above=0.0)
    odd("k_larger", k_larger, at_least=k + 1, at_most=n)
    checks.integer("steps_larger", steps_larger, at_least=1)
    changed = [({"q": width}, step) for width in widths if width != q for step in (eta, THEOREM)]
    changed += [({"n": dimension}, step) for dimension in dimensions if dimension != n for step in (eta, THEOREM)]
    changed += [({"steps": T}, THEOREM) for T in budgets if steps != T]
    found = [
        setting(**base, eta=step, base=True) for step in (eta, THEOREM, *(other for other in etas if other != eta))
    ]
    found += [setting(**{**base, **change}, eta=step, base=False) for change, step in changed]
    return (*found, setting(**{**base, "k": k_larger, "steps": steps_larger}, eta=eta, base=False))


EXPERIMENT = Experiment(
    title="Theorem 3's training run against width, steps and dimension",
    source=f"{PAPER}, Theorem 3",
    revision=1,
    scales={
        "smoke": Scale(
            partial(
                _cells, n=30, q=32, steps=200, batch=128, etas=(), widths=(8, 32), dimensions=(10, 30),
                budgets=(50, 200), steps_larger=200,
            ),
            seeds=2,
            seconds=3,
        ),
        "laptop": Scale(_cells, seeds=4, seconds=250),
        "paper": Scale(
            partial(
                _cells, widths=(16, 32, 64, 128, 256, 512, 1024), dimensions=(50, 100, 200, 500, 1000),
                budgets=(30, 100, 300, 1000, 3000, 10_000), steps_larger=10_000,
            ),
            seeds=20,
            seconds=6000,
        ),
    },
    run=run,
    figure=figure,
    claims=claims,
)  # fmt: skip
