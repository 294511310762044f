"""Every form of the online engine in a grid of cells, and what auto takes: ``python -m benchmarks.online_cells``.

A cell is a network, a sample, a batch and a stage of the run: *early* are the first visits, *late* those from three
quarters of the run on, each through the engine's own loop (setting up is outside), *whole* is ``online.train`` with
its usual records. Every form that may be taken is timed in alternating windows from the same state and on the same
visits; ``auto`` beside them. The table gives auto's time over that of the fastest form, worst cells first.

Forms are taken for speed only where they agree: from a start with M = 0, b = 0 decisions tie, and only ``frozen`` and
``deviation`` make them as exact arithmetic does, so that there ``direct`` is shown in brackets and not compared.

``pass`` is the floor of ``direct``: the same visits with nothing in them but the sum over the input's rows of the
weights and the update of these rows, by the engine's own loops.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import psutil
from numba import njit
from numpy.typing import NDArray
from rich.console import Console

from benchmarks import common
from benchmarks.common import Samples, alternating, ratio
from learnability import seeding
from learnability.networks.one_hidden import OneHidden, random_init
from learnability.networks.symmetry import symmetry_init
from learnability.problems.symmetry import UniformCube, parity
from learnability.training import online
from learnability.training.drive import BUDGET, LARGE, one_blas_thread
from learnability.training.online import forms
from learnability.training.online.plain import Plain
from learnability.training.online.problem import GRAM_POINTS, Engine, Problem
from learnability.training.orders import example_orders
from learnability.training.vector.rows import add_rows, sum_rows

MINUTES = {"full": 5, "short": 1}
Array = NDArray[Any]


class Cell(NamedTuple):
    """One line of the grid."""

    inputs: str
    n: int
    m: int
    neurons: int
    start: str
    layers: str
    h_power: int
    batch: int

    def __str__(self) -> str:
        return (
            f"{self.start}, {self.layers}, n = {self.n}, {self.m} {self.inputs}, {self.neurons} neurons, "
            f"h = n^-{self.h_power}, batch {self.batch}"
        )

    def problem(self) -> dict[str, Any]:
        """The arguments of ``online.train`` that make it."""
        n, m = self.n, self.m
        rng = seeding.generator(0, "benchmark cells", n, m, self.inputs)
        X = UniformCube(n).sample(rng, m) if self.inputs == "binary" else rng.standard_normal((m, n))
        y = parity(n)(X) if self.inputs == "binary" else np.where(rng.random(m) < 0.5, 1.0, -1.0)
        start = (
            symmetry_init(n)
            if self.start == "symmetry"
            else random_init(seeding.generator(0, "benchmark cells", "start", n), n, self.neurons, self.start)
        )
        h = Fraction(1, n**self.h_power)
        beta = n**3 * h if self.inputs == "binary" else Fraction(1)
        return {
            "params": start, "X": X, "y": y, "h": h, "beta": beta, "layers": self.layers, "batch": self.batch,
        }  # fmt: skip

    def forms(self) -> tuple[str, ...]:
        """Those that may be taken for speed."""
        exact = "frozen" if self.layers == "output" else "deviation"
        if self.start == "symmetry":
            return (exact,)
        if self.layers == "output":
            return (exact, "direct") if self.m <= GRAM_POINTS else ("direct",)
        return ("direct", "cached")


def cells(short: bool) -> list[Cell]:
    """The grid."""
    found = []
    for n in (10, 20, 60):
        for m in (n, 4 * n, n * n):
            for neurons in (n, 4 * n + 2, 16 * n):
                found += [
                    Cell("binary", n, m, neurons, "he", "both", power, batch)
                    for power, batch in ((2, 1), (2, 8), (3, 1), (3, 8))
                ]
            found += [Cell("binary", n, m, 4 * n + 2, "normal", "both", 3, batch) for batch in (1, 64)]
            found += [Cell("normal", n, m, neurons, "he", "both", 2, 1) for neurons in (n, 4 * n + 2)]
            found += [Cell("binary", n, m, 4 * n + 2, "he", "output", 2, batch) for batch in (1, 8)]
            found += [Cell("normal", n, m, n, "he", "output", 2, 1)]
            found += [
                Cell("binary", n, m, 4 * n + 2, "symmetry", layers, 6, batch)
                for layers in ("both", "output")
                for batch in (1, 8)
            ]
    return found[:: 5 if short else 1]


class State(NamedTuple):
    """An engine, and how many epochs it has run."""

    engine: Engine
    epoch: int


def advance(state: State, order: Array) -> tuple[State, int, int]:
    """Run an order as the driver does: the state after, epochs run, updates."""
    engine, epoch = state
    ran = updates = 0
    while ran < len(order):
        if epoch == engine.until:
            engine.decide(epoch)
        length = min(len(order) - ran, engine.until - epoch)
        more, made, status = engine.run(order[ran : ran + length], length)
        ran, epoch, updates = ran + more, epoch + more, updates + made
        if status not in (BUDGET, LARGE):
            break
    return State(engine, epoch), ran, updates


def engine_of(cell: Cell, form: str, start: OneHidden | None = None) -> State:
    """An engine of that form at the cell's start, or at another network."""
    asked = cell.problem()
    params, X, y = asked["params"] if start is None else start, asked["X"], asked["y"]
    batch = asked["batch"]
    problem = Problem(
        params, X, y, asked["h"], Fraction(asked["beta"]), min(batch, len(y)), batch, cell.layers, "relu"
    )
    engine = forms.choose(problem, form)
    if engine.until == 0:
        engine.decide(0)
    return State(engine, 0)


