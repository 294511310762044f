"""``learnability explain``: every statement and figure says what it is about, from the code that computes it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap

import pytest

from learnability import cli, discovery, explanation, records
from learnability.explanation import explain

FOUND = discovery.installed()
OWN = '''
"""A staircase of one's own.

It climbs: see :func:`run`.
"""

from learnability.networks.symmetry import symmetry_init
from learnability.study import Check, Experiment, Scale
from learnability.studies.symmetry.theorems.lemmas_thm1 import lemma3_bound
from learnability.theory import Guarantee, Hypothesis, Kind


def run(setting, seed):
    return [{"y": len(symmetry_init(3).B)}]


def steps(scale):
    """Counted.

    Statement
    ---------
    Every step is at least the bound.

    Errata
    ------
    None of them is printed.
    """
    needed = (Hypothesis("n >= 3", True),)
    return [Guarantee("steps", "here", Kind.LOWER_BOUND, lemma3_bound(3, "integer"), 1.0, needed)]


EXPERIMENT = Experiment(title="Mine", run=run, scales=Scale([{"x": 1}], seeds=1, seconds=1))
CHECKS = (Check("steps", "nowhere", steps),)
'''


def only(name):
    (found,) = explain(name)
    return found


def of(name, kind):
    return next(one for one in explain(name) if one.kind == kind)


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["learnability", "explain", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return ended.value.code, out, err

    return run


@pytest.mark.parametrize("id", FOUND.statements)
def test_every_statement_is_explained(id):
    one = of(id, "statement")
    assert all(len(text) > 40 for text in one.statement)
    assert one.measured, "the check says how it is measured, a theorem or its section Statement what it is"
    assert FOUND.studies[id.partition("/")[0]].paper in one.source
    assert one.theorems or one.uses, "which functions compute it; where there is none, a section Computed says why"
    assert one.background


@pytest.mark.parametrize("id", FOUND.experiments)
def test_every_figure_is_explained(id):
    one = of(id, "figure")
    assert len(one.statement[0]) > 80
    assert one.title
    assert one.source
    assert one.measured, "the docstring of claims says what is claimed"
    assert one.theorems or one.uses


@pytest.mark.parametrize("name", FOUND.studies)
def test_a_study_lists_what_it_holds(name):
    one = only(name)
    assert one.kind == "study"
    assert one.statement
    ids = [id for id in (*FOUND.statements, *FOUND.experiments) if id.startswith(f"{name}/")]
    assert [id for id, _ in one.parts] == ids
    assert all(said for _, said in one.parts)


@pytest.mark.parametrize("name", FOUND.studies)
def test_recorded_numbers_are_the_record(name):
    record = records.read(FOUND.homes[name])
    for id, scales in record["figures"].items():
        one = of(id, "figure")
        for found, (scale, entry) in zip(one.recorded, scales.items(), strict=True):
            assert (found.scale, found.seeds, found.date) == (scale, entry["seeds"], entry["date"])
            assert found.command == f"learnability run {id} --scale {scale} --seeds {entry['seeds']}"
            assert [row["measured"] for row in found.rows] == [g["measured"] for g in entry["guarantees"]]
    for scale, entries in record["checks"].items():
        for id, entry in entries.items():
            (found,) = of(id, "statement").recorded
            assert found.command == f"learnability verify {id} --scale {scale}"
            assert len(found.rows) == len(entry["guarantees"])


def test_a_lemma_with_its_conditions_numbers_and_functions():
    one = only("symmetry/lemma4")
    assert one.statement[0].startswith("Lemma 4: with a small step both layers train like the perceptron")
    assert ":func:" not in "".join(one.statement)
    assert {"gamma <= 1", "R_X > 1", "beta = R^2 h", "marg(Y) > 0", "h <= ..."} <= set(one.hypotheses)
    by_name = {theorem.name.rpartition(".")[2]: theorem for theorem in one.theorems}
    assert by_name.keys() == {"lemma4", "movement_bound", "norm_bound", "lemma4_step_limit"}
    assert one.theorems[0].name == "learnability.studies.symmetry.theorems.thm2_lemma4.lemma4"
    limit = "(*, margin: float, radius: float, input_radius: float, activation: str = 'relu') -> float"
    assert by_name["lemma4_step_limit"].signature == limit
    assert by_name["lemma4"].promises
    assert not by_name["norm_bound"].promises
    assert "R_X = max |x|" in by_name["lemma4"].parameters


def test_the_paper_s_own_number_explains_a_lemma_beside_which_others_are_measured():
    assert only("parity/lemma6").theorems[0].name.endswith(".correlations.lemma6")


def test_a_statement_whose_short_name_the_paper_s_function_has_in_full_is_explained_by_it():
    one = only("separable/thm6")
    assert one.theorems[0].name.endswith(".thm2_thm6.theorem6")
    assert "n >= 2 c" in one.hypotheses


def test_how_tight_the_record_is_and_that_no_error_is_known(call):
    _, out, _ = call("residual/prop-b1")
    assert "Errata and ambiguities of the paper\n  none that we know of\n" in out
    assert re.search(r"tightest of those that hold: residual/prop-b1, slack [\d.e-]+ of its bound", out)
    _, out, _ = call("parity/representation")
    assert "tight: each is an equality" in out


def test_a_figure_says_what_its_runs_have_chosen():
    assert "for the random one He with h = n^-3" in " ".join(" ".join(only("symmetry/fig5").background).split())


def test_a_row_is_explained_by_its_statement_and_its_own_number():
    one = only("symmetry/lemma4-norm[n=20|30]")
    assert (one.id, one.row) == ("symmetry/lemma4", "symmetry/lemma4-norm[n=20|30]")
    (record,) = one.recorded
    (row,) = record.rows
    assert row["slack"] == row["bound"] - row["measured"]
    assert only("symmetry/lemma4-norm[n=2") == one
    of_figure = only("symmetry/fig5a/ours-empirical-error[beta=n^3h]")
    assert (of_figure.kind, of_figure.id) == ("figure", "symmetry/fig5")


def test_the_beginning_of_one_name_is_enough():
    assert only("symmetry/dead") == only("symmetry/dead-neurons")
    assert only("symm") == only("symmetry")
    assert [one.kind for one in explain("symmetry/lemma3")] == ["statement", "figure"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("symmetry/fig", "several names begin with 'symmetry/fig': symmetry/fig1, symmetry/fig2"),
        ("symmetry/lemma4-m", "'symmetry/lemma4-m': symmetry/lemma4-movement[n=4|6|8|10], "),
        ("lemma4", "nothing is named 'lemma4'; nearest: symmetry/lemma4, "),
        ("residul/thm1", "nearest: residual/thm1, "),
        ("zzzz", "nearest: parity, residual, separable, symmetry"),
        ("", "name must be that of a statement, figure or study"),
        ("nowhere.py", "there is no file or folder 'nowhere.py'"),
    ],
)
def test_other_names_are_refused_with_those_that_are_meant(call, name, said):
    code, out, err = call(name)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err


def test_a_file_of_one_s_own(tmp_path, call):
    path = tmp_path / "stairs.py"
    path.write_text(OWN)
    check, figure = explain(str(path))
    assert check.statement == ("Every step is at least the bound.",)
    assert (check.measured, check.errata, check.source) == ("Counted.", ("None of them is printed.",), "nowhere")
    assert "n >= 3" in check.hypotheses
    assert [theorem.name.rpartition(".")[2] for theorem in check.theorems] == ["lemma3_bound"]
    assert figure.title == "Mine"
    assert figure.statement == ("A staircase of one's own.\n\nIt climbs: see run.",)
    assert figure.uses == ("learnability.networks.symmetry.symmetry_init",)
    code, out, _ = call(str(path))
    assert code == 0
    assert "A staircase of one's own." in out


def test_a_package_laid_out_like_a_study(tmp_path):
    folder = tmp_path / "house"
    (folder / "checks").mkdir(parents=True)
    (folder / "__init__.py").write_text('"""A house."""\n')
    (folder / "checks" / "__init__.py").touch()
    (folder / "theorems").mkdir()
    (folder / "theorems" / "__init__.py").touch()
    (folder / "theorems" / "roof.py").write_text(
        '"""Roofs."""\nfrom learnability.theory import Guarantee, Kind\n\n'
        'def roof(h: float) -> Guarantee:\n    """A roof is at least as high as its walls."""\n'
        '    return Guarantee("house/roof", "a book", Kind.LOWER_BOUND, h, h)\n'
    )
    (folder / "checks" / "roofs.py").write_text(
        "from learnability.study import Check\n\nfrom ..theorems.roof import roof\n\n"
        'def roofs(scale):\n    "Measured."\n    return [roof(1.0)]\n\nCHECKS = (Check("roof", "a book", roofs),)\n'
    )
    one = only(str(folder / "checks" / "roofs.py"))
    assert one.statement == ("A roof is at least as high as its walls.",)
    assert one.background == ("A house.", "Roofs.")
    assert only(str(folder)).statement == ("A house.",)
    assert only(str(folder)).parts == (("house/roof", "a book: A roof is at least as high as its walls."),)


def test_plain_text_off_a_terminal_and_one_json_object(call):
    code, out, err = call("symmetry/lemma4")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert out.startswith("symmetry/lemma4\n  Nachum & Yehudayoff, Lemma 4\n")
    for heading in ("Statement", "Hypotheses", "How it is measured", "Recorded (laptop, ", "To compute with"):
        assert f"\n{heading}" in out
    assert "  $ learnability verify symmetry/lemma4 --scale laptop\n" in out
    assert "more (--verbose)" in out
    code, out, err = call("symmetry/lemma4", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["name"] == "symmetry/lemma4"
    (one,) = told["explanations"]
    assert one["recorded"][0]["rows"][0].keys() >= {"id", "verdict", "measured", "bound", "slack"}
    assert one["theorems"][0].keys() == {"name", "signature", "text", "parameters", "promises"}


def test_verbose_shows_arguments_and_every_row(call):
    _, out, _ = call("symmetry/lemma4", "--verbose")
    assert "margin, radius, input_radius : float" in out
    assert out.count("    h at the limit") > 0
    assert "more (--verbose)" not in out


def test_a_narrow_terminal_breaks_no_word(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    _, out, _ = call("symmetry/dead-neurons")
    prose = out[out.index("\nStatement") : out.index("\nRecorded")]
    assert all(len(line) <= 40 for line in prose.splitlines())
    assert " ".join(only("symmetry/dead-neurons").statement[0].split()) in " ".join(prose.split())


def test_a_record_that_cannot_be_read_costs_the_numbers_only(monkeypatch):
    def unreadable(home):
        raise ValueError("damaged")

    monkeypatch.setattr(records, "read", unreadable)
    assert only("symmetry/lemma4").recorded == ()
    assert only("symmetry/lemma4").statement


def test_names_are_completed_and_help_has_an_example():
    assert {"symmetry", "symmetry/lemma4", "symmetry/fig5"} <= set(explanation.names())
    done = subprocess.run(
        [sys.executable, "-m", "learnability", "explain", "--help"], capture_output=True, text=True, check=True
    )
    assert "learnability explain symmetry/lemma4" in " ".join(done.stdout.split())


def test_sections_lists_and_marks_of_a_docstring():
    found = explanation._sections(
        textwrap.dedent(
            """\
            One :func:`a.b.c`, ``d`` and **e**, 2 ** 3.

            Why it is so
            ------------
            g

            Notes
            -----
            f
            """
        )
    )
    assert found == {"": "One c, d and e, 2 ** 3.\n\nWhy it is so:\n\ng", "Notes": "f"}


def test_formulas_are_said_as_one_would_type_them():
    text = r"""
        Bounded by :math:`\frac{k}{\sqrt n} + \tilde\alpha^{2/3}` and \|w\|.

        .. math:: \left| q_{\{i\}} \right| \le \binom{n}{k} ,
                  \quad z \sim N(0, 1)

        So it is.
        """
    said = explanation._sections(textwrap.dedent(text))[""]
    assert said == (
        "Bounded by (k) / (sqrt(n)) + alpha~^(2/3) and |w|.\n\n"
        "    | q_({i}) | <= C(n, k) ,\n    z ~ N(0, 1)\n\nSo it is."
    )


def test_no_explanation_shows_marks_of_its_docstring():
    for name in explanation.names():
        for one in explain(name):
            texts = (*one.statement, *one.hypotheses, one.measured, *one.errata, *one.background)
            texts += tuple(part for theorem in one.theorems for part in (theorem.text, theorem.parameters))
            assert not [line for text in texts for line in text.splitlines() if "\\" in line or ":math:" in line]
