r"""Targets with two levels, H = beta F + alpha G(F), on sign vectors: what ResNets learn and kernels do not.

Allen-Zhu & Li: the base signal F is simple and large, the composite signal G(F) is complicated and small. Here are
the target of the experiments (Section 8.1), the hard instance of the lower bounds (Section 7), and the degree-6
monomial of Section 8.2. The concept classes of Section 5 and Appendix A, with any smooth activations, are
:mod:`learnability.problems.concepts`.

Inputs are ``X`` (m, d), values ``Y`` (m, k); errors are :math:`E \|out - H\|^2`, without the 1/2 of the loss, as in
the paper's figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.problems.parity import SparseParity, random_parity

__all__ = [
    "MONOMIAL_DEGREE",
    "HardInputs",
    "HardInstance",
    "Inputs",
    "Noisy",
    "PairTarget",
    "UniformSigns",
    "degree_six",
    "random_hard_instance",
    "strength",
]

MONOMIAL_DEGREE = 6
"""Of Section 8.2's target."""

FACTORS = 4
"""Outputs of F that Section 8.1's G multiplies."""


def strength(alpha: float) -> float:
    """The share alpha of the composite signal as a float, checked: 0 <= alpha < 1."""
    alpha = checks.real("alpha", alpha, at_least=0.0)
    if alpha >= 1.0:
        raise ValueError(f"alpha must be < 1, got {alpha!r}")
    return alpha


# Targets


class _TwoLevels:
    """What both targets share; on their sign vectors all outputs of F and of G(F) are signs."""

    d: int
    alpha: float
    beta: float

    @property
    def k(self) -> int:
        """Number of outputs."""
        raise NotImplementedError

    def base(self, X: ArrayLike) -> FloatArray:
        """F(x) of the inputs ``X`` (m, d): (m, k)."""
        raise NotImplementedError

    def composite(self, Y: ArrayLike) -> FloatArray:
        """G(y) of ``Y`` (m, k): (m, k)."""
        raise NotImplementedError

    def __call__(self, X: ArrayLike) -> FloatArray:
        """H(x) of the inputs ``X`` (m, d): (m, k).

        Raises
        ------
        ValueError
            If X does not have d columns or is not finite.
        """
        base = self.base(X)
        return self.beta * base + self.alpha * self.composite(base)

    def base_error(self) -> float:
        r"""Error of knowing F and nothing of G: :math:`k \alpha^2`, 1.35 in Section 8.1."""
        return self.k * self.alpha**2

    def zero_error(self) -> float:
        r"""Error of the output 0: :math:`k (\alpha^2 + \beta^2)`, 16.35 in Section 8.1.

        F and G(F) are uncorrelated where the coordinates they depend on are uniform.
        """
        return self.k * (self.alpha**2 + self.beta**2)

    def base_bound(self) -> float:
        r"""B_F: :math:`\|F(x)\| = \sqrt k` at every input."""
        return math.sqrt(self.k)

    def composite_bound(self) -> float:
        r"""B_FoG: :math:`\|G(F(x))\| = \sqrt k` at every input."""
        return math.sqrt(self.k)


