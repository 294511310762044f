"""The theorems of the separable study beside one run of :class:`learnability.estimators.LeakyReluClassifier`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.certification.statements import applies, is_vacuous
from learnability.checks import FloatArray
from learnability.networks.separable import TwoLayer
from learnability.studies.separable.theorems.thm2_thm6 import relaxed_bound, theorem2, theorem6
from learnability.studies.separable.theorems.thm5_compression import consistent_compression, theorem5
from learnability.theory import Guarantee
from learnability.theory.margins import HardMargin

__all__ = ["ERRORS", "Run", "error_bound", "statements"]

ERRORS = 3
"""Bounds on the error that share delta: Theorem 5, its sharper form, Theorem 6."""


class Run(NamedTuple):
    """What a run of SGD left behind."""

    start: TwoLayer
    updates: int
    converged: bool
    used: NDArray[np.bool_]
    """(m,): the examples that caused an update."""
    wrong: NDArray[np.bool_]
    """(m,): those that are not classified correctly in the end."""
    ratios: tuple[float, float] | None
    """The least and largest v_t / v_0, where the second layer was trained too."""


def statements(
    X: FloatArray,
    margin: HardMargin,
    run: Run,
    setters: NDArray[np.intp],
    *,
    eta: float,
    alpha: float,
    delta: float,
) -> tuple[Guarantee, ...]:
    """Theorem 2 (of both layers: Equation 13), then the bounds on the error.

    Parameters
    ----------
    X : array (m, d)
        The examples as SGD saw them.
    margin : HardMargin
        Of them.
    run : Run
        From a start that was drawn independently of them, with their order.
    setters : array
        The examples that set the scale: the network depends on them, used or not.
    eta, alpha : float
    delta : float
        With probability 1 - delta all bounds on the error hold.
    """
    units = len(run.start.v)
    v = float(np.abs(run.start.v).max())
    step: dict[str, Any] = {"w_norm": 1 / margin.margin if margin.separable else None, "eta": eta, "alpha": alpha}
    step["input_norm"] = math.sqrt(float(np.einsum("ij,ij->i", X, X).max()))
    rows = float(np.linalg.norm(run.start.W, axis=1).max())
    network: dict[str, Any] = {"k": units // 2, "v": v, "R": 1 / math.sqrt(units), "row_norm": rows}
    counted: dict[str, Any] = {"updates": run.updates, "ended": run.converged}
    if run.ratios is None:
        updates = theorem2(**step, **network, **counted)
    else:
        c, C = run.ratios
        updates = relaxed_bound(**step, **network, **counted, c=c, C=C)
    kept = run.used.copy()
    kept[setters] = True
    unused = run.wrong[~kept]
    mistakes = float(unused.mean()) if len(unused) else 0.0
    size = int(np.count_nonzero(kept))
    coded: dict[str, Any] = {"n": len(X), "size": size, "delta": delta / ERRORS, "coded": "examples"}
    errors = [
        theorem5(validation_error=mistakes, **coded),
        consistent_compression(consistent=not unused.any(), **coded),
    ]
    if run.ratios is None:
        loss_zero = run.converged and (alpha > 0 or not run.wrong.any())
        errors.append(theorem6(n=len(X), delta=delta / ERRORS, **step, further=len(setters), converged=loss_zero))
    return (updates, *errors)


def error_bound(guarantees: Iterable[Guarantee]) -> float | None:
    """The least bound on the error that is below 1 and whose hypotheses hold; they may be chosen from afterwards."""
    bounds = [g.bound for g in guarantees if g.bound is not None and applies(g) and not is_vacuous(g)]
    return min(bounds, default=None)
