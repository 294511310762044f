"""Lemmas 1 and 2 and the zig-zag of Nachum & Yehudayoff: every symmetric function is represented.

Exhaustively for small n, and for random functions of every density, parity and majority at large n. The
hidden rows are constant, so the outputs at the n + 1 Hamming weights are the outputs on the whole cube.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from learnability.checks import FloatArray
from learnability.networks.one_hidden import OneHidden
from learnability.networks.symmetry import embedding, represent_relu, represent_sigmoid, represent_zigzag
from learnability.problems.symmetry import all_symmetric, majority, parity
from learnability.seeding import generator
from learnability.studies.symmetry import PAPER
from learnability.studies.symmetry.theorems import lemmas_thm1 as theory
from learnability.study import Check
from learnability.theory import Guarantee

__all__ = ["CHECKS"]

Represent = Callable[[int, Iterable[int]], OneHidden]
Outputs = Sequence[tuple[FloatArray, FloatArray]]
"""For each n: outputs (functions, n+1), and 1[k in A] of the same shape."""

EXHAUSTIVE = {"smoke": 6, "laptop": 12}
LARGE = {"smoke": (50,), "laptop": (50, 100, 200)}
DRAWS = {"smoke": 50, "laptop": 2000}


def _outputs(represent: Represent, activation: str, indicators: FloatArray) -> FloatArray:
    n = indicators.shape[1] - 1
    outputs = np.empty_like(indicators, dtype=np.float64)
    V = embedding(represent(n, ()), activation=activation)  # the hidden layer is the same for all
    for row, a in zip(outputs, indicators, strict=True):  # one network at a time: thousands would fill the memory
        network = represent(n, np.flatnonzero(a))
        row[:] = V @ network.M + network.b
    return outputs


def _indicators(n: int, draws: int) -> FloatArray:
    """Random sets A, each of a random density, then parity and majority."""
    rng = generator(0, "representation", n)
    drawn = rng.random((draws, n + 1)) < rng.random((draws, 1))
    named = [np.asarray(f.labels) == 1 for f in (parity(n), majority(n))]
    return np.vstack([drawn, named]).astype(np.float64)


def _cases(represent: Represent, activation: str, scale: str) -> Iterator[tuple[Outputs, dict[str, Any]]]:
    """Outputs, and what every statement says of them."""
    small, large, draws = EXHAUSTIVE[scale], LARGE[scale], DRAWS[scale]
    every = [np.array([f.labels for f in all_symmetric(n)]) / 2 + 0.5 for n in range(1, small + 1)]
    drawn = [_indicators(n, draws) for n in large]
    names = (f"all functions,n<={small}", f"random,n={'|'.join(map(str, large))}")
    for case, sets in zip(names, (every, drawn), strict=True):
        outputs = [(_outputs(represent, activation, a), a) for a in sets]
        note = f"{sum(map(len, sets))} functions at every weight"
        yield outputs, {"mistakes": _mistakes(outputs), "case": case, "note": note}


def _mistakes(outputs: Outputs) -> int:
    return sum(int(((out > 0) != (a == 1)).sum() + (out == 0).sum()) for out, a in outputs)


def lemma1(scale: str) -> list[Guarantee]:
    """The sigmoid construction, with the smallest sum on A and the largest off A."""
    found = []
    for outputs, common in _cases(represent_sigmoid, "sigmoid", scale):
        on = min(float(out[a == 1].min()) for out, a in outputs) + 0.5
        off = max(float(out[a == 0].max()) for out, a in outputs) + 0.5
        found += theory.lemma1(on=on, off=off, **common)
    return found


def lemma2(scale: str) -> list[Guarantee]:
    """The hats: outputs are +-1/2 exactly."""
    return _exactly(theory.lemma2, represent_relu, lambda a: a - 0.5, scale)


def zigzag(scale: str) -> list[Guarantee]:
    """The zig-zag: outputs are 1/2 - dist(k, A) exactly."""
    return _exactly(theory.zigzag, represent_zigzag, lambda a: 0.5 - _distances(a), scale)


def _exactly(
    statement: Callable[..., list[Guarantee]],
    represent: Represent,
    promised: Callable[[FloatArray], FloatArray],
    scale: str,
) -> list[Guarantee]:
    """A statement that promises the outputs themselves."""
    found = []
    for outputs, common in _cases(represent, "relu", scale):
        deviation = max(float(np.abs(out - promised(a)).max()) for out, a in outputs)
        found += statement(deviation=deviation, **common)
    return found


def _distances(a: FloatArray) -> FloatArray:
    """dist(k, A) for k = 0..n and each row's A; 1 where A is empty (its output is -1/2)."""
    k = np.arange(a.shape[1], dtype=np.float64)
    left = np.maximum.accumulate(np.where(a == 1, k, -np.inf), axis=1)
    right = np.minimum.accumulate(np.where(a == 1, k, np.inf)[:, ::-1], axis=1)[:, ::-1]
    nearest = np.minimum(k - left, right - k)
    return np.where(np.isinf(nearest), 1.0, nearest)


CHECKS = (
    Check("lemma1", f"{PAPER}, Lemma 1", lemma1),
    Check("lemma2", f"{PAPER}, Lemma 2", lemma2),
    Check("zigzag", f"{PAPER}, Lemma 2 (arXiv version, reconstructed)", zigzag),
)
