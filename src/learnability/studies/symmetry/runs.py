"""Learning curves of the symmetry study: one task is one training run, one row is one recorded epoch.

The figures of Nachum & Yehudayoff differ in their settings only; this module holds what they share. A setting has

``panel``, ``curve``
    Where the run is drawn.
``n``, ``m``, ``target`` ("parity" or "random")
    Problem: uniform inputs in {0,1}^n, sample size, symmetric target.
``init``, ``layers``, ``h_power``, ``beta``
    Network with 4n+3 (half_integer: 4n+2 and the output bias) hidden neurons; step h = n^-h_power; confidence
    ``"n^3 h"`` or ``"0"``.
``epochs``
    End of the paper's axis.
``flip``, ``shift``
    Probability of a flipped training label; half-width of the shift of every input entry.

Target, sample, test sample, initialisation and order of examples have generators of their own, so that all curves
of a panel see the same data.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import plotting
from learnability.evidence.intervals import half_width
from learnability.evidence.tables import pick
from learnability.networks.one_hidden import OneHidden, random_init
from learnability.networks.symmetry import SYMMETRY_KINDS, symmetry_init
from learnability.problems.symmetry import (
    SymmetricFunction,
    UniformCube,
    flip_labels,
    parity,
    random_symmetric,
    shift_inputs,
)
from learnability.seeding import generator
from learnability.studies.symmetry import claim
from learnability.study import Row, Setting
from learnability.theory import Guarantee, Hypothesis, Kind
from learnability.training.online.trajectory import COLUMNS
from learnability.training.record import log_spaced

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TEST_SIZE = 10_000
TOLERANCE = 0.02
"""An error up to this counts as minimised, where the paper says so without a number."""
SAME = 0.05
"""True errors up to this apart count as the same performance, where the paper says so without a number."""

_DEFAULTS: Setting = {
    "panel": "a",
    "target": "random",
    "init": "half_integer",
    "layers": "both",
    "h_power": 6,
    "beta": "n^3 h",
    "flip": 0.0,
    "shift": 0.0,
}


def setting(**values: bool | int | float | str) -> Setting:
    """A setting with the defaults of section 5 for whatever is not named."""
    return {**_DEFAULTS, **values}


def target(s: Setting, seed: int) -> SymmetricFunction:
    """The function to be learnt."""
    n = int(s["n"])
    return parity(n) if s["target"] == "parity" else random_symmetric(n, generator(seed, "target", n))


def start(s: Setting, seed: int) -> OneHidden:
    """The initial network: a symmetry initialisation, or a random one with ``width`` (1) times 4n+3 neurons."""
    n, kind = int(s["n"]), str(s["init"])
    if kind in SYMMETRY_KINDS:
        return symmetry_init(n, kind)
    L = int(s.get("width", 1)) * (4 * n + 3)
    return random_init(generator(seed, "init", kind, n, L), n, L, kind)


def run(s: Setting, seed: int, *, only_end: bool = False) -> list[Row]:
    """Train once and return the recorded epochs, or the last one only."""
    from learnability.training.online import train

    n, m = int(s["n"]), int(s["m"])
    f, distribution = target(s, seed), UniformCube(n)
    X = distribution.sample(generator(seed, "sample", n, m), m)
    X_test = distribution.sample(generator(seed, "test", n), TEST_SIZE)
    y, y_test = f(X), f(X_test)
    seen = np.isin(X_test.sum(axis=1), X.sum(axis=1))
    if s["flip"]:
        y = flip_labels(generator(seed, "flip", n, m), y, float(s["flip"]))
    if s["shift"]:
        X = shift_inputs(generator(seed, "shift", n, m), X, float(s["shift"]))
        X_test = shift_inputs(generator(seed, "shift test", n), X_test, float(s["shift"]))
    h = Fraction(1, n ** int(s["h_power"]))
    epochs = int(s["epochs"])
    run = train(
        start(s, seed),
        X,
        y,
        h=h,
        beta=n**3 * h if s["beta"] == "n^3 h" else 0,
        rng=generator(seed, "order", n, m),
        epochs=epochs,
        layers=str(s["layers"]),
        batch=int(s.get("batch", 1)),
        activation=str(s.get("activation", "relu")),
        test=(X_test, y_test),
        record=[epochs] if only_end else _recorded(epochs),
    )
    common = {
        "outcome": str(run.outcome),
        "ties": run.ties,
        "unresolved": run.unresolved,
        "unseen": float(1 - seen.mean()),
        "constant_error": float(min(np.mean(y_test > 0), np.mean(y_test < 0))),
    }
    rows = run.rows()
    if only_end and run.outcome == "diverged":
        unknown = dict.fromkeys(COLUMNS[2:], float("nan"))
        rows = [{"epoch": run.epochs, "updates": run.updates, **unknown}]
    return [{**row, **common} for row in rows]


def _recorded(epochs: int) -> Any:
    """Recorded epochs: evenly spaced for the figures' linear axes, and in the logarithm for the early part."""
    return np.union1d(log_spaced(epochs, 40), np.linspace(0, epochs, 49).round().astype(int))


