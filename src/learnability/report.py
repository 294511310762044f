"""What a reader sees: figures, the verdict table, and one page over everything that was run.

Figures are PNG and PDF without dates or versions in them, so that equal results give equal files. The files of a
result are written, and read again, as one unit.
"""

from __future__ import annotations

import base64
import io
import os
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learnability import plotting, shown
from learnability._version import __version__
from learnability.results import generation, parquet, write_atomically
from learnability.sections import Section
from learnability.theory.guarantee import WORDS, counts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from learnability.theory import Guarantee

__all__ = [
    "COLOURS",
    "TABLE_WIDTH",
    "against",
    "blocks",
    "listing",
    "pictures",
    "reason",
    "verdict_markdown",
    "verdict_table",
    "write_report",
    "write_result",
]

# Without these the files would differ from run to run.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}
_SIDE = {"at_most": "<=", "at_least": ">=", "equal": "="}
"""A number without a verdict has no side."""
COLOURS = {
    "holds": "green",
    "violated": "bold red",
    "outside hypotheses": "yellow",
    "not measured": "dim",
    "no verdict": "dim",
}
_UNDECIDED = ("too wide to tell", "are needed", "no interval")
"""What :func:`learnability.evidence.claims.decide` says where it cannot decide."""


def pictures(figure: Figure) -> dict[str, bytes]:
    """The content of ``figure.png`` and ``figure.pdf``."""
    with plotting.style():
        try:
            return _saved(figure)
        except (
            ValueError,
            TypeError,
            IndexError,
            RecursionError,
        ):  # as matplotlib has it, of a text that is no formula
            with plotting.taken_literally(figure):
                return _saved(figure)


def _saved(figure: Figure) -> dict[str, bytes]:
    found, layout = {}, figure.get_layout_engine()
    try:
        for kind, metadata in _METADATA.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=metadata)
            found[f"figure.{kind}"] = buffer.getvalue()
            figure.set_layout_engine("none")  # laid out once: everything has the same place in both
    finally:
        figure.set_layout_engine(layout)
    return found


def write_result(
    place: Path,
    manifest: Mapping[str, Any],
    guarantees: Iterable[Mapping[str, Any]],
    *,
    pictures: Mapping[str, bytes] | None = None,
    table: pd.DataFrame | None = None,
    more: Mapping[str, bytes] | None = None,
) -> None:
    """Write figure, table, verdicts and manifest of one result, all at once: whoever reads has all of it or none.

    Parameters
    ----------
    place : Path
        Its folder. What there is of an older result is replaced; other files there stay.
    manifest : mapping
        What :func:`learnability.sections.read_section` expects, and more.
    guarantees : iterable of mapping
        The claims in their JSON form.
    pictures : mapping from str to bytes, optional
        Of :func:`pictures`; none where there is no figure or it cannot be drawn.
    table : DataFrame, optional
        All rows; none is written if it is empty.
    more : mapping from str to bytes, optional
        Further files.
    """
    files = {**(pictures or {}), **(more or {})}
    if table is not None and len(table):
        files["table.parquet"] = parquet(table)
    plain = list(guarantees)
    files["verdicts.json"] = (shown.to_json({"guarantees": plain}) + "\n").encode()
    files["verdicts.md"] = verdict_markdown(plain).encode()
    generation.write(place, files, manifest)


def number(value: float | None) -> str:
    """Four significant digits, or a dash."""
    return "-" if value is None else f"{value + 0.0:.4g}"  # no minus before a zero


