"""A figure as data, and the one way in which seeds become a line with a confidence band.

A :class:`Plot` is panels of curves, reference lines, heat maps and words: numbers and looks, no calls, so that
whatever shows it (matplotlib for paper, a browser) shows the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from learnability import checks
from learnability.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

__all__ = ["COLORS", "Curve", "HeatMap", "Item", "Line", "Panel", "Plot", "Words", "over_seeds"]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito's palette, which stays distinct in the common forms of colour blindness."""


@dataclass(frozen=True)
class Curve:
    """Points, joined or not, with a band or bars where limits are given.

    Parameters
    ----------
    x, y : (k,) sequences of float
        The points, in the order in which they are joined. NaN leaves a gap.
    low, high : (k,) sequences of float, optional
        Limits of a band around the line, or of bars at the points.
    label : str
        What it is; none keeps it out of the legend.
    color : str
        As matplotlib understands it; empty for the panel's next of :data:`COLORS`.
    linestyle, marker : str
        As matplotlib understands them; empty for none.
    linewidth, markersize : float
        In points.
    hollow : bool
        Whether markers are open.
    alpha : float
        Opacity, in [0, 1].
    bars : bool
        Whether the limits are bars with caps instead of a band.
    direct : bool
        Whether the label stands at the curve's last point instead of in the legend.
    """

    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    label: str = ""
    color: str = ""
    linestyle: Any = "-"
    marker: str = ""
    linewidth: float = 1.4
    markersize: float = 4.0
    hollow: bool = False
    alpha: float = 1.0
    bars: bool = False
    direct: bool = False


@dataclass(frozen=True)
class Line:
    """A reference line across the panel: at ``y``, or at ``x``; ``direct`` writes its label on it."""

    y: float | None = None
    x: float | None = None
    label: str = ""
    color: str = "#888888"
    linestyle: Any = ":"
    linewidth: float = 0.9
    direct: bool = False


@dataclass(frozen=True)
class HeatMap:
    """Numbers over a grid of cells, one for each pair of a column and a row.

    Parameters
    ----------
    values : (r, c) nested sequence of float
        The numbers, the first row at the bottom; NaN leaves a cell empty.
    columns, rows : sequences of str
        Names of the c columns and r rows, along the axes; with none the map is a picture, without axes.
    label : str
        What the colours mean, with its unit; none: no colour bar. Maps of a figure with the same label and ends
        have one colour bar.
    limits : (float, float), optional
        Ends of the colour scale; the least and the largest number if not given.
    colors : str
        matplotlib's colour map.
    log : bool
        Whether the colour scale is logarithmic.
    text : str
        Format of the number written into each cell, for instance ``"{:.2f}"``; empty for none.
    """

    values: ArrayLike
    columns: Sequence[str] = ()
    rows: Sequence[str] = ()
    label: str = ""
    limits: tuple[float, float] | None = None
    colors: str = "viridis"
    log: bool = False
    text: str = ""


@dataclass(frozen=True)
class Words:
    """A few words at a point of the data, for instance the name of a line; ``look`` is matplotlib's."""

    x: float
    y: float
    text: str
    look: Mapping[str, Any] = field(default_factory=dict)


