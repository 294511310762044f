"""Tasks and their keys, and that rows do not depend on where they are computed."""

from __future__ import annotations

import enum
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import traceback
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toys
from learnability import sweep, worker
from learnability.sweep import Task

PLAIN = st.one_of(
    st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


def task(setting, *, seed=0, revision=1, experiment="toy/walk", run=toys.walk):
    return Task(experiment, revision, setting, seed, run)


def by_key(finished):
    return {done.task.key: done.rows for done in finished}


def test_key_is_a_hash_of_exactly_experiment_revision_setting_and_seed():
    base = task({"n": 3, "name": "a"})
    # Stored results are found by this value: another one would orphan every result on every disk.
    assert base.key == "56dea7084a7d8927671ff0fd0dd9c0db7ba551174aed3cc58f5887a64c3ae8aa"
    assert task({"name": "a", "n": 3}).key == base.key, "the order of a setting's entries is no part of it"
    assert task({"n": 3, "name": "a"}, run=toys.judge).key == base.key
    others = [
        task({"n": 4, "name": "a"}),
        task({"n": 3}),
        task({"n": 3, "name": "a"}, seed=1),
        task({"n": 3, "name": "a"}, revision=2),
        task({"n": 3, "name": "a"}, experiment="toy/other"),
        task({"n": "3", "name": "a"}),
        task({"n": True, "name": "a"}),
    ]
    assert len({base.key, *(other.key for other in others)}) == 1 + len(others)


@given(st.dictionaries(st.text(), PLAIN, max_size=4), st.dictionaries(st.text(), PLAIN, max_size=4))
def test_keys_agree_exactly_where_settings_agree(left, right):
    def exact(setting):
        return sorted((name, type(value).__name__, repr(value)) for name, value in setting.items())

    assert (task(left).key == task(right).key) == (exact(left) == exact(right))


def test_tasks_are_settings_by_seeds_and_scales_share_them():
    toy = toys.TOYS["toy/walk"]
    laptop = toys.tasks(toy, "laptop")
    assert [(t.setting["n"], t.seed) for t in laptop] == [(n, s) for n in (3, 5, 8) for s in range(3)]
    smoke = toys.tasks(toy, "smoke")
    assert len(smoke) == 4
    assert {t.key for t in smoke} < {t.key for t in laptop}
    assert [t.seed for t in toys.tasks(toy, "smoke", 1)] == [0, 0]


@pytest.mark.parametrize(
    ("settings", "scale", "seeds", "message"),
    [
        (({"n": 3},), "huge", None, "scale must be one of smoke, laptop, paper for toy/bad, got 'huge'"),
        (({"n": 3},), "smoke", 0, "seeds must be >= 1, got 0"),
        (({"n": 3},), "smoke", 1.5, "seeds must be an integer, got 1.5"),
        (({"seed": 3},), "smoke", 1, "must not name a seed"),
        (({"n": [3]},), "smoke", 1, "setting n must be a bool, int, float or str, got list"),
        (({"n": float("nan")},), "smoke", 1, "finite"),
        (({"n": 3}, {"n": 3}), "smoke", 1, "must differ"),
    ],
)
def test_bad_settings_and_requests_are_named(settings, scale, seeds, message):
    with pytest.raises(ValueError, match=message):
        toys.tasks(toys.experiment("toy/bad", *settings), scale, seeds)


def test_numpy_values_become_plain():
    class Side(enum.StrEnum):
        LEFT = "left"

    def run(setting, seed):
        return [{"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": Side.LEFT, "e": np.str_("x")}]

    (done,) = sweep.execute([task({"n": np.int32(1)}, run=run)])
    (toy_task,) = toys.tasks(toys.experiment("toy/np", {"n": np.int64(4)}), "smoke", 1)
    assert toy_task.key == task({"n": 4}, experiment="toy/np").key
    assert done.rows is not None
    row = {name: value for name, value in done.rows[0].items() if name not in ("n", "seed")}
    assert row == {"a": 0.5, "b": 3, "c": True, "d": "left", "e": "x"}
    assert [type(value) for value in row.values()] == [float, int, bool, str, str]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one row"),
        ([{"n": 1}], r"must not repeat the setting or the seed, got the columns \['n'\]"),
        ([{"seed": 1}], r"got the columns \['seed'\]"),
        ([{"x": None}], "column 'x' must be a bool, int, float or str, got NoneType"),
        ([{"x": np.zeros(2)}], "got ndarray"),
    ],
)
def test_rows_that_make_no_table_fail_the_task(rows, message):
    (done,) = sweep.execute([task({"n": 3}, run=lambda setting, seed: rows)])
    assert done.rows is None
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(done.error)


