"""What needs an extra says so before any work; everything else works without any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from learnability import discovery, extras, study
from learnability.datasets import fetch_mnist, mnist_file

ROOT = Path(__file__).parents[1]

WITHOUT_EXTRAS = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("jax", "jaxlib", "optax", "distributed", "dask", "pooch", "torch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from learnability import cli

def told(*arguments):
    sys.argv, out, err = ["learnability", *arguments], io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as ended:
            return ended.code, out.getvalue(), err.getvalue()

from learnability import api

for pattern in json.loads(sys.argv[2]):
    for result in api.run_many([pattern], scale="smoke", seeds=1):
        assert result.figure is not None and not result.failures, result
        print(result.id, file=sys.stderr)
print(json.dumps([told(*arguments) for arguments in json.loads(sys.argv[1])]))
"""


def without_extras(folder, *commands, run=()):
    """Status, output and complaints of each command, in one process that has none of the extras.

    Before them the experiments of ``run`` are run there.
    """
    # Rich takes its width from COLUMNS, and narrow tables would break names in two.
    ended = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", WITHOUT_EXTRAS, json.dumps(commands), json.dumps(run)],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", "LEARNABILITY_DATA": str(folder)},
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


JAX = "not installed here: python -m pip install 'learnability[jax]'\n"


def test_the_base_studies_run_without_any(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,class\n0,1,no\n1,0,yes\n2,0.5,yes\n0.5,2,no\n")
    base = ["symmetry/fig5", "separable/fig1", "parity/fig1", "residual/fig1"]  # a figure of each engine
    run, certify, list_, report, explain, verify = without_extras(
        tmp_path,
        ["run", "separable/fig1", "residual/fig3b", "--scale", "smoke", "--json"],
        ["certify", "t.csv", "--label", "class", "--out", "learnability-results"],
        ["list"],
        ["report"],
        ["explain", "residual/fact-c4"],
        ["verify", "symmetry/lemma*", "residual/fact-c4", "--scale", "smoke", "--json"],
        run=base,
    )
    assert (run[0], len(json.loads(run[1])["experiments"])) == (0, 2), run[2]
    assert certify[0] == 0, certify[2]
    assert list_[0] == 0
    assert all(id in list_[1] for id in discovery.installed().experiments)
    assert list_[2] == f"learnability: residual/alpha, residual/fig2a and residual/fig2b need the extra jax, {JAX}"
    assert (report[0], report[1].split()[:2]) == (0, ["3", "results:"])
    assert (explain[0], explain[2]) == (0, "")
    assert "Fact C.4" in explain[1]
    checked = json.loads(verify[1])
    assert verify[0] == 1
    assert {g["id"].partition("/")[0] for g in checked["guarantees"]} == {"symmetry"}
    assert checked["failures"] == [f"residual/fact-c4 needs the extra jax, {JAX}".strip()]


def test_what_needs_one_says_so_before_any_work(tmp_path):
    (tmp_path / "wide.py").write_text(
        "from learnability.study import Experiment, Scale\n"
        "EXPERIMENT = Experiment(title='Wide', run=lambda s, seed: [], scales=Scale([{}]), needs=('jax', 'data'))\n"
    )
    answers = without_extras(
        tmp_path,
        ["run", "residual", "--scale", "smoke"],
        ["run", "residual/alpha", "--scale", "smoke"],
        ["run", "wide.py"],
        ["run", "symmetry/fig5", "--scale", "smoke", "--scheduler", "tcp://127.0.0.1:1"],
        ["verify", "residual/thm1", "--scale", "smoke"],
    )
    assert answers == [
        [1, "", f"learnability: residual/alpha, residual/fig2a and residual/fig2b need the extra jax, {JAX}"],
        [1, "", f"learnability: residual/alpha needs the extra jax, {JAX}"],
        [1, "", f"learnability: wide/figure needs the extras jax and data, {JAX.replace('jax', 'jax,data')}"],
        [1, "", f"learnability: a scheduler needs the extra cluster, {JAX.replace('jax', 'cluster')}"],
        [1, "", f"learnability: residual/thm1 needs the extra jax, {JAX}"],
    ]
    assert not (tmp_path / "learnability-results/residual").exists()


ALONE = {
    "from learnability import datasets\ndatasets.fetch_mnist()": "fetch_mnist needs the extra data",
    "from learnability.training import minibatch\n"
    "from learnability.training.minibatch.optimisers import Sgd\n"
    "from learnability.training.minibatch.sources import examples\n"
    "source = examples(np.ones((4, 2)), np.ones(4))\n"
    "minibatch.train(lambda p, X: X @ p['w'], {'w': np.zeros(2)}, source, rule=Sgd(), learning_rate=0.1, batch=2, "
    "epochs=1, rng=np.random.default_rng(0))": "the mini-batch trainer's JAX form needs the extra jax",
    "from learnability.networks import residual\n"
    "start = residual.initial(np.random.default_rng(0), '3resnet', 4, 2, 6)\n"
    "residual.tangent(residual.Tangent(start, start), np.ones((1, 4)))": "the tangent of a residual network needs",
}


@pytest.mark.parametrize("code", ALONE)
def test_so_does_what_python_calls(monkeypatch, tmp_path, code):
    monkeypatch.setattr(extras, "_found", lambda module: False)
    monkeypatch.setattr(mnist_file, "cache_folder", lambda: tmp_path)
    monkeypatch.delenv("LEARNABILITY_DATA", raising=False)
    with pytest.raises(extras.MissingExtra, match=ALONE[code]):
        exec(f"import numpy as np\n{code}", {})


def test_an_mnist_that_is_there_needs_no_download(monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "_found", lambda module: False)
    monkeypatch.setattr(mnist_file, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(mnist_file, "_read", lambda path: None)
    monkeypatch.delenv("LEARNABILITY_DATA", raising=False)
    (tmp_path / "mnist.npz").write_bytes(b"")
    assert fetch_mnist() == tmp_path / "mnist.npz"


@pytest.fixture
def nothing_there(monkeypatch):
    monkeypatch.setattr(extras, "_found", lambda module: module == "pooch")


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        (
            {"fig1": ("jax",)},
            "fig1 needs the extra jax, not installed here: python -m pip install 'learnability[jax]'",
        ),
        (
            {"fig1": ("jax", "data"), "fig2": ("cluster",)},
            "fig1 and fig2 need the extras jax and cluster, not installed here: "
            "python -m pip install 'learnability[jax,cluster]'",
        ),
        (
            {f"fig{number}": ("jax",) for number in range(5)},
            f"fig0 and 4 more need the extra jax, {JAX.strip()}",
        ),
    ],
)
@pytest.mark.usefixtures("nothing_there")
def test_what_is_told(needs, message):
    with pytest.raises(extras.MissingExtra) as found:
        extras.require(needs)
    assert str(found.value) == extras.told(needs) == message
    assert found.value.name == "jax"


