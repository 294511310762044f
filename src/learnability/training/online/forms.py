"""The four forms of the online engine: what each stores, runs and measures.

Behind the door of :func:`learnability.training.online.train`: arguments are checked there.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.networks.one_hidden import OneHidden, activate, hidden
from learnability.training import drive
from learnability.training.online import loops as kernels
from learnability.training.online.deviation import Deviation, Points, lattice_bits
from learnability.training.online.exact import Exact
from learnability.training.vector.rows import LANES, aligned

__all__ = ["FORMS", "Engine", "Problem", "Test", "choose"]

FORMS = ("auto", "frozen", "deviation", "direct", "cached")
Array = NDArray[np.float64]
_GRAM_POINTS = 2_900  # largest Gram matrix: 64 MiB
_CACHE_BYTES = 2**26
_TRACKED = 512  # examples whose embedding is compared with its start
_MOST_UPDATES = 2**26  # that sums on a lattice have room for
_LARGE = 1e60  # products of so large numbers stay finite

Test = tuple[Points, Array] | None


class Problem:
    """The checked arguments, in the forms that the engines share."""

    def __init__(
        self,
        params: OneHidden,
        X: Array,
        y: Array,
        h: Fraction,
        beta: Fraction,
        batch: int,
        divisor: int,
        layers: str,
        activation: str,
    ) -> None:
        self.params, self.X, self.y = params, X, y
        self.rational = h / divisor, beta
        self.unit = float(h / divisor)
        self.beta = float(beta)
        threshold = beta / h * divisor
        self.threshold = float(threshold)
        self.residue = float(threshold - Fraction(self.threshold))
        self.batch, self.both, self.activation = batch, layers == "both", activation
        n = X.shape[1]
        self.bits = lattice_bits(X)
        large = _LARGE / (max(1.0, float(np.abs(X).max())) * (n + 1) * len(params.B))
        start = max(float(np.abs(part).max()) for part in params)
        self.large = large if self.unit < 1e10 and start < large else 0.0

    def classes(self) -> tuple[Array, NDArray[np.int32]] | None:
        """Inputs that stand for all that the start cannot tell apart, and each example's class; None if too many."""
        X, W = self.X, self.params.W
        by_sum = bool((W[:, :1] == W).all())  # the start sees the sum of an input only
        if by_sum and self.bits is not None:
            _, first, cls = np.unique(X.sum(axis=1), return_index=True, return_inverse=True)
        elif by_sum or len(X) <= _GRAM_POINTS:
            # sums that round: only the same entries are certain to have the same
            _, first, cls = np.unique(
                np.sort(X, axis=1) if by_sum else X, axis=0, return_index=True, return_inverse=True
            )
            if by_sum:
                order = np.argsort(X[first].sum(axis=1), kind="stable")
                first, cls = first[order], np.argsort(order)[cls.reshape(-1)]
        else:
            return None
        if len(first) > _GRAM_POINTS:
            return None
        return X[first], cls.reshape(-1).astype(np.int32)

    def sparse_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int32], Array]:
        """Non-zero entries of each lifted input (x, 1): indptr, columns, values."""
        m, n = self.X.shape
        entries = np.ones((m, n + 1), dtype=bool)
        np.not_equal(self.X, 0, out=entries[:, :n])
        columns = np.nonzero(entries)[1].astype(np.int32)
        values = np.ones(len(columns))
        values[columns < n] = self.X[entries[:, :n]]
        indptr = np.concatenate([[0], np.cumsum(entries.sum(axis=1))])
        return indptr.astype(np.int64), columns, values

    def summary(
        self, outputs: Array, unit: float, norm: float, movement: float, test_error: float
    ) -> dict[str, float]:
        """The recorded columns, from outputs and norm in the given unit."""
        signed = self.y * outputs
        return {
            "train_error": float(np.mean(signed <= 0)),
            "test_error": test_error,
            "train_loss": float(unit * np.maximum(self.beta / unit - signed, 0).mean()),
            "margin": float(signed.min() / norm) if norm > 0 else float("nan"),
            "movement": movement,
            "norm": unit * norm,
        }


