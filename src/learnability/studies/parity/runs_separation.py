"""Runs of ``parity/separation``: the network, the linear methods, and the least norm for a loss on the cube."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from learnability.kernels.features import parities
from learnability.networks.parity import CAP, initial
from learnability.problems.boolean import subset_masks, subset_of
from learnability.seeding import generator
from learnability.studies.parity import linear_methods as opponents
from learnability.studies.parity.theorems.feature_map import feature_values
from learnability.study import Row, Setting
from learnability.theory.linear_class import best_hinge

__all__ = ["BATCH", "ETA", "FINENESS", "REACH", "needed", "network", "numbers", "run"]

ETA = 0.3
"""From which the step falls; another one is named in the network's settings."""
BATCH = 1024
NORMS = (1.0, 10.0, 100.0)
LARGEST_NORM = 1e7
REACH = 0.5
"""Hinge loss on D_A^(1) for which N B^2 is measured."""
FINENESS = 1.02
"""The norm that is found is at most this many times the least one."""


def run(s: Setting, seed: int) -> list[Row]:
    """The rows of one method: for each number of features (and norm) its losses and errors."""
    n, k, method = int(s["n"]), int(s["k"]), str(s["method"])
    most, examples = int(s["most"]), int(s["examples"])
    if s["panel"] == "needed":
        return [needed(seed, n, k, method, most)]
    problem = opponents.mixture(seed, n, k)
    if method == "network":
        return [network(s, seed)]
    if s["panel"] == "norm":
        return [
            {"features": N, "norm": B, **found}
            for N, B, found in opponents.by_norm(problem, seed, method, numbers(most), NORMS, examples)
        ]
    if method in opponents.KERNELS:
        return [{"features": examples, "norm": 0.0, **opponents.with_kernel(problem, seed, method, examples)}]
    return [
        {"features": N, "norm": 0.0, **found}
        for N, found in opponents.on_features(problem, seed, method, numbers(most), examples)
    ]


def numbers(most: int) -> list[int]:
    """Numbers of features: 16, 64, 256, ... up to the most."""
    return [4**j for j in range(2, 12) if 4**j <= most]


def network(s: Setting, seed: int) -> Row:
    """The end of one run of the network.

    N is its width and B the norm of its output layer over hidden units divided by the most that they can be on the
    cube, min(6, |w|_1 / sqrt(n) + b): like the features of the theorem they lie in [-1, 1] then.
    """
    from learnability.training.population import train

    n, k, width, steps = int(s["n"]), int(s["k"]), int(s["most"]), int(s["examples"]) // BATCH
    problem = opponents.mixture(seed, n, k)
    end = train(
        initial(generator(seed, "init", n, k, width), n, k, width // 2), problem, steps=steps,
        eta=float(s.get("eta", ETA)) * np.arange(steps - 1, 0, -1) / steps, first="exact", later=BATCH,
        rng=generator(seed, "steps", n, k, width), record=[steps], evaluate=opponents.TEST, dtype=np.float32,
    )  # fmt: skip
    last = {name: end.final(f"test_{name}") for name in ("loss_1", "loss_2", "error_1", "error_2")}
    means = {name: 0.5 * (last[f"{name}_1"] + last[f"{name}_2"]) for name in ("loss", "error")}
    most = np.clip(np.abs(end.params.W).sum(axis=1, dtype=float) / math.sqrt(n) + end.params.b, 0, CAP)
    return {"features": width, "norm": float(np.linalg.norm(end.params.u * most)), **last, **means}


def needed(seed: int, n: int, k: int, family: str, most: int) -> Row:
    """The least norm, to 2 %, with which N features reach the hinge loss ``REACH`` on the whole cube."""
    points = opponents.mixture(seed, n, k).enumerate()
    if family == "parities":
        psi: Any = parities(n, [subset_of(int(mask)) for mask in subset_masks(n, k)])
    else:
        psi = opponents.features(seed, family, n, most, scale=max(opponents.SCALES[family]), limit="clip")
    values = feature_values(psi, n)

    def loss(B: float) -> tuple[float, np.ndarray[Any, Any]]:
        best = best_hinge(values, points.y, points.p1, norm=B, tolerance=1e-3)
        return best.value, best.w

    correlation = float(np.linalg.norm(values.T @ (points.y * points.p1)))
    low = min((1 - REACH) / max(correlation, 1e-300), LARGEST_NORM)  # a smaller norm cannot do
    high = low
    found, w = loss(high)
    while found > REACH and high < LARGEST_NORM:
        low, high = high, 2 * high
        found, w = loss(high)
    while found <= REACH and high > FINENESS * low:
        middle = math.sqrt(low * high)
        between, candidate = loss(middle)
        if between <= REACH:
            high, found, w = middle, between, candidate
        else:
            low = middle
    margin = points.y * (values @ w)
    row: Row = {"features": values.shape[1], "norm": high}
    for part, p in ((1, points.p1), (2, points.p2)):
        row[f"loss_{part}"] = float(p @ np.maximum(0.0, 1.0 - margin))
        row[f"error_{part}"] = float(p @ (margin <= 0))
    for name in ("loss", "error"):
        row[name] = 0.5 * (row[f"{name}_1"] + row[f"{name}_2"])
    return row
