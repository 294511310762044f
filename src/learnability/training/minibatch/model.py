"""What is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from learnability.training.minibatch.optimisers import Rule

__all__ = ["Model"]


class Model(NamedTuple):
    """What is trained, and how: everything that compiled code depends on beside shapes."""

    apply: Callable[[Any, Any], Any]
    loss: str | Callable[[Any, Any], Any]
    rule: Rule
    kind: type
    """Of the parameters: a NamedTuple's class, or dict."""
    dtype: str
    stacked: bool
    """Whether the parameters given have a leading axis of runs."""
