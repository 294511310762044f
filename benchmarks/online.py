"""The online engine against the loops one would write without it, in one run: ``python -m benchmarks.online``.

What is timed, for n = 20, 30, 60 (4n+2 neurons, both layers, h = n^-6, beta = n^3 h), one thread each:

- The engine and every competitor on the same stretches of the run, at the middles of four equal parts of it, from the
  engine's state there (competitors: its parameters in plain float64) and in the run's own order of examples; orders
  are drawn beforehand. Alternating windows, at least five of each; the slower a loop, the fewer epochs of the stretch
  it runs. A visit with an update costs more than one without, and the share of updates changes along a run: the table
  gives the mean over the four stretches, and the ratio of medians over rounds with its interval.
- The engine over the *whole* run, through ``online.train``: checks, set-up, drawing the orders and recording
  included. Median of ``repeats`` runs. The competitors' whole runs follow by multiplication ("~"); compiled loops at
  n = 20 and 30 are also measured over the whole run, from its start.
- Compiling and first calls are not timed but reported (``first_call_s``).
- Decisions: each competitor also runs from the start of the run, and the first visit at which it updates and we do
  not, or the reverse, is given. Competitors hold W and M in plain float64, where ties (and at n = 60 the first
  layer's movement) are lost in rounding, so that a difference after some hundred epochs is expected.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import psutil
from rich.console import Console

from benchmarks import common, growth
from benchmarks.common import Samples, alternating, ratio
from benchmarks.competitors import COMPETITORS, Competitor
from benchmarks.online_cells import State, advance
from benchmarks.runs import PaperRun, Window, windows
from learnability.training.online import forms
from learnability.training.online.problem import Problem

MINUTES = {"full": 5, "short": 1}
FIG2_EPOCHS = {20: 60_000, 30: 60_000, 60: 250_000}
WINDOWS, ENGINE = 4, "engine"


class Effort(NamedTuple):
    """How long to measure."""

    shorten: int
    repeats: int
    seconds: float
    """Of a window of a loop, at most."""
    rounds: int
    decision_epochs: int
    whole_runs: tuple[int, ...]


FULL = Effort(1, 3, 0.05, 5, 3000, (20, 30))
SHORT = Effort(10, 3, 0.01, 5, 500, ())
QUICK = Effort(50, 1, 0.01, 1, 50, ())


def compare(n: int, effort: Effort, console: Console) -> dict[str, Any]:
    """The engine and all competitors on Fig. 2's run at n."""
    run = PaperRun.at(n, FIG2_EPOCHS[n] // effort.shorten)
    begin = time.perf_counter()
    run.train(2)
    first_call = time.perf_counter() - begin
    timed = {layers: _time_engine(run, layers, effort.repeats) for layers in ("both", "output")}
    ours = timed["both"]
    length, visits = ours["epochs"], ours["epochs"] * n
    loops = {}
    for name, competitor in COMPETITORS.items():
        if competitor.installed:
            loops[name] = competitor
        else:
            console.print(f"n = {n}: {competitor.label} skipped: {competitor.needs} is not installed (extra 'bench')")
    found, first_calls = _time_windows(run, loops, windows(run, length, WINDOWS), length, effort)
    timed["windows"] = {"us_per_example": found[ENGINE].median, "each": found[ENGINE].values}
    decisions = run.decisions(min(effort.decision_epochs, length))
    rows = []
    for name, competitor in loops.items():
        against = ratio(found[name], found[ENGINE])
        row = {
            "competitor": name, "label": competitor.label, "us_per_example": found[name].median,
            "ratio": against.ratio, "low": against.low, "high": against.high, "first_call_s": first_calls[name],
        }  # fmt: skip
        few = min(len(decisions), max(n, int(effort.rounds * 1e6 * effort.seconds / row["us_per_example"])))
        theirs = competitor.loop(run.start, run.X, run.y, run.order(0, -(-few // n)), *_floats(run)).updated
        compared = min(len(decisions), len(theirs))
        row["visits_compared"] = compared
        row["first_difference"] = _first_difference(decisions[:compared], theirs[:compared])
        row["whole_run_extrapolated_s"] = row["us_per_example"] * visits / 1e6
        if competitor.compiled and n in effort.whole_runs:
            whole = run.order(0, length)
            competitor.loop(run.start, run.X, run.y, whole, *_floats(run))
            row["whole_run_measured_s"] = competitor.loop(run.start, run.X, run.y, whole, *_floats(run)).seconds
        row["whole_run_ratio"] = row.get("whole_run_measured_s", row["whole_run_extrapolated_s"]) / ours["seconds"]
        rows.append(row)
    return {"n": n, "engine": timed, "engine_first_call_s": first_call, "competitors": rows}


def _time_engine(run: PaperRun, layers: str, repeats: int) -> dict[str, Any]:
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        trajectory = run.train(layers=layers)
        seconds.append(time.perf_counter() - begin)
    visits = trajectory.epochs * run.n
    median = float(np.median(seconds))
    return {
        "seconds": median,
        "seconds_each": seconds,
        "epochs": trajectory.epochs,
        "outcome": str(trajectory.outcome),
        "updates": trajectory.updates,
        "update_share": trajectory.updates / visits,
        "us_per_example": 1e6 * median / visits,
    }


def _time_windows(
    run: PaperRun, loops: dict[str, Competitor], at: list[Window], length: int, effort: Effort
) -> tuple[dict[str, Samples], dict[str, float]]:
    """Microseconds a visit of every loop and of the engine, the mean over the stretches in every round."""
    room = max(1, length // len(at) // 2)  # a stretch starts in the middle of its part
    epochs, first_calls = {}, {}
    for name, competitor in loops.items():
        probe = run.order(at[0].epoch, 2)
        begin = time.perf_counter()
        competitor.loop(at[0].params, run.X, run.y, probe, *_floats(run))
        first_calls[name] = time.perf_counter() - begin
        spent = competitor.loop(at[0].params, run.X, run.y, probe, *_floats(run)).seconds / 2
        epochs[name] = int(np.clip(effort.seconds / spent, 1, room))
    problem = Problem(run.start, run.X, run.y, run.h, run.beta, 1, 1, "both", "relu")
    state = State(forms.choose(problem, "auto"), 0)
    stretches = []
    for window in at:
        between = run.order(state.epoch, window.epoch - state.epoch).reshape(-1, run.n)
        state, _, _ = advance(state, between)
        order = run.order(window.epoch, room).reshape(-1, run.n)
        stretches.append(alternating(_loops(run, loops, state, window, order, epochs), effort.rounds))
    return {
        name: Samples(tuple(np.mean([stretch[name].values for stretch in stretches], axis=0).tolist()))
        for name in stretches[0]
    }, first_calls


def _loops(
    run: PaperRun, loops: dict[str, Competitor], state: State, window: Window, order: Any, epochs: dict[str, int]
) -> dict[str, Callable[[], float]]:
    """The engine from its state and the competitors from the network there, on one stretch of the run."""
    here = State(copy.deepcopy(state.engine), state.epoch)

    def engine() -> float:
        fresh = State(copy.deepcopy(here.engine), here.epoch)
        begin = time.perf_counter()
        _, ran, _ = advance(fresh, order)
        return 1e6 * (time.perf_counter() - begin) / (ran * run.n)

    def theirs(name: str) -> float:
        visits = order[: epochs[name]].reshape(-1)
        return 1e6 * loops[name].loop(window.params, run.X, run.y, visits, *_floats(run)).seconds / len(visits)

    return {ENGINE: engine, **{name: partial(theirs, name) for name in loops}}


def _floats(run: PaperRun) -> tuple[float, float]:
    return float(run.h), float(run.beta)


def _first_difference(ours: Any, theirs: Any) -> int | None:
    differs = np.flatnonzero(ours != theirs)
    return int(differs[0]) if len(differs) else None


def print_comparison(found: dict[str, Any], console: Console) -> None:
    n, engine = found["n"], found["engine"]
    both = engine["both"]
    rows = [
        (
            f"this engine ({both['outcome'].replace('_', ' ')})", f"{engine['windows']['us_per_example']:.3f}", "1",
            f"{both['seconds']:.3g} s", "",
        )
    ]  # fmt: skip
    for row in found["competitors"]:
        whole = f"~{row['whole_run_extrapolated_s']:.3g} s"
        if "whole_run_measured_s" in row:
            whole = f"{row['whole_run_measured_s']:.3g} s"
        difference = row["first_difference"]
        agreed = (
            f"none in {row['visits_compared']}"
            if difference is None
            else f"{difference} (epoch {difference // n + 1})"
        )
        times = f"{row['ratio']:.3g} ({row['low']:.3g} to {row['high']:.3g})"
        whole += f" ({row['whole_run_ratio']:.3g}x)"
        rows.append((row["label"], f"{row['us_per_example']:.3g}", times, whole, agreed))
    title = f"n = {n}, both layers, {both['epochs']} epochs, updates at {both['update_share']:.0%} of visits"
    headings = ("", "us / example", "times this engine", "whole run", "first differing visit")
    console.print(common.table(title, headings, rows))
    output = engine["output"]
    console.print(
        f"  The whole run takes {both['us_per_example']:.3f} us an example, set-up and records included; last layer "
        f"only: {output['us_per_example']:.4f}, {output['seconds']:.3g} s to epoch {output['epochs']} "
        f"({output['outcome'].replace('_', ' ')}). ~: extrapolated from four stretches of the run.\n"
    )


def targets(comparisons: list[dict[str, Any]], memory: dict[str, Any]) -> list[dict[str, Any]]:
    """The issue's targets beside what was measured; a target whose competitor is missing is left out."""
    at = {found["n"]: found for found in comparisons}
    times = {row["competitor"]: row["whole_run_ratio"] for row in at[30]["competitors"]}
    rows = []
    if "torch_autograd" in times:
        rows.append(("PyTorch autograd / engine, Fig. 2(a), at least", 500.0, times["torch_autograd"], True))
    jax = [value for name, value in times.items() if name.startswith("jax")]
    if jax:
        rows.append(("fastest JAX / engine, Fig. 2(a), at least", 10.0, min(jax), True))
    fig2b = sum(at[60]["engine"][layers]["seconds"] for layers in ("both", "output"))
    rows.append(("Fig. 2(b), both settings, seconds, at most", 60.0, fig2b, False))
    rows.append(("peak memory of Fig. 2(b), MB, at most", 300.0, memory["peak_mb"], False))
    return [
        {"target": name, "bound": bound, "measured": value, "met": value >= bound if at_least else value <= bound}
        for name, bound, value, at_least in rows
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser(
        "online", __doc__, "runs shortened 50 times, measured once", "runs shortened ten times, short windows"
    )
    parser.add_argument("--seconds", type=float, help="of a competitor's window (default 0.05)")
    options = common.parse(parser, arguments)
    effort = QUICK if options.quick else SHORT if options.short else FULL
    if options.seconds is not None:
        if not options.seconds > 0:
            parser.error(f"--seconds must be > 0, got {options.seconds}")
        effort = effort._replace(seconds=options.seconds)
    console, start = common.console(), psutil.getloadavg()
    report: dict[str, Any] = {"machine": common.machine(), "effort": effort._asdict()}
    report["memory"] = growth.memory(FIG2_EPOCHS[60] // effort.shorten)
    report["comparison"] = []
    for n in FIG2_EPOCHS:
        found = compare(n, effort, console)
        report["comparison"].append(found)
        print_comparison(found, console)
    used = report["memory"]
    console.print(
        f"Memory of Fig. 2(b), both settings: peak {used['peak_mb']:.0f} MB, of which "
        f"{used['imports_and_kernels_mb']:.0f} MB are there before the run (Python {used['interpreter_mb']:.0f}, "
        f"with NumPy and Numba {used['numpy_and_numba_mb']:.0f}, with this package and its kernels the rest).\n"
    )
    report["targets"] = targets(report["comparison"], report["memory"])
    report["load_average"] = {"start": start, "end": psutil.getloadavg()}
    for row in report["targets"]:
        mark = "met" if row["met"] else "MISSED"
        mark = "--" if options.quick or options.short else mark
        console.print(f"{mark:>6}  {row['target']} {row['bound']:g}: {row['measured']:.4g}")
    if effort.shorten > 1:
        console.print(f"Runs {effort.shorten} times shorter than the paper's: set-up weighs too much for a verdict")
    console.print(common.described(report["machine"]))
    console.print(common.load(start, report["load_average"]["end"]))
    common.write(report, options.json)
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
