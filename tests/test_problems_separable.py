from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import kstest

from learnability.problems import separable as problems
from learnability.problems.separable import (
    SCALINGS,
    SeparableBall,
    into_unit_ball,
    lower_bound_sequence,
    lower_bound_weights,
    orthonormal_set,
    random_separable,
    split,
    with_bias,
)
from learnability.theory.margins import hard_margin


def tail(d, margin, power=0):
    """The integral of s^power (1 - s^2)^((d-1)/2) over [margin, 1], in units of (1 - margin^2)^((d-1)/2)."""
    top = 1 - margin**2
    end = min(1.0, margin + 60 / (d * margin)) if d > 100 else 1.0
    return quad(lambda s: s**power * ((1 - s**2) / top) ** ((d - 1) / 2), margin, end, epsabs=0, epsrel=1e-10)[0]


# Both proposals of the component's sampler, from one dimension to many, margins near both ends
CASES = [
    (1, 0.3),
    (1, 0.9),
    (2, 1e-3),
    (2, 0.5),
    (3, 0.999),
    (7, 0.2),
    (20, 0.15),
    (20, 0.6),
    (300, 0.01),
    (300, 0.5),
]


@pytest.mark.parametrize(("d", "margin"), CASES)
def test_samples_keep_the_margin_and_the_ball(d, margin):
    D = random_separable(np.random.default_rng(d), d, margin)
    X, y = D.sample(np.random.default_rng(0), 4000)
    assert X.shape == (4000, d)
    assert y.shape == (4000,)
    assert set(np.unique(y)) == {-1.0, 1.0}
    assert np.linalg.norm(X, axis=1).max() <= 1 + 1e-14
    assert (y * (X @ D.w_star)).min() >= 1 - 1e-14 / margin
    assert np.linalg.norm(D.w_star) == pytest.approx(D.w_norm, rel=1e-14)
    assert D.w_norm == 1 / margin


@pytest.mark.parametrize(("d", "margin"), CASES)
def test_the_component_follows_its_exact_law(d, margin):
    D = random_separable(np.random.default_rng(d), d, margin)
    X, y = D.sample(np.random.default_rng(1), 4000)
    s = y * (X @ np.array(D.direction))
    total = tail(d, margin)
    mean = tail(d, margin, 1) / total
    spread = math.sqrt(max(tail(d, margin, 2) / total - mean**2, 0))
    assert abs(s.mean() - mean) < 4 * spread / math.sqrt(len(s))
    assert s.std() == pytest.approx(spread, rel=0.12)
    # the whole law: P(S > t) is a ratio of two such integrals
    grid = np.linspace(margin, min(1.0, margin + 8 * spread), 400)
    cdf = np.array([1 - tail_from(t, d, margin) / total for t in grid])
    assert kstest(s, lambda t: np.interp(t, grid, cdf)).pvalue > 1e-3


def tail_from(t, d, margin):
    end = min(1.0, margin + 60 / (d * margin)) if d > 100 else 1.0
    if t >= end:
        return 0.0
    top = 1 - margin**2
    return quad(lambda s: ((1 - s**2) / top) ** ((d - 1) / 2), t, end, epsabs=1e-14, epsrel=1e-9)[0]


@pytest.mark.parametrize(("d", "margin"), [(2, 0.4), (5, 0.1), (40, 0.3)])
def test_the_rest_is_uniform_on_its_ball_and_independent_of_the_side(d, margin):
    D = random_separable(np.random.default_rng(5), d, margin)
    u, m = np.array(D.direction), 40_000
    X, y = D.sample(np.random.default_rng(2), m)
    s = X @ u
    rest = X - np.outer(s, u)
    share = np.einsum("ij,ij->i", rest, rest) / (1 - s**2)  # (radius / largest radius)^2, so radius^(d-1) is uniform
    assert kstest(share ** ((d - 1) / 2), "uniform").pvalue > 1e-3
    assert abs(y.mean()) < 4 / math.sqrt(m)
    assert np.abs(X.mean(axis=0)).max() < 4.5 / math.sqrt(m)
    # Second moments: E s^2 along u, E (1 - s^2) / (d + 1) across it, nothing mixed
    along = tail(d, margin, 2) / tail(d, margin)
    exact = np.outer(u, u) * along + (np.eye(d) - np.outer(u, u)) * (1 - along) / (d + 1)
    np.testing.assert_allclose(X.T @ X / m, exact, atol=5 / math.sqrt(m) * max(along, (1 - along) / (d + 1)))
    assert abs(np.mean(y * share)) < 4 / math.sqrt(m)


