"""Intervals against their formulas, and the rule that makes verdicts of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from learnability.evidence.claims import Claims, decide
from learnability.evidence.intervals import every, exponent, exponents, extreme, mean, slope, summarised


def test_a_slope_of_two_points_has_no_limits():
    found = slope([1.0, 2.0], [3.0, 7.0])
    assert found.estimate == pytest.approx(4)
    assert math.isnan(found.low)
    assert decide(found, 0.0, "at_least")[0] is None
    assert math.isnan(slope([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]).estimate)


def test_the_exponent_is_the_slope_of_the_logarithms():
    x = np.array([1.0, 2.0, 5.0, 9.0])
    assert exponent(x, 7 * x**2.5).estimate == pytest.approx(2.5)
    y = x**2 * np.array([1.0, 1.1, 0.9, 1.05])
    assert math.isnan(exponent(x, [0.0, 1.0, 2.0, 3.0]).estimate)
    assert exponent(x, y, comparisons=3).high == slope(np.log(x), np.log(y), comparisons=3).high > 2


def test_exponents_are_fitted_for_each_seed():
    x = np.array([1.0, 2.0, 5.0])
    found, expected = exponents(x, [x, 3 * x**2, x**2.5]), mean([1, 2, 2.5])
    assert (found.estimate, found.low, found.high) == pytest.approx((expected.estimate, expected.low, expected.high))


class TestExtreme:
    def test_one_run_refutes_however_few_there_are(self):
        measured, said = decide(extreme([0.9, 0.5], 0.69, "at_least"), 0.69, "at_least")
        assert measured == 0.5
        assert "least of all 0.5" in said

    def test_all_runs_confirm_from_three_on(self):
        assert decide(extreme([0.9, 0.8], 0.69, "at_least"), 0.69, "at_least")[0] is None
        measured, said = decide(extreme([0.9, 0.8, 0.7], 0.69, "at_least"), 0.69, "at_least")
        assert measured == 0.7
        assert "a share of at least 0.29 keeps to the bound) 0.7 over 3 runs" in said  # 0.025^(1/3)

    def test_from_above(self):
        assert decide(extreme([1.0, 2.0, 3.0], 3.0, "at_most"), 3.0, "at_most")[0] == 3.0
        assert decide(extreme([1.0, 2.0, 4.0], 3.0, "at_most"), 3.0, "at_most")[0] == 4.0

    def test_nothing_and_nan_measure_nothing(self):
        assert decide(extreme([], 1.0, "at_most"), 1.0, "at_most")[0] is None
        assert decide(extreme([0.0, math.nan, 0.5], 1.0, "at_most"), 1.0, "at_most")[0] is None


def test_a_mean_from_its_summary():
    values = np.array([1.0, 2.0, 4.0, 4.5])
    found = summarised(float(values.mean()), float(values.std(ddof=1)), 4, comparisons=2)
    assert (found.low, found.count) == (mean(values, comparisons=2).low, 4)
    assert found.high == pytest.approx(values.mean() + 4.1765 * values.std(ddof=1) / 2, rel=1e-4)  # t(3), 97.5 %


def test_one_run_of_two_refutes_and_the_note_counts_the_runs_there_are():
    found = Claims("toy", "Nobody")("all", "nowhere", 1.0, every([True, False]), "at_least")
    assert found.verdict == "violated"
    assert found.note.endswith("over 2 runs")
    none = Claims("toy", "Nobody")("all", "nowhere", 1.0, every([]), "at_least")
    assert (none.verdict, none.note) == ("not_measured", "no runs: at least 3 runs are needed")
