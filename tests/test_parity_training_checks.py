"""The checks of Theorem 13, Lemmas 14 to 16, Theorem 3 and Corollary 4: they hold, and they can fail."""

from __future__ import annotations

import numpy as np
import pytest

from learnability.discovery import installed
from learnability.networks.parity import ParityNet, forward
from learnability.studies.parity.checks import regret as parity_regret
from learnability.studies.parity.checks import training as parity_training
from learnability.studies.parity.theorems import training as theory
from learnability.theory import Verdict
from learnability.training import population

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
        assert g.verdict is (Verdict.NUMBER if "training runs" in g.id else Verdict.HOLDS), g


@pytest.mark.parametrize("check", [parity_regret.theorem13, parity_training.lemma15])
def test_checks_are_deterministic(check, results):
    again = check("smoke")
    assert any(again == found for found in results.values())


def test_the_regret_of_a_run_is_a_number(results):
    g = next(g for g in results["theorem3"] if g.id == "parity/theorem13[sharp,training runs]")
    assert (g.verdict, g.bound) == (Verdict.NUMBER, None)
    assert g.measured == pytest.approx(0.173, abs=0.002)


def test_sizes_as_printed_miss_by_a_root_and_a_bound_that_is_off_by_a_per_cent_is_caught(results, monkeypatch):
    found = {g.id: g for g in results["corollary4"]}
    assert "C sqrt(epsilon)" in found["parity/corollary4[printed]"].note
    real = parity_training.whole.theorem3_terms
    monkeypatch.setattr(
        parity_training.whole,
        "theorem3_terms",
        lambda **sizes: type(real(**sizes))(*(1.01 * term for term in real(**sizes))),
    )
    assert {g.verdict for g in parity_training.corollary4("smoke")} == {Verdict.VIOLATED}


def test_a_separator_that_is_larger_or_has_other_neurons_is_caught(monkeypatch):
    real = parity_training.separator
    monkeypatch.setattr(parity_training, "separator", lambda *nets: 1.1 * real(*nets))
    larger, same = parity_training._constants("smoke")
    assert (larger.verdict, same.verdict) == (Verdict.VIOLATED, Verdict.HOLDS)

    def sparser(*nets):
        u = real(*nets)
        u[np.flatnonzero(u)[::3]] = 0
        return u

    monkeypatch.setattr(parity_training, "separator", sparser)
    assert parity_training._constants("smoke")[1].verdict is Verdict.VIOLATED
    monkeypatch.setattr(parity_training, "separator", lambda *nets: None)
    assert {g.verdict for g in parity_training._constants("smoke")} == {Verdict.NOT_MEASURED}


def verdicts(found):
    return {g.id: g.verdict for g in found}


def test_the_iterates_are_the_runs():
    nets = parity_training._iterates(8, 3, 12, 0.4, 0.2, 6)
    run = parity_training._run(8, 3, 12, eta=0.4, lam=0.2, T=5, evaluate=1)
    assert len(nets) == 6
    for part, first, last, other in zip(nets[0]._fields, nets[0], nets[-1], run.params, strict=True):
        np.testing.assert_array_equal(first, getattr(run.after_first, part))
        np.testing.assert_array_equal(last, other)


@pytest.mark.parametrize(("part", "broken"), [("u", "output"), ("W", "hidden"), ("b", "bias")])
def test_a_step_that_is_off_by_a_per_cent_is_caught(monkeypatch, part, broken):
    real = population.hinge_gradient

    def steeper(*arguments, **named):
        found = real(*arguments, **named)
        gradient = found.gradient
        return found._replace(gradient=gradient._replace(**{part: 1.01 * getattr(gradient, part)}))

    monkeypatch.setattr(population, "hinge_gradient", steeper)
    monkeypatch.setattr(parity_training, "SIZES", {"smoke": ((8, 3, 16),)})
    found = verdicts(parity_training.lemma15("smoke"))
    wrong = {name for name, verdict in found.items() if verdict is Verdict.VIOLATED}
    assert wrong == {f"parity/lemma15-{broken}[by steps]"}


def test_steps_of_units_that_are_never_active_do_not_count():
    dead, live = np.array([[0.1, 0.1], [0.2, -0.1]]), np.array([-1.0, 0.1])
    first = ParityNet(dead, live, np.array([0.3, 0.2]))
    second = ParityNet(dead, live, np.array([0.3, 0.22]))
    output, hidden, bias = theory.lemma15_by_steps([first, second], eta=0.5, lam=0.0)
    assert output.bound == pytest.approx(0.5 * (0.3 / np.sqrt(2) + 0.1))
    assert output.measured == pytest.approx(0.02)
    assert hidden.bound == bias.bound == pytest.approx(0.5 * 0.2)
    moved = second._replace(W=dead + np.array([[0.0, 0.0], [0.11, 0.0]]))
    assert theory.lemma15_by_steps([first, moved], eta=0.5, lam=0.0)[1].verdict is Verdict.VIOLATED


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
