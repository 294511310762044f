"""Networks with one hidden layer, ``x -> M . act(W x + B) + b``, and their random initialisations."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["OneHidden"]


class OneHidden(NamedTuple):
    """Parameters of a network with one hidden layer, in the symbols of Nachum & Yehudayoff."""

    W: NDArray[Any]
    """Hidden weights, (L, n)."""
    B: NDArray[Any]
    """Hidden biases, (L,)."""
    M: NDArray[Any]
    """Output weights, (L,)."""
    b: Any
    """Output bias, a scalar."""
