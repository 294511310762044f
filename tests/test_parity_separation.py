"""parity/separation: its pieces, and claims that can fail."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import pytest

import learnability
from learnability.discovery import installed
from learnability.kernels.features import Parities
from learnability.problems.boolean import signs
from learnability.studies.parity import linear_methods as opponents
from learnability.studies.parity.runs_separation import needed, numbers
from learnability.theory import Verdict

ID = "parity/separation"


@cache
def rows():
    """Three seeds of the smallest cells."""
    return learnability.run(ID, scale="smoke", seeds=3).table


def verdicts(table):
    return {g.id.removeprefix(f"{ID}/"): g.verdict for g in installed().experiments[ID].claims(table)}


class TestRuns:
    def test_means_are_those_of_the_parts(self):
        for name in ("loss", "error"):
            both = rows()[f"{name}_1"] + rows()[f"{name}_2"]
            np.testing.assert_allclose(rows()[name], both / 2, rtol=1e-12)

    def test_the_bounds_are_below_what_was_attained(self):
        losses = installed().experiments[ID].figure(rows()).panels[0].items
        lines = [item for item in losses if item.linestyle and len(item.x)]
        points = [item for item in losses if item.hollow and len(item.x)]
        assert len(lines) == 2
        assert points
        for item in points:
            for line in lines:
                assert (np.asarray(item.y) >= np.interp(item.x, line.x, line.y, right=0.0)).all()

    def test_settings_have_the_hypothesis_of_the_theorem(self):
        for scale in installed().experiments[ID].scales.values():
            cells = scale.settings
            assert all(s["n"] == 16 * s["k"] for s in cells if s["panel"] != "needed")
            assert {s["method"] for s in cells} == {"network", *opponents.FAMILIES, *opponents.KERNELS, "parities"}


class TestClaims:
    def test_a_network_that_does_not_learn(self):
        table = rows().copy()
        table.loc[(table["method"] == "network") & (table["k"] == 3), ["error_1"]] = 0.6
        found = verdicts(table)
        assert found["learns[k=3]"] is Verdict.VIOLATED
        assert found["gap[k=3]"] is Verdict.VIOLATED

    def test_a_network_that_does(self):
        table = rows().copy()
        table.loc[(table["method"] == "network") & (table["k"] == 3), ["error_1"]] = 0.01
        found = verdicts(table)
        assert found["learns[k=3]"] is Verdict.HOLDS
        assert found["gap[k=3]"] is Verdict.HOLDS
        assert found["linear-fails[k=3]"] is Verdict.HOLDS

    def test_seeds_that_disagree_or_are_too_few(self):
        table = rows().copy()
        net = (table["method"] == "network") & (table["k"] == 3)
        table.loc[net, "error_1"] = 0.05 * table.loc[net, "seed"]
        assert verdicts(table)["learns[k=3]"] is Verdict.NOT_MEASURED
        found = verdicts(table[table["seed"] < 2])
        assert set(found.values()) == {Verdict.NOT_MEASURED}

    def test_a_linear_method_that_learns(self):
        table = rows().copy()
        table.loc[(table["method"] == "rbf") & (table["k"] == 3), ["error_1"]] = 0.2
        assert verdicts(table)["linear-fails[k=3]"] is Verdict.VIOLATED

    def test_a_loss_below_the_bound(self):
        table = rows().copy()
        table.loc[(table["panel"] == "norm") & (table["norm"] == 1), ["loss"]] = 0.05
        found = verdicts(table)
        assert {found[f"theorem2[{form}]"] for form in ("corrected", "sharper", "direct")} == {Verdict.VIOLATED}

    def test_a_network_with_a_norm_that_any_features_could_do_it_with(self):
        table = rows().copy()
        net = (table["method"] == "network") & (table["k"] == 3)
        table.loc[net, ["norm", "loss"]] = [0.1, 0.01]
        assert verdicts(table)["below-fixed-features[k=3]"] is Verdict.HOLDS
        table.loc[net, "loss"] = 0.499
        assert verdicts(table)["below-fixed-features[k=3]"] is Verdict.VIOLATED
        table.loc[net, "norm"] = 1e4  # with as much the bound says nothing
        assert "below-fixed-features[k=3]" not in verdicts(table)

    def test_a_norm_below_what_is_needed(self):
        table = rows().copy()
        table.loc[(table["panel"] == "needed"), "loss_1"] = 0.5  # all reach it
        table.loc[(table["panel"] == "needed"), ["norm"]] *= 0.01
        found = verdicts(table)
        assert found["needed[relu]"] is Verdict.VIOLATED
        assert found["needed[parities]"] is Verdict.VIOLATED
        table.loc[(table["panel"] == "needed"), ["norm"]] *= 103  # 3 % above
        assert verdicts(table)["needed[parities]"] is Verdict.VIOLATED

    def test_the_other_half_unlearnt(self):
        table = rows().copy()
        table.loc[(table["panel"] == "error") & (table["method"] == "bits"), ["error_2"]] = 0.95
        assert verdicts(table)["other-half"] is Verdict.VIOLATED


class TestPieces:
    def test_the_majority_has_its_error(self):
        for k in (1, 3, 5, 7, 9):
            S = signs(k)
            wrong = np.sign(S.sum(axis=1)) != S.prod(axis=1)
            assert opponents.majority_error(k) == pytest.approx(wrong.mean(), abs=1e-15)

    def test_scores_of_the_majority_and_of_nothing(self):
        problem = opponents.mixture(0, 20, 3)
        A = list(problem.support)
        found = opponents.scores(lambda X: np.sign(X[:, A].sum(axis=1)), problem, 0)
        assert found["error_1"] == pytest.approx(0.75, abs=0.02)
        assert found["error_2"] == found["loss_2"] == 0
        assert found["loss_1"] == pytest.approx(1.5, abs=0.04)
        nothing = opponents.scores(lambda X: np.zeros(len(X)), problem, 0)
        assert (nothing["loss"], nothing["error"]) == (1, 1)

    def test_the_parities_of_degree_k_would_learn(self, monkeypatch):
        every = Parities(6, tuple(itertools.combinations(range(6), 3)))
        monkeypatch.setattr(opponents, "features", lambda *_, **__: every)
        problem = opponents.mixture(1, 6, 3)
        ((N, found),) = opponents.on_features(problem, 1, "relu", [20], 2000)
        assert (N, found["error"]) == (20, 0)
        for _, B, by_norm in opponents.by_norm(problem, 1, "relu", [20], [0.5, 2.0], 2000):
            assert by_norm["loss"] == pytest.approx(max(0.0, 1 - B), abs=0.03)

    def test_bits_learn_one_of_them(self):
        problem = opponents.mixture(2, 12, 1)
        ((N, found),) = opponents.on_features(problem, 2, "bits", [4], 1000)
        assert (N, found["error"]) == (12, 0)

    @pytest.mark.parametrize("family", opponents.KERNELS)
    def test_kernel_machines_learn_what_is_easy(self, family):
        assert opponents.with_kernel(opponents.mixture(3, 8, 1), 3, family, 300)["error"] <= 0.01
        assert opponents.with_kernel(opponents.mixture(3, 5, 3), 3, family, 300)["error"] <= 0.01

    def test_more_features_begin_with_the_fewer(self):
        few, many = (opponents.features(0, "cosine", 5, N, scale=2.0) for N in (3, 7))
        np.testing.assert_array_equal(few.W, many.W[:3])

    def test_parities_need_what_the_bound_says(self):
        row = needed(0, 6, 3, "parities", 20)
        assert row["features"] * row["norm"] ** 2 == pytest.approx(math.comb(6, 3) / 4, rel=0.03)
        assert row["loss_1"] <= 0.5

    def test_a_loss_out_of_reach_is_left_above(self):
        row = needed(0, 6, 3, "bits", 6)
        assert row["loss_1"] > 0.5

    def test_numbers_of_features(self):
        assert numbers(1024) == [16, 64, 256, 1024]
        assert numbers(16) == [16]
