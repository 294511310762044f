r"""A test of the tests: run every check with something wrong underneath, and list the rows that never turn.

``python -m tools.doctored symmetry``, from the root of a checkout, traces which functions of the pure rooms
(``problems``, ``networks``, ``training``, ``kernels``, ``theory``) each check of the study calls, replaces them one
at a time by a doctored one, runs the check again and looks at its verdicts. A row that holds must be violated by some
of these wrongs, otherwise no measurement could have refuted it. Functions that the check itself names come before
those that these call. The wrongs, the smallest first:

======================  ==============================================================================================
off by 1 %              numbers that a function returns times 1.01, weights each by up to 1 %; 0.01 where all are 0
one more                whole numbers (updates, counts) that it returns, and one
permuted                labels or rows that it returns, or labels that it is given, in another order
flipped                 labels, truth values and numbers that it returns, negated
halved, doubled         numbers, counts and weights that it returns
an argument doubled     a real number that it is given (a step, a margin, a scale), one at a time
shifted                 rows that it returns, or points that it is given: each the one before, the first twice
averaged                arrays that it returns, over their length: a mean for a sum, wrong by more where there is more
an argument left out    an option that it is given, a number or a name
a tenth, tenfold        numbers that it returns
======================  ==============================================================================================

Bounds are never doctored while a room's function serves: a statement that compares a formula with itself is to be
found out. Only for rows that no room's function turns are the helpers of the study's own ``theorems`` off by 1 %, by
one or by a factor of two ("formula"), never negated: where a statement is about formulas, as when a closed form is
compared with an enumeration, that is all there can be. A check that raises turns nothing. Rows that are violated
already can fail, rows outside their hypotheses or without a verdict say nothing: they are counted, not tried.

Each check is tried in a process of its own, so that a doctored loop that never ends costs a time limit and no more.
``--out FILE`` keeps what was found as JSON; a statement that is there already is not tried again, unless its time ran
out: then what had turned a row stays.
``--page`` writes ``docs/verdicts/doctored.md`` from it.

``--tables FOLDER`` tries the claims of figures instead, on the tables that ``learnability run --out FOLDER`` left
there, of the laptop scale if there is one and else of smoke: what was measured is doctored column by column (halved,
doubled, a tenth, tenfold, one more, one less, taken from 1, negated, its rows reversed or permuted). A claim is a
function of the table alone, so that this takes seconds. Figures without a table there are left out.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools.doctored.page import PAGE, never, page, reason
from tools.doctored.tables import tables
from tools.doctored.trials import work
from tools.doctored.workers import tried


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the checks named, or all; status 1 if a row never turns and no reason stands for it."""
    parser = argparse.ArgumentParser(
        "python -m tools.doctored", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="studies, statements or figures; by default all")
    parser.add_argument("--scale", default="smoke", choices=("smoke", "laptop"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--limit", type=float, default=math.inf, help="seconds for one check")
    parser.add_argument("--only", default="", help="try only wrongs with this in their name, whatever FILE has")
    parser.add_argument("--out", type=Path, help="JSON file of what was found, read first if it is there")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--tables", type=Path, help="folder of results: try the claims of figures on their tables")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.worker:
        work(chosen.worker, chosen.scale, start=chosen.start, only=chosen.only)
        return 0
    from learnability.discovery import installed

    # A figure may have the name of a statement.
    statements, figures = list(installed().statements), [f"figure {id}" for id in installed().experiments]
    every = [*statements, *figures]
    wanted = [
        name
        for name in (figures if chosen.tables else statements)
        for id in [name.removeprefix("figure ")]
        if not chosen.names or {id, id.partition("/")[0]} & set(chosen.names)
    ]
    if not wanted:
        parser.error(f"no {'figure' if chosen.tables else 'statement'} is called {', '.join(chosen.names)}")
    found: dict[str, Any] = {}
    if chosen.out and chosen.out.exists():
        found = {name: one for name, one in json.loads(chosen.out.read_text()).items() if name in every}
    lock = threading.Lock()

    def keep(name: str, result: dict[str, Any], told: str) -> None:
        with lock:
            found[name] = result
            print(f"{name}: {len(result['turned'])} turn, {len(never(result))} never; {told}", flush=True)
            for id in never(result):
                print(f"    never: {id} {reason(id)}", flush=True)
            if chosen.out:
                chosen.out.write_text(json.dumps({name: found[name] for name in every if name in found}, indent=1))

    def attempt(name: str) -> None:
        result = tried(name, chosen.scale, chosen.limit, chosen.only, found.get(name))
        ended = f"{result['raised']} raised, {len(result['hung'])} never ended"
        timed = ", out of time" if "unfinished" in result else ""
        keep(name, result, f"{result['tried']} wrongs tried, {ended}{timed}")

    if chosen.tables:
        for id, result in tables(chosen.tables, [name.removeprefix("figure ") for name in wanted]):
            keep(f"figure {id}", result, "on a doctored table")
    else:
        waiting = [name for name in wanted if chosen.only or name not in found or "unfinished" in found[name]]
        with ThreadPoolExecutor(chosen.workers) as pool:
            list(pool.map(attempt, waiting))
    if chosen.page:
        ordered = ({name: found[name] for name in names if name in found} for names in (statements, figures))
        PAGE.write_text(page(*ordered, scale=chosen.scale))
    unexplained = [id for name in wanted if name in found for id in never(found[name]) if not reason(id)]
    print(f"{len(unexplained)} rows never turn and no reason is given")
    return int(bool(unexplained))


if __name__ == "__main__":
    sys.exit(main())
