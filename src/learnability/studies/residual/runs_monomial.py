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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.evidence.claims import judged
from learnability.evidence.intervals import at_all, extreme, summarised
from learnability.evidence.tables import pick, values
from learnability.networks import residual as networks
from learnability.networks import vertices
from learnability.networks.residual import Layer2
from learnability.networks.vertices import LEAST_NORM, PUBLISHED, VertexNet
from learnability.plotting import COLORS, Curve, Line, Panel, Plot, Words
from learnability.problems.residual import MONOMIAL_DEGREE, UniformSigns, degree_six
from learnability.seeding import generator
from learnability.studies.residual import PAPER, claim
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    import pandas as pd

    from learnability.plotting.plot import Item

RATES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Learning rates of the whole grid {1, 2, 5} x 10^k: smaller ones hardly move in 800 epochs, larger ones diverge."""
DECAYS = (1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3)
"""Weight decays of the whole grid: at 1e-3 W ends below the norm it started from."""
RECIPE = (4e-4, 1.5e-4, 5e-5)
"""Weights of the squared norm at d = 6, one for each published point."""
FURTHER = (10.0,), (1e-5, 2e-5)
"""Learning rate and weight decays of widths at which only the most promising cells are run."""
RUN = ["m", "learning_rate", "weight_decay", "seed"]
"""What tells training runs apart; without the seed, cells of the search."""


@dataclass(frozen=True)
class Search:
    """The cells of the published search: problem, width, rate and decay."""

    cells: frozenset[tuple[float, ...]]

    COLUMNS = ("d", "samples", "batch", "epochs", "m", "learning_rate", "weight_decay")

    @classmethod
    def of(cls, settings: Iterable[Setting]) -> Search:
        """Of the settings that are training runs."""
        return cls(frozenset(tuple(float(s[name]) for name in cls.COLUMNS) for s in settings if s["method"] == "sgd"))

    def part(self, trained: pd.DataFrame) -> str:
        """How many cells were run, and how many of the search they are."""
        run = {tuple(map(float, cell)) for cell in trained[[*self.COLUMNS]].drop_duplicates().to_numpy()}
        inside = len(run & self.cells)
        if inside == len(run):
            return f"{inside} of the {len(self.cells)} cells of the published search"
        return f"{len(run)} cells, {inside} of the {len(self.cells)} of the published search"


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


def claims(table: pd.DataFrame, *, name: str, where: str, floor: float, search: Search) -> list[Guarantee]:
    """What is proved of the hand-built networks, and what the paper says SGD does not find, in the cells run.

    Parameters
    ----------
    name, where : str
        The figure's id, and its place in the paper.
    floor : float
        The least test error that SGD found in the paper.
    search : Search
        The whole of the published one.
    """
    trained = pick(table, method="sgd")
    shown = search.part(trained)
    return [
        *_proved(table, f"residual/{name}", f"this project, on {PAPER}, {where}"),
        *_existence(table[table["method"] != "sgd"], name, where),
        _test_error(name, where, trained, floor, shown),
        *(_small_norm(name, where, trained, size, error, shown) for size, error in PUBLISHED),
    ]


def _proved(table: pd.DataFrame, name: str, source: str) -> list[Guarantee]:
    """The explicit network is exact, and no error is below the least possible for its norm."""
    d = int(table["d"].iloc[0])
    above = table["test_error"] - vertices.least_error(table["norm"].to_numpy(), d)
    explicit, built = pick(table, method="vertex"), table["method"] != "sgd"
    ended = table["test_deviation"].notna() & ~built
    ends = table[ended]
    note = "least error less (1 - norm / (32 sqrt(d/6)))^2"
    found = [
        Guarantee(
            f"{name}/exact", source, Kind.EXACT, 0.0, float(explicit["test_error"].min()), tolerance=1e-12,
            note=f"error of the explicit network of norm {explicit['norm'].max() / math.sqrt(d):.4f} sqrt(d); the "
            f"least possible is {LEAST_NORM:.4f} sqrt(d)",
        ),
        Guarantee(
            f"{name}/limit[hand-built]", source, Kind.LOWER_BOUND, 0.0, float(above[built].min()), tolerance=1e-12,
            note=f"{note} over {built.sum()} networks; exact errors",
        ),
    ]  # fmt: skip
    if len(ends):
        sampled = (
            summarised(gap, deviation * math.sqrt(n), n, comparisons=len(ends), unit="test examples each")
            for gap, deviation, n in zip(above[ended], ends["test_deviation"], ends["test"], strict=True)
        )
        sgd = Guarantee(
            f"{name}/limit[SGD]", source, Kind.LOWER_BOUND, 0.0,
            note=f"{note} over {len(ends)} networks, where runs end; errors by a test sample",
        )  # fmt: skip
        found.append(judged(sgd, at_all(sampled, "at_least", "least mean")))
    return found


def _existence(built: pd.DataFrame, name: str, where: str) -> list[Guarantee]:
    d, found = int(built["d"].iloc[0]), []
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
    return found


def _test_error(name: str, where: str, trained: pd.DataFrame, floor: float, shown: str) -> Guarantee:
    """That no run's test error is below the least that the paper found; one run refutes it."""
    best, least = trained.sort_values("test_error").iloc[0], trained.groupby(RUN)["test_error"].min()
    return claim(
        f"{name}/test-error", f"{where} (SGD cannot find a test error better than {floor:g})", floor,
        extreme(least, floor, "at_least"), "at_least",
        f"{shown}; least test error of any recorded epoch, chosen on the test sample: m = {best['m']}, learning rate "
        f"{best['learning_rate']:g}, weight decay {best['weight_decay']:g}, epoch {best['epoch']}, norm "
        f"{best['norm']:.1f}, train error {best['train_error']:.3f}",
    )  # fmt: skip


