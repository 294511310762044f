"""The benchmarks of the residual study compare like with like."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import residual_grid, residual_kernels  # noqa: E402
from benchmarks.residual_loops import LOOPS, Grid, numpy_runs  # noqa: E402

from learnability.networks import residual  # noqa: E402

# Training


def small_grid():
    # 120 examples in batches of 50: the last batch of an epoch is a smaller one
    return Grid.at(7, 2, np.array([0.02, 0.05]), np.array([0.0, 0.1]), d=8, N=120)


@pytest.mark.parametrize("name", LOOPS)
def test_every_loop_trains_what_the_gradient_by_hand_does(name):
    if not LOOPS[name].installed:
        pytest.skip(f"{LOOPS[name].needs} is not installed")
    grid = small_grid()
    kept = [np.copy(part) for part in grid.start]
    found = LOOPS[name].loop(grid)
    assert found.seconds > 0
    assert [part.shape for part in found.params] == [(4, *part.shape) for part in grid.start]
    assert {part.dtype for part in found.params} == {np.dtype(np.float32)}
    assert residual_grid.distances(found.params, numpy_runs(grid, "float64").params).max() < 1e-6
    for before, after in zip(kept, grid.start, strict=True):
        np.testing.assert_array_equal(before, after, err_msg="a loop must leave its start alone")


def test_the_gradient_by_hand_is_sgd_with_momentum_and_decay():
    grid = small_grid()
    found = numpy_runs(grid, "float64").params
    batches = grid.batches()
    assert [len(rows) for rows in batches] == [50, 50, 20] * 2
    assert sorted(np.concatenate(batches[3:])) == list(range(120))
    for run, (rate, decay) in enumerate([(0.02, 0.0), (0.02, 0.1), (0.05, 0.0), (0.05, 0.1)]):
        params, velocity = grid.start, [np.zeros_like(part) for part in grid.start]
        for rows in batches:
            _, g = residual.gradient(params, grid.X[rows], grid.Y[rows])
            velocity = [0.9 * v + g + decay * part for v, g, part in zip(velocity, g, params, strict=True)]
            params = residual.ResNet3(*(part - rate * v for part, v in zip(params, velocity, strict=True)))
        for ours, expected in zip(found, params, strict=True):
            np.testing.assert_allclose(ours[run], expected, rtol=1e-10, atol=1e-13)


def test_the_distance_is_each_runs_own():
    one = residual.ResNet3(*(np.ones((2, 1, n)) for n in (1, 2, 1)))
    other = one._replace(V=one.V + np.array([0.0, 1.0])[:, None, None])
    np.testing.assert_allclose(residual_grid.distances(other, one), [0, np.sqrt(2) / 2])


def test_the_grid_benchmark_reports(tmp_path, capsys):
    report = residual_grid.main(["--quick", "--repeats", "1", "--json", str(tmp_path / "found.json")])
    assert json.loads((tmp_path / "found.json").read_text())["widths"][0]["m"] == 8
    for width in report["widths"]:
        assert all(row["from_float64_first_epoch"] < 1e-6 for row in width["rows"])
        assert (width["rows"][0]["competitor"], width["rows"][0]["ratio"]) == ("engine", 1)
        row = width["rows"][0]
        assert 0 < row["share"] < 1
        assert row["interval"]["low"] <= row["ratio"] == 1
        assert row["us_per_step_and_run"] * width["steps"] * width["runs"] == pytest.approx(1e6 * row["seconds"])
    (cell,) = report["figure_1"]
    assert cell["m"] == 8
    assert 0 < cell["share"] < 1
    assert "this library" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        residual_grid.main(["--repeats", "0"])
    assert capsys.readouterr().err == "python -m benchmarks.residual_grid: --repeats must be >= 1, got 0\n"


def test_a_target_is_met_from_its_bound_on():
    def width(m, ratio):
        return {"m": m, "rows": [{"competitor": "torch_runs", "ratio": ratio}]}

    found = residual_grid.targets([width(50, 5.0), width(200, 4.9), width(5000, 1.1), width(7, 9.0)])
    assert [(row["m"], row["met"]) for row in found] == [(50, True), (200, False), (5000, True)]
    assert residual_grid.targets([{"m": 50, "rows": []}]) == []


def test_the_share_counts_what_a_network_needs():
    times = residual_grid.common.Samples((2.0,)), residual_grid.common.Samples((3.0,))
    assert residual_grid.share(2.0 * residual_grid.SIDE**3, *times) == 1.5  # a product's operations, in 2 of its 3 s


# Kernels


def test_every_way_finds_the_same_kernels(tmp_path, capsys):
    report = residual_kernels.main(["--quick", "--repeats", "1", "--json", str(tmp_path / "found.json")])
    said = capsys.readouterr().out
    assert json.loads((tmp_path / "found.json").read_text())["cases"][0]["title"].startswith("Infinite width")
    infinite, finite = report["cases"]
    assert [row["way"] for row in infinite["rows"] if "neural" not in row["way"]] == ["closed", "closed_jax"]
    assert finite["rows"][0]["way"] == "finite"
    for case, ways in ((infinite, residual_kernels.CLOSED), (finite, residual_kernels.FINITE)):
        for row in case["rows"]:
            assert row["peak_mb"] >= row["before_mb"] > 0
            # of an input with itself a rounding error e of the correlation 1 becomes sqrt(2 e) / pi in kappa_0
            assert row["last"]["from_this_library"] < 1e-14
            assert row["ntk"]["from_this_library"] < (1e-8 if case is infinite else 1e-14)
            assert row["ntk"]["seconds"] > 0
            assert row["last"]["low"] <= row["last"]["ratio"] <= row["last"]["high"]
        for label in {way.label for way in ways.values()} - {row["label"] for row in case["rows"]}:
            assert f"{label} left out: " in said


def test_a_worker_that_does_not_start_says_why(tmp_path):
    np.savez(tmp_path / "given.npz", X=np.ones((2, 3)))
    with pytest.raises(residual_kernels.Failed, match="KeyError: 'nonsense'"):
        residual_kernels.Worker(sys.executable, "nonsense", tmp_path / "given.npz", tmp_path)
    with pytest.raises(residual_kernels.Failed, match="KeyError: 'depth'"):
        residual_kernels.Worker(sys.executable, "closed", tmp_path / "given.npz", tmp_path)
    with pytest.raises(OSError, match="nowhere"):
        residual_kernels.Worker("/nowhere/python", "closed", tmp_path / "given.npz", tmp_path)
