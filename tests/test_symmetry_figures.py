"""The figures of the symmetry study: published parameters, rows, and claims on tables that are known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import learnability
from learnability import plotting
from learnability.discovery import installed
from learnability.problems.symmetry import UniformCube
from learnability.seeding import generator
from learnability.theory import Verdict

HOLDS, VIOLATED, UNMEASURED = Verdict.HOLDS, Verdict.VIOLATED, Verdict.NOT_MEASURED
TWO_SEEDS = ("symmetry/fig2", "symmetry/fig3")  # the others take one, for time


@cache
def smoke(name):
    return learnability.run(name, scale="smoke", seeds=2 if name in TWO_SEEDS else 1)


def test_the_figures_of_the_paper_are_there():
    assert {f"symmetry/fig{k}" for k in range(1, 9)} | {"symmetry/random-init"} <= set(installed().experiments)


@pytest.mark.parametrize("name", [f"symmetry/fig{k}" for k in range(2, 9)])
def test_curves_are_those_of_training(name):
    """Rows are the run's record: from epoch 0 on, with updates that only grow, ending where the run ended."""
    table = smoke(name).table
    keys = ["panel", "curve", "seed", "h_power", "beta", "layers", "init"]
    for _, run in table.groupby(keys):
        run = run.sort_values("epoch")
        assert run["epoch"].is_unique
        assert run["epoch"].iloc[0] == run["updates"].iloc[0] == 0
        assert run["updates"].is_monotonic_increasing
        last = run.iloc[-1]
        if last["outcome"] == "budget_reached":
            assert last["epoch"] == last["epochs"]
        else:
            assert last["outcome"] == "converged"
            assert last["empirical_error"] == 0 <= last["epochs"] - last["epoch"]
        assert (run["empirical_error"] * last["m"]).round(9).mod(1).eq(0).all()


def test_methods_of_a_panel_share_data():
    table = smoke("symmetry/fig2").table
    by = table.groupby(["seed", "layers"])[["unseen", "constant_error"]].first().unstack("layers")
    for column in ("unseen", "constant_error"):
        assert (by[column]["both"] == by[column]["output"]).all()


