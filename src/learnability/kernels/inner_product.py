r"""Kernels that are functions of inner products: polynomial, the two arcsine kernels, and the recursive kernel.

Float64 and in place; memory is a few arrays of shape (m, r).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.kernels.angles import direction, ends, squares
from learnability.kernels.closed_form import DEEPEST
from learnability.kernels.pairs import pair, within

__all__ = ["arcsin", "arcsine", "polynomial", "recursive"]


def polynomial(X: ArrayLike, Z: ArrayLike, *, degree: int, offset: float = 1.0) -> FloatArray:
    r""":math:`(\langle x, z \rangle + c)^q`, with ``degree`` q in 1..1000 and ``offset`` c >= 0; array (m, r)."""
    degree = checks.integer("degree", degree, at_least=1, at_most=1000)
    offset = checks.real("offset", offset, at_least=0.0)
    X, Z = pair(X, Z, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        K = X @ Z.T
        K += offset
        return within(np.power(K, degree, out=K), X=X, Z=Z, degree=degree, offset=offset)


def arcsin(X: ArrayLike, Z: ArrayLike) -> FloatArray:
    r"""The arcsine of the cosine, as Allen-Zhu & Li list it (Section 3), times 2 / pi.

    .. math:: \frac2\pi \arcsin \frac{\langle x, z \rangle}{|x| |z|}
              = E\, \mathrm{sign} \langle w, x \rangle\, \mathrm{sign} \langle w, z \rangle
              \qquad (w \text{ standard Gaussian})

    Odd in x: without a constant input it fits nothing even, such as products of two signs. :func:`arcsine` has one.

    Parameters
    ----------
    X : array (m, n)
    Z : array (r, n)
        No row may be 0.

    Returns
    -------
    array (m, r)
        In [-1, 1], right to rounding at the ends too.
    """
    X, Z = pair(X, Z, 1)
    return _arcsine(_unit("X", X), _unit("Z", Z))


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
    X, Z = pair(X, Z, 1)
    (a, U), (b, V) = direction(X, 2.0, 2.0), direction(Z, 2.0, 2.0)
    within(a, X=X, Z=Z), within(b, X=X, Z=Z)
    rest = 1 / (1 + a**2), 1 / (1 + b**2)
    for rows, left in ((U, rest[0]), (V, rest[1])):
        rows *= np.sqrt(1 - left)[:, None]
    return _arcsine(U, V, rest)


def recursive(X: ArrayLike, Z: ArrayLike, *, depth: int = 1) -> FloatArray:
    r"""The recursive kernel of Zhang, Lee & Jordan (ICML 2016): K^0 = <x, z>, K^l = 1 / (2 - K^{l-1}).

    It contains networks of ``depth`` hidden layers with smooth activations; inputs must have norm at most 1
    (but for rounding).

    Parameters
    ----------
    X : array (m, n)
    Z : array (r, n)
    depth : int
        In 1..10,000.
    """
    depth = checks.integer("depth", depth, at_least=1, at_most=DEEPEST)
    X, Z = pair(X, Z, 1)
    for name, rows in (("X", X), ("Z", Z)):
        longest = math.sqrt(squares(rows).max())
        if longest > 1 + 1e-9:
            raise RequestError(f"{name} must have rows of norm <= 1, got {longest:g}")
    K = X @ Z.T
    np.minimum(K, 1.0, out=K)
    for _ in range(depth):
        np.subtract(2.0, K, out=K)
        np.reciprocal(K, out=K)
    return K


def _arcsine(U: FloatArray, V: FloatArray, short: tuple[FloatArray, FloatArray] | None = None) -> FloatArray:
    """2 / pi times the arcsine of the inner products of rows of norm 1, or of norms short of it."""
    K = U @ V.T
    again = ends(K, U, V, short)
    np.arcsin(np.clip(K, -1.0, 1.0, out=K), out=K)
    for sign, i, j, angle in again:
        K[i, j] = sign * (math.pi / 2 - angle)
    K *= 2 / math.pi
    return K


def _unit(name: str, X: FloatArray) -> FloatArray:
    """The rows of norm 1 in the same directions."""
    largest = np.abs(X).max(axis=1, keepdims=True)  # divided by first: its square may leave float64
    if not largest.all():
        raise RequestError(f"{name} must have no row of zeros, got one in row {int(np.argmin(largest))}")
    scaled = X / largest
    return np.asarray(scaled / np.linalg.norm(scaled, axis=1, keepdims=True))
