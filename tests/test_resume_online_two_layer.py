"""A run of ``online`` or ``two_layer`` is the same however it is recorded, and wherever it is cut."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from learnability.networks.one_hidden import random_init
from learnability.networks.separable import TwoLayer
from learnability.networks.symmetry import symmetry_init
from learnability.training import online, two_layer
from learnability.training.online import frozen as kernels
from learnability.training.reference import sgd
from learnability.training.state import State
from learnability.training.two_layer.engine import Engine
from training_oracle import network, sample


def same(one, other):
    """Bit for bit, whatever it is made of."""
    if isinstance(one, np.ndarray | np.generic):
        assert np.asarray(one).dtype.kind == np.asarray(other).dtype.kind
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for name in one:
            same(one[name], other[name])
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for mine, its in zip(one, other, strict=True):
            same(mine, its)
    elif hasattr(one, "__dataclass_fields__"):
        for field in fields(one):
            same(getattr(one, field.name), getattr(other, field.name))
    else:
        assert one == other or (one != one and other != other)


def same_run(one, other):
    """But for the recorded moments, which are compared where both have them."""
    for field in fields(one):
        if field.name != "columns":
            same(getattr(one, field.name), getattr(other, field.name))
    _, mine, its = np.intersect1d(one.columns["epoch"], other.columns["epoch"], return_indices=True)
    assert len(mine) or one.outcome == "diverged" or not len(other)
    assert list(one.columns) == list(other.columns)
    for name in one.columns:
        same(one.columns[name][mine], other.columns[name][its])


def measured(now, epoch, updates):
    weights = now[0].sum()
    return {
        "weights": float(weights),
        "at": epoch,
        "updates_then": updates,
        "odd": bool(epoch % 2),
        "name": str(epoch),
    }


# Problems ------------------------------------------------------------------------------------------------------

ONLINE = [  # form, layers, start, entries
    ("frozen", "output", "symmetry", "binary"),
    ("frozen", "output", "random", "real"),
    ("deviation", "both", "symmetry", "binary"),
    ("deviation", "both", "symmetry", "real"),
    ("deviation", "both", "zero", "real"),
    ("direct", "both", "random", "binary"),
    ("direct", "output", "random", "real"),
    ("cached", "both", "random", "real"),
    ("auto", "both", "random", "binary"),
    ("auto", "both", "symmetry", "binary"),
]


@st.composite
def online_problems(draw, cases=ONLINE, most=120):
    form, layers, start, entries = draw(st.sampled_from(cases))
    n, m = draw(st.integers(1, 6)), draw(st.integers(1, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    X = rng.integers(0, 2, (m, n)) * 1.0 if entries == "binary" else rng.integers(-9, 10, (m, n)) / 10
    y = rng.choice([-1.0, 1.0], m)
    activation = draw(st.sampled_from(["relu", "sigmoid"])) if start == "random" else "relu"
    if start == "symmetry":
        params = symmetry_init(n, draw(st.sampled_from(["integer", "half_integer", "quarter"])))
    else:
        params = random_init(rng, n, draw(st.integers(1, 20)), "normal")
        if start == "zero":
            params = params._replace(M=0 * params.M, b=0.0)
    h = draw(st.sampled_from([Fraction(10**9), *(Fraction(1, d) for d in (3, 10, 1000, 10**9))]))
    arguments = {
        "h": h, "beta": draw(st.sampled_from([0, 1, 27])) * h, "layers": layers, "form": form,
        "batch": draw(st.sampled_from([1, 1, 2, 5, 20])), "activation": activation,
        "test": draw(st.sampled_from([None, (X[:2], y[:2])])),
    }  # fmt: skip
    seed = draw(st.integers(0, 2**20))
    epochs = draw(st.integers(0, most))

    def run(**further):
        run.told = {"n": n, "m": m, **arguments}
        return online.train(
            params, X, y, rng=np.random.default_rng(seed), **{"epochs": epochs, **arguments, **further}
        )

    return epochs, run


@st.composite
def two_layer_problems(draw, most=140):
    units, d, m = 2 * draw(st.integers(1, 20)), draw(st.integers(1, 12)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    X, y = rng.standard_normal((m, d)), rng.choice([-1.0, 1.0], m)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    if draw(st.booleans()):  # separable, so that it may converge
        y = np.where(X @ rng.standard_normal(d) > 0, 1.0, -1.0)
    W = rng.standard_normal((units, d)) * 0.3
    if draw(st.integers(0, 4)) == 0:
        W[0] = 0
    params = TwoLayer(W, np.repeat([0.5, -0.5], units // 2))
    arguments = {
        "eta": draw(st.sampled_from([0.01, 0.3, 3.0, 1e9])), "alpha": draw(st.sampled_from([0.0, 0.1, 0.7])),
        "layers": draw(st.sampled_from(["first", "both"])), "form": draw(st.sampled_from(two_layer.FORMS)),
        "order": draw(st.sampled_from(["shuffle", "iid", "cyclic"])),
        "dtype": draw(st.sampled_from(["float64", "float32"])),
        "test": draw(st.sampled_from([None, (X[:2], y[:2])])),
    }  # fmt: skip
    seed = draw(st.integers(0, 2**20))
    epochs = draw(st.integers(0, most))

    def run(**further):
        run.told = arguments
        rng = np.random.default_rng(seed)
        return two_layer.train(params, X, y, rng=rng, **{"epochs": epochs, **arguments, **further})

    return epochs, run


PROBLEMS = st.one_of(online_problems(), two_layer_problems())


@pytest.fixture
def all_on(monkeypatch):
    """Windows that end within the small problems here, and bounds whose reference moves often."""
    monkeypatch.setattr(Engine, "_window", lambda self, sparse: 5)
    monkeypatch.setattr(Engine, "_bounds", lambda self, was_tracked: (True, True))
    monkeypatch.setattr(Engine, "_waiting", 7)


# Properties ----------------------------------------------------------------------------------------------------


def check_recording(problem, data):
    epochs, run = problem
    wanted = data.draw(st.lists(st.integers(0, epochs), max_size=6))
    whole = run(record=range(epochs + 1), measure=measured)
    note(f"{epochs} epochs, {run.told}: {whole}")
    part = run(record=wanted, measure=measured)
    same_run(whole, part)
    bare = run(record=[])
    assert not set(bare.columns) & {"weights", "at"}
    same(bare.state, whole.state)
    columns = part.columns
    np.testing.assert_array_equal(columns["at"], columns["epoch"])
    np.testing.assert_array_equal(columns["updates_then"], columns["updates"])
    assert columns["odd"].dtype == bool


def check_resume(problem, data, path):
    epochs, run = problem
    cuts = sorted(data.draw(st.lists(st.integers(0, epochs), min_size=1, max_size=3)))
    whole = run(record=range(epochs + 1), measure=measured)
    state = None
    for cut in [*cuts, epochs]:
        part = run(epochs=cut, record=data.draw(st.lists(st.integers(0, cut), max_size=3)), resume=state)
        if part.outcome == "diverged":
            assert part.state is None
            break
        state = State.load(part.state.save(path))
        same(state, part.state)
        part = run(record=range(epochs + 1), measure=measured, resume=state)
        same_run(whole, part)
    if whole.outcome == "diverged":
        assert (whole.epochs, whole.updates, whole.outcome) == (part.epochs, part.updates, part.outcome)
    else:
        same_run(whole, run(record=range(epochs + 1), measure=measured, resume=whole.state))


@settings(max_examples=150)
@given(problem=PROBLEMS, data=st.data())
def test_recording_changes_nothing(problem, data):
    check_recording(problem, data)


@settings(max_examples=100)
@given(problem=PROBLEMS, data=st.data())
def test_a_run_that_is_cut_and_gone_on_with_is_the_whole_run(tmp_path_factory, problem, data):
    check_resume(problem, data, tmp_path_factory.getbasetemp() / "state")


@pytest.mark.usefixtures("all_on")
@settings(max_examples=80)
@given(problem=two_layer_problems(), data=st.data())
def test_nor_with_windows_and_bounds(tmp_path_factory, problem, data):
    check_recording(problem, data)
    check_resume(problem, data, tmp_path_factory.getbasetemp() / "state")


@pytest.mark.parametrize("form", ["deviation", "direct", "cached", "auto"])
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_online_of_the_size_that_is_used(form, activation):
    rng = np.random.default_rng(3)
    n, m = 12, 60
    X, y = rng.integers(0, 2, (m, n)) * 1.0, rng.choice([-1.0, 1.0], m)
    params = random_init(rng, n, 50, "normal")
    if form == "deviation":
        params, activation = symmetry_init(n), "relu"

    def run(epochs=150, **further):
        arguments = {"h": Fraction(1, n**3), "beta": 1, "rng": np.random.default_rng(5), "form": form}
        return online.train(params, X, y, epochs=epochs, activation=activation, **arguments, **further)

    whole = run(record=range(151))
    same_run(whole, run(record=[0, 7, 64, 65]))
    for cut in (1, 33, 64, 101):
        same_run(whole, run(record=range(151), resume=run(epochs=cut, record=[3 % cut]).state))


@pytest.mark.parametrize("form", ["sparse", "dense", "auto"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("layers", ["first", "both"])
def test_two_layer_of_the_size_that_is_used(form, dtype, layers):
    rng = np.random.default_rng(4)
    d, m, units = 40, 300, 200
    X, y = rng.standard_normal((m, d)) / np.sqrt(d), rng.choice([-1.0, 1.0], m)
    params = TwoLayer(rng.standard_normal((units, d)) * 0.1, np.repeat([0.1, -0.1], units // 2))

    def run(epochs=100, **further):
        arguments = {"eta": 0.1, "alpha": 0.1, "rng": np.random.default_rng(5), "form": form}
        return two_layer.train(params, X, y, epochs=epochs, layers=layers, dtype=dtype, **arguments, **further)

    whole = run(record=range(101))
    assert whole.epochs > 20
    same_run(whole, run(record=[0, 7, 64, 65]))
    for cut in (1, 3, 19, 33, 64, 70):
        same_run(whole, run(record=range(101), resume=run(epochs=cut, record=[3 % cut]).state))


_ELSEWHERE = """
import sys
import numpy as np
from fractions import Fraction
from learnability.networks.symmetry import symmetry_init
from learnability.networks.separable import initial
from learnability.training import online, two_layer
from learnability.training.state import State
from learnability.training.two_layer.engine import Engine

