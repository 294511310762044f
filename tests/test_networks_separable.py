"""Two-layer networks with output weights of two signs, the weights that memorise, and the bad local minimum."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks import gadgets
from learnability.networks.bad_minima import bad_local_minimum, flat_radius
from learnability.networks.memorising import CONSTRUCTIONS, memorise, proof_width, stated_width
from learnability.networks.separable import TwoLayer, forward, initial, leaky
from learnability.studies.separable.checks.memorising import rank_modulo

SLOPES = st.sampled_from([0.0, 0.1, 0.5, 0.9])


# TwoLayer


def by_hand(params, x, alpha):
    """One output, as the paper writes it, without a matrix."""
    total = 0.0
    for row, v in zip(params.W, params.v, strict=True):
        z = sum(a * b for a, b in zip(row, x, strict=True))
        total += v * max(alpha * z, z)
    return total


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 6), k=st.integers(1, 5), m=st.integers(1, 7), alpha=SLOPES)
def test_outputs_are_those_of_the_definition(seed, d, k, m, alpha):
    rng = np.random.default_rng(seed)
    params = TwoLayer(rng.standard_normal((2 * k, d)), rng.standard_normal(2 * k))
    X = rng.standard_normal((m, d))
    np.testing.assert_allclose(
        forward(params, X, alpha=alpha), [by_hand(params, x, alpha) for x in X], rtol=1e-12, atol=1e-13
    )


def test_wide_networks_are_evaluated_in_blocks():
    rng = np.random.default_rng(0)
    params, X = initial(rng, 3, 2**15), rng.standard_normal((7, 3))  # two inputs to a block
    np.testing.assert_allclose(forward(params, X, alpha=0.1), leaky(X @ params.W.T, 0.1) @ params.v, atol=1e-12)


def test_the_leaky_relu_has_slopes_one_and_alpha():
    np.testing.assert_array_equal(leaky(np.array([-2.0, 0.0, 3.0]), 0.25), [-0.5, 0.0, 3.0])
    np.testing.assert_array_equal(leaky(np.array([-2.0, 3.0]), 0.0), [0.0, 3.0])


def test_a_start_satisfies_equations_5_and_6():
    params = initial(np.random.default_rng(1), 7, 50)
    np.testing.assert_allclose(np.linalg.norm(params.W, axis=1), 0.1, rtol=1e-12)
    np.testing.assert_array_equal(params.v, np.repeat([0.1, -0.1], 50))
    given_ = initial(np.random.default_rng(1), 7, 50, radius=2.0, v=0.5)
    np.testing.assert_allclose(given_.W, 20 * params.W, rtol=1e-12)
    np.testing.assert_array_equal(np.abs(given_.v), np.full(100, 0.5))
    assert not initial(np.random.default_rng(1), 7, 2, radius=0).W.any()


def test_rows_of_norm_at_most_R_are_uniform_in_the_ball():
    params = initial(np.random.default_rng(2), 3, 20_000, radius=2.0, norm="at_most")
    share = (np.linalg.norm(params.W, axis=1) / 2.0) ** 3  # uniform on [0, 1]
    assert share.max() <= 1.0
    np.testing.assert_allclose(np.quantile(share, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.01)
    direction = params.W / np.linalg.norm(params.W, axis=1, keepdims=True)
    np.testing.assert_allclose(direction.T @ direction / len(direction), np.eye(3) / 3, atol=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rng": 0}, "rng must be a numpy.random.Generator"),
        ({"d": 0}, "d must be >= 1"),
        ({"k": True}, "k must be an integer"),
        ({"radius": -1}, "radius must be >= 0"),
        ({"v": 0}, "v must be > 0"),
        ({"norm": "least"}, "norm must be one of"),
    ],
)
def test_starts_outside_the_range_are_refused(change, message):
    named = {"rng": np.random.default_rng(0), "d": 2, "k": 1, **change}
    with pytest.raises(ValueError, match=message):
        initial(named.pop("rng"), named.pop("d"), named.pop("k"), **named)


@pytest.mark.parametrize("alpha", [-0.1, 1.0, float("nan"), "a"])
def test_slopes_outside_the_range_are_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be"):
        forward(TwoLayer(np.ones((2, 1)), np.array([1.0, -1.0])), [[1.0]], alpha=alpha)


# Memorising


def assert_memorises(made, X, y, alpha, tolerance=1e-6):
    """What is promised, checked from outside: outputs, two signs, one size, rows of zeros beyond ``used``.

    Outputs are summed in another order than the one that was measured: both are within rounding of the exact ones.
    """
    W, v = made.params
    assert len(v) == len(W) == 2 * made.k
    assert v[0] > 0
    np.testing.assert_array_equal(v, np.repeat([v[0], -v[0]], made.k))
    outputs = np.array([by_hand(made.params, x, alpha) for x in np.asarray(X, dtype=float)])
    rounding = 2.0**-52 * (sum(W.shape) + 2) * (np.abs(X) @ np.abs(W).T @ np.abs(v)).max()
    assert made.residual <= tolerance
    assert np.abs(outputs - y).max() <= made.residual + rounding
    assert made.gap > 0
    live = W.any(axis=1)
    assert max(live[: made.k].sum(), live[made.k :].sum()) <= made.used <= made.k


@settings(max_examples=200)
@given(
    seed=st.integers(0, 10**6),
    d=st.integers(2, 14),
    n=st.integers(1, 70),
    alpha=SLOPES,
    construction=st.sampled_from(("auto", *CONSTRUCTIONS[1:])),
)
def test_any_labels_are_met_within_the_promised_width(seed, d, n, alpha, construction):
    rng = np.random.default_rng(seed)
    n = min(n, 25 * (d - 1))  # more lines in the plane are so near to points that 1e-6 is a matter of rounding
    n = max(n, 1 if construction == "auto" else d + 1)
    X, y = rng.standard_normal((n, d)), rng.choice([-1.0, 1.0], n)
    if construction == "constant":
        X[:, int(rng.integers(d))] = rng.uniform(-2, 2)
    made = memorise(X, y, alpha=alpha, rng=rng, construction=construction)
    assert_memorises(made, X, y, alpha)
    positive = int((y > 0).sum())
    assert made.rank == min(n, d)
    limits = {
        "auto": -(-n // d),
        "hyperplanes": -(-n // d),
        "constant": stated_width(n, d),
        "mixed": 2 * -(-n // (d - 1)),
        "same_sign": proof_width(positive, n - positive, d),
    }
    assert made.used <= limits[construction]
    assert made.construction == (construction if construction != "auto" else "linear" if n <= d else "hyperplanes")


def test_the_stated_width_is_never_below_the_least():
    for n in range(1, 200):
        for d in range(2, 40):
            assert -(-n // d) <= stated_width(n, d)
            assert stated_width(n, d) == 2 * math.ceil(n / (2 * d - 2))
            assert stated_width(n, d) <= proof_width(n // 2, n - n // 2, d)
    assert proof_width(3, 0, 4) == 2
    assert proof_width(4, 1, 4) == 6


@settings(max_examples=200)
@given(seed=st.integers(0, 10**6), d=st.integers(2, 12), n=st.integers(3, 60))
def test_a_pencil_makes_every_labelling_possible_at_the_least_width(seed, d, n):
    """The statement behind ``hyperplanes``, in exact arithmetic; and the balance that its proof uses."""
    rng = np.random.default_rng(seed)
    n = max(n, d + 1)
    points = rng.integers(-(10**8), 10**8, (n, d))
    k = -(-n // d)
    normals = gadgets.pencil(points.astype(float), k, rng)
    assert normals.shape == (k - 1, d)
    assert np.linalg.matrix_rank(normals) == min(2, k - 1)
    sides = points @ normals.T > 0
    kinds, counts = np.unique(sides, axis=0, return_counts=True)
    known = {tuple(row): int(c) for row, c in zip(kinds, counts, strict=True)}
    wedges = {}  # a pattern and its complement belong to one double wedge
    for row, count in known.items():
        other = tuple(not side for side in row)
        wedges[min(row, other)] = count + known.get(other, 0)
    assert len(wedges) <= max(k - 1, 1)
    heavy = [row for row, count in wedges.items() if count > d]
    assert len(heavy) <= 1  # the balanced one
    for row in heavy:
        assert max(known.get(row, 0), known.get(tuple(not side for side in row), 0)) <= d
    M = np.concatenate([sides[:, :, None] * points[:, None, :], points[:, None, :]], axis=1).reshape(n, -1)
    assert rank_modulo(M) == n


def test_one_unit_less_cannot_always_be_enough():
    """d points and one more: k = 1 is one pair of units, and no pair meets these labels."""
    X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    with pytest.raises(ValueError, match="takes 2 units of each sign, width allows 1"):
        memorise(X, [1, 1, -1], alpha=0.0, rng=np.random.default_rng(0), width=1)
    assert memorise(X, [1, 1, -1], alpha=0.0, rng=np.random.default_rng(0)).used == 2


def test_rank_modulo_a_prime():
    rng = np.random.default_rng(0)
    for rank in (1, 3, 5):
        M = rng.integers(-5, 6, (8, rank)) @ rng.integers(-5, 6, (rank, 6))
        assert rank_modulo(M.astype(np.int64)) == np.linalg.matrix_rank(M)
    assert rank_modulo(np.array([[2, 4], [3, 6]]), 7) == 1
    assert rank_modulo(np.array([[7, 0], [0, 1]]), 7) == 1


@pytest.mark.parametrize("value", [1.0, -1.0, 3.5])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_a_gadget_of_one_class_is_its_value_on_the_group_and_zero_elsewhere(value, alpha):
    rng = np.random.default_rng(3)
    Z = rng.standard_normal((12, 5))
    group = np.array([0, 4, 7, 9])
    rows = gadgets.same_sign(Z, group, value, alpha, rng)
    assert (len(rows.plus), len(rows.minus)) == ((2, 1) if value > 0 else (1, 2))
    wanted = np.zeros(12)
    wanted[group] = value
    outputs = leaky(Z @ rows.plus.T, alpha).sum(axis=1) - leaky(Z @ rows.minus.T, alpha).sum(axis=1)
    np.testing.assert_allclose(outputs, wanted, atol=1e-11)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_a_mixed_gadget_takes_any_values_on_the_group(alpha):
    rng = np.random.default_rng(4)
    Z, group, values = rng.standard_normal((12, 5)), np.array([1, 2, 3, 11]), np.array([2.0, -1.0, 0.5, 0.0])
    rows = gadgets.mixed(Z, group, values, alpha, rng)
    assert (len(rows.plus), len(rows.minus)) == (2, 2)
    wanted = np.zeros(12)
    wanted[group] = values
    outputs = leaky(Z @ rows.plus.T, alpha).sum(axis=1) - leaky(Z @ rows.minus.T, alpha).sum(axis=1)
    np.testing.assert_allclose(outputs, wanted, atol=1e-9)


def test_a_mixed_gadget_keeps_its_steps_small_on_both_sides():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        Z, group, values = rng.standard_normal((40, 3)), np.array([0, 1]), np.array([1.0, -1.0])
        rows = gadgets.mixed(Z, group, values, 0.0, rng)
        outputs = leaky(Z @ rows.plus.T, 0.0).sum(axis=1) - leaky(Z @ rows.minus.T, 0.0).sum(axis=1)
        np.testing.assert_allclose(outputs, np.concatenate([values, np.zeros(38)]), atol=1e-6)


def test_a_group_must_be_independent_and_alone_in_its_span():
    Z = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    for make in (
        lambda group: gadgets.same_sign(Z, group, 1.0, 0.1, np.random.default_rng(0)),
        lambda group: gadgets.mixed(Z, group, np.ones(len(group)), 0.1, np.random.default_rng(0)),
    ):
        with pytest.raises(gadgets.Degenerate, match="points 0, 1, 2 are linearly dependent"):
            make(np.array([0, 1, 2]))
        with pytest.raises(gadgets.Degenerate, match="points 1 lie in the span of points 0, 2"):
            make(np.array([0, 2]))
        make(np.array([0, 3]))


def test_the_best_of_several_tries_is_kept_and_held_to_the_tolerance():
    better = 0
    for seed in range(10):
        X, y = np.random.default_rng(seed).standard_normal((60, 3)), np.tile([1.0, -1.0], 30)
        named = {"alpha": 0.1, "construction": "mixed"}
        one, many = (memorise(X, y, rng=np.random.default_rng(seed), tries=tries, **named) for tries in (1, 8))
        assert many.residual <= one.residual
        better += many.residual < one.residual
    assert better
    with pytest.raises(ValueError, match=r"mixed: \|N\(x_i\) - y_i\| is up to .*, tolerance 1e-18"):
        memorise(X, y, rng=np.random.default_rng(0), tolerance=1e-18, **named)


def test_more_units_than_points_are_no_obstacle():
    rng = np.random.default_rng(15)
    X, y = rng.standard_normal((10, 3)), rng.choice([-1.0, 1.0], 10)
    made = memorise(X, y, alpha=0.1, rng=rng, width=100)
    assert_memorises(made, X, y, 0.1)
    assert made.k == 100


def test_widths_are_filled_with_rows_of_zeros():
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((30, 6)), rng.choice([-1.0, 1.0], 30)
    for width, k in (("stated", 6), ("proof", proof_width(int((y > 0).sum()), int((y < 0).sum()), 6)), (9, 9)):
        made = memorise(
            X, y, alpha=0.1, rng=rng, width=width, construction="same_sign" if width == "proof" else "auto"
        )
        assert made.k == k
        assert_memorises(made, X, y, 0.1)
    made = memorise(X[:3], y[:3], alpha=0.1, rng=rng, width=4)
    assert (made.construction, made.used, made.k) == ("linear", 1, 4)
    assert np.count_nonzero(made.params.W.any(axis=1)) == 2
    with pytest.raises(ValueError, match="mixed: takes 12 units of each sign, width allows 6"):
        memorise(X, y, alpha=0.1, rng=rng, construction="mixed", width="stated")


@pytest.mark.parametrize("v", [1.0, 0.05, 20.0])
def test_the_size_of_the_output_weights_is_free(v):
    rng = np.random.default_rng(6)
    X, y = rng.standard_normal((30, 6)), rng.choice([-1.0, 1.0], 30)
    made = memorise(X, y, alpha=0.2, rng=rng, v=v)
    assert_memorises(made, X, y, 0.2)
    assert made.params.v[0] == v


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), alpha=SLOPES)
def test_the_hinge_loss_can_be_made_exactly_zero(seed, alpha):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((60, 5)), rng.choice([-1.0, 1.0], 60)
    made = memorise(X, y, alpha=alpha, rng=rng, exact_hinge=True)
    signed = y * forward(made.params, X, alpha=alpha)
    assert 1.0 <= signed.min() <= signed.max() <= 1 + 1e-6


def test_labels_of_train_and_test_points_are_met_together():
    """A global minimum that errs on every test point."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((120, 10))
    y = np.where(X[:, 0] > 0, 1.0, -1.0)
    made = memorise(X, np.concatenate([y[:60], -y[60:]]), alpha=0.1, rng=rng, exact_hinge=True)
    signed = y * forward(made.params, X, alpha=0.1)
    assert signed[:60].min() >= 1
    assert signed[60:].max() <= -1


