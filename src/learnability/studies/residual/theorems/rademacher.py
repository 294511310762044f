r"""Section 8.2 of Allen-Zhu & Li: the Rademacher complexity of two-layer networks of bounded Frobenius norm.

The class has :math:`F(W; x) = a^T \sigma(W x)` with :math:`a \in \{\pm 1/\sqrt m\}^m`, half of each sign, and
:math:`\|W\|_F \le \omega`. The paper has, for N inputs of norm 1,

.. math:: \hat R = E_\xi \sup_W \frac1N \sum_i \xi_i F(W; x_i) \le \sum_j \frac{2}{\sqrt m} \frac{\|W_j\|}{\sqrt N}
          \le \frac{2 \omega}{\sqrt N} .

**Exactly** (this project), whatever the even m: as a unit is homogeneous in its weights, with
:math:`s_\pm = \max_{\|u\| \le 1} \pm \frac1N \sum_i \xi_i \sigma(\langle u, x_i \rangle)` the supremum is
:math:`\omega \sqrt{(s_+^2 + s_-^2) / 2}`, by equal units in the two directions. Hence

.. math:: \frac{\omega}{2 \sqrt 2 \sqrt N} \le \frac{\omega}{2N} E \Bigl\| \sum_i \xi_i x_i \Bigr\| \le \hat R
          \le \frac{\omega}{\sqrt N} .

Above: Jensen, and the contraction principle for the convex increasing :math:`t \mapsto \max(t, 0)^2`, which leaves
:math:`E \|\frac1N \sum_i \xi_i x_i\|^2 = 1/N`. Below: u along :math:`v = \sum_i \xi_i x_i`, where the even part of
:math:`\sigma` has mean 0, and Kahane's inequality :math:`E\|v\| \ge \sqrt{N/2}`. The printed bound is loose by a
factor between 2 and 5.7, the sharper one by at most 2.83.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray

__all__ = ["FORMS", "Units", "best_units", "rademacher_bound", "sample_size", "supremum"]

FORMS = ("printed", "sharper")
FIRST_STEP, SHRINKING = 4.0, 0.8
"""Of the search, on the unit sphere."""
_FACTOR = {"printed": 2.0, "sharper": 1.0}


def rademacher_bound(norm: float, N: int, *, form: str = "printed") -> float:
    r"""Bound of the empirical Rademacher complexity: 2 w / sqrt(N) as printed, w / sqrt(N) sharper.

    Section 8.2.

    Parameters
    ----------
    norm : float
        w, the bound of the Frobenius norm, >= 0.
    N : int
        Inputs, of norm at most 1; >= 1.
    form : {"printed", "sharper"}

    Returns
    -------
    float
        >= 0. No output exceeds w / sqrt(2): for N <= 8 (sharper: N <= 2) it is no less, and says nothing.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    norm, N = checks.real("norm", norm, at_least=0.0), checks.size("N", N, at_least=1)
    return _FACTOR[checks.choice("form", form, FORMS)] * norm / math.sqrt(N)


def sample_size(norm: float, complexity: float, *, form: str = "printed") -> float:
    """The N from which the bound is at most ``complexity`` > 0; for w = c sqrt(d) it is of order d, as is said.

    Section 8.2.

    Parameters
    ----------
    norm, form
        As in :func:`rademacher_bound`.
    complexity : float
        What the bound is to be, > 0.

    Returns
    -------
    float
        A number of inputs, not rounded.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    norm, complexity = checks.real("norm", norm, at_least=0.0), checks.real("complexity", complexity, above=0.0)
    root = _FACTOR[checks.choice("form", form, FORMS)] * norm / complexity
    return root * root


class Units(NamedTuple):
    """Unit vectors found for s_+ and s_-, and their values, from below."""

    plus: FloatArray
    minus: FloatArray
    s_plus: float
    s_minus: float


def best_units(
    rng: np.random.Generator, X: ArrayLike, signs: ArrayLike, *, starts: int = 8, steps: int = 40
) -> Units:
    r"""A search for s_+ and s_-: subgradient ascent on the sphere by ever smaller steps, and the best seen is kept.

    The maximum is not that of a concave function: what is found is a lower bound, and never below what u along
    :math:`\pm \sum_i \xi_i x_i` gives.

    For Section 8.2's complexity (this project).

    Parameters
    ----------
    rng : numpy.random.Generator
    X : array (N, d)
    signs : array (N,)
        The xi, -1 and +1.
    starts, steps : int
        Random starts beside the two given ones, and iterations, both in 0..10^5.

    Returns
    -------
    Units

    Raises
    ------
    ValueError
        If shapes disagree, or an argument is outside its range.
    """
    X = checks.matrix("X", X)
    xi = checks.labels("signs", signs, length=len(X))
    starts = checks.size("starts", starts, at_least=0, at_most=10**5)
    steps = checks.size("steps", steps, at_least=0, at_most=10**5)
    random = checks.generator("rng", rng).standard_normal((X.shape[1], starts))
    plus, s_plus = _ascent(X, xi, random, steps)
    minus, s_minus = _ascent(X, -xi, random, steps)
    return Units(plus, minus, s_plus, s_minus)


def supremum(units: Units, norm: float) -> float:
    """The supremum over the class that these units give: w sqrt((s_+^2 + s_-^2) / 2).

    Section 8.2's supremum, exactly (this project).

    Parameters
    ----------
    units : Units
        From :func:`best_units`.
    norm : float
        w, the bound of the Frobenius norm, >= 0.

    Returns
    -------
    float
        >= 0.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    norm = checks.real("norm", norm, at_least=0.0)
    return norm * math.sqrt((units.s_plus**2 + units.s_minus**2) / 2)


def _ascent(X: FloatArray, xi: FloatArray, random: FloatArray, steps: int) -> tuple[FloatArray, float]:
    v = X.T @ xi
    U = np.column_stack([v, -v, random])
    best, value = np.zeros(X.shape[1]), 0.0  # u = 0 is in the ball
    for step in range(steps + 1):
        lengths = np.linalg.norm(U, axis=0)
        U = U[:, lengths > 0] / lengths[lengths > 0]
        if not U.size:
            break
        Z = X @ U
        values = xi @ np.maximum(Z, 0.0) / len(X)
        top = int(np.argmax(values))
        if values[top] > value:
            best, value = U[:, top].copy(), float(values[top])
        slopes = X.T @ (xi[:, None] * (Z >= 0))
        sizes = np.linalg.norm(slopes, axis=0)
        U = U + FIRST_STEP * SHRINKING**step * slopes / np.where(sizes > 0, sizes, 1.0)
    return best, value
