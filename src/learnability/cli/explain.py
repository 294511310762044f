"""``learnability explain``: what a statement, a figure or a study is about."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from learnability.cli.options import Json, Verbose
from learnability.cli.terminal import aside, print_json, stdout

if TYPE_CHECKING:
    from learnability.explanation import Explanation, Recorded

__all__ = ["explain"]

WIDEST, ROWS = 100, 12
"""Columns of text, and rows of the record that are shown without ``--verbose``."""


def _names(incomplete: str) -> list[str]:
    from learnability import explanation

    return [name for name in explanation.names() if name.startswith(incomplete)]


def explain(
    name: Annotated[
        str,
        typer.Argument(
            help="A statement, one of its rows, a figure, a study or a file; the beginning of a name will do.",
            autocompletion=_names,
        ),
    ],
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Explain a statement or figure: what it says and asks for, errata, recorded numbers, functions to compute with.

    For instance `learnability explain symmetry/lemma4`, `explain symmetry/fig5`, `explain symmetry`.
    """
    from dataclasses import asdict

    from rich.text import Text

    from learnability import explanation

    with aside():
        found = explanation.explain(name)
    if as_json:
        print_json({"name": name, "explanations": [asdict(one) for one in found]})
        return
    console = stdout()
    for one in found:
        for heading, lines in _told(one, min(console.width, WIDEST) - 2, verbose):
            console.print(Text(heading, style="bold"), soft_wrap=True)
            for line in lines:
                console.print(Text(f"  {line}".rstrip()), soft_wrap=True)
            console.print()


def _told(one: Explanation, width: int, verbose: bool) -> Iterator[tuple[str, list[str]]]:
    """Headings, each with the lines under it."""
    statement, figure = one.kind == "statement", one.kind == "figure"
    yield one.row or one.id, list(dict.fromkeys([*([] if statement else [one.title]), one.source, one.citation]))
    conditions = [text if "\n" in text else f"- {text}" for text in one.hypotheses]
    if statement and not conditions:
        conditions = ["none that the code has to test"]
    for heading, texts in {
        "Statement" if statement else "What it shows" if figure else "What it is about": one.statement,
        "Hypotheses": conditions,
        "How it is measured" if statement else "What is claimed": [one.measured],
        "Errata and ambiguities of the paper": one.errata or (["none that we know of"] if statement else []),
        "Setting and notation": one.background,
    }.items():
        if any(texts):
            yield heading, [*_wrapped(re.sub(r"(?m)^(- .*)\n\n(?=- )", r"\1\n", "\n\n".join(texts)), width)]
    if one.parts:
        yield "What it holds", [f"{id}  {said}" for id, said in one.parts]
        return
    for record in one.recorded:
        seeds = f", {record.seeds} seed{'s' * (record.seeds > 1)}" if record.seeds else ""
        yield f"Recorded ({record.scale}{seeds}, {record.date})", [*_rows(record, verbose or bool(one.row))]
    lines = []
    for theorem in one.theorems:
        lines += textwrap.wrap(f"{theorem.name}{theorem.signature}", max(width, 20), subsequent_indent="    ")
        said = theorem.parameters if verbose else "" if theorem.promises else theorem.text.split("\n\n")[0]
        lines += [f"  {line}" for line in said.splitlines()]
    yield (
        "To compute with",
        lines or ["none of the study's theorems" + (", only what it is made with" if one.uses else "")],
    )
    if one.uses and (verbose or not lines):
        yield "Made with", list(one.uses)


def _rows(record: Recorded, everything: bool) -> Iterator[str]:
    """The command that makes them again and the recorded rows, those that do not hold first."""
    from learnability.report import against, number
    from learnability.theory.guarantee import WORDS

    yield f"$ {record.command}"
    rows = sorted(record.rows, key=lambda row: row["verdict"] == "holds")
    for row in rows[: None if everything else ROWS]:
        slack = "" if row["slack"] is None else f", slack {number(row['slack'])}"
        yield f"{WORDS[row['verdict']]}: {row['id']}: {against(row)}{slack}"
        if everything and row["note"]:
            yield f"    {row['note']}"
    if not everything and len(rows) > ROWS:
        yield f"... and {len(rows) - ROWS} more (--verbose)"
    if record.tightest:
        row = next(row for row in rows if row["id"] == record.tightest)
        share = max(row["slack"], 0.0) / abs(row["bound"])
        yield f"tightest of those that hold: {record.tightest}, slack {share:.2g} of its bound"
    elif all(row["direction"] == "equal" for row in rows):
        yield "tight: each is an equality"


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Paragraphs and items of lists filled to the width; formulas and what is indented keep their lines."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        listed = paragraph.startswith(("- ", "* "))
        for item in re.split(r"\n(?=[-*] )", paragraph) if listed else [paragraph]:
            if re.search(r"^\s|^\.\. ", item, re.MULTILINE) and not listed:
                yield from item.splitlines()
            else:
                filled, indent = " ".join(item.split()), "  " * listed
                yield from textwrap.wrap(filled, max(width, 20), subsequent_indent=indent, break_on_hyphens=False)
