"""The hand-compiled engine of the residual study against a readable loop and against JAX's trainer."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from learnability.networks import residual as networks
from learnability.networks.residual import Layer2, gradient, initial
from learnability.training import grid as engine
from learnability.training import minibatch
from learnability.training.minibatch.optimisers import Sgd
from learnability.training.minibatch.sources import examples
from learnability.training.record import Outcome
from learnability.training.vector import tiles


def _problem(rng: np.random.Generator, N: int, d: int, k: int) -> tuple[Any, Any]:
    return rng.choice([-1.0, 1.0], (N, d)), rng.standard_normal((N, k))


def _reference(
    params: Any, X: Any, Y: Any, *, rate: float, decay: float, momentum: float, batch: int, epochs: int, rng: Any
) -> tuple[Any, list[float]]:
    """Fact C.4's gradient by hand, and the update as it is written in the docstring."""
    velocity = {name: np.zeros_like(part) for name, part in params._asdict().items()}
    losses = []
    for _ in range(epochs):
        order, total = rng.permutation(len(X)), 0.0
        for start in range(0, len(X), batch):
            rows = order[start : start + batch]
            loss, slope = gradient(params, X[rows], Y[rows])
            total += len(rows) * loss
            for name, g in slope._asdict().items():
                velocity[name] = momentum * velocity[name] + (g + decay * getattr(params, name))
            params = type(params)(*(part - rate * velocity[name] for name, part in params._asdict().items()))
        losses.append(total / len(X))
    return params, losses


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6), d=st.integers(1, 9), k=st.integers(1, 17), m=st.integers(1, 70),
    N=st.integers(1, 30), batch=st.integers(1, 31), momentum=st.sampled_from([0.0, 0.9]),
    sigma_v=st.sampled_from([0.0, 1.0]),
)  # fmt: skip
def test_the_resnet_moves_as_the_readable_loop_says(
    seed: int, d: int, k: int, m: int, N: int, batch: int, momentum: float, sigma_v: float
) -> None:
    rng = np.random.default_rng(seed)
    X, Y = _problem(rng, N, d, k)
    start = initial(rng, "3resnet", d, k, m, sigma_v=sigma_v)
    try:
        expected, losses = _reference(
            start, X, Y, rate=0.03, decay=0.01, momentum=momentum, batch=batch, epochs=3,
            rng=np.random.default_rng(seed),
        )  # fmt: skip
    except ValueError:  # of the gradient, where the weights overflow
        reject()
    assume(max(losses) < 10 * losses[0])  # where a run diverges, so does its rounding
    (found,) = engine.train(
        start, X, Y, learning_rate=0.03, weight_decay=0.01, momentum=momentum, batch=batch, epochs=3,
        rng=np.random.default_rng(seed), dtype="float64",
    )  # fmt: skip
    for name, part in expected._asdict().items():
        np.testing.assert_allclose(getattr(found.params, name), part, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.columns["running_loss"][1:], losses, rtol=1e-9)
    norm = np.sqrt(sum((part**2).sum() for part in expected))
    assert found.final("norm") == pytest.approx(norm, rel=1e-9)


