"""Files in an output folder: written whole and on the disk, or not at all; read with suspicion; litter cleared away.

A file is written beside its place under a name that tells who writes it, has reached the disk, and is then moved
there in one step. So neither a kill nor a power cut leaves a part of one, and what a dead process has left can be
told from what a live one is writing.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from learnability import checks, shown
from learnability.errors import RequestError
from learnability.processes import alive, born, host, mark

__all__ = [
    "DEEPEST",
    "LARGEST",
    "alive",
    "born",
    "clean",
    "folder",
    "host",
    "make_folder",
    "parsed",
    "read",
    "read_json",
    "write_atomically",
    "write_json",
    "write_together",
]

LARGEST, DEEPEST = 2**25, 50
"""Bytes of a JSON file that is read, and how deep lists and objects may stand in each other."""


def folder(out: str | os.PathLike[str]) -> Path:
    """The path of an output folder, which need not exist.

    Raises
    ------
    ValueError
        If ``out`` is no path, or empty: that would silently be the working directory.
    """
    path = os.fspath(out) if isinstance(out, str | os.PathLike) else out
    if not isinstance(path, str):
        raise RequestError(f"out must be a path, got {out!r}")
    if not path or "\0" in path:
        raise RequestError(f"out must be the path of a folder, got {path!r}")
    return Path(path)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or leave the old one: never a part, whoever else writes at the same time."""
    write_together({path: content})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write several files: not one is in its place before all have reached the disk; then they go there in order.

    Raises
    ------
    OSError
        If one cannot be written; it is named. Nothing is left beside the places.
    """
    own: dict[Path, Path] = {}
    place = next(iter(contents), None)
    try:
        for place, content in contents.items():
            make_folder(place.parent)
            own[place] = place.parent / _own_name()
            with open(own[place], "xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        for place, written in own.items():
            os.replace(written, place)
        for parent in dict.fromkeys(place.parent for place in own):
            _sync(parent)
    except BaseException as error:
        for written in own.values():
            with suppress(OSError):
                written.unlink(missing_ok=True)
        if isinstance(error, OSError):  # say which file, and not under what name it was first written
            error.filename, error.filename2 = str(place), None
        raise


def make_folder(path: Path) -> None:
    """Make a folder, and those that it is in, and see to it that a power cut does not unmake them."""
    missing = []
    place = path
    while not place.exists() and place != place.parent:
        missing.append(place)
        place = place.parent
    if missing:
        path.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        _sync(made.parent)


def _sync(place: Path) -> None:
    """Have a folder's entries on the disk, where that can be: Windows opens no folder, some file systems refuse."""
    if os.name == "nt":
        return
    try:
        opened = os.open(place, os.O_RDONLY)
    except PermissionError:  # one may write into a folder without reading it
        return
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EROFS):
            raise
    finally:
        os.close(opened)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically. NaN and infinities are refused."""
    write_atomically(path, (shown.to_json(value) + "\n").encode())


def read(path: str | os.PathLike[str], largest: int | None = None) -> bytes:
    """The bytes of a regular file: a pipe that nobody writes to would be waited for without end.

    Raises
    ------
    OSError
        If it cannot be opened or read.
    ValueError
        If it is no regular file, or has more than ``largest`` bytes.
    """
    opened = os.open(path, os.O_RDONLY | _AS_IT_IS)  # half the time of open(), which counts for ten thousand files
    try:
        found = os.fstat(opened)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if not stat.S_ISREG(found.st_mode):
            raise RequestError("it is no regular file")
        if largest is not None and found.st_size > largest:
            raise RequestError(f"it has {found.st_size:,} bytes, more than {largest:,}")
        parts = []
        while part := os.read(opened, max(found.st_size + 1, 2**16)):  # the system may give less, and files may grow
            parts.append(part)
            if largest is not None and sum(map(len, parts)) > largest:
                raise RequestError(f"it has more than {largest:,} bytes")
        return b"".join(parts)
    finally:
        os.close(opened)


_AS_IT_IS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_BINARY", "O_CLOEXEC"))


def read_json(path: Path) -> Any:
    """What is in a JSON file that may have been damaged, or come from a stranger.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is no JSON, or larger, deeper or of larger numbers (NaN is none) than anything that is written here.
    """
    return parsed(read(path, LARGEST))


def parsed(content: bytes) -> Any:
    """What bytes say as JSON, checked as by :func:`read_json`."""
    try:
        value = json.loads(content)
    except RecursionError:
        raise RequestError(f"its lists stand more than {DEEPEST} deep in each other") from None
    _check_plain(value, DEEPEST)
    return value


def _check_plain(value: Any, depth: int) -> None:
    if isinstance(value, dict | list):
        if depth == 0:
            raise RequestError(f"its lists stand more than {DEEPEST} deep in each other")
        for part in value.values() if isinstance(value, dict) else value:
            _check_plain(part, depth - 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if (type(value) is int and -(2**63) <= value < 2**63) or (type(value) is float and math.isfinite(value)):
            return  # what nearly all are
        checks.real("each number", value)


def _own_name() -> str:
    """A name beside a file's place that tells the process, for :func:`clean`."""
    return f".{secrets.token_hex(4)}.{mark()}.tmp"


_DAY, _HOUR = 86400.0, 3600.0

_UNFINISHED = re.compile(r"\.[0-9a-f]{8}\.(?P<host>[0-9a-f]{8})-(?P<number>\d+)-(?P<born>\d+)\.tmp", re.ASCII)
_OLDER = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp", re.ASCII)
"""As the first versions wrote them, which did not tell the machine."""


def clean(root: Path) -> None:
    """Remove what killed processes have left unfinished in an output folder, and nothing that one is still writing.

    A process of this machine is asked for. What one of another machine writes is taken for left behind after a day.
    Only places where this package writes are looked at: ``out`` may be somebody's home.
    """
    for place in _places(root):
        with suppress(OSError):
            found = list(os.scandir(place))
            names = {entry.name for entry in found}
            for entry in found:
                with suppress(OSError):
                    if _left_behind(entry, names):
                        os.unlink(entry)


def _places(root: Path) -> Iterable[Path]:
    yield root
    for pattern in ("verify", "*/verify/*", "certify/*/*", "tasks/*/*"):
        with suppress(OSError):
            yield from root.glob(pattern)
    with suppress(OSError):
        for study in (root / "tasks").iterdir():
            yield from (root / study.name).glob("*/*")


def _left_behind(entry: os.DirEntry[str], names: set[str]) -> bool:
    """Whether a file is a dead process's unfinished one, or a shard that was never vouched for."""
    if entry.name.endswith(".tmp"):
        told = _UNFINISHED.fullmatch(entry.name)
        if told and told["host"] == host():
            return not alive(int(told["number"]), float(told["born"]))
        return bool(told or _OLDER.fullmatch(entry.name)) and _age(entry) > _DAY
    stem, _, kind = entry.name.partition(".")
    shard = kind == "parquet" and re.fullmatch("(batch-)?[0-9a-f]{64}", stem)
    # Its sidecar follows at once: an hour later it never will.
    return bool(shard) and f"{stem}.json" not in names and _age(entry) > _HOUR


def _age(entry: os.DirEntry[str]) -> float:
    """Seconds since a file was written or got its name."""
    found = entry.stat(follow_symlinks=False)
    return time.time() - max(found.st_mtime, found.st_ctime)
