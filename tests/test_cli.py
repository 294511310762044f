"""The command line: what it prints where, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import psutil
import pytest
from typer.testing import CliRunner

import learnability
import toys
from learnability import api, cli, discovery, records, signals, study
from learnability.cli import terminal
from learnability.discovery import Catalogue
from learnability.errors import RequestError
from learnability.results.parquet import in_memory
from learnability.runner import Progress, attempt
from learnability.sweep.perform import perform
from learnability.theory import Guarantee, Kind

GUARANTEE = {"id", "source", "kind", "hypotheses", "bound", "measured", "slack", "verdict", "note"}


@pytest.fixture
def call(toy_laboratory, tmp_path, monkeypatch, capfd):
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(terminal, "FIRST_LINE", 1e3)  # however busy the machine is

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


def test_list_statements(call):
    code, out, err = call("list", "--statements")
    assert (code, err) == (0, "")
    assert re.search(r"^toy/lemma1 +Nobody, Lemma 1 *$", out, re.MULTILINE)
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(toys.CHECKS)


def test_list_json(call):
    code, out, err = call("list", "--json")
    assert (code, err) == (0, "")
    printed = json.loads(out)
    assert printed["statements"][0] == {"id": "toy/lemma1", "source": "Nobody, Lemma 1", "needs": []}
    assert [statement["id"] for statement in printed["statements"]] == list(toys.CHECKS)
    listed = printed["experiments"]
    assert [entry["id"] for entry in listed] == list(toys.TOYS)
    for entry in listed:
        assert {"id", "title", "source", "scales"} <= set(entry)
        assert set(entry["scales"]) == {"smoke", "laptop", "paper"}
    walk = next(entry for entry in listed if entry["id"] == "toy/walk")
    assert walk["scales"]["smoke"] == {"tasks": 4, "seconds": 0.1, "seeds": 2, "free": {}}
    assert walk["scales"]["laptop"]["tasks"] == 9


def test_run_prints_the_answer(call, tmp_path):
    code, out, err = call("run", "toy/walk", "--scale", "smoke")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    head, *rest = out.splitlines()
    assert head.startswith("toy/walk (smoke, 2 seeds; tasks: 4 run;")
    assert rest == [
        "2 hold; no record",
        "figure: learnability-results/toy/walk/smoke/figure.png",
        "every claim (or --verbose): learnability-results/toy/walk/smoke/verdicts.md",
    ]
    assert (tmp_path / rest[1].removeprefix("figure: ")).exists()
    assert "toy/walk[finite]" in (tmp_path / rest[2].partition(": ")[2]).read_text()
    code, out, _ = call("run", "toy/walk", "--scale", "smoke")
    assert "tasks: 0 run, 4 cached;" in out


def test_everything_is_printed_when_asked_for(call):
    code, out, err = call("run", "toy/walk", "--scale", "smoke", "--verbose")
    assert (code, err) == (0, "")
    assert re.search(r"^toy/walk\[finite\] +holds ", out, re.MULTILINE)
    assert "learnability-results/toy/walk/smoke/figure.pdf" in out.splitlines()
    assert out.splitlines()[-3] == "2 hold; no record"


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
    assert walk["tasks"] == {"run": 2, "cached": 0, "failed": 0, "missing": 0}
    assert walk["table"] == f"{out_folder}/toy/walk/smoke/table.parquet"
    assert walk["figures"] == [f"{out_folder}/toy/walk/smoke/figure.{kind}" for kind in ("png", "pdf")]
    for path in (walk["table"], *walk["figures"]):
        assert os.path.getsize(path)
    assert set(walk["guarantees"][0]) >= GUARANTEE
    assert walk["guarantees"][0]["verdict"] == "holds"


def test_several_experiments_have_a_line_each(call):
    code, out, _ = call("run", "toy/walk", "toy/false", "other/fig1", "--scale", "smoke", "--seeds", "1")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("3 experiments (smoke; tasks: 6 run; ")
    assert lines[1:] == [
        "4 hold, 1 violated; no record",
        "other/fig1  2 hold",
        "toy/false   1 violated",
        "toy/walk    2 hold",
        "violated  toy/false[all]  0.5, not <= -1; a | b",
        "every claim (or --verbose): learnability-results/<experiment>/smoke/verdicts.md",
    ]


def test_a_violated_claim_is_shown_and_exit_1_only_if_asked_for(call):
    command = ["run", "toy/false", "--scale", "smoke", "--seeds", "1"]
    code, out, err = call(*command)
    assert (code, err) == (0, "")
    assert "violated  toy/false[all]  0.5, not <= -1; a | b" in out.splitlines()
    assert call(*command, "--strict")[0] == 1
    assert call(*command, "--strict", "--json")[0] == 1
    assert call("run", "toy/walk", "--scale", "smoke", "--strict")[0] == 0


def many(table):
    """Claims of all kinds, sixty of them violated or not to be told, with long names and notes."""
    name = "a-name-that-is-not-so-short"
    said = "mean 0.5, 95 % interval 0 to 1 over 3 seeds: too wide to tell; what this is about"
    bad = [
        Guarantee(f"toy/{name}[{i}]", "Nobody", Kind.UPPER_BOUND, 0.0, 1.0, note="a note " * 30) for i in range(30)
    ]
    open_ = [Guarantee(f"toy/{name}[{i}]", "Nobody", Kind.UPPER_BOUND, 0.0, note=said) for i in range(30, 60)]
    return [*open_, *bad, Guarantee(f"toy/{name}[60]", "Nobody", Kind.UPPER_BOUND, 0.0, 0.0)]


@pytest.mark.parametrize("width", [40, 120])
def test_an_answer_has_at_most_25_lines(call, monkeypatch, width):
    toy = toys.experiment("toy/many", *toys.SMALL, claims=many)
    others = [toys.experiment(f"toy/fig{i}", *toys.SMALL) for i in range(20)]
    checks = {f"toy/lemma{i}": study.Check(f"lemma{i}", "Nobody", lambda scale: many(None)) for i in range(40)}
    found = Catalogue(toys.STUDIES, {e.id: e for e in (toy, *others)}, checks, toys.HOMES)
    monkeypatch.setattr(discovery, "installed", lambda *_: found)
    monkeypatch.setenv("COLUMNS", str(width))
    options = ["--scale", "smoke", "--seeds", "1"]
    answers = [call("run", "toy/many", *options)[1], call("run", "toy", *options)[1], call("verify")[1]]
    for answer in answers:
        assert sum(-(-max(len(line), 1) // width) for line in answer.splitlines()) <= 25
        assert re.search(r"^\.\.\. and \d+ more \(--verbose\)$", answer, re.MULTILINE)
        assert "violated" in answer
    assert "1 hold, 30 violated, 30 not measured" in " ".join(answers[0].split())
    assert "20 of which every claim holds" in answers[1]


def test_what_is_told_first_of_a_claim_that_cannot_be_told(call, monkeypatch):
    toy = toys.experiment("toy/many", *toys.SMALL, claims=lambda table: many(table)[28:30])
    monkeypatch.setattr(discovery, "installed", lambda *_: Catalogue(toys.STUDIES, {toy.id: toy}, {}, toys.HOMES))
    _, out, _ = call("run", "toy", "--scale", "smoke", "--seeds", "1")
    start = "not measured  toy/a-name-that-is-not-so-short[58]  <= 0?; mean 0.5, 95 % interval 0 to 1 over 3 seeds: "
    assert any(line.startswith(start) for line in out.splitlines())


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Records in a folder of the test's own."""
    monkeypatch.setattr(records, "path_of", lambda home: tmp_path / "records" / home.study.name / "record.json")
    records._read.cache_clear()
    yield tmp_path / "records"
    records._read.cache_clear()


