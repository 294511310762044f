"""Grid training of the three-layer ResNet against other ways to write it: ``python -m benchmarks.residual_grid``.

3resnet (all) on the target of Section 8.1: d = 30, k = 15, 500 examples, batches of 50, SGD with momentum 0.9 and
weight decay, float32. 32 runs, 8 learning rates times 4 decays (rates at which nothing diverges: this library would
drop what does, the others would not), from one start on the same batches, one thread each. Timed in turns, the
median of the repeats, over a few epochs (the wider the fewer) with all that a loop does but its first call:

- ``engine``: :func:`learnability.training.grid.train`, made for these networks;
- ``minibatch``, ``minibatch_runs``: :func:`learnability.training.minibatch.train`, made for any model, all runs
  together and one by one;
- ``torch_runs``: ``nn.Linear`` modules and ``torch.optim.SGD``, one run after the other, as PyTorch's users write it;
- ``torch_batched``: batched products with stacked parameters, autograd, SGD by hand and in place;
- ``jax``: ``jax.jit`` of ``jax.vmap`` of a step, called for one batch at a time;
- ``numpy``: the gradient by hand, one run after the other.

Weights are compared with those of the gradient by hand in float64: after the first epoch for the worst run, and at
the end for the median run: once a unit is active here and not there, a run's weights keep the difference, so that
within 20 epochs a few of the 32 leave what everyone's float64 would be. ``~minutes`` is what the whole grid would
take for the paper's 800 epochs, extrapolated.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import sys
from typing import Any, NamedTuple

import numpy as np

from benchmarks import common
from benchmarks.residual_loops import LOOPS, Array, Grid, Result, numpy_runs
from learnability.networks.residual import ResNet3

RATES, DECAYS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07), (1e-4, 1e-3, 2e-3, 5e-3)
PAPER_EPOCHS = 800
TARGETS = {50: 5.0, 200: 5.0, 1000: 5.0, 5000: 1.0}
"""How many times faster than PyTorch run by run this library is to be."""


class Effort(NamedTuple):
    """Epochs at each width, and the grid."""

    epochs: dict[int, int]
    rates: tuple[float, ...]
    decays: tuple[float, ...]


FULL = Effort({50: 20, 200: 10, 1000: 4, 5000: 2}, RATES, DECAYS)
QUICK = Effort({8: 2}, RATES[:2], DECAYS[:2])


def distances(found: ResNet3, expected: ResNet3) -> Array:
    """Distance of each run's weights, relative to their norm."""
    ours, theirs = (
        np.concatenate([part.reshape(len(part), -1).astype(np.float64) for part in params], axis=1)
        for params in (found, expected)
    )
    return np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)


def compare(m: int, effort: Effort, repeats: int) -> dict[str, Any]:
    """Time all loops on the same grid, in turns."""
    grid = Grid.at(m, effort.epochs[m], np.array(effort.rates), np.array(effort.decays))
    first = dataclasses.replace(grid, epochs=1)
    exact, exact_first = numpy_runs(grid, "float64").params, numpy_runs(first, "float64").params
    loops = {name: one for name, one in LOOPS.items() if one.installed}
    agreement = {name: distances(one.loop(first).params, exact_first) for name, one in loops.items()}  # and compile
    results: dict[str, list[Result]] = {name: [] for name in loops}
    for _ in range(repeats):
        for name, one in loops.items():
            results[name].append(one.loop(grid))
    runs = len(grid.rates)
    rows = []
    for name, one in loops.items():
        seconds = [result.seconds for result in results[name]]
        middle = float(np.median(seconds))
        rows.append(
            {
                "competitor": name,
                "label": one.label,
                "seconds": middle,
                "seconds_each": seconds,
                "us_per_step_and_run": 1e6 * middle / (grid.steps * runs),
                "minutes_extrapolated": middle * PAPER_EPOCHS / grid.epochs / 60,
                "from_float64_first_epoch": float(agreement[name].max()),
                "from_float64_end": float(np.median(distances(results[name][-1].params, exact))),
            }
        )
    for row in rows:
        row["ratio"] = row["seconds"] / rows[0]["seconds"]
    return {"m": m, "runs": runs, "steps": grid.steps, "rows": rows}


def targets(widths: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was to be reached beside what was measured."""
    found = []
    for width in widths:
        ratio = next((row["ratio"] for row in width["rows"] if row["competitor"] == "torch_runs"), None)
        if width["m"] in TARGETS and ratio is not None:
            bound = TARGETS[width["m"]]
            found.append({"m": width["m"], "at_least": bound, "measured": ratio, "met": ratio >= bound})
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser("residual_grid", __doc__, "a small grid of narrow networks")
    parser.add_argument("--repeats", type=int, default=3, help="of each loop (default 3)")
    options = common.parse(parser, arguments)
    effort = QUICK if options.quick else FULL
    report: dict[str, Any] = {"machine": common.machine(), "effort": effort._asdict(), "repeats": options.repeats}
    report["load_average"] = {"start": os.getloadavg()}
    report["widths"] = []
    for m in effort.epochs:
        report["widths"].append(compare(m, effort, options.repeats))
        _print(report["widths"][-1])
    report["load_average"]["end"] = os.getloadavg()
    report["targets"] = targets(report["widths"])
    report["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console = common.console()
    for row in report["targets"]:
        console.print(
            f"{'met' if row['met'] else 'MISSED':>6}  m = {row['m']}: PyTorch run by run takes at least "
            f"{row['at_least']:g} times as long as this library: {row['measured']:.2f}"
        )
    console.print(common.described(report["machine"]))
    load = report["load_average"]
    console.print(
        f"Peak memory of all together {report['peak_mb']:.0f} MB; {common.load(load['start'], load['end'])}"
    )
    common.write(report, options.json)
    return report


def _print(width: dict[str, Any]) -> None:
    rows = (
        (
            row["label"], f"{row['us_per_step_and_run']:.3g}", f"{row['ratio']:.2f}", f"{row['seconds']:.3g}",
            f"{row['minutes_extrapolated']:.2g}", f"{row['from_float64_first_epoch']:.0e}",
            f"{row['from_float64_end']:.0e}",
        )
        for row in width["rows"]
    )  # fmt: skip
    title = f"m = {width['m']}: 3resnet (all), {width['runs']} runs of {width['steps']} steps, float32"
    headings = ("", "us / step and run", "ratio", "seconds", "~minutes", "from float64: epoch 1", "end")
    common.console().print(common.table(title, headings, rows))


if __name__ == "__main__":
    main(sys.argv[1:])