def _small_norm(name: str, where: str, trained: pd.DataFrame, size: float, error: float, shown: str) -> Guarantee:
    """That no run has a published training error at the hand-built network's norm: from both, it stays a factor away.

    A factor of at most 1 is a recorded epoch with at most that error and at most that norm.
    """
    d = int(trained["d"].iloc[0])
    factors = np.maximum(trained["train_error"] / error, trained["norm"] / (size * math.sqrt(d)))
    found = trained.assign(away=factors)
    best, away = found.sort_values("away").iloc[0], found.groupby(RUN)["away"].min()
    return claim(
        f"{name}/norm[error={error:g}]", f"{where} (SGD cannot find a small training error and a small norm)", 1.0,
        extreme(away, 1.0, "at_least"), "at_least",
        f"{shown}; training error over {error:g} or norm over {size:g} sqrt(d), whichever is larger, at the recorded "
        f"epoch where that is least: training error {best['train_error']:.3g}, norm {best['norm']:.4g}",
    )  # fmt: skip


# Figure -------------------------------------------------------------------------------------------------------


def figure(table: pd.DataFrame, *, search: Search) -> Plot:
    """Norm against error: hand-built, found by SGD, and the limit of what is possible."""
    trained = pick(table, method="sgd")
    first = trained.iloc[0]
    d, widths = int(first["d"]), values(trained, "m")
    top = 1.15 * max(float(front(trained["train_error"], trained["norm"])[0, 1]), 15 * math.sqrt(d))
    shown = f"{widths[0]:,}" if len(widths) == 1 else f"{widths[0]:,} to {widths[-1]:,}"
    seeds = int(table["seed"].nunique())
    panel = Panel(
        [*_hand_built(table, d), *_searched(trained)],
        title=f"product of six signs, d = {d}, N = {int(first['samples']):,}",
        xlabel="error E|F − y|²",
        ylabel="‖W‖ (Frobenius)",
        xscale="log",
        xlim=(4.0**-4.3, 4.0**0.4),
        ylim=(0, top),
        xticks={4.0**-power: f"{4.0**-power:.2g}" for power in range(4, -1, -1)},
    )
    return Plot(
        [panel],
        size=(5.6, 4.6),
        note=f"SGD: {search.part(trained)}, m = {shown}, {int(first['epochs'])} epochs, "
        f"{f'{seeds} seeds' if seeds > 1 else 'one seed'}\n"
        "small marks: where runs end; lines: the best of all recorded epochs",
    )


