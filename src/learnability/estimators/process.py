"""The kernels of this library in scikit-learn's Gaussian processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.gaussian_process.kernels import Kernel as ProcessKernelBase

from learnability import checks
from learnability.checks import FloatArray
from learnability.estimators.kernel_machines import kernel_of
from learnability.kernels.machine import Kernel

__all__ = ["ProcessKernel"]

BLOCK = 32
"""Rows whose kernel with each other is made for its diagonal."""


class ProcessKernel(ProcessKernelBase):  # type: ignore[misc]
    """A kernel of :mod:`learnability.kernels.named` for scikit-learn's Gaussian processes.

    It has no hyper-parameters of its own that a process could fit: multiply it with a ``ConstantKernel``, add a
    ``WhiteKernel``, and those will be; its options are for a search.

    Parameters
    ----------
    kernel : str or callable
        As in :class:`learnability.estimators.KernelMachine`.
    options : mapping, optional
        Likewise.
    random_state : int
        >= 0, of kernels that are drawn at random: the same at every call.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.gaussian_process import GaussianProcessRegressor
    >>> from sklearn.gaussian_process.kernels import ConstantKernel
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((60, 3))
    >>> y = np.abs(X[:, 0]) + 0.1 * rng.standard_normal(60)
    >>> kernel = ConstantKernel() * ProcessKernel("tangent", {"bias": 1.0})
    >>> GaussianProcessRegressor(kernel, alpha=0.01).fit(X, y).score(X, y) > 0.9
    True
    """

    def __init__(
        self, kernel: str | Kernel = "tangent", options: Mapping[str, Any] | None = None, random_state: int = 0
    ) -> None:
        self.kernel = kernel
        self.options = options
        self.random_state = random_state

    def __call__(self, X: ArrayLike, Y: ArrayLike | None = None, eval_gradient: bool = False) -> Any:
        """The kernel (m, r), and its gradient by its hyper-parameters, of which there are none: (m, r, 0)."""
        X = _inputs("X", X)
        K = self._function(X.shape[1])(X, X if Y is None else _inputs("Y", Y))
        return (K, np.empty((*K.shape, 0))) if eval_gradient else K

    def diag(self, X: ArrayLike) -> FloatArray:
        """The kernel of each row of X with itself, (m,)."""
        X = _inputs("X", X)
        function = self._function(X.shape[1])
        parts = (X[start : start + BLOCK] for start in range(0, len(X), BLOCK))
        return np.concatenate([np.diagonal(function(part, part)) for part in parts])

    def is_stationary(self) -> bool:
        """Whether it depends on x - z alone: of those by name the Gaussian."""
        return isinstance(self.kernel, str) and self.kernel == "gaussian"

    def _function(self, n: int) -> Kernel:
        seed = checks.integer("random_state", self.random_state, at_least=0)  # what draws anew gives no one kernel
        return kernel_of(self.kernel, self.options, n, seed)

    def __repr__(self) -> str:
        return (
            f"ProcessKernel({self.kernel!r})"
            if not self.options
            else f"ProcessKernel({self.kernel!r}, {self.options!r})"
        )


def _inputs(name: str, X: ArrayLike) -> FloatArray:
    return checks.matrix(name, np.atleast_2d(checks.array(name, X)))
