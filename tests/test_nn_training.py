"""A network of PyTorch or JAX, converted from an engine's start and trained by the framework's own optimiser on the
same examples in the same order, follows the engine: update for update, and to 1e-9 in its weights."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import nn_learners
from learnability.networks import parity, residual, separable
from learnability.networks.one_hidden import random_init
from learnability.networks.strips import MODELS
from learnability.networks.symmetry import symmetry_init
from learnability.problems.parity import random_mixture
from learnability.problems.separable import random_separable
from learnability.problems.strips import Strips
from learnability.problems.symmetry import UniformCube, random_symmetric
from learnability.training import grid, minibatch, online, population, two_layer
from learnability.training.minibatch import reference
from learnability.training.minibatch.optimisers import Adadelta, Adam
from learnability.training.minibatch.sources import examples
from learnability.training.orders import visits
from learnability.training.reference import sgd, two_layer_epoch


@pytest.fixture(params=["torch", "jax"])
def learner(request):
    """How the networks are trained."""
    pytest.importorskip(request.param)
    return {"torch": nn_learners.Torch, "jax": nn_learners.Jax}[request.param]


def close(found, wanted, relative=1e-9):
    """Equal to ``relative`` of the largest entry of each array."""
    assert type(found) is type(wanted)
    for name in wanted._fields:
        if isinstance(getattr(wanted, name), tuple):  # a network inside, which nothing moves
            close(getattr(found, name), getattr(wanted, name), 0)
            continue
        a, b = np.asarray(getattr(found, name)), np.asarray(getattr(wanted, name))
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=relative * max(np.abs(b).max(), 1e-3), err_msg=name)


def losses(learner, pieces, outputs, labels, **options):
    """The hinge loss of each example."""
    none = {"reduction": "none"} if learner.name == "torch" else {}
    return pieces.hinge_loss(outputs, labels, **options, **none)


# The symmetry study: batches of one (or more), y f <= beta, both layers or the last


def symmetric(case, learner):
    """Decisions and weights against the reference, updates and weights against the engine: the engine's run."""
    rng = np.random.default_rng(case["seed"])
    n, m, batch, layers, kind = case["n"], case["m"], case["batch"], case["layers"], case["kind"]
    f = random_symmetric(n, rng)
    X = UniformCube(n).sample(rng, m)
    y = f(X)
    activation = "sigmoid" if kind == "sigmoid" else "relu"
    start = random_init(rng, n, 2 * n, "he") if kind == "he" else symmetry_init(n, kind)
    h = Fraction(1, 2 ** case["power"])
    beta = case["beta"] * h
    common = {"epochs": case["epochs"], "layers": layers, "batch": batch, "activation": activation}
    run = online.train(start, X, y, h=h, beta=beta, rng=np.random.default_rng(1), **common)
    if run.unresolved:  # a decision that float64 cannot make
        return run
    oracle = sgd(start, X, y, h=float(h), beta=float(beta), rng=np.random.default_rng(1), **common)

    def loss(pieces, outputs, labels, weights):
        found = losses(learner, pieces, outputs, labels, beta=float(beta), ties=True)
        return (found * weights).sum() / batch

    trained = None if layers == "both" else ("M", "b")
    one = learner("symmetry", start, loss, rate=float(h), trained=trained, activation=activation)
    order = np.random.default_rng(1)
    updates = 0
    for epoch in oracle:
        shuffled = visits(order, m, 1, "shuffle")[0]
        for low in range(0, m, batch):
            rows = shuffled[low : low + batch]
            weights = np.zeros(batch)
            weights[: len(rows)] = 1
            filled = np.pad(rows, (0, batch - len(rows)), mode="edge")
            before = one.params()
            one.step(X[filled], y[filled], weights)
            if batch == 1:  # the output bias moves with every update, and only then
                assert (one.params().b != before.b) == epoch.updated[low]
        updates += int(epoch.updated.sum())
    assert updates == run.updates
    close(one.params(), oracle[-1].params)
    close(one.params(), run.params)
    return run


SYMMETRIC = {
    "both layers": {},
    "last layer": {"layers": "output"},
    "no confidence": {"beta": 0},
    "batches": {"batch": 3, "m": 10, "seed": 1},
    "one-sided": {"kind": "quarter"},
    "sigmoids": {"kind": "sigmoid", "power": 5},
    "random start": {"kind": "he"},
}


@pytest.mark.parametrize("name", SYMMETRIC)
def test_the_symmetry_study(name, learner):
    case = {
        "n": 4, "m": 9, "batch": 1, "layers": "both", "kind": "half_integer", "power": 4, "beta": 64, "epochs": 4,
        "seed": 5, **SYMMETRIC[name],
    }  # fmt: skip
    run = symmetric(case, learner)
    assert run.unresolved == 0
    assert run.updates > 10
    # exact ties, which the next order in the step decides: in float64 too
    assert run.ties == {"both layers": 1, "batches": 5}.get(name, run.ties)


