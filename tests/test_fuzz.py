"""A short form of ``python -m tools.fuzz``: damaged, strange and hostile files for every reader."""

import io
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tools.fuzz import __main__ as command
from tools.fuzz import trials, workers
from tools.fuzz.mutations import TOKENS, Input, make
from tools.fuzz.seeds import KINDS, seeds
from tools.fuzz.trials import tried


def archive(**arrays):
    """An NPZ file."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array):
    """An npy file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


SIGNAL = np.array([0x7F800001, 0x3F800000], dtype="u4").view("f4")
"""NaN in a form that a processor signals, and 1."""
SPARSE = {"format": b"csr", "shape": np.array([2, 2]), "indices": np.array([0, 1]), "indptr": np.array([0, 1, 2])}
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)


@pytest.mark.parametrize("kind", KINDS)
def test_some_seeds_of_every_kind_are_read(kind, tmp_path):
    name = f"fuzz{KINDS[kind].suffixes[0]}"
    outcomes = [tried(Input(kind, name, s.content, s.label, s.reading[-1]), tmp_path) for s in seeds(kind)]
    assert not [trial for trial in outcomes if trial.outcome == "failed"]
    assert sum(trial.outcome == "accepted" for trial in outcomes) > len(outcomes) / 2


@pytest.mark.parametrize("kind", KINDS)
def test_changed_files_are_read_or_refused_in_a_line(kind, tmp_path):
    @given(st.integers(10**9, 2 * 10**9))  # far from what the command tries
    @settings(PATIENT, max_examples=20 if kind == "parquet" else 60)
    def all_pass(number):
        trial = tried(make(0, number, kind), tmp_path)
        assert trial.outcome != "failed", (number, trial.why, trial.where)

    all_pass()


@pytest.mark.parametrize(
    "case",
    [
        Input("text", "fuzz.tsv", b'\xef\xbb\xbfa|"|l\n', "label", {"separator": "|"}),
        Input("text", "fuzz.csv", b'""\n""\n', "label", {"separator": ","}),
        Input("text", "fuzz.csv", b"x" * 5000 + b",label\n1,0\n1e999,1\n", "label", {}),
        Input("text", "fuzz.csv", b"a," + b"x" * 5000 + b"\n1,0\n2,0\n", "x" * 5000, {}),
        Input("text", "fuzz.csv", b"a,label\n1,0\n" + b"9" * 5000 + b",1\n", "label", {}),
        Input("json", "fuzz \x1b[2J.json", b"{", "record", {}),
        Input("npz", "fuzz.npz", archive(X=SIGNAL, label=np.arange(2)), "label", {}),
        Input("npy", "fuzz.npy", npy(np.column_stack([SIGNAL, SIGNAL])), "2", {}),
        Input("sparse npz", "fuzz.npz", archive(**SPARSE, data=SIGNAL), "2", {}),
    ],
    ids=lambda case: case.kind,
)
def test_what_was_found_by_it(case, tmp_path):
    trial = tried(case, tmp_path)
    assert (trial.outcome, trial.where) == ("refused", "")


@pytest.mark.parametrize(
    ("form", "parts"),
    [
        ("csr", {"indices": [0, 1, 1, 0], "indptr": [0, 443, 0]}),  # SciPy's check sees no entries in it
        ("csc", {"indices": [0, 1, 1, 0], "indptr": [0, -2, 0]}),
        ("csc", {"indices": [0, 9, 1, 0], "indptr": [0, 2, 4]}),
        ("csr", {"indices": [0, 1, 1, 0], "indptr": [0, 2, 9]}),
        ("csr", {"indices": [0, 1, 1, 0], "indptr": []}),
        ("bsr", {"indices": [0, 1, 1, 0], "indptr": [0, 443, 0]}),
        ("coo", {"row": [0, 1, 1, 0], "col": [0, 1, 0, 2**32]}),
        ("coo", {"row": [0, 1, -1, 0], "col": [0, 1, 0, 1]}),
        ("dia", {"offsets": [2**32 + 1]}),  # an offset of 1 to SciPy
        ("dia", {"offsets": [-(2**31)]}),
    ],
)
def test_places_outside_of_a_sparse_matrix_are_refused_before_scipy_follows_them(form, parts, tmp_path):
    data = {"bsr": np.ones((4, 1, 1)), "dia": np.ones((1, 2))}.get(form, np.ones(4))
    arrays = {name: np.array(part, dtype=np.int64) for name, part in parts.items()}
    content = archive(format=np.array(form.encode()), shape=np.array([2, 2]), data=data, **arrays)
    trial = tried(Input("sparse npz", "fuzz.npz", content, "2", {}), tmp_path)
    assert trial.outcome == "refused"
    assert "must hold a sparse matrix of shape (2, 2) as" in trial.why


