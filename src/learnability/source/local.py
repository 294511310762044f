"""What is a user's own code, and where it stands."""

from __future__ import annotations

import functools
import os
import re
import site
import sysconfig
import traceback
from pathlib import Path
from types import FunctionType
from typing import Any

from learnability import memory

__all__ = ["bare", "count_as_own", "file_of", "is_local", "one_line", "place_of"]

_PACKAGE = str(Path(__file__).resolve().parents[1])


@functools.cache
def _foreign() -> tuple[str, ...]:
    """Folders of Python itself, of installed packages, and of this one."""
    paths = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {*site.getsitepackages(), site.getusersitepackages()}
    return (*(str(Path(path).resolve()) + os.sep for path in paths), _PACKAGE + os.sep)


_OWN: set[str] = set()


def count_as_own(place: Path) -> None:
    """Let an installed package count as a user's own, since its studies were asked for by their entry points."""
    _OWN.add(str(place.resolve()))
    is_local.cache_clear()


@functools.cache
def is_local(filename: str) -> bool:
    """Whether a file of code is a user's own: not Python's, an installed package's or this one's."""
    if filename.startswith("<frozen"):
        return False
    if not filename or filename.startswith("<"):  # a session's, or code made by a program
        return True
    path = Path(filename).resolve()
    return bool(_OWN & {str(part) for part in (path, *path.parents)}) or not str(path).startswith(_foreign())


def file_of(function: Any) -> Path | None:
    """The file of a function, if it has one."""
    code = getattr(bare(function), "__code__", None)
    path = Path(code.co_filename) if code is not None else None
    return path.resolve() if path is not None and path.is_file() else None


def place_of(function: Any) -> str:
    """Where a user's own function stands, for a message: " (staircase.py:12)"; nothing of other functions."""
    code = getattr(bare(function), "__code__", None)
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
    if memory.ran_out(error):
        return f"{memory.told(error)}{where}"
    return f"{type(error).__name__}: {message}{where}"


def bare(found: Any) -> Any:
    """The function inside what decorators such as Numba's and JAX's made of it."""
    for _ in range(10):
        inner = getattr(found, "py_func", None) or getattr(found, "__wrapped__", None)
        if isinstance(found, FunctionType) and inner is None:
            break
        if inner is None or inner is found:
            break
        found = inner
    return found
