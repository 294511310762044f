r"""Lemma C.1 and Claim C.5 of Allen-Zhu & Li along a run: what is measured, and what their proofs say without an O.

W^(0), V^(0) are the start, W^(0) + W, V^(0) + V the weights now, x~ = (x, 1), z = (out_1(x), 1); S is the set of
gates of the first layer that W turns, S' of the second that V turns, A_S the columns of A in S. Each bound of the
lemma is proved in steps that hold of all matrices, and only then are norms replaced by their orders. The steps give

.. math::

    (a)\ & \max \{ |T| : \textstyle\sum_{j \in T} \langle w^{(0)}_j, \tilde x \rangle^2 \le \|W \tilde x\|^2 \} &
    (b)\ & \|A D_{W^{(0)}} W^{(0)} \tilde x\| + \|A_S\|_2 \|W \tilde x\| \\
    (c)\ & \|A\|_2 \|W \tilde x\| + (b) & (d)\ & \text{as (a), of } V^{(0)} z \text{ and } V z \\
    (e)\ & \|A D_{V^{(0)},W} V^{(0)} z\| + \|A_{S'}\|_2 \|V z\| &
    (f)\ & \|A D_{V^{(0)},W} V^{(0)}\|_2 + \|A_{S'}\|_2 \|V^{(0)}_{S'}\|_2 \\
    (g)\ & \|A\|_2 \|V z\| + (e)

(b) and (e) by the deterministic half of Proposition B.4. (f) is not what the paper has, see
:func:`learnability.studies.residual.theorems.coupling.across_order`. For Claim C.5, with r = y - out(x):

.. math:: \|\nabla_W\|_F \le \|\tilde x\| \|r\| \|A\|_2 (\|A\|_2 \|V^{(0)} + V\|_2 + 1), \qquad
          \|\nabla_V\|_F \le \|z\| \|r\| \|A\|_2 .
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.networks.residual import ResNet3, lifted
from learnability.studies.residual.theorems.coupling import Coupling

__all__ = ["Gradients", "Monitors", "Run", "gradients", "limits", "measured", "norms"]


Monitors = Coupling[FloatArray]
"""The quantities of Lemma C.1 at each input, arrays (n,)."""


class Run:
    """A start and the weights now, at inputs ``X`` (n, d): everything that the statements of Appendix C are about.

    Parameters
    ----------
    start, now : ResNet3
        Of one shape, with one A.
    X : array (n, d)

    Raises
    ------
    ValueError
        If shapes disagree, A has changed, or an entry is not finite.
    """

    def __init__(self, start: ResNet3, now: ResNet3, X: ArrayLike) -> None:
        self.A = checks.matrix("start.A", start.A)
        k, m = self.A.shape
        self.lifted = lifted(checks.matrix("X", X))  # (n, d + 1)
        shapes = {"W": (m, self.lifted.shape[1]), "V": (m, k + 1)}
        found: dict[str, FloatArray] = {}
        for of, params in (("start", start), ("now", now)):
            for name, shape in shapes.items():
                array = checks.matrix(f"{of}.{name}", getattr(params, name))
                if array.shape != shape:
                    raise ValueError(f"{of}.{name} must have shape {shape}, got {array.shape}")
                found[f"{of}.{name}"] = array
        if not np.array_equal(self.A, now.A):
            raise ValueError("now.A must be start.A, which is not trained, got another")
        self.W0, self.V0 = found["start.W"], found["start.V"]
        self.W, self.V = found["now.W"] - self.W0, found["now.V"] - self.V0
        self.total_V = found["now.V"]
        self.before, self.moved = self.lifted @ self.W0.T, self.lifted @ self.W.T  # (n, m)
        after = self.lifted @ found["now.W"].T
        self.on0, self.on = self.before >= 0, after >= 0
        self.first = (self.on * after) @ self.A.T  # out_1, (n, k)
        self.z = lifted(self.first)  # (n, k + 1)
        self.before_V, self.moved_V = self.z @ self.V0.T, self.z @ self.V.T  # (n, m)
        after_V = self.z @ self.total_V.T
        self.open0, self.open = self.before_V >= 0, after_V >= 0
        self.second = (self.open * after_V) @ self.A.T
        self.turned, self.turned_V = self.on != self.on0, self.open != self.open0

    @property
    def outputs(self) -> FloatArray:
        """Outputs at the inputs, (n, k)."""
        return np.asarray(self.first + self.second)

    def columns(self, turned: NDArray[np.bool_]) -> FloatArray:
        """Spectral norm of A_S at each input, (n,), for the sets S of the rows of ``turned`` (n, m)."""
        return np.sqrt(_largest(_sums(turned, self.A, self.A)))

    def rows(self, turned: NDArray[np.bool_]) -> FloatArray:
        """Spectral norm of the rows S of V^(0) at each input, (n,)."""
        return np.sqrt(_largest(_sums(turned, self.V0.T, self.V0.T)))

    def through(self, gates: NDArray[np.bool_], V: FloatArray) -> FloatArray:
        """Spectral norm of A D V at each input, (n,), for gates D (n, m) and ``V`` (m, r)."""
        return np.asarray(np.linalg.norm(_sums(gates, self.A, V.T), 2, axis=(1, 2)))


def _sums(gates: NDArray[np.bool_], P: FloatArray, Q: FloatArray) -> FloatArray:
    """P diag(gates) Q^T for every row of the gates (n, m): (n, rows of P, rows of Q)."""
    products = (P[:, None, :] * Q[None, :, :]).reshape(len(P) * len(Q), -1)
    return np.asarray((gates @ products.T).reshape(len(gates), len(P), len(Q)))


def _largest(grams: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(np.linalg.eigvalsh(grams)[:, -1], 0.0))


def norms(vectors: FloatArray) -> FloatArray:
    """Of the rows."""
    return np.asarray(np.linalg.norm(vectors, axis=1))


def measured(run: Run) -> Monitors:
    """The seven quantities."""
    return Monitors(
        run.turned.sum(axis=1).astype(np.float64),
        norms((run.on * run.before) @ run.A.T),
        norms(run.first),
        run.turned_V.sum(axis=1).astype(np.float64),
        norms((run.open * run.before_V) @ run.A.T),
        run.through(run.open, run.V0),
        norms(run.second),
    )


def limits(run: Run) -> Monitors:
    """What the steps of the proofs bound them by, see the module: true of all matrices, without an O."""
    size = float(np.linalg.norm(run.A, 2))
    reach, reach_V = norms(run.moved), norms(run.moved_V)
    left = norms((run.on0 * run.before) @ run.A.T) + run.columns(run.turned) * reach
    columns = run.columns(run.turned_V)
    left_V = norms((run.open0 * run.before_V) @ run.A.T) + columns * reach_V
    return Monitors(
        _most_turned(run.before, reach),
        left,
        size * reach + left,
        _most_turned(run.before_V, reach_V),
        left_V,
        run.through(run.open0, run.V0) + columns * run.rows(run.turned_V),
        size * reach_V + left_V,
    )


def _most_turned(g: FloatArray, reach: FloatArray) -> FloatArray:
    """For each row of g, how many of its smallest squares fit into reach^2 (and rounding)."""
    sums = np.cumsum(np.sort(g**2, axis=1), axis=1)
    return np.asarray((sums <= (reach**2 * (1 + 1e-12))[:, None]).sum(axis=1).astype(np.float64))


class Gradients(NamedTuple):
    """Norms of the gradient of |y - out(x)|^2 / 2 at each example, and Claim C.5's bounds without an O; (n,)."""

    residual: FloatArray
    """|y - out(x)|."""
    W: FloatArray
    V: FloatArray
    limit_W: FloatArray
    limit_V: FloatArray


def gradients(run: Run, Y: ArrayLike) -> Gradients:
    """Claim C.5 for the targets ``Y`` (n, k), example by example."""
    Y = checks.matrix("Y", Y, rows=len(run.lifted), columns=len(run.A))
    residual = Y - run.outputs
    back_V = (residual @ run.A) * run.open
    back_W = ((residual + back_V @ run.total_V[:, :-1]) @ run.A) * run.on
    size, length = float(np.linalg.norm(run.A, 2)), norms(residual)
    # A gradient in W is the product of back_W and x~, one in V of back_V and z.
    inputs, z = norms(run.lifted), norms(run.z)
    return Gradients(
        length,
        norms(back_W) * inputs,
        norms(back_V) * z,
        inputs * length * size * (size * float(np.linalg.norm(run.total_V, 2)) + 1),
        z * length * size,
    )
