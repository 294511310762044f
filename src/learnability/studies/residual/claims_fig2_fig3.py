r"""What Figures 2 and 3 of Allen-Zhu & Li show and claim: test error against width, and the line k alpha^2.

The line is the error of knowing F and nothing of G. Every grid is chosen from by the validation sample and, as the
paper does, by the test sample (:func:`learnability.studies.residual.runs.chosen`). A claim that a network learns is
judged where the validation sample chose, one that a method does not learn where the test sample chose: each time the
choice against the claim.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability.evidence.intervals import at_all, mean
from learnability.evidence.tables import pick, values
from learnability.plotting import COLORS, Curve, Line, Panel, Plot, Words
from learnability.studies.residual import PAPER, claim, project
from learnability.studies.residual.runs import CLOSED, chosen, needs, run
from learnability.study import Experiment, Scale
from learnability.theory import Guarantee

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from learnability.plotting.plot import Item

NETWORKS = ("3resnet", "3layer", "2layer")
CHOICES = ("validation_error", "test_error")
"""Columns to choose by; the first is drawn by lines and filled marks, the second by open marks."""
METHOD = ["solver", "network", "method", "m"]
"""What tells apart methods at a width."""
HALF = 0.5
"""In Figure 3 an error of at most this share of k alpha^2 is learning and a larger one failing: with beta = 0 the
output 0 is on the line itself."""


# Claims -------------------------------------------------------------------------------------------------------


def placed(table: pd.DataFrame, *, name: str, where: str, trained: str) -> list[Guarantee]:
    """Figure 2: 3resnet below the line at its largest width; no other network and no kernel below it at any.

    And kernels "fall far behind": at every width they are above every trained network at its largest.
    """
    best = {by: chosen(table, by) for by in CHOICES}
    below, not_below = (partial(of, best, name, where, _line(table)) for of in (_learnt, _not_learnt))
    linear = {
        by: rows[(rows["solver"] == "closed") | rows["method"].isin(("last", "ntk"))] for by, rows in best.items()
    }
    closed = {by: pick(rows, solver="closed") for by, rows in linear.items()}
    of_networks = {by: rows[rows["solver"] != "closed"] for by, rows in linear.items()}
    return [
        below(f"3resnet,{trained}", method=trained, network="3resnet"),
        *(not_below(f"{network},{trained}", network=network, method=trained) for network in NETWORKS[1:]),
        _not_learnt(of_networks, name, where, _line(table), "kernels of networks"),
        _not_learnt(closed, name, where, _line(table), "kernels in closed form"),
        _behind(linear["test_error"], pick(best["validation_error"], method=trained), name, where),
    ]


def _behind(kernels: pd.DataFrame, trained: pd.DataFrame, name: str, where: str) -> Guarantee:
    """Every kernel against the trained network that ends worst, seed by seed."""
    ends = [pick(rows, m=rows["m"].max()) for _, rows in trained.groupby("network")]
    worst = max(ends, key=lambda rows: float(rows["test_error"].mean()), default=trained)
    beside = worst.set_index("seed")["test_error"]
    apart = [
        (rows.set_index("seed")["test_error"] - beside, f"{network} {method}".removeprefix("none "))
        for (_, network, method, _), rows in kernels.groupby(METHOD)
    ]
    least = at_all([mean(d, comparisons=len(apart)) for d, _ in apart], "at_least", "least mean difference")
    _, nearest = min(((float(d.mean()), said) for d, said in apart), default=(0.0, "none"))
    note = f"test error of a kernel less that of {worst['network'].max()} at its largest width; nearest {nearest}"
    return claim(f"{name}/behind[kernels]", where, 0.0, least, "at_least", note)


def betas(table: pd.DataFrame, *, name: str, where: str, trained: str) -> list[Guarantee]:
    """Figure 3: 3resnet learns where beta > alpha and fails where beta < alpha, with samples enough.

    The paper's "alpha about beta or less", "or larger" leave both to beta = alpha: what comes out there stands in the
    note of the next beta below. The paper prints no N. Where the table has several, "learns" is claimed of the
    largest, and of smaller ones, by this project, that at the largest width they are too few for betas between alpha
    and 1.
    """
    sizes, alpha = values(table, "samples"), float(table["alpha"].iloc[0])
    found = []
    for N in reversed(sizes):
        part = pick(table, samples=N)
        best = {by: chosen(part, by) for by in CHOICES}
        line, shown = HALF * _line(part), values(part, "beta")
        size, boundary = f",N={N}" if len(sizes) > 1 else "", _at_boundary(best, alpha, shown)
        for beta in reversed(shown):
            case = f"beta={beta:g}{size}"
            if beta > alpha and (beta >= 1 or max(sizes) == N):
                found.append(_learnt(best, name, where, line, case, beta=beta))
            elif beta > alpha:
                found.append(_too_few(best, name, where, line, case, beta))
            elif beta < alpha:
                found.append(_not_learnt(best, name, where, line, case, more=boundary, beta=beta))
                boundary = ""
    return found


def _at_boundary(best: dict[str, pd.DataFrame], alpha: float, shown: list[float]) -> str:
    at = [beta for beta in shown if beta == alpha]
    return f"on the boundary, beta = alpha, where nothing is claimed: {_both(best, beta=at[0])}" if at else ""


def _line(table: pd.DataFrame) -> float:
    return float(table["d"].iloc[0]) / 2 * float(table["alpha"].iloc[0]) ** 2


def _learnt(best: dict[str, pd.DataFrame], name: str, where: str, line: float, case: str, **cell: Any) -> Guarantee:
    rows = pick(best["validation_error"], solver="sgd", **cell)
    errors = pick(rows, m=rows["m"].max())["test_error"]
    return claim(
        f"{name}/learns[{case}]", where, line, mean(errors, what="mean test error at the largest width"), "at_most",
        _both(best, solver="sgd", **cell),
    )  # fmt: skip


def _not_learnt(
    best: dict[str, pd.DataFrame],
    name: str,
    where: str,
    line: float,
    case: str,
    more: str = "",
    **cell: Any,
) -> Guarantee:
    groups = [group["test_error"] for _, group in pick(best["test_error"], **cell).groupby(METHOD)]
    means = [mean(errors, comparisons=len(groups)) for errors in groups]
    least = at_all(means, "at_least", "least mean test error")
    note = "; ".join(filter(None, [_both(best, **cell), more]))
    return claim(f"{name}/not-below[{case}]", where, line, least, "at_least", note)


def _too_few(best: dict[str, pd.DataFrame], name: str, where: str, line: float, case: str, beta: float) -> Guarantee:
    rows = pick(best["test_error"], beta=beta)
    errors = mean(pick(rows, m=rows["m"].max())["test_error"], what="mean test error at the largest width")
    return project(f"{name}/too-few[{case}]", where, line, errors, "at_least", _both(best, beta=beta))


def _both(best: dict[str, pd.DataFrame], **cell: Any) -> str:
    """Mean errors, for both choices."""
    names = {"validation_error": "on the validation sample", "test_error": "on the test sample, as in the paper"}
    return "; ".join(f"chosen {name}: {_means(pick(best[by], **cell))}" for by, name in names.items())


def _means(rows: pd.DataFrame) -> str:
    """By width; of several methods the least over widths."""
    found: dict[str, dict[Any, float]] = {}
    for (solver, network, method, m), group in rows.groupby(METHOD):
        name = f"{network} {method}".removeprefix("none ") + " by SGD" * (solver == "sgd")
        found.setdefault(name, {})[m] = group["test_error"].mean()
    if len(found) == 1:
        said = [f"m={m} {error:.3g}" for errors in found.values() for m, error in errors.items()]
    else:
        least = sorted((min(errors.values()), name) for name, errors in found.items())
        said = [f"{name} {error:.3g}" for error, name in least]
    return ", ".join(said) or "every run diverged"


# Figures ------------------------------------------------------------------------------------------------------


def width_figure(table: pd.DataFrame, *, trained: str) -> Plot:
    """Figure 2: test error against width, networks on the left and kernels on the right."""
    best, items = {by: chosen(table, by) for by in CHOICES}, _lines(table)
    for color, network in zip(COLORS, NETWORKS):
        items += _curves(best, color, network, network=network, method=trained)
    networks = _panel(items, f"networks ({trained} layers trained)", _widths(table))
    return _plot(table, networks, _kernels(table, best["validation_error"]))


def _kernels(table: pd.DataFrame, best: pd.DataFrame) -> Panel:
    """Those of networks against width, and beyond the largest those in closed form."""
    items, widths = _lines(table), _widths(table)
    for method, dash, mark, word in (("last", "--", "x", "last layer"), ("ntk", ":", "+", "NTK")):
        for width, color, network in zip((2.8, 1.4, 1.0), COLORS, NETWORKS):  # they cover each other, nearly
            rows = pick(best, network=network, method=method)
            look: dict[str, Any] = {"color": color, "linewidth": width}
            label = f"{word}, {network}"
            items.append(_mean(pick(rows, solver="regression"), linestyle=dash, label=label, direct=True, **look))
            items.append(_mean(pick(rows, solver="sgd"), linestyle="", marker=mark, markersize=6, **look))
        if len(pick(best, method=method, solver="sgd")):
            items.append(Curve([], [], label=f"{word} by SGD", color="#555555", linestyle="", marker=mark))
    beyond = 16.0 * max(widths)
    for method, label in CLOSED.items():
        errors = pick(best, solver="closed", method=method)["test_error"]
        items.append(
            Curve(
                [beyond], [errors.mean()], [errors.min()], [errors.max()], label=label, color=COLORS[6], linestyle="",
                marker="D", markersize=3, bars=True, direct=True,
            )
        )  # fmt: skip
    panel = _panel(items, "kernels, solved; of networks and in closed form", {**widths, beyond: "closed\nform"})
    return replace(panel, legend="center left")


def beta_figure(table: pd.DataFrame, *, trained: str) -> Plot:
    """Figure 3: test error of 3resnet against width, for each beta; a panel for each size of the sample."""
    sizes, alpha, shown = values(table, "samples"), float(table["alpha"].iloc[0]), values(table, "beta")
    items: dict[int, list[Item]] = {}
    for N in reversed(sizes):
        part = pick(table, samples=N)
        best, items[N] = {by: chosen(part, by) for by in CHOICES}, _lines(part)
        for color, beta in zip(COLORS, reversed(shown)):
            items[N] += _curves(best, color, f"β = {beta:g}" + (" = α" if beta == alpha else ""), beta=beta)
    every = [item for found in items.values() for item in found]
    name = f"3resnet ({trained} layers trained)"
    return _plot(table, *(_panel(found, f"{name}, N = {N:,}", _widths(table), every) for N, found in items.items()))


def _lines(table: pd.DataFrame) -> list[Item]:
    """What knowing F and nothing of G leaves, and what the output 0 does where it is one number."""
    line, k, betas = _line(table), int(table["d"].iloc[0]) // 2, values(table, "beta")
    look = {"ha": "right", "va": "top"}  # under the line, as what stays above it ends close to it
    found: list[Item] = [
        Line(y=line, color="black", linestyle=(0, (1, 1))),
        Words(max(_widths(table)), 0.95 * line, f"F, nothing of G: kα² = {line:.3g}", look),
    ]
    if len(betas) > 1:
        return found
    zero = line + k * float(betas[0]) ** 2
    label = f"output 0: {zero:.4g}"
    return [*found, Line(y=zero, label=label, color="#999999", linestyle="-", linewidth=3, direct=True)]


def _curves(best: dict[str, pd.DataFrame], color: str, label: str, **cell: Any) -> list[Item]:
    """By either choice; the band is from the least to the largest of the seeds."""
    rows, by_test = (pick(best[by], solver="sgd", **cell) for by in CHOICES)
    errors = rows.groupby("m")["test_error"]
    return [
        _mean(rows, low=errors.min(), high=errors.max(), color=color, marker="o", label=label, direct=True),
        _mean(by_test, color=color, linestyle="", marker="o", markersize=7, hollow=True),
    ]


def _mean(rows: pd.DataFrame, **look: Any) -> Curve:
    """Mean test error over seeds against width."""
    means = rows.groupby("m")["test_error"].mean()
    return Curve(means.index.to_numpy(), means.to_numpy(), **look)


def _widths(table: pd.DataFrame) -> dict[float, str]:
    return {float(m): f"{m:,}" for m in values(table, "m") if m > 0}


def _panel(items: list[Item], title: str, widths: dict[float, str], beside: Sequence[Item] = ()) -> Panel:
    """``beside``: what stands in panels next to it, which have the same axis."""
    given = [getattr(item, name, None) for item in (*items, *beside) for name in ("y", "low", "high")]
    drawn = np.hstack([np.asarray(numbers, dtype=float) for numbers in given if numbers is not None])
    low, high = math.log10(np.nanmin(drawn)), math.log10(np.nanmax(drawn))
    steps = (1,) if high - low > 1.5 else (1, 2, 5)
    ticks = [step * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    shown = {tick: f"{tick:g}" for tick in ticks if low <= math.log10(tick) <= high}
    return Panel(
        items, title=title, xlabel="width m", ylabel="test error E‖out − H‖²", xscale="log", yscale="log",
        xticks=widths, yticks=shown, ylim=(10**low / 1.4, 1.7 * 10**high),
    )  # fmt: skip


def _plot(table: pd.DataFrame, *panels: Panel) -> Plot:
    first, seeds = table.iloc[0], int(table["seed"].nunique())
    trained = table[(table["solver"] == "sgd") & ~table["method"].isin(("last", "ntk"))]
    grid = f"rates {_tried(trained, 'learning_rate')}, decays {_tried(trained, 'weight_decay')}"
    size = f", N = {int(first['samples']):,}" if table["samples"].nunique() == 1 else ""
    target = "H = F + αG(F)" if (table["beta"] == 1).all() else "H = βF + αG(F)"
    return Plot(
        panels,
        columns=len(panels),
        size=(4.6, 3.8) if len(panels) > 1 else (6.0, 4.2),
        title=f"{target}, α = {first['alpha']:g}, d = {first['d']}{size}, {int(table['epochs'].max())} epochs",
        note=f"hyper-parameters ({grid}) chosen on a validation sample (lines, filled), on the test sample (open)\n"
        f"mean over {seeds} seed{'s, bands and bars: from the least to the largest' if seeds > 1 else ''}",
    )


def _tried(table: pd.DataFrame, column: str) -> str:
    """How many numbers were tried, and their ends."""
    tried = values(table, column)
    return f"{tried[0]:g}" if len(tried) == 1 else f"{len(tried)} from {tried[0]:g} to {tried[-1]:g}"


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
        needs=needs,
        figure=partial(beta_figure if by_beta else width_figure, trained=trained),
        claims=partial(betas if by_beta else placed, name=name, where=where, trained=trained),
    )
