"""The models that have compiled loops: what their parameters are, and which of them can be trained here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from learnability.networks import strips
from learnability.training.minibatch.fused import loops

__all__ = ["MODELS", "Layer", "flat"]


class Layer(NamedTuple):
    """A network of one hidden layer and one output."""

    code: int
    fields: tuple[str, ...]
    """Of its parameters."""
    fixed: tuple[str, ...] = ()
    """Those that stay as they are."""

    def sizes(self, params: Mapping[str, Any], trained: Sequence[str], stacked: bool) -> tuple[int, int] | None:
        """Units and inputs; None where these parameters are not the model's, or what is fixed is trained."""
        if set(params) != set(self.fields) or set(trained) & set(self.fixed):
            return None
        parts = flat(params)
        shapes = {name: np.shape(part)[1 if stacked else 0 :] for name, part in parts.items()}
        if len(shapes["W"]) != 2 or 0 in shapes["W"]:
            return None
        p, n = shapes["W"]
        wanted = {"c": (), "start c": ()} | dict.fromkeys(("W", "G", "start W"), (p, n))
        right = all(shape == wanted.get(name, (p,)) for name, shape in shapes.items())
        return (p, n) if right and all(np.asarray(part).dtype.kind in "biuf" for part in parts.values()) else None


def flat(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by name, those of a network inside by ``start`` and its own."""
    inner = params.get("start")
    others = {name: part for name, part in params.items() if name != "start"}
    return {**others, **{f"start {name}": getattr(inner, name, None) for name in "Wbuc" if inner is not None}}


MODELS: Mapping[Callable[[Any, Any], Any], Layer] = {
    strips.relu: Layer(loops.RELU, ("W", "b", "u", "c")),
    strips.gated: Layer(loops.GATED, ("G", "W", "b", "u", "c"), ("G",)),
    strips.linearised: Layer(loops.LINEARISED, ("start", "W", "b", "u", "c"), ("start",)),
    strips.cosine: Layer(loops.COSINE, ("W", "phase", "u", "c"), ("W", "phase")),
}
"""By the forward function."""
