"""Runs of the separable study: one two-layer network of a given width on one fixed separable set.

What Figures 1 to 3 of Brutzkus et al. and the experiments beside them share. A setting has

``data`` ("mnist", "digits", "ball" or "sequence")
    The set, see :func:`sample`. It is part of the setting so that stored results of different sets never mix.
``layers`` ("first" or "both"), ``width`` (2k), ``eta``, ``alpha``
    The network starts at Equation 6, R = v = 1 / sqrt(2k); constant step.
``epochs``
    Budget, far beyond what a run needs: training stops where no example changes anything any more.
``train``, ``d``, ``margin``
    Only where they are not the usual ones (:data:`SIZES`, :data:`SHAPES`): examples to train on; dimension of the
    ball or the sequence; margin of the ball.

All runs share one set, as the paper's 40 do: the seed draws the start and the order of examples. So confidence
intervals over seeds are about training, and say nothing of other samples of images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from learnability import checks, datasets
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.evidence.tables import pick, values
from learnability.networks.separable import TwoLayer, initial
from learnability.plotting import COLORS, Curve, Panel, Plot, over_seeds
from learnability.problems.separable import lower_bound_sequence, lower_bound_weights, random_separable
from learnability.seeding import generator
from learnability.study import Row, Setting
from learnability.theory.margins import HardMargin, hard_margin
from learnability.training.record import log_spaced

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.1
ETA = 1.0
"""Step of Figures 1 and 2, which the paper does not print.

With both layers trained some output weights change their sign at 1 and none at 0.1. The paper says that for Figure 3
another step was chosen to prevent this, so its step of Figure 2 must have been one at which it happens.
``separable/steps`` runs the neighbours.
"""
WIDTHS = (10, 100, 1000)
SMOKE_WIDTHS = (4, 16, 64)
POINTS = 28
"""Recorded epochs if a run used its whole budget, evenly spaced in the logarithm. A record of a wide network costs as
much as an epoch."""

TITLES = {
    "mnist": "MNIST, 3 against 5",
    "digits": "scikit-learn digits 8x8, 3 against 5 (stand-in for MNIST)",
    "ball": "uniform in the ball, margin {margin:g}, d = {d}",
    "sequence": "Theorem 4's sequence, d = {d}",
}
SIZES = {"mnist": (3000, 1000), "digits": (275, 90), "ball": (400, 1000)}
"""Examples to train on and to test on."""
SHAPES: Mapping[str, dict[str, Any]] = {"ball": {"d": 20, "margin": 0.15}, "sequence": {"d": 64}}
"""Of the artificial data."""


def images() -> str:
    """The data of the figures here: "mnist" if its file is there, else the stand-in "digits".

    A damaged file is not replaced by the stand-in: :func:`ready` refuses it.
    """
    return "mnist" if datasets.mnist_path() is not None else "digits"


def ready(settings: Sequence[Setting]) -> None:
    """Refuse to start (ValueError) if the settings need MNIST and its file cannot be read; warn if it is absent."""
    if any(s["data"] == "mnist" for s in settings):
        datasets.mnist_pair()
    elif any(s["data"] == "digits" for s in settings) and datasets.mnist_path() is None:
        datasets.announce_stand_in()


class Sample(NamedTuple):
    """A separable set, divided."""

    X: FloatArray
    y: FloatArray
    X_test: FloatArray
    y_test: FloatArray
    w_norm: float
    """|w*| of the training set: 1 over its hard margin."""
    w_norm_all: float
    """|w*| of training and test set together."""
    removed: int
    """Examples that had to go before the draw was separable."""


def shape(data: str, s: Any) -> dict[str, Any]:
    """Dimension and margin of artificial data by a setting, or by a row of the table (NaN where there is none)."""
    usual = SHAPES.get(data, {})
    own = {name: value for name in usual if (value := s.get(name)) is not None and value == value}
    return {name: type(value)(own.get(name, value)) for name, value in usual.items()}


def shaped(data: str, **values: Any) -> dict[str, Any]:
    """What of ``train``, ``d`` and ``margin`` is not the data's usual: for a setting."""
    usual = {"train": SIZES.get(data, (0, 0))[0], **SHAPES.get(data, {})}
    return {name: value for name, value in values.items() if name in usual and value != usual[name]}


