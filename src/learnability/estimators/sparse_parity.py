r"""The sparse-parity learner: one gradient step, estimated from the sample, makes the features; ridge reads them out.

Daniely & Malach, Learning Parities with Neural Networks (NeurIPS 2020). The label is the product of the signs of k of
n coordinates. From the symmetric start, with twins of opposite output weights, the network is 0, so that the first
step of gradient descent (eta = 1, lambda = 1/2) replaces each unit's weights by the correlation of the label with its
slope. On inputs of which a share shows the k coordinates by making them equal (the paper's mixture) that is a weight
on these coordinates and next to nothing elsewhere (Lemma 9), and the parity is a linear function of the new units
(Lemmas 10 to 12); no linear method over features that are fixed beforehand has it (Theorem 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.estimators.base import SignClassifier
from learnability.estimators.ranges import Ranges, ranges_of
from learnability.networks.parity import ParityNet, hidden, initial
from learnability.seeding import generator
from learnability.training.population import sampled_gradient, step_of

__all__ = ["ParityMachine", "SparseParityClassifier"]

RIDGES = tuple(10.0**e for e in range(-8, 1))
"""Of the readout, in units of the sum of the features' squares over their number."""


@dataclass(frozen=True, eq=False)
class ParityMachine:
    """What tells one class from the others."""

    start: ParityNet
    slope: ParityNet
    """Mean gradient of the hinge loss at the start."""
    seen: int
    """Examples that it is the mean over."""
    network: ParityNet
    """After the first step; its output layer is the readout."""
    intercept: float
    ridge: float
    """Of the readout, in the units of :data:`RIDGES`."""


class SparseParityClassifier(SignClassifier):
    r"""One estimated gradient step for the features, ridge regression for the readout.

    Parameters
    ----------
    k : int
        Coordinates in the parity, >= 1; with fewer inputs than that, all of them. It sets the biases 1/(8k) and the
        range of the output weights, n/k. The theorem wants it odd: an even number of equal signs has the product +1.
    pairs : int
        q >= 1; the network has 2q units.
    bounds : pair of float or of arrays (n,), optional
        What counts as the two signs. By default (-1, 1) or (0, 1) where all entries are these, and else the ends of
        each column in the sample.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        Of the start.
    warm_start : bool
        Whether a further fit keeps start and bounds and estimates the first step from the examples of all fits
        together, which is exact, as the network at the start is the same. The readout is fitted to the last.

    Attributes
    ----------
    classes_ : array
    machines_ : tuple of ParityMachine
        One for two classes, else one for each.
    feature_importances_ : array (n,)
        Share of each input in the squares of the first layer after the step: the coordinates of a parity that was
        found stand out.
    bounds_ : Ranges
    n_features_in_ : int

    Notes
    -----
    Theorem 3 is about inputs :math:`\pm 1/\sqrt n` from the mixture, the expected gradient, and steps of both layers
    after the first; its bound is above 1 for any n that fits a computer (``learnability explain parity/theorem3``).
    Here the expectation is a mean over the sample: with m examples it is wrong by about :math:`1/\sqrt m` in each
    coordinate, which over n of them must be small against the bias: :math:`m \gg 64\, n`.
    Under the uniform distribution parities are hard to learn by gradients (the paper's Comment 1), and the learner
    guesses. Real inputs lie between the signs; the step is taken all the same, and makes of them units that point to
    where the classes differ.

    An SGD estimator takes no ``sample_weight``: a weight is no repetition of visits.

    Examples
    --------
    >>> import numpy as np
    >>> from learnability.problems.parity import random_mixture
    >>> rng = np.random.default_rng(0)
    >>> mixture = random_mixture(rng, 40, 3)
    >>> X, y = mixture.sample(rng, 8000)
    >>> learner = SparseParityClassifier(k=3, random_state=0).fit(X, y)
    >>> sorted(np.argsort(learner.feature_importances_)[-3:].tolist()) == list(mixture.support)
    True
    >>> learner.score(*mixture.sample(rng, 2000, part=1)) > 0.95
    True
    """

    _lasting = ("k", "pairs")

    def __init__(
        self,
        k: int = 3,
        pairs: int = 256,
        *,
        bounds: tuple[ArrayLike, ArrayLike] | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        warm_start: bool = False,
    ) -> None:
        self.k = k
        self.pairs = pairs
        self.bounds = bounds
        self.random_state = random_state
        self.warm_start = warm_start

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to inputs X (m, n) and labels y (m,).

        Raises
        ------
        ValueError
            If a parameter is out of range, an entry is not a finite number, or there is one class only.
        """
        checks.integer("k", self.k, at_least=1)
        checks.integer("pairs", self.pairs, at_least=1)
        return self._fit(X, y)

    def _inputs(self, X: FloatArray, *, first: bool) -> FloatArray:
        if first:
            self.bounds_: Ranges = ranges_of(X, self.bounds)
        side = 1 / np.sqrt(X.shape[1])
        return self.bounds_(X, (-side, side))

    def _machine(
        self, X: FloatArray, y: FloatArray, index: int, count: int, before: ParityMachine | None
    ) -> ParityMachine:
        n = X.shape[1]
        if before is None:
            start = initial(generator(self._seed, "parity", "start"), n, min(self.k, n), self.pairs)
            slope, seen = sampled_gradient(start, X, y)[1], len(y)
        else:
            start, seen = before.start, before.seen + len(y)
            new = sampled_gradient(start, X, y)[1]
            slope = ParityNet(
                *(old + (one - old) * (len(y) / seen) for old, one in zip(before.slope, new, strict=True))
            )
        network = step_of(start, slope)
        u, intercept, ridge = _readout(hidden(network, X), y)
        return ParityMachine(start, slope, seen, network._replace(u=u), intercept, ridge)

    def _decide(self, machine: ParityMachine, X: FloatArray) -> FloatArray:
        values: FloatArray = hidden(machine.network, X) @ machine.network.u
        return values + machine.intercept

    def _summarise(self, X: FloatArray, V: FloatArray, y: NDArray[Any], *, cold: bool) -> None:
        squares = np.sum([(machine.network.W**2).sum(axis=0) for machine in self.machines_], axis=0)
        self.feature_importances_: FloatArray = squares / (squares.sum() or 1.0)


def _readout(features: FloatArray, y: FloatArray) -> tuple[FloatArray, float, float]:
    """Output weights, intercept and ridge, by leaving one example out."""
    from sklearn.linear_model import RidgeCV

    unit = float(np.sqrt((features**2).sum() / features.shape[1])) or 1.0
    found = RidgeCV(RIDGES).fit(features / unit, y)
    return found.coef_ / unit, float(found.intercept_), float(found.alpha_)
