"""The checks of Lemmas 5 to 12: they hold, they can fail, and their exact laws are those of counting and drawing."""

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from learnability.discovery import installed
from learnability.networks.parity import feature, good_neurons, hidden, initial, relu6, relu6_slope
from learnability.problems.parity import ParityMixture, random_mixture
from learnability.seeding import generator
from learnability.studies.parity.checks import features as parity_features
from learnability.studies.parity.checks import first_step as parity_first_step
from learnability.studies.parity.checks import separator as parity_separator
from learnability.studies.parity.theorems.first_step import good_share
from learnability.theory import Verdict
from learnability.training.population import first_step

MODULES = (parity_first_step, parity_features, parity_separator)
CHECKS = [check for module in MODULES for check in module.CHECKS]


@pytest.fixture(scope="module")
def results():
    """Every check at the smoke scale, run once."""
    return {check.name: check.run("smoke") for check in CHECKS}


def test_every_statement_has_a_check():
    assert {f"parity/{check.name}" for check in CHECKS} <= set(installed().statements)
    assert {check.name for check in CHECKS} == {f"lemma{i}" for i in range(5, 13)} | {"representation"}


def test_checks_hold_at_smoke_scale(results):
    found = [g for gs in results.values() for g in gs]
    assert max(Counter(g.id for g in found).values()) == 1
    for g in found:
        assert g.verdict is Verdict.HOLDS, g
        assert g.measured is not None, g
        assert g.id.startswith("parity/")
        assert "Daniely & Malach" in g.source


# Lemmas 5, 6 and 8: the laws


def exact_expectation(l, m, n, b):
    """E t_1..t_l 1[0 < (t_1 + .. + e_m) / sqrt(n) + b < 6] in fractions, b^2 n no square."""
    coefficients = [1]
    for factor in [-1] * l + [1] * m:
        coefficients = [x + factor * y for x, y in zip([*coefficients, 0], [0, *coefficients])]
    sums = [l + m - 2 * i for i in range(l + m + 1)]
    kept = sum(c for c, t in zip(coefficients, sums) if 0 < t / math.sqrt(n) + b < 6)
    return Fraction(kept, 2 ** (l + m))


@pytest.mark.parametrize(("n", "k", "b"), [(31, 3, 1 / 24), (24, 5, -1.0), (40, 7, 2.0)])
def test_the_law_of_the_correlations_is_exact(n, k, b):
    law = parity_first_step._law(n, k, b)
    for m in range(1, n - k + 1):
        exact = [abs(float(exact_expectation(*lm, n, b))) for lm in ((k, m), (k + 1, m - 1))]
        assert [law.bias[m], law.coordinate[m]] == pytest.approx(
            exact, rel=1e-9, abs=1e-14 / math.sqrt(math.comb(k + m, k))
        )
    assert law.given_bias.sum() == pytest.approx((2 / 3) ** k)
    assert law.given_coordinate.sum() == pytest.approx((2 / 3) ** (k + 1))


def test_the_law_is_that_of_all_w_and_all_x():
    """n = 6, k = 3: every w in {-1, 0, 1}^6 and every x, one coordinate outside A and the bias."""
    n, k, b = 6, 3, 1 / 24
    S = np.array(list(itertools.product((-1, 1), repeat=n)), dtype=float)
    W = np.array(list(itertools.product((-1, 0, 1), repeat=n)), dtype=float)
    slope, f = relu6_slope(S @ W.T / math.sqrt(n) + b), S[:, :k].prod(axis=1)
    law = parity_first_step._law(n, k, b)
    cases = (
        (np.abs((f * S[:, k]) @ slope) / 2**n, law.coordinate, law.given_coordinate),
        (np.abs(f @ slope) / 2**n, law.bias, law.given_bias),
    )
    for values, atoms, probabilities in cases:
        assert (values**2).mean() == pytest.approx(probabilities @ atoms**2)
        unit = 0.03
        tried = max(c * (values > c * unit).mean() for c in np.linspace(0.001, 20, 4000))
        assert tried <= parity_first_step._supremum(atoms, probabilities, unit) <= tried + 0.02


