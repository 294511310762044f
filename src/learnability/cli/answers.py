"""What a terminal shows first: the answer, in at most 25 lines.

How many claims hold, a line for each that does not, and where everything is; the whole of it is in the folder of
results and under ``--verbose``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from learnability import shown
from learnability.cli.terminal import duration
from learnability.report import COLOURS, against, reason
from learnability.theory.guarantee import WORDS, counts

if TYPE_CHECKING:
    from rich.text import Text

    from learnability.api import Certification, Estimate, Result, Verification
    from learnability.records import Comparison
    from learnability.theory import Guarantee

__all__ = ["LINES", "headline", "of_certification", "of_estimates", "of_run", "of_verification", "size"]

LINES = 25
EXPERIMENTS = 12
"""Of more than these only such are listed as have something to say."""


def of_run(results: Sequence[Result], out: str, seconds: float, width: int) -> list[Text]:
    """What came of experiments."""
    found = [point for result in results for point in _points(result.guarantees, result.recorded.differs)]
    if len(results) == 1:
        (result,) = results
        head = [headline(result, seconds), *_unfinished(results)]
        head.append(_counted(result.guarantees, [result.recorded], len(result.failures)))
        paths = [f"figure: {path}" for path in result.files[:1]] or ["no figure"]
        place = Path(out) / result.id / result.folder / "verdicts.md"
        return _answer(head, paths, found, [f"every claim (or --verbose): {place}"], width)
    tasks = {what: sum(result.tasks[what] for result in results) for what in results[0].tasks}
    guarantees = [g for result in results for g in result.guarantees]
    scale = ", ".join(dict.fromkeys(result.place for result in results))
    head = [
        f"{len(results)} experiments ({scale}; tasks: {_tasks(tasks)}; {duration(seconds)})",
        *_unfinished(results),
        _counted(
            guarantees, [result.recorded for result in results], sum(len(result.failures) for result in results)
        ),
    ]
    shown = [result for result in results if len(results) <= EXPERIMENTS or result.failures or _tells(result)]
    left = max(len(shown) - EXPERIMENTS, 0)
    longest = max((len(result.id) for result in shown), default=0)
    rows = [f"{result.id:<{longest}}  {_row(result)}" for result in shown[:EXPERIMENTS]]
    if left:
        rows.append(f"... and {left} experiments more")
    if quiet := len(results) - len(shown):
        rows.append(f"{quiet} of which every claim holds or is outside its hypotheses")
    place = Path(out) / "<experiment>" / results[0].folder / "verdicts.md"
    tail = [f"every claim (or --verbose): {place}"]
    return _answer(head, [_cut(row, width) for row in rows], found, tail, width)


def _unfinished(results: Sequence[Result]) -> Iterator[str]:
    """A line if something is missing: what, and what does it."""
    some = [result.unfinished for result in results if result.unfinished]
    if some:
        cells, of = sum(one.cells for one in some), sum(one.of for one in some)
        which = f"{len(some)} of {len(results)} experiments: " if len(results) > 1 else ""
        missing = sum(one.tasks for one in some)
        yield (
            f"UNFINISHED: {which}{cells:,} of {of:,} cells are complete, and figure and claims are of these alone; "
            f"{_number(missing, 'task')} missing (the same command without --part and --time-limit does the rest)"
        )


def _number(count: int, what: str) -> str:
    return f"1 {what} is" if count == 1 else f"{count:,} {what}s are"


def of_estimates(estimates: Sequence[Estimate], workers: int, seconds: float) -> Iterator[Text]:
    """What a run would do: a line an experiment, and all of it."""
    from rich.text import Text

    longest = max(len(one.id) for one in estimates)
    names = {"run": "to run", "cached": "cached", "failed": "failed before", "parts": "of other parts"}
    for one in estimates:
        counted = ", ".join(f"{n:,} {names[what]}" for what, n in one.tasks.items() if n or what == "run")
        taken = f"; {duration(one.seconds)} of computing" if one.seconds else ""
        basis = f" ({'measured' if one.measured else 'as its scale says'})" if one.seconds else ""
        cells = f"{one.cells:,} {'cell' if one.cells == 1 else 'cells'} x {one.seeds}"
        yield Text(f"{one.id:<{longest}}  {one.scale}: {cells}: {counted}{taken}{basis}")
    known = [one.memory for one in estimates if one.memory is not None]
    some = f" for {len(known)} of {len(estimates)} experiments" if len(known) < len(estimates) else ""
    memory = f"{size(max(known))} a process, measured{some}" if known else "not measured yet"
    people = "1 process" if workers == 1 else f"{workers} processes"
    yield Text(f"about {duration(seconds)} in {people}; memory: {memory}; nothing was run")


def size(bytes_: float) -> str:
    """Bytes as MB or GB."""
    return f"{bytes_ / 1e6:.0f} MB" if bytes_ < 1e9 else f"{bytes_ / 1e9:.1f} GB"


def of_verification(done: Verification, scale: str, out: str, seconds: float, width: int) -> list[Text]:
    """What came of statements: a line a study, and one for each statement that does not simply hold."""
    head = []
    for study in dict.fromkeys(name.partition("/")[0] for name in done.checks):
        checks = [check for name, check in done.checks.items() if name.startswith(f"{study}/")]
        number = "1 statement" if len(checks) == 1 else f"{len(checks)} statements"
        verdicts = _counted([g for check in checks for g in check.guarantees], [check.recorded for check in checks])
        head.append(f"{study} ({scale}): {number}, {verdicts}")
    failed = f"{len(done.failures)} could not be finished; " if done.failures else ""
    head.append(f"{failed}{duration(seconds)}")
    found = [point for name, check in done.checks.items() for point in _statement(name, check)]
    tail = [f"every case (or --verbose): {Path(out) / '<study>/verify' / scale / 'verdicts.md'}"]
    return _answer(head, [], found, tail, width)


def of_certification(done: Certification, seconds: float, width: int) -> list[Text]:
    """What the theorems say of somebody's data."""
    from learnability.certification.sentences import answer

    verdicts = f"{counts(str(g.verdict) for g in done.guarantees)}; {duration(seconds)}"
    paths = [f"figure: {path}" for path in done.files[:1]] or ["no figure"]
    tail = [] if done.folder is None else [f"every bound (or --verbose): {done.folder / 'verdicts.md'}"]
    found = [point for point in _points(done.guarantees, None) if point.word == WORDS["violated"]]
    return _answer([*answer(done), verdicts], paths, found, tail, width)


