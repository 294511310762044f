"""The fast Walsh-Hadamard transform against what one would write without it: ``python -m benchmarks.walsh_hadamard``.

One thread, float64, random values. Each is the best of ``--repeats`` calls:

- this library: ``walsh_hadamard`` (its copy and check included), and its kernel alone, in place;
- a plain NumPy butterfly, stage by stage, in place;
- ``scipy.linalg.hadamard(2^n) @ values``, its matrix built beforehand, where that fits: 2^n x 2^n float64;
- ``copy``: writing the same 2^n values from one array to another, what any transform must do at the least.

"kernel / copy" says how many times through memory the transform took, beside the n of the butterfly. In the JSON,
``bytes_per_s`` counts every value as read and written once in each of the n stages, ``copy_bytes_per_s`` once.
"""

from __future__ import annotations

import os

import psutil

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
from rich.console import Console
from rich.table import Table

from benchmarks import common
from learnability.problems import boolean, walsh

MINUTES = {"full": 0.5, "short": 0.5}
SIZES = (10, 12, 16, 20, 24)
QUICK = (6, 13)
MATRIX_BITS = 12  # a matrix of 128 MB


def compare(n: int, repeats: int) -> dict[str, Any]:
    """Seconds of each way at one size, and whether they agree."""
    values = np.random.default_rng(n).standard_normal(2**n)
    target = np.empty_like(values)
    expected = values.copy()
    walsh.plain(expected)
    row: dict[str, Any] = {"n": n, "equal_to_plain": bool((boolean.walsh_hadamard(values) == expected).all())}

    def timed(work: Callable[[], Any]) -> float:
        return _best(work, lambda: np.copyto(target, values), repeats)

    row["library_s"] = timed(lambda: boolean.walsh_hadamard(values))
    row["kernel_s"] = timed(lambda: walsh.transform(target))
    row["numpy_s"] = timed(lambda: walsh.plain(target))
    row["copy_s"] = timed(lambda: np.copyto(target, values))
    if n <= MATRIX_BITS:
        matrix = scipy.linalg.hadamard(2**n).astype(np.float64)
        row["matrix_s"] = timed(lambda: matrix @ values)
        row["matrix_error"] = float(np.abs(matrix @ values - expected).max())
    row["bytes_per_s"] = 2 * 8 * 2**n * n / row["kernel_s"]
    row["copy_bytes_per_s"] = 2 * 8 * 2**n / row["copy_s"]
    return row


def _best(work: Callable[[], Any], before: Callable[[], Any], repeats: int) -> float:
    seconds = []
    for _ in range(repeats + 1):  # the first call, with its page faults, is dropped
        before()
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def print_rows(rows: list[dict[str, Any]], console: Console) -> None:
    table = Table(title="Walsh-Hadamard transform of 2^n float64, milliseconds (times this library)")
    for heading in ("n", "library", "kernel", "NumPy butterfly", "Hadamard matrix", "copy", "kernel / copy"):
        table.add_column(heading, justify="right")
    for row in rows:

        def against(name: str, row: dict[str, Any] = row) -> str:
            if name not in row:
                return "--"
            return f"{1e3 * row[name]:.4g} ({row[name] / row['library_s']:.3g}x)"

        cells = [f"{1e3 * row[name]:.4g}" for name in ("library_s", "kernel_s")]
        table.add_row(
            str(row["n"]),
            *cells,
            *map(against, ("numpy_s", "matrix_s", "copy_s")),
            f"{row['kernel_s'] / row['copy_s']:.1f}",
        )
    console.print(table)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser("walsh_hadamard", __doc__, "small sizes, measured once", "all of it")
    parser.add_argument("--repeats", type=int, default=7, help="calls of which the best counts (default 7)")
    options = common.parse(parser, arguments)
    console = common.console()
    report: dict[str, Any] = {"machine": common.machine(), "load_average": [psutil.getloadavg()]}
    report["rows"] = [
        compare(n, 1 if options.quick else options.repeats) for n in (QUICK if options.quick else SIZES)
    ]
    report["load_average"].append(psutil.getloadavg())
    print_rows(report["rows"], console)
    start, end = report["load_average"]
    console.print(common.described(report["machine"]))
    console.print(common.load(start, end))
    common.write(report, options.json)
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
