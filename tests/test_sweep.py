"""Tasks and their keys, and that rows do not depend on where they are computed."""

from __future__ import annotations

import enum
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toys
from learnability import provenance, sweep
from learnability.sweep import batches, here
from learnability.sweep.batches import Line
from learnability.sweep.parcel import Parcel
from sweeping import collect, execute, task

PLAIN = st.one_of(
    st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


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

    (done,) = execute([task({"n": np.int32(1)}, run=run)])
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
    (done,) = execute([task({"n": 3}, run=lambda setting, seed: rows)])
    assert done.rows is None
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(done.error)


def test_a_failing_task_is_reported_in_one_line_and_stops_no_other():
    pending = toys.tasks(toys.TOYS["toy/failing"], "smoke", 1) + toys.tasks(toys.TOYS["toy/walk"], "smoke", 1)
    done = execute(pending)
    assert [d.rows is None for d in done] == [False, True, False, False]
    assert done[1].error.startswith("RuntimeError: this cell fails (toys.py:")


def test_debugging_raises_the_task_s_own_error(monkeypatch):
    monkeypatch.setenv("LEARNABILITY_DEBUG", "1")
    with pytest.raises(RuntimeError, match="this cell"):
        execute(toys.tasks(toys.TOYS["toy/failing"], "smoke", 1))


def test_blas_has_one_thread_in_this_process_and_its_setting_is_restored():
    from threadpoolctl import threadpool_info, threadpool_limits

    def run(setting, seed):
        return [{"threads": max(pool["num_threads"] for pool in threadpool_info())}]

    with threadpool_limits(limits=2):
        before = [pool["num_threads"] for pool in threadpool_info()]
        (done,) = execute([task({"n": 1}, run=run)])
        assert [pool["num_threads"] for pool in threadpool_info()] == before
    assert done.rows[0]["threads"] == 1


def interrupted(setting, seed):
    if setting["n"] == 3:
        raise KeyboardInterrupt
    return [{"x": setting["n"]}]


def test_ctrl_c_in_this_process_yields_what_is_finished_first():
    found = []
    with pytest.raises(KeyboardInterrupt):
        collect(found, sweep.execute([task({"n": n}, run=interrupted) for n in range(6)]))
    assert [done.rows[0]["x"] for done in found] == [0, 1, 2]


def test_batches_are_of_one_experiment_and_say_what_computed_them(monkeypatch):
    pending = toys.tasks(toys.TOYS["toy/walk"], "laptop") + toys.tasks(toys.TOYS["other/fig1"], "smoke")
    whole = [*sweep.execute(pending)]
    assert [len(batch.finished) for batch in whole] == [9, 4]
    monkeypatch.setattr(here, "LOAD_SECONDS", 0.0)
    single = [*sweep.execute(pending)]
    assert [len(batch.finished) for batch in single] == [1] * 13
    for found in (whole, single):
        assert [done.task for batch in found for done in batch.finished] == pending
        assert all(batch.ran_on == provenance.here() and batch.memory > 2**20 for batch in found)


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), "soon"])
def test_a_limit_must_be_some_time(limit):
    with pytest.raises(ValueError, match="task_timeout must be"):
        execute([task({"n": 3})], task_timeout=limit)


def line(*counts, expected=0.1):
    """So many tasks of so many experiments."""
    pending = [task({"n": n}, experiment=f"toy/{k}") for k, count in enumerate(counts) for n in range(count)]
    return Line(pending, [Parcel("p", b"")] * len(pending), {f"toy/{k}": expected for k in range(len(counts))})


def test_loads_are_a_second_or_two_of_one_experiment_by_the_guess_and_then_by_what_is_measured():
    waiting = line(1000, 1000)
    first = waiting.cut(2)
    assert (first.numbers, first.seconds) == ([*range(15)], pytest.approx(1.5))
    for number in first.numbers:  # the first takes long, as a compilation makes it; that is not taken for the rule
        assert waiting.end(number, 5.0 if number == 0 else 0.05)
    assert waiting.cut(2).numbers == [*range(15, 45)]
    while waiting.cut(2).numbers[-1] < 999:
        pass
    assert waiting.cut(2).numbers == [*range(1000, 1015)]


def test_loads_get_smaller_as_the_work_comes_to_its_end():
    waiting, sizes, seconds = line(200), [], []
    while (load := waiting.cut(4)) is not None:
        sizes.append(len(load.numbers))
        left = len(waiting) * 0.1
        seconds.append(load.seconds <= max(left / 4, 0.11))
        for number in load.numbers:
            waiting.end(number, 0.1)
    assert sum(sizes) == 200
    assert all(larger >= smaller for larger, smaller in pairwise(sizes))
    assert sizes[-8:] == [1] * 8
    assert all(seconds)


def test_a_task_is_given_to_one_at_a_time_and_ends_once():
    waiting = line(10, expected=100.0)
    first, second = waiting.cut(1), waiting.cut(1)
    assert (first.numbers, second.numbers) == ([0], [1])
    waiting.put_back(first, [0])
    again = waiting.cut(1)
    assert again.numbers == [0]
    waiting.put_back(first, [0])  # it is no longer his to put back
    assert waiting.cut(1).numbers == [2]
    assert waiting.end(0)
    assert not waiting.end(0)
    waiting.put_back(again, [0])
    assert [waiting.cut(1).numbers for _ in range(7)] == [[n] for n in range(3, 10)]
    assert waiting.cut(1) is None
    assert len(waiting) == 9


def test_what_is_put_back_comes_first_and_a_suspect_comes_alone():
    waiting = line(1000)
    load = waiting.cut(1)
    waiting.put_back(load, [7, 8])
    waiting.put_back(load, [3, 4], alone=True)
    assert [waiting.cut(1).numbers for _ in range(2)] == [[3], [4]]
    assert waiting.cut(1).numbers[:3] == [7, 8, 15]


def test_no_load_holds_more_than_some_thousand_tasks():
    assert len(line(5000, expected=0.0).cut(1).numbers) == batches.MOST
