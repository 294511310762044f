import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnability.problems import symmetry as problems
from learnability.problems.symmetry import (
    HammingWeights,
    SymmetricFunction,
    UniformCube,
    all_symmetric,
    concentrated_weights,
    enumerate_cube,
    exact_error,
    exactly_in,
    flip_labels,
    majority,
    parity,
    random_symmetric,
    shift_inputs,
    skewed_weights,
    sum_error_floor,
    threshold,
    uniform_weights,
)


def test_named_functions_by_their_labels():
    assert parity(3).labels == (1, -1, 1, -1)
    assert majority(3).labels == (-1, -1, 1, 1)
    assert majority(4).labels == (-1, -1, -1, 1, 1)
    assert threshold(3, 0).labels == (1, 1, 1, 1)
    assert threshold(3, 4).labels == (-1, -1, -1, -1)
    assert exactly_in(3, [0, 2, 2]).labels == (1, -1, 1, -1)
    assert exactly_in(5, (1, 4)).accepted == (1, 4)


def test_all_symmetric_are_all_and_distinct():
    functions = [f.labels for f in all_symmetric(4)]
    assert len(functions) == len(set(functions)) == 2**5
    assert all(f.n == 4 for f in all_symmetric(4))


@given(st.lists(st.sampled_from([-1, 1]), min_size=2, max_size=9), st.randoms(use_true_random=False))
def test_a_symmetric_function_ignores_the_order_of_bits(labels, random):
    f = SymmetricFunction(tuple(labels))
    X = enumerate_cube(f.n)
    order = list(range(f.n))
    random.shuffle(order)
    np.testing.assert_array_equal(f(X), f(X[:, order]))
    np.testing.assert_array_equal(f(X), [labels[int(x.sum())] for x in X])


def test_random_symmetric_is_seeded_and_fair():
    rng = np.random.default_rng(0)
    labels = np.array([random_symmetric(9, rng).labels for _ in range(4000)])
    assert abs(labels.mean(axis=0)).max() < 0.08  # 5 standard deviations
    assert random_symmetric(9, np.random.default_rng(3)) == random_symmetric(9, np.random.default_rng(3))


@pytest.mark.parametrize(
    "distribution",
    [UniformCube(6), uniform_weights(6), skewed_weights(6), concentrated_weights(6), skewed_weights(6, 2.0)],
)
def test_samples_follow_the_weight_probabilities_and_are_exchangeable(distribution):
    m = 40_000
    X = distribution.sample(np.random.default_rng(1), m)
    assert X.shape == (m, 6)
    assert X.dtype == np.float64
    assert set(np.unique(X)) <= {0.0, 1.0}
    p = distribution.weight_probabilities
    assert p.shape == (7,)
    assert p.sum() == pytest.approx(1)
    frequency = np.bincount(X.sum(axis=1).astype(int), minlength=7) / m
    assert np.abs(frequency - p).max() < 5 * 0.5 / math.sqrt(m)
    assert np.abs(X.mean(axis=0) - (p @ np.arange(7)) / 6).max() < 5 * 0.5 / math.sqrt(m)


def test_distributions_have_the_shape_their_name_says():
    assert concentrated_weights(8).probabilities == (0, 0, 1 / 3, 0, 1 / 3, 0, 1 / 3, 0, 0)
    assert concentrated_weights(5, [0, 5]).probabilities == (0.5, 0, 0, 0, 0, 0.5)
    assert concentrated_weights(1).probabilities == (1.0, 0.0)
    p = skewed_weights(5, 0.5).weight_probabilities
    np.testing.assert_allclose(p[1:] / p[:-1], 0.5)
    assert UniformCube(2000).weight_probabilities.sum() == pytest.approx(1)


def test_flip_labels_flips_the_stated_share():
    y = np.ones(20_000)
    flipped = flip_labels(np.random.default_rng(2), y, 0.1)
    assert np.mean(flipped == -1) == pytest.approx(0.1, abs=0.01)
    np.testing.assert_array_equal(flip_labels(np.random.default_rng(2), y, 0.0), y)
    np.testing.assert_array_equal(flip_labels(np.random.default_rng(2), y, 1.0), -y)


