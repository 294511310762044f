"""The papers' starts, drawn with keys of ``jax.random``. Each has the distribution of its twin in NumPy."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from learnability import checks
from learnability.errors import RequestError
from learnability.networks import parity, residual, separable, strips
from learnability.networks.one_hidden import OneHidden
from learnability.networks.parity import ParityNet
from learnability.networks.residual import Network
from learnability.networks.separable import TwoLayer
from learnability.networks.strips import Cosines, Gated, Linearised, Relu
from learnability.networks.symmetry import neurons
from learnability.nn.jax.conversion import floating

__all__ = ["parity_init", "residual_init", "separable_init", "strips_init", "symmetry_init"]

TAIL = 16.0
"""Standard deviations that no Gaussian draw is beyond."""

Params = TypeVar("Params")


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
    own = floating(dtype)
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
        If an argument is out of range or beyond what the type holds.
    """
    n, k, q = (checks.integer(name, value, at_least=1) for name, value in (("n", n), ("k", k), ("q", q)))
    if k > n:
        raise RequestError(f"k must be <= n = {n}, got {k}")
    twin = 1.0 if checks.choice("form", form, parity.FORMS) == "safe" else -1.0
    own = floating(dtype)
    checks.held("n / k", n / k, _range(own))
    checks.held("1 / (8 k)", 1 / (8 * k), _range(own))
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
        If an argument is out of range or beyond what the type holds.
    """
    d, k = checks.integer("d", d, at_least=1), checks.integer("k", k, at_least=1)
    usual = 1 / math.sqrt(2 * k)
    radius = usual if radius is None else checks.real("radius", radius, at_least=0.0)
    size = usual if v is None else checks.real("v", v, above=0.0)
    norm = checks.choice("norm", norm, separable.NORMS)
    own = floating(dtype)
    checks.held("radius", radius, _range(own))
    checks.held("v", size, _range(own))
    key_w, key_r = jax.random.split(_key(key))
    fine = jnp.promote_types(own, jnp.float32)  # norms of half precision would be off
    W = jax.random.normal(key_w, (2 * k, d), fine)
    W = W / jnp.linalg.norm(W, axis=1, keepdims=True) * radius
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
        If an argument is out of range or beyond what the type holds.
    """
    shapes = residual.shapes(network, d, k, m)
    usual = 1 / math.sqrt(m)
    first = usual if sigma_w is None else checks.real("sigma_w", sigma_w, at_least=0.0)
    second = usual * checks.real("sigma_v", sigma_v, at_least=0.0)
    scales = {"W": first, "V": second, "U": second, "A": usual}
    own, kind = floating(dtype), residual.KINDS[network]
    checks.held("sigma_w", first, _range(own), room=TAIL)
    checks.held("sigma_v / sqrt(m)", second, _range(own), room=TAIL)
    keys = jax.random.split(_key(key), len(shapes))
    drawn: Network = kind(
        *(scales[name] * jax.random.normal(one, shape, own) for one, (name, shape) in zip(keys, shapes.items()))
    )
    return drawn


def strips_init(
    key: jax.Array,
    model: str,
    n: int,
    p: int,
    *,
    gates: str = "independent",
    dtype: DTypeLike | None = None,
) -> strips.Network:
    """The start of a model of Daniely & Malach's MNIST-parity experiment, ``MODELS[model].start`` of
    :mod:`learnability.networks.strips` in JAX.

    One key draws the same W and u for every model of ReLU units.

    Parameters
    ----------
    key : key of jax.random
    model : {"relu", "gated", "linearised", "relu_features", "gaussian_features"}
        See the twin.
    n : int
        Inputs (pixels of a strip), >= 1.
    p : int
        Hidden units, >= 1; the paper has 512.
    gates : {"independent", "same"}
        Only for ``"gated"``: gates of their own, or G = W, with which the start is the ReLU network's.
    dtype : optional
        Floating-point type, JAX's usual one if not given.

    Returns
    -------
    Relu, Gated, Linearised or Cosines

    Raises
    ------
    RequestError
        If an argument is out of range.
    """
    kind = strips.kind_of(model, gates)
    n, p = checks.integer("n", n, at_least=1), checks.integer("p", p, at_least=1)
    own = floating(dtype)
    key_w, key_u, key_other = jax.random.split(_key(key), 3)
    zero, zeros, limit, last = jnp.zeros((), own), jnp.zeros(p, own), math.sqrt(6 / (n + p)), math.sqrt(6 / (p + 1))
    u = jax.random.uniform(key_u, (p,), own, -last, last)
    if kind is Cosines:
        W = jax.random.normal(key_w, (p, n), own) * (strips.COSINE_SCALE / math.sqrt(n))
        return _of(Cosines, W, jax.random.uniform(key_other, (p,), own, 0, 2 * math.pi), u, zero)
    W = jax.random.uniform(key_w, (p, n), own, -limit, limit)
    if kind is Gated:
        G = W if gates == "same" else jax.random.uniform(key_other, (p, n), own, -limit, limit)
        return _of(Gated, G, W, zeros, u, zero)
    net = _of(Relu, W, zeros, u, zero)
    return net if kind is Relu else _of(Linearised, net, jnp.zeros_like(W), zeros, u, zero)


def _key(key: Any) -> jax.Array:
    if isinstance(key, jax.Array):
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ():
            return key
        if key.dtype == jnp.uint32 and key.ndim == 1:  # of the old kind
            return key
    raise RequestError(f"key must be a key of jax.random, got {key!r}")


def _of(kind: type[Params], *parts: Any) -> Params:
    """A network whose fields are arrays of JAX."""
    return kind(*parts)


def _range(dtype: Any) -> Any:
    """The largest and the smallest number of a type, bfloat16 among them."""
    return jnp.finfo(dtype)  # type: ignore[no-untyped-call]
