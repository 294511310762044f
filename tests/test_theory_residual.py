"""Theorem 1 of Allen-Zhu & Li, Table 1, Lemma C.1 and the existence tool: numbers against slow oracles."""

from __future__ import annotations

import itertools
import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.problems.activations import Taylor, series
from learnability.problems.concepts import General, hard_concept
from learnability.problems.residual import HardInstance
from learnability.studies.residual.theorems.coupling import (
    SIGN_CHANGES,
    coupling_orders,
    existence_orders,
    sign_change_share,
    worst_sign_changes,
)
from learnability.studies.residual.theorems.existence import (
    claim_e3,
    expectation,
    fitted,
    fitting_weights,
    hermite_constant,
    indicator_error,
    indicator_function,
    printed_constant,
    second_moment,
)
from learnability.studies.residual.theorems.table import movements, table1, widths
from learnability.studies.residual.theorems.thm1 import (
    Constants,
    corollary71,
    distance_bound,
    gradient_orders,
    hard_complexities,
    kernel_samples,
    perturbation_bound,
    theorem1,
)
from learnability.theory import Verdict

# Theorem 1, Corollary 7.1, Table 1


@pytest.mark.parametrize(("tau_w", "least"), [(1, 15), (10, 1.7e8), (15, 4.78e9), (100, 2.89e16), (1000, 4.91e24)])
def test_least_width_of_a_movement(tau_w, least):
    low, high = widths(k=15, tau_w=tau_w, log_power=0)
    assert math.exp(low) == pytest.approx(least, rel=0.01)
    assert high == math.inf


@pytest.mark.parametrize(
    ("power", "silent", "least"),
    [(0, True, 15), (1, False, 7.8e7), (1, True, 9.6e12), (2, False, 3.7e18), (2, True, 6.1e30)],
)
def test_least_width_with_logarithms(power, silent, least):
    found = widths(k=15, log_power=power, silent=silent)
    assert math.exp(found[0]) == pytest.approx(least, rel=0.02)


@pytest.mark.parametrize("tau_v", [0.02, 0.5])
@pytest.mark.parametrize("power", [0, 1])
def test_the_table_agrees_with_its_widths(tau_v, power):
    found = widths(k=15, tau_w=2.0, tau_v=tau_v, log_power=power)
    if found is None:
        assert (tau_v, power) == (0.5, 1)  # 1 / tau_v bounds log m, and that is too little for sigma_v
        assert not any(
            table1(m=10.0**e, k=15, tau_w=2, tau_v=tau_v, log_power=power).holds for e in np.linspace(0.5, 300, 600)
        )
        return
    low, high = found
    for log_m, holds in ((low + 1e-6, True), (low - 1e-3, False), (high - 1e-6, True), (high + 1e-3, False)):
        if math.isfinite(log_m) and log_m < 700:
            assert table1(m=math.exp(log_m), k=15, tau_w=2, tau_v=tau_v, log_power=power).holds is holds


def test_every_range_of_the_table_can_fail():
    good = {"m": 1e5, "k": 4, "tau_w": 1.0, "tau_v": 0.5, "sigma_w": 0.2, "sigma_v": 5.0, "log_power": 0.0}
    assert table1(**good).holds
    wrong = [
        ({"sigma_w": 1e-3}, {0, 2}),
        ({"tau_w": 0.9}, {1}),
        ({"tau_w": 3.0}, {2}),
        ({"sigma_v": 70.0}, {3, 5}),
        ({"sigma_v": 0.4}, {3, 5, 6}),
        ({"tau_v": 1.5}, {4}),
        ({"tau_v": 0.05}, {5, 6}),
        ({"sigma_v": 3.0}, {6}),
    ]
    for change, failing in wrong:
        found = table1(**(good | change)).hypotheses
        assert {i for i, h in enumerate(found) if not h.holds} == failing, change
    assert "0.1" in next(h.detail for h in table1(**(good | {"tau_v": 0.1})).hypotheses if "tau_v in" in h.name)


