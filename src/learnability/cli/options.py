"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["DEFAULT_OUT", "Json", "Out"]

DEFAULT_OUT = "learnability-results"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]
Out = Annotated[str, typer.Option("--out", help="Folder for results; finished tasks found there are not run again.")]
