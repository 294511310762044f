r"""Lemmas C.2 and C.3 and Claims C.6 and C.7 of Allen-Zhu & Li along a run: the W*, V* that SGD is compared with.

W* and V* are built at the start as in Lemma E.1, so that A D_{W^(0)} W* (x, 1) is F(x) and A D_{V^(0),W} V* (z, 1) is
alpha G(z), both in expectation over the initialisation (:func:`competitor`); Lemma C.3 says that they still fit when
W and V have moved. With the notation of :mod:`learnability.studies.residual.theorems.monitors`, H = F + alpha G(F)
and L_G a Lipschitz constant of G, the steps of the proofs give without an O, at every x,

.. math::

    \|A D_W W^* \tilde x - F\| &\le \|A D_{W^{(0)}} W^* \tilde x - F\| + \|A_S\|_2 \|W^* \tilde x\| & (C.3a) \\
    \|A D_{V,W} V^* z - \alpha G(out_1)\| &\le \|A D_{V^{(0)},W} V^* z - \alpha G(out_1)\| + \|A_{S'}\|_2 \|V^* z\|
        & (C.3b) \\
    \|A D_W (W^* - W) \tilde x - (F - out_1)\| &\le (C.3a) + \|A D_W W^{(0)} \tilde x\| & (C.3c) \\
    \|Err\| &\le \|A D_{V,W} (V^{(0)} + V)_{1..k}\|_2 \|A D_W (W^* - W) \tilde x\| + (C.3a) + (C.3b) \\
        &\quad + \alpha L_G \|out_1 - F\| + \|A D_W W^{(0)} \tilde x\| + \|A D_{V,W} V^{(0)} z\| & (C.6)

with f(W* - W) + g(V* - V) = H - out + Err; and with t = |A D_{V,W} (V^(0) + V) z| / (|out_1| + 1), wherever t <= 1/2,

.. math:: \|out_1 - F\| \le 2 \|out - H\| + 2 t (\|F\| + 1) + 2 \alpha \|G(F)\| \qquad (C.7).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from learnability import checks
from learnability.checks import FloatArray
from learnability.networks.residual import ResNet3
from learnability.problems.concepts import General
from learnability.studies.residual.theorems.existence import fitting_weights
from learnability.studies.residual.theorems.monitors import Run, norms
from learnability.studies.residual.theorems.numbers import share

__all__ = ["Competitor", "Fit", "competitor", "fit", "least_norm"]


class Competitor(NamedTuple):
    """W* and V*, and what they are to fit."""

    W: FloatArray
    """(m, d + 1)"""
    V: FloatArray
    """(m, k + 1)"""
    base: General
    composite: General
    alpha: float


def competitor(
    start: ResNet3, base: General, composite: General, alpha: float, *, sigma_w: float, sigma_v: float
) -> Competitor:
    r"""The W* and V* of Lemma C.2, by Lemma E.1's formula rescaled to this initialisation.

    Lemma E.1 has rows N(0, I / m) and outputs N(0, 1): they are W^(0) / (sqrt(m) sigma_w), V^(0) / sigma_v and
    sqrt(m) A. So |W*|_F is of order k p_F C_s(F), |V*|_F of order alpha k p_G C_s(G). (Lemma C.2 prints alpha_tilde
    for this alpha, which Lemma E.1 does not give; Table 1 has alpha.)

    Parameters
    ----------
    start : ResNet3
        From :func:`learnability.networks.residual.initial` with these ``sigma_w`` and ``sigma_v``, > 0.
    base, composite : General
        F of R^d and G of R^k, see :func:`learnability.problems.concepts.general_form`.
    alpha : float
        In (0, 1).
    """
    alpha = share(alpha)
    sigma_w, sigma_v = checks.real("sigma_w", sigma_w, above=0.0), checks.real("sigma_v", sigma_v, above=0.0)
    root = math.sqrt(len(start.W))
    W = root * fitting_weights(start.W / (root * sigma_w), root * start.A, base)
    V = alpha * root * fitting_weights(start.V / sigma_v, root * start.A, composite)
    return Competitor(W, V, base, composite, alpha)


def least_norm(run: Run, targets: FloatArray) -> FloatArray:
    """The W* of least Frobenius norm with A D_{W^(0)} W* (x, 1) = targets at every input, (m, d + 1).

    Lemma C.2 (a) asks only that there be one. Where the inputs are all of a distribution this is the best there is,
    at widths at which Lemma E.1's formula is far from it.

    Parameters
    ----------
    run : Run
        Whose start and inputs count; n k equations are solved.
    targets : array (n, k)

    Raises
    ------
    ValueError
        If no W* fits to within 1e-6.
    """
    targets = checks.matrix("targets", targets, rows=len(run.lifted), columns=len(run.A))
    n, k = targets.shape
    both = (run.on0.astype(np.float64)[:, None, :] * run.A).reshape(n * k, -1)  # rows A_r D at x
    gram = (both @ both.T) * np.repeat(np.repeat(run.lifted @ run.lifted.T, k, axis=0), k, axis=1)
    weights = np.linalg.lstsq(gram, targets.ravel(), rcond=1e-12)[0]
    W = (both * weights[:, None]).T @ np.repeat(run.lifted, k, axis=0)
    off = float(np.abs((run.on0 * (run.lifted @ W.T)) @ run.A.T - targets).max())
    if off > 1e-6 * max(1.0, float(np.abs(targets).max())):
        raise ValueError(f"targets must be fitted by some W at this width, got a difference of {off:.3g}")
    return np.asarray(W)


class Fit(NamedTuple):
    """How W* and V* fit at each input, arrays (n,); a ``limit_`` is the right side of the module's display."""

    first_start: FloatArray
    """Lemma C.2 (a): |A D_{W^(0)} W* x~ - F|."""
    first: FloatArray
    """Lemma C.3 (a): |A D_W W* x~ - F|."""
    limit_first: FloatArray
    left: FloatArray
    """Lemma C.3 (c): |A D_W (W* - W) x~ - (F - out_1)|."""
    limit_left: FloatArray
    second_start: FloatArray
    """Lemma C.2 (b): |A D_{V^(0),W} V* z - alpha G(out_1)|."""
    second: FloatArray
    """Lemma C.3 (b): |A D_{V,W} V* z - alpha G(out_1)|."""
    limit_second: FloatArray
    z: FloatArray
    """|(out_1, 1)|."""
    error: FloatArray
    """Claim C.6: |Err|."""
    limit_error: FloatArray
    risk: FloatArray
    """|H - out|."""
    distance: FloatArray
    """Claim C.7: |out_1 - F|."""
    share: FloatArray
    """t of Claim C.7: |A D_{V,W} (V^(0) + V) z| / (|out_1| + 1)."""
    limit_distance: FloatArray
    """Infinite where t > 1/2."""
    descent: FloatArray
    """<H - out, f(W* - W) + g(V* - V)>: with y = H the slope of the loss towards W*, V*, downwards (Fact C.4)."""