def test_the_row_space_is_enough():
    """Always-zero and repeated columns: the groups have rank - 1 points, and d is the rank."""
    rng = np.random.default_rng(8)
    small = rng.standard_normal((40, 5))
    X = np.column_stack([np.zeros(40), small, small[:, :2] * 3, np.zeros(40)])
    y = rng.choice([-1.0, 1.0], 40)
    for construction in ("auto", "mixed", "same_sign"):
        made = memorise(X, y, alpha=0.1, rng=rng, construction=construction)
        assert made.rank == 5
        assert_memorises(made, X, y, 0.1)
    assert memorise(X, y, alpha=0.1, rng=rng).used == 8


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_the_unit_of_the_points_does_not_matter(scale):
    rng = np.random.default_rng(9)
    X, y = rng.standard_normal((30, 4)), rng.choice([-1.0, 1.0], 30)
    assert memorise(X * scale, y, alpha=0.1, rng=rng).residual < 1e-9


def test_a_constant_coordinate_gives_the_stated_width_with_gadgets():
    rng = np.random.default_rng(10)
    X = np.column_stack([rng.standard_normal((50, 4)), np.full(50, -0.3)])
    y = np.where(np.arange(50) % 2, 1.0, -1.0)
    made = memorise(X, y, alpha=0.5, rng=rng, construction="constant")
    assert made.used == stated_width(50, 5) == 14
    assert_memorises(made, X, y, 0.5)
    one = memorise(X, np.ones(50), alpha=0.5, rng=rng, construction="constant")
    assert one.used == 1
    with pytest.raises(ValueError, match="no linear function is constant on the points"):
        memorise(rng.standard_normal((50, 5)), y, alpha=0.5, rng=rng, construction="constant")


