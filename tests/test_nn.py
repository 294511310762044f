"""What the pieces for PyTorch and JAX promise where their library is not installed, and before it is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest


def said(code):
    """What a fresh interpreter prints."""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    return ended.stdout


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_without_the_library_one_line_names_the_extra(name):
    code = f"""
import importlib.util, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import learnability, learnability.nn
try:
    import learnability.nn.{name}
except ImportError as error:
    print(error, error.name, sep="; ")
"""
    needs = f"learnability.nn.{name} needs the extra {name}, not installed here: "
    assert said(code) == f"{needs}python -m pip install 'learnability[{name}]'; {name}\n"


def test_the_library_is_loaded_by_its_own_module_alone():
    code = "import sys, learnability.nn; print([name for name in ('torch', 'jax') if name in sys.modules])"
    assert said(code) == "[]\n"


@pytest.mark.parametrize(("one", "other"), [("torch", "jax"), ("jax", "torch")])
def test_each_is_loaded_without_the_other(one, other):
    pytest.importorskip(one)
    assert (
        said(f"import sys, learnability.nn.{one}; print(isinstance(sys.modules.get({other!r}), type(sys)))")
        == "False\n"
    )
