"""Texts of others, made fit to be shown: on a terminal, in a figure, in Markdown, in JSON.

Names of files and columns, label values and messages of libraries may hold anything: escapes that move a terminal's
cursor, marks that turn the direction of what follows, line ends, a million characters. :func:`line` makes one line of
them in which nothing is hidden, and the others add what their page would read as its own language. HTML needs no more
than Jinja's escaping of a :func:`line`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["LONGEST", "code", "ends", "figure", "line", "lines", "markdown", "quoted", "to_json"]

LONGEST = 200
"""Characters after which a text is cut."""

MARKS = 4
"""Combining marks on one letter: no script needs more, and a hundred cover the lines above and below."""

INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks (as Unicode has it) without a picture; variation selectors have none either."""

_SHORT = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}


def line(value: object, most: int = LONGEST) -> str:
    r"""One line of a text (or of ``str(value)``) in which everything can be seen.

    Control characters, line ends, marks of direction, spaces without or of another width and halves of surrogate
    pairs are shown as Python writes them (``\x1b``, ``\u202e``). A text of more than ``most`` characters is cut, and
    its length said.

    Examples
    --------
    >>> print(line("naïve\x1b[2J\n"))
    naïve\x1b[2J\n
    >>> print(line("ab" * 500, 6))
    ababab... (1,000 characters)
    """
    return _cut(_text(value, str), most, _characters)


def quoted(value: object, most: int = LONGEST) -> str:
    r"""``repr(value)`` as :func:`line` would show it: a text in quotation marks, with its backslashes doubled.

    A text is cut within its quotation marks, so that what stands after them is not part of it.

    Examples
    --------
    >>> print(quoted("it's\x1b[2J\\"))
    "it's\x1b[2J\\"
    >>> print(quoted("ab" * 500, 6))
    'ababab'... (1,000 characters)
    """
    if not isinstance(value, str):
        return _cut(_text(value, repr), most, _characters)
    mark = '"' if "'" in value[:most] and '"' not in value[:most] else "'"
    special = {"\\": r"\\", mark: f"\\{mark}"}
    return _cut(str(value), most, lambda text: (special.get(c, c) for c in _characters(text)), mark)


def lines(text: str) -> str:
    """A text of several lines, each shown as :func:`line` shows it, of any length."""
    if text.isascii() and text.isprintable():
        return text
    return "\n".join("".join(_characters(part)) for part in text.split("\n"))


def ends(text: str, most: int = 2 * LONGEST) -> str:
    """A :func:`line` that is cut in its middle: of an error the end matters, and what failed stands before it.

    Examples
    --------
    >>> print(ends("ab" * 500, 8))
    abab ... (1,000 characters) ... abab
    """
    if len(text) <= most:
        return line(text, 12 * most)  # an escape has ten characters at most
    half = most // 2
    first, last = (line(part, 12 * most) for part in (text[:half], text[-half:]))
    return f"{first} ... ({len(text):,} characters) ... {last}"


def figure(value: object, most: int = 80) -> str:
    r"""A :func:`line` for matplotlib, which would read what stands between two ``$`` as mathematics.

    Examples
    --------
    >>> print(figure("cost_$ per $"))
    cost_\$ per \$
    """
    return line(value, most).replace("$", r"\$")


_MARKDOWN = re.compile(
    r"""
      [`|$]                             # code, cells, mathematics
    | \\ (?=[!-/:-@\[-`{-~]|\Z)         # would escape what follows
    | (?<!\w)[*~] | [*~](?=\w)          # may begin emphasis; that of w* cannot
    | (?<![^\W_])_ | _(?![^\W_])        # within a word it is itself
    | <(?=[A-Za-z/!?])                  # a tag; 2 < 3 is none
    | &(?=[\#A-Za-z0-9])                # an entity
    | \](?=[(\[:])                      # a link
    | \A[\#>+=-]                        # a heading, a quotation, a list
    | (?<=\A\d)[.)] | (?<=\A\d\d)[.)]   # a list with numbers
    """,
    re.VERBOSE,
)


def markdown(value: object, most: int = LONGEST) -> str:
    r"""A :func:`line` that Markdown shows as it is, in a table or anywhere else; escaped is only what must be.

    Examples
    --------
    >>> print(markdown("a|b *c* w* x_1 <b>"))
    a\|b \*c* w* x_1 \<b>
    """
    return _MARKDOWN.sub(r"\\\g<0>", line(value, most))


def code(value: object, most: int = LONGEST) -> str:
    """A :func:`line` as code in Markdown (outside tables, where ``|`` would end the cell).

    Examples
    --------
    >>> print(code("learnability run x"), code("a`b"))
    `learnability run x` ``a`b``
    """
    text = line(value, most)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if not text or text[0] in " `" or text[-1] in " `" else ""  # a reader takes one away at each end
    return f"{fence}{space}{text}{space}{fence}"


def to_json(value: Any, indent: int | None = 2, *, ascii_only: bool = False) -> str:
    r"""A value as JSON without NaN, in which what cannot be seen is written as ``\uXXXX``: the same value when read.

    With ``ascii_only`` so is whatever is not ASCII.

    Raises
    ------
    ValueError
        If the value holds a NaN or an infinity, or what JSON does not have.
    """
    text = json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=ascii_only)
    hidden = [c for c in set(text) if c != "\n" and not _visible(c)]  # in texts: JSON's own are all visible
    return text.translate({ord(c): json.dumps(c)[1:-1] for c in hidden}) if hidden else text


def _visible(character: str) -> bool:
    hidden = character in INVISIBLE or "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return character.isprintable() and not hidden


def _characters(text: str) -> Iterator[str]:
    """The characters of a text as they are shown."""
    marks = MARKS  # the first letter has none: a mark there would stand on what comes before
    for character in text:
        if character.isascii() and character.isprintable():
            marks = 0
            yield character
            continue
        seen = _visible(character)
        if unicodedata.combining(character) or unicodedata.category(character) == "Me":
            marks += 1
            seen = seen and marks <= MARKS
        else:
            marks = 0
        yield character if seen else _escape(character)


def _escape(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _cut(text: str, most: int, shown: Callable[[str], Iterable[str]], mark: str = "") -> str:
    """The text as ``shown``, between two ``mark``, of at most ``most`` characters."""
    pieces: list[str] = []
    room = most
    for piece in shown(text[: most + 1]):
        room -= len(piece)
        if room < 0:
            return f"{mark}{''.join(pieces)}{mark}... ({len(text):,} characters)"
        pieces.append(piece)
    return f"{mark}{''.join(pieces)}{mark}"


def _text(value: object, turn: Callable[[object], str]) -> str:
    """What ``str`` or ``repr`` says; of an integer that Python does not write out, how long it is."""
    if isinstance(value, str) and turn is str:
        return value
    try:
        return turn(value)
    except ValueError:
        bits = f" of {value.bit_length():,} bits" if isinstance(value, int) else ""
        return f"<{type(value).__name__}{bits}>"
