"""The checks of Theorem 13, Lemmas 14 to 16, Theorem 3 and Corollary 4: they hold, and they can fail."""

from __future__ import annotations

import numpy as np
import pytest

from learnability.discovery import installed
from learnability.networks.parity import forward
from learnability.studies.parity.checks import regret as parity_regret
from learnability.studies.parity.checks import training as parity_training
from learnability.studies.parity.theorems import training as theory
from learnability.theory import Verdict
from learnability.training.population import gradient

CHECKS = [check for module in (parity_regret, parity_training) for check in module.CHECKS]
OUTSIDE = {
    "parity/lemma14[printed start,n=1000,k=3,q=16]",
    "parity/theorem3",
    "parity/theorem3[own separator]",
    "parity/theorem13[printed,training runs]",
    "parity/theorem13[sharp,training runs]",
    "parity/corollary4[printed]",
}


@pytest.fixture(scope="module")
def results():
    """Every check at the smoke scale, run once."""
    return {check.name: check.run("smoke") for check in CHECKS}


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_checks_hold_at_smoke_scale(name, results):
    found = results[name]
    assert f"parity/{name}" in installed().statements
    assert len({g.id for g in found}) == len(found) > 0
    for g in found:
        assert g.measured is not None
        assert g.verdict is (Verdict.OUTSIDE if g.id in OUTSIDE else Verdict.HOLDS), g


@pytest.mark.parametrize("check", [parity_regret.theorem13, parity_training.lemma15])
def test_checks_are_deterministic(check, results):
    again = check("smoke")
    assert any(again == found for found in results.values())


def test_a_vacuous_bound_says_so_and_shows_its_terms(results):
    bound = {g.id: g for g in results["theorem3"]}["parity/theorem3"]
    assert bound.bound > 1
    assert "vacuous" in bound.note
    assert "drift" in bound.note
    found = {g.id: g for g in results["theorem3"]}
    for name in ("theorem3[own separator]", "theorem13[printed,training runs]", "theorem13[sharp,training runs]"):
        assert "vacuous" in found[f"parity/{name}"].note
    failed = [h.name for h in found["parity/theorem13[sharp,training runs]"].hypotheses if not h.holds]
    assert failed == ["the bound is below the loss of the zero function"]


def test_a_bound_that_says_something_is_not_called_vacuous():
    for factor, says in ((1e-5, True), (1.0, False)):
        u = factor * np.ones(4)
        own = parity_training._own_bound(10**14, 3, 2, 10**9, 1e-9, 1e-14, u, 0.1, "x")
        assert (own.bound < 1) == says == ("vacuous" not in own.note)
    printed, _ = theory.theorem13(
        eta=0.3, losses=[0.0], comparator_losses=[0.0], gradient_norms=[1.0], start_norm=0.0, comparator_norm=0.5
    )
    assert printed.bound < 1
    counted = parity_training._against_zero(printed)
    assert (counted.verdict, counted.note) == (printed.verdict, printed.note)
    at_zero = parity_training._against_zero(type(printed)("x", "y", printed.kind, 1.0, 0.5))
    assert (at_zero.verdict, at_zero.note) == (Verdict.OUTSIDE, "vacuous: the zero function has loss 1")


def verdicts(found):
    return {g.id: g.verdict for g in found}


@pytest.mark.parametrize(
    ("part", "factor", "broken"),
    [
        ("output_max", 40, {"output"}),
        ("hidden_moved", 100, {"hidden"}),
        ("bias_moved", 1000, {"bias"}),
        ("test_loss_1", 1e9, set()),
    ],
)
def test_a_run_that_moves_too_far_is_caught(monkeypatch, part, factor, broken):
    real = parity_training.train

    def far(*arguments, **named):
        run = real(*arguments, **named)
        run.columns[part] *= factor
        return run

    monkeypatch.setattr(parity_training, "train", far)
    monkeypatch.setattr(parity_training, "SIZES", {"smoke": ((8, 3, 16),)})
    found = verdicts(parity_training.lemma15("smoke"))
    wrong = {name for name, verdict in found.items() if verdict is Verdict.VIOLATED}
    assert {name.removeprefix("parity/lemma15-").partition("[")[0] for name in wrong} == broken


def test_the_written_out_update_is_the_engines():
    """Lemma 16's own loop against :func:`learnability.training.population.train`, regulariser included."""
    n, k, q, eta, lam = 8, 3, 12, 0.4, 0.2
    *_, last = parity_training._iterates(n, k, q, eta, lam, 6)
    run = parity_training._run(n, k, q, eta=eta, lam=lam, T=5, evaluate=1)
    for one, other in zip(last, run.params, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_a_longer_step_breaks_lemma16s_premise(monkeypatch):
    real = parity_training.gradient

    def steeper(net, problem):
        loss, slope = real(net, problem)
        return loss, type(slope)(*(400 * part for part in slope))

    monkeypatch.setattr(parity_training, "gradient", steeper)
    monkeypatch.setattr(parity_training, "SIZES", {"smoke": ((8, 3, 16),)})
    found = verdicts(parity_training.lemma16("smoke"))
    assert found["parity/lemma16[sharp]"] is Verdict.VIOLATED


def test_single_values_come_back_from_running_means():
    run = parity_training._run(8, 3, 12, eta=0.3, lam=0.1, T=4, evaluate=1)
    objectives = parity_training._each(run, "mean_objective")
    problem = parity_training._problem(8, 3, 12).problem
    expected = [
        gradient(net, problem)[0] + 0.1 * float(net.u @ net.u)
        for net in parity_training._iterates(8, 3, 12, 0.3, 0.1, 4)
    ]
    np.testing.assert_allclose(objectives, expected, rtol=1e-9)


def test_the_separator_separates_every_input_with_the_least_margin_one():
    problem, start, after = parity_training._problem(10, 3, 48)
    u = parity_training.separator(after, start, problem)
    everything = problem.enumerate()
    margins = everything.y * forward(after._replace(u=u), everything.X)
    assert margins.min() == pytest.approx(1, rel=1e-9)
    few = parity_training._problem(10, 3, 1)
    assert parity_training.separator(few.after, few.start, few.problem) is None


def test_functions_of_theorem13s_check_have_the_gradients_they_say():
    rng = np.random.default_rng(0)
    for name, draw in parity_regret._sequences(rng).items():
        v, h = rng.normal(size=parity_regret.D), 1e-6 * rng.normal(size=parity_regret.D)
        f = draw(v)
        assert f.value(v + h) - f.value(v - h) == pytest.approx(2 * float(f.gradient(v) @ h), rel=1e-4), name


def test_gradients_with_the_wrong_sign_are_caught(monkeypatch):
    real = parity_regret._linear

    def uphill(g):
        f = real(g)
        return type(f)(f.value, lambda v: -f.gradient(v))

    monkeypatch.setattr(parity_regret, "_linear", uphill)
    found = verdicts(parity_regret.theorem13("smoke"))
    assert found["parity/theorem13[sharp]"] is Verdict.VIOLATED
