"""The residual study's checks: Theorem 1, Appendices B and C, Section 8.2's bound; and that they bite."""

from __future__ import annotations

from dataclasses import replace

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
from learnability.theory import Verdict

MODULES = (training, monitors, competitors, residual_rademacher, residual_probability)


@pytest.fixture(scope="module")
def found():
    """Every check once."""
    return {check.name: check.run("smoke") for module in MODULES for check in module.CHECKS}


def test_verdicts(found):
    """At few draws and small widths some intervals are too wide; nothing is violated or outside."""
    verdicts = {g.id: g.verdict for gs in found.values() for g in gs}
    wide = {name for name, verdict in verdicts.items() if verdict is Verdict.NOT_MEASURED}
    assert set(verdicts.values()) <= {Verdict.HOLDS, Verdict.NOT_MEASURED}
    assert all("training]" in name or "label noise" in name for name in wide), wide
    for name in (
        "thm1[average risk,alpha=0.005,m=2000]",
        "thm1[what is paid,alpha=0.005,m=2000]",
        "thm1[telescoping]",
    ):
        assert verdicts[f"residual/{name}"] is Verdict.HOLDS


def test_every_statement_of_appendix_c_is_there(found):
    ids = {g.id for g in found["training"]}
    parts = ("lemma-c1[a", "lemma-c1[b", "lemma-c1[orders", "lemma-c1[d", "lemma-c3[a", "lemma-c3[b", "claim-c5[W")
    for part in (*parts, "claim-c5[V", "claim-c6[Err", "table1[|W|", "table1[|V|"):
        assert f"residual/{part},training]" in ids
    assert "residual/claim-c7[training]" in ids


def test_theorem1_says_that_g_is_not_seen(found):
    risks = {g.id: g for g in found["thm1"]}
    plain = risks["residual/thm1[average risk,alpha=0.005,m=2000]"]
    assert "F is learnt, G not seen" in plain.note
    assert all(h.holds for h in plain.hypotheses)
    learnt = risks["residual/thm1[G is learnt,alpha=0.2,delta=0.2,m=1000]"]
    assert learnt.measured < learnt.bound == 0.5
    corollary = risks["residual/cor71[alpha=0.8,d=60,k=4,m=300]"]
    assert corollary.bound == pytest.approx(4 * 0.8**4)
    assert "5723 = k^2 d / alpha^8" in corollary.note


def test_algorithm1_is_online_sgd_with_two_rates():
    """The first epoch against the update rule one example at a time; the average is of losses before each step."""
    case = training.Case(50, 0.3, 0.2, 0.03, training.EPOCH, noise=0.2)
    found = training.algorithm1(case)
    rng = generator(0, "algorithm 1", "samples")
    X = training.UniformSigns(training.D, unit=True).sample(rng, training.EPOCH)
    Y = case.labels(X) + 0.2 * rng.standard_normal((training.EPOCH, training.K))
    now, losses = case.start(), []
    for x, y in zip(X, Y, strict=True):
        loss, gradient = networks.gradient(now, x[None], y[None])
        losses.append(2 * loss)
        now = now._replace(W=now.W - case.eta_w * gradient.W, V=now.V - case.eta_v * gradient.V)
    (t, end), *others = found.stops
    assert (t, others) == (training.EPOCH, [])
    np.testing.assert_allclose(end.W, now.W, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(end.V, now.V, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(end.A, case.start().A)
    assert found.average == pytest.approx(np.mean(losses) - ((Y - case.labels(X)) ** 2).sum(axis=1).mean())
    cube = training.cube()
    assert found.final == pytest.approx(((networks.forward(now, cube) - case.labels(cube)) ** 2).sum() / 256)


def test_stops_do_not_change_the_run():
    case = training.Case(30, 0.3, 0.2, 0.03, 3 * training.EPOCH)
    whole, parts = training.algorithm1(case), training.algorithm1(case, (1, 2, 7))
    assert [t for t, _ in parts.stops] == [128, 256, 384]
    np.testing.assert_allclose(parts.stops[-1][1].W, whole.stops[-1][1].W, rtol=1e-12)
    assert parts.average == pytest.approx(whole.average)


def violated(check):
    return {g.id for g in check("smoke") if g.verdict is Verdict.VIOLATED}


@pytest.mark.parametrize(("name", "factor"), [("eta_w", 2.0), ("eta_w", 0.5)])
def test_a_step_that_is_not_the_theorems_is_caught(monkeypatch, name, factor):
    """Twice the step pays half as much as the distance to W* says, half the step twice."""
    real = training.algorithm1
    monkeypatch.setattr(
        training, "algorithm1", lambda case: real(replace(case, **{name: factor * getattr(case, name)}))
    )
    found = {g.id: g.verdict for g in training._paid("smoke")}
    assert found["residual/thm1[what is paid,alpha=0.005,m=2000]"] is not Verdict.HOLDS
    if factor < 1:
        assert found["residual/thm1[average risk,alpha=0.005,m=2000]"] is Verdict.VIOLATED


def test_labels_in_another_order_are_caught(monkeypatch):
    real = training.Case.labels
    monkeypatch.setattr(training.Case, "labels", lambda self, X: np.roll(real(self, X), 1, axis=0))
    monkeypatch.setattr(training, "algorithm1", training.algorithm1.__wrapped__)
    assert "residual/cor71[alpha=0.8,d=60,k=4,m=300]" in violated(training.corollary)


def test_a_wrong_gradient_is_caught(monkeypatch):
    real = networks.gradient

    def wrong(*arguments):
        loss, found = real(*arguments)
        return loss, found._replace(W=1.001 * found.W)

    monkeypatch.setattr(networks, "gradient", wrong)
    moment = monitors._moment(0.5, 0.5**4, 100, 0, 128)
    assert moment.off > 1e-6
    assert training._telescoping("smoke").verdict is Verdict.VIOLATED


def test_a_competitor_that_does_not_fit_is_caught(monkeypatch):
    real = residual_competitor.competitor
    monkeypatch.setattr(
        competitors, "competitor", lambda *a, **named: real(*a, **named | {"sigma_w": 2 * named["sigma_w"]})
    )
    assert violated(competitors.existence) == {"residual/lemma-c2[a,exponent]"}


def test_a_kernel_that_is_not_the_gates_is_caught(monkeypatch):
    real = competitors.limit
    monkeypatch.setattr(competitors, "limit", lambda *given: real(*given)._replace(W=1.5 * real(*given).W))
    assert violated(competitors.existence) == {"residual/lemma-c2[|W*|,least]", "residual/lemma-c2[|V*|,least]"}


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
