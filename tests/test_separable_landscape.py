"""Proposition 1, Theorem 7 and Theorem 8 of Brutzkus et al.: the gradient, the guarantees and their checks."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks.bad_minima import bad_local_minimum, flat_radius
from learnability.networks.separable import TwoLayer, forward, initial, leaky
from learnability.studies.separable.checks import landscape as separable_landscape
from learnability.studies.separable.checks import memorising as separable_memorising
from learnability.studies.separable.theorems import landscape as theory
from learnability.studies.separable.theorems import prop1_critical_points as prop1
from learnability.theory import Kind, Verdict
from learnability.theory.margins import hard_margin


def problem(seed, m=12, d=4, k=3):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(d)
    X = rng.standard_normal((m, d))
    inner = X @ w
    params = TwoLayer(rng.standard_normal((2 * k, d)) * 0.3, np.repeat([0.7, -0.7], k))
    return params, X, np.sign(inner), w / np.abs(inner).min()


@cache
def compiled_gradient():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy

    def loss(W, v, X, y, alpha):
        z = X @ W.T
        gap = 1 - y * (jnp.where(z > 0, z, alpha * z) @ v)
        return jnp.where(gap > 0, gap, 0.0).mean()

    return jax.jit(jax.grad(loss))


def jax_gradient(params, X, y, alpha):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        return np.asarray(compiled_gradient()(*params, X, y, alpha))


# Gradient


@settings(derandomize=True, deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from([(1, 1), (12, 3), (20, 5)]),
    alpha=st.sampled_from([0.0, 0.1, 0.7]),
)
def test_the_gradient_is_that_of_automatic_differentiation(seed, shape, alpha):
    params, X, y, _ = problem(seed, m=shape[0], k=shape[1])
    found = prop1.hinge_gradient(params, X, y, alpha=alpha)
    np.testing.assert_allclose(found, jax_gradient(params, X, y, alpha), rtol=1e-12, atol=1e-14)
    outputs = leaky(X @ params.W.T, alpha) @ params.v
    assert prop1.hinge_loss(params, X, y, alpha=alpha) == pytest.approx(np.maximum(1 - y * outputs, 0).mean())


def test_the_gradient_is_that_of_finite_differences():
    params, X, y, _ = problem(0)
    found, eps = prop1.hinge_gradient(params, X, y, alpha=0.2), 1e-6
    for index in np.ndindex(params.W.shape):
        up, down = params.W.copy(), params.W.copy()
        up[index] += eps
        down[index] -= eps
        slope = (
            prop1.hinge_loss(TwoLayer(up, params.v), X, y, alpha=0.2)
            - prop1.hinge_loss(TwoLayer(down, params.v), X, y, alpha=0.2)
        ) / (2 * eps)
        assert found[index] == pytest.approx(slope, abs=1e-8)


def test_large_samples_are_differentiated_in_blocks():
    rng = np.random.default_rng(1)
    params, X = initial(rng, 2, 2**17), rng.standard_normal((11, 2))  # four points to a block
    y = np.where(np.arange(11) % 2, 1.0, -1.0)
    slopes = np.where(X @ params.W.T > 0, 1.0, 0.1)
    kept = y * forward(params, X, alpha=0.1) < 1
    wanted = -params.v[:, None] * (slopes[kept].T @ (y[kept, None] * X[kept])) / 11
    np.testing.assert_allclose(prop1.hinge_gradient(params, X, y, alpha=0.1), wanted, atol=1e-16)


def test_a_margin_of_exactly_one_has_no_gradient_and_a_kink_has_a_choice():
    params = TwoLayer(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1.0, -1.0]))
    assert not prop1.hinge_gradient(params, [[1.0, 0.0]], [1], alpha=0.5).any()
    for at_zero, wanted in ((None, -1.0), (1.0, -1.0), (0.5, -0.5), (0.75, -0.75)):
        found = prop1.hinge_gradient(TwoLayer(np.zeros((2, 1)), params.v), [[1.0]], [1], alpha=0.5, at_zero=at_zero)
        np.testing.assert_array_equal(found, [[wanted], [-wanted]])
    assert not prop1.hinge_gradient(TwoLayer(np.zeros((2, 1)), params.v), [[1.0]], [1], alpha=0.0).any()
    for at_zero in (0.4, 1.1):
        with pytest.raises(ValueError, match="at_zero must be"):
            prop1.hinge_gradient(params, [[1.0, 0.0]], [1], alpha=0.5, at_zero=at_zero)


# Proposition 1


@settings(derandomize=True, deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), alpha=st.floats(0.01, 0.99), scale=st.sampled_from([0.0, 0.1, 1.0]))
def test_the_gradient_points_away_from_the_minimum_block_by_block(seed, alpha, scale):
    params, X, y, w_star = problem(seed)
    params = TwoLayer(params.W * scale, params.v)
    block, descent, norm = prop1.proposition1(params, X, y, w_star, alpha=alpha)
    violated = int((y * forward(params, X, alpha=alpha) < 1).sum())
    if not violated:
        assert {g.verdict for g in (block, descent, norm)} == {Verdict.OUTSIDE}
        return
    assert {g.verdict for g in (block, descent, norm)} == {Verdict.HOLDS}
    gradient = jax_gradient(params, X, y, alpha) if scale else prop1.hinge_gradient(params, X, y, alpha=alpha)
    signs = np.sign(params.v)
    assert descent.measured == pytest.approx(float((gradient @ w_star * signs).sum()))
    assert descent.bound == pytest.approx(-6 * alpha * 0.7 * violated / 12)
    assert (gradient @ w_star * signs).max() < 0
    assert norm.measured == pytest.approx(np.linalg.norm(gradient))
    assert norm.bound == pytest.approx(math.sqrt(6) * alpha * 0.7 * violated / 12 / np.linalg.norm(w_star))
    assert block.bound == 1
    assert block.measured >= 1 - 1e-9


def test_the_bound_of_proposition_1_is_attained():
    """All y <w*, x> = 1 and all units at slope alpha: equality in every step."""
    X, y = np.eye(3), np.array([1.0, -1.0, 1.0])
    params = TwoLayer(-np.ones((4, 3)), np.repeat([2.0, -2.0], 2))
    for g in prop1.proposition1(params, X, y, y, alpha=0.25):
        assert g.measured == pytest.approx(g.bound, rel=1e-12)
        assert g.verdict is Verdict.HOLDS


def test_what_proposition_1_asks_for():
    params, X, y, w_star = problem(0)

    def failing(**change):
        named = {"params": params, "w_star": w_star, "alpha": 0.3, **change}
        found = prop1.proposition1(named["params"], X, y, named["w_star"], alpha=named["alpha"])
        assert {g.verdict for g in found} == {Verdict.OUTSIDE}
        return {h.name for g in found for h in g.hypotheses if not h.holds}

    assert failing(alpha=0.0) == {"0 < alpha < 1"}
    assert failing(w_star=0.99 * w_star) == {"y <w*, x> >= 1"}
    assert failing(params=params._replace(v=np.arange(1.0, 7.0))) == {"output weights +-v"}
    fitted = TwoLayer(np.repeat([9 * w_star, -9 * w_star], 3, axis=0), params.v)
    assert failing(params=fitted) == {"W is no global minimum"}
    assert not prop1.hinge_gradient(fitted, X, y, alpha=0.3).any()
    assert prop1.hinge_loss(fitted, X, y, alpha=0.3) == 0


def test_a_wrong_sign_would_be_seen(monkeypatch):
    """w* against the labels: the hypothesis fails, and so would the inequality."""
    params, X, y, w_star = problem(1)
    for g in prop1.proposition1(params, X, y, -w_star, alpha=0.3):
        assert g.verdict is Verdict.OUTSIDE
        assert g.slack < 0 or "gradient" in g.id


def test_critical_points_are_counted():
    assert prop1.proposition1_critical(alpha=0.1, mismatches=0, points=3).verdict is Verdict.HOLDS
    assert prop1.proposition1_critical(alpha=0.1, mismatches=1, points=3).verdict is Verdict.VIOLATED
    assert prop1.proposition1_critical(alpha=0.0, mismatches=1).verdict is Verdict.OUTSIDE
    assert prop1.proposition1_critical(alpha=0.1).verdict is Verdict.NOT_MEASURED


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    x=st.lists(st.fractions(-5, 5, max_denominator=40), min_size=1, max_size=5).filter(any),
    alpha=st.fractions(0, Fraction(99, 100), max_denominator=100),
)
def test_the_midpoint_example_in_rational_numbers(x, alpha):
    square = sum(a * a for a in x)
    values = prop1.midpoint_values(np.array(x, dtype=object), alpha)
    assert values == (0, (1 + alpha) * square, square)
    excess = values[2] - (values[0] + values[1]) / 2
    assert excess == (1 - alpha) * square / 2
    found = prop1.proposition1_midpoint(excess=excess, alpha=alpha, square=square)
    assert found.verdict is Verdict.HOLDS
    assert found.slack == 0
    wrong = prop1.proposition1_midpoint(excess=excess + Fraction(1, 10**6) * square, alpha=alpha, square=square)
    assert wrong.verdict is Verdict.VIOLATED


def test_the_midpoint_example_is_a_loss():
    """1 + f_x is the hinge loss of (x, -1), and it lies above its chord."""
    x, v = np.array([0.3, -0.4]), np.array([1.0, -1.0])
    values = [prop1.hinge_loss(TwoLayer(np.array([x, u]), v), x[None], [-1], alpha=0.1) - 1 for u in (x, -x, 0 * x)]
    np.testing.assert_allclose(values, prop1.midpoint_values(x, 0.1), atol=1e-15)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), alpha=st.floats(0, 0.95), k=st.integers(1, 4), v=st.sampled_from([1.0, 0.2]))
def test_the_loss_of_a_whole_set_is_not_convex(seed, alpha, k, v):
    _, X, y, w_star = problem(seed)
    first, last, promised = prop1.nonconvexity(X, y, w_star, k=k, v=v, alpha=alpha)
    middle = TwoLayer((first.W + last.W) / 2, first.v)
    values = [prop1.hinge_loss(p, X, y, alpha=alpha) for p in (first, middle, last)]
    assert promised > 0
    assert values[1] - (values[0] + values[2]) / 2 == pytest.approx(promised, rel=1e-9)
    np.testing.assert_array_equal(first.v, np.repeat([v, -v], k))
    with pytest.raises(ValueError, match=r"w_star must have y <w\*, x> > 0 at all points, got -"):
        prop1.nonconvexity(X, y, -w_star, k=k, v=v, alpha=alpha)


# Theorem 7


def test_the_three_widths_of_theorem_7():
    for statement, width in (("stated", 8), ("proof", 18), ("least", 7)):
        for k, verdict in ((width, Verdict.HOLDS), (width - 1, Verdict.OUTSIDE)):
            found = theory.theorem7(n=31, d=5, k=k, statement=statement, positive=10, residual=1e-9)
            assert (found.verdict, found.kind) == (verdict, Kind.EXACT), (statement, k)
            assert found.id == f"separable/thm7[{statement}]"
    assert theory.theorem7(n=30, d=5, k=8, residual=1e-3).verdict is Verdict.VIOLATED
    assert theory.theorem7(n=30, d=5, k=8).verdict is Verdict.NOT_MEASURED
    assert theory.theorem7(n=30, d=5, k=np.int64(8), residual=float("nan")).verdict is Verdict.NOT_MEASURED
    for change, message in (
        ({"d": 1}, "d must be >= 2"),
        ({"n": 0}, "n must be >= 1"),
        ({"k": 0}, "k must be >= 1"),
        ({"statement": "new"}, "statement must be one of"),
        ({"statement": "proof"}, "positive must be an integer"),
        ({"statement": "proof", "positive": 31}, "positive must be <= 30"),
        ({"tolerance": -1}, "tolerance must be >= 0"),
    ):
        with pytest.raises(ValueError, match=message):
            theory.theorem7(**{"n": 30, "d": 5, "k": 8, **change})


def test_overfitting_is_three_statements():
    good = {"hinge": 0.0, "test_error": 1.0, "sgd_hinge": 0.0}
    assert [g.verdict for g in theory.theorem7_overfitting(**good)] == [Verdict.HOLDS] * 3
    for i, (name, value) in enumerate([("hinge", 1e-12), ("test_error", 0.99), ("sgd_hinge", 1e-12)]):
        found = [g.verdict for g in theory.theorem7_overfitting(**{**good, name: value})]
        assert found == [Verdict.VIOLATED if j == i else Verdict.HOLDS for j in range(3)]
    assert {g.verdict for g in theory.theorem7_overfitting()} == {Verdict.NOT_MEASURED}


# Theorem 8


def verdicts8(**named):
    return [g.verdict for g in theory.theorem8(**named)]


def test_theorem_8_is_four_statements():
    good = {"loss": 0.6, "gradient": 0.0, "change": 0.0, "updates": 0}
    assert verdicts8(m=5, **good) == [Verdict.HOLDS] * 4
    assert verdicts8(m=5, **{**good, "loss": 0.4})[0] is Verdict.VIOLATED  # 3 of 5 must be dead
    assert verdicts8(m=10, **good) == [Verdict.HOLDS] * 4
    assert verdicts8(m=10, **{**good, "loss": 0.5})[0] is Verdict.VIOLATED
    assert verdicts8(m=10, symmetric=True, **{**good, "loss": 0.5}) == [Verdict.HOLDS] * 4
    assert verdicts8(m=10, symmetric=True, **good)[0] is Verdict.VIOLATED
    for i, name in ((1, "gradient"), (2, "change"), (3, "updates")):
        least = 1 if name == "updates" else 1e-300
        assert verdicts8(m=5, **{**good, name: least})[i] is Verdict.VIOLATED
    assert verdicts8(m=5, **good, margin=0.9) == [Verdict.OUTSIDE] * 4
    assert set(verdicts8(m=5)) == {Verdict.NOT_MEASURED}
    with pytest.raises(ValueError, match="m must be even where the set is symmetric, got 5"):
        theory.theorem8(m=5, symmetric=True)


def test_symmetric_directions_are_those_without_a_side_of_more_than_half():
    symmetric = theory.symmetric_directions
    assert symmetric([[1.0, 2.0], [-3.0, -6.0]])
    assert not symmetric([[1.0, 2.0], [-1.0, 2.0]])
    assert not symmetric([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    rng = np.random.default_rng(0)
    for _ in range(40):
        x = rng.integers(-2, 3, (int(rng.integers(1, 4)), 2)).astype(float)
        X = np.concatenate([x, -x * rng.uniform(0.5, 2, (len(x), 1))])[: len(x) + int(rng.integers(len(x) + 1))]
        X = X[X.any(axis=1)]
        if len(X):
            angles = np.arange(0.001, 2 * np.pi, 0.01)
            negative = (X @ np.array([np.cos(angles), np.sin(angles)]) < 0).sum(axis=0)
            assert symmetric(X) == (2 * negative == len(X)).all()


@settings(derandomize=True, deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), m=st.sampled_from([1, 2, 7, 20]), k=st.sampled_from([1, 4]))
def test_the_gradient_at_the_bad_minimum_is_exactly_zero(seed, m, k):
    _, X, y, _ = problem(seed, m=m)
    bad = bad_local_minimum(X, y, hard_margin(X, y).w, k=k, rng=np.random.default_rng(seed), tries=30)
    assert not prop1.hinge_gradient(bad.params, X, y, alpha=0.0).any()
    assert not jax_gradient(bad.params, X, y, 0.0).any()
    assert prop1.hinge_loss(bad.params, X, y, alpha=0.0) == bad.loss >= 0.5
    assert prop1.hinge_gradient(bad.params, X, y, alpha=0.1).any()  # no critical point of the leaky network


def test_the_pair_has_no_local_minimum_above_one_half():
    found = bad_local_minimum([[1.0], [-1.0]], [1, -1], [1.0], k=3, rng=np.random.default_rng(0))
    assert found.loss == 0.5
    grid = np.linspace(-2, 2, 9)
    for a in grid:
        for b in grid:
            params = TwoLayer(np.array([[a], [b]]), np.array([1.0, -1.0]))
            X, y = [[1.0], [-1.0]], [1, -1]
            loss = prop1.hinge_loss(params, X, y, alpha=0.0)
            if loss > 0.5:
                near = [
                    prop1.hinge_loss(TwoLayer(params.W + step, params.v), X, y, alpha=0.0)
                    for step in 1e-6 * np.array([[[1], [0]], [[-1], [0]], [[0], [1]], [[0], [-1]]])
                ]
                assert min(near) < loss


# Checks


CHECKS = {check.name: check for module in (separable_landscape, separable_memorising) for check in module.CHECKS}


@pytest.fixture(scope="module")
def smoke():
    return {name: check.run("smoke") for name, check in CHECKS.items()}


def test_the_checks_hold_at_smoke_scale(smoke):
    found = [g for guarantees in smoke.values() for g in guarantees]
    for g in found:
        assert g.verdict is Verdict.HOLDS, g
    (pair,) = (g for g in found if g.id == "separable/thm8-loss[x and -x]")
    assert (pair.kind, pair.measured) == (Kind.EXACT, 0.5)


def test_the_checks_are_deterministic(smoke):
    assert CHECKS["thm8"].run("smoke") == smoke["thm8"]
    assert CHECKS["prop1"].run("smoke") == smoke["prop1"]


def verdicts(guarantees):
    return {g.id: g.verdict for g in guarantees}


def violated(guarantees):
    return {g.id.partition("[")[0] for g in guarantees if g.verdict is Verdict.VIOLATED}


def test_a_network_that_does_not_memorise_is_caught(monkeypatch):
    real = separable_memorising.memorise

    def blunt(*arguments, **named):
        made = real(*arguments, **named)
        params = made.params._replace(W=made.params.W * 0.999)
        return made._replace(params=params)

    monkeypatch.setattr(separable_memorising, "memorise", blunt)
    assert violated(CHECKS["thm7"].run("smoke")) == {"separable/thm7", "separable/thm7-global-minimum"}


def test_a_construction_that_fails_counts_against_the_statement(monkeypatch):
    def fails(X, y, **named):
        if "exact_hinge" in named:
            return real(X, y, **named)
        raise ValueError("no network")

    real = separable_memorising.memorise
    monkeypatch.setattr(separable_memorising, "memorise", fails)
    found = CHECKS["thm7"].run("smoke")
    assert violated(found) == {"separable/thm7"}
    assert any("no network" in g.note for g in found)


def test_hyperplanes_that_do_not_separate_are_caught(monkeypatch):
    monkeypatch.setattr(separable_memorising, "pencil", lambda Z, k, rng: np.ones((k - 1, Z.shape[1])))
    assert violated(CHECKS["thm7"].run("smoke")) == {"separable/thm7-rank"}


def test_sgd_that_does_not_learn_is_caught(monkeypatch):
    real = separable_memorising.train

    def untrained(*arguments, **named):
        return real(*arguments, **{**named, "epochs": 0, "record": [0]})

    monkeypatch.setattr(separable_memorising, "train", untrained)
    assert violated(CHECKS["thm7"].run("smoke")) == {"separable/thm7-sgd-minimum", "separable/thm7-sgd-test-error"}


def test_a_ball_that_is_not_flat_is_caught(monkeypatch):
    real = separable_landscape.bad_local_minimum

    def wider(*arguments, **named):
        found = real(*arguments, **named)
        return found._replace(radius=3 * found.radius)

    monkeypatch.setattr(separable_landscape, "bad_local_minimum", wider)
    assert violated(CHECKS["thm8"].run("smoke")) == {"separable/thm8-flat", "separable/thm8-sgd"}


def test_a_minimum_that_is_none_is_caught(monkeypatch):
    real = separable_landscape.bad_local_minimum

    def turned(*arguments, **named):
        found = real(*arguments, **named)
        params = found.params._replace(W=-found.params.W)
        return found._replace(params=params)

    monkeypatch.setattr(separable_landscape, "bad_local_minimum", turned)
    assert violated(CHECKS["thm8"].run("smoke")) >= {"separable/thm8-gradient", "separable/thm8-flat"}


def test_a_minimum_with_too_small_a_loss_is_caught(monkeypatch):
    real = separable_landscape.bad_local_minimum

    def other_side(*arguments, **named):
        found = real(*arguments, **named)
        params = found.params._replace(W=-np.roll(found.params.W, len(found.params.W) // 2, axis=0))  # of -w^
        radius = flat_radius(params, *arguments[:2])
        dead = ~found.dead
        return found._replace(params=params, loss=float(dead.mean()), dead=dead, radius=radius)

    monkeypatch.setattr(separable_landscape, "bad_local_minimum", other_side)
    assert violated(CHECKS["thm8"].run("smoke")) == {"separable/thm8-loss"}


def test_a_gradient_that_is_wrong_is_caught(monkeypatch):
    real = prop1.hinge_gradient
    monkeypatch.setattr(prop1, "hinge_gradient", lambda *a, **named: 0 * real(*a, **named))
    assert violated(CHECKS["prop1"].run("smoke")) == {"separable/prop1-critical"}


def test_a_leaky_network_has_no_such_minimum(monkeypatch):
    real = prop1.hinge_gradient
    monkeypatch.setattr(prop1, "hinge_gradient", lambda *a, alpha: real(*a, alpha=max(alpha, 0.01)))
    assert violated(CHECKS["prop1"].run("smoke")) == {"separable/prop1-alpha-needed"}


def test_a_w_star_that_points_elsewhere_is_caught(monkeypatch):
    real = separable_landscape.hard_margin

    def shorter(X, y):
        found = real(X, y)
        return replace(found, w=found.w * 0.9)

    monkeypatch.setattr(separable_landscape, "hard_margin", shorter)
    monkeypatch.setattr(separable_landscape, "_critical", lambda scale: [])  # refuses such a w*
    separable_landscape.digits.cache_clear()
    try:
        found = verdicts(separable_landscape.proposition1("smoke"))
    finally:
        separable_landscape.digits.cache_clear()
    assert found["separable/prop1-block[random sets]"] is Verdict.OUTSIDE
