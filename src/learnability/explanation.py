"""What a statement, a figure or a study is about: read off the docstrings of the code that computes it.

No text is kept for this. A statement of a paper is said once: by the function of the study's ``theorems`` that
returns its guarantee, or where there is none by a section ``Statement`` of the check, whose docstring otherwise says
how it is measured. A section ``Errata`` of either says what the paper prints otherwise or leaves open, a section
``Hypotheses`` what conditions mean, a section ``Computed`` by what, if it is by no function of the library. The
docstring of the study's package is the setting. The functions are found by following the code, from the check or from
a figure's claims, within its study; conditions are the ``Hypothesis(...)`` that they make; numbers are the record's.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import re
import sys
import textwrap
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

from learnability import discovery, formulas, records, runner
from learnability.discovery import Catalogue
from learnability.errors import RequestError
from learnability.source.local import bare
from learnability.source.text import documented
from learnability.study import Check, Experiment, Home

__all__ = ["Explanation", "Recorded", "Theorem", "explain", "names"]

_TITLES = "Statement|Hypotheses|Errata|Computed|Parameters|Attributes|Returns|Yields|Raises|See Also|Notes|Examples"
_SECTION = re.compile(rf"^({_TITLES})\n-{{3,}}$\n", re.MULTILINE)
_MARKS = re.compile(r":\w+:`~?(?:[\w.]+\.(?=\w+`))?([^`]+)`|``|\*\*(?=\S)|(?<=\S)\*\*")
_ROOMS = re.compile(
    r"learnability\.(problems|datasets|networks|training|kernels|theory)\b(?!\.(guarantee|aggregate))"
)
_THEOREMS = re.compile(r"\.theorems(\.|$)")


@dataclass(frozen=True)
class Theorem:
    """A function to compute with: what it says and takes, and whether it ``promises`` what is explained."""

    name: str
    signature: str
    text: str
    parameters: str
    promises: bool


@dataclass(frozen=True)
class Recorded:
    """The rows recorded at a scale, each with its slack, the ``tightest`` that holds, and the command for them."""

    scale: str
    seeds: int | None
    date: str
    command: str
    rows: tuple[Mapping[str, Any], ...]
    tightest: str


@dataclass(frozen=True)
class Explanation:
    """A statement, a figure or a study (``kind``) in words; ``row`` is the one row that was asked for, or nothing."""

    id: str
    kind: str
    title: str
    source: str
    citation: str
    row: str = ""
    statement: tuple[str, ...] = ()
    """What is claimed, a text from each function that promises it, or what is shown."""
    hypotheses: tuple[str, ...] = ()
    measured: str = ""
    """How it is measured, or what is claimed of a figure."""
    errata: tuple[str, ...] = ()
    background: tuple[str, ...] = ()
    """What the modules say of everything in them: settings, symbols, choices."""
    theorems: tuple[Theorem, ...] = ()
    uses: tuple[str, ...] = ()
    """What else of the library it is made with."""
    recorded: tuple[Recorded, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
    """The ids that a study holds, each with a line."""


def names() -> list[str]:
    """The studies, statements and figures that are installed."""
    known = discovery.installed()
    return list(dict.fromkeys([*known.studies, *known.statements, *known.experiments]))


def explain(name: str) -> list[Explanation]:
    """Explain a statement, a row of its table, a figure, a study, or what a file holds.

    Parameters
    ----------
    name : str
        ``"symmetry/lemma4"``, ``"symmetry/fig5"``, ``"symmetry"``, ``"staircase.py"``, or how one name, or else one
        recorded row, begins.

    Returns
    -------
    list of Explanation
        One; two where a statement and a figure share a name; of a file, one for each.

    Raises
    ------
    ValueError
        If nothing has this name, with the nearest ones, or several begin with it, with these.
    """
    if not isinstance(name, str) or not name.strip():
        raise RequestError(
            f"name must be that of a statement, figure or study, for instance symmetry/lemma4, got {name!r}"
        )
    if discovery.is_path(name):
        found = discovery.load(name)
        home = next(iter(found.homes.values()))
        if home.place is not None and home.place.is_dir() and not name.endswith(".py"):
            return [_study(home, found)]
        return _all(found, {*found.statements, *found.experiments})
    known, ids, name = discovery.installed(), names(), name.rstrip("/")
    if name in ids:
        return [_study(known.homes[name], known)] if name in known.studies else _all(known, {name})
    owners: dict[str, set[str]] = {}
    for id, _, entry in (entry for home in known.homes.values() for entry in _entries(home)):
        for row in entry["guarantees"]:
            owners.setdefault(row["id"], set()).add(id)
    if name in owners:
        return _all(known, owners[name], name)
    begun = [one for one in (ids if "/" in name else known.studies) if one.startswith(name)]
    begun = begun or [row for row in owners if row.startswith(name)]
    if len(begun) == 1:
        return explain(begun[0])
    if begun:
        raise RequestError(f"several names begin with {name!r}: {_some(begun)}")
    if why := known.broken.get(name.partition("/")[0]):
        raise RequestError(f"the study {name.partition('/')[0]!r} could not be loaded: {why}")
    near = sorted([*ids, *owners], key=partial(_closeness, name), reverse=True)
    near = list(dict.fromkeys(one for one in near if _closeness(name, one) >= 0.6)) or list(known.studies)
    raise RequestError(f"nothing is named {name!r}; nearest: {', '.join(near[:4])}")


def _closeness(name: str, one: str) -> float:
    """How near a name is to one that there is, or to that without its study."""
    return max(difflib.SequenceMatcher(None, name, part).ratio() for part in (one, one.partition("/")[2]))


def _some(found: list[str], most: int = 6) -> str:
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def _all(known: Catalogue, ids: set[str], row: str = "") -> list[Explanation]:
    things: list[tuple[str, Check | Experiment]] = [*known.statements.items(), *known.experiments.items()]
    found = [_one(id, thing, row) for id, thing in things if id in ids]
    return [one for one in found if not row or one.recorded]  # a statement and a figure may share the id


def _study(home: Home, known: Catalogue) -> Explanation:
    name, citation = home.study.name, home.study.citation
    found = _all(known, {id for id in (*known.statements, *known.experiments) if id.startswith(f"{name}/")})
    things: list[Check | Experiment] = [*known.statements.values(), *known.experiments.values()]
    tops = dict.fromkeys(_top(thing) for thing in things if thing.home == home)
    said = _different(_sections(documented(sys.modules[place]))[""] for top in tops for place in _packages(top))
    parts = tuple((one.id, f"{one.source}: {one.title}") for one in found)
    return Explanation(name, "study", home.study.paper, citation, citation, statement=said, parts=parts)


def _one(id: str, thing: Check | Experiment, row: str = "") -> Explanation:
    """A statement or figure."""
    home, figure, run = thing.home, isinstance(thing, Experiment), _inner(thing.run)
    assert home is not None  # discovery gives each one
    starts = (thing.claims, thing.figure, run) if isinstance(thing, Experiment) else (run,)
    module = _holding(thing) if isinstance(thing, Experiment) else sys.modules.get(run.__module__)
    same: list[Any] = []
    if not figure:  # the function of its name, also where others are measured beside the paper's number
        within, name = f"{_top(thing)}.theorems.", id.partition("/")[2].replace("-", "_")
        names = {name, re.sub(r"^thm(?=\d+$)", "theorem", name)}
        places = [vars(one) for place, one in sorted(sys.modules.items()) if place.startswith(within)]
        found = [one for place in places for title in names if _is_theorem(one := place.get(title))]
        same = list(dict.fromkeys(found))
    functions, direct, uses = _reached((*same, *starts), _top(thing))
    said = {f: _sections(documented(f)) for f in functions if _is_theorem(f)}
    near = dict.fromkeys(f.__module__ for f in said if f in direct and not _is_helper(f))
    theorems = [_theorem(f, said[f], f in direct) for f in said if f.__module__ in near and not _is_helper(f)]
    own = _sections(documented(_inner(starts[0])) if starts[0] else "")
    outer = _sections(documented(module))
    shared = [_module(_inner(one)) for one in starts if module and _module(_inner(one)) != module.__name__]
    shared = [one for one in shared if one.startswith(f"{_top(thing)}.")]  # such as runs_fig5_fig6
    behind = [_sections(documented(sys.modules[place])) for place in (*_packages(_top(thing)), *near, *shared)]
    promised = _different([own.get("Statement", ""), *(one.text for one in theorems if one.promises)])
    statement = (outer[""],) if figure else promised or (own[""],)
    parts = [own, outer, *behind, *said.values()]
    lists = [said[f][""] for f in said if _returns(f, "Hypothesis") and "\n\n" in said[f][""]]  # more than names
    meant = [part.get("Hypotheses", "") for part in parts] + lists
    return Explanation(
        id=id,
        kind="figure" if figure else "statement",
        title=thing.title if isinstance(thing, Experiment) else _first(statement[0]),
        source=thing.source or home.study.citation,
        citation=home.study.citation,
        row=row,
        statement=statement,
        hypotheses=_different([*meant, *_hypotheses(functions)]),
        measured=own[""] if own[""] not in statement else "",
        errata=_different(part.get("Errata", "") for part in parts),
        background=_different(part[""] for part in [*behind, *([] if figure else [outer])]),
        theorems=tuple(sorted(theorems, key=lambda one: not one.promises)),
        uses=tuple(sorted(uses)) or _different([own.get("Computed", "")]),
        recorded=tuple(_recorded(id, home, figure, row)),
    )


def _entries(home: Home) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Id, scale and entry of all that a study's record holds; nothing if it cannot be read."""
    try:
        record = records.read(home)
    except ValueError:
        return
    yield from ((id, scale, entry) for id, scales in record["figures"].items() for scale, entry in scales.items())
    yield from ((id, scale, entry) for scale, ids in record["checks"].items() for id, entry in ids.items())


