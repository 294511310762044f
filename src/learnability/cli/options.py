"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["DEFAULT_OUT", "Json", "Out", "Strict", "Verbose"]

DEFAULT_OUT = "learnability-results"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]
Out = Annotated[str, typer.Option("--out", help="Folder for results; finished tasks found there are not run again.")]
Strict = Annotated[bool, typer.Option("--strict", help="End with status 1 also where a claim is violated.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Print everything, not only the answer.")]
