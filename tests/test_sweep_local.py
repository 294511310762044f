"""Tasks in processes of this machine: the same rows, and nothing that a task does stops the others."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import traceback
from contextlib import closing, suppress

import psutil
import pytest

import sweeping
import toys
from learnability import provenance, sweep
from learnability.sweep import SweepWarning, batches, local, process
from sweeping import by_key, collect, execute, task, worker_processes

posix = pytest.mark.skipif(os.name != "posix", reason="ends or stops a process by a signal")

WORKERS_HAVE = {
    "PYTHONSAFEPATH": "1",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    **dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), str(2**28)),
}


def environment_of_worker(setting, seed):
    from threadpoolctl import threadpool_info

    threads = max(pool["num_threads"] for pool in threadpool_info())
    deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if hasattr(os, "getsid"):  # Ctrl-C is for the caller's session, whatever this process does about it
        deaf = deaf and os.getsid(0) == os.getpid()
    values = {name: os.environ.get(name, "unset") for name in WORKERS_HAVE}
    return [{"pid": os.getpid(), "threads": threads, "deaf": deaf, **values}]


def test_local_workers_give_the_rows_of_this_process():
    pending = toys.tasks(toys.TOYS["toy/walk"], "laptop") + toys.tasks(toys.TOYS["toy/failing"], "smoke", 1)
    where = task({"n": 1}, run=environment_of_worker)
    here = execute(pending)
    before = dict(os.environ)
    there = execute([*pending, where], workers=2)
    assert dict(os.environ) == before
    (told,) = [done for done in there if done.task is where]
    assert by_key(here) == by_key(done for done in there if done.task is not where)
    (failed,) = [done for done in there if done.error]
    assert failed.error.startswith("RuntimeError: this cell fails (toys.py:")
    (row,) = told.rows
    assert row["pid"] != os.getpid()
    assert (row["threads"], row["deaf"]) == (1, True)
    assert {name: row[name] for name in WORKERS_HAVE} == WORKERS_HAVE


def noisy(setting, seed):
    print("from Python")
    os.write(1, b"from below\n")
    assert sys.stdin.read() == ""
    return [{"x": 1}]


def leaves(setting, seed):
    sys.exit("enough")


def test_what_tasks_print_read_or_leave_by_is_kept_from_the_pipes(capfd):
    done = execute([task({"n": 1}, run=noisy), task({"n": 2}, run=leaves)], workers=2)
    assert {d.task.setting["n"]: (d.error or "").partition(" (")[0] for d in done} == {1: "", 2: "SystemExit: enough"}
    out, err = capfd.readouterr()
    assert out == ""
    assert sorted(err.splitlines()) == ["from Python", "from below"]


def test_functions_travel_by_value_and_one_that_cannot_fails_its_task_alone():
    held = threading.Lock()
    good = task({"n": 1}, run=lambda setting, seed: [{"x": setting["n"]}])
    bad = task({"n": 2}, run=lambda setting, seed: [{"x": held.locked()}])
    by_n = {done.task.setting["n"]: done for done in execute([bad, good], workers=2)}
    assert by_n[1].rows == [{"n": 1, "seed": 0, "x": 1}]
    assert by_n[2].error.startswith("TypeError: cannot pickle")


def test_debugging_shows_a_worker_s_traceback(monkeypatch):
    monkeypatch.setenv("LEARNABILITY_DEBUG", "1")
    with pytest.raises(RuntimeError, match="this cell") as caught:
        execute(toys.tasks(toys.TOYS["toy/failing"], "smoke", 1), workers=2)
    assert re.search(r"(?s)Traceback.*toys.py.*this cell", "".join(traceback.format_exception(caught.value)))


@posix
def test_deadly_tasks_are_found_and_stop_no_others():
    fates = {
        -signal.SIGKILL: "by SIGKILL: memory may have run out",
        -signal.SIGSEGV: "by SIGSEGV",
        3: "with exit status 3",
        0: "with exit status 0",
    }
    pending = toys.tasks(toys.TOYS["toy/walk"], "laptop")
    deadly = [task({"n": n, "dies": int(how)}) for n, how in enumerate(fates)]
    first, *others = deadly
    done = execute([first, *pending[:4], *others, *pending[4:]], workers=2, expected={"toy/walk": 1e-3})
    assert {d.task.key: (d.error, d.fate) for d in done if d.error} == {
        t.key: (f"its worker died 3 times, the last time {fates[t.setting['dies']]}", "died") for t in deadly
    }
    assert len(done) == len(pending) + len(deadly)
    assert by_key(d for d in done if not d.error) == by_key(execute(pending))


@posix
def test_a_task_whose_worker_dies_once_is_done_by_another(tmp_path):
    unlucky = task({"n": 3, "dies": -int(signal.SIGKILL), "once": str(tmp_path / "died")})
    (done,) = execute([unlucky], workers=2)
    assert done.error is None
    assert [row["position"] for row in done.rows] == [row["position"] for row in toys.walk({"n": 3}, 0)]


@pytest.mark.skipif(os.name != "posix", reason="an interpreter that is a script of the shell")
@pytest.mark.parametrize(
    ("deed", "message"),
    [
        ("kill -9 $$", "a worker process did not start, it ended by SIGKILL: memory may have run out"),
        ("exit 3", "a worker process did not start, it ended with exit status 3"),
    ],
)
def test_workers_that_die_at_their_start_are_not_started_for_ever(tmp_path, monkeypatch, deed, message):
    started, interpreter = tmp_path / "started", tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\necho x >> {started}\n{deed}\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    with pytest.raises(RuntimeError) as caught:
        execute(toys.tasks(toys.TOYS["toy/walk"], "laptop"), workers=2)
    assert str(caught.value) == message
    assert len(started.read_text()) <= 2 * 4


def test_workers_that_cannot_start_say_why(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/at/all")
    with pytest.raises(RuntimeError, match=r"a worker process did not start, it could not be .* No such file"):
        execute([task({"n": 3})], workers=2)


@pytest.mark.skipif(os.name != "posix", reason="lowers a limit of the process")
def test_many_workers_may_open_their_files():
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        for count, allowed in ((1, 264), (200, 1856)):
            resource.setrlimit(resource.RLIMIT_NOFILE, (264, limits[1]))
            local._make_room(count)
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (allowed, limits[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_workers_need_no_open_streams(tmp_path, closed):
    script = (
        "import pathlib, sys, toys\n"
        "from learnability import sweep\n"
        "done = list(sweep.execute(toys.tasks(toys.TOYS['toy/walk'], 'smoke', 1), workers=2))\n"
        "pathlib.Path(sys.argv[1]).write_text(str([d.error for batch in done for d in batch.finished]))\n"
    )
    told = tmp_path / "told"
    command = [sys.executable, "-c", script, str(told)]
    subprocess.run(f"{shlex.join(command)} {closed}", shell=True, env=toys.environment(), timeout=120, check=True)
    assert told.read_text() == "[None, None]"


def test_closing_early_stops_the_workers():
    with closing(sweep.execute(toys.tasks(toys.TOYS["toy/slow"], "laptop"), workers=2)) as sweeping:
        assert next(sweeping).finished[0].rows
        assert len(worker_processes(psutil.Process())) == 2
    assert not worker_processes(psutil.Process())


@posix
def test_workers_end_with_a_caller_that_is_killed():
    script = (
        "import toys\n"
        "from learnability import sweep\n"
        "toy = toys.experiment('toy/slow', *({'n': n, 'sleep': 600} for n in (1, 2)))\n"
        "print('go', flush=True)\n"
        "list(sweep.execute(toys.tasks(toy, 'laptop', 1), workers=2))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], env=toys.environment(), stdout=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdout.readline() == "go\n"
        deadline = time.monotonic() + 120
        while len(found := worker_processes(psutil.Process(caller.pid))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        caller.kill()
    assert len(found) == 2
    assert not psutil.wait_procs(found, timeout=120)[1]


def test_no_number_of_workers_is_as_many_as_cores_but_not_more_than_tasks(monkeypatch):
    import joblib

    class Counted(local.LocalCrew):
        def __init__(self, count, *rest):
            counts.append(count)
            super().__init__(min(count, 2), *rest)

    counts = []
    monkeypatch.setattr(sweep, "LocalCrew", Counted)
    pending = toys.tasks(toys.TOYS["toy/walk"], "laptop")
    for cores in (1, 2, 64):
        monkeypatch.setattr(joblib, "cpu_count", lambda cores=cores: cores)
        assert len(execute(pending, workers=None)) == len(pending)
    assert counts == [2, len(pending)]


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_workers_must_be_a_positive_integer(workers):
    with pytest.raises(ValueError, match="workers must be"):
        execute([task({"n": 3})], workers=workers)


def test_a_script_needs_no_guard_and_neither_dask_nor_a_port_is_used(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "import psutil\n"
        "import toys\n"
        "from learnability import sweep\n"
        "def run(setting, seed):\n"
        "    return toys.walk(setting, seed + 1)\n"
        "toy = toys.experiment('toy/mine', *toys.SMALL, run=run)\n"
        "errors, family, open_ports = [], set(), []\n"
        "for batch in sweep.execute(toys.tasks(toy, 'laptop'), workers=2):\n"
        "    errors += [done.error for done in batch.finished]\n"
        "    me = psutil.Process()\n"
        "    family |= {process.pid for process in (me, *me.children(recursive=True))}\n"
        "    open_ports += [found for found in psutil.net_connections('inet') if found.pid in family]\n"
        "assert errors == [None] * 9, errors\n"
        "assert len(family) <= 1 + 2, family\n"
        "assert not open_ports, open_ports\n"
        "assert 'distributed' not in sys.modules\n"
    )
    ended = subprocess.run(
        [sys.executable, str(script)], env=toys.environment(), capture_output=True, text=True, timeout=600
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@posix
@pytest.mark.parametrize("workers", [1, 4])
def test_a_stuck_task_is_ended_at_the_limit_whatever_it_does(workers):
    ways = ["loop", "sleep", "compiled"] if workers > 1 else ["compiled"]
    pending = [task({"how": how}, run=sweeping.stuck) for how in ("none", *ways, "nothing")]
    done = execute(pending, workers=workers, task_timeout=3)
    told = {d.task.setting["how"]: (d.rows, d.error, d.fate) for d in done}
    fine, late = None, (None, "it was stopped after 3 s, the limit for a task", "timeout")
    assert {how: fine if rest[1] is None else rest for how, rest in told.items()} == {
        "none": fine, **dict.fromkeys(ways, late), "nothing": fine
    }  # fmt: skip
    assert not worker_processes(psutil.Process())


@posix
def test_at_the_end_of_the_time_what_runs_is_abandoned():
    pending = [task({"how": how, "n": n}, run=sweeping.stuck) for how in ("none", "compiled") for n in range(3)]
    done = execute(pending, workers=1, until=time.monotonic() + 3)
    assert all(d.task.setting["how"] == "none" and d.error is None for d in done)
    assert not worker_processes(psutil.Process())
    assert execute(pending, workers=2, until=time.monotonic()) == []


def test_what_waits_behind_a_long_task_goes_to_others(tmp_path, monkeypatch):
    for module in (process, batches):
        monkeypatch.setattr(module, "LEASE", 0.2)
    opens = str(tmp_path / "open")
    first = [task({"n": 0, "needs": opens}, run=sweeping.gated), task({"n": 1, "makes": opens}, run=sweeping.gated)]
    rest = [task({"n": n}, run=sweeping.gated) for n in range(2, 8)]
    done = execute([*first, *rest], workers=2, expected={"toy/walk": 1e-3})  # in loads of two
    assert sorted(d.task.setting["n"] for d in done if d.error is None) == [*range(8)]


@posix
def test_ctrl_c_yields_what_is_finished_first_and_leaves_no_process(tmp_path):
    mark = tmp_path / "stuck"
    pending = [task({"how": "none", "n": n}, run=sweeping.stuck) for n in range(3)]
    pending += [task({"how": "compiled", "mark": str(mark)}, run=sweeping.stuck)]

    def press():
        while not (mark.exists() and mark.read_text()):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    # Jobs that a shell has put into the background are deaf to Ctrl-C, and so are the tests in one.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=press).start()
    found = []
    try:
        with pytest.raises(KeyboardInterrupt):
            collect(found, sweep.execute(pending, workers=1, task_timeout=1e6, expected={"toy/walk": 1e-3}))
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(done.task.setting["n"] for done in found) == [0, 1, 2]
    assert not psutil.pid_exists(int(mark.read_text()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the system for a signal at the caller's end")
def test_compiled_code_that_never_returns_ends_with_a_caller_that_is_killed(tmp_path):
    mark = tmp_path / "stuck"
    script = (
        "import sys, sweeping\n"
        "task = sweeping.task({'how': 'compiled', 'mark': sys.argv[1]}, run=sweeping.stuck)\n"
        "sweeping.execute([task], workers=2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(mark)], env=toys.environment()) as caller:
        while not (mark.exists() and mark.read_text()):
            assert caller.poll() is None
            time.sleep(0.02)
        stuck = psutil.Process(int(mark.read_text()))
        caller.kill()
    stuck.wait(120)


@posix
def test_what_a_dead_worker_has_started_ends_with_it(tmp_path):
    mark = tmp_path / "child"
    (done,) = execute([task({"mark": str(mark)}, run=sweeping.leaves_a_child)], workers=2)
    assert done.error == "its worker died 3 times, the last time with exit status 3"
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(mark.read_text())).wait(120)


@posix
def test_a_stopped_worker_is_named_and_at_last_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "NOTICE", 0.5)
    monkeypatch.setattr(process, "PATIENCE", 3.0)
    monkeypatch.setattr(local, "NOTICE", 0.5)
    with pytest.warns(SweepWarning, match=r"waiting for process \d+, which is stopped, since \d+ s"):
        (done,) = execute([task({"once": str(tmp_path / "once")}, run=sweeping.stops)], workers=2)
    assert done.error is None


def test_code_that_no_process_survives_reading_fails_its_own_tasks_alone():
    good = task({"n": 9})
    bad = [task({"n": n}, run=sweeping.Deadly()) for n in range(5)]
    done = {d.task.key: d for d in execute([*bad, good], workers=2)}
    assert done[good.key].error is None
    told = "its worker died 3 times of reading the code, the last time with exit status 4"
    assert {done[t.key].error for t in bad} == {told}


def test_a_package_that_is_changed_during_the_run_stops_it(monkeypatch):
    monkeypatch.setattr(provenance, "here", lambda: {"learnability": "0", "source": "0"})
    with pytest.raises(RuntimeError, match=r"was changed during the run \(.*source.* instead of 0\): finished tasks"):
        execute([task({"n": 3})], workers=2)


def test_rows_come_with_what_computed_them():
    pending = toys.tasks(toys.TOYS["toy/walk"], "laptop") + toys.tasks(toys.TOYS["other/fig1"], "smoke")
    found = [*sweep.execute(pending, workers=2)]
    assert all(dict(batch.ran_on) == provenance.here() and batch.memory > 2**20 for batch in found)
    assert all(len({done.task.experiment for done in batch.finished}) == 1 for batch in found)
    assert sorted(done.task.key for batch in found for done in batch.finished) == sorted(t.key for t in pending)


@posix
def test_what_was_done_before_ctrl_c_is_kept_however_late_it_is_heard_of(monkeypatch, tmp_path):
    gate, kept, pending = tmp_path / "gate", [], toys.tasks(toys.TOYS["toy/walk"], "laptop", seeds=10)
    gate.mkdir()
    for ticket in ("one", "two"):
        (gate / ticket).touch()
    monkeypatch.setenv("TOYS_GATE", str(gate))
    perform = local.Process.perform

    def late(self, order, limit, heard, overdue):
        return perform(self, order, limit, lambda answer: (time.sleep(0.5), heard(answer)), overdue)

    def interrupt():
        deadline = time.monotonic() + 600  # then the test fails, and does not hang
        while time.monotonic() < deadline and (len(list(tmp_path.glob("waiting-*"))) < 2 or any(gate.iterdir())):
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    monkeypatch.setattr(local.Process, "perform", late)
    watcher = threading.Thread(target=interrupt)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever runs the tests may have ignored
    try:
        watcher.start()
        with pytest.raises(KeyboardInterrupt):
            kept.extend(sweep.execute(pending, workers=2, expected={"toy/walk": 0.01}))
        watcher.join()
    finally:
        signal.signal(signal.SIGINT, usual)
    assert sum(len(batch.finished) for batch in kept) == 2
