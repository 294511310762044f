r"""Three-layer ResNets with a bottleneck, three- and two-layer networks, and four ways to train them.

Allen-Zhu & Li, Section 6: with ReLU :math:`\sigma`, biases absorbed by a constant input 1, and U = V A,

========== =========================================================================================
3resnet    :math:`out(x) = out_1(x) + A \sigma(V (out_1(x), 1)), \quad out_1(x) = A \sigma(W (x, 1))`
3layer     :math:`A \sigma(U (\sigma(W (x, 1)), 1))` (its form is not in the paper)
2layer     :math:`A \sigma(W (x, 1))`
========== =========================================================================================

Their analysis writes the hidden weights as start plus increment, W^(0) + W; here they are one array. The methods of
their Figure 2, see :func:`learner`: ``all`` layers; ``hidden``, all but A; ``last``, A alone on frozen features (the
conjugate kernel); ``ntk``, the linearisation at the start in all layers.

:func:`apply`, :func:`tangent` and :func:`linear` check nothing, for JAX and for NumPy. The others raise
``ValueError`` if shapes disagree or, in NumPy, an entry is not finite; :func:`forward`, :func:`features`,
:func:`gates` and :func:`increment` are traced by JAX too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks, extras
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.memory import allowed
from learnability.traced import Door, door

__all__ = [
    "KINDS",
    "METHODS",
    "NETWORKS",
    "Layer2",
    "Layer3",
    "Learner",
    "Linear",
    "Network",
    "ResNet3",
    "Tangent",
    "apply",
    "features",
    "forward",
    "gates",
    "gradient",
    "increment",
    "initial",
    "learner",
    "linear",
    "shapes",
    "size",
    "tangent",
]

NETWORKS = ("3resnet", "3layer", "2layer")
METHODS = ("all", "hidden", "last", "ntk")
MEMORY = 16e9
"""Bytes that a network may take (in float64): the memory up to which the paper widens its networks."""


class ResNet3(NamedTuple):
    """Parameters of ``3resnet``: width m, k outputs; the last column of W and V is the bias."""

    W: NDArray[Any]
    """(m, d + 1)"""
    V: NDArray[Any]
    """(m, k + 1): the text once writes this shape for W."""
    A: NDArray[Any]
    """(k, m), of the bottleneck and of the output."""


class Layer3(NamedTuple):
    """Parameters of ``3layer``; the last column of W and U is the bias."""

    W: NDArray[Any]
    """(m, d + 1)"""
    U: NDArray[Any]
    """(m, m + 1)"""
    A: NDArray[Any]
    """(k, m)"""


class Layer2(NamedTuple):
    """Parameters of ``2layer``; the last column of W is the bias."""

    W: NDArray[Any]
    """(m, d + 1)"""
    A: NDArray[Any]
    """(k, m)"""


Network = ResNet3 | Layer3 | Layer2
KINDS: dict[str, type[Any]] = {"3resnet": ResNet3, "3layer": Layer3, "2layer": Layer2}
"""Of parameters, by the network's name."""


def shapes_of(kind: type[Any], d: int, k: int, m: int) -> dict[str, tuple[int, int]]:
    """:func:`shapes` for a kind of parameters."""
    shapes = {"W": (m, d + 1), "V": (m, k + 1), "U": (m, m + 1), "A": (k, m)}
    return {name: shapes[name] for name in kind._fields}


def size(network: str, d: int, k: int, m: int) -> int:
    """Number of parameters, for d inputs, k outputs and width m, all >= 1. A ``3layer`` has about m^2."""
    return sum(rows * columns for rows, columns in shapes(network, d, k, m).values())


def shapes(network: str, d: int, k: int, m: int) -> dict[str, tuple[int, int]]:
    """Shapes of the parameters by field, for d inputs, k outputs and width m, all >= 1."""
    network = checks.choice("network", network, NETWORKS)
    d, k, m = (checks.integer(name, n, at_least=1) for name, n in (("d", d), ("k", k), ("m", m)))
    return shapes_of(KINDS[network], d, k, m)


