"""``learnability record``: take results over into the records that the package ships."""

from __future__ import annotations

from typing import Annotated

import typer

from learnability.cli.options import DEFAULT_OUT, Json
from learnability.cli.terminal import complain, print_json, stdout

__all__ = ["record"]


def _studies(incomplete: str) -> list[str]:
    from learnability import discovery

    return [name for name in discovery.installed().studies if name.startswith(incomplete)]


def record(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Studies, files or folders; all studies that are installed by default.", autocompletion=_studies
        ),
    ] = None,
    out: Annotated[str, typer.Option("--out", help="Folder with results of run and verify.")] = DEFAULT_OUT,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite what is recorded otherwise.")] = False,
    as_json: Json = False,
) -> None:
    """Write the verdicts and numbers of finished runs into each study's record.json (in a source checkout).

    `run` and `verify` compare themselves with it, and the tables of the documentation are made from it.
    """
    from learnability import records

    done = records.update(out, names=names or (), replace=replace)
    if as_json:
        written = [str(path) for path in done.written]
        print_json({"entries": done.entries, "differs": done.differs, "left_out": done.left_out, "written": written})
    else:
        console = stdout()
        for change in done.differs:
            console.print(f"{change['id']}: {change['recorded'] or 'absent'} -> {change['now'] or 'absent'}")
        for line in done.left_out:
            console.print(f"left out: {line}")
        for name, path in zip(done.entries, done.written):
            console.print(f"{len(done.entries[name])} results in {path}", soft_wrap=True)
    if done.differs and not replace:
        complain(f"nothing written: {len(done.differs)} things are recorded otherwise; --replace overwrites them")
        raise typer.Exit(1)
