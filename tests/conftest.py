"""The one profile of Hypothesis; fixtures shared by the tests of sweep, results, report, interface, command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import toys
from learnability import discovery

# JAX keeps what it has compiled, for the other tests and processes and for the next run: a third of its tests' time.
ROOT = Path(__file__).parents[1]
if os.access(ROOT, os.W_OK):
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

# The same examples in every run, and no verdict by the clock: a busy machine is slow, not wrong.
settings.register_profile(
    "learnability",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=False,
)
settings.load_profile("learnability")


@pytest.fixture
def toy_laboratory(monkeypatch):
    """The toys in place of the real experiments and checks."""
    monkeypatch.setattr(discovery, "installed", lambda *_: toys.CATALOGUE)
    monkeypatch.delenv("LEARNABILITY_DEBUG", raising=False)
