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

Free in these figures are n, the sample in units of n, the ends of the axes (which follow n unless they are set, see
:func:`lasting`), and what one of them varies.

What the figure and the checks of Theorem 1 share stands here too: distributions, and the step within Lemma 4's limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.networks.one_hidden import OneHidden, forward, random_init
from learnability.networks.symmetry import SYMMETRY_KINDS, embedding, symmetry_init
from learnability.problems.symmetry import (
    Distribution,
    SymmetricFunction,
    UniformCube,
    concentrated_weights,
    enumerate_cube,
    flip_labels,
    parity,
    random_symmetric,
    shift_inputs,
    skewed_weights,
    uniform_weights,
)
from learnability.seeding import generator
from learnability.studies.symmetry.theorems.thm2_lemma4 import lemma4_step_limit
from learnability.study import Row, Scale, Setting
from learnability.theory.margins import hard_margin, lift
from learnability.training.online.trajectory import COLUMNS, Trajectory
from learnability.training.record import log_spaced

TEST_SIZE = 10_000

DISTRIBUTIONS: Mapping[str, Callable[[int], Distribution]] = {
    "uniform": UniformCube,
    "uniform weights": uniform_weights,
    "skewed weights": skewed_weights,
    "few weights": concentrated_weights,
}

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


def scales(
    smoke: Callable[..., tuple[Setting, ...]],
    full: Callable[..., tuple[Setting, ...]],
    seconds: tuple[float, float, float],
    laptop: int = 10,
) -> dict[str, Scale]:
    """Two seeds of something small, and the paper's settings with ten seeds (or ``laptop``) and with thirty."""
    sizes = {"smoke": (smoke, 2), "laptop": (full, laptop), "paper": (full, 30)}
    return {name: Scale(*size, taken) for (name, size), taken in zip(sizes.items(), seconds, strict=True)}


INITS = tuple(kind for kind in SYMMETRY_KINDS if kind != "sigmoid")
BETAS = ("n^3 h", "0")
TARGETS = ("random", "parity")


def problem(n: int, sample: int, target: str, init: str) -> dict[str, int | str]:
    """Problem and start of a setting from free values; ``sample`` is in units of n."""
    return {
        "n": checks.integer("n", n, at_least=1),
        "m": checks.integer("sample", sample, at_least=1) * n,
        "target": checks.choice("target", target, TARGETS),
        "init": checks.choice("init", init, INITS),
    }


def powers(name: str, found: Sequence[int], most: int = 26) -> tuple[int, ...]:
    """Exponents of steps h = n^-power or samples n^power, as many as there may be panels."""
    if len(found) > most:
        raise RequestError(f"{name} must hold at most {most} values, got {len(found)}")
    return checks.several(name, found, checks.integer, at_least=1, at_most=100)


def lasting(
    epochs: Sequence[int], usual: Mapping[int, int], keys: Sequence[int], growth: Callable[[int], float]
) -> dict[int, int]:
    """The end of the axis of every panel.

    The usual ones follow n: Figure 2's, 60,000 at n = 30 and 250,000 at n = 60, grow with n^2. Others are taken as
    they are set.

    Parameters
    ----------
    epochs : sequence of int
        The free value: as in ``usual``, or one for each of ``keys``, or one for all, >= 1.
    usual : mapping
        From what tells the scale's panels apart to their axes; another panel has that of the nearest.
    keys : sequence of int
        What tells the panels apart, different numbers.
    growth : callable (key) -> float
        By how much the axis of a panel is longer than the usual one.
    """
    if tuple(epochs) == tuple(usual.values()):
        nearest = {key: min(usual, key=lambda known: abs(known - key)) for key in keys}
        return {key: max(1, round(usual[known] * growth(key))) for key, known in nearest.items()}
    if len(epochs) not in (1, len(keys)):
        raise RequestError(
            f"epochs must hold {len(keys)} numbers, one for each panel, or one for all, got {len(epochs)}"
        )
    whole = [checks.integer("each of epochs", number, at_least=1) for number in epochs]
    return dict(zip(keys, whole * (len(keys) if len(whole) == 1 else 1), strict=True))


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
    rows = stored_rows(run)
    if only_end and run.outcome == "diverged":
        unknown = dict.fromkeys(map(_stored, COLUMNS[2:]), float("nan"))
        rows = [{"epoch": run.epochs, "updates": run.updates, **unknown}]
    return [{**row, **common} for row in rows]


def stored_rows(run: Trajectory) -> list[Row]:
    """The recorded epochs, by the names that the study's tables have had from the start."""
    return [{_stored(name): value for name, value in row.items()} for row in run.rows()]


def _stored(name: str) -> str:
    return {"train_error": "empirical_error", "test_error": "true_error", "train_loss": "hinge_loss"}.get(name, name)


def _recorded(epochs: int) -> Any:
    """Recorded epochs: evenly spaced for the figures' linear axes, and in the logarithm for the early part."""
    return np.union1d(log_spaced(epochs, 40), np.linspace(0, epochs, 49).round().astype(int))


def geometry(start: OneHidden, f: SymmetricFunction, activation: str = "relu") -> tuple[float, Fraction]:
    """Margin of f on the lifted initial embedding, at most 1 as Lemma 4 wants it, and R^2 (of sigmoids L + 1)."""
    V = lift(embedding(start, activation=activation))  # multiples of 1/4 for ReLU
    squared = squared_radius(V) if activation == "relu" else Fraction(V.shape[1])
    return min(hard_margin(V, f.labels).margin, 1.0), squared


def squared_radius(V: FloatArray) -> Fraction:
    """R^2, the largest squared length of a point: exact where these are multiples of 1/4."""
    return Fraction(float((V * V).sum(axis=1).max()))


def lemma4_step(margin: float, squared: Fraction, n: int, activation: str = "relu") -> Fraction:
    """1 over an integer, just within Lemma 4's limit, with R_X = sqrt(n)."""
    limit = lemma4_step_limit(
        margin=margin, radius=math.sqrt(squared), input_radius=math.sqrt(n), activation=activation
    )
    return Fraction(1, math.ceil(1 / limit))


def true_error(run: Trajectory, f: SymmetricFunction, distribution: Distribution) -> float:
    """The exact error of a trained network: of sigmoids by all 2^n inputs, as n <= 20 allows."""
    if run.deviation is None:
        X = enumerate_cube(f.n)
        wrong = f(X) * forward(run.params, X, "sigmoid") <= 0
        weights = X.sum(axis=1).astype(np.intp)
        return float(np.bincount(weights, wrong) / np.bincount(weights) @ distribution.weight_probabilities)
    return run.deviation.cube_error(np.asarray(f.labels, dtype=np.float64), distribution.weight_probabilities)
