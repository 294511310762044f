"""The share of D^(2) from none to nearly all: where gradient descent stops learning the parity (beyond the paper).

Comment 1 of the paper: under the uniform distribution alone parities are hard for gradient methods, hence the
mixture. How much of D^(2) is needed? The network of Section 2 (n = 100, k = 3, 256 units; n = 30 beside it) is
trained on mixtures of every share, from three starts:

- *theorem*: eta = 1 in the first step, whose signal on the coordinates of A is the share times a constant;
- *longer*: the first step of the hidden layer 1 / (2 share) times as long (ours), so that good neurons come out of it
  as at share 1/2. It separates "the signal is too small for the theorem's step" from "there is no signal";
- *estimated*: that, with the gradient of the first step estimated from 65,536 examples instead of exact. A population
  gradient shows a signal however small; an estimate has noise of its own.

The later steps have eta = 0.3 (the theorem's schedule moves too little at these sizes, see ``parity/theorem3``) and
512 fresh examples each, so their noise is part of what is measured. The exact first step predicts two shares for the
theorem's start (panel d shows the uniform gradient beside its signal):

- alpha = 1/8: below, no good neuron has its kink within (-1, 1), and Lemma 10's features of r = -1 and 1 are missing;
- alpha = 1 / (8k): below, none has it within (-k, k), and the features of good neurons are linear on A.

Below them only later steps can make the features that are missing. Between the two D^(2) is a large part of the loss,
and runs first settle on the majority of A (error 3/4 on D^(1) for k = 3): two of five runs at share 0.2 do not leave
the neighbourhood of that within the 6,000 steps, so that the error is not monotone in the share. They do later: run
for 20,000 steps they have error 0 from step 14,286 and 17,714 on. With eta = 0.1 they do not get there within 6,000
steps either.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.errors import RequestError
from learnability.evidence.intervals import every, exponent, mean, slope
from learnability.evidence.tables import pick
from learnability.plotting import COLORS, Curve, Item, Line, Panel, Plot, over_seeds
from learnability.studies.parity import PAPER, claim
from learnability.studies.parity.runs_mixture import LEARNT, ends, finals, learning_times, run, setting, sizes
from learnability.study import Experiment, Scale, Setting
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

_STARTS = {"theorem": "theorem's first step", "longer": "longer first step", "estimated": "longer, estimated"}
_MARKERS = {"theorem": "o", "longer": "s", "estimated": "^"}
_CHANCE = Line(y=0.5, linewidth=0.8)
WHERE = "Comment 1 (this project)"


def figure(table: pd.DataFrame) -> Plot:
    """(a) Final error by start, (b) by number of steps, (c) steps to learn, (d) what the first step sees."""
    least = float(table["share"][table["share"] > 0].min())
    table = table.assign(at=table["share"].where(table["share"] > 0, least / 3))  # where the axis has its 0
    shares = [share for share in (0.002, 0.01, 0.05, 0.1, 0.2, 0.5, 0.9) if share >= least]
    kinks = [kink_share(table, reach) for reach in (1, int(table["k"].iloc[0]))]
    common: dict[str, Any] = {
        "xlabel": "share of $D^{(2)}$ in the mixture", "xscale": "log", "xlim": (least / 4, 1.05),
        "xticks": {least / 3: "0", **{share: f"{share:g}" for share in shares}},
    }  # fmt: skip
    marks = [Line(x=kink, linestyle="--", linewidth=0.8) for kink in kinks if kink is not None]
    sizes = sorted(table["n"].unique(), reverse=True)
    large = pick(table, n=sizes[0])
    steps = int(table["step"].max())
    error: dict[str, Any] = {"ylabel": "error on the uniform part $D^{(1)}$", "ylim": (-0.02, 0.8), **common}
    k, seeds = int(table["k"].iloc[0]), table["seed"].nunique()
    return Plot(
        (
            Panel([*_by_start(table, sizes), *marks, _CHANCE], f"(a) after {steps:,} steps", **error),
            Panel(
                [*_by_budget(pick(large, start="theorem"), steps), *marks, _CHANCE],
                f"(b) the theorem's first step, n = {sizes[0]}", legend="lower left", **error,
            ),
            Panel(
                [*_times(table, sizes, steps), *marks], f"(c) steps until the error stays below {LEARNT:g}",
                ylabel="steps", yscale="log", **common,
            ),
            Panel(
                [*_signals(table, sizes), *marks], "(d) gradient of the first step, exact",
                ylabel="$E\\,[y\\,s_j\\,\\sigma'(z)]$", yscale="log", ylim=(None, 60), legend="upper left",
                legend_columns=2, **common,
            ),
        ),
        size=(4.2, 3.1),
        note=f"k = {k}, {2 * int(large['q'].iloc[0])} units, η = {large['eta'].iloc[0]:g} from the second step on, "
        f"{seeds} seeds. (a), (b): mean and its 95 % confidence band;\n(c): each run a dot, line: median, open: runs "
        "that do not get there.\n(d): on A the mean over good neurons, outside A the root mean square on $D^{(1)}$. "
        "Vertical: α = 1/(8k) and 1/8",
    )  # fmt: skip


def _starts(table: pd.DataFrame, sizes: list[int]) -> Iterator[tuple[pd.DataFrame, dict[str, Any]]]:
    """The runs of every dimension and start, with their look and label."""
    for n, color in zip(sizes, COLORS, strict=False):
        for order, (start, name) in enumerate(_STARTS.items()):
            rows = pick(table, n=n, start=start)
            shade = COLORS[len(sizes) + 2 * (n != sizes[0]) + order - 1] if order else color
            if len(rows):
                yield rows, {"color": shade, "marker": _MARKERS[start], "label": f"n = {n}, {name}"}


def _by_start(table: pd.DataFrame, sizes: list[int]) -> list[Item]:
    return [
        over_seeds(ends(rows, "share"), "at", "error_1", limits=(0, 1), **look)
        for rows, look in _starts(table, sizes)
    ]


def _by_budget(rows: pd.DataFrame, steps: int) -> list[Item]:
    recorded = rows["step"].unique()
    found: list[Item] = []
    for budget, alpha in ((steps // 12, 0.35), (steps // 4, 0.65), (steps, 1.0)):
        at = int(recorded[recorded <= budget].max())
        label = f"after {at:,} steps"
        found.append(
            over_seeds(pick(rows, step=at), "at", "error_1", limits=(0, 1), label=label, alpha=alpha, marker="o")
        )
    return found


def kink_share(table: pd.DataFrame, reach: int) -> float | None:
    """The share at which alpha = 1 / (8 reach).

    Below, no u in [-n/k, n/k] puts the kink of a good neuron's relu6(alpha u z / n + 1/(8k)) within abs(z) < reach.
    """
    seen = table[(table["signal"] > 0) & (table["share"] > 0)]
    if seen.empty:
        return None
    return float((seen["share"] / (8 * reach * seen["signal"])).mean())


def _times(table: pd.DataFrame, sizes: list[int], steps: int) -> list[Item]:
    found: list[Item] = []
    for rows, look in _starts(table, sizes):
        look = {**look, "label": ""}
        times = learning_times(rows, "at")
        median = times.groupby("at")["time"].median()
        reached = median[np.isfinite(median)]
        found.append(Curve(reached.index, reached, **{**look, "marker": ""}))
        there = np.isfinite(times["time"])
        found.append(Curve(times["at"][there], times["time"][there], alpha=0.5, linestyle="", **look))
        height = steps * {"o": 1.25, "s": 1.45, "^": 1.7}[look["marker"]]
        late = times["at"][~there].unique()
        found.append(Curve(late, np.full(len(late), height), hollow=True, linestyle="", **look))
    return found


def _signals(table: pd.DataFrame, sizes: list[int]) -> list[Item]:
    """Signal on A by share, against the size of the uniform gradient outside A."""
    found: list[Item] = []
    for n, color in zip(sizes, COLORS, strict=False):
        one = ends(pick(table, n=n, start="theorem"), "share")
        signal = one[one["share"] > 0].groupby("share")["signal"].mean()
        root = 1 / math.sqrt(math.comb(n - 1, int(one["k"].iloc[0])))
        floor = float(one["floor"].mean())
        found += [
            Curve(signal.index, signal, color=color, label=f"on A, n = {n}"),
            Line(y=floor, color=color, linestyle="--", linewidth=1.4, label=f"outside A, n = {n}"),
            Line(y=root, color=color, linewidth=1.4, label=f"$1/\\sqrt{{C({n}-1, k)}}$"),
        ]
    samples = int(table["samples"].max())
    if samples:
        noise = 0.5 / math.sqrt(samples)
        found.append(Line(y=noise, color="black", linestyle="-", linewidth=0.8, label=f"noise, {samples:,} examples"))
    return found


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Learnt at one half, not at none within the steps, the more the better; and what a longer first step changes."""
    found = []
    sizes = sorted(table["n"].unique(), reverse=True)
    for n in sizes:
        rows = pick(table, n=n, start="theorem")
        errors, times = finals(rows, "share"), learning_times(rows, "share")
        steps = int(rows["step"].max())
        half, none = pick(times, share=0.5)["time"], errors.get(0.0)
        if len(half):
            found.append(
                claim(
                    f"mixture/learnt[share=0.5,n={n}]", f"Theorem 3, with eta = {rows['eta'].iloc[0]:g}", 1.0,
                    every(np.isfinite(half)), "at_least",
                    f"share of runs with error at most {LEARNT:g} on D^(1) at the end of {steps} steps; median steps "
                    f"{half.median():g}",
                )
            )  # fmt: skip
        if n == sizes[0] and none is not None:
            found.append(
                claim(
                    f"mixture/not-learnt[share=0,n={n}]", WHERE, 0.4, mean(none), "at_least",
                    f"error on D^(1) after {steps} steps, from {none.min():.3f} to {none.max():.3f}; says nothing of "
                    "more steps",
                )
            )  # fmt: skip
        if sum(share <= 0.5 for share in errors) > 1:
            found.append(_falls(errors, n))
        found.append(_faster(times, n))
    if all((pick(table, n=n, start="theorem")["share"] == 0).any() for n in sizes) and len(sizes) > 1:
        found.append(_harder(table, sizes))
    return [*found, *_longer(pick(table, n=sizes[0]))]