def fit(run: Run, other: Competitor) -> Fit:
    """Everything at the inputs of a run."""
    X = run.lifted[:, :-1]
    F = other.base(X)
    G_first, target = other.alpha * other.composite(run.first), other.alpha * other.composite(F)
    to_W, to_V = run.lifted @ other.W.T, run.z @ other.V.T  # (n, m)
    first_start, first = ((gates * to_W) @ run.A.T - F for gates in (run.on0, run.on))
    second_start, second = ((gates * to_V) @ run.A.T - G_first for gates in (run.open0, run.open))
    along = (run.on * (to_W - run.moved)) @ run.A.T  # A D_W (W* - W) x~
    through = (run.open * (along @ run.total_V[:, :-1].T)) @ run.A.T
    change = through + along + (run.open * (to_V - run.moved_V)) @ run.A.T  # f + g
    residual = F + target - run.outputs
    left = norms((run.on * run.before) @ run.A.T)
    left_V = norms((run.open * run.before_V) @ run.A.T)
    limit_first = norms(first_start) + run.columns(run.turned) * norms(to_W)
    limit_second = norms(second_start) + run.columns(run.turned_V) * norms(to_V)
    distance, risk = norms(run.first - F), norms(residual)
    t = norms(run.second) / (norms(run.first) + 1)
    slope = other.alpha * other.composite.lipschitz_bound()
    inner = run.through(run.open, run.total_V[:, :-1]) * norms(along)
    return Fit(
        norms(first_start),
        norms(first),
        limit_first,
        norms(along - (F - run.first)),
        limit_first + left,
        norms(second_start),
        norms(second),
        limit_second,
        norms(run.z),
        norms(change - residual),
        inner + limit_first + limit_second + slope * distance + left + left_V,
        risk,
        distance,
        t,
        np.where(t <= 0.5, 2 * risk + 2 * t * (norms(F) + 1) + 2 * norms(target), np.inf),
        (residual * change).sum(axis=1),
    )