def test_theorem1_scales_as_printed():
    given_ = {"alpha": 1e-3, "k": 3, "p_F": 2, "C_F": 5.0, "p_G": 4, "C_G": 7.0, "B_F": 1.0}
    base = theorem1(**given_)
    assert base.floor == base.delta == pytest.approx((1e-3 * 84) ** 4 * 4)
    assert base.samples == pytest.approx((30 / base.delta) ** 2)
    assert base.eta_w == base.delta
    assert base.eta_v / base.eta_w == pytest.approx((1e-3 * 28 / 10) ** 2)
    tau_w, tau_v = movements(**{name: value for name, value in given_.items() if name != "B_F"})
    assert (tau_w, tau_v) == pytest.approx((30, 0.084))
    assert base.eta_w / tau_w**2 == pytest.approx(base.eta_v / tau_v**2)  # used at the end of the proof
    assert theorem1(**(given_ | {"alpha": 2e-3})).floor == pytest.approx(16 * base.floor)
    assert theorem1(**given_, opt=0.25).floor == pytest.approx(0.25 + base.floor)
    large = theorem1(**given_, delta=3.0)
    assert (large.eta_w, large.samples, large.risk) == (1.0, 900.0, 3.0)
    some = theorem1(**given_, constants=Constants(alpha=0.5, risk=2, rate=3, ratio=5, time=7, delta=11))
    assert some.floor == pytest.approx(2 * base.floor)
    assert some.risk == pytest.approx(22 * base.floor)
    assert some.eta_w == pytest.approx(6 * base.floor)
    assert some.eta_v / some.eta_w == pytest.approx(5 * base.eta_v / base.eta_w)
    assert some.samples == pytest.approx(7 / 4 * base.samples)
    with pytest.raises(ValueError, match="ratio must be > 0"):
        Constants(ratio=0)


def test_theorem1_has_its_hypotheses():
    given_ = {"alpha": 1e-3, "k": 3, "p_F": 1, "C_F": 1.0, "p_G": 1, "C_G": 2.0, "B_F": 1.0}
    assert [h.holds for h in theorem1(**given_).hypotheses] == [True, True]
    assert [h.holds for h in theorem1(**(given_ | {"alpha": 0.5})).hypotheses] == [False, True]
    assert [h.holds for h in theorem1(**given_, delta=1e-30).hypotheses] == [True, False]


@pytest.mark.parametrize("k", [2, 3, 4, 6])
def test_complexities_of_the_hard_instance(k):
    concept = hard_concept(HardInstance(12, tuple(range(k)), 0.3))
    found = hard_complexities(12, k, constant=3.0)
    assert (found.p_F, found.p_G) == (concept.base.p, concept.composite.p)
    assert pytest.approx(concept.base.smoothness(3.0)) == found.C_F
    assert pytest.approx(concept.composite.smoothness(3.0)) == found.C_G


def test_corollary71_beside_theorem2():
    found = corollary71(40, 3, 0.01, d_1=20, delta=0.01**4)
    assert found.samples == pytest.approx(9 * 4 * 80 / 3 / 0.01**8)  # 8 k d C*^2 / alpha^8
    assert found.printed_samples == pytest.approx(9 * 40 / 0.01**8)
    assert found.risk == pytest.approx(3 * 0.01**4)
    assert found.kernel_samples == math.comb(20, 3) / 1000 == kernel_samples(20, 3)
    assert found.kernel_risk == pytest.approx(0.01**2 / 16)
    assert found.sharper_kernel_risk == pytest.approx(2.7e-4)
    slopes = [math.log(corollary71(40, 3, 2 * a).risk / corollary71(40, 3, a).risk, 2) for a in (1e-4, 1e-2)]
    np.testing.assert_allclose(slopes, 4)


def test_corollary71_says_which_half_says_nothing():
    found = corollary71(40, 3, 1e-6)
    assert (found.promise.note, found.note) == ("", "")
    assert found.risk < found.kernel_risk
    outside = corollary71(9, 3, 0.5)
    assert re.fullmatch(
        r"outside its hypotheses: alpha <= c / \(k p_G C_s\(G\)\) fails, 0.5 <= .*", outside.promise.note
    )
    assert outside.note == (
        f"{outside.promise.note}; vacuous: a risk of {outside.risk:.3g} is no less than that of F alone, k alpha^2 = "
        "0.75; vacuous: Theorem 2 speaks of at most 0.084 examples"
    )
    assert "delta >= the floor fails" in corollary71(40, 3, 0.01, delta=0.01**4).note
    inside = corollary71(40, 3, 1e-4)
    assert inside.promise.note == ""
    assert inside.note == "vacuous: a risk of 7.26e-08 is no less than that of F alone, k alpha^2 = 3e-08"