@pytest.mark.parametrize(("n", "k"), [(8, 3), (9, 5)])
def test_the_worst_deviation_of_lemma8_is_worst(n, k):
    """Against every w of a given number of non-zero weights outside A, and random h, by enumeration."""
    problem, rng = ParityMixture(n, tuple(range(k))), np.random.default_rng(0)
    X, _, p1, p2 = problem.enumerate()
    p, b, S = (p1 + p2) / 2, 1 / (8 * k), np.sign(X)
    inside = np.array(list(itertools.product((-1, 0, 1), repeat=k)), dtype=float)
    patterns = ((S[:, :k] > 0) * 2 ** np.arange(k)).sum(axis=1)
    for m in range(1, n - k + 1):
        outside = np.concatenate([np.ones(m), np.zeros(n - k - m)])
        z_out = S[:, k:] @ outside / math.sqrt(n) + b
        phi = p @ ((z_out > k / math.sqrt(n)) & (z_out < 6 - k / math.sqrt(n)))
        slope = relu6_slope((S[:, :k] @ inside.T) / math.sqrt(n) + z_out[:, None])
        signs = np.where(rng.random((40, 2**k)) < rng.random((40, 1)), 1.0, -1.0)
        signs[0] = 1
        h = signs[:, patterns]  # (40, 2^n)
        found = np.abs((h * p) @ slope - ((h @ p) * phi)[:, None])
        worst = parity_first_step._worst_deviation(n, k, m)
        assert found.max() == pytest.approx(worst, abs=1e-12)
        assert found[0].max() == pytest.approx(worst, abs=1e-12)


# Lemmas 11 and 12: against the network itself


def test_lemma11s_probability_is_that_of_drawn_neurons():
    """n = 9, k = 3: first step and all inputs, no formula."""
    n, k, q, epsilon = 9, 3, 4000, 0.8
    problem = ParityMixture(n, (0, 1, 2))
    start = initial(generator(0, "lemma11"), n, k, q)
    net = first_step(start, problem)
    X = problem.enumerate().X
    H, z = hidden(net, X), np.sign(X[:, :3]).sum(axis=1)
    for r, e, p in parity_features.lemma11_probabilities(n, k, (epsilon,)):
        psi = feature(r, z)[:, None]
        within = np.abs(8 * k * r * H - psi).max(axis=0) <= 2 * e
        frequency = float(within[:q].mean())
        assert frequency == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / q))
        assert 0.01 < p < 0.99


def test_lemma11s_probability_over_every_w():
    """n = 6, k = 3: all 729 starts, gradients by enumeration, and a grid of u."""
    n, k, epsilon, b = 6, 3, 1.0, 1 / 24
    problem = ParityMixture(n, (0, 1, 2))
    X, y, p1, p2 = problem.enumerate()
    S, p = np.sign(X), (p1 + p2) / 2
    W = np.array(list(itertools.product((-1, 0, 1), repeat=n)), dtype=float)
    slope = relu6_slope(S @ W.T / math.sqrt(n) + b) * (p * y)[:, None]
    kappa = (slope.T @ S) @ S.T / n + slope.sum(axis=0)[:, None]  # (w, x)
    grid = (2 * (np.arange(1000) + 0.5) / 1000 - 1) * n / k
    for r, e, probability in parity_features.lemma11_probabilities(n, k, (epsilon,)):
        psi = feature(r, S[:, :3].sum(axis=1))
        within = [(np.abs(8 * k * r * relu6(u * kappa + b) - psi).max(axis=1) <= 2 * e).mean() for u in grid]
        assert np.mean(within) == pytest.approx(probability, abs=2e-3)


def test_lemma11_over_drawn_neurons_is_near_the_exact_probability():
    n, k, epsilon, draws = 51, 3, 1.0, 3000
    exact = {r: p for r, _, p in parity_features.lemma11_probabilities(n, k, (epsilon,))}
    drawn = parity_features.lemma11_drawn(n, k, draws, epsilon)
    assert drawn.keys() == exact.keys()
    for r, p in exact.items():
        assert drawn[r].shape == (draws,)
        assert drawn[r].mean() == pytest.approx(p, rel=0.15)


def test_lemma11_leaves_vacuous_cases_out_and_counts_drawn_ones(monkeypatch):
    monkeypatch.setattr(parity_features, "DRAWN11", {"smoke": ((640_601, 7, 3),)})
    seen = []
    real = parity_features.theory.lemma11

    def recorded(**named):
        seen.append(named)
        return real(**named)

    def drawn(*last):
        shares = {1: np.full(3, 0.1), 7: np.array(last)}
        monkeypatch.setattr(parity_features, "lemma11_drawn", lambda n, k, draws, epsilon: shares)
        return {g.id: g for g in parity_features.lemma11("smoke")}["parity/lemma11[printed,drawn w]"]

    monkeypatch.setattr(parity_features.theory, "lemma11", recorded)
    found = drawn(0.01, 0.01, 0.01)
    assert all(2 * case["epsilon"] < case["k"] + case["r"] for case in seen)
    assert (found.verdict, found.measured) == (Verdict.HOLDS, pytest.approx(0.01))
    assert found.bound == pytest.approx(2.066e-4, rel=1e-3)
    assert "over 3 drawn w" in found.note
    assert drawn(2e-4, 2e-4, 2e-4).verdict is Verdict.VIOLATED
    assert drawn(0.0, 0.03, 0.0).verdict is Verdict.NOT_MEASURED


