"""Parts, limits and failures: what is done of a sweep, what is said of the rest, and that it all comes together."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest
from pandas.testing import assert_frame_equal

import learnability
import toys
from learnability import api, report, runner, sections
from learnability.cli.slurm import job_array
from learnability.errors import RequestError
from learnability.runner import FailureWarning, Wishes
from learnability.runner.plan import shares


@pytest.fixture(autouse=True)
def toy_catalogue(monkeypatch):
    monkeypatch.setattr(learnability.discovery, "installed", lambda *_: toys.CATALOGUE)


def files(place):
    return {path.name: path.read_bytes() for path in place.iterdir() if path.name != "manifest.json"}


def manifest(place):
    return json.loads((place / "manifest.json").read_text())


def command(*arguments, **options):
    ended = subprocess.run(
        [sys.executable, "-m", "toys", *map(str, arguments)],
        env=toys.environment(), capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


def test_parts_are_all_tasks_once_and_equal_in_number():
    planned = [toys.tasks(toys.TOYS["toy/walk"], "laptop"), toys.tasks(toys.TOYS["other/fig1"], "laptop")]
    for count in (1, 2, 5, 40):
        parts = [shares(planned, (number, count)) for number in range(1, count + 1)]
        for place, tasks in enumerate(planned):
            dealt = [key for part in parts for key in part[place]]
            assert sorted(dealt) == sorted(task.key for task in tasks)
        sizes = [sum(map(len, part)) for part in parts]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("part", ["1", "0/2", "3/2", "a/b", "1/2/3", (1, 2.0), (2, 1), 1, "", "1/0", "-1/2", "١/٢"])
def test_a_part_must_be_a_share(part, tmp_path):
    with pytest.raises(ValueError, match="part must be i/N"):
        learnability.run("toy/walk", part=part, out=tmp_path)
    with pytest.raises(ValueError, match="part needs out"):
        learnability.run("toy/walk", part="1/2")


@pytest.mark.parametrize("name", ["time_limit", "task_timeout"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "1"])
def test_limits_must_be_positive(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        learnability.run("toy/walk", **{name: value})


def test_parts_meet_in_one_folder(tmp_path):
    whole = learnability.run("toy/walk", out=tmp_path / "whole")
    missing = 9
    for number in (1, 2, 3):
        result = learnability.run("toy/walk", out=tmp_path / "parts", part=(number, 3))
        missing -= 3
        assert result.tasks == {"run": 3, "cached": 9 - missing - 3, "failed": 0, "missing": missing}
        assert (result.unfinished is None) == (missing == 0)
    assert result.unfinished is None
    assert_frame_equal(result.table, whole.table)
    left, right = (tmp_path / name / "toy/walk/laptop" for name in ("whole", "parts"))
    assert files(left) == files(right)
    again = learnability.run("toy/walk", out=tmp_path / "parts")
    assert again.tasks == {"run": 0, "cached": 9, "failed": 0, "missing": 0}


def test_an_unfinished_run_is_of_complete_cells_and_says_so(tmp_path):
    whole = learnability.run("toy/walk")
    learnability.run("toy/walk", seeds=2, out=tmp_path)  # no cell has its third seed
    result = learnability.run("toy/walk", time_limit=1e-9, out=tmp_path)
    assert result.tasks == {"run": 0, "cached": 6, "failed": 0, "missing": 3}
    assert result.unfinished.to_json() == {"cells": 0, "of": 3, "tasks": 3, "notes": []}
    assert (len(result.table), result.figure, result.guarantees, result.failures) == (0, None, [], [])
    (task,) = [t for t in toys.tasks(toys.TOYS["toy/walk"], "laptop") if t.setting["n"] == 5 and t.seed == 2]
    store = learnability.results.Store(tmp_path)
    (done,) = learnability.sweep.execute([task])
    rows = done.finished[0].rows
    store.write("toy/walk", [learnability.results.Entry(task.key, task.record, rows, None, 0.1)], done.ran_on, 1)
    result = learnability.run("toy/walk", time_limit=1e-9, out=tmp_path)
    assert result.unfinished.to_json() == {"cells": 1, "of": 3, "tasks": 2, "notes": []}
    assert_frame_equal(result.table, whole.table[whole.table["n"] == 5].reset_index(drop=True))
    assert result.figure is not None
    assert {g.note for g in result.guarantees} == {"unfinished: 1 of 3 cells"}
    assert result.recorded.differs is None
    assert result.to_json()["unfinished"]["cells"] == 1
    assert manifest(tmp_path / "toy/walk/laptop")["unfinished"]["cells"] == 1
    assert "unfinished" in repr(result)
    whole_again = learnability.run("toy/walk", out=tmp_path)
    assert manifest(tmp_path / "toy/walk/laptop")["unfinished"] is None
    assert_frame_equal(whole_again.table, whole.table)


def test_what_cannot_be_drawn_yet_is_no_failure(tmp_path, recwarn, monkeypatch):
    toy = toys.experiment("toy/partial", *toys.SMALL, figure=toys.needs_every_cell, claims=toys.needs_every_cell)
    monkeypatch.setitem(toys.TOYS, "toy/partial", toy)
    learnability.run("toy/partial", seeds=1, out=tmp_path, part="1/3")
    recwarn.clear()
    result = learnability.run("toy/partial", seeds=1, out=tmp_path, time_limit=1e-9)
    assert result.failures == []
    assert [note.partition(": KeyError")[0] for note in result.unfinished.notes] == [
        "toy/partial: figure",
        "toy/partial: claims",
    ]
    assert not [w for w in recwarn if issubclass(w.category, FailureWarning)]


def test_a_task_that_has_failed_is_left_until_it_is_asked_for(tmp_path, monkeypatch):
    with pytest.warns(FailureWarning):
        first = learnability.run("toy/failing", scale="smoke", out=tmp_path)
    assert first.tasks == {"run": 2, "cached": 0, "failed": 2, "missing": 0}
    with pytest.warns(FailureWarning) as caught:
        second = learnability.run("toy/failing", scale="smoke", out=tmp_path)
    assert [str(w.message) for w in caught] == [
        "toy/failing: 2 tasks failed before and were not tried again (--retry-failed does)"
    ]
    assert (second.tasks["failed"], second.failures) == (2, first.failures)
    assert second.unfinished is None
    with pytest.warns(FailureWarning, match="this cell fails"):
        learnability.run("toy/failing", scale="smoke", out=tmp_path, retry_failed=True)

    def mended(setting, seed):
        return toys.walk({name: value for name, value in setting.items() if name != "fails"}, seed)

    toy = toys.experiment("toy/failing", {"n": 3}, {"n": 4, "fails": True}, run=mended)
    monkeypatch.setitem(toys.TOYS, "toy/failing", toy)
    last = learnability.run("toy/failing", scale="smoke", out=tmp_path, retry_failed=True)
    assert last.tasks == {"run": 2, "cached": 2, "failed": 0, "missing": 0}
    assert learnability.run("toy/failing", scale="smoke", out=tmp_path).failures == []


def test_a_stuck_task_fails_by_name_and_gets_another_chance_with_more_time(tmp_path, monkeypatch):
    stuck = toys.experiment("toy/slow", {"n": 3}, {"n": 4, "sleep": 3600.0})
    monkeypatch.setitem(toys.TOYS, "toy/slow", stuck)
    with pytest.warns(FailureWarning, match=r"toy/slow \[n=4, sleep=3600.0\] seed 0: .*0.5 s"):
        result = learnability.run("toy/slow", seeds=1, task_timeout=0.5, out=tmp_path)
    assert result.tasks == {"run": 1, "cached": 0, "failed": 1, "missing": 0}
    estimates = {
        limit: api.estimate("toy/slow", seeds=1, task_timeout=limit, out=tmp_path)[0].tasks["run"]
        for limit in (0.5, 1e4, None)
    }
    assert estimates == {0.5: 0, 1e4: 1, None: 1}


def test_an_estimate_runs_and_writes_nothing(tmp_path):
    (before,) = api.estimate("toy/walk", out=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert before.tasks == {"run": 9, "cached": 0, "failed": 0, "parts": 0}
    assert (before.cells, before.seeds, before.measured, before.memory) == (3, 3, False, None)
    assert before.seconds == pytest.approx(9 * 0.1 / 9)
    learnability.run("toy/walk", seeds=1, out=tmp_path)
    kept = sorted(tmp_path.rglob("*"))
    (after,) = api.estimate("toy/walk", out=tmp_path, part="1/2")
    assert sorted(tmp_path.rglob("*")) == kept
    assert sum(after.tasks.values()) == 9
    assert (after.tasks["cached"], after.measured) == (3, True)
    assert 0 < after.longest <= after.seconds
    assert after.memory > 1e6
    json.dumps(after.to_json())


def test_the_command_line_counts_and_ends_well_unfinished(tmp_path):
    out = tmp_path / "out"
    code, told, _ = command("run", "toy/walk", "--out", out, "--dry-run")
    assert code == 0
    assert "3 cells x 3: 9 to run" in told
    assert "; memory: not measured yet; nothing was run" in told
    assert not out.exists()
    code, told, _ = command("run", "toy/walk", "--out", out, "--dry-run", "--json")
    plan = json.loads(told)
    assert (code, plan["dry_run"], plan["experiments"][0]["tasks"]["run"]) == (0, True, 9)
    code, told, err = command("run", "toy/walk", "--out", out, "--part", "2/3", "--time-limit", "1h30m")
    assert code == 0, err
    assert "UNFINISHED" in told
    assert "6 tasks are missing" in told
    code, told, _ = command("run", "toy/walk", "--out", out, "--part", "2/3", "--json")
    (found,) = json.loads(told)["experiments"]
    assert (code, found["unfinished"]["tasks"], found["tasks"]["missing"]) == (0, 6, 6)
    assert command("run", "toy/walk", "--out", out)[0] == 0
    code, told, _ = command("run", "toy/walk", "other/fig1", "--out", out, "--dry-run")
    assert re.search(r"; memory: \d+ MB a process, measured for 1 of 2 experiments; nothing was run", told)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--time-limit", "0"], "--time-limit must be a time > 0, such as 90, 30m, 2h or 1h30m, got '0'"),
        (["--task-timeout", "soon"], "--task-timeout must be a time > 0, such as 90, 30m, 2h or 1h30m, got 'soon'"),
        (["--time-limit", "1h 30m"], "--time-limit must be a time"),
        (["--part", "3/2"], "part must be i/N with 1 <= i <= N, got 3/2"),
        (["--slurm", "--part", "1/2"], "--slurm makes the parts itself"),
        (["--parts", "3"], "--parts belongs to --slurm"),
        (["--slurm", "--parts", "0"], "parts must be >= 1, got 0"),
    ],
)
def test_wrong_limits_are_named(tmp_path, arguments, message):
    code, told, err = command("run", "toy/walk", "--out", tmp_path / "out", *arguments)
    assert (code, told) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_times_are_read():
    from learnability.cli.run import seconds_of

    times = {"90": 90, "90s": 90, "1.5h": 5400, "1h30m": 5400, "2d": 172800, "30m": 1800, "1m30": None, "": None}
    for text, seconds in times.items():
        if seconds is None:
            with pytest.raises(Exception, match="must be a time"):
                seconds_of("--time-limit", text)
        else:
            assert seconds_of("--time-limit", text) == seconds


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_a_job_array_does_the_sweep(tmp_path):
    """The printed script, run as Slurm would: once for each part, then the command that draws the figure."""
    code, script, err = command(
        "run", "toy/walk", "--out", "it's $HOME", "--slurm", "--parts", "3", "--seeds", "2", cwd=tmp_path
    )
    assert code == 0, err
    assert re.search(r"^#SBATCH --array=1-3$", script, re.MULTILINE)
    assert re.search(r"^#SBATCH --time=0-\d\d:\d\d:\d\d$", script, re.MULTILINE)
    assert not (tmp_path / "it's $HOME").exists()
    own = script.replace("-m learnability", "-m toys")
    for number in (1, 2, 3):
        environment = {**toys.environment(), "SLURM_ARRAY_TASK_ID": str(number)}
        subprocess.run(["bash", "-c", own], env=environment, check=True, timeout=300, capture_output=True)
    code, told, _ = command(
        "run", "toy/walk", "--out", "it's $HOME", "--slurm", "--parts", "3", "--json", cwd=tmp_path
    )
    job = json.loads(told)
    assert job["script"].startswith("#!/bin/bash")
    code, told, _ = command("run", "toy/walk", "--out", "it's $HOME", "--seeds", "2", "--json", cwd=tmp_path)
    (found,) = json.loads(told)["experiments"]
    assert found["tasks"] == {"run": 0, "cached": 6, "failed": 0, "missing": 0}
    (wrap,) = [line for line in job["submit"] if "--wrap" in line]
    assert "cd " in next(word for word in shlex.split(wrap) if word.startswith("--wrap="))
    code, told, err = command("run", "toy/walk", "--out", "it's $HOME", "--seeds", "2", "--slurm", cwd=tmp_path)
    assert (code, told) == (2, "")
    assert "nothing to run" in err


@pytest.mark.parametrize("out", ["a\ntouch here", "a\rb", "a\x1bb"])
def test_no_line_of_a_job_array_is_of_a_path(out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    estimates = [SimpleNamespace(tasks={"run": 6}, seconds=1.0, longest=1.0, memory=None)]
    wishes = dict.fromkeys(("scale", "seeds", "task_timeout", "time_limit", "workers", "retry_failed"))
    with pytest.raises(RequestError, match="must be of characters that print"):
        job_array(["toy/walk"], estimates, 2, {**wishes, "out": out}, [])
    assert "touch here" in job_array(["toy/walk"], estimates, 2, {**wishes, "out": "touch here"}, [])["script"]


def test_wishes_are_checked_where_they_are_made():
    assert Wishes(part="2/4", out="x").share == (2, 4)
    assert Wishes().share == (1, 1)
    assert runner.Wishes is Wishes


@pytest.mark.parametrize("place", ["toy", "toy/walk", "toy/walk/laptop"])
def test_a_file_where_results_go_is_told_before_any_work(tmp_path, place):
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text("mine")
    with pytest.raises(ValueError, match=r"out must have room for the folder .*laptop, got a file at"):
        learnability.run("toy/walk", out=tmp_path)
    assert not (tmp_path / "tasks").exists()
    assert (tmp_path / place).read_text() == "mine"


def test_a_second_process_is_told_of_the_first_and_how_to_share(tmp_path):
    from learnability.results import presence

    with presence.announced(tmp_path, what="run toy/walk", on=["toy/walk"]):
        with pytest.warns(learnability.sweep.SweepWarning, match=r"another process is at work .*--part i/N"):
            learnability.run("toy/walk", scale="smoke", out=tmp_path)
        with pytest.warns(learnability.sweep.SweepWarning, match="another process is at work"):
            learnability.run("toy/walk", out=tmp_path, part="1/2")
    with presence.announced(tmp_path, what="run toy/walk", on=["toy/walk"], part=(2, 2)), warnings.catch_warnings():
        warnings.simplefilter("error")
        learnability.run("toy/walk", out=tmp_path, part="1/2")


def test_results_of_another_version_are_named_in_manifest_and_warning(tmp_path):
    first = learnability.run("toy/walk", scale="smoke", out=tmp_path)
    assert first.mixture == []
    (task,) = [t for t in toys.tasks(toys.TOYS["toy/walk"], "laptop") if t.setting["n"] == 8 and t.seed == 2]
    other = {**learnability.provenance.here(), "numpy": "1.0", "blas": "Abacus"}
    (done,) = learnability.sweep.execute([task])
    entry = learnability.results.Entry(task.key, task.record, done.finished[0].rows, None, 0.1)
    learnability.results.Store(tmp_path).write("toy/walk", [entry], other, 1)
    with pytest.warns(
        learnability.sweep.SweepWarning, match=r"toy/walk: numpy: 1\.0 and .*kernel of the linear algebra"
    ):
        result = learnability.run("toy/walk", out=tmp_path)
    told = manifest(tmp_path / "toy/walk/laptop")
    assert told["mixture"] == result.mixture
    assert sorted((one["numpy"], one["tasks"]) for one in told["computed_on"])[0] == ("1.0", 1)
    assert sum(one["tasks"] for one in told["computed_on"]) == 9


def test_what_cells_print_is_kept_from_the_answer(tmp_path):
    (tmp_path / "loud.py").write_text(
        "from learnability.study import Experiment, Scale\n"
        "from learnability.theory import Guarantee, Kind\n"
        "print('at the import')\n\n"
        "def run(setting, seed):\n    print('in a cell')\n    return [{'x': 1}]\n\n"
        "def claims(table):\n    print('in the claims')\n"
        "    return [Guarantee('all', 'me', Kind.UPPER_BOUND, 1.0, 1.0)]\n\n"
        "EXPERIMENT = Experiment(title='Loud', run=run, claims=claims, scales=Scale([{'n': 1}], 2, 1.0))\n"
    )
    for arguments in (["run", "loud.py", "--out", "out"], ["list", "loud.py"]):
        code, told, err = command(*arguments, "--json", cwd=tmp_path)
        assert code == 0, err
        json.loads(told)
        assert "at the import" in err


def test_a_cell_s_own_keyboard_interrupt_is_its_failure(tmp_path):
    (tmp_path / "stops.py").write_text(
        "from learnability.study import Experiment, Scale\n\n"
        "def run(setting, seed):\n    raise KeyboardInterrupt\n\n"
        "EXPERIMENT = Experiment(title='Stops', run=run, scales=Scale([{'n': 1}, {'n': 2}], 1, 1.0))\n"
    )
    code, told, err = command("run", "stops.py", "--out", "out", "--workers", "2", "--json", cwd=tmp_path)
    assert code == 1
    assert [line.partition(": KeyboardInterrupt")[1] for line in json.loads(told)["experiments"][0]["failures"]] == [
        ": KeyboardInterrupt"
    ] * 2
    assert "Traceback" not in err


def many(setting, seed):
    """Cells that fail, each in one of two ways."""
    if setting["n"] == 30:
        raise KeyError("the last")
    raise RuntimeError(f"no {setting['n']}")


def test_many_failed_tasks_are_named_once_where_all_are_listed(tmp_path, monkeypatch):
    toy = toys.experiment("toy/failing", scales=toys.scales(*({"n": n} for n in range(1, 31))), run=many)
    monkeypatch.setitem(toys.TOYS, "toy/failing", toy)
    with pytest.warns(FailureWarning) as caught:
        result = learnability.run("toy/failing", out=tmp_path)
    told = [str(w.message) for w in caught]
    place = tmp_path / "toy/failing/laptop/manifest.json"
    assert told[:-1] == [*result.failures[:5], result.failures[-3]]  # five, and the first of another kind
    assert told[-1] == (
        "toy/failing: 84 tasks more (RuntimeError: 82, KeyError: 2); all 90 are listed under failures in "
        + str(place)
    )
    assert len(result.failures) == len(manifest(place.parent)["failures"]) == len(set(result.failures)) == 90
    found, _ = sections.read_sections(tmp_path)
    for path in report.write_report(tmp_path, found):
        text = path.read_text(encoding="utf-8")
        assert text.count("failed: toy/failing") == 20
        assert "and 70 more failed, all listed under failures in its manifest.json" in text


def test_long_values_are_cut_where_they_are_shown_and_nowhere_else(tmp_path, monkeypatch):
    def settings(name="a" * 5000):
        return [{"n": 3, "name": name}, {"n": 4, "name": name}]

    def run(setting, seed):
        if setting["n"] == 4:
            raise RuntimeError("at last")
        return [{"step": 1, "position": 1.0}]

    scale = learnability.study.Scale(settings, 1, 1.0)
    toy = toys.experiment("toy/failing", scales={"laptop": scale}, run=run)
    monkeypatch.setitem(toys.TOYS, "toy/failing", toy)
    long = "b" * 5000
    short = f"{'b' * 60}... (5,000 characters)"
    with pytest.warns(FailureWarning) as caught:
        result = learnability.run("toy/failing", set={"name": long}, out=tmp_path)
    assert [str(w.message).partition(" (test_")[0] for w in caught] == [
        f"toy/failing [n=4, name={short}] seed 0: RuntimeError: at last"
    ]
    assert result.place == f"laptop, name = {short}"
    (place,) = (tmp_path / "toy/failing").iterdir()
    stored = manifest(place)
    assert stored["set"] == {"name": long}
    assert stored["failures"] == result.failures
    assert result.failures[0].startswith(f"toy/failing [n=4, name={long}] seed 0: RuntimeError: at last")
    assert set(result.table["name"]) == {long}
    assert stored["title"] == f"Title of toy/failing (name = {short} instead of {'a' * 60}... (5,000 characters))"
    found, _ = sections.read_sections(tmp_path)
    page = report.write_report(tmp_path, found)[1].read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if "failed: " in line]
    assert len(line) < 500
    assert "RuntimeError: at last" in line
    with pytest.raises(ValueError, match=r"'other' is not free: free are name \(a{60}\.\.\. \(5,000 characters\)\)$"):
        learnability.run("toy/failing", set={"other": long})


def test_a_share_without_tasks_says_so(tmp_path):
    code, told, err = command("run", "toy/walk", "--scale", "smoke", "--out", tmp_path, "--part", "7/9")
    assert (code, err) == (0, "learnability: part 7/9 is empty: there are 4 tasks in all\n")
    assert "UNFINISHED" in told
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learnability.run("toy/walk", scale="smoke", out=tmp_path, part="4/9")
    with pytest.warns(learnability.sweep.SweepWarning, match="part 5/9 is empty: there are 4 tasks in all"):
        assert api.estimate("toy/walk", scale="smoke", out=tmp_path, part="5/9")[0].tasks["run"] == 0
