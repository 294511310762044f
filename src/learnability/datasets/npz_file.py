"""NPZ and NPY files: arrays with a row an example. Their headers are read first; nothing is ever unpickled.

In an NPZ file an array with a single column, (m,) or (m, 1), is a column with the array's name, one of shape (m, ...)
has the columns name[0], name[1], ... in C order, and one of records a column name.field for each field. So
``np.savez(file, X=X, y=y)`` is a table with the label ``y``. An NPY file has a matrix, whose columns are called 1, 2,
..., or records. SciPy's sparse matrices are :mod:`learnability.datasets.sparse_file`'s.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.datasets.columns import Labels, Raw, blocks, check_finite, check_names, not_numbers
from learnability.datasets.memory import Budget
from learnability.datasets.npy_header import Header, fill, read_header
from learnability.datasets.source import BLOCK, NUMBER, OTHER, TEXT, Group, Reading, Source, first_line

__all__ = ["damage", "open_source", "read"]

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
    source = path.name
    if path.suffix.lower() == ".npy":
        with damage(source, "NPY"), path.open("rb") as stream:
            header = read_header(source, "", stream, path.stat().st_size)
        if len(header.shape) != (1 if header.dtype.names else 2):
            raise ValueError(
                f"{source} must hold a matrix with a row an example, or records, got an array of shape {header.shape}"
            )
        return ArraySource(path, [(header, None)], reading, budget)
    with damage(source, "NPZ"), _archive(path) as archive:
        members = archive.infolist()
        if len(members) > MEMBERS:
            raise ValueError(f"{source} must hold at most {MEMBERS:,} arrays, got {len(members):,}")
        headers = [(_member(source, archive, info), info) for info in members]
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
        self.name = path.name
        self.arrays = arrays
        self.notes: tuple[str, ...] = ()
        kept = [header for header, _ in arrays if header.name not in reading.drop]
        if len({header.shape[:1] for header in kept}) > 1 or any(not header.shape for header in kept):
            shapes = [f"{header.name!r} of shape {header.shape}" for header in kept]
            more = f" and {len(shapes) - 8:,} more" if len(shapes) > 8 else ""
            raise ValueError(
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
        with damage(self.name, "NPZ"), ExitStack() as stack:
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
        texts = part[:, column or 0].tolist()
        if part.dtype.kind == "U":
            return texts
        try:
            return [text.decode() for text in texts]
        except UnicodeDecodeError as error:
            row = low + texts.index(error.object) + 1
            raise ValueError(
                f"{self.name} must hold text in UTF-8, got {error.object[:40]!r} in column "
                f"{self.groups[g].names[0]!r}, row {row:,}"
            ) from None

    def _native(self, values: NDArray[Any], names: Sequence[str]) -> NDArray[Any]:
        """Numbers in a type that every library knows."""
        if values.dtype.kind != "f" or values.dtype.itemsize in (4, 8):
            return values.astype(values.dtype.newbyteorder("="), copy=False)
        with np.errstate(over="ignore"):
            converted = values.astype(np.float64)
        wrong = np.argwhere((converted != values) & ~np.isnan(converted))
        if len(wrong):
            raise ValueError(
                f"{self.name} must hold numbers that float64 can hold, got {values[tuple(wrong[0])]!s} in column "
                f"{names[int(wrong[0][1])]!r}"
            )
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
    kind = NUMBER if dtype.kind in "biuf" else TEXT if dtype.kind in "SU" else OTHER
    return kind, f"dtype {str(dtype)[:60]}"


class _Bounded(io.FileIO):
    """A file of which no more is read at once than an archive has to say about its members.

    A directory of the size that the archive's last bytes promise would be read as one.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """At most so many bytes."""
        if size is not None and size > DIRECTORY:
            raise ValueError(f"{size:,} bytes to say what is in it, more than {DIRECTORY:,}")
        return super().read(-1 if size is None else size)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with _Bounded(path) as stream, zipfile.ZipFile(stream) as archive:
        yield archive


