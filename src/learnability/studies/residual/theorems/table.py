r"""Table 1 of Allen-Zhu & Li: the ranges of initialisation and movement for which Theorem 1 is proved.

With every constant that a :math:`\tilde\Theta` hides set to 1, and polylog(m) = (log m)^q for a given q:

.. math::

    \sigma_w &\in [m^{-1/2 + .01}, m^{-.01}], & \tau_w &= k p_F C_s(F) \ge 1, &
    \tau_w &\in [m^{1/8 + .001} \sigma_w, m^{1/8 - .001} \sigma_w^{1/4}], \\
    \sigma_v &\in [(\log m)^q, m^{3/8 - .01}], & \tau_v &= \alpha k p_G C_s(G) \le (\log m)^{-q}, &
    \tau_v &\in [\sigma_v (k/m)^{3/8}, \sigma_v (\log m)^{-q}],

and, used silently in Claim C.6, :math:`1/\sigma_v \le \tau_v^2`.

They can be met, but not at any width that can be run. For sigma_w iff :math:`\tau_w \le m^{.1215}`; for k = 15 and
tau_w = 1 everything at once from m = 15 on with q = 0, from 9.6e12 with q = 1. A given alpha fixes tau_v, and then
:math:`\tau_v \le (\log m)^{-q}` bounds m from above too: alpha has to shrink as m grows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from learnability import checks
from learnability.studies.residual.theorems.numbers import concept_numbers, rounded
from learnability.theory.guarantee import Hypothesis

__all__ = ["Table1", "movements", "table1", "widths"]

FARTHEST = 1e6
"""Largest log m looked at."""


def movements(
    *, alpha: float, k: int, p_F: int, C_F: float, p_G: int, C_G: float, constant: float = 1.0
) -> tuple[float, float]:
    """tau_w = c k p_F C_s(F) and tau_v = c alpha k p_G C_s(G): how far W and V may move, in spectral norm.

    Table 1.

    Parameters
    ----------
    alpha : float
        Share of the composite signal, in (0, 1).
    k, p_F, p_G : int
        >= 1: outputs, and terms of an output of F and of G.
    C_F, C_G : float
        Complexities C_s of F and G, > 0.
    constant : float
        The c for what the paper hides, > 0.

    Returns
    -------
    tuple of float
        0 or infinity where they leave float64.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    numbers = concept_numbers(alpha=alpha, k=k, p_F=p_F, C_F=C_F, p_G=p_G, C_G=C_G)
    c = checks.rational("constant", constant, above=0.0)
    return rounded(c * numbers.base), rounded(c * numbers.alpha * numbers.composite)


@dataclass(frozen=True)
class Table1:
    """Table 1 at one width."""

    m: float
    k: int
    tau_w: float
    tau_v: float
    sigma_w: float
    sigma_v: float
    hypotheses: tuple[Hypothesis, ...]
    """One for each range, with the values compared."""

    @property
    def holds(self) -> bool:
        """Whether all ranges are met."""
        return all(h.holds for h in self.hypotheses)


