"""Code as text without comments, layout and docstrings."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import linecache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["compiled", "documented", "parsed", "text_of"]

_TEXT = "_learnability_text"
"""Where a node keeps its text: a tree outlives one look at it."""


@functools.lru_cache(maxsize=256)
def parsed(filename: str) -> ast.Module | None:
    """The syntax tree of a file, or of what a session has entered; None if there is no text."""
    linecache.checkcache(filename)
    text = "".join(linecache.getlines(filename))
    if not text and Path(filename).is_file():
        text = Path(filename).read_text(encoding="utf-8", errors="replace")
    return _tree(text) if text else None


@functools.lru_cache(maxsize=8)
def _tree(text: str) -> ast.Module | None:
    """The same tree for the same text: what is known of its nodes is kept with them, and nobody changes them.

    Few of them: a tree is a thousand times as large as its text, and every object makes Python's collector slower.
    """
    try:
        return ast.parse(text)
    except SyntaxError:
        return None


def documented(thing: ModuleType | FunctionType | None) -> str:
    """The docstring of a module or function, from its file where Python has dropped it (``-OO``)."""
    if thing is None or thing.__doc__:
        return inspect.getdoc(thing) or ""
    if isinstance(thing, ModuleType):
        tree = parsed(thing.__file__ or "")
        return (tree and ast.get_docstring(tree)) or ""
    first = thing.__code__.co_firstlineno
    for node in ast.walk(parsed(thing.__code__.co_filename) or ast.Module([], [])):
        if isinstance(node, ast.FunctionDef) and first == min(
            [node.lineno, *(d.lineno for d in node.decorator_list)]
        ):
            return ast.get_docstring(node) or ""
    return ""


class _Plain(ast.NodeTransformer):
    """Takes docstrings away."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module) and body:
            first = body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = body[1:] or [ast.Pass()]
        return node


def text_of(node: ast.AST) -> str:
    """Code without comments, layout and docstrings."""
    known: dict[str, str] = vars(node)
    if _TEXT not in known:
        known[_TEXT] = ast.unparse(_Plain().visit(copy.deepcopy(node)))
    return known[_TEXT]


def compiled(code: CodeType) -> str:
    """A function's compiled code as text, wherever it stands."""
    constants = [compiled(c) if isinstance(c, CodeType) else _constant(c) for c in code.co_consts]
    return repr((code.co_name, code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants))


def _constant(value: Any) -> str:
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
