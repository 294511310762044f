r"""Sparse parities and the mixture D_A on which gradient descent learns them.

Daniely & Malach, Section 2. Instances are :math:`x \in \{\pm 1/\sqrt n\}^n`, so :math:`\|x\| = 1`. The target is the
parity of k coordinates, :math:`f_A(x) = \mathrm{sign} \prod_{i \in A} x_i`. :math:`D_A^{(1)}` is uniform;
:math:`D_A^{(2)}` is uniform outside A, and its coordinates in A are all :math:`+1/\sqrt n` or all
:math:`-1/\sqrt n`, with probability one half each (the paper writes :math:`\pm 1` there; scaled coordinates are
meant). :math:`D_A` is their even mixture. k is odd: an even number of equal signs has the product +1, and so the
second part would say nothing.

With ``share`` the mixture can be any other: 0 is the uniform distribution, under which parities are hard to learn by
gradients (the paper's Comment 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.problems.boolean import signs as cube_signs

__all__ = [
    "MAX_ENUMERATED",
    "Enumeration",
    "ParityMixture",
    "SignArray",
    "SparseParity",
    "random_mixture",
    "random_parity",
]

SignArray = NDArray[np.int8]

MAX_ENUMERATED = 20
"""Largest n whose 2^n inputs are written down (168 MB)."""

_BLOCK = 4096
"""Coordinates drawn at a time. Fixed, because the stream of random bits depends on it."""


@dataclass(frozen=True)
class SparseParity:
    r"""The target f_A: x -> sign of the product of the coordinates in A.

    Parameters
    ----------
    n : int
        Dimension, >= 1.
    support : iterable of int
        A: k >= 1 distinct coordinates in 0..n-1, kept sorted.
    """

    n: int
    support: tuple[int, ...]

    def __post_init__(self) -> None:
        n = checks.integer("n", self.n, at_least=1)
        chosen = checks.integers("support", self.support, at_least=0, at_most=n - 1, distinct=True)
        if not chosen:
            raise RequestError("support must hold at least one coordinate, got none")
        checks.store(self, n=n, support=tuple(sorted(chosen)))

    @property
    def k(self) -> int:
        """Number of coordinates in A."""
        return len(self.support)

    def __call__(self, X: ArrayLike) -> FloatArray:
        """Labels (m,) in {-1, +1} of the inputs ``X`` (m, n), of which only the signs count.

        Raises
        ------
        ValueError
            If X does not have n columns, is not finite, or has a zero in a column of A.
        """
        relevant = checks.matrix("X", X, columns=self.n)[:, self.support]
        if not relevant.all():
            raise RequestError("X must be non-zero in the coordinates of support, got a zero")
        return _product(relevant)


def random_parity(rng: np.random.Generator, n: int, k: int) -> SparseParity:
    """The parity of a uniformly random set of k of the n coordinates, 1 <= k <= n."""
    rng = checks.generator("rng", rng)
    n = checks.integer("n", n, at_least=1)
    k = checks.integer("k", k, at_least=1)
    if k > n:
        raise RequestError(f"k must be <= n = {n}, got {k}")
    return SparseParity(n, tuple(int(i) for i in rng.choice(n, size=k, replace=False)))


class Enumeration(NamedTuple):
    """Every input with its label and its probability under both parts of a mixture."""

    X: FloatArray
    """(2^n, n), entries ±1/sqrt(n), in the order of :func:`learnability.problems.boolean.signs`."""
    y: FloatArray
    """(2^n,) labels."""
    p1: FloatArray
    """(2^n,) probabilities under D_A^(1): all equal."""
    p2: FloatArray
    """(2^n,) probabilities under D_A^(2): zero where the coordinates in A differ."""


@dataclass(frozen=True)
class ParityMixture:
    r"""The distribution D_A over labelled inputs: a mixture of the uniform distribution and of one that shows A.

    Parameters
    ----------
    n : int
        Dimension, >= 1.
    support : iterable of int
        A: distinct coordinates in 0..n-1, an odd number of them (the paper has k >= 3; k = 1 is allowed).
    share : float
        Mass of D_A^(2) in the mixture, in [0, 1]; the paper's D_A has 1/2.
    """

    n: int
    support: tuple[int, ...]
    share: float = 0.5

    def __post_init__(self) -> None:
        target = SparseParity(self.n, self.support)
        if target.k % 2 == 0:
            raise RequestError(
                f"support must hold an odd number of coordinates, got {target.k}: the product of an even number of "
                "equal signs is always +1"
            )
        share = checks.real("share", self.share, at_least=0.0, at_most=1.0)
        checks.store(self, n=target.n, support=target.support, share=share)

    @property
    def k(self) -> int:
        """Number of coordinates in A."""
        return len(self.support)

    @property
    def target(self) -> SparseParity:
        """The function that labels the inputs, f_A."""
        return SparseParity(self.n, self.support)

    def sample(
        self, rng: np.random.Generator, m: int, *, part: int | None = None, dtype: Any = np.float64
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        r"""``m`` >= 1 independent examples.

        Parameters
        ----------
        rng : numpy.random.Generator
        m : int
        part : {None, 1, 2}
            The mixture, or one part of it alone: D_A^(1), D_A^(2).
        dtype : {float64, float32}

        Returns
        -------
        X : (m, n) array
            Entries ±1/sqrt(n).
        y : (m,) array
            Labels -1 and +1.
        """
        if dtype not in (np.float64, np.float32, "float64", "float32"):
            raise RequestError(f"dtype must be float64 or float32, got {dtype!r}")
        drawn, y = self.sample_signs(rng, m, part=part)
        X = drawn.astype(dtype)
        X *= 1 / math.sqrt(self.n)
        return X, y.astype(dtype)

    def sample_signs(
        self, rng: np.random.Generator, m: int, *, part: int | None = None
    ) -> tuple[SignArray, FloatArray]:
        """The same draw as :meth:`sample` in one byte a coordinate: signs (m, n) in {-1, +1}, and labels (m,)."""
        drawn = np.empty((checks.integer("m", m, at_least=1), self.n), dtype=np.int8)
        for start, block in self._blocks(rng, m, part):
            drawn[:, start : start + block.shape[1]] = block
        return drawn, _product(drawn[:, self.support])

    def sample_on(
        self, rng: np.random.Generator, m: int, coordinates: ArrayLike, *, part: int | None = None
    ) -> tuple[SignArray, FloatArray]:
        """Signs of the named coordinates only, (m, len(coordinates)), and labels (m,), whatever n is.

        Coordinates that are not named are not drawn, but for those in A, on which the label depends.
        """
        wanted = checks.integers("coordinates", coordinates, at_least=0, at_most=self.n - 1)
        drawn = sorted({*wanted, *self.support})
        place = {coordinate: index for index, coordinate in enumerate(drawn)}
        small = ParityMixture(len(drawn), tuple(place[i] for i in self.support), self.share)
        all_signs, y = small.sample_signs(rng, m, part=part)
        return all_signs[:, [place[i] for i in wanted]], y

    def project(
        self, rng: np.random.Generator, m: int, W: ArrayLike, *, part: int | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """The products X W^T (m, p) with the rows of ``W`` (p, n), and the labels (m,); X itself is never built.

        The inputs are those that :meth:`sample` draws from the same generator. Memory is (m, 4096) signs beside W
        and the result, also for n of a million.
        """
        W = checks.matrix("W", W, columns=self.n)
        products = np.zeros((checks.integer("m", m, at_least=1), len(W)))
        relevant = np.empty((m, self.k), dtype=np.int8)
        support = np.asarray(self.support)
        for start, block in self._blocks(rng, m, part):
            products += block.astype(np.float64) @ W[:, start : start + block.shape[1]].T
            inside = (support >= start) & (support < start + block.shape[1])
            relevant[:, inside] = block[:, support[inside] - start]
        products /= math.sqrt(self.n)
        return products, _product(relevant)

    def enumerate(self) -> Enumeration:
        """All 2^n inputs with labels and probabilities, n <= 20.

        Under the mixture a point has the probability (1 - share) p1 + share p2.
        """
        n = checks.integer("n", self.n, at_most=MAX_ENUMERATED)
        X = cube_signs(n)
        relevant = X[:, self.support]
        y = _product(relevant)
        equal = np.abs(relevant.sum(axis=1)) == self.k
        p1 = np.full(len(X), 0.5**n)
        p2 = np.where(equal, 0.5 ** (n - self.k + 1), 0.0)
        X /= math.sqrt(n)
        return Enumeration(X, y, p1, p2)

    def _blocks(self, rng: np.random.Generator, m: int, part: int | None) -> Iterator[tuple[int, SignArray]]:
        """First coordinate and signs (m, at most 4096) of one block of coordinates after the other."""
        rng, m = checks.generator("rng", rng), checks.integer("m", m, at_least=1)
        if part not in (None, 1, 2):
            raise RequestError(f"part must be None, 1 or 2, got {part!r}")
        share = self.share if part is None else float(part == 2)
        alike = rng.random(m) < share
        common = _signs(rng, m, 1)
        support = np.asarray(self.support)
        for start in range(0, self.n, _BLOCK):
            stop = min(start + _BLOCK, self.n)
            block = _signs(rng, m, stop - start)
            inside = support[(support >= start) & (support < stop)] - start
            if inside.size:
                block[:, inside] = np.where(alike[:, None], common, block[:, inside])
            yield start, block


def random_mixture(rng: np.random.Generator, n: int, k: int, share: float = 0.5) -> ParityMixture:
    """D_A for a uniformly random A of k coordinates, k odd."""
    return ParityMixture(n, random_parity(rng, n, k).support, share)


def _signs(rng: np.random.Generator, m: int, width: int) -> SignArray:
    """Independent uniform signs, one random bit each."""
    drawn = np.frombuffer(rng.bytes(-(-m * width // 8)), dtype=np.uint8)
    bits = np.unpackbits(drawn, count=m * width).reshape(m, width).view(np.int8)
    bits *= -2
    bits += 1
    return bits


def _product(relevant: NDArray[Any]) -> FloatArray:
    """Sign of the product along rows, from the number of negative entries: nothing under- or overflows."""
    return np.where(np.count_nonzero(relevant < 0, axis=1) % 2, -1.0, 1.0)