def test_another_grouping_is_tried_where_one_fails():
    """Four points in three dimensions: a group of four may not hold just three of them, nor all."""
    rng = np.random.default_rng(11)
    X = rng.standard_normal((16, 5))
    X[:4, 3:] = 0.0
    y = rng.choice([-1.0, 1.0], 16)
    made = memorise(X, y, alpha=0.1, rng=rng, construction="mixed", tries=50)
    assert_memorises(made, X, y, 0.1)


def test_points_in_the_span_of_others_are_named():
    X = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0], [1, -1, 0], [1, 2, 0], [0, 0, 1]])
    with pytest.raises(ValueError, match=r"general position .* got no network .*points [0-5, ]+ lie in the span of"):
        memorise(X, np.ones(6), alpha=0.1, rng=np.random.default_rng(0), construction="mixed")
    made = memorise(X, [1, -1, 1, -1, 1, -1], alpha=0.1, rng=np.random.default_rng(0))  # hyperplanes do not mind
    assert_memorises(made, X, [1, -1, 1, -1, 1, -1], 0.1)


def test_what_no_network_can_fit_is_refused_with_the_points_named():
    rng = np.random.default_rng(12)
    X = rng.standard_normal((6, 3))
    y = np.array([1.0, -1, 1, 1, -1, 1])
    for change, labels, message in (
        ({4: 2 * X[1]}, y, "no two points of one direction .*got points 1 and 4"),
        ({4: X[0]}, y, r"y must be equal on equal points, got \+1 and -1 at points 0 and 4"),
        ({3: 0 * X[0]}, y, "no zero row .*got one at 3"),
    ):
        points = X.copy()
        for i, x in change.items():
            points[i] = x
        with pytest.raises(ValueError, match=message):
            memorise(points, labels, alpha=0.1, rng=rng)
    pairs = np.concatenate([X, -X])  # six odd labels that no linear function of three numbers meets
    with pytest.raises(ValueError, match="no linear function meets on 6 such pairs, points"):
        memorise(pairs, np.concatenate([y, -y]), alpha=0.1, rng=rng)


