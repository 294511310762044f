"""What is found out about the examples before anything is trained: the split, scaling, margins, certificates.

The split comes first, and the training sample S alone sets the scale. So the trained network is a function of S, and
of fewer: of the examples that caused an update and those that set the scale (the ends of the ranges and the largest
norm), from which the same map comes out. Test examples are mapped by the same numbers and may leave the unit ball.

* Nothing asks for their norms. Bounds on updates are about the examples visited, all of S. Compression bounds, and
  the binomial limit of a test sample, are about any function of few of the examples (of none of the test sample),
  whatever norm its further inputs have.
* The map is affine and one to one, so that a hyperplane with an offset separates all examples after it if and only if
  one did before. Their w*, in the same map, has y <w*, x> >= 1 on S too: Theorem 2 and Corollary 3 hold for SGD on S
  with any such vector, the shortest or not, and so with the |w*| of all examples. Only the norms of S enter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability import checks, shown
from learnability.certification.options import Options
from learnability.checks import FloatArray
from learnability.datasets.records import DataSet
from learnability.errors import RequestError
from learnability.problems.separable import into_unit_ball, with_bias
from learnability.seeding import generator
from learnability.theory.margins import HardMargin, hard_margin
from learnability.theory.margins.removal import SeparableSubset, separable_subset

__all__ = ["Findings", "Inputs", "Margins", "find", "prepare", "setting"]

ROUNDING = 1e-9
"""By how much a norm may exceed 1 where the inputs are taken as they are."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """The examples as the theorems ask for them."""

    data: DataSet
    V: FloatArray
    """(m, d), norms at most 1 on the training sample."""
    how: str
    """What was done to the inputs, in one sentence."""
    norm: float
    """The largest norm of the training sample."""
    constants: dict[str, Any] | None
    """The numbers of the scaling; ``None`` if there is none."""
    train: NDArray[np.intp]
    """(n,), increasing: the training sample S."""
    test: NDArray[np.intp]
    """(m - n,), increasing: the others."""
    setters: NDArray[np.intp]
    """Examples of S that set the scale: from any part of S that holds them the same map comes out."""


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
    """(n,): the training sample S, in the order of :attr:`X`."""
    X: FloatArray
    """(n, d), S."""
    y: FloatArray
    X_test: FloatArray
    y_test: FloatArray
    kept: NDArray[np.bool_]
    """(n,): the part of S that is separable."""
    setters: NDArray[np.bool_]
    """(n,): the examples of S that set its scale."""
    rows: NDArray[np.intp]
    """(m,): the numbers of all examples where they come from, counted from 1."""


def prepare(data: DataSet, options: Options) -> Inputs:
    """Split, and scale the inputs; everything that may be wrong with a request is found out here.

    Raises
    ------
    ValueError
        If the inputs cannot be scaled, or have norms above 1 where they are not to be scaled, or if norms are asked
        for of integers of which only the differences are known.
    """
    X = checks.matrix("X", data.X)
    checks.labels("y", data.y, length=len(X))
    _check_offsets(data, options)
    order = generator(options.seed, "certify", "split").permutation(len(X))
    tests = _tests(len(X), options)
    train, test = np.sort(order[tests:]), np.sort(order[:tests])
    constants: dict[str, Any] | None = None
    setters = np.arange(0)
    if options.scale == "none":
        V, how = X, "inputs taken as they are"
        norm = _largest_norm(V)
        if norm > 1 + ROUNDING:
            raise RequestError(f"X must have rows of norm <= 1 with scale 'none', got norm {norm:.6g}")
    else:
        V, scaling = into_unit_ball(X, options.scale, sample=train if tests else None)
        setters = setting(X, train, scaling.farthest, options.scale)
        number = "one of which sets" if len(setters) == 1 else f"{len(setters):,} of which set"
        how = f"{scaling.describe()}; by the training sample, {number} the scale and count as used"
        constants = {
            "centre": np.asarray(scaling.centre).tolist(),
            "divisor": np.asarray(scaling.divisor).tolist(),
            "radius": float(scaling.radius),
            "offsets": {name: int(offset) for name, offset in data.offsets.items()},
        }
    if options.bias:
        V = with_bias(V)
        how += "; then x becomes (x, 1) / sqrt(2), so that the hyperplane has an offset"
    return Inputs(data, V, how, _largest_norm(V, train), constants, train, test, setters)


def _check_offsets(data: DataSet, options: Options) -> None:
    """Of integers beyond float64's only differences are held, exactly: enough where a centre is subtracted."""
    if data.offsets and options.scale in ("norm", "none"):
        names = [shown.quoted(name, 40) for name in data.offsets]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise RequestError(
            f"scale must be 'range' or 'standard' (--scale range) for the integers beyond 2^53 in "
            f"{', '.join(names[:5])}{more}, of which only differences are exact in float64, got {options.scale!r}"
        )


def _tests(m: int, options: Options) -> int:
    """Examples to test on: the share asked for, but at least one is left to train on."""
    return min(round(options.test * m), m - 1)


def _largest_norm(V: FloatArray, rows: NDArray[np.intp] | slice = slice(None)) -> float:
    return float(np.sqrt(np.einsum("ij,ij->i", V, V)[rows].max()))


def setting(X: FloatArray, train: NDArray[np.intp], farthest: int, how: str) -> NDArray[np.intp]:
    """The examples that set the scale.

    The one with the largest norm; for ranges also one at each end of each feature; all, if moments are taken.

    Where one of those already chosen is at an end, it will do.
    """
    if how == "standard":
        return train
    chosen = [farthest]
    if how == "range":
        for column in X.T:
            feature = column[train]
            for end in (feature.min(), feature.max()):
                if not (column[chosen] == end).any():
                    chosen.append(int(train[(feature == end).argmax()]))
    return np.array(chosen)


def find(inputs: Inputs, options: Options, advance: Callable[[str, str], None] | None = None) -> Findings:
    """Margins or certificates of all examples and of the training sample.

    ``advance`` is called with a few words before each part (two, or four where examples have to be left out), and now
    and then with the same and how far it has come.
    """
    advance = advance or (lambda part, detail: None)
    V, y, train, test = inputs.V, inputs.data.y, inputs.train, inputs.test
    whole = _margins(V, y, f"all {len(y):,} examples", advance)
    X, labels = V[train], y[train]
    sample = _margins(X, labels, f"{len(train):,} training examples", advance) if len(test) else whole
    kept = np.ones(len(X), dtype=bool)
    if sample.subset is not None:
        kept[sample.subset.removed] = False
    rows = np.arange(1, len(y) + 1) if inputs.data.rows is None else np.asarray(inputs.data.rows)
    setters = np.isin(train, inputs.setters)
    return Findings(whole, sample, train, X, labels, V[test], y[test], kept, setters, rows)


def _margins(V: FloatArray, y: FloatArray, what: str, advance: Callable[[str, str], None]) -> Margins:
    part = f"margin of {what}"
    advance(part, "")
    margin = hard_margin(V, y, advance=partial(advance, part))
    if margin.separable:
        return Margins(margin, None)
    part = f"not separable, which of {what} to leave out"
    advance(part, "")
    return Margins(margin, separable_subset(V, y, advance=partial(advance, part)))
