"""From a source of columns to labelled examples: what is used, what is left out, what is refused."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.datasets.labels import Codes, Labels, equal, listed, short
from learnability.datasets.memory import Budget
from learnability.datasets.numbers import MISSING, Bad, Form, Numbers, number
from learnability.datasets.plan import Part, not_numbers, plan_of
from learnability.datasets.records import Table
from learnability.datasets.source import WRITTEN, Reading, Source
from learnability.errors import RequestError

__all__ = ["CATEGORIES", "Examples", "examples", "row_blocks"]

CATEGORIES = 1_000
"""Values of a column of categories after which reading stops."""


_FORMS = (Form(",", "."), Form(".", ","), Form(",", " "), Form(".", "'"))


@dataclass(frozen=True, eq=False)
class Examples:
    """What is in a file, before one class is set against another."""

    X: FloatArray
    """(m, d), finite, C-contiguous."""
    codes: NDArray[np.int32]
    """(m,): which of the values each row's label is."""
    values: list[Any]
    """The label's values, numbers by size, texts in alphabetical order."""
    origin: str
    label: str
    notes: tuple[str, ...]
    feature_names: tuple[str, ...]
    constant: tuple[str, ...]
    """Features that had one value in all rows and were left out."""
    rows: NDArray[np.intp] | None
    """(m,): the rows' numbers in the file, from 1; ``None`` if none is left out."""
    offsets: Mapping[str, int] = field(default_factory=dict)
    """What was subtracted from columns of whole numbers that float64 cannot hold."""

    def against_rest(self, value: object) -> Table:
        """The examples of one class, +1, against all others, -1.

        Raises
        ------
        ValueError
            If the label has no such value, or no other.
        """
        matching = [code for code, v in enumerate(self.values) if equal(v, value)]
        if len(matching) != 1:
            raise RequestError(f"positive must be one of the label values {listed(self.values)}, got {short(value)}")
        if len(self.values) == 1:
            raise self._classes()
        positive = self.values[matching[0]]
        others = [v for v in self.values if v is not positive]
        rest = others[0] if len(others) == 1 else f"not {positive}"
        y = np.where(self.codes == matching[0], 1.0, -1.0)
        what = f"labels in {short(self.label)}: {short(rest)} is -1, {short(positive)} is +1"
        if len(others) > 1:
            what = f"labels in {short(self.label)}: {short(positive)} is +1, the others ({listed(others)}) are -1"
        return Table(
            self.X, y, self.origin, (rest, positive), (*self.notes, what), rows=self.rows, offsets=self.offsets,
            feature_names=self.feature_names, constant=self.constant,
        )  # fmt: skip

    def table(self, positive: object = None) -> Table:
        """The examples of two classes: ``positive`` against the rest, by default the larger of two values.

        Raises
        ------
        ValueError
            If there are not exactly two values and ``positive`` is not given, or it is none of them.
        """
        if positive is not None:
            return self.against_rest(positive)
        if len(self.values) != 2:
            raise self._classes()
        return self.against_rest(self.values[1])

    def _classes(self) -> RequestError:
        counts = np.bincount(self.codes, minlength=len(self.values))
        by_size = sorted(zip(self.values, counts, strict=True), key=lambda pair: -pair[1])
        what = ", ".join(f"{short(v)} ({n:,} row{'s' if n != 1 else ''})" for v, n in by_size[:6])
        more = f" and {len(by_size) - 6} more" if len(by_size) > 6 else ""
        hint = "; positive says which one to set against the rest" if len(by_size) > 2 else ""
        return RequestError(
            f"{self.origin} must hold exactly two values in the label column {short(self.label)}, got "
            f"{len(by_size)}: {what}{more}{hint}"
        )


def examples(source: Source, label: str, reading: Reading, budget: Budget) -> Examples:
    """All rows of a source, checked.

    Raises
    ------
    ValueError
        If columns share a name or are not there, if a feature is not a number, a value missing or infinite, or if the
        result does not fit. What can be mended by leaving columns or rows out is named in one message, all of it.
    """
    plan = plan_of(source, label, reading)
    features = sum(len(part.kept) for part in plan if part.use == "numbers")
    budget.check(source.name, source.rows, features, beside=source.beside)
    reader = _Reader(source, label, reading, plan)
    for block in source.blocks([part.group for part in plan]):
        reader.add(block)
    return reader.finish(budget)


