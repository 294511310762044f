"""Where the batches of :mod:`learnability.training.minibatch` come from.

A source names a store of arrays that stays on the device, what an epoch visits (drawn by NumPy, so that a reference
in NumPy sees the same), and how visits become examples (traced by JAX, batch by batch, so that composed examples
never stand in memory all at once). Three kinds of training are sources:

- a fixed sample in a fresh order for each epoch: :func:`examples`;
- examples composed of stored parts: :func:`learnability.problems.strips.gather` with a draw of indices;
- fresh examples for every epoch: :func:`fresh`, whose visits are the examples themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.errors import RequestError

__all__ = ["Source", "drawn", "examples", "fresh", "generator_of"]


@dataclass(frozen=True, eq=False)
class Source:
    """A stream of labelled examples, an epoch at a time.

    Parameters
    ----------
    size : int
        Examples in an epoch, >= 1.
    draw : callable (rng) -> visits
        What the next epoch visits: an array, or a tuple of arrays, with ``size`` rows each.
    gather : callable (store, visits) -> (X, y)
        The examples of some rows of the visits, in JAX: X (b, ...) and y (b,) or (b, r). A function of a module and
        not a closure, so that runs share its compilation.
    store : tuple of arrays
        What ``gather`` reads, the same for every epoch.
    repeats : bool
        Whether every epoch visits the same examples, so that an epoch without a gradient is the end of training.
    """

    size: int
    draw: Callable[[np.random.Generator], Any]
    gather: Callable[[Any, Any], tuple[Any, Any]]
    store: Any = ()
    repeats: bool = False

    def __post_init__(self) -> None:
        checks.integer("size", self.size, at_least=1)


def examples(X: ArrayLike, y: ArrayLike) -> Source:
    """A fixed sample, each epoch a fresh permutation of it.

    Parameters
    ----------
    X : (m, ...) array
        Finite; a row (or image, ...) an example.
    y : (m,) or (m, r) array
        Finite labels or targets.

    Raises
    ------
    ValueError
        If the arrays are empty, not finite, or of different lengths.
    """
    inputs, targets = np.asarray(X), np.asarray(y)
    if inputs.ndim < 2 or 0 in inputs.shape:
        raise RequestError(f"X must have shape (m >= 1, n >= 1, ...), got shape {inputs.shape}")
    if targets.ndim not in (1, 2) or 0 in targets.shape:
        raise RequestError(f"y must have shape (m,) or (m, r), got shape {targets.shape}")
    if len(targets) != len(inputs):
        raise RequestError(f"y must have as many rows as X, {len(inputs)}, got {len(targets)}")
    for name, array in (("X", inputs), ("y", targets)):
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise RequestError(f"{name} must hold finite real numbers only")
    m = len(inputs)
    return Source(m, lambda rng: rng.permutation(m).astype(np.int32), _rows, (inputs, targets), repeats=True)


def fresh(draw: Callable[[np.random.Generator], tuple[Any, Any]], size: int) -> Source:
    """Fresh examples for every epoch: online learning is one epoch of them, or many short ones.

    Parameters
    ----------
    draw : callable (rng) -> (X, y)
        ``size`` examples, as arrays.
    size : int
        Examples in an epoch, >= 1.
    """
    return Source(size, draw, _themselves)


def drawn(source: Source, rng: np.random.Generator) -> Any:
    """The visits of an epoch."""
    visits = source.draw(rng)
    for part in _arrays(visits):
        if np.ndim(part) == 0 or len(part) != source.size:
            raise RequestError(f"source.draw must return arrays of {source.size} rows, got shape {np.shape(part)}")
    return visits


def _arrays(visits: Any) -> list[Any]:
    inner = visits.values() if isinstance(visits, Mapping) else visits if isinstance(visits, tuple | list) else None
    return [visits] if inner is None else [array for part in inner for array in _arrays(part)]


def generator_of(generators: Sequence[np.random.Generator], run: int) -> np.random.Generator:
    """The generator that draws a run's epochs."""
    return generators[0 if len(generators) == 1 else run]


def _rows(store: Any, visits: Any) -> tuple[Any, Any]:
    X, y = store
    return X[visits], y[visits]


def _themselves(store: Any, visits: Any) -> tuple[Any, Any]:
    X, y = visits
    return X, y