@pytest.mark.parametrize("network", networks.NETWORKS)
@pytest.mark.parametrize("method", ["all", "hidden"])
@pytest.mark.parametrize("m", [5, 40])
def test_every_network_and_method_moves_as_under_jax(network: str, method: str, m: int) -> None:
    rng = np.random.default_rng(m)
    X, Y = _problem(rng, 23, 6, 4)
    start = initial(rng, network, 6, 4, m)
    learner = networks.learner(start, method)
    common: dict[str, Any] = {
        "learning_rate": [0.005, 0.01, 0.02], "weight_decay": [0.0, 1e-3, 1e-2], "batch": 10, "epochs": 6,
        "trainable": learner.trainable, "schedule": lambda epoch: 1.0 if epoch < 4 else 0.1, "dtype": "float64",
        "record": [0, 2, 6],
    }  # fmt: skip
    expected = minibatch.train(
        learner.apply, learner.params, examples(X, Y), rule=Sgd(0.9), loss="squared", rng=np.random.default_rng(1),
        watch={"test": examples(X[:7], Y[:7])}, **common,
    )  # fmt: skip
    found = engine.train(start, X, Y, rng=np.random.default_rng(1), watch={"test": (X[:7], Y[:7])}, **common)
    for one, other in zip(found, expected, strict=True):
        for name, part in other.params._asdict().items():
            np.testing.assert_allclose(getattr(one.params, name), part, rtol=1e-9, atol=1e-12)
        for name in ("epoch", "running_loss", "test_loss", "norm"):
            np.testing.assert_allclose(one.columns[name], other.columns[name], rtol=1e-9)
        assert (one.outcome, one.epochs, one.updates) == (other.outcome, other.epochs, other.updates)
        assert (one.learning_rate, one.weight_decay) == (other.learning_rate, other.weight_decay)


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_fields_that_are_not_trained_stay_and_single_ones_move(network: str) -> None:
    rng = np.random.default_rng(3)
    X, Y = _problem(rng, 12, 5, 3)
    start = initial(rng, network, 5, 3, 33)
    for field in start._fields:
        learner = networks.learner(start, "all")
        common: dict[str, Any] = {"learning_rate": 0.1, "batch": 5, "epochs": 3, "trainable": (field,)}
        (found,) = engine.train(start, X, Y, rng=np.random.default_rng(1), dtype="float64", **common)
        (expected,) = minibatch.train(
            learner.apply, start, examples(X, Y), rule=Sgd(0.9), loss="squared", rng=np.random.default_rng(1),
            dtype="float64", **common,
        )  # fmt: skip
        for name, part in start._asdict().items():
            moved = getattr(found.params, name)
            assert np.array_equal(moved, part) == (name != field)
            np.testing.assert_allclose(moved, getattr(expected.params, name), rtol=1e-9, atol=1e-12)


def test_float32_is_float64_to_rounding() -> None:
    rng = np.random.default_rng(5)
    X, Y = _problem(rng, 100, 10, 5)
    start = initial(rng, "3resnet", 10, 5, 50)
    common: dict[str, Any] = {"learning_rate": 0.01, "weight_decay": 1e-3, "batch": 25, "epochs": 5}
    single, double = (
        engine.train(start, X, Y, rng=np.random.default_rng(1), dtype=dtype, **common)[0]
        for dtype in ("float32", "float64")
    )
    for name in start._fields:
        np.testing.assert_allclose(getattr(single.params, name), getattr(double.params, name), atol=2e-5)
    np.testing.assert_allclose(single.columns["running_loss"], double.columns["running_loss"], rtol=1e-5)


@pytest.mark.parametrize(
    "lay", [np.asfortranarray, lambda part: np.repeat(part, 2, axis=1)[:, ::2]], ids=["F", "strided"]
)
@pytest.mark.parametrize("network", ["2layer", "3layer", "3resnet"])
def test_where_the_numbers_lie_in_memory_has_no_effect(network: str, lay: Any) -> None:
    rng = np.random.default_rng(0)
    X, Y = _problem(rng, 40, 6, 3)
    start = initial(rng, network, 6, 3, 40)
    usual, other = (
        engine.train(
            type(start)(*map(way, start)), way(X), way(Y), learning_rate=0.05, weight_decay=0.0, batch=7, epochs=3,
            rng=np.random.default_rng(1), record=[3], watch={"same": (way(X), way(Y))}, dtype="float64",
        )[0]
        for way in (np.ascontiguousarray, lay)
    )  # fmt: skip
    for one, two in zip(usual.params, other.params, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-12)
    assert np.isclose(other.final("same_loss"), usual.final("same_loss"))


