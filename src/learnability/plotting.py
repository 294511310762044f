"""How every figure looks, and the one way in which seeds become a line with a confidence band.

Figures are made from :class:`matplotlib.figure.Figure` directly, never through ``pyplot``, and the style is a
context: nobody's global matplotlib settings, backend or open figures are touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from learnability import checks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLORS", "band", "panels", "style"]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito's palette, which stays distinct in the common forms of colour blindness."""


@contextmanager
def style() -> Iterator[None]:
    """The style of every figure, for as long as the context lasts.

    The sweep calls ``Experiment.figure`` and saves its figure within this context, so that an experiment
    needs to ask for nothing.
    """
    import matplotlib as mpl
    from cycler import cycler

    settings: Any = {
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.labelsize": 9,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.6,
        "axes.linewidth": 0.8,
        "lines.linewidth": 1.4,
        "axes.prop_cycle": cycler(color=COLORS),
        "figure.dpi": 100,
        "savefig.dpi": 150,
        "pdf.fonttype": 42,  # text stays text
    }
    with mpl.rc_context(settings):
        yield


def panels(
    rows: int = 1, columns: int = 1, *, width: float = 3.4, height: float = 2.6, **subplots: Any
) -> tuple[Figure, list[Axes]]:
    """A new figure with a grid of axes, in reading order.

    Parameters
    ----------
    rows, columns : int
        Shape of the grid, >= 1.
    width, height : float
        Size of one panel in inches, > 0.
    **subplots
        Passed to :meth:`matplotlib.figure.Figure.subplots`, for instance ``sharey=True``.
    """
    rows = checks.integer("rows", rows, at_least=1)
    columns = checks.integer("columns", columns, at_least=1)
    width, height = checks.real("width", width, above=0.0), checks.real("height", height, above=0.0)
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **subplots)
    return figure, list(axes.flat)


def band(
    ax: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    level: float = 0.95,
    limits: tuple[float, float] | None = None,
    hold: bool = True,
    **line: Any,
) -> pd.DataFrame:
    """Draw the mean of ``y`` over seeds against ``x``, with a confidence band for that mean.

    The band is Student's t-interval at every ``x``, mean ± t_{level, s-1} · sd/√s over the s seeds; with one
    seed there is a line only.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
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
    **line
        Passed to ``Axes.plot``, for instance ``label`` and ``color``.

    Returns
    -------
    DataFrame
        What was drawn: columns ``x``, ``mean``, ``low``, ``high``, ``seeds`` (``low`` and ``high`` NaN where
        there is one seed).

    Raises
    ------
    ValueError
        If a column is missing, the table is empty, or a (seed, x) comes twice (several curves were mixed).
    """
    level = checks.real("level", level, above=0.0)
    if level >= 1.0:
        raise ValueError(f"level must be < 1, got {level!r}")
    missing = {x, y, "seed"} - set(table.columns)
    if missing:
        raise ValueError(f"table must have the columns {x!r}, {y!r} and 'seed', it lacks {sorted(missing)}")
    if table.empty:
        raise ValueError("table must have at least one row, got none")
    if table.duplicated(["seed", x]).any():
        raise ValueError(f"table must hold each pair (seed, {x}) once: it mixes several curves")
    import numpy as np
    import pandas as pd
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
    (drawn,) = ax.plot(mean.index.to_numpy(), mean.to_numpy(), **line)
    if (seeds > 1).any():
        ax.fill_between(
            mean.index.to_numpy(), low.to_numpy(), high.to_numpy(),
            color=drawn.get_color(), alpha=0.2, linewidth=0, zorder=drawn.get_zorder() - 0.1,
        )  # fmt: skip
    return pd.DataFrame({"x": mean.index, "mean": mean, "low": low, "high": high, "seeds": seeds}).reset_index(
        drop=True
    )
