"""The papers' networks as modules: made from parameters in NumPy arrays, and giving them back.

A module starts where its parameters are, in their type (float64 as the package's starts are drawn; ``dtype`` and
``Module.to`` change it) and has ordinary ``nn.Linear`` layers under names of their own, so that optimisers, state
dicts, ``torch.compile`` and the starts of :mod:`learnability.nn.torch.initialisations` see nothing unusual. Forward
passes are the papers', and so are the derivatives at the kinks, which differ from PyTorch's for the leaky ReLU and
for the ResNet's ReLU; an input that is NaN makes the output NaN.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from learnability import checks
from learnability.errors import RequestError
from learnability.networks.one_hidden import ACTIVATIONS, OneHidden
from learnability.networks.parity import ParityNet
from learnability.networks.residual import ResNet3
from learnability.networks.separable import TwoLayer, slope
from learnability.networks.strips import MODELS, Cosines, Gated, Linearised, Network, kind_of
from learnability.nn.torch.conversion import LAYERS, copy_, read, split
from learnability.nn.torch.layers import TYPES

__all__ = ["ParityNetwork", "ResidualNetwork", "SeparableNetwork", "StripsNetwork", "SymmetryNetwork"]

TRAINED = ("first", "both")


class _Network(nn.Module):
    """Layers by name, from and to a NamedTuple of arrays."""

    def __init__(self, kind: type[Any], params: Any, device: Any, dtype: torch.dtype | None) -> None:
        if not isinstance(params, kind):
            raise RequestError(f"params must be a {kind.__name__}, got {type(params).__name__}")
        if dtype is not None and dtype not in TYPES:
            raise RequestError(f"dtype must be one of {', '.join(map(str, TYPES))} or None, got {dtype!r}")
        super().__init__()
        self.kind, self.names = kind, tuple(LAYERS[kind])
        device = torch.get_default_device() if device is None else device
        for name, part in zip(self.names, split(params), strict=True):
            own = getattr(torch, str(part.weight.dtype)) if dtype is None else dtype
            out, into = part.weight.shape
            # the numbers follow: nothing is drawn, from a generator that others use too
            linear = nn.utils.skip_init(nn.Linear, into, out, bias=part.bias is not None, device=device, dtype=own)
            self.add_module(name, linear)
        copy_(params, *self.layers)

    @property
    def layers(self) -> tuple[nn.Linear, ...]:
        """The layers, in the order in which the starts and :func:`~learnability.nn.torch.read` take them."""
        return tuple(self.get_submodule(name) for name in self.names)

    def to_numpy(self) -> Any:
        """The parameters in NumPy arrays: a copy, in float64; for the engines, kernels and theorems of the package.

        Raises
        ------
        RequestError
            If an entry is not finite.
        """
        return read(self.kind, *self.layers)

    def _checked(self, X: Tensor) -> Tensor:
        if not isinstance(X, Tensor):
            raise RequestError(f"X must be a tensor, got {type(X).__name__}")
        inputs = self.layers[0].in_features
        if X.ndim == 0 or X.shape[-1] != inputs:
            raise RequestError(f"X must have {inputs} columns, got shape {tuple(X.shape)}")
        return X


class SymmetryNetwork(_Network):
    r"""One hidden layer, :math:`M \cdot act(W x + B) + b`: the network of Nachum & Yehudayoff.

    ``SymmetryNetwork(symmetry_init(20))`` stands at their start for 20 bits. Layers: ``hidden``, ``readout``.

    Parameters
    ----------
    params : OneHidden
        Where it starts; copied.
    activation : {"relu", "sigmoid"}
        ReLU, with derivative 0 at 0; or sigma(5 z).
    device, dtype
        As in ``nn.Linear``; the type of ``params`` if not given.

    Raises
    ------
    RequestError
        If ``params`` is none, not finite, or its shapes disagree.

    Examples
    --------
    >>> import torch
    >>> from learnability.networks.symmetry import represent_zigzag
    >>> network = SymmetryNetwork(represent_zigzag(4, {0, 2, 4}), dtype=torch.float32)
    >>> network(torch.tensor([[1.0, 1, 0, 0], [1, 1, 1, 0]])).tolist()
    [0.5, -0.5]
    """

    def __init__(
        self, params: OneHidden, activation: str = "relu", *, device: Any = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(OneHidden, params, device, dtype)
        self.activation = checks.choice("activation", activation, ACTIVATIONS)

    def forward(self, X: Tensor) -> Tensor:
        """The outputs (...) at the inputs ``X`` (..., n)."""
        z = self.hidden(self._checked(X))  # (..., L)
        v = torch.relu(z) if self.activation == "relu" else torch.sigmoid(5 * z)
        return self.readout(v).squeeze(-1)


class ParityNetwork(_Network):
    r"""Two layers of ReLU6 units, :math:`\sum_i u_i \sigma(\langle w_i, x \rangle + b_i)`: that of Daniely & Malach.

    Layers: ``hidden``, ``readout`` (no bias). The derivative of ReLU6 is 0 at 0 and at 6.

    Parameters
    ----------
    params : ParityNet
        Where it starts, for instance :func:`learnability.networks.parity.initial`; copied.
    device, dtype
        As in ``nn.Linear``; the type of ``params`` if not given.

    Raises
    ------
    RequestError
        If ``params`` is none, not finite, or its shapes disagree.
    """

    def __init__(self, params: ParityNet, *, device: Any = None, dtype: torch.dtype | None = None) -> None:
        super().__init__(ParityNet, params, device, dtype)

    def forward(self, X: Tensor) -> Tensor:
        """The outputs (...) at the inputs ``X`` (..., n)."""
        return self.readout(nn.functional.relu6(self.hidden(self._checked(X)))).squeeze(-1)


class SeparableNetwork(_Network):
    r"""Leaky ReLUs whose output weights are +v and -v, :math:`v^T \sigma(W x)`: the network of Brutzkus et al.

    Layers: ``hidden``, ``readout``, both without biases: append a constant coordinate to the inputs. The derivative
    at 0 is 1, and 0 for ``alpha`` = 0, the ReLU; that of ``nn.LeakyReLU`` is ``alpha``.

    Parameters
    ----------
    params : TwoLayer
        Where it starts, for instance :func:`learnability.networks.separable.initial`; copied.
    alpha : float
        Slope for negative numbers, 0 <= alpha < 1.
    layers : {"first", "both"}
        What is trained. ``"first"``, as in the theorems: ``readout.weight`` needs no gradient, so no optimiser moves
        it.
    device, dtype
        As in ``nn.Linear``; the type of ``params`` if not given.

    Raises
    ------
    RequestError
        If ``params`` is none, not finite, or its shapes disagree, or an argument is out of range.
    """

    def __init__(
        self,
        params: TwoLayer,
        alpha: float,
        *,
        layers: str = "first",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(TwoLayer, params, device, dtype)
        self.alpha = slope(alpha)
        self.readout.requires_grad_(checks.choice("layers", layers, TRAINED) == "both")

    def forward(self, X: Tensor) -> Tensor:
        """The outputs (...) at the inputs ``X`` (..., d)."""
        z = self.hidden(self._checked(X))  # (..., 2k)
        on = z >= 0 if self.alpha > 0 else z > 0
        return self.readout(torch.where(on, z, self.alpha * z)).squeeze(-1)


class ResidualNetwork(_Network):
    r"""The three-layer ResNet with a bottleneck that learns F + alpha G(F): the network of Allen-Zhu & Li.

    .. math:: out(x) = out_1(x) + A \sigma(V (out_1(x), 1)), \qquad out_1(x) = A \sigma(W (x, 1)).

    Layers: ``first`` (W), ``second`` (V), ``output`` (A, no bias), which is used twice and so gets both gradients.
    The derivative of ReLU at 0 is 1 here, the paper's 1[z >= 0]; that of ``torch.relu`` is 0.

    Parameters
    ----------
    params : ResNet3
        Where it starts, for instance ``initial(rng, "3resnet", d, k, m)`` of :mod:`learnability.networks.residual`;
        copied.
    device, dtype
        As in ``nn.Linear``; the type of ``params`` if not given.

    Raises
    ------
    RequestError
        If ``params`` is none, not finite, or its shapes disagree.
    """

    def __init__(self, params: ResNet3, *, device: Any = None, dtype: torch.dtype | None = None) -> None:
        super().__init__(ResNet3, params, device, dtype)

    def forward(self, X: Tensor) -> Tensor:
        """The outputs (..., k) at the inputs ``X`` (..., d)."""
        inner = self.output(_relu(self.first(self._checked(X))))  # (..., k)
        return inner + self.output(_relu(self.second(inner)))


class StripsNetwork(_Network):
    r"""A model of Daniely & Malach's MNIST-parity experiment: hidden units in one layer, on strips of digits.

    ===================== ============================== ============================================= ==============
    model                 output                         layers                                        not trained
    ===================== ============================== ============================================= ==============
    ``relu``              u · relu(W x + b) + c          hidden, readout
    ``gated``             u · (1[G x > 0] (W x + b)) + c gates, hidden, readout                        gates
    ``linearised``        the ReLU network's expansion   start_hidden, start_readout, hidden, readout  start_*
    ``relu_features``     u · relu(W x + b) + c          hidden, readout                               hidden
    ``gaussian_features`` u · cos(W x + phase) + c       hidden, readout                               hidden
    ===================== ============================== ============================================= ==============

    What is not trained needs no gradient, so no optimiser moves it. The derivative of ReLU at 0 is 0, and a gate is
    closed there; :mod:`learnability.networks.strips` says what the models are.

    Parameters
    ----------
    params : Relu, Gated, Linearised or Cosines
        Where it starts, for instance ``MODELS[model].start(rng, n, 512)`` of :mod:`learnability.networks.strips`;
        copied.
    model : {"relu", "gated", "linearised", "relu_features", "gaussian_features"}
    device, dtype
        As in ``nn.Linear``; the type of ``params`` if not given.

    Raises
    ------
    RequestError
        If ``params`` is not the model's, not finite, or its shapes disagree, or ``model`` is none of these.
    """

    def __init__(self, params: Network, model: str, *, device: Any = None, dtype: torch.dtype | None = None) -> None:
        super().__init__(kind_of(model), params, device, dtype)
        self.model = model
        trained = {"readout", "hidden"} if "W" in MODELS[model].trainable else {"readout"}
        for name, layer in zip(self.names, self.layers, strict=True):
            layer.requires_grad_(name in trained)

    def forward(self, X: Tensor) -> Tensor:
        """The outputs (...) at the inputs ``X`` (..., n)."""
        z = self.hidden(self._checked(X))  # (..., p)
        if self.kind is Cosines:
            outputs = self.readout(torch.cos(z))
        elif self.kind is Gated:
            outputs = self.readout((self.gates(X) > 0) * z)
        elif self.kind is Linearised:
            at = self.start_hidden(X)
            moved = nn.functional.linear((at > 0) * z, self.start_readout.weight)  # what W and b move
            outputs = self.readout(torch.relu(at)) + moved
        else:
            outputs = self.readout(torch.relu(z))
        return outputs.squeeze(-1)


def _relu(z: Tensor) -> Tensor:
    return torch.where(z < 0, torch.zeros_like(z), z)
