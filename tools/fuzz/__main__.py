"""Damaged, strange and hostile files for every reader of files.

``python -m tools.fuzz``, from the root of a checkout, makes small valid files of every kind that
:func:`learnability.datasets.read_table` reads (text, also compressed, LIBSVM, npy, NPZ, SciPy's sparse NPZ, Parquet)
and of what is read back from an output folder (JSON: manifests, verdicts, records, sidecars), changes them (flipped
bits, other bytes, lengths and numbers, tokens that mean something to a parser, lines twice or gone, parts cut,
repeated or spliced in from another file, other encodings) and reads them. Archives and compressed files are changed
outside and, packed again, inside.

An input passes if it is read, into finite numbers and labels -1 and +1, or refused by a ValueError whose message is
one line of fewer than 2,000 characters, all of them visible, that names the file. A warning, another exception, more
than 0.3 GB of memory or no end within ``--hang`` seconds fails it. Inputs that take more than a second of the
processor are counted, not failed.

Everything follows from ``--seed`` and the number of an input: ``--index N`` makes that one again, reads it here and
shows what came of it. What failed is kept in ``--out``, the first few of each sort, as file and traceback. Ctrl-C
and SIGTERM end it with the table of what there is. Status 1 if anything failed.

``--atheris`` lets Google's atheris choose the bytes by what they reach (``pip install atheris``), for as long as it
is let; it replaces the inputs from here, and takes the arguments after ``--`` as its own.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import math
import signal
import sys
import tempfile
import types
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from tools.fuzz.mutations import Input, make
from tools.fuzz.seeds import KINDS, seeds
from tools.fuzz.trials import Trial, tried
from tools.fuzz.workers import Tally, running

KEPT = 5
"""Failures of one sort that are kept."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make inputs, read them, print a table."""
    parser = argparse.ArgumentParser(
        "python -m tools.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000, help="how many inputs (10,000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (0)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", choices=list(KINDS), help="inputs of one kind only")
    parser.add_argument("--index", type=int, help="one input only, in this process, with what came of it")
    parser.add_argument("--hang", type=float, default=60.0, help="seconds on the clock that end an input (60)")
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"), help="folder for what failed")
    parser.add_argument("--atheris", action="store_true", help="let atheris choose the bytes")
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.atheris:
        return _atheris(options.reader or "text", options.rest)
    if options.index is not None:
        return _one(make(options.seed, options.index, options.reader), options.out)
    kept: Counter[str] = Counter()

    def failed(number: int, trial: Trial) -> None:
        sort = _sort(trial)
        kept[sort] += 1
        if kept[sort] == 1:
            print(f"input {number}: {trial.why[:300]}", flush=True)
        if kept[sort] <= KEPT:
            _keep(make(options.seed, number, options.reader), trial, f"{options.seed}-{number}", options.out)

    start = monotonic()
    tallies: dict[str, Tally] = {}
    numbers = range(options.first, options.first + options.count)
    told = start
    until = start + options.seconds
    with contextlib.suppress(KeyboardInterrupt):
        for part in running(options.seed, numbers, options.reader, options.hang, 1.0, until, failed):
            for kind, tally in part.items():
                whole = tallies.setdefault(kind, Tally())
                whole.outcomes.update(tally.outcomes)
                whole.seconds += tally.seconds
                whole.over += tally.over
                whole.slowest = max(whole.slowest, tally.slowest)
            if monotonic() - told > 60:
                told = monotonic()
                done = sum(tally.outcomes.total() for tally in tallies.values())
                print(f"{done:,} inputs, {kept.total():,} failed, {told - start:,.0f} s", file=sys.stderr, flush=True)
    print(_table(tallies, monotonic() - start))
    for sort, count in kept.most_common():
        print(f"{count:,} x {sort}")
    return 1 if kept else 0


def _one(case: Input, out: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        trial = tried(case, Path(folder))
    print(f"{case.name}, label {case.label!r}, {case.reading}, {len(case.content):,} bytes: {case.content[:2000]!r}")
    print(f"{trial.outcome} in {trial.seconds:.3f} s: {trial.why}\n{trial.where}")
    if trial.outcome == "failed":
        _keep(case, trial, "one", out)
    return int(trial.outcome == "failed")


def _keep(case: Input, trial: Trial, name: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    name = f"{case.kind.replace(' ', '-')}-{name}"
    (out / f"{name}{case.name.removeprefix('fuzz')}").write_bytes(case.content)
    told = f"{case.name}, label {case.label!r}, reading {case.reading!r}\n{trial.why}\n\n{trial.where}"
    (out / f"{name}.log").write_text(told, encoding="utf-8", errors="backslashreplace")


def _sort(trial: Trial) -> str:
    """What failures have in common: the exception, and the line of this package that it left last."""
    lines = [line.strip() for line in trial.where.splitlines() if "src/learnability" in line]
    where = lines[-1].rpartition("src/")[2] if lines else ""
    return f"{trial.why.partition(':')[0]} {where}".strip()


def _table(tallies: dict[str, Tally], seconds: float) -> str:
    headings = ("reader", "inputs", "accepted", "refused", "failed", "over 1 s", "mean ms", "slowest s (input)")
    rows = [headings]
    for kind in [*KINDS, "all"]:
        found = list(tallies.values()) if kind == "all" else [tallies[kind]] if kind in tallies else []
        if not found:
            continue
        outcomes: Counter[str] = sum((tally.outcomes for tally in found), Counter())
        slowest, number = max(tally.slowest for tally in found)
        mean = 1000 * sum(tally.seconds for tally in found) / outcomes.total()
        rows.append((
            kind, f"{outcomes.total():,}", *(f"{outcomes[o]:,}" for o in ("accepted", "refused", "failed")),
            f"{sum(tally.over for tally in found):,}", f"{mean:.2f}", f"{slowest:.2f} ({number})",
        ))  # fmt: skip
    widths = [max(len(row[j]) for row in rows) for j in range(len(headings))]
    lines = [
        "  ".join(cell.rjust(w) if j else cell.ljust(w) for j, (cell, w) in enumerate(zip(row, widths)))
        for row in rows
    ]
    return "\n".join([*lines, f"{seconds:,.0f} s on the clock; times in the table are the processor's"])


def _atheris(kind: str, rest: Sequence[str]) -> int:
    """Bytes that atheris chooses, for the first suffix of a kind; it ends at the first that fails."""
    try:
        import atheris
    except ImportError:
        print("--atheris needs atheris (pip install atheris)", file=sys.stderr)
        return 2
    pool = seeds(kind)
    folder = Path(tempfile.mkdtemp())

    def one(content: bytes) -> None:
        chosen = pool[content[0] % len(pool)] if content else pool[0]
        reading = dict(chosen.reading[content[1] % len(chosen.reading)] if len(content) > 1 else {})
        case = Input(kind, f"fuzz{KINDS[kind].suffixes[0]}", content[2:], chosen.label, reading)
        trial = tried(case, folder)
        if trial.outcome == "failed":
            raise RuntimeError(f"{trial.why}\n{trial.where}")

    corpus = Path(tempfile.mkdtemp())
    for number, seed in enumerate(pool):
        (corpus / str(number)).write_bytes(bytes([number, 0]) + seed.content)
    for found in gc.get_objects():  # the readers only: all that is loaded would take minutes
        if isinstance(found, types.FunctionType) and str(found.__module__).startswith(
            ("learnability.datasets", "csv")
        ):
            atheris.instrument_func(found)
    atheris.Setup([sys.argv[0], *rest, str(corpus)], one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    for ends in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore the first
        signal.signal(ends, signal.default_int_handler)
    sys.exit(main())
