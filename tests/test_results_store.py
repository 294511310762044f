"""The output folder: batches of tasks are stored, found again and read, beside what the first version stored."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import warnings

import pytest
from pandas.testing import assert_frame_equal

from learnability.results import DamagedShardWarning, Entry, Store, tables
from stored import TOY, before, entry, failure, key, record, rows

HERE = {"learnability": "0.1.0", "numpy": "2.0", "blas": "Haswell"}
HANG = 300  # seconds
THERE = {"learnability": "0.1.0", "numpy": "2.1", "blas": "SkylakeX"}


@pytest.fixture(autouse=True)
def _all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error", DamagedShardWarning)
        yield


def names(store):
    return sorted(os.listdir(store.tasks(TOY)))


def expected(seeds):
    files = [tables.File(tables.parquet(tables.tidy(rows(seed))), len(rows(seed)), False) for seed in seeds]
    return tables.unite(files, [tables.Piece(k, 0, file.rows, None) for k, file in enumerate(files)])


def test_a_batch_is_one_shard_and_one_sidecar_that_tells_everything(tmp_path):
    store = Store(tmp_path)
    shard = store.write(TOY, [entry(0), failure(7, fate="died"), entry(1)], HERE, 12345)
    assert names(store) == [shard.sidecar.name, shard.path.name]
    sidecar = json.loads(shard.sidecar.read_bytes())
    assert [task["record"] for task in sidecar["tasks"]] == [record(0), record(1)]
    assert [task["key"] for task in sidecar["tasks"]] == [key(0), key(1)]
    assert [task["rows"] for task in sidecar["tasks"]] == [3, 2]
    assert [task["seconds"] for task in sidecar["tasks"]] == [0.5, 1.5]
    assert [task["record"] for task in sidecar["failed"]] == [record(7)]
    assert (sidecar["ran_on"], sidecar["memory"]) == (HERE, 12345)
    inventory = Store(tmp_path).look(TOY)
    assert inventory.seconds == {key(0): 0.5, key(1): 1.5}
    assert inventory.memory == 12345
    (failed,) = inventory.failed.values()
    assert (failed.error, failed.fate, failed.seconds) == ("RuntimeError: this cell fails", "died", 7.5)
    assert failed.ran_on == HERE
    assert inventory.ran_on([key(0), key(1), key(7)]) == [(HERE, 2)]
    for seeds in ([0, 1], [1, 0], [1]):
        assert_frame_equal(inventory.read([key(seed) for seed in seeds]), expected(seeds))
    assert inventory.read([]).empty


def test_nothing_is_stored_yet(tmp_path):
    inventory = Store(tmp_path / "new").look(TOY)
    assert (inventory.seconds, inventory.failed, inventory.memory) == ({}, {}, None)
    assert inventory.ran_on([key(0)]) == []
    assert os.listdir(tmp_path / "new") == []


def test_a_batch_that_failed_whole_has_no_shard(tmp_path):
    store = Store(tmp_path)
    shard = store.write(TOY, [failure(0), failure(1, fate="timeout")], HERE)
    assert names(store) == [shard.sidecar.name]
    assert {key: failed.fate for key, failed in store.look(TOY).failed.items()} == {
        key(0): "error",
        key(1): "timeout",
    }


def test_the_last_failure_counts_until_the_task_is_finished(tmp_path):
    store = Store(tmp_path)
    store.write(TOY, [failure(0, "first")], HERE)
    store.write(TOY, [failure(0, "second")], HERE)
    inventory = store.look(TOY)
    assert inventory.failed[key(0)].error == "second"
    inventory.add(store.write(TOY, [failure(0, "third")], HERE))
    assert inventory.failed[key(0)].error == "third"
    inventory.add(store.write(TOY, [entry(0)], HERE))
    for found in (inventory, store.look(TOY)):
        assert found.failed == {}
        assert found.seconds == {key(0): 0.5}
    store.write(TOY, [failure(0, "another process had less memory")], HERE)
    assert store.look(TOY).failed == {}


UNTIDY = {
    "mixed": ([{"x": 1}, {"x": "a"}], "column 'x' must hold one kind of value"),
    "none": ([], "rows must be at least one"),
    "empty": ([{}], "rows must be at least one, with at least one column, got none"),
}


@pytest.mark.parametrize("case", UNTIDY)
def test_a_task_whose_rows_make_no_table_fails_alone(tmp_path, case):
    wrong, message = UNTIDY[case]
    store = Store(tmp_path)
    shard = store.write(TOY, [entry(0), entry(1, rows=wrong)], HERE)
    assert [task.key for task in shard.tasks] == [key(0)]
    assert message in shard.failed[key(1)].error
    assert message in store.look(TOY).failed[key(1)].error


def test_what_was_just_written_need_not_be_looked_at(tmp_path):
    store = Store(tmp_path)
    inventory = store.look(TOY)
    inventory.add(store.write(TOY, [entry(0), failure(3)], HERE, 10))
    inventory.add(store.write(TOY, [entry(1)], THERE, 5))
    again = store.look(TOY)
    assert inventory.seconds == again.seconds
    assert inventory.failed == again.failed
    assert inventory.memory == again.memory == 10
    assert inventory.ran_on([key(0), key(1)]) == again.ran_on([key(0), key(1)]) == [(HERE, 1), (THERE, 1)]
    assert_frame_equal(inventory.read([key(1), key(0)]), again.read([key(1), key(0)]))


def test_shards_of_the_first_version_count(tmp_path):
    inventory = Store(before(tmp_path)).look(TOY)
    assert inventory.seconds == {key(seed): 0.5 + seed for seed in range(3)}
    assert_frame_equal(inventory.read([key(seed) for seed in (2, 0, 1)]), expected([2, 0, 1]))
    ((ran_on, count),) = inventory.ran_on([key(0), key(1), key(2)])
    assert (ran_on["numpy"], count) == ("2.4.6", 3)


def test_shards_of_the_first_version_count_beside_batches(tmp_path):
    store = Store(before(tmp_path))
    (tmp_path / "tasks" / TOY / f"{key(1)}.json").unlink()  # an hour's grace for its shard
    store.write(TOY, [entry(3), entry(1), entry(4)], HERE)
    inventory = store.look(TOY)
    assert inventory.seconds == {key(seed): 0.5 + seed for seed in range(5)}
    for seeds in ([3, 2, 0, 1, 4], [1, 2], [4, 0], [2, 1, 0]):
        table = inventory.read([key(seed) for seed in seeds])
        assert_frame_equal(table, expected(seeds))
        assert tables.parquet(table) == tables.parquet(expected(seeds))


def test_tables_are_the_same_bytes_however_batches_were_cut(tmp_path):
    usual = tables.parquet(expected(range(9)))
    for trial in range(5):
        store, seeds, chance = Store(tmp_path / str(trial)), list(range(9)), random.Random(trial)
        chance.shuffle(seeds)
        while seeds:
            store.write(TOY, [entry(seeds.pop()) for _ in range(min(len(seeds), chance.randint(1, 4)))], HERE)
        assert tables.parquet(store.look(TOY).read([key(seed) for seed in range(9)])) == usual


def test_a_task_in_two_shards_with_equal_rows_counts_once(tmp_path):
    store = Store(before(tmp_path))
    store.write(TOY, [entry(0), entry(1, seconds=77.0), entry(3)], HERE)  # with the old ones' seeds
    store.write(TOY, [entry(3), entry(4)], THERE)
    inventory = store.look(TOY)
    assert inventory.seconds == {key(seed): 0.5 + seed for seed in range(5)}
    assert_frame_equal(inventory.read([key(seed) for seed in range(5)]), expected(range(5)))
    assert sum(count for _, count in inventory.ran_on(map(key, range(5)))) == 5


OTHER = [{"n": 3, "seed": 0, "step": 0, "error": 0.25}]


@pytest.mark.parametrize("old", [False, True])
def test_a_task_in_two_shards_with_different_rows_is_named_and_not_done(tmp_path, old):
    store = Store(before(tmp_path) if old else tmp_path)
    if not old:
        store.write(TOY, [entry(0), entry(1)], HERE)
    shard = store.write(TOY, [entry(0, rows=OTHER), entry(5)], HERE)
    with pytest.warns(DamagedShardWarning) as caught:
        inventory = store.look(TOY)
    (warning,) = caught
    assert str(warning.message).startswith("toy/walk [n=3] seed 0: shards have different rows: ")
    assert shard.path.name in str(warning.message)
    assert str(warning.message).endswith("the task counts as not done")
    assert key(0) not in inventory.seconds
    assert {key(1), key(5)} <= inventory.seconds.keys()
    inventory.add(store.write(TOY, [entry(0)], HERE))  # computed once more: that settles it
    assert_frame_equal(inventory.read([key(0), key(1)]), expected([0, 1]))
    with pytest.warns(DamagedShardWarning, match=r"seed 0: most shards agree, others not: batch-\w+.parquet$"):
        again = store.look(TOY)
    assert_frame_equal(again.read([key(0), key(1)]), expected([0, 1]))


def test_many_disputed_tasks_are_one_warning(tmp_path):
    store = Store(tmp_path)
    for value in (1, 2):
        store.write(TOY, [entry(seed, rows=[{"x": value}]) for seed in range(10)], HERE)
    with pytest.warns(DamagedShardWarning, match=r"\(and 7 more tasks\)$") as caught:
        assert store.look(TOY).seconds == {}
    assert len(caught) == 1


def test_two_equal_batches_are_two_shards(tmp_path):
    store = Store(tmp_path)
    left, right = (store.write(TOY, [entry(0)], HERE) for _ in range(2))
    assert left.sha256 == right.sha256, "equal rows are equal bytes"
    assert len(names(store)) == 4
    assert store.look(TOY).seconds == {key(0): 0.5}


def test_other_files_in_the_folder_are_nobody_s_business(tmp_path):
    store = Store(tmp_path)
    store.write(TOY, [entry(0)], HERE)
    for name in ("notes.json", "batch-1.json", f"batch-{'0' * 64}.json.damaged", "x.parquet", ".hidden.json"):
        (store.tasks(TOY) / name).write_text("[")
    assert store.look(TOY).seconds == {key(0): 0.5}


def test_an_entry_needs_company_of_at_least_itself(tmp_path):
    with pytest.raises(ValueError, match="entries must be at least one, got none"):
        Store(tmp_path).write(TOY, [], HERE)


@pytest.mark.parametrize("name", ["a [*?] folder's", "y=3", "a%20b#c", "s3:", "ÿ\u202e", "-", "a;b,c", "~", "held:"])
def test_no_path_is_a_pattern_or_an_address(tmp_path, name):
    root = before(tmp_path / name)
    store = Store(root)
    store.write(TOY, [entry(3)], HERE)
    assert_frame_equal(store.look(TOY).read([key(3), key(0)]), expected([3, 0]))
    assert os.listdir(tmp_path) == [name]


@pytest.mark.skipif(os.name == "nt", reason="all names are UTF-16 there")
def test_a_path_that_is_no_unicode_is_a_path(tmp_path):
    try:
        os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    except OSError:
        pytest.skip("the file system takes only UTF-8")
    store = Store(tmp_path / os.fsdecode(b"\xff"))
    shard = store.write(TOY, [entry(3)], HERE)
    assert_frame_equal(store.look(TOY).read([key(3)]), expected([3]))
    shard.path.unlink()
    with pytest.warns(DamagedShardWarning) as caught:
        store.look(TOY)
    str(caught[0].message).encode()  # can be printed


def write_and_look(root, seeds, barrier, told):
    store = Store(root)
    barrier.wait(HANG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for start in range(0, len(seeds), 3):
            store.write(TOY, [entry(seed) for seed in seeds[start : start + 3]], HERE)
            inventory = store.look(TOY)
            done = [seed for seed in seeds[: start + 3] if key(seed) in inventory.seconds]
            assert done == seeds[: start + 3]
            assert_frame_equal(inventory.read(map(key, done)), expected(done))
    told.put([str(warning.message) for warning in caught])


def test_processes_that_do_the_same_in_one_folder_do_not_disturb_each_other(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, told = context.Barrier(3), context.Queue()
    shares = [list(range(12)), list(range(11, -1, -1)), list(range(4, 16))]
    processes = [context.Process(target=write_and_look, args=(tmp_path, share, barrier, told)) for share in shares]
    for process in processes:
        process.start()
    assert [told.get(timeout=HANG) for _ in processes] == [[], [], []]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    store = Store(tmp_path)
    inventory = store.look(TOY)
    assert inventory.seconds == {key(seed): 0.5 + seed for seed in range(16)}
    assert_frame_equal(inventory.read(map(key, range(16))), expected(range(16)))
    assert all(name.startswith("batch-") for name in names(store))


def test_batches_of_two_folders_are_joined_by_copying(tmp_path):
    left, right = Store(tmp_path / "left"), Store(tmp_path / "right")
    left.write(TOY, [entry(0), entry(1)], HERE)
    right.write(TOY, [entry(1), entry(2)], THERE)
    shutil.copytree(right.tasks(TOY), left.tasks(TOY), dirs_exist_ok=True)
    assert_frame_equal(left.look(TOY).read(map(key, range(3))), expected(range(3)))


def test_long_errors_are_kept_in_part(tmp_path):
    store = Store(tmp_path)
    store.write(TOY, [failure(0, "x" * 10**6 + "\udcff")], HERE)
    assert store.look(TOY).failed[key(0)].error == "x" * 10_000


def test_entries_are_as_the_runner_gives_them():
    assert Entry("k", {}, None, "why", 0.5).fate == "error"