def headline(result: Result, seconds: float) -> str:
    """What was run, and how long that took."""
    seeds = "1 seed" if result.seeds == 1 else f"{result.seeds} seeds"
    return f"{result.id} ({result.place}, {seeds}; tasks: {_tasks(result.tasks)}; {duration(seconds)})"


def _tasks(tasks: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in tasks.items() if count or what == "run")


def _counted(guarantees: Iterable[Guarantee], recorded: Sequence[Comparison], failed: int = 0) -> str:
    """How many verdicts of each kind, and whether they are as recorded."""
    compared = [one for one in recorded if one.differs is not None]
    differs = sum(len(one.differs or ()) for one in compared)
    said = f"{differs} not as recorded" if differs else "as recorded" if compared else str(recorded[0])
    if compared and len(compared) < len(recorded):
        said += f", {len(recorded) - len(compared)} without a record"
    verdicts = counts(str(g.verdict) for g in guarantees)
    return f"{verdicts}{f', {failed} failed' if failed else ''}; {said}"


def _row(result: Result) -> str:
    failed = f"{len(result.failures)} failed; " if result.failures else ""
    differs = f"; {result.recorded}" if result.recorded.differs else ""
    failed += f"unfinished ({result.unfinished}); " if result.unfinished else ""
    return f"{failed}{counts(str(g.verdict) for g in result.guarantees)}{differs}"


