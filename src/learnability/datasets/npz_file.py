"""NPZ and NPY files: arrays with a row an example. Their headers are read first; nothing is ever unpickled.

In an NPZ file an array with a single column, (m,) or (m, 1), is a column with the array's name, one of shape (m, ...)
has the columns name[0], name[1], ... in C order, and one of records a column name.field for each field. So
``np.savez(file, X=X, y=y)`` is a table with the label ``y``. An NPY file has a matrix, whose columns are called 1, 2,
..., or records. SciPy's sparse matrices are :mod:`learnability.datasets.sparse_file`'s.
"""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability import shown
from learnability.datasets.labels import LONGEST, short
from learnability.datasets.memory import Budget
from learnability.datasets.npy_header import Header, damage, fill, read_header
from learnability.datasets.numbers import check_held
from learnability.datasets.source import BLOCK, NUMBER, OTHER, TEXT, Group, Reading, Source
from learnability.datasets.sparse_file import SparseSource, is_sparse
from learnability.errors import RequestError

__all__ = ["open_source"]

MEMBERS = 2**16
"""Arrays in an archive."""

DIRECTORY = 2**23
"""Bytes that say which arrays there are."""

NAME = 150.0
"""Bytes of a column's name and place."""

UNPACKER = 60e3
"""Bytes of what unpacks an array as it is read."""


def open_source(path: Path, reading: Reading, budget: Budget) -> Source:
    """What an NPZ or NPY file holds.

    Raises
    ------
    ValueError
        If the file is damaged, or its arrays have not as many rows as each other.
    """
    source = shown.line(path.name)
    if path.suffix.lower() == ".npy":
        with damage(source, "NPY"), path.open("rb") as stream:
            header = read_header(source, "", stream, path.stat().st_size)
        if len(header.shape) != (1 if header.dtype.names else 2):
            raise RequestError(
                f"{source} must hold a matrix with a row an example, or records, got an array of shape {header.shape}"
            )
        return ArraySource(path, [(header, None)], reading, budget)
    with damage(source, "NPZ"), _archive(path) as archive:
        members = archive.infolist()
        if len(members) > MEMBERS:
            raise RequestError(f"{source} must hold at most {MEMBERS:,} arrays, got {len(members):,}")
        headers = [(_member(source, archive, info), info) for info in members]
    if is_sparse([header for header, _ in headers]):
        return SparseSource(path, [header for header, _ in headers], budget)
    return ArraySource(path, headers, reading, budget)


class _Piece(NamedTuple):
    """Where a group is."""

    array: int
    field: str | None
    column: int | None
    """Of a matrix of texts."""


