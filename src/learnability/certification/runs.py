"""SGD on the training sample, at several widths, within a budget that no clock decides.

Budget. A run is charged for multiply-adds: 2k d for each visit that was evaluated and for each update, and
``VISIT`` for each visit. Every stretch of a run is as many epochs as are sure to fit into what is left, were every
visit evaluated and an update. The widths share the budget equally, from narrow to wide, and what one leaves goes to
the next. A width's first run may use all of its share; another follows if the share still holds twice the
cost of the first. A width of which not one epoch is sure to fit is left out (but not the narrowest).

Examples left out. Where S is not separable, some of its examples are left out of the runs: they are visited as zero
vectors, on which the gradient vanishes. So the order of visits is still one over all positions of S, drawn without a
look at S, and the network is a function of start, order and the examples that caused an update: the compression
scheme of :mod:`learnability.studies.separable.theorems.thm5_compression` holds, with the examples left out among the
unused ones. One that sets the scale is in the compression set though it is left out. Whoever runs SGD again from
that set must be told which these are: list the others, the last of them a second time, then these (if there are no
others, the last of these twice). So the size is one more, for Theorem 5, whose union is over all sequences. Its
sharper form counts sets and does not apply then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.certification.findings import Findings
from learnability.certification.options import Options
from learnability.checks import FloatArray
from learnability.networks.separable import TwoLayer, forward, initial
from learnability.seeding import generator
from learnability.training.record import Outcome
from learnability.training.two_layer import train

__all__ = ["ALL", "BRIEF", "PART", "SgdRun", "sgd_runs"]

ALL, PART = "all", "separable part"
BRIEF = 20
"""Epochs of a run on a sample that is not separable: it would never end."""
VISIT = 64
"""What a visit costs that is skipped."""
UNIT = 1e9


@dataclass(frozen=True)
class SgdRun:
    """One run of SGD, and what came of it."""

    data: str
    """``ALL`` of the training sample, or the separable ``PART`` of it."""
    width: int
    seed: int
    updates: int
    examples_used: int
    train_error: float
    """On the examples that the run saw."""
    test_error: float | None
    """On the test sample, of which nothing is left out; ``None`` if there is none."""
    size: int
    """Theorem 5's c: examples of the training sample that caused an update or set the scale, each counted once; one
    more if some of the latter were left out."""
    setters_left_out: int
    """Examples that set the scale and were left out."""
    unused_error: float
    """Theorem 5's L_V: the error on all others."""
    epochs: int
    outcome: str
    zero_loss: bool
    complete: bool
    """Whether it ended by itself or after a number of epochs fixed in advance, and not by the budget."""
    row_norm: float
    """The largest norm of a row of W_0."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dict(vars(self))


class _Descent(NamedTuple):
    params: TwoLayer
    used: NDArray[np.int64]
    updates: int
    epochs: int
    cost: float
    outcome: Outcome


def sgd_runs(
    found: Findings, options: Options, advance: Callable[[str], None]
) -> tuple[list[SgdRun], tuple[str, ...]]:
    """The runs, and what had to be left out. ``advance`` is called with a few words before each run."""
    n, d = found.X.shape
    runs: list[SgdRun] = []
    notes: list[str] = []
    left = options.budget * UNIT
    for i, width in enumerate(options.widths):
        share = left / (len(options.widths) - i)
        if i and n * (2 * width * d + VISIT) > share:
            notes.append(f"2k = {width} left out: an epoch may cost more than its share of the budget")
            continue
        spent = first = 0.0
        for repeat in range(options.repeats):
            if repeat and (2 * first > share - spent or runs[-1].outcome != Outcome.CONVERGED):
                done = f"{repeat} of {options.repeats} runs"
                notes.append(f"2k = {width}: {done}, as far as its share of the budget goes")
                break
            seed = options.seed + repeat
            advance(f"SGD with 2k = {width:,}, run {repeat + 1} of up to {options.repeats}")
            if not found.kept.all():
                run, cost = _run(found, options, width, seed, ALL, share / 10)
                runs.append(run)
                spent += cost
            if found.kept.any():
                run, cost = _run(found, options, width, seed, ALL if found.kept.all() else PART, share - spent)
                runs.append(run)
                spent += cost
            first = first or spent
        left -= spent
    return runs, tuple(notes)


def _run(found: Findings, options: Options, width: int, seed: int, data: str, budget: float) -> tuple[SgdRun, float]:
    """A run and its cost."""
    start = initial(generator(seed, "certify", "start", width), found.X.shape[1], width // 2)
    whole = data == ALL
    ends = found.kept.all() or not whole
    seen = np.ones(len(found.y), dtype=bool) if whole else found.kept
    rng, most = generator(seed, "certify", "order"), None if ends else BRIEF
    with _left_out(found.X, ~seen):
        done = _descend(start, found.X, found.y, options, rng, budget, most)
    outputs = forward(done.params, found.X, alpha=options.slope)
    wrong = ~(found.y * outputs > 0)
    unused = (done.used == 0) & ~found.setters
    marked = int(np.count_nonzero(found.setters & ~seen))
    converged = done.outcome is Outcome.CONVERGED
    # With the leaky ReLU no gradient means no loss (Proposition 1); a ReLU network may be stuck.
    zero_loss = converged and (options.slope > 0 or bool((found.y * outputs)[seen].min() > 1 - 1e-9))
    tested = None
    if len(found.y_test):
        tested = float(np.mean(~(found.y_test * forward(done.params, found.X_test, alpha=options.slope) > 0)))
    run = SgdRun(
        data=data,
        width=width,
        seed=seed,
        updates=done.updates,
        examples_used=int(np.count_nonzero(done.used)),
        train_error=float(np.mean(wrong[seen])),
        test_error=tested,
        size=int(np.count_nonzero(~unused)) + (marked > 0),
        setters_left_out=marked,
        unused_error=float(np.mean(wrong[unused])) if unused.any() else 0.0,
        epochs=done.epochs,
        outcome=str(done.outcome),
        zero_loss=zero_loss,
        complete=converged or (not ends and done.epochs == BRIEF),
        row_norm=float(np.linalg.norm(start.W, axis=1).max()),
    )
    return run, done.cost


def _descend(
    start: TwoLayer,
    X: FloatArray,
    y: FloatArray,
    options: Options,
    rng: np.random.Generator,
    budget: float,
    most: int | None,
) -> _Descent:
    """SGD until its end, the end of the budget (one epoch is run in any case) or ``most`` epochs."""
    m, d = X.shape
    each = len(start.v) * d
    state = _Descent(start, np.zeros(m, dtype=np.int64), 0, 0, 0.0, Outcome.BUDGET_REACHED)
    while state.outcome is Outcome.BUDGET_REACHED:
        epochs = int((budget - state.cost) / (m * (2 * each + VISIT)))
        if most is not None:
            epochs = min(epochs, most - state.epochs)
        if epochs < 1 and state.epochs:
            break
        epochs = max(epochs, 1)
        run = train(
            state.params, X, y, eta=options.step, alpha=options.slope, rng=rng, epochs=epochs, record=[epochs]
        )
        visits = run.epochs * m
        state = _Descent(
            run.params,
            state.used + run.used,
            state.updates + run.updates,
            state.epochs + run.epochs,
            state.cost + ((1 - run.skipped) * visits + run.updates) * each + VISIT * visits,
            run.outcome,
        )
    return state


@contextmanager
def _left_out(X: FloatArray, hidden: NDArray[np.bool_]) -> Iterator[None]:
    """Zero rows in place of the hidden ones, for as long as the context lasts."""
    rows = X[hidden]
    X[hidden] = 0.0
    try:
        yield
    finally:
        X[hidden] = rows
