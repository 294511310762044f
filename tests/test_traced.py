"""Forward passes are plain arithmetic: JAX jits, vmaps and differentiates them, checks at the door and all."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from learnability import traced
from learnability.kernels import connected
from learnability.networks import one_hidden, parity, residual, separable, symmetry, vertices
from learnability.networks.one_hidden import OneHidden

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")

N = 4
"""Inputs of all networks here."""


def rng():
    return np.random.default_rng(0)


def symmetric():
    """A symmetry start with an output layer, so that pre-activations are exactly 0 at some inputs."""
    start = symmetry.symmetry_init(N)
    return start._replace(M=rng().normal(size=len(start.M)), b=0.25)


PASSES = {
    "one_hidden": (one_hidden.forward, symmetric()),
    "one_hidden, features": (one_hidden.hidden, symmetric()),
    "one_hidden, sigmoid": (
        partial(one_hidden.forward, activation="sigmoid"),
        one_hidden.random_init(rng(), N, 5, "normal"),
    ),
    "parity": (parity.forward, parity.initial(rng(), N, 3, 5, "printed")),
    "parity, features": (parity.hidden, parity.initial(rng(), N, 3, 5)),
    "separable": (partial(separable.forward, alpha=0.1), separable.initial(rng(), N, 5)),
    "separable, relu": (partial(separable.forward, alpha=0), separable.initial(rng(), N, 5)),
    **{name: (residual.forward, residual.initial(rng(), name, N, 3, 6)) for name in residual.NETWORKS},
    "residual, features": (residual.features, residual.initial(rng(), "3resnet", N, 3, 6)),
    "vertices": (vertices.forward, vertices.VertexNet(rng().normal(size=(6, N)), vertices.output_weights(6))),
    "connected": (connected.forward, connected.random_network(rng(), N, (5, 3), outputs=2)),
    "connected, features": (connected.features, connected.random_network(rng(), N, (5,), bias=1.0)),
}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", PASSES)
def test_a_forward_pass_is_the_same_in_jax(name):
    forward, params = PASSES[name]
    X = rng().integers(0, 2, (7, N)).astype(float)
    wanted = forward(params, X)
    assert type(wanted) is np.ndarray
    in_jax = jax.tree.map(jnp.asarray, params)
    many = jax.tree.map(lambda part: jnp.stack([part, 2 * part]), in_jax)
    for found in (
        forward(in_jax, X),
        forward(params, jnp.asarray(X)),
        jax.jit(forward)(params, X),
        jax.vmap(forward, (None, 0))(params, X[None])[0],
        jax.vmap(forward, (0, None))(many, X)[0],
    ):
        assert isinstance(found, jax.Array)
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", PASSES)
def test_a_forward_pass_can_be_differentiated(name):
    forward, params = PASSES[name]
    X = 0.3 + rng().random((6, N))  # no kink

    def loss(params):
        return (forward(params, X) ** 2).sum()

    slope = jax.jit(jax.grad(loss))(params)
    move = jax.tree.map(lambda part: rng().normal(size=np.shape(part)), params)
    step = 1e-6
    ahead, behind = (loss(jax.tree.map(lambda part, by, at=at: part + at * by, params, move)) for at in (step, -step))
    along = sum(jax.tree.leaves(jax.tree.map(lambda part, by: float((part * by).sum()), slope, move)))
    assert along == pytest.approx((float(ahead) - float(behind)) / (2 * step), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("activation", "z", "wanted"),
    [
        (partial(one_hidden.activate, activation="relu"), [-1, 0, 2], [0, 0, 1]),
        (partial(one_hidden.activate, activation="sigmoid"), [0], [1.25]),
        (parity.relu6, [-1, 0, 2, 6, 7], [0, 0, 1, 0, 0]),
        (partial(separable.leaky, alpha=0.25), [-1, 0, 2], [0.25, 1, 1]),
        (partial(separable.leaky, alpha=0), [-1, 0, 2], [0, 0, 1]),
        (lambda z: residual.apply(residual.Layer2(jnp.array([[1.0, 0.0]]), jnp.ones((1, 1))), z[None, None])[0, 0],
         [-1, 0, 2], [0, 1, 1]),
        (lambda z: vertices.forward(vertices.VertexNet(jnp.ones((1, 1)), jnp.ones(1)), z[None, None])[0],
         [-1, 0, 2], [0, 1, 1]),
    ],
    ids=["relu", "sigmoid", "relu6", "leaky", "leaky with slope 0", "residual", "vertices"],
)  # fmt: skip
def test_derivatives_at_the_kinks_are_the_papers(activation, z, wanted):
    np.testing.assert_array_equal(jax.vmap(jax.grad(activation))(jnp.array(z, dtype=float)), wanted)


def test_a_number_that_is_none_stays_visible():
    z = jnp.array([np.nan])
    for activation in (
        partial(one_hidden.activate, activation="relu"),
        parity.relu6,
        partial(separable.leaky, alpha=0),
    ):
        assert np.isnan(activation(z)).all()


REFUSED = {
    "columns": ({}, np.zeros((3, 5)), "X must have 4 columns, got shape (3, 5)"),
    "one row": ({}, np.zeros(4), "X must have shape (rows >= 1, columns >= 1), got shape (4,)"),
    "complex": ({}, np.zeros((3, 4), dtype=complex), "X must be an array of real numbers, got dtype complex128"),
    "biases": ({"B": np.zeros(3)}, np.zeros((3, 4)), "B must have length 18, got 3"),
    "output": ({"M": np.zeros((18, 1))}, np.zeros((3, 4)), "M must be one-dimensional, got shape (18, 1)"),
    "output bias": ({"b": np.zeros(1)}, np.zeros((3, 4)), "b must be a real number, got shape (1,)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_shapes_are_refused_by_name_while_traced(name):
    params, X, message = REFUSED[name]
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - JAX appends a note, which `match` would see
        jax.jit(one_hidden.forward)(symmetric()._replace(**params), X)
    assert str(refused.value) == message


def test_what_is_not_traced_among_what_is_keeps_its_checks():
    X, start = jnp.zeros((3, N)), symmetric()
    with pytest.raises(ValueError, match=r"^B must be finite, got nan at index"):
        one_hidden.forward(start._replace(B=np.full(18, np.nan)), X)
    with pytest.raises(ValueError, match=r"^b must be finite, got nan"):
        one_hidden.forward(start._replace(b=float("nan")), X)
    with pytest.raises(ValueError, match=r"^M must be an array of real numbers"):
        one_hidden.forward(start._replace(M=["a"] * 18), X)


def test_numpy_has_the_checks_of_old():
    with pytest.raises(ValueError, match=r"^X must be finite"):
        one_hidden.forward(symmetric(), np.full((1, N), np.inf))
    assert traced.namespace(np.zeros(1), 3.0, [1]) is np
    assert traced.namespace((np.zeros(1), (jnp.zeros(1),))) is jnp


def test_a_single_precision_network_stays_one():
    params = jax.tree.map(partial(jnp.asarray, dtype=jnp.float32), symmetric())
    assert one_hidden.forward(params, jnp.zeros((3, N), dtype=jnp.float32)).dtype == jnp.float32
    assert isinstance(params, OneHidden)


def test_numpy_alone_does_not_load_jax():
    code = (
        "import sys; import numpy as np; from learnability.networks.one_hidden import forward, random_init;"
        "forward(random_init(np.random.default_rng(0), 3, 4, 'he'), np.ones((2, 3))); assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
