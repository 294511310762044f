r"""The learner of symmetric functions: a network that sees an input through its sum, trained from a symmetric start.

Nachum & Yehudayoff, On Symmetry and Initialization for Neural Networks (arXiv 1907.00560). All hidden rows of the
start are constant, so inputs of {0,1}^n are n + 1 points to it, one a Hamming weight, and every labelling of these,
parity included, is linear with a margin of order :math:`1/\sqrt n` (Lemma 3). Batch-one SGD on the hinge loss is
then a perceptron on n + 1 points: at Lemma 4's step it ends, also where the first layer moves too, and Theorem 1
bounds the error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metaestimators import available_if

from learnability import checks
from learnability.checks import FloatArray
from learnability.estimators.base import SignClassifier, unfinished
from learnability.estimators.ranges import Ranges, ranges_of
from learnability.networks.one_hidden import OneHidden, forward
from learnability.networks.symmetry import SYMMETRY_KINDS, embedding, symmetry_init
from learnability.seeding import generator
from learnability.studies.symmetry.theorems.lemmas_thm1 import lemma3_bound
from learnability.studies.symmetry.theorems.thm2_lemma4 import lemma4_step_limit
from learnability.theory.margins import hard_margin, lift
from learnability.training.online import train
from learnability.training.online.deviation import Deviation
from learnability.training.record import Outcome

__all__ = ["SOLVERS", "SymmetricClassifier", "SymmetricMachine"]

SOLVERS = ("sgd", "frozen", "exact")


class Step(NamedTuple):
    """Step and confidence, and whether they are within Lemma 4."""

    h: float | Rational
    beta: float | Rational
    within: bool


@dataclass(frozen=True, eq=False)
class SymmetricMachine:
    """What tells one class from the others."""

    network: OneHidden | Deviation
    """Its deviations from the start where they are kept (:mod:`learnability.training.online.deviation`)."""
    updates: int
    epochs: int
    converged: bool
    """Whether the last epoch made no update: nothing can change any more."""
    rng: np.random.Generator | None
    """Draws the orders of further epochs."""

    def decide(self, X: FloatArray, activation: str) -> FloatArray:
        """Signed distances f(x) / |(M, b)| of the embedded inputs from the hyperplane."""
        if isinstance(self.network, Deviation):
            values, norm = self.network.outputs(X), self.network.norm
        else:
            values = forward(self.network, X, activation)
            norm = math.hypot(float(np.linalg.norm(self.network.M)), self.network.b)
        return values / (norm or 1.0)


class SymmetricClassifier(SignClassifier):
    r"""Batch-one SGD from a symmetry initialisation, or the frozen layer's linear problem solved exactly.

    Parameters
    ----------
    init : str
        A kind of :func:`learnability.networks.symmetry.symmetry_init`; with ``"sigmoid"`` the units are sigmoids.
    solver : {"sgd", "frozen", "exact"}
        ``sgd`` trains both layers, ``frozen`` the output layer only; ``exact`` finds the output layer of largest
        margin over the n + 1 Hamming weights, each with the label of most examples there (none if there are as many
        of both): what ``frozen`` tends to where beta grows slowly, see the notes.
    h : float or rational, optional
        Step > 0. By default 1 over an integer just within Lemma 4's limit, for the margin that every symmetric
        function has. The trajectory depends on beta / h, and hardly on h.
    beta : float or rational, optional
        Confidence >= 0: an example with y f <= beta is updated on. By default :math:`R^2 h`, Lemma 4's, R the largest
        length of a lifted embedded point.
    max_iter : int
        Most epochs of a fit, >= 1; it ends before if an epoch makes no update.
    bounds : pair of float or of arrays (n,), optional
        What counts as 0 and 1. By default (0, 1) or (-1, 1) where all entries are these, and else the ends of each
        column in the sample.
    delta : float
        Of ``generalization_bound_``, in (0, 1).
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        Of the order of examples.
    warm_start : bool
        Whether a further fit goes on from the network of the last, with the bounds of the first.

    Attributes
    ----------
    classes_ : array
    machines_ : tuple of SymmetricMachine
        One for two classes, else one for each.
    n_iter_, n_updates_ : int
        Epochs of the longest machine, and updates of all, since the start.
    converged_ : bool
        Whether no machine has an update left.
    margin_ : float
        The least of y f(x) / \|(M, b)\| over the machines and examples of the last fit; negative where one is wrong.
    generalization_bound_ : float or None
        Theorem 1: with probability 1 - delta over independent examples the error is at most ((n+1) ln 2 + ln(1 /
        delta)) / m for a network that is consistent with all m (for c > 2 classes the sum over c machines at delta /
        c each). None where the theorem promises nothing below 1: inputs are not bits, a step beyond Lemma 4's,
        examples contradict each other, or a warm start.
    bounds_ : Ranges
    n_features_in_ : int

    Notes
    -----
    Inputs that are not bits are mapped to [0, 1] by ``bounds`` and enter as real numbers: the network is then a
    function of their sum, piecewise linear with kinks at the half-integers, and linear beyond 0 and n. ``exact``
    takes each to the nearest Hamming weight. No theorem speaks of that; what is not a function of the sum is not
    learnt, so scikit-learn's tag ``poor_score`` is set. Where examples of one sum have different labels SGD never
    ends: it stops after ``max_iter`` epochs with a ConvergenceWarning.

    *The exact solver is a limit of SGD.* Let the frozen layer be trained to the end at beta = epsilon, then at 2
    epsilon, 3 epsilon, and so on, and let t be the number of updates so far, w = (M, b), gamma the largest margin, w*
    the unit vector that has it, a = <w, w*> and D = \|w\|^2 - a^2. Where a stage starts all examples have y <w, v> >=
    beta - epsilon, so beta - epsilon <= gamma \|w\| <= gamma (a + D / 2a). An update adds at least gamma h to a and
    at most 2 h beta + h^2 R^2 to \|w\|^2, hence to D at most h (2 epsilon + h R^2 + gamma D' / a'), with D' and a'
    of the stage's start. As a >= gamma h t, D / (h t) grows like the logarithm of t at most, and the sine of the
    angle between w and w*, whose square is D / \|w\|^2, tends to 0. (At a fixed beta, however large, it need not.)

    An SGD estimator takes no ``sample_weight``: a weight is no repetition of visits.

    Examples
    --------
    >>> import numpy as np
    >>> from learnability.problems.symmetry import UniformCube, parity
    >>> rng = np.random.default_rng(0)
    >>> X, Z = UniformCube(20).sample(rng, 500), UniformCube(20).sample(rng, 1000)
    >>> learner = SymmetricClassifier(random_state=0).fit(X, parity(20)(X))
    >>> learner.score(Z, parity(20)(Z)) > 0.99
    True
    >>> SymmetricClassifier(solver="exact").fit(X, parity(20)(X)).margin_ > 0.08
    True
    """

    def __init__(
        self,
        init: str = "half_integer",
        *,
        solver: str = "sgd",
        h: float | Rational | None = None,
        beta: float | Rational | None = None,
        max_iter: int = 10_000,
        bounds: tuple[ArrayLike, ArrayLike] | None = None,
        delta: float = 0.05,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        warm_start: bool = False,
    ) -> None:
        self.init = init
        self.solver = solver
        self.h = h
        self.beta = beta
        self.max_iter = max_iter
        self.bounds = bounds
        self.delta = delta
        self.random_state = random_state
        self.warm_start = warm_start

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to inputs X (m, n) and labels y (m,).

        Raises
        ------
        ValueError
            If a parameter is out of range, an entry is not a finite number, or there is one class only.
        """
        self._check()
        self._epochs = checks.integer("max_iter", self.max_iter, at_least=1)
        self._fit(X, y)
        if not self.converged_ and self.solver != "exact":
            why = "some examples may contradict each other, or more epochs are needed"
            unfinished(type(self).__name__, self._epochs, why)
        return self

    @available_if(lambda self: self.solver != "exact")  # type: ignore[untyped-decorator]
    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """One epoch over these examples, from where the last call ended, as if they had come in the same run.

        Parameters
        ----------
        X, y : array (m, n), (m,)
        classes : array, optional
            All labels; needed in the first call. Bounds that are not given come from the first call's inputs too.
        """
        self._check()
        self._epochs = 1
        return self._partial_fit(X, y, classes)

    def _check(self) -> None:
        checks.choice("init", self.init, SYMMETRY_KINDS)
        checks.choice("solver", self.solver, SOLVERS)
        checks.real("delta", self.delta, above=0, below=1)
        if self.h is not None:
            checks.real("h", self.h, above=0)
        if self.beta is not None:
            checks.real("beta", self.beta, at_least=0)

    @property
    def _lasting(self) -> tuple[str, ...]:  # type: ignore[override]
        return () if self.solver == "exact" else ("init", "h")  # which finds its network anew at every fit

    @property
    def _activation(self) -> str:
        return "sigmoid" if self.init == "sigmoid" else "relu"

    def _inputs(self, X: FloatArray, *, first: bool) -> FloatArray:
        if first:
            self.bounds_: Ranges = ranges_of(X, self.bounds)
        return self.bounds_(X, (0.0, 1.0))

    def _step(self, n: int) -> Step:
        """Lemma 4's step and confidence, or those that were given."""
        start = symmetry_init(n, self.init)
        V = lift(embedding(start, activation=self._activation))
        squared = Fraction(V.shape[1]) if self.init == "sigmoid" else Fraction(float((V * V).sum(axis=1).max()))
        limit = lemma4_step_limit(
            margin=lemma3_bound(n, self.init),
            radius=math.sqrt(squared),
            input_radius=math.sqrt(n),
            activation=self._activation,
        )
        h = Fraction(1, math.ceil(1 / limit)) if self.h is None else self.h
        usual = squared * Fraction(h)
        beta = usual if self.beta is None else self.beta
        return Step(h, beta, float(h) <= limit and math.isclose(float(beta), float(usual), rel_tol=1e-9))

    def _machine(
        self, X: FloatArray, y: FloatArray, index: int, count: int, before: SymmetricMachine | None
    ) -> SymmetricMachine:
        n = X.shape[1]
        if self.solver == "exact":
            return SymmetricMachine(
                _largest_margin(symmetry_init(n, self.init), X, y, self._activation), 0, 1, True, None
            )
        step = self._step(n)
        if before is None or before.rng is None:
            network: OneHidden | Deviation = symmetry_init(n, self.init)
            updates, epochs = 0, 0
            rng = generator(self._seed, "symmetric", "order", index)
        else:
            network, rng, updates, epochs = before.network, before.rng, before.updates, before.epochs
        run = train(
            network,
            X,
            y,
            h=step.h,
            beta=step.beta,
            rng=rng,
            epochs=self._epochs,
            layers="both" if self.solver == "sgd" else "output",
            activation=self._activation,
            record=(),
        )
        now = run.params if run.deviation is None else run.deviation
        converged = run.outcome is Outcome.CONVERGED
        return SymmetricMachine(now, updates + run.updates, epochs + run.epochs, converged, rng)

    def _decide(self, machine: SymmetricMachine, X: FloatArray) -> FloatArray:
        return machine.decide(X, self._activation)

    def _summarise(self, X: FloatArray, V: FloatArray, y: NDArray[Any], *, cold: bool) -> None:
        machines = self.machines_
        self.n_iter_ = max(machine.epochs for machine in machines)
        self.n_updates_ = sum(machine.updates for machine in machines)
        self.converged_ = all(machine.converged for machine in machines)
        chosen = self.classes_[1:] if len(machines) == 1 else self.classes_
        margins = [
            float((np.where(y == label, 1.0, -1.0) * self._decide(machine, V)).min())
            for label, machine in zip(chosen, machines, strict=True)
        ]
        self.margin_ = min(margins)
        self.generalization_bound_: float | None = None
        n = V.shape[1]
        symmetric = self.solver != "sgd" or self._step(n).within
        if cold and symmetric and self.converged_ and self.margin_ > 0 and np.isin(V, (0.0, 1.0)).all():
            c = len(machines)
            bound = c * ((n + 1) * math.log(2) + math.log(c / self.delta)) / len(V)
            self.generalization_bound_ = bound if bound < 1 else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


def _largest_margin(start: OneHidden, X: FloatArray, y: FloatArray, activation: str) -> OneHidden:
    """The output layer of largest margin over the Hamming weights, each with the label of most examples there."""
    n = X.shape[1]
    weights = np.clip(np.rint(X.sum(axis=1)), 0, n).astype(np.intp)
    votes = np.bincount(weights, y, minlength=n + 1)
    seen = np.flatnonzero(votes)
    if not len(seen):  # as many of both everywhere
        return start
    w = hard_margin(lift(embedding(start, seen.astype(np.float64), activation)), np.sign(votes[seen])).w
    return start._replace(M=w[:-1], b=float(w[-1]))