@settings(max_examples=30)
@given(
    case=st.fixed_dictionaries(
        {
            "n": st.integers(1, 6), "m": st.integers(1, 9), "batch": st.integers(1, 3),
            "layers": st.sampled_from(["both", "output"]),
            "kind": st.sampled_from(["half_integer", "integer", "quarter", "he"]),
            "power": st.integers(2, 8), "beta": st.sampled_from([0, 1, 27, 216]), "epochs": st.integers(1, 4),
            "seed": st.integers(0, 10**6),
        }
    )
)  # fmt: skip
def test_the_symmetry_study_in_torch(case):
    pytest.importorskip("torch")
    assume(symmetric(case, nn_learners.Torch).unresolved == 0)


# The separable study: batches of one, y N < 1, the first layer or both


def leaky(case, learner):
    """Decisions and weights against the reference, updates and weights against the engine: the engine's run."""
    rng = np.random.default_rng(case["seed"])
    eta, alpha, layers, order = case["eta"], case["alpha"], case["layers"], case["order"]
    X, y = random_separable(rng, case["d"], 0.2).sample(rng, case["m"])
    start = separable.initial(rng, case["d"], case["k"], radius=case["radius"])
    common = {"eta": eta, "alpha": alpha, "layers": layers}
    run = two_layer.train(
        start, X, y, rng=np.random.default_rng(1), epochs=case["epochs"], order=order, **common
    )  # fmt: skip

    def loss(pieces, outputs, labels, weights):
        return losses(learner, pieces, outputs, labels).sum()

    trained = ("W",) if layers == "first" else None
    one = learner("separable", start, loss, rate=eta, trained=trained, alpha=alpha)
    rng, now, updates = np.random.default_rng(1), start, 0
    for _ in range(run.epochs):
        for i in visits(rng, len(y), 1, order)[0]:
            before = one.params()
            one.step(X[i : i + 1], y[i : i + 1])
            now, updated = two_layer_epoch(now, X, y, [i], **common)
            assert any((a != b).any() for a, b in zip(before, one.params(), strict=True)) == updated[0]
            updates += int(updated[0])
    assert updates == run.updates
    close(one.params(), now)
    close(one.params(), run.params)
    return run


LEAKY = {
    "first layer": {},
    "both layers": {"layers": "both"},
    "with replacement": {"order": "iid"},
    "from zero": {"radius": 0.0},
    "relu": {"alpha": 0.0},
    "to the end": {"epochs": 200, "eta": 1.0, "m": 6},
}


@pytest.mark.parametrize("name", LEAKY)
def test_the_separable_study(name, learner):
    case = {
        "d": 5, "k": 3, "m": 12, "alpha": 0.1, "layers": "first", "order": "shuffle", "eta": 0.1, "radius": None,
        "epochs": 3, "seed": 0, **LEAKY[name],
    }  # fmt: skip
    run = leaky(case, learner)
    assert run.updates > 5
    assert (run.outcome == "converged") == (name == "to the end")


@settings(max_examples=30)
@given(
    case=st.fixed_dictionaries(
        {
            "d": st.integers(1, 8), "k": st.integers(1, 6), "m": st.integers(1, 15),
            "alpha": st.sampled_from([0.0, 0.1, 0.5]), "layers": st.sampled_from(["first", "both"]),
            "order": st.sampled_from(["shuffle", "iid", "cyclic"]), "eta": st.sampled_from([0.01, 0.1, 1.0]),
            "radius": st.sampled_from([None, 1.0]), "epochs": st.integers(1, 4), "seed": st.integers(0, 10**6),
        }
    )
)  # fmt: skip
def test_the_separable_study_in_torch(case):
    pytest.importorskip("torch")
    leaky(case, nn_learners.Torch)


# The parity study: the theorem's first step erases the start, then gradient descent on the population


@pytest.mark.parametrize("form", ["safe", "printed"])
@pytest.mark.parametrize("later", ["enumerate", 40])
def test_the_parity_study(form, later, learner):
    n, k, q, eta, lam, steps = 7, 3, 6, 0.3, 0.01, 8
    rng = np.random.default_rng(2)
    problem = random_mixture(rng, n, k)
    start = parity.initial(rng, n, k, q, form)
    run = population.train(
        start, problem, steps=steps, eta=eta, lam=lam, first="enumerate", later=later, rng=np.random.default_rng(1)
    )

    def loss(pieces, outputs, labels, weights):
        return (losses(learner, pieces, outputs, labels) * weights).sum()

    # lambda (|u|^2 + sum |w_i|^2) is a decay of 2 lambda, of the weights and not of the biases; at first lambda = 1/2
    one = learner("parity", start, loss, rate=1.0, decay={"W": 1.0, "u": 1.0})
    X, y, p1, p2 = problem.enumerate()
    mass = (1 - problem.share) * p1 + problem.share * p2
    one.step(X, y, mass)
    close(one.params(), run.after_first)
    if form == "safe":
        close(one.params(), population.first_step(start, problem))
    one.set(eta, 2 * lam)
    rng = np.random.default_rng(1)
    for _ in range(steps - 1):
        if later == "enumerate":
            one.step(X, y, mass)
        else:
            one.step(*problem.sample(rng, later), np.full(later, 1 / later))
    close(one.params(), run.params)
    assert np.abs(run.params.u - run.after_first.u).max() > 0.01


