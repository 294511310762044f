"""Population gradients against plain loops and JAX, training against the theorem's updates by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks.parity import ParityNet, forward, initial, relu6, relu6_slope
from learnability.problems.parity import ParityMixture, random_mixture
from learnability.training import population
from learnability.training.population.first_step import first_step
from learnability.training.record import Outcome

# Gradients


def net_of(rng, n, p):
    return ParityNet(rng.standard_normal((p, n)), rng.standard_normal(p), rng.standard_normal(p))


def assert_close(ours, theirs, rtol=1e-9):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-13)


@settings(max_examples=20)
@given(st.sampled_from([1, 5, 8]), st.sampled_from([1, 9]), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_the_gradient_is_autograds(n, p, share, seed):
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(seed)
    problem = random_mixture(rng, n, int(rng.choice(range(1, n + 1, 2))), share)
    params = net_of(rng, n, p)
    X, y, p1, p2 = problem.enumerate()

    def loss(net, X, y, weights):
        g = jnp.clip(X @ net.W.T + net.b, 0, 6) @ net.u
        return weights @ jnp.maximum(1 - y * g, 0)

    with jax.enable_x64(True):
        expected, slope = jax.value_and_grad(loss)(params, X, y, (1 - share) * p1 + share * p2)
        found, ours = population.gradient(params, problem)
        assert found == pytest.approx(float(expected), rel=1e-12)
        assert_close(ours, slope)
        X, y = problem.sample(rng, 17)
        expected, slope = jax.value_and_grad(loss)(params, X, y, np.full(17, 1 / 17))
        found, ours = population.sampled_gradient(params, X, y)
        assert found == pytest.approx(float(expected), rel=1e-12)
        assert_close(ours, slope)


def test_the_gradient_by_plain_loops():
    rng = np.random.default_rng(5)
    problem, params = ParityMixture(6, (0, 1, 5), 0.4), net_of(rng, 6, 5)
    X, y, p1, p2 = problem.enumerate()
    loss, W, b, u = 0.0, np.zeros((5, 6)), np.zeros(5), np.zeros(5)
    for x, label, mass in zip(X, y, 0.6 * p1 + 0.4 * p2, strict=True):
        z = params.W @ x + params.b
        margin = label * (params.u @ relu6(z))
        if margin < 1:
            loss += mass * (1 - margin)
            u -= mass * label * relu6(z)
            b -= mass * label * params.u * relu6_slope(z)
            W -= mass * label * np.outer(params.u * relu6_slope(z), x)
    found, slope = population.gradient(params, problem)
    assert found == pytest.approx(loss, rel=1e-13)
    assert_close(slope, (W, b, u))


def test_blocks_do_not_matter(monkeypatch):
    from learnability.training.population import gradients

    rng = np.random.default_rng(6)
    problem, params = ParityMixture(11, (2, 3, 7)), net_of(rng, 11, 40)
    whole = population.gradient(params, problem)
    monkeypatch.setattr(gradients, "_BLOCK", 40 * 100)
    blocked = population.gradient(params, problem)
    assert blocked[0] == pytest.approx(whole[0], rel=1e-13)
    assert_close(blocked[1], whole[1])


def test_at_the_kinks_the_zero_subgradient_is_taken():
    X, y = np.ones((1, 1)), np.ones(1)
    for W, b, u in ((1.0, 0.0, 1.0), (0.0, 0.0, 1.0), (0.0, 6.0, 0.1)):  # y g = 1; z = 0; z = 6
        loss, slope = population.sampled_gradient(ParityNet(np.full((1, 1), W), np.full(1, b), np.full(1, u)), X, y)
        assert loss == pytest.approx(max(1 - u * min(W + b, 6), 0))
        assert (slope.W, slope.b) == (0, 0)
        assert slope.u == (-6 if b == 6 else 0)


def test_the_exact_first_step_is_the_enumerated_one():
    rng = np.random.default_rng(7)
    for n, k, share in ((9, 3, 0.5), (10, 5, 0.2), (7, 7, 1.0)):
        problem = random_mixture(rng, n, k, share)
        start = initial(rng, n, k, 20)
        loss, slope = population.gradient(start, problem)
        assert loss == pytest.approx(1, abs=1e-14)
        assert_close(first_step(start, problem), (-slope.W, start.b - slope.b, -slope.u))


# Training


def by_hand(start, problem, eta, lam, steps, layers="both"):
    """Theorem 3's run, in plain arrays and enumerated expectations; objectives and slopes of Theorem 13 as well."""
    _, slope = population.gradient(start, problem)
    W, b, u = -slope.W, start.b - slope.b, -slope.u
    path, objectives, slopes = [ParityNet(W, b, u)], [], []
    for t in range(steps - 1):
        loss, (gW, gb, gu) = population.gradient(path[-1], problem)
        objectives.append(loss + lam[t] * u @ u)
        slopes.append(np.linalg.norm(gu + 2 * lam[t] * u))
        if layers == "both":
            W, b = W - eta[t] * (gW + 2 * lam[t] * W), b - eta[t] * gb
        u = u - eta[t] * (gu + 2 * lam[t] * u)
        path.append(ParityNet(W, b, u))
    return path, np.array(objectives), np.array(slopes)


