"""The oracle itself: its steps against automatic differentiation, finite differences and hand computation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from learnability.networks.one_hidden import OneHidden, forward, random_init
from learnability.training.orders import example_orders
from learnability.training.reference import sgd, sgd_epoch

ACTIVATIONS = ("relu", "sigmoid")
LAYERS = ("both", "output")
SHAPES = ((1, 1, 1), (3, 4, 1), (4, 6, 5))  # n, L, examples in the mini-batch


def problem(seed, n, L, m, activation="relu"):
    """A random network and sample, away from the kinks of ReLU; half of the examples above beta."""
    rng = np.random.default_rng(seed)
    params = random_init(rng, n, L, "normal")
    X = rng.standard_normal((m, n))
    y = np.where(rng.random(m) < 0.5, 1.0, -1.0)
    signed = y * forward(params, X, activation)
    beta = max(float(np.median(signed)) + 0.01, 0.1)
    away = np.abs(signed - beta).min() > 1e-3
    if activation == "relu":
        away = away and np.abs(X @ params.W.T + params.B).min() > 1e-3
    return params, X, y, beta, bool(away)


def hinge(W, B, M, b, X, y, beta, batch, activation, maximum, exp, matmul):
    """Sum of the examples' hinge losses over ``batch``, in terms of the given library's functions."""
    z = matmul(X, W.T) + B
    v = maximum(z, 0 * z) if activation == "relu" else 1 / (1 + exp(-5 * z))
    gap = beta - y * (matmul(v, M) + b)
    return maximum(gap, 0 * gap).sum() / batch


def jax_gradient(params, X, y, beta, batch, activation):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        jnp = jax.numpy
        X, y = jnp.asarray(X), jnp.asarray(y)

        def loss(W, B, M, b):
            return hinge(W, B, M, b, X, y, beta, batch, activation, jnp.maximum, jnp.exp, jnp.matmul)

        point = [jnp.asarray(part, dtype=jnp.float64) for part in params]
        return [np.asarray(part) for part in jax.grad(loss, argnums=(0, 1, 2, 3))(*point)]


def torch_gradient(params, X, y, beta, batch, activation):
    torch = pytest.importorskip("torch")
    point = [torch.tensor(np.asarray(part), dtype=torch.float64, requires_grad=True) for part in params]
    args = torch.tensor(X), torch.tensor(y), beta, batch, activation
    hinge(*point, *args, torch.maximum, torch.exp, torch.matmul).backward()
    return [part.grad.numpy() for part in point]


def difference_gradient(params, X, y, beta, batch, activation, eps=1e-6):
    def loss(point):
        return hinge(*point, X, y, beta, batch, activation, np.maximum, np.exp, np.matmul)

    point = [np.atleast_1d(np.asarray(part, dtype=float)).copy() for part in params]
    gradient = []
    for part in point:
        slope = np.empty_like(part)
        for index in np.ndindex(part.shape):
            kept = part[index]
            part[index] = kept + eps
            up = loss(point)
            part[index] = kept - eps
            slope[index] = (up - loss(point)) / (2 * eps)
            part[index] = kept
        gradient.append(slope)
    return [*gradient[:3], gradient[3][0]]


def assert_steps(before, after, gradient, h, layers, tolerance):
    """``after`` is ``before`` minus h times the gradient, in the layers that are trained."""
    for name, old, new, slope in zip(OneHidden._fields, before, after, gradient, strict=True):
        trained = layers == "both" or name in ("M", "b")
        wanted = old - h * np.asarray(slope) if trained else old
        np.testing.assert_allclose(new, wanted, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("oracle", [jax_gradient, torch_gradient])
@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_is_the_gradient_of_the_hinge_loss(oracle, layers, activation, shape):
    n, L, m = shape
    tried = 0
    for seed in range(12):
        params, X, y, beta, away = problem(seed, n, L, m, activation)
        if not away:
            continue
        tried += 1
        # a batch larger than the sample: the one mini-batch holds fewer, and is divided by batch all the same
        for batch in {m, 2 * m}:
            kind = {"layers": layers, "batch": batch, "activation": activation}
            epoch = sgd_epoch(params, X, y, np.arange(m), h=0.3, beta=beta, **kind)
            assert epoch.updated.any()
            assert_steps(params, epoch.params, oracle(params, X, y, beta, batch, activation), 0.3, layers, 1e-13)
    assert tried >= 6


@pytest.mark.parametrize("oracle", [jax_gradient, torch_gradient])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch", [1, 2, 4])
def test_an_epoch_is_a_chain_of_gradient_steps(oracle, activation, batch):
    params, X, y, beta, _ = problem(3, 3, 5, 6, activation)
    order = np.array([4, 0, 5, 2, 1, 3])
    epoch = sgd_epoch(params, X, y, order, h=0.05, beta=beta, batch=batch, activation=activation)
    point = params
    for start in range(0, 6, batch):
        rows = order[start : start + batch]
        slope = oracle(point, X[rows], y[rows], beta, batch, activation)
        point = OneHidden(*(old - 0.05 * np.asarray(g) for old, g in zip(point, slope, strict=True)))
    for new, wanted in zip(epoch.params, point, strict=True):
        np.testing.assert_allclose(new, wanted, rtol=0, atol=1e-13)


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 4),
    L=st.integers(1, 5),
    m=st.integers(1, 5),
    activation=st.sampled_from(ACTIVATIONS),
    layers=st.sampled_from(LAYERS),
)
def test_a_step_is_the_finite_difference(seed, n, L, m, activation, layers):
    params, X, y, beta, away = problem(seed, n, L, m, activation)
    assume(away)
    kind = {"layers": layers, "batch": m, "activation": activation}
    epoch = sgd_epoch(params, X, y, np.arange(m), h=1.0, beta=beta, **kind)
    gradient = difference_gradient(params, X, y, beta, m, activation)
    scale = 1 + max(np.abs(part).max() for part in map(np.asarray, gradient))
    assert_steps(params, epoch.params, gradient, 1.0, layers, 1e-7 * scale)
    signed = y * forward(params, X, activation)
    assert (epoch.updated == (signed <= beta)).all()


def test_one_update_by_hand():
    # z = (1*2 - 1, -1*2 + 1) = (1, -1): only the first neuron is on; f = 3*1 + 0.5 = 3.5, y f = -3.5 <= 1
    params = OneHidden(np.array([[1.0], [-1.0]]), np.array([-1.0, 1.0]), np.array([3.0, 7.0]), 0.5)
    after = sgd_epoch(params, np.array([[2.0]]), np.array([-1.0]), np.array([0]), h=0.5, beta=1.0).params
    # g = h y M H = (-1.5, 0) with the *old* M; W += g x, B += g, M += h y v, b += h y
    np.testing.assert_array_equal(after.W, [[-2.0], [-1.0]])
    np.testing.assert_array_equal(after.B, [-2.5, 1.0])
    np.testing.assert_array_equal(after.M, [2.5, 7.0])
    assert after.b == 0.0


def test_a_neuron_at_its_kink_has_slope_zero():
    params = OneHidden(np.array([[1.0]]), np.array([-1.0]), np.array([2.0]), 0.0)
    after = sgd_epoch(params, np.array([[1.0]]), np.array([1.0]), np.array([0]), h=1.0, beta=0.0).params
    assert (after.W[0, 0], after.B[0], after.M[0], after.b) == (1.0, -1.0, 2.0, 1.0)


@pytest.mark.parametrize(("beta", "updates"), [(Fraction(7, 3), True), (Fraction(7, 3) - Fraction(1, 10**40), False)])
def test_a_tie_counts_as_a_mistake(beta, updates):
    one = np.array([[Fraction(1)]], dtype=object)
    params = OneHidden(
        one, np.array([Fraction(0)], dtype=object), np.array([Fraction(2)], dtype=object), Fraction(1, 3)
    )
    x, y = np.array([[1]], dtype=object), np.array([1], dtype=object)
    epoch = sgd_epoch(params, x, y, np.array([0]), h=Fraction(1, 7), beta=beta)  # y f = 2 + 1/3
    assert epoch.updated.tolist() == [updates]
    assert epoch.params.b == (Fraction(1, 3) + Fraction(1, 7) if updates else Fraction(1, 3))
    assert isinstance(epoch.params.W[0, 0], Fraction)


def test_updated_follows_the_order_of_visits():
    params = OneHidden(np.array([[1.0]]), np.zeros(1), np.array([1.0]), 0.0)
    X, y = np.array([[5.0], [1.0], [5.0]]), np.array([1.0, 1.0, 1.0])
    order = np.array([0, 1, 2])
    for visits in ([0, 1, 2], [1, 0, 2], [2, 0, 1]):
        order = np.array(visits)
        epoch = sgd_epoch(params, X, y, order, h=0.1, beta=2.0, layers="output")
        assert (epoch.updated == (order == 1)).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch", [1, 3])
def test_sgd_runs_shuffled_epochs_until_one_makes_no_update(activation, batch):
    rng = np.random.default_rng(0)
    params = random_init(rng, 3, 8, "he")
    X, y = rng.standard_normal((5, 3)), np.array([1.0, -1, 1, 1, -1])
    kept = [np.copy(part) for part in params]
    run = {"h": 0.1, "beta": 0.05, "batch": batch, "activation": activation}
    history = sgd(params, X, y, rng=np.random.default_rng(7), epochs=500, **run)
    assert 2 < len(history) < 500
    assert [bool(e.updated.any()) for e in history] == [True] * (len(history) - 1) + [False]
    assert (y * forward(history[-1].params, X, activation) > 0.05).all()
    point = params
    for order, epoch in zip(example_orders(np.random.default_rng(7), 5, len(history)), history, strict=True):
        again = sgd_epoch(point, X, y, order, **run)
        assert (again.updated == epoch.updated).all()
        point = again.params
        for a, b in zip(point, epoch.params, strict=True):
            np.testing.assert_array_equal(a, b)
    for part, copy in zip(params, kept, strict=True):
        np.testing.assert_array_equal(part, copy)


def test_sgd_stops_at_the_budget():
    params = OneHidden(np.ones((1, 1)), np.zeros(1), np.zeros(1), 0.0)
    X, y = np.ones((2, 1)), np.array([1.0, -1.0])  # one input with both labels: never done
    assert len(sgd(params, X, y, h=0.1, beta=0.0, rng=np.random.default_rng(0), epochs=9)) == 9
    assert sgd(params, X, y, h=0.1, beta=0.0, rng=np.random.default_rng(0), epochs=0) == []
