r"""The three-layer ResNet with a bottleneck, for targets with two levels, F + alpha G(F).

Allen-Zhu & Li, What Can ResNet Learn Efficiently, Going Beyond Kernels? (NeurIPS 2019). The network is
:math:`A \sigma(W x) + A \sigma(V (A \sigma(W x), 1))`: its first block learns the base signal F, of which the second
makes the composite signal G(F). SGD gets both (Theorem 1, up to alpha^4); a kernel that is given as many examples
stays above alpha^2 for most targets (Theorem 2).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.estimators.base import Estimator, measured, seed_of
from learnability.estimators.ranges import Ranges, ranges_of
from learnability.networks.residual import ResNet3, forward, initial
from learnability.seeding import generator
from learnability.training.grid import train
from learnability.training.record import Outcome

__all__ = ["ResNetRegressor"]

LAYERS = {"all": ("W", "V", "A"), "hidden": ("W", "V")}


class ResNetRegressor(RegressorMixin, Estimator):  # type: ignore[misc]
    r"""Mini-batch SGD on the three-layer ResNet, with the settings of the paper's Section 8.1.

    Parameters
    ----------
    width : int
        m >= 1, units of each block.
    layers : {"all", "hidden"}
        What is trained: everything, or all but the output matrix A, as the theorem has it.
    learning_rate : float
        > 0; a tenth of it in the second half of the epochs. The paper searched it, and the weight decay, over
        {1, 2, 5} times powers of 10; results depend on both.
    weight_decay : float
        >= 0; omega theta is added to the gradient, as in PyTorch.
    momentum : float
        In [0, 1).
    batch_size : int
        >= 1; as many as there are examples if that is less.
    max_iter : int
        Epochs, >= 1, all of which are run.
    bounds : pair of float or of arrays (n,), optional
        What becomes -1 and +1 in the inputs. By default (-1, 1) or (0, 1) where all entries are these, and else the
        ends of each column in the sample.
    dtype : {"float32", "float64"}
        Of the training.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        Of the start and the order of examples.
    warm_start : bool
        Whether a further fit goes on from the network of the last, with its bounds and units of the targets.

    Attributes
    ----------
    network_ : learnability.networks.residual.ResNet3
    n_iter_ : int
        Epochs since the start.
    loss_ : float
        Mean of half the squared error over the last epoch, each batch before its step, in the targets' units below.
    centre_, unit_ : array (k,), float
        Targets are trained on as (y - centre) / unit: their means, and one root mean square of all outputs, so that
        the sizes of the outputs beside each other stay as they are.
    bounds_ : Ranges
    n_features_in_ : int

    Notes
    -----
    Theorem 1 is about inputs of norm 1, targets H = F + alpha G(F) of a concept class of smooth functions and fresh
    examples, at widths beyond any computer; the experiments are about signs and products of them, and a sample that
    repeats. Other inputs and targets are mapped as said above and the network is trained all the same: nothing is
    proved of it there.

    An SGD estimator takes no ``sample_weight``: a weight is no repetition of visits.

    Examples
    --------
    >>> import numpy as np
    >>> from learnability.problems.residual import PairTarget, UniformSigns
    >>> rng, target = np.random.default_rng(0), PairTarget(10, 0.3)
    >>> X, Z = UniformSigns(10).sample(rng, 300), UniformSigns(10).sample(rng, 1000)
    >>> learner = ResNetRegressor(width=50, max_iter=400, random_state=0).fit(X, target(X))
    >>> float(((learner.predict(Z) - target(Z)) ** 2).sum(axis=1).mean()) < target.base_error()
    True
    """

    network_: ResNet3
    n_iter_: int
    unit_: float
    bounds_: Ranges
    centre_: FloatArray
    _rng: np.random.Generator
    _one: bool
    _lasting = ("width",)

    def __init__(
        self,
        width: int = 100,
        *,
        layers: str = "all",
        learning_rate: float = 0.1,
        weight_decay: float = 0.005,
        momentum: float = 0.9,
        batch_size: int = 50,
        max_iter: int = 800,
        bounds: tuple[ArrayLike, ArrayLike] | None = None,
        dtype: str = "float32",
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        warm_start: bool = False,
    ) -> None:
        self.width = width
        self.layers = layers
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.bounds = bounds
        self.dtype = dtype
        self.random_state = random_state
        self.warm_start = warm_start

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to inputs X (m, n) and targets y (m,) or (m, k).

        Raises
        ------
        ValueError
            If a parameter is out of range, an entry is not a finite number, or the run diverges.
        """
        checks.integer("width", self.width, at_least=1)
        checks.choice("layers", self.layers, tuple(LAYERS))
        checks.real("learning_rate", self.learning_rate, above=0)
        checks.real("weight_decay", self.weight_decay, at_least=0)
        checks.real("momentum", self.momentum, at_least=0, below=1)
        checks.integer("batch_size", self.batch_size, at_least=1)
        checks.integer("max_iter", self.max_iter, at_least=1)
        checks.choice("dtype", self.dtype, ("float32", "float64"))
        goes_on = bool(self.warm_start) and hasattr(self, "network_")
        inputs, targets = measured(self, X, y, reset=not goes_on)
        Y = targets.reshape(len(inputs), -1)
        if goes_on and (Y.shape[1] != len(self.centre_) or (targets.ndim == 1) != self._one):
            raise RequestError(
                f"y must have the outputs of the first fit, {len(self.centre_)}, got shape {targets.shape}"
            )
        if goes_on:
            self._check_lasting()
        else:
            self._start(inputs, Y, one=targets.ndim == 1)
        V = self.bounds_(inputs, (-1.0, 1.0))
        half = self.max_iter / 2
        (run,) = train(
            self.network_,
            V,
            (Y - self.centre_) / self.unit_,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            batch=self.batch_size,
            epochs=self.max_iter,
            rng=self._rng,
            trainable=LAYERS[self.layers],
            schedule=lambda epoch: 1.0 if epoch <= half else 0.1,
            record=(self.max_iter,),
            dtype=self.dtype,
        )
        if run.outcome is Outcome.DIVERGED:
            raise ValueError(
                f"learning_rate must be small enough for the weights to stay finite, got {self.learning_rate!r}: the "
                f"run diverged in epoch {run.epochs}"
            )
        self.network_ = run.params
        self.n_iter_ += run.epochs
        self.loss_ = run.final("running_loss")
        return self

    def _start(self, X: FloatArray, Y: FloatArray, *, one: bool) -> None:
        seed, (n, k) = seed_of(self.random_state), (X.shape[1], Y.shape[1])
        try:
            start: Any = initial(generator(seed, "resnet", "start"), "3resnet", n, k, self.width)
        except RequestError as error:  # which speaks of the width as m
            raise RequestError(str(error).replace("m must", "width must", 1)) from None
        self.network_, self._one, self.n_iter_ = start, one, 0
        self._rng = generator(seed, "resnet", "order")
        self._begin()
        self.bounds_, self.centre_ = ranges_of(X, self.bounds), Y.mean(axis=0)
        spread = Y - self.centre_
        largest = float(np.abs(spread).max()) or 1.0
        self.unit_ = largest * float(np.sqrt(((spread / largest) ** 2).mean())) or 1.0

    def predict(self, X: ArrayLike) -> FloatArray:
        """Predictions (r,), or (r, k) for k targets, at inputs X (r, n)."""
        check_is_fitted(self, "network_")
        V = self.bounds_(validate_data(self, X, dtype=np.float64, reset=False), (-1.0, 1.0))
        values: FloatArray = self.centre_ + self.unit_ * forward(self.network_, V)
        return values[:, 0] if self._one else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
