r"""Smooth activations by their Taylor series, and the two complexities that the residual study measures them by.

Allen-Zhu & Li, Section 4: for :math:`\phi(z) = \sum_i c_i z^i` and a large constant C* ("e.g. 10^4"),

.. math::
    C_\epsilon(\phi) = \sum_i \Bigl((C^*)^i + \bigl(\sqrt{\log(1/\epsilon)}\, C^* / \sqrt i\bigr)^i\Bigr) |c_i|,
    \qquad C_s(\phi) = C^* \sum_i (i + 1) |c_i|,

where the second summand of the term i = 0 is read as 1. C* is a parameter here, 1 by default, for numbers that can be
read; Lemmas A.2 and E.2 are true for C* >= 2 (:func:`learnability.problems.concepts.general_form`,
:func:`Taylor.smoothness`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError

__all__ = ["NAMES", "Taylor", "monomial", "series"]

NAMES = ("sin", "cos", "expm1", "tanh", "sigmoid")
"""The functions that :func:`series` knows: all of the paper's Example 4.1 but polynomials."""


@dataclass(frozen=True)
class Taylor:
    """An activation: its Taylor coefficients at 0 and, for values beyond the polynomial's reach, the function itself.

    Parameters
    ----------
    coefficients : iterable of float
        c_0, c_1, ..., at least one; trailing zeros are dropped. For an infinite series, as many as matter.
    function : callable, optional
        What is evaluated: an array in, an array of its shape out. Without it, the polynomial. The complexities are
        those of ``coefficients`` either way.
    """

    coefficients: tuple[float, ...]
    function: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        given = self.coefficients
        if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
            raise RequestError(f"coefficients must be a sequence of numbers, got {given!r}")
        found = checks.vector("coefficients", np.asarray(given) if hasattr(given, "shape") else list(given)).tolist()
        if not found:
            raise RequestError("coefficients must hold at least c_0, got none")
        while len(found) > 1 and found[-1] == 0:
            found.pop()
        checks.store(self, coefficients=tuple(found))
        if self.function is not None and not callable(self.function):
            raise RequestError(f"function must be callable or None, got {self.function!r}")

    @property
    def degree(self) -> int:
        """Of the last coefficient kept."""
        return len(self.coefficients) - 1

    def __call__(self, z: ArrayLike) -> FloatArray:
        """The values, of the shape of ``z``.

        Raises
        ------
        ValueError
            If z or a value of the polynomial is not finite, or the function does not return finite values of that
            shape.
        """
        points = checks.array("z", z)
        if self.function is None:
            with np.errstate(over="ignore", invalid="ignore"):
                found: FloatArray = np.asarray(
                    np.polynomial.polynomial.polyval(points, self.coefficients), np.float64
                )
            if not np.isfinite(found).all():
                raise RequestError(f"z must keep the values within float64, got up to {np.abs(points).max():g}")
            return found
        values = np.asarray(self.function(points), dtype=np.float64)
        if values.shape != points.shape or not np.isfinite(values).all():
            raise RequestError(
                f"function must return finite values of shape {points.shape}, got "
                f"{'a value that is not finite' if values.shape == points.shape else f'shape {values.shape}'}"
            )
        return values

    def derivative(self) -> Taylor:
        """The derivative's series, term by term, as a polynomial."""
        return Taylor(tuple(i * c for i, c in enumerate(self.coefficients))[1:] or (0.0,))

    def odd_part(self) -> Taylor:
        r"""Lemma A.2's :math:`\phi^+ = \sum_{i = 0, 1, 3, 5, \dots} c_i z^i`: the zero- and odd-order terms."""
        kept = tuple(c if i == 0 or i % 2 else 0.0 for i, c in enumerate(self.coefficients))
        return Taylor(kept, None if self.function is None else _Part(self, even=False))

    def even_part(self) -> Taylor:
        r"""Lemma A.2's :math:`\phi^- = \sum_{i = 2, 4, \dots} c_i z^{i-1}`, so that phi is phi^+ + z phi^-."""
        kept = (0.0, *(c if i % 2 == 0 else 0.0 for i, c in enumerate(self.coefficients[2:], 2)))
        return Taylor(kept, None if self.function is None else _Part(self, even=True))

    def majorant(self, radius: float) -> float:
        r""":math:`\sum_i |c_i| r^i`: a bound on \|phi(z)\| for \|z\| <= r, of the coefficients kept."""
        r = checks.real("radius", radius, at_least=0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            bound = float(np.polynomial.polynomial.polyval(r, np.abs(self.coefficients)))
        if not math.isfinite(bound):
            raise RequestError(f"radius must keep the bound within float64, got {r:g}")
        return bound

    def smoothness(self, constant: float = 1.0) -> float:
        r"""C_s(phi), with ``constant`` for C*.

        Their existence lemma (E.2) needs :math:`E h^2 \le C_s^2` for a certain h; with the exact constants of
        Claim E.3 that is true for C* >= 2 and false for C* = 1.

        Raises
        ------
        ValueError
            Unless ``constant`` is > 0, or if the value is too large for float64.
        """
        constant = checks.real("constant", constant, above=0.0)
        return self._within("C_s", constant, [constant * (i + 1) * abs(c) for i, c in enumerate(self.coefficients)])

    def complexity(self, eps: float, constant: float = 1.0) -> float:
        r"""C_eps(phi), with ``constant`` for C*.

        Parameters
        ----------
        eps : float
            In (0, 1].
        constant : float
            > 0. With the paper's 10^4 and a degree of 77 the value leaves float64.

        Raises
        ------
        ValueError
            For arguments outside these ranges, or if the value is too large for float64.
        """
        eps = checks.real("eps", eps, above=0.0, at_most=1.0)
        constant = checks.real("constant", constant, above=0.0)
        spread = math.sqrt(-math.log(eps))
        terms = (
            (constant**i + (spread / math.sqrt(i) * constant) ** i if i else 2) * abs(c)
            for i, c in enumerate(self.coefficients)
        )
        return self._within("C_eps", constant, terms)

    def _within(self, name: str, constant: float, terms: Iterable[float]) -> float:
        """The sum, if float64 holds it."""
        try:
            total = math.fsum(terms)
        except OverflowError:
            total = math.inf
        if not total < math.inf:
            raise RequestError(
                f"constant must keep {name} within float64, got {constant:g} with degree {self.degree}"
            )
        return total


def monomial(degree: int, scale: float = 1.0) -> Taylor:
    """Scale z^degree, with a degree in 0..10,000."""
    degree = checks.integer("degree", degree, at_least=0, at_most=10_000)
    return Taylor((0.0,) * degree + (checks.real("scale", scale),))


def series(name: str, degree: int, scale: float = 1.0) -> Taylor:
    r"""One of :data:`NAMES` at ``scale`` times z, with Taylor coefficients up to ``degree``; evaluated exactly.

    Example 4.1: for sin, cos and exp - 1 the complexities are those of the whole series for any scale; tanh and
    sigmoid have series that converge for :math:`|z| < \pi/2` and :math:`|z| < \pi` over the scale, and the paper
    truncates them at a degree of order log(1/eps).

    Parameters
    ----------
    name : {"sin", "cos", "expm1", "tanh", "sigmoid"}
    degree : int
        Last degree kept, in 0..1000.
    scale : float
        c in phi(c z).
    """
    name = checks.choice("name", name, NAMES)
    degree = checks.integer("degree", degree, at_least=0, at_most=1000)
    scale = checks.real("scale", scale)
    exact = (c * Fraction(scale) ** i for i, c in enumerate(_coefficients(name, degree)))
    try:
        return Taylor(tuple(map(float, exact)), _Scaled(name, scale))
    except OverflowError:
        raise RequestError(
            f"scale must keep the coefficients within float64, got {scale:g}, degree {degree}"
        ) from None


@dataclass(frozen=True)
class _Part:
    """phi^+ or phi^- of an activation that has a function: from its values at z and -z, which need no series."""

    whole: Taylor
    even: bool

    def __call__(self, z: FloatArray) -> FloatArray:
        here, there, c_0 = self.whole(z), self.whole(-z), self.whole.coefficients[0]
        if not self.even:
            return c_0 + (here - there) / 2
        divisor = np.where(z == 0, 1.0, z)
        return np.where(z == 0, 0.0, ((here + there) / 2 - c_0) / divisor)


@dataclass(frozen=True)
class _Scaled:
    """Function of scale times z: an object, so that two equal activations compare equal."""

    name: str
    scale: float

    def __call__(self, z: FloatArray) -> FloatArray:
        return _FUNCTIONS[self.name](self.scale * z)


_FUNCTIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "sin": np.sin,
    "cos": np.cos,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": lambda z: 0.5 + 0.5 * np.tanh(z / 2),
}