def _hand_built(table: pd.DataFrame, d: int) -> list[Item]:
    """The limit, and networks made by hand."""
    hand, ours, grid = COLORS[2], COLORS[6], np.geomspace(1e-3, 1.0, 400)
    limit, explicit, recipe = vertices.least_norm(grid, d), pick(table, method="vertex"), pick(table, method="recipe")
    sizes, errors = np.array(PUBLISHED).T
    exact = float(explicit["norm"].max())
    look: dict[str, Any] = {"linestyle": "", "markersize": 5}
    return [
        Curve(grid, limit, 0 * limit, limit, color="#888888", linewidth=0.8),
        Words(4.0**-4.2, 0.1 * exact, "impossible for the true error (proved)"),
        Curve(
            errors, sizes * math.sqrt(d), color=hand, marker="D", markersize=7, linestyle="", hollow=True,
            label="hand-built, published (train = test)",
        ),
        Curve(
            recipe["test_error"], recipe["norm"], color=hand, marker="x", **look,
            label="hand-built, the paper's recipe again (exact)",
        ),
        Curve(
            explicit["test_error"], explicit["norm"], color=ours, marker="o", **look,
            label="hand-built, 64 vertices, scaled (exact)",
        ),
        Line(
            y=exact, color=ours, linewidth=0.8, linestyle=(0, (4, 3)), label=f"the same at error 0: {exact:.1f}",
        ),
    ]  # fmt: skip


def _searched(trained: pd.DataFrame) -> list[Item]:
    """Where runs end, and the best of all recorded epochs as steps."""
    found: list[Item] = []
    ends = trained[trained["test_deviation"].notna()]
    for column, mark, color in (("train_error", "s", COLORS[0]), ("test_error", "^", COLORS[1])):
        errors, norms = front(trained[column], trained["norm"]).T
        found += [
            Curve(ends[column], ends["norm"], color=color, marker=mark, linestyle="", markersize=2.5, alpha=0.35),
            Curve(np.repeat(errors, 2)[1:], np.repeat(norms, 2)[:-1], color=color),
            Curve(
                errors, norms, color=color, marker=mark, linestyle="",
                label=f"best found by SGD in {column.replace('_', ' ')}",
            ),
        ]  # fmt: skip
    return found


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


def cells(
    usual: dict[str, int],
    usual_widths: tuple[int, ...],
    usual_rates: tuple[float, ...],
    usual_decays: tuple[float, ...],
    *,
    usual_further: tuple[int, ...] = (),
    usual_recipe: tuple[float, ...] = RECIPE,
) -> Callable[..., tuple[Setting, ...]]:
    """What is built by hand, the search, and ``further`` widths with the rates and decays of :data:`FURTHER`."""

    def chosen_cells(
        d: int = usual["d"],
        samples: int = usual["samples"],
        test: int = usual["test"],
        batch: int = usual["batch"],
        epochs: int = usual["epochs"],
        widths: tuple[int, ...] = usual_widths,
        learning_rates: tuple[float, ...] = usual_rates,
        weight_decays: tuple[float, ...] = usual_decays,
        further: tuple[int, ...] = usual_further,
        recipe: tuple[float, ...] = usual_recipe,
    ) -> tuple[Setting, ...]:
        checks.integer("d", d, at_least=MONOMIAL_DEGREE, at_most=10**6)
        common = {"d": d, "samples": samples, "test": test, "batch": batch, "epochs": epochs}
        for name in ("samples", "test"):
            checks.integer(name, common[name], at_least=2)
        for name in ("batch", "epochs"):
            checks.integer(name, common[name], at_least=1)
        checks.several("widths", widths, even, at_least=2)
        checks.several("further", further, even, empty=True, at_least=2)
        if both := sorted({*widths} & {*further}):
            raise RequestError(f"further must hold other values than widths, got {both[0]}")
        checks.several("learning_rates", learning_rates, checks.real, above=0.0)
        checks.several("weight_decays", weight_decays, checks.real, at_least=0.0)
        checks.several("recipe", recipe, checks.real, above=0.0)
        rates, decays = FURTHER
        return (
            *hand_built(d, recipe),
            *searched(widths, learning_rates, weight_decays, **common),
            *searched(further, rates, decays, **common),
        )

    return chosen_cells


def even(name: str, value: object, **limits: int) -> int:
    """An even width, for as many units of each sign."""
    number = checks.integer(name, value, **limits)
    if number % 2:
        raise RequestError(f"{name} must be even, for as many units of each sign, got {number}")
    return number


def experiment(
    *,
    name: str,
    where: str,
    title: str,
    floor: float,
    scales: dict[str, Scale],
) -> Experiment:
    """The experiment of one of the two figures; ``paper`` is the whole search."""
    search = Search.of(scales["paper"].settings)
    return Experiment(
        title=title,
        source=f"{PAPER}, {where}",
        revision=1,
        scales=scales,
        run=run,
        figure=partial(figure, search=search),
        claims=partial(claims, name=name, where=where, floor=floor, search=search),
    )
