"""Nothing that was damaged is ever read as data: every flip, every truncation, and changes between look and read."""

from __future__ import annotations

import json
import os
import shutil
import warnings

import pytest
from pandas.testing import assert_frame_equal

from learnability.results import Damaged, DamagedShardWarning, Store, shards
from stored import TOY, before, entry, failure, key, record
from test_results_store import HERE, expected

SEEDS = (0, 1)


@pytest.fixture
def store(tmp_path):
    """A folder with a batch, and one more."""
    store = Store(tmp_path)
    store.write(TOY, [entry(seed) for seed in SEEDS] + [failure(9)], HERE, 1000)
    return store


def stored(store):
    """The batch's shard and sidecar."""
    (sidecar,) = store.tasks(TOY).glob("*.json")
    return sidecar.with_suffix(".parquet"), sidecar


def flips(content):
    """Every byte flipped: in one of its bits, each in turn."""
    for place in range(len(content)):
        yield content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :]


def truncations(content):
    for length in range(len(content)):
        yield content[:length]


def longer(content):
    yield content + b"\0"
    yield content + content


@pytest.mark.parametrize("harm", [flips, truncations, longer])
@pytest.mark.parametrize("which", [0, 1], ids=["shard", "sidecar"])
def test_every_damage_to_a_batch_is_noticed(store, which, harm):
    victim, (_, sidecar) = stored(store)[which], stored(store)
    content = victim.read_bytes()
    for damaged in harm(content):
        victim.write_bytes(damaged)
        with pytest.raises(shards.Untrusted) as caught:
            shards.look(sidecar)
        assert caught.value.altered
    victim.write_bytes(content)
    assert [task.key for task in shards.look(sidecar).tasks] == [key(seed) for seed in SEEDS]


@pytest.mark.parametrize("harm", [flips, truncations, longer])
def test_every_damage_to_an_old_shard_is_noticed(tmp_path, harm):
    folder = before(tmp_path) / "tasks" / TOY
    victim = folder / f"{key(2)}.parquet"
    content = victim.read_bytes()
    for damaged in harm(content):
        victim.write_bytes(damaged)
        with pytest.raises(shards.Untrusted, match="does not match its checksum"):
            shards.look(victim.with_suffix(".json"))


@pytest.mark.parametrize("harm", [flips, truncations])
def test_no_damage_to_an_old_sidecar_changes_a_table(tmp_path, harm):
    """It vouches for no byte of its own: seconds and versions may be wrong, rows and tasks may not."""
    store = Store(before(tmp_path))
    for seed in (0, 1):
        (store.tasks(TOY) / f"{key(seed)}.json").unlink()
    victim = store.tasks(TOY) / f"{key(2)}.json"
    content, kept = victim.read_bytes(), victim.with_suffix(".parquet").read_bytes()
    harmless = 0
    for damaged in harm(content):
        victim.write_bytes(damaged)
        victim.with_suffix(".parquet").write_bytes(kept)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedShardWarning)
            inventory = store.look(TOY)
            assert inventory.seconds.keys() <= {key(2)}
            if not inventory.seconds:
                continue
            harmless += 1
            try:
                table = inventory.read([key(2)])
            except Damaged:
                assert inventory.seconds == {}
            else:
                assert_frame_equal(table, expected([2]))
    said = len(json.dumps(json.loads(content)["versions"], indent=2))
    assert harmless < (2 if harm is truncations else said + 200)


def change_sidecar(**changes):
    def harm(shard):
        sidecar = shard.with_suffix(".json")
        sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **changes}))

    return harm


def flip_a_bit(shard):
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


def swap_with_nothing(shard):
    shard.unlink()
    shard.mkdir()


