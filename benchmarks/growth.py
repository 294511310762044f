"""How the online engine's time and memory grow with n, sample and visits: ``python -m benchmarks.growth``.

- With n: the first epochs of Figure 2's run, one record, at the end.
- With the sample and with the visits: parity on n = 20, 82 neurons, labels by coin, so that updates stay frequent;
  each cell in a process of its own, which tells its peak of resident memory before and after the run. One record.
- Mini-batches and starts with the usual records.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console

from benchmarks import common
from benchmarks.runs import PaperRun
from learnability import seeding
from learnability.networks.one_hidden import random_init
from learnability.networks.symmetry import symmetry_init
from learnability.problems.symmetry import UniformCube, parity
from learnability.training import online
from learnability.training.online.trajectory import Trajectory

MINUTES = {"full": 3, "short": 1}
SIZES = (20, 30, 60, 100, 140, 200)


def _median_seconds(repeats: int, train: Any) -> tuple[float, Trajectory]:
    train()  # loads the compiled kernels
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        trajectory = train()
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds)), trajectory


def with_n(epochs: int, repeats: int) -> dict[str, Any]:
    """The first ``epochs`` epochs of Fig. 2's run for n from 20 to 200, and the exponents fitted over n >= 60."""
    rows = []
    for n in SIZES:
        run = PaperRun.at(n, epochs)
        for layers in ("both", "output"):
            seconds, trajectory = _median_seconds(
                repeats, lambda run=run, layers=layers: run.train(layers=layers, record=[epochs])
            )
            visits = trajectory.epochs * n
            rows.append(
                {
                    "n": n,
                    "layers": layers,
                    "epochs": trajectory.epochs,
                    "seconds": seconds,
                    "us_per_example": 1e6 * seconds / visits,
                    "us_per_update": 1e6 * seconds / trajectory.updates,
                    "update_share": trajectory.updates / visits,
                }
            )
    exponents = {}
    for layers in ("both", "output"):
        large = [row for row in rows if row["layers"] == layers and row["n"] >= 60]
        for column in ("us_per_example", "us_per_update", "seconds"):
            slope = np.polyfit(np.log([row["n"] for row in large]), np.log([row[column] for row in large]), 1)[0]
            exponents[f"{layers}: {column}"] = float(slope)
    return {"rows": rows, "exponents": exponents}


