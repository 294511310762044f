"""Your own target, start and features: who learns the multiplexer, and from how many examples?

The target reads two bits as an address and answers with the data bit that stands there. As a polynomial it has degree
three, so linear methods on all monomials up to degree three can learn it. Its part of degree two is 3/4 of the right
data bit and plus or minus 1/4 of the three others, which is 0 on an eighth of all inputs: least squares on monomials
up to degree two errs on a sixteenth, however many examples it sees. A network that starts with neurons on random
triples of inputs is compared with them.

    learnability run multiplexer.py
"""

from itertools import combinations

import numpy as np

from learnability.evidence import claim, mean, pick
from learnability.networks.one_hidden import OneHidden, random_init
from learnability.plotting import Panel, Plot, over_seeds
from learnability.seeding import generator
from learnability.study import Experiment, Scale, grid
from learnability.training.online import train

LABELS = {
    "triples": "network, neurons on triples",
    "he": "network, He's start",
    "degree 2": "linear on monomials to degree 2",
    "degree 3": "linear on monomials to degree 3",
}


def target(X):
    """The data bit at the address that the first two bits say, for X (m, n >= 6) of -1 and +1."""
    address = (X[:, 0] > 0) + 2 * (X[:, 1] > 0)
    return X[np.arange(len(X)), 2 + address]


def triples(rng, n, neurons):
    """An initialisation: each neuron sees three inputs with signs of its own."""
    W = np.zeros((neurons, n))
    for row in W:
        row[rng.choice(n, 3, replace=False)] = rng.choice([-1.0, 1.0], 3)
    return OneHidden(W, np.full(neurons, -1.0), np.zeros(neurons), 0.0)


def monomials(X, degree):
    """A feature map: all products of at most ``degree`` inputs."""
    chosen = [c for d in range(1, degree + 1) for c in combinations(range(X.shape[1]), d)]
    return np.stack([X[:, c].prod(axis=1) for c in map(list, chosen)], axis=1)


def run(setting, seed):
    """Test error of one method with one number of examples."""
    n, m, method = setting["n"], setting["m"], setting["method"]
    X = generator(seed, "train", n).choice([-1.0, 1.0], (m, n))  # the first examples are the same for every m
    X_test = generator(seed, "test", n).choice([-1.0, 1.0], (4000, n))
    if method.startswith("degree"):
        degree = int(method[-1])
        phi, phi_test = (np.hstack([np.ones((len(Z), 1)), monomials(Z, degree)]) for Z in (X, X_test))
        weights, *_ = np.linalg.lstsq(phi, target(X), rcond=None)  # the interpolator of least norm
        outputs = phi_test @ weights
        return [{"error": np.mean(target(X_test) * outputs <= 0)}]
    rng = generator(seed, "start", method, n)
    start = triples(rng, n, 400) if method == "triples" else random_init(rng, n, 400, "he")
    done = train(
        start, X, target(X), h=0.005, beta=1, rng=generator(seed, "order", m), epochs=200,
        test=(X_test, target(X_test)), record=[200],
    )  # fmt: skip
    return [{"error": done.final("test_error")}]


def figure(table):
    """Error against the number of examples, a curve for each method."""
    curves = [
        over_seeds(pick(table, method=method), "m", "error", limits=(0, 1), label=label, marker="o")
        for method, label in LABELS.items()
    ]
    ticks = {float(m): str(m) for m in table["m"].unique()}
    panel = Panel(curves, xlabel="examples m", ylabel="test error", xscale="log", xticks=ticks, ylim=(0, 0.5))
    return Plot([panel], note="mean over seeds, band: 95 % confidence for the mean", legend_columns=1)


def claims(table):
    """At the largest m: degree three suffices, degree two keeps erring (on 1/16 in the end), and the network is no
    worse than degree three.
    """
    ends = pick(table, m=table["m"].max())
    errors = {method: pick(ends, method=method).set_index("seed")["error"] for method in LABELS}
    return [
        claim("degree-3", 0.05, mean(errors["degree 3"]), "at_most", "error of degree 3"),
        claim("degree-2", 0.05, mean(errors["degree 2"]), "at_least", "error of degree 2"),
        claim("triples", 0.0, mean(errors["triples"] - errors["degree 3"]), "at_most", "network less degree 3"),
    ]


def cells(n=12, m=(50, 100, 200, 400, 800)):
    """Cells of n inputs, of which six matter."""
    if n < 6:
        raise ValueError(f"n must be >= 6, two address bits and four data bits, got {n}")
    return grid(n=n, m=m, method=tuple(LABELS))


EXPERIMENT = Experiment(
    title="The multiplexer: networks against linear methods on monomials",
    scales={
        "smoke": Scale(lambda n=7, m=(40, 80): cells(n, m), seeds=3, seconds=5),
        "laptop": Scale(cells, seeds=5, seconds=60),
    },
    run=run,
    figure=figure,
    claims=claims,
)
