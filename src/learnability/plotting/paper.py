"""Figures for paper, by matplotlib: a :class:`~learnability.plotting.plot.Plot` drawn, or axes for what is none."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from learnability import checks
from learnability.plotting.environment import style
from learnability.plotting.plot import COLORS, Curve, HeatMap, Line, Panel, Plot, Words, over_seeds
from learnability.plotting.words import HIDDEN, worded, wrapped

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["band", "draw", "drawn", "panels"]


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
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **subplots)
    return figure, list(axes.flat)


def draw(plot: Plot, data: Iterable[str] = ()) -> Figure:
    """The figure for paper; ``data`` are texts of the user's, which hold no mathematics."""
    with style():
        return _drawn(worded(plot, data))


def _drawn(plot: Plot) -> Figure:
    columns = min(plot.columns, len(plot.panels))
    rows = -(-len(plot.panels) // columns)
    width, height = plot.size
    figure, axes = panels(
        rows, columns, width=width, height=height, height_ratios=plot.heights, sharex=plot.sharex, sharey=plot.sharey
    )
    entries: dict[str, Any] = {}
    bars: dict[Any, list[Any]] = {}  # pictures that share a colour bar, and their axes
    names: list[list[Any]] = []
    for number, (ax, panel) in enumerate(zip(axes, plot.panels)):
        names.append([])
        plain = itertools.cycle(COLORS)
        for item in panel.items:
            if isinstance(item, Curve) and not item.color:
                item = replace(item, color=next(plain))
            drawn = _DRAWN[type(item)](ax, item)
            if isinstance(item, HeatMap) and item.label:
                shared = (item.label, item.colors, item.log, item.limits or number)
                bars.setdefault(shared, []).append((drawn, ax))
            elif isinstance(item, Curve) and drawn is not None:
                names[-1].append(drawn)
        _finish(ax, panel)
        handles, labels = ax.get_legend_handles_labels()
        if panel.legend and handles:
            _legend(ax, handles, labels, 7, loc=panel.legend, ncols=panel.legend_columns, columnspacing=1.0)
        elif not panel.legend:
            for handle, label in zip(handles, labels):
                entries.setdefault(label, handle)
    for (label, *_), found in bars.items():
        images, around = zip(*found)
        figure.colorbar(images[0], ax=around, label=label, shrink=0.7 if len(found) > 1 else 1.0)
    for ax in axes[len(plot.panels) :]:
        ax.set_visible(False)
    if plot.title:
        figure.suptitle(_wrapped(figure, plot.title, 10), fontsize=10)
    if entries:
        _legend(
            figure, entries.values(), entries, 8, loc="outside lower center", ncols=plot.legend_columns,
            title=_wrapped(figure, plot.note, 8) or None, title_fontsize=8,
        )  # fmt: skip
    elif plot.note:
        figure.supxlabel(_wrapped(figure, plot.note, 8), fontsize=8)
    if any(len(labels) > 1 for labels in names):
        figure.draw_without_rendering()  # the layout decides how near to each other they are
        for labels in names:
            _spread(labels)
    return figure


def _legend(place: Figure | Axes, handles: Iterable[Any], labels: Iterable[str], points: float, **look: Any) -> None:
    """A legend in which every label is, one that begins with ``_`` too."""
    figure, labels = place.get_figure(), list(labels)
    legend = place.legend(list(handles), ["-"] * len(labels), fontsize=points, **look)
    for text, label in zip(legend.get_texts(), labels):
        text.set_text(_wrapped(figure, label.removeprefix(HIDDEN), points))


def _wrapped(figure: Any, text: str, points: float) -> str:
    """A text in lines that are no longer than the figure is wide: a letter takes half its height on the average."""
    return wrapped(text, int(figure.get_figwidth() * 72 / (0.52 * points)))


def drawn(figure: Plot | Figure, data: Iterable[str] = ()) -> Figure:
    """The figure for paper of whatever an experiment gives; ``data`` are texts of the user's."""
    return draw(figure, data) if isinstance(figure, Plot) else figure


def _curve(ax: Axes, curve: Curve) -> Any:
    """Draw it, and return the label at its end if it has one."""
    import numpy as np

    color = curve.color or COLORS[0]
    label = curve.label if curve.label and not curve.direct else "_"
    look: dict[str, Any] = {
        "color": color,
        "linestyle": curve.linestyle or "none",
        "marker": curve.marker or None,
        "linewidth": curve.linewidth,
        "markersize": curve.markersize,
        "markerfacecolor": "none" if curve.hollow else color,
        "alpha": curve.alpha,
        "label": label,
    }
    x, y = np.asarray(curve.x, dtype=float), np.asarray(curve.y, dtype=float)
    if curve.low is None or curve.high is None:
        ax.plot(x, y, **look)
    else:
        low, high = np.asarray(curve.low, dtype=float), np.asarray(curve.high, dtype=float)
        if curve.bars:
            look |= {"capsize": 0.75 * curve.markersize, "elinewidth": 1.0}
            ax.errorbar(x, y, yerr=np.maximum(0.0, [y - low, high - y]), **look)
        else:
            (drawn,) = ax.plot(x, y, **look)
            if np.isfinite(low).any():
                order = drawn.get_zorder() - 0.1
                ax.fill_between(x, low, high, color=color, alpha=0.2 * curve.alpha, linewidth=0, zorder=order)
    shown = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if not (curve.direct and curve.label and shown.size):
        return None
    from matplotlib.patheffects import withStroke

    return ax.annotate(
        curve.label, (x[shown[-1]], y[shown[-1]]), xytext=(5, 0), textcoords="offset points", va="center",
        color=color, fontsize=7, annotation_clip=False,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )  # fmt: skip


def _spread(labels: list[Any]) -> None:
    """Move labels at the ends of curves up or down, as little as need be, until none is on another."""
    rest = sorted(((label.get_window_extent(), label) for label in labels), key=lambda pair: float(pair[0].y0))
    while rest:
        left, right = rest[0][0].x0, rest[0][0].x1
        column = [(box, label) for box, label in rest if box.x0 <= right and box.x1 >= left]
        rest = [pair for pair in rest if pair not in column]
        height = 1.05 * max(box.height for box, _ in column)
        blocks: list[list[float]] = []  # of labels that touch: where the lowest would stand, and their number
        for place, (box, _) in enumerate(column):
            blocks.append([box.y0 - place * height, 1])
            while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
                (low, below), (high, above) = blocks[-2:]
                blocks[-2:] = [[(low * below + high * above) / (below + above), below + above]]
        wanted = [at for at, count in blocks for _ in range(int(count))]
        for place, ((box, label), at) in enumerate(zip(column, wanted)):
            across, up = label.xyann
            label.xyann = (across, up + (at + place * height - box.y0) * 72 / label.figure.dpi)


def _line(ax: Axes, line: Line) -> None:
    label = line.label if line.label and not line.direct else "_"
    look: dict[str, Any] = {
        "color": line.color,
        "linestyle": line.linestyle,
        "linewidth": line.linewidth,
        "label": label,
    }
    if line.y is not None:
        ax.axhline(line.y, **look)
    if line.x is not None:
        ax.axvline(line.x, **look)
    if line.direct and line.label:
        across = line.y is not None
        ax.annotate(
            line.label,
            (1.0, line.y) if across else (line.x, 1.0),
            xycoords=("axes fraction", "data") if across else ("data", "axes fraction"),
            xytext=(-2, 2) if across else (2, -2),
            textcoords="offset points",
            ha="right" if across else "left",
            va="bottom" if across else "top",
            fontsize=7,
            color=line.color,
        )


def _heat_map(ax: Axes, heat: HeatMap) -> Any:
    import numpy as np
    from matplotlib.colors import LogNorm, Normalize

    values = np.asarray(heat.values, dtype=float)
    low, high = heat.limits or (float(np.nanmin(values)), float(np.nanmax(values)))
    norm = (LogNorm if heat.log else Normalize)(low, high)
    image = ax.imshow(values, origin="lower", aspect="auto", cmap=heat.colors, norm=norm, interpolation="nearest")
    ax.set_xticks(range(len(heat.columns)), list(heat.columns))
    ax.set_yticks(range(len(heat.rows)), list(heat.rows))
    ax.grid(False)
    if not (heat.columns or heat.rows):
        ax.set_axis_off()
        ax.set_aspect("equal")
    if heat.text:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                red, green, blue, _ = image.cmap(norm(value))
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
                ax.text(
                    column, row, heat.text.format(value), ha="center", va="center", fontsize=7,
                    color="white" if dark else "black",
                )  # fmt: skip
    return image


def _words(ax: Axes, words: Words) -> None:
    ax.text(words.x, words.y, words.text, **{"fontsize": 7, **words.look})


_DRAWN: dict[type, Any] = {Curve: _curve, Line: _line, HeatMap: _heat_map, Words: _words}


def _finish(ax: Axes, panel: Panel) -> None:
    """Titles, scales, ends and ticks of a panel."""
    heat = any(isinstance(item, HeatMap) for item in panel.items)
    if not heat:  # a heat map has its own
        for scale, set_scale in ((panel.xscale, ax.set_xscale), (panel.yscale, ax.set_yscale)):
            set_scale(scale, **({"linthresh": panel.linear} if scale == "symlog" else {}))
    ax.set(title=panel.title, xlabel=panel.xlabel, ylabel=panel.ylabel, **panel.more)
    if panel.xlim is not None:
        ax.set_xlim(*panel.xlim)
    if panel.ylim is not None:
        ax.set_ylim(*panel.ylim)
    for ticks, axis in ((panel.xticks, ax.xaxis), (panel.yticks, ax.yaxis)):
        if ticks is not None:
            from matplotlib.ticker import NullLocator

            axis.set_ticks(list(ticks), list(ticks.values()) if isinstance(ticks, Mapping) else None)
            axis.set_minor_locator(NullLocator())
    if panel.xscale == "linear" and panel.xticks is None and not heat:
        ax.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4), useMathText=True)


def band(ax: Axes, table: pd.DataFrame, x: str, y: str, **options: Any) -> Curve:
    """Draw :func:`over_seeds` into matplotlib's axes: for figures that are no :class:`Plot`."""
    curve = over_seeds(table, x, y, **options)
    _curve(ax, curve)
    return curve