def initial(
    rng: np.random.Generator,
    network: str,
    d: int,
    k: int,
    m: int,
    *,
    sigma_w: float | None = None,
    sigma_v: float = 1.0,
) -> Network:
    r"""Independent Gaussian entries of mean 0: A of variance 1/m, W of sigma_w^2, V (or U) of sigma_v^2 / m.

    These are Section 6's; by default all variances are 1/m, biases too, Section 8.1's (the text in hand prints the
    mean 1 there, and 0 is meant). Versions 1 and 2 of the paper had standard deviations 1 / sqrt(fan in), which are
    sigma_w = 1 / sqrt(d + 1) and sigma_v = sqrt(m / (k + 1)).

    Parameters
    ----------
    rng : numpy.random.Generator
    network : {"3resnet", "3layer", "2layer"}
    d, k, m : int
        Inputs, outputs, width; >= 1.
    sigma_w : float, optional
        Standard deviation of W, >= 0; 1 / sqrt(m) if not given. In Table 1 it lies between m^-0.49 and m^-0.01.
    sigma_v : float
        sqrt(m) times the standard deviation of V or U, >= 0. In Table 1 it lies between polylog(m) and m^0.365.

    Raises
    ------
    ValueError
        For arguments outside these ranges, or a network of more than :data:`MEMORY` bytes (with the largest width
        that fits).
    """
    rng = checks.generator("rng", rng)
    limit = allowed(MEMORY, 8 * size(network, d, k, m))
    if 8 * size(network, d, k, m) > limit:
        most = m
        while most > 1 and 8 * size(network, d, k, most) > limit:
            most -= most // 64 + 1
        raise RequestError(
            f"m must be at most about {most:,} for a {network} with d = {d} and k = {k} within {limit:.3g} bytes, "
            f"got {m:,} ({8 * float(size(network, d, k, m)):.3g} bytes)"
        )
    usual = 1 / math.sqrt(m)
    first = usual if sigma_w is None else checks.real("sigma_w", sigma_w, at_least=0.0)
    second = usual * checks.real("sigma_v", sigma_v, at_least=0.0)
    scales = {"W": first, "V": second, "U": second, "A": usual}
    drawn: Network = KINDS[network](
        *(scales[name] * rng.standard_normal(shape) for name, shape in shapes(network, d, k, m).items())
    )
    return drawn


# Forward passes, for NumPy and for JAX


def _relu(z: Any) -> Any:
    return z * (z >= 0)  # not max(z, 0): its derivative is 1[z >= 0] as in the paper, and NumPy's is not JAX's


def _affine(M: Any, X: Any) -> Any:
    return X @ M[:, :-1].T + M[:, -1]


def _features(params: Any, X: Any) -> Any:
    """What the output layer sees, (n, m)."""
    first = _relu(_affine(params.W, X))
    if isinstance(params, ResNet3):
        return first + _relu(_affine(params.V, first @ params.A.T))
    if isinstance(params, Layer3):
        return _relu(_affine(params.U, first))
    return first


def apply(params: Any, X: Any) -> Any:
    """The outputs (n, k) of any of the networks at ``X`` (n, d): traceable, unchecked."""
    return _features(params, X) @ params.A.T


class Linear(NamedTuple):
    """Parameters of :func:`linear`."""

    A: NDArray[Any]
    """(k, m)"""


def linear(params: Any, features: Any) -> Any:
    """The outputs (n, k) of a last layer without bias at ``features`` (n, m): traceable, unchecked."""
    return features @ params.A.T


class Tangent(NamedTuple):
    """Parameters of :func:`tangent`."""

    start: Any
    """Where the network is linearised: a network's parameters."""
    move: Any
    """The increments, of the same type; 0 at the start."""


def tangent(params: Any, X: Any) -> Any:
    """f(start; x) + the derivative of f at ``start`` along ``move``, (n, k): traceable, unchecked."""
    extras.need("jax", "the tangent of a residual network")
    import jax

    value, change = jax.jvp(lambda at: apply(at, X), (params.start,), (params.move,))
    return value + change


def forward(params: Network, X: ArrayLike) -> FloatArray:
    """The outputs (n, k) of a network at the inputs ``X`` (n, d)."""
    params, X = checked(params, X, door(params, X))
    outputs: FloatArray = apply(params, X)
    return outputs


def features(params: Network, X: ArrayLike) -> FloatArray:
    r"""What the output layer sees at ``X`` (n, d), (n, m): the features of the conjugate kernel.

    For ``3resnet`` :math:`\sigma(h) + \sigma(V (A \sigma(h), 1))` with h = W (x, 1). A function of A too, through the
    bottleneck: in ``last`` that copy of A stays what it was (training the one A of both places is not linear in A and
    no kernel method; which of the two the paper ran is not said).
    """
    params, X = checked(params, X, door(params, X))
    found: FloatArray = _features(params, X)
    return found


# Methods


class Learner(NamedTuple):
    """One of :data:`METHODS`, ready for :func:`learnability.training.minibatch.train`."""

    apply: Callable[[Any, Any], Any]
    """A function of this module: :func:`apply`, :func:`linear` or :func:`tangent`."""
    params: Any
    """Where training starts; the outputs there are the network's."""
    trainable: tuple[str, ...]
    """Fields of ``params`` that are trained."""
    inputs: Callable[[ArrayLike], FloatArray]
    """What ``apply`` is given for examples (n, d): themselves, or for ``last`` their features (n, m)."""


