r"""Concept classes of ResNets: two-layer functions with smooth activations, and H = F + alpha G(F) made of two.

Allen-Zhu & Li, Section 5 (Concept 1): with :math:`|a| \le 1`, :math:`\|w\| = 1/\sqrt 2` and unit inputs,

.. math:: F_r(x) = \sum_{i \le p} a_{r,i} \phi_{r,i}(\langle w_{r,i}, x \rangle), \qquad r = 1..k,

and G likewise on R^k. Appendix A (Definition A.1, Concept 2) is larger and needs no unit inputs: with unit vectors
:math:`w, w'` in R^{d+1} and activations with only zero- and odd-order terms,

.. math::
    F_r(x) = \sum_{i \le p} a_{r,i} \phi_{r,i}\bigl(\langle w_{r,i}, (x, 1) \rangle / \|(x, 1)\|\bigr)
    \langle w'_{r,i}, (x, 1) \rangle.

(Definition A.1 prints the directions as :math:`w_{1,i}`, the same for all outputs; its proof in Appendix E has
:math:`w_{1,r,i}`. Lemma A.2 needs the second.) The complexities of F are the largest of its activations'.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.memory import allowed
from learnability.problems.activations import Taylor, monomial
from learnability.problems.boolean import signs
from learnability.problems.residual import HardInstance, strength

__all__ = ["Concept", "General", "TwoLayerSmooth", "general_form", "hard_concept", "polarisation", "random_two_layer"]


class _Sum:
    """What both kinds of functions share: scales (k, p), activations [k][p] and complexities."""

    scales: FloatArray
    activations: tuple[tuple[Taylor, ...], ...]

    @property
    def k(self) -> int:
        """Number of outputs."""
        return len(self.activations)

    @property
    def p(self) -> int:
        """Terms of an output."""
        return len(self.activations[0])

    def smoothness(self, constant: float = 1.0) -> float:
        """C_s of the function: the largest of its activations', with ``constant`` for C*."""
        return max(phi.smoothness(constant) for phi in itertools.chain(*self.activations))

    def complexity(self, eps: float, constant: float = 1.0) -> float:
        """C_eps of the function: the largest of its activations', with ``constant`` for C*."""
        return max(phi.complexity(eps, constant) for phi in itertools.chain(*self.activations))

    def simple_bound(self, constant: float = 1.0) -> float:
        r""":math:`\sqrt k\, p\, C_s`: Section 5's bound of B_F and of L_G, from Fact A.3."""
        return math.sqrt(self.k) * self.p * self.smoothness(constant)


@dataclass(frozen=True, eq=False)
class TwoLayerSmooth(_Sum):
    r"""A function of Concept 1, R^d -> R^k.

    Parameters
    ----------
    weights : array (k, p, d)
        w, of norm :math:`1/\sqrt 2`. (Another norm B is absorbed by the activation, phi(B z): the paper's footnote.)
    activations : Taylor, or k sequences of p of them
        One for all terms, or one each.
    scales : array (k, p), optional
        a, in [-1, 1]; 1 if not given.
    """

    weights: FloatArray
    activations: Any
    scales: Any = None

    def __post_init__(self) -> None:
        weights = _directions("weights", self.weights, 1 / math.sqrt(2))
        _store(self, weights.shape[:2], weights=weights)

    @property
    def d(self) -> int:
        """Dimension of the inputs."""
        return int(self.weights.shape[2])

    def __call__(self, X: ArrayLike) -> FloatArray:
        """The values at ``X`` (m, d): (m, k)."""
        X = _moderate(X, self.d)
        return _combine(self, lambda r, i: X @ self.weights[r, i])

    def value_bound(self, radius: float = 1.0) -> float:
        r"""A bound on :math:`\|F(x)\|` for \|x\| <= radius, by the majorants of the Taylor coefficients kept.

        Not above :meth:`simple_bound` at radius 1, with C* = 1. Attained, for instance, by one non-negative monomial.
        """
        return self._majorised(radius, lambda phi: phi)

    def lipschitz_bound(self, radius: float = 1.0) -> float:
        r"""A Lipschitz constant on the ball \|x\| <= radius, by the majorants of the derivatives of the terms kept.

        An estimate from above of the paper's L_F or L_G; not above :meth:`simple_bound` at radius 1, with C* = 1.
        """
        return self._majorised(radius, Taylor.derivative) / math.sqrt(2)

    def _majorised(self, radius: float, of: Callable[[Taylor], Taylor]) -> float:
        reach = checks.real("radius", radius, at_least=0.0) / math.sqrt(2)
        each = np.array([[of(phi).majorant(reach) for phi in row] for row in self.activations])
        return float(np.linalg.norm((np.abs(self.scales) * each).sum(axis=1)))


