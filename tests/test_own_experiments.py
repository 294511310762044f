"""Experiments of one's own: files, folders, installed packages, sessions; their keys, ids, claims and travels."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import learnability
from learnability import cli, discovery, records, runner, source, study
from learnability.evidence import claim
from learnability.runner import FailureWarning
from learnability.study import Experiment, Scale, grid

MINE = """
import helpers
from helpers import double
from learnability.evidence import claim, mean
from learnability.plotting import Panel, Plot, over_seeds
from learnability.study import Check, Experiment, Scale, grid
from learnability.theory import Guarantee, Kind

OFFSET = 3


def run(setting, seed):
    "A task."
    from helpers import late

    return [{"y": double(setting["x"]) + OFFSET + late() + 0.1 * seed}]


def figure(table):
    return Plot([Panel([over_seeds(table, "x", "y")], xlabel="x", ylabel="y")])


def claims(table):
    return [claim("small", 100.0, mean(table["y"]), "at_most")]


def cells(x=(1.0, 2.0)):
    return grid(x=x)


def one(scale):
    return [Guarantee("one", "nowhere", Kind.EXACT, 1.0, 1.0)]


EXPERIMENT = Experiment(
    title="Mine", run=run, figure=figure, claims=claims, scales=Scale(cells, seeds=3, seconds=1)
)
CHECKS = (Check("one", "nowhere", one),)
"""
HELPERS = """
FACTOR = 2.0


def double(x):
    return FACTOR * x


def late():
    return 0.0


