r"""The linearisation of a network solved exactly: kernel ridge regression with all outputs coupled.

A network linearised at its start, :math:`f(\theta_0; x) + f'(\theta_0; x) \Delta`, fitted by least squares with a
penalty :math:`\lambda |\Delta|^2`, is kernel regression of Y less the start's outputs with the whole tangent kernel,
output against output (:func:`learnability.kernels.residual_empirical.tangent_blocks`). At finite width its blocks off
the diagonal are random, of order m^(-1/2). The machine with the diagonal blocks averaged over the outputs
(:func:`learnability.kernels.named.of_network`) is another; on Section 8.1's target, at m = 50 and 200, its test error
was the smaller at every ridge tried. One factorisation of k n rows takes k^3 times that of n.

Leaving out an example leaves out its k outputs together: with c the coefficients, what the machine without example i
is wrong by at i is :math:`([(K + \lambda I)^{-1}]_{ii})^{-1} c_i`, the block of example i.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.kernels.machine import EXACT, RIDGES, best, positive
from learnability.kernels.residual_empirical import tangent_blocks
from learnability.networks.residual import Network, forward

__all__ = ["Linearised", "fit_linearised"]

BLOCK = 2**28
"""Bytes of the kernel that a prediction makes at a time."""


@dataclass(frozen=True, eq=False)
class Linearised:
    """A network's linearisation, fitted.

    Attributes
    ----------
    params : ResNet3, Layer3 or Layer2
        The start.
    train : tuple of str or None
        Fields that move; None for all.
    X : array (n, d)
        Training inputs.
    coefficients : array (k, n)
    ridge, ridges, errors, chosen_on
        As in :class:`learnability.kernels.machine.Machine`; errors are means of the squared norms.
    """

    params: Network
    train: tuple[str, ...] | None
    X: FloatArray
    coefficients: FloatArray
    ridge: float
    ridges: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    chosen_on: int = 0

    def predict(self, X: ArrayLike) -> FloatArray:
        """Outputs (r, k) at ``X`` (r, d), block by block."""
        X = checks.matrix("X", X, columns=self.X.shape[1])
        k, n = self.coefficients.shape
        out, step = forward(self.params, X), max(1, BLOCK // (8 * k * k * n))
        for start in range(0, len(X), step):
            rows = slice(start, start + step)
            K = tangent_blocks(self.params, X[rows], self.X, train=self.train)
            out[rows] += (K.reshape(-1, k * n) @ self.coefficients.ravel()).reshape(k, -1).T
        return out


def fit_linearised(
    params: Network,
    X: ArrayLike,
    Y: ArrayLike,
    ridge: float | None = None,
    *,
    train: tuple[str, ...] | None = None,
    ridges: tuple[float, ...] = RIDGES,
) -> Linearised:
    """Fit the linearisation of a network of the residual study by ridge regression.

    Parameters
    ----------
    params : ResNet3, Layer3 or Layer2
        Where it is linearised.
    X : array (n, d)
        In random order if the ridge is to be chosen.
    Y : array (n, k)
    ridge : float, optional
        lambda > 0, the weight of the squared norm of the move beside the sum of squared errors. If not given, the one
        of ``ridges`` times the kernel's mean diagonal with the least leave-one-out error; of equals the largest.
        It is chosen on as many of the first examples as have :data:`learnability.kernels.machine.EXACT` outputs.
    train : tuple of str, optional
        Fields that move; all by default. ("V", "W") is ``hidden``.
    ridges : tuple of float
        Each > 0.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite or out of range, or the kernel, of (k n)^2 entries, would exceed
        :data:`learnability.kernels.pairs.MEMORY` (with the most rows that fit).
    """
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    X = checks.matrix("X", X)
    offset = forward(params, X)
    n, k = offset.shape
    Y = checks.matrix("Y", Y, rows=n, columns=k)
    tried = positive(ridges)
    ridge = None if ridge is None else checks.real("ridge", ridge, above=0.0)
    left = np.ascontiguousarray((Y - offset).T)
    K = tangent_blocks(params, X, X, train=train)
    candidates: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    few = 0
    if ridge is None:
        few = max(1, min(n, EXACT // k))
        first = K[:, :few, :, :few].reshape(k * few, k * few)
        candidates = tuple(float(np.trace(first)) / len(first) * r for r in tried)
        errors = tuple(_leave_one_out(first, left[:, :few], candidates))
        ridge = candidates[best(candidates, errors)]
    flat = K.reshape(k * n, k * n)
    flat[np.diag_indices(k * n)] += ridge
    try:
        factor = cho_factor(flat, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        raise RequestError(f"ridge must be above the kernel's rounding, got {ridge:g}") from None
    c = cho_solve(factor, left.ravel(), check_finite=False).reshape(k, n)
    return Linearised(params, train, X, c, ridge, candidates, errors, few)


def _leave_one_out(K: FloatArray, Y: FloatArray, ridges: tuple[float, ...]) -> list[float]:
    """Mean squared norm, over examples, of what the machine without it is wrong by; K is (k n, k n), Y (k, n)."""
    from scipy.linalg import eigh

    k, n = Y.shape
    s, V = eigh(K, check_finite=False)
    s = np.maximum(s, 0.0)
    turned, examples = V.T @ Y.ravel(), V.reshape(k, n, -1).transpose(1, 0, 2)  # (n, k, k n)
    errors = []
    for ridge in ridges:
        inverse = 1 / (s + ridge)
        c = (V @ (turned * inverse)).reshape(k, n).T
        total = 0.0
        for own, part in zip(examples, c, strict=True):
            total += float((np.linalg.solve((own * inverse) @ own.T, part) ** 2).sum())
        errors.append(total / n)
    return errors
