"""What a certification says in Python, beside what the test sample says, whatever names the data bring along."""

from __future__ import annotations

import dataclasses
import doctest
import json
import pickle
import warnings

import matplotlib.text
import numpy as np
import pytest
from scipy.stats import binom, binomtest

import learnability
from learnability import api, report, shown
from learnability.certification import sentences, statements
from learnability.certification.options import Options
from learnability.datasets import DataSet
from learnability.problems.separable import random_separable
from learnability.runner import FailureWarning
from learnability.theory.guarantee import Verdict
from learnability.theory.margins import active_set, hard_margin
from names import NASTY


def planted(m=120, d=4, margin=0.15, seed=0):
    rng = np.random.default_rng(seed)
    return random_separable(rng, d, margin).sample(rng, m)


@pytest.fixture(scope="module")
def separable():
    return learnability.certify(*planted(), width=[2, 10], repeats=2)


@pytest.fixture(scope="module")
def inseparable():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 3))
    return learnability.certify(X, X[:, 0] + 0.5 * rng.normal(size=80) > 0, width=[2, 10], repeats=2, budget=0.2)


@pytest.mark.parametrize(("mistakes", "tests"), [(0, 15), (1, 15), (7, 91), (90, 91)])
def test_the_test_samples_own_limit_is_clopper_and_pearsons(mistakes, tests):
    options = Options(widths=(2, 10), repeats=3, delta=0.1)
    doubt = 0.1 / (7 * 2 * 3)
    limit = statements.holdout_bound(mistakes / tests, tests, options)
    assert binom.cdf(mistakes, tests, limit) == pytest.approx(doubt, rel=1e-8)
    exact = binomtest(mistakes, tests, alternative="less").proportion_ci(1 - doubt, method="exact")
    assert limit == pytest.approx(exact.high, rel=1e-9)


def test_limits_are_rounded_up():
    shown_as = {
        0.1153: "0.116",
        0.15: "0.15",
        0.5: "0.5",
        0.99961: "0.9997",
        1.0: "1",
        0.0: "0",
    }
    shown_as |= {0.00012345: "0.000124", 54.531: "54.6"}
    for value, text in shown_as.items():
        assert statements.at_most(value) == text


def test_the_ends_of_the_limit():
    assert statements.holdout_bound(1.0, 9, Options()) == 1.0
    assert statements.holdout_bound(None, 0, Options()) is None


def test_the_limit_holds_as_often_as_it_says():
    """All of them at once with probability 1 - delta, whatever the network: here a coin of known error."""
    options = Options(widths=(2,), repeats=1, delta=0.35)
    error, tests = 0.2, 40
    chances = binom.pmf(np.arange(tests + 1), tests, error)
    misses = [statements.holdout_bound(k / tests, tests, options) < error for k in range(tests + 1)]
    assert 0.01 < chances[misses].sum() <= 0.35 / 7


def test_beside_each_bound_on_the_error_stands_what_the_test_sample_says_of_the_same_run(separable, inseparable):
    for result in (separable, inseparable):
        tests, said = len(result.found.y_test), result.to_json()
        for stated, g in zip(said["guarantees"], result.guarantees, strict=True):
            if not statements.about_error(g):
                assert stated["holdout_bound"] is None
                continue
            own = statements.holdout_bound(g.measured, tests, result.options)
            assert stated["holdout_bound"] == own
            assert f"the test sample itself says: error <= {statements.at_most(own)} ({tests} examples" in g.note
        assert [run["holdout_bound"] for run in said["runs"]] == [
            statements.holdout_bound(run.test_error, tests, result.options) for run in result.runs
        ]
        cells = list(sentences.run_cells(result))
        own = max(r["holdout_bound"] for r in said["runs"] if (r["width"], r["data"]) == (2, cells[0][1]))
        assert cells[0][sentences.RUN_HEADINGS.index("test says <=")] == statements.at_most(own)


def test_without_a_test_sample_that_is_said():
    result = learnability.certify(*planted(), width=[2], repeats=1, test=0)
    assert result.holdout_bound is result.test_error is result.to_json()["holdout_bound"] is None
    assert all("there is no test sample" in g.note for g in result.guarantees if statements.about_error(g))
    assert all(run["holdout_bound"] is None for run in result.to_json()["runs"])
    assert next(sentences.run_cells(result))[sentences.RUN_HEADINGS.index("test says <=")] == "-"
    assert "the test sample itself" not in repr(result)


