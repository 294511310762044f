"""What a run does once in a process, done before processes are forked: imports, the studies, fonts."""

from __future__ import annotations

import io

import duckdb  # noqa: F401
import jinja2  # noqa: F401
import pandas as pd
import psutil  # noqa: F401
import rich.console
import rich.table  # noqa: F401

import learnability.cli.answers
import learnability.cli.run
import learnability.report
import learnability.runner
import learnability.sections  # noqa: F401
import tools.survive.cells
import tools.survive.watched
from learnability import discovery, plotting
from learnability.provenance import here

discovery.installed()
here()
_TABLE = pd.DataFrame({"cell": [0, 0, 1, 1], "seed": [0, 1, 0, 1], "step": 0, "share": [0.1, 0.2, 0.3, 0.4]})
_FIGURE = plotting.drawn(tools.survive.cells.figure(_TABLE))
for _kind in ("png", "pdf"):
    _FIGURE.savefig(io.BytesIO(), format=_kind)
