"""What a run leaves behind: columns, outcome, recorded epochs."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks.one_hidden import OneHidden
from learnability.training.online.trajectory import COLUMNS, Trajectory
from learnability.training.record import Outcome, log_spaced


@settings(max_examples=150)
@given(epochs=st.integers(0, 10**7), points=st.integers(1, 200))
def test_log_spaced_covers_the_run(epochs, points):
    grid = log_spaced(epochs, points)
    assert grid.dtype == np.int64
    assert (np.diff(grid) > 0).all()
    assert grid[0] == 0
    assert grid[-1] == epochs
    assert {0, min(1, epochs), epochs} <= set(grid.tolist())
    assert len(grid) <= points + 2


def test_log_spaced_is_even_in_the_logarithm():
    grid = log_spaced(10**6, 31)[1:]
    assert len(grid) > 25
    ratios = np.diff(np.log(grid[grid > 100]))
    assert ratios.max() / ratios.min() < 1.05
    np.testing.assert_array_equal(log_spaced(0), [0])
    np.testing.assert_array_equal(log_spaced(1), [0, 1])
    np.testing.assert_array_equal(log_spaced(3, 100), [0, 1, 2, 3])
    assert 40 < len(log_spaced(10**5)) <= 62


@pytest.mark.parametrize(
    ("arguments", "names"),
    [((-1,), "epochs"), ((1.5,), "epochs"), ((None,), "epochs"), ((10, 0), "points"), ((10, True), "points")],
)
def test_log_spaced_refuses(arguments, names):
    with pytest.raises(ValueError, match=rf"^{names} must"):
        log_spaced(*arguments)


def test_rows_and_final_are_the_columns_in_plain_values():
    columns = {name: np.array([0.0, 0.5, 0.25]) for name in COLUMNS}
    columns["epoch"], columns["updates"] = np.array([0, 1, 7]), np.array([0, 3, 9])
    network = OneHidden(np.zeros((1, 1)), np.zeros(1), np.zeros(1), 0.0)
    run = Trajectory(columns, Outcome.BUDGET_REACHED, 7, 9, network, None, None)
    rows = run.rows()
    assert len(run) == len(rows) == 3
    assert [list(row) for row in rows] == [list(COLUMNS)] * 3
    assert all(type(value) in (int, float) for row in rows for value in row.values())
    assert rows[2]["epoch"] == 7
    assert json.loads(json.dumps(rows)) == rows
    assert run.final("norm") == 0.25
    assert (run.ties, run.unresolved) == (0, 0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.updates = 10
    with pytest.raises(KeyError):
        run.final("loss")


def test_outcomes_are_words():
    assert [str(outcome) for outcome in Outcome] == ["converged", "budget_reached", "diverged"]
    assert Outcome("diverged") is Outcome.DIVERGED