def test_what_the_page_says_are_attributes(separable, inseparable):
    assert separable.separable
    assert separable.margin == pytest.approx(1 / separable.w_norm)
    assert separable.certificate is None
    assert separable.updates == max(run.updates for run in separable.runs)
    updates = [g for g in separable.guarantees if g.id.startswith(("separable/thm2", "separable/cor3"))]
    assert separable.update_bound == min(g.bound for g in updates) >= separable.updates
    errors = [g.bound for g in separable.guarantees if statements.about_error(g) and g.verdict is Verdict.HOLDS]
    assert separable.error_bound == min(errors) < 1
    assert separable.test_error == min(run.test_error for run in separable.runs) <= separable.holdout_bound < 1
    for result in (separable, inseparable):
        said = result.to_json()
        for name in ("separable", "margin", "w_norm", "update_bound", "updates", "error_bound", "test_error"):
            assert said[name] == getattr(result, name)
        assert said["holdout_bound"] == result.holdout_bound
    assert not inseparable.separable
    assert (inseparable.margin, inseparable.w_norm) == (0.0, None)
    assert len(inseparable.certificate.rows) == len(inseparable.certificate.weights) > 2
    part = [run.updates for run in inseparable.runs if run.data == "separable part"]
    assert inseparable.updates == max(part) <= inseparable.update_bound


def test_nothing_proved_is_none():
    relu = learnability.certify(*planted(), width=[2], repeats=1, slope=0, scale="standard")
    assert relu.update_bound is relu.error_bound is None
    assert relu.updates > 0


def test_its_repr_is_the_answer_on_one_screen(separable, inseparable):
    for result in (separable, inseparable):
        lines = repr(result).splitlines()
        assert len(lines) <= 24
        assert max(map(len, lines)) <= 100
        assert "\x1b" not in repr(result)
        assert " ".join(repr(result).split()).startswith(" ".join(" ".join(sentences.answer(result)).split()))
        for said in ("bound on", "Corollary 3", "Theorem 2", "Theorem 5", "the test sample itself", "trained on"):
            assert said in repr(result)
    many = learnability.certify(*planted(), width=range(2, 40, 2), repeats=1)
    assert len(repr(many).splitlines()) == 24
    assert "\n...\n" in repr(many)


def test_it_pickles(separable, inseparable):
    for result in (separable, inseparable):
        again = pickle.loads(pickle.dumps(result))
        assert again == result
        assert repr(again) == repr(result)
        np.testing.assert_array_equal(again.found.X, result.found.X)
    assert separable != inseparable
    assert separable != 1


# Names of others