def _recorded(id: str, home: Home, figure: bool, row: str) -> Iterator[Recorded]:
    for one, scale, entry in _entries(home):
        rows = [{**g, "slack": _slack(g)} for g in entry["guarantees"] if g["id"] == row or not row]
        if one != id or ("seeds" in entry) != figure or not rows:
            continue
        held = [g for g in rows if g["verdict"] == "holds" and g["direction"] != "equal" and g["bound"]]
        tightest = min(held, key=lambda g: g["slack"] / abs(g["bound"]), default={"id": ""})["id"]
        told = ["--scale", scale, *(["--seeds", str(entry["seeds"])] if figure else [])]
        command = runner.command("run" if figure else "verify", id, home, told)
        yield Recorded(scale, entry.get("seeds"), entry["date"], command, tuple(rows), tightest)


def _slack(row: Mapping[str, Any]) -> float | None:
    if row["bound"] is None or row["measured"] is None:
        return None
    over = float(row["measured"] - row["bound"])
    return {"at_most": -over, "at_least": over}.get(row["direction"], 0.0 - abs(over))


# Docstrings ---------------------------------------------------------------------------------------------------------


def _sections(text: str | None) -> dict[str, str]:
    """The sections of a docstring by their titles, what comes first under ``""``; names instead of roles."""
    plain = formulas.displayed(inspect.cleandoc(text or "").replace(r"\|", "|"))
    first, *rest = _SECTION.split(_MARKS.sub(_unmarked, plain))
    first = re.sub(r"\n-{3,}\n", ":\n\n", first)  # headings of its own
    return {"": first.strip(), **{title: part.strip() for title, part in zip(rest[::2], rest[1::2], strict=True)}}


