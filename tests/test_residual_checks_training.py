"""The residual study's checks: Theorem 1, Appendices B and C, Section 8.2's bound; and that they bite."""

from __future__ import annotations

import numpy as np
import pytest

from learnability.networks import residual as networks
from learnability.seeding import generator
from learnability.studies.residual.checks import competitor as competitors
from learnability.studies.residual.checks import coupling as residual_coupling
from learnability.studies.residual.checks import monitors, training
from learnability.studies.residual.checks import probability as residual_probability
from learnability.studies.residual.checks import rademacher as residual_rademacher
from learnability.studies.residual.theorems import competitor as residual_competitor
from learnability.studies.residual.theorems import monitors as residual_monitors
from learnability.theory import Verdict

MODULES = (training, monitors, competitors, residual_rademacher, residual_probability)


@pytest.fixture(scope="module")
def found():
    """Every check once."""
    return {check.name: check.run("smoke") for module in MODULES for check in module.CHECKS}


ORDERS = ("residual/thm1[alpha", "residual/thm1[exponent", "residual/cor71", "residual/lemma-c2[a,m=")


def outside(identity):
    """What no width that can be run is inside of: Table 1."""
    return ",order," in identity or "[order," in identity or identity.startswith(ORDERS)


def test_verdicts(found):
    for g in (g for gs in found.values() for g in gs):
        assert g.verdict is (Verdict.OUTSIDE if outside(g.id) else Verdict.HOLDS), g
        assert g.measured is not None


def test_every_statement_of_appendix_c_is_there(found):
    ids = {g.id for g in found["training"]}
    for letter in "abcdefg":
        assert {f"residual/lemma-c1[{letter},training]", f"residual/lemma-c1[{letter},order,training]"} <= ids
    for part in ("lemma-c3[a", "lemma-c3[b", "lemma-c3[c", "claim-c5[W", "claim-c5[V", "table1[|W|,order"):
        assert f"residual/{part},training]" in ids
    assert {"residual/claim-c7[training]", "residual/claim-c6[Err,training]"} <= ids


def test_the_measured_risk_stands_beside_the_bound(found):
    risks = {g.id: g for g in found["thm1"]}
    plain = risks["residual/thm1[alpha=0.005,delta=0.2,m=200]"]
    assert plain.bound == 0.2
    assert 0 < plain.measured < 0.1
    holds = {h.name: h.holds for h in plain.hypotheses}
    assert holds["alpha <= c / (k p_G C_s(G))"]
    assert holds["delta >= the floor"]
    assert sum(not h for h in holds.values()) == 1
    assert "T = 3200" in plain.note
    corollary = next(g for name, g in risks.items() if name.startswith("residual/cor71"))
    assert corollary.bound == pytest.approx(2 * 0.5**4)
    assert "8192 = k^2 d / alpha^8" in corollary.note


def test_algorithm1_is_online_sgd_with_two_rates():
    """The first epoch against the update rule one example at a time; the average is of losses before each step."""
    case = training.Case(50, 0.3, training._promised(0.2), training.EPOCH, noise=0.2)
    found = training.algorithm1(case)
    rng = generator(0, "algorithm 1", "samples")
    X = training.UniformSigns(training.D, unit=True).sample(rng, training.EPOCH)
    Y = case.labels(X) + 0.2 * rng.standard_normal((training.EPOCH, training.K))
    now, losses = case.start(), []
    for x, y in zip(X, Y, strict=True):
        loss, gradient = networks.gradient(now, x[None], y[None])
        losses.append(2 * loss)
        now = now._replace(W=now.W - case.promise.eta_w * gradient.W, V=now.V - case.promise.eta_v * gradient.V)
    (t, end), *others = found.stops
    assert (t, others) == (training.EPOCH, [])
    np.testing.assert_allclose(end.W, now.W, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(end.V, now.V, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(end.A, case.start().A)
    assert found.average == pytest.approx(np.mean(losses) - 2 * 0.2**2)
    cube = training.cube()
    assert found.final == pytest.approx(((networks.forward(now, cube) - case.labels(cube)) ** 2).sum() / 256)


def test_stops_do_not_change_the_run():
    case = training.Case(30, 0.3, training._promised(0.2), 3 * training.EPOCH)
    whole, parts = training.algorithm1(case), training.algorithm1(case, (1, 2, 7))
    assert [t for t, _ in parts.stops] == [128, 256, 384]
    np.testing.assert_allclose(parts.stops[-1][1].W, whole.stops[-1][1].W, rtol=1e-12)
    assert parts.average == pytest.approx(whole.average)


def violated(check):
    return {g.id for g in check("smoke") if g.verdict is Verdict.VIOLATED}


@pytest.mark.parametrize("letter", "abcdefg")
def test_a_monitor_above_its_bound_is_caught(monkeypatch, letter):
    real = residual_monitors.measured
    monkeypatch.setattr(monitors, "_slopes", lambda moments: [])
    monkeypatch.setattr(
        monitors,
        "measured",
        lambda run: real(run)._replace(**{letter: 1.01 * getattr(residual_monitors.limits(run), letter) + 1}),
    )
    assert violated(monitors.training) == {f"residual/lemma-c1[{letter},training]"}


def test_a_movement_that_the_bounds_do_not_see_is_caught(monkeypatch):
    """Bounds of a start at which nothing turned: (b) to (g) need the turned gates."""
    real = residual_monitors.limits
    monkeypatch.setattr(residual_monitors.Run, "columns", lambda self, turned: np.zeros(len(turned)))
    monkeypatch.setattr(monitors, "limits", real)
    assert "residual/lemma-c3[a,training]" in violated(monitors.training)


def test_a_wrong_gradient_is_caught(monkeypatch):
    real = networks.gradient

    def wrong(*arguments):
        loss, found = real(*arguments)
        return loss, found._replace(W=1.001 * found.W)

    monkeypatch.setattr(networks, "gradient", wrong)
    assert "residual/fact-c4[towards W* and V*,training]" in violated(monitors.training)
    assert "residual/thm1[telescoping]" in violated(training._descent)


def test_a_competitor_that_does_not_fit_is_caught(monkeypatch):
    real = residual_competitor.competitor
    monkeypatch.setattr(
        competitors, "competitor", lambda *a, **named: real(*a, **named | {"sigma_w": 2 * named["sigma_w"]})
    )
    assert violated(competitors.existence) == {"residual/lemma-c2[a,exponent]"}


def test_a_bound_below_what_is_found_is_caught(monkeypatch):
    real = residual_rademacher.rademacher_bound
    monkeypatch.setattr(residual_rademacher, "rademacher_bound", lambda *a, **named: 0.5 * real(*a, **named))
    assert violated(residual_rademacher.complexity) == {"residual/rademacher[sharper]"}


def test_the_movement_across_keeps_within_tau_and_is_what_it_says():
    sizes = residual_coupling.Sizes(4000, 0.5, 1.0, 3.0, 0.4)
    added, norm, along = residual_coupling.turn_across(generator(0, "across"), sizes)
    assert norm > 0.9 * added > along
    still = residual_coupling.turn_across(generator(0, "across"), sizes._replace(tau_v=1e-9))
    assert still[0] == 0
    assert still[1] < 0.5 * norm