def test_the_fewest_neurons_are_fewest():
    k, q, y = 3, 32, parity_separator.patterns(3)[1]
    one = parity_separator.good_features(generator(1, "fewest"), 101, k, q)
    norms = {e: parity_separator._norm(parity_separator._of_the_nearest(one, y, k, e)) for e in range(1, 12)}
    assert all(b <= a * (1 + 1e-9) for a, b in itertools.pairwise(norms.values()))
    for most in (1.001 * norms[3], 1.001 * norms[5], 1.001 * norms[10]):
        each = min(e for e, norm in norms.items() if norm <= most)
        u = parity_separator._of_the_nearest(one, y, k, each)
        assert parity_separator._fewest(one, y, most) == np.count_nonzero(u)
    assert math.isnan(parity_separator._fewest(one, y, 0.5 * norms[11] / q))
    assert math.isnan(parity_separator._fewest(one, y, math.inf))  # twice the norm of no separator


def test_separators_that_need_more_neurons_than_lemma12_says_are_caught(monkeypatch):
    monkeypatch.setattr(parity_separator, "_fewest", lambda one, y, most: len(y) * (1e4 / most) ** 3)
    found = verdicts(parity_separator._separators("smoke"))
    assert found["parity/lemma12-sparsity-q[n=101,k=3]"] is Verdict.VIOLATED


def test_the_sums_of_a_large_start_are_those_of_its_neurons():
    """Against all the good neurons of a start at a small n, through the network."""
    n, k, q = 401, 5, 3000
    y = parity_separator.patterns(k)[1]
    found = [parity_separator._least_norm(parity_separator._sums(generator(i, "sums"), n, k, q)) for i in range(4)]
    known = []
    for i in range(4):
        one = parity_separator.good_features(generator(i, "known"), n, k, q)
        known.append(parity_separator._norm(parity_separator.hard_margin(one.V, y).w))
    assert np.mean(found) == pytest.approx(np.mean(known), rel=0.1)
    assert parity_separator._least_norm(np.eye(6)) == pytest.approx(math.sqrt(6))


def test_within_the_hypotheses_norms_count(monkeypatch):
    monkeypatch.setattr(parity_separator, "_sums", lambda rng, n, k, q: np.eye(k + 1))
    found = parity_separator._within(40)
    assert (found.verdict, all(h.holds for h in found.hypotheses)) == (Verdict.HOLDS, True)
    monkeypatch.setattr(parity_separator, "_sums", lambda rng, n, k, q: np.eye(k + 1) / 100)
    assert parity_separator._within(40).verdict is Verdict.VIOLATED


def test_kinds_of_neurons_have_the_law_of_w():
    kinds = parity_features._kinds(40, 5)
    assert kinds.probability.sum() == pytest.approx(1, abs=1e-7)
    good = good_neurons(kinds.W, range(5))
    assert kinds.probability[good].sum() == pytest.approx(float(good_share(5)), abs=1e-7)
    assert kinds.probability @ kinds.m == pytest.approx(35 * 2 / 3, abs=1e-5)
    assert (np.count_nonzero(kinds.W[:, 5:], axis=1) == kinds.m).all()


def test_good_features_are_those_of_the_network_at_every_input():
    n, k, q = 12, 3, 20
    found = parity_separator.good_features(generator(3, "x"), n, k, q)
    rng = generator(3, "x")
    problem = random_mixture(rng, n, k)
    start = initial(rng, n, k, q)
    net = first_step(start, problem)
    good = good_neurons(start.W, problem.support)
    X, y, _, _ = problem.enumerate()
    S, parity = parity_features.patterns(k)
    inside = np.sign(X[:, problem.support])
    row = [int(np.flatnonzero((s == S).all(axis=1))[0]) for s in inside]
    assert np.allclose(hidden(net, X)[:, good], found.V[row], atol=1e-12)
    assert (parity[row] == y).all()
    # the value is 0 on one side of the kink, and positive on the other
    z = S.sum(axis=1)[:, None]
    clear = np.abs(z - found.kink) > 0.05
    assert ((found.V > 1e-12) == ((z > found.kink) == (found.kink < 0)))[clear].all()