def test_shift_inputs_stays_within_the_half_width():
    X = UniformCube(10).sample(np.random.default_rng(0), 500)
    shift = shift_inputs(np.random.default_rng(3), X) - X
    assert np.abs(shift).max() <= 0.1
    assert shift.std() == pytest.approx(0.1 / math.sqrt(3), rel=0.05)


def test_floor_agrees_with_monte_carlo_of_the_bayes_rule():
    # Parity: the posterior is decided by the nearest integer except far in the tails, so rounding is optimal.
    n, m = 30, 100_000
    X = UniformCube(n).sample(np.random.default_rng(4), m)
    rounded = np.rint(shift_inputs(np.random.default_rng(5), X).sum(axis=1))
    wrong = np.mean((rounded - X.sum(axis=1)) % 2 != 0)
    assert sum_error_floor(parity(n), UniformCube(n)) == pytest.approx(wrong, abs=4 * math.sqrt(0.12 / m))


def test_floor_in_closed_cases():
    assert sum_error_floor(parity(30), UniformCube(30), 0.0) == 0.0
    assert sum_error_floor(parity(4), UniformCube(4), 0.125) == 0.0  # sums stay within 1/2 of the weight
    assert sum_error_floor(threshold(10, 0), UniformCube(10)) == 0.0  # a constant is known
    # n = 1: uniform densities of height 1/(2h) overlap over 2h - 1, each input with probability 1/2
    h = 0.6
    assert sum_error_floor(parity(1), UniformCube(1), h) == pytest.approx((2 * h - 1) / (4 * h), abs=1e-4)


def test_cube_is_enumerated_once_each():
    X = enumerate_cube(7)
    assert X.shape == (128, 7)
    assert len(np.unique(X, axis=0)) == 128
    np.testing.assert_array_equal(X[5], [0, 0, 0, 0, 1, 0, 1])


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64, np.uint8])
def test_a_numpy_integer_for_n_is_an_integer(kind):
    for n in (31, 63, 64, 70):
        cube = UniformCube(kind(n))
        assert type(cube.n) is int
        np.testing.assert_array_equal(cube.weight_probabilities, UniformCube(n).weight_probabilities)
        assert cube.weight_probabilities.sum() == pytest.approx(1)


def test_arrays_of_objects_may_hold_real_numbers():
    X = np.array([[Fraction(1), 0], [True, np.float32(1)]], dtype=object)
    np.testing.assert_array_equal(parity(2)(X), [-1, 1])


def test_nan_is_a_mistake():
    assert exact_error(lambda X: np.full(len(X), np.nan), parity(3)) == 1.0


def test_floor_of_small_shifts_is_zero_and_cheap():
    tracemalloc.start()
    try:
        for half_width in (1e-300, 1e-9, 1e-4, 1 / 60):
            assert sum_error_floor(parity(30), UniformCube(30), half_width) == 0.0
        floor = sum_error_floor(parity(30), UniformCube(30), 1.001 / 60)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0 <= floor < 1e-6
    assert peak < 2e7


