"""The hand-compiled engine: going on from states, recording and measuring change nothing; what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from going_on import assert_goes_on, assert_rows_agree, assert_same, in_another_process, through_a_file
from learnability.networks.residual import NETWORKS, initial
from learnability.training import grid
from learnability.training.record import Outcome
from learnability.training.state import State

EPOCHS = 5
DATA = np.random.default_rng(0)
X, Y = DATA.choice([-1.0, 1.0], (13, 4)), DATA.standard_normal((13, 2))
STARTS = {name: initial(np.random.default_rng(1), name, 4, 2, 19) for name in NETWORKS}
DIVERGES = 1e6


def widths(network, epoch, *, run, updates, weight_decay):
    return {
        "A": float(np.abs(network.A).sum()),
        "run": run,
        "made": updates,
        "decay": weight_decay,
        "type": str(network.A.dtype),
    }


def slower(epoch):
    return 1.0 if epoch <= 2 else 0.1


def train(epochs=EPOCHS, seed=1, *, start=STARTS["3resnet"], **options):
    options = {"learning_rate": [0.02, 0.01, 0.03], "batch": 5, "rng": np.random.default_rng(seed), **options}
    return grid.train(start, X, Y, epochs=epochs, **options)


def states(runs):
    return [through_a_file(run.state) for run in runs]


def for_runs(network, runs, dtype):
    return grid.memory(network, 4, 2, 19, runs=runs, batch=5, dtype=dtype, examples=len(X), watched=len(X), results=3)


@settings(max_examples=25)
@given(
    network=st.sampled_from(NETWORKS),
    dtype=st.sampled_from(["float32", "float64"]),
    rates=st.sampled_from([[0.02, 0.01, 0.03], [DIVERGES, 0.01, 0.02], [0.01, 0.02, DIVERGES]]),
    momentum=st.sampled_from([0.0, 0.9]),
    schedule=st.sampled_from([None, slower]),
    fields=st.sampled_from([None, ("A",), ("W",)]),
    runs=st.integers(1, 3),
    record=st.sets(st.integers(0, EPOCHS), min_size=1),
    at=st.integers(0, EPOCHS),
)
def test_runs_may_stop_anywhere_and_record_anything(
    network, dtype, rates, momentum, schedule, fields, runs, record, at
):
    options = {
        "start": STARTS[network], "dtype": dtype, "learning_rate": rates, "momentum": momentum, "schedule": schedule,
        "trainable": fields, "weight_decay": 0.01, "watch": {"test": (X[:7], Y[:7])},
    }  # fmt: skip
    whole = train(record=range(EPOCHS + 1), measure=widths, **options)
    few = train(record=sorted(record), limit=for_runs(network, runs, dtype), **options)
    part = train(at, record=sorted(epoch for epoch in record if epoch <= at), **options)
    for run, all_of_it in zip(few, whole, strict=True):
        assert_same(run, all_of_it)
        assert_rows_agree(run, all_of_it)
        assert (run.state is None) == (run.outcome is Outcome.DIVERGED)
    rest = train(
        seed=99, record=sorted(record), measure=widths, resume=states(part), limit=for_runs(network, runs, dtype),
        **options,
    )  # fmt: skip
    for run, before, all_of_it in zip(rest, part, whole, strict=True):
        if before.state is None:
            assert (run.outcome, run.epochs, run.updates) == (before.outcome, before.epochs, before.updates)
            assert run.state is None
            assert len(run) == 0
            assert np.isnan(run.params.A).all()
        else:
            assert_goes_on(run, before.state, all_of_it, record)
            assert (run.learning_rate, run.weight_decay) == (all_of_it.learning_rate, all_of_it.weight_decay)
        if run.state is not None:
            assert run.state.generators == all_of_it.state.generators


def test_an_empty_record_keeps_no_rows_and_changes_nothing():
    whole, bare = (train(record=record) for record in (None, []))
    for run, other in zip(bare, whole, strict=True):
        assert_same(run, other)
        assert len(run) == 0
    for at in (0, 2, EPOCHS):
        rest = train(record=[], resume=states(train(at, record=[])))
        assert all(len(run) == 0 for run in rest)
        assert_same(rest[0], whole[0])


def ends_of(rate, record, epochs=60, **options):
    start = STARTS["2layer"]
    (run,) = train(epochs, start=start, learning_rate=rate, record=record, **options)
    return run


def test_when_a_run_ends_does_not_depend_on_what_is_recorded(monkeypatch):
    """Its weights overflow in an epoch whose loss is finite yet: it ends there, recorded or not."""
    real = grid.group.Group._epoch

    def epoch(self, inputs, labels, factor):
        real(self, inputs, labels, factor)
        self.turns = getattr(self, "turns", 0) + 1
        if self.turns == 3:
            self.state["W"][:] = np.inf

    monkeypatch.setattr(grid.group.Group, "_epoch", epoch)
    for record in ([], [3], range(61)):
        run = ends_of(0.01, record)
        assert (run.outcome, run.epochs) == (Outcome.DIVERGED, 3)


def test_large_weights_that_are_finite_are_not_overflow():
    start = STARTS["2layer"]
    huge = start._replace(W=start.W * 1e25, A=start.A * 1e-30)
    (run,) = train(3, start=huge, learning_rate=1e-30, trainable=("W",))
    assert run.outcome is Outcome.BUDGET_REACHED


@pytest.mark.parametrize("rates", [[DIVERGES, 0.01], [0.01, DIVERGES], [0.01, 0.02]])
def test_the_generator_stands_where_it_would_however_runs_are_grouped(rates):
    found = []
    for stops in ((EPOCHS,), (2, EPOCHS)):
        for limit in (grid.MEMORY, for_runs("3resnet", 1, "float32")):
            rng, resume = np.random.default_rng(3), None
            for stop in stops:
                resume = states(train(stop, learning_rate=rates, rng=rng, limit=limit, resume=resume))
            found.append(rng.bit_generator.state)
    assert all(state == found[0] for state in found)


def test_in_another_process(tmp_path):
    code = (
        "import sys, test_resume_grid as here\n"
        "from learnability.training.state import State\n"
        "states = [State.load(path) for path in sys.argv[1:4]]\n"
        "runs = here.train(measure=here.widths, resume=states, watch={'test': (here.X, here.Y)})\n"
        "print([run.rows() for run in runs], [run.params.W.tobytes() for run in runs])\n"
    )
    watch = {"test": (X, Y)}
    files = [run.state.save(tmp_path / str(i)) for i, run in enumerate(train(2, watch=watch))]
    whole = train(measure=widths, watch=watch)
    rows = [[row for row in run.rows() if row["epoch"] > 2] for run in whole]
    assert in_another_process(code, *files).strip() == f"{rows} {[run.params.W.tobytes() for run in whole]}"


def test_measured_is_every_run_once_a_moment_and_keeps_its_copies():
    kept = {}

    def keep(network, epoch, run):
        assert (run, epoch) not in kept
        kept[run, epoch] = network
        network.W[:] = network.A[:] = 0
        return {"V": network.V[0, 0]}

    one_output = initial(np.random.default_rng(1), "3resnet", 4, 1, 16)  # whose A is a row of the engine's own array
    runs, plain = (
        grid.train(
            one_output, X, Y[:, :1], learning_rate=[0.01, 0.02], batch=5, epochs=EPOCHS, record=[0, 3],
            rng=np.random.default_rng(0), measure=measure,
        )
        for measure in (keep, None)
    )  # fmt: skip
    assert set(kept) == {(run, epoch) for run in (0, 1) for epoch in (0, 3, EPOCHS)}
    for one, other in zip(runs, plain, strict=True):
        assert_same(one, other)
    for (run, epoch), network in kept.items():
        assert runs[run].columns["V"][runs[run].columns["epoch"] == epoch] == network.V[0, 0]


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda network, epoch: {"A": network.A}, "plain values by name, got ndarray for 'A'"),
        (lambda network, epoch: {"A": 1 // 0}, "measure raised ZeroDivisionError at epoch 0"),
        (lambda network, epoch, run: {str(run): 1}, "the same names at every moment, got 1 at epoch 0 after 0"),
        (lambda network, epoch: {"norm": 1}, "a column of the engine's, got 'norm'"),
        (lambda network, epoch, step: {}, "must be a function of .network, epoch. and, by name, updates, run, learn"),
    ],
)
def test_measurements_that_are_none(measure, message):
    with pytest.raises(ValueError, match=message):
        train(measure=measure, record=[0])


def test_states_of_other_runs_are_refused(tmp_path):
    kept = [run.state for run in train(3)]
    for resume, message in (
        (kept[:2], r"the states of all 3 runs, in their order \(None for one that diverged\), got 2"),
        (3, "the states of all 3 runs.* got 3"),
        (kept[::-1], "in the order of the runs, got run 2 at 0"),
        ([None] * 3, "every run had diverged"),
        ([*kept[:2], None], "None where a run had diverged, and only there, got None at 2"),
        ([*kept[:2], train(2)[2].state], "the states of one call"),
        ([replace(kept[0], engine="minibatch"), *kept[1:]], "engine 'grid', got one of 'minibatch'"),
        ([replace(kept[0], version="0"), *kept[1:]], "version .* got one of '0'"),
    ):
        with pytest.raises(ValueError, match=message):
            train(resume=resume)
    for change, name in (
        ({"learning_rate": [0.1, 0.3, 0.1]}, "learning_rate"),
        ({"weight_decay": 0.1}, "weight_decay"),
        ({"momentum": 0.8}, "momentum"),
        ({"batch": 4}, "batch"),
        ({"trainable": ("W",)}, "trainable"),
        ({"dtype": "float64"}, "dtype"),
        ({"start": STARTS["3resnet"]._replace(W=2 * STARTS["3resnet"].W)}, "params"),
        ({"schedule": slower}, "schedule"),
    ):
        with pytest.raises(ValueError, match=f"another {name}$"):
            train(**{"resume": kept, **change})
    with pytest.raises(ValueError, match="epochs must be >= 3, the epochs that resume has behind it, got 2"):
        train(2, resume=kept)
    path = kept[0].save(tmp_path / "state")
    path.write_bytes(b"PK" + path.read_bytes()[:200])
    with pytest.raises(ValueError, match="is not a state of a training run"):
        State.load(path)
