"""The online engine against exact and high-precision arithmetic, decision for decision.

Where parameters agree after every epoch to 1e-9 of their largest entry, in units in which an update moves them by
about 1, the same examples were updated.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import training_oracle as oracle
from learnability.networks.one_hidden import OneHidden, random_init
from learnability.networks.symmetry import symmetry_init
from learnability.problems.symmetry import UniformCube, flip_labels, parity, random_symmetric, shift_inputs
from learnability.training.online import train
from learnability.training.orders import example_orders
from learnability.training.record import Outcome
from learnability.training.reference import sgd

KINDS = ("integer", "half_integer", "quarter")


def problem(seed, n, m, kind, flip=0.0):
    rng = np.random.default_rng(seed)
    f = random_symmetric(n, rng)
    X = UniformCube(n).sample(rng, m)
    return symmetry_init(n, kind), X, flip_labels(rng, f(X), flip)


def exact_run(make, params, X, y, *, seed, h, beta, epochs, **kind):
    """The reference on the given numbers: start, and state and updates so far after every epoch from 0 on."""
    start = oracle.network(make, params)
    history = sgd(start, *oracle.sample(X, y), h=h, beta=beta, rng=np.random.default_rng(seed), epochs=epochs, **kind)
    updates = np.cumsum([0, *(int(epoch.updated.sum()) for epoch in history)])
    return start, [start, *(epoch.params for epoch in history)], updates


def assert_same_state(run, start, now, unit):
    """Deviations of the run from its start, against the exact ones."""
    d = run.deviation
    assert d is not None
    Omega, omega, mu, count = oracle.deviations(start, now, unit)
    oracle.close(d.Omega, Omega)
    oracle.close(d.omega, omega)
    oracle.close(d.mu0 + d.unit**2 * d.mu1, mu)
    assert d.count == count[0]


def assert_same_run(params, X, y, *, seed, h, beta, epochs, make=Fraction, form="auto", every=1, **kind):
    """Run both; same updates at every epoch, same state at every ``every``-th and the last, same columns."""
    start, states, updates = exact_run(make, params, X, y, seed=seed, h=h, beta=beta, epochs=epochs, **kind)
    unit = h / kind.get("batch", 1)

    def engine(budget):
        rng = np.random.default_rng(seed)
        return train(
            params, X, y, h=h, beta=beta, rng=rng, epochs=budget, form=form, record=range(budget + 1), **kind
        )

    run = engine(epochs)
    assert run.columns["epoch"].tolist() == list(range(len(states)))
    assert run.columns["updates"].tolist() == updates.tolist()
    assert (run.epochs, run.updates) == (len(states) - 1, updates[-1])
    stopped = len(updates) > 1 and updates[-1] == updates[-2]
    assert run.outcome == (Outcome.CONVERGED if stopped else Outcome.BUDGET_REACHED)
    for epoch in {*range(0, len(states), every), len(states) - 1}:
        assert_same_state(engine(epoch), start, states[epoch], unit)
    assert_same_state(run, start, states[-1], unit)
    Xe, ye = oracle.sample(X, y)
    for row, now in zip(run.rows()[::every], states[::every]):
        wanted = oracle.columns(now, start, Xe, ye, beta=beta)
        for name, value in wanted.items():
            room = 1e-9 * float(beta + h) if name == "train_loss" else 1e-13 * float(unit) ** 2
            assert row[name] == pytest.approx(value, rel=1e-9, abs=room, nan_ok=True), name
    exact = [float(value / unit) for value in oracle.outputs(states[-1], Xe)]
    np.testing.assert_allclose(run.deviation.outputs(X), exact, rtol=1e-9, atol=1e-12 * np.abs(exact).max())
    return run


@settings(max_examples=70)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 5),
    m=st.integers(1, 7),
    kind=st.sampled_from(KINDS),
    power=st.integers(1, 6),
    confidence=st.sampled_from(["0", "n^3 h", "2.5 h"]),
    batch=st.sampled_from([1, 1, 2, 4]),
    layers=st.sampled_from(["both", "both", "output"]),
    flip=st.sampled_from([0.0, 0.3]),
)
def test_every_decision_is_that_of_exact_arithmetic(seed, n, m, kind, power, confidence, batch, layers, flip):
    params, X, y = problem(seed, n, m, kind, flip)
    h = Fraction(1, n**power)
    beta = {"0": 0, "n^3 h": n**3 * h, "2.5 h": Fraction(5, 2) * h}[confidence]
    common = {"h": h, "beta": beta, "batch": batch, "layers": layers}
    certified = 12
    while train(params, X, y, rng=np.random.default_rng(seed), epochs=certified, **common).unresolved:
        certified -= 1  # beyond, agreement is the rule but not certain
    run = assert_same_run(params, X, y, seed=seed, epochs=certified, every=4, **common)
    assert layers == "both" or run.ties == 0


@pytest.mark.parametrize("epochs", [2, 3, 8])
def test_movements_that_cancel_at_a_kink(epochs):
    """Found by search: at z_0 = 0 and zeta = 0 exactly a ReLU has slope 0, but sums in float64 leave 1e-15."""
    X = np.array([[0.0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [0, 1, 0]])
    y = np.array([-1.0, -1, 1, 1, -1, 1, -1])
    h = Fraction(1, 3**3)
    common = {"h": h, "beta": h * 5 / 2, "epochs": epochs, "batch": 2}
    params = symmetry_init(3, "integer")
    run = assert_same_run(params, X, y, seed=1005435, **common)
    assert epochs < 3 or run.unresolved > 0  # only more digits than float64's could know


@pytest.mark.parametrize("epochs", [10, 11, 20])
def test_movements_that_cancel_at_a_kink_with_a_small_step(epochs):
    """The same at h = n^-6."""
    X = np.array([[1.0, 1, 1, 1], [1, 1, 0, 1], [0, 1, 1, 0]])
    y = np.array([1.0, -1, -1])
    h = Fraction(1, 4**6)
    params = symmetry_init(4, "integer")
    assert_same_run(params, X, y, seed=1248, h=h, beta=64 * h, epochs=epochs, batch=3, every=epochs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_batch_that_is_no_power_of_two_and_a_longer_run(kind, batch):
    n = 5
    params = symmetry_init(n, kind)
    X = UniformCube(n).sample(np.random.default_rng(0), 8)
    h = Fraction(1, n**5)
    beta = (n**3 + Fraction(1, 2)) * h
    run = assert_same_run(params, X, parity(n)(X), seed=1, h=h, beta=beta, epochs=30, batch=batch, every=10)
    assert run.updates > 50


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 4), kind=st.sampled_from(KINDS), batch=st.sampled_from([1, 2]))
def test_shifted_inputs_decide_as_exact_arithmetic(seed, n, kind, batch):
    params, X, y = problem(seed, n, 5, kind)
    X = shift_inputs(np.random.default_rng(seed), X)
    h = Fraction(1, n**4)
    start, states, updates = exact_run(Fraction, params, X, y, seed=3, h=h, beta=n**3 * h, epochs=6, batch=batch)
    rng = np.random.default_rng(3)
    run = train(params, X, y, h=h, beta=n**3 * h, rng=rng, epochs=6, batch=batch, record=range(7))
    assert run.columns["updates"].tolist() == updates.tolist()
    Omega, omega, mu, count = oracle.deviations(start, states[-1], h / batch)
    d = run.deviation
    for found, wanted in ((d.Omega, Omega), (d.omega, omega), (d.mu0 + d.unit**2 * d.mu1, mu), ([d.count], count)):
        oracle.close(found, wanted)


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), layers=st.sampled_from(["both", "output"]))
def test_any_start_with_output_zero_will_do(seed, layers):
    rng = np.random.default_rng(seed)
    params = random_init(rng, 3, 6, "normal")._replace(M=np.zeros(6), b=0.0)
    X, y = rng.standard_normal((4, 3)), np.array([1.0, -1, 1, -1])
    h = Fraction(1, 50)
    start, states, updates = exact_run(Fraction, params, X, y, seed=3, h=h, beta=h, epochs=5, layers=layers)
    run = train(params, X, y, h=h, beta=h, rng=np.random.default_rng(3), epochs=5, layers=layers, record=range(6))
    assert run.columns["updates"].tolist() == updates.tolist()
    Omega, omega, mu, _ = oracle.deviations(start, states[-1], h)
    d = run.deviation
    for found, wanted in ((d.Omega, Omega), (d.omega, omega), (d.mu0 + d.unit**2 * d.mu1, mu)):
        oracle.close(found, wanted)


@pytest.mark.parametrize(("n", "power", "confident"), [(8, 6, True), (8, 2, True), (10, 6, True), (10, 3, False)])
def test_high_precision_over_hundreds_of_visits(n, power, confident):
    params, X, y = problem(n, n, n, "half_integer")
    with mpmath.workdps(60):
        h = mpmath.mpf(n) ** -power
        beta = n**3 * h if confident else mpmath.mpf(0)
        start, states, updates = exact_run(mpmath.mpf, params, X, y, seed=2, h=h, beta=beta, epochs=30)
        step = Fraction(1, n**power)
        rng = np.random.default_rng(2)
        run = train(params, X, y, h=step, beta=n**3 * step * confident, rng=rng, epochs=30, record=range(31))
        # 60 digits decide all but ties of every order, of which 0 = 0 at the start is the only one here
        assert run.columns["updates"].tolist() == updates.tolist()
        assert updates[-1] > (100 if confident else 10)
        assert_same_state(run, start, states[-1], h)
        exact = [float(value / h) for value in oracle.outputs(states[-1], oracle.sample(X, y)[0])]
    np.testing.assert_allclose(run.deviation.outputs(X), exact, rtol=1e-9)


def test_where_plain_float64_stands_still():
    n = 60
    params, X, y = problem(0, n, 3, "half_integer")
    h = Fraction(1, n**6)
    with mpmath.workdps(60):
        step = mpmath.mpf(n) ** -6
        start, states, updates = exact_run(mpmath.mpf, params, X, y, seed=4, h=step, beta=n**3 * step, epochs=7)
        rng = np.random.default_rng(4)
        run = train(params, X, y, h=h, beta=n**3 * h, rng=rng, epochs=7, record=range(8))
        assert run.columns["updates"].tolist() == updates.tolist()
        assert_same_state(run, start, states[-1], step)
        wanted = oracle.columns(states[-1], start, *oracle.sample(X, y), beta=n**3 * step)
    assert run.final("movement") == pytest.approx(wanted["movement"], rel=1e-9)
    assert run.columns["movement"][0] == 0 < run.final("movement") < 1e-12
    plain = sgd(params, X, y, h=float(h), beta=float(n**3 * h), rng=np.random.default_rng(4), epochs=7)
    np.testing.assert_array_equal(plain[-1].params.W, params.W)
    assert np.abs(run.deviation.Omega).max() > 1


def seed_with_order(m, orders):
    """A seed whose first epochs visit the examples in the given order."""
    return next(
        seed
        for seed in range(10_000)
        if example_orders(np.random.default_rng(seed), m, len(orders)).tolist() == list(orders)
    )


def one_neuron(bias):
    return OneHidden(np.ones((1, 1)), np.array([bias]), np.zeros(1), 0.0)


@pytest.mark.parametrize("h", [Fraction(1, 64), Fraction(1, 7**6), Fraction(1, 60**6)])
class TestTies:
    """One neuron ReLU(x + B): exact ties of the leading order, decided by the next."""

    def test_next_order_above_makes_no_update(self, h):
        # x = 1, y = +1, beta = 4 h. After two updates mu_0 = 2, c = 2: leading output 2 * 1 + 2 = 4, a tie. The
        # second update moved W and B by h^2 each, so f / h = 4 + 4 h^2 + ... > 4: no update, the run has converged.
        run = train(one_neuron(0.0), [[1.0]], [1.0], h=h, beta=4 * h, rng=np.random.default_rng(0), epochs=9)
        assert (run.outcome, run.updates, run.epochs, run.unresolved) == (Outcome.CONVERGED, 2, 3, 0)
        assert run.ties >= 1
        assert_same_run(one_neuron(0.0), np.ones((1, 1)), np.ones(1), seed=0, h=h, beta=4 * h, epochs=9)

    def test_next_order_below_makes_an_update(self, h):
        # x = 1 with +1 and x = 0 with -1, B = 1/2, beta = 3/2 h, visited in this order. Updates on both leave
        # mu_0 = 1, c = 0, and B moved by -3/2 h^2: at x = 1 the leading output 3/2 ties, f / h = 3/2 - 3/2 h^2 + ...
        X, y = np.array([[1.0], [0.0]]), np.array([1.0, -1.0])
        seed = seed_with_order(2, [[0, 1], [0, 1]])
        run = train(one_neuron(0.5), X, y, h=h, beta=h * 3 / 2, rng=np.random.default_rng(seed), epochs=2)
        assert run.ties >= 1
        assert run.unresolved == 0
        assert_same_run(one_neuron(0.5), X, y, seed=seed, h=h, beta=h * 3 / 2, epochs=2)
        if h > 1e-3:  # a threshold below f / h by h^2 / 2, which float64 resolves at this h only: no update
            lower = h * 3 / 2 - h**3 * 2
            other = assert_same_run(one_neuron(0.5), X, y, seed=seed, h=h, beta=lower, epochs=2)
            assert other.updates < run.updates

    def test_a_frozen_tie_updates(self, h):
        frozen = {"h": h, "beta": 4 * h, "epochs": 9, "layers": "output"}
        run = train(one_neuron(0.0), [[1.0]], [1.0], rng=np.random.default_rng(0), **frozen)
        assert (run.outcome, run.updates, run.epochs) == (Outcome.CONVERGED, 3, 4)  # y f / h = 2, 4 (a tie), 6
        below = {**frozen, "beta": 4 * h - h / 1024}
        assert train(one_neuron(0.0), [[1.0]], [1.0], rng=np.random.default_rng(0), **below).updates == 2
        assert_same_run(one_neuron(0.0), np.ones((1, 1)), np.ones(1), seed=0, **frozen)

    def test_ties_in_a_batch(self, h):
        X, y = np.ones((2, 1)), np.ones(2)
        for layers in ("both", "output"):
            assert_same_run(one_neuron(0.0), X, y, seed=0, h=h, beta=4 * h, epochs=6, batch=2, layers=layers)


def test_beta_zero_leaves_the_start():
    """f = 0 at the start is a tie, which must update; with a strict comparison nothing would ever move."""
    for layers in ("both", "output"):
        params, X, y = problem(0, 4, 4, "half_integer")
        run = train(params, X, y, h=1e-3, beta=0, rng=np.random.default_rng(0), epochs=1, layers=layers)
        assert run.updates >= 1


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(3, 8),
    kind=st.sampled_from(KINDS),
    of_h=st.sampled_from([0, 2, Fraction(27, 4), 216]),
    h=st.sampled_from([Fraction(1, 8), Fraction(1, 7**6), Fraction(5, 3), Fraction(1, 60**6)]),
    batch=st.sampled_from([1, 2, 3]),
)
def test_the_last_layer_alone_knows_no_step(seed, n, kind, of_h, h, batch):
    """With beta = c h the sequence of updates does not depend on h, whatever h is, and the weights scale with it."""
    params, X, y = problem(seed, n, 2 * n, kind, 0.1)
    runs = [
        train(
            params, X, y, h=step, beta=of_h * step, rng=np.random.default_rng(1), epochs=60, layers="output",
            batch=batch, record=range(61),
        )
        for step in (Fraction(1), h)
    ]  # fmt: skip
    one, other = runs
    for name in ("epoch", "updates", "train_error"):
        np.testing.assert_array_equal(one.columns[name], other.columns[name])
    np.testing.assert_array_equal(one.deviation.mu0, other.deviation.mu0)
    np.testing.assert_allclose(other.params.M, float(h) * one.params.M, rtol=1e-14)
    np.testing.assert_allclose(other.columns["margin"], one.columns["margin"], rtol=1e-14)
    np.testing.assert_array_equal(one.columns["movement"], 0.0)


@pytest.mark.parametrize("h", [2.0**-20, 2.0**-30, 0.125])
def test_floats_serve_where_the_step_is_a_power_of_two(h):
    n = 10
    params = symmetry_init(n)
    X = UniformCube(n).sample(np.random.default_rng(0), n)
    y = parity(n)(X)
    for layers in ("both", "output"):
        runs = [
            train(params, X, y, h=step, beta=n**3 * step, rng=np.random.default_rng(1), epochs=200, layers=layers)
            for step in (h, Fraction(h))
        ]
        for name, values in runs[0].columns.items():
            np.testing.assert_array_equal(values, runs[1].columns[name])


@pytest.mark.parametrize("layers", ["both", "output"])
def test_a_start_that_is_dead_on_the_sample(layers):
    """No neuron is on at any example: only the output bias can move."""
    params = OneHidden(-np.ones((3, 2)), np.array([0.0, -1.0, -2.0]), np.zeros(3), 0.0)
    X, y = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([-1.0, -1.0])
    run = train(params, X, y, h=1, beta=Fraction(5, 2), rng=np.random.default_rng(0), epochs=9, layers=layers)
    assert (run.outcome, run.updates, run.params.b) == (Outcome.CONVERGED, 3, -3.0)
    np.testing.assert_array_equal(run.params.W, params.W)
    assert not run.params.M.any()
