import math
import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks.symmetry import embedding, symmetry_init
from learnability.problems.symmetry import all_symmetric, parity
from learnability.studies.symmetry.theorems.worst_labels import certify_worst_labels
from learnability.theory.margins import hard_margin, lift, margin_of
from learnability.theory.margins.points import Points, contradictions


def certified(V, y):
    """The result of hard_margin with both certificates recomputed from scratch."""
    V, y = np.asarray(V, float), np.asarray(y, float)
    result = hard_margin(V, y)
    assert (result.multipliers >= 0).all()
    assert result.multipliers.sum() == pytest.approx(1)
    assert np.linalg.norm((result.multipliers * y) @ V) == pytest.approx(result.upper, rel=1e-9, abs=1e-13)
    assert result.gap >= 0
    if result.separable:
        assert margin_of(result.w, V, y) == pytest.approx(result.margin, rel=1e-9)
        assert (y * (V @ result.w)).min() == pytest.approx(1, rel=1e-9)
        assert result.gap <= 1e-9 * result.upper
    else:
        assert result.margin == 0.0
        assert not result.w.any()
    return result


@pytest.mark.parametrize(
    ("n", "integer", "half_integer", "quarter"),
    [
        (2, 0.21997, 0.40336, 0.30925),
        (6, 0.10868, 0.16157, 0.13851),
        (12, 0.07440, 0.10788, 0.09280),
        (30, 0.04619, 0.06603, 0.05697),
        (60, 0.03247, 0.04617, 0.03990),
    ],
)
def test_parity_margins_of_the_initial_embeddings(n, integer, half_integer, quarter):
    for kind, expected in [("integer", integer), ("half_integer", half_integer), ("quarter", quarter)]:
        result = certified(lift(embedding(symmetry_init(n, kind))), parity(n).labels)
        assert result.margin == pytest.approx(expected, abs=6e-6)


def test_the_constant_neuron_changes_the_margin_as_stated():
    V = lift(embedding(symmetry_init(2, const_neuron=True)))
    assert hard_margin(V, parity(2).labels).margin == pytest.approx(0.40954, abs=6e-6)


def test_large_parity_embedding_is_certified():
    V = lift(embedding(symmetry_init(240, "half_integer")))
    result = certified(V, parity(240).labels)
    assert result.margin * math.sqrt(240) == pytest.approx(0.3546, abs=1e-4)


def test_margins_of_all_functions_agree_with_a_quadratic_programme():
    from scipy.optimize import minimize

    V = lift(embedding(symmetry_init(3, "integer")))[:, [0, 1, 2, 3, 6]]  # without the dead coordinates
    for f in all_symmetric(3):
        signed = np.asarray(f.labels)[:, None] * V
        start = np.linalg.solve(V[:, :4], f.labels)
        solved = minimize(
            lambda w: w @ w,
            np.append(start, 0.0),
            jac=lambda w: 2 * w,
            constraints={"type": "ineq", "fun": lambda w, s=signed: s @ w - 1, "jac": lambda w, s=signed: s},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert certified(V, f.labels).margin == pytest.approx(1 / math.sqrt(solved.fun), rel=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 6))
def test_no_direction_beats_the_margin(seed, m, d):
    rng = np.random.default_rng(seed)
    V = rng.standard_normal((m, d))
    y = rng.choice([-1.0, 1.0], m)
    result = certified(V, y)
    directions = rng.standard_normal((200, d))
    tried = (y[:, None] * (V @ directions.T)).min(axis=0) / np.linalg.norm(directions, axis=1)
    assert tried.max() <= result.upper * (1 + 1e-9) + 1e-12
    if not result.separable:
        assert result.upper <= 1e-12 * np.linalg.norm(V, axis=1).max()


@given(st.integers(0, 2**32 - 1), st.integers(2, 25), st.integers(2, 5), st.floats(1e-5, 10.0))
def test_a_planted_gap_is_found_and_scales_with_the_points(seed, m, d, gap):
    rng = np.random.default_rng(seed)
    w = np.linalg.qr(rng.standard_normal((d, d)))[0]
    V = rng.standard_normal((m, d))
    y = rng.choice([-1.0, 1.0], m)
    y[:2] = 1.0, -1.0
    V[:, 0] = gap * y * rng.uniform(1, 2, m)  # every point at least at the planted distance ...
    V[:2] = 0.0
    V[:2, 0] = gap, -gap  # ... and two that face each other, so that no direction does better
    result = certified(V @ w, y)
    assert result.margin == pytest.approx(gap, rel=1e-8)
    assert hard_margin(1000 * V @ w, y).margin == pytest.approx(1000 * gap, rel=1e-8)


