"""Pulled plugs: what a sweep must survive is done to it, and the same command must then end in the same bytes.

``python -m tools.survive``, from the root of a checkout, runs ``learnability run cells.py`` (integer arithmetic, a
figure, three claims) again and again and strikes: kills, power cuts, full disks, damaged files, signals, dying
workers and clusters (a module each in ``tools/survive/kinds``, whose docstring says what is right). After each blow
the same command is run again. Then table, verdicts and figure must be those of a quiet run, byte for byte, the
manifest too but for times and counts; nothing may be left lying about, and no more cells be computed again than were
in hand.

It looks into /proc, forks and stops processes: Linux only, and says so elsewhere, with status 1.

Processes are started as a user starts them where it matters how they start, and otherwise forked from one that has
imported everything. ``--short`` is what the tests do. ``--out FILE`` keeps the counts as JSON, beside those of kinds
that were tried before; ``--page`` writes the table of ``docs/survival.md`` from it (by default from
``tools/survive/counts.json``), with the counts of ``--before FILE`` beside them. Status 1 if anything was wrong.
Everything that is drawn follows from ``--seed``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tools.survive import kinds
from tools.survive.desk import Desk, Tally
from tools.survive.page import PAGE, put, table

COUNTS = Path(__file__).with_name("counts.json")
"""Those of ``docs/survival.md``."""
BEFORE = Path(__file__).with_name("before.json")
"""Counts of the version before batches and fsync."""
KINDS = [module.name for module in pkgutil.iter_modules(kinds.__path__)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Strike, and print a table."""
    parser = argparse.ArgumentParser(
        "python -m tools.survive", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", metavar="kind", help=f"of {', '.join(KINDS)}; by default all")
    parser.add_argument("--short", action="store_true", help="a few blows of each kind")
    parser.add_argument("--share", type=float, default=1.0, help="as much of it, but of nothing less than one (1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", type=int, default=10_000, help="of the kind group (10,000)")
    parser.add_argument("--out", type=Path, help="JSON file of the counts, read first if it is there")
    parser.add_argument("--before", type=Path, default=BEFORE, help="JSON file of counts to show beside them")
    parser.add_argument("--page", action="store_true", help=f"write the table of {PAGE.name}")
    chosen = parser.parse_args(arguments)
    if lacking := _lacking():
        print(f"python -m tools.survive needs Linux: there is no {lacking} here", file=sys.stderr)
        return 1
    if unknown := [kind for kind in chosen.kinds if kind not in KINDS]:
        parser.error(f"there is no kind {unknown[0]}, only {', '.join(KINDS)}")
    if chosen.page:
        chosen.out = chosen.out or COUNTS
    found: dict[str, list[dict[str, Any]]] = {}
    if chosen.out and chosen.out.exists():
        found = json.loads(chosen.out.read_text())
    wanted = [] if chosen.page and not chosen.kinds and found else chosen.kinds or KINDS
    for kind in wanted:
        found[kind] = []
        for tally, seconds in tried(kind, chosen):
            found[kind].append({**tally.to_json(), "seconds": round(seconds)})
            print(f"{tally}, {seconds:.0f} s", file=sys.stderr, flush=True)
            if chosen.out:
                chosen.out.write_text(json.dumps(found, indent=1) + "\n")
    before = json.loads(chosen.before.read_text()) if chosen.before else {}
    lines = table([one for kind in KINDS for one in found.get(kind, [])], before)
    print("\n".join(lines))
    if chosen.page:
        put(lines)
    return int(any(one["faults"] or one["litter"] for kind in wanted for one in found[kind]))


def _lacking() -> str:
    """What this system has not, of what everything here rests on."""
    try:
        import fcntl  # noqa: F401
    except ImportError:
        return "fcntl"
    return "" if os.path.isdir("/proc/self/fd") else "/proc/self/fd"


def tried(kind: str, chosen: argparse.Namespace) -> Iterator[tuple[Tally, float]]:
    """The tallies of a kind, with the seconds that each took."""
    module = importlib.import_module(f"tools.survive.kinds.{kind}")
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        form = "short" if chosen.short else "full"
        start, desk = time.monotonic(), Desk(Path(folder) / "desk", form, chosen.seed, chosen.share, chosen.cells)
        for tally in module.tried(desk):
            yield tally, time.monotonic() - start
            start = time.monotonic()


if __name__ == "__main__":
    for ends in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore the first
        signal.signal(ends, signal.default_int_handler)
    sys.exit(main())