def test_a_failing_task_is_reported_in_one_line_and_stops_no_other():
    pending = toys.tasks(toys.TOYS["toy/failing"], "smoke", 1) + toys.tasks(toys.TOYS["toy/walk"], "smoke", 1)
    done = list(sweep.execute(pending))
    assert [d.rows is None for d in done] == [False, True, False, False]
    assert done[1].error.startswith("RuntimeError: this cell fails (toys.py:")


def test_debugging_raises_the_task_s_own_error(monkeypatch):
    monkeypatch.setenv("LEARNABILITY_DEBUG", "1")
    with pytest.raises(RuntimeError, match="this cell"):
        list(sweep.execute(toys.tasks(toys.TOYS["toy/failing"], "smoke", 1)))


def test_blas_has_one_thread_in_this_process_and_its_setting_is_restored():
    from threadpoolctl import threadpool_info, threadpool_limits

    def run(setting, seed):
        return [{"threads": max(pool["num_threads"] for pool in threadpool_info())}]

    with threadpool_limits(limits=2):
        before = [pool["num_threads"] for pool in threadpool_info()]
        (done,) = sweep.execute([task({"n": 1}, run=run)])
        assert [pool["num_threads"] for pool in threadpool_info()] == before
    assert done.rows[0]["threads"] == 1


WORKERS_HAVE = {
    "PYTHONSAFEPATH": "1",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    **dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), str(2**28)),
}


def environment_of_worker(setting, seed):
    from loky.process_executor import _MAX_MEMORY_LEAK_SIZE
    from threadpoolctl import threadpool_info

    threads = max(pool["num_threads"] for pool in threadpool_info())
    deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if hasattr(signal, "pthread_sigmask"):  # and was before it could ask for that
        deaf = deaf and signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    values = {name: os.environ.get(name, "unset") for name in WORKERS_HAVE}
    return [{"pid": os.getpid(), "threads": threads, "deaf": deaf, "kept": _MAX_MEMORY_LEAK_SIZE > 1e17, **values}]


def test_local_workers_give_the_rows_of_this_process():
    pending = toys.tasks(toys.TOYS["toy/walk"], "laptop") + toys.tasks(toys.TOYS["toy/failing"], "smoke", 1)
    where = task({"n": 1}, run=environment_of_worker)
    here = list(sweep.execute(pending))
    before = dict(os.environ)
    there = list(sweep.execute([*pending, where], workers=2))
    assert dict(os.environ) == before
    (told,) = [done for done in there if done.task is where]
    assert by_key(here) == by_key(done for done in there if done.task is not where)
    (failed,) = [done for done in there if done.error]
    assert failed.error.startswith("RuntimeError: this cell fails (toys.py:")
    (row,) = told.rows
    assert row["pid"] != os.getpid()
    assert (row["threads"], row["deaf"], row["kept"]) == (1, True, True)
    assert {name: row[name] for name in WORKERS_HAVE} == WORKERS_HAVE


def noisy(setting, seed):
    print("from Python")
    os.write(1, b"from below\n")
    assert sys.stdin.read() == ""
    return [{"x": 1}]


def leaves(setting, seed):
    sys.exit("enough")


def test_what_tasks_print_read_or_leave_by_is_kept_from_the_pipes(capfd):
    done = list(sweep.execute([task({"n": 1}, run=noisy), task({"n": 2}, run=leaves)], workers=2))
    assert {d.task.setting["n"]: (d.error or "").partition(" (")[0] for d in done} == {1: "", 2: "SystemExit: enough"}
    out, err = capfd.readouterr()
    assert out == ""
    assert sorted(err.splitlines()) == ["from Python", "from below"]


