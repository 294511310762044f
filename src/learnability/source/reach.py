"""The digest of the local code that a function reaches.

Code of files is read as text, statement by statement (:mod:`learnability.source.static`): what a function mentions,
and so on from there; modules that are imported count whole. Never less than what can matter: a change that is missed
would be answered from old results. Code of a session, which has no file, is followed object by object.
"""

from __future__ import annotations

import ast
import dataclasses
import dis
import functools
import hashlib
import importlib
import importlib.util
import pickle
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from learnability.errors import RequestError
from learnability.source.files import PREFIX
from learnability.source.local import is_local
from learnability.source.static import imported, needed, spanning
from learnability.source.text import compiled, parsed, text_of

__all__ = ["Reach", "reach"]


@dataclass(frozen=True)
class Reach:
    """What a function reaches of local code."""

    digest: str
    """SHA-256, 16 hexadecimal digits."""
    files: tuple[Path, ...]
    """The files in which it stands."""


def reach(function: Any) -> Reach:
    """The local code that a function reaches, as it stands now.

    Raises
    ------
    ValueError
        If a module that it uses was changed since it was imported: what would be run is not what stands there.
    """
    parsed.cache_clear()  # files change between two calls of a session
    _codes.cache_clear()
    walk = _Walk()
    told = walk.value(function)
    text = "\n".join([told, *(f"{name} {walk.parts[name]}" for name in sorted(walk.parts))])
    return Reach(_hash(text), tuple(sorted(walk.files)))