def test_a_verdict_that_is_not_as_recorded_is_shown_and_exit_1(call, shelf, monkeypatch):
    call("run", "toy/walk")
    call("verify", "toy/lemma1")
    assert call("record", "toy")[0] == 0
    code, out, err = call("run", "toy/walk")
    assert (code, err) == (0, "")
    assert "2 hold; as recorded" in out.splitlines()
    code, out, _ = call("verify", "toy/lemma*")
    assert code == 0
    assert out.splitlines()[0] == (
        "toy (laptop): 2 statements, 1 hold, 1 outside hypotheses, 1 not measured; as recorded, 1 without a record"
    )
    assert json.loads(call("verify", "toy/lemma1", "--json")[1])["differs"] == []

    def claims(table):
        return [replace(toys.judge(table)[0], bound=0.0)]

    monkeypatch.setitem(toys.TOYS, "toy/walk", toys.experiment("toy/walk", *toys.SMALL, claims=claims))
    code, out, err = call("run", "toy/walk")
    assert (code, err) == (1, "")
    assert "1 violated; 2 not as recorded" in out.splitlines()
    assert re.search(r"^violated  toy/walk\[finite\]  recorded: holds; [\d.]+, not <= 0$", out, re.MULTILINE)
    assert "gone      toy/walk[moves]   recorded: holds" in out.splitlines()
    code, out, _ = call("run", "toy/walk", "--json")
    assert code == 1
    assert json.loads(out)["experiments"][0]["differs"][1] == {
        "id": "toy/walk[moves]", "recorded": "holds", "now": None,
    }  # fmt: skip
    monkeypatch.setitem(
        toys.CHECKS, "toy/lemma1", study.Check("lemma1", "Nobody, Lemma 1", toys.unmet, toys.HOMES["toy"])
    )
    code, out, _ = call("verify", "toy/lemma1")
    assert code == 1
    assert "3 not as recorded" in out