def test_uniform_in_the_disc_by_plain_rejection():
    D = SeparableBall(0.3, (0.6, -0.8))
    X, _ = D.sample(np.random.default_rng(3), 20_000)
    Z = np.random.default_rng(4).uniform(-1, 1, size=(200_000, 2))
    Z = Z[(np.linalg.norm(Z, axis=1) <= 1) & (np.abs(Z @ [0.6, -0.8]) >= 0.3)]
    for ray in ([1, 0], [0, 1], [0.6, -0.8], [0.8, 0.6], [0.5, 0.5]):
        for ours, plain in ((X @ ray, Z @ ray), (np.abs(X @ ray), np.abs(Z @ ray))):
            edges = np.quantile(plain, np.linspace(0, 1, 11))
            edges[0], edges[-1] = -2, 2
            counts = np.histogram(ours, edges)[0] / len(ours)
            assert np.abs(counts - 0.1).max() < 5 * math.sqrt(0.1 / len(ours)), ray


def test_high_dimension_and_large_margin_where_the_ball_has_no_mass_to_reject_from():
    D = random_separable(np.random.default_rng(0), 5000, 0.9)  # mass 10^-1800 of the ball
    X, y = D.sample(np.random.default_rng(1), 200)
    s = y * (X @ np.array(D.direction))
    assert s.min() >= 0.9 - 1e-14
    excess = (1 - 0.81) / (5000 * 0.9)  # of an exponential tail, to first order
    assert (s - 0.9).mean() == pytest.approx(excess, rel=0.25)


def test_the_hard_margin_of_a_sample_is_at_least_the_distributions():
    D = random_separable(np.random.default_rng(8), 3, 0.2)
    X, y = D.sample(np.random.default_rng(9), 600)
    found = hard_margin(X, y)
    assert 0.2 - 1e-12 <= found.margin < 0.3


def test_samples_are_seeded_and_directions_normalised():
    D = SeparableBall(0.1, (3.0, -4.0))
    assert D.direction == pytest.approx((0.6, -0.8))
    for scale in (1e200, 1e-300):
        np.testing.assert_allclose(SeparableBall(np.float64(0.1), (3 * scale, -4 * scale)).direction, D.direction)
    a, b = (D.sample(np.random.default_rng(7), 5) for _ in range(2))
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_array_equal(a[1], b[1])
    assert type(SeparableBall(np.float32(0.5), (1,)).margin) is float
    for axis in ((1.0, 0, 0), (-1.0, 0, 0), (0, 1.0, 0)):
        X, y = SeparableBall(0.5, axis).sample(np.random.default_rng(0), 100)
        assert (y * (X @ axis)).min() >= 0.5 - 1e-15
    assert D.d == 2


def test_the_lower_bound_sequence_and_its_start():
    X, y = lower_bound_sequence(5)
    np.testing.assert_array_equal(X, np.eye(5))
    np.testing.assert_array_equal(y, np.ones(5))
    found = hard_margin(X, y)
    assert found.margin == pytest.approx(1 / math.sqrt(5))
    W = lower_bound_weights(4, 3, 0.6)
    assert W.shape == (6, 4)
    np.testing.assert_allclose(W[:3], -0.3)
    np.testing.assert_allclose(W[3:], 0.3)
    np.testing.assert_array_equal(lower_bound_weights(2, 1, 0), 0)


def test_orthonormal_sets():
    X, y = orthonormal_set(4)
    np.testing.assert_array_equal(X, np.eye(4))
    np.testing.assert_array_equal(y, 1)
    X, y = orthonormal_set(6, [1, -1, 1, 1, -1, -1], rng=np.random.default_rng(0))
    np.testing.assert_allclose(X @ X.T, np.eye(6), atol=1e-14)
    w = X.T @ y
    np.testing.assert_allclose(y * (X @ w), 1)
    assert hard_margin(X, y).margin == pytest.approx(1 / math.sqrt(6))
    # Haar: an entry has mean 0 and mean square 1/d; without the sign the diagonal would be one-sided
    bases = np.array([orthonormal_set(2, rng=np.random.default_rng(s))[0] for s in range(2000)])
    assert np.abs(bases.mean(axis=0)).max() < 5 * math.sqrt(0.5 / 2000)


