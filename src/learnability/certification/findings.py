"""What is found out about the examples before anything is trained: scaling, margins, certificates, the split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability import checks
from learnability.certification.options import Options
from learnability.checks import FloatArray
from learnability.datasets.records import DataSet
from learnability.problems.separable import into_unit_ball, with_bias
from learnability.seeding import generator
from learnability.theory.margins import HardMargin, hard_margin
from learnability.theory.margins.removal import SeparableSubset, separable_subset

__all__ = ["Findings", "Inputs", "Margins", "find", "labels_of_two_values", "prepare"]

ROUNDING = 1e-9
"""By how much a norm may exceed 1 where the inputs are taken as they are."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """The examples as the theorems ask for them."""

    data: DataSet
    V: FloatArray
    """(m, d), norms at most 1."""
    how: str
    """What was done to the inputs, in one sentence."""
    norm: float
    """The largest norm."""
    constants: dict[str, Any] | None
    """The numbers of the scaling; ``None`` if there is none."""


@dataclass(frozen=True, eq=False)
class Margins:
    """The hard margin of some examples; if there is none, also that of a separable part."""

    margin: HardMargin
    subset: SeparableSubset | None
    """``None`` if the examples are separable."""

    @property
    def rest(self) -> HardMargin | None:
        """The margin of the separable part, which is everything where possible; ``None`` if nothing is left."""
        return self.margin if self.subset is None else self.subset.rest

    @property
    def w_norm(self) -> float | None:
        """|w*| of the separable part, from the certified margin; ``None`` if nothing is left."""
        rest = self.rest
        return 1.0 / rest.margin if rest is not None and rest.separable else None


@dataclass(frozen=True, eq=False)
class Findings:
    """Margins of the whole and of the part that is trained on."""

    whole: Margins
    sample: Margins
    train: NDArray[np.intp]
    """Indices of the training sample S, in the order of :attr:`X`."""
    X: FloatArray
    """(n, d), S."""
    y: FloatArray
    X_test: FloatArray
    y_test: FloatArray
    kept: NDArray[np.bool_]
    """(n,): the part of S that is separable."""
    setters: NDArray[np.intp]
    """Indices of examples that set the scale, of S or not: any part of the data that holds them is scaled alike."""


def labels_of_two_values(y: Any) -> tuple[FloatArray, tuple[object, object]]:
    """Labels -1 and +1 for a vector of two values, the larger of which is +1, and what they stand for.

    Raises
    ------
    ValueError
        If there are not exactly two values, or one is missing.
    """
    values = np.asarray(y)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"y must be one-dimensional with at least one label, got shape {values.shape}")
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):
        values = values.astype(str)
    if values.dtype.kind not in "biufUS":
        raise ValueError(f"y must hold numbers, text or truth values, got dtype {values.dtype}")
    if values.dtype.kind == "f":
        checks.vector("y", values)
    found = np.unique(values)
    if len(found) != 2:
        shown = ", ".join(map(repr, found[:4].tolist())) + (", ..." if len(found) > 4 else "")
        raise ValueError(f"y must hold exactly two values, got {len(found)}: {shown}")
    low, high = found.tolist()
    return np.where(values == found[1], 1.0, -1.0), (low, high)


def prepare(data: DataSet, options: Options) -> Inputs:
    """Scale the inputs into the unit ball; everything that may be wrong with a request is found out here.

    Raises
    ------
    ValueError
        If the inputs cannot be scaled, or have norms above 1 where they are not to be scaled.
    """
    X = checks.matrix("X", data.X)
    checks.labels("y", data.y, length=len(X))
    constants: dict[str, Any] | None = None
    if options.scale == "none":
        V, how = X, "inputs taken as they are"
    else:
        V, scaling = into_unit_ball(X, options.scale)
        how = scaling.describe()
        constants = {
            "centre": np.asarray(scaling.centre).tolist(),
            "divisor": np.asarray(scaling.divisor).tolist(),
            "radius": float(scaling.radius),
        }
    norm = _largest_norm(V)
    if norm > 1 + ROUNDING:
        raise ValueError(f"X must have rows of norm <= 1 with scale 'none', got norm {norm:.6g}")
    if options.bias:
        V = with_bias(V)
        how += "; then x becomes (x, 1) / sqrt(2), so that the hyperplane has an offset"
        norm = _largest_norm(V)
    return Inputs(data, V, how, norm, constants)


def _tests(m: int, options: Options) -> int:
    """Examples to test on: the share asked for, but at least one is left to train on."""
    return min(round(options.test * m), m - 1)


def _largest_norm(X: FloatArray) -> float:
    return float(np.sqrt(np.einsum("ij,ij->i", X, X).max()))


def find(inputs: Inputs, options: Options) -> Findings:
    """Margins or certificates of all examples and of a random training sample."""
    V, y = inputs.V, inputs.data.y
    whole = _margins(V, y)
    order = generator(options.seed, "certify", "split").permutation(len(V))
    tests = _tests(len(V), options)
    train, test = np.sort(order[tests:]), np.sort(order[:tests])
    X, labels = V[train], y[train]
    sample = _margins(X, labels) if tests else whole
    kept = np.ones(len(X), dtype=bool)
    if sample.subset is not None:
        kept[sample.subset.removed] = False
    setters = _setters(inputs, train, options)
    return Findings(whole, sample, train, X, labels, V[test], y[test], kept, setters)


def _setters(inputs: Inputs, train: NDArray[np.intp], options: Options) -> NDArray[np.intp]:
    """One with the largest norm; for ranges also one at each end of each feature; all, if moments are taken.

    Training examples and those already chosen first.
    """
    if options.scale in ("none", "standard"):
        return np.arange(len(inputs.V) if options.scale == "standard" else 0)
    squares = np.einsum("ij,ij->i", inputs.V, inputs.V)
    order = np.concatenate([train, np.setdiff1d(np.arange(len(squares)), train)])
    chosen = [int(order[(squares >= squares.max() * (1 - 1e-12))[order].argmax()])]
    if options.scale == "range":
        for feature in np.asarray(inputs.data.X).T:
            for end in (feature.min(), feature.max()):
                if not (feature[chosen] == end).any():
                    chosen.append(int(order[(feature == end)[order].argmax()]))
    return np.array(chosen)


def _margins(V: FloatArray, y: FloatArray) -> Margins:
    margin = hard_margin(V, y)
    return Margins(margin, None if margin.separable else separable_subset(V, y))
