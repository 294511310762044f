"""The online engine's forms against the float64 reference and each other; records, outcomes and invariances."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import training_oracle as oracle
from learnability.networks.one_hidden import RANDOM_KINDS, OneHidden, forward, random_init
from learnability.networks.symmetry import symmetry_init
from learnability.problems.symmetry import UniformCube, parity, random_symmetric, shift_inputs
from learnability.training.online import train
from learnability.training.online.loops import FAR
from learnability.training.online.trajectory import COLUMNS
from learnability.training.record import Outcome, log_spaced
from learnability.training.reference import sgd

FORMS = (("direct", "both"), ("cached", "both"), ("auto", "both"), ("frozen", "output"), ("direct", "output"))
ALL_FORMS = (*FORMS, ("deviation", "both"), ("auto", "output"))


def problem(seed, n, L, m, kind="he", inputs="binary"):
    rng = np.random.default_rng(seed)
    X = {
        "binary": rng.integers(0, 2, size=(m, n)).astype(float),
        "real": rng.standard_normal((m, n)),
        "sparse": rng.standard_normal((m, n)) * (rng.random((m, n)) < 0.3),
    }[inputs]
    return random_init(rng, n, L, kind), X, np.where(rng.random(m) < 0.5, 1.0, -1.0)


def start_of(form, seed, n, L, m):
    """A start that the form takes, and a sample."""
    params, X, y = problem(seed, n, L, m)
    if form == "deviation":
        params = symmetry_init(n)
    return params, X, y


def assert_close(found, wanted, relative=1e-9):
    oracle.close(found.W, wanted.W, relative)
    oracle.close(found.B, wanted.B, relative)
    oracle.close(np.append(found.M, found.b), np.append(wanted.M, wanted.b), relative)  # b alone may cancel


@pytest.mark.parametrize(("form", "layers"), [("direct", "both"), ("deviation", "both"), ("frozen", "output")])
def test_a_sample_whose_rows_are_fetched_ahead(form, layers):
    params, X, y = start_of("direct" if form == "direct" else "deviation", 4, 3, 5, FAR + 1)
    common = {"h": 0.01, "beta": 0.31415, "epochs": 1, "layers": layers}
    *_, (wanted, updated) = sgd(params, X, y, rng=np.random.default_rng(4), **common)
    run = train(params, X, y, rng=np.random.default_rng(4), form=form, record=[1], **common)
    assert run.updates == updated.sum()
    assert_close(run.params, wanted)


@settings(max_examples=120)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 6),
    L=st.integers(1, 20),
    m=st.integers(1, 9),
    kind=st.sampled_from(RANDOM_KINDS),
    inputs=st.sampled_from(["binary", "real", "sparse"]),
    activation=st.sampled_from(["relu", "sigmoid"]),
    batch=st.integers(1, 5),
    how=st.sampled_from(FORMS),
    h=st.sampled_from([0.5, 0.05, 0.001]),
    beta=st.sampled_from([0.0, 0.31415, 1.0]),
)
def test_equals_the_reference(seed, n, L, m, kind, inputs, activation, batch, how, h, beta):
    params, X, y = problem(seed, n, L, m, kind, inputs)
    params = params._replace(b=params.b + 0.0271828)  # otherwise f(0), a multiple of h / batch, can tie with beta
    X_test, y_test = X[::-1] + 0.01, y[::-1]
    form, layers = how
    common = {"h": h, "beta": beta, "epochs": 15, "layers": layers, "batch": batch, "activation": activation}
    history = sgd(params, X, y, rng=np.random.default_rng(seed), **common)
    run = train(
        params, X, y, rng=np.random.default_rng(seed), form=form, test=(X_test, y_test), record=range(16), **common
    )
    updates = np.cumsum([0, *(int(epoch.updated.sum()) for epoch in history)])
    assert run.columns["updates"].tolist() == updates.tolist()
    assert_close(run.params, history[-1].params)
    assert (run.outcome == Outcome.CONVERGED) == (not history[-1].updated.any())
    for row, now in zip(run.rows(), [params, *(epoch.params for epoch in history)], strict=True):
        wanted = oracle.columns(now, params, X, y, beta=beta, activation=activation, test=(X_test, y_test))
        for name, value in wanted.items():
            assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), name


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("how", FORMS)
def test_the_same_at_every_epoch(how, activation):
    form, layers = how
    params, X, y = problem(3, 4, 7, 6, "pytorch")
    common = {"h": 0.2, "beta": 0.5, "layers": layers, "activation": activation, "batch": 2}
    history = sgd(params, X, y, rng=np.random.default_rng(5), epochs=20, **common)
    for budget in range(1, len(history) + 1):
        run = train(params, X, y, rng=np.random.default_rng(5), form=form, epochs=budget, **common)
        assert_close(run.params, history[budget - 1].params, 1e-12)


@pytest.mark.parametrize("kind", RANDOM_KINDS)
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("batch", [1, 3])
def test_forms_agree_over_hundreds_of_epochs(kind, activation, batch):
    n, m = 10, 40
    params, X, _ = problem(1, n, 4 * n + 3, m, kind)
    y = parity(n)(X)
    runs = [
        train(
            params, X, y, h=n**-3.0, beta=1.0, rng=np.random.default_rng(2), epochs=300, form=form,
            activation=activation, batch=batch,
        )
        for form in ("direct", "cached", "auto")
    ]  # fmt: skip
    assert runs[0].updates > 2_000
    for other in runs[1:]:
        assert other.columns["updates"].tolist() == runs[0].columns["updates"].tolist()
        assert_close(other.params, runs[0].params)
    frozen = [
        train(
            params, X, y, h=n**-3.0, beta=1.0, rng=np.random.default_rng(2), epochs=300, form=form,
            activation=activation, batch=batch, layers="output",
        )
        for form in ("direct", "frozen")
    ]  # fmt: skip
    assert frozen[0].columns["updates"].tolist() == frozen[1].columns["updates"].tolist()
    assert_close(frozen[0].params, frozen[1].params)


@pytest.mark.parametrize(("form", "layers"), [("deviation", "both"), ("frozen", "output")])
def test_a_symmetric_start_in_plain_float64_where_that_serves(form, layers):
    """Steps are large enough here, and beta / h is no sum of quarters, so that nothing ties."""
    n = 5
    params = symmetry_init(n)
    X = UniformCube(n).sample(np.random.default_rng(0), 12)
    y = random_symmetric(n, np.random.default_rng(3))(X)
    common = {"h": 0.01, "beta": 1.003, "epochs": 60, "layers": layers, "record": range(61), "test": (1 - X, y)}
    apart = train(params, X, y, rng=np.random.default_rng(1), form=form, **common)
    plain = train(params, X, y, rng=np.random.default_rng(1), form="direct", **common)
    assert apart.updates > 30
    for name in COLUMNS:
        np.testing.assert_allclose(apart.columns[name], plain.columns[name], rtol=1e-9, atol=1e-12)
    assert_close(apart.params, plain.params)
    assert_close(apart.deviation.network(), apart.params, 0)
    assert plain.deviation is None


@pytest.mark.parametrize("n", [4, 8])
@pytest.mark.parametrize("batch", [1, 3])
def test_steps_so_large_that_neurons_change_sign(n, batch):
    """The deviation form's bounds no longer hold then, and must notice; plain float64 serves (nothing ties)."""
    changed = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        params = symmetry_init(n, ("integer", "half_integer", "quarter")[seed % 3])
        X = UniformCube(n).sample(rng, 3 * n)
        y = random_symmetric(n, rng)(X)
        X = shift_inputs(rng, X)
        common = {"h": n ** -rng.uniform(0.8, 2), "beta": rng.uniform(0.5, 20), "batch": batch, "epochs": 60}
        runs = [
            train(params, X, y, form=form, rng=np.random.default_rng(seed), record=range(61), **common)
            for form in ("deviation", "direct")
        ]
        assert runs[0].columns["updates"].tolist() == runs[1].columns["updates"].tolist()
        assert_close(runs[0].params, runs[1].params)
        before, after = (X @ p.W.T + p.B for p in (params, runs[0].params))
        changed += bool((before * after < 0).any())
    assert changed >= 10