def unused():
    return 1
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a file of one's own, which the working directory is."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "helpers.py").write_text(HELPERS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(monkeypatch, capfd):
    """The command line in this process: exit status, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["learnability", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capfd.readouterr()

    return call


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def ran(here, **options):
    return learnability.run("mine.py", out=here / "out", **options).tasks["run"]


def test_a_file_is_an_experiment_and_its_answers_are_kept(here, call):
    code, out, err = call("run", "mine.py", "--out", "out")
    assert (code, err) == (0, "")
    assert out.startswith("mine/figure (laptop, 3 seeds; tasks: 6 run;")
    manifest = json.loads((here / "out/mine/figure/laptop/manifest.json").read_text())
    assert manifest["command"] == "learnability run mine.py --scale laptop --seeds 3"
    (claim,) = json.loads((here / "out/mine/figure/laptop/verdicts.json").read_text())["guarantees"]
    assert claim["id"] == "mine/figure/small"
    assert claim["source"]
    assert claim["verdict"] == "holds"
    assert call("run", "mine.py", "--out", "out")[1].startswith(
        "mine/figure (laptop, 3 seeds; tasks: 0 run, 6 cached"
    )


def test_list_verify_record_and_report_know_it_too(here, call):
    assert "mine/figure" in call("list", "mine.py")[1]
    assert "x=[1.0, 2.0]" in call("list", "mine.py")[1]
    assert call("list", "mine.py", "--statements")[1].split()[-2:] == ["mine/one", "nowhere"]
    assert call("run", "mine.py", "--out", "out")[0] == 0
    code, out, _ = call("verify", "mine.py", "--out", "out")
    assert code == 0
    assert out.startswith("mine (laptop): 1 statement, 1 hold")
    assert call("record", "mine.py", "--out", "out")[0] == 0
    assert set(json.loads((here / "mine.record.json").read_text())["figures"]) == {"mine/figure"}
    assert "as recorded" in call("run", "mine.py", "--out", "out")[1]
    edit(here / "helpers.py", "FACTOR = 2.0", "FACTOR = 200.0")
    assert "no record (the one there is has other settings, data or code)" in call("run", "mine.py", "--out", "o2")[1]
    assert call("report", "--out", "out")[0] == 0
    text = (here / "out/report.md").read_text()
    for command in (
        "learnability run mine.py --scale laptop --seeds 3",
        "learnability verify mine.py --scale laptop",
    ):
        assert f"`{command}`" in text
        assert call(*shlex.split(command)[1:], "--out", "again")[0] == 0


def test_what_run_reaches_is_computed_again_and_nothing_else(here):
    assert ran(here) == 6
    edit(
        here / "mine.py",
        'return Plot([Panel([over_seeds(table, "x", "y")]',
        'return Plot([Panel([over_seeds(table, "x", "y", label="a")]',
    )
    edit(here / "mine.py", '"small", 100.0', '"small", 1.0')
    edit(here / "mine.py", '"A task."', '"One of six tasks."  # and a remark')
    edit(here / "helpers.py", "def double(x):", "def double(x):\n    # twice\n")
    assert ran(here) == 0
    edit(here / "mine.py", "+ OFFSET", "- OFFSET")
    assert ran(here) == 6
    edit(here / "mine.py", "OFFSET = 3", "OFFSET = 4")
    assert ran(here) == 6
    edit(here / "helpers.py", "return FACTOR * x", "return x * FACTOR")
    assert ran(here) == 6
    edit(here / "helpers.py", "FACTOR = 2.0", "FACTOR = 3.0")
    assert ran(here) == 6
    edit(here / "helpers.py", "return 0.0", "return 1.0")  # imported inside the function
    assert ran(here) == 6
    edit(here / "mine.py", "x=(1.0, 2.0)", "x=(1.0, 2.0, 3.0)")
    assert ran(here) == 3
    assert ran(here, set={"x": (1.0, 5.0)}) == 3


def test_rows_are_the_same_in_workers_and_here(here):
    alone, two = (learnability.run("mine.py", workers=workers) for workers in (1, 2))
    assert two.failures == []
    assert alone.table.equals(two.table)


def test_a_cluster_gets_the_files(here):
    from distributed import LocalCluster

    alone = learnability.run("mine.py")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        there = learnability.run("mine.py", scheduler=cluster.scheduler_address)
        edit(here / "helpers.py", "FACTOR = 2.0", "FACTOR = 3.0")  # the worker has the old one in memory
        after = learnability.run("mine.py", scheduler=cluster.scheduler_address)
    assert there.failures == after.failures == []
    assert alone.table.equals(there.table)
    assert (after.table["y"] - there.table["y"]).tolist() == pytest.approx(there.table["x"].tolist())


@pytest.mark.parametrize(("asked", "papers"), [("mine.py", set()), ("symmetry/fig5", {"symmetry"})])
def test_a_run_loads_the_figures_of_no_other_paper(here, asked, papers):
    code = (
        "import sys, learnability\n"
        f"learnability.run({asked!r}, scale={'smoke' if papers else None!r})\n"
        "print([name.split('.')[2] for name in sys.modules if name.startswith('learnability.studies.')"
        " and '.figures.' in name])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert set(re.findall(r"\w+", done.stdout)) == papers, done.stderr


def test_a_process_without_the_files_unpacks_copies(here, tmp_path_factory):
    experiment = discovery.load("mine.py").experiments["mine/figure"]
    packed = source.Luggage.of(experiment.run)
    assert {Path(name).name for name in packed.files} == {"mine.py", "helpers.py"}
    expected = experiment.run({"x": 2.0}, 1)
    for name in ("mine.py", "helpers.py"):
        (here / name).unlink()
    parcel = tmp_path_factory.mktemp("post") / "parcel"
    import cloudpickle

    parcel.write_bytes(cloudpickle.dumps(packed))
    code = (
        "import sys, cloudpickle\n"
        "luggage = cloudpickle.loads(open(sys.argv[1], 'rb').read())\n"
        "print(luggage.unpack()({'x': 2.0}, 1))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(parcel)], capture_output=True, text=True, timeout=300)
    assert (done.stdout.strip(), done.stderr) == (str(expected), "")


@pytest.mark.parametrize("way", ["file", "standard input"])
def test_a_script_hands_its_experiment_over(here, way):
    text = """
        import learnability
        from helpers import double
        from learnability.study import Experiment, Scale, grid

        OFFSET = 1

        def run(setting, seed):
            return [{"y": double(setting["x"]) + OFFSET}]

        mine = Experiment(title="Of a script", run=run, scales=Scale(grid(x=[1.0, 2.0]), seeds=3, seconds=1))
        for workers in (2, 1):
            found = learnability.run(mine, workers=workers, out="out")
            print(found.id, found.tasks["run"], found.failures, sorted(set(found.table["y"])))
    """
    script = textwrap.dedent(text)
    (here / "asks.py").write_text(script)
    arguments = (
        {"args": [sys.executable, "asks.py"]} if way == "file" else {"args": [sys.executable, "-"], "input": script}
    )
    done = subprocess.run(**arguments, capture_output=True, text=True, timeout=300)
    name = "asks" if way == "file" else "session"
    assert (done.stdout, done.stderr) == (
        f"{name}/figure 6 [] [3.0, 5.0]\n{name}/figure 0 [] [3.0, 5.0]\n", "",
    )  # fmt: skip


# Studies ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(here):
    """A folder laid out like a study."""
    (here / "lab/figures").mkdir(parents=True)
    (here / "lab/checks").mkdir()
    (here / "lab/common.py").write_text(HELPERS)
    body = MINE.replace("import helpers\n", "").replace("from helpers", "from ..common")
    figure, _, check = body.partition("CHECKS =")
    (here / "lab/figures/first_one.py").write_text(figure)
    (here / "lab/checks/all.py").write_text(f"{body.partition('EXPERIMENT =')[0]}\nCHECKS ={check}")
    return here


def test_a_folder_of_figures_and_checks_is_a_study(folder, call):
    found = learnability.run("lab", workers=2, out="out")
    assert (found.id, found.failures, found.tasks["run"]) == ("lab/first-one", [], 6)
    assert learnability.run("lab/figures/first_one.py", out="out").tasks["run"] == 0
    assert [g.id for g in learnability.verify("lab")] == ["lab/one"]
    manifest = json.loads((folder / "out/lab/first-one/laptop/manifest.json").read_text())
    assert manifest["command"] == "learnability run lab/figures/first_one.py --scale laptop --seeds 3"
    edit(folder / "lab/common.py", "FACTOR = 2.0", "FACTOR = 1.0")
    assert learnability.run("lab", out="out").tasks["run"] == 6
    (folder / "lab/__init__.py").write_text(
        'from learnability.study import Study\nSTUDY = Study("lab", "Me", "Me. A study. 2030.")\n'
    )
    assert call("verify", "lab", "--out", "out")[0] == 0
    assert json.loads((folder / "out/lab/verify/laptop/manifest.json").read_text())["source"] == "Me. A study. 2030."
    assert call("record", "lab", "--out", "out")[0] == 0
    assert (folder / "lab/record.json").exists()


@pytest.mark.parametrize("part", ["figures", "checks"])
def test_a_broken_file_of_a_folder_is_named_and_stops_no_other_alone(folder, call, part):
    (folder / f"lab/{part}/bad.py").write_text("import os\n1 / 0\n")
    message = f"learnability: {part}/bad.py cannot be imported: ZeroDivisionError: division by zero (bad.py:2)\n"
    for arguments in (["run", "lab"], ["list", "lab"], ["verify", "lab"], ["run", f"lab/{part}/bad.py"]):
        assert call(*arguments, "--out", "out")[0] == 2 if arguments[0] != "list" else call(*arguments)[0] == 2
        assert call(*arguments)[1:] == ("", message)
    assert call("run", "lab/figures/first_one.py", "--out", "out")[0] == 0
    assert call("verify", "lab/checks/all.py", "--out", "out")[0] == 0


def test_two_files_of_a_folder_for_one_id_are_refused(folder, call):
    shutil.copy(folder / "lab/figures/first_one.py", folder / "lab/figures/first-one.py")
    message = (
        "learnability: two experiments have the id 'lab/first-one': figures/first-one.py and figures/first_one.py\n"
    )
    for place in ("lab", "lab/figures/first_one.py"):
        assert call("run", place, "--out", "out") == (2, "", message)


def test_a_copied_study_is_the_copier_s_own(here, call):
    shutil.copytree(Path(learnability.__file__).parent / "studies/separable", here / "copied")
    found = discovery.load("copied")
    assert set(found.studies) == {"copied"}
    assert {id.partition("/")[2] for id in found.experiments} == {
        id.partition("/")[2] for id in discovery.installed().experiments if id.startswith("separable/")
    }
    done = learnability.run("copied/figures/fig1.py", scale="smoke", seeds=3)
    assert done.failures == []
    assert all(g.id.startswith("copied/fig1/") for g in done.guarantees)
    assert all(g.id.startswith("copied/") for g in learnability.verify("copied/checks/relu.py", scale="smoke"))
    assert "copied/thm9" in call("list", "copied")[1]
    for arguments in (["run", "copied/figures/thm4.py"], ["record", "copied"], ["report"]):
        assert call(*arguments, "--out", "out")[0] == 0, arguments
    assert set(json.loads((here / "copied/record.json").read_text())["figures"]) == {"copied/thm4"}


@pytest.fixture
def package(here, monkeypatch):
    """An installed package with a good study, and one with a broken one."""
    site = here / "site"
    (site / "good_lab").mkdir(parents=True)
    shutil.copy(here / "helpers.py", site / "helpers.py")
    (site / "good_lab/__init__.py").write_text(MINE)
    (site / "bad_lab.py").write_text("1 / 0\n")
    for name, module in (("good", "good_lab"), ("bad", "bad_lab")):
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[learnability.studies]\n{name} = {module}\n")
    (site / "good_lab/__init__.py").rename(site / "good_lab.py")
    (site / "good_lab").rmdir()
    monkeypatch.syspath_prepend(str(site))
    discovery.foreign.cache_clear()
    yield site
    discovery.foreign.cache_clear()
    for name in ("good_lab", "bad_lab", "helpers"):
        sys.modules.pop(name, None)


def test_an_installed_package_is_found_and_a_broken_one_stops_nothing(package, call):
    code, out, err = call("list")
    assert code == 0
    assert "good/figure" in out
    assert err == "learnability: the study 'bad' is left out: ZeroDivisionError: division by zero (bad_lab.py:1)\n"
    code, out, err = call("run", "good/figure", "--out", "out")
    assert (code, err) == (0, "")
    manifest = json.loads(Path("out/good/figure/laptop/manifest.json").read_text())
    assert manifest["command"] == "learnability run good/figure --scale laptop --seeds 3"
    assert call("run", "bad/figure")[0] == 2
    assert "could not be loaded: ZeroDivisionError" in call("run", "bad/figure")[2]
    assert call("verify", "good", "--out", "out")[0] == 0


def test_an_installed_package_that_ends_python_stops_nothing(package, call):
    (package / "bad_lab.py").write_text("import sys\nsys.exit(7)\n")
    code, out, err = call("list")
    assert code == 0
    assert "good/figure" in out
    assert err == "learnability: the study 'bad' is left out: SystemExit: 7 (bad_lab.py:2)\n"
    (package / "bad_lab.py").write_text("raise KeyboardInterrupt\n")
    sys.modules.pop("bad_lab", None)
    discovery.foreign.cache_clear()
    assert call("list")[::2] == (130, "learnability: interrupted\n")  # in a word, whoever catches it first


def test_new_writes_a_study_that_runs_is_verified_listed_recorded_and_reported(here, call):
    code, out, _ = call("new", "stairs")
    assert code == 0
    assert "learnability run stairs.py" in out
    for arguments in (
        ["run", "stairs.py", "--seeds", "3", "--workers", "2"], ["verify", "stairs.py"], ["list", "stairs.py"],
        ["record", "stairs.py"], ["report"],
    ):  # fmt: skip
        assert call(*arguments)[0] == 0, arguments
    code, out, _ = call("run", "stairs.py", "--seeds", "3")
    assert code == 0
    assert "3 hold; as recorded" in out
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "stairs.py"],
        capture_output=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    code, out, err = call("new", "stairs")
    assert (code, out, err) == (2, "", "learnability: stairs.py exists already; nothing was written\n")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "random", "symmetry", "3d", "a b", "test_it", "tasks", "nowhere/at/all/x y"]
)
def test_new_refuses_names_that_would_not_do(here, call, name):
    code, _, err = call("new", name)
    assert code == 2
    assert err.startswith("learnability: name must")
    assert sorted(p.name for p in here.iterdir()) == ["helpers.py", "mine.py"]


# Ids and claims ----------------------------------------------------------------------------------------------------


def test_a_copy_of_a_paper_s_figure_carries_an_id_of_its_own(here):
    (here / "bigger.py").write_text(
        "from dataclasses import replace\n"
        "from learnability.study import Scale\n"
        "from learnability.studies.symmetry.figures.lemma3 import EXPERIMENT as PAPERS\n"
        "EXPERIMENT = replace(PAPERS, scales={'tiny': PAPERS.scales['smoke']})\n"
    )
    done = learnability.run("bigger.py")
    assert done.id == "bigger/figure"
    assert done.scale == "tiny"
    assert done.guarantees
    assert all(g.id.startswith("bigger/figure/") for g in done.guarantees)
    assert discovery.installed().experiments["symmetry/lemma3"].id == "symmetry/lemma3"
    adopted = discovery.adopted(discovery.load("bigger.py").experiments["bigger/figure"])
    assert adopted.id == "bigger/figure"


def test_a_copied_figure_keeps_its_claims_apart_and_does_not_speak_for_its_paper(here, call):
    shutil.copy(Path(learnability.__file__).parent / "studies/symmetry/figures/fig5.py", here / "myfig.py")
    done = learnability.run("myfig.py", scale="smoke", seeds=3, out="out")
    assert done.failures == []
    ids = [g.id for g in done.guarantees]
    assert {"myfig/figure/fig5a/random-true-error", "myfig/figure/fig5b/random-true-error"} < set(ids)
    for guarantee in done.guarantees:
        failed = {h.name: h.detail for h in guarantee.hypotheses if not h.holds}
        assert "an experiment of your own" in failed["published parameters"]
    manifest = json.loads((here / "out/myfig/figure/smoke/manifest.json").read_text())
    assert manifest["source"] == "an experiment of your own, after Nachum & Yehudayoff, Figure 5"


def test_one_s_own_claims_about_a_copy_are_judged():
    def claims(table):
        return [claim(f"n={n}/a", 1.0, 0.5, "at_most") for n in (3, 4)] + [
            claim("symmetry/lemma3[n=3]", 1.0, 0.5, "at_most")
        ]

    papers = discovery.installed().experiments["symmetry/lemma3"]
    mine = replace(
        papers, id="mine/twisted", run=nothing, scales=Scale(grid(n=1), 3, 1.0), figure=None, claims=claims
    )
    done = learnability.run(mine)
    assert [g.id for g in done.guarantees] == [
        "mine/twisted/n=3/a", "mine/twisted/n=4/a", "mine/twisted/lemma3[n=3]",
    ]  # fmt: skip
    assert {g.source for g in done.guarantees} == {"an experiment of your own, after Nachum & Yehudayoff, Lemma 3"}
    assert {str(g.verdict) for g in done.guarantees} == {"holds"}
    with pytest.warns(FailureWarning, match="claims must have different ids, got 'mine/twisted/a' twice"):
        learnability.run(
            replace(mine, claims=lambda table: [claim(id, 1.0, 0.5, "at_most") for id in ("a", "mine/a")])
        )


@pytest.mark.parametrize("name", sorted(discovery.installed_names()))
def test_no_figure_of_a_copied_study_has_two_claims_of_one_id(name):
    record = records.read(discovery.installed().homes[name])
    for id, scales in record["figures"].items():
        ids = [g["id"] for entry in scales.values() for g in entry["guarantees"]]
        for experiment in ("myfig/figure", id.replace(name, "copied")):
            assert len({runner.own_id(one, experiment) for one in ids}) == len(set(ids))


def test_guarantees_of_a_check_keep_what_tells_them_apart(here):
    edit(
        here / "mine.py",
        'return [Guarantee("one", "nowhere", Kind.EXACT, 1.0, 1.0)]',
        'cases = ("n=3", "n=4", "one", "parity/n=5")\n'
        '    return [Guarantee(f"{case}/a", "nowhere", Kind.EXACT, 1.0, 1.0) for case in cases]',
    )
    assert [g.id for g in learnability.verify("mine.py")] == [
        "mine/one/n=3/a", "mine/one/n=4/a", "mine/one/a", "mine/one/n=5/a",
    ]  # fmt: skip
    edit(here / "mine.py", '"n=4"', '"n=3"')
    with pytest.warns(FailureWarning), pytest.raises(RuntimeError, match="guarantees must have different ids"):
        learnability.verify("mine.py")


def nothing(setting, seed):
    return [{"y": 1.0}]


def plain(**changes):
    return Experiment(
        **{"title": "Plain", "run": nothing, "scales": Scale(grid(x=[1]), seeds=3, seconds=1), **changes}
    )


def test_ids_of_a_session_come_from_its_file_or_are_given():
    assert discovery.adopted(plain()).id == "test-own-experiments/figure"
    assert discovery.adopted(plain(id="deep")).id == "deep/figure"
    assert discovery.adopted(plain(id="deep/wide")).id == "deep/wide"
    with pytest.raises(ValueError, match="must be <study>/<name>"):
        discovery.adopted(plain(id="a/b/c"))
    with pytest.raises(ValueError, match="the name verify is taken"):
        discovery.adopted(plain(id="verify/x"))
    mine = discovery.installed().experiments["symmetry/fig5"]
    assert discovery.adopted(mine) is mine


@pytest.mark.parametrize("id", ["../x", "a/..", "/x", "a/.b", "a\\b", "a b/c", "a/b/c", "a/", 3])
def test_an_id_cannot_lead_out_of_the_folder_of_results(here, id):
    with pytest.raises(ValueError, match="an experiment's id must be <study>/<name>"):
        plain(id=id)
    loaded = discovery.load("mine.py").experiments["mine/figure"]
    with pytest.raises(ValueError, match="an experiment's id must be <study>/<name>"):
        replace(loaded, id=id)


@pytest.mark.parametrize("name", ["../x", "..", ".x", "a/b", "", "a b", 3])
def test_a_scale_s_name_is_that_of_a_folder(name):
    with pytest.raises(ValueError, match="a scale's name must be letters"):
        plain(scales={name: Scale(grid(x=1), 3, 1)})


def test_a_changed_copy_of_a_file_s_experiment_cannot_take_a_paper_s_id(here):
    loaded = discovery.load("mine.py").experiments["mine/figure"]
    assert discovery.adopted(replace(loaded, id="symmetry/fig5")).id == "mine/figure"
    assert discovery.adopted(replace(loaded, id="mine/other")).id == "mine/other"


def test_what_a_session_did_is_a_call_that_does_it_again(here):
    experiment = plain(id="talk/figure", scales=Scale(lambda n=4, k=2, word="a": grid(n=n, k=k, word=word), 2, 1))
    for values in ({}, {"n": 5, "k": 3, "word": "it's"}):
        done = learnability.run(experiment, set=values, out="out")
        manifest = json.loads((here / "out/talk/figure" / done.folder / "manifest.json").read_text())
        assert manifest["command"].endswith("  # in talk, a session or script")
        again = eval(manifest["command"], {"learnability": learnability, "EXPERIMENT": experiment})
        assert (again.seeds, dict(again.changed)) == (2, values)


def test_long_names_of_folders_stay_apart(here):
    experiment = plain(id="long/figure", scales=Scale(lambda n=(1, 2): grid(n=n), 1, 1))
    folders = {learnability.run(experiment, set={"n": (*range(10**5, 10**5 + 20), last)}).folder for last in (1, 2)}
    assert len(folders) == 2
    assert {len(folder) for folder in folders} == {120}


def test_two_of_one_id_are_refused(here):
    with pytest.raises(ValueError, match="two experiments have the id 'test-own-experiments/figure'"):
        learnability.run_many([plain(), plain(title="Another")])
    (here / "sub").mkdir()
    (here / "sub/mine.py").write_text(MINE)
    shutil.copy(here / "helpers.py", here / "sub/helpers.py")
    with pytest.raises(ValueError, match="two studies are named 'mine'"):
        learnability.run_many(["mine.py", "sub/mine.py"])


def test_what_is_set_is_said_and_claims_of_a_paper_stand_outside(here, call):
    done = learnability.run("symmetry/lemma3", scale="smoke", out="out")
    free = discovery.installed().experiments["symmetry/lemma3"].scales["smoke"].free
    assert free
    assert done.changed == {}
    for values, message in (
        ({"nonsense": 3}, "'nonsense' is not free: free are "),
        ({next(iter(free)): "word"}, "must be"),
    ):
        with pytest.raises(ValueError, match=message):
            learnability.run("symmetry/lemma3", scale="smoke", set=values)
    code, _, err = call("run", "mine.py", "--set", "x=three", "--out", "none")
    assert (code, err) == (2, "learnability: mine/figure cannot be set so: x must be a number, as 1, got 'three'\n")
    assert not Path("none").exists()
    assert call("run", "mine.py", "--set", "x=4", "--out", "out")[0] == 0
    manifest = json.loads(Path("out/mine/figure/laptop+x=4.0/manifest.json").read_text())
    assert manifest["set"] == {"x": [4.0]}
    assert manifest["title"] == "Mine (x = 4.0 instead of 1.0,2.0)"
    assert manifest["command"] == "learnability run mine.py --scale laptop --seeds 3 --set x=4.0"
    assert call(*shlex.split(manifest["command"])[1:], "--out", "out")[0] == 0
    assert call("record", "mine.py", "--out", "out")[1].startswith("left out: mine/figure (laptop): with x = [4.0]")


def test_scales_with_free_values():
    made = Scale(lambda n=3, step=(0.1, 0.2), kind="he", exact=False: grid(n=n, step=step, kind=kind, exact=exact))
    assert len(made.settings) == 2
    assert made.at({}) is made
    assert made.at({"n": 3}) is made
    assert made.at({"n": 4, "step": 1}).settings == ({"n": 4, "step": 1.0, "kind": "he", "exact": False},)
    assert made.at({"n": 4}).changed == {"n": 4}
    for values, message in (
        ({"n": 2.5}, "n must be an integer, as 3, got 2.5"),
        ({"n": True}, "n must be an integer"),
        ({"step": "a"}, "step must be a number"),
        ({"step": ()}, "step must hold at least one value"),
        ({"step": float("nan")}, "step must be finite"),
        ({"kind": 3}, "kind must be a word"),
        ({"exact": 1}, "exact must be true or false"),
        ({"m": 1}, r"'m' is not free: free are n \(3\), step \(0.1,0.2\), kind \(he\), exact \(False\)"),
    ):
        with pytest.raises(ValueError, match=message):
            made.at(values)
    with pytest.raises(ValueError, match="nothing is"):
        Scale(grid(n=3), 1, 1.0).at({"n": 4})
    for arguments, message in (
        ((grid(n=3), 2.5), "seeds of a scale must be an integer, got 2.5"),
        ((grid(n=3), 0), "seeds of a scale must be >= 1"),
        ((grid(n=3), 1, "a"), "seconds of a scale must be a real number"),
        ((3,), "settings of a scale must be mappings"),
    ):
        with pytest.raises(ValueError, match=message):
            Scale(*arguments)
    with pytest.raises(ValueError, match="function of values with defaults, n has none"):
        Scale(lambda n: grid(n=n), 1, 1.0)


def test_the_default_s_type_says_how_text_is_read():
    made = Scale(
        lambda n=3, step=0.5, kind="he", exact=False, ns=(1,), steps=(0.5,), kinds=("he",), more=(): [
            {"all": repr((n, step, kind, exact, ns, steps, kinds, more))}
        ]
    )
    for name, text, value in (
        ("n", "12", 12), ("step", "1", 1.0), ("step", "1e-3", 0.001), ("exact", "true", True),
        ("exact", "True", True), ("kind", "0", "0"), ("kind", "12", "12"), ("kind", "true", "true"),
        ("kind", "a,b", "a,b"),
        ("ns", "2,3", (2, 3)), ("ns", "[2, 3]", (2, 3)), ("ns", "(2,3)", (2, 3)), ("ns", "2,", (2,)),
        ("ns", "2", (2,)), ("steps", "1,0.25", (1.0, 0.25)), ("kinds", "n^3 h,0", ("n^3 h", "0")),
        ("kinds", "12", ("12",)), ("more", "1,0.5,a", (1, 0.5, "a")),
    ):  # fmt: skip
        assert made.at({name: text}).changed == {name: value}, (name, text)
    for name, text, message in (
        ("n", "a", "n must be an integer, as 3, got 'a'"),
        ("n", "2.5", "n must be an integer, as 3, got '2.5'"),
        ("n", "2,", "n must be an integer, as 3, got '2,'"),
        ("n", "[2,3]", "n must be an integer, as 3, got '[2,3]'"),
        ("n", "true", "n must be an integer, as 3, got 'true'"),
        ("step", "nan", "step must be finite"),
        ("exact", "1", "exact must be true or false, as False, got '1'"),
        ("ns", "2,,3", "ns must be an integer, as 1, got ''"),
        ("ns", "2,a", "ns must be an integer, as 1, got 'a'"),
        ("ns", "[]", "ns must hold at least one value, got none"),
        ("kind", 0, "kind must be a word, as he, got 0"),
        ("step", 10**400, "step must be finite"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            made.at({name: text})


def test_words_that_look_like_numbers_can_be_set_and_the_command_does_it_again(here, call):
    for id, told in (("symmetry/fig2", "beta=0"), ("symmetry/random-init", "betas=0,n^3 h")):
        assert call("run", id, "--scale", "smoke", "--seeds", "1", "--set", told, "--out", "out")[0] == 0
        (path,) = Path("out", id).glob("*/manifest.json")
        arguments = shlex.split(json.loads(path.read_text())["command"])[1:]
        assert arguments[-1] == told
        code, out, _ = call(*arguments, "--out", "out")
        assert code == 0
        assert "tasks: 0 run" in out


def test_a_grid_is_every_combination():
    assert grid(n=[1, 2], kind="he", step=(0.1, 0.2)) == (
        {"n": 1, "kind": "he", "step": 0.1},
        {"n": 1, "kind": "he", "step": 0.2},
        {"n": 2, "kind": "he", "step": 0.1},
        {"n": 2, "kind": "he", "step": 0.2},
    )


# Bad input ---------------------------------------------------------------------------------------------------------

HEAD = "from learnability.study import Check, Experiment, Scale, grid\n"
RUN = "def run(setting, seed):\n    return [{'y': 1}]\n"
WRONG = {
    "no experiment": ("x = 3\n", "wrong.py holds no experiment and no check: it must have EXPERIMENT"),
    "raises": ("import os\n1 / 0\n", "wrong.py cannot be imported: ZeroDivisionError: division by zero (wrong.py:2)"),
    "syntax": ("def f(:\n", "wrong.py cannot be imported: SyntaxError: invalid syntax (wrong.py:1)"),
    "missing module": ("import nowhere_at_all\n", "wrong.py cannot be imported: ModuleNotFoundError: No module"),
    "no run": (HEAD + "EXPERIMENT = Experiment(title='x', scales=Scale([{}]))\n", "missing 1 required keyword-only"),
    "run is no function": (
        HEAD + "EXPERIMENT = Experiment(title='x', run=3, scales=Scale([{}]))\n", "run must be a function, got 3",
    ),
    "exit": ("raise SystemExit(3)\n", "wrong.py cannot be imported: SystemExit: 3 (wrong.py:1)"),
    "run of one": (
        HEAD + "def run(s):\n    return []\nEXPERIMENT = Experiment(title='x', run=run, scales=Scale([{}]))\n",
        "run must be a function of (setting, seed), got run(s) (wrong.py:4)",
    ),
    "a figure of nothing": (
        HEAD + RUN + "EXPERIMENT = Experiment(title='x', run=run, figure=lambda: 3, scales=Scale([{}]))\n",
        "figure must be a function of (table), got <lambda>() (wrong.py:4)",
    ),
    "half a seed": (
        HEAD + RUN + "EXPERIMENT = Experiment(title='x', run=run, scales=Scale([{}], seeds=2.5))\n",
        "seeds of a scale must be an integer, got 2.5 (wrong.py:4)",
    ),
    "a scale's name": (
        HEAD + RUN + "EXPERIMENT = Experiment(title='x', run=run, scales={3: Scale([{}])})\n",
        "a scale's name must be letters, digits, -, _ and dots inside, got 3 (wrong.py:4)",
    ),
    "a setting's name": (
        HEAD + RUN + "EXPERIMENT = Experiment(title='x', run=run, scales=Scale([{3: 1}]))\n",
        "wrong/figure: a setting must have names of text, got {3: 1}",
    ),
    "another thing": ("EXPERIMENT = 5\n", "EXPERIMENT must be an Experiment, got int"),
    "checks": ("CHECKS = (1,)\n", "CHECKS must be a tuple of Check"),
    "no scales": (HEAD + RUN + "EXPERIMENT = Experiment(title='x', run=run, scales={})\n", "scales must map names"),
    "no title": (HEAD + RUN + "EXPERIMENT = Experiment(title='', run=run, scales=Scale([{}]))\n", "title must be"),
    "no settings": (HEAD + RUN + "EXPERIMENT = Experiment(title='x', run=run, scales=Scale([]))\n", "at least one"),
    "an array": (
        HEAD + RUN + "EXPERIMENT = Experiment(title='x', run=run, scales=Scale([{'n': [3]}]))\n",
        "wrong/figure: setting n must be a bool, int, float or str, got list",
    ),
    "uneven settings": (
        HEAD + RUN + "EXPERIMENT = Experiment(title='x', run=run, scales=Scale([{'n': 1}, {'m': 1}]))\n",
        "wrong/figure: settings must name the same things, got m after n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_will_not_do_is_one_line_and_nothing_is_begun(here, call, case):
    text, message = WRONG[case]
    (here / "wrong.py").write_text(text)
    code, out, err = call("run", "wrong.py", "--out", "out")
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list((here / "out").rglob("*.*"))


@pytest.mark.parametrize(("arguments", "message"), [
    (["run", "absent.py"], "there is no file or folder 'absent.py'"),
    (["run", "./absent"], "there is no file or folder './absent'"),
    (["run", "mine.py", "--scale", "huge"], "scale must be one of laptop for mine/figure, got 'huge'"),
    (["run", "mine.py", "--set", "x"], "--set must be NAME=VALUE, for instance n=24, got 'x'"),
    (["run", "mine.py", "--set", "x=1", "--set", "x=2"], "--set must name a value once, got x twice"),
    (["verify", "empty"], "empty holds no experiment and no check"),
])  # fmt: skip
def test_a_wrong_request_is_one_line(here, call, arguments, message):
    (here / "empty").mkdir()
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["symmetry.py", "tasks.py"])
def test_a_file_cannot_have_the_name_of_a_study_of_the_package(here, call, name):
    (here / name).write_text(MINE)
    code, _, err = call("run", name)
    assert code == 2
    assert f"rename {name}" in err


@pytest.mark.parametrize(("body", "message"), [
    ("return [{'y': 1}, {'z': 2}]", "rows must have the same columns, got z after y (odd.py:2)"),
    ("return [{'y': 1}] if seed else [{'z': 1}]", "got y (number) where others have z (number) (odd.py:2)"),
    ("return [{'y': 1}] if seed else [{'y': 'a'}]", "got y (number) where others have y (text) (odd.py:2)"),
    ("return [{'y': [1]}]", "column 'y' must be a bool, int, float or str, got list (odd.py:2)"),
    ("return {'y': 1}", "run must return a list of rows, each a dict of plain values, got dict (odd.py:2)"),
    ("return []", "run must return at least one row, got none (odd.py:2)"),
    ("return [{'x': 1}]", "rows must not repeat the setting or the seed, got the columns ['x'] (odd.py:2)"),
    ("return [{3: 1}]", "columns must have names of text, got 3 (odd.py:2)"),
    ("raise SystemExit('over')", "SystemExit: over (odd.py:3)"),
    ("return [{'y': 1 / 0}]", "ZeroDivisionError: division by zero (odd.py:3)"),
])  # fmt: skip
def test_rows_that_make_no_table_fail_with_their_place(here, call, body, message):
    (here / "odd.py").write_text(
        f"from learnability.study import Experiment, Scale\ndef run(setting, seed):\n    {body}\n"
        "EXPERIMENT = Experiment(title='odd', run=run, scales=Scale([{'x': 1}], seeds=2))\n"
    )
    code, _, err = call("run", "odd.py", "--out", "out", "--workers", "1")
    assert code == 1
    assert message in err
    assert all(line.startswith("learnability: failed: odd/figure [x=1] seed ") for line in err.splitlines())


@pytest.mark.parametrize(("body", "message"), [
    ("figure = lambda table: 3", "TypeError: figure must return a Plot or a matplotlib Figure, got int (odd.py:4)"),
    ("figure = lambda table: exit(4)", "SystemExit: 4 (odd.py:4)"),
    ("claims = lambda table: None", "TypeError: claims must return a list of Guarantee, got NoneType"),
])  # fmt: skip
def test_figures_and_claims_that_are_none_fail_alone(here, call, body, message):
    name = body.partition(" ")[0]
    (here / "odd.py").write_text(
        f"{HEAD}{RUN}{body}\n"
        f"EXPERIMENT = Experiment(title='odd', run=run, {name}={name}, scales=Scale([{{'x': 1}}]))\n"
    )
    code, _, err = call("run", "odd.py", "--out", "out")
    assert code == 1
    assert err.startswith(f"learnability: failed: odd/figure: {name}: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("body", "message"), [
    ("{}[n]", "KeyError: 5 (odd.py:6)"),
    ("exit(3)", "SystemExit: 3 (odd.py:6)"),
])  # fmt: skip
def test_a_function_of_settings_that_breaks_is_one_line(here, call, body, message):
    (here / "odd.py").write_text(
        f"{HEAD}{RUN}def cells(n=3):\n    if n != 3:\n        {body}\n    return grid(n=n)\n"
        "EXPERIMENT = Experiment(title='odd', run=run, scales=Scale(cells))\n"
    )
    code, out, err = call("run", "odd.py", "--set", "n=5", "--out", "out")
    assert (code, out, err) == (2, "", f"learnability: odd/figure cannot be set so: {message}\n")
    assert not (here / "out").exists()


def test_what_cannot_travel_is_said_before_anything_is_run(here):
    lock = threading.Lock()

    def run(setting, seed):
        return [{"y": lock.locked()}]

    with pytest.raises(ValueError, match="run cannot be sent to other processes"):
        learnability.run(plain(run=run), workers=2)


# Digests -----------------------------------------------------------------------------------------------------------


def test_a_digest_follows_values_classes_partials_and_closures():
    from functools import partial

    import numpy as np

    class Box:
        def __init__(self, size):
            self.size = size

        def double(self):
            return 2 * self.size

    def maker(held):
        def run(setting, seed):
            return held

        return run

    digests = [
        source.reach(function).digest
        for function in (
            maker(1), maker(2), maker((1, 2)), maker({"a": 1}), maker({"a": 2}), maker(np.ones(3)), maker(np.ones(4)),
            maker(Box(1)), maker(Box(2)), maker(nothing), maker(plain), partial(nothing, 1), partial(nothing, 2),
            Box(1).double, maker(frozenset("ab")), maker(Scale(grid(n=1), 1, 1.0)), maker(study.Study("a", "b", "c")),
        )
    ]  # fmt: skip
    assert len(set(digests)) == len(digests)
    assert source.reach(maker(np.ones(3))).digest == digests[5]
    assert source.reach(maker(frozenset("ba"))).digest == digests[14]


def test_code_of_installed_packages_counts_by_its_name():
    import numpy as np

    assert source.reach(np.linalg.norm).files == ()
    assert source.reach(learnability.run).files == ()


def test_the_code_of_an_installed_study_is_part_of_its_keys(package):
    found = discovery.installed().experiments["good/figure"]
    before = source.reach(found.run)
    assert "good_lab.py" in {path.name for path in before.files}
    assert not source.is_local(pytest.__file__)
    source.count_as_own(Path(pytest.__file__).parent)
    try:
        assert source.is_local(pytest.__file__)
    finally:
        source.local._OWN.discard(str(Path(pytest.__file__).resolve().parent))
        source.is_local.cache_clear()


def test_cells_may_have_columns_of_their_own(here):
    (here / "two.py").write_text(
        "from learnability.study import Experiment, Scale, grid\n"
        "def run(setting, seed):\n    return [{'y': 1}] if setting['way'] == 'a' else [{'z': 2.5}]\n"
        "EXPERIMENT = Experiment(title='two', run=run, scales=Scale(grid(way=['a', 'b']), seeds=2))\n"
    )
    done = learnability.run("two.py")
    assert done.failures == []
    assert done.table["y"].isna().tolist() == [False, False, True, True]
    assert done.table["z"].isna().tolist() == [True, True, False, False]