@pytest.mark.usefixtures("nothing_there")
def test_what_is_there_is_not_refused():
    extras.need("data", "a download")
    extras.require({"fig1": ()})
    assert extras.told({}) == ""


def test_a_folder_is_no_library(monkeypatch, tmp_path):
    (tmp_path / "torch_of_mine").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not extras._found("torch_of_mine")
    (tmp_path / "torch_of_mine/__init__.py").write_text("")
    assert extras._found("torch_of_mine")


def test_the_extras_are_those_of_the_project():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    names = {extra: tuple(word.partition(">=")[0] for word in words) for extra, words in declared.items()}
    assert {extra: names[extra] for extra in extras.EXTRAS} == extras.EXTRAS
    assert names["all"] == (f"learnability[{','.join(extras.EXTRAS)}]",)


def cells(**more):
    return study.Experiment(title="T", run=lambda s, seed: [], scales=study.Scale([{"n": 1}, {"n": 2}]), **more)


def test_an_experiment_tells_what_settings_need():
    one = cells(needs=lambda s: ("jax",) if s["n"] == 2 else ())
    assert one.extras([{"n": 1}]) == ()
    assert one.extras(one.scales["laptop"].settings) == ("jax",)
    assert cells(needs=["data", "jax", "data"]).extras([]) == ("data", "jax")


@pytest.mark.parametrize("wrong", ["jax", ("jaxx",), 3, None])
def test_needs_are_extras(wrong):
    message = r"must hold names of extras \(jax, cluster, data, torch\), got "
    with pytest.raises(ValueError, match=f"^needs {message}"):
        cells(needs=wrong)
    with pytest.raises(ValueError, match=f"^needs {message}"):
        study.Check("c", "s", lambda scale: [], needs=wrong)
    with pytest.raises(ValueError, match=rf"^needs\(setting\) {message}"):
        cells(needs=lambda s: wrong).extras([{}])
