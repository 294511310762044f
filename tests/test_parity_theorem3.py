"""Theorem 13, Lemmas 14 to 16, Theorem 3 and Corollary 4: the bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.studies.parity.theorems import theorem3 as whole
from learnability.studies.parity.theorems import training as theory
from learnability.theory import Verdict


def failed(guarantee):
    return {h.name for h in guarantee.hypotheses if not h.holds}


# Theorem 13


def descend(functions, start, eta):
    """Online gradient descent on (value, gradient) pairs: iterates, losses, gradient norms."""
    theta, losses, norms = np.array(start, dtype=float), [], []
    for value, slope in functions:
        losses.append(value(theta))
        g = slope(theta)
        norms.append(float(np.linalg.norm(g)))
        theta = theta - eta * g
    return losses, norms


def quadratic(A, c):
    return (lambda v: 0.5 * float((v - c) @ A @ (v - c)), lambda v: A @ (v - c))


@given(st.integers(0, 10**6), st.integers(1, 30), st.floats(1e-3, 10))
@settings(max_examples=60)
def test_theorem13_holds_for_convex_quadratics(seed, T, eta):
    rng = np.random.default_rng(seed)
    functions = []
    for _ in range(T):
        R = rng.normal(size=(3, 3))
        functions.append(quadratic(R.T @ R, rng.normal(size=3)))
    start, other = rng.normal(size=3), 3 * rng.normal(size=3)
    losses, norms = descend(functions, start, eta)
    if not np.isfinite(norms).all() or max(norms) > 1e100:
        return
    for g in theory.theorem13(
        eta=eta,
        losses=losses,
        comparator_losses=[value(other) for value, _ in functions],
        gradient_norms=norms,
        start_norm=float(np.linalg.norm(start)),
        comparator_norm=float(np.linalg.norm(other)),
    ):
        assert g.verdict is Verdict.HOLDS, g


def linear_case(T=7, eta=0.3, factor=1.0):
    """Linear functions from 0 against their own end point: the sharp form is attained."""
    g = np.array([0.6, -0.8])
    other = -eta * T * g
    losses, norms = descend([(lambda v: factor * float(g @ v), lambda v: g)] * T, [0, 0], eta)
    return {
        "eta": eta,
        "losses": losses,
        "comparator_losses": [factor * float(g @ other)] * T,
        "gradient_norms": norms,
        "start_norm": 0.0,
        "comparator_norm": float(np.linalg.norm(other)),
    }


def test_the_sharp_regret_is_attained_and_the_printed_is_not():
    printed, sharp = theory.theorem13(**linear_case())
    assert sharp.measured == pytest.approx(sharp.bound, rel=1e-12)
    assert printed.slack == pytest.approx(0.3 / 2, rel=1e-12)  # eta / 2 times the squared norm 1
    assert {printed.verdict, sharp.verdict} == {Verdict.HOLDS}


def test_the_regret_notices_wrong_gradients_and_functions_that_are_not_convex():
    found = theory.theorem13(**linear_case(factor=2.0))  # the values are those of 2f, the gradients those of f
    assert found[1].verdict is Verdict.VIOLATED
    concave = theory.theorem13(**linear_case(factor=2.0), convex=False)
    assert failed(concave[0]) == {"every f_t is convex"}


def test_the_regret_bound_term_by_term():
    known = {"eta": 0.5, "comparator_loss": 2.0, "gradient_norms": [1, 3], "start_norm": 0.7, "comparator_norm": 4}
    assert theory.regret_bound(**known) == pytest.approx(2 + 16 / 2 + 0.7 * 2 + 0.5 * 5)
    assert theory.regret_bound(**known, form="sharp") == pytest.approx(2 + 16 / 2 + 0.7 * 2 + 0.25 * 5)


# Lemmas 14 to 16


def test_lemma14_from_both_sides():
    bound = 3 / math.sqrt(200)
    assert theory.lemma14(200, 3, largest=bound).verdict is Verdict.HOLDS
    assert theory.lemma14(200, 3, largest=bound * 1.001).verdict is Verdict.VIOLATED
    assert theory.lemma14(200, 3).verdict is Verdict.NOT_MEASURED
    assert failed(theory.lemma14(200, 3, largest=1, zero_start=False)) == {"the network is 0 at the start"}


T = np.array([1, 2, 5, 40])


def test_lemma15_bounds_are_the_recursions_they_come_from():
    """Worst case of every step of the update rule: all gradients as large as they can be, with one sign."""
    n, k, eta, lam = 50, 3, 0.2, 0.1
    u, moved, bias = k / math.sqrt(n), 0.0, 0.0
    rows = {1: (u, moved, bias)}
    for t in range(2, 41):
        u, moved, bias = u + 6 * eta, moved + 2 * eta * lam * n / k + eta * u, bias + eta * u
        rows[t] = (u, moved, bias)
    worst = np.array([rows[t] for t in T])
    known = {"n": n, "k": k, "eta": eta}
    sharp = np.column_stack(
        [
            theory.output_bound(T, **known, form="sharp"),
            theory.hidden_movement_bound(T, **known, lam=lam, form="sharp"),
            theory.bias_movement_bound(T, **known, form="sharp"),
        ]
    )
    np.testing.assert_allclose(sharp, worst, rtol=1e-12)
    printed = np.column_stack(
        [
            theory.output_bound(T, **known),
            theory.hidden_movement_bound(T, **known, lam=lam),
            theory.bias_movement_bound(T, **known),
        ]
    )
    root = k / math.sqrt(n)
    np.testing.assert_allclose(printed[:, 0], 6 * eta * T + root)
    np.testing.assert_allclose(printed[:, 2], 6 * eta**2 * T**2 + eta * T * root)
    np.testing.assert_allclose(printed[:, 1] - printed[:, 2], 2 * eta * lam * T * n / k)
    assert (printed >= sharp).all()


@pytest.mark.parametrize("index", [0, 1, 2])
def test_lemma15_finds_the_record_that_breaks_it(index):
    known = {"n": 50, "k": 3, "eta": 0.2, "lam": 0.1}
    values = [
        theory.output_bound(T, n=50, k=3, eta=0.2),
        theory.hidden_movement_bound(T, **known),
        theory.bias_movement_bound(T, n=50, k=3, eta=0.2),
    ]
    values[index] = values[index] * [0.5, 1.01, 0.9, 0.9]
    output, hidden, bias = values
    found = theory.lemma15(**known, t=T, output=output, hidden_movement=hidden, bias_movement=bias)
    assert [g.verdict is Verdict.VIOLATED for g in found] == [i == index for i in range(3)]
    assert "at t = 2 of 40" in found[index].note
    outside = theory.lemma15(
        **{**known, "eta": 0.6, "lam": 0.6}, t=T, output=output, hidden_movement=hidden, bias_movement=bias
    )
    assert all(failed(g) == {"eta <= 1/2", "lambda <= 1/2"} for g in outside)


def test_lemma16_is_twice_the_printed_sum():
    known = {"n": 50, "k": 3, "eta": 0.2, "lam": 0.1}
    inner = 6 * 0.2**2 * T**2 + 0.2 * T * 3 / math.sqrt(50) + 0.2 * 0.1 * T * 50 / 3
    bound = theory.loss_change_bound(T, **known, norm=1.5, nonzero=9)
    np.testing.assert_allclose(bound, 2 * 1.5 * 3 * inner)
    assert (theory.loss_change_bound(T, **known, norm=1.5, nonzero=9, form="sharp") < bound).all()
    found = theory.lemma16(**known, t=T, norm=1.5, nonzero=9, change=bound * [1, 1, 1.01, 1])
    assert found.verdict is Verdict.VIOLATED
    assert "t = 5" in found.note
    assert theory.lemma16(**known, t=T, norm=1.5, nonzero=9, change=bound).verdict is Verdict.HOLDS


# Theorem 3 and Corollary 4


def test_the_terms_of_theorem3_are_those_of_the_general_bounds():
    """Safe form: Theorem 13, Lemma 14, Lemma 16 and the norm of u* at eta = k^2 / (T sqrt q), put together anew."""
    n, k, q, T, lam, B, B0 = 300, 5, 80, 900, 0.01, 0.2, 3.0
    eta = whole.theorem3_step(k=k, q=q, T=T)
    assert eta == pytest.approx(25 / (900 * math.sqrt(80)))
    norm, nonzero = B * k**5 / math.sqrt(q), B0 * q / k**2.5
    largest = 6 * eta * T + k / math.sqrt(n)
    gradient = math.sqrt(2 * q) * (6 + 2 * lam * largest)
    change = 2 * norm * math.sqrt(nonzero) * (6 * eta**2 * T**2 + eta * T * k / math.sqrt(n) + eta * lam * T * n / k)
    expected = (
        lam * norm**2,
        change,
        norm**2 / (2 * eta * T),
        math.sqrt(2 * q) * k / math.sqrt(n) * gradient,
        eta * gradient**2,
    )
    terms = whole.theorem3_terms(n=n, k=k, q=q, T=T, lam=lam, separator=B, sparsity=B0)
    assert terms == pytest.approx(expected, rel=1e-12)
    assert terms.total == pytest.approx(sum(expected))
    assert whole.theorem3_terms(n=n, k=k, q=q, T=T, separator=B) == whole.theorem3_terms(
        n=n, k=k, q=q, T=T, lam=k / n, separator=B
    )


def test_the_printed_terms():
    n, k, q, T = 10**6, 7, 400, 50
    terms = whole.theorem3_terms(n=n, k=k, q=q, T=T, separator=2.0, sparsity=4.0, form="printed")
    assert terms.separator == pytest.approx(4 * 7**10 / 800)
    assert terms.drift == pytest.approx(16 * (6 * 7**8 / 400 + 7**6 / 20))
    assert terms.regret == pytest.approx(4 * 7**8 / 40)
    assert terms.start == pytest.approx(6 * math.sqrt(2) * 400 * 7 / 1000)
    assert terms.steps == pytest.approx(36 * 49 * 20 / 50)


def test_theorem3_names_what_is_not_met_and_that_the_bound_says_nothing():
    known = {"n": 1000, "k": 7, "q": 256, "T": 100}
    eta = whole.theorem3_step(k=7, q=256, T=100)
    found = whole.theorem3(**known, eta=eta, loss=0.9)
    assert failed(found) == {"k <= c n^(1/10)", "q >= C k^7 log(k/delta)", "the bound is below 1"}
    assert "vacuous" in found.note
    assert found.verdict is Verdict.OUTSIDE
    also = whole.theorem3(**{**known, "k": 5}, eta=0.3, lam=0.1, zero_start=False)
    assert failed(also) > {"k >= 7", "eta = k^2 / (T sqrt q)", "lambda <= k/n", "the network is 0 at the start"}
    sizes = {"n": 10**34, "k": 7, "q": 10**9, "T": 4 * 10**8}
    eta = whole.theorem3_step(k=7, q=sizes["q"], T=sizes["T"])
    near = whole.theorem3(**sizes, eta=eta, separator=1e-4, loss=0.2)
    assert near.verdict is Verdict.HOLDS
    assert near.bound < 1
    assert near.measure(0.99).verdict is Verdict.VIOLATED


@pytest.mark.parametrize("k", [7, 9, 15])
@pytest.mark.parametrize("epsilon", [0.4, 0.1, 0.001])
def test_the_smallest_sizes_are_enough_and_not_by_much(k, epsilon):
    sizes = whole.smallest_sizes(k, epsilon=epsilon, delta=0.1, separator=0.05, sparsity=2.0)
    bound = whole.theorem3_terms(n=sizes.n, k=k, q=sizes.q, T=sizes.T, separator=0.05, sparsity=2.0).total
    assert epsilon / 3 < bound <= epsilon * (1 + 1e-9)
    assert sizes.q >= k**7 * math.log(k / 0.1)
    assert sizes.n >= k**10


def test_corollary4_as_printed_does_not_reach_epsilon_and_the_safe_sizes_do():
    ratios = {form: [] for form in whole.FORMS}
    for form in whole.FORMS:
        for epsilon in (1e-4, 1e-6, 1e-8):
            n, q, T = whole.corollary4_sizes(7, epsilon=epsilon, delta=0.1, form=form)
            terms = whole.theorem3_terms(n=n, k=7, q=q, T=T)
            ratios[form].append(terms.total / epsilon)
    assert ratios["safe"][-1] == pytest.approx(ratios["safe"][0], rel=0.1)
    assert ratios["printed"][-1] > 8 * ratios["printed"][-2]  # like epsilon^(-1/2)
    small, large = (whole.corollary4_sizes(7, epsilon=0.1, delta=0.1, scale=s) for s in (1, 3))
    assert large == pytest.approx([3 * size for size in small])


@pytest.mark.parametrize("form", whole.FORMS)
def test_the_limit_of_corollary4_is_that_of_the_terms(form):
    for k, delta, B, B0 in ((3, 0.3, 2.0, 5.0), (7, 0.1, 0.8, 60.0)):
        n, q, T = whole.corollary4_sizes(k, epsilon=1e-14, delta=delta, form=form)
        terms = whole.theorem3_terms(n=n, k=k, q=q, T=T, separator=B, sparsity=B0)
        limit = whole.corollary4_limit(k, delta=delta, form=form, separator=B, sparsity=B0)
        assert terms.total == pytest.approx(limit * 1e-14 ** whole.POWERS[form], rel=1e-4)


def test_the_number_of_good_pairs_and_the_default_sparsity():
    law = whole.good_pairs(7, 1024)
    assert law == pytest.approx((1024 * 393 / 2187, math.sqrt(1024 * 393 / 2187 * 1794 / 2187)))
    most = 2 * (law.mean + 4 * law.deviation) * 7**2.5 / 1024
    assert most == pytest.approx(59.0, abs=0.05)
    assert most < whole.SPARSITY


EVEN = {"n": 9, "k": 2, "eta": 0.1, "lam": 0.0, "t": [1]}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.theorem13(**{**linear_case(), "eta": 0}), "eta must be > 0"),
        (lambda: theory.theorem13(**{**linear_case(), "losses": [1.0]}), "losses must have length 7"),
        (lambda: theory.theorem13(**{**linear_case(), "gradient_norms": []}), "gradient_norms must hold numbers"),
        (lambda: theory.output_bound([0], n=9, k=3, eta=0.1), "t must hold whole numbers of steps >= 1, got 0"),
        (lambda: theory.output_bound([1, 1.5], n=9, k=3, eta=0.1), "t must hold whole numbers .*, got 1.5"),
        (lambda: theory.output_bound([1], n=2, k=3, eta=0.1), "k must be <= 2"),
        (lambda: theory.output_bound([1], n=9, k=3, eta=0.1, form="best"), "form must be one of"),
        (lambda: theory.hidden_movement_bound([1], n=9, k=3, eta=0.1, lam=-1), "lam must be >= 0"),
        (lambda: whole.theorem3_terms(n=100, k=4, q=10, T=10), "k must be odd, got 4"),
        (lambda: whole.theorem3(n=100, k=7, q=10, T=10, eta=0.1, delta=1.0), "delta must be < 1"),
        (lambda: whole.corollary4_sizes(7, epsilon=0.5, delta=0.1), "epsilon must be < 0.5"),
        (lambda: theory.lemma14(200, 4), "k must be odd, got 4"),
        (lambda: theory.output_bound([1], n=9, k=4, eta=0.1), "k must be odd, got 4"),
        (lambda: theory.lemma15(**EVEN, output=[0], hidden_movement=[0], bias_movement=[0]), "k must be odd, got 2"),
        (lambda: theory.lemma16(**EVEN, norm=1.0, nonzero=1, change=[0]), "k must be odd, got 2"),
        (lambda: theory.lemma14(200, 3, largest=-1.0), "largest must be >= 0"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
