"""The best hinge loss of a linear class: certificates recomputed, other solvers, cases that are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.kernels.features import parities, random_layer
from learnability.theory.linear_class import best_hinge, hinge_loss, hinge_lower


def certified(features, y, p, norm, tolerance=1e-7):
    """The result, with both certificates recomputed by their definitions."""
    found = best_hinge(features, y, p, norm=norm, tolerance=tolerance)
    p = np.full(len(y), 1 / len(y)) if p is None else np.asarray(p, float)
    assert np.linalg.norm(found.w) <= norm * (1 + 1e-12)
    assert (found.multipliers >= 0).all()
    assert (found.multipliers <= p).all()
    value = sum(q * max(0.0, 1 - label * (psi @ found.w)) for q, label, psi in zip(p, y, features, strict=True))
    assert value == pytest.approx(found.value, rel=1e-12, abs=1e-15)
    pulled = sum(a * label * psi for a, label, psi in zip(found.multipliers, y, features, strict=True))
    assert max(0.0, found.multipliers.sum() - norm * np.linalg.norm(pulled)) == pytest.approx(found.lower, abs=1e-12)
    assert 0 <= found.gap <= tolerance * p.sum() * 1.001
    return found


def problem(rng, m, N):
    features = rng.uniform(-1, 1, (m, N))
    return features, rng.choice([-1.0, 1.0], m), rng.dirichlet(np.ones(m))


@given(seed=st.integers(0, 2**32 - 1), m=st.integers(1, 40), N=st.integers(1, 60), size=st.floats(-3, 4))
@settings(max_examples=60)
def test_random_problems_are_certified(seed, m, N, size):
    features, y, p = problem(np.random.default_rng(seed), m, N)
    certified(features, y, p, 10.0**size)


def test_the_regularised_support_vector_machine_has_the_best_loss_of_its_norm():
    from sklearn.svm import LinearSVC

    for seed, C in itertools.product(range(3), (0.1, 1.0, 10.0)):
        features, y, p = problem(np.random.default_rng(seed), 60, 5)
        features[:, 0] += 0.3 * y
        machine = LinearSVC(loss="hinge", C=C, fit_intercept=False, tol=1e-10, max_iter=500_000)
        w = machine.fit(features, y, sample_weight=60 * p).coef_[0]
        found = certified(features, y, p, float(np.linalg.norm(w)))
        assert found.value == pytest.approx(hinge_loss(features, y, p, w), abs=2e-6)


def test_a_general_solver_finds_no_better():
    from scipy.optimize import minimize

    features, y, p = problem(np.random.default_rng(3), 25, 3)
    found = certified(features, y, p, 1.5)
    start = np.concatenate([np.zeros(3), np.full(25, 2.0)])
    other = minimize(
        lambda v: p @ v[3:],
        start,
        jac=lambda v: np.concatenate([np.zeros(3), p]),
        bounds=[(None, None)] * 3 + [(0, None)] * 25,
        constraints=[
            {"type": "ineq", "fun": lambda v: v[3:] - 1 + y * (features @ v[:3])},
            {"type": "ineq", "fun": lambda v: 1.5**2 - v[:3] @ v[:3]},
        ],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert other.fun == pytest.approx(found.value, abs=1e-6)


@pytest.mark.parametrize("norm", [0.05, 0.2, 0.7, 1.0])
def test_all_parities_attain_one_less_the_norm(norm):
    n, k = 8, 3
    S = np.array(list(itertools.product([1.0, -1.0], repeat=n)))
    features = parities(n, itertools.combinations(range(n), k))(S)
    assert certified(features, S[:, [1, 4, 6]].prod(axis=1), None, norm).value == pytest.approx(1 - norm, abs=1e-7)


def test_one_feature_by_hand():
    # hinge at +1 and +3: 0.5 max(0, 1 - w) + 0.5 max(0, 1 - 3 w)
    features, y = np.array([[1.0], [-3.0]]), np.array([1.0, -1.0])
    for norm, best in [(0.2, 0.5 * (0.8 + 0.4)), (0.5, 0.25), (2.0, 0.0)]:
        assert certified(features, y, None, norm).value == pytest.approx(best, abs=1e-7)


def test_no_norm_and_no_features_leave_loss_one():
    features, y, p = problem(np.random.default_rng(4), 10, 3)
    for found in (certified(features, y, p, 0.0), certified(0 * features, y, p, 5.0)):
        assert (found.value, found.lower) == pytest.approx((1.0, 1.0), abs=1e-15)
        assert not found.w.any()


def test_repeated_features_are_one_of_larger_norm():
    features, y, p = problem(np.random.default_rng(5), 50, 1)
    once = certified(features, y, p, 0.6)
    four = certified(np.repeat(features, 4, axis=1), y, p, 0.3)
    assert four.value == pytest.approx(once.value, abs=2e-7)
    assert np.ptp(four.w) < 1e-6


def test_repeated_points_are_one_of_larger_weight():
    features, y, p = problem(np.random.default_rng(6), 12, 30)
    once = certified(features, y, p, 1.1)
    index = np.repeat(np.arange(12), 3)
    assert certified(features[index], y[index], p[index] / 3, 1.1).value == pytest.approx(once.value, abs=2e-7)


def test_contradicting_points_cost_what_they_must():
    features, y = np.ones((2, 1)), np.array([1.0, -1.0])
    assert certified(features, y, [0.8, 0.2], 10.0).value == pytest.approx(0.4, abs=1e-7)


def test_points_without_weight_do_not_count_and_weights_need_no_sum_of_one():
    features, y, p = problem(np.random.default_rng(7), 30, 4)
    p[:10] = 0
    found = certified(features, y, 5 * p, 1.0)
    assert found.value == pytest.approx(5 * certified(features[10:], y[10:], p[10:], 1.0).value, abs=1e-6)
    assert not found.multipliers[:10].any()


def test_more_norm_helps_and_more_features_help():
    rng = np.random.default_rng(8)
    S = np.array(list(itertools.product([1.0, -1.0], repeat=8)))
    features, y = random_layer(rng, 8, 60, "tanh", bias=1.0)(S), S[:, :3].prod(axis=1)
    by_norm = [certified(features, y, None, norm).value for norm in (0.5, 5, 50, 500)]
    by_number = [certified(features[:, :N], y, None, 50.0).value for N in (5, 20, 60)]
    assert (np.diff(by_norm) <= 2e-7).all()
    assert (np.diff(by_number) <= 2e-7).all()
    assert by_norm[0] > by_norm[-1] + 0.1
    assert by_number[0] > by_number[-1] + 0.1


def test_large_norms_on_separable_points_reach_zero():
    features, _, p = problem(np.random.default_rng(9), 20, 40)
    y = np.sign(features[:, 0])
    found = certified(features, y, p, 1e6)
    assert found.value == 0


def test_values_recomputed_by_the_public_functions():
    features, y, p = problem(np.random.default_rng(10), 15, 4)
    found = best_hinge(features, y, p, norm=0.8)
    assert hinge_loss(features, y, p, found.w) == found.value
    assert hinge_lower(features, y, p, 0.8, found.multipliers) == found.lower
    assert hinge_lower(features, y, p, 0.8, 100 * p) == hinge_lower(features, y, p, 0.8, p)  # cut to the box


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm": -1.0}, "norm must be >= 0"),
        ({"norm": 1e101}, "norm times the largest feature must be <= 1e\\+100"),
        ({"tolerance": 0.0}, "tolerance must be > 0"),
        ({"y": [1.0, 0.0]}, "y must hold labels"),
        ({"p": [0.5, -0.5]}, "p must be >= 0"),
        ({"p": [0.0, 0.0]}, "p must have a positive sum"),
        ({"p": [1.0]}, "p must have length 2"),
        ({"features": [[np.inf], [0.0]]}, "features must be finite"),
    ],
)
def test_arguments(change, message):
    arguments = {"features": [[1.0], [0.5]], "y": [1.0, -1.0], "p": [0.5, 0.5], "norm": 1.0}
    with pytest.raises(ValueError, match=message):
        best_hinge(**{**arguments, **change})
