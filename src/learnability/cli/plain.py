"""The last door before the terminal: whatever is printed, nothing in it is obeyed or hidden."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from learnability import shown

__all__ = ["PlainConsole"]


class _Plain:
    """Something to be printed, its texts as :func:`learnability.shown.lines` shows them; Rich's colours stay."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self.renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.renderable, options):
            yield segment if segment.control else Segment(shown.lines(segment.text), segment.style)


class _Door(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Plain(renderable) for renderable in renderables]


class PlainConsole(Console):
    """A console that reads no markup and prints no control character but its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)
        self.push_render_hook(_Door())
