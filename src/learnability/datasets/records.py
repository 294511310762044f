"""What a reader of data returns: arrays, and where they come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError

__all__ = ["DataSet", "DigitImages", "Table", "pair_of_digits"]


@dataclass(frozen=True, eq=False)
class DataSet:
    """Labelled examples with their origin, so that a figure can say what it shows."""

    X: FloatArray
    """(m, d), a row an example."""
    y: FloatArray
    """(m,), labels -1 and +1."""
    origin: str
    """Where the examples come from, for instance "MNIST" or a file's name."""
    classes: tuple[object, object]
    """What the labels -1 and +1 stand for, in this order."""
    notes: tuple[str, ...] = ()
    """What was done to the data on the way, a sentence each."""
    rows: NDArray[np.intp] | None = None
    """(m,): the numbers of the rows where they come from, counted from 1; ``None`` if they are 1, ..., m."""
    offsets: Mapping[str, int] = field(default_factory=dict)
    """What was subtracted, exactly, from features that hold whole numbers beyond float64's."""


@dataclass(frozen=True, eq=False)
class Table(DataSet):
    """Labelled examples from a file, with the names of their features."""

    feature_names: tuple[str, ...] = ()
    """(d,)"""
    constant: tuple[str, ...] = ()
    """Features that had one value in all rows and were left out."""


@dataclass(frozen=True, eq=False)
class DigitImages:
    """Images of all ten digits, divided, as unsigned bytes."""

    x_train: NDArray[np.uint8]
    """(N, h, w)"""
    y_train: NDArray[np.uint8]
    """(N,), the digits 0..9"""
    x_test: NDArray[np.uint8]
    """(M, h, w)"""
    y_test: NDArray[np.uint8]
    """(M,)"""
    highest: int
    """The largest value that a pixel can have: pixels over it are in [0, 1]."""
    origin: str
    """Where the images come from."""


def pair_of_digits(
    images: Callable[[int, int], tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    positive: int,
    negative: int,
    origin: str,
) -> DataSet:
    """Two digits as points of the unit ball: pixels over the largest norm of all images of the two.

    ``images(positive, negative)`` returns all images of the pair, a row an image, and their digits.
    """
    positive = checks.integer("positive", positive, at_least=0, at_most=9)
    negative = checks.integer("negative", negative, at_least=0, at_most=9)
    if positive == negative:
        raise RequestError(f"negative must differ from positive, got {negative} for both")
    pixels, digits = images(positive, negative)
    X = pixels.astype(np.float64)
    radius = math.sqrt(float(np.einsum("ij,ij->i", X, X).max()))  # sums of squared integers: exact
    X /= radius
    y = np.where(digits == positive, 1.0, -1.0)
    return DataSet(X, y, origin, (negative, positive), (f"pixels divided by the largest norm, {radius:.6g}",))
