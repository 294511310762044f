"""The two-layer engine against the reference: equal decisions, equal weights, whatever the form."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from learnability.networks.separable import TwoLayer, forward, initial
from learnability.problems.separable import lower_bound_sequence, lower_bound_weights, orthonormal_set
from learnability.training import two_layer
from learnability.training.orders import visits
from learnability.training.reference import two_layer_epoch
from learnability.training.sample import Sample
from learnability.training.two_layer import train
from learnability.training.two_layer.engine import Engine


def sample(seed: int, m: int, d: int, k: int, positive: bool = False):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, d))
    if positive:
        X = np.abs(X) * (rng.random((m, d)) < 0.6)
    X /= max(np.linalg.norm(X, axis=1).max(), 1e-3)
    y = np.where(X @ rng.standard_normal(d) >= 0, 1.0, -1.0)
    return initial(rng, d, k), X, y


def oracle(params, X, y, *, epochs, order="shuffle", seed=5, **options):
    """Weights, updates and updates of each example by the reference, over the same visits."""
    rows = visits(np.random.default_rng(seed), len(y), epochs, order)
    used = np.zeros(len(y), dtype=int)
    for row in rows:
        params, updated = two_layer_epoch(params, X, y, row, **options)
        np.add.at(used, row[updated], 1)
    return params, used


def same(run, expected, used, tolerance=1e-9):
    assert run.updates == used.sum()
    assert np.array_equal(run.used, used)
    assert run.examples_used == np.count_nonzero(used)
    for got, want in zip(run.params, expected, strict=True):
        assert np.abs(got - want).max() <= tolerance * np.abs(want).max()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    m=st.integers(1, 50),
    d=st.integers(1, 12),
    k=st.integers(1, 20),
    alpha=st.sampled_from([0.0, 0.01, 0.1, 0.5, 0.9]),
    eta=st.sampled_from([0.01, 0.1, 0.5]),
    layers=st.sampled_from(["first", "both"]),
    order=st.sampled_from(["shuffle", "iid", "cyclic"]),
    form=st.sampled_from(["sparse", "dense"]),
    positive=st.booleans(),
)
def test_equals_the_reference(seed, m, d, k, alpha, eta, layers, order, form, positive):
    params, X, y = sample(seed, m, d, k, positive)
    run = train(
        params,
        X,
        y,
        eta=eta,
        alpha=alpha,
        rng=np.random.default_rng(5),
        epochs=25,
        layers=layers,
        order=order,
        form=form,
    )
    assume(run.unresolved == 0)  # in one dimension units do come to their kink
    assume(run.ratios[0] > 0.01)  # and both layers of a unit to 0, a saddle, from which rounding is driven apart
    expected, used = oracle(params, X, y, epochs=run.epochs, order=order, eta=eta, alpha=alpha, layers=layers)
    same(run, expected, used)


@pytest.mark.parametrize("layers", ["first", "both"])
@pytest.mark.parametrize("form", ["sparse", "dense"])
@pytest.mark.parametrize("window", [1, 2, 4, 7, 32, 100])
@pytest.mark.parametrize("waiting", [3, 256])
def test_windows_of_any_length(monkeypatch, layers, form, window, waiting):
    """Several units to a strip and a block, odd numbers of everything, references that move within a window."""
    monkeypatch.setattr(Engine, "_window", lambda self, sparse: window)
    for seed in range(4):
        params, X, y = sample(seed, 80, 10 + 7 * seed, 9, positive=seed % 2 == 0)
        options = {"eta": 0.1, "alpha": 0.1, "layers": layers}
        ways = [(False, False), (True, False), (True, True)] if seed < 2 else [(True, True)]
        for tracked, back in ways:
            how = {"tracked": tracked, "back": back, "waiting": waiting}
            monkeypatch.setattr(Engine, "_bounds", lambda self, was, how=how: (how["tracked"], how["back"]))
            monkeypatch.setattr(Engine, "_waiting", how["waiting"])
            run = train(params, X, y, rng=np.random.default_rng(5), epochs=60, form=form, **options)
            same(run, *oracle(params, X, y, epochs=run.epochs, **options))
            assert run.forms == {"sparse": 0, "dense": 0, form: run.epochs}


@pytest.mark.parametrize("form", ["sparse", "dense"])
@pytest.mark.parametrize(
    ("dtype", "size", "eta"), [("float32", 1e-24, 1e30), ("float64", 1e-170, 1e30), ("float64", 1e150, 1e-150)]
)
def test_inputs_whose_squares_are_out_of_range(form, dtype, size, eta):
    params, X, y = sample(3, 20, 7, 3)
    options = {"eta": eta, "alpha": 0.1, "layers": "first"}
    run = train(params, size * X, y, rng=np.random.default_rng(5), epochs=5, form=form, dtype=dtype, **options)
    expected, used = oracle(params, size * X, y, epochs=run.epochs, **options)
    same(run, expected, used, 1e-4 if dtype == "float32" else 1e-9)
    assert run.updates > 0


def test_a_row_of_zeros_is_no_update_and_at_no_kink():
    params, X, y = sample(3, 20, 7, 3)
    X[4] = 0
    for form in ("sparse", "dense"):
        run = train(params, X, y, eta=0.01, alpha=0.1, rng=np.random.default_rng(5), epochs=20, form=form)
        assert (run.unresolved, run.used[4]) == (0, 0)


def test_an_odd_number_of_units_and_of_lanes():
    for seed, (units, d) in enumerate([(1, 1), (3, 5), (17, 33), (31, 8), (33, 129)]):
        rng = np.random.default_rng(seed)
        params, X, y = sample(seed, 40, d, 20)
        params = TwoLayer(params.W[:units], params.v[:units] * rng.choice([-1.0, 2.0], units))
        options = {"eta": 0.1, "alpha": 0.2, "layers": "both"}
        for form in ("sparse", "dense"):
            run = train(params, X, y, rng=np.random.default_rng(5), epochs=30, form=form, **options)
            same(run, *oracle(params, X, y, epochs=run.epochs, **options))


def test_a_long_run_skips_many_visits_and_changes_none():
    params, X, y = sample(3, 200, 40, 60)
    options = {"eta": 0.1, "alpha": 0.1, "layers": "first"}
    expected, used = oracle(params, X, y, epochs=300, **options)
    for form in ("sparse", "dense"):
        run = train(params, X, y, rng=np.random.default_rng(5), epochs=300, form=form, **options)
        assert run.skipped > 0.05
        same(run, expected, used)


def test_gradient_is_that_of_automatic_differentiation():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    params, X, y = sample(1, 12, 6, 4)

    def loss(W, v, x, label):
        z = W @ x
        return jnp.maximum(1 - label * (v @ jnp.where(z >= 0, z, 0.1 * z)), 0)

    gradient = jax.grad(loss, argnums=(0, 1))
    W, v = params
    order = visits(np.random.default_rng(5), 12, 20, "shuffle")
    with jax.enable_x64(True):
        for i in order.reshape(-1):
            dW, dv = gradient(W, v, X[i], y[i])
            W, v = W - 0.3 * np.asarray(dW), v - 0.3 * np.asarray(dv)
    run = train(params, X, y, eta=0.3, alpha=0.1, rng=np.random.default_rng(5), epochs=20, layers="both")
    np.testing.assert_allclose(run.params.W, W, atol=1e-12)
    np.testing.assert_allclose(run.params.v, v, atol=1e-12)


@pytest.mark.parametrize("form", ["sparse", "dense"])
def test_ties_on_the_lower_bound_sequence_fall_as_in_exact_arithmetic(form):
    """Steps and slopes that are dyadic: every float64 number is exact, and margins meet 1 exactly."""
    X, y = lower_bound_sequence(4)
    k, v = 2, 0.5
    W = np.round(lower_bound_weights(4, k, 1.0) * 8) / 8
    start = TwoLayer(W, np.repeat([v, -v], k))
    exact = TwoLayer(*(np.vectorize(Fraction, otypes=[object])(part) for part in start))
    Xe = np.vectorize(lambda a: Fraction(int(a)), otypes=[object])(X)
    for eta in (0.125, 0.5, 1.0, 8.0):
        run = train(
            start, X, y, eta=eta, alpha=0.25, rng=np.random.default_rng(0), epochs=500, order="cyclic", form=form
        )
        params, total = exact, 0
        for row in visits(np.random.default_rng(0), 4, run.epochs, "cyclic"):
            params, updated = two_layer_epoch(
                params, Xe, y.astype(int), row, eta=Fraction(eta), alpha=Fraction(1, 4), layers="first"
            )
            total += updated.sum()
        assert run.outcome == "converged"
        assert run.updates == total
        assert np.array_equal(run.params.W, params.W.astype(float))


def test_a_start_at_the_kink_is_followed_visit_by_visit_and_a_window_says_what_it_cannot_resolve():
    """All weights 0 and one input again and again under both labels: pre-activations return to 0."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X = np.repeat(rng.standard_normal((2, 2)) / 3, 10, axis=0)
        y = rng.choice([-1.0, 1.0], 20)
        start = TwoLayer(np.zeros((2, 2)), np.array([0.7, -0.7]))
        options = {"eta": 0.5, "alpha": 0.5, "layers": "first"}
        rest = {"rng": np.random.default_rng(5), "epochs": 5, "order": "cyclic"}
        run = train(start, X, y, **options, **rest)
        assert run.unresolved == 0
        same(run, *oracle(start, X, y, epochs=run.epochs, order="cyclic", **options))
        assert train(start, X, y, form="dense", **options, **rest).unresolved > 0
    for seed in range(3):
        assert train(*sample(seed, 50, 8, 40), rng=rng, epochs=9, form="dense", **options).unresolved == 0


