"""The two-layer benchmark compares like with like, and reports what it says it does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from learnability.networks.separable import TwoLayer
from learnability.theory.margins import hard_margin
from learnability.training.reference import two_layer_epoch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import two_layer, two_layer_report  # noqa: E402
from benchmarks.two_layer_competitors import COMPETITORS, ENGINE, Rule  # noqa: E402
from benchmarks.two_layer_runs import Case, Sample, evaluated, first_window, late_window, planted  # noqa: E402

ALL = {**ENGINE, **COMPETITORS}


@pytest.fixture(params=ALL)
def name(request):
    if not ALL[request.param].installed:
        pytest.skip(f"{ALL[request.param].needs} is not installed")
    return request.param


def small_case(layers="first", width=6):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((30, 7))
    X /= np.linalg.norm(X, axis=1).max()
    return Case(Sample("toy", "toy", X, np.where(X @ rng.standard_normal(7) > 0, 1.0, -1.0)), width, layers)


@pytest.mark.parametrize("layers", ["first", "both"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_every_loop_follows_the_reference(name, layers, dtype, tolerance):
    case = small_case(layers)
    visits = case.visits(2, 5, 90)
    expected, updated = two_layer_epoch(case.start, case.X, case.y, visits, eta=0.4, alpha=0.3, layers=layers)
    assert 0.1 < updated.mean() < 0.95, "the case must hold visits with and without an update"
    start = TwoLayer(*(np.copy(part) for part in case.start))
    run = ALL[name].loop(start, case.X, case.y, visits, Rule(0.4, 0.3, layers), dtype)
    np.testing.assert_array_equal(run.updated, updated)
    for ours, theirs in zip(run.params, expected, strict=True):
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    for before, after in zip(case.start, start, strict=True):
        np.testing.assert_array_equal(before, after, err_msg="a competitor must leave its start alone")
    assert run.seconds > 0


def test_a_margin_of_exactly_one_is_no_update(name):
    start = TwoLayer(np.array([[0.5, 0.0625], [0.5, -0.5]]), np.array([1.0, -1.0]))
    X = np.array([[1.5, 2.0], [1.5, 1.999]])  # the first: pre-activations 7/8 and -1/4, output 7/8 + 1/8
    run = ALL[name].loop(start, X, np.ones(2), np.array([0, 1], np.int32), Rule(0.5, 0.5, "first"), "float64")
    assert run.updated.tolist() == [False, True]


@pytest.mark.parametrize("layers", ["first", "both"])
def test_the_slope_at_zero_is_one(name, layers):
    if name.startswith("torch_autograd"):
        pytest.skip("leaves the slope at 0 to PyTorch")
    start = TwoLayer(np.array([[0.0, 0.25], [0.0, -0.5]]), np.array([1.0, -1.0]))
    X, y = np.array([[1.0, 0.0]]), np.ones(1)  # both pre-activations are 0
    run = ALL[name].loop(start, X, y, np.zeros(1, np.int32), Rule(0.5, 0.25, layers), "float64")
    np.testing.assert_array_equal(run.params.W[:, 0], [0.5, -0.5])


@pytest.mark.parametrize("layers", ["first", "both"])
def test_windows_are_stretches_of_the_run(layers):
    case = small_case(layers)
    m = len(case.y)
    params, flags = case.start, []
    networks = [params]
    for visit in case.visits(0, 0, 5 * m):
        params, updated = two_layer_epoch(params, case.X, case.y, [visit], **case.rule._asdict())
        networks.append(params)
        flags.append(updated[0])
    first = first_window(case, 8)
    later = late_window(case, 3, case.train(3).params, 8)
    for window, begin in ((first, 11), (later, 3 * m)):
        np.testing.assert_allclose(window.start.W, networks[begin].W, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(window.end.W, networks[begin + 8].W, rtol=1e-12, atol=1e-15)
        assert window.updated.tolist() == flags[begin : begin + 8]
    assert first_window(case, 100).visits.tolist() == case.visits(0, 0, m).tolist()
    # and a run continued from there goes where the whole one does
    continued = case.train(2, later.start, 3)
    np.testing.assert_allclose(continued.params.W, case.train(5).params.W, rtol=1e-12, atol=1e-15)
    run = case.train(5)
    assert run.updates == sum(flags)
    assert evaluated(run, m) == pytest.approx(5 * m * (1 - run.skipped))


def test_extrapolation_prices_visits_and_updates():
    first = {"us_per_visit": 3.0 + 0.8 * 10.0, "update_share": 0.8}
    late = {"us_per_visit": 3.0 + 0.1 * 10.0, "update_share": 0.1}
    assert two_layer.extrapolated(first, late, 1000, 150) == pytest.approx(3000 + 1500)
    noisy = {"us_per_visit": 2.0, "update_share": 0.8}  # updates cannot be free of cost
    assert two_layer.extrapolated(noisy, late, 1000, 150) == pytest.approx(3000)
    alike = {"us_per_visit": 5.0, "update_share": 0.11}
    assert two_layer.extrapolated(alike, late, 1000, 150) == pytest.approx(4500)
    dear = {"us_per_visit": 100.0, "update_share": 0.3}  # a visit costs nothing, never less
    assert two_layer.extrapolated(dear, late, 1000, 0) == 0


def test_a_loop_that_errs_is_caught():
    case = small_case()
    windows = {"late": late_window(case, 40, case.train(40).params, 25)}
    assert 0 < windows["late"].share < 1
    plain = COMPETITORS["plain"]

    def always(params, X, y, order, rule, dtype):
        return plain.loop(params, X, -y, order, rule, dtype)  # all margins are now below 1

    def another_step(params, X, y, order, rule, dtype):
        return plain.loop(params, X, y, order, rule._replace(eta=rule.eta * (1 + 1e-6)), dtype)

    assert two_layer._differences(plain, case, windows, "float64") == {"late": None}
    assert two_layer._differences(plain._replace(loop=another_step), case, windows, "float32") == {"late": None}
    with pytest.raises(RuntimeError, match="makes other updates than the reference"):
        two_layer._differences(plain._replace(loop=another_step), case, windows, "float64")
    wrong = two_layer._differences(plain._replace(loop=always), case, windows, "float64")
    assert wrong == {"late": int(np.argmin(windows["late"].updated))}


def test_quick_run(monkeypatch, tmp_path, capsys):
    kept = {name: COMPETITORS[name] for name in ("plain", "numpy")}
    missing = COMPETITORS["numpy"]._replace(label="Absent", needs="no_such_module_anywhere")
    monkeypatch.setattr(two_layer, "COMPETITORS", {**kept, "absent": missing})
    # rates that take no time to measure: the fractions can be checked against them
    monkeypatch.setattr(two_layer, "product_rate", {"float64": 2e9, "float32": 4e9}.get)
    file = tmp_path / "found.json"
    report = two_layer.main(["--quick", "--json", str(file)])
    printed = capsys.readouterr()
    assert json.loads(file.read_text())["cases"] == json.loads(json.dumps(report["cases"]))
    assert "Absent skipped: no_such_module_anywhere is not installed" in printed.err
    assert "a smoke test" in printed.out

    assert [(c["data"], c["width"], c["layers"]) for c in report["cases"]] == [
        ("digits", 4, "first"), ("digits", 16, "first"), ("planted", 4, "first"), ("planted", 16, "first"),
        ("digits", 4, "both"),
    ]  # fmt: skip
    for case in report["cases"]:
        assert f"{case['title']}: m = {case['m']}, d = {case['d']}, 2k = {case['width']}" in printed.out
        rows = {(row["name"], row["dtype"]): row for row in case["rows"]}
        assert set(rows) == {(name, dtype) for name in (*ENGINE, *kept) for dtype in ("float64", "float32")}
        for (name, dtype), row in rows.items():
            if dtype == "float64":
                assert row["first_difference"] == {"first": None, "late": None}
            for phase in ("first", "late", "whole"):
                if phase not in row:
                    assert name in ("direct", "blocked")
                    continue
                ours = rows["auto", dtype][phase]
                assert row[phase]["ratio"] == pytest.approx(row[phase]["us_per_visit"] / ours["us_per_visit"])
                if name in ENGINE:
                    operations = 2 * case["d"] * case["width"] / (row[phase]["us_per_visit"] * 1e-6)
                    rate = {"float64": 2e9, "float32": 4e9}[dtype]
                    assert row[phase]["effective_rate"] == pytest.approx(operations / rate)
                    share = row[phase]["evaluated_share"]
                    assert 0 < share <= 1
                    assert row[phase]["update_share"] <= share
                    assert row[phase]["evaluated_rate"] == pytest.approx(share * operations / rate)
            assert ("extrapolated" in row.get("whole", {})) == (name in kept)
        assert rows["auto", "float64"]["whole"]["outcome"] in ("converged", "budget_reached")
        assert rows["auto", "float64"]["late"]["update_share"] < rows["auto", "float64"]["first"]["update_share"]
        assert rows["numpy", "float64"]["first"]["us_per_visit"] > 0.3
    assert report["targets"] == []
    assert {row["form"] for row in report["memory"]["rows"]} == {"direct", "blocked"}
    assert all(20 < row["ready_mb"] <= row["peak_mb"] < 2000 for row in report["memory"]["rows"])


def test_a_long_run_is_timed_once_and_in_one_form(monkeypatch):
    monkeypatch.setattr(two_layer, "COMPETITORS", {})
    case, effort = small_case(), two_layer.QUICK._replace(whole=0.0)
    trained = []
    monkeypatch.setattr(
        Case, "train", lambda self, *args, train=Case.train, **how: trained.append(args) or train(self, *args, **how)
    )
    rows = two_layer.compare(case, effort, print)["rows"]
    assert {(row["name"], row["dtype"]) for row in rows if "whole" in row} == {
        ("auto", "float64"),
        ("auto", "float32"),
    }
    assert trained.count((effort.budget,)) == 2


def test_targets_are_judged_where_they_were_set():
    def row(name, ratio, **rates):
        return {"name": name, "dtype": "float64", **{p: {"ratio": ratio, **rates} for p in two_layer_report.PHASES}}

    rows = [row("auto", 1.0, effective_rate=0.6, evaluated_rate=0.4), row("plain", 4.9), row("torch_autograd", 12.0)]
    cases = [
        {"data": "mnist", "width": width, "layers": layers, "rows": rows}
        for width, layers in ((100, "first"), (1000, "both"), (1000, "first"))
    ]
    found = {entry["target"]: entry for entry in two_layer_report.targets(cases)}
    assert len(found) == len(two_layer_report.targets(cases)) == 8  # one case; fastmath was not there
    assert found["PyTorch autograd / engine, whole run"]["met"]
    assert not found["plain compiled loop / engine, whole run"]["met"]
    assert found["effective rate / product, late phase"]["met"]
    assert not found["evaluated rate / product, late phase"]["met"]


def test_product_rate_is_a_rate():
    assert 1e8 < two_layer.product_rate("float64") < 1e13


def test_table_is_markdown():
    lines = two_layer_report.table(["", "b"], [["left", "1"], ["x", "right"]]).splitlines()
    assert lines == ["|      |     b |", "| ---- | ----: |", "| left |     1 |", "| x    | right |"]


def test_planted_set_is_dense_and_separable():
    sample = planted(True)
    assert np.count_nonzero(sample.X) == sample.X.size
    assert hard_margin(sample.X, sample.y).margin >= 0.01 - 1e-12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--late", "0"], "--late must be >= 1"), (["--json", "/no/such/folder/x.json"], "there is no folder")],
)
def test_bad_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        two_layer.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
