"""Fixtures shared by the tests of sweep, results, report, interface and command line."""

from __future__ import annotations

import pytest

import toys
from learnability import study


@pytest.fixture
def toy_laboratory(monkeypatch):
    """The toys in place of the real experiments and checks."""
    monkeypatch.setattr(study, "studies", lambda: toys.STUDIES)
    monkeypatch.setattr(study, "experiments", lambda: toys.TOYS)
    monkeypatch.setattr(study, "statements", lambda: toys.CHECKS)
    monkeypatch.delenv("LEARNABILITY_DEBUG", raising=False)
