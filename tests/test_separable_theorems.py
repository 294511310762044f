import math
from fractions import Fraction as F

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from learnability.studies.separable.theorems import thm2_thm6 as theory
from learnability.studies.separable.theorems import thm4_thm10 as thm4
from learnability.studies.separable.theorems import thm5_compression as thm5
from learnability.studies.separable.theorems import thm9
from learnability.theory import Guarantee, Hypothesis, Kind, Verdict
from learnability.theory.aggregate import tightest

positive = st.floats(1e-6, 1e6)
slopes = st.floats(0.01, 0.99)


def terms(w, k, eta, v, R, alpha, c=1.0, C=1.0):
    """Equation 13 as printed, term by term."""
    return (
        C**2 * w**2 / (c**2 * alpha**2)
        + w**2 / (k * eta * c**2 * v**2 * alpha**2)
        + math.sqrt(R * (8 * k**2 * eta**2 * C**2 * v**2 + 8 * eta * k))
        * w**1.5
        / (2 * k * (eta * c * v * alpha) ** 1.5)
        + 2 * R * w / (eta * c * v * alpha)
    )


def failed(guarantee):
    return {h.name for h in guarantee.hypotheses if not h.holds}


# Theorem 2 and Corollary 3


@given(positive, st.integers(1, 10**6), positive, positive, st.floats(0, 1e3), slopes, st.floats(0.01, 1), positive)
def test_the_update_bound_is_equation_13(w, k, eta, v, R, alpha, c, above):
    C = 1 + above
    bound = theory.update_bound(w_norm=w, k=k, eta=eta, v=v, R=R, alpha=alpha, c=c, C=C)
    assert bound == pytest.approx(terms(w, k, eta, v, R, alpha, c, C), rel=1e-9)
    assert theory.update_bound(w_norm=w, k=k, eta=eta, v=v, R=R, alpha=alpha) == pytest.approx(
        terms(w, k, eta, v, R, alpha), rel=1e-9
    )


@given(positive, positive, slopes, st.integers(1, 10**7))
def test_corollary3_is_theorem2_at_the_usual_start_for_every_width(w, eta, alpha, k):
    usual = 1 / math.sqrt(2 * k)
    closed = w**2 / alpha**2 * (1 + 2 / eta)
    closed += math.sqrt(2 * eta * (eta + 2)) * (w / (eta * alpha)) ** 1.5 + 2 * w / (eta * alpha)
    bound = theory.corollary3_bound(w_norm=w, eta=eta, alpha=alpha)
    assert bound == pytest.approx(closed, rel=1e-12)
    assert bound == pytest.approx(
        theory.update_bound(w_norm=w, k=k, eta=eta, v=usual, R=usual, alpha=alpha), rel=1e-12
    )


def test_corollary3_is_the_bound_of_known_cases():
    bounds = [theory.corollary3_bound(w_norm=6.34, eta=eta, alpha=0.1) for eta in (0.01, 0.1, 1, 10)]
    assert bounds == pytest.approx([9.2e5, 9.6e4, 1.34e4, 5.08e3], rel=0.01)


moderate = st.floats(1e-2, 1e2)


@given(moderate, st.integers(1, 100), moderate, moderate, st.floats(0, 10), slopes, st.floats(1.1, 100))
def test_the_bound_moves_as_it_should(w, k, eta, v, R, alpha, factor):
    given_ = {"w_norm": w, "k": k, "eta": eta, "v": v, "R": R, "alpha": alpha}
    bound = theory.update_bound(**given_)
    assert theory.update_bound(**given_ | {"w_norm": w * factor}) > bound
    assert theory.update_bound(**given_ | {"eta": eta * factor}) <= bound
    assert theory.update_bound(**given_ | {"R": R + factor}) > bound
    assert theory.update_bound(**given_ | {"alpha": alpha / factor}) > bound
    assert theory.update_bound(**given_, c=1 / factor) > bound
    assert theory.update_bound(**given_, C=factor) > bound


