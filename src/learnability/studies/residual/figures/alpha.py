r"""How the risk falls with alpha: a three-layer ResNet trained online, against every kernel on as many samples.

Allen-Zhu & Li promise, for the hard instance of Section 7 (output j is :math:`s_j + \alpha \prod_{i \in S} s_i` over
k unknown coordinates S of d signs), a ResNet whose risk :math:`E \|H - out\|^2` is of order :math:`\alpha^4`
(Corollary 7.1), where no kernel comes below the order :math:`\alpha^2` (Theorem 2). Here Algorithm 1: online SGD,
one fresh sample a step, on W and V with A fixed. A setting has

``method``
    "3resnet"; or a kernel machine with the ridge chosen by leaving one out: "linear" (:math:`\langle x, z \rangle +
    1`), "rbf" (:math:`\exp(-\|x - z\|^2)`) or "tangent" (the tangent kernel of infinite width of three layers with
    biases).
``d``, ``k``, ``alpha``
    Problem; S is drawn for each seed.
``m``, ``learning_rate``, ``samples``
    Width, rate (one for W and V, where the theorem has two) and number of steps; 0, 0 and the sample of a kernel
    machine.
``test``
    Size of the test sample, and of the one that chooses the learning rate.

A row is a number of samples at which the risk was recorded. The curve of the ResNet has, for each alpha and number
of samples, the learning rate with the least mean validation risk. Drawn beside it is what is proved (this project's
sharper form of Theorem 2): averaged over S, no kernel machine on N samples has a risk below
:math:`k \alpha^2 (1 - N / \binom d k)`.

The widths are far below those for which Theorem 1 is proved (Table 1), its constants are not in the paper, and its
time is of order :math:`1/\alpha^8`. What runs decide of Corollary 7.1 is the order of that time: how the samples
until the risk is :math:`k \alpha^4` grow as alpha falls.

Found at ``laptop``: after 10,000 samples the ResNet is below what any kernel has there, at every alpha, and its risk
goes on falling with the samples: it learns G(F). So the fourth power is an upper bound and not seen as a slope: at a
fixed number of samples what is left depends on alpha little. The samples until :math:`k \alpha^4` grow like a small
power of :math:`1/\alpha`. The kernels' second power is seen with the linear kernel, which knows F exactly; with the
others the error in F, which does not shrink with alpha, is the larger part for small alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.evidence.intervals import Interval, exponents, mean
from learnability.evidence.tables import pick, values
from learnability.plotting import COLORS, Curve, Panel, Plot, Words, over_seeds
from learnability.problems.residual import HardInstance, UniformSigns, random_hard_instance
from learnability.seeding import generator
from learnability.studies.residual import PAPER, PROJECT, claim, project
from learnability.studies.residual.theorems.thm1 import kernel_samples
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Hypothesis, Kind
from learnability.theory.guarantee import statement_id

if TYPE_CHECKING:
    import pandas as pd

NETWORK = "3resnet"
KERNELS = {"linear": "linear kernel", "rbf": "Gaussian kernel", "tangent": "NTK (three layers)"}
EPOCH = 1000
"""Steps between which a run can be recorded."""
SQUARE = 0.15
"""A fitted exponent this near to 2 counts as 2."""
EARLY = 10_000
"""Samples after which the ResNet is compared with what kernels can: a few more than it takes at every alpha."""
PART = 0.9
"""With N <= C(d, k) / 1000, 99 % of the sets S leave every kernel this part of k alpha^2 (sharper than Theorem 2)."""


# Runs ---------------------------------------------------------------------------------------------------------


def run(s: Setting, seed: int) -> list[Row]:
    """One run of Algorithm 1, or one kernel machine."""
    d, k, test = int(s["d"]), int(s["k"]), int(s["test"])
    target = random_hard_instance(generator(seed, "target", d, k), d, k, alpha=float(s["alpha"]))
    inputs = UniformSigns(d, unit=True)
    samples = {name: inputs.sample(generator(seed, name, d), test) for name in ("validation", "test")}
    if s["method"] == NETWORK:
        return _online(s, seed, target, inputs, samples)
    from learnability.kernels.machine import fit

    N = int(s["samples"])
    X = inputs.sample(generator(seed, "sample", d), N)
    machine = fit(_kernel(str(s["method"])), X, target(X))
    risks = {name: float(((machine.predict(Z) - target(Z)) ** 2).sum() / test) for name, Z in samples.items()}
    return [_row(N, risks["validation"], risks["test"])]


def needs(s: Setting) -> tuple[str, ...]:
    """JAX, for the network."""
    return ("jax",) if s["method"] == NETWORK else ()


def _row(seen: int, validation: float, test: float) -> Row:
    return {"seen": seen, "validation_risk": validation, "risk": test}


def _kernel(name: str) -> Callable[[FloatArray, FloatArray], FloatArray]:
    from learnability.kernels.closed_form import rbf, tangent
    from learnability.kernels.inner_product import polynomial

    if name == "linear":
        return partial(polynomial, degree=1)
    if name == "rbf":
        return partial(rbf, gamma=1.0)
    return partial(tangent, depth=2, bias=1.0)


def _online(
    s: Setting, seed: int, target: HardInstance, inputs: UniformSigns, samples: dict[str, FloatArray]
) -> list[Row]:
    from learnability.networks.residual import initial, learner
    from learnability.training import minibatch
    from learnability.training.minibatch.optimisers import Sgd
    from learnability.training.minibatch.sources import examples, fresh

    d, k, m, steps = (int(s[name]) for name in ("d", "k", "m", "samples"))
    start = learner(initial(generator(seed, "start", d, k, m), NETWORK, d, k, m), "hidden")

    def draw(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        X = inputs.sample(rng, EPOCH)
        return X, target(X)

    (found,) = minibatch.train(
        start.apply,
        start.params,
        fresh(draw, EPOCH),
        rule=Sgd(),
        learning_rate=float(s["learning_rate"]),
        batch=1,
        epochs=steps // EPOCH,
        rng=generator(seed, "online", d),
        loss="squared",
        trainable=start.trainable,
        watch={name: examples(X, target(X)) for name, X in samples.items()},
        record=checkpoints(steps // EPOCH),
    )
    return [
        _row(EPOCH * int(row["epoch"]), 2 * row["validation_loss"], 2 * row["test_loss"])
        for row in found.rows()
        if row["epoch"] and math.isfinite(row["validation_loss"] + row["test_loss"])
    ] or [_row(EPOCH * found.epochs, math.nan, math.nan)]


def checkpoints(epochs: int) -> list[int]:
    """1, 3, 10, 30, ... and the last."""
    powers = range(math.ceil(math.log10(epochs)) + 1)
    return sorted({epoch for power in powers for epoch in (10**power, 3 * 10**power) if epoch < epochs} | {epochs})


# What claims and figure read off the table --------------------------------------------------------------------


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """The ResNet's rows at the learning rate with the least mean validation risk, by alpha and samples seen.

    A rate at which a seed diverged is not chosen.
    """
    rows = pick(table, method=NETWORK)
    seeds = rows["seed"].nunique()
    means = rows.groupby(["alpha", "seen", "learning_rate"])["validation_risk"].agg(["mean", "count"]).reset_index()
    best = means[means["count"] == seeds].sort_values("mean").groupby(["alpha", "seen"], as_index=False).head(1)
    return rows.merge(best[["alpha", "seen", "learning_rate"]], on=["alpha", "seen", "learning_rate"])


def of_alpha(rows: pd.DataFrame) -> Interval:
    """Exponent of alpha in the risk, for each seed."""
    curves = rows.pivot(index="seed", columns="alpha", values="risk")
    return exponents(curves.columns, curves)


def floor(d: int, k: int, alpha: Any, N: Any) -> Any:
    """The least risk of a kernel machine on N samples, averaged over S: k alpha^2 (1 - N / C(d, k)), >= 0."""
    return k * np.asarray(alpha) ** 2 * np.maximum(0.0, 1 - np.asarray(N, dtype=float) / math.comb(d, k))


def samples_until(rows: pd.DataFrame, level: float) -> float:
    """Samples after which one run's risk is at most ``level``, between records along a power; NaN if it never is."""
    curve = rows.sort_values("seen")
    N, risks = curve["seen"].to_numpy(dtype=float), curve["risk"].to_numpy(dtype=float)
    reached = np.flatnonzero(risks <= level)
    if not reached.size:
        return math.nan
    at = int(reached[0])
    if at == 0:
        return float(N[0])
    part = math.log(risks[at - 1] / level) / math.log(risks[at - 1] / risks[at])
    return float(N[at - 1] * (N[at] / N[at - 1]) ** part)


