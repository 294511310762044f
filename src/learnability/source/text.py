"""Code as text without comments, layout and docstrings."""

from __future__ import annotations

import ast
import copy
import functools
import linecache
from pathlib import Path
from types import CodeType
from typing import Any

__all__ = ["compiled", "parsed", "text_of"]


@functools.lru_cache(maxsize=256)
def parsed(filename: str) -> ast.Module | None:
    """The syntax tree of a file, or of what a session has entered; None if there is no text."""
    linecache.checkcache(filename)
    text = "".join(linecache.getlines(filename))
    if not text and Path(filename).is_file():
        text = Path(filename).read_text(encoding="utf-8", errors="replace")
    try:
        return ast.parse(text) if text else None
    except SyntaxError:
        return None


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
    return ast.unparse(_Plain().visit(copy.deepcopy(node)))


def compiled(code: CodeType) -> str:
    """A function's compiled code as text, wherever it stands."""
    constants = [compiled(c) if isinstance(c, CodeType) else _constant(c) for c in code.co_consts]
    return repr((code.co_name, code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants))


def _constant(value: Any) -> str:
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
