"""Limits on memory that the user or the system sets: ``ulimit`` is one, as control groups are."""

import resource
import subprocess
import sys

import psutil
import pytest

from learnability.datasets import memory
from learnability.datasets.memory import available


def limited(monkeypatch, **limits):
    """Fake limits, by name; the others are none."""
    by_kind = {getattr(resource, name): size for name, size in limits.items()}
    infinite = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (by_kind.get(kind, infinite), infinite))


def test_what_is_mapped_counts_against_the_limit_of_the_address_space(monkeypatch):
    mapped = psutil.Process().memory_info().vms
    limited(monkeypatch, RLIMIT_AS=mapped + 10**8)
    assert available() == pytest.approx(1e8, abs=2e7)


def test_what_is_data_counts_against_the_limit_of_data(monkeypatch):
    used = psutil.Process().memory_info().data
    limited(monkeypatch, RLIMIT_DATA=used + 10**8)
    assert available() == pytest.approx(1e8, abs=2e7)


def test_the_least_limit_counts_and_never_less_than_nothing(monkeypatch):
    limited(monkeypatch, RLIMIT_AS=2**62, RLIMIT_DATA=10)
    assert available() == 0
    limited(monkeypatch, RLIMIT_AS=10, RLIMIT_DATA=2**62)
    assert available() == 0


def test_without_limits_the_system_decides(monkeypatch, tmp_path):
    limited(monkeypatch)
    assert available(tmp_path, tmp_path / "none") == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_a_system_without_limits_of_processes(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert memory._limits() == (float("inf"), float("inf"))
    assert available(tmp_path, tmp_path / "none") > 0


def test_a_table_too_large_for_ulimit_is_refused_in_one_line(tmp_path):
    path = tmp_path / "zeros.csv"
    row = ",".join(["0.5"] * 400)
    lines = [",".join(f"x{j}" for j in range(400)) + ",label", *(f"{row},{i % 2}" for i in range(20_000))]
    path.write_text("\n".join(lines))
    command = (
        "import resource, psutil\n"
        "import numpy, pandas, duckdb\n"
        "from learnability.datasets import read_table\n"
        "used = psutil.Process().memory_info().vms\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 250_000_000, resource.RLIM_INFINITY))\n"
        f"read_table({str(path)!r}, 'label')\n"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: zeros.csv needs "), done.stderr
    assert "that are available" in last