# Claims -------------------------------------------------------------------------------------------------------


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Both promises beside what was measured, and the exponents."""
    d, k = int(table["d"].iloc[0]), int(table["k"].iloc[0])
    network = chosen(table)
    seen = max((N for N in values(network, "seen") if N <= EARLY), default=int(network["seen"].min()))
    return [
        *(
            claim(
                f"alpha/below-every-kernel[alpha={alpha:g}]", "Corollary 7.1 against Theorem 2",
                float(floor(d, k, alpha, seen)), mean(pick(rows, seen=seen)["risk"], what="mean risk"), "at_most",
                f"after {seen} samples; no kernel machine on as many averages less than the bound over S (this "
                f"project's form of Theorem 2); mean risk over k alpha^2: {_course(rows, k * alpha**2)}",
            )
            for alpha in values(network, "alpha")
            for rows in [pick(network, alpha=alpha)]
        ),
        _samples_claim(network, d, k),
        *(
            one
            for name in KERNELS
            for N in values(pick(table, method=name), "samples")
            for one in _kernel_claims(name, pick(table, method=name, samples=N), d, k, N)
        ),
    ]  # fmt: skip


def _course(rows: pd.DataFrame, unit: float) -> str:
    return ", ".join(f"{risk / unit:.3g} at {seen}" for seen, risk in rows.groupby("seen")["risk"].mean().items())


def _samples_claim(network: pd.DataFrame, d: int, k: int) -> Guarantee:
    """Corollary 7.1's accuracy k alpha^4 = delta takes 1 / delta samples in order, where 1 / delta^2 are promised."""
    import pandas as pd

    runs = network.groupby(["seed", "alpha"])
    found = [(seed, alpha, samples_until(rows, k * rows["alpha"].iloc[0] ** 4)) for (seed, alpha), rows in runs]
    until = pd.DataFrame(found, columns=["seed", "alpha", "N"]).pivot(index="seed", columns="alpha", values="N")
    reached = until.dropna(axis=1)
    never = ", ".join(f"{alpha:g}" for alpha in until.columns.difference(reached.columns))
    shown = ", ".join(f"{N:.3g} at {alpha:g}" for alpha, N in reached.mean().items())
    note = f"exponent of 1 / alpha in the samples until the risk is k alpha^4: {shown}"
    note += f"; not reached at {never}" if never else ""
    grow = exponents(1 / reached.columns.to_numpy(dtype=float), reached)
    return project(
        "alpha/samples[3resnet]", "Corollary 7.1 (1 / alpha^8 promised)", 4.0, grow, "at_most", note, Kind.TREND
    )


