r"""Linearly separable data in the unit ball, and the special sets of the paper's proofs.

Source: Brutzkus, Globerson, Malach & Shalev-Shwartz, SGD Learns Over-parameterized Networks that Provably
Generalize on Linearly Separable Data (ICLR 2018). Section 2: inputs satisfy :math:`\|x\| \le 1`, and there is a
:math:`w^*` with :math:`y \langle w^*, x \rangle \ge 1` almost surely. Then :math:`1 / \|w^*\|` is a margin, so a
distribution of margin g has :math:`w^* = u / g` for the unit vector u across which it is separated.

No hyperplane here has an offset: :func:`with_bias` appends the constant coordinate of the paper's footnote 4, and
:func:`into_unit_ball` scales any finite data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError

__all__ = [
    "SCALINGS",
    "Scaling",
    "SeparableBall",
    "Split",
    "into_unit_ball",
    "lower_bound_sequence",
    "lower_bound_weights",
    "orthonormal_set",
    "random_separable",
    "split",
    "with_bias",
]

SCALINGS = ("norm", "range", "standard")
"""The ways of :func:`into_unit_ball`."""

LARGEST = 1e150
"""Entries beyond this size are refused where they would be squared."""


# A distribution of chosen margin


@dataclass(frozen=True)
class SeparableBall:
    r"""The uniform distribution over the points of the unit ball at distance >= margin from a hyperplane.

    X is uniform over :math:`\{x : \|x\| \le 1, |\langle u, x \rangle| \ge g\}` and its label is the side,
    :math:`y = \mathrm{sign} \langle u, x \rangle`: both labels have probability 1/2. A sample's own hard margin is
    at least g, and larger unless the sample is large or the dimension high.

    Parameters
    ----------
    margin : float
        g, strictly between 0 and 1.
    direction : tuple of float, length d >= 1
        Normal vector of the hyperplane, not zero; kept at unit length (u).
    """

    margin: float
    direction: tuple[float, ...]

    def __post_init__(self) -> None:
        margin = checks.real("margin", self.margin, above=0.0, below=1)
        u = checks.vector("direction", self.direction)
        if not u.any():
            raise RequestError(f"direction must hold a non-zero entry, got {len(u)} zero(s)")
        u = np.ldexp(u, -math.frexp(float(np.abs(u).max()))[1])  # no square overflows or vanishes
        checks.store(self, margin=margin, direction=tuple(float(c) for c in u / np.linalg.norm(u)))

    @property
    def d(self) -> int:
        """Dimension of the inputs."""
        return len(self.direction)

    @property
    def w_norm(self) -> float:
        """:math:`|w^*|`, which is 1 / margin."""
        return 1.0 / self.margin

    @property
    def w_star(self) -> FloatArray:
        """The paper's w*, direction / margin, (d,): y <w*, x> >= 1 almost surely."""
        return np.asarray(self.direction) / self.margin

    def sample(self, rng: np.random.Generator, m: int) -> tuple[FloatArray, FloatArray]:
        """``m`` >= 1 independent examples.

        The component along u comes from its own conditional law (see :func:`_components`), the rest from the
        ball that this leaves, and one reflection takes the first axis to u: no draw is lost to the dimension.

        Returns
        -------
        X : (m, d) array
            Norms at most 1 and distances from the hyperplane at least the margin, both up to rounding (1e-14).
        y : (m,) array
            Labels -1 and +1.
        """
        rng, m = checks.generator("rng", rng), checks.integer("m", m, at_least=1)
        s = _components(rng, m, self.d, self.margin)
        y = rng.choice([-1.0, 1.0], size=m)
        X: FloatArray = np.zeros((m, self.d))
        if self.d > 1:
            rest = rng.standard_normal((m, self.d - 1))
            radii = np.sqrt((1 - s) * (1 + s)) * rng.random(m) ** (1 / (self.d - 1))
            rest *= (radii / np.linalg.norm(rest, axis=1))[:, None]
            X[:, 1:] = rest
        # The reflection at h = u + sign(u_1) e_1, whose entries never cancel, takes e_1 to -sign(u_1) u.
        sign = math.copysign(1.0, self.direction[0])
        X[:, 0] = -sign * y * s
        h = np.array(self.direction)
        h[0] += sign
        X -= np.outer(X @ h, h * (2 / (h @ h)))
        return X, y


def _components(rng: np.random.Generator, m: int, d: int, margin: float) -> FloatArray:
    """Draws of |<u, x>| for :class:`SeparableBall`, (m,): density proportional to (1 - s^2)^((d-1)/2) on [margin, 1].

    Exact for every d and margin, by rejection from one of two laws. Where the margin is within the component's
    spread in the ball, from the ball (s^2 is Beta(1/2, (d+1)/2) there). Beyond it from the density proportional to
    s (1 - s^2)^((d-1)/2), which is inverted in closed form, kept with probability margin / s. More than a third of
    the draws are kept in either case.
    """
    s = np.empty(m)
    kept = 0
    central = margin**2 * (d + 2) <= 1
    while kept < m:
        count = m - kept
        if central:
            drawn = np.sqrt(rng.beta(0.5, (d + 1) / 2, size=count))
            drawn = drawn[drawn >= margin]
        else:
            below = (1 - margin) * (1 + margin) * rng.random(count) ** (2 / (d + 1))
            drawn = np.maximum(np.sqrt(1 - below), margin)
            drawn = drawn[rng.random(count) * drawn <= margin]
        s[kept : kept + len(drawn)] = drawn
        kept += len(drawn)
    return np.minimum(s, 1.0)


