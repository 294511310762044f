"""Networks with one hidden layer, ``x -> M . act(W x + B) + b``, and their random initialisations.

JAX traces the forward passes; the derivative of its ReLU at 0 is 0, as in the engines.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.traced import door, namespace

__all__ = ["ACTIVATIONS", "RANDOM_KINDS", "OneHidden", "activate", "apply", "forward", "hidden", "random_init"]

ACTIVATIONS = ("relu", "sigmoid")
"""``relu`` is max(0, z); ``sigmoid`` is 1 / (1 + exp(-5 z)), the paper's sigma(5 z): so that the hidden
weights of the symmetry constructions are the same integers for both.
"""

RANDOM_KINDS = ("normal", "he", "xavier", "lecun", "pytorch")


class OneHidden(NamedTuple):
    """Parameters of a network with one hidden layer, in the symbols of Nachum & Yehudayoff."""

    W: NDArray[Any]
    """Hidden weights, (L, n)."""
    B: NDArray[Any]
    """Hidden biases, (L,)."""
    M: NDArray[Any]
    """Output weights, (L,)."""
    b: Any
    """Output bias, a scalar."""


def activate(z: FloatArray, activation: str) -> FloatArray:
    """The activation of every entry of ``z``: ``relu`` or ``sigmoid`` (see :data:`ACTIVATIONS`)."""
    xp = namespace(z)
    if checks.choice("activation", activation, ACTIVATIONS) == "sigmoid":
        logistic: FloatArray = 0.5 * (1.0 + xp.tanh(2.5 * z))  # the logistic function of 5z, without overflow
        return logistic
    if xp is np:
        return np.maximum(z, 0.0)
    from jax.nn import relu

    return cast(FloatArray, relu(z))  # the maximum of JAX has slope 1/2 at 0


def apply(params: Any, X: Any, activation: str = "relu") -> Any:
    """The outputs (...) at the inputs ``X`` (..., n): traceable, unchecked."""
    return activate(X @ params.W.T + params.B, activation) @ params.M + params.b


def hidden(params: OneHidden, X: ArrayLike, activation: str = "relu") -> FloatArray:
    """The embedding v_x = act(W x + B) of every input.

    Parameters
    ----------
    params : OneHidden
        ``W`` (L, n) and ``B`` (L,) are used.
    X : array (m, n)
        Inputs, any finite real numbers.
    activation : {"relu", "sigmoid"}

    Returns
    -------
    array (m, L)
    """
    check = door(params, X)
    W = check.matrix("W", params.W)
    B = check.vector("B", params.B, length=len(W))
    X = check.matrix("X", X, columns=W.shape[1])
    return activate(X @ W.T + B, activation)


def forward(params: OneHidden, X: ArrayLike, activation: str = "relu") -> FloatArray:
    """The outputs M . act(W x + B) + b, shape (m,), of the inputs ``X`` (m, n)."""
    check = door(params, X)
    V = hidden(params, X, activation)
    M = check.vector("M", params.M, length=V.shape[1])
    return V @ M + check.real("b", params.b)


def random_init(rng: np.random.Generator, n: int, L: int, kind: str) -> OneHidden:
    """A random initialisation of both layers.

    The paper compares with "random initialization" and does not say which. With fan-in n of the hidden layer
    and L of the output, fan-out L and 1, every entry independent:

    ========== ==================================== ============= ==================================
    kind       weights                              biases        in the hidden / output layer
    ========== ==================================== ============= ==================================
    normal     N(0, 1)                              N(0, 1)       the same in both
    he         N(0, 2 / fan_in)                     0             2/n, 2/L
    xavier     N(0, 2 / (fan_in + fan_out))         0             2/(n+L), 2/(L+1)
    lecun      N(0, 1 / fan_in)                     0             1/n, 1/L
    pytorch    U(-c, c), c = 1 / sqrt(fan_in)       as weights    c = 1/sqrt(n), 1/sqrt(L)
    ========== ==================================== ============= ==================================

    (The numbers after N are variances; He and Glorot in their normal, untruncated form. ``pytorch`` is what
    ``torch.nn.Linear`` does by default.)

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Inputs, >= 1.
    L : int
        Hidden neurons, >= 1.
    kind : str
        A row of the table.
    """
    rng = checks.generator("rng", rng)
    n = checks.integer("n", n, at_least=1)
    L = checks.integer("L", L, at_least=1)
    kind = checks.choice("kind", kind, RANDOM_KINDS)
    if kind in ("normal", "pytorch"):

        def draw(fan_in: int, *shape: int) -> FloatArray:
            c = fan_in**-0.5
            return rng.standard_normal(shape) if kind == "normal" else rng.uniform(-c, c, shape)

        return OneHidden(W=draw(n, L, n), B=draw(n, L), M=draw(L, L), b=float(draw(L)))
    variances = {"he": (2 / n, 2 / L), "xavier": (2 / (n + L), 2 / (L + 1)), "lecun": (1 / n, 1 / L)}
    first, second = variances[kind]
    return OneHidden(
        W=np.sqrt(first) * rng.standard_normal((L, n)),
        B=np.zeros(L),
        M=np.sqrt(second) * rng.standard_normal(L),
        b=0.0,
    )
