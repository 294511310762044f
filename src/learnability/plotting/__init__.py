"""Figures: what they show, as data, and how they are drawn for paper."""

from learnability.plotting.paper import band, draw, drawn, panels, style
from learnability.plotting.plot import COLORS, Curve, HeatMap, Item, Line, Panel, Plot, Words, over_seeds

__all__ = [
    "COLORS", "Curve", "HeatMap", "Item", "Line", "Panel", "Plot", "Words",
    "band", "draw", "drawn", "over_seeds", "panels", "style",
]  # fmt: skip
