r"""The over-parameterised leaky-ReLU learner of linearly separable data, with what is proved of it as attributes.

Brutzkus, Globerson, Malach & Shalev-Shwartz, SGD Learns Over-parameterized Networks that Provably Generalize on
Linearly Separable Data (ICLR 2018). On examples in the unit ball that a hyperplane separates with margin
:math:`1 / |w^*|`, batch-one SGD on the first of two layers makes a number of updates that does not grow with the
width (Theorem 2, Corollary 3) and ends at loss 0; as few examples then determine the network, it generalises
(Theorems 5 and 6). ``learnability certify`` says the same of a table, with more widths and a test sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.certification.findings import setting
from learnability.certification.options import SCALES, WIDEST
from learnability.certification.result import Certificate, certificate_of
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.estimators.base import SignClassifier, unfinished
from learnability.estimators.guarantees import Run, error_bound, statements
from learnability.networks.separable import TwoLayer, forward, initial
from learnability.problems.separable import Scaling, into_unit_ball, with_bias
from learnability.seeding import generator
from learnability.theory import Guarantee
from learnability.theory.margins import HardMargin, hard_margin
from learnability.training.record import Outcome
from learnability.training.two_layer import train

__all__ = ["LeakyReluClassifier", "LeakyReluMachine"]

LAYERS = ("first", "both")


@dataclass(frozen=True, eq=False)
class LeakyReluMachine:
    """What tells one class from the others, and what is proved of it."""

    network: TwoLayer
    updates: int
    epochs: int
    converged: bool
    """Whether no example has a gradient left: for slopes above 0 the loss is 0."""
    rng: np.random.Generator
    """Draws the orders of further epochs."""
    margin: HardMargin | None
    """Of the examples, ``None`` if it was not asked for."""
    guarantees: tuple[Guarantee, ...]
    """Theorem 2 first, then the bounds on the error."""


class LeakyReluClassifier(SignClassifier):
    r"""Batch-one SGD on two layers of leaky ReLUs, with a fixed second layer of both signs.

    Parameters
    ----------
    width : int
        Hidden units 2k, even, 2 to 20,000. What is proved does not depend on it.
    slope : float
        The leaky ReLU's alpha, in [0, 1). The bounds go with 1 / alpha^2; with 0, the ReLU, none applies, and SGD may
        end at a minimum that is none of the loss.
    step : float
        SGD's eta, > 0 and at most 1e6. Theorem 2's bound falls with it.
    layers : {"first", "both"}
        What is trained. With ``"both"`` the bound on updates is the relaxed one, of runs in which no output weight
        changes its sign, and there is no bound from the margin alone on the error.
    scale : {"range", "norm", "standard", "none"}
        How inputs come into the unit ball, see :func:`learnability.problems.separable.into_unit_ball`; the sample
        that is fitted first sets it.
    bias : bool
        Whether the constant coordinate of the paper's footnote 4 is appended, for hyperplanes with an offset.
    max_iter : int
        Most epochs of a fit, >= 1; it ends before if no example has a gradient left.
    guarantee : bool
        Whether the margin and all that rests on it are computed: a quadratic problem, which may take longer than SGD.
    delta : float
        Of ``generalization_bound_``, in (0, 1).
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        Of the start and the order of examples. With an integer and two classes the run is that of ``learnability
        certify`` with this seed and width and no test sample.
    warm_start : bool
        Whether a further fit goes on from the networks of the last, with the scale of the first.

    Attributes
    ----------
    classes_ : array
    machines_ : tuple of LeakyReluMachine
        One for two classes, else one for each against the rest.
    n_iter_, n_updates_ : int
        Epochs of the longest machine, and updates of all, since the start.
    converged_ : bool
        Whether no machine has a gradient left.
    margin_ : float or None
        The certified hard margin of the scaled examples, the least over the machines; 0 if a hyperplane does not
        separate them. None without ``guarantee``.
    certificate_ : learnability.certification.Certificate or None
        If they are not separable: a few examples whose weighted sum of y x vanishes, of the first machine for which
        there is one.
    update_bound_ : float or None
        Theorem 2: no run from such a start makes more updates, in whatever order (for c > 2 classes the sum over c
        machines). None where it promises nothing: not separable, slope 0, a warm start.
    generalization_bound_ : float or None
        With probability 1 - delta over independent examples and the start, the error is at most this: the least of
        Theorem 5's bound, its sharper form and Theorem 6's, which hold jointly (the sum over c machines at delta / c
        each). The examples that set the scale count as used. None where nothing below 1 is promised.
    guarantees_ : list of learnability.theory.Guarantee
        All of these statements, with hypotheses and what was measured.
    scaling_ : learnability.problems.separable.Scaling or None
    n_features_in_ : int

    Notes
    -----
    Any finite inputs will do, as ``scale`` brings them into the ball. Where no hyperplane separates them SGD never
    ends: it stops after ``max_iter`` epochs with a ConvergenceWarning, the network of that moment is what is left,
    and of the bounds only Theorem 5's applies, if less than half of the examples were used.

    An SGD estimator takes no ``sample_weight``: a weight is no repetition of visits.

    Examples
    --------
    >>> import numpy as np
    >>> from learnability.problems.separable import random_separable
    >>> rng = np.random.default_rng(0)
    >>> ball = random_separable(rng, 10, 0.2)
    >>> learner = LeakyReluClassifier(random_state=0).fit(*ball.sample(rng, 5000))
    >>> learner.n_updates_ <= learner.update_bound_
    True
    >>> 1 - learner.score(*ball.sample(rng, 5000)) <= learner.generalization_bound_ < 0.5
    True
    """

    _lasting = ("width", "bias")

    def __init__(
        self,
        width: int = 100,
        *,
        slope: float = 0.5,
        step: float = 1.0,
        layers: str = "first",
        scale: str = "range",
        bias: bool = True,
        max_iter: int = 1000,
        guarantee: bool = True,
        delta: float = 0.05,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        warm_start: bool = False,
    ) -> None:
        self.width = width
        self.slope = slope
        self.step = step
        self.layers = layers
        self.scale = scale
        self.bias = bias
        self.max_iter = max_iter
        self.guarantee = guarantee
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
        self._judged = self.guarantee
        self._fit(X, y)
        if not self.converged_:
            told = (
                "" if self.certificate_ is None else ": no hyperplane separates the examples (certificate_ shows it)"
            )
            unfinished(type(self).__name__, self._epochs, f"some examples still have a loss{told}")
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """One epoch over these examples, from where the last call ended; nothing is said of margins and bounds.

        Parameters
        ----------
        X, y : array (m, n), (m,)
        classes : array, optional
            All labels; needed in the first call, whose inputs also set the scale.
        """
        self._check()
        self._epochs, self._judged = 1, False
        return self._partial_fit(X, y, classes)

    def _check(self) -> None:
        checks.integer("width", self.width, at_least=2, at_most=WIDEST)
        if self.width % 2:
            raise RequestError(f"width must be even (k hidden units of each sign), got {self.width}")
        checks.real("slope", self.slope, at_least=0, below=1)
        checks.real("step", self.step, above=0, at_most=1e6)
        checks.choice("layers", self.layers, LAYERS)
        checks.choice("scale", self.scale, SCALES)
        checks.real("delta", self.delta, above=0, below=1)

    def _inputs(self, X: FloatArray, *, first: bool) -> FloatArray:
        if first:
            self.scaling_: Scaling | None = None
            self._setters = np.arange(0)
            if self.scale != "none":
                V, self.scaling_ = into_unit_ball(X, self.scale)
                self._setters = setting(X, np.arange(len(X)), self.scaling_.farthest, self.scale)
                return with_bias(V) if self.bias else V
        V = X if self.scaling_ is None else self.scaling_(X)
        return with_bias(V) if self.bias else V

    def _machine(
        self, X: FloatArray, y: FloatArray, index: int, count: int, before: LeakyReluMachine | None
    ) -> LeakyReluMachine:
        which = (index,) if index else ()
        if before is None:
            start = initial(
                generator(self._seed, "certify", "start", self.width, *which), X.shape[1], self.width // 2
            )
            rng, updates, epochs = generator(self._seed, "certify", "order", *which), 0, 0
        else:
            start, rng, updates, epochs = before.network, before.rng, before.updates, before.epochs
        run = train(
            start,
            X,
            y,
            eta=self.step,
            alpha=self.slope,
            rng=rng,
            epochs=self._epochs,
            layers=self.layers,
            record=(self._epochs,) if self.layers == "both" and self._judged else (),
        )
        margin: HardMargin | None = None
        guarantees: tuple[Guarantee, ...] = ()
        converged = run.outcome is Outcome.CONVERGED
        if self._judged:
            margin = hard_margin(X, y)
        if margin is not None and before is None:
            wrong = ~(y * forward(run.params, X, alpha=self.slope) > 0)
            found = Run(
                start, run.updates, converged, run.used > 0, wrong, run.ratios if self.layers == "both" else None
            )
            guarantees = statements(
                X, margin, found, self._setters, eta=self.step, alpha=self.slope, delta=self.delta / count
            )
        return LeakyReluMachine(
            run.params, updates + run.updates, epochs + run.epochs, converged, rng, margin, guarantees
        )

    def _decide(self, machine: LeakyReluMachine, X: FloatArray) -> FloatArray:
        return forward(machine.network, X, alpha=self.slope)

    def _summarise(self, X: FloatArray, V: FloatArray, y: NDArray[Any], *, cold: bool) -> None:
        machines: tuple[LeakyReluMachine, ...] = self.machines_
        self.n_iter_ = max(machine.epochs for machine in machines)
        self.n_updates_ = sum(machine.updates for machine in machines)
        self.converged_ = all(machine.converged for machine in machines)
        self.guarantees_ = [guarantee for machine in machines for guarantee in machine.guarantees]
        margins = [machine.margin for machine in machines if machine.margin is not None]
        self.margin_: float | None = min((margin.margin for margin in margins), default=None)
        contradicted = next((margin for margin in margins if not margin.separable), None)
        self.certificate_: Certificate | None = None
        if contradicted is not None:
            labels = y[np.flatnonzero(contradicted.multipliers)].tolist()
            self.certificate_ = certificate_of(contradicted, X, V, labels, np.arange(1, len(X) + 1))
        self.update_bound_ = _together(
            machine.guarantees[0].bound if machine.guarantees else None for machine in machines
        )
        errors = _together(error_bound(machine.guarantees[1:]) for machine in machines)
        self.generalization_bound_ = errors if errors is not None and errors < 1 else None


def _together(bounds: Any) -> float | None:
    """The sum of the machines' bounds, if each has one."""
    found = list(bounds)
    return None if None in found else float(sum(found))