def _falls(errors: dict[float, pd.Series], n: int) -> Guarantee:
    """The final error falls with the share: the change of a fitted line over the shares' ranks, by seed.

    Not from every share to the next: single runs with a constant step end anywhere between 0 and 0.8.
    """
    errors = {share: error.sort_index() for share, error in errors.items() if share <= 0.5}
    curves = np.array(list(errors.values()))  # (shares, seeds)
    ranks = np.linspace(0, 1, len(errors))
    listed = ", ".join(f"{share:g}: {error.mean():.3f}" for share, error in errors.items())
    return claim(
        f"mixture/falls-with-share[n={n}]", WHERE, 0.0,
        mean([slope(ranks, curve).estimate for curve in curves.T], what="mean change"), "at_most",
        "change of the final error from the least share to 1/2, of a line over the shares' ranks; means " + listed,
        Kind.TREND,
    )  # fmt: skip


def _faster(times: pd.DataFrame, n: int) -> Guarantee:
    """Steps to learn go down with the share: the slope in logarithms, seed by seed, over runs that learnt."""
    got = times[np.isfinite(times["time"]) & (times["share"] > 0) & (times["share"] <= 0.5)]
    median = times[times["share"] > 0].groupby("share")["time"].median()
    listed = ", ".join(f"{share:g}: {time:g}" for share, time in median.items())
    by_seed = [exponent(one["share"], one["time"]).estimate for _, one in got.groupby("seed") if len(one) > 1]
    return claim(
        f"mixture/faster-with-share[n={n}]", WHERE, 0.0, mean(by_seed, what="mean exponent"), "at_most",
        f"exponent of the share in the steps to learn, over runs that learnt at shares up to 1/2; medians over all "
        f"runs {listed}", Kind.TREND,
    )  # fmt: skip


