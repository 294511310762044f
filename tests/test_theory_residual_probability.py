"""Appendix B of Allen-Zhu & Li: tails against draws and against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from learnability.studies.residual.theorems.probability import (
    chaos_tail,
    chi_square_tail,
    indicator_bound,
    matrix_norm_bound,
    sparse_norm_bound,
    square_tail,
)


@pytest.mark.parametrize("m", [1, 5, 40])
def test_chi_square_tail_against_draws(m):
    squares = np.random.default_rng(m).chisquare(m, 400_000)
    for t in (0.3, 1.0, 3.0):
        share = (squares - m >= 2 * math.sqrt(m * t) + 2 * t).mean()
        assert chi_square_tail(m, t) == pytest.approx(share, abs=5 * math.sqrt(share / 400_000))
        assert share <= math.exp(-t)


@pytest.mark.parametrize(("m", "q"), [(1, 1.0), (4, 0.5), (30, 1.0), (30, 0.5)])
def test_tails_of_lemma_b3_against_draws(m, q):
    rng = np.random.default_rng(m)
    a, b = rng.standard_normal((2, 100_000, m))
    active = rng.random((100_000, m)) < q
    level = math.sqrt(m) + 1
    for tail, sums in (
        (chaos_tail, (a * b * active).sum(axis=1)),
        (square_tail, (a**2 * active).sum(axis=1) - q * m),
    ):
        share = (np.abs(sums) >= level).mean()
        assert tail(m, 1.0, q) == pytest.approx(share, abs=5 * math.sqrt(share / 100_000) + 1e-5)


def test_far_tails():
    """One product of two Gaussians: P[|a b| >= B (1 + B)] = (2/pi) times the integral of K_0 from there on."""
    from scipy.integrate import quad
    from scipy.special import k0

    for B in (1.0, 3.5, 5.0):
        exact = 2 / math.pi * quad(k0, B * (1 + B), np.inf)[0]
        assert chaos_tail(1, B) == pytest.approx(exact, rel=0.05)
    from scipy.stats import chi2

    assert square_tail(1, 3.5) == pytest.approx(chi2.sf(1 + 3.5 * 4.5, 1))
    assert square_tail(10_000, 1.0) == pytest.approx(chi2.sf(10_101, 10_000) + chi2.cdf(9899, 10_000))
    assert square_tail(2, 1.0, 0.5) < 1  # no unit active leaves the mean 1, which is less than the level


def test_the_bounds_are_the_formulas():
    assert indicator_bound(4.0) == pytest.approx(4 * math.exp(-2))
    assert matrix_norm_bound(9, 16, 2.0) == 9
    assert sparse_norm_bound(9, 16, 16) == pytest.approx(7)
    assert sparse_norm_bound(9, 16, 2, 1.0) == pytest.approx(4 + math.sqrt(2) + math.sqrt(2 * math.log(120)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chi_square_tail(0, 1.0), "m must be >= 1"),
        (lambda: chi_square_tail(1, 0.0), "t must be > 0"),
        (lambda: indicator_bound(0.5), "B must be >= 1"),
        (lambda: chaos_tail(10**5, 1.0), "m must be <= 10000"),
        (lambda: square_tail(10, 1.0, 0.0), "q must be > 0"),
        (lambda: sparse_norm_bound(2, 3, 4), "s must be <= 3"),
        (lambda: matrix_norm_bound(2, 3, -1.0), "t must be >= 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
