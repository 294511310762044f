r"""Two layers of leaky ReLUs whose output weights come in two signs, and their initialisation.

Brutzkus, Globerson, Malach & Shalev-Shwartz (ICLR 2018), Section 2: with 2k hidden units,
:math:`N(x) = v^T \sigma(W x)`, where the first k units have output weight +v and the others -v, and
:math:`\sigma(z) = \max(\alpha z, z)`; ``alpha`` = 0 is the ReLU of their Section 7. There are no biases: append a
constant coordinate to the inputs (their footnote 4).

JAX traces the forward pass; the derivative at 0 is 1 for the leaky ReLU and 0 for the ReLU, as in the engine.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.traced import door, namespace

__all__ = ["NORMS", "TwoLayer", "apply", "forward", "initial", "leaky"]

NORMS = ("exact", "at_most")
"""What the radius of a start is, see :func:`initial`."""


class TwoLayer(NamedTuple):
    """Parameters of a network with 2k hidden units and no biases."""

    W: NDArray[Any]
    """Hidden weights, (2k, d): the paper's w^(1)..w^(k), then u^(1)..u^(k)."""
    v: NDArray[Any]
    """Output weights with their sign, (2k,): k times +v, then k times -v."""


def leaky(z: FloatArray, alpha: float) -> FloatArray:
    """The leaky ReLU max(alpha z, z) of every entry, for 0 <= alpha <= 1."""
    found: FloatArray = namespace(z).where(z >= 0 if alpha > 0 else z > 0, z, alpha * z)
    return found


def apply(params: Any, X: Any, alpha: float) -> Any:
    """The outputs (...) at the inputs ``X`` (..., d): traceable, unchecked."""
    return leaky(X @ params.W.T, alpha) @ params.v


def forward(params: TwoLayer, X: ArrayLike, *, alpha: float) -> FloatArray:
    """The outputs v . sigma(W x), shape (m,), of the inputs ``X`` (m, d), for 0 <= alpha < 1."""
    check = door(params, X)
    W = check.matrix("params.W", params.W)
    v = check.vector("params.v", params.v, length=len(W))
    X = check.matrix("X", X, columns=W.shape[1])
    alpha = slope(alpha)
    if check is not checks:
        return leaky(X @ W.T, alpha) @ v
    size = max(1, 2**17 // len(W))  # a cache-sized block of inputs at a time
    blocks = (leaky(X[lo : lo + size] @ W.T, alpha) @ v for lo in range(0, len(X), size))
    outputs: FloatArray = np.concatenate(list(blocks))
    return outputs


def initial(
    rng: np.random.Generator,
    d: int,
    k: int,
    *,
    radius: float | None = None,
    v: float | None = None,
    norm: str = "exact",
) -> TwoLayer:
    """A random start that satisfies the paper's Equation 5, and by default its Equation 6.

    The paper bounds the norm of the rows and leaves their distribution open: here the directions are uniform on the
    sphere.

    Parameters
    ----------
    rng : numpy.random.Generator
    d : int
        Inputs, >= 1.
    k : int
        Units of each sign, >= 1; the network has 2k.
    radius : float, optional
        R >= 0, by default 1 / sqrt(2k).
    v : float, optional
        Size of the output weights, > 0, by default 1 / sqrt(2k).
    norm : {"exact", "at_most"}
        Rows of norm R, or uniform in the ball of radius R.
    """
    rng = checks.generator("rng", rng)
    d = checks.integer("d", d, at_least=1)
    k = checks.integer("k", k, at_least=1)
    usual = 1 / math.sqrt(2 * k)
    radius = usual if radius is None else checks.real("radius", radius, at_least=0.0)
    size = usual if v is None else checks.real("v", v, above=0.0)
    norm = checks.choice("norm", norm, NORMS)
    W = rng.standard_normal((2 * k, d))
    W *= radius / np.linalg.norm(W, axis=1, keepdims=True)
    if norm == "at_most":
        W *= rng.random((2 * k, 1)) ** (1 / d)
    return TwoLayer(W, np.repeat([size, -size], k))


def slope(alpha: float) -> float:
    """The slope as a float, checked: 0 <= alpha < 1."""
    return checks.real("alpha", alpha, at_least=0.0, below=1)
