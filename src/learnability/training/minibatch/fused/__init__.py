"""The fused form of :mod:`learnability.training.minibatch`: networks of one hidden layer, compiled by LLVM.

A step's gradient is made a piece at a time, and the optimiser's step of those weights is done while they are in the
cache. Of inputs that are mostly 0, the non-zeros are taken. What a frozen layer makes of an example is the sum of
what it makes of its parts, each computed once.

The loops know the models of :mod:`learnability.networks.strips`, the rules Sgd, Adadelta and Adam, the three named
losses, and examples that are rows of a sample, strips of images, or fresh; :func:`plan` says whether a call is one of
these. What is done follows from the arguments' sizes and the share of zeros, never from a clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from learnability.training.minibatch.fused import rules
from learnability.training.minibatch.fused.group import Group, Plan
from learnability.training.minibatch.fused.models import MODELS
from learnability.training.minibatch.fused.parts import Parts
from learnability.training.minibatch.model import Model
from learnability.training.minibatch.sources import Source

__all__ = ["Group", "Parts", "Plan", "plan"]


def plan(
    model: Model, fields: Mapping[str, Any], trained: Sequence[str], sources: Sequence[Source], batch: int
) -> Plan | str:
    """How the fused form does a call, or why it does not.

    Parameters
    ----------
    model : Model
    fields : mapping
        Of the parameters; of them ``trained`` are trained.
    sources : sequence of Source
        What is trained on, then what is watched.
    batch : int
    """
    layer = MODELS.get(model.apply)
    if layer is None:
        return "apply must be a model of learnability.networks.strips"
    sizes = layer.sizes(fields, trained, model.stacked)
    if sizes is None:
        frozen = f" with {' and '.join(layer.fixed)} frozen" if layer.fixed else ""
        return f"params must be {', '.join(layer.fields)} of the model's shapes{frozen}"
    if rules.code(model.rule) is None:
        return "rule must be Sgd, Adadelta or Adam"
    if callable(model.loss):
        return "loss must be one of the named ones"
    found = [Parts.of(source, sizes[1]) for source in sources]
    order = found[0].order if found[0] else None
    known = {id(source): parts for source, parts in zip(sources, found, strict=True) if parts and parts.agrees(order)}
    if len(known) < len({id(source) for source in sources}):
        return f"sources must be examples of {sizes[1]} inputs and one label, strips of them, or fresh"
    return Plan(model, layer, *sizes, min(batch, sources[0].size), order, known)
