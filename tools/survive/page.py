"""The table of ``docs/survival.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["PAGE", "put", "table"]

PAGE = Path(__file__).parents[2] / "docs" / "survival.md"
BEGIN, END = "<!-- counts: python -m tools.survive -->", "<!-- end of counts -->"
"""What stands around the table."""


def table(tallies: Sequence[Mapping[str, Any]], before: Mapping[str, Any]) -> list[str]:
    """A line for each sort of blow: how often, how often the same bytes came out, and what was wrong."""
    old = {(one["kind"], one["blow"]): one for kind in before.values() for one in kind}
    heads = ["", "blow", "tried", "same bytes", *(["before"] if old else []), "cells again", "wrong"]
    lines = [f"| {' | '.join(heads)} |", "|---|---|---:|---:|" + "---:|" * bool(old) + "---:|---|"]
    last = ""
    for one in tallies:
        was = old.get((one["kind"], one["blow"]))
        cells = [
            one["kind"] if one["kind"] != last else "",
            one["blow"] + (f" ({one['note']})" if one["note"] else ""),
            f"{one['tried']:,}",
            f"{one['same']:,}",
            *([f"{was['same']:,} of {was['tried']:,}" if was else ""] if old else []),
            f"{one['again']:,}" if one["again"] else "",
            _wrong(one),
        ]
        last = one["kind"]
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return lines


def _wrong(one: Mapping[str, Any]) -> str:
    """What was wrong, the most frequent first."""
    faults = sorted(one["faults"].items(), key=lambda fault: -fault[1])
    told = [f"{count:,} × {_one_line(fault)}" for fault, count in faults]
    left = sum(one["litter"].values())
    return "; ".join([*told, *([f"{left:,} × litter"] if left else [])])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def put(lines: Sequence[str]) -> None:
    """Write the table into the page, in the place of the last one."""
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    PAGE.write_text("\n".join([f"{head}{BEGIN}", "", *lines, "", f"{END}{rest.split(END)[1]}"]), encoding="utf-8")