def _tells(result: Result) -> bool:
    return bool(result.unfinished) or bool(_points(result.guarantees, result.recorded.differs))


class _Point(NamedTuple):
    """A line about a claim; those of the least rank come first."""

    rank: int
    word: str
    id: str
    said: str


_RANKS = ("not as recorded", "violated", "not_measured", "outside_hypotheses")


def _points(
    guarantees: Iterable[Guarantee], differs: Iterable[Mapping[str, Any]] | None, *, outside: bool = False
) -> list[_Point]:
    """What is violated, cannot be told or is not as recorded; if asked also what is outside its hypotheses."""
    changed = {change["id"]: change["recorded"] for change in differs or ()}
    found = []
    for guarantee in guarantees:
        plain = guarantee.to_json()
        id, verdict = plain["id"], plain["verdict"]
        if not (id in changed or verdict in _RANKS[1:3] or (outside and verdict == _RANKS[3])):
            continue
        rank = 0 if id in changed else _RANKS.index(verdict)
        recorded = f"recorded: {changed.pop(id) or 'no such claim'}" if id in changed else ""
        numbers = "" if verdict == _RANKS[3] else against(plain)
        said = "; ".join(filter(None, [recorded, numbers, reason(plain)]))
        found.append(_Point(rank, WORDS[verdict], id, said))
    found += [_Point(0, "gone", id, f"recorded: {recorded}") for id, recorded in changed.items()]
    return sorted(found, key=lambda point: point.rank)


def _statement(name: str, check: Any) -> Iterator[_Point]:
    """The worst that is to be said of a statement, if there is anything."""
    found = _points(check.guarantees, check.recorded.differs, outside=True)
    if found:
        worst = found[0]
        same = sum(point.rank == worst.rank for point in found)
        if same > 1:
            worst = worst._replace(id=name, said=f"{same} of {len(check.guarantees)} cases, first: {worst.said}")
        yield worst


def _answer(
    head: Iterable[str], paths: Iterable[str], found: list[_Point], tail: list[str], width: int
) -> list[Text]:
    """Head, paths and tail whole, and between them as many points as there is room for."""
    from rich.text import Text

    width = max(width, 20)
    before = [Text(line) for text in head for line in _wrapped(text, width)]
    before[0].stylize("bold")
    before += map(Text, paths)
    after = [Text(line) for line in tail]  # paths are never broken, so that they can be copied
    room = LINES - sum(-(-max(len(line), 1) // width) for line in (*before, *after))
    ordered = sorted(found, key=lambda point: point.rank)
    return [*before, *_listing(ordered, width, max(room, 4)), *after]


def _listing(found: list[_Point], width: int, room: int) -> Iterator[Text]:
    """A line for each point, two where the width does not hold it; the last says how many had no room."""
    from rich.text import Text

    words = max((len(point.word) for point in found), default=0)
    ids = max((len(point.id) for point in found), default=0)
    narrow = words + ids + 60 > width
    used = 0
    for number, point in enumerate(found):
        if narrow:
            said = textwrap.wrap(
                f"{point.word}: {point.said}", width, initial_indent="  ", subsequent_indent="  ",
                max_lines=1 if width >= 60 else 2, placeholder="...",
            )  # fmt: skip
            lines = [*map(Text, _wrapped(shown.line(point.id), width)), *map(Text, said)]
            coloured, at = lines[-len(said)], 2
        else:
            coloured, at = Text(_cut(f"{point.word:<{words}}  {point.id:<{ids}}  {point.said}", width)), 0
            lines = [coloured]
        coloured.stylize(COLOURS.get(point.word, "bold"), at, at + len(point.word))
        rest = len(found) - number
        if used + len(lines) + (rest > 1) > room:
            yield Text(f"... and {rest} more (--verbose)")
            return
        yield from lines
        used += len(lines)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 3].rstrip()}..."
