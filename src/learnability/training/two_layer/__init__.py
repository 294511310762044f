r"""Exact online SGD on two-layer leaky-ReLU networks of any width: the engine of the separable study.

Brutzkus, Globerson, Malach & Shalev-Shwartz (ICLR 2018), Section 2: batches of one, hinge loss with margin 1,
constant step, first layer or both. :func:`learnability.training.reference.two_layer_epoch` says what is computed, and
:mod:`learnability.training.two_layer.loops` how the two forms compute it: ``direct`` for narrow networks and inputs
with many zeros, ``blocked``, by matrix products, for the others. Both skip visits that provably change nothing, which
changes no trajectory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.networks.separable import TwoLayer, leaky, slope
from learnability.training.drive import one_blas_thread
from learnability.training.orders import ORDERS, visits
from learnability.training.record import Outcome, Run, record_epochs
from learnability.training.two_layer import loops as kernels
from learnability.training.vector.rows import LANES

__all__ = ["COLUMNS", "FORMS", "TwoLayerRun", "train"]

FORMS = ("auto", "direct", "blocked")
COLUMNS = ("epoch", "updates", "train_error", "test_error", "train_loss", "norm", "ratio_min", "ratio_max")
_ORDER_ENTRIES = 1_000_000  # visits whose order is drawn at a time
_GRAM_BYTES = 2**27
_FEW = 0.15  # updates per visit, below which it pays to evaluate at the reference
_STRETCH = 64  # epochs
_BLOCK_BYTES = 2**26
_OUTCOMES = {
    kernels.BUDGET: Outcome.BUDGET_REACHED,
    kernels.CONVERGED: Outcome.CONVERGED,
    kernels.DIVERGED: Outcome.DIVERGED,
}
Array = NDArray[Any]
Test = tuple[Array, Array] | None


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
        Share of visits that were known to change nothing without being evaluated.
    forms : dict of str to int
        Epochs run in each form.
    unresolved : int
        Visits of the blocked form that found a loss and some pre-activation at 0 to within rounding: there the
        reference may take the other slope. Wide inputs do not come near in float64; in float32 it is common. Not
        counted by the direct form, which sums as the reference does.
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
        Epochs to record at; by default about 60, evenly spaced in the logarithm. The last is always recorded.
    dtype : {"float64", "float32"}
        Arithmetic of the weights. float32 is faster and makes other decisions once in a while.
    form : {"auto", "direct", "blocked"}
        How to compute; ``auto`` estimates which is faster, anew for each stretch of epochs.

    Returns
    -------
    TwoLayerRun

    Raises
    ------
    ValueError
        For arguments outside what is said above, naming the argument; before any work starts.
    """
    if not isinstance(params, TwoLayer):
        raise ValueError(f"params must be a TwoLayer, got {type(params).__name__}")
    W = checks.matrix("params.W", params.W)
    v = checks.vector("params.v", params.v, length=len(W))
    if not v.all():
        raise ValueError(f"params.v must have no zero entry, got 0 at index {int(np.flatnonzero(v == 0)[0])}")
    X = checks.matrix("X", X, columns=W.shape[1])
    y = checks.labels("y", y, length=len(X))
    eta = checks.real("eta", eta, above=0.0, at_most=1e30)
    alpha = slope(alpha)
    rng = checks.generator("rng", rng)
    epochs = checks.integer("epochs", epochs, at_least=0)
    layers = checks.choice("layers", layers, ("first", "both"))
    order = checks.choice("order", order, ORDERS)
    dtype = checks.choice("dtype", dtype, ("float64", "float32"))
    form = checks.choice("form", form, FORMS)
    stops = record_epochs(record, epochs)
    held: Test = None
    if test is not None:
        if not isinstance(test, tuple | list) or len(test) != 2:
            raise ValueError(f"test must be a pair (X_test, y_test), got {type(test).__name__}")
        X_test = checks.matrix("test[0]", test[0], columns=W.shape[1])
        held = X_test.astype(dtype), checks.labels("test[1]", test[1], length=len(X_test))
    with one_blas_thread():
        engine = _Engine(TwoLayer(W, v), X, y, eta, alpha, layers == "both", order, np.dtype(dtype), form)
        return _run(engine, held, stops, rng)


