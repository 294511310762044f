"""Theorem 3's training run: accuracy on D_A and its parts against the width, the number of steps and the dimension.

The paper proves this and shows no picture. Safe initialisation, exact first step, then 512 fresh examples for each
step (the theorem has the population's gradient), lambda = 0, and one of two step sizes:

- the theorem's, eta = k^2 / (T sqrt q): k^2 / sqrt q in all, whatever T is;
- eta = 0.3 (and, beside it, 0.05 and 1), which is not covered by the theorem. It asks for eta = O(1/T) because the
  proof keeps the hidden layer where the first step left it.

The theorem's bound is far above 1 at every size here, so that its verdict can only be ``outside_hypotheses``; how
large n, q and T would have to be is in ``learnability verify parity/corollary4``. The trends in q, T and n stand
beside it, for the same reason outside the hypotheses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import plotting
from learnability.evidence.intervals import every, mean
from learnability.evidence.tables import pick
from learnability.studies.parity import PAPER, claim
from learnability.studies.parity.runs_mixture import LEARNT, ends, learning_times, run, setting
from learnability.studies.parity.theorems.theorem3 import theorem3, theorem3_step, theorem3_terms
from learnability.study import Experiment, Scale, Setting
from learnability.theory import Guarantee, Hypothesis, Kind
from learnability.theory.aggregate import tightest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

THEOREM = 0.0
"""How a setting says: the theorem's step size."""
USUAL = 0.3
WHERE = "Theorem 3"
BEYOND = "Theorem 3 (with eta = 0.3: this project)"
VACUOUS = Hypothesis("the bound is below 1", False, "Theorem 3 promises nothing at these sizes")
_NAMES = {USUAL: "η = 0.3", THEOREM: "theorem's η = k²/(T√q)", 0.05: "η = 0.05", 1.0: "η = 1"}
_SHADES = dict(zip(_NAMES, plotting.COLORS, strict=False))


def _base(table: pd.DataFrame) -> pd.DataFrame:
    """The runs at the usual n, k, q and number of steps, at every step size."""
    return table[table["base"]]


def figure(table: pd.DataFrame) -> Figure:
    """(a) Along the run, (b) against q, (c) against n, (d) against T, (e) k = 5, (f) the loss and the bound."""
    fig, axes = plotting.panels(2, 3, width=3.4, height=2.9)
    run_, width, dimension, budget, five, loss = axes
    base = _base(table)
    for eta in _NAMES:
        rows = pick(base, eta=eta)
        if len(rows):
            look: dict[str, Any] = {"color": _SHADES[eta]}
            plotting.band(run_, rows, "step", "error_1", limits=(0, 1), label=_NAMES[eta], **look)
            plotting.band(run_, rows, "step", "error_2", limits=(0, 1), linestyle=":", **look)
    for ax, axis in ((width, "q"), (dimension, "n")):
        for eta in (USUAL, THEOREM):
            rows = ends(_axis(table, axis, eta), axis)
            plotting.band(ax, rows, axis, "error_1", limits=(0, 1), marker="o", markersize=4, color=_SHADES[eta])
        ax.set(xscale="log", ylabel="final error on $D^{(1)}$", ylim=(-0.02, 0.8))
    steps = ends(_axis(table, "steps", THEOREM), "steps")
    for column, label, line in (("loss_1", "$D^{(1)}$", "-"), ("loss", "$D_A$", "--"), ("loss_2", "$D^{(2)}$", ":")):
        plotting.band(
            budget, steps, "steps", column, marker="o", markersize=4, color=_SHADES[THEOREM], linestyle=line,
            label=label,
        )  # fmt: skip
    for k, color in ((3, plotting.COLORS[0]), (5, plotting.COLORS[4])):
        rows = pick(base, eta=USUAL) if k == 3 else pick(table, k=k, eta=USUAL)
        if len(rows):
            plotting.band(five, rows, "step", "error_1", limits=(0, 1), color=color, label=f"k = {k}")
    _losses(loss, table)
    n, q, T = (int(base[name].iloc[0]) for name in ("n", "q", "steps"))
    run_.set(title=f"(a) n = {n}, k = 3, q = {q}", xlabel="step", ylabel="error: $D^{(1)}$; dotted: $D^{(2)}$")
    width.set(title=f"(b) against the width, n = {n}, {T:,} steps", xlabel="q (2q units)")
    dimension.set(title=f"(c) against the dimension, q = {q}", xlabel="n")
    budget.set(
        title=f"(d) theorem's η, n = {n}, q = {q}", xlabel="T", ylabel="hinge loss after T steps", xscale="log"
    )
    budget.set_ylim(bottom=0)
    five.set(title=f"(e) η = 0.3, n = {n}, q = {q}", xlabel="step", ylabel="error on $D^{(1)}$", xscale="log")
    loss.set(
        title=f"(f) $D_A$ against the width, n = {n}", xlabel="q (2q units)", ylabel="least hinge loss", xscale="log"
    )
    loss.set_yscale("symlog", linthresh=0.01)
    loss.set_ylim(bottom=-0.002)
    for ax, axis in ((width, "q"), (loss, "q"), (dimension, "n"), (budget, "steps")):
        values = sorted(_axis(table, axis, THEOREM)[axis].unique())
        ax.set_xticks(values, [f"{value:,}" for value in values])
        ax.minorticks_off()
    for ax in (budget, five):
        ax.legend()
    loss.legend(fontsize=7, loc="center left", bbox_to_anchor=(0.0, 0.68))
    note = f"mean over {table['seed'].nunique()} seeds and its 95 % confidence band; k = 3 where nothing else is said"
    handles, labels = run_.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, title=note, title_fontsize=8)
    return fig