def test_exact_error_counts_by_probability():
    n = 5
    f, g = parity(n), SymmetricFunction((-1, *parity(n).labels[1:]))  # differ at weight 0 only
    assert exact_error(f, f) == 0.0
    assert exact_error(f, g) == 1 / 2**n
    assert exact_error(f, g, uniform_weights(n)) == pytest.approx(1 / (n + 1))
    assert exact_error(lambda X: np.zeros(len(X)), f) == 1.0  # no sign is a mistake
    assert exact_error(parity(15), threshold(15, 0)) == 0.5  # more than one block


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: parity(0), "n must be >= 1, got 0"),
        (lambda: parity(2.0), "n must be an integer"),
        (lambda: SymmetricFunction((1,)), "n >= 1"),
        (lambda: SymmetricFunction((1, 0)), "labels must hold labels -1 and [+]1"),
        (lambda: SymmetricFunction((1, float("nan"))), "labels must be finite"),
        (lambda: exactly_in(4, [5]), "A must be <= 4, got 5"),
        (lambda: exactly_in(4, [-1]), "A must be >= 0, got -1"),
        (lambda: exactly_in(4, [0.5]), "A must be an integer"),
        (lambda: exactly_in(3, 2), "A must be an iterable of integers, got 2"),
        (lambda: exactly_in(3, None), "A must be an iterable of integers, got None"),
        (lambda: concentrated_weights(3, 2), "weights must be an iterable of integers, got 2"),
        (lambda: random_symmetric(3, None), "rng must be a numpy.random.Generator, got None"),
        (lambda: random_symmetric(3, 7), "rng must be a numpy.random.Generator, got 7"),
        (lambda: UniformCube(3).sample(None, 2), "rng must be a numpy.random.Generator"),
        (lambda: uniform_weights(3).sample(7, 2), "rng must be a numpy.random.Generator"),
        (lambda: flip_labels(None, [1, -1], 0.1), "rng must be a numpy.random.Generator"),
        (lambda: shift_inputs(7, [[0, 1]]), "rng must be a numpy.random.Generator"),
        (lambda: exact_error(lambda X: parity(3)(X)[:, None], parity(3)), r"predict must return 8 .* shape \(8, 1\)"),
        (lambda: exact_error(lambda X: 1.0, parity(3)), r"predict must return 8 .* shape \(\)"),
        (lambda: exact_error(lambda X: 1j * parity(3)(X), parity(3)), "predict .* dtype complex128"),
        (lambda: parity(2)(np.array([[1j, 0]])), "X must be an array of real numbers, got dtype complex128"),
        (lambda: parity(2)([["1", "0"]]), "X must be an array of real numbers, got dtype <U1"),
        (
            lambda: parity(2)(np.array([[1, "0"]], dtype=object)),
            "X must be an array of real numbers, got an entry '0'",
        ),
        (lambda: parity(2)([[1, 0], [1]]), "X must be an array of real numbers, got a ragged list"),
        (lambda: shift_inputs(np.random.default_rng(0), [[10**400]]), "X must be finite in float64"),
        (lambda: SymmetricFunction(("1", "-1")), "labels must be an array of real numbers"),
        (lambda: exactly_in(4, []), r"A must hold at least one weight .* threshold\(n, n \+ 1\)"),
        (lambda: threshold(4, 6), "t must be <= 5"),
        (lambda: all_symmetric(21), "n must be <= 20"),
        (lambda: enumerate_cube(21), "n must be <= 20"),
        (lambda: exact_error(parity(21), parity(21)), "n must be <= 20"),
        (lambda: exact_error(parity(3), parity(3), UniformCube(4)), "distribution must be over n = 3"),
        (lambda: parity(3)([[0, 1, 0.5]]), "X must have entries 0 and 1 only, got 0.5"),
        (lambda: parity(3)([[0, 1]]), "X must have 3 columns"),
        (lambda: parity(3)([[0, 1, float("nan")]]), "X must be finite"),
        (lambda: UniformCube(0), "n must be >= 1"),
        (lambda: UniformCube(3).sample(np.random.default_rng(0), 0), "m must be >= 1"),
        (lambda: HammingWeights((0.5, 0.6)), "sum to 1"),
        (lambda: HammingWeights((1.5, -0.5)), "probabilities must be >= 0"),
        (lambda: HammingWeights((1.0,)), "length 1"),
        (lambda: skewed_weights(4, 0.0), "ratio must be > 0"),
        (lambda: concentrated_weights(4, []), "at least one weight"),
        (lambda: concentrated_weights(4, [5]), "weights must be <= 4"),
        (lambda: flip_labels(np.random.default_rng(0), [1, 0], 0.1), "y must hold labels"),
        (lambda: flip_labels(np.random.default_rng(0), [1, -1], 1.1), "p must be <= 1"),
        (lambda: shift_inputs(np.random.default_rng(0), [[0, 1]], -0.1), "half_width must be >= 0"),
        (lambda: sum_error_floor(parity(3), UniformCube(4)), "distribution must be over n = 3"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_public_names_exist():
    assert all(hasattr(problems, name) for name in problems.__all__)