def _coefficients(name: str, degree: int) -> Sequence[Fraction]:
    """Exact Taylor coefficients c_0 .. c_degree."""
    factorials = [Fraction(1, math.factorial(i)) for i in range(degree + 1)]
    if name == "expm1":
        return [Fraction(0), *factorials[1:]]
    if name in ("sin", "cos"):
        first = int(name == "sin")
        return [f * (-1) ** (i // 2) if i % 2 == first else Fraction(0) for i, f in enumerate(factorials)]
    tanh = _tanh(degree)
    if name == "tanh":
        return tanh
    return [Fraction(1, 2) * (i == 0) + c / 2 ** (i + 1) for i, c in enumerate(tanh)]


def _tanh(degree: int) -> list[Fraction]:
    """From the tangent numbers, tan z = sum T_n z^(2n-1) / (2n-1)!, by the recurrence of Brent & Harvey (2013)."""
    count = (degree + 1) // 2
    T = [0] + [math.factorial(n) for n in range(count)]
    for k in range(2, count + 1):
        for n in range(k, count + 1):
            T[n] = (n - k) * T[n - 1] + (n - k + 2) * T[n]
    c = [Fraction(0)] * (degree + 1)
    for n in range(1, count + 1):
        c[2 * n - 1] = Fraction((-1) ** (n - 1) * T[n], math.factorial(2 * n - 1))
    return c