def test_without_biases_the_last_column_has_no_effect() -> None:
    rng = np.random.default_rng(6)
    X, Y = _problem(rng, 20, 4, 1)
    W, A = rng.standard_normal((7, 4)), rng.standard_normal((1, 7))
    start = Layer2(np.hstack([W, np.zeros((7, 1))]), A)
    (found,) = engine.train(
        start, X, Y, learning_rate=0.05, batch=8, epochs=4, rng=np.random.default_rng(1), trainable=("W",),
        biases=False, dtype="float64",
    )  # fmt: skip
    (expected,) = minibatch.train(
        _without_biases, {"W": W, "A": A}, examples(X, Y), rule=Sgd(0.9), learning_rate=0.05, batch=8, epochs=4,
        rng=np.random.default_rng(1), loss="squared", trainable=("W",), dtype="float64",
    )  # fmt: skip
    np.testing.assert_allclose(found.params.W[:, :-1], expected.params["W"], rtol=1e-9)
    assert not found.params.W[:, -1].any()
    with pytest.raises(ValueError, match="biases may be switched off"):
        engine.train(start._replace(W=start.W + 1), X, Y, learning_rate=0.1, batch=1, epochs=1, rng=rng, biases=False)


def _without_biases(params: Any, X: Any) -> Any:
    z = X @ params["W"].T
    return (z * (z >= 0)) @ params["A"].T


def test_a_run_that_diverges_ends_alone_and_leaves_the_others_as_they_were() -> None:
    rng = np.random.default_rng(7)
    X, Y = _problem(rng, 30, 6, 3)
    start = initial(rng, "3resnet", 6, 3, 20)
    common: dict[str, Any] = {"batch": 10, "epochs": 60, "watch": {"test": (X, Y)}}
    both = engine.train(start, X, Y, learning_rate=[0.02, 1e4], rng=np.random.default_rng(1), **common)
    (alone,) = engine.train(start, X, Y, learning_rate=0.02, rng=np.random.default_rng(1), **common)
    assert [run.outcome for run in both] == [Outcome.BUDGET_REACHED, Outcome.DIVERGED]
    assert both[1].epochs < 60
    assert all(np.isfinite(column[1:]).all() for column in both[1].columns.values())
    for name, column in alone.columns.items():
        assert np.array_equal(column, both[0].columns[name], equal_nan=True)


