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
as a mean paired difference of at most 0.02 (the project's tolerance).
``laptop`` is the figures' n = 30 with fewer seeds than ``paper``; ``smoke`` is n = 8, too small for agreement to
be expected.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.evidence.intervals import Interval, at_all, mean, share
from learnability.evidence.tables import last, pick, told
from learnability.networks.one_hidden import forward
from learnability.plotting import COLORS, Curve, Line, Panel, Plot
from learnability.plotting.plot import Item
from learnability.problems.symmetry import UniformCube
from learnability.seeding import generator
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry import runs as curves
from learnability.studies.symmetry.claims_curves import TOLERANCE, ends, epochs_to_zero, superscript
from learnability.studies.symmetry.runs import TEST_SIZE
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

BASE = "batch 1"
POWER = 6
"""Of the step n^-6; another one is named in the settings."""
_WHOLE = "batch m"
_BETAS = {"n^3 h": "β = n³h", "0": "β = 0"}


def _variants(m: int, beta: str, batches: tuple[int, ...]) -> dict[str, dict[str, int | str]]:
    """What each variant changes."""
    found: dict[str, dict[str, int | str]] = {BASE: {}}
    for name, batch in [*((f"batch {size}", size) for size in batches), (_WHOLE, m)]:
        found[f"{name}, step {name[6:]}·h"] = {"batch": batch, "step": batch}
        if beta != "0":
            found[f"{name}, step h"] = {"batch": batch}
    found["init integer"] = {"init": "integer"}
    found["init quarter"] = {"init": "quarter"}
    found["sigmoid, both layers"] = {"init": "sigmoid"}
    found["sigmoid, last layer"] = {"init": "sigmoid", "layers": "output"}
    return found


def _cells(usual_n: int, axes: dict[int, int]) -> Callable[..., tuple[Setting, ...]]:
    """Settings for the usual n; ``axes`` by the sample size in units of n."""
    multiples, ends = tuple(axes), tuple(axes.values())

    def cells(
        n: int = usual_n,
        samples: tuple[int, ...] = multiples,
        epochs: tuple[int, ...] = ends,
        batches: tuple[int, ...] = (2, 8),
        betas: tuple[str, ...] = tuple(_BETAS),
        h_power: int = POWER,
        target: str = "random",
    ) -> tuple[Setting, ...]:
        checks.integer("n", n, at_least=1)
        checks.several("samples", samples, checks.integer, at_least=1)
        checks.several("batches", batches, checks.integer, empty=True, at_least=2, at_most=n * min(samples))
        checks.several("betas", betas, checks.choice, tuple(_BETAS))
        curves.powers("h_power", (h_power,))
        lengths = curves.lasting(epochs, axes, samples, lambda _: (n / usual_n) ** 2)
        base: dict[str, int | str] = {
            "n": n,
            "target": checks.choice("target", target, curves.TARGETS),
            "init": "half_integer",
            "layers": "both",
            "batch": 1,
            "step": 1,
            **({} if h_power == POWER else {"h_power": h_power}),
        }
        return tuple(
            {**base, "panel": f"m = {'' if size == 1 else f'{size} '}n", "m": size * n, "beta": beta,
             "epochs": lengths[size], "variant": variant, **changed}
            for size in samples
            for beta in betas
            for variant, changed in _variants(size * n, beta, batches).items()
        )  # fmt: skip

    return cells


def run(s: Setting, seed: int) -> list[Row]:
    """Empirical error along the run, and at its end the true error on an independent sample of 10^4."""
    from learnability.training.online import train
    from learnability.training.record import log_spaced

    n, m = int(s["n"]), int(s["m"])
    f, distribution = curves.target(s, seed), UniformCube(n)
    X = distribution.sample(generator(seed, "sample", n, m), m)
    X_test = distribution.sample(generator(seed, "test", n), TEST_SIZE)
    y_test = f(X_test)
    h, activation = Fraction(1, n ** int(s.get("h_power", POWER))), "sigmoid" if s["init"] == "sigmoid" else "relu"
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
    return [{**{name: row[name] for name in names}, **common} for row in curves.stored_rows(end)]


def figure(table: pd.DataFrame) -> Plot:
    """A column for each sample size; above the final true error, below the epochs to empirical error 0."""
    names = list(dict.fromkeys(table["variant"]))
    ends_of_rows = (len(names) - 0.35, -0.65)
    rows: dict[str, Any] = {"yticks": dict(enumerate(names)), "ylim": ends_of_rows}
    above, below = [], []
    for panel in dict.fromkeys(table["panel"]):
        inside = pick(table, panel=panel)
        m, end = int(inside["m"].iloc[0]), int(inside["epochs"].iloc[0])
        errors: list[Item] = []
        epochs: list[Item] = [Line(x=end, linestyle="--")]
        for color, marker, offset, (beta, legend) in zip(COLORS, "os", (-0.17, 0.17), _BETAS.items(), strict=False):
            runs = pick(inside, beta=beta)
            if runs.empty:
                continue
            base = mean(ends(runs, variant=BASE)["final_true_error"])
            low, high = ([edge] * 2 for edge in ends_of_rows)
            errors.append(Curve([max(base.low, 0), base.high], [np.nan] * 2, low, high, color=color, alpha=0.6))
            for row, name in enumerate(names):
                one, at = pick(runs, variant=name), row + offset
                if not one.empty:
                    errors += _error(mean(ends(one)["final_true_error"]), at, legend, color, marker)
                    epochs += _epochs(epochs_to_zero(one), at, 1.5 * end, color, marker)
        title = f"{panel} = {m}: after {end:,} epochs"
        above.append(Panel(errors, title, "final true error (0-1)", xlim=(0, None), **rows))
        below.append(Panel(epochs, "", "epochs to empirical error 0", xscale="log", xlim=(1, 2 * end), **rows))
    n, seeds = int(table["n"].iloc[0]), table["seed"].nunique()
    step = superscript(-int(told(table, "h_power", POWER)))
    note = (
        f"n = {n}, h = n{step}, {seeds} seeds. Above: mean and its 95 % confidence interval, shaded: batch 1.\n"
        "Below: epoch from which on the empirical error is 0, a point for each seed; tick: median over all seeds,\n"
        "arrow: the median seed does not get there before the end of the axis (dashed)."
    )
    return Plot([*above, *below], len(above), size=(4.2, 3.2), note=note, sharey=True)


def _error(found: Interval, row: float, legend: str, color: str, marker: str) -> list[Item]:
    """A mean and its interval, which lies in its row."""
    return [
        Curve([found.low, found.high], [row] * 2, color=color, marker="|", linewidth=1.0, markersize=5),
        Curve([found.estimate], [row], label=legend, color=color, linestyle="", marker=marker),
    ]


def _epochs(first: pd.Series, row: float, beyond: float, color: str, marker: str) -> list[Item]:
    """A point for each seed that got there; a tick at the median, or an arrow if that is beyond the axis."""
    reached, median = first[np.isfinite(first)], float(first.median())
    points = Curve(reached, [row] * len(reached), color=color, linestyle="", marker=marker, markersize=3, alpha=0.45)
    if np.isfinite(median):
        return [points, Curve([median] * 2, [row - 0.25, row + 0.25], color=color, linewidth=1.6)]
    return [points, Curve([beyond], [row], color=color, linestyle="", marker=">", markersize=8)]


def _groups(variants: list[str]) -> dict[str, list[str]]:
    """Which variants a claim is about."""
    small = [name for name in variants if name.startswith("batch ") and "," in name and not name.startswith(_WHOLE)]
    sizes = list(dict.fromkeys(name.split()[1].rstrip(",") for name in small))
    found = {
        f"batches of {' and '.join(sizes)}, step B h": [name for name in small if name.endswith("·h")],
        "whole sample, step m h": [f"{_WHOLE}, step m·h"],
        "batches, step h": [name for name in variants if name.endswith("step h")],
        "initialisations": ["init integer", "init quarter"],
        "sigmoid": ["sigmoid, both layers", "sigmoid, last layer"],
    }
    return {group: [name for name in members if name in variants] for group, members in found.items()}


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Similar behaviour, read two ways: the final true errors are equal, and the empirical error reaches 0 too."""
    found = []
    for beta in _BETAS:
        inside = table[table["beta"] == beta]
        for group, names in _groups(list(dict.fromkeys(inside["variant"]))).items():
            cells = [(panel, name) for panel in dict.fromkeys(inside["panel"]) for name in names]
            if cells:
                found += _compared(inside, cells, f"{group},beta={beta}", beta)
    return found


def _compared(table: pd.DataFrame, cells: list[tuple[str, str]], case: str, beta: str) -> list[Guarantee]:
    """The two claims for a group of variants; their notes show the cell (sample size, variant) that is worst."""
    finals = last(table, "panel", "variant")
    runs = {cell: [ends(finals, panel=cell[0], variant=name) for name in (cell[1], BASE)] for cell in cells}
    apart = {
        cell: mean(
            (one["final_true_error"] - base["final_true_error"]).dropna(),
            comparisons=len(cells),
            what="mean difference",
        ).distance()
        for cell, (one, base) in runs.items()
    }
    fitted = {
        cell: share(one["empirical_error"] == 0, comparisons=len(cells), what="least share")
        for cell, (one, _) in runs.items()
    }
    worst, least = max(cells, key=lambda c: apart[c].estimate), min(cells, key=lambda c: fitted[c].estimate)
    beyond = sum(found.estimate > TOLERANCE for found in apart.values())
    short = sum(found.estimate < 0.5 for found in fitted.values())
    one, base = runs[worst]
    epochs = [_count(epochs_to_zero(table, panel=least[0], variant=name).median()) for name in (least[1], BASE)]
    return [
        claim(
            f"variants/agrees[{case}]", f"section 5, beta = {beta}", TOLERANCE, at_all(apart.values(), "at_most"),
            "at_most",
            "mean paired difference to batch 1 of the final true error after equal numbers of epochs, in "
            f"{len(cells)} cells, {beyond} of them beyond the bound; largest for {worst[1]} at {worst[0]}: "
            f"{one['final_true_error'].mean():.4f} against {base['final_true_error'].mean():.4f}, "
            f"{(one['outcome'] == 'converged').sum()} of {len(one)} runs ended (batch 1: "
            f"{(base['outcome'] == 'converged').sum()}), mean updates {one['updates'].mean():.3g} (batch 1: "
            f"{base['updates'].mean():.3g})",
        ),
        claim(
            f"variants/zero-empirical-error[{case}]", f"section 5, beta = {beta}", 0.5,
            at_all(fitted.values(), "at_least"), "at_least",
            f"share of runs at empirical error 0 at the end of the axis, in {len(cells)} cells, {short} of them "
            f"below the bound; least for {least[1]} at {least[0]}: median epochs to 0 {epochs[0]} (batch 1: "
            f"{epochs[1]}, share {(runs[least][1]['empirical_error'] == 0).mean():.2f})",
        ),
    ]  # fmt: skip


def _count(epochs: float) -> str:
    return f"{epochs:.0f}" if np.isfinite(epochs) else "never"


EXPERIMENT = Experiment(
    title="Mini-batches, other initialisations, sigmoids against the figures' runs",
    source=f"{PAPER}, section 5 (remark)",
    revision=1,
    scales={
        "smoke": Scale(_cells(8, {1: 1_500, 10: 300}), seeds=3, seconds=3),
        "laptop": Scale(_cells(30, {1: 60_000, 10: 12_000}), seeds=12, seconds=110),
        "paper": Scale(_cells(30, {1: 60_000, 10: 12_000}), seeds=30, seconds=260),
    },
    run=run,
    figure=figure,
    claims=claims,
)
