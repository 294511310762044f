r"""Exact online SGD on two-layer leaky-ReLU networks of any width: the engine of the separable study.

Brutzkus, Globerson, Malach & Shalev-Shwartz (ICLR 2018), Section 2: batches of one, hinge loss with margin 1,
constant step, first layer or both. :func:`learnability.training.reference.two_layer_epoch` says what is computed, and
:mod:`learnability.training.two_layer.loops` how: ``sparse``, over the non-zero entries of the inputs, or ``dense``.
Both look some visits ahead and skip those that provably change nothing, which changes no trajectory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.errors import RequestError
from learnability.networks.separable import TwoLayer, slope
from learnability.training import drive
from learnability.training.orders import ORDERS
from learnability.training.record import Measure, Measurement, Run, record_epochs
from learnability.training.sample import Sample
from learnability.training.state import State, digests
from learnability.training.two_layer.engine import FORMS, Engine, Test

__all__ = ["COLUMNS", "FORMS", "TwoLayerRun", "train"]

COLUMNS = ("epoch", "updates", "train_error", "test_error", "train_loss", "norm", "ratio_min", "ratio_max")


@dataclass(frozen=True, repr=False)
class TwoLayerRun(Run):
    """Record of one run.

    Parameters
    ----------
    columns : dict of str to (r,) arrays
        One entry per recorded epoch: ``epoch`` (0 is the start; m visits each), ``updates`` (so far), ``train_error``
        and ``test_error`` (0-1, output 0 counts as an error; NaN without a test sample), ``train_loss`` (mean of
        max(1 - y N(x), 0) over the sample), ``norm`` (Frobenius, of W), ``ratio_min`` and ``ratio_max`` (smallest and
        largest v_t / v_0 over units and all steps so far: the paper's c and C; both 1 while v is fixed).
    outcome : Outcome
        ``converged``: at a critical point, where no example's gradient differs from zero. With the leaky ReLU this
        is a global minimum, loss 0 (Proposition 1); with the ReLU the loss may be positive.
    epochs : int
        Epochs run, the last one (without updates) included where it converged.
    updates : int
        Non-zero updates.
    params : TwoLayer
        The final network, float64 whatever the run computed in.
    used : (m,) int64 array
        Updates that each example caused.
    skipped : float
        Share of visits that were known to change nothing and not made.
    forms : dict of str to int
        Epochs run in each form.
    unresolved : int
        Visits that found a loss and some pre-activation at 0 to within rounding: there the reference may take the
        other slope. Wide inputs do not come near in float64; in float32 it is common. Not counted where a unit starts
        at w = 0, since such runs do not look ahead and meet 0 as the reference does. Where both layers are trained,
        rounding may also be driven apart by itself: where both weights of a unit pass near 0, or explode.
    """

    used: NDArray[np.int64]
    skipped: float
    forms: dict[str, int]
    unresolved: int

    @property
    def examples_used(self) -> int:
        """Number of distinct examples that caused an update: the size of the compression set of Theorem 5."""
        return int(np.count_nonzero(self.used))

    @property
    def ratios(self) -> tuple[float, float]:
        """The paper's c and C (Section 9.1.2, Equation 8): bounds of v_t / v_0 over all units and steps."""
        return self.final("ratio_min"), self.final("ratio_max")


def train(
    params: TwoLayer,
    X: ArrayLike,
    y: ArrayLike,
    *,
    eta: float,
    alpha: float,
    rng: np.random.Generator,
    epochs: int,
    layers: str = "first",
    order: str = "shuffle",
    test: tuple[ArrayLike, ArrayLike] | None = None,
    record: Sequence[int] | NDArray[np.int64] | None = None,
    dtype: str = "float64",
    form: str = "auto",
    measure: Measurement | None = None,
    resume: State | None = None,
) -> TwoLayerRun:
    r"""Batch-one SGD on max(1 - y N(x), 0), until nothing can change any more or the budget is spent.

    A visit with :math:`y N(x) < 1` and a gradient other than zero is an update; see
    :func:`~learnability.training.reference.two_layer_epoch` for the rule and the slopes at 0.

    Parameters
    ----------
    params : TwoLayer
        Start: W (2k, d), v (2k,) with no zero entry. Not modified.
    X : (m, d) array
        Sample; the theorems ask for rows in the unit ball, the engine does not.
    y : (m,) array of -1, +1
        Labels.
    eta : float
        Step, > 0.
    alpha : float
        Slope of the leaky ReLU for negative numbers, in [0, 1); 0 is the ReLU.
    rng : numpy.random.Generator
        Draws the order of examples and nothing else.
    epochs : int
        Budget, >= 0; an epoch is m visits.
    layers : {"first", "both"}
        What is trained. Both layers move simultaneously, each by the other's old weights.
    order : {"shuffle", "iid", "cyclic"}
        Permuted anew for each epoch; drawn with replacement, as the paper states; or as given.
    test : (X_test, y_test), optional
        Independent sample for ``test_error``.
    record : sequence of int, optional
        Epochs to record at, and the last. By default about 60, evenly spaced in the logarithm, without those that
        would make recording take more than a twentieth of the run's work: a row is a pass over the sample, so a run
        of a few epochs has the last alone. Empty: no rows at all.
    dtype : {"float64", "float32"}
        Arithmetic of the weights. float32 is faster and makes other decisions once in a while.
    form : {"auto", "sparse", "dense"}
        How to compute; ``auto`` estimates which is faster from counted work, anew for each stretch of epochs.
    measure : callable (network, epoch) -> mapping of str to bool, int, float or str, optional
        Quantities of your own at the recorded epochs, which become columns. A further parameter ``updates`` is filled
        by name. See :class:`learnability.training.record.Measure`.
    resume : State, optional
        Of an earlier run of the same call: do the rest. ``epochs`` and ``record`` count from the very start; ``rng``
        is put where the earlier run left it. Recorded are the epochs that come after the state's, or if there are
        none its own.

    Returns
    -------
    TwoLayerRun

    Raises
    ------
    ValueError
        For arguments outside what is said above, naming the argument; before any work starts.
    """
    if not isinstance(params, TwoLayer):
        raise RequestError(f"params must be a TwoLayer, got {type(params).__name__}")
    W = checks.matrix("params.W", params.W)
    v = checks.vector("params.v", params.v, length=len(W))
    if not v.all():
        raise RequestError(f"params.v must have no zero entry, got 0 at index {int(np.flatnonzero(v == 0)[0])}")
    eta = checks.real("eta", eta, above=0.0, at_most=1e30)
    alpha = slope(alpha)
    rng = checks.generator("rng", rng)
    epochs = checks.integer("epochs", epochs, at_least=0)
    layers = checks.choice("layers", layers, ("first", "both"))
    order = checks.choice("order", order, ORDERS)
    dtype = checks.choice("dtype", dtype, ("float64", "float32"))
    form = checks.choice("form", form, FORMS)
    sample = Sample("X", X, np.dtype(dtype), W.shape[1])
    y = checks.labels("y", y, length=len(sample))
    recorded = None if record is None else record_epochs(record, epochs)
    held: Test = None
    if test is not None:
        if not isinstance(test, tuple | list) or len(test) != 2:
            raise RequestError(f"test must be a pair (X_test, y_test), got {type(test).__name__}")
        X_test = checks.matrix("test[0]", test[0], columns=W.shape[1])
        held = X_test.astype(dtype, copy=False), checks.labels("test[1]", test[1], length=len(X_test))
    engine = Engine(TwoLayer(W, v), sample, y, eta, alpha, layers == "both", order, form)
    problem = digests(
        params=TwoLayer(W, v), X=sample.fingerprint, y=y, eta=eta, alpha=alpha, layers=layers, order=order,
        dtype=dtype,
    )  # fmt: skip
    wanted = Measure(measure, COLUMNS, ("updates",))
    plan: drive.Plan[Test] = drive.Plan(
        "two_layer", form, problem, order, rng, epochs, recorded, held, wanted, COLUMNS, resume
    )  # fmt: skip
    done = drive.drive(plan, engine, len(y))
    return TwoLayerRun(
        *done[:4], engine.params(), done.state, engine.net.used, engine.skipped(done.epochs), engine.forms(),
        engine.kinks(),
    )  # fmt: skip