@given(st.sampled_from(sorted(KINDS)), st.lists(st.sampled_from(TOKENS) | st.binary(max_size=9), max_size=30))
@settings(PATIENT, max_examples=100)
def test_bytes_of_any_kind_are_read_or_refused_in_a_line(tmp_path, kind, parts):
    case = Input(kind, f"fuzz{KINDS[kind].suffixes[0]}", b"".join(parts), seeds(kind)[0].label, {})
    trial = tried(case, tmp_path)
    assert trial.outcome != "failed", (case, trial.why, trial.where)


def test_a_number_names_an_input():
    assert make(3, 14) == make(3, 14)
    assert make(3, 14) != make(3, 15)
    assert make(4, 14) != make(3, 14)
    assert {make(0, number).kind for number in range(700)} == set(KINDS)
    assert sum(kind.share for kind in KINDS.values()) == 1000


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyError("x"), "KeyError: \"'x'\""),
        (RecursionError("deep"), "RecursionError: 'deep'"),
        (MemoryError(), "MemoryError"),
        (SystemExit(1), "SystemExit"),
        (UserWarning("w"), "UserWarning"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "fuzz.csv"), "a UnicodeError"),
        (ValueError("fuzz.csv\nsecond line"), "a message with characters that are not shown"),
        (ValueError("fuzz.csv \x1b[2J"), "a message with characters that are not shown"),
        (ValueError("fuzz.csv" + "x" * 2000), "a message of 2,008 characters"),
        (ValueError("something"), "a message that does not name the file"),
    ],
)
def test_what_fails_an_input(monkeypatch, tmp_path, error, why):
    def read_table(*_, **__):
        raise error

    monkeypatch.setattr(trials, "read_table", read_table)
    trial = tried(Input("text", "fuzz.csv", b"a,label\n1,2\n", "label", {}), tmp_path)
    assert trial.outcome == "failed"
    assert trial.why.startswith(why)
    assert "test_fuzz.py" in trial.where


def test_a_file_left_open_fails_an_input(monkeypatch, tmp_path):
    def read_table(path, *_, **__):
        open(path)  # noqa: SIM115
        raise ValueError("fuzz.csv is refused")

    monkeypatch.setattr(trials, "read_table", read_table)
    trial = tried(Input("text", "fuzz.csv", b"a", "label", {}), tmp_path)
    assert trial.outcome == "failed"
    assert trial.why.startswith("not raised: ResourceWarning")


def _hostile(case, folder):
    """What stands in for a reader in the processes of the next test."""
    if case.content[-1] % 4 == 1:
        os._exit(3)
    if case.content[-1] % 4 == 2:
        time.sleep(600)
    return trials.Trial("accepted", 0.0)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the stand-in is inherited")
def test_inputs_that_crash_or_hang_are_named_and_cost_no_other(monkeypatch, tmp_path):
    def numbered(seed, number, kind=None):
        return Input("text", "fuzz.csv", bytes([{5: 1, 9: 2}.get(number, 0)]), "label", {})

    monkeypatch.setattr(workers, "make", numbered)
    monkeypatch.setattr(workers, "tried", _hostile)
    monkeypatch.setattr(workers, "get_context", lambda _: multiprocessing.get_context("fork"))
    monkeypatch.setattr(workers, "_confine", lambda: None)
    monkeypatch.setattr(workers, "TELL", 4)
    failures = {}
    parts = workers.running(0, range(20), "text", 1.0, 1.0, time.monotonic() + 500, failures.__setitem__)
    found = sum((tally["text"].outcomes for tally in parts), workers.Counter())
    assert found == {"accepted": 18, "failed": 2}
    assert {number: trial.why for number, trial in failures.items()} == {
        5: "the process died with status 3",
        9: "no end after 1 s",
    }


def test_the_command_prints_a_table(capsys, tmp_path):
    assert command.main(["--count", "30", "--reader", "libsvm", "--out", str(tmp_path / "failures")]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split()[:5] == ["reader", "inputs", "accepted", "refused", "failed"]
    assert out.splitlines()[1].split()[:2] == ["libsvm", "30"]
    assert not (tmp_path / "failures").exists()


def test_one_input_is_shown_and_kept_if_it_fails(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "read_table", lambda *_, **__: 1 / 0)
    assert command.main(["--index", "7", "--reader", "text", "--out", str(tmp_path)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    kept = sorted(Path(tmp_path).iterdir())
    assert len(kept) == 2
    assert make(0, 7, "text").content in [path.read_bytes() for path in kept]