def test_repeated_and_opposite_points_that_can_be_fitted_are():
    rng = np.random.default_rng(13)
    X, y = rng.standard_normal((9, 3)), rng.choice([-1.0, 1.0], 9)
    twice = np.concatenate([X, X[:4]])
    made = memorise(twice, np.concatenate([y, y[:4]]), alpha=0.1, rng=rng)
    assert made.used == 3  # nine points
    assert_memorises(made, twice, np.concatenate([y, y[:4]]), 0.1)
    pairs, labels = np.concatenate([X, -X]), np.concatenate([y, y])  # even labels: the odd part is 0
    assert_memorises(memorise(pairs, labels, alpha=0.1, rng=rng), pairs, labels, 0.1)
    three = np.concatenate([X, -X[:3]])  # three odd labels are always met
    labels = np.concatenate([y, -y[:3]])
    assert_memorises(memorise(three, labels, alpha=0.1, rng=rng), three, labels, 0.1)
    line = np.array([[2.0], [-1.0]])
    for labels in ([1, 1], [1, -1], [-1, -1]):
        assert_memorises(memorise(line, labels, alpha=0.1, rng=rng), line, labels, 0.1)


def test_the_same_generator_gives_the_same_network():
    X, y = np.random.default_rng(14).standard_normal((30, 4)), np.tile([1.0, -1.0], 15)
    one, two = (memorise(X, y, alpha=0.1, rng=np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.params.W, two.params.W)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": [[1.0, np.nan], [0, 1]]}, "X must be finite"),
        ({"X": np.ones(2)}, "X must have shape"),
        ({"X": [[1e200, 0], [0, 1]]}, "X must have rows between"),
        ({"y": [1, 0]}, "y must hold labels"),
        ({"y": [1]}, "y must have length 2"),
        ({"alpha": 1.0}, "alpha must be < 1"),
        ({"rng": 1}, "rng must be a numpy.random.Generator"),
        ({"width": "small"}, "width must be one of"),
        ({"width": 0}, "width must be >= 1"),
        ({"width": 2.5}, "width must be an integer"),
        ({"construction": "gadget"}, "construction must be one of"),
        ({"v": 0}, "v must be > 0"),
        ({"tries": 0}, "tries must be >= 1"),
        ({"tolerance": 0}, "tolerance must be > 0"),
    ],
)
def test_bad_arguments_of_memorise(change, message):
    named = {"X": np.eye(2), "y": [1, -1], "alpha": 0.1, "rng": np.random.default_rng(0), **change}
    with pytest.raises(ValueError, match=message):
        memorise(**named)


