r"""Kernel ridge regression and classification, with any kernel of :mod:`learnability.kernels.named` by its name.

What kernels can learn is bounded by Theorem 2 of Allen-Zhu & Li (NeurIPS 2019): fitted to N examples, whatever the
kernel, none gets below the error :math:`\alpha^2 / 16` of a two-level target's composite part for most targets, for N
up to a thousandth of the number of sets of k coordinates; and by Theorem 2 of Daniely & Malach (NeurIPS 2020) for
sparse parities. :class:`learnability.estimators.ResNetRegressor` and
:class:`learnability.estimators.SparseParityClassifier` learn these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.estimators.base import Estimator, check_seed, classes_of, labelled, measured, seed_of
from learnability.kernels.machine import MEMORY, RIDGES, Kernel, Machine, fit
from learnability.kernels.named import DRAWN, NAMES, check_options, kernel

__all__ = ["KernelClassifier", "KernelMachine", "kernel_of"]


def kernel_of(name: str | Kernel, options: Mapping[str, Any] | None, n: int, random_state: Any) -> Kernel:
    """The kernel of an estimator's parameters, for n inputs.

    The options of a drawn kernel are completed by a generator and n, those of the Gaussian by gamma = 1 / n.
    """
    check_seed(random_state)
    if not isinstance(name, str):
        if options is not None:
            raise RequestError(f"options must be None for a kernel that is a function, got {options!r}")
        if not callable(name):
            raise RequestError(f"kernel must be a function of two arrays of inputs, or a name, got {name!r}")
        return name
    checks.choice("kernel", name, NAMES)
    if options is not None and not isinstance(options, Mapping):
        raise RequestError(f"options must be a mapping of names to values, got {options!r}")
    given = dict(options or {})
    known = ("rng", "n") if name in DRAWN else ()
    twice = [option for option in known if option in given]
    if twice:
        raise RequestError(
            f"options must leave out rng and n, which come from random_state and the inputs, got {', '.join(twice)}"
        )
    if name == "gaussian":
        given.setdefault("gamma", 1 / n)
    elif name == "polynomial":
        given.setdefault("degree", 3)
    check_options(name, given, known=known)
    if name in DRAWN:
        given |= {"rng": np.random.default_rng(seed_of(random_state)), "n": n}
    return kernel(name, **given)


class _KernelEstimator(Estimator):
    """What the regressor and the classifier share."""

    def __init__(
        self,
        kernel: str | Kernel = "gaussian",
        options: Mapping[str, Any] | None = None,
        *,
        ridge: float | None = None,
        ridges: tuple[float, ...] = RIDGES,
        memory: float = MEMORY,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        self.kernel = kernel
        self.options = options
        self.ridge = ridge
        self.ridges = ridges
        self.memory = memory
        self.random_state = random_state

    def _fit_machine(self, X: FloatArray, y: FloatArray, sample_weight: ArrayLike | None) -> None:
        found = kernel_of(self.kernel, self.options, X.shape[1], self.random_state)
        weights = None if sample_weight is None else _weights(sample_weight, len(X))
        # a copy: the machine keeps its inputs, and they are not to change with the caller's
        self.machine_: Machine = fit(
            found, X.copy(), y, self.ridge, ridges=self.ridges, memory=self.memory, weights=weights
        )

    def _values(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self, "machine_")
        return self.machine_.predict(validate_data(self, X, dtype=np.float64, reset=False))


class KernelMachine(RegressorMixin, _KernelEstimator):  # type: ignore[misc]
    """Kernel ridge regression, the ridge chosen by leave-one-out errors in closed form.

    :func:`learnability.kernels.machine.fit` for pipelines, searches and cross-validation of scikit-learn.

    Parameters
    ----------
    kernel : str or callable
        A name of :data:`learnability.kernels.named.NAMES`, or a function (X (m, n), Z (r, n)) -> (m, r).
    options : mapping, optional
        Of a named kernel (the table of :mod:`learnability.kernels.named`), without rng and n, which come from
        ``random_state`` and the inputs. Where nothing is said gamma is 1 / n and the degree of a polynomial 3. None
        for a function.
    ridge : float, optional
        lambda > 0 in the kernel's own units. If not given, it is chosen; then examples should be in random order.
    ridges : tuple of float
        What it is chosen from, in units of the kernel's mean diagonal; each > 0.
    memory : float
        Bytes that a fit may take.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        Of kernels that are drawn at random; an integer is >= 0.

    Attributes
    ----------
    machine_ : learnability.kernels.machine.Machine
        The fit: coefficients, the ridge in use, and the leave-one-out errors of those tried.
    n_features_in_ : int

    Notes
    -----
    There is no intercept: a kernel with a bias has the constants, others may want centred targets. Inputs are taken
    as they are; ``arcsin`` refuses a row of zeros and ``recursive`` rows of norm above 1.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).choice([-1.0, 1.0], (200, 6))
    >>> y = X[:, 0] * X[:, 1]
    >>> KernelMachine("tangent", {"depth": 2, "bias": 1.0}).fit(X, y).score(X, y) > 0.99
    True
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to inputs X (m, n) and targets y (m,) or (m, c).

        Parameters
        ----------
        X, y : array
        sample_weight : array (m,), optional
            >= 0: an example of weight 2 is as two (:mod:`learnability.kernels.machine`).

        Raises
        ------
        ValueError
            If a parameter or an array is not as said above, or the fit would take more memory than allowed.
        """
        inputs, targets = measured(self, X, y)
        self._fit_machine(inputs, targets, sample_weight)
        return self

    def predict(self, X: ArrayLike) -> FloatArray:
        """Predictions (r,), or (r, c) for c targets, at inputs X (r, n)."""
        return self._values(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class KernelClassifier(ClassifierMixin, _KernelEstimator):  # type: ignore[misc]
    """Kernel ridge regression of signs, one class against the rest where there are more than two.

    The ridge is chosen by the leave-one-out squares of all machines together, in closed form; the least of them is
    the least error of the signs only roughly, which is the price of one factorisation for all.

    Parameters
    ----------
    kernel, options, ridge, ridges, memory, random_state
        As in :class:`KernelMachine`.

    Attributes
    ----------
    classes_ : array
    machine_ : learnability.kernels.machine.Machine
        With a column of coefficients for each class, or for two classes one, of the second.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).choice([-1.0, 1.0], (200, 6))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "even", "odd")
    >>> KernelClassifier("tangent", {"bias": 1.0}).fit(X, y).predict(X[:2]).tolist() == y[:2].tolist()
    True
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to inputs X (m, n) and labels y (m,); ``sample_weight`` as in :meth:`KernelMachine.fit`.

        Raises
        ------
        ValueError
            If a parameter or an array is not as said above, there is one class only (of positive weight), or the fit
            would take more memory than allowed.
        """
        inputs, labels = labelled(self, X, y)
        weights = None if sample_weight is None else _weights(sample_weight, len(inputs))
        classes = classes_of("y", labels)
        if weights is not None:
            classes_of("y with a positive sample_weight", labels[weights > 0])
        signs = np.where(labels[:, None] == classes, 1.0, -1.0)
        self._fit_machine(inputs, signs[:, 1] if len(classes) == 2 else signs, weights)
        self.classes_ = classes
        return self

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Decisions at X (m, n): (m,) for two classes, positive for the second; (m, classes) for more."""
        return self._values(X)

    def predict(self, X: ArrayLike) -> Any:
        """Labels (m,) at X (m, n)."""
        decisions = self.decision_function(X)
        places = (decisions > 0).astype(int) if decisions.ndim == 1 else decisions.argmax(axis=1)
        return self.classes_[places]


def _weights(sample_weight: ArrayLike, m: int) -> FloatArray:
    found = checks.vector("sample_weight", sample_weight, length=m, at_least=0.0)
    if not found.any():
        raise RequestError("sample_weight must hold a positive weight, got zeros only")
    return found
