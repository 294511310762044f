r"""Targets with two levels, H = beta F + alpha G(F), on sign vectors: what ResNets learn and kernels do not.

Allen-Zhu & Li: the base signal F is simple and large, the composite signal G(F) is complicated and small. Here are
the target of the experiments (Section 8.1), the hard instance of the lower bounds (Section 7), and the degree-6
monomial of Section 8.2. Their inputs, :mod:`learnability.problems.residual_inputs`, are re-exported here. The concept
classes of Section 5 and Appendix A, with any smooth activations, are :mod:`learnability.problems.concepts`.

Inputs are ``X`` (m, d), values ``Y`` (m, k); errors are :math:`E \|out - H\|^2`, without the 1/2 of the loss, as in
the paper's figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.problems.parity import SparseParity, random_parity
from learnability.problems.residual_inputs import HardInputs, Inputs, Noisy, UniformSigns

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
    return checks.real("alpha", alpha, at_least=0.0, below=1)


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
            If X does not have d columns or is not finite, or the values would not be.
        """
        base = self.base(X)
        with np.errstate(over="ignore", invalid="ignore"):
            values: FloatArray = self.beta * base + self.alpha * self.composite(base)
        return _within("X", values)

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


def _within(name: str, values: FloatArray) -> FloatArray:
    """The values, if all are finite: on signs they are; products of larger numbers may leave float64."""
    if not np.isfinite(values).all():
        raise RequestError(f"{name} must keep the products within float64, got entries whose product is not finite")
    return values


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
    """

    d: int = 30
    alpha: float = 0.3
    beta: float = 1.0

    def __post_init__(self) -> None:
        d = checks.integer("d", self.d, at_least=2 * FACTORS)
        if d % 2:
            raise RequestError(f"d must be even, for pairs of neighbours, got {d}")
        checks.store(self, d=d, alpha=strength(self.alpha), beta=checks.real("beta", self.beta, at_least=0.0))

    @property
    def k(self) -> int:
        """Number of outputs, d / 2."""
        return self.d // 2

    def base(self, X: ArrayLike) -> FloatArray:
        """F(x) of the inputs ``X`` (m, d): (m, k)."""
        X = checks.matrix("X", X, columns=self.d)
        with np.errstate(over="ignore"):
            return _within("X", X[:, ::2] * X[:, 1::2])

    def composite(self, Y: ArrayLike) -> FloatArray:
        """G(y) of ``Y`` (m, k): (m, k)."""
        Y = checks.matrix("Y", Y, columns=self.k)
        alternating = np.where(np.arange(self.k) % 2, 1.0, -1.0)  # the first output has i = 1
        with np.errstate(over="ignore", invalid="ignore"):
            return _within("Y", alternating * Y[:, :FACTORS].prod(axis=1, keepdims=True))

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
            raise RequestError(f"support must hold at least 2 coordinates, got {len(chosen)}")
        checks.store(self, d=d, support=chosen, alpha=strength(self.alpha))

    @property
    def k(self) -> int:
        """Number of outputs, and of coordinates in S."""
        return len(self.support)

    def base(self, X: ArrayLike) -> FloatArray:
        """F(x) of the inputs ``X`` (m, d): (m, k)."""
        with np.errstate(over="ignore"):
            return _within("X", math.sqrt(self.d) * checks.matrix("X", X, columns=self.d)[:, self.support])

    def composite(self, Y: ArrayLike) -> FloatArray:
        """G(y) of ``Y`` (m, k): (m, k), equal columns."""
        Y = checks.matrix("Y", Y, columns=self.k)
        with np.errstate(over="ignore", invalid="ignore"):
            return _within("Y", np.repeat(Y.prod(axis=1, keepdims=True), self.k, axis=1))

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
    d = checks.integer("d", d, at_least=MONOMIAL_DEGREE)
    target = SparseParity(d, checks.integers("support", support))
    if target.k != MONOMIAL_DEGREE:
        raise RequestError(f"support must hold {MONOMIAL_DEGREE} coordinates, got {target.k}")
    return target
