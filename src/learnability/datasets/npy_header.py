"""What the header of an array in NumPy's format says, whatever bytes it is made of."""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import numpy as np

from learnability.datasets.labels import short
from learnability.datasets.source import first_line
from learnability.errors import RequestError

__all__ = ["LONGEST", "Header", "damage", "fill", "read_header"]

LONGEST = 2**16
"""Bytes of a header: those of NumPy have 128, and some more for fields."""

DIMENSIONS = 64
"""NumPy has no more."""

MAGIC = b"\x93NUMPY"


class Header(NamedTuple):
    """What an array's header says."""

    name: str
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    begin: int
    """Bytes before the array's own."""

    @property
    def width(self) -> int:
        """Columns, where the first axis has the rows."""
        return math.prod(self.shape[1:])

    @property
    def size(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def whole(self) -> bool:
        """Whether its rows are scattered over the file."""
        return self.fortran and len(self.shape) > 1 and min(self.shape[0], self.width) > 1


def read_header(source: str, name: str, stream: IO[bytes], size: int) -> Header:
    """The header with which a stream of ``size`` bytes begins, believed only if it promises as many.

    Raises
    ------
    ValueError
        If it is none. No more than :data:`LONGEST` bytes of it are read.
    """
    array = f"the array {short(name)}" if name else "its array"
    magic = stream.read(8)
    version = magic[6] if len(magic) == 8 and magic[:6] == MAGIC else 0
    if version not in (1, 2, 3):
        raise RequestError(f"{source} must hold arrays in NumPy's format 1 to 3, got {magic!r} where {array} begins")
    wide = 2 if version == 1 else 4
    length = int.from_bytes(stream.read(wide), "little")
    if length > LONGEST:
        raise RequestError(f"{source} must have headers of at most {LONGEST:,} bytes, got {length:,} for {array}")
    text = stream.read(length)
    if len(text) < length:
        raise RequestError(f"{source} is truncated within the header of {array}")
    try:
        shape, fortran, dtype = _parsed(text.decode("utf-8" if version == 3 else "latin-1"))
    except Exception as error:  # of the parser, of its recursion, of dtype's many ways to be wrong
        raise RequestError(f"{source} is damaged: {array} must have a header, got {text[:60]!r}") from error
    header = Header(name, shape, fortran, dtype, 8 + wide + length)
    if header.begin + header.size != size and not dtype.hasobject:
        raise RequestError(
            f"{source} is damaged: {array} has {size - header.begin:,} bytes where its header promises "
            f"{header.size:,} for shape {shape}"
        )
    return header


def _parsed(text: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type from a header's text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes and old names of types
        try:
            fields = ast.literal_eval(text)
        except SyntaxError:  # Python 2 wrote long numbers so
            fields = ast.literal_eval(re.sub(r"(?<=[0-9])L\b", "", text))
        dtype = np.lib.format.descr_to_dtype(fields["descr"])
    shape, fortran = fields["shape"], fields["fortran_order"]
    good = isinstance(shape, tuple) and len(shape) <= DIMENSIONS and isinstance(fortran, bool)
    if not good or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise RequestError("shape or order")
    return shape, fortran, dtype


def fill(source: str, name: str, stream: IO[bytes], size: int) -> bytearray:
    """The next ``size`` bytes.

    Raises
    ------
    ValueError
        If there are fewer.
    """
    block = bytearray(size)
    view = memoryview(block)
    at = 0
    while at < size:
        part = stream.read(min(2**20, size - at))
        if not part:
            raise RequestError(f"{source} is truncated: {size - at:,} bytes are missing of the array {short(name)}")
        view[at : at + len(part)] = part
        at += len(part)
    return block


@contextmanager
def damage(source: str, kind: str) -> Iterator[None]:
    """What a damaged file makes the libraries say, as one error that names the file."""
    try:
        yield
    except (MemoryError, NameError, AttributeError, AssertionError):  # never the file's fault
        raise
    except Exception as error:  # of zipfile, zlib, struct, NumPy, of the system
        if isinstance(error, ValueError) and str(error).startswith(source):
            raise
        raise RequestError(
            f"{source} cannot be read as {kind}, it is truncated or damaged ({first_line(error)})"
        ) from error
