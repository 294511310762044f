"""A table of numbers with a label column, from a file as it is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from learnability import shown
from learnability.datasets import npz_file, parquet_file, svmlight_file, text_file
from learnability.datasets.examples import Examples, examples
from learnability.datasets.labels import listed
from learnability.datasets.memory import Budget, budget
from learnability.datasets.records import Table
from learnability.datasets.source import Reading, Source
from learnability.errors import RequestError

__all__ = ["COMPRESSED", "SUFFIXES", "read_examples", "read_table"]

_TEXT = dict.fromkeys((".csv", ".tsv", ".txt"), text_file.open_source)
_SVMLIGHT = dict.fromkeys((".svm", ".libsvm", ".svmlight"), svmlight_file.open_source)
_READERS: dict[str, Callable[[Path, Reading, Budget], Source]] = {
    **_TEXT,
    ".parquet": parquet_file.open_source,
    ".npz": npz_file.open_source,
    ".npy": npz_file.open_source,
    **_SVMLIGHT,
}
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
"""What may follow the suffix of a file of text."""
SUFFIXES = tuple(_READERS)
"""The files that :func:`read_table` reads."""


PLAIN = Reading()


def read_table(
    path: str | os.PathLike[str],
    label: str,
    *,
    positive: object = None,
    memory: float | None = None,
    **reading: Any,
) -> Table:
    """The table in a file, checked; what is in it is used as it is or refused, never changed in silence.

    Files of text (.csv, .tsv, .txt, compressed too) have a line a row; NPZ files arrays with a row an example, of
    which (m,) is a feature by the array's name and (m, ...) has the features name[0], name[1], ...; .npy files one
    matrix, SciPy's sparse .npz files too, with columns 1, 2, ... as files without a header; .libsvm files numbered
    features and a label called "label"; Parquet files flat columns. Rows are counted from 1, a header apart. Features
    may be numbers or truth values (0 and 1). Constant features are left out, unless all are.

    Parameters
    ----------
    path : path
        Its suffix (:data:`SUFFIXES`) says what it is.
    label : str
        The column (array) of the labels: two values, numbers, text or truth values. In a file of text what reads as
        numbers is numbers.
    positive : optional
        The value that becomes +1, against all others; by default the larger of two, of texts the last in alphabetical
        order.
    memory : float, optional
        Bytes that reading may take; by default half of what is available to the process.
    **reading
        Fields of :class:`learnability.datasets.source.Reading`: columns to leave out, categories, missing values, how
        text is written.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        If the file is missing, of another kind, empty, damaged, or too large for the memory; if columns share a name,
        the label column is missing, or there are not two values (or ``positive``); if a feature is not a number or a
        value missing or not finite. The message names the column and row. Equal points with different labels are no
        error: they make the set inseparable, which the margin's certificate shows.
    """
    return read_examples(path, label, Reading(**_known(reading)), memory=memory).table(positive)


def read_examples(
    path: str | os.PathLike[str], label: str | None, reading: Reading = PLAIN, *, memory: float | None = None
) -> Examples:
    """As :func:`read_table`, for a label of any number of classes; ``None`` is the label of a file that has one."""
    limits = budget(memory)
    try:
        path = Path(path).expanduser()
    except TypeError:
        raise RequestError(f"path must be the path of a file, got {path!r}") from None
    if label is not None and not isinstance(label, str):
        raise RequestError(f"label must be the name of a column, got {label!r}")
    _check_file(path)
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    packed = suffixes and suffixes[-1] in COMPRESSED
    suffix = (suffixes[-2] if len(suffixes) > 1 else "") if packed else suffixes[-1] if suffixes else ""
    reader = _READERS.get(suffix)
    if reader is None or (packed and suffix not in {**_TEXT, **_SVMLIGHT}):
        raise RequestError(
            f"path must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} (text also in one of these and "
            f"{', '.join(COMPRESSED)}), got {shown.quoted(str(path), 1000)}"
        )
    if reading.of_text and suffix not in _TEXT:
        raise RequestError(
            f"{reading.of_text[0]} is for files of text ({', '.join(_TEXT)}), got {shown.quoted(path.name)}"
        )
    source = reader(path, reading, limits)
    if label is None and suffix not in _SVMLIGHT:
        names = [name for group in source.groups for name in group.names]
        raise RequestError(f"label must name the column of the labels, one of {listed(names, 20)} in {source.name}")
    return examples(source, svmlight_file.LABEL if label is None else label, reading, limits)


def _known(reading: dict[str, Any]) -> dict[str, Any]:
    unknown = [name for name in reading if name not in Reading.__dataclass_fields__]
    if unknown:
        raise TypeError(f"read_table() got an unexpected keyword argument {unknown[0]!r}")
    return reading


def _check_file(path: Path) -> None:
    """A file of some bytes, that may be read."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        address = str(path).replace(":/", "://", 1)  # of which a path keeps one
        raise RequestError(f"path must be a file on this machine (download it first), got the address {address!r}")
    named = shown.quoted(str(path), 1000)
    try:
        if path.is_dir():
            raise RequestError(f"path must be a file, got a folder {named}")
        if path.is_fifo() or path.is_char_device() or path.is_socket():
            raise RequestError(
                f"path must be a file that can be read twice (write the stream to a file first), got {named}"
            )
        if not path.is_file():
            raise RequestError(f"path must be a file, got none at {named}")
        with path.open("rb") as stream:
            if not stream.read(1):
                raise RequestError(f"{shown.line(path.name)} must hold a table, got an empty file")
    except OSError as error:
        raise RequestError(f"{shown.line(path, 1000)} cannot be opened ({error.strerror})") from error
