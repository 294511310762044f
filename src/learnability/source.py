"""The code that an experiment's ``run`` reaches: a digest of it for the task's key, and its way to other processes.

Code outside installed packages is *local*: a user's file, the modules beside it, a script, a notebook. A digest
covers what ``run`` reaches of it: the functions and classes that it uses and those that they use, the values of the
globals that they read, and whole local modules where it uses one as a module. Comments, layout and docstrings do not
count, and nothing else in the file does: editing ``figure`` or ``claims`` changes no key.

Functions of files go to another process by name, with the files themselves (:class:`Luggage`): it uses the original
files where they are at their place unchanged, and copies elsewhere. What has no file goes by value.
"""

from __future__ import annotations

import ast
import atexit
import dataclasses
import dis
import functools
import hashlib
import importlib
import importlib.util
import linecache
import os
import re
import shutil
import site
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

__all__ = ["Luggage", "Reach", "alias", "file_of", "is_local", "one_line", "place_of", "reach"]

_PREFIX = "_learnability_"
_PACKAGE = str(Path(__file__).resolve().parent)


# What is local ------------------------------------------------------------------------------------------------------


@functools.cache
def _foreign() -> tuple[str, ...]:
    """Folders of Python itself, of installed packages, and of this one."""
    paths = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {*site.getsitepackages(), site.getusersitepackages()}
    return (*(str(Path(path).resolve()) + os.sep for path in paths), _PACKAGE + os.sep)


@functools.cache
def is_local(filename: str) -> bool:
    """Whether a file of code is a user's own: not Python's, an installed package's or this one's."""
    if filename.startswith("<frozen"):
        return False
    if not filename or filename.startswith("<"):  # a session's, or code made by a program
        return True
    return not str(Path(filename).resolve()).startswith(_foreign())


def file_of(function: Any) -> Path | None:
    """The file of a function, if it has one."""
    code = getattr(_bare(function), "__code__", None)
    path = Path(code.co_filename) if code is not None else None
    return path.resolve() if path is not None and path.is_file() else None


def place_of(function: Any) -> str:
    """Where a user's own function stands, for a message: " (staircase.py:12)"; nothing of other functions."""
    code = getattr(_bare(function), "__code__", None)
    if code is None or not is_local(code.co_filename):
        return ""
    return f" ({Path(code.co_filename).name}:{code.co_firstlineno})"


def one_line(error: BaseException) -> str:
    """The error's type, message and where it arose: in the user's own code, if that was on the way."""
    message = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if is_local(f.filename) and not f.filename.startswith("<")]
    last = (own or frames)[-1:]
    told = re.search(r" \([^() ]+\.py:\d+\)$", message)  # by who raised it
    where = f" ({Path(last[0].filename).name}:{last[0].lineno})" if last and not told else ""
    return f"{type(error).__name__}: {message}{where}"


# Files as modules ---------------------------------------------------------------------------------------------------


class _Finder(MetaPathFinder):
    """Finds the files and folders that were named, and the modules beside them.

    What stands beside a user's file comes before installed packages, as in a script, but never before Python's own
    modules: nobody's ``random.py`` may break NumPy.
    """

    def __init__(self) -> None:
        self.places: dict[str, Path] = {}
        """File or folder of each alias."""
        self.folders: list[str] = []
        """Where modules beside them are."""
        self.served: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        place = self.places.get(fullname)
        if place is not None:
            self.served.add(fullname)
            if place.is_file():
                return importlib.util.spec_from_file_location(fullname, place)
            init = place / "__init__.py"
            if init.exists():
                return importlib.util.spec_from_file_location(fullname, init, submodule_search_locations=[str(place)])
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(place)]
            return spec
        top = fullname.partition(".")[0]
        if top in self.places:
            self.served.add(fullname)
        if path is not None or top in sys.stdlib_module_names or top == "learnability":
            return None
        found = PathFinder.find_spec(fullname, self.folders) if self.folders else None
        if found is None or found.origin is None:  # a folder without modules is nothing
            return None
        self.served.add(fullname)
        return found

    def forget(self) -> None:
        """Let what was imported from here be read afresh."""
        for name in [n for n in sys.modules if n in self.served or n.partition(".")[0] in self.served]:
            del sys.modules[name]
        self.served.clear()
        importlib.invalidate_caches()
        linecache.checkcache()
        _parsed.cache_clear()


_FINDER = _Finder()


def _installed_finder() -> _Finder:
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    return _FINDER


def alias(place: Path) -> str:
    """The name under which a file or folder is imported from now on, read afresh with all that stands beside it."""
    finder = _installed_finder()
    finder.forget()
    stem = place.stem if place.is_file() else place.name
    name = _PREFIX + "".join(c if c.isalnum() else "_" for c in stem)
    finder.places[name] = place
    folder = str(place.parent)
    finder.folders = [folder, *(other for other in finder.folders if other != folder)]
    return name


