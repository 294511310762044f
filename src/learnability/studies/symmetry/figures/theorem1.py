"""Theorem 1: true error against sample size, for several distributions over Hamming weights.

The paper proves this and shows no curve. Both layers of the half-integer network are trained on m examples of a
random symmetric function until an epoch makes no update, for m = (n+1)/2, n+1, 2(n+1), 4(n+1) and the theorem's
own sample size with its constant made explicit, m >= ((n+1) ln 2 + ln(1/delta)) / epsilon, epsilon = delta =
1/10. The samples of one seed are nested.

``parameters`` is ``"lemma 4"``: h just within gamma^(5/2) / (100 R^2 R_X) for parity's margin, which suits every
function, and beta = R^2 h, so that the theorem's hypotheses are met; or ``"section 5"``: the experiments' h =
n^-6 and beta = n^3 h, outside of them. Both end fast, since the number of updates depends on beta / h and hardly
on h: "lemma 4" is used for n = 20 and 30 at ``laptop``, with "section 5" beside it at n = 20; ``paper`` has both
at both n.

True errors are exact, not estimated: the output at each Hamming weight is known with a bound on what the rest of
the input can change. An unseen weight whose sign that leaves open (an exact tie at leading order) counts as
wrong.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.evidence.intervals import at_all, every, mean, share
from learnability.evidence.tables import told, values
from learnability.networks.symmetry import symmetry_init
from learnability.plotting import COLORS, Curve, Panel, Plot, over_seeds
from learnability.problems.symmetry import parity, random_symmetric
from learnability.seeding import generator
from learnability.studies.symmetry import PAPER, claim
from learnability.studies.symmetry.runs import DISTRIBUTIONS, geometry, lemma4_step
from learnability.studies.symmetry.theorems import lemmas_thm1 as theory
from learnability.study import Experiment, Row, Scale, Setting
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    import pandas as pd

EPSILON = DELTA = 0.1
_EPOCHS = 10**6  # a budget that no run comes near: one that meets it counts as a failure
_DISTRIBUTIONS = {
    "uniform": "uniform inputs",
    "uniform weights": "uniform weights",
    "skewed weights": "weights skewed, p ∝ 0.8$^k$",
    "few weights": "three weights only",
}
_PARAMETERS = {"lemma 4": "Lemma 4's h and β = R²h", "section 5": "section 5's h = n⁻⁶ and β = n³h"}


def _cells(
    n: tuple[int, ...] = (20, 30),
    section5: int = 1,
    distributions: tuple[str, ...] = tuple(_DISTRIBUTIONS),
    epsilon: float = EPSILON,
    delta: float = DELTA,
) -> tuple[Setting, ...]:
    """Every n with Lemma 4's parameters, the first ``section5`` of them with section 5's too.

    Another epsilon or delta than the figure's is named in the settings.
    """
    checks.several("n", n, checks.integer, at_least=2)
    checks.several("distributions", distributions, checks.choice, tuple(_DISTRIBUTIONS))
    checks.integer("section5", section5, at_least=0)
    other: Setting = {
        name: checks.real(name, value, above=0.0, below=1)
        for name, value, usual in (("epsilon", epsilon, EPSILON), ("delta", delta, DELTA))
        if value != usual
    }
    cells = [(size, "lemma 4") for size in n] + [(size, "section 5") for size in n[:section5]]
    return tuple(
        {"n": size, "parameters": used, "distribution": name, **other}
        for size, used in cells
        for name in distributions
    )


def _sizes(n: int, s: Setting) -> list[int]:
    """In order; what the theorem asks for may be among the others."""
    asked = theory.theorem1_sample_size(n, float(s.get("epsilon", EPSILON)), float(s.get("delta", DELTA)))
    return sorted({(n + 1) // 2, n + 1, 2 * (n + 1), 4 * (n + 1), asked})


def _step(n: int, parameters: str) -> tuple[Fraction, Fraction]:
    """Step and confidence, exactly."""
    if parameters == "section 5":
        return Fraction(1, n**6), n**3 * Fraction(1, n**6)
    margin, squared = geometry(symmetry_init(n), parity(n))
    h = lemma4_step(margin, squared, n)
    return h, squared * h


def run(s: Setting, seed: int) -> list[Row]:
    """One row for each sample size: exact true error, mass of the unseen weights, and how training ended."""
    from learnability.training.online import train

    n, name = int(s["n"]), str(s["distribution"])
    f, distribution = random_symmetric(n, generator(seed, "target", n)), DISTRIBUTIONS[name](n)
    labels, probabilities = np.asarray(f.labels, dtype=float), distribution.weight_probabilities
    everything = distribution.sample(generator(seed, "sample", n, name), max(_sizes(n, s)))
    h, beta = _step(n, str(s["parameters"]))
    rows = []
    for m in _sizes(n, s):
        X = everything[:m]
        end = train(
            symmetry_init(n), X, f(X), h=h, beta=beta, rng=generator(seed, "order", n, m), epochs=_EPOCHS, record=[0]
        )
        assert end.deviation is not None  # both ReLU layers from M = 0
        values, rest = end.deviation.outputs_by_weight()
        undecided = np.abs(values) <= rest
        seen = np.isin(np.arange(n + 1), X.sum(axis=1))
        rows.append(
            {
                "m": m,
                "true_error": float(((labels * values <= 0) | undecided) @ probabilities),
                "unseen": float(~seen @ probabilities),
                "expected_unseen": float(probabilities @ (1 - probabilities) ** m),
                "undecided": float(undecided @ probabilities),
                "step": float(h),
                "epochs": end.epochs,
                "updates": end.updates,
                "outcome": str(end.outcome),
                "ties": end.ties,
                "unresolved": end.unresolved,
            }
        )
    return rows


def _promised(n: int, m: float, delta: float) -> float:
    """The error that Theorem 1 promises with probability 1 - delta at sample size m; vacuous above 1."""
    return ((n + 1) * math.log(2) - math.log(delta)) / m


def figure(table: pd.DataFrame) -> Plot:
    """A row of panels for each n, a panel for each distribution: mean true error, unseen mass, bound."""
    sizes = sorted(table["n"].unique())
    shown = {name: title for name, title in _DISTRIBUTIONS.items() if (table["distribution"] == name).any()}
    panels = []
    for n in sizes:
        for name, title in shown.items():
            first = name == next(iter(shown))
            panels.append(
                Panel(
                    _curves(table[(table["n"] == n) & (table["distribution"] == name)], int(n), name),
                    f"n = {n}: {title}" if first else title,
                    "m / (n+1)" if n == sizes[-1] else "",
                    "error (0-1)" if first else "",
                    xscale="log",
                    ylim=(0, 0.62),
                    xticks={tick: f"{tick:g}" for tick in (0.5, 1, 2, 4, 8)},
                )
            )
    seeds = table["seed"].nunique()
    note = f"mean over {seeds} samples, bands: 95 % confidence for the mean" if seeds > 1 else "one sample"
    return Plot(panels, len(shown), size=(2.2, 2.2), note=note, sharex=True, sharey=True)


def _curves(cell: pd.DataFrame, n: int, name: str) -> list[Curve]:
    """What is promised, the unseen mass, and the true errors with each choice of parameters."""
    cell, delta = cell.assign(ratio=cell["m"] / (n + 1)), float(told(cell, "delta", DELTA))
    grid = np.geomspace(cell["ratio"].min(), cell["ratio"].max(), 100)
    p = DISTRIBUTIONS[name](n).weight_probabilities
    look: dict[str, Any] = {"limits": (0, 1), "marker": "o", "markersize": 3}
    return [
        Curve(
            grid, [_promised(n, r * (n + 1), delta) for r in grid], label=f"Theorem 1's ε (δ = {delta:g})",
            color="black", linewidth=1.0,
        ),
        Curve(
            grid, [p @ (1 - p) ** (r * (n + 1)) for r in grid], label="expected mass of unseen weights",
            color="#666666", linestyle="--", linewidth=1.0,
        ),
        *(
            over_seeds(rows, "ratio", "true_error", label=f"true error, {used}", color=color, linestyle=dash, **look)
            for color, dash, (parameters, used) in zip(COLORS, ("-", "--"), _PARAMETERS.items(), strict=False)
            if not (rows := cell[cell["parameters"] == parameters]).empty
        ),
    ]  # fmt: skip


def claims(table: pd.DataFrame) -> list[Guarantee]:
    """Theorem 1 at its sample size and at every other; the sample-compression bound on each run; training ends."""
    found, delta = [], float(told(table, "delta", DELTA))
    for n, parameters in sorted({(int(n), str(p)) for n, p in zip(table["n"], table["parameters"], strict=True)}):
        runs = table[(table["n"] == n) & (table["parameters"] == parameters)]
        # what the theorem promises at Lemma 4's parameters is a claim of the figure at section 5's
        promised = Kind.UPPER_BOUND if parameters == "lemma 4" else Kind.THRESHOLD
        at = f"{parameters},n={n}"
        above = runs["true_error"] > np.array([_promised(n, k, delta) for k in runs["m"]])
        cells = above.groupby([runs["distribution"], runs["m"]])
        shares = (share(cell, comparisons=cells.ngroups, what="largest share") for _, cell in cells)
        found += [_promise(runs, n, name, parameters) for name in values(runs, "distribution")]
        found += [
            claim(
                f"theorem1/every-sample-size[{at}]", "Theorem 1 (its epsilon at each m)", delta,
                at_all(shares, "at_most"), "at_most",
                f"how often, for each of {cells.ngroups} (distribution, m), the true error is above ((n+1) ln 2 + "
                "ln(1/delta)) / m, which is above 1 and so vacuous at m = (n+1)/2",
                promised,
            ),
            *_unseen_mass(runs, promised, at),
            claim(
                f"theorem1/ends[{at}]", "Lemma 4 (training ends)", 1.0, every(runs["outcome"] == "converged"),
                "at_least",
                f"runs that ended before {_EPOCHS} epochs; most epochs {int(runs['epochs'].max())}, most updates "
                f"{int(runs['updates'].max())}",
            ),
        ]  # fmt: skip
    return found


def _unseen_mass(runs: pd.DataFrame, promised: Kind, at: str) -> list[Guarantee]:
    """The true error against the mass of the weights not in the sample: on each run, and on average."""
    ended = runs[runs["outcome"] == "converged"]
    ratio = ended["true_error"].mean() / (ended["unseen"].mean() or np.nan)  # every weight may have been seen
    by_seed = runs.groupby("seed")[["true_error", "expected_unseen"]].mean()
    return [
        claim(
            f"theorem1/unseen-mass[{at}]", "section 4, first remark", 0.0,
            float((ended["true_error"] - ended["unseen"]).max()), "at_most",
            f"largest (true error - mass of the weights not in the sample) over {len(ended)} of {len(runs)} runs "
            f"that ended; mean error over mean unseen mass {ratio:.3f}; {int((runs['undecided'] > 0).sum())} runs "
            f"left the sign of a weight open, {int(runs['unresolved'].sum())} decisions unresolved of "
            f"{int(runs['updates'].sum())} updates",
            promised, tolerance=1e-12,
        ),
        claim(
            f"missing-mass[{at}]", "Section 4 (consequence of the first remark)",
            float(by_seed["expected_unseen"].mean()), mean(by_seed["true_error"]), "at_most",
            "true error against the expected mass of the weights not in the sample, both averaged over all "
            "distributions and sample sizes",
            Kind.UPPER_BOUND,
        ),
    ]  # fmt: skip


def _promise(runs: pd.DataFrame, n: int, name: str, parameters: str) -> Guarantee:
    """Theorem 1 at its sample size, for one distribution."""
    epsilon, delta = float(told(runs, "epsilon", EPSILON)), float(told(runs, "delta", DELTA))
    m = theory.theorem1_sample_size(n, epsilon, delta)
    last = runs[(runs["distribution"] == name) & (runs["m"] == m)]
    errors = last["true_error"]
    failed = (errors > epsilon) | (last["outcome"] != "converged")
    note = f"m = {m}, epsilon = {epsilon}; mean error {errors.mean():.4f}, largest {errors.max():.4f}"
    if parameters == "lemma 4":
        return theory.theorem1(
            n, epsilon=epsilon, delta=delta, m=m, failed=failed, case=f"{name},{parameters}", note=note
        )
    return claim(  # Theorem 1 says nothing of these parameters, the figure does
        f"theorem1/failures[{name},{parameters},n={n}]", "Theorem 1, at section 5's step and confidence", delta,
        share(failed, what="share of failures", unit="samples"), "at_most", note,
    )  # fmt: skip


EXPERIMENT = Experiment(
    title="True error against sample size, for several distributions",
    source=f"{PAPER}, Theorem 1",
    revision=1,
    scales={
        "smoke": Scale(partial(_cells, n=(10,), section5=0), seeds=3, seconds=2),
        "laptop": Scale(_cells, seeds=64, seconds=280),
        "paper": Scale(partial(_cells, section5=2), seeds=100, seconds=840),
    },
    run=run,
    figure=figure,
    claims=claims,
)
