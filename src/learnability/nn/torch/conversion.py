"""Between networks in NumPy arrays, as everything else in the package has them, and layers.

======================================================= ============================================================
network                                                 layers, in order, with their weights and biases
======================================================= ============================================================
:class:`~learnability.networks.one_hidden.OneHidden`    hidden: W, B; readout: M, b
:class:`~learnability.networks.parity.ParityNet`        hidden: W, b; readout: u
:class:`~learnability.networks.separable.TwoLayer`      hidden: W (if the layer has a bias, that is W's last column);
                                                        readout: v
:class:`~learnability.networks.residual.ResNet3`        first: W; second: V; output: A (the biases are the last
                                                        columns of W, V and U)
:class:`~learnability.networks.residual.Layer3`         first: W; second: U; output: A
:class:`~learnability.networks.residual.Layer2`         first: W; output: A
:class:`~learnability.networks.strips.Relu`             hidden: W, b; readout: u, c
:class:`~learnability.networks.strips.Gated`            gates: G; hidden: W, b; readout: u, c
:class:`~learnability.networks.strips.Linearised`       start_hidden, start_readout: the network at the start;
                                                        hidden: W, b (movements from there); readout: u, c
:class:`~learnability.networks.strips.Cosines`          hidden: W, phase; readout: u, c
======================================================= ============================================================

A readout's weights are one row, or a vector.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from learnability.errors import RequestError
from learnability.networks import one_hidden, parity, residual, separable, strips
from learnability.networks.one_hidden import OneHidden
from learnability.networks.parity import ParityNet
from learnability.networks.residual import Layer2, Layer3, ResNet3
from learnability.networks.separable import TwoLayer
from learnability.networks.strips import Cosines, Gated, Linearised, Relu
from learnability.nn.torch.layers import Layer, LayerLike, check_shape, given
from learnability.traced import door

__all__ = ["LAYERS", "Part", "copy_", "named", "read", "split"]

Network = TypeVar(
    "Network", OneHidden, ParityNet, TwoLayer, ResNet3, Layer3, Layer2, Relu, Gated, Linearised, Cosines
)

LAYERS: dict[type[Any], dict[str, bool | None]] = {
    OneHidden: {"hidden": True, "readout": True},
    ParityNet: {"hidden": True, "readout": False},
    TwoLayer: {"hidden": None, "readout": False},
    ResNet3: {"first": True, "second": True, "output": False},
    Layer3: {"first": True, "second": True, "output": False},
    Layer2: {"first": True, "output": False},
    Relu: {"hidden": True, "readout": True},
    Gated: {"gates": False, "hidden": True, "readout": True},
    Linearised: {"start_hidden": True, "start_readout": True, "hidden": True, "readout": True},
    Cosines: {"hidden": True, "readout": True},
}
"""Layers of each network, and whether they have a bias."""


class Part(NamedTuple):
    """A layer in NumPy."""

    weight: NDArray[Any]
    """(out, in)"""
    bias: Any
    """(out,), or None"""


def copy_(params: Any, *layers: LayerLike) -> tuple[LayerLike, ...]:
    """Copy a network's parameters into layers, in place and without gradients; the layers' types and devices stay.

    Numbers are rounded to the layers' types, the smallest of them to 0.

    Parameters
    ----------
    params : a network of the module's table
        A start, or ``run.params`` of a training run.
    *layers : LayerLike
        As the module's table lists them.

    Returns
    -------
    tuple
        The layers.

    Raises
    ------
    RequestError
        If ``params`` is none of these or not finite, or a layer has another shape or a type that does not hold the
        numbers. Nothing is copied then.

    Examples
    --------
    >>> import torch
    >>> from learnability.networks.symmetry import represent_relu
    >>> model = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.ReLU(), torch.nn.Linear(9, 1))
    >>> _ = copy_(represent_relu(6, {1, 4}), model[0], model[2])  # +1/2 where one or four of the six bits are 1
    >>> model(torch.tensor([[1.0, 1, 0, 1, 0, 1], [1, 1, 0, 1, 0, 0]])).squeeze(-1).tolist()
    [0.5, -0.5]
    """
    found = named(type(params), layers)
    parts = split(params, lifted=isinstance(params, TwoLayer) and found["hidden"].bias is not None)
    copies: list[tuple[torch.Tensor, torch.Tensor]] = []

    def prepare(where: str, tensor: torch.Tensor, array: NDArray[Any]) -> None:
        values = torch.tensor(array, device="cpu").to(tensor.dtype)
        if not values.isfinite().all():
            largest = np.abs(array).max()
            raise RequestError(f"{where} must have a type that holds numbers up to {largest:g}, got {tensor.dtype}")
        copies.append((tensor, values.view(tensor.shape)))

    for (name, layer), part in zip(found.items(), parts, strict=True):
        row = name.endswith("readout")
        check_shape(f"{name}.weight", layer.weight, part.weight.shape, *([part.weight.shape[1:]] if row else []))
        prepare(f"{name}.weight", layer.weight, part.weight)
        if part.bias is not None:
            check_shape(f"{name}.bias", layer.bias, part.bias.shape, *([()] if row else []))
            prepare(f"{name}.bias", layer.bias, part.bias)
    with torch.no_grad():
        for tensor, values in copies:
            tensor.copy_(values)
    return layers


def read(kind: type[Network], *layers: LayerLike) -> Network:
    """A network in NumPy arrays from layers: a copy, in float64.

    Parameters
    ----------
    kind : type
        Of the network, from the module's table.
    *layers : LayerLike
        As the module's table lists them. Of a state dict they are pairs: ``(state["0.weight"], state["0.bias"])``.

    Raises
    ------
    RequestError
        If ``kind`` is none of these, the shapes of the layers do not make one, or an entry is not finite.
    """
    parts = []
    for name, layer in named(kind, layers, filled=False).items():
        weight, bias = (None if tensor is None else _numpy(tensor) for tensor in layer)
        assert weight is not None
        if name.endswith("readout"):
            weight, bias = np.atleast_2d(weight), None if bias is None else np.atleast_1d(bias)
            if len(weight) != 1:
                raise RequestError(f"{name}.weight must have one row, for one output, got shape {weight.shape}")
        if weight.ndim != 2 or 0 in weight.shape:
            raise RequestError(f"{name}.weight must have shape (rows >= 1, columns >= 1), got shape {weight.shape}")
        if bias is not None and bias.shape != (len(weight),):
            raise RequestError(f"{name}.bias must have shape {(len(weight),)}, got shape {bias.shape}")
        parts.append(Part(weight, bias))
    params: Network = _joined(kind, parts)
    _check(params)
    return params


def split(params: Any, *, lifted: bool = False) -> list[Part]:
    """The layers of a network, in the table's order; ``lifted``: the last column of a TwoLayer's W is the bias."""
    _check(params)
    found: list[tuple[Any, Any]]
    match params:
        case OneHidden(W, b, u, c) | Relu(W, b, u, c) | Cosines(W, b, u, c):
            found = [(W, b), _row(u, c)]
        case Gated(G, W, b, u, c):
            found = [(G, None), (W, b), _row(u, c)]
        case Linearised(Relu(W_0, b_0, u_0, c_0), W, b, u, c):
            found = [(W_0, b_0), _row(u_0, c_0), (W, b), _row(u, c)]
        case ParityNet(W, b, u):
            found = [(W, b), _row(u)]
        case TwoLayer(W, v):
            found = [_unlifted(W) if lifted else (W, None), _row(v)]
        case Layer2(W, A):
            found = [_unlifted(W), (A, None)]
        case _:
            W, V, A = params
            found = [_unlifted(W), _unlifted(V), (A, None)]
    return [Part(_floats(weight), None if bias is None else _floats(bias)) for weight, bias in found]


def _joined(kind: type[Any], parts: list[Part]) -> Any:
    if kind is OneHidden:
        (W, B), (M, b) = parts
        return OneHidden(W, B, M[0], float(b[0]))
    if kind is Linearised:
        return Linearised(_joined(Relu, parts[:2]), *_joined(Relu, parts[2:]))
    if kind in (Relu, Gated, Cosines):
        *gates, hidden, (u, c) = parts
        return kind(*(gate.weight for gate in gates), *hidden, u[0], c.reshape(()))
    if kind is ParityNet:
        (W, b), (u, _) = parts
        return ParityNet(W, b, u[0])
    if kind is TwoLayer:
        hidden, (v, _) = parts
        return TwoLayer(_lifted(hidden), v[0])
    return kind(*map(_lifted, parts))


def _floats(part: Any) -> NDArray[Any]:
    """Of a type that PyTorch has, too: as it is, or else float64."""
    array = np.asarray(part)
    return array if array.dtype in (np.float16, np.float32) else array.astype(np.float64)


def _row(u: Any, c: Any = None) -> tuple[Any, Any]:
    """A readout of one output."""
    return np.asarray(u)[None], None if c is None else np.reshape(c, 1)


def _unlifted(W: Any) -> Part:
    return Part(np.asarray(W)[:, :-1], np.asarray(W)[:, -1])


def _lifted(part: Part) -> NDArray[Any]:
    return part.weight if part.bias is None else np.column_stack([part.weight, part.bias])


def _numpy(tensor: torch.Tensor) -> NDArray[np.float64]:
    copied: NDArray[np.float64] = tensor.detach().to(device="cpu", dtype=torch.float64, copy=True).numpy()
    return copied


def _check(params: Any) -> None:
    """Refuse a network whose shapes do not agree or whose entries are not finite: its forward pass says so."""
    columns = door(params).matrix("params.W", params.W).shape[1]
    one = np.zeros((1, columns - isinstance(params, residual.Network)))
    match params:
        case OneHidden():
            one_hidden.forward(params, one)
        case ParityNet():
            parity.forward(params, one)
        case TwoLayer():
            separable.forward(params, one, alpha=0.0)
        case ResNet3() | Layer3() | Layer2():
            residual.forward(params, one)
        case _:
            strips.forward(params, one)


def named(kind: type[Any], layers: tuple[Any, ...], *, filled: bool = True) -> dict[str, Layer]:
    """The layers by name; ``filled``: which will be filled, and not only read."""
    wanted = LAYERS.get(kind)
    if wanted is None:
        known = ", ".join(one.__name__ for one in LAYERS)
        raise RequestError(f"the network must be one of {known}, got {getattr(kind, '__name__', kind)}")
    if len(layers) != len(wanted):
        names = ", ".join(wanted)
        raise RequestError(f"layers must be those of a {kind.__name__}, {names}, got {len(layers)} of them")
    return {
        name: given(name, layer, bias=bias, filled=filled)
        for (name, bias), layer in zip(wanted.items(), layers, strict=True)
    }
