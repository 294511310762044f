r"""Gradient descent on the population of Daniely & Malach's D_A: exact where that can be had, else a stated estimate.

Section 2 and Theorem 3: for t = 1..T, :math:`\theta^{(t)} = \theta^{(t-1)} - \eta_t \partial (L_{D_A} + \lambda_t R)`
with :math:`R = \|u\|^2 + \sum_i \|w_i\|^2`, first :math:`\eta_1 = 1, \lambda_1 = 1/2`, which erases the start,
then :math:`\eta_t = k^2 / (T \sqrt q)` and :math:`\lambda_t \le k/n`. The displayed updates omit the biases; Lemmas
9, 11 and 15 bound their movement, so they are trained, and without decay, as R does not hold them.

- The first step is exact at any n from the safe start (:mod:`learnability.training.population.first_step`). From the
  printed start it is estimated, or enumerated.
- Later steps enumerate all 2^n inputs for n <= 20, or draw fresh examples at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.networks.parity import ParityNet
from learnability.problems.parity import MAX_ENUMERATED, ParityMixture
from learnability.training.population.first_step import Correlation, correlation, first_step
from learnability.training.population.gradients import (
    Slope,
    activations,
    checked,
    gradient,
    hinge_gradient,
    sampled_gradient,
)
from learnability.training.record import Outcome, Record, record_epochs

__all__ = [
    "COLUMNS",
    "Correlation",
    "PopulationRun",
    "correlation",
    "first_step",
    "gradient",
    "sampled_gradient",
    "train",
]

COLUMNS = (
    "step",
    "loss",
    "loss_1",
    "loss_2",
    "error_1",
    "error_2",
    "output_max",
    "output_norm",
    "hidden_moved",
    "bias_moved",
    "mean_objective",
    "mean_slope",
    "mean_square_slope",
    "mean_comparator",
)

_CHUNK = 4096
"""Examples drawn at a time for an estimated first step."""

_ROUNDING = 1e-13
"""Outputs below this part of the sum of their terms' sizes are 0."""

Array = NDArray[Any]
Example = tuple[Array, Array, Array]
"""Inputs, labels and weights that sum to 1."""


@dataclass(frozen=True)
class PopulationRun(Record):
    """Record of one run of :func:`train`.

    Parameters
    ----------
    columns : dict of str to (r,) arrays
        An entry per recorded step:

        - ``step``: updates so far.
        - ``loss``, ``loss_1``, ``loss_2``: hinge loss on D_A, D_A^(1), D_A^(2); ``error_1``, ``error_2``: 0-1 error
          on the parts, where an output that is 0 up to rounding (1e-13 of sum_i abs(u_i) sigma(z_i)) is an error. On
          the evaluation's inputs.
        - ``output_max`` max_i abs(u_i), ``output_norm`` of u (Lemmas 14, 15); ``hidden_moved``
          max_i norm(w_i - w_i^(1)) and ``bias_moved`` max_i abs(b_i - b_i^(1)) (Lemma 15; NaN at step 0).
        - What Theorem 13 speaks of, with f_t(u) = hinge loss of the output layer u on the t-th features and the t-th
          step's inputs + lambda_t norm(u)^2, as means over the iterates 1..``step`` - 1 (NaN before step 2):
          ``mean_objective`` of f_t(u_t), ``mean_slope`` and ``mean_square_slope`` of the norm of its gradient by u
          and of that norm's square, ``mean_comparator`` of f_t at the fixed comparator (NaN without one).
    outcome : Outcome
        ``converged`` where every gradient vanished for good (enumerated, lambda = 0, no active input).
    epochs, updates : int
        Both the number of steps made.
    params : ParityNet
        The final network.
    after_first : ParityNet
        The network after step 1.
    """

    params: ParityNet
    after_first: ParityNet

    def __len__(self) -> int:
        return len(self.columns["step"])