@pytest.mark.parametrize(("form", "layers"), FORMS)
@pytest.mark.parametrize(("beta", "updates"), [(0.75, 1), (0.75 - 2.0**-40, 0)])
def test_a_tie_is_a_mistake_in_plain_float64_too(form, layers, beta, updates):
    params = OneHidden(np.ones((1, 1)), np.zeros(1), np.array([0.5]), 0.25)  # f(1) = 3/4
    run = train(
        params, [[1.0]], [1.0], h=0.5, beta=beta, rng=np.random.default_rng(0), epochs=1, layers=layers, form=form
    )
    assert run.updates == updates
    assert (run.outcome == Outcome.CONVERGED) == (updates == 0)
    assert run.params.b == 0.25 + 0.5 * updates


def test_movement_is_over_the_first_512_examples():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 3))
    X[550] *= 50  # moves furthest, and is not looked at
    y = np.where(rng.random(600) < 0.5, 1.0, -1.0)
    for params, forms in (
        (random_init(rng, 3, 9, "he"), ("direct", "cached")),
        (symmetry_init(3), ("deviation", "direct")),
    ):
        history = sgd(params, X, y, h=0.01, beta=0.1, rng=np.random.default_rng(1), epochs=1)
        wanted = oracle.columns(history[-1].params, params, X, y, beta=0.1)
        every = np.linalg.norm(oracle.embed(history[-1].params, X) - oracle.embed(params, X), axis=1)
        assert every.argmax() == 550
        for form in forms:
            run = train(params, X, y, h=0.01, beta=0.1, rng=np.random.default_rng(1), epochs=1, form=form)
            assert run.final("movement") == pytest.approx(wanted["movement"], rel=1e-9)


