"""Weights that fit any labels: Theorem 7 of Brutzkus et al. (ICLR 2018), by construction and without training.

Theorem 7: for k >= 2 ceil(n / (2d - 2)), any labels and almost every X there are weights with N(x_i) = y_i for all i.
Its proof subtracts two networks of Soudry & Hoffer (2017, Theorem 8), one for each class, and so needs
k = 2 (ceil(n_+ / (d-1)) + ceil(n_- / (d-1))), about twice what is stated. The statement is true nevertheless:
``hyperplanes`` needs k = ceil(n / d) only (ours, proved in :func:`learnability.networks.gadgets.pencil`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.networks import gadgets
from learnability.networks.gadgets import Degenerate, Rows
from learnability.networks.separable import TwoLayer, forward, slope

__all__ = ["CONSTRUCTIONS", "Memorised", "memorise", "proof_width", "stated_width"]

CONSTRUCTIONS = ("linear", "hyperplanes", "constant", "mixed", "same_sign")
"""From narrow to wide.

* ``linear``: the points are linearly independent; k = 1.
* ``hyperplanes``: :func:`learnability.networks.gadgets.hyperplanes`; k = ceil(n / r) for almost all points.
* ``constant``: some linear function is constant on the points (a constant coordinate): that constant for the majority
  class, and for the minority class gadgets of value 2; k = max(2 g, g + 1) with g = ceil(n_min / (r-1)), at most the
  stated width for r = d.
* ``mixed``: gadgets for r - 1 points of either class; k = 2 ceil(n / (r-1)).
* ``same_sign``: gadgets for r - 1 points of one class, the paper's proof; its k is :func:`proof_width`, or the larger
  of 2 g_+ + g_- and g_+ + 2 g_- once equal rows are merged.

