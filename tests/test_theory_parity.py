import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.evidence.intervals import mean
from learnability.networks.parity import feature, relu6
from learnability.studies.parity.theorems import features, separator
from learnability.studies.parity.theorems import first_step as theory
from learnability.theory import Kind, Verdict


def failed(guarantee):
    return {h.name for h in guarantee.hypotheses if not h.holds}


# Lemmas 5 and 6


def test_lemma5_bounds_and_vacuous_cases():
    g = theory.lemma5(n=31, k=3, c=4, probability=0.2)
    assert (g.bound, g.verdict, g.kind) == (0.25, Verdict.HOLDS, Kind.UPPER_BOUND)
    assert theory.lemma5(n=31, k=3, c=4, probability=0.2501).verdict is Verdict.VIOLATED
    assert "vacuous" in theory.lemma5(n=31, k=3, c=1).note
    assert "vacuous" not in g.note
    every = theory.lemma5(n=31, k=3, probability=1.001, part="bias")
    assert (every.bound, every.verdict) == (1, Verdict.VIOLATED)
    assert every.id == "parity/lemma5[bias,every c,n=31,k=3]"


def test_lemma5s_sum_over_all_sets_is_an_equality():
    assert theory.lemma5_parseval(n=9, total=0.5, active=0.5).verdict is Verdict.HOLDS
    assert theory.lemma5_parseval(n=9, total=0.505, active=0.5).verdict is Verdict.VIOLATED


def test_lemma6_odd_n_is_printed_and_not_needed():
    assert failed(theory.lemma6(n=32, k=3, C=2, probability=0.0)) == {"n odd"}
    assert theory.lemma6(n=33, k=3, C=2, probability=0.5).verdict is Verdict.HOLDS
    assert theory.lemma6(n=32, k=3, C=2, probability=0.51, form="any n").verdict is Verdict.VIOLATED
    # 30 / sqrt(C(30, 3)) = .47: vacuous from C = 2.12 on, as no correlation is above 1
    assert "vacuous" not in theory.lemma6(n=31, k=3, C=2).note
    assert "vacuous: the correlations" in theory.lemma6(n=31, k=3, C=2.2).note


# Lemmas 7 and 8


def test_lemma7_odd_n_is_printed_and_not_needed():
    known = {"k": 5, "outside": 0.0, "bias": 1e-3, "inside": 0.0}
    assert [failed(g) for g in theory.lemma7(n=10, **known)] == [{"n odd"}, {"n odd"}, set()]
    assert not any(failed(g) for g in theory.lemma7(n=11, **known))
    verdicts = [g.verdict for g in theory.lemma7(n=10, **known, form="any n")]
    assert verdicts == [Verdict.HOLDS, Verdict.VIOLATED, Verdict.HOLDS]


def test_lemma7_is_exact_and_only_for_good_neurons():
    found = theory.lemma7(n=11, k=3, outside=0.0, bias=1e-17, inside=5e-14)
    assert [g.verdict for g in found] == [Verdict.HOLDS, Verdict.VIOLATED, Verdict.HOLDS]
    other = theory.lemma7(n=11, k=3, balanced=False, outside=0.1, bias=0.1, inside=0.1)
    assert [g.verdict for g in other] == [Verdict.OUTSIDE, Verdict.OUTSIDE, Verdict.VIOLATED]