# Outcomes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "layers"), ALL_FORMS)
def test_converged_means_that_nothing_changes_any_more(form, layers):
    params, X, y = start_of(form, 0, 6, 60, 5)
    if form == "deviation":
        y = parity(6)(X)
    common = {"h": 0.05, "beta": 0.2, "layers": layers, "form": form}
    run = train(params, X, y, rng=np.random.default_rng(0), epochs=100_000, **common)
    assert run.outcome == Outcome.CONVERGED
    assert 1 < run.epochs < 100_000
    assert run.final("epoch") == run.epochs
    assert run.final("updates") == run.updates
    assert (y * forward(run.params, X) > 0.2).all()
    assert run.final("train_error") == run.final("train_loss") == 0
    before = train(params, X, y, rng=np.random.default_rng(0), epochs=run.epochs - 1, **common)
    assert (before.outcome, before.updates) == (Outcome.BUDGET_REACHED, run.updates)
    again = train(params, X, y, rng=np.random.default_rng(0), epochs=run.epochs, **common)
    assert again.outcome == Outcome.CONVERGED
    for other in (before, again):
        assert_close(other.params, run.params, 1e-12)
    last_two = train(params, X, y, rng=np.random.default_rng(0), epochs=9**9, record=range(run.epochs + 5), **common)
    assert last_two.columns["epoch"].tolist() == list(range(run.epochs + 1))
    assert np.diff(last_two.columns["updates"]).tolist().count(0) == 1
    if form != "deviation":  # going on from there makes no update in the first epoch
        after = train(run.params, X, y, rng=np.random.default_rng(9), epochs=10, **common)
        assert (after.outcome, after.epochs, after.updates) == (Outcome.CONVERGED, 1, 0)


@pytest.mark.parametrize(("form", "layers"), ALL_FORMS)
def test_budget(form, layers):
    params, X, y = start_of(form, 0, 4, 10, 6)
    X[1], y[0], y[1] = X[0], 1, -1  # one input with both labels: never done
    common = {"h": 0.01, "beta": 0.1, "layers": layers, "form": form}
    run = train(params, X, y, rng=np.random.default_rng(0), epochs=70, **common)
    assert (run.outcome, run.epochs) == (Outcome.BUDGET_REACHED, 70)
    np.testing.assert_array_equal(run.columns["epoch"], log_spaced(70))
    none = train(params, X, y, rng=np.random.default_rng(0), epochs=0, **common)
    assert (none.outcome, none.epochs, none.updates, len(none)) == (Outcome.BUDGET_REACHED, 0, 0, 1)
    assert_close(none.params, params, 0)
    assert np.isnan(none.columns["test_error"]).all()
    assert none.columns["movement"].tolist() == [0.0]


def runaway():
    """One neuron, one example, and a confidence out of reach: weights multiply by 1 + h at every visit."""
    return OneHidden(np.ones((1, 1)), np.zeros(1), np.ones(1), 0.0), np.ones((1, 1)), np.ones(1)


def assert_finite(run):
    for name, values in run.columns.items():
        assert name == "test_error" or np.isfinite(values).all(), name


