"""Exact online SGD on one-hidden-layer networks, fast: the engine that the symmetry study runs on.

Four forms of one algorithm (:mod:`learnability.training.reference` says which). All are exact, none approximates:

``frozen``
    Last layer only. Distinct embedded points, their Gram matrix, outputs in units of the step; from a symmetry
    initialisation every number is an exact multiple of 1/16, so ties fall as in exact arithmetic.
``deviation``
    Both ReLU layers from a start with M = 0, b = 0: outputs in units of the step, movements stored apart from the
    start (:mod:`learnability.training.deviation`); an exact tie is decided by the next order in the step. A visit
    whose outcome the exact part already decides costs one comparison.
``direct``
    Plain float64, one forward pass a visit; for large samples. From a random start float64 loses nothing that
    matters; from a symmetry start with tiny steps it loses the first layer's movement, so use ``deviation`` there.
``cached``
    Plain float64 from cached pre-activations and the inputs' Gram matrix; for small samples with few updates.

``form="auto"`` takes ``frozen`` for the last layer, ``deviation`` where it applies, and otherwise ``direct`` or
``cached``, chosen anew for every stretch of epochs from the share of visits that updated in the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from numbers import Rational
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import ThreadpoolController

from learnability import checks
from learnability.networks.one_hidden import OneHidden, activate, hidden
from learnability.training import kernels
from learnability.training.deviation import Deviation, Points
from learnability.training.orders import example_orders
from learnability.training.trajectory import COLUMNS, Outcome, Trajectory, record_epochs

__all__ = ["FORMS", "train"]

FORMS = ("auto", "frozen", "deviation", "direct", "cached")
Array = NDArray[np.float64]
_ORDER_ENTRIES = 1_000_000  # visits whose order is drawn at a time
_GRAM_POINTS = 2_900  # largest Gram matrix: 64 MiB
_CACHE_BYTES = 2**26
_TRACKED = 512  # examples whose embedding is compared with its start
_OUTCOMES = {
    kernels.BUDGET: Outcome.BUDGET_REACHED,
    kernels.CONVERGED: Outcome.CONVERGED,
    kernels.DIVERGED: Outcome.DIVERGED,
}


def train(
    params: OneHidden,
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
) -> Trajectory:
    r"""Hinge-loss SGD, examples reshuffled before each epoch, until an epoch makes no update.

    An example triggers an update if :math:`y f(x) \le \beta` (Nachum & Yehudayoff, equations 2-5 and Algorithm 1;
    the comparison is not strict, so beta = 0 is the perceptron rule and a tie counts as a mistake). Both layers
    move simultaneously, each by the other's old weights.

    Parameters
    ----------
    params : OneHidden
        Start: W (L, n), B (L,), M (L,), b. Not modified.
    X : (m, n) array
        Sample.
    y : (m,) array of -1, +1
        Labels.
    h : float or rational, > 0
        Step size. Where ties are possible pass exact numbers, for instance ``Fraction(1, n**6)`` and
        ``n**3 * Fraction(1, n**6)``: only beta / h enters the decisions, and as floats it would be rounded twice.
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
        epoch is divided by ``batch`` too). With a power of two the exact forms stay exact.
    activation : {"relu", "sigmoid"}
        ReLU, or the logistic function of 5 z.
    test : (X_test, y_test), optional
        Independent sample for ``true_error``.
    record : sequence of int, optional
        Epochs to record at; by default about 60, evenly spaced in the logarithm. The last is always recorded.
    form : {"auto", "frozen", "deviation", "direct", "cached"}
        See the module's first lines.

    Returns
    -------
    Trajectory

    Raises
    ------
    ValueError
        For arguments outside what is said above, naming the argument; before any work starts.
    """
    params = _check_params(params)
    n = params.W.shape[1]
    X = checks.matrix("X", X, columns=n)
    m = len(X)
    y = checks.labels("y", y, length=m)
    checks.real("h", h, above=0)
    checks.real("beta", beta, at_least=0)
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}")
    epochs = checks.integer("epochs", epochs, at_least=0)
    layers = checks.choice("layers", layers, ("both", "output"))
    batch = checks.integer("batch", batch, at_least=1)
    activation = checks.choice("activation", activation, ("relu", "sigmoid"))
    form = checks.choice("form", form, FORMS)
    stops = record_epochs(record, epochs)
    sample_test: _Test = None
    if test is not None:
        X_test = checks.matrix("test[0]", test[0], columns=n)
        sample_test = Points(X_test), checks.labels("test[1]", test[1], length=len(X_test))

    problem = _Problem(params, X, y, h, beta, min(batch, m), batch, layers, activation)
    # The matrix products here are small: on several threads they would wait for each other most of the time.
    with _blas().limit(limits=1, user_api="blas"):
        return _run(problem, _choose(problem, form), sample_test, stops, rng)


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def _run(
    problem: _Problem, engine: _Engine, test: _Test, stops: NDArray[np.int64], rng: np.random.Generator
) -> Trajectory:
    m = len(problem.y)
    rows: list[dict[str, float]] = []
    epoch = updates = 0
    status = kernels.BUDGET
    for stop in stops:
        while epoch < stop and status == kernels.BUDGET:
            stretch = min(int(stop) - epoch, max(1, _ORDER_ENTRIES // m))
            ran, made, status = engine.run(example_orders(rng, m, stretch))
            epoch += ran
            updates += made
        if status == kernels.DIVERGED:
            break
        rows.append({"epoch": epoch, "updates": updates, **engine.measure(test)})
        if status == kernels.CONVERGED:
            break
    columns: dict[str, NDArray[Any]] = {
        name: np.array([row[name] for row in rows], dtype=np.int64 if name in COLUMNS[:2] else np.float64)
        for name in COLUMNS
    }
    network, deviation = engine.final()
    ties, unresolved = engine.ties
    return Trajectory(columns, _OUTCOMES[status], network, deviation, epoch, updates, ties, unresolved)


_Test = tuple[Points, Array] | None


class _Problem:
    """The checked arguments, in the forms that the engines share."""

    def __init__(
        self,
        params: OneHidden,
        X: Array,
        y: Array,
        h: float | Rational,
        beta: float | Rational,
        batch: int,
        divisor: int,
        layers: str,
        activation: str,
    ) -> None:
        self.params, self.X, self.y = params, X, y
        self.unit = float(Fraction(h) / divisor)
        self.beta = float(beta)
        self.threshold = float(Fraction(beta) / Fraction(h) * divisor)
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
        lifted = np.hstack([self.X, np.ones((len(self.X), 1))])
        rows, columns = np.nonzero(lifted)
        indptr = np.searchsorted(rows, np.arange(len(lifted) + 1))
        return indptr.astype(np.int64), columns.astype(np.int32), lifted[rows, columns]

    def summary(
        self, outputs: Array, unit: float, norm: float, movement: float, true_error: float
    ) -> dict[str, float]:
        """The recorded columns, from outputs and norm in the given unit."""
        signed = self.y * outputs
        return {
            "empirical_error": float(np.mean(signed <= 0)),
            "true_error": true_error,
            "hinge_loss": float(unit * np.maximum(self.beta / unit - signed, 0).mean()),
            "margin": float(signed.min() / norm) if norm > 0 else float("nan"),
            "movement": movement,
            "norm": unit * norm,
        }


class _Engine(Protocol):
    @property
    def ties(self) -> tuple[int, int]: ...
    def run(self, order: NDArray[np.int32]) -> tuple[int, int, int]: ...
    def measure(self, test: _Test) -> dict[str, float]: ...
    def final(self) -> tuple[OneHidden, Deviation | None]: ...


def _choose(problem: _Problem, form: str) -> _Engine:
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

    def __init__(self, problem: _Problem, points: Array, cls: NDArray[np.int32]) -> None:
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

    def measure(self, test: _Test) -> dict[str, float]:
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
    def __init__(self, problem: _Problem, points: Array, cls: NDArray[np.int32]) -> None:
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
        self.Omega = np.zeros((X.shape[1] + 1, self.z0.shape[1]))
        self.mu0, self.mu1 = np.zeros_like(self.Omega[0]), np.zeros_like(self.Omega[0])
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

    def measure(self, test: _Test) -> dict[str, float]:
        _, deviation = self.final()
        values = deviation.outputs(self.points)
        movement = deviation.evaluate(self.problem.X[:_TRACKED]).movement
        error = float("nan") if test is None else deviation.error(*test)
        return self.problem.summary(values, deviation.unit, deviation.norm, float(movement.max()), error)

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

    def __init__(self, problem: _Problem, form: str) -> None:
        self.problem, self.form = problem, form
        params = problem.params
        self.WT = _pad(np.vstack([params.W.T, params.B]))
        self.M = _pad(params.M[None, :])[0]
        if problem.activation == "sigmoid":  # padding neurons put out logistic(0) = 1/2, at M = 0, so they learn
            self.WT[-1, len(params.B) :] = -1e3
        self.b = np.array([float(params.b)])
        self.rows = problem.sparse_rows()
        self.lifted = np.hstack([problem.X, np.ones((len(problem.X), 1))])
        self.start = hidden(params, problem.X[:_TRACKED], problem.activation)
        self.update_share = 0.5

    def run(self, order: NDArray[np.int32]) -> tuple[int, int, int]:
        p = self.problem
        sigmoid = p.activation == "sigmoid"
        if self._use_cache(len(order)):
            Z, A = self.lifted @ self.WT, np.zeros((len(p.X), len(self.M)))
            gram = self.lifted @ self.lifted.T
            done = kernels.cached(Z, A, self.M, self.b, gram, p.y, order, p.unit, p.beta, p.batch, sigmoid)
            self.WT += self.lifted.T @ A
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

    def measure(self, test: _Test) -> dict[str, float]:
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
    out = np.zeros((K, -(-L // kernels.LANES) * kernels.LANES))
    out[:, :L] = rows
    return out


def _check_params(params: OneHidden) -> OneHidden:
    if not isinstance(params, OneHidden):
        raise ValueError(f"params must be a OneHidden, got {type(params).__name__}")
    W = checks.matrix("params.W", params.W)
    B = checks.vector("params.B", params.B, length=len(W))
    M = checks.vector("params.M", params.M, length=len(W))
    return OneHidden(W, B, M, checks.real("params.b", params.b))
