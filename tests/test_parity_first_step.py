"""parity/first-step: its rows are the network's, its figure comes out, and its claims can fail."""

import math

import numpy as np
import pytest

import learnability
from learnability import plotting
from learnability.networks.parity import forward, good_neurons, initial
from learnability.problems.parity import random_mixture
from learnability.seeding import generator
from learnability.studies.parity.figures import first_step as module
from learnability.theory import Verdict
from learnability.training.population import first_step, gradient

EXPERIMENT = module.EXPERIMENT


@pytest.fixture(scope="module")
def table():
    """Every row of three seeds of the smallest cells, computed once."""
    return learnability.run("parity/first-step", scale="smoke", seeds=3).table


def verdicts(table):
    return {g.id.removeprefix("parity/first-step/"): g for g in EXPERIMENT.claims(table)}


def test_claims_hold_and_the_smallest_case_has_no_readout_claim(table):
    steady = table.assign(error=0.5 / np.sqrt(table["m"]))  # exponents of three short runs are too wide to tell
    found = verdicts(steady)
    assert {g.verdict for g in found.values()} == {Verdict.HOLDS}
    assert "readout[printed enumerated,n=15,k=3,q=128]" not in found  # features that learnt nothing may do there
    assert len(found) == 13


def test_two_seeds_measure_nothing_but_neurons_and_a_run_that_refutes(table):
    found = verdicts(table[table["seed"] < 2].assign(error_1=0.5))
    for name in ("printed-alpha[sampled,n=60,k=3]", "printed-active[sampled,n=60,k=3]", "estimate-agrees[n=60,k=3]"):
        assert found[name].verdict is Verdict.NOT_MEASURED
    assert found["good-share[n=60,k=3]"].verdict is Verdict.HOLDS
    assert found["readout[safe exact,n=60,k=3,q=96]"].verdict is Verdict.VIOLATED
    assert found["readout[printed sampled,n=60,k=3,q=96]"].verdict is Verdict.NOT_MEASURED


def test_the_figure_shows_all_panels_of_what_was_run(table):
    whole, partial = EXPERIMENT.figure(table), EXPERIMENT.figure(table[table["start"] == "safe exact"])
    assert len(whole.panels) == len(partial.panels) == 6
    assert all(panel.items and panel.title for panel in whole.panels)
    plotting.drawn(partial)


def test_the_histogram_counts_every_good_neuron(table):
    alphas = EXPERIMENT.figure(table).panels[3]
    shown = table[(table["row"] == "neuron") & (table["tau"] == 0) & (table["n"] == 60)]
    for curve, start in zip(alphas.items[:2], ("safe exact", "printed sampled")):
        heights = np.asarray(curve.y)[1:-1:2]
        assert heights.sum() == (shown["start"] == start).sum()


def test_starts_that_are_compared_share_problem_and_weights():
    a, b = (EXPERIMENT.run(s, 0) for s in EXPERIMENT.scales["smoke"].settings[:2])
    for one, other in zip(a[:-1], b[:-1]):
        assert (one["tau"], one["u"]) == (other["tau"], other["u"])


@pytest.mark.parametrize(("index", "form"), [(0, "safe"), (1, "printed")])
def test_rows_are_what_the_step_made(index, form):
    setting = EXPERIMENT.scales["smoke"].settings[index]
    n, k, q = 15, 3, 128
    rows, net_row = EXPERIMENT.run(setting, 1)[:-1], EXPERIMENT.run(setting, 1)[-1]
    problem = random_mixture(generator(1, "problem", n, k), n, k)
    start = initial(generator(1, "init", n, k), n, k, q, form)
    slope = gradient(start, problem)[1]
    A, rest = list(problem.support), [j for j in range(n) if j not in problem.support]
    G = -slope.W[:q] * math.sqrt(n) / start.u[:q, None]
    if form == "safe":
        assert np.allclose(first_step(start, problem).W[:q], -slope.W[:q], atol=1e-12)
    assert [r["inside_low"] for r in rows] == pytest.approx(G[:, A].min(axis=1), abs=1e-12)
    assert [r["inside_high"] for r in rows] == pytest.approx(G[:, A].max(axis=1), abs=1e-12)
    assert [r["outside_norm"] for r in rows] == pytest.approx(np.linalg.norm(G[:, rest], axis=1), abs=1e-12)
    assert [abs(r["outside"]) for r in rows] == pytest.approx(np.abs(G[:, rest]).max(axis=1), abs=1e-12)
    assert [r["bias"] for r in rows] == pytest.approx(-slope.b[:q] / start.u[:q], abs=1e-12)
    assert [r["tau"] for r in rows] == start.W[:q][:, A].sum(axis=1).tolist()
    assert net_row["good"] == good_neurons(start.W[:q], A).sum()
    X, y, p1, p2 = problem.enumerate()
    p, g = (p1 + p2) / 2, forward(start, X)
    room = 4 / math.sqrt(module.EXAMPLES)
    assert net_row["active"] == pytest.approx(p @ (y * g < 1) if form == "printed" else 1.0, abs=room)
    assert net_row["output"] == pytest.approx(p @ np.abs(g), abs=1e-12 + room * np.abs(g).max())
    assert (net_row["output"] == 0) == (form == "safe")