def test_extreme_parameters_give_numbers():
    usual = {"w_norm": 1.0, "k": 1, "eta": 1.0, "v": 1.0, "R": 1.0, "alpha": 0.5}
    for change in ({"v": 1e-300}, {"eta": 5e-324}, {"w_norm": 1e300}, {"alpha": 1e-300}, {"R": 1e300, "v": 1e-10}):
        assert theory.update_bound(**usual | change) == math.inf
    for change in ({"v": 1e300}, {"eta": 1e300}, {"k": 10**300}, {"w_norm": 1e-150}):
        assert 0 < theory.update_bound(**usual | change) < 100
    assert theory.update_bound(**usual | {"v": 1e-300, "R": 0.0}) == math.inf
    g = theory.theorem2(**usual | {"v": 1e-300}, updates=3)
    assert (g.bound, g.verdict) == (None, Verdict.NOT_MEASURED)
    assert "inf" in g.note


def theorem2(**changes):
    return theory.theorem2(**{"w_norm": 2.0, "k": 3, "eta": 1.0, "v": 0.5, "R": 0.5, "alpha": 0.5} | changes)


def test_theorem2_verdicts():
    bound = terms(2.0, 3, 1.0, 0.5, 0.5, 0.5)
    g = theorem2(updates=math.floor(bound))
    assert (g.kind, g.verdict) == (Kind.UPPER_BOUND, Verdict.HOLDS)
    assert g.bound == pytest.approx(bound)
    assert theorem2(updates=math.floor(bound) + 1).verdict is Verdict.VIOLATED
    assert theorem2().verdict is Verdict.NOT_MEASURED
    # a run that was stopped says nothing, unless it went too far already
    assert theorem2(updates=1, ended=False).verdict is Verdict.NOT_MEASURED
    assert theorem2(updates=math.floor(bound) + 1, ended=False).verdict is Verdict.VIOLATED
    assert theorem2(updates=np.int64(2)).measured == 2


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"w_norm": None}, "linearly separable"),
        ({"w_norm": math.inf}, "linearly separable"),
        ({"alpha": 0.0}, "0 < alpha < 1"),
        ({"alpha": 1.0}, "0 < alpha < 1"),
        ({"input_norm": 1.001}, "|x| <= 1"),
        ({"row_norm": 0.501}, "rows of W_0 <= R"),
    ],
)
def test_theorem2_outside_its_hypotheses(changes, name):
    for updates in (None, 1, 10**9):
        assert theorem2(updates=updates, **changes).verdict is Verdict.OUTSIDE
    assert failed(theorem2(**changes)) == {name}
    if name != "rows of W_0 <= R":
        g = theory.corollary3(**{"w_norm": 2.0, "eta": 1.0, "alpha": 0.5, "updates": 1} | changes)
        assert (g.verdict, failed(g)) == (Verdict.OUTSIDE, {name})
    g = theory.relaxed_bound(
        **{"w_norm": 2.0, "k": 3, "eta": 1.0, "v": 0.5, "R": 0.5, "alpha": 0.5, "c": 0.5, "C": 2.0} | changes,
        updates=1,
    )
    assert (g.verdict, failed(g)) == (Verdict.OUTSIDE, {name})


def test_norms_that_were_scaled_are_within_rounding():
    assert theorem2(input_norm=1 + 1e-12, row_norm=0.5 * (1 + 1e-12), updates=1).verdict is Verdict.HOLDS


def test_a_changed_sign_is_outside():
    arguments = {"w_norm": 2.0, "k": 3, "eta": 1.0, "v": 0.5, "R": 0.5, "alpha": 0.5, "updates": 5}
    g = theory.relaxed_bound(**arguments, c=-0.1, C=2.0)
    assert (g.bound, g.verdict) == (None, Verdict.OUTSIDE)
    assert theory.relaxed_bound(**arguments, c=0.0, C=2.0).verdict is Verdict.OUTSIDE
    g = theory.relaxed_bound(**arguments, c=0.5, C=2.0)
    assert g.bound == pytest.approx(terms(2.0, 3, 1.0, 0.5, 0.5, 0.5, 0.5, 2.0))
    assert g.verdict is Verdict.HOLDS
    assert theory.relaxed_bound(**arguments, c=1.0, C=1.0).bound == theorem2().bound


