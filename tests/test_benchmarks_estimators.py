"""The benchmark of estimators judges all alike and says which way failed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import estimators  # noqa: E402
from benchmarks.estimators import TASKS, Effort, Way  # noqa: E402


class Constant(BaseEstimator):
    """Always the first label, or the mean; with ``fails`` nothing."""

    def __init__(self, fails=False):
        self.fails = fails

    def fit(self, X, y):
        if self.fails:
            raise MemoryError("too much")
        self.fitted_, self.value = True, y.mean(axis=0) if y.ndim == 2 else y[0]
        return self

    def predict(self, X):
        return np.broadcast_to(self.value, (len(X), *np.shape(self.value))).copy()


@pytest.fixture
def few(monkeypatch):
    ours = {"ours": Way(lambda seed: Constant(), True, False)}
    others = {
        "theirs": Way(lambda seed: Constant(), scaled=False),
        "idle": Way(lambda seed: Constant(True), scaled=False),
    }
    monkeypatch.setattr(estimators, "ways", lambda regression: {**ours, **others})


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.title)
def test_tasks_are_drawn_by_seed(task):
    one, same, other = task.draw(1, True), task.draw(1, True), task.draw(2, True)
    np.testing.assert_array_equal(one.X, same.X)
    np.testing.assert_array_equal(one.y_test, same.y_test)
    assert not np.array_equal(one.X, other.X)
    assert len(one.X) == len(one.y)
    assert one.X_test.shape[1] == one.X.shape[1]


def test_scores_and_failures(few):
    case = estimators.measure(TASKS[4], Effort((), 3, True))
    assert case["regression"]
    assert case["ways"]["ours"]["score"] == pytest.approx(0, abs=0.05)  # the mean explains nothing
    assert case["ways"]["ours"]["half_width"] >= 0
    assert case["ways"]["idle"]["failed"] == "MemoryError: too much"
    assert estimators.lead(case) == 0
    told = estimators.tables([case, estimators.measure(TASKS[0], Effort((), 1, True))])
    assert told.count("failed") == 2
    assert "R²" in told
    assert "±" in told


def test_the_benchmark_reports(few, tmp_path, capsys):
    report = estimators.main(["--quick", "--json", str(tmp_path / "found.json")])
    said = capsys.readouterr().out
    assert len(json.loads((tmp_path / "found.json").read_text())["cases"]) == len(report["cases"]) == 4
    assert "idle on iris: MemoryError: too much" in said
    assert "Seconds of a fit" in said


def test_every_way_fits_what_it_is_for():
    for task in (TASKS[0], TASKS[4]):
        sample = task.draw(0, True)
        for name, way in estimators.ways(task.regression).items():
            if name not in ("MLP", "xRFM"):
                found, seconds = way.fit(sample, 0, True)
                assert -1 <= estimators.score(task, found, sample) <= 1, name
                assert seconds > 0