def _kernel_claims(name: str, rows: pd.DataFrame, d: int, k: int, N: int) -> list[Guarantee]:
    case, limit = f"{name},N={N}", kernel_samples(d, k)
    found = [
        Guarantee(
            statement_id("residual/alpha/thm2", case), f"{PROJECT}, Theorem 2", Kind.LOWER_BOUND, PART,
            float((rows["risk"] / (k * rows["alpha"] ** 2)).min()),
            (Hypothesis("N <= C(d, k) / 1000", limit >= N, f"{N} <= {limit:.4g}"),),
            note=f"least risk over k alpha^2 of {len(rows)} machines, an S drawn for each seed "
            "(99 % of all are promised it; as printed, alpha^2 / 16), by a test sample",
        ),
    ]  # fmt: skip
    if name == "linear":
        away = of_alpha(rows).distance(2.0)
        found.append(
            claim(
                f"alpha/slope[{case}]", "Theorem 2 (risk of order alpha^2)", SQUARE, away, "at_most",
                f"exponent of alpha in the risk of the machine: {of_alpha(rows).estimate:.4g}", Kind.TREND,
            )
        )  # fmt: skip
    return found


# Figure -------------------------------------------------------------------------------------------------------


def figure(table: pd.DataFrame) -> Plot:
    """Risk against alpha, of kernels on N samples and of the ResNet on far more; its risk against the samples."""
    d, k, network = int(table["d"].iloc[0]), int(table["k"].iloc[0]), chosen(table)
    seeds, m = table["seed"].nunique(), int(network["m"].max())
    note = f"mean over {seeds} seeds, bands: 95 % confidence for the mean" if seeds > 1 else "one seed"
    return Plot(
        [_kernel_panel(table, k), _network_panel(network, k), _against_samples(network, d, k)],
        columns=3,
        size=(4.0, 3.6),
        note=f"d = {d}, k = {k}, m = {m}; {note}",
        legend_columns=2,
    )


def _kernel_panel(table: pd.DataFrame, k: int) -> Panel:
    machines = table[table["method"] != NETWORK]
    curves = [
        over_seeds(pick(machines, method=name), "alpha", "risk", color=color, marker="o", label=label, direct=True,
                   limits=(float(machines["risk"].min()) / 2, math.inf), markersize=3)
        for color, (name, label) in zip(COLORS[1:], KERNELS.items())
    ]  # fmt: skip
    N = ", ".join(f"{N:,}" for N in values(machines, "samples"))
    return _over_alpha([*_powers(table, k), *curves], f"kernels, {N} samples", table)


