r"""Kernels in closed form: Gaussian, arc-cosine, and those of fully-connected ReLU networks of infinite width.

The networks have the inputs :math:`h^0 = x` as they are given, hidden layers :math:`z^l = W^l h^{l-1} + \beta^l`,
:math:`h^l = \max(z^l, 0)` for l = 1, ..., L, and one linear output. Entries of :math:`W^l` are independent Gaussians
of variance ``weight`` / (width of layer l - 1), where the inputs count as width 1 (scale them by 1 / sqrt(n) for the
usual 1 / fan-in), and entries of :math:`\beta^l` have variance ``bias``. With the covariance
:math:`K^1 = w \langle x, z \rangle + b`, each hidden layer gives (Cho & Saul, Kernel Methods for Deep Learning,
NeurIPS 2009)

.. math::

    C^l = E[h^l(x) h^l(z)] = \tfrac12 \sqrt{K^l_{xx} K^l_{zz}}\, \kappa_1(\rho^l), \qquad
    \rho^l = K^l_{xz} / \sqrt{K^l_{xx} K^l_{zz}}, \qquad K^{l+1} = w C^l + b ,

where :math:`C^L` is the conjugate kernel. Where every layer is trained, each scaled so that all weigh the same, the
tangent kernel is :math:`\Theta^{L+1}` with :math:`\Theta^1 = w \langle x, z \rangle + t` and
:math:`\Theta^{l+1} = w C^l + t + \tfrac w2 \Theta^l \kappa_0(\rho^l)` (Jacot, Gabriel & Hongler, Neural Tangent
Kernel, NeurIPS 2018); t is the weight of trained biases.

All work in float64 and in place where they can: memory is a few arrays of shape (m, r). What is carried from layer to
layer is the angle (:mod:`learnability.kernels.angles`), so that an input with itself, where kappa_0 has a root, loses
no digits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.kernels import angles
from learnability.kernels.angles import squares
from learnability.kernels.pairs import pair, within

__all__ = ["DEEPEST", "arc_cosine0", "arc_cosine1", "conjugate", "rbf", "tangent"]

DEEPEST = 10_000
"""Most hidden layers of a closed form."""


def rbf(X: ArrayLike, Z: ArrayLike, gamma: float) -> FloatArray:
    r"""The Gaussian kernel :math:`\exp(-\gamma \|x - z\|^2)`.

    Parameters
    ----------
    X : array (m, n)
    Z : array (r, n)
    gamma : float
        > 0.

    Returns
    -------
    array (m, r)
        In [0, 1]. Squared distances are found from inner products: absolute error about 1e-16 (|x|^2 + |z|^2).
    """
    X, Z = pair(X, Z, 1)
    gamma = checks.real("gamma", gamma, above=0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        exponent = X @ Z.T
        exponent *= -2.0
        exponent += squares(X)[:, None]
        exponent += squares(Z)[None, :]
        np.maximum(exponent, 0.0, out=exponent)
        exponent *= -gamma
    return within(np.exp(exponent, out=exponent), X=X, Z=Z)


def arc_cosine0(rho: ArrayLike) -> FloatArray:
    r""":math:`\kappa_0(\rho) = (\pi - \arccos \rho) / \pi`: twice the probability that two Gaussians are positive.

    Parameters
    ----------
    rho : array
        Correlations. Values beyond [-1, 1], as rounding makes them, count as the nearer end.

    Returns
    -------
    array of the same shape
        In [0, 1]; 0, 1/2 and 1 at rho = -1, 0 and 1. Near the ends an error e of rho becomes one of sqrt(2 e) / pi:
        the kernels here start from angles instead.
    """
    return angles.gate(np.arccos(np.clip(checks.array("rho", rho), -1.0, 1.0)))


def arc_cosine1(rho: ArrayLike) -> FloatArray:
    r""":math:`\kappa_1(\rho) = (\sqrt{1 - \rho^2} + \rho (\pi - \arccos \rho)) / \pi`: twice E[relu(a) relu(b)].

    Parameters
    ----------
    rho : array
        Correlations of two standard Gaussians a, b. Values beyond [-1, 1] count as the nearer end.

    Returns
    -------
    array of the same shape
        In [0, 1]; 0, 1 / pi and 1 at rho = -1, 0 and 1.
    """
    rho = np.clip(checks.array("rho", rho), -1.0, 1.0)
    return np.asarray(np.sqrt((1.0 - rho) * (1.0 + rho)) / math.pi + rho * angles.gate(np.arccos(rho)))


def conjugate(X: ArrayLike, Z: ArrayLike, *, depth: int = 1, weight: float = 2.0, bias: float = 0.0) -> FloatArray:
    r"""The conjugate kernel :math:`C^L`: inner products of the last hidden layer, divided by its width; array (m, r).

    It is the kernel of the network of which the output layer alone is trained, and of ReLU random features.

    Parameters
    ----------
    X : array (m, n)
    Z : array (r, n)
    depth : int
        L, hidden layers, in 1..10,000.
    weight : float
        w, > 0. At 2 the kernel of x with itself is |x|^2 for every depth, if there are no biases.
    bias : float
        b, variance of the biases at initialisation, >= 0.
    """
    depth, weight, bias = _options(depth, weight, bias)
    X, Z = pair(X, Z, 6 + _more(depth, bias))
    return within(_recursion(X, Z, depth, weight, bias, None), X=X, Z=Z, weight=weight, bias=bias)


def tangent(
    X: ArrayLike,
    Z: ArrayLike,
    *,
    depth: int = 1,
    weight: float = 2.0,
    bias: float = 0.0,
    trained_bias: float | None = None,
) -> FloatArray:
    r"""The neural tangent kernel :math:`\Theta^{L+1}`: inner products of gradients in all parameters; array (m, r).

    Parameters
    ----------
    X, Z, depth, weight, bias
        As in :func:`conjugate`; the output's bias starts at 0.
    trained_bias : float, optional
        t >= 0: squared size of the gradient with respect to a bias, over that with respect to its pre-activation; 0
        where biases are not trained. ``bias`` by default, as in the parametrisation sqrt(bias) * (standard
        Gaussian); give 1 for biases that start at 0 and are trained.
    """
    depth, weight, bias = _options(depth, weight, bias)
    X, Z = pair(X, Z, 7 + _more(depth, bias))
    trained = bias if trained_bias is None else checks.real("trained_bias", trained_bias, at_least=0.0)
    K = _recursion(X, Z, depth, weight, bias, trained)
    return within(K, X=X, Z=Z, weight=weight, bias=bias, trained_bias=trained)


def _options(depth: int, weight: float, bias: float) -> tuple[int, float, float]:
    return (
        checks.integer("depth", depth, at_least=1, at_most=DEEPEST),
        checks.real("weight", weight, above=0.0),
        checks.real("bias", bias, at_least=0.0),
    )


def _more(depth: int, bias: float) -> int:
    """Arrays that angles take from layer to layer, beside those of one layer."""
    return 3 if depth > 1 and bias > 0 else 0


def _recursion(
    X: FloatArray, Z: FloatArray, depth: int, weight: float, bias: float, trained: float | None
) -> FloatArray:
    """C^L, or with a weight of trained biases Theta^(L+1)."""
    (x, U), (z, V) = angles.direction(X, weight, bias), angles.direction(Z, weight, bias)
    with np.errstate(over="ignore", invalid="ignore"):
        between = angles.angles(U, V)
        theta = np.empty(0)
        if trained is not None:
            theta = np.multiply.outer(x, z)
            theta -= theta * between.gap  # K^1
            theta += trained - bias
        for done in range(depth):
            if done:
                between = angles.layer(between, x, z, weight, bias)
                x, z = (np.sqrt(0.5 * weight * norm**2 + bias) for norm in (x, z))
            if trained is not None:
                gate = angles.gate(between.theta)
                gate *= 0.5 * weight
                theta *= gate
                theta += trained
                del gate
                theta += weight * _covariance(between, x, z)
    return _covariance(between, x, z) if trained is None else theta


def _covariance(between: angles.Angles, x: FloatArray, z: FloatArray) -> FloatArray:
    """C^l from the angles and norms before it."""
    K = angles.kappa1(between, angles.gate(between.theta))
    with np.errstate(over="ignore", invalid="ignore"):
        K *= np.multiply.outer(0.5 * x, z)
    return K
