r"""Gradients of the expected hinge loss of a ReLU6 network: over all 2^n inputs, or over a sample.

For :math:`L = E \max(1 - y g(x), 0)` and :math:`g(x) = \sum_i u_i \sigma(z_i)`, :math:`z_i = \langle w_i, x \rangle +
b_i` (Daniely & Malach, Section 2), with c(x) = -y where y g(x) < 1 and 0 elsewhere,

.. math:: \partial_{u_i} L = E[c \, \sigma(z_i)], \quad \partial_{b_i} L = E[c \, u_i \sigma'(z_i)], \quad
          \partial_{w_i} L = E[c \, u_i \sigma'(z_i) x].

At the kinks the zero subgradient is taken: an example with y g(x) = 1 is inactive, and sigma' is 0 at 0 and at 6.

All arithmetic but the two matrix products is done in two compiled passes over a block of activations that stays in
the cache; the slope needs no memory of z, since it is 1 exactly where 0 < sigma(z) < 6.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.compiling import njit
from learnability.networks.parity import CAP, ParityNet
from learnability.problems.parity import ParityMixture

__all__ = [
    "Slope",
    "activations",
    "checked",
    "gradient",
    "hinge_gradient",
    "sampled_gradient",
    "step_of",
]

_BLOCK = 1 << 18
"""Activations held at a time: 2 MB in float64, about a second-level cache."""

Array = NDArray[Any]


class Slope(NamedTuple):
    """Loss, its gradient, and the loss that another output layer has on the same features (NaN without one)."""

    loss: float
    gradient: ParityNet
    other: float


def gradient(params: ParityNet, problem: ParityMixture) -> tuple[float, ParityNet]:
    """Expected hinge loss on D_A and its gradient, by enumeration of all 2^n inputs, n <= 20.

    Exact up to rounding: errors are about 1e-15 of the terms summed. An input whose pre-activation is 0 or 6, or
    whose margin is 1, up to rounding may fall on either side of the kink (the exact first step,
    :func:`learnability.training.population.first_step.correlation`, decides such cases in integers).

    Parameters
    ----------
    params : ParityNet
        p units, n inputs; finite.
    problem : ParityMixture

    Returns
    -------
    loss : float
    gradient : ParityNet
        Derivatives by W, b and u, without any regulariser.

    Raises
    ------
    ValueError
        If n > 20, shapes disagree, or a parameter is not finite.
    """
    params = checked(params, problem.n)
    X, y, p1, p2 = problem.enumerate()
    found = hinge_gradient(params, X, y, (1 - problem.share) * p1 + problem.share * p2)
    return found.loss, found.gradient


def sampled_gradient(params: ParityNet, X: ArrayLike, y: ArrayLike) -> tuple[float, ParityNet]:
    """Mean hinge loss over the sample ``X`` (m, n), ``y`` (m,), and its gradient; errors as :func:`gradient`.

    For independent examples an unbiased estimate of the population's.
    """
    X = checks.matrix("X", X)
    y = checks.labels("y", y, length=len(X))
    found = hinge_gradient(checked(params, X.shape[1]), X, y, np.full(len(y), 1 / len(y)))
    return found.loss, found.gradient


def step_of(params: ParityNet, slope: ParityNet) -> ParityNet:
    """The network after the theorem's first step, eta = 1 and lambda = 1/2 (not of the biases), along a gradient.

    The old weights are erased: what is left of W and u is minus the gradient, and b moves by it.
    """
    return ParityNet(-slope.W, params.b - slope.b, -slope.u)


def checked(params: ParityNet, n: int) -> ParityNet:
    """The parameters in float64, finite and of agreeing shapes."""
    W = checks.matrix("params.W", params.W, columns=n)
    return ParityNet(W, *(checks.vector(f"params.{name}", getattr(params, name), length=len(W)) for name in "bu"))


def hinge_gradient(params: ParityNet, X: Array, y: Array, weights: Array, other: Array | None = None) -> Slope:
    """Weighted hinge loss and gradient in the arrays' common dtype. Behind the door: nothing is checked.

    ``other`` (p,) is an output layer of which only the loss is wanted, over the same features.
    """
    W, b, u = params
    p = len(u)
    rows = max(64, _BLOCK // p)
    totals = ParityNet(np.zeros_like(W), np.zeros_like(b), np.zeros_like(u))
    loss, loss_of_other = 0.0, np.nan if other is None else 0.0
    cap = W.dtype.type(CAP)
    memory = np.empty((min(rows, len(y)), p), dtype=W.dtype)
    for start in range(0, len(y), rows):
        block, labels, mass = X[start : start + rows], y[start : start + rows], weights[start : start + rows]
        H = activations(params, block, memory[: len(labels)])
        slack = 1 - labels * (H @ u)
        active = slack > 0
        loss += float(mass[active] @ slack[active])
        if other is not None:
            loss_of_other += float(mass @ np.maximum(1 - labels * (H @ other), 0))
        if not active.all():
            block, labels, mass, H = block[active], labels[active], mass[active], H[active]
        _pull_back(H, -labels * mass, u, cap, totals.u, totals.b)
        totals.W[...] += H.T @ block
    return Slope(loss, totals, loss_of_other)


def activations(params: ParityNet, X: Array, out: Array | None = None) -> Array:
    """relu6(W x + b), (m, p), in the arrays' common dtype. Behind the door: nothing is checked."""
    H = np.matmul(X, params.W.T, out=out)
    _activate(H, params.b, H.dtype.type(CAP))
    return H


@njit
def _activate(Z, b, cap):  # type: ignore[no-untyped-def]
    """Z <- min(max(Z + b, 0), cap), rows at a time; NaN stays NaN."""
    zero = cap - cap
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            z = Z[i, j] + b[j]
            z = zero if z < zero else z
            Z[i, j] = cap if z > cap else z


@njit
def _pull_back(H, c, u, cap, by_u, by_b):  # type: ignore[no-untyped-def]
    """H[i, j] <- c[i] u[j] where 0 < H < cap, else 0; by_u += sum_i c[i] H[i], by_b += sum_i of the new H[i]."""
    zero = cap - cap
    for i in range(H.shape[0]):
        for j in range(H.shape[1]):
            h = H[i, j]
            by_u[j] += c[i] * h
            d = c[i] * u[j] if (h > zero) & (h < cap) else zero
            H[i, j] = d
            by_b[j] += d
