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
from learnability.errors import RequestError
from learnability.networks.parity import ParityNet
from learnability.problems.parity import MAX_ENUMERATED, ParityMixture
from learnability.training.population.first_step import Correlation, correlation, first_step
from learnability.training.population.gradients import (
    checked,
    gradient,
    hinge_gradient,
    sampled_gradient,
    step_of,
)
from learnability.training.population.monitor import COLUMNS, Example, Monitor, copied
from learnability.training.record import Measure, Measurement, Outcome, Run, record_epochs
from learnability.training.state import State, digests, position, set_position

__all__ = [
    "COLUMNS",
    "Correlation",
    "PopulationRun",
    "correlation",
    "first_step",
    "gradient",
    "sampled_gradient",
    "step_of",
    "train",
]

_CHUNK = 4096
"""Examples drawn at a time for an estimated first step."""


@dataclass(frozen=True, repr=False)
class PopulationRun(Run):
    """A run of :func:`train`.

    Parameters
    ----------
    columns : dict of str to (r,) arrays
        An entry per recorded step:

        - ``step``: updates so far.
        - ``test_loss``, ``test_loss_1``, ``test_loss_2``: hinge loss on D_A, D_A^(1), D_A^(2); ``test_error``,
          ``test_error_1``, ``test_error_2``: 0-1 error, where an output that is 0 up to rounding (1e-13 of
          sum_i abs(u_i) sigma(z_i)) is an error. On the evaluation's inputs.
        - ``output_max`` max_i abs(u_i), ``output_norm`` of u (Lemmas 14, 15); ``hidden_moved``
          max_i norm(w_i - w_i^(1)) and ``bias_moved`` max_i abs(b_i - b_i^(1)) (Lemma 15; NaN at step 0).
        - What Theorem 13 speaks of, with f_t(u) = hinge loss of the output layer u on the t-th features and the t-th
          step's inputs + lambda_t norm(u)^2, as means over the iterates 1..``step`` - 1 (NaN before step 2):
          ``mean_objective`` of f_t(u_t), ``mean_slope`` and ``mean_square_slope`` of the norm of its gradient by u
          and of that norm's square, ``mean_comparator`` of f_t at the fixed comparator (NaN without one).
        - What ``measure`` returned.
    outcome : Outcome
        ``converged`` where every gradient vanished for good (enumerated, lambda = 0, no active input).
    epochs, updates : int
        Both the number of steps made since the very start.
    params : ParityNet
        The final network.
    after_first : ParityNet
        The network after step 1.
    """

    after_first: ParityNet


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
    measure: Measurement | None = None,
    resume: State | None = None,
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
        Updates in all, >= 1; with ``resume`` too they count from the very start.
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
        Steps to record, 0 is the start, and the last; log-spaced by default. Empty: no rows at all.
    evaluate : {"enumerate"} or int, optional
        Inputs for losses and errors: all 2^n, or that many held-out samples of *each* part. By default all for
        n <= 14 and else 4096.
    comparator : array_like, shape (2q,), optional
        A fixed output layer for ``mean_comparator``, Theorem 13's theta*.
    dtype : {float64, float32}
        Of parameters and inputs from step 2 on. Step 1 and the losses of the record are in float64.
    measure : callable (network, step) -> mapping of str to bool, int, float or str, optional
        Your own columns at the recorded steps: called with a copy of the network (a ParityNet) and, if it has such a
        parameter, ``updates``. It is tried once at the start.
    resume : State, optional
        Where an earlier run of the same problem stood (its ``state``, or ``State.load(path)``). This call makes the
        rest of ``steps``: steps, ``record``, ``eta`` and ``lam`` count from the very start (of the latter only what
        is used up must be as it was). Steps later than the state's are recorded; if there are none, the state's own.
        ``rng`` is put where the state left it. All is bit for bit as if the run had never stopped.

    Returns
    -------
    PopulationRun

    Raises
    ------
    ValueError
        If an argument leaves its range, n > 20 is to be enumerated, the start is not the safe one for ``first`` =
        "exact", a generator is missing, ``measure`` does not return plain values by the same names, or ``resume`` is
        of another problem or has more than ``steps`` behind it.
    """
    params = checked(params, problem.n)
    steps = checks.integer("steps", steps, at_least=1)
    etas, lams = _schedule("eta", eta, steps), _schedule("lam", lam, steps)
    layers = checks.choice("layers", layers, ("both", "output"))
    kind = np.dtype(dtype)
    if kind not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise RequestError(f"dtype must be float64 or float32, got {kind}")
    first = _source("first", first, problem, ("exact", "enumerate"))
    later = _source("later", later, problem, ("enumerate",))
    evaluate = _source(
        "evaluate", _default_evaluation(problem) if evaluate is None else evaluate, problem, ("enumerate",)
    )
    stops = set(record_epochs(record, steps).tolist())
    recorded = bool(stops)
    rival = None if comparator is None else checks.vector("comparator", comparator, length=len(params.u)).astype(kind)
    sampled = [isinstance(source, int) for source in (first, later if steps > 1 else "none", evaluate)]
    if any(sampled):
        rng = checks.generator("rng", rng)

    def told(done: int) -> dict[str, str]:
        """What a state after ``done`` steps belongs to."""
        return digests(
            params=params, problem=[problem.n, *problem.support, problem.share], eta=etas[: done - 1],
            lam=lams[: done - 1], first=first, later=later, layers=layers, comparator=rival, dtype=kind.name,
        )  # fmt: skip

    if resume is not None:
        _check(resume, told, steps)
    child = rng.spawn(1)[0] if isinstance(rng, np.random.Generator) else None
    places = {name: of for name, of in (("rng", rng), ("evaluation", child)) if of is not None}
    if resume is not None:
        for name, of in places.items():
            if name in resume.generators:
                set_position(of, resume.generators[name])
    stands = {} if child is None else {"evaluation": position(child)}
    monitor = Monitor(problem.share, Measure(measure, COLUMNS, ("updates",)))

    if resume is None:
        monitor.try_out(0, params)
        monitor.parts = _evaluation(problem, evaluate, child)
        if 0 in stops:
            monitor.record(0, params)
        after_first = monitor.first = _first(params, problem, first, rng)
        net = copied(after_first, kind)
        step, outcome = 1, _outcome(net)
        if 1 in stops:
            monitor.record(1, after_first)
    else:
        net, after_first = (
            ParityNet(*(np.array(resume.arrays[f"{name}{part}"]) for part in ParityNet._fields))
            for name in ("", "first_")
        )
        step, outcome = resume.epoch, resume.outcome
        monitor.first, monitor.sums, monitor.iterates = after_first, np.array(resume.arrays["sums"]), step - 1
        monitor.try_out(step, net if step > 1 else after_first)
        monitor.parts = _evaluation(problem, evaluate, child)
        stops = {stop for stop in stops if stop > step}
        if lams[step - 1 :].any():  # what had come to rest is moved again
            outcome = Outcome.BUDGET_REACHED
    draw = _draws(problem, later, rng, kind) if steps > 1 else None
    with np.errstate(over="ignore", invalid="ignore"):  # divergence is an outcome, not a warning
        while draw is not None and step < steps and outcome is Outcome.BUDGET_REACHED:
            step_size, decay = float(etas[step - 1]), float(lams[step - 1])
            slope = hinge_gradient(net, *draw(), rival)
            if later == "enumerate" and slope.loss == 0 and not lams[step - 1 :].any():
                outcome = Outcome.CONVERGED
                break
            by_W, by_b, by_u = slope.gradient
            by_u += 2 * decay * net.u
            monitor.add(slope, by_u, decay, net.u, rival)
            net.u[...] -= step_size * by_u
            if layers == "both":
                by_W += 2 * decay * net.W
                net.W[...] -= step_size * by_W
                net.b[...] -= step_size * by_b
            step += 1
            outcome = _outcome(net)
            if step in stops and outcome is Outcome.BUDGET_REACHED:
                monitor.record(step, net)
    if recorded and outcome is not Outcome.DIVERGED and monitor.last != step:
        monitor.record(step, net if step > 1 else after_first)
    state = None
    if outcome is not Outcome.DIVERGED:
        arrays = {
            f"{name}{part}": array.copy()
            for name, of in (("", net), ("first_", after_first))
            for part, array in of._asdict().items()
        }
        if rng is not None:
            stands["rng"] = position(rng)
        arrays["sums"] = monitor.sums
        state = State("population", "", told(step), step, step, outcome, arrays, stands)
    return PopulationRun(monitor.columns(), outcome, step, step, net, state, after_first)


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
    return step_of(params, slope)


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
            raise RequestError(f"{name} must be {', '.join(map(repr, words))} or a number of samples, got {value!r}")
        return checks.integer(name, value, at_least=1)
    word = checks.choice(name, value, words)
    if word == "enumerate" and problem.n > MAX_ENUMERATED:
        raise RequestError(
            f"{name} must be a number of samples for n > {MAX_ENUMERATED}, got 'enumerate', n = {problem.n}"
        )
    return word


def _schedule(name: str, value: ArrayLike, steps: int) -> FloatArray:
    """One value for each of the steps 2..steps."""
    if np.ndim(value) == 0:
        return np.full(steps - 1, checks.real(name, value, at_least=0))
    values = checks.vector(name, value, length=steps - 1)
    if (values < 0).any():
        raise RequestError(f"{name} must be >= 0, got {values[values < 0][0]:g}")
    return values


def _check(resume: object, told: Callable[[int], dict[str, str]], steps: int) -> None:
    if not isinstance(resume, State):
        raise RequestError(f"resume must be the state of a run, got {resume!r}")
    done = resume.epoch
    if resume.engine == "population" and steps < done:
        raise RequestError(f"steps must be >= {done}, the steps that resume has behind it, got {steps}")
    resume.check("population", "", told(done), epochs=max(steps, done))


def _outcome(net: ParityNet) -> Outcome:
    """Diverged where a parameter is not finite, or so large that products of a few overflow."""
    limit = float(np.finfo(net.u.dtype).max) ** 0.25
    small = all(float(np.abs(part).max()) < limit for part in net)
    return Outcome.BUDGET_REACHED if small else Outcome.DIVERGED
