"""What the benchmarks share: the order of windows, ratios with an interval."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import Samples, alternating, ratio


def test_windows_alternate_and_the_first_call_is_not_counted():
    calls = []

    def loop(name):
        def window():
            calls.append(name)
            return float(len(calls))

        return window

    found = alternating({"a": loop("a"), "b": loop("b")}, windows=3)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"
    assert found == {"a": Samples((3.0, 6.0, 7.0)), "b": Samples((4.0, 5.0, 8.0))}
    calls.clear()
    assert len(alternating({"a": loop("a")}, windows=2, seconds=1e6, warm=False, most=7)["a"].values) == 7


def test_a_ratio_compares_rounds_that_were_timed_together():
    slowed = (1.0, 1.0, 5.0, 1.0, 5.0)  # two rounds were disturbed, for both alike
    a, b = Samples(tuple(3 * value for value in slowed)), Samples(slowed)
    assert ratio(a, b) == pytest.approx((3.0, 3.0, 3.0))
    apart = ratio(a, Samples((*slowed, 1.0)))
    assert apart.ratio == 3.0
    assert apart.low < 3.0 < apart.high


def test_the_interval_holds_what_the_rounds_say():
    a, b = Samples((2.0, 2.1, 1.9, 2.2, 1.8)), Samples((1.0, 1.1, 0.9, 1.0, 1.0))
    found = ratio(a, b)
    assert found.ratio == 2.0
    assert 1.6 < found.low < 2.0 < found.high < 2.4
    assert found == ratio(a, b), "the draws are the same at every call"
    assert str(found) == f"2.00 ({found.low:.2f} to {found.high:.2f})"