@dataclass(frozen=True, eq=False)
class General(_Sum):
    r"""A function of Definition A.1, R^d -> R^k.

    Parameters
    ----------
    directions : array (k, p, d + 1)
        w, unit vectors: what goes through the activation.
    multipliers : array (k, p, d + 1)
        w', unit vectors.
    activations : Taylor, or k sequences of p of them
        With zero- and odd-order terms only.
    scales : array (k, p), optional
        a, in [-1, 1]; 1 if not given.
    """

    directions: FloatArray
    multipliers: FloatArray
    activations: Any
    scales: Any = None

    def __post_init__(self) -> None:
        directions = _directions("directions", self.directions, 1.0)
        multipliers = _directions("multipliers", self.multipliers, 1.0)
        if multipliers.shape != directions.shape or directions.shape[2] < 2:
            raise RequestError(
                "directions and multipliers must have one shape (k, p, d + 1) with d >= 1, got "
                f"{directions.shape} and {multipliers.shape}"
            )
        _store(self, directions.shape[:2], directions=directions, multipliers=multipliers)
        for phi in itertools.chain(*self.activations):
            order = next((i for i, c in enumerate(phi.coefficients) if c and i and i % 2 == 0), None)
            if order:
                raise RequestError(f"activations must have zero- and odd-order terms only, got one of order {order}")

    @property
    def d(self) -> int:
        """Dimension of the inputs."""
        return int(self.directions.shape[2]) - 1

    def __call__(self, X: ArrayLike) -> FloatArray:
        """The values at ``X`` (m, d): (m, k)."""
        X = _moderate(X, self.d)
        lifted = np.hstack([X, np.ones((len(X), 1))])
        unit = lifted / np.linalg.norm(lifted, axis=1, keepdims=True)
        return _combine(self, lambda r, i: unit @ self.directions[r, i], lambda r, i: lifted @ self.multipliers[r, i])

    def value_bound(self, X: ArrayLike, *, form: str = "corrected", constant: float = 1.0) -> FloatArray:
        r"""Fact A.3's bound on :math:`\|F(x)\|` at ``X`` (m, d), (m,): :math:`\sqrt k p C_s` times a norm.

        The norm is :math:`\|(x, 1)\|`; ``form="printed"`` has :math:`\|x\|`, which is false where F(0) is not 0.
        """
        X = _moderate(X, self.d)
        one = float(checks.choice("form", form, ("corrected", "printed")) == "corrected")
        norms: FloatArray = np.sqrt((X**2).sum(axis=1) + one)
        return self.simple_bound(constant) * norms

    def lipschitz_bound(self, constant: float = 1.0) -> float:
        r"""Fact A.3's Lipschitz constant :math:`\sqrt k p C_s`, true for C* = 1.

        The proof has :math:`3 p C_s` for an output. But u is the inner product of w with a unit vector, whose
        derivative along (x, 1) is 0: its gradient has norm at most :math:`1/\|(x, 1)\|`, and that of a term at most
        :math:`|\phi(u)| + |\phi'(u)| \le \sum_i (i + 1)|c_i|`.
        """
        return self.simple_bound(constant)