class Engine(drive.Engine[Test]):
    """A network in training, in whatever form."""

    problem: Problem
    looks_ahead = False

    @property
    def doubtful(self) -> bool:
        """Whether the start is so large."""
        return self.problem.large == 0.0

    @property
    def until(self) -> int:
        """There is one way to compute."""
        return drive.NEVER

    @property
    def ties(self) -> tuple[int, int]:
        """Exact ties so far, and decisions that float64 left unresolved."""
        return 0, 0

    def decide(self, epoch: int) -> None:
        """There is one way to compute."""

    def settled(self) -> bool:
        """Each example is visited in every epoch."""
        return True

    def finite(self) -> bool:
        """Whether all that is measured is finite."""
        row = self.measure(None)
        return bool(np.isfinite([row["train_loss"], row["movement"], row["norm"]]).all())

    def final(self) -> tuple[OneHidden, Deviation | None]:
        """The network now, plainly and (where kept) as deviations from its start."""
        raise NotImplementedError

    def shown(self) -> tuple[OneHidden, dict[str, Any]]:
        """The same, copied."""
        network, deviation = deepcopy(self.final())
        return network, {"deviation": deviation}

    def take(self, arrays: Mapping[str, Array]) -> None:
        """Go on from what ``keep`` gave."""
        for name, now in self.keep().items():
            now[...] = arrays[name]


def choose(problem: Problem, form: str) -> Engine:
    """The engine of the given form, or for ``auto`` the one that suits the problem."""
    params = problem.params
    if not problem.both:
        if form not in ("auto", "frozen", "direct"):
            raise ValueError(f"form must be 'auto', 'frozen' or 'direct' for layers='output', got {form!r}")
        found = None if form == "direct" else problem.classes()
        if found is None and form == "frozen":
            raise ValueError(f"form='frozen' takes at most {_GRAM_POINTS} distinct points; use 'auto' or 'direct'")
        return _Plain(problem, "direct") if found is None else _Frozen(problem, *found)
    if form == "frozen":
        raise ValueError("form='frozen' trains the last layer only: pass layers='output'")
    zero_start = params.b == 0 and not params.M.any() and problem.activation == "relu"
    if form == "deviation" and not zero_start:
        raise ValueError("form='deviation' needs a ReLU network that starts with M = 0 and b = 0")
    if form == "deviation" or (form == "auto" and zero_start):
        found = problem.classes()
        if found is not None:
            return _Apart(problem, *found)
        if form == "deviation":
            raise ValueError(f"form='deviation' takes at most {_GRAM_POINTS} classes of inputs; use 'direct'")
    return _Plain(problem, form)


class _Frozen(Engine):
    def __init__(self, problem: Problem, points: Array, cls: NDArray[np.int32]) -> None:
        self.problem, self.cls = problem, cls
        params = problem.params
        relu = problem.activation == "relu"
        self.V = hidden(params, points, problem.activation)
        self.gram = self.V @ self.V.T + 1.0
        self.out = (self.V @ params.M + params.b) / problem.unit
        self.count = np.zeros(len(points))
        self.book = np.zeros(kernels.FROZEN_BOOK)
        self.answers = np.zeros(problem.batch, np.int8)
        zero = params.b == 0 and not params.M.any()
        sizes = _sizes(params, points)
        gram_error, exact = 0.0, float(_MOST_UPDATES)
        if not (relu and zero) or _lattice(problem, sizes) is None:
            L, eps = len(params.M), float(np.finfo(float).eps)
            error = (points.shape[1] + 3) * eps * float(sizes.max()) if relu else 0.0
            # sums over neurons of products of two entries, each off by ``error``, and of 1
            gram_error = 2 * error * float(self.V.sum(axis=1).max() + L * error)
            gram_error += (L + 10) * eps * (1.0 + float(((self.V + error) ** 2).sum(axis=1).max()))
            exact = 0.0
            size = np.abs(params.M).sum() * error
            size += (L + 10) * eps * float((self.V @ np.abs(params.M)).max() + abs(params.b))
            self.book[[kernels.OFF, kernels.SIZE]] = 2 * size / problem.unit, np.abs(self.out).max()
        below = np.nextafter(problem.threshold, -np.inf) if problem.residue < 0 else problem.threshold
        self.rule = float(below), gram_error, float(self.gram.max()), exact
        self.exactly = cache(lambda: Exact(params, points, None if relu else self.V, *problem.rational))

    def run(self, order: NDArray[np.int32], epochs: int) -> tuple[int, int, int]:
        p = self.problem
        ran = total = 0
        while True:
            more, made, status = kernels.frozen(
                self.gram, self.cls, p.y, self.out, self.count, self.book, order[ran:], epochs - ran, self.rule,
                self.answers, p.batch, p.large,
            )  # fmt: skip
            ran, total = ran + more, total + made
            if status != kernels.ASK:
                return ran, total, status
            start = int(self.book[kernels.VISIT])
            for at, i in enumerate(order[ran, start : start + p.batch].tolist()):
                above = self.exactly().above(int(self.cls[i]), p.y[i], self.count)
                self.answers[at] = -1 if above else 1

    def keep(self) -> dict[str, Array]:
        return {"out": self.out, "count": self.count, "book": self.book}

    def measure(self, test: Test) -> dict[str, float]:
        p = self.problem
        network, deviation = self.final()
        if test is None:
            error = float("nan")
        elif deviation is not None:
            error = deviation.error(*test)
        else:
            error = _error(network, test[0].X, test[1], p.activation)
        norm = deviation.norm if deviation else float(np.hypot(np.linalg.norm(network.M), network.b)) / p.unit
        return p.summary(self.out[self.cls], p.unit, norm, 0.0, error)

    def final(self) -> tuple[OneHidden, Deviation | None]:
        p = self.problem
        mu, count = self.count @ self.V, float(self.count.sum())
        if p.activation == "relu" and p.params.b == 0 and not p.params.M.any():
            zeros = np.zeros_like(p.params.W)
            deviation = Deviation(p.params, p.unit, zeros, zeros[:, 0], mu, np.zeros_like(mu), count)
            return deviation.network(), deviation
        return p.params._replace(M=p.params.M + p.unit * mu, b=p.params.b + p.unit * count), None


