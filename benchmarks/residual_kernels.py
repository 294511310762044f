"""Conjugate and tangent kernels against neural-tangents and a Jacobian: ``python -m benchmarks.residual_kernels``.

1,000 examples of 30 signs, float64, one thread each, every way in a process of its own (``residual_kernel_ways``),
timed in turns, there and back: ratios of medians with an interval, of the calls after the first, which may compile
("1st +s": how much longer that of ``ntk`` took); what takes longer than 20 s the first time is called once. MB is the
peak memory of the process, and beside it what it was before the first call, with the libraries in place.

- Infinite width, fully-connected ReLU networks of 1 and 3 hidden layers: :mod:`learnability.kernels.closed_form`,
  ``neural_tangents.stax``, and the formulas in JAX.
- The ResNet at finite width m = 50, 200, 1000 with k = 15 outputs:
  :mod:`learnability.kernels.residual_empirical`, ``neural_tangents.empirical_ntk_fn`` (its structured derivatives,
  and its default, which contracts Jacobians, up to m = 200), and a Jacobian by ``torch.func``, an output at a time.

Values are compared with this library's: the largest difference, relative to the largest entry. (The tangent kernel of
an input with itself needs kappa_0 at its root, 1, where a rounding error e becomes sqrt(2 e) / pi: the formulas as
others write them lose 1e-8 there, ours start from angles.) Ways that do not start are left out, and why is said.
neural-tangents 0.6.5 (the last) does not import with any JAX that this package takes; ``--neural-tangents PYTHON``
names an interpreter that has it: ``jax==0.4.25 jaxlib==0.4.25 numpy<2 tf2jax==0.3.6`` work, JAX 0.5.3 for all but the
structured derivatives.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from rich.console import Console

from benchmarks import common
from learnability import seeding
from learnability.checks import FloatArray
from learnability.networks import residual
from learnability.problems.residual import UniformSigns

D, K = 30, 15
WEIGHT, BIAS = 2.0 / D, 0.1
MINUTES = {"full": 5, "short": 1}
LONG = 20.0
"""Seconds from which on a call is not repeated."""
KERNELS = ("last", "ntk")


class Way(NamedTuple):
    """A function of ``residual_kernel_ways``, and up to which width it is tried."""

    label: str
    neural_tangents: bool = False
    largest: int | None = None


CLOSED = {
    "closed": Way("this library"),
    "closed_neural_tangents": Way("neural-tangents", True),
    "closed_jax": Way("JAX, jit"),
}
FINITE = {
    "finite": Way("this library"),
    "finite_structured": Way("neural-tangents, structured", True),
    "finite_contraction": Way("neural-tangents, default", True, 200),
    "finite_torch": Way("PyTorch Jacobian"),
}


class Effort(NamedTuple):
    """Examples, depths, widths."""

    examples: int
    depths: tuple[int, ...]
    widths: tuple[int, ...]


FULL = Effort(1000, (1, 3), (50, 200, 1000))
SHORT = Effort(500, (1,), (50, 200))
QUICK = Effort(40, (2,), (6,))


class Failed(Exception):
    """A worker that ended, with the last line that it said."""


class Worker:
    """A way in a process of its own."""

    def __init__(self, python: str, way: str, source: Path, folder: Path) -> None:
        self.target, self.said = folder / f"{way}.npz", folder / f"{way}.txt"
        script = Path(__file__).with_name("residual_kernel_ways.py")
        # The folder of the script holds modules of common names; NPROC is read by JAX.
        surroundings = {**os.environ, "PYTHONSAFEPATH": "1", "NPROC": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        with self.said.open("w") as errors:
            self.process = subprocess.Popen(
                [python, str(script), way, str(source), str(self.target)], env=surroundings, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        try:
            self.before_mb = self._answer()["mb"]
        except Failed:
            self.stop()
            raise

    def call(self, kernel: str) -> dict[str, float]:
        """Compute a kernel: seconds, and the peak memory so far in MB."""
        assert self.process.stdin is not None
        print(kernel, file=self.process.stdin, flush=True)
        return self._answer()

    def kernels(self) -> dict[str, FloatArray]:
        """What it computed. It ends with that."""
        self.process.communicate()
        with np.load(self.target) as found:
            return dict(found)

    def stop(self) -> None:
        """End the process, if it has not ended."""
        self.process.kill()
        self.process.communicate()

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            lines = [line for line in self.said.read_text().splitlines() if line.strip()]
            raise Failed(lines[-1] if lines else f"exit code {self.process.returncode}")
        found: dict[str, float] = json.loads(line)
        return found


def compare(
    ways: dict[str, Way], arrays: dict[str, Any], repeats: int, python: str, console: Console
) -> list[dict[str, Any]]:
    """Time some ways on the same arrays, in turns."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        np.savez(folder / "given.npz", **arrays)
        workers: dict[str, Worker] = {}
        rows: dict[str, dict[str, Any]] = {}
        for way, what in ways.items():
            interpreter = python if what.neural_tangents else sys.executable
            try:
                worker = Worker(interpreter, way, folder / "given.npz", folder)
                stack.callback(worker.stop)
                first = {kernel: worker.call(kernel) for kernel in KERNELS}
            except (Failed, OSError) as reason:
                console.print(f"{what.label} left out: {reason}", soft_wrap=True)
                continue
            workers[way] = worker
            rows[way] = {"way": way, "label": what.label, "before_mb": worker.before_mb, "first": first}
        seconds: dict[tuple[str, str], list[float]] = {(way, kernel): [] for way in workers for kernel in KERNELS}
        for done in range(repeats):
            for (way, kernel), found in list(seconds.items())[:: -1 if done % 2 else 1]:
                if rows[way]["first"][kernel]["seconds"] <= LONG:
                    found.append(workers[way].call(kernel)["seconds"])
        kernels = {way: worker.kernels() for way, worker in workers.items()}
    ours, *_ = kernels.values()
    for way, row in rows.items():
        first = row.pop("first")
        row["peak_mb"] = first["ntk"]["mb"]
        for kernel in KERNELS:
            each = seconds[way, kernel] or [first[kernel]["seconds"]]
            row[kernel] = {
                "seconds": float(np.median(each)),
                "seconds_each": each,
                "first_call_excess_s": max(0.0, first[kernel]["seconds"] - float(np.median(each))),
                "from_this_library": apart(kernels[way][kernel], ours[kernel]),
            }
    reference, *_ = rows.values()
    for row in rows.values():
        for kernel in KERNELS:
            samples = (common.Samples(tuple(of[kernel]["seconds_each"])) for of in (row, reference))
            row[kernel] |= common.ratio(*samples)._asdict()
    return list(rows.values())


