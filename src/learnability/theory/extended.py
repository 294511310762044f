"""Products of powers in float64 of factors of any size: infinite or 0 where the result is, never before."""

from __future__ import annotations

import math

__all__ = ["monomial", "room"]


def monomial(*powers: tuple[float, float]) -> float:
    """The product of base^power over the pairs, bases >= 0 and positive where a power is negative.

    Mantissas and exponents are multiplied apart, so that nothing overflows or vanishes on the way.
    """
    mantissa, exponent = 1.0, 0
    for base, power in powers:
        part, shift = math.frexp(base)
        whole = math.floor(shift * power)
        mantissa, more = math.frexp(mantissa * part**power * 2.0 ** (shift * power - whole))
        exponent += whole + more
        if mantissa == 0:
            return 0.0
    try:
        return math.ldexp(mantissa, exponent)
    except OverflowError:
        return math.inf


def room(rounding: float, bound: float | None) -> float:
    """Absolute room for rounding at a bound: none where there is no bound or an infinite one, which says nothing."""
    return rounding * abs(bound) if bound is not None and math.isfinite(bound) else 0.0