def train(
    params: ParityNet,
    problem: ParityMixture,
    *,
    steps: int,
    eta: ArrayLike,
    lam: ArrayLike = 0.0,
    first: str | int = "exact",
    later: str | int = "enumerate",
    rng: np.random.Generator | None = None,
    layers: str = "both",
    record: Sequence[int] | NDArray[np.int64] | None = None,
    evaluate: str | int | None = None,
    comparator: ArrayLike | None = None,
    dtype: DTypeLike = np.float64,
) -> PopulationRun:
    """Gradient descent from ``params``: the theorem's first step, then ``steps`` - 1 others.

    All parts are updated from the same old iterate. At the kinks the zero subgradient is taken, see
    :mod:`learnability.training.population.gradients`.

    Parameters
    ----------
    params : ParityNet
        The start, 2q units on n inputs.
    problem : ParityMixture
    steps : int
        Updates in all, >= 1.
    eta, lam : float or array_like, shape (steps - 1,)
        Step sizes and regularisers of the steps 2..``steps``, >= 0.
    first : {"exact", "enumerate"} or int
        How step 1 gets its expectation: the closed form (safe start, any n), all 2^n inputs (n <= 20), or that many
        samples.
    later : {"enumerate"} or int
        The same for the other steps; a number of samples is drawn afresh for each.
    rng : numpy.random.Generator, optional
        Needed where anything is sampled. Evaluation draws from a generator spawned off it, so that what is recorded
        does not change the run.
    layers : {"both", "output"}
        What the steps from 2 on train.
    record : sequence of int, optional
        Steps to record, 0 is the start; log-spaced by default. The last one is always recorded.
    evaluate : {"enumerate"} or int, optional
        Inputs for losses and errors: all 2^n, or that many held-out samples of *each* part. By default all for
        n <= 14 and else 4096.
    comparator : array_like, shape (2q,), optional
        A fixed output layer for ``mean_comparator``, Theorem 13's theta*.
    dtype : {float64, float32}
        Of parameters and inputs from step 2 on. Step 1 and the losses of the record are in float64.

    Returns
    -------
    PopulationRun

    Raises
    ------
    ValueError
        If an argument leaves its range, n > 20 is to be enumerated, the start is not the safe one for ``first`` =
        "exact", or a generator is missing.
    """
    params = checked(params, problem.n)
    steps = checks.integer("steps", steps, at_least=1)
    etas, lams = _schedule("eta", eta, steps), _schedule("lam", lam, steps)
    layers = checks.choice("layers", layers, ("both", "output"))
    kind = np.dtype(dtype)
    if kind not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise ValueError(f"dtype must be float64 or float32, got {kind}")
    first = _source("first", first, problem, ("exact", "enumerate"))
    later = _source("later", later, problem, ("enumerate",))
    evaluate = _source(
        "evaluate", _default_evaluation(problem) if evaluate is None else evaluate, problem, ("enumerate",)
    )
    stops = set(record_epochs(record, steps).tolist())
    rival = None if comparator is None else checks.vector("comparator", comparator, length=len(params.u)).astype(kind)
    sampled = [isinstance(source, int) for source in (first, later if steps > 1 else "none", evaluate)]
    if any(sampled):
        rng = checks.generator("rng", rng)
    held_out = _evaluation(problem, evaluate, rng.spawn(1)[0] if isinstance(rng, np.random.Generator) else None)

    monitor = _Monitor(held_out, problem.share)
    if 0 in stops:
        monitor.record(0, params)
    after_first = monitor.first = _first(params, problem, first, rng)
    if 1 in stops:
        monitor.record(1, after_first)
    net = ParityNet(*(np.array(part, dtype=kind) for part in after_first))
    draw = _draws(problem, later, rng, kind) if steps > 1 else None
    outcome, step = _outcome(net), 1
    with np.errstate(over="ignore", invalid="ignore"):  # divergence is an outcome, not a warning
        while draw is not None and step < steps and outcome is Outcome.BUDGET_REACHED:
            step_size, decay = float(etas[step - 1]), float(lams[step - 1])
            slope = hinge_gradient(net, *draw(), rival)
            by_W, by_b, by_u = slope.gradient
            by_u += 2 * decay * net.u
            monitor.add(slope, by_u, decay, net.u, rival)
            if later == "enumerate" and slope.loss == 0 and not lams[step - 1 :].any():
                outcome = Outcome.CONVERGED
                break
            net.u[...] -= step_size * by_u
            if layers == "both":
                by_W += 2 * decay * net.W
                net.W[...] -= step_size * by_W
                net.b[...] -= step_size * by_b
            step += 1
            outcome = _outcome(net)
            if step in stops and outcome is Outcome.BUDGET_REACHED:
                monitor.record(step, net)
    if outcome is Outcome.CONVERGED and monitor.last != step:
        monitor.record(step, net)
    return PopulationRun(monitor.columns(), outcome, step, step, net, after_first)


class _Monitor:
    """Collects the rows of the record and the sums that Theorem 13's means are made of."""

    def __init__(self, held_out: tuple[Example, Example], share: float) -> None:
        self.parts, self.share = held_out, share
        self.first: ParityNet | None = None
        self.sums = np.zeros(4)
        self.iterates = 0
        self.rows: list[tuple[float, ...]] = []

    @property
    def last(self) -> float:
        """The step recorded last."""
        return self.rows[-1][0] if self.rows else -1

    def add(self, slope: Slope, by_u: Array, decay: float, u: Array, rival: Array | None) -> None:
        """One iterate's objective, the gradient by u with its regulariser, and the comparator's objective."""
        square = float(by_u @ by_u)
        other = np.nan if rival is None else slope.other + decay * float(rival @ rival)
        self.sums += (slope.loss + decay * float(u @ u), np.sqrt(square), square, other)
        self.iterates += 1

    def record(self, step: int, params: ParityNet) -> None:
        net = ParityNet(*(np.asarray(part, dtype=np.float64) for part in params))
        (loss_1, error_1), (loss_2, error_2) = (_loss_and_error(net, part) for part in self.parts)
        moved = (np.nan, np.nan)
        if self.first is not None:
            moved = (
                float(np.sqrt(((net.W - self.first.W) ** 2).sum(axis=1).max())),
                float(np.abs(net.b - self.first.b).max()),
            )
        means = self.sums / self.iterates if self.iterates else np.full(4, np.nan)
        sizes = (float(np.abs(net.u).max()), float(np.sqrt(net.u @ net.u)))
        loss = (1 - self.share) * loss_1 + self.share * loss_2
        self.rows.append((step, loss, loss_1, loss_2, error_1, error_2, *sizes, *moved, *means))

    def columns(self) -> dict[str, Array]:
        table = np.array(self.rows, dtype=np.float64).reshape(-1, len(COLUMNS))
        columns: dict[str, Array] = dict(zip(COLUMNS, table.T.copy(), strict=True))
        columns["step"] = columns["step"].astype(np.int64)
        return columns


