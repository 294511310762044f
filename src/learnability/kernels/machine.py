r"""Kernel ridge machines, with the ridge found by leaving one example out, in closed form.

With the Gram matrix K of the training inputs and targets y, the coefficients :math:`c = (K + \lambda I)^{-1} y` give
the prediction :math:`\sum_i c_i k(x, x_i)`, and what the machine without example i is wrong by at example i is
:math:`c_i / [(K + \lambda I)^{-1}]_{ii}`: one factorisation answers for all m machines that leave one example out.

Up to :data:`EXACT` examples one eigendecomposition serves every ridge. With more, the ridge is chosen on the first
:data:`EXACT` of them (give them in random order) and all are fitted by one Cholesky factorisation, m^3 / 3
multiplications in place. Where rounding leaves the matrix not positive definite the ridge is raised tenfold until it
is; :attr:`Machine.ridge` says the one in use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.memory import allowed, called

__all__ = ["EXACT", "MEMORY", "RIDGES", "Kernel", "Machine", "fit", "gram", "leave_one_out"]

Kernel = Callable[[FloatArray, FloatArray], FloatArray]
"""(m, n), (r, n) -> (m, r), symmetric and positive semidefinite."""

EXACT = 4000
"""Most examples of which the Gram matrix is decomposed into eigenvectors (about 10 s on one core)."""
RIDGES = tuple(10.0**e for e in range(-7, 3))
"""Default ridges, in units of the mean of the kernel's diagonal."""
MEMORY = 3e9
"""Default memory limit in bytes."""
BLOCK = 512
"""Rows of a Gram matrix made at a time: the kernel's own temporaries are of this size only."""


@dataclass(frozen=True, eq=False)
class Machine:
    """A fitted kernel machine.

    Attributes
    ----------
    kernel : Kernel
    X : array (m, n)
        Training inputs.
    coefficients : array (m,) or (m, c)
    ridge : float
        lambda, in the kernel's units.
    ridges, errors : tuple of float
        The ridges tried and their mean squared leave-one-out errors; empty if the ridge was given.
    chosen_on : int
        How many examples, the first ones, the ridge was chosen on; 0 if it was given.
    """

    kernel: Kernel
    X: FloatArray
    coefficients: FloatArray
    ridge: float
    ridges: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    chosen_on: int = 0

    def predict(self, X: ArrayLike) -> FloatArray:
        """Real-valued predictions (r,), or (r, c) for c targets, block by block; a class is their sign."""
        X = checks.matrix("X", X, columns=self.X.shape[1])
        out = np.empty((len(X), *self.coefficients.shape[1:]))
        for start in range(0, len(X), BLOCK):
            rows = slice(start, start + BLOCK)
            out[rows] = _evaluate(self.kernel, X[rows], self.X) @ self.coefficients
        return out


