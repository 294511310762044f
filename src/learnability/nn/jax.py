"""The papers' networks, starts and losses for JAX: parameters are pytrees, everything else is a pure function.

A network's parameters are the package's NamedTuple of arrays (:class:`~learnability.networks.one_hidden.OneHidden`,
:class:`~learnability.networks.parity.ParityNet`, :class:`~learnability.networks.separable.TwoLayer`,
:class:`~learnability.networks.residual.ResNet3`), which JAX takes for a pytree. ``*_init`` draws a start with a key
of ``jax.random``, ``*_apply`` is the forward pass with the papers' derivatives at the kinks; both jit and vmap, and
the latter differentiates. Sizes and other plain arguments are static.

Numbers are of JAX's type, float32 unless ``jax_enable_x64`` is on. The theorems' steps need float64: with h = n^-6 a
first layer in float32 never moves. Of traced arrays shapes are checked, and nothing else can be.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

from learnability import checks, extras

if extras.absent("jax"):
    extras.need("jax", __name__)

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from learnability.errors import RequestError
from learnability.networks import one_hidden, parity, residual, separable
from learnability.networks.one_hidden import OneHidden
from learnability.networks.parity import ParityNet
from learnability.networks.residual import Network
from learnability.networks.separable import TwoLayer
from learnability.networks.symmetry import neurons

__all__ = [
    "hinge_loss",
    "parity_apply",
    "parity_init",
    "residual_apply",
    "residual_init",
    "separable_apply",
    "separable_init",
    "symmetry_apply",
    "symmetry_init",
    "to_jax",
    "to_numpy",
]

Params = TypeVar("Params")


# Starts


def symmetry_init(
    key: jax.Array | None,
    n: int,
    kind: str = "half_integer",
    *,
    const_neuron: bool = False,
    dtype: DTypeLike | None = None,
) -> OneHidden:
    """A symmetry-based start of Nachum & Yehudayoff, :func:`learnability.networks.symmetry.symmetry_init` in JAX.

    Parameters
    ----------
    key : key of jax.random, or None
        Not used, as nothing is random (like that of ``jax.nn.initializers.zeros``).
    n : int
        Input bits, >= 1.
    kind : {"half_integer", "integer", "quarter", "integer_padded", "sigmoid"}
        See the twin; ``"sigmoid"`` is for ``activation="sigmoid"``, sigma(5 z).
    const_neuron : bool
        Only for ``"half_integer"``: one more neuron, with weights 0 and bias 1.
    dtype : optional
        Floating-point type, JAX's usual one if not given.

    Returns
    -------
    OneHidden
        W (L, n), B (L,), M (L,) and b (), the last two 0.

    Raises
    ------
    RequestError
        If an argument is out of range, or ``dtype`` cannot hold the biases exactly.
    """
    if key is not None:
        _key(key)
    slopes, biases = neurons(n, kind, const_neuron=const_neuron)
    own = _dtype(dtype)
    if not np.array_equal(biases.astype(own).astype(np.float64), biases):
        raise RequestError(
            f"dtype must hold the biases exactly, up to {np.abs(biases).max()} for n = {n}, got {own.name}"
        )
    W = jnp.broadcast_to(jnp.asarray(slopes, own)[:, None], (len(slopes), n))
    return _of(OneHidden, W, jnp.asarray(biases, own), jnp.zeros(len(biases), own), jnp.zeros((), own))


def parity_init(
    key: jax.Array, n: int, k: int, q: int, form: str = "safe", *, dtype: DTypeLike | None = None
) -> ParityNet:
    """The symmetric random start of Daniely & Malach, :func:`learnability.networks.parity.initial` in JAX.

    Parameters
    ----------
    key : key of jax.random
    n : int
        Dimension, >= 1.
    k : int
        Coordinates in the parity, 1 <= k <= n.
    q : int
        Pairs of units, >= 1.
    form : {"safe", "printed"}
        See the twin.
    dtype : optional
        Floating-point type, JAX's usual one if not given.

    Returns
    -------
    ParityNet
        W (2q, n), b (2q,), u (2q,).

    Raises
    ------
    RequestError
        If an argument is out of range.
    """
    n, k, q = (checks.integer(name, value, at_least=1) for name, value in (("n", n), ("k", k), ("q", q)))
    if k > n:
        raise RequestError(f"k must be <= n = {n}, got {k}")
    twin = 1.0 if checks.choice("form", form, parity.FORMS) == "safe" else -1.0
    own = _dtype(dtype)
    key_w, key_u = jax.random.split(_key(key))
    w = jax.random.randint(key_w, (q, n), -1, 2).astype(own)
    b = jnp.full(q, 1 / (8 * k), own)
    u = jax.random.uniform(key_u, (q,), own, -n / k, n / k)
    return _of(ParityNet, jnp.concatenate([w, twin * w]), jnp.concatenate([b, twin * b]), jnp.concatenate([u, -u]))


def separable_init(
    key: jax.Array,
    d: int,
    k: int,
    *,
    radius: float | None = None,
    v: float | None = None,
    norm: str = "exact",
    dtype: DTypeLike | None = None,
) -> TwoLayer:
    """The random start of Brutzkus et al., :func:`learnability.networks.separable.initial` in JAX.

    The theorems leave the output weights as they are: differentiate by W alone,
    ``jax.grad(lambda W: loss(params._replace(W=W)))(params.W)``.

    Parameters
    ----------
    key : key of jax.random
    d : int
        Inputs, >= 1.
    k : int
        Units of each sign, >= 1.
    radius : float, optional
        R >= 0, by default 1 / sqrt(2k).
    v : float, optional
        > 0, by default 1 / sqrt(2k).
    norm : {"exact", "at_most"}
        Rows of norm R, or uniform in the ball of radius R.
    dtype : optional
        Floating-point type, JAX's usual one if not given.

    Returns
    -------
    TwoLayer
        W (2k, d), v (2k,).

    Raises
    ------
    RequestError
        If an argument is out of range.
    """
    d, k = checks.integer("d", d, at_least=1), checks.integer("k", k, at_least=1)
    usual = 1 / math.sqrt(2 * k)
    radius = usual if radius is None else checks.real("radius", radius, at_least=0.0)
    size = usual if v is None else checks.real("v", v, above=0.0)
    norm = checks.choice("norm", norm, separable.NORMS)
    own = _dtype(dtype)
    key_w, key_r = jax.random.split(_key(key))
    fine = jnp.promote_types(own, jnp.float32)  # norms of half precision would be off
    W = jax.random.normal(key_w, (2 * k, d), fine)
    W = W * (radius / jnp.linalg.norm(W, axis=1, keepdims=True))
    if norm == "at_most":
        W = W * jax.random.uniform(key_r, (2 * k, 1), fine) ** (1 / d)
    return _of(TwoLayer, W.astype(own), jnp.repeat(jnp.asarray([size, -size], own), k))


def residual_init(
    key: jax.Array,
    network: str,
    d: int,
    k: int,
    m: int,
    *,
    sigma_w: float | None = None,
    sigma_v: float = 1.0,
    dtype: DTypeLike | None = None,
) -> Network:
    """The Gaussian start of Allen-Zhu & Li's networks, :func:`learnability.networks.residual.initial` in JAX.

    Parameters
    ----------
    key : key of jax.random
    network : {"3resnet", "3layer", "2layer"}
        Their three-layer ResNet with a bottleneck, or one of the networks that it is compared with.
    d, k, m : int
        Inputs, outputs, width; >= 1.
    sigma_w : float, optional
        Standard deviation of W, >= 0; 1 / sqrt(m) if not given.
    sigma_v : float
        sqrt(m) times that of V (or U), >= 0.
    dtype : optional
        Floating-point type, JAX's usual one if not given.

    Returns
    -------
    ResNet3, Layer3 or Layer2

    Raises
    ------
    RequestError
        If an argument is out of range.
    """
    shapes = residual.shapes(network, d, k, m)
    usual = 1 / math.sqrt(m)
    first = usual if sigma_w is None else checks.real("sigma_w", sigma_w, at_least=0.0)
    second = usual * checks.real("sigma_v", sigma_v, at_least=0.0)
    scales = {"W": first, "V": second, "U": second, "A": usual}
    own, kind = _dtype(dtype), residual.KINDS[network]
    keys = jax.random.split(_key(key), len(shapes))
    drawn: Network = kind(
        *(scales[name] * jax.random.normal(one, shape, own) for one, (name, shape) in zip(keys, shapes.items()))
    )
    return drawn


# Forward passes


def symmetry_apply(params: OneHidden, X: ArrayLike, activation: str = "relu") -> jax.Array:
    """The outputs M . act(W x + B) + b, (...), of Nachum & Yehudayoff's network at ``X`` (..., n).

    Parameters
    ----------
    params : OneHidden
    X : array (..., n)
    activation : {"relu", "sigmoid"}
        ReLU, with derivative 0 at 0; or sigma(5 z).

    Raises
    ------
    RequestError
        If ``params`` is another network, or the shapes disagree.
    """
    outputs: jax.Array = one_hidden.apply(_network(params, OneHidden), _inputs(X, params.W.shape[1]), activation)
    return outputs


def parity_apply(params: ParityNet, X: ArrayLike) -> jax.Array:
    """The outputs u . relu6(W x + b), (...), of Daniely & Malach's network at ``X`` (..., n).

    The derivative of ReLU6 is 0 at 0 and at 6. Raises as :func:`symmetry_apply`.
    """
    outputs: jax.Array = parity.apply(_network(params, ParityNet), _inputs(X, params.W.shape[1]))
    return outputs


def separable_apply(params: TwoLayer, X: ArrayLike, alpha: float) -> jax.Array:
    """The outputs v . sigma(W x), (...), of Brutzkus et al.'s network at ``X`` (..., d).

    sigma(z) = max(alpha z, z) with 0 <= alpha < 1; its derivative at 0 is 1, and 0 for ``alpha`` = 0. Raises as
    :func:`symmetry_apply`.
    """
    inputs = _inputs(X, _network(params, TwoLayer).W.shape[1])
    outputs: jax.Array = separable.apply(params, inputs, separable.slope(alpha))
    return outputs


def residual_apply(params: Network, X: ArrayLike) -> jax.Array:
    """The outputs, (..., k), of Allen-Zhu & Li's ResNet or one of its opponents at ``X`` (..., d).

    out_1 + A sigma(V (out_1, 1)) with out_1 = A sigma(W (x, 1)), see :mod:`learnability.networks.residual`; the
    derivative of ReLU at 0 is 1. Raises as :func:`symmetry_apply`.
    """
    inputs = _inputs(X, _network(params, *residual.KINDS.values()).W.shape[1] - 1)
    outputs: jax.Array = residual.apply(params, inputs)
    return outputs


def hinge_loss(outputs: ArrayLike, labels: ArrayLike, *, beta: float = 1.0, ties: bool = False) -> jax.Array:
    """The hinge losses max(0, beta - y f), an entry an example, with the derivative at the kink that a paper means.

    Parameters
    ----------
    outputs, labels : arrays (...)
        Of one shape; labels -1 and +1.
    beta : float
        >= 0. Brutzkus et al. and Daniely & Malach have 1, and an example with y f = 1 changes nothing.
    ties : bool
        Whether an example with y f = beta has the derivative -y, and not 0. Nachum & Yehudayoff count it as a mistake
        (Algorithm 1), and must: with beta = 0 their network starts at output 0 = beta everywhere.

    Raises
    ------
    RequestError
        If the shapes differ, or ``beta`` is out of range.
    """
    f, y = jnp.asarray(outputs), jnp.asarray(labels)
    if f.shape != y.shape:
        raise RequestError(f"labels must have the shape of outputs, {f.shape}, got {y.shape}")
    slack = checks.real("beta", beta, at_least=0.0) - y * f
    return jnp.where(slack < 0 if ties else slack <= 0, jnp.zeros_like(slack), slack)


# Conversion


def to_jax(params: Params, dtype: DTypeLike | None = None) -> Params:
    """A network's parameters (any pytree of arrays) as arrays of JAX, of ``dtype`` or JAX's usual type."""
    own = _dtype(dtype)
    return jax.tree.map(lambda part: jnp.asarray(part, own), params)  # type: ignore[no-any-return]


def to_numpy(params: Params) -> Params:
    """A network's parameters as the package's engines want them: arrays of NumPy in float64, numbers as ``float``."""

    def converted(part: Any) -> Any:
        array = np.array(part, dtype=np.float64)
        return array if array.ndim else float(array)

    return jax.tree.map(converted, params)  # type: ignore[no-any-return]


def _key(key: Any) -> jax.Array:
    if isinstance(key, jax.Array):
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ():
            return key
        if key.dtype == jnp.uint32 and key.ndim == 1:  # of the old kind
            return key
    raise RequestError(f"key must be a key of jax.random, got {key!r}")


def _dtype(dtype: Any) -> Any:
    usual = jnp.zeros(()).dtype
    if dtype is None:
        return usual
    found = jnp.dtype(dtype)
    if not jnp.issubdtype(found, jnp.floating):
        raise RequestError(f"dtype must be a floating-point type, got {found.name}")
    if found == jnp.float64 and usual != jnp.float64:
        raise RequestError("dtype must be at most float32 while jax_enable_x64 is off, got float64")
    return found


def _network(params: Any, *kinds: type[Any]) -> Any:
    if not isinstance(params, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise RequestError(f"params must be a {names}, got {type(params).__name__}")
    return params


def _inputs(X: ArrayLike, columns: int) -> jax.Array:
    array = jnp.asarray(X)
    if array.ndim == 0 or array.shape[-1] != columns:
        raise RequestError(f"X must have {columns} columns, got shape {array.shape}")
    return array


def _of(kind: type[Params], *parts: Any) -> Params:
    """A network whose fields are arrays of JAX."""
    return kind(*parts)
