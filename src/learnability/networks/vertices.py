r"""Two-layer networks of least norm for the product of six signs: what SGD does not find.

Allen-Zhu & Li, Section 8.2: :math:`F(W; x) = a^T \sigma(W x)` with ReLU, :math:`a \in \{\pm 1/\sqrt m\}^m` with m/2
of each sign and only W trained, on x uniform in :math:`\{\pm 1/\sqrt d\}^d` with :math:`y = d^3 x_{i_1} \cdots
x_{i_6}`. They found W of small norm by training at d = 6. This project has an explicit network, one unit for every
vertex of the six-dimensional cube: with :math:`\chi(v) = \prod_j \mathrm{sign}\, v_j`, on the six coordinates

.. math:: y = \tfrac12 \sum_{v \in \{\pm 1/\sqrt 6\}^6} \chi(v) \sigma(\langle v, x \rangle) \qquad (d = 6),

because the sum over j of :math:`\binom 6 j (-1)^j \max(6 - 2j, 0) / 6` is 2. It has the least norm possible, see
:func:`least_error`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.memory import allowed
from learnability.problems.boolean import signs
from learnability.problems.residual import MONOMIAL_DEGREE, degree_six
from learnability.traced import Door, door

__all__ = [
    "LEAST_NORM",
    "PUBLISHED",
    "Found",
    "VertexNet",
    "duplicated",
    "exact_error",
    "forward",
    "least_error",
    "least_norm",
    "least_scale",
    "norm",
    "output_weights",
    "padded",
    "scaled",
    "search",
    "vertex_network",
]

PUBLISHED = ((9.7, 0.12), (12.5, 0.037), (13.8, 0.011))
r"""Section 8.2's networks, for every even m >= 200 and every d >= 6: norm over :math:`\sqrt d`, and error at most."""

LEAST_NORM = 32 / math.sqrt(6)
r"""Least norm of an exact fit over :math:`\sqrt d`, 13.064."""

VERTICES = 2**MONOMIAL_DEGREE

WIDEST = 10**8
"""Largest width."""
LARGEST = 2**30
"""Most weights of a network that is made here, if there is memory for them."""

MOST_ACTIVE = 20
"""Coordinates over which :func:`exact_error` enumerates (2^20 points)."""


class VertexNet(NamedTuple):
    """Parameters."""

    W: FloatArray
    """(m, d)"""
    a: FloatArray
    """(m,), fixed: ± 1/sqrt(m)."""


