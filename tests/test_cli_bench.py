"""``learnability bench``: what it prints where, and how it ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from learnability import cli
from learnability.cli import benchmarks

BENCHMARK = '''"""A toy of a benchmark: ``python -m benchmarks.toy``."""
import json, sys

MINUTES = {"full": 12, "short": 1.5}

def main(arguments):
    if arguments[:1] == ["--fail"]:
        raise ZeroDivisionError("in the middle")
    if arguments[:1] == ["--wrong"]:
        print("toy: no such thing", file=sys.stderr)
        sys.exit(2)
    print("a table", arguments[:2])
    if "--json" in arguments:
        open(arguments[arguments.index("--json") + 1], "w").write('{"seconds": 2, "missing": NaN}')
'''


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    """Run the command line in a checkout with one benchmark, of an installed package: exit code, stdout, stderr."""
    (tmp_path / "src/learnability").mkdir(parents=True)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/__init__.py").write_text('"""Benchmarks: ``python -m benchmarks.NAME``."""\n')
    (tmp_path / "benchmarks/helper.py").write_text('"""What the benchmarks share."""\n')
    (tmp_path / "benchmarks/toy.py").write_text(BENCHMARK)
    monkeypatch.setattr(
        benchmarks, "__file__", str(tmp_path / "lib/python3/site-packages/learnability/cli/benchmarks.py")
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LEARNABILITY_DEBUG", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["learnability", "bench", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return ended.value.code, out, err

    return run


def test_benchmarks_are_listed_and_their_helpers_are_not(call, monkeypatch):
    code, out, err = call()
    assert (code, err) == (0, "")
    said = ["toy", "A", "toy", "of", "a", "benchmark", "12", "min,", "--short", "1.5", "min"]
    assert out.splitlines()[1].split() == said
    monkeypatch.setenv("COLUMNS", "40")
    assert call()[1].split() == said
    code, out, err = call("--json")
    assert (code, err) == (0, "")
    toy = {"name": "toy", "title": "A toy of a benchmark", "command": "learnability bench toy"}
    assert json.loads(out) == {"benchmarks": [{**toy, "minutes": {"full": 12, "short": 1.5}}]}


def test_a_benchmark_is_run_with_its_own_options(call):
    assert call("toy", "--quick", "--repeats") == (0, "a table ['--quick', '--repeats']\n", "")


def test_json_and_nothing_else_on_stdout(call):
    code, out, err = call("toy", "--quick", "--json")
    assert code == 0
    assert err == "a table ['--quick', '--json']\n"
    said = json.loads(out)
    assert said.pop("seconds") > 0
    assert said == {"benchmark": "toy", "report": {"seconds": 2, "missing": None}}


def test_what_goes_wrong_is_one_line(call, tmp_path, monkeypatch):
    assert call("toi") == (2, "", "learnability: unknown benchmark 'toi'; did you mean 'toy'?\n")
    assert call("xyz") == (2, "", "learnability: unknown benchmark 'xyz'; there are toy\n")
    assert call("helper") == (2, "", "learnability: unknown benchmark 'helper'; there are toy\n")
    assert call("toy", "--wrong") == (2, "", "toy: no such thing\n")
    line = "learnability: ZeroDivisionError: in the middle (LEARNABILITY_DEBUG=1 shows the traceback)\n"
    assert call("toy", "--fail") == (1, "", line)
    assert call("toy", "--fail", "--json") == (1, "", line)
    monkeypatch.chdir(tmp_path / "src")
    code, out, err = call("toy")
    assert (code, out) == (2, "")
    assert err == (
        "learnability: benchmarks come with the source tree (its folder benchmarks/, also in the sdist) and are not "
        "installed: run this in a checkout of it\n"
    )


def test_every_benchmark_of_this_checkout_is_listed(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["learnability", "bench", "--json"])
    with pytest.raises(SystemExit):
        cli.main()
    names = [entry["name"] for entry in json.loads(capfd.readouterr().out)["benchmarks"]]
    assert {"online", "two_layer", "residual_grid", "residual_kernels"} <= set(names)
    root = Path(__file__).parents[1] / "benchmarks"
    runnable = [path.stem for path in sorted(root.glob("*.py")) if "__main__" in path.read_text()]
    assert names == [name for name in runnable if name != "residual_kernel_ways"]
