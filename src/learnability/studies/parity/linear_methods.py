r"""Linear methods on sparse parities, each with a fair chance: what ``parity/separation`` sets the network against.

All see fresh examples of D_A and choose what is free in them (ridge, scale, norm) on other fresh examples:

``bits``
    The signs of the coordinates.
``relu``, ``cosine``
    Random features max(<w, x> + b, 0) and cos(<w, x> + c).
``rbf``, ``tangent``
    Kernel machines: the exact Gaussian kernel and the tangent kernel of the two-layer ReLU network of infinite width.

Test losses and errors are on fresh examples of each part of the mixture; an output of 0 counts as an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from learnability.checks import FloatArray
from learnability.kernels import closed_form, machine
from learnability.kernels.features import Layer, Parities, coordinates, random_layer
from learnability.problems.parity import ParityMixture, random_mixture
from learnability.seeding import generator
from learnability.theory.linear_class import best_hinge

__all__ = [
    "FAMILIES",
    "KERNELS",
    "by_norm",
    "features",
    "majority_error",
    "mixture",
    "on_features",
    "scores",
    "with_kernel",
]

FAMILIES = ("bits", "relu", "cosine")
KERNELS = ("rbf", "tangent")
TEST = 8192
"""Test examples of each part."""
VALID = 8192
"""Examples that choose."""
SCALES = {"bits": (1.0,), "relu": (1.0,), "cosine": (1.0, 2.5)}
"""Standard deviations of <w, x>. Scale does not matter to ReLU without biases; those here have half of it."""
GAMMAS = (0.5, 2.0, 8.0)
RIDGES = tuple(10.0**e for e in range(-8, 1))
"""Times the mean squared size of the features."""
NORM_TEST = 65536
"""Test examples of each part where a loss stands beside the bound."""
_BLOCK = 8192
_SCORES = ("loss", "error")

Predictor = Callable[[FloatArray], FloatArray]


def mixture(seed: int, n: int, k: int) -> ParityMixture:
    """D_A for the A of this seed."""
    return random_mixture(generator(seed, "support", n, k), n, k)


def majority_error(k: int) -> float:
    """Error of the majority of A on D_A^(1), where it is right on all of D_A^(2).

    Its coefficient on the parity of all k is (-1)^((k-1)/2) C(k-1, (k-1)/2) / 2^(k-1): below chance for k = 5, 9, ...
    A linear classifier on the bits can have this error though its hinge loss on D_A^(1) is at least 1.
    """
    half = (k - 1) // 2
    return 0.5 * (1 - (-1.0) ** half * math.comb(k - 1, half) / 2.0 ** (k - 1))


def scores(predict: Predictor, problem: ParityMixture, seed: int) -> dict[str, float]:
    """Hinge loss and error on fresh examples of D_A^(1) and D_A^(2), and their means, those on D_A."""
    return _scores(lambda X: predict(X)[:, None], 1, problem, seed, TEST)[0]


def _scores(predict: Predictor, count: int, problem: ParityMixture, seed: int, test: int) -> list[dict[str, float]]:
    """:func:`scores` of several predictors, the columns of ``predict(X)``, on ``test`` examples of each part."""
    sums = np.zeros((2, 2, count))
    for part, (losses, errors) in zip((1, 2), sums, strict=True):
        rng = generator(seed, "test", problem.n, problem.k, part)
        for start in range(0, test, _BLOCK):
            X, y = problem.sample(rng, min(_BLOCK, test - start), part=part)
            margin = y[:, None] * predict(X)
            losses += np.maximum(0.0, 1.0 - margin).sum(axis=0)
            errors += (margin <= 0).sum(axis=0)
    means = sums / test
    return [
        {
            **{f"{name}_{part}": float(means[part - 1, at, i]) for part in (1, 2) for at, name in enumerate(_SCORES)},
            **{name: float(means[:, at, i].mean()) for at, name in enumerate(_SCORES)},
        }
        for i in range(count)
    ]


def features(seed: int, family: str, n: int, N: int, *, scale: float = 1.0, limit: str = "none") -> Layer | Parities:
    """The feature map of a family; its first features are those of the map with fewer."""
    if family == "bits":
        return coordinates(n)
    activation = {"relu": "relu", "cosine": "cos"}[family]
    rng = generator(seed, "features", family, n, scale)
    return random_layer(rng, n, N, activation, scale=scale, bias=0.5 * scale, limit=limit)


def on_features(
    problem: ParityMixture, seed: int, family: str, numbers: Sequence[int], examples: int
) -> Iterator[tuple[int, dict[str, float]]]:
    """Ridge regression on the first N features, for each number N: yields N and the scores."""
    from scipy.linalg import eigh

    n, k = problem.n, problem.k
    numbers = (n,) if family == "bits" else numbers
    X_valid, y_valid = problem.sample(generator(seed, "valid", n, k), VALID)
    fitted: dict[int, list[tuple[float, float, Predictor]]] = {N: [] for N in numbers}
    for scale in SCALES[family]:
        psi = features(seed, family, n, max(numbers), scale=scale)
        G, g = np.zeros((max(numbers), max(numbers))), np.zeros(max(numbers))
        rng = generator(seed, "train", n, k)
        for start in range(0, examples, _BLOCK):
            X, y = problem.sample(rng, min(_BLOCK, examples - start))
            Z = psi(X)
            G += Z.T @ Z
            g += Z.T @ y
        Z = psi(X_valid)
        for N in numbers:
            size, V = eigh(G[:N, :N])
            pulled, unit = V.T @ g[:N], float(np.trace(G[:N, :N])) / N
            for ridge in RIDGES:
                w = V @ (pulled / (np.maximum(size, 0) + ridge * unit))
                margin = y_valid * (Z[:, :N] @ w)
                judged = float((margin <= 0).mean()), float(np.maximum(0, 1 - margin).mean())
                fitted[N].append((*judged, partial(_predict, psi, w)))
    for N in numbers:
        yield N, scores(min(fitted[N], key=lambda one: one[:2])[2], problem, seed)


def _predict(psi: Layer | Parities, w: FloatArray, X: FloatArray) -> FloatArray:
    values: FloatArray = psi(X)[:, : len(w)] @ w
    return values


def with_kernel(problem: ParityMixture, seed: int, family: str, examples: int) -> dict[str, float]:
    """A kernel machine on a sample; ridge, and gamma of the Gaussian kernel, by least leave-one-out error."""
    X, y = problem.sample(generator(seed, "train", problem.n, problem.k), examples)
    kernels: list[machine.Kernel] = (
        [partial(closed_form.rbf, gamma=gamma) for gamma in GAMMAS]
        if family == "rbf"
        else [partial(closed_form.tangent, trained_bias=1.0)]
    )
    fitted = [machine.fit(kernel, X, y) for kernel in kernels]
    return scores(min(fitted, key=lambda one: min(one.errors)).predict, problem, seed)


def by_norm(
    problem: ParityMixture, seed: int, family: str, numbers: Sequence[int], norms: Sequence[float], examples: int
) -> Iterator[tuple[int, float, dict[str, float]]]:
    """The best hinge loss found with N features in [-1, 1] and a norm of at most B: yields N, B and the scores.

    For each norm the hinge loss on a sample is minimised to the end; of the norms up to B the one that does best on
    other examples counts, as a smaller norm is allowed too. ReLU features are cut at 1.
    """
    n, k = problem.n, problem.k
    numbers = (n,) if family == "bits" else numbers
    X, y = problem.sample(generator(seed, "train", n, k), examples)
    X_valid, y_valid = problem.sample(generator(seed, "valid", n, k), VALID)
    psi = features(seed, family, n, max(numbers), scale=max(SCALES[family]), limit="clip")
    Z, Z_valid = psi(X), psi(X_valid)
    cells: list[tuple[int, float]] = []
    chosen = np.zeros((max(numbers), len(numbers) * len(norms)))
    for N in numbers:
        tried: list[tuple[float, FloatArray]] = []
        for B in sorted(norms):
            w = best_hinge(Z[:, :N], y, norm=B, tolerance=1e-4).w
            tried.append((float(np.maximum(0, 1 - y_valid * (Z_valid[:, :N] @ w)).mean()), w))
            chosen[:N, len(cells)] = min(tried, key=lambda one: one[0])[1]
            cells.append((N, B))
    found = _scores(lambda X: psi(X) @ chosen, len(cells), problem, seed, NORM_TEST)
    for (N, B), one in zip(cells, found, strict=True):
        yield N, B, one
