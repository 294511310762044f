"""A staircase function, learnt by batch-one SGD at three step sizes: ``learnability run staircase.py``."""

import numpy as np

from learnability.evidence import claim, last, mean, pick
from learnability.networks.one_hidden import random_init
from learnability.plotting import Panel, Plot, over_seeds
from learnability.seeding import generator
from learnability.study import Experiment, Scale, grid
from learnability.training.online import train


def run(s, seed):
    X, Z = (generator(seed, part, s["n"]).choice([-1.0, 1.0], (s["m"], s["n"])) for part in ("train", "test"))
    start = random_init(generator(seed, "start", s["n"]), s["n"], 100, "he")
    rng = generator(seed, "order")
    done = train(start, X, staircase(X), h=s["step"], beta=1, rng=rng, epochs=100, test=(Z, staircase(Z)))
    return [{"epoch": row["epoch"], "error": row["test_error"]} for row in done.rows()]


def staircase(X):
    return np.sign(np.cumprod(X[:, :3], axis=1).sum(axis=1))  # x1 + x1 x2 + x1 x2 x3, never 0


def figure(table):
    curves = [over_seeds(pick(table, step=h), "epoch", "error", label=f"h = {h}") for h in table["step"].unique()]
    return Plot([Panel(curves, xlabel="epoch", ylabel="test error", xscale="symlog", ylim=(0, 0.5))])


def claims(table):
    return [claim(f"learns[h={h:g}]", 0.1, mean(end["error"]), "at_most") for h, end in last(table, "step").groupby("step")]


cells = lambda n=12, m=400, step=(0.001, 0.01, 0.1): grid(n=n, m=m, step=step)  # noqa: E731
EXPERIMENT = Experiment(title="A staircase of three steps", run=run, figure=figure, claims=claims, scales=Scale(cells))