def test_float32_follows_float64():
    params, X, y = sample(2, 60, 10, 40)
    options = {"eta": 0.1, "alpha": 0.1, "rng": np.random.default_rng(5), "epochs": 3}
    double = train(params, X, y, **options)
    for form in ("sparse", "dense"):
        options["rng"] = np.random.default_rng(5)
        single = train(params, X, y, dtype="float32", form=form, **options)
        assert abs(single.updates - double.updates) <= 2
        assert single.params.W.dtype == np.float64
        if single.updates == double.updates:
            np.testing.assert_allclose(single.params.W, double.params.W, atol=1e-4)


@pytest.mark.parametrize("order", ["shuffle", "iid", "cyclic"])
def test_ends_at_a_global_minimum_with_the_leaky_relu(order):
    params, X, y = sample(0, 30, 8, 6)
    margin = np.abs(X @ np.linalg.lstsq(X, y, rcond=None)[0])
    assert margin.min() > 0
    run = train(
        params, X, y, eta=0.5, alpha=0.2, rng=np.random.default_rng(1), epochs=50_000, order=order, test=(X, y)
    )
    assert run.outcome == "converged"
    assert run.final("train_loss") == run.final("train_error") == run.final("test_error") == 0
    assert (y * forward(run.params, X, alpha=0.2)).min() >= 1 - 1e-9
    assert run.ratios == (1.0, 1.0)