class _Apart(Engine):
    def __init__(self, problem: Problem, points: Array, cls: NDArray[np.int32]) -> None:
        self.problem = problem
        X = problem.X
        z0, low, z0_error, bits = _at_start(problem, points)
        # A neuron that is off on the whole sample at the start never gets a gradient, so it never moves: left out.
        self.live = np.flatnonzero((z0 > 0).any(axis=0))
        z0, size = _pad(z0[:, self.live]), np.abs(z0[:, self.live])
        low = low if low is None else _pad(low[:, self.live])
        v0 = z0.clip(min=0)
        (K, L), n = z0.shape, X.shape[1]
        least = _pad(np.where(size > 0, size, np.inf).min(axis=0, initial=np.inf)[None, :])[0]
        least[len(self.live) :] = np.inf
        gram = v0 @ v0.T + 1.0
        rows, kinks = np.nonzero((z0 == 0) & (np.abs(z0).max(axis=0) > 0))
        # a sum over neurons of products of two entries, each off by z0_error, and of 1
        largest = 1.0 + float(((np.abs(z0) + z0_error) ** 2).max(axis=0).sum())
        gram_error = 0.0
        if low is not None:
            gram_error = 2 * z0_error * float(size.sum(axis=1).max() + L * z0_error)
            gram_error += (L + 10) * float(np.finfo(float).eps) * largest
        self.classes = kernels.Classes(
            of=cls,
            z0=z0,
            z0_low=np.empty((0, L)) if low is None else low,
            gram=gram,
            size=np.stack([v0.sum(axis=1), v0.max(axis=1)], axis=1),
            kinks=kinks,
            kink_ptr=np.searchsorted(rows, np.arange(K + 1)),
            z0_max=np.abs(z0).max(axis=0),
            z0_min=least if low is None else 0.75 * least,
        )
        entry_max = np.maximum(np.abs(X).max(axis=0), 1.0)
        self.sample = kernels.Sample(problem.y, *problem.sparse_rows(), entry_max, 1.0 + np.abs(X) @ entry_max)
        self.scale = kernels.Scale(
            unit2=problem.unit * problem.unit,
            threshold=problem.threshold,
            residue=problem.residue,
            gram_error=gram_error,
            gram_max=float(gram.max()),
            exact=2.0**53 / (4.0**bits * largest),  # multiples of 4^-bits that add up to less than 2^53 of them
            large=problem.large,
        )
        book = np.zeros(kernels.BOOK)
        book[kernels.FAST], book[kernels.SINCE] = 1.0, kernels.REFRESH
        mu0, mu0_low, mu1 = aligned(3, L)
        self.moving = kernels.Moving(aligned(n + 1, L), mu0, mu0_low, mu1, np.zeros(K), book)
        self.points = Points(X)

    def run(self, order: NDArray[np.int32], epochs: int) -> tuple[int, int, int]:
        return kernels.deviation(  # type: ignore[no-any-return]
            self.moving, self.classes, self.sample, self.scale, order, epochs, self.problem.batch
        )

    def keep(self) -> dict[str, Array]:
        return self.moving._asdict()

    def measure(self, test: Test) -> dict[str, float]:
        _, deviation = self.final()
        tracked = deviation.evaluate(self.problem.X[:_TRACKED])
        values = tracked.values if len(self.problem.y) <= _TRACKED else deviation.outputs(self.points)
        error = float("nan") if test is None else deviation.error(*test)
        return self.problem.summary(values, deviation.unit, deviation.norm, float(tracked.movement.max()), error)

    def final(self) -> tuple[OneHidden, Deviation]:
        p = self.problem
        Omega, mu0, mu1 = (np.zeros(shape) for shape in (p.params.W.shape, len(p.params.B), len(p.params.B)))
        omega = np.zeros_like(mu0)
        live = slice(0, len(self.live))
        now = self.moving
        Omega[self.live], omega[self.live] = now.Omega[:-1, live].T, now.Omega[-1, live]
        mu0[self.live], mu1[self.live] = now.mu0[live], now.mu1[live]
        deviation = Deviation(p.params, p.unit, Omega, omega, mu0, mu1, float(now.book[kernels.COUNT]))
        return deviation.network(), deviation

    @property
    def ties(self) -> tuple[int, int]:
        return int(self.moving.book[kernels.TIES]), int(self.moving.book[kernels.UNRESOLVED])