def random_separable(rng: np.random.Generator, d: int, margin: float) -> SeparableBall:
    """The :class:`SeparableBall` of a uniformly random direction in ``d`` >= 1 dimensions."""
    rng, d = checks.generator("rng", rng), checks.integer("d", d, at_least=1)
    return SeparableBall(margin, tuple(rng.standard_normal(d)))


# The sets of Theorems 4, 9 and 10


def lower_bound_sequence(d: int) -> tuple[FloatArray, FloatArray]:
    """One round of the sequence of Theorems 4 and 10: e_1, ..., e_d with label +1, to be presented cyclically.

    w* = (1, ..., 1) reaches y <w*, e_i> = 1 for every i, so |w*|^2 = d, and no shorter vector does.

    Returns
    -------
    X : (d, d) array
        The identity.
    y : (d,) array
        Ones.
    """
    d = checks.integer("d", d, at_least=1)
    return np.eye(d), np.ones(d)


def lower_bound_weights(d: int, k: int, radius: float) -> FloatArray:
    """The first layer from which Theorem 10 starts, (2k, d): the worst place in the ball of radius R.

    The first k rows (output weight +v) are -(R / sqrt(d)) (1, ..., 1), the last k (output weight -v) are
    +(R / sqrt(d)) (1, ..., 1). ``radius`` is R >= 0; Theorem 4 takes R = 1 / sqrt(2k).
    """
    d, k = checks.integer("d", d, at_least=1), checks.integer("k", k, at_least=1)
    entry = checks.real("radius", radius, at_least=0.0) / math.sqrt(d)
    W = np.full((2 * k, d), entry)
    W[:k] = -entry
    return W


def orthonormal_set(
    d: int, labels: ArrayLike | None = None, *, rng: np.random.Generator | None = None
) -> tuple[FloatArray, FloatArray]:
    """The orthonormal set of Section 7.2, with the labels +1 of the paper or any others.

    w* = sum of y_i x_i, of norm sqrt(d), is the shortest vector with y_i <w*, x_i> >= 1 for all i.

    Parameters
    ----------
    d : int
        Dimension and number of examples, >= 1.
    labels : (d,) array_like, optional
        -1 or +1 each; all +1 if not given.
    rng : numpy.random.Generator, optional
        Draws a uniformly random orthonormal basis; without it the set is e_1, ..., e_d, as in the paper.

    Returns
    -------
    X : (d, d) array
        A row an example.
    y : (d,) array
    """
    d = checks.integer("d", d, at_least=1)
    y = np.ones(d) if labels is None else np.array(checks.labels("labels", labels, length=d))
    if rng is None:
        return np.eye(d), y
    Q, R = np.linalg.qr(checks.generator("rng", rng).standard_normal((d, d)))
    return Q * np.where(np.diag(R) < 0, -1.0, 1.0), y  # with this sign Q is uniform (Haar)


# Any data, made to fit the paper's setting


def with_bias(X: ArrayLike) -> FloatArray:
    """The inputs (x, 1) / sqrt(2), (m, d+1): inputs in the unit ball stay in it.

    A hyperplane with an offset, <w, x> + b, is sqrt(2) <(w, b), (x, 1) / sqrt(2)>: one through the origin in one
    more dimension (footnote 4 of the paper), whose norm is sqrt(2 |w|^2 + 2 b^2).
    """
    X = checks.matrix("X", X)
    lifted = np.empty((len(X), X.shape[1] + 1))
    np.multiply(X, math.sqrt(0.5), out=lifted[:, :-1])
    lifted[:, -1] = math.sqrt(0.5)
    return lifted


@dataclass(frozen=True, eq=False)
class Scaling:
    """The map x -> (x - centre) / divisor / radius that :func:`into_unit_ball` chose; call it on other inputs.

    It is one to one: points that differ stay apart, but for rounding, and so does what a hyperplane with an offset
    separates.
    """

    how: str
    """One of :data:`SCALINGS`."""
    centre: FloatArray
    """(d,): zero for "norm", the middle of the range for "range", the mean for "standard"."""
    divisor: FloatArray
    """(d,), > 0, feature by feature."""
    radius: float
    """The largest norm after centre and divisor (1 if that is 0): the sample's examples have norms at most 1."""
    constant: tuple[int, ...]
    """Features without variation, which "range" and "standard" only centre: they become zero."""
    farthest: int
    """The example of the largest norm, counted in the inputs that were scaled."""

    def __call__(self, X: ArrayLike) -> FloatArray:
        """The inputs ``X`` (m, d), scaled; those that did not choose the scaling may have a norm above 1."""
        X = checks.matrix("X", X, columns=len(self.centre))
        scaled: FloatArray = np.subtract(X, self.centre)
        scaled /= self.divisor
        scaled /= self.radius
        return scaled

    def describe(self) -> str:
        """One sentence that says what was done."""
        if self.how == "norm":
            return f"all inputs divided by the largest norm, {self.divisor[0] * self.radius:.6g}"
        done = {
            "range": "every feature centred at the middle of its range and divided by half its range",
            "standard": "every feature centred at its mean and divided by its standard deviation",
        }[self.how]
        zeroed = f"; {len(self.constant)} constant feature(s) only centred" if self.constant else ""
        return f"{done}{zeroed}, then all inputs divided by the largest norm, {self.radius:.6g}"