def _axis(table: pd.DataFrame, axis: str, eta: float) -> pd.DataFrame:
    """The runs that differ from the base in one number only."""
    base = _base(table).iloc[0]
    rows = pick(table, eta=eta)
    for other in ("n", "k", "q", "steps"):
        if other != axis:
            rows = rows[rows[other] == base[other]]
    return rows


def _losses(ax: Axes, table: pd.DataFrame) -> None:
    """Least loss on D_A along runs, the level that a linear method reaches, and the bound."""
    for eta in (USUAL, THEOREM):
        rows = _axis(table, "q", eta)
        least = rows[rows["step"] >= 1].groupby(["q", "seed"])["loss"].min().reset_index()
        plotting.band(ax, least, "q", "loss", marker="o", markersize=4, color=_SHADES[eta], label=_NAMES[eta])
    base = _base(table).iloc[0]
    grid = np.geomspace(rows["q"].min(), rows["q"].max(), 30)
    n, k, T = (int(base[name]) for name in ("n", "k", "steps"))
    bounds = [theorem3_terms(n=n, k=k, q=float(q), T=T, lam=0.0).total for q in grid]
    ax.plot(grid, bounds, color="black", label="Theorem 3 (vacuous)")
    ax.axhline(0.5, color="#888888", linewidth=0.8, linestyle=":", label="$D^{(2)}$ alone learnt")


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """The theorem outside its hypotheses; error below loss; what eta = 0.3 reaches; the trends in q, T, n and k."""
    base = _base(table)
    last = ends(pick(base, eta=USUAL), "eta")
    steps = int(base["steps"].iloc[0])
    zero = (last["error_1"] == 0) & (last["error_2"] == 0)
    times = learning_times(pick(base, eta=USUAL), "eta")["time"]
    theirs = ends(pick(base, eta=THEOREM), "eta")
    excess = max(float((table[f"error_{part}"] - table[f"loss_{part}"]).max()) for part in (1, 2))
    found = [
        tightest("parity/theorem3[runs by its schedule]", _bounds(table), "lambda = 0, sampled gradients"),
        claim(
            "theorem3-error-below-loss", WHERE, 0.0, excess, "at_most",
            f"largest error less hinge loss on the same inputs, both parts, all {len(table)} records",
            Kind.UPPER_BOUND, tolerance=1e-12,
        ),
        claim(
            "theorem3/both-parts-at-0[eta=0.3]", BEYOND, 1.0, every(zero), "at_least",
            f"share of runs with no error among the held-out examples of both parts at step {steps}; error on D^(1) "
            f"at most {LEARNT:g} from step {times.median():g} on (median)",
        ),
        claim(
            "theorem3/schedule-moves-too-little", f"{WHERE} (this project)", 0.9, mean(theirs["loss_1"]), "at_least",
            "loss on D^(1) at the end of the theorem's schedule (the zero function has 1): at these sizes k^2 / sqrt "
            f"q is too little movement; mean loss on D^(2) {theirs['loss_2'].mean():.3f}, on D_A "
            f"{theirs['loss'].mean():.3f}",
        ),
        _trend(table, "q", USUAL, "error_1", BEYOND),
        _trend(table, "n", USUAL, "error_1", WHERE),
        _trend(table, "q", THEOREM, "loss", WHERE),
        _trend(table, "steps", THEOREM, "loss", WHERE),
        _trend(table, "n", THEOREM, "loss", WHERE),
    ]  # fmt: skip
    fives = pick(table, k=5, eta=USUAL)
    if len(fives):
        found.append(_slower(fives, last, times, steps))
    return found