n, rng = 6, np.random.default_rng(1)
X = rng.integers(0, 2, (20, n)) * 1.0
y = np.where(X.sum(axis=1) % 2 == 0, 1.0, -1.0)
runs = {
    "online": lambda **more: online.train(
        symmetry_init(n), X, y, h=Fraction(1, n**6), beta=Fraction(1, n**3), rng=np.random.default_rng(2), **more
    ),
    "two_layer": lambda **more: two_layer.train(
        initial(np.random.default_rng(3), n, 50), X, y, eta=0.01, alpha=0.1, rng=np.random.default_rng(2), **more
    ),
}
folder, what = sys.argv[1:]
for name, run in runs.items():
    if what == "begin":
        run(epochs=4).state.save(f"{folder}/{name}")
    elif what == "go on":
        run(epochs=10, resume=State.load(f"{folder}/{name}.npz")).state.save(f"{folder}/{name} in two")
    else:
        run(epochs=10).state.save(f"{folder}/{name} at once")
"""


def test_in_another_process(tmp_path):
    for what in ("begin", "go on", "at once"):
        subprocess.run([sys.executable, "-c", _ELSEWHERE, str(tmp_path), what], check=True)
    for name in ("online", "two_layer"):
        same(*(State.load(tmp_path / f"{name} {how}.npz") for how in ("in two", "at once")))


def test_a_moment_to_record_is_the_state_s_own_where_none_is_left():
    X, y = np.array([[0.0, 1.0], [1.0, 1.0]]), [1, -1]

    def run(**further):
        rng = np.random.default_rng(0)
        return online.train(symmetry_init(2), X, y, h=Fraction(1, 8), beta=0, rng=rng, **further)

    done = run(epochs=50)
    assert done.outcome == "converged"
    more = run(epochs=90, resume=done.state, record=[0, 80])
    assert more.columns["epoch"].tolist() == [done.epochs]
    assert (more.epochs, more.updates, more.outcome) == (done.epochs, done.updates, done.outcome)
    half = run(epochs=1, record=[0])
    assert run(epochs=1, resume=half.state).columns["epoch"].tolist() == [1]
    assert run(epochs=3, resume=half.state, record=range(4)).columns["epoch"].tolist() == [2, 3]


@pytest.mark.parametrize("start", [1.0, 1e155, 1e-3])
@pytest.mark.parametrize("form", ["direct", "cached"])
def test_divergence_does_not_hang_on_what_is_recorded(form, start):
    rng = np.random.default_rng(7)
    X, y = rng.standard_normal((9, 4)), rng.choice([-1.0, 1.0], 9)
    X[1], y[:2] = X[0], (1, -1)  # what it never gets right
    params = random_init(rng, 4, 5, "normal")
    params = params._replace(M=params.M * start)

    def run(epochs=40, **further):
        arguments = {"h": 1e60, "beta": 1, "rng": np.random.default_rng(1), "form": form}
        return online.train(params, X, y, epochs=epochs, **arguments, **further)

    whole = run(record=range(41))
    assert whole.outcome == "diverged"
    assert whole.state is None
    assert all(np.isfinite(whole.columns[name]).all() for name in ("train_loss", "norm", "movement"))
    for record in ([], [1], [0, 2], [5, 11, 30]):
        same_run(whole, run(record=record))
    for epochs in range(whole.epochs + 3):
        short = run(epochs=epochs, record=[])
        assert (short.outcome == "diverged") == (epochs > whole.epochs or whole.epochs == 0)


# Decisions off the lattice -------------------------------------------------------------------------------------


def decisions(params, X, y, *, seed, epochs, h, beta, batch):
    """Updates up to each epoch by the engine (and how many were unresolved), and in exact arithmetic."""
    run = online.train(
        params, X, y, h=h, beta=beta, rng=np.random.default_rng(seed), epochs=epochs, batch=batch,
        record=range(epochs + 1), form="deviation",
    )  # fmt: skip
    exact = sgd(
        network(Fraction, params), *sample(X, y), h=h, beta=beta, rng=np.random.default_rng(seed), epochs=epochs,
        batch=batch,
    )  # fmt: skip
    return run, np.cumsum([0, *(epoch.updated.sum() for epoch in exact)])


def test_the_run_that_recording_changed():
    X = np.array([[0.3, 0.2, 0.6], [0.3, 0.2, 0.6], [0.8, 0.6, 0.7], [0.7, 0.5, 0.9]])
    problem = {"seed": 2143, "epochs": 6, "h": Fraction(1, 1000), "beta": 0, "batch": 3}
    run, exact = decisions(symmetry_init(3), X, [-1, 1, 1, -1], **problem)
    assert run.updates == exact[-1] == 17


@settings(max_examples=300)
@given(data=st.data())
def test_what_is_not_counted_as_unresolved_is_decided_as_in_exact_arithmetic(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**30)))
    n, m = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 6))
    X = rng.integers(0, 10, (m, n)) / 10 if data.draw(st.booleans()) else rng.integers(-6, 7, (m, n)) / 3
    if data.draw(st.booleans()):
        X[1] = X[0]
    if data.draw(st.booleans()):
        params = symmetry_init(n)
    else:
        params = random_init(rng, n, data.draw(st.integers(1, 8)), "normal")
        params = params._replace(W=params.W.round(1), B=params.B.round(1), M=0 * params.M, b=0.0)
    h = Fraction(1, data.draw(st.sampled_from([3, 10, 1000, 10**6, 10**9])))
    run, exact = decisions(
        params, X, rng.choice([-1.0, 1.0], m), seed=data.draw(st.integers(0, 2**30)), epochs=6, h=h,
        beta=data.draw(st.sampled_from([0, 0, 1, 8])) * h, batch=data.draw(st.integers(1, 3)),
    )  # fmt: skip
    if run.unresolved == 0:
        assert run.columns["updates"].tolist() == exact.tolist()


def test_a_movement_that_cancels_to_rounding_is_told():
    X = np.array([[8, 6, 3, 6], [8, 6, 3, 6], [0, 6, 7, 3], [9, 4, 1, 9], [9, 8, 4, 4]]) / 10
    run, exact = decisions(
        symmetry_init(4), X, [-1, 1, -1, 1, -1], seed=3874, epochs=6, h=Fraction(1, 3), beta=0, batch=1
    )
    assert run.unresolved > 0 or run.updates == exact[-1]


def test_a_threshold_that_no_float_holds_is_not_met_by_its_neighbour():
    h = Fraction(0.001)
    beta = 27 * h * (1 + Fraction(1, 10**20))  # beta / h rounds to 27
    X, y = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([1.0, 1.0, -1.0])
    resolved = 0
    for seed in range(20):
        run, exact = decisions(symmetry_init(2), X, y, seed=seed, epochs=30, h=h, beta=beta, batch=1)
        if run.unresolved == 0:
            resolved += 1
            assert run.columns["updates"].tolist() == exact.tolist()
    assert resolved >= 5


# The last layer alone: every decision is that of exact arithmetic ------------------------------------------------


def last_layer(params, X, y, *, seed, epochs, **options):
    """The run, and updates up to each epoch in exact arithmetic."""
    options |= {"layers": "output", "epochs": epochs}
    rng = np.random.default_rng(seed)
    run = online.train(params, X, y, rng=rng, record=range(epochs + 1), form="frozen", **options)
    exact = sgd(network(Fraction, params), *sample(X, y), rng=np.random.default_rng(seed), **options)
    return run, np.cumsum([0, *(epoch.updated.sum() for epoch in exact)]).tolist()


def test_a_tie_off_the_lattice_is_no_rounding():
    X, y = [[0.6, 0.6], [0.6, 0.6], [0.7, 0.4], [0.7, 0.3]], [-1, -1, -1, 1]
    run, exact = last_layer(symmetry_init(2), X, y, seed=836191, h=Fraction(1, 7), beta=0, epochs=5)
    assert run.columns["updates"].tolist() == exact
    assert (run.updates, run.outcome, run.unresolved) == (2, "converged", 0)


@settings(max_examples=300)
@given(data=st.data())
def test_the_last_layer_decides_as_exact_arithmetic(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**30)))
    n, m = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 6))
    X = rng.integers(0, 10, (m, n)) / 10 if data.draw(st.booleans()) else rng.integers(-6, 7, (m, n)) / 3
    if data.draw(st.booleans()):
        X[1] = X[0]
    start = data.draw(st.sampled_from(["symmetry", "zero", "random"]))
    params = symmetry_init(n)
    if start != "symmetry":
        params = random_init(rng, n, data.draw(st.integers(1, 8)), "normal")
        size = 0 if start == "zero" else 1
        params = params._replace(W=params.W.round(1), M=size * params.M.round(1), b=size * 0.3)
    h = Fraction(1, data.draw(st.sampled_from([1, 3, 7, 1000, 10**9])))
    beta = data.draw(st.sampled_from([0, 0, 1, 8, Fraction(1, 3)])) * h
    y, seed, batch = rng.choice([-1.0, 1.0], m), data.draw(st.integers(0, 2**30)), data.draw(st.integers(1, 4))
    run, exact = last_layer(params, X, y, seed=seed, epochs=6, h=h, beta=beta, batch=batch)
    assert run.unresolved == 0
    assert run.columns["updates"].tolist() == exact


@pytest.mark.parametrize("above", [-1, 0, 1])
@pytest.mark.parametrize("X", [[[0.0, 1.0], [1.0, 1.0]], [[0.3, 0.1], [0.7, 0.9]]])
def test_the_last_layer_sees_a_threshold_that_no_float_holds(X, above):
    """beta / h is an output of the first epoch, or next to it by less than a float's spacing."""
    one = network(Fraction, symmetry_init(2))
    v = [max(z, 0) for z in one.W @ sample(X, [1, 1])[0][0] + one.B]
    h = Fraction(1, 3)
    beta = h * (sum(entry * entry for entry in v) + 1) * (1 + Fraction(above, 10**20))
    run, exact = last_layer(symmetry_init(2), X[:1], [1], seed=0, epochs=5, h=h, beta=beta)
    assert run.columns["updates"].tolist() == exact
    assert run.updates == (1 if above < 0 else 2)