@given(st.integers(1, 40), st.integers(1, 400), st.integers(0, 400))
def test_lemma8s_proof_a_half_open_interval_holds_few_values_of_small_probability(half, m, start):
    """An interval (a, a + L] holds at most ceil(L/2) sums of m signs, each at most sqrt(2 / (pi m)) likely."""
    sums = m - 2 * np.arange(m + 1)
    length = half / 2
    inside = (sums > start - 200) & (sums <= start - 200 + length)
    assert inside.sum() <= math.ceil(length / 2)
    assert math.comb(m, m // 2) / 2**m <= math.sqrt(2 / (math.pi * m))


def test_lemma8s_bound():
    g = theory.lemma8(n=200, k=3, J=100, deviation=0.1)
    assert g.bound == pytest.approx(4 / math.sqrt(200 * math.pi), rel=1e-6)
    assert "C = 0.3333" in g.note
    assert "vacuous" in theory.lemma8(n=200, k=3, J=2).note
    assert theory.lemma8(n=200, k=3, J=100, deviation=0.16).verdict is Verdict.VIOLATED


def test_lemma7s_hypothesis_is_needed():
    found = theory.lemma7_needs_good(n=11, k=5, outside=0.25, bias=0.5)
    assert {g.verdict for g in found} == {Verdict.HOLDS}
    assert {g.verdict for g in theory.lemma7_needs_good(n=11, k=5, outside=0.0, bias=0.0)} == {Verdict.VIOLATED}


# Lemma 9


@pytest.mark.parametrize("k", [1, 2, 3, 5, 7])
def test_the_share_of_good_neurons_is_a_count(k):
    counts = Counter(sum(w) for w in itertools.product((-1, 0, 1), repeat=k))
    assert theory.good_share(k) == pytest.approx(counts[0] / 3**k, rel=1e-15)
    assert theory.good_share(k).denominator <= 3**k


def test_the_share_against_the_papers_bound():
    assert theory.lemma9_share(k=3, share=0.99 * 7 / 27).verdict is Verdict.VIOLATED
    for k in range(3, 400, 2):
        assert theory.lemma9_share(k=k, share=float(theory.good_share(k))).verdict is Verdict.HOLDS
    assert float(theory.good_share(301)) * math.sqrt(301) == pytest.approx(math.sqrt(3 / (4 * math.pi)), rel=1e-2)


def test_lemma9_hypotheses_as_printed():
    assert failed(theory.lemma9(n=153_664, k=7)[0]) == set()
    assert failed(theory.lemma9(n=153_663, k=7)[0]) == {"k <= n^(1/4) / (2 sqrt 2)"}
    assert failed(theory.lemma9(n=10_000, k=5)[0]) == {"k >= 7", "k <= n^(1/4) / (2 sqrt 2)"}
    assert failed(theory.lemma9(n=17, k=3)[0]) >= {"n >= 9 ln 7"}
    assert failed(theory.lemma9(n=17, k=3, form="good neurons")[0]) == set()


def test_lemma9_has_room_for_the_cap_alone():
    def verdicts(**measured):
        return [g.verdict for g in theory.lemma9(n=200, k=3, form="good neurons", **measured)]

    good = {"alpha_low": 0.25 - 9e-9, "alpha_high": 1.0, "inside": 0.0, "outside": 0.0, "bias": 0.0}
    assert set(verdicts(**good)) == {Verdict.HOLDS}
    bad = {"alpha_low": 0.25 - 2e-8, "alpha_high": 1.001, "inside": 1e-18, "outside": 1e-18, "bias": 1e-18}
    assert set(verdicts(**bad)) == {Verdict.VIOLATED}
    rounded = theory.lemma9(n=10, k=3, form="good neurons", outside=1e-15, bias=3e-15, tolerance=2e-15)
    assert [g.verdict for g in rounded[3:]] == [Verdict.HOLDS, Verdict.VIOLATED]
    assert math.exp(-((6 - 1 / 24) ** 2) / 2) / 2 <= theory.ALPHA_ROOM
    sharper = theory.lemma9(n=200, k=3, form="good neurons", J=100)[1]
    assert theory.lemma9(n=200, k=3, form="good neurons", J=1)[1].bound == 0.5  # half of a probability
    assert sharper.bound == pytest.approx(0.25 + (math.sqrt(200) / 24 + 1) / math.sqrt(800 * math.pi))


def test_the_zero_coordinates_bound():
    assert theory.zero_coordinate_bound(n=100, k=3, J=10, u=-2.0) == pytest.approx(0.1 / math.sqrt(66))
    assert theory.zero_coordinate_bound(n=100, k=3, J=0, u=1.0) == pytest.approx(0.05)


# Lemma 10


@settings(max_examples=40)
@given(st.sampled_from([3, 5, 7]), st.data(), st.floats(0.25, 1.0), st.floats(0.05, 0.999))
def test_lemma10s_probability_is_the_share_of_u(k, data, alpha, part):
    r = data.draw(st.sampled_from(range(-k, k + 1, 2)))
    epsilon = part * min(k * abs(r), k + abs(r))
    t = 2 * (np.arange(4000) + 0.5) / 4000 - 1  # u = t n / k
    z = np.linspace(-k, k, 16 * k + 1)
    b = 1 / (8 * k)
    error = np.abs(abs(r) / b * relu6(alpha * t[:, None] * z / k + b) - feature(r, z)).max(axis=1)
    # between the points of z the error may be larger by slope * step
    room = 2 / 4000 + 0.005
    p = features.feature_probability(k=k, r=r, alpha=alpha, epsilon=epsilon)
    assert abs((error <= epsilon).mean() - p) <= room
    u = features.best_output_weight(n=100, k=k, r=r, alpha=alpha)
    assert abs(u) <= 100 / k
    assert np.allclose(abs(r) / b * relu6(alpha * u * z / 100 + b), feature(r, z), atol=1e-12)


def test_lemma10_statements():
    exact = features.feature_probability(k=7, r=3, alpha=0.5, epsilon=1.0)
    found = features.lemma10(k=7, r=3, alpha=0.5, epsilon=1.0, probability=exact, at_best=0.0)
    assert [g.verdict for g in found] == [Verdict.HOLDS] * 3
    assert found[0].bound == 1 / (8 * 49)
    assert found[1].bound == 1 / (8 * 7 * 0.5 * 3)
    wrong = features.lemma10(k=7, r=3, alpha=0.5, epsilon=1.0, probability=found[0].bound, at_best=0.1)
    assert [g.verdict for g in wrong] == [Verdict.HOLDS, Verdict.VIOLATED, Verdict.VIOLATED]
    assert len(features.lemma10(k=7, r=3, alpha=0.5, epsilon=10.0)) == 2  # no closed form from k + |r| on


def test_lemma10_as_printed_is_off_by_so_much():
    far, capped = features.lemma10_printed(n=200, k=7, r=7, alpha=0.25, range_error=7 * 0.51, cap_error=8.0)
    assert (far.bound, far.verdict) == (pytest.approx(7 * (1 - 98 / 200)), Verdict.HOLDS)
    assert (capped.bound, capped.verdict) == (8, Verdict.HOLDS)
    right = features.lemma10_printed(n=200, k=3, r=3, alpha=0.25, range_error=0.0, cap_error=0.0)
    assert [g.verdict for g in right] == [Verdict.VIOLATED, Verdict.HOLDS]


# Lemmas 11 and 12, the representation


def test_lemma11_forms():
    printed = features.lemma11(n=2501, k=7, r=7, epsilon=49.0, probability=0.5)
    assert (printed.bound, printed.verdict) == (pytest.approx(49 / (112 * 7**2.5), rel=1e-14), Verdict.HOLDS)
    assert "vacuous" in printed.note
    assert "vacuous" in features.lemma11(n=200, k=3, r=1, epsilon=2.0).note
    assert "vacuous" not in features.lemma11(n=200, k=3, r=1, epsilon=1.99).note
    assert not failed(features.lemma11(n=640_601, k=7, r=7, epsilon=3.0))
    assert failed(features.lemma11(n=2401, k=7, r=7, epsilon=48.0)) == {"k <= c epsilon^(1/4) n^(1/8), c = 1 here"}
    ours = features.lemma11(n=200, k=3, r=1, epsilon=0.5, form="any n", probability=0.04)
    alpha, off = 0.25 + (math.sqrt(200) / 24 + 1) / math.sqrt(8 * math.pi * 98), 4 / math.sqrt(math.comb(100, 2))
    assert ours.bound == pytest.approx(7 / 27 * (1 - off) / (24 * alpha), rel=1e-3)
    assert (ours.verdict, ours.hypotheses) == (Verdict.HOLDS, ())
    assert "vacuous" in features.lemma11(n=20, k=3, r=3, epsilon=0.1, form="any n").note
    nothing = features.lemma11(n=200, k=3, r=1, epsilon=off / 2 * 0.9999, form="any n")
    assert (nothing.bound, features.lemma11(n=200, k=3, r=1, epsilon=off, form="any n").bound > 0) == (0, True)


def test_representation_statements():
    good = features.representation(k=5, error=0.0, rank=6, capped_rank=4, capped_error=0.5)
    assert [g.verdict for g in good] == [Verdict.HOLDS] * 4
    bad = features.representation(k=3, error=1e-6, rank=3, capped_rank=2, capped_error=1.0)
    assert {g.verdict for g in bad} == {Verdict.VIOLATED}
    unknown = features.representation(k=17, capped_error=0.1)[3]
    assert (unknown.bound, unknown.verdict) == (None, Verdict.NOT_MEASURED)
    assert unknown.note.endswith("known up to k = 15 only")


def test_lemma12_statements():
    sizes = {"n": 7**10, "k": 7, "q": 10**7, "delta": 0.1}
    for failures, draws, verdict in (
        (1, 9, Verdict.NOT_MEASURED), (9, 9, Verdict.VIOLATED), (40, 200, Verdict.VIOLATED),
        (8, 200, Verdict.HOLDS), (18, 200, Verdict.NOT_MEASURED), (None, None, Verdict.NOT_MEASURED),
    ):  # fmt: skip
        inside = separator.lemma12(**sizes, failures=failures, draws=draws)
        assert (failed(inside), inside.verdict) == (set(), verdict)
    assert failed(separator.lemma12(n=101, k=7, q=10**7, delta=0.1)) == {"k <= c n^(1/10), c = 1 here"}
    assert failed(separator.lemma12(n=7**10, k=7, q=10**6, delta=0.1)) == {"q >= C k^7 ln((k+1)/delta), C = 1 here"}
    margins = separator.lemma12_separator(k=3, margin=0.99, largest=1.01)
    assert {g.verdict for g in margins} == {Verdict.VIOLATED}
    assert separator.lemma12_separator(k=3, margin=1.0, largest=0.2)[1].verdict is Verdict.HOLDS
    few = separator.lemma12_few(n=101, k=3, q=32, delta=0.1, failures=1, draws=200)
    assert (few.kind, few.bound, few.verdict) == (Kind.THRESHOLD, 0.1, Verdict.HOLDS)
    assert separator.width(7, 0.1) == pytest.approx(7**7 * math.log(80))
    assert "norm at most 0.8" in separator.lemma12(**sizes, separator=0.8).note


def test_exponents_of_lemma12_are_judged_by_their_intervals():
    def verdict(statement, what, *exponents):
        return statement(what, mean(exponents) if exponents else None).verdict

    growth, sparsity = separator.lemma12_growth, separator.lemma12_sparsity
    assert verdict(growth, "q", -0.5, -0.51, -0.49) is Verdict.HOLDS
    assert verdict(growth, "q", -0.35, -0.36, -0.34) is verdict(growth, "q", -0.65, -0.66, -0.64) is Verdict.VIOLATED
    assert verdict(growth, "q", -0.5, -0.7, -0.3) is verdict(growth, "q", -0.5, -0.5) is Verdict.NOT_MEASURED
    assert growth("q", mean([-0.45] * 3)).measured == pytest.approx(0.05)
    assert verdict(growth, "k", 4.0, 4.1, 3.9) is Verdict.HOLDS
    assert verdict(growth, "k", 5.1, 5.11, 5.09) is Verdict.VIOLATED
    assert sparsity(mean([0.99] * 3)).verdict is Verdict.HOLDS
    assert sparsity(mean([1.01] * 3)).verdict is Verdict.VIOLATED
    assert verdict(growth, "q") is verdict(growth, "k") is sparsity().verdict is Verdict.NOT_MEASURED


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.lemma5(n=31, k=4, c=2), "k must be odd, got 4"),
        (lambda: theory.lemma5(n=31, k=1), "k must be >= 3"),
        (lambda: theory.lemma5(n=5, k=5), "k must be < n"),
        (lambda: theory.lemma5(n=31, k=33), "k must be <= 31"),
        (lambda: theory.lemma5(n=31, k=3, c=0), "c must be > 0"),
        (lambda: theory.lemma5(n=31, k=3, part="x"), "part must be one of 'coordinate', 'bias'"),
        (lambda: theory.lemma6(n=31, k=3, C=-1), "C must be > 0"),
        (lambda: theory.lemma6(n=31, k=3, form="x"), "form must be one of"),
        (lambda: theory.lemma7(n=31, k=3, tolerance=-1), "tolerance must be >= 0"),
        (lambda: theory.lemma7(n=31, k=3, form="x"), "form must be one of"),
        (lambda: theory.lemma9(n=31, k=3, tolerance=-1), "tolerance must be >= 0"),
        (lambda: theory.lemma8(n=31, k=3, J=29), "J must be <= 28"),
        (lambda: theory.good_share(0), "k must be >= 1"),
        (lambda: theory.lemma9_share(k=1), "k must be >= 3"),
        (lambda: theory.zero_coordinate_bound(n=9, k=3, J=7, u=1.0), "J must be <= 6"),
        (lambda: features.feature_probability(k=3, r=2, alpha=0.5, epsilon=1), "r must be odd, got 2"),
        (lambda: features.feature_probability(k=3, r=5, alpha=0.5, epsilon=1), "r must be <= 3"),
        (lambda: features.feature_probability(k=3, r=1, alpha=0.2, epsilon=1), "alpha must be >= 0.25"),
        (lambda: features.feature_probability(k=3, r=1, alpha=0.5, epsilon=3.5), "epsilon must be <= 3"),
        (lambda: features.feature_probability(k=3, r=3, alpha=0.5, epsilon=6), r"epsilon must be < k \+ \|r\| = 6"),
        (lambda: features.lemma10(k=3, r=1, alpha=0.5, epsilon=0), "epsilon must be > 0"),
        (lambda: features.lemma11(n=9, k=3, r=1, epsilon=4), "epsilon must be <= 3"),
        (lambda: separator.lemma12(n=9, k=3, q=0, delta=0.1), "q must be >= 1"),
        (lambda: separator.lemma12(n=9, k=3, q=1, delta=0.0), "delta must be > 0"),
        (lambda: separator.lemma12(n=9, k=3, q=1, delta=0.1, failures=3, draws=2), "failures must be <= 2"),
        (lambda: separator.lemma12_growth("x"), "what must be one of 'q', 'k'"),
        (lambda: separator.width(4, 0.1), "k must be odd"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