Here r is the rank of X, and d in general position.
"""

ACCURATE = 1e-10
"""An output this near to its label is not worth another try."""


class Memorised(NamedTuple):
    """A network with chosen outputs, and how it was made."""

    params: TwoLayer
    """Rows of zeros fill up what a construction does not need."""
    construction: str
    """One of :data:`CONSTRUCTIONS`."""
    k: int
    """Units of each sign."""
    used: int
    """Units of each sign that the construction needs: the larger number of its rows of one sign."""
    rank: int
    """r, the rank of X."""
    gap: float
    """The smallest epsilon, tau or delta used, > 0."""
    residual: float
    """max |N(x_i) - y_i| in float64, before ``exact_hinge`` scales."""


def stated_width(n: int, d: int) -> int:
    """Theorem 7's k = 2 ceil(n / (2d - 2)), for n >= 1 points in d >= 2 dimensions."""
    n = checks.integer("n", n, at_least=1)
    d = checks.integer("d", d, at_least=2)
    return 2 * -(-n // (2 * d - 2))


def proof_width(positive: int, negative: int, d: int) -> int:
    """The proof's k = 2 (ceil(n_+ / (d-1)) + ceil(n_- / (d-1))), for n_+, n_- >= 0 and d >= 2."""
    positive = checks.integer("positive", positive, at_least=0)
    negative = checks.integer("negative", negative, at_least=0)
    d = checks.integer("d", d, at_least=2)
    return 2 * (-(-positive // (d - 1)) - (-negative // (d - 1)))


def memorise(
    X: ArrayLike,
    y: ArrayLike,
    *,
    alpha: float,
    rng: np.random.Generator,
    width: int | str = "least",
    construction: str = "auto",
    v: float = 1.0,
    exact_hinge: bool = False,
    tries: int = 8,
    tolerance: float = 1e-6,
) -> Memorised:
    """Weights with N(x_i) = y_i for every i, in the row space of X.

    Parameters
    ----------
    X : array (n, d)
        Points, none of them 0. Equal points count once.
    y : array (n,)
        Labels in {-1, +1}.
    alpha : float
        Slope in [0, 1); 0 is the ReLU.
    rng : numpy.random.Generator
        For groups and directions.
    width : int or {"least", "stated", "proof"}
        Units of each sign: as many as the construction needs, :func:`stated_width`, :func:`proof_width` (both with
        the rank of X for d), or a number.
    construction : str
        One of :data:`CONSTRUCTIONS`, or ``"auto"``: the first that meets the tolerance within the width.
    v : float
        Size of the output weights, > 0.
    exact_hinge : bool
        Multiply the weights by 1 plus the residual, roughly, so that y_i N(x_i) >= 1 in float64 and the hinge loss
        is 0.
    tries : int
        Random groupings or planes to try, >= 1; the best is kept.
    tolerance : float
        Largest residual accepted, > 0.

    Raises
    ------
    ValueError
        For arguments outside these ranges; if no network of this kind can fit (a point is 0, a point is a positive
        multiple of another, equal points have opposite labels), naming the points; if the construction fails at every
        try (points in the span of others, naming them; residual too large) or takes more units than ``width`` gives.
    """
    X = checks.matrix("X", X)
    y = checks.labels("y", y, length=len(X))
    alpha, v = slope(alpha), checks.real("v", v, above=0.0)
    rng = checks.generator("rng", rng)
    construction = checks.choice("construction", construction, ("auto", *CONSTRUCTIONS))
    tries = checks.integer("tries", tries, at_least=1)
    tolerance = checks.real("tolerance", tolerance, above=0.0)
    if isinstance(width, str):
        checks.choice("width", width, ("least", "stated", "proof"))
    else:
        width = checks.integer("width", width, at_least=1)
    norms = np.abs(X).max(axis=1)
    if not norms.all():
        raise RequestError(
            f"X must have no zero row (its output is 0 whatever the weights), got one at {norms.argmin()}"
        )
    if not (norms.min() > 1e-100 and norms.max() < 1e100):
        raise RequestError(
            f"X must have rows between 1e-100 and 1e100 in size, got {norms.min():g} to {norms.max():g}"
        )
    first = _different(X, y)
    scale = float(norms.max())
    Z, basis, rank = _row_space(X[first] / scale)
    labels = y[first]
    available = _available(width, labels, rank)

    best: tuple[float, str, TwoLayer, Rows] | None = None
    reasons: dict[str, str] = {}
    for name, makers in _stages(Z, labels, alpha, rng, construction, available, tries, reasons):
        for make in makers:
            try:
                rows = make()
            except (Degenerate, np.linalg.LinAlgError) as error:
                reasons[name] = str(error)
                continue
            used = max(len(rows.plus), len(rows.minus))
            if available is not None and used > available:
                reasons[name] = f"takes {used} units of each sign, width allows {available}"
                break
            params = _fold(rows, basis / scale, v, available or used)
            residual = float(np.abs(forward(params, X, alpha=alpha) - y).max())
            if best is None or residual < best[0]:
                best = residual, name, params, rows
            if residual <= ACCURATE:
                break
        if best is not None and best[0] <= tolerance:
            break
    if best is None or best[0] > tolerance:
        if best is not None:
            reasons[best[1]] = f"|N(x_i) - y_i| is up to {best[0]:.3g}, tolerance {tolerance:g}"
        raise RequestError(
            f"X must be in general position for construction {construction!r} with alpha = {alpha:g}, got no network "
            f"for its {len(X)} points of rank {rank}: " + "; ".join(f"{name}: {why}" for name, why in reasons.items())
        )
    residual, name, params, rows = best
    if exact_hinge:
        params = _hinge_free(params, X, y, alpha)
    used = max(len(rows.plus), len(rows.minus))
    return Memorised(params, name, len(params.v) // 2, used, rank, rows.gap, residual)


def _available(width: int | str, labels: FloatArray, rank: int) -> int | None:
    if not isinstance(width, str):
        return width
    d = max(rank, 2)
    if width == "stated":
        return stated_width(len(labels), d)
    positive = int((labels > 0).sum())
    return proof_width(positive, len(labels) - positive, d) if width == "proof" else None


def _different(X: FloatArray, y: FloatArray) -> NDArray[np.intp]:
    """Indices of the points without repetitions, having refused what no network of any width can fit.

    N is positively homogeneous, N(t x) = t N(x) for t > 0; and N(x) - N(-x) = (1 + alpha) sum_i v_i <w_i, x> is
    linear.
    """
    unit = X / np.abs(X).max(axis=1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    repeated = np.zeros(len(X), dtype=bool)
    opposite: list[tuple[int, int]] = []
    block = max(1, 2**22 // len(X))
    for lo in range(0, len(X), block):
        cosines = unit[lo : lo + block] @ unit.T
        for row, j in np.argwhere(np.abs(cosines) > 1 - 1e-12):
            i, sign = lo + int(row), np.sign(cosines[row, j])
            if j <= i or np.abs(unit[i] - sign * unit[j]).max() > 1e-14:
                continue
            if sign < 0:
                opposite.append((i, int(j)))
                continue
            if np.abs(X[i] - X[j]).max() > 1e-14 * np.abs(X[i]).max():
                raise RequestError(
                    f"X must have no two points of one direction (N(t x) = t N(x) for t > 0), got points {i} and {j}"
                )
            if y[i] != y[j]:
                raise RequestError(
                    f"y must be equal on equal points, got {y[i]:+g} and {y[j]:+g} at points {i} and {j}"
                )
            repeated[j] = True
    _odd_part(X, y, opposite)
    return np.flatnonzero(~repeated)


def _odd_part(X: FloatArray, y: FloatArray, opposite: list[tuple[int, int]]) -> None:
    """Refuses opposite points x and -t x on which N(x) - N(-x) would not be linear in x."""
    if not opposite:
        return
    i, j = np.transpose(opposite)
    sizes = np.abs(X).max(axis=1)
    points = X[i] / sizes[i, None]
    odd = y[i] / sizes[i] - y[j] / sizes[j]
    away = np.abs(points @ np.linalg.lstsq(points, odd)[0] - odd)
    if away.max() > 1e-9 * np.abs(odd).max():
        worst = int(away.argmax())
        raise RequestError(
            "y must be such that N(x) - N(-x) can be linear in x on opposite points (it is for every network), "
            f"got labels that no linear function meets on {len(opposite)} such pairs, "
            f"points {i[worst]} and {j[worst]} among them"
        )


def _row_space(X: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """The points in coordinates (n, r) of their own span, its orthonormal basis (d, r), and the rank r."""
    _, singular, basis = np.linalg.svd(X, full_matrices=False)
    rank = int((singular > singular[0] * max(X.shape) * np.finfo(np.float64).eps).sum())
    return X @ basis[:rank].T, basis[:rank].T, rank


def _stages(
    Z: FloatArray,
    y: FloatArray,
    alpha: float,
    rng: np.random.Generator,
    construction: str,
    available: int | None,
    tries: int,
    reasons: dict[str, str],
) -> Iterator[tuple[str, list[Callable[[], Rows]]]]:
    """What to try, narrow networks first, each in several random ways; what cannot be goes to ``reasons``."""
    n, r = Z.shape
    for name in CONSTRUCTIONS if construction == "auto" else (construction,):
        if name == "linear":
            if r < n:
                reasons[name] = f"{n} points of rank {r} are linearly dependent"
            else:
                yield name, [partial(_linear, Z, y, alpha)]
        elif name == "hyperplanes":
            least = -(-n // r)
            # more units than needed are better conditioned
            for k in [max(available, least)] if available is not None else range(least, 2 * least + 2):
                yield name, [partial(_hyperplanes, Z, y, alpha, rng, k, i % 2 == 0) for i in range(2 * tries)]
        elif r < 2:
            reasons[name] = "the points are of rank 1"
        else:
            maker = {"constant": _constant, "mixed": _mixed, "same_sign": _same_sign}[name]
            yield name, [partial(maker, Z, y, alpha, rng)] * tries


def _linear(Z: FloatArray, y: FloatArray, alpha: float) -> Rows:
    return gadgets.linear(np.asarray(np.linalg.lstsq(Z, y)[0], dtype=np.float64), alpha)


def _hyperplanes(
    Z: FloatArray, y: FloatArray, alpha: float, rng: np.random.Generator, k: int, in_pencil: bool
) -> Rows:
    """Random hyperplanes, where those of a pencil would meet points (x and -x have one angle in every plane)."""
    normals = gadgets.pencil(Z, k, rng) if in_pencil else rng.standard_normal((k - 1, Z.shape[1]))
    return gadgets.hyperplanes(Z, y, normals, alpha)


def _groups(points: NDArray[np.intp], size: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """The points in random groups of at most ``size``, all of nearly one size."""
    return np.array_split(rng.permutation(points), -(-len(points) // size)) if len(points) else []


def _same_sign(Z: FloatArray, y: FloatArray, alpha: float, rng: np.random.Generator) -> Rows:
    size = Z.shape[1] - 1
    return gadgets.join(
        [
            gadgets.same_sign(Z, group, label, alpha, rng)
            for label in (1.0, -1.0)
            for group in _groups(np.flatnonzero(y == label), size, rng)
        ]
    )


def _mixed(Z: FloatArray, y: FloatArray, alpha: float, rng: np.random.Generator) -> Rows:
    groups = _groups(np.arange(len(Z)), Z.shape[1] - 1, rng)
    return gadgets.join([gadgets.mixed(Z, group, y[group], alpha, rng) for group in groups])


def _constant(Z: FloatArray, y: FloatArray, alpha: float, rng: np.random.Generator) -> Rows:
    majority = 1.0 if (y > 0).sum() * 2 >= len(y) else -1.0
    base = gadgets.constant(Z, majority)
    if base is None:
        raise Degenerate("no linear function is constant on the points")
    groups = _groups(np.flatnonzero(y != majority), Z.shape[1] - 1, rng)
    return gadgets.join([base] + [gadgets.same_sign(Z, group, -2 * majority, alpha, rng) for group in groups])


def _fold(rows: Rows, basis: FloatArray, v: float, k: int) -> TwoLayer:
    """Output weights +-v on k units of each sign, by homogeneity; the rows in the coordinates of X."""
    W = np.zeros((2 * k, len(basis)))
    W[: len(rows.plus)] = rows.plus @ basis.T / v
    W[k : k + len(rows.minus)] = rows.minus @ basis.T / v
    return TwoLayer(W, np.repeat([v, -v], k))


def _hinge_free(params: TwoLayer, X: FloatArray, y: FloatArray, alpha: float) -> TwoLayer:
    room = 1e-15
    while (least := float((y * forward(params, X, alpha=alpha)).min())) < 1:
        params = params._replace(W=params.W * ((1 + room) / least))
        room *= 2
    return params
