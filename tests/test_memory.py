"""Limits on memory that the user or the system sets (``ulimit``, control groups), and all that must keep to them."""

import sys

import numpy as np
import psutil
import pytest

from learnability import memory
from learnability.errors import RequestError
from learnability.kernels import connected, features, machine, pairs
from learnability.memory import available, readable
from learnability.networks import residual, vertices
from learnability.problems import concepts, residual_inputs
from learnability.source import one_line
from learnability.studies.residual.theorems import lower
from learnability.training.grid import held

resource = pytest.importorskip("resource", reason="limits of a process are no other system's")


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
    assert memory._limits() == []
    assert memory.address_space() == float("inf")
    assert available(tmp_path, tmp_path / "none") > 0


def test_what_is_available_is_the_least_of_system_and_control_groups(tmp_path):
    free = psutil.virtual_memory().available
    assert available(tmp_path, tmp_path / "none") == pytest.approx(free, rel=0.2)
    root, groups = tmp_path / "cgroup", tmp_path / "groups"

    def group(folder, most, used, cached, names=("memory.max", "memory.current", "inactive_file")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / names[0]).write_text(f"{most}\n")
        (folder / names[1]).write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cached}\n")

    groups.write_text("0::/outer/inner\n")
    group(root / "outer/inner", "max", 10**6, 0)
    assert available(root, groups) > 1e7  # "max" is no limit
    group(root / "outer", 10**7, 6 * 10**6, 10**6)
    assert available(root, groups) == 5e6
    group(root / "outer/inner", 3 * 10**6, 10**6, 0)
    assert available(root, groups) == 2e6
    group(root / "outer/inner", 10**6, 2 * 10**6, 0)
    assert available(root, groups) == 0
    groups.write_text("0::/\n")
    group(root, 7 * 10**6, 0, 0)
    assert available(root, groups) == 7e6
    groups.write_text("5:cpu,cpuacct:/x\n9:memory:/task\n")
    group(
        root / "memory", 4000, 1000, 500, ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    )  # the task's own folder is not visible
    assert available(root, groups) == 3500


def test_sizes_for_people():
    assert [readable(s) for s in (1500, 2e6, 1.25e9, 3e13)] == ["1.5 kB", "2 MB", "1.25 GB", "30 TB"]


def forbidden(*arguments):
    raise AssertionError("work was begun")


RNG = np.random.default_rng(0)
LARGE = {
    "a Gram matrix": lambda: machine.gram(forbidden, np.zeros((4000, 1))),
    "a kernel machine": lambda: machine.fit(forbidden, np.zeros((3000, 1)), np.zeros(3000)),
    "a kernel between two sets": lambda: pairs.pair(np.zeros((4000, 1)), np.zeros((4000, 1)), 1),
    "a deep network": lambda: connected.random_network(RNG, 4000, [4000]),
    "random features": lambda: features.random_layer(RNG, 4000, 4000, "relu"),
    "a residual network": lambda: residual.initial(RNG, "3layer", 10, 1, 4000),
    "runs of the grid engine": lambda: held.together("3layer", 10, 1, 4000, 3, 1e12),
    "a network of vertices": lambda: vertices.vertex_network(64, 10**6),
    "a smooth concept": lambda: concepts.random_two_layer(RNG, 4000, 4000, 1, ()),
    "a sample": lambda: residual_inputs.UniformSigns(4000).sample(RNG, 4000),
    "a lower bound": lambda: lower._fits(12, 4096),
}


@pytest.mark.parametrize("what", LARGE)
def test_what_would_take_more_than_is_available_is_refused_before_any_work(what, monkeypatch):
    """Each is within its own limit: on a machine with room it is made."""
    monkeypatch.setattr(memory, "available", lambda: 1e8)
    with pytest.raises(RequestError, match=r"must|takes"):
        LARGE[what]()


def test_runs_are_trained_in_smaller_groups_where_there_is_less_room(monkeypatch):
    one = held.memory("3resnet", 10, 3, 20_000, runs=1)
    usual = held.together("3resnet", 10, 3, 20_000, 100, 1e12)
    monkeypatch.setattr(memory, "available", lambda: 20 * one)
    assert usual == 100
    assert 1 <= held.together("3resnet", 10, 3, 20_000, 100, 1e12) < 100
    with pytest.raises(RequestError, match=r"more than the .* that are available"):
        held.together("3resnet", 10, 3, 10**6, 100, 1e12)


def test_little_is_had_without_a_look(monkeypatch):
    monkeypatch.setattr(memory, "available", forbidden)
    assert memory.allowed(1e9, memory.SMALL) == 1e9


def test_a_memory_error_says_what_was_needed_and_what_there_is(monkeypatch):
    monkeypatch.setattr(memory, "_rooms", lambda: [(9e9, ""), (2e9, ", of 5 GB by ulimit -v")])
    with pytest.raises(MemoryError) as caught:
        np.zeros(2**57)
    needed = "out of memory: Unable to allocate 1.00 EiB for an array with shape (144115188075855872,) and data type"
    assert memory.told(caught.value) == f"{needed} float64; 2 GB are available to this process, of 5 GB by ulimit -v"
    assert memory.told(MemoryError()) == (
        "out of memory: what was needed is not known; 2 GB are available to this process, of 5 GB by ulimit -v"
    )
    assert one_line(caught.value).startswith(needed)


def lacking(kind, message):
    return type(kind, (Exception,), {})(message)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            lacking("OutOfMemoryException", "Failed to allocate\n\nPossible solutions:\n* SET x"),
            "out of memory: Failed to allocate;",
        ),
        (RuntimeError("can't start new thread"), "no thread can be started: "),
        (
            ImportError("x.so: failed to map segment from shared object"),
            "out of memory: x.so: failed to map segment from shared object; ",
        ),
        (OSError(12, "Cannot allocate memory"), "out of memory: [Errno 12] Cannot allocate memory; "),
    ],
)
def test_the_words_of_libraries_for_no_memory_are_known(error, said):
    assert one_line(error).startswith(said)
    request = RequestError("it cannot be read")
    request.__cause__ = error
    assert memory.behind(request) is error


def test_what_only_speaks_of_memory_is_not_for_want_of_it():
    for error in (RequestError("bad_alloc is no column"), RuntimeError("memory"), OSError(2, "No such file")):
        assert memory.behind(error) is None
