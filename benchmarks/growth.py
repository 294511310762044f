"""How the engine's time grows with n, what mini-batches and random starts cost, and a run's peak memory.

Growth is timed with one record, at the end; the mini-batches with the usual records, between which ``auto`` chooses
its form anew.
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
from rich.console import Console
from rich.table import Table

from benchmarks.runs import PaperRun
from learnability import seeding
from learnability.networks.one_hidden import random_init
from learnability.networks.symmetry import symmetry_init
from learnability.problems.symmetry import UniformCube, parity
from learnability.training import online
from learnability.training.online.trajectory import Trajectory

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


_MEMORY = """
import resource, sys
def peak():
    try:
        line = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))
        return int(line.split()[1]) / 1e3 * 1.024
    except (OSError, StopIteration):
        unit = 1 if sys.platform == 'darwin' else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
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


def memory(epochs: int) -> dict[str, Any]:
    """Peak resident memory of a fresh process that runs Fig. 2(b) (n = 60) in both settings, in MB.

    Read as VmHWM where there is a /proc: ``ru_maxrss`` outlives exec on Linux, so that a child would be charged
    with what its parent held. Elsewhere ``ru_maxrss``.
    """
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", _MEMORY.replace("{epochs}", str(epochs))]
    done = subprocess.run(command, cwd=root, env=os.environ, check=True, capture_output=True, text=True)
    names = ("interpreter_mb", "numpy_and_numba_mb", "imports_and_kernels_mb", "peak_mb")
    return {"epochs": epochs, **dict(zip(names, map(float, done.stdout.split()), strict=True))}


def print_tables(grown: dict[str, Any], rows: list[dict[str, Any]], used: dict[str, Any], console: Console) -> None:
    epochs = max(row["epochs"] for row in grown["rows"])
    table = Table(title=f"Growth with n: the first {epochs} epochs of Fig. 2's run")
    for heading in ("n", "layers", "us / example", "us / update", "updates", "seconds a run", "epochs"):
        table.add_column(heading, justify="right")
    for row in grown["rows"]:
        table.add_row(
            str(row["n"]), row["layers"], f"{row['us_per_example']:.3g}", f"{row['us_per_update']:.3g}",
            f"{row['update_share']:.0%}", f"{row['seconds']:.3g}", str(row["epochs"]),
        )  # fmt: skip
    console.print(table)
    fitted = ", ".join(f"{name} n^{value:.2f}" for name, value in grown["exponents"].items())
    console.print(f"  Exponents over n >= 60: {fitted}\n")
    table = Table(title="Mini-batches and starts: parity, n = 20, 82 neurons, both layers")
    for heading in ("start", "examples", "batch", "form", "us / example", "updates"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row["start"], str(row["m"]), str(row["batch"]), row["form"],
            f"{row['us_per_example']:.3g}", f"{row['update_share']:.1%}",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"  Memory of Fig. 2(b), both settings: peak {used['peak_mb']:.0f} MB, of which "
        f"{used['imports_and_kernels_mb']:.0f} MB are there before the run (Python {used['interpreter_mb']:.0f}, "
        f"with NumPy and Numba {used['numpy_and_numba_mb']:.0f}, with this package and its kernels the rest).\n"
    )
