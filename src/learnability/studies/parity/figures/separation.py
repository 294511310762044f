r"""The separation: gradient descent on the network against every linear method, on D_A with n = 16 k coordinates.

The paper proves it and shows it on strips of digits (``parity/fig1``); here it is on the distribution of the
theorems, with n = 16 k, so that Theorem 2's hypothesis k <= n/16 holds.

- The network starts from the safe form (:mod:`learnability.networks.parity`) and takes the theorem's exact first
  step. After it both layers are trained by gradient descent on 1,024 fresh examples a step, without regulariser, and
  **not** with the theorem's step k^2 / (T sqrt q), all T of which come to k^2 / sqrt q and leave a network of this
  size at loss 1: the step falls linearly from 0.3 to 0. With a constant 0.3 the network of k = 3 ends the same; those
  of k = 5 and 7 jump between errors of 0.1 and 0.6 to the end. That of k = 7 ends at the mass of the inputs that are
  one sign away from those of D_A^(2), 14 / 2^7, and does so with ``--set k=7 --set steps=12000`` (error 0.105) and
  with ``--set k=7 --set widths=2048`` (0.107), too: too few units have their kink between the two (Lemma 10 asks for
  q of the order k^7).
- The linear methods (:mod:`learnability.studies.parity.linear_methods`) see fresh examples too, and choose their
  scale and ridge on others. Kernel machines are small: what they would need is in (f).
- (a) is hinge loss, as in Theorem 2: features in [-1, 1], norm at most B, minimised to the end on a sample. A loss
  drawn is one attained, so the best is at most that; the bounds are for the average over A, of which each seed draws
  one. The network stands where its own N B^2 is, its hidden units divided by the most that they can be: at k = 5 and
  7 below what any features fixed before A is known could do with as much.
- (b) and the panels after it are errors on D_A^(1), where all is hard; on D_A^(2) every method ends near 0. Theorem 2
  says nothing of errors: the majority of the bits in A is linear, has error 0 on D_A^(2), and on D_A^(1) an error of
  its own, 3/4 for k = 3 but 5/16 for k = 5 (:func:`~learnability.studies.parity.linear_methods.majority_error`). The
  network either learns or does not, by seed: its seeds are drawn, and no band that would cover what never happens.
- The last panel is what N features and a norm of B must come to in N B^2 for a hinge loss of 1/2 on D_A^(1), at n =
  10 over the whole cube (the least norm by bisection, to 2 %), beside the bound at the same n.

A seed draws A, the features, the start and all examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.errors import RequestError
from learnability.evidence.tables import pick
from learnability.plotting import COLORS, Curve, Item, Line, Panel, Plot, over_seeds
from learnability.studies.parity import PAPER
from learnability.studies.parity import linear_methods as opponents
from learnability.studies.parity.claims_separation import claims
from learnability.studies.parity.runs_mixture import odd
from learnability.studies.parity.runs_separation import BATCH, ETA, REACH, numbers, run
from learnability.studies.parity.theorems.linear import features_needed, linear_bound, norm_needed
from learnability.study import Experiment, Scale, Setting

if TYPE_CHECKING:
    import pandas as pd

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
_OF_K = ("#56B4E9", "#882255", "#999933", "#332288", "#AA4499")
"""Colours of the values of k: none that a method has."""
_CHANCE = Line(y=0.5, color="gray", linestyle="-", linewidth=0.8)
_FORMS = {"direct": "-", "corrected": ":"}
_BOUNDS = {"direct": "at least, fixed features (ours)", "corrected": "at least (Theorem 2)"}


# Figure -------------------------------------------------------------------------------------------------------


def figure(table: pd.DataFrame) -> Plot:
    """(a) Hinge loss against N B^2 and the bounds; errors against k and, for each k, against N; N B^2 needed."""
    seeds, errors = table["seed"].nunique(), pick(table, panel="error")
    n = f"{errors['n'].iloc[0] // errors['k'].iloc[0]}k"
    by_size = [k for k in sorted(errors["k"].unique()) if k > 1][:3]
    made = [_losses(table), _against_k(errors), *(_against_size(pick(errors, k=k)) for k in by_size), _needs(table)]
    over = f"means of {seeds} seeds, 95 % confidence bands" if seeds > 1 else "one seed"
    return Plot(
        [replace(panel, title=f"({letter}) {panel.title}") for letter, panel in zip("abcdef", made, strict=False)],
        columns=3 if len(made) > 4 else 2,
        size=(3.9, 3.2),
        title=f"Sparse parities on D$_A$, n = {n}: gradient descent and linear methods ({over})",
        note="all panels; of the network against N each seed (small) and their mean",
        legend_columns=4,
    )


def _losses(table: pd.DataFrame) -> Panel:
    rows = pick(table, panel="norm")
    items: list[Item] = []
    furthest = 1.0
    for k, shade in zip(sorted(rows["k"].unique()), _OF_K, strict=False):
        of_k = pick(rows, k=k)
        n = int(of_k["n"].iloc[0])
        for form, line in _FORMS.items():
            end = float(features_needed(loss=0, B=1, n=n, k=int(k), form=form))
            grid = np.logspace(0, math.log10(end), 200)
            bounds = [linear_bound(N=1, B=math.sqrt(x), n=n, k=int(k), form=form) for x in grid]
            name, width = (f"k = {k}", 1.6) if form == "direct" else ("", 1.0)
            look: dict[str, Any] = {"color": shade, "linestyle": line, "linewidth": width}
            items.append(Curve(grid, np.maximum(bounds, 0), label=name, direct=True, **look))
            furthest = max(furthest, end)
        for method, of_method in of_k.groupby("method"):
            mean = of_method.groupby(["features", "norm"], as_index=False)["loss"].mean()
            items.append(_points(mean["features"] * mean["norm"] ** 2, mean["loss"], str(method), shade, hollow=True))
        net = _largest(pick(table, panel="error", method="network", k=k))
        spent = (net["features"] * net["norm"] ** 2).median()
        items.append(_points([spent], [net["loss"].mean()], "network", shade, markersize=11))
    items += [Curve([], [], label=name, color="gray", linestyle=_FORMS[form]) for form, name in _BOUNDS.items()]
    return Panel(
        items, "hinge loss on D$_A$ with features in [-1, 1]", "N B²: number of features, squared norm", "hinge loss",
        xscale="log", xlim=(1, 30 * furthest), ylim=(-0.03, 1.25), legend="upper right", legend_columns=2,
    )  # fmt: skip


def _points(x: Any, y: Any, method: str, color: str, **look: Any) -> Curve:
    return Curve(x, y, color=color, linestyle="", marker=_MARKERS[method], **look)


def _against_k(rows: pd.DataFrame) -> Panel:
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
        items, "error on D$_A^{(1)}$ against k", "k", "error (0-1)", xticks=ks, ylim=(-0.03, 0.9)
    )  # fmt: skip


def _against_size(rows: pd.DataFrame) -> Panel:
    """Errors at one k: of the network each seed and the mean, as its seeds either learn or do not."""
    k, n = int(rows["k"].iloc[0]), int(rows["n"].iloc[0])
    items: list[Item] = [_CHANCE]
    for method in LABELS:
        one = pick(rows, method=method)
        if one.empty:
            continue
        net = method == "network"
        look: dict[str, Any] = {"color": _SHADES[method], "marker": _MARKERS[method]}
        curve = over_seeds(one, "features", "error_1", limits=(0, 1), hold=False, **look)
        if net:
            items.append(_points(one["features"], one["error_1"], method, _SHADES[method], markersize=4, alpha=0.5))
            curve = replace(curve, low=None, high=None, linewidth=2.0, markersize=8)
        items.append(replace(curve, markersize=4, bars=len(np.asarray(curve.x)) == 1) if not net else curve)
    return Panel(
        items, f"error on D$_A^{{(1)}}$, k = {k}, n = {n}", "N: features, width, examples of a kernel machine",
        "error (0-1)", xscale="log", xticks={N: f"{N:,}" for N in numbers(int(rows["features"].max()))},
        ylim=(-0.03, 0.9),
    )  # fmt: skip


def _needs(table: pd.DataFrame) -> Panel:
    rows = pick(table, panel="needed")
    n, ks = int(rows["n"].iloc[0]), sorted(rows["k"].unique())
    rows = rows[rows["loss_1"] <= REACH + 1e-9].assign(needed=rows["features"] * rows["norm"] ** 2)
    items: list[Item] = []
    for method, name in {"relu": "ReLU features", "cosine": "Gaussian features", "parities": "parities of k"}.items():
        one = pick(rows, method=method)
        if not one.empty:
            look: dict[str, Any] = {"color": _SHADES.get(method, "#000000"), "marker": _MARKERS.get(method, "P")}
            logs = over_seeds(one.assign(needed=np.log(one["needed"])), "k", "needed")
            band = {part: np.exp(np.asarray(getattr(logs, part))) for part in ("y", "low", "high")}
            items.append(replace(logs, **band, label=name, direct=True, **look))
    needs = [norm_needed(loss=REACH, N=1, n=n, k=int(k), part="uniform") ** 2 for k in ks]
    items.append(Curve(ks, needs, color="gray", linestyle="--", label="least by the bound", direct=True))
    return Panel(
        items, f"needed for hinge loss {REACH:g} on D$_A^{{(1)}}$, n = {n}", "k", "N B²", yscale="log", xticks=ks,
        xlim=(ks[0] - 0.3, ks[-1] + 0.45 * max(ks[-1] - ks[0], 1)),
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
                raise RequestError(f"widths must be even, for units and their twins, got {width}")
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
            raise RequestError(f"steps must hold {len(k)} numbers, one for each k, or one for all, got {len(steps)}")
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
    revision=2,
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
        ), seeds=8, seconds=700),
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
