"""The 8x8 images that scikit-learn carries: the stand-in for MNIST where there is no network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learnability.datasets.records import DataSet, DigitImages, pair_of_digits
from learnability.seeding import generator

__all__ = ["DIGITS", "all_digits", "digits_pair"]

DIGITS = "scikit-learn digits 8x8"
"""The origin by which figures name these data."""
TRAIN = 1400
"""Of the 1,797 images: those to train on."""


def digits_pair(positive: int = 3, negative: int = 5) -> DataSet:
    """All 8x8 images of two digits, in the form of :func:`learnability.datasets.mnist_pair`.

    Parameters
    ----------
    positive, negative : int
        Two different digits; ``positive`` gets the label +1. There are 365 images of 3 and 5.

    Returns
    -------
    DataSet
        X (m, 64) with norms at most 1, y (m,); origin :data:`DIGITS`.

    Raises
    ------
    ValueError
        If the digits are equal or not in 0..9.
    """
    return pair_of_digits(_images, positive, negative, DIGITS)


def all_digits() -> DigitImages:
    """All 1,797 images in a fixed random division: 1,400 to train, 397 to test. Pixels are 0..16."""
    from sklearn.datasets import load_digits

    pixels, digits = load_digits(return_X_y=True)
    order = generator(0, "division of the digits").permutation(len(digits))
    x, y = pixels[order].astype(np.uint8).reshape(-1, 8, 8), digits[order].astype(np.uint8)
    return DigitImages(x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:], 16, DIGITS)


def _images(positive: int, negative: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    from sklearn.datasets import load_digits

    pixels, digits = load_digits(return_X_y=True)
    chosen = (digits == positive) | (digits == negative)
    return pixels[chosen].astype(np.uint8), digits[chosen].astype(np.uint8)
