"""Exact online SGD on one-hidden-layer networks, fast: the engine that the symmetry study runs on.

Four forms of one algorithm (:mod:`learnability.training.reference` says which). All are exact, none approximates:

``frozen``
    Last layer only. Distinct embedded points, their Gram matrix, outputs in units of the step; from a symmetry
    initialisation every number is an exact multiple of 1/16, so ties fall as in exact arithmetic. Elsewhere a bound
    of the rounding is kept, and a decision within it is made in whole numbers (:class:`Exact
    <learnability.training.online.exact.Exact>`); of a sigmoid layer, on its float64 outputs.
``deviation``
    Both ReLU layers from a start with M = 0, b = 0: outputs in units of the step, movements stored apart from the
    start (:mod:`learnability.training.online.deviation`); an exact tie is decided by the next order in the step. A
    visit whose outcome the exact part already decides costs one comparison.
``direct``
    Plain float64, one forward pass a visit; for large samples. From a random start float64 loses nothing that
    matters; from a symmetry start with tiny steps it loses the first layer's movement, so use ``deviation`` there.
``cached``
    Plain float64 from cached pre-activations and the inputs' Gram matrix; for small samples with few updates.

``form="auto"`` takes ``frozen`` for the last layer and ``deviation`` where they apply (up to 2,900 inputs that the
start can tell apart: n + 1 for binary inputs and a symmetric start), and otherwise ``direct`` or
``cached``, chosen anew for every stretch of epochs from the share of visits that updated in the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Rational

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.errors import RequestError
from learnability.networks.one_hidden import OneHidden
from learnability.training.drive import Plan, drive, one_blas_thread
from learnability.training.online.deviation import Deviation, Points
from learnability.training.online.forms import FORMS, choose
from learnability.training.online.problem import Problem, Test
from learnability.training.online.trajectory import COLUMNS, Trajectory
from learnability.training.record import Measure, Measurement, record_epochs
from learnability.training.state import State, digests

__all__ = ["FORMS", "train"]


def train(
    params: OneHidden | Deviation,
    X: ArrayLike,
    y: ArrayLike,
    *,
    h: float | Rational,
    beta: float | Rational,
    rng: np.random.Generator,
    epochs: int,
    layers: str = "both",
    batch: int = 1,
    activation: str = "relu",
    test: tuple[ArrayLike, ArrayLike] | None = None,
    record: Sequence[int] | NDArray[np.int64] | None = None,
    form: str = "auto",
    measure: Measurement | None = None,
    resume: State | None = None,
) -> Trajectory:
    r"""Hinge-loss SGD, examples reshuffled before each epoch, until an epoch makes no update.

    An example triggers an update if :math:`y f(x) \le \beta` (Nachum & Yehudayoff, equations 2-5 and Algorithm 1;
    the comparison is not strict, so beta = 0 is the perceptron rule and a tie counts as a mistake). Both layers
    move simultaneously, each by the other's old weights.

    Parameters
    ----------
    params : OneHidden or Deviation
        Start: W (L, n), B (L,), M (L,), b. Not modified. From a Deviation, of an earlier run with the same step and
        batch, training goes on with these examples as if they had come in that run: exactly so where inputs are
        binary and the start is symmetric.
    X : (m, n) array
        Sample.
    y : (m,) array of -1, +1
        Labels.
    h : float or rational, > 0
        Step size, between 1e-150 and 1e150. Where ties are possible pass exact numbers,
        for instance ``Fraction(1, n**6)`` and ``n**3 * Fraction(1, n**6)``: only beta / h enters the decisions, and
        as floats it would be rounded twice.
    beta : float or rational, >= 0
        Confidence of the hinge loss max(0, beta - y f(x)).
    rng : numpy.random.Generator
        Draws the order of examples and nothing else.
    epochs : int
        Budget, >= 0.
    layers : {"both", "output"}
        What is trained.
    batch : int
        Mini-batch size, >= 1: a mini-batch moves by h times the mean of its examples' steps (the last batch of an
        epoch is divided by ``batch`` too). The exact forms stay exact.
    activation : {"relu", "sigmoid"}
        ReLU, or the logistic function of 5 z.
    test : (X_test, y_test), optional
        Independent sample for ``test_error``.
    record : sequence of int, optional
        Epochs to record at, and the last; by default about 60, evenly spaced in the logarithm. Empty: no rows at all.
    form : {"auto", "frozen", "deviation", "direct", "cached"}
        See the module's first lines.
    measure : callable (network, epoch) -> mapping of str to bool, int, float or str, optional
        Quantities of your own at the recorded epochs, which become columns. Further parameters ``updates`` and
        ``deviation`` (a :class:`~learnability.training.online.deviation.Deviation`, or None where the run keeps none)
        are filled by name. See :class:`learnability.training.record.Measure`.
    resume : State, optional
        Of an earlier run of the same call: do the rest. ``epochs`` and ``record`` count from the very start; ``rng``
        is put where the earlier run left it. Recorded are the epochs that come after the state's, or if there are
        none its own.

    Returns
    -------
    Trajectory

    Raises
    ------
    ValueError
        For arguments outside what is said above, naming the argument; before any work starts.
    """
    before = params if isinstance(params, Deviation) else None
    params = _check_params(params.start if isinstance(params, Deviation) else params)
    n = params.W.shape[1]
    X = checks.matrix("X", X, columns=n)
    m = len(X)
    y = checks.labels("y", y, length=m)
    step, confidence = checks.step_and_confidence(h, beta)
    if not isinstance(rng, np.random.Generator):
        raise RequestError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}")
    epochs = checks.integer("epochs", epochs, at_least=0)
    layers = checks.choice("layers", layers, ("both", "output"))
    batch = checks.integer("batch", batch, at_least=1)
    activation = checks.choice("activation", activation, ("relu", "sigmoid"))
    form = checks.choice("form", form, FORMS)
    recorded = None if record is None else record_epochs(record, epochs)
    sample_test: Test = None
    if test is not None:
        if not isinstance(test, tuple | list) or len(test) != 2:
            raise RequestError(f"test must be a pair (X_test, y_test), got {type(test).__name__}")
        X_test = checks.matrix("test[0]", test[0], columns=n)
        sample_test = Points(X_test), checks.labels("test[1]", test[1], length=len(X_test))

    if before is not None:
        _check_deviation(before, float(step / batch), layers, activation)
    problem = Problem(params, X, y, step, confidence, min(batch, m), batch, layers, activation, before)
    # The matrix products here are small: on several threads they would wait for each other most of the time.
    with one_blas_thread():
        engine = choose(problem, form)
        plan: Plan[Test] = Plan(
            "online",
            form,
            digests(
                params=params if before is None else before,
                X=X,
                y=y,
                h=step,
                beta=confidence,
                layers=layers,
                batch=batch,
                activation=activation,
            ),
            "shuffle",
            rng,
            epochs,
            recorded,
            sample_test,
            Measure(measure, COLUMNS, ("updates", "deviation")),
            COLUMNS,
            resume,
        )
        done = drive(plan, engine, m)
        network, deviation = engine.final()
        return Trajectory(*done[:4], network, done.state, deviation, *engine.ties)


def _check_deviation(before: Deviation, unit: float, layers: str, activation: str) -> None:
    if before.unit != unit:
        raise RequestError(f"params must be a Deviation in units of h / batch = {unit:g}, got one in {before.unit:g}")
    if activation != "relu" or before.start.b != 0 or before.start.M.any():
        raise RequestError("params must be a Deviation of a ReLU network that started with M = 0 and b = 0")
    if layers == "output" and (before.Omega.any() or before.omega.any()):
        raise RequestError("layers must be 'both' for a Deviation whose first layer has moved, got 'output'")


def _check_params(params: OneHidden) -> OneHidden:
    if not isinstance(params, OneHidden):
        raise RequestError(f"params must be a OneHidden or a Deviation, got {type(params).__name__}")
    W = checks.matrix("params.W", params.W)
    B = checks.vector("params.B", params.B, length=len(W))
    M = checks.vector("params.M", params.M, length=len(W))
    return OneHidden(W, B, M, checks.real("params.b", params.b))
