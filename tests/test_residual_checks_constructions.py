"""The residual study's checks: gradients, concept classes, Section 8.2's networks; and that checks can fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from learnability.networks import residual as networks
from learnability.networks import vertices
from learnability.problems.concepts import General, general_form
from learnability.studies.residual.checks import constructions as checks
from learnability.theory import Verdict


@pytest.fixture(scope="module")
def results():
    """Every check at the smoke scale, run once."""
    return {check.name: check.run("smoke") for check in checks.CHECKS}


@pytest.mark.parametrize("name", [check.name for check in checks.CHECKS])
def test_verdicts(name, results):
    found = results[name]
    assert found
    for g in found:
        assert g.measured is not None
        assert g.verdict is Verdict.HOLDS, g


def test_checks_are_deterministic(results):
    assert checks.padding("smoke") == results["padding"]
    assert checks.classes("smoke") == results["concepts"]


def test_what_is_attained(results):
    by_id = {g.id: g for found in results.values() for g in found}
    assert by_id["residual/prop-b4[left behind]"].measured == pytest.approx(1)
    assert by_id["residual/fact-a3[corrected]"].measured == 1
    assert by_id["residual/fact-a3[Lipschitz]"].measured == pytest.approx(1)
    assert by_id["residual/fact-a3[printed,false]"].measured == pytest.approx(100)
    assert by_id["residual/lemma-a2[least C*]"].measured == pytest.approx(1.3660, abs=1e-4)
    assert by_id["residual/padding[printed,false]"].measured == pytest.approx(0.3754, abs=1e-4)
    near = by_id["residual/least-norm[networks]"]
    assert near.bound < near.measured < 1.1 * near.bound
    for (most, error), found in zip(vertices.PUBLISHED, (8.59, 10.61, 11.76), strict=True):
        explicit = by_id[f"residual/published[error {error:g},explicit]"]
        assert explicit.bound == most
        assert explicit.measured == pytest.approx(found, abs=0.01)


# The checks can fail


def violated(check):
    return {g.id for g in check("smoke") if g.verdict is Verdict.VIOLATED}


@pytest.mark.parametrize("field", ["W", "V", "A"])
def test_a_wrong_gradient_is_caught(monkeypatch, field):
    real = networks.gradient

    def wrong(*arguments):
        loss, found = real(*arguments)
        return loss, found._replace(**{field: 1.001 * getattr(found, field)})

    monkeypatch.setattr(networks, "gradient", wrong)
    caught = {"residual/fact-c4[automatic differentiation]"}
    if field != "A":  # Fact C.4 does not have A
        caught |= {"residual/fact-c4[increments]", "residual/fact-c4[central differences]"}
    assert violated(checks.gradients) == caught


def test_a_gradient_without_the_bottlenecks_share_is_caught(monkeypatch):
    """f(W') without its first term: what the second layer passes back."""
    real = networks.increment

    def wrong(params, X, W, V):
        closed = params._replace(V=np.zeros_like(params.V))
        return real(closed, X, W, V)[0], real(params, X, W, V)[1]

    monkeypatch.setattr(networks, "increment", wrong)
    assert violated(checks.gradients) == {"residual/fact-c4[increments]"}


def test_a_bound_that_is_too_small_is_caught(monkeypatch):
    monkeypatch.setattr(General, "value_bound", lambda self, X, **_: 0.1 * np.linalg.norm(X, axis=1) + 0.05)
    assert "residual/fact-a3[corrected]" in violated(checks.classes)
    monkeypatch.setattr(General, "lipschitz_bound", lambda self: 1e-3)
    assert "residual/fact-a3[Lipschitz]" in violated(checks.classes)


def test_a_wrong_split_is_caught(monkeypatch):
    monkeypatch.setattr(checks, "general_form", lambda F: general_form(replace(F, scales=-F.scales)))
    assert violated(checks.classes) == {"residual/lemma-a2[values]"}


def test_a_wrong_polarisation_is_caught(monkeypatch):
    real = checks.polarisation
    monkeypatch.setattr(checks, "polarisation", lambda k: lambda z: real(k)(z) + 1e-6)
    assert violated(checks.hard) == {"residual/polarisation[identity]"}


def test_a_wrong_network_is_caught(monkeypatch):
    real = vertices.vertex_network

    def wrong(*arguments, **named):
        made = real(*arguments, **named)
        return vertices.VertexNet(1.001 * made.W, made.a)

    monkeypatch.setattr(vertices, "vertex_network", wrong)
    assert {"residual/vertices[error]", "residual/vertices[norm]"} <= violated(checks.explicit)


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_a_wrong_limit_is_caught(monkeypatch, factor):
    """Too low: not attained. Too high: crossed by networks near the optimum."""
    monkeypatch.setattr(vertices, "LEAST_NORM", vertices.LEAST_NORM * factor)
    caught = violated(checks.explicit)
    assert {"residual/vertices[norm]", "residual/least-norm[attained]"} <= caught
    assert ("residual/least-norm[networks]" in caught) == (factor > 1)


def test_padding_that_changes_the_error_is_caught(monkeypatch):
    real = vertices.padded
    monkeypatch.setattr(
        vertices, "padded", lambda net, d, rescaled=True, **named: real(net, d, rescaled=False, **named)
    )
    assert violated(checks.padding) == {"residual/padding[error]", "residual/padding[norm]"}


def test_a_recipe_that_finds_nothing_is_caught(monkeypatch):
    """Weights from which scaling does not reach the error: not measured, and never counted as holding."""
    start = vertices.VertexNet(np.ones((2, 6)), vertices.output_weights(2))
    monkeypatch.setattr(vertices, "search", lambda *_, **__: vertices.Found(start, 1.0, vertices.norm(start)))
    verdicts = {g.id: g.verdict for g in checks.published("smoke")}
    assert verdicts["residual/published[error 0.12,recipe]"] is Verdict.NOT_MEASURED
