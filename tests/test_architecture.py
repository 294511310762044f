"""What the package promises about itself: light imports, types, and that every file is found."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import learnability
from learnability import discovery
from learnability.extras import MissingExtra

HEAVY = (
    "jax",
    "sklearn",
    "matplotlib",
    "dask",
    "distributed",
    "pandas",
    "duckdb",
    "numba",
    "scipy",
    "torch",
    "jinja2",
    "pooch",
    "psutil",
)


def loaded(code):
    """Which heavy modules a fresh interpreter has after this code."""
    script = f"{code}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600)
    return ended.stderr.splitlines()[-1]


def test_the_probe_sees_what_is_loaded():
    assert loaded("import pandas") == "['pandas']"


def test_import_is_light():
    assert loaded("import learnability") == "[]"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["certify", "--help"], ["bench", "--help"], ["--version"]]
)
def test_help_is_light(arguments):
    code = (
        f"import sys\nsys.argv = ['learnability', *{arguments!r}]\nfrom learnability import cli\n"
        "try:\n    cli.main()\nexcept SystemExit as ended:\n    assert ended.code == 0\n"
    )
    assert loaded(code) == "[]"


def test_lazy_attributes():
    assert set(learnability.__all__) <= set(dir(learnability))
    for name in learnability.__all__:
        assert getattr(learnability, name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        learnability.nonsense  # noqa: B018


def test_package_data_is_installed():
    root = Path(learnability.__file__).parent
    assert (root / "py.typed").exists()
    assert (root / "templates/report.html").exists()


def modules():
    return [info.name for info in pkgutil.walk_packages(learnability.__path__, "learnability.")]


@pytest.mark.parametrize("name", modules())
def test_every_module_says_what_it_is_and_exports_what_it_has(name):
    try:
        module = importlib.import_module(name)
    except MissingExtra as missing:
        pytest.skip(str(missing))
    assert module.__doc__ is not None
    for exported in getattr(module, "__all__", ()):
        assert hasattr(module, exported), exported


def test_every_file_in_the_folders_is_found():
    assert discovery.installed().broken == {}
    root = Path(learnability.__file__).parent / "studies"
    figures = {f"{p.parents[1].name}/{p.stem.replace('_', '-')}" for p in root.glob("*/figures/[!_]*.py")}
    assert figures == set(discovery.installed().experiments)
    assert {p.parents[1].name for p in root.glob("*/checks/[!_]*.py")} == set(discovery.installed().studies)
    assert {name.partition("/")[0] for name in discovery.installed().statements} == set(discovery.installed().studies)
