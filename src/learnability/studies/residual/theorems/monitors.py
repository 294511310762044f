r"""Lemma C.1 of Allen-Zhu & Li along a run: its quantities at a network that has moved from its start.

W^(0), V^(0) are the start, W^(0) + W, V^(0) + V the weights now, x~ = (x, 1), z = (out_1(x), 1). Their orders are in
:mod:`learnability.studies.residual.theorems.coupling`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.networks.residual import ResNet3, lifted
from learnability.studies.residual.theorems.coupling import Coupling

__all__ = ["Monitors", "Run", "measured", "norms"]


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
                    raise RequestError(f"{of}.{name} must have shape {shape}, got {array.shape}")
                found[f"{of}.{name}"] = array
        if not np.array_equal(self.A, now.A):
            raise RequestError("now.A must be start.A, which is not trained, got another")
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

    def through(self, gates: NDArray[np.bool_], V: FloatArray) -> FloatArray:
        """Spectral norm of A D V at each input, (n,), for gates D (n, m) and ``V`` (m, r)."""
        return np.asarray(np.linalg.norm(_sums(gates, self.A, V.T), 2, axis=(1, 2)))


def _sums(gates: NDArray[np.bool_], P: FloatArray, Q: FloatArray) -> FloatArray:
    """P diag(gates) Q^T for every row of the gates (n, m): (n, rows of P, rows of Q)."""
    products = (P[:, None, :] * Q[None, :, :]).reshape(len(P) * len(Q), -1)
    return np.asarray((gates @ products.T).reshape(len(gates), len(P), len(Q)))


def norms(vectors: FloatArray) -> FloatArray:
    """Of the rows, for Lemma C.1.

    Parameters
    ----------
    vectors : array (n, r)
        One a row.

    Returns
    -------
    array (n,)
    """
    return np.asarray(np.linalg.norm(vectors, axis=1))


def measured(run: Run) -> Monitors:
    """The seven quantities.

    The quantities of Lemma C.1.

    Parameters
    ----------
    run : Run
        A start and the weights now, at its inputs.

    Returns
    -------
    Monitors
    """
    return Monitors(
        run.turned.sum(axis=1).astype(np.float64),
        norms((run.on * run.before) @ run.A.T),
        norms(run.first),
        run.turned_V.sum(axis=1).astype(np.float64),
        norms((run.open * run.before_V) @ run.A.T),
        run.through(run.open, run.V0),
        norms(run.second),
    )