def test_functions_travel_by_value_and_one_that_cannot_fails_its_task_alone():
    held = threading.Lock()
    good = task({"n": 1}, run=lambda setting, seed: [{"x": setting["n"]}])
    bad = task({"n": 2}, run=lambda setting, seed: [{"x": held.locked()}])
    by_n = {done.task.setting["n"]: done for done in sweep.execute([bad, good], workers=2)}
    assert by_n[1].rows == [{"n": 1, "seed": 0, "x": 1}]
    assert by_n[2].error.startswith("TypeError: cannot pickle")


def test_debugging_shows_a_worker_s_traceback(monkeypatch):
    monkeypatch.setenv("LEARNABILITY_DEBUG", "1")
    with pytest.raises(RuntimeError, match="this cell") as caught:
        list(sweep.execute(toys.tasks(toys.TOYS["toy/failing"], "smoke", 1), workers=2))
    assert re.search(r"(?s)Traceback.*toys.py.*this cell", "".join(traceback.format_exception(caught.value)))


@pytest.mark.skipif(os.name != "posix", reason="ends a process by a signal")
@pytest.mark.parametrize(
    ("how", "fate"),
    [
        (-signal.SIGKILL, "by SIGKILL: memory may have run out"),
        (-signal.SIGSEGV, "by SIGSEGV"),
        (3, "with exit status 3"),
        (0, "with exit status 0"),
    ],
)
def test_a_deadly_task_is_found_and_stops_no_other(how, fate):
    pending = toys.tasks(toys.TOYS["toy/walk"], "laptop")
    deadly = [task({"n": n, "dies": int(how)}) for n in (1, 2)]
    done = list(sweep.execute([deadly[0], *pending[:4], deadly[1], *pending[4:]], workers=2))
    assert {d.task.key: d.error for d in done if d.error} == {
        t.key: f"its worker died twice, the last time {fate}" for t in deadly
    }
    assert by_key(d for d in done if not d.error) == by_key(sweep.execute(pending))


@pytest.mark.skipif(os.name != "posix", reason="ends a process by a signal")
def test_a_task_whose_worker_dies_once_is_done_by_another(tmp_path):
    unlucky = task({"n": 3, "dies": -int(signal.SIGKILL), "once": str(tmp_path / "died")})
    (done,) = sweep.execute([unlucky], workers=2)
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
        list(sweep.execute(toys.tasks(toys.TOYS["toy/walk"], "laptop"), workers=2))
    assert str(caught.value) == message
    assert len(started.read_text()) <= 2 * 4


def test_workers_that_cannot_start_say_why(monkeypatch):
    import loky

    monkeypatch.setattr(loky, "ProcessPoolExecutor", lambda *_, **options: os.open("/nowhere/at/all", os.O_RDONLY))
    with pytest.raises(RuntimeError, match=r"a worker process did not start: .* No such file"):
        list(sweep.execute([task({"n": 3})], workers=2))