class _Walk:
    """Follows code from a function; ``parts`` maps what was met to a hash of it."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.files: set[Path] = set()
        self.kept: list[Any] = []  # alive, so that no other object gets its id
        self.told: dict[int, str] = {}
        self.seen: set[tuple[str, int]] = set()

    # Values

    def value(self, found: Any) -> str:
        """What stands for a value in the digest."""
        if found is None or found is Ellipsis or isinstance(found, bool | int | float | complex | str | bytes):
            return f"{type(found).__name__} {found!r}"
        if id(found) not in self.told:
            self.told[id(found)] = "itself"
            self.kept.append(found)
            self.told[id(found)] = self._value(found)
        return self.told[id(found)]

    def _value(self, found: Any) -> str:
        if isinstance(found, ModuleType):
            return self.module(found)
        if isinstance(found, type):
            return self.of_class(found)
        if isinstance(found, functools.partial):
            return f"partial({self.value(found.func)}, {self.value(found.args)}, {self.value(found.keywords)})"
        if isinstance(found, MethodType):
            return f"method({self.value(found.__func__)}, {self.value(found.__self__)})"
        if isinstance(found, BuiltinFunctionType):
            return _name(found)
        if isinstance(found, FunctionType):
            return self.function(found)
        if isinstance(found, tuple | list):
            return f"{type(found).__name__}({', '.join(map(self.value, found))})"
        if isinstance(found, set | frozenset):
            return f"{type(found).__name__}({', '.join(sorted(map(self.value, found)))})"
        if isinstance(found, Mapping):
            inside = sorted(f"{self.value(key)}: {self.value(part)}" for key, part in found.items())
            return f"{type(found).__name__}({', '.join(inside)})"
        return self.instance(found)

    def instance(self, found: Any) -> str:
        """An object: its class, and all that it holds."""
        kind = self.of_class(type(found))
        inner = getattr(found, "py_func", None) or getattr(found, "__wrapped__", None)
        if inner is not None and callable(found):  # compiled by Numba, JAX, or cached
            return f"{kind} of {self.value(inner)}"
        if type(found).__module__.partition(".")[0] == "numpy" and hasattr(found, "dtype"):
            import numpy as np

            array = np.ascontiguousarray(found)
            if array.dtype != object:
                return f"{kind}{array.dtype}{array.shape}{hashlib.sha256(array.tobytes()).hexdigest()}"
            return f"{kind}{array.shape}{self.value(array.ravel().tolist())}"
        slots = [name for base in type(found).__mro__ for name in _slots(base)]
        held = {name: getattr(found, name) for name in slots if hasattr(found, name)}
        held.update(getattr(found, "__dict__", {}))
        if dataclasses.is_dataclass(found):
            held.update({f.name: getattr(found, f.name, None) for f in dataclasses.fields(found)})
        local = any(_is_local_class(base) for base in type(found).__mro__)
        if not held or not local:
            try:  # all of it, where its library says how
                return f"{kind} {hashlib.sha256(pickle.dumps(found, protocol=4)).hexdigest()}"
            except Exception:
                if not held and " at 0x" not in repr(found):
                    return f"{kind} {found!r}"
        return f"{kind}({', '.join(f'{name}={self.value(held[name])}' for name in sorted(held))})"

    # Code

    def function(self, found: FunctionType) -> str:
        """A function, with what its cells hold and what its code needs."""
        code = found.__code__
        held = [self.value(cell.cell_contents) for cell in found.__closure__ or () if _filled(cell)]
        if inner := getattr(found, "__wrapped__", None):
            held.append(self.value(inner))
        if not is_local(code.co_filename):
            return f"{_name(found)}({', '.join(held)})"
        held += [self.value(found.__defaults__), self.value(found.__kwdefaults__)]
        tree = parsed(code.co_filename) if Path(code.co_filename).is_file() else None
        if tree is not None and (start := spanning(tree, code.co_firstlineno)):
            _same(found, code.co_filename)
            self.statements(code.co_filename, tree, start, found.__globals__)
            # which of the statement's functions: its name, or its code where it has none
            which = _name(found) if "<lambda>" not in found.__qualname__ else compiled(code)
            return f"{which}({', '.join(held)})"
        uses = self._uses(found.__globals__, code)
        return f"{found.__qualname__} {_hash(compiled(code))}({', '.join(held)}; {uses})"

    def statements(self, filename: str, tree: ast.Module, start: list[ast.stmt], names: Mapping[str, Any]) -> None:
        """Statements of a file, all that they need of it, and the modules that those import."""
        self._file(filename)
        if (filename, start[0].lineno) in self.seen:
            return
        self.seen.add((filename, start[0].lineno))
        told = []
        for node in needed(tree, start):
            told.append(text_of(node))
            told += [self._import(wanted, names.get("__package__")) for wanted in imported(node)]
            if isinstance(node, ast.Assign | ast.AnnAssign):  # values may come from files
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                plain = [t.id for t in targets if isinstance(t, ast.Name) and _plain(names.get(t.id))]
                told += [f"{name}={self.value(names[name])}" for name in plain]
        self.parts[f"{Path(filename).name} {_hash(text_of(start[0]))}"] = _hash("\n".join(told))

    def _uses(self, names: Mapping[str, Any], code: CodeType) -> str:
        """The globals that a session's function reads, and what it imports."""
        told = []
        for kind, name in sorted(set(_mentioned(code))):
            if kind == "global" and name in names:
                told.append(f"{name}={self.value(names[name])}")
            elif kind == "import":
                told.append(f"import {name}: {self._import(name, names.get('__package__'))}")
        return "; ".join(told)

    def _import(self, name: str, package: str | None) -> str:
        """A module that is imported; "" if it is not local or not there."""
        try:
            full = importlib.util.resolve_name(name, package or "")
            if full not in sys.modules:
                spec = importlib.util.find_spec(full)
                if spec is None or spec.origin is None or not is_local(spec.origin):
                    return ""
            return self.module(importlib.import_module(full))
        except ValueError as error:
            if "was changed since" in str(error):
                raise
            return ""
        except Exception:  # a module that is not there, or a name that is none: the run will say so
            return ""

    def of_class(self, found: type) -> str:
        """A class: its statement with all that it needs; a session's by its members."""
        name = _name(found)
        if not _is_local_class(found):
            return name
        module = sys.modules.get(found.__module__)
        filename = getattr(module, "__file__", None)
        tree = parsed(filename) if filename and Path(filename).is_file() else None
        if tree is not None and filename is not None:
            top = found.__qualname__.partition(".")[0]
            start = [node for node in tree.body if getattr(node, "name", None) == top]
            if start:
                self.statements(filename, tree, start, vars(module))
                return name
        if name in self.parts:
            return name
        self.parts[name] = "itself"
        told = [self.value(base) for base in found.__bases__] + [self.value(type(found))]
        for attribute, part in sorted(vars(found).items()):
            if attribute in _NOT_CONTENT:
                continue
            parts = [part]
            if isinstance(part, property):
                parts = [part.fget, part.fset, part.fdel]
            elif isinstance(part, staticmethod | classmethod):
                parts = [part.__func__]
            elif isinstance(part, functools.cached_property):
                parts = [part.func]
            told.append(f"{attribute}: {', '.join(map(self.value, parts))}")
        self.parts[name] = _hash("\n".join(told))
        return name

    def module(self, found: ModuleType) -> str:
        """A whole local module, and the local modules that it imports."""
        filename = getattr(found, "__file__", None)
        name = found.__name__
        key = name.replace(PREFIX, "")
        if not filename or not is_local(filename) or key in self.parts:
            return key
        self.parts[key] = "itself"  # modules may import each other
        self._file(filename)
        tree = parsed(filename)
        told = [text_of(tree) if tree is not None else ""]
        for part in vars(found).values():
            if isinstance(part, FunctionType) and part.__code__.co_filename == filename:
                _same(part, filename)
        told += [self._import(wanted, getattr(found, "__package__", None)) for wanted in imported(tree or ast.Pass())]
        for constant, part in sorted(vars(found).items()):
            if not constant.startswith("__") and _plain(part):
                told.append(f"{constant}={self.value(part)}")
        self.parts[key] = _hash("\n".join(told))
        return key

    def _file(self, filename: str) -> None:
        path = Path(filename)
        if path.is_file():
            path = path.resolve()
            self.files.add(path)
            # what makes it importable
            while (init := path.parent / "__init__.py").exists() and init not in self.files:
                self.files.add(init)
                path = path.parent


