"""Write the tables of verdicts in docs/ from the studies' records.

``python tools/verdict_tables.py`` writes them, ``--check`` says whether they are stale (status 1).
``docs/<study>.md`` has the summary between two marks; ``docs/verdicts/<study>.md`` has every claim and is all made
here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from learnability import records
from learnability.discovery import installed
from learnability.report import verdict_markdown

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- verdicts: made by tools/verdict_tables.py -->", "<!-- end of verdicts -->"
WORDS = {
    "violated": "violated",
    "not_measured": "cannot be told",
    "holds": "hold",
    "outside_hypotheses": "outside",
    "number": "no verdict",
}
SCALES = ("laptop", "paper")


def entries(name: str) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Title, command, seeds and what is recorded, for every figure and scale and for the checks."""
    record = records.read(installed().homes[name])
    for id, by_scale in record["figures"].items():
        for scale in SCALES:
            if scale in by_scale:
                command = f"learnability run {id}" + ("" if scale == "laptop" else f" --scale {scale}")
                yield installed().experiments[id].title, command, str(by_scale[scale]["seeds"]), by_scale[scale]
    found = record["checks"].get("laptop", {})
    if found:
        whole = {"guarantees": [g for one in found.values() for g in one["guarantees"]]}
        yield "Every lemma and theorem, checked numerically", f"learnability verify {name}", "", whole


def summary(name: str) -> str:
    """Counts for every figure, and what is violated or cannot be told."""
    lines = [
        f"| what | command | seeds | {' | '.join(WORDS.values())} |",
        f"|---|---|---:|{'---:|' * len(WORDS)}",
    ]
    open_: list[Mapping[str, Any]] = []
    for title, command, seeds, entry in entries(name):
        verdicts = [g["verdict"] for g in entry["guarantees"]]
        counts = " | ".join(str(verdicts.count(verdict) or "") for verdict in WORDS)
        lines.append(f"| {title} | `{command}` | {seeds} | {counts} |")
        scale = "" if "--scale" not in command else f" ({command.rpartition(' ')[2]})"
        open_ += [{**g, "scale": scale} for g in entry["guarantees"] if g["verdict"] in ("violated", "not_measured")]
    recorded = records.read(installed().homes[name])["figures"]
    missing = [id for id in installed().experiments if id.startswith(f"{name}/") and id not in recorded]
    if missing:
        lines += ["", f"Without a record since their claims changed: {', '.join(f'`{id}`' for id in missing)}."]
    if open_:
        lines += [
            "",
            "What is violated or cannot be told (every claim: [all verdicts](verdicts/" + name + ".md)):",
            "",
        ]
        lines += ["| claim | verdict | measured | bound |", "|---|---|---:|---:|"]
        for g in sorted(open_, key=lambda g: g["verdict"] != "violated"):
            side = {"at_most": "≤", "at_least": "≥", "equal": "="}[g["direction"]]
            measured = "–" if g["measured"] is None else f"{g['measured']:.4g}"
            bound = "–" if g["bound"] is None else f"{side} {g['bound']:.4g}"
            lines.append(f"| `{g['id']}`{g['scale']} | {WORDS[g['verdict']]} | {measured} | {bound} |")
    return "\n".join(lines)


def whole(name: str) -> str:
    """Every claim of every figure and check."""
    parts = [
        f"# All verdicts of the {name} study",
        "Made by `python tools/verdict_tables.py` from the study's record.",
    ]
    for title, command, seeds, entry in entries(name):
        over = f", {seeds} seed{'' if seeds == '1' else 's'}" if seeds else ""
        parts += [f"## {title}", f"`{command}`{over}"]
        parts.append(verdict_markdown([{"hypotheses": [], "slack": slack(g), **g} for g in entry["guarantees"]]))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def slack(g: Mapping[str, Any]) -> float | None:
    """By how much it holds."""
    if g["bound"] is None or g["measured"] is None:
        return None
    over = g["measured"] - g["bound"]
    return {"at_most": -over, "at_least": over, "equal": -abs(over), "": None}[g["direction"]]


def pages() -> dict[Path, str]:
    """What each page should hold."""
    found = {}
    for name, home in installed().homes.items():
        page = DOCS / f"{name}.md"
        if not home.packaged or not page.exists() or not (records.path_of(home) or page).exists():
            continue
        text = page.read_text(encoding="utf-8")
        head, mark, rest = text.partition(BEGIN)
        _, end, tail = rest.partition(END)
        if not mark or not end:
            sys.exit(f"{page.name} must have the lines {BEGIN} and {END}")
        found[page] = f"{head}{BEGIN}\n\n{summary(name)}\n\n{END}{tail}"
        found[DOCS / "verdicts" / f"{name}.md"] = whole(name)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the pages, or say which are stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if a page is stale")
    chosen = parser.parse_args(arguments)
    stale = {}
    for page, text in pages().items():
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            stale[page] = text
    if chosen.check and stale:
        sys.exit(f"stale: {', '.join(page.name for page in stale)}; run python tools/verdict_tables.py")
    for page, text in stale.items():
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
