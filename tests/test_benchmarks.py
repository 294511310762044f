"""The benchmark compares like with like: every competitor makes the reference's updates."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from learnability.networks.one_hidden import OneHidden, random_init
from learnability.training import online
from learnability.training.orders import example_orders
from learnability.training.reference import sgd_epoch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import growth, online_cells, workers  # noqa: E402
from benchmarks.competitors import COMPETITORS  # noqa: E402
from benchmarks.runs import PaperRun, windows  # noqa: E402


@pytest.fixture(params=COMPETITORS)
def competitor(request):
    found = COMPETITORS[request.param]
    if not found.installed:
        pytest.skip(f"{found.needs} is not installed")
    return found


def small_case(beta):
    rng = np.random.default_rng(3)
    n, m, epochs = 5, 9, 8
    params = random_init(rng, n, 11, "he")
    X = rng.integers(0, 2, (m, n)).astype(np.float64)
    y = np.where(X.sum(axis=1) % 2 == 0, 1.0, -1.0)
    return params, X, y, example_orders(rng, m, epochs), 0.03, beta


@pytest.mark.parametrize("beta", [0.0, 0.4])
def test_competitor_follows_the_reference(competitor, beta):
    params, X, y, order, h, beta = small_case(beta)
    expected, updated = params, []
    for row in order:
        expected, flags = sgd_epoch(expected, X, y, row, h=h, beta=beta)
        updated.append(flags)
    updated = np.concatenate(updated)
    assert 0 < updated.sum() < updated.size, "the case must hold visits with and without an update"

    kept = OneHidden(*(np.copy(part) for part in params))
    run = competitor.loop(params, X, y, order.reshape(-1), h, beta)

    np.testing.assert_array_equal(run.updated, updated)
    for ours, theirs in zip(run.params, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)
    for before, after in zip(kept, params, strict=True):
        np.testing.assert_array_equal(before, after, err_msg="a competitor must leave its start alone")
    assert run.seconds > 0


def test_a_tie_is_an_update(competitor):
    """From M = 0, b = 0 the first output is 0 = beta exactly."""
    params, X, y, order, h, _ = small_case(0.0)
    start = params._replace(M=np.zeros_like(params.M), b=0.0)
    assert competitor.loop(start, X, y, order[0], h, 0.0).updated[0]


def test_a_window_continues_the_run_it_is_taken_from():
    run = PaperRun.at(8, 60)
    whole = run.train()
    np.testing.assert_array_equal(run.order(0, 60)[8 * 23 :], run.order(23, 37))
    assert run.decisions(60)[: 8 * whole.epochs].sum() == whole.updates
    middle = windows(run, 40, 2)
    assert [window.epoch for window in middle] == [10, 30]
    # from a later start in plain float64, on the rest of the same orders: the plain loop arrives where we do
    rest = COMPETITORS["plain"].loop(middle[1].params, run.X, run.y, run.order(30, 10), float(run.h), float(run.beta))
    np.testing.assert_allclose(rest.params.M, run.train(40).params.M, rtol=1e-9, atol=1e-18)


def test_memory_is_read_in_a_fresh_process():
    used = growth.memory(2)
    assert 0 < used["interpreter_mb"] < used["numpy_and_numba_mb"] < used["imports_and_kernels_mb"] <= used["peak_mb"]


def test_the_package_never_imports_the_benchmarks():
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not any(name.split(".")[0] == "benchmarks" for name in names), path


def test_the_cells_are_timed_in_every_form_that_applies(tmp_path):
    report = online_cells.main(["--quick", "--json", str(tmp_path / "cells.json")])
    assert json.loads((tmp_path / "cells.json").read_text())["rows"] == json.loads(json.dumps(report["rows"]))
    assert {row["stage"] for row in report["rows"]} >= {"early", "whole"}
    for row in report["rows"]:
        cell = online_cells.Cell(**row["cell"])
        assert {*cell.forms(), "auto"} <= set(row["us"])
        assert row["best"] in cell.forms()
        assert row["ratio"] == row["us"]["auto"] / row["us"][row["best"]]


def test_an_engine_is_advanced_as_the_driver_does():
    cell = online_cells.Cell("binary", 6, 8, 20, "he", "both", 2, 3)
    order = example_orders(np.random.default_rng(0), 8, 40)
    state, ran, updates = online_cells.advance(online_cells.engine_of(cell, "auto"), order)
    run = online.train(**cell.problem(), rng=np.random.default_rng(0), epochs=40)
    assert (ran, updates) == (run.epochs, run.updates)
    np.testing.assert_array_equal(state.engine.final()[0].W, run.params.W)


@pytest.mark.parametrize("form", growth.FORMS)
def test_the_runs_that_grow(form):
    seconds, visits, share = growth.sample_run(form, 30, 2)
    assert seconds > 0
    assert visits == 60
    assert 0 < share <= 1


def test_two_workers_against_one(monkeypatch):
    clock, processor = {1: [12.0, 11.0], 2: [6.5, 6.0]}, {1: 10.0, 2: 10.5}
    seen = set()

    def once(figure, options, count, folder):
        if folder in seen:  # everything is finished
            return {"seconds": 2.5, "processor": 2.0, "tasks": 0}
        seen.add(folder)
        return {"seconds": clock[count].pop(0), "processor": processor[count], "tasks": 20}

    monkeypatch.setattr(workers, "once", once)
    found = workers.compare("symmetry/fig3", (), 2)
    assert (found["one"], found["two"], found["tasks"]) == (11.0, 6.0, 20)  # the fastest rounds
    assert found["ratio"] == pytest.approx(11 / 6)
    assert (found["slower"], found["serial"]) == (pytest.approx(1.05), 2.0)
    assert found["on_free_cores"] == pytest.approx(10 / (2 + 8.5 / 2))