@pytest.mark.parametrize("form", ["direct", "cached", "auto"])
@pytest.mark.parametrize(("step", "beta"), [(1.0, 1e300), (1e10, 1e306)])
def test_divergence_is_reported_and_not_recorded(form, step, beta):
    params, X, y = runaway()
    common = {"h": step, "beta": beta, "form": form}
    run = train(params, X, y, rng=np.random.default_rng(0), epochs=2_000, record=range(2_001), **common)
    assert run.outcome == Outcome.DIVERGED
    assert 0 < run.epochs < 2_000
    assert_finite(run)
    assert len(run) == run.epochs + 1
    assert run.columns["margin"][-1] > 1e100
    sparse = train(params, X, y, rng=np.random.default_rng(0), epochs=2_000, record=[0, 5], **common)
    assert (sparse.outcome, sparse.epochs) == (Outcome.DIVERGED, run.epochs)
    assert sparse.columns["epoch"].tolist() == [0, 5]


@pytest.mark.parametrize("form", ["direct", "cached", "auto"])
@pytest.mark.parametrize("epochs", [4, 5])
def test_what_overflows_in_the_last_update_is_not_recorded_either(form, epochs):
    params, X, y = runaway()
    # after e epochs the weights are about h^e and the output h^(2 e): at e = 5 that is beyond float64
    common = {"h": 1e35, "beta": 1e306, "form": form, "epochs": epochs, "record": range(epochs + 1)}
    run = train(params, X, y, rng=np.random.default_rng(0), **common)
    assert_finite(run)
    assert (run.outcome == Outcome.DIVERGED) == (epochs == 5)


@pytest.mark.parametrize("layers", ["both", "output"])
@pytest.mark.parametrize("h", [10.0, 1e6, 1e30, 1e149])
def test_a_huge_step_of_the_exact_forms_stays_finite(layers, h):
    n = 4
    X = UniformCube(n).sample(np.random.default_rng(0), 10)
    run = train(
        symmetry_init(n), X, parity(n)(X), h=h, beta=h, rng=np.random.default_rng(0), epochs=200, layers=layers
    )
    trained = run.columns["epoch"] > 0  # no margin before
    assert trained.any() or run.outcome == Outcome.DIVERGED
    for name in ("train_error", "train_loss", "margin", "movement", "norm"):
        assert np.isfinite(run.columns[name][trained]).all(), name


# Invariances --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "layers"), ALL_FORMS)
@pytest.mark.parametrize("batch", [1, 3])
def test_recording_does_not_change_the_run(form, layers, batch):
    params, X, y = start_of(form, 2, 5, 12, 20)
    common = {"h": 0.003, "beta": 0.3, "layers": layers, "form": form, "batch": batch, "epochs": 120}
    full = train(params, X, y, rng=np.random.default_rng(1), record=range(121), test=(1 - X, y), **common)
    assert full.updates > 200
    for record in (None, [], [7], [0, 3, 4, 60], np.arange(0, 120, 11), [60, 3, 3, 0]):
        run = train(params, X, y, rng=np.random.default_rng(1), record=record, test=(1 - X, y), **common)
        at = run.columns["epoch"]
        if record is not None:
            assert at.tolist() == (sorted({*map(int, record), full.epochs}) if len(record) else [])
        # cached, and auto from a random start, fold their cache back where they stop: only rounding depends on it
        rounding = 1e-9 if form == "cached" or (form, layers) == ("auto", "both") else 0
        for name in COLUMNS:
            np.testing.assert_allclose(run.columns[name], full.columns[name][at], rtol=rounding, err_msg=name)
        assert_close(run.params, full.params, rounding)
        assert (run.outcome, run.ties, run.unresolved) == (full.outcome, full.ties, full.unresolved)
    without_test = train(params, X, y, rng=np.random.default_rng(1), record=[], **common)
    assert_close(without_test.params, full.params, rounding)


@pytest.mark.parametrize(("form", "layers"), ALL_FORMS)
def test_arguments_are_not_modified_and_runs_repeat(form, layers):
    params, X, y = start_of(form, 4, 5, 12, 15)
    kept = [np.copy(part) for part in (*params, X, y)]
    runs = [
        train(params, X, y, h=0.01, beta=0.1, rng=np.random.default_rng(1), epochs=30, form=form, layers=layers)
        for _ in range(2)
    ]
    assert runs[0].updates > 0
    for part, copy in zip((*params, X, y), kept, strict=True):
        np.testing.assert_array_equal(part, copy)
    assert_close(runs[0].params, runs[1].params, 0)
    other = train(params, X, y, h=0.01, beta=0.1, rng=np.random.default_rng(2), epochs=30, form=form, layers=layers)
    assert not np.array_equal(other.params.M, runs[0].params.M)  # another order of examples


