"""What surrounds the compiled loops of the engines that visit examples one by one: stops, orders, rows and the state.

An engine runs whole epochs of a given order. Whatever it keeps between two visits it keeps in arrays, and what it
decides on the way (which form is faster, say) it decides at epochs that are fixed beforehand. So a call may end after
any epoch without trace: recording, the budget and going on from a state change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from learnability.errors import RequestError
from learnability.training.orders import visits
from learnability.training.record import Measure, Outcome, record_epochs
from learnability.training.state import State, position, set_position

__all__ = [
    "BUDGET",
    "CONVERGED",
    "DIVERGED",
    "LARGE",
    "NEVER",
    "Driven",
    "Engine",
    "Plan",
    "drive",
    "one_blas_thread",
]

BUDGET, CONVERGED, DIVERGED, LARGE = 0, 1, 2, 3
"""How a loop ended: all epochs run; one made no update; an output that is not finite; or the last epoch left numbers
so large that the engine is asked whether all that it measures is still finite."""
NEVER = 2**62
_ORDER_ENTRIES = 1_000_000  # visits whose order is drawn at a time
_SHARE = 0.04  # of a run's work that rows may take which nobody asked for by name
_OUTCOMES = {BUDGET: Outcome.BUDGET_REACHED, CONVERGED: Outcome.CONVERGED, DIVERGED: Outcome.DIVERGED}
TestT = TypeVar("TestT", contravariant=True)


def one_blas_thread() -> AbstractContextManager[Any]:
    """A context in which BLAS runs on one thread."""
    limited: AbstractContextManager[Any] = _blas().limit(limits=1, user_api="blas")
    return limited


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


class Engine(Protocol[TestT]):
    """A network in training, in whatever form."""

    @property
    def until(self) -> int:
        """The epoch before which the engine decides again how to compute: ``decide`` is called when it is reached."""

    @property
    def doubtful(self) -> bool:
        """Whether the start holds numbers so large that what is measured may not be finite."""

    def decide(self, epoch: int) -> None:
        """Decide how to compute from ``epoch`` on, and until when."""

    def run(self, order: NDArray[np.int32], epochs: int) -> tuple[int, int, int]:
        """Run the first ``epochs`` of an order: epochs run, updates made, how it ended."""

    def settled(self) -> bool:
        """Whether after an epoch without updates there will never be one."""

    def finite(self) -> bool:
        """Whether all that is measured is finite."""

    def measure(self, test: TestT) -> dict[str, float]:
        """The recorded columns but for epoch and updates."""

    def worked(self) -> float:
        """Counted work so far, in whatever unit."""

    def measuring(self, test: TestT) -> float:
        """What ``measure`` would take now, in that unit."""

    def shown(self) -> tuple[Any, dict[str, Any]]:
        """The network now, and what else a user's measurement may ask for: copies."""

    def keep(self) -> dict[str, NDArray[Any]]:
        """Everything that is needed to go on."""

    def take(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``keep`` gave."""


@dataclass(frozen=True)
class Plan(Generic[TestT]):
    """What is asked of a run, checked."""

    name: str
    """Of the engine, for its state."""
    form: str
    problem: Mapping[str, str]
    """Digests of what the trajectory depends on."""
    order: str
    rng: np.random.Generator
    epochs: int
    record: NDArray[np.int64] | None
    """Epochs to record at; None: about 60, as far as they cost little, and the last."""
    test: TestT
    measure: Measure
    columns: Sequence[str]
    resume: State | None

    def __post_init__(self) -> None:
        if self.resume is not None:
            if not isinstance(self.resume, State):
                raise RequestError(f"resume must be a State, got {type(self.resume).__name__}")
            self.resume.check(self.name, self.form, self.problem, epochs=self.epochs)
            set_position(self.rng, self.resume.generators["rng"])


class Driven(NamedTuple):
    """What :class:`learnability.training.record.Run` wants, but for the network."""

    columns: dict[str, NDArray[Any]]
    outcome: Outcome
    epochs: int
    updates: int
    state: State | None


def drive(plan: Plan[TestT], engine: Engine[TestT], m: int) -> Driven:
    """Run an engine until an epoch changes nothing, a number is not finite any more, or the budget is spent."""
    resume = plan.resume
    epoch, updates, status = 0, 0, BUDGET
    recorded = record_epochs(plan.record, plan.epochs)
    stops = np.union1d(recorded, [plan.epochs])
    if resume is not None:
        engine.take(resume.arrays)
        epoch, updates = resume.epoch, resume.updates
        status = CONVERGED if resume.outcome is Outcome.CONVERGED else BUDGET
        stops = stops[stops > epoch] if status == BUDGET else stops[:0]
        stops = stops if len(stops) else np.array([epoch])
    spent = 0.0  # on rows that nobody asked for by name
    probed = _measured(plan, engine, epoch, updates)  # a measurement that fails does so before any work starts
    first = epoch
    orders = _Orders(plan.rng, m, plan.order)
    rows: list[dict[str, Any]] = []
    with np.errstate(over="ignore", invalid="ignore"):
        if resume is None and engine.doubtful and not engine.finite():
            status = DIVERGED
        for stop in stops:
            while epoch < stop and status == BUDGET:
                if epoch == engine.until:
                    engine.decide(epoch)
                count = min(int(stop), engine.until) - epoch
                # not much more than needed: most runs converge long before the next stop
                count = min(count, max(1, _ORDER_ENTRIES // m), max(32, epoch))
                ran, made, status = engine.run(orders.first(count), count)
                orders.done(ran)
                epoch += ran
                updates += made
                if status == LARGE:
                    status = BUDGET if engine.finite() else DIVERGED
                elif status == CONVERGED and not engine.settled():
                    status = BUDGET
            if status == DIVERGED:
                break
            over = status == CONVERGED or stop == stops[-1]
            if plan.record is None and not over:
                price = engine.measuring(plan.test)
                if spent + 2 * price > _SHARE * engine.worked():  # the last row is one more
                    continue
                spent += price
            if not len(recorded):
                if over:
                    break
                continue
            row = {"epoch": epoch, "updates": updates, **engine.measure(plan.test)}
            rows.append({**row, **(probed if epoch == first else _measured(plan, engine, epoch, updates))})
            if status == CONVERGED:
                break
    orders.put_back()
    integers = ("epoch", "updates")
    columns: dict[str, NDArray[Any]] = {
        name: np.array([row[name] for row in rows], dtype=np.int64 if name in integers else np.float64)
        for name in plan.columns
    }
    # the type is that of all values seen, the first among them
    columns |= {name: np.array([value, *(row[name] for row in rows)])[1:] for name, value in probed.items()}
    outcome = _OUTCOMES[status]
    state = None
    if status != DIVERGED:
        generators = {"rng": position(plan.rng)}
        kept = engine.keep()
        state = State(plan.name, plan.form, plan.problem, epoch, updates, outcome, kept, generators)
    return Driven(columns, outcome, epoch, updates, state)


def _measured(plan: Plan[Any], engine: Engine[Any], epoch: int, updates: int) -> dict[str, Any]:
    if plan.measure.function is None:
        return {}
    network, further = engine.shown()
    return plan.measure(network, epoch, updates=updates, **further)


class _Orders:
    """Orders of examples, drawn some epochs ahead of those that are run."""

    def __init__(self, rng: np.random.Generator, m: int, kind: str) -> None:
        self.rng, self.m, self.kind = rng, m, kind
        self.rows = np.empty((0, m), np.int32)
        self.before = rng.bit_generator.state
        self.used = 0  # epochs run since ``before``

    def first(self, epochs: int) -> NDArray[np.int32]:
        """The orders of the next epochs."""
        missing = epochs - len(self.rows)
        if missing > 0:
            if not len(self.rows):
                self.before, self.used = self.rng.bit_generator.state, 0
            drawn = visits(self.rng, self.m, missing, self.kind)
            self.rows = np.concatenate([self.rows, drawn]) if len(self.rows) else drawn
        return self.rows[:epochs]

    def done(self, epochs: int) -> None:
        """Count off the epochs that were run."""
        self.rows = self.rows[epochs:]
        self.used += epochs

    def put_back(self) -> None:
        """Leave the generator where it stood if nothing had been drawn ahead."""
        if len(self.rows) and self.kind != "cyclic":
            self.rng.bit_generator.state = self.before
            self.rng.random(self.used * self.m)