@lru_cache(maxsize=4)
def sample(data: str, train: int = 0, d: int = 0, ball_margin: float = 0.0) -> Sample:
    """The set that every seed shares; 0 stands for the usual.

    ``mnist``: 4,000 of the 13,454 images of 3 and 5, pixels over the largest norm, 3,000 of them to train.
    ``digits``: all 365 of scikit-learn's 8x8 images, 275 to train. ``ball``: 400 points of
    :class:`~learnability.problems.separable.SeparableBall` and 1,000 to test. ``sequence``: e_1, ..., e_64, all
    labelled +1 (there is nothing to test on; the training set stands in).

    The margin solver decides whether the draw is separable; if it is not, the largest separable subset found by
    :func:`learnability.theory.margins.removal.separable_subset` takes its place, at the cost of test examples.
    """
    of = shape(data, {name: value for name, value in (("d", d), ("margin", ball_margin)) if value})
    if data == "sequence":
        X, y = lower_bound_sequence(of["d"])
        return Sample(X, y, X, y, math.sqrt(of["d"]), math.sqrt(of["d"]), 0)
    usual, test = SIZES[data]
    train = train or usual
    rng = generator(0, "separable", "sample", data)
    if data == "ball":
        X, y = random_separable(rng, of["d"], of["margin"]).sample(rng, train + test)
    else:
        pool = datasets.mnist_pair() if data == "mnist" else datasets.digits_pair()
        chosen = rng.permutation(len(pool.y))[: train + test]
        X, y = pool.X[chosen], pool.y[chosen]
    kept, margin = separable_part(X, y)
    removed = len(y) - len(kept)
    X, y = X[kept], y[kept]
    of_training = hard_margin(X[:train], y[:train])
    return Sample(
        X[:train], y[:train], X[train:], y[train:], 1 / of_training.margin, 1 / margin.margin, removed
    )  # fmt: skip


def separable_part(X: FloatArray, y: FloatArray) -> tuple[Any, HardMargin]:
    """Indices of a separable part of the examples, in order, and its margin: of all of them if they are separable."""
    margin = hard_margin(X, y)
    if margin.separable:
        return np.arange(len(y)), margin
    from learnability.theory.margins.removal import separable_subset

    found = separable_subset(X, y)
    if found.rest is None:
        raise RequestError(f"X must hold a separable example, got {len(y)} zero rows")
    return found.kept, found.rest


def common(data: str, widths: Sequence[int], alpha: float, epochs: int, train: int, usual: str) -> dict[str, Any]:
    """Free values of the figures on images, checked: what their settings have in common.

    ``train`` at the size of the data ``usual`` follows the data that is chosen.
    """
    checks.choice("data", data, tuple(SIZES))
    checks.several("widths", widths, even, at_least=2)
    if train == SIZES[usual][0]:
        train = SIZES[data][0]
    most = {"digits": SIZES["digits"][0], "mnist": 12_000, "ball": 10**6}[data]
    return {
        "data": data,
        "alpha": checks.real("alpha", alpha, at_least=0.0, below=1),
        "epochs": checks.integer("epochs", epochs, at_least=1),
        **shaped(data, train=checks.integer("train", train, at_least=10, at_most=most)),
    }


def even(name: str, value: object, **limits: int) -> int:
    """An even integer: as many hidden units of each sign."""
    number = checks.integer(name, value, **limits)
    if number % 2:
        raise RequestError(f"{name} must be even, as many units of each sign, got {number}")
    return number


def setting(**own: bool | int | float | str) -> Setting:
    """A setting, with the figures' own values for whatever is not named."""
    return {"data": "digits", "layers": "first", "width": 10, "eta": ETA, "alpha": ALPHA, "epochs": 10_000, **own}


