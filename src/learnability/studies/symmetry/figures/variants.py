"""Section 5's remark that other mini-batches, activations and losses behave similarly, as far as it can be tried.

"We observed similar behavior for larger mini-batches, other activation functions, and other loss functions", says
the paper, and gives no data. Here a random symmetric target is learnt from n and from 10 n examples, with h =
n^-6 and beta = n^3 h or 0 as in the figures, and one thing is changed at a time against the figures' run
(half-integer initialisation, both ReLU layers, batch one):

* mini-batches of 2, 8 and the whole sample. A mini-batch moves by the *mean* of its examples' steps: with the
  same h each example weighs a B-th of what it weighs in batch one, so that with beta > 0 the confidence asked for
  is B times larger in units of what an example moves. Both readings of "larger mini-batches" are run where beta >
  0: the step as it is, and the step B h, with which an example weighs what it does in batch one. With beta = 0
  the last layer's decisions do not depend on the step, and the step B h stands for both.
* the initialisations ``integer`` and ``quarter``.
* the sigmoid network of Lemma 1 with its own initialisation: both layers in plain float64, in which steps of n^-6
  lose most of the first layer's movement, and the last layer only, from one Gram matrix of at most n+1 points.

*Other loss functions are not covered*: the engine trains the hinge loss only.

Powers of two and other batch sizes alike keep the exact arithmetic of the ReLU runs: their unit is h / B, and
beta over it is an integer. What grows with the batch is the number of decisions that tie at both orders
(``unresolved`` in the table): examples that move a kink together can move it back to exactly where it was.

All variants are compared after the same number of epochs, which is the same number of visits: the end of Figure
2(a)'s axis for samples of n (60,000 epochs) and of Figure 8's for 10 n (12,000). "Updates" counts examples that
moved the network; a whole-sample batch takes one step an epoch where batch one takes up to m. Agreement is read
as a mean paired difference of at most 0.02 (the project's tolerance), with its confidence interval beside it.
``laptop`` is the figures' n = 30 with fewer seeds than ``paper``; ``smoke`` is n = 8, too small for agreement to
be expected.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from learnability import plotting
from learnability.evidence.intervals import half_width
from learnability.evidence.tables import pick
from learnability.networks.one_hidden import forward
from learnability.problems.symmetry import UniformCube
from learnability.seeding import generator
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry import runs as curves
from learnability.studies.symmetry.runs import TEST_SIZE, TOLERANCE, ends, epochs_to_zero
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BASE = "batch 1"
_BATCHES = (2, 8, 0)  # 0: the whole sample
_BETAS = {"n^3 h": "β = n³h", "0": "β = 0"}


def _variants(m: int, beta: str) -> dict[str, dict[str, int | str]]:
    """What each variant changes."""
    found: dict[str, dict[str, int | str]] = {BASE: {}}
    for size in _BATCHES:
        name = f"batch {size}" if size else "batch m"
        batch = size or m
        found[f"{name}, step {name[6:]}·h"] = {"batch": batch, "step": batch}
        if beta != "0":
            found[f"{name}, step h"] = {"batch": batch}
    found["init integer"] = {"init": "integer"}
    found["init quarter"] = {"init": "quarter"}
    found["sigmoid, both layers"] = {"init": "sigmoid"}
    found["sigmoid, last layer"] = {"init": "sigmoid", "layers": "output"}
    return found


def _settings(n: int, epochs: dict[int, int]) -> tuple[Setting, ...]:
    """``epochs`` by the sample size in units of n."""
    base: dict[str, int | str] = {
        "n": n,
        "target": "random",
        "init": "half_integer",
        "layers": "both",
        "batch": 1,
        "step": 1,
    }
    return tuple(
        {**base, "panel": f"m = {'' if size == 1 else f'{size} '}n", "m": size * n, "beta": beta, "epochs": length,
         "variant": variant, **changed}
        for size, length in epochs.items()
        for beta in _BETAS
        for variant, changed in _variants(size * n, beta).items()
    )  # fmt: skip


def run(s: Setting, seed: int) -> list[Row]:
    """Empirical error along the run, and at its end the true error on an independent sample of 10^4."""
    from learnability.training.online import train
    from learnability.training.record import log_spaced

    n, m = int(s["n"]), int(s["m"])
    f, distribution = curves.target(s, seed), UniformCube(n)
    X = distribution.sample(generator(seed, "sample", n, m), m)
    X_test = distribution.sample(generator(seed, "test", n), TEST_SIZE)
    y_test = f(X_test)
    h, activation = Fraction(1, n**6), "sigmoid" if s["init"] == "sigmoid" else "relu"
    end = train(
        curves.start(s, seed), X, f(X),
        h=int(s["step"]) * h, beta=n**3 * h if s["beta"] == "n^3 h" else 0,
        rng=generator(seed, "order", n, m), epochs=int(s["epochs"]),
        layers=str(s["layers"]), batch=int(s["batch"]), activation=activation,
        record=log_spaced(int(s["epochs"]), 150),
    )  # fmt: skip
    if end.deviation is not None:
        error = end.deviation.error(X_test, y_test)
    else:
        error = float(np.mean(y_test * forward(end.params, X_test, activation) <= 0))
    unseen = float(~np.isin(X_test.sum(axis=1), X.sum(axis=1)) @ np.ones(TEST_SIZE) / TEST_SIZE)
    common = {"final_true_error": error, "unseen": unseen, "outcome": str(end.outcome), "unresolved": end.unresolved}
    names = ("epoch", "updates", "empirical_error")
    return [{**{name: row[name] for name in names}, **common} for row in end.rows()]


def figure(table: pd.DataFrame) -> Figure:
    """A column for each sample size; above the final true error, below the epochs to empirical error 0."""
    panels = list(dict.fromkeys(table["panel"]))
    names = list(dict.fromkeys(table["variant"]))
    fig, axes = plotting.panels(2, len(panels), width=4.2, height=3.2, sharey=True)
    rows = np.arange(len(names))
    for column, panel in enumerate(panels):
        above, below = axes[column], axes[len(panels) + column]
        inside = pick(table, panel=panel)
        end = int(inside["epochs"].iloc[0])
        for color, marker, offset, (beta, legend) in zip(
            plotting.COLORS, "os", (-0.17, 0.17), _BETAS.items(), strict=False
        ):
            for row, name in zip(rows, names, strict=True):
                runs = ends(inside, variant=name, beta=beta)
                if runs.empty:
                    continue
                error = runs["final_true_error"]
                above.errorbar(
                    error.mean(), row + offset, xerr=half_width(error), fmt=marker, color=color, markersize=4,
                    capsize=2, linewidth=1, label=legend if row == 0 else None,
                )  # fmt: skip
                first = epochs_to_zero(inside, variant=name, beta=beta)
                reached = first[np.isfinite(first)]
                below.plot(
                    reached, np.full(len(reached), row + offset), marker, color=color, markersize=3, alpha=0.45
                )
                below.plot(float(first.median()) if np.isfinite(first.median()) else end * 1.5, row + offset,
                           "|" if np.isfinite(first.median()) else ">", color=color, markersize=9,
                           markeredgewidth=1.6 if np.isfinite(first.median()) else 0.5)  # fmt: skip
            base = ends(inside, variant=BASE, beta=beta)["final_true_error"]
            above.axvspan(
                max(base.mean() - half_width(base), 0), base.mean() + half_width(base), color=color, alpha=0.12,
                linewidth=0,
            )  # fmt: skip
        above.set(
            title=f"{panel} = {int(inside['m'].iloc[0])}: after {end:,} epochs", xlabel="final true error (0-1)"
        )
        above.set_yticks(rows, names)
        above.set_xlim(left=0)
        above.locator_params(axis="x", nbins=5)
        below.set(xscale="log", xlabel="epochs to empirical error 0", xlim=(1, end * 2))
        below.axvline(end, color="#888888", linewidth=0.8, linestyle="--")
        below.set_yticks(rows, names)
    axes[0].invert_yaxis()
    n, seeds = int(table["n"].iloc[0]), table["seed"].nunique()
    note = (
        f"n = {n}, h = n⁻⁶, {seeds} seeds. Above: mean and its 95 % confidence interval, shaded: batch 1.\n"
        "Below: epoch from which on the empirical error is 0, a point for each seed; tick: median over all seeds,\n"
        "arrow: the median seed does not get there before the end of the axis (dashed)."
    )
    fig.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, title=note, title_fontsize=8
    )
    return fig


_GROUPS = {
    "batches of 2 and 8, step B h": ("batch 2, step 2·h", "batch 8, step 8·h"),
    "whole sample, step m h": ("batch m, step m·h",),
    "batches, step h": ("batch 2, step h", "batch 8, step h", "batch m, step h"),
    "initialisations": ("init integer", "init quarter"),
    "sigmoid": ("sigmoid, both layers", "sigmoid, last layer"),
}


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Similar behaviour, read two ways: the final true errors are equal, and the empirical error reaches 0 too."""
    found = []
    for beta in _BETAS:
        inside = table[table["beta"] == beta]
        for group, members in _GROUPS.items():
            names = [name for name in dict.fromkeys(inside["variant"]) if name in members]
            cells = [(panel, name) for panel in dict.fromkeys(inside["panel"]) for name in names]
            if cells:
                found += _compared(inside, cells, f"{group},beta={beta}", beta)
    return found