def _loss_and_error(net: ParityNet, part: Example) -> tuple[float, float]:
    """Hinge loss and 0-1 error under one part's weights, by blocks of inputs.

    An output of 0 is an error. From the safe start the terms of the output cancel, but for rounding; so what is no
    larger than that counts as 0.
    """
    X, y, mass = part
    loss = error = 0.0
    for start in range(0, len(y), _CHUNK):
        block = slice(start, start + _CHUNK)
        H = activations(net, X[block])
        margins = y[block] * (H @ net.u)
        loss += float(mass[block] @ np.maximum(1 - margins, 0))
        error += float(mass[block] @ (margins <= _ROUNDING * (H @ np.abs(net.u))))
    return loss, error


def _first(
    params: ParityNet, problem: ParityMixture, source: str | int, rng: np.random.Generator | None
) -> ParityNet:
    """Step 1: eta = 1 and lambda = 1/2 leave minus the loss's gradient of W and u, and move b by it."""
    if source == "exact":
        return first_step(params, problem)
    if isinstance(source, str):
        slope = gradient(params, problem)[1]
    else:
        slope = ParityNet(*(np.zeros_like(part) for part in params))
        for start in range(0, source, _CHUNK):
            X, y = problem.sample(checks.generator("rng", rng), min(_CHUNK, source - start))
            found = hinge_gradient(params, X, y, np.full(len(y), 1 / source)).gradient
            for total, part in zip(slope, found, strict=True):
                total += part
    return ParityNet(-slope.W, params.b - slope.b, -slope.u)


def _draws(
    problem: ParityMixture, source: str | int, rng: np.random.Generator | None, dtype: np.dtype[Any]
) -> Callable[[], Example]:
    """A function that gives a later step its examples."""
    if isinstance(source, str):
        X, y, p1, p2 = problem.enumerate()
        mass = (1 - problem.share) * p1 + problem.share * p2
        some = mass > 0
        everything = tuple(part[some].astype(dtype, copy=False) for part in (X, y, mass))
        return lambda: everything  # type: ignore[return-value]
    generator, weights = checks.generator("rng", rng), np.full(source, 1 / source, dtype=dtype)
    return lambda: (*problem.sample(generator, source, dtype=dtype), weights)


def _evaluation(
    problem: ParityMixture, source: str | int, rng: np.random.Generator | None
) -> tuple[Example, Example]:
    """Inputs, labels and weights of the two parts."""
    if isinstance(source, str):
        X, y, p1, p2 = problem.enumerate()
        some = p2 > 0
        return (X, y, p1), (X[some], y[some], p2[some])
    generator, weights = checks.generator("rng", rng), np.full(source, 1 / source)
    return (*problem.sample(generator, source, part=1), weights), (
        *problem.sample(generator, source, part=2),
        weights,
    )


def _default_evaluation(problem: ParityMixture) -> str | int:
    return "enumerate" if problem.n <= 14 else 4096


def _source(name: str, value: object, problem: ParityMixture, words: tuple[str, ...]) -> str | int:
    """A way to take an expectation: one of the words, or a number of samples."""
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise ValueError(f"{name} must be {', '.join(map(repr, words))} or a number of samples, got {value!r}")
        return checks.integer(name, value, at_least=1)
    word = checks.choice(name, value, words)
    if word == "enumerate" and problem.n > MAX_ENUMERATED:
        raise ValueError(
            f"{name} must be a number of samples for n > {MAX_ENUMERATED}, got 'enumerate', n = {problem.n}"
        )
    return word


def _schedule(name: str, value: ArrayLike, steps: int) -> FloatArray:
    """One value for each of the steps 2..steps."""
    if np.ndim(value) == 0:
        return np.full(steps - 1, checks.real(name, value, at_least=0))
    values = checks.vector(name, value, length=steps - 1)
    if (values < 0).any():
        raise ValueError(f"{name} must be >= 0, got {values[values < 0][0]:g}")
    return values


def _outcome(net: ParityNet) -> Outcome:
    """Diverged where a parameter is not finite, or so large that products of a few overflow."""
    limit = float(np.finfo(net.u.dtype).max) ** 0.25
    small = all(float(np.abs(part).max()) < limit for part in net)
    return Outcome.BUDGET_REACHED if small else Outcome.DIVERGED