def _cells(guarantee: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    """Id, verdict, measured, bound with its side, slack and note of a guarantee in its JSON form."""
    note = "; ".join(filter(None, [_fails(guarantee), guarantee["note"]]))
    measured, slack = number(guarantee["measured"]), number(guarantee["slack"])
    return (
        shown.line(guarantee["id"]),
        guarantee["verdict"],
        measured,
        _side(guarantee),
        slack,
        shown.line(note, _NOTE),
    )


_NOTE = 2000
"""Characters of a note: those of the package's own studies have less than half of that."""


def _line(text: object) -> str:
    """A text of a study or of a file in one line; that of a study may be long."""
    return shown.line(text, 5000)


def _side(guarantee: Mapping[str, Any]) -> str:
    side = _SIDE.get(guarantee["direction"])
    return "-" if side is None else f"{side} {number(guarantee['bound'])}"


def _fails(guarantee: Mapping[str, Any]) -> str:
    failed = ", ".join(h["name"] for h in guarantee["hypotheses"] if not h["holds"])
    return failed and f"fails: {failed}"


def against(guarantee: Mapping[str, Any]) -> str:
    """Measured value and bound of a guarantee in its JSON form, in a few characters."""
    if guarantee["bound"] is None:
        return "no bound"
    if guarantee["measured"] is None:
        return f"{_side(guarantee)}?"
    return f"{number(guarantee['measured'])}, {'not ' * (guarantee['verdict'] == 'violated')}{_side(guarantee)}"


def reason(guarantee: Mapping[str, Any]) -> str:
    """Hypotheses that fail and the note, what could not be decided first."""
    pieces = guarantee["note"].split("; ")
    if guarantee["verdict"] == "not_measured":
        pieces.sort(key=lambda piece: not any(words in piece for words in _UNDECIDED))
    return _line("; ".join(filter(None, [_fails(guarantee), *pieces])))


_HEADINGS = ("id", "verdict", "measured", "bound", "slack", "note")


TABLE_WIDTH = 120
"""Columns of text below which a table would crop or break what it shows, and blocks are shown instead."""


def verdict_table(guarantees: Iterable[Guarantee], width: int) -> RenderableType:
    """The verdicts for a terminal: a table, or where that is narrow (< 120 columns) a block for each."""
    cells = [_cells(guarantee.to_json()) for guarantee in guarantees]
    if width < TABLE_WIDTH:
        return blocks((identity, _lines(*rest)) for identity, *rest in cells)
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in _HEADINGS:
        numeric = heading in ("measured", "bound", "slack")
        # Ids and notes may wrap where the terminal is narrow; numbers and verdicts never do.
        table.add_column(
            heading,
            no_wrap=numeric or heading == "verdict",
            justify="right" if numeric else "left",
            overflow="fold",
            min_width=16 if heading in ("id", "note") else None,
        )
    for identity, verdict, *rest in cells:
        # As Text, because Rich would read the brackets of an id as markup.
        table.add_row(Text(identity), Text(verdict, style=COLOURS[WORDS[verdict]]), *map(Text, rest))
    return table


def _lines(verdict: str, measured: str, bound: str, slack: str, note: str) -> Iterator[tuple[str, str]]:
    """Verdict and note, then the numbers that there are."""
    yield verdict, COLOURS[WORDS[verdict]]
    yield f"measured {measured}, bound {bound}, slack {slack}", ""
    if note:
        yield note, ""


def blocks(entries: Iterable[tuple[str, Iterable[tuple[str, str]]]]) -> RenderableType:
    """Headings and under each its lines (text and style), indented, wrapped where the terminal is narrow."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parts: list[RenderableType] = []
    for heading, lines in entries:
        parts.append(Text(heading, style="bold", overflow="fold"))
        parts += [Padding(Text(line, style=style, overflow="fold"), (0, 0, 0, 2)) for line, style in lines]
    return Group(*parts)


def listing(headings: Sequence[str], entries: Iterable[Sequence[str]], width: int) -> RenderableType:
    """A name, words and numbers a row: a table, or where the terminal is narrow a block for each."""
    if width < TABLE_WIDTH:
        return blocks((name, [(line, "") for line in lines]) for name, *lines in entries)
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for number, heading in enumerate(headings):
        justify: Any = "right" if number > 1 else "left"
        table.add_column(heading, no_wrap=number != 1, overflow="fold", justify=justify)
    for entry in entries:
        table.add_row(*entry)
    return table


def verdict_markdown(guarantees: Iterable[Mapping[str, Any]]) -> str:
    """The verdicts, in their JSON form, as a Markdown table."""
    rows: list[tuple[str, ...]] = [_HEADINGS, ("---", "---", "---:", "---:", "---:", "---")]
    for identity, *rest, note in map(_cells, guarantees):
        rows.append((shown.markdown(identity, 5000), *rest, shown.markdown(note, 5000)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def write_report(out: Path, sections: Sequence[Section], unreadable: Sequence[str] = ()) -> tuple[Path, Path]:
    """Write ``report.html``, one file with every figure in it, and ``report.md``; returns both paths.

    ``unreadable`` are lines about results that are left out.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("learnability"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["line"] = _line
    html = environment.get_template("report.html").render(
        version=__version__,
        headings=_HEADINGS,
        summary=counts(g["verdict"] for s in sections for g in s.guarantees),
        unreadable=unreadable,
        sections=[
            {
                "manifest": s.manifest,
                "place": _place(s.manifest),
                "notes": _notes(s.manifest),
                "failures": _failures(s.manifest),
                "computed": _computed(s.manifest),
                "summary": counts(g["verdict"] for g in s.guarantees),
                "rows": [_cells(g) for g in s.guarantees],
                "png": base64.b64encode(s.picture).decode(),
            }
            for s in sections
        ],
    )  # fmt: skip
    parts = [f"# Learnability: {counts(g['verdict'] for s in sections for g in s.guarantees)}\n"]
    parts += [f"- left out: {shown.markdown(line, 5000)}\n" for line in unreadable]
    for s in sections:
        manifest = s.manifest
        title, place = shown.markdown(manifest["title"], 5000), shown.markdown(_place(manifest), 5000)
        parts.append(f"## {shown.markdown(manifest['id'])} ({place})\n\n{title}\n")
        parts.append(f"{shown.code(manifest['command'], 5000)}, {shown.markdown(manifest['date'], 5000)}\n")
        parts += [f"{shown.markdown(line, 5000)}\n" for line in _computed(manifest)]
        for path in s.figures:
            if path.suffix == ".png":
                url = urllib.parse.quote(os.fsencode(path.relative_to(out).as_posix()))
                parts.append(f"![{shown.markdown(manifest['id'])}]({url})\n")
        parts += [f"- {shown.markdown(note, 5000)}\n" for note in _notes(manifest)]
        parts += [f"- {shown.markdown(line, 5000)}\n" for line in _failures(manifest)]
        if s.guarantees:
            parts.append(verdict_markdown(s.guarantees))
    page, markdown = out / "report.html", out / "report.md"
    write_atomically(page, html.encode())
    write_atomically(markdown, "\n".join(parts).encode())
    return page, markdown


def _place(manifest: Mapping[str, Any]) -> str:
    """Scale, and whether something is missing."""
    return f"{manifest['scale']}{', unfinished' if manifest.get('unfinished') else ''}"


def _notes(manifest: Mapping[str, Any]) -> list[str]:
    """What a reader must know beside figure and claims."""
    notes = []
    if missing := manifest.get("unfinished"):
        cells, of, tasks = missing["cells"], missing["of"], missing["tasks"]
        notes.append(
            f"unfinished: figure and claims are those of {cells:,} of {of:,} cells; {tasks:,} "
            f"{'task is' if tasks == 1 else 'tasks are'} missing"
        )
    return notes + [f"computed with more than one thing: {line}" for line in manifest.get("mixture", [])]


_FAILURES = 20
"""Failed tasks of an experiment that the report names; its manifest has them all."""


def _failures(manifest: Mapping[str, Any]) -> list[str]:
    """What failed, a line each."""
    failed = manifest["failures"]
    lines = [f"failed: {shown.ends(failure)}" for failure in failed[:_FAILURES]]
    if (more := len(failed) - _FAILURES) > 0:
        lines.append(f"and {more:,} more failed, all listed under failures in its manifest.json")
    return lines


_WITH = {"learnability": "learnability", "source": "source", "python": "Python", "numpy": "NumPy", "blas": "kernels"}
"""What is said of the processes that computed; the manifest has the rest."""


def _computed(manifest: Mapping[str, Any]) -> list[str]:
    """How many tasks were computed with what."""
    return [
        f"{process['tasks']:,} {'task' if process['tasks'] == 1 else 'tasks'} with "
        + ", ".join(f"{name} {process[key]}" for key, name in _WITH.items() if key in process)
        for process in manifest.get("computed_on", [])
    ]
