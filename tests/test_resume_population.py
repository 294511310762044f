"""Runs on the population: going on from a state, recording and measuring change nothing; what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from going_on import assert_goes_on, assert_rows_agree, assert_same, in_another_process, through_a_file
from learnability.networks.parity import initial
from learnability.problems.parity import ParityMixture
from learnability.training import population
from learnability.training.record import Outcome
from learnability.training.state import State

STEPS = 7
PROBLEM = ParityMixture(6, (0, 3, 4), 0.3)
START = initial(np.random.default_rng(0), 6, 3, 4)


def widths(network, step, updates):
    return {"u": float(np.abs(network.u).sum()), "type": str(network.W.dtype), "same": step == updates}


def train(steps=STEPS, seed=1, **options):
    options = {"eta": 0.3, "evaluate": 5, "rng": np.random.default_rng(seed), **options}
    return population.train(START, PROBLEM, steps=steps, **options)


OPTIONS = st.fixed_dictionaries(
    {
        "first": st.sampled_from(["exact", "enumerate", 30]),
        "later": st.sampled_from(["enumerate", 8]),
        "layers": st.sampled_from(["both", "output"]),
        "evaluate": st.sampled_from(["enumerate", 9]),
        "dtype": st.sampled_from([np.float32, np.float64]),
        "eta": st.sampled_from([0.3, 1e200, np.linspace(0.4, 0.1, STEPS - 1)]),
        "lam": st.sampled_from([0.0, 0.02, np.linspace(0.1, 0.0, STEPS - 1)]),
        "comparator": st.sampled_from([None, np.ones(8)]),
        "measure": st.sampled_from([None, widths]),
    }
)
RECORDS = st.sets(st.integers(0, STEPS), min_size=1)


@settings(max_examples=40)
@given(OPTIONS, RECORDS, st.integers(1, STEPS), st.booleans())
def test_a_run_may_stop_anywhere_and_record_anything(options, record, at, sampled):
    if not sampled:
        options = {**options, "rng": None, "first": "exact", "later": "enumerate", "evaluate": "enumerate"}
    whole = train(record=range(STEPS + 1), **options)
    few = train(record=sorted(record), **options)
    assert_same(few, whole)
    assert_rows_agree(few, whole)
    assert (whole.state is None) == (whole.outcome is Outcome.DIVERGED)
    short = {**options, **{name: options[name][: at - 1] for name in ("eta", "lam") if np.ndim(options[name])}}
    part = train(at, record=sorted(step for step in record if step <= at), **short)
    if part.state is not None:
        # the state says where the generator stands, whatever is handed over
        other = {} if options.get("rng", 1) is None else {"rng": np.random.default_rng(99)}
        rest = train(record=sorted(record), resume=through_a_file(part.state), **{**options, **other})
        assert_goes_on(rest, part.state, whole, record)
        for one, two in zip(rest.after_first, whole.after_first, strict=True):
            np.testing.assert_array_equal(one, two)
        if rest.state is not None:
            assert rest.state.generators == whole.state.generators


def test_an_empty_record_keeps_no_rows_and_changes_nothing():
    whole, bare = (train(record=record) for record in (None, ()))
    assert_same(bare, whole)
    assert len(bare) == 0
    assert len(train(record=(), resume=train(2, record=()).state)) == 0


def test_what_is_recorded_has_the_common_names():
    row = train(evaluate="enumerate").rows()[-1]
    assert row["test_error"] == pytest.approx(0.7 * row["test_error_1"] + 0.3 * row["test_error_2"])
    assert row["test_loss"] == pytest.approx(0.7 * row["test_loss_1"] + 0.3 * row["test_loss_2"])


def test_a_run_that_rests_stays_at_rest_until_it_is_moved():
    problem = ParityMixture(1, (0,))
    start = initial(np.random.default_rng(0), 1, 1, 6)
    lams = np.zeros(999)
    lams[500:] = 1e-3

    def run(steps, lam, **options):
        return population.train(start, problem, steps=steps, eta=0.5, lam=lam, **options)

    at_rest = run(100, 0.0, record=[100])
    assert at_rest.outcome is Outcome.CONVERGED
    assert at_rest.columns["step"].tolist() == [at_rest.epochs]
    assert_rows_agree(at_rest, run(100, 0.0, record=range(101)))
    still = run(1000, 0.0, resume=at_rest.state)
    assert_goes_on(still, at_rest.state, run(1000, 0.0), [])
    moved, whole = (run(1000, lams, record=[600], **more) for more in ({"resume": at_rest.state}, {}))
    assert_goes_on(moved, at_rest.state, whole, [600])
    assert moved.outcome is Outcome.BUDGET_REACHED


def test_in_another_process(tmp_path):
    code = (
        "import sys, test_resume_population as here\n"
        "from learnability.training.state import State\n"
        "run = here.train(later=8, measure=here.widths, resume=State.load(sys.argv[1]))\n"
        "run.state.save(sys.argv[2])\n"
        "print(run.rows())\n"
    )
    part = train(3, later=8)
    printed = in_another_process(code, part.state.save(tmp_path / "a"), tmp_path / "b.npz")
    whole, state = train(later=8, measure=widths), State.load(tmp_path / "b.npz")
    assert (state.engine, state.epoch, state.outcome) == ("population", STEPS, Outcome.BUDGET_REACHED)
    assert state.problem == whole.state.problem
    assert state.generators == whole.state.generators
    for name, array in whole.state.arrays.items():
        np.testing.assert_array_equal(state.arrays[name], array)
    assert printed.strip() == repr([row for row in whole.rows() if row["step"] > 3])


def test_the_record_may_change_where_it_goes_on():
    part = train(3, evaluate="enumerate", rng=None)
    rest = train(evaluate=9, measure=widths, resume=part.state)
    assert_same(rest, train(evaluate=9))
    assert len(set(rest.columns["u"])) == len(rest)


def test_a_measurement_keeps_its_copies_and_is_asked_once_a_moment():
    kept = {}

    def keep(network, step):
        assert step not in kept
        kept[step] = network
        network.W[:] = 0
        return {"step squared": step**2}

    run = train(record=[0, 1, 4], measure=keep)
    assert list(kept) == run.columns["step"].tolist() == [0, 1, 4, STEPS]
    assert run.columns["step squared"].tolist() == [0, 1, 16, STEPS**2]
    assert_same(run, train())
    kept.clear()
    train(record=[4], measure=keep)
    assert list(kept) == [0, 4, STEPS]  # it is tried at the start in any case
    assert not np.shares_memory(run.params.W, run.state.arrays["W"])


WRONG = [
    (lambda network, step: {"u": network.u}, "plain values by name, got ndarray for 'u'"),
    (
        lambda network, step: {"u": 1 / (step - 4)} if step else {"u": 1 / 0},
        "measure raised ZeroDivisionError at epoch 0",
    ),
    (lambda network, step: {"a" if step else "b": 1}, "the same names at every moment, got a at epoch"),
    (lambda network, step: {"test_loss": 1}, "a column of the engine's, got 'test_loss'"),
    (lambda network, step: 3, "a mapping of names to values, got int"),
    (lambda network: {}, "measure must be a function of"),
    (3, "measure must be a function of"),
]


@pytest.mark.parametrize(("measure", "message"), WRONG)
def test_measurements_that_are_none(measure, message):
    with pytest.raises(ValueError, match=message):
        train(measure=measure)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resume": 3}, "resume must be the state of a run, got 3"),
        ({"steps": 2}, "steps must be >= 3, the steps that resume has behind it, got 2"),
        ({"eta": 0.2}, "another eta$"),
        ({"eta": [0.3, 0.2, 0.3, 0.3, 0.3, 0.3]}, "another eta$"),
        ({"lam": 0.2, "layers": "output"}, "another lam and layers$"),
        ({"later": 9}, "another later$"),
        ({"dtype": np.float32}, "another dtype$"),
        ({"comparator": np.ones(8)}, "another comparator$"),
        ({"rng": np.random.Generator(np.random.MT19937(0))}, "rng must be of the kind that resume was drawn with"),
    ],
)
def test_states_of_other_runs_are_refused(change, message):
    state = train(3, later=8).state
    with pytest.raises(ValueError, match=message):
        train(**{"later": 8, "resume": state, **change})
    train(later=8, resume=state, eta=[0.3, 0.3, 0.1, 0.1, 0.1, 0.1])  # what is not used up yet may be another


def test_states_of_other_engines_versions_and_problems_are_refused(tmp_path):
    state = train(3).state
    for changed, message in (
        (replace(state, engine="grid"), "engine 'population', got one of 'grid'"),
        (replace(state, version="0"), "version .* got one of '0'"),
        (replace(state, form="x"), "form '', got one of 'x'"),
    ):
        with pytest.raises(ValueError, match=message):
            train(resume=changed)
    for start, problem in ((START._replace(b=START.b / 2), PROBLEM), (START, ParityMixture(6, (0, 3, 5), 0.3))):
        with pytest.raises(ValueError, match=r"another (params|problem)"):
            population.train(
                start, problem, steps=4, eta=0.3, resume=state, rng=np.random.default_rng(1), first="enumerate"
            )
    path = state.save(tmp_path / "state")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is not a state of a training run"):
        State.load(path)