def test_claims_of_the_optimisation_part():
    assert gradient_orders(residual=2.0, sigma_v=3.0, tau_w=5.0) == (8.0, 12.0)
    fixed = 0.1**2 + 0.2**2 * 4 + 0.5 * 0.2 * 7 * 4
    common = {"alpha": 0.5, "alpha_tilde": 0.1, "tau_v": 0.2, "L_G": 7.0, "B_F": 3.0}
    assert perturbation_bound(risk=0.0, **common) == pytest.approx(fixed**2)
    assert perturbation_bound(risk=2.0, constant=3, **common) == pytest.approx(3 * (fixed**2 + 2 * 3.7**2))
    assert distance_bound(error=1.0, alpha=0.5, tau_v=0.2, B_F=3.0, B_FG=4.0, constant=2) == pytest.approx(7.6)


# Lemma C.1 and Proposition B.4


@settings(max_examples=40)
@given(st.lists(st.floats(-2, 2), min_size=1, max_size=9), st.floats(0, 4))
def test_worst_sign_changes_over_all_subsets(g, reach):
    sizes = [
        len(subset)
        for r in range(len(g) + 1)
        for subset in itertools.combinations(g, r)
        if sum(Fraction(v) ** 2 for v in subset) <= Fraction(reach) ** 2 * Fraction(1 + 1e-12)
    ]
    slack = [
        len(subset)
        for r in range(len(g) + 1)
        for subset in itertools.combinations(g, r)
        if sum(Fraction(v) ** 2 for v in subset) <= Fraction(reach) ** 2 * Fraction(1 - 1e-12)
    ]
    assert max(slack) <= worst_sign_changes(g, reach) <= max(sizes)


def test_the_share_of_sign_changes():
    assert sign_change_share(0.0) == 0
    assert sign_change_share(1.0) == sign_change_share(2.0) == 1
    g = np.random.default_rng(4).standard_normal(10**6) / 1000
    for delta in (1e-3, 0.02, 0.07, 0.3, 0.8):  # both sides of the series' end
        share = sign_change_share(delta)
        assert share <= SIGN_CHANGES * delta ** (2 / 3)
        assert worst_sign_changes(g, delta) / 1e6 == pytest.approx(share, abs=5 * math.sqrt(share / 1e6))
    for t in (0.05, 0.099, 0.101, 1.5):
        z = np.linspace(0, t, 100_001)
        mass = 2 * np.trapezoid(z**2 * np.exp(-(z**2) / 2), z) / math.sqrt(2 * math.pi)
        assert sign_change_share(math.sqrt(mass)) == pytest.approx(math.erf(t / math.sqrt(2)), rel=1e-8)
    assert sign_change_share(1e-6) == pytest.approx(SIGN_CHANGES * 1e-4, rel=1e-6)


def test_orders_of_lemma_c1():
    found = coupling_orders(m=4096, k=4, tau_w=2.0, tau_v=0.5, sigma_w=0.25, sigma_v=4.0, first=3.0)
    vanishing = 0.5 * 0.125 ** (1 / 3)
    assert found == pytest.approx(
        (SIGN_CHANGES * 4 * 256, 2 * 2 / 4 + 2 * 0.25, 2, SIGN_CHANGES * 0.25 * 4096, 4 * vanishing, vanishing, 2)
    )
    exists = existence_orders(alpha=0.5, k=2, p_F=3, C_F=1.0, p_G=1, C_G=2.0)
    assert exists == pytest.approx((0.05, 6, 0.2, 0.05**4, 0.05**2))


# Appendix E


