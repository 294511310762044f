"""The command line: what it prints where, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

import learnability
import toys
from learnability import cli, study

GUARANTEE = {"id", "source", "kind", "hypotheses", "bound", "measured", "slack", "verdict", "note"}


@pytest.fixture
def call(toy_laboratory, tmp_path, monkeypatch, capfd):
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["learnability", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return ended.value.code, out, err

    return run


def one_line(err):
    """The error, which must be one line of a person's language."""
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert err.startswith("learnability: ")
    return err.removeprefix("learnability: ").strip()


def test_version_and_help(call):
    assert call("--version") == (0, f"learnability {learnability.__version__}\n", "")
    for arguments in (["--help"], ["-h"], ["run", "--help"]):
        code, out, err = call(*arguments)
        assert (code, err) == (0, "")
        assert "Usage" in out
    code, out, _ = call()
    assert code == 2
    assert "verify" in out


def test_list(call):
    code, out, err = call("list")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(toys.TOYS)
    assert "Title of toy/walk" in out


def test_list_json(call):
    code, out, err = call("list", "--json")
    assert (code, err) == (0, "")
    listed = json.loads(out)["experiments"]
    assert [entry["id"] for entry in listed] == list(toys.TOYS)
    for entry in listed:
        assert {"id", "title", "source", "scales"} <= set(entry)
        assert set(entry["scales"]) == {"smoke", "laptop", "paper"}
    walk = next(entry for entry in listed if entry["id"] == "toy/walk")
    assert walk["scales"]["smoke"] == {"tasks": 4, "seconds": 0.1, "seeds": 2}
    assert walk["scales"]["laptop"]["tasks"] == 9


def test_run_prints_verdicts_and_paths(call, tmp_path):
    code, out, err = call("run", "toy/walk", "--scale", "smoke")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines[0].startswith("toy/walk (smoke, 2 seeds; tasks: 4 run;")
    assert re.search(r"^toy/walk\[finite\] +holds ", out, re.MULTILINE)
    assert "learnability-results/toy/walk/smoke/figure.png" in lines
    assert "learnability-results/toy/walk/smoke/figure.pdf" in lines
    assert (tmp_path / "learnability-results/toy/walk/smoke/figure.png").exists()
    code, out, _ = call("run", "toy/walk", "--scale", "smoke")
    assert "tasks: 0 run, 4 cached;" in out


def test_run_json_and_nothing_else_on_stdout(call, tmp_path):
    out_folder = str(tmp_path / "here")
    options = ["--scale", "smoke", "--seeds", "1", "--out", out_folder, "--json"]
    code, out, err = call("run", "toy/walk", "other", *options)
    assert (code, err) == (0, "")
    printed = json.loads(out)
    assert printed["seconds"] > 0
    other, walk = printed["experiments"]
    assert (other["id"], walk["id"]) == ("other/fig1", "toy/walk")
    assert {"id", "scale", "seeds", "tasks", "table", "figures", "guarantees"} <= set(walk)
    assert (walk["scale"], walk["seeds"]) == ("smoke", 1)
    assert walk["tasks"] == {"run": 2, "cached": 0, "failed": 0}
    assert walk["table"] == f"{out_folder}/toy/walk/smoke/table.parquet"
    assert walk["figures"] == [f"{out_folder}/toy/walk/smoke/figure.{kind}" for kind in ("png", "pdf")]
    for path in (walk["table"], *walk["figures"]):
        assert os.path.getsize(path)
    assert set(walk["guarantees"][0]) >= GUARANTEE
    assert walk["guarantees"][0]["verdict"] == "holds"


def test_run_over_several_experiments_ends_with_a_summary(call):
    code, out, _ = call("run", "toy/walk", "other/fig1", "--scale", "smoke", "--seeds", "1")
    assert code == 0
    assert out.splitlines()[-1].startswith("4 hold; ")


def test_a_violated_claim_is_exit_1(call):
    code, out, err = call("run", "toy/false", "--scale", "smoke", "--seeds", "1")
    assert (code, err) == (1, "")
    assert re.search(r"^toy/false\[all\] +violated +0.5 +<= -1 +-1.5 +a \| b", out, re.MULTILINE)


