"""Files as they are and compressed ones, read as a stream of bytes of which nothing is kept."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from learnability.datasets.source import first_line

__all__ = ["damage", "open_packed"]


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
            return lzma.open(path, "rb")
        case ".zst":
            for name in ("compression.zstd", "backports.zstd"):  # the same, before Python 3.14
                try:
                    stream: IO[bytes] = importlib.import_module(name).open(path, "rb")
                except ModuleNotFoundError:
                    continue
                return stream
            raise ValueError(f"{path.name} needs the package backports.zstd to be read (pip install backports.zstd)")
    return path.open("rb")


@contextmanager
def damage(source: str) -> Iterator[None]:
    """What a damaged archive makes the libraries say, as one error that names the file."""
    try:
        yield
    except Exception as error:
        # Zstandard's own error has this name in both.
        if isinstance(error, OSError | EOFError | zlib.error | lzma.LZMAError) or type(error).__name__ == "ZstdError":
            raise ValueError(f"{source} cannot be read, it is truncated or damaged ({first_line(error)})") from error
        raise
