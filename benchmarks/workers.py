"""A run on two workers against one, a figure of each study: ``python -m benchmarks.workers``.

Each run is the command itself, in a fresh folder, one worker and two in turns, and once more where all is finished.
By the clock the fastest round counts, and both cores have to be free for it. So the same is also told from the
processor time that the processes took, which other load hardly touches:

- *slower*: processor time of all that two workers did over that of one (memory and its bandwidth are shared, and the
  second process starts and imports, too);
- *serial*: what the main process does alone, as a run does that finds everything finished (imports, table, figure,
  claims);
- *on free cores*: one worker's processor time over the serial part and half of the rest of two workers'. What is left
  out is the tail, when the last task runs alone: at most the longest task.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import psutil
from rich.console import Console

from benchmarks import common

MINUTES = {"full": 10, "short": 1}
FIGURES = {
    "symmetry/fig3": ("--seeds", "12"),
    "parity/first-step": (),
    "separable/fig3": ("--seeds", "3"),
    "residual/alpha": ("--seeds", "3"),
}


def once(figure: str, options: tuple[str, ...], workers: int, folder: str) -> dict[str, float]:
    """One run: its seconds by the clock and of processor time, those of its tasks, and how many there were."""
    command = [sys.executable, "-P", "-m", "learnability", "run", figure, *options, "--json", "--out", folder]
    before, begin = os.times(), time.perf_counter()
    done = subprocess.run([*command, "--workers", str(workers)], capture_output=True, text=True)
    seconds, after = time.perf_counter() - begin, os.times()
    if done.returncode not in (0, 1):  # 1: a verdict is not the record's, as with few seeds
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    (told,) = json.loads(done.stdout)["experiments"]
    if told["tasks"]["failed"]:
        raise RuntimeError(f"{figure}: {told['tasks']['failed']} tasks failed")
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "seconds": seconds, "processor": processor, "compute": told["compute_seconds"], "tasks": told["tasks"]["run"],
        "load": psutil.getloadavg()[0],
    }  # fmt: skip


def compare(figure: str, options: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """One worker and two in turns, and what a run does that finds everything finished."""
    found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    serial = []
    for number in range(rounds):
        for workers in (1, 2) if number % 2 == 0 else (2, 1):
            with tempfile.TemporaryDirectory() as folder:
                found[workers].append(once(figure, options, workers, folder))
                serial.append(once(figure, options, workers, folder)["processor"])
    (one, two), (one_cpu, two_cpu) = (
        [min(run[kind] for run in runs) for runs in found.values()] for kind in ("seconds", "processor")
    )
    alone = min(serial)
    return {
        "figure": figure, "options": options, "rounds": found, "tasks": found[1][0]["tasks"],
        "one": one, "two": two, "ratio": one / two, "one_processor": one_cpu, "slower": two_cpu / one_cpu,
        "serial": alone, "on_free_cores": one_cpu / (alone + (two_cpu - alone) / 2),
    }  # fmt: skip


def print_table(rows: list[dict[str, Any]], console: Console) -> None:
    lines = [
        (
            " ".join([row["figure"], *row["options"]]), str(int(row["tasks"])), f"{row['one']:.1f}",
            f"{row['two']:.1f}", f"{row['ratio']:.2f}", f"{row['one_processor']:.1f}", f"{row['slower']:.3f}",
            f"{row['serial']:.1f}", f"{row['on_free_cores']:.2f}",
        )
        for row in rows
    ]  # fmt: skip
    headings = (
        "", "tasks", "1 worker, s", "2 workers, s", "ratio", "processor, s", "slower", "serial, s", "on free cores",
    )  # fmt: skip
    console.print(common.table("learnability run on two workers against one", headings, lines))


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser("workers", __doc__, "one figure at smoke", "every figure at smoke, once")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    options = common.parse(parser, arguments)
    small = options.quick or options.short
    console, start = common.console(), psutil.getloadavg()
    rows = []
    for figure, chosen in list(FIGURES.items())[: 1 if options.quick else None]:
        rows.append(compare(figure, ("--scale", "smoke") if small else chosen, 1 if small else options.repeats))
        console.print(f"{figure}: {rows[-1]['one']:.1f} s on one worker, {rows[-1]['two']:.1f} s on two", style="dim")
    report = {"machine": common.machine(), "rows": rows}
    report["load_average"] = {"start": start, "end": psutil.getloadavg()}
    print_table(rows, console)
    console.print(common.described(report["machine"]))
    console.print(common.load(start, report["load_average"]["end"]))
    common.write(report, options.json)
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
