"""A staircase function, learnt by batch-one SGD at three step sizes: ``learnability run staircase.py``."""

from learnability.evidence import claim, last, mean
from learnability.networks.one_hidden import random_init
from learnability.plotting import Panel, Plot, over_seeds
from learnability.seeding import generator
from learnability.study import Experiment, Scale, grid
from learnability.training.online import train


def run(s, seed):
    X = generator(seed, "inputs").choice([-1.0, 1.0], (1400, s["n"]))
    y = X[:, :3].cumprod(axis=1).sum(axis=1).clip(-1, 1)  # the sign of x1 + x1 x2 + x1 x2 x3
    net, order = random_init(generator(seed, "start"), s["n"], 100, "he"), generator(seed, "order")
    done = train(net, X[:400], y[:400], h=s["step"], beta=1, rng=order, epochs=100, test=(X[400:], y[400:]))
    return [{"epoch": row["epoch"], "error": row["test_error"]} for row in done.rows()]


def figure(table):
    curves = [over_seeds(part, "epoch", "error", label=f"step {h}") for h, part in table.groupby("step")]
    return Plot([Panel(curves, xlabel="epoch", ylabel="test error", xscale="symlog", xlim=(0, None), ylim=(0, 0.5))])


def claims(table):
    return [claim(f"step={h}", 0.1, mean(end["error"]), "at_most") for h, end in last(table, "step").groupby("step")]


scale = Scale(lambda n=12, step=(0.001, 0.01, 0.1): grid(n=n, step=step), seeds=5, seconds=5)
EXPERIMENT = Experiment(title="A staircase of three steps", run=run, figure=figure, claims=claims, scales=scale)
