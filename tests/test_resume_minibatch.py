"""Mini-batches in both forms: going on from states, recording and measuring change nothing; what is refused."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from going_on import assert_goes_on, assert_rows_agree, assert_same, in_another_process, through_a_file
from learnability.networks.strips import relu
from learnability.training import minibatch
from learnability.training.minibatch.optimisers import Adadelta, Adam, Sgd
from learnability.training.minibatch.reference import Hidden
from learnability.training.minibatch.sources import examples, fresh
from learnability.training.record import Outcome
from learnability.training.state import State, digests

EPOCHS = 6
DATA = np.random.default_rng(0)
X, Y = DATA.standard_normal((11, 3)), DATA.choice([-1.0, 1.0], 11)
STARTS = Hidden(DATA.standard_normal((3, 5, 3)), *DATA.standard_normal((2, 3, 5)), DATA.standard_normal(3))
START = Hidden(*(part[0] for part in STARTS))


def draw(rng):
    inputs = rng.standard_normal((7, 3))
    return inputs, np.sign(inputs[:, 0])


def slower(epoch):
    return 1.0 if epoch <= 2 else 0.1


SOURCES = {"sample": examples(X, Y), "fresh": fresh(draw, 7)}


def widths(network, epoch, *, run, updates, learning_rate):
    return {
        "u": float(np.abs(network.u).sum()),
        "run": run,
        "made": updates,
        "rate": learning_rate,
        "even": epoch % 2 == 0,
    }


def train(epochs=EPOCHS, seed=1, *, source="sample", start=START, orders=0, **options):
    """``orders``: how many generators of their own; 0 is one for all."""
    rng = [np.random.default_rng(seed + i) for i in range(orders)] if orders else np.random.default_rng(seed)
    options = {"rule": Sgd(0.9), "learning_rate": 0.05, "batch": 4, "rng": rng, **options}
    return minibatch.train(relu, start, SOURCES.get(source, source), epochs=epochs, **options)


def states(runs):
    return [through_a_file(run.state) for run in runs]


@settings(max_examples=25)
@given(
    rule=st.sampled_from([Sgd(0.9), Adam(), Adadelta()]),
    layout=st.sampled_from(["one", "shared", "orders", "stacked"]),
    source=st.sampled_from(sorted(SOURCES)),
    dtype=st.sampled_from(["float32", "float64"]),
    form=st.sampled_from(["fused", "jax"]),
    rates=st.sampled_from([(0.05, 0.2, 0.01), (0.05, 1e300, 0.01), (1e300, 0.05, 1e300)]),
    schedule=st.sampled_from([None, slower]),
    record=st.sets(st.integers(0, EPOCHS), min_size=1),
    at=st.integers(0, EPOCHS),
)
def test_runs_may_stop_anywhere_and_record_anything(rule, layout, source, dtype, form, rates, schedule, record, at):
    options = {
        "rule": rule, "source": source, "dtype": dtype, "schedule": schedule, "loss": "squared", "orders": 0,
        "form": form,
        "learning_rate": np.minimum(rates, 1e30 if dtype == "float32" else 1e300)[: 1 if layout == "one" else 3],
    }  # fmt: skip
    if layout in ("orders", "stacked"):
        options |= {"orders": 3}
    if layout == "stacked":
        options |= {"stacked": True, "start": STARTS, "trainable": ("u", "c")}
    options |= {"watch": {"test": SOURCES["sample"], "drawn": SOURCES["fresh"]}}
    whole = train(record=range(EPOCHS + 1), measure=widths, **options)
    few = train(record=sorted(record), **options)
    part = train(at, record=sorted(epoch for epoch in record if epoch <= at), **options)
    for run, all_of_it in zip(few, whole, strict=True):
        assert_same(run, all_of_it)
        assert_rows_agree(run, all_of_it)
        assert (run.state is None) == (run.outcome is Outcome.DIVERGED)
    if all(run.state is None for run in part):
        with pytest.raises(ValueError, match="every run had diverged"):
            train(resume=states(part), **options)
        return
    rest = train(seed=99, record=sorted(record), measure=widths, resume=states(part), **options)
    for run, before, all_of_it in zip(rest, part, whole, strict=True):
        if before.state is None:
            assert (run.outcome, run.epochs, run.updates) == (before.outcome, before.epochs, before.updates)
            assert run.state is None
            assert len(run) == 0
            assert np.isnan(run.params.u).all()
        else:
            assert_goes_on(run, before.state, all_of_it, record)
            assert (run.learning_rate, run.weight_decay) == (all_of_it.learning_rate, all_of_it.weight_decay)
        if run.state is not None:
            assert run.state.generators["rng"] == all_of_it.state.generators["rng"]
    for one, two in zip(train(seed=5, record=[], resume=states(rest), **options) if any(states(rest)) else [], rest):
        if two.state is not None:
            assert_same(one, two)


def rests(epochs, record, *, rates=(0.3, 0.02, 1e-3, 0.1, 0.05), **options):
    """Runs that come to rest one after the other, so that the rest goes on in a smaller group."""
    sample = examples(np.array([[1.0], [-1.0]]), np.array([1.0, -1.0]))
    start = Hidden(np.array([[0.5], [-0.5]]), np.zeros(2), np.array([0.5, -0.5]), np.zeros(()))
    options = {"rule": Sgd(), "batch": 2, "orders": len(rates), **options}
    return train(epochs, source=sample, start=start, learning_rate=rates, record=record, **options)


def test_runs_that_have_come_to_rest_stay_so_and_the_others_go_on():
    whole = rests(400, range(0, 401, 50), watch={"drawn": fresh(one_sign, 3)}, measure=widths)
    ends = [run.epochs for run in whole]
    assert {run.outcome for run in whole} == {Outcome.CONVERGED, Outcome.BUDGET_REACHED}
    assert len(set(ends)) == 5
    for at in (0, 1, min(ends), min(ends) + 1, 40, sorted(ends)[2], 399, 400):
        part = rests(at, [], watch={"drawn": fresh(one_sign, 3)})
        rest = rests(400, range(0, 401, 50), watch={"drawn": fresh(one_sign, 3)}, measure=widths, resume=states(part))
        for run, before, all_of_it in zip(rest, part, whole, strict=True):
            assert_goes_on(run, before.state, all_of_it, range(0, 401, 50))


def one_sign(rng):
    return rng.standard_normal((3, 1)), np.ones(3)


def test_the_generators_stand_where_they_would():
    ends = []
    for stops in ((EPOCHS,), (2, EPOCHS)):
        for orders in (0, 2):
            found, resume = [np.random.default_rng(7 + i) for i in range(orders or 1)], None
            for stop in stops:
                rng = found if orders else found[0]
                runs = train(stop, learning_rate=[0.1, 0.2], rng=rng, resume=resume)
                resume = states(runs)
            ends.append([rng.integers(10**9) for rng in found])
    assert ends[0] == ends[2]
    assert ends[1] == ends[3]


def test_a_run_that_has_ended_draws_no_more():
    rng = [np.random.default_rng(seed) for seed in range(3)]
    runs = train(learning_rate=[0.1, 1e30, 0.2], loss="squared", rng=rng)
    assert runs[1].epochs == 1
    other = np.random.default_rng(1)
    other.permutation(len(Y))
    assert rng[1].bit_generator.state == other.bit_generator.state


def test_in_another_process(tmp_path):
    code = (
        "import sys, test_resume_minibatch as here\n"
        "from learnability.training.state import State\n"
        "states = [State.load(path) for path in sys.argv[1:4]]\n"
        "runs = here.train(learning_rate=[0.1, 0.2, 0.3], rule=here.Adam(), measure=here.widths, resume=states,\n"
        "                  watch={'drawn': here.SOURCES['fresh']}, record=range(7))\n"
        "print([run.rows() for run in runs], [run.params.W.tobytes() for run in runs])\n"
    )
    options = {"learning_rate": [0.1, 0.2, 0.3], "rule": Adam(), "watch": {"drawn": SOURCES["fresh"]}}
    files = [run.state.save(tmp_path / str(i)) for i, run in enumerate(train(2, **options))]
    whole = train(measure=widths, record=range(7), **options)
    rows = [[row for row in run.rows() if row["epoch"] > 2] for run in whole]
    assert in_another_process(code, *files).strip() == f"{rows} {[run.params.W.tobytes() for run in whole]}"


def test_any_pytree_goes_on():
    start = {"V": np.ones((2, 4)), "inner": {"A": np.ones((4, 3)) / 3, "steps": np.arange(3)}}

    def run(epochs, **options):
        return minibatch.train(
            tanh, start, examples(X, np.stack([Y, -Y], axis=1)), rule=Sgd(0.9), learning_rate=[0.1, 0.2], batch=4,
            epochs=epochs, rng=np.random.default_rng(0), trainable=["V"], **options,
        )  # fmt: skip

    whole, part = run(4), run(1)
    for one, state, other in zip(run(4, resume=states(part)), states(part), whole, strict=True):
        assert_goes_on(one, state, other, range(5))


def tanh(params, inputs):
    return jnp.tanh(inputs @ params["inner"]["A"].T) @ params["V"].T


def test_measured_is_every_run_once_a_moment_and_keeps_its_copies():
    kept = {}

    def keep(network, epoch, run):
        assert (run, epoch) not in kept
        kept[run, epoch] = network
        network.W[:] = 0
        return {"u": network.u[0]}

    runs = train(learning_rate=[0.1, 0.2], record=[0, 3], measure=keep)
    assert set(kept) == {(run, epoch) for run in (0, 1) for epoch in (0, 3, EPOCHS)}
    for run, plain in zip(runs, train(learning_rate=[0.1, 0.2]), strict=True):
        assert_same(run, plain)
    for (run, epoch), network in kept.items():
        assert network.u.dtype == np.float32
        assert runs[run].columns["u"][runs[run].columns["epoch"] == epoch] == network.u[0]
    kept.clear()
    train(record=[EPOCHS], measure=keep)
    assert list(kept) == [(0, 0), (0, EPOCHS)]  # it is tried at the start in any case
    kept.clear()
    (bare,), (plain,) = train(record=[], measure=keep), train()
    assert list(kept) == [(0, 0)]
    assert len(bare) == 0
    assert_same(bare, plain)


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda network, epoch: {"u": network.u}, "plain values by name, got ndarray for 'u'"),
        (lambda network, epoch: {"u": 1 // 0}, "measure raised ZeroDivisionError at epoch 0"),
        (lambda network, epoch, run: {str(run): 1}, "the same names at every moment, got 1 at epoch 0 after 0"),
        (lambda network, epoch: {"running_loss": 1}, "a column of the engine's, got 'running_loss'"),
        (lambda network, epoch, step: {}, "must be a function of .network, epoch. and, by name, updates, run, learn"),
    ],
)
def test_measurements_that_are_none(measure, message):
    with pytest.raises(ValueError, match=message):
        train(learning_rate=[0.1, 0.2], measure=measure, record=[0])


def test_states_of_other_runs_are_refused():
    part = train(3, learning_rate=[0.1, 0.2], schedule=slower)
    kept = [run.state for run in part]
    other = [run.state for run in train(2, learning_rate=[0.1, 0.2], schedule=slower)]
    for resume, message in (
        (kept[:1], r"the states of all 2 runs, in their order \(None for one that diverged\), got 1"),
        (kept[0], "the states of all 2 runs"),
        (3, "the states of all 2 runs.* got 3"),
        ([3, 4], "the states of all 2 runs"),
        (kept[::-1], "in the order of the runs, got run 1 at 0"),
        ([None, None], "every run had diverged"),
        ([kept[0], None], "None where a run had diverged, and only there, got None at 1"),
        ([kept[0], other[1]], "the states of one call"),
        ([replace(kept[0], engine="grid"), kept[1]], "engine 'minibatch', got one of 'grid'"),
        ([replace(kept[0], version="0"), kept[1]], "version .* got one of '0'"),
    ):
        with pytest.raises(ValueError, match=message):
            train(learning_rate=[0.1, 0.2], schedule=slower, resume=resume)
    for change, name in (
        ({"learning_rate": [0.1, 0.3]}, "learning_rate"),
        ({"weight_decay": 0.1}, "weight_decay"),
        ({"rule": Sgd(0.8)}, "rule"),
        ({"batch": 5}, "batch"),
        ({"loss": "squared"}, "loss"),
        ({"trainable": ("u",)}, "trainable"),
        ({"dtype": "float64"}, "dtype"),
        ({"source": examples(X, -Y)}, "source"),
        ({"start": START._replace(u=-START.u)}, "params"),
        ({"schedule": None}, "schedule"),
        ({"orders": 2}, "rng"),
    ):
        with pytest.raises(ValueError, match=f"another {name}$"):
            train(**{"learning_rate": [0.1, 0.2], "schedule": slower, "resume": kept, **change})
    with pytest.raises(ValueError, match="a state of form 'jax', got one of 'fused'"):
        train(learning_rate=[0.1, 0.2], schedule=slower, resume=kept, form="jax")
    with pytest.raises(ValueError, match="epochs must be >= 3, the epochs that resume has behind it, got 2"):
        train(2, learning_rate=[0.1, 0.2], schedule=slower, resume=kept)
    with pytest.raises(ValueError, match="resume must be the state of the run"):
        train(resume=kept)


def test_a_state_without_its_arrays_and_a_damaged_file_are_refused(tmp_path):
    for form, lost, said in (("fused", "first W", "first W"), ("jax", "memory_0", "memory values")):
        state = train(2, form=form)[0].state
        without = replace(state, arrays={name: part for name, part in state.arrays.items() if name != lost})
        with pytest.raises(ValueError, match=rf"resume must hold {said} of shape \(5, 3\), got None"):
            train(form=form, resume=without)
    path = state.save(tmp_path / "state")
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="is not a state of a training run"):
        State.load(path)


def told(function):
    return digests(function=function)["function"]


def scaled(factor, layer=np.tanh):
    return lambda params, inputs: layer(inputs @ params.W.T) @ params.u * factor


FACTOR = 2.0


def by_a_global(params, inputs):
    return FACTOR * scaled(1.0)(params, inputs)


def test_functions_are_told_apart_by_what_they_do(monkeypatch):
    tanh_net = lambda P, Z: jnp.tanh(Z @ P.W.T) @ P.u  # noqa: E731
    linear = lambda P, Z: (Z @ P.W.T) @ P.u  # noqa: E731
    again = lambda P, Z: (Z @ P.W.T) @ P.u  # noqa: E731
    assert told(linear) == told(again) != told(tanh_net)
    assert told(jax.jit(linear)) == told(jax.jit(again)) != told(jax.jit(tanh_net))
    assert told(jax.vmap(linear)) == told(jax.vmap(again)) != told(jax.vmap(tanh_net))
    assert told(scaled(1.0)) == told(scaled(1.0)) != told(scaled(-5.0))
    assert told(scaled(X)) == told(scaled(X.copy())) != told(scaled(-X))
    assert told(scaled(1.0, np.tanh)) != told(scaled(1.0, np.sin))
    assert told(scaled(1.0, linear)) == told(scaled(1.0, again)) != told(scaled(1.0, tanh_net))
    assert told(functools.partial(slower, epoch=3)) == told(functools.partial(slower, epoch=3))
    assert told(functools.partial(slower, epoch=3)) != told(functools.partial(slower, epoch=4))
    assert told(Sgd(0.9)) == told(Sgd(0.9)) != told(Sgd(0.8))
    assert told(lambda a, b=1: a) != told(lambda a, b=2: a)
    assert told(lambda a: a in {"x", "y", "z"}) != told(lambda a: a in {"x", "y", "w"})
    before = told(by_a_global)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert told(by_a_global) != before

    def itself(k):
        return [itself, around][k]

    around = {"itself": itself}
    around["around"] = around
    assert told(itself) == told(itself)


def test_a_state_of_another_function_is_refused():
    def run(apply, epochs, source=None, **options):
        source = source or examples(X, Y)
        rng = np.random.default_rng(0)
        return minibatch.train(
            apply, START, source, rule=Sgd(0.9), learning_rate=0.1, batch=4, epochs=epochs, rng=rng, **options
        )

    def made(scale):
        return lambda P, Z: jnp.tanh(Z @ P.W.T) @ P.u * scale

    def drawn(scale):
        return fresh(lambda rng: (scale * rng.standard_normal((7, 3)), np.ones(7)), 7)

    kept = run(made(1.0), 2)[0].state
    assert run(made(1.0), 3, resume=kept)[0].epochs == 3
    for other in (made(-5.0), lambda P, Z: Z @ P.W.T @ P.u):
        with pytest.raises(ValueError, match=r"another apply$"):
            run(other, 3, resume=kept)
    kept = run(relu, 2, drawn(1.0))[0].state
    assert run(relu, 3, drawn(1.0), resume=kept)[0].epochs == 3
    with pytest.raises(ValueError, match=r"another source$"):
        run(relu, 3, drawn(2.0), resume=kept)


_SCRIPT = """
import sys, jax, jax.numpy as jnp, numpy as np
from learnability.training import minibatch
from learnability.training.minibatch.optimisers import Sgd
from learnability.training.minibatch.sources import fresh
from learnability.training.state import State

WIDTHS = {"first": 4, "second": (2, 3)}

def made(scale, names=frozenset({"a", "b", "c"})):
    def apply(P, Z):
        return layer(P, Z) * scale + (0 if "a" in {"a", "q", "r"} else 1) + len(WIDTHS)
    return jax.jit(apply)

def layer(P, Z):
    return jax.nn.gelu(Z @ P["W"].T) @ P["u"]

def draw(rng):
    return rng.standard_normal((7, 3)), np.ones(7)

def run(**more):
    start = {"W": np.ones((4, 3)), "u": np.ones(4)}
    rng = np.random.default_rng(0)
    options = {"rule": Sgd(0.9), "learning_rate": 0.1, "batch": 4, "rng": rng, **more}
    return minibatch.train(made(2.0), start, fresh(draw, 7), **options)

if len(sys.argv) == 2:
    run(epochs=2)[0].state.save(sys.argv[1])
else:
    print(run(epochs=4, resume=State.load(sys.argv[1]))[0].epochs)
"""


def test_a_script_goes_on_in_another_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    for seed, further in (("1", []), ("2", ["go on"])):
        command = [sys.executable, str(script), str(tmp_path / "state.npz"), *further]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "4"
