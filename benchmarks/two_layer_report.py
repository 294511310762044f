"""Tables, targets and peak memory of the two-layer benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.two_layer_runs import Case

PHASES = {"first": "first epoch", "late": "late phase", "whole": "whole run"}
TARGET_WIDTH = 1000
"""2k at which the issue states its targets."""

_MEMORY = """
import resource, sys
def peak():
    try:
        line = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))
        return int(line.split()[1]) / 1e3 * 1.024
    except (OSError, StopIteration):
        unit = 1 if sys.platform == 'darwin' else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
import numpy as np
from learnability.networks.separable import TwoLayer
from learnability.training.two_layer import train
file, form, dtype, epochs = sys.argv[1:]
with np.load(file) as arrays:
    W, v, X, y = (arrays[name] for name in ('W', 'v', 'X', 'y'))
    rule = dict(eta=float(arrays['eta']), alpha=float(arrays['alpha']), layers=str(arrays['layers']))
def run(m, epochs):
    train(TwoLayer(W[:2], v[:2]) if m < len(y) else TwoLayer(W, v), X[:m], y[:m], **rule,
          rng=np.random.default_rng(0), epochs=epochs, form=form, dtype=dtype)
run(2, 1)
ready = peak()
run(len(y), int(epochs))
print(ready, peak())
"""


def memory(case: Case, epochs: int) -> dict[str, Any]:
    """Peak resident memory, in MB, of fresh processes that hold a case's arrays and train in each form.

    ``ready_mb`` is the peak before the run, with modules, kernels, sample and start in place. Read as VmHWM where
    there is a /proc (``ru_maxrss`` outlives exec on Linux), else as ``ru_maxrss``.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "case.npz"
        start = case.start
        np.savez(file, W=start.W, v=start.v, X=case.X, y=case.y, **case.rule._asdict())
        for form, dtype in (("direct", "float64"), ("blocked", "float64"), ("blocked", "float32")):
            command = [sys.executable, "-c", _MEMORY, str(file), form, dtype, str(epochs)]
            done = subprocess.run(command, env=os.environ, check=True, capture_output=True, text=True)
            ready, peak = map(float, done.stdout.split())
            rows.append({"form": form, "dtype": dtype, "ready_mb": ready, "peak_mb": peak})
    return {"data": case.sample.name, "width": case.width, "epochs": epochs, "rows": rows}