@pytest.mark.parametrize("gap", [1.0, 1e-3, 1e-6, 1e-9, 1e-12])
def test_separability_is_decided_down_to_tiny_margins(gap):
    V = np.array([[gap, 1.0], [-gap, 1.0], [gap, -3.0]])
    assert certified(V, [1, -1, 1]).margin == pytest.approx(gap, rel=1e-6)


def test_points_that_no_hyperplane_separates():
    assert not certified([[1.0, 0.0], [1.0, 0.0]], [1, -1]).separable
    assert not certified([[0.0, 0.0], [1.0, 0.0]], [1, 1]).separable  # the origin is on every hyperplane
    xor = lift([[0, 0], [0, 1], [1, 0], [1, 1]])
    result = certified(xor, [1, -1, -1, 1])
    assert not result.separable
    np.testing.assert_allclose(result.multipliers, 0.25, atol=1e-12)
    rng = np.random.default_rng(0)
    assert not certified(rng.standard_normal((300, 5)), rng.choice([-1.0, 1.0], 300)).separable


def test_an_affine_margin_is_that_of_the_lifted_points():
    result = hard_margin(lift([[3.0], [5.0]]), [-1, 1])
    # w = (1, -4): products 1 and 1; |w| = sqrt(17)
    assert result.margin == pytest.approx(1 / math.sqrt(17))
    np.testing.assert_allclose(result.w, [1, -4])


@pytest.mark.parametrize("size", [1e-240, 1e-200, 1e-160, 1.0, 1e160, 1e200, 1e240])
def test_the_scale_of_the_points_does_not_matter(size):
    result = hard_margin([[3 * size, 4 * size]], [1])
    assert result.separable
    assert result.margin == pytest.approx(5 * size, rel=1e-12, abs=0)
    assert result.upper == pytest.approx(5 * size, rel=1e-12, abs=0)
    np.testing.assert_allclose(result.w * size, [0.12, 0.16])
    V = size * np.array([[2.0, 1.0], [-1.0, 1.0], [0.5, -3.0]])
    plain = hard_margin(V / size, [1, -1, 1])
    scaled = hard_margin(V, [1, -1, 1])
    assert scaled.margin == pytest.approx(plain.margin * size, rel=1e-12, abs=0)
    assert margin_of(scaled.w, V, [1, -1, 1]) == pytest.approx(scaled.margin, rel=1e-12, abs=0)
    worst = certify_worst_labels(V[:2], [1, -1])
    assert worst.margin == pytest.approx(certify_worst_labels(V[:2] / size, [1, -1]).margin * size, rel=1e-12, abs=0)


def test_margin_of():
    assert margin_of([2.0, 0.0], [[1.0, 5.0], [-3.0, 1.0]], [1, -1]) == 1.0
    assert margin_of([2.0, 0.0], [[1.0, 5.0], [-3.0, 1.0]], [1, 1]) == -3.0
    assert margin_of([0.0, 0.0], [[1.0, 5.0]], [1]) == -math.inf
    for size in (5e-324, 1e-200, 1e300):
        assert margin_of([size, 0.0], [[1.0, 5.0], [-3.0, 1.0]], [1, -1]) == 1.0


def nearest_by_nnls(signed):
    """The distance of the convex hull from the origin, by non-negative least squares: another method."""
    from scipy.optimize import nnls

    u, _ = nnls(np.vstack([signed.T, np.ones(len(signed))]), np.append(np.zeros(signed.shape[1]), 1.0))
    return float(np.linalg.norm(signed.T @ u) / u.sum())


def separable_by_a_linear_programme(signed):
    from scipy.optimize import linprog

    m, d = signed.shape
    return linprog(np.zeros(d), A_ub=-signed, b_ub=-np.ones(m), bounds=(None, None)).status == 0


