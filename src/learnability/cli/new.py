"""``learnability new``: a file to start from."""

from __future__ import annotations

from typing import Annotated

import typer

from learnability.cli.options import Json
from learnability.cli.terminal import print_json, stdout
from learnability.errors import RequestError

__all__ = ["new"]


def new(
    name: Annotated[str, typer.Argument(help="What it is called: staircase, or the path of a file to be.")],
    as_json: Json = False,
) -> None:
    """Write a commented experiment that runs as it is: a figure with claims, a check, a test."""
    import shlex
    import sys
    from importlib import resources
    from pathlib import Path

    from learnability import discovery
    from learnability.results import write_atomically

    path = Path(name).expanduser()
    if not path.name:
        raise RequestError(f"name must be what the experiment is called, for instance staircase, got {name!r}")
    path = path if path.suffix == ".py" else path.with_name(f"{path.name}.py")
    stem = path.stem
    if not stem.isidentifier() or stem.startswith("test_"):
        raise RequestError(f"name must be letters, digits and _, not starting with a digit or test_, got {stem!r}")
    if stem in sys.stdlib_module_names or stem == "learnability" or discovery.taken(stem.replace("_", "-")):
        raise RequestError(f"name must not be that of another study or of a module of Python, got {stem!r}")
    if path.exists():
        raise RequestError(f"{path} exists already; nothing was written")
    template = resources.files("learnability").joinpath("templates/new.py.txt").read_text(encoding="utf-8")
    text = template.replace("@FILE@", path.name).replace("@TITLE@", stem.replace("_", " ").capitalize())
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}") from None
    command = shlex.join(["learnability", "run", str(path)])
    if as_json:
        print_json({"file": str(path), "next": command})
        return
    stdout().print(f"{path} is written and runs as it is. Next:\n\n  {command}\n", soft_wrap=True, highlight=False)