def test_growth_of_norm_and_alignment():
    t = np.array([0, 3])
    norm = theory.norm_bound(t, start=2.0, k=5, eta=0.1, v=0.4, C=3.0)
    assert norm == pytest.approx([2.0, 2.0 + 3 * (2 * 5 * 0.01 * 9 * 0.16 + 0.2)])
    aligned = theory.alignment_bound(t, start=-1.0, k=5, eta=0.1, v=0.4, alpha=0.5, c=0.5)
    assert aligned == pytest.approx([-1.0, -1.0 + 3 * 2 * 5 * 0.1 * 0.4 * 0.5 * 0.5])


# Theorems 4 and 10


def simulated(d, k, eta, alpha, v, R):
    """Updates on the sequence, from the definition and in fractions; sqrt(d) must be rational."""
    step = eta * v
    w = -R / math.isqrt(d)
    u, n = -w, 0
    while k * v * ((w if w >= 0 else alpha * w) - (u if u >= 0 else alpha * u)) < 1:
        w, u = w + (step if w >= 0 else alpha * step), u - (step if u >= 0 else alpha * step)
        n += 1
    return n * d


fractions = st.builds(F, st.integers(1, 12), st.integers(1, 6))
numbers = st.fixed_dictionaries(
    {
        "d": st.integers(1, 5).map(lambda root: root**2),
        "k": st.integers(1, 6),
        "eta": fractions,
        "alpha": st.builds(F, st.integers(1, 11), st.just(12)),
        "v": fractions,
        "R": st.one_of(st.just(F(0)), fractions),
    }
)


@settings(max_examples=300)
@given(numbers)
@example({"d": 1, "k": 1, "eta": F(1), "alpha": F(1, 2), "v": F(1), "R": F(1)})
def test_the_sequence_takes_the_simulated_number_of_updates_and_no_bound_exceeds_it(p):
    updates = thm4.sequence_updates(**p)
    assert updates == simulated(**p)
    bounds = {form: thm4.lower_bound(**p, form=form) for form in thm4.FORMS[:-1]}
    assert bounds["printed"] <= bounds["corrected"] <= bounds["sharp"] <= updates
    assert bounds["printed"] >= p["d"]
    for g in thm4.theorem4(**p, updates=updates):
        assert g.verdict is Verdict.HOLDS
    above = {name: float(value) for name, value in p.items() if name not in ("d", "k")}
    assert updates <= theory.update_bound(w_norm=math.sqrt(p["d"]), k=p["k"], **above) * (1 + 1e-9)


@given(st.integers(1, 200), st.builds(F, st.integers(1, 400), st.integers(1, 20)), st.integers(1, 99))
def test_the_simple_form_follows_from_the_sharp_one(d, eta, percent):
    p = {"d": d, "k": 1, "eta": eta, "alpha": F(percent, 100)}
    simple = thm4.lower_bound(**p, form="simple")
    assert float(simple) == pytest.approx(max(d, (d + math.sqrt(d)) / eta))
    assert simple <= thm4.lower_bound(**p, form="sharp") <= thm4.sequence_updates(**p)
    assert float(simple) >= d / (2 * eta)
    # the width changes nothing
    assert thm4.sequence_updates(**p) == thm4.sequence_updates(**p | {"k": 37})


def test_the_lower_bound_of_a_known_case():
    p = {"d": 100, "k": 3, "eta": F(1, 100), "alpha": F(1, 10)}
    values = [thm4.lower_bound(**p, form=form) for form in ("printed", "corrected", "sharp")]
    assert values == pytest.approx([1000, 19_990, 20_000])
    # 29,900 in float64, where 100 slow steps of the same size stop just short of zero
    assert thm4.sequence_updates(**p) == 29_800
    assert thm4.sequence_updates(**p | {"eta": 10**9}) == 100
    assert theory.corollary3_bound(w_norm=10.0, eta=0.01, alpha=0.1) == pytest.approx(2.2e6, rel=0.02)


@given(numbers)
def test_theorem10_in_the_papers_symbols(p):
    d, k, eta, alpha, v, R = (float(p[name]) for name in ("d", "k", "eta", "alpha", "v", "R"))
    w = math.sqrt(d)
    first = w**2 / (2 * eta * k * v**2)
    for form, b1, b2 in (
        ("printed", min(first - alpha * w, 0), min(first / alpha**2 - w / alpha, 0)),
        ("corrected", max(first - alpha * w**2, 0), max(first / alpha**2 - w**2 / alpha, 0)),
        ("sharp", first, max(first / alpha**2 - w**2 * (1 / alpha - 1), 0)),
    ):
        expected = max(min(R * w / (eta * v * alpha) + b1, R * w / (eta * v) + b2), w**2)
        assert float(thm4.lower_bound(**p, form=form)) == pytest.approx(expected)