def test_a_relu_network_stays_where_all_its_units_are_dead():
    X, y = orthonormal_set(6)
    W = -np.abs(np.random.default_rng(0).standard_normal((4, 6)))
    start = TwoLayer(W, np.array([1.0, 1.0, -1.0, -1.0]))
    for form in ("sparse", "dense"):
        for order in ("shuffle", "iid"):
            run = train(
                start, X, y, eta=0.1, alpha=0.0, rng=np.random.default_rng(0), epochs=50, order=order, form=form
            )
            assert run.outcome == "converged"
            assert run.updates == 0
            assert run.final("train_loss") == 1.0
            assert np.array_equal(run.params.W, W)


def test_ratios_are_the_extremes_over_all_steps():
    params, X, y = sample(4, 25, 6, 5)
    run = train(params, X, y, eta=0.2, alpha=0.1, rng=np.random.default_rng(5), epochs=40, layers="both")
    low = high = np.ones(10)
    state = params
    for row in visits(np.random.default_rng(5), 25, run.epochs, "shuffle"):
        for i in row:
            state, _ = two_layer_epoch(state, X, y, np.array([i]), eta=0.2, alpha=0.1, layers="both")
            ratio = state.v / params.v
            low, high = np.minimum(low, ratio), np.maximum(high, ratio)
    assert run.ratios == pytest.approx((low.min(), high.max()), rel=1e-12)


def test_columns_are_what_they_say():
    params, X, y = sample(5, 40, 7, 8)
    _, X_test, y_test = sample(6, 30, 7, 8)
    run = train(
        params,
        X,
        y,
        eta=0.1,
        alpha=0.1,
        rng=np.random.default_rng(5),
        epochs=9,
        record=[0, 2, 9],
        test=(X_test, y_test),
    )
    assert list(run.columns) == list(two_layer.COLUMNS)
    state = params
    rows = visits(np.random.default_rng(5), 40, 9, "shuffle")
    done = updates = 0
    for row in run.rows():
        for order in rows[done : row["epoch"]]:
            state, updated = two_layer_epoch(state, X, y, order, eta=0.1, alpha=0.1, layers="first")
            updates += updated.sum()
        done = row["epoch"]
        margins = y * forward(state, X, alpha=0.1)
        assert row["updates"] == updates
        assert row["train_error"] == np.mean(margins <= 0)
        assert row["test_error"] == np.mean(y_test * forward(state, X_test, alpha=0.1) <= 0)
        assert row["train_loss"] == pytest.approx(np.maximum(1 - margins, 0).mean(), rel=1e-9)
        assert row["norm"] == pytest.approx(np.linalg.norm(state.W), rel=1e-9)