# The digest ---------------------------------------------------------------------------------------------------------


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
        bare = _bare(found)
        if isinstance(bare, FunctionType):
            return self.function(bare)
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
        text = "\n".join([_text_of_function(found), *held, *defaults, *uses])
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
            if isinstance(_bare(part), FunctionType):
                code = _bare(part).__code__
                if is_local(code.co_filename):
                    self._file(code.co_filename)
                    told.append(
                        f"{attribute}: {_text_of_function(_bare(part))} {self._uses(_bare(part).__globals__, code)}"
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
        tree = _parsed(filename)
        told = [_text(tree) if tree is not None else ""]
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
    return f"{module.removeprefix(_PREFIX)}:{getattr(found, '__qualname__', type(found).__qualname__)}"


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - a name that has no value yet raises
    except ValueError:
        return False
    return True


def _bare(found: Any) -> Any:
    """The function inside what decorators such as Numba's and JAX's made of it."""
    for _ in range(10):
        inner = getattr(found, "py_func", None) or getattr(found, "__wrapped__", None)
        if isinstance(found, FunctionType) and inner is None:
            break
        if inner is None or inner is found:
            break
        found = inner
    return found


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


# Text ---------------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _parsed(filename: str) -> ast.Module | None:
    """The syntax tree of a file, or of what a session has entered; None if there is no text."""
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


def _text(node: ast.AST) -> str:
    """Code without comments, layout and docstrings."""
    import copy

    return ast.unparse(_Plain().visit(copy.deepcopy(node)))


def _text_of_function(found: FunctionType) -> str:
    """The text of a function, or its compiled code where there is none."""
    code = found.__code__
    tree = _parsed(code.co_filename)
    if tree is not None:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
                first = min([node.lineno, *(part.lineno for part in node.decorator_list)])
                if first == code.co_firstlineno:
                    return _text(node)
    return _compiled(code)


def _compiled(code: CodeType) -> str:
    constants = [_compiled(c) if isinstance(c, CodeType) else _constant(c) for c in code.co_consts]
    return repr((code.co_name, code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants))


def _constant(value: Any) -> str:
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


# The way to other processes -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Luggage:
    """A function with the files that it needs, for another process that may have none of them.

    Parameters
    ----------
    payload : bytes
        The function, pickled: by name where it stands in a file, by value where not.
    places : mapping of str to str
        File or folder of each alias.
    folders : tuple of str
        Where modules beside them are.
    files : mapping of str to bytes
        Content of the files by their paths.
    digest : str
        Of all of it.
    """

    payload: bytes
    places: Mapping[str, str]
    folders: tuple[str, ...]
    files: Mapping[str, bytes]
    digest: str = field(default="")

    @classmethod
    def of(cls, function: Any) -> Luggage:
        """Pack a function.

        Raises
        ------
        ValueError
            If it cannot be sent, for instance since it holds an open file.
        """
        import cloudpickle

        try:
            payload = cloudpickle.dumps(function)
        except Exception as error:
            raise ValueError(f"run cannot be sent to other processes ({one_line(error)})") from None
        found = reach(function)
        files = {str(path): path.read_bytes() for path in found.files}
        folders = [*_FINDER.folders]
        main = getattr(sys.modules.get("__main__"), "__file__", None)
        if main:  # what stands beside a script
            folders.append(str(Path(main).resolve().parent))
        folders += [str(path.parent) for path in found.files]
        folders = [folder for folder in dict.fromkeys(folders) if any(_below(path, folder) for path in found.files)]
        packed = hashlib.sha256(payload)
        for name, content in files.items():
            packed.update(name.encode() + content)
        places = {
            name: str(place)
            for name, place in _FINDER.places.items()
            if any(_below(f, str(place)) for f in found.files)
        }
        return cls(payload, places, tuple(folders), files, packed.hexdigest()[:32])

    def unpack(self) -> Any:
        """The function, here."""
        import cloudpickle

        if _UNPACKED.get("digest") == self.digest:
            return _UNPACKED["function"]
        finder = _installed_finder()
        finder.forget()
        moved = {} if self._at_home() else self._copied()
        finder.places = {name: Path(moved.get(place, place)) for name, place in self.places.items()}
        finder.folders = [moved.get(folder, folder) for folder in self.folders]
        function = cloudpickle.loads(self.payload)
        _UNPACKED.update(digest=self.digest, function=function)
        return function

    def _at_home(self) -> bool:
        """Whether the files are at their places here, as they were packed."""
        try:
            return all(Path(name).read_bytes() == content for name, content in self.files.items())
        except OSError:
            return False

    def _copied(self) -> dict[str, str]:
        """Write the files below a temporary folder; where each path of the luggage now is."""
        root = Path(tempfile.mkdtemp(prefix="learnability-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        moved: dict[str, str] = {}

        def put(name: str) -> Path:
            return root / Path(*[part.replace(":", "") for part in Path(name).parts if part not in ("/", "\\")])

        for name, content in self.files.items():
            target = put(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        for name in (*self.places.values(), *self.folders):
            moved[name] = str(put(name))
        return moved


_UNPACKED: dict[str, Any] = {}


def _below(path: Path, place: str) -> bool:
    return path == Path(place) or Path(place) in path.parents
