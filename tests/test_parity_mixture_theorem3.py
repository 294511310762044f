"""The experiments parity/theorem3 and parity/mixture: their runs, figures, and claims that can fail."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from learnability import plotting, study, sweep
from learnability.networks.parity import initial
from learnability.problems.parity import random_mixture
from learnability.results import tidy
from learnability.seeding import generator
from learnability.studies.parity import runs_mixture as mixtures
from learnability.studies.parity.figures import mixture as parity_mixture
from learnability.studies.parity.figures import theorem3 as parity_theorem3
from learnability.studies.parity.theorems.theorem3 import theorem3_step
from learnability.theory import Verdict
from learnability.training import population

NAMES = ("mixture", "theorem3")


@pytest.fixture(scope="module")
def tables():
    """Every row of a smoke run, computed once."""
    found = {}
    for name in NAMES:
        tasks = sweep.tasks(study.experiments()[f"parity/{name}"], "smoke", 2)
        done = list(sweep.execute(tasks))
        assert [d.error for d in done] == [None] * len(tasks)
        found[name] = tidy([row for d in done for row in d.rows])
    return found


def verdicts(module, table):
    return {g.id: g for g in module.EXPERIMENT.claims(table)}


@pytest.mark.parametrize("name", NAMES)
def test_figure_and_claims_come_out_of_a_smoke_run(tables, name):
    experiment = study.experiments()[f"parity/{name}"]
    with plotting.style():
        figure = experiment.figure(tables[name])
        figure.draw_without_rendering()
    assert all(ax.lines and ax.get_xlabel() and ax.get_ylabel() and ax.get_title() for ax in figure.axes)
    guarantees = experiment.claims(tables[name])
    assert len({g.id for g in guarantees}) == len(guarantees) > 4
    assert all(g.id.startswith("parity/") and g.source and g.note for g in guarantees)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_a_function_of_setting_and_seed(name):
    experiment = study.experiments()[f"parity/{name}"]
    setting = {**experiment.scales["smoke"].settings[0], "steps": 20}
    assert experiment.run(setting, 0) == experiment.run(setting, 0)
    assert experiment.run(setting, 0) != experiment.run(setting, 1)


# Runs


def test_recorded_steps_end_where_the_run_ends_and_errors_are_below_losses(tables):
    for table in tables.values():
        assert (table.groupby(["eta", "share", "start", "n", "k", "q", "steps", "seed"])["step"].max()).equals(
            table.groupby(["eta", "share", "start", "n", "k", "q", "steps", "seed"])["steps"].max().rename("step")
        )
        assert (table["error_1"] <= table["loss_1"] + 1e-12).all()
        assert table["step"].min() == 1


def spied(monkeypatch, s, seed=0):
    """What the experiment hands to the engine."""
    calls = []
    real = population.train

    def spy(*arguments, **named):
        calls.append((arguments, named))
        return real(*arguments, **named)

    monkeypatch.setattr(population, "train", spy)
    mixtures.run(s, seed)
    ((start, problem), named) = calls[0]
    return start, problem, named


SMALL = {"n": 12, "k": 3, "q": 6, "steps": 5, "batch": 16}


def test_the_longer_start_makes_the_hidden_layers_first_step_longer_and_nothing_else(monkeypatch):
    share = 0.05
    plain, problem, named = spied(monkeypatch, mixtures.setting(**SMALL, share=share))
    assert (named["first"], named["later"], named["eta"]) == ("exact", 16, 0.3)
    assert problem.share == share
    longer, same, _ = spied(monkeypatch, mixtures.setting(**SMALL, share=share, start="longer"))
    assert same == problem
    one, other = population.first_step(plain, problem), population.first_step(longer, problem)
    np.testing.assert_allclose(other.W, one.W / (2 * share), rtol=1e-12)
    np.testing.assert_allclose(other.b - plain.b, (one.b - plain.b) / (2 * share), rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(other.u, one.u)
    _, _, estimated = spied(monkeypatch, mixtures.setting(**SMALL, share=share, start="estimated", samples=64))
    assert estimated["first"] == 64


def test_the_theorems_step_size_is_used_where_none_is_given(monkeypatch):
    _, _, named = spied(monkeypatch, mixtures.setting(**SMALL, eta=0.0))
    assert named["eta"] == pytest.approx(theorem3_step(k=3, q=6, T=5))


def test_runs_share_parity_and_start_whatever_the_share(monkeypatch):
    one = spied(monkeypatch, mixtures.setting(**SMALL, share=0.1))
    other = spied(monkeypatch, mixtures.setting(**SMALL, share=0.9, eta=1.0))
    assert one[1].support == other[1].support
    np.testing.assert_array_equal(one[0].W, other[0].W)


def test_the_facts_of_the_first_step_are_those_of_enumeration():
    problem = random_mixture(generator(0, "facts"), 9, 3, 0.2)
    start = initial(generator(0, "facts", "start"), 9, 3, 40)
    facts = mixtures.first_step_facts(problem, start)
    good = start.W[:, problem.support].sum(axis=1) == 0
    for share, name in ((1.0, "signal"), (0.0, "floor")):
        alone = replace(problem, share=share)
        slope = population.gradient(start, alone)[1].W  # -u E[y s_j sigma'] / sqrt n
        G = -slope * 3 / start.u[:, None]
        inside = np.isin(np.arange(9), problem.support)
        if name == "signal":
            expected = 0.2 * G[good][:, inside].mean()
        else:
            expected = math.sqrt(np.mean(G[:, ~inside] ** 2))
        assert facts[name] == pytest.approx(expected, rel=1e-9)
    assert facts["good"] == pytest.approx(good.mean())


def test_learning_time_is_the_first_record_after_the_last_large_error():
    rows = pd.DataFrame(
        [
            (0.5, 0, 1, 0.01), (0.5, 0, 10, 0.3), (0.5, 0, 20, 0.05), (0.5, 0, 30, 0.0),
            (0.5, 1, 1, 0.0), (0.5, 1, 10, 0.2),
            (0.1, 0, 1, 0.02), (0.1, 0, 5, float("nan")), (0.1, 0, 9, 0.0),
        ],
        columns=["share", "seed", "step", "error_1"],
    ).sample(frac=1, random_state=0)  # fmt: skip
    times = mixtures.learning_times(rows, "share").set_index(["share", "seed"])["time"]
    assert times.to_dict() == {(0.5, 0): 20, (0.5, 1): math.inf, (0.1, 0): 9}


def test_the_shares_of_the_kinks_are_those_of_alpha_1_over_8_and_1_over_8k():
    table = pd.DataFrame({"share": [0.0, 0.1, 0.4], "signal": [0.0, 0.05, 0.2], "k": [3, 3, 3]})
    for reach in (1, 3):
        assert parity_mixture.kink_share(table, reach) / 0.1 * 0.05 == pytest.approx(1 / (8 * reach))
    assert parity_mixture.kink_share(table[:1], 1) is None


# Claims


def learnt_from(share, table, start="theorem"):
    """The same table with errors of 0 from that share on and of 0.5 below, for one start."""
    final = np.where(table["share"] >= share, 0.0, 0.5)
    return table.assign(error_1=np.where(table["start"] == start, final, table["error_1"]))


def test_claims_of_the_mixture_can_hold_and_fail(tables):
    table = tables["mixture"]
    found = verdicts(parity_mixture, learnt_from(0.05, table))
    for name in ("learnt[share=0.5", "not-learnt[share=0", "monotone["):
        (g,) = (g for id, g in found.items() if f"mixture/{name}" in id)
        assert g.verdict is Verdict.HOLDS, g
    nothing = verdicts(parity_mixture, table.assign(error_1=0.5))
    assert nothing["parity/mixture/learnt[share=0.5,n=20]"].verdict is Verdict.VIOLATED
    assert nothing["parity/mixture/longer-first-step[n=20]"].measured == 0
    everything = verdicts(parity_mixture, table.assign(error_1=0.0))
    assert everything["parity/mixture/not-learnt[share=0,n=20]"].verdict is Verdict.VIOLATED
    assert everything["parity/mixture/longer-first-step[n=20]"].verdict is Verdict.NOT_MEASURED
    upside = table.assign(error_1=np.where(table["share"] > 0.1, 0.5, 0.0))
    assert verdicts(parity_mixture, upside)["parity/mixture/monotone[n=20]"].measured == pytest.approx(0.5)


def test_the_longer_start_is_judged_where_the_theorems_fails(tables):
    table = learnt_from(0.5, tables["mixture"])
    for error, measured in ((0.0, 1.0), (0.5, 0.0)):
        changed = table.assign(error_1=np.where(table["start"] == "longer", error, table["error_1"]))
        found = verdicts(parity_mixture, changed)
        assert found["parity/mixture/longer-first-step[n=20]"].measured == measured
        assert found["parity/mixture/estimated-first-step[share=0.05,n=20]"].measured == pytest.approx(
            mixtures.ends(changed[changed["start"] == "estimated"], "share")["error_1"].mean() - error
        )


def test_harder_with_n_compares_the_same_seeds(tables):
    table = tables["mixture"]
    other = table.assign(n=10, error_1=0.0)
    both = verdicts(parity_mixture, pd.concat([table.assign(error_1=0.5), other]))
    assert both["parity/mixture/uniform-harder-with-n[n=10|20]"].measured == pytest.approx(0.5)


def test_claims_of_theorem3_stay_outside_or_can_fail(tables):
    table = tables["theorem3"]
    found = verdicts(parity_theorem3, table)
    bound = found["parity/theorem3[runs by its schedule]"]
    assert bound.verdict is Verdict.OUTSIDE
    assert {h.name for h in bound.hypotheses if not h.holds} >= {"k >= 7", "the bound is below 1"}
    assert {h.name for h in bound.hypotheses if h.holds} >= {"eta = k^2 / (T sqrt q)", "lambda <= k/n"}
    for name in ("with-T[theorem's eta]", "with-n[theorem's eta]", "with-q[theorem's eta]"):
        assert found[f"parity/theorem3/{name}"].verdict is Verdict.OUTSIDE
    perfect = verdicts(parity_theorem3, table.assign(error_1=0.0, error_2=0.0, loss_1=0.0))
    assert perfect["parity/theorem3/both-parts-at-0[eta=0.3]"].verdict is Verdict.HOLDS
    assert perfect["parity/theorem3/schedule-moves-too-little"].verdict is Verdict.VIOLATED
    one_part = verdicts(parity_theorem3, table.assign(error_1=0.0, error_2=0.1, loss_2=0.05))
    assert one_part["parity/theorem3/both-parts-at-0[eta=0.3]"].verdict is Verdict.VIOLATED
    assert one_part["parity/theorem3-error-below-loss"].verdict is Verdict.VIOLATED
    rising = verdicts(parity_theorem3, table.assign(error_1=table["q"] / 100))
    assert rising["parity/theorem3/with-q[eta=0.3]"].verdict is Verdict.VIOLATED


def test_an_axis_holds_everything_else_at_the_base(tables):
    table = tables["theorem3"]
    for axis, values in (("q", {8, 32}), ("n", {10, 30}), ("steps", {50, 200})):
        rows = parity_theorem3._axis(table, axis, parity_theorem3.THEOREM)
        assert set(rows[axis]) == values
        assert all(rows[other].nunique() == 1 for other in ("n", "k", "q", "steps") if other != axis)


@pytest.mark.parametrize(
    ("mean", "half", "direction", "verdict"),
    [
        (-0.2, 0.1, "at_most", Verdict.HOLDS),
        (0.2, 0.1, "at_most", Verdict.VIOLATED),
        (-0.2, 0.3, "at_most", Verdict.NOT_MEASURED),
        (0.2, 0.1, "at_least", Verdict.HOLDS),
        (-0.2, 0.1, "at_least", Verdict.VIOLATED),
        (0.2, 0.3, "at_least", Verdict.NOT_MEASURED),
        (0.2, float("nan"), "at_least", Verdict.NOT_MEASURED),
    ],
)
def test_a_trend_within_its_confidence_interval_is_not_claimed(mean, half, direction, verdict):
    assert mixtures.clearly("x", "nowhere", mean, half, direction, "a difference").verdict is verdict


def test_slopes_have_the_interval_of_a_regression():
    x = np.arange(6.0)
    slope, half = parity_mixture._slope(x, 2 * x + np.array([1, -1, 1, -1, 1, -1.0]))
    assert slope == pytest.approx(2 - 3 / 17.5)
    assert half == pytest.approx(2.7764451 * math.sqrt((6 - 9 / 17.5) / 4 / 17.5))
    assert parity_mixture._slope(x[:2], x[:2])[0] is None
