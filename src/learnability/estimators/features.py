r"""Random features as transformers: ReLU, cosine and gated, each with the kernel that it tends to.

Features are divided by the root of their number, so that their inner product is the kernel in the mean: of ReLUs the
conjugate kernel of one hidden layer, of cosines the Gaussian (Rahimi & Recht, NeurIPS 2007), of gates the tangent
kernel of a two-layer ReLU network in its first layer. What no features that are fixed beforehand can learn is said by
Theorem 2 of Daniely & Malach (NeurIPS 2020) and Theorem 3 of Allen-Zhu & Li (NeurIPS 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from learnability import checks
from learnability.checks import FloatArray
from learnability.estimators.base import Estimator, seed_of
from learnability.kernels.features import Gates, Layer, random_gates, random_layer
from learnability.seeding import generator

__all__ = ["CosineFeatures", "GatedFeatures", "ReluFeatures"]


class _RandomFeatures(TransformerMixin, Estimator):  # type: ignore[misc]
    """A feature map that is drawn for the number of inputs and nothing else."""

    n_components: int
    random_state: Any
    map_: Callable[[FloatArray], FloatArray]
    _factor: float

    def _draw(self, rng: np.random.Generator, n: int) -> tuple[Callable[[FloatArray], FloatArray], float]:
        """The map, and what its features are multiplied with."""
        raise NotImplementedError

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Draw the features; of X (m, n) only the number of inputs counts, and of y nothing."""
        inputs = validate_data(self, X, dtype=np.float64)
        checks.integer("n_components", self.n_components, at_least=1)
        rng = generator(seed_of(self.random_state), "features")
        self.map_, self._factor = self._draw(rng, inputs.shape[1])
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """The features of inputs X (m, n), a row an input."""
        check_is_fitted(self, "map_")
        features: FloatArray = self.map_(validate_data(self, X, dtype=np.float64, reset=False))
        features *= self._factor
        return features


class ReluFeatures(ClassNamePrefixFeaturesOutMixin, _RandomFeatures):  # type: ignore[misc]
    r"""Features :math:`\max(\langle w, x \rangle + b, 0) / \sqrt N` with Gaussian w and b.

    Their kernel is ``kernel("conjugate", weight=weight, bias=bias)``.

    Parameters
    ----------
    n_components : int
        N >= 1.
    weight : float
        Variance of an entry of w, > 0. At 2 the mean square of a feature vector is the square of \|x\|, without bias.
    bias : float
        Variance of b, >= 0.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None

    Attributes
    ----------
    map_ : learnability.kernels.features.Layer
        The features before they are divided.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from learnability.kernels.named import kernel
    >>> X = np.random.default_rng(0).standard_normal((5, 3))
    >>> F = ReluFeatures(20_000, random_state=0).fit_transform(X)
    >>> bool(np.allclose(F @ F.T, kernel("conjugate", weight=2.0, bias=1.0)(X), atol=0.2))
    True
    """

    map_: Layer

    def __init__(
        self,
        n_components: int = 100,
        *,
        weight: float = 2.0,
        bias: float = 1.0,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        self.n_components = n_components
        self.weight = weight
        self.bias = bias
        self.random_state = random_state

    def _draw(self, rng: np.random.Generator, n: int) -> tuple[Layer, float]:
        scale = math.sqrt(checks.real("weight", self.weight, above=0))
        bias = math.sqrt(checks.real("bias", self.bias, at_least=0))
        layer = random_layer(rng, n, self.n_components, "relu", scale=scale, bias=bias)
        return layer, 1 / math.sqrt(self.n_components)

    @property
    def _n_features_out(self) -> int:
        return len(self.map_.W)


class CosineFeatures(ClassNamePrefixFeaturesOutMixin, _RandomFeatures):  # type: ignore[misc]
    r"""Features :math:`\sqrt{2 / N} \cos(\langle w, x \rangle + c)` with Gaussian w and uniform phase c.

    Their kernel is ``kernel("gaussian", gamma=gamma)``.

    Parameters
    ----------
    n_components : int
        N >= 1.
    gamma : float, optional
        > 0; 1 / n by default.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None

    Attributes
    ----------
    map_ : learnability.kernels.features.Layer
        The features before they are multiplied.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from learnability.kernels.named import kernel
    >>> X = np.random.default_rng(0).standard_normal((5, 3))
    >>> F = CosineFeatures(20_000, gamma=0.5, random_state=0).fit_transform(X)
    >>> bool(np.allclose(F @ F.T, kernel("gaussian", gamma=0.5)(X), atol=0.05))
    True
    """

    map_: Layer

    def __init__(
        self,
        n_components: int = 100,
        *,
        gamma: float | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        self.n_components = n_components
        self.gamma = gamma
        self.random_state = random_state

    def _draw(self, rng: np.random.Generator, n: int) -> tuple[Layer, float]:
        gamma = 1 / n if self.gamma is None else checks.real("gamma", self.gamma, above=0)
        layer = random_layer(rng, n, self.n_components, "cos", scale=math.sqrt(2 * gamma))
        return layer, math.sqrt(2 / self.n_components)

    @property
    def _n_features_out(self) -> int:
        return len(self.map_.W)


class GatedFeatures(_RandomFeatures):
    r"""Features :math:`1[\langle g, (x, \beta) \rangle > 0]\, (x, \beta) / \sqrt N` with Gaussian gates g.

    Each of the N gates lets all inputs pass or none: N (n + 1) features, whose kernel is
    :math:`\kappa_0(\rho) \langle (x, \beta), (z, \beta) \rangle / 2`. A linear model on them is a gated linear
    network with frozen gates, which Daniely & Malach's experiment calls the NTK regime.

    Parameters
    ----------
    n_components : int
        Gates, N >= 1.
    bias : float
        beta >= 0.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None

    Attributes
    ----------
    map_ : learnability.kernels.features.Gates
        The features before they are divided.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[3.0, 4.0], [-4.0, 3.0]])  # at a right angle, where each gate lets both pass with chance 1/4
    >>> gates = GatedFeatures(20_000, bias=0.0, random_state=0).fit(X)
    >>> F = gates.transform(X)
    >>> bool(np.allclose(F @ F.T, [[25 / 2, 0], [0, 25 / 2]], atol=0.5))
    True
    >>> F.shape, gates.get_feature_names_out()[:3].tolist()
    ((2, 60000), ['gate0_x0', 'gate0_x1', 'gate0_bias'])
    """

    map_: Gates

    def __init__(
        self,
        n_components: int = 20,
        *,
        bias: float = 1.0,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        self.n_components = n_components
        self.bias = bias
        self.random_state = random_state

    def _draw(self, rng: np.random.Generator, n: int) -> tuple[Gates, float]:
        return random_gates(rng, n, self.n_components, bias=self.bias), 1 / math.sqrt(self.n_components)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Names ``gate0_x0``, ..., ``gate0_bias``, ``gate1_x0``, ..., of the inputs behind each gate.

        Parameters
        ----------
        input_features : array of str, optional
            Must be the names that were fitted, if there were any; x0, x1, ... where there were none.
        """
        check_is_fitted(self, "map_")
        names = [*_check_feature_names_in(self, input_features), "bias"]
        return np.array([f"gate{i}_{name}" for i in range(len(self.map_.G)) for name in names], dtype=object)