class _Plain(Engine):
    def __init__(self, problem: Problem, form: str) -> None:
        self.problem, self.form = problem, form
        params = problem.params
        self.WT = _pad(np.vstack([params.W.T, params.B]))
        self.M = _pad(params.M[None, :])[0]
        if problem.activation == "sigmoid":  # padding neurons put out logistic(0) = 1/2, at M = 0, so they learn
            self.WT[-1, len(params.B) :] = -1e3
        self.b = np.array([float(params.b)])
        self.rows = problem.sparse_rows()
        self.lifted = np.hstack([problem.X, np.ones((len(problem.X), 1))])
        self.gram = np.empty((0, 0))
        self.Z = self.A = np.empty((0, len(self.M)))
        self.start = hidden(params, problem.X[:_TRACKED], problem.activation)
        # the present stretch: its end, the epochs and updates that it has made so far
        self.stretch = np.zeros(3, np.int64)

    @property
    def until(self) -> int:
        return int(self.stretch[0])

    def decide(self, epoch: int) -> None:
        m = len(self.problem.X)
        # growing stretches, at ends that do not depend on where the run stops
        length = drive.NEVER - epoch if self.form != "auto" else max(1, min(epoch, max(64, epoch // 8)))
        share = self.stretch[2] / (self.stretch[1] * m) if self.stretch[1] else 0.5
        cache = self._use_cache(length, share)
        self.stretch[:] = epoch + length, 0, 0
        if cache and not len(self.Z):
            self.Z, self.A = self.lifted @ self.WT, np.zeros((m, len(self.M)))
            self.gram = self.lifted @ self.lifted.T
        elif not cache and len(self.Z):
            self.WT[...] = self._weights()
            self.Z = self.A = self.Z[:0]

    def run(self, order: NDArray[np.int32], epochs: int) -> tuple[int, int, int]:
        p = self.problem
        sigmoid = p.activation == "sigmoid"
        if len(self.Z):
            done = kernels.cached(
                self.Z,
                self.A,
                self.M,
                self.b,
                self.gram,
                p.y,
                order,
                epochs,
                p.unit,
                p.beta,
                p.batch,
                sigmoid,
                p.large,
            )
        else:
            done = kernels.direct(
                self.WT, self.M, self.b, *self.rows, p.y, order, epochs, p.unit, p.beta, p.batch, p.both, sigmoid,
                p.large,
            )  # fmt: skip
        self.stretch[1:] += done[:2]
        return done  # type: ignore[no-any-return]

    def _use_cache(self, epochs: int, share: float) -> bool:
        m, L = len(self.problem.X), len(self.M)
        if self.form != "auto":
            return self.form == "cached"
        # cached: m rows of length L move per update; direct: a forward pass per visit, an update per update, each
        # over the non-zero entries. Building and folding the cache costs two forward passes an example.
        entries = len(self.rows[1]) / m
        fits = max(m * L, m * m) * 16 <= _CACHE_BYTES
        return fits and epochs >= 8 and share * m < entries * (1 + share)

    def _weights(self) -> Array:
        """The first layer, with what waits in the cache."""
        return self.WT + self.lifted.T @ self.A if len(self.Z) else self.WT

    def keep(self) -> dict[str, Array]:
        return {"WT": self.WT, "M": self.M, "b": self.b, "Z": self.Z, "A": self.A, "stretch": self.stretch}

    def take(self, arrays: Mapping[str, Array]) -> None:
        if len(arrays["Z"]):
            self.Z, self.A = arrays["Z"].copy(), arrays["A"].copy()
            self.gram = self.lifted @ self.lifted.T
        super().take(arrays)

    def measure(self, test: Test) -> dict[str, float]:
        p = self.problem
        network, _ = self.final()
        outputs = _outputs(network, p.X, p.activation)
        moved = hidden(network, p.X[:_TRACKED], p.activation) - self.start
        movement = float(np.sqrt((moved * moved).sum(axis=1)).max())
        error = float("nan") if test is None else _error(network, test[0].X, test[1], p.activation)
        norm = float(np.hypot(np.linalg.norm(network.M), network.b))
        return p.summary(outputs, 1.0, norm, movement, error)

    def final(self) -> tuple[OneHidden, None]:
        L, WT = len(self.problem.params.B), self._weights()
        return OneHidden(WT[:-1, :L].T.copy(), WT[-1, :L].copy(), self.M[:L].copy(), float(self.b[0])), None


def _outputs(network: OneHidden, X: Array, activation: str) -> Array:
    """Outputs, a cache-sized block of inputs at a time."""
    W, B, M, b = network
    size = max(1, 12_000 // len(B))
    blocks = (activate(X[lo : lo + size] @ W.T + B, activation) @ M for lo in range(0, len(X), size))
    outputs: Array = np.concatenate(list(blocks)) + b
    return outputs


def _error(network: OneHidden, X: Array, y: Array, activation: str) -> float:
    return float(np.mean(y * _outputs(network, X, activation) <= 0))


def _pad(rows: Array) -> Array:
    """The rows, filled with zeros up to a multiple of the kernels' lanes."""
    K, L = rows.shape
    out: Array = aligned(K, max(1, -(-L // LANES)) * LANES)
    out[:, :L] = rows
    return out


def _sizes(params: OneHidden, points: Array) -> Array:
    """Sums of the sizes of what each pre-activation adds up."""
    sizes: Array = np.abs(points) @ np.abs(params.W).T + np.abs(params.B)
    return sizes


def _lattice(problem: Problem, sizes: Array) -> int | None:
    """The power of 1/2 in whose multiples pre-activations of these sizes come, if a run's sums of products of two of
    them are exact; else None.
    """
    of_weights = lattice_bits(problem.params.W, problem.params.B)
    if problem.bits is None or of_weights is None:
        return None
    bits = problem.bits + of_weights
    return bits if 4.0**bits * (1 + (sizes.max(axis=0) ** 2).sum()) < 2.0**53 / _MOST_UPDATES else None


def _at_start(problem: Problem, points: Array) -> tuple[Array, Array | None, float, int]:
    """Pre-activations at the start, of the right sign; what they leave of the exact numbers, if anything; their
    error; and the power of 1/2 in whose multiples they come.
    """
    W, B = problem.params.W, problem.params.B
    z0 = points @ W.T + B
    sizes = _sizes(problem.params, points)
    bits = _lattice(problem, sizes)
    if bits is not None:
        return z0, None, 0.0, bits
    errors = (points.shape[1] + 3) * float(np.finfo(float).eps) * sizes
    low = kernels.remainders(points, W, B, z0)
    for k, j in np.argwhere((np.abs(z0) <= 4 * errors) & (errors > 0)):
        terms = zip(W[j].tolist(), points[k].tolist(), strict=True)
        exact = sum((Fraction(w) * Fraction(x) for w, x in terms), Fraction(B[j]))
        z0[k, j] = float(exact)
        low[k, j] = float(exact - Fraction(z0[k, j]))
    return z0, low, float(errors.max()), 0
