"""The exact first step against plain loops over the cube, exact integers and mpmath; its benchmark."""

from __future__ import annotations

import itertools
import json
import math
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks.parity import ParityNet, good_neurons, initial, relu6_slope
from learnability.problems import boolean
from learnability.problems.parity import ParityMixture, random_mixture
from learnability.training.population.first_step import correlation, first_step

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import parity_first_step


def by_loops(W, b, problem):
    """E[y s_j sigma'], E[y sigma'], E[y sigma] of every unit: Section 2 as it is written, point by point."""
    n, k = problem.n, problem.k
    G, g, h = np.zeros(W.shape), np.zeros(len(W)), np.zeros(len(W))
    for s in itertools.product((-1, 1), repeat=n):
        within = [s[j] for j in problem.support]
        mass = (1 - problem.share) * 0.5**n
        if len(set(within)) == 1:
            mass += problem.share * 0.5 * 0.5 ** (n - k)
        y = math.prod(within)
        for i, w in enumerate(W):
            z = sum(float(wj) * sj for wj, sj in zip(w, s, strict=True)) / math.sqrt(n) + b[i]
            if 0 < z < 6:
                g[i] += mass * y
                G[i] += mass * y * np.array(s)
            h[i] += mass * y * min(max(z, 0), 6)
    return G, g, h


def by_enumeration(W, b, problem):
    """The same from sums of integers over arrays, which no order of summation rounds."""
    n, k, share = problem.n, problem.k, problem.share
    X, y, _, p2 = problem.enumerate()
    S = np.sign(X)
    t = S @ np.asarray(W, dtype=float).T
    z = t / np.sqrt(n) + b
    slope = relu6_slope(z)
    G, g, h = np.zeros((len(t.T), n)), np.zeros(len(t.T)), np.zeros(len(t.T))
    for mass, chosen in (((1 - share) * 0.5**n, np.ones(len(y))), (share * 0.5 ** (n - k + 1), p2 > 0)):
        weights = chosen * y
        active = weights @ slope
        G += mass * ((weights[:, None] * slope).T @ S)
        g += mass * active
        h += mass * (weights @ (slope * t) / np.sqrt(n) + b * active + 6 * (weights @ (z >= 6)))
    return G, g, h


def units(rng, problem, count):
    """Random weights, and rows with every number of zeros in A, equal signs, nothing outside A or nothing at all."""
    n, A = problem.n, list(problem.support)
    W = rng.integers(-1, 2, (count, n)).astype(np.int8)
    W[0], W[1], W[2] = 0, 1, -1
    for zeros in range(problem.k + 1):
        W[3 + zeros, A] = [0] * zeros + list(rng.choice([-1, 1], problem.k - zeros))
    W[3 + problem.k + 1] = 0
    W[3 + problem.k + 1, A] = 1
    return W


def assert_correlation(W, b, problem, expected, atol=1e-13):
    found = correlation(W, b, problem)
    G, g, h = expected
    np.testing.assert_allclose(found.dense(W), G, rtol=0, atol=atol)
    np.testing.assert_allclose(found.bias, g, rtol=0, atol=atol)
    np.testing.assert_allclose(found.output, h, rtol=0, atol=atol)
    return found


# The exact first step


def test_the_enumeration_is_the_plain_loop():
    problem = ParityMixture(7, (0, 2, 5), 0.3)
    W = units(np.random.default_rng(0), problem, 9)
    b = np.linspace(-0.5, 2, 9)
    for ours, theirs in zip(by_enumeration(W, b, problem), by_loops(W, b, problem), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-15)


@pytest.mark.parametrize("share", [0, 0.3, 0.5, 1])
@pytest.mark.parametrize("n", range(7, 14))
def test_the_closed_form_is_the_enumeration(n, share):
    rng = np.random.default_rng(n)
    for k in (1, 3, 5, 7):
        problem = ParityMixture(n, tuple(rng.choice(n, k, replace=False)), share)
        W = units(rng, problem, 24)
        for b in (1 / (8 * k), -1 / (8 * k), rng.uniform(-4, 9), rng.choice([-1e300, -40.0, 40.0, 1e300])):
            assert_correlation(W, b, problem, by_enumeration(W, np.full(24, b), problem))