def test_the_maximum_needs_the_square():
    """With max{., 0} and |w*| un-squared in the subtracted terms the bound is false."""
    p = {"d": 81, "k": 3, "eta": F(4), "alpha": F(1, 20), "v": F(3, 2), "R": F(22, 5)}
    through_w = F(22, 5) * 9 / (4 * F(3, 2) / 20)  # R |w*| / (eta v alpha)
    through_u = through_w / 20
    first = F(81) / (2 * 4 * 3 * F(9, 4))
    unsquared = min(through_w + max(first - F(9, 20), 0), through_u + max(first * 400 - 9 * 20, 0))
    assert thm4.sequence_updates(**p) == 81 < unsquared
    assert thm4.lower_bound(**p, form="corrected") <= 81


def test_theorem4_verdicts():
    p = {"d": 100, "k": 3, "eta": F(1, 100), "alpha": F(1, 10)}
    by = {g.id: g for g in thm4.theorem4(**p, updates=19_995, case="x")}
    assert {i: g.verdict for i, g in by.items()} == {
        "separable/thm4[printed,x]": Verdict.HOLDS,
        "separable/thm4[corrected,x]": Verdict.HOLDS,
        "separable/thm4[sharp,x]": Verdict.VIOLATED,
        "separable/thm4[simple,x]": Verdict.HOLDS,
    }
    stopped = {g.id: g.verdict for g in thm4.theorem4(**p, updates=19_995, ended=False)}
    assert stopped["separable/thm4[sharp]"] is Verdict.NOT_MEASURED
    assert stopped["separable/thm4[corrected]"] is Verdict.HOLDS
    for alpha in (0, 1, 1.5):
        outside = thm4.theorem4(**p | {"alpha": alpha}, updates=10**6)
        assert {g.verdict for g in outside} == {Verdict.OUTSIDE}
        assert {g.bound for g in outside} == {None}
    assert [g.id for g in thm4.theorem4(**p, v=1, R=1)] == [f"separable/thm10[{form}]" for form in thm4.FORMS[:-1]]


# Theorems 5 and 6


def test_theorem5_is_the_printed_bound():
    n, c, delta, left = 1000, 7, 0.05, 0.1
    log = math.log(n / delta)
    expected = left + math.sqrt(left * 4 * c * log / n) + 8 * c * log / n
    g = thm5.theorem5(n=n, size=c, delta=delta, validation_error=left, error=0.3, known_in_advance=True)
    assert g.bound == pytest.approx(expected)
    assert g.verdict is Verdict.HOLDS
    assert "vacuous" not in g.note
    measured = thm5.theorem5(n=n, size=c, delta=delta, error=0.3)
    assert measured.bound == pytest.approx(8 * c * math.log(n / (delta / n)) / n)
    assert "delta / n" in measured.note
    assert thm5.theorem5(n=n, size=c, delta=delta, error=1.0, known_in_advance=True).verdict is Verdict.VIOLATED


def test_theorem5_says_when_it_says_nothing():
    g = thm5.theorem5(n=100, size=50, delta=0.1, error=0.2)
    assert g.bound > 1
    assert "vacuous" in g.note
    assert g.verdict is Verdict.HOLDS
    g = thm5.theorem5(n=100, size=51, delta=0.1, error=0.2)
    assert (g.verdict, failed(g)) == (Verdict.OUTSIDE, {"n >= 2 c"})


@pytest.mark.parametrize("w_norm", [None, 1e200])
def test_theorem6_without_a_limit_for_the_updates(w_norm):
    g = theory.theorem6(n=100, delta=0.1, w_norm=w_norm, eta=1.0, alpha=0.5, error=0.1, further=2)
    (sized,) = [h for h in g.hypotheses if h.name == "n >= 2 c"]
    assert (sized.holds, sized.detail) == (False, "n = 100, c = inf")
    assert (g.bound, g.verdict) == (None, Verdict.OUTSIDE)


