"""Kernels in closed form against sampled networks, and the kernel machine against the machines it stands for."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.kernels import machine, pairs
from learnability.kernels.closed_form import arc_cosine0, arc_cosine1, conjugate, rbf, tangent
from learnability.kernels.features import Layer, Parities, coordinates, parities, random_layer
from learnability.kernels.inner_product import arcsin, arcsine, polynomial, recursive
from learnability.kernels.machine import fit, gram, leave_one_out


def sphere(rng, m, n):
    X = rng.standard_normal((m, n))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


class TestArcCosine:
    def test_values_that_are_known(self):
        rho = [-1.0, 0.0, 0.5, 1.0]
        assert arc_cosine0(rho) == pytest.approx([0, 1 / 2, 2 / 3, 1], abs=1e-15)
        assert arc_cosine1(rho) == pytest.approx(
            [0, 1 / math.pi, (math.sqrt(3) / 2 + math.pi / 3) / math.pi, 1], abs=1e-15
        )

    def test_rounding_beyond_the_ends_is_harmless(self):
        rho = [-1 - 1e-12, 1 + 1e-12]
        assert arc_cosine0(rho).tolist() == [0.0, 1.0]
        assert arc_cosine1(rho).tolist() == [0.0, 1.0]

    def test_they_are_the_gaussian_expectations(self):
        a, c = np.random.default_rng(0).standard_normal((2, 400_000))
        for rho in (-0.8, -0.1, 0.6):
            b = rho * a + math.sqrt(1 - rho**2) * c
            assert 2 * ((a > 0) & (b > 0)).mean() == pytest.approx(float(arc_cosine0(rho)), abs=0.006)
            assert 2 * (np.maximum(a, 0) * np.maximum(b, 0)).mean() == pytest.approx(
                float(arc_cosine1(rho)), abs=0.01
            )

    def test_not_finite(self):
        with pytest.raises(ValueError, match="rho must be finite"):
            arc_cosine1([0.0, np.nan])


def test_rbf_is_its_definition():
    rng = np.random.default_rng(1)
    X, Z = rng.standard_normal((5, 3)), rng.standard_normal((4, 3))
    expected = [[math.exp(-0.7 * sum((x - z) ** 2)) for z in Z] for x in X]
    np.testing.assert_allclose(rbf(X, Z, 0.7), expected, rtol=1e-13)
    assert rbf(X, X, 0.7).diagonal() == pytest.approx(np.ones(5), abs=1e-14)
    with pytest.raises(ValueError, match="gamma must be > 0"):
        rbf(X, Z, 0.0)
    with pytest.raises(ValueError, match="Z must have 3 columns"):
        rbf(X, np.ones((2, 2)), 1.0)


def network_kernels(X, *, depth, weight, bias, trained, width, rng):
    """Empirical conjugate and tangent kernel of one network of finite width, by its gradients written out."""
    h, layers = X, []
    for layer in range(depth):
        fan = 1 if layer == 0 else width
        W = rng.standard_normal((width, h.shape[1])) * math.sqrt(weight / fan)
        z = h @ W.T + rng.standard_normal(width) * math.sqrt(bias)
        layers.append((h, W, z))
        h = np.maximum(z, 0)
    last = h @ h.T / width
    # output v.h + c in the parametrisation in which a weight is sqrt(weight / fan) times a parameter
    theta = weight * last + trained
    v = rng.standard_normal(width) * math.sqrt(weight / width)
    back = np.broadcast_to(v, h.shape)
    for layer in reversed(range(depth)):
        inputs, W, z = layers[layer]
        back = back * (z > 0)
        fan = 1 if layer == 0 else width
        theta = theta + (back @ back.T) * (weight / fan * inputs @ inputs.T + trained)
        back = back @ W
    return last, theta


@pytest.mark.parametrize(
    ("depth", "weight", "bias", "trained"), [(1, 2.0, 0.0, 0.0), (1, 1.3, 0.4, 1.0), (3, 2.0, 0.1, 0.1)]
)
def test_networks_of_finite_width_come_near(depth, weight, bias, trained):
    rng = np.random.default_rng(2)
    X = sphere(rng, 6, 5) * np.array([1, 1, 0.5, 2, 1, 0])[:, None]  # the last is the zero input
    X[1] = -X[0]
    found = np.mean(
        [
            network_kernels(X, depth=depth, weight=weight, bias=bias, trained=trained, width=1500, rng=rng)
            for _ in range(8)
        ],
        axis=0,
    )
    options = {"depth": depth, "weight": weight, "bias": bias}
    exact = conjugate(X, X, **options), tangent(X, X, **options, trained_bias=trained)
    for sampled, closed in zip(found, exact, strict=True):
        np.testing.assert_allclose(sampled, closed, atol=0.06 * closed.max())


def test_two_layers_by_their_formula():
    rng = np.random.default_rng(3)
    X, Z = sphere(rng, 4, 6), sphere(rng, 3, 6)
    rho = X @ Z.T
    np.testing.assert_allclose(conjugate(X, Z, weight=1.0), arc_cosine1(rho) / 2, rtol=1e-13)
    np.testing.assert_allclose(tangent(X, Z), 2 * (arc_cosine1(rho) + rho * arc_cosine0(rho)) / 2 * 2, rtol=1e-12)


def test_depth_keeps_the_diagonal_at_weight_two():
    X = sphere(np.random.default_rng(4), 5, 7)
    for depth in (1, 4):
        assert conjugate(X, X, depth=depth).diagonal() == pytest.approx(np.ones(5), rel=1e-14)
        assert tangent(X, X, depth=depth).diagonal() == pytest.approx(np.full(5, 2.0 * (depth + 1)), rel=1e-14)


def test_biases_trained_by_default_as_they_are_drawn():
    X = sphere(np.random.default_rng(5), 4, 3)
    same = tangent(X, X, bias=0.3), tangent(X, X, bias=0.3, trained_bias=0.3)
    np.testing.assert_array_equal(*same)
    assert (tangent(X, X, bias=0.3, trained_bias=0.5) > same[0]).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.floats(0, 1))
@settings(max_examples=20)
def test_gram_matrices_are_positive_semidefinite(seed, depth, bias):
    X = np.random.default_rng(seed).choice([-1.0, 1.0], (12, 4)) / 2  # repeats and opposites among them
    for K in (conjugate(X, X, depth=depth, bias=bias), tangent(X, X, depth=depth, bias=bias), rbf(X, X, 0.5)):
        np.testing.assert_allclose(K, K.T, atol=1e-12)
        assert np.linalg.eigvalsh(K).min() > -1e-13 * np.trace(K)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"depth": 0}, "depth must be >= 1"),
        ({"weight": 0}, "weight must be > 0"),
        ({"bias": -1}, "bias must be >= 0"),
    ],
)
def test_options_out_of_range(option, message):
    with pytest.raises(ValueError, match=message):
        tangent(np.ones((2, 2)), np.ones((2, 2)), **option)


HUGE = np.full((2, 2), 1e200)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: rbf(HUGE, HUGE / 2, 1.0),
            r"X, Z must keep the kernel within float64, got entries of X up to 1e\+200, entries of Z up to 5e\+199",
        ),
        (lambda: conjugate(HUGE, HUGE), "X, Z, weight, bias must keep the kernel within float64"),
        (lambda: tangent(HUGE, HUGE), "X, Z, weight, bias, trained_bias must keep the kernel within float64"),
        (
            lambda: tangent(np.ones((1, 1)), np.ones((1, 1)), depth=9, weight=1e300),
            r"weight.* must keep .* X up to 1, .* weight = 1e\+300",
        ),
        (lambda: polynomial(HUGE, HUGE, degree=2), "X, Z, degree, offset must keep the kernel within float64"),
        (lambda: arcsine(HUGE, HUGE), "X, Z must keep the kernel within float64"),
        (lambda: recursive(HUGE, HUGE), "X must have rows of norm <= 1, got inf"),
        (lambda: arcsin([[1.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]), "Z must have no row of zeros, got one in row 1"),
        (lambda: conjugate(np.ones((1, 1)), np.ones((1, 1)), depth=10**9), "depth must be <= 10000"),
        (lambda: arc_cosine0("a"), "rho must be an array of real numbers, got dtype"),
        (lambda: arc_cosine0(np.nan), "rho must be finite, got nan"),
    ],
)
def test_what_leaves_float64_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("arrays", "kernel"),
    [
        (1, partial(rbf, gamma=1.0)),
        (6, partial(conjugate, depth=3)),
        (6, partial(conjugate, bias=0.1)),
        (9, partial(conjugate, depth=3, bias=0.1)),
        (7, partial(tangent, depth=3)),
        (10, partial(tangent, depth=3, bias=0.1)),
        (1, partial(polynomial, degree=2)),
        (1, arcsin),
        (1, arcsine),
        (1, recursive),
    ],
)
def test_memory_is_what_is_said_and_too_little_is_said_before_work(arrays, kernel, monkeypatch):
    import tracemalloc

    X = sphere(np.random.default_rng(14), 300, 3) * np.linspace(0.5, 1, 300)[:, None]
    kernel(X[:2], X[:2])
    tracemalloc.start()
    kernel(X, X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 300**2 * (arrays + 0.2)  # a truth value of every entry, and vectors
    monkeypatch.setattr(pairs, "MEMORY", 8 * arrays * 100 * 300)
    with pytest.raises(
        ValueError, match=r"at most 100 rows for 300 rows of Z \(173 rows of each would fit\).* got 300"
    ):
        kernel(X, X)
    kernel(X[:100], X)
    kernel(X[:173], X[:173])


def test_arcsin_is_the_mean_of_signs():
    X = np.random.default_rng(15).standard_normal((4, 3)) * np.array([1.0, 1e-200, 1e200, 3.0])[:, None]
    W = np.random.default_rng(16).standard_normal((100_000, 3))
    K = arcsin(X, X)
    np.testing.assert_allclose(K, np.sign(X @ W.T) @ np.sign(X @ W.T).T / 100_000, atol=0.015)
    assert K[0, 3] == pytest.approx(2 / math.pi * math.asin(X[0] @ X[3] / math.sqrt(X[0] @ X[0] * (X[3] @ X[3]))))
    np.testing.assert_allclose(arcsin(X, -X), -K, rtol=1e-12)


class TestMachine:
    kernel = staticmethod(partial(rbf, gamma=0.8))

    def data(self, m=40, seed=6):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((m, 2))
        return X, np.sign(X[:, 0] * X[:, 1]) + 0.1 * rng.standard_normal(m)

    def test_it_solves_the_regularised_equations(self):
        X, y = self.data()
        found = fit(self.kernel, X, y, 0.3)
        K = rbf(X, X, 0.8)
        np.testing.assert_allclose((K + 0.3 * np.eye(40)) @ found.coefficients, y, atol=1e-12)
        np.testing.assert_allclose(found.predict(X), K @ found.coefficients, rtol=1e-12)
        assert (found.ridge, found.ridges, found.chosen_on) == (0.3, (), 0)

    def test_against_scikit_learn(self):
        from sklearn.kernel_ridge import KernelRidge

        X, y = self.data()
        Z = self.data(seed=7)[0]
        other = KernelRidge(alpha=0.2, kernel="rbf", gamma=0.8).fit(X, y)
        np.testing.assert_allclose(fit(self.kernel, X, y, 0.2).predict(Z), other.predict(Z), rtol=1e-9)

    def test_leaving_one_out_is_leaving_one_out(self):
        X, y = self.data(m=15)
        ridges = (0.01, 1.0)
        residuals, _ = leave_one_out(rbf(X, X, 0.8), y, ridges)
        for ridge, found in zip(ridges, residuals, strict=True):
            for i in range(15):
                others = np.arange(15) != i
                left = fit(self.kernel, X[others], y[others], ridge).predict(X[i : i + 1])[0]
                assert found[i] == pytest.approx(y[i] - left, rel=1e-8, abs=1e-10)

    @pytest.mark.parametrize("targets", [1, 2])
    def test_whole_weights_are_repetitions(self, targets):
        X, y = self.data(m=15)
        y = y if targets == 1 else np.stack([y, X[:, 0]], axis=1)
        weights = np.random.default_rng(3).integers(0, 4, 15)
        for ridge in (None, 0.2):
            weighted = fit(self.kernel, X, y, ridge, weights=weights)
            repeated = fit(self.kernel, X.repeat(weights, axis=0), y.repeat(weights, axis=0), ridge)
            np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-8)
            assert weighted.ridge == pytest.approx(repeated.ridge)
            assert weighted.errors == pytest.approx(repeated.errors, rel=1e-6)
        plain, ones = fit(self.kernel, X, y), fit(self.kernel, X, y, weights=np.ones(15))
        np.testing.assert_allclose(ones.coefficients, plain.coefficients, rtol=1e-8)

    def test_to_leave_a_weighted_one_out(self):
        X, y = self.data(m=12)
        weights = np.random.default_rng(4).uniform(0.1, 3, 12)
        (found,), _ = leave_one_out(rbf(X, X, 0.8), y, (0.3,), weights)
        for i in range(12):
            less = weights.copy()
            less[i] -= min(1.0, weights[i])
            left = fit(self.kernel, X, y, 0.3, weights=less).predict(X[i : i + 1])[0]
            assert found[i] == pytest.approx(y[i] - left, rel=1e-8)

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            (np.ones(3), "weights must have length 40"),
            (-np.ones(40), "weights must be >= 0"),
            (np.zeros(40), "weights must hold a positive one, got zeros only"),
            (np.full(40, np.nan), "weights must be finite"),
        ],
    )
    def test_weights_that_are_none(self, weights, message):
        X, y = self.data()
        with pytest.raises(ValueError, match=message):
            fit(self.kernel, X, y, weights=weights)

    def test_the_ridge_of_least_error_is_taken(self):
        X, y = self.data()
        found = fit(self.kernel, X, y, ridges=(1e-6, 0.1, 10.0))
        assert found.ridges == pytest.approx((1e-6, 0.1, 10.0))  # the mean diagonal is 1
        assert found.ridge == found.ridges[int(np.argmin(found.errors))]
        assert found.chosen_on == 40
        np.testing.assert_allclose(
            found.coefficients, fit(self.kernel, X, y, found.ridge).coefficients, rtol=1e-7, atol=1e-9
        )

    def test_many_examples_choose_on_the_first(self, monkeypatch):
        X, y = self.data()
        monkeypatch.setattr(machine, "EXACT", 25)
        monkeypatch.setattr(machine, "BLOCK", 7)
        found = fit(self.kernel, X, y)
        assert found.chosen_on == 25
        first = fit(self.kernel, X[:25], y[:25])
        assert (found.ridge, found.errors) == (first.ridge, first.errors)
        np.testing.assert_allclose(found.coefficients, fit(self.kernel, X, y, found.ridge).coefficients, rtol=1e-9)
        np.testing.assert_allclose(found.predict(X), rbf(X, X, 0.8) @ found.coefficients, rtol=1e-9)

    def test_several_targets_at_once(self):
        X, y = self.data()
        both = fit(self.kernel, X, np.stack([y, -2 * y], axis=1), 0.5)
        np.testing.assert_allclose(both.predict(X)[:, 1], -2 * both.predict(X)[:, 0], rtol=1e-9)
        assert fit(self.kernel, X, np.stack([y, -2 * y], axis=1)).coefficients.shape == (40, 2)

    def test_blocks_make_the_gram_matrix(self, monkeypatch):
        X = self.data()[0]
        monkeypatch.setattr(machine, "BLOCK", 9)
        np.testing.assert_allclose(gram(self.kernel, X), rbf(X, X, 0.8), rtol=1e-13)

    def test_a_ridge_below_rounding_is_raised(self):
        X = np.zeros((30, 2))  # a matrix of ones, rank 1
        found = fit(lambda X, Z: np.ones((len(X), len(Z))), X, np.ones(30), 1e-30)
        assert found.ridge > 1e-30
        assert found.predict(X[:1])[0] == pytest.approx(1, abs=1e-3)

    def test_a_kernel_that_is_none(self):
        X, y = self.data()
        with pytest.raises(ValueError, match="positive semidefinite"):
            fit(lambda X, Z: -rbf(X, Z, 1.0) + 1.2 * (X @ Z.T == 0), X, y, 0.1)
        with pytest.raises(ValueError, match=r"kernel must return shape \(40, 40\)"):
            fit(lambda X, Z: np.ones(len(X)), X, y, 0.1)
        with pytest.raises(ValueError, match=r"kernel.s values must be finite"):
            fit(lambda X, Z: np.full((len(X), len(Z)), np.nan), X, y, 0.1)

    def test_too_little_memory_is_said_before_work(self):
        X, y = self.data()

        def never(X, Z):
            raise AssertionError("worked")

        with pytest.raises(ValueError, match=r"at most about \d+ rows .* memory = 1e\+05"):
            fit(never, X, y, memory=1e5)
        machine._fits(10_000, 2352, 1, 10, 1.5e9)
        with pytest.raises(ValueError, match="at most"):  # residuals and coefficients of every ridge and target
            fit(never, X, np.ones((40, 500)), memory=2e6)
        with pytest.raises(
            ValueError, match="at most 35 rows for a Gram matrix within memory = 1e\\+04 bytes, got 40"
        ):
            gram(never, X, memory=1e4)

    def test_it_keeps_within_its_memory(self):
        import tracemalloc

        X, y = self.data(m=400)
        for targets, ridge in ((y, None), (y, 1.0), (np.tile(y[:, None], 300), None)):
            lower, upper = 1e4, 1e9
            while upper > 1.05 * lower:
                middle = math.sqrt(lower * upper)
                try:
                    machine._fits(400, 2, targets.size // 400, 10 if ridge is None else 0, middle)
                    upper = middle
                except ValueError:
                    lower = middle
            tracemalloc.start()
            fit(self.kernel, X, targets, ridge)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < upper

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"ridge": 0.0}, "ridge must be > 0"),
            ({"ridges": ()}, "ridges must hold"),
            ({"ridges": (-1.0,)}, "each of ridges must be > 0"),
            ({"y": np.ones(3)}, "y must have length 40"),
            ({"y": np.ones((3, 2))}, "y must have 40 rows"),
            ({"memory": 0}, "memory must be > 0"),
            ({"kernel": "rbf"}, "kernel must be a function of two arrays of inputs, got 'rbf'"),
            ({"ridges": None}, "ridges must hold"),
            ({"ridges": {}}, "ridges must hold"),
            ({"y": np.full(40, 1e200)}, "y must be within 1e150 of 0"),
            ({"kernel": lambda X, Z: "a"}, "kernel's values must be an array of real numbers"),
        ],
    )
    def test_arguments(self, change, message):
        X, y = self.data()
        with pytest.raises(ValueError, match=message):
            fit(**{"kernel": self.kernel, "X": X, "y": y, **change})


class TestFeatures:
    def test_one_layer_is_its_formula(self):
        rng = np.random.default_rng(8)
        W, b, X = rng.standard_normal((4, 3)), rng.standard_normal(4), sphere(rng, 6, 3)
        z = X @ W.T + b
        np.testing.assert_allclose(Layer(W, b, "relu")(X), np.maximum(z, 0), rtol=1e-14)
        np.testing.assert_allclose(Layer(W, b, "relu", "clip")(X), np.clip(z, 0, 1), rtol=1e-14)
        np.testing.assert_allclose(Layer(W, b, "tanh")(X), np.tanh(z), rtol=1e-14)
        np.testing.assert_allclose(Layer(W, b, "cos")(X), np.cos(z), rtol=1e-12)
        assert set(Layer(W, b, "sign")(X).flat) <= {-1.0, 1.0}
        most = np.linalg.norm(W, axis=1) + abs(b)
        np.testing.assert_allclose(Layer(W, b, "relu", "normalise")(X) * most, np.maximum(z, 0), rtol=1e-14)

    @pytest.mark.parametrize("limit", ["clip", "normalise"])
    def test_limited_features_stay_within_one(self, limit):
        layer = random_layer(np.random.default_rng(9), 3, 50, "relu", scale=20.0, bias=5.0, limit=limit)
        Z = layer(
            np.vstack(
                [
                    sphere(np.random.default_rng(10), 200, 3),
                    layer.W[:5] / np.linalg.norm(layer.W[:5], axis=1)[:, None],
                ]
            )
        )
        assert Z.min() >= 0
        assert Z.max() <= 1 + 1e-12
        assert Layer(np.zeros((1, 3)), np.zeros(1), "relu", limit)(np.ones((1, 3))) == 0

    def test_cosines_are_those_of_the_gaussian_kernel(self):
        rng = np.random.default_rng(11)
        X, gamma = sphere(rng, 5, 4), 0.9
        Z = random_layer(rng, 4, 200_000, "cos", scale=math.sqrt(2 * gamma))(X)
        np.testing.assert_allclose(2 * Z @ Z.T / 200_000, rbf(X, X, gamma), atol=0.01)

    def test_relus_are_those_of_the_conjugate_kernel(self):
        rng = np.random.default_rng(12)
        X = sphere(rng, 5, 4)
        Z = random_layer(rng, 4, 200_000, "relu", scale=1.5, bias=0.5)(X)
        np.testing.assert_allclose(Z @ Z.T / 200_000, conjugate(X, X, weight=2.25, bias=0.25), atol=0.02)

    def test_parities_multiply_signs(self):
        X = np.random.default_rng(13).choice([-0.5, 0.5], (20, 4))
        Z = parities(4, [(), (2,), (3, 0), (0, 1, 2, 3), (1, 3)])(X)
        expected = [np.ones(20), X[:, 2] * 2, X[:, 0] * X[:, 3] * 4, X.prod(axis=1) * 16, X[:, 1] * X[:, 3] * 4]
        np.testing.assert_array_equal(Z, np.transpose(expected))
        np.testing.assert_array_equal(coordinates(4)(X), 2 * X)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: parities(3, []), "at least one subset"),
            (lambda: parities(3, [(0, 3)]), "each of subsets. members must be <= 2"),
            (lambda: parities(3, [(1, 1)]), "each coordinate once"),
            (lambda: coordinates(2)([[0.0, 1.0]]), "no zero entries"),
            (lambda: coordinates(2)([[1.0, 1.0, 1.0]]), "X must have 2 columns"),
            (lambda: Layer(np.ones((2, 2)), np.ones(2), "sigmoid"), "activation must be one of"),
            (lambda: Layer(np.ones((2, 2)), np.ones(2), "relu", "squash"), "limit must be one of"),
            (lambda: Layer(np.ones((2, 2)), np.ones(3), "relu"), "b must have length 2"),
            (lambda: random_layer(0, 2, 2, "relu"), "rng must be"),
            (lambda: random_layer(np.random.default_rng(), 2, 10**12, "relu"), "N must be <= "),
            (lambda: Layer(np.ones((2, 2)), np.ones(2), np.ones(2)), "activation must be one of"),
            (lambda: Parities(2, ((0, 2),)), "members must be <= 1"),
            (lambda: Parities(2, None), "subsets must be an iterable"),
            (lambda: parities(2, np.array(3)), "subsets must be an iterable"),
            (lambda: random_layer(np.random.default_rng(), 2, 2, "relu", scale=0), "scale must be > 0"),
        ],
    )
    def test_arguments(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()