def test_recording_changes_no_decision():
    params, X, y = sample(7, 50, 9, 30)
    runs = [
        train(params, X, y, eta=0.1, alpha=0.1, rng=np.random.default_rng(5), epochs=40, record=record, form="dense")
        for record in (None, [40], range(41), ())
    ]
    assert len({run.updates for run in runs}) == 1
    assert np.array_equal(runs[0].params.W, runs[2].params.W)
    assert [len(run) for run in runs] == [len(runs[0]), 1, 41, 0]
    with pytest.raises(ValueError, match="keeps no rows"):
        runs[3].final("train_error")


def test_a_sample_is_told_from_others():
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], (6, 784))
    others = [X[::-1], -X, np.where(np.arange(784) < 4, -X, X), X[:, ::-1], X.astype(np.float32)]
    marks = [Sample("X", other, other.dtype, 784).fingerprint for other in (X, *others)]
    assert len(set(marks)) == 6
    X[0, [279, 400]], X[0, [663, 1]] = 1, -1
    flipped = X.copy()
    flipped[0, [279, 400, 663, 1]] *= -1
    assert len({Sample("X", other, other.dtype, 784).fingerprint for other in (X, flipped, X.copy())}) == 2


def test_rows_that_nobody_asked_for_take_a_twentieth_of_the_work_at_most():
    params, X, y = sample(7, 400, 60, 100)
    options = {"eta": 0.001, "alpha": 0.1, "record": None}
    for epochs in (1, 7, 100, 700):
        run = train(params, X, y, rng=np.random.default_rng(5), epochs=epochs, **options)
        assert run.columns["epoch"][-1] == run.epochs
        visits = run.epochs * 400
        assert (len(run) - 1) * 400 <= 0.05 * (visits + 2 * run.updates)
        asked = train(params, X, y, rng=np.random.default_rng(5), epochs=epochs, **{**options, "record": [epochs]})
        assert np.array_equal(run.params.W, asked.params.W)
    assert len(run) > 15


def test_divergence_is_said():
    params, X, y = sample(8, 20, 5, 4)
    y = np.where(np.arange(20) % 2, 1.0, -1.0)
    run = train(params, X, y, eta=30.0, alpha=0.1, rng=np.random.default_rng(5), epochs=500, layers="both")
    assert run.outcome == "diverged"
    assert np.isfinite(run.columns["train_loss"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"params": (1, 2)}, "params must be a TwoLayer"),
        ({"params": TwoLayer(np.ones((2, 3)), np.array([1.0, 0.0]))}, "params.v must have no zero entry"),
        ({"X": np.ones((4, 2))}, "X must have 3 columns"),
        ({"y": np.array([1, -1, 1, 0])}, "y must hold labels"),
        ({"eta": 0}, "eta must be > 0"),
        ({"alpha": 1.0}, "alpha must be < 1"),
        ({"alpha": -0.1}, "alpha must be >= 0"),
        ({"rng": 3}, "rng must be a numpy.random.Generator"),
        ({"epochs": -1}, "epochs must be >= 0"),
        ({"layers": "second"}, "layers must be one of"),
        ({"order": "random"}, "order must be one of"),
        ({"dtype": "float16"}, "dtype must be one of"),
        ({"form": "direct"}, "form must be one of"),
        ({"test": np.ones(3)}, "test must be a pair"),
        ({"record": [99]}, "record must be <= 5"),
    ],
)
def test_bad_arguments_are_named(change, message):
    good = {
        "params": TwoLayer(np.ones((2, 3)), np.array([1.0, -1.0])),
        "X": np.ones((4, 3)),
        "y": np.array([1, -1, 1, -1]),
        "eta": 0.1,
        "alpha": 0.1,
        "rng": np.random.default_rng(0),
        "epochs": 5,
    }
    with pytest.raises(ValueError, match=message):
        train(**{**good, **change})


@pytest.mark.parametrize("eta", [1e8, 1e20, 1e30])
def test_a_step_is_never_too_large_for_the_first_layer(eta):
    """With v fixed the margins grow like eta, and from some step on its size changes no decision."""
    for seed in range(6):
        params, X, y = sample(seed, 30, 5, 4)
        X = 30 * X
        y = np.where(X[:, 0] > 0, 1.0, -1.0)
        runs = [
            train(params, X, y, eta=step, alpha=0.5, rng=np.random.default_rng(5), epochs=2_000, record=[2_000])
            for step in (1e6, eta)
        ]
        assert [run.outcome for run in runs] == ["converged", "converged"]
        assert runs[0].updates == runs[1].updates