# What claims and figures read off the table -------------------------------------------------------------------


def ends(table: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """Last row of every run that has the given values, by seed."""
    rows = pick(table, **where)
    return rows.sort_values("epoch").groupby("seed").tail(1).set_index("seed").sort_index()


def late(table: pd.DataFrame, column: str, share: float = 0.2, **where: Any) -> pd.Series:
    """Mean of a column over the last part of the axis, by seed (a run that ended early counts with its end)."""
    rows = pick(table, **where)
    tail = rows[rows["epoch"] >= (1 - share) * rows["epochs"]]
    mean: pd.Series = tail.groupby("seed")[column].mean()
    return mean.combine_first(ends(rows)[column]).sort_index()


def epochs_to_zero(table: pd.DataFrame, **where: Any) -> pd.Series:
    """First recorded epoch from which on the empirical error stays 0, by seed; infinite if it never does."""
    rows = pick(table, **where)

    def first(run: pd.DataFrame) -> float:
        run = run.sort_values("epoch")
        wrong = np.flatnonzero(run["empirical_error"].to_numpy() > 0)
        after = wrong[-1] + 1 if wrong.size else 0
        return float(run["epoch"].iloc[after]) if after < len(run) else float("inf")

    return rows.groupby("seed")[["epoch", "empirical_error"]].apply(first)


def ratio_of_medians(faster: pd.Series, slower: pd.Series) -> float:
    """Median over median of numbers of epochs; NaN (not measured) where the typical run of either never got there."""
    a, b = float(np.median(faster)), float(np.median(slower))
    return a / b if np.isfinite(a) and np.isfinite(b) and b > 0 else float("nan")


def fitted(id: str, where: str, runs: pd.DataFrame) -> Guarantee:
    """That the typical run ends at empirical error 0: the paper shows one run a panel, so half of ours must."""
    return claim(
        id,
        where,
        0.5,
        float((runs["empirical_error"] == 0).mean()),
        "at_least",
        "share of runs at empirical error 0 at the end of the paper's axis (the paper shows one run); mean final "
        f"empirical error {runs['empirical_error'].mean():.4f}, true error {runs['true_error'].mean():.4f}",
    )


def agreement(id: str, where: str, difference: pd.Series, what: str, *, either_side: bool = True) -> Guarantee:
    """That a mean paired difference of true errors is at most ``SAME``; not measured where the seeds are too few.

    ``either_side`` asks for its absolute value; otherwise only a positive difference counts against the claim. If the
    half-width of the 95 % confidence interval is above ``SAME`` the seeds cannot tell, and nothing is claimed.
    """
    mean, room = float(difference.mean()), half_width(difference)
    note = f"{what}: {mean:+.4f} +- {room:.4f} (95 % confidence over {len(difference)} seeds)"
    if not room <= SAME:
        return claim(id, where, SAME, float("nan"), "at_most", f"{note}: too wide to tell")
    return claim(id, where, SAME, abs(mean) if either_side else mean, "at_most", note)


def rise(id: str, where: str, difference: pd.Series, what: str) -> Guarantee:
    """That a mean paired difference is above 0 with 95 % confidence."""
    lower = float(difference.mean() - half_width(difference))
    return claim(
        id,
        where,
        0.0,
        lower,
        "at_least",
        f"lower 95 % confidence limit of {what} (mean {difference.mean():+.4f})",
        Kind.TREND,
    )


def compression(id: str, where: str, runs: pd.DataFrame) -> Guarantee:
    """Section 4, first remark: at empirical error 0 the true error is at most the share of unseen weights.

    Measured on the test sample itself, so without sampling error; ``runs`` holds one row per run (its end). The
    steps of section 5 are above Lemma 4's limit, so this is an observation and not the lemma's promise (which
    ``verify`` checks within its hypotheses). The argument needs outputs on the sample that clear the movement of the
    embedding, hence beta > 0: with beta = 0 the output at a whole weight can tie at leading order, and then inputs of
    that weight fall on both sides.
    """
    fit = runs[runs["empirical_error"] == 0]
    worst = (fit["true_error"] - fit["unseen"]).max() if len(fit) else float("nan")
    return claim(
        id,
        f"section 4, first remark, on {where}",
        0.0,
        float(worst),
        "at_most",
        f"largest (true error - share of test inputs of weights not in the sample) over the {len(fit)} of "
        f"{len(runs)} runs that ended at empirical error 0; the step is above Lemma 4's limit",
        hypotheses=(Hypothesis("beta > 0", bool((runs["beta"] != "0").all()), f"beta = {runs['beta'].iloc[0]}"),),
        tolerance=1e-12,
    )


def draw(
    table: pd.DataFrame,
    titles: dict[str, str],
    curves: dict[str, str],
    *,
    columns: int = 2,
    ymax: float = 0.6,
    errors: tuple[str, ...] = ("empirical_error", "true_error"),
) -> Figure:
    """One panel per ``panel``: mean empirical (dashed) and true error (solid) over seeds with confidence bands.

    The first curve is drawn wider, so that it shows where another one covers it.

    Parameters
    ----------
    titles : dict
        Title of each panel, in order.
    curves : dict
        Legend of each curve, in order; a curve keeps its colour in every panel.
    """
    shown = [panel for panel in titles if (table["panel"] == panel).any()]
    rows = -(-len(shown) // columns)
    figure, axes = plotting.panels(rows, min(columns, len(shown)), width=3.6, height=2.7)
    names = {"empirical_error": "empirical", "true_error": "true"}
    for ax, panel in zip(axes, shown):
        inside = pick(table, panel=panel)
        inside = inside[inside["epoch"] > 0]  # at the start the output is 0, which counts as an error everywhere
        for index, (curve, legend) in enumerate(curves.items()):
            one = pick(inside, curve=curve)
            if one.empty:
                continue
            for error in errors:
                dashed = error == "empirical_error"
                plotting.band(
                    ax,
                    _held(one),
                    "epoch",
                    error,
                    limits=(0, 1),
                    color=plotting.COLORS[index],
                    linestyle="--" if dashed else "-",
                    linewidth=(1.0 if dashed else 1.4) + (index == 0),
                    label=f"{legend}: {names[error]}",
                )
        ax.set(
            title=titles[panel],
            xlabel="epoch",
            ylabel="error (0-1)",
            ylim=(0, ymax),
            xlim=(0, inside["epochs"].max()),
        )
        ax.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4), useMathText=True)
    for ax in axes[len(shown) :]:
        ax.set_visible(False)
    seeds = table["seed"].nunique()
    handles, labels = axes[0].get_legend_handles_labels()
    for ax in axes[1 : len(shown)]:
        for handle, label in zip(*ax.get_legend_handles_labels()):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    note = f"mean over {seeds} seeds, bands: 95 % confidence for the mean" if seeds > 1 else "one seed"
    figure.legend(handles, labels, loc="outside lower center", ncols=2, title=note, title_fontsize=8)
    return figure


def _held(table: pd.DataFrame) -> pd.DataFrame:
    """Runs that converged keep their last values to the end of the axis."""
    import pandas as pd

    last = table.sort_values("epoch").groupby("seed").tail(1)
    ended = last[(last["epoch"] < last["epochs"]) & (last["outcome"] == "converged")]
    return pd.concat([table, ended.assign(epoch=ended["epochs"])])
