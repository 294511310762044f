"""Training runs on the parity study's mixtures: one task is one run, one row is one recorded step.

What ``parity/theorem3`` and ``parity/mixture`` share. A setting has

``n``, ``k``, ``q``, ``share``
    Problem and half of the width; mass of D^(2) in the mixture (1/2 in the paper).
``start``
    ``"theorem"``: the safe initialisation and the exact first step with eta = 1, lambda = 1/2. ``"longer"``: the same
    with output weights 1 / (2 share) times as large, which makes the first step of the hidden layer (not that of the
    output layer) as many times as long. ``"estimated"``: that with the first step's gradient estimated from
    ``samples`` examples.
``eta``
    Step size from the second step on; 0 stands for the theorem's k^2 / (T sqrt q) with T = ``steps``. lambda is 0.
``steps``, ``batch``
    Steps in all; fresh examples for each step from the second on.

A, start, examples and test examples have generators of their own; runs that differ in share, start or step size only
have A, start and the stream of random bits in common. Steps are in float32 (the step sizes' noise is far above its
rounding), the first one and all losses and errors in float64, errors on 2,048 held-out examples of each part.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks
from learnability.errors import RequestError
from learnability.evidence.tables import last, pick, values
from learnability.networks.parity import ParityNet, good_neurons, initial
from learnability.problems.parity import ParityMixture, random_mixture
from learnability.seeding import generator
from learnability.studies.parity.theorems.theorem3 import theorem3_step
from learnability.study import Row, Setting

if TYPE_CHECKING:
    import pandas as pd

LEARNT = 0.05
"""An error of at most this on D^(1), now and at every later record, counts as learnt."""
TEST_SIZE = 2048

_SHOWN = ("loss", "loss_1", "loss_2", "error_1", "error_2")


def odd(name: str, value: object, **limits: int) -> int:
    """The size of a parity: with an even one the labels of D^(2) would all be +1."""
    number = checks.integer(name, value, **limits)
    if number % 2 == 0:
        raise RequestError(f"{name} must be odd, got {number}")
    return number


def sizes(**values: int) -> dict[str, int]:
    """Free values that are sizes, >= 1, and k, an odd one <= n: checked, by name."""
    found = {name: checks.integer(name, value, at_least=1) for name, value in values.items()}
    odd("k", found["k"], at_least=1, at_most=found["n"])
    return found


def setting(**values: bool | int | float | str) -> Setting:
    """A setting with the paper's mixture and the theorem's first step for whatever is not named."""
    return {"share": 0.5, "start": "theorem", "eta": 0.3, "batch": 512, "samples": 0, **values}


def run(s: Setting, seed: int) -> list[Row]:
    """Train once: losses and errors on both parts at about 70 steps, and what the first step had to work with."""
    from learnability.training.population import train

    n, k, q, steps = int(s["n"]), int(s["k"]), int(s["q"]), int(s["steps"])
    problem = random_mixture(generator(seed, "support", n, k), n, k, float(s["share"]))
    start = initial(generator(seed, "start", n, k, q), n, k, q)
    facts = first_step_facts(problem, start)
    if s["start"] != "theorem":
        start = start._replace(u=start.u / (2 * problem.share))
    done = train(
        start,
        problem,
        steps=steps,
        eta=float(s["eta"]) or theorem3_step(k=k, q=q, T=steps),
        first=int(s["samples"]) if s["start"] == "estimated" else "exact",
        later=int(s["batch"]),
        rng=generator(seed, "examples", n, k),
        record=_recorded(steps),
        evaluate=TEST_SIZE,
        dtype=np.float32,
    )
    common = {**facts, "outcome": str(done.outcome)}
    return [{"step": row["step"], **{name: row[f"test_{name}"] for name in _SHOWN}, **common} for row in done.rows()]


def _recorded(steps: int) -> Any:
    """About 70 steps from the first on, half of them evenly spaced and half in the logarithm."""
    spaced = np.union1d(np.geomspace(1, steps, 36).round(), np.linspace(1, steps, 36).round())
    return spaced.astype(int)


def first_step_facts(problem: ParityMixture, start: ParityNet) -> Row:
    """How large the first step's gradient is where it should be and where not: exact, by the closed form.

    ``signal``
        E[y s_j sigma'(z)] on the coordinates j in A of good neurons, mean of its part from D^(2): share times a
        constant. It is the alpha of Lemma 9.
    ``floor``
        Root mean square of the same correlation on D^(1), at the coordinates outside A, over all neurons of the
        start: what a parity shows of itself under the uniform distribution. Lemma 5 has 1 / sqrt(C(n-1, k)) for it.
    """
    from learnability.training.population import correlation

    q = len(start.u) // 2
    W, b = start.W[:q], start.b[:q]
    good = good_neurons(W, problem.support)
    shown = correlation(W, b, replace(problem, share=1.0)).inside[good]
    uniform = correlation(W, b, replace(problem, share=0.0)).outside
    outside = np.count_nonzero(W, axis=1) - np.count_nonzero(W[:, problem.support], axis=1)
    floor = math.sqrt(float(np.mean(uniform**2 * outside)) / max(1, problem.n - problem.k))
    signal = problem.share * float(shown.mean()) if good.any() else 0.0
    return {"signal": signal, "floor": floor, "good": float(good.mean())}


# What figures and claims read off the table ---------------------------------------------------------------------


ends = partial(last, time="step")
"""Last row of every run: the table, then the columns that tell runs apart beside the seed."""


def finals(table: pd.DataFrame, cell: str, column: str = "error_1") -> dict[Any, pd.Series]:
    """A column at the end of the runs, by seed, for each value of ``cell``."""
    last = ends(table, cell)
    return {value: pick(last, **{cell: value}).set_index("seed")[column] for value in values(last, cell)}


def learning_times(table: pd.DataFrame, *cell: str, column: str = "error_1") -> pd.DataFrame:
    """For every run the first recorded step from which on the error stays at most ``LEARNT``; infinite without one.

    Returns the columns ``cell``, ``seed`` and ``time``.
    """
    rows = table.sort_values("step", kind="stable")
    found = []
    for key, one in rows.groupby([*cell, "seed"], sort=True):
        above = np.flatnonzero(~(one[column].to_numpy() <= LEARNT))
        after = int(above[-1]) + 1 if above.size else 0
        time = float(one["step"].iloc[after]) if after < len(one) else math.inf
        found.append({**dict(zip([*cell, "seed"], key, strict=True)), "time": time})
    import pandas as pd

    return pd.DataFrame(found, columns=[*cell, "seed", "time"])