def fit(
    kernel: Kernel,
    X: ArrayLike,
    y: ArrayLike,
    ridge: float | None = None,
    *,
    ridges: tuple[float, ...] = RIDGES,
    memory: float = MEMORY,
    weights: ArrayLike | None = None,
) -> Machine:
    """Fit a kernel ridge machine by least squares.

    Parameters
    ----------
    kernel : callable (X (m, n), Z (r, n)) -> (m, r)
        For instance ``functools.partial(rbf, gamma=1.0)``.
    X : array (m, n)
        Training inputs, in random order if the ridge is to be chosen.
    y : array (m,) or (m, c)
        Targets: labels in {-1, +1}, or any real numbers.
    ridge : float, optional
        lambda > 0 in the kernel's own units. If not given, the one of ``ridges`` times the mean of the kernel's
        diagonal with the least mean squared leave-one-out error; of equals the largest.
    ridges : tuple of float
        Each > 0.
    memory : float
        Bytes that the fit may take, > 0.
    weights : array (m,), optional
        d, >= 0 and not all 0; 1 each by default.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, the kernel returns another shape or something not finite, a ridge
        is not positive, or the fit would take more memory than allowed: said before any work, with the number of
        examples that fit.
    """
    kernel = _callable(kernel)
    X = checks.matrix("X", X)
    y = _targets(y, len(X))
    memory = checks.real("memory", memory, above=0.0)
    ridge = None if ridge is None else checks.real("ridge", ridge, above=0.0)
    tried = positive(ridges)
    d = None if weights is None else _weights(weights, len(X))
    if d is not None and not d.all():
        X, y, d = X[d > 0], y[d > 0], d[d > 0]
    _fits(len(X), X.shape[1], y.size // len(X), len(tried) if ridge is None else 0, memory)
    if ridge is not None:
        used, coefficients = _solve(gram(kernel, X, memory=memory), y, ridge, d)
        return Machine(kernel, X, coefficients, used)
    few = min(len(X), EXACT)
    first = None if d is None else d[:few]
    K = gram(kernel, X[:few], memory=memory)
    unit = float(np.trace(K)) / few if first is None else float(K.diagonal() @ first / first.sum())
    if not unit > 0:
        raise RequestError(f"kernel must have a positive mean diagonal, got {unit:g}")
    candidates = tuple(unit * r for r in tried)
    residuals, fitted = leave_one_out(K, y[:few], candidates, first)
    errors = tuple(float(np.average(r**2, axis=0, weights=first).mean()) for r in residuals)
    chosen = best(candidates, errors)
    used, c = candidates[chosen], fitted[chosen]
    if few < len(X):
        del K, residuals, fitted
        used, c = _solve(gram(kernel, X, memory=memory), y, used, d)
    return Machine(kernel, X, c, used, candidates, errors, few)


def gram(kernel: Kernel, X: ArrayLike, *, memory: float = MEMORY) -> FloatArray:
    """The Gram matrix (m, m) of a kernel, in Fortran order, made in blocks; each pair of blocks is evaluated once.

    Parameters
    ----------
    kernel : Kernel
    X : array (m, n)
    memory : float
        Bytes that it may take, > 0, beside the temporaries of a block of 512 rows.

    Raises
    ------
    ValueError
        If the kernel returns another shape or something not finite, or the matrix would take more memory than
        allowed: said before any work, with the number of rows that fit.
    """
    kernel = _callable(kernel)
    X = checks.matrix("X", X)
    m = len(X)
    memory = checks.real("memory", memory, above=0.0)
    limit = allowed(memory, 8.0 * m**2)
    if 8.0 * m**2 > limit:
        raise RequestError(
            f"X must have at most {math.isqrt(int(limit / 8))} rows for a Gram matrix within "
            f"{called(memory, limit)}, got {m} rows ({8.0 * m**2:.3g} bytes)"
        )
    K = np.empty((m, m), order="F")
    for start in range(0, m, BLOCK):
        rows = slice(start, min(start + BLOCK, m))
        K[start:, rows] = _evaluate(kernel, X[rows], X[start:]).T
        K[rows, start:] = K[start:, rows].T
    return K


def leave_one_out(
    K: ArrayLike, y: ArrayLike, ridges: tuple[float, ...], weights: ArrayLike | None = None
) -> tuple[list[FloatArray], list[FloatArray]]:
    r"""What each machine that leaves one example out is wrong by at that example, for several ridges.

    With K = V diag(s) V' the coefficients are V (V'y / (s + lambda)) and the diagonal of the inverse, g, is
    :math:`\sum_j V_{ij}^2 / (s_j + \lambda)`. With weights these are of :math:`D^{1/2} K D^{1/2}`; the machine is
    wrong by :math:`e_i = \lambda \tilde c_i / \sqrt{d_i}` at example i, of which a unit weight has the share
    :math:`(1 - \lambda g_i) / d_i` in its own prediction, and without min(1, d_i) of its weight it is wrong by
    :math:`e_i / (1 - \min(1, d_i) (1 - \lambda g_i) / d_i)`: for d = 1 the same.

    Parameters
    ----------
    K : array (m, m)
        Symmetric positive semidefinite; negative eigenvalues, as rounding makes them, count as 0.
    y : array (m,) or (m, c)
    ridges : tuple of float
        Each > 0.
    weights : array (m,), optional
        d, >= 0 and not all 0.

    Returns
    -------
    residuals : list of arrays shaped like y
        y_i less the prediction at i of the machine without i, for each ridge.
    coefficients : list of arrays shaped like y
        Those of the machine with all examples.
    """
    from scipy.linalg import eigh

    K = checks.matrix("K", K)
    if K.shape[0] != K.shape[1]:
        raise RequestError(f"K must be square, got shape {K.shape}")
    y = _targets(y, len(K))
    sizes = positive(ridges)
    d = None if weights is None else _weights(weights, len(K))
    roots = np.sqrt(d) if d is not None else None
    if roots is not None:
        K, y = K * np.multiply.outer(roots, roots), (y.T * roots).T
    s, V = eigh(K, check_finite=False)
    s = np.maximum(s, 0.0)
    turned, squares = V.T @ y, V**2
    residuals, coefficients = [], []
    for size in sizes:
        inverse = 1 / (s + size)
        c = V @ (turned.T * inverse).T
        if d is None or roots is None:
            residuals.append((c.T / (squares @ inverse)).T)
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                kept = 1 - np.minimum(1.0, d) / d * (1 - size * (squares @ inverse))
                residuals.append((np.where(d > 0, size * c.T / roots / kept, 0.0)).T)
            c = (c.T * roots).T
        coefficients.append(c)
    return residuals, coefficients


def _solve(K: FloatArray, y: FloatArray, ridge: float, weights: FloatArray | None = None) -> tuple[float, FloatArray]:
    """The ridge used and the coefficients, by Cholesky in place of the lower triangle of K."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    roots = np.ones(1) if weights is None else np.sqrt(weights)
    if weights is not None:
        K *= roots[:, None]
        K *= roots
        y = (y.T * roots).T
    diagonal = K.diagonal().copy()
    while True:
        np.fill_diagonal(K, diagonal + ridge)
        try:
            factor = cho_factor(K, lower=True, overwrite_a=True, check_finite=False)  # the upper triangle stays
        except LinAlgError:  # rounding: the least eigenvalue is below -ridge
            if ridge > diagonal.max():
                raise RequestError("kernel must be positive semidefinite, got a Gram matrix that is not") from None
            ridge = max(10 * ridge, 1e-16 * diagonal.max())
            for i in range(len(K)):
                K[i + 1 :, i] = K[i, i + 1 :]
            continue
        coefficients: FloatArray = cho_solve(factor, y, check_finite=False)
        return ridge, (coefficients.T * roots).T if weights is not None else coefficients


def _callable(kernel: Kernel) -> Kernel:
    if not callable(kernel):
        raise RequestError(f"kernel must be a function of two arrays of inputs, got {kernel!r}")
    return kernel


def best(ridges: Sequence[float], errors: Sequence[float]) -> int:
    """Place of the ridge with the least error; of equals the largest."""
    return max(range(len(ridges)), key=lambda i: (-errors[i], ridges[i]))


def positive(ridges: Iterable[float]) -> tuple[float, ...]:
    """The ridges to try, checked."""
    if not isinstance(ridges, tuple | list) or not ridges:
        raise RequestError(f"ridges must hold at least one number, in a tuple, got {ridges!r}")
    return tuple(checks.real("each of ridges", r, above=0.0) for r in ridges)


def _evaluate(kernel: Kernel, X: FloatArray, Z: FloatArray) -> FloatArray:
    values = checks.array("kernel's values", kernel(X, Z))
    if values.shape != (len(X), len(Z)):
        raise RequestError(f"kernel must return shape {(len(X), len(Z))}, got {values.shape}")
    return values


def _targets(y: ArrayLike, m: int) -> FloatArray:
    array = checks.array("y", y)
    array = checks.matrix("y", array, rows=m) if array.ndim == 2 else checks.vector("y", array, length=m)
    if np.abs(array).max() > 1e150:
        raise RequestError(f"y must be within 1e150 of 0, for its squares, got {np.abs(array).max():g}")
    return array


def _weights(weights: ArrayLike, m: int) -> FloatArray:
    found = checks.vector("weights", weights, length=m, at_least=0.0)
    if not found.any():
        raise RequestError("weights must hold a positive one, got zeros only")
    return found


def _fits(m: int, n: int, targets: int, ridges: int, memory: float) -> None:
    """Refuse a fit that would take too much memory; no ridges are tried where it is given."""

    def need(m: int) -> float:
        few = min(m, EXACT)  # eigenvectors, their squares and the workspace beside the small Gram matrix
        choosing = 5 * few**2 + 2 * few * targets * ridges if ridges else 0
        return 8.0 * (max(choosing, m**2 + 8 * BLOCK * m + 2 * m * targets) + BLOCK * n)

    limit = allowed(memory, need(m))
    if need(m) > limit:
        most = m
        while most > 1 and need(most) > limit:
            most = int(most * 0.99)
        raise RequestError(
            f"X must have at most about {most} rows for a Gram matrix within {called(memory, limit)}, got {m} rows "
            f"({need(m):.3g} bytes)"
        )
