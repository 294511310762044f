"""What the tests of ``resume=``, ``record=`` and ``measure=`` share: runs that are the same, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from learnability.training.record import Outcome
from learnability.training.state import State


def leaves(params):
    if isinstance(params, dict):
        return [leaf for name in sorted(params) for leaf in leaves(params[name])]
    return [leaf for part in params for leaf in leaves(part)] if isinstance(params, tuple) else [params]


def assert_same(run, other):
    """The same end: outcome, counts and network."""
    assert (run.outcome, run.epochs, run.updates) == (other.outcome, other.epochs, other.updates)
    for one, two in zip(leaves(run.params), leaves(other.params), strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)


def assert_rows_agree(run, whole):
    """The rows of a run are those of another that has recorded at least as much, by the name of the first column."""
    time = next(iter(whole.columns))
    by_time = {row[time]: row for row in whole.rows()}
    for row in run.rows():
        np.testing.assert_equal({name: by_time[row[time]][name] for name in row}, row)


def assert_goes_on(run, state, whole, wanted):
    """The rest of a run, from a state, is that of the run which never stopped; ``wanted`` was to be recorded."""
    assert_same(run, whole)
    assert_rows_agree(run, whole)
    time = next(iter(whole.columns))
    later = [moment for moment in whole.columns[time] if moment > state.epoch and moment in {*wanted, whole.epochs}]
    own = [] if whole.outcome is Outcome.DIVERGED else [state.epoch]
    assert run.columns[time].tolist() == (later or own)


def through_a_file(state):
    if state is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        return State.load(state.save(Path(folder) / "state"))


def in_another_process(code, *arguments):
    """Run code that finds the tests' modules; what it printed."""
    tests = str(Path(__file__).parent)
    path = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env={**os.environ, "PYTHONPATH": path}, timeout=600,
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
