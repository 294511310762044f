"""A two-layer network in training: how its loop is called, what it decides on the way, what it keeps and tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.networks.separable import TwoLayer, leaky
from learnability.training import drive
from learnability.training.sample import Sample
from learnability.training.two_layer import bounds, loops
from learnability.training.vector.sparse import LANES

__all__ = ["FORMS", "Engine", "Test"]

FORMS = ("auto", "sparse", "dense")
Array = NDArray[Any]
Test = tuple[Array, Array] | None

_STRETCH = 64  # epochs
_FEW = 0.15  # updates per visit, below which bounds are tried, and an example is first evaluated at the reference
_VISIT, _ROW = 60.0, 100_000.0  # nanoseconds of a visit beside its product, and of a row beside its visits
_CACHE = 3 * 2**18  # bytes of weights that stay in the second cache
_SPARSE_CACHE_WINDOW, _WINDOW = 1, 32

# Entries of ``Engine.counts``. The present stretch: its end; whether it runs sparse, tracked, looks back; visits of a
# window; epochs, updates, products with the weights and with the reference. And of the whole run: visits that were
# made, epochs in each form, and what ``worked`` counts before this stretch.
_UNTIL, _SPARSE, _TRACKED, _BACK, _AHEAD, _RAN, _MADE, _PRODUCTS, _LOOKED = range(9)
_VISITED, _EPOCHS_SPARSE, _EPOCHS_DENSE, _WORKED = range(9, 13)


class Engine(drive.Engine[Test]):
    """A network in training."""

    _waiting = 256  # updates after which the reference moves

    def __init__(
        self, params: TwoLayer, sample: Sample, y: Array, eta: float, alpha: float, both: bool, order: str, form: str
    ) -> None:
        self.X, self.order, self.form = sample.X, order, form
        dtype = self.X.dtype
        units, d = params.W.shape
        self.units: int = units
        self.width: int = -(-units // LANES) * LANES
        v = np.zeros(self.width, dtype)
        v[:units] = params.v
        self.v_start = params.v
        guard = 4 * float(np.finfo(dtype).eps) * float(np.sqrt(d + self.width))  # relative error of sums
        known, way = np.zeros((len(y), 6)), np.zeros(11)
        known[:, bounds.LOW] = -np.inf
        known[:, bounds.NORM] = sample.norms * (1 + guard)
        way[bounds.SIZE] = np.linalg.norm(params.v) * (1 + guard)
        way[bounds.WEIGHT] = np.linalg.norm(params.W) * (1 + guard)
        self.net = bounds.Net(v, v.copy(), v.copy(), v.copy(), known, way, np.zeros(len(y), np.int64))
        # products and squares of numbers below this are finite
        large = float(np.finfo(dtype).max) ** 0.2 / max(1.0, float(sample.norms.max()))
        self.rule = bounds.Rule(y.astype(dtype), dtype.type(eta), dtype.type(alpha), both, guard, large)
        self.moderate = sample.moderate  # without it products of inputs cannot stand for passes over the weights
        self.entries: float = sample.density * self.X.shape[1]  # of an input
        self.at_kinks = not params.W.any(axis=1).all()  # units that start at 0 are at their kink for every input
        nothing = np.zeros(0, dtype)
        self.inputs = loops.Inputs(self.X, np.zeros(1, np.int64), np.zeros(0, np.int32), nothing)
        self.counts = np.zeros(13, np.int64)
        # of the last stretch, a visit: products with the weights and the reference, updates; and the updates of the
        # last stretch in which bounds did not pay
        self.recent = np.array([1.0, 0.0, 0.5, 2.0])
        self.W = self._laid_out(params.W.astype(dtype, copy=False))
        self.reference = self._no_reference()

    @property
    def until(self) -> int:
        """The end of the stretch."""
        return int(self.counts[_UNTIL])

    @property
    def doubtful(self) -> bool:
        """Whether the start is so large."""
        return not max(self.net.way[bounds.SIZE], self.net.way[bounds.WEIGHT]) < self.rule.large

    def decide(self, epoch: int) -> None:
        """Choose how to compute by what the last stretch did, and let the weights be the reference."""
        net, counts = self.net, self.counts
        ran, W = counts[_RAN], self.weights()
        counts[_WORKED] += counts[_PRODUCTS] + counts[_LOOKED] + counts[_MADE] * (1 + counts[_TRACKED])
        was_tracked = bool(counts[_TRACKED])
        if ran:
            visited = ran * len(self.X)
            self.recent[:3] = counts[_PRODUCTS] / visited, counts[_LOOKED] / visited, counts[_MADE] / visited
        stretch = min(max(1, epoch), _STRETCH)
        tracked, back = self._bounds(was_tracked)
        sparse = self.form == "sparse" or (self.form == "auto" and (self.at_kinks or self._sparse_is_faster(stretch)))
        counts[_RAN : _LOOKED + 1] = 0
        counts[_UNTIL] = epoch + stretch
        counts[_SPARSE], counts[_TRACKED], counts[_BACK] = sparse, tracked, back
        counts[_AHEAD] = self._window(sparse) if self.moderate and not (sparse and self.at_kinks) else 1
        self.W = self._laid_out(W)
        if tracked and was_tracked:
            bounds.new_reference(net)
        elif not tracked:
            net.known[:, bounds.LOW] = -np.inf
            net.way[bounds.SQUARE : bounds.SIZE] = net.way[bounds.DISTANCE] = 0.0
            net.v_reference[:] = net.v
        net.way[bounds.WEIGHT] = net.way[bounds.NEAR] = np.linalg.norm(W) * (1 + self.rule.guard)
        net.way[bounds.SIZE] = np.linalg.norm(net.v) * (1 + self.rule.guard)
        if tracked:
            self.reference = loops.Reference(self.W.copy(), np.full(len(self.X), -1), np.zeros(2, np.int64))
        else:
            self.reference = self._no_reference()
        if sparse:
            self._find_entries()

    def run(self, order: NDArray[np.int32], epochs: int) -> tuple[int, int, int]:
        """Run epochs in the given order: epochs run, updates made, how it ended."""
        counts = self.counts
        sparse, tracked = bool(counts[_SPARSE]), bool(counts[_TRACKED])
        in_order, back, ahead = sparse and self.at_kinks, bool(counts[_BACK]), int(counts[_AHEAD])
        how = loops.Way(sparse, in_order, tracked, back, self._waiting, ahead, self.units)
        seen = loops.run(self.W, self.net, self.rule, self.inputs, how, self.reference, order, epochs)
        counts[_EPOCHS_SPARSE if sparse else _EPOCHS_DENSE] += seen.epochs
        counts[_RAN] += seen.epochs
        counts[_MADE] += seen.updates
        counts[_PRODUCTS] += seen.evaluated
        counts[_LOOKED] += seen.looked
        counts[_VISITED] += seen.visited
        return seen.epochs, seen.updates, seen.status

    def _bounds(self, was_tracked: bool) -> tuple[bool, bool]:
        """Whether to follow the run, and whether to evaluate an example at the reference first.

        Following costs a product alone for most updates, those with the reference, and some bookkeeping; it saves the
        visits that are skipped, which are known once it has been tried. Where it did not pay it is tried again when
        updates are half as many.
        """
        products, looked, updates, failed_at = self.recent
        if not was_tracked:
            pays = updates < _FEW and updates <= failed_at / 2
        else:
            product = min(self._product(sparse) for sparse in (True, False))
            pays = (products + looked) * (product + 30) + 2 * updates * product + 10 < product
            if not pays:
                self.recent[3] = updates
        return bool(pays), bool(pays)

    def _product(self, sparse: bool) -> float:
        """What a product of the weights with an input takes, in nanoseconds of one core of 2023.

        It multiplies eight float64 numbers in 0.3 where they are at hand; only ratios matter.
        """
        d, itemsize = int(self.X.shape[1]), int(self.X.itemsize)
        lanes = 64 // itemsize
        if sparse:
            return 0.55 * self.entries * self.width / lanes + 0.5 * self.entries
        return 0.32 * d * max(self.units, 4) / lanes + 0.018 * d * itemsize

    def _sparse_is_faster(self, stretch: int) -> bool:
        """Whether the sparse form should take less time, by counted work."""
        products, looked, updates, _ = self.recent
        finding = 1.2 * self.X.shape[1] / stretch if len(self.inputs.indptr) == 1 else 0.0
        made = float(products + looked + updates)
        return made * self._product(True) + finding < made * self._product(False)

    def _window(self, sparse: bool) -> int:
        """Visits that are looked ahead: more where the weights have to come from further away."""
        d = self.X.shape[1]
        near = d * self.width * self.X.itemsize <= _CACHE
        return (_SPARSE_CACHE_WINDOW if sparse else 4) if near else _WINDOW

    def _laid_out(self, W: Array) -> Array:
        """Weights (units, d) as the form wants them, with padding."""
        units, d = W.shape
        if self.counts[_SPARSE]:
            laid = _aligned((d, self.width), W.dtype)
            laid[:, :units] = W.T
        else:
            laid = _aligned((units + units % 2, d), W.dtype)
            laid[:units] = W
        return laid

    def weights(self) -> Array:
        """The first layer, (units, d)."""
        return self.W[:, : self.units].T if self.counts[_SPARSE] else self.W[: self.units]

    def _no_reference(self) -> loops.Reference:
        return loops.Reference(np.zeros((0, 0), self.X.dtype), np.zeros(0, np.int64), np.zeros(2, np.int64))

    def _find_entries(self) -> None:
        if len(self.inputs.indptr) == 1:
            self.inputs = loops.Inputs(self.X, *loops.nonzero_rows(self.X))

    def keep(self) -> dict[str, Array]:
        """Everything that is needed to go on."""
        kept = {**self.net._asdict(), "W": self.W, "run": self.counts, "recent": self.recent}
        return kept | {f"reference_{name}": array for name, array in self.reference._asdict().items()}

    def take(self, arrays: Mapping[str, Array]) -> None:
        """Go on from what ``keep`` gave."""
        for name, array in self.net._asdict().items():
            array[...] = arrays[name]
        self.counts[:], self.recent[:] = arrays["run"], arrays["recent"]
        self.W = _aligned(arrays["W"].shape, arrays["W"].dtype)
        self.W[...] = arrays["W"]
        self.reference = loops.Reference(*(arrays[f"reference_{name}"].copy() for name in loops.Reference._fields))
        if self.counts[_SPARSE]:
            self._find_entries()

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

    def skipped(self, epochs: int) -> float:
        """Share of the visits of so many epochs that were not evaluated."""
        return 1 - int(self.counts[_VISITED]) / (epochs * len(self.X)) if epochs else 0.0

    def forms(self) -> dict[str, int]:
        """Epochs run in each form."""
        return {"sparse": int(self.counts[_EPOCHS_SPARSE]), "dense": int(self.counts[_EPOCHS_DENSE])}

    def kinks(self) -> int:
        """Visits with a unit at its kink to within rounding."""
        return int(self.net.way[bounds.KINKS])

    def critical(self) -> bool:
        """Whether no example has a gradient other than zero."""
        with drive.one_blas_thread():
            return self._critical()

    def _critical(self) -> bool:
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

    def worked(self) -> float:
        """Nanoseconds of one core of 2023, by the products and updates made."""
        counts = self.counts
        stretch = counts[_PRODUCTS] + counts[_LOOKED] + counts[_MADE] * (1 + counts[_TRACKED])
        return float(counts[_WORKED] + stretch) * (self._product(bool(counts[_SPARSE])) + _VISIT)

    def measuring(self, test: Test) -> float:
        """Nanoseconds that a row takes, reckoned in the same way."""
        certain = int(np.count_nonzero(bounds.certain(self.net.known, self.net.way, self.rule.both)))
        made = len(self.X) - certain + (0 if test is None else len(test[0]))
        return made * (self._product(bool(self.counts[_SPARSE])) + _VISIT) + _ROW

    def measure(self, test: Test) -> dict[str, float]:
        """The recorded columns but for epoch and updates."""
        net = self.net
        # all others have no loss and are classified correctly
        below = np.flatnonzero(~bounds.certain(net.known, net.way, self.rule.both))
        how = loops.Way(bool(self.counts[_SPARSE]), False, False, False, 0, _WINDOW, self.units)
        margins = loops.margins(self.W, net, self.rule, self.inputs, how, below)
        m = len(self.X)
        error = float("nan") if test is None else float(np.mean(test[1] * self._outputs(test[0]) <= 0))
        live = slice(0, self.units)
        first, last = net.v_low[live] / self.v_start, net.v_high[live] / self.v_start
        return {
            "train_error": float(np.count_nonzero(~(margins > 0))) / m,
            "test_error": error,
            "train_loss": float(np.maximum(1 - margins, 0).sum(dtype=np.float64)) / m,
            "norm": float(np.linalg.norm(self.W)),
            "ratio_min": float(np.minimum(first, last).min()),
            "ratio_max": float(np.maximum(first, last).max()),
        }

    def _outputs(self, X: Array) -> Array:
        """Outputs for all rows of X, a cache-sized block of inputs at a time."""
        size, W, v = max(1, 2**17 // self.units), self.weights(), self.net.v[: self.units]
        found = np.empty(len(X), X.dtype)
        with drive.one_blas_thread():
            for low in range(0, len(X), size):
                found[low : low + size] = leaky(X[low : low + size] @ W.T, self.rule.alpha) @ v
        return found

    def params(self) -> TwoLayer:
        """The network now, in float64."""
        return TwoLayer(self.weights().astype(np.float64), self.net.v[: self.units].astype(np.float64))


def _aligned(shape: tuple[int, int], dtype: np.dtype[Any]) -> Array:
    """Zeros that start on a cache line: a vector that lies across two costs twice."""
    size = shape[0] * shape[1]
    raw = np.zeros(size + 64 // dtype.itemsize, dtype)
    skip = (-raw.ctypes.data % 64) // dtype.itemsize
    return raw[skip : skip + size].reshape(shape)
