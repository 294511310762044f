"""Figures: what they show, as data, and how they are drawn for paper."""

from learnability.plotting.environment import style
from learnability.plotting.paper import band, draw, drawn, panels
from learnability.plotting.plot import COLORS, Curve, HeatMap, Item, Line, Panel, Plot, Words, over_seeds
from learnability.plotting.words import literal, names, taken_literally

__all__ = [
    "COLORS", "Curve", "HeatMap", "Item", "Line", "Panel", "Plot", "Words",
    "band", "draw", "drawn", "literal", "names", "over_seeds", "panels", "style", "taken_literally",
]  # fmt: skip
