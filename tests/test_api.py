"""Running from Python: one experiment, many, resumed, interrupted, damaged, failing."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import warnings

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import learnability
import toys
from learnability import api, plotting, sweep
from learnability.results import DamagedShardWarning
from learnability.runner import FailureWarning
from learnability.theory import Guarantee, Kind

pytestmark = pytest.mark.usefixtures("toy_laboratory")
posix = pytest.mark.skipif(os.name != "posix", reason="elsewhere any folder may be called so")


def shards(out, name="toy/walk"):
    return sorted((out / "tasks" / name).glob("*.parquet"))


def sidecars(out, name="toy/walk"):
    return [json.loads(path.read_text()) for path in sorted((out / "tasks" / name).glob("batch-*.json"))]


def finished(out, name="toy/walk"):
    """How many tasks are in the shards."""
    return sum(len(sidecar["tasks"]) for sidecar in sidecars(out, name))


def files(result):
    """Figure, table and verdicts, byte for byte."""
    place = result.table_file.parent
    return {path.name: path.read_bytes() for path in place.iterdir() if path.name != "manifest.json"}


@pytest.fixture
def counted(monkeypatch):
    """How often the toy experiment's tasks were run."""
    calls = []

    def run(setting, seed):
        calls.append((setting["n"], seed))
        return toys.walk(setting, seed)

    monkeypatch.setitem(toys.TOYS, "toy/walk", toys.experiment("toy/walk", *toys.SMALL, run=run))
    return calls


def test_run_gives_table_figure_and_verdicts_and_keeps_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    result = learnability.run("toy/walk", scale="smoke", seeds=3)
    assert list(result.table.columns) == ["n", "seed", "step", "position", "side", "far"]
    assert result.table.groupby("n")["seed"].nunique().to_dict() == {3: 3, 5: 3}
    rows = [{"n": n, "seed": s, **row} for n in (3, 5) for s in range(3) for row in toys.walk({"n": n}, s)]
    assert_frame_equal(result.table, pd.DataFrame(rows), check_dtype=False)
    assert len(result.figure.axes) == 1
    assert [str(g.verdict) for g in result.guarantees] == ["holds", "holds"]
    assert result.tasks == {"run": 6, "cached": 0, "failed": 0, "missing": 0}
    assert (result.failures, result.files, result.table_file) == ([], [], None)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_kept_results_are_found_again_and_only_what_is_missing_is_run(tmp_path, counted):
    first = learnability.run("toy/walk", scale="smoke", seeds=1, out=tmp_path)
    assert counted == [(3, 0), (5, 0)]
    more = learnability.run("toy/walk", scale="laptop", seeds=2, out=tmp_path)
    assert counted == [(3, 0), (5, 0), (3, 1), (5, 1), (8, 0), (8, 1)]
    assert more.tasks == {"run": 4, "cached": 2, "failed": 0, "missing": 0}
    again = learnability.run("toy/walk", scale="laptop", seeds=2, out=tmp_path)
    assert again.tasks == {"run": 0, "cached": 6, "failed": 0, "missing": 0}
    assert_frame_equal(again.table, more.table)
    assert_frame_equal(first.table, more.table.query("n < 8 and seed == 0").reset_index(drop=True))
    assert [path.name for path in again.files] == ["figure.png", "figure.pdf"]
    assert_frame_equal(pd.DataFrame(_read(again.table_file)), pd.DataFrame(again.table))


def _read(path):
    import duckdb

    return duckdb.sql(f"SELECT * FROM '{path}'").df()


def test_a_new_revision_uses_nothing_of_the_old(tmp_path, monkeypatch):
    learnability.run("toy/walk", scale="smoke", out=tmp_path)
    monkeypatch.setitem(toys.TOYS, "toy/walk", toys.experiment("toy/walk", *toys.SMALL, revision=2))
    assert learnability.run("toy/walk", scale="smoke", out=tmp_path).tasks == {
        "run": 4,
        "cached": 0,
        "failed": 0,
        "missing": 0,
    }


