r"""The separation: gradient descent on the network against every linear method, on D_A with n = 16 k coordinates.

The paper proves it and shows it on strips of digits (``parity/fig1``); here it is on the distribution of the
theorems, with n = 16 k, so that Theorem 2's hypothesis k <= n/16 holds.

- The network starts from the safe form (:mod:`learnability.networks.parity`) and takes the theorem's exact first
  step. After it both layers are trained by gradient descent on 1,024 fresh examples a step, without regulariser, and
  **not** with the theorem's step k^2 / (T sqrt q), all T of which come to k^2 / sqrt q and leave a network of this
  size at loss 1: the step falls linearly from 0.3 to 0. With a constant 0.3 the network of k = 3 ends the same; those
  of k = 5 and 7 jump between errors of 0.1 and 0.6 to the end.
- The linear methods (:mod:`learnability.studies.parity.linear_methods`) see fresh examples too, and choose their
  scale and ridge on others. Kernel machines are small: what they would need is in (d).
- (a) is hinge loss, as in Theorem 2: features in [-1, 1], norm at most B, minimised to the end on a sample. A loss
  drawn is one attained, so the best is at most that; the bounds are for the average over A, of which each seed draws
  one. The network has its own norm and stands beside, at the right edge.
- (b) and (c) are errors on D_A^(1), where all is hard; on D_A^(2) every method ends near 0. Theorem 2 says nothing of
  errors: the majority of the bits in A is linear, has error 0 on D_A^(2), and on D_A^(1) an error of its own,
  3/4 for k = 3 but 5/16 for k = 5 (:func:`learnability.studies.parity.linear_methods.majority_error`).
- (d) is what N features and a norm of B must come to in N B^2 for a hinge loss of 1/2 on D_A^(1): at n = 10 measured
  over the whole cube (the least norm by bisection, to 2 %), at n = 16 k by the bound.

A seed draws A, the features, the start and all examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.evidence.tables import pick
from learnability.kernels.features import parities
from learnability.networks.parity import initial
from learnability.plotting import COLORS, Curve, Item, Line, Panel, Plot, over_seeds
from learnability.problems.boolean import subset_masks, subset_of
from learnability.seeding import generator
from learnability.studies.parity import PAPER
from learnability.studies.parity import linear_methods as opponents
from learnability.studies.parity.claims_separation import LEARNT, REACH, claims
from learnability.studies.parity.runs_mixture import odd
from learnability.studies.parity.theorems.feature_map import feature_values
from learnability.studies.parity.theorems.linear import features_needed, linear_bound
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory.linear_class import best_hinge

if TYPE_CHECKING:
    import pandas as pd

ETA = 0.3
"""From which the step falls; another one is named in the network's settings."""
BATCH = 1024
NORMS = (1.0, 10.0, 100.0)
LARGEST_NORM = 1e7

LABELS = {
    "network": "network, gradient descent",
    "bits": "linear in the bits",
    "relu": "ReLU random features",
    "cosine": "Gaussian random features",
    "rbf": "Gaussian kernel machine",
    "tangent": "tangent kernel machine",
}
_SHADES = dict(zip(LABELS, ("#000000", *COLORS[:5]), strict=True))
_MARKERS = dict(zip(LABELS, "*sov^D", strict=True))
_CHANCE = Line(y=0.5, color="gray", linestyle="-", linewidth=0.8)
_FORMS = {"direct": "-", "sharper": "--", "corrected": ":"}


# Runs ---------------------------------------------------------------------------------------------------------


def run(s: Setting, seed: int) -> list[Row]:
    """The rows of one method: for each number of features (and norm) its losses and errors."""
    n, k, method = int(s["n"]), int(s["k"]), str(s["method"])
    most, examples = int(s["most"]), int(s["examples"])
    if s["panel"] == "needed":
        return [_needed(seed, n, k, method, most)]
    problem = opponents.mixture(seed, n, k)
    if method == "network":
        return [_network(s, seed)]
    if s["panel"] == "norm":
        return [
            {"features": N, "norm": B, **found}
            for N, B, found in opponents.by_norm(problem, seed, method, _numbers(most), NORMS, examples)
        ]
    if method in opponents.KERNELS:
        return [{"features": examples, "norm": 0.0, **opponents.with_kernel(problem, seed, method, examples)}]
    return [
        {"features": N, "norm": 0.0, **found}
        for N, found in opponents.on_features(problem, seed, method, _numbers(most), examples)
    ]


