r"""Distributions of the residual study: uniform signs, Section 7's inputs, and labelled examples with noise.

Allen-Zhu & Li. Inputs are ``X`` (m, d), values ``Y`` (m, k); the targets are :mod:`learnability.problems.residual`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.memory import allowed

__all__ = ["HardInputs", "Inputs", "Noisy", "UniformSigns"]

LARGEST_SAMPLE = 2**36
"""Most entries of a sample: 512 GiB of float64, beyond any memory that this is for."""


class Inputs(Protocol):
    """A distribution of inputs: ``d`` and ``sample(rng, m)`` -> (m, d)."""

    @property
    def d(self) -> int:
        """Dimension."""
        ...

    def sample(self, rng: np.random.Generator, m: int) -> FloatArray:
        """``m`` independent inputs."""
        ...


@dataclass(frozen=True)
class UniformSigns:
    r"""x uniform in :math:`\{\pm s\}^d`.

    Parameters
    ----------
    d : int
        Dimension, >= 1.
    unit : bool
        s is 1 (Section 8.1) or, with ``unit``, :math:`1/\sqrt d`, so that \|x\| = 1 (Sections 7 and 8.2).
    """

    d: int
    unit: bool = False

    def __post_init__(self) -> None:
        checks.store(self, d=checks.integer("d", self.d, at_least=1, at_most=LARGEST_SAMPLE))
        if not isinstance(self.unit, bool | np.bool_):
            raise RequestError(f"unit must be True or False, got {self.unit!r}")

    def sample(self, rng: np.random.Generator, m: int) -> FloatArray:
        """``m`` >= 1 independent inputs, (m, d)."""
        m = checks.integer("m", m, at_least=1)
        each = 9 * self.d  # a byte and a number an entry
        checks.integer("m", m, at_most=max(1, int(allowed(8 * LARGEST_SAMPLE, each * m)) // each))
        bits = checks.generator("rng", rng).integers(0, 2, size=(m, self.d), dtype=np.int8)
        size = 1 / math.sqrt(self.d) if self.unit else 1.0
        return np.where(bits, -size, size)


@dataclass(frozen=True)
class HardInputs:
    r"""Section 7's inputs: the first d_1 coordinates uniform in :math:`\pm 1/\sqrt d`, the others from any D_2.

    Parameters
    ----------
    d : int
        Dimension.
    d_1 : int
        1 <= d_1 <= d.
    rest : callable (rng, m) -> (m, d - d_1) signs
        Draws the others, -1 and +1, independently of the first (the paper's product distribution). Needed where
        d_1 < d.
    """

    d: int
    d_1: int
    rest: Callable[[np.random.Generator, int], ArrayLike] | None = None

    def __post_init__(self) -> None:
        d = checks.integer("d", self.d, at_least=1)
        checks.store(self, d=d, d_1=checks.integer("d_1", self.d_1, at_least=1, at_most=d))
        if (self.rest is None) != (self.d_1 == d) or not (self.rest is None or callable(self.rest)):
            needs = (
                "None, since d_1 = d and all coordinates are uniform"
                if self.d_1 == d
                else f"a function that draws the other d - d_1 = {d - self.d_1} columns"
            )
            raise RequestError(f"rest must be {needs}, got {self.rest!r}")

    def sample(self, rng: np.random.Generator, m: int) -> FloatArray:
        """``m`` >= 1 independent inputs, (m, d)."""
        signs = UniformSigns(self.d_1).sample(rng, m)
        if self.rest is not None:
            drawn = self.rest(rng, m)
            if np.size(drawn) == 0:
                raise RequestError(f"rest must return {m} rows of -1 and +1, got shape {np.shape(drawn)}")
            others = checks.matrix("rest", drawn, columns=self.d - self.d_1)
            if len(others) != m or not (np.abs(others) == 1).all():
                raise RequestError(
                    f"rest must return {m} rows of -1 and +1, got {len(others)} rows from {others.min():g}"
                )
            signs = np.hstack([signs, others])
        return np.where(signs < 0, -1.0, 1.0) / math.sqrt(self.d)


@dataclass(frozen=True)
class Noisy:
    r"""Labelled examples, with label noise for the agnostic case: y = H(x) + noise.

    Parameters
    ----------
    inputs : Inputs
        Distribution of x.
    target : callable (m, d) -> (m, k)
        H.
    deviation : float
        Standard deviation, in [0, 1e100], of independent Gaussian noise on every output.
    """

    inputs: Inputs
    target: Callable[[FloatArray], FloatArray]
    deviation: float = 0.0

    def __post_init__(self) -> None:
        if not callable(getattr(self.inputs, "sample", None)):
            raise RequestError(f"inputs must be a distribution with a method sample, got {self.inputs!r}")
        if not callable(self.target):
            raise RequestError(f"target must be a function of inputs, got {self.target!r}")
        checks.store(self, deviation=checks.real("deviation", self.deviation, at_least=0.0, at_most=1e100))

    def sample(self, rng: np.random.Generator, m: int) -> tuple[FloatArray, FloatArray]:
        """``m`` >= 1 independent examples: X (m, d) and Y (m, k).

        The inputs are those that ``inputs`` draws alone from the same generator.
        """
        X = self.inputs.sample(rng, m)
        Y = self.target(X)
        return X, Y + self.deviation * rng.standard_normal(Y.shape) if self.deviation else Y

    def opt(self, k: int) -> float:
        r"""OPT, :math:`E \frac12 \|H(x) - y\|^2 = k s^2 / 2` at k outputs: no function does better than H."""
        return checks.integer("k", k, at_least=1, at_most=10**15) * self.deviation**2 / 2