def test_manifest_says_what_when_how_and_with_what(tmp_path):
    learnability.run("toy/walk", scale="smoke", seeds=1, out=tmp_path)
    manifest = json.loads((tmp_path / "toy/walk/smoke/manifest.json").read_text())
    assert manifest["command"] == "learnability run toy/walk --scale smoke --seeds 1"
    assert (manifest["id"], manifest["scale"], manifest["seeds"], manifest["revision"]) == ("toy/walk", "smoke", 1, 1)
    assert manifest["tasks"] == {"run": 2, "cached": 0, "failed": 0, "missing": 0}
    assert manifest["date"].endswith("+00:00")
    assert manifest["versions"]["learnability"] == learnability.__version__
    assert {"numpy", "numba", "python", "platform"} <= set(manifest["versions"])
    verdicts = json.loads((tmp_path / "toy/walk/smoke/verdicts.json").read_text())["guarantees"]
    assert [verdict["id"] for verdict in verdicts] == ["toy/walk[finite]", "toy/walk[moves]"]


def test_runs_here_and_in_workers_leave_the_same_files(tmp_path):
    here = learnability.run("toy/walk", out=tmp_path / "here")
    there = learnability.run("toy/walk", out=tmp_path / "there", workers=2)
    assert_frame_equal(here.table, there.table)
    assert finished(tmp_path / "here") == finished(tmp_path / "there") == 9
    assert files(here) == files(there)


@pytest.mark.parametrize(("seconds", "seeds", "finished", "expected"), [
    (9.0, 3, 0, 1), (11.0, 3, 0, None), (11.0, 2, 0, 1), (1e4, 3, 0, None), (1e4, 3, 1, 1),
])  # fmt: skip
def test_small_work_is_done_here_if_no_number_is_named(tmp_path, monkeypatch, seconds, seeds, finished, expected):
    scale = dataclasses.replace(toys.scales(*toys.SMALL)["laptop"], seconds=seconds)
    monkeypatch.setitem(toys.TOYS, "toy/walk", toys.experiment("toy/walk", scales={"laptop": scale}))
    if finished:
        learnability.run("toy/walk", seeds=finished, out=tmp_path)
    asked = []

    def execute(pending, *, workers, **options):
        asked.append(workers)
        yield from execute_here(pending)

    execute_here = sweep.execute
    monkeypatch.setattr(sweep, "execute", execute)
    learnability.run("toy/walk", seeds=seeds, workers=None, out=tmp_path)
    assert asked == [expected]


@pytest.mark.skipif(os.name != "posix", reason="ends a process by a signal")
def test_a_task_that_its_worker_dies_of_is_named_and_the_rest_is_kept(tmp_path, monkeypatch):
    deadly = toys.experiment("toy/walk", {"n": 3}, {"n": 4, "dies": -9}, {"n": 5})
    monkeypatch.setitem(toys.TOYS, "toy/walk", deadly)
    with pytest.warns(FailureWarning, match=r"toy/walk \[n=4, dies=-9\] seed 0: its worker died 3 times"):
        result = learnability.run("toy/walk", seeds=1, workers=2, out=tmp_path)
    assert result.tasks == {"run": 2, "cached": 0, "failed": 1, "missing": 0}
    assert sorted(set(result.table["n"])) == [3, 5]
    assert finished(tmp_path) == 2


@pytest.mark.parametrize("harm", [lambda p: p.write_bytes(b"PAR1"), lambda p: os.truncate(p, 100)])
def test_a_damaged_shard_is_named_and_computed_again(tmp_path, counted, harm):
    learnability.run("toy/walk", scale="smoke", seeds=1, out=tmp_path)
    before = learnability.run("toy/walk", scale="smoke", out=tmp_path)  # in two shards
    kept = files(before)
    victim = shards(tmp_path)[1]
    harm(victim)
    counted.clear()
    with pytest.warns(DamagedShardWarning, match=victim.name):
        after = learnability.run("toy/walk", scale="smoke", out=tmp_path)
    assert after.tasks == {"run": 2, "cached": 2, "failed": 0, "missing": 0}
    assert len(counted) == 2
    assert_frame_equal(before.table, after.table)
    assert files(after) == kept


def test_an_interrupted_run_keeps_what_is_finished_and_resumes_with_identical_results(tmp_path, counted, monkeypatch):
    whole = learnability.run("toy/walk", out=tmp_path / "whole")
    counted.clear()
    run = toys.TOYS["toy/walk"].run

    def interrupted(setting, seed):
        if len(counted) == 4:
            raise KeyboardInterrupt
        return run(setting, seed)

    with monkeypatch.context() as patch:
        patch.setitem(toys.TOYS, "toy/walk", toys.experiment("toy/walk", *toys.SMALL, run=interrupted))
        with pytest.raises(KeyboardInterrupt):
            learnability.run("toy/walk", out=tmp_path / "parts")
    assert finished(tmp_path / "parts") == 4
    resumed = learnability.run("toy/walk", out=tmp_path / "parts")
    assert resumed.tasks == {"run": 5, "cached": 4, "failed": 0, "missing": 0}
    assert len(counted) == 9, "no task was run twice"
    assert_frame_equal(resumed.table, whole.table)
    assert files(resumed) == files(whole)