def test_hermite_constants():
    found = [hermite_constant(i) for i in (1, 3, 5, 7, 9)]
    np.testing.assert_allclose(found, np.array([1, -1, 3, -15, 105]) / math.sqrt(2 * math.pi))
    np.testing.assert_allclose([printed_constant(i) for i in (1, 3, 5, 7, 9)], [0.25, 0.5, 2, 12, 96])
    constant, printed = claim_e3(1)
    assert constant.verdict is printed.verdict is Verdict.HOLDS
    constant, printed = claim_e3(7)
    assert constant.verdict is Verdict.HOLDS
    assert printed.verdict is Verdict.OUTSIDE
    assert printed.slack < 0
    with pytest.raises(ValueError, match="i must be odd, got 4"):
        hermite_constant(4)


@pytest.mark.parametrize("x1", [-1.0, -0.999999, -0.4, 0.0, 0.7, 1.0])
def test_the_quadrature(x1):
    assert expectation(np.ones_like, x1) == pytest.approx(0.5, abs=1e-13)
    assert expectation(lambda z: z, x1) == pytest.approx(x1 / math.sqrt(2 * math.pi), abs=1e-13)
    # z^2 = (alpha x1 + beta sqrt(1 - x1^2))^2 is even: the gate halves it.
    assert expectation(np.square, x1) == pytest.approx(0.5, abs=1e-12)


def test_the_quadrature_against_draws():
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((2, 10**6))
    x1 = 0.6
    drawn = (np.exp(a / 2) * (a * x1 + b * 0.8 >= 0)).mean()
    assert expectation(lambda z: np.exp(z / 2), x1) == pytest.approx(drawn, abs=5e-3)


def test_the_function_of_lemma_e2():
    phi = Taylor((0.5, -1.0, 0.0, 0.25))
    root = math.sqrt(2 * math.pi)
    z = np.linspace(-3, 3, 7)
    wanted = 1 - root * z - 0.25 * root * (z**3 - 3 * z)
    np.testing.assert_allclose(indicator_function(phi)(z), wanted, atol=1e-12)
    np.testing.assert_allclose(indicator_function(phi, eps=0.01)(z), wanted, atol=1e-12)
    assert indicator_error(phi) < 1e-12
    draws = np.random.default_rng(6).standard_normal(10**6)
    assert second_moment(phi) == pytest.approx(np.square(indicator_function(phi)(draws)).mean(), rel=0.02)
    B = 100 * math.sqrt(1) + 10 * math.sqrt(math.log(100))
    far = indicator_function(Taylor((0.0, 1.0)), eps=0.01)(np.array([B - 1, B + 1, -1e9]))
    np.testing.assert_allclose(far, root * np.array([B - 1, B, -B]))
    assert indicator_error(series("sin", 15), eps=1e-3) < 1e-11
    with pytest.raises(ValueError, match="odd order only"):
        indicator_function(Taylor((0.0, 0.0, 1.0)))
    with pytest.raises(ValueError, match="eps must be < 1"):
        indicator_function(phi, eps=1.0)


def target(rng, d=3, k=2, p=2):
    def unit():
        v = rng.standard_normal((k, p, d + 1))
        return v / np.linalg.norm(v, axis=2, keepdims=True)

    return General(unit(), unit(), Taylor((0.5, -1.0, 0.0, 0.25)), rng.uniform(-1, 1, (k, p)))


def test_fitting_weights_are_the_formula():
    rng = np.random.default_rng(7)
    F, m = target(rng), 6
    W0, a = rng.standard_normal((m, 4)) / math.sqrt(m), rng.standard_normal((2, m))
    h = indicator_function(F.activations[0][0])
    wanted = np.zeros((m, 4))
    for j in range(m):
        for r in range(2):
            for i in range(2):
                value = h(np.array([math.sqrt(m) * W0[j] @ F.directions[r, i]]))[0]
                wanted[j] += a[r, j] * F.scales[r, i] * value * F.multipliers[r, i] / m
    W = fitting_weights(W0, a, F)
    np.testing.assert_allclose(W, wanted, atol=1e-12)
    x = rng.standard_normal(3)
    lifted = np.append(x, 1)
    direct = [sum(a[r, j] * (W[j] @ lifted) * (W0[j] @ lifted >= 0) for j in range(m)) for r in range(2)]
    np.testing.assert_allclose(fitted(W0, a, W, x[None])[0], direct, atol=1e-12)


