"""Which statements of a file a function needs: those that bind the names it mentions, and so on from them."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator

__all__ = ["imported", "needed", "spanning"]


def needed(tree: ast.Module, start: Iterable[ast.stmt]) -> list[ast.stmt]:
    """The top-level statements that ``start`` needs, in their order, itself among them.

    A statement is needed if it binds a name that a needed one mentions, or may change what is bound to it: by a
    decorator, an assignment to an element or attribute, a call. What is done for its effect alone (such as
    ``jax.config.update``) is needed too, but not what is done with experiments: running or printing them.
    """
    body = list(tree.body)
    binders: dict[str, list[ast.stmt]] = {}
    for node in body:
        for name in _bound(node):
            binders.setdefault(name, []).append(node)
    experiments = _experiments(body)
    found: dict[int, ast.stmt] = {}
    names: set[str] = set()
    waiting = [*start, *(node for node in body if _effect(node) and not experiments & _mentioned(node))]
    waiting += [node for node in body if isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names)]
    while waiting:
        node = waiting.pop()
        if id(node) in found:
            continue
        found[id(node)] = node
        fresh = (_mentioned(node) | _bound(node)) - names
        names |= fresh
        waiting += [other for name in fresh for other in binders.get(name, ())]
        if fresh:
            waiting += [other for other in body if id(other) not in found and fresh & _changes(other)]
    return [node for node in body if id(node) in found]


def spanning(tree: ast.Module, line: int) -> list[ast.stmt]:
    """The top-level statements that a line is in, decorators included."""
    return [node for node in tree.body if _first(node) <= line <= (node.end_lineno or node.lineno)]


def _first(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(part.lineno for part in decorators)])


@functools.lru_cache(maxsize=20_000)
def _bound(node: ast.stmt) -> frozenset[str]:
    """The names that a top-level statement binds in its module."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return frozenset([node.name])
    if isinstance(node, ast.Import):
        return frozenset(name.asname or name.name.partition(".")[0] for name in node.names)
    if isinstance(node, ast.ImportFrom):
        return frozenset(name.asname or name.name for name in node.names)
    found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for inner in ast.walk(node):
        if inner is not node and isinstance(
            inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
        ):
            found |= _bound(inner)
    return frozenset(found)


@functools.lru_cache(maxsize=20_000)
def _mentioned(node: ast.stmt) -> frozenset[str]:
    """The names that a statement reads anywhere in it."""
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Store))


@functools.lru_cache(maxsize=20_000)
def _changes(node: ast.stmt) -> frozenset[str]:
    """Names whose objects a statement may change: decorated with, assigned into, declared global and bound."""
    names: set[str] = set()
    for decorator in getattr(node, "decorator_list", ()):
        names |= {n.id for n in ast.walk(decorator) if isinstance(n, ast.Name)}
    targets = getattr(node, "targets", None) or (
        [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []
    )
    for target in targets:
        if not isinstance(target, ast.Name):
            names |= {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
    return frozenset(names)


def _effect(node: ast.stmt) -> bool:
    """Whether a statement may do more than bind names: neither a definition, nor an import, nor a docstring."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
        return False
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return False
    if isinstance(node, ast.If) and "__name__" in _mentioned(node):  # a script's own doings
        return False
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return not all(isinstance(t, ast.Name | ast.Tuple | ast.List) for t in targets)
    return True


def _experiments(body: list[ast.stmt]) -> frozenset[str]:
    """Names of experiments, checks and what was made of them."""
    found: set[str] = {"EXPERIMENT", "CHECKS", "STUDY"}
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            calls = [n.func for n in ast.walk(node) if isinstance(n, ast.Call)]
            makes = any(getattr(f, "id", getattr(f, "attr", "")) in ("Experiment", "Check") for f in calls)
            if makes or found & _mentioned(node):
                found |= _bound(node)
        elif isinstance(node, ast.For | ast.With) and found & _mentioned(node):
            found |= _bound(node)
    return frozenset(found)


def imported(node: ast.AST) -> Iterator[str]:
    """Modules that a statement, or anything in it, imports; relative ones with their dots."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            for name in inner.names:
                parts = name.name.split(".")
                yield from (".".join(parts[:k]) for k in range(1, len(parts) + 1))
        elif isinstance(inner, ast.ImportFrom):
            base = "." * inner.level + (inner.module or "")
            yield base
            dot = "" if base.endswith(".") else "."
            yield from (f"{base}{dot}{name.name}" for name in inner.names if name.name != "*")
