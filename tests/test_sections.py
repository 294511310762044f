"""What is read back from an output folder: whatever is in a file, one line names it, and the others are read."""

import itertools
import json
import os
import threading

import pandas as pd
import pytest

from learnability import api, cli, records, report, shown
from learnability.results import DEEPEST, DamagedShardWarning, Entry, Store, read_json, write_json
from learnability.sections import read_section, read_sections
from learnability.theory import Guarantee, Kind
from names import NASTY

GUARANTEE = Guarantee("toy/claim", "Nobody", Kind.UPPER_BOUND, 1.0, 0.5, note="a note").to_json()
MANIFEST = {
    "id": "toy/walk", "title": "A walk", "source": "Nobody", "scale": "laptop",
    "command": "learnability run toy/walk", "date": "2026-01-01T00:00:00+00:00", "seconds": 1.5, "failures": [],
}  # fmt: skip


def write(place, manifest=None, guarantees=(GUARANTEE,)):
    """A result that nothing vouches for, as of an older version or by a stranger."""
    write_json(place / "verdicts.json", {"guarantees": list(guarantees)})
    write_json(place / "manifest.json", {**MANIFEST, **(manifest or {})})
    return place


def seal(place, manifest=None, guarantees=(GUARANTEE,), **files):
    """A result as it is written now."""
    report.write_result(place, {**MANIFEST, **(manifest or {})}, guarantees, **files)
    return place


@pytest.fixture
def out(tmp_path):
    """Two results."""
    write(tmp_path / "toy/walk/laptop")
    write(tmp_path / "toy/good/laptop", {"id": "toy/good"})
    return tmp_path


BROKEN = {
    "nothing": b"",
    "half of it": b'{"guarantees": [',
    "no object": b"[]",
    "empty": b"{}",
    "a number": b"1e400",
    "too large": b"1" * 400,
    "more digits than Python reads": b"1" * 5000,
    "nan": b'{"guarantees": [], "x": NaN}',
    "infinity": b'{"guarantees": [], "x": [1e999]}',
    "deep": b"[" * 100_000,
    "less deep": b'{"guarantees": [], "x": ' + b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1) + b"}",
    "no text": b"\xff\xfe\xfa\x00\x01",
    "binary": bytes(range(256)),
    "half a pair": b'{"guarantees": ["\\ud800"]}',
    "text for a list": b'{"guarantees": "abc"}',
    "numbers in the list": b'{"guarantees": [1, 2]}',
    "null": b'{"guarantees": null}',
    "long": b'{"guarantees": "' + b"x" * 10**6 + b'"}',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("name", ["manifest.json", "verdicts.json"])
def test_a_broken_file_is_named_in_one_line_and_costs_nothing_else(out, name, content):
    place = out / "toy/walk/laptop"
    (place / name).write_bytes(content)
    sections, unreadable = read_sections(out)
    assert [section.manifest["id"] for section in sections] == ["toy/good"]
    (line,) = unreadable
    assert line.startswith(f"{place} is not readable ({name}: ")
    assert line.endswith("): run that experiment again")
    assert line.isprintable()
    assert len(line) < 600
    page, markdown = report.write_report(out, sections, unreadable)
    assert "left out: " in page.read_text(encoding="utf-8")
    assert "left out: " in markdown.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MANIFEST)
@pytest.mark.parametrize("value", [None, {"a": 1}, [1], -1, 10**300, "", True], ids=repr)
def test_a_manifest_of_other_types_is_refused_or_shown(out, name, value):
    write(out / "toy/walk/laptop", {name: value})
    sections, unreadable = read_sections(out)
    assert len(sections) + len(unreadable) == 2
    assert all(f"{name} must be" in line or f"each of {name} must be" in line for line in unreadable)
    report.write_report(out, sections, unreadable)


@pytest.mark.parametrize("name", GUARANTEE)
@pytest.mark.parametrize("value", [None, {"a": 1}, [1], -1, 10**300, "", True], ids=repr)
def test_a_guarantee_of_other_types_is_refused_or_shown(out, name, value):
    write_json(out / "toy/walk/laptop/verdicts.json", {"guarantees": [{**GUARANTEE, name: value}]})
    sections, unreadable = read_sections(out)
    assert len(sections) + len(unreadable) == 2
    report.write_report(out, sections, unreadable)


@pytest.mark.parametrize("name", [*MANIFEST, "guarantee"])
def test_what_is_missing_is_named(out, name):
    place = out / "toy/walk/laptop"
    lacking = "manifest.json" if name in MANIFEST else "verdicts.json"
    found = json.loads((place / lacking).read_text(encoding="utf-8"))
    del found[name if name in MANIFEST else "guarantees"]
    write_json(place / lacking, found)
    with pytest.raises(ValueError, match=f"{lacking}: {name}s? must be .* got None"):
        read_section(place)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_a_folder_and_a_huge_file_are_refused_at_once(tmp_path):
    pipe, folder, huge = tmp_path / "pipe", tmp_path / "folder", tmp_path / "huge"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="no regular file"):
        read_json(pipe)
    folder.mkdir()
    with pytest.raises(OSError, match="directory"):
        read_json(folder)
    with huge.open("wb") as stream:
        stream.truncate(10**12)
    with pytest.raises(ValueError, match="1,000,000,000,000 bytes, more than"):
        read_json(huge)