def table1(
    *,
    m: float,
    k: int,
    tau_w: float,
    tau_v: float,
    sigma_w: float | None = None,
    sigma_v: float | None = None,
    log_power: float = 1.0,
) -> Table1:
    """Which of the ranges hold.

    Table 1.

    Parameters
    ----------
    m : float
        Width, >= 3: 1e13 is as good as a width that fits.
    k : int
        Outputs, >= 1.
    tau_w, tau_v : float
        > 0, see :func:`movements`.
    sigma_w, sigma_v : float, optional
        > 0. By default those for which most is met: sigma_w as large, sigma_v as small as the other ranges allow
        (where 1 / sigma_v <= tau_v^2 would take it beyond m^(3/8-.01), that condition is given up).
    log_power : float
        q in [0, 100] of polylog(m) = (log m)^q.

    Returns
    -------
    Table1

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    m, k = checks.real("m", m, at_least=3.0), checks.size("k", k, at_least=1)
    tau_w, tau_v = checks.real("tau_w", tau_w, above=0.0), checks.real("tau_v", tau_v, above=0.0)
    polylog = math.log(m) ** checks.real("log_power", log_power, at_least=0.0, at_most=100.0)
    if sigma_w is None:
        sigma_w = max(min(m**-0.01, tau_w * m**-0.126), m**-0.49)
    if sigma_v is None:
        silent, most = 1 / tau_v / tau_v, m**0.365
        sigma_v = max(polylog, min(tau_v * polylog, most), silent if silent <= most else 0.0)
    sigma_w, sigma_v = checks.real("sigma_w", sigma_w, above=0.0), checks.real("sigma_v", sigma_v, above=0.0)

    room, square = 1 + 1e-12, tau_v * tau_v

    def between(name: str, low: float, value: float, high: float) -> Hypothesis:
        met = low <= value * room and value <= high * room
        return Hypothesis(name, met, f"{low:.4g} <= {value:.4g} <= {high:.4g}")

    w_low, w_high = m**0.126 * sigma_w, m**0.124 * sigma_w**0.25
    v_low, v_high = sigma_v * (k / m) ** 0.375, sigma_v / polylog
    silently, shown = "1 / sigma_v <= tau_v^2 (silent, Claim C.6)", f"{1 / sigma_v:.4g} <= {square:.4g}"
    ranges = (
        between("sigma_w in [m^(-1/2+.01), m^(-.01)]", m**-0.49, sigma_w, m**-0.01),
        Hypothesis("tau_w >= 1", tau_w >= 1, f"{tau_w:.4g}"),
        between("tau_w in [m^(1/8+.001) sigma_w, m^(1/8-.001) sigma_w^(1/4)]", w_low, tau_w, w_high),
        between("sigma_v in [polylog(m), m^(3/8-.01)]", polylog, sigma_v, m**0.365),
        Hypothesis("tau_v <= 1 / polylog(m)", tau_v * polylog <= room, f"{tau_v:.4g} <= {1 / polylog:.4g}"),
        between("tau_v in [sigma_v (k/m)^(3/8), sigma_v / polylog(m)]", v_low, tau_v, v_high),
        Hypothesis(silently, square * sigma_v * room >= 1, shown),
    )
    return Table1(m, k, tau_w, tau_v, sigma_w, sigma_v, ranges)


def widths(
    *, k: int, tau_w: float = 1.0, tau_v: float | None = None, log_power: float = 1.0, silent: bool = True
) -> tuple[float, float] | None:
    """Least and largest log m of the last range of widths in which sigma_w and sigma_v exist for all of Table 1.

    Parameters
    ----------
    k : int
        >= 1.
    tau_w : float
        >= 1.
    tau_v : float, optional
        > 0. By default free: 1 / polylog(m) is the best choice, and then the largest log m is infinite.
    log_power : float
        q in [0, 100].
    silent : bool
        Whether 1 / sigma_v <= tau_v^2 is asked for.

    Returns
    -------
    tuple of float, or None
        Natural logarithms (m itself may leave float64); ``None`` if no m with log m <= 1e6 will do.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    k, tau_w = checks.size("k", k, at_least=1), checks.real("tau_w", tau_w, at_least=1.0)
    q = checks.real("log_power", log_power, at_least=0.0, at_most=100.0)
    fixed = None if tau_v is None else math.log(checks.real("tau_v", tau_v, above=0.0))

    def room(x: float) -> float:
        """How far the tightest condition is from failing, in logarithms, at log m = x."""
        polylog = q * math.log(x) if q else 0.0
        t = -polylog if fixed is None else fixed
        low = max(polylog, -2 * t if silent else -math.inf)  # t <= -polylog <= 0, so tau_v polylog is no more
        high = min(0.365 * x, t + 0.375 * (x - math.log(k)))
        return min(0.1215 * x - math.log(tau_w), high - low, -polylog - t)

    grid = np.unique(np.concatenate([[1.0 if q else 0.0], np.geomspace(1.0, FARTHEST, 20_000)]))
    met = np.array([room(x) >= -1e-12 for x in grid])
    if not met.any():
        return None
    last = int(np.flatnonzero(met)[-1])
    first = last - int(np.argmin(met[: last + 1][::-1])) + 1 if not met[: last + 1].all() else 0
    least = grid[first] if first == 0 else _crossing(room, grid[first], grid[first - 1])
    most = math.inf if last == len(grid) - 1 else _crossing(room, grid[last], grid[last + 1])
    return float(least), float(most)


def _crossing(room: Callable[[float], float], inside: float, outside: float) -> float:
    """Where ``room`` changes its sign, by bisection."""
    for _ in range(100):
        middle = (inside + outside) / 2
        if room(middle) >= -1e-12:
            inside = middle
        else:
            outside = middle
    return inside
