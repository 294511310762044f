"""ReLU6 networks with a symmetric start, and the features that represent a parity."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from learnability.networks.parity import (
    ParityNet,
    feature,
    forward,
    good_neurons,
    hidden,
    initial,
    relu6,
    relu6_slope,
    representation,
)
from learnability.problems.parity import random_mixture


def rng(seed=0):
    return np.random.default_rng(seed)


def test_relu6():
    z = np.array([-1.0, 0.0, 1e-300, 3.0, 6.0, 7.0])
    np.testing.assert_array_equal(relu6(z), [0, 0, 1e-300, 3, 6, 6])
    np.testing.assert_array_equal(relu6_slope(z), [0, 0, 1, 1, 0, 0])


class TestStart:
    def test_ranges(self):
        net = initial(rng(), 60, 3, 500)
        assert net.W.shape == (1000, 60)
        assert set(np.unique(net.W)) == {-1, 0, 1}
        for value, share in zip(*np.unique(net.W, return_counts=True)):
            assert share / net.W.size == pytest.approx(1 / 3, abs=0.01), value
        np.testing.assert_array_equal(np.abs(net.b), 1 / 24)
        assert np.abs(net.u).max() <= 20
        assert np.abs(net.u[:500]).mean() == pytest.approx(10, abs=1.5)

    def test_safe_is_zero_and_printed_is_not(self):
        X, _ = random_mixture(rng(1), 60, 3).sample(rng(2), 200)
        safe = initial(rng(3), 60, 3, 64)
        np.testing.assert_array_equal(safe.W[:64], safe.W[64:])
        np.testing.assert_array_equal(safe.b[:64], safe.b[64:])
        np.testing.assert_array_equal(safe.u[:64], -safe.u[64:])
        assert np.abs(forward(safe, X)).max() < 1e-12
        printed = initial(rng(3), 60, 3, 64, form="printed")
        for ours, theirs in zip(safe, printed, strict=True):
            np.testing.assert_array_equal(ours[:64], theirs[:64])  # the same draw
        np.testing.assert_array_equal(printed.W[64:], -printed.W[:64])
        np.testing.assert_array_equal(printed.b[64:], -printed.b[:64])
        np.testing.assert_array_equal(printed.u[64:], -printed.u[:64])
        z = X @ printed.W[:64].T + printed.b[:64]
        np.testing.assert_allclose(forward(printed, X), np.clip(z, -6, 6) @ printed.u[:64], rtol=1e-10)
        assert np.abs(forward(printed, X)).mean() > 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((0, 1, 1), "n must be >= 1"),
            ((5, 6, 1), "k must be <= n = 5, got 6"),
            ((5, 0, 1), "k must be >= 1"),
            ((5, 3, 0), "q must be >= 1"),
            ((5, 3, 2, "other"), "form must be one of 'safe', 'printed', got 'other'"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            initial(rng(), *arguments)


def test_forward_is_the_sum_over_units():
    net = ParityNet(rng(1).normal(size=(3, 4)), rng(2).normal(size=3), rng(3).normal(size=3))
    X = 3 * rng(4).normal(size=(50, 4))
    by_hand = [sum(u * min(max(w @ x + b, 0), 6) for w, b, u in zip(*net)) for x in X]
    np.testing.assert_allclose(forward(net, X), by_hand, rtol=1e-12)
    assert hidden(net, X).shape == (50, 3)
    with pytest.raises(ValueError, match="X must have 4 columns"):
        forward(net, X[:, :3])


def test_good_neurons():
    W = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    wide = np.column_stack([W[:, 0], np.ones(27), W[:, 1:]]).astype(np.int8)
    good = good_neurons(wide, (0, 2, 3))
    np.testing.assert_array_equal(good, W.sum(axis=1) == 0)
    assert good.sum() == 7  # the central trinomial coefficient
    with pytest.raises(ValueError, match="W must have entries -1, 0 and 1"):
        good_neurons(2.0 * W, (0, 1))
    with pytest.raises(ValueError, match="each of support must be <= 2, got 3"):
        good_neurons(W, (0, 3))
    with pytest.raises(ValueError, match="support must hold each coordinate once"):
        good_neurons(W, (0, 0))


class TestRepresentation:
    @pytest.mark.parametrize("k", range(1, 26, 2))
    def test_is_the_parity(self, k):
        r, c = representation(k)
        np.testing.assert_array_equal(r, np.arange(-k, k + 1, 2))
        z = r.astype(float)
        matrix = np.array([feature(int(s), z) for s in r]).T
        np.testing.assert_array_equal(matrix @ c, (-1.0) ** ((k - r) // 2))
        assert np.linalg.matrix_rank(matrix) == k + 1  # so they are unique

    def test_against_products_of_signs(self):
        r, c = representation(5)
        S = np.array(list(itertools.product((-1.0, 1.0), repeat=5)))
        parity = sum(c_r * feature(int(s), S.sum(axis=1)) for s, c_r in zip(r, c))
        np.testing.assert_array_equal(parity, S.prod(axis=1))

    @pytest.mark.parametrize("k", [5, 7, 9, 11])
    def test_with_the_printed_cap_two_ranks_are_lost(self, k):
        z = np.arange(-k, k + 1, 2.0)
        capped = np.array([feature(int(s), z, cap=True) for s in z]).T
        assert np.linalg.matrix_rank(capped) == k - 1

    def test_refuses(self):
        with pytest.raises(ValueError, match="k must be odd, got 4"):
            representation(4)
        with pytest.raises(ValueError, match="r must be odd, got 2"):
            feature(2, [0.0])
