r"""Exact online SGD on two-layer leaky-ReLU networks of any width: the engine of the separable study.

Brutzkus, Globerson, Malach & Shalev-Shwartz (ICLR 2018), Section 2: batches of one, hinge loss with margin 1,
constant step, first layer or both. :func:`learnability.training.reference.two_layer_epoch` says what is computed, and
:mod:`learnability.training.two_layer.loops` how the two forms compute it: ``direct`` for narrow networks and inputs
with many zeros, ``blocked``, by matrix products, for the others. Both skip visits that provably change nothing, which
changes no trajectory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.networks.separable import TwoLayer, leaky, slope
from learnability.training import drive
from learnability.training.orders import ORDERS
from learnability.training.record import Measure, Measurement, Run, record_epochs
from learnability.training.state import State, digests
from learnability.training.two_layer import loops as kernels
from learnability.training.vector.rows import LANES

__all__ = ["COLUMNS", "FORMS", "TwoLayerRun", "train"]

FORMS = ("auto", "direct", "blocked")
COLUMNS = ("epoch", "updates", "train_error", "test_error", "train_loss", "norm", "ratio_min", "ratio_max")
_GRAM_BYTES = 2**27
_FEW = 0.15  # updates per visit, below which it pays to evaluate at the reference
_STRETCH = 64  # epochs
_BLOCK_BYTES = 2**26
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
        Epochs to record at; by default about 60, evenly spaced in the logarithm. The last is always recorded.
    dtype : {"float64", "float32"}
        Arithmetic of the weights. float32 is faster and makes other decisions once in a while.
    form : {"auto", "direct", "blocked"}
        How to compute; ``auto`` estimates which is faster, anew for each stretch of epochs.
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
    with drive.one_blas_thread():
        engine = _Engine(TwoLayer(W, v), X, y, eta, alpha, layers == "both", order, np.dtype(dtype), form)
        problem = digests(
            params=TwoLayer(W, v), X=X, y=y, eta=eta, alpha=alpha, layers=layers, order=order, dtype=dtype
        )
        wanted = Measure(measure, COLUMNS, ("updates",))
        plan: drive.Plan[Test] = drive.Plan(
            "two_layer", form, problem, order, rng, stops, held, wanted, COLUMNS, resume
        )  # fmt: skip
        done = drive.drive(plan, engine, len(y))
        skipped = 1 - int(engine.counts[_EVALUATED]) / (done.epochs * len(y)) if done.epochs else 0.0
        forms = {"direct": int(engine.counts[_DIRECT]), "blocked": int(engine.counts[_BLOCKED])}
        kinks = int(engine.net.way[kernels.KINKS])
        return TwoLayerRun(*done[:4], engine.params(), done.state, engine.net.used, skipped, forms, kinks)


# Entries of ``_Engine.counts``. The present stretch: its end; whether it runs in blocks; updates and rows of a
# block, and visits that join it at a time; whether to look back; epochs, updates and evaluations so far. And of the
# whole run: evaluations, and epochs in each form.
_UNTIL, _IN_BLOCKS, _WAITING, _ROWS, _BATCH, _LOOK_BACK, _RAN, _MADE, _SEEN = range(9)
_EVALUATED, _DIRECT, _BLOCKED = range(9, 12)


class _Engine(drive.Engine[Test]):
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
        self.X, self.order, self.form = X.astype(dtype), order, form
        units, d = params.W.shape
        self.units = units
        width = -(-units // LANES) * LANES
        WT, v = np.zeros((d, width), dtype), np.zeros(width, dtype)
        WT[:, :units], v[:units] = params.W.T, params.v
        self.v_start = params.v
        guard = 4 * float(np.finfo(dtype).eps) * float(np.sqrt(d + width))  # relative error of sums
        norms = np.linalg.norm(X, axis=1)
        known, way = np.zeros((len(y), 6)), np.zeros(10)
        known[:, kernels.LOW] = -np.inf
        known[:, kernels.NORM] = norms * (1 + guard)
        way[kernels.SIZE] = np.linalg.norm(params.v) * (1 + guard)
        way[kernels.WEIGHT] = np.linalg.norm(params.W) * (1 + guard)
        self.net = kernels.Net(WT, v, v.copy(), v.copy(), v.copy(), known, way, np.zeros(len(y), np.int64))
        # products and squares of numbers below this are finite
        large = float(np.finfo(dtype).max) ** 0.2 / max(1.0, float(norms.max()))
        self.rule = kernels.Rule(y.astype(dtype), dtype.type(eta), dtype.type(alpha), both, guard, large)
        self.entries = np.count_nonzero(X) / len(y)
        self.at_kinks = not params.W.any(axis=1).all()  # units that start at 0 are at their kink for every input
        self.rows: tuple[Array, Array, Array] | None = None
        self.gram = np.zeros((1, 1), dtype)
        self.near = False
        self.counts = np.zeros(12, np.int64)
        # shares of the last stretch's visits that were evaluated and that updated, and whether it ran in blocks
        self.recent = np.array([1.0, 0.5, 0.0])
        self.block, self.reference = self._empty_block(), self._empty_reference(0)

    @property
    def until(self) -> int:
        return int(self.counts[_UNTIL])

    @property
    def looks_ahead(self) -> bool:
        return bool(self.counts[_IN_BLOCKS])

    @property
    def doubtful(self) -> bool:
        return not max(self.net.way[kernels.SIZE], self.net.way[kernels.WEIGHT]) < self.rule.large

    def decide(self, epoch: int) -> None:
        """Let the weights be the reference, and choose the form by what the last stretch did."""
        net, counts = self.net, self.counts
        net.WT[...] = self.weights()
        ran = counts[_RAN]
        if ran:
            visited = ran * len(self.X)
            self.recent[:] = counts[_SEEN] / visited, counts[_MADE] / visited, counts[_IN_BLOCKS]
        blocked = self.form == "blocked" or (self.form == "auto" and not self.at_kinks and self._blocked_is_faster())
        counts[:_EVALUATED] = 0
        counts[_UNTIL] = epoch + min(max(1, epoch), _STRETCH)
        counts[_IN_BLOCKS] = blocked
        kernels.new_reference(net.v, net.v_reference, net.way)
        net.way[kernels.WEIGHT] = np.linalg.norm(net.WT) * (1 + self.rule.guard)
        if blocked:
            self._prepare()
            counts[_WAITING], counts[_ROWS], counts[_BATCH] = self._block()
            self.block = self._empty_block()
            self.reference = self._empty_reference(0)
        else:
            counts[_LOOK_BACK] = self.recent[1] < _FEW
            self.block = self._empty_block()
            self.reference = self._empty_reference(len(self.X))
            self.reference.W[...] = net.WT

    def run(self, order: NDArray[np.int32], epochs: int) -> tuple[int, int, int]:
        """Run epochs in the given order: epochs run, updates made, how it ended."""
        counts = self.counts
        if counts[_IN_BLOCKS]:
            ran, made, seen, status = kernels.blocked(
                self.net, self.rule, self.block, self.units, self.X, self.gram, self.near, order, epochs,
                int(counts[_BATCH]),
            )  # fmt: skip
            counts[_BLOCKED] += ran
        else:
            back = bool(counts[_LOOK_BACK])
            ran, made, seen, status = kernels.direct(
                self.net, self.rule, *self._sparse(), self.reference, order, epochs, 256 if back else 64, back
            )
            counts[_DIRECT] += ran
        counts[_RAN] += ran
        counts[_MADE] += made
        counts[_SEEN] += seen
        counts[_EVALUATED] += seen
        return ran, made, status

    def _empty_block(self) -> kernels.Block:
        (d, L), dtype = self.net.WT.shape, self.net.WT.dtype
        waiting, rows = self.counts[_WAITING], self.counts[_ROWS]
        whole, gram = (len(self.X) if rows else 0), (0 if self.near else rows)
        return kernels.Block(
            Z=np.empty((rows, L), dtype), Z_reference=np.empty((rows, L), dtype), C=np.empty((waiting, L), dtype),
            XB=np.empty((rows, d), dtype), K=np.empty((gram, gram), dtype), member=np.empty(rows, np.int64),
            seen=np.empty(rows, np.int64), at=np.empty(waiting, np.int64), slot=np.full(whole, -1, np.int64),
            counts=np.zeros(2, np.int64),
        )  # fmt: skip

    def _empty_reference(self, m: int) -> kernels.Reference:
        d, L = self.net.WT.shape
        weights = np.empty((d if m else 0, L), self.net.WT.dtype)
        return kernels.Reference(weights, np.full(m, -1, np.int64), np.zeros(2, np.int64))

    def weights(self) -> Array:
        """The first layer, transposed, with what waits in the block."""
        rows, waiting = self.block.counts
        if not waiting:
            return self.net.WT
        WT = self.net.WT.copy()
        kernels.fold_back(WT, self.block.XB, self.block.C[:waiting].copy(), self.block.at, rows, waiting)
        return WT

    def keep(self) -> dict[str, Array]:
        """Everything that is needed to go on; of the block what is filled."""
        rows, waiting = self.block.counts
        kept = {**self.net._asdict(), "run": self.counts, "recent": self.recent, "near": np.array(self.near)}
        kept |= {f"reference_{name}": array for name, array in self.reference._asdict().items()}
        block = self.block._asdict()
        for name in ("Z", "Z_reference", "member", "seen"):
            kept[f"block_{name}"] = block[name][:rows]
        gram = 0 if self.near else rows
        kept["block_K"] = block["K"][:gram, :gram].copy()
        kept |= {"block_C": block["C"][:waiting], "block_at": block["at"][:waiting], "block_counts": block["counts"]}
        return kept

    def take(self, arrays: Mapping[str, Array]) -> None:
        """Go on from what ``keep`` gave."""
        for name, array in self.net._asdict().items():
            array[...] = arrays[name]
        self.counts[:], self.recent[:] = arrays["run"], arrays["recent"]
        if arrays["near"]:
            self._prepare()
        self.reference = kernels.Reference(
            *(arrays[f"reference_{name}"].copy() for name in kernels.Reference._fields)
        )
        self.block = self._empty_block()
        self.block.counts[:] = arrays["block_counts"]
        rows = int(self.block.counts[0])
        for name in ("Z", "Z_reference", "member", "seen", "C", "at"):
            array = getattr(self.block, name)
            array[: len(arrays[f"block_{name}"])] = arrays[f"block_{name}"]
        member = self.block.member[:rows]
        self.block.XB[:rows] = self.X[member]
        if len(member):
            self.block.slot[member] = np.arange(rows)
        if not self.near:
            self.block.K[:rows, :rows] = arrays["block_K"]

    def settled(self) -> bool:
        """Whether no example has a gradient: an epoch drawn with replacement need not have seen every one."""
        return self.order != "iid" or self.critical()

    def finite(self) -> bool:
        """Whether all that is measured is finite."""
        row = self.measure(None)
        return bool(np.isfinite(row["train_loss"] + row["norm"]))

    def shown(self) -> tuple[TwoLayer, dict[str, Any]]:
        """The network now; there is nothing else to show."""
        return self.params(), {}

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
        d, L = self.net.WT.shape
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
        width, itemsize = len(self.net.v), self.X.itemsize
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
        (W, v), alpha = self.params(), self.rule.alpha
        for low in range(0, len(self.X), 1024):
            z = self.X[low : low + 1024] @ W.T
            outputs = leaky(z, float(alpha)) @ v
            violated = ~(self.rule.y[low : low + 1024] * outputs >= 1)
            if alpha == 0:
                violated &= (z > 0).any(axis=1)
            violated &= self.X[low : low + 1024].any(axis=1)
            if violated.any():
                return False
        return True

    def measure(self, test: Test) -> dict[str, float]:
        """The recorded columns but for epoch and updates."""
        below = np.flatnonzero(~self._certain())  # all others have no loss and are classified correctly
        WT, net = self.weights(), self.net
        margins = self.rule.y[below] * self._outputs(self.X[below], WT)
        m = len(self.X)
        error = float("nan") if test is None else float(np.mean(test[1] * self._outputs(test[0], WT) <= 0))
        live = slice(0, self.units)
        first, last = net.v_low[live] / self.v_start, net.v_high[live] / self.v_start
        return {
            "train_error": float(np.count_nonzero(~(margins > 0))) / m,
            "test_error": error,
            "train_loss": float(np.maximum(1 - margins, 0).sum(dtype=np.float64)) / m,
            "norm": float(np.linalg.norm(WT)),
            "ratio_min": float(np.minimum(first, last).min()),
            "ratio_max": float(np.maximum(first, last).max()),
        }

    def _certain(self) -> NDArray[np.bool_]:
        """Which examples are known to have a margin above 1."""
        return np.array([kernels.safe(row, self.net.way, self.rule.both) for row in self.net.known], dtype=bool)

    def _outputs(self, X: Array, WT: Array) -> Array:
        """Outputs, a cache-sized block of inputs at a time."""
        size, v = max(1, 2**17 // len(self.net.v)), self.net.v
        blocks = [leaky(X[low : low + size] @ WT, self.rule.alpha) @ v for low in range(0, len(X), size)]
        return np.concatenate(blocks) if blocks else np.zeros(0)

    def params(self) -> TwoLayer:
        """The network now, in float64."""
        live = slice(0, self.units)
        return TwoLayer(self.weights()[:, live].T.astype(np.float64), self.net.v[live].astype(np.float64))