def test_a_decision_in_the_middle_of_a_run_is_asked_for(monkeypatch):
    """With a bound that doubts everything all decisions are exact, and the run stays the same, cut or whole."""
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((12, 3)), rng.choice([-1.0, 1.0], 12)

    def run(epochs=9, **further):
        options = {"h": Fraction(1, 3), "beta": 1, "rng": np.random.default_rng(1), "batch": 5, "layers": "output"}
        return online.train(
            random_init(np.random.default_rng(5), 3, 4, "normal"), X, y, epochs=epochs, **options, **further
        )

    plain = run()
    frozen = kernels.last_layer

    def doubtful(*arguments):
        arguments[0].book[kernels.OFF] = 1e9
        return frozen(*arguments)

    monkeypatch.setattr(kernels, "last_layer", doubtful)
    whole = run()
    assert whole.updates == plain.updates > 20
    same(whole.params, plain.params)
    same_run(run(resume=run(4).state), whole)


# Bad input -----------------------------------------------------------------------------------------------------


class Problem:
    X, y = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]), [1, -1, 1]

    @classmethod
    def online(cls, **changed):
        arguments = {
            "params": symmetry_init(2), "X": cls.X, "y": cls.y, "h": Fraction(1, 64), "beta": 0, "epochs": 4,
            "rng": np.random.default_rng(0), **changed,
        }  # fmt: skip
        return online.train(**arguments)

    @classmethod
    def two_layer(cls, **changed):
        arguments = {
            "params": TwoLayer(np.ones((2, 2)), np.array([1.0, -1.0])), "X": cls.X, "y": cls.y, "eta": 0.01,
            "alpha": 0.1, "epochs": 4, "rng": np.random.default_rng(0), **changed,
        }  # fmt: skip
        return two_layer.train(**arguments)


