"""The two-layer engine against the loops one would write without it, in one run: ``python -m benchmarks.two_layer``.

3,000 MNIST images of 3 and 5 (scikit-learn's 8x8 digits where MNIST is not there; ``LEARNABILITY_DATA`` names its
folder), of which 80 % of the entries are zeros, and a dense planted set of the same size. 2k = 10, 100 and 1000
neurons, alpha = eta = 0.1, the first layer trained (both layers at one width). One thread each, float64 and float32.

What is timed:

- The engine, through ``two_layer.train`` with everything it does (checks, set-up, orders, one record at the end):
  the *first epoch*; the *whole run* to zero loss, of ``auto``, and of the other forms where it is short; the *late
  phase*, up to ``--late`` epochs of the run's second half, after some epochs in which the engine learns which
  examples it may skip: the difference of two runs from the network at half of the run (trained in float32, which
  takes half the time), with the timed epochs and without.
- The competitors over short windows, each the same visits for all: the middle of the first epoch, and the late
  phase's beginning. Before anything is timed each one, and each of the engine's forms, makes the window's visits, and
  its updates are compared with the reference's. Their whole runs are extrapolated: the two windows give a cost for
  each visit and one for each update, and the engine's run says how many there are of each.
- A competitor's compiling, and its first call, are not timed.

Rates: a visit's forward product in the plain algorithm takes 2 d 2k operations. Counting it for every visit gives the
*effective* rate, which can exceed what the machine can multiply, since most visits are skipped; counting it for those
evaluated gives the other. Both as fractions of what one product, (512 x 784) (784 x 1000), reached just before.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import Parser, machine
from benchmarks.two_layer_competitors import COMPETITORS, ENGINE, Competitor
from benchmarks.two_layer_report import markdown, memory, targets
from benchmarks.two_layer_runs import (
    Case,
    Sample,
    Window,
    evaluated,
    first_window,
    images,
    late_window,
    planted,
)
from learnability.networks.separable import TwoLayer
from learnability.training import two_layer
from learnability.training.drive import one_blas_thread

DTYPES = ("float64", "float32")
PRODUCT = (512, 784, 1000)


class Effort(NamedTuple):
    """How long to measure."""

    widths: tuple[int, ...]
    both: int
    """Width at which both layers are trained too, on the images."""
    budget: int
    """Epochs after which a run is given up."""
    visits: int
    """Of a competitor's window."""
    seconds: float
    """For repeating a competitor's window, or the engine's late phase."""
    repeats: int
    """So many at least; of the engine's first epoch and whole run so many at most."""
    settle: int
    late: int
    """Epochs of the engine's late phase; ``settle`` go before them untimed. Fewer where the run is short."""
    whole: float
    """Where ``auto`` takes fewer seconds for its whole run, it is repeated, and the other forms' are timed too."""


FULL = Effort((10, 100, 1000), 100, 20_000, 300, 0.2, 2, 8, 32, 1.0)
QUICK = Effort((4, 16), 4, 400, 40, 0.01, 1, 2, 6, 0.1)


def product_rate(dtype: str) -> float:
    """Operations a second of one matrix product on one thread: the median of twenty."""
    rng = np.random.default_rng(0)
    rows, inner, columns = PRODUCT
    A, B = rng.standard_normal((rows, inner)).astype(dtype), rng.standard_normal((inner, columns)).astype(dtype)
    out = np.empty((rows, columns), dtype)
    with one_blas_thread():
        seconds = [timed(lambda: np.dot(A, B, out=out))[0] for _ in range(22)][2:]
    return 2 * rows * inner * columns / float(np.median(seconds))


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