@settings(max_examples=100)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.integers(1, 20),
    st.sampled_from(["free", "whole", "planted", "flat"]),
)
def test_against_other_methods(seed, m, d, kind):
    rng = np.random.default_rng(seed)
    V = rng.integers(-2, 3, (m, d)).astype(float) if kind == "whole" else rng.standard_normal((m, d))
    if kind == "flat":  # rank deficient, with a column of zeros
        V = V[:, : max(1, d // 3)] @ rng.standard_normal((max(1, d // 3), d))
        V[:, -1] = 0.0
    y = rng.choice([-1.0, 1.0], m) if kind == "free" else np.where(V @ rng.standard_normal(d) >= 0, 1.0, -1.0)
    result, signed = certified(V, y), y[:, None] * V
    assert result.separable == separable_by_a_linear_programme(signed)
    if result.separable:
        assert result.margin == pytest.approx(nearest_by_nnls(signed), rel=1e-6)
    assert np.count_nonzero(result.multipliers) <= d + 1


@pytest.mark.parametrize("m", [3, 300, 30_000])
def test_a_pair_that_coincides_with_opposite_labels_is_the_certificate(m):
    rng = np.random.default_rng(m)
    V = rng.standard_normal((m, 7))
    y = np.where(V[:, 0] > 0, 1.0, -1.0)
    V[m // 2] = V[-1]
    V[-1, 3], V[m // 2, 3] = 0.0, -0.0
    y[m // 2] = -y[-1]
    result = certified(V, y)
    np.testing.assert_array_equal(np.flatnonzero(result.multipliers), [m // 2, m - 1])
    np.testing.assert_array_equal(result.multipliers[result.multipliers > 0], [0.5, 0.5])
    assert result.upper == 0.0


def test_the_shortest_certificate_comes_first():
    V = np.array([[1.0, 2.0], [-1.0, -2.0], [3.0, 1.0], [3.0, 1.0], [0.0, -0.0], [3.0, 1.0]])
    np.testing.assert_array_equal(certified(V, [1, 1, 1, -1, 1, 1]).multipliers, [0, 0, 0, 0, 1, 0])
    np.testing.assert_array_equal(certified(V[:4], [1, 1, 1, -1]).multipliers, [0, 0, 0.5, 0.5])
    np.testing.assert_array_equal(certified(V[:3], [1, 1, 1]).multipliers, [0.5, 0.5, 0])
    np.testing.assert_array_equal(certified(np.zeros((3, 2)), [1, 1, -1]).multipliers, [1, 0, 0])
    assert certified(V[2:4], [1, 1]).separable  # the same point twice with one label is no contradiction


@pytest.mark.parametrize(("m", "d"), [(40, 200), (3, 5000), (200, 200), (1, 1)])
def test_no_more_points_than_dimensions(m, d):
    rng = np.random.default_rng(m)
    V, y = rng.standard_normal((m, d)), rng.choice([-1.0, 1.0], m)
    result = certified(V, y)
    assert result.margin == pytest.approx(nearest_by_nnls(y[:, None] * V), rel=1e-9)


def test_norms_that_differ_by_many_powers():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        V = rng.standard_normal((20, 5)) * 10.0 ** rng.uniform(-3, 3, (20, 1))
        certified(V, np.where(V @ rng.standard_normal(5) >= 0, 1.0, -1.0))


def test_a_margin_is_found_although_norms_differ_by_sixteen_powers():
    worst = 0.0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        V = rng.standard_normal((20, 5)) * 10.0 ** rng.uniform(-8, 8, (20, 1))
        y = np.where(V @ rng.standard_normal(5) >= 0, 1.0, -1.0)
        result = hard_margin(V, y)
        assert result.separable
        assert (y * (V @ result.w) > 0).all()
        worst = max(worst, result.gap / result.upper)
    assert worst <= 1e-9


def test_a_product_within_its_rounding_does_not_count():
    assert 0.1 + 0.2 - 0.3 > 0
    assert not hard_margin([[0.1, 0.2, -0.3], [-0.1, -0.2, 0.3]], [1, 1]).separable
    points = Points(np.array([[0.1, 0.2, -0.3], [0.1, 0.2, -0.2]]), np.array([1.0, 1.0]))
    np.testing.assert_array_equal(points.served(np.ones(3))[0], [False, True])
    assert points.achieved(np.ones(3)) == 0.0
    assert points.achieved(np.ones(3), np.array([False, True])) > 0


def test_points_of_low_rank_have_short_certificates():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        V = rng.standard_normal((80, 4)) @ rng.standard_normal((4, 30))
        result = certified(V, rng.choice([-1.0, 1.0], 80))
        assert not result.separable
        assert np.count_nonzero(result.multipliers) <= 5
        assert result.upper <= 1e-14 * np.linalg.norm(V, axis=1).max()


def planted(rng, m, d, gap):
    """Points on both sides of a random hyperplane, the nearest ones facing each other: the margin is ``gap``."""
    w = rng.standard_normal(d)
    w /= np.linalg.norm(w)
    V = rng.standard_normal((m, d))
    y = rng.choice([-1.0, 1.0], m)
    V += np.multiply.outer(y * (gap + np.abs(V @ w)) - V @ w, w)
    V[0] = gap * w
    y[0] = 1.0
    return V, y


def test_a_known_margin_of_many_points_in_few_steps(monkeypatch):
    """Some ten a dimension, however many points: 480 to 610 entries and exits (six seeds); 1,500 are allowed here."""
    monkeypatch.setitem(hard_margin.__globals__, "MAX_STEPS", 10)
    V, y = planted(np.random.default_rng(0), 5_000, 50, 1e-3)
    result = certified(V, y)
    assert result.margin == pytest.approx(1e-3, rel=1e-9)
    y[4321] *= -1
    result = certified(V, y)
    assert not result.separable
    assert result.multipliers[4321] > 0
    assert result.upper <= 1e-14 * np.linalg.norm(V, axis=1).max()


def test_a_large_set_is_not_copied():
    V, y = planted(np.random.default_rng(1), 60_000, 150, 1e-2)
    tracemalloc.start()
    result = hard_margin(V, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.margin == pytest.approx(1e-2, rel=1e-9)
    assert peak < V.nbytes


@pytest.mark.skipif("LEARNABILITY_DATA" not in os.environ, reason="LEARNABILITY_DATA names no folder with mnist.npz")
def test_mnist_threes_against_fives():
    with np.load(os.path.join(os.environ["LEARNABILITY_DATA"], "mnist.npz")) as data:
        images, digits = data["x_train"].reshape(60_000, -1), data["y_train"]
    chosen = np.random.default_rng(0).permutation(np.flatnonzero((digits == 3) | (digits == 5)))
    V, y = images[chosen].astype(float), np.where(digits[chosen] == 3, 1.0, -1.0)
    assert not certified(V, y).separable
    V, y = V[:4000] / np.linalg.norm(V[:4000], axis=1).max(), y[:4000]
    result = certified(V, y)
    assert result.gap <= 1e-12 * result.upper
    assert result.margin == pytest.approx(0.0018089004, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hard_margin([[1.0]], [0]), "y must hold labels"),
        (lambda: hard_margin([[1.0], [2.0]], [1]), "y must have length 2"),
        (lambda: hard_margin([[float("nan")]], [1]), "V must be finite"),
        (lambda: hard_margin(np.empty((0, 3)), []), "V must have shape"),
        (lambda: hard_margin([[1.0]], [1], tolerance=0), "tolerance must be > 0"),
        (lambda: hard_margin([[1e300, 1.0]], [1]), "V must have its largest entry between 1e-250 and 1e250"),
        (lambda: hard_margin([[5e-324, 0.0]], [1]), "V must have its largest entry between 1e-250 and 1e250"),
        (lambda: lift([1.0, 2.0]), "V must have shape"),
        (lambda: margin_of([1.0], [[1.0, 2.0]], [1]), "w must have length 2"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 3))
def test_all_pairs_that_contradict_each_other_are_found(seed, m, d):
    """As many as a search through all pairs finds, in coordinates of which many are 0 or -0."""
    rng = np.random.default_rng(seed)
    V, y = rng.choice([-1.0, -0.0, 0.0, 1.0, 2.0], (m, d)), rng.choice([-1.0, 1.0], m)
    P = y[:, None] * V
    found = list(contradictions(Points(V, y)))
    zeros = [(i,) for i in range(m) if not P[i].any()]
    assert [one for one in found if len(one) == 1] == zeros
    used = [i for one in found for i in one]
    assert len(used) == len(set(used))
    for i, j in (pair for pair in found if len(pair) == 2):
        assert (P[i] == -P[j]).all()
    left = [i for i in range(m) if i not in used]
    assert not any((P[i] == -P[j]).all() for i in left for j in left)
