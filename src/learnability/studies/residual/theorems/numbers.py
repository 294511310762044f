"""The numbers of a concept class of Allen-Zhu & Li, checked, and their high powers without overflow.

Bounds of the paper are products of fourth and eighth powers of alpha and of complexities like 2^k: in between they
leave float64 where the result does not. They are computed in fractions (every float is one) and rounded once.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

from learnability import checks

__all__ = ["ConceptNumbers", "concept_numbers", "rounded", "share"]


class ConceptNumbers(NamedTuple):
    """What Theorem 1 knows of H = F + alpha G(F)."""

    alpha: Fraction
    k: int
    p_F: int
    C_F: Fraction
    p_G: int
    C_G: Fraction

    @property
    def base(self) -> Fraction:
        """The product k p_F C_s(F)."""
        return self.k * self.p_F * self.C_F

    @property
    def composite(self) -> Fraction:
        """The product k p_G C_s(G)."""
        return self.k * self.p_G * self.C_G


def concept_numbers(*, alpha: float, k: int, p_F: int, C_F: float, p_G: int, C_G: float) -> ConceptNumbers:
    """Alpha in (0, 1), integers k, p_F, p_G >= 1 of any size, C_F, C_G > 0; as exact fractions.

    Parameters
    ----------
    alpha : float
        Share of the composite signal, in (0, 1).
    k, p_F, p_G : int
        >= 1: outputs, and terms of an output of F and of G.
    C_F, C_G : float
        Complexities C_s of F and G, > 0.

    Returns
    -------
    ConceptNumbers

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    k, p_F, p_G = (checks.integer(n, v, at_least=1) for n, v in (("k", k), ("p_F", p_F), ("p_G", p_G)))
    base, composite = (checks.rational(name, value, above=0.0) for name, value in (("C_F", C_F), ("C_G", C_G)))
    return ConceptNumbers(Fraction(share(alpha)), k, p_F, base, p_G, composite)


def share(alpha: float) -> float:
    """The share alpha of the composite signal as a float, checked: 0 < alpha < 1.

    Parameters
    ----------
    alpha : float
        In (0, 1).

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If alpha is outside its range.
    """
    return checks.real("alpha", alpha, above=0.0, below=1)


def rounded(value: Fraction) -> float:
    """The nearest float; infinite where it is too large for float64.

    Parameters
    ----------
    value : Fraction
        Any.

    Returns
    -------
    float
    """
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