# The bad local minimum


def separable(seed, m, d):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(d)
    X = rng.standard_normal((m, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True) * rng.uniform(1, 3, (m, 1))
    inner = X @ w
    return X, np.sign(inner), w / np.abs(inner).min()


def hinge(W, v, X, y):
    return float(np.maximum(1 - y * (np.maximum(X @ W.T, 0) @ v), 0).mean())


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10**6),
    m=st.integers(1, 40),
    d=st.integers(1, 10),
    k=st.integers(1, 6),
    v=st.sampled_from([1.0, 0.01, 5.0]),
)
def test_half_of_the_points_are_dead_and_the_ball_is_flat(seed, m, d, k, v):
    X, y, w_star = separable(seed, m, d)
    rng = np.random.default_rng(seed)
    bad = bad_local_minimum(X, y, w_star, k=k, rng=rng, v=v, tries=30)
    W = bad.params.W
    np.testing.assert_array_equal(bad.params.v, np.repeat([v, -v], k))
    assert bad.loss * m == pytest.approx(bad.dead.sum())
    assert bad.dead.sum() >= -(-m // 2)
    assert ((X @ W.T < 0).all(axis=1) == bad.dead).all()
    assert ((X @ W.T > 0).all(axis=1) == ~bad.dead).all()
    assert hinge(W, bad.params.v, X, y) == bad.loss
    signed = y * (np.maximum(X @ W.T, 0) @ bad.params.v)
    assert (signed[~bad.dead] > 1).all()
    # the spec's radius, which uses |x| <= 1 and knows v = 1
    first = np.abs(X @ W.T).min()
    second = (signed[~bad.dead] - 1).min(initial=np.inf) / (v * math.sqrt(2 * k))
    assert bad.radius >= min(first, second) * (1 - 1e-12)
    for i in range(30):
        move = rng.standard_normal(W.shape) * (rng.random((2 * k, 1)) < 0.5 if i % 2 else 1)
        if i % 3 == 0:
            move = np.zeros_like(W)
            move[rng.integers(2 * k)] = rng.choice([-1, 1]) * X[rng.integers(m)]
        if i % 3 == 1:
            x = int(rng.integers(m))
            move = -y[x] * np.outer(bad.params.v, X[x])
        if not move.any():
            continue
        moved = W + 0.999 * bad.radius * move / np.linalg.norm(move)
        assert hinge(moved, bad.params.v, X, y) == bad.loss


def test_beyond_the_radius_the_loss_can_change():
    """The radius is no smaller than it need be where a dead point is the nearest."""
    changed = 0
    for seed in range(20):
        X, y, w_star = separable(seed, 15, 4)
        bad = bad_local_minimum(X, y, w_star, k=2, rng=np.random.default_rng(seed), tries=30)
        W, v = bad.params
        distance = np.abs(X @ W.T) / np.linalg.norm(X, axis=1, keepdims=True)
        x, row = np.unravel_index(distance.argmin(), distance.shape)
        if not bad.dead[x] or distance[x, row] > bad.radius * (1 + 1e-9):
            continue
        for factor, same in ((0.999, True), (1.001, False)):
            moved = W.copy()
            moved[row] += factor * bad.radius * X[x] / np.linalg.norm(X[x])
            assert (hinge(moved, v, X, y) == bad.loss) == same
        changed += 1
    assert changed >= 5


def test_an_active_point_limits_the_radius():
    """k v small against the rows: the outputs run below 1 before a unit turns off."""
    X, y = np.array([[1.0, 0.0], [0.0, -1.0]]), np.array([1.0, 1.0])
    params = TwoLayer(np.array([[3.0, 5.0], [1.0, 5.0]]), np.array([1.0, -1.0]))  # N = 2 and 0
    assert flat_radius(params, X, y) == pytest.approx(1 / math.sqrt(2))
    W = params.W - 0.999 / math.sqrt(2) * np.array([[1.0, 0], [-1.0, 0]]) / math.sqrt(2)
    assert hinge(W, params.v, X, y) == 0.5
    W = params.W - 1.001 / math.sqrt(2) * np.array([[1.0, 0], [-1.0, 0]]) / math.sqrt(2)
    assert hinge(W, params.v, X, y) > 0.5


def test_the_radius_is_zero_where_the_ball_is_not_flat():
    X, y = np.array([[1.0, 0.0]]), np.array([1.0])
    assert flat_radius(TwoLayer(np.array([[0.5, 0.0], [0.1, 0.0]]), np.array([1.0, -1.0])), X, y) == 0
    dead = TwoLayer(np.array([[-0.5, 0.0], [-0.1, 0.0]]), np.array([1.0, -1.0]))
    assert flat_radius(dead, X, y) == pytest.approx(0.1)
    assert flat_radius(dead, [[2.0, 0.0]], y) == pytest.approx(0.1)
    assert flat_radius(dead, [[0.0, 0.0], [0.0, 0.0]], [1, -1]) == np.inf


def test_non_negative_features_give_loss_one():
    rng = np.random.default_rng(0)
    X = rng.random((30, 6))
    w = np.array([1.0, -1, 1, -1, 1, -1])
    y = np.sign(X @ w)
    bad = bad_local_minimum(X, y, w / np.abs(X @ w).min(), k=2, rng=rng, tries=1)
    assert bad.loss == 1.0
    assert bad.dead.all()


def test_more_directions_never_find_a_smaller_loss():
    X, y, w_star = separable(3, 30, 6)
    losses = [
        bad_local_minimum(X, y, w_star, k=1, rng=np.random.default_rng(1), tries=tries).loss
        for tries in (1, 20, 4000)
    ]
    assert losses == sorted(losses)
    assert losses[-1] > losses[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w_star": [0.5, 0.0]}, r"w_star must have y <w\*, x> >= 1 at every point, got 0.5"),
        ({"w_star": [1.0]}, "w_star must have length 2"),
        ({"k": 0}, "k must be >= 1"),
        ({"v": -1.0}, "v must be > 0"),
        ({"tries": 0}, "tries must be >= 1"),
        ({"rng": None}, "rng must be"),
        ({"y": [1, 2]}, "y must hold labels"),
        ({"X": [[1.0, 0.0]]}, "y must have length 1"),
    ],
)
def test_bad_arguments_of_the_bad_minimum(change, message):
    named = {"X": np.array([[1.0, 0.0], [-1.0, 0.0]]), "y": [1, -1], "w_star": [1.0, 0.0], "k": 1}
    named = {**named, "rng": np.random.default_rng(0), **change}
    with pytest.raises(ValueError, match=message):
        bad_local_minimum(named.pop("X"), named.pop("y"), named.pop("w_star"), **named)
