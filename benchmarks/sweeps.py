"""Ten thousand cells on two workers against the ideal: ``python -m benchmarks.sweeps``.

Cells compute a fixed number of steps (calibrated here to 50 ms) and tell how long that took them. *Ideal* is the sum
of their own seconds over the number of workers; the run's time counts from the call to its end, workers' start,
table, figure and claims included. A disturbed machine slows cells and ideal alike; *steady* is the same from the
tenth part of the cells to the last, without start and end.

- *main*: the main process's own processor time a task, from the first task's end to the last's: 1,000 over it is how
  many tasks a second it could pass on to a cluster of any size;
- *beyond*: what is counted as a task's computing and is none of its own;
- *tasks/s*: how many did pass, where cells take no time at all;
- *memory*: what is resident in the main process after a tenth of the cells, and at the end;
- *resume*: the command on a folder where all of that is finished, a process from its start to its end.

The same on a Dask scheduler with two workers, each in a process of its own.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from benchmarks import common, sweep_cells

MINUTES = {"full": 11, "short": 1}
CELL = 0.05
"""Seconds that a cell computes."""
SEEDS = 10
# The main process: its clock, its processor time and its memory whenever tasks have ended.
_RUN = """
import json, os, sys, time
import learnability

chosen, told = json.loads(sys.argv[1]), []
begin = time.perf_counter()

def rss():
    if os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    import psutil
    return psutil.Process().memory_info().rss / 1e6

def tell(progress):
    if not told or progress.done == progress.total or progress.done >= told[-1][0] + progress.total / 100:
        told.append((progress.done, time.perf_counter() - begin, time.process_time(), rss()))