_NOT_CONTENT = frozenset(
    ("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "__static_attributes__", "__slots__",
     "__dataclass_fields__", "__dataclass_params__", "__match_args__", "__abstractmethods__", "_abc_impl",
     "__annotations_cache__", "__annotate_func__")
)  # fmt: skip


def _same(found: FunctionType, filename: str) -> None:
    """Refuse a function whose file now says something else than when it was imported."""
    loader = getattr(sys.modules.get(found.__module__ or ""), "__loader__", None)
    if type(loader).__name__ != "SourceFileLoader" or found.__module__ == "__main__":
        return  # a script's, or made otherwise (pytest rewrites assertions): what is in memory counts
    known = _codes(filename)
    if known and compiled(found.__code__) not in known:
        raise RequestError(
            f"{Path(filename).name} was changed since it was imported: reload it, or start afresh, so that what is "
            "run is what stands there"
        )


@functools.cache
def _codes(filename: str) -> frozenset[str]:
    """All code of a file as it stands now."""
    try:
        whole = compile(Path(filename).read_bytes(), filename, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    found, waiting = set(), [whole]
    while waiting:
        code = waiting.pop()
        found.add(compiled(code))
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(found)


def _is_local_class(found: type) -> bool:
    module = sys.modules.get(found.__module__)
    filename = getattr(module, "__file__", None)
    return is_local(filename) if filename else found.__module__ == "__main__"


def _slots(base: type) -> tuple[str, ...]:
    slots = vars(base).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _plain(found: Any) -> bool:
    """Whether a value can stand in the digest by itself, beside the text that made it."""
    if isinstance(found, tuple | list | set | frozenset):
        return all(map(_plain, found))
    if isinstance(found, dict):
        return all(map(_plain, found.values())) and all(map(_plain, found))
    return (
        found is None
        or isinstance(found, bool | int | float | complex | str | bytes)
        or (type(found).__module__ == "numpy" and getattr(getattr(found, "dtype", None), "kind", "O") in "biufcSU")
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _name(found: Any) -> str:
    """Module and name; the module as its file is called, whether it was imported, loaded or run as a script."""
    module = str(getattr(found, "__module__", "") or "")
    if module == "__main__":
        module = Path(getattr(sys.modules[module], "__file__", None) or "session").stem
    return f"{module.removeprefix(PREFIX)}:{getattr(found, '__qualname__', type(found).__qualname__)}"


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - a name that has no value yet raises
    except ValueError:
        return False
    return True


def _mentioned(code: CodeType) -> Iterator[tuple[str, str]]:
    """The globals that code reads and the modules that it imports, with the code inside it."""
    last: list[Any] = []
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield "global", str(step.argval)
        elif step.opname == "IMPORT_NAME":
            level = next((value for value in last if isinstance(value, int) and not isinstance(value, bool)), 0)
            names = next((value for value in reversed(last) if isinstance(value, tuple)), ())
            base = "." * level + str(step.argval)
            parts = str(step.argval).split(".")
            yield from (("import", "." * level + ".".join(parts[:k])) for k in range(1, len(parts) + 1))
            dot = "" if base.endswith(".") else "."
            yield from (("import", f"{base}{dot}{name}") for name in names if name != "*")
        last = [*last[-1:], step.argval]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _mentioned(constant)
