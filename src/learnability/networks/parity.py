r"""Two layers of ReLU6 units with a symmetric start, and the features that represent a parity.

Daniely & Malach, Section 2: with 2q hidden units, :math:`g(x) = \sum_{i=1}^{2q} u_i \sigma(\langle w_i, x \rangle +
b_i)` and :math:`\sigma(z) = \min(\max(z, 0), 6)`; weights and biases are trained (the displayed updates omit the
biases, but Lemmas 9, 11 and 15 bound their movement). Section 5 and Lemma 10: the features :math:`\phi_r` whose
combination is a parity.

JAX traces the forward passes; the derivative of its ReLU6 at 0 and 6 is 0, as in the engine.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.traced import door, namespace

__all__ = [
    "CAP",
    "FORMS",
    "ParityNet",
    "apply",
    "feature",
    "forward",
    "good_neurons",
    "hidden",
    "initial",
    "relu6",
    "relu6_slope",
    "representation",
]

CAP = 6.0
"""Where ReLU6 stops growing."""

FORMS = ("safe", "printed")
"""The two symmetric initialisations, see :func:`initial`."""


class ParityNet(NamedTuple):
    """Parameters of a network with p = 2q hidden units."""

    W: NDArray[Any]
    """Hidden weights, (p, n)."""
    b: NDArray[Any]
    """Hidden biases, (p,)."""
    u: NDArray[Any]
    """Output weights, (p,)."""


def relu6(z: NDArray[Any]) -> NDArray[Any]:
    """min(max(z, 0), 6) of every entry."""
    xp = namespace(z)
    capped: NDArray[Any] = xp.clip(z, 0.0, CAP)
    if xp is np:
        return capped
    from jax.lax import stop_gradient

    found: NDArray[Any] = xp.where((z > 0.0) & (z < CAP), z, stop_gradient(capped))  # clip has slope 1/2 at the ends
    return found


def relu6_slope(z: NDArray[Any]) -> NDArray[Any]:
    """The derivative: 1 for 0 < z < 6, else 0, also at 0 and at 6 themselves."""
    return ((z > 0.0) & (z < CAP)).astype(z.dtype)


def initial(rng: np.random.Generator, n: int, k: int, q: int, form: str = "safe") -> ParityNet:
    r"""The symmetric random start.

    For i = 1..q: :math:`w_i` uniform in {-1, 0, 1}^n, :math:`b_i = 1/(8k)`, :math:`u_i` uniform in [-n/k, n/k]. Unit
    q + i is the twin of unit i, with :math:`u_{q+i} = -u_i` in both forms and

    ========= ==================== ==================== =====================================================
    form      :math:`w_{q+i}`      :math:`b_{q+i}`      at the start
    ========= ==================== ==================== =====================================================
    safe      :math:`w_i`          :math:`b_i`          g = 0: every example has an active hinge
    printed   :math:`-w_i`         :math:`-b_i`         g = sum of u_i clip(z_i, -6, 6), in the hundreds
    ========= ==================== ==================== =====================================================

    The paper prints the second. Its proof needs the first: "the gradient with respect to the hinge-loss at the
    initialization is simply the correlation" (Section 5.1) is true only where g < 1/y everywhere, and for the printed
    form about half of the examples have no gradient at all (``learnability run parity/first-step`` shows both).

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Dimension, >= 1.
    k : int
        Coordinates in the parity, 1 <= k <= n. An even k is accepted here; the theory (and ``ParityMixture``) wants k
        odd, as E y = 0 on the second part of the mixture only then.
    q : int
        Pairs of units, >= 1.
    form : {"safe", "printed"}
    """
    rng = checks.generator("rng", rng)
    n = checks.integer("n", n, at_least=1)
    k = checks.integer("k", k, at_least=1)
    if k > n:
        raise RequestError(f"k must be <= n = {n}, got {k}")
    q = checks.integer("q", q, at_least=1)
    twin = 1.0 if checks.choice("form", form, FORMS) == "safe" else -1.0
    w = rng.integers(-1, 2, size=(q, n), dtype=np.int8)
    u = rng.uniform(-n / k, n / k, q)
    W = np.empty((2 * q, n))
    W[:q] = w
    np.multiply(w, twin, out=W[q:])
    b = np.full(q, 1 / (8 * k))
    return ParityNet(W, np.concatenate([b, twin * b]), np.concatenate([u, -u]))


def apply(params: Any, X: Any) -> Any:
    """The outputs (...) at the inputs ``X`` (..., n): traceable, unchecked."""
    return relu6(X @ params.W.T + params.b) @ params.u


def hidden(params: ParityNet, X: ArrayLike) -> FloatArray:
    """The features relu6(W x + b), (m, p), of the inputs ``X`` (m, n)."""
    check = door(params, X)
    W = check.matrix("params.W", params.W)
    b = check.vector("params.b", params.b, length=len(W))
    X = check.matrix("X", X, columns=W.shape[1])
    z = X @ W.T
    if check is not checks:
        return relu6(z + b)
    z += b
    np.clip(z, 0.0, CAP, out=z)
    return z


def forward(params: ParityNet, X: ArrayLike) -> FloatArray:
    """The outputs g(x), (m,), of the inputs ``X`` (m, n)."""
    features = hidden(params, X)
    return features @ door(params, X).vector("params.u", params.u, length=features.shape[1])


def good_neurons(W: ArrayLike, support: ArrayLike) -> NDArray[np.bool_]:
    """Which rows of ``W`` (p, n), entries in {-1, 0, 1}, have sum 0 over ``support``: Lemma 7's neurons, (p,)."""
    W = np.asarray(W)
    if W.ndim != 2 or 0 in W.shape:
        raise RequestError(f"W must have shape (rows >= 1, columns >= 1), got shape {W.shape}")
    inside = W[:, list(checks.integers("support", support, at_least=0, at_most=W.shape[1] - 1, distinct=True))]
    if not np.isin(inside, (-1, 0, 1)).all():
        raise RequestError("W must have entries -1, 0 and 1 in the columns of support")
    good: NDArray[np.bool_] = inside.sum(axis=1, dtype=np.int64) == 0
    return good


