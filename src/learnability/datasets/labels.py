"""The label column, block by block: which values there are, and which of them each row has."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.datasets.numbers import EXACT, MISSING, Form, number, plain
from learnability.errors import RequestError
from learnability.shown import quoted

__all__ = ["MANY", "Codes", "Labels", "equal", "listed"]

MANY = 50
"""Label values after which reading stops: it is not a column of classes."""

LONGEST = 1_000
"""Characters of a label."""


def listed(items: Sequence[object], most: int = 8) -> str:
    """The first few of the items, and how many more there are."""
    shown = ", ".join(short(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most:,} more"


def short(item: object) -> str:
    """A value as messages quote it."""
    return quoted(item, 60)


class Codes:
    """Values by number, in the order of their first appearance."""

    def __init__(self, source: str, name: str, most: int) -> None:
        self.source = source
        self.name = name
        self.most = most
        self.values: dict[object, int] = {}

    def add(self, values: Any) -> NDArray[np.int32]:
        """The codes of the next rows, -1 where one is missing: of texts, numbers or truth values.

        Raises
        ------
        ValueError
            If there are more than ``most`` different values.
        """
        import pandas as pd

        if isinstance(values, np.ma.MaskedArray):
            gone, values = np.ma.getmaskarray(values), np.array(values.data, dtype=object)
            values[gone] = None  # what is filled with None is filled with "?"
        if isinstance(values, list | tuple):
            given, values = values, np.empty(len(values), dtype=object)
            values[:] = given
        codes, distinct = pd.factorize(values.reshape(-1))
        new = []
        for value in distinct:
            value = value.item() if isinstance(value, np.generic) else value
            if isinstance(value, str) and len(value) > LONGEST:
                raise RequestError(
                    f"{self.source} must hold texts of at most {LONGEST:,} characters in the column "
                    f"{short(self.name)}, got {short(value)}"
                )
            new.append(self.values.setdefault(value, len(self.values)))
            if len(self.values) > self.most:
                raise self.too_many()
        return np.append(np.asarray(new, dtype=np.int32), np.int32(-1))[codes]

    def too_many(self) -> RequestError:
        """There are more different values than make sense."""
        return RequestError(
            f"{self.source} must hold at most {self.most:,} different values in the column {short(self.name)}, "
            f"got more: {listed(list(self.values), 4)}"
        )


class Labels(Codes):
    """The values of the label."""

    def __init__(self, source: str, name: str) -> None:
        super().__init__(source, name, MANY)
        self.alike: list[tuple[str, Any]] = []
        """Texts that are a number which another text is, too."""

    def too_many(self) -> RequestError:
        """It is a number to be predicted, or a name."""
        return RequestError(
            f"{self.source} must hold classes in the label column {short(self.name)}, got more than {MANY} different "
            f"values: {listed(list(self.values), 4)}"
        )

    def merged(self, codes: NDArray[np.int32], form: Form | None) -> tuple[NDArray[np.int32], list[Any]]:
        """Codes for the sorted values, of which "1" and "1.0" are one.

        ``form`` says how numbers are written where everything is text: if all values but missing ones read as
        numbers, they are numbers.
        """
        values: list[Any] = [_tidy(v) for v in self.values]
        keys: list[Any] = values
        if form is not None:
            read = [_exact(v, form) for v in values]
            numbers = [n for n in read if n is not None]
            if numbers and all(n is not None or v in MISSING for n, v in zip(read, values, strict=True)):
                keys = read
        shown: dict[Any, Any] = {}
        for key, value in zip(keys, values, strict=True):
            if key in shown:
                self.alike.append((value, shown[key]))
            elif key is not None:
                shown[key] = _value(key, value) if isinstance(key, Decimal) else value
        distinct = sorted(shown, key=lambda key: (isinstance(key, str), key))
        where = {key: code for code, key in enumerate(distinct)}
        same = np.array([*(where.get(key, -1) for key in keys), -1], dtype=np.int32)
        return same[codes], [shown[key] for key in distinct]


def _tidy(value: Any) -> Any:
    """1 for 1.0; beyond 2^53 the digits of a float64 say more than it knows."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < EXACT else value


def _exact(text: str, form: Form) -> Decimal | None:
    """The number that a text is, to its last digit."""
    read = number(text, form)
    if read is None:
        return None
    digits = plain(text, form)
    if form.thousands:
        digits = digits.replace(form.thousands, "")
    try:
        return Decimal(digits.replace(form.decimal, "."))
    except InvalidOperation:  # an exponent beyond all others
        return None


def _value(exact: Decimal, text: str) -> int | float | str:
    """A number as Python's own if that is the same, otherwise as it is written."""
    if exact.is_finite() and abs(exact.adjusted()) < 300:
        whole, parts = exact.as_integer_ratio()
        if parts == 1:
            return whole
    nearest = float(exact)
    return nearest if Decimal(repr(nearest)) == exact else text


def equal(value: object, wanted: object) -> bool:
    """Whether a label value is the one asked for, which a command line can only give as text."""
    if isinstance(value, str | bool):
        return str(value) == str(wanted)
    read = _exact(str(wanted), Form())
    return read is not None and read == Decimal(repr(value))
