"""Certify on tables that nobody made for it, and a linear programme beside each verdict.

``python -m tools.shipped_tables``, from the root of a checkout, goes over the tables that scikit-learn, statsmodels
and vega_datasets ship inside their wheels (whichever are installed). Every column of 2 to 10 values is taken for the
label once. A table is read from its file, or as a frame of pandas where it is JSON, with the options that messages
advise: columns of categories one-hot, other text and columns that are mostly empty dropped, rows with missing values
dropped. Then it is asked for every class (of two, for one) whether a hyperplane separates it from the rest: by
``hard_margin`` as in ``learnability certify``, and by SciPy's HiGHS, which looks for w and b with y (w x + b) >= 1.

``--page`` writes ``docs/verdicts/tables.md``; ``--numbers`` is the size of the largest table that is tried, rows by
columns. Status 1 if the two disagree anywhere.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from learnability import certification
from learnability.datasets import frames, text_file
from learnability.datasets.examples import Examples, examples
from learnability.datasets.memory import budget
from learnability.datasets.numbers import MISSING, number
from learnability.datasets.source import NUMBER, OTHER, Reading, Source
from learnability.datasets.table import read_examples
from learnability.theory.margins import hard_margin

PAGE = Path(__file__).parents[1] / "docs" / "verdicts" / "tables.md"
CLASSES = 10
"""Values of a column that may be a label or categories."""

FOLDERS = {"sklearn": "datasets/data", "statsmodels": "datasets", "vega_datasets": "_data"}


@dataclass(frozen=True)
class Shipped:
    """A table and the two ways to it: its columns, and its examples for a label."""

    name: str
    open: Callable[[Reading], Source]
    read: Callable[[str, Reading], Examples]


@dataclass
class Column:
    """What a user sees in a column."""

    values: set[Any] = field(default_factory=set)
    """A few more than may be classes, at most."""
    number: bool = True
    missing: int = 0
    usable: bool = True


@dataclass(frozen=True)
class Verdict:
    """One line of the page."""

    table: str
    rows: int
    features: int
    label: str
    how: str
    verdict: str
    agrees: bool | None
    """``None`` where there is nothing to compare."""


def shipped(packages: Sequence[str], scratch: Path) -> Iterator[Shipped]:
    """The tables of those packages that are installed."""
    for package in packages:
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            print(f"{package} is not installed", file=sys.stderr)
            continue
        folder = Path(next(iter(found.submodule_search_locations))) / FOLDERS[package]
        for path in sorted(folder.rglob("*")):
            name = f"{package}/{path.relative_to(folder).as_posix()}"
            if path.name.endswith((".csv", ".csv.gz")) and "tests" not in path.parts:
                yield of_file(name, path)
            elif path.suffix == ".json":
                yield of_frame(f"{name} (frame)", path)
            if package == "sklearn" and path.suffix == ".csv":
                first, rest = path.read_text().split("\n", 1)
                if first.split(",")[0].isdecimal():  # how many rows and columns there are, and the classes' names
                    (scratch / path.name).write_text(rest)
                    yield of_file(f"{name} without its first line", scratch / path.name)


def of_file(name: str, path: Path) -> Shipped:
    """A file of text."""
    return Shipped(
        name,
        lambda reading: text_file.open_source(path, reading, budget()),
        lambda label, reading: read_examples(path, label, reading),
    )


def of_frame(name: str, path: Path) -> Shipped:
    """A file that pandas reads."""

    def source(label: str) -> Source:
        return frames.source_of(pd.read_json(path), label, budget(), path.name)[0]

    return Shipped(
        name, lambda _: source(""), lambda label, reading: examples(source(label), label, reading, budget())
    )


def columns(source: Source, most: int) -> tuple[int, dict[str, Column]]:
    """The number of rows, and the columns; of tables of more than so many numbers, of the first rows."""
    found = {name: Column(usable=group.kind != OTHER) for group in source.groups for name in group.names}
    wanted = [g for g, group in enumerate(source.groups) if group.kind != OTHER]
    rows = 0
    for block in source.blocks(wanted):
        for g, values in zip(wanted, block, strict=True):
            group = source.groups[g]
            if group.kind == NUMBER and not isinstance(values, list):
                values = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan).reshape(len(values), -1)
                for name, part in zip(group.names, values.T, strict=True):
                    _look(found[name], part.tolist())
            else:
                _look(found[group.names[0]], values)
        rows += len(block[0])
        if rows * len(found) > most:
            break
    return rows, found


def _look(column: Column, values: Sequence[Any]) -> None:
    for value in values:
        value = value.strip() if isinstance(value, str) else value
        if value is None or value != value or value in MISSING:
            column.missing += 1
            continue
        if isinstance(value, str) and value.lower() not in ("true", "false"):
            column.number &= number(value) is not None
        if len(column.values) <= CLASSES:
            column.values.add(value)


def reading_for(label: str, rows: int, found: dict[str, Column], header: bool | None) -> Reading:
    """The options that the messages lead to."""
    drop, split = [], []
    for name, column in found.items():
        if name == label:
            continue
        if column.missing > rows / 2 or not column.usable:
            drop.append(name)
        elif not column.number:
            (split if len(column.values) <= CLASSES else drop).append(name)
    missing = any(found[name].missing for name in found if name not in drop)
    return Reading(drop=tuple(drop), one_hot=tuple(split), drop_missing=missing, header=header)


def separable(X: Any, y: Any) -> bool | None:
    """What HiGHS says; ``None`` if it does not decide."""
    low, high = X.min(axis=0), X.max(axis=0)
    V = 2 * (X - low) / np.where(high > low, high - low, 1) - 1
    A = -y[:, None] * np.column_stack([V, np.ones(len(V))])
    found = linprog(np.zeros(A.shape[1]), A_ub=A, b_ub=-np.ones(len(V)), bounds=(None, None), method="highs")
    if found.status == 0:
        return bool((A @ found.x).max() < 0)
    return False if found.status == 2 else None


def verdicts(table: Shipped, most: int) -> Iterator[Verdict]:
    """One for each label, or the reason why there is none."""

    def refused(error: Exception | str, rows: int = 0, label: str = "", how: str = "") -> Verdict:
        return Verdict(table.name, rows, 0, label, how, f"refused: {error}", None)

    header: bool | None = None
    try:
        try:
            rows, found = columns(table.open(Reading()), most)
        except ValueError as error:
            if "header says" not in str(error):
                raise
            header = False
            rows, found = columns(table.open(Reading(header=False)), most)
    except ValueError as error:
        yield refused(error)
        return
    if rows * len(found) > most:
        yield Verdict(table.name, 0, 0, "", "", f"not tried: more than {most:,} numbers", None)
        return
    labels = [name for name, column in found.items() if 2 <= len(column.values) <= CLASSES and column.usable]
    if not labels:
        yield Verdict(table.name, rows, len(found), "", "", f"no column of 2 to {CLASSES} values", None)
    for label in labels:
        reading = reading_for(label, rows, found, header)
        counts = {"--no-header": header is False, "--drop": len(reading.drop), "--one-hot": len(reading.one_hot)}
        counts["--drop-missing"] = reading.drop_missing
        how = ", ".join(name if n is True or n == 1 else f"{name} ({n})" for name, n in counts.items() if n)
        try:
            data = table.read(label, reading)
            classes = data.values[1:] if len(data.values) == 2 else data.values
            both = [_both(data, value) for value in classes]
        except ValueError as error:
            yield refused(error, rows, label, how)
            continue
        yield Verdict(
            table.name, len(data.X), data.X.shape[1], label, how, _said([mine for mine, _ in both]),
            all(mine == other for mine, other in both),
        )  # fmt: skip


def _both(data: Examples, value: object) -> tuple[bool, bool | None]:
    inputs = certification.prepare(data.against_rest(value), certification.Options(test=0.0))
    y = inputs.data.y
    return hard_margin(inputs.V, y).separable, separable(inputs.data.X, y)


def _said(each: Sequence[bool]) -> str:
    if len(each) == 1:
        return "separable" if each[0] else "not separable"
    return f"{sum(each)} of {len(each)} classes separable"


def table_of(found: Sequence[Verdict]) -> str:
    """The page's table."""
    lines = [
        "| table | rows | features | label | read with | verdict | linear programme |",
        "|---|---:|---:|---|---|---|---|",
    ]
    for v in found:
        agrees = "" if v.agrees is None else "agrees" if v.agrees else "DISAGREES"
        said = v.verdict.replace("|", r"\|").replace("<", r"\<")
        label = f"`{v.label}`" if v.label else ""
        size = " | ".join(f"{count:,}" if count else "" for count in (v.rows, v.features))
        lines.append(f"| {v.table} | {size} | {label} | {v.how} | {said} | {agrees} |")
    return "\n".join(lines)


