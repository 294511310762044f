"""A model of your own in mini-batches: a forward function that JAX can trace is all that the engine wants.

Students with quadratic neurons, f(x) = sum_j a_j (w_j . x)^2, learn a teacher with four of them. How does the width
of the student matter?

    learnability run quadratic.py
"""

from typing import Any, NamedTuple

import numpy as np

from learnability.evidence import claim, last, mean, pick
from learnability.plotting import Panel, Plot, over_seeds
from learnability.seeding import generator
from learnability.study import Experiment, Scale, grid

TEACHER = 4


class Net(NamedTuple):
    """A network with quadratic neurons."""

    W: Any  # (p, n)
    a: Any  # (p,)


def forward(params, X):
    """Outputs (b,) of inputs X (b, n)."""
    return ((X @ params.W.T) ** 2) @ params.a


def draw(rng, p, n):
    """A random network."""
    return Net(rng.normal(size=(p, n)) / np.sqrt(n), rng.choice([-1.0, 1.0], p) / p)


def run(setting, seed):
    """One student, a row for each recorded epoch."""
    from learnability.training.minibatch import train
    from learnability.training.minibatch.optimisers import Sgd
    from learnability.training.minibatch.sources import examples

    n, p = setting["n"], setting["p"]
    teacher = draw(generator(seed, "teacher", n), TEACHER, n)
    X, X_test = (generator(seed, part, n).normal(size=(setting["m"], n)) for part in ("train", "test"))
    (done,) = train(
        forward,
        draw(generator(seed, "student", n, p), p, n),
        examples(X, forward(teacher, X)),
        rule=Sgd(momentum=0.9),
        learning_rate=setting["rate"],
        batch=50,
        epochs=setting["epochs"],
        rng=generator(seed, "order", p),
        loss="squared",
        watch={"test": examples(X_test, forward(teacher, X_test))},
    )
    zero = float(np.mean(forward(teacher, X_test) ** 2) / 2)  # the loss of answering 0
    return [{"epoch": row["epoch"], "loss": row["test_loss"] / zero} for row in done.rows()]


def figure(table):
    """Test loss against epochs, a curve for each width: means of logarithms."""
    logs = table.assign(digits=np.log10(table["loss"]))
    curves = [over_seeds(part, "epoch", "digits", label=f"p = {p}") for p, part in logs.groupby("p")]
    title = f"n = {table['n'].iloc[0]}, teacher with {TEACHER} neurons"
    panel = Panel(curves, title, xlabel="epoch", ylabel="log₁₀ (loss / loss of 0)", xscale="symlog", xlim=(0, None))
    return Plot([panel], note="test loss, mean over seeds, band: 95 % confidence")


def claims(table):
    """The widest student learns; one narrower than the teacher cannot."""
    ends = last(table, "p")
    widths = sorted(table["p"].unique())
    loss = {p: pick(ends, p=p)["loss"] for p in widths}
    return [
        claim("wide", 0.01, mean(loss[widths[-1]]), "at_most", f"p = {widths[-1]}"),
        claim("narrow", 0.01, mean(loss[widths[0]]), "at_least", f"p = {widths[0]}"),
    ]


def cells(n=20, m=1000, p=(2, 8, 32), rate=0.01, epochs=200):
    """Students of width p."""
    return grid(n=n, m=m, p=p, rate=rate, epochs=epochs)


EXPERIMENT = Experiment(
    title="Quadratic neurons: students of several widths learn a teacher",
    scales={
        "smoke": Scale(lambda n=5, m=100, p=(2, 8), rate=0.01, epochs=5: cells(n, m, p, rate, epochs), 3, 20),
        "laptop": Scale(cells, seeds=5, seconds=60),
    },
    run=run,
    figure=figure,
    claims=claims,
)