def _compared(table: pd.DataFrame, cells: list[tuple[str, str]], case: str, beta: str) -> list[Guarantee]:
    """The two claims for a group of variants, at the cell (sample size, variant) where each comes out worst."""
    agreement, fitted = [], []
    for panel, name in cells:
        inside = pick(table, panel=panel)
        runs, base = ends(inside, variant=name), ends(inside, variant=BASE)
        at = f"{name} at {panel}"
        difference = runs["final_true_error"] - base["final_true_error"]
        mean, half = float(difference.mean()), half_width(difference)
        agreement.append(
            (
                abs(mean),
                f"{at}: {runs['final_true_error'].mean():.4f} against {base['final_true_error'].mean():.4f} for it"
                f" (95 % interval of the paired difference {mean - half:.4f} .. {mean + half:.4f}; bands of the two "
                f"means +-{half_width(runs['final_true_error']):.4f}, +-{half_width(base['final_true_error']):.4f}), "
                f"{int((runs['outcome'] == 'converged').sum())} of {len(runs)} runs ended (batch 1: "
                f"{int((base['outcome'] == 'converged').sum())}), mean updates {runs['updates'].mean():.3g} (batch "
                f"1: {base['updates'].mean():.3g})",
            )
        )
        first = epochs_to_zero(inside, variant=name).median()
        usual = epochs_to_zero(inside, variant=BASE).median()
        share, base_share = (float((r["empirical_error"] == 0).mean()) for r in (runs, base))
        fitted.append(
            (share, f"{at}: median epochs to 0 {_count(first)} (batch 1: {_count(usual)}, share {base_share:.2f})")
        )
    worst, least = max(agreement), min(fitted)
    beyond, short = sum(a > TOLERANCE for a, _ in agreement), sum(share < 0.5 for share, _ in fitted)
    return [
        claim(
            f"variants/agrees[{case}]", f"section 5, beta = {beta}", TOLERANCE, worst[0], "at_most",
            "|mean paired difference to batch 1 of the final true error after equal numbers of epochs|, worst of "
            f"{len(cells)} cells, {beyond} of them beyond the bound; {worst[1]}",
        ),
        claim(
            f"variants/zero-empirical-error[{case}]", f"section 5, beta = {beta}", 0.5, least[0], "at_least",
            f"share of runs at empirical error 0 at the end of the axis, least of {len(cells)} cells, {short} of "
            f"them below the bound; {least[1]}",
        ),
    ]  # fmt: skip


def _count(epochs: float) -> str:
    return f"{epochs:.0f}" if np.isfinite(epochs) else "never"


EXPERIMENT = Experiment(
    title="Mini-batches, other initialisations, sigmoids against the figures' runs",
    source=f"{PAPER}, section 5 (remark)",
    revision=1,
    scales={
        "smoke": Scale(_settings(8, {1: 1_500, 10: 300}), seeds=1, seconds=2),
        "laptop": Scale(_settings(30, {1: 60_000, 10: 12_000}), seeds=6, seconds=55),
        "paper": Scale(_settings(30, {1: 60_000, 10: 12_000}), seeds=30, seconds=260),
    },
    run=run,
    figure=figure,
    claims=claims,
)
