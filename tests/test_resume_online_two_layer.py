"""A run of ``online`` or ``two_layer`` is the same however it is recorded, and wherever it is cut and gone on with."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from learnability.networks.one_hidden import random_init
from learnability.networks.separable import TwoLayer
from learnability.networks.symmetry import symmetry_init
from learnability.training import online, two_layer
from learnability.training.reference import sgd
from learnability.training.state import State


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
    assert len(mine) or one.outcome == "diverged"
    assert list(one.columns) == list(other.columns)
    for name in one.columns:
        same(one.columns[name][mine], other.columns[name][its])


def measured(network, epoch, updates):
    weights = network[0].sum()
    return {"weights": float(weights), "at": epoch, "updates_then": updates, "odd": bool(epoch % 2), "name": str(epoch)}


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
    h = draw(st.sampled_from([Fraction(10**9), Fraction(1, 3), Fraction(1, 10), Fraction(1, 1000), Fraction(1, 10**9)]))
    arguments = {
        "h": h, "beta": draw(st.sampled_from([0, 1, 27])) * h, "layers": layers, "form": form,
        "batch": draw(st.sampled_from([1, 1, 2, 5, 20])), "activation": activation,
        "test": draw(st.sampled_from([None, (X[:2], y[:2])])),
    }  # fmt: skip
    seed = draw(st.integers(0, 2**20))
    epochs = draw(st.integers(0, most))

    def run(**further):
        run.told = {"n": n, "m": m, **arguments}
        return online.train(params, X, y, rng=np.random.default_rng(seed), **{"epochs": epochs, **arguments, **further})

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
def small_blocks(monkeypatch):
    """Blocks that fill up within the small problems here."""
    monkeypatch.setattr(two_layer._Engine, "_block", lambda self: (7, 9, 3))


@pytest.fixture
def no_gram(monkeypatch):
    monkeypatch.setattr(two_layer, "_GRAM_BYTES", 0)


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


@pytest.mark.usefixtures("small_blocks")
@settings(max_examples=60)
@given(problem=two_layer_problems(), data=st.data())
def test_nor_with_small_blocks(tmp_path_factory, problem, data):
    check_recording(problem, data)
    check_resume(problem, data, tmp_path_factory.getbasetemp() / "state")


@pytest.mark.usefixtures("small_blocks", "no_gram")
@settings(max_examples=60)
@given(problem=two_layer_problems(), data=st.data())
def test_nor_without_the_gram_matrix_of_all_examples(tmp_path_factory, problem, data):
    check_recording(problem, data)
    check_resume(problem, data, tmp_path_factory.getbasetemp() / "state")
