"""Optimisers for :mod:`learnability.training.minibatch`, by optax, with the meaning they have in PyTorch.

A rule is called with a learning rate and a weight decay, which may be traced arrays (so that runs which differ in
them are trained together), and returns an :class:`optax.GradientTransformation`. Any hashable callable of that form
is a rule; those here are frozen dataclasses. With gradient g at parameters θ, learning rate η and weight decay ω:

- :class:`Sgd`: v ← μ v + (g + ω θ), θ ← θ − η v;
- :class:`Adadelta`: g ← g + ω θ, a ← ρ a + (1−ρ) g², d = g √(b+ε) / √(a+ε), b ← ρ b + (1−ρ) d², θ ← θ − η d;
- :class:`Adam`: the usual one, on g + ω θ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from learnability import checks
from learnability.errors import RequestError

if TYPE_CHECKING:
    import optax

__all__ = ["Adadelta", "Adam", "Rule", "Sgd"]

Rule = Callable[[Any, Any], "optax.GradientTransformation"]
"""(learning rate, weight decay) -> transformation."""


@dataclass(frozen=True)
class Sgd:
    """Gradient descent with momentum: PyTorch's ``SGD(momentum=..., weight_decay=...)``.

    Parameters
    ----------
    momentum : float
        μ, in [0, 1).
    """

    momentum: float = 0.0

    def __post_init__(self) -> None:
        _below_one("momentum", self.momentum)

    def __call__(self, learning_rate: Any, weight_decay: Any) -> optax.GradientTransformation:
        """The transformation, see the module."""
        import optax

        return optax.chain(
            optax.add_decayed_weights(weight_decay),
            *([optax.trace(self.momentum)] if self.momentum else []),
            optax.scale(-learning_rate),
        )


@dataclass(frozen=True)
class Adadelta:
    """Zeiler's Adadelta, in which PyTorch and Keras agree but for their defaults.

    The usual learning rate is 1 (Zeiler's paper, PyTorch, old Keras); in Keras, since TensorFlow holds it, 0.001.

    Parameters
    ----------
    rho : float
        ρ, in [0, 1). Keras has 0.95, PyTorch 0.9.
    epsilon : float
        ε > 0. Keras has 1e-7, PyTorch 1e-6.
    """

    rho: float = 0.95
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        _below_one("rho", self.rho)
        checks.real("epsilon", self.epsilon, above=0.0)

    def __call__(self, learning_rate: Any, weight_decay: Any) -> optax.GradientTransformation:
        """The transformation, see the module."""
        import optax

        return optax.chain(
            optax.add_decayed_weights(weight_decay),
            optax.scale_by_adadelta(rho=self.rho, eps=self.epsilon),
            optax.scale(-learning_rate),
        )


@dataclass(frozen=True)
class Adam:
    """Kingma and Ba's Adam: PyTorch's ``Adam(betas=..., eps=..., weight_decay=...)``.

    Parameters
    ----------
    beta1, beta2 : float
        Of the two moving averages, in [0, 1).
    epsilon : float
        Added to the root, > 0.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _below_one("beta1", self.beta1)
        _below_one("beta2", self.beta2)
        checks.real("epsilon", self.epsilon, above=0.0)

    def __call__(self, learning_rate: Any, weight_decay: Any) -> optax.GradientTransformation:
        """The transformation, see the module."""
        import optax

        return optax.chain(
            optax.add_decayed_weights(weight_decay),
            optax.scale_by_adam(b1=self.beta1, b2=self.beta2, eps=self.epsilon),
            optax.scale(-learning_rate),
        )


def _below_one(name: str, value: float) -> None:
    if checks.real(name, value, at_least=0.0) >= 1:
        raise RequestError(f"{name} must be < 1, got {value!r}")