# Parameters as published (sections 5.1 to 5.4); what the paper leaves open is not listed.
PUBLISHED = {
    "symmetry/fig2": {
        "a": {"n": 30, "m": 30, "epochs": 60_000},
        "b": {"n": 60, "m": 60, "epochs": 250_000},
        "every": {"target": "random", "h_power": 6, "beta": "n^3 h", "init": "half_integer", "flip": 0, "shift": 0},
    },
    "symmetry/fig3": {
        "a": {"h_power": 2, "epochs": 16_000},
        "b": {"h_power": 3, "epochs": 80_000},
        "c": {"h_power": 4, "epochs": 90_000},
        "every": {"n": 30, "m": 30, "target": "random", "beta": "n^3 h", "init": "half_integer", "shift": 0},
    },
    "symmetry/fig4": {
        "a": {"beta": "0", "epochs": 2_500},
        "every": {"n": 30, "m": 30, "target": "random", "init": "half_integer", "flip": 0, "shift": 0},
    },
    "symmetry/fig5": {
        "a": {"m": 20, "epochs": 12_000},
        "b": {"m": 400, "epochs": 400},
        "c": {"m": 8_000, "epochs": 1_200},
        "d": {"m": 160_000, "epochs": 35},
        "every": {"n": 20, "target": "parity", "layers": "both", "flip": 0, "shift": 0},
    },
    "symmetry/fig6": {
        "a": {"m": 20, "epochs": 450},
        "b": {"m": 400, "epochs": 180},
        "c": {"m": 8_000, "epochs": 250},
        "d": {"m": 160_000, "epochs": 25},
        "every": {"n": 20, "target": "random", "layers": "both", "flip": 0, "shift": 0},
    },
    "symmetry/fig7": {
        "every": {"n": 30, "m": 300, "target": "random", "init": "half_integer", "epochs": 7_000, "shift": 0}
    },
    "symmetry/fig8": {
        "every": {"n": 30, "m": 300, "target": "random", "init": "half_integer", "epochs": 12_000, "shift": 0.1}
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("scale", ["laptop", "paper"])
def test_published_parameters(name, scale):
    settings = installed().experiments[name].scales[scale].settings
    every = PUBLISHED[name]["every"]
    assert all(setting[key] == value for setting in settings for key, value in every.items())
    for panel, wanted in PUBLISHED[name].items():
        if panel == "every":
            continue
        inside = [
            s for s in settings if s["panel"] == panel and all(s[key] == value for key, value in wanted.items())
        ]
        assert inside, panel
        if name in ("symmetry/fig2", "symmetry/fig3", "symmetry/fig4"):
            assert {s["layers"] for s in inside} == {"both", "output"}
        if name in ("symmetry/fig5", "symmetry/fig6"):
            starts = {s["init"] for s in inside}
            assert "half_integer" in starts
            assert len(starts) > 1


def test_what_the_paper_leaves_open_is_tried():
    flips = {s["flip"] for s in installed().experiments["symmetry/fig7"].scales["paper"].settings}
    assert {0.01, 0.1, 1 / 30} <= flips  # the fraction is lost in the print
    cells = installed().experiments["symmetry/random-init"].scales["paper"].settings
    assert {s["init"] for s in cells} == {"normal", "he", "xavier", "lecun", "pytorch"}
    assert {s["h_power"] for s in cells} >= {1, 2, 3}
    assert {s["beta"] for s in cells} == {"0", "n^3 h"}
    assert {s["m"] for s in cells} == {20, 400, 8_000, 160_000}
    assert len({s["width"] for s in cells}) > 1


def test_figure_1_draws_the_functions_of_the_paper():
    table = smoke("symmetry/fig1").table
    whole = table[table["label"] != 0]
    accepted = (1, 5, 7, 15, 20, 21, 22, 25)
    assert set(whole["representation"]) >= {"sigmoid", "relu"}
    for _, rows in whole.groupby("representation"):
        assert sorted(rows["weight"]) == list(range(31))
        assert (rows["label"] == np.where(rows["weight"].isin(accepted), 1, -1)).all()
        assert (np.sign(rows["output"]) == rows["label"]).all()


# Claims, on tables in which every run of a cell does the same unless a test says otherwise


def random(s):
    return s["init"] == "he"


# What a run does by its setting: the paper's figures as they should be.
IDEAL = {
    "fig2": {},
    "fig3": {"true_error": lambda s: {2: 0.09, 3: 0.06, 4: 0.03}[s["h_power"]] if s["layers"] == "both" else 0.02},
    "fig4": {},
    "fig5": {
        "true_error": lambda s: 0.5 if random(s) else 0.001,
        "empirical_error": lambda s: 0.1 * "abcd".index(s["panel"]) if random(s) else 0.0,
    },
    "fig7": {"true_error": lambda s: 0.005},
    "fig8": {"true_error": lambda s: 0.07},
}
IDEAL["fig6"] = IDEAL["fig5"]
USUAL = {
    "empirical_error": 0.0, "true_error": 0.02, "unseen": 0.1, "constant_error": 0.5, "floor": 0.05, "movement": 0.0,
    "majority_error": 0.004, "outcome": "converged", "updates": 1,
}  # fmt: skip


def table(name, seeds=30, **changes):
    """Every cell of the figure, errors from a quarter of the axis on; changes are numbers or of (setting, seed)."""
    known = {**USUAL, **{key: (lambda s, seed, of=of: of(s)) for key, of in IDEAL[name].items()}, **changes}
    rows = []
    for setting in installed().experiments[f"symmetry/{name}"].scales["laptop"].settings:
        for seed in range(seeds):
            end = {key: of(setting, seed) if callable(of) else of for key, of in known.items()}
            for part in range(5):
                early = {"empirical_error": 0.5} if part == 0 else {}
                rows.append({**setting, "seed": seed, "epoch": part * setting["epochs"] // 4, **end, **early})
    return pd.DataFrame(rows)


def judged(name, **changes):
    found = installed().experiments[f"symmetry/{name}"].claims(table(name, **changes))
    return {g.id.removeprefix("symmetry/"): g for g in found}


def share_of(count, value, of=lambda s: True):
    """The first ``count`` seeds of the cells have the value, the others 0."""
    return lambda s, seed: value if of(s) and seed < count else 0.0


def last_worse(s, seed):
    """Training the last layer alone ends worse, with every step."""
    return 0.1 * (s["layers"] == "output")


@pytest.mark.parametrize("name", IDEAL)
def test_claims_hold_of_what_the_paper_says_and_two_seeds_measure_nothing(name):
    for id, found in judged(name).items():
        assert found.verdict is HOLDS, id
    for id, found in judged(name, seeds=2).items():
        assert found.verdict is UNMEASURED, id


@pytest.mark.parametrize(
    ("name", "id", "changes", "verdict"),
    [
        ("fig2", "fig2a/zero-empirical-error[both]", {"empirical_error": 0.1}, VIOLATED),
        ("fig2", "fig2c/zero-empirical-error", {"empirical_error": 0.1}, VIOLATED),
        ("fig2", "fig2b/settings-agree", {"true_error": lambda s, k: 0.1 * (s["layers"] == "both")}, VIOLATED),
        ("fig2", "fig2b/settings-agree", {"true_error": lambda s, k: 0.1 * (s["layers"] != "both")}, VIOLATED),
        (
            "fig2",
            "fig2b/settings-agree",
            {"true_error": share_of(15, 0.04, lambda s: s["layers"] == "both")},
            UNMEASURED,
        ),
        ("fig2", "fig2a/compression", {"true_error": lambda s, seed: 0.11 if seed == 7 else 0.02}, VIOLATED),
        ("fig2", "fig2a/compression", {"empirical_error": share_of(28, 0.1)}, UNMEASURED),
        ("fig3", "fig3/sooner[2<3]", {"empirical_error": lambda s, seed: 0.1 * (s["h_power"] == 2)}, VIOLATED),
        ("fig3", "fig3/sooner[3<4]", {"empirical_error": share_of(12, 0.1)}, UNMEASURED),
        ("fig3", "fig3/true-error-rises[2>3]", {"true_error": lambda s, k: 0.1 * s["h_power"]}, VIOLATED),
        (
            "fig3",
            "fig3/true-error-rises[3>4]",
            {"true_error": lambda s, k: 0.1 * (k % 2) * (s["h_power"] == 3)},
            HOLDS,
        ),
        (
            "fig3",
            "fig3/true-error-rises[3>4]",
            {"true_error": lambda s, k: 0.1 * (k % s["h_power"] == 0)},
            UNMEASURED,
        ),
        ("fig3", "fig3a/both-worse-than-last-layer", {"true_error": last_worse}, VIOLATED),
        ("fig3", "fig3b/both-worse-than-last-layer", {"true_error": last_worse}, VIOLATED),
        ("fig3", "fig3c/settings-agree", {"true_error": last_worse}, VIOLATED),
        ("fig3", "fig3c/settings-agree", {"true_error": 0.1}, HOLDS),
        (
            "fig3",
            "fig3b/both-worse-than-last-layer",
            {"true_error": lambda s, k: 0.1 + (s["layers"] == "both") * 0.01 * (-1) ** k},
            UNMEASURED,
        ),
        ("fig3", "fig3b/zero-empirical-error", {"empirical_error": 0.1}, VIOLATED),
        ("fig4", "fig4/faster", {"empirical_error": lambda s, seed: 0.1 * (s["beta"] == "0")}, VIOLATED),
        ("fig4", "fig4/not-impaired", {"true_error": lambda s, seed: 0.1 * (s["beta"] == "0")}, VIOLATED),
        ("fig4", "fig4/not-impaired", {"true_error": lambda s, seed: 0.1 * (s["beta"] != "0")}, HOLDS),
        ("fig5", "fig5a/ours-true-error[beta=0]", {"true_error": 0.2}, VIOLATED),
        ("fig5", "fig5a/ours-true-error[beta=0]", {"true_error": 0.14}, HOLDS),  # the sample misses 0.13
        ("fig5", "fig5c/ours-empirical-error[beta=n^3h]", {"empirical_error": 0.03}, VIOLATED),
        ("fig5", "fig5c/ours-empirical-error[beta=n^3h]", {"empirical_error": share_of(3, 0.3)}, UNMEASURED),
        ("fig5", "fig5d/random-true-error", {"true_error": 0.39}, VIOLATED),
        ("fig5", "fig5/random-fits-small-sample", {"empirical_error": 0.03}, VIOLATED),
        ("fig6", "fig6/random-harder-to-fit", {"empirical_error": lambda s, k: 0.1 * (s["panel"] == "a")}, VIOLATED),
        ("fig7", "fig7a/true-error", {"true_error": 0.02}, VIOLATED),
        ("fig7", "fig7c/true-error", {"true_error": 0.02}, HOLDS),
        ("fig7", "fig7c/near-majority-vote", {"true_error": 0.02}, VIOLATED),
        ("fig7", "fig7b/near-majority-vote", {"true_error": share_of(3, 0.5)}, HOLDS),  # the typical run
        ("fig7", "fig7b/near-majority-vote", {"true_error": share_of(12, 0.5)}, UNMEASURED),
        ("fig7", "fig7/beta-zero-as-well", {"true_error": lambda s, k: 0.1 * (s["beta"] == "0")}, VIOLATED),
        ("fig8", "fig8a/within-twice-the-floor", {"true_error": 0.11}, VIOLATED),
        ("fig8", "fig8c/floor", {"true_error": 0.04}, VIOLATED),
        ("fig8", "fig8b/floor", {"true_error": 0.04, "movement": 0.01}, VIOLATED),
    ],
)
def test_claims_turn(name, id, changes, verdict):
    assert judged(name, **changes)[id].verdict is verdict


@pytest.mark.parametrize("fit", [14, 15])
def test_half_of_thirty_runs_cannot_be_told_from_less(fit):
    found = judged("fig2", empirical_error=share_of(30 - fit, 0.1))["fig2b/zero-empirical-error[both]"]
    assert found.verdict is UNMEASURED
    assert "too wide to tell" in found.note


def test_a_mean_is_judged_by_its_whole_interval():
    """30 seeds, mean 0.0366: holds at 0.05 with a spread of 0.03, and cannot be told with one of 0.084."""
    for spread, verdict in ((0.03, HOLDS), (0.084, UNMEASURED)):

        def error(s, seed, spread=spread):
            return 0.2 + 0.0366 + spread * (1 if seed % 2 else -1) if s["beta"] == "0" else 0.2

        found = judged("fig4", true_error=error)["fig4/not-impaired"]
        assert found.verdict is verdict
        assert "mean 0.0366, 95 % interval 0.0" in found.note


def test_the_majority_vote_is_that_of_the_labels_learnt_from():
    """Without a wrong label it misses half of the weights not seen, and with all of them wrong the rest."""
    fig7 = installed().experiments["symmetry/fig7"]
    (setting,) = {s["panel"]: s for s in fig7.scales["smoke"].settings if s["panel"] == "a"}.values()
    errors = {}
    for flip in (0.0, 1.0):
        (errors[flip],) = {row["majority_error"] for row in fig7.run({**setting, "flip": flip, "epochs": 1}, 0)}
    n, m = setting["n"], setting["m"]
    probabilities = UniformCube(n).weight_probabilities
    seen = np.isin(np.arange(n + 1), UniformCube(n).sample(generator(0, "sample", n, m), m).sum(axis=1))
    assert errors[0.0] == pytest.approx(probabilities[~seen].sum() / 2)
    assert errors[1.0] == pytest.approx(1 - probabilities[~seen].sum() / 2)
    assert 0 < errors[0.0] < 0.1


def test_in_the_excess_over_unseen_weights_a_run_counts_if_it_fits():
    def error(s, seed):
        return 0.11 if seed == 7 else 0.02

    note = judged("fig5", true_error=error)["fig5a/ours-true-error[beta=0]"].note
    assert note.partition("; mean")[0].endswith(
        "of the 30 runs at empirical error 0 1 exceed what their sample misses"
    )


def test_errors_are_judged_beside_the_floor_of_their_own_target():
    """Floors that differ from seed to seed are no uncertainty: the error is 1.8 of each."""

    def floor(s, seed):
        return 0.01 * (1 + seed % 10)

    found = judged("fig8", seeds=10, floor=floor, true_error=lambda s, seed: 1.8 * floor(s, seed))
    assert found["fig8a/within-twice-the-floor"].verdict is HOLDS
    assert found["fig8a/floor"].verdict is HOLDS
    assert found["fig8a/within-twice-the-floor"].bound == pytest.approx(0.11)


def test_a_cell_that_learns_parity_refutes_that_none_does():
    experiment = installed().experiments["symmetry/random-init"]
    rows = [
        {**setting, "seed": seed, "true_error": 0.5 + 0.001 * (seed % 3)}
        for setting in experiment.scales["laptop"].settings
        for seed in range(9)
    ]
    table = pd.DataFrame(rows)

    def verdicts(table):
        return [g.verdict for g in experiment.claims(table)]  # any step, small step, small sample, beta 0

    assert verdicts(table) == [HOLDS] * 4
    learnt = (table["init"] == "he") & (table["h_power"] == 2) & (table["size"] == 3) & (table["beta"] != "0")
    error = table["true_error"].where(~learnt, 0.2 + 0.01 * table["seed"])
    assert verdicts(table.assign(true_error=error)) == [VIOLATED, HOLDS, HOLDS, HOLDS]
    error = table["true_error"].where(~learnt, 0.3 * (table["seed"] % 2))  # one that half of the seeds learn
    assert verdicts(table.assign(true_error=error)) == [UNMEASURED, HOLDS, HOLDS, HOLDS]
    assert set(verdicts(table[table["seed"] < 2])) == {UNMEASURED}


def test_learning_curves_are_held_to_the_end_of_the_axis():
    known = table("fig2", seeds=3)
    ended = known[known["epoch"] <= known["epochs"] // 2]  # converged half-way
    plot = installed().experiments["symmetry/fig2"].figure(ended)
    assert isinstance(plot, plotting.Plot)
    assert len(plot.panels) == 3
    for panel, labels in zip(plot.panels, (4, 4, 2), strict=True):
        assert len(panel.items) == labels
        assert panel.xlim == (0, max(panel.items[0].x))
        assert np.asarray(panel.items[0].x)[-1] in (60_000, 250_000, 1_500_000)