def test_a_record_of_another_version_is_no_record_and_says_why(call, shelf):
    path = shelf / "toy/record.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"format": 7}')
    code, out, err = call("run", "toy/walk", "--scale", "smoke")
    assert (code, err) == (0, "")
    assert "2 hold; no record (the record of toy has format 7, this version reads 1)" in out.splitlines()


def test_a_failed_task_is_exit_1_and_named(call):
    code, out, err = call("run", "toy/failing", "--scale", "smoke", "--seeds", "1", "--json")
    assert code == 1
    assert "failed: toy/failing [n=4, fails=True] seed 0: RuntimeError: this cell fails" in one_line(err)
    (entry,) = json.loads(out)["experiments"]
    assert entry["tasks"] == {"run": 1, "cached": 0, "failed": 1, "missing": 0}
    assert len(entry["failures"]) == 1


def test_a_damaged_shard_is_named_on_stderr(call, tmp_path):
    call("run", "toy/walk", "--scale", "smoke", "--seeds", "1")
    victim = sorted((tmp_path / "learnability-results/tasks/toy/walk").glob("*.parquet"))[0]
    victim.write_bytes(victim.read_bytes()[:-3])
    code, out, err = call("run", "toy/walk", "--scale", "smoke", "--seeds", "1")
    assert code == 0
    assert victim.name in one_line(err)
    assert "tasks: 2 run;" in out


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
        "scale must be one of smoke, laptop, paper for toy/walk, got 'huge'",
    ),
    "unknown option": (["run", "toy/walk", "--sclae", "smoke"], "No such option"),
    "unknown command": (["frobnicate"], "No such command 'frobnicate'."),
    "scheduler": (["run", "toy/walk", "--scheduler", "nonsense"], "scheduler must be the address of a running Dask"),
    "unknown statement": (["verify", "toy/theorm1"], "unknown statement 'toy/theorm1'; did you mean 'toy/theorem1'?"),
    "no paper scale": (["verify", "--scale", "paper"], "scale must be one of 'smoke', 'laptop', got 'paper'"),
    "nothing to report": (["report", "--out", "nowhere"], "out must be a folder with results"),
}
if os.name == "posix":  # elsewhere any folder may be called so
    place = "/dev/null/x"
    WRONG["unwritable"] = ["run", "toy/walk", "--out", place], f"out must be a writable folder, got '{place}'"


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_exit_2_and_one_line(call, case):
    arguments, message = WRONG[case]
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert one_line(err).startswith(message)