(result,) = learnability.run_many(
    [chosen["file"]], set=chosen["set"], seeds=chosen["seeds"], workers=chosen["workers"],
    scheduler=chosen["scheduler"], out=chosen["out"], on_progress=tell, light=True,
)
seconds = time.perf_counter() - begin
print(json.dumps({
    "told": told, "seconds": seconds, "tasks": result.tasks, "compute": result.seconds, "end_mb": rss(),
    "table": str(result.table_file), "failures": result.failures,
}))
"""


def calibrated(seconds: float = CELL) -> int:
    """Steps that take a cell so long, here and now: by the fastest of some."""
    steps = 100_000
    return round(seconds / min(sweep_cells.computed(steps) for _ in range(9)) * steps)


def sweep(tasks: int, steps: int, out: Path, scheduler: str | None = None, workers: int = 2) -> dict[str, Any]:
    """One run of so many tasks, and what it took."""
    chosen = {
        "file": str(Path(sweep_cells.__file__)), "set": {"cells": max(tasks // SEEDS, 1), "steps": steps},
        "seeds": SEEDS, "workers": workers, "scheduler": scheduler, "out": str(out),
    }  # fmt: skip
    before = os.times()
    done = subprocess.run([sys.executable, "-P", "-c", _RUN, json.dumps(chosen)], capture_output=True, text=True)
    after = os.times()
    if done.returncode:
        raise RuntimeError(f"the run ended with {done.returncode}: {done.stderr.strip()[-1000:]}")
    found = json.loads(done.stdout)
    if found["failures"] or found["tasks"]["cached"]:
        raise RuntimeError(f"the run was not whole: {found['tasks']}, {found['failures'][:1]}")
    told = found["told"]
    count, seconds, processor, memory = map(list, zip(*told, strict=True))
    first = next(number for number, n in enumerate(count) if n > 0)  # workers have started
    tenth = next(number for number, n in enumerate(count) if n >= count[-1] / 10)
    own = _own(found["table"])
    passed, between = count[-1] - count[first], seconds[-1] - seconds[first]
    rest = (count[-1] - count[tenth]) / count[-1] * own / workers
    return {
        "tasks": count[-1], "workers": workers, "where": "local" if scheduler is None else "Dask",
        "seconds": found["seconds"], "own": own, "ideal": own / workers, "ratio": found["seconds"] / own * workers,
        "steady": (seconds[-1] - seconds[tenth]) / rest if rest else None,
        "main_ms": 1000 * (processor[-1] - processor[first]) / passed if passed else None,
        "per_second": passed / between if passed else None, "beyond_ms": 1000 * (found["compute"] - own) / count[-1],
        "tenth_mb": memory[tenth], "last_mb": memory[-1], "end_mb": found["end_mb"],
        "processor": after.children_user + after.children_system - before.children_user - before.children_system,
        "files": sum(path.is_file() for path in (out / "tasks").rglob("*")),
    }  # fmt: skip


def _own(table: str) -> float:
    """What the cells themselves have measured, summed up."""
    import duckdb

    found = duckdb.execute("SELECT sum(own) FROM read_parquet($1)", [table]).fetchone()
    return float(found[0]) if found else 0.0


def resumed(tasks: int, steps: int, out: Path) -> dict[str, float]:
    """The command on a folder where everything is finished: seconds by the clock and of the processor, and memory."""
    command = [sys.executable, "-P", "-m", "learnability", "run", str(Path(sweep_cells.__file__)), "--json"]
    command += ["--out", str(out), "--seeds", str(SEEDS), "--workers", "2"]
    command += ["--set", f"cells={max(tasks // SEEDS, 1)}", "--set", f"steps={steps}"]
    before, begin = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds, after = time.perf_counter() - begin, os.times()
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-1000:]}")
    (told,) = json.loads(done.stdout)["experiments"]
    if told["tasks"]["run"]:
        raise RuntimeError(f"{told['tasks']['run']} tasks were not finished")
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    files = sum(path.is_file() for path in (out / "tasks").rglob("*"))
    return {"tasks": told["tasks"]["cached"], "files": files, "seconds": seconds, "processor": processor}


@contextmanager
def cluster(workers: int = 2) -> Iterator[str]:
    """The address of a Dask scheduler with so many workers, each a process."""
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port = asking.getsockname()[1]
    address, started = f"tcp://127.0.0.1:{port}", []
    one = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")}

    def start(module: str, *options: str) -> None:
        command = [sys.executable, "-P", "-m", f"distributed.cli.{module}", "--no-dashboard", *options]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": one}
        started.append(subprocess.Popen(command, **quiet))

    try:
        with tempfile.TemporaryDirectory() as folder:
            start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-show")
            for _ in range(workers):
                start("dask_worker", address, "--nthreads", "1", "--no-nanny", "--local-directory", folder)
            _wait_for(address, workers)
            yield address
            _end(started)
    finally:
        _end(started)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        process.wait()


def _wait_for(address: str, workers: int) -> None:
    from distributed import Client

    for _ in range(60):  # the scheduler may not listen yet
        try:
            client = Client(address, timeout=2)
        except OSError:
            time.sleep(0.5)
            continue
        with client:
            client.wait_for_workers(workers, timeout=120)
        return
    raise RuntimeError("the Dask scheduler did not start")


def print_tables(report: dict[str, Any], console: Console) -> None:
    """What the runs took, and what it takes to find all of it finished."""

    def shown(value: float | None, form: str = ".2f") -> str:
        return "-" if value is None else format(value, form)

    rows = [
        (
            f"{row['where']}{'' if row['steps'] else ', no work'}", f"{row['tasks']:,}", shown(row["seconds"], ".1f"),
            shown(row["ideal"], ".1f"), shown(row["ratio"] if row["steps"] else None, ".3f"),
            shown(row["steady"] if row["steps"] else None, ".3f"), shown(row["main_ms"]), shown(row["beyond_ms"]),
            shown(row["per_second"], ",.0f"), f"{row['tenth_mb']:.0f} / {row['last_mb']:.0f}", f"{row['files']:,}",
        )
        for row in report["runs"]
    ]  # fmt: skip
    headings = (
        "", "tasks", "run, s", "ideal, s", "ratio", "steady", "main, ms", "beyond, ms", "tasks/s", "MB", "files",
    )  # fmt: skip
    console.print(common.table("Sweeps on two workers; main: processor time a task", headings, rows))
    rows = [
        (f"{row['tasks']:,} cached in {row['files']:,} files", shown(row["seconds"]), shown(row["processor"]))
        for row in report["resumed"]
    ]
    console.print(common.table("Resumed: the whole process", ("", "seconds", "processor, s"), rows))


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser("sweeps", __doc__, "forty cells", "600 cells that compute, 10,000 that do not")
    parser.add_argument("--no-dask", action="store_true", help="leave out the Dask scheduler")
    options = common.parse(parser, arguments)
    computing, passing = (40, 40) if options.quick else (600, 10_000) if options.short else (10_000, 10_000)
    console, start = common.console(), psutil.getloadavg()
    steps = calibrated(0.001 if options.quick else CELL)
    report: dict[str, Any] = {"machine": common.machine(), "steps": steps, "runs": [], "resumed": []}

    def measure(scheduler: str | None) -> None:
        for tasks, work in ((computing, steps), (passing, 0)):
            with tempfile.TemporaryDirectory() as folder:
                report["runs"].append({"steps": work, **sweep(tasks, work, Path(folder), scheduler)})
                if scheduler is None:  # the more shards, the more there is to look through
                    report["resumed"].append(resumed(tasks, work, Path(folder)))

    measure(None)
    if options.no_dask or not common.is_installed("distributed"):
        console.print("left out: a Dask scheduler", style="dim")
    else:
        with cluster() as address:
            measure(address)
    report["load_average"] = {"start": start, "end": psutil.getloadavg()}
    print_tables(report, console)
    console.print(common.described(report["machine"]))
    console.print(common.load(start, report["load_average"]["end"]))
    common.write(report, options.json)
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
