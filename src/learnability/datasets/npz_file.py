"""NPZ files: named arrays with a row an example. Their headers are read first; nothing is ever unpickled.

Every array but the label's holds features: an array of shape (m,) is one feature with the array's name, an array of
shape (m, ...) has the features name[0], name[1], ... in C order. So ``np.savez(file, X=X, y=y)`` is a table with the
label ``y``.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.datasets.columns import Labels, Raw, blocks, check_finite, check_names, first_line, not_numbers
from learnability.datasets.memory import Budget

__all__ = ["read"]


class Header(NamedTuple):
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


def _numbered(h: Header) -> list[str]:
    return [f"{h.name}[{j}]" for j in range(h.width)]


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Labels in a type that pandas factorises."""
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    return values.astype(object) if values.dtype.kind == "U" else values.astype(values.dtype.newbyteorder("="))


def _header(source: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
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
    header = Header(name, info.filename, shape, fortran, dtype)
    if begin + header.size != info.file_size or min(shape, default=0) < 0:
        raise ValueError(
            f"{source} is damaged: its array {name!r} has {info.file_size - begin:,} bytes where its header "
            f"promises {header.size:,} for shape {shape}"
        )
    return header


def _rows(source: str, target: Header, features: list[Header]) -> int:
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


def _array(archive: zipfile.ZipFile, h: Header) -> NDArray[Any]:
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
