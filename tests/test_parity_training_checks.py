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

CHECKS = [check for module in (parity_regret, parity_training) for check in module.CHECKS]


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
        assert g.verdict is Verdict.HOLDS, g


@pytest.mark.parametrize("check", [parity_regret.theorem13, parity_training.lemma15])
def test_checks_are_deterministic(check, results):
    again = check("smoke")
    assert any(again == found for found in results.values())


def test_the_regret_of_a_run_says_something_and_notices_a_run_that_does_not_learn(results, monkeypatch):
    found = {g.id: g for g in results["theorem3"]}
    for form in theory.FORMS:
        g = found[f"parity/theorem13[{form},training runs]"]
        assert g.measured < g.bound < 1
    real = parity_training.train

    def stuck(*arguments, **named):
        run = real(*arguments, **named)
        run.columns["mean_objective"] *= 5
        return run

    monkeypatch.setattr(parity_training, "train", stuck)
    regrets = verdicts(parity_training._regrets("smoke"))
    assert set(regrets.values()) == {Verdict.VIOLATED}


def test_sizes_as_printed_miss_by_a_root(results):
    found = {g.id: g for g in results["corollary4"]}
    assert found["parity/corollary4[safe]"].measured == pytest.approx(0, abs=0.01)
    assert found["parity/corollary4[printed]"].measured == pytest.approx(-0.5, abs=0.03)


def test_constants_that_are_not_enough_are_caught(monkeypatch):
    monkeypatch.setattr(parity_training.whole, "SEPARATOR", 0.7)
    monkeypatch.setattr(parity_training.whole, "SPARSITY", 45.0)
    assert {g.verdict for g in parity_training._constants("smoke")} == {Verdict.VIOLATED}


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


def test_a_step_that_is_doubled_breaks_the_recursions(monkeypatch):
    real = parity_training.gradient

    def steeper(net, problem):
        loss, slope = real(net, problem)
        return loss, type(slope)(*(4 * part for part in slope))

    monkeypatch.setattr(parity_training, "gradient", steeper)
    monkeypatch.setattr(parity_training, "SIZES", {"smoke": ((8, 3, 16),)})
    found = verdicts(parity_training.lemma15("smoke"))
    assert found["parity/lemma15-hidden[by weights]"] is Verdict.VIOLATED
    assert found["parity/lemma15-bias[by weights]"] is Verdict.VIOLATED


def test_a_loss_that_moves_more_than_the_hidden_layer_is_caught(monkeypatch):
    real = parity_training.hidden
    monkeypatch.setattr(parity_training, "hidden", lambda net, X: 1.5 * real(net, X))
    monkeypatch.setattr(parity_training, "SIZES", {"smoke": ((8, 3, 16),)})
    assert verdicts(parity_training.lemma16("smoke"))["parity/lemma16[by movement]"] is Verdict.VIOLATED


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