@dataclass(frozen=True)
class PairTarget(_TwoLevels):
    r"""Section 8.1's target: F the products of neighbouring pairs, G the signed product of the first four of them.

    .. math::
        F(x) = (x_1 x_2, x_3 x_4, \dots, x_{d-1} x_d), \qquad G_i(y) = (-1)^i y_1 y_2 y_3 y_4 \quad (i = 1..d/2),

    and H = beta F + alpha G(F), on :math:`x \in \{\pm 1\}^d`.

    Parameters
    ----------
    d : int
        Even, >= 8 (G multiplies four pairs); the paper has 30.
    alpha : float
        In [0, 1).
    beta : float
        >= 0: 1 but for the paper's Figure 3.

    Raises
    ------
    ValueError
        For arguments outside these ranges.
    """

    d: int = 30
    alpha: float = 0.3
    beta: float = 1.0

    def __post_init__(self) -> None:
        d = checks.integer("d", self.d, at_least=2 * FACTORS)
        if d % 2:
            raise ValueError(f"d must be even, for pairs of neighbours, got {d}")
        object.__setattr__(self, "d", d)
        object.__setattr__(self, "alpha", strength(self.alpha))
        object.__setattr__(self, "beta", checks.real("beta", self.beta, at_least=0.0))

    @property
    def k(self) -> int:
        """Number of outputs, d / 2."""
        return self.d // 2

    def base(self, X: ArrayLike) -> FloatArray:
        """F(x) of the inputs ``X`` (m, d): (m, k)."""
        X = checks.matrix("X", X, columns=self.d)
        products: FloatArray = X[:, ::2] * X[:, 1::2]
        return products

    def composite(self, Y: ArrayLike) -> FloatArray:
        """G(y) of ``Y`` (m, k): (m, k)."""
        Y = checks.matrix("Y", Y, columns=self.k)
        alternating = np.where(np.arange(self.k) % 2, 1.0, -1.0)  # the first output has i = 1
        values: FloatArray = alternating * Y[:, :FACTORS].prod(axis=1, keepdims=True)
        return values

    def composite_lipschitz(self) -> float:
        r"""L_G: the Lipschitz constant of G on the solid cube [-1, 1]^k, exactly :math:`2 \sqrt k`.

        All outputs have the gradient of :math:`\pm y_1 y_2 y_3 y_4`, whose norm is largest, 2, at the vertices. (On
        all of R^k a product of four is not Lipschitz.)
        """
        return math.sqrt(FACTORS * self.k)


@dataclass(frozen=True)
class HardInstance(_TwoLevels):
    r"""Section 7's target: F(x) = W* x with W* = sqrt(d) (e_i1, ..., e_ik), and every G_i(y) the product of all y.

    On :math:`x \in \{\pm 1/\sqrt d\}^d` output j is :math:`s_{i_j} + \alpha \prod_{i \in S} s_i` with the signs
    :math:`s = \sqrt d x`: only the small term has all of S in it.

    Parameters
    ----------
    d : int
        Dimension, >= 2.
    support : iterable of int
        S: k >= 2 distinct coordinates in 0..d-1, kept sorted (the order of the outputs is S's).
    alpha : float
        In [0, 1).

    Raises
    ------
    ValueError
        For arguments outside these ranges.
    """

    d: int
    support: tuple[int, ...]
    alpha: float = 0.3
    beta: float = field(default=1.0, init=False)
    """The share of F is 1 here."""

    def __post_init__(self) -> None:
        d = checks.integer("d", self.d, at_least=2)
        chosen = SparseParity(d, self.support).support
        if len(chosen) < 2:
            raise ValueError(f"support must hold at least 2 coordinates, got {len(chosen)}")
        object.__setattr__(self, "d", d)
        object.__setattr__(self, "support", chosen)
        object.__setattr__(self, "alpha", strength(self.alpha))

    @property
    def k(self) -> int:
        """Number of outputs, and of coordinates in S."""
        return len(self.support)

    def base(self, X: ArrayLike) -> FloatArray:
        """F(x) of the inputs ``X`` (m, d): (m, k)."""
        return math.sqrt(self.d) * checks.matrix("X", X, columns=self.d)[:, self.support]

    def composite(self, Y: ArrayLike) -> FloatArray:
        """G(y) of ``Y`` (m, k): (m, k), equal columns."""
        Y = checks.matrix("Y", Y, columns=self.k)
        return np.repeat(Y.prod(axis=1, keepdims=True), self.k, axis=1)

    def composite_lipschitz(self) -> float:
        r"""L_G: the Lipschitz constant of G on the solid cube [-1, 1]^k, exactly k.

        The k outputs are equal, with a gradient of norm at most :math:`\sqrt k`, reached at the vertices.
        """
        return float(self.k)


