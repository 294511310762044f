"""Numba's compiler with a cache that nothing depends on.

Numba keeps compiled functions in an index file and data files, and a process ends where they are damaged or cannot
be written, or is given the wrong code where two compile at once. Here each compiled function is a file of its own,
named by what it was compiled from and for, that vouches for its content. It is looked for beside the source and in
the user's folder, or first of all where ``NUMBA_CACHE_DIR`` says, and written to the first of these that takes it; if
none does, the function is compiled again in every process. What is damaged or cannot be read is compiled again, too.
Either is told once, as a :class:`learnability.errors.CacheWarning`.

What a function was compiled from is its own code and all of this package that it could have taken constants and other
functions from: the files that its module imports, and those that they import. (Numba looks at the function's own file
only, and would go on with old code after an update.)
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import re
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FunctionType
from typing import Any

import numba
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

from learnability.errors import CacheWarning

__all__ = ["cfunc", "foresee", "njit"]

_ENDING, _HALF = ".lnc", ".lnc.tmp-"
"""How names of files end, and of those that are being written."""
_LITTER_SECONDS = 3600
"""Age of a half-written file whose writer must have died."""


def njit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """``numba.njit`` with this cache."""
    if function is None:
        return functools.partial(njit, **options)
    found: Any = numba.njit(**options)(function)
    if hasattr(found, "py_func"):  # it is the plain function, where compilation is switched off
        found._cache = _Kept(function)
    return found


def cfunc(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """``numba.cfunc`` with this cache."""

    def compiled(function: Callable[..., Any]) -> Any:
        found: Any = CFunc(function, (signature.args, signature.return_type), locals={}, options={})
        found._cache = _Kept(function)
        found.compile()
        return found

    return compiled


class _Kept:
    """The compiled forms of one function, as Numba asks for its cache."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        code = function.__code__
        self._source = os.path.abspath(code.co_filename)
        self._stamp = _stamp(self._source)
        stem = os.path.splitext(os.path.basename(self._source))[0]
        name = re.sub(r"[<>]", "", function.__qualname__)
        python = f"py{sys.version_info[0]}{sys.version_info[1]}{getattr(sys, 'abiflags', '')}"
        self._base = f"{stem}.{name}-{code.co_firstlineno}.{python}"

    @property
    def cache_path(self) -> str:
        return _folders(self._source)[0]

    def enable(self) -> None:
        """It is."""

    def disable(self) -> None:
        """It stays enabled: nothing depends on it."""

    def flush(self) -> None:
        """Forget what is kept."""
        for folder in _folders(self._source):
            _remove(folder, lambda name: name.startswith(f"{self._base}."))

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The function for a signature as it was compiled before, or None."""
        context.refresh()
        try:
            key, name = self._key(signature, context.codegen())
        except Exception:  # of something that cannot be written down: saving will tell
            return None
        for folder in _folders(self._source):
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as file:
                    content = file.read()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                _tell_damage(path, f"it cannot be read: {error.strerror}")
                continue
            try:
                found_key, found = pickle.loads(_vouched(content))
                if found_key == key:
                    return CompileResult._rebuild(context, *found)
            except Exception as error:
                _tell_damage(path, _said(error))
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep the function as it was compiled for a signature, if there is a place for it."""
        if any(not lifted.can_cache for lifted in result.lifted) or result.library.has_dynamic_globals:
            return
        try:
            key, name = self._key(signature, result.codegen)
            content = dumps((key, result._reduce()))
        except Exception as error:
            _tell_loss(f"{self._base} cannot be written down ({_said(error)})")
            return
        refused = []
        for folder in _folders(self._source):
            try:
                os.makedirs(folder, exist_ok=True)
                _write(os.path.join(folder, name), hashlib.sha256(content).digest() + content)
            except OSError as error:
                refused.append(f"{folder} ({error.strerror or error})")
                continue
            self._tidy(folder)
            return
        _tell_loss(f"not in {', '.join(refused)}")

    def _key(self, signature: Any, codegen: Any) -> tuple[Any, str]:
        """What a compiled form is asked for by, and the name of its file."""
        key = (self._stamp, numba.__version__, signature, codegen.magic_tuple(), _identity(self._function))
        digest = hashlib.sha256("\0".join(map(str, key)).encode()).hexdigest()
        return key, f"{self._base}.{self._stamp}.{digest[:16]}{_ENDING}"

    def _tidy(self, folder: str) -> None:
        """Remove what other versions of the source have left, and half-written files."""
        now = time.time()

        def is_litter(name: str) -> bool:
            if _HALF in name:
                return now - os.stat(os.path.join(folder, name)).st_mtime > _LITTER_SECONDS
            return name.startswith(f"{self._base}.") and f".{self._stamp}." not in name

        _remove(folder, is_litter)