def _member(source: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    """The header of one member."""
    if not info.filename.endswith(".npy"):
        raise ValueError(f"{source} must hold arrays only, got the member {info.filename!r}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            f"{source} must hold arrays stored or deflated, as NumPy writes them, got compression method "
            f"{info.compress_type} for {info.filename!r}"
        )
    with archive.open(info) as stream:
        return read_header(source, info.filename.removesuffix(".npy"), stream, info.file_size)


@contextmanager
def damage(source: str, kind: str) -> Iterator[None]:
    """What a damaged file makes the libraries say, as one error that names the file."""
    try:
        yield
    except Exception as error:  # of zipfile, zlib, struct, NumPy, of the system
        if isinstance(error, ValueError) and str(error).startswith(source):
            raise
        raise ValueError(
            f"{source} cannot be read as {kind}, it is truncated or damaged ({first_line(error)})"
        ) from error


# What follows goes when all readers have their source.


class _Header(NamedTuple):
    """What an array's header says."""

    name: str
    member: str
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def width(self) -> int:
        """Features in the array."""
        return math.prod(self.shape[1:])

    @property
    def size(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def direct(self) -> bool:
        """Whether the array can be used as it is read."""
        return self.dtype == np.float64 and self.dtype.isnative and not self.fortran


def read(path: Path, label: str, budget: Budget) -> Raw:
    """The table in an NPZ file.

    Raises
    ------
    ValueError
        If the file is damaged, holds objects, or is not a table of finite numbers and labels, or does not fit.
    """
    source = path.name
    with _damage(source), zipfile.ZipFile(path) as archive:
        headers = [_header(source, archive, info) for info in archive.infolist()]
    check_names(source, [h.name for h in headers], label)
    target = next(h for h in headers if h.name == label)
    features = [h for h in headers if h.name != label]
    rows = _rows(source, target, features)
    width = sum(h.width for h in features)
    single = len(features) == 1 and features[0].direct
    beside = 0 if single else max(h.size for h in features)
    budget.check(source, rows, width, beside=float(beside + 2 * target.size))

    with _damage(source), zipfile.ZipFile(path) as archive:
        labels = Labels(source, label)
        values = _array(archive, target).reshape(rows)
        labels.add(np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else _plain(values))
        if single:
            X: FloatArray = _array(archive, features[0]).reshape(rows, width)
        else:
            X = np.empty((rows, width))
            left = 0
            for h in features:
                X[:, left : left + h.width] = _array(archive, h).reshape(rows, h.width)
                left += h.width
    names = [name for h in features for name in ([h.name] if len(h.shape) == 1 else _numbered(h))]
    for low, high in blocks(rows, width):
        check_finite(source, X[low:high], names, low)
    return Raw(X, labels, names)


def _numbered(h: _Header) -> list[str]:
    return [f"{h.name}[{j}]" for j in range(h.width)]


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Labels in a type that pandas factorises."""
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    return values.astype(object) if values.dtype.kind == "U" else values.astype(values.dtype.newbyteorder("="))


def _header(source: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header:
    """The header of one member, believed only if the member has as many bytes as it promises."""
    if not info.filename.endswith(".npy"):
        raise ValueError(f"{source} must hold arrays only, got the member {info.filename!r}")
    name = info.filename.removesuffix(".npy")
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        begin = stream.tell()
    if dtype.hasobject:
        raise ValueError(
            f"{source} must hold numbers and text, got objects in the array {name!r}: they are not unpickled"
        )
    header = _Header(name, info.filename, shape, fortran, dtype)
    if begin + header.size != info.file_size or min(shape, default=0) < 0:
        raise ValueError(
            f"{source} is damaged: its array {name!r} has {info.file_size - begin:,} bytes where its header "
            f"promises {header.size:,} for shape {shape}"
        )
    return header


def _rows(source: str, target: _Header, features: list[_Header]) -> int:
    """The number of rows, if the arrays have the shapes and types of a table."""
    if not target.shape or math.prod(target.shape[1:]) != 1:
        raise ValueError(
            f"{source} must have a label array of shape (m,), got {target.name!r} of shape {target.shape}"
        )
    rows = target.shape[0]
    if target.dtype.kind not in "biufUS":
        raise ValueError(
            f"{source} must hold numbers, text or truth values as labels, got dtype {target.dtype} in {target.name!r}"
        )
    for h in features:
        if not h.shape or h.shape[0] != rows:
            raise ValueError(
                f"{source} must hold arrays with as many rows as the label {target.name!r}, {rows:,}, "
                f"got {h.name!r} of shape {h.shape}"
            )
    if rows == 0:
        raise ValueError(f"{source} must have at least one row, got none")
    if not any(h.width for h in features):
        raise ValueError(f"{source} must have a feature beside the label {target.name!r}, got none")
    other = [(h.name, f"dtype {h.dtype}") for h in features if h.dtype.kind not in "biuf"]
    if other:
        raise not_numbers(source, other)
    return rows


def _array(archive: zipfile.ZipFile, h: _Header) -> NDArray[Any]:
    with archive.open(h.member) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


@contextmanager
def _damage(source: str) -> Iterator[None]:
    """What a damaged archive makes the libraries say, as one error that names the file."""
    try:
        yield
    except (OSError, EOFError, RuntimeError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{source} cannot be read as NPZ, it is truncated or damaged ({first_line(error)})"
        ) from error
    except ValueError as error:
        if str(error).startswith(source):
            raise
        raise ValueError(f"{source} cannot be read as NPZ ({first_line(error)})") from error