class _Reader:
    """What has been read so far."""

    def __init__(self, source: Source, label: str, reading: Reading, plan: list[Part]) -> None:
        self.source, self.label, self.reading, self.plan = source, label, reading, plan
        form = Form(reading.decimal, reading.thousands)
        self.written = source.groups[next(p.group for p in plan if p.use == "label")].kind == WRITTEN
        self.form = form
        self.names = [name for part in plan if part.use == "numbers" for name in part.names]
        self.X = np.empty((max(source.rows, 1), len(self.names)))  # takes memory only as far as it is written to
        self.labels = Labels(source.name, label)
        self.codes: list[NDArray[np.int32]] = []
        self.numbers = [Numbers(source.name, part.names, form) for part in plan]
        self.categories = [Codes(source.name, part.names[0], CATEGORIES) for part in plan]
        self.split: list[list[NDArray[np.int32]]] = [[] for _ in plan]
        self.bad: dict[str, str] = {}
        """Columns that hold something else, and what."""
        self.otherwise = False
        """Whether some of it is a number in another way of writing."""
        self.missing: dict[str, tuple[int, int]] = {}
        """Of columns with missing values how many, and the first's row."""
        self.m = 0

    def add(self, block: list[Any]) -> None:
        """The next rows."""
        b = len(block[0])
        left = 0
        for k, (part, values) in enumerate(zip(self.plan, block, strict=True)):
            group = self.source.groups[part.group]
            if part.use != "numbers" and not isinstance(values, Sequence) and values.ndim > 1:
                values = values[:, part.kept[0]]
            if part.use != "numbers" and group.kind == WRITTEN:
                values = _stripped(values, MISSING if self.reading.drop_missing else {""})
            if part.use == "label":
                codes = self.labels.add(values)
                self.codes.append(codes)
                self._count(np.flatnonzero(codes < 0), part.names[0])
            elif part.use == "categories":
                codes = self.categories[k].add(values)
                self.split[k].append(codes)
                self._count(np.flatnonzero(codes < 0), part.names[0])
            else:
                right = left + len(part.kept)
                self._numbers(k, part, group.kind, values, slice(left, right), b)
                left = right
        self.m += b

    def _numbers(self, k: int, part: Part, kind: str, values: Any, columns: slice, b: int) -> None:
        if self.bad and (kind != WRITTEN or part.names[0] in self.bad):
            return  # it is only about what else there is
        above = self.X[: self.m, columns]
        if kind == WRITTEN:
            found = self.numbers[k].written(values, above)
            if isinstance(found, Bad):
                self.bad[part.names[0]] = f"{short(found.text)} in row {self.m + found.row + 1:,}"
                self.otherwise |= any(number(found.text, form) is not None for form in _FORMS)
                return
        else:
            if not isinstance(values, list) and values.ndim > 1:
                values = values[:, part.kept] if len(part.kept) < values.shape[1] else values
            found = self.numbers[k].stored(values, above)
        good = np.isfinite(found)
        if not good.all():
            for j in np.flatnonzero(~good.all(axis=0)):
                endless = np.flatnonzero(np.isinf(found[:, j]))
                if len(endless):
                    raise RequestError(
                        f"{self.source.name} must hold finite numbers, got {found[endless[0], j]:g} in column "
                        f"{short(part.names[j])}, row {self.m + int(endless[0]) + 1:,}"
                    )
                self._count(np.flatnonzero(~good[:, j]), part.names[j])
        self.X[self.m : self.m + b, columns] = found

    def _count(self, rows: NDArray[np.intp], name: str) -> None:
        if len(rows):
            before, first = self.missing.get(name, (0, self.m + int(rows[0]) + 1))
            self.missing[name] = before + len(rows), first

    def finish(self, budget: Budget) -> Examples:
        """Everything that has been read, as examples."""
        source = self.source
        if self.m == 0:
            raise RequestError(f"{source.name} must have at least one row, got none")
        if self.bad:
            columns = [(name, found, True) for name, found in self.bad.items()]
            raise not_numbers(source.name, columns, otherwise=self.otherwise)
        codes, values = self.labels.merged(np.concatenate(self.codes), self.form if self.written else None)
        unlabelled = np.flatnonzero(codes < 0)
        if len(unlabelled):
            self.missing[self.label] = len(unlabelled), int(unlabelled[0]) + 1
        X, names = self._with_categories(self.X[: self.m], budget)
        notes = [*source.notes, *self._became()]
        if self.labels.alike:
            pairs = ", ".join(f"{short(text)} is {short(value)}" for text, value in self.labels.alike[:4])
            notes.append(f"labels that are written in several ways are one number: {pairs}")
        offsets = {
            part.names[j]: offset
            for part, numbers in zip(self.plan, self.numbers, strict=True)
            for j, offset in numbers.offsets.items()
        }
        if offsets:
            told = ", ".join(f"{value} from {short(name)}" for name, value in offsets.items())
            notes.append(f"whole numbers that float64 cannot hold, so that these were subtracted exactly: {told}")
        rows: NDArray[np.intp] | None = None
        if self.missing:
            gone = codes < 0
            gone |= np.any([np.concatenate(parts) < 0 for parts in self.split if parts], axis=0)
            for low, high in row_blocks(*X.shape):
                gone[low:high] |= np.isnan(X[low:high]).any(axis=1)
            X, codes, rows = self._without(X, codes, gone)
            where = ", ".join(f"{short(name)} {n:,}" for name, (n, _) in list(self.missing.items())[:6])
            more = f" and {len(self.missing) - 6:,} more" if len(self.missing) > 6 else ""
            notes.append(
                f"{int(gone.sum()):,} of {self.m:,} rows left out because a value is missing in them (by column: "
                f"{where}{more})"
            )
        X, kept, constant = _varying(X, names)
        if constant:
            notes.append(f"{len(constant)} constant feature(s) left out: {listed(constant, 20)}")
        elif len(kept) and not (X[:1] != X).any():
            notes.append("every feature is constant")
        present = np.unique(codes)  # a class may have gone with its rows
        values = [values[code] for code in present]
        codes = np.searchsorted(present, codes).astype(np.int32)
        return Examples(
            X, codes, values, source.name, self.label, tuple(notes), tuple(kept), tuple(constant), rows,
            {name: value for name, value in offsets.items() if name in kept},
        )  # fmt: skip

    def _without(
        self, X: FloatArray, codes: NDArray[np.int32], gone: NDArray[np.bool_]
    ) -> tuple[FloatArray, NDArray[np.int32], NDArray[np.intp]]:
        """The rows in which nothing is missing, if others may be left out."""
        if not self.reading.drop_missing:
            if set(self.missing) == {self.label}:
                row = self.missing[self.label][1]
                raise RequestError(
                    f"{self.source.name} must give every row a label, got none in column {short(self.label)}, "
                    f"row {row:,}: drop_missing leaves such rows out"
                )
            columns = sorted(self.missing.items(), key=lambda item: -item[1][0])
            which = ", ".join(f"{short(name)} ({n:,}, the first in row {row:,})" for name, (n, row) in columns[:6])
            more = f" and {len(columns) - 6:,} more columns" if len(columns) > 6 else ""
            raise RequestError(
                f"{self.source.name} must hold finite numbers, got missing values in {which}{more}: drop_missing "
                f"leaves out the {int(gone.sum()):,} of {self.m:,} rows with one, drop leaves out columns"
            )
        if gone.all():
            raise RequestError(f"{self.source.name} must have a row in which no value is missing, got none")
        kept = np.flatnonzero(~gone)
        return _taken(X, kept), codes[kept], kept + 1

    def _became(self) -> Iterator[str]:
        """What became of columns of categories."""
        for part, categories in zip(self.plan, self.categories, strict=True):
            if part.use == "categories":
                yield f"{short(part.names[0])} became {len(categories.values):,} columns of 0 and 1"

    def _with_categories(self, X: FloatArray, budget: Budget) -> tuple[FloatArray, list[str]]:
        """The numbers and a column of 0 and 1 for every value of every column of categories."""
        columns = []
        for part, categories, parts in zip(self.plan, self.categories, self.split, strict=True):
            if parts:
                codes = np.concatenate(parts)
                order = sorted(categories.values.items(), key=lambda item: (isinstance(item[0], str), item[0]))
                columns += [(f"{part.names[0]}={value}", codes, code) for value, code in order]
        if not columns:
            return X, self.names
        taken = {*self.names}
        twice = [name for name, *_ in columns if name in taken]
        if twice:
            raise RequestError(
                f"{self.source.name} must not have a column of the name that one_hot gives, got {short(twice[0])}"
            )
        width = X.shape[1] + len(columns)
        budget.check(self.source.name, len(X), width, beside=float(X.nbytes + self.source.beside))
        wider = np.empty((len(X), width))
        wider[:, : X.shape[1]] = X
        for j, (_, codes, code) in enumerate(columns, X.shape[1]):
            wider[:, j] = codes == code
        return wider, [*self.names, *(name for name, _, _ in columns)]


