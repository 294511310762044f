"""How much memory a table may take, decided before it is read."""

from __future__ import annotations

from dataclasses import dataclass

from learnability import checks
from learnability.errors import RequestError
from learnability.memory import available, readable

__all__ = ["SHARE", "Budget", "budget"]

SHARE = 0.5
"""Of the memory that is free: what is done with a table afterwards needs some, too."""

OVERHEAD = 1e8
"""Bytes that a reader takes beside its result: the libraries and one block of the file."""


@dataclass(frozen=True)
class Budget:
    """What a reader may take in memory."""

    limit: float
    """In bytes."""
    given: str
    """Where the limit comes from, for the message."""

    def check(self, name: str, rows: int, features: int, *, beside: float = 0.0, about: bool = False) -> None:
        """Refuse a table of rows x features float64 numbers (and ``beside`` bytes) that does not fit.

        Raises
        ------
        ValueError
            With what is needed and what may be taken.
        """
        # The result, a label and its code per row, and one truth value per number while values are compared.
        needed = rows * (8.0 * features + 16.0) + beside + OVERHEAD
        if needed > self.limit:
            size = f"{'about ' if about else ''}{rows:,} rows x {features:,} features"
            raise RequestError(
                f"{name} needs {readable(needed)} of memory ({size}), more than {readable(self.limit)} "
                f"({self.given}): give memory= a larger number of bytes, or a smaller file"
            )


def budget(memory: object = None) -> Budget:
    """The given number of bytes, or :data:`SHARE` of what is available now."""
    if memory is not None:
        return Budget(checks.real("memory", memory, above=0.0), "the memory given")
    free = available()
    return Budget(SHARE * free, f"{SHARE:.0%} of the {readable(free)} that are available")
