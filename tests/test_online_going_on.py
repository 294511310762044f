"""The online engine goes on from an earlier run with other examples, as if they had come in that run."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import training_oracle as oracle
from learnability.networks.one_hidden import random_init
from learnability.networks.symmetry import symmetry_init
from learnability.problems.symmetry import UniformCube, flip_labels, random_symmetric
from learnability.training.online import train
from learnability.training.orders import example_orders
from learnability.training.record import Outcome
from learnability.training.reference import sgd_epoch

KINDS = ("integer", "half_integer", "quarter")
FIELDS = ("Omega", "omega", "mu0", "mu1", "count", "updates")


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 5),
    kind=st.sampled_from(KINDS),
    power=st.integers(1, 6),
    batch=st.sampled_from([1, 1, 3]),
    layers=st.sampled_from(["both", "output"]),
)
def test_other_examples_are_decided_as_exact_arithmetic_would(seed, n, kind, power, batch, layers):
    rng = np.random.default_rng(seed)
    f, h = random_symmetric(n, rng), Fraction(1, n**power)
    params = symmetry_init(n, kind)
    start = now = oracle.network(Fraction, params)
    before, orders, again = params, np.random.default_rng(3), np.random.default_rng(3)
    updates = 0
    for m in (4, 1, 5, 4):
        X = UniformCube(n).sample(rng, m)
        y = flip_labels(rng, f(X), 0.2)
        exact = sgd_epoch(
            now, *oracle.sample(X, y), example_orders(again, m, 1)[0], h=h, beta=n**3 * h, layers=layers, batch=batch
        )
        now = exact.params
        run = train(before, X, y, h=h, beta=n**3 * h, layers=layers, batch=batch, rng=orders, epochs=1, record=())
        before = run.deviation
        updates += int(exact.updated.sum())
        assert run.updates == int(exact.updated.sum())
        assert before.updates == updates
        Omega, omega, mu, count = oracle.deviations(start, now, h / batch)
        oracle.close(before.Omega, Omega)
        oracle.close(before.omega, omega)
        oracle.close(before.mu0 + before.unit**2 * before.mu1, mu)
        assert before.count == count[0]


@pytest.mark.parametrize("layers", ["both", "output"])
def test_one_epoch_after_the_other_is_one_run_to_the_last_bit(layers):
    n, rng = 10, np.random.default_rng(1)
    X = UniformCube(n).sample(rng, 30)
    y, h = random_symmetric(n, rng)(X), Fraction(1, n**6)
    common = {"h": h, "beta": n**3 * h, "layers": layers, "record": ()}
    whole = train(symmetry_init(n), X, y, rng=np.random.default_rng(2), epochs=40, **common)
    rng, now, outcome = np.random.default_rng(2), symmetry_init(n), None
    for _ in range(whole.epochs):
        run = train(now, X, y, rng=rng, epochs=1, **common)
        now, outcome = run.deviation, run.outcome
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(now, name), getattr(whole.deviation, name))
    assert now.updates == whole.updates
    assert (outcome is Outcome.CONVERGED) == (whole.outcome is Outcome.CONVERGED)


@pytest.mark.parametrize("form", ["auto", "direct", "cached"])
def test_real_inputs_and_plain_forms_come_close(form):
    rng = np.random.default_rng(4)
    X, y = rng.uniform(0, 4, (25, 4)), rng.choice([-1.0, 1.0], 25)
    common = {"h": 0.01, "beta": 0.5, "record": (), "form": form}
    whole = train(symmetry_init(4), X, y, rng=np.random.default_rng(2), epochs=6, **common)
    rng, now, updates = np.random.default_rng(2), symmetry_init(4), 0
    for _ in range(6):
        run = train(now, X, y, rng=rng, epochs=1, **common)
        now, updates = run.deviation or run.params, updates + run.updates
    assert updates == whole.updates
    np.testing.assert_allclose(run.params.M, whole.params.M, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(run.params.W, whole.params.W, rtol=1e-9, atol=1e-12)


def test_more_inputs_than_classes_go_on_in_plain_float64(monkeypatch):
    from learnability.training.online import problem

    rng = np.random.default_rng(5)
    X, y = rng.uniform(0, 3, (12, 3)), rng.choice([-1.0, 1.0], 12)
    first = train(symmetry_init(3), X, y, h=0.1, beta=0.2, rng=rng, epochs=3).deviation
    monkeypatch.setattr(problem, "GRAM_POINTS", 5)
    run = train(first, X, y, h=0.1, beta=0.2, rng=rng, epochs=0)
    assert run.deviation is None
    np.testing.assert_array_equal(run.params.W, first.network().W)


def test_a_deviation_that_does_not_fit_is_refused():
    rng = np.random.default_rng(6)
    X, y = UniformCube(3).sample(rng, 6), np.array([1.0, -1, 1, -1, 1, -1])
    moved = train(symmetry_init(3), X, y, h=0.25, beta=1, rng=rng, epochs=2).deviation

    def go_on(before=moved, **change):
        return train(before, X, y, **{"h": 0.25, "beta": 1, "rng": rng, "epochs": 1, **change})

    go_on()
    with pytest.raises(ValueError, match=r"^params must be a Deviation in units of h / batch = 0.5, got one in 0.25"):
        go_on(h=0.5)
    with pytest.raises(ValueError, match=r"^layers must be 'both' for a Deviation whose first layer has moved"):
        go_on(layers="output")
    with pytest.raises(ValueError, match=r"^params must be a Deviation of a ReLU network"):
        go_on(activation="sigmoid")
    with pytest.raises(ValueError, match=r"^resume must be a state of the same problem, got one with another params"):
        go_on(resume=train(random_init(rng, 3, 4, "he"), X, y, h=0.25, beta=1, rng=rng, epochs=1, form="auto").state)