def test_layers_output_leaves_the_hidden_layer_alone():
    for form in ("frozen", "direct"):
        params, X, y = problem(0, 5, 20, 10)
        run = train(params, X, y, h=0.1, beta=0.1, rng=np.random.default_rng(0), epochs=9, layers="output", form=form)
        np.testing.assert_array_equal(run.params.W, params.W)
        np.testing.assert_array_equal(run.params.B, params.B)
        assert not np.array_equal(run.params.M, params.M)
        np.testing.assert_array_equal(run.columns["movement"], 0.0)


def test_larger_samples_than_a_gram_matrix_holds():
    """2,901 classes: the Gram forms refuse, auto takes the direct form."""
    X, y = np.arange(2901.0)[:, None] / 2901, np.where(np.arange(2901) < 1000, -1.0, 1.0)
    common = {"h": 0.01, "beta": 0.0, "epochs": 1}
    for layers, form in (("both", "deviation"), ("output", "frozen")):
        with pytest.raises(ValueError, match="2900"):
            train(symmetry_init(1), X, y, rng=np.random.default_rng(0), layers=layers, form=form, **common)
        auto = train(symmetry_init(1), X, y, rng=np.random.default_rng(0), layers=layers, **common)
        direct = train(symmetry_init(1), X, y, rng=np.random.default_rng(0), layers=layers, form="direct", **common)
        assert_close(auto.params, direct.params, 0)
        inside = train(symmetry_init(1), X[:2900], y[:2900], rng=np.random.default_rng(0), layers=layers, **common)
        assert inside.deviation is not None


def test_auto_takes_the_forms_it_names():
    n = 5
    symmetric, random = symmetry_init(n), random_init(np.random.default_rng(0), n, 8, "he")
    X = UniformCube(n).sample(np.random.default_rng(0), 9)
    y = parity(n)(X)
    common = {"h": 0.01, "beta": 0.0, "epochs": 3}
    kept = {
        (name, layers): train(params, X, y, rng=np.random.default_rng(0), layers=layers, **common).deviation
        is not None
        for name, params in (("symmetric", symmetric), ("random", random))
        for layers in ("both", "output")
    }
    assert kept == {
        ("symmetric", "both"): True,
        ("symmetric", "output"): True,
        ("random", "both"): False,
        ("random", "output"): False,
    }


_TINY = """
import json
import numpy as np
from learnability.networks.one_hidden import random_init
from learnability.networks.symmetry import symmetry_init
from learnability.training.online import train
from learnability.training.online.loops import FAR
from learnability.training.perceptron import modified_perceptron

X = np.array([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
y = np.array([1.0, 1, -1, -1])
found = {}
for activation in ("relu", "sigmoid"):
    for form, layers in (
        ("direct", "both"), ("cached", "both"), ("direct", "output"), ("frozen", "output"), ("deviation", "both")
    ):
        if (form, activation) == ("deviation", "sigmoid"):
            continue
        params = symmetry_init(3) if form == "deviation" else random_init(np.random.default_rng(0), 3, 5, "normal")
        for batch in (1, 3):
            run = train(
                params, X, y, h=0.25, beta=0.5, rng=np.random.default_rng(1), epochs=6, form=form, layers=layers,
                activation=activation, batch=batch, test=(X, -y),
            )
            rows = [[None if value != value else value for value in row.values()] for row in run.rows()]
            parts = [np.ravel(part).tolist() for part in run.params]
            found[f"{activation} {form} {layers} {batch}"] = [str(run.outcome), run.updates, run.ties, rows, parts]
result = modified_perceptron(X + 1, y, rng=np.random.default_rng(0), max_updates=40)
found["perceptron"] = [result.w.tolist(), result.updates, result.converged]
"""


def test_kernels_give_the_same_without_compilation():
    """As plain Python they can be stepped through; what they compute does not depend on the compiler."""
    compiled: dict = {}
    exec(_TINY, compiled)
    done = subprocess.run(
        [sys.executable, "-c", _TINY + "\nprint(json.dumps(found))"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    plain = json.loads(done.stdout)
    assert plain.keys() == compiled["found"].keys()
    for name, wanted in json.loads(json.dumps(compiled["found"])).items():
        if name.startswith("sigmoid"):  # two implementations of exp may differ in the last place
            np.testing.assert_equal(plain[name][:3], wanted[:3])
            for a, b in zip(plain[name][4], wanted[4], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12)
        else:
            assert plain[name] == wanted, name
