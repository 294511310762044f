"""What is kept in an output folder, so that nothing in it is believed that has not been looked at."""

from __future__ import annotations

from learnability.provenance import here as versions
from learnability.results.files import (
    DEEPEST,
    LARGEST,
    clean,
    folder,
    make_folder,
    parsed,
    read_json,
    write_atomically,
    write_json,
    write_together,
)
from learnability.results.inventory import Damaged, DamagedShardWarning, Inventory
from learnability.results.parquet import parquet
from learnability.results.shards import Entry, Failure, Shard, key_of
from learnability.results.store import Store
from learnability.results.tables import tidy, write_table

__all__ = [
    "DEEPEST",
    "LARGEST",
    "Damaged",
    "DamagedShardWarning",
    "Entry",
    "Failure",
    "Inventory",
    "Shard",
    "Store",
    "clean",
    "folder",
    "key_of",
    "make_folder",
    "parquet",
    "parsed",
    "read_json",
    "tidy",
    "versions",
    "write_atomically",
    "write_json",
    "write_table",
    "write_together",
]