def test_a_failed_task_is_warned_of_and_listed(tmp_path):
    with pytest.warns(FailureWarning) as caught:
        result = learnability.run("toy/failing", scale="smoke", out=tmp_path)
    assert result.tasks == {"run": 2, "cached": 0, "failed": 2, "missing": 0}
    assert [str(warning.message) for warning in caught] == result.failures
    assert result.failures[0].startswith(
        "toy/failing [n=4, fails=True] seed 0: RuntimeError: this cell fails (toys.py:"
    )
    assert set(result.table["n"]) == {3}
    assert result.figure is not None


def test_swapped_shards_are_computed_again(tmp_path):
    learnability.run("toy/walk", scale="smoke", seeds=1, out=tmp_path)
    whole = learnability.run("toy/walk", scale="smoke", out=tmp_path)
    kept = files(whole)
    left, right = shards(tmp_path)
    first, second = left.read_bytes(), right.read_bytes()
    left.write_bytes(second)
    right.write_bytes(first)
    with pytest.warns(DamagedShardWarning) as caught:
        again = learnability.run("toy/walk", scale="smoke", out=tmp_path)
    assert len(caught) == 2
    assert again.tasks == {"run": 4, "cached": 0, "failed": 0, "missing": 0}
    assert files(again) == kept


def test_rows_damaged_while_it_runs_are_computed_again(tmp_path, monkeypatch):
    """What was whole when the run began is looked at again when it is read."""
    learnability.run("toy/walk", scale="smoke", out=tmp_path)
    (victim,) = shards(tmp_path)
    toy = toys.TOYS["other/fig1"]

    def harmful(setting, seed):
        victim.write_bytes(b"PAR1")
        return toys.walk(setting, seed)

    monkeypatch.setitem(toys.TOYS, "other/fig1", dataclasses.replace(toy, run=harmful))
    larger = toys.experiment("toy/walk", *toys.SMALL)
    monkeypatch.setitem(toys.TOYS, "toy/walk", dataclasses.replace(larger, scales={"smoke": larger.scales["laptop"]}))
    with pytest.warns(DamagedShardWarning):
        _, again = learnability.run_many(["other/fig1", "toy/walk"], scale="smoke", out=tmp_path)
    assert again.tasks == {"run": 9, "cached": 0, "failed": 0, "missing": 0}
    assert_frame_equal(again.table, learnability.run("toy/walk", scale="smoke").table)


def test_a_figure_that_needs_every_cell_loses_no_shard_and_leaves_no_stale_file(tmp_path, monkeypatch):
    partial = toys.TOYS["toy/partial"]
    with monkeypatch.context() as patch:
        patch.setitem(toys.TOYS, "toy/partial", toys.experiment("toy/partial", *toys.SMALL))
        learnability.run("toy/partial", scale="smoke", out=tmp_path)
        assert (tmp_path / "toy/partial/smoke/figure.png").exists()
    assert toys.TOYS["toy/partial"] is partial
    with pytest.warns(FailureWarning):
        result = learnability.run("toy/partial", scale="smoke", out=tmp_path)
    assert result.tasks == {"run": 0, "cached": 2, "failed": 2, "missing": 0}
    assert (result.figure, result.guarantees, result.files) == (None, [], [])
    ends = [failure.partition(": KeyError")[0] for failure in result.failures[-2:]]
    assert ends == ["toy/partial: figure", "toy/partial: claims"]
    assert len(result.table) == 6
    assert not list((tmp_path / "toy/partial/smoke").glob("figure.*"))
    manifest = json.loads((tmp_path / "toy/partial/smoke/manifest.json").read_text())
    assert manifest["failures"] == result.failures


def test_a_figure_that_cannot_be_saved_is_a_failure_too(tmp_path, monkeypatch):
    def draw(table):
        figure = toys.draw(table)
        figure.draw = None
        return figure

    monkeypatch.setitem(toys.TOYS, "toy/walk", toys.experiment("toy/walk", *toys.SMALL, figure=draw))
    with pytest.warns(FailureWarning, match="toy/walk: figure: TypeError"):
        result = learnability.run("toy/walk", scale="smoke", out=tmp_path)
    assert len(result.failures) == 1
    assert len(result.guarantees) == 2


