r"""Texts in a figure: what stands between two ``$`` is mathematics where it can be, and anything else is itself.

What an author writes into a :class:`~learnability.plotting.plot.Plot` may hold mathematics (``"$w_1$"``): between two
``$``, the first with no space after it and the second with no space before and no digit behind it, as Pandoc has it
("from $5 to $10" has none), and only if matplotlib can read it; ``\$`` is always a dollar. What comes from a table is
somebody's data, and never mathematics. In no text is anything hidden that cannot be seen.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from learnability import shown
from learnability.plotting.plot import HeatMap, Item, Panel, Plot, Words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["HIDDEN", "literal", "names", "readable", "taken_literally", "worded", "wrapped"]

HIDDEN = "\0"
"""Stands before a label that begins with ``_``, which matplotlib would leave out of legends."""

_LONGEST = 1000
"""Characters after which a title or a note is cut; other texts have less room."""

_SPACES = re.compile("([ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+)")
"""Of any width: they are themselves."""

_MATH = re.compile(r"\\\$|\$(?!\s)(?P<math>(?:\\.|[^$\\])+)(?<!\s)\$(?!\d)|\$")


def literal(text: object) -> str:
    r"""A text in which no ``$`` begins mathematics.

    Examples
    --------
    >>> print(literal("a$b$c"))
    a\$b\$c
    """
    return str(text).replace("$", r"\$")


def names(table: pd.DataFrame) -> list[str]:
    """What a table holds that could be taken for mathematics: values and names of columns with a ``$``."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    found = [str(name) for name in table.columns]
    for _, column in table.items():
        if not (is_numeric_dtype(column) or is_bool_dtype(column)):
            found += [value for value in column.dropna().unique() if isinstance(value, str)]
    return list(dict.fromkeys(text for text in found if "$" in text))


def readable(text: object, data: Iterable[str] = (), most: int = _LONGEST) -> str:
    r"""A text for matplotlib, which fails at none of these and reads as mathematics only what is meant so.

    Parameters
    ----------
    text : object
        Or whatever is shown as its ``str``.
    data : iterable of str
        :func:`names` of the table: within the text they are themselves.
    most : int
        Characters after which it is cut.

    Examples
    --------
    >>> print(readable("error of a$b$ on $D^{(1)}$, from $5 to $10", data=["a$b$"]))
    error of a\$b\$ on $D^{(1)}$, from \$5 to \$10
    """
    whole = str(text)
    told = _seen(whole[:most])
    if "$" in told:
        # At once: what has been made a dollar is not looked at again.
        values = sorted(map(_seen, data), key=len, reverse=True)
        known = [
            re.escape(value) for value in values if value != "$" or told == "$"
        ]  # it would be in all mathematics
        told = re.sub("|".join([*known, r"(\\\$)"]), lambda m: m[1] or literal(m[0]), told)
        told = "\n".join(_MATH.sub(_kept, line) for line in told.split("\n"))
    return told if len(whole) <= most else f"{told}... ({len(whole):,} characters)"


def _seen(text: str) -> str:
    """A text in which characters that move, hide or turn others are shown as Python writes them."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(part if k % 2 else shown.lines(part) for k, part in enumerate(_SPACES.split(text)))


def _kept(found: re.Match[str]) -> str:
    r"""Mathematics that can be read, and ``\$``; any other ``$`` made one."""
    if found[0].startswith("\\") or (found["math"] and _parses(found[0])):
        return found[0]
    return literal(found[0].replace(r"\$", "$"))


@lru_cache(1000)
def _parses(text: str) -> bool:
    """Whether matplotlib can set a text."""
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(text)
    except Exception:  # too deep, an error of its own: whatever it is, the figure would end with it
        return False
    return True


def wrapped(text: str, most: int) -> str:
    """A text in lines of at most so many characters, as far as words allow; mathematics stays in one piece."""
    whole = _MATH.sub(lambda found: found[0].replace(" ", "\0").replace("-", "\1"), text)
    lines = (textwrap.fill(line, most, break_long_words=False) for line in whole.split("\n"))
    return "\n".join(lines).replace("\0", " ").replace("\1", "-")


def worded(plot: Plot, data: Iterable[str]) -> Plot:
    """The plot with all its texts :func:`readable`."""
    data = list(data)

    def write(text: object) -> str:
        return readable(text, data, shown.LONGEST)

    panels = [_worded_panel(panel, write) for panel in plot.panels]
    return replace(plot, panels=panels, title=readable(plot.title, data), note=readable(plot.note, data))


_Write = Callable[[object], str]


def _worded_panel(panel: Panel, write: _Write) -> Panel:
    def ticks(given: Any) -> Any:
        return {at: write(text) for at, text in given.items()} if isinstance(given, Mapping) else given

    return replace(
        panel,
        items=[_worded_item(item, write) for item in panel.items],
        title=write(panel.title),
        xlabel=write(panel.xlabel),
        ylabel=write(panel.ylabel),
        xticks=ticks(panel.xticks),
        yticks=ticks(panel.yticks),
    )


def _worded_item(item: Item, write: _Write) -> Item:
    if isinstance(item, Words):
        return replace(item, text=write(item.text))
    if isinstance(item, HeatMap):
        columns, rows = list(map(write, item.columns)), list(map(write, item.rows))
        return replace(item, label=write(item.label), columns=columns, rows=rows)
    label = write(item.label)
    return replace(item, label=HIDDEN + label if label.startswith("_") and not item.direct else label)


@contextmanager
def taken_literally(figure: Figure) -> Iterator[None]:
    """Take every text of a figure that matplotlib cannot set as it stands, without mathematics."""
    import matplotlib as mpl
    from matplotlib.text import Text

    with mpl.rc_context({"text.parse_math": False}):  # for texts that are made when it is drawn
        for ax in figure.axes:
            for axis in (ax.xaxis, ax.yaxis):
                axis.get_ticklabels(which="both")  # writes them
        for text in figure.findobj(Text):
            content = text.get_text()
            text.set_text(_seen(content))
            if text.get_parse_math() and "$" in content and not all(map(_parses, content.split("\n"))):
                text.set_parse_math(False)
        yield