def run(s: Setting, seed: int, *, only_end: bool = False) -> list[Row]:
    """Train once and return the recorded epochs, or the last one only."""
    from learnability.training.two_layer import train

    data, k, epochs = str(s["data"]), int(s["width"]) // 2, int(s["epochs"])
    S = sample(data, int(s.get("train", 0)), int(s.get("d", 0)), float(s.get("margin", 0)))
    m, d = S.X.shape
    if data == "sequence":  # nothing is random
        start = TwoLayer(lower_bound_weights(d, k, 1 / math.sqrt(2 * k)), initial(generator(0), d, k).v)
    else:
        start = initial(generator(seed, "init", d, k), d, k)
    run = train(
        start,
        S.X,
        S.y,
        eta=float(s["eta"]),
        alpha=float(s["alpha"]),
        rng=generator(seed, "order", m),
        epochs=epochs,
        layers=str(s["layers"]),
        order="cyclic" if data == "sequence" else "shuffle",
        test=(S.X_test, S.y_test),
        record=[epochs] if only_end else log_spaced(epochs, POINTS),
    )
    common = {
        "outcome": str(run.outcome),
        "examples_used": run.examples_used,
        "w_norm": S.w_norm,
        "w_norm_all": S.w_norm_all,
        "removed": S.removed,
        "input_norm": float(np.sqrt((S.X**2).sum(axis=1).max())),
        "row_norm": float(np.sqrt((start.W**2).sum(axis=1).max())),
        "train_size": m,
        "test_size": len(S.y_test),
    }
    rows = [{_stored(name): value for name, value in row.items()} for row in run.rows()]
    if only_end and run.outcome == "diverged":  # nothing was recorded
        unknown = dict.fromkeys(map(_stored, list(run.columns)[2:]), math.nan)
        rows = [{"epoch": run.epochs, "updates": run.updates, **unknown}]
    return [{**row, **common} for row in rows]


def _stored(name: str) -> str:
    """A column by the name that the study's tables have had from the start."""
    return "hinge_loss" if name == "train_loss" else name


# Figures ------------------------------------------------------------------------------------------------------


def color(width: int, widths: Any) -> str:
    """A width keeps its colour in all panels."""
    return COLORS[sorted(set(widths)).index(width) % len(COLORS)]


def curves(
    table: pd.DataFrame, column: str, *, limits: tuple[float, float] | None = None, **look: Any
) -> list[Curve]:
    """Mean of a column over seeds against the epoch, for each width; runs that have ended keep their values."""
    rows = table[table["epoch"] > 0]  # the axis is logarithmic
    return [
        over_seeds(
            pick(rows, width=width), "epoch", column, limits=limits, color=color(width, table["width"]), **look
        )
        for width in values(table, "width")
    ]  # fmt: skip


def errors(
    table: pd.DataFrame,
    beside: pd.DataFrame | None = None,
    name: str = "",
    label: Callable[[int], str] = "2k = {}".format,
) -> list[Panel]:
    """(a) Training and (b) test error against epochs, for each width; the runs ``beside`` have dashed lines."""
    panels = []
    for column, title in (("train_error", "(a) training error (0-1)"), ("test_error", "(b) test error (0-1)")):
        look: dict[str, Any] = {"linestyle": "--", "linewidth": 0.9}
        items = [] if beside is None else curves(beside, column, limits=(0, 1), **look)
        shown = zip(values(table, "width"), curves(table, column, limits=(0, 1)), strict=True)
        items += [replace(curve, label=label(width)) for width, curve in shown]
        if beside is not None:  # for the legend: dashed lines of all colours
            items.append(Curve((), (), label=name, color="#666666", **look))
        panels.append(Panel(items, title, "epoch", "error", xscale="log", ylim=(0, None)))
    return panels


def plot(table: pd.DataFrame, panels: Sequence[Panel], title: str, note: str = "", **look: Any) -> Plot:
    """Panels side by side, with the name of the data, and one legend below."""
    seeds, first = table["seed"].nunique(), table.iloc[0]
    name = TITLES[first["data"]].format(**shape(first["data"], first))
    note = note or "mean over {} runs, bands and bars: 95 % confidence for the mean"
    return Plot(
        panels, columns=len(panels), size=(3.2, 3.1), title=f"{name}: {title}",
        note=note.format(seeds) if seeds > 1 else "one run", **{"legend_columns": 4, **look},
    )  # fmt: skip