BOTH = pytest.mark.parametrize("run", [Problem.online, Problem.two_layer], ids=["online", "two_layer"])


@BOTH
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"X": Problem.X + 1}, "another X$"),
        ({"X": Problem.X + 1, "y": [1, 1, 1]}, "another X and y$"),
        ({"epochs": 1}, "^epochs must be >= 2"),
        ({"rng": np.random.Generator(np.random.MT19937(1))}, "^rng must be of the kind .* PCG64, got MT19937"),
        ({"resume": "state.npz"}, "^resume must be a State, got str"),
    ],
)
def test_a_state_of_something_else_is_refused(run, changed, message):
    state = run(epochs=2).state
    with pytest.raises(ValueError, match=message):
        run(**{"resume": state, **changed})


@BOTH
def test_a_state_of_another_form_is_refused(run):
    form = "direct" if run == Problem.online else "dense"
    with pytest.raises(ValueError, match=f"form '{form}', got one of 'auto'"):
        run(resume=run(epochs=2, layers="both").state, layers="both", form=form)


@pytest.mark.parametrize(
    ("name", "value"),
    [("h", Fraction(1, 65)), ("beta", 1), ("batch", 2), ("layers", "output"), ("activation", "sigmoid")],
)
def test_online_refuses_a_state_of_other_options(name, value):
    with pytest.raises(ValueError, match=f"^resume must be a state of the same problem, got one with another {name}"):
        Problem.online(resume=Problem.online(epochs=2).state, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("eta", 0.02), ("alpha", 0.2), ("layers", "both"), ("order", "cyclic"), ("dtype", "float32")],
)
def test_two_layer_refuses_a_state_of_other_options(name, value):
    with pytest.raises(ValueError, match=f"^resume must be a state of the same problem, got one with another {name}"):
        Problem.two_layer(resume=Problem.two_layer(epochs=2).state, **{name: value})