@pytest.mark.skipif(os.name != "posix", reason="lowers a limit of the process")
def test_many_workers_may_open_their_files():
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        for count, allowed in ((1, 264), (200, 1856)):
            resource.setrlimit(resource.RLIMIT_NOFILE, (264, limits[1]))
            worker.make_room(count)
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (allowed, limits[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_workers_need_no_open_streams(tmp_path, closed):
    script = (
        "import pathlib, sys, toys\n"
        "from learnability import sweep\n"
        "done = list(sweep.execute(toys.tasks(toys.TOYS['toy/walk'], 'smoke', 1), workers=2))\n"
        "pathlib.Path(sys.argv[1]).write_text(str([d.error for d in done]))\n"
    )
    told = tmp_path / "told"
    command = [sys.executable, "-c", script, str(told)]
    subprocess.run(f"{shlex.join(command)} {closed}", shell=True, env=toys.environment(), timeout=120, check=True)
    assert told.read_text() == "[None, None]"


def test_a_running_cluster_gives_the_rows_of_this_process(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(sweep, "CONNECT_SECONDS", 60)
    pending = toys.tasks(toys.TOYS["toy/walk"], "laptop")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        there = list(sweep.execute(pending, scheduler=cluster.scheduler_address))
    assert by_key(there) == by_key(sweep.execute(pending))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "frob://127.0.0.1:9"])
def test_a_wrong_scheduler_is_named_within_seconds(address, monkeypatch):
    import distributed

    limits = []

    class Client(distributed.Client):
        def __init__(self, *arguments, timeout, **options):
            limits.append(timeout)
            super().__init__(*arguments, timeout=timeout, **options)

    monkeypatch.setattr(distributed, "Client", Client)
    monkeypatch.setattr(sweep, "CONNECT_SECONDS", 1)
    with pytest.raises(ValueError, match=f"scheduler must be .* got {address!r}"):
        list(sweep.execute([task({"n": 3})], scheduler=address))
    assert limits == [1]  # seconds; a minute without our limit


def test_a_scheduler_without_workers_is_named_within_seconds(monkeypatch):
    import distributed
    from distributed import LocalCluster

    class Client(distributed.Client):
        def wait_for_workers(self, n_workers, timeout):
            assert timeout == 60
            super().wait_for_workers(n_workers, timeout=0.1)

    monkeypatch.setattr(distributed, "Client", Client)
    monkeypatch.setattr(sweep, "CONNECT_SECONDS", 60)  # time to connect, however busy the machine
    with (
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster,
        pytest.raises(ValueError, match="it has no workers"),
    ):
        list(sweep.execute([task({"n": 3})], scheduler=cluster.scheduler_address))


def local_workers(caller):
    return [child for child in caller.children(recursive=True) if "popen_loky" in " ".join(child.cmdline())]


def test_closing_early_stops_the_workers():
    import psutil

    with closing(sweep.execute(toys.tasks(toys.TOYS["toy/slow"], "laptop"), workers=2)) as sweeping:
        assert next(sweeping).rows
        assert len(local_workers(psutil.Process())) == 2
    assert not local_workers(psutil.Process())


@pytest.mark.skipif(os.name != "posix", reason="ends a process by a signal")
def test_workers_end_with_a_caller_that_is_killed():
    import psutil

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
        while len(found := local_workers(psutil.Process(caller.pid))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        caller.kill()
    assert len(found) == 2
    assert not psutil.wait_procs(found, timeout=120)[1]


def test_no_number_of_workers_is_as_many_as_cores_but_not_more_than_tasks(monkeypatch):
    import loky

    counts = []
    monkeypatch.setattr(sweep, "_execute_here", lambda pending, count: iter(counts.append(count) or ()))
    pending = toys.tasks(toys.TOYS["toy/walk"], "laptop")
    for cores in (1, 2, 64):
        monkeypatch.setattr(loky, "cpu_count", lambda cores=cores: cores)
        done = list(sweep.execute(pending, workers=None))
        assert len(done) == (len(pending) if cores == 1 else 0)
    assert counts == [2, len(pending)]


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_workers_must_be_a_positive_integer(workers):
    with pytest.raises(ValueError, match="workers must be"):
        list(sweep.execute([task({"n": 3})], workers=workers))


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
        "for done in sweep.execute(toys.tasks(toy, 'laptop'), workers=2):\n"
        "    errors.append(done.error)\n"
        "    me = psutil.Process()\n"
        "    family |= {process.pid for process in (me, *me.children(recursive=True))}\n"
        "    open_ports += [found for found in psutil.net_connections('inet') if found.pid in family]\n"
        "assert errors == [None] * 9, errors\n"
        "assert len(family) <= 1 + 2 + 2, family\n"  # two processes mind what the workers share with the caller
        "assert not open_ports, open_ports\n"
        "assert 'distributed' not in sys.modules\n"
    )
    ended = subprocess.run(
        [sys.executable, str(script)], env=toys.environment(), capture_output=True, text=True, timeout=600
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