def test_all_tasks_may_fail(tmp_path, monkeypatch):
    fails = toys.experiment("toy/failing", {"n": 3, "fails": True})
    monkeypatch.setitem(toys.TOYS, "toy/failing", fails)
    with pytest.warns(FailureWarning):
        result = learnability.run("toy/failing", scale="smoke", out=tmp_path)
    assert (result.tasks["failed"], len(result.table), result.figure, result.table_file) == (2, 0, None, None)


def test_rows_that_make_no_table_are_a_failed_task(tmp_path, monkeypatch):
    plain = {"figure": lambda table: plotting.panels()[0], "claims": lambda table: []}

    def run(setting, seed):
        return [{"x": 1}, {"x": "one" if seed else 2}]

    monkeypatch.setitem(toys.TOYS, "toy/walk", toys.experiment("toy/walk", {"n": 3}, run=run, **plain))
    with pytest.warns(FailureWarning, match=r"toy/walk \[n=3\] seed 1: column 'x' must hold one kind of value"):
        assert learnability.run("toy/walk", scale="smoke", out=tmp_path).tasks["failed"] == 1


def test_several_experiments_share_a_sweep_and_come_in_the_order_of_the_list():
    results = learnability.run_many(["toy/walk", "other", "toy/fal*"], scale="smoke", seeds=1)
    assert [result.id for result in results] == ["other/fig1", "toy/false", "toy/walk"]
    assert learnability.run_many("other", scale="smoke", seeds=1)[0].id == "other/fig1"