def test_a_state_of_another_engine_or_version_is_refused():
    state = Problem.online(epochs=2).state
    with pytest.raises(ValueError, match=r"^resume must be a state of engine 'two_layer', got one of 'online'"):
        Problem.two_layer(resume=state)
    with pytest.raises(ValueError, match=r"^resume must be a state of version"):
        Problem.online(resume=replace(state, version="0.0"))


@BOTH
def test_a_damaged_file_is_refused(run, tmp_path):
    path = run(epochs=2).state.save(tmp_path / "state")
    whole = path.read_bytes()
    for damaged in (b"", b"no zip", whole[: len(whole) // 2], whole[:200] + b"\0" * 50 + whole[250:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is not a state of a training run"):
            State.load(path)


@BOTH
@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda network: {}, "^measure must be a function of .network, epoch. and, by name, updates"),
        (lambda network, epoch, weights: {}, "^measure must be a function"),
        (lambda network, epoch: {"W": network[0]}, "^measure must return plain values by name, got ndarray for 'W'"),
        (lambda network, epoch: [1.0], "^measure must return a mapping"),
        (lambda network, epoch: {"epoch": 1}, "^measure must not return a column of the engine's, got 'epoch'"),
        (lambda network, epoch: 1 / 0, "^measure raised ZeroDivisionError at epoch 0"),
    ],
)
def test_a_measurement_that_is_none_is_refused_before_any_work(run, measure, message):
    rng = np.random.default_rng(5)
    before = rng.bit_generator.state
    with pytest.raises(ValueError, match=message):
        run(measure=measure, rng=rng)
    assert rng.bit_generator.state == before