def learner(params: Network, method: str) -> Learner:
    """How a method trains a network from the start ``params``.

    In ``ntk`` weight decay acts on the increments, so that what is penalised is the norm of the kernel method; in
    ``last`` on A itself, which does not start at 0.

    Parameters
    ----------
    params : ResNet3, Layer3 or Layer2
    method : {"all", "hidden", "last", "ntk"}
    """
    method = checks.choice("method", method, METHODS)
    check_network(params)
    if method == "last":
        return Learner(linear, Linear(params.A), ("A",), partial(features, params))
    if method == "ntk":
        still = type(params)(*(np.zeros_like(part) for part in params))
        return Learner(tangent, Tangent(params, still), ("move",), partial(checks.matrix, "X"))
    fields = params._fields if method == "all" else tuple(name for name in params._fields if name != "A")
    return Learner(apply, params, fields, partial(checks.matrix, "X"))


# Gradients by hand, of the ResNet


def gates(params: ResNet3, X: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The diagonals of D_W and D_{V,W} at ``X`` (n, d), both (n, m): 1[W (x, 1) >= 0] and 1[V (out_1(x), 1) >= 0]."""
    params, X = checked_resnet(params, X, door(params, X))
    z = _affine(params.W, X)
    return z >= 0, _affine(params.V, _relu(z) @ params.A.T) >= 0


def increment(params: ResNet3, X: ArrayLike, W: ArrayLike, V: ArrayLike) -> tuple[FloatArray, FloatArray]:
    r"""Fact C.4's f(W'; x) and g(V'; x), both (n, k), at ``X`` (n, d) for ``W`` (m, d + 1) and ``V`` (m, k + 1).

    .. math::
        f(W') = A D_{V,W} V (A D_W W' (x, 1), 0) + A D_W W' (x, 1), \qquad g(V') = A D_{V,W} V' (out_1(x), 1),

    with V for the paper's V^(0) + V. Their sum is the derivative of the outputs along (W', V').
    """
    check = door(params, X, W, V)
    params, X = checked_resnet(params, X, check)
    k, m = params.A.shape
    W, V = check.matrix("W", W, rows=m, columns=X.shape[1] + 1), check.matrix("V", V, rows=m, columns=k + 1)
    z = _affine(params.W, X)
    first = _relu(z) @ params.A.T
    open_V = _affine(params.V, first) >= 0
    along = ((z >= 0) * _affine(W, X)) @ params.A.T
    through = (open_V * (along @ params.V[:, :-1].T)) @ params.A.T
    return through + along, (open_V * _affine(V, first)) @ params.A.T


def gradient(params: ResNet3, X: ArrayLike, Y: ArrayLike) -> tuple[float, ResNet3]:
    r"""Mean of :math:`\frac12 \|y - out(x)\|^2` over the examples, and its gradient, by hand.

    The parts of W and V are Fact C.4's, :math:`\langle \nabla, (-W', -V') \rangle = \langle y - out, f(W') + g(V')
    \rangle`; that of A (which the paper's theorem does not train) has the bottleneck's share in it.

    Parameters
    ----------
    params : ResNet3
    X : array (n, d)
    Y : array (n, k)
    """
    params, X = checked_resnet(params, X)
    Y = checks.matrix("Y", Y, rows=len(X), columns=len(params.A))
    W, V, A = params
    z = _affine(W, X)
    hidden = _relu(z)
    first = hidden @ A.T
    z_V = _affine(V, first)
    residual = first + _relu(z_V) @ A.T - Y
    loss = float((residual**2).sum() / (2 * len(X)))
    residual /= len(X)
    back_V = (residual @ A) * (z_V >= 0)
    back_first = residual + back_V @ V[:, :-1]
    back_W = (back_first @ A) * (z >= 0)
    return loss, ResNet3(
        back_W.T @ lifted(X), back_V.T @ lifted(first), residual.T @ _relu(z_V) + back_first.T @ hidden
    )


def lifted(X: FloatArray) -> FloatArray:
    """(x, 1) in every row: unchecked."""
    return np.hstack([X, np.ones((len(X), 1))])


def check_network(params: Any) -> None:
    """Refuse what is none of the networks."""
    if not isinstance(params, Network):
        raise RequestError(f"params must be a ResNet3, a Layer3 or a Layer2, got {type(params).__name__}")


def checked_resnet(params: Any, X: ArrayLike, check: Door = checks) -> tuple[ResNet3, FloatArray]:
    """:func:`checked` for a ResNet alone."""
    if not isinstance(params, ResNet3):
        raise RequestError(f"params must be a ResNet3, got {type(params).__name__}")
    return checked(params, X, check)


def checked(params: Any, X: ArrayLike, check: Door = checks) -> tuple[Any, FloatArray]:
    """Parameters and inputs as arrays whose shapes agree: of float64, unless ``check`` is for JAX."""
    check_network(params)
    kind = type(params)
    arrays = kind(*(check.matrix(f"params.{name}", part) for name, part in params._asdict().items()))
    k, m = arrays.A.shape
    for field, shape in shapes_of(kind, arrays.W.shape[1] - 1, k, m).items():
        found = getattr(arrays, field).shape
        if found != shape:
            raise RequestError(f"params.{field} must have shape {shape} beside A of shape {(k, m)}, got {found}")
    return arrays, check.matrix("X", X, columns=arrays.W.shape[1] - 1)
