"""Section 8.2's networks: the explicit one, padding and duplication, the limit, the paper's recipe."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks.vertices import (
    LEAST_NORM,
    PUBLISHED,
    VertexNet,
    duplicated,
    exact_error,
    forward,
    least_error,
    least_norm,
    least_scale,
    norm,
    output_weights,
    padded,
    scaled,
    search,
    vertex_network,
)
from learnability.problems.boolean import signs
from learnability.problems.residual import UniformSigns, degree_six


def rng(seed=0):
    return np.random.default_rng(seed)


def random_net(seed, m=64, d=6, size=3.0):
    return VertexNet(size * rng(seed).standard_normal((m, d)), output_weights(m))


class TestConstruction:
    @pytest.mark.parametrize("m", [64, 66, 96, 126, 128, 200, 202, 500, 1000])
    def test_is_exact_at_the_stated_norm(self, m):
        made = vertex_network(m)
        q, r = m // 64, (m // 2) % 32
        assert made.W.shape == (m, 6)
        np.testing.assert_array_equal(made.a, np.repeat([1, -1], m // 2) / math.sqrt(m))
        assert exact_error(made) < 1e-25
        assert norm(made) ** 2 == pytest.approx(2 * ((32 - r) * m / (4 * q) + r * m / (4 * (q + 1))))
        assert norm(made) >= 32 * (1 - 1e-12)
        if m >= 200:
            assert norm(made) <= 32.34

    def test_the_largest_norm_from_200_on(self):
        norms = [norm(vertex_network(m)) for m in range(200, 700, 2)]
        assert 32.33 < max(norms) <= 32.34

    def test_is_the_parity_on_the_whole_cube(self):
        """Also where the six coordinates are somewhere among nine, and on every input."""
        X = signs(9) / 3
        support = (8, 0, 2, 3, 5, 7)
        made = vertex_network(70, 9, support=support)
        np.testing.assert_allclose(forward(made, X), degree_six(9, support)(X), atol=1e-13)
        assert not made.W[:, [1, 4, 6]].any()
        assert norm(made) == pytest.approx(norm(vertex_network(70)) * math.sqrt(9 / 6))

    def test_scale(self):
        for s in (0.0, 0.3, 1.5):
            made = vertex_network(128, 12, scale=s)
            assert exact_error(made) == pytest.approx((1 - s) ** 2)
            np.testing.assert_allclose(made.W, scaled(vertex_network(128, 12), s).W)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: vertex_network(62), "m must be >= 64"),
            (lambda: vertex_network(65), "m must be even, for as many units of each sign, got 65"),
            (lambda: vertex_network(64, 5), "d must be >= 6"),
            (lambda: vertex_network(64, 8, support=range(5)), "support must hold 6 coordinates, got 5"),
            (lambda: vertex_network(64, scale=-1.0), "scale must be >= 0"),
            (lambda: padded(random_net(0, d=7), 9), r"params.W must have 6 columns, got shape \(64, 7\)"),
            (lambda: duplicated(random_net(0), 0), "c must be >= 1"),
            (lambda: exact_error(random_net(0, d=21)), "at most 20 coordinates, support included, .* got 21"),
            (lambda: forward(random_net(0), np.ones((2, 5))), "X must have 6 columns"),
            (lambda: forward(random_net(0)._replace(a=np.ones(3)), np.ones((2, 6))), "params.a must have length 64"),
            (lambda: forward(None, np.ones((2, 6))), "params must be a VertexNet, got None"),
            (lambda: norm((np.ones((2, 6)), np.ones(2))), "params must be a VertexNet"),
            (lambda: vertex_network(10**30), "m must be <= 100000000"),
            (lambda: vertex_network(64, 10**9), "d must be <= 16777216"),
            (lambda: vertex_network(64, scale=1e300), r"scale must be <= 1e\+100"),
            (lambda: vertex_network(64, 8, support=np.array(3)), "support must be an iterable of integers"),
            (lambda: padded(vertex_network(64), 8, rescaled="no"), "rescaled must be True or False, got 'no'"),
            (lambda: duplicated(random_net(0), 10**30), "c must be <= "),
            (lambda: least_error([[1.0, 2.0], [3.0]]), "norm must be an array of real numbers, got a ragged list"),
            (lambda: least_error(np.nan), "norm must be finite, got nan"),
            (lambda: least_norm(0.1, 10**400), "d must be <= "),
            (lambda: least_error(-1.0), "norm must be >= 0, got -1"),
            (lambda: least_norm([0.1, -1.0]), "error must be >= 0, got -1"),
            (lambda: search(rng(), -1.0), "decay must be >= 0"),
            (lambda: search(rng(), 0.1, m=7), "m must be even"),
        ],
    )
    def test_refuses(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


class TestTransformations:
    @given(seed=st.integers(0, 10**6), d=st.integers(6, 10), c=st.integers(1, 4))
    @settings(max_examples=20)
    def test_padding_and_duplication_keep_error_and_norm(self, seed, d, c):
        net = random_net(seed, m=8)
        support = tuple(rng(seed).choice(d, 6, replace=False).tolist())
        wide = duplicated(padded(net, d, support=support), c)
        assert wide.W.shape == (8 * c, d)
        np.testing.assert_allclose(np.abs(wide.a), 1 / math.sqrt(8 * c))
        assert exact_error(wide, support=support) == pytest.approx(exact_error(net), rel=1e-10)
        assert norm(wide) / math.sqrt(d) == pytest.approx(norm(net) / math.sqrt(6))

    def test_without_the_factor_the_exact_network_is_not(self):
        """Its outputs shrink by sqrt(6/40)."""
        printed = padded(vertex_network(64), 40, rescaled=False)
        assert exact_error(printed) == pytest.approx((1 - math.sqrt(6 / 40)) ** 2)
        assert exact_error(printed) == pytest.approx(0.376, abs=0.001)

    @pytest.mark.parametrize("d", [6, 8, 9])
    def test_exact_error_is_the_mean_over_the_cube(self, d):
        """Weights everywhere: all 2^d points."""
        net, support = random_net(d, m=10, d=d), (0, 1, 2, 3, 4, d - 1)
        X = signs(d) / math.sqrt(d)
        mean = ((forward(net, X) - degree_six(d, support)(X)) ** 2).mean()
        assert exact_error(net, support=support) == pytest.approx(mean, rel=1e-12)

    def test_exact_error_against_a_sample(self):
        net, X = padded(random_net(4, size=1.0), 40), UniformSigns(40, unit=True).sample(rng(5), 20_000)
        squares = (forward(net, X) - degree_six(40)(X)) ** 2
        assert exact_error(net) == pytest.approx(squares.mean(), abs=4 * squares.std() / 20_000**0.5)

    @given(seed=st.integers(0, 10**6), room=st.floats(0.0, 1.0))
    @settings(max_examples=30)
    def test_least_scale(self, seed, room):
        net = random_net(seed, m=64, size=1.0)
        net = VertexNet(net.W + 0.3 * vertex_network(64).W, net.a)
        s, _ = min(((s, exact_error(scaled(net, s))) for s in np.linspace(0, 3, 61)), key=lambda pair: pair[1])
        least = exact_error(scaled(net, s))
        error = least + room * (1 - least)
        found = least_scale(net, error)
        assert exact_error(scaled(net, found)) == pytest.approx(error, rel=1e-9, abs=1e-12)
        assert found <= s + 1e-9
        assert least_scale(net, 1.0) == least_scale(net, 7.0) == 0

    def test_least_scale_refuses_what_scaling_cannot_reach(self):
        assert least_scale(vertex_network(64), 0.25) == pytest.approx(0.5)
        assert least_scale(vertex_network(64), 0.0) == pytest.approx(1, abs=1e-6)
        net = random_net(1, size=1.0)
        for one in (net, net._replace(a=-net.a)):  # one of them correlates with y negatively: its best scale is 0
            lowest = min(exact_error(scaled(one, s)) for s in np.linspace(0, 3, 400))
            with pytest.raises(ValueError, match=r"error must be at least .*, the least that scaling these weights"):
                least_scale(one, 0.99 * lowest)


class TestLimit:
    def test_shape_and_inverse(self):
        errors = np.array([[0.0, 0.011], [0.12, 1.0]])
        norms = least_norm(errors, 40)
        assert norms.shape == (2, 2)
        np.testing.assert_allclose(least_error(norms, 40), errors, atol=1e-15)
        assert norms[0, 0] == pytest.approx(32 * math.sqrt(40 / 6))
        assert abs(LEAST_NORM - 13.064) < 5e-4
        assert float(least_error(1e9)) == 0
        assert float(least_norm(4.0)) == 0
        np.testing.assert_allclose(least_norm([0.12, 0.037, 0.011], 10) / 10**0.5, [8.54, 10.55, 11.69], atol=0.006)

    @pytest.mark.parametrize(("m", "d"), [(64, 6), (192, 13), (640, 100)])
    def test_is_attained_where_64_divides_the_width(self, m, d):
        for s in (0.1, 0.5, 0.9, 1.0):
            made = vertex_network(m, d, scale=s)
            assert exact_error(made) == pytest.approx(float(least_error(norm(made), d)), abs=1e-12)

    @given(seed=st.integers(0, 10**6), d=st.integers(6, 9), blend=st.floats(0, 1), size=st.floats(0.1, 2))
    @settings(max_examples=60)
    def test_is_not_crossed(self, seed, d, blend, size):
        """Random weights, and weights near the optimum, at every scale."""
        noise = random_net(seed, d=d, size=size)
        net = VertexNet(blend * vertex_network(64, d).W + (1 - blend) * noise.W, noise.a)
        for s in (0.2, 0.7, 1.0, 1.3):
            other = scaled(net, s)
            assert exact_error(other) >= float(least_error(norm(other), d)) - 1e-12

    def test_one_unit_reaches_the_bound_of_the_proof_at_a_vertex_only(self):
        """|E chi sigma(<u, x>)| <= sqrt(6/d)/32 for unit u."""
        S = signs(7)
        chi, g = S[:, :6].prod(axis=1), rng(3)
        directions = g.standard_normal((400, 7)) * (g.random((400, 7)) < 0.9)
        directions[0] = [1, -1, 1, 1, 1, -1, 0]
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        found = np.abs((np.maximum(S @ directions.T / math.sqrt(7), 0) * chi[:, None]).mean(axis=0))
        limit = math.sqrt(6 / 7) / 32
        assert found[0] == pytest.approx(limit)
        assert found[1:].max() < 0.999 * limit


class TestPublished:
    @pytest.mark.parametrize("m", [200, 202, 254, 318, 1000])
    @pytest.mark.parametrize("d", [6, 40, 100])
    def test_the_explicit_network_beats_them(self, m, d):
        for most, error in PUBLISHED:
            made = vertex_network(m, d, scale=1 - math.sqrt(error))
            assert exact_error(made) <= error * (1 + 1e-9)
            assert norm(made) < 0.9 * most * math.sqrt(d)

    def test_the_recipe(self):
        found = search(rng(7), 1e-4, m=100, starts=1)
        assert found.error == pytest.approx(exact_error(found.params))
        assert found.norm == pytest.approx(norm(found.params))
        assert found.error < 0.05
        assert found.norm < 14.5 * math.sqrt(6)
        assert found.error > float(least_error(found.norm)) - 1e-12

    def test_the_recipe_ends_where_no_step_helps(self):
        """At kinks of the ReLU, so slopes need not be 0; and more decay means less norm and more error.

        Which kinks, the last bits of the sums decide. At any of them a random step costs; along the ray, which meets
        no kink, the objective is a parabola and its least point within about 1 %: a tenth costs in either direction.
        """
        found = [search(rng(7), decay, m=64, starts=1, most=1500) for decay in (1e-3, 1e-4)]
        assert found[0].norm < found[1].norm
        assert found[0].error > found[1].error
        (W, a), g = found[0].params, rng(8)

        def objective(V):
            return exact_error(VertexNet(V, a)) + 1e-3 * (V**2).sum()

        for size in (1e-3, 0.1):
            for _ in range(20):
                step = g.standard_normal(W.shape)
                step *= size * found[0].norm / np.linalg.norm(step)
                assert min(objective(W + step), objective(W - step)) > objective(W)
        assert objective(0.9 * W) > objective(W)
        assert objective(1.1 * W) > objective(W)

    def test_the_best_start_is_kept(self):
        one = search(rng(9), 4e-4, m=64, starts=1, most=200)
        best = search(rng(9), 4e-4, m=64, starts=3, most=200)
        assert best.error + 4e-4 * best.norm**2 <= one.error + 4e-4 * one.norm**2
