"""The exact first step of the parity study against sampling it: ``python -m benchmarks.parity_first_step``.

k = 3, 256 units of the safe start (their twins say the same and are left out), n = 1,000 and 10,000, one thread.

- Exact: ``correlation``, from the start weights to every number of the gradient (errors below 1e-14: the tests have
  exact integers), and with the (p, n) array written out as well. Best of seven calls.
- Sampled: E[y s_j sigma'(z)] as a mean over fresh examples of D_A, 1,024 at a time, in float32: two matrix products
  and two passes over the activations a batch (the coordinates in A alone would need one product). The error is that
  of the good units' gradient (they carry the theorem), relative to its norm: over all n coordinates, and over those
  in A alone. It is measured at growing sizes, one running mean; error sqrt(m) must stay the same along them, and does
  within the noise.
- Equal accuracy: the samples that a relative error of 1e-3 (and 1e-2) would take by that law, and the time they would
  take at the measured time an example: extrapolated, and said so. The exact step's own accuracy, 1e-14, is beyond any
  sample.
"""

from __future__ import annotations

import os

import psutil

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import sys
import time
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import common
from learnability import seeding
from learnability.networks.parity import CAP, good_neurons
from learnability.problems.parity import ParityMixture, random_mixture
from learnability.training.population import correlation

K, UNITS, BATCH = 3, 256, 1024
WANTED = (1e-2, 1e-3)


MINUTES = {"full": 0.5, "short": 0.5}


class Effort(NamedTuple):
    """How much to measure."""

    sizes: tuple[int, ...]
    batches: tuple[int, ...]
    repeats: int


FULL = Effort((1_000, 10_000), (4, 16, 64), 7)
QUICK = Effort((200,), (1, 2), 1)


def compare(n: int, effort: Effort) -> dict[str, Any]:
    """Both ways at one dimension."""
    rng = seeding.generator(0, "benchmark first step", n)
    problem = random_mixture(rng, n, K)
    W, b = rng.integers(-1, 2, (UNITS, n), dtype=np.int8), 1 / (8 * K)
    found = correlation(W, b, problem)
    exact = found.dense(W)
    seconds = _best(lambda: correlation(W, b, problem), effort.repeats)
    written = _best(lambda: correlation(W, b, problem).dense(W, np.float32), effort.repeats)
    good = good_neurons(W, problem.support)
    rows = sampled(rng, problem, W, b, exact, good, effort.batches)
    last = rows[-1]
    equal = []
    for where in ("all", "inside"):
        scale = float(np.mean([row[f"error_{where}"] * np.sqrt(row["examples"]) for row in rows]))
        for error in WANTED:
            examples = (scale / error) ** 2
            predicted = examples * last["seconds"] / last["examples"]
            equal.append(
                {
                    "where": where,
                    "error": error,
                    "examples": examples,
                    "seconds": predicted,
                    "ratio": predicted / seconds,
                }
            )
    return {
        "n": n,
        "units": UNITS,
        "good_units": int(good.sum()),
        "exact_s": seconds,
        "exact_written_s": written,
        "sampled": rows,
        "equal_accuracy": equal,
    }


def sampled(
    rng: np.random.Generator,
    problem: ParityMixture,
    W: Any,
    b: float,
    exact: Any,
    good: Any,
    batches: tuple[int, ...],
) -> list[dict[str, Any]]:
    """Errors of the running mean at some numbers of batches, and the seconds it took (without judging it)."""
    weights = W.astype(np.float32)
    total = np.zeros(W.shape, dtype=np.float32)
    inside = np.ix_(good, problem.support)
    seconds, rows = 0.0, []
    for batch in range(1, batches[-1] + 1):
        begin = time.perf_counter()
        X, y = problem.sample(rng, BATCH, dtype=np.float32)
        z = X @ weights.T + np.float32(b)
        slopes = ((z > 0) & (z < CAP)) * y[:, None]
        total += slopes.T @ X
        seconds += time.perf_counter() - begin
        if batch in batches:
            mean = total * (np.sqrt(problem.n) / (batch * BATCH))
            row = {"examples": batch * BATCH, "seconds": seconds}
            row["error_all"] = float(np.linalg.norm(mean[good] - exact[good]) / np.linalg.norm(exact[good]))
            row["error_inside"] = float(np.linalg.norm(mean[inside] - exact[inside]) / np.linalg.norm(exact[inside]))
            rows.append(row)
    return rows


def _best(work: Any, repeats: int) -> float:
    work()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def print_comparison(found: dict[str, Any], console: Console) -> None:
    table = Table(title=f"n = {found['n']}, k = {K}, {UNITS} units, of which {found['good_units']} good")
    for heading in ("", "examples", "seconds", "error, all j", "x sqrt(m)", "error, j in A", "x sqrt(m)"):
        table.add_column(heading, justify="left" if not heading else "right")
    table.add_row("exact", "", f"{found['exact_s']:.3g}", "1e-14", "", "1e-14", "")
    table.add_row("exact, written out", "", f"{found['exact_written_s']:.3g}", "", "", "", "")
    for row in found["sampled"]:
        root = np.sqrt(row["examples"])
        errors = [cell for e in (row["error_all"], row["error_inside"]) for cell in (f"{e:.3g}", f"{e * root:.3g}")]
        table.add_row("sampled", f"{row['examples']:,}", f"{row['seconds']:.3g}", *errors)
    for row in found["equal_accuracy"]:
        place = (f"{row['error']:g}", "", "", "") if row["where"] == "all" else ("", "", f"{row['error']:g}", "")
        label = f"by the law: {row['ratio']:.2g} times exact"
        table.add_row(label, f"~{row['examples']:.2g}", f"~{row['seconds']:.3g}", *place)
    console.print(table)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser("parity_first_step", __doc__, "one small size, measured once", "all of it")
    options = common.parse(parser, arguments)
    effort = QUICK if options.quick else FULL
    console = common.console()
    report: dict[str, Any] = {
        "machine": common.machine(),
        "effort": effort._asdict(),
        "load_average": [psutil.getloadavg()],
    }
    report["comparison"] = []
    for n in effort.sizes:
        report["comparison"].append(compare(n, effort))
        print_comparison(report["comparison"][-1], console)
    report["load_average"].append(psutil.getloadavg())
    start, end = report["load_average"]
    console.print(common.described(report["machine"]))
    console.print(common.load(start, end))
    common.write(report, options.json)
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
