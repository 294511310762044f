"""The online engine against the loops one would write without it, in one run: ``python -m benchmarks.online``.

What is timed, for n = 20, 30, 60 (4n+2 neurons, both layers, h = n^-6, beta = n^3 h), one thread each:

- The engine over the *whole* run, through ``online.train``: checks, set-up, drawing the orders and recording
  included. Median of ``repeats`` runs.
- Every competitor on the same windows of that run, at the middles of four equal parts of it, started from our
  parameters there (in plain float64) and fed the run's own order of examples; orders are drawn beforehand. A visit
  with an update costs more than one without, and the share of updates changes along a run: the table gives the
  mean over windows, the JSON each window with its share. Per window the median of ``repeats``. A window is as
  long as ``--seconds`` allow. The whole run's time follows by multiplication ("extrapolated"); compiled loops at
  n = 20 and 30 are also measured over the whole run, from its start.
- Compiling and first calls are not timed but reported (``first_call_s``).
- Decisions: each competitor also runs from the start of the run, and the first visit at which it updates and we do
  not, or the reverse, is given. Competitors hold W and M in plain float64, where ties (and at n = 60 the first
  layer's movement) are lost in rounding, so that a difference after some hundred epochs is expected.
"""

from __future__ import annotations

import os

# Before NumPy, JAX and PyTorch are imported: they read these once.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import growth
from benchmarks.common import Parser, machine
from benchmarks.competitors import COMPETITORS, Loop
from benchmarks.runs import PaperRun, Window, windows

FIG2_EPOCHS = {20: 60_000, 30: 60_000, 60: 250_000}
WINDOWS = 4


class Effort(NamedTuple):
    """How long to measure."""

    shorten: int
    repeats: int
    seconds: float
    decision_epochs: int
    whole_runs: tuple[int, ...]


FULL = Effort(1, 3, 4.0, 3000, (20, 30))
QUICK = Effort(50, 1, 0.2, 50, ())