def test_the_extra_coordinate_keeps_the_ball_and_the_offset():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3))
    X /= np.linalg.norm(X, axis=1).max()
    V = with_bias(X)
    assert V.shape == (50, 4)
    assert np.linalg.norm(V, axis=1).max() == pytest.approx(1, abs=1e-15)
    w, b = rng.standard_normal(3), 0.7
    np.testing.assert_allclose(V @ (math.sqrt(2) * np.append(w, b)), X @ w + b)


@settings(max_examples=60)
@given(
    st.integers(1, 12),
    st.integers(1, 5),
    st.sampled_from(SCALINGS),
    st.floats(-140, 140),
    st.integers(0, 2**32 - 1),
)
def test_scaling_fills_the_unit_ball_and_is_repeated_by_its_record(m, d, how, exponent, seed):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((m, d)) + rng.standard_normal(d)) * 10**exponent
    before = X.copy()
    scaled, scaling = into_unit_ball(X, how)
    if m == 1 and how != "norm":
        np.testing.assert_array_equal(scaled, 0)
        return
    np.testing.assert_array_equal(X, before)
    assert np.linalg.norm(scaled, axis=1).max() == pytest.approx(1, abs=1e-14)
    np.testing.assert_array_equal(scaling(X), scaled)
    np.testing.assert_allclose(scaling(X[:1]), scaled[:1])
    assert scaling.how == how
    assert scaling.constant == ()


@pytest.mark.parametrize("how", SCALINGS)
def test_a_sample_may_set_the_scale_of_all(how):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((9, 3))
    X[:6, 1] = 2.0
    rows = np.array([4, 0, 2, 5])
    scaled, scaling = into_unit_ball(X, how, sample=rows)
    own, alone = into_unit_ball(X[rows], how)
    np.testing.assert_array_equal(scaled[rows], own)
    np.testing.assert_array_equal(scaled, alone(X))
    assert scaling.farthest == rows[alone.farthest] == rows[np.linalg.norm(own, axis=1).argmax()]
    assert len(np.unique(scaled[6:, 1])) == 3  # one to one where the sample is constant too
    assert scaling.constant == (() if how == "norm" else (1,))


def test_what_is_all_constant_becomes_zero():
    for how in ("range", "standard"):
        np.testing.assert_array_equal(into_unit_ball([[1.0, 2.0]] * 3, how)[0], np.zeros((3, 2)))
    np.testing.assert_array_equal(into_unit_ball(np.zeros((2, 2)))[0], np.zeros((2, 2)))


def test_the_norms_are_set_by_the_longest_alone():
    """To the last digit, although the largest entry is another's."""
    X = np.array([[0.9, 0.0], [0.7, 0.8], [0.1, 0.3]])
    scaled, scaling = into_unit_ball(X)
    np.testing.assert_array_equal(into_unit_ball(X[1:2])[1](X), scaled)
    assert scaling.farthest == 1


def test_the_three_scalings_by_hand():
    X = np.array([[1.0, 5.0, 10.0], [3.0, 5.0, 30.0], [2.0, 5.0, 50.0]])
    scaled, scaling = into_unit_ball(X, "norm")
    largest = math.sqrt(4 + 25 + 2500)
    np.testing.assert_allclose(scaled, X / largest)
    assert scaling.describe() == f"all inputs divided by the largest norm, {largest:.6g}"

    scaled, scaling = into_unit_ball(X, "range")
    np.testing.assert_allclose(scaled, np.array([[-1, 0, -1], [1, 0, 0], [0, 0, 1]]) / math.sqrt(2))
    assert scaling.constant == (1,)
    assert "1 constant feature(s) only centred" in scaling.describe()
    np.testing.assert_allclose(scaling([[2, 77, 30]]), [[0, 72 / math.sqrt(2), 0]])

    scaled, scaling = into_unit_ball(X, "standard")
    Z = np.delete((X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1), 1, axis=1)
    np.testing.assert_allclose(np.delete(scaled, 1, axis=1), Z / np.linalg.norm(Z, axis=1).max())
    np.testing.assert_array_equal(scaled[:, 1], 0)
    np.testing.assert_allclose(scaling.centre, [2, 5, 30])
    np.testing.assert_allclose(scaling.divisor, [X[:, 0].std(), 1, X[:, 2].std()])


