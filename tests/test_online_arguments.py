"""Bad input to the online engine: a ValueError that names the parameter, before any work starts."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from learnability.networks.one_hidden import random_init
from learnability.networks.symmetry import symmetry_init
from learnability.training.online import train

START = symmetry_init(3, "integer")  # 6 neurons
X = np.array([[0.0, 1, 1], [1, 0, 0], [1, 1, 1], [0, 0, 0]])
Y = np.array([1.0, -1, 1, -1])
GOOD = {"params": START, "X": X, "y": Y, "h": 0.1, "beta": 0.2, "epochs": 3}


def call(**change):
    arguments = {**GOOD, "rng": np.random.default_rng(0), **change}
    return train(arguments.pop("params"), arguments.pop("X"), arguments.pop("y"), **arguments)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"params": None}, "params"),
        ({"params": tuple(START)}, "params"),
        ({"params": START._replace(W=np.ones(3))}, r"params\.W"),
        ({"params": START._replace(W=np.full((6, 3), np.nan))}, r"params\.W"),
        ({"params": START._replace(B=np.ones(5))}, r"params\.B"),
        ({"params": START._replace(B=np.full(6, np.inf))}, r"params\.B"),
        ({"params": START._replace(M=np.ones((6, 1)))}, r"params\.M"),
        ({"params": START._replace(M=np.ones(7))}, r"params\.M"),
        ({"params": START._replace(b=float("nan"))}, r"params\.b"),
        ({"params": START._replace(b="0")}, r"params\.b"),
        ({"X": X[:, :2]}, "X"),
        ({"X": X[0]}, "X"),
        ({"X": X[:0]}, "X"),
        ({"X": np.full((4, 3), np.nan)}, "X"),
        ({"X": [["a"] * 3] * 4}, "X"),
        ({"X": [[0, 1, 1], [1, 0]]}, "X"),
        ({"y": Y[:3]}, "y"),
        ({"y": [0, 1, 0, 1]}, "y"),
        ({"y": [1, 1, 1, np.nan]}, "y"),
        ({"y": Y[:, None]}, "y"),
        ({"h": 0}, "h"),
        ({"h": -0.1}, "h"),
        ({"h": float("nan")}, "h"),
        ({"h": float("inf")}, "h"),
        ({"h": None}, "h"),
        ({"h": "0.1"}, "h"),
        ({"h": True}, "h"),
        ({"h": 1j}, "h"),
        ({"h": Fraction(0)}, "h"),
        ({"h": Fraction(1, 10**400)}, "h"),
        ({"h": 1e-200}, "h"),
        ({"h": 1e200}, "h"),
        ({"h": 1e-100, "beta": 1e250}, "beta"),
        ({"beta": -1e-9}, "beta"),
        ({"beta": float("nan")}, "beta"),
        ({"beta": float("inf")}, "beta"),
        ({"beta": [0.1]}, "beta"),
        ({"rng": None}, "rng"),
        ({"rng": 3}, "rng"),
        ({"rng": np.random.RandomState(0)}, "rng"),
        ({"epochs": -1}, "epochs"),
        ({"epochs": 1.5}, "epochs"),
        ({"epochs": None}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"layers": "hidden"}, "layers"),
        ({"layers": None}, "layers"),
        ({"batch": 0}, "batch"),
        ({"batch": -2}, "batch"),
        ({"batch": 2.0}, "batch"),
        ({"activation": "tanh"}, "activation"),
        ({"activation": None}, "activation"),
        ({"test": (X[:, :2], Y)}, "test"),
        ({"test": (X, Y[:3])}, "test"),
        ({"test": (X, 0 * Y)}, "test"),
        ({"test": (np.full_like(X, np.nan), Y)}, "test"),
        ({"test": (X,)}, "test"),
        ({"test": 5}, "test"),
        ({"test": (X, Y, Y)}, "test"),
        ({"record": [-1]}, "record"),
        ({"record": [0, 4]}, "record"),
        ({"record": [1.5]}, "record"),
        ({"record": [True]}, "record"),
        ({"record": ["a"]}, "record"),
        ({"record": 2}, "record"),
        ({"form": "fast"}, "form"),
        ({"form": None}, "form"),
        ({"form": "frozen"}, "form"),
        ({"form": "deviation", "params": random_init(np.random.default_rng(0), 3, 6, "he")}, "form"),
        ({"form": "deviation", "params": START._replace(b=1.0)}, "form"),
        ({"form": "deviation", "activation": "sigmoid"}, "form"),
        ({"form": "deviation", "layers": "output"}, "form"),
        ({"form": "cached", "layers": "output"}, "form"),
        ({"h": 10**400}, "h"),
        ({"beta": Fraction(10**400)}, "beta"),
    ],
)
def test_bad_input_names_the_parameter(change, names):
    rng = np.random.default_rng(0)
    before = str(rng.bit_generator.state)
    with pytest.raises(ValueError, match=rf"^{names}\b"):
        call(**{"rng": rng, **change})
    assert str(rng.bit_generator.state) == before


def test_the_message_says_what_came():
    with pytest.raises(ValueError, match=r"^h must be > 0, got -0\.1$"):
        call(h=-0.1)
    with pytest.raises(ValueError, match=r"^y must hold labels -1 and \+1 only, got 0$"):
        call(y=[1, 0, 1, 1])
    with pytest.raises(ValueError, match=r"^layers must be one of 'both', 'output', got 'all'$"):
        call(layers="all")
    with pytest.raises(ValueError, match=r"^X must have 3 columns, got shape \(4, 2\)$"):
        call(X=X[:, :2])


@pytest.mark.parametrize("half", [0.5, Fraction(1, 2), np.float64(0.5), np.float32(0.5)])
def test_any_real_number_is_a_step_and_a_confidence(half):
    run, wanted = call(h=half, beta=half), call(h=Fraction(1, 2), beta=Fraction(1, 2))
    assert run.updates == wanted.updates > 0
    np.testing.assert_array_equal(run.params.M, wanted.params.M)


def test_lists_and_integers_are_arrays():
    run = call(X=X.astype(int).tolist(), y=Y.astype(int), h=1, beta=np.int64(2), epochs=np.int64(3))
    wanted = call(h=1.0, beta=2.0)
    assert run.updates == wanted.updates > 0
    np.testing.assert_array_equal(run.params.M, wanted.params.M)
