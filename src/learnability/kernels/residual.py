r"""Kernels of the three-layer ResNet of Allen-Zhu & Li at initialisation, in closed form.

The network, x~ = (x, 1): h = W x~, o = A relu(h), o~ = (o, 1), out = A (relu(h) + relu(V o~)), with independent
Gaussian A of variance 1 / m, W of variance sigma_w^2, V of variance sigma_v^2 / m; k outputs, m units. Two kernels:
``last``, inner products of the features relu(h) + relu(V o~) (with a frozen copy of A in the bottleneck), and the
tangent kernel, the sum of the parts of A, V and W (here its mean over the diagonal blocks, output against itself;
blocks off the diagonal are random of order m^(-1/2)).

The bottleneck has k units and is **not self-averaging**: o tends to a Gaussian process of covariance
sigma_w^2 Sigma(x, z) with :math:`\Sigma = \frac12 |\tilde x| |\tilde z| \kappa_1(\rho)`, and whatever involves o~ is
deterministic only given o (:func:`given_bottleneck`) or as sigma_w -> 0. Section 8.1 has sigma_w^2 = 1 / m, so there
the limits exist (:func:`limit`): those of the two-layer network plus constants. They are approached slowly: at
m = 200, k = 15, d = 30, |o|^2 is about 1.16; and the part of V only like m^(-1/2), since kappa_0 has a root at 1,
where rho_o tends. :func:`average` is the mean over initialisations.

Terms with B = A diag(V o~ >= 0) V (its first k columns), through which A and W act a second time: given (A, W) its
mean is :math:`\sigma_v (\sum_j A_{rj}) o_s / (\sqrt{2 \pi m} |\tilde o|)`, over A of the diagonal
:math:`\bar B = \sigma_v \sigma_w |\tilde x| / (2 \pi \sqrt m |\tilde o|)`, and :math:`E B B'^T` is
:math:`\frac{k \sigma_v^2}{2m} \kappa_0(\rho_o) I`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.kernels import angles, pairs

__all__ = ["LARGEST", "Parts", "average", "given_bottleneck", "limit"]

LARGEST = 10**15
"""Largest width, and number of outputs, of a formula."""


class Parts(NamedTuple):
    """Kernels of the ResNet, each an array (n, r)."""

    last: FloatArray
    """Inner products of the last layer's features."""
    A: FloatArray
    """Part of the output matrix (both times it occurs) in the tangent kernel."""
    V: FloatArray
    W: FloatArray

    @property
    def ntk(self) -> FloatArray:
        """The tangent kernel where all of A, V, W are trained."""
        return self.A + self.V + self.W

    @property
    def hidden(self) -> FloatArray:
        """The tangent kernel where A is not trained."""
        return self.V + self.W


def limit(X: ArrayLike, Z: ArrayLike) -> Parts:
    r"""Section 8.1's initialisation (sigma_w^2 = 1 / m, sigma_v = 1) at infinite width.

    .. math:: K_{last} = K_A = \Sigma + \tfrac12 + \frac{|\tilde x| + |\tilde z|}{2 \pi}, \quad K_V = \tfrac12, \quad
              K_W = \tfrac12 \langle \tilde x, \tilde z \rangle \kappa_0(\rho)

    Parameters
    ----------
    X : array (n, d)
    Z : array (r, d)
    """
    pair = _Pair(X, Z, 10)
    last = pair.covariance + 0.5 + (pair.x[:, None] + pair.z[None, :]) / (2 * math.pi)
    return _finite(Parts(last, last.copy(), np.full_like(last, 0.5), 0.5 * pair.inner * pair.gate), **pair.inputs)


def average(
    X: ArrayLike, Z: ArrayLike, *, m: int, k: int, sigma_w: float | None = None, sigma_v: float = 1.0
) -> Parts:
    """Mean over initialisations at width m, where sigma_w is of order m^(-1/2).

    :func:`given_bottleneck` at the mean of <o~, o~'>, which is 1 + k sigma_w^2 Sigma: right to order 1 / m, but for
    the root in kappa_0(rho_o) (the mean of |o - o'| is about 1 - 1/(4k) of its root mean square). With sigma_w fixed
    o stays random at any width, and the mean of a function is not the function of the mean: use
    :func:`given_bottleneck` there.

    Parameters
    ----------
    X : array (n, d)
    Z : array (r, d)
    m, k : int
        Width and number of outputs, in 1..10^15.
    sigma_w : float, optional
        > 0; 1 / sqrt(m) by default, as in Section 8.1.
    sigma_v : float
        > 0; both at most 10^50.
    """
    pair = _Pair(X, Z, 20)
    k = checks.integer("k", k, at_least=1, at_most=LARGEST)
    m, sigma_w, sigma_v = _scales(m, sigma_w, sigma_v)
    size = k * sigma_w**2
    with np.errstate(over="ignore", invalid="ignore"):
        a, b = np.sqrt(1 + size * pair.x**2 / 2), np.sqrt(1 + size * pair.z**2 / 2)
        second = angles.layer(pair.angles, pair.x, pair.z, size, 1.0)
    return _parts(pair, second, a, b, m=m, k=k, sigma_w=sigma_w, sigma_v=sigma_v)


