"""The papers' networks, starts and losses for JAX: parameters are pytrees, everything else is a pure function.

A network's parameters are the package's NamedTuple of arrays (:class:`~learnability.networks.one_hidden.OneHidden`,
:class:`~learnability.networks.parity.ParityNet`, :class:`~learnability.networks.separable.TwoLayer`,
:class:`~learnability.networks.residual.ResNet3`, :class:`~learnability.networks.strips.Relu` and their like), which
JAX takes for a pytree. ``*_init`` draws a start with a key of ``jax.random``, ``*_apply`` is the forward pass with
the papers' derivatives at the kinks; both jit and vmap, and the latter differentiates. Sizes and other plain
arguments are static.

Numbers are of JAX's type, float32 unless ``jax_enable_x64`` is on. The theorems' steps need float64: with h = n^-6 a
first layer in float32 never moves. Of traced arrays shapes are checked, and nothing else can be.
"""

from __future__ import annotations

from learnability import extras

if extras.absent("jax"):
    extras.need("jax", __name__)

from learnability.nn.jax.conversion import to_jax, to_numpy
from learnability.nn.jax.initialisations import (
    parity_init,
    residual_init,
    separable_init,
    strips_init,
    symmetry_init,
)
from learnability.nn.jax.losses import hinge_loss
from learnability.nn.jax.networks import parity_apply, residual_apply, separable_apply, strips_apply, symmetry_apply

__all__ = [
    "hinge_loss",
    "parity_apply",
    "parity_init",
    "residual_apply",
    "residual_init",
    "separable_apply",
    "separable_init",
    "strips_apply",
    "strips_init",
    "symmetry_apply",
    "symmetry_init",
    "to_jax",
    "to_numpy",
]
