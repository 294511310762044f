"""Margins, bounds and hypotheses: numbers in, a :class:`Guarantee` out. Never imports ``training``."""

from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, Verdict

__all__ = ["Guarantee", "Hypothesis", "Kind", "Verdict"]
