"""The Boolean toolbox against Hadamard's matrix, enumeration and exact fractions."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.problems import boolean, walsh

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import walsh_hadamard


@pytest.mark.parametrize("n", range(11))
def test_the_transform_is_hadamards_matrix(n):
    values = np.random.default_rng(n).integers(-9, 10, 2**n)
    np.testing.assert_array_equal(boolean.walsh_hadamard(values), scipy.linalg.hadamard(2**n) @ values)


@pytest.mark.parametrize("n", [*range(17), 18, 19, 20])
def test_the_compiled_transform_is_the_plain_one_to_the_last_bit(n):
    values = np.random.default_rng(n).standard_normal(2**n) * 10.0 ** np.random.default_rng(1).integers(-8, 8, 2**n)
    expected = values.copy()
    walsh.plain(expected)
    kept = values.copy()
    np.testing.assert_array_equal(boolean.walsh_hadamard(values), expected)
    np.testing.assert_array_equal(values, kept)


def test_without_a_compiler():
    code = (
        "import numpy as np; from learnability.problems import boolean\n"
        "assert boolean.walsh_hadamard([1, 2, 3, 4]).tolist() == [10, -2, -4, 0]"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PATH": ""}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=600)


@settings(max_examples=40)
@given(st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_parseval_inversion_and_degrees(n, seed):
    f = np.random.default_rng(seed).standard_normal(2**n)
    spectrum = boolean.fourier_spectrum(f)
    assert np.mean(f**2) == pytest.approx(np.sum(spectrum**2), rel=1e-12)
    np.testing.assert_allclose(boolean.from_spectrum(spectrum), f, rtol=1e-12, atol=1e-13)
    weights = boolean.weight_by_degree(spectrum)
    assert weights.shape == (n + 1,)
    for k in range(n + 1):
        masks = boolean.subset_masks(n, k)
        assert len(masks) == math.comb(n, k)
        assert weights[k] == pytest.approx(np.sum(spectrum[masks] ** 2), rel=1e-12, abs=1e-300)


def test_characters_are_points_of_the_spectrum():
    n = 6
    points = boolean.signs(n)
    assert points[5].tolist() == [-1, 1, -1, 1, 1, 1]
    for S in ((), (0,), (1, 4), (5, 0, 2), tuple(range(n))):
        chi = boolean.character(S, points)
        np.testing.assert_array_equal(chi, [math.prod(row[j] for j in S) for row in points])
        spectrum = np.zeros(2**n)
        spectrum[boolean.mask_of(S)] = 1
        np.testing.assert_array_equal(boolean.fourier_spectrum(chi), spectrum)
    np.testing.assert_array_equal(boolean.signs(n, 11, 13), points[11:13])
    np.testing.assert_array_equal(boolean.signs(24, 2**24 - 1), -np.ones((1, 24)))


@given(st.sets(st.integers(0, 80)))
def test_masks(S):
    assert boolean.subset_of(boolean.mask_of(S)) == tuple(sorted(S))


def test_subset_masks_and_degrees_by_counting():
    assert boolean.subset_masks(4, 2).tolist() == [3, 5, 6, 9, 10, 12]
    assert boolean.degrees(3).tolist() == [0, 1, 1, 2, 1, 2, 2, 3]
    masks = boolean.subset_masks(10, 3)
    assert masks.tolist() == sorted(boolean.mask_of(S) for S in itertools.combinations(range(10), 3))


# Laws of sums


def exact_signed_law(l, m):
    """Coefficients of (1-z)^l (1+z)^m as fractions of 2^(l+m)."""
    c = [1]
    for sign in [-1] * l + [1] * m:
        c = [a + sign * b for a, b in zip([*c, 0], [0, *c], strict=True)]
    return [Fraction(a, 2 ** (l + m)) for a in c]


@pytest.mark.parametrize(
    ("l", "m"),
    [(0, 0), (0, 7), (3, 0), (1, 1), (4, 9), (9, 4), (5, 5), (7, 60), (30, 40), (8, 500), (200, 10), (300, 0)],
)
def test_signed_law_against_integers(l, m):
    exact = np.array([float(w) for w in exact_signed_law(l, m)])
    law = boolean.signed_sum_law(l, m)
    np.testing.assert_allclose(law, exact, rtol=0, atol=1e-14 * np.abs(exact).max())


@pytest.mark.parametrize("m", [0, 1, 2, 15, 16, 31, 33, 1000, 1023])
def test_law_of_signs_is_accurate_far_into_its_tails(m):
    exact = np.array([math.comb(m, i) / 2**m for i in range(m + 1)])
    np.testing.assert_allclose(boolean.sign_sum_law(m), exact, rtol=1e-12)
    middle = exact > 1e-12
    np.testing.assert_allclose(boolean.sign_sum_law(m)[middle], exact[middle], rtol=2e-14)


def test_law_of_many_signs():
    mpmath = pytest.importorskip("mpmath")
    m = 100_001
    law = boolean.sign_sum_law(m)
    assert law.sum() == pytest.approx(1, abs=1e-13)
    with mpmath.workdps(50):
        for i in (50_000, 49_700, 48_500, 45_000):
            assert law[i] == pytest.approx(float(mpmath.binomial(m, i) / mpmath.mpf(2) ** m), rel=1e-13)
            signed = sum((-1) ** a * mpmath.binomial(7, a) * mpmath.binomial(m - 7, i - a) for a in range(8))
            assert boolean.signed_sum_law(7, m - 7)[i] == pytest.approx(float(signed / mpmath.mpf(2) ** m), rel=1e-12)


@settings(max_examples=30)
@given(st.integers(0, 4), st.integers(0, 5), st.integers(-4, 4), st.integers(0, 2**31))
def test_correlation_by_enumeration(l, m, shift, seed):
    table = np.random.default_rng(seed).standard_normal(60)

    def f(s):
        return table[np.asarray(s, dtype=int) + 30]

    total = [math.prod(x[:l]) * table[shift + sum(x) + 30] for x in itertools.product((-1, 1), repeat=l + m)]
    assert boolean.correlation(f, l, m, shift) == pytest.approx(np.mean(total), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("k", [0, 1, 2, 3, 6])
def test_lazy_law_by_enumeration(k):
    sums = [sum(w) for w in itertools.product((-1, 0, 1), repeat=k)]
    expected = [sums.count(s) / 3**k for s in range(-k, k + 1)]
    np.testing.assert_allclose(boolean.lazy_sum_law(k), expected, rtol=1e-15)


def test_good_neurons_of_the_paper():
    """The shares of good neurons that Lemma 9 needs, T_k / 3^k."""
    for k, numerator in ((3, 7), (5, 51), (7, 393), (9, 3139)):
        assert boolean.lazy_sum_law(k)[k] == numerator / 3**k
    law = boolean.lazy_sum_law(2000)
    assert law.sum() == pytest.approx(1, rel=1e-14)
    assert law[2000] == pytest.approx(math.sqrt(3 / (4 * math.pi * 2000)), rel=1e-3)


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: boolean.walsh_hadamard(np.zeros(3)), r"\(2\^n,\) with n <= 24, got shape \(3,\)"),
        (lambda: boolean.walsh_hadamard(np.zeros(0)), "got shape"),
        (lambda: boolean.walsh_hadamard(np.zeros((2, 2))), "got shape"),
        (lambda: boolean.walsh_hadamard(np.zeros(2**25, dtype=np.int8)), "n <= 24"),
        (lambda: boolean.walsh_hadamard([1, 2, 3, np.inf]), "values must be finite, got inf at index"),
        (lambda: boolean.walsh_hadamard([1e308, 1e308]), "finite sum"),
        (lambda: boolean.walsh_hadamard([1j, 2]), "real numbers"),
        (lambda: boolean.walsh_hadamard(["a", "b"]), "real numbers"),
        (lambda: boolean.weight_by_degree(np.zeros(6)), "spectrum must have shape"),
        (lambda: boolean.signs(25), "n must be <= 24"),
        (lambda: boolean.signs(3, 4, 9), "stop must be <= 8"),
        (lambda: boolean.signs(3, 4, 4), "start must be <= 3"),
        (lambda: boolean.character((0, 3), np.ones((2, 3))), r"0\.\.2, got 3"),
        (lambda: boolean.character((0,), np.zeros((2, 3))), r"-1 and \+1 only"),
        (lambda: boolean.mask_of((1, 1)), "S must hold each coordinate once"),
        (lambda: boolean.mask_of((-1,)), "must be >= 0"),
        (lambda: boolean.subset_of(-2), "must be >= 0"),
        (lambda: boolean.subset_masks(4, 5), "k must be <= 4"),
        (lambda: boolean.degrees(30), "n must be <= 24"),
        (lambda: boolean.signed_sum_law(-1, 3), "l must be >= 0"),
        (lambda: boolean.sign_sum_law(2.5), "m must be an integer"),
        (lambda: boolean.lazy_sum_law(-1), "k must be >= 0"),
        (lambda: boolean.correlation(lambda t: t[:1], 1, 3), r"f\(sums\) must have length 5"),
        (lambda: boolean.correlation(lambda t: 1 / (t * 0 + 1) - np.inf, 1, 3), r"f\(sums\) must be finite"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_benchmark_runs(tmp_path, capsys):
    report = walsh_hadamard.main(["--quick", "--json", str(tmp_path / "report.json")])
    assert [row["n"] for row in report["rows"]] == list(walsh_hadamard.QUICK)
    for row in report["rows"]:
        assert row["equal_to_plain"]
        assert min(value for name, value in row.items() if name.endswith("_s")) > 0
    assert report["rows"][0]["matrix_error"] < 1e-12
    assert (tmp_path / "report.json").exists()
    assert "Hadamard matrix" in capsys.readouterr().out


# Expectations by enumeration


def test_expectation_is_that_of_the_spectrum_and_of_a_distribution():
    f = lambda S: (1 + S[:, 0] + 2 * S[:, 1] * S[:, 15]) ** 2  # noqa: E731
    assert boolean.expectation(f, 16) == pytest.approx(1 + 1 + 4)  # Parseval
    p = np.random.default_rng(0).dirichlet(np.ones(2**15))
    points = boolean.signs(15)
    assert boolean.expectation(lambda S: S[:, 3] * S[:, 14], 15, probabilities=p) == pytest.approx(
        float(p @ (points[:, 3] * points[:, 14])), abs=1e-14
    )


def test_expectation_refuses():
    for arguments, message in (
        ((lambda S: S, 3), "function's values must be one-dimensional"),
        ((lambda S: S[:1, 0], 3), "function's values must have length 8"),
        ((lambda S: S[:, 0], 25), "n must be <= 24"),
    ):
        with pytest.raises(ValueError, match=message):
            boolean.expectation(*arguments)
    with pytest.raises(ValueError, match="probabilities must have length 8"):
        boolean.expectation(lambda S: S[:, 0], 3, probabilities=[0.5, 0.5])