class ArraySource:
    """An archive of arrays of which the headers have been read, or a file with one."""

    def __init__(
        self, path: Path, arrays: Sequence[tuple[Header, zipfile.ZipInfo | None]], reading: Reading, budget: Budget
    ) -> None:
        self.path = path
        self.name = shown.line(path.name)
        self.arrays = arrays
        self.notes: tuple[str, ...] = ()
        kept = [header for header, _ in arrays if header.name not in reading.drop]
        if len({header.shape[:1] for header in kept}) > 1 or any(not header.shape for header in kept):
            shapes = [f"{short(header.name)} of shape {header.shape}" for header in kept]
            more = f" and {len(shapes) - 8:,} more" if len(shapes) > 8 else ""
            raise RequestError(
                f"{self.name} must hold arrays with a row an example, as many rows in each, got "
                f"{', '.join(shapes[:8])}{more}: leave arrays out (drop)"
            )
        self.rows = kept[0].shape[0] if kept else 0
        width = sum(header.width for header in kept)
        self._row = sum(header.width * (header.dtype.itemsize + 8) for header in kept)
        self.beside = (
            4.0 * max(8 * BLOCK, self._row)
            + sum(header.size for header in kept if header.whole)
            + NAME * width
            + UNPACKER * len(kept)
        )
        features = width - 1 - len(reading.drop) - len(reading.one_hot)  # or more
        budget.check(self.name, self.rows, max(0, features), beside=self.beside)  # before there are names
        self.groups: list[Group] = []
        self._pieces: list[_Piece] = []
        for k, (header, info) in enumerate(arrays):
            dropped = info is not None and header.name in reading.drop
            for group, piece in _groups(k, header, info is None, dropped):
                self.groups.append(group)
                self._pieces.append(piece)

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[Any]]:
        """The rows in order, from all arrays at once."""
        used = sorted({self._pieces[g].array for g in wanted})
        with damage(self.name, self.path.suffix[1:].upper()), ExitStack() as stack:
            opened = self._opened(stack, used)
            most = max(1, 8 * BLOCK // max(self._row, 1))
            for low in range(0, self.rows, most):
                b = min(most, self.rows - low)
                parts = {k: self._part(opened[k], self.arrays[k][0], low, b) for k in used}
                yield [self._values(g, parts[self._pieces[g].array], low) for g in wanted]
            for k in used:
                if not isinstance(opened[k], np.ndarray):
                    opened[k].read(1)  # at the end the sum of its bits is compared

    def _opened(self, stack: ExitStack, used: Sequence[int]) -> dict[int, Any]:
        """Streams behind their headers; arrays in another order as they are."""
        archive = None if self.arrays[0][1] is None else stack.enter_context(_archive(self.path))
        opened: dict[int, Any] = {}
        for k in used:
            header, info = self.arrays[k]
            if archive is None or info is None:
                stream: IO[bytes] = stack.enter_context(self.path.open("rb"))
            else:
                stream = stack.enter_context(archive.open(info))
            stream.read(header.begin)
            if header.whole:
                content = fill(self.name, header.name, stream, header.size)
                opened[k] = np.frombuffer(content, header.dtype).reshape(header.shape, order="F")
            else:
                opened[k] = stream
        return opened

    def _part(self, opened: Any, header: Header, low: int, b: int) -> NDArray[Any]:
        """The next b rows of an array, as (b, width)."""
        if isinstance(opened, np.ndarray):
            return opened[low : low + b].reshape(b, -1)
        if header.dtype.itemsize == 0 or header.width == 0:
            return np.zeros((b, header.width), header.dtype)
        content = fill(self.name, header.name, opened, b * header.width * header.dtype.itemsize)
        return np.frombuffer(content, header.dtype).reshape(b, header.width)

    def _values(self, g: int, part: NDArray[Any], low: int) -> Any:
        """A group's values."""
        _, field, column = self._pieces[g]
        if field is not None:
            part = part[field]
        if self.groups[g].kind == NUMBER:
            return self._native(part, self.groups[g].names)
        values = np.ascontiguousarray(part[:, column or 0])
        if part.dtype.kind == "U":
            self._check_characters(values, g, low)
            return values.tolist()
        texts = values.tolist()
        try:
            return [text.decode() for text in texts]
        except UnicodeDecodeError as error:
            row = low + texts.index(error.object) + 1
            raise RequestError(
                f"{self.name} must hold text in UTF-8, got {error.object[:40]!r} in column "
                f"{short(self.groups[g].names[0])}, row {row:,}"
            ) from None

    def _check_characters(self, values: NDArray[Any], g: int, low: int) -> None:
        """Numbers that are no characters: NumPy would make texts of them that Python cannot use."""
        if values.dtype.itemsize:
            points = values.view(np.dtype("u4").newbyteorder(values.dtype.byteorder)).reshape(len(values), -1)
            wrong = np.argwhere(points > sys.maxunicode)
            if len(wrong):
                raise RequestError(
                    f"{self.name} must hold text, got {int(points[tuple(wrong[0])]):#x}, which is no character, in "
                    f"column {short(self.groups[g].names[0])}, row {low + int(wrong[0][0]) + 1:,}"
                )

    def _native(self, values: NDArray[Any], names: Sequence[str]) -> NDArray[Any]:
        """Numbers in a type that every library knows."""
        if values.dtype.kind != "f" or values.dtype.itemsize in (4, 8):
            return values.astype(values.dtype.newbyteorder("="), copy=False)
        with np.errstate(invalid="ignore", over="ignore"):
            converted = values.astype(np.float64)
        check_held(self.name, converted, values, names)
        return converted


def _groups(k: int, header: Header, alone: bool, dropped: bool) -> Iterator[tuple[Group, _Piece]]:
    """The columns of an array; one that is left out is a single one, whatever is in it."""
    name, dtype = header.name, header.dtype
    if dropped:
        yield Group((name,), OTHER, "an array"), _Piece(k, None, None)
    elif dtype.names and header.width == 1:
        for field in dtype.names:
            column = Group((field if alone else f"{name}.{field}",), *_kind(dtype[field]))
            yield column, _Piece(k, field, None)
    else:
        kind, what = _kind(dtype)
        if alone:
            names = tuple(str(j + 1) for j in range(header.width))
        elif header.width == 1 or kind == OTHER:
            names = (name,)
        else:
            names = tuple(f"{name}[{j}]" for j in range(header.width))
        if kind == TEXT:
            for j, column_name in enumerate(names):
                yield Group((column_name,), kind, what), _Piece(k, None, j)
        else:
            yield Group(names, kind, what), _Piece(k, None, None)


def _kind(dtype: np.dtype[Any]) -> tuple[str, str]:
    """What a type is to a table, and how messages call it."""
    if dtype.hasobject:
        return OTHER, "dtype object, which is not unpickled"
    characters = dtype.itemsize // (4 if dtype.kind == "U" else 1)
    text = dtype.kind in "SU" and characters <= 4 * LONGEST  # bytes of a character
    kind = NUMBER if dtype.kind in "biuf" else TEXT if text else OTHER
    long = f", longer than {4 * LONGEST:,}" if dtype.kind in "SU" and not text else ""
    return kind, f"dtype {str(dtype)[:60]}{long}"


class _Bounded(io.FileIO):
    """A file of which no more is read at once than an archive has to say about its members.

    A directory of the size that the archive's last bytes promise would be read as one.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """At most so many bytes."""
        if size is not None and size > DIRECTORY:
            raise RequestError(f"{size:,} bytes to say what is in it, more than {DIRECTORY:,}")
        return super().read(-1 if size is None else size)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with _Bounded(path) as stream, zipfile.ZipFile(stream) as archive:
        yield archive


def _member(source: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    """The header of one member."""
    if not info.filename.endswith(".npy"):
        raise RequestError(f"{source} must hold arrays only, got the member {short(info.filename)}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RequestError(
            f"{source} must hold arrays stored or deflated, as NumPy writes them, got compression method "
            f"{info.compress_type} for {short(info.filename)}"
        )
    with archive.open(info) as stream:
        return read_header(source, info.filename.removesuffix(".npy"), stream, info.file_size)
