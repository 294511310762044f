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
time is of order :math:`1/\alpha^8`: so its verdicts here are ``outside_hypotheses``.

Found at ``laptop``: after 10,000 samples the ResNet is below what any kernel has there, at every alpha, and its risk
goes on falling with the samples: it learns G(F). So the fourth power is an upper bound and not seen as a slope: at a
fixed number of samples what is left depends on alpha little (exponent 0.4 after 300,000 samples), above
:math:`k \alpha^4` for the smallest alpha and orders below it for large ones. The kernels' second power is seen with
the linear kernel, which knows F exactly; with the others the error in F, which does not shrink with alpha, is the
larger part for small alpha.
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
from learnability.evidence.claims import judged
from learnability.evidence.intervals import Interval, exponents, mean
from learnability.evidence.tables import pick, values
from learnability.plotting import COLORS, Curve, Panel, Plot, Words, over_seeds
from learnability.problems.residual import HardInstance, UniformSigns, random_hard_instance
from learnability.seeding import generator
from learnability.studies.residual import PAPER, claim
from learnability.studies.residual.theorems.thm1 import corollary71, kernel_samples
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
"""A fitted exponent up to this much above 2 counts as 2."""
FOURTH = 4.0


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


# Claims -------------------------------------------------------------------------------------------------------


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Both promises beside what was measured, and the exponents."""
    d, k = int(table["d"].iloc[0]), int(table["k"].iloc[0])
    network = chosen(table)
    seen = int(network["seen"].max())
    last = pick(network, seen=seen)
    risks = last.groupby("alpha")["risk"]
    width = Hypothesis("Table 1 and the theorem's time", False, f"m = {int(last['m'].max())}, {seen} samples")
    scaled = (last["risk"] / (k * last["alpha"] ** FOURTH)).groupby(last["alpha"]).mean()
    ratios = ", ".join(f"{ratio:.3g} at {alpha:g}" for alpha, ratio in scaled.items())
    least = float(last["alpha"].min())
    promise = corollary71(d, k, least).promise.guarantee(case=f"alpha={least:g},d={d},k={k}")
    promise = replace(promise, note=f"{promise.note}; vacuous: the output 0 has the risk {1 + least**2:.4g}")
    return [
        *(
            claim(
                f"alpha/below-every-kernel[alpha={alpha:g}]", "Corollary 7.1 against Theorem 2",
                float(floor(d, k, alpha, seen)), mean(risk, what="mean risk"), "at_most",
                f"after {seen} samples; no kernel machine on as many averages less than the bound over S (this "
                "project's form of Theorem 2)",
            )
            for alpha, risk in risks
        ),
        claim(
            "alpha/slope[3resnet]", "Corollary 7.1 (risk of order alpha^4)", FOURTH, of_alpha(last), "at_least",
            f"exponent of alpha in the risk after {seen} samples; mean risk over k alpha^4: {ratios}", Kind.TREND,
            hypotheses=(width,),
        ),
        judged(promise, mean(pick(last, alpha=least)["risk"] / k, what="mean risk over k")),
        *(
            one
            for name in KERNELS
            for N in values(pick(table, method=name), "samples")
            for one in _kernel_claims(name, pick(table, method=name, samples=N), d, k, N)
        ),
    ]  # fmt: skip


def _kernel_claims(name: str, rows: pd.DataFrame, d: int, k: int, N: int) -> list[Guarantee]:
    case, limit = f"{name},N={N}", kernel_samples(d, k)
    alphas = rows["alpha"].to_numpy()
    sharper = float((rows["risk"] / floor(d, k, alphas, N)).min()) if math.comb(d, k) > N else math.nan
    return [
        Guarantee(
            statement_id("residual/alpha/thm2", case), f"{PAPER}, Theorem 2", Kind.LOWER_BOUND, 1.0,
            float((rows["risk"] / (alphas**2 / 16)).min()),
            (Hypothesis("N <= C(d, k) / 1000", limit >= N, f"{N} <= {limit:.4g}"),),
            note=f"least risk over alpha^2 / 16 of {len(rows)} machines, each alpha with "
            f"{rows['seed'].nunique()} drawn S (99 % of all are promised it), by a test sample; over the sharper "
            f"k alpha^2 (1 - N / C(d, k)): {sharper:.3f}",
        ),
        claim(
            f"alpha/slope[{case}]", "Theorem 2 (risk of order alpha^2)", 2 + SQUARE, of_alpha(rows), "at_most",
            "exponent of alpha in the risk of the machine", Kind.TREND,
        ),
    ]  # fmt: skip


# Figure -------------------------------------------------------------------------------------------------------


def figure(table: pd.DataFrame) -> Plot:
    """Risk against alpha with lines of slopes 2 and 4; risk over k alpha^2 against the samples."""
    d, k, network = int(table["d"].iloc[0]), int(table["k"].iloc[0]), chosen(table)
    seeds, m = table["seed"].nunique(), int(network["m"].max())
    note = f"mean over {seeds} seeds, bands: 95 % confidence for the mean" if seeds > 1 else "one seed"
    return Plot(
        [_against_alpha(table, network, k), _against_samples(network, d, k)],
        size=(4.8, 4.0),
        note=f"d = {d}, k = {k}, m = {m}; {note}",
        legend_columns=3,
    )


def _against_alpha(table: pd.DataFrame, network: pd.DataFrame, k: int) -> Panel:
    alphas = values(table, "alpha")
    low = 10.0 ** math.floor(math.log10(network["risk"].min()))
    look: dict[str, Any] = {"limits": (low, math.inf), "markersize": 3}
    grid = np.geomspace(alphas[0], alphas[-1], 50)
    curves = [
        Curve(grid, k * grid**2, color="#888888", linestyle="--", label="kα²: F and nothing of G"),
        Curve(grid, k * grid**4, color="#888888", linestyle=":", label="kα⁴"),
    ]
    for color, (name, label) in zip(COLORS[1:], KERNELS.items()):
        for N, rows in pick(table, method=name).groupby("samples"):
            curves.append(
                over_seeds(rows, "alpha", "risk", color=color, marker="o", label=f"{label}, N = {N:,}", **look)
            )
    shown = values(network, "seen")
    times = [seen for seen in shown if math.log10(seen).is_integer() or seen == shown[-1]]
    for place, seen in enumerate(times):
        curves.append(
            over_seeds(
                pick(network, seen=seen), "alpha", "risk", color=COLORS[0], marker="s",
                alpha=(1 + place) / len(times), label=f"3resnet, {seen:,} samples", direct=True,
                **look,
            )
        )  # fmt: skip
    return Panel(
        curves, title="risk against α", xlabel="α", ylabel="risk E‖H − out‖²", xscale="log", yscale="log",
        ylim=(low, None), xticks={alpha: f"{alpha:g}" for alpha in alphas},
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
        title="3resnet", xlabel="samples", ylabel="risk / kα²", xscale="log", yscale="log", ylim=(low, None),
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
        raise ValueError(f"steps must be a multiple of {EPOCH}, where risks are recorded, got {steps}")
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
    figure=figure,
    claims=claims,
)