def _numbers(most: int) -> list[int]:
    """Numbers of features: 16, 64, 256, ... up to the most."""
    return [4**j for j in range(2, 12) if 4**j <= most]


def _network(s: Setting, seed: int) -> Row:
    """The end of one run of the network; N is its width, B the norm of its output layer."""
    from learnability.training.population import train

    n, k, width, steps = int(s["n"]), int(s["k"]), int(s["most"]), int(s["examples"]) // BATCH
    problem = opponents.mixture(seed, n, k)
    end = train(
        initial(generator(seed, "init", n, k, width), n, k, width // 2), problem, steps=steps,
        eta=float(s.get("eta", ETA)) * np.arange(steps - 1, 0, -1) / steps, first="exact", later=BATCH,
        rng=generator(seed, "steps", n, k, width), record=[steps], evaluate=opponents.TEST, dtype=np.float32,
    )  # fmt: skip
    last = {name: end.final(f"test_{name}") for name in ("loss_1", "loss_2", "error_1", "error_2")}
    means = {name: 0.5 * (last[f"{name}_1"] + last[f"{name}_2"]) for name in ("loss", "error")}
    return {"features": width, "norm": float(np.linalg.norm(end.params.u)), **last, **means}


def _needed(seed: int, n: int, k: int, family: str, most: int) -> Row:
    """The least norm, to 2 %, with which N features reach the hinge loss ``REACH`` on the whole cube."""
    points = opponents.mixture(seed, n, k).enumerate()
    if family == "parities":
        psi: Any = parities(n, [subset_of(int(mask)) for mask in subset_masks(n, k)])
    else:
        psi = opponents.features(seed, family, n, most, scale=max(opponents.SCALES[family]), limit="clip")
    values = feature_values(psi, n)

    def loss(B: float) -> tuple[float, np.ndarray[Any, Any]]:
        best = best_hinge(values, points.y, points.p1, norm=B, tolerance=1e-3)
        return best.value, best.w

    correlation = float(np.linalg.norm(values.T @ (points.y * points.p1)))
    low = min((1 - REACH) / max(correlation, 1e-300), LARGEST_NORM)  # a smaller norm cannot do
    high = low
    found, w = loss(high)
    while found > REACH and high < LARGEST_NORM:
        low, high = high, 2 * high
        found, w = loss(high)
    while found <= REACH and high > 1.02 * low:
        middle = math.sqrt(low * high)
        between, candidate = loss(middle)
        if between <= REACH:
            high, found, w = middle, between, candidate
        else:
            low = middle
    margin = points.y * (values @ w)
    row: Row = {"features": values.shape[1], "norm": high}
    for part, p in ((1, points.p1), (2, points.p2)):
        row[f"loss_{part}"] = float(p @ np.maximum(0.0, 1.0 - margin))
        row[f"error_{part}"] = float(p @ (margin <= 0))
    for name in ("loss", "error"):
        row[name] = 0.5 * (row[f"{name}_1"] + row[f"{name}_2"])
    return row


# Figure -------------------------------------------------------------------------------------------------------


def figure(table: pd.DataFrame) -> Plot:
    """(a) Hinge loss against N B^2 and the bounds; error against (b) k and (c) N; (d) N B^2 needed against k."""
    seeds, first = table["seed"].nunique(), pick(table, panel="error").iloc[0]
    n = f"{first['n'] // first['k']}k"
    note = f"mean of {seeds} seeds and its 95 % confidence band" if seeds > 1 else "one seed"
    return Plot(
        (_losses(table), _against_k(table), _against_size(table), _what_is_needed(table)),
        size=(4.6, 3.5),
        title=f"Sparse parities on D$_A$, n = {n}: gradient descent and linear methods ({note})",
        note="(b), (c)",
        legend_columns=4,
    )


def _losses(table: pd.DataFrame) -> Panel:
    rows = pick(table, panel="norm")
    grid = np.logspace(0, 12, 400)
    items: list[Item] = []
    for k in sorted(rows["k"].unique()):
        of_k = pick(rows, k=k)
        n, shade = int(of_k["n"].iloc[0]), COLORS[(int(k) - 3) // 2 % len(COLORS)]
        for form, line in _FORMS.items():
            bounds = np.array([linear_bound(N=1, B=math.sqrt(x), n=n, k=int(k), form=form) for x in grid])
            width = 1.5 if form == "direct" else 0.9
            items.append(Curve(grid[bounds > 0], bounds[bounds > 0], color=shade, linestyle=line, linewidth=width))
        for method, of_method in of_k.groupby("method"):
            mean = of_method.groupby(["features", "norm"], as_index=False)["loss"].mean()
            items.append(_points(mean["features"] * mean["norm"] ** 2, mean["loss"], str(method), shade, hollow=True))
        net = _largest(pick(table, panel="error", method="network", k=k))
        items.append(_points([1e12], [net["loss"].mean()], "network", shade, markersize=11))
        items.append(_key(f"k = {k}, n = {n}", color=shade))
    items += [_key(f"at least: {form}", linestyle=line) for form, line in _FORMS.items()]
    items += [_points([], [], method, "gray", hollow=True, label=LABELS[method]) for method in opponents.FAMILIES]
    items.append(_points([], [], "network", "gray", markersize=9, label="network, its own norm"))
    return Panel(
        items, "(a) hinge loss on D$_A$, norm at most B", "N B²", "hinge loss", xscale="log", xlim=(1, 4e12),
        ylim=(-0.03, 1.7), legend="upper right", legend_columns=2,
    )  # fmt: skip


def _points(x: Any, y: Any, method: str, color: str, **look: Any) -> Curve:
    return Curve(x, y, color=color, linestyle="", marker=_MARKERS[method], **look)


def _key(label: str, **look: Any) -> Curve:
    """An entry of a legend that stands for several curves."""
    return Curve([], [], label=label, **{"color": "gray", **look})


def _against_k(table: pd.DataFrame) -> Panel:
    rows = pick(table, panel="error")
    items: list[Item] = []
    for method, label in LABELS.items():
        one = _largest(pick(rows, method=method))
        if not one.empty:
            items.append(
                over_seeds(
                    one, "k", "error_1", limits=(0, 1), color=_SHADES[method], marker=_MARKERS[method], label=label,
                    linewidth=2.0 if method == "network" else 1.2, markersize=8 if method == "network" else 4,
                )
            )  # fmt: skip
    ks = sorted(rows["k"].unique())
    majority = [opponents.majority_error(k) for k in ks]
    items += [Curve(ks, majority, color="gray", linestyle=":", marker="_", label="majority of A"), _CHANCE]
    return Panel(
        items, "(b) error on D$_A^{(1)}$ against k", "k", "error (0-1)", xticks=ks, ylim=(-0.02, 0.9)
    )  # fmt: skip


def _against_size(table: pd.DataFrame) -> Panel:
    rows = pick(table, panel="error")
    items: list[Item] = []
    ks = sorted(rows["k"].unique())
    for line, k in zip(("-", "--"), [k for k in ks if k > 1] or ks, strict=False):
        for method in LABELS:
            one = pick(rows, method=method, k=k)
            if not one.empty:
                items.append(
                    over_seeds(
                        one, "features", "error_1", limits=(0, 1), hold=False, color=_SHADES[method], linestyle=line,
                        marker=_MARKERS[method], markersize=7 if method == "network" else 4,
                    )
                )  # fmt: skip
        items.append(_key(f"k = {k}", linestyle=line))
    return Panel(
        [*items, _CHANCE], "(c) error on D$_A^{(1)}$ against size",
        "N: features, width, or examples of a kernel machine", "error (0-1)", xscale="log",
        xticks={N: f"{N:,}" for N in _numbers(int(rows["features"].max()))}, ylim=(-0.02, 0.9), legend="lower left",
    )  # fmt: skip


def _what_is_needed(table: pd.DataFrame) -> Panel:
    rows, error = pick(table, panel="needed"), pick(table, panel="error")
    n, ratio = int(rows["n"].iloc[0]), int(error["n"].iloc[0] // error["k"].iloc[0])
    rows = rows[rows["loss_1"] <= REACH + 1e-9].assign(needed=rows["features"] * rows["norm"] ** 2)
    names = {"relu": LABELS["relu"], "cosine": LABELS["cosine"], "parities": "all parities of k bits"}
    items: list[Item] = []
    for method, name in names.items():
        one = pick(rows, method=method)
        if not one.empty:
            look: dict[str, Any] = {"color": _SHADES.get(method, "#000000"), "marker": _MARKERS.get(method, "P")}
            middle = one.groupby("k")["needed"].median()
            items.append(Curve(middle.index, middle, label=f"{name}, n = {n}", **look))
            items.append(Curve(one["k"], one["needed"], linestyle="", markersize=3, alpha=0.4, **look))
    ks = range(1, max(10, int(table["k"].max()) + 1), 2)
    for n_of, line, name in ((lambda k: n, "--", f"n = {n}"), (lambda k: ratio * k, "-", f"n = {ratio}k")):
        inside = [k for k in ks if k <= n_of(k) / 2]
        needs = [float(features_needed(loss=REACH, B=1, n=n_of(k), k=k, part="uniform")) for k in inside]
        items.append(Curve(inside, needs, color="gray", linestyle=line, label=f"at least: direct, {name}"))
    net = pick(error, method="network")
    means = net.groupby(["k", "features"], as_index=False)[["error_1"]].mean()
    widths = means[means["error_1"] <= LEARNT].groupby("k")["features"].min()
    label = f"network, width, error ≤ {LEARNT:g}"
    items.append(_points(widths.index, widths, "network", _SHADES["network"], markersize=9, label=label))
    return Panel(
        items, f"(d) needed for hinge loss {REACH:g} on D$_A^{{(1)}}$", "k", "N B²", yscale="log", xticks=list(ks),
        legend="upper left",
    )  # fmt: skip


def _largest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the most features for each k."""
    return rows[rows["features"] == rows.groupby("k")["features"].transform("max")]


# Settings -----------------------------------------------------------------------------------------------------


def _cells(
    usual_widths: dict[int, tuple[int, ...]],
    usual_steps: dict[int, int],
    usual_sizes: dict[str, int],
    usual_needed: tuple[int, ...],
) -> Callable[..., tuple[Setting, ...]]:
    """Every cell of one scale.

    The network's widths and steps by k; ``most`` features and ``examples`` of the linear methods, of their ``kernel``
    machines, of those with a ``norm`` and of what is ``needed`` on the cube; the k of the latter. Unless they are
    set, widths and steps are those of the nearest k.
    """
    ks, all_widths = tuple(usual_widths), tuple(sorted({w for several in usual_widths.values() for w in several}))

    def cells(
        k: tuple[int, ...] = ks,
        ratio: int = 16,
        widths: tuple[int, ...] = all_widths,
        steps: tuple[int, ...] = tuple(usual_steps.values()),
        eta: float = ETA,
        most: int = usual_sizes["most"],
        examples: int = usual_sizes["examples"],
        kernel: int = usual_sizes["kernel"],
        norm: int = usual_sizes["norm"],
        norm_examples: int = usual_sizes["norm_examples"],
        k_needed: tuple[int, ...] = usual_needed,
        cube: int = 10,
        needed: int = usual_sizes["needed"],
    ) -> tuple[Setting, ...]:
        checks.several("k", k, odd, at_least=1)
        checks.integer("ratio", ratio, at_least=2)
        for width in checks.several("widths", widths, checks.integer, at_least=2):
            if width % 2:
                raise ValueError(f"widths must be even, for units and their twins, got {width}")
        checks.real("eta", eta, above=0.0)
        for name, least, value in (
            ("most", 16, most), ("examples", 1, examples), ("kernel", 2, kernel), ("norm", 16, norm),
            ("norm_examples", 1, norm_examples), ("needed", 1, needed),
        ):  # fmt: skip
            checks.integer(name, value, at_least=least)
        checks.several("k_needed", k_needed, odd, at_least=1)
        checks.integer("cube", cube, at_least=max(k_needed), at_most=16)
        nearest = {one: min(ks, key=lambda known: abs(known - one)) for one in k}
        of_k = {one: usual_widths[near] if widths == all_widths else widths for one, near in nearest.items()}
        if steps == tuple(usual_steps.values()):
            lengths = {one: usual_steps[near] for one, near in nearest.items()}
        elif len(steps) in (1, len(k)):
            each = [checks.integer("each of steps", number, at_least=1) for number in steps]
            lengths = dict(zip(k, each * (len(k) if len(each) == 1 else 1), strict=True))
        else:
            raise ValueError(f"steps must hold {len(k)} numbers, one for each k, or one for all, got {len(steps)}")
        usual: Setting = {} if eta == ETA else {"eta": eta}

        def cell(panel: str, method: str, n: int, k: int, most: int, examples: int) -> Setting:
            return {"panel": panel, "method": method, "n": n, "k": k, "most": most, "examples": examples}

        def found() -> Iterator[Setting]:
            for one in k:
                n = ratio * one
                for width in of_k[one]:
                    yield {**cell("error", "network", n, one, width, BATCH * lengths[one]), **usual}
                for method in opponents.FAMILIES:
                    yield cell("error", method, n, one, n if method == "bits" else most, examples)
                for method in opponents.KERNELS:
                    yield cell("error", method, n, one, kernel, kernel)
                if one > 1:
                    for method in opponents.FAMILIES:
                        yield cell("norm", method, n, one, n if method == "bits" else norm, norm_examples)
            for one in k_needed:
                for method in ("parities", "relu", "cosine"):
                    size = math.comb(cube, one) if method == "parities" else needed
                    yield cell("needed", method, cube, one, size, 2**cube)

        return tuple(found())

    return cells


EXPERIMENT = Experiment(
    title="Gradient descent against linear methods on sparse parities, with the bound of Theorem 2",
    source=f"{PAPER}, Theorems 2 and 3",
    revision=1,
    scales={
"smoke": Scale(_cells(
            {1: (16,), 3: (16, 256)}, {1: 100, 3: 600},
            {"most": 64, "examples": 4096, "kernel": 400, "norm": 16, "norm_examples": 1024, "needed": 128}, (1, 3),
        ), seeds=2, seconds=6),
"laptop": Scale(_cells(
            {1: (16, 64), 3: (16, 64, 256, 512), 5: (64, 256, 1024), 7: (256, 1024)},
            {1: 300, 3: 1000, 5: 3000, 7: 4000},
            {"most": 1024, "examples": 32768, "kernel": 2000, "norm": 256, "norm_examples": 8192, "needed": 512},
            (1, 3, 5),
        ), seeds=3, seconds=270),
"paper": Scale(_cells(
            {1: (16, 64), 3: (16, 64, 256, 1024), 5: (64, 256, 1024, 4096), 7: (256, 1024, 4096)},
            {1: 300, 3: 2000, 5: 8000, 7: 20000},
            {"most": 4096, "examples": 262144, "kernel": 10000, "norm": 1024, "norm_examples": 32768, "needed": 512},
            (1, 3, 5),
        ), seeds=10, seconds=60000),
},
    run=run,
    figure=figure,
    claims=claims,
)  # fmt: skip
