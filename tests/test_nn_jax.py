"""The pieces for JAX: starts by keys, forward passes and losses as pure functions, conversion, what is refused."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
pytest.importorskip("optax")

from learnability.errors import RequestError  # noqa: E402
from learnability.networks import one_hidden, parity, residual, separable, strips, symmetry  # noqa: E402
from learnability.networks.one_hidden import OneHidden  # noqa: E402
from learnability.networks.parity import ParityNet  # noqa: E402
from learnability.networks.residual import Layer2, ResNet3  # noqa: E402
from learnability.networks.separable import TwoLayer  # noqa: E402
from learnability.nn import jax as pieces  # noqa: E402
from nn_learners import flat  # noqa: E402


def rng(seed=0):
    return np.random.default_rng(seed)


def key(seed=0):
    return jax.random.key(seed)


STRIPS = ("gated", "linearised", "gaussian_features")  # of the expansion the ReLU network is a part
STARTS = {
    "symmetry": partial(pieces.symmetry_init, n=5),
    "parity": partial(pieces.parity_init, n=5, k=3, q=4),
    "separable": partial(pieces.separable_init, d=5, k=4, norm="at_most"),
    **{name: partial(pieces.residual_init, network=name, d=5, k=2, m=6) for name in residual.NETWORKS},
    **{name: partial(pieces.strips_init, model=name, n=5, p=6) for name in STRIPS},
}
FORWARD = {
    "symmetry": pieces.symmetry_apply,
    "parity": pieces.parity_apply,
    "separable": partial(pieces.separable_apply, alpha=0.1),
    **dict.fromkeys(residual.NETWORKS, pieces.residual_apply),
    **dict.fromkeys(STRIPS, pieces.strips_apply),
}
IN_NUMPY = {
    "symmetry": one_hidden.forward,
    "parity": parity.forward,
    "separable": partial(separable.forward, alpha=0.1),
    **dict.fromkeys(residual.NETWORKS, residual.forward),
    **dict.fromkeys(STRIPS, strips.forward),
}


# Starts


@pytest.mark.parametrize(
    ("kind", "const_neuron"), [*((kind, False) for kind in symmetry.SYMMETRY_KINDS), ("half_integer", True)]
)
def test_the_symmetry_start_is_that_of_numpy(kind, const_neuron):
    found = pieces.symmetry_init(None, 6, kind, const_neuron=const_neuron)
    assert all(isinstance(part, jax.Array) and part.dtype == jnp.float32 for part in found)
    back, wanted = pieces.to_numpy(found), symmetry.symmetry_init(6, kind, const_neuron=const_neuron)
    for a, b in zip(back, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("form", parity.FORMS)
def test_the_parity_start_has_its_distribution_and_its_pairs(form):
    found = pieces.to_numpy(pieces.parity_init(key(), 30, 3, 200, form))
    q, twin = 200, 1 if form == "safe" else -1
    np.testing.assert_array_equal(found.W[q:], twin * found.W[:q])
    np.testing.assert_array_equal(found.u[q:], -found.u[:q])
    np.testing.assert_allclose(found.b, np.repeat([1 / 24, twin / 24], q), rtol=1e-7)
    values, counts = np.unique(found.W[:q], return_counts=True)
    np.testing.assert_array_equal(values, [-1, 0, 1])
    np.testing.assert_allclose(counts / (30 * q), 1 / 3, atol=0.03)
    assert np.abs(found.u).max() <= 10
    assert np.abs(found.u).max() > 9.5
    assert found.u[:q].var() == pytest.approx(100 / 3, rel=0.2)


@pytest.mark.parametrize("norm", separable.NORMS)
def test_the_separable_start_has_its_distribution(norm):
    found = pieces.to_numpy(pieces.separable_init(key(), 30, 200, radius=2.0, v=0.5, norm=norm))
    np.testing.assert_array_equal(found.v, np.repeat([0.5, -0.5], 200))
    norms = np.linalg.norm(found.W, axis=1)
    if norm == "exact":
        np.testing.assert_allclose(norms, 2, rtol=1e-6)
    else:  # (norm / R)^d is uniform
        assert norms.max() <= 2
        assert np.abs(np.sort((norms / 2) ** 30) - np.linspace(0, 1, 400)).max() < 0.08
    directions = found.W / norms[:, None]
    np.testing.assert_allclose(directions.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(directions.T @ directions / 400, np.eye(30) / 30, atol=0.012)
    usual = pieces.separable_init(key(), 3, 8)
    np.testing.assert_allclose(np.linalg.norm(usual.W, axis=1), 1 / 4, rtol=1e-6)
    np.testing.assert_allclose(np.abs(usual.v), 1 / 4)


@pytest.mark.parametrize(("sigma_w", "sigma_v"), [(None, 1.0), (0.5, 3.0)])
@pytest.mark.parametrize("network", residual.NETWORKS)
def test_the_residual_start_has_its_variances(network, sigma_w, sigma_v):
    found = pieces.residual_init(key(), network, 30, 7, 400, sigma_w=sigma_w, sigma_v=sigma_v)
    wanted = residual.initial(rng(), network, 30, 7, 400)
    scales = {"W": sigma_w or 1 / 20, "V": sigma_v / 20, "U": sigma_v / 20, "A": 1 / 20}
    assert type(found) is type(wanted)
    for name, part in found._asdict().items():
        assert part.shape == getattr(wanted, name).shape
        assert float(part.std()) == pytest.approx(scales[name], rel=0.05)
        assert abs(float(part.mean())) < 0.1 * scales[name]


def test_the_starts_of_the_mnist_parity_experiment_have_their_distribution():
    start = partial(pieces.strips_init, key(), n=30, p=400)
    net = pieces.to_numpy(start("relu"))
    for part, limit in ((net.W, math.sqrt(6 / 430)), (net.u, math.sqrt(6 / 401))):
        assert 0.985 * limit < np.abs(part).max() <= limit * (1 + 1e-6)
        assert abs(part.mean()) < 0.1 * limit
    assert not net.b.any()
    assert net.c == 0
    same, gated, moves = start("gated", gates="same"), start("gated"), start("linearised")
    for other in (start("relu_features"), strips.Relu(*same[1:]), strips.Relu(*gated[1:]), moves.start):
        assert all(np.array_equal(a, b) for a, b in zip(pieces.to_numpy(other), net, strict=True))
    np.testing.assert_array_equal(same.G, same.W)
    assert float(gated.G.std()) == pytest.approx(net.W.std(), rel=0.05)
    assert abs(np.corrcoef(gated.G.ravel(), net.W.ravel())[0, 1]) < 0.03
    np.testing.assert_array_equal(moves.u, moves.start.u)
    assert not any(part.any() for part in (moves.W, moves.b, moves.c))
    waves = pieces.to_numpy(start("gaussian_features"))
    assert waves.W.std() * math.sqrt(30) == pytest.approx(4, rel=0.03)
    assert 0 <= waves.phase.min() < 0.1
    assert 6.18 < waves.phase.max() <= 2 * math.pi
    assert waves.phase.mean() == pytest.approx(math.pi, rel=0.1)


@pytest.mark.parametrize("name", STARTS)
def test_starts_are_functions_of_the_key_that_jit_and_vmap(name):
    start = STARTS[name]
    one, again, other = start(key(1)), start(key(1)), start(key(2))
    same = [np.array_equal(a, b) for a, b in zip(flat(one), flat(again), strict=True)]
    assert all(same)
    assert name == "symmetry" or not np.array_equal(flat(one)[0], flat(other)[0])
    many = jax.vmap(start)(jnp.stack([key(1), key(2)]))
    for a, b, c in zip(flat(one), flat(jax.jit(start)(key(1))), flat(many), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
        np.testing.assert_allclose(a, c[0], rtol=1e-6)
    old = start(jax.random.PRNGKey(1))
    assert jax.tree.structure(old) == jax.tree.structure(one)


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_types_are_those_asked_for(name, dtype):
    with jax.enable_x64(dtype == "float64"):
        found = STARTS[name](key(), dtype=dtype)
        assert {str(part.dtype) for part in flat(found)} == {dtype}
        usual = STARTS[name](key())
    assert {str(part.dtype) for part in flat(usual)} == {"float64" if dtype == "float64" else "float32"}
    if name == "separable":
        assert float(jnp.linalg.norm(found.W.astype(jnp.float32), axis=1).max()) <= 1 / math.sqrt(8) * 1.01


# Forward passes


@pytest.mark.parametrize("name", FORWARD)
def test_a_forward_pass_is_that_of_numpy_for_any_leading_axes(name):
    forward = FORWARD[name]
    with jax.enable_x64(True):
        params = STARTS[name](key(3))
        if name == "symmetry":
            params = params._replace(M=jnp.asarray(rng().normal(size=params.M.shape)), b=0.5)
        if name in STRIPS:
            params = params._replace(W=params.W + 0.1, c=params.c + 0.5)
        X = rng().integers(-2, 3, (3, 4, 5)).astype(float)
        back = pieces.to_numpy(params)
        wanted = IN_NUMPY[name](back, X.reshape(12, 5))
        wanted = wanted.reshape(3, 4, *wanted.shape[1:])
        ones = jax.vmap(forward, (None, 0))
        for found in (
            forward(params, X), jax.jit(forward)(params, X), forward(back, X),
            jax.vmap(ones, (None, 0))(params, jnp.asarray(X)), jnp.stack([forward(params, x) for x in X]),
        ):  # fmt: skip
            assert isinstance(found, jax.Array)
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
        many = jax.tree.map(lambda part: jnp.stack([part, part + 1]), params)
        np.testing.assert_allclose(jax.vmap(forward, (0, None))(many, X)[0], wanted, rtol=1e-12, atol=1e-12)
        slope = jax.grad(lambda params: forward(params, X).sum())(params)
        assert jax.tree.structure(slope) == jax.tree.structure(params)


def test_the_sigmoid_is_that_of_numpy():
    params = one_hidden.random_init(rng(), 5, 7, "normal")
    X = rng().normal(size=(6, 5))
    with jax.enable_x64(True):
        found = pieces.symmetry_apply(pieces.to_jax(params), X, "sigmoid")
    np.testing.assert_allclose(found, one_hidden.forward(params, X, "sigmoid"), rtol=1e-12)


def test_only_the_first_layer_is_trained_by_differentiating_by_it():
    params = pieces.separable_init(key(), 5, 4)
    slope = jax.grad(lambda W: pieces.separable_apply(params._replace(W=W), jnp.ones(5), 0.1))(params.W)
    wanted = jnp.where(params.W.sum(axis=1) >= 0, 1, 0.1) * params.v
    np.testing.assert_allclose(slope, jnp.repeat(wanted[:, None], 5, axis=1), rtol=1e-6)


def test_the_hinge_loss_and_its_derivative_at_the_kink():
    f, y = jnp.array([0.0, 1, 2, -1]), jnp.array([1.0, 1, 1, -1])
    for ties, wanted in ((False, [-1, 0, 0, 0]), (True, [-1, -1, 0, 1])):
        losses, slope = jax.value_and_grad(lambda f, ties=ties: pieces.hinge_loss(f, y, ties=ties).sum())(f)
        assert losses == 1
        assert slope.tolist() == wanted
    assert pieces.hinge_loss(f, y, beta=2).tolist() == [2, 1, 0, 1]
    assert jnp.isnan(pieces.hinge_loss(jnp.array([math.nan]), jnp.ones(1))).all()
    assert jax.jit(pieces.hinge_loss)(f, jnp.zeros(4)).tolist() == [1, 1, 1, 1]  # traced labels are not looked at


# Conversion


def test_networks_come_back_as_the_engines_want_them():
    from learnability.training.online import train

    params = one_hidden.random_init(rng(), 4, 6, "he")
    with jax.enable_x64(True):
        there = pieces.to_jax(params)
        assert {part.dtype for part in there} == {jnp.dtype("float64")}
        back = pieces.to_numpy(there)
    assert isinstance(back, OneHidden)
    assert type(back.b) is float
    assert all(np.array_equal(a, b) for a, b in zip(back, params, strict=True))
    X = rng().integers(0, 2, (5, 4))
    train(back, X, np.ones(5), h=0.1, beta=1, rng=rng(), epochs=1)
    assert pieces.to_jax(params).W.dtype == jnp.float32
    assert pieces.to_jax(params, "float16").W.dtype == jnp.float16


# What is refused


REFUSED = {
    "seed": (lambda: pieces.parity_init(0, 5, 3, 4), "key must be a key of jax.random, got 0"),
    "no key": (lambda: pieces.separable_init(None, 5, 4), "key must be a key of jax.random, got None"),
    "array": (lambda: pieces.separable_init(jnp.ones(2), 5, 4), r"key must be a key of jax.random, got Array\("),
    "keys": (lambda: pieces.residual_init(jnp.stack([key(), key()]), "3resnet", 2, 2, 2), "key must be a key"),
    "symmetry key": (lambda: pieces.symmetry_init(5, 3), "key must be a key of jax.random, got 5"),
    "n": (lambda: pieces.symmetry_init(None, 0), "n must be >= 1, got 0"),
    "kind": (lambda: pieces.symmetry_init(None, 3, "half"), "kind must be one of"),
    "biases": (
        lambda: pieces.symmetry_init(None, 150, dtype=jnp.bfloat16),
        "dtype must hold the biases exactly, up to 150.0 for n = 150, got bfloat16",
    ),
    "float64": (
        lambda: pieces.parity_init(key(), 5, 3, 4, dtype=float),
        "dtype must be at most float32 while jax_enable_x64 is off, got float64",
    ),
    "integers": (
        lambda: pieces.separable_init(key(), 5, 3, dtype=jnp.int32),
        "dtype must be a floating-point type, one of float16, bfloat16, float32, float64, got int32",
    ),
    "k": (lambda: pieces.parity_init(key(), 5, 6, 4), "k must be <= n = 5, got 6"),
    "form": (
        lambda: pieces.parity_init(key(), 5, 3, 4, "loose"),
        "form must be one of 'safe', 'printed', got 'loose'",
    ),
    "radius": (lambda: pieces.separable_init(key(), 5, 3, radius=math.nan), "radius must be finite, got nan"),
    "network": (lambda: pieces.residual_init(key(), "resnet", 5, 3, 4), "network must be one of '3resnet', "),
    "m": (lambda: pieces.residual_init(key(), "3resnet", 5, 3, 0), "m must be >= 1, got 0"),
    "model": (
        lambda: pieces.strips_init(key(), "convolution", 5, 4),
        "model must be one of 'relu', 'gated', 'linearised', 'relu_features', 'gaussian_features', got 'convolution'",
    ),
    "gates": (
        lambda: pieces.strips_init(key(), "linearised", 5, 4, gates="same"),
        "gates must be 'independent' for model 'linearised', got 'same'",
    ),
    "p": (lambda: pieces.strips_init(key(), "gated", 5, 0), "p must be >= 1, got 0"),
    "strips params": (
        lambda: pieces.strips_apply(symmetry.symmetry_init(3), jnp.ones(3)),
        "params must be a Relu or Gated or Linearised or Cosines, got OneHidden",
    ),
    "params": (
        lambda: pieces.separable_apply(symmetry.symmetry_init(3), jnp.ones(3), 0.1),
        "params must be a TwoLayer, got OneHidden",
    ),
    "residual params": (
        lambda: pieces.residual_apply(symmetry.symmetry_init(3), jnp.ones(3)),
        "params must be a ResNet3 or Layer3 or Layer2, got OneHidden",
    ),
    "inputs": (
        lambda: jax.jit(pieces.parity_apply)(pieces.parity_init(key(), 5, 3, 4), jnp.ones((5, 4))),
        r"X must have 5 columns, got shape \(5, 4\)",
    ),
    "residual inputs": (
        lambda: pieces.residual_apply(Layer2(jnp.ones((3, 3)), jnp.ones((1, 3))), jnp.ones(3)),
        r"X must have 2 columns, got shape \(3,\)",
    ),
    "alpha": (
        lambda: pieces.separable_apply(TwoLayer(jnp.ones((2, 1)), jnp.ones(2)), jnp.ones(1), 1.0),
        "alpha must be < 1, got 1.0",
    ),
    "labels": (
        lambda: pieces.hinge_loss(jnp.ones((3, 1)), jnp.ones(3)),
        r"labels must have the shape of outputs, \(3, 1\), got \(3,\)",
    ),
    "one bias for all": (
        lambda: pieces.symmetry_apply(pieces.symmetry_init(None, 3)._replace(B=jnp.ones(1)), jnp.ones(3)),
        r"params.B must have shape \(14,\), got \(1,\)",
    ),
    "too few weights": (
        lambda: pieces.separable_apply(TwoLayer(jnp.ones((4, 1)), jnp.ones(2)), jnp.ones(1), 0.5),
        r"params.v must have shape \(4,\), got \(2,\)",
    ),
    "one row of V": (
        lambda: pieces.residual_apply(
            pieces.residual_init(key(), "3resnet", 3, 2, 4)._replace(V=jnp.ones((1, 3))), jnp.ones(3)
        ),
        r"params.V must have shape \(4, 3\), got \(1, 3\)",
    ),
    "beta": (lambda: pieces.hinge_loss(jnp.ones(3), jnp.ones(3), beta=-1), "beta must be >= 0.0, got -1"),
    "labels 0": (lambda: pieces.hinge_loss(jnp.ones(3), jnp.array([1, 0, 1])), "labels must be -1 or 1, got 0"),
    "word": (
        lambda: pieces.symmetry_init(None, 3, dtype="flaot"),
        "dtype must be a floating-point type, got 'flaot'",
    ),
    "const_neuron": (
        lambda: pieces.symmetry_init(None, 3, const_neuron="yes"),
        "const_neuron must be True or False, got 'yes'",
    ),
    "v beyond": (
        lambda: pieces.separable_init(key(), 6, 7, v=1e30, dtype="float16"),
        r"v must be <= 65504.0 in float16, got 1e\+30",
    ),
    "radius below": (
        lambda: pieces.separable_init(key(), 6, 7, radius=1e-30, dtype="float16"),
        "radius must be >= 6.1.*e-05 in float16, got 1e-30",
    ),
    "sigma_w beyond": (
        lambda: pieces.residual_init(key(), "3resnet", 5, 3, 4, sigma_w=1e300),
        r"sigma_w must be <= 2.*e\+37 in float32, got 1e\+300",
    ),
    "sigma_v beyond": (
        lambda: pieces.residual_init(key(), "3resnet", 5, 3, 4, sigma_v=1e300),
        r"sigma_v / sqrt\(m\) must be <= 2.*e\+37 in float32, got 5e\+299",
    ),
    "n / k": (
        lambda: pieces.parity_init(key(), 200000, 1, 1, dtype="float16"),
        "n / k must be <= 65504.0 in float16, got 200000.0",
    ),
    "a list": (
        lambda: pieces.symmetry_apply(symmetry.symmetry_init(3)._replace(W=[[1.0, 1, 1]] * 14), jnp.ones(3)),
        "params.W must be an array, got list",
    ),
    "no matrix": (
        lambda: pieces.symmetry_apply(symmetry.symmetry_init(3)._replace(W=jnp.ones(14)), jnp.ones(3)),
        r"params.W must have shape \(rows >= 1, columns >= 1\), got shape \(14,\)",
    ),
    "start": (
        lambda: pieces.strips_apply(
            pieces.strips_init(key(), "linearised", 5, 4)._replace(start=pieces.strips_init(key(), "relu", 5, 3)),
            jnp.ones(5),
        ),
        r"params.start.W must have shape \(4, 5\), got \(3, 5\)",
    ),
    "output": (
        lambda: pieces.residual_apply(Layer2(jnp.ones((3, 3)), jnp.ones((1, 2))), jnp.ones(2)),
        r"params.A must have shape \(outputs, 3\), got \(1, 2\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_by_name(name):
    call, message = REFUSED[name]
    with pytest.raises(RequestError, match=f"^{message}"):
        call()


def test_all_networks_are_there():
    assert {type(start(key())) for start in STARTS.values()} == {
        OneHidden, ParityNet, TwoLayer, ResNet3, Layer2, residual.Layer3,
        strips.Gated, strips.Linearised, strips.Cosines,
    }  # fmt: skip


# Equinox


def test_an_equinox_model_so_started_follows_the_engine():
    eqx = pytest.importorskip("equinox")
    optax = pytest.importorskip("optax")
    from fractions import Fraction

    from learnability.problems.symmetry import UniformCube, parity
    from learnability.training import online
    from learnability.training.orders import example_orders

    n, epochs, h = 5, 5, Fraction(1, 64)
    X = UniformCube(n).sample(rng(), 12)
    y = parity(n)(X)
    run = online.train(symmetry.symmetry_init(n), X, y, h=h, beta=1, rng=rng(1), epochs=epochs)
    with jax.enable_x64(True):
        start = pieces.symmetry_init(None, n)
        model = eqx.nn.MLP(n, "scalar", width_size=len(start.B), depth=1, key=key())
        model = eqx.tree_at(
            lambda model: [part for layer in model.layers for part in (layer.weight, layer.bias)],
            model,
            [start.W, start.B, start.M[None], start.b[None]],
        )
        rule = optax.sgd(float(h))
        state = rule.init(eqx.filter(model, eqx.is_array))

        @eqx.filter_jit
        def step(model, state, x, label):
            slope = eqx.filter_grad(lambda model: pieces.hinge_loss(model(x), label, beta=1.0, ties=True))(model)
            moves, state = rule.update(slope, state)
            return eqx.apply_updates(model, moves), state

        for order in example_orders(rng(1), len(X), epochs):
            for i in order:
                model, state = step(model, state, jnp.asarray(X[i]), jnp.asarray(y[i]))
        (W, B), (M, b) = ((layer.weight, layer.bias) for layer in model.layers)
        found = pieces.to_numpy(OneHidden(W, B, M[0], b[0]))
    assert run.unresolved == 0
    assert run.updates > 20
    for a, b in zip(found, run.params, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
