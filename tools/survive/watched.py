"""A process whose file operations under one folder are counted, written down, refused or ended at.

Everything here works from inside, by standing in for what Python calls the system through: :class:`Watch` says what
is to happen, and ``install`` lets it. What a library writes without Python is not seen; that there is no such thing
is told by the journal, which must give the folder's own bytes when it is played to its end (``disk.played``).
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import pickle
import signal
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Event", "Watch", "read"]

Event = tuple[Any, ...]
"""A word and what it is about: see ``disk.Disk.play``."""
MUTE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
"""Flags of which a call of ``os.open`` has one if it may change something."""


@dataclass
class Watch:
    """What happens to a process.

    Parameters
    ----------
    root : str
        The folder; nothing elsewhere counts.
    end_at : int
        The process ends by SIGKILL before its operation of this number, from 1; 0 for never. Of a write the first
        half is done.
    room : int
        Bytes that can be written to the folder until the disk is full, and stays full; -1 for any number. Files
        without a name, by which a program may ask whether there is room, do not count.
    journal : str
        File for what was done, written at the end, or "".
    tally : str
        A file elsewhere: what is written to it stands in the journal, but does not count.
    ahead : bool
        Whether the clock runs ahead: sleeping takes no time, and all clocks tell that it has.
    """

    root: str
    end_at: int = 0
    room: int = -1
    journal: str = ""
    tally: str = ""
    ahead: bool = False

    def install(self) -> None:
        """Begin."""
        self.root = os.path.realpath(self.root)
        self.count, self.events = 0, list[Event]()
        self.names: dict[tuple[int, int], int] = {}
        self.lock = threading.RLock()
        if self.ahead:
            _run_ahead()
        self.real = {name: getattr(os, name) for name in ("open", "write", "fsync", "replace", "mkdir")}
        for name in ("rename", "replace", "link"):
            setattr(os, name, self._two_paths(name, getattr(os, name)))
        for name in ("unlink", "remove", "rmdir", "mkdir"):
            setattr(os, name, self._one_path({"remove": "unlink"}.get(name, name), getattr(os, name)))
        for name in ("fsync", "fdatasync"):
            setattr(os, name, self._synced(getattr(os, name)))
        os.open, os.write, os.ftruncate, os.truncate = self._os_open, self._os_write, self._ftruncate, self._truncate
        builtins.open = io.open = self._opened(io.open)

    def finish(self) -> None:
        """Write the journal."""
        if self.journal:
            with io.FileIO(self.journal, "w") as stream:
                stream.write(pickle.dumps((self.count, self.events)))

    def _step(self, half: Callable[[], object] | None = None) -> None:
        self.count += 1
        if self.count == self.end_at:
            if half:
                half()
            os.kill(os.getpid(), signal.SIGKILL)

    def _name(self, file: int, new: bool = False) -> int:
        """A number for a file, whatever it is called by and by then."""
        found = os.fstat(file)
        key = found.st_dev, found.st_ino
        if new or key not in self.names:
            self.names[key] = len(self.names) if key not in self.names else max(self.names.values()) + 1
        return self.names[key]

    def _inside(self, path: Any, at: int | None = None) -> str | None:
        """The path, if it is in the folder or the folder itself."""
        if isinstance(path, int):
            told = os.readlink(f"/proc/self/fd/{path}")
        else:
            told = os.fsdecode(path)
            told = os.path.join(os.readlink(f"/proc/self/fd/{at}") if at is not None else os.getcwd(), told)
            told = os.path.join(os.path.realpath(os.path.dirname(told)), os.path.basename(told))
        if told.endswith(" (deleted)"):
            return None
        return told if told == self.root or told.startswith(self.root + "/") else None

    def _two_paths(self, word: str, real: Callable[..., Any]) -> Callable[..., Any]:
        word = "rename" if word == "replace" else word

        def call(source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
            given = {"src_dir_fd": src_dir_fd, "dst_dir_fd": dst_dir_fd}
            with self.lock:
                old, new = self._inside(source, src_dir_fd), self._inside(target, dst_dir_fd)
                inside = old is not None or new is not None
                if inside:
                    self._step()
                real(source, target, **given)
                if inside:
                    self.events.append((word, old, new))

        return call

    def _one_path(self, word: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *rest: Any, dir_fd: int | None = None, **more: Any) -> None:
            with self.lock:
                inside = self._inside(path, dir_fd)
                if inside is not None:
                    self._step()
                real(path, *rest, dir_fd=dir_fd, **more)
                if inside is not None:
                    self.events.append((word, inside))

        return call

    def _synced(self, real: Callable[[int], None]) -> Callable[[Any], None]:
        def call(file: Any) -> None:
            file = file if isinstance(file, int) else file.fileno()
            with self.lock:
                inside = self._inside(file)
                if inside is not None:
                    self._step()
                real(file)
                if inside is None:
                    return
                folder = stat.S_ISDIR(os.fstat(file).st_mode)
                self.events.append(("sync folder", inside) if folder else ("sync", self._name(file)))

        return call

    def _os_open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        real = self.real["open"]
        inside = self._inside(path, dir_fd) if flags & MUTE else None
        if inside is None:
            return real(path, flags, mode, dir_fd=dir_fd)
        with self.lock:
            there = os.path.lexists(inside)
            self._step()
            file = real(path, flags, mode, dir_fd=dir_fd)
            if (found := self._inside(file)) is not None:  # a file without a name is none of the folder's
                self._begun(file, found, there, bool(flags & os.O_TRUNC))
            return file

    def _begun(self, file: int, path: str, there: bool, emptied: bool) -> None:
        if not there:
            self.events.append(("create", path, self._name(file, new=True)))
        elif emptied:
            self.events.append(("cut", self._name(file), 0))

    def _os_write(self, file: int, content: Any) -> int:
        real = self.real["write"]
        with self.lock:
            path = os.readlink(f"/proc/self/fd/{file}")
            if path == self.tally:
                self.events.append(("cell", bytes(content)))
            if self._inside(file) is None:
                return real(file, content)
            return self._written(file, content, lambda part: real(file, part))

    def _written(self, file: int, content: Any, write: Callable[[bytes], int]) -> int:
        import fcntl

        content = bytes(content)
        self._step(lambda: write(content[: len(content) // 2]))
        ends = fcntl.fcntl(file, fcntl.F_GETFL) & os.O_APPEND
        at = os.fstat(file).st_size if ends else os.lseek(file, 0, os.SEEK_CUR)
        part = content
        if self.room >= 0:
            part = content[: self.room]
            self.room -= len(part)
            if content and not part:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(part)
        self.events.append(("write", self._name(file), at, part[:done]))
        return done

    def _ftruncate(self, file: int, length: int) -> None:
        with self.lock:
            if self._inside(file) is not None:
                self._step()
                self.events.append(("cut", self._name(file), length))
            with io.FileIO(file, "r+", closefd=False) as stream:
                io.FileIO.truncate(stream, length)

    def _truncate(self, path: Any, length: int) -> None:
        file = path if isinstance(path, int) else self.real["open"](path, os.O_WRONLY)
        try:
            self._ftruncate(file, length)
        finally:
            if file != path:
                os.close(file)

    def _opened(self, real: Callable[..., Any]) -> Callable[..., Any]:
        watch = self

        class Raw(io.FileIO):
            """A file whose writes are told."""

            def write(self, content: Any) -> int:
                with watch.lock:
                    if watch._inside(self.fileno()) is None:  # a file without a name
                        return super().write(content)
                    return watch._written(self.fileno(), content, super().write)

            def truncate(self, size: int | None = None) -> int:
                size = self.tell() if size is None else size
                watch._ftruncate(self.fileno(), size)
                return size

        def call(
            file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
            newline: str | None = None, closefd: bool = True, opener: Any = None,
        ) -> Any:  # fmt: skip
            path = watch._inside(file) if set(mode) & set("wxa+") else None
            if path is None:
                return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
            plain = "".join(c for c in mode if c in "rwxa+")
            with watch.lock:
                if isinstance(file, int):  # opened before
                    raw = Raw(file, plain, closefd)
                else:
                    there = os.path.lexists(path)
                    watch._step()
                    raw = Raw(file, plain, closefd, opener)
                    if (found := watch._inside(raw.fileno())) is not None:
                        watch._begun(raw.fileno(), found, there, "w" in mode)
            if buffering == 0:
                return raw
            size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
            buffered = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline, buffering == 1)

        return call


def _run_ahead() -> None:
    """Sleep without waiting, on clocks that have it that one has waited."""
    slept = 0.0

    def ahead(clock: Callable[[], float], unit: int) -> Callable[[], Any]:
        return lambda: clock() + (slept if unit == 1 else int(slept * unit))

    def sleep(seconds: float) -> None:
        nonlocal slept
        slept += seconds

    for name in ("time", "monotonic", "perf_counter"):
        setattr(time, name, ahead(getattr(time, name), 1))
        setattr(time, f"{name}_ns", ahead(getattr(time, f"{name}_ns"), 10**9))
    time.sleep = sleep


def read(journal: Path) -> tuple[int, list[Event]]:
    """How many operations counted, and what was done."""
    return pickle.loads(journal.read_bytes())  # type: ignore[no-any-return]