@functools.cache
def _folders(source: str) -> list[str]:
    """Where compiled functions of a file may be, in the order in which they are looked for and written."""
    place = os.path.dirname(source)
    name = f"{os.path.basename(place)}_{hashlib.sha1(place.encode(errors='surrogateescape')).hexdigest()}"
    users = AppDirs(appname="numba", appauthor=False).user_cache_dir
    wanted = getattr(numba.config, "CACHE_DIR", "")
    chosen = [os.path.join(wanted, name)] if wanted else []
    # Without a home the user's folder begins with "~".
    usual = [os.path.join(place, "__pycache__"), os.path.join(users, name)]
    return chosen + (usual if os.path.isabs(users) else usual[:1])


def _identity(value: Any, within: tuple[Any, ...] = ()) -> str:
    """What a function is apart from its source, or what it has taken from around it: the same in every process."""
    if any(value is outer for outer in within):
        return "itself"
    function = getattr(value, "py_func", None) or getattr(value, "_defn", None) or value  # compiled, an intrinsic
    if not isinstance(function, FunctionType):
        return hashlib.sha256(dumps(value)).hexdigest()
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    taken = [_identity(one, (*within, value)) for one in (*cells, function.__defaults__)]
    code = hashlib.sha256(function.__code__.co_code).hexdigest()
    return f"{function.__module__}.{function.__qualname__} {code} ({', '.join(taken)})"


_PACKAGE = os.path.dirname(os.path.abspath(__file__))


@functools.cache
def _stamp(source: str) -> str:
    """Digest of a file and of all files of this package that it imports, directly or not.

    It is read from the files and not from ``sys.modules``: what else a process has imported, and in which order, must
    not make its compiled functions other ones, or two kinds of process would for ever remove each other's.
    """
    files: dict[str, str] = {}
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if path not in files:
            text = _text(path)
            files[path] = hashlib.sha256(text.encode()).hexdigest()
            waiting += (found for found in _imported(text))
    return hashlib.sha256("".join(sorted(files.values())).encode()).hexdigest()[:8]


@functools.cache
def _text(path: str) -> str:
    with suppress(OSError), open(path, encoding="utf-8") as file:
        return file.read()
    return ""  # in an archive: then the version alone must do


_IMPORT = re.compile(r"^from[ \t]+learnability([\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)
"""Not what is indented: what a function or a type checker imports is no constant of compiled code."""


def _imported(text: str) -> Iterator[str]:
    """Files of the modules of this package that a module's text imports."""
    for module, names in _IMPORT.findall(text):
        found = [_file(f"{module}.{name}") for name in re.findall(r"\w+", names)]
        yield from filter(None, found)
        if not all(found) and (file := _file(module)):  # then some name is defined in the module itself
            yield file


@functools.cache
def _file(module: str) -> str | None:
    """The file of a module of this package, named from there: ``.training.orders``."""
    path = os.path.join(_PACKAGE, *module.split(".")[1:])
    return next(filter(os.path.isfile, (f"{path}.py", os.path.join(path, "__init__.py"))), None)


def _vouched(content: bytes) -> bytes:
    """What a file holds, if it is what was written."""
    digest, held = content[:32], content[32:]
    if hashlib.sha256(held).digest() != digest:
        raise ValueError("it is truncated or damaged")
    return held


def _write(path: str, content: bytes) -> None:
    """Write a file at once or not at all; several processes may do so."""
    beside = f"{path.removesuffix(_ENDING)}{_HALF}{uuid.uuid4().hex[:16]}"
    try:
        with open(beside, "wb") as file:
            file.write(content)
        os.replace(beside, path)
    except OSError:
        with suppress(OSError):
            os.unlink(beside)
        raise


def _remove(folder: str, which: Callable[[str], bool]) -> None:
    """Remove such files of a folder as far as that goes."""
    with suppress(OSError):
        for name in os.listdir(folder):
            with suppress(OSError):
                if _ENDING in name and which(name):
                    os.unlink(os.path.join(folder, name))


def foresee() -> None:
    """Tell that compiled functions cannot be kept, if so it looks, before several processes find that out."""
    folders = _folders(os.path.abspath(__file__))
    if not any(map(_looks_writable, folders)):
        _tell_loss(f"not in {', '.join(folders)}")


def _looks_writable(folder: str) -> bool:
    while not os.path.exists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _said(error: BaseException) -> str:
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {' '.join(str(error).split())}"


def _tell_damage(path: str, why: str) -> None:
    _tell(path, f"{path} is compiled anew: {why}")


def _tell_loss(why: str) -> None:
    if os.environ.get("LEARNABILITY_WORKER"):
        return  # the caller has told
    _tell(
        "",
        f"compiled code cannot be kept, so each process compiles it again, which takes seconds to minutes: {why}. "
        "NUMBA_CACHE_DIR names a folder to keep it in",
    )


_told: set[str] = set()


def _tell(what: str, message: str) -> None:
    """Warn once in a process."""
    if what not in _told:
        _told.add(what)
        warnings.warn_explicit(message, CacheWarning, "learnability", 1)
