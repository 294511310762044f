"""The modified perceptron against a naive loop, and Theorem 2's bounds on its runs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks.symmetry import embedding, symmetry_init
from learnability.problems.symmetry import parity
from learnability.studies.symmetry.theorems.thm2_lemma4 import theorem2
from learnability.theory import Verdict
from learnability.training.orders import example_orders
from learnability.training.perceptron import modified_perceptron


def naive(V, Y, *, h, beta, orders, max_updates):
    """Algorithm 1 in exact arithmetic, pass by pass: w, updates, whether it ended."""
    V = [[Fraction(float(a)) for a in v] for v in V]
    w = [Fraction(0)] * len(V[0])
    updates = 0
    for order in orders:
        before = updates
        for i in order:
            label = int(Y[i])
            if label * sum(a * b for a, b in zip(w, V[i], strict=True)) <= beta:
                w = [a + h * label * b for a, b in zip(w, V[i], strict=True)]
                updates += 1
        if updates == before:
            return w, updates, True
        if updates >= max_updates:
            return w, updates, False
    raise AssertionError("orders ran out")


def in_turn(N):
    while True:
        yield range(N)


def shuffled(seed, N):
    rng = np.random.default_rng(seed)
    while True:
        yield example_orders(rng, N, 1)[0].tolist()


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10**6),
    N=st.integers(1, 8),
    d=st.integers(1, 5),
    h=st.sampled_from([Fraction(1), Fraction(1, 3), Fraction(7, 10**6), 0.1]),
    of_h=st.sampled_from([0, 1, Fraction(7, 3), 20]),
    shuffle=st.booleans(),
    budget=st.integers(1, 300),
)
def test_is_algorithm_1(seed, N, d, h, of_h, shuffle, budget):
    rng = np.random.default_rng(seed)
    V = rng.integers(-3, 4, size=(N, d)) / 2  # exact in float64: ties happen and are decided as in exact arithmetic
    Y = np.where(rng.random(N) < 0.5, 1.0, -1.0)
    exact_h = Fraction(h)
    beta = of_h * exact_h
    found = modified_perceptron(
        V, Y, h=h, beta=beta, rng=np.random.default_rng(seed) if shuffle else None, max_updates=budget
    )
    orders = shuffled(seed, N) if shuffle else in_turn(N)
    w, updates, ended = naive(V, Y, h=exact_h, beta=beta, orders=orders, max_updates=budget)
    assert (found.updates, found.converged) == (updates, ended)
    np.testing.assert_allclose(found.w, [float(a) for a in w], rtol=1e-14, atol=0)
    signed = [int(y) * sum(a * Fraction(float(b)) for a, b in zip(w, v, strict=True)) for v, y in zip(V, Y)]
    if ended:
        assert min(signed) > beta
    norm = float(sum(a * a for a in w)) ** 0.5
    if norm:
        assert found.margin == pytest.approx(float(min(signed)) / norm, rel=1e-12, abs=1e-14)
    else:
        assert np.isnan(found.margin)


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10**6),
    N=st.integers(1, 30),
    d=st.integers(2, 8),
    h=st.sampled_from([1.0, 1e-6, 0.37]),
    of_radius=st.sampled_from([0.0, 1.0, 5.0]),  # beta / (R^2 h)
    gap=st.sampled_from([0.02, 0.2, 0.5]),
)
def test_theorem_2_holds_on_separable_points(seed, N, d, h, of_radius, gap):
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal(d)
    direction /= np.linalg.norm(direction)
    Y = np.where(rng.random(N) < 0.5, 1.0, -1.0)
    V = rng.standard_normal((N, d))
    V += np.outer(Y * gap + Y * np.abs(V @ direction) - V @ direction, direction)
    planted = float((Y * (V @ direction)).min())  # at most the true margin, so its bounds are the weaker ones
    radius = float(np.linalg.norm(V, axis=1).max())
    beta = of_radius * radius**2 * h
    found = modified_perceptron(V, Y, h=h, beta=beta, rng=np.random.default_rng(seed))
    assert found.converged
    assert found.margin > 0
    statements = theorem2(
        h=h, beta=beta, margin=planted, radius=radius, updates=found.updates, final_margin=found.margin
    )
    assert [s.verdict for s in statements] == [Verdict.HOLDS] * (2 if beta else 1)  # beta = 0: no margin


def test_the_bound_on_updates_is_attained():
    found = modified_perceptron([[3.0, 4.0]], [-1.0], h=0.5)
    assert (found.updates, found.converged, found.margin) == (1, True, 5.0)
    np.testing.assert_array_equal(found.w, [-1.5, -2.0])


@pytest.mark.parametrize("kind", ["integer", "half_integer", "quarter"])
def test_only_beta_over_h_matters_also_in_ties(kind):
    n = 6
    V = np.hstack([embedding(symmetry_init(n, kind)), np.ones((n + 1, 1))])
    Y = np.array(parity(n).labels)
    runs = [modified_perceptron(V, Y, h=h, beta=n**3 * h) for h in (Fraction(1), Fraction(1, n**6), Fraction(3, 7))]
    assert runs[0].converged
    assert runs[0].updates > 100
    for run, h in zip(runs, (1.0, n**-6.0, 3 / 7), strict=True):
        assert run.updates == runs[0].updates
        np.testing.assert_allclose(run.w, h * runs[0].w, rtol=1e-14)


def test_the_budget_is_checked_after_each_pass():
    V, Y = [[1.0], [1.0], [1.0]], [1.0, -1.0, 1.0]  # one point with both labels: never done
    for budget in (1, 5, 100):
        found = modified_perceptron(V, Y, max_updates=budget)
        assert not found.converged
        assert budget <= found.updates < budget + 3
    at_zero = modified_perceptron([[0.0, 0.0]], [1.0], max_updates=10)
    assert (at_zero.updates, at_zero.converged) == (10, False)
    assert np.isnan(at_zero.margin)


def test_many_points_are_reshuffled_before_every_pass_too():
    # 60,000 points on two axes: which of them update depends on the order within each pass
    N = 60_000
    rng = np.random.default_rng(0)
    Y = np.where(rng.random(N) < 0.5, 1.0, -1.0)
    V = np.stack([Y * (rng.random(N) < 0.5), np.where(rng.random(N) < 0.5, 1.0, -1.0)], axis=1)
    found = modified_perceptron(V, Y, rng=np.random.default_rng(1), max_updates=200_000)
    w, updates = np.zeros(2), 0
    orders = shuffled(1, N)
    while updates < 200_000:
        before = updates
        for i in next(orders):
            s = Y[i] * (V[i, 0] * w[0] + V[i, 1] * w[1])
            if s <= 0:
                w += Y[i] * V[i]
                updates += 1
        assert updates > before
    assert found.updates == updates
    np.testing.assert_array_equal(found.w, w)


def test_arguments_are_not_modified():
    V, Y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([1.0, -1.0])
    kept = V.copy(), Y.copy()
    modified_perceptron(V, Y, h=0.1, beta=3.0, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(V, kept[0])
    np.testing.assert_array_equal(Y, kept[1])


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"V": [1.0, 2.0]}, "V"),
        ({"V": np.zeros((0, 2))}, "V"),
        ({"V": [[1.0, np.nan], [0.0, 0.0]]}, "V"),
        ({"V": [["a"], ["b"]]}, "V"),
        ({"Y": [1.0]}, "Y"),
        ({"Y": [1.0, 0.0]}, "Y"),
        ({"Y": [[1.0], [1.0]]}, "Y"),
        ({"h": 0}, "h"),
        ({"h": -1.0}, "h"),
        ({"h": float("nan")}, "h"),
        ({"h": "1"}, "h"),
        ({"beta": -0.1}, "beta"),
        ({"beta": float("inf")}, "beta"),
        ({"beta": None}, "beta"),
        ({"max_updates": 0}, "max_updates"),
        ({"max_updates": 1.5}, "max_updates"),
        ({"max_updates": True}, "max_updates"),
        ({"rng": 3}, "rng"),
    ],
)
def test_bad_input_names_the_parameter(change, names):
    good = {"V": [[1.0], [2.0]], "Y": [1.0, 1.0], "h": 1, "beta": 0}
    arguments = {**good, **change}
    with pytest.raises(ValueError, match=rf"^{names} must"):
        modified_perceptron(arguments.pop("V"), arguments.pop("Y"), **arguments)