def test_progress_is_told_from_start_to_end(tmp_path):
    told = []
    learnability.run_many(["toy/walk", "other/fig1"], scale="smoke", seeds=1, on_progress=told.append)
    assert [(progress.done, progress.total) for progress in told] == [(0, 4), (2, 4), (4, 4)]
    assert told[0].work_done == 0.0
    assert told[-1].work_done == pytest.approx(told[-1].work_total)
    assert {progress.label for progress in told[1:]} == {"toy/walk", "other/fig1"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"name": "toy/wlak"}, "unknown experiment 'toy/wlak'; did you mean 'toy/walk'?"),
        ({"name": "walk"}, "unknown experiment 'walk'; did you mean 'toy/walk'?"),
        ({"name": "wlk"}, "unknown experiment 'wlk'; did you mean 'toy/walk'?"),
        ({"name": "tyo"}, "unknown experiment 'tyo'; did you mean 'toy'?"),
        ({"name": "Zzzz"}, "unknown experiment 'Zzzz'; there are other/fig1, toy/failing"),
        ({"name": "other/z*"}, "unknown experiment 'other/z*'"),
        ({"name": "toy"}, "name must name one experiment, got 'toy' for 5: use run_many"),
        ({"name": "toy/walk", "scale": "huge"}, "scale must be one of smoke, laptop, paper for toy/walk, got 'huge'"),
        ({"name": None}, "name must be an experiment, its id or its file, for instance 'symmetry/fig5', got None"),
        ({"name": 5}, "name must be an experiment, its id or its file, for instance 'symmetry/fig5', got 5"),
        ({"name": "toy/walk", "out": 5}, "out must be a path, got 5"),
        ({"name": "toy/walk", "out": ""}, "out must be the path of a folder, got ''"),
        ({"name": "toy/walk", "seeds": 0}, "seeds must be >= 1, got 0"),
        ({"name": "toy/walk", "workers": 0}, "workers must be >= 1, got 0"),
        pytest.param(
            {"name": "toy/walk", "out": "/dev/null/x"},
            "out must be a writable folder, got '/dev/null/x': Not a directory",
            marks=posix,
        ),
    ],
)
def test_wrong_requests_are_refused_before_anything_runs(counted, call, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        learnability.run(**call)
    assert str(caught.value).startswith(message)
    assert not counted


@pytest.mark.parametrize("patterns", [[5], 5, None, ["toy/walk", None]])
@pytest.mark.parametrize("function", [learnability.run_many, learnability.verify])
def test_patterns_that_are_no_text_are_named(function, patterns):
    with pytest.raises(ValueError, match="patterns must be ids, globs, studies or paths"):
        function(patterns)


def test_light_results_hold_no_figure_and_no_rows_and_their_files_are_the_same(tmp_path):
    full = api.run_many(["toy/walk", "other"], scale="smoke", out=tmp_path / "full")
    light = api.run_many(["toy/walk", "other"], scale="smoke", out=tmp_path / "light", light=True)
    for whole, lean in zip(full, light, strict=True):
        assert (lean.id, lean.figure, len(lean.table)) == (whole.id, None, 0)
        assert lean.guarantees == whole.guarantees
        for left, right in zip(whole.files, lean.files, strict=True):
            assert left.read_bytes() == right.read_bytes()
        assert lean.table_file.read_bytes() == whole.table_file.read_bytes()


def test_select():
    known = dict.fromkeys(["a/x", "a/y", "ab/x", "b/x"], 0)
    for patterns, expected in [
        (["a"], ["a/x", "a/y"]),
        (["a/"], ["a/x", "a/y"]),
        (["a/*"], ["a/x", "a/y"]),
        (["*/x"], ["a/x", "ab/x", "b/x"]),
        (["b/x", "a/x", "a/x"], ["a/x", "b/x"]),
        (["a/[xz]"], ["a/x"]),
        (["*"], list(known)),
    ]:
        assert list(api.select(patterns, known, "thing")) == expected
    with pytest.raises(ValueError, match="at least one thing must be named"):
        api.select([], known, "thing")
    with pytest.raises(ValueError, match="unknown thing 'c/x'"):
        api.select(["a", "c/x"], known, "thing")
    with pytest.raises(ValueError, match="there are none"):
        api.select(["x"], {}, "thing")


def test_verify_gives_every_guarantee_at_the_scale(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = learnability.verify(["toy/lemma*", "toy/theorem1"], out=tmp_path)
    assert [g.id for g in found] == ["toy/lemma1[n=3]", "toy/lemma2", "toy/lemma2[open]", "toy/theorem1"]
    verdicts = ["holds", "outside_hypotheses", "not_measured", "violated"]
    assert [str(g.verdict) for g in found] == verdicts
    assert learnability.verify("toy/lemma1", scale="smoke")[0].id == "toy/lemma1[n=2]"
    kept = json.loads((tmp_path / "toy/verify/laptop/verdicts.json").read_text())["guarantees"]
    assert [g["verdict"] for g in kept] == verdicts
    assert "toy/theorem1" in (tmp_path / "toy/verify/laptop/verdicts.md").read_text()


def test_verify_hides_no_check_that_could_not_be_finished():
    with pytest.warns(FailureWarning), pytest.raises(RuntimeError, match="toy/unfinished: ZeroDivisionError: in the"):
        learnability.verify()
    with pytest.warns(FailureWarning):
        done = api.verify_all()
    assert len(done.guarantees) == 4
    assert len(done.failures) == 1


@pytest.mark.parametrize(
    ("patterns", "options", "message"),
    [
        (["toy/lema1"], {}, "unknown statement 'toy/lema1'; did you mean 'toy/lemma1'?"),
        (["toy"], {"scale": "paper"}, "scale must be one of 'smoke', 'laptop', got 'paper'"),
        pytest.param(["toy"], {"out": "/dev/null/x"}, "out must be a writable folder", marks=posix),
    ],
)
def test_verify_refuses_wrong_requests(patterns, options, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        learnability.verify(patterns, **options)


def test_the_smoke_scale_confirms_and_refutes_no_empirical_claim(monkeypatch):
    def claims(table):
        return [
            Guarantee("toy/a", "Nobody", Kind.THRESHOLD, 0.0, 1.0, direction="at_most"),
            Guarantee("toy/b", "Nobody", Kind.UPPER_BOUND, 0.0, 1.0),
        ]

    monkeypatch.setitem(toys.TOYS, "toy/walk", toys.experiment("toy/walk", *toys.SMALL, claims=claims))
    verdicts = {
        scale: [str(claim.verdict) for claim in learnability.run("toy/walk", scale=scale).guarantees]
        for scale in ("smoke", "laptop")
    }
    assert verdicts == {"smoke": ["outside_hypotheses", "violated"], "laptop": ["violated", "violated"]}


def test_modules_are_attributes_of_the_package_whatever_was_imported_before():
    names = ("api", "datasets", "estimators", "kernels")
    script = f"import learnability; [getattr(learnability, name) for name in {names}]"
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = learnability.nonsense