def output_weights(m: int) -> FloatArray:
    """The vector a for an even m in 2..10^8: first m/2 times 1/sqrt(m), then m/2 times the negative."""
    m = checks.integer("m", m, at_least=2, at_most=WIDEST)
    if m % 2:
        raise RequestError(f"m must be even, for as many units of each sign, got {m}")
    return np.repeat([1.0, -1.0], m // 2) / math.sqrt(m)


def forward(params: VertexNet, X: ArrayLike) -> FloatArray:
    """The outputs (n,) at the inputs ``X`` (n, d); JAX traces it, with the derivative 1[z >= 0]."""
    check = door(params, X)
    W, a = _checked(params, check)
    z = check.matrix("X", X, columns=W.shape[1]) @ W.T
    return (np.maximum(z, 0.0) if check is checks else z * (z >= 0)) @ a


def norm(params: VertexNet) -> float:
    """The Frobenius norm of W."""
    return float(np.linalg.norm(_checked(params).W))


# The construction


def vertex_network(m: int, d: int = 6, *, support: ArrayLike = range(6), scale: float = 1.0) -> VertexNet:
    r"""The explicit network, exact for ``scale`` = 1, for every even m >= 64.

    A vertex v has c units with rows :math:`\sqrt m / (2c)\, v` at d = 6. With q = m // 64 and r = (m/2) mod 32, r
    vertices of each sign have c = q + 1 and the others c = q: :math:`\|W\|_F^2 = 2 ((32 - r) m / (4q) + r m /
    (4 (q + 1)))` at d = 6, which is 32^2 where 64 divides m, and at most 32.34^2 for m >= 200. For other d the rows
    are :func:`padded`.

    Parameters
    ----------
    m : int
        Width, even, in 64..10^8.
    d : int
        Dimension, >= 6, with m d at most 2^30 weights (8 GiB).
    support : iterable of int
        The six relevant coordinates.
    scale : float
        s in [0, 1e100]: all weights times s. The error is then (1 - s)^2.
    """
    m = checks.integer("m", m, at_least=VERTICES)
    a = output_weights(m)
    d = _fitting("d", d, MONOMIAL_DEGREE, m)
    scale = checks.real("scale", scale, at_least=0.0, at_most=1e100)
    cube = signs(MONOMIAL_DEGREE)
    parity = cube.prod(axis=1)
    copies, extra = divmod(m // 2, VERTICES // 2)
    rows = []
    for sign in (1, -1):
        vertices = cube[parity == sign]
        times = np.where(np.arange(len(vertices)) < extra, copies + 1, copies)
        sizes = scale * math.sqrt(m) / (2 * times * math.sqrt(MONOMIAL_DEGREE))
        rows.append(np.repeat(sizes[:, None] * vertices, times, axis=0))
    return padded(VertexNet(np.vstack(rows), a), d, support=support)


def padded(params: VertexNet, d: int, *, support: ArrayLike = range(6), rescaled: bool = True) -> VertexNet:
    r"""A network on six inputs as one on d, with the same values: zero columns, and all times :math:`\sqrt{d/6}`.

    The paper's footnote 16 pads and does not mention the factor; without it (``rescaled=False``) the relevant inputs
    have shrunk from :math:`1/\sqrt 6` to :math:`1/\sqrt d` and the network with them.

    Parameters
    ----------
    params : VertexNet
        W of shape (m, 6).
    d : int
        >= 6.
    support : iterable of int
        Where the six coordinates go, in increasing order.
    rescaled : bool
    """
    params = _checked(params)
    if params.W.shape[1] != MONOMIAL_DEGREE:
        raise RequestError(f"params.W must have {MONOMIAL_DEGREE} columns, got shape {params.W.shape}")
    d = _fitting("d", d, MONOMIAL_DEGREE, len(params.W))
    if not isinstance(rescaled, bool | np.bool_):
        raise RequestError(f"rescaled must be True or False, got {rescaled!r}")
    W = np.zeros((len(params.W), d))
    W[:, degree_six(d, support).support] = params.W * (math.sqrt(d / MONOMIAL_DEGREE) if rescaled else 1.0)
    return VertexNet(W, params.a)


def duplicated(params: VertexNet, c: int) -> VertexNet:
    """Every unit c >= 1 times, its weights divided by sqrt(c): width c m, the same values and the same norm.

    At most 2^30 weights are made.
    """
    params = _checked(params)
    c = _fitting("c", c, 1, params.W.size)
    return VertexNet(np.repeat(params.W, c, axis=0) / math.sqrt(c), np.repeat(params.a, c) / math.sqrt(c))


def _fitting(name: str, value: object, least: int, each: int) -> int:
    """An integer with which ``each`` times as many weights are not too many, for :data:`LARGEST` or for memory."""
    number = checks.integer(name, value, at_least=least)
    most = int(allowed(8 * LARGEST, 8 * each * number)) // (8 * each)
    return checks.integer(name, number, at_most=max(least, most))


def scaled(params: VertexNet, s: float) -> VertexNet:
    """W times s >= 0: values and norm times s."""
    params = _checked(params)
    return VertexNet(checks.real("s", s, at_least=0.0) * params.W, params.a)


def exact_error(params: VertexNet, *, support: ArrayLike = range(6)) -> float:
    r""":math:`E |F(W; x) - y|^2`, exactly, for x uniform in :math:`\{\pm 1/\sqrt d\}^d`.

    By enumeration of the signs of the coordinates in ``support`` and of those with a weight that is not 0: 64 points
    for the networks made here, whatever d is.

    Raises
    ------
    ValueError
        If these are more than 20 coordinates, or the support is not six coordinates below d.
    """
    error, _, _ = _moments(params, support)
    return error


def least_scale(params: VertexNet, error: float, *, support: ArrayLike = range(6)) -> float:
    """The smallest s >= 0 with which :func:`scaled` brings the exact error down to ``error``.

    The error is quadratic in s: 1 - 2 s E yF + s^2 E F^2.

    Raises
    ------
    ValueError
        As :func:`exact_error`; if ``error`` is negative, or below what scaling can reach.
    """
    error = checks.real("error", error, at_least=0.0)
    _, c, square = _moments(params, support)
    reached = 1.0 if c <= 0 else max(0.0, 1 - c**2 / square)
    if error < reached * (1 - 1e-12):
        raise RequestError(
            f"error must be at least {reached:g}, the least that scaling these weights reaches, got {error:g}"
        )
    if error >= 1:
        return 0.0
    return (1 - error) / (c + math.sqrt(max(0.0, c**2 - square * (1 - error))))


def _moments(params: VertexNet, support: ArrayLike) -> tuple[float, float, float]:
    """E (F - y)^2, E yF and E F^2 by enumeration of the coordinates that matter."""
    W, a = _checked(params)
    d = W.shape[1]
    wanted = degree_six(d, support).support
    active = sorted({*wanted, *np.flatnonzero(W.any(axis=0)).tolist()})
    if len(active) > MOST_ACTIVE:
        raise RequestError(
            f"params.W must depend on at most {MOST_ACTIVE} coordinates, support included, for the exact error, got "
            f"{len(active)}; estimate it on a sample instead"
        )
    columns = [active.index(i) for i in wanted]
    count, block, totals = 2 ** len(active), max(1, 2**22 // len(W)), np.zeros(3)
    for start in range(0, count, block):
        S = signs(len(active), start, min(start + block, count))
        outputs = np.maximum(S @ (W[:, active].T / math.sqrt(d)), 0.0) @ a
        y = S[:, columns].prod(axis=1)
        totals += [((outputs - y) ** 2).sum(), (outputs * y).sum(), (outputs**2).sum()]
    error, c, square = (totals / count).tolist()
    return error, c, square


# The limit


def least_error(norm: ArrayLike, d: int = 6) -> FloatArray:
    r"""The least error of any W of norm at most ``norm`` >= 0 (of any shape), for every even m and every d >= 6.

    .. math:: E |F - y|^2 \ge (1 - s)^2, \qquad s = \min(1, \|W\|_F / (32 \sqrt{d/6})),

    and the scaled vertex network has equality where 64 divides m: this is the whole Pareto front. (Derived by this
    project.) Proof: with c = E yF the error is at least 1 - 2c + c^2, and c is at most
    :math:`\sum_j \|w_j\| / \sqrt m \le \|W\|_F` times the largest
    :math:`|E \chi \sigma(\langle u, x \rangle)|` over unit u. As :math:`\sigma(t) = (t + |t|)/2`, E chi t = 0 and
    :math:`|t| = \frac 2 \pi \int_0^\infty (1 - \cos ts) s^{-2} ds` and :math:`E \chi e^{is \langle u, x \rangle} =
    -\prod_{j \le 6} \sin(s u_j / \sqrt d) \prod_{j > 6} \cos(s u_j / \sqrt d)`, Hölder with six factors and
    :math:`\int_0^\infty \sin^6 t / t^2 dt = 3 \pi / 16` bound it by :math:`\frac{3}{16} \prod_{j \le 6} |u_j|^{1/6} /
    \sqrt d \le \sqrt{6/d} / 32`.
    """
    norms = checks.array("norm", norm, at_least=0.0)
    d = checks.integer("d", d, at_least=MONOMIAL_DEGREE, at_most=10**15)
    return np.asarray((1 - np.minimum(1.0, norms / (LEAST_NORM * math.sqrt(d)))) ** 2)


def least_norm(error: ArrayLike, d: int = 6) -> FloatArray:
    r"""The least norm of a W with an error of at most ``error`` >= 0, :math:`32 \sqrt{d/6} (1 - \sqrt{error})_+`."""
    errors = checks.array("error", error, at_least=0.0)
    d = checks.integer("d", d, at_least=MONOMIAL_DEGREE, at_most=10**15)
    return np.asarray(LEAST_NORM * math.sqrt(d) * np.maximum(0.0, 1 - np.sqrt(errors)))


# The paper's recipe


class Found(NamedTuple):
    """A network at d = 6 found by minimisation."""

    params: VertexNet
    error: float
    """E |F - y|^2, exactly."""
    norm: float
    """Frobenius norm of W."""


def search(rng: np.random.Generator, decay: float, *, m: int = 200, starts: int = 4, most: int = 3000) -> Found:
    r"""Footnote 16's recipe at d = 6: minimise error + ``decay`` :math:`\|W\|_F^2` over W, from random starts.

    All 64 inputs are the sample, so the error is the exact one. Where the paper trains with SGD, this is L-BFGS;
    starts are N(0, 1), and the lowest objective is kept.

    Parameters
    ----------
    rng : numpy.random.Generator
    decay : float
        >= 0.
    m : int
        Width, even.
    starts : int
        >= 1.
    most : int
        Iterations of L-BFGS for a start, >= 1.
    """
    from scipy.optimize import minimize

    rng = checks.generator("rng", rng)
    decay = checks.real("decay", decay, at_least=0.0)
    a = output_weights(m)
    starts = checks.integer("starts", starts, at_least=1, at_most=10**6)
    most = checks.integer("most", most, at_least=1, at_most=10**9)
    S = signs(MONOMIAL_DEGREE)
    X, y = S / math.sqrt(MONOMIAL_DEGREE), S.prod(axis=1)

    def objective(flat: FloatArray) -> tuple[float, FloatArray]:
        W = flat.reshape(m, MONOMIAL_DEGREE)
        Z = X @ W.T
        residual = np.maximum(Z, 0.0) @ a - y
        slope = (2 / len(y)) * residual[:, None] * a * (Z > 0)
        return float(residual @ residual) / len(y) + decay * float(flat @ flat), (slope.T @ X + 2 * decay * W).ravel()

    ends = [
        minimize(
            objective,
            rng.standard_normal(m * MONOMIAL_DEGREE),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": most, "maxfun": 2 * most, "ftol": 1e-12, "gtol": 1e-9},
        )
        for _ in range(starts)
    ]
    params = VertexNet(min(ends, key=lambda end: end.fun).x.reshape(m, MONOMIAL_DEGREE), a)
    return Found(params, exact_error(params), norm(params))


def _checked(params: VertexNet, check: Door = checks) -> VertexNet:
    if not isinstance(params, VertexNet):
        raise RequestError(f"params must be a VertexNet, got {params!r}")
    W = check.matrix("params.W", params.W)
    return VertexNet(W, check.vector("params.a", params.a, length=len(W)))
