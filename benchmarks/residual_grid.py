"""Grid training of the three-layer ResNet against other ways to write it: ``python -m benchmarks.residual_grid``.

3resnet (all) on the target of Section 8.1: d = 30, k = 15, 500 examples, batches of 50, SGD with momentum 0.9 and
weight decay, float32. 32 runs, 8 learning rates times 4 decays (rates at which nothing diverges: this library would
drop what does, the others would not), from one start on the same batches, one thread each. Alternating windows of a
few epochs (the wider the fewer) with all that a loop does but its first call; ratios of medians with an interval:

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

``share``: multiply-adds that the networks need (padding and updates not counted), by the machine's product rate:
NumPy's product of 1,024 x 1,024 float32 matrices, timed between the windows. A second table has it for the cells of
Figures 1 and 4(a), single runs of a two-layer network of one output, d = 40, N = 5,000, whole, with what is recorded.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import Any, NamedTuple

import numpy as np
import psutil

from benchmarks import common
from benchmarks.residual_loops import LOOPS, Array, Grid, Result, monomial, numpy_runs
from learnability.networks.residual import ResNet3
from learnability.sweep.perform import peak_memory

MINUTES = {"full": 7, "short": 1}

RATES, DECAYS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07), (1e-4, 1e-3, 2e-3, 5e-3)
PAPER_EPOCHS = 800
TARGETS = {50: 5.0, 200: 5.0, 1000: 5.0, 5000: 1.0}
"""How many times faster than PyTorch run by run this library is to be."""


class Effort(NamedTuple):
    """Epochs at each width, and the grid."""

    epochs: dict[int, int]
    rates: tuple[float, ...]
    decays: tuple[float, ...]
    monomial: dict[int, int]
    """Epochs of Figure 1's cells at each width."""
    examples: int = 5000
    """Of these."""


FULL = Effort({50: 20, 200: 10, 1000: 4, 5000: 2}, RATES, DECAYS, {200: 100, 1000: 20, 5000: 20})
SHORT = Effort({50: 4, 200: 2, 1000: 1}, RATES[::4], DECAYS[:2], {200: 40})
QUICK = Effort({8: 2}, RATES[:2], DECAYS[:2], {8: 20}, 60)
SIDE = 1024
"""Rows and columns of the product that stands for the machine's rate."""


def distances(found: ResNet3, expected: ResNet3) -> Array:
    """Distance of each run's weights, relative to their norm."""
    ours, theirs = (
        np.concatenate([part.reshape(len(part), -1).astype(np.float64) for part in params], axis=1)
        for params in (found, expected)
    )
    return np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)


def product() -> float:
    """Seconds of one product of SIDE x SIDE float32 matrices, the best of a few."""
    A, C = np.full((SIDE, SIDE), 0.5, np.float32), np.empty((SIDE, SIDE), np.float32)
    seconds = []
    for _ in range(8):
        begin = time.perf_counter()
        np.dot(A, A, out=C)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def compare(m: int, effort: Effort, repeats: int) -> dict[str, Any]:
    """Time all loops on the same grid, in turns."""
    grid = Grid.at(m, effort.epochs[m], np.array(effort.rates), np.array(effort.decays))
    first = dataclasses.replace(grid, epochs=1)
    exact, exact_first = numpy_runs(grid, "float64").params, numpy_runs(first, "float64").params
    loops = {name: one for name, one in LOOPS.items() if one.installed}
    agreement = {name: distances(one.loop(first).params, exact_first) for name, one in loops.items()}  # and compile
    last: dict[str, Result] = {}

    def window(name: str) -> float:
        last[name] = loops[name].loop(grid)
        return last[name].seconds

    timed = {name: (lambda name=name: window(name)) for name in loops}
    samples = common.alternating({**timed, "product": product}, repeats, warm=False)
    runs, d, k = len(grid.rates), grid.X.shape[1], grid.Y.shape[1]
    flops = 2 * len(grid.X) * m * (2 * (d + 1) + 9 * k + 2) * grid.epochs * runs
    rows = []
    for name, one in loops.items():
        middle = samples[name].median
        rows.append(
            {
                "competitor": name,
                "label": one.label,
                "seconds": middle,
                "seconds_each": samples[name].values,
                "us_per_step_and_run": 1e6 * middle / (grid.steps * runs),
                "minutes_extrapolated": middle * PAPER_EPOCHS / grid.epochs / 60,
                "from_float64_first_epoch": float(agreement[name].max()),
                "from_float64_end": float(np.median(distances(last[name].params, exact))),
                "share": share(flops, samples[name], samples["product"]),
                "interval": common.ratio(samples[name], samples["engine"])._asdict(),
            }
        )
    for row in rows:
        row["ratio"] = row["seconds"] / rows[0]["seconds"]
    return {"m": m, "runs": runs, "steps": grid.steps, "rows": rows}


