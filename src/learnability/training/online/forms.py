"""The four forms of the online engine: what each stores, runs and measures.

Behind the door of :func:`learnability.training.online.train`: arguments are checked there.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learnability.networks.one_hidden import OneHidden, activate, hidden
from learnability.training.online import loops as kernels
from learnability.training.online.deviation import Deviation, Points
from learnability.training.vector.rows import LANES, aligned

__all__ = ["FORMS", "Engine", "Problem", "Test", "choose"]

FORMS = ("auto", "frozen", "deviation", "direct", "cached")
Array = NDArray[np.float64]
_GRAM_POINTS = 2_900  # largest Gram matrix: 64 MiB
_CACHE_BYTES = 2**26
_TRACKED = 512  # examples whose embedding is compared with its start

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
        self.unit = float(h / divisor)
        self.beta = float(beta)
        self.threshold = float(beta / h * divisor)
        self.batch, self.both, self.activation = batch, layers == "both", activation

    def classes(self) -> tuple[Array, NDArray[np.int32]] | None:
        """Inputs that stand for all that the start cannot tell apart, and each example's class; None if too many."""
        W = self.params.W
        if (W[:, :1] == W).all():  # the start sees the sum of an input only
            _, first, cls = np.unique(self.X.sum(axis=1), return_index=True, return_inverse=True)
        elif len(self.X) <= _GRAM_POINTS:
            _, first, cls = np.unique(self.X, axis=0, return_index=True, return_inverse=True)
        else:
            return None
        if len(first) > _GRAM_POINTS:
            return None
        return self.X[first], cls.reshape(-1).astype(np.int32)

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


class Engine(Protocol):
    """A network in training, in whatever form."""

    @property
    def ties(self) -> tuple[int, int]:
        """Exact ties so far, and decisions that float64 left unresolved."""

    def run(self, order: NDArray[np.int32]) -> tuple[int, int, int]:
        """Run epochs in the given order: epochs run, updates made, status of the kernels."""

    def measure(self, test: Test) -> dict[str, float]:
        """The recorded columns but for epoch and updates."""

    def final(self) -> tuple[OneHidden, Deviation | None]:
        """The network now, plainly and (where kept) as deviations from its start."""


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


class _Frozen:
    ties = (0, 0)

    def __init__(self, problem: Problem, points: Array, cls: NDArray[np.int32]) -> None:
        self.problem, self.cls = problem, cls
        params = problem.params
        self.V = hidden(params, points, problem.activation)
        self.gram = self.V @ self.V.T + 1.0
        self.out = (self.V @ params.M + params.b) / problem.unit
        self.count = np.zeros(len(points))

    def run(self, order: NDArray[np.int32]) -> tuple[int, int, int]:
        p = self.problem
        return kernels.frozen(  # type: ignore[no-any-return]
            self.gram, self.cls, p.y, self.out, self.count, order, p.threshold, p.batch
        )

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