@dataclass(frozen=True, eq=False)
class Concept:
    """H(x) = F(x) + alpha G(F(x)) for two functions of either class (or any others).

    Parameters
    ----------
    base : callable (m, d) -> (m, k)
        F.
    composite : callable (m, k) -> (m, k)
        G.
    alpha : float
        In [0, 1).

    Raises
    ------
    ValueError
        If alpha is out of range, or F and G are of these classes and F's outputs are not G's inputs and outputs.
    """

    base: Callable[[FloatArray], FloatArray]
    composite: Callable[[FloatArray], FloatArray]
    alpha: float

    def __post_init__(self) -> None:
        checks.store(self, alpha=strength(self.alpha))
        for name, given in (("base", self.base), ("composite", self.composite)):
            if not callable(given):
                raise RequestError(f"{name} must be a function of inputs, got {given!r}")
        k = getattr(self.base, "k", None)
        for name in ("d", "k"):
            other = getattr(self.composite, name, None)
            if k is not None and other is not None and other != k:
                raise RequestError(f"composite must map R^{k} to R^{k}, the outputs of base, got {name} = {other}")

    def __call__(self, X: ArrayLike) -> FloatArray:
        """H(x) of the inputs ``X`` (m, d): (m, k)."""
        base, composite = self._levels(X)
        return base + self.alpha * composite

    def bounds(self, X: ArrayLike) -> tuple[float, float]:
        r"""B_F and B_FoG on a sample ``X`` (m, d): the largest :math:`\|F(x)\|` and :math:`\|G(F(x))\|` seen.

        Exact for a distribution on these points; for any other an estimate from below.
        """
        base, composite = self._levels(X)
        return float(np.linalg.norm(base, axis=1).max()), float(np.linalg.norm(composite, axis=1).max())

    def base_error(self, X: ArrayLike) -> float:
        r"""Mean of :math:`\alpha^2 \|G(F(x))\|^2` over ``X`` (m, d): error of knowing F and nothing of G."""
        return float(self.alpha**2 * (self._levels(X)[1] ** 2).sum(axis=1).mean())

    def _levels(self, X: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """F(x) and G(F(x)), within 1e150 so that squares are finite."""
        base = checks.matrix("values of base", self.base(checks.matrix("X", X)))
        composite = checks.matrix("values of composite", self.composite(base), columns=base.shape[1])
        if max(np.abs(base).max(), np.abs(composite).max()) > 1e150:
            raise RequestError("X must keep the values within 1e150 of 0, got larger ones")
        return base, composite


def random_two_layer(
    rng: np.random.Generator, d: int, k: int, p: int, activations: Taylor | Sequence[Sequence[Taylor]]
) -> TwoLayerSmooth:
    r"""A function of Concept 1 with uniformly random directions and scales uniform in [-1, 1].

    Raises
    ------
    ValueError
        Unless d, k, p >= 1 and the activations fit.
    """
    rng = checks.generator("rng", rng)
    shape = tuple(checks.integer(name, n, at_least=1) for name, n in (("k", k), ("p", p), ("d", d)))
    most = int(allowed(2**31, 8 * math.prod(shape))) // 8
    if math.prod(shape) > most:
        raise RequestError(f"k, p and d must have a product of at most {most:,} weights (memory), got {shape}")
    weights = rng.standard_normal(shape)
    weights /= math.sqrt(2) * np.linalg.norm(weights, axis=2, keepdims=True)
    return TwoLayerSmooth(weights, activations, rng.uniform(-1, 1, shape[:2]))


def general_form(function: TwoLayerSmooth) -> General:
    r"""Lemma A.2: the function F' of Definition A.1, with 2p terms, that equals F on all unit vectors.

    With :math:`\phi = \phi^+ + z \phi^-` and the unit vector :math:`w = \sqrt 2 w_{r,i}`, a term is
    :math:`\phi^+(u) \langle (0, 1), (x, 1) \rangle + \phi^-(u) \langle (w, 0), (x, 1) \rangle / \sqrt 2` at
    :math:`u = \langle (w, 0), (x, 1) \rangle / \|(x, 1)\|`, which on unit x is :math:`\langle w_{r,i}, x \rangle`.

    C_s does not grow, and C_eps does not for C* >= 2: the term i of phi is the term i - 1 of phi^-, and
    :math:`(u / \sqrt{i-1})^{i-1} - (u / \sqrt i)^i`, with :math:`u = \sqrt{\log(1/\epsilon)} C^*`, is at most
    :math:`e^{(i-2)/2} / i \le 2^{i-1} \le (C^*)^i - (C^*)^{i-1}`. For C* = 1 it may: for z^2 at eps = .1 from 2.15 to
    2.52. (The lemma says that it does not, for a "sufficiently large" C*.)
    """
    if not isinstance(function, TwoLayerSmooth):
        raise RequestError(f"function must be a TwoLayerSmooth, got {function!r}")
    k, p, d = function.weights.shape
    w = np.zeros((k, p, d + 1))
    w[:, :, :d] = math.sqrt(2) * function.weights
    last = np.zeros((k, p, d + 1))
    last[:, :, d] = 1.0
    activations = [
        [*(phi.odd_part() for phi in row), *(phi.even_part() for phi in row)] for row in function.activations
    ]
    scales = np.hstack([function.scales, function.scales / math.sqrt(2)])
    return General(np.hstack([w, w]), np.hstack([last, w]), activations, scales)


def polarisation(k: int) -> TwoLayerSmooth:
    r"""Section D.4's G for the hard instance, R^k -> R^k: every output is :math:`(k^{k/2}/\sqrt k) \prod_i z_i`.

    By the polarisation identity it is a sum of p = 2^k powers, one for every :math:`s \in \{0, 1\}^k`,

    .. math::
        \frac{k^k}{\sqrt k\, k!\, 2^k} \sum_s (-1)^{\sum s}
        \Bigl(\frac{1}{\sqrt k} \sum_i (-1)^{s_i} z_i\Bigr)^k,

    which in the form of Concept 1 is :math:`\phi(z) = k^k 2^{k/2} z^k / (\sqrt k\, k!\, 2^k)` in the directions
    :math:`(\pm 1, \dots, \pm 1)/\sqrt{2k}`.

    Parameters
    ----------
    k : int
        In 1..12: there are k 2^k directions of k entries.
    """
    k = checks.integer("k", k, at_least=1, at_most=12)
    s = signs(k)
    scale = k**k * 2 ** (k / 2) / (math.sqrt(k) * math.factorial(k) * 2**k)
    directions = np.repeat(s[None] / math.sqrt(2 * k), k, axis=0)
    return TwoLayerSmooth(directions, monomial(k, scale), np.tile(s.prod(axis=1), (k, 1)))


def hard_concept(instance: HardInstance) -> Concept:
    r"""Section 7's hard instance within Concept 1, rescaled: its values are :math:`H(x) / \sqrt k`, and \|F(x)\| = 1.

    :math:`F_r(x) = \sqrt{2d/k}\, z` at :math:`z = x_{i_r} / \sqrt 2` (p = 1); G is :func:`polarisation` (p = 2^k).
    """
    if not isinstance(instance, HardInstance):
        raise RequestError(f"instance must be a HardInstance, got {instance!r}")
    weights = np.zeros((instance.k, 1, instance.d))
    weights[np.arange(instance.k), 0, instance.support] = 1 / math.sqrt(2)
    base = TwoLayerSmooth(weights, monomial(1, math.sqrt(2 * instance.d / instance.k)))
    return Concept(base, polarisation(instance.k), instance.alpha)


# Behind the door


def _moderate(X: ArrayLike, d: int) -> FloatArray:
    """Inputs whose squares are finite."""
    X = checks.matrix("X", X, columns=d)
    if np.abs(X).max() > 1e150:
        raise RequestError(f"X must have entries within 1e150 of 0, got {np.abs(X).max():g}")
    return X


def _directions(name: str, value: ArrayLike, norm: float) -> FloatArray:
    """A finite (k, p, d) array of vectors of the given norm."""
    array = checks.array(name, value)
    if array.ndim != 3 or 0 in array.shape:
        raise RequestError(f"{name} must have shape (k, p, dimension), none of them 0, got shape {array.shape}")
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(array, axis=2)
    if not np.allclose(norms, norm, rtol=1e-9, atol=0):
        wrong = norms.flat[np.argmax(~np.isclose(norms, norm, rtol=1e-9, atol=0))]
        raise RequestError(f"{name} must be vectors of norm {norm:.6g}, got one of norm {wrong:.6g}")
    return array


def _store(function: Any, shape: tuple[int, ...], **arrays: FloatArray) -> None:
    """Check activations and scales of a frozen function and store all of it."""
    k, p = shape
    given = function.activations
    if isinstance(given, Taylor):
        rows: tuple[tuple[Any, ...], ...] = ((given,) * p,) * k
    elif isinstance(given, Iterable) and not isinstance(given, np.ndarray):
        rows = tuple(tuple(row) if isinstance(row, Iterable) else (row,) for row in given)
    else:
        rows = ()
    if [len(row) for row in rows] != [p] * k or not all(isinstance(phi, Taylor) for row in rows for phi in row):
        raise RequestError(f"activations must be one Taylor, or {k} sequences of {p}, got {given!r}")
    scales = np.ones((k, p)) if function.scales is None else checks.matrix("scales", function.scales, columns=p)
    if len(scales) != k or np.abs(scales).max() > 1:
        raise RequestError(
            f"scales must have shape ({k}, {p}) and entries in [-1, 1], got shape {scales.shape} and size "
            f"{np.abs(scales).max():g}"
        )
    checks.store(function, activations=rows, scales=scales, **arrays)


def _combine(
    function: _Sum,
    inner: Callable[[int, int], FloatArray],
    outer: Callable[[int, int], FloatArray | float] = lambda r, i: 1.0,
) -> FloatArray:
    """The sums of a phi(inner) outer over i, (m, k)."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            columns = [
                sum(function.scales[r, i] * phi(inner(r, i)) * outer(r, i) for i, phi in enumerate(row))
                for r, row in enumerate(function.activations)
            ]
    except ValueError as error:
        raise RequestError(f"X must have entries at which the activations are finite, got others: {error}") from None
    return checks.matrix("values at X", np.stack(columns, axis=1))
