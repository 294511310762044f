"""The models of the MNIST-parity experiment, as pure functions: one hidden layer of p units, one output.

Daniely & Malach, section 6.1, with the start of the authors' public experiment: Glorot-uniform weights (limit
sqrt(6 / (fan in + fan out))), zero biases, a trained output bias. A model is a function ``apply(params, X)`` of a
NamedTuple, a function that draws a start, and the names of the fields that are trained:

relu
    Both layers of f(x) = u · relu(W x + b) + c.
gated
    Hidden unit 1[<g, x> > 0] (<w, x> + b) with random frozen gates g; w, b and the output are trained. The paper's
    "NTK regime" ("decouples the gating from the linearity"). It is a linear class over the fixed features
    1[<g, x> > 0] (x, 1), trained as a product of two layers, and is neither the network's tangent kernel nor its
    linearisation (no term of the features themselves); so reports call it a gated linear network with frozen gates.
linearised
    The first-order Taylor expansion of the ReLU network in all of its parameters at its start.
relu_features, gaussian_features
    A frozen random layer, relu(W x) or cos(W x + phase), and a trained output. Cosines of weights N(0, 16 / n) have
    in the mean over weights and phases the kernel exp(-8 |x - x'|^2 / n) / 2.

Arrays are float64 as drawn; the trainer casts them. :func:`forward` checks a network of any of these kinds and runs
it; the other forward functions are unchecked. All take NumPy's arrays or JAX's, which can trace them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.networks.one_hidden import activate
from learnability.traced import Door, door, is_traceable, namespace

__all__ = [
    "COSINE_SCALE",
    "KINDS",
    "MODELS",
    "Cosines",
    "Gated",
    "Linearised",
    "Model",
    "Network",
    "Relu",
    "apply",
    "cosine",
    "cosine_start",
    "forward",
    "gated",
    "gated_start",
    "kind_of",
    "linearised",
    "linearised_start",
    "relu",
    "relu_start",
]

GATES = ("independent", "same")
COSINE_SCALE = 4.0
"""Standard deviation of the cosines' weights, times sqrt(n)."""


class Relu(NamedTuple):
    """u · relu(W x + b) + c."""

    W: FloatArray
    """(p, n)"""
    b: FloatArray
    """(p,)"""
    u: FloatArray
    """(p,)"""
    c: FloatArray
    """()"""


class Gated(NamedTuple):
    """The sum of u_j 1[<G_j, x> > 0] (<W_j, x> + b_j), and c."""

    G: FloatArray
    """(p, n), frozen"""
    W: FloatArray
    """(p, n)"""
    b: FloatArray
    """(p,)"""
    u: FloatArray
    """(p,)"""
    c: FloatArray
    """()"""


class Linearised(NamedTuple):
    """A network's Taylor expansion at ``start``; W and b are movements from there, u and c the output's values."""

    start: Relu
    """Frozen."""
    W: FloatArray
    """(p, n), 0 at the start"""
    b: FloatArray
    """(p,), 0 at the start"""
    u: FloatArray
    """(p,)"""
    c: FloatArray
    """()"""


class Cosines(NamedTuple):
    """u · cos(W x + phase) + c."""

    W: FloatArray
    """(p, n), frozen"""
    phase: FloatArray
    """(p,), frozen"""
    u: FloatArray
    """(p,)"""
    c: FloatArray
    """()"""


Network = Relu | Gated | Linearised | Cosines


def relu(params: Relu, X: Any) -> Any:
    """Outputs (m,) of the ReLU network."""
    return activate(X @ params.W.T + params.b, "relu") @ params.u + params.c


def gated(params: Gated, X: Any) -> Any:
    """Outputs (m,) of the gated linear network; a gate is closed where <g, x> = 0."""
    open_ = X @ params.G.T > 0
    return (open_ * (X @ params.W.T + params.b)) @ params.u + params.c


def linearised(params: Linearised, X: Any) -> Any:
    """Outputs (m,) of the linearised network.

    f_0 + the derivative in the direction of the movement: with z = W_0 x + b_0 the terms of u and c together make
    u · relu(z) + c, and those of W and b make u_0 · (1[z > 0] (dW x + db)).
    """
    start = params.start
    z = X @ start.W.T + start.b
    moved = (z > 0) * (X @ params.W.T + params.b)
    return activate(z, "relu") @ params.u + moved @ start.u + params.c


def cosine(params: Cosines, X: Any) -> Any:
    """Outputs (m,) of the cosine features' readout."""
    z = X @ params.W.T + params.phase
    return namespace(z).cos(z) @ params.u + params.c


def relu_start(rng: np.random.Generator, n: int, p: int) -> Relu:
    """A ReLU network of p >= 1 units on n >= 1 inputs: Glorot-uniform W, then u; zero biases."""
    n, p = _sizes(rng, n, p)
    W = _glorot(rng, p, n)
    return Relu(W, np.zeros(p), _output(rng, p), np.zeros(()))