def _run(engine: _Engine, test: Test, stops: NDArray[np.int64], rng: np.random.Generator) -> TwoLayerRun:
    m = len(engine.y)
    rows: list[dict[str, float]] = []
    epoch = 0
    status = kernels.BUDGET
    for stop in stops:
        while epoch < stop and status == kernels.BUDGET:
            # growing stretches: the form is chosen anew at the start of each
            stretch = min(int(stop) - epoch, max(1, _ORDER_ENTRIES // m), min(max(1, epoch), _STRETCH))
            order = visits(rng, m, stretch, engine.order)
            while len(order) and status == kernels.BUDGET:
                ran, status = engine.run(order)
                epoch += ran
                order = order[ran:]
                if status == kernels.CONVERGED and engine.order == "iid" and not engine.critical():
                    status = kernels.BUDGET  # an epoch without updates need not have seen every example
        if status == kernels.DIVERGED:
            break
        rows.append({"epoch": epoch, "updates": engine.updates, **engine.measure(test)})
        if not np.isfinite(rows[-1]["train_loss"] + rows[-1]["norm"]):
            rows.pop()
            status = kernels.DIVERGED
            break
        if status == kernels.CONVERGED:
            break
    columns: dict[str, NDArray[Any]] = {
        name: np.array([row[name] for row in rows], dtype=np.int64 if name in COLUMNS[:2] else np.float64)
        for name in COLUMNS
    }
    skipped = 1 - engine.evaluated / (epoch * m) if epoch else 0.0
    return TwoLayerRun(
        columns,
        _OUTCOMES[status],
        epoch,
        engine.updates,
        engine.params(),
        None,
        engine.used,
        skipped,
        dict(engine.forms),
        int(engine.way[kernels.KINKS]),
    )


class _Engine:
    """A network in training."""

    def __init__(
        self,
        params: TwoLayer,
        X: Array,
        y: Array,
        eta: float,
        alpha: float,
        both: bool,
        order: str,
        dtype: np.dtype[Any],
        form: str,
    ) -> None:
        self.X, self.y, self.both, self.order, self.form = X.astype(dtype), y.astype(dtype), both, order, form
        self.eta, self.alpha = dtype.type(eta), dtype.type(alpha)
        units, d = params.W.shape
        self.units = units
        width = -(-units // LANES) * LANES
        self.WT, self.v = np.zeros((d, width), dtype), np.zeros(width, dtype)
        self.WT[:, :units], self.v[:units] = params.W.T, params.v
        self.v_start = params.v
        self.v_low, self.v_high = self.v.copy(), self.v.copy()
        self.guard = 4 * float(np.finfo(dtype).eps) * float(np.sqrt(d + width))  # relative error of sums
        norms = np.linalg.norm(X, axis=1)
        self.known = np.zeros((len(y), 6))
        self.known[:, kernels.LOW] = -np.inf
        self.known[:, kernels.NORM] = norms * (1 + self.guard)
        self.way = np.zeros(10)
        self.way[kernels.SIZE] = np.linalg.norm(params.v) * (1 + self.guard)
        self.way[kernels.WEIGHT] = np.linalg.norm(params.W) * (1 + self.guard)
        self.v_reference = self.v.copy()
        self.entries = np.count_nonzero(X) / len(y)
        self.at_kinks = not params.W.any(axis=1).all()  # units that start at 0 are at their kink for every input
        self.rows: tuple[Array, Array, Array] | None = None
        self.gram = np.zeros((1, 1), dtype)
        self.near = False
        self.used = np.zeros(len(y), np.int64)
        self.updates = self.evaluated = 0
        # shares of the last stretch's visits that were evaluated and that updated, and whether it ran in blocks
        self.recent = 1.0, 0.5, False
        self.forms = {"direct": 0, "blocked": 0}

    def run(self, order: NDArray[np.int32]) -> tuple[int, int]:
        """Run epochs in the given order: epochs run and the kernel's status."""
        blocked = self.form == "blocked" or (self.form == "auto" and not self.at_kinks and self._blocked_is_faster())
        weights = (self.WT, self.v, self.v_low, self.v_high)
        rest = (self.v_reference, self.y, order, self.eta, self.alpha, self.both, self.known, self.way, self.guard)
        kernels.new_reference(self.v, self.v_reference, self.way)
        self.way[kernels.WEIGHT] = np.linalg.norm(self.WT) * (1 + self.guard)
        if blocked:
            self._prepare()
            ran, made, seen, _, status = kernels.blocked(
                *weights, self.units, self.X, self.gram, self.near, *rest, self.used, *self._block()
            )
        else:
            sparing = self.recent[1] < _FEW
            ran, made, seen, status = kernels.direct(
                *weights, *self._sparse(), self.WT.copy(), *rest, self.used, 256 if sparing else 64, sparing
            )
        visited = max(ran, 1) * len(self.y)
        self.recent = seen / visited, made / visited, blocked
        self.updates += made
        self.evaluated += seen
        self.forms["blocked" if blocked else "direct"] += ran
        return ran, status

    def _prepare(self) -> None:
        """The Gram matrix of all examples, where it fits."""
        if not self.near and self._gram_fits():
            self.gram = self.X @ self.X.T
            self.near = True

    def _blocked_is_faster(self) -> bool:
        """Whether the blocked form should take less time a visit, by what the last stretch did.

        Nanoseconds of one core of 2023 (9 multiplications a nanosecond along rows, 20 in matrix products); only their
        ratio matters. The blocked form evaluates about half as often, since it can evaluate at the reference.
        """
        d, L = self.WT.shape
        evaluated, updated, was_blocked = self.recent
        by_rows = min(1.0, 2 * evaluated) if was_blocked else evaluated
        by_blocks = evaluated if was_blocked else max(updated, evaluated / 2)
        rows = self.entries * L / 9 * (by_rows * (1.5 if updated < _FEW else 1.0) + 3 * updated)
        product = d * L / 20
        gram = 0 if self.near or self._gram_fits() else self._block()[1] * d / 20
        blocks = 2 * by_blocks * (product + gram + 3000 + 4 * L) + 1.5 * updated * (product + 1000 + 20 * L)
        return bool(blocks < rows)

    def _gram_fits(self) -> bool:
        return len(self.X) ** 2 * self.X.itemsize <= _GRAM_BYTES

    def _block(self) -> tuple[int, int, int]:
        """Waiting updates and rows of a block, and how many examples join it at a time."""
        width, itemsize = len(self.v), self.X.itemsize
        rows = max(32, min(1024 if self.near else width // 2, _BLOCK_BYTES // (width * itemsize)))
        evaluated, updated, _ = self.recent
        return 256, rows, 32 if updated > 0.3 * evaluated else 64

    def _sparse(self) -> tuple[Array, Array, Array]:
        """Non-zero entries of each input: indptr, columns, values."""
        if self.rows is None:
            self.rows = kernels.nonzero_rows(self.X)
        return self.rows

    def critical(self) -> bool:
        """Whether no example has a gradient other than zero."""
        W, v = self.params()
        for low in range(0, len(self.X), 1024):
            z = self.X[low : low + 1024] @ W.T
            outputs = leaky(z, float(self.alpha)) @ v
            violated = ~(self.y[low : low + 1024] * outputs >= 1)
            if self.alpha == 0:
                violated &= (z > 0).any(axis=1)
            violated &= self.X[low : low + 1024].any(axis=1)
            if violated.any():
                return False
        return True

    def measure(self, test: Test) -> dict[str, float]:
        """The recorded columns but for epoch and updates."""
        below = np.flatnonzero(~self._certain())  # all others have no loss and are classified correctly
        margins = self.y[below] * self._outputs(self.X[below])
        m = len(self.y)
        error = float("nan") if test is None else float(np.mean(test[1] * self._outputs(test[0]) <= 0))
        live = slice(0, self.units)
        first, last = self.v_low[live] / self.v_start, self.v_high[live] / self.v_start
        return {
            "train_error": float(np.count_nonzero(~(margins > 0))) / m,
            "test_error": error,
            "train_loss": float(np.maximum(1 - margins, 0).sum(dtype=np.float64)) / m,
            "norm": float(np.linalg.norm(self.WT)),
            "ratio_min": float(np.minimum(first, last).min()),
            "ratio_max": float(np.maximum(first, last).max()),
        }

    def _certain(self) -> NDArray[np.bool_]:
        """Which examples are known to have a margin above 1."""
        return np.array([kernels.safe(row, self.way, self.both) for row in self.known], dtype=bool)

    def _outputs(self, X: Array) -> Array:
        """Outputs, a cache-sized block of inputs at a time."""
        size = max(1, 2**17 // len(self.v))
        blocks = [leaky(X[low : low + size] @ self.WT, self.alpha) @ self.v for low in range(0, len(X), size)]
        return np.concatenate(blocks) if blocks else np.zeros(0)

    def params(self) -> TwoLayer:
        """The network now, in float64."""
        live = slice(0, self.units)
        return TwoLayer(self.WT[:, live].T.astype(np.float64), self.v[live].astype(np.float64))