def test_a_figure_that_is_none_is_left_out(out):
    place = out / "toy/walk/laptop"
    (place / "figure.png").write_text("no picture")
    (place / "figure.pdf").mkdir()
    assert read_section(place).figures == []
    assert read_section(place).picture == b""
    (place / "figure.png").write_bytes(b"\x89PNG...")
    assert read_section(place).figures == [place / "figure.png"]
    assert read_section(place).picture == b"\x89PNG..."
    assert not read_section(place).vouched


PICTURES = {"figure.png": b"\x89PNG...", "figure.pdf": b"%PDF..."}


@pytest.mark.parametrize("name", [*PICTURES, "table.parquet", "verdicts.json", "verdicts.md", "manifest.json"])
def test_a_changed_file_costs_its_own_result_and_no_other(out, name):
    place = seal(out / "toy/walk/laptop", pictures=PICTURES, table=pd.DataFrame({"n": [1]}))
    section = read_section(place)
    assert (section.vouched, section.picture) == (True, PICTURES["figure.png"])
    assert [path.name for path in section.figures] == list(PICTURES)
    content = (place / name).read_bytes()
    for changed in (content.replace(b"n", b"m") if b"n" in content else b"\x89PNG,,,", content[:-1], b"", None):
        (place / name).unlink()
        if changed is not None:
            (place / name).write_bytes(changed)
        sections, unreadable = read_sections(out)
        (line,) = unreadable
        assert line.startswith(f"{place} is not readable ({name}: ")
        assert [section.manifest["id"] for section in sections] == ["toy/good"]
        (place / name).write_bytes(b"")
    seal(place)
    assert len(read_sections(out)[0]) == 2