def _stripped(texts: Iterable[str], missing: Container[str]) -> list[str | None]:
    """Texts as values. "NA" may be a value like another, unless missing ones are expected."""
    stripped = (text.strip(" \t") for text in texts)
    return [None if text in missing else text for text in stripped]


def row_blocks(rows: int, features: int, size: int = 2**21) -> Iterator[tuple[int, int]]:
    """Bounds of consecutive blocks of rows, about 16 MB of float64 each."""
    step = max(1, size // max(features, 1))
    return ((low, min(low + step, rows)) for low in range(0, rows, step))


def _taken(X: FloatArray, kept: NDArray[np.intp]) -> FloatArray:
    """Some of the rows, in the place of all."""
    for low, high in row_blocks(len(kept), X.shape[1]):  # forward: what is overwritten has been read
        X[low:high] = X[kept[low:high]]
    return X[: len(kept)]


def _varying(X: FloatArray, names: Sequence[str]) -> tuple[FloatArray, list[str], list[str]]:
    """The features with more than one value, in the place of all (or all, if none has); all names, in two parts."""
    varies = X.min(axis=0) < X.max(axis=0)
    if varies.all() or not varies.any():
        return X, list(names), []
    m, d = X.shape
    kept = np.flatnonzero(varies)
    buffer = X.reshape(-1)
    for low, high in row_blocks(m, d):
        buffer[low * len(kept) : high * len(kept)] = X[low:high, kept].reshape(-1)
    left = [name for name, keep in zip(names, varies, strict=True) if not keep]
    return (
        buffer[: m * len(kept)].reshape(m, -1),
        [name for name, keep in zip(names, varies, strict=True) if keep],
        left,
    )
