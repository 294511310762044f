"""Kernel ridge regression as a scikit-learn estimator, with any kernel of this room by its name.

Heavier to import than the rest of the room, which needs no scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from learnability.checks import FloatArray
from learnability.kernels.machine import MEMORY, RIDGES, Kernel, Machine, fit
from learnability.kernels.named import DRAWN, kernel

__all__ = ["KernelMachine"]


class KernelMachine(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Kernel ridge regression, the ridge chosen by leave-one-out errors in closed form.

    :func:`learnability.kernels.machine.fit` for pipelines, searches and cross-validation of scikit-learn.

    Parameters
    ----------
    kernel : str or callable
        A name of :data:`learnability.kernels.named.NAMES`, or a function (X (m, n), Z (r, n)) -> (m, r).
    options : mapping, optional
        Of a named kernel (the table of :mod:`learnability.kernels.named`), without rng and n, which come from
        ``random_state`` and the inputs. None for a function.
    ridge : float, optional
        lambda > 0 in the kernel's own units. If not given, it is chosen; then examples should be in random order.
    ridges : tuple of float
        What it is chosen from, in units of the kernel's mean diagonal; each > 0.
    memory : float
        Bytes that a fit may take.
    random_state : int, numpy.random.Generator or None
        Of kernels that are drawn at random.

    Attributes
    ----------
    machine_ : learnability.kernels.machine.Machine
        The fit: coefficients, the ridge in use, and the leave-one-out errors of those tried.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).choice([-1.0, 1.0], (200, 6))
    >>> y = X[:, 0] * X[:, 1]
    >>> KernelMachine("tangent", {"depth": 2, "bias": 1.0}).fit(X, y).score(X, y) > 0.99
    True
    """

    def __init__(
        self,
        kernel: str | Kernel = "gaussian",
        options: Mapping[str, Any] | None = None,
        *,
        ridge: float | None = None,
        ridges: tuple[float, ...] = RIDGES,
        memory: float = MEMORY,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        self.kernel = kernel
        self.options = options
        self.ridge = ridge
        self.ridges = ridges
        self.memory = memory
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> KernelMachine:
        """Fit to inputs X (m, n) and targets y (m,) or (m, c).

        Raises
        ------
        ValueError
            If a parameter or an array is not as said above, or the fit would take more memory than allowed.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self.machine_: Machine = fit(
            self._kernel(np.shape(X)[1]), X, y, self.ridge, ridges=self.ridges, memory=self.memory
        )
        return self

    def predict(self, X: ArrayLike) -> FloatArray:
        """Predictions (r,), or (r, c) for c targets, at inputs X (r, n); a class in {-1, +1} is their sign."""
        check_is_fitted(self, "machine_")
        return self.machine_.predict(validate_data(self, X, dtype=np.float64, reset=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _kernel(self, n: int) -> Kernel:
        if not isinstance(self.kernel, str):
            if self.options is not None:
                raise ValueError(f"options must be None for a kernel that is a function, got {self.options!r}")
            return self.kernel
        if self.options is not None and not isinstance(self.options, Mapping):
            raise ValueError(f"options must be a mapping of names to values, got {self.options!r}")
        options = dict(self.options or {})
        if self.kernel in DRAWN:
            options |= {"rng": np.random.default_rng(self.random_state), "n": n}
        elif self.kernel == "gaussian":
            options.setdefault("gamma", 1 / n)
        return kernel(self.kernel, **options)
