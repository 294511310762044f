"""What Python files need that other systems have not, with no word of what happens there: found in syntax trees.

Which names of the standard library a system has is read off the stubs that come with mypy.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import mypy

STUBS = Path(mypy.__file__).parent / "typeshed/stdlib"

SYSTEMS = "win32", "darwin"
"""Those that are no Linux."""

PLACE = re.compile(r"(?:^|[\s'\"=])/(?:dev|proc|sys|etc|tmp|bin|usr|var|home)(?:/|$)")
"""A place that other systems have not, in a string."""

OTHERWISE = {"os.kill", "os.symlink", "os.link", "os.chmod", "os.umask"}
"""Calls that are there and do something else: ``os.kill`` ends a process, whatever the signal."""

METHODS = {"symlink_to", "hardlink_to", "chmod", "add_signal_handler", "send_signal"}
"""The same of methods, whatever has them."""

KEYWORDS = {"preexec_fn", "pass_fds", "dir_fd", "src_dir_fd", "dst_dir_fd"}
"""Arguments that are refused."""

PROGRAMS = {"sh", "bash", "kill", "cat", "ls", "rm", "sleep", "env"}
"""What a command begins with."""

_ASKS = re.compile(r"os\.name|platform|hasattr\(|getattr\(|get_all_start_methods|posix|linux")
"""A condition that asks what system it is, or what it has."""

_ERRORS = {"ImportError", "ModuleNotFoundError", "AttributeError", "OSError", "Exception"}


class Found(NamedTuple):
    """One thing that some system has not."""

    line: int
    what: str


# What a system has --------------------------------------------------------------------------------------------------


@cache
def absent(module: str, system: str) -> frozenset[str] | None:
    """What Linux has and a system has not of a module of the standard library; ``None`` if that is all of it."""
    place = STUBS.joinpath(*module.split("."))
    stub = next((file for file in (place.with_suffix(".pyi"), place / "__init__.pyi") if file.is_file()), None)
    if stub is None:
        return frozenset()
    text = stub.read_text(encoding="utf-8")
    if "sys.platform" not in text:
        return frozenset()
    body = ast.parse(text).body
    here, there = (frozenset(_defined(body, asked)) for asked in ("linux", system))
    return None if here and not there else here - there


def _defined(body: list[ast.stmt], system: str) -> Iterator[str]:
    """The names that a stub's statements define on a system. What it only imports is not its own."""
    for statement in body:
        match statement:
            case ast.If():
                yield from _defined(statement.body if _holds(statement.test, system) else statement.orelse, system)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield statement.name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign():
                yield from (target.id for target in statement.targets if isinstance(target, ast.Name))


def _holds(test: ast.expr, system: str) -> bool:
    """What a stub's condition is on a system, with this version of Python."""
    match test:
        case ast.BoolOp():
            return (all if isinstance(test.op, ast.And) else any)(_holds(part, system) for part in test.values)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            other = ast.literal_eval(right)
            value = system if ast.unparse(left) == "sys.platform" else tuple(sys.version_info)[: len(other)]
            if isinstance(op, ast.Eq | ast.NotEq):
                return (value == other) == isinstance(op, ast.Eq)
            return (value >= other) == isinstance(op, ast.GtE)
        case ast.UnaryOp(op=ast.Not()):
            return not _holds(test.operand, system)
    return True  # of type checkers


# What a file asks for -----------------------------------------------------------------------------------------------


def asked(tree: ast.AST) -> list[Found]:
    """All that some system has not, where no condition, handler or mark speaks of it."""
    if not any(next(_here(node), None) for node in ast.walk(tree)):
        return []  # nearly all files
    return list(_asked(tree))


def _asked(tree: ast.AST) -> Iterator[Found]:
    if _speaks(tree):
        return
    yield from _here(tree)
    for _, value in ast.iter_fields(tree):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _asked(child)


