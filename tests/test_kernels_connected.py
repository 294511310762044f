"""Kernels of fully connected networks at finite width: against automatic differentiation, and the closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from learnability.kernels import closed_form, pairs
from learnability.kernels.connected import Connected, conjugate, features, forward, random_network, tangent


def rng(seed=0):
    return np.random.default_rng(seed)


def inputs(n=5, r=3, d=4):
    g = rng(1)
    return g.standard_normal((n, d)), g.standard_normal((r, d))


@pytest.mark.parametrize(
    ("widths", "k", "bias", "trained"), [((7,), 1, 0.0, 0.0), ((6, 9), 3, 0.4, 0.7), ((5, 4, 8, 3), 2, 0.1, 1.0)]
)
def test_the_tangent_kernel_is_the_product_of_jacobians(widths, k, bias, trained, monkeypatch):
    jax = pytest.importorskip("jax")
    w = 1.7
    params = random_network(rng(), 4, widths, outputs=k, weight=w, bias=bias)
    rates = [w / (1 if layer == 0 else size) for layer, size in enumerate((4, *widths))]

    def network(moves, x):
        """The weights are the root of the rate times what is trained, and so are the biases with the rate t."""
        h = x
        for layer, (W, rate) in enumerate(zip((*params.W, params.A), rates, strict=True)):
            move, shift = moves[layer]
            h = (W + math.sqrt(rate) * move) @ h + math.sqrt(trained) * shift
            if layer < len(params.W):
                h = jax.nn.relu(h + params.biases[layer])
        return h

    still = [(np.zeros_like(W), np.zeros(len(W))) for W in (*params.W, params.A)]
    X, Z = inputs()
    with jax.enable_x64(True):
        found = jax.jit(jax.vmap(jax.jacobian(network), (None, 0)))(still, np.vstack([X, Z]))
        rows = np.concatenate([np.asarray(part).reshape(8, k, -1) for part in jax.tree.leaves(found)], axis=2)
        outputs = np.asarray(jax.vmap(network, (None, 0))(still, X))
    np.testing.assert_allclose(forward(params, X), outputs, rtol=1e-12)
    for other, wanted in ((Z, rows[5:]), (X, rows[:5])):
        exact = np.einsum("nkp,mkp->nm", rows[:5], wanted) / k
        for workspace in (pairs.WORKSPACE, 1000):  # all at once, and in blocks
            monkeypatch.setattr(pairs, "WORKSPACE", workspace)
            np.testing.assert_allclose(tangent(params, X, other, trained_bias=trained), exact, rtol=1e-9)
            wide = features(params, X) @ features(params, other).T / widths[-1]
            np.testing.assert_allclose(conjugate(params, X, other), wide, rtol=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_they_tend_to_the_closed_forms(depth):
    X, Z = inputs(2, 2)
    drawn = [random_network(rng(seed), 4, (400,) * depth, outputs=4, weight=1.6, bias=0.3) for seed in range(60)]
    options = {"depth": depth, "weight": 1.6, "bias": 0.3}
    for finite, exact in (
        ([conjugate(p, X, Z) for p in drawn], closed_form.conjugate(X, Z, **options)),
        ([tangent(p, X, Z, trained_bias=0.5) for p in drawn], closed_form.tangent(X, Z, **options, trained_bias=0.5)),
    ):
        error = np.std(finite, axis=0) / math.sqrt(60)
        assert (np.abs(np.mean(finite, axis=0) - exact) < 4 * error + 2 * depth / 400 * exact).all()
        assert (error < 0.03 * exact).all()


def test_nothing_has_the_number_of_parameters_as_a_dimension():
    """A Jacobian of this network at these inputs would be 250 MB."""
    import tracemalloc

    params, X = random_network(rng(), 10, (400, 400)), rng(2).standard_normal((190, 10))
    tracemalloc.start()
    tangent(params, X, X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


NET = random_network(np.random.default_rng(3), 4, (3, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: random_network(rng(), 4, ()), "widths must hold at least one width"),
        (lambda: random_network(rng(), 4, (0,)), "each of widths must be >= 1"),
        (lambda: random_network(rng(), 4, 5), "widths must be an iterable of integers"),
        (lambda: random_network(rng(), 4, (10**5, 10**5)), r"widths must keep the weights within 3 GiB, .*74.5 GiB"),
        (lambda: random_network(rng(), 4, (3,), weight=0), "weight must be > 0"),
        (lambda: tangent(NET, np.ones((2, 4)), np.ones((2, 3))), "Z must have 4 columns"),
        (lambda: tangent(NET, np.ones((2, 3)), np.ones((2, 3))), "X must have 4 columns"),
        (lambda: tangent(NET, np.ones((2, 4)), np.ones((2, 4)), trained_bias=-1), "trained_bias must be >= 0"),
        (lambda: tangent(None, np.ones((2, 4)), np.ones((2, 4))), "params must be a Connected, got NoneType"),
        (lambda: forward(NET._replace(A=np.ones((1, 3))), np.ones((2, 4))), "params.A must have 2 columns"),
        (lambda: forward(NET._replace(W=()), np.ones((2, 4))), "params.W must be a tuple of at least one matrix"),
        (lambda: forward(NET._replace(biases=()), np.ones((2, 4))), "params.biases must be a tuple of 2 vectors"),
        (
            lambda: forward(Connected((np.ones((3, 4)), np.ones((2, 2))), NET.biases, NET.A, 1.0), np.ones((2, 4))),
            r"params.W\[1\] must have 3 columns",
        ),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