def test_no_updates_are_no_licence():
    """One network, fixed in advance, still needs its sample: a size of 0 counts as 1."""
    assert thm5.compression_bound(n=100, size=0, delta=0.1) == thm5.compression_bound(n=100, size=1, delta=0.1)
    assert thm5.consistent_bound(n=100, size=0, delta=0.1) == pytest.approx(1 - 0.1 ** (1 / 100))


def test_examples_need_an_order_that_does_not_depend_on_them():
    common = {"n": 1000, "size": 3, "delta": 0.1, "error": 0.0, "coded": "examples"}
    for function in (thm5.theorem5, thm5.consistent_compression):
        assert function(**common).verdict is Verdict.HOLDS
        assert function(**common, reproduced=True).verdict is Verdict.HOLDS
        assert function(**common, order_independent=False).verdict is Verdict.OUTSIDE
        assert function(**common, reproduced=False).verdict is Verdict.OUTSIDE
        # a sequence of updates needs neither
        updates = common | {"coded": "updates"}
        assert function(**updates, order_independent=False, reproduced=False).verdict is Verdict.HOLDS


@given(st.integers(2, 10**6), st.data(), st.floats(1e-6, 0.9), st.booleans())
def test_the_consistent_bound_is_below_theorem5(n, data, delta, advance):
    size = data.draw(st.integers(0, n // 2))
    common = {"n": n, "size": size, "delta": delta, "known_in_advance": advance}
    updates = thm5.consistent_bound(**common)
    examples = thm5.consistent_bound(**common, coded="examples")
    assert 0 < examples <= updates * (1 + 1e-9)
    assert updates <= min(1.0, thm5.compression_bound(**common))


def test_the_consistent_bound_solves_the_binomial():
    n, c, delta = 30, 4, 0.1
    for coded, codes in (("updates", n**c), ("examples", math.comb(n, c))):
        eps = thm5.consistent_bound(n=n, size=c, delta=delta, coded=coded)
        assert codes * (1 - eps) ** (n - c) == pytest.approx(delta)
        eps = thm5.consistent_bound(n=n, size=c, delta=delta, coded=coded, known_in_advance=False)
        assert codes * (1 - eps) ** (n - c) == pytest.approx(delta / n)
    assert thm5.consistent_bound(n=n, size=n, delta=delta) == 1.0
    g = thm5.consistent_compression(n=n, size=n, delta=delta, error=0.0)
    assert (g.verdict, failed(g)) == (Verdict.OUTSIDE, {"c < n"})
    assert (
        thm5.consistent_compression(n=n, size=1, delta=delta, error=0.0, consistent=False).verdict is Verdict.OUTSIDE
    )


def test_theorem6_is_theorem5_at_the_update_bound():
    common = {"n": 10**5, "delta": 0.1, "w_norm": 2.0, "eta": 10.0, "alpha": 0.5}
    size = math.floor(theory.corollary3_bound(w_norm=2.0, eta=10.0, alpha=0.5))
    g = theory.theorem6(**common, error=0.01, known_in_advance=True)
    assert g.bound == pytest.approx(8 / 10**5 * size * math.log(10**5 / 0.1))
    assert g.verdict is Verdict.HOLDS
    assert theory.theorem6(**common).bound == pytest.approx(8 / 10**5 * size * math.log(10**10 / 0.1))
    usual = 1 / math.sqrt(20)
    assert theory.theorem6(**common, k=10, v=usual, R=usual, known_in_advance=True).bound == pytest.approx(g.bound)
    assert theory.theorem6(**common, k=10, v=usual, R=9.0, known_in_advance=True).bound > g.bound
    assert failed(theory.theorem6(**common, error=0.0, converged=False)) == {"SGD reached a global minimum"}
    more = theory.theorem6(**common, further=7)
    assert more.bound == pytest.approx(8 / 10**5 * (size + 7) * math.log(10**10 / 0.1))
    assert "and 7 more examples" in more.note
    assert failed(theory.theorem6(**common | {"n": 2 * size - 1}, error=0.0)) == {"n >= 2 c"}
    assert failed(theory.theorem6(**common | {"n": 2 * size}, error=0.0)) == set()
    assert failed(theory.theorem6(**common, input_norm=2.0, error=0.0)) == {"|x| <= 1"}
    outside = theory.theorem6(**common | {"w_norm": None}, error=0.0)
    assert (outside.bound, outside.verdict) == (None, Verdict.OUTSIDE)


def test_theorem6_with_a_limit_beyond_float64():
    for eta in (1e-300, 5e-324):
        g = theory.theorem6(n=100, delta=0.1, w_norm=1e10, eta=eta, alpha=0.5, error=0.0)
        assert g.verdict is Verdict.OUTSIDE


# Theorem 9


@given(st.integers(1, 60), st.integers(1, 8))
def test_failure_probability_is_the_closed_form(d, k):
    assert thm9.failure_probability(d, k) == pytest.approx(float(1 - (1 - F(1, 2**k)) ** d), rel=1e-12)


def test_failure_probability_without_cancellation():
    assert thm9.failure_probability(3, 200) == pytest.approx(3 * 2.0**-200, rel=1e-12, abs=0)
    assert thm9.failure_probability(10**9, 1) == 1.0
    assert thm9.failure_probability(10, 10**400) == 0.0


@given(st.integers(1, 10**6), st.floats(1e-9, 0.999))
def test_both_sides_of_the_threshold(d, delta):
    below = math.floor(thm9.width_threshold(d, delta, side="failure"))
    for k in range(max(1, below - 2), below + 1):
        assert thm9.failure_probability(d, k) >= (1 - delta) * (1 - 1e-12)
    proof = thm9.width_threshold(d, delta, side="success, proof")
    assert thm9.width_threshold(d, delta, side="success") == pytest.approx(proof + 1)
    assert thm9.failure_probability(d, max(1, math.ceil(proof))) <= delta * (1 + 1e-9)


def test_thresholds_of_a_known_case():
    assert thm9.width_threshold(64, math.exp(-1), side="failure") == pytest.approx(6)
    assert thm9.width_threshold(64, 0.5, side="success") == pytest.approx(8)


def test_update_limits():
    assert thm9.update_limit(20, C=1, eta=10) == 20
    assert thm9.update_limit(20, C=1, eta=10, form="printed") == 2
    assert thm9.update_limit(20, C=3.0, eta=0.25) == thm9.update_limit(20, C=3.0, eta=0.25, form="printed") == 240
    assert thm9.update_limit(7, C=0.5, eta=0.75) == 14


def theorem9(**changes):
    found = thm9.theorem9(**{"d": 64, "k": 6, "delta": 0.1, "draws": 1000} | changes)
    return {g.id.partition("[")[0].removeprefix("separable/"): g for g in found}


def test_theorem9_frequencies():
    chance = 1 - (1 - 2**-6) ** 64
    for share, verdict in (
        (chance, Verdict.HOLDS),
        (chance - 0.1, Verdict.VIOLATED),
        (chance + 0.1, Verdict.VIOLATED),
    ):
        found = theorem9(failures=round(1000 * share))
        assert found["thm9"].verdict is verdict
        assert found["thm9"].bound == pytest.approx(chance)
        assert found["thm9-failure"].verdict is found["thm9-success"].verdict is Verdict.OUTSIDE
    assert 0.05 < found["thm9"].tolerance < 0.1
    below = theorem9(k=3, failures=800)
    assert below["thm9-failure"].verdict is Verdict.VIOLATED
    assert below["thm9-success"].verdict is Verdict.OUTSIDE
    assert theorem9(k=3, failures=999)["thm9-failure"].verdict is Verdict.HOLDS
    assert theorem9(k=3, failures=910)["thm9-failure"].verdict is Verdict.NOT_MEASURED  # its interval holds 0.9
    assert theorem9(k=3, failures=925)["thm9-failure"].verdict is Verdict.HOLDS
    many = theorem9(k=11, failures=31)
    assert many["thm9-success"].verdict is Verdict.HOLDS
    assert theorem9(k=11, failures=200)["thm9-success"].verdict is Verdict.VIOLATED
    assert theorem9(k=40, failures=1)["thm9"].verdict is Verdict.VIOLATED
    assert theorem9(k=40, failures=0)["thm9"].verdict is Verdict.HOLDS
    assert {g.verdict for g in theorem9(draws=None, k=3).values()} == {Verdict.NOT_MEASURED, Verdict.OUTSIDE}


def test_theorem9_promises_nothing_between_the_thresholds():
    below, above = (thm9.width_threshold(64, 0.1, side=side) for side in ("failure", "success"))
    for k in range(1, 14):
        found = theorem9(k=k, failures=500)
        assert (found["thm9-failure"].verdict is Verdict.OUTSIDE) == (k > below)
        assert (found["thm9-success"].verdict is Verdict.OUTSIDE) == (k < above)


def test_thresholds_share_their_confidence_among_the_sizes():
    ends = [(64, k, failures, 1000) for k, failures in ((3, 925), (2, 1000), (1, 1000), (7, 500), (12, 10))]
    found = thm9.thresholds(ends, 0.1, "x")
    assert [g.id for g in found] == [f"separable/thm9-{side}[x,delta=0.1]" for side in ("failure", "success")]
    alone, _ = thm9.thresholds([ends[0], ends[-1]], 0.1)
    assert alone.verdict is Verdict.HOLDS
    among, success = thm9.thresholds(ends * 10, 0.1)
    assert among.verdict is Verdict.NOT_MEASURED
    assert "30 cells" in among.note
    assert "d=64, k=3" in among.note
    assert success.verdict is Verdict.HOLDS
    assert thm9.thresholds([*ends, (64, 2, 800, 1000)], 0.1)[0].verdict is Verdict.VIOLATED
    assert thm9.thresholds(ends[3:4], 0.1) == []


def test_a_rare_failure_may_come_up_more_often_than_expected():
    few = [thm9.theorem9(d=8, k=8, failures=failures, draws=200)[0] for failures in (0, 14, 40)]
    assert few[0].bound == pytest.approx(0.0308, rel=0.01)
    assert [g.verdict for g in few] == [Verdict.HOLDS, Verdict.HOLDS, Verdict.VIOLATED]


def test_chance_is_one_in_a_million_on_each_side():
    """The room left to a frequency is the binomial's own quantile."""
    draws, p = 200, thm9.failure_probability(64, 6)
    room = thm9.theorem9(d=64, k=6, failures=0, draws=draws)[0].tolerance
    pmf = [math.comb(draws, i) * p**i * (1 - p) ** (draws - i) for i in range(draws + 1)]
    outside = [i for i in range(draws + 1) if abs(i / draws - p) > room]
    assert sum(pmf[i] for i in outside) <= 2e-6
    assert sum(pmf[i] for i in range(draws + 1) if abs(i / draws - p) > room - 2 / draws) > 1e-6


def test_theorem9_updates():
    found = thm9.theorem9(d=20, k=9, C=1, eta=10, updates=18)
    corrected, printed = found[1:]
    assert (corrected.bound, corrected.verdict) == (20, Verdict.HOLDS)
    assert (printed.bound, printed.verdict) == (2, Verdict.OUTSIDE)
    assert thm9.theorem9(d=20, k=9, C=1, eta=10, updates=21)[1].verdict is Verdict.VIOLATED
    assert thm9.theorem9(d=20, k=9, C=1, eta=0.25, updates=80)[2].verdict is Verdict.HOLDS
    assert thm9.theorem9(d=20, k=9, C=1, eta=0.25, updates=81)[2].verdict is Verdict.VIOLATED


# Arguments

START = {"w_norm": 1.0, "k": 1, "eta": 1.0, "v": 1.0, "R": 1.0, "alpha": 0.5}
SEQUENCE = {"d": 4, "k": 1, "eta": 1.0, "alpha": 0.5}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.update_bound(**START | {"w_norm": 0}), "w_norm must be > 0"),
        (lambda: theory.update_bound(**START | {"k": 0}), "k must be >= 1"),
        (lambda: theory.update_bound(**START | {"k": 1.5}), "k must be an integer"),
        (lambda: theory.update_bound(**START | {"k": 10**400}), "k must be finite"),
        (lambda: theory.update_bound(**START | {"eta": -1}), "eta must be > 0"),
        (lambda: theory.update_bound(**START | {"v": 0}), "v must be > 0"),
        (lambda: theory.update_bound(**START | {"R": -1}), "R must be >= 0"),
        (lambda: theory.update_bound(**START | {"alpha": 1}), "alpha must be < 1"),
        (lambda: theory.update_bound(**START, c=1.1), "c must be <= 1"),
        (lambda: theory.update_bound(**START, C=0.9), "C must be >= 1"),
        (lambda: theory.theorem2(**START | {"w_norm": -2.0}), "w_norm must be > 0"),
        (lambda: theory.theorem2(**START | {"w_norm": float("nan")}), "w_norm must be finite"),
        (lambda: theory.theorem2(**START, updates=-1), "updates must be >= 0"),
        (lambda: theory.theorem2(**START, input_norm=float("nan")), "input_norm must be finite"),
        (lambda: theory.corollary3(w_norm=None, eta=0, alpha=0.5), "eta must be > 0"),
        (lambda: theory.relaxed_bound(**START, c=0.5, C=0.5), "C must be >= 1"),
        (lambda: theory.theorem6(n=10, delta=0.1, w_norm=1.0, eta=1.0, alpha=0.5, k=3), "k, v and R must be given"),
        (lambda: theory.theorem6(n=0, delta=0.1, w_norm=None, eta=1.0, alpha=0.5), "n must be >= 1"),
        (lambda: thm5.theorem5(n=10, size=-1, delta=0.1), "size must be >= 0"),
        (lambda: thm5.theorem5(n=10, size=1, delta=1.0), "delta must be < 1"),
        (lambda: thm5.theorem5(n=10, size=1, delta=0), "delta must be > 0"),
        (lambda: thm5.theorem5(n=10, size=1, delta=0.1, error=1.5), "error must be <= 1"),
        (lambda: thm5.theorem5(n=10, size=1, delta=0.1, validation_error=-0.1), "validation_error must be >= 0"),
        (lambda: thm5.theorem5(n=10, size=1, delta=0.1, coded="bits"), "coded must be one of"),
        (lambda: thm4.lower_bound(**SEQUENCE, form="best"), "form must be one of"),
        (lambda: thm4.lower_bound(**SEQUENCE, v=1.0, R=1.0, form="simple"), "without v and R"),
        (lambda: thm4.lower_bound(**SEQUENCE, v=1.0, form="sharp"), "v and R must be given both or neither"),
        (lambda: thm4.sequence_updates(**SEQUENCE | {"alpha": 0}), "alpha must be > 0"),
        (lambda: thm4.theorem4(**SEQUENCE | {"alpha": -0.5}), "alpha must be >= 0"),
        (lambda: thm4.theorem4(**SEQUENCE | {"alpha": 2, "d": 0}), "d must be >= 1"),
        (lambda: thm9.failure_probability(0, 1), "d must be >= 1"),
        (lambda: thm9.width_threshold(1, 0.5, side="left"), "side must be one of"),
        (lambda: thm9.theorem9(d=1, k=1, failures=2, draws=1), "failures must be <= 1"),
        (lambda: thm9.theorem9(d=1, k=1, failures=2), "draws must be an integer"),
        (lambda: thm9.theorem9(d=1, k=1, C=1.0), "C and eta must be given both or neither"),
        (lambda: thm9.update_limit(1, C=0, eta=1), "C must be > 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Many cases as one


def case(name, bound, measured, kind=Kind.LOWER_BOUND, **more):
    return Guarantee(f"x[{name}]", "s", kind, bound, measured, **more)


def test_of_cases_with_equality_the_largest_bound_speaks():
    cases = [case("small", 1, 1), case("large", 40, 40), case("middle", 7, 7), case("loose", 100, 101)]
    for order in (cases, cases[::-1]):
        found = tightest("y", order, "note")
        assert (found.id, found.bound) == ("y", 40)
        assert found.note == "note; 4 cases, 3 of them with equality, the largest such bound at large"


def test_the_number_of_equalities_is_of_those_that_hold():
    outside = Hypothesis("h", False)
    cases = [case("out", 9, 9, hypotheses=(outside,)), case("in", 1, 1)]
    found = tightest("y", cases)
    assert found.bound == 9
    assert found.note == "2 cases, 1 of them with equality, least relative slack at out"
    assert tightest("y", [case("a", 2, 3), case("b", 2, 4)]).note == "2 cases, least relative slack at a"
    exact = [case("a", 0, 0, Kind.EXACT), case("b", 5, 5, Kind.EXACT)]
    assert tightest("y", exact).note == "2 cases, least relative slack at b"
    assert tightest("y", [case("a", 2, 3)]).note == "a"
