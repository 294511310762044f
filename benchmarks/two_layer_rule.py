"""What every loop of the two-layer benchmark takes and returns."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.networks.separable import TwoLayer

Array = NDArray[Any]


class Rule(NamedTuple):
    """What is done at a visit."""

    eta: float
    alpha: float
    layers: str

    @property
    def both(self) -> bool:
        """Whether the second layer is trained too."""
        return self.layers == "both"


class Run(NamedTuple):
    """Network after the visits (float64), which of them made an update, and the loop's seconds."""

    params: TwoLayer
    updated: NDArray[np.bool_]
    seconds: float


Loop = Callable[[TwoLayer, Array, Array, Array, Rule, str], Run]


class Competitor(NamedTuple):
    """A loop and the module it needs."""

    label: str
    loop: Loop
    needs: str = "numpy"
    sparse: bool = False
    """Uses that entries of the inputs are 0: counted apart from the loops that do not."""

    @property
    def compiled(self) -> bool:
        """Whether the first call with so many visits takes longer."""
        return self.needs in ("numba", "jax")

    @property
    def installed(self) -> bool:
        """Whether the module that it needs can be found."""
        return importlib.util.find_spec(self.needs) is not None


def finished(W: Array, v: Array, updated: Array, seconds: float) -> Run:
    """The end of a loop, in float64."""
    return Run(TwoLayer(W.astype(np.float64), v.astype(np.float64)), updated, seconds)
