r"""What Figures 1 and 4 of Allen-Zhu & Li share: Frobenius norm against error for a product of six signs.

Two-layer networks of Section 8.2, only W trained (see :mod:`learnability.networks.vertices`). A setting has

``method``
    "sgd", a training run; "vertex", this project's explicit network, scaled to the published errors and to error 0;
    "recipe", the paper's: found at d = 6 (L-BFGS here, from four starts), padded with the factor that its footnote 16
    omits, duplicated where m is a multiple of 200.
``d``, ``m``
    Dimension and width.
``samples``, ``test``, ``batch``, ``epochs``, ``learning_rate``, ``weight_decay``
    Of SGD; 0 for the others, but for the recipe's weight of the squared norm.

SGD has momentum 0.9 and starts from :math:`W_{ij} \sim N(0, 1/m)`; the learning rate is divided by 10 after half of
the epochs (as in Section 8.1). The loss is :math:`\frac12 (F - y)^2`, and weight decay adds ω W to its gradient, as
PyTorch does; errors are without the ½. In float32. A row is a recorded epoch, so that the best that SGD finds may
stop early, and the best by test error is chosen on the test sample itself: both in SGD's favour.

Errors of the hand-built networks are exact (by enumeration) and the same on any sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import plotting
from learnability.checks import FloatArray
from learnability.evidence.tables import pick
from learnability.networks import residual as networks
from learnability.networks import vertices
from learnability.networks.residual import Layer2
from learnability.networks.vertices import LEAST_NORM, PUBLISHED, VertexNet
from learnability.problems.residual import UniformSigns, degree_six
from learnability.seeding import generator
from learnability.studies.residual import PAPER, claim
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Hypothesis, Kind

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

RATES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Learning rates of the whole grid {1, 2, 5} x 10^k: smaller ones hardly move in 800 epochs, larger ones diverge."""
DECAYS = (1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3)
"""Weight decays of the whole grid: at 1e-3 W ends below the norm it started from."""
RECIPE = (4e-4, 1.5e-4, 5e-5)
"""Weights of the squared norm at d = 6, one for each published point."""
SURE = 4.0
"""Standard errors that a mean over the test sample is given against a proved bound."""


# Runs ---------------------------------------------------------------------------------------------------------