def _unmarked(found: re.Match[str]) -> str:
    """A role's content, formulas as text."""
    return formulas.as_text(found[1]) if found[0].startswith(":math:") else found[1] or ""


def _first(text: str) -> str:
    """The first sentence."""
    return " ".join(re.split(r"(?<=[.:])\n|(?<=\w\.)\s|\n\n", text)[0].split())


def _different(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, texts)))


def _theorem(function: FunctionType, said: Mapping[str, str], direct: bool) -> Theorem:
    signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function)))
    name = f"{function.__module__}.{function.__qualname__}"
    return Theorem(name, signature, said[""], said.get("Parameters", ""), direct and _returns(function, "Guarantee"))


def _hypotheses(functions: Iterable[Any]) -> Iterator[str]:
    """The names of the hypotheses that code makes; for what depends on the case its name, or dots."""
    for function in functions:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        except (OSError, SyntaxError):  # a session's, or a lambda
            continue
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
        for name in (call.args[0] for call in calls if getattr(call.func, "id", "") == "Hypothesis"):
            pieces = name.values if isinstance(name, ast.JoinedStr) else [name]
            if any(isinstance(one, ast.Constant) for one in pieces):
                yield "".join(map(_piece, pieces))


def _piece(piece: ast.expr) -> str:
    """A part of a text that code puts together."""
    if isinstance(piece, ast.Constant):
        return str(piece.value)
    inner = piece.value if isinstance(piece, ast.FormattedValue) else piece
    return inner.id if isinstance(inner, ast.Name) else "..."