def test_groups_that_keep_to_the_memory_change_nothing() -> None:
    rng = np.random.default_rng(8)
    X, Y = _problem(rng, 30, 6, 3)
    start = initial(rng, "3layer", 6, 3, 20)
    common: dict[str, Any] = {"learning_rate": [0.02, 0.05, 0.1], "batch": 10, "epochs": 5}
    limits = [engine.memory("3layer", 6, 3, 20, runs=runs, batch=10, examples=30, results=3) for runs in (1, 2)]
    ends = []
    for limit in (engine.MEMORY, *limits):
        order = np.random.default_rng(1)
        runs = engine.train(start, X, Y, rng=order, limit=limit, **common)
        ends.append(([run.params for run in runs], order.integers(10**9)))
    for params, after in ends[1:]:
        assert after == ends[0][1]
        for one, other in zip(params, ends[0][0], strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_too_wide_a_network_is_refused_with_the_width_that_fits() -> None:
    rng = np.random.default_rng(9)
    X, Y = _problem(rng, 10, 30, 15)
    start = initial(rng, "3layer", 30, 15, 640)
    with pytest.raises(
        ValueError, match=r"width m = 640 takes 8.*more than limit = 2e\+06.*is about ([\d,]+)"
    ) as told:
        engine.train(start, X, Y, learning_rate=0.1, batch=5, epochs=1, rng=rng, limit=2e6)
    most = int(str(told.value).rsplit(" ", 1)[1].replace(",", ""))
    need = [engine.memory("3layer", 30, 15, m, batch=5, examples=10) for m in (most, most + 64)]
    assert need[0] <= 2e6 < need[1]


@pytest.mark.parametrize(
    ("network", "m", "runs", "trainable", "dtype"),
    [
        ("3resnet", 1000, 4, None, "float32"),
        ("3resnet", 200, 2, ("V",), "float64"),
        ("3layer", 330, 2, None, "float32"),
        ("3layer", 200, 1, ("U", "W"), "float64"),
        ("2layer", 3000, 3, ("W",), "float32"),
        ("2layer", 50, 1, None, "float32"),
    ],
)
def test_memory_is_what_is_held(network: str, m: int, runs: int, trainable: Any, dtype: str) -> None:
    rng = np.random.default_rng(m)
    X, Y = _problem(rng, 2000, 30, 5)
    start = initial(rng, network, 30, 5, m)
    common: dict[str, Any] = {
        "learning_rate": [1e-3] * runs, "batch": 50, "epochs": 1, "rng": rng, "trainable": trainable, "dtype": dtype,
        "watch": {"test": (X[:500], Y[:500])},
    }  # fmt: skip
    engine.train(start, X[:50], Y[:50], **common)  # what compiles is none of it
    tracemalloc.start()
    try:
        kept = engine.train(start, X, Y, **common)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    need = engine.memory(
        network, 30, 5, m, runs=runs, batch=50, dtype=dtype, trainable=trainable, examples=2000, watched=500
    )
    assert len(kept) == runs
    assert 0.9 * need < held < need + 100_000


# Sums


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_is_one_chain_up_to_1024_terms_and_then_one_after_the_other(dtype: Any) -> None:
    """One at a time, ones vanish beside 2^24 (or 2^53); summed in a chain of their own they do not."""
    large = 2.0**24 if dtype is np.float32 else 2.0**53
    kernel, most = tiles.kernel(dtype), tiles.CHAIN
    for rows, columns in ((1, 4), (13, 16), (25, 48)):
        for terms, expected in ((most, 0), (2 * most, most), (2 * most + 1, most), (3 * most, 2 * most)):
            X = np.ones((rows, terms), dtype)
            X[:, 0] = large
            for turned in (0, 1):
                C = np.full((rows, columns), 5, dtype)
                left = np.ascontiguousarray(X.T) if turned else X
                tiles.product(
                    kernel, C, left, turned, np.ones((terms, columns), dtype), rows, terms, columns, 0, tiles.STORE, C
                )
                np.testing.assert_array_equal(C, dtype(large + expected))


@pytest.mark.parametrize("m", [1024, 2048, 3000])
def test_an_output_is_a_chain_for_every_1024_units(m: int) -> None:
    start = Layer2(np.array([[0.0, 1.0]] * m), np.ones((1, m)))  # every unit is 1
    start.A[0, 0] = 2.0**24
    X, Y = np.zeros((3, 1)), np.full((3, 1), 2.0**24)
    (run,) = engine.train(
        start, X, Y, learning_rate=1.0, batch=2, epochs=0, rng=np.random.default_rng(0), watch={"test": (X, Y)}
    )
    beyond = m - 1024 if m < 3000 else 2 * 1024 - 72  # 3,000 are two chains and 952 units
    assert run.final("test_loss") == beyond**2 / 2


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_wide_networks_move_as_under_jax(network: str) -> None:
    m = 1090  # a chain and three blocks
    rng = np.random.default_rng(m)
    X, Y = _problem(rng, 20, 6, 2)
    start = initial(rng, network, 6, 2, m)
    learner = networks.learner(start, "all")
    common: dict[str, Any] = {"learning_rate": 1e-3, "weight_decay": 1e-3, "batch": 15, "epochs": 2}
    (expected,) = minibatch.train(
        learner.apply, learner.params, examples(X, Y), rule=Sgd(0.9), loss="squared", rng=np.random.default_rng(1),
        trainable=learner.trainable, dtype="float64", **common,
    )  # fmt: skip
    (found,) = engine.train(start, X, Y, rng=np.random.default_rng(1), dtype="float64", **common)
    for name, part in expected.params._asdict().items():
        np.testing.assert_allclose(getattr(found.params, name), part, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must hold numbers > 0"),
        ({"learning_rate": [0.1, 0.2], "weight_decay": [0.0, 0.1, 0.2]}, "must have one length"),
        ({"weight_decay": -1.0}, "weight_decay must hold numbers >= 0"),
        ({"momentum": 1.0}, "momentum must be < 1"),
        ({"batch": 0}, "batch must be"),
        ({"epochs": -1}, "epochs must be"),
        ({"trainable": ("Z",)}, r"trainable must name fields of params \(W, V, A\)"),
        ({"dtype": "float16"}, "dtype must be"),
        ({"record": [9]}, "record must be"),
        ({"rng": 3}, "rng must be"),
        ({"Y": np.zeros((10, 2))}, r"Y must have shape \(10, 3\)"),
        ({"X": np.zeros((10, 2))}, "X must have 6 columns"),
        ({"watch": {"test": (np.zeros((4, 6)), np.zeros((5, 3)))}}, r"Y must have shape \(4, 3\)"),
        ({"schedule": lambda epoch: 0.0}, "schedule must be"),
        ({"params": (1, 2)}, "params must be"),
        ({"watch": 3}, "watch must map names"),
        ({"schedule": 3}, "schedule must be a function"),
        ({"trainable": 3}, "trainable must be a sequence"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], message: str) -> None:
    rng = np.random.default_rng(0)
    X, Y = _problem(rng, 10, 6, 3)
    call: dict[str, Any] = {
        "params": initial(rng, "3resnet", 6, 3, 8), "X": X, "Y": Y, "learning_rate": 0.1, "batch": 5, "epochs": 2,
        "rng": rng, **change,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        engine.train(call.pop("params"), call.pop("X"), call.pop("Y"), **call)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [*range(1, 27), 50])
def test_products_of_every_form_are_numpys(rows: int, dtype: Any) -> None:
    rng, kernel = np.random.default_rng(rows), tiles.kernel(dtype)
    for K, columns, turned, add, mode in (
        (1, 16, 0, 0, tiles.STORE), (7, 32, 0, 1, tiles.RELU), (50, 48, 1, 0, tiles.GATE),
        (31, 32, 1, 1, tiles.STORE), (9, 4, 0, 1, tiles.GATE), (2050, 16, 0, 1, tiles.RELU),
    ):  # fmt: skip
        X = rng.standard_normal((K, rows) if turned else (rows, K)).astype(dtype)
        W = rng.standard_normal((K, columns)).astype(dtype)
        C, G = (rng.standard_normal((rows + 1, columns)).astype(dtype) for _ in range(2))
        G[G < 0] = -0.0
        expected = C.copy()
        tiles._product_plain(0, expected, X, turned, W, rows, K, columns, add, mode, G)
        tiles.product(kernel, C, X, turned, W, rows, K, columns, add, mode, G)
        np.testing.assert_allclose(C, expected, atol=1e-6 * K + 1e-4 if dtype is np.float32 else 1e-12)
        if mode == tiles.RELU:
            assert np.array_equal(np.signbit(C[:rows]), C[:rows] == 0)  # the gate is remembered
    z = np.zeros((1, 16), dtype)
    tiles.product(kernel, z, np.array([[np.nan]], dtype), 0, np.ones((1, 16), dtype), 1, 1, 16, 0, tiles.RELU, z)
    assert np.isnan(z).all()
    for value, gate in ((0.0, 0.0), (1.0, 1.0), (-1.0, -0.0)):  # 0 opens the gate, whatever a maximum makes of zeros
        tiles.product(kernel, z, np.array([[value]], dtype), 0, np.ones((1, 16), dtype), 1, 1, 16, 0, tiles.RELU, z)
        assert (z == gate).all()
        assert (np.signbit(z) == np.signbit(gate)).all()


def test_results_are_the_same_without_the_compiler() -> None:
    code = (
        "import numpy as np\n"
        "from learnability.networks.residual import initial\n"
        "from learnability.training.grid import train\n"
        "rng = np.random.default_rng(0)\n"
        "X, Y = rng.choice([-1.0, 1.0], (12, 5)), rng.standard_normal((12, 3))\n"
        "for network in ('2layer', '3layer', '3resnet'):\n"
        "    start = initial(np.random.default_rng(1), network, 5, 3, 40)\n"
        "    (run,) = train(start, X, Y, learning_rate=0.05, batch=5, epochs=2, rng=np.random.default_rng(2),\n"
        "                   dtype='float64')\n"
        "    print(repr(run.final('norm')), repr(run.final('running_loss')))\n"
    )
    plain, compiled = (
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "NUMBA_DISABLE_JIT": off}, check=True, timeout=600,
            capture_output=True, text=True,
        ).stdout.split()
        for off in ("1", "0")
    )  # fmt: skip
    np.testing.assert_allclose([float(n) for n in plain], [float(n) for n in compiled], rtol=1e-12)