def test_scaling_far_from_the_origin_loses_no_digits():
    X = 1e9 + np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0]])
    for how in ("range", "standard"):
        np.testing.assert_allclose(into_unit_ball(X, how)[0], into_unit_ball(X - 1e9, how)[0], atol=1e-12)


def test_split_draws_disjoint_parts_uniformly():
    X = np.arange(20.0)[:, None]
    y = np.where(np.arange(20) < 8, 1.0, -1.0)
    part = split(np.random.default_rng(0), X, y, 12, 5)
    assert part.X.shape == (12, 1)
    assert part.X_test.shape == (5, 1)
    assert len({*part.X[:, 0], *part.X_test[:, 0]}) == 17
    np.testing.assert_array_equal(part.y, np.where(part.X[:, 0] < 8, 1, -1))
    np.testing.assert_array_equal(part.y_test, np.where(part.X_test[:, 0] < 8, 1, -1))
    rest = split(np.random.default_rng(0), X, y, 12)
    assert len(rest.X_test) == 8
    assert len(split(np.random.default_rng(0), X, y, 20, 0).X_test) == 0
    rng = np.random.default_rng(1)
    counts = np.zeros(20)
    for _ in range(2000):
        counts[split(rng, X, y, 5).X[:, 0].astype(int)] += 1
    assert np.abs(counts - 500).max() < 5 * math.sqrt(500 * 0.75)


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SeparableBall(0.0, (1.0,)), "margin must be > 0"),
        (lambda: SeparableBall(1.0, (1.0,)), "margin must be < 1, got 1.0"),
        (lambda: SeparableBall(float("nan"), (1.0,)), "margin must be finite"),
        (lambda: SeparableBall(0.5, ()), "direction must hold a non-zero entry"),
        (lambda: SeparableBall(0.5, (0.0, 0.0)), "direction must hold a non-zero entry"),
        (lambda: SeparableBall(0.5, (float("inf"),)), "direction must be finite"),
        (lambda: SeparableBall(0.5, (1.0,)).sample(7, 3), "rng must be a numpy.random.Generator, got 7"),
        (lambda: SeparableBall(0.5, (1.0,)).sample(RNG, 0), "m must be >= 1"),
        (lambda: random_separable(RNG, 0, 0.5), "d must be >= 1"),
        (lambda: random_separable(None, 3, 0.5), "rng must be"),
        (lambda: lower_bound_sequence(0), "d must be >= 1"),
        (lambda: lower_bound_weights(3, 0, 1.0), "k must be >= 1"),
        (lambda: lower_bound_weights(3, 1, -1.0), "radius must be >= 0"),
        (lambda: orthonormal_set(0), "d must be >= 1"),
        (lambda: orthonormal_set(3, [1, -1]), "labels must have length 3"),
        (lambda: orthonormal_set(2, [1, 0]), "labels must hold labels -1 and"),
        (lambda: orthonormal_set(2, rng=3), "rng must be"),
        (lambda: with_bias([1.0, 2.0]), "X must have shape"),
        (lambda: into_unit_ball([[1.0]], "box"), "how must be one of 'norm', 'range', 'standard', got 'box'"),
        (
            lambda: into_unit_ball([[0.0], [1e-160], [1.0]], "range", sample=np.arange(2)),
            r"X must have rows within 1e[+]150 times the width .* at index 2",
        ),
        (lambda: into_unit_ball([[1e200, 0.0]]), "X must have entries of size <= 1e[+]150, got 1e[+]200"),
        (lambda: into_unit_ball([[-1e200, 0.0]]), "X must have entries of size <= 1e[+]150, got 1e[+]200"),
        (lambda: into_unit_ball([[np.nan]]), "X must be finite"),
        (lambda: into_unit_ball([[1.0, 2.0]])[1]([[1.0]]), "X must have 2 columns"),
        (lambda: split(RNG, [[1.0]] * 3, [1, 1, 1], 4), "train must be <= 3, got 4"),
        (lambda: split(RNG, [[1.0]] * 3, [1, 1, 1], 0), "train must be >= 1"),
        (lambda: split(RNG, [[1.0]] * 3, [1, 1, 1], 2, 2), "test must be <= 1, got 2"),
        (lambda: split(RNG, [[1.0]] * 3, [1, 1], 2), "y must have length 3"),
        (lambda: split(0, [[1.0]] * 3, [1, 1, 1], 2), "rng must be"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_public_names_exist():
    assert all(hasattr(problems, name) for name in problems.__all__)