def _network_panel(network: pd.DataFrame, k: int) -> Panel:
    low = 10.0 ** math.floor(math.log10(network["risk"].min()))
    shown = values(network, "seen")
    times = [seen for seen in shown if math.log10(seen).is_integer() or seen == shown[-1]]
    curves = [
        over_seeds(
            pick(network, seen=seen), "alpha", "risk", color=COLORS[0], marker="s", alpha=(1 + place) / len(times),
            label=f"{seen:,} samples", direct=True, limits=(low, math.inf), markersize=3,
        )
        for place, seen in enumerate(times)
    ]  # fmt: skip
    panel = _over_alpha([*_powers(network, k), *curves], "3resnet, one pass", network)
    return replace(panel, ylim=(low, None))


def _powers(table: pd.DataFrame, k: int) -> list[Curve]:
    grid = np.geomspace(table["alpha"].min(), table["alpha"].max(), 50)
    return [
        Curve(grid, k * grid**2, color="#888888", linestyle="--", label="kα²: F and nothing of G"),
        Curve(grid, k * grid**4, color="#888888", linestyle=":", label="kα⁴"),
    ]


def _over_alpha(curves: list[Curve], title: str, table: pd.DataFrame) -> Panel:
    return Panel(
        curves, title=title, xlabel="α", ylabel="risk E‖H − out‖²", xscale="log", yscale="log",
        xticks={alpha: f"{alpha:g}" for alpha in values(table, "alpha")},
    )  # fmt: skip


def _against_samples(network: pd.DataFrame, d: int, k: int) -> Panel:
    scaled = network.assign(share=network["risk"] / (k * network["alpha"] ** 2))
    low = 10.0 ** math.floor(math.log10(scaled["share"].min()))
    N = np.geomspace(scaled["seen"].min(), scaled["seen"].max(), 200)
    bound = np.maximum(floor(d, k, 1.0, N) / k, low)
    impossible = Curve(N, bound, np.full(len(N), low), bound, color="#888888", linewidth=0.8)
    curves = []
    for color, (alpha, rows) in zip(COLORS, scaled.groupby("alpha")):
        share = rows.groupby("seen")["share"].mean()
        curves.append(
            Curve(share.index, share, color=color, marker="s", markersize=3, label=f"α = {alpha:g}", direct=True)
        )
    return Panel(
        [impossible, Words(N[0], 1.15 * low, "impossible for every kernel, on average over S"), *curves],
        title="3resnet, one pass", xlabel="samples", ylabel="risk / kα²",
        xscale="log", yscale="log", ylim=(low, None),
    )  # fmt: skip


# Settings -----------------------------------------------------------------------------------------------------


_ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
_RATES = (0.03, 0.1, 0.3)


def _cells(
    d: int = 60,
    k: int = 4,
    alphas: tuple[float, ...] = _ALPHAS,
    learning_rates: tuple[float, ...] = _RATES,
    m: int = 200,
    steps: int = 300_000,
    test: int = 10_000,
    N: int = 400,
) -> tuple[Setting, ...]:
    """Networks of width m for ``steps`` samples, kernel machines on N."""
    checks.integer("k", k, at_least=2)
    checks.integer("d", d, at_least=k)
    checks.several("alphas", alphas, checks.real, above=0.0, below=1)
    checks.several("learning_rates", learning_rates, checks.real, above=0.0)
    if checks.integer("steps", steps, at_least=EPOCH) % EPOCH:
        raise RequestError(f"steps must be a multiple of {EPOCH}, where risks are recorded, got {steps}")
    for name, size in (("m", m), ("test", test), ("N", N)):
        checks.integer(name, size, at_least=1)
    common: Setting = {"d": d, "k": k, "test": test}
    networks = tuple(
        {**common, "method": NETWORK, "alpha": alpha, "m": m, "samples": steps, "learning_rate": rate}
        for alpha in alphas
        for rate in learning_rates
    )
    machines = tuple(
        {**common, "method": name, "alpha": alpha, "m": 0, "samples": N, "learning_rate": 0.0}
        for name in KERNELS
        for alpha in alphas
    )
    return networks + machines


EXPERIMENT = Experiment(
    title="Risk against alpha: a ResNet trained online, and every kernel",
    source=f"{PAPER}, Corollary 7.1 and Theorem 2",
    revision=1,
    scales={
        "smoke": Scale(
            partial(_cells, d=16, k=3, alphas=(0.1, 0.4), learning_rates=(0.1,), m=50, steps=10_000, test=500, N=50),
            seeds=2,
            seconds=3,
        ),
        "laptop": Scale(_cells, seeds=3, seconds=120),
        "paper": Scale(
            partial(_cells, alphas=(0.01, *_ALPHAS), learning_rates=(0.01, *_RATES), m=1000, steps=400_000),
            seeds=10,
            seconds=10_000,
        ),
    },
    run=run,
    needs=needs,
    figure=figure,
    claims=claims,
)