def compare(n: int, effort: Effort, console: Console) -> dict[str, Any]:
    """The engine and all competitors on Fig. 2's run at n."""
    run = PaperRun.at(n, FIG2_EPOCHS[n] // effort.shorten)
    begin = time.perf_counter()
    run.train(2)
    first_call = time.perf_counter() - begin
    timed = {layers: _time_engine(run, layers, effort.repeats) for layers in ("both", "output")}
    ours = timed["both"]
    length, visits = ours["epochs"], ours["epochs"] * n
    at = windows(run, length, WINDOWS)
    decisions = run.decisions(min(effort.decision_epochs, length))
    rows = []
    for name, competitor in COMPETITORS.items():
        if not competitor.installed:
            console.print(f"n = {n}: {competitor.label} skipped: {competitor.needs} is not installed (extra 'bench')")
            continue
        row = {
            "competitor": name,
            "label": competitor.label,
            **_time_windows(competitor.loop, run, at, length, effort),
        }
        theirs = competitor.loop(run.start, run.X, run.y, run.order(0, row["window_epochs"]), *_floats(run)).updated
        compared = min(len(decisions), len(theirs))
        row["visits_compared"] = compared
        row["first_difference"] = _first_difference(decisions[:compared], theirs[:compared])
        row["ratio"] = row["us_per_example"] / ours["us_per_example"]
        row["whole_run_extrapolated_s"] = row["us_per_example"] * visits / 1e6
        if competitor.compiled and n in effort.whole_runs:
            whole = run.order(0, length)
            competitor.loop(run.start, run.X, run.y, whole, *_floats(run))
            row["whole_run_measured_s"] = competitor.loop(run.start, run.X, run.y, whole, *_floats(run)).seconds
            row["whole_run_ratio"] = row["whole_run_measured_s"] / ours["seconds"]
        rows.append(row)
        console.print(f"n = {n}: {competitor.label}: {row['us_per_example']:.3g} us an example", style="dim")
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


def _time_windows(loop: Loop, run: PaperRun, at: list[Window], length: int, effort: Effort) -> dict[str, Any]:
    probe = run.order(at[0].epoch, 2)
    begin = time.perf_counter()
    loop(at[0].params, run.X, run.y, probe, *_floats(run))
    first_call = time.perf_counter() - begin
    per_epoch = loop(at[0].params, run.X, run.y, probe, *_floats(run)).seconds / 2
    room = length // len(at) // 2  # a window starts in the middle of its part
    epochs = int(np.clip(effort.seconds / (len(at) * effort.repeats * per_epoch), 1, max(1, room)))
    loop(at[0].params, run.X, run.y, run.order(at[0].epoch, epochs), *_floats(run))  # JAX compiles for each length
    measured = []
    for window in at:
        order = run.order(window.epoch, epochs)
        results = [loop(window.params, run.X, run.y, order, *_floats(run)) for _ in range(effort.repeats)]
        microseconds = 1e6 * float(np.median([result.seconds for result in results])) / len(order)
        share = float(results[0].updated.mean())
        measured.append({"epoch": window.epoch, "us_per_example": microseconds, "update_share": share})
    mean = float(np.mean([window["us_per_example"] for window in measured]))
    return {"us_per_example": mean, "first_call_s": first_call, "window_epochs": epochs, "windows": measured}


def _floats(run: PaperRun) -> tuple[float, float]:
    return float(run.h), float(run.beta)


def _first_difference(ours: Any, theirs: Any) -> int | None:
    differs = np.flatnonzero(ours != theirs)
    return int(differs[0]) if len(differs) else None


def print_comparison(found: dict[str, Any], effort: Effort, console: Console) -> None:
    n, engine = found["n"], found["engine"]
    both = engine["both"]
    table = Table(
        title=f"n = {n}, both layers, {both['epochs']} epochs, updates at {both['update_share']:.0%} of visits"
    )
    for heading in ("", "us / example", "times this engine", "whole run", "first differing visit"):
        table.add_column(heading, justify="left" if not heading else "right")
    label = f"this engine ({both['outcome'].replace('_', ' ')})"
    table.add_row(label, f"{both['us_per_example']:.3f}", "1", f"{both['seconds']:.3g} s", "")
    for row in found["competitors"]:
        whole = f"~{row['whole_run_extrapolated_s']:.3g} s"
        if "whole_run_measured_s" in row:
            whole = f"{row['whole_run_measured_s']:.3g} s ({row['whole_run_ratio']:.0f}x)"
        difference = row["first_difference"]
        agreed = (
            f"none in {row['visits_compared']}"
            if difference is None
            else f"{difference} (epoch {difference // n + 1})"
        )
        table.add_row(row["label"], f"{row['us_per_example']:.3g}", f"{row['ratio']:.3g}", whole, agreed)
    console.print(table)
    output = engine["output"]
    console.print(
        f"  Last layer only: {output['us_per_example']:.4f} us an example, {output['seconds']:.3g} s to epoch "
        f"{output['epochs']} ({output['outcome'].replace('_', ' ')}). ~: extrapolated from four windows of the run.\n"
    )


def targets(comparisons: list[dict[str, Any]], memory: dict[str, Any]) -> list[dict[str, Any]]:
    """The issue's targets beside what was measured; a target whose competitor is missing is left out."""
    at = {found["n"]: found for found in comparisons}
    ratio = {row["competitor"]: row.get("whole_run_ratio", row["ratio"]) for row in at[30]["competitors"]}
    rows = []
    if "torch_autograd" in ratio:
        rows.append(("PyTorch autograd / engine, Fig. 2(a), at least", 500.0, ratio["torch_autograd"], True))
    jax = [value for name, value in ratio.items() if name.startswith("jax")]
    if jax:
        rows.append(("fastest JAX / engine, Fig. 2(a), at least", 10.0, min(jax), True))
    fig2b = sum(timed["seconds"] for timed in at[60]["engine"].values())
    rows.append(("Fig. 2(b), both settings, seconds, at most", 60.0, fig2b, False))
    rows.append(("peak memory of Fig. 2(b), MB, at most", 300.0, memory["peak_mb"], False))
    return [
        {"target": name, "bound": bound, "measured": value, "met": value >= bound if at_least else value <= bound}
        for name, bound, value, at_least in rows
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = Parser(prog="python -m benchmarks.online", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured to FILE")
    parser.add_argument("--quick", action="store_true", help="runs shortened 50 times, measured once: a smoke test")
    parser.add_argument("--seconds", type=float, help="to measure each competitor, at each n (default 4)")
    options = parser.parse_args(arguments)
    effort = QUICK if options.quick else FULL
    if options.seconds is not None:
        if not options.seconds > 0:
            parser.error(f"--seconds must be > 0, got {options.seconds}")
        effort = effort._replace(seconds=options.seconds)
    if options.json is not None and not options.json.resolve().parent.is_dir():
        parser.error(f"--json: there is no folder {options.json.resolve().parent}")

    console = Console(width=None if sys.stdout.isatty() else 118)
    report: dict[str, Any] = {"machine": machine(), "effort": effort._asdict(), "load_average": {}}
    load = report["load_average"]
    load["start"] = os.getloadavg()
    report["memory"] = growth.memory(FIG2_EPOCHS[60] // effort.shorten)
    report["comparison"] = []
    for n in FIG2_EPOCHS:
        found = compare(n, effort, console)
        report["comparison"].append(found)
        print_comparison(found, effort, console)
        load[f"after n = {n}"] = os.getloadavg()
    report["growth"] = growth.with_n(2000 // effort.shorten, effort.repeats)
    report["batches"] = growth.batches(200_000 // effort.shorten, effort.repeats)
    growth.print_tables(report["growth"], report["batches"], report["memory"], console)
    report["targets"] = targets(report["comparison"], report["memory"])
    load["end"] = os.getloadavg()
    for row in report["targets"]:
        mark = "--" if options.quick else "met" if row["met"] else "MISSED"
        console.print(f"{mark:>6}  {row['target']} {row['bound']:g}: {row['measured']:.4g}")
    if options.quick:
        console.print(
            f"--quick: runs {effort.shorten} times shorter than the paper's; set-up weighs too much for a verdict"
        )
    console.print(
        f"load average {load['start'][0]:.2f} at the start, {load['end'][0]:.2f} at the end, {os.cpu_count()} cores"
    )
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