def test_a_sampled_step_tends_to_the_exact_one():
    setting = {"start": "safe sampled", "n": 20, "k": 3, "q": 20, "samples": 4 * module.BATCH}
    sampled, exact = EXPERIMENT.run(setting, 0), EXPERIMENT.run({**setting, "start": "safe exact"}, 0)
    off = np.array([a["alpha"] - b["alpha"] for a, b in zip(sampled[:-1], exact[:-1])])
    assert 0 < np.abs(off).max() < 6 / math.sqrt(4 * module.BATCH)


def test_claims_notice_a_wrong_alpha(table):
    good = (table["row"] == "neuron") & (table["tau"] == 0) & (table["start"] == "safe exact")
    large = verdicts(table.assign(alpha=table["alpha"].where(~good, 0.4)))
    assert large["parity/lemma9-alpha-high[figure]"].verdict is Verdict.VIOLATED
    small = verdicts(table.assign(alpha=table["alpha"] * 0.999))
    assert small["parity/lemma9-alpha-low[figure]"].verdict is Verdict.VIOLATED
    other = verdicts(table.assign(tau=table["tau"].where(good, 1)))
    assert other["parity/lemma9-alpha-low[figure]"].verdict is Verdict.HOLDS


def test_claims_notice_equal_starts(table):
    same = table.assign(error_1=0.0, active=1.0, alpha=0.26)
    found = verdicts(same)
    assert found["readout[printed sampled,n=60,k=3,q=96]"].verdict is Verdict.VIOLATED
    assert found["printed-active[sampled,n=60,k=3]"].verdict is Verdict.VIOLATED
    assert found["printed-alpha[sampled,n=60,k=3]"].verdict is Verdict.VIOLATED
    swapped = verdicts(table.assign(error_1=0.5))
    assert swapped["readout[safe exact,n=60,k=3,q=96]"].verdict is Verdict.VIOLATED


def test_claims_notice_a_wrong_gradient_and_a_wrong_share(table):
    flat = 0.2 + 0.5 / np.sqrt(table["m"])
    biased = verdicts(table.assign(standardised=table["standardised"] * 1.2, error=flat))
    assert biased["estimate-agrees[n=60,k=3]"].verdict is Verdict.VIOLATED
    assert biased["estimate-slope[n=60,k=3]"].verdict is Verdict.VIOLATED
    assert verdicts(table.assign(good=table["good"] * 2))["good-share[n=60,k=3]"].verdict is Verdict.VIOLATED


def test_estimates_are_compared_with_the_exact_gradient(monkeypatch):
    real = module.correlation
    setting = next(s for s in EXPERIMENT.scales["smoke"].settings if s["start"] == "estimate")
    monkeypatch.setattr(module, "correlation", lambda *a: real(*a)._replace(inside=1.1 * real(*a).inside))
    wrong = EXPERIMENT.run(setting, 0)
    assert wrong[-1]["m"] == setting["samples"]
    assert wrong[-1]["error"] > 0.05
    monkeypatch.undo()
    assert EXPERIMENT.run(setting, 0)[-1]["error"] < 0.05
