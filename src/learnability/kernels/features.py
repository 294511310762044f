r"""Feature maps that are fixed before any example is seen: one random layer, random gates, and parities.

A feature map is called on inputs X (m, n) and returns (m, N). Theorem 2 of Daniely & Malach (Learning Parities with
Neural Networks, NeurIPS 2020) wants values in [-1, 1]: hyperbolic tangents, cosines, signs and parities have them by
nature; ReLU features are unbounded and take them by one of two stated ways,

- ``clip``: min(max(z, 0), 1), which for standard pre-activations cuts about one in six;
- ``normalise``: max(z, 0) / (|w| + |b|), the most it can be on the unit ball: the span is that of the plain features,
  but a given norm of weights buys less.

Cosine features cos(<w, x> + c) with Gaussian w of variance 2 gamma and uniform phase are those of the Gaussian
kernel: their inner product over N comes to exp(-gamma |x - z|^2) / 2 (Rahimi & Recht, Random Features for Large-Scale
Kernel Machines, NeurIPS 2007).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.kernels.pairs import MEMORY
from learnability.memory import allowed

__all__ = [
    "ACTIVATIONS",
    "LIMITS",
    "Gates",
    "Layer",
    "Parities",
    "coordinates",
    "parities",
    "random_gates",
    "random_layer",
]

ACTIVATIONS = ("relu", "tanh", "cos", "sign")
"""The functions of a random layer."""
LIMITS = ("none", "clip", "normalise")
"""How ReLU features are kept within [-1, 1], if at all."""


@dataclass(frozen=True, eq=False)
class Layer:
    r"""Features :math:`\sigma(\langle w_i, x \rangle + b_i)`, i = 1, ..., N.

    Attributes
    ----------
    W : array (N, n)
    b : array (N,)
    activation : {"relu", "tanh", "cos", "sign"}
        The sign of 0 is +1.
    limit : {"none", "clip", "normalise"}
        For ``relu``; the others have values in [-1, 1] whatever it is. ``normalise`` keeps its word for inputs of
        norm at most 1.
    """

    W: FloatArray
    b: FloatArray
    activation: str
    limit: str = "none"

    def __post_init__(self) -> None:
        W = checks.matrix("W", self.W)
        checks.store(self, W=W, b=checks.vector("b", self.b, length=len(W)))
        checks.choice("activation", self.activation, ACTIVATIONS)
        checks.choice("limit", self.limit, LIMITS)

    def __call__(self, X: ArrayLike) -> FloatArray:
        """The features (m, N) of inputs X (m, n)."""
        z = checks.matrix("X", X, columns=self.W.shape[1]) @ self.W.T
        z += self.b
        if self.activation == "tanh":
            return np.tanh(z, out=z)
        if self.activation == "cos":
            return np.cos(z, out=z)
        if self.activation == "sign":
            return np.where(z >= 0, 1.0, -1.0)
        np.maximum(z, 0.0, out=z)
        if self.limit == "clip":
            np.minimum(z, 1.0, out=z)
        elif self.limit == "normalise":
            most = np.linalg.norm(self.W, axis=1) + np.abs(self.b)
            z /= np.where(most > 0, most, 1.0)
        return z


def random_layer(
    rng: np.random.Generator,
    n: int,
    N: int,
    activation: str,
    *,
    scale: float = 1.0,
    bias: float = 0.0,
    limit: str = "none",
) -> Layer:
    """A layer with Gaussian weights.

    Parameters
    ----------
    rng : numpy.random.Generator
    n, N : int
        Inputs and features, >= 1, with at most :data:`learnability.kernels.pairs.MEMORY` bytes of weights.
    activation : {"relu", "tanh", "cos", "sign"}
    scale : float
        Standard deviation of the weights, > 0, hence of <w, x> for |x| = 1; sqrt(2 gamma) for a Gaussian kernel.
    bias : float
        Standard deviation of the biases, >= 0; both at most 1e100. The phases of ``cos`` are uniform over [0, 2 pi)
        instead.
    limit : {"none", "clip", "normalise"}
    """
    rng = checks.generator("rng", rng)
    n = checks.integer("n", n, at_least=1, at_most=MEMORY // 8)
    N = checks.integer("N", N, at_least=1)
    checks.integer("N", N, at_most=max(1, int(allowed(MEMORY, 8 * n * N)) // (8 * n)))
    checks.choice("activation", activation, ACTIVATIONS)
    scale = checks.real("scale", scale, above=0.0, at_most=1e100)
    bias = checks.real("bias", bias, at_least=0.0, at_most=1e100)
    W = scale * rng.standard_normal((N, n))
    b = rng.uniform(0.0, 2 * np.pi, N) if activation == "cos" else bias * rng.standard_normal(N)
    return Layer(W, b, activation, limit)


@dataclass(frozen=True, eq=False)
class Gates:
    r"""Features :math:`1[\langle g_i, (x, \beta) \rangle > 0]\, (x, \beta)`, gate by gate: N (n + 1) of them.

    What a two-layer ReLU network is linear in around its start, in the first layer alone: with Gaussian gates their
    inner product over N comes to :math:`\kappa_0(\rho) \langle \tilde x, \tilde z \rangle / 2`, x~ = (x, beta).

    Attributes
    ----------
    G : array (N, n + 1)
    bias : float
        beta >= 0, the constant coordinate.
    """

    G: FloatArray
    bias: float = 1.0

    def __post_init__(self) -> None:
        checks.store(self, G=checks.matrix("G", self.G), bias=checks.real("bias", self.bias, at_least=0))

    def __call__(self, X: ArrayLike) -> FloatArray:
        """The features (m, N (n + 1)) of inputs X (m, n); a gate is closed at 0."""
        X = checks.matrix("X", X, columns=self.G.shape[1] - 1)
        lifted = np.column_stack([X, np.full(len(X), self.bias)])
        open_ = lifted @ self.G.T > 0
        passed: FloatArray = (open_[:, :, None] * lifted[:, None, :]).reshape(len(X), -1)
        return passed


def random_gates(rng: np.random.Generator, n: int, N: int, *, bias: float = 1.0) -> Gates:
    """N >= 1 standard Gaussian gates on n >= 1 inputs and the constant ``bias`` >= 0."""
    rng = checks.generator("rng", rng)
    n = checks.integer("n", n, at_least=1, at_most=MEMORY // 8)
    N = checks.integer("N", N, at_least=1, at_most=max(1, MEMORY // (8 * (n + 1))))
    return Gates(rng.standard_normal((N, n + 1)), bias)


@dataclass(frozen=True)
class Parities:
    r"""Features :math:`\chi_S(x) = \mathrm{sign} \prod_{j \in S} x_j`, one for each subset S; 1 for the empty one.

    Attributes
    ----------
    n : int
        Coordinates, >= 1.
    subsets : tuple of tuple of int
        Each increasing, without repeats, from 0, ..., n - 1; at least one.
    """

    n: int
    subsets: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        n = checks.integer("n", self.n, at_least=1)
        given: Any = self.subsets
        if not isinstance(given, Iterable) or (isinstance(given, np.ndarray) and not given.ndim):
            raise RequestError(f"subsets must be an iterable of subsets, got {given!r}")
        kept = []
        for subset in given:
            members = checks.integers("subsets' members", subset, at_least=0, at_most=n - 1, distinct=True)
            kept.append(tuple(sorted(members)))
        if not kept:
            raise RequestError("subsets must hold at least one subset, got none")
        checks.store(self, n=n, subsets=tuple(kept))

    def __call__(self, X: ArrayLike) -> FloatArray:
        """The features (m, N), in {-1, +1}, of inputs without zeros."""
        X = checks.matrix("X", X, columns=self.n)
        if not X.all():
            raise RequestError("X must have no zero entries, got one: it has no sign")
        signs = np.where(X > 0, 1.0, -1.0)
        out = np.ones((len(X), len(self.subsets)))
        by_size: dict[int, list[int]] = {}
        for i, subset in enumerate(self.subsets):
            by_size.setdefault(len(subset), []).append(i)
        for size, columns in by_size.items():
            members = np.array([self.subsets[i] for i in columns], dtype=int).reshape(len(columns), size)
            for position in range(size):
                out[:, columns] *= signs[:, members[:, position]]
        return out


def parities(n: int, subsets: Iterable[Iterable[int]]) -> Parities:
    """Parities over the given subsets of 0, ..., n - 1 (each without repeats), at least one."""
    return Parities(n, subsets)  # type: ignore[arg-type]  # made tuples there


def coordinates(n: int) -> Parities:
    """The signs of the n coordinates: the linear classifier on the raw bits."""
    n = checks.integer("n", n, at_least=1, at_most=10**6)
    return parities(n, ((j,) for j in range(n)))