def _window(state: State, order: Array) -> float:
    fresh = State(copy.deepcopy(state.engine), state.epoch)
    begin = time.perf_counter()
    _, ran, _ = advance(fresh, order)
    return 1e6 * (time.perf_counter() - begin) / (ran * order.shape[1])


@njit(cache=True)
def _pass(WT, columns, values, indptr, visits, updated, z, g, L):  # type: ignore[no-untyped-def]
    for at in range(len(visits)):
        i = visits[at]
        sum_rows(WT, z, columns, values, indptr[i], indptr[i + 1], L)
        if updated[at]:
            add_rows(WT, g, columns, values, indptr[i], indptr[i + 1], L)


def _pass_window(engine: Plain, order: Array, share: float) -> float:
    WT, M, _ = engine.network
    _, indptr, columns, values, _ = engine.sample
    visits, both = order.reshape(-1), engine.rule.both
    updated = (np.random.default_rng(0).random(len(visits)) < share) & both
    z, g = np.zeros_like(M), np.zeros_like(M)
    WT = WT.copy()
    begin = time.perf_counter()
    _pass(WT, columns, values, indptr, visits, updated, z, g, len(M))
    return 1e6 * (time.perf_counter() - begin) / len(visits)


class Effort(NamedTuple):
    """How long to measure."""

    visits: int
    """In a window."""
    whole: int
    """In a whole run, at most."""
    windows: int


FULL, SHORT, QUICK = Effort(20_000, 80_000, 5), Effort(20_000, 40_000, 5), Effort(400, 400, 1)


