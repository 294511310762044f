"""Tasks and their keys, and that rows do not depend on where they are computed."""

from __future__ import annotations

import enum
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toys
from learnability import sweep
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
    laptop = sweep.tasks(toy, "laptop")
    assert [(t.setting["n"], t.seed) for t in laptop] == [(n, s) for n in (3, 5, 8) for s in range(3)]
    smoke = sweep.tasks(toy, "smoke")
    assert len(smoke) == 4
    assert {t.key for t in smoke} < {t.key for t in laptop}
    assert [t.seed for t in sweep.tasks(toy, "smoke", 1)] == [0, 0]


@pytest.mark.parametrize(
    ("settings", "scale", "seeds", "message"),
    [
        (({"n": 3},), "huge", None, "scale must be one of 'smoke', 'laptop', 'paper', got 'huge'"),
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
        sweep.tasks(toys.experiment("toy/bad", *settings), scale, seeds)


def test_numpy_values_become_plain():
    class Side(enum.StrEnum):
        LEFT = "left"

    def run(setting, seed):
        return [{"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": Side.LEFT, "e": np.str_("x")}]

    (done,) = sweep.execute([task({"n": np.int32(1)}, run=run)])
    (toy_task,) = sweep.tasks(toys.experiment("toy/np", {"n": np.int64(4)}), "smoke", 1)
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
    pending = sweep.tasks(toys.TOYS["toy/failing"], "smoke", 1) + sweep.tasks(toys.TOYS["toy/walk"], "smoke", 1)
    done = list(sweep.execute(pending))
    assert [d.rows is None for d in done] == [False, True, False, False]
    assert done[1].error.startswith("RuntimeError: this cell fails (toys.py:")


def test_debugging_raises_the_task_s_own_error(monkeypatch):
    monkeypatch.setenv("LEARNABILITY_DEBUG", "1")
    with pytest.raises(RuntimeError, match="this cell"):
        list(sweep.execute(sweep.tasks(toys.TOYS["toy/failing"], "smoke", 1)))


def test_blas_has_one_thread_in_this_process_and_its_setting_is_restored():
    from threadpoolctl import threadpool_info, threadpool_limits

    def run(setting, seed):
        return [{"threads": max(pool["num_threads"] for pool in threadpool_info())}]

    with threadpool_limits(limits=2):
        before = [pool["num_threads"] for pool in threadpool_info()]
        (done,) = sweep.execute([task({"n": 1}, run=run)])
        assert [pool["num_threads"] for pool in threadpool_info()] == before
    assert done.rows[0]["threads"] == 1


def environment_of_worker(setting, seed):
    import os

    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return [{"pid": os.getpid(), **{name: os.environ.get(name, "unset") for name in names}}]


def test_local_cluster_gives_the_rows_of_this_process():
    import os

    pending = sweep.tasks(toys.TOYS["toy/walk"], "laptop") + sweep.tasks(toys.TOYS["toy/failing"], "smoke", 1)
    where = task({"n": 1}, run=environment_of_worker)
    here = list(sweep.execute(pending))
    there = list(sweep.execute([*pending, where], workers=2))
    (told,) = [done for done in there if done.task is where]
    assert by_key(here) == by_key(done for done in there if done.task is not where)
    assert sum(done.error is not None for done in there) == 1
    (row,) = told.rows
    assert row["pid"] != os.getpid()
    assert {row[name] for name in row if name.endswith("_THREADS")} == {"1"}


def test_a_running_cluster_gives_the_rows_of_this_process():
    from distributed import LocalCluster

    pending = sweep.tasks(toys.TOYS["toy/walk"], "laptop")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        there = list(sweep.execute(pending, scheduler=cluster.scheduler_address))
    assert by_key(there) == by_key(sweep.execute(pending))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "frob://127.0.0.1:9"])
def test_a_wrong_scheduler_is_named_within_seconds(address, monkeypatch):
    monkeypatch.setattr(sweep, "CONNECT_SECONDS", 1)
    start = time.monotonic()
    with pytest.raises(ValueError, match=f"scheduler must be .* got {address!r}"):
        list(sweep.execute([task({"n": 3})], scheduler=address))
    assert time.monotonic() - start < 20  # a minute without our limit


def test_a_scheduler_without_workers_is_named_within_seconds(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(sweep, "CONNECT_SECONDS", 1)
    with (
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster,
        pytest.raises(ValueError, match="it has no workers"),
    ):
        list(sweep.execute([task({"n": 3})], scheduler=cluster.scheduler_address))


def test_closing_early_stops_the_workers():
    import psutil

    with closing(sweep.execute(sweep.tasks(toys.TOYS["toy/slow"], "laptop"), workers=2)) as sweeping:
        assert next(sweeping).rows
        assert psutil.Process().children(recursive=True)
    assert not [
        child for child in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(child.cmdline())
    ]


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_workers_must_be_a_positive_integer(workers):
    with pytest.raises(ValueError, match="workers must be"):
        list(sweep.execute([task({"n": 3})], workers=workers))


def test_a_script_without_a_guard_is_told_what_to_do(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import toys\n"
        "from learnability import sweep\n"
        "print(len(list(sweep.execute(sweep.tasks(toys.TOYS['toy/walk'], 'laptop'), workers=2))), 'done')\n"
    )
    ended = subprocess.run(
        [sys.executable, str(script)], env=toys.environment(), capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 1
    assert "done" not in ended.stdout
    assert 'must stand under `if __name__ == "__main__":`' in ended.stderr.splitlines()[-1]
