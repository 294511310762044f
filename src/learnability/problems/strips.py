"""Strips of k digits side by side, labelled by the parity of their sum: the MNIST-parity task.

Daniely & Malach, section 6. An image of an even digit counts +1, of an odd one -1, and a strip's label is the
product: +1 if and only if the sum of its digits is even. An epoch puts every image once at every position: the
positions are independent permutations of the images, as in the authors' public experiment (the paper says "chosen
uniformly at random"; over an epoch the two differ only in that permutations draw without replacement).

The strips of an epoch are never in memory together: :meth:`Strips.draw` gives which images stand where, and
:func:`gather` composes a batch of them in JAX out of the unsigned bytes. :meth:`Strips.compose` does the same in
NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError

__all__ = ["Strips", "gather"]


@dataclass(frozen=True, eq=False)
class Strips:
    """A stream of strips made of given images.

    Parameters
    ----------
    images : (N, h, w) uint8 array
        At least one.
    digits : (N,) integer array
        The digit on each image, 0..9.
    k : int
        Digits in a strip, >= 1.
    highest : int
        The pixel value that becomes 1, in 1..255; no pixel may be above it.
    size : int
        Strips in an epoch; 0 means as many as images. With more, each position is a chain of permutations.
    """

    images: NDArray[np.uint8]
    digits: NDArray[Any]
    k: int
    highest: int = 255
    size: int = 0

    def __post_init__(self) -> None:
        images, digits = np.asarray(self.images), np.asarray(self.digits)
        if images.ndim != 3 or 0 in images.shape:
            raise RequestError(f"images must have shape (N >= 1, h >= 1, w >= 1), got shape {images.shape}")
        if images.dtype != np.uint8:
            raise RequestError(f"images must have dtype uint8, got {images.dtype}")
        if digits.shape != (len(images),):
            raise RequestError(
                f"digits must have shape ({len(images)},), one for each image, got shape {digits.shape}"
            )
        if digits.dtype.kind not in "iu" or digits.min() < 0 or digits.max() > 9:
            raise RequestError(
                f"digits must be integers in 0..9, got {digits.dtype} in {digits.min()}..{digits.max()}"
            )
        checks.integer("k", self.k, at_least=1)
        checks.integer("highest", self.highest, at_least=1, at_most=255)
        if images.max() > self.highest:
            raise RequestError(f"images must be <= highest = {self.highest}, got {images.max()}")
        checks.integer("size", self.size, at_least=0)
        checks.store(self, images=images, digits=digits, size=self.size or len(images))

    @property
    def n(self) -> int:
        """Pixels of a strip, h w k."""
        return int(self.images[0].size) * self.k

    @property
    def signs(self) -> NDArray[np.int8]:
        """+1 for images of even digits and -1 for odd ones, (N,)."""
        return np.where(self.digits % 2 == 0, 1, -1).astype(np.int8)

    @property
    def store(self) -> tuple[Any, ...]:
        """What :func:`gather` reads."""
        return self.images, self.signs, np.float64(self.highest)

    def draw(self, rng: np.random.Generator) -> NDArray[np.int32]:
        """An epoch: which image stands where, (size, k).

        Draws the permutations of the first position, then those of the second, and so on.
        """
        rounds = -(-self.size // len(self.images))
        chains = [
            np.concatenate([rng.permutation(len(self.images)) for _ in range(rounds)])[: self.size]
            for _ in range(self.k)
        ]
        return np.stack(chains, axis=1).astype(np.int32)

    def compose(self, visits: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
        """Strips and labels by NumPy.

        Parameters
        ----------
        visits : (b, k) integer array
            Rows of :meth:`draw`.

        Returns
        -------
        X : (b, h w k) array
            Pixels in [0, 1], row by row of the strip.
        y : (b,) array
            Labels in {-1, +1}.
        """
        visits = np.asarray(visits)
        if visits.ndim != 2 or visits.shape[1] != self.k or visits.dtype.kind not in "iu":
            raise RequestError(
                f"visits must be integers of shape (b, {self.k}), got {visits.dtype}{list(visits.shape)}"
            )
        if visits.size and (visits.min() < 0 or visits.max() >= len(self.images)):
            raise RequestError(f"visits must be in 0..{len(self.images) - 1}, got {visits.min()}..{visits.max()}")
        side_by_side = self.images[visits].transpose(0, 2, 1, 3)  # (b, h, k, w)
        X = side_by_side.reshape(len(visits), -1) / self.highest
        return X, self.signs[visits].prod(axis=1).astype(np.float64)


def gather(store: Any, visits: Any) -> tuple[Any, Any]:
    """:meth:`Strips.compose` in JAX, to be traced, from :attr:`Strips.store`: X (b, h w k) and y (b,)."""
    images, signs, highest = store
    side_by_side = images[visits].transpose(0, 2, 1, 3)
    X = side_by_side.reshape(visits.shape[0], -1).astype(float) / highest
    return X, signs[visits].prod(axis=1)
