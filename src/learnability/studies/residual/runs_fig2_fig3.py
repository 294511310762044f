r"""What Figures 2 and 3 of Allen-Zhu & Li show and claim: test error against width, and the line k alpha^2.

The line is the error of knowing F and nothing of G. Every grid is chosen from by the validation sample and, as the
paper does, by the test sample (:func:`learnability.studies.residual.runs.chosen`). A claim that a network learns is
judged where the validation sample chose, one that a method does not learn where the test sample chose: each time the
choice against the claim.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

from learnability import plotting
from learnability.evidence.intervals import half_width
from learnability.evidence.tables import pick
from learnability.studies.residual import PAPER, claim
from learnability.studies.residual.runs import CLOSED, chosen, run
from learnability.study import Experiment, Scale
from learnability.theory import Guarantee

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NETWORKS = ("3resnet", "3layer", "2layer")
CHOICES = ("validation_error", "test_error")
"""Columns to choose by; the first is drawn by lines and filled marks, the second by open marks."""
FAILS = 0.5
"""In Figure 3 an error from this share of k alpha^2 counts as failing: with beta = 0 the output 0 is on the line."""


# Claims -------------------------------------------------------------------------------------------------------


def placed(table: pd.DataFrame, *, name: str, where: str, trained: str) -> list[Guarantee]:
    """Figure 2: 3resnet below the line at its largest width; no other network and no kernel below it at any."""
    best = {by: chosen(table, by) for by in CHOICES}
    line = _line(table)
    found = [_learnt(best, name, where, line, f"3resnet,{trained}", method=trained, network="3resnet")]
    for network in NETWORKS[1:]:
        found.append(_not_learnt(best, name, where, line, f"{network},{trained}", network=network, method=trained))
    for network in NETWORKS:
        for method in ("last", "ntk"):
            found.append(_not_learnt(best, name, where, line, f"{network},{method}", network=network, method=method))
    return found + [
        _not_learnt(best, name, where, line, f"closed,{method}", solver="closed", method=method) for method in CLOSED
    ]


def betas(table: pd.DataFrame, *, name: str, where: str, trained: str) -> list[Guarantee]:
    """Figure 3: 3resnet below the line with beta = 1, and failing where beta <= alpha."""
    best = {by: chosen(table, by) for by in CHOICES}
    line, alpha = _line(table), float(table["alpha"].iloc[0])
    found = []
    for beta in sorted(table["beta"].unique(), reverse=True):
        if beta == 1:
            found.append(_learnt(best, name, where, line, f"beta={beta:g}", beta=beta))
        elif beta <= alpha:
            found.append(_not_learnt(best, name, where, FAILS * line, f"beta={beta:g}", beta=beta))
    return found


def _line(table: pd.DataFrame) -> float:
    return float(table["d"].iloc[0]) / 2 * float(table["alpha"].iloc[0]) ** 2


def _means(rows: pd.DataFrame) -> str:
    """Mean errors by solver and width."""
    return ", ".join(
        f"{'' if solver == 'closed' else f'm={m} '}{solver} {group['test_error'].mean():.3f}"
        for (solver, m), group in rows.groupby(["solver", "m"])
    )


def _learnt(best: dict[str, pd.DataFrame], name: str, where: str, line: float, case: str, **cell: Any) -> Guarantee:
    rows = pick(best["validation_error"], solver="sgd", **cell)
    id = f"{name}/learns[{case}]"
    if rows.empty:
        return claim(id, where, line, None, "at_most", "every run diverged")
    by_test = _means(pick(best["test_error"], solver="sgd", **cell))
    m = int(rows["m"].max())
    errors = pick(rows, m=m)["test_error"]
    mean, half = float(errors.mean()), half_width(errors)
    holds, fails = mean + half <= line, mean - half > line
    note = (
        f"test error at the largest width, {m}: {mean:.3f} +- {half:.3f} (95 % over {len(errors)} seeds)"
        f"{'' if holds or fails else ', too wide to tell'}; chosen on the validation sample: {_means(rows)}; chosen "
        f"on the test sample, as in the paper: {by_test}"
    )
    measured = mean + half if holds else mean - half if fails else None
    return claim(id, where, line, measured, "at_most", note)


def _not_learnt(
    best: dict[str, pd.DataFrame], name: str, where: str, line: float, case: str, **cell: Any
) -> Guarantee:
    rows = pick(best["test_error"], **cell)
    id = f"{name}/not-below[{case}]"
    if rows.empty:
        return claim(id, where, line, None, "at_least", "every run diverged")
    by_validation = _means(pick(best["validation_error"], **cell))
    groups = [group["test_error"] for _, group in rows.groupby(["solver", "m"])]
    errors = min(groups, key=lambda group: float(group.mean()))
    mean, half = float(errors.mean()), half_width(errors)
    holds, fails = mean - half > line, mean + half <= line
    note = (
        f"least mean test error of any width and solver: {mean:.3f} +- {half:.3f} (95 % over {len(errors)} seeds)"
        f"{'' if holds or fails else ', too wide to tell'}; chosen on the test sample: {_means(rows)}; chosen on the "
        f"validation sample: {by_validation}"
    )
    measured = mean - half if holds else mean + half if fails else None
    return claim(id, where, line, measured, "at_least", note)


# Figures ------------------------------------------------------------------------------------------------------


def width_figure(table: pd.DataFrame, *, trained: str) -> Figure:
    """Figure 2: test error against width, networks and kernels."""
    fig, (ax,) = plotting.panels(width=8.0, height=6.4)
    best = {by: chosen(table, by) for by in CHOICES}
    for color, network in zip(plotting.COLORS, NETWORKS, strict=False):
        for by in CHOICES:
            _curve(ax, best, by, color, f"{network} ({trained})", solver="sgd", network=network, method=trained)
        for method, dash in (("last", "--"), ("ntk", ":")):
            exact = pick(best["validation_error"], solver="regression", network=network, method=method)
            label = f"{network} ({method if method == 'last' else 'NTK'}), solved"
            _mean(ax, exact, dash, color=color, linewidth=1, label=label)
            by_sgd = pick(best["validation_error"], solver="sgd", network=network, method=method)
            mark, word = ("x", "last") if method == "last" else ("+", "NTK")
            _mean(ax, by_sgd, mark, color=color, markersize=6, label=f"{network} ({word}), by SGD")
    looks = itertools.product(("#999999", plotting.COLORS[5]), ("-", "--", "-.", ":"))
    for (color, style), (method, label) in zip(looks, CLOSED.items(), strict=True):
        rows = pick(best["validation_error"], solver="closed", method=method)
        ax.axhline(rows["test_error"].mean(), color=color, linewidth=1, linestyle=style, label=label)
    _finish(fig, ax, table, 3)
    return fig


def beta_figure(table: pd.DataFrame, *, trained: str) -> Figure:
    """Figure 3: test error of 3resnet against width, for each beta."""
    fig, (ax,) = plotting.panels(width=6.0, height=5.0)
    best = {by: chosen(table, by) for by in CHOICES}
    for color, beta in zip(plotting.COLORS, sorted(table["beta"].unique(), reverse=True), strict=False):
        for by in CHOICES:
            _curve(ax, best, by, color, f"3resnet ({trained}), β = {beta:g}", solver="sgd", beta=beta)
    _finish(fig, ax, table, 2)
    return fig


def _curve(ax: Axes, best: dict[str, pd.DataFrame], by: str, color: str, label: str, **cell: Any) -> None:
    rows = pick(best[by], **cell)
    if rows.empty:
        return
    if by == "test_error":
        _mean(ax, rows, "o", color=color, markersize=7, markerfacecolor="none")
        return
    over = rows.groupby("m")["test_error"]
    ax.fill_between(over.min().index, over.min(), over.max(), color=color, alpha=0.15, linewidth=0)
    _mean(ax, rows, "o-", color=color, markersize=4, label=label)


def _mean(ax: Axes, rows: pd.DataFrame, form: str, **line: Any) -> None:
    """Mean test error over seeds against width."""
    means = rows.groupby("m")["test_error"].mean()
    if len(means):
        ax.plot(means.index, means, form, **line)


def _finish(fig: Figure, ax: Axes, table: pd.DataFrame, columns: int) -> None:
    first, line = table.iloc[0], _line(table)
    k = int(first["d"]) // 2
    ax.axhline(line, color="black", linewidth=0.9, linestyle=(0, (1, 1)), label=f"F, nothing of G: k α² = {line:.3g}")
    if table["beta"].nunique() == 1:
        zero = line + k * float(first["beta"]) ** 2
        ax.axhline(zero, color="#bbbbbb", linewidth=3, zorder=0, label=f"output 0: {zero:.4g}")
    ax.set(xscale="log", yscale="log", xlabel="width m", ylabel="test error E‖out − H‖²")
    widths = sorted(int(m) for m in table["m"].unique() if m > 0)
    ax.set_xticks(widths, [f"{m:,}" for m in widths])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter("{x:g}")
    seeds = int(table["seed"].nunique())
    by_sgd = pick(table, solver="sgd")
    linear = by_sgd["method"].isin(("last", "ntk"))
    grid = f"learning rates {_tried(by_sgd[~linear], 'learning_rate')}"
    grid += f"; weight decays {_tried(by_sgd[~linear], 'weight_decay')}"
    if linear.any():
        grid += f"\nlast and NTK by SGD: learning rates {_tried(by_sgd[linear], 'learning_rate')}"
    fig.legend(
        *ax.get_legend_handles_labels(), loc="outside lower center", ncols=columns, title_fontsize=8,
        title="lines and filled marks: hyper-parameters chosen on a validation sample; open: on the test sample\n"
        f"mean over {seeds} seed{'s, bands: from the least to the largest' if seeds > 1 else ''}\n"
        f"{grid}",
    )  # fmt: skip
    target = "H = F + αG(F)" if (table["beta"] == 1).all() else "H = βF + αG(F)"
    ax.set_title(
        f"{target}, α = {first['alpha']:g}, d = {first['d']}, N = {int(first['samples']):,}, "
        f"{int(table['epochs'].max())} epochs"
    )


def _tried(table: pd.DataFrame, column: str) -> str:
    return ", ".join(f"{value:g}" for value in sorted(table[column].unique()))


# Experiments --------------------------------------------------------------------------------------------------


def experiment(
    *,
    name: str,
    where: str,
    title: str,
    trained: str,
    scales: dict[str, Scale],
    by_beta: bool = False,
) -> Experiment:
    """Figure 2's experiment, or with ``by_beta`` Figure 3's; ``trained`` is "all" or "hidden"."""
    return Experiment(
        title=title,
        source=f"{PAPER}, {where}",
        revision=1,
        scales=scales,
        run=run,
        figure=partial(beta_figure if by_beta else width_figure, trained=trained),
        claims=partial(betas if by_beta else placed, name=name, where=where, trained=trained),
    )