def given_bottleneck(
    X: ArrayLike,
    Z: ArrayLike,
    O: ArrayLike,
    P: ArrayLike,
    *,
    m: int,
    sigma_w: float | None = None,
    sigma_v: float = 1.0,
) -> Parts:
    r"""The kernels at width m given the bottleneck's outputs, up to a relative error of order m^(-1/2).

    With a = |o~|, b = |o~'|, rho_o their cosine and c the constant of the module's :math:`E B B'^T`:

    .. math::

        K_{last} &= m \sigma_w^2 \Sigma + \tfrac12 \sigma_v^2 a b \kappa_1(\rho_o)
                    + \frac{\sqrt m \sigma_w \sigma_v}{2 \pi} (|\tilde x| b + |\tilde z| a) , \\
        K_V &= \tfrac12 \langle \tilde o, \tilde o' \rangle \kappa_0(\rho_o) , \qquad
        K_W = \tfrac12 \langle \tilde x, \tilde z \rangle \kappa_0(\rho) (1 + \bar B + \bar B' + c) , \\
        K_A &= K_{last} + \bar B' E \langle \phi, \sigma' \rangle + \bar B E \langle \sigma, \phi' \rangle
               + c\, m \sigma_w^2 \Sigma .

    Parameters
    ----------
    X : array (n, d)
    Z : array (r, d)
    O, P : array (n, k), (r, k)
        o at the rows of X and of Z.
    m, sigma_w, sigma_v
        As in :func:`average`.
    """
    pair = _Pair(X, Z, 20)
    O = checks.matrix("O", O, rows=len(pair.x))
    P = checks.matrix("P", P, rows=len(pair.z), columns=O.shape[1])
    m, sigma_w, sigma_v = _scales(m, sigma_w, sigma_v)
    (a, U), (b, V) = angles.direction(O, 1.0, 1.0), angles.direction(P, 1.0, 1.0)
    pairs.within(a, O=O), pairs.within(b, P=P)
    pair.inputs |= {"O": O, "P": P}
    return _parts(pair, angles.angles(U, V), a, b, m=m, k=O.shape[1], sigma_w=sigma_w, sigma_v=sigma_v)


class _Pair:
    """What every kernel needs of x~ and z~: norms, inner products, kappa_0 and Sigma; and the inputs, for errors."""

    def __init__(self, X: ArrayLike, Z: ArrayLike, arrays: int) -> None:
        X, Z = pairs.pair(X, Z, arrays)
        self.inputs: dict[str, FloatArray] = {"X": X, "Z": Z}
        (self.x, U), (self.z, V) = angles.direction(X, 1.0, 1.0), angles.direction(Z, 1.0, 1.0)
        with np.errstate(over="ignore"):
            scale = pairs.within(np.multiply.outer(self.x, self.z), **self.inputs)
        self.angles = angles.angles(U, V)
        self.gate = angles.gate(self.angles.theta)
        self.covariance: FloatArray = 0.5 * scale * angles.kappa1(self.angles, self.gate)
        self.inner: FloatArray = scale - scale * self.angles.gap


def _scales(m: int, sigma_w: float | None, sigma_v: float) -> tuple[int, float, float]:
    """Width and standard deviations, checked."""
    m = checks.integer("m", m, at_least=1, at_most=LARGEST)
    first = 1 / math.sqrt(m) if sigma_w is None else checks.real("sigma_w", sigma_w, above=0.0, at_most=1e50)
    return m, first, checks.real("sigma_v", sigma_v, above=0.0, at_most=1e50)


def _parts(
    pair: _Pair,
    second: angles.Angles,
    a: FloatArray,
    b: FloatArray,
    *,
    m: int,
    k: int,
    sigma_w: float,
    sigma_v: float,
) -> Parts:
    """The formulas of :func:`given_bottleneck`, of the angles between the o~ and the norms a and b."""
    ab = pairs.within(a[:, None] * b[None, :], **pair.inputs)
    gate = angles.gate(second.theta)
    mixed = math.sqrt(m) * sigma_w * sigma_v / (2 * math.pi)
    with np.errstate(over="ignore", invalid="ignore"):
        first = m * sigma_w**2 * pair.covariance
        right, left = mixed * pair.x[:, None] * b[None, :], mixed * a[:, None] * pair.z[None, :]
        last = first + 0.5 * sigma_v**2 * ab * angles.kappa1(second, gate) + right + left
        B = (sigma_v * sigma_w / (2 * math.pi * math.sqrt(m)) * pair.x / a)[:, None]
        B_z = (sigma_v * sigma_w / (2 * math.pi * math.sqrt(m)) * pair.z / b)[None, :]
        c = k * sigma_v**2 / (2 * m) * gate
        # phi = relu(h) + relu(V o~): <phi(x), relu(h(z))> has the mean of the first term and relu(V o~) relu(h(z)).
        A = last + B_z * (first + left) + B * (first + right) + c * first
        W = 0.5 * pair.inner * pair.gate * (1 + B + B_z + c)
        found = Parts(last, A, 0.5 * (ab - ab * second.gap) * gate, W)
    return _finite(found, **pair.inputs, sigma_w=sigma_w, sigma_v=sigma_v)


def _finite(parts: Parts, **causes: ArrayLike) -> Parts:
    return Parts(*(pairs.within(part, **causes) for part in parts))