def _harder(table: pd.DataFrame, sizes: list[int]) -> Guarantee:
    """Without D^(2) the larger dimension is the harder one."""
    errors = finals(pick(table, start="theorem", share=0.0), "n")
    return claim(
        f"mixture/uniform-harder-with-n[n={sizes[-1]}|{sizes[0]}]", WHERE, 0.0,
        mean(errors[sizes[0]] - errors[sizes[-1]]), "at_least",
        "difference of final errors at share 0; means "
        + ", ".join(f"n={n}: {errors[n].mean():.3f}" for n in sizes), Kind.TREND,
    )  # fmt: skip


def _longer(table: pd.DataFrame) -> list[Guarantee]:
    """Where the theorem's first step fails although D^(2) is there: the longer one, exact and estimated."""
    errors = {start: finals(pick(table, start=start), "share") for start in _STARTS}
    longer, estimated, n = errors["longer"], errors["estimated"], int(table["n"].iloc[0])
    found = []
    if longer:
        failed = [share for share, error in errors["theorem"].items() if share > 0 and error.mean() > 0.25]
        both = [share for share in failed if share in longer]
        times = learning_times(pick(table, start="longer"), "share")
        times = times[times["share"].isin(both)]
        learnt = np.isfinite(times.groupby("seed")["time"].max())  # a seed's runs have A, start and bits in common
        listed = ", ".join(
            f"{share:g}: {longer[share].mean():.3f} for {errors['theorem'][share].mean():.3f}" for share in both
        )
        found.append(
            claim(
                f"mixture/longer-first-step[n={n}]", WHERE, 1.0,
                every(learnt, unit="seeds") if both else None, "at_least",
                "share of seeds that learn from the longer exact first step at all shares where the theorem's leaves "
                f"a mean error above 1/4; mean errors {listed or 'none: it learns at all shares above 0'}",
            )
        )  # fmt: skip
    if longer and estimated:
        least = min(estimated.keys() & longer.keys())
        found.append(
            claim(
                f"mixture/estimated-first-step[share={least:g},n={n}]", WHERE, 0.25,
                mean(estimated[least] - longer[least]), "at_least",
                f"final error from the gradient estimated on {int(table['samples'].max())} examples less that from "
                "the exact one, at the smallest share; means of all: "
                + ", ".join(f"{x:g}: {e.mean():.3f}" for x, e in estimated.items()),
            )
        )  # fmt: skip
    return found