DAMAGE = {
    "flipped bit": (flip_a_bit, "{0}.parquet does not match its checksum"),
    "truncated": (lambda shard: os.truncate(shard, shard.stat().st_size // 2), "checksum"),
    "empty": (lambda shard: os.truncate(shard, 0), "checksum"),
    "no shard": (lambda shard: shard.unlink(), "{0}.parquet is missing"),
    "a folder instead": (swap_with_nothing, "{0}.parquet cannot be read .Is a directory."),
}
OF_BATCH = {
    **DAMAGE,
    "truncated sidecar": (lambda shard: os.truncate(shard.with_suffix(".json"), 20), "{0}.json does not match"),
    "empty sidecar": (lambda shard: os.truncate(shard.with_suffix(".json"), 0), "{0}.json does not match"),
    "other time": (change_sidecar(date="2026"), "{0}.json does not match its checksum"),
}
OLD = {
    **DAMAGE,
    "truncated sidecar": (lambda shard: os.truncate(shard.with_suffix(".json"), 20), "{0}.json is not readable"),
    "foreign sidecar": (lambda shard: shard.with_suffix(".json").write_text("[1]"), "not readable"),
    "another task's": (change_sidecar(task={**record(2), "seed": 1}), "another task's"),
    "no task": (change_sidecar(task=None), "another task's"),
    "no number": (change_sidecar(seconds=float("nan")), "{0}.json is not readable"),
    "negative time": (change_sidecar(seconds=-1.0), "{0}.json is not readable"),
    "no rows": (change_sidecar(rows=0), "{0}.json is not readable"),
    "no versions": (change_sidecar(versions=None), "{0}.json is not readable"),
    "deep": (lambda shard: shard.with_suffix(".json").write_text("[" * 10**6), "{0}.json is not readable"),
    "binary sidecar": (lambda shard: shard.with_suffix(".json").write_bytes(b"\xff\xfe"), "not readable"),
}


def check_damage(store, shard, seeds, harm, reason):
    """It is named until its tasks are done elsewhere, and no more then."""
    harm(shard)
    for _ in range(2):
        with pytest.warns(DamagedShardWarning) as caught:
            inventory = store.look(TOY)
        (warning,) = caught
        assert reason.format(shard.stem) in str(warning.message).replace("(", ".").replace(")", ".")
        assert str(warning.message).startswith(f"{shard}: ")
        assert str(warning.message).endswith("count as not done")
        assert not inventory.seconds.keys() & {key(seed) for seed in seeds}
        if shard.with_suffix(".json.damaged").exists():  # nobody knows whose tasks it had: it is put aside at once
            break
    store.write(TOY, [entry(seed) for seed in seeds], HERE)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DamagedShardWarning)
        for _ in range(2):
            inventory = store.look(TOY)
            assert_frame_equal(inventory.read(map(key, seeds)), expected(seeds))


@pytest.mark.parametrize("damage", OF_BATCH)
def test_a_damaged_batch_is_named_and_not_done_until_it_is_computed_again(store, damage):
    check_damage(store, stored(store)[0], SEEDS, *OF_BATCH[damage])


@pytest.mark.parametrize("damage", OLD)
def test_a_damaged_old_shard_is_named_and_not_done_until_it_is_computed_again(tmp_path, damage):
    store = Store(before(tmp_path))
    check_damage(store, store.tasks(TOY) / f"{key(2)}.parquet", [2], *OLD[damage])


def test_what_was_damaged_is_put_aside_and_kept(store):
    shard, sidecar = stored(store)
    flip_a_bit(shard)
    damaged = shard.read_bytes()
    with pytest.warns(DamagedShardWarning):
        store.look(TOY)
    store.write(TOY, [entry(seed) for seed in SEEDS], HERE)
    store.look(TOY)
    assert shard.with_name(f"{shard.name}.damaged").read_bytes() == damaged
    assert not shard.exists()
    assert not sidecar.exists()


def test_a_shard_without_its_sidecar_was_never_stored(store):
    _, sidecar = stored(store)
    sidecar.unlink()
    with warnings.catch_warnings():  # a kill between the two files is no damage
        warnings.simplefilter("error", DamagedShardWarning)
        assert store.look(TOY).seconds == {}


def test_an_old_shard_under_another_key_is_not_that_task(tmp_path):
    store = Store(before(tmp_path))
    shard = store.tasks(TOY) / f"{key(2)}.parquet"
    for suffix in (".parquet", ".json"):
        shutil.copy(shard.with_suffix(suffix), shard.with_name(key(5) + suffix))
    with pytest.warns(DamagedShardWarning, match=f"{key(5)}.parquet: {key(5)}.json is another task's"):
        assert store.look(TOY).seconds.keys() == {key(0), key(1), key(2)}


def test_a_batch_under_another_name_is_not_believed(store):
    shard, sidecar = stored(store)
    for path in (shard, sidecar):
        path.rename(path.with_name(f"batch-{'0' * 64}{path.suffix}"))
    with pytest.warns(DamagedShardWarning, match="does not match its checksum"):
        assert store.look(TOY).seconds == {}


@pytest.mark.parametrize("damage", OF_BATCH)
def test_what_changes_between_look_and_read_reaches_no_table(store, damage):
    store.write(TOY, [entry(2)], HERE)
    inventory = store.look(TOY)
    shard = next(path for path in store.tasks(TOY).glob("*.parquet") if b"rechts" in path.read_bytes())
    harm, _ = OF_BATCH[damage]
    harm(shard)
    wanted = [key(2), key(1)]
    if "sidecar" in damage or "time" in damage:  # it is not needed any more
        assert_frame_equal(inventory.read(wanted), expected([2, 1]))
        return
    with pytest.warns(DamagedShardWarning, match=shard.name), pytest.raises(Damaged) as caught:
        inventory.read(wanted)
    assert set(caught.value.keys) == {key(0), key(1)}, "all that were in it"
    assert inventory.seconds.keys() == {key(2)}
    inventory.add(store.write(TOY, [entry(1), entry(0)], HERE))
    assert_frame_equal(inventory.read([*wanted, key(0)]), expected([2, 1, 0]))


def test_what_changes_while_other_shards_are_read_reaches_no_table(store, monkeypatch):
    store.write(TOY, [entry(2)], HERE)
    inventory = store.look(TOY)
    read = shards.content

    def and_harm_the_others(shard):
        found = read(shard)
        for path in store.tasks(TOY).glob("*.parquet"):
            if path != shard.path:
                flip_a_bit(path)
        return found

    monkeypatch.setattr(shards, "content", and_harm_the_others)
    with pytest.warns(DamagedShardWarning), pytest.raises(Damaged) as caught:
        inventory.read([key(0), key(1), key(2)])
    assert caught.value.keys == [key(2)]


def test_what_changes_after_it_was_hashed_reaches_no_table(store, monkeypatch):
    inventory = store.look(TOY)
    read = shards.content

    def and_harm_it(shard):
        found = read(shard)
        shard.path.write_bytes(b"PAR1" + found[4:][::-1])
        return found

    monkeypatch.setattr(shards, "content", and_harm_it)
    assert_frame_equal(inventory.read([key(0), key(1)]), expected([0, 1]))


def test_a_damaged_shard_whose_tasks_stand_elsewhere_costs_nothing(store):
    store.write(TOY, [entry(1), entry(0)], HERE)
    inventory = store.look(TOY)
    first = next(iter(inventory._where.values()))[0][0]
    flip_a_bit(first.path)
    assert_frame_equal(inventory.read([key(0), key(1)]), expected([0, 1]))
    assert first.path.with_name(f"{first.path.name}.damaged").exists()


def test_an_old_sidecar_with_other_rows_is_found_when_they_are_read(tmp_path):
    store = Store(before(tmp_path))
    change_sidecar(rows=4)(store.tasks(TOY) / f"{key(0)}.parquet")
    inventory = store.look(TOY)
    with pytest.warns(DamagedShardWarning, match="another number of rows"), pytest.raises(Damaged) as caught:
        inventory.read([key(1), key(0), key(2)])
    assert caught.value.keys == [key(0)]
    assert_frame_equal(inventory.read([key(1), key(2)]), expected([1, 2]))


def test_damage_that_cannot_be_put_aside_is_still_no_data(store, monkeypatch):
    shard, _ = stored(store)
    flip_a_bit(shard)
    store.write(TOY, [entry(seed) for seed in SEEDS], HERE)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    for _ in range(2):
        assert_frame_equal(store.look(TOY).read(map(key, SEEDS)), expected(SEEDS))
    assert shard.exists()
