"""Every kernel by its name, and the scikit-learn estimator."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from learnability.kernels import closed_form, connected, inner_product, residual, residual_empirical
from learnability.kernels.features import random_layer
from learnability.kernels.named import DRAWN, NAMES, kernel, of_features, of_network
from learnability.networks.residual import initial

RESNET = {"network": "3resnet", "m": 40, "k": 2}
OPTIONS = {
    "gaussian": {"gamma": 0.3},
    "polynomial": {"degree": 2},
    "features": {"N": 60, "activation": "relu", "bias": 1.0},
    "finite-conjugate": {"widths": (50,), "bias": 1.0},
    "finite-tangent": {"widths": (30, 30), "bias": 0.1, "trained_bias": 0.1},
    "finite-last": RESNET,
    "finite-hidden": RESNET,
    "finite-all": RESNET,
}


def made(name, **options):
    drawn = {"rng": np.random.default_rng(5), "n": 4} if name in DRAWN else {}
    return kernel(name, **drawn, **OPTIONS.get(name, {}), **options)


def inputs():
    g = np.random.default_rng(1)
    return g.uniform(-0.5, 0.5, (6, 4)), g.uniform(-0.5, 0.5, (3, 4))


@pytest.mark.parametrize("name", NAMES)
def test_all_are_kernels(name):
    X, Z = inputs()
    K = made(name)
    both = np.vstack([X, Z])
    whole = K(both, both)
    np.testing.assert_allclose(K(X, Z), whole[:6, 6:], rtol=1e-10)
    np.testing.assert_allclose(whole, whole.T, rtol=1e-10)
    assert np.linalg.eigvalsh(whole).min() > -1e-9 * np.trace(whole)


def test_names_are_the_functions():
    X, Z = inputs()

    def same(name, wanted, **options):
        np.testing.assert_allclose(made(name, **options)(X, Z), wanted, rtol=1e-12)

    def rng():
        return np.random.default_rng(5)

    same("gaussian", closed_form.rbf(X, Z, 0.3))
    same("arcsin", inner_product.arcsin(X, Z))
    same("arcsine", inner_product.arcsine(X, Z))
    same("recursive", inner_product.recursive(X, Z, depth=3), depth=3)
    same("conjugate", closed_form.conjugate(X, Z, depth=2, bias=0.5), depth=2, bias=0.5)
    same("tangent", closed_form.tangent(X, Z, depth=2, weight=1.0), depth=2, weight=1.0)
    same("resnet-last", residual.limit(X, Z).last)
    same("resnet-hidden", residual.limit(X, Z).hidden)
    same("resnet-tangent", residual.average(X, Z, m=50, k=3, sigma_v=2.0).ntk, m=50, k=3, sigma_v=2.0)
    phi = random_layer(rng(), 4, 60, "relu", bias=1.0)
    same("features", phi(X) @ phi(Z).T / 60)
    wide = connected.random_network(rng(), 4, (30, 30), bias=0.1)
    same("finite-tangent", connected.tangent(wide, X, Z, trained_bias=0.1))
    params = initial(rng(), "3resnet", 4, 2, 40)
    parts = residual_empirical.tangent(params, X, Z)
    same("finite-last", residual_empirical.conjugate(params, X, Z))
    same("finite-hidden", parts["V"] + parts["W"])
    same("finite-all", parts["A"] + parts["V"] + parts["W"])


def test_features_come_near_their_kernel():
    X, Z = inputs()
    drawn = kernel("features", rng=np.random.default_rng(6), n=4, N=100_000, activation="sign")
    np.testing.assert_allclose(drawn(X, Z), inner_product.arcsin(X, Z), atol=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernel("rbf"), "name must be one of 'gaussian', 'arcsin'"),
        (lambda: kernel("gaussian"), "options must hold 'gamma' for the kernel 'gaussian', got no 'gamma'"),
        (
            lambda: kernel("gaussian", gamma=1.0, degree=2),
            "options must be among 'gamma' for the kernel 'gaussian', got 'degree'",
        ),
        (lambda: kernel("arcsin", X=np.ones((1, 1))), "options must be none for the kernel 'arcsin', got 'X'"),
        (lambda: kernel("gaussian", gamma=-1.0), "gamma must be > 0"),
        (lambda: kernel("features"), "options must hold 'rng', 'n', 'N' for the kernel 'features', got no"),
        (lambda: kernel("features", rng=3, n=2, N=2), "rng must be a numpy.random.Generator"),
        (lambda: kernel("resnet-last", m=30), "m and k must be given"),
        (lambda: of_features(3), "features must be a function"),
        (
            lambda: of_features(lambda X: X[:, 0])(np.ones((2, 2)), np.ones((2, 2))),
            "features' values must have shape",
        ),
        (lambda: of_network(None, "all"), "params must be a ResNet3, a Layer3 or a Layer2, got NoneType"),
        (lambda: of_network(initial(np.random.default_rng(), "2layer", 2, 2, 2), "ntk"), "method must be one of"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("name", "options"),
    {
        "polynomial": ("degree", "offset"),
        "tangent": ("depth", "weight", "bias", "trained_bias"),
        "resnet-last": ("m", "k", "sigma_w", "sigma_v"),
        "features": ("rng", "n", "N", "activation", "scale", "bias", "limit"),
        "finite-conjugate": ("rng", "n", "widths", "outputs", "weight", "bias"),
        "finite-tangent": ("rng", "n", "widths", "trained_bias", "outputs", "weight", "bias"),
        "finite-all": ("rng", "n", "network", "m", "k", "sigma_w", "sigma_v"),
    }.items(),
)
def test_an_unknown_option_is_told_the_known(name, options):
    listed = ", ".join(map(repr, options))
    with pytest.raises(ValueError, match=f"options must be among {listed} for the kernel '{name}', got 'no'"):
        made(name, no=1)


@pytest.mark.parametrize("name", NAMES)
def test_all_can_be_pickled(name):
    X, Z = inputs()
    K = made(name)
    again = pickle.loads(pickle.dumps(K))
    np.testing.assert_array_equal(again(X, Z), K(X, Z))
    assert repr(again) == repr(K)
    assert name in repr(K)


@pytest.mark.parametrize("name", NAMES)
def test_all_take_single_rows(name):
    X, Z = inputs()
    K = made(name)
    value = K(X[0], Z[0])
    assert isinstance(value, float)
    assert value == pytest.approx(K(X[:1], Z[:1])[0, 0], rel=1e-12)
    np.testing.assert_array_equal(K(X), K(X, X))
    with pytest.raises(ValueError, match="must have"):
        K(X[0], Z)


class TestMonteCarlo:
    """Every closed form is the mean of a kernel that is drawn."""

    def near(self, name, drawn, **options):
        X, Z = inputs()
        values, exact = np.array([draw(X, Z) for draw in drawn]), kernel(name, **options)(X, Z)
        error = values.std(axis=0) / np.sqrt(len(values))
        scale = np.abs(exact).max()
        assert (np.abs(values.mean(axis=0) - exact) < 4.5 * error + 1e-3 * scale).all(), name
        assert error.max() < 0.03 * scale

    def drawn(self, name, count=40, **options):
        return [kernel(name, rng=np.random.default_rng(seed), n=4, **options) for seed in range(count)]

    def maps(self, features, count=40, N=4000):
        """Kernels of features (rng, X) -> (m, N), each with its own generator."""
        return [
            of_features(lambda X, seed=seed: features(np.random.default_rng(seed), X, N)) for seed in range(count)
        ]

    def test_functions_of_inner_products(self):
        from scipy.special import erf

        def lifted(X):
            return np.hstack([X, np.ones((len(X), 1))])

        def product(rng, X, N, degree):
            """E <w, x><w, z> = <x, z> for signs w, and for independent w products multiply."""
            return np.prod([X @ rng.choice([-1.0, 1.0], (X.shape[1], N)) for _ in range(degree)], axis=0)

        def geometric(rng, X, N):
            """1 / (2 - t) is the sum of t^j / 2^(j + 1): a product of j factors, j geometric."""
            degrees = rng.geometric(0.5, N) - 1
            factors = np.array([X @ rng.choice([-1.0, 1.0], (X.shape[1], N)) for _ in range(degrees.max())])
            used = np.arange(degrees.max())[:, None, None] < degrees
            return np.where(used, factors, 1.0).prod(axis=0)

        cosines = self.drawn("features", N=4000, activation="cos", scale=np.sqrt(0.6))
        self.near("gaussian", [lambda X, Z, K=K: 2 * K(X, Z) for K in cosines], gamma=0.3)
        self.near("arcsin", self.drawn("features", N=4000, activation="sign"))
        self.near("arcsine", self.maps(lambda rng, X, N: erf(lifted(X) @ rng.standard_normal((5, N)))))
        self.near("polynomial", self.maps(lambda rng, X, N: product(rng, lifted(X), N, 3)), degree=3)
        self.near("recursive", self.maps(geometric))

    @pytest.mark.parametrize("depth", [1, 3])
    def test_fully_connected_networks(self, depth):
        scales = {"weight": 2.0, "bias": 0.5}
        options = {"widths": (200,) * depth, **scales}
        self.near("conjugate", self.drawn("finite-conjugate", 100, **options), depth=depth, **scales)
        tangents = self.drawn("finite-tangent", 100, outputs=3, trained_bias=1.0, **options)
        self.near("tangent", tangents, depth=depth, trained_bias=1.0, **scales)

    def test_the_resnet(self):
        for name, other in (("last", "last"), ("hidden", "hidden"), ("tangent", "all")):
            drawn = self.drawn(f"finite-{other}", 300, network="3resnet", m=400, k=3)
            X, Z = inputs()
            values, exact = np.array([draw(X, Z) for draw in drawn]), kernel(f"resnet-{name}", m=400, k=3)(X, Z)
            error = values.std(axis=0) / np.sqrt(300)
            # The average is right to order 1 / m, but for the root in the V part: 1 / (4k) of it (about .02 here).
            assert (np.abs(values.mean(axis=0) - exact) < 4.5 * error + 0.02 + 5 / 400).all()
            assert error.max() < 0.01 * exact.max()
