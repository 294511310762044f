"""Sparse matrices as SciPy saves them: an NPZ file whose arrays are parts of one matrix, with a row an example."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability import shown
from learnability.datasets.labels import short
from learnability.datasets.memory import Budget
from learnability.datasets.npy_header import Header, damage
from learnability.datasets.source import BLOCK, NUMBER, OTHER, Group
from learnability.errors import RequestError

__all__ = ["SparseSource", "is_sparse"]

PARTS = {
    "csr": ("indices", "indptr"),
    "csc": ("indices", "indptr"),
    "bsr": ("indices", "indptr"),
    "coo": ("row", "col"),
    "dia": ("offsets",),
}
"""What stands beside "data" in which format: whole numbers."""

ENTRY = 60.0
"""Bytes of an entry while a matrix is put in order by its rows."""

NAME = 150.0
"""Bytes of a column's name and place."""


def is_sparse(headers: Sequence[Header]) -> bool:
    """Whether arrays are the parts of a sparse matrix."""
    form = next((header for header in headers if header.name == "format"), None)
    return (
        form is not None
        and form.shape == ()
        and form.dtype.kind in "SU"
        and form.size <= 64
        and {"shape", "data"} <= {header.name for header in headers}
    )


class SparseSource:
    """A sparse matrix of which format and shape have been read. Its columns are called 1, 2, ..."""

    def __init__(self, path: Path, headers: Sequence[Header], budget: Budget) -> None:
        self.path = path
        self.name = shown.line(path.name)
        self.notes: tuple[str, ...] = ()
        found = {header.name: header for header in headers}
        if len(found) < len(headers):
            raise RequestError(
                f"{self.name} must name every array differently, got {len(found)} of {len(headers)} names"
            )
        self._form, shape = self._begin(found)
        data = found["data"].dtype
        self.rows, width = shape
        self.beside = ENTRY * sum(math.prod(header.shape) for header in headers) + NAME * width + 32.0 * BLOCK
        budget.check(self.name, self.rows, width, beside=self.beside)  # before there are names
        kind = NUMBER if data.kind in "biuf" else OTHER
        names = tuple(str(j + 1) for j in range(width))
        self.groups = [Group(names, kind, f"dtype {data}")] if names else []

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[Any]]:
        """The dense rows."""
        with damage(self.name, "a sparse matrix"):
            matrix = self._matrix()
            step = max(1, BLOCK // matrix.shape[1])
            for low in range(0, self.rows, step):
                rows = matrix[low : low + step].toarray()
                yield [rows for _ in wanted]

    def _begin(self, found: Mapping[str, Header]) -> tuple[str, tuple[int, int]]:
        """Format and shape, if all parts are there and of their kind."""
        if found["shape"].shape != (2,) or found["shape"].dtype.kind not in "iu":
            raise RequestError(f"{self.name} must hold a sparse matrix, got a shape of shape {found['shape'].shape}")
        with damage(self.name, "a sparse matrix"), np.load(self.path, allow_pickle=False) as stored:
            form = stored["format"].item()
            rows, width = (int(n) for n in stored["shape"])
        form = form.decode("latin-1") if isinstance(form, bytes) else form
        if form not in PARTS:
            raise RequestError(
                f"{self.name} must hold a sparse matrix as one of {', '.join(PARTS)}, got {short(form)}"
            )
        for part in PARTS[form]:
            header = found.get(part)
            if header is None or len(header.shape) != 1 or header.dtype.kind not in "iu":
                what = "none" if header is None else f"shape {header.shape}, dtype {str(header.dtype)[:60]}"
                raise RequestError(
                    f"{self.name} must hold a row of whole numbers {part!r} for a sparse matrix as {form}, got {what}"
                )
        if rows < 0 or width < 0:
            raise RequestError(f"{self.name} must hold a sparse matrix, got shape {(rows, width)}")
        return form, (rows, width)

    def _matrix(self) -> Any:
        """The matrix by rows, every entry once.

        Raises
        ------
        ValueError
            If indices are outside, or sums of entries too large.
        """
        from scipy import sparse

        with np.load(self.path, allow_pickle=False) as stored:
            data = self._wide(stored["data"])
            parts = [stored[name] for name in PARTS[self._form]]
            shape = tuple(int(n) for n in stored["shape"])
        self._check_places(parts, shape)
        if self._form == "coo":
            matrix: Any = sparse.coo_array((data, tuple(parts)), shape=shape)
        else:
            matrix = getattr(sparse, f"{self._form}_array")((data, *parts), shape=shape)
        if self._form in ("csr", "csc", "bsr"):
            matrix.check_format(full_check=True)
        by_rows = matrix.tocsr()
        by_rows.sum_duplicates()
        more = 0 if self._form == "dia" else matrix.nnz - by_rows.nnz
        if more:
            largest = float(np.abs(data.astype(np.float64)).max())
            if data.dtype.kind in "iu" and largest * (more + 1) >= 2.0**63:
                raise RequestError(
                    f"{self.name} must hold numbers whose sums 64 bits can hold where a place has several, got "
                    f"{largest:.0f} and {more:,} entries for places that have one"
                )
            self.notes = (f"entries for the same place were added up, as SciPy does it: {more:,} of them",)
        return by_rows

    def _check_places(self, parts: Sequence[NDArray[Any]], shape: tuple[int, ...]) -> None:
        """Refuse places outside of the matrix: SciPy would follow some of them beyond its memory."""
        rows, width = shape
        wrong = ""
        match self._form:
            case "coo":
                (row, column), most = parts, (rows, width)
                if any(len(part) and not 0 <= part.min() <= part.max() < n for part, n in zip((row, column), most)):
                    wrong = "an entry outside"
            case "dia":
                (offsets,) = parts
                if len(offsets) and not -rows < offsets.min() <= offsets.max() < width:
                    wrong = "a diagonal outside"
            case _:
                indices, starts = parts
                if not len(starts) or starts[0] != 0 or (starts[1:] < starts[:-1]).any() or starts[-1] > len(indices):
                    wrong = "rows that do not follow each other"
                elif len(indices) and not 0 <= indices.min() <= indices.max() < max(rows, width):
                    wrong = "an entry outside"  # or nearly so: the rest is SciPy's check
        if wrong:
            raise RequestError(f"{self.name} must hold a sparse matrix of shape {shape} as {self._form}, got {wrong}")

    def _wide(self, data: Any) -> Any:
        """The entries in a type that their sums fit in."""
        if data.dtype.kind == "b" or (data.dtype.kind in "iu" and data.dtype.itemsize == 8):
            return data.astype(data.dtype.newbyteorder("="), copy=False)
        with np.errstate(invalid="ignore", over="ignore"):
            wide = data.astype(np.int64 if data.dtype.kind in "iu" else np.float64)
            lost = ((wide != data) & ~np.isnan(wide)).any()
        if data.dtype.kind == "f" and lost:
            raise RequestError(
                f"{self.name} must hold numbers that float64 can hold, got others of dtype {data.dtype}"
            )
        return wide
