"""Theorems 2 and 3 of Allen-Zhu & Li and Lemmas D.1 and D.2: all targets at once against one by one."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.problems import boolean
from learnability.studies.residual.theorems import lower
from learnability.studies.residual.theorems.lemmas import column_costs, lemma_d1, lemma_d2, parseval_error
from learnability.theory import Verdict


def best_error(values, target):
    """Least mean square over the span, by least squares on the points."""
    weights = np.linalg.lstsq(values, target, rcond=1e-11)[0]
    return float(((values @ weights - target) ** 2).mean())


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(1, 9), st.integers(0, 10**6), st.data())
def test_all_targets_at_once_are_least_squares_one_by_one(d, N, seed, data):
    k = data.draw(st.integers(2, d))
    alpha = data.draw(st.sampled_from([0.01, 0.3, 0.95]))
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((2**d, N)) * 10.0 ** rng.integers(-60, 60, N)
    if N > 2:
        values[:, 1] = 3 * values[:, 0]  # repeated training points
        values[:, 2] = 0
    found = lower.best_fits(values, k)
    signs = boolean.signs(d)
    assert [tuple(S) for S in found.members] == sorted(
        itertools.combinations(range(d), k), key=lambda S: sum(1 << j for j in S)
    )
    scaled = values / np.maximum(np.abs(values).max(axis=0), 1e-300)
    errors = found.errors(alpha)
    for row, S in enumerate(found.members):
        for column, i in enumerate(S):
            target = signs[:, i] + alpha * signs[:, S].prod(axis=1)
            assert errors[row, column] == pytest.approx(best_error(scaled, target), abs=1e-9)
    level = np.array([boolean.fourier_spectrum(column)[boolean.subset_masks(d, k)] for column in scaled.T]).T
    P = level @ np.linalg.pinv(level, rcond=1e-11)
    np.testing.assert_allclose(found.projections, np.diag(P), atol=1e-9)
    assert found.level_dimension == np.linalg.matrix_rank(level, tol=1e-11)
    assert found.dimension == np.linalg.matrix_rank(scaled, tol=1e-9)
    assert (errors >= alpha**2 * (1 - found.projections[:, None]) - 1e-9).all()


def test_projections_sum_to_the_dimension_of_the_level():
    rng = np.random.default_rng(0)
    found = lower.best_fits(rng.standard_normal((64, 7)), 3)
    assert found.projections.sum() == pytest.approx(7)
    assert found.level_dimension == found.dimension == found.functions == 7
    assert found.targets == 20


def test_a_span_of_everything_has_no_error_and_proves_nothing():
    found = lower.best_fits(np.eye(16), 2)
    assert found.errors(0.5).max() < 1e-12
    guarantees = {g.id: g for g in lower.theorem2(found, 0.5)}
    assert guarantees["residual/thm2"].measured == 0
    assert guarantees["residual/thm2-count"].measured == 6
    assert {g.verdict for g in guarantees.values()} == {Verdict.OUTSIDE}


def few(**changes):
    """Two random functions on 2^14 points, C(14, 7) = 3432."""
    rng = np.random.default_rng(1)
    return replace(lower.best_fits(rng.standard_normal((2**14, 2)), 7), **changes)


def test_theorem2_can_fail():
    honest = few()
    assert {g.verdict for g in lower.theorem2(honest, 0.3)} == {Verdict.HOLDS}
    everything = few(singles=np.ones(14), sets=np.ones(3432))  # as no span of two functions has it
    assert {g.verdict for g in lower.theorem2(everything, 0.3)} == {Verdict.VIOLATED}
    share, count, *_ = lower.theorem2(everything, 0.3)
    assert (share.measured, count.measured, count.bound) == (0, 3432, 2)
    assert lower.theorem2(few(functions=4), 0.3)[0].verdict is Verdict.OUTSIDE


def test_theorem2_of_numbers():
    share, count, average, outputs = lower.theorem2(few(functions=3), 0.5, case="x")
    assert share.id == "residual/thm2[x]"
    assert share.bound == 0.99
    assert count.bound == 3  # floor(16 * 3 / 15)
    assert average.bound == pytest.approx(0.25 * (1 - 3 / 3432))
    assert outputs.bound == pytest.approx(7 * average.bound)
    assert outputs.measured == pytest.approx(few().errors(0.5).sum(axis=1).mean())
    assert average.measured == pytest.approx(few().errors(0.5).min(axis=1).mean())
    assert share.measured == 1
    assert lower.theorem2(few(functions=1000), 0.5)[1].bound == 1066
    assert lower.theorem3(few(), 0.5)[0].id == "residual/thm3"
    assert "D = 2" in lower.theorem3(few(), 0.5)[0].hypotheses[0].detail


def test_fifteen_features_serve_sixteen_targets():
    masks = boolean.subset_masks(6, 3)[:16]
    spectra = np.zeros((64, 21))
    spectra[1 << np.arange(6), np.arange(6)] = 1
    spectra[masks[:, None], 6 + np.arange(15)] = np.linalg.svd(np.ones((1, 16)))[2][1:].T
    found = lower.best_fits(np.array([boolean.from_spectrum(c) for c in spectra.T]).T, 3)
    np.testing.assert_allclose(found.projections[:16], 15 / 16, atol=1e-12)
    np.testing.assert_allclose(found.errors(0.3)[:16], 0.3**2 / 16, atol=1e-12)
    assert lower.theorem3(found, 0.3)[1].measured == 16


def test_each_output_may_have_its_own_span():
    rng = np.random.default_rng(2)
    spans = [lower.best_fits(rng.standard_normal((32, n)), 2) for n in (3, 5)]
    total = lower.target_errors(spans, 0.4)
    np.testing.assert_allclose(total, spans[0].errors(0.4)[:, 0] + spans[1].errors(0.4)[:, 1])
    np.testing.assert_allclose(lower.target_errors(spans[:1], 0.4), spans[0].errors(0.4).sum(axis=1))
    assert "N = 5" in lower.theorem2(spans, 0.4)[3].hypotheses[0].detail
    with pytest.raises(ValueError, match="one for each of the 2 outputs"):
        lower.target_errors([spans[0]] * 3, 0.4)
    with pytest.raises(ValueError, match="of one d and k"):
        lower.target_errors([spans[0], lower.best_fits(np.ones((16, 1)), 2)], 0.4)


def test_values_on_the_cube(monkeypatch):
    monkeypatch.setattr(lower, "BLOCK", 3)
    signs = boolean.signs(4)
    np.testing.assert_array_equal(lower.values_on_cube(lambda X: X, 4), signs / 2)
    others = np.array([[0.5], [2.0]])
    with_others = lower.values_on_cube(lambda X: np.column_stack([X[:, 0], X[:, 4], X[:, 1] * X[:, 4]]), 4, others)
    wanted = np.column_stack([signs[:, 0], np.full(16, 1.25 * 5**0.5), 1.25 * signs[:, 1]]) / 5**0.5
    np.testing.assert_allclose(with_others, wanted, atol=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lower.values_on_cube(lambda X: X[:1], 3), "function must give 8 rows for 8 points, got 1"),
        (lambda: lower.values_on_cube(lambda X: X / 0, 3), "must be finite"),
        (lambda: lower.values_on_cube(lambda X: X, 21), "d must be <= 20, got 21"),
        (lambda: lower.values_on_cube(lambda X: np.ones((len(X), 300)), 18), "at most 256 columns for d = 18"),
        (lambda: lower.best_fits(np.ones((6, 1)), 2), r"2\^d rows, got 6"),
        (lambda: lower.best_fits(np.ones((8, 1)), 1), "k must be >= 2, got 1"),
        (lambda: lower.best_fits(np.ones((8, 1)), 4), "k must be <= 3, got 4"),
        (lambda: lower.best_fits(np.ones((8, 1)), 2).errors(1.0), "alpha must be < 1, got 1.0"),
        (lambda: lower.best_fits(np.ones((8, 1)), 2).errors(1e-5), "alpha must be >= 0.0001"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_bad_input_of_the_lower_bounds(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Lemmas D.1 and D.2


def test_parseval_error_is_the_mean_over_the_cube():
    rng = np.random.default_rng(3)
    spectrum, signs = rng.standard_normal(16), boolean.signs(4)
    f = boolean.from_spectrum(spectrum)
    direct = ((f - signs[:, 2] - 0.4 * signs[:, [1, 2, 3]].prod(axis=1)) ** 2).mean()
    assert parseval_error(spectrum, 2, (1, 2, 3), 0.4) == pytest.approx(direct)


def test_lemma_d1_is_attained_and_outside_when_far():
    spectrum = np.zeros(16)
    spectrum[1], spectrum[0b0011] = 1, 0.75 * 0.4
    weight, rest = lemma_d1(boolean.from_spectrum(spectrum), 0, (0, 1), 0.4)
    assert weight.verdict is Verdict.HOLDS
    assert weight.slack == pytest.approx(0, abs=1e-15)
    assert rest.measured == 0
    spectrum[0b0011], spectrum[0b0110] = 0.4, 0.1
    weight, rest = lemma_d1(boolean.from_spectrum(spectrum), 0, (0, 1), 0.4)
    assert rest.verdict is Verdict.HOLDS
    assert rest.measured == pytest.approx(rest.bound)
    spectrum[0b0111] = 0.01  # of another level: only the error sees it
    weight, rest = lemma_d1(boolean.from_spectrum(spectrum), 0, (0, 1), 0.4)
    assert weight.verdict is rest.verdict is Verdict.OUTSIDE
    assert rest.measured == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones(6), 0, (0, 1), 0.1), r"length 2\^d, got 6"),
        ((np.ones(8), 0, (0,), 0.1), "at least two"),
        ((np.ones(8), 2, (0, 1), 0.1), "i must be in S"),
        ((np.ones(8), 0, (0, 3), 0.1), "S must be <= 2, got 3"),
        ((np.ones(8), 0, (0, 1), 0.0), "alpha must be > 0"),
    ],
)
def test_bad_input_of_lemma_d1(arguments, message):
    with pytest.raises(ValueError, match=message):
        lemma_d1(*arguments)


@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(1, 8), st.integers(0, 10**6))
def test_column_costs_are_constrained_least_squares(N, R, seed):
    """Small integers, whose least singular value that is not 0 is no rounding; compared are the shares pi_r.

    The squared product of the singular values that are not 0 is a sum of squared minors, at least 1.
    """
    rng = np.random.default_rng(seed)
    M = rng.choice([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], (N, R))
    if N > 1:
        M[1] = M[0]
    costs = column_costs(M)
    for r in range(R):
        # With a = p + Q b, <M_r, p> = 1, Q spanning M_r's orthogonal complement.
        p = M[:, r] / (M[:, r] @ M[:, r])
        Q = np.linalg.svd(M[:, [r]].T)[2][1:].T
        others = np.delete(M, r, axis=1).T
        free = np.where(np.abs(others @ Q) < 1e-12, 0, others @ Q)  # equal rows leave nothing but rounding
        b = np.linalg.lstsq(free, -others @ p, rcond=1e-10)[0] if N > 1 else np.zeros(0)
        least = ((others @ (p + Q @ b)) ** 2).sum()
        assert 1 / (1 + costs[r]) == pytest.approx(1 / (1 + least), abs=1e-9)


def test_lemma_d2_is_attained_and_can_fail_to_apply():
    M = np.hstack([np.linalg.svd(np.ones((1, 10)))[2][1:], np.zeros((9, 8))])
    printed, sharper = lemma_d2(M)
    np.testing.assert_allclose(column_costs(M)[:10], 1 / 9)
    assert np.isinf(column_costs(M)[10:]).all()
    assert (printed.verdict, printed.bound, printed.measured) == (Verdict.HOLDS, 17, 10)
    assert (sharper.verdict, sharper.bound, sharper.measured) == (Verdict.HOLDS, 10, 10)
    eight = np.hstack([np.linalg.svd(np.ones((1, 9)))[2][1:], np.zeros((8, 8))])
    np.testing.assert_allclose(column_costs(eight)[:9], 1 / 8)
    assert lemma_d2(eight)[0].measured == 0
    printed, sharper = lemma_d2(np.eye(3))
    assert printed.verdict is sharper.verdict is Verdict.OUTSIDE
    assert printed.measured == 3
    assert np.isinf(column_costs(np.zeros((2, 3)))).all()


def test_without_a_cut_the_span_is_at_least_as_large():
    X = boolean.signs(6)[:5] / 6**0.5
    values = lower.values_on_cube(lambda P: np.exp(-((P[:, None] - X) ** 2).sum(axis=2) / 1e5), 6)  # nearly constant
    values = np.hstack([values, values[:, :1]])
    cut, whole = lower.best_fits(values, 3), lower.best_fits(values, 3, rounding=0.0)
    assert cut.dimension <= whole.dimension <= 6
    assert (whole.errors(0.3) <= cut.errors(0.3) + 1e-9).all()
    with pytest.raises(ValueError, match="rounding must be < 1"):
        lower.best_fits(values, 3, rounding=1.0)


def test_the_cut_is_where_it_is_said_to_be():
    """1 and 1 + x_1 / 2^44 in float64, exactly: a direction above rounding, cut or kept as it is asked."""
    values = np.column_stack([np.ones(16), 1 + boolean.signs(4)[:, 0] * 2.0**-44])
    cut, kept = lower.best_fits(values, 2), lower.best_fits(values, 2, rounding=2.0**-46)
    assert (cut.dimension, kept.dimension, lower.best_fits(values, 2, rounding=0.0).dimension) == (1, 2, 2)
    np.testing.assert_allclose(cut.singles, 0, atol=1e-12)
    np.testing.assert_allclose(kept.singles, [1, 0, 0, 0], atol=0.01)


@pytest.mark.parametrize("theorem", [lower.theorem2, lower.theorem3])
def test_theorems_of_nothing_or_of_a_wrong_alpha(theorem):
    with pytest.raises(ValueError, match="fits must hold at least one, got none"):
        theorem([], 0.3)
    with pytest.raises(ValueError, match=r"alpha must be >= 0\.0001"):
        theorem(few(), 1e-5)
    with pytest.raises(ValueError, match="alpha must be < 1"):
        theorem(few(), 1.0)
    assert theorem(few(), 1e-4)[0].verdict is Verdict.HOLDS