def gated_start(rng: np.random.Generator, n: int, p: int, gates: str = "independent") -> Gated:
    """A gated linear network. W and u are drawn as by :func:`relu_start`, then the gates.

    Parameters
    ----------
    gates : {"independent", "same"}
        Gates of their own (the authors' experiment), or G = W (the paper's identity relu(<w, x>) = <w, x> 1[<w, x> >
        0]), with which the start is the ReLU network's.
    """
    checks.choice("gates", gates, GATES)
    W, b, u, c = relu_start(rng, n, p)
    return Gated(_glorot(rng, p, n) if gates == "independent" else W.copy(), W, b, u, c)


def linearised_start(rng: np.random.Generator, n: int, p: int) -> Linearised:
    """The expansion of the network that :func:`relu_start` draws."""
    start = relu_start(rng, n, p)
    return Linearised(start, np.zeros_like(start.W), np.zeros_like(start.b), start.u, start.c)


def cosine_start(rng: np.random.Generator, n: int, p: int) -> Cosines:
    """Weights N(0, 16 / n), then phases uniform in [0, 2 pi), then the output."""
    n, p = _sizes(rng, n, p)
    W = rng.standard_normal((p, n)) * (COSINE_SCALE / math.sqrt(n))
    phase = rng.uniform(0, 2 * np.pi, p)
    return Cosines(W, phase, _output(rng, p), np.zeros(()))


class Model(NamedTuple):
    """What the trainer needs of a model."""

    kind: type[Any]
    """Of its parameters."""
    apply: Callable[[Any, Any], Any]
    start: Callable[[np.random.Generator, int, int], Any]
    trainable: tuple[str, ...]


MODELS: Mapping[str, Model] = {
    "relu": Model(Relu, relu, relu_start, ("W", "b", "u", "c")),
    "gated": Model(Gated, gated, gated_start, ("W", "b", "u", "c")),
    "linearised": Model(Linearised, linearised, linearised_start, ("W", "b", "u", "c")),
    "relu_features": Model(Relu, relu, relu_start, ("u", "c")),
    "gaussian_features": Model(Cosines, cosine, cosine_start, ("u", "c")),
}
"""The five models, see the module."""

KINDS: Mapping[type[Any], Callable[[Any, Any], Any]] = {model.kind: model.apply for model in MODELS.values()}
"""The forward function of each kind of network."""


def kind_of(model: str, gates: str = "independent") -> type[Any]:
    """The kind of a model's parameters; ``gates``, see :func:`gated_start`, are only for ``"gated"``."""
    kind = MODELS[checks.choice("model", model, tuple(MODELS))].kind
    if checks.choice("gates", gates, GATES) != "independent" and kind is not Gated:
        raise RequestError(f"gates must be 'independent' for model {model!r}, got {gates!r}")
    return kind


def apply(params: Any, X: Any) -> Any:
    """The outputs (...) of a network of any kind at the inputs ``X`` (..., n): traceable, unchecked."""
    return KINDS[type(params)](params, X)


def forward(params: Network, X: ArrayLike) -> FloatArray:
    """The outputs (m,) of a network of any kind at the inputs ``X`` (m, n).

    Raises
    ------
    RequestError
        If ``params`` is none of the kinds, its shapes or those of ``X`` disagree, or an entry is not finite.
    """
    check = door(params, X)
    network = _checked("params", params, check, tuple(KINDS))
    outputs: FloatArray = apply(network, check.matrix("X", X, columns=network.W.shape[1]))
    return outputs


def _checked(name: str, params: Any, check: Door, kinds: tuple[type[Any], ...], shape: tuple[int, ...] = ()) -> Any:
    """A network of one of the kinds as arrays whose shapes agree, with W of ``shape`` if one is given."""
    if type(params) not in kinds:
        names = " or ".join(kind.__name__ for kind in kinds)
        raise RequestError(f"{name} must be a {names}, got {type(params).__name__}")
    p, n = shape or check.matrix(f"{name}.W", params.W).shape
    parts: dict[str, Any] = {}
    for field, part in params._asdict().items():
        where = f"{name}.{field}"
        if field == "start":
            parts[field] = _checked(where, part, check, (Relu,), (p, n))
        elif field in ("W", "G"):
            parts[field] = check.matrix(where, part, rows=p, columns=n)
        elif field == "c":
            parts[field] = check.real(where, part if is_traceable(part) else np.asarray(part)[()])
        else:
            parts[field] = check.vector(where, part, length=p)
    return type(params)(**parts)


def _sizes(rng: object, n: object, p: object) -> tuple[int, int]:
    checks.generator("rng", rng)
    return checks.integer("n", n, at_least=1), checks.integer("p", p, at_least=1)


def _glorot(rng: np.random.Generator, p: int, n: int) -> FloatArray:
    limit = math.sqrt(6 / (n + p))
    return rng.uniform(-limit, limit, (p, n))


def _output(rng: np.random.Generator, p: int) -> FloatArray:
    return _glorot(rng, 1, p).reshape(p)