# Code ---------------------------------------------------------------------------------------------------------------


def _inner(found: Any) -> Any:
    """The function inside partials and decorators."""
    while isinstance(found, partial):
        found = found.func
    return bare(found)


def _module(found: Any) -> str:
    return str(getattr(found, "__module__", ""))


def _holding(experiment: Experiment) -> ModuleType | None:
    """The module that holds an experiment."""
    for module in list(sys.modules.values()):
        one = vars(module).get("EXPERIMENT") if isinstance(module, ModuleType) else None
        if isinstance(one, Experiment) and one.run is experiment.run and one.title == experiment.title:
            return module
    return None


def _top(thing: Check | Experiment) -> str:
    """The package or module that is all of a study's code."""
    if thing.home is not None and thing.home.packaged:
        return f"learnability.studies.{thing.home.study.name}"
    return re.split(r"\.(?:checks|figures)\b", _module(_inner(thing.run)))[0]


def _packages(top: str) -> list[str]:
    """The package of a study, whose docstring is its setting; none of a file."""
    return [top] if hasattr(sys.modules.get(top), "__path__") else []


def _is_theorem(found: Any) -> bool:
    return isinstance(found, FunctionType) and found.__name__[0] != "_" and bool(_THEOREMS.search(found.__module__))


def _is_helper(function: FunctionType) -> bool:
    """Whether a function serves others: a theorem knows of what kind it is, and says more than a note."""
    return _returns(function, "str", "Hypothesis") or "Kind" in str(inspect.signature(function))


def _returns(function: FunctionType, *words: str) -> bool:
    return bool(re.search(rf"\b({'|'.join(words)})\b", str(function.__annotations__.get("return", ""))))


def _reached(starts: Iterable[Any], top: str) -> tuple[list[Any], set[Any], set[str]]:
    """A study's functions and classes that code leads to, nearest first; those that others than theorems mention; and
    names of what it uses of the library.
    """
    found: dict[Any, None] = {}
    direct: set[Any] = set()
    uses: set[str] = set()
    waiting = deque((start, False) for start in starts)
    while waiting:
        thing, inside = waiting.popleft()
        thing = bare(thing)
        module = _module(thing)
        if isinstance(thing, partial):
            waiting.extend((other, inside) for other in (thing.func, *thing.args, *thing.keywords.values()))
        elif isinstance(thing, dict | tuple | list):
            held = thing.values() if isinstance(thing, dict) else thing
            waiting.extend((other, inside) for other in held if callable(other))
        elif not isinstance(thing, FunctionType | type):
            continue
        elif f"{module}.".startswith(f"{top}.") or _THEOREMS.search(module):
            if not inside:
                direct.add(thing)
            if thing not in found:
                found[thing] = None
                inner = [thing] if isinstance(thing, FunctionType) else vars(thing).values()
                now = bool(_THEOREMS.search(module))
                waiting.extend((other, now) for function in inner for other in _mentioned(bare(function)))
        elif _ROOMS.match(module):
            uses.add(f"{module}.{thing.__qualname__}")
    return list(found), direct, uses


def _mentioned(function: Any) -> Iterator[Any]:
    """What a function's code reads of its module, of the modules there and of what is around it."""
    if not isinstance(function, FunctionType):
        return
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # what has no value yet
            yield cell.cell_contents
    codes = [function.__code__]
    for code in codes:
        codes.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))
        for name in code.co_names:
            one = function.__globals__.get(name)
            yield one
            if isinstance(one, ModuleType):
                yield from (vars(one)[other] for other in code.co_names if other in vars(one))
