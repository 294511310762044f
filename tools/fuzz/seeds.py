"""Small valid files of every kind, from which the others are made."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import json
import lzma
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["KINDS", "Kind", "Seed", "packers", "seeds"]


class Seed(NamedTuple):
    """A file, and how it may be read."""

    content: bytes
    label: str = "label"
    reading: Sequence[dict[str, Any]] = ({},)
    """Keywords of ``read_table``, of which one is drawn."""
    members: Sequence[tuple[str, bytes]] = ()
    """What a ZIP archive holds: it can be damaged inside and packed again."""


class Kind(NamedTuple):
    """Files that one reader reads."""

    suffixes: Sequence[str]
    share: int
    """Inputs of 1,000."""
    made: Callable[[], list[Seed]]


# Text ---------------------------------------------------------------------------------------------------------------

_TEXT = (
    ("a,b,label\n1,2,0\n2.5,3e-2,1\n-3,4,0\n", {}),
    ("a;b;label\n1,5;2;x\n2,5;3;y\n", {"decimal": ","}),
    ('"Länge, mm"\t"it""s"\tlabel\r\n1\t2\tno\r\n3\t4\tyes\r\n', {}),
    ("'a b','c',label\n'1','2',0\n3,4,1\n", {"quote": "'"}),
    ("1,2,0\n3,4,1\n5,6,0\n", {"header": False}),
    ("\ufeffa|b|label\n1|2|-1\n3|4|1\n", {"separator": "|"}),
    ("a b label\n1 2 0\n3  4 1\n", {}),
    ('"a" "label"\n"1" 2 0\n"2" 3 1\n', {}),  # R's write.table
    ("a\tlabel\r1\t0\r2\t1\r", {}),
    ("a,b,label\n1,,0\nNA,3,1\n4,5,1\n6,7,0\n", {"drop_missing": True}),
    ("a,city,label\n1,Bern,0\n2,Ulm,1\n3,Bern,1\n", {"one_hot": "city"}),
    ("id,a,label\nx1,1,0\nx2,2,1\n", {"drop": "id"}),
    ("a,label\n9007199254740993,0\n9007199254740992,1\n", {}),
    ("a,label\n1.234.567,0\n2.345,1\n", {"thousands": ".", "decimal": ","}),
    ("a,label\ntrue,no\nfalse,yes\nTRUE,no\n", {}),
    ("a,b,c,label\n" + "1,2,3,0\n4,5,6,1\n" * 40, {}),
    (
        ",".join(f"x{j}" for j in range(300))
        + ",label\n"
        + ",".join(["1"] * 300)
        + ",0\n"
        + ",".join(["2"] * 300)
        + ",1\n",
        {},
    ),
    ("# comment\na,label\n1,0\n\n2,1\n", {}),
)


def _texts() -> list[Seed]:
    found = []
    for text, reading in _TEXT:
        label = "3" if reading.get("header") is False else "label"
        found.append(Seed(text.encode(), label, ({}, reading, reading, reading)))
    found.append(Seed(_TEXT[0][0].encode("utf-16"), "label"))
    found.append(Seed(_TEXT[2][0].encode("latin-1"), "label"))
    return found


def _svmlight() -> list[Seed]:
    texts = (
        "+1 1:0.5 3:2\n-1 2:1 # comment\n+1 1:1e-3\n",
        "0 qid:1 0:1 7:2\n1 qid:2 3:4\n",
        "1 1:1\n2 900:1\n1 5:-2.5\n",
        "# only\n\n1 1:1\n-1\n",
    )
    return [Seed(text.encode()) for text in texts]


def packers() -> dict[str, Callable[[bytes], bytes]]:
    """How a file of text is compressed, by its suffix; Zstandard where something here can."""
    found: dict[str, Callable[[bytes], bytes]] = {
        ".gz": lambda content: gzip.compress(content, 1, mtime=0),
        ".bz2": lambda content: bz2.compress(content, 1),
        ".xz": lambda content: lzma.compress(content, preset=0),
    }
    for name in ("compression.zstd", "backports.zstd"):
        try:
            found[".zst"] = importlib.import_module(name).compress
        except ModuleNotFoundError:
            continue
        break
    return found


# Arrays -------------------------------------------------------------------------------------------------------------


def _npy(array: Any, version: tuple[int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), version=version, allow_pickle=True)
    return stream.getvalue()


_X = np.array([[1.0, 2.0], [3.0, -4.0], [0.5, 6.0]])
_Y = np.array([0, 1, 0])


def _matrices() -> list[Seed]:
    whole = np.column_stack([_X, _Y])
    return [
        Seed(_npy(whole), "3"),
        Seed(_npy(np.asfortranarray(whole)), "3"),
        Seed(_npy(whole.astype(">f4")), "3"),
        Seed(_npy(whole.astype(np.int64) + 2**53), "3"),
        Seed(_npy(whole, (2, 0)), "3"),
        Seed(_npy(whole, (3, 0)), "3"),
        Seed(_npy(np.array([["a", "1"], ["b", "2"]])), "1"),
        Seed(_npy(np.array([(1.0, 0), (2.0, 1)], dtype=[("x", "f8"), ("label", "i4")])), "label"),
        Seed(_npy(np.array([[1, {}], ["a", 1]], dtype=object)), "2"),
    ]


def _archive(members: Sequence[tuple[str, bytes]], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, kind)
    return stream.getvalue()


def _archives() -> list[Seed]:
    tables: list[dict[str, Any]] = [
        {"X": _X, "label": _Y},
        {"a": _X[:, 0], "b": _X[:, 1].astype(np.int64) + 2**60, "label": np.array(["no", "yes", "no"])},
        {"X": np.asfortranarray(_X.astype("f4")), "label": _Y.astype(bool)},
        {"X": np.arange(24.0).reshape(2, 3, 4), "label": np.array([[0], [1]])},
        {"X": np.arange(9, dtype="u8").reshape(3, 3) + 2**63, "label": np.array([1, 2, 1], dtype="u1")},
        {"X": _X.astype("f2"), "label": _Y.astype(complex)},
        {"X": _X, "label": np.array(["2020-01-01", "2020-01-02", "2020-01-01"], dtype="M8[D]")},
        {"X": _X, "label": np.array([b"a", b"b", b"a"])},
        {"X": _X, "label": np.array([None, 1, 2], dtype=object)},
    ]
    found = []
    for table in tables:
        members = [(f"{name}.npy", _npy(array)) for name, array in table.items()]
        found.append(Seed(_archive(members), members=members, reading=({}, {"drop": "b"}) if "b" in table else ({},)))
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    found += [Seed(_archive(found[0].members, kind), members=found[0].members) for kind in kinds]
    return found


def _sparse() -> list[Seed]:
    from scipy import sparse

    whole = np.column_stack([_X, _Y])
    found = []
    for made in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array, sparse.bsr_array, sparse.dia_array):
        for dtype in (float, np.int64):
            stream = io.BytesIO()
            sparse.save_npz(stream, made(whole.astype(dtype)))
            with zipfile.ZipFile(stream) as archive:
                members = [(name, archive.read(name)) for name in archive.namelist()]
            found.append(Seed(stream.getvalue(), "3", members=members))
    return found


# Parquet ------------------------------------------------------------------------------------------------------------


def _parquet() -> list[Seed]:
    import duckdb
    import pandas as pd

    queries = (
        "SELECT * FROM (VALUES (1.0::DOUBLE, 2, 0), (2.5, 3, 1), (0.5, -4, 0)) t(a, b, label)",
        "SELECT i::HUGEINT AS a, i::DECIMAL(20, 3) AS b, (i % 2 = 0) AS label FROM range(5) t(i)",
        "SELECT i AS a, ['x', 'y'][i % 2 + 1] AS label, DATE '2020-01-01' AS day FROM range(5) t(i)",
        "SELECT nullif(i, 4) AS a, {'b': i, 'c': [i]} AS s, i % 2 AS label FROM range(5) t(i)",
        "SELECT i::FLOAT AS a, (i % 2)::UTINYINT AS label FROM range(3000) t(i)",
        "SELECT ('k' || i)::BLOB AS a, i::UBIGINT AS \"A\", i % 2 AS label FROM range(4) t(i)",
    )
    found = []
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(":memory:") as connection:
        path = Path(folder) / "table.parquet"
        for number, query in enumerate(queries):
            packing = ("snappy", "zstd", "uncompressed", "gzip")[number % 4]
            connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION {packing})")
            dropped = [{"drop": name} for name in ("day", "s") if f"AS {name}" in query]
            found.append(
                Seed(path.read_bytes(), reading=({}, *dropped, *({"drop_missing": True, **d} for d in dropped)))
            )
        try:
            frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "label": [0, 1, 0]}, index=pd.Index([5, 6, 7], name="row"))
            frame.to_parquet(path)
            found.append(Seed(path.read_bytes()))
        except ImportError:  # without pyarrow
            pass
    return found


# What is read back --------------------------------------------------------------------------------------------------


def _results() -> list[Seed]:
    guarantee = {
        "id": "toy/claim", "source": "Nobody", "kind": "upper_bound", "bound": 1.0, "measured": 0.5, "slack": 0.5,
        "hypotheses": [{"name": "n large", "holds": True, "detail": "n = 9"}], "verdict": "holds", "note": "a | b",
        "direction": "at_most", "tolerance": 0.0,
    }  # fmt: skip
    manifest = {
        "id": "toy/walk", "title": "A walk", "source": "Nobody", "scale": "laptop", "command": "learnability run x",
        "date": "2026-01-01", "seconds": 1.5, "failures": ["one: failed"], "seeds": 2, "revision": 1,
        "checks": {"toy/claim": {"seconds": 1.0, "guarantees": ["toy/claim"]}}, "tasks": {"run": 1},
    }  # fmt: skip
    entry = {"revision": 1, "seeds": 2, "settings": "abc", "guarantees": [guarantee]}
    record = {"format": 1, "study": "toy", "figures": {"toy/walk": {"laptop": entry}}, "checks": {}}
    sidecar = {"task": {"n": 1}, "sha256": "0" * 64, "rows": 1, "seconds": 0.5, "versions": {}}
    whole = {
        "manifest": manifest,
        "verdicts": {"guarantees": [guarantee, {**guarantee, "bound": None, "verdict": "not_measured"}]},
        "record": record,
        "sidecar": sidecar,
    }
    return [Seed(json.dumps(value, indent=1).encode(), name) for name, value in whole.items()]


KINDS = {
    "text": Kind((".csv", ".tsv", ".txt"), 380, _texts),
    "packed text": Kind((".csv", ".tsv", ".txt"), 90, _texts),
    "libsvm": Kind((".libsvm", ".svm", ".svmlight"), 110, _svmlight),
    "npy": Kind((".npy",), 110, _matrices),
    "npz": Kind((".npz",), 110, _archives),
    "sparse npz": Kind((".npz",), 90, _sparse),
    "parquet": Kind((".parquet",), 10, _parquet),
    "json": Kind((".json",), 100, _results),
}
"""Parquet has a small share: opening one takes as long as fifty of the others."""


@cache
def seeds(kind: str) -> list[Seed]:
    """The valid files of a kind."""
    return KINDS[kind].made()
