import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from learnability.theory.margins import hard_margin
from learnability.theory.margins import removal as separability_module
from learnability.theory.margins.removal import separable_subset


def separable(signed):
    """An oracle of its own: is there a w with signed w >= 1?"""
    m, d = signed.shape
    return m == 0 or linprog(np.zeros(d), A_ub=-signed, b_ub=-np.ones(m), bounds=(None, None)).status == 0


def fewest(signed):
    """The smallest removal, by trying all of them."""
    m = len(signed)
    for r in range(m + 1):
        for gone in itertools.combinations(range(m), r):
            if separable(np.delete(signed, gone, axis=0)):
                return r
    raise AssertionError


def checked(V, y, **options):
    """The result of separable_subset with every claim in it checked anew."""
    V, y = np.asarray(V, float), np.asarray(y, float)
    signed = y[:, None] * V
    result = separable_subset(V, y, **options)
    assert sorted([*result.removed, *result.kept]) == list(range(len(V)))
    assert (np.diff(result.removed) > 0).all()
    assert (np.diff(result.kept) > 0).all()
    if len(result.kept):
        assert result.rest.separable
        assert (signed[result.kept] @ result.rest.w > 0).all()
        assert result.rest.multipliers.shape == result.kept.shape
        assert result.rest.multipliers.sum() == pytest.approx(1)
        distance = np.linalg.norm(result.rest.multipliers @ signed[result.kept])
        assert distance == pytest.approx(result.rest.upper, rel=1e-9, abs=1e-15 * np.abs(V).max())
    used = [k for certificate in result.certificates for k in certificate.index]
    assert len(used) == len(set(used))
    for certificate in result.certificates:
        assert len(certificate.index) <= V.shape[1] + 1
        assert (certificate.multipliers > 0).all()
        assert certificate.multipliers.sum() == pytest.approx(1)
        assert np.abs(certificate.multipliers @ signed[certificate.index]).max() <= 1e-13 * np.abs(V).max()
        assert not separable(signed[certificate.index])
        assert set(certificate.index) & set(result.removed)
    assert result.at_least == len(result.certificates) <= len(result.removed)
    assert result.smallest == (result.at_least == len(result.removed))
    return result


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 3), st.booleans())
def test_against_all_removals(seed, m, d, whole):
    rng = np.random.default_rng(seed)
    V = rng.integers(-1, 2, (m, d)).astype(float) if whole else rng.standard_normal((m, d))
    y = rng.choice([-1.0, 1.0], m)
    signed, result = y[:, None] * V, checked(V, y)
    least = fewest(signed)
    assert result.at_least <= least <= len(result.removed) <= least + 1
    assert result.maximal
    for k in result.removed:  # none can come back alone
        assert not separable(signed[[*result.kept, k]])


def test_the_heuristic_is_mostly_right():
    rng = np.random.default_rng(1)
    found = optimal = 0
    for _ in range(25):
        V, y = rng.standard_normal((9, 2)), rng.choice([-1.0, 1.0], 9)
        found += len(checked(V, y).removed)
        optimal += fewest(y[:, None] * V)
    assert optimal <= found <= 1.1 * optimal


@pytest.mark.parametrize("steps", [1, 10, 100, 50_000])
def test_flipped_labels_are_found_with_any_budget(steps):
    rng = np.random.default_rng(2)
    w = rng.standard_normal(6)
    V = rng.standard_normal((400, 6))
    V = V[np.abs(V @ w) > 0.8][:200]
    y = np.sign(V @ w)
    flipped = [3, 17, 50, 120, 199]
    y[flipped] *= -1
    result = checked(V, y, steps=steps)
    assert set(result.removed) <= set(flipped)  # one flip can be served after all
    if steps == 50_000:
        assert len(result.removed) == 4
        assert result.maximal
        assert result.rest.gap <= 1e-9 * result.rest.upper
        assert result.rest.margin == pytest.approx(hard_margin(V[result.kept], y[result.kept]).margin, rel=1e-9)
    if steps == 1:
        assert not result.maximal