def compare(case: Case, effort: Effort, say: Callable[[str], None]) -> dict[str, Any]:
    """The engine and all competitors on one case."""
    for form in ("direct", "blocked"):  # loads the compiled kernels
        for dtype in DTYPES:
            case.train(1, form=form, dtype=dtype)
    rates = {dtype: product_rate(dtype) for dtype in DTYPES}
    wholes = {dtype: timed(lambda dtype=dtype: case.train(effort.budget, dtype=dtype)) for dtype in DTYPES}
    length = wholes["float64"][1].epochs
    half = length // 2
    effort = effort._replace(
        settle=min(effort.settle, (length - half) // 4), late=max(1, min(effort.late, (length - half) // 2))
    )
    middle = case.train(half, dtype="float32").params
    settled = case.train(effort.settle, middle, half)
    windows = {
        "first": first_window(case, effort.visits),
        "late": late_window(case, half + settled.epochs, settled.params, effort.visits),
    }
    rows = []
    for name, form in ENGINE.items():
        for dtype in DTYPES:
            row = _engine_row(case, name, dtype, (middle, half), wholes[dtype], effort)
            for phase in ("first", "late", "whole"):
                if phase in row:
                    share = row[phase]["us_per_visit"] * 1e-6 * rates[dtype] / case.flops
                    row[phase]["effective_rate"] = 1 / share
                    row[phase]["evaluated_rate"] = row[phase]["evaluated_share"] / share
            rows.append({"label": form.label, **row, "first_difference": _differences(form, case, windows, dtype)})
        say(f"{form.label}: {row['late']['us_per_visit']:.3g} us a visit in the late phase, {dtype}")
    for name, competitor in COMPETITORS.items():
        if not competitor.installed:
            say(f"{competitor.label} skipped: {competitor.needs} is not installed (extra 'bench')")
            continue
        for dtype in DTYPES:
            row = _competitor_row(name, competitor, case, windows, dtype, wholes[dtype][1], effort)
            rows.append(row)
        say(f"{competitor.label}: {row['late']['us_per_visit']:.3g} us a visit in the late phase, {dtype}")
    ours = {row["dtype"]: row for row in rows if row["name"] == "auto"}
    for row in rows:
        for phase in ("first", "late", "whole"):
            if phase in row:
                row[phase]["ratio"] = row[phase]["us_per_visit"] / ours[row["dtype"]][phase]["us_per_visit"]
    m, d = case.X.shape
    return {
        "data": case.sample.name,
        "title": case.sample.title,
        "m": m,
        "d": d,
        "nonzero": float(np.count_nonzero(case.X) / case.X.size),
        "width": case.width,
        "layers": case.layers,
        "product_gflops": {dtype: rate / 1e9 for dtype, rate in rates.items()},
        "late_epoch": windows["late"].epoch,
        "late_hinge_loss": settled.final("train_loss"),
        "window_visits": len(windows["first"].visits),
        "rows": rows,
    }


def _engine_row(
    case: Case,
    form: str,
    dtype: str,
    middle: tuple[TwoLayer, int],
    whole: tuple[float, two_layer.Run],
    effort: Effort,
) -> dict[str, Any]:
    how = {"form": form, "dtype": dtype}
    firsts = [timed(lambda: case.train(1, **how)) for _ in range(effort.repeats)]
    seconds = float(np.median([spent for spent, _ in firsts]))
    row = {"name": form, "dtype": dtype, "first": _phase(case, seconds, firsts[0][1])}
    row["late"] = _late(case, middle, how, effort)
    runs = [whole] if form == "auto" else []
    while whole[0] < effort.whole and len(runs) < effort.repeats:
        runs.append(timed(lambda: case.train(effort.budget, **how)))
    if runs:
        seconds = float(np.median([spent for spent, _ in runs]))
        row["whole"] = {
            **_phase(case, seconds, runs[0][1]),
            "seconds": seconds,
            "epochs": runs[0][1].epochs,
            "updates": runs[0][1].updates,
            "outcome": str(runs[0][1].outcome),
            "forms": runs[0][1].forms,
        }
    return row


def _phase(case: Case, seconds: float, run: two_layer.Run) -> dict[str, Any]:
    visits = run.epochs * len(case.y)
    return {
        "us_per_visit": 1e6 * seconds / visits,
        "update_share": run.updates / visits,
        "evaluated_share": evaluated(run, len(case.y)) / visits,
    }


def _late(case: Case, middle: tuple[TwoLayer, int], how: dict[str, str], effort: Effort) -> dict[str, Any]:
    """What the epochs after the first few cost, from a late network on: the difference of two runs."""
    m = len(case.y)
    shorter: list[float] = []
    longer: list[float] = []
    while len(longer) < effort.repeats or (sum(longer) < effort.seconds and len(longer) < 15):
        spent, before = timed(lambda: case.train(effort.settle, *middle, **how))
        shorter.append(spent)
        spent, after = timed(lambda: case.train(effort.settle + effort.late, *middle, **how))
        longer.append(spent)
    seconds = float(np.median(longer) - np.median(shorter))
    if seconds <= 0:  # lost in noise: at most
        seconds = float(np.median(longer))
    visits = (after.epochs - before.epochs) * m
    if visits == 0:
        raise RuntimeError(f"2k = {case.width}: no late phase, the run ends {before.epochs} epochs after its half")
    return {
        "us_per_visit": 1e6 * seconds / visits,
        "update_share": (after.updates - before.updates) / visits,
        "evaluated_share": (evaluated(after, m) - evaluated(before, m)) / visits,
        "epochs": after.epochs - before.epochs,
    }


def _differences(loop: Competitor, case: Case, windows: dict[str, Window], dtype: str) -> dict[str, int | None]:
    """The first visit of each window at which the reference updates and the loop does not, or the reverse."""
    return {phase: _first_difference(loop, case, window, dtype) for phase, window in windows.items()}


def _first_difference(loop: Competitor, case: Case, window: Window, dtype: str) -> int | None:
    run = loop.loop(window.start, case.X, case.y, window.visits, case.rule, dtype)
    different = np.flatnonzero(run.updated != window.updated)
    if len(different):
        return int(different[0])
    # the same decisions could still be made with other weights
    error = np.abs(run.params.W - window.end.W).max() + np.abs(run.params.v - window.end.v).max()
    scale = np.abs(window.end.W).max() + np.abs(window.end.v).max()
    if not error <= (1e-9 if dtype == "float64" else 1e-3) * scale:
        raise RuntimeError(
            f"{loop.label} ({dtype}) makes other updates than the reference: weights differ by {error:g}"
        )
    return None


def _competitor_row(
    name: str,
    competitor: Competitor,
    case: Case,
    windows: dict[str, Window],
    dtype: str,
    whole: two_layer.Run,
    effort: Effort,
) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "label": competitor.label, "dtype": dtype}
    row["first_difference"] = _differences(competitor, case, windows, dtype)
    for phase, window in windows.items():
        seconds: list[float] = []
        while len(seconds) < effort.repeats or (sum(seconds) < effort.seconds and len(seconds) < 25):
            run = competitor.loop(window.start, case.X, case.y, window.visits, case.rule, dtype)
            seconds.append(run.seconds)
        microseconds = 1e6 * float(np.median(seconds)) / len(window.visits)
        row[phase] = {"us_per_visit": microseconds, "update_share": float(run.updated.mean())}
    visits = whole.epochs * len(case.y)
    total = extrapolated(row["first"], row["late"], visits, whole.updates)
    row["whole"] = {"us_per_visit": total / visits, "seconds": total / 1e6, "extrapolated": True}
    return row