def test_an_unexpected_error_is_exit_1_and_says_how_to_see_more(call, monkeypatch):
    def broken():
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(discovery, "installed", broken)
    code, out, err = call("list")
    assert (code, out) == (1, "")
    assert one_line(err) == "ZeroDivisionError: inside (LEARNABILITY_DEBUG=1 shows the traceback)"
    monkeypatch.setenv("LEARNABILITY_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["learnability", "list"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_verify(call, tmp_path):
    code, out, err = call("verify", "toy/lemma*", "--scale", "smoke")
    assert (code, err) == (0, "")
    head, seconds, *rest = out.splitlines()
    assert head == "toy (smoke): 2 statements, 1 hold, 1 outside hypotheses, 1 not measured; no record"
    assert re.fullmatch(r"[\d.]+ s", seconds)
    assert rest == [
        "not measured  toy/lemma2[open]  no bound; bound was inf",
        "every case (or --verbose): learnability-results/<study>/verify/smoke/verdicts.md",
    ]
    assert "toy/lemma1[n=2]" in (tmp_path / "learnability-results/toy/verify/smoke/verdicts.md").read_text()
    code, out, err = call("verify", "toy/lemma*", "--scale", "smoke", "--verbose")
    assert (code, err) == (0, "")
    assert re.search(r"^toy/lemma1\[n=2\] +holds +0.25 +<= 1 +0.75", out, re.MULTILINE)
    assert re.search(r"^toy/lemma2 +outside_hypotheses +9 +<= 1 +-8 +fails: n large", out, re.MULTILINE)
    assert head in out.splitlines()


def test_a_statement_is_one_line_whatever_its_cases(call, monkeypatch):
    def cases(scale):
        unmet = toys.unmet(scale)[0]
        return [toys.bounded(scale)[0], *(replace(unmet, id=f"toy/lemma2[n={n}]") for n in range(5))]

    monkeypatch.setitem(toys.CHECKS, "toy/lemma2", study.Check("lemma2", "Nobody, Lemma 2", cases, toys.HOMES["toy"]))
    code, out, _ = call("verify", "toy/lemma2")
    assert code == 0
    assert "outside hypotheses  toy/lemma2  5 of 6 cases, first: fails: n large" in out.splitlines()


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
    assert printed["differs"] is None
    assert printed["seconds"] >= 0
    assert (tmp_path / "kept/toy/verify/laptop/verdicts.json").exists()
    assert call("verify", "toy/theorem1")[0] == 0
    assert call("verify", "toy/theorem1", "--strict")[0] == 1
    assert call("verify", "toy/lemma1", "--strict")[0] == 0


def test_an_interrupted_verify_keeps_what_was_checked(call, monkeypatch, tmp_path):
    def stopped(scale):
        raise KeyboardInterrupt

    monkeypatch.setitem(
        toys.CHECKS, "toy/lemma2", study.Check("lemma2", "Nobody, Lemma 2", stopped, toys.HOMES["toy"])
    )
    code, out, err = call("verify")
    assert (code, out) == (130, "")
    assert one_line(err) == "interrupted: statements checked so far are kept in learnability-results"
    kept = json.loads((tmp_path / "learnability-results/toy/verify/laptop/verdicts.json").read_text())
    assert [g["id"] for g in kept["guarantees"]] == ["toy/lemma1[n=3]"]


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
    call("verify", "toy/lemma1")
    code, out, _ = call("report", "--json")
    assert code == 0
    printed = json.loads(out)
    assert [entry["id"] for entry in printed["experiments"]] == ["toy/false", "toy/verify", "toy/walk"]
    assert printed["experiments"][0]["guarantees"][0]["verdict"] == "violated"
    assert os.path.getsize(printed["report"])
    assert call("report", "--strict")[0] == 1, "a claim is violated"


def test_completion_knows_experiments_statements_and_studies(toy_laboratory):
    def completed(line):
        words = {
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
            "_LEARNABILITY_COMPLETE": "complete_bash",
        }
        return CliRunner().invoke(cli.app, [], prog_name="learnability", env=words).stdout.split()

    assert completed("learnability run toy/f") == ["toy/failing", "toy/false"]
    assert completed("learnability run o") == ["other", "other/fig1"]
    assert completed("learnability verify toy/t") == ["toy/theorem1"]
    assert "verify" in completed("learnability v")


def test_the_package_is_a_program():
    ended = subprocess.run(
        [sys.executable, "-m", "learnability", "--version"], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (0, f"learnability {learnability.__version__}\n")


def test_off_a_terminal_progress_is_a_plain_line_now_and_then(monkeypatch, capfd):
    monkeypatch.setattr(terminal, "FIRST_LINE", 0.02)
    monkeypatch.setattr(terminal, "LAST_INTERVAL", 0.02)

    def next_line(pattern):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for line in capfd.readouterr().err.splitlines():
                if re.fullmatch(f"learnability: {pattern}", line):
                    return True
            time.sleep(0.01)
        return False

    with terminal.progress("tasks") as advance:
        advance(Progress("", 0, 190, 0.0, 100.0))
        assert next_line("0/190 tasks")
        advance(Progress("toy/walk", 12, 190, 50.0, 100.0))
        assert next_line(r"12/190 tasks, about [\d.]+ s left: toy/walk")
        advance(Progress("toy/walk", 190, 190, 100.0, 100.0))
        time.sleep(0.1)
        capfd.readouterr()
        time.sleep(0.1)
    assert capfd.readouterr() == ("", "")
    with terminal.progress("tasks"):
        pass
    assert capfd.readouterr() == ("", "")


HANG = 600  # seconds after which a process is taken to hang: no test waits for it


def spawn(*arguments, **environment):
    # A shell's background jobs are deaf to Ctrl-C, and so are the tests in one.
    hearing = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)} if os.name == "posix" else {}
    return subprocess.Popen(
        [sys.executable, "-m", "toys", *arguments],
        env={**toys.environment(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **hearing,
    )


def stored(out, name="toy/slow"):
    """How many tasks are kept."""
    return sum(len(json.loads(path.read_text())["tasks"]) for path in (out / "tasks" / name).glob("*.json"))


@pytest.mark.skipif(os.name != "posix", reason="sends a signal to a process group")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_in_mid_sweep_keeps_finished_tasks_and_the_same_command_does_the_rest(tmp_path, workers):
    out, gate = tmp_path / "out", tmp_path / "gate"
    shards = out / "tasks/toy/slow"
    command = ["run", "toy/slow", "--workers", workers, "--out", str(out)]
    gate.mkdir()
    for ticket in ("one", "two"):  # two tasks pass, the others wait
        (gate / ticket).touch()
    process = spawn(*command, TOYS_GATE=str(gate))
    try:
        limit = time.monotonic() + HANG
        waiting = int(workers)  # processes that have done what passed, and stand before the gate
        while len(list(tmp_path.glob("waiting-*"))) < waiting or any(gate.iterdir()):
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process
        printed, errors = process.communicate(timeout=HANG)
    finally:
        process.kill()
    assert (process.returncode, printed) == (130, "")
    assert one_line(errors) == f"interrupted: finished tasks are kept in {out}; the same command does the rest"
    kept = {path.name: path.read_bytes() for path in shards.iterdir()}
    assert stored(out) == 2
    process = spawn(*command, "--json")  # without the gate
    printed, errors = process.communicate(timeout=HANG)
    assert (process.returncode, errors) == (0, "")
    (entry,) = json.loads(printed)["experiments"]
    assert entry["tasks"] == {"run": 6, "cached": 2, "failed": 0, "missing": 0}
    assert kept.items() <= {path.name: path.read_bytes() for path in shards.iterdir()}.items()


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_keeps_finished_tasks_and_ends_the_workers(tmp_path, workers):
    out = tmp_path / "out"
    process = spawn("run", "toy/slow", "--workers", workers, "--out", str(out))
    try:
        deadline = time.monotonic() + HANG
        while not list(out.glob("tasks/toy/slow/*.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
        children = psutil.Process(process.pid).children(recursive=True)
        assert (len(children) >= 2) == (workers == "2")
        process.terminate()  # that process alone
        printed, errors = process.communicate(timeout=HANG)
    finally:
        process.kill()
    assert (process.returncode, printed) == (143, "")
    assert one_line(errors) == f"terminated: finished tasks are kept in {out}; the same command does the rest"
    assert psutil.wait_procs(children, timeout=20)[1] == []
    assert 1 <= stored(out) < 8


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["--help"]])
def test_a_reader_that_goes_away_is_no_violated_claim(arguments):
    process = spawn(*arguments)
    process.stdout.close()
    errors = process.stderr.read()
    process.wait(timeout=HANG)
    process.stderr.close()
    assert (process.returncode, errors) == (141, "")


@pytest.mark.skipif(os.name != "posix", reason="closes a stream as a shell does")
def test_a_closed_stdout_is_no_error():
    command = f"{sys.executable} -m toys list >&-"
    ended = subprocess.run(command, shell=True, env=toys.environment(), capture_output=True, text=True, timeout=HANG)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="closes streams as a shell does")
def test_without_any_terminal_nothing_is_lost(tmp_path):
    command = f"{sys.executable} -m toys run toy/walk --scale smoke --out {tmp_path} <&- >&- 2>&-"
    assert subprocess.run(command, shell=True, env=toys.environment() | {"TERM": ""}, timeout=60).returncode == 0
    assert (tmp_path / "toy/walk/smoke/verdicts.md").exists()


@pytest.mark.parametrize("width", ["40", "80"])
def test_narrow_terminals_show_everything(call, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    code, out, err = call("list")
    assert (code, err) == (0, "")
    for name in toys.TOYS:
        assert f"{name}\n  Title of {name}" in "\n".join(line.rstrip() for line in out.splitlines())
    assert "smoke: 4 tasks, 0.1 s; laptop: 9 tasks" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= int(width)
    _, out, _ = call("list", "--statements")
    assert "toy/lemma1\n  Nobody, Lemma 1" in "\n".join(line.rstrip() for line in out.splitlines())
    command = ["run", "toy/false", "--scale", "smoke", "--seeds", "1"]
    _, out, _ = call(*command)
    assert "toy/false[all]\n  violated: 0.5, not <= -1; a | b\n" in out
    _, out, _ = call(*command, "--verbose")
    assert "toy/false[all] violated measured 0.5, bound <= -1, slack -1.5 a | b" in " ".join(out.split())
    code, out, err = call("run", "toy/wolk")
    assert (code, out) == (2, "")
    assert one_line(err) == "unknown experiment 'toy/wolk'; did you mean 'toy/walk'?"


@pytest.mark.parametrize("columns", ["0", "", "wide", "3"])
def test_whatever_columns_says_the_answer_is_printed(call, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    code, out, err = call("run", "toy/false", "--scale", "smoke", "--seeds", "1")
    assert (code, err) == (0, "")
    assert "toy/false[all]" in out
    assert "1 violated; no record" in " ".join(out.split())
    assert "toy/walk" in call("list")[1]


def test_help_says_what_the_exit_statuses_mean(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    said = " ".join(call("--help")[1].split())
    for status in ("0 the work was done", "130 interrupted by Ctrl-C", "143 terminated by SIGTERM"):
        assert status in said
    said = " ".join(call("run", "--help")[1].replace("│", " ").split())
    assert "exit status 130" in said
    assert "the cores there are" in said


@pytest.mark.skipif(sys.platform == "win32", reason="kill there ends a process without a word")
@pytest.mark.parametrize(
    ("number", "word", "code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_a_signal_while_the_command_line_is_imported_ends_with_a_line(number, word, code):
    script = (
        "import atexit, os, signal, sys\nfrom learnability import __main__ as entry\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Finder:\n    def find_spec(self, name, path, target=None):\n"
        f"        if name == 'learnability.cli': os.kill(os.getpid(), {int(number)})\n"
        f"sys.meta_path.insert(0, Finder())\natexit.register(os.kill, os.getpid(), {int(number)})\nentry.main()"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", f"learnability: {word}\n")


@pytest.mark.skipif(sys.platform == "win32", reason="kill there ends a process without a word")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_answer_changes_nothing(number):
    script = (
        "import atexit, os, signal, sys\nfrom learnability import __main__ as entry\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"atexit.register(os.kill, os.getpid(), {int(number)})\n"
        "sys.argv = ['learnability', '--version']\nentry.main()"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"learnability {learnability.__version__}\n", "")


@pytest.mark.parametrize("within", ["a command", "a figure or a claim", "a task"])
@pytest.mark.parametrize(("number", "word", "code"), [(2, "interrupted", 130), (15, "terminated", 143)])
def test_a_signal_that_a_library_makes_an_error_of_its_own_is_told_as_one(number, word, code, within, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def query():
        try:
            signals.stop(number, None)
        except BaseException:
            raise RuntimeError("Query interrupted") from None

    def fault(*_):
        raise RuntimeError("its own")

    failures = []
    tried = {
        "a command": lambda function: function(),
        "a figure or a claim": lambda function: attempt("figure", function, failures, tell=False),
        "a task": lambda function: perform(lambda setting, seed: function(), {}, 0)[1],
    }[within]
    with pytest.raises(terminal.Stopped, match=f"{word}: rows") as stopped, terminal.stoppable("rows"):
        tried(query)
    assert stopped.value.code == code
    assert not failures
    with contextlib.suppress(RuntimeError), terminal.stoppable("rows"):
        failures.append(tried(fault))  # without a signal it is a failure like any other
    assert ("its own" in str(failures)) == (within != "a command")


def test_memory_that_runs_out_in_a_library_is_a_line_and_what_is_finished_is_kept(call):
    assert call("run", "toy/walk", "--scale", "smoke", "--seeds", "1", "--out", "out")[0] == 0
    with in_memory() as (connection, _):
        connection.execute("SET memory_limit = '64kB'")
    code, out, err = call("run", "toy/walk", "--scale", "smoke", "--out", "out")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("learnability: out of memory: Out of Memory Error: ")
    assert err.endswith(" to this process: finished tasks are kept in out; the same command does the rest\n")
    dry = json.loads(call("run", "toy/walk", "--scale", "smoke", "--out", "out", "--dry-run", "--json")[1])
    assert dry["experiments"][0]["tasks"] == {"run": 2, "cached": 2, "failed": 0, "parts": 0}


def test_what_was_made_of_an_error_for_want_of_memory_is_no_wrong_request(call, monkeypatch):
    def read(*_, **__):
        try:
            raise MemoryError("no room")
        except MemoryError as error:
            raise RequestError("file.npy is damaged") from error

    monkeypatch.setattr(api, "named", read)
    code, out, err = call("list", "file.npy")
    assert (code, out) == (1, "")
    assert err.startswith("learnability: out of memory: no room; ")


def test_a_system_that_gives_no_threads_is_no_interrupt(monkeypatch):
    assert terminal.ended_by(signal.SIGINT) == ("interrupted", 130)

    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    said, code = terminal.ended_by(signal.SIGINT)
    assert (said.partition(":")[0], code) == ("no thread can be started", 1)
    assert terminal.ended_by(signal.SIGTERM) == ("terminated", 143)