# The residual study: mini-batches, half the squared error, momentum and weight decay


def half_square(pieces, outputs, targets, weights):
    return ((outputs - targets) ** 2).sum() / (2 * len(targets))


@pytest.mark.parametrize("trained", [None, ("W", "V")], ids=["all", "hidden"])
def test_the_residual_study(trained, learner):
    d, k, m, N, batch, epochs, rate, decay = 6, 4, 20, 23, 5, 5, 0.1, 5e-3
    rng = np.random.default_rng(0)
    X, Y = rng.choice([-1.0, 1.0], (N, d)), rng.standard_normal((N, k))
    start = residual.initial(rng, "3resnet", d, k, m)
    (run,) = grid.train(
        start, X, Y, learning_rate=rate, weight_decay=decay, momentum=0.9, batch=batch, epochs=epochs,
        rng=np.random.default_rng(1), trainable=trained, dtype="float64", record=range(1, epochs + 1),
    )  # fmt: skip
    decays = dict.fromkeys("WVA", decay)
    one = learner("residual", start, half_square, rate=rate, momentum=0.9, decay=decays, trained=trained)
    rng, running = np.random.default_rng(1), []
    for _ in range(epochs):
        order, total = rng.permutation(N), 0.0
        for low in range(0, N, batch):
            rows = order[low : low + batch]
            total += len(rows) * one.step(X[rows], Y[rows])
        running.append(total / N)
    close(one.params(), run.params)
    np.testing.assert_allclose(running, run.columns["running_loss"], rtol=1e-9)


@pytest.mark.parametrize("field", ["W", "V"])
def test_a_unit_of_the_resnet_at_its_kink_is_on(field, learner):
    """Units at exactly 0 have the derivative 1 of the paper, as in the engine."""
    rng = np.random.default_rng(0)
    X, Y = rng.choice([-1.0, 1.0], (8, 3)), rng.standard_normal((8, 2))
    start = residual.initial(rng, "3resnet", 3, 2, 5)
    start = start._replace(**{field: np.zeros_like(getattr(start, field))})
    one = learner("residual", start, half_square, rate=1.0)
    one.step(X, Y)
    moved = type(start)(*(a - b for a, b in zip(start, one.params(), strict=True)))
    close(moved, residual.gradient(start, X, Y)[1], 1e-12)
    assert getattr(moved, field).any()


# The MNIST-parity experiment: mini-batches of strips, the hinge loss, Adadelta


@pytest.mark.parametrize(
    ("model", "rule"),
    [*((model, Adadelta(0.9, 1e-6)) for model in MODELS), ("relu", Adam(0.8, 0.95))],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_mnist_parity_experiment(model, rule, learner):
    k, p, batch, epochs, decay, rng = 3, 7, 4, 4, 0.01, np.random.default_rng(0)
    strips = Strips(rng.integers(0, 256, (12, 3, 2), dtype=np.uint8), rng.integers(0, 10, 12), k)
    X, y = strips.compose(strips.draw(rng))
    apply, trainable = MODELS[model].apply, MODELS[model].trainable
    rate = 1.0 if isinstance(rule, Adadelta) else 0.02
    start = MODELS[model].start(rng, strips.n, p)
    common = {"learning_rate": rate, "weight_decay": decay, "batch": batch, "epochs": epochs, "trainable": trainable}
    (run,) = minibatch.train(
        apply, start, examples(X, y), rule=rule, rng=np.random.default_rng(1), dtype="float64", form="fused",
        record=range(1, epochs + 1), **common,
    )  # fmt: skip

    def loss(pieces, outputs, labels, weights):
        return losses(learner, pieces, outputs, labels).mean()

    own = {"model": model} if learner.name == "torch" else {"trained": trainable}
    one = learner("strips", start, loss, rate=rate, rule=rule, decay=dict.fromkeys(trainable, decay), **own)
    rng, running = np.random.default_rng(1), []
    for _ in range(epochs):
        batches = rng.permutation(len(y)).reshape(-1, batch)
        running.append(np.mean([one.step(X[rows], y[rows]) for rows in batches]))
    close(one.params(), run.params)
    np.testing.assert_allclose(running, run.columns["running_loss"], rtol=1e-9)
    assert all(np.any(getattr(start, name) != getattr(run.params, name)) for name in trainable)
    if apply is MODELS["relu"].apply:
        step = (
            reference.adadelta(rule.rho, rule.epsilon) if isinstance(rule, Adadelta)
            else reference.adam(rule.beta1, rule.beta2, rule.epsilon)
        )  # fmt: skip
        oracle, _ = reference.train(
            reference.Hidden(*start), X, y, step=step, rng=np.random.default_rng(1), loss="hinge", **common
        )
        close(one.params(), type(start)(*oracle))
