"""Two-level targets on signs, activations by their Taylor series, and the concept classes of two-layer functions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.problems.activations import NAMES, Taylor, monomial, series
from learnability.problems.boolean import fourier_spectrum, mask_of, signs
from learnability.problems.concepts import (
    Concept,
    General,
    TwoLayerSmooth,
    general_form,
    hard_concept,
    polarisation,
    random_two_layer,
)
from learnability.problems.residual import (
    HardInputs,
    HardInstance,
    Noisy,
    PairTarget,
    UniformSigns,
    degree_six,
    random_hard_instance,
)


def rng(seed=0):
    return np.random.default_rng(seed)


class TestPairTarget:
    def test_by_hand(self):
        x = np.array([1, -1, -1, -1, 1, 1, -1, 1, 1, -1.0])  # pairs -1, 1, 1, -1, -1; the first four multiply to 1
        target = PairTarget(10, alpha=0.25, beta=0.5)
        np.testing.assert_array_equal(target.base([x])[0], [-1, 1, 1, -1, -1])
        np.testing.assert_array_equal(target.composite(target.base([x]))[0], [-1, 1, -1, 1, -1])
        np.testing.assert_array_equal(target([x])[0], [-0.75, 0.75, 0.25, -0.25, -0.75])

    def test_spectrum(self):
        """Output i is chi of its pair and (-1)^i chi of the first eight coordinates, and nothing else."""
        target = PairTarget(10)
        Y = target(signs(10))
        for i in range(5):
            spectrum = fourier_spectrum(Y[:, i])
            expected = np.zeros(2**10)
            expected[mask_of((2 * i, 2 * i + 1))] = 1.0
            expected[mask_of(range(8))] = 0.3 * (-1) ** (i + 1)
            np.testing.assert_allclose(spectrum, expected, atol=1e-12)

    @pytest.mark.parametrize(("alpha", "beta"), [(0.3, 1.0), (0.9, 0.2), (0.0, 1.0), (0.3, 0.0)])
    def test_errors_are_exact(self, alpha, beta):
        target, X = PairTarget(12, alpha, beta), signs(12)
        base = target.base(X)
        assert ((target(X) - beta * base) ** 2).sum(axis=1).mean() == pytest.approx(target.base_error(), abs=1e-12)
        assert (target(X) ** 2).sum(axis=1).mean() == pytest.approx(target.zero_error())
        np.testing.assert_allclose(np.linalg.norm(base, axis=1), target.base_bound())
        np.testing.assert_allclose(np.linalg.norm(target.composite(base), axis=1), target.composite_bound())

    def test_the_papers_numbers(self):
        target = PairTarget()
        assert (target.d, target.k, target.alpha) == (30, 15, 0.3)
        assert target.base_error() == pytest.approx(1.35)
        assert target.zero_error() == pytest.approx(16.35)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((9,), "d must be even, for pairs of neighbours, got 9"),
            ((6,), "d must be >= 8"),
            ((10, 1.0), "alpha must be < 1, got 1.0"),
            ((10, -0.1), "alpha must be >= 0"),
            ((10, 0.3, -1.0), "beta must be >= 0"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            PairTarget(*arguments)

    def test_refuses_other_shapes(self):
        with pytest.raises(ValueError, match="X must have 10 columns"):
            PairTarget(10)(np.ones((3, 9)))

    @pytest.mark.parametrize("target", [PairTarget(8), HardInstance(8, (0, 1, 2))])
    def test_refuses_what_leaves_float64(self, target):
        with pytest.raises(ValueError, match=r"[XY] must keep the products within float64"):
            target(np.full((1, 8), 1e160))
        with pytest.raises(ValueError, match="Y must keep the products within float64"):
            target.composite(np.full((1, target.k), 1e160))


@pytest.mark.parametrize("target", [PairTarget(12), HardInstance(9, (0, 2, 5, 7))])
def test_lipschitz_constant_is_reached_and_not_exceeded(target):
    k, g = target.k, rng(1)
    a, b = g.uniform(-1, 1, (2, 4000, k))
    a[:1000], b[:1000] = np.sign(a[:1000]), np.sign(a[:1000]) * (1 - 1e-4 * g.random((1000, k)))
    ratios = np.linalg.norm(target.composite(a) - target.composite(b), axis=1) / np.linalg.norm(a - b, axis=1)
    limit = target.composite_lipschitz()
    assert ratios.max() <= limit
    vertex, step = np.ones((1, k)), 1e-6 * np.ones((1, k))
    if isinstance(target, PairTarget):
        step[0, 4:] = 0
    reached = np.linalg.norm(target.composite(vertex) - target.composite(vertex - step)) / np.linalg.norm(step)
    assert reached == pytest.approx(limit, rel=1e-4)


class TestHardInstance:
    def test_spectrum(self):
        target = HardInstance(8, (5, 1, 6), 0.4)
        Y = target(signs(8) / math.sqrt(8))
        assert target.support == (1, 5, 6)
        for j, i in enumerate(target.support):
            expected = np.zeros(2**8)
            expected[mask_of((i,))] = 1.0
            expected[mask_of((1, 5, 6))] = 0.4
            np.testing.assert_allclose(fourier_spectrum(Y[:, j]), expected, atol=1e-12)
        assert ((Y - target.base(signs(8) / math.sqrt(8))) ** 2).sum(axis=1).mean() == pytest.approx(3 * 0.16)
        assert target.base_error() == pytest.approx(3 * 0.16)
        assert (Y**2).sum(axis=1).mean() == pytest.approx(target.zero_error())

    def test_random(self):
        found = {random_hard_instance(rng(i), 9, 2, alpha=0.1, d_1=3).support for i in range(60)}
        assert found == set(itertools.combinations(range(3), 2))
        assert random_hard_instance(rng(), 5, 5, alpha=0.0).support == (0, 1, 2, 3, 4)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: HardInstance(5, (2,)), "support must hold at least 2 coordinates, got 1"),
            (lambda: HardInstance(5, (2, 5)), "each of support must be <= 4, got 5"),
            (lambda: HardInstance(5, (2, 3), 1), "alpha must be < 1"),
            (lambda: random_hard_instance(rng(), 9, 4, alpha=0.1, d_1=3), "k must be <= 3, got 4"),
            (lambda: degree_six(8, (0, 1, 2, 3, 4)), "support must hold 6 coordinates, got 5"),
            (lambda: degree_six(5), "d must be >= 6, got 5"),
        ],
    )
    def test_refuses(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


def test_degree_six_is_the_monomial():
    X = signs(8) / math.sqrt(8)
    target = degree_six(8, (7, 1, 2, 3, 4, 6))
    np.testing.assert_allclose(target(X), 8**3 * X[:, [1, 2, 3, 4, 6, 7]].prod(axis=1))


class TestInputs:
    def test_uniform(self):
        X = UniformSigns(6).sample(rng(), 20_000)
        assert set(np.unique(X)) == {-1.0, 1.0}
        assert np.abs(X.T @ X / len(X) - np.eye(6)).max() < 0.04
        assert np.abs(X.mean(axis=0)).max() < 0.04
        np.testing.assert_array_equal(UniformSigns(6, unit=True).sample(rng(), 9), X[:9] / math.sqrt(6))

    def test_hard_inputs(self):
        inputs = HardInputs(5, 3, lambda g, m: np.repeat(np.where(g.random((m, 1)) < 0.9, 1.0, -1.0), 2, axis=1))
        X = math.sqrt(5) * inputs.sample(rng(), 20_000)
        np.testing.assert_allclose(np.abs(X), 1)
        np.testing.assert_array_equal(X[:, 3], X[:, 4])
        assert X[:, 3].mean() == pytest.approx(0.8, abs=0.02)
        assert np.abs(X[:, :3].mean(axis=0)).max() < 0.04
        assert HardInputs(5, 5).sample(rng(), 2).shape == (2, 5)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: HardInputs(5, 3), "rest must be a function that draws the other d - d_1 = 2 columns, got None"),
            (lambda: HardInputs(5, 5, np.ones), "rest must be None, since d_1 = d and all coordinates"),
            (lambda: HardInputs(5, 6), "d_1 must be <= 5"),
            (
                lambda: HardInputs(5, 3, lambda g, m: np.zeros((m, 2))).sample(rng(), 4),
                "4 rows of -1 and .1, got 4 rows from 0",
            ),
            (lambda: HardInputs(5, 3, lambda g, m: np.ones((m, 3))).sample(rng(), 4), "rest must have 2 columns"),
            (
                lambda: HardInputs(5, 3, lambda g, m: np.ones((0, 2))).sample(rng(), 4),
                "rest must return 4 rows of -1",
            ),
            (lambda: HardInputs(5, 3, lambda g, m: np.ones((3, 2))).sample(rng(), 4), "4 rows of -1 and .1, got 3"),
            (lambda: UniformSigns(0), "d must be >= 1"),
            (lambda: UniformSigns(3, unit="yes"), "unit must be True or False, got 'yes'"),
            (lambda: UniformSigns(2).sample(rng(), 10**30), "m must be <= "),
            (lambda: HardInputs(5, 3, 4), "rest must be a function that draws the other d - d_1 = 2 columns, got 4"),
            (lambda: Noisy(None, PairTarget(8)), "inputs must be a distribution with a method sample, got None"),
            (lambda: Noisy(UniformSigns(8), 3), "target must be a function of inputs, got 3"),
            (lambda: HardInstance(5, np.array(3)), "support must be an iterable of integers"),
            (lambda: degree_six("6"), "d must be an integer, got '6'"),
        ],
    )
    def test_refuses(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()

    def test_noise(self):
        inputs, target = UniformSigns(8), PairTarget(8)
        X, Y = Noisy(inputs, target, 0.5).sample(rng(3), 5000)
        np.testing.assert_array_equal(X, inputs.sample(rng(3), 5000))
        noise = Y - target(X)
        assert noise.std() == pytest.approx(0.5, abs=0.02)
        loss = (noise**2).sum(axis=1).mean() / 2
        assert Noisy(inputs, target, 0.5).opt(target.k) == pytest.approx(loss, rel=0.05)
        clean = Noisy(inputs, target)
        np.testing.assert_array_equal(clean.sample(rng(3), 7)[1], target(X[:7]))
        assert clean.opt(4) == 0
        with pytest.raises(ValueError, match="deviation must be >= 0"):
            Noisy(inputs, target, -1.0)


class TestTaylor:
    @pytest.mark.parametrize("name", NAMES)
    def test_series_are_those_of_the_functions(self, name):
        z = np.linspace(-0.7, 0.7, 31)
        phi = series(name, 45, 1.5)
        functions = {**{n: getattr(np, n) for n in NAMES[:4]}, "sigmoid": lambda t: 1 / (1 + np.exp(-t))}
        np.testing.assert_allclose(phi(z), functions[name](1.5 * z), atol=1e-14)
        np.testing.assert_allclose(Taylor(phi.coefficients)(z), phi(z), atol=1e-7)

    def test_known_coefficients(self):
        np.testing.assert_allclose(series("tanh", 7).coefficients, [0, 1, 0, -1 / 3, 0, 2 / 15, 0, -17 / 315])
        np.testing.assert_allclose(series("sigmoid", 5).coefficients, [1 / 2, 1 / 4, 0, -1 / 48, 0, 1 / 480])
        np.testing.assert_allclose(series("expm1", 3, 2.0).coefficients, [0, 2, 2, 8 / 6])
        np.testing.assert_allclose(series("cos", 4).coefficients, [1, 0, -1 / 2, 0, 1 / 24])
        assert series("sin", 4).coefficients == (0, 1, 0, -1 / 6)  # the last, 0, is dropped

    def test_complexities_by_hand(self):
        phi = Taylor((3.0, -2.0, 0.5))
        assert phi.smoothness() == 3 + 4 + 1.5
        assert phi.smoothness(10.0) == pytest.approx(85)
        log = math.log(100)
        by_hand = 2 * 3 + 2 * (5 + 5 * log**0.5) + 0.5 * (25 + 25 * log / 2)
        assert phi.complexity(0.01, 5.0) == pytest.approx(by_hand)
        assert phi.complexity(1.0) == pytest.approx(6 + 2 + 0.5)  # log 1 = 0: only the term i = 0 counts twice
        assert monomial(7).smoothness() == 8

    def test_example_4_1(self):
        """C_s converges for sin, cos, exp - 1, and for tanh and sigmoid; eps C_eps falls for sin."""
        for name in NAMES:
            assert series(name, 60).smoothness() == pytest.approx(series(name, 120).smoothness(), rel=1e-8)
        assert series("expm1", 60).smoothness() == pytest.approx(2 * math.e - 1)  # the sum of (i + 1) / i!, i >= 1
        scaled = [eps * series("sin", 120).complexity(eps) for eps in (1e-2, 1e-4, 1e-8, 1e-16)]
        assert scaled == sorted(scaled, reverse=True)

    @pytest.mark.parametrize(
        "phi", [Taylor((1.0, 2.0, -3.0, 0.0, 5.0)), series("sigmoid", 9), series("expm1", 8, 2.0)]
    )
    def test_parts(self, phi):
        z = np.append(np.linspace(-1, 1, 40), 0.0)
        odd, even = phi.odd_part(), phi.even_part()
        np.testing.assert_allclose(odd(z) + z * even(z), phi(z), rtol=1e-13)
        for part in (odd, even):
            assert not any(part.coefficients[2::2])
            np.testing.assert_allclose(part(z) + part(-z), 2 * float(part(0.0)), atol=1e-12)
            assert part.smoothness() <= phi.smoothness()
            assert part.complexity(0.1, 2.0) <= phi.complexity(0.1, 2.0)
        assert even.coefficients[0] == 0

    def test_derivative_and_majorant(self):
        phi = Taylor((1.0, -2.0, 0.0, 4.0))
        assert phi.derivative().coefficients == (-2.0, 0.0, 12.0)
        assert Taylor((3.0,)).derivative().coefficients == (0.0,)
        assert phi.majorant(0.5) == pytest.approx(1 + 1 + 0.5)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: Taylor(()), "coefficients must hold at least c_0"),
            (lambda: Taylor((math.nan,)), "coefficients must be finite"),
            (lambda: Taylor((1.0,), "sin"), "function must be callable or None"),
            (lambda: Taylor((1.0,), lambda z: 1.0)(np.zeros(3)), r"of shape \(3,\), got shape \(\)"),
            (lambda: Taylor((1.0,), lambda z: z / 0 * 0)(np.zeros(3)), "got a value that is not finite"),
            (lambda: monomial(1).complexity(0.0), "eps must be > 0"),
            (lambda: monomial(1).complexity(1.5), "eps must be <= 1"),
            (lambda: monomial(78).complexity(0.1, 1e4), "constant must keep C_eps within float64, got 10000"),
            (lambda: monomial(1, 1e300).complexity(0.1, 1e300), "constant must keep C_eps within float64"),
            (lambda: Taylor((1e308, 1e308)).smoothness(), "constant must keep C_s within float64, got 1 with"),
            (lambda: series("relu", 3), "name must be one of 'sin'"),
            (lambda: series(np.zeros((0, 3)), 3), "name must be one of 'sin'"),
            (lambda: series("sin", 10**30), "degree must be <= 1000"),
            (lambda: monomial(10**30), "degree must be <= 10000"),
            (lambda: monomial(2)(np.nan), "z must be finite, got nan"),
            (lambda: monomial(2)([1.0, "a"]), "z must be an array of real numbers"),
            (lambda: monomial(2)([1.0, -1e200]), r"z must keep the values within float64, got up to 1e\+200"),
            (lambda: monomial(2).majorant(1e200), r"radius must keep the bound within float64, got 1e\+200"),
            (lambda: Taylor(None), "coefficients must be a sequence of numbers, got None"),
            (lambda: Taylor({1: 2}), "coefficients must be a sequence of numbers"),
            (lambda: Taylor(np.array(1.0)), r"coefficients must be one-dimensional, got shape \(\)"),
            (lambda: series("tanh", 60, 1e10), "scale must keep the coefficients within float64"),
        ],
    )
    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_refuses(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


def unit(g, m, d):
    X = g.standard_normal((m, d))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


polynomials = st.lists(st.floats(-2, 2), min_size=1, max_size=6).map(lambda c: Taylor(tuple(c)))


class TestConcepts:
    def test_by_hand(self):
        phi, psi = Taylor((0.0, 1.0)), Taylor((1.0, 0.0, 2.0))
        w = np.array([[[1.0, 0.0], [0.0, -1.0]]]) / math.sqrt(2)
        F = TwoLayerSmooth(w, ((phi, psi),), [[0.5, -1.0]])
        x = np.array([[0.3, 0.4]])
        by_hand = 0.5 * 0.3 / math.sqrt(2) - (1 + 2 * 0.16 / 2)
        assert F(x)[0, 0] == pytest.approx(by_hand)
        H = Concept(F, TwoLayerSmooth(np.full((1, 1, 1), 1 / math.sqrt(2)), monomial(2)), 0.5)
        assert H(x)[0, 0] == pytest.approx(by_hand + 0.5 * by_hand**2 / 2)
        assert H.base_error(x) == pytest.approx(0.25 * by_hand**4 / 4)
        assert H.bounds(x) == pytest.approx((abs(by_hand), by_hand**2 / 2))
        assert (F.k, F.p, F.d) == (1, 2, 2)
        assert F.smoothness() == 7
        assert F.simple_bound(3.0) == pytest.approx(2 * 21)

    def test_general_by_hand(self):
        F = General([[[0.6, 0.8]]], [[[0.0, 1.0]]], Taylor((0.5, 1.0)), [[-0.5]])
        length = math.sqrt(5)
        assert F([[2.0]])[0, 0] == pytest.approx(-0.5 * (0.5 + 2 / length))
        assert F.d == 1

    @given(phi=polynomials, psi=polynomials, seed=st.integers(0, 99))
    @settings(max_examples=30)
    def test_lemma_a2(self, phi, psi, seed):
        g = rng(seed)
        F = random_two_layer(g, 3, 2, 2, ((phi, psi), (psi, phi)))
        general = general_form(F)
        X = unit(g, 20, 3)
        np.testing.assert_allclose(general(X), F(X), atol=1e-12)
        assert (general.p, general.k) == (4, 2)
        assert general.smoothness() <= F.smoothness()
        for eps in (0.5, 0.1, 1e-3, 1e-9):
            assert general.complexity(eps, 2.0) <= F.complexity(eps, 2.0) * (1 + 1e-12)

    def test_lemma_a2_needs_a_large_constant(self):
        """C_eps of z^2 against that of its even part, z."""
        phi = monomial(2)
        assert phi.complexity(0.1) == pytest.approx(2.1513, abs=1e-4)
        assert phi.even_part().complexity(0.1) == pytest.approx(2.5174, abs=1e-4)
        least = (1 + math.sqrt(3)) / 2  # C* + u <= C*^2 + u^2 / 2, tight at u = sqrt(log(1/eps)) C* = 1
        for constant, grows in ((least - 0.01, True), (least + 0.01, False)):
            eps = math.exp(-1 / constant**2)
            assert (phi.even_part().complexity(eps, constant) > phi.complexity(eps, constant)) == grows
        for i in range(2, 60, 2):
            for eps in np.exp(-np.linspace(0, 60, 400)):
                assert monomial(i - 1).complexity(eps, 2.0) <= monomial(i).complexity(eps, 2.0)

    def test_lemma_a2_with_a_function(self):
        F = random_two_layer(rng(), 4, 3, 2, series("sigmoid", 5))
        X = unit(rng(1), 30, 4)
        np.testing.assert_allclose(general_form(F)(X), F(X), atol=1e-13)

    @given(phi=polynomials, seed=st.integers(0, 99), radius=st.floats(0.1, 3))
    @settings(max_examples=30)
    def test_bounds_hold(self, phi, seed, radius):
        g = rng(seed)
        F = random_two_layer(g, 3, 2, 3, phi)
        X = radius * unit(g, 200, 3) * g.random((200, 1))
        Z = X + 1e-3 * g.standard_normal(X.shape)
        Z *= np.minimum(1, radius / np.linalg.norm(Z, axis=1, keepdims=True))
        assert np.linalg.norm(F(X), axis=1).max() <= F.value_bound(radius) * (1 + 1e-12)
        moved = np.linalg.norm(F(X) - F(Z), axis=1)
        assert (moved <= F.lipschitz_bound(radius) * np.linalg.norm(X - Z, axis=1) + 1e-13).all()
        assert max(F.value_bound(1.0), F.lipschitz_bound(1.0)) <= F.simple_bound() * (1 + 1e-12)
        general = general_form(F)
        X = 5 * radius * g.standard_normal((200, 3))
        Z = X + g.standard_normal(X.shape) * g.choice([1e-3, 1, 10], (200, 1))
        assert (np.linalg.norm(general(X), axis=1) <= general.value_bound(X) * (1 + 1e-12)).all()
        moved = np.linalg.norm(general(X) - general(Z), axis=1)
        assert (moved <= general.lipschitz_bound() * np.linalg.norm(X - Z, axis=1) + 1e-12).all()

    def test_value_bound_is_attained(self):
        F = TwoLayerSmooth(np.array([[[1.0, 0.0]]]) / math.sqrt(2), monomial(3, 2.0))
        assert F([[2.0, 0.0]])[0, 0] == pytest.approx(F.value_bound(2.0))
        step = F([[2.0, 0.0]]) - F([[2 - 1e-6, 0.0]])
        assert step[0, 0] / 1e-6 == pytest.approx(F.lipschitz_bound(2.0), rel=1e-5)

    def test_fact_a3_as_printed_fails_at_0(self):
        F = General([[[1.0, 0.0]]], [[[0.0, 1.0]]], Taylor((1.0,)))
        origin = np.zeros((1, 1))
        assert F(origin)[0, 0] == 1
        assert F.value_bound(origin, form="printed")[0] == 0
        assert F.value_bound(origin)[0] == 1

    @pytest.mark.parametrize("k", range(1, 8))
    def test_polarisation(self, k):
        z = rng(k).uniform(-1, 1, (40, k))
        G = polarisation(k)
        assert G.p == 2**k
        expected = k ** (k / 2) / math.sqrt(k) * z.prod(axis=1)
        np.testing.assert_allclose(G(z), np.repeat(expected[:, None], k, axis=1), atol=1e-10)
        scale = k**k * 2 ** (k / 2) / (math.sqrt(k) * math.factorial(k) * 2**k)
        assert G.smoothness(3.0) == pytest.approx(3 * (k + 1) * scale)

    def test_hard_instance_is_in_the_class(self):
        instance = HardInstance(7, (1, 3, 6), 0.2)
        concept, X = hard_concept(instance), signs(7) / math.sqrt(7)
        np.testing.assert_allclose(concept(X), instance(X) / math.sqrt(3), atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(concept.base(X), axis=1), 1)
        assert concept.base.smoothness() == pytest.approx(2 * math.sqrt(2 * 7 / 3))

    def test_random(self):
        F = random_two_layer(rng(), 3, 40, 5, monomial(1))
        np.testing.assert_allclose(np.linalg.norm(F.weights, axis=2), 1 / math.sqrt(2))
        assert F.scales.min() < -0.9 < 0.9 < F.scales.max()

    W = np.ones((2, 1, 1)) / math.sqrt(2)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: TwoLayerSmooth(np.ones((2, 1, 1)), monomial(1)), "vectors of norm 0.707107, got one of norm 1"),
            (lambda: TwoLayerSmooth(np.ones((2, 1)), monomial(1)), r"weights must have shape \(k, p, dimension\)"),
            (
                lambda: TwoLayerSmooth(TestConcepts.W, [[monomial(1)]]),
                "activations must be one Taylor, or 2 sequences",
            ),
            (lambda: TwoLayerSmooth(TestConcepts.W, np.sin), "activations must be one Taylor"),
            (
                lambda: TwoLayerSmooth(TestConcepts.W, monomial(1), [[1.0], [1.1]]),
                "entries in .-1, 1., got .* size 1.1",
            ),
            (lambda: TwoLayerSmooth(TestConcepts.W, monomial(1), [[1.0]]), r"scales must have shape \(2, 1\)"),
            (lambda: General(np.ones((1, 1, 2)) / 2**0.5, np.ones((1, 1, 1)), monomial(1)), "must have one shape"),
            (
                lambda: General([[[0.0, 1]]], [[[1.0, 0]]], monomial(2)),
                "zero- and odd-order terms only, got one of order 2",
            ),
            (lambda: Concept(polarisation(2), polarisation(3), 0.1), r"composite must map R\^2 to R\^2"),
            (lambda: Concept(polarisation(2), polarisation(2), 1.0), "alpha must be < 1"),
            (lambda: polarisation(13), "k must be <= 12"),
            (lambda: polarisation(2)(np.ones((3, 3))), "X must have 2 columns"),
            (lambda: polarisation(2)(np.full((1, 2), 1e151)), "X must have entries within 1e150 of 0"),
            (
                lambda: polarisation(4)(np.full((1, 4), 1e149)),
                "X must have entries at which the activations are finite",
            ),
            (lambda: TwoLayerSmooth("a", monomial(1)), "weights must be an array of real numbers"),
            (
                lambda: TwoLayerSmooth(TestConcepts.W, np.array(3)),
                "activations must be one Taylor, or 2 sequences of 1",
            ),
            (lambda: Concept(None, polarisation(2), 0.1), "base must be a function of inputs, got None"),
            (lambda: Concept(polarisation(2), "G", 0.1), "composite must be a function of inputs, got 'G'"),
            (lambda: Concept(lambda X: X, lambda Y: 1e160 * Y, 0.1).bounds(np.ones((1, 1))), "within 1e150 of 0"),
            (lambda: general_form(3), "function must be a TwoLayerSmooth, got 3"),
            (lambda: hard_concept(3), "instance must be a HardInstance, got 3"),
            (
                lambda: random_two_layer(rng(), 10**9, 10, 10, monomial(1)),
                "k, p and d must have a product of at most",
            ),
        ],
    )
    def test_refuses(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()