def into_unit_ball(
    X: ArrayLike, how: str = "norm", *, sample: NDArray[np.intp] | None = None
) -> tuple[FloatArray, Scaling]:
    """The inputs scaled so that the largest norm is 1, and the record of the scaling.

    Parameters
    ----------
    X : (m, d) array_like
        Entries of size at most 1e150.
    how : {"norm", "range", "standard"}
        One factor for all, which keeps hyperplanes through the origin as they are; or every feature first centred
        at the middle of its range and divided by half its range; or centred at its mean and divided by its
        standard deviation (that of the values, not the estimate with one less). The last two move the origin: a
        set that no hyperplane through it separates may become separable, and the reverse.
    sample : (n,) array of int, optional
        The rows that choose the scaling, at least one; by default all. The others are mapped by the same numbers and
        may leave the ball.

    Returns
    -------
    scaled : (m, d) array
        Norms at most 1, up to rounding, of the sample.
    scaling : Scaling
        Applies the same map to other inputs, and describes it.

    Raises
    ------
    ValueError
        If a row lies 1e150 times as far outside the sample as that is wide, or for arguments outside these ranges.
    """
    X = checks.matrix("X", X)
    how = checks.choice("how", how, SCALINGS)
    largest = float(max(X.max(), -X.min()))
    if largest > LARGEST:
        raise RequestError(f"X must have entries of size <= {LARGEST:g}, got {largest:g}")
    d = X.shape[1]
    part = X if sample is None else X[sample]
    low, high = part.min(axis=0), part.max(axis=0)
    constant: tuple[int, ...] = ()
    if how == "norm":
        # A power of two, so that the map is that of the longest example alone, to the last digit.
        widest = float(max(high.max(), -low.min()))
        unit = math.ldexp(1.0, math.frexp(widest)[1]) if widest else 1.0
        centre, divisor = np.zeros(d), np.full(d, unit)
    else:
        centre, divisor = (low + high) / 2, (high - low) / 2
        constant = tuple(int(j) for j in np.flatnonzero(divisor == 0))
        divisor[list(constant)] = 1.0
        centre[list(constant)] = low[list(constant)]
        if how == "standard":
            # Of the values already within [-1, 1]: no square overflows, and a far-away mean costs no digits.
            part = part - centre
            part /= divisor
            mean = part.mean(axis=0)
            part -= mean
            deviation = np.sqrt(np.einsum("ij,ij->j", part, part) / len(part))
            deviation[list(constant)] = 1.0
            centre, divisor = centre + mean * divisor, divisor * deviation
    del part
    with np.errstate(over="ignore"):
        scaled = Scaling(how, centre, divisor, 1.0, constant, 0)(X)
        squares = np.einsum("ij,ij->i", scaled, scaled)
    if not np.isfinite(squares).all():
        row = int(np.flatnonzero(~np.isfinite(squares))[0])
        raise RequestError(
            f"X must have rows within {LARGEST:g} times the width of the sample that sets the scale, got one farther "
            f"away at index {row}"
        )
    own = np.arange(len(X)) if sample is None else sample
    farthest = int(own[squares[own].argmax()])
    radius = math.sqrt(float(squares[farthest])) or 1.0
    scaled /= radius
    return scaled, Scaling(how, centre, divisor, radius, constant, farthest)


# Train and test


class Split(NamedTuple):
    """A sample divided at random."""

    X: FloatArray
    """(train, d)"""
    y: FloatArray
    """(train,)"""
    X_test: FloatArray
    """(test, d)"""
    y_test: FloatArray
    """(test,)"""


def split(rng: np.random.Generator, X: ArrayLike, y: ArrayLike, train: int, test: int | None = None) -> Split:
    """``train`` + ``test`` examples drawn without replacement, the first to train on and the others to test.

    Parameters
    ----------
    rng : numpy.random.Generator
    X : (m, d) array_like
    y : (m,) array_like
        Labels -1 and +1.
    train : int
        Between 1 and m.
    test : int, optional
        Between 0 and m - train; by default all that are left.
    """
    rng = checks.generator("rng", rng)
    X = checks.matrix("X", X)
    y = checks.labels("y", y, length=len(X))
    train = checks.integer("train", train, at_least=1, at_most=len(X))
    test = len(X) - train if test is None else checks.integer("test", test, at_least=0, at_most=len(X) - train)
    order = rng.permutation(len(X))
    first, second = order[:train], order[train : train + test]
    return Split(X[first], y[first], X[second], y[second])