@settings(max_examples=60)
@given(st.integers(1, 9), st.data())
def test_the_closed_form_at_random(n, data):
    k = data.draw(st.sampled_from(range(1, n + 1, 2)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    problem = random_mixture(rng, n, k, data.draw(st.floats(0, 1)))
    W, b = rng.integers(-1, 2, (6, n)), rng.uniform(-3, 8, 6)
    assert_correlation(W, b, problem, by_enumeration(W, b, problem))


@pytest.mark.parametrize("c", [-9, -4, -1, 0, 1, 2, 4, 23, 24, 28, 30])
def test_kinks_that_are_met_have_slope_0(c):
    """At n = 16 the steps of z are 1/4, and b = c/4 and 6 are multiples of it: floats decide every kink exactly."""
    problem = ParityMixture(16, (1, 4, 15))
    W = units(np.random.default_rng(c + 9), problem, 12)
    X = problem.enumerate().X
    z = X @ W.T.astype(float) + c / 4
    assert ((z == 0) | (z == 6)).any()
    assert_correlation(W, c / 4, problem, by_enumeration(W, np.full(12, c / 4), problem))


@pytest.mark.parametrize(("n", "k", "sign"), [(576, 3, 1), (576, 3, -1), (1600, 5, 1), (575, 3, 1), (2304, 3, 1)])
def test_the_kink_of_the_papers_bias_is_decided_in_integers(n, k, sign):
    """n = 64 k^2 c^2 is where 1/(8k) meets 0; 8k t + sign sqrt(n) > 0 is an inequality of integers."""
    root = math.isqrt(n)
    exactly = root * root == n

    def active(t):
        t = np.asarray(np.rint(t), dtype=object)
        above = [8 * k * s + sign * root > 0 if exactly else s + sign * math.sqrt(n) / (8 * k) > 0 for s in t]
        below = [s / math.sqrt(n) + sign / (8 * k) < 6 - 1e-9 for s in t]
        return np.array([float(a and b) for a, b in zip(above, below, strict=True)])

    problem = ParityMixture(n, tuple(range(k)))
    rng = np.random.default_rng(n)
    W = units(rng, problem, 20)
    W[:, k:][rng.random((20, n - k)) < 0.02] = 0
    found = correlation(W, sign / (8 * k), problem)
    for i, w in enumerate(W.astype(int)):
        tau, zeros, m = w[:k].sum(), (w[:k] == 0).sum(), np.count_nonzero(w[k:])
        expected = boolean.correlation(active, 0, m, tau) - boolean.correlation(active, 0, m, -tau)
        expected *= 0.25
        if zeros == 0:
            expected += 0.5 * w[:k].prod() * boolean.correlation(active, k, m)
        assert found.bias[i] == pytest.approx(expected, rel=1e-10, abs=1e-15)
        if m > 0:
            outside = boolean.correlation(active, 1, m - 1, tau) - boolean.correlation(active, 1, m - 1, -tau)
            outside *= 0.25
            if zeros == 0:
                outside += 0.5 * w[:k].prod() * boolean.correlation(active, k + 1, m - 1)
            assert found.outside[i] == pytest.approx(outside, rel=1e-9, abs=1e-16)


def test_what_the_uniform_part_says_is_accurate_relative_to_its_size():
    """With share 0 all that is left is of order C(n, k)^(-1/2): exact integers at n = 400, k = 7."""
    n, k, b = 400, 7, Fraction(1, 56)
    problem = ParityMixture(n, tuple(range(k)), 0.0)
    W = np.random.default_rng(3).integers(-1, 2, (5, n))
    W[:, :k] = np.where(W[:, :k] == 0, 1, W[:, :k])
    found = correlation(W, float(b), problem)

    def exact(l, m, f):
        c = [1]
        for sign in [-1] * l + [1] * m:
            c = [x + sign * y for x, y in zip([*c, 0], [0, *c], strict=True)]
        return float(sum(x * Fraction(f(l + m - 2 * i)) for i, x in enumerate(c)) / 2 ** (l + m))

    def z(t):
        return Fraction(t, 20) + b

    for i, w in enumerate(W):
        m, sign = int(np.count_nonzero(w[k:])), int(w[:k].prod())
        assert found.bias[i] == pytest.approx(sign * exact(k, m, lambda t: 0 < z(t) < 6), rel=1e-12)
        assert found.outside[i] == pytest.approx(sign * exact(k + 1, m - 1, lambda t: 0 < z(t) < 6), rel=1e-12)
        assert found.output[i] == pytest.approx(sign * exact(k, m, lambda t: min(max(z(t), 0), 6)), rel=1e-12)
        inside = sign * w[:k] * exact(k - 1, m + 1, lambda t: 0 < z(t) < 6)
        np.testing.assert_allclose(found.inside[i], inside, rtol=1e-12)


def test_a_hundred_thousand_inputs():
    mpmath = pytest.importorskip("mpmath")
    n, k = 100_000, 3
    problem = ParityMixture(n, (10, 20_000, 99_999))
    rng = np.random.default_rng(0)
    W = rng.integers(-1, 2, (4, n), dtype=np.int8)
    W[:, problem.support] = [[1, 1, -1], [1, 0, 1], [0, 1, -1], [1, 1, 1]]
    found = correlation(W, 1 / (8 * k), problem)
    with mpmath.workdps(40):
        root, b = mpmath.sqrt(n), mpmath.mpf(1) / (8 * k)

        def D(f, m, a):
            reach = int(7 * root)
            total, i0 = mpmath.mpf(0), (m - reach) // 2
            weight = mpmath.binomial(m, i0) / mpmath.mpf(2) ** m
            for i in range(i0, (m + reach) // 2):
                z = (a + m - 2 * i) / root + b
                total += weight * (f(z) if z > 0 else 0)
                weight = weight * (m - i) / (i + 1)
            return total

        for i, tau in enumerate((1, 2, 0, 3)):
            m = int(np.count_nonzero(W[i])) - int(np.count_nonzero(W[i, problem.support]))
            on = [D(lambda z: z < 6, m, a) for a in (tau, -tau)]
            height = [D(lambda z: min(z, 6), m, a) for a in (tau, -tau)]
            # part 1 adds 1/2 E[y s_j sigma'], of order C(n, k - 1)^(-1/2) inside A and smaller elsewhere
            assert found.inside[i] == pytest.approx([float(sum(on) / 4)] * 3, abs=2e-5)
            if tau in (0, 2):  # with a zero in A it adds nothing to the other two
                assert found.bias[i] == pytest.approx(float((on[0] - on[1]) / 4), rel=1e-11, abs=0)
                assert found.output[i] == pytest.approx(float((height[0] - height[1]) / 4), rel=1e-10, abs=0)
                assert found.inside[i, 0] * (i == 1) == pytest.approx(float(sum(on) / 4) * (i == 1), rel=1e-13)


def test_weights_are_taken_in_any_type_and_per_unit_biases():
    problem = ParityMixture(11, (0, 3, 4))
    W = units(np.random.default_rng(1), problem, 30)
    reference = correlation(W, 0.125, problem)
    for other in (W.astype(np.float32), W.astype(float), W.tolist(), np.asfortranarray(W)):
        for ours, theirs in zip(correlation(other, np.full(30, 0.125), problem), reference, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert reference.dense(W, np.float32).dtype == np.float32


def test_units_that_see_the_parity_alone_in_a_large_dimension():
    """Weights within a large A only, and thresholds far beyond every sum of them."""
    problem = ParityMixture(100_000, tuple(range(301)))
    W = np.zeros((2, problem.n), dtype=np.int8)
    W[:, :301] = 1
    low, high = correlation(W, -400.0, problem), correlation(W, 400.0, problem)
    for part in (*low[:4], *high[:3]):
        assert not part.any()
    np.testing.assert_allclose(high.output, 0, atol=1e-12)


@pytest.mark.parametrize(("n", "k"), [(200, 3), (1000, 3), (1001, 5), (2500, 7)])
def test_good_units_follow_the_parity_alone(n, k):
    """Lemma 7 exactly, alpha in [1/4, 1] as in Lemma 9, and Lemma 14."""
    problem = ParityMixture(n, tuple(range(0, 3 * k, 3)))
    start = initial(np.random.default_rng(n), n, k, 300)
    good = good_neurons(start.W, problem.support)
    moved = first_step(start, problem)
    others = np.setdiff1d(np.arange(n), problem.support)
    assert 0 < good.sum() < len(good)
    assert not moved.W[good][:, others].any()
    np.testing.assert_array_equal(moved.b[good], start.b[good])
    alpha = moved.W[good][:, problem.support] * np.sqrt(n) / start.u[good, None]
    zeros = start.W[good][:, problem.support] == 0
    plain = ~(zeros & (zeros.sum(axis=1) == 1)[:, None])
    assert 0.25 - 1e-8 <= alpha[plain].min() <= alpha[plain].max() <= 0.27
    if n < 64 * k**2:  # b is less than one step of z: half of all sums, and the sum 0, which needs an even m
        m = np.count_nonzero(start.W[good][:, others], axis=1)
        at_zero = np.array([0.0 if c % 2 else boolean.sign_sum_law(int(c))[c // 2] for c in m])
        expected = np.broadcast_to(0.25 + 0.25 * at_zero[:, None], plain.shape)
        np.testing.assert_allclose(alpha[plain], expected[plain], rtol=0, atol=1e-8)
    assert np.abs(alpha[~plain] - 0.25).max() < 0.02 + 0.5 / math.sqrt(math.comb(n // 2, k - 1))
    assert np.abs(moved.u).max() <= k / math.sqrt(n)
    assert np.abs(moved.W[~good][:, others]).max() > 0


# The benchmark


def test_the_benchmark_runs(tmp_path, capsys):
    report = parity_first_step.main(["--quick", "--json", str(tmp_path / "report.json")])
    found = report["comparison"][0]
    # 2,048 samples of a correlation of about 1/4: a relative error of a few per cent inside A, more over all of W
    assert 0.01 < found["sampled"][-1]["error_inside"] < 0.3 < found["sampled"][-1]["error_all"] < 1.5
    assert json.loads((tmp_path / "report.json").read_text())["comparison"][0]["n"] == 200
    assert "by the law" in capsys.readouterr().out


# Bad input

PROBLEM = ParityMixture(9, (0, 1, 2))
START = initial(np.random.default_rng(0), 9, 3, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: correlation(np.zeros((2, 8)), 0.1, PROBLEM),
            r"W must have shape \(rows >= 1, 9\), got shape \(2, 8\)",
        ),
        (lambda: correlation(np.zeros(9), 0.1, PROBLEM), "got shape"),
        (lambda: correlation(np.zeros((0, 9)), 0.1, PROBLEM), "got shape"),
        (lambda: correlation(np.full((2, 9), 2), 0.1, PROBLEM), "entries -1, 0 and 1 only"),
        (lambda: correlation(np.full((2, 9), -128, dtype=np.int8), 0.1, PROBLEM), "entries -1, 0 and 1 only"),
        (lambda: correlation(np.full((2, 9), 0.5), 0.1, PROBLEM), "entries -1, 0 and 1 only"),
        (lambda: correlation(np.full((2, 9), np.nan), 0.1, PROBLEM), "entries -1, 0 and 1 only"),
        (lambda: correlation(np.zeros((2, 9)), np.inf, PROBLEM), "b must be finite"),
        (lambda: correlation(np.zeros((2, 9)), [0.1], PROBLEM), "b must have length 2"),
        (lambda: correlation(np.zeros((2, 9)), 0.1, PROBLEM).dense(np.zeros((3, 9))), r"the \(2, n\) start weights"),
        (lambda: first_step(initial(np.random.default_rng(0), 9, 3, 4, "printed"), PROBLEM), "safe start"),
        (lambda: first_step(START._replace(u=np.arange(8.0)), PROBLEM), "safe start"),
        (lambda: first_step(START._replace(b=np.repeat([0.1, 0.2], 4)), PROBLEM), "safe start"),
        (lambda: first_step(START._replace(W=np.concatenate([START.W[:4], START.W[3::-1]])), PROBLEM), "safe start"),
        (lambda: first_step(ParityNet(START.W[:3], START.b[:3], START.u[:3]), PROBLEM), "safe start"),
        (lambda: first_step(START._replace(W=START.W[:4]), PROBLEM), r"params.W must have shape \(8, n\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
