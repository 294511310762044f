"""Symmetric functions of n bits, distributions over the cube, and the corruptions of Figures 7 and 8.

Source: Nachum & Yehudayoff, On Symmetry and Initialization for Neural Networks. A function f: {0,1}^n ->
{-1,+1} is symmetric if it depends on the Hamming weight |x| = x_1 + ... + x_n alone, f(x) = a_{|x|}. The
paper writes the class with coefficients a_1..a_n; there are n+1 weights, so the coefficients here are
a_0..a_n and |S_n| = 2^(n+1).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError

__all__ = [
    "Distribution",
    "HammingWeights",
    "SymmetricFunction",
    "UniformCube",
    "all_symmetric",
    "concentrated_weights",
    "enumerate_cube",
    "exact_error",
    "exactly_in",
    "flip_labels",
    "majority",
    "parity",
    "random_symmetric",
    "shift_inputs",
    "skewed_weights",
    "sum_error_floor",
    "threshold",
    "uniform_weights",
]

MAX_ENUMERATED = 20
"""Largest n whose cube is enumerated: 2^20 inputs."""


# Targets


@dataclass(frozen=True)
class SymmetricFunction:
    """The symmetric function x -> a_{|x|}.

    Parameters
    ----------
    labels : tuple of int, length n + 1 >= 2
        (a_0, ..., a_n), each -1 or +1.
    """

    labels: tuple[int, ...]

    def __post_init__(self) -> None:
        values = checks.labels("labels", np.asarray(self.labels))
        if len(values) < 2:
            raise RequestError(f"labels must hold a_0..a_n with n >= 1, got {len(values)} label(s)")
        checks.store(self, labels=tuple(int(a) for a in values))

    @property
    def n(self) -> int:
        """Number of input bits."""
        return len(self.labels) - 1

    @property
    def accepted(self) -> tuple[int, ...]:
        """The set A of weights with label +1, ascending (empty for the constant -1)."""
        return tuple(k for k, a in enumerate(self.labels) if a == 1)

    def __call__(self, X: ArrayLike) -> FloatArray:
        """Labels (m,) in {-1, +1} of the binary inputs ``X`` (m, n)."""
        weights = checks.binary("X", X, columns=self.n).sum(axis=1).astype(np.intp)
        values: FloatArray = np.asarray(self.labels, dtype=np.float64)[weights]
        return values


def parity(n: int) -> SymmetricFunction:
    """The parity of all bits, (-1)^|x|."""
    n = checks.integer("n", n, at_least=1)
    return SymmetricFunction(tuple((-1) ** k for k in range(n + 1)))


def majority(n: int) -> SymmetricFunction:
    """+1 iff more than half of the bits are 1 (a draw, possible for even n, is -1)."""
    n = checks.integer("n", n, at_least=1)
    return SymmetricFunction(tuple(1 if 2 * k > n else -1 for k in range(n + 1)))


def threshold(n: int, t: int) -> SymmetricFunction:
    """+1 iff |x| >= t, for t in 0..n+1 (t = 0 is the constant +1, t = n+1 the constant -1)."""
    n = checks.integer("n", n, at_least=1)
    t = checks.integer("t", t, at_least=0, at_most=n + 1)
    return SymmetricFunction(tuple(1 if k >= t else -1 for k in range(n + 1)))


def exactly_in(n: int, A: Iterable[int]) -> SymmetricFunction:
    """The paper's f_A: +1 iff |x| is in A.

    Parameters
    ----------
    n : int
        Number of bits, >= 1.
    A : iterable of int
        Weights in 0..n, at least one. An empty A is far more often a mistake than a wish, so it is refused
        here; the constant -1 belongs to the class all the same and is ``threshold(n, n + 1)``.
    """
    n = checks.integer("n", n, at_least=1)
    accepted = set(checks.integers("A", A, at_least=0, at_most=n))
    if not accepted:
        raise RequestError(
            f"A must hold at least one weight in 0..{n}, got none (the constant -1 is threshold(n, n + 1))"
        )
    return SymmetricFunction(tuple(1 if k in accepted else -1 for k in range(n + 1)))


def random_symmetric(n: int, rng: np.random.Generator) -> SymmetricFunction:
    """A uniformly random member of S_n: n + 1 independent fair labels."""
    n = checks.integer("n", n, at_least=1)
    rng = checks.generator("rng", rng)
    return SymmetricFunction(tuple(int(a) for a in 2 * rng.integers(0, 2, size=n + 1) - 1))


def all_symmetric(n: int) -> Iterator[SymmetricFunction]:
    """Every member of S_n, 2^(n+1) of them, from the constant -1 to the constant +1; n <= 20."""
    n = checks.integer("n", n, at_least=1, at_most=MAX_ENUMERATED)
    return (SymmetricFunction(labels) for labels in itertools.product((-1, 1), repeat=n + 1))


# Distributions


class Distribution(Protocol):
    """A distribution over {0,1}^n under which all inputs of one weight are equally likely."""

    @property
    def n(self) -> int:
        """Number of input bits."""

    @property
    def weight_probabilities(self) -> FloatArray:
        """P(|x| = k) for k = 0..n, shape (n+1,)."""

    def sample(self, rng: np.random.Generator, m: int) -> FloatArray:
        """Independent inputs, (m, n) with entries 0 and 1."""


@dataclass(frozen=True)
class UniformCube:
    """The uniform distribution over {0,1}^n, n >= 1: every figure of the paper uses it."""

    n: int

    def __post_init__(self) -> None:
        checks.store(self, n=checks.integer("n", self.n, at_least=1))  # NumPy's would overflow in 2^n

    @property
    def weight_probabilities(self) -> FloatArray:
        """P(|x| = k) = C(n, k) / 2^n for k = 0..n."""
        return np.array([math.comb(self.n, k) / 2**self.n for k in range(self.n + 1)])

    def sample(self, rng: np.random.Generator, m: int) -> FloatArray:
        """``m`` >= 1 independent inputs, (m, n)."""
        m, rng = checks.integer("m", m, at_least=1), checks.generator("rng", rng)
        return rng.integers(0, 2, size=(m, self.n)).astype(np.float64)


@dataclass(frozen=True)
class HammingWeights:
    """A weight drawn from given probabilities, then a uniformly random input of that weight.

    Theorem 1 is distribution-free. What a symmetric function and the initial embedding see of a distribution
    is that of the weight alone, so these are all the distributions that matter to the representation.

    Parameters
    ----------
    probabilities : tuple of float, length n + 1 >= 2
        P(|x| = k) for k = 0..n: non-negative, with sum 1 to 1e-9 (and normalised to it).
    """

    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        p = checks.distribution("probabilities", self.probabilities)
        if len(p) < 2:
            raise RequestError(f"probabilities must cover the weights 0..n with n >= 1, got length {len(p)}")
        checks.store(self, probabilities=tuple(float(q) for q in p / p.sum()))

    @property
    def n(self) -> int:
        """Number of input bits."""
        return len(self.probabilities) - 1

    @property
    def weight_probabilities(self) -> FloatArray:
        """P(|x| = k) for k = 0..n."""
        return np.asarray(self.probabilities)

    def sample(self, rng: np.random.Generator, m: int) -> FloatArray:
        """``m`` >= 1 independent inputs, (m, n)."""
        m, rng = checks.integer("m", m, at_least=1), checks.generator("rng", rng)
        weights = rng.choice(self.n + 1, size=m, p=self.weight_probabilities)
        ranks = rng.permuted(np.tile(np.arange(self.n), (m, 1)), axis=1)
        return (ranks < weights[:, None]).astype(np.float64)


def uniform_weights(n: int) -> HammingWeights:
    """Every weight 0..n equally likely."""
    n = checks.integer("n", n, at_least=1)
    return HammingWeights((1.0 / (n + 1),) * (n + 1))


def skewed_weights(n: int, ratio: float = 0.8) -> HammingWeights:
    """P(|x| = k) proportional to ratio^k, ratio > 0: geometric, heaviest at weight 0 if ratio < 1."""
    n = checks.integer("n", n, at_least=1)
    ratio = checks.real("ratio", ratio, above=0.0)
    logs = np.arange(n + 1) * math.log(ratio)
    p = np.exp(logs - logs.max())
    return HammingWeights(tuple(p / p.sum()))


def concentrated_weights(n: int, weights: Sequence[int] | None = None) -> HammingWeights:
    """Few weights, equally likely: by default the quartiles n//4, n//2 and (3n)//4 (those that differ)."""
    n = checks.integer("n", n, at_least=1)
    chosen = (n // 4, n // 2, 3 * n // 4) if weights is None else weights
    support = set(checks.integers("weights", chosen, at_least=0, at_most=n))
    if not support:
        raise RequestError(f"weights must hold at least one weight in 0..{n}, got none")
    return HammingWeights(tuple(1.0 / len(support) if k in support else 0.0 for k in range(n + 1)))


# Corruptions


def flip_labels(rng: np.random.Generator, y: ArrayLike, p: float) -> FloatArray:
    """``y`` (m,) with each label flipped independently with probability ``p`` in [0, 1] (Fig. 7)."""
    rng = checks.generator("rng", rng)
    y = checks.labels("y", y)
    p = checks.real("p", p, at_least=0.0, at_most=1.0)
    return np.where(rng.random(len(y)) < p, -y, y)


def shift_inputs(rng: np.random.Generator, X: ArrayLike, half_width: float = 0.1) -> FloatArray:
    """``X`` (m, n) with every entry shifted independently by U[-half_width, half_width] (Fig. 8)."""
    rng = checks.generator("rng", rng)
    X = checks.matrix("X", X)
    half_width = checks.real("half_width", half_width, at_least=0.0)
    return X + rng.uniform(-half_width, half_width, size=X.shape)


def sum_error_floor(function: SymmetricFunction, distribution: Distribution, half_width: float = 0.1) -> float:
    """Least 0-1 error of any predictor that sees only the sum of the shifted entries: the floor of Fig. 8.

    A network whose hidden rows are constant sees x through S = |x| + U_1 + ... + U_n with U_j uniform in
    [-half_width, half_width]; with q_k = P(|x| = k) and g the density of the sum of the shifts, the Bayes
    error is

        integral of min( sum_{a_k = +1} q_k g(s - k),  sum_{a_k = -1} q_k g(s - k) ) ds.

    (One that sees the entries can round each of them and has no floor for half_width < 1/2.)

    Parameters
    ----------
    function : SymmetricFunction
        The target a_0..a_n.
    distribution : Distribution
        Of the inputs before the shift; same n.
    half_width : float
        >= 0; up to 1 / (2n) no two sums can be confused, and the floor is exactly 0.

    Returns
    -------
    float
        To a few 1e-6 for 2 <= n <= 60 (midpoint rule in s; measured against a hundred times finer one).
    """
    n = function.n
    half_width = checks.real("half_width", half_width, at_least=0.0)
    if distribution.n != n:
        raise RequestError(f"distribution must be over n = {n} bits like function, got n = {distribution.n}")
    reach = n * half_width
    if reach <= 0.5:  # also bounds the work: at most about 8192 sqrt(n) cells below
        return 0.0
    from scipy.interpolate import BSpline

    # The density of a sum of n uniforms is the cardinal B-spline of degree n - 1; de Boor's recursion adds
    # positive terms only, where the alternating Irwin-Hall formula loses every digit by n = 30.
    spline = BSpline.basis_element(np.arange(n + 1), extrapolate=False)
    cells = math.ceil(4096 / min(1.0, half_width * math.sqrt(n)))
    offsets = (np.arange(cells) + 0.5) / cells * (n + 2 * reach) - reach
    step = (n + 2 * reach) / cells
    mixtures = {-1: np.zeros(cells), 1: np.zeros(cells)}
    for k, (a, q) in enumerate(zip(function.labels, distribution.weight_probabilities, strict=True)):
        inside = np.abs(offsets - k) < reach
        density = spline((offsets[inside] - k + reach) / (2 * half_width)) / (2 * half_width)
        mixtures[a][inside] += q * density
    return float(np.minimum(mixtures[-1], mixtures[1]).sum() * step)


# The whole cube


def enumerate_cube(n: int) -> FloatArray:
    """All of {0,1}^n, n <= 20, as (2^n, n): row i holds the binary digits of i (168 MB at n = 20)."""
    n = checks.integer("n", n, at_least=1, at_most=MAX_ENUMERATED)
    return _cube_rows(n, 0, 2**n)


def exact_error(
    predict: Callable[[FloatArray], FloatArray],
    function: SymmetricFunction,
    distribution: Distribution | None = None,
) -> float:
    """P(sign(predict(x)) != f(x)) by enumerating the 2^n inputs, n <= 20; an output of 0 is a mistake.

    Parameters
    ----------
    predict : callable
        (m, n) inputs to (m,) real outputs (nan is a mistake); called on blocks of at most 2^14 inputs.
    function : SymmetricFunction
        The truth f.
    distribution : Distribution, optional
        Of the inputs; uniform if not given.
    """
    n = checks.integer("n", function.n, at_most=MAX_ENUMERATED)
    distribution = UniformCube(n) if distribution is None else distribution
    if distribution.n != n:
        raise RequestError(f"distribution must be over n = {n} bits like function, got n = {distribution.n}")
    mistakes = np.zeros(n + 1)  # counted by weight, exact integers
    block = 2**14
    for start in range(0, 2**n, block):
        X = _cube_rows(n, start, min(start + block, 2**n))
        outputs = np.asarray(predict(X))
        if outputs.shape != (len(X),) or outputs.dtype.kind not in "biuf":
            raise RequestError(
                f"predict must return {len(X)} real outputs for X of shape {X.shape}, "
                f"got shape {outputs.shape} and dtype {outputs.dtype}"
            )
        wrong = ~(function(X) * outputs > 0)
        mistakes += np.bincount(X[wrong].sum(axis=1).astype(np.intp), minlength=n + 1)
    inputs = np.array([math.comb(n, k) for k in range(n + 1)])
    return float(np.sum(distribution.weight_probabilities * (mistakes / inputs)))


def _cube_rows(n: int, start: int, stop: int) -> FloatArray:
    return (np.arange(start, stop, dtype=np.int32)[:, None] >> np.arange(n - 1, -1, -1, dtype=np.int32) & 1).astype(
        np.float64
    )
