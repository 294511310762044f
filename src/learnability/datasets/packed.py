"""Files as they are and compressed ones, read as a stream of bytes of which nothing is kept."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from learnability import shown
from learnability.datasets.source import first_line
from learnability.errors import RequestError

__all__ = ["damage", "open_packed"]

WINDOW = 2**27
"""Bytes that unpacking may take: twice of what "xz -9" asks for, as much as Zstandard's own limit."""

CHUNK = 2**16


def open_packed(path: Path) -> IO[bytes]:
    """The file's content, unpacked as it is read if its last suffix is .gz, .bz2, .xz or .zst.

    Raises
    ------
    ValueError
        If Zstandard is asked for where nothing here can read it.
    """
    match path.suffix.lower():
        case ".gz":
            return cast("IO[bytes]", gzip.open(path, "rb"))
        case ".bz2":
            return bz2.open(path, "rb")
        case ".xz":
            return io.BufferedReader(_Unpacked(path))
        case ".zst":
            for name in ("compression.zstd", "backports.zstd"):  # the same, before Python 3.14
                try:
                    stream: IO[bytes] = importlib.import_module(name).open(path, "rb")
                except ModuleNotFoundError:
                    continue
                return stream
            name = shown.line(path.name)
            raise RequestError(f"{name} needs the package backports.zstd to be read (pip install backports.zstd)")
    return path.open("rb")


class _Unpacked(io.RawIOBase):
    """An .xz file, unpacked within :data:`WINDOW` bytes: its first ones may ask for 4 GB, which lzma would take."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("rb")
        self._decoder = self._begin()

    def _begin(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(memlimit=WINDOW)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes."""
        while True:
            packed = b""
            if self._decoder.eof:  # several files one behind the other, and zeros between them, are one
                packed = self._decoder.unused_data.lstrip(b"\0")
                while not packed:
                    more = self._stream.read(CHUNK)
                    if not more:
                        return 0
                    packed = more.lstrip(b"\0")
                self._decoder = self._begin()
            elif self._decoder.needs_input:
                packed = self._stream.read(CHUNK)
                if not packed:
                    raise EOFError("it ends before its end")
            found = self._decoder.decompress(packed, len(buffer))
            if found:
                buffer[: len(found)] = found
                return len(found)

    def close(self) -> None:
        """Close the file, too."""
        self._stream.close()
        super().close()


@contextmanager
def damage(source: str) -> Iterator[None]:
    """What a damaged archive makes the libraries say, as one error that names the file."""
    try:
        yield
    except Exception as error:
        # Zstandard's own error has this name in both.
        if isinstance(error, OSError | EOFError | zlib.error | lzma.LZMAError) or type(error).__name__ == "ZstdError":
            raise RequestError(
                f"{source} cannot be read, it is truncated or damaged ({first_line(error)})"
            ) from error
        raise
