"""A certification as a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from learnability.certification.sentences import RUN_HEADINGS, headline, hypotheses, run_cells, sentences

if TYPE_CHECKING:
    from rich.console import RenderableType

    from learnability.certification.result import Certification

__all__ = ["page"]


def page(c: Certification, verdicts: RenderableType, *, narrow: bool) -> Iterator[RenderableType]:
    """What was found out, the hypotheses, the runs (as lines if ``narrow``) and the table of ``verdicts``."""
    yield from _section(headline(c), sentences(c))
    yield from _section("hypotheses", hypotheses(c))
    yield ""
    if narrow:
        for width, *cells in run_cells(c):
            lines = (f"{name}: {cell}" for name, cell in zip(RUN_HEADINGS[1:], cells))
            yield from _section(f"2k = {width}", lines)
    else:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(*RUN_HEADINGS, box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for row in run_cells(c):
            table.add_row(*row)
        yield table
    yield ""
    yield verdicts
    yield ""


def _section(heading: str, lines: Iterable[str]) -> Iterator[RenderableType]:
    """A heading and its lines, indented."""
    from rich.padding import Padding
    from rich.text import Text

    yield Text(heading, style="bold")
    for line in lines:
        yield Padding(Text(line), (0, 0, 0, 2), expand=False)
