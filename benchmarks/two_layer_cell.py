"""One cell of the two-layer benchmark's table: the engine and all competitors on one case."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import Samples, alternating, ratio
from benchmarks.two_layer_competitors import COMPETITORS, ENGINE
from benchmarks.two_layer_rule import Competitor, Run
from benchmarks.two_layer_runs import Case, Whole, Window, whole, window
from learnability.training import two_layer


class Effort(NamedTuple):
    """How long to measure."""

    name: str
    near: float
    """Competitors within this factor of the fastest are timed in alternation with the engine, the others once."""
    rounds: int
    seconds: float
    """For more rounds where they are short."""
    long: float
    """Seconds of a whole run: where it takes more, other forms' and recorded runs are timed in fewer rounds."""


FULL = Effort("full", 1.6, 5, 3.0, 0.5)
SHORT = Effort("short", 1.3, 5, 1.0, 0.2)
QUICK = Effort("quick", 1.3, 2, 0.0, 0.2)
VISITS = {100: 3000, 1000: 300, 5000: 60}
"""Of a window, at widths up to so many."""


class Cost(NamedTuple):
    """What a loop takes: seconds of a visit without an update, and of an update more."""

    visit: float
    update: float

    def of(self, visits: int, updates: int) -> float:
        """Seconds of so many visits, ``updates`` of them with an update."""
        return self.visit * visits + self.update * updates


def cost(first: tuple[float, float], late: tuple[float, float]) -> Cost:
    """From two windows, each its seconds a visit and its share of updates.

    Windows that make an update cheaper than nothing, or differ little in their share of updates, say nothing about
    it: then every visit costs what it does on average.
    """
    (dear, many), (cheap, few) = first, late
    update = (dear - cheap) / (many - few) if abs(many - few) >= 0.1 else 0.0
    if update <= 0:
        return Cost((dear + cheap) / 2, 0.0)
    return Cost(max(cheap - update * few, 0.0), update)


class TooSlow(Exception):
    """A form takes longer than it may."""


