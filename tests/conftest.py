"""The one profile of Hypothesis; fixtures shared by the tests of sweep, results, report, interface, command line."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

import toys
from learnability import discovery

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
