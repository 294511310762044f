"""The mixture D_A: what is drawn, what is enumerated, and what is refused."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.problems.parity import ParityMixture, SparseParity, random_mixture, random_parity


def rng(seed=0):
    return np.random.default_rng(seed)


class TestTarget:
    def test_is_the_sign_of_the_product(self):
        X = rng().choice([-0.5, 0.5], (200, 7))
        f = SparseParity(7, (5, 1, 2))
        assert f.support == (1, 2, 5)
        assert f.k == 3
        np.testing.assert_array_equal(f(X), np.sign(X[:, 1] * X[:, 2] * X[:, 5]))

    def test_does_not_underflow(self):
        X = np.full((1, 300), -1e-3)
        assert SparseParity(300, range(299))(X) == -1

    def test_random_supports_are_uniform(self):
        drawn = [random_parity(r, 6, 2).support for r in [rng()] for _ in range(3000)]
        counts = {s: drawn.count(s) for s in set(drawn)}
        assert len(counts) == 15
        assert max(abs(c - 200) for c in counts.values()) < 5 * math.sqrt(200)

    @pytest.mark.parametrize(
        ("n", "support", "message"),
        [
            (5, (), "support must hold at least one coordinate, got none"),
            (5, (1, 1, 2), "support must hold each coordinate once, got 1 more than once"),
            (5, (1, 5), "each of support must be <= 4, got 5"),
            (5, (-1, 2), "each of support must be >= 0, got -1"),
            (5, (0.5,), "each of support must be an integer, got 0.5"),
            (0, (0,), "n must be >= 1, got 0"),
            (5, 3, "support must be an iterable of integers, got 3"),
        ],
    )
    def test_refuses(self, n, support, message):
        for make in (SparseParity, ParityMixture):
            with pytest.raises(ValueError, match=message):
                make(n, support)

    def test_refuses_more_coordinates_than_there_are(self):
        with pytest.raises(ValueError, match="k must be <= n = 4, got 5"):
            random_mixture(rng(), 4, 5)

    def test_refuses_inputs_without_a_sign(self):
        f = SparseParity(3, (0, 1))
        with pytest.raises(ValueError, match="X must be non-zero in the coordinates of support"):
            f([[1.0, 0.0, 1.0]])
        f([[1.0, 1.0, 0.0]])  # a zero elsewhere does not matter
        with pytest.raises(ValueError, match="X must have 3 columns"):
            f([[1.0, 1.0]])


class TestMixture:
    @pytest.mark.parametrize("k", [2, 4])
    def test_refuses_even_k(self, k):
        with pytest.raises(ValueError, match=f"support must hold an odd number of coordinates, got {k}"):
            ParityMixture(9, range(k))

    @pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
    def test_refuses_a_share_outside_0_to_1(self, share):
        with pytest.raises(ValueError, match="share must be"):
            ParityMixture(9, (0,), share)

    @pytest.mark.parametrize("part", [0, 3, "1"])
    def test_refuses_other_parts(self, part):
        with pytest.raises(ValueError, match="part must be None, 1 or 2"):
            ParityMixture(9, (0,)).sample(rng(), 4, part=part)

    def test_inputs_have_norm_one_and_their_label(self):
        D = random_mixture(rng(1), 40, 5)
        X, y = D.sample(rng(2), 500)
        np.testing.assert_allclose((X**2).sum(axis=1), 1, rtol=1e-14)
        np.testing.assert_array_equal(y, D.target(X))
        X32, y32 = D.sample(rng(2), 500, dtype=np.float32)
        assert X32.dtype == y32.dtype == np.float32
        np.testing.assert_array_equal(X32 > 0, X > 0)

    @pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
    def test_frequencies_are_those_of_the_enumeration(self, share):
        D = ParityMixture(5, (1, 3, 4), share)
        E = D.enumerate()
        p = (1 - share) * E.p1 + share * E.p2
        assert p.sum() == pytest.approx(1, abs=1e-15)
        np.testing.assert_array_equal(E.y, D.target(E.X))
        m = 40_000
        S, _ = D.sample_signs(rng(3), m)
        counts = np.bincount((S < 0) @ (1 << np.arange(5)), minlength=32)  # bit j is set where coordinate j is -1
        spread = np.sqrt(m * p * (1 - p))
        assert (np.abs(counts - m * p) <= 5 * spread).all()

    def test_parts_alone(self):
        D = ParityMixture(30, (0, 7, 29))
        S, y = D.sample_signs(rng(4), 2000, part=2)
        inside = S[:, [0, 7, 29]]
        assert (np.abs(inside.sum(axis=1)) == 3).all()
        np.testing.assert_array_equal(y, inside[:, 0])
        rest = np.delete(S, [0, 7, 29], axis=1)
        assert np.abs(rest.mean(axis=0)).max() < 5 / math.sqrt(2000)
        assert abs(y.mean()) < 5 / math.sqrt(2000)
        S, _ = D.sample_signs(rng(4), 2000, part=1)
        assert (np.abs(S[:, [0, 7, 29]].sum(axis=1)) == 3).mean() == pytest.approx(0.25, abs=0.05)

    @settings(max_examples=25)
    @given(st.integers(1, 9000), st.integers(1, 40), st.integers(0, 10**6), st.sampled_from([None, 1, 2]))
    def test_projections_are_those_of_the_sample(self, n, m, seed, part):
        k = min(n, 5) - (min(n, 5) % 2 == 0)
        D = random_mixture(rng(seed), n, k)
        W = rng(seed).standard_normal((3, n))
        X, y = D.sample(rng(seed + 1), m, part=part)
        Z, also_y = D.project(rng(seed + 1), m, W, part=part)
        np.testing.assert_array_equal(y, also_y)
        np.testing.assert_allclose(Z, X @ W.T, rtol=1e-9, atol=1e-9)

    def test_a_million_coordinates_cost_what_is_needed(self):
        D = random_mixture(rng(5), 1_000_000, 7)
        tracemalloc.start()
        S, y = D.sample_on(rng(6), 1000, [D.support[0], 3, D.support[6]], part=2)
        Z, labels = D.project(rng(7), 64, np.ones((1, 1_000_000)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20e6
        np.testing.assert_array_equal(S[:, 0], S[:, 2])
        np.testing.assert_array_equal(S[:, 0], y)
        assert abs(Z.mean()) < 5 / 8  # a sum of n signs over sqrt(n) is about standard normal
        assert set(labels) == {-1.0, 1.0}

    def test_only_named_coordinates(self):
        D = ParityMixture(50, (2, 20, 40))
        S, y = D.sample_on(rng(8), 4000, [40, 1, 40])
        np.testing.assert_array_equal(S[:, 0], S[:, 2])
        assert abs((S[:, 1] * y).mean()) < 5 / math.sqrt(4000)
        # on D^(2) the coordinate is the label, on D^(1) it says nothing
        assert (S[:, 0] * y).mean() == pytest.approx(0.5, abs=0.08)
        with pytest.raises(ValueError, match="each of coordinates must be <= 49, got 50"):
            D.sample_on(rng(), 3, [50])

    def test_enumeration_is_refused_beyond_20(self):
        with pytest.raises(ValueError, match="n must be <= 20, got 21"):
            ParityMixture(21, (0,)).enumerate()

    def test_arguments(self):
        D = ParityMixture(5, (0,))
        with pytest.raises(ValueError, match=r"rng must be a numpy\.random\.Generator"):
            D.sample(0, 5)
        with pytest.raises(ValueError, match="m must be >= 1, got 0"):
            D.sample(rng(), 0)
        with pytest.raises(ValueError, match="W must have 5 columns"):
            D.project(rng(), 3, np.ones((2, 4)))


@pytest.mark.parametrize("dtype", [int, "float16", bool])
def test_refuses_other_dtypes(dtype):
    with pytest.raises(ValueError, match="dtype must be float64 or float32"):
        ParityMixture(5, (0,)).sample(rng(), 3, dtype=dtype)