def run(s: Setting, seed: int) -> list[Row]:
    """One training run, or the hand-built networks."""
    method, d, m = str(s["method"]), int(s["d"]), int(s["m"])
    if method == "sgd":
        return _sgd(s, seed)
    if method == "vertex":
        errors = (*(error for _, error in PUBLISHED), 0.0)
        return [_built(vertices.vertex_network(m, d, scale=1 - math.sqrt(error))) for error in errors]
    decay = float(s["weight_decay"])
    found = vertices.search(generator(seed, "recipe", decay), decay)
    return [_built(vertices.padded(vertices.duplicated(found.params, m // len(found.params.W)), d))]


def _built(params: VertexNet) -> Row:
    error = vertices.exact_error(params)
    return _row(0, error, error, vertices.norm(params), 0.0, "exact")


def _row(epoch: int, train: float, test: float, norm: float, deviation: float, outcome: str) -> Row:
    return {
        "epoch": epoch,
        "train_error": train,
        "test_error": test,
        "norm": norm,
        "test_deviation": deviation,
        "outcome": outcome,
    }


def start(rng: np.random.Generator, m: int, d: int) -> VertexNet:
    """W with independent entries N(0, 1/m), so of norm about sqrt(d)."""
    return VertexNet(rng.standard_normal((m, d)) / math.sqrt(m), vertices.output_weights(m))


def _sgd(s: Setting, seed: int) -> list[Row]:
    from learnability.training import grid as residual

    d, m, N, epochs = (int(s[name]) for name in ("d", "m", "samples", "epochs"))
    inputs, target = UniformSigns(d, unit=True), degree_six(d)
    X = inputs.sample(generator(seed, "sample", d, N), N)
    X_test = inputs.sample(generator(seed, "test", d), int(s["test"]))
    y, y_test = target(X), target(X_test)
    W, a = start(generator(seed, "start", d, m), m, d)
    (found,) = residual.train(
        Layer2(np.hstack([W, np.zeros((m, 1))]), a[None, :]),
        X,
        y[:, None],
        learning_rate=float(s["learning_rate"]),
        weight_decay=float(s["weight_decay"]),
        momentum=0.9,
        batch=int(s["batch"]),
        epochs=epochs,
        rng=generator(seed, "order", d, N),
        trainable=("W",),
        biases=False,
        schedule=partial(_factor, epochs),
        watch={"train": (X, y[:, None]), "test": (X_test, y_test[:, None])},
        record=_recorded(epochs),
    )
    rows = [
        _row(
            int(row["epoch"]), 2 * row["train_loss"], 2 * row["test_loss"], row["norm"], math.nan, str(found.outcome)
        )
        for row in found.rows()
        if math.isfinite(row["train_loss"] + row["test_loss"])
    ]
    if found.outcome != "diverged":
        squares = (networks.forward(found.params, X_test)[:, 0] - y_test) ** 2
        rows[-1]["test_deviation"] = float(squares.std(ddof=1) / math.sqrt(len(squares)))
    return rows


def _factor(epochs: int, epoch: int) -> float:
    return 1.0 if epoch <= epochs / 2 else 0.1


def _recorded(epochs: int) -> list[int]:
    """The start and 20 epochs evenly spaced."""
    return sorted({round(epochs * share / 20) for share in range(21)})


# Claims -------------------------------------------------------------------------------------------------------


def front(errors: Any, norms: Any) -> FloatArray:
    """The pairs (error, norm) that no other pair beats in both, by increasing error: (points, 2)."""
    pairs = np.column_stack([np.asarray(errors, dtype=float), np.asarray(norms, dtype=float)])
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    least = np.minimum.accumulate(np.concatenate([[math.inf], pairs[:-1, 1]]))
    return pairs[pairs[:, 1] < least]


def claims(table: pd.DataFrame, *, name: str, where: str, floor: float, cells: int) -> list[Guarantee]:
    """What is proved of the hand-built networks, and what the paper says SGD does not find.

    Parameters
    ----------
    name, where : str
        The figure's id, and its place in the paper.
    floor : float
        The least test error that SGD found in the paper.
    cells : int
        Training runs of the whole search: an incomplete one that finds nothing confirms nothing.
    """
    d = int(table["d"].iloc[0])
    built, trained = table[table["method"] != "sgd"], pick(table, method="sgd")
    explicit = pick(built, method="vertex")
    ends = trained[trained["test_deviation"].notna()]
    best, done = trained.sort_values("test_error").iloc[0], _cells(trained)
    search = Hypothesis("the whole search", done >= cells, f"{done} of {cells} widths, rates and decays")
    found = [
        Guarantee(
            f"residual/{name}/exact", f"this project, on {PAPER}, {where}", Kind.EXACT, 0.0,
            float(explicit["test_error"].min()), tolerance=1e-12,
            note=f"error of the explicit network of norm {explicit['norm'].max() / math.sqrt(d):.4f} sqrt(d); the "
            f"least possible is {LEAST_NORM:.4f} sqrt(d)",
        ),
        _limit(f"residual/{name}/limit[hand-built]", where, built, np.full(len(built), 1e-12), "exact errors"),
    ]  # fmt: skip
    if len(ends):
        found.append(
            _limit(
                f"residual/{name}/limit[SGD]", where, ends, SURE * ends["test_deviation"].to_numpy(),
                f"where runs end, their errors means over a test sample: {SURE:g} standard errors of room",
            )
        )  # fmt: skip
    for size, error in PUBLISHED:
        enough = built[built["test_error"] <= error * (1 + 1e-9)]
        found.append(
            claim(
                f"{name}/hand-built[error={error:g}]", f"{where}, existence", size,
                float(enough["norm"].min() / math.sqrt(d)), "at_most",
                f"least norm over sqrt(d) of a hand-built network with an exact error of at most {error:g}; least "
                f"possible: {float(vertices.least_norm(error)) / math.sqrt(6):.4f}",
            )
        )  # fmt: skip
    best_error = float(best["test_error"])
    found.append(
        claim(
            f"{name}/test-error", f"{where} (SGD cannot find a test error better than {floor:g})", floor, best_error,
            "at_least",
            f"least test error of any recorded epoch, chosen on the test sample: m = {best['m']}, learning rate "
            f"{best['learning_rate']:g}, weight decay {best['weight_decay']:g}, epoch {best['epoch']}, norm "
            f"{best['norm']:.1f}, train error {best['train_error']:.3f}",
            hypotheses=() if best_error < floor else (search,),
        )
    )  # fmt: skip
    return found + [_small_norm(name, where, trained, size, error, d, search) for size, error in PUBLISHED]


def _cells(trained: pd.DataFrame) -> int:
    return len(trained[["m", "learning_rate", "weight_decay"]].drop_duplicates())


def _limit(id: str, where: str, rows: pd.DataFrame, room: FloatArray, note: str) -> Guarantee:
    """That no error is below the least possible for its norm, by the network with the least room to be wrong."""
    above = rows["test_error"].to_numpy() - vertices.least_error(rows["norm"].to_numpy(), int(rows["d"].max()))
    worst = int(np.argmin(above + room))
    return Guarantee(
        id, f"this project, on {PAPER}, {where}", Kind.LOWER_BOUND, 0.0, float(above[worst]),
        tolerance=float(room[worst]),
        note=f"least error less (1 - norm / (32 sqrt(d/6)))^2 over {len(rows)} networks; {note}",
    )  # fmt: skip


def _small_norm(
    name: str, where: str, trained: pd.DataFrame, size: float, error: float, d: int, search: Hypothesis
) -> Guarantee:
    """That where SGD's training error is a published one, its norm is above the hand-built network's."""
    enough = trained[trained["train_error"] <= error]
    ratio = float(enough["norm"].min()) / (size * math.sqrt(d)) if len(enough) else None
    least = trained.sort_values("train_error").iloc[0]
    note = f"least norm of any recorded epoch with a training error of at most {error:g}, over {size:g} sqrt(d)"
    if ratio is None:
        note += f"; none: the least training error is {least['train_error']:.3f}, at norm {least['norm']:.1f}"
    return claim(
        f"{name}/norm[error={error:g}]", f"{where} (SGD cannot find a small training error and a small norm)", 1.0,
        ratio, "at_least", note, hypotheses=() if ratio is not None and ratio < 1 else (search,),
    )  # fmt: skip


# Figure -------------------------------------------------------------------------------------------------------


def figure(table: pd.DataFrame, *, cells: int) -> Figure:
    """Norm against error: hand-built, found by SGD, and the limit of what is possible."""
    fig, (ax,) = plotting.panels(width=5.6, height=4.4)
    first = pick(table, method="sgd").iloc[0]
    d, trained = int(first["d"]), pick(table, method="sgd")
    hand, train, test, ours = plotting.COLORS[2], plotting.COLORS[0], plotting.COLORS[1], plotting.COLORS[6]
    grid = np.geomspace(1e-3, 1.0, 400)
    ax.fill_between(
        grid,
        vertices.least_norm(grid, d),
        color="#888888",
        alpha=0.25,
        linewidth=0,
        label="impossible for the true error (proved)",
    )
    ax.plot(
        [error for _, error in PUBLISHED], [size * math.sqrt(d) for size, _ in PUBLISHED], "D", color=hand,
        markersize=7, markerfacecolor="none", label="hand-built, published (train = test)",
    )  # fmt: skip
    for method, mark, color, label in (
        ("recipe", "x", hand, "hand-built, the paper's recipe again (exact)"),
        ("vertex", "o", ours, "hand-built, 64 vertices, scaled (exact)"),
    ):
        rows = pick(table, method=method)
        ax.plot(rows["test_error"], rows["norm"], mark, color=color, markersize=5, label=label)
    exact = float(pick(table, method="vertex")["norm"].max())
    ax.axhline(exact, color=ours, linewidth=0.8, linestyle=(0, (4, 3)), label=f"the same at error 0: {exact:.1f}")
    ends = trained[trained["test_deviation"].notna()]
    top = 1.15 * max(float(front(trained["train_error"], trained["norm"])[0, 1]), 15 * math.sqrt(d))
    for column, mark, color, label in (
        ("train_error", "s", train, "best found by SGD in train error"),
        ("test_error", "^", test, "best found by SGD in test error"),
    ):
        ax.plot(ends[column], ends["norm"], mark, color=color, markersize=2.5, alpha=0.35)
        best = front(trained[column], trained["norm"])
        ax.plot(best[:, 0], best[:, 1], mark + "-", color=color, markersize=4, drawstyle="steps-post", label=label)
    ax.set_xscale("log", base=4)
    ticks = [4.0**-power for power in range(4, -1, -1)]
    ax.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
    ax.set(xlim=(4.0**-4.3, 4.0**0.4), ylim=(0, top), xlabel="error E|F − y|²", ylabel="‖W‖ (Frobenius)")
    done, widths = _cells(trained), trained["m"].unique()
    fig.legend(
        *ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, title_fontsize=8,
        title=f"SGD: {done} of {cells} cells of the search, m = {_range(widths)}, {int(first['epochs'])} epochs, "
        f"{_plural(table['seed'].nunique())}\nsmall marks: where runs end; lines: the best of all recorded epochs",
    )  # fmt: skip
    ax.set_title(f"product of six signs, d = {d}, N = {int(first['samples']):,}")
    return fig


def _range(values: Any) -> str:
    low, high = int(min(values)), int(max(values))
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _plural(seeds: int) -> str:
    return f"{seeds} seeds" if seeds > 1 else "one seed"


# Settings -----------------------------------------------------------------------------------------------------


def hand_built(d: int, decays: Sequence[float] = RECIPE) -> tuple[Setting, ...]:
    """The explicit network and the recipe's, of width 200."""
    none: Setting = {
        "method": "vertex", "d": d, "m": 200, "samples": 0, "test": 0, "batch": 0, "epochs": 0, "learning_rate": 0.0,
        "weight_decay": 0.0,
    }  # fmt: skip
    return (none, *({**none, "method": "recipe", "weight_decay": decay} for decay in decays))


def searched(
    widths: Sequence[int], rates: Sequence[float], decays: Sequence[float], **common: int
) -> tuple[Setting, ...]:
    """SGD at every width with every learning rate and weight decay; ``common``: d, samples, test, batch, epochs."""
    return tuple(
        {"method": "sgd", **common, "m": m, "learning_rate": rate, "weight_decay": decay}
        for m in widths
        for rate in rates
        for decay in decays
    )


def experiment(
    *,
    name: str,
    where: str,
    title: str,
    floor: float,
    scales: dict[str, Scale],
) -> Experiment:
    """The experiment of one of the two figures; ``paper`` is the whole search."""
    cells = sum(s["method"] == "sgd" for s in scales["paper"].settings)
    return Experiment(
        title=title,
        source=f"{PAPER}, {where}",
        revision=1,
        scales=scales,
        run=run,
        figure=partial(figure, cells=cells),
        claims=partial(claims, name=name, where=where, floor=floor, cells=cells),
    )
