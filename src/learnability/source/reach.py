"""The digest of the local code that a function reaches."""

from __future__ import annotations

import ast
import dataclasses
import dis
import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from learnability.source.files import PREFIX
from learnability.source.local import bare, is_local
from learnability.source.text import parsed, text_of, text_of_function

__all__ = ["Reach", "reach"]


@dataclass(frozen=True)
class Reach:
    """What a function reaches of local code."""

    digest: str
    """SHA-256, 16 hexadecimal digits."""
    files: tuple[Path, ...]
    """The files in which it stands."""


def reach(function: Any) -> Reach:
    """The local code that a function reaches, as it stands now."""
    walk = _Walk()
    told = walk.value(function)
    text = "\n".join([told, *(f"{name} {walk.parts[name]}" for name in sorted(walk.parts))])
    return Reach(hashlib.sha256(text.encode()).hexdigest()[:16], tuple(sorted(walk.files)))


class _Walk:
    """Follows code from a function; ``parts`` maps what was met to a hash of it."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.files: set[Path] = set()
        self.kept: list[Any] = []  # alive, so that no other object gets its id
        self.seen: set[int] = set()
        self.told: dict[int, str] = {}

    def value(self, found: Any) -> str:
        """What stands for a value in the digest."""
        if found is None or found is Ellipsis or isinstance(found, bool | int | float | complex | str | bytes):
            return repr(found)
        if isinstance(found, ModuleType):
            return self.module(found)
        if isinstance(found, functools.partial):
            return f"partial({self.value(found.func)}, {self.value(found.args)}, {self.value(found.keywords)})"
        if isinstance(found, MethodType):
            return f"method({self.value(found.__func__)}, {self.value(found.__self__)})"
        if isinstance(found, BuiltinFunctionType):
            return _name(found)
        if isinstance(found, type):
            return self.of_class(found)
        inner = bare(found)
        if isinstance(inner, FunctionType):
            return self.function(inner)
        if id(found) not in self.told:
            self.told[id(found)] = "itself"
            self.kept.append(found)
            self.told[id(found)] = self.held(found)
        return self.told[id(found)]

    def held(self, found: Any) -> str:
        """What stands for an object that holds others."""
        if isinstance(found, tuple | list):
            return f"{type(found).__name__}({', '.join(map(self.value, found))})"
        if isinstance(found, Mapping):
            inside = sorted(f"{self.value(key)}: {self.value(part)}" for key, part in found.items())
            return f"{type(found).__name__}({', '.join(inside)})"
        if isinstance(found, set | frozenset):
            return f"{type(found).__name__}({', '.join(sorted(map(self.value, found)))})"
        if dataclasses.is_dataclass(found):
            inside = [f"{f.name}={self.value(getattr(found, f.name, None))}" for f in dataclasses.fields(found)]
            return f"{self.of_class(type(found))}({', '.join(inside)})"
        return self.other(found)

    def other(self, found: Any) -> str:
        """An array by its content; anything else by what it says of itself, or else by its class's whole file."""
        kind = self.of_class(type(found))
        if hasattr(found, "__array__"):
            import numpy as np

            array = np.ascontiguousarray(np.asarray(found))
            if array.dtype.kind in "biufcSUmM":
                return f"{kind}{array.dtype}{array.shape}{hashlib.sha256(array.tobytes()).hexdigest()}"
        said = repr(found)
        if " at 0x" not in said:
            return f"{kind} {said}"
        inside = getattr(found, "__dict__", {})
        return f"{kind}({', '.join(sorted(f'{name}={self.value(part)}' for name, part in inside.items()))})"

    def function(self, found: FunctionType) -> str:
        """A function's own code, and what it uses."""
        name, code = _name(found), found.__code__
        if not is_local(code.co_filename):
            return name
        key = f"{name}:{code.co_firstlineno}" if "<" in name else name
        if id(found) in self.seen:
            return key
        self.seen.add(id(found))
        self.kept.append(found)
        self._file(code.co_filename)
        held = [self.value(cell.cell_contents) for cell in found.__closure__ or () if _filled(cell)]
        defaults = [self.value(found.__defaults__), self.value(found.__kwdefaults__)]
        uses = [self._uses(found.__globals__, code)]
        text = "\n".join([text_of_function(found), *held, *defaults, *uses])
        self.parts[key if "<" not in name else f"{name} {len(self.parts)}"] = _hash(text)
        return name if "<" not in name else f"{name} {_hash(text)}"

    def _uses(self, names: Mapping[str, Any], code: CodeType) -> str:
        told = []
        for kind, name in sorted(set(_mentioned(code))):
            if kind == "global" and name in names:
                told.append(f"{name}={self.value(names[name])}")
            elif kind == "import":
                told.append(f"import {name}: {self._import(name, names.get('__package__'))}")
        return "; ".join(told)

    def _import(self, name: str, package: str | None) -> str:
        """A module that is imported inside a function, or by a module; "" if it is not local or not there."""
        try:
            full = importlib.util.resolve_name(name, package or "")
            if full not in sys.modules:
                spec = importlib.util.find_spec(full)
                if spec is None or spec.origin is None or not is_local(spec.origin):
                    return ""
            return self.module(importlib.import_module(full))
        except Exception:  # a module that is not there, or a name that is none: the run will say so
            return ""

    def of_class(self, found: type) -> str:
        """A class: its text, its bases, and what its methods use."""
        name = _name(found)
        module = sys.modules.get(found.__module__)
        filename = getattr(module, "__file__", None) or (
            f"<{found.__module__}>" if found.__module__ == "__main__" else ""
        )
        if not filename or not is_local(filename) or id(found) in self.seen:
            return name
        self.seen.add(id(found))
        self._file(filename)
        told = [self.of_class(base) for base in found.__bases__]
        for attribute, part in sorted(vars(found).items()):
            if attribute in (
                "__dict__",
                "__weakref__",
                "__doc__",
                "__module__",
                "__firstlineno__",
                "__static_attributes__",
            ):
                continue
            part = getattr(part, "__func__", getattr(part, "fget", part))
            if isinstance(bare(part), FunctionType):
                code = bare(part).__code__
                if is_local(code.co_filename):
                    self._file(code.co_filename)
                    told.append(
                        f"{attribute}: {text_of_function(bare(part))} {self._uses(bare(part).__globals__, code)}"
                    )
            elif not attribute.startswith("__") or attribute == "__annotations__":
                told.append(
                    f"{attribute}={part!r}" if " at 0x" not in repr(part) else f"{attribute}: {type(part).__name__}"
                )
        self.parts[name] = _hash("\n".join(told))
        return name

    def module(self, found: ModuleType) -> str:
        """A whole local module, and the local modules that it imports."""
        filename = getattr(found, "__file__", None)
        name = found.__name__
        if not filename or not is_local(filename) or name in self.parts:
            return name
        self.parts[name] = ""  # modules may import each other
        self._file(filename)
        tree = parsed(filename)
        told = [text_of(tree) if tree is not None else ""]
        for node in ast.walk(tree) if tree is not None else ():
            for wanted in _imported(node):
                told.append(self._import(wanted, getattr(found, "__package__", None)))
        self.parts[name] = _hash("\n".join(told))
        return name

    def _file(self, filename: str) -> None:
        path = Path(filename)
        if path.is_file():
            path = path.resolve()
            self.files.add(path)
            # what makes it importable
            while (init := path.parent / "__init__.py").exists() and init not in self.files:
                self.files.add(init)
                path = path.parent


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
    level = 0
    last: list[Any] = []
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield "global", str(step.argval)
        elif step.opname == "IMPORT_NAME":
            level = next((value for value in last if isinstance(value, int) and not isinstance(value, bool)), 0)
            names = next((value for value in reversed(last) if isinstance(value, tuple)), ())
            base = "." * level + str(step.argval)
            yield "import", base
            yield from (
                ("import", f"{base}{'' if base.endswith('.') else '.'}{name}") for name in names if name != "*"
            )
        last = [*last[-1:], step.argval]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _mentioned(constant)


def _imported(node: ast.AST) -> Iterator[str]:
    """Modules that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (name.name for name in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        yield base
        yield from (
            f"{base}{'' if base.endswith('.') else '.'}{name.name}" for name in node.names if name.name != "*"
        )