def _bounds(table: pd.DataFrame) -> list[Guarantee]:
    rows = table[(table["eta"] == THEOREM) & (table["step"] >= 1)]
    found = []
    for _, runs in rows.groupby(["n", "k", "q", "steps"]):
        n, k, q, T = (int(runs[name].iloc[0]) for name in ("n", "k", "q", "steps"))
        sizes: Any = {"n": n, "k": k, "q": q, "T": T}
        step = theorem3_step(k=k, q=q, T=T)
        loss = float(runs.groupby("seed")["loss"].min().max())
        found.append(theorem3(**sizes, eta=step, loss=loss, case=f"n={n},k={k},q={q},T={T}"))
    return found


def _trend(table: pd.DataFrame, axis: str, eta: float, column: str, where: str) -> Guarantee:
    """That the end value does not rise from the least to the largest q, n or T, as the bound suggests.

    Where it is asked in the theorem's name, the theorem's hypotheses stand with it, and they are not met.
    """
    last = ends(_axis(table, axis, eta), axis)
    groups = {value: pick(last, **{axis: value}).set_index("seed")[column] for value in sorted(last[axis].unique())}
    least, most = min(groups), max(groups)
    name = {"steps": "T"}.get(axis, axis)
    what = {"error_1": "error on D^(1)", "loss": "loss on D_A"}[column]
    schedule = "theorem's eta" if eta == THEOREM else f"eta={eta:g}"
    listed = ", ".join(f"{value:g}: {group.mean():.3f}" for value, group in groups.items())
    return claim(
        f"theorem3/with-{name}[{schedule}]", where, 0.0, mean(groups[most] - groups[least]), "at_most",
        f"change of the final {what} from {name} = {least:g} to {most:g}; means {listed}", Kind.TREND,
        hypotheses=() if where == BEYOND else (VACUOUS,),
    )  # fmt: skip


def _slower(fives: pd.DataFrame, threes: pd.DataFrame, times: pd.Series, steps: int) -> Guarantee:
    at = fives[fives["step"] <= steps].groupby("seed")["error_1"].last()
    slower = learning_times(fives, "k")["time"]
    return claim(
        "theorem3/k=5-is-slower[eta=0.3]", BEYOND, 0.0, mean(at - threes.set_index("seed")["error_1"]), "at_least",
        f"error on D^(1) at step {steps} less that of k = 3; k = 5 at step {int(fives['step'].max())}: "
        f"{ends(fives, 'k')['error_1'].mean():.3f}; median steps to learn {slower.median():g} (k = 3: "
        f"{times.median():g})", Kind.TREND,
    )  # fmt: skip


def _cells(
    base: dict[str, int],
    widths: tuple[int, ...],
    dimensions: tuple[int, ...],
    budgets: tuple[int, ...],
    etas: tuple[float, ...],
    five: dict[str, int] | None,
) -> tuple[Setting, ...]:
    """The base at all step sizes; one number changed at the two main ones; T at the theorem's."""
    changed = [({"q": q}, eta) for q in widths if q != base["q"] for eta in (USUAL, THEOREM)]
    changed += [({"n": n}, eta) for n in dimensions if n != base["n"] for eta in (USUAL, THEOREM)]
    changed += [({"steps": T}, THEOREM) for T in budgets if base["steps"] != T]
    cells = [setting(**base, eta=eta, base=True) for eta in (USUAL, THEOREM, *etas)]
    cells += [setting(**{**base, **change}, eta=eta, base=False) for change, eta in changed]
    if five is not None:
        cells.append(setting(**{**base, **five}, eta=USUAL, base=False))
    return tuple(cells)


_BASE = {"n": 200, "k": 3, "q": 256, "steps": 1000}

EXPERIMENT = Experiment(
    title="Theorem 3's training run against width, steps and dimension",
    source=f"{PAPER}, Theorem 3",
    revision=1,
    scales={
"smoke": Scale(_cells(
            {"n": 30, "k": 3, "q": 32, "steps": 200, "batch": 128}, (8, 32), (10, 30), (50, 200), (), {"k": 5}
        ), seeds=2, seconds=3),
"laptop": Scale(_cells(
            _BASE, (16, 32, 64, 128, 256, 512), (50, 100, 200, 500), (30, 100, 300, 1000), (0.05, 1.0),
            {"k": 5, "steps": 4000},
        ), seeds=4, seconds=250),
"paper": Scale(_cells(
            _BASE, (16, 32, 64, 128, 256, 512, 1024), (50, 100, 200, 500, 1000), (30, 100, 300, 1000, 3000, 10_000),
            (0.05, 1.0), {"k": 5, "steps": 10_000},
        ), seeds=20, seconds=6000),
},
    run=run,
    figure=figure,
    claims=claims,
)  # fmt: skip