@BOTH
def test_a_measurement_that_changes_its_mind_is_refused(run):
    with pytest.raises(ValueError, match=r"^measure must return the same names at every moment, got late at epoch 2"):
        run(measure=lambda network, epoch: {"late" if epoch > 1 else "early": 1}, record=[0, 2])
    with pytest.raises(ValueError, match=r"^measure raised KeyError at epoch 2"):
        run(measure=lambda network, epoch: {"a": {0: 1}[epoch]}, record=[0, 2])


@BOTH
def test_a_measurement_gets_copies(run):
    kept = []

    def spoil(network, epoch):
        for part in network:
            if isinstance(part, np.ndarray):
                part += 1.0
        kept.append((epoch, network))
        return {"zero": 0}

    same_run(run(record=range(5), measure=spoil), run(record=range(5), measure=lambda network, epoch: {"zero": 0}))
    assert [epoch for epoch, _ in kept] == list(range(len(kept)))
    assert len({id(network[0]) for _, network in kept}) == len(kept) > 3


def test_online_offers_the_deviation():
    def measure(network, epoch, *, deviation, updates):
        return {
            "kept": deviation is not None,
            "count": 0.0 if deviation is None else deviation.count,
            "made": updates,
        }

    apart = Problem.online(measure=measure, record=range(5))
    assert apart.columns["kept"].all()
    assert apart.columns["count"][-1] == apart.deviation.count
    assert not Problem.online(measure=measure, form="direct").columns["kept"].any()
    np.testing.assert_array_equal(apart.columns["made"], apart.columns["updates"])