def page(found: Sequence[Verdict], most: int) -> str:
    """The page."""
    compared = [v for v in found if v.agrees is not None]
    refused = [v for v in found if v.verdict.startswith("refused")]
    tables = len({v.table for v in found})
    agreed = sum(bool(v.agrees) for v in compared)
    return f"""# Tables that packages ship

Made by `python -m tools.shipped_tables --page`: the tables of scikit-learn, statsmodels and vega_datasets, as they
are in the packages, with every column of 2 to {CLASSES} values as the label once, read with the options that messages
advise. Of more than two values each is set against the rest. The linear programme is SciPy's HiGHS.

{tables} tables; {len(compared)} verdicts, {agreed} of which agree with the linear programme; {len(refused)} refusals.
Tables of more than {most:,} numbers are not tried.

{table_of(found)}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=list(FOLDERS), help=f"of {', '.join(FOLDERS)}")
    parser.add_argument("--numbers", type=int, default=250_000, help="of the largest table that is taken")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.relative_to(PAGE.parents[2])}")
    chosen = parser.parse_args(arguments)
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for table in shipped(chosen.packages, Path(scratch)):
            for verdict in verdicts(table, chosen.numbers):
                found.append(verdict)
                print(table_of([verdict]).splitlines()[-1], flush=True)
    if chosen.page:
        PAGE.write_text(page(found, chosen.numbers), encoding="utf-8")
    if any(v.agrees is False for v in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