def texts(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


@pytest.fixture(scope="module")
def plain():
    return learnability.certify(*planted(30), width=[2], repeats=1)


@pytest.mark.parametrize("name", NASTY)
def test_no_name_changes_what_a_page_or_a_figure_shows(name, plain):
    result = dataclasses.replace(plain, source=name, classes=(name, f"{name}+"))
    lines = [repr(result), sentences.headline(result), *sentences.sentences(result), *sentences.answer(result)]
    for line in "\n".join(lines).split("\n"):
        assert line.isprintable()
    assert json.loads(json.dumps(result.to_json())) == result.to_json()
    figure = result.figure()
    title = matplotlib.text.Text(0, 0, figure.get_suptitle())
    text, parsed = title._preprocess_math(title.get_text())
    assert (parsed, text.split(": 30 examples")[0]) == (False, shown.line(name, 60))


@pytest.mark.parametrize("name", ["\x1b[31m数字.csv", "$\\frac{1}{0}$", "\u202e<b>|`*"])
def test_a_figure_of_any_name_is_saved_without_a_word(name, tmp_path):
    X, y = planted(30)
    data = DataSet(X, y, name, (name, f"{name}+"), (f"labels in {name}",))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = api.certify_data(data, width=[2], repeats=1, out=tmp_path)
    assert len(result.files) == 2
    assert json.loads((result.folder / "certify.json").read_text()) == result.to_json()
    assert result.notes[0].isprintable()


@pytest.mark.parametrize("name", ["half \udcff.csv", "\ud800"])
def test_halves_of_characters_can_be_written(name, tmp_path):
    X, y = planted(30)
    result = api.certify_data(DataSet(X, y, name, (name, "b")), width=[2], repeats=1, out=tmp_path)
    assert "\\ud" in json.loads((result.folder / "certify.json").read_text())["source"]


def test_labels_of_an_inseparable_set_are_shown_as_they_are_written():
    X, y = planted(30)
    data = DataSet(np.vstack([X, X[:1]]), np.append(y, -y[0]), "t", ("\x1b[31m", "it's"))
    result = api.certify_data(data, width=[2], repeats=1, budget=0.1)
    assert r"'\x1b[31m'" in next(sentences.answer(result))
    assert set(result.certificate.to_json()["labels"]) == {"\x1b[31m", "it's"}


def test_mathematics_in_a_name_stays_text():
    X, y = planted(30)
    result = api.certify_data(DataSet(X, y, "$x_1^2$.csv", (0, 1)), width=[2], repeats=1)
    (title,) = (text for text in texts(result.figure()) if "leaky ReLU" in text)
    assert title.startswith(r"\$x_1^2\$.csv: 30 examples")


@pytest.mark.parametrize("error", [MemoryError("no room"), RuntimeError("font not\nfound"), ValueError("glyph")])
def test_a_figure_that_fails_costs_a_line_and_no_number(error, tmp_path, monkeypatch):
    X, y = planted(30)
    fine = learnability.certify(X, y, width=[2], repeats=1, out=tmp_path)
    assert (fine.folder / "figure.pdf").exists()

    def failing(*args, **options):
        raise error

    monkeypatch.setattr(report, "pictures", failing)
    with pytest.warns(FailureWarning, match="certify/data: figure: ") as said:
        result = learnability.certify(X, y, width=[2], repeats=1, out=tmp_path)
    assert "\n" not in str(said[0].message)
    assert (result.folder, result.files) == (fine.folder, [])
    assert {p.name for p in result.folder.iterdir()} == {
        "certify.json", "verdicts.json", "verdicts.md", "manifest.json",
    }  # fmt: skip
    assert json.loads((result.folder / "certify.json").read_text()) == result.to_json()
    (failure,) = json.loads((result.folder / "manifest.json").read_text())["failures"]
    assert failure.startswith("certify/data: figure: ")


def test_the_figure_shows_what_the_test_sample_says(separable, inseparable):
    for result, label in ((separable, ""), (inseparable, ", all examples")):
        left, right = result.figure().axes
        (own,) = (line for line in right.get_lines() if line.get_label() == f"limit by the test sample itself{label}")
        runs = [r for r in result.to_json()["runs"] if r["data"] == "all"]
        worst = [max(r["holdout_bound"] for r in runs if r["width"] == width) for width in (2, 10)]
        np.testing.assert_allclose(own.get_ydata(), worst)
        assert not any("sequence" in line.get_label() for line in left.get_lines())


def test_the_example_of_the_page_is_what_comes(pytestconfig):
    page = pytestconfig.rootpath / "docs/certify.md"
    failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert (failed, tried > 0) == (0, True)


def test_progress_says_what_is_being_done_and_how_far_it_has_come(inseparable, monkeypatch):
    seen = []
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 3))
    y = X[:, 0] + 0.5 * rng.normal(size=80) > 0
    result = learnability.certify(X, y, width=[2, 10], repeats=2, budget=0.2, on_progress=seen.append)
    assert result == inseparable  # being watched changes nothing
    parts = list(dict.fromkeys((p.label.partition(":")[0], p.done) for p in seen))
    assert parts == [
        ("margin of all 80 examples", 0),
        ("not separable, which of all 80 examples to leave out", 1),
        ("margin of 60 training examples", 2),
        ("not separable, which of 60 training examples to leave out", 3),
        ("SGD with 2k = 2, run 1 of up to 2", 4),
        ("SGD with 2k = 2, run 2 of up to 2", 5),
        ("SGD with 2k = 10, run 1 of up to 2", 6),
        ("SGD with 2k = 10, run 2 of up to 2", 7),
        ("", 8),
    ]
    assert {p.total for p in seen[-5:]} == {8}
    details = [p.label.partition(": ")[2] for p in seen]
    for said in ("contradictions: ", "looking for a direction with few errors", "bringing back: "):
        assert any(said in detail for detail in details)
    steps = []
    monkeypatch.setattr(active_set, "_TOLD", 1)
    hard_margin(*planted(), advance=steps.append)
    assert steps[:3] == ["1 steps", "2 steps", "3 steps"]
