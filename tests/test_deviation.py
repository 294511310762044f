"""The state in units of the step against exact arithmetic: outputs, movement, and errors over the cube."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks.one_hidden import OneHidden, forward, random_init
from learnability.networks.symmetry import symmetry_init
from learnability.problems.symmetry import enumerate_cube
from learnability.training.online.deviation import Deviation, Points
from training_oracle import numbers

KINDS = ("integer", "half_integer", "quarter")
UNITS = (60.0**-6, 2.0**-20, 2.0**-6, 0.3)  # the last two let neurons change sign


def state(seed, start, unit, size=4):
    """A random state on the lattice: what training could have left."""
    rng = np.random.default_rng(seed)
    L, n = start.W.shape

    def quarters(*shape):
        return rng.integers(-4 * size, 4 * size + 1, size=shape) / 4.0

    return Deviation(start, unit, quarters(L, n), quarters(L), quarters(L), quarters(L), float(rng.integers(-20, 20)))


def exact_outputs(d, X):
    """f(x) / u and the sum of the absolute values of its terms beyond the exact part, by Fractions."""
    u2 = Fraction(d.unit) ** 2
    W0, B0, Omega, omega, mu0, mu1 = (
        numbers(Fraction, part) for part in (d.start.W, d.start.B, d.Omega, d.omega, d.mu0, d.mu1)
    )
    values, rests, moved = [], [], []
    for x in numbers(Fraction, X):
        z0, zeta = W0 @ x + B0, Omega @ x + omega
        z = z0 + u2 * zeta
        v, v0 = np.where(z > 0, z, 0 * z), np.where(z0 > 0, z0, 0 * z0)
        values.append((mu0 + u2 * mu1) @ v + Fraction(d.count))
        on = np.where(z > 0, 1, 0)
        rests.append(float(u2 * (on @ (abs(mu0 * zeta) + abs(mu1 * z0) + u2 * abs(mu1 * zeta)))))
        moved.append(math.sqrt(float((v - v0) @ (v - v0))))
    return values, np.array(rests), np.array(moved)


def assert_outputs(found, exact, rests, scale):
    """To rounding of the exact part where there is one, to rounding of the rest where the exact part is 0."""
    for value, wanted, rest in zip(found, exact, rests, strict=True):
        leading = round(16 * wanted) == 0
        room = 1e-12 * rest if leading else 1e-12 * (rest + scale)
        assert abs(Fraction(value) - wanted) <= room


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 5),
    kind=st.sampled_from(KINDS),
    unit=st.sampled_from(UNITS),
    shift=st.sampled_from([0.0, 0.25, None]),
)
def test_evaluate_is_exact(seed, n, kind, unit, shift):
    rng = np.random.default_rng(seed)
    d = state(seed, symmetry_init(n, kind), unit)
    X = rng.integers(0, 2, size=(8, n)).astype(float)
    X += rng.uniform(-0.1, 0.1, X.shape) if shift is None else shift  # binary, quarters, anything
    exact, rests, moved = exact_outputs(d, X)
    movement = d.evaluate(X).movement
    scale = float(np.abs(d.mu0).sum() * 2 * n + abs(d.count))
    for values in (d.evaluate(X).values, d.outputs(X), d.outputs(Points(X))):
        if unit < 1e-3 and shift is not None:
            assert_outputs(values, exact, rests, scale)
        else:
            wanted = [float(v) for v in exact]
            np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-12 * (scale + rests.max()))
    np.testing.assert_allclose(movement, moved, rtol=1e-9, atol=1e-13 * unit)


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 6), kind=st.sampled_from(KINDS), unit=st.sampled_from(UNITS[:2]))
def test_sign_is_right_where_the_exact_part_cancels(seed, n, kind, unit):
    rng = np.random.default_rng(seed)
    d = state(seed, symmetry_init(n, kind), unit)
    k = int(rng.integers(0, n + 1))
    z0 = k * d.start.W[:, 0] + d.start.B
    d = Deviation(d.start, unit, d.Omega, d.omega, d.mu0, d.mu1, -float(d.mu0 @ z0.clip(min=0)))
    X = enumerate_cube(n)
    X = X[X.sum(axis=1) == k]
    exact, rests, _ = exact_outputs(d, X)
    assert all(abs(v) < Fraction(1, 64) for v in exact)  # nothing but the next order
    for found in (d.evaluate(X).values, d.outputs(X)):
        assert_outputs(found, exact, rests, 0.0)
        clear = [abs(v) > 1e-9 * rest for v, rest in zip(exact, rests, strict=True)]
        assert (np.sign(found)[clear] == np.array([np.sign(float(v)) for v in exact])[clear]).all()
    y = np.where(rng.random(len(X)) < 0.5, 1.0, -1.0)
    if all(clear):
        wanted = np.mean([label * v <= 0 for label, v in zip(y, exact, strict=True)])
        assert d.error(X, y) == d.error(Points(X), y) == wanted


def cancelled(seed, n, kind, unit, off):
    """A state and its inputs of one weight: the exact part is 0 there, and at the first of them so is the next order.

    ``off`` says what lies on no lattice, so that both cancel to rounding only: nothing, the movement, or the start.
    """
    rng = np.random.default_rng(seed)
    start = symmetry_init(n, kind)
    if off == "start":
        start = start._replace(W=start.W * 0.7, B=start.B * 0.7)
    d = state(seed, start, unit, size=1)
    Omega = d.Omega * (1 + 1e-3 * rng.random(d.Omega.shape)) if off == "movement" else d.Omega
    k = int(rng.integers(1, n + 1))
    X = enumerate_cube(n)
    X = X[X.sum(axis=1) == k]
    z0 = X[0] @ start.W.T + start.B
    count = -float(d.mu0 @ z0.clip(min=0))
    zeta = Omega @ X[0] + d.omega
    on = (z0 > 0) | ((z0 == 0) & (zeta > 0))
    second = float(zeta[on] @ d.mu0[on] + z0[on] @ d.mu1[on])
    j = int(np.argmin(np.abs(z0 - (0.7 if off == "start" else 1.0))))
    mu1 = d.mu1 - second / z0[j] * (np.arange(len(z0)) == j)
    return Deviation(start, unit, Omega, d.omega, d.mu0, mu1, count), X


@settings(max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 5),
    kind=st.sampled_from(KINDS),
    unit=st.sampled_from((60.0**-6, 1e-6, 2.0**-20, 2.0**-6, 1e-90)),
    off=st.sampled_from(["nothing", "movement", "start"]),
)
def test_sign_is_right_where_both_orders_cancel(seed, n, kind, unit, off):
    d, X = cancelled(seed, n, kind, unit, off)
    exact, _, _ = exact_outputs(d, X)
    signs = [(v > 0) - (v < 0) for v in exact]
    for found in (d.evaluate(X).values, d.outputs(X), d.outputs(Points(X))):
        assert np.sign(found).tolist() == signs
    labels = np.ones(n + 1)
    one = (np.arange(n + 1) == X[0].sum()).astype(float)
    assert d.cube_error(labels, one) == pytest.approx(np.mean([s <= 0 for s in signs]), abs=1e-15)
    values, rest = d.outputs_by_weight()
    assert abs(exact[0] - Fraction(values[int(X[0].sum())])) <= Fraction(rest[int(X[0].sum())])


def test_plain_float64_would_lose_what_evaluate_keeps():
    n = 60
    d = state(0, symmetry_init(n), 60.0**-6)
    x = np.ones((1, n))
    d = Deviation(
        d.start, d.unit, d.Omega, d.omega, d.mu0, d.mu1, -float(d.mu0 @ (d.start.W @ x[0] + d.start.B).clip(0))
    )
    exact, rests, moved = exact_outputs(d, x)
    plain = d.network()
    np.testing.assert_array_equal(plain.W, d.start.W)  # the movement is below the spacing at 1
    assert d.evaluate(x).movement[0] == pytest.approx(moved[0], rel=1e-12)
    assert moved[0] > 0
    assert_outputs(d.evaluate(x).values, exact, rests, 0.0)
    assert abs(forward(plain, x)[0] / d.unit - float(exact[0])) > 0.5 * abs(float(exact[0]))  # here it gives 0


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 6), kind=st.sampled_from(KINDS), unit=st.sampled_from(UNITS))
def test_outputs_by_weight_bounds_every_input(seed, n, kind, unit):
    d = state(seed, symmetry_init(n, kind), unit)
    values, bound = d.outputs_by_weight()
    assert values.shape == bound.shape == (n + 1,)
    X = enumerate_cube(n)
    exact, _, _ = exact_outputs(d, X)
    for weight, value in zip(X.sum(axis=1).astype(int), exact, strict=True):
        assert abs(value - Fraction(values[weight])) <= bound[weight]
    if unit < 1e-3:
        assert np.isfinite(bound).all()
        assert (bound < 1).all()


def test_outputs_by_weight_is_infinite_where_a_neuron_may_change_sign():
    start = OneHidden(np.array([[1.0], [1.0]]), np.array([-0.5, -1.0]), np.zeros(2), 0.0)
    Omega, omega = np.array([[0.0], [5.0]]), np.array([-1.0, 0.0])
    near = Deviation(
        start, 0.7, Omega, omega, np.ones(2), np.zeros(2), 0.0
    )  # u^2 = .49 < .5; second neuron: 0, or -1
    assert np.isinf(near.outputs_by_weight()[1]).tolist() == [True, False]
    still = Deviation(start, 0.4, Omega, omega, np.ones(2), np.zeros(2), 0.0)  # u^2 * 5 = .8 < 1
    assert np.isfinite(still.outputs_by_weight()[1]).all()
    X = np.array([[0.0], [1.0]])
    np.testing.assert_allclose(near.outputs(X), near.evaluate(X).values, rtol=1e-15)


@pytest.mark.parametrize("kind", [*KINDS, "random"])
@pytest.mark.parametrize("unit", UNITS)
def test_outputs_is_evaluate_in_every_case(kind, unit):
    n = 12
    rng = np.random.default_rng(5)
    start = random_init(rng, n, 20, "normal") if kind == "random" else symmetry_init(n, kind)
    d = state(1, start._replace(M=np.zeros(len(start.B)), b=0.0), unit)
    binary = rng.integers(0, 2, size=(300, n)).astype(float)
    for X in (binary, binary[:1], binary + rng.uniform(-0.1, 0.1, binary.shape), 3 * binary, -binary):
        wanted = d.evaluate(X).values
        np.testing.assert_allclose(d.outputs(X), wanted, rtol=1e-10, atol=1e-10 * np.abs(wanted).max() * unit**2)
        np.testing.assert_array_equal(d.outputs(X), d.outputs(Points(X)))


def test_points_groups_by_weight():
    X = np.array([[1.0, 1, 0], [0, 0, 0], [0, 1, 1], [1, 1, 1], [0.0, 0, 0], [1, 0, 1]])
    groups = Points(X).groups
    assert [k for k, _, _ in groups] == [0, 2, 3]
    assert sorted(np.concatenate([rows for _, _, rows in groups]).tolist()) == list(range(6))
    for k, x, rows in groups:
        np.testing.assert_array_equal(x, X[rows])
        assert (x.sum(axis=1) == k).all()
    for other in (X + 0.5, 2 * X, np.array([[0.0, 1.0, -1.0]])):
        assert Points(other).groups == []


def test_network_and_norm():
    start = OneHidden(np.ones((2, 1)), np.array([0.0, 1.0]), np.zeros(2), 0.0)
    d = Deviation(
        start, 0.5, np.array([[4.0], [-8.0]]), np.array([2.0, 0.0]), np.array([2.0, 0.0]), np.array([4.0, 8.0]), 4.0
    )
    plain = d.network()
    np.testing.assert_array_equal(plain.W, [[2.0], [-1.0]])
    np.testing.assert_array_equal(plain.B, [0.5, 1.0])
    np.testing.assert_array_equal(plain.M, [1.5, 1.0])  # u (mu0 + u^2 mu1)
    assert plain.b == 2.0
    assert d.norm == pytest.approx(math.sqrt(3**2 + 2**2 + 4**2), rel=1e-15)  # in units of the step
    X = np.array([[0.0], [1.0], [-3.0], [0.25]])
    np.testing.assert_allclose(0.5 * d.evaluate(X).values, forward(plain, X), rtol=1e-14)


def test_output_zero_is_an_error():
    start = OneHidden(np.ones((1, 1)), np.zeros(1), np.zeros(1), 0.0)
    d = Deviation(start, 0.1, np.zeros((1, 1)), np.zeros(1), np.zeros(1), np.zeros(1), 0.0)
    X = np.array([[0.0], [1.0]])
    assert d.error(X, np.array([1.0, -1.0])) == 1.0
    assert d.cube_error([1, -1], [0.5, 0.5]) == 1.0


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 6),
    kind=st.sampled_from(KINDS),
    unit=st.sampled_from(UNITS),
    cancel=st.booleans(),
)
def test_cube_error_is_the_enumeration(seed, n, kind, unit, cancel):
    rng = np.random.default_rng(seed)
    d = state(seed, symmetry_init(n, kind), unit)
    if cancel:  # one weight whose inputs the next order tells apart
        z0 = int(rng.integers(0, n + 1)) * d.start.W[:, 0] + d.start.B
        d = Deviation(d.start, unit, d.Omega, d.omega, d.mu0, d.mu1, -float(d.mu0 @ z0.clip(min=0)))
    labels = np.where(rng.random(n + 1) < 0.5, 1.0, -1.0)
    probabilities = rng.dirichlet(np.ones(n + 1))
    probabilities[rng.integers(n + 1)] = 0.0
    probabilities /= probabilities.sum()
    X = enumerate_cube(n)
    weight = X.sum(axis=1).astype(int)
    exact, rests, _ = exact_outputs(d, X)
    scale = float(np.abs(d.mu0).sum() * 2 * n + abs(d.count))
    if any(0 < abs(v) < 1e-9 * rest + (1e-9 * scale if unit > 1e-3 else 0) for v, rest in zip(exact, rests)):
        return  # too close to call in float64
    wrong = np.array([labels[k] * v <= 0 for k, v in zip(weight, exact, strict=True)])
    wanted = sum(probabilities[k] * wrong[weight == k].mean() for k in range(n + 1))
    assert d.cube_error(labels, probabilities) == pytest.approx(wanted, rel=1e-12, abs=1e-14)


def test_cube_error_beyond_enumeration():
    n = 24
    start = symmetry_init(n, "integer")
    L = len(start.B)
    zero = Deviation(start, 2.0**-30, np.zeros((L, n)), np.zeros(L), np.zeros(L), np.zeros(L), 1.0)
    labels = np.where(np.arange(n + 1) < 5, -1.0, 1.0)
    uniform = np.array([math.comb(n, k) / 2**n for k in range(n + 1)])
    assert zero.cube_error(labels, uniform) == pytest.approx(uniform[:5].sum(), rel=1e-12)  # the constant +1
    rng = np.random.default_rng(0)
    open_one = Deviation(start, 2.0**-30, rng.standard_normal((L, n)), np.zeros(L), np.ones(L), np.zeros(L), -1.0)
    with pytest.raises(ValueError, match=r"weight 0.*n <= 20, got n = 24"):  # f(0) / u = ReLU(1) - 1 + O(u^2)
        open_one.cube_error(labels, uniform)
    elsewhere = np.where(np.arange(n + 1) == 0, 0.0, uniform)
    assert open_one.cube_error(labels, elsewhere / elsewhere.sum()) > 0  # that weight does not occur


def test_cube_error_refuses_what_it_cannot_answer():
    d = state(0, symmetry_init(3), 0.01)
    good = np.full(4, 0.25)
    for labels in ([1, -1, 1], [1, -1, 1, 0], [1, 1, 1, 1, 1]):
        with pytest.raises(ValueError, match=r"^labels must"):
            d.cube_error(labels, good)
    for probabilities in (np.full(3, 1 / 3), [np.nan, 0.5, 0.5, 0]):
        with pytest.raises(ValueError, match=r"^probabilities must"):
            d.cube_error([1, -1, 1, -1], probabilities)
    start = random_init(np.random.default_rng(0), 3, 5, "he")
    assert not state(0, start, 0.01).symmetric_start
    with pytest.raises(ValueError, match="symmetry initialisation"):
        state(0, start, 0.01).cube_error([1, -1, 1, -1], good)


@pytest.mark.parametrize("probabilities", [[0.5, 0.5, 0.5, 0.5], [-0.5, 0.5, 0.5, 0.5]])
def test_cube_error_refuses_what_is_no_distribution(probabilities):
    with pytest.raises(ValueError, match=r"^probabilities must"):
        state(0, symmetry_init(3), 0.01).cube_error([1, -1, 1, -1], probabilities)
