"""The papers' hinge loss."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from learnability import checks
from learnability.errors import RequestError

__all__ = ["hinge_loss"]


def hinge_loss(outputs: ArrayLike, labels: ArrayLike, *, beta: float = 1.0, ties: bool = False) -> jax.Array:
    """The hinge losses max(0, beta - y f), an entry an example, with the derivative at the kink that a paper means.

    Parameters
    ----------
    outputs, labels : arrays (...)
        Of one shape; labels -1 or +1. Others (0 and 1, say) are refused, unless the labels are traced (under ``jit``,
        ``vmap`` or ``scan``) and so have no values yet.
    beta : float
        >= 0. Brutzkus et al. and Daniely & Malach have 1, and an example with y f = 1 changes nothing.
    ties : bool
        Whether an example with y f = beta has the derivative -y, and not 0. Nachum & Yehudayoff count it as a mistake
        (Algorithm 1), and must: with beta = 0 their network starts at output 0 = beta everywhere.

    Raises
    ------
    RequestError
        If the shapes differ, a label is seen to be another number, or ``beta`` is out of range.
    """
    f, y = jnp.asarray(outputs), jnp.asarray(labels)
    if f.shape != y.shape:
        raise RequestError(f"labels must have the shape of outputs, {f.shape}, got {y.shape}")
    if not isinstance(y, jax.core.Tracer):
        seen = np.asarray(y)
        wrong = (seen != 1) & (seen != -1)
        if wrong.any():
            raise RequestError(f"labels must be -1 or 1, got {seen[wrong][0]}")
    slack = checks.real("beta", beta, at_least=0.0) - y * f
    return jnp.where(slack < 0 if ties else slack <= 0, jnp.zeros_like(slack), slack)
