"""The two-layer engine against the loops one would write without it: ``python -m benchmarks.two_layer``.

Cells: 3,000 MNIST images of 3 and 5 (scikit-learn's 8x8 digits where MNIST is not there; ``LEARNABILITY_DATA`` names
its folder), of which 80 % of the entries are zeros, and a dense planted set of the same size; 2k = 2 to 5000 neurons;
the first layer trained or both; float64 and float32; leaky ReLUs with alpha = 0.1, and ReLUs at one width; eta = 0.1;
one thread. ``--cells REGEX`` picks some (``mnist-10-first-float64`` is a name), ``--short`` takes three.

For each cell, the time of the fastest competitor over the engine's, over the *first epoch* and over the *whole run*:
to zero loss, or to as many epochs as the cell says.

- The engine is timed through ``two_layer.train`` with everything that it does (checks, set-up, orders, the look for
  non-zero entries): ``epochs=1``, and the whole run. It records nothing (``record=()``), as competitors do not.
- Of a competitor its loop alone is timed: not compiling, nor turning arrays into the library's own (for CSR, finding
  the non-zero entries), nor drawing the order. To 2k = 100 the first epoch is run. Beyond, and for whole runs,
  two windows, in the first epoch and late in the run, give a cost for each visit and one for each update, of which
  the engine's run says how many there are.
- Before anything is timed each competitor, and each of the engine's forms, makes the windows' visits, and its updates
  are compared with the reference's.
- Competitors near the fastest are timed in alternation with the engine, in five rounds or more: ratios of medians,
  with a 95 % interval over rounds. The others are timed once.
- *Forms*: ``auto`` over the faster of the other forms (above 1: it chose worse than one could). *Records*: the whole
  run with the default records over one without.

With ``--json FILE`` each cell is a line of the file as soon as it is measured; cells that the file holds are not
measured again (``--again`` measures them anew), and the table is of all of them.
"""

from __future__ import annotations

import os

# Before NumPy, JAX and PyTorch are imported: they read these once.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import argparse
import json
import re
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import machine, parse, parser
from benchmarks.two_layer_cell import FULL, QUICK, SHORT, Cell, Effort
from benchmarks.two_layer_report import markdown
from benchmarks.two_layer_runs import Case, Sample, images, planted

EPOCHS = {2: 3000, 10: 3000, 100: 3000, 1000: 50, 5000: 5}
"""Of the whole run at each width, at the most."""
MINUTES = {"full": 30, "short": 1}
RELU = 100
"""Width at which ReLUs are timed too."""
BRIEF = ("mnist-10-first-float64", "planted-100-both-float32", "mnist-100-both-float64")
"""Cells of the short form."""


def cases(quick: bool) -> list[Case]:
    """All cells."""
    samples: list[Sample] = [images(quick), planted(quick)]
    widths = (4, 16) if quick else tuple(EPOCHS)
    rules = [(width, 0.1) for width in widths] + [(widths[-1] if quick else RELU, 0.0)]
    return [
        Case(sample, width, layers, dtype, alpha=alpha)
        for sample in samples
        for width, alpha in rules
        for layers in ("first", "both")
        for dtype in ("float64", "float32")
    ]


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """The command; returns the lines of all cells."""
    options = parser("two_layer", __doc__, "small networks and samples", "three cells")
    options.add_argument("--cells", type=pattern, metavar="REGEX", help="cells whose name it is found in")
    options.add_argument("--epochs", type=int, help="of whole runs at the most; by default fewer for wide networks")
    options.add_argument("--again", action="store_true", help="measure anew what the file of --json holds")
    options.add_argument("--rows", action="store_true", help="show every loop of every cell")
    found = parse(options, arguments)
    if found.epochs is not None and found.epochs < 2:
        options.error(f"--epochs must be >= 2, got {found.epochs}")
    effort = QUICK if found.quick else SHORT if found.short else FULL
    begin = time.perf_counter()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - begin:4.0f} s] {text}", file=sys.stderr, flush=True)

    chosen = [case for case in cases(found.quick) if picked(case.name, found.cells, found.short)]
    if not chosen:
        options.error(f"--cells: {found.cells.pattern!r} is found in no cell's name")
    held = lines(found.json, effort)
    computer = machine()
    measured = []
    for case in chosen:
        epochs = found.epochs or (40 if found.quick else EPOCHS[case.width])
        if not found.again and held.get(case.name, {}).get("budget") == epochs:
            measured.append(held[case.name])
            continue
        say(f"{case.name}, at most {epochs} epochs")
        start = psutil.getloadavg()[0]
        spent = time.perf_counter()
        line = Cell(case, epochs, effort, say).measure()
        line |= {"machine": computer, "load": [start, psutil.getloadavg()[0]], "seconds": time.perf_counter() - spent}
        measured.append(line)
        if found.json is not None:
            append(line, found.json)
    print(markdown(measured, found.rows or len(chosen) <= 3))
    return measured


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def picked(name: str, wanted: re.Pattern[str] | None, short: bool) -> bool:
    """Whether a cell is to be measured."""
    if wanted is not None:
        return wanted.search(name) is not None
    return name in BRIEF if short else True


def lines(file: Path | None, effort: Effort) -> dict[str, dict[str, Any]]:
    """The cells that a file holds, measured with the same effort; of each the last. A line cut off is none."""
    found = {}
    for text in file.read_text().splitlines() if file is not None and file.exists() else ():
        with suppress(json.JSONDecodeError):
            line = json.loads(text)
            if line["effort"] == effort.name:
                found[line["cell"]] = line
    return found


def append(line: dict[str, Any], file: Path) -> None:
    """One more line, on its own even where the last one was cut off."""
    cut = file.exists() and not file.read_text().endswith("\n")
    with file.open("a") as end:
        end.write("\n" * cut + json.dumps(line) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