def measure(cell: Cell, effort: Effort) -> list[dict[str, Any]]:
    """The rows of a cell, one a stage."""
    asked, names = cell.problem(), (*cell.forms(), "auto")
    shown = (*names, "direct") if "direct" not in names else names
    m, rng = cell.m, seeding.generator(0, "benchmark cells", "orders", cell.m)
    epochs = max(1, effort.whole // m)
    orders = example_orders(rng, m, epochs)
    # A run by auto, to know how long it is and where it stands at three quarters.
    _, length, _ = advance(engine_of(cell, "auto"), orders)
    begin_late = 3 * length // 4
    late, _, _ = advance(engine_of(cell, "auto"), orders[:begin_late])
    stages = {
        "early": (orders[: min(length, max(1, effort.visits // m))], None, engine_of(cell, "auto")),
        "late": (orders[begin_late:length][: max(1, effort.visits // m)], late.engine.final()[0], late),
    }
    rows = []
    for stage, (order, start, auto) in stages.items():
        if not len(order) or (stage == "late" and begin_late < 8):
            continue
        states = {name: auto if name == "auto" else _state(cell, name, start, auto) for name in shown}
        _, ran, updates = advance(State(copy.deepcopy(auto.engine), auto.epoch), order)
        share = updates / (ran * m)
        loops = {name: (lambda state=state, order=order: _window(state, order)) for name, state in states.items()}
        plain = engine_of(cell, "direct").engine
        loops["pass"] = lambda order=order, share=share, plain=plain: _pass_window(plain, order, share)
        rows.append(_row(cell, stage, share, _timed(loops, effort.windows)))

    def whole(form: str) -> float:
        begin = time.perf_counter()
        run = online.train(
            **asked, rng=seeding.generator(0, "benchmark cells", "orders", m), epochs=epochs, form=form
        )
        return 1e6 * (time.perf_counter() - begin) / (run.epochs * m)

    timed = _timed({name: (lambda name=name: whole(name)) for name in shown}, effort.windows)
    rows.append(_row(cell, "whole", float("nan"), timed))
    return rows


def _timed(loops: dict[str, Callable[[], float]], windows: int) -> dict[str, Samples]:
    """In alternating windows, but for what the first, uncounted call shows to be over three times slower."""
    first = {name: loop() for name, loop in loops.items()}
    least = min(cost for name, cost in first.items() if name != "pass")
    near = {name: loop for name, loop in loops.items() if first[name] < 3 * least or name == "auto"}
    return {name: Samples((cost,)) for name, cost in first.items()} | alternating(near, windows)


def _state(cell: Cell, form: str, start: OneHidden | None, auto: State) -> State:
    """A form at the network where auto stands; the exact forms only begin at the start, so auto's own is taken."""
    if start is not None and form in ("frozen", "deviation"):
        return auto if type(auto.engine) is not Plain else engine_of(cell, form, start)
    return engine_of(cell, form, start)


def _row(cell: Cell, stage: str, share: float, timed: dict[str, Samples]) -> dict[str, Any]:
    best = min(cell.forms(), key=lambda name: timed[name].median)
    found = ratio(timed["auto"], timed[best])
    return {
        "cell": cell._asdict(), "stage": stage, "share": share, "best": best,
        "us": {name: each.median for name, each in timed.items()},
        "ratio": found.ratio, "low": found.low, "high": found.high,
    }  # fmt: skip


def print_table(rows: list[dict[str, Any]], most: int | None, console: Console) -> None:
    rows = sorted(rows, key=lambda row: -row["ratio"])
    lines = []
    for row in rows[:most]:
        cell = Cell(**row["cell"])
        times = [
            ""
            if name not in row["us"]
            else f"{row['us'][name]:.3f}"
            if name in cell.forms()
            else f"({row['us'][name]:.3f})"
            for name in ("frozen", "deviation", "direct", "cached")
        ]
        lines.append((
            str(cell), row["stage"], "" if np.isnan(row["share"]) else f"{row['share']:.0%}", *times,
            f"{row['us']['pass']:.3f}" if "pass" in row["us"] else "", f"{row['us']['auto']:.3f}",
            f"{row['ratio']:.2f} ({row['low']:.2f}, {row['high']:.2f})",
        ))  # fmt: skip
    console.print(
        common.table(
            "Microseconds a visit, worst cells first",
            ("", "stage", "updates", "frozen", "deviation", "direct", "cached", "pass", "auto", "auto / best"),
            lines,
        )
    )
    above = [row for row in rows if row["ratio"] > 1.1]
    sure = [row for row in above if row["low"] > 1.1]
    console.print(
        f"  {len(rows)} rows; auto takes over 1.1 times the fastest form in {len(above)}, for certain (interval) in "
        f"{len(sure)}; median {np.median([row['ratio'] for row in rows]):.3f}"
    )
    share = [row["us"]["direct"] / row["us"]["pass"] for row in rows if "pass" in row["us"]]
    if share:
        low, middle, high = np.quantile(share, [0.05, 0.5, 0.95])
        console.print(f"  direct / pass: median {middle:.2f}, 90 % of rows {low:.2f} to {high:.2f}")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser("online_cells", __doc__, "three cells, one window", "every fifth cell, five windows")
    parser.add_argument("--all", action="store_true", help="print every row, not the worst forty")
    options = common.parse(parser, arguments)
    effort = QUICK if options.quick else SHORT if options.short else FULL
    chosen = cells(options.short)[:: 60 if options.quick else 1]
    console = common.console()
    start = psutil.getloadavg()
    with one_blas_thread():
        rows = [row for cell in chosen for row in measure(cell, effort)]
    report = {"machine": common.machine(), "effort": effort._asdict(), "rows": rows}
    report["load_average"] = {"start": start, "end": psutil.getloadavg()}
    print_table(rows, None if options.all else 40, console)
    console.print(common.described(report["machine"]))
    console.print(common.load(start, report["load_average"]["end"]))
    common.write(report, options.json)
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