def extrapolated(first: dict[str, float], late: dict[str, float], visits: int, updates: int) -> float:
    """Microseconds of so many visits, ``updates`` of them with an update, from two windows.

    A visit costs a, an update b >= 0 more. Windows that give b < 0, or differ little in their share of updates, say
    nothing about b: then every visit costs what it does on average.
    """
    between = first["update_share"] - late["update_share"]
    more = first["us_per_visit"] - late["us_per_visit"]
    if abs(between) < 0.1 or more / between < 0:
        return visits * (first["us_per_visit"] + late["us_per_visit"]) / 2
    b = more / between
    a = max(late["us_per_visit"] - b * late["update_share"], 0.0)
    return a * visits + b * updates


def cases(effort: Effort, quick: bool) -> list[Case]:
    """First layer at every width on both samples, and both layers at one on the images."""
    pictures: Sample = images(quick)
    found = [Case(sample, width, "first") for sample in (pictures, planted(quick)) for width in effort.widths]
    return [*found, Case(pictures, effort.both, "both")]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = Parser(prog="python -m benchmarks.two_layer", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured to FILE")
    parser.add_argument("--quick", action="store_true", help="small networks and samples, timed once: a smoke test")
    parser.add_argument("--late", type=int, help=f"epochs of the engine's late phase (default {FULL.late})")
    options = parser.parse_args(arguments)
    effort = QUICK if options.quick else FULL
    if options.late is not None:
        if options.late < 1:
            parser.error(f"--late must be >= 1, got {options.late}")
        effort = effort._replace(late=options.late)
    if options.json is not None and not options.json.resolve().parent.is_dir():
        parser.error(f"--json: there is no folder {options.json.resolve().parent}")

    begin = time.perf_counter()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - begin:4.0f} s] {text}", file=sys.stderr, flush=True)

    report: dict[str, Any] = {"machine": machine(), "effort": effort._asdict(), "quick": options.quick}
    report["load_average"] = {"start": os.getloadavg()}
    todo = cases(effort, options.quick)
    report["memory"] = memory(todo[len(effort.widths) - 1], 3)
    report["cases"] = []
    for case in todo:
        say(f"{case.sample.name}, 2k = {case.width}, {case.layers}")
        report["cases"].append(compare(case, effort, say))
    report["load_average"]["end"] = os.getloadavg()
    report["seconds"] = time.perf_counter() - begin
    report["targets"] = targets(report["cases"])
    print(markdown(report))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