def test_a_failed_task_is_exit_1_and_named(call):
    code, out, err = call("run", "toy/failing", "--scale", "smoke", "--seeds", "1", "--json")
    assert code == 1
    assert "failed: toy/failing [n=4, fails=True] seed 0: RuntimeError: this cell fails" in one_line(err)
    (entry,) = json.loads(out)["experiments"]
    assert entry["tasks"] == {"run": 1, "cached": 0, "failed": 1}
    assert len(entry["failures"]) == 1


def test_a_damaged_shard_is_named_on_stderr(call, tmp_path):
    call("run", "toy/walk", "--scale", "smoke", "--seeds", "1")
    victim = sorted((tmp_path / "learnability-results/tasks/toy/walk").glob("*.parquet"))[0]
    victim.write_bytes(victim.read_bytes()[:-3])
    code, out, err = call("run", "toy/walk", "--scale", "smoke", "--seeds", "1")
    assert code == 0
    assert victim.name in one_line(err)
    assert "tasks: 1 run, 1 cached;" in out


WRONG = {
    "unknown experiment": (["run", "toy/wolk"], "unknown experiment 'toy/wolk'; did you mean 'toy/walk'?"),
    "no experiment": (["run"], "Missing argument"),
    "no seeds": (["run", "toy/walk", "--seeds", "0"], "seeds must be >= 1, got 0"),
    "no workers": (["run", "toy/walk", "--workers", "0"], "workers must be >= 1, got 0"),
    "negative workers": (["run", "toy/walk", "--workers", "-1"], "workers must be >= 1, got -1"),
    "no folder": (["run", "toy/walk", "--out", ""], "out must be the path of a folder, got ''"),
    "no folder to report": (["report", "--out", ""], "out must be the path of a folder, got ''"),
    "no folder for verdicts": (["verify", "--out", ""], "out must be the path of a folder, got ''"),
    "no number": (["run", "toy/walk", "--seeds", "x"], "Invalid value for '--seeds'"),
    "unknown scale": (
        ["run", "toy/walk", "--scale", "huge"],
        "scale must be one of 'smoke', 'laptop', 'paper', got 'huge'",
    ),
    "unknown option": (["run", "toy/walk", "--sclae", "smoke"], "No such option: --sclae"),
    "unknown command": (["frobnicate"], "No such command 'frobnicate'."),
    "unwritable": (["run", "toy/walk", "--out", "/dev/null/x"], "out must be a writable folder, got '/dev/null/x'"),
    "scheduler": (["run", "toy/walk", "--scheduler", "nonsense"], "scheduler must be the address of a running Dask"),
    "unknown statement": (["verify", "toy/theorm1"], "unknown statement 'toy/theorm1'; did you mean 'toy/theorem1'?"),
    "no paper scale": (["verify", "--scale", "paper"], "scale must be one of 'smoke', 'laptop', got 'paper'"),
    "nothing to report": (["report", "--out", "nowhere"], "out must be a folder with results"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_exit_2_and_one_line(call, case):
    arguments, message = WRONG[case]
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert one_line(err).startswith(message)


def test_an_unexpected_error_is_exit_1_and_says_how_to_see_more(call, monkeypatch):
    def broken():
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(study, "experiments", broken)
    code, out, err = call("list")
    assert (code, out) == (1, "")
    assert one_line(err) == "ZeroDivisionError: inside (LEARNABILITY_DEBUG=1 shows the traceback)"
    monkeypatch.setenv("LEARNABILITY_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["learnability", "list"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_verify(call):
    code, out, err = call("verify", "toy/lemma*", "--scale", "smoke")
    assert (code, err) == (0, "")
    assert re.search(r"^toy/lemma1\[n=2\] +holds +0.25 +<= 1 +0.75", out, re.MULTILINE)
    assert re.search(r"^toy/lemma2 +outside_hypotheses +9 +<= 1 +-8 +fails: n large", out, re.MULTILINE)
    assert out.splitlines()[-1].startswith("1 hold, 1 outside hypotheses, 1 not measured; ")


def test_verify_json_with_violation_and_unfinished_check(call, tmp_path):
    code, out, err = call("verify", "--json", "--out", str(tmp_path / "kept"))
    assert code == 1
    assert one_line(err).startswith("failed: toy/unfinished: ZeroDivisionError: in the middle (toys.py:")
    printed = json.loads(out)
    assert [g["id"] for g in printed["guarantees"]] == [
        "toy/lemma1[n=3]", "toy/lemma2", "toy/lemma2[open]", "toy/theorem1",
    ]  # fmt: skip
    assert all(set(g) >= GUARANTEE for g in printed["guarantees"])
    assert printed["guarantees"][2]["bound"] is None
    assert len(printed["failures"]) == 1
    assert printed["seconds"] >= 0
    assert (tmp_path / "kept/verify/verdicts.json").exists()
    assert call("verify", "toy/theorem1")[0] == 1
    assert call("verify", "toy/lemma1")[0] == 0


def test_report(call, tmp_path):
    call("run", "toy/walk", "--scale", "smoke", "--seeds", "1")
    code, out, err = call("report")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "1 result: 2 hold",
        "learnability-results/report.html",
        "learnability-results/report.md",
    ]
    call("run", "toy/false", "--scale", "smoke", "--seeds", "1")
    code, out, _ = call("report", "--json")
    assert code == 1, "a claim is violated"
    printed = json.loads(out)
    assert [entry["id"] for entry in printed["experiments"]] == ["toy/false", "toy/walk"]
    assert printed["experiments"][0]["guarantees"][0]["verdict"] == "violated"
    assert os.path.getsize(printed["report"])


def spawn(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "toys", *arguments],
        env=toys.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.skipif(os.name != "posix", reason="sends a signal to a process group")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_in_mid_sweep_keeps_finished_tasks_and_the_same_command_does_the_rest(tmp_path, workers):
    out = tmp_path / "out"
    shards = out / "tasks/toy/slow"
    command = ["run", "toy/slow", "--workers", workers, "--out", str(out)]
    process = spawn(*command)
    try:
        deadline = time.monotonic() + 60
        while len(list(shards.glob("*.json"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process
        printed, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, printed) == (130, "")
    assert one_line(errors) == f"interrupted: finished tasks are kept in {out}; the same command does the rest"
    kept = {path.name: path.read_bytes() for path in shards.glob("*.parquet")}
    assert 2 <= len(kept) < 8
    process = spawn(*command, "--json")
    printed, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    (entry,) = json.loads(printed)["experiments"]
    assert entry["tasks"] == {"run": 8 - len(kept), "cached": len(kept), "failed": 0}
    assert kept.items() <= {path.name: path.read_bytes() for path in shards.glob("*.parquet")}.items()


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["--help"]])
def test_a_reader_that_goes_away_is_no_violated_claim(arguments):
    process = spawn(*arguments)
    process.stdout.close()
    errors = process.stderr.read()
    process.wait(timeout=60)
    process.stderr.close()
    assert (process.returncode, errors) == (141, "")


@pytest.mark.skipif(os.name != "posix", reason="closes a stream as a shell does")
def test_a_closed_stdout_is_no_error():
    command = f"{sys.executable} -m toys list >&-"
    ended = subprocess.run(command, shell=True, env=toys.environment(), capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("width", ["40", "80"])
def test_narrow_terminals_show_everything(call, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    code, out, err = call("list")
    assert (code, err) == (0, "")
    for name in toys.TOYS:
        assert f"{name}\n  Title of {name}" in "\n".join(line.rstrip() for line in out.splitlines())
    assert "smoke: 4 tasks, 0.1 s; laptop: 9 tasks" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= int(width)
    _, out, _ = call("run", "toy/false", "--scale", "smoke", "--seeds", "1")
    assert "toy/false[all] violated measured 0.5, bound <= -1, slack -1.5 a | b" in " ".join(out.split())


def test_help_says_what_the_exit_codes_mean(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "130 interrupted by Ctrl-C" in call("--help")[1]
    assert "exit code 130" in call("run", "--help")[1]