def test_fitting_weights_fit():
    rng = np.random.default_rng(8)
    F, m = target(rng), 200_000
    W0, a = rng.standard_normal((m, 4)) / math.sqrt(m), rng.standard_normal((2, m))
    X = rng.standard_normal((20, 3))
    assert np.abs(fitted(W0, a, fitting_weights(W0, a, F), X) - F(X)).max() < 0.1
    with pytest.raises(ValueError, match="a must have 2 rows"):
        fitting_weights(W0, a[:1], F)
    with pytest.raises(ValueError, match="W0 must have 4 columns"):
        fitting_weights(W0[:, 1:], a, F)


# Numbers that leave float64, and arguments outside their ranges

GIVEN = {"alpha": 0.01, "k": 3, "p_F": 1, "C_F": 1.0, "p_G": 1, "C_G": 1.0}


def test_numbers_beyond_float64_are_infinite_or_nothing():
    tiny = corollary71(30, 4, 1e-50)
    C = hard_complexities(30, 4)
    assert tiny.promise.floor == pytest.approx((4 * 16 * C.C_G) ** 4 * 4 * 1e-200, rel=1e-9)
    assert tiny.samples == tiny.printed_samples == math.inf
    assert corollary71(30, 4, 1e-30).printed_samples == pytest.approx(480e240)
    assert corollary71(30, 4, 1e-100).promise.floor == 0  # 1e-391
    many = theorem1(**(GIVEN | {"p_G": 2**2000}), B_F=1.0)
    assert (many.floor, many.samples) == (math.inf, 9.0)
    assert not many.hypotheses[0].holds
    assert movements(**(GIVEN | {"p_G": 2**2000})) == (3.0, math.inf)
    assert theorem1(**(GIVEN | {"C_F": 1e200}), B_F=1.0).samples == math.inf
    orders = existence_orders(**(GIVEN | {"alpha": 1e-100, "p_G": 2**2000}))
    assert orders.second_norm == pytest.approx(1e-100)  # alpha_tilde k p_G C_s(G), where the one is 1e-702
    assert orders.alpha_tilde == 0
    common = {"alpha": 0.1, "alpha_tilde": 1e200, "tau_v": 1e200, "L_G": 1.0, "B_F": 1.0}
    assert perturbation_bound(risk=0.0, **common) == math.inf
    assert kernel_samples(10_000, 5_000) == math.inf


def test_table1_where_the_silent_condition_is_out_of_reach():
    found = table1(m=1e3, k=15, tau_w=1.0, tau_v=1e-200)
    assert found.sigma_v == pytest.approx(math.log(1e3))
    assert [i for i, h in enumerate(found.hypotheses) if not h.holds] == [5, 6]
    assert table1(m=1e13, k=15, tau_w=1.0, tau_v=0.02).sigma_v == pytest.approx(2500)  # tau_v^-2, which is in reach
    assert not table1(m=1e3, k=15, tau_w=1e300, tau_v=1e300).holds


@pytest.mark.parametrize("alpha", [0.0, 1.0, 1.5, math.nan])
@pytest.mark.parametrize(
    "function",
    [lambda a: theorem1(**(GIVEN | {"alpha": a}), B_F=1.0)]
    + [lambda a, f=f: f(**(GIVEN | {"alpha": a})) for f in (movements, existence_orders)]
    + [lambda a: corollary71(30, 4, a)],
)
def test_alpha_is_between_0_and_1(function, alpha):
    with pytest.raises(ValueError, match="alpha must be"):
        function(alpha)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: coupling_orders(m=10**400, k=1, tau_w=1, tau_v=1, sigma_w=1, sigma_v=1, first=1), "m must be <= 10"),
        (lambda: hard_complexities(10**400, 2), "d must be <= 10"),
        (lambda: table1(m=1e3, k=1, tau_w=1, tau_v=1, log_power=1e6), "log_power must be <= 100"),
        (lambda: theorem1(**(GIVEN | {"p_G": 0}), B_F=1.0), "p_G must be >= 1"),
    ],
)
def test_bad_numbers(call, message):
    with pytest.raises(ValueError, match=message):
        call()