def _speaks(tree: ast.AST) -> bool:
    """Whether a node says when, or what otherwise."""
    match tree:
        case ast.If() | ast.IfExp():
            return any(kind.search(ast.unparse(tree.test)) for kind in (_ASKS, PLACE))
        case ast.BoolOp():
            return any(_ASKS.search(ast.unparse(part)) for part in tree.values[:-1])
        case ast.Try():
            caught = [node for handler in tree.handlers if handler.type for node in ast.walk(handler.type)]
            return any(isinstance(node, ast.Name) and node.id in _ERRORS for node in caught)
        case ast.With():
            calls = [item.context_expr for item in tree.items if isinstance(item.context_expr, ast.Call)]
            return any(
                ast.unparse(call.func).endswith("suppress") and _ERRORS & {ast.unparse(error) for error in call.args}
                for call in calls
            )
        case ast.Call(func=ast.Attribute(attr="param")):
            return any(one.arg == "marks" for one in tree.keywords)
        case ast.Call(func=ast.Attribute(attr="skipif" | "importorskip")):
            return True
    return False


def _here(tree: ast.AST) -> Iterator[Found]:
    """What one node asks for itself."""
    line = getattr(tree, "lineno", 0)
    match tree:
        case ast.Import():
            yield from (Found(line, f"import {alias.name}") for alias in tree.names if _no_module(alias.name))
        case ast.ImportFrom(module=str(module), level=0):
            if _no_module(module):
                yield Found(line, f"import {module}")
            yield from (Found(line, f"{module}.{one.name}") for one in tree.names if _no_name(module, one.name))
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            if _no_name(module, name) or f"{module}.{name}" in OTHERWISE:
                yield Found(line, f"{module}.{name}")
        case ast.Call(func=ast.Attribute(attr=name)) if name in METHODS:
            yield Found(line, f".{name}()")
        case ast.keyword(arg=str(name)) if name in KEYWORDS:
            yield Found(tree.value.lineno, f"{name}=")
        case ast.List(elts=[ast.Constant(value=str(program)), *_]) if program in PROGRAMS:
            yield Found(line, f"the program {program}")
        case ast.Constant(value=str(text)):
            try:
                code = ast.parse(text) if re.search(r"\b(import|from) \w", text) else None
            except SyntaxError:
                code = None
            if code is not None:
                yield from (Found(line, f"{one.what} in a string") for one in asked(code))
            elif PLACE.search(text):
                yield Found(line, repr(text)[:60])


def _no_module(module: str) -> bool:
    return any(absent(module, system) is None for system in SYSTEMS)


def _no_name(module: str, name: str) -> bool:
    return any(name in (absent(module, system) or ()) for system in SYSTEMS)


# Tests --------------------------------------------------------------------------------------------------------------


def unmarked(trees: dict[str, ast.Module]) -> Iterator[str]:
    """The tests, as ``module::name: what``, that need such and are not marked: they would fail elsewhere.

    A test needs what the functions and constants need that it names, of its own module or another of these.
    """
    needs: dict[tuple[str, str], str] = {}
    names: dict[tuple[str, str], set[str]] = {}
    marked: set[tuple[str, str]] = set()
    for module, tree in trees.items():
        known = {name for node in tree.body if _skips(node, set()) for name in _bound(node)}
        for node in tree.body:
            found = asked(node)
            for name in _bound(node) or [""]:
                place = module, name
                names[place] = {part for one in ast.walk(node) for part in _named(one)}
                if found:
                    needs[place] = f"{found[0].what} (line {found[0].line})"
                if _skips(node, known) or "pytestmark" in known:
                    marked.add(place)
    for (module, name), what in needs.items():
        if not name:  # nothing bound: an import, which no mark saves
            yield f"{module}: {what}"
    tests = [place for place in names if place[1].startswith("test_") and place not in marked]
    for module, name in tests:
        reached, left = set(), [(module, name)]
        while left:
            place = left.pop()
            if place in reached or place not in names:
                continue
            reached.add(place)
            if place in needs:
                yield f"{module}::{name}: {needs[place]}"
                break
            left += [(other, part) for part in names[place] for other in {place[0], *(trees.keys() & names[place])}]


def _bound(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Assign():
            return [one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _named(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return [name]
        case ast.arg(arg=name):  # a fixture
            return [name]
    return []


def _skips(node: ast.stmt, known: set[str]) -> bool:
    """Whether a test is marked, by a mark or the name of one; or a name is given to a mark."""
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            told = [ast.unparse(one) for one in node.decorator_list]
            return any("mark.skipif" in one or one in known for one in told)
        case ast.Assign():
            return "mark.skipif" in ast.unparse(node.value)
    return False