def test_no_good_neuron_gives_no_separator(monkeypatch):
    monkeypatch.setattr(parity_separator, "good_neurons", lambda W, A: np.zeros(len(W), dtype=bool))
    assert parity_separator.good_features(generator(0, "x"), 20, 3, 4).V.shape == (8, 0)
    assert not parity_separator._separable(generator(0, "x"), 20, 3, 4)


# The checks can fail


def verdicts(found):
    return {g.id: g.verdict for g in found}


def altered(monkeypatch, module, **changes):
    """The module's correlation with some of its fields passed through a function."""
    real = module.correlation

    def wrong(W, b, problem):
        found = real(W, b, problem)
        return found._replace(**{name: change(getattr(found, name)) for name, change in changes.items()})

    monkeypatch.setattr(module, "correlation", wrong)


@pytest.mark.parametrize(("part", "field"), [("outside", "W"), ("bias", "b")])
def test_a_gradient_over_all_inputs_that_is_off_is_caught(monkeypatch, part, field):
    real = parity_first_step.gradient

    def off(params, problem):
        loss, slope = real(params, problem)
        return loss, slope._replace(**{field: getattr(slope, field) + 1e-12})

    monkeypatch.setattr(parity_first_step, "gradient", off)
    found = verdicts(parity_first_step.lemma9("smoke"))
    wrong = {name for name, verdict in found.items() if verdict is Verdict.VIOLATED}
    assert wrong == {f"parity/lemma9-{part}[good neurons,enumeration]"}


def test_neurons_that_are_not_good_fail_over_all_inputs(monkeypatch):
    problem, W = parity_first_step.good_starts(11, 5, 40)
    W[:, problem.support[0]] = (W[:, problem.support[0]] + 2) % 3 - 1  # another of -1, 0, 1: the sum over A is not 0
    assert not good_neurons(W, problem.support).any()
    monkeypatch.setattr(parity_first_step, "good_starts", lambda n, k, count: (problem, W))
    inside, outside, bias = parity_first_step._step_enumerated(11, 5, 40)
    assert outside.measured > 1e-3
    assert {inside.verdict, outside.verdict, bias.verdict} == {Verdict.VIOLATED}


def test_wrong_weights_inside_a_are_caught(monkeypatch):
    altered(monkeypatch, parity_first_step, inside=lambda G: G * np.linspace(0.9, 1, G.shape[1]))
    seven, nine = verdicts(parity_first_step.lemma7("smoke")), verdicts(parity_first_step.lemma9("smoke"))
    assert seven["parity/lemma7[inside,closed form]"] is Verdict.VIOLATED
    assert nine["parity/lemma9-alpha-low[good neurons]"] is Verdict.VIOLATED
    altered(monkeypatch, parity_first_step, inside=lambda G: 1.2 * G)
    nine = verdicts(parity_first_step.lemma9("smoke"))
    assert nine["parity/lemma9-alpha-high[printed]"] is Verdict.VIOLATED


def test_a_count_of_good_neurons_that_is_off_is_caught(monkeypatch):
    real = parity_first_step.good_neurons

    def fewer(W, A):  # one in fifty is missed
        good = real(W, A)
        return good & (np.cumsum(good) % 50 != 1)

    monkeypatch.setattr(parity_first_step, "good_neurons", fewer)
    shares = [parity_first_step.theory.lemma9_share(k=k, share=parity_first_step._counted(k)) for k in (3, 5, 7)]
    assert {g.verdict for g in shares} == {Verdict.VIOLATED}


def test_correlations_that_do_not_shrink_with_n_are_caught(monkeypatch):
    monkeypatch.setattr(parity_first_step, "signed_expectation", lambda f, l, m: 0.1)
    parity_first_step._law.cache_clear()
    five, six = verdicts(parity_first_step.lemma5("smoke")), verdicts(parity_first_step.lemma6("smoke"))
    parity_first_step._law.cache_clear()
    names = ("parseval", "parseval[coordinate]", "exponent[bias,k=5]", "drawn[n=101,k=3]")
    assert {five[f"parity/lemma5-{name}"] for name in names} == set(six.values()) == {Verdict.VIOLATED}


@pytest.mark.parametrize("field", ["outside", "bias"])
def test_correlations_of_drawn_neurons_that_are_off_by_a_per_cent_are_caught(monkeypatch, field):
    altered(monkeypatch, parity_first_step, **{field: lambda G: 1.01 * G})
    assert verdicts(parity_first_step.lemma6("smoke")) == {"parity/lemma6-law": Verdict.VIOLATED}