@pytest.mark.parametrize("layers", ["both", "output"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_run_is_the_theorems(layers, share):
    problem = ParityMixture(8, (0, 4, 5), share)
    start = initial(np.random.default_rng(8), 8, 3, 10)
    eta, lam = np.linspace(0.3, 0.1, 11), np.linspace(0.01, 0.05, 11)
    path, objectives, slopes = by_hand(start, problem, eta, lam, 12, layers)
    rival = np.random.default_rng(9).standard_normal(20)
    kept = ParityNet(*(part.copy() for part in start))
    run = population.train(
        start, problem, steps=12, eta=eta, lam=lam, record=range(13), layers=layers, comparator=rival
    )
    assert run.outcome is Outcome.BUDGET_REACHED
    assert (len(run), run.epochs, run.updates) == (13, 12, 12)
    assert set(run.columns) == set(population.COLUMNS)
    assert_close(run.params, path[-1])
    assert_close(run.after_first, path[0])
    for before, after in zip(kept, start, strict=True):
        np.testing.assert_array_equal(before, after)
    X, y, p1, p2 = problem.enumerate()
    for step, net in enumerate(path, start=1):
        row = run.rows()[step]
        margins = y * forward(net, X)
        for part, p in (("1", p1), ("2", p2)):
            assert row[f"test_loss_{part}"] == pytest.approx(p @ np.maximum(1 - margins, 0), rel=1e-9, abs=1e-12)
            assert row[f"test_error_{part}"] == pytest.approx(p @ (margins <= 0), abs=1e-12)
        assert row["test_loss"] == pytest.approx(
            (1 - share) * row["test_loss_1"] + share * row["test_loss_2"], rel=1e-12
        )
        assert row["test_error"] == pytest.approx(((1 - share) * p1 + share * p2) @ (margins <= 0), abs=1e-12)
        assert row["output_max"] == pytest.approx(np.abs(net.u).max())
        assert row["output_norm"] == pytest.approx(np.linalg.norm(net.u))
        assert row["hidden_moved"] == pytest.approx(np.linalg.norm(net.W - path[0].W, axis=1).max(), abs=1e-12)
        assert row["bias_moved"] == pytest.approx(np.abs(net.b - path[0].b).max(), abs=1e-12)
        if step > 1:
            done = slice(0, step - 1)
            assert row["mean_objective"] == pytest.approx(objectives[done].mean(), rel=1e-9)
            assert row["mean_slope"] == pytest.approx(slopes[done].mean(), rel=1e-9)
            assert row["mean_square_slope"] == pytest.approx((slopes[done] ** 2).mean(), rel=1e-9)
            mixed = (1 - share) * p1 + share * p2
            others = [mixed @ np.maximum(1 - y * (relu6(X @ v.W.T + v.b) @ rival), 0) for v in path[: step - 1]]
            expected = np.mean(others) + lam[: step - 1].mean() * (rival @ rival)
            assert row["mean_comparator"] == pytest.approx(expected, rel=1e-9)
    assert run.rows()[0]["test_error_1"] == run.rows()[0]["test_error_2"] == 1  # output 0
    assert run.rows()[0]["test_loss"] == pytest.approx(1, abs=1e-12)
    assert np.isnan([run.columns["hidden_moved"][0], run.columns["mean_objective"][1]]).all()


def test_theorem_13_holds_along_a_run():
    problem = ParityMixture(30, (1, 2, 3))
    start = initial(np.random.default_rng(1), 30, 3, 20)
    rival = 0.1 * np.random.default_rng(2).standard_normal(40)
    eta = 0.2
    run = population.train(
        start, problem, steps=60, eta=eta, lam=0.02, later=64, rng=np.random.default_rng(3), comparator=rival
    )
    at_first = run.columns["output_norm"][run.columns["step"] == 1][0]
    for row in run.rows():
        T = row["step"] - 1
        if T >= 1:
            bound = row["mean_comparator"] + rival @ rival / (2 * eta * T)
            bound += at_first * row["mean_slope"] + eta * row["mean_square_slope"]
            assert row["mean_objective"] <= bound


def test_samples_are_fresh_and_recording_changes_nothing():
    problem = ParityMixture(25, (0, 1, 2))
    start = initial(np.random.default_rng(0), 25, 3, 8)
    options = {"steps": 6, "eta": 0.2, "later": 50}
    runs = [
        population.train(start, problem, rng=np.random.default_rng(5), **options, **more)
        for more in ({}, {"record": [3], "evaluate": 10}, {"evaluate": 9000})
    ]
    for other in runs[1:]:
        assert_close(other.params, runs[0].params, rtol=0)
    rng = np.random.default_rng(5)
    rng.spawn(1)
    net = first_step(start, problem)
    for _ in range(5):
        _, slope = population.sampled_gradient(net, *problem.sample(rng, 50))
        net = ParityNet(*(part - 0.2 * by for part, by in zip(net, slope, strict=True)))
    assert_close(runs[0].params, net)
    errors = [run.final("test_loss_1") for run in (runs[0], runs[2])]
    assert errors[0] == pytest.approx(errors[1], abs=0.1)
    assert errors[0] != errors[1]


def test_held_out_samples_judge_each_part():
    problem = ParityMixture(12, (0, 5, 6), 0.3)
    start = initial(np.random.default_rng(4), 12, 3, 30)
    exact, estimate = (
        population.train(start, problem, steps=30, eta=0.3, rng=np.random.default_rng(1), evaluate=source).rows()[-1]
        for source in ("enumerate", 20_000)
    )
    assert abs(exact["test_loss_1"] - exact["test_loss_2"]) > 0.5
    for name in population.COLUMNS[1:7]:
        assert estimate[name] == pytest.approx(exact[name], abs=0.03), name


def test_an_estimated_first_step_tends_to_the_exact_one():
    problem = ParityMixture(12, (0, 5, 6))
    for form in ("safe", "printed"):
        start = initial(np.random.default_rng(4), 12, 3, 10, form)
        exact = population.train(start, problem, steps=1, eta=0.1, first="enumerate").after_first
        run = population.train(start, problem, steps=1, eta=0.1, first=200_000, rng=np.random.default_rng(5))
        scale = np.abs(start.u).max()
        for ours, theirs in zip(run.after_first, exact, strict=True):
            assert 0 < np.abs(ours - theirs).max() < 0.01 * scale
        if form == "safe":
            closed = population.train(start, problem, steps=1, eta=0.1)
            assert_close(closed.after_first, exact)
            assert_close(closed.params, exact)
    # the printed form's output is far from 0: about half of the hinges say nothing
    g = forward(start, problem.enumerate().X)
    assert 0.3 < np.mean(problem.target(problem.enumerate().X) * g < 1) < 0.7


def test_single_precision_follows_double():
    problem = ParityMixture(10, (0, 1, 2))
    start = initial(np.random.default_rng(0), 10, 3, 16)
    runs = {d: population.train(start, problem, steps=20, eta=0.1, dtype=d) for d in (np.float32, np.float64)}
    assert all(part.dtype == np.float32 for part in runs[np.float32].params)
    for ours, theirs in zip(runs[np.float32].params, runs[np.float64].params, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


def test_divergence_is_an_outcome():
    problem = ParityMixture(9, (0, 1, 2))
    start = initial(np.random.default_rng(0), 9, 3, 8)
    for dtype in (np.float64, np.float32):
        run = population.train(start, problem, steps=40, eta=1e200, dtype=dtype)
        assert run.outcome is Outcome.DIVERGED
        assert run.epochs < 40
        assert all(np.isfinite(run.columns["test_loss"]))
        assert run.columns["step"].tolist() == [0, 1]


def test_a_run_ends_where_nothing_can_change_any_more():
    """One input coordinate, A = all of it: a few units fit y = sign(x) and every hinge goes quiet."""
    problem = ParityMixture(1, (0,))
    start = initial(np.random.default_rng(0), 1, 1, 6)
    run = population.train(start, problem, steps=10_000, eta=0.5)
    assert run.outcome is Outcome.CONVERGED
    assert run.columns["step"][-1] == run.epochs < 10_000
    assert run.final("test_loss") == run.final("test_error_1") == 0
    longer = population.train(start, problem, steps=run.epochs + 50, eta=0.5, lam=1e-3)
    assert longer.outcome is Outcome.BUDGET_REACHED


def test_the_network_learns_what_the_theorem_promises():
    """Not the theorem's sizes, its procedure: exact first step, then both layers; uniform inputs alone are learnt."""
    problem = ParityMixture(10, (0, 3, 7))
    start = initial(np.random.default_rng(1), 10, 3, 64)
    run = population.train(start, problem, steps=800, eta=0.3, record=[800])
    assert run.final("test_error_1") < 0.05
    assert run.final("test_error_2") == 0


def test_a_sampled_first_step_is_the_mean_of_its_samples():
    problem = ParityMixture(7, (0, 5, 6), 0.3)
    start = initial(np.random.default_rng(4), 7, 3, 5, "printed")
    run = population.train(start, problem, steps=1, eta=0.1, first=5000, rng=np.random.default_rng(5))
    rng = np.random.default_rng(5)
    chunks = [problem.sample(rng, 4096), problem.sample(rng, 904)]
    X, y = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    _, slope = population.sampled_gradient(start, X, y)
    assert_close(run.after_first, (-slope.W, start.b - slope.b, -slope.u))


# Bad input

PROBLEM = ParityMixture(9, (0, 1, 2))
START = initial(np.random.default_rng(0), 9, 3, 4)
LARGE = ParityMixture(21, (0, 1, 2))
LARGE_START = initial(np.random.default_rng(0), 21, 3, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: population.gradient(START._replace(b=START.b[1:]), PROBLEM), "params.b must have length 8"),
        (lambda: population.gradient(START._replace(u=np.full(8, np.nan)), PROBLEM), "params.u must be finite"),
        (lambda: population.gradient(LARGE_START, LARGE), "n must be <= 20"),
        (lambda: population.sampled_gradient(START, np.zeros((2, 9)), [1, 0]), "labels"),
        (lambda: population.sampled_gradient(START, np.zeros((2, 8)), [1, 1]), "params.W must have 8 columns"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be >= 1"),
        ({"eta": -1.0}, "eta must be >= 0"),
        ({"eta": [0.1, 0.1]}, "eta must have length 3"),
        ({"lam": [0.1, 0.1, -0.5]}, "lam must be >= 0, got -0.5"),
        ({"first": "exactly"}, "first must be one of 'exact', 'enumerate'"),
        ({"first": 0}, "first must be >= 1"),
        ({"first": 2.5}, "a number of samples, got 2.5"),
        ({"later": "exact"}, "later must be one of 'enumerate'"),
        ({"later": 10}, "rng must be a numpy.random.Generator, got None"),
        ({"evaluate": 10}, "rng must be a numpy.random.Generator"),
        ({"layers": "hidden"}, "layers must be one of"),
        ({"record": [5]}, "record must be <= 4"),
        ({"comparator": [1.0]}, "comparator must have length 8"),
        ({"dtype": np.int64}, "dtype must be float64 or float32"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        population.train(START, PROBLEM, **{"steps": 4, "eta": 0.1, **options})


def test_large_cubes_are_not_enumerated():
    for name in ("first", "later", "evaluate"):
        options = {"first": "exact", "later": 10, "evaluate": 10, name: "enumerate"}
        with pytest.raises(ValueError, match=f"{name} must be a number of samples for n > 20"):
            population.train(LARGE_START, LARGE, steps=2, eta=0.1, rng=np.random.default_rng(0), **options)