def test_when_nothing_can_be_read_there_is_still_a_page(tmp_path, monkeypatch, capsys):
    place = seal(tmp_path / "toy/walk/laptop", pictures=PICTURES)
    (place / "figure.png").write_bytes(b"")
    assert read_sections(tmp_path)[0] == []
    monkeypatch.setattr("sys.argv", ["learnability", "report", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    found = capsys.readouterr()
    assert ended.value.code == 1
    assert found.out.startswith("0 results: no claims\n")
    assert "figure.png: its content does not match its checksum" in found.err
    assert "left out" in (tmp_path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="there are none in"):
        read_sections(tmp_path / "toy")


def test_a_report_while_results_are_replaced_leaves_none_out(out):
    place, enough = out / "toy/walk/laptop", threading.Event()
    seal(place, pictures=PICTURES)

    def replace():
        for count in itertools.count():
            pictures = PICTURES if count % 2 else {}
            note = f"count {count}"
            seal(place, {"title": note}, [{**GUARANTEE, "note": note}], pictures=pictures)
            if enough.is_set():
                return

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        titles = set()
        while len(titles) < 20:
            sections, unreadable = read_sections(out)
            assert unreadable == []
            (walk,) = (section for section in sections if section.vouched)
            if walk.manifest["title"] != MANIFEST["title"]:
                assert walk.guarantees[0]["note"] == walk.manifest["title"]
                assert bool(walk.picture) == int(walk.manifest["title"].split()[1]) % 2
            titles.add(walk.manifest["title"])
            report.write_report(out, sections, unreadable)
    finally:
        enough.set()
        writer.join()


UNFINISHED = {
    "unfinished": {"cells": 3, "of": 1200, "tasks": 1},
    "mixture": ["NumPy: 2.0.0 and <b>2.1.0</b> (2.1.0 here)"],
    "computed_on": [
        {
            "learnability": "0.1.0",
            "source": "abc",
            "python": "3.12.1",
            "numpy": "2.1.0",
            "blas": "Zen",
            "tasks": 1500,
        },
        {"learnability": "0.1.0", "tasks": 1},
    ],
}


def test_the_page_says_what_is_missing_and_what_it_was_computed_with(tmp_path):
    seal(tmp_path / "toy/walk/laptop", UNFINISHED, pictures=PICTURES)
    sections, unreadable = read_sections(tmp_path)
    page, markdown = report.write_report(tmp_path, sections, unreadable)
    html, text = page.read_text(encoding="utf-8"), markdown.read_text(encoding="utf-8")
    assert html.count("toy/walk</a> (laptop, unfinished)") == 1
    assert "toy/walk (laptop, unfinished)</h2>" in html
    assert "## toy/walk (laptop, unfinished)\n" in text
    for content in (html, text):
        assert "unfinished: figure and claims are those of 3 of 1,200 cells; 1 task is missing" in content
        assert "1,500 tasks with learnability 0.1.0, source abc, Python 3.12.1, NumPy 2.1.0, kernels Zen" in content
        assert "1 task with learnability 0.1.0" in content
        assert "computed with more than one thing: NumPy: 2.0.0 and" in content
        assert "<b>2.1.0</b>" not in content.replace(r"\<b>2.1.0\</b>", "")
    assert {name: sections[0].manifest[name] for name in UNFINISHED} == UNFINISHED


@pytest.mark.parametrize("name", UNFINISHED)
@pytest.mark.parametrize("value", [{"a": 1}, [1], -1, 10**300, "", True, [{}], [{"tasks": -1}]], ids=repr)
def test_what_is_missing_or_mixed_in_another_form_is_refused(tmp_path, name, value):
    seal(tmp_path / "toy/walk/laptop", {name: value})
    sections, unreadable = read_sections(tmp_path)
    assert (sections, len(unreadable)) == ([], 1)
    assert name in unreadable[0]


@pytest.mark.parametrize("name", NASTY)
def test_names_are_shown_and_not_obeyed(tmp_path, name):
    guarantee = {**GUARANTEE, "id": name, "note": name}
    guarantee["hypotheses"] = [{"name": name, "holds": False, "detail": name}]
    texts = dict.fromkeys(("id", "title", "source", "scale", "command", "date"), name)
    seal(tmp_path / "a (b)/c d/e", {**texts, "failures": [name]}, [guarantee], pictures={"figure.png": b"\x89PNG"})
    page, markdown = report.write_report(tmp_path, *read_sections(tmp_path))
    html, text = page.read_text(encoding="utf-8"), markdown.read_text(encoding="utf-8")
    for content in (html, text):
        assert all(line.isprintable() for line in content.split("\n"))
    for tag in ("<script", "<b>", "{{", "49"):
        assert tag not in html.replace("{{ 7 * 7 }}", "").partition("<body>")[2]
    (row,) = [line for line in text.split("\n") if "outside" in line or "holds" in line][-1:]
    assert row.startswith("| ")
    assert "](a%20%28b%29/c%20d/e/figure.png)" in text
    assert (tmp_path / "a (b)/c d/e/verdicts.md").read_text(encoding="utf-8").count("\n") == 3
    assert shown.markdown(name, 5000) in text


def test_an_unreadable_record_is_no_record(tmp_path):
    path = tmp_path / "mine.record.json"
    for content in BROKEN.values():
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"the record of mine (is not readable|has format)") as error:
            records._read.__wrapped__(path, 0)
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 400


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_sidecar_that_cannot_be_believed_is_damage(tmp_path, content):
    store = Store(tmp_path)
    shard = store.write("toy/walk", [Entry("a" * 64, {"n": 1}, [{"n": 1}], None, 0.5)], {})
    shard.sidecar.write_bytes(content)
    with pytest.warns(DamagedShardWarning, match="its tasks count as not done"):
        assert store.look("toy/walk").seconds == {}


@pytest.mark.parametrize("name", ["manifest.json", "verdicts.json"])
def test_statements_are_kept_beside_files_that_cannot_be_read(tmp_path, toy_laboratory, name):
    for content in BROKEN.values():
        api.verify_all(["toy/lemma1"], scale="smoke", out=tmp_path)
        (tmp_path / "toy/verify/smoke" / name).write_bytes(content)
        api.verify_all(["toy/lemma1"], scale="smoke", out=tmp_path)
        assert [g["id"] for g in read_section(tmp_path / "toy/verify/smoke").guarantees] == ["toy/lemma1[n=2]"]


def test_a_manifest_that_lacks_what_is_recorded_is_left_out(out, toy_laboratory):
    seal(out / "toy/walk/laptop", {"settings": "abc", "revision": 1, "seeds": 2})
    (out / "toy/good/laptop/verdicts.json").write_bytes(b"[")
    done = records.update(out)
    assert not done.written
    first, second = done.left_out
    assert first.startswith(f"{out / 'toy/good/laptop'} is not readable (verdicts.json: ")
    assert second == "toy/walk (laptop): its manifest lacks something, or has it otherwise (KeyError('tasks'))"


def test_report_says_what_it_left_out_and_ends_with_status_1(out, monkeypatch, capsys):
    (out / "toy/walk/laptop/manifest.json").write_bytes(BROKEN["deep"])
    monkeypatch.setattr("sys.argv", ["learnability", "report", "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    found = capsys.readouterr()
    assert ended.value.code == 1
    assert found.out.startswith("1 result: 1 hold\n")
    (line,) = found.err.splitlines()
    assert line.startswith(f"learnability: {out / 'toy/walk/laptop'} is not readable (manifest.json: its lists stand")


def test_what_is_written_is_read_back(tmp_path):
    value = {"name \x1b \u202e \ud800 é": [1, 2.5, None, True, "\n"]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "\x1b" not in (tmp_path / "a.json").read_text(encoding="utf-8")
