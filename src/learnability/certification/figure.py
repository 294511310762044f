"""The picture of a certification: updates and test error against width, with the bounds drawn in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from learnability.certification.runs import ALL, PART
from learnability.plotting import COLORS, band, panels, style
from learnability.training.record import Outcome

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from learnability.theory import Guarantee

__all__ = ["draw"]


def draw(
    runs: Sequence[Mapping[str, Any]],
    guarantees: Sequence[Guarantee],
    *,
    title: str,
    tests: int,
    left_out: int,
) -> Figure:
    """Two panels, made from runs, with what the test sample says of each, and guarantees.

    ``tests`` is the number of test examples, ``left_out`` that of training examples without which the rest of them
    is separable.
    """
    import pandas as pd

    table = pd.DataFrame(list(runs))
    curves = _curves(table, left_out) if len(table) else []
    with style():
        figure, (left, right) = panels(1, 2, width=4.3, height=3.5)
        figure.suptitle(title, fontsize=9)
        for ax in (left, right):
            ax.set_xscale("log")
            ax.set_xlabel("hidden units 2k")
        left.set_yscale("log")
        # Linear below the error of one mistake: no mistake has its place at the bottom.
        right.set_yscale("symlog", linthresh=1 / max(tests, 1), linscale=0.4)
        left.set_ylabel("updates of SGD")
        right.set_ylabel("error")
        if curves:
            widths = sorted(set(table["width"]))
            room = 1.6 if len(widths) > 1 else 3.0
            for ax in (left, right):
                ax.set_xlim(widths[0] / room, widths[-1] * room)
                ax.set_xticks(widths, [f"{width:,}" for width in widths])
                ax.minorticks_off()
            _updates(left, curves, guarantees, left_out)
            _errors(right, curves, guarantees, tests, left_out)
            for ax in (left, right):
                ax.legend(loc="upper left", bbox_to_anchor=(0.0, -0.2), ncols=1)
    return figure


_Curves = list[tuple[str, str, "pd.DataFrame"]]
"""What was trained on, a label for it, and its rows."""


def _curves(table: pd.DataFrame, left_out: int) -> _Curves:
    labels = {ALL: ", all examples" if left_out else "", PART: f", {left_out:,} left out"}
    return [(data, labels[data], rows) for data in (ALL, PART) if len(rows := table[table["data"] == data])]


def _updates(ax: Axes, curves: _Curves, guarantees: Sequence[Guarantee], left_out: int) -> None:
    ax.set_title("(a) non-zero updates", loc="left")
    for (_, label, rows), color in zip(curves, COLORS):
        ended = (rows["outcome"] == Outcome.CONVERGED).all()
        more = "" if ended else " (△ stopped)"
        limits = (max(rows["updates"].min() / 2, 1.0), math.inf)  # a log axis has no place for less
        band(
            ax, rows, "width", "updates", hold=False, limits=limits,
            color=color, marker="o", label=f"SGD{label}{more}",
        )  # fmt: skip
        open_ends = rows[rows["outcome"] != Outcome.CONVERGED]
        if len(open_ends):
            ax.plot(open_ends["width"], open_ends["updates"], ls="", marker="^", mfc="white", color=color, ms=6)
    second, third = _find(guarantees, "separable/thm2["), _find(guarantees, "separable/cor3[all")
    _line(ax, second, COLORS[1 + bool(left_out)], "-", "Theorem 2, w* of the training data")
    _line(ax, third, COLORS[3], "--", "Corollary 3, w* of all examples")
    low, high = ax.get_ylim()
    ax.set_ylim(low / 2, high * 2)


def _errors(ax: Axes, curves: _Curves, guarantees: Sequence[Guarantee], tests: int, left_out: int) -> None:
    ax.set_title(f"(b) error on {tests:,} test examples", loc="left")
    for (data, label, rows), color in zip(curves, COLORS):
        if tests:
            errors = rows.astype({"test_error": float})
            band(
                ax, errors, "width", "test_error", hold=False, limits=(0.0, 1.0),
                color=color, marker="o", label=f"SGD{label}",
            )  # fmt: skip
            ax.lines[-1].set_clip_on(False)  # no error at all lies on the axis
            limits = rows.astype({"holdout_bound": float}).groupby("width")["holdout_bound"].max()
            ax.plot(
                limits.index, limits, ls="", marker="_", color=color, ms=9,
                label=f"limit by the test sample itself{label}",
            )  # fmt: skip
        for prefix, style_, text in (
            ("separable/thm5[examples", "--", "Theorem 5"),
            ("separable/compression-consistent[examples", "-.", "sharper for $L_V = 0$"),
        ):
            points = [
                (width, g.bound, all(h.holds for h in g.hypotheses))
                for width in sorted(set(rows["width"]))
                if (g := _find(guarantees, f"{prefix},2k={width}" + (f",{data}]" if left_out else "]"))) is not None
                and g.bound is not None
            ]
            applies = all(holds for *_, holds in points)
            if not points or (not applies and "consistent" in prefix):
                continue
            ax.plot(
                [width for width, *_ in points],
                [bound for _, bound, _ in points],
                ls=style_, color=color, marker=".", ms=3, alpha=0.9,
                label=text + label + ("" if applies else " (hypotheses fail)"),
            )  # fmt: skip
    six = _find(guarantees, "separable/thm6[")
    if six is not None and six.bound is not None:
        applies = all(h.holds for h in six.hypotheses)
        _level(ax, six.bound, COLORS[3], ":", "Theorem 6" + ("" if applies else " (hypotheses fail)"))
    _, high = ax.get_ylim()
    high = max(high * 2, 2.0)
    ax.set_ylim(0.0, high)
    least, most = -math.floor(math.log10(max(tests, 1))), math.floor(math.log10(high))
    powers = range(least, most + 1, max(1, (most - least) // 6))
    ax.set_yticks([0.0, *(10.0**power for power in powers)])
    ax.tick_params(axis="y", which="minor", left=False)
    ax.axhspan(1.0, high, color="#eeeeee", zorder=0)
    ax.annotate(
        "says nothing: an error is at most 1", (0.98, 1.0), xycoords=("axes fraction", "data"),
        xytext=(0, 3), textcoords="offset points", ha="right", va="bottom", fontsize=7, color="#666666",
    )  # fmt: skip


def _find(guarantees: Sequence[Guarantee], prefix: str) -> Guarantee | None:
    return next((g for g in guarantees if g.id.startswith(prefix)), None)


def _line(ax: Axes, guarantee: Guarantee | None, color: str, dashes: str, label: str) -> None:
    if guarantee is not None and guarantee.bound is not None:
        _level(ax, guarantee.bound, color, dashes, label)


def _level(ax: Axes, value: float, color: str, dashes: str, label: str) -> None:
    digits = f"{value:,.0f}" if 1 <= value < 1e6 else f"{value:.3g}"
    if math.isfinite(value) and value > 0:
        ax.axhline(value, color=color, ls=dashes, label=f"{label}: {digits}")