def feature(r: int, z: ArrayLike, *, cap: bool = False) -> FloatArray:
    r"""Lemma 10's :math:`\phi_r(z) = \sigma(-\mathrm{sign}(r) z + |r|)` of every entry.

    Parameters
    ----------
    r : int
        Odd, of either sign.
    z : array
    cap : bool
        Whether :math:`\sigma` is ReLU6, as printed. By default it is the ReLU: for k >= 7 the argument reaches 2k,
        beyond the cap, with which neither the lemma nor the representation behind Lemma 12 is true.
    """
    r = checks.integer("r", r)
    if r % 2 == 0:
        raise RequestError(f"r must be odd, got {r}")
    z = checks.vector("z", np.ravel(z)).reshape(np.shape(z))
    inner: FloatArray = np.maximum(abs(r) - np.sign(r) * z, 0.0)
    return np.minimum(inner, CAP) if cap else inner


def representation(k: int) -> tuple[NDArray[np.int64], FloatArray]:
    r"""The parity of k signs as a combination of Lemma 10's features, behind Lemma 12.

    For :math:`z \in \{-k, -k+2, ..., k\}` the sum of k signs, their product is :math:`(-1)^{(k-z)/2}`, and that is

    .. math:: \sum_{r \in \{-k, -k+2, \dots, k\}} c_r \phi_r(z).

    With the uncapped ReLU the k + 1 coefficients are unique, :math:`c_r = (-1)^{(r+k)/2} a_r` with :math:`a_r = 2`
    inside and, at :math:`r = \pm k`, 3/2 for k = 3 mod 4 and 1/2 for k = 1 mod 4. (Derived by this project: the
    second differences of the parity give the inner ones, its values at the ends the outer ones.)

    Parameters
    ----------
    k : int
        Odd, >= 1.

    Returns
    -------
    r : (k + 1,) array of int
        -k, -k + 2, ..., k.
    c : (k + 1,) array
    """
    k = checks.integer("k", k, at_least=1)
    if k % 2 == 0:
        raise RequestError(f"k must be odd, got {k}")
    r = np.arange(-k, k + 1, 2)
    c = np.full(k + 1, 2.0)
    c[[0, -1]] = 1.5 if k % 4 == 3 else 0.5
    c[1::2] *= -1
    return r, c