class _Apart:
    def __init__(self, problem: Problem, points: Array, cls: NDArray[np.int32]) -> None:
        self.problem, self.cls = problem, cls
        params, X = problem.params, problem.X
        z0 = points @ params.W.T + params.B
        # A neuron that is off on the whole sample at the start never gets a gradient, so it never moves: left out.
        self.live = np.flatnonzero((z0 > 0).any(axis=0))
        z0 = z0[:, self.live]
        v0 = z0.clip(min=0)
        self.z0 = _pad(z0)
        size = np.abs(self.z0)
        self.z0_max, self.z0_min = size.max(axis=0), np.where(size > 0, size, np.inf).min(axis=0)
        self.gram = v0 @ v0.T + 1.0
        self.P = np.zeros(len(points))
        self.Omega = aligned(X.shape[1] + 1, self.z0.shape[1])
        self.mu0, self.mu1 = aligned(2, self.z0.shape[1])
        self.count = np.zeros(1)
        self.points = Points(X)
        self.rows = problem.sparse_rows()
        self.entry_max = np.maximum(np.abs(X).max(axis=0), 1.0)
        self.reach = 1.0 + np.abs(X) @ self.entry_max
        # sums of multiples of 1/16 below 2^49 are exact; otherwise let the bound grow with the rounding of P
        exact = bool((16 * v0 == np.round(16 * v0)).all())
        self.rounding = 0.0 if exact else 1e-15 * float(self.gram.max())
        self.state = np.array([1.0, 0.0, 0.0, 0.0])

    def run(self, order: NDArray[np.int32]) -> tuple[int, int, int]:
        p = self.problem
        return kernels.deviation(  # type: ignore[no-any-return]
            self.Omega, self.mu0, self.mu1, self.count, self.P, self.z0, self.z0_max, self.z0_min,
            self.gram, self.cls, p.y, *self.rows, self.reach, self.entry_max,
            order, p.threshold, p.unit * p.unit, self.rounding, p.batch, self.state,
        )  # fmt: skip

    def measure(self, test: Test) -> dict[str, float]:
        _, deviation = self.final()
        tracked = deviation.evaluate(self.problem.X[:_TRACKED])
        values = tracked.values if len(self.cls) <= _TRACKED else deviation.outputs(self.points)
        error = float("nan") if test is None else deviation.error(*test)
        return self.problem.summary(values, deviation.unit, deviation.norm, float(tracked.movement.max()), error)

    def final(self) -> tuple[OneHidden, Deviation]:
        p = self.problem
        Omega, mu0, mu1 = (np.zeros(shape) for shape in (p.params.W.shape, len(p.params.B), len(p.params.B)))
        omega = np.zeros_like(mu0)
        live = slice(0, len(self.live))
        Omega[self.live], omega[self.live] = self.Omega[:-1, live].T, self.Omega[-1, live]
        mu0[self.live], mu1[self.live] = self.mu0[live], self.mu1[live]
        deviation = Deviation(p.params, p.unit, Omega, omega, mu0, mu1, float(self.count[0]))
        return deviation.network(), deviation

    @property
    def ties(self) -> tuple[int, int]:
        return int(self.state[1]), int(self.state[3])


class _Plain:
    ties = (0, 0)

    def __init__(self, problem: Problem, form: str) -> None:
        self.problem, self.form = problem, form
        params = problem.params
        self.WT = _pad(np.vstack([params.W.T, params.B]))
        self.M = _pad(params.M[None, :])[0]
        if problem.activation == "sigmoid":  # padding neurons put out logistic(0) = 1/2, at M = 0, so they learn
            self.WT[-1, len(params.B) :] = -1e3
        self.b = np.array([float(params.b)])
        self.rows = problem.sparse_rows()
        self.start = hidden(params, problem.X[:_TRACKED], problem.activation)
        self.update_share = 0.5

    def run(self, order: NDArray[np.int32]) -> tuple[int, int, int]:
        p = self.problem
        sigmoid = p.activation == "sigmoid"
        if self._use_cache(len(order)):
            lifted = np.hstack([p.X, np.ones((len(p.X), 1))])
            Z, A = lifted @ self.WT, np.zeros((len(p.X), len(self.M)))
            gram = lifted @ lifted.T
            done = kernels.cached(Z, A, self.M, self.b, gram, p.y, order, p.unit, p.beta, p.batch, sigmoid)
            self.WT += lifted.T @ A
        else:
            done = kernels.direct(
                self.WT, self.M, self.b, *self.rows, p.y, order, p.unit, p.beta, p.batch, p.both, sigmoid
            )
        self.update_share = done[1] / max(done[0] * len(p.X), 1)
        return done  # type: ignore[no-any-return]

    def _use_cache(self, epochs: int) -> bool:
        m, L = len(self.problem.X), len(self.M)
        if self.form != "auto":
            return self.form == "cached"
        # cached: m rows of length L move per update; direct: a forward pass per visit, an update per update, each
        # over the non-zero entries. Building and folding the cache costs two forward passes an example.
        entries = len(self.rows[1]) / m
        share = self.update_share
        fits = max(m * L, m * m) * 16 <= _CACHE_BYTES
        return fits and epochs >= 8 and share * m < entries * (1 + share)

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
        L = len(self.problem.params.B)
        return (
            OneHidden(self.WT[:-1, :L].T.copy(), self.WT[-1, :L].copy(), self.M[:L].copy(), float(self.b[0])),
            None,
        )


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
