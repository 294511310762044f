"""Which labelling of given points has the smallest margin? A certificate, where 2^m of them cannot be tried.

Beside Lemma 3 of Nachum & Yehudayoff, whose margin is that of the worst function.

For linearly independent v_1..v_m with Gram matrix K, marg(y) is the distance of the origin from the convex
hull of the y_k v_k, that is the least sqrt(mu' K mu) over mu with |mu|_1 = 1 whose signs are those of y. Such
a mu has y . mu = 1, and without the condition on signs the least value is 1 / sqrt(y' K^-1 y). Hence

    marg(y) >= 1 / sqrt(y' K^-1 y),   with equality iff the signs of K^-1 y are those of y.

Fix a labelling p, let Q = diag(p) K^-1 diag(p) and let L = diag(Q 1) - Q, the Laplacian of Q. For every y = p
* x with x in {-1,+1}^m, y' K^-1 y = x' Q x = 1' Q 1 - x' L x. So if L has no negative eigenvalue, p maximises
y' K^-1 y; no single flip helps then, which makes the rows of Q have positive sums, that is, equality for p:
**p has the smallest margin of all 2^m labellings**, 1 / sqrt(1' Q 1). If the second smallest eigenvalue is
positive, only p and -p have it. (That all entries of Q off the diagonal are non-negative suffices: L is then
diagonally dominant. If the matrix of the v_k is totally non-negative, so is K, and K^-1 has the signs of a
checkerboard: the alternating labelling, parity, is the worst. Truncated powers ReLU(k - c) and logistic
functions of k - c in the order of c give such matrices.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.errors import RequestError
from learnability.theory.margins import normalised

__all__ = ["WorstLabels", "certify_worst_labels"]


@dataclass(frozen=True)
class WorstLabels:
    """What :func:`certify_worst_labels` found for a labelling p."""

    margin: float
    """1 / sqrt(p' K^-1 p): the margin of p if it is the worst, and in any case no more than that margin."""
    gap: float
    """Second smallest eigenvalue of the Laplacian over the largest: if > 0, p and -p alone have the least margin."""
    least_entry: float
    """Smallest off-diagonal entry of Q over the largest entry: if >= 0, the simple criterion applies too."""

    @property
    def certified(self) -> bool:
        """Whether p is proved to be the worst, beyond the rounding of an eigenvalue."""
        return self.gap > 1e-9


def certify_worst_labels(V: ArrayLike, y: ArrayLike) -> WorstLabels:
    """Test whether the labelling ``y`` has the smallest margin of all labellings of the points.

    Ours, for Lemma 3, whose margin is that of the worst function.

    Parameters
    ----------
    V : array (m, d), m >= 2
        Linearly independent points, lifted if affine hyperplanes are meant.
    y : array (m,)
        The labelling p in {-1, +1} that is conjectured to be the worst.

    Returns
    -------
    WorstLabels
        A sufficient criterion: ``certified`` False does not say that another labelling is worse.

    Raises
    ------
    ValueError
        If shapes disagree, values are not finite, there are fewer than two points or they are linearly
        dependent.
    """
    V = checks.matrix("V", V)
    y = checks.labels("y", y, length=len(V))
    V, unit = normalised("V", V)
    m, d = V.shape
    if m < 2:
        raise RequestError(f"V must hold at least 2 points, got {m}")
    # K = R'R by QR of the points themselves, which keeps twice the digits that forming K would.
    R = np.linalg.qr(y * V.T, mode="r") if d >= m else np.zeros((1, m))
    diagonal = np.abs(np.diag(R))
    if diagonal.min() <= 1e-13 * np.abs(R).max():
        raise RequestError("V must have linearly independent rows (points)")
    inverse = np.linalg.solve(R, np.eye(m))
    Q = inverse @ inverse.T
    off_diagonal = Q[~np.eye(m, dtype=bool)]
    eigenvalues = np.linalg.eigvalsh(np.diag(Q.sum(axis=1)) - Q)
    return WorstLabels(
        margin=unit / math.sqrt(Q.sum()),
        gap=float(eigenvalues[1] / largest) if (largest := np.abs(eigenvalues).max()) > 0 else 0.0,
        least_entry=float(off_diagonal.min() / Q.max()),
    )
