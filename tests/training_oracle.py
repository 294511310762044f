"""Exact and high-precision arithmetic around the reference, shared by the tests of training."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from learnability.networks.one_hidden import OneHidden
from learnability.training.reference import act_and_slope


def numbers(make: Callable[[float], Any], array: Any) -> Any:
    """An object array of ``make(value)``; every float64 is a Fraction and an mpf exactly."""
    return np.vectorize(make, otypes=[object])(np.asarray(array, dtype=float))


def network(make: Callable[[float], Any], params: OneHidden) -> OneHidden:
    return OneHidden(numbers(make, params.W), numbers(make, params.B), numbers(make, params.M), make(float(params.b)))


def sample(X: Any, y: Any) -> tuple[Any, Any]:
    """Inputs and labels as exact numbers (plain integers where they are whole: much faster)."""
    whole = bool((np.asarray(X) == np.round(X)).all())
    return numbers(int if whole else Fraction, X), numbers(int, y)


def embed(params: OneHidden, X: Any, activation: str = "relu") -> Any:
    return np.array([act_and_slope(params.W @ x + params.B, activation)[0] for x in X])


def outputs(params: OneHidden, X: Any, activation: str = "relu") -> Any:
    return embed(params, X, activation) @ params.M + params.b


def deviations(start: OneHidden, now: OneHidden, unit: Any) -> tuple[np.ndarray, ...]:
    """(W - W_0) / u^2, (B - B_0) / u^2, M / u and b / u, formed exactly and then rounded to float64."""
    u2 = unit * unit
    parts = ((now.W - start.W) / u2, (now.B - start.B) / u2, now.M / unit, np.array([now.b / unit]))
    return tuple(part.astype(float) for part in parts)


def columns(
    now: OneHidden,
    start: OneHidden,
    X: Any,
    y: Any,
    *,
    beta: Any,
    activation: str = "relu",
    test: tuple[Any, Any] | None = None,
) -> dict[str, float]:
    """The recorded columns straight from their definitions, on whatever numbers the networks hold."""
    signed = y * outputs(now, X, activation)
    norm = math.sqrt(float(now.M @ now.M + now.b * now.b))
    moved = embed(now, X[:512], activation) - embed(start, X[:512], activation)
    wrong = [float("nan")] if test is None else [s <= 0 for s in test[1] * outputs(now, test[0], activation)]
    return {
        "train_error": float(np.mean([s <= 0 for s in signed])),
        "test_error": float(np.mean(wrong)),
        "train_loss": float(sum(max(beta - s, 0) for s in signed)) / len(signed),
        "margin": float(min(signed)) / norm if norm else float("nan"),
        "movement": max(math.sqrt(float(row @ row)) for row in moved),
        "norm": norm,
    }


def close(actual: Any, wanted: Any, relative: float = 1e-9) -> None:
    """Equal to ``relative`` times the largest entry (at least 1e-300, so that zeros must be zeros)."""
    actual, wanted = np.asarray(actual, dtype=float), np.asarray(wanted, dtype=float)
    assert actual.shape == wanted.shape
    scale = max(float(np.abs(wanted).max(initial=0)), 1e-300)
    assert np.abs(actual - wanted).max(initial=0) <= relative * scale
