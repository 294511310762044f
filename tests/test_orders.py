"""The order of examples: uniform, independent permutations, the same however they are asked for."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from learnability.training.orders import example_orders


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), m=st.integers(1, 60), epochs=st.integers(1, 12), cut=st.integers(0, 12))
def test_rows_are_permutations_and_do_not_depend_on_chunks(seed, m, epochs, cut):
    at_once = example_orders(np.random.default_rng(seed), m, epochs)
    assert at_once.shape == (epochs, m)
    assert at_once.dtype == np.int32
    assert (np.sort(at_once, axis=1) == np.arange(m)).all()
    rng = np.random.default_rng(seed)
    first = min(cut, epochs)
    parts = [example_orders(rng, m, first), *(example_orders(rng, m, 1) for _ in range(epochs - first))]
    np.testing.assert_array_equal(np.vstack(parts), at_once)


def test_draws_one_double_a_visit_and_nothing_else():
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    example_orders(one, 7, 5)
    other.random((5, 7))
    assert one.random() == other.random()


@pytest.mark.parametrize("m", [2, 3, 4])
def test_every_permutation_is_equally_likely(m):
    orders = example_orders(np.random.default_rng(11), m, 48_000)
    codes = orders @ (m ** np.arange(m))
    wanted = sorted(int(np.array(p) @ (m ** np.arange(m))) for p in permutations(range(m)))
    seen, counts = np.unique(codes, return_counts=True)
    assert seen.tolist() == wanted
    assert chisquare(counts).pvalue > 1e-3


def test_consecutive_rows_are_independent():
    orders = example_orders(np.random.default_rng(12), 3, 72_001)
    codes = np.unique(orders @ np.array([1, 3, 9]), return_inverse=True)[1]
    pairs = np.bincount(codes[:-1] * 6 + codes[1:], minlength=36)
    assert chisquare(pairs).pvalue > 1e-3


@pytest.mark.parametrize("draw", [0.0, np.nextafter(1.0, 0.0)])
@pytest.mark.parametrize("m", [1, 2, 3, 5, 7, 1000])
def test_extreme_draws_stay_in_range(draw, m):
    class Extreme:
        def random(self, shape):
            return np.full(shape, draw)

    assert (np.sort(example_orders(Extreme(), m, 2), axis=1) == np.arange(m)).all()