def test_a_separable_set_loses_nothing():
    V, y = [[2.0, 1.0], [-1.0, 1.0], [0.5, -3.0]], [1, -1, 1]
    result = checked(V, y)
    assert len(result.removed) == 0
    assert result.smallest
    assert result.certificates == ()
    assert result.rest.margin == pytest.approx(hard_margin(V, y).margin, rel=1e-12)


def test_zero_points_and_pairs_are_certificates_of_one_and_two():
    V = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [2.0, 1.0], [-2.0, -1.0], [1.0, -0.0], [0.0, -0.0], [5.0, 5.0]])
    result = checked(V, [1, 1, -1, 1, 1, 1, -1, 1])
    assert [list(c.index) for c in result.certificates] == [[1], [6], [0, 2], [3, 4]]
    assert len(result.removed) == 4
    assert result.smallest


def test_no_example_is_in_two_pairs():
    x = np.array([1.0, 2.0])
    result = checked([x, x, -x, -x, x, [0, 1]], [1, -1, 1, -1, 1, 1])
    assert [list(c.index) for c in result.certificates] == [[0, 1], [2, 3]]
    assert len(result.removed) == 2
    assert [list(c.index) for c in checked([x, x, -x], [1, -1, 1]).certificates] == [[0, 1]]


def test_what_is_said_to_be_maximal_is_so_for_any_budget():
    rng = np.random.default_rng(6)
    V = rng.standard_normal((60, 4))
    y = np.where(V[:, 0] + 0.5 * rng.standard_normal(60) > 0, 1.0, -1.0)
    seen = set()
    for steps in [*range(4, 1200, 23), 5000]:
        result = checked(V, y, steps=steps)
        seen.add(result.maximal)
        if result.maximal:
            for k in result.removed:
                assert not separable((y[:, None] * V)[[*result.kept, k]])
    assert seen == {False, True}


def test_a_trial_that_the_budget_cuts_short_is_no_proof(monkeypatch):
    V, y = [[1.0, 0.0], [-1.0, 1.0], [0.0, -1.0]], [1, 1, 1]  # they sum to zero
    assert checked(V, y).maximal

    def cut_short(solver, budget):
        solver.solved = False
        return 1, False

    monkeypatch.setattr(separability_module, "_cost", cut_short)
    assert not checked(V, y).maximal


def test_nothing_may_be_left():
    result = checked(np.zeros((3, 2)), [1, -1, 1])
    assert len(result.removed) == 3
    assert result.rest is None
    assert result.smallest


def test_a_constant_feature_with_two_labels_loses_the_rarer_one():
    result = checked(np.ones((7, 1)), [1, -1, 1, 1, -1, 1, 1])
    np.testing.assert_array_equal(result.removed, [1, 4])
    assert result.smallest


def test_the_units_of_the_coordinates_do_not_matter():
    rng = np.random.default_rng(4)
    V = rng.standard_normal((150, 5))
    y = np.where(V[:, 0] + 0.3 * rng.standard_normal(150) > 0, 1.0, -1.0)
    plain, scaled = checked(V, y), checked(V * np.array([1e-6, 1.0, 1e5, 1e-3, 10.0]), y)
    assert 0 < len(plain.removed) == len(scaled.removed)
    assert len(plain.removed) < 20
    assert plain.maximal
    assert plain.at_least >= 3


def test_the_same_points_give_the_same_answer():
    rng = np.random.default_rng(5)
    V, y = rng.standard_normal((80, 4)), rng.choice([-1.0, 1.0], 80)
    first, second = separable_subset(V, y), separable_subset(V.copy(), y.copy())
    np.testing.assert_array_equal(first.removed, second.removed)
    np.testing.assert_array_equal(first.rest.w, second.rest.w)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: separable_subset([[1.0]], [0]), "y must hold labels"),
        (lambda: separable_subset([[float("inf")]], [1]), "V must be finite"),
        (lambda: separable_subset([[1e300, 1.0]], [1]), "V must have its largest entry"),
        (lambda: separable_subset([[1.0]], [1], steps=0), "steps must be >= 1"),
        (lambda: separable_subset([[1.0]], [1], steps=1.5), "steps must be an integer"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