def apart(one: FloatArray, other: FloatArray) -> float:
    """The largest difference, relative to the largest entry."""
    return float(np.abs(one - other).max() / np.abs(other).max())


def cases(effort: Effort) -> Iterator[tuple[str, dict[str, Way], dict[str, Any]]]:
    """Title, ways and arrays of everything that is compared."""
    X = UniformSigns(D).sample(seeding.generator(0, "benchmark sample"), effort.examples)
    n = f"{effort.examples:,} examples"
    for depth in effort.depths:
        yield (
            f"Infinite width, depth {depth}, {n}",
            CLOSED,
            {"X": X, "depth": depth, "weight": WEIGHT, "bias": BIAS},
        )
    for m in effort.widths:
        start = residual.initial(seeding.generator(0, "benchmark start", m), "3resnet", D, K, m)
        ways = {name: way for name, way in FINITE.items() if way.largest is None or m <= way.largest}
        yield f"3resnet at m = {m}, {n}", ways, {"X": X, **start._asdict()}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser("residual_kernels", __doc__, "few examples and units", "500 examples, fewer cases")
    parser.add_argument("--repeats", type=int, default=7, help="of each kernel, after the first call (default 7)")
    parser.add_argument(
        "--neural-tangents", metavar="PYTHON", default=sys.executable,
        help="an interpreter that has neural-tangents (default: this one)",
    )  # fmt: skip
    options = common.parse(parser, arguments)
    effort = QUICK if options.quick else SHORT if options.short else FULL
    console = common.console()
    report: dict[str, Any] = {"machine": common.machine(), "effort": effort._asdict(), "repeats": options.repeats}
    report["load_average"] = {"start": psutil.getloadavg()}
    report["cases"] = []
    for title, ways, arrays in cases(effort):
        rows = compare(ways, arrays, options.repeats, options.neural_tangents, console)
        report["cases"].append({"title": title, "rows": rows})
        console.print(_table(title, rows))
    report["load_average"]["end"] = psutil.getloadavg()
    console.print(common.described(report["machine"]))
    console.print(common.load(report["load_average"]["start"], report["load_average"]["end"]))
    common.write(report, options.json)
    return report


def _ratio(of: dict[str, Any]) -> str:
    return f"{of['ratio']:.2f} ({of['low']:.2f}-{of['high']:.2f})"


def _table(title: str, rows: list[dict[str, Any]]) -> Any:
    headings = ["", *(heading for kernel in KERNELS for heading in (f"{kernel} s", "ratio", "apart"))]
    return common.table(
        f"{title}, float64",
        [*headings, "1st +s", "MB", "before"],
        (
            [
                row["label"],
                *(
                    cell
                    for of in (row["last"], row["ntk"])
                    for cell in (f"{of['seconds']:.3g}", _ratio(of), f"{of['from_this_library']:.0e}")
                ),
                f"{row['ntk']['first_call_excess_s']:.2g}",
                f"{row['peak_mb']:.0f}",
                f"{row['before_mb']:.0f}",
            ]
            for row in rows
        ),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
