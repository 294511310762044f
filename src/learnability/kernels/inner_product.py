r"""Kernels that are functions of inner products: polynomial, arcsine, and the recursive kernel.

Float64 and in place; memory is a few arrays of shape (m, r).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray

__all__ = ["arcsine", "polynomial", "recursive"]


def polynomial(X: ArrayLike, Z: ArrayLike, *, degree: int, offset: float = 1.0) -> FloatArray:
    r""":math:`(\langle x, z \rangle + c)^q`, with ``degree`` q >= 1 and ``offset`` c >= 0; array (m, r)."""
    degree = checks.integer("degree", degree, at_least=1)
    offset = checks.real("offset", offset, at_least=0.0)
    K = _inner(X, Z)
    K += offset
    return np.power(K, degree, out=K)


def arcsine(X: ArrayLike, Z: ArrayLike) -> FloatArray:
    r"""The conjugate kernel of a layer of erf units with biases (Williams, Computing with Infinite Networks, 1997).

    .. math:: \frac2\pi \arcsin \frac{2 \langle \tilde x, \tilde z \rangle}
              {\sqrt{(1 + 2 |\tilde x|^2)(1 + 2 |\tilde z|^2)}} , \qquad \tilde x = (x, 1)

    Parameters
    ----------
    X : array (m, n)
    Z : array (r, n)

    Returns
    -------
    array (m, r)
        E[erf(<w, (x, 1)>) erf(<w, (z, 1)>)] for standard Gaussian w; in (-1, 1).
    """
    K = _inner(X, Z)
    K += 1.0
    K *= 2.0
    K /= np.sqrt(_doubled(X))[:, None]
    K /= np.sqrt(_doubled(Z))[None, :]
    np.arcsin(np.clip(K, -1.0, 1.0, out=K), out=K)
    K *= 2 / math.pi
    return K


def recursive(X: ArrayLike, Z: ArrayLike, *, depth: int = 1) -> FloatArray:
    r"""The recursive kernel of Zhang, Lee & Jordan (ICML 2016): K^0 = <x, z>, K^l = 1 / (2 - K^{l-1}).

    It contains networks of ``depth`` hidden layers with smooth activations; inputs must have norm at most 1.

    Parameters
    ----------
    X : array (m, n)
    Z : array (r, n)
    depth : int
        >= 1.

    Raises
    ------
    ValueError
        If a row is longer than 1 (by more than rounding), or an argument is out of range.
    """
    depth = checks.integer("depth", depth, at_least=1)
    for name, rows in (("X", X), ("Z", Z)):
        longest = float(np.linalg.norm(checks.matrix(name, rows), axis=1).max())
        if longest > 1 + 1e-9:
            raise ValueError(f"{name} must have rows of norm <= 1, got {longest:g}")
    K = np.minimum(_inner(X, Z), 1.0)
    for _ in range(depth):
        np.subtract(2.0, K, out=K)
        np.reciprocal(K, out=K)
    return K


def _inner(X: ArrayLike, Z: ArrayLike) -> FloatArray:
    X = checks.matrix("X", X)
    product: FloatArray = X @ checks.matrix("Z", Z, columns=X.shape[1]).T
    return product


def _doubled(X: ArrayLike) -> FloatArray:
    """1 + 2 |(x, 1)|^2 of each row."""
    rows = np.asarray(X, dtype=np.float64)
    return np.asarray(3.0 + 2.0 * np.einsum("ij,ij->i", rows, rows))
