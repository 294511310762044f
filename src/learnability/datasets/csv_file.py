"""CSV files: a header line, then numbers in every column but the label's."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from learnability.checks import FloatArray
from learnability.datasets.columns import MISSING, Labels, Raw, check_finite, check_names, first_line, not_numbers
from learnability.datasets.memory import Budget

__all__ = ["read"]

SAMPLE = 2**22
"""Bytes from which the header, the separator and the length of a row are read."""

BLOCK = 2**21
"""Numbers in a block of rows: 16 MB."""

SEPARATORS = ",;\t"


def read(path: Path, label: str, budget: Budget) -> Raw:
    """The table in a CSV file, read in blocks of about 16 MB.

    Raises
    ------
    ValueError
        If the file is not a rectangular table of finite numbers and labels, or does not fit.
    """
    source = path.name
    with path.open("rb") as stream:
        sample = stream.read(SAMPLE)
    separator, header, first, rows = _begin(source, sample, path.stat().st_size)
    check_names(source, header, label)
    features = [name for name in header if name != label]
    budget.check(source, rows, len(features), about=len(sample) == SAMPLE)
    rows = _lines(path)
    budget.check(source, rows, len(features))

    where = header.index(label)
    truths = {j for j, text in enumerate(first) if j != where and text.lower() in ("true", "false")}
    X = np.empty((rows, len(features)))  # takes memory only as far as it is written to
    labels = Labels(source, label)
    m = 0
    reader = _blocks(path, separator, header, {j: "str" if j == where else "boolean" for j in (where, *truths)})
    while True:
        try:
            frame = next(reader, None)
        except (ValueError, Warning) as error:  # what does not read as numbers, and what does not tokenise
            raise _explained(path, separator, header, where, truths, error) from error
        if frame is None:
            break
        try:
            labels.add(frame.pop(where).str.strip().to_numpy(dtype=object, na_value=None))
            block = frame.to_numpy(dtype=np.float64, na_value=np.nan)
            X = _room(X, m + len(block))
            X[m : m + len(block)] = block
            check_finite(source, block, features, m)
        except ValueError as error:
            shorter = _shorter_row(path, separator, header, m, len(frame))
            if shorter is None:
                raise
            raise shorter from error
        m += len(block)
    if m == 0:
        raise ValueError(f"{source} must have at least one row below its header, got none")
    return Raw(X[:m], labels, features)


def _begin(source: str, sample: bytes, size: int) -> tuple[str, list[str], list[str], int]:
    """Separator, names, the first row's texts and about how many rows there are, from the file's beginning."""
    if not sample.strip():
        raise ValueError(f"{source} must hold a header and rows, got an empty file")
    whole = len(sample) == size
    end = len(sample) if whole else sample.rfind(b"\n") + 1
    if end == 0:
        raise ValueError(
            f"{source} must begin with a header line, got more than {SAMPLE:,} bytes without a line's end"
        )
    text = _decoded(source, sample[:end])
    line = next(line for line in text.splitlines() if line.strip())
    try:
        separator = max(SEPARATORS, key=lambda c: len(next(csv.reader([line], delimiter=c))))
        begin = list(islice(_rows(io.StringIO(text, newline=""), separator), 2))
    except csv.Error as error:
        raise ValueError(f"{source} cannot be read as CSV ({first_line(error)})") from error
    header, first = [name.strip() for name in begin[0]], begin[1] if len(begin) > 1 else []
    lines = sample[:end].count(b"\n") or sample[:end].count(b"\r")
    mean = end / max(lines, 1)
    return separator, header, [text.strip() for text in first], max(int(size / mean) - 1, 0)


def _decoded(source: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} must be text in UTF-8, got the byte {content[error.start]:#04x}") from error


def _rows(stream: Any, separator: str) -> Iterator[list[str]]:
    """The rows as texts, blank lines left out as pandas leaves them out."""
    rows = csv.reader(stream, delimiter=separator, skipinitialspace=True)
    return (row for row in rows if len(row) > 1 or any(map(str.strip, row)))


def _lines(path: Path) -> int:
    """How many lines the file has: at least as many as rows, unless it mixes line ends."""
    feeds = returns = 0
    with path.open("rb") as stream:
        while block := stream.read(2**20):
            feeds += block.count(b"\n")
            returns += block.count(b"\r")
    return max(feeds, returns) + 1


def _room(X: FloatArray, rows: int) -> FloatArray:
    """``X``, with more rows if it must have them (a file that mixes line ends)."""
    if rows <= len(X):
        return X
    return np.concatenate([X, np.empty((max(rows - len(X), len(X)), X.shape[1]))])


def _blocks(path: Path, separator: str, header: Sequence[str], other: dict[int, str]) -> Iterator[Any]:
    """Data frames of consecutive rows whose columns are 0, 1, ...; numbers but for the types in ``other``."""
    import pandas as pd

    # Before 3.1 the fast parser could be wrong in the last bit; from then on it is exact and the option deprecated.
    release = tuple(int(part) for part in pd.__version__.split(".")[:2])
    options: dict[str, Any] = {} if release >= (3, 1) else {"float_precision": "round_trip"}
    missing = sorted(MISSING)
    columns = range(len(header))
    options["na_values"] = {j: [""] if other.get(j) == "str" else missing for j in columns}
    reader = pd.read_csv(
        path,
        sep=separator,
        header=0,
        names=list(columns),
        index_col=False,
        dtype=dict.fromkeys(columns, "float64") | other,
        keep_default_na=False,
        skipinitialspace=True,
        encoding="utf-8-sig",
        low_memory=False,
        chunksize=max(1, BLOCK // len(header)),
        **options,
    )
    with reader:
        while True:
            with warnings.catch_warnings():
                # Rows longer than the header, which would be cut.
                warnings.simplefilter("error", pd.errors.ParserWarning)
                frame = next(reader, None)
            if frame is None:
                return
            yield frame


def _explained(
    path: Path, separator: str, header: Sequence[str], where: int, truths: set[int], error: Exception
) -> ValueError:
    """Why pandas could not read the file: columns that are not numbers, or what it says itself."""
    import pandas as pd

    if isinstance(error, UnicodeDecodeError):
        return ValueError(f"{path.name} must be text in UTF-8 ({first_line(error)})")
    if isinstance(error, pd.errors.ParserWarning):
        return ValueError(f"{path.name} must have {len(header)} fields in every row, got rows with more")
    if not isinstance(error, pd.errors.ParserError):
        above = 0
        for frame in _blocks(path, separator, header, dict.fromkeys(range(len(header)), "str")):
            found = []
            for j, name in enumerate(header):
                texts = frame[j].str.strip()
                if j in truths:
                    good = texts.str.lower().isin(["true", "false"])
                else:
                    good = pd.to_numeric(texts, errors="coerce").notna()
                bad = np.flatnonzero((~good & ~texts.isin(list(MISSING)) & texts.notna()).to_numpy())
                if j != where and len(bad):
                    found.append((name, f"{texts.iloc[bad[0]]!r} in row {above + int(bad[0]) + 1}"))
            if found:
                return not_numbers(path.name, found)
            above += len(frame)
    return ValueError(f"{path.name} cannot be read as CSV ({first_line(error)})")


def _shorter_row(path: Path, separator: str, header: Sequence[str], above: int, count: int) -> ValueError | None:
    """The error for a row with fewer fields than the header among ``count`` rows, which pandas fills up."""
    with path.open(encoding="utf-8-sig", newline="") as stream, suppress(csv.Error):
        for k, row in enumerate(islice(_rows(stream, separator), above + 1, above + 1 + count)):
            if len(row) < len(header):
                return ValueError(
                    f"{path.name} must have {len(header)} fields in every row, got {len(row)} in row {above + k + 1}"
                )
    return None