_SMALLER = {"theorem": (0.0, 0.005, 0.02, 0.1, 0.5), "longer": (0.005, 0.02)}
"""The shares, of those chosen, that the smaller dimension has too; all of them if none is chosen."""


def _cells(
    n: int = 100,
    n_smaller: int = 30,
    k: int = 3,
    q: int = 128,
    steps: int = 6000,
    eta: float = 0.3,
    batch: int = 512,
    shares: tuple[float, ...] = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9),
    longer: tuple[float, ...] = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
    estimated: tuple[float, ...] = (0.005, 0.02, 0.05, 0.1, 0.2),
    samples: int = 2**16,
) -> tuple[Setting, ...]:
    """Shares of the theorem's start, of the longer one and of the estimated one; without a smaller n if that is 0."""
    common = sizes(n=n, k=k, q=q, steps=steps, batch=batch)
    if n_smaller:
        checks.integer("n_smaller", n_smaller, at_least=k, at_most=n - 1)
    checks.real("eta", eta, above=0.0)
    checks.integer("samples", samples, at_least=1)
    checks.several("shares", shares, checks.real, at_least=0.0, at_most=1.0)
    if not max(shares) > 0:
        raise RequestError(f"shares must hold one above 0, got {shares}")
    for name, given in (("longer", longer), ("estimated", estimated)):
        checks.several(name, given, checks.real, empty=True, above=0.0, at_most=1.0)
    chosen = {"theorem": shares, "longer": longer, "estimated": estimated}
    cells = [(n, start, share) for start, several in chosen.items() for share in several]
    if n_smaller:
        for start, few in _SMALLER.items():
            cells += [(n_smaller, start, share) for share in [x for x in chosen[start] if x in few] or chosen[start]]
    return tuple(
        setting(
            **{**common, "n": size}, eta=eta, share=share, start=start,
            samples=samples if start == "estimated" else 0,
        )
        for size, start, share in cells
    )  # fmt: skip


EXPERIMENT = Experiment(
    title="The share of D^(2) in the mixture, from one half to none (beyond the paper)",
    source=f"{PAPER}, Comment 1",
    revision=1,
    scales={
        "smoke": Scale(
            partial(
                _cells,
                n=20,
                n_smaller=0,
                q=48,
                steps=600,
                batch=128,
                shares=(0.0, 0.05, 0.5),
                longer=(0.05,),
                estimated=(0.05,),
                samples=2048,
            ),
            seeds=2,
            seconds=3,
        ),
        "laptop": Scale(_cells, seeds=5, seconds=480),
        "paper": Scale(_cells, seeds=20, seconds=1200),
    },
    run=run,
    figure=figure,
    claims=claims,
)