@pytest.mark.parametrize(("part", "sums"), [("bias", {""}), ("coordinate", {"[coordinate]"})])
def test_the_law_of_either_part_is_in_its_sum(monkeypatch, part, sums):
    real = parity_first_step._Law.square
    monkeypatch.setattr(parity_first_step._Law, "square", lambda law, p: real(law, p) * (1.01 if p == part else 1))
    found = verdicts(parity_first_step.lemma5("smoke"))
    wrong = {name.removeprefix("parity/lemma5-parseval") for name, v in found.items() if v is Verdict.VIOLATED}
    assert wrong >= sums


def test_starts_without_a_separator_and_networks_that_are_off_are_caught(monkeypatch):
    monkeypatch.setattr(parity_separator, "_separators", lambda scale: [])
    monkeypatch.setattr(parity_separator, "_separable", lambda rng, n, k, q: rng.random() < 0.5)
    assert {g.verdict for g in parity_separator.lemma12("smoke")} == {Verdict.VIOLATED}
    monkeypatch.undo()
    real = parity_separator.forward
    monkeypatch.setattr(parity_separator, "forward", lambda net, X: 0.99 * real(net, X))
    found = verdicts(parity_separator._separators("smoke"))
    assert found["parity/lemma12-margin[k=3]"] is found["parity/lemma12-margin[k=5]"] is Verdict.VIOLATED


def test_dependence_beyond_lemma8_is_caught(monkeypatch):
    real = parity_first_step._worst_deviation
    monkeypatch.setattr(parity_first_step, "_worst_deviation", lambda n, k, m: 1.01 * real(n, k, m))
    assert verdicts(parity_first_step.lemma8("smoke"))["parity/lemma8[k=3]"] is Verdict.VIOLATED


def test_neurons_that_moved_too_far_are_no_features(monkeypatch):
    """Weights that are a tenth leave no kink in [-k, k]: no feature, no separator."""
    for module in (parity_features, parity_separator):
        altered(monkeypatch, module, inside=lambda G: G / 10)
    eleven, twelve = parity_features.lemma11("smoke"), verdicts(parity_separator.lemma12("smoke"))
    assert verdicts(eleven)["parity/lemma11[any n]"] is Verdict.VIOLATED
    assert twelve["parity/lemma12-margin[k=3]"] is Verdict.VIOLATED
    unknown = ("sparsity-q[n=101,k=3]", "norm-q[n=101,k=3]", "norm-k[few neurons]")
    assert {twelve[f"parity/lemma12-{name}"] for name in unknown} == {Verdict.NOT_MEASURED}
    assert twelve["parity/lemma12-few[n=101,k=3,q=32,delta=0.1]"] is Verdict.VIOLATED


def test_capped_features_are_caught(monkeypatch):
    monkeypatch.setattr(parity_features, "feature", lambda r, z, cap=False: feature(r, z, cap=True))
    found = verdicts(parity_features.lemma10("smoke"))
    assert found["parity/lemma10-identity"] is found["parity/lemma10"] is Verdict.VIOLATED
    rows = verdicts(parity_features.representations("smoke"))
    assert rows["parity/representation"] is rows["parity/representation-rank"] is Verdict.VIOLATED


def test_bisection_finds_the_probability_of_a_grid():
    k, r, alpha = 5, -3, 0.4
    t = 2 * (np.arange(20_000) + 0.5) / 20_000 - 1
    best = 1 / (8 * alpha * abs(r))  # u* k / n, positive as r is negative
    epsilons = np.array([0.2, 1.0, 4.0, 9.0, 15.0])  # the last two beyond the closed form
    found = parity_features._probabilities(best, epsilons, k, r, alpha)
    grid = [(parity_features._errors(t, k, r, alpha) <= e).mean() for e in epsilons]
    assert found == pytest.approx(grid, abs=2 / 20_000)


def test_the_supremum_over_z_is_taken_at_a_kink():
    rng, z = np.random.default_rng(1), np.linspace(-5, 5, 20_001)
    for r in (-5, -1, 3):
        for cap in (False, True):
            t, alpha = rng.uniform(-1, 1, 50), rng.uniform(0.25, 1)
            value = abs(r) * 40 * relu6(alpha * t[:, None] * z / 5 + 1 / 40)
            dense = np.abs(value - feature(r, z, cap=cap)).max(axis=1)
            exact = parity_features._errors(t, 5, r, alpha, cap=cap)
            assert (exact >= dense - 1e-9).all()
            assert exact == pytest.approx(dense, abs=abs(r) * 40 * 1e-3)
