"""Fixtures shared by the tests of sweep, results, report, interface and command line."""

from __future__ import annotations

import pytest

import toys
from learnability import experiments, verification


@pytest.fixture
def toy_laboratory(monkeypatch):
    """The toys in place of the real experiments and checks."""
    monkeypatch.setattr(experiments, "discover", lambda: toys.TOYS)
    monkeypatch.setattr(verification, "discover", lambda: toys.CHECKS)
    monkeypatch.delenv("LEARNABILITY_DEBUG", raising=False)
