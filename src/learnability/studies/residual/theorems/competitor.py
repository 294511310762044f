r"""Lemmas C.2 and C.3 and Claims C.6 and C.7 of Allen-Zhu & Li along a run: the W*, V* that SGD is compared with.

A D_{W^(0)} W* (x, 1) is F(x) and A D_{V^(0),W} V* (z, 1) is alpha G(z): in expectation over the initialisation by
Lemma E.1's formula (:func:`competitor`), exactly at given inputs by the shortest that do it (:func:`least_norm`).
Lemma C.3 says that they still fit when W and V have moved; then f(W* - W) + g(V* - V) = H - out + Err with a small
Err (Claim C.6), and so SGD goes towards W* and V*. The shortest ones have a length at infinite width, by the kernel
:math:`K = \frac12 \langle \tilde x, \tilde x' \rangle \kappa_0` of one layer of gates
(:func:`learnability.kernels.residual.limit`): the root of :math:`\sum_r y_r^T K^{-1} y_r`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
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
    sigma_w, sigma_v : float
        Standard deviations of the start, in units of Table 1, > 0.

    Returns
    -------
    Competitor

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    alpha = share(alpha)
    sigma_w, sigma_v = checks.real("sigma_w", sigma_w, above=0.0), checks.real("sigma_v", sigma_v, above=0.0)
    root = math.sqrt(len(start.W))
    W = root * fitting_weights(start.W / (root * sigma_w), root * start.A, base)
    V = alpha * root * fitting_weights(start.V / sigma_v, root * start.A, composite)
    return Competitor(W, V, base, composite, alpha)


def least_norm(rows: ArrayLike, inputs: ArrayLike, targets: ArrayLike) -> FloatArray:
    """The W (m, r) of least Frobenius norm with B_i W u_i = y_i at every input.

    Lemma C.2 asks only that there be W* and V*: these are the best there are, at widths at which Lemma E.1's formula
    is far from a fit.

    Parameters
    ----------
    rows : array (n, k, m)
        B_i: A D_i.
    inputs : array (n, r)
        u_i: (x, 1), or (z, 1).
    targets : array (n, k)
        y_i.

    Returns
    -------
    array (m, r)

    Raises
    ------
    ValueError
        If no W fits to within 1e-6.
    """
    rows, inputs = checks.array("rows", rows), checks.matrix("inputs", inputs)
    if rows.ndim != 3 or len(rows) != len(inputs):
        raise RequestError(f"rows must have shape ({len(inputs)}, k, m) beside inputs, got {rows.shape}")
    n, k, m = rows.shape
    targets = checks.matrix("targets", targets, rows=n, columns=k)
    both = rows.reshape(n * k, m)
    gram = (both @ both.T) * np.repeat(np.repeat(inputs @ inputs.T, k, axis=0), k, axis=1)
    weights = np.linalg.lstsq(gram, targets.ravel(), rcond=1e-12)[0]
    W = (both * weights[:, None]).T @ np.repeat(inputs, k, axis=0)
    off = float(np.abs((rows @ (inputs @ W.T)[:, :, None])[:, :, 0] - targets).max())
    if off > 1e-6 * max(1.0, float(np.abs(targets).max())):
        raise RequestError(f"targets must be fitted by some W at this width, got a difference of {off:.3g}")
    return np.asarray(W)


class Fit(NamedTuple):
    """How W* and V* fit at each input, arrays (n,)."""

    first: FloatArray
    """Lemma C.3 (a), at the start C.2 (a): |A D_W W* x~ - F|."""
    left: FloatArray
    """Lemma C.3 (c): |A D_W (W* - W) x~ - (F - out_1)|."""
    second: FloatArray
    """Lemma C.3 (b), at the start C.2 (b): |A D_{V,W} V* z - alpha G(out_1)|."""
    error: FloatArray
    """Claim C.6: |Err|."""
    risk: FloatArray
    """|H - out|."""
    distance: FloatArray
    """Claim C.7: |out_1 - F|."""
    descent: FloatArray
    """<H - out, f(W* - W) + g(V* - V)>: with y = H the slope of the loss towards W*, V*, downwards (Fact C.4)."""


def fit(run: Run, other: Competitor) -> Fit:
    """Everything at the inputs of a run.

    Lemmas C.2 and C.3, Claims C.6 and C.7, Fact C.4.

    Parameters
    ----------
    run : Run
        A start and the weights now, at its inputs.
    other : Competitor
        From :func:`competitor`, or by :func:`least_norm`.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    X = run.lifted[:, :-1]
    F = other.base(X)
    G_first, H = other.alpha * other.composite(run.first), F + other.alpha * other.composite(F)
    to_W, to_V = run.lifted @ other.W.T, run.z @ other.V.T  # (n, m)
    along = (run.on * (to_W - run.moved)) @ run.A.T  # A D_W (W* - W) x~
    through = (run.open * (along @ run.total_V[:, :-1].T)) @ run.A.T
    change = through + along + (run.open * (to_V - run.moved_V)) @ run.A.T  # f + g
    residual = H - run.outputs
    return Fit(
        norms((run.on * to_W) @ run.A.T - F),
        norms(along - (F - run.first)),
        norms((run.open * to_V) @ run.A.T - G_first),
        norms(change - residual),
        norms(residual),
        norms(run.first - F),
        (residual * change).sum(axis=1),
    )