Item: TypeAlias = Curve | Line | HeatMap | Words


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Parameters
    ----------
    items : sequence of Curve, Line, HeatMap and Words
        Drawn in this order.
    title, xlabel, ylabel : str
        With units where there are any.
    xscale, yscale : str
        ``"linear"``, ``"log"``, or matplotlib's other scales by name.
    linear : float
        A ``"symlog"`` axis is linear within plus and minus this, > 0.
    xlim, ylim : (float or None, float or None), optional
        Ends of the axes.
    xticks, yticks : mapping from float to str, or sequence of float, optional
        Where ticks stand, and what they say if it is not the number; minor ticks go then.
    legend : str
        Where a legend of its own stands, in matplotlib's words (``"upper left"``); empty: in the figure's.
    legend_columns : int
        Its entries side by side, >= 1.
    more : mapping
        Further properties of matplotlib's axes.
    """

    items: Sequence[Item]
    title: str = ""
    xlabel: str = ""
    ylabel: str = ""
    xscale: str = "linear"
    yscale: str = "linear"
    linear: float = 1.0
    xlim: tuple[float | None, float | None] | None = None
    ylim: tuple[float | None, float | None] | None = None
    xticks: Mapping[float, str] | Sequence[float] | None = None
    yticks: Mapping[float, str] | Sequence[float] | None = None
    legend: str = ""
    legend_columns: int = 1
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plot:
    """A figure: panels in reading order, and one legend below them for all that have none of their own.

    Parameters
    ----------
    panels : sequence of Panel
        At least one.
    columns : int
        Panels side by side, >= 1.
    size : (float, float)
        Width and height of a panel in inches.
    title : str
        Above all panels.
    note : str
        Above the legend: over how many seeds, what bands are.
    legend_columns : int
        Entries side by side, >= 1.
    sharex, sharey : bool
        Whether all panels have the same axis, named at the outer ones only.
    heights : sequence of float, optional
        Of the rows, relative to each other; all the same if not given.
    """

    panels: Sequence[Panel]
    columns: int = 2
    size: tuple[float, float] = (3.6, 2.7)
    title: str = ""
    note: str = ""
    legend_columns: int = 2
    sharex: bool = False
    sharey: bool = False
    heights: Sequence[float] | None = None


def over_seeds(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    level: float = 0.95,
    limits: tuple[float, float] | None = None,
    hold: bool = True,
    **look: Any,
) -> Curve:
    """The mean of ``y`` over seeds against ``x``, with a confidence band for that mean.

    The band is Student's t-interval at every ``x``, mean ± t_{level, s-1} · sd/√s over the s seeds; with one
    seed there is a line only.

    Parameters
    ----------
    table : DataFrame
        Rows of one curve, with the columns ``seed``, ``x`` and ``y``; each (seed, x) at most once.
    x, y : str
        Names of numeric columns.
    level : float
        Confidence level, in (0, 1).
    limits : (float, float), optional
        The band is clipped to this range: ``(0, 1)`` for error rates.
    hold : bool
        Runs end at different times. If true, a seed keeps its last value after its end (and between its own
        points): right for training that has stopped because nothing can change any more. If false, the mean
        at an ``x`` is over the seeds that have a row there.
    **look
        The curve's other fields, for instance ``label`` and ``color``.

    Raises
    ------
    ValueError
        If a column is missing, the table is empty, or a (seed, x) comes twice (several curves were mixed).
    """
    level = checks.real("level", level, above=0.0, below=1)
    missing = {x, y, "seed"} - set(table.columns)
    if missing:
        raise RequestError(f"table must have the columns {x!r}, {y!r} and 'seed', it lacks {sorted(missing)}")
    if table.empty:
        raise RequestError("table must have at least one row, got none")
    if table.duplicated(["seed", x]).any():
        raise RequestError(f"table must hold each pair (seed, {x}) once: it mixes several curves")
    import numpy as np
    from scipy.special import stdtrit  # Student's quantile; scipy.stats would load 60 MB

    curves = table.pivot(index=x, columns="seed", values=y).astype(float).sort_index()
    if hold:
        curves = curves.ffill()
    curves = curves.dropna(how="all")
    seeds = curves.count(axis=1)
    mean = curves.mean(axis=1)
    quantile = stdtrit(np.maximum(seeds - 1, 1), 0.5 + level / 2)
    half = (quantile * curves.std(axis=1, ddof=1) / np.sqrt(seeds)).where(seeds > 1)
    low, high = mean - half, mean + half
    if limits is not None:
        low, high = low.clip(*limits), high.clip(*limits)
    return Curve(mean.index.to_numpy(), mean.to_numpy(), low.to_numpy(), high.to_numpy(), **look)
