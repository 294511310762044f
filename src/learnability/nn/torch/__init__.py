"""The papers' networks, starts and losses for PyTorch.

- :func:`symmetry_`, :func:`parity_`, :func:`separable_`, :func:`residual_`, :func:`strips_`: the papers' starts, in
  the manner of ``torch.nn.init``, for layers of any model.
- :class:`SymmetryNetwork`, :class:`ParityNetwork`, :class:`SeparableNetwork`, :class:`ResidualNetwork`,
  :class:`StripsNetwork`: the papers' forward passes as modules, made from parameters in NumPy arrays and giving them
  back (``to_numpy``).
- :func:`copy_` and :func:`read`: the same conversion for the layers of any model, or of a state dict.
- :func:`hinge_loss`: with the derivative at the kink that a paper means.

Trained by ``torch.optim`` on the same examples in the same order these make the updates of
:mod:`learnability.training`, one by one (``tests/test_nn_training.py``).
"""

from __future__ import annotations

from learnability import extras

if extras.absent("torch"):
    extras.need("torch", __name__)

from learnability.nn.torch.conversion import copy_, read
from learnability.nn.torch.initialisations import parity_, residual_, separable_, strips_, symmetry_
from learnability.nn.torch.layers import LayerLike
from learnability.nn.torch.losses import hinge_loss
from learnability.nn.torch.networks import (
    ParityNetwork,
    ResidualNetwork,
    SeparableNetwork,
    StripsNetwork,
    SymmetryNetwork,
)

__all__ = [
    "LayerLike",
    "ParityNetwork",
    "ResidualNetwork",
    "SeparableNetwork",
    "StripsNetwork",
    "SymmetryNetwork",
    "copy_",
    "hinge_loss",
    "parity_",
    "read",
    "residual_",
    "separable_",
    "strips_",
    "symmetry_",
]