def share(flops: float, samples: common.Samples, products: common.Samples) -> float:
    """Of the machine's product rate, what so many operations in these times are."""
    return flops / samples.median * products.median / (2 * SIDE**3)


def of_figure_1(effort: Effort, repeats: int) -> list[dict[str, Any]]:
    """The share of the product rate that single cells of Figure 1 reach."""
    rows = []
    for m, epochs in effort.monomial.items():
        cell = monomial(m, effort.examples)
        samples = common.alternating({"cell": lambda: cell(epochs), "product": product}, repeats)  # noqa: B023
        flops = 2 * effort.examples * m * (2 * 40 + 2) * epochs
        seconds = samples["cell"].median
        rows.append(
            {
                "m": m,
                "epochs": epochs,
                "seconds": seconds,
                "us_per_step": 1e6 * seconds / (epochs * -(-effort.examples // 50)),
                "share": share(flops, samples["cell"], samples["product"]),
            }
        )
    return rows


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
    parser = common.parser("residual_grid", __doc__, "a small grid of narrow networks", "fewer runs and epochs")
    parser.add_argument("--repeats", type=int, default=5, help="of each loop (default 5)")
    options = common.parse(parser, arguments)
    effort = QUICK if options.quick else SHORT if options.short else FULL
    report: dict[str, Any] = {"machine": common.machine(), "effort": effort._asdict(), "repeats": options.repeats}
    report["load_average"] = {"start": psutil.getloadavg()}
    report["widths"] = []
    for m in effort.epochs:
        report["widths"].append(compare(m, effort, options.repeats))
        _print(report["widths"][-1])
    report["figure_1"] = of_figure_1(effort, options.repeats)
    report["load_average"]["end"] = psutil.getloadavg()
    report["targets"] = targets(report["widths"])
    report["peak_mb"] = peak_memory() / 2**20
    console = common.console()
    cells = (
        (str(row["m"]), str(row["epochs"]), f"{row['us_per_step']:.3g}", f"{row['share']:.2f}")
        for row in report["figure_1"]
    )
    title = "Cells of Figure 1, one run each, whole"
    console.print(common.table(title, ("m", "epochs", "us / step", "share of the product rate"), cells))
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
            row["label"], f"{row['us_per_step_and_run']:.3g}", str(common.Ratio(**row["interval"])),
            f"{row['share']:.2f}", f"{row['minutes_extrapolated']:.2g}", f"{row['from_float64_first_epoch']:.0e}",
            f"{row['from_float64_end']:.0e}",
        )
        for row in width["rows"]
    )  # fmt: skip
    title = f"m = {width['m']}: 3resnet (all), {width['runs']} runs of {width['steps']} steps, float32"
    headings = ("", "us / step and run", "ratio", "share", "~minutes", "from float64: epoch 1", "end")
    common.console().print(common.table(title, headings, rows))


if __name__ == "__main__":
    main(sys.argv[1:])
