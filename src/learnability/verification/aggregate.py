"""Many cases of one statement as one guarantee: :mod:`learnability.theory.aggregate`, under its name here."""

from learnability.theory.aggregate import tightest

__all__ = ["tightest"]
