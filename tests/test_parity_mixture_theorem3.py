"""parity/theorem3 and parity/mixture: their runs, their pictures, and claims that can fail."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import learnability
from learnability.networks.parity import initial
from learnability.plotting import Curve
from learnability.problems.parity import random_mixture
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
    """Every row of three seeds of the smallest cells, computed once."""
    return {name: learnability.run(f"parity/{name}", scale="smoke", seeds=3).table for name in NAMES}


def verdicts(module, table):
    return {g.id: g for g in module.EXPERIMENT.claims(table)}


def test_the_pictures_have_a_place_for_share_0_and_every_run(tables):
    table = tables["mixture"]
    starts, _, times, signals = parity_mixture.figure(table).panels
    (zero,) = [x for x, text in starts.xticks.items() if text == "0"]
    assert zero < min(table["share"][table["share"] > 0])
    assert any(zero in np.asarray(item.x) for item in starts.items if isinstance(item, Curve))
    shown = [item for item in times.items if isinstance(item, Curve) and item.marker]
    assert all(item.hollow == (np.min(item.y) > 600) for item in shown if len(item.x))
    late = mixtures.learning_times(table, "start", "share")["time"] == math.inf
    assert sum(len(item.x) for item in shown if not item.hollow) == (~late).sum()
    assert signals.ylim == (None, 60)


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
    """The same table with errors of 0 from that share on and of about 0.5 below, for one start."""
    final = np.where(table["share"] >= share, 0.0, 0.5 + 0.01 * table["seed"])
    return table.assign(error_1=np.where(table["start"] == start, final, table["error_1"]))


def test_claims_of_the_mixture_can_hold_and_fail(tables):
    table = tables["mixture"]
    found = verdicts(parity_mixture, learnt_from(0.05, table))
    for name in ("learnt[share=0.5", "not-learnt[share=0", "falls-with-share["):
        (g,) = (g for id, g in found.items() if f"mixture/{name}" in id)
        assert g.verdict is Verdict.HOLDS, g
    nothing = verdicts(parity_mixture, table.assign(error_1=0.5))
    assert nothing["parity/mixture/learnt[share=0.5,n=20]"].verdict is Verdict.VIOLATED
    everything = verdicts(parity_mixture, table.assign(error_1=0.0))
    assert everything["parity/mixture/not-learnt[share=0,n=20]"].verdict is Verdict.VIOLATED
    assert everything["parity/mixture/longer-first-step[n=20]"].verdict is Verdict.NOT_MEASURED
    upside = table.assign(error_1=np.where(table["share"] > 0.1, 0.5, 0.0))
    rise = verdicts(parity_mixture, upside)["parity/mixture/falls-with-share[n=20]"]
    assert rise.verdict is Verdict.VIOLATED
    one_run = table.assign(error_1=np.where((table["share"] > 0.1) & (table["seed"] == 0), 0.5, 0.0))
    assert verdicts(parity_mixture, one_run)["parity/mixture/falls-with-share[n=20]"].verdict is Verdict.NOT_MEASURED


def test_two_seeds_measure_nothing_of_the_mixture(tables):
    table = learnt_from(0.05, tables["mixture"])
    found = verdicts(parity_mixture, table[table["seed"] < 2])
    assert {g.verdict for g in found.values()} == {Verdict.NOT_MEASURED}


def test_the_longer_start_is_judged_where_the_theorems_fails(tables):
    table = learnt_from(0.5, tables["mixture"])
    six = pd.concat([table, table.assign(seed=table["seed"] + 3)])
    for error, verdict in ((0.0, Verdict.HOLDS), (0.5, Verdict.VIOLATED)):
        changed = six.assign(error_1=np.where(six["start"] == "longer", error, six["error_1"]))
        found = verdicts(parity_mixture, changed)
        assert found["parity/mixture/longer-first-step[n=20]"].verdict is verdict
    for apart, verdict in ((0.3, Verdict.HOLDS), (0.2, Verdict.VIOLATED)):
        shifted = np.where(six["start"] == "estimated", apart, 0.0) + 0.01 * six["seed"]
        found = verdicts(parity_mixture, six.assign(error_1=shifted))  # the seeds differ, the pairs do not
        g = found["parity/mixture/estimated-first-step[share=0.05,n=20]"]
        assert (g.verdict, g.measured) == (verdict, pytest.approx(apart))


def test_steps_to_learn_have_the_exponent_of_the_share(tables):
    table = tables["mixture"]
    for slower, verdict in ((0.05, Verdict.HOLDS), (0.5, Verdict.VIOLATED)):
        wait = np.where(table["share"] == slower, 300, 100) + 20 * table["seed"]
        learning = table.assign(error_1=np.where(table["step"] < wait, 0.5, 0.0))
        assert verdicts(parity_mixture, learning)["parity/mixture/faster-with-share[n=20]"].verdict is verdict


def test_harder_with_n_compares_the_same_seeds(tables):
    table = tables["mixture"]
    noise = 0.1 * table["seed"]
    for large, verdict in ((0.5, Verdict.HOLDS), (0.1, Verdict.VIOLATED)):
        both = pd.concat([table.assign(error_1=large + noise), table.assign(n=10, error_1=0.3 + noise)])
        g = verdicts(parity_mixture, both)["parity/mixture/uniform-harder-with-n[n=10|20]"]
        assert (g.verdict, g.measured) == (verdict, pytest.approx(large - 0.3))


def test_claims_of_theorem3_can_fail(tables):
    table = tables["theorem3"]
    found = verdicts(parity_theorem3, table)
    assert all(g.verdict is not Verdict.OUTSIDE for g in found.values())
    theirs, noise = table["eta"] == parity_theorem3.THEOREM, 0.001 * table["seed"]
    for sign, verdict in ((-1, Verdict.HOLDS), (1, Verdict.VIOLATED)):
        changed = {
            "falls-with-q[theorem's eta]": 0.5 + sign * table["q"] / 100 + noise,
            "falls-with-T[theorem's eta]": 0.5 + sign * table["steps"] / 1000 + noise,
        }
        for name, loss in changed.items():
            moved = verdicts(parity_theorem3, table.assign(loss=table["loss"].where(~theirs, loss)))
            assert moved[f"parity/theorem3/{name}"].verdict is verdict
    for change, verdict in ((0.01, Verdict.HOLDS), (0.1, Verdict.VIOLATED)):
        loss = 0.5 + change * (table["n"] > 10) + noise
        moved = verdicts(parity_theorem3, table.assign(loss=table["loss"].where(~theirs, loss)))
        assert moved["parity/theorem3/same-for-n[theorem's eta]"].verdict is verdict
        error = 0.5 + (1 if verdict is Verdict.HOLDS else -1) * 0.2 * (table["n"] > 10) + noise
        moved = verdicts(parity_theorem3, table.assign(error_1=error))
        assert moved["parity/theorem3/slower-with-n[eta=0.3]"].verdict is verdict
    perfect = verdicts(parity_theorem3, table.assign(error_1=0.0, error_2=0.0, loss_1=0.0))
    assert perfect["parity/theorem3/both-parts-at-0[eta=0.3]"].verdict is Verdict.HOLDS
    assert perfect["parity/theorem3/schedule-moves-too-little"].verdict is Verdict.VIOLATED
    one_part = verdicts(parity_theorem3, table.assign(error_1=0.0, error_2=0.1, loss_2=0.05))
    assert one_part["parity/theorem3/both-parts-at-0[eta=0.3]"].verdict is Verdict.VIOLATED
    assert one_part["parity/theorem3-error-below-loss"].verdict is Verdict.VIOLATED
    rising = verdicts(parity_theorem3, table.assign(error_1=table["q"] / 100))
    assert rising["parity/theorem3/falls-with-q[eta=0.3]"].verdict is Verdict.VIOLATED
    falling = verdicts(parity_theorem3, table.assign(error_1=1 / table["q"] + 0.1 * table["seed"]))
    assert falling["parity/theorem3/falls-with-q[eta=0.3]"].verdict is Verdict.HOLDS
    scattered = np.where(table["q"] > 8, 0.4 * table["seed"], 0.5)
    unclear = verdicts(parity_theorem3, table.assign(error_1=scattered))
    assert unclear["parity/theorem3/falls-with-q[eta=0.3]"].verdict is Verdict.NOT_MEASURED
    for fives, verdict in ((0.5, Verdict.HOLDS), (0.1, Verdict.VIOLATED)):
        slower = verdicts(parity_theorem3, table.assign(error_1=np.where(table["k"] == 5, fives, 0.3)))
        assert slower["parity/theorem3/k=5-is-slower[eta=0.3]"].verdict is verdict


def test_an_axis_holds_everything_else_at_the_base(tables):
    table = tables["theorem3"]
    for axis, values in (("q", {8, 32}), ("n", {10, 30}), ("steps", {50, 200})):
        rows = parity_theorem3._axis(table, axis, parity_theorem3.THEOREM)
        assert set(rows[axis]) == values
        assert all(rows[other].nunique() == 1 for other in ("n", "k", "q", "steps") if other != axis)
