"""A quantity of your own, measured while an exact engine trains: do the neurons turn to the inputs that matter?

Of n inputs the target, a staircase, reads three. ``measure`` is called at every recorded epoch with a copy of the
network and says how much of the first layer's square norm stands on those three.

    learnability run alignment.py
"""

import numpy as np

from learnability.evidence import claim, last, mean, pick
from learnability.networks.one_hidden import random_init
from learnability.plotting import Line, Panel, Plot, over_seeds
from learnability.seeding import generator
from learnability.study import Experiment, Scale, grid
from learnability.training.online import train


def staircase(X):
    """The sign of x1 + x1 x2 + x1 x2 x3."""
    return np.sign(np.cumprod(X[:, :3], axis=1).sum(axis=1))


def measure(network, epoch, updates):
    """Share of the first layer's square norm on the three inputs; an engine also offers its updates so far."""
    squares = (network.W**2).sum(axis=0)
    return {"aligned": squares[:3].sum() / squares.sum(), "made": updates}


def run(setting, seed):
    """One run, a row for each recorded epoch."""
    n, m = setting["n"], setting["m"]
    X = generator(seed, "train", n).choice([-1.0, 1.0], (m, n))
    X_test = generator(seed, "test", n).choice([-1.0, 1.0], (1000, n))
    start = random_init(generator(seed, "start", n), n, 100, "he")
    done = train(
        start, X, staircase(X), h=0.01, beta=1, rng=generator(seed, "order"), epochs=100,
        layers=setting["layers"], test=(X_test, staircase(X_test)), measure=measure,
    )  # fmt: skip
    return [{name: row[name] for name in ("epoch", "test_error", "aligned", "made")} for row in done.rows()]


def figure(table):
    """Error and alignment, both layers beside the last alone."""
    names = {"both": "both layers", "output": "last layer only"}
    panels = [
        Panel(
            [over_seeds(pick(table, layers=k), "epoch", y, limits=(0, 1), label=name) for k, name in names.items()]
            + more,
            xlabel="epoch", ylabel=label, xscale="symlog", xlim=(0, None),
        )
        for y, label, more in (
            ("test_error", "test error", []),
            ("aligned", "share of |W|² that matters", [Line(y=3 / table["n"].iloc[0], label="at the start")]),
        )
    ]  # fmt: skip
    return Plot(panels, note="mean over seeds, band: 95 % confidence for the mean")


def claims(table):
    """Training both layers turns the neurons to the three inputs, and then the test error is smaller."""
    ends = last(table, "layers")
    both, output = (pick(ends, layers=name).set_index("seed") for name in ("both", "output"))
    at_start = 3 / table["n"].iloc[0]
    return [
        claim("aligned", at_start, mean(both["aligned"]), "at_least", "share on the three inputs, both layers"),
        claim("better", 0.0, mean(both["test_error"] - output["test_error"]), "at_most", "test error, paired"),
    ]


EXPERIMENT = Experiment(
    title="A staircase: the neurons turn to the inputs that matter",
    scales={
        "smoke": Scale(lambda n=8, m=100: grid(n=n, m=m, layers=("both", "output")), seeds=3, seconds=2),
        "laptop": Scale(lambda n=20, m=800: grid(n=n, m=m, layers=("both", "output")), seeds=5, seconds=20),
    },
    run=run,
    figure=figure,
    claims=claims,
)