def batches(visits: int, repeats: int) -> list[dict[str, Any]]:
    """Mini-batches from the symmetry start (h = n^-6) and from He's (h = n^-2): parity, n = 20, 4n+2 neurons."""
    n = 20
    rows = []
    for m in (n, n**2):
        X = UniformCube(n).sample(seeding.generator(0, "benchmark batches", m), m)
        y = parity(n)(X)
        starts = {
            "symmetry": (symmetry_init(n), Fraction(1, n**6), ("deviation",)),
            "he": (
                random_init(seeding.generator(0, "benchmark he"), n, 4 * n + 2, "he"),
                Fraction(1, n**2),
                ("direct", "cached", "auto"),
            ),
        }
        for start, (params, h, forms) in starts.items():
            for batch in (1, 8, 64):
                for form in forms:
                    seconds, trajectory = _median_seconds(
                        repeats,
                        lambda params=params, h=h, form=form, batch=batch, X=X, y=y, m=m: online.train(
                            params, X, y, h=h, beta=n**3 * h, batch=batch, form=form,
                            rng=seeding.generator(0, "benchmark batches orders", m), epochs=max(1, visits // m),
                        ),
                    )  # fmt: skip
                    seen = trajectory.epochs * m
                    rows.append(
                        {
                            "start": start,
                            "m": m,
                            "batch": batch,
                            "form": form,
                            "epochs": trajectory.epochs,
                            "outcome": str(trajectory.outcome),
                            "update_share": trajectory.updates / seen,
                            "us_per_example": 1e6 * seconds / seen,
                        }
                    )
    return rows


_PEAK = """
import sys
def peak():
    try:
        line = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))
        return int(line.split()[1]) / 1e3 * 1.024
    except (OSError, StopIteration):
        try:
            import resource
        except ImportError:
            import psutil
            return psutil.Process().memory_info().peak_wset / 1e6
        unit = 1 if sys.platform == 'darwin' else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
"""
_MEMORY = (
    _PEAK
    + """
interpreter = peak()
import numpy, numba
libraries = peak()
from benchmarks.runs import PaperRun
run = PaperRun.at(60, {epochs})
run.train(2), run.train(2, layers='output')
ready = peak()
for layers in ('both', 'output'):
    run.train(layers=layers)
print(interpreter, libraries, ready, peak())
"""
)
_SAMPLE = (
    _PEAK
    + """
from benchmarks.growth import sample_run
sample_run('{form}', 50, 2)
train = sample_run('{form}', {m}, {epochs}, later=True)
before = peak()
seconds, visits, share = train()
print(1e6 * seconds / visits, share, before, peak(), visits)
"""
)
FORMS = ("deviation", "direct", "frozen")


def sample_run(form: str, m: int, epochs: int, later: bool = False) -> Any:
    """A run on m examples with labels by coin: seconds, visits, share of updates; or a function that makes it."""
    n, rng = 20, seeding.generator(0, "benchmark growth", m)
    X = UniformCube(n).sample(rng, m)
    y = np.where(rng.random(m) < 0.5, 1.0, -1.0)
    random = form == "direct"
    start = random_init(seeding.generator(0, "benchmark he"), n, 4 * n + 2, "he") if random else symmetry_init(n)
    h = Fraction(1, n ** (3 if random else 6))

    def train() -> tuple[float, int, float]:
        begin = time.perf_counter()
        run = online.train(
            start, X, y, h=h, beta=n**3 * h, rng=seeding.generator(0, "benchmark growth orders", m), epochs=epochs,
            layers="output" if form == "frozen" else "both", record=[epochs], form=form,
        )  # fmt: skip
        return time.perf_counter() - begin, run.epochs * m, run.updates / (run.epochs * m)

    return train if later else train()


def with_sample(short: bool) -> list[dict[str, Any]]:
    """Visits at a sample of 1,000, and the same number of visits at larger samples."""
    most = 10**6 if short else 10**7
    cells = [(1_000, visits // 1_000) for visits in (10**4, 10**5, 10**6, 10**7) if visits <= most]
    cells += [(m, most // m) for m in (10**4, 10**5, 10**6)]
    rows = []
    for form in FORMS:
        for m, epochs in cells:
            code = _SAMPLE.replace("{form}", form).replace("{m}", str(m)).replace("{epochs}", str(epochs))
            microseconds, share, before, after, visits = _in_a_process(code)
            rows.append(
                {
                    "form": form, "m": m, "visits": int(visits), "us_per_example": microseconds,
                    "update_share": share,
                    "peak_before_mb": before, "peak_mb": after, "sample_mb": 8 * 20 * m / 1e6,
                }
            )  # fmt: skip
    return rows


def _in_a_process(code: str) -> list[float]:
    """The numbers that a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], env=os.environ, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    return [float(number) for number in done.stdout.split()]


def memory(epochs: int) -> dict[str, Any]:
    """Peak resident memory of a fresh process that runs Fig. 2(b) (n = 60) in both settings, in MB.

    Read as VmHWM where there is a /proc: ``ru_maxrss`` outlives exec on Linux, so that a child would be charged
    with what its parent held. Elsewhere ``ru_maxrss``.
    """
    found = _in_a_process(_MEMORY.replace("{epochs}", str(epochs)))
    names = ("interpreter_mb", "numpy_and_numba_mb", "imports_and_kernels_mb", "peak_mb")
    return {"epochs": epochs, **dict(zip(names, found, strict=True))}


def print_tables(report: dict[str, Any], console: Console) -> None:
    """Growth with n, with sample and visits; mini-batches."""
    grown = report["growth"]
    epochs = max(row["epochs"] for row in grown["rows"])
    rows = [
        (
            str(row["n"]), row["layers"], f"{row['us_per_example']:.3g}", f"{row['us_per_update']:.3g}",
            f"{row['update_share']:.0%}", f"{row['seconds']:.3g}", str(row["epochs"]),
        )
        for row in grown["rows"]
    ]  # fmt: skip
    headings = ("n", "layers", "us / example", "us / update", "updates", "seconds a run", "epochs")
    console.print(common.table(f"Growth with n: the first {epochs} epochs of Fig. 2's run", headings, rows))
    fitted = ", ".join(f"{name} n^{value:.2f}" for name, value in grown["exponents"].items())
    console.print(f"  Exponents over n >= 60: {fitted}\n")
    rows = [
        (
            row["form"], f"{row['m']:,}", f"{row['visits']:,}", f"{row['us_per_example']:.3f}",
            f"{row['update_share']:.0%}", f"{row['peak_mb'] - row['peak_before_mb']:.0f}", f"{row['sample_mb']:.0f}",
        )
        for row in report["sample"]
    ]  # fmt: skip
    headings = ("form", "examples", "visits", "us / example", "updates", "MB that the run adds", "MB of the sample")
    console.print(common.table("Growth with sample and visits: n = 20, 82 neurons, random labels", headings, rows))
    rows = [
        (
            row["start"], str(row["m"]), str(row["batch"]), row["form"],
            f"{row['us_per_example']:.3g}", f"{row['update_share']:.1%}",
        )
        for row in report["batches"]
    ]  # fmt: skip
    headings = ("start", "examples", "batch", "form", "us / example", "updates")
    console.print(common.table("Mini-batches and starts: parity, n = 20, 82 neurons, both layers", headings, rows))


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser(
        "growth", __doc__, "runs shortened 50 times, measured once", "runs shortened four times, to 10^6 visits"
    )
    options = common.parse(parser, arguments)
    shorten, repeats = (50, 1) if options.quick else (4, 3) if options.short else (1, 5)
    start = psutil.getloadavg()
    report: dict[str, Any] = {
        "machine": common.machine(),
        "growth": with_n(2000 // shorten, repeats),
        "sample": [] if options.quick else with_sample(options.short),
        "batches": batches(200_000 // shorten, repeats),
    }
    report["load_average"] = {"start": start, "end": psutil.getloadavg()}
    console = common.console()
    print_tables(report, console)
    console.print(common.described(report["machine"]))
    console.print(common.load(start, report["load_average"]["end"]))
    common.write(report, options.json)
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