def random_hard_instance(
    rng: np.random.Generator, d: int, k: int, *, alpha: float, d_1: int | None = None
) -> HardInstance:
    """The hard instance for a uniformly random S of k of the first ``d_1`` coordinates (by default all d).

    Raises
    ------
    ValueError
        Unless 2 <= k <= d_1 <= d and alpha is in [0, 1).
    """
    d = checks.integer("d", d, at_least=2)
    d_1 = d if d_1 is None else checks.integer("d_1", d_1, at_least=2, at_most=d)
    k = checks.integer("k", k, at_least=2, at_most=d_1)
    return HardInstance(d, random_parity(rng, d_1, k).support, alpha)


def degree_six(d: int, support: ArrayLike = (0, 1, 2, 3, 4, 5)) -> SparseParity:
    r"""Section 8.2's target :math:`y = d^3 x_{i_1} \cdots x_{i_6}`, which on :math:`\{\pm 1/\sqrt d\}^d` is a parity.

    Raises
    ------
    ValueError
        Unless d >= 6 and ``support`` holds 6 distinct coordinates in 0..d-1.
    """
    target = SparseParity(d, checks.integers("support", support))
    if target.k != MONOMIAL_DEGREE:
        raise ValueError(f"support must hold {MONOMIAL_DEGREE} coordinates, got {target.k}")
    return target


# Distributions


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
        object.__setattr__(self, "d", checks.integer("d", self.d, at_least=1))

    def sample(self, rng: np.random.Generator, m: int) -> FloatArray:
        """``m`` >= 1 independent inputs, (m, d)."""
        m = checks.integer("m", m, at_least=1)
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

    Raises
    ------
    ValueError
        For arguments outside these ranges.
    """

    d: int
    d_1: int
    rest: Callable[[np.random.Generator, int], ArrayLike] | None = None

    def __post_init__(self) -> None:
        d = checks.integer("d", self.d, at_least=1)
        object.__setattr__(self, "d", d)
        object.__setattr__(self, "d_1", checks.integer("d_1", self.d_1, at_least=1, at_most=d))
        if (self.rest is None) != (self.d_1 == d):
            needs = (
                "None, since all coordinates are uniform" if self.d_1 == d else f"given for {d - self.d_1} columns"
            )
            raise ValueError(f"rest must be {needs}, got {self.rest!r}")

    def sample(self, rng: np.random.Generator, m: int) -> FloatArray:
        """``m`` >= 1 independent inputs, (m, d).

        Raises
        ------
        ValueError
            If ``rest`` does not return signs of the right shape.
        """
        signs = UniformSigns(self.d_1).sample(rng, m)
        if self.rest is not None:
            drawn = self.rest(rng, m)
            if np.size(drawn) == 0:
                raise ValueError(f"rest must return {m} rows of -1 and +1, got shape {np.shape(drawn)}")
            others = checks.matrix("rest", drawn, columns=self.d - self.d_1)
            if len(others) != m or not (np.abs(others) == 1).all():
                raise ValueError(
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
        Standard deviation, >= 0, of independent Gaussian noise on every output.
    """

    inputs: Inputs
    target: Callable[[FloatArray], FloatArray]
    deviation: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "deviation", checks.real("deviation", self.deviation, at_least=0.0))

    def sample(self, rng: np.random.Generator, m: int) -> tuple[FloatArray, FloatArray]:
        """``m`` >= 1 independent examples: X (m, d) and Y (m, k).

        The inputs are those that ``inputs`` draws alone from the same generator.
        """
        X = self.inputs.sample(rng, m)
        Y = self.target(X)
        return X, Y + self.deviation * rng.standard_normal(Y.shape) if self.deviation else Y

    def opt(self, k: int) -> float:
        r"""OPT, :math:`E \frac12 \|H(x) - y\|^2 = k s^2 / 2` at k outputs: no function does better than H."""
        return checks.integer("k", k, at_least=1) * self.deviation**2 / 2