def targets(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The issue's targets beside what was measured, first layer at 2k = 1000, float64; empty without that width."""
    found = []
    for case in cases:
        if case["width"] != TARGET_WIDTH or case["layers"] != "first":
            continue
        at = {row["name"]: row for row in case["rows"] if row["dtype"] == "float64"}
        wanted = (
            ("torch_autograd", 12.0, "PyTorch autograd"),
            ("plain", 5.0, "plain compiled loop"),
            ("plain_fastmath", 5.0, "plain compiled loop, fastmath"),
        )
        for name, bound, label in wanted:
            for phase in PHASES if name in at else ():
                found.append((case["data"], f"{label} / engine, {PHASES[phase]}", bound, at[name][phase]["ratio"]))
        late = at["auto"]["late"]
        found.append((case["data"], "effective rate / product, late phase", 0.5, late["effective_rate"]))
        found.append((case["data"], "evaluated rate / product, late phase", 0.5, late["evaluated_rate"]))
    return [
        {"data": data, "target": name, "at_least": bound, "measured": value, "met": bool(value >= bound)}
        for data, name, bound, value in found
    ]


def markdown(report: dict[str, Any]) -> str:
    """Everything measured, as Markdown."""
    parts = ["# Two-layer engine beside other loops", _conditions(report)]
    for case in report["cases"]:
        layers = "first layer" if case["layers"] == "first" else "both layers"
        parts.append(f"## {case['title']}: m = {case['m']}, d = {case['d']}, 2k = {case['width']}, {layers}")
        parts.append(_described(case))
        parts.append(_times(case))
        parts.append(_rates(case))
    parts.append("## Peak memory")
    parts.append(_memory_table(report["memory"]))
    if report["targets"]:
        parts.append(f"## Targets (2k = {TARGET_WIDTH}, first layer, float64)")
        rows = [
            [row["data"], row["target"], f"{row['at_least']:g}", f"{row['measured']:.3g}", _met(row, report)]
            for row in report["targets"]
        ]
        parts.append(table(["data", "", "at least", "measured", ""], rows))
    return "\n\n".join(parts) + "\n"


def _met(row: dict[str, Any], report: dict[str, Any]) -> str:
    return "–" if report["quick"] else "met" if row["met"] else "missed"


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose columns also line up as plain text, the first to the left."""
    sizes = [max(3, *(len(row[column]) for row in [headings, *rows])) for column in range(len(headings))]

    def line(cells: list[str]) -> str:
        padded = [cells[0].ljust(sizes[0]), *(c.rjust(size) for c, size in zip(cells[1:], sizes[1:], strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * sizes[0], *("-" * (size - 1) + ":" for size in sizes[1:])]
    return "\n".join([line(headings), line(rule), *map(line, rows)])


def _conditions(report: dict[str, Any]) -> str:
    computer, load = report["machine"], report["load_average"]
    versions = ", ".join(f"{name} {computer[name]}" for name in ("numpy", "numba", "torch", "jax") if computer[name])
    text = (
        f"{computer['cpu']}, {computer['cores']} cores, one thread each; Python {computer['python']}, {versions}. "
        f"Load average {load['start'][0]:.2f} at the start, {load['end'][0]:.2f} at the end; "
        f"{report['seconds']:.0f} s in all."
    )
    return text + (" **`--quick`: a smoke test; none of these numbers means anything.**" if report["quick"] else "")


def _described(case: dict[str, Any]) -> str:
    runs = [row for row in case["rows"] if row["name"] == "auto"]
    lengths = "; ".join(
        f"{row['dtype']} {str(row['whole']['outcome']).replace('_', ' ')} after {row['whole']['epochs']} epochs, "
        f"{row['whole']['updates']} updates, {row['whole']['seconds']:.3g} s "
        f"({', '.join(f'{count} epochs {form}' for form, count in row['whole']['forms'].items() if count)})"
        for row in runs
    )
    rates = ", ".join(f"{rate:.1f} ({dtype})" for dtype, rate in case["product_gflops"].items())
    shares = ", ".join(f"{PHASES[phase]} {runs[0][phase]['update_share']:.1%}" for phase in PHASES)
    return (
        f"Inputs {case['nonzero']:.0%} non-zero. Engine's run: {lengths}. Updates per visit: {shares}. Late phase: "
        f"from epoch {case['late_epoch']}, mean hinge loss {case['late_hinge_loss']:.2g}. Competitors: windows of "
        f"{case['window_visits']} visits, whole runs (~) extrapolated from them. One matrix product: {rates} "
        f"Gflop/s. Ratios to `auto` in the same arithmetic."
    )


def _times(case: dict[str, Any]) -> str:
    headings = ["µs a visit", "arithmetic"]
    for phase in PHASES.values():
        headings += [phase, "ratio"]
    headings += ["whole run, s", "updates"]
    rows = []
    for row in case["rows"]:
        cells = [row["label"], row["dtype"]]
        for phase in PHASES:
            mark = "~" if row.get(phase, {}).get("extrapolated") else ""
            cells += (
                [f"{mark}{row[phase]['us_per_visit']:.3g}", f"{row[phase]['ratio']:.3g}"]
                if phase in row
                else ["–"] * 2
            )
        whole = row.get("whole")
        cells.append(f"{'~' if whole.get('extrapolated') else ''}{whole['seconds']:.3g}" if whole else "–")
        rows.append([*cells, _agreement(row["first_difference"])])
    return table(headings, rows)


def _agreement(differences: dict[str, int | None]) -> str:
    found = [f"{PHASES[phase]}: visit {visit}" for phase, visit in differences.items() if visit is not None]
    return "differ at " + ", ".join(found) if found else "the reference's"


def _rates(case: dict[str, Any]) -> str:
    headings = ["rate / matrix product", "arithmetic"]
    for phase in PHASES.values():
        headings += [f"{phase}: effective", "evaluated", "visits evaluated"]
    rows = []
    for row in case["rows"]:
        if "effective_rate" not in row["first"]:
            continue
        cells = [row["label"], row["dtype"]]
        for phase in PHASES:
            at = row.get(phase)
            cells += (
                [f"{at['effective_rate']:.3g}", f"{at['evaluated_rate']:.3g}", f"{at['evaluated_share']:.0%}"]
                if at
                else ["–"] * 3
            )
        rows.append(cells)
    return table(headings, rows)


def _memory_table(used: dict[str, Any]) -> str:
    rows = [[row["form"], row["dtype"], f"{row['peak_mb']:.0f}", f"{row['ready_mb']:.0f}"] for row in used["rows"]]
    where = f"A process that trains on {used['data']}, 2k = {used['width']}, for {used['epochs']} epochs:"
    return where + "\n\n" + table(["form", "arithmetic", "peak, MB", "of which before the run"], rows)
