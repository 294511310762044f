"""Symmetry-based initialisations, and weights that compute any symmetric function exactly.

Source: Nachum & Yehudayoff, On Symmetry and Initialization for Neural Networks, Sections 2, 3 and 5. All
hidden rows are constant here, so that the hidden layer sees an input x in {0,1}^n through its Hamming weight
|x| only and embeds the cube into n + 1 points.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.networks.one_hidden import OneHidden, activate

__all__ = [
    "SYMMETRY_KINDS",
    "dead_neurons",
    "embedding",
    "neurons",
    "represent_relu",
    "represent_sigmoid",
    "represent_zigzag",
    "symmetry_init",
]

SYMMETRY_KINDS = ("integer", "half_integer", "quarter", "integer_padded", "sigmoid")


def symmetry_init(n: int, kind: str = "half_integer", *, const_neuron: bool = False) -> OneHidden:
    """A symmetry-based initialisation, with M = 0 and b = 0.

    =============== ====== =========================================================================
    kind            L      hidden neurons as functions of k = |x|
    =============== ====== =========================================================================
    half_integer    4n+2   ReLU(k - c) for c = 0, 1/2, ..., n, then ReLU(c - k) for the same c
    integer         n+3    ReLU(k - i + 2) for i = 1..n+3 (Section 3)
    quarter         4n+3   ReLU(k - c) for c = -1/4, 0, 1/4, ..., n + 1/4
    integer_padded  4n+3   the formula of ``integer`` run to i = 4n+3; all further neurons are dead
    sigmoid         n+2    sigma(5 (k - j + 1/2)) for j = 0..n+1 (Lemma 1), for ``activation="sigmoid"``
    =============== ====== =========================================================================

    Section 5 says "4n+3 neurons" without a formula that survived; ``half_integer`` is our reconstruction
    (4n+2 ReLUs on the breakpoints of the zig-zag construction, and the output bias as the "bias neuron"), and
    fits the paper's convergence times. ``quarter`` is another valid reading. Two neurons of ``integer``,
    ``half_integer`` and ``quarter`` are zero on the whole cube and stay dead (:func:`dead_neurons`).

    Parameters
    ----------
    n : int
        Input bits, >= 1.
    kind : str
        A row of the table.
    const_neuron : bool
        Only for ``half_integer``: one more neuron with weights 0 and bias 1, which makes L = 4n+3 literally.

    Returns
    -------
    OneHidden
        float64; rows of ``W`` all 1 or all -1 (or 0 for the constant neuron).
    """
    slopes, biases = neurons(n, kind, const_neuron=const_neuron)
    return OneHidden(W=np.tile(slopes[:, None], (1, n)), B=biases, M=np.zeros(len(biases)), b=0.0)


def neurons(n: int, kind: str = "half_integer", *, const_neuron: bool = False) -> tuple[FloatArray, FloatArray]:
    """The hidden neurons of :func:`symmetry_init`: the entry that a row of W repeats, (L,), and the biases, (L,)."""
    n = checks.integer("n", n, at_least=1)
    kind = checks.choice("kind", kind, SYMMETRY_KINDS)
    if not isinstance(const_neuron, bool | np.bool_):
        raise RequestError(f"const_neuron must be True or False, got {const_neuron!r}")
    if const_neuron and kind != "half_integer":
        raise RequestError(f"const_neuron must be False unless kind is 'half_integer', got kind {kind!r}")
    if kind == "half_integer":
        c = np.arange(2 * n + 1) / 2
        slopes, biases = np.repeat([1.0, -1.0], 2 * n + 1), np.concatenate([-c, c])
        return (np.append(slopes, 0.0), np.append(biases, 1.0)) if const_neuron else (slopes, biases)
    first, step, L = {
        "integer": (1.0, 1.0, n + 3),
        "integer_padded": (1.0, 1.0, 4 * n + 3),
        "quarter": (0.25, 0.25, 4 * n + 3),
        "sigmoid": (0.5, 1.0, n + 2),
    }[kind]
    return np.ones(L), first - step * np.arange(L, dtype=np.float64)


def represent_sigmoid(n: int, A: Iterable[int]) -> OneHidden:
    """Lemma 1: n + 2 sigmoids that compute f_A, for ``activation="sigmoid"``.

    f_A(x) = sign(-1/2 + sum_{i in A} Delta_i(x)), Delta_i(x) = sigma(5(|x|-i+1/2)) - sigma(5(|x|-i-1/2)); the
    output weight of sigma(5(|x|-j+1/2)) is 1[j in A] - 1[j-1 in A], j = 0..n+1. The hidden layer is
    ``symmetry_init(n, "sigmoid")``.

    Parameters
    ----------
    n : int
        Input bits, >= 1.
    A : iterable of int
        Weights in 0..n with label +1; may be empty (the constant -1, then M = 0 and b = -1/2).
    """
    a = _indicator(n, A)
    return symmetry_init(n, "sigmoid")._replace(M=np.append(a, 0.0) - np.append(0.0, a), b=-0.5)


def represent_relu(n: int, A: Iterable[int]) -> OneHidden:
    """Lemma 2: n + 3 ReLUs that compute f_A with output +1/2 on A and -1/2 off it, exactly.

    f_A(x) = sign(-1/2 + sum_{i in A} Gamma_i(x)) with the hat Gamma_i(x) = ReLU(|x|-i+1) - 2 ReLU(|x|-i) +
    ReLU(|x|-i-1), which is 1[|x| = i]; the output weight of ReLU(|x|-j+1) is 1[j in A] - 2 1[j-1 in A] +
    1[j-2 in A], j = 0..n+2. The hidden layer is ``symmetry_init(n, "integer")``. Parameters as
    :func:`represent_sigmoid`.
    """
    a = np.pad(_indicator(n, A), 2)
    return symmetry_init(n, "integer")._replace(M=a[2:] - 2 * a[1:-1] + a[:-2], b=-0.5)


def represent_zigzag(n: int, A: Iterable[int]) -> OneHidden:
    """The zig-zag on the half-integer grid: 4n + 2 ReLUs with output 1/2 - dist(|x|, A).

    For A = {a_1 < ... < a_r} and c_j = (a_j + a_{j+1})/2,

        F_A(k) = -sum_j |k - a_j| + sum_j |k - c_j|

    has slopes +-1 and equal peaks -(a_r - a_1)/2 on A, so f_A = sign(F_A + (a_r - a_1)/2 + 1/2). This is what
    the arXiv version's Lemma 2 describes in words (its formulas are lost); the hidden layer is
    ``symmetry_init(n, "half_integer")``. For the empty A, where a_1 does not exist: M = 0 and b = -1/2.
    Parameters as :func:`represent_sigmoid`.
    """
    peaks = np.flatnonzero(_indicator(n, A))
    params = symmetry_init(n, "half_integer")
    if not len(peaks):
        return params._replace(b=-0.5)
    grid = np.zeros(2 * n + 1)  # index 2c for the breakpoint c
    grid[2 * peaks] = -1.0
    grid[peaks[:-1] + peaks[1:]] = 1.0
    return params._replace(M=np.tile(grid, 2), b=float(peaks[-1] - peaks[0] + 1) / 2)


def embedding(params: OneHidden, weights: ArrayLike | None = None, activation: str = "relu") -> FloatArray:
    """The hidden vectors of the Hamming weights, for a network with constant rows.

    Parameters
    ----------
    params : OneHidden
        Every row of ``W`` (L, n) must be constant.
    weights : array (m,), optional
        Values of |x|, any real numbers; 0..n if not given.
    activation : {"relu", "sigmoid"}

    Returns
    -------
    array (m, L)
        Row i is the hidden vector of every input of weight ``weights[i]``.
    """
    W = checks.matrix("W", params.W)
    B = checks.vector("B", params.B, length=len(W))
    varied = np.flatnonzero((W[:, :1] != W).any(axis=1))
    if varied.size:
        raise RequestError(f"W must have constant rows for an embedding of weights, got a varied row {varied[0]}")
    k = np.arange(W.shape[1] + 1.0) if weights is None else checks.vector("weights", weights)
    return activate(np.multiply.outer(k, W[:, 0]) + B, activation)


def dead_neurons(params: OneHidden) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which ReLU neurons are zero on the whole cube {0,1}^n: a mask of shape (L,).

    The largest pre-activation over the cube is the sum of the positive weights plus the bias (attained, so
    this is exact up to the rounding of that sum); the neuron is dead iff it is <= 0, since then neither its
    output nor, with H(0) = 0, its gradient is ever non-zero.
    """
    W = checks.matrix("W", params.W)
    B = checks.vector("B", params.B, length=len(W))
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.maximum(W, 0.0).sum(axis=1) + B <= 0
    return mask


def _indicator(n: int, A: Iterable[int]) -> FloatArray:
    """1[k in A] for k = 0..n, both checked."""
    n = checks.integer("n", n, at_least=1)
    indicator = np.zeros(n + 1)
    for k in checks.integers("A", A, at_least=0, at_most=n):
        indicator[k] = 1.0
    return indicator
