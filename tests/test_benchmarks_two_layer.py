"""The two-layer benchmark compares like with like, and reports what it says it does."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learnability.networks.separable import TwoLayer
from learnability.theory.margins import hard_margin
from learnability.training.reference import two_layer_epoch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import two_layer, two_layer_cell, two_layer_report  # noqa: E402
from benchmarks.two_layer_cell import QUICK, Cell, cost  # noqa: E402
from benchmarks.two_layer_competitors import COMPETITORS, ENGINE  # noqa: E402
from benchmarks.two_layer_rule import Rule  # noqa: E402
from benchmarks.two_layer_runs import Case, Sample, planted, whole, window  # noqa: E402

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
    found = whole(case, 5)
    assert (found.at, found.run.epochs, found.first_updates) == (2, 5, sum(flags[:m]))
    assert found.run.updates == sum(flags)
    first = window(case, case.start, 0, 11, 8)
    later = window(case, found.late, 2, 0, 8)
    for stretch, begin in ((first, 11), (later, 2 * m)):
        np.testing.assert_allclose(stretch.start.W, networks[begin].W, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(stretch.end.W, networks[begin + 8].W, rtol=1e-12, atol=1e-15)
        assert stretch.updated.tolist() == flags[begin : begin + 8]
    assert window(case, case.start, 0, 0, 100).visits.tolist() == case.visits(0, 0, m).tolist()
    # and a run continued from there goes where the whole one does
    continued = case.train(3, later.start, 2)
    np.testing.assert_allclose(continued.params.W, case.train(5).params.W, rtol=1e-12, atol=1e-15)


def test_windows_price_visits_and_updates():
    first, late = (3.0 + 0.8 * 10.0, 0.8), (3.0 + 0.1 * 10.0, 0.1)
    assert cost(first, late).of(1000, 150) == pytest.approx(3000 + 1500)
    assert cost((2.0, 0.8), late).of(1000, 150) == pytest.approx(3000)  # updates cannot be free of cost
    assert cost((5.0, 0.11), late).of(1000, 150) == pytest.approx(4500)  # too alike to tell
    assert cost((100.0, 0.3), late).of(1000, 0) == 0  # a visit costs nothing, never less


def test_a_loop_that_errs_is_caught():
    cell = Cell(small_case(), 80, QUICK, print)
    late = cell.windows["late"]
    assert 0 < late.updated.mean() < 1
    plain = COMPETITORS["numba"]

    def always(params, X, y, order, rule, dtype):
        return plain.loop(params, X, -y, order, rule, dtype)  # all margins are now below 1

    def another_step(params, X, y, order, rule, dtype):
        return plain.loop(params, X, y, order, rule._replace(eta=rule.eta * (1 + 1e-6)), dtype)

    assert cell.differences(plain) == {"first": None, "late": None}
    with pytest.raises(RuntimeError, match="makes other updates than the reference"):
        cell.differences(plain._replace(loop=another_step))
    wrong = plain._replace(loop=always)
    assert cell._first_difference(wrong, "late", cell._ran(wrong, late)) == int(np.argmin(late.updated))
    single = Cell(replace(small_case(), dtype="float32"), 80, QUICK, print)
    assert single.differences(plain._replace(loop=another_step)) == {"first": None, "late": None}


@pytest.mark.parametrize(
    ("dtype", "off", "caught"), [("float64", 1, True), ("float32", 1, False), ("float32", 2, True)]
)
def test_in_float32_a_unit_may_take_the_other_slope(dtype, off, caught):
    cell = Cell(replace(small_case(), dtype=dtype), 8, QUICK, print)
    plain = COMPETITORS["numba"]

    def at_the_kink(params, X, y, order, rule, dtype):
        run = plain.loop(params, X, y, order, rule, dtype)
        run.params.W[:off] += 0.1
        return run

    with pytest.raises(RuntimeError, match="weights differ by 0") if caught else nullcontext():
        assert cell.differences(plain._replace(loop=at_the_kink)) == {"first": None, "late": None}


def test_a_slow_form_is_given_up(monkeypatch):
    cell = Cell(small_case(), 20, QUICK, print)
    assert cell._keeps_up("sparse", 1e9)
    assert not cell._keeps_up("sparse", 0.0)

    def broken(*args, measure, **options):
        raise ValueError("another one")

    monkeypatch.setattr(Case, "train", broken)
    with pytest.raises(ValueError, match="another one"):
        cell._keeps_up("sparse", 1e9)


@pytest.fixture
def few(monkeypatch):
    """Three competitors, of which one is missing and one counts apart."""
    kept = {name: COMPETITORS[name] for name in ("numba", "entries_columns")}
    missing = COMPETITORS["numpy"]._replace(label="Absent", needs="no_such_module_anywhere")
    monkeypatch.setattr(two_layer_cell, "COMPETITORS", {**kept, "absent": missing})
    return kept


def test_quick_run(few, tmp_path, capsys):
    file = tmp_path / "found.jsonl"
    arguments = ["--quick", "--json", str(file), "--cells", "16-first-float..$|-both-float64-relu|4-both-float64"]
    measured = two_layer.main(arguments)
    printed = capsys.readouterr()
    names = [
        f"{data}-{rest}"
        for data in ("digits", "planted")
        for rest in ("4-both-float64", "16-first-float64", "16-first-float32", "16-both-float64-relu")
    ]
    assert [line["cell"] for line in measured] == names
    assert [json.loads(line) for line in file.read_text().splitlines()] == json.loads(json.dumps(measured))
    assert "Absent skipped: no_such_module_anywhere is not installed" in printed.err
    assert "a smoke test" in printed.out
    for line in measured:
        rows, dense = line["rows"], line["data"] == "planted"
        assert set(rows) == {*ENGINE, *(name for name in few if not (dense and few[name].sparse))}
        assert 0 < line["first_update_share"] <= 1
        for name, row in rows.items():
            if line["dtype"] == "float64":
                assert row["first_difference"] == {"first": None, "late": None}
            for phase in ("first", "whole"):
                if phase not in row:
                    assert name in ENGINE
                    continue
                assert row[phase]["seconds"] == pytest.approx(np.median(row[phase]["rounds"]))
                if name != "auto":
                    ratio = row[phase]["ratio"]
                    assert ratio["low"] <= ratio["high"]
                    assert ratio["ratio"] == pytest.approx(row[phase]["seconds"] / rows["auto"][phase]["seconds"])
        assert rows["numba"]["first"]["alternating"]
        assert line["recording"]["ratio"] > 0
    # what the file holds is not measured again, nor a line that was cut off; another budget is another cell
    held = file.read_text()
    file.write_text(held[: held.rindex('"seconds"')])
    two_layer.main([*arguments, "--epochs", "40"])
    assert capsys.readouterr().err.count("at most 40 epochs") == 1
    assert len(file.read_text().splitlines()) == len(names) + 1
    two_layer.main(["--quick", "--json", str(file), "--cells", "digits-4-both-float64$", "--epochs", "3"])
    two_layer.main(["--quick", "--json", str(file), "--cells", "digits-4-both-float64$", "--epochs", "3", "--again"])
    assert capsys.readouterr().err.count("at most 3 epochs") == 2


def line(cell, first, whole, *, sparse=None, share=0.02, forms=(1.0, 2.0), recording=1.0):
    """A cell whose only dense competitor has these ratios."""

    def at(ratio):
        return {
            "seconds": ratio,
            "alternating": True,
            "ratio": {"ratio": ratio, "low": ratio - 0.1, "high": ratio + 0.1},
        }

    rows = {
        "auto": {"label": "engine", "first": {"seconds": 1.0}, "whole": {"seconds": 1.0}},
        **{f"form{k}": {"label": "", "first": {"seconds": s}, "whole": {"seconds": s}} for k, s in enumerate(forms)},
        "plain": {"label": "Plain", "sparse": False, "first": at(first), "whole": at(whole)},
    }
    if sparse is not None:
        rows["csr"] = {"label": "CSR", "sparse": True, "first": at(sparse), "whole": at(sparse)}
    return {
        "cell": cell, "rows": rows, "epochs": 9, "update_share": share, "effort": "full", "load": [0.1, 0.2],
        "seconds": 1.0, "machine": dict.fromkeys(("cpu", "cores", "python", "numpy", "numba", "torch", "jax"), "7"),
        "recording": {"ratio": recording, "low": recording - 0.01, "high": recording + 0.01},
    }  # fmt: skip


def test_the_worst_cell_comes_first_and_what_falls_short_is_named():
    lines = [
        line("fine", 1.5, 4.0),
        line("unsure", 0.95, 3.5, recording=1.055),
        line("slow", 0.8, 2.5, forms=(0.85, 2.0), recording=1.2),
        line("often", 1.2, 1.1, share=0.3),
        line("zeros", 1.3, 5.0, sparse=0.3),
    ]
    text = two_layer_report.markdown(lines, False)
    cells = [row.split("|")[1].strip() for row in text.splitlines() if row.startswith("| ")][2:]
    assert cells == ["zeros", "slow", "unsure", "often", "fine"]
    verdict = [entry.rsplit(": ", 2) for entry in text[text.index("## Verdict") :].splitlines()[2:]]
    found = [entry[-1] if entry[-1].endswith("of 5") else f"{entry[-2]}: {entry[-1]}" for entry in verdict]
    assert found == [
        "1 of 5: slow", "0 of 5", "2 of 5: zeros, slow", "1 of 5: zeros", "1 of 5: slow", "1 of 5: slow",
        "1 of 5: slow", "1 of 5: slow",
    ]  # fmt: skip


def test_every_cell_is_in_the_table():
    names = [case.name for case in two_layer.cases(True)]
    assert len(names) == len(set(names)) == 2 * 3 * 2 * 2
    assert {"digits-4-first-float64", "planted-16-both-float32", "digits-16-both-float64-relu"} <= set(names)


def test_table_is_markdown():
    lines = two_layer_report.table(["", "b"], [["left", "1"], ["x", "right"]]).splitlines()
    assert lines == ["|      |     b |", "| ---- | ----: |", "| left |     1 |", "| x    | right |"]


def test_planted_set_is_dense_and_separable():
    sample = planted(True)
    assert np.count_nonzero(sample.X) == sample.X.size
    assert hard_margin(sample.X, sample.y).margin >= 0.01 - 1e-12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "1"], "--epochs must be >= 2, got 1"),
        (["--cells", "("], "'(' is no regular expression"),
        (["--quick", "--cells", "nowhere"], "'nowhere' is found in no cell's name"),
        (["--json", "/no/such/folder/x.json"], "there is no folder"),
    ],
)
def test_bad_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        two_layer.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