def timed(call: Callable[[], Any]) -> float:
    """Seconds of a call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


class Cell:
    """What is timed of one case; ``epochs`` bounds its whole run."""

    def __init__(self, case: Case, epochs: int, effort: Effort, say: Callable[[str], None]) -> None:
        self.case, self.epochs, self.effort, self.say = case, epochs, effort, say
        self.whole: Whole = whole(case, epochs)
        self.run: two_layer.TwoLayerRun = self.whole.run
        m = len(case.y)
        self.count = min(m, next(count for width, count in VISITS.items() if case.width <= width))
        self.windows = {
            "first": window(case, case.start, 0, (m - self.count) // 2, self.count),
            "late": window(case, self.whole.late, self.whole.at, 0, self.count),
        }

    def measure(self) -> dict[str, Any]:
        """Everything, as a line of the file."""
        case, run = self.case, self.run
        m, d = case.X.shape
        rows = {name: self._probed(loop) for name, loop in COMPETITORS.items() if self._applies(loop)}
        near = self._near(rows)
        self.say(f"{case.name}: {len(near)} of {len(rows)} competitors are near: {', '.join(near)}")
        engine = {
            name: {"label": form.label, "first_difference": self.differences(form)} for name, form in ENGINE.items()
        }
        firsts = self._first_epochs(near)
        wholes, recorded = self._whole_runs(near)
        rows = {**engine, **rows}
        for phase, found in (("first", firsts), ("whole", wholes)):
            for name, samples in found.items():
                several = len(samples.values) > 1
                rows[name][phase] = {"seconds": samples.median, "rounds": samples.values, "alternating": several}
        ours = {"first": firsts["auto"], "whole": wholes["auto"]}
        for name, row in rows.items():
            for phase, mine in ours.items():
                if phase in row and name != "auto":
                    samples = Samples(tuple(row[phase]["rounds"]))
                    row[phase]["ratio"] = ratio(samples, mine)._asdict()
        return {
            "cell": case.name,
            "data": case.sample.name,
            "title": case.sample.title,
            "width": case.width,
            "layers": case.layers,
            "dtype": case.dtype,
            "alpha": case.alpha,
            "m": m,
            "d": d,
            "nonzero": float(np.count_nonzero(case.X) / case.X.size),
            "epochs": run.epochs,
            "budget": self.epochs,
            "outcome": str(run.outcome),
            "updates": run.updates,
            "update_share": run.updates / (run.epochs * m),
            "first_update_share": self.whole.first_updates / m,
            "skipped": run.skipped,
            "forms": run.forms,
            "late_epoch": self.whole.at,
            "window_visits": self.count,
            "effort": self.effort.name,
            "rows": rows,
            "recording": {**ratio(recorded, wholes["auto"])._asdict(), "rounds": len(recorded.values)},
        }

    def _applies(self, loop: Competitor) -> bool:
        """Whether a competitor can be timed: installed, and not the dense loop with more to read."""
        if not loop.installed:
            self.say(f"{loop.label} skipped: {loop.needs} is not installed (extra 'bench')")
            return False
        return not loop.sparse or not self.case.X.all()

    def _probed(self, competitor: Competitor) -> dict[str, Any]:
        """A competitor, held to the reference, and timed once on each window."""
        for _ in range(2 if competitor.compiled else 1):  # the first call compiles
            begin = time.perf_counter()
            runs = {phase: self._ran(competitor, window) for phase, window in self.windows.items()}
            spent = time.perf_counter() - begin
        difference = {phase: self._first_difference(competitor, phase, run) for phase, run in runs.items()}
        found = {phase: run.seconds for phase, run in runs.items()}
        outside = (spent - sum(found.values())) / len(found)
        first, total = self._epoch(found), self._total(found)
        return {
            "label": competitor.label,
            "sparse": competitor.sparse,
            "first_difference": difference,
            "outside": outside,
            "first": {"seconds": first, "rounds": [first], "alternating": False},
            "whole": {"seconds": total, "rounds": [total], "alternating": False},
        }

    def _near(self, rows: dict[str, dict[str, Any]]) -> list[str]:
        """The competitors near the fastest of the dense ones in either phase."""
        found = []
        for phase in ("first", "whole"):
            seconds = {name: row[phase]["seconds"] for name, row in rows.items()}
            bound = self.effort.near * min(seconds[name] for name, row in rows.items() if not row["sparse"])
            found += [name for name, spent in seconds.items() if spent <= bound]
        return [name for name in rows if name in found]

    def _first_epochs(self, near: list[str]) -> dict[str, Samples]:
        """The engine and its forms, and the competitors near, over the first epoch; once where a form takes twice."""
        loops = {form: self._engine(1, form=form) for form in ENGINE}
        own = self.case.train(1).forms
        limit = 2 * loops["auto"]()
        once = {form: Samples((loops[form](),)) for form in ENGINE if form != "auto" and not own.get(form)}
        for form, samples in once.items():
            if samples.median > limit:
                del loops[form]
        phases = ("first",) if self.count == len(self.case.y) else ("first", "late")
        for name in near:
            loops[name] = lambda loop=COMPETITORS[name]: self._epoch(self._timed(loop, *phases))
        return once | alternating(loops, self.effort.rounds, self.effort.seconds, warm=False)

    def _whole_runs(self, near: list[str]) -> tuple[dict[str, Samples], Samples]:
        """The engine's whole runs between windows of the competitors near; and with the default records."""
        loops = {"auto": self._engine(self.epochs)}
        for name in near:
            loops[name] = lambda loop=COMPETITORS[name]: self._total(self._timed(loop, *self.windows))
        # where auto ran all epochs in one form, that form is what was timed
        rivals = [form for form in ENGINE if form != "auto" and self.run.forms.get(form) != self.run.epochs]
        rivals = [form for form in rivals if self._keeps_up(form, 2 * self.whole.seconds)]
        further = {form: self._engine(self.epochs, form=form) for form in rivals}
        further["recorded"] = self._engine(self.epochs, record=None)
        rounds = self.effort.rounds
        if self.whole.seconds > self.effort.long:
            found = alternating(loops, rounds, warm=False) | alternating(further, 2, warm=False)
        else:
            found = alternating(loops | further, rounds, self.effort.seconds, warm=False)
        return found, found.pop("recorded")

    def _keeps_up(self, form: str, limit: float) -> bool:
        """Whether a whole run in a form ends within so many seconds; it is given up where it does not."""
        begin = time.perf_counter()

        def watch(network: Any, epoch: int) -> dict[str, float]:
            if time.perf_counter() - begin > limit:
                raise TooSlow
            return {}

        stops = sorted({max(1, self.run.epochs * part // 8) for part in range(1, 8)} | {self.epochs})
        try:
            self.case.train(self.epochs, form=form, record=stops, measure=watch)
        except ValueError as error:
            if not isinstance(error.__cause__, TooSlow):
                raise
            return False
        return True

    def _engine(self, epochs: int, **options: Any) -> Callable[[], float]:
        return lambda: timed(lambda: self.case.train(epochs, **options))

    def _ran(self, loop: Competitor, window: Window) -> Run:
        case = self.case
        return loop.loop(window.start, case.X, case.y, window.visits, case.rule, case.dtype)

    def _timed(self, loop: Competitor, *phases: str) -> dict[str, float]:
        """Seconds of some windows."""
        return {phase: self._ran(loop, self.windows[phase]).seconds for phase in phases}

    def _cost(self, seconds: dict[str, float]) -> Cost:
        first, late = (
            (seconds[phase] / self.count, float(window.updated.mean())) for phase, window in self.windows.items()
        )
        return cost(first, late)

    def _epoch(self, seconds: dict[str, float]) -> float:
        """Seconds of a competitor's first epoch: of all of it, if that is what its window holds."""
        m = len(self.case.y)
        return seconds["first"] if self.count == m else self._cost(seconds).of(m, self.whole.first_updates)

    def _total(self, seconds: dict[str, float]) -> float:
        """Seconds of a competitor's whole run."""
        return self._cost(seconds).of(self.run.epochs * len(self.case.y), self.run.updates)

    def differences(self, loop: Competitor) -> dict[str, int | None]:
        """In each window the first visit at which the reference updates and the loop does not, or the reverse."""
        return {
            phase: self._first_difference(loop, phase, self._ran(loop, window))
            for phase, window in self.windows.items()
        }

    def _first_difference(self, loop: Competitor, phase: str, run: Run) -> int | None:
        window, dtype = self.windows[phase], self.case.dtype
        different = np.flatnonzero(run.updated != window.updated)
        if len(different):
            return int(different[0])
        # The same decisions could still be made with other weights. In float32 a unit whose pre-activation is 0 to
        # within rounding may take the other slope and go its own way from there: a few may.
        units = np.abs(run.params.W - window.end.W).max(axis=1) + np.abs(run.params.v - window.end.v)
        few = 0 if dtype == "float64" else -(-len(units) // 50)
        error = np.sort(units)[-1 - few]
        scale = np.abs(window.end.W).max() + np.abs(window.end.v).max()
        if not error <= (1e-9 if dtype == "float64" else 1e-3) * scale:
            raise RuntimeError(
                f"{loop.label} ({dtype}) makes other updates than the reference: weights differ by {error:g}"
            )
        return None
